"""Neighbour graphs against brute force, libpysal and real maps; aligned arrays against labels."""

import itertools
import math
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from libpysal.graph import Graph

import maps
from naive import weights as naive
from zoo_geo.areas import read_areas
from zoo_geo.errors import InputError
from zoo_geo.weights import aligned, build_weights, isolates

SAMPLE = Path(__file__).parent.parent / "data_samples"
QUICK = settings(suppress_health_check=[HealthCheck.too_slow])
CONTIGUITY = pytest.mark.parametrize("method", ["queen", "rook"])
KERNELS = ["triangular", "parabolic", "gaussian", "bisquare", "cosine", "exponential", "boxcar"]

# Grids of owners: areas of several cells (also apart from each other), holes, single rows.
rows_of = st.integers(2, 5).map(lambda n: st.lists(st.integers(-1, 7), min_size=n, max_size=n))
owners = rows_of.flatmap(lambda row: st.lists(row, min_size=1, max_size=5)).filter(
    lambda rows: max(map(max, rows)) >= 0
)

# Whole coordinates on a small grid: ties and coincident points are the rule.
tied_points = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=14)


def links(graph):
    """Return {(focal, neighbor): weight} without the zeros that mark isolates."""
    return {pair: weight for pair, weight in graph.adjacency.items() if weight != 0}


def by_label(pairs, codes):
    """Return pairs of positions as pairs of codes."""
    return {(codes[i], codes[j]) for i, j in pairs}


def areas_of(table):
    return read_areas(table, id="code")


# --- contiguity -------------------------------------------------------------------------------------


@pytest.mark.slow
@CONTIGUITY
@pytest.mark.parametrize("simplify", [False, True])
@given(owner=owners, seed=st.integers(0, 99))
@QUICK
def test_contiguity_is_that_of_the_cells(method, simplify, owner, seed):
    table = maps.cell_map(owner, seed, simplify=simplify)
    code = dict(zip(table["number"], table["code"], strict=True))
    expected = {(code[i], code[j]) for i, j in naive.cell_neighbors(owner, method == "rook")}
    graph = build_weights(areas_of(table), method)
    assert links(graph) == dict.fromkeys(expected, 1.0)
    assert graph.unique_ids.tolist() == table["code"].tolist()


@pytest.mark.slow
@CONTIGUITY
@pytest.mark.parametrize("gap", [0.5, 1.5])
@given(owner=owners)
@QUICK
def test_tolerance_bridges_gaps_between_borders(method, gap, owner):
    table = maps.cell_map(owner)
    code = dict(zip(table["number"], table["code"], strict=True))
    expected = {(code[i], code[j]) for i, j in naive.cell_neighbors(owner, method == "rook")}
    table["geometry"] = table.buffer(-gap, join_style="mitre")
    areas = areas_of(table)
    assert not links(build_weights(areas, method))
    assert set(links(build_weights(areas, method, tolerance=5))) == expected


@given(owner=owners, seed=st.integers(0, 99), tolerance=st.floats(0.1, 150))
@QUICK
def test_queen_with_tolerance_is_distance_between_shapes(owner, seed, tolerance):
    table = maps.cell_map(owner)
    shift = np.random.default_rng(seed).uniform(-30, 30, (len(table), 2))
    shapes = [
        shapely.transform(g, lambda xy, s=s: xy + s) for g, s in zip(table.geometry, shift, strict=True)
    ]
    table["geometry"] = shapes
    expected = by_label(naive.within_reach(shapes, tolerance), table["code"].tolist())
    assert set(links(build_weights(areas_of(table), "queen", tolerance=tolerance))) == expected


