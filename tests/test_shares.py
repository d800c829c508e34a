"""Shares: quick places in their distributions, the centre of what is behind a rate, and who leaves it."""

import itertools
from functools import cache

import numpy as np
import pytest
from benchmarks import country
from scipy import sparse, special, stats

from naive import expectation as naive
from naive import tails as exact
from zoo_geo import expectation as ex
from zoo_geo import references, spreads
from zoo_geo.detectors import sources
from zoo_geo.detectors.inputs import OK, places, prepare
from zoo_geo.estimates import Block, Expectation
from zoo_geo.kernels import shares
from zoo_geo.predictive import FAMILIES

BINOMIAL = FAMILIES["binomial"]
CHANCES = (1e-4, 0.05, 0.25, 0.5, 0.75, 0.95, 1 - 1e-4)


def law_of(n, share, rho):
    m = (1 - rho) / rho
    return stats.betabinom(n, share * m, (1 - share) * m)


# --- where shares lie in their distributions --------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("rho", [1e-5, 1e-3, 0.01, 0.03, 0.1, 0.3, 0.9])
def test_steps_of_the_distribution_function(rho):
    off = []
    for n in (1, 2, 30, 60, 400, 2_000):
        for share in (0.001, 0.01, 0.1, 0.3, 0.5, 0.8, 0.97):
            law = law_of(n, share, rho)
            counts = {int(o) for o in law.ppf(CHANCES)} | {
                o for o in (0, 1, 24, 25, n - 25, n - 24, n) if o >= 0
            }
            for o in counts & set(range(n + 1)):
                below, upto = shares.bb_step(float(o), float(n), share, rho)
                close = 1e-9 if min(o, n - o) <= 24 else 4e-3
                assert upto == pytest.approx(law.cdf(o), abs=close)
                assert below == pytest.approx(law.cdf(o - 1), abs=close)
                off.append(abs(upto - law.cdf(o)))
    assert np.mean(off) < 2e-4


def ends_of(seen, size, share, rho):
    """P(X < seen) and P(X <= seen), summed one by one."""
    terms = np.exp(law_of(int(size), share, rho).logpmf(np.arange(int(seen) + 1)))
    return terms[:-1].sum(), terms.sum()


def between(tail, below, upto):
    """Share of a step that lies between the two tails."""
    if upto - below < 1e-12:
        return float(tail <= upto <= 1 - tail)
    return (np.clip(upto, tail, 1 - tail) - np.clip(below, tail, 1 - tail)) / (upto - below)


