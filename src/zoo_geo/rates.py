"""Smoothed rates: each area's own figure, drawn towards the rate of all or of its surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from scipy import sparse

from zoo_geo.errors import InputError, examples
from zoo_geo.figures import MISSING
from zoo_geo.peers import Peers
from zoo_geo.references import totals
from zoo_geo.schema import STATUSES
from zoo_geo.weights import aligned

if TYPE_CHECKING:
    from libpysal.graph import Graph

    from zoo_geo.areas import Areas
    from zoo_geo.panel import Panel

Method = Literal["eb", "spatial_eb", "spatial", "excess_risk", "raw"]
METHODS: tuple[Method, ...] = get_args(Method)
_SPATIAL = ("spatial_eb", "spatial")
_OK, _ISOLATED = STATUSES.index("ok"), STATUSES.index("isolated")


def smoothed_rates(
    panel: Panel,
    graph: Graph | Peers | None = None,
    *,
    method: Method = "eb",
    areas: Areas | None = None,
) -> pd.DataFrame:
    """Rates of counts and shares, smoothed as far as an area's own figure is uncertain.

    A map of these shows less noise than one of raw rates; it is no test, and smooths away what is odd.

    Parameters
    ----------
    panel
        Counts per exposure (poisson) or out of exposure (binomial).
    graph
        Neighbours or `Peers`, for ``spatial_eb`` and ``spatial``; who is a neighbour counts, not the weight.
    method
        ``eb``: empirical Bayes towards the rate of all areas (Marshall 1991, global). ``spatial_eb``: towards
        that of the area and its neighbours together, with their own variance between areas (Marshall's
        local estimate). ``spatial``: the rate of the area and its neighbours together. ``excess_risk``: the
        ratio to the rate of all areas, 1 where they are equal. ``raw``: as it is.
    areas
        Areas of the map; those that the panel lacks get rows too, status ``missing``.

    Returns
    -------
    DataFrame
        One row per area, indicator and period, in the order of the panel: ``area``, ``indicator``,
        ``period``, ``observed``, ``exposure``, ``value`` (raw rate, per ``per`` units of exposure),
        ``smoothed`` (likewise; ``excess_risk``: a ratio, NaN where nothing happened anywhere),
        ``own_weight`` (weight of the own figure, 0 to 1) and ``status``. Figures are NaN where the status is
        not ``ok``; but an ``isolated`` area has a ``value``, and no neighbour with a figure to be smoothed
        by. Areas without exposure are in no sum.

    Raises
    ------
    InputError
        An indicator is gaussian, a method needs a graph, or the graph lacks areas of the panel.

    Notes
    -----
    With m the rate of the group, n its mean exposure, and s2 the variance of its rates about m weighted by
    exposure, the variance between areas is A = s2 - m / n, and an area's own rate has weight
    A / (A + m / exposure). For shares a figure's own variance is (m (1 - m) - A) / exposure, and
    A = (s2 - m (1 - m) / n) / (1 - 1 / n). An A below 0 is taken as 0: then the own figure has no weight.
    esda's global estimate keeps a negative A, which can push a rate beyond the mean; ours does not.

    References
    ----------
    Marshall (1991), Applied Statistics 40, 283-294, doi:10.2307/2347593; for shares Martuzzi and Elliott
    (1996), Statistics in Medicine 15, 1867-1873.

    Examples
    --------
    >>> import pandas as pd, zoo_geo as zg
    >>> table = pd.DataFrame({"code": ["a", "b", "c"], "thefts": [0, 40, 90], "residents": [10, 4000, 4000]})
    >>> panel = zg.Panel.from_frame(table, area="code", observed="thefts", exposure="residents")
    >>> zg.smoothed_rates(panel)["smoothed"].round(1).tolist()
    [15.9, 10.7, 21.8]
    """
    graph = graph.graph if isinstance(graph, Peers) else graph
    _check(panel, graph, method)
    figures = _Figures.of(panel, graph, areas)
    near = _membership(graph, figures.codes) if graph is not None and method in _SPATIAL else None
    ok = figures.status == _OK
    if near is not None:
        alone = ok & (near @ ok.astype(float) - ok <= 0)
        figures.status[alone] = _ISOLATED
    shares = np.repeat([each.family == "binomial" for each in panel.indicators], len(panel.periods))
    events, size = np.where(ok, figures.observed, 0.0), np.where(ok, figures.exposure, 0.0)
    smoothed, own = _smooth(events, size, shares, method, near)
    per = np.repeat([each.per for each in panel.indicators], len(panel.periods))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(ok, events / size * per, np.nan)
    shown = figures.status == _OK
    scale = 1.0 if method == "excess_risk" else per
    return figures.frame(
        panel, value, np.where(shown, smoothed * scale, np.nan), np.where(shown, own, np.nan)
    )


def _check(panel: Panel, graph: Graph | None, method: str) -> None:
    """Raise where the panel or an option does not fit."""
    if method not in METHODS:
        raise InputError(f"method needs to be one of {', '.join(METHODS)}; got {method!r}.")
    values = [each.id for each in panel.indicators if each.family == "gaussian"]
    if values:
        raise InputError(
            "indicators need to be poisson or binomial to have smoothed rates; got gaussian ones "
            f"({examples(values, len(panel.indicators))}). Leave them out of the panel."
        )
    if graph is None and method in _SPATIAL:
        raise InputError(
            f"graph needs to be a libpysal Graph for {method}; got None. See zoo_geo.build_weights."
        )


class _Figures(NamedTuple):
    """A panel's figures in the order of codes, which makes sums independent of the order of rows.

    ``places`` holds the position of each row of the output in ``codes``; the others have shape
    (n_areas, n_columns).
    """

    codes: np.ndarray
    places: np.ndarray
    observed: np.ndarray
    exposure: np.ndarray
    status: np.ndarray

    @classmethod
    def of(cls, panel: Panel, graph: Graph | None, areas: Areas | None) -> _Figures:
        """Lay the panel out, with areas that only the graph or the map knows as missing."""
        listed = pd.Index(panel.areas).astype(object)
        if graph is not None:
            _check_known(listed, graph)
        others = [] if graph is None else [graph.unique_ids]
        others += [] if areas is None else [areas.codes]
        for each in others:
            more = pd.Index(each).astype(object)
            listed = listed.append(more[listed.get_indexer(more) < 0].sort_values())
        order = np.argsort(listed.to_numpy(dtype=str), kind="stable")
        places = np.argsort(order, kind="stable")
        cubes = ((panel.observed, np.nan), (panel.exposure, np.nan), (panel.status, MISSING))
        return cls(listed.to_numpy()[order], places, *(_spread(cube, places, blank) for cube, blank in cubes))

    def frame(self, panel: Panel, value: np.ndarray, smoothed: np.ndarray, own: np.ndarray) -> pd.DataFrame:
        """Return the tidy table."""
        k, t = len(panel.indicators), len(panel.periods)
        ids = pd.Index([indicator.id for indicator in panel.indicators])
        n = self.codes.size
        return pd.DataFrame(
            {
                "area": pd.Index(self.codes[self.places]).astype(panel.areas.dtype).repeat(k * t),
                "indicator": ids.take(np.tile(np.repeat(np.arange(k), t), n)),
                "period": pd.Index(panel.periods).take(np.tile(np.arange(t), n * k)),
                "observed": self.observed[self.places].ravel(),
                "exposure": self.exposure[self.places].ravel(),
                "value": value[self.places].ravel(),
                "smoothed": smoothed[self.places].ravel(),
                "own_weight": own[self.places].ravel(),
                "status": pd.Index(STATUSES).take(self.status[self.places].ravel().astype(np.intp)),
            }
        )


def _check_known(listed: pd.Index, graph: Graph) -> None:
    """Raise where the graph lacks areas of the panel."""
    absent = listed[pd.Index(graph.unique_ids).astype(object).get_indexer(listed) < 0]
    if len(absent):
        raise InputError(
            "areas of the panel need to be in the graph; got areas without weights "
            f"({examples(absent, len(listed))}). Build the weights on all areas, or drop these rows."
        )


def _spread(cube: np.ndarray, places: np.ndarray, blank: float) -> np.ndarray:
    """Lay a cube of the panel out as columns in code order."""
    flat = cube.reshape(cube.shape[0], -1)
    out = np.full((places.size, flat.shape[1]), blank, cube.dtype)
    out[places[: flat.shape[0]]] = flat
    return out


def _membership(graph: Graph, codes: np.ndarray) -> sparse.csr_array:
    """Who belongs to an area's neighbourhood, itself included; ones, shape (n, n)."""
    known = pd.Index(graph.unique_ids).astype(object)
    at = pd.Index(codes, dtype=object).get_indexer(known)
    order = np.sort(at)
    csr, n = aligned(graph, pd.Index(codes[order], dtype=object)), codes.size
    row = order[np.repeat(np.arange(order.size), np.diff(csr.indptr))]
    pairs = sparse.csr_array((np.ones(csr.data.size), (row, order[csr.indices])), (n, n))
    near = sparse.csr_array(pairs + sparse.eye_array(n))
    near.data[:] = 1.0
    near.sort_indices()
    return near


