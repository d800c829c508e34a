"""Fewer draws where the answer is settled, and curves in place of draws: what they may not change."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse, stats

from panels import lattice
from zoo_geo.detectors import draws
from zoo_geo.detectors.draws import SCREEN, Plan, infer
from zoo_geo.detectors.local_geary import LocalGeary
from zoo_geo.detectors.local_moran import LocalMoran
from zoo_geo.detectors.nulls import pearson_p
from zoo_geo.errors import InputError
from zoo_geo.significance import adjust, significant

LAWS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "counts": lambda rng, n: rng.poisson(0.7, n).astype(float),
    "lognormal": lambda rng, n: rng.lognormal(0, 1, n),
    "rare": lambda rng, n: (rng.random(n) < 0.03).astype(float),
}
LEVEL = 0.05


def random_weights(n, k, seed, even):
    """Each area has k random neighbours, of equal or unequal weights."""
    rng = np.random.default_rng(seed)
    row = np.repeat(np.arange(n), k)
    column = (row + rng.integers(1, n, row.size)) % n
    data = np.ones(row.size) if even else rng.uniform(0.1, 1.0, row.size)
    return sparse.csr_array((data, (row, column)), (n, n))


@pytest.mark.parametrize("kind", ["conditional", "total", "geary"])
@pytest.mark.parametrize("even", [True, False])
def test_stopping_leaves_every_p_that_matters_as_it_is(kind, even):
    n, permutations = 400, 9_999
    rng = np.random.default_rng(5)
    weights = random_weights(n, 6, 1, even)
    values = np.stack([draw(rng, n) for draw in LAWS.values()], axis=1)
    own = weights.max(axis=1).toarray().ravel()
    whole = infer(values, weights, kind, Plan(permutations), own)
    fewer = infer(values, weights, kind, Plan(permutations, stop_above=LEVEL), own)
    for c in range(values.shape[1]):
        p, q = (found.p(found.column(c)) for found in (whole, fewer))
        np.testing.assert_array_equal(q[p <= LEVEL], p[p <= LEVEL])
        assert (q[p > LEVEL] > LEVEL).all()
        assert (fewer.drawn[:, c][p <= LEVEL] == permutations).all()
        assert fewer.drawn[:, c].mean() < 0.5 * permutations
        assert fewer.drawn[:, c].min() == 1_024
        np.testing.assert_array_equal(significant(adjust(q), LEVEL), significant(adjust(p), LEVEL))


@pytest.mark.parametrize("detector", [LocalMoran, LocalGeary])
@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_stopping_holds_for_one_side_too(detector, alternative):
    world = lattice(14, 14, seed=3)
    values = np.random.default_rng(2).gamma(1, size=len(world)).tolist()
    panel, graph = world.panel(values, family="gaussian"), world.graph()
    options = {"permutations": 4_999, "value": "rate", "alternative": alternative}
    whole = detector(**options).detect(panel, graph).frame
    fewer = detector(**options, stop_above=LEVEL).detect(panel, graph).frame
    matters = whole["p_value"] <= LEVEL
    assert matters.any()
    assert fewer.loc[matters, "p_value"].equals(whole.loc[matters, "p_value"])
    assert (fewer.loc[~matters, "p_value"] > LEVEL).all()
    assert (fewer["permutations"] < 4_999).mean() > 0.5
    p_of = (fewer["p_value"] * (fewer["permutations"] + 1)).to_numpy()
    np.testing.assert_allclose(p_of, np.round(p_of), atol=1e-6)  # (count + 1) / (draws + 1)


def test_looks_do_not_depend_on_how_draws_are_cut(monkeypatch):
    values = np.random.default_rng(0).gamma(1, size=(300, 2))
    weights = random_weights(300, 5, 2, even=False)
    plan = Plan(6_000, stop_above=0.1)
    whole = infer(values, weights, "conditional", plan)
    monkeypatch.setattr(draws, "_DRAWS", 700)
    cut = infer(values, weights, "conditional", plan)
    for name in ("above", "below", "drawn"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name))


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("k", [3, 6, 20])
def test_error_of_the_screen_and_of_the_curve_is_bounded(law, k):
    """Where p matters, the screen is far from stopping, and `moments` does not promise much too much."""
    n = 2_000
    values = LAWS[law](np.random.default_rng(k), n)[:, None]
    weights = random_weights(n, k, k, even=False)
    drawn = infer(values, weights, "conditional", Plan(39_999))
    curve = infer(values, weights, "conditional", Plan(inference="moments"))
    column = curve.column(0)
    p, near = drawn.p(drawn.column(0)), curve.p(column)
    screen = pearson_p(column.z(), column.moments.skewness, "two-sided", cautious=False)
    matters = (p > 0.005) & (p <= LEVEL)
    assert matters.any()
    assert screen[matters].max() <= 0.6 * SCREEN * LEVEL
    ratio = near[matters] / p[matters]
    assert ratio.min() > (0.25 if law == "rare" else 0.45)
    found = column.moments
    curved = matters & (column.z() > 0) & (found.kurtosis <= 3.1 + 1.5 * found.skewness**2)
    if curved.any():  # elsewhere p is a bound
        assert np.median(near[curved] / p[curved]) < (3.0 if law == "rare" else 1.5)


HEAVY = {
    "t5": lambda rng, n: rng.standard_t(5, n),
    "t3": lambda rng, n: rng.standard_t(3, n),
    "Laplace": lambda rng, n: rng.laplace(size=n),
    "difference": lambda rng, n: rng.lognormal(0, 1, n) - rng.lognormal(0, 1, n),
}


@pytest.mark.parametrize("law", HEAVY)
@pytest.mark.parametrize("kind", ["conditional", "total", "geary"])
def test_heavy_tails_are_not_taken_for_a_curve(law, kind):
    """With moments only, p promises no more than a bound that holds for every law."""
    n = 2_000
    values = HEAVY[law](np.random.default_rng(8), n)[:, None]
    weights = random_weights(n, 8, 3, even=True)
    own = np.ones(n)
    drawn = infer(values, weights, kind, Plan(19_999), own)
    curve = infer(values, weights, kind, Plan(inference="moments"), own)
    p, near = drawn.p(drawn.column(0)), curve.p(curve.column(0))
    rare = (p > 0.0005) & (p <= 0.05)  # below, the draws themselves are rough
    assert rare.sum() >= 20
    assert (near[rare] / p[rare]).min() > (0.2 if kind == "geary" else 0.4)
    assert (near <= 0.001).mean() <= 0.002


def test_short_tail_of_a_skewed_null_promises_little():
    """A Pearson III curve ends at -2 / skewness; the null of a lognormal figure does not."""
    z, skewness = np.array([-1.0, -0.6, 1.0]), np.full(3, 2.5)
    bare = pearson_p(z, skewness, "two-sided", cautious=False)
    cautious = pearson_p(z, skewness, "two-sided")
    assert bare[0] == 1e-300
    assert cautious[0] == pytest.approx(2 * stats.norm.cdf(-1.0))
    assert cautious[2] == bare[2]
    np.testing.assert_array_equal(pearson_p(-z, -skewness, "two-sided"), cautious)


def test_a_million_permutations_need_little_memory():
    values = np.random.default_rng(1).normal(size=(500, 1))
    weights = random_weights(500, 6, 4, even=True)
    infer(values, weights, "conditional", Plan(99))  # compiled code is not counted
    tracemalloc.start()
    found = infer(values, weights, "conditional", Plan(1_000_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.drawn.min() == 1_000_000
    few = infer(values, weights, "conditional", Plan(9_999))
    p, rough = found.p(found.column(0)), few.p(few.column(0))
    assert (np.abs(rough - p) < 5 * np.sqrt(2 * p / 10_000) + 2e-3).all()
    assert peak < 120e6  # all draws at once would take 28 MB for the pool and 160 MB for sums and index


@pytest.mark.parametrize("stop", [0.0, 1.0, -1])
def test_a_level_that_is_no_p_is_refused(stop):
    with pytest.raises(InputError, match="stop_above needs to be a p between 0 and 1"):
        LocalMoran(stop_above=stop)
