"""What every detector of the registry promises, whatever it computes."""

import dataclasses
import doctest
import importlib
import inspect
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from libpysal.graph import Graph

from panels import World, by_area, counts_of, lattice, with_island
from test_deviation import areas_of, parents_of
from zoo_geo import detectors
from zoo_geo.detectors.base import Detection, Detector
from zoo_geo.errors import InputError
from zoo_geo.panel import Panel
from zoo_geo.schema import COLUMNS, DETECTION_COLUMNS, STATUSES

REGISTRY = detectors.registry()
VARIANTS = [
    ("deviation", {"reference": "national"}),
    ("deviation", {"reference": "parent:gemeente"}),
    ("getis_ord", {"value": "rate"}),
    ("getis_ord", {"star": False, "value": "eb_rate"}),
    ("local_moran", {"value": "rate"}),
    ("local_moran", {"value": "rate", "inference": "moments"}),
    ("local_geary", {"value": "rate"}),
    ("getis_ord", {"value": "rate", "stop_above": 0.1}),
    ("local_join_counts", {"inference": "permutation"}),
    ("scan", {"direction": "both", "time": "retrospective", "dispersion": "estimate"}),
    ("graph_scan", {"direction": "both", "border_cost": 0.5, "dispersion": "estimate"}),
]
NEEDED = {
    "bivariate_local_moran": {"other": "y3"},
    "local_join_counts": {"above": 25.0},
    "unusual_mix": {"theme": "mix", "indicators": ("y1", "y3")},
}
"""Options that a detector cannot do without."""
WHOLE = ("unusual_mix",)
"""Detectors whose rows are of a theme: its indicators together, per area and period."""


def make(name, **options):
    """A detector with few permutations, where it takes any."""
    fields = {field.name for field in dataclasses.fields(REGISTRY[name])}
    draws = {option: n for option, n in (("permutations", 199), ("replicates", 19)) if option in fields}
    return REGISTRY[name](**NEEDED.get(name, {}), **draws, **options)


def reads_neighbours(detector):
    """Whether the graph decides what is compared with what."""
    return detector.name == "graph_scan" or (
        detector.name != "scan" and getattr(detector, "reference", "neighbours") == "neighbours"
    )


def on(detector, indicator="y"):
    """The same detector, its other indicator, or those of its theme, ones that the panel has."""
    if detector.name in WHOLE:
        return dataclasses.replace(detector, indicators=(indicator, "y2" if indicator == "y1" else "z"))
    return dataclasses.replace(detector, other=indicator) if hasattr(detector, "other") else detector


def alone(detector, column, more):
    """Columns of a panel: one for a detector that needs no other, two where it takes a theme."""
    return {"y": column, "z": more} if detector.name in WHOLE else {"y": column}


OVER_TIME = {"emerging", "spike", "trend"}
"""Detectors that need several periods; what they promise is in test_contract_over_time."""
CASES = [(name, {}) for name in REGISTRY if name not in OVER_TIME] + VARIANTS


def case(name, options):
    """A detector, by its name and options; what differs from the defaults belongs to the full run."""
    marks = [pytest.mark.slow] if options or name == "graph_scan" else []
    return pytest.param(make(name, **options), id=" ".join([name, *map(str, options.values())]), marks=marks)


DETECTOR = pytest.mark.parametrize("detector", [case(*each) for each in CASES])
ALONE = pytest.mark.parametrize(
    "detector", [case(*each) for each in CASES if each[0] not in ("bivariate_local_moran", *WHOLE)]
)
"""Detectors that need no second indicator; those of a theme keep these promises in test_combinations."""
SECRET = -99997


@pytest.fixture(scope="module")
def world():
    """Uneven weights, an island, ties."""
    whole = lattice(11, 10, seed=2)
    for i in (0, 10, 20, 30):
        whole.near[i] = dict.fromkeys(whole.near[i], 1.0)
    return with_island(whole)


@pytest.fixture(scope="module")
def areas(world):
    return areas_of(world, parents_of(world, 7))


def columns_of(world):
    size, _ = counts_of(world)
    columns = {f"y{k}": np.minimum(counts_of(world, seed=k)[1], size) for k in range(11)}
    columns["y2"][:9] = np.nan
    return size, columns


def indexed(found):
    keys = ["area", "indicator", "period"]
    frame = found.frame.astype(dict.fromkeys(keys, object))
    return frame.set_index(keys).sort_index()


def same(one, other):
    """To the last bit."""
    pd.testing.assert_frame_equal(indexed(one), indexed(other), check_exact=True, check_categorical=False)


# --- the frame --------------------------------------------------------------------------------------


