"""Who is alike: areas as points in feature space, and the exact nearest of those that may be compared."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from zoo_geo.threads import one_thread

DECIMALS = 9
"""Distances are rounded to these decimals, so that float noise decides no tie."""
LEAST_SHARED = 0.5
"""Two areas can be compared where this share of the weight lies on features that both have."""
MOST_WARD = 5_000
"""Ward holds all distances at once: 100 MB for this many areas."""
SLACK = 1.5 * 10**-DECIMALS
"""Distances that differ by less count as equal."""
_CELLS = 4_000_000
_TREE_FEATURES = 12
"""With more features a search tree is slower than looking at everybody."""


class Space(NamedTuple):
    """Areas as points, in the order of their codes.

    `x` holds standardised features times the root of their share of the weight, so that plain Euclidean
    distance is the root of the weighted mean of squared differences; shape (n_areas, n_features), NaN where
    a feature is not known. `share`, shape (n_features,), adds up to 1. Only areas with the same `group`,
    shape (n_areas,), can be peers; a negative one has none.
    """

    x: np.ndarray
    share: np.ndarray
    group: np.ndarray

    def without(self, left_out: np.ndarray) -> Space:
        """Leave some features out."""
        share = self.share[~left_out]
        return Space(self.x[:, ~left_out] / np.sqrt(share.sum()), share / share.sum(), self.group)


class Bars(NamedTuple):
    """Which pairs may not be peers: those with the same label (negative: no label), and linked ones."""

    labels: tuple[np.ndarray, ...] = ()
    links: tuple[sparse.csr_array, ...] = ()

    def between(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Say which pairs are barred, oneself included; rows (n,) with columns (n, m) give (n, m)."""
        barred = columns == rows[:, None]
        for label in self.labels:
            own = label[rows][:, None]
            barred |= (label[columns] == own) & (own >= 0)
        for linked in self.links:
            barred |= np.take_along_axis(linked[rows].toarray(), columns, axis=1)
        return barred


class Pairs(NamedTuple):
    """Areas and their peers by position, sorted; `tied` are areas with more equals than they could take."""

    focal: np.ndarray
    neighbor: np.ndarray
    distance: np.ndarray
    tied: np.ndarray


class Block(NamedTuple):
    """Some areas, shape (n,), and candidates that hold their peers, shape (n, m); barred ones are inf."""

    rows: np.ndarray
    columns: np.ndarray
    distance: np.ndarray

    def at(self, where: np.ndarray) -> Block:
        """Keep some of the areas."""
        return Block(*(part[where] for part in self))


def nearest(space: Space, bars: Bars, k: int | None, only: np.ndarray | None = None) -> Pairs:
    """Find the k nearest of each area's group, or all of it; of equally distant ones the first by code.

    `only`, shape (n_areas,), says whose peers to find; everybody's when it is not given.
    """
    found = [closest(block, k) for block in _blocks(space, bars, k, ties=True, only=only)]
    if not found:
        none = np.empty(0, np.intp)
        return Pairs(none, none, np.empty(0), none)
    focal, neighbor, distance, tied = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(focal * len(space.x) + neighbor, kind="stable")  # quick where they are nearly sorted
    return Pairs(focal[order], neighbor[order], distance[order], np.sort(tied))


def reach(space: Space, bars: Bars, k: int | None) -> np.ndarray:
    """Distance to the k-th nearest, shape (n_areas,); infinite where there are fewer."""
    far = np.full(len(space.x), np.inf)
    if k is not None:
        for block in _blocks(space, bars, k, ties=False):
            far[block.rows] = _kth(block.distance, k)
    return far


