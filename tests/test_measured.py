"""Values that measure a field with errors of their own: dense algebra, weights that say nothing, power."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import zoo_geo as zg
from naive import conditionals as naive
from panels import by_area, lattice, with_island
from test_conditionals import EVERY_KIND, case, dense, matrix
from zoo_geo import measured
from zoo_geo.errors import InputError
from zoo_geo.kernels.inverses import diagonal_of_inverse
from zoo_geo.measured import leave_one_out
from zoo_geo.notices import compared, told

SMALL = [(0, 0, True), (3, 2, True)]


# --- against dense algebra --------------------------------------------------------------------------


@cache
def fitted(kind, which):
    """What is left out of a small map, with no value set aside."""
    links, values, x, weight = case(*which)
    return leave_one_out(values, links, x, kind, weight=weight, outlier=None)


@pytest.mark.slow
@EVERY_KIND
@pytest.mark.parametrize("which", SMALL)
@pytest.mark.parametrize("odd", [(), (16, 17, 33)])
def test_conditionals_are_those_of_a_field_and_errors(kind, which, odd):
    """One factor on the variance of the field is all that may differ, the same for all areas."""
    links, values, x, weight = case(*which)
    values[list(odd)] += 60
    found = leave_one_out(values, links, x, kind, weight=weight, outlier=3.5) if odd else fitted(kind, which)
    assert found.set_aside[list(odd)].all()
    odd = np.flatnonzero(found.set_aside).tolist()
    w, v, design = dense(links, values, x, weight)
    own = found.parameters
    mean = naive.centre(kind, w, design, own.rho, own.beta)
    cov = naive.measured_covariance(kind, w, v, own.rho, own.variance, own.error, own.between)
    expected, variance = naive.given_others(values, mean, cov, odd)
    np.testing.assert_allclose(found.mean, expected, rtol=1e-6)
    error = own.error / v + own.between
    trust = (1 / found.precision - error) / (variance - error)
    np.testing.assert_allclose(trust, trust[0], rtol=1e-4)
    assert 1 / 20 <= trust[0] <= 20


@pytest.mark.slow
@EVERY_KIND
@pytest.mark.parametrize("which", SMALL)
def test_parameters_are_those_of_most_likelihood(kind, which):
    links, values, x, weight = case(*which)
    own = fitted(kind, which).parameters
    w, v, design = dense(links, values, x, weight)
    best = np.array([own.rho, own.variance, own.error, own.between])
    beta, likelihood = naive.measured_likelihood(kind, w, v, design, values, *best)
    np.testing.assert_allclose(own.beta, beta, rtol=1e-5)
    assert own.log_likelihood == pytest.approx(likelihood, abs=1e-6)
    rng = np.random.default_rng(0)
    for _ in range(60):
        other = best * np.exp(rng.normal(0, 0.3, 4)) + [0, 0, *rng.uniform(0, 0.2, 2)]
        other[0] = np.clip(other[0], -0.99, 0.99)
        assert naive.measured_likelihood(kind, w, v, design, values, *other)[1] < likelihood + 0.02


@pytest.mark.parametrize("holes", [False, True])
def test_diagonal_of_an_inverse(holes):
    """An entry of the factor that happens to be 0 leaves its place out, and then the loop says so."""
    if holes:
        full = np.array([[2.0, 1, 1, 0], [1, 2, 0.5, 1], [1, 0.5, 2, 1], [0, 1, 1, 3]])
    else:
        near = matrix(lattice(6, 6, seed=3)).toarray()
        full = np.diag(near.sum(axis=0) + near.sum(axis=1) + 0.1) - near - near.T
    lu = sparse.linalg.splu(
        sparse.csc_matrix(full), permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )
    lower, found = lu.L, np.empty(len(full))
    csc = lower.indptr.astype(np.intp), lower.indices.astype(np.intp), lower.data
    assert diagonal_of_inverse(*csc, lu.U.diagonal(), found) is not holes
    expected = np.linalg.inv(full).diagonal()
    np.testing.assert_allclose(measured._diagonal(lu), expected, rtol=1e-10)
    if not holes:
        np.testing.assert_allclose(found, expected, rtol=1e-10)


# --- what comes back --------------------------------------------------------------------------------


def surface(side, law, seed=0, planted=0, size=8.0):
    """A smooth surface, residents, and values whose variance is ``weights``', ``equal`` or ``both``."""
    rng = np.random.default_rng(seed)
    world, n = lattice(side, side), side * side
    at = np.column_stack(np.divmod(np.arange(n), side)) / side
    weight = np.maximum(np.round(np.exp(rng.normal(6.5, 1.4, n))), 5.0)
    k, phase = rng.normal(0, 4, (60, 2)), rng.uniform(0, 2 * np.pi, 60)
    smooth = np.sqrt(2 / 60) * np.cos(at @ k.T + phase).sum(axis=1)
    light = np.median(weight) / weight
    deviation = np.sqrt({"weights": light, "equal": np.ones(n), "both": (1 + light) / 2}[law])
    values = 100 + 3 * smooth + deviation * rng.normal(size=n)
    odd = rng.choice(n, planted, replace=False)
    values[odd] += size * deviation[odd] * rng.choice([-1, 1], planted)
    return world, values, weight, odd


