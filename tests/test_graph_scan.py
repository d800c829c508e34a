"""The scan over a graph: what it finds, what it says of it, and what it leaves alone."""

import numpy as np
import pandas as pd
import pytest

import zoo_geo as zg
from naive import graph_scan as naive
from panels import World, by_area, lattice, with_island
from test_connected import triangulated
from test_deviation import areas_of, parents_of
from thin_study import write_study
from zoo_geo.explain import sentence

N = 144
SIZE = np.random.default_rng(0).integers(200, 1500, N).astype(float)
RIBBON = [13, 26, 39, 52, 65, 78, 79, 80, 81]
"""Down a diagonal and then to the right."""


@pytest.fixture(scope="module")
def world():
    return World([dict.fromkeys(row, 1.0) for row in triangulated(12, 12)])


def seen_on(members=(), ratio=2.5, seed=1, rate=0.02):
    factor = np.ones(N)
    factor[list(members)] = ratio
    return np.random.default_rng(seed).poisson(SIZE * rate * factor).astype(float)


def scan(world, columns, size=SIZE, family="poisson", graph=None, **options):
    named = {name: options.pop(name) for name in ("areas", "expected", "seed") if name in options}
    detector = zg.GraphScan(**{"replicates": 199, **options})
    return detector.detect(world.panel(columns, size, family), graph or world.graph(), **named)


def code(members):
    return {f"BU{i:04d}" for i in members}


# --- what it finds ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("family", ["poisson", "binomial"])
@pytest.mark.parametrize("direction", ["high", "low", "both"])
def test_clusters_are_those_by_hand(world, family, direction):
    seen = seen_on(RIBBON)
    found = scan(world, seen, family=family, direction=direction, max_population_share=0.08, top=3).clusters
    total = seen.sum()
    near = [sorted(row) for row in world.near]
    price = 1.2 * N / sum(map(len, near))
    sides = {"high": (1,), "low": (-1,), "both": (1, -1)}[direction]
    people = SIZE.sum() if family == "binomial" else np.inf
    due, closed = SIZE * total / SIZE.sum(), []
    for k in range(len(found)):
        row = found.iloc[k]
        score, side, group = naive.search(
            sides, seen, due, SIZE, near, price, total, 20, 0.08 * SIZE.sum(), 2, people, closed
        )
        closed += group
        assert set(row["members"]) == code(group)
        assert row["statistic"] == pytest.approx(score)
        assert row["direction"] == ("high" if side > 0 else "low")
        assert row["observed"] == seen[group].sum()
        assert row["expected"] == pytest.approx(due[group].sum())
        whole = naive.ratio(seen[group].sum(), due[group].sum(), total, people)
        assert row["log_likelihood_ratio"] == pytest.approx(whole)


def test_ribbon_is_found_that_circles_tell_little_of(world):
    panel, areas = world.panel(seen_on(RIBBON, 2.0, seed=2), SIZE), areas_of(world, parents_of(world, 12))
    ribbon = zg.GraphScan(replicates=199).detect(panel, world.graph()).clusters.iloc[0]
    circle = zg.Scan(replicates=199).detect(panel, areas).clusters.iloc[0]
    truth = code(RIBBON)
    assert ribbon["p_value"] == 0.005
    assert truth <= set(ribbon["members"])
    assert len(set(ribbon["members"]) - truth) <= 1
    assert len(truth & set(circle["members"])) <= 5


def test_dear_borders_make_compact_clusters_and_free_ones_reach_out(world):
    found = [
        scan(world, seen_on(RIBBON, 2.0, seed=3), replicates=9, border_cost=cost).clusters.iloc[0]
        for cost in (0.0, 1.2, 6.0)
    ]
    assert found[0]["n_areas"] > found[1]["n_areas"] > found[2]["n_areas"]
    assert found[0]["log_likelihood_ratio"] == pytest.approx(found[0]["statistic"])
    assert found[1]["log_likelihood_ratio"] > found[1]["statistic"]


