"""Who is near: neighbour graphs of areas, and the one place where a graph becomes aligned arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.spatial import KDTree

from zoo_geo.areas import Areas, read_areas
from zoo_geo.checks import nearest_name
from zoo_geo.contiguity import sharing_vertices, touching
from zoo_geo.errors import InputError, Problems, examples

if TYPE_CHECKING:
    from libpysal.graph import Graph

_OPTIONS: dict[str, tuple[str, ...]] = {
    "queen": ("vertices",),
    "rook": (),
    "knn": ("k",),
    "distance_band": ("threshold", "binary", "alpha"),
    "kernel": ("kernel", "bandwidth", "k"),
}
"""Method to the options that it takes; named as libpysal's."""

# Weight by distance / bandwidth, as densities on [-1, 1] (gaussian: on the line), like libpysal.
_KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "triangular": lambda z: 1 - z,
    "parabolic": lambda z: 0.75 * (1 - z**2),
    "gaussian": lambda z: np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    "bisquare": lambda z: 15 / 16 * (1 - z**2) ** 2,
    "cosine": lambda z: math.pi / 4 * np.cos(math.pi / 2 * z),
    "exponential": lambda z: np.exp(-z),
    "boxcar": lambda z: (z < 1).astype(np.float64),
}
# cos(pi / 2) is 6e-17 in floating point: no neighbour.
_NO_WEIGHT = 1e-12


