"""A panel and a graph brought together, the way every detector wants them."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from zoo_geo import references
from zoo_geo.errors import InputError, examples
from zoo_geo.features import read_features, tidied
from zoo_geo.panel import Indicator, Panel
from zoo_geo.peers import Peers
from zoo_geo.schema import STATUSES
from zoo_geo.weights import Csr, aligned

if TYPE_CHECKING:
    from libpysal.graph import Graph

    from zoo_geo.areas import Areas
    from zoo_geo.detectors.base import Detection

OK, MISSING, SECRET, NO_EXPOSURE, ISOLATED, CONSTANT, TOO_FEW, NOT_TESTED = range(len(STATUSES))
FEWEST_AREAS = 10
"""Fewer areas with a figure than this say nothing about each other."""
_BLOCK = 16


@dataclass(frozen=True, eq=False)
class Inputs:
    """A panel and a graph on one list of areas, in the order of their codes.

    The order of codes makes results independent of the order of rows, to the last bit.

    Parameters
    ----------
    codes
        Sorted codes of the panel's areas and of those that only the graph knows, shape (n,).
    places
        Position in ``codes`` of each row of the output, shape (n,).
    columns
        Indicator and period of each column.
    observed, exposure, status
        Shape (n, n_columns); NaN where the status is not ok.
    csr
        The graph on ``codes``, or None.
    areas
        Hierarchy and geometry, or None.
    features
        Features of the areas on ``codes``, or None.
    peers
        Name of the peer set that the graph is of, or None.
    events
        Events behind counts of distinct units, as ``observed``; None where no indicator has them.
    breaks
        Where an area's series starts anew, shape (n, n_periods); None where none does.
    expectation
        Detection whose expected counts a scan takes, or None.
    kept
        What detectors work out and the next one can use; lives as long as these inputs.
    here
        The same of graph and areas alone, which panels share; lives until another graph or map comes.
    """

    codes: np.ndarray
    places: np.ndarray
    columns: tuple[tuple[Indicator, str], ...]
    observed: np.ndarray
    exposure: np.ndarray
    status: np.ndarray
    csr: Csr | None
    areas: Areas | None
    features: pd.DataFrame | None = None
    peers: str | None = None
    events: np.ndarray | None = None
    breaks: np.ndarray | None = None
    expectation: Detection | None = None
    kept: dict[Any, Any] = field(default_factory=dict)
    here: dict[Any, Any] = field(default_factory=dict)

    def labels(self, level: str) -> np.ndarray:
        """Number of each area's parent on a level, -1 for none; shape (n,)."""
        if self.areas is None or level not in self.areas.parents:
            known = () if self.areas is None else self.areas.parents
            raise InputError(
                f"reference needs a level of areas; got {level!r} (known: {', '.join(known) or 'none'}). "
                "Pass areas= with parents."
            )
        return pd.factorize(self.areas.parent(level).reindex(self.codes))[0]

    def listed(self) -> pd.CategoricalDtype:
        """Codes in the order of the output."""
        if "listed" not in self.kept:
            self.kept["listed"] = pd.CategoricalDtype(pd.Index(self.codes[self.places]))
        return self.kept["listed"]

    def in_order(self) -> bool:
        """Say whether the output has the order of the codes."""
        return bool((self.places[1:] > self.places[:-1]).all())

    @property
    def indicators(self) -> tuple[Indicator, ...]:
        """Each indicator once."""
        return tuple(dict.fromkeys(indicator for indicator, _ in self.columns))

    def families(self) -> dict[str, np.ndarray]:
        """Columns of each family."""
        names = np.array([indicator.family for indicator, _ in self.columns])
        return {str(name): np.flatnonzero(names == name) for name in dict.fromkeys(names)}

    def per(self) -> np.ndarray:
        """Exposure that values are per, shape (n_columns,)."""
        return np.array([indicator.per for indicator, _ in self.columns])

    def is_value(self) -> np.ndarray:
        """Whether a column holds values (gaussian) and not counts, shape (n_columns,)."""
        return np.array([indicator.family == "gaussian" for indicator, _ in self.columns])


_kept: tuple[tuple[weakref.ref[Any] | None, ...], Inputs] | None = None
_here: tuple[tuple[weakref.ref[Any] | None, ...], np.ndarray, Csr | None, dict[Any, Any]] | None = None


def prepare(
    panel: Panel, neighbors: Graph | Peers | None, areas: Areas | None, features: pd.DataFrame | None = None
) -> Inputs:
    """Put panel and graph on one list of areas; the last ones are kept for the next detector."""
    global _kept
    given = (panel, neighbors, areas)
    peers = neighbors.id if isinstance(neighbors, Peers) else None
    graph = neighbors.graph if isinstance(neighbors, Peers) else neighbors
    _check_kinds(panel, graph, areas)
    last = _kept  # another thread, or the end of a panel, can change it at any time
    if last is not None and _are(given, last[0]):
        inputs = last[1]
    else:
        inputs = replace(_prepare(panel, graph, areas), peers=peers)
        _kept = _refs(given), inputs
    if features is None:
        return inputs
    return replace(inputs, features=_on_codes(features, inputs, areas))  # a table can change in place


