"""Hot and cold spots: groups of neighbouring areas that are high or low together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from zoo_geo.detectors import local
from zoo_geo.detectors.base import Alternative, Detector, Scores, options
from zoo_geo.detectors.draws import infer
from zoo_geo.detectors.inputs import Inputs, matrix
from zoo_geo.detectors.nulls import Inference, Kind
from zoo_geo.errors import InputError


@dataclass(frozen=True)
class GetisOrd(Detector):
    """Getis-Ord G* (or G): is the area together with its neighbours high or low?

    Over residuals (the default) the question is whether a group of areas deviates together from what
    lies two and three rings away; over rates every smooth trend is a pattern too.

    Parameters
    ----------
    permutations
        Draws of the null; the smallest p is 2 / (permutations + 1).
    star
        Count the area itself (G*).
    null
        ``total`` draws the own value too, ``conditional`` keeps it in place; None for ``total`` with
        ``star`` and ``conditional`` without.
    value
        ``residual``, ``rate`` or ``eb_rate`` (empirical-Bayes standardised).
    alternative
        ``two-sided``, ``greater`` or ``less``.
    inference
        ``permutation``; ``moments`` (exact mean, variance and skewness, Pearson III tail) or ``normal``
        (exact mean and variance), both without draws.
    stop_above
        A p that no longer matters, such as 0.1: cells that end above it get fewer draws (column
        ``permutations``); those at or below it have the p of all draws. None draws for all.

    References
    ----------
    Getis and Ord (1992), doi:10.1111/j.1538-4632.1992.tb00261.x; Ord and Getis (1995),
    doi:10.1111/j.1538-4632.1995.tb00912.x.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.GetisOrd(permutations=99_999).null
    'total'
    """

    name: ClassVar[str] = "getis_ord"
    evidence: ClassVar[str] = "group of neighbours"
    effect: ClassVar[str] = "group_ratio"
    own: ClassVar[tuple[str, ...]] = local.OWN

    permutations: int = 99_999
    star: bool = True
    null: Literal["total", "conditional"] | None = None
    value: local.Value = "residual"
    alternative: Alternative = "two-sided"
    inference: Inference = "permutation"
    stop_above: float | None = None

    def __post_init__(self) -> None:
        local.check(self)
        options(null=(self.null, ("total", "conditional", None)), star=(self.star, (True, False)))
        if self.null is None:
            object.__setattr__(self, "null", "total" if self.star else "conditional")
        if self.null == "total" and not self.star:
            raise InputError(
                "null needs to be 'conditional' for star=False; got 'total'. G leaves the own value out."
            )

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        weights, fields = matrix(inputs), local.fields(inputs, self.value, n_jobs)
        own = np.zeros(weights.shape[0])
        if self.star:
            own = np.maximum(weights.max(axis=1).toarray().ravel(), 0.0)
        kind: Kind = "total" if self.null == "total" else "conditional"
        found = infer(fields.values, weights, kind, local.plan(self, seed, n_jobs), own, fields.calm)

        def score(c: int) -> local.Column:
            standing = found.column(c)
            z = standing.z()
            x, mean, spread, *_ = found.columns[c]
            kept = own if self.null != "total" else np.zeros_like(own)
            lag = standing.value * found.unit(c) + kept * x * spread
            weight = found.weight(c) + kept
            statistic = self._statistic(fields.values[:, c], lag + weight * mean, weight)
            label = (z > 0).astype(np.int8) + 2 * (z < 0).astype(np.int8)
            return local.Column(statistic, z, found.p(standing), label, np.sign(z))

        columns = local.each_column(score, fields.values.shape, n_jobs)
        label, side = columns.pop("label"), columns.pop("side")
        arrays = local.shown(fields, found) | columns
        status = local.statuses(inputs, fields, found)
        return Scores(local.reference(self.value), status, arrays, ("none", "hot", "cold"), label, side)

    def _statistic(self, values: np.ndarray, lag: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """G over values without sign; the weighted mean of the group over residuals."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.value != "rate":
                return lag / weight
            others = 0.0 if self.star else np.nan_to_num(values)
            return lag / (np.nansum(values) - others)
