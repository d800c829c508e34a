"""Traps of local statistics, one test each and numbered as in the list of peers' traps.

Each shows the trap in its purest form; where a peer falls into it, its wrong answer stands beside ours (run
against esda 2.9). Not here, because nothing of ours can fall into them yet: the empirical-Bayes smoothers of
T13 (no smoothed rates; standardised ones are under T13 and T14), T16 (scan statistic), T22 (LOSH) and T23
(saddlepoint). T15 (Choynowski) applies to the tails of Deviation. R spdep's side of T1, T2, T3 and T14 is in
test_spdep.py, the printed values behind T1 and T12 in test_reference_values.py.
"""

import math
import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from libpysal.graph import Graph

import zoo_geo as zg
from naive import local_statistics as naive
from panels import World, by_area, counts_of, lattice, with_island
from peers import import_esda
from test_local_statistics import cells
from zoo_geo.significance import adjust, significant

DRAWS = 999
SKEWED = np.random.default_rng(8).gamma(1, size=49).tolist()


@pytest.fixture(scope="module")
def esda():
    return import_esda()


@pytest.fixture
def board():
    """49 areas with queen neighbours."""
    return lattice(7, 7)


def every(value="rate"):
    """The local statistics of one continuous indicator."""
    return (
        zg.LocalMoran(DRAWS, value),
        zg.GetisOrd(DRAWS, value=value),
        zg.GetisOrd(DRAWS, False, value=value),
        zg.LocalGeary(DRAWS, value=value),
    )


def star_z(weights, values, own):
    """Ord and Getis (1995), formula 14, from its sums; own is the area's own weight."""
    n, mean, s = len(values), np.mean(values), np.std(values)
    total, square = sum(weights) + own, sum(w * w for w in weights) + own**2
    return mean * total, s * math.sqrt((n * square - total**2) / (n - 1))


# --- what is computed -------------------------------------------------------------------------------


def test_t01_normaliser_is_n_less_one_and_never_mixed(esda, board):
    """esda's statistic has n - 1 below and its moments n, so their z is off by that factor."""
    found = cells(zg.LocalMoran(DRAWS, "rate"), board, SKEWED)
    peer = esda.Moran_Local(np.array(SKEWED), board.graph().transform("R"), permutations=0)
    np.testing.assert_allclose(found["statistic"], peer.Is, rtol=1e-10)
    mixed = (peer.Is - peer.EIc) / np.sqrt(peer.VIc)
    assert (np.abs(mixed - found["z"]) > 1e-3).mean() > 0.5
    np.testing.assert_allclose((peer.Is * 49 / 48 - peer.EIc) / np.sqrt(peer.VIc), found["z"], rtol=1e-7)
    geary = cells(zg.LocalGeary(DRAWS, value="rate"), board, SKEWED)
    assert geary["statistic"].iloc[8] == pytest.approx(naive.geary(board.near, SKEWED, 8, ddof=1))


def test_t02_null_keeps_the_value_of_the_area(board):
    """Conditional moments, of the population without the area; 0 / 0 for an area with the mean is p = 1."""
    values = list(SKEWED)
    values[24] = math.fsum(values[:24] + values[25:]) / 48
    found = cells(zg.LocalMoran(DRAWS, "rate"), board, values)
    mean, variance = naive.moments(board.near, values, 10)
    z = (naive.lag(board.near, values, 10) - mean) / math.sqrt(variance)
    assert abs(found["z"].iloc[10]) == pytest.approx(abs(z), rel=1e-9)
    mean, variance = naive.moments(board.near, values, 10, total=True)
    assert abs(z) != pytest.approx(
        abs(naive.lag(board.near, values, 10) - mean) / math.sqrt(variance), rel=1e-3
    )
    assert found["p_value"].iloc[24] == 1
    assert found["z"].iloc[24] == 0


