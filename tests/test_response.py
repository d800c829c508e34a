"""What counts do where they are not in proportion to exposure: found where it is, and not where it is not."""

import math

import numpy as np
import pytest

from naive import estimation as naive
from zoo_geo.response import Counts, Hidden, Response, layers, respond

pytestmark = pytest.mark.slow

RATE = 0.05


def sizes(rng, n=4000):
    return np.maximum(np.round(np.exp(rng.normal(6.5, 1.2, n))), 1.0)


def factors(rng, phi, n, law="gamma"):
    """True rates over the expected one."""
    phi = np.broadcast_to(phi, n)
    if law == "gamma":
        return rng.gamma(1 / phi, phi)
    return np.exp(rng.normal(-np.log1p(phi) / 2, np.sqrt(np.log1p(phi))))


def column(size, seen, rate=RATE, error=0.005, odd=()):
    usual = np.ones(size.size, bool)
    usual[list(odd)] = False
    mean = np.maximum(rate * size, 1e-9)
    return Counts(np.asarray(seen, float), size, mean, np.full(size.size, error), usual)


def in_classes(seed, n=4000):
    """Below 300 the rate is 1.8 times as high and spreads ten times as much."""
    rng = np.random.default_rng(seed)
    size = sizes(rng, n)
    small = size < 300
    seen = rng.poisson(size * RATE * np.where(small, 1.8, 1.0) * factors(rng, np.where(small, 0.5, 0.05), n))
    return size, seen


def with_visitors(seed, sigma=1.5, n=4000):
    rng = np.random.default_rng(seed)
    size = sizes(rng, n)
    people = size + np.exp(rng.normal(math.log(40), sigma, n))
    return size, rng.poisson(people * RATE * factors(rng, 0.1, n))


def test_counts_in_proportion_have_no_response():
    """Forty columns of gamma spread, levels and errors of all kinds: none by exposure, few of the tail."""
    alarms = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        n, phi, rate, error = 2500, (0.01, 0.1, 0.3)[seed % 3], (0.005, 0.02, 0.08, 0.3)[seed % 4], 0.01
        size = sizes(rng, n)
        seen = rng.poisson(rate * size * factors(rng, phi, n) / rng.gamma(1 / error, error, n))
        alarms.append(respond(column(size, seen, rate, error), np.full(n, phi)))
    found = [law for law in alarms if law is not None]
    assert len(found) <= 4
    assert all(law.size.size == 1 and law.ratio[0] == 1.0 for law in found)


@pytest.mark.parametrize("seed", range(3))
def test_a_response_by_class_is_found(seed):
    size, seen = in_classes(seed)
    law = respond(column(size, seen), np.full(size.size, 0.1))
    assert isinstance(law, Response)
    ratio, spread = law.at(np.array([60.0, 120.0, 800.0, 5_000.0]))
    np.testing.assert_allclose(ratio, [1.8, 1.8, 1.0, 1.0], rtol=0.2)
    np.testing.assert_allclose(spread, [0.5, 0.5, 0.05, 0.05], rtol=0.55)
    assert (np.diff(law.size) > 0).all()
    assert (
        respond(column(size, seen), np.full(size.size, 0.1), classes=layers(size).whole, heavy=False) is None
    )


