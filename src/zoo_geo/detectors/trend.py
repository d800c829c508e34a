"""Areas whose figure rises or falls over the periods, beyond the course of their surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from zoo_geo.courses import START, Series, course
from zoo_geo.detectors import over_time
from zoo_geo.detectors.base import Alternative, Detector, Scores, options, spread_out
from zoo_geo.detectors.inputs import ISOLATED, NOT_TESTED, OK, TOO_FEW, Inputs, column_status
from zoo_geo.notices import Notice, count
from zoo_geo.predictive import Binomial, Family, Gaussian
from zoo_geo.trends import Trends, mann_kendall, sen_slopes, smallest_p

_LEVEL = 0.05
"""A series that cannot have a p as small as this is too short."""
_ALIKE = 0.1


@dataclass(frozen=True)
class Trend(Detector):
    """Does an area's figure rise or fall steadily, beyond the course of its surroundings?

    Mann-Kendall's test over all periods since the area's last break, and Sen's slope; the result stands at
    the last period, others are ``not_tested``. By default rates are divided by the common course of the
    surroundings (shares: their odds are; values: it is subtracted), for a nation-wide rise is no trend of an
    area. Slopes are a year where all periods are years (four digits), else a period.

    ``expected`` is what the last period would show at the beginning of Sen's line; ``ratio`` is observed
    over it, and its interval that of the end of the line over its beginning (shares: both under the course
    of the last period). Mann-Kendall takes periods as independent: where they are alike p promises too
    much, and a notice says so.

    Parameters
    ----------
    value
        ``ratio`` to the course of the surroundings, or the area's own ``rate`` as it is.
    reference
        Whose course: ``neighbours`` (shrunk to the widest parent and the nation), ``peers``,
        ``parent:LEVEL`` or ``national``; ``own history`` with ``value="rate"``, which compares with nobody
        else.
    rings
        Width of the neighbours.
    alternative
        ``two-sided``, ``greater`` (rises) or ``less``.

    References
    ----------
    Mann (1945), doi:10.2307/1907187; Sen (1968), doi:10.1080/01621459.1968.10480934; Gilbert (1987)
    Statistical methods for environmental pollution monitoring, chapter 16.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.Trend(value="rate").reference
    'own history'
    """

    name: ClassVar[str] = "trend"
    evidence: ClassVar[str] = "change over time"
    effect: ClassVar[str] = "change"
    own: ClassVar[tuple[str, ...]] = (
        "n_periods", "slope", "slope_low", "slope_high", "change", "surroundings_change", "autocorrelation",
    )  # fmt: skip

    value: Literal["ratio", "rate"] = "ratio"
    reference: str = "neighbours"
    rings: int = 2
    alternative: Alternative = "two-sided"

    def __post_init__(self) -> None:
        options(
            alternative=(self.alternative, ("two-sided", "greater", "less")),
            value=(self.value, ("ratio", "rate")),
        )
        if self.value == "rate":
            object.__setattr__(self, "reference", over_time.OWN)
        else:
            over_time.check_reference(self.reference, self.rings)

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        reference, status = over_time.named(self.reference, inputs), column_status(inputs)
        common = None
        if self.value == "ratio":
            common = over_time.common(inputs, reference, self.rings)
            status[over_time.isolated(inputs, common[0]) & (inputs.status == OK)] = ISOLATED
        arrays = {name: np.full(status.shape, np.nan) for name in (*_RESULTS, *self.own)}
        side = np.zeros(status.shape)
        for k in range(len(inputs.indicators)):
            at = over_time.columns_of(inputs, k)
            earlier = status[:, at.start : at.stop - 1]
            earlier[earlier == OK] = NOT_TESTED

        def one(k: int) -> None:
            last = over_time.columns_of(inputs, k).stop - 1
            results, tests = self._results(inputs, k, common)
            short = smallest_of(tests.periods, self.alternative) > _LEVEL
            status[(status[:, last] == OK) & short, last] = TOO_FEW
            for name, array in results.items():
                arrays[name][:, last] = np.where(status[:, last] == OK, array, np.nan)
            side[:, last] = np.sign(tests.score)

        spread_out(one, range(len(inputs.indicators)), n_jobs)
        label = (side > 0).astype(np.int8) + 2 * (side < 0).astype(np.int8)
        notices = [*self._told(inputs, status, arrays), *over_time.broken(inputs, self.name)]
        return Scores(reference, status, arrays, ("none", "rising", "falling"), label, side, notices)

    def _results(
        self, inputs: Inputs, k: int, common: over_time.Common | None
    ) -> tuple[dict[str, np.ndarray], Trends]:
        """Test one indicator's series."""
        series, times = over_time.series(inputs, k), over_time.times(inputs)
        is_value = inputs.is_value()[over_time.columns_of(inputs, k).stop - 1]
        since = series.valid & (series.segment == series.segment[:, [-1]])
        level = np.zeros(since.shape) if is_value else np.ones(since.shape)
        if common is not None:
            level = _centred(course(series, series.valid, START, *common).level, since, is_value)
        unit = 1.0 if is_value else inputs.indicators[k].per
        beside = -level if is_value else 1.0 / level
        with np.errstate(divide="ignore", invalid="ignore"):
            rates = series.observed if is_value else series.observed / series.size * unit
        figures = np.where(since, _moved(rates, beside, series.family, unit), np.nan)
        tests = mann_kendall(figures)
        line = sen_slopes(figures, times, tests.variance)
        rows, begins = np.arange(since.shape[0]), np.argmax(since, axis=1)
        least, most = (x[rows, begins] for x in _bounds(series, beside, unit))
        now = level[:, -1]
        ends = [
            (np.clip(line.at(times[begins], b), least, most), line.at(times[-1], b))
            for b in (line.slope, line.low, line.high)
        ]
        if isinstance(series.family, Binomial):
            ends = [(start, np.clip(end, 0.0, unit)) for start, end in ends]
        change, low, high = (_change(*pair) for pair in ends)
        if isinstance(series.family, Binomial):
            low, high = (_change(*(_moved(x, now, series.family, unit) for x in pair)) for pair in ends[1:])
        size = 1.0 if is_value else series.size[:, -1] / unit
        expected = _moved(ends[0][0], now, series.family, unit) * size
        begin = level[rows, begins]
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = level[:, -1] - begin if is_value else level[:, -1] / begin
            ratio = np.where((expected > 0) & np.isfinite(change), series.observed[:, -1] / expected, np.nan)
        return {
            "expected": expected, "ratio": ratio, "ratio_low": low, "ratio_high": high,
            "statistic": tests.score, "z": tests.z, "p_value": tests.p(self.alternative),
            "n_periods": tests.periods.astype(float),
            "slope": line.slope, "slope_low": line.low, "slope_high": line.high, "change": change,
            "surroundings_change": moved, "autocorrelation": line.autocorrelation,
        }, tests  # fmt: skip

    def _told(self, inputs: Inputs, status: np.ndarray, arrays: dict[str, np.ndarray]) -> list[Notice]:
        """Say how small a p can be, what is too short, and whether successive periods are alike."""
        most = len(over_time.periods(inputs))
        said = []
        lasts = [over_time.columns_of(inputs, k).stop - 1 for k in range(len(inputs.indicators))]
        short = int(sum((status[:, c] == TOO_FEW).sum() for c in lasts))
        if short:
            said.append(
                Notice(
                    f"trend: {short:,} series are too short: no p of theirs can be {_LEVEL:g} or less, or "
                    "too "
                    "few areas have a figure.",
                    f"trend: {count(short)} reeksen zijn te kort: hun p kan niet 0,05 of kleiner "
                    "zijn, of "
                    "te weinig gebieden hebben een cijfer.",
                )
            )
        least, tested = (
            smallest_p(most, self.alternative),
            int((status[:, lasts] == OK).sum(0).max(initial=0)),
        )
        if tested * least > _LEVEL and (status[:, lasts] == OK).any():
            share, laagst = min(least / _LEVEL, 1.0), f"{least:.2g}".replace(".", ",")
            said.append(
                Notice(
                    f"trend: series of {most} periods have no p below {least:.2g}, so {share:.0%} of all "
                    "areas "
                    f"would have to reach it before a false-discovery rate of {_LEVEL:.0%} lets any pass.",
                    f"trend: reeksen van {most} perioden hebben geen p onder {laagst}; {share:.0%} van alle "
                    "gebieden moet die halen, voordat er een vlag komt bij hoogstens "
                    f"{_LEVEL:.0%} vals alarm.",
                )
            )
        for k, c in enumerate(lasts):
            found = arrays["autocorrelation"][:, c]
            if np.isfinite(found).any():
                beyond = float(np.nanmean(found)) + 2.0 / most
                if beyond > _ALIKE:
                    said.append(_too_alike(inputs.indicators[k].id, beyond))
        return said


