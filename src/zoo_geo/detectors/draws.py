"""Permutation inference for sums over neighbours, for a whole panel at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse, special

from zoo_geo.detectors.base import Alternative, spread_out
from zoo_geo.detectors.nulls import Inference, Kind, Null, Rows, Standing, pearson_p

_DRAWS = 131_072
_MOST_POSITIONS = 2**24
_MOST_SUMS = 2**23
_KEPT_BYTES = 2**25
_TIE = 1e-9
_FIRST_LOOK = 1_024
_SURE, _LIKELY = 1e-6, 1e-4
SCREEN = 3.0
"""The curve may be wrong by this much, see `_settled`."""


@dataclass(frozen=True)
class Plan:
    """How p is found: see the detectors' options of these names."""

    permutations: int = 99_999
    inference: Inference = "permutation"
    stop_above: float | None = None
    alternative: Alternative = "two-sided"
    seed: int = 0
    n_jobs: int = 1

    def looks(self) -> Iterator[tuple[int, int]]:
        """Cut the draws where it is looked whether a cell's answer is settled: first draw, and how many."""
        if self.inference != "permutation":
            return
        first, size = 0, self.permutations if self.stop_above is None else _FIRST_LOOK
        while first < self.permutations:
            count = min(size, self.permutations - first)
            yield first, count
            first, size = first + count, 4 * size


class Standard(NamedTuple):
    """One column with mean 0 and standard deviation 1 (0 where there is no value), and its sums.

    ``calm`` is what the null draws, in the same unit.
    """

    x: np.ndarray
    mean: float
    spread: float
    sums: np.ndarray
    calm: np.ndarray


@dataclass(frozen=True, eq=False)
class Inferred:
    """Counts of all columns, from which the standing of each is made.

    Parameters
    ----------
    columns
        Columns, standardised and with the sums of each area over its scaled weights.
    nulls
        Null of each column.
    above, below, drawn
        Null sums at or above, at or below the observed one, and how many were drawn; shape (n, n_columns).
    plan
        How p is found.
    """

    columns: list[Standard]
    nulls: list[Null]
    above: np.ndarray
    below: np.ndarray
    drawn: np.ndarray
    plan: Plan

    def column(self, c: int) -> Standing:
        """Sums of one column, with the exact moments of their null."""
        column = self.columns[c]
        moments = self.nulls[c].moments(column.calm, higher=self.plan.inference == "moments")
        return Standing(column.sums, moments, self.above[:, c], self.below[:, c], self.drawn[:, c])

    def unit(self, c: int) -> np.ndarray:
        """What one of a column's sums is in the units of values and weights, shape (n,)."""
        square = 2 if self.nulls[c].kind == "geary" else 1
        return self.nulls[c].rows.scale * self.columns[c].spread ** square

    def weight(self, c: int) -> np.ndarray:
        """Sum of the weights that a column's sums are over, shape (n,)."""
        return self.nulls[c].rows.scale * self.nulls[c].rows.sums[0]

    def degree(self) -> np.ndarray:
        """Neighbours that have a value, shape (n, n_columns)."""
        return np.stack([null.rows.degree for null in self.nulls], axis=1)

    def p(self, standing: Standing, side: np.ndarray | None = None) -> np.ndarray:
        """p of a standing, as planned."""
        return standing.p(self.plan.alternative, self.plan.inference, side)


def infer(
    values: np.ndarray,
    weights: sparse.csr_array,
    kind: Kind,
    plan: Plan,
    own: np.ndarray | None = None,
    calm: np.ndarray | None = None,
) -> Inferred:
    """Count null sums for every area and column.

    Parameters
    ----------
    values
        Shape (n, n_columns), NaN for missing; missing areas leave pool, mean and neighbourhoods.
    weights
        Without self weights, rows in code order.
    kind
        Statistic and null.
    plan
        Draws, their seed, and when to stop.
    own
        Self weight of each area, shape (n,), for the total null.
    calm
        What the null draws where that differs from the values, missing where they are.
    """
    from zoo_geo.kernels.permutation import standardize

    given = np.asfortranarray(values)
    above, below, drawn = (np.zeros(given.shape, np.int32, order="F") for _ in range(3))
    nulls: list[Null] = [None] * given.shape[1]  # type: ignore[list-item]
    columns: list[Standard] = [None] * given.shape[1]  # type: ignore[list-item]
    out = Inferred(columns, nulls, above, below, drawn, plan)

    def prepare(c: int) -> None:
        x, mean, spread = standardize(given[:, c])
        null = x if calm is None else np.where(nulls[c].rows.valid, (calm[:, c] - mean) / spread, 0.0)
        columns[c] = Standard(x, mean, spread, nulls[c].observed(x), null)

    for valid, members in _patterns(given):
        null = Null(Rows.among(valid, weights, own if kind == "total" else None), kind)
        for c in members:
            nulls[c] = null
        spread_out(prepare, members, plan.n_jobs)
        _count(out, null, members)
    return out