def test_cells_tell_their_cluster(world):
    found = scan(world, seen_on(RIBBON))
    first, frame = found.clusters.iloc[0], found.frame.set_index("area")
    inside = frame.loc[list(first["members"])]
    assert (inside["cluster"] == 1).all()
    assert (inside["p_value"] == first["p_value"]).all()
    assert (inside["cluster_areas"] == first["n_areas"]).all()
    assert (inside["label"] == "high_cluster").all()
    outside = frame[frame["cluster"].isna()]
    assert (outside["p_value"] == 1.0).all()
    assert (outside["label"] == "none").all()
    assert found.clusters["cluster"].tolist() == list(range(1, len(found.clusters) + 1))
    assert found.controls == "family"


def test_middle_and_reach_need_a_map(world):
    areas = areas_of(world, parents_of(world, 12))
    row = scan(world, seen_on(RIBBON), areas=areas).clusters.iloc[0]
    points = areas.points[areas.codes.get_indexer(list(row["members"]))]
    assert (row["x"], row["y"]) == pytest.approx(points.mean(axis=0))
    assert row["radius"] == pytest.approx(np.hypot(*(points - points.mean(axis=0)).T).max())
    assert np.isnan(scan(world, seen_on(RIBBON)).clusters.iloc[0]["radius"])


def test_periods_can_be_pooled(world):
    years = [seen_on(RIBBON, 1.6, seed) for seed in (1, 2)]
    parts = [
        pd.DataFrame({"area": world.codes, "period": year, "observed": seen, "exposure": SIZE})
        for year, seen in zip(("2023", "2024"), years, strict=True)
    ]
    panel = zg.Panel.from_long(pd.concat(parts).assign(indicator="y"))
    pooled = zg.GraphScan(replicates=99, time="pooled").detect(panel, world.graph())
    whole = scan(world, years[0] + years[1], 2 * SIZE, replicates=99)
    same = ["members", "observed", "statistic", "direction"]
    assert pooled.clusters[same].values.tolist() == whole.clusters[same].values.tolist()
    assert set(pooled.clusters["period"]) == {"2023 - 2024"}
    each = zg.GraphScan(replicates=99).detect(panel, world.graph()).clusters
    assert set(each["period"]) == {"2023", "2024"}


# --- p ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_spread_of_true_rates_is_no_cluster(world):
    """Restless counts: a plain scan calls chance a cluster, one that knows the spread does not."""
    rng = np.random.default_rng(4)
    maps = {f"i{k}": rng.poisson(SIZE * 0.05 * rng.gamma(10, 0.1, N)).astype(float) for k in range(30)}
    plain, aware = (
        scan(world, maps, replicates=99, top=1, dispersion=dispersion) for dispersion in ("auto", "estimate")
    )
    assert (plain.clusters["p_value"] <= 0.05).mean() > 0.5
    assert (aware.clusters["p_value"] <= 0.05).mean() <= 0.15
    assert any("A plain scan takes that for clusters" in notice for notice in plain.notices)


def test_expected_counts_of_another_detection(world):
    """What a municipality has more of as a whole is no cluster against its own rate."""
    parents = parents_of(world, 12)
    areas = areas_of(world, parents)
    high = np.array([parent == parents[70] for parent in parents])
    seen = np.random.default_rng(5).poisson(SIZE * 0.02 * np.where(high, 3.0, 1.0)).astype(float)
    panel = world.panel(seen, SIZE)
    by_parent = zg.Deviation(reference="parent:gemeente").detect(panel, world.graph(), areas=areas)
    plain = zg.GraphScan(replicates=199).detect(panel, world.graph())
    within = zg.GraphScan(replicates=199, expected="deviation:parent:gemeente").detect(
        panel, world.graph(), areas=areas, expected=by_parent
    )
    assert plain.clusters.iloc[0]["p_value"] == 0.005
    assert within.clusters["p_value"].min() > 0.05
    assert within.reference == "parent:gemeente"


# --- areas that are alone or have no figure ------------------------------------------------------------


def test_areas_without_a_figure_connect_nobody(world):
    """A ribbon is cut in two where a member is missing."""
    line = World([{j: 1.0 for j in (i - 1, i + 1) if 0 <= j < 40} for i in range(40)])
    seen = np.full(40, 20.0)
    seen[10:19] = 60.0
    whole = scan(line, seen, np.full(40, 1000.0)).clusters.iloc[0]
    assert set(whole["members"]) == code(range(10, 19))
    seen[14] = np.nan
    halves = scan(line, seen, np.full(40, 1000.0)).clusters
    assert [set(members) for members in halves["members"][:2]] == [code(range(10, 14)), code(range(15, 19))]