def test_t03_neighbours_are_drawn_without_replacement():
    """Eleven of twelve others: with replacement their sum would vary, and by far more."""
    near = [{j: 1.0 for j in range(13) if j not in (i, (i + 1) % 13)} for i in range(13)]
    values = np.random.default_rng(1).normal(size=13).tolist()
    found = cells(zg.GetisOrd(DRAWS, False, value="rate"), World(near), values)
    for i in range(13):
        pool = np.array(naive.others(values, i))
        deviation = sum(values[j] for j in near[i]) - 11 * pool.mean()
        assert found["z"].iloc[i] == pytest.approx(deviation / math.sqrt(11 * pool.var() * 1 / 11), rel=1e-9)
    values = [0.0] * 12 + [1.0]  # the neighbour of none is the odd one out in one draw of twelve
    p = cells(zg.GetisOrd(9_999, False, value="rate", alternative="less"), World(near), values)["p_value"]
    assert p.iloc[11] == pytest.approx(1 / 12, abs=0.015)  # with replacement (11 / 12) ** 11 = 0.38


def test_t04_z_of_g_does_not_depend_on_row_standardisation(esda, board):
    """Its variance has the sum of squared weights; esda takes the sum of the weights."""
    peer = [
        esda.G_Local(np.array(SKEWED), board.graph(), transform=t, permutations=0, star=None).Zs for t in "BR"
    ]
    ours = [
        cells_of(zg.GetisOrd(DRAWS, False, value="rate"), board, SKEWED, graph)["z"]
        for graph in (board.graph(), board.graph().transform("R"))
    ]
    np.testing.assert_allclose(ours[0], peer[0], rtol=1e-8)
    np.testing.assert_allclose(ours[1], ours[0], rtol=1e-8)
    assert np.abs(peer[1] / peer[0] - 1).min() > 0.2


def cells_of(detector, world, values, graph):
    frame = detector.detect(world.panel(values, family="gaussian"), graph, seed=7).frame
    return frame.set_index("area").loc[world.codes]


def test_t05_g_star_has_two_nulls_and_each_its_own_z_and_p(board):
    """Ord and Getis's z lets the own value vary; esda and spdep draw p with it held fixed."""
    values = list(SKEWED)
    values[24] = 30.0
    total = cells(zg.GetisOrd(DRAWS, value="rate"), board, values).iloc[24]
    kept = cells(zg.GetisOrd(DRAWS, null="conditional", value="rate"), board, values).iloc[24]
    plain = cells(zg.GetisOrd(DRAWS, False, value="rate"), board, values).iloc[24]
    mean, deviation = star_z([1.0] * 8, values, 1.0)
    assert total["z"] == pytest.approx((naive.lag(board.near, values, 24, True) - mean) / deviation, rel=1e-9)
    assert total["z"] > 1.5 > kept["z"] + 1  # the own value is most of it
    for found, own in ((total, True), (kept, False)):
        above, below = naive.counts(board.near, values, 24, DRAWS, 7, own)
        assert found["p_value"] == naive.p_value(above, below, DRAWS, "two-sided")
    assert kept["z"] == pytest.approx(plain["z"], rel=1e-9)
    assert kept["p_value"] == plain["p_value"]


def test_t06_own_weight_of_g_star_is_added_before_standardising(board):
    """Adding 1 to rows that already add up to 1 would count the area as much as all its neighbours."""
    ours = [
        cells_of(zg.GetisOrd(DRAWS, value="rate"), board, SKEWED, graph)
        for graph in (board.graph(), board.graph().transform("R"))
    ]
    np.testing.assert_allclose(ours[0]["z"], ours[1]["z"], rtol=1e-9)
    np.testing.assert_array_equal(ours[0]["p_value"], ours[1]["p_value"])
    lag = math.fsum(SKEWED[j] for j in board.near[24])
    mean, deviation = star_z([1.0] * 8, SKEWED, 1.0)
    assert ours[0]["z"].iloc[24] == pytest.approx((lag + SKEWED[24] - mean) / deviation, rel=1e-9)
    mean, deviation = star_z([1 / 8] * 8, SKEWED, 1.0)
    double = (lag / 8 + SKEWED[24] - mean) / deviation
    assert ours[0]["z"].iloc[24] != pytest.approx(double, rel=0.05)


