"""Quantiles of a ratio of two counts against the distribution function that they invert."""

import numpy as np
import pytest
from scipy import special, stats

from zoo_geo import quantiles


def pairs(least_strength, most=6, n=3_000):
    """Counts and strengths over many orders of magnitude."""
    rng = np.random.default_rng(7)
    count = np.floor(10.0 ** rng.uniform(0, most, n))
    return count, 10.0 ** rng.uniform(np.log10(least_strength), 6, n)


@pytest.mark.parametrize("level", [0.025, 0.975])
def test_quantile_is_where_the_distribution_function_has_its_level(level):
    count, strength = pairs(least_strength=0.05)
    found = quantiles.ratio_quantiles(count, strength, level)
    np.testing.assert_allclose(special.fdtr(2 * count, 2 * strength, found), level, rtol=2e-8)


@pytest.mark.parametrize("level", [0.025, 0.975])
def test_quantile_is_that_of_scipy_for_every_count_with_a_series_and_the_first_without(level):
    count = np.repeat(np.arange(1.0, 260.0), 8)
    strength = np.tile([1.0, 1.3, 7.0, 16.0, 64.0, 900.0, 1e5, 1e12], 259)
    found = quantiles.ratio_quantiles(count, strength, level)
    np.testing.assert_allclose(found, stats.f.ppf(level, 2 * count, 2 * strength), rtol=1e-8)


def test_what_has_no_series_is_inverted():
    count, strength = np.array([2.5, 0.7, 3.0, 1e4]), np.array([40.0, 3.0, 0.2, 5.0])
    found = quantiles.ratio_quantiles(count, strength, 0.975)
    np.testing.assert_allclose(found, stats.f.ppf(0.975, 2 * count, 2 * strength), rtol=1e-10)


def test_quantile_does_not_know_the_other_rows():
    count, strength = pairs(least_strength=0.5, n=50)
    whole = quantiles.ratio_quantiles(count, strength, 0.025)
    single = [quantiles.ratio_quantiles(count[i : i + 1], strength[i : i + 1], 0.025)[0] for i in range(50)]
    np.testing.assert_array_equal(whole, single)
