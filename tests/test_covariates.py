"""Rates that covariates lead to expect: block by block, robust, and how much of a deviation they explain."""

import numpy as np
import pytest
from scipy import sparse

from naive import covariates as naive
from zoo_geo import covariates as cv
from zoo_geo.blocks import spatial_blocks
from zoo_geo.errors import InputError
from zoo_geo.predictive import FAMILIES

pytestmark = pytest.mark.slow

POISSON, BINOMIAL, GAUSSIAN = (FAMILIES[name] for name in ("poisson", "binomial", "gaussian"))
METHODS = ("poisson", "tweedie", "boosting")
COEFFICIENTS = np.array([0.5, -0.3, 0.0])


def world(n=400, seed=0, family=POISSON, spread=0.1, coefficients=COEFFICIENTS, blocks=8):
    """Figures, sizes, covariates and blocks, and the true rate that covariates lead to."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, coefficients.size))
    size = np.round(np.exp(rng.normal(6.5, 1.0, n))) + 5
    line = x @ coefficients
    if family is GAUSSIAN:
        true, size = 20.0 + 3.0 * line, rng.uniform(0.5, 2.0, n)
        seen = rng.normal(true, 1.0 / np.sqrt(size))
    elif family is BINOMIAL:
        true = 1.0 / (1.0 + np.exp(1.5 - line))
        m = (1 - spread / 4) / (spread / 4)
        seen = rng.binomial(size.astype(int), rng.beta(true * m, (1 - true) * m)).astype(float)
    else:
        true = 0.03 * np.exp(line)
        seen = rng.poisson(size * true * (rng.gamma(1 / spread, spread, n) if spread else 1.0)).astype(float)
    return seen, size, x, np.arange(n) * blocks // n, true


def fit(seen, size, x, folds, family=POISSON, valid=None, **options):
    valid = np.ones(seen.size, bool) if valid is None else valid
    return cv.cross_fitted(seen, size, valid, family, x, folds, **options)


def off(found, true):
    """Error of the rates on a relative scale."""
    return np.sqrt(np.mean((found.rate / true - 1.0) ** 2))


# --- what is fitted -------------------------------------------------------------------------------


@pytest.mark.parametrize("anomalies", [0, 6])
def test_rates_are_those_of_newton_by_hand(anomalies):
    seen, size, x, folds, _ = world(160, seed=3, blocks=3)
    seen[np.arange(anomalies) * 25] *= 12
    found = fit(seen, size, x, folds)
    expected = naive.cross_fitted(seen.tolist(), size.tolist(), x.tolist(), folds.tolist())
    np.testing.assert_allclose(found.rate, expected, rtol=2e-3)


@pytest.mark.parametrize(
    ("family", "method", "bound"),
    [
        (POISSON, "poisson", 0.04), (POISSON, "tweedie", 0.05), (POISSON, "boosting", 0.15),
        (BINOMIAL, "poisson", 0.03), (BINOMIAL, "boosting", 0.12),
        (GAUSSIAN, "poisson", 0.01), (GAUSSIAN, "tweedie", 0.03), (GAUSSIAN, "boosting", 0.04),
    ],
)  # fmt: skip
def test_known_coefficients_come_back(family, method, bound):
    seen, size, x, folds, true = world(1_500, seed=1, family=family, blocks=4)
    seen = np.maximum(seen, 0.0)
    found = fit(seen, size, x, folds, family, method=method)
    assert off(found, true) < bound
    assert np.std(true) / np.mean(true) > 2 * bound  # a constant rate would fail
    assert found.skill > 0.3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", [POISSON, BINOMIAL, GAUSSIAN])
def test_nothing_of_its_own_block_enters_the_rate_of_an_area(family, method):
    if method == "tweedie" and family is BINOMIAL:
        return
    seen, size, x, folds, _ = world(240, seed=2, family=family, blocks=5 if method != "boosting" else 3)
    changed = np.where(folds == 1, size if family is BINOMIAL else 7.0 * seen, seen)
    before, after = (fit(each, size, x, folds, family, method=method) for each in (seen, changed))
    inside = folds == 1
    np.testing.assert_array_equal(after.rate[inside], before.rate[inside])
    np.testing.assert_array_equal(after.strength[inside], before.strength[inside])
    assert not np.array_equal(after.rate[~inside], before.rate[~inside])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", [POISSON, GAUSSIAN])
def test_one_anomaly_in_a_hundred_hardly_moves_the_fit(family, method):
    seen, size, x, folds, _ = world(1_000, seed=4, family=family, blocks=3 if method == "boosting" else 8)
    seen = np.maximum(seen, 0.0)
    rng = np.random.default_rng(0)
    odd = rng.choice(np.flatnonzero(size > np.median(size)), 10, replace=False)
    dirty = seen.copy()
    dirty[odd] = 40.0 * seen[odd] + 100.0
    clean, found = (fit(each, size, x, folds, family, method=method) for each in (seen, dirty))
    assert found.odd[odd].all()
    assert found.odd.sum() < 40
    assert np.median(np.abs(found.rate / clean.rate - 1.0)) < (0.07 if method == "boosting" else 0.01)
    assert found.spread == pytest.approx(clean.spread, rel=0.15)


def test_large_areas_do_not_decide_where_rates_have_a_spread_of_their_own():
    """With weights of size alone one area of a hundred times the size would count for a hundred."""
    seen, size, x, folds, true = world(400, seed=5)
    size[:3] *= 300.0
    seen[:3] = np.round(1.8 * size[:3] * true[:3])  # 1.8 times: inside three standard deviations
    assert np.abs(np.median(fit(seen, size, x, folds).rate / true) - 1.0) < 0.1


def test_error_is_as_large_as_strength_says():
    """Over many worlds: rates are off by 1 / sqrt(strength), overdispersion counted."""
    away = []
    for seed in range(6):
        seen, size, x, folds, true = world(500, seed=100 + seed, spread=0.3)
        found = fit(seen, size, x, folds)
        away.append(np.log(found.rate / true) * np.sqrt(found.strength))
    assert 0.8 < np.sqrt(np.mean(np.square(away))) < 1.3


def test_what_blocks_share_counts_as_error():
    """A trend that no covariate tells is the same for a whole block: far fewer events than were counted."""
    _, size, x, folds, true = world(800, seed=6, spread=0.0)
    rng = np.random.default_rng(1)
    shared = np.exp(rng.normal(0, 0.3, 8))[folds]
    trend = fit(rng.poisson(size * true * shared).astype(float), size, x, folds)
    calm = fit(rng.poisson(size * true).astype(float), size, x, folds)
    assert np.median(trend.strength) < np.median(calm.strength) / 5


@pytest.mark.parametrize("family", [POISSON, BINOMIAL, GAUSSIAN])
def test_units_change_nothing(family):
    seen, size, x, folds, _ = world(300, seed=7, family=family)
    one = fit(seen, size, x, folds, family)
    moved = fit(seen, size, 1_000.0 * x - 55.0, folds, family)
    np.testing.assert_allclose(moved.rate, one.rate, rtol=1e-5)
    if family is not BINOMIAL:
        other = fit(seen, size * 1e-4, x, folds, family)
        factor = 1e4 if family is POISSON else 1.0
        np.testing.assert_allclose(other.rate, one.rate * factor, rtol=1e-5)


@pytest.mark.parametrize(("method", "n", "p"), [("poisson", 10_000, 30), ("boosting", 300, 3)])
def test_threads_change_nothing(method, n, p):
    """Algebra on many areas adds up in parts, one a thread."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    seen, size, x, folds, _ = world(n, seed=8, blocks=2, coefficients=np.linspace(0.4, -0.4, p))
    found = []
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads):
            found.append(fit(seen, size, x, folds, method=method))
    np.testing.assert_array_equal(found[0].rate, found[1].rate)
    np.testing.assert_array_equal(found[0].strength, found[1].strength)


