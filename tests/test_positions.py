"""Where counts lie in their distributions: quick sums and approximations against scipy and dense sums."""

import math
from functools import cache

import numpy as np
import pytest
from scipy import special

from naive import estimation as naive
from zoo_geo.kernels import likelihood, positions, settling


def drawn(phi, n=40, seed=0, middle=2.5):
    """Counts of many sizes, their means, errors and weights."""
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(middle, 1.2, n))
    seen = rng.poisson(mean * rng.gamma(1 / phi, phi, n)).astype(float)
    return seen, mean, rng.uniform(0.001, 0.05, n), rng.uniform(0.2, 1.0, n)


def each(value, n=40):
    return np.full(n, float(value))


def placed(seen, mean, phi):
    """Ends of each count's step by `steps`, as probabilities, in the order of the counts given."""
    seen, mean, phi = (np.asarray(each, float) for each in (seen, mean, phi))
    order, ends = np.empty(seen.size, np.int64), np.empty(positions.SHORT + 1, np.int64)
    positions.sort_counts(seen, order, ends)
    low, high, back = np.empty(seen.size), np.empty(seen.size), np.argsort(order)
    positions.steps(seen[order], mean[order], phi[order], ends, low, high)
    short = np.arange(seen.size) < ends[-1]
    assert (seen[order][short] <= positions.SHORT).all()
    assert (seen[order][~short] > positions.SHORT).all()
    return tuple(np.where(short, each, special.ndtr(each))[back] for each in (low, high))


@pytest.mark.parametrize(
    ("phi", "close"),
    [
        *[(phi, 4e-4) for phi in (1e-5, 1e-3, 0.05, 0.2)],
        (0.4, 5e-4),
        *[(phi, 2e-3) for phi in (0.6, 0.75)],
        *[(phi, 3.2e-3) for phi in (0.76, 1.0, 2.0, 5.0, 20.0, 50.0)],
    ],
)
def test_steps_of_the_distribution_function(phi, close):
    cells = []
    for mean in (0.01, 0.3, 1, 4, 15, 26, 60, 200, 1e3, 1e5):
        law = naive.stats.nbinom(1 / phi, 1 / (1 + phi * mean))
        counts = {int(law.ppf(q)) for q in (0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999)}
        cells += [(o, mean) for o in counts | {0, 1, 5, 24, 25, 26, 60}]
    seen, mean = np.array(cells, float).T
    found = np.array(placed(seen, mean, each(phi, seen.size)))
    true = np.array([naive.step(o, m, phi) for o, m in zip(seen, mean, strict=True)]).T
    short = seen <= positions.SHORT
    np.testing.assert_allclose(found[:, short], true[:, short], atol=1e-9)
    assert np.abs(found.mean(0) - true.mean(0)).max() < close  # the middle of a step
    assert np.abs(found - true).max() < 8 * close
    assert (found[0] <= found[1]).all()
    assert (found >= 0).all()
    assert (found <= 1 + 1e-9).all()


@pytest.mark.parametrize("phi", [1e-5, 1e-3, 0.05])
def test_steps_of_large_counts_are_as_wide_as_the_chance_of_the_count(phi):
    for mean in (26, 60, 200, 1e3, 1e5):
        law = naive.stats.nbinom(1 / phi, 1 / (1 + phi * mean))
        seen = law.ppf([0.25, 0.5, 0.75, 0.95])
        low, high = placed(seen, each(mean, 4), each(phi, 4))
        large = seen > positions.SHORT
        np.testing.assert_allclose((high - low)[large], law.pmf(seen)[large], rtol=6e-3)


def test_order_of_counts_changes_nothing():
    seen, mean, _, _ = drawn(0.3, 60)
    mixed = np.random.default_rng(9).permutation(60)
    one, other = placed(seen, mean, each(0.3, 60)), placed(seen[mixed], mean[mixed], each(0.3, 60))
    np.testing.assert_array_equal(np.array(one)[:, mixed], other)


def settled(seen, mean, error, phi, begin=1.0):
    """Spread by `settle_spread`, and what part of the weight is on rare counts."""
    n = len(seen)
    column = seen, each(1, n), mean, 1 / error, each(phi, n)
    times, rare, least, most = settling.settle_spread(np.arange(n), *column, begin, 0.7)
    assert least == most == phi
    return phi * times, rare


@cache
def half_in_the_middle(phi, start):
    """Counts, means, errors and weights, and the spread that puts half of them in the middle."""
    seen, mean, error, _ = drawn(phi, 150, seed=3)
    weight = (mean / (1 + (start + error) * mean)) ** 2
    return seen, mean, error, weight, naive.spread_of(seen, mean, error, weight)


@pytest.mark.slow
@pytest.mark.parametrize("begin", [0.2, 1.0, 20.0])
@pytest.mark.parametrize(("phi", "start"), [(0.02, 0.1), (0.2, 0.1), (0.2, 2.0), (0.6, 0.01)])
def test_spread_that_is_settled_puts_half_in_the_middle(phi, start, begin):
    seen, mean, error, weight, true = half_in_the_middle(phi, start)
    found, rare = settled(seen, mean, error, start, begin)
    assert found == pytest.approx(true, rel=0.03)
    assert rare == pytest.approx(weight[mean < 0.7].sum() / weight.sum())


def test_rare_counts_are_those_below_what_is_few():
    seen, mean, error, _ = drawn(0.2, 3000, seed=3, middle=0.0)
    weight = (mean / (1 + (0.2 + error) * mean)) ** 2
    assert settled(seen, mean, error, 0.2)[1] == pytest.approx(weight[mean < 0.7].sum() / weight.sum())


