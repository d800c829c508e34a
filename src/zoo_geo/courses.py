"""Series of figures, and the common course of the areas around each: how it went through the periods.

Arrays are of one indicator: shape (n_areas, n_periods), areas in code order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from zoo_geo.estimates import EVERYTHING, Block
from zoo_geo.pooling import surroundings, wider_rate
from zoo_geo.predictive import FAMILIES, Binomial, Family, Gaussian
from zoo_geo.references import Reference, totals

_ROUNDS, _STEPS = 15, 6


@dataclass(frozen=True, eq=False)
class Series:
    """The figures of one indicator.

    Parameters
    ----------
    observed, size
        Figures and exposures (gaussian: weights); anything where ``valid`` is False.
    valid
        Where both are known.
    segment
        Number of the stretch of comparable periods that a period belongs to.
    family
        Of the figures.
    """

    observed: np.ndarray
    size: np.ndarray
    valid: np.ndarray
    segment: np.ndarray
    family: Family

    def until(self, period: int) -> Series:
        """Return the series as it was known when a period ended."""
        observed, size, valid, segment = (
            each[:, : period + 1] for each in (self.observed, self.size, self.valid, self.segment)
        )
        return Series(observed, size, valid, segment, self.family)

    def together(self, x: np.ndarray) -> np.ndarray:
        """Sum over all periods of the same segment, at each of them."""
        last = int(self.segment.max(initial=0))
        if last == 0:
            return np.broadcast_to(x.sum(axis=1, keepdims=True), x.shape)
        out = np.zeros(x.shape)
        for number in range(last + 1):
            here = self.segment == number
            out += np.where(here, np.where(here, x, 0.0).sum(axis=1, keepdims=True), 0.0)
        return out

    def others(self, x: np.ndarray) -> np.ndarray:
        """Sum over the other periods of the same segment."""
        out = np.zeros(x.shape)
        for s in range(x.shape[1]):
            same = self.segment == self.segment[:, [s]]
            same[:, s] = False
            out += np.where(same, x[:, [s]], 0.0)
        return out


@dataclass(frozen=True, eq=False)
class Course:
    """How the surroundings of each area went through the periods.

    ``level`` is a factor on rates (binomial: on odds; gaussian: a difference), known up to one that all
    periods share; ``error`` its variance, relative for counts (gaussian: in that of a value of weight one).
    """

    level: np.ndarray
    error: np.ndarray


@dataclass(frozen=True, eq=False)
class Spread:
    """How rates stray from period to period: relative variance ``common + bursts / expected events``.

    Shares: ``common`` is a correlation within an area. Gaussian: ``common`` is the variance of a value of
    weight one, ``freedom`` that of its t.
    """

    common: float
    bursts: float = 0.0
    freedom: float = np.inf


START = Spread(0.05)
"""What is supposed before anything is known."""


def course(
    series: Series, keep: np.ndarray, spread: Spread, near: Reference | None, wider: list[Reference]
) -> Course:
    """Estimate the common course of each area's surroundings, the area itself left out."""
    if isinstance(series.family, Gaussian):
        block, phi, level = _values_about_their_means(series, keep)
        damped = keep.astype(float)
    else:
        block, phi, level = _counts_about_their_means(series, keep, spread)
        damped = keep / (1.0 + phi * block.size)
    *wider, last = [*wider, near] if near is not None else wider
    centre, loose = wider_rate(block, damped, phi, wider)
    fit = surroundings(block, damped, phi, last, centre, loose, EVERYTHING)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.nan_to_num(1.0 / fit.strength, posinf=1e9)
    if isinstance(series.family, Gaussian):
        return Course(level + np.nan_to_num(fit.rate), error)
    known = np.isfinite(fit.rate) & (fit.rate > 0)
    return Course(level * np.where(known, fit.rate, 1.0), error)


def _counts_about_their_means(
    series: Series, keep: np.ndarray, spread: Spread
) -> tuple[Block, np.ndarray, np.ndarray]:
    """Counts beside what each area's own mean and the course of all areas lead to expect."""
    observed, size = np.where(keep, series.observed, 0.0), np.where(keep, series.size, 0.0)
    level, phi = np.ones(keep.shape[1]), np.zeros(keep.shape)
    for _ in range(_ROUNDS):
        base, information = _base(series, observed, size, level)
        usual = series.together(information) / np.maximum(series.together(keep.astype(float)), 1.0)
        phi = spread.common + spread.bursts / np.maximum(usual, 0.1)
        damped = keep / (1.0 + phi * information)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = totals(damped * (observed - base)) / totals(damped * information)
        level = level * np.maximum(1.0 + np.nan_to_num(step), 0.1)
        level /= np.exp(np.mean(np.log(level)))
    base, information = _base(series, observed, size, level)
    return Block(observed - base + information, information, keep, FAMILIES["poisson"]), phi, level


def _base(
    series: Series, observed: np.ndarray, size: np.ndarray, level: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Counts that own means and a course lead to expect, and the Poisson or binomial variance of each."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if not isinstance(series.family, Binomial):
            rate = series.together(observed) / series.together(size * level)
            base = np.nan_to_num(rate) * size * level
            return base, base
        seen, out_of = series.together(observed), series.together(size)
        seen = np.clip(seen, 0.25, np.maximum(out_of - 0.25, 0.25))
    odds = own_odds(seen, size, level, series.together)
    share = odds * level / (1.0 + odds * level)
    return size * share, size * share * (1.0 - share)


def own_odds(
    seen: np.ndarray, size: np.ndarray, level: np.ndarray, total: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Odds that, times a course of odds, lead to expect as many as were seen out of some exposures."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out_of = total(size)
        odds = np.where(out_of > seen, seen / (out_of - seen), 1.0)
        for _ in range(_STEPS):
            share = odds * level / (1.0 + odds * level)
            lack = (seen - total(size * share)) / total(size * share * (1.0 - share))
            odds = odds * np.exp(np.clip(np.nan_to_num(lack), -1.0, 1.0))
    return odds


def _values_about_their_means(series: Series, keep: np.ndarray) -> tuple[Block, np.ndarray, np.ndarray]:
    """Values beside their area's own mean and the course of all areas."""
    weight = np.where(keep, series.size, 0.0)
    value = np.where(keep, series.observed, 0.0)
    level = np.zeros(keep.shape[1])
    away = value
    for _ in range(_ROUNDS):
        away = np.where(keep, value - mean_of_series(series, value - level, weight) - level, np.nan)
        known = keep.any(axis=0)
        level[known] += np.nanmedian(away[:, known], axis=0)
        level -= level.mean()
    away = np.where(keep, value - mean_of_series(series, value - level, weight) - level, 0.0)
    block = Block(away, weight, keep, series.family)
    return block, np.broadcast_to(series.family.first_spread(away, weight, keep), keep.shape), level


def mean_of_series(series: Series, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean over the periods of a segment, at each of them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(series.together(weight * x) / series.together(weight))
