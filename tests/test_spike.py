"""Spike: slow twins, calibration where the truth is known, and what may not be flagged."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import zoo_geo as zg
from naive import over_time as naive
from panels import lattice
from series import calm, of_period, panel_of
from test_deviation import areas_of, parents_of
from zoo_geo import references
from zoo_geo.courses import START, Series, course
from zoo_geo.detectors import spike
from zoo_geo.errors import InputError
from zoo_geo.explain import sentence
from zoo_geo.histories import compare
from zoo_geo.kernels.histories import split_coverage, split_tails
from zoo_geo.predictive import FAMILIES


def series_of(table, size, family="poisson", segment=None):
    valid = np.isfinite(table)
    segment = np.zeros(table.shape, int) if segment is None else segment
    wide = np.broadcast_to(np.asarray(size, float)[:, None], table.shape)
    return Series(table, np.ascontiguousarray(wide), valid, segment, FAMILIES[family])


# --- slow twins -------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.floats(0.02, 0.98), st.floats(1e-4, 0.5), st.data())
def test_tails_of_a_split_are_those_of_scipy(total, share, rho, data):
    part = data.draw(st.integers(0, total))
    log_p, upper = np.empty(1), np.empty(1, bool)
    split_tails(*(np.array([float(x)]) for x in (part, total, share, rho)), log_p, upper)
    law = stats.betabinom(total, share * (1 - rho) / rho, (1 - share) * (1 - rho) / rho)
    above, below = law.sf(part) + 0.5 * law.pmf(part), law.cdf(part) - 0.5 * law.pmf(part)
    assert np.exp(log_p[0]) == pytest.approx(min(above, below), rel=1e-6)
    assert upper[0] == (above < below) or above == pytest.approx(below)


@given(st.integers(1, 60), st.floats(0.05, 0.95), st.floats(1e-3, 0.3))
def test_half_of_all_parts_lie_in_the_central_half(total, share, rho):
    parts = np.arange(total + 1.0)
    law = stats.betabinom(total, share * (1 - rho) / rho, (1 - share) * (1 - rho) / rho)
    same = [np.full(parts.size, float(x)) for x in (total, share, rho)]
    assert split_coverage(parts, *same, law.pmf(parts), 0.25) == pytest.approx(0.5, abs=1e-6)


def test_far_tails_keep_their_digits():
    log_p, upper = np.empty(1), np.empty(1, bool)
    split_tails(*(np.array([float(x)]) for x in (5000, 5040, 0.2, 1e-6)), log_p, upper)
    assert upper[0]
    assert -8000 < log_p[0] < -5000


@pytest.mark.slow
def test_p_is_that_of_the_slow_twin():
    world = lattice(5, 4)
    size, table = calm(world, 4, seed=1)
    table[3, 1], table[7, 0] = np.nan, 300
    series = series_of(table, size)
    near = [references.everybody(len(world))]
    found = compare(series, None, near, clean=0)
    around = course(series, series.valid, START, None, near)
    for i in range(len(world)):
        counts = [None if np.isnan(x) else x for x in table[i]]
        for t in range(4):
            if counts[t] is None:
                assert np.isnan(found.log_p[i, t])
                continue
            p = naive.history_p(
                counts,
                [size[i]] * 4,
                around.level[i],
                around.error[i],
                found.spread.common,
                found.spread.bursts,
                t,
            )
            assert min(1.0, 2 * np.exp(found.log_p[i, t])) == pytest.approx(p, rel=1e-5)


def test_shares_are_expected_at_the_odds_of_the_other_periods_as_in_the_slow_twin():
    world = lattice(5, 4)
    draws = np.random.default_rng(1)
    size = draws.integers(20, 400, len(world)).astype(float)
    odds = np.exp(draws.normal(0, 1, len(world))[:, None] + np.array([-1.5, -0.5, 0.5, 1.5]))
    table = draws.binomial(size.astype(int)[:, None], odds / (1 + odds)).astype(float)
    table[3, 1], table[7], table[8] = np.nan, 0.0, size[8]
    series = series_of(table, size, "binomial")
    near = [references.everybody(len(world))]
    found = compare(series, None, near, clean=0)
    around = course(series, series.valid, START, None, near)
    for i in range(len(world)):
        counts = [None if np.isnan(x) else x for x in table[i]]
        for t in range(4):
            if counts[t] is None:
                assert np.isnan(found.expected[i, t])
                continue
            share = naive.share_expected(counts, [size[i]] * 4, around.level[i], t)
            assert found.expected[i, t] == pytest.approx(size[i] * share, rel=1e-4)


def test_course_of_the_nation_is_that_of_the_slow_twin():
    world = lattice(4, 4)
    size, table = calm(world, 3, seed=2)
    series = series_of(table, size)
    found = course(series, series.valid, START, None, [references.everybody(len(world))])
    slow = naive.national_course(
        table.tolist(), np.tile(size[:, None], 3).tolist(), (START.common, START.bursts)
    )
    np.testing.assert_allclose(found.level, slow, rtol=1e-6)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_without_spread_it_is_the_exact_test_of_two_counts(count):
    """Calm Poisson series: p is the binomial mid-p of a count given the sum (Przyborowski, Wilenski)."""
    world = lattice(60, 60)
    draws = np.random.default_rng(count)
    size = np.full(len(world), 1000.0)
    table = draws.poisson(draws.uniform(2, 60, len(world))[:, None], (len(world), count)).astype(float)
    frame = zg.Spike(reference="national", clean=0).detect(panel_of(world, table, size), world.graph()).frame
    p = of_period(frame, "p_value", world, "2001")
    law = stats.binom(table.sum(1), 1 / count)
    half = 0.5 * law.pmf(table[:, 0])
    exact = np.minimum(1, 2 * np.minimum(law.sf(table[:, 0]) + half, law.cdf(table[:, 0]) - half))
    np.testing.assert_allclose(np.log(p), np.log(exact), rtol=0.08, atol=0.15)


# --- what it finds ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world():
    return lattice(30, 30)


def detected(world, table, size, breaks=None, family="poisson", near=None, **options):
    panel = panel_of(world, table, size, family, breaks=breaks)
    return zg.Spike(**options).detect(panel, world.graph() if near is None else near)


def test_one_year_is_found_and_the_other_years_are_left_alone(world):
    size, table = calm(world, 5, seed=3)
    table[400] = [44, 45, 130, 996, 75]
    found = detected(world, table, size)
    flags = zg.flag(found, 0.05, min_ratio=1.25).frame
    own = flags[flags["area"] == world.codes[400]]
    assert set(zip(own["period"], own["direction"], strict=True)) >= {("2004", "high")}
    assert not (own["direction"] == "low").any()
    row = own[own["period"] == "2004"].iloc[0]
    assert row["ratio_low"] > 8
    assert row["expected"] == pytest.approx(55, rel=0.3)
    assert row["n_periods"] in (3, 4)
    neighbours = flags[flags["area"].isin([world.codes[i] for i in (399, 401, 370, 430)])]
    assert neighbours.empty


def test_what_the_whole_neighbourhood_does_is_no_spike_of_an_area(world):
    size, table = calm(world, 5, seed=4, rate=0.05)
    rows, columns = np.divmod(np.arange(900), 30)
    group = (rows < 15) & (columns < 15)
    table[group, 4] = np.round(table[group, 4] * 2)
    inside = np.flatnonzero((rows < 12) & (columns < 12))
    last = {
        reference: of_period(
            detected(world, table, size, reference=reference).frame, "p_value", world, "2005"
        )[inside]
        for reference in ("neighbours", "national")
    }
    assert (last["neighbours"] <= 0.01).mean() < 0.05
    assert (last["national"] <= 0.01).mean() > 0.5


def test_a_spike_next_door_changes_nobodys_expectation(world):
    size, table = calm(world, 5, seed=5)
    panel = detected(world, table, size).frame
    table[400, 3] = 50_000
    other = detected(world, table, size).frame
    near = [399, 401, 370, 430]
    for name in ("expected", "surroundings_change"):
        one, two = (of_period(frame, name, world, "2004")[near] for frame in (panel, other))
        np.testing.assert_allclose(one, two, rtol=0.1)


def test_a_spike_next_door_changes_nobodys_expectation_of_two_periods(world):
    size, table = calm(world, 2, seed=5, spread=0.0, bursts=0.0)
    before = detected(world, table, size).frame
    table[400, 1] = 50_000
    found = detected(world, table, size)
    near = [399, 401, 370, 430]
    one, two = (
        of_period(frame, "surroundings_change", world, "2002")[near] for frame in (before, found.frame)
    )
    np.testing.assert_allclose(one, two, rtol=0.1)
    assert any("figures are odd themselves" in notice for notice in found.notices)


@pytest.mark.slow
def test_history_before_knows_nothing_of_what_comes_later(world):
    size, table = calm(world, 5, seed=6)
    later = table.copy()
    later[:, 4] = later[::-1, 4] * 3
    frames = [detected(world, each, size, history="before").frame for each in (table, later)]
    rows = [frame[frame["period"] != "2005"].drop(columns=["cluster"]) for frame in frames]
    pd.testing.assert_frame_equal(*rows)
    assert set(of_period(frames[0], "status", world, "2001")) == {"too_few"}
    assert set(of_period(frames[0], "n_periods", world, "2003")) <= {1.0, 2.0}
    whole = detected(world, table, size).frame
    np.testing.assert_array_equal(
        of_period(frames[0], "p_value", world, "2005"), of_period(whole, "p_value", world, "2005")
    )


def test_a_history_without_any_event_promises_no_more_than_chance_gives(world):
    size, table = calm(world, 5, seed=7)
    table[10], table[11], table[12] = 0, 0, 0
    table[11, 2], table[12, 2] = 5, 60
    frame = detected(world, table, size).frame
    p = of_period(frame, "p_value", world, "2003")
    assert p[10] == 1.0
    assert p[11] >= 2 * 0.5 * 0.2**5 * 0.9
    assert p[12] < 1e-6
    assert of_period(frame, "expected", world, "2003")[12] < 1
    assert np.isfinite(of_period(frame, "ratio", world, "2003")[12])
    assert np.isfinite(of_period(frame, "ratio_low", world, "2003")[12])


def test_broken_series_are_compared_since_the_break_and_said(world):
    size, table = calm(world, 5, seed=8, rate=0.05)
    table[50, 3:] = np.round(table[50, 3:] * 4)  # the boundary was drawn wider
    table[60, 4:] = np.round(table[60, 4:] * 4)
    breaks = np.zeros(table.shape, bool)
    breaks[50, 3] = breaks[60, 4] = True
    blind = detected(world, table, size).frame
    found = detected(world, table, size, breaks=breaks)
    for area, periods in ((50, ("2004", "2005")), (60, ("2005",))):
        for period in periods:
            assert of_period(blind, "p_value", world, period)[area] < 0.01
    assert of_period(found.frame, "n_periods", world, "2004")[50] == 1
    assert of_period(found.frame, "p_value", world, "2004")[50] > 0.01
    assert of_period(found.frame, "n_periods", world, "2001")[50] == 2
    assert of_period(found.frame, "status", world, "2005")[60] == "too_few"
    assert any("the boundary of 2 of 900 areas changed (2004, 2005)" in notice for notice in found.notices)
    assert any("1 of 4,500 figures have no comparable period" in notice for notice in found.notices)


def test_reference_parent_and_peers(world):
    size, table = calm(world, 4, seed=9)
    table[400, 2] = 900
    areas = areas_of(world, parents_of(world, 9))
    panel = panel_of(world, table, size)
    parent = zg.Spike(reference="parent:gemeente").detect(panel, world.graph(), areas=areas)
    assert parent.name == "spike:parent:gemeente"
    assert parent.frame.loc[parent.frame["p_value"].idxmin(), "area"] == world.codes[400]
    features = pd.DataFrame({"a": np.arange(900.0), "b": np.arange(900.0)[::-1] ** 0.5}, index=world.codes)
    peers = zg.Spike().detect(panel, zg.build_peers(features, k=10))
    assert peers.name == "spike:peers"
    assert peers.frame.loc[peers.frame["p_value"].idxmin(), "area"] == world.codes[400]
    assert "comparable areas" in zg.sentence(zg.flag(peers, 0.05).frame.iloc[0].to_dict(), "en")


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_one_sided(world, alternative):
    size, table = calm(world, 5, seed=10, rate=0.05)
    table[7, 2], table[8, 2] = table[7, 2] * 6, 0
    p = of_period(detected(world, table, size, alternative=alternative).frame, "p_value", world, "2003")
    assert (p[7] < 1e-4) == (alternative == "greater")
    assert (p[8] < 1e-4) == (alternative == "less")


def test_sentences_state_history_expectation_and_the_change_around(world):
    size, table = calm(world, 5, seed=11)
    table[400] = [20, 20, 21, 400, 19]
    flags = zg.flag(detected(world, table, size), 0.05).frame
    row = flags[flags["area"] == world.codes[400]].iloc[0].to_dict()
    english, dutch = zg.sentence(row, "en"), zg.sentence(row, "nl")
    assert "Going by its own 4 other periods and the change of its neighbours" in english
    assert "Its other periods had" in english
    assert "meanwhile the level of its neighbours went times" in english
    assert "a change this large" in english
    assert "Afgaand op de eigen 4 andere perioden en de verandering van de buren" in dutch
    assert "het niveau van de buren ging intussen maal" in dutch
    assert row["evidence"] == "spike:neighbours"
    assert row["n_evidence"] == 1


def test_change_over_time_is_evidence_beside_the_own_figure(world):
    size, table = calm(world, 5, seed=12)
    table[400, 3] = 2_000
    panel, graph = panel_of(world, table, size), world.graph()
    flags = zg.flag([zg.Deviation().detect(panel, graph), zg.Spike().detect(panel, graph)], 0.05).frame
    row = flags[(flags["area"] == world.codes[400]) & (flags["period"] == "2004")].iloc[0]
    assert row["evidence"] == "deviation:neighbours; spike:neighbours"
    assert row["n_evidence"] == 2


@pytest.mark.slow
def test_shares_and_values(world):
    draws = np.random.default_rng(13)
    size = draws.integers(200, 3000, 900).astype(float)
    share = draws.beta(20, 60, 900)[:, None] * np.ones(5)
    course_ = 1 / (1 + np.exp(-(np.log(share / (1 - share)) + draws.normal(0, 0.2, 5))))
    rho = 0.003
    table = draws.binomial(
        size[:, None].astype(int), draws.beta(course_ * (1 / rho - 1), (1 - course_) * (1 / rho - 1))
    )
    table = table.astype(float)
    table[40, 2] = round(0.8 * size[40])
    frame = detected(world, table, size, family="binomial").frame
    assert frame.loc[frame["p_value"].idxmin(), ["area", "period"]].tolist() == [world.codes[40], "2003"]
    assert ((frame["p_value"] <= 0.05).mean() / 0.05) == pytest.approx(1.0, abs=0.25)
    flags = zg.flag(detected(world, table, size, family="binomial"), 0.05).frame
    assert "meanwhile the odds of its neighbours went times" in zg.sentence(flags.iloc[0].to_dict(), "en")
    values = draws.normal(50, 10, 900)[:, None] + draws.normal(0, 3, 5) + draws.standard_t(6, (900, 5))
    values[40, 2] += 15
    frame = detected(world, values, None, family="gaussian").frame
    row = frame.loc[frame["p_value"].idxmin()]
    assert row[["area", "period"]].tolist() == [world.codes[40], "2003"]
    assert row["expected"] == pytest.approx(values[40, 2] - 15, abs=4)
    assert ((frame["p_value"] <= 0.05).mean() / 0.05) == pytest.approx(1.0, abs=0.25)
    told = zg.sentence(
        zg.flag(detected(world, values, None, family="gaussian"), 0.05).frame.iloc[0].to_dict(), "en"
    )
    assert "meanwhile its neighbours" in told


def shares(course, planted=None, spread=0.0):
    """Shares that follow a common course; the odds of one planted figure are 2.5 times as high."""
    world = lattice(16, 16)
    draws = np.random.default_rng(1)
    odds = np.exp(np.asarray(course) + spread * draws.normal(size=(len(world), len(course))))
    if planted:
        odds[planted] *= 2.5
    table = draws.binomial(400, odds / (1 + odds)).astype(float)
    return world, zg.Spike().detect(
        panel_of(world, table, np.full(len(world), 400.0), "binomial"), world.graph()
    )


@pytest.mark.parametrize("count", [3, 10])
def test_shares_that_rise_everywhere_are_expected_where_they_are(count):
    _, found = shares(np.linspace(0.0, 2.2, count))
    frame = found.frame
    sums = frame.groupby("period", observed=True)[["observed", "expected"]].sum()
    np.testing.assert_allclose(sums["observed"] / sums["expected"], 1.0, atol=0.005)
    assert np.sqrt(frame["spread"].median()) < 0.05
    assert stats.kstest(frame["p_value"], "uniform").statistic < 0.04
    # history and change belong together: odds of the other periods, times the change, are those expected
    share = frame["expected"] / frame["exposure"]
    pooled = frame["history_value"] / frame["reference_value"] * share
    led_to = pooled / (1 - pooled) * frame["surroundings_change"]
    np.testing.assert_allclose(led_to, share / (1 - share), rtol=0.02)


@pytest.mark.parametrize("period", [0, 4, 9])
def test_a_spike_of_a_share_is_found_where_shares_rise_everywhere(period):
    world, found = shares(np.linspace(0.0, 2.2, 10), planted=(100, period))
    first = found.frame.loc[found.frame["p_value"].idxmin()]
    assert (first["area"], first["period"]) == (world.codes[100], str(2001 + period))
    assert first["label"] == "rise"
    assert zg.flag(found, 0.05).frame["area"].tolist() == [world.codes[100]]


@pytest.mark.parametrize("middle", [-3.0, 0.0])
def test_the_notice_of_shares_says_how_far_odds_stray(middle):
    _, found = shares(np.full(8, middle), spread=0.3)
    (notice,) = [notice for notice in found.notices if "odds stray by about" in notice]
    assert 22 <= int(notice.partition("about ")[2].partition("%")[0]) <= 36


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_no_notice_says_that_figures_stray_by_nothing(family):
    indicator = SimpleNamespace(id="y", family=family)
    inputs = SimpleNamespace(indicators=[indicator], columns=[(indicator, "1"), (indicator, "2")])

    def told(common, bursts, stray):
        return spike._told({0: (SimpleNamespace(common=common, bursts=bursts), stray, 0)}, inputs)

    assert told(1e-6, 0.0, 1e-6) == []
    (some,) = told(0.01, 0.0, 0.01)
    assert "stray by about 10% beyond chance; p allows for it." in some
    if family == "poisson":
        assert told(0.0, 0.5, 0.0) == [
            "y from period to period: counts vary as if events came 1.5 at a time; p allows for it."
        ]
        assert "10% beyond chance, and counts as if events came 1.5 at a time;" in told(0.01, 0.5, 0.0)[0]


def test_a_flag_against_earlier_periods_says_earlier():
    world = lattice(11, 10)
    size, table = calm(world, 6, seed=14)
    table[40, 5] = 900
    for history, word, other in (("before", "earlier", "other"), ("all", "other", "earlier")):
        found = detected(world, table, size, history=history)
        row = zg.flag(found).frame.set_index(["area", "period"]).loc[(world.codes[40], "2006")]
        assert row["history"] == history
        told = sentence(row)
        assert f"its own 5 {word} periods and the change" in told
        assert f"Its {word} periods had" in told
        assert f"{other} period" not in told
        dutch = {"earlier": "eerdere", "other": "andere"}
        assert f"de eigen 5 {dutch[word]} perioden" in sentence(row, "nl")
        assert f"De {dutch[word]} perioden hadden" in sentence(row, "nl")
        assert f"{word} period and" in sentence(row.to_dict() | {"n_periods": 1})
        assert f"Its {word} periods had" in sentence(row.to_dict() | {"family": "gaussian"})


@pytest.mark.parametrize(
    "options",
    [
        {"history": "after"},
        {"reference": "model"},
        {"rings": 6},
        {"clean": True},
        {"clean": 9},
        {"alternative": "up"},
    ],
)
def test_options_that_do_not_fit_are_refused(options):
    with pytest.raises(InputError, match="needs to be"):
        zg.Spike(**options)


def test_of_two_periods_nothing_tells_which_is_odd():
    world = lattice(11, 10)
    size, table = calm(world, 2, seed=14)
    table[40, 1] = 900
    found = detected(world, table, size)
    rows = found.frame[found.frame["area"] == world.codes[40]]
    assert rows["label"].tolist() == ["drop", "rise"]
    assert any("nothing tells which one is odd" in notice for notice in found.notices)
    longer = detected(world, np.tile(table, 2), size)
    assert not any("nothing tells which one is odd" in notice for notice in longer.notices)


# --- calibration ------------------------------------------------------------------------------------

SCENES = {
    "poisson": {"spread": 0.0, "bursts": 0.0},
    "spread": {"spread": 0.1, "bursts": 0.0},
    "wide": {"spread": 0.3, "bursts": 0.0},
    "bursts": {"spread": 0.02, "bursts": 1.5},
}


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 5, 10])
@pytest.mark.parametrize("scene", SCENES)
def test_p_is_right_whatever_the_spread_and_the_length(scene, count):
    world, tested = lattice(60, 60), []
    near = world.graph()
    for seed in range(max(2, 12 // count)):
        size, table = calm(world, count, seed=100 + seed, rate=0.03, **SCENES[scene])
        table[np.random.default_rng(seed).random(table.shape) < 0.05] = np.nan
        frame = detected(world, table, size, near=near).frame
        tested.append(frame.loc[(frame["status"] == "ok") & (frame["expected"] >= 10), "p_value"])
    p = pd.concat(tested)
    assert 0.75 < (p <= 0.05).mean() / 0.05 < 1.25
    assert 0.6 < (p <= 0.01).mean() / 0.01 < 1.4
    assert (p <= 0.001).mean() / 0.001 < 2.2


@pytest.mark.slow
def test_false_discoveries_and_power_on_planted_spikes():
    world = lattice(60, 60)
    near = world.graph()
    false = found = planted = 0
    for seed in range(6):
        size, table = calm(world, 5, seed=200 + seed, rate=0.03)
        draws = np.random.default_rng(seed)
        odd = draws.random(table.shape) < 0.004
        table[odd] = draws.poisson(table[odd] * draws.choice([2.0, 3.0, 5.0], odd.sum()))
        flags = zg.flag(detected(world, table, size, near=near), 0.05).frame
        place = {code: i for i, code in enumerate(world.codes)}
        hit = np.zeros(table.shape, bool)
        hit[flags["area"].map(place), flags["period"].astype(int) - 2001] = True
        false += (hit & ~odd).sum()
        found += (hit & odd).sum()
        planted += (odd & (table >= 20)).sum()
    assert false / (false + found) < 0.1
    assert found / planted > 0.55


@pytest.mark.slow
def test_rare_events_promise_too_little_rather_than_too_much():
    world = lattice(60, 60)
    size, table = calm(world, 5, seed=300, rate=0.0008)
    frame = detected(world, table, size).frame
    p = frame.loc[frame["status"] == "ok", "p_value"]
    assert (p <= 0.05).mean() < 0.05
    assert (p <= 0.001).mean() < 0.002


# --- the real country ---------------------------------------------------------------------------------

SPIKES = {("BU06060003", "2024"), ("BU03420801", "2024"), ("BU02770000", "2023")}


@pytest.mark.shared_data
@pytest.mark.slow
@pytest.mark.parametrize(("history", "most"), [("all", 300), ("before", 200)])
def test_real_one_year_spikes_are_found_with_few_others(shared_data, history, most):
    folder = shared_data / "nl_buurten_2024"
    areas = zg.read_areas(
        folder / "buurten_2024.gpkg", id="code", name="naam", parents={"gemeente": "gm_code"}
    )
    table = pd.read_csv(folder / "buurten_2024.csv", dtype={"buurtcode": str})
    table = table[table["buurtcode"].isin(areas.codes)].assign(one=1)
    years = {str(year): f"misdrijven_{year}" for year in range(2021, 2026)}
    panel = zg.Panel.from_frame(table, area="buurtcode", observed={"crimes": years}, exposure="one")
    near = zg.build_weights(areas, "queen", vertices=True)
    found = zg.Spike(history=history).detect(panel, near, areas=areas)
    flags = zg.flag(found, 0.05, min_ratio=1.25, areas=areas).frame
    high = flags[flags["direction"] == "high"]
    strongest = high.head(3 if history == "all" else 5)
    assert set(zip(strongest["area"], strongest["period"], strict=True)) >= SPIKES
    assert len(flags) < most
    assert flags["ratio"].where(flags["direction"] == "high", 1 / flags["ratio"]).min() > 1.4
    low = flags[flags["area"].isin([area for area, _ in SPIKES]) & (flags["direction"] == "low")]
    assert low.empty
    middle = found.frame[(found.frame["status"] == "ok") & found.frame["expected"].between(5, 50)]
    assert (middle["p_value"] <= 0.05).mean() / 0.05 == pytest.approx(1.1, abs=0.3)