def test_t07_denominator_of_g_has_islands_and_hot_is_the_sign_of_z():
    world = with_island(lattice(5, 5))
    values = [*np.random.default_rng(2).gamma(2, size=25).tolist(), 40.0]
    found = cells(zg.GetisOrd(DRAWS, False, value="rate"), world, values)
    here = math.fsum(values[j] for j in world.near[12])
    assert found["statistic"].iloc[12] == pytest.approx(here / (math.fsum(values) - values[12]), rel=1e-12)
    p_known = found["z"].notna()
    assert (found["label"][p_known] == np.where(found["z"][p_known] > 0, "hot", "cold")).all()
    # own value high, neighbours low: a cold spot all the same, which comparing x with its mean would miss
    values[12], values[25] = 90.0, 1.0
    for j in world.near[12]:
        values[j] = 0.0
    assert cells(zg.GetisOrd(DRAWS, False, value="rate"), world, values)["label"].iloc[12] == "cold"


def test_t08_zero_is_in_no_quadrant(board):
    """esda counts an area with the mean as low, GeoDa as high."""
    values = [0.0] * 49
    values[24], values[0], values[48] = 0.0, 5.0, -5.0
    found = cells(zg.LocalMoran(DRAWS, "rate"), board, values)
    assert found["label"].iloc[24] == "none"
    assert found["direction"].iloc[24] == "none"
    assert found["label"].iloc[0] == "none"  # its neighbours have the mean
    geary = cells(zg.LocalGeary(DRAWS, value="rate"), board, values)
    assert set(geary["label"]) <= {"HH", "LL", "positive", "negative", "none"}


# --- p-values ---------------------------------------------------------------------------------------


def test_t09_ties_help_nobody_and_p_lies_within_its_bounds(esda, board):
    """In a nearly empty map an area among zeros is nothing special; esda gives it the smallest p there is."""
    values = [0.0] * 49
    values[3], values[45] = 2.0, 1.0
    bare = [i for i in range(49) if not {3, 45} & {i, *board.near[i]}]
    peer = esda.Moran_Local(np.array(values), board.graph().transform("R"), permutations=DRAWS, seed=1)
    assert (np.asarray(peer.p_sim)[bare] < 1.5 / (DRAWS + 1)).mean() > 0.3  # the others: float noise
    for detector in every():
        p = cells(detector, board, values)["p_value"]
        assert (p.iloc[bare] == 1).all()
        assert p.min() >= 2 / (DRAWS + 1)
        assert p.max() <= 1
    flags = [float(v > 0) for v in values]
    for inference in ("exact", "permutation"):
        p = cells(zg.LocalJoinCounts(inference=inference), board, flags)["p_value"]
        assert (p.iloc[[3, 45]] == 1).all()  # no neighbour is one: nothing could be more common


def test_t10_with_one_neighbour_p_is_no_smaller_than_chance_allows():
    """One of eleven others is drawn: the largest comes up once in eleven, however many draws there are."""
    world = World([{(i + 1) % 12: 1.0} for i in range(12)])
    values = [*np.arange(11.0), 500.0]
    found = cells(zg.GetisOrd(9_999, False, value="rate"), world, values)
    assert found["p_value"].iloc[10] == pytest.approx(2 / 11, abs=0.02)
    assert found["p_value"].min() > 1 / 11
    flags = [0.0] * 10 + [1.0, 1.0]
    exact = cells(zg.LocalJoinCounts(), world, flags)["p_value"]
    assert exact.iloc[10] == pytest.approx(1 / 11, rel=1e-12)


