"""Autoregressive conditionals: dense algebra, brute-force refits, spreg's numbers, and outliers."""

import tracemalloc

import geopandas as gpd
import libpysal
import numpy as np
import pytest
from scipy import sparse

from naive import conditionals as naive
from panels import World, lattice, with_island
from zoo_geo.conditionals import KINDS, Parameters, leave_one_out
from zoo_geo.errors import InputError

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def matrix(world):
    rows = [(i, j, w) for i, near in enumerate(world.near) for j, w in near.items()]
    row, column, weight = zip(*rows, strict=True) if rows else ((), (), ())
    return sparse.csr_array((np.array(weight, float), (row, column)), (len(world),) * 2)


def field(world, rho=0.6, seed=0, p=0):
    """Values of a SAR with `p` covariates on a world, and these."""
    rng = np.random.default_rng(seed)
    near = naive.standardised(matrix(world).toarray())
    x = rng.normal(size=(len(world), p))
    noise = rng.normal(size=len(world))
    rest = sparse.linalg.spsolve(sparse.csc_array(np.eye(len(world)) - rho * near), noise)
    return 20 + x @ np.arange(1, p + 1) + rest, x


def scores(values, found):
    return (values - found.mean) * np.sqrt(found.precision)


CASES = [
    (seed, p, weighted) for seed, (p, weighted) in enumerate([(0, False), (2, False), (0, True), (2, True)])
]


def case(seed, p, weighted, one_way=True):
    """A small map with uneven weights, some in one direction only."""
    world = lattice(6, 7, seed=seed + 1)
    if one_way:
        for i in range(0, 40, 3):
            world.near[i].pop(max(world.near[i]))
    values, x = field(world, seed=seed, p=p)
    weight = np.random.default_rng(seed).uniform(0.2, 5, len(world)) if weighted else None
    return matrix(world), values, x if p else None, weight


def dense(links, values, x, weight):
    design = np.column_stack([np.ones(len(values)), *([] if x is None else [x])])
    return links.toarray(), np.ones(len(values)) if weight is None else weight, design


# --- against dense algebra --------------------------------------------------------------------------


@EVERY_KIND
@pytest.mark.parametrize("which", CASES)
def test_conditionals_are_those_of_the_multivariate_normal(kind, which):
    links, values, x, weight = case(*which)
    found = leave_one_out(values, links, x, kind, weight=weight, outlier=None)
    w, v, design = dense(links, values, x, weight)
    own = found.parameters
    mean = naive.centre(kind, w, design, own.rho, own.beta)
    expected = naive.given_others(values, mean, naive.covariance(kind, w, v, own.rho, own.variance))
    np.testing.assert_allclose(found.mean, expected[0], rtol=1e-9)
    np.testing.assert_allclose(1 / found.precision, expected[1], rtol=1e-9)
    assert not found.set_aside.any()


@EVERY_KIND
@pytest.mark.parametrize("which", CASES)
def test_parameters_are_those_of_most_likelihood(kind, which):
    links, values, x, weight = case(*which)
    own = leave_one_out(values, links, x, kind, weight=weight, outlier=None).parameters
    w, v, design = dense(links, values, x, weight)
    beta, variance, likelihood = naive.profile(kind, w, v, design, values, own.rho)
    np.testing.assert_allclose(own.beta, beta, rtol=1e-8)
    assert own.variance == pytest.approx(variance, rel=1e-9)
    assert own.log_likelihood == pytest.approx(likelihood, rel=1e-10)
    others = [naive.profile(kind, w, v, design, values, rho)[2] for rho in np.linspace(-0.99, 0.99, 41)]
    assert likelihood >= max(others)
    assert own.rho == pytest.approx(naive.fit(kind, w, v, design, values)[0], abs=1e-5)