@DETECTOR
def test_frame_is_tidy_and_in_the_order_of_the_panel(detector, world, areas):
    size, columns = columns_of(world)
    columns = {name: columns[name] for name in ("y3", "y1")}
    found = detector.detect(world.panel(columns, size, seed=5), world.graph(), areas=areas)
    assert isinstance(found, Detection)
    assert tuple(found.frame.columns) == DETECTION_COLUMNS + detector.own
    assert set(found.frame.columns) <= set(COLUMNS)
    order = [world.codes[i] for i in world.order(5)]
    rows = ["mix"] if detector.name in WHOLE else ["y3", "y1"]
    assert found.frame["area"].tolist() == np.repeat(order, len(rows)).tolist()
    assert found.frame["indicator"].tolist() == rows * len(world)
    assert set(found.frame["period"]) == {"all"}
    assert set(found.frame["detector"]) == {detector.called} == {found.detector}
    assert detector.called.startswith(detector.name)
    assert set(found.frame["reference"]) == {found.reference}
    assert found.name == f"{found.detector}:{found.reference}"
    assert set(found.frame["status"]) <= set(STATUSES)
    assert set(found.frame["direction"]) <= {"high", "low", "none"}
    assert found.frame["cluster"].isna().all() == (found.clusters is None)
    assert found.parameters["seed"] == 0
    assert {field.name for field in dataclasses.fields(detector)} <= set(found.parameters)


@DETECTOR
def test_p_is_never_zero_and_never_above_one(detector, world, areas):
    size, columns = columns_of(world)
    columns["y0"][5] = 10_000
    frame = detector.detect(world.panel(columns, size), world.graph(), areas=areas).frame
    ok = frame["status"] == "ok"
    assert ok.any()
    assert ((frame.loc[ok, "p_value"] > 0) & (frame.loc[ok, "p_value"] <= 1)).all()
    assert frame.loc[ok, "z"].notna().all()
    assert frame.loc[~ok, ["z", "p_value", "statistic"]].isna().all().all()
    assert (frame.loc[~ok, "direction"] == "none").all()
    assert (frame.loc[~ok, "label"].astype(str) == frame.loc[~ok, "status"].astype(str)).all()
    assert not frame.loc[ok, "label"].astype(str).isin(STATUSES).any()


@ALONE
def test_periods_and_indicators_fill_the_cube(detector, world, areas):
    size, columns = columns_of(world)
    n = len(world)
    observed = np.concatenate([columns[name] for name in ("y1", "y3", "y4")])
    periods = np.repeat(["2024", "2022", "2023"], n)
    long = pd.DataFrame({"area": world.codes * 3, "period": periods, "observed": observed})
    long = long.assign(indicator="y", exposure=np.tile(size, 3))
    found = detector.detect(Panel.from_long(long.drop(index=[4])), world.graph(), areas=areas).frame
    assert found["period"].tolist() == ["2022", "2023", "2024"] * n
    if getattr(detector, "time", "each") != "each":
        return  # it looks at all periods together
    alone = detector.detect(world.panel({"y": columns["y3"]}, size), world.graph(), areas=areas).frame
    of_2022 = found[found["period"] == "2022"]
    np.testing.assert_array_equal(by_area(of_2022, "p_value", world), by_area(alone, "p_value", world))
    missing = found[(found["status"] == "missing")]
    assert missing[["area", "period"]].values.tolist() == [[world.codes[4], "2024"]]


# --- what must not matter ---------------------------------------------------------------------------


@DETECTOR
@pytest.mark.parametrize("family", ["poisson", "binomial", "gaussian"])
def test_order_of_rows_does_not_matter(detector, world, areas, family):
    size, columns = columns_of(world)
    columns, detector = {name: columns[name] for name in ("y0", "y1", "y2")}, on(detector, "y1")
    one = detector.detect(world.panel(columns, size, family), world.graph(), areas=areas, seed=3)
    other = detector.detect(
        world.panel(columns, size, family, seed=1),
        world.graph(seed=2),
        areas=areas.subset(np.random.default_rng(0).permutation(world.codes)),
        seed=3,
    )
    same(one, other)


@pytest.mark.slow
@DETECTOR
@pytest.mark.parametrize("family", ["poisson", "binomial", "gaussian"])
def test_other_columns_do_not_matter(detector, world, areas, family):
    size, columns = columns_of(world)
    graph = world.graph()
    whole = indexed(detector.detect(world.panel(columns, size, family), graph, areas=areas))
    for names in (["y0"], ["y2"], ["y10", "y2"], ["y9", "y4", "y0"]):
        names = [*names, "y3"] if hasattr(detector, "other") else names
        names = [*dict.fromkeys([*names, "y1", "y3"])] if detector.name in WHOLE else names
        part = world.panel({name: columns[name] for name in names}, size, family)
        alone = indexed(detector.detect(part, graph, areas=areas))
        pd.testing.assert_frame_equal(
            alone, whole.loc[alone.index], check_exact=True, check_categorical=False
        )