def _patterns(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Group columns that miss the same areas: they share a pool."""
    known = np.isfinite(values)
    seen: dict[bytes, list[int]] = {}
    for c in range(values.shape[1]):
        seen.setdefault(np.packbits(known[:, c]).tobytes(), []).append(c)
    for columns in seen.values():
        yield known[:, columns[0]], np.array(columns)


def _count(out: Inferred, null: Null, columns: np.ndarray) -> None:
    """Draw for columns that share a null, until every cell has its draws or is settled."""
    rows, total = null.rows, null.kind == "total"
    taken = rows.degree + total
    # equal weights on all others leave nothing to chance; unequal ones can still be dealt out anew
    others = int(rows.valid.sum()) - (0 if total else 1)
    todo = (rows.degree > 0) & ((taken < others) | ~rows.even)
    if not todo.any():
        return
    active = None if out.plan.stop_above is None else np.repeat(todo[None, :], columns.size, axis=0)
    length = int(taken[todo].max()) + (0 if total else 1)
    for first, count in out.plan.looks():
        for start, size in _blocks(first, count, length, np.unique(taken[todo]).size):
            pool = _pool(out.plan.seed, start, size, rows.valid, length)
            _Block(null, taken, pool, todo, active, columns, out).count()
        if active is not None:
            for at, c in enumerate(columns):
                active[at] &= ~_settled(out, null, c)


def _blocks(first: int, count: int, length: int, sizes: int) -> Iterator[tuple[int, int]]:
    """Cut draws into blocks that stay small even where one area neighbours thousands, or degrees are many."""
    step = min(_DRAWS, max(min(_MOST_POSITIONS // length, _MOST_SUMS // sizes), 64))
    for start in range(first, first + count, step):
        yield start, min(step, first + count - start)


def _settled(out: Inferred, null: Null, c: int) -> np.ndarray:
    """Cells of a column that are certain to end with p above the level, or all but certain.

    Counts only grow, so the least p that all draws can lead to is known. All but certain is what has so many
    draws on its rarer side as a p at the level would give with a chance below `_SURE`; or below `_LIKELY`,
    where the exact moments (Pearson III) put p above `SCREEN` times the level as well.
    """
    plan, level = out.plan, out.plan.stop_above or 0.0
    tails = 2.0 if plan.alternative == "two-sided" else 1.0
    fewer = np.minimum(out.above[:, c], out.below[:, c])
    certain = tails * (fewer + 1.0) / (plan.permutations + 1.0) > level
    chance = special.bdtrc(fewer - 1.0, np.maximum(out.drawn[:, c], 1), level / tails)
    moments = null.moments(out.columns[c].calm, higher=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (out.columns[c].sums - moments.mean) / np.sqrt(moments.variance)
        z = np.where(moments.variance > 0, z, 0.0)
    screen = 0.5 * tails * pearson_p(z, moments.skewness, "two-sided", cautious=False) > SCREEN * level
    return certain | ((fewer > 0) & ((chance < _SURE) | (screen & (chance < _LIKELY))))


class Pool(NamedTuple):
    """Draws, one a column, and for each area which of them hold it, and where."""

    pool: np.ndarray
    indptr: np.ndarray
    draw: np.ndarray
    place: np.ndarray


_recent: dict[tuple[object, ...], Pool] = {}


def _pool(seed: int, first: int, count: int, valid: np.ndarray, length: int) -> Pool:
    """Pool of draws and its index; small ones are kept for the detectors that follow."""
    from zoo_geo.kernels.permutation import draw_pool, holders

    key = (seed, first, count, np.packbits(valid).tobytes(), valid.size, length)
    if (known := _recent.get(key)) is not None:
        return known
    pool = draw_pool(seed, first, count, valid, length)
    indptr, draw, place = holders(pool, valid.size)
    made = Pool(pool, indptr, draw, place)
    if sum(part.nbytes for part in made) <= _KEPT_BYTES:
        while len(_recent) >= 2:
            _recent.pop(next(iter(_recent)), None)
        _recent[key] = made
    return made


@dataclass(frozen=True, eq=False)
class _Block:
    """One block of draws for columns that share a null.

    ``taken`` says how many values each area draws, ``todo`` which areas draw at all, and ``active`` (shape
    (n_columns, n), or None for all) which cells are not settled yet.
    """

    null: Null
    taken: np.ndarray
    pool: Pool
    todo: np.ndarray
    active: np.ndarray | None
    columns: np.ndarray
    out: Inferred

    def count(self) -> None:
        """Add the draws to the counts: a thread a column, or all threads on the areas of one column."""
        jobs, columns = self.out.plan.n_jobs, range(self.columns.size)
        if len(columns) >= jobs:
            spread_out(lambda at: self._column(at, 1), columns, jobs)
        else:
            for at in columns:
                self._column(at, jobs)

    def _column(self, at: int, parts: int) -> None:
        column = self.out.columns[self.columns[at]]
        for areas, counting in ((self._even, self._shared), (self._uneven, self._direct)):
            chosen = areas if self.active is None else areas[self.active[at, areas]]
            if chosen.size:
                work = counting(column.calm, column.sums)
                counts = [array[:, self.columns[at]] for array in (self.out.above, self.out.below)]
                spread_out(lambda part, work=work, counts=counts: work(part, *counts),  # type: ignore[misc]
                           np.array_split(chosen, parts), parts)  # fmt: skip
                self.out.drawn[chosen, self.columns[at]] += self.pool.pool.shape[1]

    @cached_property
    def _even(self) -> np.ndarray:
        """Areas whose weights are equal, in the order of how many values they draw."""
        areas = np.flatnonzero(self.todo & self.null.rows.even)
        return areas[np.argsort(self.taken[areas], kind="stable")]

    @cached_property
    def _uneven(self) -> np.ndarray:
        return np.flatnonzero(self.todo & ~self.null.rows.even)

    @cached_property
    def _sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """How many values the areas of equal weights draw; the place of each area's number among these."""
        sizes = np.flatnonzero(np.bincount(self.taken[self._even]))
        return sizes, np.searchsorted(sizes, self.taken)

    def _shared(self, x: np.ndarray, here: np.ndarray) -> Callable[..., None]:
        """Count against sums that areas with equally many neighbours share."""
        from zoo_geo.kernels.permutation import geary_counts, lag_counts, prefix_sums, shelves

        sizes, line = self._sizes
        sums = prefix_sums(x, self.pool.pool, sizes)
        if self.null.kind == "geary":
            squares = prefix_sums(x * x, self.pool.pool, sizes)

            def work(areas: np.ndarray, above: np.ndarray, below: np.ndarray) -> None:
                geary_counts(
                    x, here, areas, line[areas], sizes, sums, squares, *self.pool, _TIE, above, below
                )

            return work
        ordered = np.sort(sums, axis=1)
        index = shelves(ordered)
        total = self.null.kind == "total"

        def count(areas: np.ndarray, above: np.ndarray, below: np.ndarray) -> None:
            lines = (sizes, sums, ordered, index[0], index[1])
            lag_counts(x, here, areas, line[areas], *lines, *self.pool, _TIE, total, above, below)

        return count

    def _direct(self, x: np.ndarray, here: np.ndarray) -> Callable[..., None]:
        """Count row by row, for unequal weights."""
        from zoo_geo.kernels.permutation import GEARY, LAG, TOTAL_LAG, direct_counts

        rows = self.null.rows
        statistic = {"conditional": LAG, "total": TOTAL_LAG, "geary": GEARY}[self.null.kind]

        def work(areas: np.ndarray, above: np.ndarray, below: np.ndarray) -> None:
            direct_counts(
                x, here, rows.indptr, rows.data, rows.own, areas, *self.pool, _TIE, statistic, above, below
            )

        return work
