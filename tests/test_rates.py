"""Smoothed rates: naive twins, the numbers that esda prints, and who takes part in the sums."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo_geo as zg
from maps import grid_map
from naive import rates as naive
from panels import World, by_area, counts_of, lattice, with_island
from peers import import_esda
from test_local_statistics import QUICK, libpysal_map
from zoo_geo.errors import InputError
from zoo_geo.rates import METHODS

GLOBAL = ("eb", "excess_risk", "raw")


@st.composite
def maps(draw):
    """Counts on a small grid: an isolate, some missing, some without exposure, some neighbours one-way."""
    world = with_island(
        lattice(draw(st.integers(1, 3)), draw(st.integers(2, 5)), seed=draw(st.integers(0, 5)))
    )
    if draw(st.booleans()):
        world.near[0] = {}
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    size = rng.integers(1, draw(st.sampled_from([3, 50, 5000])), len(world)).astype(float)
    share = draw(st.sampled_from([0.0, 0.02, 0.4, 1.0]))
    events = rng.binomial(size.astype(int), np.clip(share * rng.gamma(2, 0.5, len(world)), 0, 1)).astype(
        float
    )
    size[rng.random(len(world)) < 0.1] = 0.0
    events[size == 0] = 0.0
    events[rng.random(len(world)) < 0.1] = np.nan
    return world, events, size


def looped(method, i, group, events, size, share):
    """Smoothed rate and weight of the own figure, by loops."""
    mean = naive.group_rate(group, events, size)
    if method == "raw":
        return events[i] / size[i], 1.0
    if method == "excess_risk":
        return events[i] / size[i] / mean / 100, 1.0  # a ratio, that the test takes for one per 100
    if method == "spatial":
        return mean, size[i] / sum(size[j] for j in group)
    return naive.shrunk(i, group, events, size, share)


@pytest.mark.slow
@given(maps(), st.sampled_from(METHODS), st.sampled_from(["poisson", "binomial"]))
@settings(QUICK, max_examples=120)
def test_rates_are_those_of_the_loops(case, method, family):
    world, events, size = case
    panel = world.panel(events, size, family, seed=3, per=100)
    frame = zg.smoothed_rates(panel, world.graph(seed=2), method=method)
    smoothed, own, status = (by_area(frame, name, world) for name in ("smoothed", "own_weight", "status"))
    everybody = naive.everybody(events, size)
    for i in range(len(world)):
        if i not in everybody:
            assert status[i] == ("missing" if np.isnan(events[i]) else "no_exposure")
            assert np.isnan(smoothed[i])
            assert np.isnan(own[i])
            continue
        group = everybody if method in GLOBAL else naive.neighbourhood(i, world.near, events, size)
        if method not in GLOBAL and group == [i]:
            assert status[i] == "isolated"
            assert np.isnan(smoothed[i])
            continue
        assert status[i] == "ok"
        rate = events[i] / size[i]
        if method == "excess_risk" and not np.nansum(events[everybody]):
            assert np.isnan(smoothed[i])
            continue
        seen, weight = looped(method, i, group, events, size, family == "binomial")
        assert smoothed[i] / 100 == pytest.approx(seen, rel=1e-7, abs=1e-12)
        assert own[i] == pytest.approx(weight, rel=1e-6, abs=1e-9)
        assert 0 <= own[i] <= 1
        assert by_area(frame, "value", world)[i] == pytest.approx(rate * 100)


# --- numbers that esda prints -----------------------------------------------------------------------


def rates_of(table, events, size, method, graph=None):
    panel = zg.Panel.from_frame(table, area="code", observed=events, exposure=size, per=1)
    frame = zg.smoothed_rates(panel, graph, method=method)
    assert frame["area"].tolist() == table["code"].tolist()
    return frame["smoothed"].to_numpy()


def test_value_29_sudden_deaths_in_north_carolina():
    """esda's Excess_Risk, Empirical_Bayes and Spatial_Rate of SID74 / BIR74, first five counties."""
    table, graph = libpysal_map("sids2.shp", "sids2.gal", "FIPS")
    risk = rates_of(table, "SID74", "BIR74", "excess_risk")
    np.testing.assert_allclose(risk[:5], [0.453433, 0, 0.775871, 0.973810, 3.133190], atol=2e-6)
    smoothed = rates_of(table, "SID74", "BIR74", "eb")
    np.testing.assert_allclose(
        smoothed[:5], [0.0016973, 0.00170538, 0.00177309, 0.00201287, 0.00353491], atol=6e-9
    )
    spatial = rates_of(table, "SID74", "BIR74", "spatial", graph)
    np.testing.assert_allclose(
        spatial[:5], [0.0009922, 0.0012639, 0.0009740, 0.0007605, 0.0050154], atol=6e-8
    )


