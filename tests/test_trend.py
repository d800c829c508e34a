"""Mann-Kendall and Sen beside slow twins, outside references and known series."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import zoo_geo as zg
from naive import over_time as naive
from panels import lattice
from series import calm, of_period, panel_of
from zoo_geo.detectors.over_time import are_years
from zoo_geo.errors import InputError
from zoo_geo.trends import EXACT_UNTIL, mann_kendall, sen_slopes, smallest_p

VALUES = st.lists(st.integers(0, 5), min_size=2, max_size=7)


@pytest.mark.slow
@given(VALUES)
def test_score_variance_and_exact_p_are_those_of_all_orders(values):
    found = mann_kendall(np.array([values], dtype=float))
    assert found.score[0] == naive.score(values)
    assert found.variance[0] == pytest.approx(naive.score_variance(values))
    for alternative in ("two-sided", "greater", "less"):
        assert found.p(alternative)[0] == pytest.approx(naive.trend_p(values, alternative), abs=1e-12)


@given(st.lists(st.integers(0, 30), min_size=3, max_size=12))
def test_sen_is_the_median_of_all_slopes_and_its_interval_that_of_scipy(values):
    series = np.array([values], dtype=float)
    times = np.arange(2000.0, 2000 + len(values))
    found = sen_slopes(series, times, mann_kendall(series).variance)
    assert found.slope[0] == pytest.approx(naive.sen(values, times))
    outside = stats.theilslopes(values, times)
    assert (found.low[0], found.high[0]) == pytest.approx((outside.low_slope, outside.high_slope))
    assert found.at(times[0], found.slope)[0] == pytest.approx(outside.intercept + outside.slope * times[0])


def test_long_series_are_those_of_pymannkendall():
    """An outside reference: pymannkendall's original test, by normal approximation."""
    outside = pytest.importorskip("pymannkendall")
    draws = np.random.default_rng(1)
    for length in (EXACT_UNTIL + 1, 45, 80):
        for step in (0.0, 0.1):
            values = np.round(draws.normal(0, 2, length) + step * np.arange(length), 1)
            found, theirs = mann_kendall(values[None]), outside.original_test(values)
            assert found.score[0] == theirs.s
            assert found.variance[0] == pytest.approx(theirs.var_s)
            assert found.z[0] == pytest.approx(theirs.z)
            assert found.p("two-sided")[0] == pytest.approx(theirs.p)
            line = sen_slopes(values[None], np.arange(float(length)), found.variance)
            assert line.slope[0] == pytest.approx(theirs.slope)


@pytest.mark.parametrize(
    ("n", "score", "p"),
    [
        (4, 6, 0.042),
        (4, 4, 0.167),
        (5, 10, 0.0083),
        (5, 8, 0.042),
        (8, 16, 0.031),
        (10, 21, 0.036),
        (10, 45, 0.00000028),
    ],
)
def test_published_table_of_kendalls_score(n, score, p):
    """One-sided probabilities as tabulated by Kendall, in Gilbert (1987), table A18."""
    order = _with_score(n, score)
    assert naive.score(order) == score
    found = mann_kendall(np.array([order], dtype=float)).p("greater")[0]
    assert found == pytest.approx(p, rel=0.02)


def _with_score(n, score):
    """An order of 1..n with this score."""
    order, swaps = list(range(n)), (n * (n - 1) // 2 - score) // 2
    for _ in range(swaps):
        at = next(k for k in range(n - 1) if order[k] < order[k + 1])
        order[at], order[at + 1] = order[at + 1], order[at]
    return order


def test_gaps_are_left_out_and_flat_series_have_no_trend():
    values = np.array([[1.0, np.nan, 2.0, 3.0, np.nan, 5.0, 4.0], [2.0] * 7, [np.nan] * 7])
    found = mann_kendall(values)
    assert found.periods.tolist() == [5, 7, 0]
    assert found.score[0] == naive.score([1, 2, 3, 5, 4])
    assert found.p("two-sided")[1:].tolist() == [1.0, 1.0]
    assert found.z[1:].tolist() == [0.0, 0.0]
    line = sen_slopes(values, np.arange(7.0), found.variance)
    assert line.slope[0] == pytest.approx(naive.sen([1, 2, 3, 5, 4], [0, 2, 3, 5, 6]))
    assert line.slope[1] == 0.0
    assert np.isnan(line.slope[2])


def test_float_noise_is_a_tie():
    found = mann_kendall(np.array([[0.1 + 0.2, 0.3, 0.3, 0.3]]))
    assert found.score[0] == 0.0
    assert found.variance[0] == 0.0


@pytest.mark.parametrize("length", [5, 8, 12])
def test_p_of_no_trend_is_what_it_says(length):
    draws = np.random.default_rng(length)
    values = draws.poisson(4.0, (20_000, length)).astype(float)
    p = mann_kendall(values).p("two-sided")
    for level in (0.05, 0.01):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level / 20_000)
    assert (p <= 0.05).mean() > 0.01