@pytest.mark.slow
@given(owner=owners, seed=st.integers(0, 99), tolerance=st.floats(0.1, 150))
@QUICK
def test_rook_grows_with_tolerance_and_stays_within_queen(owner, seed, tolerance):
    table = maps.cell_map(owner)
    shift = np.random.default_rng(seed).uniform(-30, 30, (len(table), 2))
    table["geometry"] = [
        shapely.transform(g, lambda xy, s=s: xy + s) for g, s in zip(table.geometry, shift, strict=True)
    ]
    areas = areas_of(table)
    exact = set(links(build_weights(areas, "rook")))
    near = set(links(build_weights(areas, "rook", tolerance=tolerance)))
    assert exact <= near <= set(links(build_weights(areas, "queen", tolerance=tolerance)))
    assert near == {(j, i) for i, j in near}


def test_rook_with_tolerance_asks_for_a_border_longer_than_the_tolerance():
    left = shapely.box(0, 0, 100, 100)
    for length, expected in [(8, 0), (12, 2)]:
        right = shapely.box(101, 100 - length, 200, 200)
        table = gpd.GeoDataFrame(geometry=[left, right], index=["a", "b"], crs=maps.RD_NEW)
        assert len(links(build_weights(table, "rook", tolerance=10))) == expected


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_border_with_many_bends_is_not_longer_for_it(mirrored):
    """Six metres of zigzag along a straight border are six metres, whichever of the two bends."""
    bends = [(100 + 4 * (at % 2), 50 + at / 4) for at in range(25)]
    one, other = shapely.Polygon([(0, 53), (60, 50), *bends, (60, 57)]), shapely.box(105, 0, 200, 100)
    shapes = [other, one] if mirrored else [one, other]
    table = gpd.GeoDataFrame(geometry=shapes, index=["a", "b"], crs=maps.RD_NEW)
    assert links(build_weights(table, "queen", tolerance=10))
    assert not links(build_weights(table, "rook", tolerance=10))


def test_it_matters_not_where_a_ring_begins():
    begins_in_the_middle = shapely.Polygon([(100, 8), (100, 16), (0, 16), (0, 0), (100, 0)])
    table = gpd.GeoDataFrame(
        geometry=[begins_in_the_middle, shapely.box(101, 0, 200, 16)], index=["a", "b"], crs=maps.RD_NEW
    )
    assert links(build_weights(table, "rook", tolerance=10))


def test_corners_that_touch_are_no_border_however_many_there_are():
    table = maps.cell_map([[0, 1, 0, 1, 0], [2, 0, 2, 0, 2]])
    code = dict(zip(table["number"], table["code"], strict=True))
    table["geometry"] = table.buffer(-0.5, join_style="mitre")
    assert (code[1], code[2]) not in links(build_weights(areas_of(table), "rook", tolerance=5))


def test_detailed_borders_that_come_near_take_no_longer_than_others():
    """Not the product of both numbers of vertices: 32,000 bends beside 32,000 others."""
    x = np.linspace(0, 1_000, 32_000)
    y = np.sin(x / 100) * 200 + np.sin(x * 50)
    below = shapely.Polygon([*np.column_stack([x, y]), (1_000, -500), (0, -500)])
    above = shapely.Polygon([*np.column_stack([x, y + 160]), (1_000, 900), (0, 900)])
    areas = read_areas(gpd.GeoDataFrame(geometry=[below, above], index=["a", "b"], crs=maps.RD_NEW))
    start = time.process_time()
    assert not links(build_weights(areas, tolerance=50))
    assert time.process_time() - start < 1


def test_tolerance_is_in_metres_whatever_the_unit_of_the_crs():
    feet = gpd.GeoDataFrame(
        geometry=[shapely.box(0, 0, 100, 100), shapely.box(110, 0, 200, 100)], index=["a", "b"], crs=2263
    )
    assert not links(build_weights(feet, tolerance=3))
    assert links(build_weights(feet, tolerance=3.1))


@CONTIGUITY
def test_contiguity_on_a_clean_grid_equals_libpysal(method, grid):
    graph = build_weights(areas_of(grid), method)
    reference = Graph.build_contiguity(grid.set_index("code"), rook=method == "rook")
    assert links(graph) == links(reference)