@DETECTOR
def test_number_of_threads_does_not_matter(detector, world, areas):
    size, columns = columns_of(world)
    panel, graph = world.panel(columns, size), world.graph()
    found = [detector.detect(panel, graph, areas=areas, n_jobs=n) for n in (1, 2, 5, None)]
    for other in found[1:]:
        same(found[0], other)
    with pytest.raises(InputError, match="n_jobs needs to be at least 1"):
        detector.detect(panel, graph, areas=areas, n_jobs=0)


@DETECTOR
def test_seed_decides_the_draws_and_nothing_else(detector, world, areas):
    size, columns = columns_of(world)
    panel, graph = world.panel(columns, size), world.graph()
    one, again, other = (detector.detect(panel, graph, areas=areas, seed=seed) for seed in (4, 4, 5))
    same(one, again)
    drawn = getattr(detector, "inference", "") == "permutation" or hasattr(detector, "replicates")
    assert one.frame["p_value"].equals(other.frame["p_value"]) != drawn
    of_draws = ["p_value", "z"] if hasattr(detector, "replicates") else ["p_value"]
    pd.testing.assert_frame_equal(one.frame.drop(columns=of_draws), other.frame.drop(columns=of_draws))


@DETECTOR
@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, None, True, "7"])
def test_seeds_that_do_not_fit_are_refused(detector, world, areas, seed):
    detector = on(detector)
    size, columns = columns_of(world)
    panel, graph = world.panel(alone(detector, columns["y0"], columns["y1"]), size), world.graph()
    with pytest.raises(InputError, match="seed needs to be a whole number"):
        detector.detect(panel, graph, areas=areas, seed=seed)


@DETECTOR
def test_a_seed_of_numpy_fits(detector, world, areas):
    detector = on(detector)
    size, columns = columns_of(world)
    panel, graph = world.panel(alone(detector, columns["y0"], columns["y1"]), size), world.graph()
    one, other = (detector.detect(panel, graph, areas=areas, seed=kind(2**62)) for kind in (int, np.int64))
    same(one, other)


@DETECTOR
def test_input_is_not_modified(detector, world, areas):
    size, columns = columns_of(world)
    panel, graph = world.panel(columns, size), world.graph(seed=1)
    arrays = [getattr(panel, name).copy() for name in ("observed", "exposure", "status")]
    adjacency, frame = graph.adjacency.copy(), areas.frame.copy()
    detector.detect(panel, graph, areas=areas)
    for name, before in zip(("observed", "exposure", "status"), arrays, strict=True):
        np.testing.assert_array_equal(getattr(panel, name), before)
    pd.testing.assert_series_equal(graph.adjacency, adjacency)
    pd.testing.assert_frame_equal(areas.frame, frame)


@ALONE
def test_results_do_not_lean_on_the_call_before(detector, world, areas):
    size, columns = columns_of(world)
    panel = world.panel({"y": columns["y0"]}, size)
    grid, row = world.graph(), World([{i - 1: 1.0} if i else {1: 1.0} for i in range(len(world))]).graph()
    row = Graph(row.adjacency.rename({row.unique_ids[-1]: world.codes[-1]}))
    first = detector.detect(panel, grid, areas=areas)
    second = detector.detect(panel, row, areas=areas)
    first.frame["z"] = 0.0  # a reader may do as he likes with his frame
    third = detector.detect(panel, grid, areas=areas)
    fresh = detector.detect(world.panel({"y": columns["y0"]}, size), world.graph(), areas=areas)
    same(third, fresh)
    if reads_neighbours(detector):
        assert not second.frame["p_value"].equals(third.frame["p_value"])


# --- statuses ---------------------------------------------------------------------------------------


