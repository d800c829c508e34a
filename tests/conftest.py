"""Fixtures that all tests share."""

import os
from pathlib import Path

# Before numpy is imported: threads of linear algebra and of trees that wait for each other in several test
# processes at once take most of the time. Our own kernels keep theirs.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
from hypothesis import settings

import maps

# The same examples in every run: a failure is never a matter of luck.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("repeatable")


FIRST = ("test_calibration", "test_covariates", "test_peers", "test_weights", "test_microdata", "test_areas")
"""The first compiles what most files need; the others, which need none of it, keep a second process busy."""


def pytest_collection_modifyitems(items):
    """Put long files with slow tests first, so that no process is alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    place = {name: k for k, name in enumerate(FIRST)}
    size = {path: path.stat().st_size for path in {item.path for item in items}}
    items.sort(
        key=lambda item: (place.get(item.path.stem, len(FIRST)), item.path not in slow, -size[item.path])
    )


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real data beside the project; the test skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder shared/data with real maps is not beside the project")
    return folder


@pytest.fixture
def grid():
    """Map of 4 x 5 squares of 100 m with shuffled codes, names, wijken and gemeenten."""
    return maps.grid_map()


@pytest.fixture
def grid_with_island():
    """The same with an area far away."""
    return maps.grid_map(island=True)
