"""Corrections for many tests against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from naive import significance as naive
from zoo_geo.significance import METHODS, adjust, needed_at_floor, significant

METHOD = pytest.mark.parametrize("method", METHODS)
# whole thousandths: ties, and values that lie on the limit to the last digit
values = st.lists(st.one_of(st.integers(0, 1000).map(lambda k: k / 1000), st.none()), max_size=40)


@METHOD
@given(p=values, alpha=st.sampled_from([0.01, 0.05, 0.1, 0.5]))
@settings(max_examples=150, deadline=None)
def test_rejects_what_the_definition_rejects(method, p, alpha):
    given = np.array([np.nan if x is None else x for x in p])
    adjusted = adjust(given, method)
    known = [x for x in p if x is not None]
    found = significant(adjusted, alpha)[~np.isnan(given)].tolist()
    for x, yes, expected, q in zip(
        known, found, naive.rejected(known, alpha, method), adjusted[~np.isnan(given)], strict=True
    ):
        assert yes == expected or abs(q - alpha) < 1e-9, (x, q)
    np.testing.assert_array_equal(np.isnan(adjusted), np.isnan(given))


@METHOD
@given(p=values)
@settings(max_examples=60, deadline=None)
def test_adjusted_values_keep_order_and_bounds(method, p):
    given = np.array([x for x in p if x is not None])
    adjusted = adjust(given, method)
    assert ((adjusted >= given - 1e-15) & (adjusted <= 1)).all()
    order = np.argsort(given, kind="stable")
    assert (np.diff(adjusted[order]) >= -1e-15).all()
    for x in set(given.tolist()):
        assert np.ptp(adjusted[given == x]) < 1e-15  # ties stand or fall together


@METHOD
def test_nan_is_outside_the_family(method):
    p = np.array([0.01, np.nan, 0.02, 0.9, np.nan, np.nan])
    np.testing.assert_array_equal(adjust(p, method)[[0, 2, 3]], adjust(p[[0, 2, 3]], method))
    assert not significant(adjust(p, method), 0.99)[[1, 4, 5]].any()
    assert np.isnan(adjust(np.full(3, np.nan), method)).all()
    assert adjust(np.array([]), method).size == 0
    for shape in ((), (1,), (2, 3)):
        assert adjust(np.full(shape, 0.5), method).shape == shape


def test_large_families_that_differ_in_the_last_digits_are_sorted_by_them():
    p = np.random.default_rng(2).random(5_000)
    p[:200] = 1e-6 * (1.0 - np.arange(200) * 2.0**-52)
    for zeros in (0, 5):
        p[300 : 300 + zeros], p[310 : 310 + zeros] = 0.0, -0.0
        np.testing.assert_array_equal(adjust(p), false_discovery_control(p))


@pytest.mark.parametrize("method", ["bh", "by"])
@pytest.mark.parametrize("decimals", [1, 3, 17])
@pytest.mark.parametrize("size", [500, 6_000])
def test_false_discoveries_are_controlled_as_by_scipy(method, decimals, size):
    p = np.random.default_rng(decimals).beta(0.3, 1.0, size).round(decimals)
    np.testing.assert_array_equal(adjust(p, method), false_discovery_control(p, method=method))
    with_gaps = np.insert(p, [0, 7, size], np.nan)
    np.testing.assert_array_equal(adjust(with_gaps, method)[~np.isnan(with_gaps)], adjust(p, method))


def test_values_on_the_limit_are_significant():
    """esda takes a strict inequality here and finds nothing."""
    p = np.array([0.05 / 3, 2 * 0.05 / 3, 0.05])
    assert significant(adjust(p), 0.05).all()
    assert significant(adjust(np.full(20, 0.05)), 0.05).all()
    assert significant(adjust(np.array([0.1 / 3] * 3), "bonferroni"), 0.1).all()


def test_printed_values():
    """Benjamini and Hochberg (1995), table 1: four of fifteen are discoveries at 5 %, three by Bonferroni."""
    p = np.array([
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
        0.4262, 0.5719, 0.6528, 0.7590, 1.0,
    ])  # fmt: skip
    assert significant(adjust(p), 0.05).sum() == 4
    assert significant(adjust(p, "bonferroni"), 0.05).sum() == 3


def test_p_is_not_modified_and_needs_to_be_one():
    p = np.array([0.3, 0.01])
    adjust(p)
    assert p.tolist() == [0.3, 0.01]
    for wrong in ([-0.1], [1.1]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            adjust(np.array(wrong))
    with pytest.raises(ValueError, match="method needs to be one of"):
        adjust(p, "fdr")


@pytest.mark.parametrize(
    ("n", "permutations", "tails"), [(14_500, 999, 2), (14_500, 99_999, 1), (100, 19, 2), (7, 99, 1)]
)
def test_as_many_as_needed_at_the_floor_are_discoveries(n, permutations, tails):
    needed = needed_at_floor(n, permutations, 0.05, tails)
    p = np.ones(n)
    p[: min(needed, n)] = min(1.0, tails / (permutations + 1))
    assert significant(adjust(p), 0.05).any() == (needed <= n)
    p[min(needed, n) - 1 :] = 1.0
    assert not significant(adjust(p), 0.05).any()
