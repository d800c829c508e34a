"""Records into indicators: aggregates beside a naive twin, what is left out, exposures, sources, limits."""

import itertools
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Point, box

import maps
import zoo_geo as zg
from naive import records as naive
from zoo_geo.cells import Grouped, aggregate_query
from zoo_geo.errors import InputError
from zoo_geo.microdata import RecordIndicator, check_microdata, read_microdata
from zoo_geo.records import Limits, Source, open_records

KEY = zg.Key(b"a key of this test, and of no other one")
QUERY = "SELECT area, period, unit, value FROM r"
FITTING = {"count_units": "poisson", "sum": "gaussian", "mean": "gaussian", "share": "binomial"}


def indicator(aggregate="count_units", query=QUERY, **options):
    options.setdefault("family", FITTING[aggregate])
    if options["family"] == "poisson" and not {"exposure", "exposure_query"} & set(options):
        options["exposure_query"] = "SELECT area, period, unit FROM r"
    return RecordIndicator("i", query, aggregate, **options)


def frame_of(rows):
    table = pd.DataFrame(rows, columns=["area", "period", "unit", "value"])
    return table.astype({"period": "Int64", "unit": "string", "area": "string", "value": "Float64"})


def observed(table):
    columns = ["observed", "contributors", "largest", "second_largest"]
    return {
        (a, int(p)): tuple(row) for a, p, *row in table[["area", "period", *columns]].itertuples(index=False)
    }


_ROWS = {
    "area": st.sampled_from(["BU01", "BU02", " BU02", "", None]),
    "period": st.sampled_from([2022, 2023, None]),
    "unit": st.sampled_from(["a", "b ", "b", "c", "d", "", None]),
}
_VALUES = {
    "count_units": st.sampled_from([1.0, None]),
    "share": st.sampled_from([0.0, 1.0, None]),
    "sum": st.one_of(st.none(), st.integers(-1000, 1000).map(float), st.sampled_from([0.1, -2.5, 1e6 / 3])),
    "mean": st.one_of(st.none(), st.floats(-1e6, 1e6, width=32)),
}


@pytest.mark.slow
@pytest.mark.parametrize("aggregate", FITTING)
@settings(max_examples=25)
@given(data=st.data())
def test_aggregates_are_those_of_a_loop(aggregate, data):
    row = st.tuples(*_ROWS.values(), _VALUES[aggregate])
    rows = data.draw(st.lists(row, min_size=1, max_size=40))
    expected = naive.cells(rows, aggregate)
    people = {"area": ["BU01", "BU02", "BU01", "BU02"], "period": ["2022", "2022", "2023", "2023"]}
    exposure = pd.DataFrame(people | {"exposure": 9.0})
    options = {"exposure": exposure} if aggregate == "count_units" else {}
    if not expected and not options:
        with pytest.raises(InputError, match="query needs to give records"):
            read_microdata({"r": frame_of(rows)}, [indicator(aggregate)])
        return
    figures = read_microdata({"r": frame_of(rows)}, [indicator(aggregate, **options)])
    found = observed(figures.frame[figures.frame["contributors"] > 0])
    assert found.keys() == expected.keys()
    for cell, row in expected.items():
        assert found[cell] == pytest.approx(row, rel=1e-11, abs=1e-11)
    shuffled = data.draw(st.permutations(rows))
    again = read_microdata({"r": frame_of(shuffled)}, [indicator(aggregate, **options)])
    pd.testing.assert_frame_equal(again.frame, figures.frame, check_exact=True)


def test_totals_do_not_depend_on_threads_or_order():
    draws = np.random.default_rng(5)
    n = 60_000
    table = pd.DataFrame(
        {"area": draws.choice(["BU01", "BU02"], n), "period": 2023, "unit": draws.integers(0, 9000, n)}
    )
    table["value"] = draws.lognormal(3, 3, n)
    one = read_microdata({"r": table}, [indicator("sum")], limits=Limits(threads=1)).frame
    for threads, rows in itertools.product((2, 4), (table, table.sample(frac=1, random_state=1))):
        frame = read_microdata({"r": rows}, [indicator("sum")], limits=Limits(threads=threads)).frame
        pd.testing.assert_frame_equal(frame, one, check_exact=True)
    np.testing.assert_allclose(one["observed"], table.groupby("area")["value"].sum(), rtol=1e-12)


_SHARED = {
    "count": "SELECT area, period, unit FROM r",
    "sum": "SELECT area, period, unit, value FROM r",
    "mean": "SELECT area, period, unit, value AS value FROM r",
    "split": "SELECT area, period, unit, value, CASE WHEN value > 0 THEN 'a' END AS branch FROM r",
    "some": "SELECT area, period, unit, value FROM r WHERE value > 0",
    "share": "SELECT area, period, unit, value > 0 AS value FROM r WHERE value > 0 OR value < 0",
}


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("once", [True, False])
def test_indicators_of_one_run_are_those_of_runs_of_their_own(order, once):
    draws = np.random.default_rng(3 + once)
    columns = [["BU01", "BU02", " BU02" if once else "BU03", None], [2022, 2023, None], ["a", "b", "c", ""]]
    columns.append([0.1, -2.5, 1e6 / 3, 0.0])
    rows = [tuple(draws.choice(np.array(each, dtype=object)) for each in columns) for _ in range(60)]
    if once:  # no unit twice in a cell: later queries need not look for it
        rows = list({(str(a).strip(), *rest): (a, *rest, v) for a, *rest, v in rows}.values())
    kinds = {"count": "count_units", "split": "sum", "some": "sum"}
    asked = [
        replace(indicator(kinds.get(id, id), query), id=id) for id, query in list(_SHARED.items())[::order]
    ]
    together = read_microdata({"r": frame_of(rows)}, asked)
    for each in asked:
        alone = read_microdata({"r": frame_of(rows)}, [each])
        for name in ("frame", "branches"):
            table = getattr(together, name)
            of_it = table[table["indicator"] == each.id].reset_index(drop=True)
            expected = getattr(alone, name)
            pd.testing.assert_frame_equal(of_it, expected, check_exact=True, check_dtype=len(expected) > 0)


