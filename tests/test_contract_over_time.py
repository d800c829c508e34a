"""What every detector over time promises, whatever it computes."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from libpysal.graph import Graph

import zoo_geo as zg
from panels import World, lattice, with_island
from series import calm, of_period, panel_of
from test_contract import OVER_TIME, REGISTRY, same
from test_deviation import areas_of, parents_of
from zoo_geo.errors import InputError
from zoo_geo.schema import COLUMNS, DETECTION_COLUMNS, STATUSES

PERIODS = 6
CASES = [
    ("spike", {}),
    ("spike", {"history": "before"}),
    ("spike", {"reference": "national", "alternative": "greater"}),
    ("spike", {"reference": "parent:gemeente", "alternative": "less"}),
    ("trend", {}),
    ("trend", {"value": "rate"}),
    ("trend", {"reference": "parent:gemeente"}),
    ("emerging", {"permutations": 199}),
    ("emerging", {"permutations": 199, "value": "rate"}),
    ("emerging", {"inference": "moments", "value": "eb_rate"}),
]
DETECTOR = pytest.mark.parametrize(
    "detector",
    [
        pytest.param(
            REGISTRY[name](**options),
            id=" ".join([name, *map(str, options.values())]),
            marks=[pytest.mark.slow] if options.keys() - {"permutations"} else [],
        )
        for name, options in CASES
    ],
)


def test_every_detector_over_time_is_held_to_this():
    assert {name for name, _ in CASES} == OVER_TIME


@pytest.fixture(scope="module")
def world():
    whole = lattice(11, 10, seed=2)
    for i in (0, 10, 20, 30):
        whole.near[i] = dict.fromkeys(whole.near[i], 1.0)
    return with_island(whole)


@pytest.fixture(scope="module")
def areas(world):
    return areas_of(world, parents_of(world, 7))


@pytest.fixture(scope="module")
def figures(world):
    size, first = calm(world, PERIODS, seed=1)
    second = calm(world, PERIODS, seed=2, rate=0.005)[1]
    second[:9, 2] = np.nan
    return size, {"y": first, "w": second}


@DETECTOR
def test_frame_is_tidy_and_in_the_order_of_the_panel(detector, world, areas, figures):
    size, tables = figures
    found = detector.detect(panel_of(world, tables, size, seed=5), world.graph(), areas=areas)
    frame = found.frame
    assert tuple(frame.columns) == DETECTION_COLUMNS + detector.own
    assert set(frame.columns) <= set(COLUMNS)
    order = [world.codes[i] for i in world.order(5)]
    assert frame["area"].tolist() == np.repeat(order, 2 * PERIODS).tolist()
    assert frame["period"].tolist() == [str(2001 + t) for t in range(PERIODS)] * (2 * len(world))
    assert set(frame["status"]) <= set(STATUSES)
    assert found.name == f"{detector.name}:{found.reference}"
    ok = frame["status"] == "ok"
    assert ok.any()
    assert ((frame.loc[ok, "p_value"] > 0) & (frame.loc[ok, "p_value"] <= 1)).all()
    assert frame.loc[ok, "z"].notna().all()
    assert frame.loc[ok, "n_periods"].ge(1).all()
    assert frame.loc[~ok, ["z", "p_value", "statistic"]].isna().all().all()
    assert (frame.loc[~ok, "direction"] == "none").all()
    assert (frame.loc[~ok, "label"].astype(str) == frame.loc[~ok, "status"].astype(str)).all()
    assert not frame.loc[ok, "label"].astype(str).isin(STATUSES).any()


@DETECTOR
def test_order_of_rows_other_columns_and_threads_change_nothing(detector, world, areas, figures):
    size, tables = figures
    found = detector.detect(panel_of(world, tables, size), world.graph(), areas=areas, n_jobs=1)
    shuffled = panel_of(world, tables, size, seed=3)
    same(found, detector.detect(shuffled, world.graph(seed=4), areas=areas, n_jobs=3))
    alone = detector.detect(panel_of(world, {"w": tables["w"]}, size), world.graph(), areas=areas)
    rows = found.frame[found.frame["indicator"] == "w"]
    same(alone, dataclasses.replace(found, frame=rows))


@DETECTOR
def test_weights_twice_as_large_are_the_same(detector, world, areas, figures):
    size, tables = figures
    panel = panel_of(world, tables, size)
    one, two = (
        detector.detect(panel, world.graph(scale=scale), areas=areas).frame.drop(columns="statistic")
        for scale in (1.0, 4.0)
    )
    pd.testing.assert_frame_equal(one, two, rtol=1e-9)


@DETECTOR
def test_input_is_not_modified(detector, world, areas, figures):
    size, tables = figures
    breaks = np.zeros((len(world), PERIODS), bool)
    breaks[:20, 3] = True
    panel, graph = panel_of(world, tables, size, breaks=breaks), world.graph(seed=1)
    names = ("observed", "exposure", "status", "breaks")
    before, adjacency = [getattr(panel, name).copy() for name in names], graph.adjacency.copy()
    detector.detect(panel, graph, areas=areas)
    for name, array in zip(names, before, strict=True):
        np.testing.assert_array_equal(getattr(panel, name), array)
    pd.testing.assert_series_equal(graph.adjacency, adjacency)


@DETECTOR
def test_reasons_for_silence_have_their_status(detector, world, areas, figures):
    size, tables = figures
    last = str(2000 + PERIODS)
    table = tables["y"].copy()
    table[2, -1], table[3, -1] = np.nan, -99997
    wide = np.tile(size[:, None], PERIODS)
    wide[5, -1] = 0.0
    frame = detector.detect(panel_of(world, table, wide), world.graph(), areas=areas).frame
    status = of_period(frame, "status", world, last)
    assert status[2:4].tolist() == ["missing", "secret"]
    assert status[5] == "no_exposure"
    reference = getattr(detector, "reference", "neighbours")
    assert status[-1] == (
        "isolated" if reference == "neighbours" else "ok" if ":" not in reference else status[-1]
    )
    assert set(np.delete(status, [2, 3, 5, len(world) - 1])) == {"ok"}


@DETECTOR
def test_areas_that_only_the_graph_knows_are_missing(detector, world, areas, figures):
    size, tables = figures
    gone = [4, 11]
    size, table = size.copy(), tables["y"].copy()
    size[gone], table[gone] = np.nan, np.nan
    part = World(world.near, world.codes)
    kept = [i for i in range(len(world)) if i not in gone]
    frame = pd.concat(
        pd.DataFrame(
            {
                "area": np.array(part.codes)[kept],
                "period": str(2001 + t),
                "y": table[kept, t],
                "size": size[kept],
            }
        )
        for t in range(PERIODS)
    )
    panel = zg.Panel.from_frame(frame, area="area", period="period", observed="y", exposure="size")
    found = detector.detect(panel, world.graph(), areas=areas)
    assert found.frame["status"].tolist()[-2 * PERIODS :] == ["missing"] * (2 * PERIODS)
    same(found, detector.detect(panel_of(world, table, size), world.graph(), areas=areas))


@DETECTOR
def test_areas_that_the_graph_does_not_know_are_an_error(detector, world, areas, figures):
    size, tables = figures
    with pytest.raises(InputError, match=r"need to be in the graph.*1 of 111; first: BU9999"):
        detector.detect(panel_of(world, tables, size), lattice(11, 10).graph(), areas=areas)


@DETECTOR
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_or_two_areas_and_few_periods_are_no_error(detector, n, count):
    world = World([{1: 1.0}, {0: 1.0}][:n] if n == 2 else [{}])
    table = np.arange(1.0, n * count + 1).reshape(n, count)
    found = detector.detect(
        panel_of(world, table, [100.0, 200.0][:n]), world.graph(), areas=areas_of(world, ["GM1"] * n)
    )
    assert len(found.frame) == n * count
    assert set(found.frame["status"]) <= {"isolated", "constant", "too_few", "not_tested"}
    assert found.frame["p_value"].isna().all()


@DETECTOR
@pytest.mark.parametrize("family", ["poisson", "binomial", "gaussian"])
def test_all_families_nothing_at_all_and_all_alike(detector, world, areas, family):
    size, table = calm(world, PERIODS, seed=4)
    table = np.minimum(table, size[:, None])
    shapes = {
        "y": table,
        "nothing": np.zeros_like(table),
        "same": np.tile(np.minimum(table[:, :1], 7), (1, PERIODS)),
    }
    frame = detector.detect(panel_of(world, shapes, size, family), world.graph(), areas=areas).frame
    ok = frame[frame["status"] == "ok"]
    assert (ok["indicator"] == "y").any()
    assert ok["p_value"].between(0, 1, inclusive="right").all()
    nothing = frame[frame["indicator"] == "nothing"]
    assert not (nothing["status"] == "ok").any()
    assert np.isfinite(ok["z"]).all()


@DETECTOR
def test_seeds_and_jobs_are_checked(detector, world, areas, figures):
    size, tables = figures
    panel, graph = panel_of(world, tables, size), world.graph()
    with pytest.raises(InputError, match="seed needs to be a whole number"):
        detector.detect(panel, graph, areas=areas, seed=-1)
    with pytest.raises(InputError, match="n_jobs needs to be at least 1"):
        detector.detect(panel, graph, areas=areas, n_jobs=0)
    same(*(detector.detect(panel, graph, areas=areas, seed=9) for _ in range(2)))


@DETECTOR
def test_nothing_is_compared_across_a_break(detector, world, areas, figures):
    """Figures before a break do not matter for what comes after it."""
    size, tables = figures
    breaks = np.zeros((len(world), PERIODS), bool)
    breaks[:, 1] = True
    one = tables["y"].copy()
    two = one.copy()
    two[:, 0] = two[::-1, 0] * 5 + 3
    found = [
        detector.detect(panel_of(world, table, size, breaks=breaks), world.graph(), areas=areas)
        for table in (one, two)
    ]
    frames = [each.frame[each.frame["period"] != "2001"].reset_index(drop=True) for each in found]
    columns = [name for name in frames[0] if name not in ("n_neighbors",)]
    if detector.name == "spike":  # the first period tells how figures stray, of the whole indicator
        columns = ["n_periods", "history_value", "status"]
    pd.testing.assert_frame_equal(frames[0][columns], frames[1][columns])
    assert any(
        "changed (2002); periods before and after it are not compared" in each for each in found[0].notices
    )


def test_graphs_with_numbers_for_codes_are_refused(world, areas, figures):
    size, tables = figures
    numbers = Graph.from_arrays(range(111), [(i + 1) % 111 for i in range(111)], np.ones(111))
    with pytest.raises(InputError, match="need to be in the graph"):
        zg.Spike().detect(panel_of(world, tables, size), numbers, areas=areas)
