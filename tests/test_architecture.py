"""Data flows one way: who may import whom, read from the source."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import zoo_geo

SOURCE = Path(zoo_geo.__file__).parent

STOREYS = [
    {"errors", "notices", "schema", "checks", "threads", "_version"},
    {"kernels"},
    {
        "cbs",
        "figures",
        "geometry",
        "areas",
        "panel",
        "change_tables",
        "linking",
        "places",
        "branches",
        "cbs_tables",
        "indicators",
        "contiguity",
        "weights",
        "peers",
        "features",
        "likeness",
        "peer_quality",
        "stability",
        "tabular",
        "strict",
        "coded_columns",
        "sql_guard",
        "pseudonyms",
        "leaks",
        "private_folder",
        "postgres",
        "record_places",
        "records",
        "cells",
        "record_exposures",
        "microdata",
    },
    {
        "predictive",
        "moments",
        "quantiles",
        "coverage",
        "references",
        "response",
        "expectation",
        "counts",
        "estimates",
        "pooling",
        "spreads",
        "arrangements",
        "autoregression",
        "conditionals",
        "measured",
        "rates",
        "covariates",
        "courses",
        "histories",
        "trends",
        "blocks",
        "limits",
        "combinations",
        "scanning",
        "growing",
    },
    {"detectors"},
    {"co_occurrences", "significance", "supports", "flags", "priorities", "structure"},
    set(),  # review, disclosure
    {"explain", "facts", "phrases"},
    {"outputs"},
    {"study", "sections", "detector_checks", "record_checks", "inputs", "joining", "pipeline", "sample"},
    {"cli"},
]
"""From the ground up; a folder is one room. A room imports from its own storey and from those below."""

ROOM = {name: storey for storey, names in enumerate(STOREYS) for name in names}

FILES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.name != "__init__.py")
FILE = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def only_for_types(path):
    """Import statements under ``if TYPE_CHECKING``."""
    guarded = [
        node for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]  # fmt: skip
    return {id(inner) for node in guarded for inner in ast.walk(node)}


@cache
def imported(path, types=True):
    """Full names of all modules that a file imports, those inside functions too."""
    return frozenset(_imported(path, types))


def _imported(path, types):
    skipped = set() if types else only_for_types(path)
    for node in ast.walk(tree(path)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} line {node.lineno}: imports need to be absolute"
            # `from zoo_geo import cbs` names a room, `from zoo_geo.panel import Panel` names it before
            yield from (
                [f"zoo_geo.{alias.name}" for alias in node.names]
                if node.module == "zoo_geo"
                else [node.module]
            )
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            yield from (
                arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            )


def room(name):
    return name.split(".")[1] if name.startswith("zoo_geo.") else None


def room_of(path):
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def test_every_room_has_a_storey():
    unknown = {room_of(path) for path in FILES} - set(ROOM)
    assert not unknown, f"{unknown} need a storey in STOREYS"
    assert set(ROOM) == {room_of(path) for path in FILES}


@FILE
def test_imports_go_down(path):
    own = room_of(path)
    for name in imported(path):
        other = room(name)
        if other is not None:
            assert other in ROOM, f"{path.name} imports {name}, which has no storey"
            assert ROOM[other] <= ROOM[own], (
                f"{own} (storey {ROOM[own]}) imports {name} (storey {ROOM[other]})"
            )


def test_rooms_do_not_import_each_other_in_a_ring():
    below = {name: set() for name in ROOM}
    for path in FILES:
        below[room_of(path)] |= {room(n) for n in imported(path, types=False) if room(n)} - {room_of(path)}
    done = set()
    while ready := {name for name in below if name not in done and below[name] <= done}:
        done |= ready
    assert done == set(ROOM), f"in a ring: {set(ROOM) - done}"


@FILE
def test_kernels_know_arrays_and_nothing_else(path):
    if room_of(path) == "kernels":
        others = {name.split(".")[0] for name in imported(path) if not name.startswith("zoo_geo.kernels.")}
        assert others <= {"numpy", "numba", "llvmlite", "math", "os", "tempfile", "logging"}
    else:
        assert "numba" not in {name.split(".")[0] for name in imported(path)}


@FILE
@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("pyspark", {"pipeline"}),
        ("duckdb", {"sql_guard", "records"}),
        ("plotly", {"outputs"}),
        ("matplotlib", {"outputs"}),
        ("tqdm", {"pipeline", "cli"}),
        ("argparse", {"cli"}),
    ],
)
def test_each_library_lives_in_its_own_room(path, library, rooms):
    if room_of(path) not in rooms:
        assert library not in {name.split(".")[0] for name in imported(path)}


@FILE
def test_nobody_imports_the_front_door(path):
    """The public face is for users; rooms import each other by name."""
    assert "zoo_geo" not in set(imported(path))


def test_detectors_know_each_other_only_through_what_they_share():
    """A new detector is one file: none of them imports another one."""
    from zoo_geo.detectors import NAMES

    for name in NAMES:
        others = {f"zoo_geo.detectors.{other}" for other in NAMES if other != name}
        assert not others & set(imported(SOURCE / "detectors" / f"{name}.py"))


def test_explain_needs_a_row_and_nothing_else():
    rooms = {room(name) for each in ("explain", "facts") for name in imported(SOURCE / f"{each}.py")}
    assert rooms <= {None, "errors", "schema", "phrases", "facts"}


def test_front_door_imports_nothing_and_names_everything():
    face = SOURCE / "__init__.py"
    assert {name for name in imported(face, types=False) if name.startswith("zoo_geo")} <= {
        "zoo_geo._version"
    }
    code = (
        "import importlib, pathlib, pkgutil, sys, zoo_geo\n"
        "assert not {'pandas', 'numpy', 'numba', 'geopandas', 'matplotlib'} & set(sys.modules), 'not lazy'\n"
        "for found in pkgutil.walk_packages(zoo_geo.__path__, 'zoo_geo.'):\n"
        "    importlib.import_module(found.name)\n"
        "assert 'matplotlib' not in sys.modules, 'only a plot needs it'\n"
        "for name in zoo_geo.__all__:\n"
        "    value = getattr(zoo_geo, name)\n"
        "    assert not isinstance(value, type(sys)), f'{name} is hidden by a module'\n"
        "assert set(dir(zoo_geo)) == set(zoo_geo.__all__)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


@FILE
def test_files_stay_readable(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 500, "think again at 500 lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            text = ast.get_docstring(node, clean=False)
            body = node.end_lineno - node.lineno + 1 - (text.count("\n") + 1 if text else 0)
            assert body <= 60, f"{node.name} has {body} lines: think again at 60"
