"""Points, addresses and codes into areas."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.naive import places as naive

import zoo_geo as zg
from zoo_geo.errors import InputError

CRS = 28992
WHOLE = shapely.box(0, 0, 10, 10)
HOLED = shapely.Polygon(WHOLE.exterior.coords, [[(4, 4), (6, 4), (6, 6), (4, 6)]])


def read(shapes, codes=None, water=None, parents=None, crs=CRS):
    codes = [f"BU{k:02d}" for k in range(len(shapes))] if codes is None else codes
    columns = {"code": codes} | ({"water": water} if water else {}) | (parents or {})
    table = gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)
    return zg.read_areas(table, id="code", parents={name: name for name in parents or {}})


def answers(located):
    area = located.frame["area"].astype(object)
    return list(zip(area.where(area.notna(), None), located.frame["position"], strict=True))


def naively(points, areas):
    frame = areas.frame
    return naive.locate(points, list(frame.geometry), list(frame.index), frame["water"].tolist())


def star(rng, centre, reach, corners):
    """A jagged polygon about a centre; on whole or broken coordinates."""
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    away = reach * rng.uniform(0.3, 1, corners)
    ring = np.asarray(centre) + np.column_stack([away * np.cos(angle), away * np.sin(angle)])
    return shapely.make_valid(shapely.Polygon(np.round(ring) if rng.random() < 0.5 else ring))


def polygons(rng, n):
    """Stars that overlap, some with a hole, some of two parts."""
    shapes = []
    for _ in range(n):
        shape = star(rng, rng.uniform(0, 40, 2), rng.uniform(2, 15), rng.integers(5, 30))
        if rng.random() < 0.4:
            shape = shape.difference(star(rng, shape.centroid.coords[0], 3, 7))
        if rng.random() < 0.4:
            shape = shape.union(star(rng, rng.uniform(0, 40, 2), 4, 9))
        parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 0.1]
        shapes += [shapely.multipolygons(parts)] if parts else []
    return shapes


def awkward(rng, areas, n):
    """Points where it is hard: vertices, middles of edges, a hair beside them, whole numbers, anywhere."""
    corners = shapely.get_coordinates(areas.frame.geometry.to_numpy())
    some = corners[rng.integers(0, len(corners), n)]
    k = rng.integers(0, len(corners) - 1, n)
    middle = (corners[k] + corners[k + 1]) / 2
    hair = np.nextafter(some, rng.choice([-np.inf, np.inf], some.shape))
    left, low, right, top = areas.frame.total_bounds
    anywhere = rng.uniform((left - 3, low - 3), (right + 3, top + 3), (n, 2))
    return np.vstack(
        [some, middle, hair, np.round(anywhere), anywhere, [[left, low], [right, top], [np.nan] * 2]]
    )


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_every_point_is_where_exact_arithmetic_puts_it(seed, n):
    rng = np.random.default_rng(seed)
    shapes = polygons(rng, n) or [WHOLE]
    codes = [f"BU{k:02d}" for k in rng.permutation(len(shapes))]
    areas = read(shapes, codes, [str(word) for word in rng.choice(["JA", "NEE"], len(shapes))])
    points = awkward(rng, areas, 6)
    assert answers(zg.locate(points, areas)) == naively(points, areas)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_fine_grid_gives_the_answer_of_geos(seed):
    """Many points make many cells: most are answered by the grid alone."""
    rng = np.random.default_rng(seed)
    areas = read(polygons(rng, 15) or [WHOLE])
    points = np.vstack([rng.uniform(-2, 45, (40_000, 2)), awkward(rng, areas, 500)[:-1]])
    shapes = areas.frame.geometry.to_numpy()  # codes ascend in the order of the map
    which, area = shapely.STRtree(shapes).query(shapely.points(points), predicate="intersects")
    first = np.full(len(points), len(shapes))
    np.minimum.at(first, which, area)
    found = zg.locate(points, areas).frame["area"].cat.codes.to_numpy()
    np.testing.assert_array_equal(np.where(found < 0, len(shapes), found), first)


def test_most_points_need_no_look_at_polygons(monkeypatch):
    from zoo_geo import places

    asked = []
    before = places._by_tree
    monkeypatch.setattr(places, "_by_tree", lambda xy, tree: asked.append(xy.shape[1]) or before(xy, tree))
    zg.locate(
        np.random.default_rng(3).uniform(0, 40, (50_000, 2)), read(polygons(np.random.default_rng(4), 8))
    )
    assert 0 < sum(asked) < 1_000


def test_neither_the_order_of_points_nor_that_of_areas_matters():
    rng = np.random.default_rng(5)
    shapes, codes = polygons(rng, 10), [f"BU{k:02d}" for k in range(10)]
    one = read(shapes, codes[: len(shapes)])
    points = awkward(rng, one, 60)
    turned = read(shapes[::-1], codes[: len(shapes)][::-1])
    order = rng.permutation(len(points))
    straight = answers(zg.locate(points, one))
    assert answers(zg.locate(points, turned)) == straight
    assert answers(zg.locate(points[order], one)) == [straight[k] for k in order]
    assert [answers(zg.locate(point[None], one))[0] for point in points[:50]] == straight[:50]


def test_borders_are_counted_and_get_the_lowest_code():
    areas = read([shapely.box(5, 0, 9, 9), shapely.box(0, 0, 5, 9)], ["BU02", "BU01"])
    points = np.array([[5.0, 3.0], [0.0, 3.0], [5.0, 0.0], [2.0, 2.0], [7.0, 2.0], [9.5, 1.0]])
    lowest = zg.locate(points, areas)
    assert lowest.frame["area"].astype(object).fillna("").tolist() == [
        "BU01",
        "BU01",
        "BU01",
        "BU01",
        "BU02",
        "",
    ]
    assert lowest.counts["border"] == 3
    assert lowest.counts["outside"] == 1
    none = zg.locate(points, areas, on_border="none")
    assert none.frame["area"].astype(object).fillna("").tolist() == ["", "", "", "BU01", "BU02", ""]
    assert none.counts.equals(lowest.counts)
    assert "3 of 6 records lie on a border: the lowest code gets them, land before water." in lowest.notices
    assert "3 of 6 records lie on a border: no area gets them." in none.notices
    with pytest.raises(InputError, match=r"on_border needs to be one of lowest, none; got 'first'"):
        zg.locate(points, areas, on_border="first")


def test_overlaps_are_no_borders():
    areas = read([shapely.box(0, 0, 6, 9), shapely.box(4, 0, 9, 9)])
    points = np.array([[5.0, 3.0], [1.0, 1.0]])
    assert answers(zg.locate(points, areas)) == [("BU00", "overlap"), ("BU00", "inside")]
    assert answers(zg.locate(points, areas, on_border="none")) == [(None, "overlap"), ("BU00", "inside")]


def test_shores_go_to_the_land_and_water_is_counted():
    areas = read([shapely.box(0, 0, 5, 9), shapely.box(5, 0, 9, 9)], ["BU00009998", "BU00010000"])
    located = zg.locate(np.array([[5.0, 3.0], [2.0, 2.0], [7.0, 2.0]]), areas)
    assert located.frame["area"].tolist() == ["BU00010000", "BU00009998", "BU00010000"]
    assert located.frame["water"].tolist() == [False, True, False]
    assert located.counts["water"] == 1
    assert "1 of 3 records lie in a water area." in located.notices


def test_points_of_a_frame_keep_their_index():
    areas = read([WHOLE])
    points = gpd.GeoSeries(
        [shapely.Point(1, 1), None, shapely.Point(), shapely.Point(99, 1)], list("abcd"), crs=CRS
    )
    located = zg.locate(gpd.GeoDataFrame(geometry=points), areas)
    assert located.frame.index.tolist() == list("abcd")
    assert located.frame["position"].tolist() == ["inside", "missing", "missing", "outside"]
    assert repr(located) == "<Located: 1 of 4 records in an area>"


def test_no_points_are_no_trouble():
    assert len(zg.locate(np.empty((0, 2)), read([WHOLE])).frame) == 0
    assert answers(zg.locate(np.array([[np.nan, np.nan]]), read([WHOLE]))) == [(None, "missing")]


AMERSFOORT = read([shapely.box(150_000, 460_000, 160_000, 470_000)])
GLOBE = read([shapely.box(4, 51, 6, 53)], crs=4326)


@pytest.mark.parametrize(
    ("points", "areas", "said"),
    [
        (np.array([[5.4, 52.2]]), AMERSFOORT, "look like degrees"),
        (np.array([[155_000.0, 463_000.0]]), GLOBE, "look like metres"),
        (np.array([[463_000.0, 155_000.0]]), AMERSFOORT, "as y, x"),
        (np.array([[np.inf, 1.0]]), AMERSFOORT, "finite"),
        (
            np.array([[np.nan, 1.0], [1.0, 1.0]]),
            AMERSFOORT,
            r"both x and y, or neither; got one \(1 of 2; first: 1\)",
        ),
        (np.zeros(4), AMERSFOORT, r"shape \(n_points, 2\); got \(4,\)"),
        (gpd.GeoSeries([shapely.Point(5.4, 52.2)], crs=4326), AMERSFOORT, r"got EPSG:4326. Use to_crs"),
        (gpd.GeoSeries([shapely.Point(5.4, 52.2)]), AMERSFOORT, "got none. Say what they are in"),
        (gpd.GeoSeries([WHOLE], crs=CRS), AMERSFOORT, "need to be points"),
    ],
)
def test_wrong_points_are_told(points, areas, said):
    with pytest.raises(InputError, match=said):
        zg.locate(points, areas)


@pytest.mark.slow
@pytest.mark.shared_data
def test_real_borders_with_slivers(shared_data):
    """Points anywhere and on vertices of the real map, whose borders overlap, against GEOS."""
    table = gpd.read_file(shared_data / "nl_buurten_2024" / "buurten_2024.gpkg").sort_values("code")
    areas = zg.read_areas(table, id="code")
    shapes = areas.frame.geometry.to_numpy()
    rng = np.random.default_rng(11)
    boxes = shapely.bounds(shapes)[rng.integers(0, len(shapes), 60_000)]
    corners = shapely.get_coordinates(shapes)
    points = np.vstack([
        boxes[:, :2] + rng.random((60_000, 2)) * (boxes[:, 2:] - boxes[:, :2]),
        corners[rng.integers(0, len(corners), 20_000)],
    ])  # fmt: skip
    which, area = shapely.STRtree(shapes).query(shapely.points(points), predicate="intersects")
    first = np.full(len(points), len(shapes))
    np.minimum.at(first, which, area)
    located = zg.locate(points, areas)
    found = located.frame["area"].cat.codes.to_numpy()
    np.testing.assert_array_equal(np.where(found < 0, len(shapes), found), first)
    assert located.counts["border"] >= 20_000
    assert located.counts["overlap"] > 200


# ----------------------------------------------------------------------------------------- addresses

TWO = read(
    [shapely.box(0, 0, 5, 9), shapely.box(5, 0, 9, 9)],
    ["BU00010000", "BU00010001"],
    parents={"gemeente": ["GM0001"] * 2},
)
ADDRESSES = pd.DataFrame({
    "adres": ["a", "b", "c", "d", "e"], "x": [1.0, 5.0, 8.0, 50.0, np.nan], "y": [1.0, 1.0, 1.0, 1.0, np.nan],
    "buurt": ["BU00010000", " BU00010001", "GM0001", "BU99999999", None],
})  # fmt: skip
KEYS = pd.Series(["e", "c", "a", "zz", None, "d", "b", "a"], index=range(10, 18))


def test_addresses_by_coordinates():
    located = zg.locate_addresses(KEYS, ADDRESSES, TWO, key="adres", x="x", y="y")
    assert located.frame.index.equals(KEYS.index)
    assert located.frame["position"].tolist() == [
        "missing", "inside", "inside", "not_found", "missing", "outside", "border", "inside",
    ]  # fmt: skip
    area = located.frame["area"].astype(object).fillna("").tolist()
    assert area == ["", "BU00010001", "BU00010000", "", "", "", "BU00010000", "BU00010000"]
    assert located.counts["not_found"] == 1
    assert "1 of 8 records carry a key that is not in the table." in located.notices
    none = zg.locate_addresses(KEYS, ADDRESSES, TWO, key="adres", x="x", y="y", on_border="none")
    assert none.frame["area"].isna().sum() == located.frame["area"].isna().sum() + 1
    assert "1 of 8 records lie on a border: no area gets them." in none.notices


def test_addresses_by_area():
    located = zg.locate_addresses(KEYS, ADDRESSES, TWO, key="adres", area="buurt")
    assert located.frame["position"].tolist() == [
        "missing", "parent", "inside", "not_found", "missing", "outside", "inside", "inside",
    ]  # fmt: skip
    assert located.frame["area"].astype(object).fillna("").tolist()[-2:] == ["BU00010001", "BU00010000"]


def test_a_record_without_a_key_is_not_at_the_address_without_one():
    keys = KEYS.astype("str")
    nameless = ADDRESSES.assign(
        adres=pd.Series(["a", "b", "c", None, "e"], dtype=keys.dtype), buurt="BU00010000"
    )
    located = zg.locate_addresses(keys, nameless, TWO, key="adres", area="buurt")
    assert located.frame["position"].iloc[4] == "missing"
    assert pd.isna(located.frame["area"].iloc[4])


def test_an_empty_table_of_addresses_places_nobody():
    located = zg.locate_addresses(KEYS, ADDRESSES.iloc[:0], TWO, key="adres", area="buurt")
    assert located.counts["not_found"] == 7
    assert located.counts["missing"] == 1


def test_wrong_tables_of_addresses_are_told():
    twice = pd.concat([ADDRESSES, ADDRESSES.iloc[[1]]])
    with pytest.raises(InputError, match=r"need to be unique; got repeated ones \(1 of 6; first: b\)"):
        zg.locate_addresses(KEYS, twice, TWO, key="adres", area="buurt")
    with pytest.raises(InputError, match="Pass area=, or x= and y="):
        zg.locate_addresses(KEYS, ADDRESSES, TWO, key="adres", x="x")
    with pytest.raises(InputError, match="Did you mean 'buurt'"):
        zg.locate_addresses(KEYS, ADDRESSES, TWO, key="adres", area="buurtt")


def test_codes_of_areas_and_of_what_lies_above():
    codes = pd.Series(["BU00010001", "GM0001", "BU00019999", "", None, " BU00010000 "])
    located = zg.locate_codes(codes, TWO)
    assert located.frame["position"].tolist() == [
        "inside",
        "parent",
        "outside",
        "missing",
        "missing",
        "inside",
    ]
    assert located.frame["area"].astype(object).fillna("").tolist() == [
        "BU00010001",
        "",
        "",
        "",
        "",
        "BU00010000",
    ]
    assert "1 of 6 records are known to an area above only, and count in none below." in located.notices


@pytest.mark.parametrize("lost", ["BU10001", 10_001])
def test_lost_zeros_are_told(lost):
    with pytest.raises(InputError, match=r"leading zeros|as text"):
        zg.locate_codes(pd.Series(["BU00010001", lost], dtype=object), TWO)


# ------------------------------------------------------------------------------------------- the grid


def test_borders_through_reference_points_are_doubted_and_no_others_turn_a_cell():
    """Corners on the very lines and points by which the kernel judges its cells, and a hair beside them."""
    from zoo_geo import places
    from zoo_geo.kernels import placement as kernel

    rng = np.random.default_rng(7)
    doubted = 0
    for _ in range(60):
        whole = rng.integers(1, 11, (7, 2))
        corners = whole + np.where(rng.random((7, 1)) < 0.7, [kernel._ACROSS, kernel._UP], 0.25)
        corners += np.where(rng.random((7, 2)) < 0.3, 1e-9, 0.0)
        shape = shapely.make_valid(shapely.Polygon(corners))
        parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
        if not parts:
            continue
        area = np.array([shapely.multipolygons(parts)])
        xy, starts, owners = places._rings(area)
        x, y = np.ascontiguousarray(xy.T)
        borders = kernel.enter_pieces(x, y, starts, 13, 13)
        interiors = kernel.enter_interiors(x, y, starts, owners, 13, 13)
        answer = kernel.settle(x, y, borders, interiors, 13)
        sure = answer != kernel.UNSURE
        row, column = np.divmod(np.arange(169), 13)
        expected = shapely.contains_xy(area[0], column + kernel._ACROSS, row + kernel._UP)
        np.testing.assert_array_equal((np.diff(interiors[0]) > 0)[sure], expected[sure])
        on_border = shapely.distance(
            area[0].boundary, shapely.points(column + kernel._ACROSS, row + kernel._UP)
        )
        assert not sure[on_border < 1e-6].any()
        doubted += int((~sure).sum())
    assert doubted > 100
