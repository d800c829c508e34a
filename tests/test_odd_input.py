"""Local statistics of odd input: nothing in common, one event, huge figures, hubs, negative weights."""

import numpy as np
import pytest
from scipy import sparse

import zoo_geo as zg
from panels import World, by_area, lattice
from zoo_geo.detectors import draws
from zoo_geo.detectors.draws import Plan, infer


def detect(detector, world, columns, **options):
    panel = world.panel(columns, family="gaussian")
    return detector.detect(panel, world.graph(), **options).frame


def test_an_indicator_is_not_held_against_itself():
    world = lattice(6, 6)
    rng = np.random.default_rng(0)
    frame = detect(
        zg.BivariateLocalMoran("b", 199, "rate"), world, {"a": rng.normal(size=36), "b": rng.normal(size=36)}
    )
    assert set(frame.loc[frame["indicator"] == "b", "status"]) == {"not_tested"}
    assert set(frame.loc[frame["indicator"] == "a", "status"]) == {"ok"}
    assert frame.loc[frame["indicator"] == "b", "p_value"].isna().all()


def test_two_indicators_are_judged_by_the_areas_that_have_both():
    world = lattice(6, 6)
    a, b, few, flat = (np.random.default_rng(k).normal(size=36) for k in range(4))
    a[20:] = np.nan
    few[:17] = np.nan  # three areas have both
    flat[:20] = 5.0
    for other, status in ((few, "too_few"), (flat, "constant")):
        frame = detect(zg.BivariateLocalMoran("b", 199, "rate"), world, {"a": a, "b": other})
        both = np.isfinite(a) & np.isfinite(other)
        seen = by_area(frame, "status", world, "a")
        assert set(seen[both]) <= {status, "isolated"}
        assert status in seen
    found = detect(zg.BivariateLocalMoran("b", 199, "rate"), world, {"a": b, "b": flat})
    near = [np.mean([flat[j] for j in world.near[i]]) for i in range(36)]
    np.testing.assert_allclose(by_area(found, "other_value", world, "a"), near)
    np.testing.assert_allclose(by_area(found, "other_mean", world, "a"), flat.mean())


@pytest.mark.parametrize("above", [-100.0, 100.0])
def test_all_or_none_above_a_level_say_nothing(above):
    world = lattice(6, 6)
    frame = detect(zg.LocalJoinCounts(above), world, np.random.default_rng(0).normal(size=36))
    assert set(frame["status"]) == {"constant"}


def test_join_counts_take_a_level_for_each_indicator_and_leave_out_what_has_none():
    world = lattice(6, 6)
    rng = np.random.default_rng(0)
    columns = {
        "yes": (rng.random(36) < 0.4).astype(float),
        "a": rng.normal(size=36),
        "b": rng.normal(size=36),
    }
    panel = world.panel(columns, family="gaussian")
    found = zg.LocalJoinCounts({"a": 0.2}).detect(panel, world.graph())
    status = found.frame.groupby("indicator", observed=True)["status"].agg(lambda each: set(each.astype(str)))
    assert status["yes"] == status["a"] == {"ok", "not_tested"}
    assert status["b"] == {"not_tested"}
    assert [notice for notice in found.notices if notice.startswith("b: ")]
    alone = zg.LocalJoinCounts(0.2).detect(world.panel({"a": columns["a"]}, family="gaussian"), world.graph())
    np.testing.assert_array_equal(
        by_area(found.frame, "p_value", world, "a"), by_area(alone.frame, "p_value", world, "a")
    )


