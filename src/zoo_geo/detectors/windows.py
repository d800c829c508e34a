"""Circles, ellipses and cylinders around areas: the best of them, and the best of maps drawn by chance."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np

from zoo_geo.detectors.base import spread_out
from zoo_geo.detectors.clusters import Cluster, Found
from zoo_geo.scanning import Counts

_WIDTH = 128
"""Replicates side by side: two registers' worth would do, more share the walk along a centre's members."""
_CENTRES = 256
"""Centres whose lists are in memory at once, for each thread."""
_PILOT = 128
"""Centres looked at first, so that most windows can be passed over from then on."""
_LOWEST = 1e-3
"""Maxima below this are 0: there is no excess worth the name."""
_FIRST_CEILING = 12.0
"""About what the maxima of a country reach."""
_SAME = 1e-9


@dataclass(frozen=True)
class Shape:
    """Direction of the long axis (radians from east), its ratio to the short one, and a factor."""

    angle: float = 0.0
    ratio: float = 1.0
    factor: float = 1.0

    @property
    def turn(self) -> np.ndarray:
        """Cosine, sine and ratio."""
        return np.array([np.cos(self.angle), np.sin(self.angle), self.ratio])


@dataclass(frozen=True, eq=False)
class Windows:
    """All windows of a map.

    Parameters
    ----------
    points, size
        Place and exposure of each area, shapes (n_areas, 2) and (n_areas,).
    share, radius
        Most of the exposure that a window holds, and how far it reaches.
    shapes
        Forms that are tried.
    first, end
        Periods that are tried: ``first`` to before ``end``.
    high, low, least
        Directions, and the events that a high window needs.
    """

    points: np.ndarray
    size: np.ndarray
    share: float
    radius: float
    shapes: tuple[Shape, ...]
    first: np.ndarray
    end: np.ndarray
    high: bool
    low: bool
    least: float

    @property
    def most(self) -> float:
        """Most exposure in a window, rounding aside."""
        return self.share * float(self.size.sum()) * (1.0 + _SAME)

    def centres(self) -> np.ndarray:
        """Areas that windows are around, neighbours close together: one of those at the same point."""
        _, kept = np.unique(self.points, axis=0, return_index=True)
        kept = np.sort(kept)
        kept = kept[self.size[kept] <= self.most]
        return kept[np.argsort(_curve(self.points[kept]), kind="stable")]


def _curve(points: np.ndarray) -> np.ndarray:
    """Place of each point along a curve that keeps neighbours together (Morton 1966)."""
    span = np.ptp(points, axis=0).max(initial=0.0) or 1.0
    cell = ((points - points.min(axis=0, initial=np.inf)) / span * 65_535.0).astype(np.uint64)
    for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        cell = (cell | (cell << np.uint64(shift))) & np.uint64(mask)
    return cell[:, 0] | (cell[:, 1] << np.uint64(1))


def search(windows: Windows, counts: Counts, replicates: int, top: int, seed: int, n_jobs: int) -> Found:
    """Find the strongest windows that share no area, and the strongest of each replicate."""
    work = _Search(windows, counts, replicates, seed, n_jobs)
    work.run(n_jobs)
    return Found(work.chosen(top), work.maxima())


class _Search:
    """One stack's windows, gone through a few centres at a time by several threads.

    Areas stand in the order of a curve through the map, so that a window's members lie close in memory.
    """

    def __init__(self, windows: Windows, counts: Counts, replicates: int, seed: int, n_jobs: int) -> None:
        self.windows, self.counts = windows, counts
        self.order = np.argsort(_curve(windows.points), kind="stable")
        self.points = np.ascontiguousarray(windows.points[self.order])
        self.size = windows.size[self.order]
        self.centres = np.argsort(self.order)[windows.centres()]
        self.seen, self.due, self.raw = (
            np.cumsum(each[self.order], axis=1) for each in (counts.seen, counts.due, counts.expected)
        )
        starts = range(0, replicates, _WIDTH)
        drawn = spread_out(lambda m: self._draw(seed, m, min(_WIDTH, replicates - m)), starts, n_jobs)
        self.drawn, self.factors = [d for d, _ in drawn], [f for _, f in drawn]
        self.largest = [np.full(f.size, _LOWEST) for f in self.factors]
        self.tables: list[tuple[float, float, np.ndarray]] = [(0.0, 0.0, np.empty(0))] * len(drawn)
        self.lock = Lock()
        self.records: list[tuple[int, np.ndarray]] = []

    def _draw(self, seed: int, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        drawn, factor = self.counts.replicates(seed, first, count)
        drawn = drawn[self.order]
        return np.cumsum(drawn, axis=1, out=drawn), factor

    def run(self, n_jobs: int) -> None:
        """Go through all windows."""
        parts = [
            (s, self.centres[start : start + _CENTRES])
            for s in range(len(self.windows.shapes))
            for start in range(0, self.centres.size, _CENTRES)
        ]
        step = max(self.centres.size // _PILOT, 1)
        self._replicates(0, *self._lists(0, np.ascontiguousarray(self.centres[::step]))[:2])
        found = spread_out(lambda part: self._part(*part), parts, n_jobs)
        self.records = [(s, rows) for (s, _), rows in zip(parts, found, strict=True)]

    def _lists(self, s: int, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from zoo_geo.kernels.windows import nearest

        w = self.windows
        return nearest(self.points, self.size, centres, w.shapes[s].turn, w.most, w.radius)

    def _part(self, s: int, centres: np.ndarray) -> np.ndarray:
        """Look into the windows of some centres; returns what each of them has of the map itself."""
        from zoo_geo.kernels.scan import records

        indptr, members, reach = self._lists(s, centres)
        self._replicates(s, indptr, members)
        w, c = self.windows, self.counts
        found = records(
            indptr, members, reach, self.seen, self.due, self.raw, w.first, w.end, c.total, c.people, w.least,
            w.high, w.low, w.shapes[s].factor,
        )  # fmt: skip
        found[:, 0] = centres[found[:, 0].astype(int)]
        return found

    def _replicates(self, s: int, indptr: np.ndarray, members: np.ndarray) -> None:
        """Raise the highest statistics of the replicates, a block of them at a time."""
        from zoo_geo.kernels.scan import maxima

        w, c, factor = self.windows, self.counts, self.windows.shapes[s].factor
        for b, drawn in enumerate(self.drawn):
            with self.lock:
                largest = self.largest[b].copy()
                table, ceiling = self._table(b)
            maxima(
                indptr, members, drawn, self.due, self.raw, w.first, w.end, c.total, c.people, w.least,
                w.high, w.low, factor, table, ceiling, largest,
            )  # fmt: skip
            with self.lock:
                np.maximum(self.largest[b], largest, out=self.largest[b])

    def _table(self, b: int) -> tuple[np.ndarray, float]:
        """Screen of a block of replicates, made anew when its smallest maximum has grown."""
        from zoo_geo.kernels.scan import thresholds

        level, ceiling, table = self.tables[b]
        smallest, most = float(self.largest[b].min()), float(self.largest[b].max())
        if smallest > 1.05 * level or most > 1.1 * ceiling:
            level, ceiling = smallest, 1.05 * most if most > _LOWEST else _FIRST_CEILING
            c, w = self.counts, self.windows
            table = thresholds(c.total, c.people, level, ceiling, w.high, w.low)
            self.tables[b] = level, ceiling, table
        return table, ceiling

    def maxima(self) -> np.ndarray:
        """Highest statistic of each replicate, shape (replicates,)."""
        found = [
            np.where(big > _LOWEST, big, 0.0) * f for big, f in zip(self.largest, self.factors, strict=True)
        ]
        return np.concatenate(found)

    def chosen(self, top: int) -> list[Cluster]:
        """Strongest windows, one after the other, none with an area of one before it."""
        from zoo_geo.kernels.windows import free_reach

        shape = np.repeat([s for s, _ in self.records], [len(rows) for _, rows in self.records]).astype(int)
        rows = np.concatenate([rows for _, rows in self.records])
        out: list[Cluster] = []
        while len(out) < top and len(rows):
            cluster = self._cluster(shape, rows)
            out.append(cluster)
            taken = np.argsort(self.order)[cluster.members]
            keep = np.ones(len(rows), bool)
            for s in np.unique(shape):
                own = shape == s
                centres, place = np.unique(rows[own, 0].astype(int), return_inverse=True)
                turn = self.windows.shapes[s].turn
                keep[own] = rows[own, 2] < free_reach(self.points, centres, turn, taken)[place]
            shape, rows = shape[keep], rows[keep]
        return out

    def _cluster(self, shape: np.ndarray, rows: np.ndarray) -> Cluster:
        """Strongest window; of equals the one with fewest areas, the smallest, the first in code order."""
        from zoo_geo.kernels.windows import nearest

        best = np.flatnonzero(rows[:, 3] >= rows[:, 3].max() * (1.0 - _SAME))
        for column in (1, 2):
            best = best[rows[best, column] <= rows[best, column].min() * (1.0 + _SAME)]
        k = best[np.lexsort((shape[best], self.order[rows[best, 0].astype(int)]))[0]]
        centre, n, reach, statistic, first, end, sign = rows[k]
        chosen, w = self.windows.shapes[shape[k]], self.windows
        _, members, _ = nearest(
            self.points, self.size, np.array([int(centre)]), chosen.turn, w.most, w.radius
        )
        members = np.where(members >= 0, members, ~members)[: int(n)]
        x, y = self.points[int(centre)]
        return Cluster(
            self.order[members], int(first), int(end), float(statistic), float(sign),
            float(x), float(y), float(reach),
            {"angle": float(np.degrees(chosen.angle)), "axis_ratio": chosen.ratio},
        )  # fmt: skip
