"""PySAL esda on random maps: the same numbers where it is right.

Where it is wrong (islands, missing values, ties, unsorted ids, G with row-standardised weights)
test_traps.py says so.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zoo_geo as zg
from naive import local_statistics as naive
from panels import World, lattice
from peers import import_esda

esda = import_esda()

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
DRAWS = 9_999


@st.composite
def maps(draw, binary=False):
    """Areas in sorted order, each with a neighbour, with weights 1; values without a missing one."""
    n = draw(st.integers(12, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    near = []
    for i in range(n):
        linked = set(np.flatnonzero(rng.random(n) < 3 / n).tolist()) | {(i + 1) % n}
        near.append(dict.fromkeys(sorted(linked - {i}), 1.0))
    if draw(st.booleans()):  # a hub
        near[0] = dict.fromkeys(range(1, n), 1.0)
    kind = "flags" if binary else draw(st.sampled_from(["normal", "ties", "skewed", "flags"]))
    values = {
        "normal": lambda: rng.normal(10, 2, n),
        "ties": lambda: rng.integers(0, 4, n) / 10,
        "skewed": lambda: rng.lognormal(0, 1.5, n),
        "flags": lambda: (rng.random(n) < 0.4).astype(float),
    }[kind]()
    values[:2] = 0.0, 1.0
    return World(near), values


def ours(detector, world, columns, rows=False, size=None):
    """Frame in code order; the rows of panel and graph are shuffled."""
    family = "gaussian" if size is None else "poisson"
    panel, graph = world.panel(columns, size, family, seed=3), world.graph(seed=4)
    frame = detector.detect(panel, graph.transform("R") if rows else graph, seed=2).frame
    return frame.set_index("area").loc[world.codes]


def settled(variance, scale):
    """Where a null leaves something to chance."""
    return variance > 1e-12 * scale


@pytest.mark.slow
@given(data=maps())
@QUICK
def test_local_moran_and_its_conditional_moments(data):
    """esda's moments have n below, its statistic n - 1 (trap T1)."""
    world, values = data
    frame = ours(zg.LocalMoran(19, "rate"), world, values)
    peer = esda.Moran_Local(values, world.graph().transform("R"), permutations=0)
    np.testing.assert_allclose(frame["statistic"], peer.Is, rtol=1e-9, atol=1e-12)
    n, left = len(values), settled(peer.VIc, np.mean(peer.VIc))
    z = (peer.Is[left] * n / (n - 1) - peer.EIc[left]) / np.sqrt(peer.VIc[left])
    np.testing.assert_allclose(frame["z"].to_numpy()[left], z, rtol=1e-7, atol=1e-9)


@pytest.mark.slow
@given(data=maps(), star=st.booleans())
@QUICK
def test_g_and_its_z_with_binary_weights(data, star):
    world, values = data
    frame = ours(zg.GetisOrd(19, star, value="rate"), world, values)
    with np.errstate(divide="ignore", invalid="ignore"):
        peer = esda.G_Local(values, world.graph(), transform="B", permutations=0, star=star)
    np.testing.assert_allclose(frame["statistic"], peer.Gs, rtol=1e-9)
    left = settled(peer.VGs, np.mean(peer.VGs))
    np.testing.assert_allclose(frame["z"].to_numpy()[left], peer.Zs[left], rtol=1e-7, atol=1e-9)


@pytest.mark.slow
@given(data=maps())
@QUICK
def test_local_geary(data):
    """esda standardises with n below, we with n - 1 (trap T1)."""
    world, values = data
    frame = ours(zg.LocalGeary(19, value="rate"), world, values, rows=True)
    peer = esda.Geary_Local(connectivity=world.graph(), permutations=0).fit(values)
    n = len(values)
    np.testing.assert_allclose(frame["statistic"] * n / (n - 1), peer.localG, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@given(data=maps(binary=True))
@QUICK
def test_local_join_counts_of_sorted_areas(data):
    world, flags = data
    frame = ours(zg.LocalJoinCounts(), world, flags)
    peer = esda.Join_Counts_Local(connectivity=world.graph(), permutations=0).fit(flags, permutations=0)
    ones = flags == 1
    np.testing.assert_array_equal(frame["statistic"].to_numpy()[ones], peer.LJC[ones])
    assert (peer.LJC[~ones] == 0).all()


@pytest.mark.slow
@given(data=maps(), seed=st.integers(0, 1_000))
@QUICK
def test_bivariate_local_moran(data, seed):
    """Here esda has n - 1 below, as we do."""
    world, x = data
    y = np.random.default_rng(seed).gamma(2, size=len(x))
    detector = zg.BivariateLocalMoran("other", permutations=19, value="rate")
    frame = ours(detector, world, {"y": x, "other": y})
    frame = frame[frame["indicator"] == "y"]
    graph = world.graph().transform("R")
    zx, zy = ((v - v.mean()) / v.std(ddof=1) for v in (x, y))
    np.testing.assert_allclose(frame["statistic"], zx * (graph.sparse @ zy), rtol=1e-9, atol=1e-12)
    peer = esda.Moran_Local_BV(x, y, graph, permutations=0)
    np.testing.assert_allclose(frame["statistic"], peer.Is, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@given(data=maps(), seed=st.integers(0, 1_000), spread=st.sampled_from([0.0, 0.02, 0.5]))
@QUICK
def test_standardised_rates_with_variances_of_either_sign(data, seed, spread):
    world, _ = data
    rng = np.random.default_rng(seed)
    size = rng.integers(30, 4_000, len(world)).astype(float)
    events = np.round(size * 0.03 * (rng.gamma(1 / spread, spread, len(world)) if spread else 1.0))
    rates = esda.smoothing.assuncao_rate(events, size)
    np.testing.assert_allclose(naive.eb_rates(events, size), rates, rtol=1e-9)
    frame = ours(zg.LocalMoran(19, "eb_rate"), world, events, size=size)
    expected = [naive.moran(world.near, rates.tolist(), i) for i in range(len(world))]
    np.testing.assert_allclose(frame["statistic"], expected, rtol=1e-8, atol=1e-10)


@pytest.mark.slow
def test_p_of_local_geary_and_join_counts_within_monte_carlo_error():
    """esda's draws, counted by us: its own p folds the tails."""
    world = lattice(8, 9)
    values = np.random.default_rng(5).gamma(1, size=72)
    geary = esda.Geary_Local(connectivity=world.graph(), permutations=DRAWS, seed=1).fit(values)
    above = (geary.rlocalG >= geary.localG[:, None] - 1e-12).mean(1)
    frame = ours(zg.LocalGeary(DRAWS, value="rate", alternative="greater"), world, values, rows=True)
    error = np.sqrt(2 * above * (1 - above) / DRAWS)
    assert (np.abs(frame["p_value"] - above) < 4.5 * error + 1e-3).all()

    flags = (values > 1).astype(float)
    joins = esda.Join_Counts_Local(connectivity=world.graph(), seed=1).fit(flags, permutations=DRAWS)
    ones = flags == 1
    above = (joins.rjoins >= joins.LJC[:, None]).mean(1)[ones]
    error = np.sqrt(above * (1 - above) / DRAWS)
    exact = ours(zg.LocalJoinCounts(), world, flags)["p_value"].to_numpy()[ones]
    assert (np.abs(exact - above) < 4.5 * error + 1e-3).all()
