"""Tails averaged over the error of the mean, near and far, against dense sums and numerical integration."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive import estimation as naive
from naive import tails as exact
from zoo_geo.kernels import tails

pytestmark = pytest.mark.slow

AWAY = (-3, -1.2, -0.4, 0.3, 1.2, 3, 6, 20)
SPREADS = (1e-5, 0.02, 0.3, 5.0)


def tail(o, mean, phi, strength):
    """One tail and its side."""
    log_p, upper = np.empty(1), np.empty(1, bool)
    tails.nb_tails(*(np.array([float(x)]) for x in (o, mean, phi, strength)), log_p, upper)
    return log_p[0], bool(upper[0])


def cases(strength, away=AWAY):
    """Counts near their mean and far from it, small and large means and spreads."""
    for phi, mean, k in itertools.product(SPREADS, (0.01, 0.5, 9.0, 300.0, 1e4), away):
        o = round(mean * (1 + k * math.sqrt(phi + 1 / mean + 1 / strength)))
        if o >= 0:
            yield o, mean, phi, strength


@pytest.mark.parametrize("strength", [0.5, 2.0, 4.9, 8.0, 12.0, 40.0, 300.0, 1e4, 1e6])
def test_tail_is_the_dense_sum_over_the_error(strength):
    tested = 0
    for case in cases(strength):
        log_p, upper = tail(*case)
        true = naive.averaged(*case, upper)
        if true > 1e-280:
            assert math.exp(log_p) == pytest.approx(true, rel=2e-3 if strength > 3 else 6e-3), case
            tested += 1
    assert tested > 70


@pytest.mark.parametrize("strength", [1.0, 2.0, 3.0, 5.0, 8.0, 25.0, 60.0])
def test_where_the_error_rules_a_far_count_is_no_miracle(strength):
    """Thirty times the mean is two in a thousand where two events lead to expect it, and not 1e-300."""
    wide = math.sqrt(math.log1p(1 / strength))
    for phi, mean, q in itertools.product(SPREADS[:3], (30.0, 1e4), (-6, -3, 2, 4, 6, 8)):
        o = round(mean * math.exp(q * wide))
        log_p, upper = tail(o, mean, phi, strength)
        true = naive.averaged(o, mean, phi, strength, upper)
        if true > 1e-15:
            assert math.exp(log_p) == pytest.approx(true, rel=2e-3 if strength > 3 else 0.03), (o, mean, phi)


@pytest.mark.parametrize(("strength", "close"), [(5.0, 0.08), (20.0, 0.02), (300.0, 4e-3)])
def test_tail_is_that_of_an_inverse_gamma_error(strength, close):
    """By quadrature over the gamma variable itself, of which Wilson and Hilferty are an approximation."""
    for phi, mean, k in itertools.product((1e-4, 0.3), (0.5, 200.0), (-1.2, 1.0, 4)):
        o = round(mean * (1 + k * math.sqrt(phi + 1 / mean + 1 / strength)))
        if o >= 0:
            log_p, upper = tail(o, mean, phi, strength)
            true = exact.nb_averaged(o, mean, phi, strength, upper)
            if true > 1e-5:
                assert math.exp(log_p) == pytest.approx(true, rel=close), (o, mean, phi)


@given(
    o=st.integers(0, 10**6),
    mean=st.floats(1e-3, 1e5),
    phi=st.floats(1e-5, 20),
    strength=st.floats(0.3, 1e9),
)
@settings(max_examples=400, deadline=None)
def test_no_tail_is_lost(o, mean, phi, strength):
    log_p, upper = tail(o, mean, phi, strength)
    assert np.isfinite(log_p)
    assert log_p <= math.log(0.5) + 1e-9
    further, side = tail(o * 1.5 + 5, mean, phi, strength)
    if upper and side and o > mean:
        assert further <= log_p + 1e-3


@pytest.mark.parametrize("phi", [1e-5, 0.01, 0.3])
@pytest.mark.parametrize("mean", [0.4, 12.0, 900.0])
def test_no_step_where_one_way_of_averaging_gives_way_to_another(phi, mean):
    """p falls smoothly as strength grows, and as counts move out."""
    strengths = np.geomspace(2.0, 1e5, 200)
    o = round(mean * 1.6 + 3)
    log_p = np.array([tail(o, mean, phi, s)[0] for s in strengths])
    bend = np.abs(np.diff(log_p, 2))
    assert bend.max() < 0.01 + 0.05 * np.abs(np.diff(log_p)).max()


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("share", [0.02, 0.4, 0.98])
def test_tail_of_a_hidden_exposure_is_the_dense_sum(share, sigma):
    for phi, mean, o, strength in itertools.product(
        (1e-3, 0.1), (2.0, 40.0, 2e3), (0.0, 0.3, 0.9, 1.4, 4.0, 12.0), (20.0, 1e4)
    ):
        count = round(mean * o)
        arrays = (np.array([float(x)]) for x in (count, mean, share))
        log_p, upper = np.empty(1), np.empty(1, bool)
        rest = np.array([phi]), np.array([strength])
        tails.nb_hidden_tails(*arrays, sigma, *rest, log_p, upper)
        true = naive.hidden(count, mean, share, sigma, phi, strength, bool(upper[0]))
        if true > 1e-9:
            assert math.exp(log_p[0]) == pytest.approx(true, rel=4e-3), (count, mean, phi, strength)


def test_without_a_hidden_share_the_tail_is_the_plain_one():
    rng = np.random.default_rng(0)
    mean = rng.uniform(0.5, 300, 200)
    seen = np.round(mean * rng.uniform(0, 3, 200))
    phi, strength = np.full(200, 0.1), np.full(200, 1e9)
    plain, hidden = (np.empty(200) for _ in range(2))
    side, same = (np.empty(200, bool) for _ in range(2))
    tails.nb_tails(seen, mean, phi, strength, plain, side)
    tails.nb_hidden_tails(seen, mean, np.full(200, 1e-9), 1.0, phi, strength, hidden, same)
    np.testing.assert_allclose(hidden, plain, rtol=1e-4, atol=1e-5)
    assert (side == same).all()