def test_input_is_not_modified():
    seen, size, x, folds, _ = world(200)
    x[3, 1], seen[5] = np.inf, np.nan
    given = [each.copy() for each in (seen, size, x, folds)]
    fit(seen, size, x, folds)
    for before, after in zip(given, (seen, size, x, folds), strict=True):
        np.testing.assert_array_equal(before, after)


# --- odd input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_missing_covariates_are_no_zeros_and_say_so(method):
    """Areas without the covariate have a rate of their own, which only an indicator can tell."""
    seen, size, x, folds, true = world(800, seed=9, blocks=3)
    rng = np.random.default_rng(0)
    lacking = rng.random(800) < 0.2
    x[lacking, 2] = np.nan
    seen[lacking] = rng.poisson(3.0 * size * true)[lacking]
    found = fit(seen, size, x, folds, method=method)
    assert np.median(found.rate[lacking] / true[lacking]) == pytest.approx(3.0, rel=0.15)
    assert np.median(found.rate[~lacking] / true[~lacking]) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_constant_missing_and_single_covariates(method):
    seen, size, x, folds, _ = world(300, seed=10, blocks=3)
    flat = np.column_stack([np.full(300, 4.0), np.full(300, np.nan)])
    alone = fit(seen, size, flat, folds, method=method)
    for fold in range(3):
        assert np.unique(alone.rate[folds == fold]).size == 1
    np.testing.assert_allclose(alone.rate, seen.sum() / size.sum(), rtol=0.25)
    assert abs(alone.skill) < 0.05
    one = fit(seen, size, x[:, :1], folds, method=method)
    more = fit(seen, size, np.column_stack([flat, x[:, :1]]), folds, method=method)
    np.testing.assert_allclose(more.rate, one.rate, rtol=1e-6)
    assert one.skill > 0.2


