"""Where counts lie in their distributions: quick sums and approximations against scipy and dense sums."""

import math

import numpy as np
import pytest
from scipy import special

from naive import estimation as naive
from zoo_geo.kernels import estimation

EDGES = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


def drawn(phi, n=40, seed=0, middle=2.5):
    """Counts of many sizes, their means, errors and weights."""
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(middle, 1.2, n))
    seen = rng.poisson(mean * rng.gamma(1 / phi, phi, n)).astype(float)
    return seen, mean, rng.uniform(0.001, 0.05, n), rng.uniform(0.2, 1.0, n)


def each(value, n=40):
    return np.full(n, float(value))


@pytest.mark.parametrize(
    ("phi", "close"),
    [
        *[(phi, 4e-4) for phi in (1e-5, 1e-3, 0.05, 0.2, 0.4)],
        *[(phi, 2e-3) for phi in (0.6, 0.75)],
        *[(phi, 3.2e-3) for phi in (0.76, 1.0, 2.0, 5.0, 20.0, 50.0)],
    ],
)
def test_steps_of_the_distribution_function(phi, close):
    worst = 0.0
    for mean in (0.01, 0.3, 1, 4, 15, 26, 60, 200, 1e3, 1e5):
        law = naive.stats.nbinom(1 / phi, 1 / (1 + phi * mean))
        counts = {int(law.ppf(q)) for q in (0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999)}
        for o in counts | {0, 1, 5, 24, 25, 26, 60}:
            found = estimation.nb_step(float(o), float(mean), phi)
            worst = max(worst, *np.abs(np.subtract(found, naive.step(o, mean, phi))))
            if o <= 24:
                assert found == pytest.approx(naive.step(o, mean, phi), abs=1e-9)
            assert 0.0 <= found[0] <= found[1] <= 1.0 + 1e-9
    assert worst < close


@pytest.mark.parametrize("phi", [0.01, 0.3, 3.0])
def test_shares_below_places(phi):
    seen, mean, error, weight = drawn(phi)
    steps = [naive.step(o, m, phi + e) for o, m, e in zip(seen, mean, error, strict=True)]
    found = np.empty(5)
    estimation.nb_shares(seen, mean, each(phi), each(0), error, weight, EDGES, found)
    np.testing.assert_allclose(found, naive.shares(steps, weight, EDGES), atol=2e-3 if phi < 1 else 4e-3)


@pytest.mark.parametrize(("heavy", "phi"), [(0.3, 0.1), (0.6, 0.1), (0.6, 0.4)])
def test_shares_with_a_heavy_part_are_averaged_over_an_inverse_gamma(heavy, phi):
    seen, mean, error, weight = drawn(phi, 20)
    steps = [
        naive.smeared(o, m, (1 - heavy) * phi, *naive.inverse_gamma(heavy * phi + e))
        for o, m, e in zip(seen, mean, error, strict=True)
    ]
    found = np.empty(5)
    estimation.nb_shares(seen, mean, each(phi, 20), each(heavy, 20), error, weight, EDGES, found)
    np.testing.assert_allclose(found, naive.shares(steps, weight, EDGES), atol=0.01)
    light = np.empty(5)
    estimation.nb_shares(seen, mean, each(phi, 20), each(0, 20), error, weight, EDGES, light)
    assert np.abs(light - found).max() > 0.01


@pytest.mark.parametrize("sigma", [0.4, 1.0, 1.8])
def test_shares_with_a_hidden_exposure_are_averaged_over_a_lognormal(sigma):
    seen, mean, error, weight = drawn(0.5, 20)
    share = np.linspace(0.01, 0.9, 20)
    steps = [
        naive.smeared(o, m, 0.1 + e, *naive.lognormal(s, sigma))
        for o, m, e, s in zip(seen, mean, error, share, strict=True)
    ]
    found, plain = np.empty(5), np.empty(5)
    estimation.nb_hidden_shares(seen, mean, share, sigma, 0.1, error, weight, EDGES, found)
    np.testing.assert_allclose(found, naive.shares(steps, weight, EDGES), atol=0.01)
    estimation.nb_hidden_shares(seen, mean, 1e-9 * share, sigma, 0.1, error, weight, EDGES, plain)
    usual = np.empty(5)
    estimation.nb_shares(seen, mean, each(0.1, 20), each(0, 20), error, weight, EDGES, usual)
    np.testing.assert_allclose(plain, usual, atol=1e-6)


