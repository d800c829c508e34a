"""Local Moran, G and G* against plain loops, full enumeration, esda and printed numbers."""

import math
from dataclasses import replace

import geopandas as gpd
import libpysal
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from libpysal.graph import Graph
from scipy import sparse

from naive import local_statistics as naive
from panels import World, by_area, counts_of, lattice, with_island
from zoo_geo.detectors import draws
from zoo_geo.detectors.draws import Plan, infer
from zoo_geo.detectors.getis_ord import GetisOrd
from zoo_geo.detectors.local_moran import LocalMoran
from zoo_geo.errors import InputError
from zoo_geo.panel import Panel

QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ALTERNATIVES = ("two-sided", "greater", "less")


@st.composite
def worlds(draw, fewest=12, most=22):
    """Areas with ties, missing values, isolates, hubs that neighbour everybody, even or uneven weights."""
    n = draw(st.integers(fewest, most))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    uneven = draw(st.booleans())
    reach = draw(st.sampled_from([1.5, 3.0, 6.0]))
    weight = (lambda: float(rng.choice([0.5, 1.0, 2.0, 3.7]))) if uneven else (lambda: 1.0)
    near = [{int(j): weight() for j in np.flatnonzero(rng.random(n) < reach / n) if j != i} for i in range(n)]
    if draw(st.booleans()):  # a hub
        near[0] = {j: weight() for j in range(1, n)}
    if draw(st.booleans()):
        near[n - 1] = {}
    if draw(st.booleans()):  # and one that has all but one
        near[1] = {j: weight() for j in range(n) if j not in (1, 3)}
    kind = draw(st.sampled_from(["normal", "ties", "binary", "skewed"]))
    values = {
        "normal": lambda: rng.normal(10, 2, n),
        "ties": lambda: rng.integers(0, 4, n) / 10,
        "binary": lambda: (rng.random(n) < 0.4).astype(float),
        "skewed": lambda: rng.lognormal(0, 1.5, n),
    }[kind]()
    missing = set(rng.permutation(n)[: draw(st.integers(0, n - 11))].tolist())
    return World(near), [None if i in missing else float(v) for i, v in enumerate(values)]


def usable(world, values, i):
    return values[i] is not None and bool(naive.row(world.near, values, i))


def enough(values):
    seen = naive.known(values)
    return len(seen) >= 10 and len(set(seen)) > 1


def cells(detector, world, values, seed=7):
    """Frame of a detector over one column of values, in code order."""
    panel = world.panel(values, family="gaussian", seed=3)
    frame = detector.detect(panel, world.graph(seed=4), seed=seed).frame
    return frame.set_index("area").loc[world.codes]


# --- the permutation test ---------------------------------------------------------------------------


@pytest.mark.slow
@given(data=worlds(), star=st.booleans(), total=st.booleans(), seed=st.integers(0, 1_000))
@QUICK
def test_counts_are_those_of_the_plain_loops(data, star, total, seed):
    world, values = data
    total &= star
    if not enough(values):
        return
    permutations = 39
    found = {
        alternative: cells(
            GetisOrd(permutations, star, "total" if total else "conditional", "rate", alternative),
            world, values, seed,
        )["p_value"]
        for alternative in ALTERNATIVES
    }  # fmt: skip
    for i, code in enumerate(world.codes):
        counts = naive.counts(world.near, values, i, permutations, seed, total)
        for alternative in ALTERNATIVES:
            p = found[alternative][code]
            if not usable(world, values, i):
                assert math.isnan(p)
            elif counts is None:
                assert p == 1
            else:
                assert p == naive.p_value(*counts, permutations, alternative)


