"""Tails of many counts at once: every class of counts against dense sums and arbitrary precision."""

import itertools
import math

import numpy as np
import pytest

from naive import estimation as naive
from naive import tails as exact
from zoo_geo.kernels import bulk_tails, tails

SURE = 1e14


def found(o, mean, phi, strength):
    """Logs of the smaller tails, their sides, and which of them the exact loops were left with."""
    given = [np.array(each, float) for each in np.broadcast_arrays(o, mean, phi, strength)]
    log_p, upper = np.empty(given[0].size), np.empty(given[0].size, bool)
    rest = bulk_tails.bulk(*given, log_p.copy(), upper.copy())
    tails.nb_tails(*given, log_p, upper)
    left = np.zeros(given[0].size, bool)
    left[rest] = True
    return log_p, upper, left


def drawn(n, strengths, seed=0):
    """Counts as they come: small and large means, spreads and errors."""
    rng = np.random.default_rng(seed)
    mean, phi = np.exp(rng.uniform(-4, 8, n)), np.exp(rng.uniform(-11.5, 0, n))
    strength = np.exp(rng.uniform(*np.log(strengths), n))
    true = mean * rng.gamma(1 / phi, phi) / rng.gamma(strength, 1 / strength)
    return rng.poisson(true).astype(float), mean, phi, strength


@pytest.mark.slow
@pytest.mark.parametrize("phi", [1e-5, 0.004, 0.1, 0.8])
@pytest.mark.parametrize("o", [0, 1, 7, 60, 128, 129, 300, 2_000])
def test_tail_without_error_is_exact(o, phi):
    width = math.sqrt(phi + 1 / max(o, 1))
    mean = max(o, 0.8) * np.exp(width * np.array([-2.5, -1.0, -0.2, 0.0, 0.3, 1.5, 4.0]))
    log_p, upper, left = found(o, mean, phi, SURE)
    assert (~left).sum() >= 5
    for m, log, side in zip(mean, log_p, upper, strict=True):
        assert log == pytest.approx(exact.nb_log_mid(o, float(m), phi, bool(side)), rel=1e-9, abs=1e-9), m


def test_digits_are_kept_in_lower_tails_and_far_upper_ones_are_left_to_exact_loops():
    o, mean = (
        np.array([0.0, 3.0, 90.0, 200.0, 20.0, 400.0]),
        np.array([200.0, 200.0, 400.0, 700.0, 1.0, 100.0]),
    )
    log_p, upper, left = found(o, mean, 1e-3, SURE)
    assert left.tolist() == [False, False, False, False, True, True]
    for k, m, log, side in zip(o, mean, log_p, upper, strict=True):
        assert log == pytest.approx(exact.nb_log_mid(int(k), float(m), 1e-3, bool(side)), rel=1e-9)
        assert log < math.log(1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strengths", "close"), [((2, 3), 1e-3), ((3, 10), 5e-4), ((10, 60), 4e-4), ((60, 3e3), 1e-4)]
)
def test_average_is_the_dense_sum(strengths, close):
    given = drawn(700, strengths)
    log_p, upper, left = found(*given)
    assert left.mean() < 0.25
    for case, log, side in zip(np.transpose(given)[~left], log_p[~left], upper[~left], strict=True):
        assert math.exp(log) == pytest.approx(naive.averaged(*case, bool(side)), rel=close), case


@pytest.mark.parametrize(
    "case",
    [(260, 200.0, 0.02, 1e3), (140, 200.0, 0.02, 1e3), (2, 2.0, 1.0, 12.0), (0, 2.0, 1.0, 12.0),
     (1, 3.0, 0.8, 14.0), (40, 30.0, 0.5, 40.0), (12, 20.0, 0.5, 30.0), (6, 4.0, 0.9, 20.0)],
)  # fmt: skip
def test_every_derivative_counts_in_a_small_error(case):
    log_p, upper, left = found([case[0]], *case[1:])
    assert not left[0]
    assert math.exp(log_p[0]) == pytest.approx(naive.averaged(*case, bool(upper[0])), rel=3e-6)


@pytest.mark.slow
def test_average_is_as_good_on_average():
    given = drawn(300, (3, 300), seed=4)
    log_p, upper, left = found(*given)
    off = [
        math.exp(log) / naive.averaged(*case, bool(side)) - 1
        for case, log, side in zip(np.transpose(given)[~left], log_p[~left], upper[~left], strict=True)
    ]
    assert np.median(np.abs(off)) < 1e-5


