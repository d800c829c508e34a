"""Periods on the newest codes: recoded, broken and carried-over series."""

import numpy as np
import pandas as pd
import pytest

import zoo_geo as zg
from zoo_geo.cli import main
from zoo_geo.errors import InputError


def panel_of(rows, family="poisson", **options):
    """Panel of (code, year, observed, exposure)."""
    table = pd.DataFrame(rows, columns=["code", "year", "n", "people"])
    return zg.Panel.from_frame(
        table, area="code", period="year", observed={"y": "n"}, exposure="people", family=family, **options
    )


def changes_of(*rows):
    return pd.DataFrame(rows, columns=["period", "area", "change", "previous"])


def weights_of(*rows):
    return pd.DataFrame(rows, columns=["period", "old", "new", "weight"])


def figures(panel, area, name="observed"):
    return getattr(panel, name)[panel.areas.get_loc(area), 0].tolist()


def breaks(panel, area):
    return panel.breaks[panel.areas.get_loc(area)].tolist()


YEARS = (2021, 2022, 2023)


# --- code changes -----------------------------------------------------------------------------------


def test_unchanged_recoded_and_broken():
    rows = [("BU1", year, 10 + year - 2021, 100) for year in YEARS]
    rows += [("BU2", 2021, 20, 200), ("BU9", 2022, 21, 210), ("BU9", 2023, 22, 220)]
    rows += [("BU3", year, 30, 300) for year in YEARS]
    changes = changes_of((2022, "BU1", 1, None), (2022, "BU9", 2, "BU2"), (2023, "BU3", 3, "."))
    linked = zg.link_periods(panel_of(rows), changes)
    assert list(linked.areas) == ["BU1", "BU9", "BU3"]
    assert figures(linked, "BU9") == [20, 21, 22]
    assert figures(linked, "BU9", "exposure") == [200, 210, 220]
    assert linked.status.max() == 0
    assert breaks(linked, "BU3") == [False, False, True]
    assert not linked.breaks[:2].any()
    assert "1 of 3 areas had another code before; their series were linked." in linked.notices
    assert any("From 2023 on the boundary of 1 of 3 areas" in notice for notice in linked.notices)


def test_codes_change_more_than_once_and_between_periods_that_the_panel_has():
    rows = [("A", 2020, 1, 10), ("D", 2024, 4, 40), ("E", 2020, 5, 50), ("E", 2024, 6, 60)]
    changes = changes_of(
        (2024, "D", 2, "C"), (2021, "B", 2, "A"), (2022, "C", 2, "B"), (2023, "E", 3, ""), (2019, "A", 3, "")
    )
    linked = zg.link_periods(panel_of(rows), changes)
    assert figures(linked, "D") == [1, 4]
    assert breaks(linked, "E") == [False, True]
    assert breaks(linked, "D") == [False, False]  # a change before the first period breaks nothing


def test_codes_that_swap_or_are_used_again_never_lend_a_figure_twice():
    rows = [("A", 2021, 1, 10), ("B", 2021, 2, 20), ("A", 2022, 3, 30), ("B", 2022, 4, 40)]
    swapped = zg.link_periods(panel_of(rows), changes_of((2022, "A", 2, "B"), (2022, "B", 2, "A")))
    assert figures(swapped, "A") == [2, 3]
    assert figures(swapped, "B") == [1, 4]
    anew = changes_of((2022, "B", 2, "A"), (2022, "A", 3, ""))  # A is another area now
    reused = zg.link_periods(panel_of(rows), anew)
    assert figures(reused, "B") == [1, 4]
    np.testing.assert_equal(figures(reused, "A"), [np.nan, 3])
    assert any("left out (1 of 2; first: B)" in notice for notice in reused.notices)


def test_a_code_that_nothing_goes_on_with_is_left_out_and_said():
    rows = [("A", 2021, 1, 10), ("A", 2022, 2, 20), ("X", 2021, 9, 90)]
    linked = zg.link_periods(panel_of(rows), changes_of((2022, "A", 3, "")), areas=["A"])
    assert list(linked.areas) == ["A"]
    assert any("left out (1 of 2; first: X)" in notice for notice in linked.notices)


