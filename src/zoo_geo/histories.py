"""What an area's other periods, and the change around it, lead to expect of one period.

A count and those of its area's other periods are gamma-Poisson draws about one rate, so given their sum the
count is beta-binomial: the area's own rate, known from few periods or none, drops out and needs no
estimate. What remains is the share of the sum that the period is due (its exposure, and the common course
of the area's surroundings) and how far rates stray from year to year.

Arrays are of one indicator: shape (n_areas, n_periods), areas in code order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy import special

from zoo_geo.courses import START, Course, Series, Spread, course, mean_of_series, own_odds
from zoo_geo.expectation import steadied
from zoo_geo.predictive import Binomial, Gaussian
from zoo_geo.references import Reference, everybody

ODD = 3.0
"""Absolute z above which the oddest period of a series leaves the expectation of all others."""
_SMALLEST, _LARGEST = 1e-6, 10.0
_LEAST_RHO, _MOST_RHO = 1e-6, 0.9999
_SAMPLE = 4_000
_STRIDE, _LEAST_USUAL = 1.1, 0.02
_FEWEST, _FEWEST_FOR_BURSTS = 10, 200
_RARE = 0.2
"""Expected count below which a period tells nothing about spread."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Every period beside the others of its area; NaN where there is no other one.

    Parameters
    ----------
    expected
        What history and surroundings lead to expect.
    history
        Rate (value) of the other periods.
    change
        Factor (binomial: on odds; gaussian: difference) by which the surroundings changed between these and
        the period.
    periods
        How many other periods count.
    low, high
        95 % interval of observed over expected.
    log_p, upper
        Log of the smaller mid tail, and whether it is the upper one.
    variance
        Relative variance of a period's rate about its mean (gaussian: variance of the value).
    left
        Figures that are odd themselves, and leave the expectation of other areas.
    spread
        The law of that variance.
    """

    expected: np.ndarray
    history: np.ndarray
    change: np.ndarray
    periods: np.ndarray
    low: np.ndarray
    high: np.ndarray
    log_p: np.ndarray
    upper: np.ndarray
    variance: np.ndarray
    left: np.ndarray
    spread: Spread


def compare(series: Series, near: Reference | None, wider: list[Reference], clean: int = 2) -> Comparison:
    """Compare every period with the other periods of its area and the course of its surroundings.

    Parameters
    ----------
    series
        Figures of one indicator.
    near
        Areas whose common course is taken; None for the last of ``wider``.
    wider
        References that it is shrunk to, widest first.
    clean
        Rounds in which the oddest period of a series leaves the history of its area and the course of others.

    References
    ----------
    Przyborowski and Wilenski (1940), doi:10.1093/biomet/31.3-4.313, for two counts given their sum; Mosimann
    (1962), doi:10.1093/biomet/49.1-2.65, for the compound multinomial.
    """
    keep = calm = series.valid
    spread = START
    work = _of_values if isinstance(series.family, Gaussian) else _of_counts
    for step in range(clean + 1):
        found = work(series, keep, course(series, calm, spread, near, wider), spread, step == clean)
        spread = found.spread
        if step < clean:
            keep, calm = _without_oddest(found, keep, series)
    return replace(found, left=series.valid & ~calm)


def prospective(series: Series, near: Reference | None, wider: list[Reference], clean: int) -> Comparison:
    """Compare every period with earlier ones only, as it would have been found when it ended."""
    found = [compare(series.until(t), near, wider, clean) for t in range(series.valid.shape[1])]
    names = [name for name in Comparison.__dataclass_fields__ if name != "spread"]
    last: dict[str, Any] = {
        name: np.stack([getattr(each, name)[:, -1] for each in found], axis=1) for name in names
    }
    return replace(found[-1], **last)


def _without_oddest(found: Comparison, keep: np.ndarray, series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Let the oddest period of each series go: what stays in the history of its area, and in others' course.

    Of two periods nothing tells which one is odd: both stay in its history, and neither in others' course.
    """
    away = np.where(keep & np.isfinite(found.log_p), -special.ndtri_exp(found.log_p), 0.0)
    top = away.argmax(axis=1)
    rows = np.arange(top.size)
    stay = series.together(keep.astype(float))[rows, top] > 2
    odd = away[rows, top] > ODD
    keep = keep.copy()
    keep[rows[odd & stay], top[odd & stay]] = False
    return keep, keep & ~(odd & ~stay)[:, None]