@cache
def whole_tails(rho):
    """Counts, means, sizes, errors and weights of many areas, and where the steps of their laws end."""
    rng = np.random.default_rng(1)
    size, share = np.round(np.exp(rng.normal(6, 1.2, 3_000))) + 1, rng.uniform(0.02, 0.9, 3_000)
    m = (1 - rho) / rho
    seen = rng.binomial(size.astype(int), rng.beta(share * m, (1 - share) * m)).astype(float)
    error, weight = rng.uniform(0, 1e-2, 3_000), rng.uniform(0, 1, 3_000)
    rows = zip(seen, size, share, rho + error * share / (1 - share), strict=True)
    return (seen, share * size, size, error, weight), [ends_of(*row) for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("tail", [0.25, 0.05])
@pytest.mark.parametrize("rho", [1e-5, 0.01, 0.2])
def test_coverage_is_that_of_whole_tails(rho, tail):
    (*column, error, weight), ends = whole_tails(rho)
    inside = [between(tail, *each) for each in ends]
    found = shares.bb_coverage(*column, rho, error, weight, tail)
    assert found == pytest.approx(np.average(inside, weights=weight), abs=6e-4)


def test_coverage_weighs_what_lies_inside():
    size, share = np.array([12.0, 80.0, 300.0, 300.0]), np.array([0.2, 0.3, 0.1, 0.1])
    seen, weight = np.array([1.0, 24.0, 22.0, 60.0]), np.array([0.3, 1.0, 0.7, 2.0])
    error = np.array([0.0, 0.01, 0.02, 0.0])
    rho = 0.03 + error * share / (1 - share)
    inside = []
    for each in zip(seen, size, share, rho, strict=True):
        law = law_of(int(each[1]), *each[2:])
        inside.append(exact.central_share(law.cdf(each[0] - 1), law.cdf(each[0])))
    found = shares.bb_coverage(seen, share * size, size, 0.03, error, weight, 0.25)
    assert found == pytest.approx(np.average(inside, weights=weight), abs=1e-3)
    assert 0 < inside[0] < 1
    assert inside[-1] == 0


def test_a_spread_above_one_is_none():
    given = np.array([3.0]), np.array([9.0]), np.array([10.0]), 0.9, np.array([5.0]), np.ones(1), 0.25
    law = law_of(10, 0.9, 0.999)
    assert shares.bb_coverage(*given) == pytest.approx(exact.central_share(law.cdf(2), law.cdf(3)), abs=1e-9)


# --- off-centre surroundings ------------------------------------------------------------------------


def some(seed, n=40, columns=3):
    """Surroundings of two widths, places, a block of shares and an expectation of them."""
    rng = np.random.default_rng(seed)
    near = []
    for most in (4, 9):
        near.append([
            {int(j): float(rng.uniform(0.2, 3)) for j in rng.choice(n, rng.integers(0, most)) if j != i}
            for i in range(n)
        ])  # fmt: skip
    size = rng.integers(0, 500, (n, columns)).astype(float)
    seen = rng.binomial(size.astype(int), rng.choice([0.1, 0.5], (n, columns))).astype(float)
    rate = rng.uniform(0.2, 0.4, (n, columns))
    rate[3, 0] = np.nan
    rest = np.full(rate.shape, 0.01), np.array([0, 1, 0]), np.full(columns, np.inf), np.ones_like(rate)
    fit = Expectation(rate, np.full(rate.shape, 50.0), *rest, (None,) * columns)
    return near, 1e5 + 1e3 * rng.normal(size=(n, 2)), Block(seen, size, size > 0, BINOMIAL), fit


def matrix(near):
    cells = [(i, j, w) for i, others in enumerate(near) for j, w in others.items()]
    rows, columns, weights = (np.array(x) for x in zip(*cells, strict=True))
    return sparse.csr_array((weights, (rows, columns)), (len(near), len(near)))


@pytest.mark.parametrize("seed", range(4))
def test_off_centre_is_that_of_plain_loops(seed):
    near, points, block, fit = some(seed)
    damping = np.random.default_rng(seed).choice([0.0, 0.3, 1.0], block.size.shape)
    found = spreads.off_centre(block, damping, [matrix(each) for each in near], fit, points)
    for c, width in enumerate(fit.width):
        weight = damping[:, c] * block.size[:, c]
        true = naive.off_centre(near[width], points.tolist(), weight.tolist())
        np.testing.assert_allclose(found[:, c], true, rtol=1e-6, atol=1e-9)


def test_what_lies_around_an_area_is_not_off_centre_however_far():
    points = np.array([[0.0, 0.0], [-3.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    near = [matrix([{1: 1.0, 2: 1.0}, {0: 1.0}, {0: 1.0}, {0: 1.0}])]
    _, _, block, fit = some(0, n=4, columns=1)
    block = Block(block.observed, np.array([[1.0], [50.0], [50.0], [1.0]]), block.valid, BINOMIAL)
    fit = Expectation(fit.rate, fit.strength, fit.spread, np.zeros(1, int), fit.freedom, fit.ratio, (None,))
    found = spreads.off_centre(block, np.ones((4, 1)), near, fit, points)
    np.testing.assert_allclose(found[:, 0], [0.0, 9 / 5, 9 / 5, 1 / 5])  # the median is 5


# --- who leaves the expectation of others -----------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_areas_odd_like_most_beside_them_are_those_of_plain_loops(seed):
    near, _, block, fit = some(seed)
    odd = np.random.default_rng(seed).random(block.size.shape) < 0.7
    found = ex.odd_like_most(block, fit, odd, matrix(near[1]))
    assert 0 < found.sum() < odd.sum()
    for c in range(3):
        known = [i for i in range(40) if odd[i, c] and block.valid[i, c] and np.isfinite(fit.rate[i, c])]
        column = (each[:, c].tolist() for each in (block.observed, block.size, fit.rate))
        like = naive.odd_like_most(set(known), near[1], *column, 0.01, naive.Binomial())
        assert set(np.flatnonzero(found[:, c])) == like


def lattice(rows):
    """Weights of areas in a square, and their places."""
    at = np.array([(r, c) for r in range(rows) for c in range(rows)], float)
    apart = np.abs(at[:, None] - at[None]).max(2)
    return sparse.csr_array((apart == 1).astype(float)), at


def fitted(seen, size, clean=2, rows=14):
    touching, at = lattice(rows)
    whole = references.Group(np.zeros(rows * rows, int))
    arrays = seen[:, None], size[:, None], np.ones((rows * rows, 1), bool), BINOMIAL
    return ex.expect(*arrays, [touching], [whole], ex.Options(clean=clean), touching, 1_000 * at)


def hill(rows=14, seed=0, height=0.5):
    """Shares without spread on a narrow hill in a plain, of areas of unequal size."""
    rng = np.random.default_rng(seed)
    at = lattice(rows)[1]
    share = 0.1 + height * np.exp(-((at - 6.5) ** 2).sum(1) / 8.0)
    size = np.round(np.exp(rng.normal(7.5, 0.8, rows * rows)))
    return rng.binomial(size.astype(int), share).astype(float), size, share


@pytest.mark.parametrize("seed", range(3))
def test_a_hill_stays_in_the_expectation_of_its_areas(seed):
    seen, size, share = hill(seed=seed)
    rate = fitted(seen, size).rate[:, 0]
    top = share > 0.4
    assert top.sum() >= 12
    assert (np.abs(rate - share)[top] < 0.15).all()


def test_an_area_odd_alone_leaves_the_expectation_of_others():
    rng = np.random.default_rng(0)
    size = np.full(196, 2_000.0)
    seen = rng.binomial(2_000, rng.beta(20, 80, 196)).astype(float)
    seen[90] = 1_600.0
    beside = np.flatnonzero(lattice(14)[0][[90]].toarray())
    kept, left = (fitted(seen, size, clean).rate[beside, 0] for clean in (0, 2))
    assert (kept - left > 0.015).all()
    assert (np.abs(left - 0.2) < 0.03).all()


@pytest.mark.parametrize("seed", range(3))
def test_expectation_about_a_hill_is_that_of_the_plain_loops(seed):
    seen, size, _ = hill(8, seed)
    touching, _ = lattice(8)
    near = [
        dict.fromkeys(touching.indices[a:b].tolist(), 1.0) for a, b in itertools.pairwise(touching.indptr)
    ]
    whole = references.Group(np.zeros(64, int))
    arrays = seen[:, None], size[:, None], np.ones((64, 1), bool), BINOMIAL
    found = ex.expect(*arrays, [touching], [whole], ex.Options(clean=2, steep=False))
    rates, strengths, phi = naive.expect(seen.tolist(), size.tolist(), near, None, 2, naive.Binomial())
    np.testing.assert_allclose(found.rate[:, 0], rates, rtol=2e-3)
    np.testing.assert_allclose(found.strength[:, 0], strengths, rtol=0.02)
    np.testing.assert_allclose(found.spread, phi, rtol=0.03)


def error_of(steep, seeds=4):
    """Root mean square of the error in units of what it should be, where little and much lies on one side."""
    land, found = country.build(2_000, seed=2), []
    for seed in range(seeds):
        world = country.World("binomial", scale=12.0, share=0.0)
        draw = country.simulate(land, np.random.default_rng(seed), 0.15, 0.0, world)
        inputs = prepare(country.panel(land, [draw], "binomial"), land.graph, land.areas)
        source = sources.find("neighbours", inputs, 3, ex.Options(steep=steep), (), "poisson")
        block = Block(inputs.observed, inputs.exposure, inputs.status == OK, BINOMIAL)
        fit = source.fit(block).fit
        off = spreads.off_centre(block, np.ones_like(block.size), source.near, fit, places(inputs))[:, 0]
        rate, people = fit.rate[:, 0], land.residents > 0
        away = (special.logit(rate) - special.logit(draw.rate)) * np.sqrt(fit.strength[:, 0]) * (1 - rate)
        low, high = np.quantile(off[people], [0.5, 0.9])
        found.append([np.sqrt(np.mean(away[people & rows] ** 2)) for rows in (off < low, off >= high)])
    return np.mean(found, axis=0)


def test_error_without_spread_grows_with_what_is_off_centre():
    """Without spread the largest neighbours decide, and what lies on one side says less."""
    little, much = error_of(steep=True)
    assert 0.4 < little < 1.25
    assert 0.8 < much < 1.45
    _, without = error_of(steep=False, seeds=1)
    assert without > 4.0