def test_statuses_and_names_of_columns_go_along():
    rows = [("A", 2021, -99997, 10), ("B", 2022, 2, 20)]
    table = pd.DataFrame({"jaar": [2022], "buurtcode": ["B"], "indelingswijziging": ["2"], "oud": ["A"]})
    columns = {"period": "jaar", "area": "buurtcode", "change": "indelingswijziging", "previous": "oud"}
    linked = zg.link_periods(panel_of(rows), table, columns=columns)
    assert linked.status[0, 0].tolist() == [
        zg.Panel.frame.fget(panel_of(rows))["status"].eq("secret").any() * 2,
        0,
    ]


def test_input_is_not_modified():
    panel, changes = panel_of([("A", 2021, 1, 10), ("B", 2022, 2, 20)]), changes_of((2022, "B", 2, "A"))
    before, observed = changes.copy(), panel.observed.copy()
    zg.link_periods(panel, changes)
    pd.testing.assert_frame_equal(changes, before)
    np.testing.assert_array_equal(panel.observed, observed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (changes_of((2022, "A", 4, "")), r"needs to be 1, 2 or 3; got others \(1 of 1; first: data row 1"),
        (changes_of((2022, "A", ".", "")), "column 'change' needs to be 1, 2 or 3"),
        (changes_of((2022, "A", 2, None)), "column 'previous' needs to hold the old code"),
        (changes_of((2022, "A", 1, ""), (2022, "A", 3, "")), "rows need to be one per area and period"),
        (changes_of((2022, "A", 2, "X"), (2022, "B", 2, "X")), r"once a period.*1 of 2; first: data row 2"),
        (changes_of((2022, "A", 1, "B")), r"empty, or the code itself.*1 of 1; first: data row 1 \(A\)"),
        (changes_of((2022, "A", 2, "A")), r"another code for what was recoded.*1 of 1; first: data row 1"),
        (changes_of((None, "A", 1, "")), "periods .column 'period'. need to be given"),
        (changes_of((2022, 14, 1, "")), "need to be text"),
        (changes_of((2022, "A", 1, "")).drop(columns="change"), "column 'change' needs to be in the table"),
        (weights_of((2022, "A", "B", 1.5)), "column 'weight' needs to be between 0 and 1"),
        (weights_of((2022, "A", "B", 0.7), (2022, "A", "C", 0.7)), "weights of an old code need to add"),
        (weights_of((2022, "A", "B", 0.1), (2022, "A", "B", 0.1)), "rows need to be one per period, old and"),
        (weights_of((2022, "A", None, 0.1)), "codes .column 'new'. need to be given"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_column_and_rows(changes, message):
    with pytest.raises(InputError, match=message):
        zg.link_periods(panel_of([("A", 2021, 1, 10), ("A", 2022, 1, 10)]), changes)


PEOPLE = [("A", 2021, 1, 10), ("A", 2022, 1, 10), ("B", 2021, 1, 10), ("B", 2022, 1, 10)]


@pytest.mark.parametrize(
    ("changes", "which"),
    [
        (changes_of((2022, "A", 3, ""), (2022, "X", 3, "")), r"'area' and 'previous'.*data row 2 \(X\)"),
        (changes_of((2022, "X", 2, "Y"), (2022, "A", 3, "")), r"'area' and 'previous'.*data row 1 \(X\)"),
        (weights_of((2022, "A", "B", 0.5), (2022, "X", "B", 0.5)), r"column 'old' need.*data row 2 \(X\)"),
        (weights_of((2022, "A", "B", 0.5), (2022, "A", "X", 0.5)), r"column 'new' need.*data row 2 \(X\)"),
        (changes_of((2022, "A", 2, "X"), (2022, "B", 3, "")), r"column 'previous' need.*data row 1 \(X\)"),
    ],
)  # fmt: skip
def test_changes_of_areas_that_nobody_knows_are_an_error_unless_dropped(changes, which):
    panel = panel_of(PEOPLE)
    with pytest.raises(InputError, match=f"{which}.*Mend the codes, or set unknown_areas"):
        zg.link_periods(panel, changes)
    linked = zg.link_periods(panel, changes, unknown_areas="drop")
    assert any("left out (1 of 2; first: data row" in notice for notice in linked.notices)
    with pytest.raises(InputError, match="unknown_areas needs to be 'error' or 'drop'; got 'maybe'"):
        zg.link_periods(panel, changes, unknown_areas="maybe")


def test_areas_that_are_known_elsewhere_or_linked_to_are_no_error():
    panel = panel_of(PEOPLE)
    none = zg.link_periods(panel, changes_of((2022, "X", 3, "")), areas=["A", "B", "X"])
    assert not any("left out" in notice for notice in none.notices)
    zg.link_periods(panel, changes_of((2022, "X", 3, "")), known=["X"])
    before = panel_of([row for row in PEOPLE if row[:2] != ("A", 2022)])
    gone = zg.link_periods(before, changes_of((2022, "X", 2, "A")))  # A is called X from 2022 on
    assert any(
        "no newest area goes on with were left out (1 of 2; first: A)" in told for told in gone.notices
    )
    unchanged = zg.link_periods(panel, changes_of((2022, "X", 1, "")))
    assert not unchanged.notices
    through = weights_of((2021.5, "A", "M", 1.0), (2022, "M", "B", 1.0))
    through["period"] = ["2022a", "2022b"]
    later = panel_of([("A", "2021", 4, 10), ("B", "2022b", 1, 10)])
    assert figures(zg.link_periods(later, through), "B") == [4, 1]


def test_an_area_that_loses_its_past_by_a_dropped_change_keeps_what_it_has():
    linked = zg.link_periods(panel_of(PEOPLE), changes_of((2022, "A", 2, "X")), unknown_areas="drop")
    assert figures(linked, "A") == [1, 1]
    chain = changes_of((2022, "M", 2, "A"), (2023, "B", 2, "M"))  # M is in no table of figures
    rows = [("A", 2021, 4, 10), ("B", 2023, 1, 10)]
    assert figures(zg.link_periods(panel_of(rows), chain), "B") == [4, 1]


def test_a_code_that_an_area_still_has_is_no_former_code_of_another():
    panel = panel_of(PEOPLE)
    said = r"column 'previous'.*of no area any more.*1 of 1; first: data row 1 \(B from A, still an area\)"
    with pytest.raises(InputError, match=said):
        zg.link_periods(panel, changes_of((2022, "B", 2, "A")))
    gone = panel_of([row for row in PEOPLE if row[:2] not in (("A", 2022), ("B", 2021))])
    assert figures(zg.link_periods(gone, changes_of((2022, "B", 2, "A"))), "B") == [1, 1]
    with pytest.raises(InputError, match="still an area"):  # it is on the map
        zg.link_periods(gone, changes_of((2022, "B", 2, "A")), areas=["A", "B"])
    both = changes_of((2022, "B", 2, "A"), (2022, "A", 3, ""))
    assert breaks(zg.link_periods(panel, both), "A") == [False, True]


def test_columns_that_are_named_need_to_be_in_the_table():
    table = changes_of((2022, "A", 3, ""))
    with pytest.raises(InputError, match="column 'gewicht' needs to be in the table"):
        zg.link_periods(panel_of(PEOPLE), table, columns={"weight": "gewicht"})
    zg.link_periods(panel_of(PEOPLE), table, columns={"weight": "weight", "period": "period"})


@pytest.mark.parametrize(
    "rows",
    [
        [(2022, "A", "B", 0.0)],  # no weight
        [(2022, "C", "B", 1.0)],  # nothing before
        [(2022, "A", "A", 1.0)],  # itself
    ],
)
def test_carried_over_is_not_said_where_nothing_was(rows):
    panel = panel_of([*PEOPLE, ("C", 2022, 1, 10)])
    assert not any("carried over" in told for told in zg.link_periods(panel, weights_of(*rows)).notices)


@pytest.mark.parametrize(
    "changes",
    [
        changes_of((2021, "A", 3, ""), (2030, "A", 2, "Q"), (2022, "B", 3, "")),
        weights_of((2021, "A", "B", 1.0), (2030, "A", "Q", 1.0), (2022, "A", "B", 1.0)),
    ],
)
def test_changes_of_periods_outside_the_panel_are_counted(changes):
    told = zg.link_periods(panel_of(PEOPLE), changes).notices
    assert (
        "2 of 3 changes of areas are of periods that the panel has nothing before or nothing from (2021, "
        "2030): "
        "not needed." in told
    )
    inside = zg.link_periods(panel_of(PEOPLE), changes.iloc[[2]]).notices
    assert not any("not needed" in notice for notice in inside)


def test_a_column_of_old_codes_that_is_missing_is_named():
    changes = changes_of((2022, "A", 2, "")).drop(columns="previous").assign(previus="B")
    with pytest.raises(InputError, match=r"'previous' needs to be in the table.*Did you mean 'previus'"):
        zg.link_periods(panel_of(PEOPLE), changes)
    broken = changes_of((2022, "A", 3, "")).drop(columns="previous")
    assert zg.link_periods(panel_of(PEOPLE), broken).breaks.any()


def test_one_area_and_several_are_said_in_words():
    one = zg.link_periods(panel_of(PEOPLE), weights_of((2022, "A", "B", 0.5), (2022, "B", "B", 1.0)))
    assert any(notice.startswith("Earlier figures of 1 area were carried over") for notice in one.notices)
    two = zg.link_periods(panel_of(PEOPLE), weights_of((2022, "A", "B", 0.5), (2022, "B", "A", 1.0)))
    assert any(notice.startswith("Earlier figures of 2 areas were carried over") for notice in two.notices)


def test_all_problems_are_said_at_once_and_names_are_checked():
    with pytest.raises(InputError) as caught:
        zg.link_periods(panel_of([("A", 2021, 1, 10)]), changes_of((2022, "A", 7, ""), (2022, "B", 2, "")))
    assert len(caught.value.problems) == 2
    with pytest.raises(InputError, match="columns needs to name"):
        zg.link_periods(panel_of([("A", 2021, 1, 10)]), changes_of(), columns={"code": "x"})


def test_breaks_of_a_panel_have_its_shape():
    panel = panel_of([("A", 2021, 1, 10)])
    with pytest.raises(InputError, match="breaks need to be true or false of shape"):
        zg.Panel(panel.areas, panel.indicators, panel.periods, panel.observed, panel.exposure, panel.status,
                 breaks=np.zeros((1, 2), bool))  # fmt: skip


# --- weights ----------------------------------------------------------------------------------------


def test_a_broken_series_stays_broken_when_it_is_carried_over_by_weight():
    rows = [("X", 2020, 3, 30), ("X", 2021, 4, 40), ("X", 2022, 5, 50)]
    rows += [("Y", 2023, 6, 60), ("Z", 2020, 9, 90), ("W", 2023, 9, 90)]
    broken = zg.link_periods(panel_of(rows), changes_of((2021, "X", 3, None)), unknown_areas="drop")
    moved = zg.link_periods(broken, weights_of((2023, "X", "Y", 1.0), (2023, "Z", "W", 1.0)))
    assert figures(moved, "Y") == [3, 4, 5, 6]
    assert breaks(moved, "Y") == [False, True, False, False]
    assert breaks(moved, "W") == [False] * 4


def test_counts_and_exposures_are_carried_over_by_weight():
    rows = [("A", 2021, 100, 1000), ("B", 2021, 10, 50), ("C", 2021, 7, 70)]
    rows += [("A1", 2022, 60, 610), ("A2", 2022, 40, 380), ("B", 2022, 12, 60), ("C", 2022, 8, 80)]
    weights = weights_of(
        (2022, "A", "A1", 0.604), (2022, "A", "A2", 0.396), (2022, "B", "A2", 0.2), (2022, "B", "B", 0.8)
    )
    linked = zg.link_periods(panel_of(rows), weights)
    assert sorted(linked.areas) == ["A1", "A2", "B", "C"]
    assert figures(linked, "A1") == [60, 60]
    assert figures(linked, "A2") == [42, 40]  # 39.6 + 2 = 41.6
    assert figures(linked, "B") == [8, 12]
    assert figures(linked, "C") == [7, 8]
    assert figures(linked, "A2", "exposure") == pytest.approx([406, 380])
    assert linked.breaks is None
    assert any("carried over by weight: they are estimates" in notice for notice in linked.notices)


def test_one_change_after_the_other():
    rows = [("A", 2020, 8, 80), ("B", 2021, 9, 90), ("C", 2022, 6, 60), ("D", 2022, 3, 30)]
    weights = weights_of((2022, "B", "C", 0.75), (2022, "B", "D", 0.25), (2021, "A", "B", 1.0))
    linked = zg.link_periods(panel_of(rows), weights)
    assert figures(linked, "C") == [6, 7, 6]
    assert figures(linked, "D") == [2, 2, 3]


def test_values_are_averaged_and_shares_stay_within_their_exposure():
    rows = [("A", 2021, 10.0, 30), ("B", 2021, 20.0, 10), ("C", 2022, 12.0, 40)]
    both = weights_of((2022, "A", "C", 1.0), (2022, "B", "C", 1.0))
    values = zg.link_periods(panel_of(rows, "gaussian"), both)
    assert figures(values, "C") == [12.5, 12.0]
    assert figures(values, "C", "exposure") == [40, 40]
    rows = [("A", 2021, 9, 9), ("C", 2022, 5, 10), ("D", 2022, 1, 2)]
    shares = zg.link_periods(
        panel_of(rows, "binomial"), weights_of((2022, "A", "C", 0.83), (2022, "A", "D", 0.17))
    )
    for area in "CD":
        assert figures(shares, area) <= figures(shares, area, "exposure")
        assert all(value == round(value) for value in figures(shares, area, "exposure"))


def test_a_part_that_is_secret_or_missing_makes_the_whole_so():
    rows = [("A", 2021, -99997, 30), ("B", 2021, 20, 10), ("C", 2022, 12, 40)]
    linked = zg.link_periods(panel_of(rows), weights_of((2022, "A", "C", 1.0), (2022, "B", "C", 1.0)))
    assert linked.frame.set_index("period").loc["2021", "status"] == "secret"
    np.testing.assert_equal(figures(linked, "C"), [np.nan, 12])


def test_an_empty_part_adds_nothing_and_takes_nothing_away():
    rows = [
        ("A", 2020, 10, 1000),
        ("B", 2020, 0, 0),
        ("A", 2021, 0, 0),
        ("B", 2021, 0, 0),
        ("C", 2022, 9, 900),
    ]
    both = weights_of((2022, "A", "C", 1.0), (2022, "B", "C", 1.0))
    linked = zg.link_periods(panel_of(rows), both)
    assert linked.frame["status"].tolist() == ["ok", "no_exposure", "ok"]
    np.testing.assert_equal(figures(linked, "C"), [10, np.nan, 9])
    assert figures(linked, "C", "exposure")[0] == 1000
    rows = [("A", 2020, 4.5, 10), ("B", 2020, 3.0, 0), ("C", 2022, 5.0, 9)]
    values = zg.link_periods(panel_of(rows, "gaussian"), both)
    assert figures(values, "C")[0] == 4.5
    events = zg.link_periods(panel_of([("A", 2020, 4, 10), ("B", 2020, 3, 0), ("C", 2022, 5, 9)]), both)
    assert figures(events, "C")[0] == 7
    secret = [("A", 2020, -99997, 30), ("B", 2020, 0, 0), ("C", 2022, 5, 9)]
    assert zg.link_periods(panel_of(secret), both).frame["status"].iloc[0] == "secret"


@pytest.mark.parametrize("seed", [1, 2])
def test_counts_carried_over_keep_their_totals(seed):
    """Every old code in three thirds: all its events are there in each period, and no third is favoured."""
    draws = np.random.default_rng(seed)
    counts = draws.poisson(1.2, (50, 12))
    olds = [f"O{n:02d}" for n in range(50)]
    rows = [(old, 2000 + t, counts[n, t], 300) for n, old in enumerate(olds) for t in range(12)]
    rows += [(f"{old}{part}", 2012, 1, 100) for old in olds for part in "xyz"]
    weights = weights_of(*((2012, old, f"{old}{part}", 0.333) for old in olds for part in "xyz"))
    order = draws.permutation(len(rows))
    linked = zg.link_periods(panel_of([rows[n] for n in order]), weights)
    table = pd.DataFrame({area: figures(linked, area)[:12] for area in linked.areas})
    assert (table == table.round()).all(axis=None)
    for n, old in enumerate(olds):
        parts = table[[f"{old}{part}" for part in "xyz"]]
        assert parts.sum(axis=1).tolist() == counts[n].tolist()
        assert (parts.sum() - counts[n].sum() / 3).abs().max() < 2
        assert (parts - counts[n][:, None] / 3).abs().max(axis=None) <= 1
    again = zg.link_periods(panel_of(rows), weights)
    for area in linked.areas:
        assert figures(linked, area) == figures(again, area)


def test_counts_go_by_their_largest_remainders():
    rows = [("A", 2021, 10, 100), ("B", 2021, 1, 50), ("X", 2022, 1, 9), ("Y", 2022, 1, 9), ("Z", 2022, 1, 9)]
    weights = weights_of(
        (2022, "A", "X", 0.48), (2022, "A", "Y", 0.26), (2022, "A", "Z", 0.26), (2022, "B", "Z", 0.5),
        (2022, "B", "Y", 0.5),
    )  # fmt: skip
    linked = zg.link_periods(panel_of(rows), weights)
    # of A 4.8, 2.6 and 2.6: the last unit goes to Y before Z; of B the one event to Y before Z
    assert [figures(linked, area)[0] for area in "XYZ"] == [5, 4, 2]
    assert [figures(linked, area, "exposure")[0] for area in "XYZ"] == pytest.approx([48, 51, 51])


def test_weights_that_are_rounded_keep_large_totals():
    rows = [("A", 2021, 10_000, 90_000), *((area, 2022, 1, 9) for area in "XYZ")]
    linked = zg.link_periods(panel_of(rows), weights_of(*((2022, "A", area, 0.333) for area in "XYZ")))
    assert [figures(linked, area)[0] for area in "XYZ"] == [3334, 3333, 3333]


def test_parts_of_shares_keep_events_and_others():
    draws = np.random.default_rng(3)
    size = draws.integers(1, 9, (40, 3))
    seen = draws.binomial(size, 0.7)
    rows = [(f"O{n:02d}", 2019 + t, seen[n, t], size[n, t]) for n in range(40) for t in range(3)]
    rows += [(f"O{n:02d}{part}", 2022, 1, 2) for n in range(40) for part in "xyz"]
    weights = [(2022, f"O{n:02d}", f"O{n:02d}{part}", w) for n in range(40)
               for part, w in (("x", 0.5), ("y", 0.3), ("z", 0.2))]  # fmt: skip
    frame = zg.link_periods(panel_of(rows, "binomial"), weights_of(*weights)).frame
    before = frame[frame["period"] != "2022"].fillna({"observed": 0, "exposure": 0})
    assert (before["observed"] <= before["exposure"]).all()
    sums = before.groupby("period", observed=True)[["observed", "exposure"]].sum()
    np.testing.assert_array_equal(sums.to_numpy(), np.stack([seen.sum(0), size.sum(0)], axis=1))


def test_what_weights_leave_out_is_said():
    rows = [("A", 2021, 10, 30), ("C", 2022, 12, 40)]
    linked = zg.link_periods(panel_of(rows), weights_of((2022, "A", "C", 0.5)))
    assert any("add up to less than 1" in notice and "first: A" in notice for notice in linked.notices)
    assert figures(linked, "C") == [5, 12]


# --- in a study -------------------------------------------------------------------------------------

STUDY = """
[study]
id = "linked"
language = "en"

[areas]
path = "areas.gpkg"
id = "code"

[[tables]]
id = "people"
path = "people.csv"
area = "code"
period = "year"

[changes]
path = "changes.csv"
period = "jaar"

[[indicators]]
id = "thefts"
observed = "thefts"
exposure = "residents"

[[detectors]]
type = "spike"

[[detectors]]
type = "trend"

[[detectors]]
type = "emerging"
permutations = 199

[outputs]
formats = ["csv"]
"""
SIDE = 10


def write_study(folder, changes=None):
    import geopandas as gpd
    from shapely import box

    codes = [f"BU{n:04d}" for n in range(SIDE * SIDE)]
    rows, columns = np.divmod(np.arange(SIDE * SIDE), SIDE)
    shapes = [box(c, r, c + 1, r + 1) for r, c in zip(rows, columns, strict=True)]
    gpd.GeoDataFrame({"code": codes}, geometry=shapes, crs=28992).to_file(folder / "areas.gpkg")
    draws = np.random.default_rng(1)
    tables = []
    for year in range(2018, 2024):
        thefts = draws.poisson(40, SIDE * SIDE)
        if year == 2022:
            thefts[55] = 400
        if year >= 2021:
            thefts[33] = draws.poisson(200)
        table = pd.DataFrame({"code": codes, "year": year, "thefts": thefts, "residents": 1000})
        if year < 2020:
            table["code"] = table["code"].replace({"BU0007": "BU9907"})
        tables.append(table)
    pd.concat(tables).to_csv(folder / "people.csv", index=False)
    if changes is None:
        changes = pd.DataFrame(
            {"jaar": [2020, 2021], "area": ["BU0007", "BU0033"], "change": [2, 3], "previous": ["BU9907", ""]}
        )
    changes.to_csv(folder / "changes.csv", index=False)
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    return folder / "study.toml"


@pytest.mark.slow
def test_a_study_links_its_periods_and_flags_change_over_time(tmp_path):
    result = zg.run(write_study(tmp_path), tmp_path / "out")
    assert result.panel.observed.shape == (SIDE * SIDE, 1, 6)
    assert not np.isnan(result.panel.observed[list(result.panel.areas).index("BU0007")]).any()
    frame = result.flags.frame
    spikes = frame[frame["detector"] == "spike"]
    assert ("BU0055", "2022") in set(zip(spikes["area"], spikes["period"], strict=True))
    changed = spikes[spikes["area"] == "BU0033"]  # its boundary changed when the counts grew, in 2021
    assert not ((changed["direction"] == "high") | (changed["period"] <= "2021")).any()
    told = spikes[spikes["area"] == "BU0055"].iloc[0]["sentence"]
    assert "its own 5 other periods" in told or "its own 4 other periods" in told
    report = (tmp_path / "out" / "report_internal.md").read_text(encoding="utf-8")
    assert "the boundary of 1 of 100 areas changed (2021)" in report
    assert "1 of 100 areas had another code before" in report
    assert (tmp_path / "out" / "map_internal.html").exists()
    written = pd.read_csv(tmp_path / "out" / "flags_internal.csv")
    assert {"n_periods", "history_value", "surroundings_change"} <= set(written)


def test_a_study_with_a_wrong_table_of_changes_says_where_and_ends_with_2(tmp_path, capsys):
    wrong = pd.DataFrame(
        {"jaar": [2020, 2021], "area": ["BU0007", "BU0033"], "change": [2, 8], "previous": ["", ""]}
    )
    assert main(["check", str(write_study(tmp_path, wrong))]) == 2
    told = capsys.readouterr().err
    assert (
        "changes.csv: column 'change' needs to be 1, 2 or 3; got others (1 of 2; first: data row 2 (BU0033))"
        in told
    )
    assert "changes.csv: column 'previous' needs to hold the old code" in told
    (tmp_path / "changes.csv").unlink()
    assert main(["check", str(tmp_path / "study.toml")]) == 2
    assert "changes" in capsys.readouterr().err


def test_a_study_that_names_a_column_of_weights_needs_it_in_the_table(tmp_path, capsys):
    path = write_study(tmp_path)
    text = path.read_text(encoding="utf-8").replace("[changes]\n", '[changes]\nweight = "gewicht"\n')
    path.write_text(text, encoding="utf-8")
    assert main(["check", str(path)]) == 2
    assert "changes.csv: column 'gewicht' needs to be in the table" in capsys.readouterr().err


def test_a_study_says_which_changes_are_of_areas_that_nobody_knows(tmp_path, capsys):
    """Codes of another table, or of the map, are known."""
    typed = pd.DataFrame(
        {"jaar": [2020, 2021, 2021], "area": ["BU0007", "BU0033", "BU33"], "change": [2, 3, 3],
         "previous": ["BU9907", "", ""]}
    )  # fmt: skip
    path = write_study(tmp_path, typed)
    assert main(["check", str(path)]) == 2
    told = capsys.readouterr().err
    assert "changes.csv: columns 'area' and 'previous' need to hold areas of the panel or the map" in told
    assert "first: data row 3 (BU33)" in told
    text = path.read_text(encoding="utf-8").replace("[changes]\n", '[changes]\nunknown_areas = "drop"\n')
    path.write_text(text, encoding="utf-8")
    assert main(["check", str(path)]) == 0
    assert "were left out (1 of 3; first: data row 3 (BU33))" in capsys.readouterr().out


def test_old_codes_that_nothing_links_are_an_error(tmp_path, capsys):
    none = pd.DataFrame({"jaar": [2021], "area": ["BU0033"], "change": [3], "previous": [""]})
    assert main(["check", str(write_study(tmp_path, none))]) == 2
    told = capsys.readouterr().err
    assert "people.csv: column code needs to hold areas of the map" in told
    assert "BU9907" in told