@pytest.mark.parametrize("strength", [2.1, 6.0, 30.0, 900.0])
def test_bulk_and_exact_loops_agree_on_both_sides_of_their_borders(strength):
    """The same counts, and the same counts so slightly altered that the exact loops take them."""
    phi, mean = np.meshgrid([1e-4, 0.05, 0.6], [0.3, 4.0, 150.0, 3e3])
    for k in (-1.2, -0.3, 0.4, 1.3):
        o = np.round(mean * (1 + k * np.sqrt(phi + 1 / mean + 1 / strength))).clip(0).ravel()
        bulk, side, _ = found(o, mean.ravel(), phi.ravel(), strength)
        for i in range(o.size):
            m, f = mean.ravel()[i], phi.ravel()[i]
            log = tails.nb_tail(o[i], m, f, strength)
            other = np.exp(bulk[i])
            assert math.exp(log[0]) == pytest.approx(other if side[i] == log[1] else 1 - other, rel=1e-3)


def test_a_count_does_not_know_the_others():
    given = drawn(1_500, (2, 1e4), seed=1)
    log_p, upper, _ = found(*given)
    order = np.random.default_rng(2).permutation(1_500)
    turned, side, _ = found(*(each[order] for each in given))
    assert (turned == log_p[order]).all()
    assert (side == upper[order]).all()
    for i in range(0, 1_500, 13):
        alone, its, _ = found(*(each[i : i + 1] for each in given))
        assert (alone[0], its[0]) == (log_p[i], upper[i])


@pytest.mark.parametrize("n", [0, 1, 127, 128, 129, 300])
def test_blocks_are_filled_and_emptied(n):
    log_p, _, left = found(np.full(n, 3.0), np.full(n, 2.0), 0.1, 400.0)
    assert log_p.size == n
    assert (log_p == log_p[:1]).all()
    assert not left.any()


def test_what_is_odd_is_left_to_the_exact_loops():
    cases = [(4, 2.0, 3.0, 3.0), (4, 2.0, 0.1, 0.7), (50, 1.0, 0.01, 5.0), (900, 400.0, 2.5, 8.0)]
    for o, mean, phi, strength in cases:
        _, _, left = found([o], mean, phi, strength)
        assert left.all()
    odd = np.array([[np.nan, 1, 1, 1], [1, np.nan, 1, 1], [1, 1, np.nan, 1], [1, 1, 1, np.nan], [1, 0, 1, 1]])
    rest = bulk_tails.bulk(*np.ascontiguousarray(odd.T), np.empty(5), np.empty(5, bool))
    assert sorted(rest) == [0, 1, 2, 3, 4]


def test_most_counts_of_a_column_are_done_at_once():
    for strengths in ((4, 12), (30, 3e3), (1e5, 1e6)):
        _, _, left = found(*drawn(4_000, strengths, seed=3))
        assert left.mean() < 0.2


def test_stirlings_lack():
    for z in itertools.chain(np.geomspace(0.02, 63.9, 60), (64.0, 65.5, 1e3, 1e8)):
        direct = math.lgamma(z) - (z - 0.5) * math.log(z) + z - 0.5 * math.log(2 * math.pi)
        assert bulk_tails.lack(z) == pytest.approx(direct, rel=1e-13 * max(z, 1) ** 2, abs=2e-13 * max(z, 1))


@pytest.mark.parametrize(
    ("nodes", "weights"),
    [
        (bulk_tails._AT, bulk_tails._WEIGHT),
        (tails._HALF_NODES[:2], tails._HALF_WEIGHTS[:2]),
        (tails._HALF_NODES[2:], tails._HALF_WEIGHTS[2:]),
    ],
    ids=["six", "two", "four"],
)
def test_nodes_are_those_of_gauss(nodes, weights):
    """Of n nodes: sums of powers below 2 n are integrals with P(Z > x), E Z^(k + 1) / (k + 1) above 0."""
    for k in range(2 * nodes.size):
        moment = 2 ** ((k - 1) / 2) * math.gamma(k / 2 + 1) / math.sqrt(math.pi) / (k + 1)
        assert weights @ nodes**k == pytest.approx(moment, rel=1e-9)
