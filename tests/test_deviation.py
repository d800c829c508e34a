"""Expected figures and the deviation from them: against plain loops, scipy, and the truth of simulations."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from naive import expectation as naive
from naive import tails as exact
from panels import World, by_area, counts_of, lattice, with_island
from zoo_geo import expectation as ex
from zoo_geo import references
from zoo_geo.areas import read_areas
from zoo_geo.detectors.deviation import Deviation
from zoo_geo.errors import InputError
from zoo_geo.explain import sentence
from zoo_geo.flags import flag
from zoo_geo.panel import Panel
from zoo_geo.predictive import FAMILIES

LAWS = {"poisson": naive.Poisson(), "binomial": naive.Binomial()}


def areas_of(world, parents):
    """Points with one parent level."""
    import geopandas as gpd

    points = gpd.points_from_xy(1000.0 * np.arange(len(world)), np.zeros(len(world)), crs=28992)
    table = gpd.GeoDataFrame({"code": world.codes, "gemeente": parents}, geometry=points)
    return read_areas(table, id="code", parents={"gemeente": "gemeente"})


def parents_of(world, cols=5):
    return [f"GM{i // cols % 4:04d}" for i in range(len(world))]


def shares_of(world, seed=0, share=0.15, rho=0.02):
    rng = np.random.default_rng(seed)
    size = rng.integers(20, 800, len(world)).astype(float)
    m = (1 - rho) / rho
    true = rng.beta(share * m, (1 - share) * m, len(world))
    return size, rng.binomial(size.astype(int), true).astype(float)


DRAWS = {"poisson": counts_of, "binomial": shares_of}
FAMILY = pytest.mark.parametrize("family", ["poisson", "binomial"])


# --- expectation ------------------------------------------------------------------------------------


@pytest.mark.slow
@FAMILY
@pytest.mark.parametrize("uneven", [None, 3])
@pytest.mark.parametrize("hierarchy", [False, True])
@pytest.mark.parametrize("clean", [0, 2])
def test_expectation_is_that_of_the_plain_loops(family, uneven, hierarchy, clean):
    world = lattice(6, 7, seed=uneven)
    size, seen = DRAWS[family](world, seed=5)
    seen[17] = size[17] * 0.5 // 1  # one odd area, which cleaning takes out
    parents = parents_of(world)
    found = Deviation(rings=1, clean=clean).detect(
        world.panel(seen, size, family, seed=1),
        world.graph(seed=2),
        areas=areas_of(world, parents) if hierarchy else None,
    )
    rates, strengths, phi = naive.expect(
        seen.tolist(), size.tolist(), world.near, parents if hierarchy else None, clean, LAWS[family]
    )
    # cleaning goes through the spread, which is found to one per cent
    close = 1e-9 if clean == 0 else 2e-3
    np.testing.assert_allclose(by_area(found.frame, "expected", world), np.array(rates) * size, rtol=close)
    np.testing.assert_allclose(by_area(found.frame, "spread", world), phi, rtol=0.03)
    # and the p that follows, with the error of the expectation integrated numerically
    p = by_area(found.frame, "p_value", world)
    averaged = {"poisson": exact.nb_averaged, "binomial": exact.bb_averaged}[family]
    spread = by_area(found.frame, "spread", world)[0]
    for i in (0, 3, 17, 20, 41):
        given = (seen[i], rates[i] * size[i]) if family == "poisson" else (seen[i], int(size[i]), rates[i])
        sure = strengths[i] * (1 if family == "poisson" else (1 - rates[i]) ** 2)  # shares err in the odds
        tail = min(averaged(*given, spread, sure, upper) for upper in (True, False))
        assert p[i] == pytest.approx(2 * tail, rel=0.06)


def test_an_own_count_does_not_lead_to_its_own_expectation():
    world = lattice(7, 7)
    size, seen = counts_of(world)
    more = seen.copy()
    more[24] = 3 * seen[24] + 50
    plain = Deviation(rings=1, clean=0, precision=False, shrink=False)
    one, other = (plain.detect(world.panel(y, size), world.graph()).frame for y in (seen, more))
    expected = [by_area(frame, "expected", world) for frame in (one, other)]
    assert expected[0][24] == expected[1][24]
    changed = np.flatnonzero(expected[0] != expected[1])
    assert set(changed) == set(world.near[24])
    for reference in ("national", "neighbours"):
        detector = Deviation(reference, clean=0)
        one, other = (detector.detect(world.panel(y, size), world.graph()).frame for y in (seen, more))
        expected = [by_area(frame, "expected", world)[24] for frame in (one, other)]
        # what is left is the weight of all areas in precision and shrinkage
        assert expected[1] == pytest.approx(expected[0], rel=0.02)


def test_odd_areas_do_not_pull_at_their_neighbours():
    world = lattice(12, 12)
    size, seen = counts_of(world, spread=0.02, low=800)
    odd = seen.copy()
    odd[66] = seen[66] * 8
    calm = Deviation().detect(world.panel(seen, size), world.graph()).frame
    for clean, reach in ((0, 0.3), (2, 0.04)):
        frame = Deviation(clean=clean).detect(world.panel(odd, size), world.graph()).frame
        pulled = by_area(frame, "expected", world) / by_area(calm, "expected", world) - 1
        worst = np.abs(np.delete(pulled, 66)).max()
        assert worst < reach
        if clean == 0:
            assert worst > 0.05


def test_one_large_neighbour_does_not_decide():
    """With spread between areas ten neighbours say more than one large one; precision weights know."""
    world = lattice(9, 9)
    rng = np.random.default_rng(8)
    size = np.full(81, 500.0)
    size[40] = 50_000.0
    seen = rng.poisson(size * 0.02 * rng.gamma(5, 0.2, 81)).astype(float)
    seen[40] = 50_000 * 0.04
    near = sorted(world.near[40])
    wild = Deviation(rings=1, clean=0, precision=False, shrink=False)
    calm = Deviation(rings=1, clean=0, precision=True, shrink=False)
    rates = [
        by_area(d.detect(world.panel(seen, size), world.graph()).frame, "reference_value", world)[near]
        for d in (wild, calm)
    ]
    assert (rates[0] > 35).all()
    assert (rates[1] < 32).all()


@pytest.mark.slow
@given(scale=st.sampled_from([1e-9, 1e-3, 10.0, 1e6]), seed=st.integers(0, 5))
@settings(max_examples=12, deadline=None)
def test_unit_of_exposure_does_not_matter(scale, seed):
    world = lattice(6, 6)
    size, seen = counts_of(world, seed)
    for reference in ("neighbours", "national"):
        detector = Deviation(reference)
        one, other = (detector.detect(world.panel(seen, size * s), world.graph()).frame for s in (1, scale))
        for name in ("expected", "ratio", "ratio_low", "ratio_high", "z", "p_value", "spread"):
            np.testing.assert_allclose(one[name], other[name], rtol=1e-7)


@pytest.mark.parametrize("clean", [0, 2])
@pytest.mark.parametrize("scale", [1e-4, 1e6])
def test_unit_of_values_does_not_matter(scale, clean):
    """Turnover in euros or in thousands of euros: the same deviation."""
    world = lattice(12, 12)
    rng = np.random.default_rng(0)
    r, c = np.divmod(np.arange(144), 12)
    y = 40 + 3 * np.sin(r / 3) + 2 * np.cos(c / 4) + rng.normal(0, 1, 144)
    weight = rng.uniform(1, 30, 144)
    detector = Deviation(clean=clean)
    for size in (None, weight):
        one, other = (
            detector.detect(world.panel(y * s, size, "gaussian"), world.graph()).frame for s in (1, scale)
        )
        np.testing.assert_allclose(other["z"], one["z"], rtol=1e-6)
        np.testing.assert_allclose(other["expected"], one["expected"] * scale, rtol=1e-9)
        np.testing.assert_allclose(other["spread"], one["spread"] * scale**2, rtol=1e-6)
    moved = detector.detect(world.panel(y + 1e4, None, "gaussian"), world.graph()).frame
    plain = detector.detect(world.panel(y, None, "gaussian"), world.graph()).frame
    np.testing.assert_allclose(moved["z"], plain["z"], rtol=1e-6)


@pytest.mark.parametrize("units", [1e-3, 30.0])
def test_unit_of_weights_of_values_does_not_matter(units):
    world = lattice(12, 12)
    rng = np.random.default_rng(0)
    weight = rng.uniform(1, 30, 144)
    y = 10 + np.arange(144) / 50 + rng.normal(0, 1, 144) / np.sqrt(weight)
    one, other = (
        Deviation().detect(world.panel(y, weight * s, "gaussian"), world.graph()).frame for s in (1, units)
    )
    np.testing.assert_allclose(other["z"], one["z"], atol=1e-3)


# --- references -------------------------------------------------------------------------------------


@FAMILY
def test_national_reference_is_the_rate_of_all_others(family):
    world = lattice(6, 6)
    size, seen = DRAWS[family](world)
    frame = Deviation("national", clean=0, precision=False).detect(world.panel(seen, size, family)).frame
    rest = (seen.sum() - seen) / (size.sum() - size)
    np.testing.assert_allclose(by_area(frame, "expected", world), rest * size, rtol=1e-12)
    per = {"poisson": 1000, "binomial": 100}[family]
    np.testing.assert_allclose(by_area(frame, "reference_value", world), rest * per, rtol=1e-12)
    np.testing.assert_allclose(by_area(frame, "value", world), seen / size * per, rtol=1e-12)
    assert (frame["reference"] == "national").all()
    assert frame["n_neighbors"].isna().all()


def test_national_expectation_of_values_is_their_weighted_mean():
    world = lattice(5, 5)
    rng = np.random.default_rng(2)
    y, weight = rng.normal(20, 3, 25), rng.uniform(1, 9, 25)
    frame = Deviation("national", clean=0).detect(world.panel(y, weight, "gaussian")).frame
    rest = ((y * weight).sum() - y * weight) / (weight.sum() - weight)
    np.testing.assert_allclose(by_area(frame, "expected", world), rest, rtol=1e-12)
    np.testing.assert_allclose(by_area(frame, "reference_value", world), rest, rtol=1e-12)


def test_parent_reference_is_the_rate_of_the_parents_other_areas():
    world = lattice(6, 8)
    size, seen = counts_of(world)
    parents = parents_of(world, 12)
    areas = areas_of(world, parents)
    plain = Deviation("parent:gemeente", clean=0, precision=False, shrink=False)
    frame = plain.detect(world.panel(seen, size), areas=areas).frame
    expected = by_area(frame, "expected", world)
    for i in range(len(world)):
        others = [j for j in range(len(world)) if j != i and parents[j] == parents[i]]
        assert expected[i] == pytest.approx(size[i] * seen[others].sum() / size[others].sum(), rel=1e-10)
    assert (frame["reference"] == "parent:gemeente").all()
    shrunk = by_area(
        Deviation("parent:gemeente", clean=0, precision=False)
        .detect(world.panel(seen, size), areas=areas)
        .frame,
        "expected",
        world,
    )
    nation = size * (seen.sum() - seen) / (size.sum() - size)
    between = np.sort(np.stack([expected, nation]), axis=0)
    assert (shrunk >= between[0] * (1 - 1e-9)).all()
    assert (shrunk <= between[1] * (1 + 1e-9)).all()


def test_an_area_alone_in_its_parent_is_isolated():
    world = lattice(4, 5)
    size, seen = counts_of(world)
    parents = ["GM0001"] * 19 + ["GM0002"]
    frame = Deviation("parent:gemeente").detect(world.panel(seen, size), areas=areas_of(world, parents)).frame
    assert by_area(frame, "status", world).tolist() == ["ok"] * 19 + ["isolated"]
    assert np.isnan(by_area(frame, "p_value", world)[-1])


def test_surroundings_are_shrunk_to_the_parent_better_than_to_the_nation():
    """Two gemeenten side by side, one with five times the rate: an area at their border knows its own."""
    world = lattice(10, 10)
    rng = np.random.default_rng(0)
    parents = [f"GM{i % 10 // 5}" for i in range(100)]
    rate = np.where([p == "GM1" for p in parents], 0.002, 0.0004)
    size = rng.integers(50, 1_500, 100).astype(float)
    seen = rng.poisson(size * rate).astype(float)
    panel, graph = world.panel(seen, size), world.graph()
    errors = []
    for areas in (None, areas_of(world, parents)):
        frame = Deviation(rings=1, clean=0).detect(panel, graph, areas=areas).frame
        errors.append(np.abs(np.log(by_area(frame, "expected", world) / (size * rate))).mean())
    assert errors[1] < errors[0]


@pytest.mark.parametrize(("trend", "width"), [(False, 2), (True, 0)])
def test_width_of_the_surroundings_is_chosen_by_how_well_it_predicts(trend, width):
    world = lattice(24, 24)
    rng = np.random.default_rng(3)
    r = np.arange(576) // 24
    size = np.full(576, 4_000.0)
    seen = rng.poisson(size * 0.02 * (np.exp(np.sin(r * 1.3)) if trend else 1.0)).astype(float)[:, None]
    matrix = sparse.csr_array(world.graph().sparse)
    fit = ex.expect(
        seen, size[:, None], np.ones((576, 1), bool), FAMILIES["poisson"],
        references.rings(matrix, 3), [references.everybody(576)], ex.Options(shrink=False),
    )  # fmt: skip
    assert fit.width[0] == width
    rough = Deviation(rings=3).detect(world.panel(seen[:, 0], size), world.graph()).frame
    one = Deviation(rings=1).detect(world.panel(seen[:, 0], size), world.graph()).frame
    assert (width == 0) == np.allclose(rough["expected"], one["expected"], rtol=1e-12)


# --- spread -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("phi", [0.0, 0.1, 0.5])
def test_spread_of_true_rates_is_found_also_among_outliers(phi):
    world = lattice(30, 30)
    size, seen = counts_of(world, seed=2, rate=0.03, spread=phi, low=300)
    rng = np.random.default_rng(0)
    odd = rng.choice(900, 18, replace=False)
    seen[odd] = (seen[odd] + 5) * 4
    frame = Deviation("national").detect(world.panel(seen, size)).frame
    assert frame["spread"].iloc[0] == pytest.approx(phi, rel=0.25, abs=0.01)


@pytest.mark.parametrize("reference", ["neighbours", "national"])
def test_spread_bears_that_a_tenth_of_the_areas_are_odd(reference):
    world = lattice(40, 40)
    size, seen = counts_of(world, seed=1, rate=0.05, spread=0.1, low=300)
    odd = np.random.default_rng(2).random(1_600) < 0.1
    frame = Deviation(reference).detect(world.panel(np.where(odd, 4 * seen, seen), size), world.graph()).frame
    p = by_area(frame, "p_value", world)
    assert frame["spread"].iloc[0] == pytest.approx(0.1, rel=0.2)
    assert (p[odd] <= 0.001).mean() > 0.75
    assert (p[~odd] <= 0.001).mean() < 0.003


def test_spread_of_shares_is_found():
    world = lattice(25, 25)
    size, seen = shares_of(world, seed=3, rho=0.05)
    frame = Deviation("national").detect(world.panel(seen, size, "binomial")).frame
    assert frame["spread"].iloc[0] == pytest.approx(0.05, rel=0.25)


def test_spread_of_values_is_that_of_a_value_of_weight_one():
    world = lattice(25, 25)
    rng = np.random.default_rng(3)
    weight = rng.uniform(1, 50, 625)
    y = 100 + rng.normal(0, 7, 625) / np.sqrt(weight)
    frame = Deviation("national").detect(world.panel(y, weight, "gaussian")).frame
    assert frame["spread"].iloc[0] == pytest.approx(49, rel=0.15)


def test_heavy_tails_of_values_are_not_taken_for_news():
    world = lattice(30, 30)
    y = np.random.default_rng(1).standard_t(3, 900)
    frame = Deviation("national", clean=0).detect(world.panel(y, None, "gaussian")).frame
    assert (frame["p_value"] < 0.001).mean() < 0.01  # a normal distribution would have 0.034


# --- tails, intervals, classes ----------------------------------------------------------------------


def test_ratio_has_the_interval_of_two_counts():
    world = lattice(6, 6)
    size, seen = counts_of(world)
    seen[4] = 0
    frame = Deviation("national", clean=0, precision=False).detect(world.panel(seen, size)).frame
    expected, ratio = by_area(frame, "expected", world), by_area(frame, "ratio", world)
    np.testing.assert_allclose(ratio, seen / expected, rtol=1e-12)
    others = seen.sum() - seen  # the events that the expectation rests on
    with np.errstate(divide="ignore", invalid="ignore"):
        low = seen / expected * stats.f.ppf(0.025, 2 * seen, 2 * others)
    high = (seen + 1) / expected * stats.f.ppf(0.975, 2 * (seen + 1), 2 * others)
    np.testing.assert_allclose(by_area(frame, "ratio_low", world), np.nan_to_num(low), rtol=1e-8)
    np.testing.assert_allclose(by_area(frame, "ratio_high", world), high, rtol=1e-8)


def test_ratio_of_shares_has_the_interval_of_clopper_and_pearson_where_the_reference_is_sure():
    world = lattice(4, 4)
    size, seen = shares_of(world)
    seen[0], seen[1] = 0, size[1]
    frame = Deviation("national", clean=0).detect(world.panel(seen, size, "binomial")).frame
    share = by_area(frame, "expected", world) / size
    for i in range(16):
        interval = stats.binomtest(int(seen[i]), int(size[i])).proportion_ci(0.95, "exact")
        low, high = (by_area(frame, name, world)[i] for name in ("ratio_low", "ratio_high"))
        assert low == pytest.approx(interval.low / share[i], rel=0.2)
        assert high == pytest.approx(interval.high / share[i], rel=0.2)
        assert low <= interval.low / share[i] * (1 + 1e-9)  # the error of the reference only widens it
        assert high >= interval.high / share[i] * (1 - 1e-9)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_interval_and_p_of_shares_hold_when_the_reference_is_small(share):
    """Own and reference 100 trials of one true share: the ratio is 1, and p is uniform."""
    rng = np.random.default_rng(1)
    own, other = rng.binomial(100, share, 40_000).astype(float), rng.binomial(100, share, 40_000)
    size, rate = np.full(own.size, 100.0), np.clip(other, 1, 99) / 100
    strength = 100 * rate / (1 - rate)
    low, high = FAMILIES["binomial"].interval(own, size, rate, strength, 1e-5, np.inf)
    assert 0.94 < ((low <= 1) & (high >= 1)).mean() < 0.985
    log_p, _ = FAMILIES["binomial"].tails(own, size, rate, strength, 1e-5, np.inf)
    p = np.minimum(2 * np.exp(log_p), 1)
    assert 0.6 < (p <= 0.05).mean() / 0.05 < 1.2
    assert 0.5 < (p <= 0.01).mean() / 0.01 < 1.4


def test_ratio_of_values_has_the_interval_of_the_value():
    world = lattice(20, 20)
    y, weight = np.random.default_rng(0).normal(50, 4, 400), np.full(400, 2.0)
    frame = Deviation("national", clean=0).detect(world.panel(y, weight, "gaussian")).frame
    np.testing.assert_allclose(frame["ratio"], frame["observed"] / frame["expected"])
    half = (frame["ratio_high"] - frame["ratio_low"]) / 2 * frame["expected"]
    np.testing.assert_allclose(half, 1.96 * 4, rtol=0.15)
    np.testing.assert_allclose((frame["ratio_high"] + frame["ratio_low"]) / 2, frame["ratio"])


def test_values_below_zero_have_no_ratio():
    world = lattice(5, 5)
    y = np.random.default_rng(0).normal(0, 1, 25)
    frame = Deviation("national").detect(world.panel(y, None, "gaussian")).frame
    assert frame[["ratio", "ratio_low", "ratio_high"]].isna().all().all()
    assert frame["p_value"].notna().all()


def test_without_spread_and_with_a_sure_expectation_p_is_that_of_poisson():
    """A nation of a million events: what is left is the chance of a Poisson count."""
    world = lattice(20, 20)
    rng = np.random.default_rng(1)
    size = np.full(400, 3e3)
    size[:200] = 5e6
    seen = rng.poisson(size * 0.005).astype(float)
    frame = Deviation("national", clean=0, precision=False).detect(world.panel(seen, size)).frame
    assert frame["spread"].iloc[0] < 1e-4
    expected, p = by_area(frame, "expected", world), by_area(frame, "p_value", world)
    law = stats.poisson(expected[200:])
    upper = law.sf(seen[200:]) + 0.5 * law.pmf(seen[200:])
    np.testing.assert_allclose(p[200:], 2 * np.minimum(upper, 1 - upper), rtol=0.02)


@FAMILY
def test_p_z_and_direction_belong_together(family):
    world = lattice(8, 8)
    size, seen = DRAWS[family](world)
    seen[9] = 0
    frames = {
        alternative: Deviation(alternative=alternative)
        .detect(world.panel(seen, size, family), world.graph())
        .frame
        for alternative in ("two-sided", "greater", "less")
    }
    z, p = frames["two-sided"]["z"], frames["two-sided"]["p_value"]
    np.testing.assert_allclose(p, 2 * stats.norm.sf(z.abs()), rtol=1e-9)
    np.testing.assert_allclose(frames["greater"]["p_value"], stats.norm.sf(z), rtol=1e-9)
    np.testing.assert_allclose(frames["less"]["p_value"], stats.norm.cdf(z), rtol=1e-9)
    for frame in frames.values():
        np.testing.assert_array_equal(frame["z"], z)
        assert (frame["direction"].astype(str) == np.where(z > 0, "high", "low")).all()
        assert ((frame["p_value"] > 0) & (frame["p_value"] <= 1)).all()
    middle = frames["two-sided"]["ratio"].between(0.97, 1.03)
    assert (z[middle].abs() < 1).all()
    assert (p[middle] > 0.5).any()


def test_z_comes_from_the_log_of_p_where_p_itself_has_no_digits_left():
    world = lattice(8, 8)
    size, seen = counts_of(world, spread=0)
    size[:], seen[20] = 20_000, 40_000
    seen[:20] = seen[21:] = 400.0
    seen[::2] += 15
    seen[20] = 40_000
    frame = Deviation("national").detect(world.panel(seen, size)).frame
    z, p = by_area(frame, "z", world), by_area(frame, "p_value", world)
    assert p[20] == 1e-300
    assert 40 < z[20] < 1_000
    assert by_area(frame, "label", world)[20] == "high_998"


def test_classes_are_the_control_limits_of_a_funnel():
    world = lattice(20, 20)
    size, seen = counts_of(world)
    frame = Deviation().detect(world.panel(seen, size), world.graph()).frame
    limits = pd.cut(
        frame["z"], [-np.inf, *stats.norm.ppf([0.001, 0.025, 0.975, 0.999]), np.inf],
        labels=["low_998", "low_95", "as_expected", "high_95", "high_998"],
    )  # fmt: skip
    assert frame["label"].astype(str).tolist() == limits.astype(str).tolist()
    assert frame["label"].nunique() >= 4


def test_figures_of_the_neighbours_stand_beside_the_own_figure():
    world = lattice(5, 5, seed=1)  # what the neighbours have together does not depend on the weights
    size, seen = counts_of(world)
    seen[6], size[8] = np.nan, 0.0
    frame = Deviation().detect(world.panel(seen, size), world.graph()).frame
    count, value = by_area(frame, "n_neighbors", world), by_area(frame, "neighbors_value", world)
    for i in range(25):
        near = [j for j in world.near[i] if j not in (6, 8)]
        assert count[i] == len(near)
        assert value[i] == pytest.approx(1000 * seen[near].sum() / size[near].sum())
    y, weight = np.arange(25.0) + 5, np.arange(25.0) + 1
    frame = Deviation().detect(world.panel(y, weight, "gaussian"), world.graph()).frame
    near = sorted(world.near[12])
    assert by_area(frame, "neighbors_value", world)[12] == pytest.approx(
        np.average(y[near], weights=weight[near])
    )


# --- hard cases -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"shrink": False}, {"precision": False}, {"reference": "national"}])
@pytest.mark.parametrize("column", ["nothing", "zeros", "one event", "half", "few", "all", "huge"])
@FAMILY
def test_columns_that_say_little_raise_no_alarm(family, column, options):
    world = with_island(lattice(6, 6))
    size, seen = DRAWS[family](world)
    columns = {
        "nothing": [None] * 37, "zeros": [0] * 37, "one event": [4] + [0] * 36,
        "half": np.where(np.arange(37) < 18, 0, seen), "few": [1, 2, 3] + [None] * 34,
        "all": size // 1, "huge": np.where(np.arange(37) == 5, size // 1, 0),
    }  # fmt: skip
    panel = world.panel({"y": seen, "odd": columns[column]}, size, family)
    found = Deviation(**options).detect(panel, world.graph()).frame
    alone = Deviation(**options).detect(world.panel(seen, size, family), world.graph()).frame
    np.testing.assert_array_equal(by_area(found, "p_value", world), by_area(alone, "p_value", world))
    p = by_area(found, "p_value", world, "odd")
    ok = by_area(found, "status", world, "odd") == "ok"
    np.testing.assert_array_equal(~np.isnan(p), ok)
    assert ((p[ok] > 0) & (p[ok] <= 1)).all()
    status = set(by_area(found, "status", world, "odd")[:36])
    wanted = {"nothing": {"missing"}, "zeros": {"constant"}, "few": {"too_few", "missing"}}
    assert status == wanted.get(column, status)


def test_an_island_is_isolated_and_yet_counts_for_the_nation():
    world = with_island(lattice(6, 6))
    size, seen = counts_of(world)
    frame = Deviation().detect(world.panel(seen, size), world.graph()).frame
    assert by_area(frame, "status", world)[-1] == "isolated"
    assert by_area(frame, "label", world)[-1] == "isolated"
    assert np.isnan(by_area(frame, "p_value", world)[-1])
    national = Deviation("national", clean=0, precision=False).detect(world.panel(seen, size)).frame
    assert by_area(national, "status", world)[-1] == "ok"
    rest = (seen.sum() - seen[0]) / (size.sum() - size[0]) * size[0]
    assert by_area(national, "expected", world)[0] == pytest.approx(rest)


def test_a_doubtful_exposure_is_said():
    world = lattice(20, 20)
    rng = np.random.default_rng(0)
    size, seen = counts_of(world, spread=0.01, low=500)
    small = rng.choice(400, 30, replace=False)
    size[small] = 20
    seen[small] = rng.poisson(60, 30)
    found = Deviation().detect(world.panel(seen, size), world.graph())
    assert len(found.notices) == 1
    assert "exposure" in found.notices[0]
    assert "100%" in found.notices[0]
    calm = Deviation().detect(world.panel(counts_of(world)[1], counts_of(world)[0]), world.graph())
    assert calm.notices == ()


def test_options_that_do_not_fit_are_refused():
    world = lattice(4, 4)
    size, seen = counts_of(world)
    for options in ({"reference": "everyone"}, {"alternative": "up"}, {"rings": 0}, {"rings": 9}):
        with pytest.raises(InputError, match="needs to be"):
            Deviation(**options)
    with pytest.raises(InputError, match="reference needs a level of areas"):
        Deviation("parent:wijk").detect(world.panel(seen, size), areas=areas_of(world, parents_of(world)))
    with pytest.raises(InputError, match="reference needs a level of areas"):
        Deviation("parent:wijk").detect(world.panel(seen, size), world.graph())
    with pytest.raises(InputError, match="neighbors needs to be a libpysal Graph"):
        Deviation().detect(world.panel(seen, size))


# --- statistics as statistics -----------------------------------------------------------------------


@pytest.mark.slow
@FAMILY
def test_p_is_calibrated_and_planted_anomalies_are_found(family):
    """Bounds of the first release on a small country; benchmarks/calibration.py measures the large one.

    Areas are three times as far apart as in the large country, and so is the scale of the surface.
    """
    from benchmarks.calibration import measure, summary
    from benchmarks.country import build

    rows = measure(build(1_500), family, replicates=3, scale=75.0, seed=1)
    whole = summary(rows, []).iloc[0]
    assert 0.5 <= whole["P(p<=.05)/.05"] <= 2
    assert 0.5 <= whole["P(p<=.01)/.01"] <= 2
    assert whole["FDR"] < 0.15
    assert whole["power/oracle"] > 0.6
    assert whole["precision at 50/oracle"] > 0.7
    assert summary(rows, ["level", "phi"])["P(p<=.05)/.05"].between(0.4, 2).all()


def test_student_match():
    """Spread of values matches half and nine tenths of residuals to a t, as heavy as a thousand allow."""
    for freedom, heavier in ((3.0, 3.0), (7.0, 5.0), (1e6, 30.0)):
        y = stats.t.ppf(np.linspace(0.0005, 0.9995, 1_000), freedom) * 5
        spread, found = FAMILIES["gaussian"].spread(y, np.ones(1_000), np.zeros(1_000), np.zeros(1_000), 1.0)
        assert found == heavier
        middles = stats.t.ppf(0.75, freedom) / stats.t.ppf(0.75, heavier)
        assert math.sqrt(spread) == pytest.approx(5 * middles, rel=0.01)


def test_world_is_what_it_says():
    """The helper of these tests: isolates stay in the graph, and weights are as given."""
    graph = World([{1: 2.0}, {0: 1.0}, {}]).graph(seed=1)
    assert sorted(graph.unique_ids) == ["BU0000", "BU0001", "BU0002"]
    assert graph.adjacency["BU0000", "BU0001"] == 2.0


# --- what the review found ---------------------------------------------------------------------------


def spread_map(side=60, seed=0):
    world = lattice(side, side)
    rng = np.random.default_rng(seed)
    return world, np.round(np.exp(rng.normal(6.0, 1.0, side * side))), rng


@pytest.mark.parametrize("mean", [0.01, 0.05, 0.2])
def test_rare_events_keep_their_sum_and_a_small_spread(mean):
    world, size, rng = spread_map()
    seen = {f"i{k}": rng.poisson(mean * size / size.mean()).astype(float) for k in range(4)}
    frame = Deviation().detect(world.panel(seen, size), world.graph()).frame
    total = frame.groupby("indicator", observed=True)[["observed", "expected"]].sum()
    assert (total["expected"] / total["observed"]).between(0.85, 1.1).all()
    assert (frame.groupby("indicator", observed=True)["spread"].first() < 2).all()
    assert (frame["status"] == "ok").all()
    assert (frame["p_value"] <= 0.001).mean() < 0.002


def test_one_area_with_every_event_is_found():
    world, size, _ = spread_map(20)
    seen = np.zeros(400)
    seen[37] = 200.0
    frame = Deviation().detect(world.panel(seen, size), world.graph()).frame
    row = frame[frame["observed"] == 200.0].iloc[0]
    assert row["status"] == "ok"
    assert row["p_value"] < 1e-4
    assert row["direction"] == "high"


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_unit_of_weights_changes_nothing(scale):
    rng = np.random.default_rng(4)
    near = [{j: float(w) for j, w in row.items()} for row in lattice(12, 12).near]
    near = [{j: float(rng.uniform(0.2, 1)) for j in row} for row in near]
    world = World(near)
    size, seen = counts_of(world, seed=1)
    other = World([{j: w * scale for j, w in row.items()} for row in near])
    one = Deviation(rings=1).detect(world.panel(seen, size), world.graph()).frame
    two = Deviation(rings=1).detect(other.panel(seen, size), other.graph()).frame
    for name in ("expected", "spread", "p_value"):
        np.testing.assert_allclose(one[name], two[name], rtol=1e-6)


def test_row_standardised_weights_are_as_sure_as_binary_ones():
    world = lattice(12, 12)
    size, seen = counts_of(world, seed=1)
    even = World([{j: 1.0 / len(row) for j in row} for row in world.near])
    one = Deviation(rings=1).detect(world.panel(seen, size), world.graph()).frame
    two = Deviation(rings=1).detect(even.panel(seen, size), even.graph()).frame
    np.testing.assert_allclose(one["p_value"], two["p_value"], rtol=1e-6)


def test_heavy_values_are_not_odd_because_areas_differ():
    """Values differ by 0.5 between areas whatever their weight; heavy ones are as often odd as light ones."""
    world = lattice(50, 50)
    rng = np.random.default_rng(2)
    weight = np.round(np.exp(rng.normal(3.0, 1.5, 2500))) + 1
    y = 50 + rng.normal(0, 0.5, 2500) + rng.normal(0, 3, 2500) / np.sqrt(weight)
    frame = Deviation().detect(world.panel(y, weight, "gaussian"), world.graph()).frame
    heavy = frame["exposure"] > frame["exposure"].quantile(0.75)
    assert (frame.loc[heavy, "p_value"] <= 0.01).mean() < 0.03
    assert (frame["p_value"] <= 0.001).mean() < 0.004


# --- columns with too few figures ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"reference": "model"}, {"reference": "neighbours", "adjust": ("density",)}]
)
@pytest.mark.parametrize("known", [0, 12])
def test_a_column_with_too_few_figures_stops_no_other(known, options):
    world = lattice(12, 12)
    rng = np.random.default_rng(4)
    size, seen = counts_of(world, seed=4, low=500)
    features = pd.DataFrame({"density": rng.normal(size=len(world))}, index=world.codes)
    few = np.where(np.arange(len(world)) < known, seen, np.nan)
    whole = Deviation(**options).detect(world.panel({"y": seen}, size), world.graph(), features=features)
    found = Deviation(**options).detect(
        world.panel({"y": seen, "few": few}, size), world.graph(), features=features
    )
    assert set(found.frame.loc[found.frame["indicator"] == "few", "status"]) <= {"too_few", "missing"}
    for name in ("expected", "p_value", "explained"):
        np.testing.assert_array_equal(by_area(found.frame, name, world), by_area(whole.frame, name, world))
    assert not any("nan" in notice for notice in found.notices)
    told = any(notice.startswith("few against") and "too few areas" in notice for notice in found.notices)
    assert told is (known > 0)


# --- bursts ---------------------------------------------------------------------------------------


def files_and_transactions(spread=0.05, most=2.0):
    """A grid with case files and their transactions; one area's single file holds a thousand."""
    world = lattice(15, 15)
    size, files = counts_of(world, seed=6, rate=0.01, spread=spread, low=400)
    rng = np.random.default_rng(6)
    events = np.array([rng.poisson(most - 1.0, int(n)).sum() + n for n in files])
    files[112], events[112] = files[112] + 1, events[112] + 1_000
    return world, size, files, events