class Csr(NamedTuple):
    """Weights by position: row i holds ``data[indptr[i]:indptr[i + 1]]`` for the neighbours ``indices[...]``.

    ``indptr`` has shape (n_areas + 1,); ``indices``, sorted inside each row, and ``data`` shape (n_weights,).
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


class _Pairs(NamedTuple):
    """Who is a neighbour of whom, by position, and how far away."""

    focal: np.ndarray
    neighbor: np.ndarray
    distance: np.ndarray


def build_weights(
    areas: Areas | gpd.GeoDataFrame, method: str = "queen", *, tolerance: float = 0.0, **options: object
) -> Graph:
    """Build the graph of who is near whom.

    ``queen``: areas that share a point or overlap. ``rook``: areas that share a stretch of border or
    overlap. Both look at the shapes, so the borders need no common vertices; queen with `vertices`
    looks at those alone, like libpysal, which is faster on large maps but misses neighbours whose
    borders are drawn differently. ``knn``: the `k` nearest centroids. ``distance_band``: centroids
    within `threshold`, with weight 1, or distance to the power `alpha` if `binary` is false.
    ``kernel``: `kernel` of distance / `bandwidth` between centroids no further apart than that, or of
    the `k` nearest (bandwidth then the largest of their distances).

    Coincident points are neighbours of each other like any others, and nothing is moved; their
    inverse distance is that of the nearest pair that does not coincide. Which of several equally
    distant points are among the k nearest is settled by the order of the codes.

    Parameters
    ----------
    areas
        A map; or a GeoDataFrame with the codes in its index, which is then checked like one.
    method
        ``queen``, ``rook``, ``knn``, ``distance_band`` or ``kernel``.
    tolerance
        Metres. For queen, areas are neighbours too whose borders come this near; for rook, if they do
        so along more than this length of either border: its stretches within reach, each less the
        tolerance at both ends (which is what a mere corner has within reach).
    **options
        ``vertices`` (false), ``k``, ``threshold``, ``binary`` (true), ``alpha`` (-1), ``kernel``
        (gaussian), ``bandwidth``; distances in the units of the CRS.

    Returns
    -------
    Graph
        On the codes, in the order of the map. Areas without neighbours are in it (see `isolates`).

    Raises
    ------
    InputError
        Unknown method or option; distances on degrees; contiguity of points; vertices with a tolerance.

    References
    ----------
    Anselin, L. and Rey, S.J. (2014). Modern Spatial Econometrics in Practice, chapters 3 and 4.

    Examples
    --------
    >>> from shapely import box
    >>> row = [box(x, 0, x + 1, 1) for x in range(3)]
    >>> squares = gpd.GeoDataFrame(geometry=row, index=list("abc"), crs=28992)
    >>> build_weights(squares, "rook")["b"].index.tolist()
    ['a', 'c']
    """
    whole = areas if isinstance(areas, Areas) else read_areas(areas)
    _check_call(whole, method, tolerance, options)
    if method in ("queen", "rook"):
        links = _contiguous(whole, tolerance, rook=method == "rook", vertices=bool(options.get("vertices")))
        return _graph(whole.codes, links[0], links[1], np.ones(links.shape[1]))
    points = shapely.get_coordinates(shapely.centroid(whole.frame.geometry.to_numpy()))
    pairs, weight = _METHODS[method](points, whole.codes, **options)
    return _graph(whole.codes, pairs.focal, pairs.neighbor, weight)


def isolates(graph: Graph) -> list[str]:
    """Return the areas that have no other area as neighbour, in the order of the graph."""
    adjacency = graph.adjacency
    focal, neighbor = (adjacency.index.get_level_values(level) for level in ("focal", "neighbor"))
    linked = focal[(adjacency.to_numpy() != 0) & np.asarray(focal != neighbor)]
    ids = graph.unique_ids
    return ids[~ids.isin(linked.unique())].tolist()


def aligned(graph: Graph, codes: pd.Index | Iterable[str]) -> Csr:
    """Return the weights by position in `codes`, whatever order the graph has.

    Self weights stay; zero weights, with which libpysal marks isolates, are left out. The graph is
    only read.

    Parameters
    ----------
    graph
        Weights on area codes.
    codes
        All the areas of the graph and no others, shape (n_areas,).

    Raises
    ------
    InputError
        The graph and the codes do not hold the same areas, or a weight is not finite.

    Examples
    --------
    >>> from libpysal.graph import Graph
    >>> graph = Graph.from_arrays(["b", "a"], ["a", "b"], [1.0, 1.0])
    >>> aligned(graph, ["a", "b"]).indices.tolist()
    [1, 0]
    """
    order, adjacency, ids = pd.Index(codes), graph.adjacency, graph.unique_ids
    labels = order.astype(object)
    if len(ids) != len(order) or not order.is_unique or (labels.get_indexer(ids.astype(object)) < 0).any():
        _check_same(ids, order)
    row, column = _positions(adjacency.index, labels)
    weight = adjacency.to_numpy(np.float64)
    _check_finite(weight, adjacency.index)
    kept = weight != 0
    row, column, weight = row[kept], column[kept], weight[kept]
    key = row * len(order) + column
    if (key[1:] < key[:-1]).any():
        by_row = np.argsort(key, kind="stable")
        row, column, weight = row[by_row], column[by_row], weight[by_row]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(order)))])
    return Csr(indptr.astype(np.intp), column, weight)


def _positions(index: pd.MultiIndex, labels: pd.Index) -> list[np.ndarray]:
    """Return the position among the labels of both ends of every pair."""
    levels = [level.astype(object) for level in index.levels]
    places = [labels.get_indexer(levels[0])]
    places.append(places[0] if levels[1].equals(levels[0]) else labels.get_indexer(levels[1]))
    return [place[code] for place, code in zip(places, index.codes, strict=True)]


def _check_same(ids: pd.Index, order: pd.Index) -> None:
    """Raise when the graph and the codes do not hold the same areas."""
    problems = Problems()
    if not order.is_unique:
        again = order[order.duplicated()]
        problems.add(f"codes need to be unique; got repeated ones ({examples(again, len(order))}).")
    absent, extra = order[~order.isin(ids)], ids[~ids.isin(order)]
    if len(absent):
        hint = (
            " The graph has numbers: build it on text codes."
            if pd.api.types.is_numeric_dtype(ids.dtype)
            else ""
        )
        problems.add(f"areas need to be in the graph; got others ({examples(absent, len(order))}).{hint}")
    if len(extra):
        problems.add(
            f"areas of the graph need to be among the codes; got others ({examples(extra, len(ids))})."
        )
    problems.raise_if_any()


def _check_finite(weight: np.ndarray, index: pd.MultiIndex) -> None:
    """Raise when a weight is infinite, as inverse distances of coincident points are elsewhere."""
    endless = np.flatnonzero(~np.isfinite(weight))
    if len(endless):
        pairs = [" to ".join(map(str, pair)) for pair in index[endless]]
        raise InputError(
            f"weights need to be finite; got others ({examples(pairs, len(weight))}). "
            "Coincident points have no inverse distance; build_weights gives them a finite one."
        )


def _check_call(areas: Areas, method: str, tolerance: float, options: dict[str, object]) -> None:
    """Raise when the method, its options and the map do not fit together."""
    if method not in _OPTIONS:
        listed = ", ".join(_OPTIONS)
        raise InputError(
            f"method needs to be one of {listed}; got {method!r}.{nearest_name(str(method), _OPTIONS)}"
        )
    problems = Problems()
    contiguity = method in ("queen", "rook")
    for name in set(options) - set(_OPTIONS[method]):
        listed = ", ".join(("tolerance",) * contiguity + _OPTIONS[method])
        problems.add(f"options of {method} need to be among {listed}; got {name!r}.")
    if not _is_number(tolerance) or tolerance < 0:
        problems.add(f"tolerance needs to be 0 metres or more; got {tolerance!r}.")
    elif tolerance > 0 and not contiguity:
        problems.add(f"tolerance needs to go with queen or rook; got {method}.")
    elif tolerance > 0 and options.get("vertices"):
        problems.add(f"tolerance needs to be 0 with vertices, which have no gap; got {tolerance!r}.")
    _check_options(areas, method, options, problems)
    if (
        contiguity
        and (shapely.get_type_id(areas.frame.geometry.to_numpy()) == shapely.GeometryType.POINT).any()
    ):
        problems.add(f"{method} needs to have polygons; got points. Take knn, distance_band or kernel.")
    if areas.crs.is_geographic and (tolerance or not contiguity):
        what = method if not contiguity else "tolerance"
        problems.add(
            f"{what} needs to have distances in metres; got degrees ({areas.crs.to_string()}). "
            "Project the map first, for the Netherlands to_crs(28992)."
        )
    problems.raise_if_any()


def _check_options(areas: Areas, method: str, options: dict[str, object], problems: Problems) -> None:
    """Note options that are missing or cannot be."""
    for name in {"knn": ("k",), "distance_band": ("threshold",)}.get(method, ()):
        if options.get(name) is None:
            problems.add(f"{method} needs to have {name}=; got none.")
    if method == "kernel" and options.get("bandwidth") is None and options.get("k") is None:
        problems.add("kernel needs to have bandwidth= or k=; got neither.")
    k, most = options.get("k"), len(areas) - 1
    if k is not None and not (isinstance(k, (int, np.integer)) and not isinstance(k, bool) and 0 < k <= most):
        problems.add(f"k needs to be a whole number from 1 to {most:,} (areas - 1); got {k!r}.")
    for name in ("threshold", "bandwidth"):
        value = options.get(name)
        if value is not None and not (_is_number(value) and value > 0):
            problems.add(f"{name} needs to be a distance above 0; got {value!r}.")
    if not isinstance(options.get("vertices", False), (bool, np.bool_)):
        problems.add(f"vertices needs to be true or false; got {options['vertices']!r}.")
    if not _is_number(options.get("alpha", -1.0)):
        problems.add(f"alpha needs to be a number; got {options['alpha']!r}.")
    kernel = options.get("kernel", "gaussian")
    if kernel not in _KERNELS:
        problems.add(f"kernel needs to be one of {', '.join(_KERNELS)}; got {kernel!r}.")


def _is_number(value: object) -> TypeGuard[float]:
    """Say whether a value is a finite number."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and math.isfinite(value)


