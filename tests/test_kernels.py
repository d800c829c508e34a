"""Compiled loops against arbitrary precision, numerical integration and plain loops."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from naive import local_statistics as naive
from naive import tails as exact
from zoo_geo.kernels import permutation, tails
from zoo_geo.kernels.likelihood import nb_usual
from zoo_geo.predictive import FAMILIES

QUICK = settings(max_examples=40, deadline=None)
SIDES = pytest.mark.parametrize("upper", [True, False])


# --- tails ------------------------------------------------------------------------------------------


@SIDES
@pytest.mark.parametrize("phi", [1e-5, 0.01, 0.3, 5.0])
@pytest.mark.parametrize("mean", [0.3, 4.0, 60.0])
@pytest.mark.parametrize("o", [0, 1, 5, 40, 200])
def test_negative_binomial_mid_tail_is_exact(o, mean, phi, upper):
    found = tails.nb_log_mid(float(o), mean, phi, upper)
    true = exact.nb_log_mid(o, mean, phi, upper)
    # log gamma of 1 / phi has 16 digits: what is lost of them is lost of the logarithm
    assert found == pytest.approx(true, rel=1e-9, abs=3e-9 if true < -1e-3 else 1e-12)


@pytest.mark.parametrize(("o", "mean"), [(700, 20.0), (400, 1.0), (5_000, 800.0)])
def test_negative_binomial_tail_keeps_its_digits_far_out(o, mean):
    found = tails.nb_log_mid(float(o), mean, 0.01, True)
    assert found < math.log(1e-80)
    assert found == pytest.approx(exact.nb_log_mid(o, mean, 0.01, True), rel=1e-11)


def test_negative_binomial_tail_goes_down_to_1e_300():
    found = tails.nb_log_mid(1_900.0, 100.0, 0.01, True)
    assert found == pytest.approx(exact.nb_log_mid(1_900, 100.0, 0.01, True), rel=1e-11)
    assert found < math.log(1e-300)
    lower = tails.nb_log_mid(0.0, 2_000.0, 1e-4, False)
    assert lower == pytest.approx(exact.nb_log_mid(0, 2_000.0, 1e-4, False), rel=1e-11)
    assert lower < math.log(1e-300)


@SIDES
@pytest.mark.parametrize("rho", [1e-5, 0.02, 0.4])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.parametrize(("o", "n"), [(0, 1), (1, 1), (0, 60), (7, 60), (60, 60), (150, 400)])
def test_beta_binomial_mid_tail_is_exact(o, n, share, rho, upper):
    found = tails.bb_log_mid(float(o), float(n), share, rho, upper)
    true = exact.bb_log_mid(o, n, share, rho, upper)
    assert found == pytest.approx(true, rel=1e-9, abs=1e-8 if true < -1e-3 else 1e-10)


def test_beta_binomial_tail_goes_down_to_1e_300():
    found = tails.bb_log_mid(2_500.0, 3_000.0, 0.05, 1e-4, True)
    assert found < math.log(1e-300)
    assert found == pytest.approx(exact.bb_log_mid(2_500, 3_000, 0.05, 1e-4, True), rel=1e-10)


@given(
    o=st.integers(0, 300),
    mean=st.floats(0.05, 300),
    phi=st.floats(1e-4, 3),
    strength=st.floats(3, 1e5),
)
@QUICK
def test_both_families_give_a_tail_of_at_most_one_half(o, mean, phi, strength):
    one = np.ones(1)
    poisson = FAMILIES["poisson"].tails(o * one, 10 * one, mean / 10 * one, strength * one, phi, np.inf)
    binomial = FAMILIES["binomial"].tails(
        min(o, 400) * one, 400 * one, mean / 400 * one, strength * one, min(phi, 0.9), np.inf
    )
    for log_p, upper in (poisson, binomial):
        assert log_p[0] <= math.log(0.5) + 1e-12
        assert np.isfinite(log_p[0])
        assert upper.dtype == bool


@pytest.mark.parametrize("strength", [5.0, 30.0, 1_000.0])
@pytest.mark.parametrize(
    ("o", "mean", "phi"), [(0, 6.0, 0.1), (9, 6.0, 0.1), (22, 6.0, 0.02), (90, 40.0, 0.2)]
)
def test_count_tail_is_averaged_over_the_error_of_the_mean(o, mean, phi, strength):
    one = np.ones(1)
    log_p, upper = FAMILIES["poisson"].tails(o * one, one, mean * one, strength * one, phi, np.inf)
    assert math.exp(log_p[0]) == pytest.approx(exact.nb_averaged(o, mean, phi, strength, upper[0]), rel=0.04)


@pytest.mark.parametrize("strength", [10.0, 300.0])
@pytest.mark.parametrize(
    ("o", "share", "rho"), [(0, 0.04, 0.01), (12, 0.04, 0.01), (70, 0.4, 0.02), (150, 0.5, 0.05)]
)
def test_share_tail_is_averaged_over_the_error_of_the_odds(o, share, rho, strength):
    one = np.ones(1)
    log_p, upper = FAMILIES["binomial"].tails(o * one, 200 * one, share * one, strength * one, rho, np.inf)
    true = exact.bb_averaged(o, 200, share, rho, strength * (1 - share) ** 2, upper[0])
    assert math.exp(log_p[0]) == pytest.approx(true, rel=0.04)


def test_tails_reach_poisson_and_binomial_when_nothing_spreads():
    one, strength = np.ones(1), 1e12 * np.ones(1)
    for o in (0, 3, 9, 25):
        log_p, upper = FAMILIES["poisson"].tails(o * one, one, 8.0 * one, strength, 1e-9, np.inf)
        law = stats.poisson(8.0)
        true = (law.sf(o) if upper[0] else law.cdf(o - 1)) + 0.5 * law.pmf(o)
        assert math.exp(log_p[0]) == pytest.approx(true, rel=1e-5)
        log_p, upper = FAMILIES["binomial"].tails(o * one, 30 * one, 0.3 * one, strength, 1e-9, np.inf)
        law = stats.binom(30, 0.3)
        true = (law.sf(o) if upper[0] else law.cdf(o - 1)) + 0.5 * law.pmf(o)
        assert math.exp(log_p[0]) == pytest.approx(true, rel=1e-5)


def test_the_less_sure_the_expectation_the_heavier_the_tail():
    one = np.ones(1)
    log_p = [
        FAMILIES["poisson"].tails(30 * one, one, 10 * one, s * one, 0.05, np.inf)[0][0]
        for s in (1e6, 100.0, 20.0, 5.0)
    ]
    assert log_p == sorted(log_p)


def test_student_tail_of_values():
    y, mean, strength = np.array([3.0, -1.0, 0.5]), np.zeros(3), np.full(3, 4.0)
    log_p, upper = FAMILIES["gaussian"].tails(y, np.full(3, 2.0), mean, strength, 1.5, 5.0)
    t = y / np.sqrt(1.5 * (1 / 2 + 1 / 4))
    np.testing.assert_allclose(np.exp(log_p), stats.t.sf(abs(t), 5))
    assert upper.tolist() == [True, False, True]
    log_p, _ = FAMILIES["gaussian"].tails(y * 20, np.ones(3), mean, np.full(3, 1e12), 1.0, 1e6)
    np.testing.assert_allclose(log_p, stats.norm.logsf(abs(y * 20)), rtol=1e-9)


# --- stream of draws --------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**40),
    first=st.integers(0, 10_000),
    n=st.integers(2, 40),
    missing=st.sets(st.integers(0, 39)),
    share=st.floats(0.1, 1),
)
@QUICK
def test_pool_is_the_stream_without_the_areas_that_have_no_value(seed, first, n, missing, share):
    values = [None if i in missing else 1.0 for i in range(n)]
    valid = np.array([v is not None for v in values])
    length = max(1, int(share * valid.sum()))
    if not valid.any():
        return
    pool = permutation.draw_pool(seed, first, 4, valid, length)
    expected = [naive.sample(seed, first + m, values, length) for m in range(4)]
    assert pool.T.tolist() == expected


def test_every_position_is_as_likely_at_every_place_of_a_draw():
    n, draws = 7, 21_000
    pool = permutation.draw_pool(5, 0, draws, np.ones(n, bool), n)
    for place in range(n):
        assert stats.chisquare(np.bincount(pool[place], minlength=n)).pvalue > 1e-4
    pairs = np.bincount(pool[0] * n + pool[1], minlength=n * n)
    assert stats.chisquare(pairs[pairs > 0]).pvalue > 1e-4
    assert (pairs > 0).sum() == n * (n - 1)
    # one draw says nothing of the next
    follows = np.bincount(pool[0, 1:] * n + pool[0, :-1], minlength=n * n)
    assert stats.chisquare(follows).pvalue > 1e-4


def test_seeds_that_follow_each_other_have_nothing_in_common():
    pools = [permutation.draw_pool(seed, 0, 2_000, np.ones(50, bool), 3) for seed in range(4)]
    for one, other in itertools.pairwise(pools):
        assert (one[0] == other[0]).mean() == pytest.approx(1 / 50, abs=0.02)
        assert (one[0, 1:] == other[0, :-1]).mean() == pytest.approx(1 / 50, abs=0.02)


def test_holders_find_every_place_of_every_position():
    pool = permutation.draw_pool(0, 0, 30, np.ones(9, bool), 4)
    indptr, draw, place = permutation.holders(pool, 9)
    for i in range(9):
        found = sorted(zip(draw[indptr[i] : indptr[i + 1]], place[indptr[i] : indptr[i + 1]], strict=True))
        assert found == sorted((m, t) for t in range(4) for m in range(30) if pool[t, m] == i)


# --- what is odd ------------------------------------------------------------------------------------


def test_usual_counts_are_those_whose_deviance_residual_is_small():
    """The bound that decides most of them decides none differently."""
    rng, n, far = np.random.default_rng(3), 6_000, 2.6
    size, rate = 10.0 ** rng.uniform(0, 4, n), 10.0 ** rng.uniform(-3, -0.5, n)
    spread, strength = 10.0 ** rng.uniform(-6, 0.5, n), 10.0 ** rng.uniform(-0.5, 6, n)
    mean, phi = rate * size, spread + 1.0 / strength
    seen = np.floor(mean * np.exp(rng.normal(0, 2.0, n) * np.sqrt(phi + 1.0 / mean)))
    valid = (rng.random(n) < 0.9).astype(float)
    rate[::97], size[5::97], rate[7::97], seen[9::97] = np.nan, 0.0, np.inf, 0.0
    keep = np.empty(n)
    nb_usual(seen, size, valid, rate, spread, strength, far, 4, keep)
    mean = rate * size
    with np.errstate(all="ignore"):
        lack = special.xlogy(seen, seen / mean)
        lack -= (seen + 1.0 / phi) * np.log((1.0 + phi * seen) / (1.0 + phi * mean))
        away = np.sqrt(2.0 * np.maximum(lack, 0.0))
        usual = (away < far) | ((seen > mean) & (seen < 4))
    known = (valid > 0) & (rate > 0) & (rate < np.inf) & (size > 0)
    clear = ~known | (np.abs(away - far) > 1e-9)
    np.testing.assert_array_equal((keep > 0)[clear], (usual & known)[clear])
    odd = known & ~usual
    assert min((odd & (seen > mean)).sum(), (odd & (seen < mean)).sum()) > 100
    assert (usual & known & (away > 0.8 * far)).sum() > 100