@pytest.mark.slow
@given(data=worlds(), seed=st.integers(0, 1_000), alternative=st.sampled_from(ALTERNATIVES))
@QUICK
def test_local_moran_is_that_of_the_plain_loops(data, seed, alternative):
    world, values = data
    if not enough(values):
        return
    found = cells(LocalMoran(39, "rate", alternative), world, values, seed)
    mean = np.mean(naive.known(values))
    for i, code in enumerate(world.codes):
        if not usable(world, values, i):
            assert found.loc[code, ["p_value", "z", "statistic"]].isna().all()
            continue
        row = found.loc[code]
        assert row["statistic"] == pytest.approx(naive.moran(world.near, values, i), rel=1e-9, abs=1e-12)
        assert row["label"] == naive.quadrant(world.near, values, i)
        counts = naive.counts(world.near, values, i, 39, seed)
        away = values[i] - mean
        if counts is None or abs(away) < 1e-9:
            assert row["p_value"] == 1
            assert row["z"] == 0
            continue
        above, below = counts if away > 0 else counts[::-1]
        assert row["p_value"] == naive.p_value(above, below, 39, alternative)
        assert row["direction"] == ("high" if away > 0 else "low")


@pytest.mark.slow
@given(data=worlds(), star=st.booleans(), total=st.booleans())
@QUICK
def test_z_is_of_the_exact_moments_of_the_null_in_use(data, star, total):
    world, values = data
    total &= star
    if not enough(values):
        return
    null = "total" if total else "conditional"
    found = cells(GetisOrd(19, star, null, "rate"), world, values)
    for i, code in enumerate(world.codes):
        if not usable(world, values, i):
            continue
        mean, variance = naive.moments(world.near, values, i, total)
        lag = naive.lag(world.near, values, i, total)
        scale = naive.deviation(values) * max(world.near[i].values())
        expected = 0.0 if variance < 1e-10 * scale**2 else (lag - mean) / math.sqrt(variance)
        assert found.loc[code, "z"] == pytest.approx(expected, rel=1e-7, abs=1e-9)
        if abs(sum(naive.known(values)) - (0 if star else values[i])) > 1e-9:
            statistic = naive.getis_ord(world.near, values, i, star)
            assert found.loc[code, "statistic"] == pytest.approx(statistic, rel=1e-9)


@pytest.mark.parametrize("total", [False, True])
def test_moments_and_p_are_those_of_all_arrangements_of_six_areas(total):
    rng = np.random.default_rng(3)
    values = [2.0, 3.0, 3.2, 5.0, 8.0, 7.0]
    near = [
        {j: float(rng.uniform(0.2, 2)) for j in range(6) if j != i and rng.random() < 0.6} for i in range(6)
    ]
    near[2] = {0: 1.0, 4: 1.0}  # equal weights take the other road
    world = World([row or {(i + 1) % 6: 1.0} for i, row in enumerate(near)])
    count = 20_000
    own = np.array([naive.self_weight(world.near, i) for i in range(6)]) if total else None
    kind = "total" if total else "conditional"
    plan = Plan(count, "permutation", seed=1)
    found = infer(np.array(values)[:, None], dense(world), kind, plan, own)
    exact = infer(np.array(values)[:, None], dense(world), kind, replace(plan, inference="moments"), own)
    column, unit = exact.column(0), exact.unit(0)
    for i in range(6):
        sums = naive.enumerated(world.near, values, i, total)
        mean = column.moments.mean[i] * unit[i] + exact.weight(0)[i] * np.mean(values)
        assert mean == pytest.approx(np.mean(sums), rel=1e-12)
        assert column.moments.variance[i] * unit[i] ** 2 == pytest.approx(np.var(sums), rel=1e-10, abs=1e-12)
        if column.moments.variance[i] > 0:
            third = np.mean((np.array(sums) - np.mean(sums)) ** 3) / np.var(sums) ** 1.5
            assert column.moments.skewness[i] == pytest.approx(third, rel=1e-10, abs=1e-10)
        lag = naive.lag(world.near, values, i, total)
        if len(world.near[i]) + total >= (6 if total else 5):
            continue  # nothing left to chance
        for counted, true in (
            (found.above, np.mean(np.array(sums) >= lag - 1e-9)),
            (found.below, np.mean(np.array(sums) <= lag + 1e-9)),
        ):
            error = math.sqrt(true * (1 - true) / count) + 1e-9
            assert abs(counted[i, 0] / count - true) < 4.5 * error


