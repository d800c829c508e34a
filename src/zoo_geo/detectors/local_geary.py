"""Local Geary: areas whose figure differs little, or much, from their neighbours'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from zoo_geo.detectors import local
from zoo_geo.detectors.base import Alternative, Detector, Scores
from zoo_geo.detectors.draws import infer
from zoo_geo.detectors.inputs import Inputs, matrix
from zoo_geo.detectors.nulls import Inference


@dataclass(frozen=True)
class LocalGeary(Detector):
    """Local Geary's c: does the area's figure differ little, or much, from those of its neighbours?

    The weighted sum of squared differences from the neighbours, over values with mean 0 and standard
    deviation 1 (n - 1). Weights are used as given: row-standardise the graph for a weighted mean. The
    null keeps the area's value in place and draws its neighbours from all other areas.

    A low c means alike: ``HH`` and ``LL`` where area and neighbours lie on one side of the mean,
    ``positive`` where they are close to each other but not on one side. A high c means unlike: ``negative``.
    Alike is not high: a group may lie just above the mean and be very much alike. So it supports no flag.

    Parameters
    ----------
    permutations
        Draws of the null; the smallest p is 2 / (permutations + 1).
    value
        ``residual``, ``rate`` or ``eb_rate`` (empirical-Bayes standardised).
    alternative
        ``two-sided``, ``greater`` (unlike its neighbours) or ``less`` (like them).
    inference
        ``permutation``; ``moments`` (exact mean, variance and skewness, Pearson III tail) or ``normal``
        (exact mean and variance), both without draws.
    stop_above
        A p that no longer matters, such as 0.1: cells that end above it get fewer draws (column
        ``permutations``); those at or below it have the p of all draws. None draws for all.

    References
    ----------
    Anselin (1995), doi:10.1111/j.1538-4632.1995.tb00338.x; Anselin (2019), doi:10.1111/gean.12164.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.LocalGeary(alternative="less").value
    'residual'
    """

    name: ClassVar[str] = "local_geary"
    evidence: ClassVar[str] = "likeness to the neighbours"
    effect: ClassVar[str] = "group_ratio"
    groups: ClassVar[tuple[str, ...]] = ()
    own: ClassVar[tuple[str, ...]] = local.OWN

    permutations: int = 99_999
    value: local.Value = "residual"
    alternative: Alternative = "two-sided"
    inference: Inference = "permutation"
    stop_above: float | None = None

    def __post_init__(self) -> None:
        local.check(self)

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        from zoo_geo.kernels.standing import quadrants, signs

        fields, weights = local.fields(inputs, self.value, n_jobs), matrix(inputs)
        found = infer(fields.values, weights, "geary", local.plan(self, seed, n_jobs))

        def score(c: int) -> local.Column:
            standing, null, x = found.column(c), found.nulls[c], found.columns[c].x
            z, side = standing.z(), signs(x)
            alike = quadrants(side, signs(null.lag(x)))
            label = np.where(z > 0, _NEGATIVE, np.where(alike > 2, _POSITIVE, alike))
            count = max(int(null.rows.valid.sum()), 1)
            statistic = standing.value * null.rows.scale * ((count - 1) / count)
            return local.Column(statistic, z, found.p(standing), np.where(z == 0, 0, label), side)

        columns = local.each_column(score, fields.values.shape, n_jobs)
        label, side = columns.pop("label"), columns.pop("side")
        arrays = local.shown(fields, found) | columns
        status = local.statuses(inputs, fields, found)
        return Scores(local.reference(self.value), status, arrays, _CLASSES, label, side)


_CLASSES = ("none", "HH", "LL", "positive", "negative")
_POSITIVE, _NEGATIVE = 3, 4
