"""Rings of neighbours: each area's neighbours by ring, their sums, and what is kept of graph and map."""

import gc

import numpy as np
import pandas as pd
import pytest
from libpysal.graph import Graph
from scipy import sparse

import zoo_geo as zg
from naive.rings import within
from panels import counts_of, lattice
from zoo_geo import references
from zoo_geo.kernels.pooling import group_sums
from zoo_geo.kernels.rings import LANES, ring_sums


def random_graph(seed, n=30, links=40):
    rng = np.random.default_rng(seed)
    row, column = rng.integers(0, n, (2, links))
    apart = row != column
    row, column = np.r_[row[apart], column[apart]], np.r_[column[apart], row[apart]]
    made = sparse.csr_array((np.ones(row.size), (row, column)), (n, n))
    made.data[:] = 1.0
    return made


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_neighbours_by_ring_are_those_of_plain_steps(seed, most):
    weights = random_graph(seed)
    touching = [
        weights.indices[a:b].tolist() for a, b in zip(weights.indptr, weights.indptr[1:], strict=False)
    ]
    rings = references.rings(weights, most)
    assert rings.plain
    indptr, indices, ends = rings.nested()
    for i in range(len(touching)):
        start = int(indptr[i])
        for ring in range(most):
            found = set(indices[start : int(ends[i, ring])].tolist())
            assert found == within(touching, i, ring + 1) - within(touching, i, ring) - {i}
            start = int(ends[i, ring])
        assert start == int(indptr[i + 1])


@pytest.mark.parametrize(("n", "most"), [(1, 1), (5, 2), (8, 3), (30, 3), (128, 1), (135, 2), (300, 2)])
def test_sums_over_rings_are_those_of_matrices(n, most):
    rng, around = np.random.default_rng(1), references.rings(random_graph(4, n, 3 * n), most)
    parts, there = rng.random((LANES, n)), np.empty((LANES, most, n))
    ring_sums(*around.nested(), parts, there)
    for k, ring in enumerate(around):
        np.testing.assert_allclose(there[:, k].T, ring @ parts.T)


@pytest.mark.parametrize("lowest", [-1, 0])
@pytest.mark.parametrize("most", [1, 4])
def test_sums_over_groups_are_those_of_matrices(lowest, most):
    rng = np.random.default_rng(1)
    labels, parts = rng.integers(lowest, most, 30), rng.random((4, 30))
    for sums in (np.empty((2, 30)), np.empty((4, 30))):
        group_sums(labels, parts, sums)
        np.testing.assert_allclose(sums.T, references.group(labels) @ parts[: len(sums)].T, atol=1e-12)


def test_the_order_of_rings_puts_neighbours_together_and_changes_no_sum():
    rng, n = np.random.default_rng(3), 1000
    shuffled = rng.permutation(n)
    line = sparse.csr_array((np.ones(n - 1), (shuffled[:-1], shuffled[1:])), (n, n))
    around = references.rings(sparse.csr_array(line + line.T), 2)
    order = around.order()
    assert sorted(order) == list(range(n))
    there = np.argsort(order)
    row = np.repeat(np.arange(n), np.diff(around[0].indptr))
    assert np.abs(there[row] - there[around[0].indices]).max() < 2 * references._NEARBY
    x = rng.random(n)
    for ring, placed in zip(around, around.in_order(), strict=True):
        np.testing.assert_allclose(placed @ x[order], (ring @ x)[order])


def test_unequal_weights_are_not_taken_for_equal_ones():
    weights = random_graph(2)
    weights.data[0] = 2.0
    assert not references.rings(weights, 2).plain


def test_what_is_kept_belongs_to_what_it_was_made_of():
    rings, one, other = references.rings(random_graph(0), 2), object(), object()
    assert rings.once("name", lambda: 1, one) == 1
    assert rings.once("name", lambda: 2, one) == 1
    assert rings.once("name", lambda: 3, other) == 3


def frames(panel, *graphs):
    return [zg.Deviation().detect(panel, graph).frame["p_value"].to_numpy() for graph in graphs]


def test_another_graph_or_another_panel_starts_anew():
    """Weights in code order and their rings are kept from one detection to the next."""
    size, seen = counts_of(lattice(12, 12))
    codes = [f"a{i:03}" for i in range(144)]
    panels = [
        zg.Panel.from_frame(
            pd.DataFrame({"area": codes, "n": counts, "people": size}), area="area", observed={"n": "n"},
            exposure="people", family="poisson",
        )
        for counts in (seen, seen[::-1])
    ]  # fmt: skip

    def graph(step):
        focal, there = [], []
        for i in range(144):
            for j in (i - step, i + step):
                if 0 <= j < 144:
                    focal.append(codes[i])
                    there.append(codes[j])
        return Graph.from_arrays(focal, there, np.ones(len(focal)))

    near, far = graph(1), graph(12)
    first = frames(panels[0], near, far, near)
    np.testing.assert_array_equal(first[0], first[2])
    assert (first[0] != first[1]).any()
    alone = frames(panels[1], graph(1))
    gc.collect()
    np.testing.assert_array_equal(alone, frames(panels[1], near))
    np.testing.assert_array_equal(first[0], frames(panels[0], near)[0])
