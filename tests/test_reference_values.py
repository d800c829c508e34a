"""Numbers that other packages print, to the printed digits; numbered as in the list of peers' values.

Sources: the test suites and manuals of PySAL esda and of GeoDa (libgeoda, pygeoda), which run on maps that
everybody has. p-values depend on a peer's own draws and are held within their Monte Carlo error.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from libpysal.graph import Graph

import zoo_geo as zg
from naive import local_statistics as naive
from panels import World
from peers import import_esda
from test_local_statistics import libpysal_map
from zoo_geo.significance import adjust, significant

DRAWS = 9_999
DATA = Path(__file__).parent / "data"


def graph_of(pairs):
    focal, neighbor = zip(*pairs, strict=True)
    return Graph.from_arrays(focal, neighbor, np.ones(len(pairs)))


@pytest.fixture(scope="module")
def guerry():
    """Moral statistics of France: table by code, and queen neighbours."""
    table = pd.read_csv(DATA / "guerry.csv", dtype={"code": str})
    pairs = [(i, j) for i, near in zip(table["code"], table["neighbors"], strict=True) for j in near.split()]
    return table, graph_of(pairs)


@pytest.fixture(scope="module")
def columbus():
    """49 neighbourhoods of Columbus, Ohio."""
    return libpysal_map("columbus.shp", "columbus.gal")


@pytest.fixture(scope="module")
def saint_louis():
    """78 counties around St. Louis."""
    return libpysal_map("stl_hom.shp", "stl.gal")


def found(detector, table, columns, graph, **options):
    """Frame of a detector in the order of the table."""
    panel = zg.Panel.from_frame(table, area="code", observed=columns, family="gaussian", **options)
    frame = detector.detect(panel, graph, seed=1).frame
    return frame.set_index("area").loc[table["code"]]


def directed(frame):
    """p as GeoDa and esda print it: of the nearer tail only."""
    return (frame["p_value"] / 2).to_numpy()


def within_error(ours, printed, draws=999):
    printed = np.asarray(printed)
    error = np.sqrt(printed * (1 - printed) * (1 / draws + 1 / DRAWS)) + 1 / draws
    return (np.abs(ours - printed) < 4 * error).all()


# --- local Moran ------------------------------------------------------------------------------------

GEODA_MORAN = [
    0.015431978309803657, 0.3270633223656033, 0.021295296214118884, 0.004610544790030418,
    -0.0028342407096540465, 0.41493771583040345, -0.13794630908086175, 0.09986576922564794,
    0.2823176310018141, 0.1218745112146858, -0.09512054168698209, 0.032611193818022896,
    0.3878324535340113, 1.1888723840162665, -0.6452792226077357, -0.30964927402750314,
    0.3662775143008573, 2.0375343538940496, -0.005015479968822494, 0.06971105719113387,
]  # fmt: skip
GEODA_MORAN_P = [
    0.414, 0.123, 0.001, 0.474, 0.452, 0.087, 0.243, 0.326, 0.299, 0.303,
    0.237, 0.460, 0.258, 0.018, 0.199, 0.188, 0.131, 0.004, 0.456, 0.342,
]  # fmt: skip


def test_value_1_local_moran_of_crimes_against_property(guerry):
    """First twenty values and p of GeoDa's manual; the third, a high among highs, is significant."""
    table, graph = guerry
    frame = found(zg.LocalMoran(DRAWS, "rate"), table, "crimes_property", graph)
    np.testing.assert_allclose(frame["statistic"].iloc[:20], GEODA_MORAN, rtol=1e-12)
    assert within_error(directed(frame)[:20], GEODA_MORAN_P)
    assert frame["label"].iloc[2] == "HH"
    with_n = frame["statistic"].iloc[:3] * 85 / 84
    np.testing.assert_allclose(with_n, [0.01561569, 0.33095693, 0.02154881], atol=5e-9)


