"""Spread of true rates about an expectation, how its error grows, and which expectation predicts best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from zoo_geo.estimates import Block, Expectation, total_spread, usable
from zoo_geo.predictive import CENTRAL, OUTER, Gaussian
from zoo_geo.references import Reference

_SPREAD_SAMPLE = 3_000
_MARGIN = 2.0
"""Log likelihood that one more number has to bring."""
_ROUNDS = 3
_SCORE_SAMPLE = 4_000


def with_spread(block: Block, keep: np.ndarray, fit: Expectation, phi: np.ndarray) -> Expectation:
    """Estimate spread and freedom of every column."""
    spread, freedom = phi.copy(), np.full(phi.shape[1], np.inf)
    for c in range(phi.shape[1]):
        rows = np.flatnonzero(_usual(block, keep, c) & usable(block.family, fit.rate[:, c], block.size[:, c]))
        if rows.size < 10:
            continue
        rows = _telling(block, fit, rows, c)
        times, freedom[c] = block.family.spread(
            block.observed[rows, c],
            block.size[rows, c],
            fit.rate[rows, c],
            1.0 / fit.strength[rows, c],
            phi[rows, c],
        )
        spread[:, c] *= times
    return replace(fit, spread=spread, freedom=freedom)


def _usual(block: Block, keep: np.ndarray, c: int) -> np.ndarray:
    """Areas that spread is estimated from: of values all, as quantiles are robust and tails count."""
    return block.valid[:, c] if isinstance(block.family, Gaussian) else keep[:, c] > 0


def distance(reference: Reference, points: np.ndarray) -> np.ndarray:
    """Mean squared distance to the areas of a reference, in units of its median, at most 30; shape (n,)."""
    moments = np.column_stack([np.ones(len(points)), points, (points**2).sum(1)])
    near = reference @ moments
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = near[:, 1:] / near[:, :1]
        square = mean[:, 2] - 2.0 * (points * mean[:, :2]).sum(1) + (points**2).sum(1)
    return _in_medians(square)


def _in_medians(square: np.ndarray) -> np.ndarray:
    """Squared distances in units of their median, at most 30; unknown ones are none."""
    known = np.isfinite(square)
    unit = np.median(square[known]) if known.any() else 0.0
    return np.clip(np.where(known, square, 0.0) / (unit or 1.0), 0.0, 30.0)


def off_centre(
    block: Block, damping: np.ndarray, near: Sequence[Reference], fit: Expectation, points: np.ndarray
) -> np.ndarray:
    """Squared distance to the centre of the weights behind each rate, in units of its median, at most 30."""
    square = np.full(fit.rate.shape, np.nan)
    weight = damping * block.size
    for width in np.unique(fit.width):
        columns = np.flatnonzero(fit.width == width)
        behind = weight[:, columns]
        total, *sums = (near[width] @ each for each in (behind, *(behind * at[:, None] for at in points.T)))
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = [sum_ / total - at[:, None] for sum_, at in zip(sums, points.T, strict=True)]
        square[:, columns] = sum(step**2 for step in steps)
    return np.column_stack([_in_medians(each) for each in square.T])


def steepened(
    block: Block, keep: np.ndarray, fit: Expectation, steep: list[np.ndarray], always: bool
) -> Expectation:
    """Let the error grow with what says most about it: itself, distance, steps of the surroundings' rate.

    ``always`` takes the likelier of the two at least, and the pace that the central half asks for.
    """
    tail = CENTRAL if always else OUTER
    if always:
        first = [_with_steepness(block, keep, fit, each, tail) for each in steep]
        fit = first[0] if len(first) == 1 else _where_better(block, keep, first[1], first[0], 0.0)
        steep = steep if len(first) > 1 else []
    for each in steep:
        fit = _where_better(block, keep, fit, _with_steepness(block, keep, fit, each, tail))
    return fit


def steepness(
    block: Block,
    damping: np.ndarray,
    touching: sparse.csr_array,
    near: Sequence[Reference],
    fit: Expectation,
) -> np.ndarray:
    """Mean squared step of the surroundings' rate from an area to its neighbours, itself left out of both."""
    from zoo_geo.kernels.estimation import steepness

    family = block.family
    rows = np.repeat(np.arange(touching.shape[0]), np.diff(touching.indptr))
    steep = np.zeros(fit.rate.shape)
    if rows.size == 0:
        return steep
    events, size = damping * family.events(block.observed, block.size), damping * block.size
    for width in np.unique(fit.width):
        columns, reference = np.flatnonzero(fit.width == width), near[width]
        holds = np.asarray(reference[touching.indices, rows], float).ravel()
        pooled = reference @ events[:, columns], reference @ size[:, columns]
        of_all = events[:, columns], size[:, columns], *pooled, fit.spread[:, columns]
        for c, *own in zip(columns, *(np.ascontiguousarray(each.T) for each in of_all), strict=True):
            rest = (*own, not isinstance(family, Gaussian))
            steep[:, c] = steepness(touching.indptr, touching.indices, holds, *rest)
    return steep


