"""Points into polygons: `locate` beside `geopandas.sjoin`, in one process, as a ratio.

The map is the real one of Dutch neighbourhoods where it lies beside the project (its borders overlap), else
Voronoi cells. Points are spread over the boxes of the areas, so that small areas get as many as large ones.
"""

from __future__ import annotations

import argparse

import geopandas as gpd
import numpy as np
import pandas as pd

import zoo_geo as zg
from benchmarks.clock import cost
from benchmarks.contiguity import voronoi
from benchmarks.country import DATA


def country() -> tuple[str, zg.Areas]:
    """Return a map of about 14,500 areas and its name."""
    path = DATA / "buurten_2024.gpkg"
    if path.exists():
        return "Dutch neighbourhoods", zg.read_areas(path, id="code")
    cells = gpd.GeoDataFrame(
        {"code": [f"BU{k:08d}" for k in range(14_500)]}, geometry=voronoi(14_500), crs=28992
    )
    return "Voronoi cells", zg.read_areas(cells, id="code")


def scattered(areas: zg.Areas, n: int) -> np.ndarray:
    """Draw points in the boxes of areas, shape (n, 2)."""
    rng = np.random.default_rng(1)
    boxes = areas.frame.bounds.to_numpy()[rng.integers(0, len(areas), n)]
    return boxes[:, :2] + rng.random((n, 2)) * (boxes[:, 2:] - boxes[:, :2])


def joined(points: gpd.GeoSeries, areas: zg.Areas) -> pd.Series:
    """Do the same with geopandas: join, then the lowest code where there are several."""
    polygons = areas.frame[["geometry"]].rename_axis("area").reset_index()
    pairs = gpd.sjoin(gpd.GeoDataFrame(geometry=points), polygons, predicate="intersects")
    return pairs["area"].groupby(level=0).min().reindex(points.index)


def table(n: int = 10_000_000) -> str:
    """Measure and return the figures as Markdown."""
    name, areas = country()
    xy = scattered(areas, n)
    zg.locate(xy[:1_000], areas)  # compiles
    found = dict[str, zg.Located | pd.Series]()
    seconds, memory = {}, {}

    def measure(label: str, work) -> None:
        seconds[label], memory[label] = cost(lambda: found.update({label: work()}))

    measure("`locate`, array of coordinates", lambda: zg.locate(xy, areas))
    points = gpd.GeoSeries(gpd.points_from_xy(*xy.T), crs=areas.crs)
    measure("`locate`, GeoSeries of points", lambda: zg.locate(points, areas))
    measure("`geopandas.sjoin`, GeoSeries of points", lambda: joined(points, areas))
    *ours, theirs = found
    expected = found[theirs].to_numpy(object)
    rows = []
    for label in found:
        codes = found[label] if label == theirs else found[label].frame["area"].astype(object)
        codes = codes.to_numpy(object)
        same = np.mean((codes == expected) | (pd.isna(codes) & pd.isna(expected)))
        ratio = seconds[theirs] / seconds[label]
        rows.append(f"| {label} | {seconds[label]:.1f} | {ratio:.0f} | {memory[label]:,.0f} | {same:.7%} |")
    counts = found[ours[0]].counts
    said = ", ".join(f"{counts[key]:,} {key}" for key in ("inside", "border", "overlap", "outside"))
    return "\n".join([
        f"{n:,} points into {len(areas):,} areas ({name}), all cores; {said}:",
        "",
        "| how | seconds | times as fast | memory added at the peak, MB | same area as sjoin |",
        "|---|---|---|---|---|",
        *rows,
    ])  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    print(table(200_000 if parser.parse_args().quick else 10_000_000))


if __name__ == "__main__":
    main()