def test_value_2_local_moran_of_crimes_against_persons(guerry):
    table, graph = guerry
    frame = found(zg.LocalMoran(DRAWS, "rate"), table, "crimes_persons", graph)
    printed = [0.516120231288079, 0.818275138495031, 0.794086559694542]
    np.testing.assert_allclose(frame["statistic"].iloc[:3], printed, rtol=1e-12)
    assert within_error(directed(frame)[:3], [0.197, 0.013, 0.023])


def test_value_3_crimes_against_persons_among_neighbours_who_read(guerry):
    table, graph = guerry
    both = ["crimes_persons", "literacy"]
    frame = found(zg.BivariateLocalMoran("literacy", permutations=DRAWS, value="rate"), table, both, graph)
    frame = frame[frame["indicator"] == "crimes_persons"]
    printed = [0.39266344763810573, 0.75613610603433934, -0.87851057571266755]
    np.testing.assert_allclose(frame["statistic"].iloc[:3], printed, rtol=1e-12)
    assert within_error(directed(frame)[:3], [0.269, 0.021, 0.001])


# --- Getis-Ord --------------------------------------------------------------------------------------


def test_value_10_g_and_g_star_of_crimes_against_property(guerry):
    """GeoDa takes the mean of the neighbours (and, with a star, of the area too)."""
    table, graph = guerry
    plain = found(zg.GetisOrd(DRAWS, False, value="rate"), table, "crimes_property", graph.transform("R"))
    printed = [0.012077920687925825, 0.0099240961298508561, 0.018753584525825453]
    np.testing.assert_allclose(plain["statistic"].iloc[:3], printed, rtol=1e-12)
    assert within_error(directed(plain)[:3], [0.414, 0.123, 0.001])
    star = found(zg.GetisOrd(19, value="rate"), table, "crimes_property", graph)
    members = graph.cardinalities.loc[table["code"]].to_numpy() + 1
    printed = [0.014177043620524426, 0.0096136007223101994, 0.017574324039034434]
    np.testing.assert_allclose(star["statistic"].iloc[:3] / members[:3], printed, rtol=1e-12)


# --- local Geary ------------------------------------------------------------------------------------


def with_ddof_0(frame):
    """esda divides by n, we (as GeoDa and spdep) by n - 1."""
    return frame["statistic"] * len(frame) / (len(frame) - 1)


def test_value_12_local_geary_of_homicides_around_saint_louis(saint_louis):
    table, graph = saint_louis
    frame = found(zg.LocalGeary(19, value="rate"), table, "HR8893", graph.transform("R"))
    assert with_ddof_0(frame).iloc[0] == pytest.approx(0.6967034328918531, rel=1e-12)


def test_values_13_and_14_local_geary_of_donations_and_crimes(guerry):
    table, graph = guerry
    graph = graph.transform("R")
    gifts = found(zg.LocalGeary(19, value="rate"), table, "donations", graph)
    printed = [0.18208704, 0.56001403, 0.97529461, 0.21590694, 0.61737256]
    np.testing.assert_allclose(with_ddof_0(gifts).iloc[:5], printed, atol=5e-9)
    crimes = found(zg.LocalGeary(DRAWS, value="rate"), table, "crimes_property", graph)
    printed = [7.3980833011783602, 0.28361195650519017, 3.6988922226329906]
    np.testing.assert_allclose(crimes["statistic"].iloc[:3], printed, rtol=1e-12)
    printed = [7.48615572, 0.28698829, 3.74292665]
    np.testing.assert_allclose(with_ddof_0(crimes).iloc[:3], printed, atol=5e-9)
    assert within_error(directed(crimes)[:3], [0.398, 0.027, 0.025])


def test_value_15_mean_of_two_indicators_is_the_multivariate_geary(guerry):
    table, graph = guerry
    both = ["crimes_property", "crimes_persons"]
    frame = found(zg.LocalGeary(19, value="rate"), table, both, graph.transform("R"))
    mean = frame.groupby(level=0)["statistic"].mean().loc[table["code"]]
    printed = [4.192904310228536, 0.560978550546873, 2.200847073745350]
    np.testing.assert_allclose(mean.iloc[:3], printed, rtol=1e-12)


