"""Fixtures that all tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

import maps

# The same examples in every run: a failure is never a matter of luck.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("repeatable")


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
