"""Which shapes border on each other: by the shapes themselves, or by the vertices that they share.

Shapes are polygons, shape (n,); links are positions, shape (2, n_links): focal above, neighbor below,
each pair both ways.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely
from scipy import sparse


def touching(shapes: np.ndarray, reach: float = 0.0, *, rook: bool = False) -> np.ndarray:
    """Return the links between shapes that touch or overlap, or come within reach of each other.

    With `rook` it takes more than single points; see `_share_border` and `_share_reach`.

    Parameters
    ----------
    reach
        In the units of the coordinates.
    """
    tree = shapely.STRtree(shapes)
    # Each pair once is faster than a predicate within the query, which looks at both ways.
    pairs = _once(tree.query(shapes))
    pairs = pairs[:, shapely.intersects(*shapes[pairs])]
    if rook:
        pairs = pairs[:, _share_border(*shapes[pairs])]
    if reach > 0:
        # Prepared within the query: without, time goes with the product of both numbers of vertices.
        near = _without(_once(tree.query(shapes, predicate="dwithin", distance=reach)), pairs, len(shapes))
        if rook:
            near = near[:, _share_reach(shapes, near[0], near[1], reach)]
        pairs = np.concatenate([pairs, near], axis=1)
    return np.concatenate([pairs, pairs[::-1]], axis=1)


def sharing_vertices(shapes: np.ndarray) -> np.ndarray:
    """Return the links between shapes that have a vertex in common: both coordinates exactly equal."""
    shared = _shared(shapes)
    focal = np.repeat(np.arange(len(shapes)), np.diff(shared.indptr))
    links = np.stack([focal, shared.indices])
    return links[:, links[0] != links[1]]


def _shared(shapes: np.ndarray) -> sparse.csr_array:
    """Return which shapes have a vertex in common, each with itself too."""
    xy, at = shapely.get_coordinates(shapes, return_index=True)
    # Axis by axis: pandas hashes complex numbers alike where x equals y, and is quadratic there.
    x, _ = pd.factorize(xy[:, 0])
    y, ys = pd.factorize(xy[:, 1])
    vertex, vertices = pd.factorize(x * len(ys) + y)
    start = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=len(shapes)))])
    has = sparse.csr_array((np.ones(len(at), dtype=bool), vertex, start), shape=(len(shapes), len(vertices)))
    return has @ has.T


def _once(pairs: np.ndarray) -> np.ndarray:
    """Return each pair of a symmetric query once, a shape with itself not at all."""
    return pairs[:, pairs[0] < pairs[1]]


def _without(pairs: np.ndarray, known: np.ndarray, n: int) -> np.ndarray:
    """Return the pairs that are not known yet."""
    key, known_key = (each[0].astype(np.int64) * n + each[1] for each in (pairs, known))
    return pairs[:, ~np.isin(key, known_key, assume_unique=True)]


def _share_border(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Say which pairs of touching polygons share more than single points: a line of border, or area."""
    line = shapely.relate_pattern(one, other, "****1****")
    return line | shapely.relate_pattern(one, other, "2********")


def _share_reach(shapes: np.ndarray, one: np.ndarray, other: np.ndarray, reach: float) -> np.ndarray:
    """Say which pairs have borders that both run within reach of the other for longer than the reach.

    Both, because a border with many bends is long within any reach.
    """
    edges, wide = shapely.boundary(shapes), shapely.buffer(shapes, reach)
    there = _length_along(edges[one], wide[other], reach)
    back = _length_along(edges[other], wide[one], reach)
    return np.minimum(there, back) > reach


def _length_along(edges: np.ndarray, wide: np.ndarray, reach: float) -> np.ndarray:
    """Return how long borders run within shapes that were widened by the reach.

    Each stretch loses the reach at both its ends: that much is within reach where a border only ends
    or a corner only touches.
    """
    lines = shapely.line_merge(shapely.intersection(edges, wide))
    stretches, at = shapely.get_parts(lines, return_index=True)
    return np.bincount(at, np.maximum(shapely.length(stretches) - 2 * reach, 0), minlength=len(edges))
