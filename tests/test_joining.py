"""Panels of several tables as one, against what each held."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

import zoo_geo as zg
from zoo_geo.joining import joined
from zoo_geo.schema import STATUSES


def panel(indicator, areas, years, events=False, breaks=()):
    """Counts 10 a + t of areas a over years t, with series that start anew at pairs of them."""
    rows = [(a, year, 10 * k + t, 100) for k, a in enumerate(areas) for t, year in enumerate(years)]
    table = pd.DataFrame(rows, columns=["area", "year", indicator, "people"])
    made = zg.Panel.from_frame(
        table, area="area", period="year", observed={indicator: indicator}, exposure="people"
    )
    anew = np.zeros((len(areas), len(years)), bool)
    for a, year in breaks:
        anew[areas.index(a), years.index(year)] = True
    return replace(
        made,
        breaks=anew if breaks else None,
        events=np.full(made.observed.shape, 7.0) if events else None,
    )


def study(*ids):
    """What joining asks of a study: the order of its indicators and the words of their units."""
    return SimpleNamespace(indicators=[SimpleNamespace(id=id, unit=id) for id in ids], within=str.upper)


def at(found, indicator, area, year, name="observed"):
    k = [each.id for each in found.indicators].index(indicator)
    return getattr(found, name)[found.areas.get_loc(area), k, found.periods.index(year)]


def test_every_figure_keeps_its_area_and_period_and_the_order_is_that_of_the_study():
    one, two = panel("x", ["A", "B"], ["2021", "2022"]), panel("y", ["C", "B"], ["2022", "2023"])
    found = joined([one, two], study("y", "x"))
    assert [each.id for each in found.indicators] == ["y", "x"]
    assert [each.unit for each in found.indicators] == ["Y", "X"]
    assert set(found.areas) == {"A", "B", "C"}
    assert found.periods == ("2021", "2022", "2023")
    assert at(found, "x", "B", "2022") == 11
    assert at(found, "y", "B", "2023") == 11
    assert at(found, "y", "C", "2022") == 0
    for indicator, area, year in (
        ("x", "C", "2021"),
        ("x", "A", "2023"),
        ("y", "A", "2022"),
        ("y", "B", "2021"),
    ):
        assert STATUSES[at(found, indicator, area, year, "status")] == "missing"
        assert np.isnan(at(found, indicator, area, year))


def test_series_that_start_anew_in_any_table_do_so_in_the_whole():
    one = panel("x", ["A", "B"], ["2021", "2022"], breaks=[("A", "2022")])
    two = panel("y", ["C", "B"], ["2022", "2023"], breaks=[("B", "2023")])
    found = joined([one, two, panel("z", ["A"], ["2023"])], study("x", "y", "z"))
    anew = {(found.areas[a], found.periods[t]) for a, t in np.argwhere(found.breaks)}
    assert anew == {("A", "2022"), ("B", "2023")}
    assert joined([panel("x", ["A"], ["2021"])], study("x")).breaks is None


def test_events_behind_subjects_are_kept_where_one_table_has_them():
    one, two = panel("x", ["A"], ["2021"], events=True), panel("y", ["A"], ["2021", "2022"])
    found = joined([two, one], study("x", "y"))
    assert at(found, "x", "A", "2021", "events") == 7
    assert np.isnan(at(found, "x", "A", "2022", "events"))
    assert np.isnan(at(found, "y", "A", "2021", "events"))
    assert joined([two], study("y")).events is None