@pytest.mark.slow
@pytest.mark.parametrize(("law", "parts"), [("weights", (1, 0)), ("equal", (0, 1)), ("both", (0.5, 0.5))])
def test_errors_come_back(law, parts):
    """Twelve gross outliers among them."""
    world, values, weight, odd = surface(24, law, seed=1, planted=12, size=12.0)
    found = leave_one_out(values, matrix(world), weight=weight)
    own = found.parameters
    assert (own.error / np.median(weight), own.between) == pytest.approx(parts, abs=0.15)
    assert found.set_aside[odd].all()
    assert found.set_aside.sum() < 18
    assert own.rho > 0.98


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["sar", "car", "model"])
def test_weights_that_do_not_fit_cost_no_power(reference):
    """None of these was found with residents as the weights of values that do not depend on them."""
    power, few, none = {}, [], []
    for law in ("weights", "equal", "both"):
        world, values, weight, odd = surface(18, law, seed=5, planted=6, size=9.0)
        x = np.random.default_rng(1).normal(size=len(world))
        features = None
        if reference == "model":  # covariates tell the surface, and no more
            calm = surface(18, law, seed=5)[1]
            values, features = values - calm + 3 * x, pd.DataFrame({"x": x}, index=world.codes)
            noise = np.random.default_rng(2).normal(size=len(world))
            values += noise * np.sqrt(np.median(weight) / weight if law == "weights" else 1.0)
        panel = world.panel(values, weight, "gaussian")
        found = zg.Deviation(reference).detect(panel, world.graph(), features=features)
        p = by_area(found.frame, "p_value", world)
        alike = np.delete(p, odd)
        power[law] = (p[odd] <= 0.001).mean()
        few.append((alike <= 0.05).mean())
        heavy = np.delete(weight > np.median(weight), odd)
        none.append([(alike[half] <= 0.01).mean() for half in (heavy, ~heavy)])
        assert not any("weight lie" in notice for notice in found.notices)
    assert min(power.values()) >= 0.75, power
    assert 0.01 <= np.mean(few) <= 0.06
    assert np.max(none) <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sar_error", "car"])
def test_a_field_too_rough_is_trusted_more(kind):
    """A car knows no smooth surface; values of much weight would be judged too mildly by five times."""
    world, values, weight, _ = surface(24, "weights", seed=3)
    found = leave_one_out(values, matrix(world), kind=kind, weight=weight)
    away = np.abs(values - found.mean) * np.sqrt(found.precision)
    heavy = weight > np.median(weight)
    assert np.median(away[heavy]) / np.median(away[~heavy]) == pytest.approx(1.0, abs=0.12)
    if kind == "sar_error":  # the level of a car is off (.9 here); `Deviation` scales by the residuals
        assert np.median(away) == pytest.approx(0.674, abs=0.15)


def test_trust_is_the_factor_that_evens_halves_and_else_one():
    rng = np.random.default_rng(0)
    error = np.repeat([0.01, 1.0], 5_000)
    heavy = error < 0.5
    for true in (0.1, 0.3, 1.0):
        away = np.abs(rng.normal(size=10_000)) * np.sqrt(true + error)
        assert measured._trust(away, np.ones(10_000), error, heavy) == pytest.approx(true, rel=0.25)
    wrong = np.abs(rng.normal(size=10_000)) * np.where(heavy, 9.0, 1.0)
    assert measured._trust(wrong, np.full(10_000, 1e-9), np.ones(10_000), heavy) == 1.0
    assert measured._trust(np.zeros(40), np.ones(40), np.ones(40), np.arange(40) < 20) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["sar", "car", "model"])
