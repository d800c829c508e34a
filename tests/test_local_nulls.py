"""Nulls of the local statistics against plain loops: moments, curves, counts and exact tails."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zoo_geo as zg
from naive import local_statistics as naive
from panels import World, lattice
from test_local_statistics import enough, usable, worlds

QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ALTERNATIVES = ("two-sided", "greater", "less")
DRAWS = 39


def cells(detector, world, columns, seed=7):
    """Frame of a detector in code order; rows of panel and graph are shuffled."""
    panel = world.panel(columns, family="gaussian", seed=3)
    frame = detector.detect(panel, world.graph(seed=4), seed=seed).frame
    return frame.set_index("area").loc[world.codes]


def close(p):
    """Curves are held to a few digits: near skewness 0 either side may take the normal law."""
    return pytest.approx(p, rel=2e-4, abs=1e-12)


# --- the plain loops themselves ---------------------------------------------------------------------


@given(
    pool=st.lists(st.integers(-9, 9), min_size=6, max_size=7),
    weights=st.lists(st.fractions(0, 3, max_denominator=4), min_size=1, max_size=4),
)
@QUICK
def test_moments_by_k_statistics_are_those_of_every_arrangement(pool, weights):
    """Equal, not nearly so: whole numbers and fractions."""
    pool = [Fraction(v) for v in pool]
    assert naive.sum_moments(weights, pool) == naive.enumerated_moments(weights, pool)


@pytest.mark.slow
@pytest.mark.parametrize("skewness", [-1.5, -0.1, 0.0, 1e-3, 0.3, 2.5])
def test_tails_of_the_curve_have_its_moments(skewness):
    """Its mean is 0, its variance 1, its third moment the skewness: from the tail alone."""
    z = np.linspace(0, 22, 331)
    upper = np.array([naive.pearson_tails(v, 0, 1, skewness)[0] for v in z])
    lower = np.array([naive.pearson_tails(-v, 0, 1, skewness)[1] for v in z])
    for power, moment in ((1, 0.0), (2, 1.0), (3, skewness)):
        found = np.trapezoid(power * z ** (power - 1) * (upper + (-1.0) ** power * lower), z)
        assert found == pytest.approx(moment, abs=0.01)


# --- local Geary ------------------------------------------------------------------------------------


@pytest.mark.slow
@given(data=worlds(), seed=st.integers(0, 1_000))
@QUICK
def test_local_geary_is_that_of_the_plain_loops(data, seed):
    world, values = data
    if not enough(values):
        return
    found = {a: cells(zg.LocalGeary(DRAWS, "rate", a), world, values, seed) for a in ALTERNATIVES}
    for i, code in enumerate(world.codes):
        row = found["two-sided"].loc[code]
        if not usable(world, values, i):
            assert row[["p_value", "z", "statistic"]].isna().all()
            continue
        assert row["statistic"] == pytest.approx(naive.geary(world.near, values, i), rel=1e-9, abs=1e-12)
        mean, variance, _ = naive.geary_moments(world.near, values, i)
        squares = math.fsum(w * w for _, w in naive.row(world.near, values, i))
        if variance < 1e-11 * squares or naive.geary_counts(world.near, values, i, 1, seed) is None:
            assert all(found[a].loc[code, "p_value"] == 1 for a in ALTERNATIVES)
            assert row["z"] == 0
            continue
        z = (row["statistic"] - mean) / math.sqrt(variance)
        assert row["z"] == pytest.approx(z, rel=1e-7, abs=1e-8)
        counts = naive.geary_counts(world.near, values, i, DRAWS, seed)
        for alternative in ALTERNATIVES:
            p = naive.p_value(*counts, DRAWS, alternative)
            assert found[alternative].loc[code, "p_value"] == p


@pytest.mark.slow
@given(data=worlds())
@QUICK
def test_labels_of_local_geary(data):
    """Unlike its neighbours: negative. Alike: HH, LL, or positive where not on one side of the mean."""
    world, values = data
    if not enough(values):
        return
    found = cells(zg.LocalGeary(DRAWS, "rate"), world, values)
    for i, code in enumerate(world.codes):
        if not usable(world, values, i):
            continue
        z, label = found.loc[code, ["z", "label"]]
        side = naive.quadrant(world.near, values, i)
        alike = {"HH": {"HH"}, "LL": {"LL"}, "none": {"none", "positive"}}.get(side, {"positive"})
        assert label in ({"none"} if z == 0 else {"negative"} if z > 0 else alike)


# --- join counts and two indicators -----------------------------------------------------------------


@pytest.mark.slow
@given(data=worlds(), seed=st.integers(0, 1_000))
@QUICK
def test_join_counts_have_the_tail_of_every_arrangement(data, seed):
    world, values = data
    middle = np.median(naive.known(values))
    flags = [None if v is None else float(v > middle) for v in values]
    if not enough(flags):
        return
    exact = cells(zg.LocalJoinCounts(), world, flags, seed)
    drawn = cells(zg.LocalJoinCounts(inference="permutation", permutations=DRAWS), world, flags, seed)
    cut = cells(zg.LocalJoinCounts(above=middle), world, values, seed)
    np.testing.assert_array_equal(cut["p_value"], exact["p_value"])
    plain = World([dict.fromkeys(row, 1.0) for row in world.near])  # a neighbour counts once
    for i, code in enumerate(world.codes):
        if not usable(world, flags, i) or flags[i] == 0:
            status = "not_tested" if flags[i] == 0 and usable(world, flags, i) else exact.loc[code, "status"]
            assert exact.loc[code, "status"] == status != "ok"
            assert math.isnan(exact.loc[code, "p_value"])
            continue
        assert exact.loc[code, "statistic"] == naive.joins(plain.near, flags, i)
        assert exact.loc[code, "p_value"] == pytest.approx(
            float(naive.joins_p(plain.near, flags, i)), rel=1e-9
        )
        counts = naive.counts(plain.near, flags, i, DRAWS, seed)
        if counts is None or naive.moments(plain.near, flags, i)[1] < 1e-11:
            assert drawn.loc[code, "p_value"] == 1
        else:
            assert drawn.loc[code, "p_value"] == naive.p_value(*counts, DRAWS, "greater")


def test_join_counts_want_zeros_and_ones():
    world = lattice(4, 4)
    panel = world.panel(np.arange(16.0), family="gaussian")
    with pytest.raises(zg.InputError, match="need to be 0 and 1"):
        zg.LocalJoinCounts().detect(panel, world.graph())
    flags = (np.arange(16.0) > 9).astype(float)
    as_values = zg.LocalJoinCounts().detect(world.panel(flags, family="gaussian"), world.graph()).frame
    as_counts = zg.LocalJoinCounts().detect(world.panel(flags, np.ones(16), "binomial"), world.graph()).frame
    np.testing.assert_array_equal(as_values["p_value"], as_counts["p_value"])
    assert as_values["p_value"].notna().sum() == 6


@pytest.mark.slow
@given(
    data=worlds(),
    gaps=st.integers(0, 3),
    seed=st.integers(0, 1_000),
    alternative=st.sampled_from(ALTERNATIVES),
)
@QUICK
def test_bivariate_moran_is_that_of_the_plain_loops(data, gaps, seed, alternative):
    world, x = data
    rng = np.random.default_rng(seed)
    y = rng.gamma(2, size=len(x)).tolist()
    for i in rng.permutation(len(x))[:gaps]:
        y[i] = None
    both = naive.together(x, y)
    if not (enough(x) and enough(both[0]) and enough(both[1])):
        return
    detector = zg.BivariateLocalMoran("other", DRAWS, "rate", alternative)
    found = cells(detector, world, {"y": x, "other": y}, seed)
    found = found[found["indicator"] == "y"]
    middle = np.mean(naive.known(both[0]))
    for i, code in enumerate(world.codes):
        if not usable(world, both[1], i):
            assert found.loc[code, ["p_value", "z", "statistic"]].isna().all()
            assert found.loc[code, "status"] == ("missing" if both[1][i] is None else "isolated")
            continue
        expected = naive.bivariate_moran(world.near, x, y, i)
        assert found.loc[code, "statistic"] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        counts = naive.bivariate_counts(world.near, x, y, i, DRAWS, seed)
        if counts is None or abs(both[0][i] - middle) < 1e-9:
            assert found.loc[code, "p_value"] == 1
        else:
            assert found.loc[code, "p_value"] == naive.p_value(*counts, DRAWS, alternative)


# --- p without draws --------------------------------------------------------------------------------


def tails(upper, lower, alternative):
    return {"greater": upper, "less": lower, "two-sided": min(1.0, 2 * min(upper, lower))}[alternative]


def cautious(value, mean, variance, skewness):
    """Tails of the curve; in the short one no less than the normal tail."""
    upper, lower = naive.pearson_tails(value, mean, variance, skewness)
    normal = naive.pearson_tails(value, mean, variance, 0)
    return (max(upper, normal[0]), lower) if skewness < 0 else (upper, max(lower, normal[1]))


def bounded(p, z, skewness, kurtosis):
    """Where tails are heavier than a gamma law's, p is no less than what no law can exceed."""
    return max(p, min(1.0, kurtosis / z**4)) if kurtosis > 3.1 + 1.5 * skewness**2 and abs(z) > 1e-9 else p