def _on_codes(features: pd.DataFrame | None, inputs: Inputs, areas: Areas | None) -> pd.DataFrame | None:
    """Features of each area, rows of areas without any empty."""
    if features is None:
        return None
    checked = read_features(features, areas, allow_sensitive=False)
    table = features.rename(columns=str)
    return tidied(table.set_axis(checked.codes.astype(object), axis=0)).reindex(inputs.codes)


def _check_kinds(panel: object, neighbors: object, areas: object) -> None:
    """Raise where an argument is something else than it should be."""
    wanted = {
        "panel": (panel, isinstance(panel, Panel), "a Panel"),
        "neighbors": (
            neighbors,
            hasattr(neighbors, "adjacency"),
            "a libpysal Graph (see zoo_geo.build_weights)",
        ),
        "areas": (areas, hasattr(areas, "parents"), "Areas (read_areas)"),
    }
    for name, (value, fits, what) in wanted.items():
        if not fits and (value is not None or name == "panel"):
            raise InputError(f"{name} needs to be {what}; got {type(value).__name__}.")


def _forget(ref: weakref.ref[Any]) -> None:
    """Let go of what belongs to a panel, graph or map that is no more."""
    global _here, _kept
    last, here = _kept, _here
    if last is not None and any(ref is kept for kept in last[0]):
        _kept = None
    if here is not None and any(ref is kept for kept in here[0]):
        _here = None


def _prepare(panel: Panel, neighbors: Graph | None, areas: Areas | None) -> Inputs:
    listed = pd.Index(panel.areas).astype(object)
    known = listed if neighbors is None else neighbors.unique_ids.astype(object)
    absent = listed[known.get_indexer(listed) < 0]
    if len(absent):
        raise InputError(
            f"areas of the panel need to be in the graph; got areas without weights "
            f"({examples(absent, len(listed))}). Build the weights on all areas, or drop these rows."
        )
    output = listed.append(known[listed.get_indexer(known) < 0].sort_values())
    places = np.arange(len(output), dtype=np.intp)
    codes = output.to_numpy()
    if not output.is_monotonic_increasing:
        order = np.argsort(output.to_numpy(dtype=str), kind="stable")
        places[order] = np.arange(len(output))
        codes = codes[order]
    csr, here = _on_graph(neighbors, areas, codes)
    return Inputs(
        codes=codes,
        places=places,
        columns=tuple((indicator, period) for indicator in panel.indicators for period in panel.periods),
        observed=_spread(panel.observed, places, np.nan),
        exposure=_spread(panel.exposure, places, np.nan),
        status=_spread(panel.status, places, MISSING),
        csr=csr,
        areas=areas,
        here=here,
        events=None if panel.events is None else _spread(panel.events, places, np.nan),
        breaks=None if panel.breaks is None else _spread(panel.breaks, places, False),
    )


def _on_graph(
    neighbors: Graph | None, areas: Areas | None, codes: np.ndarray
) -> tuple[Csr | None, dict[Any, Any]]:
    """Weights in code order, and what has been worked out of them and the map; the last ones are kept."""
    global _here
    given, last = (neighbors, areas), _here  # another thread can change it at any time
    if last is not None and np.array_equal(last[1], codes) and _are(given, last[0]):
        return last[2], last[3]
    csr = None if neighbors is None else aligned(neighbors, pd.Index(codes, dtype=object))
    here: dict[Any, Any] = {}
    _here = _refs(given), codes, csr, here
    return csr, here


def _refs(given: tuple[Any, ...]) -> tuple[weakref.ref[Any] | None, ...]:
    return tuple(None if each is None else weakref.ref(each, _forget) for each in given)


def _are(given: tuple[Any, ...], kept: tuple[weakref.ref[Any] | None, ...]) -> bool:
    """Say whether these are the very ones that were kept."""
    return all(
        each is None if ref is None else each is ref() is not None
        for each, ref in zip(given, kept, strict=True)
    )


def _spread(cube: np.ndarray, places: np.ndarray, blank: float) -> np.ndarray:
    """Lay a cube of the panel out as columns in code order."""
    flat = cube.reshape(cube.shape[0], -1)
    table = np.full((flat.shape[1], places.size), blank, cube.dtype)
    in_order = bool((places == np.arange(places.size)).all())
    for start in range(0, flat.shape[0], _ROWS):  # a few rows at a time: memory is read and written in lines
        end = min(start + _ROWS, flat.shape[0])
        table[:, slice(start, end) if in_order else places[start:end]] = flat[start:end].T
    return table.T


