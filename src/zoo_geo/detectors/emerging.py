"""Hot and cold spots over time: new, lasting, growing, fading, coming and going, or gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from scipy.stats import false_discovery_control

from zoo_geo.detectors import local, over_time
from zoo_geo.detectors.base import Alternative, Detector, Scores, options
from zoo_geo.detectors.draws import Plan, infer
from zoo_geo.detectors.inputs import OK, Inputs, matrix
from zoo_geo.detectors.nulls import Inference
from zoo_geo.errors import InputError
from zoo_geo.notices import Notice, count
from zoo_geo.trends import mann_kendall

FEWEST_FOR_TREND = 10
"""Periods below which the classes that need a trend test are not told apart."""
_MOST = 0.9
"""Share of the periods from which a spot is one throughout."""

PATTERNS = (
    "new", "consecutive", "intensifying", "persistent", "diminishing", "sporadic", "oscillating",
    "historical", "trend_unknown",
)  # fmt: skip
"""Classes in the order in which they are tried."""
CLASSES = (
    "no_pattern",
    *(f"{name}_{side}" for side in ("hot", "cold") for name in PATTERNS),
    "final_unknown",
)


@dataclass(frozen=True)
class Emerging(Detector):
    """How did hot and cold spots come about: G* of every period, and the class of each area's series.

    Getis-Ord G* under the total null, one pool of draws for all periods; an area is a hot (cold) spot of a
    period where its p passes a false-discovery rate within the period. Mann-Kendall's test on z says
    whether the clustering grows or fades. Every row has the statistic of its period and the class of the
    whole series; what is judged are the periods in which the area has a figure since its last break (column
    ``n_periods``).

    Classes, hot and cold alike, the first that fits; *throughout* is in 90 % of the periods or more:
    ``new`` (in the last period only), ``consecutive`` (an unbroken run up to the last period, at least two,
    none before, not throughout), ``intensifying``, ``persistent``, ``diminishing`` (throughout, the last
    included, with a rising, no, or falling trend of its intensity), ``sporadic`` (in the last and now and
    then, never the opposite), ``oscillating`` (in the last, and the opposite before), ``historical``
    (throughout, not in the last). With fewer than ten periods ``trend_unknown`` stands for the three that
    need a trend. Where the last period has no figure the class is ``final_unknown``.

    Parameters
    ----------
    permutations
        Draws of the null; the smallest p is 2 / (permutations + 1).
    value
        ``residual``, ``rate`` or ``eb_rate``, as in `GetisOrd`.
    alpha
        False-discovery rate within a period, and level of the trend test.
    inference
        ``permutation``, ``moments`` or ``normal``, as in `GetisOrd`.
    alternative
        Always ``two-sided``, for hot and cold spots; no option.

    References
    ----------
    Getis and Ord (1992), doi:10.1111/j.1538-4632.1992.tb00261.x; Esri, How Emerging Hot Spot Analysis works,
    for the classes; Mann (1945), doi:10.2307/1907187.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.Emerging(alpha=0.01).alpha
    0.01
    """

    name: ClassVar[str] = "emerging"
    evidence: ClassVar[str] = "group of neighbours"
    effect: ClassVar[str] = "group_ratio"
    own: ClassVar[tuple[str, ...]] = (*local.OWN, "n_periods", "n_hot", "n_cold", "trend_z", "trend_p")

    permutations: int = 99_999
    value: local.Value = "residual"
    alpha: float = 0.05
    inference: Inference = "permutation"
    alternative: Alternative = field(default="two-sided", init=False)

    def __post_init__(self) -> None:
        options(
            value=(self.value, ("residual", "rate", "eb_rate")),
            inference=(self.inference, ("permutation", "moments", "normal")),
        )
        local.check_draws(self.permutations, None)
        if isinstance(self.alpha, bool) or not isinstance(self.alpha, (int, float)) or not 0 < self.alpha < 1:
            raise InputError(f"alpha needs to be between 0 and 1; got {self.alpha!r}.")

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        weights, fields = matrix(inputs), local.fields(inputs, self.value, n_jobs)
        own = np.maximum(weights.max(axis=1).toarray().ravel(), 0.0)
        plan = Plan(self.permutations, self.inference, None, self.alternative, seed, n_jobs)
        found = infer(fields.values, weights, "total", plan, own, fields.calm)

        def score(c: int) -> local.Column:
            standing = found.column(c)
            z = standing.z()
            mean = found.columns[c].mean
            weight = found.weight(c)
            with np.errstate(divide="ignore", invalid="ignore"):
                lag = standing.value * found.unit(c) + weight * mean
                statistic = lag / (np.nansum(fields.values[:, c]) if self.value == "rate" else weight)
            return local.Column(statistic, z, found.p(standing), np.zeros(z.size, np.int8), np.sign(z))

        columns = local.each_column(score, fields.values.shape, n_jobs)
        side = columns.pop("side")
        columns.pop("label")
        status = local.statuses(inputs, fields, found)
        label, beside = self._classed(inputs, status, columns)
        arrays = local.shown(fields, found) | columns | beside
        return Scores(
            local.reference(self.value),
            status,
            arrays,
            CLASSES,
            label,
            side,
            self._told(inputs, status, beside),
        )

    def _classed(
        self, inputs: Inputs, status: np.ndarray, columns: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Class of each series, on the rows of all its periods, and what it was judged by."""
        label = np.zeros(status.shape, np.int8)
        beside = {name: np.full(status.shape, np.nan) for name in self.own[-5:]}
        segment = over_time.segments(inputs)
        since = segment == segment[:, [-1]]
        for k in range(len(inputs.indicators)):
            at = over_time.columns_of(inputs, k)
            known = (status[:, at] == OK) & since
            z = np.where(known, columns["z"][:, at], np.nan)
            spots = spots_of(z, np.where(known, columns["p_value"][:, at], np.nan), self.alpha)
            trend = mann_kendall(z)
            p = trend.p("two-sided")
            label[:, at] = classify(spots, known, np.where(p <= self.alpha, np.sign(trend.score), 0))[:, None]
            told = (known.sum(1), (spots > 0).sum(1), (spots < 0).sum(1), trend.z, p)
            for name, array in zip(beside, told, strict=True):
                beside[name][:, at] = array[:, None]
        return label, beside

    def _told(self, inputs: Inputs, status: np.ndarray, beside: dict[str, np.ndarray]) -> list[Notice]:
        """Say how many periods there are for a trend, and which series are not whole."""
        most, n = len(over_time.periods(inputs)), len(inputs.indicators)
        said = over_time.broken(inputs, self.name)
        if most < FEWEST_FOR_TREND:
            said.append(
                Notice(
                    f"emerging: with {most} periods, fewer than {FEWEST_FOR_TREND}, intensifying, "
                    "persistent and "
                    "diminishing are not told apart: spots throughout are trend_unknown.",
                    f"emerging: met {most} perioden, minder dan {FEWEST_FOR_TREND}, is er geen verschil te "
                    "zien "
                    "tussen sterker, blijvend en zwakker: wie steeds opvalt heet trend_unknown.",
                )
            )
        ok = (status == OK).reshape(status.shape[0], n, most)
        partly = int((ok.any(axis=2) & ~ok.all(axis=2)).sum())
        late = int((ok.any(axis=2) & ~ok[:, :, -1]).sum())
        if partly:
            said.append(
                Notice(
                    f"emerging: {partly:,} series have periods without a figure and are judged by those they "
                    f"have (column n_periods); {late:,} of them have none in the last period and no class.",
                    f"emerging: {count(partly)} reeksen hebben perioden zonder cijfer en worden beoordeeld "
                    "op de "
                    f"andere (kolom n_periods); {count(late)} daarvan hebben in de laatste periode geen "
                    "cijfer en "
                    "dus geen klasse.",
                )
            )
        return said