def test_t11_islands_have_no_p_and_are_in_no_family(esda):
    """esda gives islands the smallest p there is; GeoDa p = 0, which enters its correction."""
    world = with_island(lattice(5, 5))
    values = np.random.default_rng(0).gamma(2, size=26)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = esda.Moran_Local(values, world.graph().transform("R"), permutations=DRAWS, seed=1)
    assert peer.p_sim[25] == pytest.approx(1 / (DRAWS + 1))
    for detector in every():
        found = cells(detector, world, values.tolist())
        assert found.loc["BU9999", "status"] == "isolated"
        assert found.loc["BU9999", ["p_value", "z", "statistic"]].isna().all()
        p = found["p_value"].to_numpy()
        np.testing.assert_array_equal(adjust(p)[:25], adjust(p[:25]))
    flags = cells(zg.LocalJoinCounts(), world, [*(values[:25] > 1.5).astype(float), 1.0])
    assert flags.loc["BU9999", "status"] == "isolated"
    assert math.isnan(flags.loc["BU9999", "p_value"])


def test_missing_values_are_left_out_and_not_significant(esda, board):
    """Not numbered: one NaN gives every area the smallest p in esda."""
    values = list(SKEWED)
    holed = np.array(values)
    holed[24] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = esda.Moran_Local(holed, board.graph().transform("R"), permutations=DRAWS, seed=1)
    np.testing.assert_allclose(peer.p_sim, 1 / (DRAWS + 1), rtol=1e-6)
    values[24] = None
    for detector in every():
        found = cells(detector, board, values)
        assert found["status"].iloc[24] == "missing"
        assert math.isnan(found["p_value"].iloc[24])
        assert found["p_value"].median() > 0.2
    z = cells(zg.GetisOrd(DRAWS, False, value="rate"), board, values)["z"].iloc[25]
    mean, variance = naive.moments(board.near, values, 25)
    assert z == pytest.approx((naive.lag(board.near, values, 25) - mean) / math.sqrt(variance), rel=1e-9)


def test_t12_join_counts_begin_at_a_one_and_have_one_tail(esda, board):
    """A one without ones around it has p = 1 (esda: none); more joins than expected is the only tail."""
    flags = (np.array(SKEWED) > 1.2).astype(float)
    flags[24] = 1
    flags[list(board.near[24])] = 0
    found = cells(zg.LocalJoinCounts(), board, flags.tolist())
    peer = esda.Join_Counts_Local(connectivity=board.graph(), seed=1).fit(flags, permutations=9)
    assert math.isnan(peer.p_sim[24])
    assert found["p_value"].iloc[24] == 1
    assert (found["status"][flags == 0] == "not_tested").all()
    assert found["p_value"][flags == 0].isna().all()
    for i in np.flatnonzero(flags):
        exact = float(naive.joins_p(board.near, flags.tolist(), i))
        assert found["p_value"].iloc[i] == pytest.approx(exact, rel=1e-12)
        assert found["statistic"].iloc[i] == naive.joins(board.near, flags, i)


# --- rates ------------------------------------------------------------------------------------------


def test_t13_an_area_without_people_is_left_out_before_anything(esda, board):
    """esda divides by zero and passes NaN on to all areas."""
    size, counts = counts_of(board, seed=3)
    size[24], counts[24] = 0.0, 0.0
    with np.errstate(all="ignore"):
        assert np.isnan(esda.smoothing.assuncao_rate(counts, size)).all()
    found = zg.LocalMoran(DRAWS, "eb_rate").detect(board.panel(counts, size), board.graph()).frame
    assert by_area(found, "status", board)[24] == "no_exposure"
    rates = naive.eb_rates(np.delete(counts, 24).tolist(), np.delete(size, 24).tolist())
    values = [*rates[:24], None, *rates[24:]]
    expected = [naive.moran(board.near, values, i) if i != 24 else np.nan for i in range(49)]
    np.testing.assert_allclose(by_area(found, "statistic", board), expected, rtol=1e-9)


