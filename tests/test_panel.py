"""Panels: layout, statuses, and every problem of a table in one round."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_geo.errors import InputError
from zoo_geo.panel import Indicator, Panel
from zoo_geo.schema import STATUSES

CODES = ["BU00140002", "BU00140000", "BU0363AA01"]
UNKNOWN = "What is not known is empty, '.' or one of -99997, -99995, -99991, -99999999."
DUTCH = "Write 79864 and 2.4, not 79.864 and 2,4 as StatLine shows them."


def table(**columns):
    """Return three areas with thefts and residents, and what is given."""
    return pd.DataFrame({"code": CODES, "thefts": [3, 0, 7], "residents": [100, 50, 700], **columns})


def panel(frame, **options):
    return Panel.from_frame(
        frame, **{"area": "code", "observed": "thefts", "exposure": "residents", **options}
    )


def problems(frame, **options):
    with pytest.raises(InputError) as caught:
        panel(frame, **options)
    return caught.value.problems


def statuses(made):
    return [STATUSES[at] for at in made.status.ravel()]


# --- layout -----------------------------------------------------------------------------------------


def test_a_wide_table_becomes_area_by_indicator_by_period():
    frame = pd.DataFrame(
        {
            "code": ["b", "a", "b", "a", "c"],
            "year": [2022, 2021, 2021, 2022, 2021],
            "thefts": [1, 2, 3, 4, 5],
            "fires": [10, 20, 30, 40, 50],
            "residents": [100, 200, 300, 400, 500],
        }
    )
    made = panel(
        frame, period="year", observed={"theft": "thefts", "fire": "fires"}, titles={"fire": "Fires"}
    )
    assert made.areas.tolist() == ["b", "a", "c"]
    assert made.periods == ("2021", "2022")
    assert made.indicators == (Indicator("theft"), Indicator("fire", title="Fires"))
    np.testing.assert_array_equal(made.observed[:, 0], [[3, 1], [2, 4], [5, np.nan]])
    np.testing.assert_array_equal(made.observed[:, 1], [[30, 10], [20, 40], [50, np.nan]])
    np.testing.assert_array_equal(made.exposure[:, 1], [[300, 100], [200, 400], [500, np.nan]])
    assert statuses(made) == ["ok"] * 9 + ["missing"] + ["ok"] + ["missing"]
    assert (made.observed.dtype, made.exposure.dtype, made.status.dtype) == (float, float, np.int8)
    assert made.notices == ("2 of 12 cells are missing.",)
    assert repr(made) == "<Panel: 3 areas x 2 indicators x 2 periods>"


@pytest.mark.parametrize("observed", ["thefts", ["thefts"], {"thefts": "thefts"}])
def test_observed_may_be_named_in_three_ways(observed):
    made = panel(table(), observed=observed)
    assert made.observed.ravel().tolist() == [3, 0, 7]
    assert made.exposure.ravel().tolist() == [100, 50, 700]
    assert made.periods == ("all",)
    assert made.notices == ()
    assert made.indicator("thefts") == Indicator("thefts", "poisson", 1000.0)


def test_columns_may_be_per_period():
    frame = table(t21=[1, 2, 3], t22=[4, 5, 6], r21=[10, 20, 30])
    made = panel(
        frame,
        observed={"theft": {"2022": "t22", 2021: "t21"}, "fire": {"2022": "thefts"}},
        exposure={"theft": {"2022": "residents", 2021: "r21"}, "fire": "residents"},
    )
    assert made.periods == ("2021", "2022")
    np.testing.assert_array_equal(made.observed[:, 0], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(made.exposure[:, 0], [[10, 100], [20, 50], [30, 700]])
    np.testing.assert_array_equal(made.observed[:, 1], [[np.nan, 3], [np.nan, 0], [np.nan, 7]])
    assert statuses(made)[2::4] == ["missing"] * 3


def test_families_bring_their_own_per_and_gaussian_its_weight():
    frame = table(turnover=[-1.5, 2.25, 1e6])
    made = panel(
        frame,
        observed={"share": "thefts", "turnover": "turnover", "rate": "thefts"},
        exposure={"share": "residents", "rate": "residents"},
        family={"share": "binomial", "turnover": "gaussian"},
    )
    assert made.families == {"share": "binomial", "turnover": "gaussian", "rate": "poisson"}
    assert [indicator.per for indicator in made.indicators] == [100, 1, 1000]
    assert made.exposure[:, 1, 0].tolist() == [1, 1, 1]
    assert panel(frame, observed="turnover", family="gaussian").exposure.ravel().tolist() == [100, 50, 700]
    assert panel(frame, per=10_000).indicators[0].per == 10_000
    assert panel(frame, per={"thefts": 5}).indicators[0].per == 5


def test_frame_is_tidy():
    made = panel(table(fires=[1, None, 2]), observed=["thefts", "fires"])
    assert made.frame.columns.tolist() == ["area", "indicator", "period", "observed", "exposure", "status"]
    assert made.frame.iloc[3].tolist()[:3] == [CODES[1], "fires", "all"]
    assert made.frame["status"].tolist() == ["ok", "ok", "ok", "missing", "ok", "ok"]
    assert made.frame["observed"].tolist()[:3] == [3, 1, 0]


def test_periods_are_text_and_sorted_by_number():
    for given_, expected in [
        ([10, 9, 2021], ("9", "10", "2021")),
        ([2021.0, 2022.0, 2020.0], ("2020", "2021", "2022")),
        (["2021-Q2", "2021-Q1", "2020-Q4"], ("2020-Q4", "2021-Q1", "2021-Q2")),
        (
            pd.to_datetime(["2021-01-01", "2020-01-01", "2022-01-01"]),
            ("2020-01-01", "2021-01-01", "2022-01-01"),
        ),
    ]:
        assert panel(table(when=given_), period="when").periods == expected


def test_blanks_around_codes_go_and_the_index_may_hold_them():
    made = panel(table().assign(code=[f" {code} " for code in CODES]).set_index("code"))
    assert made.areas.tolist() == CODES


def test_the_input_stays_as_it_was():
    frame = table(fires=["1", " ", "-99997"])
    before = frame.copy(deep=True)
    made = panel(frame, observed=["thefts", "fires"])
    for array in (made.observed, made.exposure, made.status):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = -1
    for name in frame:
        assert not np.shares_memory(made.observed, np.asarray(frame[name]))
        assert not np.shares_memory(made.exposure, np.asarray(frame[name]))
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.slow
@given(data=st.data())
def test_long_and_wide_and_shuffled_are_the_same(data):
    cells = list(itertools.product(["a", "b", "c"], ["x", "y"], ["2021", "2022"]))
    figure = st.sampled_from([np.nan, 0.0, 1.0, 5.0, -99997.0, -99995.0])
    rows = [(*cell, data.draw(figure), data.draw(figure)) for cell in cells]
    long = pd.DataFrame(rows, columns=["area", "indicator", "period", "observed", "exposure"])
    made = Panel.from_long(long)
    wide = long.set_index(["area", "period", "indicator"]).unstack()  # noqa: PD010
    wide.columns = ["_".join(names) for names in wide.columns]
    other = Panel.from_frame(
        wide.reset_index(),
        area="area",
        period="period",
        observed={"x": "observed_x", "y": "observed_y"},
        exposure={"x": "exposure_x", "y": "exposure_y"},
    )
    order = data.draw(st.permutations(range(len(long))))
    shuffled = Panel.from_long(long.iloc[order])
    tidy = ["area", "indicator", "period"]
    expected = made.frame.sort_values(tidy, ignore_index=True)
    for again in (other, shuffled):
        pd.testing.assert_frame_equal(again.frame.sort_values(tidy, ignore_index=True), expected)


def test_long_needs_no_period_and_gaussian_no_exposure():
    long = pd.DataFrame({"area": ["b", "a"], "indicator": "x", "observed": [1.5, -2.5]})
    made = Panel.from_long(long, family="gaussian", titles={"x": "X"})
    assert made.periods == ("all",)
    assert made.observed.ravel().tolist() == [1.5, -2.5]
    assert made.exposure.ravel().tolist() == [1, 1]
    mixed = pd.DataFrame(
        {"area": ["a", "a"], "indicator": ["x", "n"], "observed": [1.5, 2], "exposure": [None, 10]}
    )
    assert Panel.from_long(mixed, family={"x": "gaussian"}).exposure.ravel().tolist() == [1, 10]


# --- statuses ---------------------------------------------------------------------------------------


def test_missing_secret_and_zero_stay_apart():
    figures = [5, 0, None, -99997, -99995, -99991, -99999999, 4]
    frame = pd.DataFrame(
        {"code": [f"BU{at}" for at in range(8)], "thefts": figures, "residents": [9] * 7 + [0]}
    )
    made = panel(frame)
    assert statuses(made) == ["ok", "ok", "missing", "secret", "missing", "missing", "missing", "no_exposure"]
    np.testing.assert_array_equal(made.observed.ravel(), [5, 0, *[np.nan] * 5, 4])
    assert made.notices == (
        "The code -99997 was read as secret: 1 in thefts.",
        "The code -99995 was read as missing: 1 in thefts.",
        "The code -99991 was read as missing: 1 in thefts.",
        "The code -99999999 was read as missing: 1 in thefts.",
        "4 of 8 cells are missing.",
        "1 of 8 cells are secret.",
        "1 of 8 cells have no exposure.",
    )


def test_missing_comes_before_secret_before_no_exposure():
    nothing, secret = np.nan, -99997
    pairs = [
        (nothing, secret),
        (secret, nothing),
        (nothing, 0),
        (secret, 0),
        (1, secret),
        (secret, 1),
        (1, nothing),
    ]
    observed, exposure = zip(*pairs, strict=True)
    frame = pd.DataFrame({"code": [f"BU{at}" for at in range(7)], "thefts": observed, "residents": exposure})
    expected = ["missing", "missing", "missing", "secret", "secret", "secret", "missing"]
    assert statuses(panel(frame)) == expected


@pytest.mark.parametrize(
    "figures",
    [
        ["3", ".", " "],
        pd.array([3, None, None], dtype="Int64"),
        pd.Series([3.0, None, np.nan], dtype=object),
        pd.array(["3", None, "."], dtype="string"),
        pd.Categorical(["3", None, "."]),
    ],
)
def test_figures_come_in_many_types(figures):
    made = panel(table(thefts=figures))
    assert statuses(made) == ["ok", "missing", "missing"]
    assert made.observed[0, 0, 0] == 3


def test_codes_of_cbs_are_statuses_for_values_too_and_other_negatives_are_values():
    made = panel(table(thefts=[-99997, -100_000, -99_990]), family="gaussian", exposure=None)
    assert statuses(made) == ["secret", "ok", "ok"]


# --- problems ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (
            {"thefts": [3, -4, -99998]},
            {},
            "column 'thefts' needs to be 0 or more; got less (2 of 3; first: -4 in data row 2 (BU00140000), "
            f"-99998 in data row 3 (BU0363AA01)). {UNKNOWN}",
        ),
        (
            {"residents": [3, -4, 5]},
            {},
            "column 'residents' needs to be 0 or more; got less (1 of 3; "
            f"first: -4 in data row 2 (BU00140000)). {UNKNOWN}",
        ),
        (
            {"thefts": ["3", "2,4", "n.b."]},
            {},
            "column 'thefts' needs to be numbers; got text (2 of 3; first: 2,4 in data row 2 (BU00140000), "
            f"n.b. in data row 3 (BU0363AA01)). {DUTCH}",
        ),
        (
            {"thefts": [3, np.inf, -np.inf]},
            {},
            "column 'thefts' needs to be finite; got infinity (2 of 3; "
            "first: inf in data row 2 (BU00140000), -inf in data row 3 (BU0363AA01)).",
        ),
        (
            {"thefts": ["79.864", "1", "2"]},
            {},
            "column 'thefts' needs to be whole counts; "
            f"got fractions (1 of 3; first: 79.864 in data row 1 (BU00140002)). {DUTCH}",
        ),
        (
            {"residents": [3.5, 1, 2]},
            {"family": "binomial", "observed": {"share": "ones"}},
            "column 'residents' needs to be whole counts; "
            f"got fractions (1 of 3; first: 3.5 in data row 1 (BU00140002)). {DUTCH}",
        ),
        (
            {"thefts": [101, 50, 701]},
            {"family": "binomial"},
            "column 'thefts' needs to be at most column 'residents' (binomial); got more (2 of 3; "
            "first: 101 of 100 in data row 1 (BU00140002), 701 of 700 in data row 3 (BU0363AA01)).",
        ),
        (
            {"code": [14, 15, 16]},
            {},
            "area codes (column 'code') need to be text; got int (3 of 3; first: 14, 15, 16). "
            "Numbers lose leading zeros (0014 becomes 14): read the column as text.",
        ),
        (
            {"code": [CODES[0], None, CODES[2]]},
            {},
            "area codes (column 'code') need to be given in every row; got none (1 of 3; first: data row 2).",
        ),
        (
            {"code": [CODES[0], CODES[1], CODES[0]]},
            {},
            "rows need to be one per area; got repeated ones (1 of 3; first: data row 3 (BU00140002)). "
            "Drop or sum them.",
        ),
        (
            {"year": [2021, None, 2021]},
            {"period": "year"},
            "periods (column 'year') need to be given in every row; "
            "got none (1 of 3; first: data row 2 (BU00140000)).",
        ),
        ({}, {"exposure": None}, "exposure of thefts needs to be a column (poisson); got none."),
        ({}, {"exposure": {"fires": "ones"}}, "exposure needs to name indicators (thefts); got 'fires'."),
        (
            {},
            {"family": "poison"},
            "family of 'thefts' needs to be poisson, binomial, gaussian; got 'poison'.",
        ),
        (
            {},
            {"family": {"theft": "poisson"}},
            "family needs to name indicators (thefts); got 'theft'. Did you mean 'thefts'?",
        ),
        ({}, {"per": 0}, "per of 'thefts' needs to be a number above 0; got 0."),
        ({}, {"per": "many"}, "per of 'thefts' needs to be a number above 0; got 'many'."),
        (
            {},
            {"observed": "theft"},
            "column 'theft' needs to be in the table; got code, thefts, residents, ones.",
        ),
        ({}, {"observed": []}, "observed needs to name an indicator; got none."),
    ],
)  # fmt: skip
def test_each_problem_is_one_line(columns, options, message):
    found = problems(table(**{"ones": 1, **columns}), **options)
    assert any(line.startswith(message) for line in found)


def test_all_problems_come_together():
    frame = table(code=[1, 2, 2], thefts=[-1, 2.5, np.inf], fires=["x", 1, 2], residents=[1, -2, 3])
    found = problems(frame, observed=["thefts", "fires", "floods"], per=-1, period="year")
    starts = [
        "per of 'thefts'", "per of 'fires'", "per of 'floods'",
        "column 'year' needs to be in", "column 'floods' needs to be in",
        "area codes", "rows need to be one per area x period",
        "column 'thefts' needs to be finite", "column 'fires' needs to be numbers",
        "column 'thefts' needs to be 0 or more", "column 'thefts' needs to be whole",
        "column 'residents' needs to be 0 or more",
    ]  # fmt: skip
    assert sorted(found) == sorted(dict.fromkeys(found))
    assert all(any(line.startswith(start) for line in found) for start in starts)
    assert len(found) == len(starts)


def test_a_shared_exposure_is_judged_once_by_the_strictest_family():
    frame = table(residents=[100.5, -2, 700], fires=[1, 2, 3])
    found = problems(frame, observed=["thefts", "fires"], family={"fires": "binomial"})
    assert [line.split(";")[0] for line in found] == [
        "column 'residents' needs to be 0 or more",
        "column 'residents' needs to be whole counts",
        "column 'fires' needs to be at most column 'residents' (binomial)",
    ]


def test_columns_per_period_do_not_mix_with_a_period_column():
    frame = table(year=2021)
    (found,) = problems(frame, observed={"theft": {"2021": "thefts"}}, period="year")
    assert found.startswith(
        "observed needs to be plain columns with period=; got columns by period (1; first: theft)"
    )
    (found,) = problems(frame, observed={"theft": {"2021": "thefts"}, "fire": "thefts"})
    assert found.startswith(
        "observed needs to be columns by period for all indicators or none; got none (1 of 2; first: fire)"
    )
    (found,) = problems(
        frame, observed={"theft": {"2021": "thefts"}}, exposure={"theft": {"2022": "residents"}}
    )
    assert found == "exposure of theft in 2021 needs to be a column (poisson); got none."


def test_long_problems_name_the_indicator():
    long = pd.DataFrame(
        {
            "area": ["a", "b", "a", "b", "b"],
            "indicator": ["x", "x", "y", "y", "y"],
            "period": 2021,
            "observed": [1, -1, 5, 2, 2],
            "exposure": [10, 10, 4, 8, 8],
        }
    )
    with pytest.raises(InputError) as caught:
        Panel.from_long(long, family={"y": "binomial"})
    assert caught.value.problems == [
        "rows need to be one per area x indicator x period; got repeated ones (1 of 5; "
        "first: data row 5 (b)). Drop or sum them.",
        f"observed of x needs to be 0 or more; got less (1 of 2; first: -1 in data row 2 (b)). {UNKNOWN}",
        "observed of y needs to be at most exposure of y (binomial); "
        "got more (1 of 3; first: 5 of 4 in data row 3 (a)).",
    ]


def test_long_needs_its_columns():
    with pytest.raises(InputError, match="column 'indicator' needs to be in the table"):
        Panel.from_long(pd.DataFrame({"area": ["a"], "observed": [1]}))
    with pytest.raises(InputError, match="exposure of x needs to be in a column 'exposure'"):
        Panel.from_long(pd.DataFrame({"area": ["a"], "indicator": ["x"], "observed": [1]}))
    with pytest.raises(InputError, match=r"indicators .* need to be text; got int"):
        Panel.from_long(pd.DataFrame({"area": ["a"], "indicator": [1], "observed": [1], "exposure": [1]}))


def test_rows_without_code_are_not_also_repeated():
    (found,) = problems(table(code=[None, None, CODES[0]]))
    assert found.endswith("got none (2 of 3; first: data row 1, data row 2).")


def test_columns_may_be_numbers_but_not_twice():
    wide = table().rename(columns={"thefts": 2021, "residents": 2020})
    made = panel(wide, observed={"theft": {"2021": 2021}}, exposure=2020)
    assert made.observed.ravel().tolist() == [3, 0, 7]
    assert problems(wide, observed={"theft": 2022}, exposure=2020)[0].startswith("column 2022 needs to be in")
    twice = table().rename(columns={"residents": "thefts"})
    assert problems(twice) == [
        "columns need to have names of their own; got the same (1 of 3; first: thefts)."
    ]


def test_an_empty_table_is_refused():
    assert "the table needs to hold figures; got no rows." in problems(table()[:0])


def test_an_unknown_indicator_is_refused():
    with pytest.raises(
        InputError, match=r"indicator needs to be one of thefts; got 'theft'\. Did you mean 'thefts'"
    ):
        panel(table()).indicator("theft")


# --- real figures -----------------------------------------------------------------------------------


@pytest.mark.shared_data
def test_real_crimes_keep_unknown_apart_from_zero(shared_data):
    frame = pd.read_csv(shared_data / "nl_buurten_2024" / "buurten_2024.csv")
    columns = {str(year): f"misdrijven_{year}" for year in range(2021, 2026)}
    made = Panel.from_frame(frame, area="buurtcode", observed={"crime": columns}, exposure="aantal_inwoners")
    assert made.observed.shape == (14_574, 1, 5)
    unknown = frame["misdrijven_2021"].isna() | frame["aantal_inwoners"].isna()
    np.testing.assert_array_equal(made.status[:, 0, 0] == STATUSES.index("missing"), unknown)
    np.testing.assert_array_equal(made.observed[:, 0, 2], frame["misdrijven_2023"])


# --- distinct units behind events -----------------------------------------------------------------


def files(**columns):
    """Return the table with the case files behind its thefts."""
    return table(case_files=[2, 0, 7], **columns)


def test_distinct_units_are_observed_and_events_kept():
    made = panel(files(), observed_units={"thefts": "case_files"})
    assert made.observed.ravel().tolist() == [2.0, 0.0, 7.0]
    assert made.events.ravel().tolist() == [3.0, 0.0, 7.0]
    assert made.frame["events"].tolist() == [3.0, 0.0, 7.0]
    assert "thefts is counted by distinct units (column 'case_files'): 9 behind 10 events." in made.notices
    plain = panel(files())
    assert plain.events is None
    assert "events" not in plain.frame
    with pytest.raises(ValueError, match="read-only"):
        made.events[0] = 1.0


def test_only_some_indicators_have_units():
    frame = files(fires=[1, 2, 3])
    made = panel(frame, observed=["thefts", "fires"], observed_units={"thefts": "case_files"})
    assert made.observed[:, 1, 0].tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(made.events[:, 1]).all()
    assert len([notice for notice in made.notices if "distinct" in notice]) == 1


def test_units_may_be_per_period():
    frame = pd.DataFrame(
        {"code": CODES[:2], "e1": [5, 9], "e2": [8, 4], "u1": [1, 2], "u2": [3, 4], "n": 100}
    )
    options = {"area": "code", "observed": {"thefts": {"2023": "e1", "2024": "e2"}}, "exposure": "n"}
    made = Panel.from_frame(frame, **options, observed_units={"thefts": {"2023": "u1", "2024": "u2"}})
    assert made.observed[:, 0].tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert made.events[:, 0].tolist() == [[5.0, 8.0], [9.0, 4.0]]
    with pytest.raises(InputError, match="observed_units of thefts needs to have the periods of observed"):
        Panel.from_frame(frame, **options, observed_units={"thefts": {"2023": "u1"}})


def test_units_come_in_a_column_of_a_long_table():
    long = pd.DataFrame(
        {
            "area": ["A", "B", "A", "B"],
            "indicator": ["thefts", "thefts", "fires", "fires"],
            "observed": [5, 6, 1, 2],
            "exposure": 100,
            "units": [2, np.nan, np.nan, np.nan],
        }
    )
    made = Panel.from_long(long)
    assert made.observed[:, 0, 0].tolist()[0] == 2.0
    assert made.events[:, 0, 0].tolist() == [5.0, 6.0]
    assert made.observed[:, 1, 0].tolist() == [1.0, 2.0]
    assert np.isnan(made.events[:, 1]).all()
    assert statuses(made) == ["ok", "ok", "missing", "ok"]


def test_a_cell_needs_events_and_units():
    frame = table(case_files=[2, -99997, np.nan])
    assert statuses(panel(frame, observed_units={"thefts": "case_files"})) == ["ok", "secret", "missing"]
    frame = files().assign(thefts=[-99997, 0, np.nan])
    assert statuses(panel(frame, observed_units={"thefts": "case_files"})) == ["secret", "ok", "missing"]


@pytest.mark.parametrize(
    ("units", "options", "line"),
    [
        (
            [4, 0, 7],
            {},
            "column 'case_files' needs to be at most column 'thefts' (distinct units); got more "
            "(1 of 3; first: 4 of 3 in data row 1 (BU00140002)).",
        ),
        (
            [2, 0, 0],
            {},
            "column 'case_files' needs to be 1 or more where column 'thefts' is; got 0 "
            "(1 of 3; first: 7 in data row 3 (BU0363AA01)).",
        ),
        ([1.5, 0, 7], {}, "column 'case_files' needs to be whole counts; got fractions (1 of 3; first: 1.5"),
        ([-1, 0, 7], {}, "column 'case_files' needs to be 0 or more; got less (1 of 3; first: -1"),
        (
            [2, 0, 7],
            {"family": "gaussian"},
            "observed_units of thefts needs to be of counts; got values (gaussian).",
        ),
        ([2, 0, 7], {"observed_units": {"theft": "case_files"}}, "Did you mean 'thefts'?"),
        ([2, 0, 7], {"observed_units": {"thefts": "files"}}, "column 'files' needs to be in the table"),
    ],
)
def test_units_are_checked_like_other_figures(units, options, line):
    found = problems(table(case_files=units), **{"observed_units": {"thefts": "case_files"}, **options})
    assert any(line in problem for problem in found), found


def test_units_out_of_a_total_are_what_needs_to_fit_in():
    frame = table(case_files=[2, 0, 7]).assign(thefts=[300, 0, 7])
    made = panel(frame, family="binomial", observed_units={"thefts": "case_files"})
    assert made.observed.ravel().tolist() == [2.0, 0.0, 7.0]
    assert any("at most column 'residents' (binomial)" in line for line in problems(frame, family="binomial"))
