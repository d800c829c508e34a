"""Spread of true rates about an expectation, how its error grows, and which expectation predicts best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from zoo_geo.estimates import Block, Expectation, usable
from zoo_geo.predictive import CENTRAL, FIRST_PACE, OUTER, Gaussian
from zoo_geo.references import Reference, Rings

SPREAD_SAMPLE = 3_000
MARGIN = 2.0
"""Log likelihood that one more number has to bring."""
SCORE_SAMPLE = 4_000
FEWEST_SPREAD, FEWEST_STEEP = 10, 100
"""Areas that a spread, and how fast errors grow, are estimated from at least."""


def with_spread(block: Block, keep: np.ndarray, fit: Expectation, phi: np.ndarray) -> Expectation:
    """Estimate spread and freedom of every column; the search begins at ``phi``."""
    spread, freedom = phi.copy(), np.full(phi.shape[1], np.inf)
    for c in range(phi.shape[1]):
        rows = telling(block, keep, fit, c)
        if rows.size >= FEWEST_SPREAD:
            times, freedom[c] = block.family.matched(rows, 1.0, *_column(block, fit, c), _close(c, phi))
            spread[:, c] *= times
    return replace(fit, spread=spread, freedom=freedom)


def _column(block: Block, fit: Expectation, c: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Figures, sizes, rates and strengths of a column."""
    return _close(c, block.observed), _close(c, block.size), _close(c, fit.rate), _close(c, fit.strength)


def _close(c: int, table: np.ndarray) -> np.ndarray:
    """Column with its figures side by side: loops are compiled anew for any other."""
    return np.ascontiguousarray(table[:, c])


def telling(block: Block, keep: np.ndarray, fit: Expectation, c: int) -> np.ndarray:
    """Return the rows that tell most about the spread, which decide it anyway."""
    rate, size = _close(c, fit.rate), _close(c, block.size)
    if block.family.name == "poisson":
        from zoo_geo.kernels import settling

        return settling.telling(_close(c, keep), rate, size, SPREAD_SAMPLE)
    rows = np.flatnonzero(_usual(block, keep, c) & usable(block.family, rate, size))
    if rows.size <= SPREAD_SAMPLE:
        return rows
    information = size[rows] * block.family.information(rate[rows])
    least = np.partition(information, rows.size - SPREAD_SAMPLE)[rows.size - SPREAD_SAMPLE]
    return rows[information >= least]


def _usual(block: Block, keep: np.ndarray, c: int) -> np.ndarray:
    """Areas that spread is estimated from: of values all, as quantiles are robust and tails count."""
    return block.valid[:, c] if isinstance(block.family, Gaussian) else keep[:, c] > 0


def distances(near: Sequence[Reference], points: np.ndarray) -> list[np.ndarray]:
    """`distance` to each reference."""
    if not isinstance(near, Rings):
        return [distance(reference, points) for reference in near]
    return near.once("far", lambda: [distance(reference, points) for reference in near], points)


def distance(reference: Reference, points: np.ndarray) -> np.ndarray:
    """Mean squared distance to the areas of a reference, in units of its median, at most 30; shape (n,)."""
    moments = np.column_stack([np.ones(len(points)), points, (points**2).sum(1)])
    near = reference @ moments
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = near[:, 1:] / near[:, :1]
        square = mean[:, 2] - 2.0 * (points * mean[:, :2]).sum(1) + (points**2).sum(1)
    return in_medians(square)