def test_t14_a_negative_variance_gives_way_to_that_of_the_area_itself(esda, board):
    """v = a + b / n with a below zero; where v is negative b / n of the same area (esda does the same)."""
    size, _ = counts_of(board, seed=4)
    counts = np.round(size * 0.02)  # rates more alike than chance makes them
    rates = esda.smoothing.assuncao_rate(counts, size)
    overall = counts.sum() / size.sum()
    plain = (counts / size - overall) / np.sqrt(overall / size)
    assert 0 < np.isclose(rates, plain, rtol=1e-9).sum() < 49
    found = cells_of_counts(zg.LocalMoran(DRAWS, "eb_rate"), board, counts, size)
    expected = [naive.moran(board.near, rates.tolist(), i) for i in range(49)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def cells_of_counts(detector, world, counts, size):
    return by_area(detector.detect(world.panel(counts, size), world.graph()).frame, "statistic", world)


def test_t15_upper_tails_keep_their_digits_and_both_tails_count(board):
    """1 - cdf has no digits below 1e-16, and a tail chosen after looking is half a p."""
    size = np.full(49, 1_000.0)
    p = []
    for times in (2, 3, 4):
        counts = np.random.default_rng(5).poisson(np.full(49, 50.0)).astype(float)
        counts[24] = 50.0 * times
        found = zg.Deviation().detect(board.panel(counts, size), board.graph()).frame
        p.append(by_area(found, "p_value", board)[24])
    assert 0 < p[2] < p[1] < p[0] < 1e-6
    assert p[2] < 1e-20
    calm = by_area(found, "p_value", board)
    assert (calm[np.isfinite(calm)] > 0.5).any()  # a directed p ends near one half


# --- many tests -------------------------------------------------------------------------------------


def test_t17_correction_takes_the_largest_k_and_its_limit(esda):
    """esda wants less than the limit and gives alpha / n where nothing passes; GeoDa stops at the first."""
    p = np.array([0.02, 0.03, 0.04, 0.05])  # the first three fail, the fourth carries all
    assert significant(adjust(p), 0.05).all()
    assert p[0] > 0.05 / 4  # where a walk from the smallest stops
    assert esda.fdr(p, 0.05) == 0.05 / 4
    none = np.array([0.02, 0.5, 0.7, 0.9])
    assert not significant(adjust(none), 0.05).any()
    # and a floor of 2 / (permutations + 1) cannot be discovered in many areas
    assert not significant(adjust(np.array([2 / 1_000] + [1.0] * 500)), 0.05).any()


def test_t18_draws_depend_on_the_seed_and_on_nothing_else(board):
    """Not on threads, other columns, or other areas' missing values (GeoDa's and spdep's do on threads)."""
    other = {"y": SKEWED, "z": [None, *SKEWED[1:]], "a": SKEWED[::-1]}
    uneven = lattice(7, 7, seed=1)
    for world in (board, uneven):
        for detector in every():
            alone = detector.detect(world.panel(SKEWED, family="gaussian"), world.graph(), seed=3, n_jobs=1)
            among = detector.detect(
                world.panel(other, family="gaussian", seed=1), world.graph(seed=2), seed=3, n_jobs=2
            )
            p = by_area(alone.frame, "p_value", world)
            np.testing.assert_array_equal(p, by_area(among.frame, "p_value", world))
            again = detector.detect(world.panel(SKEWED, family="gaussian"), world.graph(), seed=4)
            assert (p != by_area(again.frame, "p_value", world)).any()


# --- graphs -----------------------------------------------------------------------------------------


def test_t19_order_of_the_codes_does_not_matter(esda):
    """A path of areas whose codes are not sorted: esda's local Geary and join counts come out shuffled."""
    codes = list("cabfdelghkji")
    near = [{j: 1.0 for j in (i - 1, i + 1) if 0 <= j < 12} for i in range(12)]
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 3.0, 9.0, 6.0, 0.5, 2.5, 1.5])
    flags = np.array([1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0], float)
    pairs = [(codes[i], codes[j]) for i, row in enumerate(near) for j in row]
    graph = Graph.from_arrays(*zip(*pairs, strict=True), np.ones(len(pairs)))
    assert graph.unique_ids.tolist() == codes
    table = pd.DataFrame({"area": codes, "y": values, "flag": flags})

    def ours(detector, column, graph=graph):
        panel = zg.Panel.from_frame(
            table.sample(frac=1, random_state=1), area="area", observed=column, family="gaussian"
        )
        return detector.detect(panel, graph).frame.set_index("area")["statistic"].loc[codes].to_numpy()

    n = len(codes)
    rows = [{j: 1 / len(row) for j in row} for row in near]
    truth = np.array([naive.geary(rows, values.tolist(), i, ddof=0) for i in range(n)])
    peer = esda.Geary_Local(connectivity=graph, permutations=0).fit(values).localG
    np.testing.assert_allclose(np.sort(peer), np.sort(truth))
    assert not np.allclose(peer, truth)
    geary = ours(zg.LocalGeary(DRAWS, value="rate"), "y", graph.transform("R"))
    np.testing.assert_allclose(geary * n / (n - 1), truth, rtol=1e-12)

    joins = np.array([naive.joins(near, flags, i) for i in range(n)])
    peer = esda.Join_Counts_Local(connectivity=graph).fit(flags, permutations=0).LJC
    assert not np.array_equal(peer, joins)
    found = ours(zg.LocalJoinCounts(), "flag")
    np.testing.assert_array_equal(found[flags == 1], joins[flags == 1])