@pytest.mark.parametrize("once", [True, False])
def test_records_are_grouped_by_unit_once_where_no_unit_is_twice_in_a_cell(once):
    table = pd.DataFrame({"area": "BU01", "unit": [1, 2, 3 if once else 2], "n": [1, 2, 3]})
    grouped = Grouped()
    with open_records([Source("r", frame=table)], None, None, Limits()) as records:
        aggregate_query(records, "SELECT area, unit FROM r WHERE n > 0", "count_units", grouped)
        assert grouped.once("SELECT area, unit, n * 2 AS value FROM r WHERE n > 0") is once
        assert not grouped.once("SELECT area, unit FROM r")
        aggregate_query(records, "SELECT area, unit FROM r", "count_units", grouped)
        assert grouped.once("SELECT area, unit, n AS value FROM r  WHERE n < 3") is once


def test_records_without_value_are_looked_at_again_by_a_query_without_one():
    table = pd.DataFrame({"area": "BU01", "unit": [1, 1, 2], "value": [None, 2.0, 3.0]})
    asked = {"with": "SELECT area, unit, value FROM r", "without": "SELECT area, unit FROM r"}
    for order in (["with", "without"], ["without", "with"]):
        found = read_microdata({"r": table}, [replace(indicator("sum", asked[id]), id=id) for id in order])
        assert found.frame["contributors"].tolist() == [2, 2]


def test_a_unit_counts_once_in_a_cell_and_in_every_cell_it_is_in():
    rows = [("BU01", 2023, "a", 1), ("BU01", 2023, "a", 1), ("BU02", 2023, "a", 1), ("BU01", 2022, "a", 1)]
    assert read_microdata({"r": frame_of(rows)}, [indicator()]).frame["observed"].tolist() == [1, 1, 1]


def test_a_mean_is_over_units_and_not_over_records():
    rows = [("BU01", 2023, "a", 10), ("BU01", 2023, "a", 20), ("BU01", 2023, "b", 45)]
    figures = read_microdata({"r": frame_of(rows)}, [indicator("mean")])
    assert figures.frame.loc[0, ["observed", "exposure", "contributors"]].tolist() == [30, 2, 2]
    assert figures.frame.loc[0, ["largest", "second_largest"]].tolist() == [45, 15]
    assert figures.panel.exposure.item() == 2


def test_two_records_of_a_share_are_one_unit_with_it():
    rows = [("BU01", 2023, "a", 0), ("BU01", 2023, "a", 1), ("BU01", 2023, "b", 0)]
    found = read_microdata({"r": frame_of(rows)}, [indicator("share")]).frame
    assert found.loc[0, ["observed", "exposure", "contributors"]].tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("sum", [-72, 3, 100, 21]), ("mean", [-86 / 3, 3, 100, 10.5]), ("count_units", [3, 3, 1, 1])],
)
def test_the_largest_contribution_may_be_negative(aggregate, expected):
    values = [-100, -4, 16, 5, 11] if aggregate != "count_units" else [1] * 5
    rows = [("BU01", 2023, unit, value) for unit, value in zip("abccb", values, strict=True)]
    found = read_microdata({"r": frame_of(rows)}, [indicator(aggregate)]).frame
    columns = ["observed", "contributors", "largest", "second_largest"]
    assert found.loc[0, columns].tolist() == pytest.approx(expected)


def test_what_is_left_out_is_counted_and_said():
    rows = [(None, 2023, "a", 1), ("  ", 2023, "b", 1), ("BU01", None, "a", 1), ("BU01", 2023, "", 1),
            ("BU01", 2023, "c", None), ("BU01", 2023, "d", 1)]  # fmt: skip
    figures = read_microdata({"r": frame_of(rows)}, [indicator("sum")])
    assert figures.notices == (
        "indicator i: 2 of 6 records have no area and were left out.",
        "indicator i: 1 of 6 records have no period and were left out.",
        "indicator i: 1 of 6 records have no unit and were left out.",
        "indicator i: 1 of 6 records have no value and were left out.",
    )
    assert figures.frame["observed"].tolist() == [1]


def test_areas_without_records_have_a_zero_where_the_exposure_is_known():
    rows = [("BU01", 2022, "a", 1), ("BU01", 2023, "a", 1)]
    people = pd.DataFrame({"area": ["BU01", "BU02", "BU03", "BU04"], "exposure": [10.0, 20.0, np.nan, 0.0]})
    figures = read_microdata({"r": frame_of(rows)}, [indicator(exposure=people)])
    panel = figures.panel.frame.set_index(["area", "period"])
    assert panel["observed"].to_dict() == {
        ("BU01", "2022"): 1, ("BU01", "2023"): 1, ("BU02", "2022"): 0, ("BU02", "2023"): 0,
        ("BU04", "2022"): 0, ("BU04", "2023"): 0,
    }  # fmt: skip
    assert panel.loc["BU04", "status"].tolist() == ["no_exposure", "no_exposure"]
    empty = figures.frame.set_index("area").loc["BU02", ["contributors", "largest", "second_largest"]]
    assert (empty == 0).all(axis=None)


def test_an_exposure_of_a_period_holds_for_that_period():
    rows = [("BU01", 2022, "a", 1), ("BU01", 2023, "a", 1), ("BU01", 2024, "a", 1)]
    people = pd.DataFrame(
        {"area": "BU01", "period": ["2022", "2023", "2030"], "exposure": [10.0, 20.0, 30.0]}
    )
    panel = read_microdata({"r": frame_of(rows)}, [indicator(exposure=people)]).panel
    assert panel.periods == ("2022", "2023", "2024")
    assert panel.frame["status"].tolist() == ["ok", "ok", "missing"]


def test_an_exposure_is_read_as_any_table():
    rows = [("0014", 2023, "a", 1), ("0015", 2023, "b", 1)]
    people = pd.DataFrame({"area": [" 0014", "0015"], "period": [2023, 2023], "exposure": ["10", "20"]})
    found = read_microdata({"r": frame_of(rows)}, [indicator(exposure=people)])
    assert found.frame["exposure"].tolist() == [10, 20]
    for wrong, words in [
        (people.rename(columns={"exposure": "people"}), "indicator i: exposure: .*exposure"),
        (people.assign(area=[14, 15]), "indicator i: exposure: .*text"),
        (people.assign(area="0014"), "indicator i: exposure: .*repeated"),
        (people.assign(exposure=[-1, 2]), "exposure of i needs to be 0 or more"),
    ]:
        with pytest.raises(InputError, match=words):
            read_microdata({"r": frame_of(rows)}, [indicator(exposure=wrong)])