_ROWS = 256


def values(inputs: Inputs) -> np.ndarray:
    """Observed per ``per`` units of exposure (gaussian: observed), shape (n, n_columns); NaN per nothing."""
    if "values" not in inputs.kept:
        rate = inputs.observed / np.where(inputs.exposure > 0, inputs.exposure, np.nan) * inputs.per()
        inputs.kept["values"] = np.where(inputs.is_value(), inputs.observed, rate)
    return inputs.kept["values"]


def matrix(inputs: Inputs) -> sparse.csr_array:
    """Weights as a matrix, without the areas' own; not to be changed."""
    if "matrix" not in inputs.here:
        n, csr = inputs.codes.size, graph(inputs)
        row = np.repeat(np.arange(n), np.diff(csr.indptr))
        others = csr.indices != row
        negative = others & (csr.data < 0)
        if negative.any():
            raise InputError(
                "weights need to be 0 or more; got negative ones "
                f"({examples(inputs.codes[row[negative]], int(others.sum()))}). Leave them out."
            )
        indptr = np.concatenate([[0], np.cumsum(np.bincount(row[others], minlength=n))])
        inputs.here["matrix"] = sparse.csr_array((csr.data[others], csr.indices[others], indptr), (n, n))
    return inputs.here["matrix"]


def rings(inputs: Inputs, most: int) -> references.Rings:
    """One, two ... rings of neighbours; not to be changed."""
    if ("rings", most) not in inputs.here:
        inputs.here["rings", most] = references.rings(matrix(inputs), most)
    return inputs.here["rings", most]


def graph(inputs: Inputs) -> Csr:
    """Return the weights, which this comparison cannot do without."""
    if inputs.csr is None:
        raise InputError(
            "neighbors needs to be a libpysal Graph or Peers; got None. See zoo_geo.build_weights and "
            "zoo_geo.build_peers."
        )
    return inputs.csr


def parents(inputs: Inputs) -> list[references.Reference]:
    """Widest parent areas, when the hierarchy is known."""
    if inputs.areas is None or not inputs.areas.parents:
        return []
    return [references.group(inputs.labels(inputs.areas.parents[-1]))]


def places(inputs: Inputs) -> np.ndarray | None:
    """Point of each area, shape (n, 2); None unless every area is on the map."""
    if inputs.areas is None:
        return None
    if "places" not in inputs.here:
        at = inputs.areas.codes.get_indexer(pd.Index(inputs.codes))
        inputs.here["places"] = None if (at < 0).any() else inputs.areas.points[at]
    return inputs.here["places"]


def blocks(inputs: Inputs, n_jobs: int) -> list[tuple[str, np.ndarray]]:
    """Cut each family's columns into blocks that are worked on together, of like size, for all threads."""
    cut = []
    for family, columns in inputs.families().items():
        number = -(-columns.size // (_BLOCK * n_jobs)) * n_jobs
        cut += [(family, each) for each in np.array_split(columns, number) if each.size]
    return cut


def lonely(inputs: Inputs, weights: references.Reference) -> np.ndarray:
    """Areas that have a figure, and no other area in reach that has one; shape (n, n_columns)."""
    known = inputs.status == OK
    if isinstance(weights, sparse.csr_array):
        weights = sparse.csr_array(
            (np.ones_like(weights.data), weights.indices, weights.indptr), weights.shape
        )
    everywhere = known.all(axis=0)
    alone = np.zeros(known.shape, bool, order="F")
    if everywhere.any():
        alone[:, everywhere] = (weights @ np.ones(known.shape[0]) <= 0)[:, None]
    some = np.flatnonzero(~everywhere)
    if some.size:
        alone[:, some] = known[:, some] & (weights @ known[:, some].astype(float) <= 0)
    return alone


def column_status(inputs: Inputs) -> np.ndarray:
    """Status of every cell, with columns that are all alike or nearly empty marked as such."""
    if "column status" not in inputs.kept:
        inputs.kept["column status"] = _column_status(inputs)
    return inputs.kept["column status"].copy("K")


def _column_status(inputs: Inputs) -> np.ndarray:
    """As `column_status`, which references share."""
    status = inputs.status.astype(np.int8)
    for own, rate in zip(status.T, values(inputs).T, strict=True):
        ok = own == OK
        known = rate if ok.all() else rate[ok]
        low, high = known.min(initial=np.inf), known.max(initial=-np.inf)
        if low >= high - 1e-12 * abs(high):
            own[ok] = CONSTANT
        elif known.size < FEWEST_AREAS:
            own[ok] = TOO_FEW
    return status
