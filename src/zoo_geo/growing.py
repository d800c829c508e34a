"""Connected clusters of any shape: grown over a graph, and how high chance alone makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from zoo_geo.scanning import Counts

BATCH = 8
"""Replicates that are drawn at a time."""


class Grown(NamedTuple):
    """A cluster: its score, 1 for high and -1 for low, and its areas in the order in which they came in."""

    score: float
    side: int
    members: np.ndarray


@dataclass(frozen=True, eq=False)
class Ground:
    """What clusters may be grown on, and what they may be.

    Parameters
    ----------
    indptr, indices
        Neighbours of each area, links in both directions; see `links`.
    closed
        Areas that are in no cluster, shape (n_areas,).
    border_cost
        Log likelihood ratio that an area costs whose neighbours are all outside; links count equally.
    most_areas
        Areas that a cluster may have.
    most_share
        Share of the exposure that it may have.
    least
        Events that a high cluster needs.
    high, low
        Which clusters are looked for.
    """

    indptr: np.ndarray
    indices: np.ndarray
    closed: np.ndarray
    border_cost: float = 1.2
    most_areas: int = 20
    most_share: float = 0.1
    least: float = 2.0
    high: bool = True
    low: bool = False

    @property
    def price(self) -> float:
        """What a link to an area outside costs: an area of as many neighbours as most pays the whole."""
        areas, found = int((np.diff(self.indptr) > 0).sum()), self.indices.size
        return self.border_cost * areas / found if found else 0.0

    @property
    def graph(self) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours as kernels take them."""
        return self.indptr, self.indices

    def limits(self, counts: Counts, factor: float = 1.0) -> tuple[float, ...]:
        """Limits as kernels take them."""
        most_size = self.most_share * float(counts.size.sum())
        return counts.total, counts.people, float(self.least), most_size, self.price, factor


def links(weights: sparse.csr_array, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours among the areas that have a figure, as ``(indptr, indices)``.

    Two areas are neighbours when either is the other's; weights do not matter, but 0 is no link. An area
    without a figure connects nobody.
    """
    touching = sparse.csr_array((weights.data != 0, weights.indices, weights.indptr), weights.shape)
    touching = sparse.csr_array(touching + touching.T).tocoo()
    row, col = touching.coords
    both = touching.data.astype(bool) & known[row] & known[col] & (row != col)
    order = np.lexsort((col[both], row[both]))
    count = np.bincount(row[both], minlength=known.size)
    return np.concatenate([[0], np.cumsum(count)]).astype(np.intp), col[both][order].astype(np.intp)


def figures(counts: Counts) -> tuple[np.ndarray, ...]:
    """Counts as kernels take them, periods together: events, expected, the same unweighted, and size."""
    return tuple(each.sum(axis=1) for each in (counts.seen, counts.due, counts.expected, counts.size))


def ratio_of(counts: Counts, grown: Grown) -> float:
    """Log likelihood ratio of a cluster, without the cost of its border."""
    from zoo_geo.kernels.connected import ratio

    seen, due, *_ = (float(each[grown.members].sum()) for each in figures(counts))
    return float(ratio(seen, due, counts.total, counts.people, float(grown.side)))


def strongest(counts: Counts, ground: Ground, top: int) -> list[Grown]:
    """Grow the strongest cluster, then the strongest without its areas, and so on; scores above 0 only.

    Links to areas of clusters found before still count as links to the outside.
    """
    found: list[Grown] = []
    closed = ground.closed.copy()
    while len(found) < top:
        cluster = _strongest(counts, ground, closed)
        if cluster is None:
            break
        found.append(cluster)
        closed[cluster.members] = True
    return found


def _strongest(counts: Counts, ground: Ground, closed: np.ndarray) -> Grown | None:
    """Grow the cluster with the highest score that holds no closed area."""
    from zoo_geo.kernels.connected import grow, rooms, scores

    given, limits = figures(counts), ground.limits(counts)
    best = np.empty((2, closed.size))
    scores(given, limits, ground.graph, closed, ground.most_areas, np.array([ground.high, ground.low]), best)
    row, start = divmod(int(best.argmax()), closed.size)
    if not best[row, start] > 0.0:
        return None
    marks, room = rooms(closed.size)
    members = np.empty(ground.most_areas, np.int64)
    side = 1 - 2 * row
    score, count = grow(start, float(side), given, limits, ground.graph, closed, marks, room, members)
    return Grown(score, side, members[:count].copy())


def maxima(counts: Counts, ground: Ground, seed: int, first: int, count: int) -> np.ndarray:
    """Highest score of each of some replicates; 0 where none is above."""
    from zoo_geo.kernels.connected import largest

    drawn, factor = counts.replicates(seed, first, count)
    given, sides = figures(counts), np.array([ground.high, ground.low])
    highest = [
        largest(
            drawn[:, :, k].sum(axis=1), given, ground.limits(counts, factor[k]), ground.graph, ground.closed,
            ground.most_areas, sides,
        )
        for k in range(count)
    ]  # fmt: skip
    return np.maximum(highest, 0.0)
