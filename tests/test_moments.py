"""What is there to compare with: spread by moments, and an error that adds to the spread."""

import math

import numpy as np
import pytest
from scipy import stats

import zoo_geo as zg
from panels import counts_of, lattice
from zoo_geo.moments import BY_MOMENTS
from zoo_geo.predictive import FAMILIES

PLAIN = {"clean": 0, "precision": False, "response": False, "heavy": False}


def spread(family, seen, size, rate, error, start):
    with np.errstate(divide="ignore"):
        column = seen, size, rate, 1.0 / np.asarray(error), start
    rows = np.arange(len(seen))
    times, freedom = BY_MOMENTS[family].matched(rows, 1.0, *(np.asarray(each, float) for each in column))
    assert freedom == math.inf
    return times * start[0]


def test_spread_of_counts_is_that_of_the_sums():
    seen, size, rate = [4.0, 30.0, 9.0], [100.0, 200.0, 300.0], [0.1, 0.08, 0.05]
    error, start = [0.01, 0.02, 0.03], [0.1] * 3
    up = down = 0.0
    for o, n, r, e, phi in zip(seen, size, rate, error, start, strict=True):
        mean = n * r
        weight = (mean / (1 + (phi + e) * mean)) ** 2
        up += weight * (((o - mean) ** 2 - mean) / mean**2 - e)
        down += weight
    assert spread("poisson", seen, size, rate, error, start) == pytest.approx(up / down)
    flat = np.array(size) * rate
    assert spread("poisson", flat, size, rate, error, start) == 1e-5


@pytest.mark.parametrize(("family", "true"), [("poisson", 0.2), ("binomial", 0.05), ("gaussian", 4.0)])
def test_moments_find_what_was_simulated(family, true):
    rng, n = np.random.default_rng(1), 20_000
    size = rng.integers(1, 400, n).astype(float)
    rate, none = np.full(n, 0.2), np.zeros(n)
    if family == "poisson":
        seen = rng.poisson(size * rate * rng.gamma(1 / true, true, n))
    elif family == "binomial":
        m = (1 - true) / true
        seen = rng.binomial(size.astype(int), rng.beta(0.2 * m, 0.8 * m, n))
    else:
        seen = rng.normal(0.2, np.sqrt(true / size))
    found = spread(family, seen, size, rate, none, np.full(n, 0.1))
    assert found == pytest.approx(true, rel=0.06)


def test_the_error_of_the_expectation_is_no_spread_of_shares_and_values():
    rng, n = np.random.default_rng(2), 20_000
    size, off = np.full(n, 200.0), rng.normal(0, 0.1, n)
    seen, error = rng.binomial(200, 0.2 * (1 + off)), np.full(n, 0.01)  # a relative variance
    with_error, without = (spread("binomial", seen, size, np.full(n, 0.2), e, np.full(n, 0.01))
                           for e in (error, 0 * error))  # fmt: skip
    assert without == pytest.approx(0.0025, rel=0.1)
    assert with_error < without / 5
    values = rng.normal(5.0, np.sqrt(3.0 * (1 / size + error)))
    assert spread("gaussian", values, size, np.full(n, 5.0), error, np.full(n, 1.0)) == pytest.approx(
        3, rel=0.05
    )


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_robust_spread_is_not_moved_by_odd_areas_and_moments_are(family):
    world = lattice(20, 20)
    size, seen = counts_of(world, seed=3, spread=0.05)
    seen[::25] = np.minimum(seen[::25] * 6 + 20, size[::25])
    panel = world.panel(seen, size, family=family)
    spreads = {
        (robust, clean): zg.Deviation("national", robust=robust, clean=clean, response=False, heavy=False)
        .detect(panel).frame["spread"].median()
        for robust in (True, False) for clean in (0, 2)
    }  # fmt: skip
    assert spreads[False, 0] > 3 * spreads[True, 0]
    assert spreads[False, 2] < spreads[False, 0]


def test_an_error_that_adds_to_the_spread_gives_a_negative_binomial():
    """The nation without the area itself; its rate is as sure as the events behind it."""
    world = lattice(6, 7)
    size, seen = counts_of(world, seed=5, spread=0.1, low=20)
    panel = world.panel(seen, size)
    whole = zg.Deviation("national", **PLAIN).detect(panel).frame.set_index("area")
    summed = zg.Deviation("national", integrate=False, **PLAIN).detect(panel).frame.set_index("area")
    for name in ("expected", "spread", "ratio_low", "ratio_high"):
        np.testing.assert_array_equal(summed[name], whole[name])
    order = summed.loc[world.codes]
    for o, mean, phi, p in zip(seen, order["expected"], order["spread"], order["p_value"], strict=True):
        r = 1 / (phi + 1 / (seen.sum() - o))
        law = stats.nbinom(r, r / (r + mean))
        below, above = law.cdf(o - 1) + law.pmf(o) / 2, law.sf(o) + law.pmf(o) / 2
        assert p == pytest.approx(min(1.0, 2 * min(below, above)), rel=1e-6)
    assert not np.allclose(summed["p_value"], whole["p_value"], rtol=1e-3)


def test_of_values_the_error_always_adds_to_the_variance():
    world = lattice(8, 8)
    values = np.random.default_rng(1).normal(size=64)
    panel = world.panel(values, np.ones(64), family="gaussian")
    one, other = (zg.Deviation(integrate=yes).detect(panel, world.graph()).frame for yes in (True, False))
    np.testing.assert_array_equal(one["p_value"], other["p_value"])


def test_unseen_people_keep_the_error_of_the_expectation():
    """Their law has a spread of its own, to which nothing can be added."""
    rng, world = np.random.default_rng(3), lattice(30, 30)
    size = np.round(np.exp(rng.normal(5.0, 1.5, 900)))
    seen = rng.poisson((size + np.exp(rng.normal(np.log(40.0), 1.5, 900))) * 0.08)
    panel = world.panel(seen, size)
    one, other = (zg.Deviation(integrate=yes).detect(panel, world.graph()) for yes in (True, False))
    assert any("people nobody counted" in notice for notice in one.notices)
    np.testing.assert_array_equal(one.frame["p_value"], other.frame["p_value"])


@pytest.mark.parametrize("robust", [True, False])
def test_areas_of_which_nothing_is_expected_say_nothing_about_spread(robust):
    """Without shrinking, narrow surroundings expect none where wide ones expect some."""
    rng, n = np.random.default_rng(3), 900
    size, rate = np.full(n, 100.0), np.full(n, 0.004)
    seen = rng.poisson(size * rate * rng.gamma(0.5, 2.0, n)).astype(float)
    rate[::3], rate[1] = 0.0, np.nan
    strength, phi = np.where(rate > 0, 1e6, rate), np.full(n, 0.1)
    family = (FAMILIES if robust else BY_MOMENTS)["poisson"]
    column, some = (seen, size, rate, strength, phi), rate > 0
    found = family.matched(np.arange(n), 1.0, *column)
    assert found == family.matched(np.flatnonzero(some), 1.0, *(each.copy() for each in column))
    assert found[0] * 0.1 == pytest.approx(2.0, rel=0.5)
    assert family.matched(np.flatnonzero(rate == 0), 1.0, *column)[0] == 1.0
