"""How much of a peer group stays when a feature is left out, or when other areas had made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from zoo_geo.features import scale
from zoo_geo.likeness import SLACK, Bars, Block, Pairs, Space, apart, candidates, closest, nearest, reach

Turns: TypeAlias = Iterator[tuple[np.ndarray, np.ndarray]]
Regroup: TypeAlias = Callable[[Space, np.ndarray], np.ndarray]
"""Makes the groups anew from a space and the areas drawn, positions with repeats."""

_SPARE = 8
"""Candidates beyond twice k of which the nearest are picked under other scales."""


def without_features(space: Space, bars: Bars, k: int | None, pairs: Pairs, turns: Turns) -> np.ndarray:
    """Share of an area's peers that stay, averaged over the features left out, shape (n_areas,).

    `turns` gives for each turn the features to leave out, and the groups without them. A peer stays when
    no k others are strictly nearer, so equals do not push each other out.
    """
    stays, number = np.zeros(len(pairs.focal)), 0
    for left_out, group in turns:
        less = space.without(left_out)._replace(group=group)
        distance = apart(less, pairs.focal, pairs.neighbor)
        together = (group[pairs.focal] == group[pairs.neighbor]) & (group[pairs.focal] >= 0)
        within = distance <= reach(less, bars, k)[pairs.focal] + SLACK
        stays += together & within & np.isfinite(distance)
        number += 1
    count = np.bincount(pairs.focal, minlength=len(space.x))
    kept = np.bincount(pairs.focal, stays, minlength=len(space.x))
    return np.divide(kept, count * number, out=np.full(len(count), np.nan), where=count * number > 0)


def draws(n: int, times: int, seed: int) -> Iterator[np.ndarray]:
    """Positions of n areas drawn with replacement, sorted; each draw has a random stream of its own."""
    for turn in range(times):
        yield np.sort(np.random.default_rng([seed, turn]).integers(n, size=n))


class Made(NamedTuple):
    """Peers as they are, and how they were found; the groups of `space` are classes, not yet clusters."""

    space: Space
    bars: Bars
    k: int | None
    pairs: Pairs
    scaling: str

    def overlap(self, again: Pairs) -> np.ndarray:
        """Share of the peers of either time that are peers both times, shape (n_areas,)."""
        n = len(self.space.x)
        before, after = (each.focal * n + each.neighbor for each in (self.pairs, again))
        both = np.bincount(again.focal, np.isin(after, before, assume_unique=True), minlength=n)
        return self.jaccard(both, np.bincount(again.focal, minlength=n))

    def jaccard(self, both: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Overlap of which `both` are peers both times and `found` the second time; 0 without peers."""
        count = np.bincount(self.pairs.focal, minlength=len(self.space.x))
        return np.divide(both, count + found - both, out=np.zeros(len(count)), where=count > 0)


def with_other_areas(made: Made, times: int, seed: int, regroup: Regroup | None) -> np.ndarray:
    """Mean overlap of an area's peers with those that drawn areas lead to, shape (n_areas,).

    Scales and clusters are made anew from areas drawn with replacement; the overlap is Jaccard's. Who may be
    compared stays as it is. A feature in which all drawn areas are equal does not count, and a draw in which
    none differs tells nothing. `regroup` makes clusters anew; without it the groups stay.
    """
    n = len(made.space.x)
    some = np.bincount(made.pairs.focal, minlength=n) > 0
    if made.k is None and regroup is None:  # nothing was estimated
        return np.where(some & (times > 0), 1.0, np.nan)
    few = regroup is None and made.k is not None and 2 * made.k + _SPARE < n
    wide = _wide(made) if few else None
    total, told = np.zeros(n), 0
    for rows in draws(n, times, seed):
        factors = _factors(made, rows)
        if factors.any():
            total += _turn(made, rows, factors, wide, regroup)
            told += 1
    return np.divide(total, told, out=np.full(n, np.nan), where=some & (told > 0))


def _turn(
    made: Made, rows: np.ndarray, factors: np.ndarray, wide: _Wide | None, regroup: Regroup | None
) -> np.ndarray:
    """Overlap of one draw, shape (n_areas,)."""
    differs = factors > 0
    space = made.space._replace(x=made.space.x * factors)
    space = space if differs.all() else space.without(~differs)
    if regroup:
        space = space._replace(group=regroup(space, rows))
    if wide is not None and differs.all():
        return made.overlap(_picked(made, space, wide, float(factors.min())))
    if made.k is not None:
        return made.overlap(nearest(space, made.bars, made.k))
    focal, neighbor = made.pairs.focal, made.pairs.neighbor
    stays = (space.group[focal] == space.group[neighbor]) & (space.group[focal] >= 0)
    both = np.bincount(focal, stays, minlength=len(space.x))
    return made.jaccard(both, candidates(space, made.bars))


def _factors(made: Made, rows: np.ndarray) -> np.ndarray:
    """What each feature is multiplied by when the drawn areas scale it, 0 where they are all equal."""
    spread = np.array([scale(column, made.scaling)[1] for column in made.space.x[rows].T])
    return np.divide(np.sqrt(made.space.share), spread, out=np.zeros(len(spread)), where=spread > 0)


class _Wide(NamedTuple):
    """More of the nearest than k: their pairs and ranks, and beyond which distance all others lie."""

    pairs: Pairs
    rank: np.ndarray
    columns: np.ndarray
    beyond: np.ndarray


def _wide(made: Made) -> _Wide:
    """Find twice as many peers and some more: under scales that differ little, the nearest are of these."""
    assert made.k is not None
    n, width = len(made.space.x), 2 * made.k + _SPARE
    pairs = nearest(made.space, made.bars, width)
    count = np.bincount(pairs.focal, minlength=n)
    rank = np.arange(len(pairs.focal)) - (np.cumsum(count) - count)[pairs.focal]
    columns = np.zeros((n, width), np.intp)
    columns[pairs.focal, rank] = pairs.neighbor
    beyond = np.zeros(n)
    np.maximum.at(beyond, pairs.focal, pairs.distance)
    return _Wide(pairs, rank, columns, np.where(count < width, np.inf, beyond))


def _picked(made: Made, space: Space, wide: _Wide, least: float) -> Pairs:
    """Pick the k nearest under other scales, which shorten a distance by `least` at most."""
    assert made.k is not None
    distance = np.full(wide.columns.shape, np.inf)
    distance[wide.pairs.focal, wide.rank] = apart(space, wide.pairs.focal, wide.pairs.neighbor)
    found = closest(Block(np.arange(len(distance)), wide.columns, distance), made.k)
    last = np.partition(distance, made.k - 1, axis=1)[:, made.k - 1]
    unsure = np.isfinite(wide.beyond) & ~(last < least * wide.beyond - 2 * SLACK)
    rest = nearest(space, made.bars, made.k, only=unsure)
    sure = ~unsure[found[0]]
    focal, neighbor, far = (
        np.concatenate([one[sure], other]) for one, other in zip(found[:3], rest[:3], strict=True)
    )
    return Pairs(focal, neighbor, far, rest.tied)