def test_areas_that_overlap_are_neighbors():
    table = gpd.GeoDataFrame(
        geometry=[shapely.box(0, 0, 10, 10), shapely.box(9, 1, 20, 8)], index=["a", "b"], crs=maps.RD_NEW
    )
    assert len(links(build_weights(table, "queen"))) == len(links(build_weights(table, "rook"))) == 2


# --- shared vertices --------------------------------------------------------------------------------


def libpysal_queen(areas):
    """Return the graph of libpysal's builder by vertices."""
    return Graph.build_contiguity(areas.frame, rook=False, strict=False)


def assert_identical(graph, reference):
    """Same codes, links, weights and order; isolates marked alike."""
    pd.testing.assert_series_equal(graph.adjacency, reference.adjacency, check_dtype=False)
    pd.testing.assert_index_equal(graph.unique_ids, reference.unique_ids)
    pd.testing.assert_index_equal(graph.isolates, reference.isolates)


def negative_zeros(shape, seed):
    """Return the same shape with some of its zeros negative."""
    rng = np.random.default_rng(seed)
    return shapely.transform(shape, lambda xy: np.where((xy == 0) & (rng.random(xy.shape) < 0.5), -0.0, xy))


@pytest.mark.slow
@pytest.mark.parametrize("simplify", [False, True])
@given(owner=owners, seed=st.integers(0, 99), origin=st.tuples(st.integers(0, 5), st.integers(0, 5)))
@QUICK
def test_vertices_give_libpysals_graph(simplify, owner, seed, origin):
    """Holes, several parts, areas apart, rows in any order, and zeros of either sign."""
    table = maps.cell_map(owner, seed, simplify=simplify).sample(frac=1, random_state=seed)
    table = table.set_geometry(table.translate(-100 * origin[0], -100 * origin[1]))
    table["geometry"] = [negative_zeros(shape, seed) for shape in table.geometry]
    areas = areas_of(table)
    graph = build_weights(areas, vertices=True)
    assert_identical(graph, libpysal_queen(areas))
    expected = by_label(naive.vertex_neighbors(areas.frame.geometry), areas.codes.tolist())
    assert links(graph) == dict.fromkeys(expected, 1.0)
    assert expected <= set(links(build_weights(areas)))


def test_zeros_of_either_sign_are_one_vertex():
    left = shapely.Polygon([(-9, -9), (0.0, 0.0), (-9, 9)])
    right = shapely.Polygon([(9, -9), (-0.0, -0.0), (9, 9)])
    table = gpd.GeoDataFrame(geometry=[left, right], index=["a", "b"], crs=maps.RD_NEW)
    areas = read_areas(table)
    signs = [np.signbit(shapely.get_coordinates(g)).all(axis=1).sum() for g in areas.frame.geometry]
    assert signs == [2, 1]  # it begins and ends at (-9, -9); and there is the negative zero
    assert len(links(build_weights(areas, vertices=True))) == 2
    assert_identical(build_weights(areas, vertices=True), libpysal_queen(areas))


def test_a_vertex_in_a_hole_or_in_another_part_counts():
    ring = shapely.box(0, 0, 30, 30) - shapely.box(10, 10, 20, 20)
    parts = shapely.MultiPolygon([shapely.box(10, 10, 20, 20), shapely.box(90, 90, 99, 99)])
    shapes = [ring, parts, shapely.box(99, 99, 120, 120), shapely.box(200, 0, 210, 10)]
    table = gpd.GeoDataFrame(geometry=shapes, index=list("dbca"), crs=maps.RD_NEW)
    graph = build_weights(table, vertices=True)
    assert list(links(graph)) == [("d", "b"), ("b", "d"), ("b", "c"), ("c", "b")]
    assert isolates(graph) == ["a"]


