"""Hot and cold spots: groups of neighbouring areas that are high or low together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from zoo_geo import references
from zoo_geo.detectors import local
from zoo_geo.detectors.base import Alternative, Detector, Scores, options
from zoo_geo.detectors.inputs import Inputs, matrix
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
    own: ClassVar[tuple[str, ...]] = (
        "permutations",
        "residual",
        "group_observed",
        "group_expected",
        "group_ratio",
    )

    permutations: int = 99_999
    star: bool = True
    null: Literal["total", "conditional"] | None = None
    value: local.Value = "residual"
    alternative: Alternative = "two-sided"

    def __post_init__(self) -> None:
        local.check(self.value, self.alternative, self.permutations)
        options(null=(self.null, ("total", "conditional", None)))
        if self.null is None:
            object.__setattr__(self, "null", "total" if self.star else "conditional")
        if self.null == "total" and not self.star:
            raise InputError(
                "null needs to be 'conditional' for star=False; got 'total'. G leaves the own value out."
            )

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        weights, fields = matrix(inputs), local.fields(inputs, self.value, n_jobs)
        own = (
            np.maximum(weights.max(axis=1).toarray().ravel(), 0.0)
            if self.star
            else np.zeros(weights.shape[0])
        )
        drawn = own if self.null == "total" else None
        found = local.infer(fields.values, weights, self.permutations, seed, drawn, n_jobs)
        status = local.statuses(inputs, fields, found)
        kept = own[:, None] * np.nan_to_num(fields.values) if self.null != "total" else 0.0
        arrays = {
            "statistic": self._statistic(fields.values, found.lag + kept, found.weight, own),
            "z": found.z,
            "p_value": local.decided(found, self.permutations, self.alternative),
        }
        arrays |= local.shown(inputs, fields, weights, self.permutations)
        return Scores(
            local.reference(self.value), status, arrays, ("none", "hot", "cold"), _hot_cold(found.z)
        )

    def _statistic(
        self, values: np.ndarray, lag: np.ndarray, weight: np.ndarray, own: np.ndarray
    ) -> np.ndarray:
        """G over values without sign; the weighted mean of the group over residuals."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.value != "rate":
                return lag / (weight + (own[:, None] if self.null != "total" else 0.0))
            others = 0.0 if self.star else np.nan_to_num(values)
            return lag / (references.totals(np.nan_to_num(values)) - others)


def _hot_cold(z: np.ndarray) -> np.ndarray:
    return np.where(z > 0, 1, np.where(z < 0, 2, 0))
