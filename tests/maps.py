"""Small maps for tests: grids whose cells are joined into areas, with shuffled text codes."""

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely import Point, box, union_all

RD_NEW = 28992


def shuffled_codes(n, seed=0):
    """Return n buurt codes, some with letters, in an order that is not the sorted one."""
    letters = [f"BU0363{suffix}{at:02d}" for at in range(n) for suffix in ("AA", "00", "K7")]
    return np.random.default_rng(seed).permutation(letters[: max(n, 1)]).tolist()


def cell_map(owner, seed=0, cell=100.0, simplify=False):
    """Return one area per number in a grid of owners; -1 is no area.

    With `simplify` shapes lose the vertices on straight borders, so that neighbours need not share any.
    """
    owner = np.asarray(owner)
    numbers = [int(number) for number in np.unique(owner) if number >= 0]
    shapes = []
    for number in numbers:
        cells = [
            box(c * cell, r * cell, (c + 1) * cell, (r + 1) * cell) for r, c in np.argwhere(owner == number)
        ]
        shape = union_all(cells)
        shapes.append(shape.simplify(0) if simplify else shape)
    codes = shuffled_codes(len(numbers), seed)
    return gpd.GeoDataFrame({"code": codes, "number": numbers}, geometry=shapes, crs=RD_NEW)


def grid_map(rows=4, cols=5, seed=0, cell=100.0, island=False):
    """Return a grid of square areas with names, wijken (a row each) and gemeenten (two rows each)."""
    table = cell_map(np.arange(rows * cols).reshape(rows, cols), seed, cell)
    row = table["number"] // cols
    table["name"] = [f"Area {number}" for number in table["number"]]
    table["wijk"] = [f"WK0363{at:02d}" for at in row]
    table["gemeente"] = [f"GM{363 + at // 2:04d}" for at in row]
    if not island:
        return table
    far = gpd.GeoDataFrame(
        {
            "code": ["BU09990000"],
            "number": [-1],
            "name": ["Island"],
            "wijk": ["WK099900"],
            "gemeente": ["GM0999"],
        },
        geometry=[box(1000 * cell, 0, 1001 * cell, cell)],
        crs=RD_NEW,
    )
    return pd.concat([table, far], ignore_index=True)


def point_map(coordinates, seed=0):
    """Return points with shuffled codes."""
    codes = shuffled_codes(len(coordinates), seed)
    return gpd.GeoDataFrame({"code": codes}, geometry=[Point(*xy) for xy in coordinates], crs=RD_NEW)