def test_blanks_of_any_kind_around_codes_do_not_count():
    table = pd.DataFrame({"area": ["B1", "B1\t", "\u00a0B1 ", " \n"], "unit": ["a", "a\t", "b", "c"]})
    found = read_microdata({"r": table}, [indicator("sum", "SELECT area, unit FROM r")])
    assert found.frame[["area", "observed", "contributors"]].values.tolist() == [["B1", 3.0, 2]]


def test_a_secret_exposure_stays_secret():
    people = pd.DataFrame({"code": ["BU01", "BU02"], "n": ["100", "-99997"]})
    exposure = zg.microdata.read_exposure(people, "code", None, {"": "n"})
    rows = [("BU01", 2022, "a", 1), ("BU02", 2022, "a", 1)]
    for options in ({}, {"aggregate": "sum", "family": "gaussian"}):
        figures = read_microdata({"r": frame_of(rows)}, [indicator(**options, exposure=exposure)])
        assert figures.panel.frame["status"].tolist() == ["ok", "secret"]
        assert figures.frame["exposure"].isna().tolist() == [False, True]


_YEARS = {
    "area": ["BU01", "BU01", "BU02", "BU02"],
    "period": [2022, 2023, 2022, 2023],
    "unit": ["a", "b", "c", "d"],
    "value": 1.0,
}
_FIVE = pd.DataFrame({"area": ["BU01", "BU02"], "period": "2023", "exposure": [10.0, 20.0]})


@pytest.mark.parametrize(
    ("query", "exposure", "words"),
    [
        (QUERY, _FIVE.assign(exposure=np.nan), r"rows with a number; got none \(0 of 2\)"),
        (
            QUERY,
            _FIVE.assign(period="2019"),
            r"records have periods \(2; first: 2022, 2023\), the exposure has \(1; first: 2019\)",
        ),
        ("SELECT area, unit FROM r", _FIVE, r"\(1; first: all\), .* Return AS period in the query"),
        (
            QUERY,
            _FIVE.assign(area=["1", "2"]),
            r"records have areas \(2; first: BU01, BU02\), the exposure has \(2; first: 1, 2\)",
        ),
        (
            "SELECT * FROM r WHERE area = 'BU01' AND period = 2022 OR area = 'BU02' AND period = 2023",
            _FIVE[:1],
            "though some of their areas, in other periods",
        ),
    ],
)
def test_an_exposure_that_fits_no_figure_is_an_error(query, exposure, words):
    table = pd.DataFrame(_YEARS)
    with pytest.raises(InputError, match=f"^indicator i: exposure needs to have .*{words}"):
        read_microdata({"r": table}, [indicator(query=query, exposure=exposure)])


def test_an_exposure_query_without_rows_is_an_error():
    asked = indicator(exposure_query="SELECT area, period, unit FROM r WHERE area = '1'")
    with pytest.raises(InputError, match="exposure needs to have rows with a number; got none"):
        read_microdata({"r": pd.DataFrame(_YEARS)}, [asked])
    with pytest.raises(InputError, match="exposure: the table needs to hold figures; got no"):
        read_microdata({"r": pd.DataFrame(_YEARS)}, [indicator(exposure=_FIVE[:0])])


def test_periods_without_exposure_and_exposures_of_nothing_are_named():
    exposure = _FIVE.assign(exposure=[0.0, 20.0])
    found = read_microdata({"r": pd.DataFrame(_YEARS)}, [indicator(exposure=exposure)])
    assert found.notices == (
        "indicator i: periods without any exposure have no figures (1 of 2; first: 2022).",
        "indicator i: exposure is 0 in 1 of 4 cells, which have no figures (areas: 1; first: BU01).",
    )
    assert found.panel.frame["status"].tolist() == ["missing", "no_exposure", "missing", "ok"]
    cells = zg.Deviation("national").detect(found.panel).frame
    assert np.isfinite(cells["value"]).tolist() == [False, False, False, True]
    assert not np.isinf(cells["value"]).any()
    whole = read_microdata({"r": pd.DataFrame(_YEARS)}, [indicator(exposure=_FIVE.drop(columns="period"))])
    assert whole.notices == ()


def test_exposure_from_records():
    rows = [("BU01", 2023, "a", 1), ("BU01", 2023, "b", 0), ("BU02", 2023, "c", 0)]
    figures = read_microdata(
        {"r": frame_of(rows)},
        [indicator(query="SELECT area, period, unit FROM r WHERE value = 1",
                   exposure_query="SELECT area, unit, value FROM r", exposure_aggregate="sum")],
    )  # fmt: skip
    assert figures.panel.frame[["observed", "exposure"]].values.tolist() == [[1, 1], [0, 0]]


def test_a_total_per_exposure_is_a_value_with_that_weight():
    rows = [("BU01", 2023, "a", 100.5), ("BU01", 2023, "b", 49.5), ("BU02", 2023, "c", 8)]
    people = pd.DataFrame({"area": ["BU01", "BU02", "BU03"], "exposure": [300.0, 0.0, 5.0]})
    figures = read_microdata({"r": frame_of(rows)}, [indicator("sum", exposure=people, per=1000.0)])
    assert figures.frame["observed"].tolist() == [150, 8, 0]
    assert figures.panel.observed.ravel().tolist() == [500, 0, 0]
    assert figures.panel.frame["status"].tolist() == ["ok", "no_exposure", "ok"]


def test_branches_have_cells_of_their_own_and_a_unit_counts_once_in_the_whole():
    table = pd.DataFrame({
        "area": "BU01", "unit": ["a", "a", "b", "c"], "branch": ["96.02", "47.1", "96.02", None],
        "value": [5, 1, 2, 4],
    })  # fmt: skip
    figures = read_microdata({"r": table}, [indicator("sum", "SELECT area, unit, value, branch FROM r")])
    assert figures.frame.loc[0, ["observed", "contributors", "largest", "second_largest"]].tolist() == [
        12,
        3,
        6,
        4,
    ]
    assert figures.branches[["branch", "observed", "contributors", "largest"]].values.tolist() == [
        ["47.1", 1, 1, 1],
        ["96.02", 7, 2, 5],
    ]
    assert "1 of 4 records have no branch" in figures.notices[0]