def rising(world, count, factor=1.25, area=40):
    size, table = calm(world, count, seed=3, spread=0.0, bursts=0.0, rate=0.05)
    table[area] = np.round(table[area, 0] * factor ** np.arange(count))
    return size, table


def test_a_rise_of_one_area_is_found_and_said_in_both_languages():
    world = lattice(11, 10)
    size, table = rising(world, 12)
    found = zg.Trend().detect(panel_of(world, table, size), world.graph())
    last = found.frame[found.frame["period"] == "2012"]
    row = last.loc[last["p_value"].idxmin()]
    assert row["area"] == world.codes[40]
    assert (row["label"], row["direction"], row["n_periods"]) == ("rising", "high", 12)
    assert 2 < row["change"] < np.inf
    assert row["ratio"] > 2
    assert row["slope_low"] > 0
    assert row["ratio_low"] > 1
    assert set(found.frame.loc[found.frame["period"] != "2012", "status"]) == {"not_tested"}
    flags = zg.flag(found, 0.05, min_ratio=1.25)
    assert world.codes[40] in set(flags.frame["area"])
    told = flags.frame[flags.frame["area"] == world.codes[40]].iloc[0].to_dict()
    assert "It rises by" in zg.sentence(told, "en")
    assert "a year over 12 periods, the course of its neighbours taken out" in zg.sentence(told, "en")
    assert "a period over 12 periods" in zg.sentence(told | {"period": "2012Q4"}, "en")
    assert "Het stijgt met" in zg.sentence(told, "nl")
    assert "so steady a trend" in zg.sentence(told, "en")


def test_a_rise_of_everybody_is_no_areas_trend():
    world = lattice(11, 10)
    size, table = calm(world, 8, seed=5, spread=0.0, bursts=0.0, rate=0.05)
    table = np.round(table * 1.2 ** np.arange(8))
    panel, graph = panel_of(world, table, size), world.graph()
    share = {
        value: (zg.Trend(value=value).detect(panel, graph).frame["p_value"] <= 0.05).sum() / len(world)
        for value in ("ratio", "rate")
    }
    assert share["rate"] > 0.95
    assert share["ratio"] < 0.1


def test_a_rise_of_all_shares_is_no_areas_trend():
    world = lattice(16, 16)
    draws = np.random.default_rng(1)
    odds = np.exp(np.tile(np.linspace(0.0, 2.2, 10), (len(world), 1)))
    table = draws.binomial(400, odds / (1 + odds)).astype(float)
    size = np.full(len(world), 400.0)
    found = zg.Trend().detect(panel_of(world, table, size, "binomial"), world.graph())
    last = found.frame[found.frame["period"] == "2010"]
    assert zg.flag(found, 0.05).frame.empty
    assert (last["p_value"] <= 0.05).mean() < 0.08
    assert (last["expected"] <= last["exposure"]).all()
    assert last["ratio"].median() == pytest.approx(1.0, abs=0.01)
    assert last["surroundings_change"].median() == pytest.approx(np.exp(2.2), rel=0.05)


def test_a_share_that_rises_beyond_others_is_expected_through_its_odds():
    """Odds of all areas times 9, of one times 81: without the rise of its own it would show a share of .9."""
    world = lattice(11, 10)
    odds = np.exp(np.tile(np.linspace(0.0, np.log(9.0), 9), (len(world), 1)))
    odds[40] = odds[40] ** 2
    odds[5], odds[6] = 0.0, 1e12  # none at all, and all of them
    table = np.round(1e6 * odds / (1 + odds))
    panel = panel_of(world, table, np.full(len(world), 1e6), "binomial")
    found = zg.Trend(reference="national").detect(panel, world.graph())
    row = found.frame[(found.frame["period"] == "2009") & (found.frame["area"] == world.codes[40])].iloc[0]
    assert row["label"] == "rising"
    # beside the course (centred: from a third to three times) it goes from odds of 3 to 27
    assert row["change"] == pytest.approx((27 / 28) / (3 / 4), rel=0.08)
    assert row["expected"] <= row["exposure"]
    assert row["expected"] == pytest.approx(0.9e6, rel=0.03)
    assert row["ratio"] == pytest.approx((81 / 82) / 0.9, rel=0.03)
    assert row["ratio_low"] <= row["ratio"] * 1.02
    flat = found.frame[found.frame["period"] == "2009"].set_index("area").loc[world.codes[5:7]]
    assert flat["p_value"].tolist() == [1.0, 1.0]
    assert flat["statistic"].tolist() == [0.0, 0.0]


def test_a_line_of_shares_begins_below_all():
    world = lattice(11, 10)
    table = np.tile([8.0, 8.0, 8.0, 6.0, 3.0, 1.0, 0.0], (110, 1))
    table[0] = 4.0
    panel = panel_of(world, table, np.full(110, 8.0), "binomial")
    frame = zg.Trend(value="rate").detect(panel, world.graph()).frame
    last = frame[(frame["period"] == "2007") & (frame["area"] != world.codes[0])]
    np.testing.assert_allclose(last["expected"], 7.5)
    assert set(last["label"]) == {"falling"}


