"""The worlds on which the engine is measured, the fair oracle, and what users do with peers' packages."""

import itertools

import numpy as np
import pandas as pd
import pytest
from benchmarks import calibration
from benchmarks.country import CLASSES, World, build, real, simulate
from scipy import integrate, stats

from zoo_geo.significance import adjust, significant

QUICK = ("raw-rate z", "funnel", "overdispersed funnel")


@pytest.fixture(scope="module")
def country():
    return build(900, seed=2)


def drawn(country, world, level=0.05, phi=0.1, seed=0):
    return simulate(country, np.random.default_rng(seed), level, phi, world)


@pytest.mark.slow
@pytest.mark.parametrize("name", calibration.SCENARIOS)
def test_the_oracle_is_calibrated_in_every_world(country, name):
    """Off-planted areas have uniform p, apart from what counts can tell."""
    world, shares, odd = calibration.SCENARIOS[name], [], []
    level, phi = calibration.LEVELS[world.family][2], calibration.SPREADS[world.family][1]
    for seed in range(8):
        each = drawn(country, world, level, phi, seed)
        p = calibration.oracle_p(country, each, world.family)
        assert np.isnan(p[country.residents == 0]).all()
        calm = ~each.planted & (country.residents * each.rate >= 10)
        shares.append([(p[calm] <= a).mean() / a for a in (0.05, 0.01)])
        odd.extend(p[each.planted])
    (often, seldom) = np.mean(shares, axis=0)
    assert often == pytest.approx(1.0, abs=0.15)
    assert seldom == pytest.approx(1.0, abs=0.45)
    assert np.median(odd) < 0.25


@pytest.mark.slow
def test_the_oracle_integrates_over_visitors_and_lognormal_spread(country):
    for world, phi in ((World(hidden=1.5), 0.1), (World(law="lognormal"), 0.3)):
        each = drawn(country, world, phi=phi)
        p = calibration.oracle_p(country, each, "poisson")
        for i in np.flatnonzero(country.residents > 0)[:5]:
            o, size, rate = each.observed[i], country.residents[i], each.rate[i]
            assert p[i] == pytest.approx(by_quadrature(o, size, rate, phi, world), rel=1e-3, abs=1e-9)


def by_quadrature(o, size, rate, phi, world):
    """Two-sided mid-p over a normal variable, by scipy's adaptive quadrature."""

    def law(z):
        if world.hidden:
            mean = (size + 40.0 * np.exp(world.hidden * z)) * rate
            return stats.nbinom(1 / phi, 1 / (1 + phi * mean))
        sd = np.sqrt(np.log1p(phi))
        return stats.poisson(size * rate * np.exp(sd * z - sd**2 / 2))

    def tail(side):
        def part(z):
            return (side(law(z)) + 0.5 * law(z).pmf(o)) * stats.norm.pdf(z)

        return integrate.quad(part, -7, 7, limit=200, points=[-2, 0, 2])[0]

    return min(1.0, 2 * min(tail(lambda x: x.sf(o)), tail(lambda x: x.cdf(o - 1))))


def test_worlds_are_what_they_say(country):
    cold = drawn(country, World(anomaly="cold"))
    ratio = cold.observed / (country.residents * cold.rate).clip(1e-9)
    assert ratio[cold.planted].max() < 1.6
    burst = drawn(country, World(anomaly="burst", share=0.05), phi=0.0)
    added = (burst.observed - country.residents * burst.rate)[burst.planted]
    assert 15 < np.median(added) < 60
    peer = drawn(country, World(anomaly="peer"), phi=0.0)
    assert set(peer.classes[peer.planted]) == {0, len(CLASSES) - 1}
    large = peer.planted & (country.residents * peer.rate > 30)
    logs = np.log((peer.observed / country.residents.clip(1) / peer.rate)[large])
    np.testing.assert_allclose(logs, -np.array(CLASSES)[peer.classes[large]], atol=0.5)
    hidden, usual = drawn(country, World(hidden=1.5)), drawn(country, World())
    small = (country.residents > 0) & (country.residents < 60)
    assert hidden.observed[small].sum() > 1.8 * usual.observed[small].sum()
    assert hidden.observed[country.residents == 0].sum() == 0


def test_ways_of_users_promise_too_much(country):
    """A funnel without spread flags a country; tau^2 helps; nobody is calibrated under a trend."""
    world = World()
    chosen = {
        name: way for name, way in calibration.methods(world).items() if name in (*QUICK, "fair oracle")
    }
    rows, classes = calibration.compare(country, world, 2, 1, chosen)
    found = calibration.summary(rows, ["method"])
    assert found.index.tolist() == [*QUICK, "fair oracle"]
    assert found.loc["funnel", "FDR"] > found.loc["overdispersed funnel", "FDR"] > 0.4
    assert found.loc["fair oracle", "FDR"] < 0.15
    assert found.loc["fair oracle", "power/oracle"] == 1.0
    shares = calibration.share_by_expected(classes)
    oracle = shares.loc["fair oracle"]
    assert oracle.index.tolist() == ["below 1", "1 to 10", "10 to 100", "100 and more"]
    assert oracle.loc[["10 to 100", "100 and more"], "P(p<=0.05)/0.05"].between(0.7, 1.3).all()
    assert calibration.as_markdown(found).count("\n") == 5