def panel_of(world, size, files, events, **options):
    frame = pd.DataFrame({"area": world.codes, "size": size, "files": files, "events": events})
    return Panel.from_frame(frame, area="area", observed={"y": "events"}, exposure="size", **options)


def test_a_burst_is_no_thousand_independent_events():
    given = files_and_transactions()
    world, _, files, events = given
    with_units, without = (
        Deviation().detect(panel_of(*given, **options), world.graph())
        for options in ({"observed_units": {"y": "files"}}, {})
    )
    code = world.codes[112]
    assert code in set(flag(without, min_ratio=1.25).frame["area"])
    assert code not in set(flag(with_units, min_ratio=1.25).frame["area"])
    plain = Deviation().detect(world.panel(files, given[1]), world.graph())
    for name in ("observed", "expected", "ratio", "p_value"):
        np.testing.assert_array_equal(
            by_area(with_units.frame, name, world), by_area(plain.frame, name, world)
        )
    np.testing.assert_array_equal(by_area(with_units.frame, "events", world), events)
    assert without.frame["events"].isna().all()


def test_events_stand_beside_a_flag_of_units():
    world, size, files, events = files_and_transactions()
    files[40], events[40] = files[40] + 200, events[40] + 900
    found = Deviation().detect(
        panel_of(world, size, files, events, observed_units={"y": "files"}), world.graph(seed=3)
    )
    row = flag(found).frame.set_index("area").loc[world.codes[40]]
    assert (row["observed"], row["events"]) == (files[40], events[40])
    said = sentence({"family": "poisson", "observed": 12, "value": 1.5, "per": 1000, "events": 1034})
    assert said.startswith("12 seen, 1.5 per 1,000 (distinct subjects; 1,034 events).")
    said = sentence({"family": "poisson", "observed": 12, "events": 1034}, "nl")
    assert said.startswith("12 gezien (verschillende; 1.034 gebeurtenissen).")


