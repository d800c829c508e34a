"""Queen contiguity of a large layer: ours beside libpysal's builder, in one process, as a ratio.

Run ``python -m benchmarks.contiguity``; ``--quick`` takes smaller maps. What is timed goes from areas to
the libpysal `Graph` that users get; the three graphs are compared as well.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from libpysal.graph import Graph

import zoo_geo as zg
from benchmarks.clock import peak, timed

SIDE = 300_000.0  # metres
_HEXAGON = np.array([(2, 0), (1, 1), (-1, 1), (-2, 0), (-1, -1), (1, -1)])


@dataclass(frozen=True)
class Pace:
    """Median seconds and peak MB of one builder on one map, beside libpysal's seconds and Graph."""

    layer: str
    builder: str
    seconds: float
    memory: float
    ratio: float
    identical: bool


def voronoi(n: int, seed: int = 1) -> np.ndarray:
    """Cells of random points; neighbours share their vertices to the last digit."""
    points = shapely.multipoints(np.random.default_rng(seed).uniform(0, SIDE, (n, 2)))
    return shapely.get_parts(shapely.voronoi_polygons(points))


def hexagons(n: int) -> np.ndarray:
    """As many hexagons, in columns that are half a hexagon higher by turns; vertices from whole numbers."""
    across = int(np.ceil(np.sqrt(n)))
    column, row = np.divmod(np.arange(n), across)
    centre = np.column_stack([3 * column, 2 * row + column % 2])
    return shapely.polygons((centre[:, None] + _HEXAGON) * np.array([1.0, np.sqrt(3)]) * (SIDE / 3 / across))


MAPS = {"Voronoi cells": voronoi, "hexagons": hexagons}


def read(shapes: np.ndarray) -> zg.Areas:
    """Give the shapes codes, in another order than that of the rows."""
    rng = np.random.default_rng(2)
    codes = [f"BU{k:08d}" for k in rng.permutation(len(shapes))]
    return zg.read_areas(gpd.GeoDataFrame(geometry=rng.permutation(shapes), index=codes, crs=28992))


def compare(layer: str = "Voronoi cells", areas: int = 180_000, runs: int = 3) -> list[Pace]:
    """Time the builders in this process, in turn."""
    whole = read(MAPS[layer](areas))
    builders = {
        "zoo-geo, shared vertices": lambda: zg.build_weights(whole, "queen", vertices=True),
        "zoo-geo, shapes (the default)": lambda: zg.build_weights(whole, "queen"),
        "libpysal, shared vertices": lambda: Graph.build_contiguity(whole.frame, rook=False),
    }
    *_, reference = graphs = [build() for build in builders.values()]
    rounds = [[timed(build) for build in builders.values()] for _ in range(runs)]
    seconds = [statistics.median(each) for each in zip(*rounds, strict=True)]
    return [
        Pace(
            f"{layer}, {areas:,} areas", name, seconds[at], peak(build),
            seconds[-1] / seconds[at], graphs[at].equals(reference),
        )
        for at, (name, build) in enumerate(builders.items())
    ]  # fmt: skip


def table(paces: list[Pace]) -> str:
    """Return the figures as a Markdown table."""
    rows = [
        f"| {pace.layer} | {pace.builder} | {pace.seconds:.2f} | {pace.ratio:.1f} "
        f"| {pace.memory:,.0f} | {'yes' if pace.identical else 'no'} |"
        for pace in paces
    ]
    return "\n".join([
        "Queen contiguity, from areas to libpysal's `Graph`, medians, one core:",
        "",
        "| map | builder | seconds | times as fast as libpysal | peak memory, MB | Graph is libpysal's |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        "Peak memory is that of Python and numpy; the tree of the shapes (GEOS) is not in it.",
    ])  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    size = {"areas": 10_000, "runs": 1} if parser.parse_args().quick else {}
    print(table([pace for layer in MAPS for pace in compare(layer, **size)]))


if __name__ == "__main__":
    main()