def _with_steepness(
    block: Block, keep: np.ndarray, fit: Expectation, steep: np.ndarray, tail: float
) -> Expectation:
    """Let the error of the expectation grow with steepness, by as much as the steepest quarter asks for."""
    strength, spread, freedom = fit.strength.copy(), fit.spread.copy(), fit.freedom.copy()
    for c in range(freedom.size):
        rows = np.flatnonzero(_usual(block, keep, c) & usable(block.family, fit.rate[:, c], block.size[:, c]))
        if rows.size < 100:
            continue
        rows = _telling(block, fit, rows, c)
        seen, size, rate = block.observed[rows, c], block.size[rows, c], fit.rate[rows, c]
        error, slope, phi = 1.0 / fit.strength[rows, c], steep[rows, c], spread[rows, c]
        top = np.flatnonzero(slope >= np.quantile(slope, 0.75))
        steepest = seen[top], size[top], rate[top], error[top], slope[top]
        pace = _FIRST_PACE
        for _ in range(_ROUNDS):
            pace = block.family.pace(*steepest, phi[top], freedom[c], tail, max(pace, _SLOWEST))
            times, freedom[c] = block.family.spread(seen, size, rate, error + pace * slope, phi)
            phi = phi * times
            spread[:, c] *= times
        with np.errstate(divide="ignore"):
            strength[:, c] = 1.0 / (1.0 / fit.strength[:, c] + pace * steep[:, c])
    return replace(fit, strength=strength, spread=spread, freedom=freedom)


_FIRST_PACE, _SLOWEST = 0.3, 0.003
"""Where the search for a pace begins, at first and at least."""


def _where_better(
    block: Block, keep: np.ndarray, simple: Expectation, richer: Expectation, margin: float = _MARGIN
) -> Expectation:
    """Take the richer expectation in the columns where it predicts better by more than its extra number."""
    rows = (keep > 0) & usable(block.family, simple.rate, block.size)
    better = _score(block, rows, richer) > _score(block, rows, simple) + margin
    strength = np.where(better, richer.strength, simple.strength)
    spread = np.where(better, richer.spread, simple.spread)
    freedom = np.where(better, richer.freedom, simple.freedom)
    return replace(simple, strength=strength, spread=spread, freedom=freedom)


def _telling(block: Block, fit: Expectation, rows: np.ndarray, c: int) -> np.ndarray:
    """Return the rows that tell most about the spread, which decide it anyway."""
    if rows.size <= _SPREAD_SAMPLE:
        return rows
    information = block.size[rows, c] * block.family.information(fit.rate[rows, c])
    least = np.partition(information, rows.size - _SPREAD_SAMPLE)[rows.size - _SPREAD_SAMPLE]
    return rows[information >= least]


def best(block: Block, keep: np.ndarray, fits: Sequence[Expectation]) -> Expectation:
    """Take the candidate with the best leave-one-out predictive likelihood, column by column."""
    if len(fits) == 1:
        return fits[0]
    known = [(keep > 0) & usable(block.family, fit.rate, block.size) for fit in fits]
    common = np.logical_and.reduce(known)
    scores = [_score(block, common, fit) for fit in fits]
    width = np.argmax(scores, axis=0)
    columns = np.arange(width.size)

    def picked(name: str) -> np.ndarray:
        stack = np.stack([getattr(fit, name) for fit in fits])
        return stack[width, columns] if stack.ndim == 2 else np.ascontiguousarray(stack[width, :, columns].T)

    rate, strength, spread, freedom = map(picked, ("rate", "strength", "spread", "freedom"))
    return replace(fits[0], rate=rate, strength=strength, spread=spread, width=width, freedom=freedom)


def _score(block: Block, rows: np.ndarray, fit: Expectation) -> np.ndarray:
    """Log predictive likelihood of some rows of each column: of evenly spaced ones where there are many."""
    family, score = block.family, np.zeros(rows.shape[1])
    total = fit.spread if isinstance(family, Gaussian) else total_spread(family, fit)
    for c in range(score.size):
        known = np.flatnonzero(rows[:, c])
        times = max(known.size // _SCORE_SAMPLE, 1)
        at = known[::times]
        size = block.size[at, c]
        if isinstance(family, Gaussian):
            size = 1.0 / (1.0 / size + 1.0 / fit.strength[at, c])
        score[c] = (
            times * family.log_likelihood(block.observed[at, c], size, fit.rate[at, c], total[at, c]).sum()
        )
    return score
