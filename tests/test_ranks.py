"""Quantiles, sums and roots that kernels work out for themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from zoo_geo.kernels.elementary import sum_of
from zoo_geo.kernels.ranks import quantile_of
from zoo_geo.kernels.settling import root_of, steepest_inside


@given(
    st.lists(st.floats(0, 1e300, allow_subnormal=True) | st.sampled_from([0.0, 1.0, 1e-300]), min_size=1),
    st.floats(0, 1),
)
def test_quantiles_are_those_of_numpy(numbers, q):
    x = np.array(numbers)
    assert quantile_of(x, q) == pytest.approx(np.quantile(x, q), rel=1e-12, abs=0)


@pytest.mark.parametrize("n", [1, 2, 999, 14_500])
@pytest.mark.parametrize("power", [1.0, 40.0])
def test_quantiles_of_many_numbers_however_skewed(n, power):
    x = np.random.default_rng(0).random(n) ** power
    for q in (0.0, 0.25, 0.5, 0.75, 1.0):
        assert quantile_of(x, q) == pytest.approx(np.quantile(x, q), rel=1e-12)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 33, 1000])
def test_sums_are_those_of_numpy(n):
    x = np.random.default_rng(n).normal(size=n)
    assert sum_of(x) == pytest.approx(x.sum(), abs=1e-12)
    assert sum_of(np.arange(2.0 * n)[n:]) == np.arange(2 * n)[n:].sum()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("ends", [(1e-5, 50.0), (-2.0, 2.0)])
def test_roots_are_those_of_a_search_without_slopes(seed, ends):
    rng, n = np.random.default_rng(seed), 200
    rise, weight = rng.gamma(1.0, 3.0, n), rng.random(n)
    start = 0.5 - rise * rng.normal(0.8 if ends[0] > 0 else 0.0, 0.5, n)
    work = np.empty(n), np.empty(n)

    def miss(at):
        return (weight * np.clip(start + rise * at, 0.0, 1.0)).sum() / weight.sum() - 0.5

    for begin in (ends[0], 0.3, ends[1]):
        found = root_of(start, rise, weight, 0.5, begin, *ends, *work)
        assert abs(miss(found)) < 1e-4
        assert found == pytest.approx(brentq(miss, *ends, xtol=1e-12), abs=2e-3)


def test_a_root_beyond_an_end_is_that_end():
    n = 50
    rise, weight, work = np.full(n, 1.0), np.ones(n), (np.empty(n), np.empty(n))
    assert root_of(np.full(n, 2.0), rise, weight, 0.5, 1.0, 0.01, 10.0, *work) == 0.01
    assert root_of(np.full(n, -20.0), rise, weight, 0.5, 1.0, 0.01, 10.0, *work) == 10.0


def test_what_lies_inside_is_told_in_standard_errors():
    rng, n = np.random.default_rng(5), 4000
    slope, weight = rng.random(n), rng.random(n)
    inside = (rng.random(n) < 0.8).astype(float)
    steep = slope >= 0.7
    share = np.average(inside[steep], weights=weight[steep])
    error = np.sqrt(0.09 * (weight[steep] ** 2).sum()) / weight[steep].sum()
    assert steepest_inside(slope, 0.7, inside, weight, 0.05) == pytest.approx((share - 0.9) / error)