@EVERY_KIND
@pytest.mark.parametrize("which", CASES[1:3])
def test_areas_set_aside_are_as_if_nobody_had_seen_them(kind, which):
    """Neighbours of outliers, and outliers beside each other, know the rest only."""
    links, values, x, weight = case(*which)
    odd = [16, 17, 33]
    values[odd] += [40, -60, 50]
    found = leave_one_out(values, links, x, kind, weight=weight)
    assert np.flatnonzero(found.set_aside).tolist() == odd
    w, v, design = dense(links, values, x, weight)
    own = found.parameters
    mean = naive.centre(kind, w, design, own.rho, own.beta)
    cov = naive.covariance(kind, w, v, own.rho, own.variance)
    expected = naive.given_others(values, mean, cov, odd)
    np.testing.assert_allclose(found.mean, expected[0], rtol=1e-9)
    np.testing.assert_allclose(1 / found.precision, expected[1], rtol=1e-9)
    kept = np.setdiff1d(np.arange(len(values)), odd)
    again = naive.fit(kind, w[np.ix_(kept, kept)], v[kept], design[kept], values[kept])
    assert own.rho == pytest.approx(again[0], abs=1e-5)
    assert own.variance == pytest.approx(again[2], rel=1e-4)


@EVERY_KIND
def test_brute_force_refits_without_the_area_differ_by_little(kind):
    """An area has a share of one in n in its own parameters: a few hundredths of a standard deviation."""
    links, values, x, weight = case(3, 1, True, one_way=False)
    found = leave_one_out(values, links, x, kind, weight=weight, outlier=None)
    w, v, design = dense(links, values, x, weight)
    refits = np.array([naive.refitted(kind, w, v, design, values, i) for i in range(0, len(values), 4)])
    apart = (found.mean[::4] - refits[:, 0]) * np.sqrt(found.precision[::4])
    assert np.abs(apart).max() < 0.3
    assert np.sqrt(np.mean(apart**2)) < 0.1
    np.testing.assert_allclose(1 / found.precision[::4], refits[:, 1], rtol=0.25)


@EVERY_KIND
def test_an_area_never_explains_itself(kind):
    links, values, x, weight = case(0, 2, True)
    own = leave_one_out(values, links, x, kind, weight=weight, outlier=None)
    changed = values.copy()
    changed[20] += 1e4
    found = leave_one_out(changed, links, x, weight=weight, outlier=None, parameters=own.parameters)
    assert found.mean[20] == pytest.approx(own.mean[20], rel=1e-9)
    assert (np.abs(found.mean - own.mean)[links[[20]].indices] > 1).all()
    np.testing.assert_allclose(found.precision, own.precision, rtol=1e-12)


@EVERY_KIND
def test_scores_on_a_field_of_the_model_are_standard_normal(kind):
    world = lattice(40, 40)
    links, rng = matrix(world), np.random.default_rng(5)
    near = links.toarray()
    made = {
        "sar_error": lambda e: 50 + np.linalg.solve(np.eye(1600) - 0.7 * naive.standardised(near), e),
        "sar_lag": lambda e: np.linalg.solve(np.eye(1600) - 0.7 * naive.standardised(near), 15 + e),
        "car": lambda e: 50 + np.linalg.solve(
            np.linalg.cholesky(np.diag(near.sum(axis=1)) - 0.9 * near).T, e
        ),
    }  # fmt: skip
    values = made[kind](rng.normal(size=1600))
    found = leave_one_out(values, links, kind=kind)
    z = scores(values, found)
    assert z.mean() == pytest.approx(0, abs=0.1)
    assert z.std() == pytest.approx(1, abs=0.05)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.05, abs=0.015)
    assert found.parameters.rho == pytest.approx(0.9 if kind == "car" else 0.7, abs=0.08)


# --- spreg ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def baltimore():
    """211 houses sold in Baltimore, and their queen neighbours, as they ship inside libpysal."""
    table = gpd.read_file(libpysal.examples.get_path("baltim.shp"))
    with open(libpysal.examples.get_path("baltim_q.gal")) as lines:
        rows = lines.read().splitlines()[1:]
    near = [{} for _ in range(len(table))]
    for head, tail in zip(rows[::2], rows[1::2], strict=True):
        near[int(head.split()[0]) - 1] = {int(j) - 1: 1.0 for j in tail.split()}
    return table, matrix(World(near))


def test_lag_model_of_spregs_documentation(baltimore):
    """Docstring of spreg.ML_Lag."""
    table, links = baltimore
    x = table[["NROOM", "NBATH", "PATIO", "FIREPL", "AC", "GAR", "AGE", "LOTSZ", "SQFT"]].to_numpy(float)
    own = leave_one_out(table["PRICE"].to_numpy(), links, x, "sar_lag", outlier=None).parameters
    printed = [4.3675, 0.7502, 5.6116, 7.0497, 7.7246, 6.1231, 4.6375, -0.1107, 0.0679, 0.0794]
    np.testing.assert_allclose(own.beta, printed, atol=5e-5)
    assert own.rho == pytest.approx(0.425885, abs=5e-7)
    assert own.variance == pytest.approx(151.458698, abs=5e-7)
    assert own.log_likelihood == pytest.approx(-832.937174, abs=5e-7)