def dense(world):
    n = len(world)
    table = np.zeros((n, n))
    for i, row in enumerate(world.near):
        for j, w in row.items():
            table[i, j] = w
    return sparse.csr_array(table)


def test_draws_in_blocks_are_the_draws_in_one(monkeypatch):
    world = lattice(5, 5, seed=1)
    world.near[7] = dict.fromkeys(world.near[7], 1.0)
    values = np.random.default_rng(0).normal(size=25).tolist()
    whole = cells(GetisOrd(199, value="rate"), world, values)
    monkeypatch.setattr(draws, "_DRAWS", 64)
    pd.testing.assert_frame_equal(cells(GetisOrd(199, value="rate"), world, values), whole)


def test_conditional_null_gives_the_three_statistics_one_p():
    world = lattice(6, 6)
    values = np.random.default_rng(2).gamma(2, size=36).tolist()
    moran = cells(LocalMoran(499, "rate"), world, values)
    for star in (True, False):
        getis = cells(GetisOrd(499, star, "conditional", "rate"), world, values)
        np.testing.assert_array_equal(getis["p_value"], moran["p_value"])
        np.testing.assert_allclose(getis["z"].abs(), moran["z"].abs(), rtol=1e-12)


def test_total_null_of_g_star_draws_the_own_value_too():
    world = lattice(6, 6)
    values = [0.0] * 36
    values[14] = 9.0
    values[35] = 1.0
    total = cells(GetisOrd(999, value="rate"), world, values)
    kept = cells(GetisOrd(999, null="conditional", value="rate"), world, values)
    code = world.codes[14]  # high itself, and no neighbour is high
    assert total.loc[code, "z"] > 1.5
    assert kept.loc[code, "z"] < 0


# --- what must not matter ---------------------------------------------------------------------------