@ALONE
def test_every_reason_for_silence_has_its_status(detector, world, areas):
    size, columns = columns_of(world)
    n, island = len(world), len(world) - 1
    columns = {
        "y": columns["y0"],
        "flat": np.array(size, float),  # the same rate everywhere
        "few": np.where(np.arange(n) < 6, columns["y1"], np.nan),
    }
    for column in columns.values():
        column[2], column[3] = np.nan, SECRET
    columns["few"][island] = 4.0
    size[5] = 0.0
    frame = detector.detect(world.panel(columns, size), world.graph(), areas=areas).frame
    local = reads_neighbours(detector)
    y, flat, few = (by_area(frame, "status", world, name).tolist() for name in columns)
    for status in (y, flat, few):
        assert status[2:4] == ["missing", "secret"]
        assert status[5] == "no_exposure"
        if local:  # no neighbour at all comes before a column that says nothing
            assert status[island] == "isolated"
    others = [i for i in range(n) if i not in (2, 3, 5, island)]
    # areas that have nothing have no joins to count
    assert {y[i] for i in others} == (
        {"ok", "not_tested"} if detector.name == "local_join_counts" else {"ok"}
    )
    assert {flat[i] for i in others} == {"constant"}
    assert {few[i] for i in others if i < 6} <= {"too_few", "isolated"}
    assert {few[i] for i in others if i >= 6} == {"missing"}
    assert "too_few" in few


@DETECTOR
def test_areas_that_only_the_graph_knows_are_missing(detector, world, areas):
    detector = on(detector)
    size, columns = columns_of(world)
    panel = world.panel(alone(detector, columns["y0"], columns["y1"]), size, seed=3)
    kept = [code for code in panel.areas if code not in (world.codes[4], world.codes[11])]
    part = Panel(
        pd.Index(kept), panel.indicators, panel.periods,
        *(getattr(panel, name)[panel.areas.get_indexer(kept)] for name in ("observed", "exposure", "status")),
    )  # fmt: skip
    found = detector.detect(part, world.graph(), areas=areas)
    assert found.frame["area"].tolist() == [*kept, world.codes[4], world.codes[11]]
    assert found.frame["status"].tolist()[-2:] == ["missing"] * 2
    assert found.frame["observed"].isna().tolist()[-2:] == [True, True]
    columns["y0"][[4, 11]], columns["y1"][[4, 11]], size[[4, 11]] = np.nan, np.nan, np.nan
    whole = world.panel(alone(detector, columns["y0"], columns["y1"]), size)
    whole = detector.detect(whole, world.graph(), areas=areas)
    same(found, whole)


@DETECTOR
def test_areas_that_the_graph_does_not_know_are_an_error(detector, world, areas):
    detector = on(detector)
    size, columns = columns_of(world)
    panel = world.panel(alone(detector, columns["y0"], columns["y1"]), size)
    smaller = lattice(11, 10).graph()
    with pytest.raises(InputError, match=r"need to be in the graph.*1 of 111; first: BU9999"):
        detector.detect(panel, smaller, areas=areas)
    numbers = Graph.from_arrays(range(111), [(i + 1) % 111 for i in range(111)], np.ones(111))
    with pytest.raises(InputError, match="need to be in the graph"):
        detector.detect(panel, numbers, areas=areas)


@DETECTOR
@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_areas_are_no_error(detector, n):
    world, detector = World([{1: 1.0}, {0: 1.0}][:n] if n == 2 else [{}]), on(detector)
    panel = world.panel(alone(detector, [3.0, 5.0][:n], [2.0, 9.0][:n]), [100.0, 200.0][:n])
    frame = detector.detect(panel, world.graph(), areas=areas_of(world, ["GM1"] * n)).frame
    assert len(frame) == n
    assert set(frame["status"]) <= {"isolated", "constant", "too_few"}
    assert frame["p_value"].isna().all()


# --- the registry -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGISTRY)
def test_every_detector_says_what_it_does_and_shows_it(name):
    kind = REGISTRY[name]
    assert issubclass(kind, Detector)
    assert kind.name == name
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    doc = inspect.getdoc(kind)
    assert doc.splitlines()[0].endswith((".", "?"))
    assert "Examples\n" in doc
    assert ">>>" in doc
    assert "References\n" in doc
    for field in dataclasses.fields(kind):
        assert field.name in doc, f"{field.name} needs a line in the docstring"
    assert kind.effect in DETECTION_COLUMNS + kind.own
    assert set(kind.own) <= set(COLUMNS)


def test_registry_holds_every_file_that_makes_a_detector():
    folder = Path(detectors.__file__).parent
    named = "    name: ClassVar[str] = "
    found = {path.stem for path in folder.glob("*.py") if named in path.read_text(encoding="utf-8")}
    assert found == set(detectors.NAMES) == set(REGISTRY)


@pytest.mark.parametrize(
    "module",
    [
        "significance",
        "flags",
        "priorities",
        "sql_guard",
        "leaks",
        "microdata",
        "expectation",
        "combinations",
        "co_occurrences",
        "detectors.themes",
        *(f"detectors.{name}" for name in detectors.NAMES),
    ],
)
def test_examples_in_docstrings_run(module):
    failed, _ = doctest.testmod(importlib.import_module(f"zoo_geo.{module}"), extraglobs={"np": np, "pd": pd})
    assert failed == 0