def test_isolates_are_in_no_cluster_but_in_the_total():
    world = with_island(lattice(6, 6))
    seen = np.full(37, 20.0)
    seen[[0, 1, 36]] = 60.0, 60.0, 500.0
    found = scan(world, seen, np.full(37, 1000.0))
    assert by_area(found.frame, "status", world)[-1] == "isolated"
    assert set(found.clusters["members"].explode()) == {"BU0000", "BU0001"}
    assert by_area(found.frame, "expected", world)[0] == pytest.approx(seen.sum() / 37)


def test_an_area_by_itself_can_be_a_cluster():
    world = lattice(6, 6)
    seen = np.full(36, 20.0)
    seen[14] = 80.0
    row = scan(world, seen, np.full(36, 1000.0)).clusters.iloc[0]
    assert row["members"] == ("BU0014",)
    assert row["p_value"] == 0.005


def test_weights_and_the_side_of_links_do_not_matter(world):
    one_way = World([{j: 0.1 + i % 3 for j in row if j > i} or {i: 0.0} for i, row in enumerate(world.near)])
    found = [scan(each, seen_on(RIBBON)).clusters for each in (world, one_way)]
    assert found[0].drop(columns="members").equals(found[1].drop(columns="members"))


# --- options and words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_areas": 0}, "max_areas needs to be a whole number of at least 1; got 0"),
        ({"max_areas": 2.5}, "max_areas needs to be a whole number"),
        ({"replicates": 0}, "replicates needs to be a whole number"),
        ({"min_cases": 0}, "min_cases needs to be a whole number"),
        ({"top": 0}, "top needs to be a whole number"),
        ({"border_cost": -1.0}, "border_cost needs to be a number of at least 0; got -1.0"),
        ({"border_cost": np.nan}, "border_cost needs to be a number of at least 0"),
        ({"max_population_share": 0.6}, "max_population_share needs to be above 0 and at most 0.5; got 0.6"),
        ({"direction": "up"}, "direction needs to be one of"),
        ({"time": "retrospective"}, "time needs to be one of 'each', 'pooled'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(zg.InputError, match=message):
        zg.GraphScan(**options)


def test_it_takes_a_graph_and_nothing_else(world):
    panel, areas = world.panel(seen_on(), SIZE), areas_of(world, parents_of(world, 12))
    for other in (None, areas):
        with pytest.raises(zg.InputError, match="neighbors needs to be a libpysal Graph"):
            zg.GraphScan().detect(panel, other, areas=areas)


def test_limits_are_kept(world):
    found = scan(
        world, seen_on(RIBBON), max_areas=5, min_cases=120, top=4, max_population_share=0.04, border_cost=0.3
    ).clusters
    assert len(found) == 4
    assert found["n_areas"].max() == 5
    assert found["observed"].min() >= 120
    sizes = [sum(SIZE[int(each[2:])] for each in members) for members in found["members"]]
    assert max(sizes) <= 0.04 * SIZE.sum()


def test_flags_say_that_the_cluster_is_connected(world):
    flags = zg.flag(scan(world, seen_on(RIBBON), dispersion="none"))
    row = flags.frame.iloc[0].to_dict()
    assert "Its areas touch one another, in whatever shape." in sentence(row)
    assert "De gebieden raken elkaar, in welke vorm dan ook." in sentence(row, "nl")
    assert "(p = 0.005)" in sentence(row)
    assert set(flags.frame["area"]) <= code(RIBBON)
    alone = row | {"cluster_areas": 1}
    assert "touch" not in sentence(alone)


@pytest.mark.slow
def test_a_study_can_ask_for_it(tmp_path):
    figures = pd.DataFrame({"thefts": [20] * 30, "residents": [1000] * 30, "income": range(30)})
    figures.loc[8:13, "thefts"] = 70
    extra = '[[detectors]]\ntype = "graph_scan"\nreplicates = 99\nborder_cost = 0.5\n'
    result = zg.run(write_study(tmp_path, figures, extra), tmp_path / "out")
    found = result.detections[-1]
    assert found.detector == "graph_scan"
    assert set(found.clusters.iloc[0]["members"]) == {f"A{n}" for n in range(8, 14)}
    assert any("clusters" in path.name for path in result.paths)
    assert any("income" in notice for notice in found.notices)
