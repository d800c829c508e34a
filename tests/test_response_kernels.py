"""Loops of the response to exposure against scipy and dense sums, class by class."""

import math

import numpy as np
import pytest
from scipy import optimize, special

from naive import estimation as naive
from zoo_geo.kernels import positions, responses

EDGES = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
Z_EDGES = special.ndtri(EDGES)
RARE, LARGEST = 0.7, 5.0


def drawn(phi, n=40, seed=0, middle=2.5):
    """Counts of many sizes, their means and errors."""
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(middle, 1.2, n))
    seen = rng.poisson(mean * rng.gamma(1 / phi, phi, n)).astype(float)
    return seen, mean, rng.uniform(0.001, 0.05, n)


def weights(mean, spread):
    return mean * spread / (1 + mean * spread) + 1e-6


def worth(weight):
    return weight.sum() ** 2 / (weight**2).sum()


def in_order(seen, mean, error):
    return responses.sorted_counts(seen, mean, error, np.arange(seen.size))


def departures(shares, weight, places=EDGES):
    """Signed roots of deviances; three in a thousand more than usual may lie above the last place."""
    seen, usual = (np.diff([0.0, *at, 1.0]) for at in (shares, places))
    seen[-1] -= min(max(seen[-1] - usual[-1], 0.0), 0.003)
    seen /= seen.sum()
    lack = special.xlogy(seen, seen / usual) - seen + usual
    return np.sign(seen - usual) * np.sqrt(2 * worth(weight) * np.maximum(lack, 0))


def test_sorted_counts_are_those_of_some_rows():
    seen, mean, error = drawn(0.3)
    rows = np.arange(1, 40, 3)
    sorted_, given, own, ends = responses.sorted_counts(seen, mean, error, rows)
    short = sorted_ <= positions.SHORT
    assert (np.diff(sorted_[short]) >= 0).all()
    assert not short[short.sum() :].any()
    assert [(sorted_ <= k).sum() for k in range(positions.SHORT + 1)] == ends.tolist()
    np.testing.assert_array_equal(responses.ends_of_counts(sorted_), ends)
    found = sorted(zip(sorted_, given, own, strict=True))
    assert found == sorted(zip(seen[rows], mean[rows], error[rows], strict=True))


def shares(seen, mean, phi, heavy, error):
    found = np.empty(5)
    total = responses.shares(*in_order(seen, mean, error), phi, heavy, EDGES, Z_EDGES, found)
    assert total == pytest.approx(worth(weights(mean, phi + error)))
    return found


@pytest.mark.parametrize("phi", [0.01, 0.3, 3.0])
def test_shares_below_places(phi):
    seen, mean, error = drawn(phi)
    steps = [naive.step(o, m, phi + e) for o, m, e in zip(seen, mean, error, strict=True)]
    true = naive.shares(steps, weights(mean, phi + error), EDGES)
    np.testing.assert_allclose(shares(seen, mean, phi, 0.0, error), true, atol=2e-3 if phi < 1 else 4e-3)


@pytest.mark.parametrize(("heavy", "phi"), [(0.3, 0.1), (0.6, 0.1), (0.6, 0.4)])
def test_shares_with_a_heavy_part_are_averaged_over_an_inverse_gamma(heavy, phi):
    seen, mean, error = drawn(phi, 20)
    steps = [
        naive.smeared(o, m, (1 - heavy) * phi, *naive.inverse_gamma(heavy * phi + e))
        for o, m, e in zip(seen, mean, error, strict=True)
    ]
    found = shares(seen, mean, phi, heavy, error)
    np.testing.assert_allclose(found, naive.shares(steps, weights(mean, phi + error), EDGES), atol=0.01)
    assert np.abs(shares(seen, mean, phi, 0.0, error) - found).max() > 0.01


def settle(seen, mean, error, phi, heavy, shift=0.0):
    return responses.settle_middle(*in_order(seen, mean, error), phi, heavy, shift, 0.0, LARGEST)