def test_t20_graph_of_the_caller_stays_as_it_was(esda, board):
    """esda standardises the caller's W in place and empties the diagonal of its matrix."""
    theirs = board.graph().assign_self_weight(1.0).to_W()
    assert (theirs.transform, theirs.sparse.diagonal()[0]) == ("O", 1)
    esda.Moran_Local(np.array(SKEWED), theirs, permutations=9, seed=1)
    assert (theirs.transform, theirs.sparse.diagonal()[0]) == ("R", 0)
    mine = board.graph().assign_self_weight(1.0)
    before, cached = mine.adjacency.copy(), mine.sparse.copy()
    for detector in every():
        detector.detect(board.panel(SKEWED, family="gaussian"), mine)
    pd.testing.assert_series_equal(mine.adjacency, before)
    assert (mine.sparse != cached).nnz == 0
    assert mine.transformation == "O"


def test_t21_a_hub_changes_nothing_for_the_others(board):
    """Areas draw as many as they have neighbours: a prefix of the shared draw, however long that is."""
    hub = World([dict(row) for row in board.near])
    hub.near[48] = dict.fromkeys(range(48), 1.0)
    for detector in every():
        plain, with_hub = (cells(detector, world, SKEWED) for world in (board, hub))
        np.testing.assert_array_equal(plain["p_value"].iloc[:48], with_hub["p_value"].iloc[:48])
        np.testing.assert_array_equal(plain["z"].iloc[:48], with_hub["z"].iloc[:48])
    above, below = naive.counts(hub.near, SKEWED, 48, DRAWS, 7) or (DRAWS, DRAWS)
    found = cells(zg.GetisOrd(DRAWS, False, value="rate"), hub, SKEWED)
    assert found["p_value"].iloc[48] == naive.p_value(above, below, DRAWS, "two-sided")


def test_t24_coincident_points_have_finite_weights_and_a_p():
    """Inverse distances of coincident points are infinite elsewhere, and moved points give other answers."""
    spots = np.random.default_rng(6).uniform(0, 1_000, (14, 2))
    spots[1] = spots[2] = spots[0]
    codes = [f"P{i:02d}" for i in range(14)]
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(*spots.T), index=codes, crs=28992)
    values = pd.DataFrame({"area": codes, "y": np.random.default_rng(7).normal(size=14)})
    panel = zg.Panel.from_frame(values, area="area", observed="y", family="gaussian")
    for method, options in (("knn", {"k": 4}), ("distance_band", {"threshold": 600.0, "binary": False})):
        graph = zg.build_weights(points, method, **options)
        assert np.isfinite(graph.adjacency).all()
        assert {"P01", "P02"} <= set(graph["P00"].index)
        for detector in every():
            assert detector.detect(panel, graph).frame["p_value"].between(2 / (DRAWS + 1), 1).all()