def test_values_are_measured_by_differences():
    world = lattice(11, 10)
    draws = np.random.default_rng(6)
    table = draws.normal(-5, 1, (110, 10)) + 3.0 * np.arange(10)
    table[17] += 2.0 * np.arange(10)
    frame = (
        zg.Trend(reference="national").detect(panel_of(world, table, family="gaussian"), world.graph()).frame
    )
    last = frame[frame["period"] == "2010"].set_index("area")
    assert last["p_value"].idxmin() == world.codes[17]
    assert last.loc[world.codes[17], "slope"] == pytest.approx(2.0, abs=0.3)
    assert last.loc[world.codes[17], "surroundings_change"] == pytest.approx(27.0, abs=1.5)
    assert last["slope"].median() == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize(("alternative", "enough"), [("two-sided", 5), ("greater", 4), ("less", 4)])
def test_series_that_cannot_pass_are_too_few_and_said(alternative, enough):
    world = lattice(11, 10)
    size, table = calm(world, 8, seed=7)
    for count in range(1, 8):
        panel = panel_of(world, table[:, :count], size)
        found = zg.Trend(alternative=alternative).detect(panel, world.graph())
        last = set(of_period(found.frame, "status", world, str(2000 + count)))
        assert last == ({"ok"} if count >= enough else {"too_few"})
        assert any("too short" in notice for notice in found.notices) == (count < enough)
    assert smallest_p(enough, alternative) <= 0.05 < smallest_p(enough - 1, alternative)


def test_the_smallest_p_of_a_short_series_is_said():
    world = lattice(11, 10)
    size, table = calm(world, 5, seed=8)
    found = zg.Trend().detect(panel_of(world, table, size), world.graph())
    assert any("no p below 0.017, so 33% of all areas" in notice for notice in found.notices)
    longer = zg.Trend().detect(panel_of(world, np.tile(table, 2)[:, :9], size), world.graph())
    assert not any("no p below" in notice for notice in longer.notices)


@pytest.mark.parametrize(
    ("periods", "a_year"),
    [
        (["2000", "2005", "2010", "2015", "2020"], True),
        (["2022", "2023", "2024", "2025", "2026"], False),
        (["202209", "202210", "202211", "202212", "202301"], False),
        (["2022-09", "2022-10", "2022-11", "2022-12", "2023-01"], False),
        (["10", "20", "30", "40", "50"], False),
    ],
)
def test_slopes_are_a_year_where_periods_are_years(periods, a_year):
    """A rise of 5 a period is one of 1 a year where five years lie between."""
    world = lattice(11, 10)
    table = np.tile(5.0 * np.arange(5), (110, 1)) + np.arange(110.0)[:, None]
    panel = panel_of(world, table, family="gaussian", periods=periods)
    frame = zg.Trend(value="rate").detect(panel, world.graph()).frame
    slope = of_period(frame, "slope", world, periods[-1])
    np.testing.assert_allclose(slope, 1.0 if a_year else 5.0)
    assert are_years(periods) == (len(periods[0]) == 4)


def test_likeness_of_successive_periods_is_said():
    world = lattice(11, 10)
    draws = np.random.default_rng(9)
    noise = draws.normal(0, 1, (110, 20))
    walks = np.cumsum(noise, axis=1)
    said = {}
    for name, table in (("calm", noise), ("walks", walks)):
        found = zg.Trend(value="rate").detect(panel_of(world, table, family="gaussian"), world.graph())
        said[name] = any("successive periods are alike" in notice for notice in found.notices)
    assert said == {"calm": False, "walks": True}


def test_only_periods_since_the_last_break_count():
    world = lattice(11, 10)
    size, table = rising(world, 12)
    table[40, :6] = 500.0 + np.arange(6)[::-1] * 50
    breaks = np.zeros(table.shape, bool)
    breaks[40, 6] = True
    whole, cut = (
        zg.Trend().detect(panel_of(world, table, size, breaks=each), world.graph()).frame
        for each in (None, breaks)
    )
    rows = [
        frame[(frame["period"] == "2012") & (frame["area"] == world.codes[40])].iloc[0]
        for frame in (whole, cut)
    ]
    assert rows[0]["n_periods"] == 12
    assert rows[1]["n_periods"] == 6
    assert rows[1]["p_value"] < 0.01
    assert rows[1]["statistic"] == 15


@pytest.mark.parametrize(
    "options", [{"value": "z"}, {"reference": "model"}, {"rings": 0}, {"rings": True}, {"alternative": "up"}]
)
def test_options_that_do_not_fit_are_refused(options):
    with pytest.raises(InputError, match="needs to be"):
        zg.Trend(**options)


def test_orders_of_equal_score_have_equal_p():
    orders = [list(each) for each in itertools.permutations(range(5))]
    found = mann_kendall(np.array(orders, dtype=float))
    for score in set(found.score):
        assert len(set(found.p("greater")[found.score == score])) == 1
