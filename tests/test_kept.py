"""What is kept of graphs, maps and places serves the very same ones only."""

import numpy as np
import pytest

from panels import counts_of, lattice
from zoo_geo.detectors import inputs
from zoo_geo.references import rings
from zoo_geo.spreads import distance, distances


@pytest.fixture
def world():
    return lattice(6, 6)


@pytest.fixture
def panel(world):
    size, seen = counts_of(world)
    return world.panel(seen, size)


def test_distances_are_those_of_the_places_given(world, panel):
    """Also where new places lie in memory where others did that are gone."""
    near = rings(inputs.matrix(inputs.prepare(panel, world.graph(), None)), 2)
    rng = np.random.default_rng(1)
    for _ in range(5):
        at = rng.random((36, 2))
        for one, reference in zip(distances(near, at), near, strict=True):
            np.testing.assert_array_equal(one, distance(reference, at))
        assert distances(near, at) is distances(near, at)
        del at, one


def test_what_another_thread_lets_go_of_is_still_given(world, panel, monkeypatch):
    """Between looking whether it is the same and taking it, another thread may bring its own graph."""
    graph = world.graph()
    first = inputs.prepare(panel, graph, None)
    there = inputs.matrix(first)
    found = inputs._are

    def interrupted(given, kept):
        same = found(given, kept)
        monkeypatch.setattr(inputs, "_here", None)
        monkeypatch.setattr(inputs, "_kept", None)
        return same

    monkeypatch.setattr(inputs, "_are", interrupted)
    assert inputs.prepare(panel, graph, None) is first
    monkeypatch.setattr(inputs, "_are", found)
    inputs.prepare(panel, graph, None)
    again = inputs.matrix(inputs.prepare(panel, graph, None))
    assert inputs.matrix(inputs.prepare(world.panel(*counts_of(world)[::-1]), graph, None)) is again
    assert (again != there).nnz == 0
    monkeypatch.setattr(inputs, "_are", interrupted)
    assert inputs.matrix(inputs.prepare(world.panel(*counts_of(world, 1)[::-1]), graph, None)) is again