def test_types_of_periods():
    table = pd.DataFrame({"day": pd.to_datetime(["2023-01-05", None]), "unit": [1, 2]})
    query = "SELECT 'BU01' AS area, CAST(day AS DATE) AS period, unit FROM r"
    assert read_microdata({"r": table}, [indicator("sum", query)]).panel.periods == ("2023-01-05",)
    query = "SELECT 'BU01' AS area, extract(year FROM day) AS period, unit FROM r"
    assert read_microdata({"r": table}, [indicator("sum", query)]).panel.periods == ("2023",)
    assert read_microdata(
        {"r": table}, [indicator("sum", "SELECT 'BU01' AS area, unit FROM r")]
    ).panel.periods == ("all",)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT unit FROM r", "query needs to return a column area; got none."),
        ("SELECT area FROM r", "query needs to return a column unit; got none."),
        ("SELECT area, unit, 1 AS valeu FROM r", 'only; got valeu. Did you mean "value"?'),
        (
            "SELECT 12 AS area, unit FROM r",
            "column area needs to be text, as numbers lose leading zeros; got INTEGER.",
        ),
        (
            "SELECT area, unit, 2.5 AS period FROM r",
            "column period needs to be a whole number, a date or text",
        ),
        (
            "SELECT area, value AS unit FROM r",
            "column unit needs to be text, a whole number or a keyed code; got DOUBLE",
        ),
        (
            "SELECT area, unit, area AS value FROM r",
            "column value needs to be a number, or true and false; got VARCHAR",
        ),
        ("SELECT area, unit, oeps AS value FROM r", 'Referenced column "oeps" not found'),
    ],
)
@pytest.mark.parametrize("run", [check_microdata, read_microdata])
def test_columns_of_a_query_are_checked(query, words, run):
    table = frame_of([("BU01", 2023, "a", 1)]).astype({"value": float})
    with pytest.raises(InputError) as caught:
        run([Source("r", frame=table)], [indicator("sum", query)])
    assert words in str(caught.value)
    assert str(caught.value).startswith("indicator i: ")


def test_values_of_counts_and_shares_are_checked():
    rows = [("BU01", 2023, "a", 1), ("BU01", 2023, "b", 0), ("BU01", 2023, "c", 3)]
    with pytest.raises(
        InputError, match=r"1 \(or left out\) for aggregate count_units; got others \(2 of 3 records\)"
    ):
        read_microdata({"r": frame_of(rows)}, [indicator()])
    with pytest.raises(InputError, match=r"0 or 1 for aggregate share; got others \(1 of 3 records\)"):
        read_microdata({"r": frame_of(rows)}, [indicator("share")])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"aggregate": "mean", "family": "poisson"},
            "family needs to be gaussian for aggregate mean; got poisson.",
        ),
        ({"aggregate": "share", "family": "gaussian"}, "family needs to be binomial for aggregate share"),
        ({"aggregate": "count_units", "family": "gaussian"}, "family needs to be poisson or binomial for"),
        ({"aggregate": "mean", "exposure_query": QUERY}, "exposure needs to be left out for aggregate mean"),
        (
            {"aggregate": "sum", "exposure_query": QUERY, "exposure": pd.DataFrame()},
            "a column or a query; got both.",
        ),
    ],
)
def test_what_does_not_go_together(options, words):
    with pytest.raises(InputError) as caught:
        read_microdata({"r": frame_of([("BU01", 2023, "a", 1)])}, [indicator(**options)])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("option", "got", "words"),
    [
        ("aggregate", "shares", "count_units, sum, mean, share; got 'shares'. Did you mean 'share'?"),
        ("exposure_aggregate", "mean", "exposure_aggregate needs to be one of count_units, sum; got 'mean'."),
    ],
)
def test_an_unknown_aggregate_is_refused_when_it_is_written(option, got, words):
    with pytest.raises(InputError, match=f"^indicator i: {option} needs .*") as caught:
        RecordIndicator("i", QUERY, **{option: got})
    assert words in str(caught.value)


def test_a_family_that_does_not_fit_asks_for_no_exposure():
    with pytest.raises(InputError) as caught:
        read_microdata({"r": PEOPLE}, [RecordIndicator("i", "SELECT area, unit FROM r", "mean", "poisson")])
    assert caught.value.problems == [
        "indicator i: family needs to be gaussian for aggregate mean; got poisson."
    ]


def test_counts_need_an_exposure():
    with pytest.raises(
        InputError, match="exposure needs to be a column or exposure_query for family poisson"
    ):
        read_microdata({"r": frame_of([("BU01", 2023, "a", 1)])}, [RecordIndicator("i", QUERY)])


def test_areas_that_are_not_on_the_map():
    areas = maps.grid_map()
    areas = zg.read_areas(areas, id=next(name for name in areas if "code" in name))
    rows = [(areas.codes[0], 2023, "a", 1), ("BU99", 2023, "b", 1), ("BU99", 2023, "b", 1)]
    table = frame_of(rows)
    with pytest.raises(
        InputError,
        match=r"areas need to be on the map; got others: 1 units in areas \(1 of 2; first: BU99\)",
    ):
        read_microdata({"r": table}, [indicator("sum")], areas=areas)
    figures = read_microdata({"r": table}, [indicator("sum")], areas=areas, unknown_areas="drop")
    assert figures.frame["area"].tolist() == [areas.codes[0]]
    assert "left out: 1 units in areas (1 of 2; first: BU99)" in figures.notices[0]


def test_input_is_not_modified():
    table = frame_of([(" BU01", 2023, "a ", 1)])
    before = table.copy()
    read_microdata({"r": table}, [indicator("sum")])
    pd.testing.assert_frame_equal(table, before)


# Sources