@pytest.mark.parametrize("sigma", [0.8, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_people_nobody_counted_are_found(seed, sigma):
    size, seen = with_visitors(seed, sigma)
    law = respond(column(size, seen, 1.03 * RATE), np.full(size.size, 0.15))
    assert isinstance(law, Hidden)
    assert law.mean == pytest.approx(40 * math.exp(sigma**2 / 2), rel=0.25)
    assert law.sigma == pytest.approx(sigma, abs=0.25)
    assert law.level == pytest.approx(1 / 1.03, rel=0.06)
    assert law.spread == pytest.approx(0.1, rel=0.25)
    assert law.typical == pytest.approx(law.mean * math.exp(-(law.sigma**2) / 2))


@pytest.mark.parametrize("seed", range(4))
def test_a_heavy_tail_is_found_for_lognormal_rates_and_not_for_gamma(seed):
    rng = np.random.default_rng(seed)
    size = sizes(rng)
    for kind in ("gamma", "lognormal"):
        seen = rng.poisson(size * RATE * factors(rng, 0.3, size.size, kind))
        law = respond(column(size, seen), np.full(size.size, 0.3))
        if kind == "gamma":
            assert law is None
        else:
            assert isinstance(law, Response)
            assert law.size.size == 1
            assert 0.35 < law.heavy[0] <= 0.6
            assert law.ratio[0] == 1.0
            assert respond(column(size, seen), np.full(size.size, 0.3), heavy=False) is None


@pytest.mark.parametrize("share", [0.01, 0.02])
def test_planted_anomalies_hardly_move_it(share):
    """Five times as much in one or two of a hundred areas, whether set aside as odd or not."""
    rng = np.random.default_rng(5)
    planted = rng.choice(4000, int(share * 4000), replace=False)

    def both(size, seen, phi):
        odd = seen.copy()
        odd[planted] = 5 * odd[planted] + 3
        plain = respond(column(size, seen), np.full(size.size, phi))
        return plain, [respond(column(size, odd, odd=o), np.full(size.size, phi)) for o in ((), planted)]

    size = sizes(rng)
    none, found = both(size, rng.poisson(size * RATE * factors(rng, 0.1, 4000)), 0.1)
    assert none is None
    assert found == [None, None]
    for size, seen in (in_classes(1), with_visitors(1)):
        plain, found = both(size, seen, 0.1)
        at = np.array([50.0, 500.0, 5_000.0])
        for law in found:
            assert type(law) is type(plain)
            np.testing.assert_allclose(law.at(at)[0], plain.at(at)[0], rtol=0.2)
            if isinstance(law, Hidden):  # the spread goes with the exponential of its square
                assert law.sigma == pytest.approx(plain.sigma, abs=0.35)
                assert law.spread == pytest.approx(plain.spread, rel=0.2)
            else:
                np.testing.assert_allclose(law.at(at)[1], plain.at(at)[1], rtol=0.5)


def rare(seed, visitors, n=1_500):
    """Rare counts on a small map, of which the high ones stand out; 15 others are five times as high."""
    rng = np.random.default_rng(seed)
    size = sizes(rng, n)
    people = size + visitors * np.exp(rng.normal(math.log(40), 1.5, n))
    mean = 0.1 * RATE * size
    seen = rng.poisson(0.1 * RATE * people * factors(rng, 0.3, n))
    planted = rng.choice(n, 15, replace=False)
    seen[planted] = rng.poisson(5 * mean[planted])
    high = (seen >= 3) & (seen - mean > 3.2 * np.sqrt(mean + 0.3 * mean**2))
    return column(size, seen, 0.1 * RATE, odd=np.flatnonzero(high))


def test_visitors_among_rare_counts_are_found_by_how_many_small_areas_are_odd():
    """What is left beside the odd ones looks calm; a few odd ones among many are no visitors."""
    phi = np.full(1_500, 0.3)
    found = [respond(rare(seed, True), phi) for seed in range(12)]
    assert sum(isinstance(law, Hidden) for law in found) >= 10
    typical = np.median([law.typical for law in found if law is not None])
    assert 20 < typical < 90
    assert [respond(rare(seed, False), phi) for seed in range(12)] == [None] * 12


@pytest.mark.parametrize(
    ("rate", "phi", "share", "times"), [(1.6, 0.1, 0.08, 4), (1.6, 0.1, 0.12, 4), (6, 0.05, 0.08, 2.5)]
)
def test_a_crowd_of_small_areas_that_are_truly_odd_is_none_of_visitors(rate, phi, share, times):
    """At counts that tell the two apart, one small area in eight may be four times too high."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        size = sizes(rng, 1_500)
        small = np.flatnonzero(size <= np.median(size))
        odd = rng.choice(small, int(share * small.size), replace=False)
        true = factors(rng, phi, 1_500)
        true[odd] *= times
        law = respond(
            column(size, rng.poisson(rate * RATE * size * true), rate * RATE, odd=odd), np.full(1_500, phi)
        )
        assert not isinstance(law, Hidden)


@pytest.mark.parametrize("draw", [in_classes, with_visitors])
def test_order_of_rows_does_not_matter(draw):
    size, seen = draw(2, n=2000)
    order = np.random.default_rng(0).permutation(size.size)
    one, other = (respond(column(size[at], seen[at]), np.full(2000, 0.1)) for at in (slice(None), order))
    at = np.geomspace(10, 10_000, 9)
    for k in range(2):
        close = 1e-6 if draw is in_classes else 0.1  # of visitors only some areas of a class are looked at
        np.testing.assert_allclose(other.at(at)[k], one.at(at)[k], rtol=close)


def test_what_was_found_before_is_estimated_anew():
    size, seen = in_classes(0)
    calm = column(size, np.round(RATE * size))
    for before in (Response(*np.ones((4, 2))), Hidden(50.0, 1.0, 1.0, 0.1)):
        law = respond(calm, np.full(size.size, 0.1), before=before)
        assert type(law) is type(before)
    visited, by = with_visitors(1)
    anew = respond(column(visited, by), np.full(4000, 0.1), before=Hidden(20.0, 0.7, 1.0, 0.1))
    assert anew.mean == pytest.approx(40 * math.exp(1.125), rel=0.3)
    assert anew.level == pytest.approx(1.0, rel=0.06)
    first = respond(column(size, seen), np.full(size.size, 0.1))
    again = respond(column(size, seen), np.full(size.size, 0.1), before=first)
    np.testing.assert_allclose(again.ratio, first.ratio, rtol=1e-3)


@pytest.mark.parametrize("before", [None, Hidden(40.0, 1.0, 1.0, 0.1), Response(*np.ones((4, 3)))])
@pytest.mark.parametrize("kind", ["few", "equal sizes", "no events", "one class", "one", "all huge", "tiny"])
def test_degenerate_columns_stay_finite(kind, before):
    rng = np.random.default_rng(3)
    size = sizes(rng, {"few": 12, "one": 1, "one class": 100}.get(kind, 400))
    if kind == "equal sizes":
        size[:] = 500.0
    if kind == "tiny":
        size *= 1e-4
    seen = rng.poisson(RATE * size * (1000 if kind == "all huge" else 1)) * (kind != "no events")
    law = respond(column(size, seen), np.full(size.size, 0.1), before=before)
    if law is not None:
        at = law.at(np.array([1e-9, 1.0, 300.0, 1e7]))
        assert np.isfinite(at).all()
        assert (at[1] > 0).all()
        log_p, _ = law.tails(
            np.array([0.0, 3.0]),
            np.array([1.0, 300.0]),
            np.array([0.05, 15.0]),
            np.full(2, 50.0),
            np.full(2, 0.1),
        )
        assert np.isfinite(log_p).all()


def test_ratio_and_spread_lie_on_lines_between_classes():
    law = Response(np.array([10.0, 1000.0]), np.array([4.0, 1.0]), np.array([1.0, 0.01]), np.zeros(2))
    ratio, spread = law.at(np.array([1.0, 10.0, 100.0, 1000.0, 1e6, 0.0]))
    np.testing.assert_allclose(ratio, [4, 4, 2, 1, 1, 4])
    np.testing.assert_allclose(spread, [1, 1, 0.1, 0.01, 0.01, 1])


def test_ratio_and_spread_of_visitors_are_those_of_their_law():
    """Mean and relative variance of the people present, by drawing them."""
    law = Hidden(60.0, 0.9, 0.8, 0.05)
    z = (np.arange(200_000) + 0.5) / 200_000
    visitors = 60 * np.exp(0.9 * naive.stats.norm.ppf(z) - 0.405)
    for size in (20.0, 400.0):
        people = size + visitors
        ratio, spread = law.at(np.array([size]))
        assert ratio[0] == pytest.approx(0.8 * people.mean() / size, rel=1e-3)
        assert spread[0] == pytest.approx(0.05 + people.var() / people.mean() ** 2, rel=0.01)


def laws():
    at = np.array([20.0, 300.0, 5_000.0])
    yield Response(at, np.array([2.0, 1.2, 0.9]), np.array([0.8, 0.2, 0.05]), np.zeros(3)), 0.0
    yield Response(np.array([500.0]), np.ones(1), np.array([0.3]), np.array([0.5])), 0.5
    yield Hidden(120.0, 1.4, 0.9, 0.1), 0.0


@pytest.mark.parametrize("which", range(3))
def test_p_is_calibrated_on_counts_drawn_from_the_law(which):
    """Counts of ten and more expected; the error of the mean included."""
    law, heavy = list(laws())[which]
    rng = np.random.default_rng(which)
    n, strength = 60_000, 80.0
    size = np.exp(rng.normal(6.5, 1.3, n))
    ratio, spread = law.at(size)
    mean = RATE * size * ratio
    true = mean / rng.gamma(strength, 1 / strength, n)
    if isinstance(law, Hidden):
        people = size + law.mean * np.exp(rng.normal(-(law.sigma**2) / 2, law.sigma, n))
        true *= people / (size + law.mean) * rng.gamma(1 / law.spread, law.spread, n)
    elif heavy:
        true *= rng.gamma(1 / ((1 - heavy) * spread), (1 - heavy) * spread)
        true /= rng.gamma(1 / (heavy * spread), heavy * spread)
    else:
        true *= rng.gamma(1 / spread, spread)
    seen = rng.poisson(true).astype(float)
    log_p, upper = law.tails(seen, size, mean, np.full(n, strength), spread)
    p, many = np.minimum(2 * np.exp(log_p), 1.0), mean >= 10
    for level, bound in ((0.05, 0.12), (0.01, 0.2)):
        assert (p[many] <= level).mean() == pytest.approx(level, rel=bound)
        assert (p[many & upper] <= level).sum() / many.sum() == pytest.approx(level / 2, rel=0.35)
