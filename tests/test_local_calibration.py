"""Groups that local statistics find on small simulated maps: few false ones, and most of those planted."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks import local_calibration as calibration
from benchmarks.country import build
from scipy import sparse

from panels import lattice
from zoo_geo import expectation as ex
from zoo_geo.expectation import Expectation
from zoo_geo.predictive import FAMILIES

SMALL = calibration.World(scale=60.0, clusters=10)
"""The trend is as long, in steps from area to area, as 25 km are on the whole country."""


@pytest.fixture(scope="module")
def country():
    return build(2_500, seed=3)


@pytest.fixture(scope="module")
def over_residuals(country):
    rows, clusters = calibration.measure(
        country, SMALL, 2, ("residual",), ("G*", "Moran"), permutations=29_999, seed=5
    )
    return calibration.summary(rows, clusters, ["detector"])


@pytest.mark.slow
def test_calm_areas_are_as_calm_as_p_says(over_residuals):
    assert over_residuals["P(p<=.05)/.05"].between(0.7, 1.15).all()
    assert (over_residuals["P(p<=.01)/.01"] < 1.4).all()
    assert (over_residuals["P(p<=.001)/.001"] < 3.0).all()


@pytest.mark.slow
def test_few_discoveries_are_groups_that_nobody_planted(over_residuals):
    assert (over_residuals["discoveries"] >= 100).all()
    assert (over_residuals["FDR group"] <= 0.15).all()


@pytest.mark.slow
def test_most_planted_clusters_that_can_be_found_are_found(over_residuals):
    """Of ratio 2, with eight or more expected events, over spreads of 0, 0.1 and 0.3."""
    assert over_residuals.loc["G*", "found x2"] >= 0.4
    assert over_residuals.loc["G*", "found x2"] >= 0.6 * over_residuals.loc["G*", "told where x2"]
    assert over_residuals.loc["G*", "found x3"] >= 0.6


@pytest.mark.slow
def test_raw_and_smoothed_rates_would_pass_neither_bound(country):
    """Over rates a trend is a pattern: why they are not the default."""
    rows, clusters = calibration.measure(
        country, SMALL, 1, ("rate", "eb_rate"), ("G*", "Moran"), permutations=29_999, seed=5
    )
    found = calibration.summary(rows, clusters, ["value", "detector"])
    assert (found["P(p<=.01)/.01"] > 2.0).all()
    assert (found["FDR group"] > 0.5).all()
    assert (found["found x2"] < 0.4).all()


# --- what residuals are made of ---------------------------------------------------------------------


def matrix(world):
    table = np.zeros((len(world), len(world)))
    for i, row in enumerate(world.near):
        table[i, list(row)] = list(row.values())
    return sparse.csr_array(table)


def expectation(rate, strength, spread):
    columns = rate.shape[1]
    strength, spread = (np.full(rate.shape, value) for value in (strength, spread))
    none = np.zeros(columns, int), np.full(columns, np.inf)
    return Expectation(rate, strength, spread, *none, np.ones_like(rate), (None,) * columns)


def test_error_of_an_expectation_counts_once_for_every_area_of_the_group():
    world = lattice(4, 5)
    valid = np.ones((20, 2), bool)
    valid[[1, 7], 1] = False
    fit = expectation(np.ones((20, 2)), 60.0, 0.0)
    strength = ex.shared(fit, valid, matrix(world)).strength
    for c in range(2):
        for i in range(20):
            group = 1 + sum(valid[j, c] for j in world.near[i])
            assert strength[i, c] == pytest.approx(60.0 / group)


def test_group_sums_of_residuals_that_share_an_error_have_the_variance_of_independent_ones():
    """Counts around an expectation whose error all areas of a group share: the reason for `shared`."""
    rng = np.random.default_rng(0)
    members, strength, size = 7, 150.0, np.full((4_000, 7), 2_000.0)
    error = rng.gamma(strength, 1.0 / strength, (4_000, 1))
    seen = rng.poisson(size * 0.1 * error).astype(float)
    fit = expectation(np.full(seen.shape, 0.1), strength, 1e-5)
    ring = sparse.csr_array(np.ones((members, members)) - np.eye(members))
    law, valid = FAMILIES["poisson"], np.ones(seen.shape, bool)
    together = ex.shared(replace(fit, strength=fit.strength.T), valid.T, ring).strength.T
    spread = [
        ex.residuals(seen, size, valid, law, each).sum(1).std() / np.sqrt(members)
        for each in (fit, replace(fit, strength=together))
    ]
    assert spread[0] > 1.6
    assert spread[1] == pytest.approx(1.0, abs=0.07)


def test_groups_are_odd_as_a_whole_and_only_their_odd_side_leaves():
    world = lattice(9, 9)
    weights = matrix(world)
    rng = np.random.default_rng(1)
    away = rng.normal(0, 0.3, (81, 1))
    group = [40, *world.near[40]]
    away[group] = 2.0
    away[10] = 9.0  # one area alone, however odd, is no group
    away[30] = -0.4  # on the other side than its group
    away[5] = np.nan
    odd = ex.odd_together(away, weights)[:, 0]
    np.testing.assert_array_equal(odd, naive_odd_together(world, away[:, 0]))
    assert odd[40]
    assert not odd[[5, 10, 30]].any()


def naive_odd_together(world, away):
    known = {i: x for i, x in enumerate(away) if not np.isnan(x)}
    mean = sum(known.values()) / len(known)
    capped = {i: max(-3.0, min(3.0, x - mean)) for i, x in known.items()}
    groups = [[j for j in (i, *world.near[i]) if j in known] for i in range(len(world))]
    whole = [
        sum(capped[j] for j in group) / (1 + len(set(group) - {i})) ** 0.5 for i, group in enumerate(groups)
    ]
    return [
        i in known and any(abs(whole[j]) > 3.0 and whole[j] * capped[i] > 0 for j in (i, *world.near[i]))
        for i in range(len(world))
    ]