def test_models_of_spregs_own_tests(baltimore):
    """Numbers in spreg's tests of ML_Error and ML_Lag, within the tolerance of its optimiser.

    The example in ML_Error's docstring needs a map (South) that has to be downloaded first.
    """
    table, links = baltimore
    values, x = table["PRICE"].to_numpy(), table[["NROOM", "AGE", "SQFT"]].to_numpy(float)
    error = leave_one_out(values, links, x, "sar_error", outlier=None).parameters
    np.testing.assert_allclose(error.beta, [19.45930348, 3.98928064, -0.16714232, 0.57336871], rtol=3e-7)
    assert error.rho == pytest.approx(0.71757002, abs=1e-7)
    assert error.variance == pytest.approx(219.239799, rel=1e-7)
    assert error.log_likelihood == pytest.approx(-881.269405, abs=5e-7)
    lag = leave_one_out(values, links, x, "sar_lag", outlier=None).parameters
    np.testing.assert_allclose(lag.beta, [-6.04040164, 3.48995114, -0.20103955, 0.65462382], rtol=1e-6)
    assert lag.rho == pytest.approx(0.62351143, abs=1e-7)


@pytest.mark.filterwarnings("ignore:Method 'bounded' does not support:RuntimeWarning")  # spreg's own
@pytest.mark.parametrize(("name", "kind"), [("ML_Error", "sar_error"), ("ML_Lag", "sar_lag")])
def test_parameters_of_a_fitted_spreg_model_can_be_taken(baltimore, name, kind):
    spreg = pytest.importorskip("spreg")
    table, links = baltimore
    values, x = table["PRICE"].to_numpy(), table[["NROOM", "AGE", "SQFT"]].to_numpy(float)
    w = libpysal.weights.WSP(links).to_W(silence_warnings=True)
    w.transform = "r"
    theirs = Parameters.from_spreg(getattr(spreg, name)(values[:, None], x, w))
    ours = leave_one_out(values, links, x, kind, outlier=None)
    assert theirs.kind == kind
    assert theirs.log_likelihood == pytest.approx(ours.parameters.log_likelihood, abs=1e-6)
    found = leave_one_out(values, links, x, parameters=theirs, outlier=None)
    np.testing.assert_allclose(found.mean, ours.mean, rtol=1e-5)
    np.testing.assert_allclose(found.precision, ours.precision, rtol=1e-5)
    with pytest.raises(InputError, match=r"fitted needs to be a spreg\.ML_Error"):
        Parameters.from_spreg(spreg.OLS(values[:, None], x))


# --- outliers ---------------------------------------------------------------------------------------


@EVERY_KIND
@pytest.mark.parametrize("size", [8.0, 300.0])
def test_gross_outliers_do_not_pull_their_neighbours(kind, size):
    """One in a hundred areas is off by many standard deviations; the rest of the map does not notice."""
    world = lattice(30, 30)
    links = matrix(world)
    values, _ = field(world, rho=0.7, seed=3)
    odd = np.random.default_rng(4).choice(900, 9, replace=False)
    calm = leave_one_out(values, links, kind=kind, outlier=None)
    values[odd] += size * 2
    beside = np.setdiff1d(links[odd].indices, odd)

    def pull(found):
        return ((found.mean - calm.mean) * np.sqrt(calm.precision))[beside].mean()

    cleaned = leave_one_out(values, links, kind=kind)
    assert cleaned.set_aside[odd].all()
    assert cleaned.set_aside.sum() <= 9 + 5
    assert abs(pull(cleaned)) < 0.1  # what the areas said before they were spoilt is lost
    assert cleaned.parameters.rho == pytest.approx(calm.parameters.rho, abs=0.04)
    assert cleaned.parameters.variance == pytest.approx(calm.parameters.variance, rel=0.07)
    assert (scores(values, cleaned)[odd] > 8).all()
    assert "set aside" in " ".join(cleaned.notices)
    assert pull(leave_one_out(values, links, kind=kind, outlier=None)) > 0.8


