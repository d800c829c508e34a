"""What areas that are alike, and areas without company, say about spread and errors."""

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from benchmarks.calibration import same_class_nearby
from benchmarks.country import World, build, simulate
from libpysal.graph import Graph
from scipy import sparse

import zoo_geo as zg
from zoo_geo import counts
from zoo_geo.estimates import Block, Options
from zoo_geo.predictive import Poisson
from zoo_geo.references import everybody, group, in_company, rings
from zoo_geo.response import Classes


def unlike(seed, phi, mean, n=3_000):
    """Counts whose rates follow three features, one of them with a long tail: some have no good peers."""
    rng = np.random.default_rng(seed)
    codes = pd.Index([f"A{i:05d}" for i in range(n)], name="area")
    table = pd.DataFrame(rng.normal(size=(n, 3)), codes, columns=list("abc"))
    table["a"] = np.exp(table["a"] / 2)
    size = np.round(np.exp(rng.normal(6.5, 1.0, n)))
    rate = np.exp(table.to_numpy() @ [0.3, 0.2, -0.2])
    seen = rng.poisson(size * rate * rng.gamma(1 / phi, phi, n) * mean / 700).astype(float)
    return table, panel_of(codes, seen, size)


def panel_of(codes, seen, size, family="poisson"):
    frame = pd.DataFrame({"area": codes, "seen": seen, "size": size})
    return zg.Panel.from_frame(frame, area="area", observed=["seen"], exposure="size", family=family)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phi", "mean", "seeds"), [(0.1, 60, (1, 3, 4, 6)), (0.3, 15, (2, 5)), (0.3, 60, (7,))]
)
def test_spread_among_peers_is_that_of_true_rates(phi, mean, seeds):
    """Neither areas without peers nor the error that all share take its place."""
    for seed in seeds:
        table, figures = unlike(seed, phi, mean)
        alike = zg.build_peers(table, resamples=0)
        frame = zg.Deviation(response=False, heavy=False).detect(figures, alike).frame
        assert (frame["status"] == "isolated").sum() > 40
        assert frame["spread"].median() == pytest.approx(phi, rel=0.12)