@pytest.mark.parametrize(
    "corner",
    [(10, np.nextafter(10, 11)), (np.nextafter(10, 11), 10), (12, 10), (10, 12)],
)
def test_vertices_are_equal_in_both_coordinates_to_the_last_digit(corner):
    """And (10, 12) is not (12, 10)."""
    one = shapely.Polygon([(0, 0), (10, 0), (10, 10), (0, 10)])
    other = shapely.Polygon([corner, (20, 11), (11, 20)])
    table = gpd.GeoDataFrame(geometry=[one, other], index=["a", "b"], crs=maps.RD_NEW)
    assert not links(build_weights(table, vertices=True))


def test_borders_without_common_vertices_are_missed_as_libpysal_misses_them():
    shapes = [shapely.box(0, 0, 10, 30), shapely.box(10, 10, 20, 20)]
    table = gpd.GeoDataFrame(geometry=shapes, index=["a", "b"], crs=maps.RD_NEW)
    assert links(build_weights(table)) == {("a", "b"): 1.0, ("b", "a"): 1.0}
    for found in (build_weights(table, vertices=True), libpysal_queen(read_areas(table))):
        assert not links(found)
    assert_identical(build_weights(table, vertices=False), build_weights(table))


def test_a_vertex_of_many_areas_makes_them_all_neighbors():
    """More of them than a byte can count."""
    turn = np.linspace(0, 2 * np.pi, 301)
    rim = np.column_stack([np.cos(turn), np.sin(turn)]) * 1_000
    slices = [shapely.Polygon([(0, 0), *rim[[at, at + 1]]]) for at in range(0, 300)]
    codes = maps.shuffled_codes(300, 4)
    areas = read_areas(gpd.GeoDataFrame(geometry=slices, index=codes, crs=maps.RD_NEW))
    graph = build_weights(areas, vertices=True)
    assert (graph.cardinalities == 299).all()
    assert_identical(graph, libpysal_queen(areas))


def test_an_area_with_many_common_vertices_is_one_neighbor():
    """More of them than a byte can count."""
    bends = [(10 + at % 2, at) for at in range(513)]
    shapes = [shapely.Polygon([(0, 512), (0, 0), *bends]), shapely.Polygon([(20, 512), (20, 0), *bends])]
    areas = read_areas(gpd.GeoDataFrame(geometry=shapes, index=["b", "a"], crs=maps.RD_NEW))
    graph = build_weights(areas, vertices=True)
    assert links(graph) == {("b", "a"): 1.0, ("a", "b"): 1.0}
    assert_identical(graph, libpysal_queen(areas))


def test_vertices_work_on_degrees_and_on_a_single_area(grid):
    degrees = areas_of(
        grid.set_geometry(grid.scale(0.01, 0.01, origin=(0, 0))).set_crs(4326, allow_override=True)
    )
    assert_identical(build_weights(degrees, vertices=True), libpysal_queen(degrees))
    single = areas_of(grid.head(1))
    assert isolates(build_weights(single, vertices=True)) == single.codes.tolist()


def test_vertices_along_the_diagonal_take_no_longer_than_others():
    """Points whose coordinates are equal must not fall into one drawer of a hash table: quadratic."""
    steps = np.arange(40_000.0)
    shape = shapely.Polygon([*np.column_stack([steps, steps]), (0, 40_000)])
    areas = read_areas(gpd.GeoDataFrame(geometry=[shape], index=["a"], crs=maps.RD_NEW))
    start = time.process_time()
    build_weights(areas, vertices=True)
    assert time.process_time() - start < 1


# --- distances --------------------------------------------------------------------------------------


@given(points=tied_points, data=st.data())
@QUICK
def test_knn_takes_the_k_nearest_others(points, data):
    k = data.draw(st.integers(1, len(points) - 1))
    table = maps.point_map(points)
    codes = table["code"].tolist()
    at = {code: position for position, code in enumerate(codes)}
    graph = build_weights(areas_of(table), "knn", k=k)
    found = links(graph)
    assert set(found.values()) == {1.0}
    assert all(focal != neighbor for focal, neighbor in found)
    for i, expected in enumerate(naive.nearest_distances(points, k)):
        neighbors = [at[neighbor] for focal, neighbor in found if focal == codes[i]]
        assert sorted(math.dist(points[i], points[j]) for j in neighbors) == pytest.approx(expected)