def where(seen, given, error, shift, phi, heavy):
    """Shares below the quarters, with the weights of means as they were given."""
    seen, given, error, ends = in_order(seen, given, error)
    low, high = np.empty(seen.size), np.empty(seen.size)
    short = responses.ends_of(seen, given * math.exp(shift), phi, heavy, error, ends, low, high)
    low, high = (np.where(np.arange(seen.size) < short, at, special.ndtr(at)) for at in (low, high))
    steps = list(zip(low, high, strict=True))
    return naive.shares(steps, weights(given, phi + error), (0.25, 0.5, 0.75))


@pytest.mark.parametrize("heavy", [0.0, 0.5])
@pytest.mark.parametrize("times", [0.4, 1.0, 3.0])
def test_middle_that_is_settled_puts_half_below(times, heavy):
    seen, mean, error = drawn(0.2, 150, seed=4)
    shift, log_phi = settle(seen, mean * times, error, 0.1, heavy)
    low, middle, top = where(seen, mean * times, error, shift, math.exp(log_phi), heavy)
    assert middle == pytest.approx(0.5, abs=0.01)
    assert top - low == pytest.approx(0.5, abs=0.02)
    assert shift == pytest.approx(-math.log(times), abs=0.3)


@pytest.mark.parametrize("heavy", [0.0, 0.5])
@pytest.mark.parametrize("times", [0.1, 1.0, 10.0])
def test_middle_and_spread_are_settled_together_whatever_the_counts(times, heavy):
    """Rates rise with the mean and errors are wide: no law fits, and both shares are half."""
    rng = np.random.default_rng(4)
    mean = np.exp(rng.normal(2.5, 1.2, 600))
    true = mean * rng.gamma(1 / 0.4, 0.4, 600) * np.exp(0.3 * (np.log(mean) - 2.5))
    seen, error, given = rng.poisson(true).astype(float), rng.uniform(0.0, 0.3, 600), mean * times
    shift, log_phi = settle(seen, given, error, 0.1, heavy)
    low, middle, top = where(seen, given, error, shift, math.exp(log_phi), heavy)
    assert middle == pytest.approx(0.5, abs=1.5e-3)
    assert top - low == pytest.approx(0.5, abs=2.5e-3)


def test_middle_without_events_stays_finite():
    mean = np.full(60, 500.0)
    assert np.isfinite(settle(np.zeros(60), mean, np.full(60, 1e-3), 0.1, 0.0)).all()
    assert np.isfinite(settle(np.empty(0), np.empty(0), np.empty(0), 0.1, 0.0)).all()


def log_likelihood(seen, mean, error, phi):
    spread = phi + error
    law = naive.stats.nbinom(1 / spread, 1 / (1 + spread * mean))
    return law.logpmf(seen).sum()


@pytest.mark.parametrize("phi", [1e-5, 0.3, 4.0, 40.0])
def test_spread_of_the_highest_likelihood(phi):
    seen, mean, error = drawn(phi, 800, seed=7, middle=0.5)
    ends = math.log(1e-5), math.log(LARGEST)
    found = responses.likeliest(seen, mean, error, *ends)
    true = optimize.minimize_scalar(
        lambda x: -log_likelihood(seen, mean, error, math.exp(x)), bounds=ends, method="bounded"
    )
    assert found == pytest.approx(true.x, abs=2e-3 if phi > 1e-4 else 0.5)
    lack = true.fun + log_likelihood(seen, mean, error, math.exp(found))
    assert lack == pytest.approx(0.0, abs=1e-6)