def test_values_of_much_weight_that_vary_more_are_told(reference):
    """No variance between areas mends that: the weights are the wrong way round."""
    world, _, weight, _ = surface(20, "equal")
    rng = np.random.default_rng(2)
    values = 50 + rng.normal(size=400) * np.sqrt(weight / np.median(weight))
    features = pd.DataFrame({"x": rng.normal(size=400)}, index=world.codes)
    given = {"features": features} if reference == "model" else {}
    found = zg.Deviation(reference).detect(world.panel(values, weight, "gaussian"), world.graph(), **given)
    (notice,) = [each for each in found.notices if "weight lie" in each]
    assert notice.startswith(f"y against {reference}: values of much weight lie ")
    assert f"tegenover {compared(reference)}: waarden met veel gewicht liggen" in told(notice, "nl")


# --- odd input --------------------------------------------------------------------------------------


@pytest.mark.slow
@EVERY_KIND
def test_order_and_units_do_not_matter_and_input_stays(kind):
    world, values, weight, _ = surface(8, "both", seed=2, planted=2, size=20.0)
    links, x = matrix(world), np.random.default_rng(4).normal(size=(64, 1))
    kept = [each.copy() for each in (links.data, values, x, weight)]
    found = leave_one_out(values, links, x, kind, weight=weight)
    order = np.random.default_rng(1).permutation(64)
    shuffled = sparse.csr_array(links[order][:, order]) * 7.0
    other = leave_one_out(
        values[order] * 1000 - 5e4, shuffled, x[order] * 3 + 9, kind, weight=weight[order] * 5
    )
    scale = 1 / np.sqrt(found.precision[order])
    np.testing.assert_allclose((other.mean + 5e4) / 1000 / scale, found.mean[order] / scale, atol=0.02)
    np.testing.assert_allclose(other.precision * 1e6, found.precision[order], rtol=0.02)
    np.testing.assert_array_equal(other.set_aside, found.set_aside[order])
    for before, after in zip(kept, (links.data, values, x, weight), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.slow
@EVERY_KIND
def test_missing_areas_and_islands(kind):
    world = with_island(lattice(7, 7))
    rng = np.random.default_rng(3)
    values, weight = rng.normal(20, 2, 50), np.exp(rng.normal(5, 1, 50))
    gone = [4, 30]
    values[4], weight[4], values[30] = np.nan, np.nan, np.nan
    found = leave_one_out(values, matrix(world), kind=kind, weight=weight)
    rest = np.setdiff1d(np.arange(50), gone)
    links = matrix(world)[rest][:, rest]
    alone = leave_one_out(values[rest], links, kind=kind, weight=weight[rest])
    assert np.isnan(found.mean[gone]).all()
    np.testing.assert_array_equal(found.mean[rest], alone.mean)
    np.testing.assert_array_equal(found.precision[rest], alone.precision)
    own = found.parameters
    level = own.beta[0] / (1 - own.rho) if kind == "sar_lag" else own.beta[0]
    assert found.mean[49] == pytest.approx(level, rel=1e-6)
    assert 0 < found.precision[49] <= 1 / (own.error / weight[49] + own.between) * (1 + 1e-9)
    assert "1 of 48 areas have no neighbour" in " ".join(found.notices)


@EVERY_KIND
def test_where_nothing_can_be_fitted_there_are_no_conditionals(kind):
    links, weight = matrix(lattice(5, 5)), np.arange(1.0, 26)
    nothing = [np.full(25, 7.0), np.full(25, np.nan), np.where(np.arange(25) < 10, np.arange(25.0), np.nan)]
    for values in nothing:
        found = leave_one_out(values, links, kind=kind, weight=weight)
        assert np.isnan(found.mean).all()
        assert found.parameters is None
        assert found.notices
    with pytest.raises(InputError, match="weight needs to be above 0; got others"):
        leave_one_out(np.arange(25.0), links, kind=kind, weight=np.arange(25.0))


@pytest.mark.parametrize("reference", ["sar", "car"])
def test_a_column_without_a_single_value_has_no_expectation(reference):
    world, values, weight, _ = surface(6, "equal")
    table = pd.DataFrame({"area": world.codes, "y": values, "none": np.nan, "weight": weight})
    panel = zg.Panel.from_frame(
        table, area="area", observed=["y", "none"], exposure="weight", family="gaussian"
    )
    frame = zg.Deviation(reference).detect(panel, world.graph()).frame.set_index("indicator")
    assert (frame.loc["y", "status"] == "ok").all()
    assert frame.loc["none", "expected"].isna().all()