def apart(space: Space, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distances of pairs, shape (n_pairs,); infinite where too few features are shared."""
    whole = not np.isnan(space.x).any()
    total, shared = np.zeros(len(one)), np.full(len(one), space.share.sum() if whole else 0.0)
    for column, share in zip(np.ascontiguousarray(space.x.T), space.share, strict=True):
        step = column[one] - column[other]
        if not whole:
            known = ~np.isnan(step)
            shared += share * known
            step[~known] = 0.0
        total += step * step
    enough = shared >= LEAST_SHARED - SLACK
    return np.round(np.sqrt(np.divide(total, shared, out=np.full(len(one), np.inf), where=enough)), DECIMALS)


def candidates(space: Space, bars: Bars) -> np.ndarray:
    """How many others an area's group holds that may be its peers, shape (n_areas,)."""
    number = np.zeros(len(space.x), np.intp)
    for label in np.unique(space.group[space.group >= 0]):
        members = np.flatnonzero(space.group == label)
        for rows in _split(members, len(members)):
            columns = np.broadcast_to(members, (len(rows), len(members)))
            number[rows] = len(members) - bars.between(rows, columns).sum(axis=1)
    return number


def clusters(
    space: Space, method: str, number: int, smallest: int, seed: int, drawn: np.ndarray | None = None
) -> np.ndarray:
    """Group areas that have a group by k-means, Ward or HDBSCAN, shape (n_areas,); -1 for noise.

    With `drawn`, positions with repeats, these areas alone make the clusters. The others join the cluster
    with the nearest centre (k-means) or that of the nearest area drawn.
    """
    from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans

    found = np.full(len(space.x), -1, np.intp)
    members = np.flatnonzero(space.group >= 0)
    rows = members if drawn is None else drawn[space.group[drawn] >= 0]
    if len(rows) < 2 or (method == "hdbscan" and len(rows) < smallest):
        return found
    x = space.x[rows]
    number = min(number, len(np.unique(x, axis=0)))
    model = {
        "kmeans": lambda: KMeans(number, n_init=1, random_state=seed),
        "ward": lambda: AgglomerativeClustering(number, linkage="ward"),
        "hdbscan": lambda: HDBSCAN(min_cluster_size=smallest, copy=True),
    }[method]()
    with one_thread():
        label = model.fit_predict(x)
        if drawn is None:
            found[members] = label
        elif method == "kmeans":
            found[members] = model.predict(space.x[members])
        else:
            found[members] = label[KDTree(x).query(space.x[members])[1]]
    return found


def closest(block: Block, k: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of the k nearest in a block, in any order; areas with more equals than they could take."""
    near = np.isfinite(block.distance) & (block.distance <= _kth(block.distance, k)[:, None])
    over = np.flatnonzero(near.sum(axis=1) > k) if k is not None else np.empty(0, np.intp)
    if over.size:
        far, code = np.where(near[over], block.distance[over], np.inf), block.columns[over]
        first = np.zeros(far.shape, bool)
        np.put_along_axis(first, np.lexsort((code, far), axis=1)[:, :k], True, axis=1)
        near[over] = first
    row, column = np.nonzero(near)
    return block.rows[row], block.columns[row, column], block.distance[row, column], block.rows[over]


def _kth(distance: np.ndarray, k: int | None) -> np.ndarray:
    """Distance of the k-th nearest of each row, shape (n,); infinite where there are fewer."""
    if k is None or distance.shape[1] < k:
        return np.full(len(distance), np.inf)
    return np.partition(distance, k - 1, axis=1)[:, k - 1]


def _blocks(
    space: Space, bars: Bars, k: int | None, *, ties: bool, only: np.ndarray | None = None
) -> Iterator[Block]:
    """Candidates of all areas: the nearest by a tree where they are sure to do, else the whole group."""
    order = np.argsort(space.group, kind="stable")
    labels, starts = np.unique(space.group[order], return_index=True)
    for label, members in zip(labels, np.split(order, starts[1:]), strict=True):
        rows = members if only is None else members[only[members]]
        if label < 0 or not rows.size:
            continue
        if only is None and k is not None and space.x.shape[1] <= _TREE_FEATURES:
            rows = yield from _by_tree(space, bars, members, k, ties)
        yield from _whole(space, bars, rows, members)


def _by_tree(
    space: Space, bars: Bars, members: np.ndarray, k: int, ties: bool
) -> Generator[Block, None, np.ndarray]:
    """Ask trees for a few more than k; return the areas for whom that may miss a peer."""
    width = k + 2 + (k if ties else k // 4)  # oneself, and some that may be barred or tied
    patterns, rest = _patterns(space.x[members]), list[np.ndarray]()
    if len(members) < 8 * width * len(patterns):
        return members
    for known, own in patterns:
        trees = _trees(space, members, patterns, known)
        for rows in _split(members[own], width * len(trees)) if trees else ():
            asked = [tree.ask(space.x[rows], width) for tree in trees]
            columns, distance, beyond = (np.concatenate(parts, 1) for parts in zip(*asked, strict=True))
            block = _barred(Block(rows, columns, distance), bars)
            last = _kth(block.distance, k)
            seen = np.round(beyond.min(axis=1), DECIMALS)
            sure = (last < seen) if ties else (last <= seen) & np.isfinite(last)
            rest.append(rows[~sure])
            yield block.at(sure)
    return np.concatenate([*rest, members[:0]])


class _Tree(NamedTuple):
    """Areas that lack the same features, on those that they share with some others."""

    tree: KDTree
    members: np.ndarray
    both: np.ndarray
    shared: float

    def ask(self, x: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the nearest, their distances, and beyond which distance all others lie, shape (n, 1)."""
        width = min(width, len(self.members))
        distance, at = self.tree.query(x[:, self.both], np.arange(1, width + 1), workers=-1)
        distance /= np.sqrt(self.shared)
        beyond = distance[:, -1:] if width < len(self.members) else np.full((len(x), 1), np.inf)
        return self.members[at], distance, beyond


def _trees(
    space: Space, members: np.ndarray, patterns: list[tuple[np.ndarray, np.ndarray]], known: np.ndarray
) -> list[_Tree]:
    """Search trees of all that areas with these features can be compared with."""
    found = []
    for also, at in patterns:
        both = known & also
        shared = float(space.share[both].sum())
        if shared >= LEAST_SHARED - SLACK:
            tree = KDTree(space.x[members[at]][:, both], leafsize=32)
            found.append(_Tree(tree, members[at], both, shared))
    return found


def _whole(space: Space, bars: Bars, rows: np.ndarray, members: np.ndarray) -> Iterator[Block]:
    """Everybody in the group as a candidate."""
    for some in _split(_by_pattern(space.x, rows), len(members)):
        columns = np.broadcast_to(members, (len(some), len(members)))
        yield _barred(Block(some, columns, _all_distances(space, some, members)), bars)


def _split(rows: np.ndarray, width: int) -> list[np.ndarray]:
    """Cut rows so that a block of this width fits in memory."""
    size = max(1, _CELLS // max(width, 1))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _barred(block: Block, bars: Bars) -> Block:
    """Round distances, and make those of barred pairs infinite."""
    distance = np.round(block.distance, DECIMALS)
    distance[bars.between(block.rows, block.columns)] = np.inf
    return block._replace(distance=distance)


def _by_pattern(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Put areas that lack the same features together."""
    return rows[np.lexsort(np.isnan(x[rows]).T)]


def _all_distances(space: Space, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Distances over the features that both have, shape (n_rows, n_columns); infinite where these are few."""
    out = np.full((len(rows), len(columns)), np.inf)
    for known, at_row in _patterns(space.x[rows]):
        for also, at_column in _patterns(space.x[columns]):
            both = known & also
            shared = space.share[both].sum()
            if shared >= LEAST_SHARED - SLACK:
                one, other = space.x[rows[at_row]][:, both], space.x[columns[at_column]][:, both]
                out[np.ix_(at_row, at_column)] = cdist(one, other) / np.sqrt(shared)
    return out


def _patterns(x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Which features are known, each pattern once, and the rows that have it."""
    known = ~np.isnan(x)
    if known.all():
        return [(np.ones(x.shape[1], bool), np.arange(len(x)))]
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    return [(pattern, np.flatnonzero(which.ravel() == at)) for at, pattern in enumerate(patterns)]
