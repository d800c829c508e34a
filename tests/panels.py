"""Small worlds for tests: areas in code order with neighbours, their panels and graphs in any row order."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from libpysal.graph import Graph

from zoo_geo.panel import Panel


@dataclass
class World:
    """Areas numbered in the order of their codes; `near` is a list of {neighbour: weight}."""

    near: list
    codes: list = field(default_factory=list)

    def __post_init__(self):
        self.codes = self.codes or [f"BU{i:04d}" for i in range(len(self.near))]

    def __len__(self):
        return len(self.near)

    def order(self, seed):
        """Positions in shuffled order, or in code order without a seed."""
        n = len(self.near)
        return np.arange(n) if seed is None else np.random.default_rng(seed).permutation(n)

    def graph(self, seed=None, scale=1.0):
        """Graph with its rows (and the neighbours in them) in shuffled order."""
        rows = [(i, j, w * scale) for i in range(len(self.near)) for j, w in self.near[i].items()]
        rows += [(i, i, 0.0) for i in range(len(self.near)) if not self.near[i]]
        if seed is not None:
            place = np.argsort(self.order(seed))
            np.random.default_rng(seed).shuffle(rows)
            rows.sort(key=lambda row: place[row[0]])
        focal, neighbor, weight = zip(*rows, strict=True)
        code = np.array(self.codes, dtype=object)
        return Graph.from_arrays(code[list(focal)], code[list(neighbor)], np.array(weight))

    def panel(self, columns, size=None, family="poisson", seed=None, **options):
        """Panel of one or several columns (lists in code order, None or NaN for missing)."""
        columns = columns if isinstance(columns, dict) else {"y": columns}
        table = pd.DataFrame({"area": self.codes}).assign(
            **{name: np.array(column, dtype=float) for name, column in columns.items()}
        )
        if size is not None:
            table["size"] = np.array(size, dtype=float)
        table = table.iloc[self.order(seed)]
        exposure = None if size is None else "size"
        return Panel.from_frame(
            table, area="area", observed=list(columns), exposure=exposure, family=family, **options
        )


def lattice(rows, cols, seed=None):
    """Queen neighbours on a grid, weight 1; with a seed weights are uneven."""
    rng = np.random.default_rng(seed)
    near = []
    for i in range(rows * cols):
        r, c = divmod(i, cols)
        steps = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a or b)]
        inside = [(r + a, c + b) for a, b in steps if 0 <= r + a < rows and 0 <= c + b < cols]
        near.append({a * cols + b: 1.0 if seed is None else float(rng.uniform(0.1, 3)) for a, b in inside})
    return World(near)


def with_island(world):
    """The same world and one area more, without neighbours."""
    return World([*world.near, {}], [*world.codes, "BU9999"])


def by_area(frame, column, world, indicator="y"):
    """One indicator's column of a frame, in code order."""
    rows = frame[frame["indicator"] == indicator].set_index("area")[column]
    return rows.reindex(world.codes).to_numpy()


def counts_of(world, seed=0, rate=0.02, spread=0.1, low=50, high=3000):
    """Sizes and counts with gamma spread, in code order."""
    rng = np.random.default_rng(seed)
    size = rng.integers(low, high, len(world)).astype(float)
    factor = rng.gamma(1 / spread, spread, len(world)) if spread else 1.0
    return size, rng.poisson(size * rate * factor).astype(float)