@pytest.mark.parametrize(
    ("rate", "spread", "told"),
    [(0.02, 1.5, True), (0.02, 0.7, True), (0.02, 0.1, False), (0.5, 0.1, False), (0.0003, 1.5, False)],
)
def test_counts_in_bursts_are_pointed_out(rate, spread, told):
    world = lattice(15, 15)
    size, seen = counts_of(world, seed=8, rate=rate, spread=spread, low=400)
    found = Deviation(reference="national").detect(world.panel(seen, size), world.graph())
    notices = [notice for notice in found.notices if "observed_units=" in notice]
    assert len(notices) == told
    if told:
        assert notices[0].startswith("y against national: the variance of counts is about ")
        over = float(notices[0].split(" about ")[1].split(" times")[0].replace(",", ""))
        assert 1 + 0.6 * spread * np.median(size) * rate < over < 1 + 1.6 * spread * np.median(size) * rate


@pytest.mark.parametrize("size_of_file", [50, 300])
def test_bursts_are_pointed_out_where_the_error_takes_the_spread(size_of_file):
    """Few files of many transactions each: surroundings may seem to err by what a single file brings."""
    world, rng = lattice(40, 40), np.random.default_rng(2)
    size = rng.integers(400, 1500, len(world)).astype(float)
    files = rng.poisson(size * 0.004)
    seen = np.array([rng.geometric(1 / size_of_file, n).sum() for n in files], float)
    found = Deviation().detect(world.panel(seen, size), world.graph())
    assert any("observed_units=" in notice for notice in found.notices)


def test_counts_of_distinct_units_are_not_said_to_come_in_bursts():
    world = lattice(15, 15)
    size, files = counts_of(world, seed=8, spread=1.5, low=400)
    given = (world, size, files, 3 * files)
    found = Deviation().detect(panel_of(*given, observed_units={"y": "files"}), world.graph())
    assert not any("observed_units=" in notice for notice in found.notices)
    found = Deviation().detect(panel_of(*given), world.graph())
    assert any("observed_units=" in notice for notice in found.notices)


@pytest.mark.slow
def test_codes_of_cbs_in_features_are_no_numbers():
    world = lattice(12, 12)
    size, seen = counts_of(world, seed=4, low=500)
    density = np.random.default_rng(4).normal(5, 1, len(world)).round(3)
    coded = pd.DataFrame({"density": density}, index=world.codes)
    coded.iloc[[3, 50], 0] = -99997
    empty, text = coded.replace(-99997, np.nan), coded.astype(str)
    frames = [
        Deviation(reference="model").detect(world.panel(seen, size), world.graph(), features=each).frame
        for each in (coded, empty, text)
    ]
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0])
    assert (coded.iloc[3, 0], text.iloc[3, 0]) == (-99997, "-99997.0")