@pytest.mark.parametrize("family", ["poisson", "binomial", "gaussian"])
@pytest.mark.parametrize("reference", ["neighbours", "stratum:kind"])
@pytest.mark.parametrize("clean", [0, 2])
def test_areas_without_company_say_nothing_about_spread(family, reference, clean):
    """Spread is the same, whatever they have; with one area in eight it would be many times as large."""
    n, loners, rng = 320, 40, np.random.default_rng(0)
    codes, some = np.array([f"A{i:03d}" for i in range(n)], dtype=object), n - loners
    at = np.arange(some)
    focal, other = np.tile(at, 6), np.concatenate([(at + step) % some for step in (-3, -2, -1, 1, 2, 3)])
    alone = codes[some:]
    graph = Graph.from_arrays(
        np.concatenate([codes[focal], alone]), np.concatenate([codes[other], alone]),
        np.concatenate([np.ones(focal.size), np.zeros(loners)]),
    )  # fmt: skip
    kinds = np.concatenate([np.arange(some) // 20, 1_000 + np.arange(loners)]).astype(str)
    size, here, turn = np.full(n, 400.0), np.arange(n) < some, np.where(np.arange(n) % 2, 1.0, -1.0)
    if family == "gaussian":
        seen = np.where(here, 0.0, turn) + rng.normal(0, 0.05, n)
    else:
        seen = np.minimum(
            rng.poisson(size * np.where(here, 0.2 * rng.gamma(20, 0.05, n), 0.2 + 0.1 * turn)), size
        )
    found = []
    for known in (True, False):
        there = np.where(here | known, seen, np.nan)
        features = pd.DataFrame({"kind": kinds}, pd.Index(codes, name="area"))
        detector = zg.Deviation(reference, clean=clean)
        figures = panel_of(codes, there, size, family)
        frame = detector.detect(figures, graph, features=features).frame.set_index("area")
        assert (frame.loc[alone, "status"] != "ok").all()
        assert (frame.loc[codes[:some], "status"] == "ok").all()
        found.append(frame.loc[codes[:some], ["spread", "p_value"]])
    told, untold = found
    close = 0.1 if clean else 0.05  # the nation, which rates are shrunk to, is another without them
    np.testing.assert_allclose(told["spread"], untold["spread"], rtol=close, atol=1e-4)
    away = (told["p_value"] - untold["p_value"]).abs()
    assert away.median() < (0.05 if clean else 0.02)


def test_company_is_another_area_with_a_figure_in_the_widest_surroundings():
    chain = sparse.csr_array(np.diag(np.ones(4), 1) + np.diag(np.ones(4), -1))
    known = np.array([[True, True], [False, True], [True, True], [False, True], [False, True]])
    assert in_company(rings(chain, 1), known)[:, 0].tolist() == [False, True, False, True, False]
    assert in_company(rings(chain, 2), known)[:, 0].tolist() == [True, True, True, True, True]
    kinds = group(np.array([0, 0, 1, 2, -1]))
    assert in_company([kinds], known)[:, 0].tolist() == [False, True, False, False, False]
    assert in_company([kinds], known)[:, 1].tolist() == [True, True, False, False, False]
    assert in_company([everybody(5)], known).all()


@pytest.mark.slow
def test_errors_grow_with_how_far_away_peers_are():
    """On a surface, peers on one side, or far away, mislead; without places nobody can tell."""
    country, world = build(2_500), World(anomaly="peer")
    rng, shares = np.random.default_rng(0), []
    each = simulate(country, rng, 0.08, 0.0, world)
    calm = ~each.planted & (country.residents * each.rate >= 10)
    at = country.areas.frame.set_geometry(gpd.points_from_xy(*np.zeros((2, len(country.xy)))))
    nowhere = replace(country.areas, frame=at)
    for areas in (country.areas, nowhere):
        p = same_class_nearby(replace(country, areas=areas), [each], world)[:, 0]
        shares.append((p[calm] <= 0.01).mean() / 0.01)
    told, untold = shares
    assert told < 1.6
    assert untold > 2.5


def test_only_a_comparison_with_peers_names_their_set():
    table, figures = unlike(0, 0.1, 60, n=200)
    alike = zg.build_peers(table, resamples=0)
    for reference, named in (("peers", True), ("neighbours", True), ("national", False)):
        found = zg.Deviation(reference).detect(figures, alike)
        assert found.reference == ("peers" if named else reference)
        assert any(alike.id in notice for notice in found.notices) == named


def column_of(seen, size, loners):
    """Column against a ring of neighbours, the last areas alone, with a rate that was found already."""
    n, some = seen.size, seen.size - loners
    at = np.arange(some)
    focal, other = np.tile(at, 2), np.concatenate([(at + 1) % some, (at - 1) % some])
    links = sparse.csr_array((np.ones(focal.size), (focal, other)), (n, n))
    known = np.ones((n, 1), bool)
    block = Block(seen[:, None], size[:, None], known, Poisson())
    column = counts.begin(block, counts.Around(rings(links, 1), [everybody(n)], links, None), Options())
    counts.turn(column, 1)
    column.rate, column.strength, column.phi = np.full(n, 0.1), np.full(n, 50.0), np.full(n, 0.05)
    return column


def test_slopes_and_response_are_asked_without_areas_that_stand_alone():
    """Whether errors grow with a slope hangs on no area without company, whatever was seen there."""
    grown, n, loners = 0, 400, 60
    for seed in range(8):
        rng = np.random.default_rng(seed)
        size, slope = (
            rng.uniform(500, 1_500, n),
            np.concatenate([rng.exponential(0.02, n - loners), np.full(60, 2.0)]),
        )
        true = rng.gamma(1 / (0.05 + slope), 0.05 + slope)
        found = []
        for times in (1.0, 6.0):
            seen = rng.poisson(size * 0.1 * true) if not found else found[0][0].observed.copy()
            seen = np.where(np.arange(n) < n - loners, seen, np.round(size * 0.1 * times))
            column = column_of(seen.astype(float), size, loners)
            rows = np.flatnonzero(column.telling > 0)
            counts.steepen(column, rows, np.stack([np.full(n, 0.02), slope]))
            found.append((column, column.strength, column.phi))
            counts.answer(column, Classes(), False)
            seen_counts, known, number = column.seen
            assert number == known.sum() == n - loners
            assert not seen_counts.usual[n - loners :].any()
        (_, *one), (_, *other) = found
        np.testing.assert_array_equal(one, other)
        grown += int(one[0].min() < 49.0)
    assert grown > 0