def test_a_tenth_of_the_map_may_be_off_and_no_more_is_set_aside():
    world = lattice(25, 25)
    values, _ = field(world, seed=6)
    odd = np.random.default_rng(7).choice(625, 55, replace=False)
    values[odd] += 25
    found = leave_one_out(values, matrix(world))
    assert found.set_aside[odd].all()
    half = np.where(np.arange(625) % 5 < 3, 0.0, np.random.default_rng(8).normal(0, 50, 625))
    spiky = leave_one_out(half * (np.random.default_rng(9).random(625) < 0.7), matrix(world))
    assert 55 <= spiky.set_aside.sum() <= 63


# --- who takes part ---------------------------------------------------------------------------------


@EVERY_KIND
def test_missing_areas_are_as_if_they_were_not_there(kind):
    links, values, x, weight = case(1, 2, True)
    gone = [3, 15, 16, 30]
    holed, lacking = values.copy(), x.copy()
    holed[gone[:2]], lacking[gone[2:], 1], weight[gone[0]] = np.nan, np.nan, np.nan
    found = leave_one_out(holed, links, lacking, kind, weight=weight)
    assert np.isnan(found.mean[gone]).all()
    assert np.isnan(found.precision[gone]).all()
    rest = np.setdiff1d(np.arange(len(values)), gone)
    alone = leave_one_out(values[rest], links[rest][:, rest], x[rest], kind, weight=weight[rest])
    np.testing.assert_array_equal(found.mean[rest], alone.mean)
    np.testing.assert_array_equal(found.precision[rest], alone.precision)
    assert found.notices[0] == "2 areas have a value and lack a covariate: they are missing."


@EVERY_KIND
def test_isolates_have_the_regression_alone(kind):
    world = with_island(lattice(6, 7, seed=2))
    values, x = field(world, p=1, seed=2)
    links, weight = matrix(world), np.random.default_rng(2).uniform(1, 2, 43)
    found = leave_one_out(values, links, x, kind, weight=weight, outlier=None)
    inner = leave_one_out(values[:-1], links[:-1][:, :-1], x[:-1], kind, weight=weight[:-1], outlier=None)
    np.testing.assert_allclose(found.mean[:-1], inner.mean, rtol=1e-12)
    own = found.parameters
    regression = own.beta @ [1, x[-1, 0]]
    mean = regression / (1 - own.rho) if kind == "sar_lag" else regression
    assert found.mean[-1] == pytest.approx(mean)
    design = np.column_stack([np.ones(42), x[:-1]])
    middle = naive.centre(kind, links.toarray()[:-1, :-1], design, own.rho, own.beta)
    spread = np.mean(weight[:-1] * (values[:-1] - middle) ** 2)
    assert found.precision[-1] == pytest.approx(weight[-1] / spread)
    assert "1 of 43 areas have no neighbour" in found.notices[-1]


@EVERY_KIND
def test_an_area_that_is_only_named_by_others_takes_part(kind):
    links, values, *_ = case(0, 0, False)
    dense_links = links.toarray()
    dense_links[8] = 0.0
    found = leave_one_out(values, sparse.csr_array(dense_links), kind=kind, outlier=None)
    own, design = found.parameters, np.ones((len(values), 1))
    mean = naive.centre(kind, dense_links, design, own.rho, own.beta)
    cov = naive.covariance(kind, dense_links, np.ones(len(values)), own.rho, own.variance)
    np.testing.assert_allclose(found.mean, naive.given_others(values, mean, cov)[0], rtol=1e-9)
    assert own.rho == pytest.approx(
        naive.fit(kind, dense_links, np.ones(len(values)), design, values)[0], abs=1e-5
    )


@EVERY_KIND
def test_order_and_units_do_not_matter_and_input_stays(kind):
    links, values, x, weight = case(2, 2, True)
    values[11] += 30
    kept = [each.copy() for each in (links.data, values, x, weight)]
    found = leave_one_out(values, links, x, kind, weight=weight)
    order = np.random.default_rng(1).permutation(len(values))
    shuffled = sparse.csr_array(links[order][:, order]) * 7.0
    other = leave_one_out(
        values[order] * 1000 - 5e4, shuffled, x[order] * [3, 0.01] + [9, 0], kind, weight=weight[order] * 5
    )
    np.testing.assert_allclose((other.mean + 5e4) / 1000, found.mean[order], rtol=1e-6)
    np.testing.assert_allclose(other.precision * 1e6, found.precision[order], rtol=1e-5)
    np.testing.assert_array_equal(other.set_aside, found.set_aside[order])
    for before, after in zip(kept, (links.data, values, x, weight), strict=True):
        np.testing.assert_array_equal(before, after)


