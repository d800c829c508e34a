"""The same local statistics by esda and pygeoda, each of one indicator with its own fastest settings."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from libpysal.graph import Graph
from scipy import sparse

Work = Callable[[], tuple[np.ndarray, ...]]
"""Does the work and returns the statistics, one array each."""


def release(name: str) -> str:
    """Version of a package, or that it is not there."""
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} not installed"


def esda_moran_and_g(graph: Graph, x: np.ndarray, permutations: int, n_jobs: int = 1) -> Work:
    """Local Moran and G*, row-standardised, without keeping the draws."""
    from esda import G_Local, Moran_Local

    weights = _old_weights(graph)
    shared = {"permutations": permutations, "keep_simulations": False, "n_jobs": n_jobs, "seed": 7}

    def work() -> tuple[np.ndarray, ...]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Moran_Local(x, weights, **shared).Is, G_Local(x, weights, star=True, **shared).Gs

    return work


def esda_geary(graph: Graph, x: np.ndarray, permutations: int, n_jobs: int = 1) -> Work:
    """Local Geary, row-standardised, without keeping the draws."""
    from esda import Geary_Local

    weights = _old_weights(graph)
    shared = {"permutations": permutations, "keep_simulations": False, "n_jobs": n_jobs, "seed": 7}

    def work() -> tuple[np.ndarray, ...]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return (Geary_Local(connectivity=weights, **shared).fit(x).localG,)

    return work


def _old_weights(graph: Graph) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = graph.to_W()
        weights.transform = "r"
    return weights


def geoda(
    names: tuple[str, ...],
    weights: sparse.csr_array,
    x: np.ndarray,
    permutations: int,
    method: str,
    cpus: int,
) -> Work | None:
    """Functions of pygeoda by name, ``lookup`` or ``complete`` permutation; None where it is not there."""
    try:
        import pygeoda
    except ImportError:
        return None
    neighbors = _geoda_weights(weights)
    shared = {"permutations": permutations, "permutation_method": method, "cpu_threads": cpus, "seed": 7}

    def work() -> tuple[np.ndarray, ...]:
        done = [getattr(pygeoda, name)(neighbors, x, **shared) for name in names]
        return tuple(np.array(each.lisa_values()) for each in done)

    return work


def _geoda_weights(weights: sparse.csr_array) -> Any:
    """Neighbour lists by way of a file, which is how pygeoda takes them; weights in it are all 1."""
    import pygeoda

    n = weights.shape[0]
    lists = [weights.indices[weights.indptr[i] : weights.indptr[i + 1]] + 1 for i in range(n)]
    lines = [f"{i} {own.size}\n{' '.join(map(str, own))}" for i, own in enumerate(lists, start=1)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "neighbors.gal"
        path.write_text("\n".join([f"0 {n} areas id", *lines, ""]), encoding="ascii")
        neighbors = pygeoda.weights.read_gal(str(path), [str(i) for i in range(1, n + 1)])
    found = np.array([len(neighbors.get_neighbors(i)) for i in range(n)])
    if not (found == np.diff(weights.indptr)).all():
        raise RuntimeError("pygeoda read other neighbours than it was given")
    return neighbors