def test_a_large_spread_is_no_reason_to_go_on_for_ever():
    """Far out the central half holds fewer counts again: the spread is the first that holds enough."""
    seen, mean, error, _ = drawn(2.0, 3000, seed=6)
    assert settled(seen, mean, error, 0.1)[0] == pytest.approx(2.0, rel=0.2)


def test_counts_closer_than_chance_ask_for_no_spread():
    mean = np.full(60, 500.0)
    assert settled(mean.copy(), mean, each(1e-9, 60), 0.1)[0] == pytest.approx(1e-5)


@pytest.mark.parametrize("begin", [0.02, 0.3, 3.0])
def test_pace_that_is_settled_is_that_of_the_error(begin):
    rng = np.random.default_rng(5)
    slope, n = rng.uniform(0.0, 1.0, 12_000), 12_000
    wide = 0.05 + 0.4 * slope
    mean = np.exp(rng.normal(4, 1, n))
    seen = rng.poisson(mean * rng.gamma(1 / wide, wide)).astype(float)
    column = seen, each(1, n), mean, each(1 / 0.01, n), each(0.04, n)
    for edge in (0.05, 0.25):
        ends = edge, -special.ndtri(edge)
        pace, times = settling.settle_pace(np.arange(n), *column, slope, 0.25, *ends, begin, 3)
        assert pace == pytest.approx(0.4, rel=0.12)
        assert 0.04 * times == pytest.approx(0.04, rel=0.3)


@pytest.mark.parametrize("bend", [0.5, 2.0])
@pytest.mark.parametrize("edge", [0.05, 0.25])
def test_pace_and_spread_that_are_settled_put_the_wanted_shares_inside(edge, bend):
    """The error is no straight line of the slope: the steepest quarter and all have their shares."""
    rng, n = np.random.default_rng(1), 6_000
    slope = rng.uniform(0.0, 1.0, n)
    wide = 0.05 + 0.4 * slope**bend
    mean = np.exp(rng.normal(math.log(60.0), 0.5, n))
    seen = rng.poisson(mean * rng.gamma(1 / wide, wide)).astype(float)
    column = seen, each(1, n), mean, each(1 / 0.01, n), each(0.04, n)
    ends = edge, -special.ndtri(edge)
    pace, times = settling.settle_pace(np.arange(n), *column, slope, 0.25, *ends, 0.3, 3)
    rest = 1 / mean + 0.01 + 0.04 * times
    low, high = placed(seen, mean, 0.01 + 0.04 * times + pace * slope)

    def inside(rows, tail, variance):
        part = np.minimum(high, 1 - tail) - np.maximum(low, tail)
        return np.average((np.maximum(part, 0) / (high - low))[rows], weights=variance[rows] ** -2.0)

    steepest = slope >= np.quantile(slope, 0.75)
    assert inside(steepest, edge, rest) == pytest.approx(1 - 2 * edge, abs=2.5e-3)
    assert inside(slope >= 0, 0.25, rest + pace * slope) == pytest.approx(0.5, abs=1e-3)


def test_rows_that_tell_most_are_those_of_the_largest_expected_counts():
    rng = np.random.default_rng(7)
    rate, size = np.exp(rng.normal(0, 2, 5000)), np.exp(rng.normal(3, 1, 5000))
    keep = (rng.random(5000) < 0.9).astype(float)
    rate[:3] = np.nan, 0.0, np.inf
    rows = settling.telling(keep, rate, size, 1000)
    expected = np.where((keep > 0) & (rate > 0) & (rate < np.inf), rate * size, 0.0)
    assert 1000 <= rows.size < 1100
    assert expected[rows].min() >= np.delete(expected, rows).max()
    assert settling.telling(keep, rate, size, 10_000).size == (expected > 0).sum()
    mixed = rng.permutation(5000)
    assert set(mixed[settling.telling(keep[mixed], rate[mixed], size[mixed], 1000)]) == set(rows)


@pytest.mark.parametrize("phi", [1e-5, 1e-3, 0.05, 0.8, 20.0])
def test_log_likelihood_is_that_of_a_negative_binomial(phi):
    """Up to the factorial of the count, which no mean and no spread changes."""
    seen = np.array([0.0, 1, 2, 7, 8, 9, 30, 400, 5_000, 100_000])
    mean = np.array([0.5, 0.01, 9, 7, 20, 3, 30, 350, 5_500, 99_000])
    found = np.empty(10)
    likelihood.nb_log_likelihood(seen, mean, each(phi, 10), found)
    true = naive.stats.nbinom.logpmf(seen, 1 / phi, 1 / (1 + phi * mean)) + special.gammaln(seen + 1)
    np.testing.assert_allclose(found, true, rtol=1e-8, atol=2e-5)


@pytest.mark.parametrize("phi", [1e-4, 0.3])
def test_residual_is_the_signed_root_of_the_deviance(phi):
    seen, mean = np.array([0.0, 3, 9, 400]), np.array([2.5, 3, 4, 500])
    found = np.empty(4)
    likelihood.nb_residual(seen, mean, each(phi, 4), found)
    own = special.xlogy(seen, seen / mean)
    lack = own - (seen + 1 / phi) * np.log((1 + phi * seen) / (1 + phi * mean))
    np.testing.assert_allclose(found, np.sign(seen - mean) * np.sqrt(2 * np.maximum(lack, 0)), atol=1e-6)