def _graph(codes: pd.Index, focal: np.ndarray, neighbor: np.ndarray, weight: np.ndarray) -> Graph:
    """Make a graph in the order of the codes; isolates get libpysal's mark, a zero weight to themselves."""
    from libpysal.graph import Graph

    n = len(codes)
    alone = np.flatnonzero(np.bincount(focal, minlength=n) == 0)
    focal, neighbor = np.concatenate([focal, alone]), np.concatenate([neighbor, alone])
    weight = np.concatenate([weight, np.zeros(len(alone))])
    order = np.argsort(focal.astype(np.int64) * n + neighbor, kind="stable")
    levels, positions = [codes, codes], [focal[order], neighbor[order]]
    index = pd.MultiIndex(levels, positions, names=["focal", "neighbor"])  # type: ignore[arg-type]
    return Graph(pd.Series(weight[order], index=index, name="weight"), is_sorted=True)


def _contiguous(areas: Areas, tolerance: float, *, rook: bool, vertices: bool) -> np.ndarray:
    """Return the links between areas that are contiguous."""
    shapes = areas.frame.geometry.to_numpy()
    if vertices:
        return sharing_vertices(shapes)
    return touching(shapes, tolerance / areas.crs.axis_info[0].unit_conversion_factor, rook=rook)