def classes(seed=3):
    """Counts of three classes, the last of them rare, in a mixed order, and which are usual."""
    seen, mean, error = drawn(0.2, 900, seed)
    mean[600:] *= 0.3 / np.median(mean[600:])
    rng = np.random.default_rng(seed)
    seen[600:] = rng.poisson(1.4 * mean[600:] * rng.gamma(2.0, 0.5, 300))
    mean[:300] /= 1.6
    mixed = rng.permutation(900)
    rows, ends = np.argsort(mixed)[:880], np.array([300, 600, 880])
    column = seen[mixed], mean[mixed], error[mixed], rng.random(900) < 0.9
    return column, rows, ends, np.array([0.1, 0.3, 0.2])


def parts(column, rows, ends):
    """Usual counts, means and errors of each class."""
    *column, usual = column
    for own in np.split(rows, ends[:-1]):
        yield [each[own[usual[own]]] for each in column]


def test_each_class_has_its_own_ratio_spread_and_gain():
    column, rows, ends, phi = classes()
    found = responses.fit_classes(*column, rows, ends, phi, RARE, LARGEST)
    for k, (seen, mean, error) in enumerate(parts(column, rows, ends)):
        if k < 2:
            shift, log_phi = settle(seen, mean, error, phi[k], 0.0)
        else:
            shift = math.log(seen.sum() / mean.sum())
            bounds = math.log(1e-5), math.log(LARGEST)
            log_phi = responses.likeliest(seen, mean * math.exp(shift), error, *bounds)
        assert found[:2, k] == pytest.approx([shift, math.exp(log_phi)])
        before = log_likelihood(seen, mean, error, phi[k])
        after = log_likelihood(seen, mean * math.exp(shift), error, math.exp(log_phi))
        assert found[2, k] == pytest.approx(after - before, rel=1e-6, abs=1e-6)
    assert found[0, 0] == pytest.approx(math.log(1.6), abs=0.1)


def test_classes_off_the_middle_are_told_from_others():
    """By a chi-square of two, from shares below the quarters of counts that are not odd."""
    column, rows, ends, phi = classes()
    found = responses.off_middle(*column, rows, ends, phi)
    for k, (seen, mean, error) in enumerate(parts(column, rows, ends)):
        weight = weights(mean, phi[k] + error)
        steps = [naive.step(*cell) for cell in zip(seen, mean, phi[k] + error, strict=True)]
        low, middle, top = naive.shares(steps, weight, np.array([0.25, 0.5, 0.75]))
        true = worth(weight) * ((middle - 0.5) ** 2 + (top - low - 0.5) ** 2) / 0.25
        assert found[k] == pytest.approx(true, rel=0.05, abs=0.05)
    assert found[1] < 14 < found[0]


def test_what_shares_of_classes_lack():
    """Half the squares of their departures, of all rows, odd or not."""
    column, rows, ends, phi = classes()
    shift, true = np.array([0.4, 0.0, 0.2]), 0.0
    for k, own in enumerate(np.split(rows, ends[:-1])):
        seen, mean, error = (each[own] for each in column[:3])
        mean = mean * math.exp(shift[k])
        steps = [naive.step(*cell) for cell in zip(seen, mean, phi[k] + error, strict=True)]
        weight = weights(mean, phi[k] + error)
        true += 0.5 * (departures(naive.shares(steps, weight, EDGES), weight) ** 2).sum()
    found = responses.lacks(*column[:3], rows, ends, shift, phi, EDGES, Z_EDGES)
    assert found == pytest.approx(true, rel=0.02)


PLACES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9])


def tail(column, rows, doubt, most=5000, least=0.1):
    edges = PLACES, special.ndtri(PLACES)
    return responses.tail(*column, rows, most, 0.1, 0.5, *edges, RARE, LARGEST, doubt, 0.5, least)


