"""Large maps and many permutations, as multiples of a plain spatial lag; each in a process of its own.

Run ``python -m benchmarks.million``; ``--quick`` takes smaller maps. A plain lag is ``weights @ x`` with the
same graph in scipy's CSR, on one core.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count

import numpy as np
import pandas as pd
from libpysal.graph import Graph
from scipy import sparse
from scipy.spatial import Delaunay

import zoo_geo as zg
from benchmarks.clock import cost, median_of

_SEEDS = count(1)


@dataclass(frozen=True)
class Case:
    """A map and what is computed on it."""

    layer: str = "grid"
    areas: int = 1_000_000
    permutations: int = 9_999
    runs: int = 5


@dataclass(frozen=True)
class Figures:
    """Median seconds; megabytes that the weights take (CSR), and that calls add at their peak."""

    lag: float
    weights: float
    first: float
    moran: float
    kept: float
    star: float
    first_memory: float
    memory: float


def grid(n: int) -> np.ndarray:
    """Pairs of queen neighbours on a square, row by row."""
    across = int(np.sqrt(n))
    row, column = np.divmod(np.arange(across * across), across)
    pairs = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            inside = (
                (row + down >= 0) & (row + down < across) & (column + right >= 0) & (column + right < across)
            )
            here = np.flatnonzero(inside)
            if down or right:
                pairs.append(np.column_stack([here, here + down * across + right]))
    return np.vstack(pairs)


def voronoi(n: int) -> np.ndarray:
    """Pairs of neighbours of random points, numbered square by square as the codes of a map are."""
    xy = np.random.default_rng(1).random((n, 2))
    square = np.floor(xy * max(np.sqrt(n / 64), 1)).astype(int)
    edges = Delaunay(xy[np.lexsort((square[:, 0], square[:, 1]))]).simplices[:, [0, 1, 1, 2, 2, 0]]
    edges = edges.reshape(-1, 2)
    return np.unique(np.vstack([edges, edges[:, ::-1]]), axis=0)


LAYERS: dict[str, Callable[[int], np.ndarray]] = {"grid": grid, "Voronoi": voronoi}


def prepare(case: Case) -> tuple[sparse.csr_array, Graph, zg.Panel]:
    """Weights, the same as a Graph, and a panel of one indicator."""
    pairs = LAYERS[case.layer](case.areas)
    n = int(pairs.max()) + 1
    ones = np.ones(len(pairs))
    weights = sparse.csr_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    weights.sort_indices()
    weights.indices, weights.indptr = weights.indices.astype(np.int32), weights.indptr.astype(np.int32)
    codes = pd.Index([f"A{k:07d}" for k in range(n)], dtype=object)
    focal = np.repeat(np.arange(n), np.diff(weights.indptr))
    index = pd.MultiIndex([codes, codes], [focal, weights.indices], names=["focal", "neighbor"])
    graph = Graph(pd.Series(weights.data, index=index, name="weight"), is_sorted=True)
    rng = np.random.default_rng(2)
    people = rng.integers(50, 3_000, n).astype(float)
    table = pd.DataFrame({"area": codes, "people": people, "cases": rng.poisson(people * 0.02)})
    return weights, graph, zg.Panel.from_frame(table, area="area", observed=["cases"], exposure="people")


def measure(case: Case) -> Figures:
    """Time a plain lag and the detectors on one map."""
    small = prepare(Case(case.layer, 400))
    options = {"permutations": case.permutations, "value": "rate"}
    moran, star = zg.LocalMoran(**options), zg.GetisOrd(**options)
    for detector in (moran, star):
        detector.detect(small[2], small[1])  # loads what is compiled
    weights, graph, figures = prepare(case)
    x = np.random.default_rng(3).normal(size=weights.shape[0])
    before = median_of(lambda: weights @ x, 25)
    first, first_memory = cost(lambda: moran.detect(figures, graph, seed=next(_SEEDS)))
    new, memory = np.median(
        [cost(lambda: moran.detect(figures, graph, seed=next(_SEEDS))) for _ in range(case.runs)], axis=0
    )
    kept = median_of(lambda: moran.detect(figures, graph, seed=0), case.runs)
    both = median_of(lambda: star.detect(figures, graph, seed=next(_SEEDS)), case.runs)
    lag = float(np.median([before, median_of(lambda: weights @ x, 25)]))
    size = (weights.data.nbytes + weights.indices.nbytes + weights.indptr.nbytes) / 1e6
    return Figures(lag, size, first, float(new), kept, both, first_memory, float(memory))


def apart(case: Case) -> Figures:
    """Measure in a new process, so that memory is that of one case."""
    command = [sys.executable, "-m", "benchmarks.million", "--case", json.dumps(asdict(case))]
    told = subprocess.run(command, capture_output=True, check=True, text=True)
    return Figures(**json.loads(told.stdout))


CASES = (Case("grid"), Case("Voronoi"), Case("Voronoi", 14_500, 99_999, 9))
QUICK = (Case("grid", 40_000), Case("Voronoi", 40_000, runs=3), Case("Voronoi", 14_500, 9_999, 3))


def table(cases: tuple[Case, ...] = CASES) -> str:
    """Return the figures as a Markdown table."""
    rows = [(case, apart(case)) for case in cases]
    return "\n".join([
        "One indicator over rates, all cores, as multiples of a plain lag: `weights @ x` in scipy, one core. "
        "*New draws*: graph and panel prepared. *Draws kept*: the same seed once more. *First call*: graph "
        "and panel are new and put in order. Memory is what a call adds at its peak, as a multiple of the "
        "weights (CSR, float64 and int32).",
        "",
        "| map | permutations | lag, ms | Moran, new draws | G*, new draws | Moran, draws kept "
        "| Moran, first call | weights, MB | memory | memory, first call |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {case.layer}, {case.areas:,} | {case.permutations:,} | {1e3 * got.lag:.2f} "
            f"| {got.moran / got.lag:,.0f} | {got.star / got.lag:,.0f} | {got.kept / got.lag:,.0f} "
            f"| {got.first / got.lag:,.0f} ({got.first:.2f} s) | {got.weights:,.0f} "
            f"| {got.memory / got.weights:.1f} | {got.first_memory / got.weights:.1f} |"
            for case, got in rows
        ),
    ])  # fmt: skip


def main() -> None:
    """Print the table, or the figures of one case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        print(json.dumps(asdict(measure(Case(**json.loads(given.case))))))
    else:
        print(table(QUICK if given.quick else CASES))


if __name__ == "__main__":
    main()