ESDA_SPATIAL = [
    4.01485749e-05, 3.62437513e-05, 4.93034844e-05, 5.09387329e-05, 3.72735210e-05,
    3.69333797e-05, 5.40245456e-05, 2.99806055e-05, 3.73034109e-05, 3.47270722e-05,
]  # fmt: skip


def test_value_30_homicides_around_saint_louis():
    """esda's Spatial_Empirical_Bayes: m / n takes the mean exposure of the neighbourhood, area included."""
    table, graph = libpysal_map("stl_hom.shp", "stl.gal")
    found = rates_of(table, "HC7984", "PO7984", "spatial_eb", graph)
    np.testing.assert_allclose(found[:10], ESDA_SPATIAL, atol=6e-14)
    uneven = rates_of(table, "HC7984", "PO7984", "spatial_eb", graph.transform("R"))
    np.testing.assert_array_equal(found, uneven)  # who is a neighbour counts, not how much


def test_a_variance_below_zero_gives_the_own_figure_no_weight():
    """Rates less unlike than by chance alone: esda's weights leave 0 to 1."""
    events, size = [10.0, 11, 9, 10], [100.0, 110, 100, 90]
    world = World([{(i + 1) % 4: 1.0, (i + 2) % 4: 1.0} for i in range(4)])
    peer = import_esda().smoothing.Empirical_Bayes(np.array(events), np.array(size)).r.ravel()
    mean = 40 / 400
    for i in range(4):
        weight = naive.negative_weight(i, events, size)
        assert not 0 <= weight <= 1
        assert peer[i] == pytest.approx(mean + weight * (events[i] / size[i] - mean))
    assert peer[3] < mean < events[3] / size[3]
    for method, graph in (("eb", None), ("spatial_eb", world.graph())):
        frame = zg.smoothed_rates(world.panel(events, size, per=1), graph, method=method)
        assert (frame["own_weight"] == 0).all()
    group = zg.smoothed_rates(world.panel(events, size, per=1))["smoothed"]
    np.testing.assert_allclose(group, mean, rtol=1e-12)


# --- who takes part ---------------------------------------------------------------------------------


def panel_of(world, seed=None):
    """Three columns: two families, one with a missing and an empty area."""
    size, counts = counts_of(world, 4)
    holed = counts.copy()
    holed[[2, 7]] = np.nan
    columns = {"a": counts, "b": holed, "c": np.zeros(len(world))}
    size[5] = 0.0
    for column in columns.values():
        column[5] = 0.0
    family = {"a": "poisson", "b": "binomial", "c": "poisson"}
    return world.panel(columns, size, family, seed=seed), columns, size


@pytest.mark.parametrize("method", METHODS)
def test_order_of_rows_and_other_columns_change_nothing(method):
    world = with_island(lattice(5, 6, seed=3))
    panel, columns, size = panel_of(world)
    before = [panel.observed.copy(), panel.exposure.copy()]
    frame = zg.smoothed_rates(panel, world.graph(), method=method)
    np.testing.assert_array_equal(panel.observed, before[0])
    np.testing.assert_array_equal(panel.exposure, before[1])
    shuffled = zg.smoothed_rates(panel_of(world, seed=9)[0], world.graph(seed=8), method=method)
    assert shuffled["area"].tolist() != frame["area"].tolist()
    for name in columns:
        alone = world.panel({name: columns[name]}, size, panel.families[name])
        one = zg.smoothed_rates(alone, world.graph(), method=method)
        for column in ("value", "smoothed", "own_weight", "status"):
            whole = by_area(frame, column, world, name)
            np.testing.assert_array_equal(whole, by_area(shuffled, column, world, name))
            np.testing.assert_array_equal(whole, by_area(one, column, world, name))


def test_rows_are_those_of_the_panel_with_periods_in_order():
    table = pd.DataFrame({"code": ["b", "a"] * 2, "year": [2021, 2021, 2020, 2020], "n": [1, 2, 3, 4]})
    panel = zg.Panel.from_frame(
        table.assign(m=5, size=[100, 200, 300, 400]), area="code", period="year", observed=["n", "m"],
        exposure="size",
    )  # fmt: skip
    frame = zg.smoothed_rates(panel, method="raw")
    shared = ["area", "indicator", "period", "observed", "exposure", "status"]
    pd.testing.assert_frame_equal(frame[shared], panel.frame[shared])
    assert list(frame) == [*shared[:5], "value", "smoothed", "own_weight", "status"]
    np.testing.assert_allclose(frame["value"], frame["observed"] / frame["exposure"] * 1000)


def test_no_events_at_all_is_a_rate_of_nothing():
    world = lattice(3, 4)
    for method in ("eb", "spatial_eb", "spatial", "raw"):
        frame = zg.smoothed_rates(world.panel([0.0] * 12, [50.0] * 12), world.graph(), method=method)
        assert (frame["smoothed"] == 0).all()
        assert (frame["status"] == "ok").all()


