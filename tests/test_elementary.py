"""Logarithm, exponential and normal distribution over the whole range of numbers, against the C library."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy import special

from zoo_geo.kernels import elementary


def over(function):
    """A loop over an array, in which the function is vectorised."""

    def loop(x):
        y = np.empty_like(x)
        for i in range(x.size):
            y[i] = function(x[i])
        return y

    return njit(loop)


LOG, LOG1P, EXP = over(elementary.log), over(elementary.log1p), over(elementary.exp)
BELOW = over(elementary.normal_below)
PLAIN_LOG, PLAIN_EXP = over(elementary.plain_log), over(elementary.plain_exp)
RNG = np.random.default_rng(3)


def off(function, true, x):
    """Largest error in units of the last place."""
    exact = np.array([true(v) for v in x])
    return np.max(np.abs(function(x) - exact) / np.spacing(np.abs(exact)))


@pytest.mark.parametrize(
    "x",
    [
        RNG.uniform(0.5, 2.0, 20_000),
        1.0 + RNG.uniform(-1e-3, 1e-3, 20_000),
        np.exp(RNG.uniform(-745, 709.7, 20_000)),
        np.ldexp(1.0, np.arange(-1074, 1024)),
        math.sqrt(0.5) * (1.0 + np.arange(-9, 10) * 2.0**-52),
    ],
    ids=["near", "at one", "everywhere", "powers of two", "edge"],
)
def test_logarithm(x):
    assert off(LOG, math.log, x) <= 1.5


@pytest.mark.parametrize(
    "x",
    [
        RNG.uniform(-0.9, 3.0, 20_000),
        np.exp(RNG.uniform(-745, 0, 20_000)),
        -np.exp(RNG.uniform(-745, -1e-6, 20_000)),
        np.exp(RNG.uniform(0, 709.7, 20_000)),
    ],
    ids=["near", "small", "negative", "large"],
)
def test_logarithm_of_one_more(x):
    assert off(LOG1P, math.log1p, x) <= 1.5


@pytest.mark.parametrize("reach", [1e-300, 1e-9, 0.5, 20.0, 708.0])
def test_exponential(reach):
    assert off(EXP, math.exp, RNG.uniform(-reach, reach, 20_000)) <= 1.5


def test_exponential_down_to_the_last_denormal_and_up_to_the_largest_number():
    assert off(EXP, math.exp, RNG.uniform(-745.13, -708.0, 20_000)) <= 1.5
    assert off(EXP, math.exp, RNG.uniform(708.0, 709.782, 20_000)) <= 1.5


def test_ends():
    """What numbers give that have no logarithm, or one that is no number."""
    inf, nan = math.inf, math.nan
    np.testing.assert_array_equal(LOG(np.array([0.0, -0.0, -1.0, -inf, inf, nan, 1.0])),
                                  [-inf, -inf, nan, nan, inf, nan, 0.0])  # fmt: skip
    np.testing.assert_array_equal(LOG1P(np.array([-1.0, -1.5, -inf, inf, nan, 0.0, 5e-324])),
                                  [-inf, nan, nan, inf, nan, 0.0, 5e-324])  # fmt: skip
    np.testing.assert_array_equal(EXP(np.array([-inf, inf, nan, 0.0, -746.0, 709.79, 1e308, -1e308])),
                                  [0.0, inf, nan, 1.0, 0.0, inf, inf, 0.0])  # fmt: skip
    assert math.copysign(1.0, LOG1P(np.array([-0.0]))[0]) == -1.0


@given(st.floats(allow_nan=False))
def test_any_number(x):
    x = np.array([x])
    with np.errstate(all="ignore"):
        np.testing.assert_array_max_ulp(LOG(x), np.log(x), 2)
        np.testing.assert_array_max_ulp(LOG1P(x), np.log1p(x), 2)
        np.testing.assert_array_max_ulp(EXP(x), np.exp(x), 2)


def test_plain_ones_where_nothing_is_odd():
    assert off(PLAIN_LOG, math.log, np.exp(RNG.uniform(-708, 709.7, 20_000))) <= 1.5
    assert off(PLAIN_LOG, math.log, 1.0 + RNG.uniform(-1e-3, 1e-3, 20_000)) <= 1.5
    assert off(PLAIN_EXP, math.exp, RNG.uniform(-700, 700, 20_000)) <= 1.5
    assert off(PLAIN_EXP, math.exp, RNG.uniform(-1, 1, 20_000)) <= 1.5
    assert (PLAIN_EXP(np.array([-701.0, -1e300])) == PLAIN_EXP(np.array([-700.0]))).all()


def test_normal_distribution_function():
    z = np.concatenate([[0.0, -math.inf, math.inf], RNG.uniform(-9, 9, 40_000)])
    np.testing.assert_allclose(BELOW(z), special.ndtr(z), rtol=0, atol=5e-10)
    np.testing.assert_allclose(BELOW(z), special.ndtr(z), rtol=2e-9, atol=1e-15)
    assert BELOW(np.zeros(1))[0] == pytest.approx(0.5, abs=5e-10)
    assert np.isnan(BELOW(np.array([math.nan]))[0])


def test_one_number_gives_what_an_array_gives():
    x = RNG.uniform(0.01, 30.0, 1_000)
    for function in (LOG, LOG1P, EXP, BELOW, PLAIN_LOG, PLAIN_EXP):
        assert (function(x) == [function(x[i : i + 1])[0] for i in range(x.size)]).all()