def test_areas_without_figure_get_a_rate_and_tell_nothing():
    seen, size, x, folds, true = world(400, seed=11)
    valid = np.arange(400) % 7 != 0
    seen[::14], size[7::14] = np.nan, 0.0
    found = fit(seen, size, x, folds, valid=valid)
    seen[~valid], size[~valid] = 1e6, 1.0
    other = fit(seen, size, x, folds, valid=valid)
    np.testing.assert_array_equal(found.rate, other.rate)
    assert np.isfinite(found.rate).all()
    assert (found.strength > 0).all()
    assert off(found, true) < 0.15


@pytest.mark.parametrize(
    ("family", "value"), [(POISSON, 0.0), (BINOMIAL, 0.0), (BINOMIAL, 1.0), (GAUSSIAN, 3.0)]
)
@pytest.mark.parametrize("method", ["poisson", "boosting"])
def test_all_equal(family, value, method):
    _, size, x, folds, _ = world(200, seed=12)
    found = fit(
        value * size if family is BINOMIAL else np.full(200, value), size, x, folds, family, method=method
    )
    assert np.isfinite(found.rate).all()
    np.testing.assert_allclose(found.rate, value, atol=1e-3)
    if family is not GAUSSIAN:
        assert ((found.rate > 0) & (found.rate < 1)).all()


@pytest.mark.parametrize("far", [1e3, 1e9])
def test_a_skewed_covariate_is_capped(far):
    seen, size, x, folds, _ = world(300, seed=13)
    calm = fit(seen, size, x, folds)
    x[7, 0] = far
    found = fit(seen, size, x, folds)
    others = np.arange(300) != 7
    np.testing.assert_allclose(found.rate[others], calm.rate[others], rtol=0.25)
    assert found.rate[7] < 2 * found.rate[others].max()


def test_rare_events_and_sparse_covariates():
    rng = np.random.default_rng(14)
    x = (rng.random((2_000, 1)) < 0.03).astype(float)
    seen, folds = np.zeros(2_000), np.arange(2_000) // 400
    seen[rng.choice(2_000, 5, replace=False)] = 1.0
    found = fit(seen, np.full(2_000, 100.0), x, folds)
    assert np.isfinite(found.rate).all()
    assert (found.rate * 100 * 2_000).mean() == pytest.approx(5, rel=0.4)
    assert not found.odd.any()


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (
            "few",
            "areas with a figure outside every block need to be 30 or more for 3 covariates; got 21 of 24",
        ),
        ("many", "need to be 400 or more for 40 covariates; got 350 of 400. Take fewer covariates"),
        ("one block", "spatial blocks need to be two or more; got 1"),
        ("method", "method needs to be one of 'poisson', 'tweedie', 'boosting'; got 'forest'"),
        ("shares", "method='tweedie' needs to have counts or values from 0; got binomial figures. Take"),
        ("negative", r"got gaussian figures \(1 of 400; first: -1.0\)"),
    ],
)
def test_input_that_cannot_be_fitted_says_why(problem, words):
    n = 24 if problem == "few" else 400
    seen, size, x, folds, _ = world(n)
    family, method = POISSON, "poisson"
    if problem == "many":
        x = np.random.default_rng(0).normal(size=(n, 40))
    elif problem == "one block":
        folds = np.zeros(n, int)
    elif problem == "method":
        method = "forest"
    elif problem in ("shares", "negative"):
        family, method = (BINOMIAL if problem == "shares" else GAUSSIAN), "tweedie"
        seen = np.minimum(seen, size)
        seen[0] = -1.0 if problem == "negative" else 0.0
    with pytest.raises(InputError, match=words):
        fit(seen, size, x, folds, family, method=method)


# --- blocks ---------------------------------------------------------------------------------------