def test_smoothing_pulls_the_small_further_than_the_large():
    world = lattice(20, 20)
    size, counts = counts_of(world, 1, spread=0.2, low=20, high=20_000)
    frame = zg.smoothed_rates(world.panel(counts, size))
    own = by_area(frame, "own_weight", world)
    assert (np.diff(own[np.argsort(size)]) >= 0).all()
    assert own.min() < 0.4 < 0.9 < own.max()
    small = size < 500
    raw, smoothed = by_area(frame, "value", world), by_area(frame, "smoothed", world)
    assert smoothed[small].std() < 0.6 * raw[small].std()
    assert np.abs(smoothed - 20).mean() < np.abs(raw - 20).mean()


def test_one_area_is_its_own_group():
    panel = World([{}]).panel([3.0], [10.0])
    assert zg.smoothed_rates(panel)[["smoothed", "own_weight"]].to_numpy().tolist() == [[300.0, 0.0]]
    alone = zg.smoothed_rates(panel, World([{}]).graph(), method="spatial_eb")
    assert alone["status"].tolist() == ["isolated"]
    assert alone["value"].tolist() == [300.0]
    assert alone["smoothed"].isna().all()


def test_shares_out_of_one_have_no_spread_of_their_own():
    """Whatever rounding makes of nothing over nothing."""
    for n in range(2, 60):
        world = World([{(i + 1) % n: 1.0} for i in range(n)])
        ones = [1.0] * (n // 3 + 1) + [0.0] * (n - n // 3 - 1)
        frame = zg.smoothed_rates(world.panel(ones, [1.0] * n, "binomial", per=1))
        assert (frame["own_weight"] == 0).all()
        np.testing.assert_allclose(frame["smoothed"], (n // 3 + 1) / n, rtol=1e-12)


def test_an_own_weight_in_the_graph_counts_an_area_once():
    world = lattice(3, 4)
    size, counts = counts_of(world)
    panel = world.panel(counts, size)
    own = World([{**near, i: 1.0} for i, near in enumerate(world.near)], world.codes)
    for method in ("spatial_eb", "spatial"):
        frames = [zg.smoothed_rates(panel, each.graph(), method=method) for each in (world, own)]
        pd.testing.assert_frame_equal(*frames)


def test_areas_that_only_the_map_or_the_graph_knows_are_missing():
    world = lattice(3, 4)
    size, counts = counts_of(world)
    small = World(world.near[:3], world.codes[:3]).panel(counts[:3], size[:3])
    areas = zg.read_areas(grid_map(1, 2), id="code")
    frame = zg.smoothed_rates(small, world.graph(), method="spatial", areas=areas)
    assert frame["area"].tolist() == [*world.codes, *sorted(areas.codes)]
    assert (frame["status"].iloc[3:] == "missing").all()
    assert frame["smoothed"].iloc[0] == pytest.approx(counts[:2].sum() / size[:2].sum() * 1000)
    listed = zg.smoothed_rates(small, areas=areas)
    assert listed["area"].tolist() == [*world.codes[:3], *sorted(areas.codes)]


def test_what_does_not_fit_is_said():
    world = lattice(3, 4)
    size, counts = counts_of(world)
    values = world.panel({"n": counts, "income": size}, size, {"n": "poisson", "income": "gaussian"})
    with pytest.raises(
        InputError, match=r"poisson or binomial .* got gaussian ones \(1 of 2; first: income\)"
    ):
        zg.smoothed_rates(values)
    panel = world.panel(counts, size)
    with pytest.raises(InputError, match=r"method needs to be one of eb, spatial_eb, .* got 'bayes'"):
        zg.smoothed_rates(panel, method="bayes")
    with pytest.raises(InputError, match=r"graph needs to be a libpysal Graph for spatial_eb; got None"):
        zg.smoothed_rates(panel, method="spatial_eb")
    part = World([{1: 1.0}, {0: 1.0}], world.codes[:2]).graph()
    with pytest.raises(InputError, match=r"got areas without weights \(10 of 12; first: BU0002"):
        zg.smoothed_rates(panel, part, method="spatial_eb")


def test_peers_are_neighbours_too():
    """Rates are drawn to those of areas that are alike as to those of any graph."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"area": [f"A{k:02d}" for k in range(30)], "seen": rng.poisson(20, 30), "size": 100})
    panel = zg.Panel.from_frame(table, area="area", observed="seen", exposure="size")
    alike = zg.build_peers(pd.DataFrame({"x": rng.normal(size=30)}, table["area"]), k=4)
    given = (zg.smoothed_rates(panel, graph, method="spatial_eb") for graph in (alike, alike.graph))
    pd.testing.assert_frame_equal(*given)