def write(table, path):
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".duckdb":
        import duckdb

        with duckdb.connect(str(path)) as db:
            db.register("t", table)
            db.execute('CREATE SCHEMA "s t"; CREATE TABLE "s t".people AS SELECT * FROM t')
    else:
        points = gpd.GeoDataFrame(table, geometry=[Point(7, 8)] * len(table), crs=28992)
        points.to_file(path) if path.suffix == ".gpkg" else points.to_parquet(path)
    return path


PEOPLE = pd.DataFrame({"area": ["0014", "0014", "0020"], "unit": [1, 2, 3], "value": [1.5, 2.0, -3.0]})


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.geoparquet", "p.gpkg", "p.duckdb"])
@pytest.mark.parametrize("run", [check_microdata, read_microdata])
def test_every_kind_of_file_gives_the_same(name, run, tmp_path):
    path = write(PEOPLE, tmp_path / name)
    source = Source("r", path, table="s t.people" if name.endswith("duckdb") else None)
    figures = run([source], [indicator("sum", "SELECT area, unit, value FROM r")])
    if run is read_microdata:
        assert figures.frame[["area", "observed"]].values.tolist() == [["0014", 3.5], ["0020", -3.0]]


@pytest.mark.parametrize("name", ["p.geoparquet", "p.gpkg"])
def test_points_have_coordinates(name, tmp_path):
    path = write(PEOPLE, tmp_path / name)
    figures = read_microdata(
        [Source("r", path)], [indicator("sum", "SELECT area, unit, x * 10 + y AS value FROM r")]
    )
    assert figures.frame["observed"].tolist() == [156, 78]


def test_shapes_have_no_coordinates(tmp_path):
    gpd.GeoDataFrame(PEOPLE, geometry=[box(0, 0, 1, 1)] * 3, crs=28992).to_file(tmp_path / "p.gpkg")
    figures = read_microdata(
        [Source("r", tmp_path / "p.gpkg")],
        [indicator("sum", "SELECT area, unit, coalesce(x, 5) AS value FROM r")],
    )
    assert figures.frame["observed"].tolist() == [10, 5]


# Two squares of 9 metres side by side, the second one water; a point in each, on their border, outside,
# and nowhere
_MAP = gpd.GeoDataFrame(
    {"code": ["BU02", "BU01"], "water": [False, True]},
    geometry=[box(155000, 463000, 155009, 463009), box(155009, 463000, 155018, 463009)],
    crs=28992,
)
_PLACES = [(155001.0, 463001.0), (155010.0, 463001.0), (155009.0, 463001.0), (155050.0, 463001.0), None]


def placed_file(folder, name, crs):
    points = gpd.GeoSeries([place and Point(place) for place in _PLACES], crs=28992).to_crs(crs or 28992)
    table = gpd.GeoDataFrame({"nr": range(1, 6)}, geometry=points, crs=points.crs)
    if name.endswith(".gpkg"):
        table.to_file(folder / name)
    elif name.endswith(".geoparquet"):
        table.to_parquet(folder / name)
    else:
        bare = pd.DataFrame({"nr": range(1, 6), "oost": points.x, "noord": points.y})
        bare.to_csv(folder / name, index=False) if name == "p.csv" else bare.to_parquet(folder / name)
    return folder / name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.gpkg", "p.geoparquet"])
@pytest.mark.parametrize("crs", [None, 4258])
@pytest.mark.parametrize("on_border", ["lowest", "none"])
def test_records_with_coordinates_are_put_into_areas_while_they_are_read(name, crs, on_border, tmp_path):
    areas = zg.read_areas(_MAP, id="code", water="water")
    named = {} if name in ("p.gpkg", "p.geoparquet") else {"x": "oost", "y": "noord"}
    if named and crs:
        named["crs"] = f"EPSG:{crs}"
    path = placed_file(tmp_path, name, crs)
    source = Source("p", path, locate="buurt", on_border=on_border, **named)
    query = indicator("sum", "SELECT buurt AS area, nr AS unit, nr AS value FROM p")
    found = read_microdata([source], [query], areas=areas)
    check_microdata([source], [query], areas=areas)
    expected = {"BU01": 2.0, "BU02": 4.0 if on_border == "lowest" and not crs else 1.0}
    if crs:  # back on the map a point on a border is on one side of it
        assert sum(found.frame["observed"]) == 6.0
        assert "source p: 1 of 5 records lie outside all areas." in found.notices
        return
    assert dict(zip(found.frame["area"], found.frame["observed"], strict=True)) == expected
    rule = "the lowest code gets them, land before water" if on_border == "lowest" else "no area gets them"
    assert found.notices == (
        f"source p: 1 of 5 records lie on a border: {rule}.",
        "source p: 1 of 5 records lie outside all areas.",
        "source p: 1 of 5 records carry no place.",
        "source p: 1 of 5 records lie in a water area.",
        f"indicator i: {2 + (on_border == 'none')} of 5 records have no area and were left out.",
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"x": "Oosten"},
            "source p: x needs to name a column of it; got 'Oosten', which is none. Did you mean",
        ),
        ({"locate": "nr"}, "source p: locate needs to be a name that is no column of it; got 'nr'"),
        ({"crs": "EPSG:nul"}, "source p: crs needs to be a coordinate system"),
        ({"y": "soort"}, "source p: y needs to name a column of numbers; got 'soort', which holds VARCHAR"),
        ({"x": "noord", "y": "oost"}, "fit the map as y, x"),
        ({"crs": None}, r"look like degrees\. Say what they are in with crs\."),
    ],
)
def test_what_is_wrong_with_places_is_said(options, words, tmp_path):
    areas = zg.read_areas(_MAP, id="code", water="water")
    crs = 4258 if "crs" in options and options["crs"] is None else None
    table = pd.read_csv(placed_file(tmp_path, "p.csv", crs)).assign(soort="a")
    given = {"x": "oost", "y": "noord", "locate": "buurt"} | options
    query = indicator("sum", f"SELECT {given['locate']} AS area, nr AS unit FROM p")
    with pytest.raises(InputError, match=words) as caught:
        read_microdata([Source("p", frame=table, **given)], [query], areas=areas)
    assert not re.search(r"\b(5\.3|52\.1|155|463)", str(caught.value))  # nobody's place


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({"x": "lat", "y": "lon", "crs": "EPSG:4326"}, (52.15, 5.39)),  # swapped
        ({"x": "lat", "y": "lon", "crs": "EPSG:28992"}, (155001.0, 463050.0)),  # north of the map
        ({"x": "lat", "y": "lon", "crs": "EPSG:4326"}, (952.0, 5.39)),  # no place on earth
    ],
)
def test_a_source_of_which_all_records_lie_outside_is_an_error(options, first):
    areas = zg.read_areas(_MAP, id="code", water="water")
    table = pd.DataFrame({"nr": [1, 2, 3], "lat": [*first[:1], first[0], None], "lon": [first[1]] * 3})
    query = indicator("sum", "SELECT buurt AS area, nr AS unit FROM p")
    source = Source("p", frame=table, locate="buurt", **options)
    for run in (check_microdata, read_microdata):
        with pytest.raises(
            InputError, match=r"source p: .*all 2 outside\. Are x \(longitude\) and y .*swapped"
        ):
            run([source], [query], areas=areas)
    many = replace(source, frame=pd.concat([table] * 7000))  # of which a check reads a part
    check_microdata([many], [query], areas=areas)


