"""Local Moran: areas that are like, or unlike, their neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo_geo.detectors import local
from zoo_geo.detectors.base import Alternative, Detector, Scores
from zoo_geo.detectors.draws import infer
from zoo_geo.detectors.inputs import Inputs, matrix
from zoo_geo.detectors.nulls import Inference


@dataclass(frozen=True)
class LocalMoran(Detector):
    """Local Moran's I: is the area high among high neighbours, or an exception among them?

    Weights are row-standardised; the normaliser is n - 1; the null keeps the area's value in place
    and draws its neighbours from all other areas that have a value.

    Parameters
    ----------
    permutations
        Draws of the null; the smallest p is 2 / (permutations + 1).
    value
        ``residual``, ``rate`` or ``eb_rate`` (empirical-Bayes standardised).
    alternative
        ``two-sided``, ``greater`` (like its neighbours) or ``less`` (unlike them).
    inference
        ``permutation``; ``moments`` (exact mean, variance and skewness, Pearson III tail) or ``normal``
        (exact mean and variance), both without draws.
    stop_above
        A p that no longer matters, such as 0.1: cells that end above it get fewer draws (column
        ``permutations``); those at or below it have the p of all draws. None draws for all.

    References
    ----------
    Anselin (1995), doi:10.1111/j.1538-4632.1995.tb00338.x; Sauer, Oshan, Rey and Wolf (2021),
    doi:10.1111/gean.12304, for the conditional null.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.LocalMoran(value="rate").permutations
    99999
    """

    name: ClassVar[str] = "local_moran"
    evidence: ClassVar[str] = "group of neighbours"
    effect: ClassVar[str] = "group_ratio"
    groups: ClassVar[tuple[str, ...]] = ("HH", "LL")
    own: ClassVar[tuple[str, ...]] = local.OWN

    permutations: int = 99_999
    value: local.Value = "residual"
    alternative: Alternative = "two-sided"
    inference: Inference = "permutation"
    stop_above: float | None = None

    def __post_init__(self) -> None:
        local.check(self)

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        fields = local.fields(inputs, self.value, n_jobs)
        how = local.plan(self, seed, n_jobs)
        found = infer(fields.values, matrix(inputs), "conditional", how, calm=fields.calm)
        columns = local.each_column(lambda c: local.moran(found, c), fields.values.shape, n_jobs)
        label, side = columns.pop("label"), columns.pop("side")
        arrays = local.shown(fields, found) | columns
        status = local.statuses(inputs, fields, found)
        return Scores(local.reference(self.value), status, arrays, local.QUADRANTS, label, side)