@given(points=tied_points, threshold=st.floats(0.5, 6), alpha=st.sampled_from([None, -1.0, -2.0, 0.5]))
@QUICK
def test_distance_band_equals_brute_force(points, threshold, alpha):
    table = maps.point_map(points)
    codes = table["code"].tolist()
    options = {} if alpha is None else {"binary": False, "alpha": alpha}
    graph = build_weights(areas_of(table), "distance_band", threshold=threshold, **options)
    expected = {(codes[i], codes[j]): w for (i, j), w in naive.band(points, threshold, alpha).items()}
    assert links(graph) == pytest.approx(expected)
    assert np.isfinite(graph.adjacency).all()


@pytest.mark.parametrize("name", KERNELS)
@given(points=tied_points, bandwidth=st.floats(0.5, 6))
@settings(QUICK, max_examples=20)
def test_kernel_equals_brute_force(name, points, bandwidth):
    table = maps.point_map(points)
    codes = table["code"].tolist()
    graph = build_weights(areas_of(table), "kernel", kernel=name, bandwidth=bandwidth)
    expected = {(codes[i], codes[j]): w for (i, j), w in naive.kernel(points, name, bandwidth).items()}
    assert links(graph) == pytest.approx(expected)


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_of_the_k_nearest_equals_libpysal(name):
    table = maps.point_map(np.random.default_rng(5).uniform(0, 100, (40, 2)))
    graph = build_weights(areas_of(table), "kernel", kernel=name, k=6)
    reference = Graph.build_kernel(table.set_index("code"), kernel=name, k=6)
    expected = {pair: weight for pair, weight in links(reference).items() if weight > 1e-12}
    assert links(graph) == pytest.approx(expected)


def test_bandwidth_cuts_the_k_nearest():
    table = maps.point_map([(0, 0), (1, 0), (3, 0), (10, 0)])
    a, b, c, _ = table["code"]
    for name in ("triangular", "gaussian"):
        found = links(build_weights(areas_of(table), "kernel", kernel=name, k=2, bandwidth=4))
        near = {(a, b): 1, (b, a): 1, (a, c): 3, (c, a): 3, (b, c): 2, (c, b): 2}
        assert found == pytest.approx({pair: naive.kernel_weight(name, d / 4) for pair, d in near.items()})


def test_distances_of_polygons_are_between_centroids():
    ell = shapely.union_all([shapely.box(0, 0, 10, 90), shapely.box(0, 0, 90, 10)])
    table = gpd.GeoDataFrame(
        geometry=[ell, shapely.box(200, 0, 210, 10)], index=["ell", "box"], crs=maps.RD_NEW
    )
    apart = ell.centroid.distance(table.geometry["box"].centroid)
    graph = build_weights(table, "distance_band", threshold=1000, binary=False, alpha=1.0)
    assert links(graph)["ell", "box"] == pytest.approx(apart)


def test_many_coincident_points_are_a_clique_with_finite_weights():
    """Trap T24: libpysal raises, makes a star of them, or gives them infinite weight."""
    table = maps.point_map([(0, 0)] * 5 + [(3, 4)])
    codes = table["code"].tolist()
    areas = areas_of(table)
    clique = set(itertools.permutations(codes[:5], 2))
    assert clique == {pair for pair in links(build_weights(areas, "knn", k=4)) if pair[0] != codes[5]}
    inverse = links(build_weights(areas, "distance_band", threshold=9, binary=False))
    assert clique <= set(inverse)
    assert set(inverse.values()) == {0.2}
    alike = maps.point_map([(1, 1)] * 4)
    for options in ({"k": 2}, {"bandwidth": 5.0}):
        graph = build_weights(areas_of(alike), "kernel", **options)
        assert np.isfinite(graph.adjacency).all()
        assert set(links(graph).values()) == {1 / math.sqrt(2 * math.pi)}