@dataclass(frozen=True, eq=False)
class _Split:
    """Counts as parts of a number: beta-binomial with a mean share and a variance of its log odds."""

    observed: np.ndarray
    total: np.ndarray
    share: np.ndarray
    twice: np.ndarray
    """Times that the spread from period to period counts: for the period, and for its history."""
    extra: np.ndarray
    """Variance that comes on top: of the course, and of a share that few events are behind."""
    events: np.ndarray
    scale: np.ndarray
    """Times that the spread that all have in common counts: a correlation is one of shares, not of odds."""

    def rows(self, at: np.ndarray) -> _Split:
        """Return some of the parts."""
        return _Split(*(getattr(self, name).ravel()[at] for name in self.__dataclass_fields__))

    def variance(self, law: Spread) -> np.ndarray:
        """Variance of a period's rate about that of its series, relative (of shares: that of log odds)."""
        return law.common * self.scale + law.bursts / np.maximum(self.events, 1e-9)

    def rho(self, law: Spread) -> np.ndarray:
        """Correlation within a total."""
        precision = self.share * (1.0 - self.share) * (self.variance(law) * self.twice + self.extra)
        return np.clip(precision / (1.0 + precision), _LEAST_RHO, _MOST_RHO)


def _of_counts(series: Series, keep: np.ndarray, course: Course, before: Spread, end: bool) -> Comparison:
    """Compare counts, given the sum of a series (binomial: given the shares of the other periods)."""
    seen, out_of, periods = (
        series.others(np.where(keep, x, 0.0)) for x in (series.observed, series.size, keep.astype(float))
    )
    past = _past_of_shares if isinstance(series.family, Binomial) else _past_of_counts
    split, expected, change, uneven, error = past(series, keep, course, seen, out_of)
    known = series.valid & np.isfinite(expected) & np.isfinite(uneven) & (expected > 0)
    spread = _fitted(split, known & keep, before)
    phi = split.variance(spread)
    log_p, upper = _tails(split, spread, known)
    with np.errstate(divide="ignore", invalid="ignore"):
        history = seen / out_of
        strength = 1.0 / (1.0 / np.maximum(seen, 0.5) + phi * uneven + error)
        low, high = _intervals(series, expected, strength, known & end)
    blank = np.where(known, 0.0, np.nan)
    return Comparison(
        expected + blank, history + blank, change + blank, np.where(known, periods, 0.0), low, high, log_p,
        upper, phi + blank, np.zeros_like(keep), spread,
    )  # fmt: skip