def spots_of(z: np.ndarray, p: np.ndarray, alpha: float) -> np.ndarray:
    """Say where each period has its hot (1) and cold (-1) spots, shape (n, n_periods); 0 elsewhere."""
    spots = np.zeros(z.shape, np.int8)
    for t in range(z.shape[1]):
        known = np.flatnonzero(np.isfinite(p[:, t]))
        if known.size:
            passed = false_discovery_control(p[known, t]) <= alpha * (1.0 + 1e-12)
            spots[known, t] = np.where(passed, np.sign(z[known, t]), 0)
    return spots


def classify(spots: np.ndarray, known: np.ndarray, trend: np.ndarray) -> np.ndarray:
    """Number the class of each series in `CLASSES`.

    Parameters
    ----------
    spots
        1 hot, -1 cold, 0 neither; shape (n, n_periods).
    known
        Periods that count, same shape; the others are as if they had not been.
    trend
        Sign of a significant trend of the intensity z, else 0; shape (n,).
    """
    count = known.sum(axis=1)
    label = np.zeros(count.size, np.int8)
    for side, first in ((-1, 1 + len(PATTERNS)), (1, 1)):
        pattern = _pattern(np.where(known, side * spots, 0), known, side * trend)
        label = np.where(pattern >= 0, pattern + first, label)
    label[count < 2] = 0
    label[(count > 0) & ~known[:, -1]] = len(CLASSES) - 1
    return label.astype(np.int8)


def _pattern(spots: np.ndarray, known: np.ndarray, trend: np.ndarray) -> np.ndarray:
    """Number the pattern of hot spots in `PATTERNS`, -1 for none; cold ones come with their sign turned."""
    count = known.sum(axis=1)
    hot, cold = spots > 0, (spots < 0).any(axis=1)
    times, last = hot.sum(axis=1), hot[:, -1]
    throughout = times >= _MOST * count - 1e-9
    long = count >= FEWEST_FOR_TREND
    often = throughout & last & (times > 1)
    some = last & ~throughout
    tests = (
        last & (times == 1),
        some & _one_run(hot, known),
        often & long & (trend > 0),
        often & long & (trend == 0),
        often & long & (trend < 0),
        some & ~cold,
        some & cold,
        throughout & ~last & (times > 0),
        often & ~long,
    )
    return np.select(tests, range(len(PATTERNS)), -1)


def _one_run(hot: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Say which series are hot in each known period from the first hot one on, and in two at least."""
    times, since = hot.sum(axis=1), np.logical_or.accumulate(hot, axis=1)
    return (times >= 2) & ((known & since).sum(axis=1) == times)