@pytest.mark.parametrize("side", [11, 13, 22, 37])
def test_one_event_on_the_map_is_no_discovery(side):
    values = np.zeros(side * side)
    values[side * side // 2] = 1.0
    world = lattice(side, side)
    for detector in (zg.LocalGeary, zg.LocalMoran, zg.GetisOrd):
        frame = detect(detector(999, value="rate", inference="moments"), world, values)
        drawn = detect(detector(999, value="rate"), world, values)
        assert frame["p_value"].iloc[side * side // 2] >= 0.01 * drawn["p_value"].iloc[side * side // 2]
        np.testing.assert_array_equal(frame["z"], drawn["z"])
        assert (frame["p_value"][frame["z"] == 0] == 1).all()


def test_geary_keeps_its_digits_beside_a_huge_figure():
    world = lattice(30, 30)
    values = np.random.default_rng(1).normal(size=900)
    values[400] = 1e6
    frame = detect(zg.LocalGeary(99, value="rate", inference="moments"), world, values)
    away = (values - values[400]) ** 2
    others = np.delete(away, 400)
    k, n = len(world.near[400]), 899
    seen = sum(away[j] for j in world.near[400])
    variance = others.var() * k * (n - k) / (n - 1)
    assert frame["z"].iloc[400] == pytest.approx((seen - k * others.mean()) / np.sqrt(variance), rel=1e-6)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_size_of_figures_does_not_matter(scale):
    world = lattice(8, 8)
    values = np.random.default_rng(1).normal(size=64)
    for detector in (zg.LocalMoran(199, "rate"), zg.GetisOrd(199, value="rate")):
        one, other = (detect(detector, world, values * each) for each in (1.0, scale))
        np.testing.assert_allclose(other["z"], one["z"], rtol=1e-9)
        np.testing.assert_array_equal(other["p_value"], one["p_value"])


def test_negative_weights_are_refused():
    world = World([{1: 1.0, 2: -0.5}, {0: 1.0}, {0: 1.0}])
    with pytest.raises(zg.InputError, match=r"weights need to be 0 or more; got negative.*BU0000"):
        detect(zg.LocalMoran(99, "rate"), world, [1.0, 2.0, 4.0])


@pytest.mark.slow
def test_a_large_pool_is_not_kept():
    n = 900
    row = np.concatenate([np.zeros(850, int), np.arange(1, n)])
    column = np.concatenate([np.arange(1, 851), np.zeros(n - 1, int)])
    weights = sparse.csr_array((np.ones(row.size), (row, column)), (n, n))
    draws._recent.clear()
    values = np.random.default_rng(0).normal(size=(n, 1))
    found = infer(values, weights, "conditional", Plan(30_000))
    assert found.drawn.min() == 30_000
    assert not draws._recent


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: zg.LocalMoran(permutations=1e6), "permutations needs to be a whole number; got 1000000.0"),
        (lambda: zg.LocalMoran(permutations="999"), "permutations needs to be a whole number; got '999'"),
        (lambda: zg.LocalGeary(stop_above="0.1"), "stop_above needs to be a p between 0 and 1"),
        (lambda: zg.GetisOrd(star="no"), "star needs to be one of True, False; got 'no'"),
        (lambda: zg.LocalJoinCounts(above="2"), "above needs to be a number.*got '2'"),
        (lambda: zg.LocalJoinCounts(above={"a": np.nan}), "above needs to be a number.*got nan"),
    ],
)
def test_options_of_the_wrong_kind_are_refused(make, message):
    with pytest.raises(zg.InputError, match=message):
        make()


def test_arguments_of_the_wrong_kind_are_refused():
    world = lattice(4, 4)
    panel, graph = world.panel(np.arange(16.0), family="gaussian"), world.graph()
    detector = zg.LocalMoran(99, "rate")
    with pytest.raises(zg.InputError, match="panel needs to be a Panel; got Graph"):
        detector.detect(graph, panel)
    with pytest.raises(zg.InputError, match=r"neighbors needs to be a libpysal Graph .*; got str"):
        detector.detect(panel, "queen")
    with pytest.raises(zg.InputError, match=r"areas needs to be Areas .*; got str"):
        detector.detect(panel, graph, areas="map.gpkg")
    with pytest.raises(zg.InputError, match=r"above needs to name indicators of the panel \(y\); got x"):
        zg.LocalJoinCounts({"x": 1.0}).detect(panel, graph)


def test_a_minimum_ratio_without_a_ratio_is_said():
    world = lattice(8, 8)
    size, counts = np.full(64, 500.0), np.random.default_rng(0).poisson(20, 64).astype(float)
    counts[:20] *= 4
    found = zg.GetisOrd(999, value="rate").detect(world.panel(counts, size), world.graph())
    assert len(zg.flag(found, alpha=0.05).frame)
    flags = zg.flag(found, alpha=0.05, min_ratio=1.25)
    assert not len(flags.frame)
    assert any("value='rate'" in notice for notice in flags.notices)


def test_a_calm_area_beside_a_group_is_none_of_it():
    world = lattice(20, 20)
    members = [r * 20 + c for r in (9, 10, 11) for c in (9, 10, 11)]
    rng = np.random.default_rng(3)
    size = np.full(400, 1_000.0)
    rate = np.full(400, 0.03)
    rate[members] *= 2.5
    found = zg.GetisOrd(9_999).detect(world.panel(rng.poisson(size * rate), size), world.graph())
    frame = found.frame.set_index("area").loc[world.codes]
    beside = [i for i in range(400) if i not in members and set(world.near[i]) & set(members)]
    assert (frame["p_value"].iloc[beside] < 0.001).any()
    flagged = set(zg.flag(found).frame["area"])
    assert len(flagged & {world.codes[i] for i in members}) >= 7
    calm = frame.index[(frame["ratio_low"] <= 1) & (frame["direction"] == "high")]
    assert not flagged & set(calm)