_Past = tuple[_Split, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""A split, what is expected, the change around, how unevenly the other periods weigh, error of the course."""


def _past_of_counts(
    series: Series, keep: np.ndarray, course: Course, seen: np.ndarray, out_of: np.ndarray
) -> _Past:
    """Counts as parts of the sum over their series."""
    due = np.where(series.valid, series.size * course.level, 0.0)
    kept = np.where(keep, due, 0.0)
    past = series.others(kept)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = course.level / (past / out_of)
        uneven = series.others(kept**2) / past**2
        error = course.error + series.others(kept**2 * course.error) / past**2
        total, share = np.where(series.valid, series.observed, 0.0) + seen, due / (due + past)
        expected = np.where(seen > 0, seen, 0.5) * due / past
    one = np.ones(total.shape)
    split = _Split(series.observed, total, share, 1.0 + uneven, error, total * share, one)
    return split, expected, change, uneven, error


def _past_of_shares(
    series: Series, keep: np.ndarray, course: Course, seen: np.ndarray, out_of: np.ndarray
) -> _Past:
    """Counts as parts of their exposure, at the odds that the other periods had under the common course.

    Half an event is added to both sides of the history.
    """
    size, level = np.where(keep, series.size, 0.0), course.level
    odds, known, even, around = (np.full(seen.shape, np.nan) for _ in range(4))
    with np.errstate(divide="ignore", invalid="ignore"):
        centred = out_of * (seen + 0.5) / (out_of + 1.0)
        for t in range(seen.shape[1]):
            others = np.where(series.segment == series.segment[:, [t]], size, 0.0)
            others[:, t] = 0.0
            own = own_odds(centred[:, [t]], others, level, _over_all)
            share = own * level / (1.0 + own * level)
            weight = others * share * (1.0 - share)
            odds[:, t], known[:, t] = own[:, 0], weight.sum(axis=1)
            even[:, t] = (weight**2).sum(axis=1) / known[:, t] ** 2
            around[:, t] = (weight**2 * course.error).sum(axis=1) / known[:, t] ** 2
        here, pooled = odds * level, (seen + 0.5) / (out_of - seen + 0.5)
        share, error = here / (1.0 + here), course.error + around
        per_one = share * (1.0 - share)
        few = error + 1.0 / (known * (out_of + 1.0) / out_of)
    split = _Split(series.observed, series.size, share, 1.0 + even, few, series.size * per_one, 1.0 / per_one)
    return split, series.size * share, here / pooled, even, error


def _over_all(x: np.ndarray) -> np.ndarray:
    """Sum over periods."""
    return x.sum(axis=1, keepdims=True)


def _tails(split: _Split, law: Spread, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log of the smaller mid tail and its side; NaN where nothing is known."""
    from zoo_geo.kernels.histories import split_tails

    at = np.flatnonzero(known.ravel())
    rows = split.rows(at)
    log_p, upper = np.empty(at.size), np.empty(at.size, bool)
    split_tails(rows.observed, rows.total, rows.share, rows.rho(law), log_p, upper)
    return _laid(log_p, at, known, np.nan), _laid(upper, at, known, False)


def _laid(found: np.ndarray, at: np.ndarray, like: np.ndarray, blank: float | bool) -> np.ndarray:
    out = np.full(like.size, blank, found.dtype)
    out[at] = found
    return out.reshape(like.shape)


def _intervals(
    series: Series, expected: np.ndarray, strength: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of observed over expected."""
    at = np.flatnonzero((known & (expected > 0)).ravel())
    seen, led_to, sure, size = (x.ravel()[at] for x in (series.observed, expected, strength, series.size))
    ends = series.family.interval(seen, size, led_to / size, sure, 0.0, np.inf)
    low, high = (_laid(end, at, known, np.nan) for end in ends)
    return low, high


def _fitted(split: _Split, use: np.ndarray, before: Spread) -> Spread:
    """Estimate the spread from period to period by the central coverage of all series.

    Large counts tell what is common, small ones what comes in bursts (several events of one cause, which adds
    a variance in proportion to the count); each part is matched in turn.
    """
    at = np.flatnonzero((use & (split.total >= 2) & (split.events >= _RARE)).ravel())
    if at.size < _FEWEST:
        return before
    if at.size < _FEWEST_FOR_BURSTS:
        return Spread(_matched(split.rows(at), before.common, lambda phi: Spread(phi)))
    events = split.events.ravel()[at]
    small, large = np.quantile(events, [0.5, 0.75])
    few, many = (split.rows(_thinned(at[part])) for part in (events <= small, events >= large))
    spread, first = before, before.bursts == 0.0
    for _ in range(4 if first else 2):
        spread = replace(spread, common=_matched(many, spread.common, partial(_common, spread), first))
        spread = replace(spread, bursts=_matched(few, spread.bursts, partial(_bursts, spread), first))
    return spread


def _common(spread: Spread, common: float) -> Spread:
    return replace(spread, common=common)


def _bursts(spread: Spread, bursts: float) -> Spread:
    return replace(spread, bursts=bursts)


def _thinned(at: np.ndarray) -> np.ndarray:
    """Evenly spaced ones of many."""
    return at[:: max(at.size // _SAMPLE, 1)]


def _matched(rows: _Split, start: float, law: Callable[[float], Spread], first: bool = True) -> float:
    """Find the parameter of a law at which half of the counts lie in the central half."""
    from scipy.optimize import brentq

    from zoo_geo.kernels.histories import split_coverage

    usual = np.maximum(rows.variance(law(start)), _LEAST_USUAL)  # or one large count decides alone
    weight = (rows.events / (1.0 + usual * rows.events)) ** 2

    def surplus(log_parameter: float) -> float:
        rho = rows.rho(law(float(np.exp(log_parameter))))
        return float(split_coverage(rows.observed, rows.total, rows.share, rho, weight, 0.25)) - 0.5

    low, high = np.log(_SMALLEST), np.log(_LARGEST)
    here = float(np.clip(np.log(max(start, _SMALLEST)), np.log(1e-2) if first else low + 0.1, 0.0))
    at_here = surplus(here)
    step = (1.1 if first else 0.3) * (1.0 if at_here < 0.0 else -1.0)
    while low < here < high:
        there = float(np.clip(here + step, low, high))
        at_there = surplus(there)
        if (at_there < 0.0) != (at_here < 0.0):
            return float(np.exp(brentq(surplus, *sorted((here, there)), xtol=0.03)))
        here, at_here = there, at_there
        step = float(np.clip(1.5 * step, -_STRIDE, _STRIDE))  # far too wide a law covers little again
    return float(np.exp(low))


def _of_values(series: Series, keep: np.ndarray, course: Course, before: Spread, end: bool) -> Comparison:
    """Compare values with the mean of the other periods."""
    value = np.where(series.valid, series.observed, 0.0) - course.level
    weight = _steady(series, keep, course)
    kept = np.where(keep, weight, 0.0)
    past, periods = series.others(kept), series.others(keep.astype(float))
    known = series.valid & (past > 0) & (weight > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = series.others(kept * value) / past
        around = series.others(kept * course.level) / past
        beside = 1.0 / past + course.error + series.others(kept**2 * course.error) / past**2
        size = 1.0 / (1.0 / weight + beside)
        away = value - mean
    spread = _t_of(away, size, known, before)
    log_p, upper = _t_tails(away, size, known, spread)
    expected = mean + course.level
    blank = np.where(known, 0.0, np.nan)
    weight = np.where(known, weight, 1.0)
    low, high = _value_intervals(series, expected, weight, 1.0 / beside, known & end, spread)
    return Comparison(
        expected + blank, mean + around + blank, course.level - around + blank, np.where(known, periods, 0.0),
        low, high, log_p, upper, spread.common / weight + blank, np.zeros_like(keep), spread,
    )  # fmt: skip


def _steady(series: Series, keep: np.ndarray, course: Course) -> np.ndarray:
    """Weights of values when they stray by more than the weights explain."""
    value = np.where(keep, series.observed - course.level, 0.0)
    away = value - mean_of_series(series, value, np.where(keep, series.size, 0.0))
    whole = everybody(keep.shape[0])
    return np.where(series.valid, steadied(away, series.size, keep, series.family, whole), 0.0)


def _t_of(away: np.ndarray, size: np.ndarray, known: np.ndarray, before: Spread) -> Spread:
    """Scale and freedom of the t that differences from the other periods follow."""
    gone, weight = away[known], size[known]
    if gone.size < _FEWEST:
        return before
    zero = np.zeros(gone.size)
    common, freedom = Gaussian().spread(gone, weight, zero, zero, np.ones(1))
    least = 1e-24 * float(np.mean(gone**2 * weight)) + 1e-300
    return Spread(max(common, least), 0.0, freedom)


def _t_tails(
    away: np.ndarray, size: np.ndarray, known: np.ndarray, spread: Spread
) -> tuple[np.ndarray, np.ndarray]:
    at = np.flatnonzero(known.ravel())
    gone, weight = away.ravel()[at], size.ravel()[at]
    zero, sure = np.zeros(at.size), np.full(at.size, np.inf)
    log_p, upper = Gaussian().tails(gone, weight, zero, sure, spread.common, spread.freedom)
    return _laid(log_p, at, known, np.nan), _laid(upper, at, known, False)


def _value_intervals(
    series: Series,
    expected: np.ndarray,
    weight: np.ndarray,
    strength: np.ndarray,
    known: np.ndarray,
    spread: Spread,
) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of observed over expected, period by period, where values have a zero to count from."""
    low, high = np.full(known.shape, np.nan), np.full(known.shape, np.nan)
    for t in range(known.shape[1]):
        at = np.flatnonzero(known[:, t])
        seen, led_to = series.observed[at, t], expected[at, t]
        if ((seen < 0) | (led_to <= 0)).any():
            continue
        low[at, t], high[at, t] = series.family.interval(
            seen, weight[at, t], led_to, strength[at, t], spread.common, spread.freedom
        )
    return low, high
