"""Result files: formats, marks, formulas, repeatability, and a folder that is whole or untouched."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
from shapely import MultiPolygon, Polygon, box

from zoo_geo.errors import InputError
from zoo_geo.outputs.folder import MANIFEST, results_folder
from zoo_geo.outputs.tables import write_table

FORMATS = ("geoparquet", "gpkg", "geojson", "csv")
HOSTILE = ["=1+1", "+31 6", "-x", "@sum", "\tcell", '<script>alert("x")</script>']


@pytest.fixture
def flags():
    """A table with text, numbers, gaps, categories and a clockwise polygon with a hole."""
    holed = Polygon([(0, 0), (0, 9), (9, 9), (9, 0)], [[(1, 1), (2, 1), (2, 2), (1, 2)]])
    shapes = [
        holed,
        MultiPolygon([box(10, 0, 11, 1), box(12, 0, 13, 1)]),
        *(box(x, 20, x + 1, 21) for x in range(4)),
    ]
    columns = {
        "area": [f"000{n}" for n in range(6)],
        "area_name": HOSTILE,
        "class": pd.Categorical(["high_95", "low_95", "high_95", None, "high_998", "low_998"]),
        "ratio": [-1.5, 0.1, float("nan"), float("inf"), 2.0, 3.0],
        "n_evidence": pd.array([1, None, 2, 1, 1, 1], dtype="Int32"),
        "flagged": [True, False] * 3,
    }
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=28992)


def test_every_format_is_written_and_marked(flags, tmp_path):
    paths = write_table(flags, "flags", tmp_path, FORMATS)

    assert [path.name for path in paths] == [
        "flags_internal.parquet",
        "flags_internal.gpkg",
        "flags_internal.geojson",
        "flags_internal.csv",
    ]
    tables = [
        gpd.read_parquet(paths[0]),
        gpd.read_file(paths[1]),
        gpd.read_file(paths[2]),
        pd.read_csv(paths[3]),
    ]
    for table in tables:
        assert table.columns[0] == "internal"
        assert set(table["internal"]) == {"internal: not for publication"}
        assert table["area"].astype(str).str[-1].tolist() == list("012345")
    assert pyogrio.list_layers(paths[1]).tolist() == [["flags", "MultiPolygon"]]
    assert tables[0].crs == tables[1].crs == 28992
    assert tables[0].geometry.geom_equals(flags.geometry).all()
    assert tables[1]["area_name"].tolist() == HOSTILE


def test_a_table_without_geometry_goes_where_it_fits(flags, tmp_path):
    paths = write_table(pd.DataFrame(flags.drop(columns="geometry")), "cells", tmp_path, FORMATS)
    assert [path.suffix for path in paths] == [".parquet", ".csv"]
    assert pd.read_parquet(paths[0])["n_evidence"].tolist()[2:] == [2, 1, 1, 1]


def test_the_table_is_not_modified(flags, tmp_path):
    before = flags.copy()
    write_table(flags, "flags", tmp_path, FORMATS)
    pd.testing.assert_frame_equal(flags, before)


def test_csv_neutralises_formulas_in_text_and_leaves_numbers(flags, tmp_path):
    flags = flags.rename(columns={"flagged": "=cmd()"})
    (path,) = write_table(flags, "flags", tmp_path, ["csv"])
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)

    assert header == ["internal", "area", "area_name", "class", "ratio", "n_evidence", "'=cmd()"]
    assert [row[2] for row in rows] == ["'=1+1", "'+31 6", "'-x", "'@sum", "'\tcell", HOSTILE[-1]]
    assert [row[4] for row in rows] == ["-1.5", "0.1", "", "inf", "2.0", "3.0"]
    assert [row[5] for row in rows] == ["1", "", "2", "1", "1", "1"]
    assert rows[0][1] == "0000"
    assert rows[3][3] == ""


def test_csv_can_be_written_for_dutch_excel(flags, tmp_path):
    (path,) = write_table(flags, "flags", tmp_path, ["csv"], csv_dialect="nl")
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter=";")
    assert header[1:6] == ["area", "area_name", "class", "ratio", "n_evidence"]
    assert [row[4] for row in rows] == ["-1,5", "0,1", "", "inf", "2,0", "3,0"]
    assert [row[2] for row in rows][:2] == ["'=1+1", "'+31 6"]


def test_whole_numbers_are_written_as_such(flags, tmp_path):
    flags["rank"] = pd.Series([3.0, None, 1.0, 2.0, None, 4.0])
    flags["n_neighbors"] = pd.Series([8, 5, None, 8, 8, 0], dtype=object)
    paths = write_table(flags, "flags", tmp_path, FORMATS)
    with paths[3].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["3", "", "1", "2", "", "4"]
    assert [row["n_neighbors"] for row in rows] == ["8", "5", "", "8", "8", "0"]
    assert gpd.read_parquet(paths[0])["rank"].dtype == "Int64"
    features = json.loads(paths[2].read_text(encoding="utf-8"))["features"]
    assert [type(each["properties"]["rank"]) for each in features[:3]] == [int, type(None), int]
    assert pyogrio.read_info(paths[1])["dtypes"][-1] in ("int64", "Int64")


@pytest.mark.parametrize("bom", [False, True])
def test_csv_is_utf8_with_a_bom_where_asked(bom, tmp_path):
    (path,) = write_table(
        pd.DataFrame({"area_name": ["Súdwest-Fryslân"]}), "flags", tmp_path, ["csv"], csv_bom=bom
    )
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf") is bom
    assert "Súdwest-Fryslân" in data.decode("utf-8-sig")


def test_geojson_follows_rfc_7946(flags, tmp_path):
    (path,) = write_table(flags, "flags", tmp_path, ["geojson"])
    data = json.loads(path.read_text(encoding="utf-8"))

    assert data["type"] == "FeatureCollection"
    assert "crs" not in data
    first, second = data["features"][:2]
    outer, hole = first["geometry"]["coordinates"]
    assert Polygon(outer).exterior.is_ccw
    assert not Polygon(hole).exterior.is_ccw
    assert second["geometry"]["type"] == "MultiPolygon"
    assert all(3 < x < 8 and 47 < y < 54 for x, y in outer)
    assert all(len(str(x).partition(".")[2]) <= 6 for point in outer for x in point)
    assert first["properties"]["area"] == "0000"
    assert [feature["properties"]["ratio"] for feature in data["features"][1:4]] == [0.1, None, None]


def test_the_same_table_gives_the_same_bytes(flags, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_table(flags, "flags", tmp_path / name, FORMATS)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def run(out: Path, **files: str) -> None:
    with results_folder(out) as folder:
        for name, text in files.items():
            (folder / f"{name}_internal.csv").write_text(text)


def fail(out: Path, error: type[BaseException]) -> None:
    with results_folder(out) as folder:
        (folder / "flags_internal.csv").write_text("half")
        raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_appears_whole(tmp_path):
    out = tmp_path / "deep" / "out"
    with results_folder(out) as folder:
        (folder / "flags_internal.csv").write_text("x")
        assert not out.exists()
    assert names(out) == ["flags_internal.csv", MANIFEST]
    assert names(out.parent) == ["out"]
    listed = json.loads((out / MANIFEST).read_text())["files"]
    assert listed["flags_internal.csv"]["bytes"] == 1
    assert len(listed["flags_internal.csv"]["sha256"]) == 64


def test_a_second_run_replaces_its_own_files_and_no_others(tmp_path):
    out = tmp_path / "out"
    run(out, flags="old", evidence="old")
    (out / "notes.txt").write_text("mine")
    (out / "maps").mkdir()
    (out / "mine_internal.csv").write_text("mine too")
    run(out, flags="new")

    assert names(out) == ["flags_internal.csv", MANIFEST, "maps", "mine_internal.csv", "notes.txt"]
    assert (out / "flags_internal.csv").read_text() == "new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("existing", [False, True])
def test_a_run_that_fails_leaves_no_trace(tmp_path, error, existing):
    out = tmp_path / "out"
    if existing:
        run(out, flags="old")
    with pytest.raises(error):
        fail(out, error)
    assert names(tmp_path) == (["out"] if existing else [])
    if existing:
        assert names(out) == ["flags_internal.csv", MANIFEST]
        assert (out / "flags_internal.csv").read_text() == "old"


def test_files_that_no_manifest_vouches_for_are_not_written_over(tmp_path):
    (tmp_path / "flags_internal.csv").write_text("somebody's")
    with pytest.raises(InputError, match=r"flags_internal\.csv"):
        run(tmp_path, flags="new")
    assert (tmp_path / "flags_internal.csv").read_text() == "somebody's"


def test_a_manifest_cannot_point_outside_its_folder(tmp_path):
    out, victim = tmp_path / "out", tmp_path / "victim_internal.csv"
    victim.write_text("keep")
    run(out, flags="old")
    (out / MANIFEST).write_text(json.dumps({"files": {"../victim_internal.csv": {}, "notes.txt": {}}}))
    (out / "notes.txt").write_text("keep")
    run(out, flags="new")
    assert victim.read_text() == (out / "notes.txt").read_text() == "keep"


def test_out_needs_to_be_a_folder(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="needs to be a folder"):
        run(tmp_path / "out")