def test_strange_and_half_places_stop_no_source():
    areas = zg.read_areas(_MAP, id="code", water="water")
    point = gpd.GeoSeries([Point(155001, 463001)], crs=28992).to_crs(4326)[0]
    x, y = [point.x, point.x, None, None, 952.0], [point.y, None, point.y, None, 95.0]
    table = pd.DataFrame({"nr": range(1, 6), "x": x, "y": y})
    query = indicator("sum", "SELECT buurt AS area, nr AS unit FROM p")
    found = read_microdata([Source("p", frame=table, locate="buurt", crs="EPSG:4326")], [query], areas=areas)
    assert found.frame["observed"].tolist() == [1]
    assert found.notices[:2] == (
        "source p: 1 of 5 records lie outside all areas.",
        "source p: 3 of 5 records carry no place.",
    )


def test_places_need_a_map():
    source = Source("p", frame=pd.DataFrame({"nr": [1], "x": [1.0], "y": [1.0]}), locate="buurt")
    with pytest.raises(InputError, match=r"source p: locate needs to have a map; got none\. Pass areas="):
        read_microdata([source], [indicator("sum", "SELECT buurt AS area, nr AS unit FROM p")])


def test_records_get_the_place_of_their_address_by_a_join():
    areas = zg.read_areas(_MAP, id="code", water="water")
    xy = np.array([place or (np.nan, np.nan) for place in _PLACES])
    addresses = pd.DataFrame({"adres": list("abcde"), "x": xy[:, 0], "y": xy[:, 1]})
    persons = pd.DataFrame({"nr": range(1, 8), "adres": ["a", "a", "b", "d", "e", "zz", None]})
    sources = [Source("adressen", frame=addresses, locate="buurt"), Source("personen", frame=persons)]
    query = "SELECT buurt AS area, nr AS unit FROM personen LEFT JOIN adressen USING (adres)"
    found = read_microdata(sources, [indicator("sum", query)], areas=areas)
    assert found.frame[["area", "observed"]].values.tolist() == [["BU01", 1.0], ["BU02", 2.0]]
    assert "indicator i: 4 of 7 records have no area and were left out." in found.notices


def test_dutch_csv(tmp_path):
    (tmp_path / "p.csv").write_text(
        'area;unit;value;text\n"0014";1;1,5;01\n0020; 2 ;-3;2\n;3;;\n', encoding="utf-8-sig"
    )
    query = "SELECT area, unit, value + CASE WHEN text = '01' THEN 100 ELSE 0 END AS value FROM r"
    figures = read_microdata([Source("r", tmp_path / "p.csv")], [indicator("sum", query)])
    assert figures.frame[["area", "observed"]].values.tolist() == [["0014", 101.5], ["0020", -3.0]]
    assert "1 of 3 records have no area" in figures.notices[0]


def test_thousands_dots_in_csv_are_no_numbers(tmp_path):
    (tmp_path / "p.csv").write_text("area;unit;value\nBU01;1;1.445\n")
    with pytest.raises(InputError, match="column value needs to be a number"):
        read_microdata(
            [Source("r", tmp_path / "p.csv")], [indicator("sum", "SELECT area, unit, value FROM r")]
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs to have one of path and dsn_env; got 0."),
        ({"path": Path("a.csv"), "dsn_env": "X"}, "needs to have one of path and dsn_env; got 2."),
        ({"path": Path("a.duckdb")}, "needs to name a table of the database"),
    ],
)
def test_sources_are_put_together_well(options, words):
    with pytest.raises(InputError, match=words):
        Source("r", **options)


def test_names_of_sources_are_unique_whatever_the_capitals():
    with pytest.raises(InputError, match=r"sources need to have ids of their own.*2 of 2; first: r, r"):
        read_microdata({"r": PEOPLE, "R": PEOPLE}, [indicator()])


def test_mixed_types_in_a_frame_are_told_without_values():
    table = pd.DataFrame({"area": ["BU01", "BU02"], "unit": pd.Series([1, "123456782"], dtype=object)})
    with pytest.raises(
        InputError, match=r"columns need to be of one type; got mixed ones \(1; first: unit\)"
    ) as caught:
        read_microdata({"r": table}, [indicator("sum", "SELECT area, unit FROM r")])
    assert "123456782" not in str(caught.value)


def test_a_file_that_is_not_what_it_says(tmp_path):
    (tmp_path / "p.parquet").write_text("123456782")
    with pytest.raises(InputError, match="source r: file needs to be Parquet") as caught:
        read_microdata([Source("r", tmp_path / "p.parquet")], [indicator("sum")])
    assert "123456782" not in str(caught.value)


def test_nothing_stays_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    read_microdata({"r": PEOPLE}, [indicator("sum", "SELECT area, unit FROM r")])
    with pytest.raises(InputError):
        read_microdata({"r": PEOPLE}, [indicator("sum", "SELECT area, oeps AS unit FROM r")])
    assert not list(tmp_path.iterdir())