def _too_alike(indicator: str, beyond: float) -> Notice:
    """Say that p of an indicator's trend promises too much."""
    much = f"{beyond:.2f}"
    return Notice(
        f"{indicator}: successive periods are alike beside the trend (autocorrelation about {much} beyond "
        "chance), so p of trend promises too much.",
        f"{indicator}: opeenvolgende perioden lijken ook buiten de trend op elkaar (autocorrelatie ongeveer "
        f"{much.replace('.', ',')} boven toeval); de p van trend belooft dus te veel.",
    )


def smallest_of(periods: np.ndarray, alternative: Alternative) -> np.ndarray:
    """Smallest p of each length of series."""
    known = np.array([smallest_p(n, alternative) for n in range(int(periods.max(initial=0)) + 1)])
    return known[periods]


def _centred(level: np.ndarray, since: np.ndarray, is_value: bool) -> np.ndarray:
    """Take a mean of none (values) or of one (geometric) from each area's course over its own periods."""
    count = np.maximum(since.sum(axis=1, keepdims=True), 1)
    if is_value:
        return level - np.where(since, level, 0.0).sum(axis=1, keepdims=True) / count
    return level / np.exp(np.where(since, np.log(level), 0.0).sum(axis=1, keepdims=True) / count)


def _bounds(series: Series, beside: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a line may begin: counts at half an event, shares at half an event from none and from all."""
    if isinstance(series.family, Gaussian):
        return np.full(series.size.shape, -np.inf), np.full(series.size.shape, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = 0.5 / series.size * unit
    least = _moved(half, beside, series.family, unit)
    if not isinstance(series.family, Binomial):
        return least, np.full(half.shape, np.inf)
    return least, _moved(unit - half, beside, series.family, unit)


def _moved(figures: np.ndarray, level: np.ndarray, family: Family, unit: float) -> np.ndarray:
    """Figures under a course: values with it, rates times it, shares at so many times their odds."""
    if isinstance(family, Gaussian):
        return figures + level
    if not isinstance(family, Binomial):
        return figures * level
    with np.errstate(divide="ignore", invalid="ignore"):
        return figures * level / (1.0 + (level - 1.0) * figures / unit)


def _change(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """End of a line over its beginning; NaN where that is nothing or less."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(start > 0, np.maximum(end, 0.0) / start, np.nan)


_RESULTS = ("expected", "ratio", "ratio_low", "ratio_high", "statistic", "z", "p_value")