@pytest.mark.parametrize(("phi", "start"), [(0.02, 0.1), (0.2, 0.1), (0.2, 2.0), (0.6, 0.01)])
def test_spread_that_is_solved_for_puts_half_in_the_middle(phi, start):
    seen, mean, error, weight = drawn(phi, 150, seed=3)
    true = naive.spread_of(seen, mean, error, weight)
    log = estimation.nb_solve(
        estimation.SPREAD, math.log(start), 1.4, math.log(1e-5), math.log(50.0),
        seen, mean, each(1, 150), each(0, 150), error, mean, weight,
    )  # fmt: skip
    assert math.exp(log) == pytest.approx(true, rel=0.03)


def test_shift_that_is_solved_for_puts_half_below_the_middle():
    seen, mean, _, weight = drawn(0.2, 150, seed=4)
    for times in (0.4, 1.0, 3.0):
        given = mean * times
        found = estimation.nb_solve(
            estimation.SHIFT, 0.0, 0.5, -4.0, 4.0,
            seen, given, each(0.2, 150), each(0, 150), each(0, 150), given, weight,
        )  # fmt: skip
        assert found == pytest.approx(naive.shift_of(seen, given, 0.2, weight), abs=0.01)


def test_pace_that_is_solved_for_is_that_of_the_error():
    rng = np.random.default_rng(5)
    slope, n = rng.uniform(0.0, 1.0, 4000), 4000
    wide = 0.05 + 0.4 * slope
    mean = np.exp(rng.normal(4, 1, n))
    seen = rng.poisson(mean * rng.gamma(1 / wide, wide)).astype(float)
    found = estimation.nb_solve(
        estimation.PACE, math.log(0.3), 1.4, math.log(1e-5), math.log(50.0),
        seen, mean, each(0.04, n), each(0, n), each(0.01, n), slope, each(1, n),
    )  # fmt: skip
    assert math.exp(found) == pytest.approx(0.4, rel=0.1)


def test_nothing_to_solve_ends_at_an_end():
    """Counts closer to their means than chance would have them ask for no spread."""
    mean = np.full(60, 500.0)
    given = each(1, 60), each(0, 60), each(0, 60), mean, each(1, 60)
    ends = 1.4, math.log(1e-5), math.log(50.0)
    low = estimation.nb_solve(estimation.SPREAD, math.log(0.1), *ends, mean.copy(), mean, *given)
    assert low == pytest.approx(math.log(1e-5))
    nothing = np.zeros(60)
    assert np.isfinite(estimation.nb_solve(estimation.SHIFT, 0.0, 0.5, -4.0, 4.0, nothing, mean, *given))


@pytest.mark.parametrize("phi", [1e-5, 1e-3, 0.05, 0.8, 20.0])
def test_log_likelihood_is_that_of_a_negative_binomial(phi):
    """Up to the factorial of the count, which no mean and no spread changes."""
    seen = np.array([0.0, 1, 2, 7, 8, 9, 30, 400, 5_000, 100_000])
    mean = np.array([0.5, 0.01, 9, 7, 20, 3, 30, 350, 5_500, 99_000])
    found = np.empty(10)
    estimation.nb_log_likelihood(seen, mean, each(phi, 10), found)
    true = naive.stats.nbinom.logpmf(seen, 1 / phi, 1 / (1 + phi * mean)) + special.gammaln(seen + 1)
    np.testing.assert_allclose(found, true, rtol=1e-8, atol=2e-5)