_KILLED = """
import os, signal, sys, tempfile
from zoo_geo.private_folder import private_folder
tempfile.tempdir = sys.argv[1]
with private_folder() as folder:
    (folder / "spill").write_text("records")
    print("made", flush=True)
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals and locks of files")
def test_what_a_killed_process_left_is_removed_and_what_others_use_is_not(tmp_path, monkeypatch):
    def start(what):
        command = [sys.executable, "-c", _KILLED, str(tmp_path), what]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdout.readline()
        return process

    with start("kill") as killed:
        killed.wait()
    (left,) = tmp_path.iterdir()
    assert (left / "spill").exists()
    foreign = tmp_path / "zoo-geo-without-lock"
    foreign.mkdir()
    with start("wait") as other:
        (used,) = set(tmp_path.iterdir()) - {left, foreign}
        assert used.stat().st_mode & 0o077 == 0
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        read_microdata({"r": PEOPLE}, [indicator("sum", "SELECT area, unit FROM r")])
        assert set(tmp_path.iterdir()) == {used, foreign}
        other.communicate(b"\n")
    assert set(tmp_path.iterdir()) == {foreign}


@pytest.mark.slow
def test_records_are_on_disk_only_where_memory_is_short(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    n = 3_000_000
    table = pd.DataFrame({"area": "BU01", "unit": np.arange(n), "other": np.arange(n) * 7919 % 1_000_003})
    query, seen = "SELECT area, unit, other AS value FROM r", {}
    for memory in ("4GB", "60MB"):
        with open_records([Source("r", frame=table)], None, None, Limits(memory)) as records:
            assert records.run("SELECT count(*) FROM r").fetchone() == (n,)
            seen[memory] = sum(path.stat().st_size for path in tmp_path.rglob("*"))
        assert not list(tmp_path.iterdir())
    assert seen["4GB"] < 50_000 < seen["60MB"], query


_ENDLESS = """
import sys, tempfile
import pandas as pd
import zoo_geo as zg
tempfile.tempdir = sys.argv[1]
endless = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT (n + 1) % 9 FROM t)"
query = endless + " SELECT 'B' AS area, n AS unit FROM t"
print("begun", flush=True)
zg.read_microdata({"r": pd.DataFrame({"a": [1]})}, [zg.RecordIndicator("i", query, "sum", "gaussian")])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_ends_a_query_and_leaves_nothing(tmp_path):
    words = [sys.executable, "-W", "ignore", "-c", _ENDLESS, str(tmp_path)]
    allow = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=allow) as process:
        process.stdout.readline()
        until = time.monotonic() + 60
        while not list(tmp_path.glob("*/lock")) and time.monotonic() < until:
            time.sleep(0.1)
        assert time.monotonic() < until
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert said.strip().endswith(b"KeyboardInterrupt")
    assert b"in aggregate_query" in said
    assert not list(tmp_path.iterdir())


def test_errors_name_no_values():
    table = pd.DataFrame({"area": ["BU01"], "unit": [1], "nummer": ["123456782x"]})
    with pytest.raises(InputError, match="TRY_CAST") as caught:
        read_microdata(
            {"r": table}, [indicator("sum", "SELECT area, unit, CAST(nummer AS INT) AS value FROM r")]
        )
    assert "123456782" not in str(caught.value)


# Keys and codes


@pytest.mark.slow
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.text(max_size=300),
            st.integers(0, 10**9).map(str),
            st.tuples(st.text("0123456789. ", max_size=9), st.sampled_from([".0", "0.", ".00"])).map("".join),
        ),
        min_size=1,
    ),
    st.binary(min_size=16, max_size=90),
)
def test_codes_are_keyed_blake2b(texts, secret):
    import pyarrow as pa

    texts = [text if text is None else text.replace("\0", "") for text in texts]
    found = zg.Key(secret).codes(pa.array(texts, pa.string())).to_pylist()
    for text, got in zip(texts, found, strict=True):
        assert (got and got.hex) == naive.code(text, secret)


def test_the_same_person_has_the_same_code_in_every_source():
    persons = pd.DataFrame({"bsn": [12345678, 987654321, None], "area": ["BU01", "BU02", "BU02"]})  # floats
    debts = pd.DataFrame({"BSN": [" 012345678", "111222333", "", "000"], "debt": [3, 4, 5, 6]})
    owners = pd.DataFrame({"owner_bsn": [12345678], "n": [2]})
    sources = [
        Source("persons", frame=persons, identifiers=("bsn",)),
        Source("debts", frame=debts, identifiers=("bsn",)),
        Source("owners", frame=owners, identifiers=("owner_bsn",)),
    ]
    query = (
        "SELECT area, p.bsn AS unit, debt * n AS value FROM persons p JOIN debts d USING (bsn) "
        "JOIN owners o ON o.owner_bsn = p.bsn"
    )
    figures = read_microdata(sources, [indicator("sum", query)], key=KEY)
    assert figures.frame[["area", "observed"]].values.tolist() == [["BU01", 6]]
    nobody = indicator("sum", "SELECT 'BU01' AS area, bsn AS unit FROM debts")
    assert "2 of 4 records have no unit" in read_microdata(sources, [nobody], key=KEY).notices[0]


def test_every_identifier_is_coded_whatever_its_capitals_and_type():
    columns = {
        "BSN": [12345678],
        "Partner": [12345678.0],
        "ouder": [Decimal("12345678.00")],
        "kind": ["012345678"],
    }
    source = Source("p", frame=pd.DataFrame(columns), identifiers=("bsn", "PARTNER", "Ouder", "kind"))
    with open_records([source], None, KEY, Limits()) as records:
        assert {str(row[1]) for row in records.run("DESCRIBE p").fetchall()} == {"UUID"}
        assert len(set(records.run("SELECT * FROM p").fetchone())) == 1


def test_however_a_number_was_stored_it_is_the_same_person():
    import pyarrow as pa

    texts = ["12345678", "012345678", " 12345678\n", "12345678.0", "0012345678.0 ", "12345678.00",
             "\xa012345678", "12345678\xa0 "]  # fmt: skip
    other = ["12345678.5", "12345678.", ".0", "1234567", "12345678.01", "12345678\xa01"]
    same, *_ = codes = zg.Key(b"k" * 16).codes(pa.array(texts + other)).to_pylist()
    assert codes[: len(texts)] == [same] * len(texts)
    assert same not in codes[len(texts) :]
    assert len(set(codes)) == 1 + len(other)


