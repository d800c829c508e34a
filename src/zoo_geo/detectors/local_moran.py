"""Local Moran: areas that are like, or unlike, their neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from zoo_geo import references
from zoo_geo.detectors import local
from zoo_geo.detectors.base import Alternative, Detector, Scores
from zoo_geo.detectors.inputs import Inputs, matrix


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
    own: ClassVar[tuple[str, ...]] = (
        "permutations",
        "residual",
        "group_observed",
        "group_expected",
        "group_ratio",
    )

    permutations: int = 99_999
    value: local.Value = "residual"
    alternative: Alternative = "two-sided"

    def __post_init__(self) -> None:
        local.check(self.value, self.alternative, self.permutations)

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        weights, fields = matrix(inputs), local.fields(inputs, self.value, n_jobs)
        found = local.infer(fields.values, weights, self.permutations, seed, None, n_jobs)
        status = local.statuses(inputs, fields, found)
        count = np.isfinite(fields.values).sum(0)
        mean = references.totals(np.nan_to_num(fields.values)) / np.maximum(count, 1)
        away = fields.values - mean
        with np.errstate(divide="ignore", invalid="ignore"):
            lag = found.lag / found.weight - mean
            normal = (count - 1) / references.totals(np.nan_to_num(away) ** 2)
        own, around = _sign(away), _sign(lag)
        turned = np.where(own < 0, -1.0, own)
        above = np.where(own < 0, found.below, found.above)
        below = np.where(own < 0, found.above, found.below)
        p = local.permutation_p(above, below, self.permutations, self.alternative)
        arrays = {
            "statistic": away * lag * normal,
            "z": turned * found.z,
            "p_value": np.where((found.variance > 0) & (own != 0), p, 1.0),
        }
        arrays |= local.shown(inputs, fields, weights, self.permutations)
        return Scores(
            local.reference(self.value), status, arrays, _QUADRANTS, _quadrant(own, around), side=own
        )


def _sign(x: np.ndarray) -> np.ndarray:
    """Sign of a deviation from the mean; float noise is 0, and 0 is no quadrant."""
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(x) > 1e-12 * np.nanmax(np.abs(x), axis=0, initial=0.0), np.sign(x), 0.0)


_QUADRANTS = ("LL", "LH", "none", "HL", "HH")


def _quadrant(own: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Number the quadrant; an own value or surroundings at the mean are in none."""
    number = np.where(own == 0, 0, np.where(around == 0, 0, own + 0.5 * (own != 0) * around))
    return np.digitize(number, [-1.0, -0.1, 0.1, 1.0])
