"""Reading maps: what is accepted, what is mended with a notice, and what is refused in words."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from shapely import GeometryCollection, LineString, MultiPolygon, Point, Polygon, box

import maps
from zoo_geo.areas import read_areas
from zoo_geo.errors import InputError

PARENTS = {"wijk": "wijk", "gemeente": "gemeente"}
BOW_TIE = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])


def read(table, **options):
    return read_areas(table, **{"id": "code", **options})


def problems(table, **options):
    with pytest.raises(InputError) as caught:
        read(table, **options)
    return caught.value.problems


def with_shape(table, at, shape):
    """Return the map with one geometry replaced."""
    shapes = table.geometry.to_numpy(copy=True).astype(object)
    shapes[at] = shape
    return table.set_geometry(gpd.GeoSeries(shapes, index=table.index, crs=table.crs))


# --- what comes out ---------------------------------------------------------------------------------


def test_areas_hold_codes_names_parents_and_geometry(grid):
    areas = read(grid, name="name", parents=PARENTS)
    assert areas.codes.tolist() == grid["code"].tolist()
    assert areas.codes.name == "area"
    assert areas.frame.columns.tolist() == ["name", "wijk", "gemeente", "water", "geometry"]
    assert areas.frame["name"].tolist() == grid["name"].tolist()
    assert areas.parents == ("wijk", "gemeente")
    assert areas.parent("gemeente").tolist() == grid["gemeente"].tolist()
    assert areas.parent("gemeente").index.equals(areas.codes)
    assert areas.frame["water"].dtype == bool
    assert not areas.frame["water"].any()
    assert areas.crs == grid.crs
    assert areas.notices == ()
    assert len(areas) == 20
    assert "20 areas" in repr(areas)


def test_points_lie_inside_their_area():
    horseshoe = Polygon([(0, 0), (10, 0), (10, 10), (9, 10), (9, 1), (1, 1), (1, 10), (0, 10)])
    areas = read_areas(gpd.GeoDataFrame(geometry=[horseshoe], index=["a"], crs=28992))
    assert areas.points.shape == (1, 2)
    assert horseshoe.contains(Point(areas.points[0]))


def test_points_are_areas_too():
    areas = read(maps.point_map([(1, 2), (3, 4)]))
    assert areas.points.tolist() == [[1, 2], [3, 4]]


def test_codes_may_stand_in_the_index_and_names_may_be_absent(grid):
    areas = read_areas(grid.set_index("code"))
    assert areas.codes.tolist() == areas.frame["name"].tolist() == grid["code"].tolist()


def test_blanks_around_codes_go_and_missing_names_become_codes(grid):
    table = grid.assign(code=grid["code"] + "  ", name=[None, " ", " Dam  ", *grid["name"][3:]])
    areas = read(table, name="name")
    assert areas.codes.tolist() == grid["code"].tolist()
    assert areas.frame["name"].tolist()[:3] == [*grid["code"][:2], "Dam"]


def test_the_input_stays_as_it_was(grid):
    table = with_shape(grid, 3, BOW_TIE).assign(code=grid["code"] + " ")
    before = table.copy(deep=True)
    read(table, name="name", parents=PARENTS)
    assert_geodataframe_equal(table, before)


def test_heights_are_dropped(grid):
    areas = read(with_shape(grid, 0, shapely.force_3d(grid.geometry[0], 7.0)))
    assert not areas.frame.has_z.any()


def test_subset_keeps_the_order_asked_for(grid):
    areas = read(grid, parents=PARENTS)
    wanted = grid["code"][[7, 2]].tolist()
    part = areas.subset(wanted)
    assert part.codes.tolist() == wanted
    assert part.parents == areas.parents
    assert part.frame["wijk"].tolist() == grid["wijk"][[7, 2]].tolist()
    assert part.frame.index.name == "area"
    with pytest.raises(InputError, match=r"codes need to be on the map; got others \(1 of 2; first: BU77\)"):
        areas.subset([wanted[0], "BU77"])


def test_an_unknown_level_is_refused(grid):
    with pytest.raises(InputError, match=r"level needs to be one of the parents \['wijk'\]; got 'provincie'"):
        read(grid, parents={"wijk": "wijk"}).parent("provincie")


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["map.gpkg", "map.parquet", "map.geojson", "map.shp"])
def test_files_hold_what_the_table_holds(file, grid, tmp_path):
    path = tmp_path / file
    table = grid.to_crs(4326) if file.endswith("json") else grid
    table.to_parquet(path) if file.endswith("parquet") else table.to_file(path)
    areas = read(path, name="name", parents=PARENTS)
    direct = read(table, name="name", parents=PARENTS)
    assert areas.codes.tolist() == direct.codes.tolist()
    assert areas.frame[["name", "wijk", "gemeente"]].equals(direct.frame[["name", "wijk", "gemeente"]])
    # GeoJSON keeps seven decimals.
    assert areas.frame.geometry.normalize().geom_equals_exact(direct.frame.geometry.normalize(), 1e-6).all()
    assert areas.crs == direct.crs


def test_a_file_with_several_layers_needs_the_layer(grid, tmp_path):
    path = tmp_path / "map.gpkg"
    grid.to_file(path, layer="buurten")
    grid[:3].to_file(path, layer="wijken")
    assert len(read(path, layer="wijken")) == 3
    assert read_problem(path) == f"{path}: layer needs to be one of buurten, wijken; got none."
    assert read_problem(path, layer="wijk").endswith(
        "layer needs to be one of buurten, wijken; got 'wijk'. Did you mean 'wijken'?"
    )


def read_problem(path, **options):
    (problem,) = problems(path, **options)
    return problem


def test_unreadable_files_are_named(tmp_path):
    assert (
        read_problem(tmp_path / "no.gpkg")
        == f"{tmp_path / 'no.gpkg'}: the file needs to exist; got none there."
    )
    for name in ("map.gpkg", "map.parquet", "map.geojson", "map.shp"):
        (tmp_path / name).write_text("not a map")
        assert read_problem(tmp_path / name).startswith(
            f"{tmp_path / name}: the file needs to be a readable map; got"
        )


def test_tables_without_geometry_are_refused(tmp_path, grid):
    plain = pd.DataFrame({"code": ["a"]})
    plain.to_parquet(tmp_path / "plain.parquet")
    assert "readable map" in read_problem(tmp_path / "plain.parquet")
    (tmp_path / "plain.csv").write_text("code\na\n")
    assert "there is none" in read_problem(tmp_path / "plain.csv")
    assert problems(plain) == ["areas need to be a path or a GeoDataFrame; got DataFrame."]
    assert problems(gpd.GeoDataFrame(plain)) == ["the table needs to have a geometry column; got none."]
    assert problems(grid[:0]) == ["the map needs to hold areas; got no rows."]


# --- codes ------------------------------------------------------------------------------------------


def test_integer_codes_are_refused_with_a_hint(grid):
    (problem,) = problems(grid.assign(code=range(20)))
    assert problem == (
        "area codes (column 'code') need to be text; got int (20 of 20; first: 0, 1, 2). "
        "Numbers lose leading zeros (0014 becomes 14): read the column as text."
    )
    assert "got float" in problems(grid.assign(code=np.arange(20.0)))[0]
    assert "got int (1 of 20; first: 7)" in problems(grid.assign(code=[7, *grid["code"][1:]]))[0]
    assert (
        "gemeente codes (column 'gemeente') need to be text"
        in problems(grid.assign(gemeente=1), parents=PARENTS)[0]
    )


def test_missing_codes_name_their_rows(grid):
    table = grid.assign(code=[None, "  ", np.nan, *grid["code"][3:]], wijk=[None, *grid["wijk"][1:]])
    assert problems(table, parents={"wijk": "wijk"}) == [
        "area codes (column 'code') need to be given in every row; "
        "got none (3 of 20; first: data row 1, data row 2, data row 3).",
        "wijk codes (column 'wijk') need to be given in every row; got none (1 of 20; first: data row 1).",
    ]


def test_row_numbers_are_no_codes(grid):
    (problem,) = problems(grid, id=None)
    assert problem.startswith(
        "area codes need to be in a column or a text index; got row numbers. Pass id=, one of code"
    )


def test_repeated_codes_name_rows_and_what_differs(grid):
    table = grid.assign(code=[*grid["code"][:18], grid["code"][0], grid["code"][1]])
    one, two = grid["code"][:2]
    assert problems(table, name="name") == [
        "area codes need to be unique; got repeated codes "
        f"(2 of 18; first: {one} in rows 1 and 19, {two} in rows 2 and 20). "
        "Their rows differ in number, name, wijk, gemeente: drop duplicates or pass id=."
    ]


def test_the_same_row_twice_is_no_area_of_two_parts(grid):
    table = pd.concat([grid, grid[:1]], ignore_index=True)
    (problem,) = problems(table)
    assert f"got repeated codes (1 of 20; first: {grid['code'][0]} in rows 1 and 21)" in problem
    points = maps.point_map([(0, 0), (1, 1)]).assign(code="a")
    assert "got repeated codes (1 of 1; first: a in rows 1 and 2)" in problems(points)[0]


def test_parts_of_one_code_become_one_area(grid):
    part = grid.iloc[[2]].assign(geometry=[box(900, 900, 950, 950)], code=grid["code"][2] + " ")
    table = pd.concat([grid, part], ignore_index=True)
    table["OBJECTID"] = range(21)
    areas = read(table, name="name", parents=PARENTS)
    assert areas.codes.tolist() == grid["code"].tolist()
    whole = areas.frame.geometry.iloc[2]
    assert whole.area == 100 * 100 + 50 * 50
    assert isinstance(whole, MultiPolygon)
    assert areas.frame["name"].tolist() == grid["name"].tolist()
    assert areas.crs == grid.crs
    assert areas.notices == (
        f"Several polygons of one code were joined: 2 polygons to 1; first: {grid['code'][2]}.",
    )


def test_parts_without_any_other_column_are_joined():
    table = gpd.GeoDataFrame(geometry=[box(0, 0, 1, 1), box(5, 5, 6, 6)], index=["a", "a"], crs=28992)
    assert read_areas(table).frame.geometry.area.tolist() == [2.0]


def test_absent_columns_are_named_with_those_that_there_are(grid):
    there = "got code, number, geometry, name, wijk, gemeente."
    assert problems(grid, id="cod", name="naam", parents={"gemeente": "gm_code"}) == [
        f"column 'cod' needs to be in the table; {there} Did you mean 'code'?",
        f"column 'naam' needs to be in the table; {there} Did you mean 'name'?",
        f"column 'gm_code' needs to be in the table; {there} Did you mean 'code'?",
    ]


def test_parents_need_to_nest(grid):
    (problem,) = problems(grid, parents={"gemeente": "gemeente", "wijk": "wijk"})
    assert problem == (
        "each gemeente needs to lie in one wijk; got several (2 of 2; first: GM0363, GM0364). "
        "Name the smallest level first."
    )
    assert (
        "need to differ from area, name, water, geometry; got 'name'"
        in problems(grid, parents={"name": "wijk"})[0]
    )


# --- geometry ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        (BOW_TIE, 50.0),
        (Polygon([(0, 0), (10, 0), (10, 10), (20, 20), (10, 10), (0, 10)]), 100.0),  # a spike
        (Polygon([(0, 0), (9, 0), (9, 9), (0, 9)], [[(20, 20), (21, 20), (21, 21)]]), 81.5),  # a hole outside
    ],
)
def test_invalid_polygons_are_repaired_with_a_notice(grid, shape, area):
    assert not shape.is_valid
    areas = read(with_shape(grid, 4, shape))
    mended = areas.frame.geometry.iloc[4]
    assert mended.is_valid
    assert mended.geom_type in ("Polygon", "MultiPolygon")
    assert mended.area == pytest.approx(area)
    assert areas.notices == (f"Invalid geometry was repaired: 1 of 20; first: {grid['code'][4]}.",)


def test_what_has_no_area_cannot_be_repaired(grid):
    flat = Polygon([(0, 0), (10, 0), (5, 0), (0, 0)])
    (problem,) = problems(with_shape(grid, 4, flat))
    assert problem.startswith("geometry needs to be valid; got what cannot be repaired (")
    assert problem.endswith(f"(1 of 20; first: data row 5 ({grid['code'][4]})).")


@pytest.mark.parametrize("shape", [None, Polygon()])
def test_absent_geometry_is_refused(grid, shape):
    assert problems(with_shape(grid, 1, shape)) == [
        f"geometry needs to be there; got empty or none (1 of 20; first: data row 2 ({grid['code'][1]}))."
    ]


def test_geometry_of_several_kinds_is_refused(grid):
    code = grid["code"][1]
    assert problems(with_shape(grid, 1, Point(5, 5))) == [
        f"geometry needs to be of one kind; got points among polygons (1 of 20; first: data row 2 ({code}))."
    ]
    for other in (LineString([(0, 0), (1, 1)]), GeometryCollection([box(0, 0, 1, 1), Point(3, 3)])):
        assert problems(with_shape(grid, 1, other)) == [
            "geometry needs to be polygons or points; "
            f"got {other.geom_type} (1 of 20; first: data row 2 ({code}))."
        ]


def test_endless_coordinates_are_refused(grid):
    (problem,) = problems(with_shape(grid, 1, Polygon([(0, 0), (np.inf, 0), (1, 1)])))
    assert problem.startswith("coordinates need to be finite; got others (1 of 20; first: data row 2 (")


def test_a_map_without_crs_is_refused(grid):
    (problem,) = problems(grid.set_crs(None, allow_override=True))
    assert problem.startswith("the map needs to have a CRS; got none. Set it")


def test_metres_under_a_crs_of_degrees_are_refused(grid):
    table = grid.set_crs(4326, allow_override=True)
    (problem,) = problems(table)
    assert problem.startswith(
        "coordinates need to be degrees (EPSG:4326); got values beyond 360 (11 of 20; first: data row "
    )


def test_all_problems_come_together(grid):
    table = with_shape(with_shape(grid, 0, None), 1, Point(0, 0))
    table = table.assign(code=["", *grid["code"][1:19], grid["code"][1]], gemeente=14)
    table = table.set_crs(None, allow_override=True)
    found = problems(table, name="nam", parents={"gemeente": "gemeente"})
    starts = ["the map needs to have a CRS", "column 'nam'", "area codes (column 'code') need to be given"]
    starts += [
        "geometry needs to be there",
        "geometry needs to be of one kind",
        "gemeente codes",
        "area codes need to be unique",
    ]
    assert [line[: len(start)] for line, start in zip(found, starts, strict=True)] == starts


# --- water ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["water", "H2O"])
def test_water_of_cbs_is_marked(grid, column):
    table = grid.assign(**{column: ["JA ", "NEE", "B", None, *["NEE"] * 16]})
    areas = read(table)
    assert areas.codes[areas.frame["water"]].tolist() == [grid["code"][0]]
    abroad, water = areas.notices
    assert abroad == f"Areas abroad ({column} = B): 1 of 20; first: {grid['code'][2]}."
    assert water == f"Water areas: 1 of 20; first: {grid['code'][0]}."


def test_water_is_known_by_code_too(grid):
    areas = read(grid.assign(code=["BU03639997", "BU03639998", *grid["code"][2:]], lake=False), water="lake")
    assert np.flatnonzero(areas.frame["water"]).tolist() == [0, 1]
    assert areas.notices == ("Water areas: 2 of 20; first: BU03639997, BU03639998.",)


def test_a_water_column_that_is_none_is_left_or_refused(grid):
    table = grid.assign(water=3.5)
    areas = read(table)
    assert not areas.frame["water"].any()
    assert areas.notices == ("Column 'water' was not read as the water column of CBS: it holds 3.5.",)
    assert problems(table, water="water")[0].startswith(
        "column 'water' needs to be JA, NEE, B, true or false; got 3.5 (20 of 20"
    )


# --- real maps --------------------------------------------------------------------------------------


@pytest.mark.shared_data
def test_real_buurten_are_read(shared_data):
    areas = read_areas(
        shared_data / "nl_buurten_2024" / "buurten_2024.gpkg",
        id="code",
        name="naam",
        parents={"wijk": "wk_code", "gemeente": "gm_code"},
    )
    assert len(areas) == 14_566
    assert areas.parent("gemeente").nunique() == 342
    assert areas.codes.str.startswith("BU").all()