def test_own_weights_and_zero_weights_are_no_neighbours():
    links, values, *_ = case(0, 0, False)
    other = sparse.csr_array(links + sparse.diags_array(np.full(len(values), 3.0)))
    a, b = (leave_one_out(values, each) for each in (links, other))
    np.testing.assert_array_equal(a.mean, b.mean)


def test_a_covariate_that_the_others_make_up_changes_nothing():
    links, values, x, _ = case(1, 2, False)
    more = np.column_stack([x[:, 0], np.full(len(x), 4.0), x[:, 1], x.sum(axis=1)])
    found, plain = leave_one_out(values, links, more), leave_one_out(values, links, x)
    np.testing.assert_allclose(found.mean, plain.mean, rtol=1e-9)
    np.testing.assert_allclose(found.parameters.beta, np.insert(plain.parameters.beta, [2, 3], 0), atol=1e-8)


@EVERY_KIND
def test_where_nothing_can_be_fitted_there_are_no_conditionals(kind):
    world = lattice(5, 5)
    nothing = {
        "all alike": (np.full(25, 7.0), matrix(world)),
        "all missing": (np.full(25, np.nan), matrix(world)),
        "few": (np.where(np.arange(25) < 10, np.arange(25.0), np.nan), matrix(world)),
        "no neighbours": (np.arange(25.0), sparse.csr_array((25, 25))),
        "one area": (np.array([3.0]), sparse.csr_array((1, 1))),
    }
    for name, (values, links) in nothing.items():
        found = leave_one_out(values, links, kind=kind)
        assert np.isnan(found.mean).all(), name
        assert np.isnan(found.precision).all(), name
        assert found.parameters is None
        if name in ("all missing", "no neighbours", "one area"):
            given = leave_one_out(values, links, parameters=Parameters(kind, 0.5, np.ones(1), 1.0))
            assert np.isnan(given.mean).all()
        need = "differ from each other" if name == "all alike" else "needs 11 areas with a value"
        assert need in found.notices[0]


def test_weights_of_one_direction_are_averaged_for_a_car():
    links, values, *_ = case(0, 0, False)
    found = leave_one_out(values, links, kind="car")
    assert found.notices[0] == "Weights differ by direction: a car takes the mean of both."
    both = leave_one_out(values, sparse.csr_array((links + links.T) / 2), kind="car")
    np.testing.assert_allclose(found.mean, both.mean, rtol=1e-9)
    assert not both.notices


def test_arguments_that_do_not_fit_are_said_together():
    links = matrix(lattice(4, 4))
    negative = links.copy()
    negative.data[3] = -1.0
    with pytest.raises(InputError) as caught:
        leave_one_out(
            np.r_[np.inf, np.ones(15)], negative, kind="sem", weight=np.r_[np.ones(15), 0.0]
        )  # fmt: skip
    assert caught.value.problems == [
        "kind needs to be one of sar_error, sar_lag, car; got 'sem'.",
        "weights need to be 0 or more; got others (rows 1 of 84; first: 1).",
        "values need to be finite or NaN; got infinite ones (rows 1 of 16; first: 0).",
        "weight needs to be above 0; got others (rows 1 of 16; first: 15).",
    ]
    with pytest.raises(
        InputError, match=r"weights need to have shape \(9, 9\), as the values; got \(16, 16\)"
    ):
        leave_one_out(np.ones(9), links, weight=np.ones(8))
    with pytest.raises(InputError, match="parameters need to have 2 coefficients, the intercept first"):
        leave_one_out(
            np.ones(16), links, np.ones((16, 1)), parameters=Parameters("car", 1.5, np.ones(1), 1.0)
        )


@EVERY_KIND
def test_no_matrix_is_dense(kind):
    """One of all pairs of these areas would take 200 MB."""
    rows, cols = 50, 100
    links = matrix(lattice(rows, cols))
    rng = np.random.default_rng(0)
    values = rng.normal(size=rows * cols)
    values[rng.choice(rows * cols, 50, replace=False)] += 20
    tracemalloc.start()
    found = leave_one_out(values, links, kind=kind)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.set_aside.sum() >= 50
    assert peak < 40e6