def test_winsorised_scores_give_the_spread_of_true_rates():
    """tau^2 of Spiegelhalter, from its formula by hand."""
    rng = np.random.default_rng(0)
    size = np.round(rng.uniform(2_000, 4_000, 500))
    seen = rng.poisson(size * 0.05 * rng.gamma(20, 1 / 20, 500)).astype(float)
    y = np.sqrt(seen / (size * seen.sum() / size.sum())) - 1
    s = 0.5 / np.sqrt(size * seen.sum() / size.sum())
    low, high = np.quantile(y / s, [0.1, 0.9])
    phi = sum(min(max(a / b, low), high) ** 2 for a, b in zip(y, s, strict=True)) / 500
    w = s**-2.0
    tau2 = (500 * phi - 499) / (w.sum() - (w**2).sum() / w.sum())
    expected = 2 * stats.norm.sf(np.abs(y) / np.sqrt(s**2 + tau2))
    p = calibration._wide_funnel(seen, size, "poisson")
    np.testing.assert_allclose(p, expected, rtol=1e-10)
    assert tau2 > 0.003


SLACK = 2.5
"""Standard errors of sampling on top of what is aimed at."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "fdr", "precision"),
    [
        (World(), 0.06, 0.9),
        (World(scale=6.0), 0.09, 0.75),
        (World(law="lognormal"), 0.12, 0.85),
        (World(hidden=1.5), 0.2, 0.5),
    ],
    ids=["smooth", "rough", "lognormal", "hidden"],
)
def test_p_means_what_it_says(world, fdr, precision):
    """What is aimed at for a country, and room for a sample of 3,500 areas and few indicators."""
    land, rows = build(3_500, seed=4), []
    for level, phi in itertools.product((0.02, 0.08), (0.1, 0.3)):
        rng = np.random.default_rng([3, int(level * 1000), int(phi * 1000)])
        draws = [simulate(land, rng, level, phi, world) for _ in range(3 if world.hidden else 2)]
        p = calibration.deviation(land, draws, world)
        assert (np.isnan(p) == (land.residents == 0)[:, None]).all()
        rows += [calibration.tally(land, each, level, p[:, k], "poisson") for k, each in enumerate(draws)]
    found = calibration.summary(pd.DataFrame([vars(row) for row in rows]), []).iloc[0]
    flagged = sum(row.false + row.found for row in rows)
    tested = len(rows) * (land.residents * 0.05 >= 10).sum()
    for level, low, high in ((0.05, 0.8, 1.25), (0.01, 0.8, 1.25), (0.001, 0.7, 1.4)):
        share, chance = found[f"P(p<={level:g})/{level:g}".replace("0.", ".")], (1 / tested / level) ** 0.5
        assert low - SLACK * chance < share < high + SLACK * chance
    assert found["FDR"] < fdr + SLACK * (fdr * (1 - fdr) / flagged) ** 0.5
    assert found["precision at 50/oracle"] > precision
    assert flagged >= (12 if world.hidden else 50)


@pytest.mark.slow
def test_peers_of_the_same_class_see_what_neighbours_do_not(country):
    world = calibration.SCENARIOS["peer outlier"]
    each = [drawn(country, world, phi=0.0, seed=seed) for seed in range(2)]
    p = {name: way(country, each, world) for name, way in calibration.methods(world, peers=False).items()}
    for k, one in enumerate(each):
        near, alike, inside = (np.median(p[name][one.planted, k]) for name in p)
        assert alike < 0.05 < near
        assert inside < 0.05


@pytest.mark.slow
@pytest.mark.shared_data
def test_the_real_map_serves_as_country(shared_data):
    country = real()
    assert country.residents.size == 14_566
    assert 17e6 < country.residents.sum() < 19e6
    assert 5.8 < country.graph.cardinalities.mean() < 6.1
    assert 200 < np.ptp(country.xy[:, 0]) < 350


def test_rates_by_class_differ_by_class_and_not_only_where_planted(country):
    each = drawn(country, World(by_class=True), level=0.5, phi=0.0)
    alike = drawn(country, World(), level=0.5, phi=0.0)
    off = np.log(each.rate) - np.array(CLASSES)[each.classes]
    assert np.std([off[each.classes == k].mean() for k in range(5)]) < 0.1
    assert set(each.classes[each.planted]) - {0, 4}
    assert alike.classes is None


@pytest.mark.slow
def test_the_table_of_parts_has_a_row_for_each_and_covariates_help(country):
    table = calibration.parts(country, 1, scenarios=["isolated", "rates by class"])
    rows = table.loc["isolated"].index
    assert set(calibration.PARTS) | {"shrunk to the nation, not to the parent"} == set(rows)
    shares = table.loc["isolated", "P(p<=.05)/.05"]
    same = {"without response to exposure", "without a heavy upper tail"}  # where there is neither
    assert (shares.drop([*same, "everything"]) != shares["everything"]).all()
    power = table.loc["rates by class", "power/oracle"]
    assert power["class inside the surroundings (adjust)"] > power["place only (no covariates)"] + 0.5


@pytest.mark.slow
def test_rare_counts_of_visitors_on_a_small_map_raise_no_crowd_of_flags():
    """Small areas where visitors were counted among few residents: twenty false flags a column before."""
    land, world, false = build(1_500, seed=1), World(hidden=1.5), []
    for seed, phi in ((0, 0.3), (1, 0.3), (2, 0.1)):
        each = simulate(land, np.random.default_rng([0, 5, seed]), 0.005, phi, world)
        p = calibration.deviation(land, [each], world)[:, 0]
        false.append(int((significant(adjust(p), 0.05) & ~each.planted).sum()))
    assert max(false) <= 8
    assert sum(false) <= 12