def test_a_column_named_as_the_number_of_a_row_is_refused():
    with pytest.raises(InputError, match="other names than rowid"):
        read_microdata(
            [Source("r", frame=PEOPLE.assign(RowId=0))], [indicator("sum", "SELECT area, unit FROM r")]
        )


@pytest.mark.parametrize("name", ["p.geoparquet", "p.gpkg"])
def test_columns_of_the_names_of_coordinates_beside_a_geometry_are_refused(name, tmp_path):
    """Whichever were taken, half of the readers would have meant the other."""
    import geopandas as gpd

    points = gpd.GeoDataFrame({"X": [1.0], "n": [1]}, geometry=gpd.points_from_xy([5.0], [6.0], crs=28992))
    write = points.to_parquet if name.endswith("parquet") else points.to_file
    write(tmp_path / name)
    with pytest.raises(InputError, match=r"got columns of that name \(X\)"):
        read_microdata(
            [Source("r", tmp_path / name)],
            [indicator("sum", "SELECT n AS area, n AS unit, n AS value FROM r")],
        )


def test_another_key_gives_other_codes():
    import pyarrow as pa

    one, two = (zg.Key(each * 16).codes(pa.array(["123456782"])).to_pylist() for each in (b"a", b"b"))
    assert one != two


def test_identifiers_need_to_be_declared_and_to_have_a_key():
    table = PEOPLE.assign(BSN=1, achternaam="x", partner_bsn=2)
    query = indicator("sum", "SELECT area, unit FROM r")
    with pytest.raises(
        InputError,
        match=r"named in identifiers or drop; got others \(3 of 6; first: BSN, achternaam, partner_bsn\)",
    ):
        read_microdata([Source("r", frame=table)], [query])
    declared = Source("r", frame=table, identifiers=("bsn", "partner_bsn"), drop=("achternaam",))
    with pytest.raises(InputError, match="identifiers need to have a key"):
        read_microdata([declared], [query])
    assert len(read_microdata([declared], [query], key=KEY).frame) == 2
    with pytest.raises(InputError, match='Referenced column "achternaam" not found'):
        read_microdata([declared], [indicator("sum", "SELECT area, achternaam AS unit FROM r")], key=KEY)
    with pytest.raises(InputError, match="got 'bns', which is none"):
        read_microdata([Source("r", frame=PEOPLE, identifiers=("bns",))], [query], key=KEY)


def test_a_key_shows_nowhere(tmp_path, monkeypatch):
    secret = "a-very-secret-key-of-this-test"
    (tmp_path / "key").write_text(secret + "\n")
    monkeypatch.setenv("ZOO_GEO_TEST_KEY", secret)
    for key in (
        zg.Key.from_file(tmp_path / "key"),
        zg.Key.from_env("ZOO_GEO_TEST_KEY"),
        zg.Key(secret.encode()),
    ):
        assert repr(key) == str(key) == f"{key}" == "<Key>"
        with pytest.raises(TypeError):
            pickle.dumps(key)
        with pytest.raises(InputError) as caught:
            read_microdata(
                [Source("r", frame=PEOPLE, identifiers=("unit",))],
                [indicator("sum", "SELECT area, oeps AS unit FROM r")],
                key=key,
            )
        assert secret not in str(caught.value)
    with pytest.raises(InputError, match="key needs to be at least 16 bytes; got 5"):
        zg.Key(b"short")
    with pytest.raises(InputError, match="no such variable"):
        zg.Key.from_env("ZOO_GEO_NO_SUCH_KEY")
    with pytest.raises(InputError, match="key file needs to be readable"):
        zg.Key.from_file(tmp_path / "none")
    (tmp_path / "short").write_text("abc")
    with pytest.raises(InputError, match="key file: key needs to be at least 16 bytes; got 3"):
        zg.Key.from_file(tmp_path / "short")


def test_codes_do_not_leave_as_areas_or_branches():
    table = pd.DataFrame({"bsn": ["123456782"], "area": ["BU01"], "code": [str(uuid4())]})
    source = Source("r", frame=table, identifiers=("bsn",))
    branch = "SELECT area, bsn AS unit, code AS branch FROM r"
    with pytest.raises(
        InputError, match="column 'branch' needs to hold no keyed codes of persons; got some in 1 of 1 rows"
    ):
        read_microdata([source], [indicator("sum", branch)], key=KEY)


@pytest.mark.parametrize("name", ["area", "period", "value", "branch"])
@pytest.mark.parametrize("made", ["bsn", "CAST(bsn AS VARCHAR)"])
def test_a_keyed_code_is_the_unit_and_nothing_else(name, made):
    table = pd.DataFrame({"bsn": ["123456782"], "area": ["BU01"]})
    source = Source("r", frame=table, identifiers=("bsn",))
    query = f"SELECT {'' if name == 'area' else 'area,'} bsn AS unit, {made} AS {name} FROM r"
    words = rf"column {name} needs to be made of no keyed code of a person \(bsn\); got one"
    for run in (read_microdata, check_microdata):
        with pytest.raises(InputError, match=f"^indicator i: {words}"):
            run([source], [indicator("sum", query)], key=KEY)
    if made == "bsn":
        with (
            open_records([source], None, KEY, Limits()) as records,
            pytest.raises(InputError, match=f"column {name} needs .*; got UUID, as a keyed code") as caught,
        ):
            aggregate_query(records, query, "sum")
        assert "CAST" not in str(caught.value)


def test_identifiers_that_were_not_known_as_such_do_not_leave():
    numbers = [str(n) for n in (111222333, 123456782, 999999990, 100000009)]
    table = pd.DataFrame({"nummer": numbers, "area": numbers})
    with pytest.raises(
        InputError, match="column 'area' needs to hold no numbers that pass the eleven test"
    ) as caught:
        read_microdata({"r": table}, [indicator("sum", "SELECT area, nummer AS unit FROM r")])
    assert not any(number in str(caught.value) for number in numbers)


def test_aggregates_show_no_records():
    assert repr(read_microdata({"r": PEOPLE}, [indicator("sum", "SELECT area, unit FROM r")])) == (
        "<Aggregates: 2 cells of 1 indicators>"
    )
    assert os.environ.get("ZOO_GEO_TEST_KEY") is None