def _smooth(
    events: np.ndarray, size: np.ndarray, shares: np.ndarray, method: str, near: sparse.csr_array | None
) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed rate, and the weight of the own figure in it; both of shape (n_areas, n_columns).

    Areas that are in no sum have size 0; what is returned for them means nothing.
    """

    def add(x: np.ndarray) -> np.ndarray:
        return totals(x) if near is None else near @ x

    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(size > 0, events / size, 0.0)
        if method == "raw":
            return rate, np.ones_like(rate)
        together = add(size)
        mean = add(events) / together
        if method == "excess_risk":
            return rate / mean, np.ones_like(rate)
        if method == "spatial":
            return mean, size / together
        members = add((size > 0).astype(float))
        spread = np.maximum(add(size * rate**2) / together - mean**2, 0.0)
        own = _own_weight(mean, spread, together / members, size, shares)
    return mean + own * (rate - mean), own


def _own_weight(
    mean: np.ndarray, spread: np.ndarray, typical: np.ndarray, size: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Share of the variance of a rate that lies between areas; 0 where chance alone would give more."""
    chance = np.where(shares, mean * (1.0 - mean), mean)
    between = spread - chance / typical
    between = np.where(shares, np.minimum(between / (1.0 - 1.0 / typical), chance), between)
    between = np.where(shares & (typical <= 1.0), 0.0, between)  # ones out of one say nothing of a spread
    own = np.where(shares, chance - between, chance) / size
    return np.where(between > 0, between / (between + own), 0.0)