# --- join counts ------------------------------------------------------------------------------------


def test_value_18_join_counts_of_northern_columbus(columbus):
    """GeoDa's p are below the exact ones: it hits the first area, a one, half as often as any other."""
    table, graph = columbus
    exact = found(zg.LocalJoinCounts(), table, "NSA", graph)
    assert exact["statistic"].iloc[:3].tolist() == [2, 3, 4]
    drawn = [math.comb(23, k) / math.comb(48, k) for k in (2, 3, 4)]  # all neighbours are ones
    np.testing.assert_allclose(exact["p_value"].iloc[:3], drawn, rtol=1e-12)
    np.testing.assert_allclose(drawn, [0.213, 0.070, 0.017], atol=0.035)
    assert (np.array(drawn) > [0.213, 0.070, 0.017]).all()


def test_value_19_join_counts_on_a_board():
    """The lower half of a board of four by four is one; rook neighbours."""
    near = [{j: 1.0 for j in range(16) if abs(i // 4 - j // 4) + abs(i % 4 - j % 4) == 1} for i in range(16)]
    world = World(near)
    panel = world.panel([0.0] * 8 + [1.0] * 8, family="gaussian")
    frame = zg.LocalJoinCounts().detect(panel, world.graph()).frame
    assert frame["statistic"].iloc[8:].tolist() == [2, 3, 3, 2, 2, 3, 3, 2]
    assert (frame["status"].iloc[:8] == "not_tested").all()  # no join begins in an area that is none
    assert frame["p_value"].iloc[:8].isna().all()


ESDA_JOINS = {
    12: 0.435, 14: 0.025, 15: 0.025, 17: 0.328, 24: 0.342, 26: 0.334,
    33: 0.329, 53: 0.481, 74: 0.020, 80: 0.125, 82: 0.043,
}  # fmt: skip


def test_value_21_join_counts_of_large_donations(guerry):
    """Eleven departments have a join; esda folds p to the nearer tail, which doubles nothing here."""
    table, graph = guerry
    frame = found(zg.LocalJoinCounts(above=10_997), table, "donations", graph)
    joins = frame["statistic"].to_numpy()
    assert np.flatnonzero(joins > 0).tolist() == list(ESDA_JOINS)
    p = frame["p_value"].to_numpy()[list(ESDA_JOINS)]
    assert within_error(np.minimum(p, 1 - p), list(ESDA_JOINS.values()))


# --- rates and corrections --------------------------------------------------------------------------


def test_value_35_standardised_rates():
    """Assuncao and Reis on eight areas; laid out twice, each area beside its own copy."""
    events, size = [30, 25, 25, 15, 33, 21, 30, 20], [100, 100, 110, 90, 100, 90, 110, 90]
    printed = [1.03843594, -0.04099089, -0.56250375, -1.73061861]
    world = World([{(i + 8) % 16: 1.0} for i in range(16)])
    frame = zg.GetisOrd(19, value="eb_rate").detect(world.panel(events * 2, size * 2), world.graph()).frame
    np.testing.assert_allclose(frame["statistic"].iloc[:4], printed, atol=5e-9)
    np.testing.assert_allclose(frame["statistic"], naive.eb_rates(events, size) * 2, rtol=1e-9)


def test_value_44_false_discoveries_around_saint_louis(saint_louis):
    """esda's cut-offs, over its own p: 2 x 0.1 / 78 and 2 x 0.05 / 78."""
    esda = import_esda()
    table, graph = saint_louis
    peer = esda.Moran_Local(table["HR8893"].to_numpy(), graph.transform("R"), permutations=999, seed=10)
    p = np.asarray(peer.p_sim, float)
    for level, cut in ((0.1, 0.002564102564102564), (0.05, 0.001282051282051282)):
        assert cut == pytest.approx(2 * level / 78, rel=1e-12)
        np.testing.assert_array_equal(significant(adjust(p), level), p <= cut)
        assert significant(adjust(p), level).any()