@pytest.mark.slow
@given(
    data=worlds(),
    star=st.booleans(),
    alternative=st.sampled_from(ALTERNATIVES),
    inference=st.sampled_from(["moments", "normal"]),
)
@QUICK
def test_curves_go_through_the_exact_moments(data, star, alternative, inference):
    """Pearson III through mean, variance and skewness; normal through the first two."""
    world, values = data
    if not enough(values):
        return
    options = {"value": "rate", "alternative": alternative, "inference": inference}
    getis = cells(zg.GetisOrd(star=star, **options), world, values)
    moran = cells(zg.LocalMoran(**options), world, values)
    geary = cells(zg.LocalGeary(**options), world, values)
    middle = np.mean(naive.known(values))
    for i, code in enumerate(world.codes):
        if not usable(world, values, i):
            continue
        weights = [w for _, w in naive.row(world.near, values, i)]
        lag = naive.lag(world.near, values, i)
        others = naive.others(values, i)
        flipped = values[i] < middle
        sign = -1 if flipped else 1
        z = naive.standardised(values)
        squares = [(z[i] - z[j]) ** 2 for j, v in enumerate(values) if v is not None and j != i]
        own = naive.self_weight(world.near, i)
        for frame, value, used, pool, turn in (
            (geary, naive.geary(world.near, values, i), weights, squares, 1),
            (moran, lag, weights, others, sign if abs(values[i] - middle) > 1e-9 else 0),
            (getis, lag + own * values[i], [*weights, own], naive.known(values), 1)
            if star
            else (getis, lag, weights, others, 1),
        ):
            mean, variance, third, fourth = naive.sum_moments(used, pool)
            p = frame.loc[code, "p_value"]
            scale = math.fsum(w * w for w in used) * np.var(pool)
            if turn == 0 or variance <= 1e-10 * scale:
                assert p == 1
                continue
            skewness = third / variance**1.5 if inference == "moments" else 0.0
            upper, lower = cautious(value, mean, variance, skewness)
            expected = tails(*((upper, lower) if turn > 0 else (lower, upper)), alternative)
            if inference == "moments":
                deviation = (value - mean) / math.sqrt(variance)
                expected = bounded(expected, deviation, skewness, fourth / variance**2)
            assert p == close(expected)