# --- the graph --------------------------------------------------------------------------------------

METHODS = [
    ("queen", {}),
    ("rook", {}),
    ("queen", {"vertices": True}),
    ("queen", {"tolerance": 30}),
    ("rook", {"tolerance": 30}),
    ("knn", {"k": 3}),
    ("distance_band", {"threshold": 180}),
    ("distance_band", {"threshold": 180, "binary": False}),
    ("kernel", {"bandwidth": 250}),
    ("kernel", {"k": 4}),
]


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_order_of_rows_changes_nothing(method, options, grid_with_island):
    shuffled = grid_with_island.sample(frac=1, random_state=3)
    graph = build_weights(areas_of(grid_with_island), method, **options)
    again = build_weights(areas_of(shuffled), method, **options)
    assert links(again) == pytest.approx(links(graph))
    assert again.unique_ids.tolist() == shuffled["code"].tolist()


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_graph_is_sound_to_libpysal(method, options, grid_with_island):
    graph = build_weights(areas_of(grid_with_island), method, **options)
    codes = grid_with_island["code"].tolist()
    matrix = np.array(naive.dense([(*pair, weight) for pair, weight in links(graph).items()], codes))
    values = np.arange(len(codes), dtype=float) ** 2
    assert graph.unique_ids.tolist() == codes
    np.testing.assert_allclose(graph.sparse.toarray(), matrix)
    np.testing.assert_allclose(graph.lag(values), matrix @ values)
    assert np.isfinite(graph.transform("r").adjacency).all()
    assert (method in ("knn", "kernel") and "k" in options) or graph.asymmetry().empty


def test_isolates_stay_in_the_graph_and_are_reported(grid_with_island):
    graph = build_weights(areas_of(grid_with_island))
    assert isolates(graph) == ["BU09990000"]
    assert graph.n == len(grid_with_island)


def test_an_area_with_itself_for_only_neighbor_is_an_isolate():
    graph = Graph.from_arrays(["a", "a", "b", "c"], ["b", "a", "a", "c"], [1.0, 1.0, 1.0, 0.4])
    assert isolates(graph) == ["c"]
    alone = gpd.GeoDataFrame(geometry=[shapely.Point(0, 0)], index=["a"], crs=maps.RD_NEW)
    assert isolates(build_weights(alone, "kernel", bandwidth=3)) == ["a"]


def test_geodataframe_is_checked_like_a_map(grid):
    graph = build_weights(grid.set_index("code"))
    assert links(graph) == links(build_weights(areas_of(grid)))
    with pytest.raises(InputError, match="Pass id="):
        build_weights(grid)


# --- aligned arrays ---------------------------------------------------------------------------------


@given(n=st.integers(1, 9), seed=st.integers(0, 999), share=st.floats(0, 1))
@QUICK
def test_aligned_follows_labels_in_any_order(n, seed, share):
    rng = np.random.default_rng(seed)
    codes = maps.shuffled_codes(n, seed)
    matrix = np.where(rng.random((n, n)) < share, rng.integers(1, 9, (n, n)), 0).astype(float)
    entries = [(codes[i], codes[j], matrix[i, j]) for i in range(n) for j in range(n) if matrix[i, j]]
    marks = [(codes[i], codes[i], 0.0) for i in range(n) if not matrix[i].any()]
    rows = sorted(entries + marks, key=lambda entry: codes.index(entry[0]))
    graph = Graph.from_arrays(*zip(*rows, strict=True))
    order = rng.permutation(codes).tolist()
    csr = aligned(graph, order)
    dense = np.zeros((n, n))
    for i, j in itertools.product(range(n), repeat=2):
        row = slice(csr.indptr[i], csr.indptr[i + 1])
        dense[i, j] = csr.data[row][csr.indices[row] == j].sum()
    np.testing.assert_array_equal(dense, naive.dense(entries, order))
    assert len(csr.data) == len(entries)
    assert all(np.all(np.diff(csr.indices[a:b]) > 0) for a, b in itertools.pairwise(csr.indptr))
    assert (csr.indptr.dtype, csr.indices.dtype, csr.data.dtype) == (np.intp, np.intp, np.float64)


