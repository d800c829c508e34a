"""Bivariate local Moran: is the neighbours' other indicator high where this one is?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from zoo_geo.checks import nearest_name
from zoo_geo.detectors import local
from zoo_geo.detectors.base import Alternative, Detector, Scores
from zoo_geo.detectors.draws import infer
from zoo_geo.detectors.inputs import (
    CONSTANT,
    FEWEST_AREAS,
    NOT_TESTED,
    OK,
    TOO_FEW,
    Inputs,
    matrix,
    values,
)
from zoo_geo.detectors.nulls import Inference
from zoo_geo.errors import InputError


@dataclass(frozen=True)
class BivariateLocalMoran(Detector):
    """Bivariate local Moran: is another indicator high among the neighbours of an area that is high?

    The area's own figure times the row-standardised lag of the other indicator in the same period, both
    with mean 0 and standard deviation 1 (n - 1). The null keeps the area's own figure and draws the other
    indicator's around it from all other areas. It says that the two go together across borders, not that
    one leads to the other. Areas that lack either figure stay out, and the other indicator itself is
    ``not_tested``: that would be `LocalMoran`.

    Parameters
    ----------
    other
        Id of the indicator that is looked at among the neighbours.
    permutations
        Draws of the null; the smallest p is 2 / (permutations + 1).
    value
        ``residual``, ``rate`` or ``eb_rate`` (empirical-Bayes standardised), of both indicators.
    alternative
        ``two-sided``, ``greater`` (the other is high around a high area, or low around a low one) or
        ``less``.
    inference
        ``permutation``; ``moments`` (exact mean, variance and skewness, Pearson III tail) or ``normal``
        (exact mean and variance), both without draws.
    stop_above
        A p that no longer matters, such as 0.1: cells that end above it get fewer draws (column
        ``permutations``); those at or below it have the p of all draws. None draws for all.

    References
    ----------
    Anselin, Syabri and Smirnov (2002), Visualizing multivariate spatial correlation with dynamically
    linked windows; Anselin (1995), doi:10.1111/j.1538-4632.1995.tb00338.x.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.BivariateLocalMoran(other="vandalism").other
    'vandalism'
    """

    name: ClassVar[str] = "bivariate_local_moran"
    evidence: ClassVar[str] = "another figure of the neighbours"
    groups: ClassVar[tuple[str, ...]] = ("HH", "LL")
    own: ClassVar[tuple[str, ...]] = ("permutations", "residual", "other_value", "other_mean")

    other: str = ""
    permutations: int = 99_999
    value: local.Value = "residual"
    alternative: Alternative = "two-sided"
    inference: Inference = "permutation"
    stop_above: float | None = None

    def __post_init__(self) -> None:
        local.check(self)
        if not self.other:
            raise InputError("other needs to be the id of an indicator; got none.")

    @property
    def reference(self) -> str:
        """What the area is compared with."""
        return f"other:{self.other}"

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        fields = local.fields(inputs, self.value, n_jobs)
        place = self._others(inputs)
        lacking = _lacking(fields, place)
        both = replace(fields, status=lacking)
        own = np.asfortranarray(np.where(lacking == OK, fields.values, np.nan))
        around = np.where(lacking == OK, fields.values[:, place], np.nan)
        found = infer(around, matrix(inputs), "conditional", local.plan(self, seed, n_jobs))
        columns = local.each_column(lambda c: local.moran(found, c, own[:, c]), own.shape, n_jobs)
        label, side = columns.pop("label"), columns.pop("side")
        arrays = local.shown(both, found) | columns | _next_door(inputs, lacking == OK, place)
        status = local.statuses(inputs, both, found)
        return Scores(self.reference, status, arrays, local.QUADRANTS, label, side)

    def _others(self, inputs: Inputs) -> np.ndarray:
        """Column of the other indicator in the same period, for each column."""
        places = {(indicator.id, period): c for c, (indicator, period) in enumerate(inputs.columns)}
        known = list(dict.fromkeys(indicator.id for indicator, _ in inputs.columns))
        if self.other not in known:
            raise InputError(
                f"other needs to be an indicator of the panel; got {self.other!r} "
                f"(known: {', '.join(known)}).{nearest_name(self.other, known)}"
            )
        return np.array([places[self.other, period] for _, period in inputs.columns], np.intp)


def _lacking(fields: local.Fields, place: np.ndarray) -> np.ndarray:
    """Status of each cell: why either figure is not there, or says nothing among the areas that have both."""
    status = np.where(fields.status == OK, fields.status[:, place], fields.status)
    for figures in (fields.values, fields.values[:, place]):
        known = np.where(status == OK, figures, np.nan)
        ok = np.isfinite(known)
        low, high = (np.where(ok, known, edge) for edge in (np.inf, -np.inf))
        alike = ok.any(axis=0) & (low.min(axis=0, initial=np.inf) >= high.max(axis=0, initial=-np.inf))
        status[ok & alike] = CONSTANT
        status[ok & ~alike & (ok.sum(axis=0) < FEWEST_AREAS)] = TOO_FEW
    itself = place == np.arange(place.size)
    status[(status == OK) & itself] = NOT_TESTED
    return status


def _next_door(inputs: Inputs, known: np.ndarray, place: np.ndarray) -> dict[str, np.ndarray]:
    """Mean of the other indicator over the neighbours and over all areas, in the unit of its values."""
    other = np.where(known, values(inputs)[:, place], 0.0)
    weights = matrix(inputs)
    with np.errstate(divide="ignore", invalid="ignore"):
        near = (weights @ other) / (weights @ known.astype(float))
        mean = other.sum(axis=0) / known.sum(axis=0)
    return {"other_value": np.where(known, near, np.nan), "other_mean": np.where(known, mean, np.nan)}