@pytest.mark.slow
@given(data=worlds(), scale=st.sampled_from([1e-12, 1e-9, 0.1, 3.0, 1e9]), star=st.booleans())
@settings(QUICK, max_examples=25)
def test_unit_of_the_weights_does_not_matter(data, scale, star):
    """Inverse squared distances in metres are of the order of 1e-8: ties must not be in that unit."""
    world, values = data
    if not enough(values):
        return
    panel = world.panel(values, family="gaussian")
    for detector in (GetisOrd(39, star, value="rate"), LocalMoran(39, "rate")):
        one, other = (detector.detect(panel, world.graph(scale=s)).frame for s in (1.0, scale))
        np.testing.assert_array_equal(one["p_value"], other["p_value"])
        np.testing.assert_allclose(one["z"], other["z"], rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@given(data=worlds(), scale=st.sampled_from([1e-6, 1e6]), shift=st.sampled_from([0.0, 50.0]))
@settings(QUICK, max_examples=25)
def test_unit_of_the_values_does_not_matter(data, scale, shift):
    world, values = data
    if not enough(values):
        return
    moved = [None if v is None else v * scale + shift * scale for v in values]
    for detector in (GetisOrd(39, value="rate"), LocalMoran(39, "rate")):
        one, other = (cells(detector, world, v) for v in (values, moved))
        np.testing.assert_array_equal(one["p_value"], other["p_value"])
        assert one["label"].tolist() == other["label"].tolist()


def test_row_standardised_weights_give_the_same_answer():
    world = lattice(6, 5)
    values = np.random.default_rng(1).normal(size=30).tolist()
    panel = world.panel(values, family="gaussian")
    plain, standardised = world.graph(), world.graph().transform("R")
    for detector in (
        GetisOrd(199, value="rate"),
        GetisOrd(199, False, value="rate"),
        LocalMoran(199, "rate"),
    ):
        one, other = (detector.detect(panel, g).frame for g in (plain, standardised))
        np.testing.assert_array_equal(one["p_value"], other["p_value"])
        np.testing.assert_allclose(one["z"], other["z"], rtol=1e-9)


def test_self_weights_in_the_graph_do_not_count_twice():
    world = lattice(5, 4)
    values = np.random.default_rng(1).normal(size=20).tolist()
    panel = world.panel(values, family="gaussian")
    graph = world.graph()
    for detector in (GetisOrd(199, value="rate"), LocalMoran(199, "rate")):
        with_self = detector.detect(panel, graph.assign_self_weight(1.0)).frame
        pd.testing.assert_frame_equal(with_self, detector.detect(panel, graph).frame)


def test_graph_is_not_touched():
    world = lattice(5, 5)
    graph = world.graph(seed=1).assign_self_weight(1.0)
    before, cached = graph.adjacency.copy(), graph.sparse.copy()
    panel = world.panel(np.arange(25.0), family="gaussian")
    for detector in (GetisOrd(99), GetisOrd(99, value="rate"), LocalMoran(99)):
        detector.detect(panel, graph)
    pd.testing.assert_series_equal(graph.adjacency, before)
    assert (graph.sparse != cached).nnz == 0
    assert graph.transformation == "O"


# --- hard cases -------------------------------------------------------------------------------------


def test_islands_have_no_p_and_keep_their_value_in_the_mean():
    world = with_island(lattice(4, 4))
    values = [*np.random.default_rng(0).normal(size=16).tolist(), 40.0]
    for detector in (LocalMoran(99, "rate"), GetisOrd(99, value="rate"), GetisOrd(99, False, value="rate")):
        found = cells(detector, world, values)
        assert found.loc["BU9999", "status"] == "isolated"
        assert found.loc["BU9999", ["p_value", "z", "statistic"]].isna().all()
        assert found.loc["BU9999", "label"] == "isolated"
        assert found["p_value"].notna().sum() == 16
    moran = cells(LocalMoran(99, "rate"), world, values)
    assert moran["statistic"].iloc[0] == pytest.approx(naive.moran(world.near, values, 0))


def test_an_area_whose_neighbours_have_no_value_is_isolated():
    world = lattice(4, 4)
    values = np.random.default_rng(0).normal(size=16).tolist()
    for j in world.near[0]:
        values[j] = None
    found = cells(GetisOrd(99, value="rate"), world, values)
    assert found["status"].iloc[0] == "isolated"
    assert found["status"].iloc[sorted(world.near[0])].tolist() == ["missing"] * 3


def test_nothing_is_left_to_chance_when_all_others_are_neighbours():
    n = 12
    world = World([{j: 1.0 for j in range(n) if j != i} for i in range(n)])
    values = np.random.default_rng(0).normal(size=n).tolist()
    for detector in (LocalMoran(99, "rate"), GetisOrd(99, value="rate"), GetisOrd(99, False, value="rate")):
        found = cells(detector, world, values)
        assert (found["p_value"] == 1).all()
        assert (found["z"] == 0).all()


def test_unequal_weights_on_all_others_are_dealt_out_anew():
    """Inverse distances between all areas: each has all others as neighbours, and a p of its own."""
    rng = np.random.default_rng(4)
    spots = rng.uniform(0, 1_000, (14, 2))
    near = [
        {j: float(np.hypot(*(spots[i] - spots[j])) ** -2) for j in range(14) if j != i} for i in range(14)
    ]
    values = rng.normal(size=14).tolist()
    for detector in (LocalMoran(199, "rate"), GetisOrd(199, value="rate")):
        found = cells(detector, World(near), values)
        assert found["p_value"].mean() > 0.2
        assert (found["p_value"] <= 0.01).sum() <= 1
        high = found["z"].abs().to_numpy().argsort()
        assert found["p_value"].iloc[high[-1]] < found["p_value"].iloc[high[0]]


def test_ties_help_nobody():
    """A mostly empty map: an area among zeros is nothing special, and one with the mean is no quadrant."""
    world = lattice(7, 7)
    values = [0.0] * 49
    values[24] = 1.0
    found = cells(GetisOrd(999, value="rate"), world, values)
    assert found["p_value"].iloc[0] == 1  # its lag is the most common one
    assert found["p_value"].max() <= 1
    exact = 9 / 49  # share of samples of nine that hold the one
    assert found["p_value"].iloc[24] == pytest.approx(2 * exact, abs=0.08)
    flat = [1.0, 2.0, 3.0] * 5
    around = cells(LocalMoran(99, "rate"), World(lattice(5, 3).near), flat)
    middle = [i for i in range(15) if flat[i] == 2.0]
    assert (around["label"].iloc[middle] == "none").all()
    assert (around["p_value"].iloc[middle] == 1).all()
    assert (around["direction"].iloc[middle] == "none").all()


def test_float_noise_does_not_decide_ties():
    world = lattice(5, 5)
    tenths = [(i * 7 % 10) / 10 for i in range(25)]
    tens = [(i * 7 % 10) * 1.0 for i in range(25)]
    for detector in (LocalMoran(499, "rate"), GetisOrd(499, value="rate")):
        one, other = cells(detector, world, tenths), cells(detector, world, tens)
        np.testing.assert_array_equal(one["p_value"], other["p_value"])


@pytest.mark.parametrize("value", ["rate", "eb_rate", "residual"])
@pytest.mark.parametrize("column", ["nothing", "zeros", "one event", "alike"])
def test_columns_that_say_nothing_raise_no_alarm(value, column):
    world = lattice(5, 5)
    size, counts = counts_of(world)
    odd = {
        "nothing": [None] * 25, "zeros": [0] * 25, "one event": [4] + [0] * 24, "alike": list(size),
    }[column]  # fmt: skip
    panel = world.panel({"y": counts, "odd": odd}, size)
    for detector in (LocalMoran(99, value), GetisOrd(99, value=value)):
        frame = detector.detect(panel, world.graph()).frame
        assert (by_area(frame, "status", world) == "ok").all()
        if column != "one event":
            status = {"nothing": "missing"}.get(column, "constant")
            assert (by_area(frame, "status", world, "odd") == status).all()
            assert np.isnan(by_area(frame, "p_value", world, "odd").astype(float)).all()


def test_an_area_with_the_mean_is_neither_like_nor_unlike_its_neighbours():
    world = lattice(5, 5)
    values = [0.0] * 25
    for j in world.near[12]:
        values[j] = 8.0
    values[12] = 64 / 24  # the mean of all
    found = cells(LocalMoran(199, "rate"), world, values)
    assert found["p_value"].iloc[12] == 1
    assert found["z"].iloc[12] == 0
    assert found["label"].iloc[12] == "none"


# --- printed numbers and esda -----------------------------------------------------------------------


def test_g_of_the_six_points_in_any_weights():
    """Values of the PySAL manual for a band of 15; row-standardised esda prints others, wrongly."""
    points = [(10, 10), (20, 10), (40, 10), (15, 20), (30, 20), (30, 30)]
    near = [
        {j: 1.0 for j, q in enumerate(points) if j != i and math.dist(p, q) <= 15}
        for i, p in enumerate(points)
    ]
    values = np.array([2.0, 3.0, 3.2, 5.0, 8.0, 7.0])[:, None]
    weights = dense(World(near))
    rows = sparse.csr_array(weights / np.maximum(weights.sum(axis=1), 1)[:, None])
    for matrix in (weights, rows):
        found = infer(values, matrix, "conditional", Plan(19))
        assert found.column(0).z()[0] == pytest.approx(-1.0136728985502574)
        own = matrix.max(axis=1).toarray().ravel()
        assert infer(values, matrix, "total", Plan(19), own).column(0).z()[0] == pytest.approx(
            -1.3972762620115444
        )


def libpysal_map(name, gal, id_column=None):
    """Table and neighbours of an example that ships inside libpysal."""
    table = gpd.read_file(libpysal.examples.get_path(name))
    with open(libpysal.examples.get_path(gal)) as lines:
        rows = lines.read().splitlines()[1:]
    ids = [str(i) for i in (range(1, len(table) + 1) if id_column is None else table[id_column])]
    pairs = [
        (head.split()[0], j) for head, tail in zip(rows[::2], rows[1::2], strict=True) for j in tail.split()
    ]
    focal, neighbor = zip(*pairs, strict=True)
    return table.assign(code=ids), Graph.from_arrays(focal, neighbor, np.ones(len(pairs)))


def global_moran(frame):
    """With row-standardised weights and no islands the local values add up to it."""
    return frame["statistic"].sum() / (len(frame) - 1)


def test_local_values_add_up_to_the_global_moran_of_st_louis():
    table, graph = libpysal_map("stl_hom.shp", "stl.gal")
    panel = Panel.from_frame(table, area="code", observed="HR8893", family="gaussian")
    assert global_moran(LocalMoran(99, "rate").detect(panel, graph).frame) == pytest.approx(
        0.24365582621771659
    )


def test_rates_and_standardised_rates_of_north_carolina():
    """Moran of the rates of 1974, and of the empirical-Bayes rates of 1979 (PySAL's Moran_Rate)."""
    table, graph = libpysal_map("sids2.shp", "sids2.gal", id_column="FIPSNO")
    rates = Panel.from_frame(table, area="code", observed="SIDR74", family="gaussian")
    assert global_moran(LocalMoran(99, "rate").detect(rates, graph).frame) == pytest.approx(
        0.24772519320480135
    )
    counts = Panel.from_frame(table, area="code", observed="SID79", exposure="BIR79")
    found = LocalMoran(99, "eb_rate").detect(counts, graph).frame
    assert global_moran(found) == pytest.approx(0.16622343552567395)


def test_group_of_values_is_their_weighted_mean():
    world = lattice(5, 5)
    rng = np.random.default_rng(0)
    y, weight = rng.normal(20, 3, 25), rng.uniform(1, 9, 25)
    found = GetisOrd(19).detect(world.panel(y, weight, "gaussian"), world.graph()).frame
    members = [12, *world.near[12]]
    seen = np.average(y[members], weights=weight[members])
    expected = np.average(by_area(found, "expected", world)[members], weights=weight[members])
    assert by_area(found, "group_observed", world)[12] == pytest.approx(seen)
    assert by_area(found, "group_expected", world)[12] == pytest.approx(expected)
    assert by_area(found, "group_ratio", world)[12] == pytest.approx(seen / expected)


@pytest.mark.parametrize("value", ["rate", "eb_rate"])
def test_a_value_is_no_rate_of_its_weight(value):
    world = lattice(5, 5)
    rng = np.random.default_rng(0)
    y, weight = rng.normal(20, 3, 25), rng.uniform(1, 9, 25)
    one, other = (
        LocalMoran(99, value).detect(world.panel(y, size, "gaussian"), world.graph()).frame
        for size in (None, weight)
    )
    np.testing.assert_array_equal(one["p_value"], other["p_value"])
    np.testing.assert_allclose(one["statistic"], other["statistic"])


@pytest.mark.parametrize("calm", [False, True])
def test_standardised_rates_are_those_of_assuncao_and_reis(calm):
    events, size = [30, 25, 25, 15, 33, 21, 30, 20], [100, 100, 110, 90, 100, 90, 110, 90]
    printed = [1.03843594, -0.04099089, -0.56250375, -1.73061861]
    np.testing.assert_allclose(naive.eb_rates(events, size)[:4], printed, rtol=1e-7)
    world = lattice(5, 4)
    size, counts = counts_of(world, spread=0.02)
    size[3], counts[3] = 4.0, 1.0
    if calm:  # rates more alike than chance makes them: the variance between areas comes out negative
        counts = np.round(size * 0.02)
    found = GetisOrd(19, value="eb_rate").detect(world.panel(counts, size), world.graph()).frame
    values = naive.eb_rates(counts.tolist(), size.tolist())
    group = [np.mean([values[i], *(values[j] for j in world.near[i])]) for i in range(20)]
    np.testing.assert_allclose(by_area(found, "statistic", world), group, rtol=1e-9, atol=1e-12)


def test_values_and_conditional_moments_are_those_of_esda():
    esda = pytest.importorskip("esda")
    world = lattice(8, 9)
    values = np.random.default_rng(5).gamma(3, size=72)
    found = cells(LocalMoran(19, "rate"), world, values.tolist())
    peer = esda.Moran_Local(values, world.graph().transform("R"), permutations=0)
    np.testing.assert_allclose(found["statistic"], peer.Is, rtol=1e-10)
    z = (peer.Is * 72 / 71 - peer.EIc) / np.sqrt(peer.VIc)  # its moments are of the normaliser n
    np.testing.assert_allclose(found["z"], z, rtol=1e-7)
    g = esda.G_Local(values, world.graph(), transform="B", permutations=0)
    plain = cells(GetisOrd(19, False, value="rate"), world, values.tolist())
    np.testing.assert_allclose(plain["statistic"], g.Gs, rtol=1e-10)
    np.testing.assert_allclose(plain["z"], g.Zs, rtol=1e-7)
    g = esda.G_Local(values, world.graph(), transform="B", permutations=0, star=True)
    starred = cells(GetisOrd(19, value="rate"), world, values.tolist())
    np.testing.assert_allclose(starred["statistic"], g.Gs, rtol=1e-10)
    np.testing.assert_allclose(starred["z"], g.Zs, rtol=1e-7)


@pytest.mark.slow
def test_p_is_that_of_esda_within_monte_carlo_error():
    esda = pytest.importorskip("esda")
    world = lattice(8, 9)
    values = np.random.default_rng(5).gamma(1, size=72)
    draws = 9_999
    peer = esda.Moran_Local(
        values, world.graph().transform("R"), permutations=draws, seed=1, keep_simulations=True
    )
    above = (
        (peer.sim >= peer.Is - 1e-12).sum(1)
        if peer.sim.shape[0] == 72
        else (peer.sim >= peer.Is - 1e-12).sum(0)
    )
    ours = cells(LocalMoran(draws, "rate", "greater"), world, values.tolist())["p_value"].to_numpy()
    theirs = (above + 1) / (draws + 1)
    error = np.sqrt(2 * theirs * (1 - theirs) / draws)
    assert (np.abs(ours - theirs) < 4.5 * error + 1e-3).all()


# --- options ----------------------------------------------------------------------------------------


def test_options_that_do_not_fit_are_refused():
    for name, value in (("permutations", 5), ("value", "raw"), ("alternative", "up"), ("null", "both")):
        with pytest.raises(InputError, match=f"{name} needs to be"):
            GetisOrd(**{name: value})
    with pytest.raises(InputError, match="null needs to be 'conditional' for star=False"):
        GetisOrd(star=False, null="total")
    world = lattice(4, 4)
    panel = world.panel(np.arange(16.0), family="gaussian")
    with pytest.raises(InputError, match="neighbors needs to be a libpysal Graph"):
        LocalMoran(99).detect(panel)


def test_defaults_follow_the_star():
    assert GetisOrd().null == "total"
    assert GetisOrd(star=False).null == "conditional"
    assert GetisOrd(null="conditional").null == "conditional"