def test_parents_stay_together_and_blocks_are_equally_large():
    rng = np.random.default_rng(0)
    labels = rng.choice(60, 3_000, p=(w := rng.uniform(0.2, 3, 60)) / w.sum())
    folds = spatial_blocks(labels, 6)
    assert all(np.unique(folds[labels == label]).size == 1 for label in range(60))
    counts = np.bincount(folds)
    assert counts.size == 6
    assert counts.max() < 1.1 * counts.min()
    names = np.array([f"GM{label:04d}" for label in labels], object)
    np.testing.assert_array_equal(spatial_blocks(names, 6), folds)
    assert not np.array_equal(spatial_blocks(np.arange(50), 5, seed=1), spatial_blocks(np.arange(50), 5))


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["a", None, "b", "", "a", np.nan], object),
        np.array([0, -1, 1, -1, 0, -1]),
        np.array([0, np.nan, 1, -1, 0, np.nan]),
    ],
)
def test_areas_without_a_parent_go_by_themselves(labels):
    folds = spatial_blocks(labels, 10)
    assert folds[0] == folds[4]
    assert np.unique(folds).size == 5


@pytest.mark.parametrize("n_blocks", [2, 3, 7, 10])
def test_points_are_divided_into_compact_equal_blocks(n_blocks):
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 100, (700, 2))
    folds = spatial_blocks(points, n_blocks)
    counts = np.bincount(folds)
    assert counts.size == n_blocks
    assert counts.max() - counts.min() <= 3
    spread = np.mean([points[folds == f].std(0).mean() for f in range(n_blocks)])
    assert spread < 1.25 * points.std() / np.sqrt(n_blocks)
    order = rng.permutation(700)
    np.testing.assert_array_equal(spatial_blocks(points[order], n_blocks), folds[order])


def test_coincident_points_stay_together():
    places = np.repeat(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 5.0]]), [5, 1, 4], axis=0)
    folds = spatial_blocks(places, 10)
    assert sorted(map(tuple, np.unique(np.column_stack([places, folds]), axis=0)[:, :2])) == [
        (0, 0),
        (0, 5),
        (1, 0),
    ]
    assert np.unique(folds).tolist() == [0, 1, 2]


def test_neighbours_are_cut_into_bands():
    n = 40
    line = sparse.csr_array(np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1))
    folds = spatial_blocks(line, 4)
    assert np.bincount(folds).tolist() == [10] * 4
    assert (np.diff(folds) != 0).sum() == 3
    assert spatial_blocks(sparse.csr_array((5, 5)), 3).max() == 2


def test_places_that_make_no_blocks_say_so():
    for where in (np.zeros(5, int), np.zeros((5, 2)), np.array(["GM1"] * 4)):
        with pytest.raises(InputError, match="two or more places"):
            spatial_blocks(where)
    with pytest.raises(InputError, match=r"points need to be known; got none \(1 of 3; first: 2\)"):
        spatial_blocks(np.array([[0.0, 1.0], [np.nan, 1.0], [2.0, 2.0]]))
    with pytest.raises(InputError, match="n_blocks needs to be 2 or more; got 1"):
        spatial_blocks(np.arange(5), 1)


# --- in words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("observed", "before", "after", "share"),
    [
        (40.0, 10.0, 40.0, 1.0),
        (40.0, 10.0, 20.0, 0.5),
        (40.0, 10.0, 10.0, 0.0),
        (40.0, 10.0, 80.0, 1.0),  # explained, and more
        (10.0, 40.0, 10.0, 1.0),  # low areas likewise
        (20.0, 10.0, 5.0, -1.0),
        (20.0, 10.0, 1.0, -1.0),
        (10.4, 10.0, 10.0, np.nan),
        (9.6, 10.0, 30.0, np.nan),
        (0.0, 8.0, 2.0, 0.5),
        (0.0, 0.3, 0.2, np.nan),
        (5.0, 0.0, 2.0, np.nan),
        (-5.0, 2.0, 2.0, np.nan),
        (np.nan, 2.0, 2.0, np.nan),
    ],
)
def test_share_of_a_deviation_that_is_explained(observed, before, after, share):
    found = cv.explained(*np.array([[observed], [before], [after]]))
    assert found.share[0] == pytest.approx(share, nan_ok=True)
    if observed >= 0 and before > 0:
        assert found.ratio_before[0] == pytest.approx(observed / before)
        assert found.ratio_after[0] == pytest.approx(observed / after)
    else:
        assert np.isnan(found.ratio_before[0])