def in_medians(square: np.ndarray) -> np.ndarray:
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
        total, *moments = (
            near[width] @ each for each in (behind, *(behind * at[:, None] for at in points.T))
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = [moment / total - at[:, None] for moment, at in zip(moments, points.T, strict=True)]
        square[:, columns] = sum(step**2 for step in steps)
    return np.column_stack([in_medians(each) for each in square.T])


def steepened(
    block: Block, keep: np.ndarray, fit: Expectation, steep: list[np.ndarray], always: bool
) -> Expectation:
    """Let the error grow with what says most about it: itself, distance, steps of the surroundings' rate.

    ``always`` takes the likelier of the two at least, and the pace that the central half asks for.
    """
    tail = CENTRAL if always else OUTER
    if always:
        first = [_with_steepness(block, keep, fit, each, tail) for each in steep]
        return first[0] if len(first) == 1 else _where_better(block, keep, [first[1], first[0]], 0.0)
    return _where_better(block, keep, [fit], MARGIN, [(each, tail) for each in steep])


def steepness(
    block: Block,
    damping: np.ndarray,
    touching: sparse.csr_array,
    near: Sequence[Reference],
    fit: Expectation,
) -> np.ndarray:
    """Mean squared step of the surroundings' rate from an area to its neighbours, itself left out of both."""
    from zoo_geo.kernels.pooling import steepness

    family = block.family
    steep = np.zeros(fit.rate.shape)
    if touching.nnz == 0:
        return steep
    events, size = damping * family.events(block.observed, block.size), damping * block.size
    for width in np.unique(fit.width):
        columns, reference = np.flatnonzero(fit.width == width), near[width]
        beside = holds(near, width, touching)
        pooled = reference @ events[:, columns], reference @ size[:, columns]
        of_all = events[:, columns], size[:, columns], *pooled, fit.spread[:, columns]
        for c, *own in zip(columns, *(np.ascontiguousarray(each.T) for each in of_all), strict=True):
            rest = (*own, not isinstance(family, Gaussian))
            steep[:, c] = steepness(touching.indptr, touching.indices, beside, *rest)
    return steep


def holds(near: Sequence[Reference], width: int, touching: sparse.csr_array) -> np.ndarray:
    """Weight of each area in the surroundings of each of its neighbours."""

    def find() -> np.ndarray:
        if touching.nnz == 0:
            return np.empty(0)
        rows = np.repeat(np.arange(touching.shape[0]), np.diff(touching.indptr))
        there: Any = near[width]
        holds = np.asarray(there[touching.indices, rows], float).ravel()
        plain = isinstance(near, Rings) and near.plain  # where all count the same they count as one
        return (holds != 0.0).astype(float) if plain else holds

    if not isinstance(near, Rings):
        return find()
    return near.once(("holds", int(width)), find, touching)


def _with_steepness(
    block: Block, keep: np.ndarray, fit: Expectation, steep: np.ndarray, tail: float
) -> Expectation:
    """Let the error of the expectation grow with steepness, by as much as the steepest quarter asks for."""
    strength, spread, freedom = fit.strength.copy(), fit.spread.copy(), fit.freedom.copy()
    for c in range(freedom.size):
        rows = telling(block, keep, fit, c)
        if rows.size < FEWEST_STEEP:
            continue
        column = *_column(block, fit, c), spread[:, c]
        pace, times, freedom[c] = block.family.grown(rows, FIRST_PACE, steep[:, c], tail, freedom[c], *column)
        spread[:, c] *= times
        with np.errstate(divide="ignore"):
            strength[:, c] = 1.0 / (1.0 / fit.strength[:, c] + pace * steep[:, c])
    return replace(fit, strength=strength, spread=spread, freedom=freedom)


def _where_better(
    block: Block,
    keep: np.ndarray,
    fits: list[Expectation],
    margin: float,
    steep: Sequence[tuple[np.ndarray, float]] = (),
) -> Expectation:
    """Take each richer expectation in the columns where it predicts better by more than its extra number.

    Richer ones are the other ``fits``, and those whose error grows with ``steep``.
    """
    simple, *others = fits
    if not others and not steep:
        return simple
    rows = (keep > 0) & usable(block.family, simple.rate, block.size)
    score = _score(block, rows, simple, None)
    steps: list[Any] = [*others, *steep]
    for step in steps:
        richer = step if isinstance(step, Expectation) else _with_steepness(block, keep, simple, *step)
        gained = _score(block, rows, richer, None)
        better = gained > score + margin
        if not better.any():
            continue
        score = np.where(better, gained, score)
        names = ("strength", "spread", "freedom")
        taken = {name: np.where(better, getattr(richer, name), getattr(simple, name)) for name in names}
        simple = replace(simple, **taken)
    return simple


def best(block: Block, keep: np.ndarray, fits: Sequence[Expectation]) -> Expectation:
    """Take the candidate with the best leave-one-out predictive likelihood, column by column."""
    if len(fits) == 1:
        return fits[0]
    known = [(keep > 0) & usable(block.family, fit.rate, block.size) for fit in fits]
    common = np.logical_and.reduce(known)
    scores = [_score(block, common, fit) for fit in fits]
    width = np.argmax(scores, axis=0)
    columns = np.arange(width.size)
    if width.size == 1:
        return replace(fits[width[0]], width=width)

    def picked(name: str) -> np.ndarray:
        stack = np.stack([getattr(fit, name) for fit in fits])
        return stack[width, columns] if stack.ndim == 2 else np.ascontiguousarray(stack[width, :, columns].T)

    rate, strength, spread, freedom = map(picked, ("rate", "strength", "spread", "freedom"))
    return replace(fits[0], rate=rate, strength=strength, spread=spread, width=width, freedom=freedom)


def _score(block: Block, rows: np.ndarray, fit: Expectation, most: int | None = SCORE_SAMPLE) -> np.ndarray:
    """Log predictive likelihood of some rows of each column: of evenly spaced ones if they are too many."""
    score = np.zeros(rows.shape[1])
    for c in range(score.size):
        known = np.flatnonzero(rows[:, c])
        times = 1 if most is None else max(known.size // most, 1)
        column = *_column(block, fit, c), _close(c, fit.spread)
        score[c] = times * block.family.score(np.ascontiguousarray(known[::times]), *column)
    return score