def test_aligned_keeps_self_weights_and_drops_zeros():
    graph = Graph.from_arrays(["b", "b", "a", "c"], ["b", "a", "b", "c"], [2.0, 1.0, 3.0, 0.0])
    csr = aligned(graph, pd.Index(["a", "b", "c"]))
    assert csr.indptr.tolist() == [0, 1, 3, 3]
    assert csr.indices.tolist() == [1, 0, 1]
    assert csr.data.tolist() == [3.0, 1.0, 2.0]


def test_aligned_leaves_the_graph_alone(grid_with_island):
    """Trap T20: peers write to the caller's cached matrix."""
    areas = areas_of(grid_with_island)
    graph = build_weights(areas, "kernel", bandwidth=250)
    before, sparse = graph.adjacency.copy(), graph.sparse.copy()
    csr = aligned(graph, areas.codes)
    csr.data[:] = -1
    csr.indices[:] = 0
    pd.testing.assert_series_equal(graph.adjacency, before)
    assert (graph.sparse != sparse).nnz == 0
    assert graph.transformation == "O"


def test_aligned_lists_areas_that_only_one_of_them_has():
    graph = Graph.from_arrays(["a", "b"], ["b", "a"], [1.0, 1.0])
    with pytest.raises(InputError) as caught:
        aligned(graph, ["a", "c", "d"])
    assert caught.value.problems == [
        "areas need to be in the graph; got others (2 of 3; first: c, d).",
        "areas of the graph need to be among the codes; got others (1 of 2; first: b).",
    ]


def test_aligned_refuses_numbered_graphs_repeated_codes_and_infinite_weights():
    numbered = Graph.from_arrays([0, 1], [1, 0], [1.0, 1.0])
    with pytest.raises(InputError, match="build it on text codes"):
        aligned(numbered, ["0", "1"])
    graph = Graph.from_arrays(["a", "b"], ["b", "a"], [np.inf, 1.0])
    with pytest.raises(InputError, match="codes need to be unique"):
        aligned(graph, ["a", "b", "a"])
    with pytest.raises(InputError, match=r"weights need to be finite; got others \(1 of 2; first: a to b\)"):
        aligned(graph, ["a", "b"])


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("knn", {"k": 2}),
        ("distance_band", {"threshold": 1}),
        ("kernel", {"k": 2}),
        ("queen", {"tolerance": 1}),
    ],
)
def test_degrees_are_refused_where_metres_are_needed(method, options, grid):
    degrees = read_areas(grid.to_crs(4326), id="code")
    with pytest.raises(InputError, match=r"needs to have distances in metres; got degrees \(EPSG:4326\)"):
        build_weights(degrees, method, **options)