def test_a_heavy_tail_is_weighted_by_its_likelihood():
    rng = np.random.default_rng(2)
    mean = np.exp(rng.normal(3, 1, 3000))
    error, rows = np.full(3000, 0.01), np.arange(0, 3000, 2)
    sigma = math.sqrt(math.log1p(0.3))
    seen = rng.poisson(mean * np.exp(rng.normal(-(sigma**2) / 2, sigma, 3000))).astype(float)
    column = seen, mean, error
    few = [each[rows] for each in column]
    light = settle(*few, 0.5, 0.0, 0.1)
    heavy = settle(*few, math.exp(light[1]), 0.5, light[0])
    assert tail(column, rows, 1e9) == (0.1, 0.5, 0.0)  # nothing is in doubt
    shift, phi, part = tail(column, rows, -1e3)
    assert part == pytest.approx(0.5)
    assert (shift, math.log(phi)) == pytest.approx(heavy)
    shift, phi, part = tail(column, rows, 3.0)
    lack = [likeness(few, at, math.exp(x), h) for at, x, h in ((*light, 0.0), (*heavy, 0.5))]
    chance = special.expit(lack[1] - lack[0] - 3.0)
    assert part == pytest.approx(0.5 * chance, abs=0.01)
    between = chance * np.array(heavy) + (1 - chance) * np.array(light)
    assert (shift, math.log(phi)) == pytest.approx(between, abs=0.01)
    doubt = lack[1] - lack[0] + math.log(3.0)  # a quarter
    assert -lack[0] - doubt > 0.0
    assert tail(column, rows, doubt)[2] == pytest.approx(0.125, rel=1e-3)
    shift, phi, part = tail(column, rows, doubt, least=0.2)
    assert part == 0.0
    assert (shift, math.log(phi)) == pytest.approx(light)
    some = rows[np.arange(500) * rows.size // 500]
    fewer = settle(*(each[some] for each in column), 0.5, 0.0, 0.1)
    shift, phi, _ = tail(column, rows, doubt, most=500, least=0.6)
    assert (shift, math.log(phi)) == pytest.approx(fewer)


def likeness(column, shift, phi, heavy):
    """Log likelihood of the shape below the last place."""
    seen, mean, error = column
    at, mean = np.empty(6), mean * math.exp(shift)
    total = responses.shares(*in_order(seen, mean, error), phi, heavy, PLACES, special.ndtri(PLACES), at)
    there, usual = (np.diff([0.0, *each]) / each[-1] for each in (at, PLACES))
    return -total * at[-1] * (there * np.log(there / usual)).sum()


def broad(low, high):
    """A step that is at least .06 wide."""
    lacks = max(0.06 - (high - low), 0.0) / 2
    return low - lacks, high + lacks


@pytest.mark.parametrize("sigma", [0.4, 1.0, 1.8])
@pytest.mark.parametrize("unseen", [1e-7, 30.0])
def test_shares_with_a_hidden_exposure_are_averaged_over_a_lognormal(sigma, unseen):
    seen, mean, error = drawn(0.5, 30)
    size, level, phi, ends = np.geomspace(3.0, 3000.0, 30), 0.9, 0.1, np.array([10, 30])
    share, given = unseen / (size + unseen), level * mean * (size + unseen) / size
    weight = weights(given, phi + error + share**2 * sigma**2)
    steps = [
        broad(*naive.smeared(o, m, phi + e, *naive.lognormal(s, sigma)))
        for o, m, e, s in zip(seen, given, error, share, strict=True)
    ]
    found, order = np.empty((2, 6)), responses.by_count(seen)
    law = unseen, sigma, level, phi
    responses.hidden_departures(seen, size, mean, error, order, ends, *law, EDGES, found)
    for k, own in enumerate((slice(0, 10), slice(10, 30))):
        true = departures(naive.shares(steps[own], weight[own], EDGES), weight[own])
        np.testing.assert_allclose(found[k], true, atol=0.1)
    mixed = np.concatenate([np.random.default_rng(1).permutation(10), np.arange(29, 9, -1)])
    column, again = [each[mixed] for each in (seen, size, mean, error)], np.empty((2, 6))
    responses.hidden_departures(*column, responses.by_count(column[0]), ends, *law, EDGES, again)
    np.testing.assert_allclose(again, found, atol=1e-9)