def _nearest(points: np.ndarray, codes: pd.Index, k: int) -> _Pairs:
    """Return the k nearest points of each; in code order, so that the order of rows settles no tie."""
    order = np.argsort(codes.to_numpy(dtype=object), kind="stable")
    distance, found = KDTree(points[order]).query(points[order], k=k + 1)
    oneself = found == np.arange(len(points))[:, None]
    oneself[~oneself.any(axis=1), -1] = True
    return _Pairs(np.repeat(order, k), order[found[~oneself]], distance[~oneself])


def _within(points: np.ndarray, threshold: float) -> _Pairs:
    """Return the pairs of points no further apart than the threshold."""
    one, other = KDTree(points).query_pairs(threshold, output_type="ndarray").T
    distance = np.hypot(*(points[one] - points[other]).T)
    focal, neighbor = np.concatenate([one, other]), np.concatenate([other, one])
    return _Pairs(focal, neighbor, np.concatenate([distance, distance]))


def _knn(points: np.ndarray, codes: pd.Index, k: int) -> tuple[_Pairs, np.ndarray]:
    """Weight 1 for the k nearest."""
    pairs = _nearest(points, codes, k)
    return pairs, np.ones(len(pairs.focal))


def _distance_band(
    points: np.ndarray, codes: pd.Index, threshold: float, binary: bool = True, alpha: float = -1.0
) -> tuple[_Pairs, np.ndarray]:
    """Weight 1, or a power of the distance, within the threshold."""
    pairs = _within(points, threshold)
    if binary:
        return pairs, np.ones(len(pairs.focal))
    apart = pairs.distance[pairs.distance > 0]
    floor = apart.min() if len(apart) else 1.0
    return pairs, np.maximum(pairs.distance, floor) ** alpha


def _kernel(
    points: np.ndarray,
    codes: pd.Index,
    kernel: str = "gaussian",
    bandwidth: float | None = None,
    k: int | None = None,
) -> tuple[_Pairs, np.ndarray]:
    """Kernel of distance / bandwidth, for those within the bandwidth and among the k nearest."""
    pairs = _within(points, bandwidth or 0.0) if k is None else _nearest(points, codes, k)
    wide = bandwidth or pairs.distance.max() or 1.0
    z = pairs.distance / wide
    weight = np.where(z <= 1, _KERNELS[kernel](np.minimum(z, 1)), 0.0)
    kept = weight > _NO_WEIGHT
    return _Pairs(*(part[kept] for part in pairs)), weight[kept]


_METHODS: dict[str, Callable[..., tuple[_Pairs, np.ndarray]]] = {
    "knn": _knn,
    "distance_band": _distance_band,
    "kernel": _kernel,
}