@pytest.mark.parametrize(("kind", "side", "seed"), [(zg.GetisOrd, 12, 13), (zg.LocalGeary, 24, 32)])
def test_stopping_at_a_small_level_loses_nothing(kind, side, seed):
    """One large count in the first thousand draws is no proof that p will end above a thousandth."""
    world = lattice(side, side)
    panel = world.panel(np.random.default_rng(seed).lognormal(0, 1.5, side * side), family="gaussian")
    whole, short = (
        kind(49_999, value="rate", stop_above=level).detect(panel, world.graph(), seed=seed).frame
        for level in (None, 0.001)
    )
    low = whole["p_value"] <= 0.001
    assert low.any()
    np.testing.assert_array_equal(short["p_value"][low], whole["p_value"][low])


def test_stopping_saves_draws_where_it_may():
    world = lattice(9, 9)
    values = np.random.default_rng(0).gamma(2, size=81).tolist()
    found = cells(zg.LocalMoran(99_999, "rate", stop_above=0.05), world, values)
    assert found["permutations"].min() < 2_000
    full = found["permutations"] == 99_999
    assert (found["p_value"][~full] > 0.05).all()
    assert full.any()


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.3, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("uneven", [None, 1])
@pytest.mark.parametrize("kind", [zg.LocalMoran, zg.GetisOrd, zg.LocalGeary])
def test_the_curve_never_claims_what_the_draws_deny(kind, uneven, spread):
    """Lognormal values: a curve ends where its short tail does, and there its p is 0 for what is common.

    Nowhere may it be far below the p of the draws.
    """
    world = lattice(30, 30, seed=uneven)
    values = np.random.default_rng(4).lognormal(0, spread, 900).tolist()
    drawn = cells(kind(49_999, value="rate"), world, values)
    curve = cells(kind(value="rate", inference="moments"), world, values)["p_value"]
    ratio = (curve / drawn["p_value"])[drawn["p_value"] > 2e-3]
    assert ratio.size > 800
    assert ratio.min() > 0.3