def test_contiguity_without_tolerance_works_on_degrees(grid):
    small = grid.set_geometry(grid.scale(0.01, 0.01, origin=(0, 0)))
    degrees = read_areas(small.set_crs(4326, allow_override=True), id="code")
    assert links(build_weights(degrees)) == links(build_weights(areas_of(grid)))


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("quen", {}, r"method needs to be one of queen, .*; got 'quen'. Did you mean 'queen'\?"),
        ("knn", {}, "knn needs to have k=; got none"),
        ("knn", {"k": 20}, r"k needs to be a whole number from 1 to 19 \(areas - 1\); got 20"),
        ("knn", {"k": 2.0}, "k needs to be a whole number"),
        ("knn", {"k": True}, "k needs to be a whole number"),
        ("knn", {"k": 2, "tolerance": 5}, "tolerance needs to go with queen or rook; got knn"),
        ("queen", {"tolerance": -1}, "tolerance needs to be 0 metres or more; got -1"),
        ("queen", {"tolerance": math.nan}, "tolerance needs to be 0 metres or more; got nan"),
        ("queen", {"k": 3}, "options of queen need to be among tolerance, vertices; got 'k'"),
        ("rook", {"vertices": True}, "options of rook need to be among tolerance; got 'vertices'"),
        ("knn", {"k": 2, "vertices": True}, "options of knn need to be among k; got 'vertices'"),
        ("queen", {"vertices": 1}, "vertices needs to be true or false; got 1"),
        ("queen", {"vertices": "yes"}, "vertices needs to be true or false; got 'yes'"),
        ("queen", {"vertices": True, "tolerance": 5}, "tolerance needs to be 0 with vertices, .*; got 5"),
        ("distance_band", {}, "distance_band needs to have threshold="),
        ("distance_band", {"threshold": 0}, "threshold needs to be a distance above 0; got 0"),
        ("distance_band", {"threshold": 9, "alpha": "x"}, "alpha needs to be a number"),
        ("kernel", {}, "kernel needs to have bandwidth= or k=; got neither"),
        ("kernel", {"k": 2, "kernel": "gausian"}, "kernel needs to be one of triangular, .*; got 'gausian'"),
    ],
)
def test_refused_calls_say_why(method, options, message, grid):
    with pytest.raises(InputError, match=message):
        build_weights(areas_of(grid), method, **options)


def test_points_have_no_borders():
    for options in ({}, {"vertices": True}):
        with pytest.raises(InputError, match="queen needs to have polygons; got points"):
            build_weights(areas_of(maps.point_map([(0, 0), (1, 1)])), **options)


# --- real maps --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def buurten(shared_data):
    return read_areas(shared_data / "nl_buurten_2024" / "buurten_2024.gpkg", id="code")


@pytest.mark.shared_data
@pytest.mark.parametrize(("tolerance", "expected"), [(0, 5.37), (50, 5.96)])
def test_real_buurten_have_as_many_neighbors_as_known(buurten, tolerance, expected):
    csr = aligned(build_weights(buurten, tolerance=tolerance), buurten.codes)
    assert len(csr.data) / len(buurten) == pytest.approx(expected, abs=0.01)


@pytest.fixture(scope="module")
def wijken(shared_data):
    return read_areas(shared_data / "nl_wijken_2022" / "wijken_2022.gpkg", id="code")


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.parametrize("order", ["as read", "shuffled"])
@pytest.mark.parametrize("name", ["wijken", "buurten"])
def test_vertices_of_real_maps_give_libpysals_graph(name, order, request):
    areas = request.getfixturevalue(name)
    if order == "shuffled":
        areas = areas.subset(np.random.default_rng(8).permutation(areas.codes))
    assert_identical(build_weights(areas, vertices=True), libpysal_queen(areas))


@pytest.mark.parametrize("order", ["as read", "shuffled"])
def test_vertices_of_the_sample_give_libpysals_graph(order):
    areas = read_areas(SAMPLE / "buurten.gpkg", id="buurtcode", layer="buurten")
    if order == "shuffled":
        areas = areas.subset(np.random.default_rng(8).permutation(areas.codes))
    graph = build_weights(areas, vertices=True)
    assert graph.nonzero > 5 * len(areas)
    assert len(isolates(graph)) > 0
    assert_identical(graph, libpysal_queen(areas))


@pytest.mark.shared_data
def test_real_wijken_have_two_islands(wijken):
    graph = build_weights(wijken)
    assert graph.cardinalities.mean() == pytest.approx(5.72, abs=0.01)
    assert isolates(graph) == ["WK006000", "WK008800"]
    assert links(graph) == links(Graph.build_contiguity(wijken.frame, rook=False))
