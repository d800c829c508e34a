"""Who is alike: for each area the others that it can fairly be compared with, whether near or not."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from zoo_geo import likeness, stability
from zoo_geo.areas import Areas
from zoo_geo.checks import nearest_name
from zoo_geo.errors import InputError, Problems, examples
from zoo_geo.features import Features, Labels, read_features
from zoo_geo.likeness import Bars, Pairs, Space
from zoo_geo.notices import Notice
from zoo_geo.peer_quality import LACKS_FEATURES, notices, rated
from zoo_geo.peer_quality import REASONS as REASONS
from zoo_geo.weights import _graph, aligned

if TYPE_CHECKING:
    from libpysal.graph import Graph

Excluded: TypeAlias = "str | Graph"

METHODS = ("nearest", "strata", "kmeans", "ward", "hdbscan")
_MOST_LINKS = 5_000_000
_MOST_TURNS = 10


@dataclass(frozen=True, eq=False)
class Peers:
    """A graph over feature space and what made it; made by `build_peers`.

    Parameters
    ----------
    graph
        Weight 1 from an area to each of its peers, on the areas of the features and in their order. Areas
        without good peers are isolates: detectors give them the status ``isolated`` and never flag them.
    features
        The standardised features used (in spreads from the centre, before weights), one row per area.
    distances
        Distance of each link, on ``focal`` and ``neighbor``: root of the weighted mean of squared
        differences of standardised features.
    quality
        One row per area: ``n_peers``; ``distance_mean`` and ``distance_far`` to the peers that it has or,
        where they are too far, would have had; ``stability``, the share of these (0-1) that stay when a
        feature is left out; ``stability_resampled``, their mean overlap (0-1, Jaccard) with the peers that
        scales and clusters made by other areas, drawn with replacement, lead to; ``good``; ``reason``, one
        of ``REASONS``.
    method, parameters
        How they were found.
    notices
        What was left out or is worth knowing, one sentence each.
    id
        Name of the peer set, 16 hexadecimal digits: a hash of the method, its options, the names of the
        features and the links.
    """

    graph: Graph
    features: pd.DataFrame
    distances: pd.Series
    quality: pd.DataFrame
    method: str
    parameters: Mapping[str, Any]
    notices: tuple[Notice, ...] = ()
    id: str = ""

    def __repr__(self) -> str:
        good = int(self.quality["good"].sum())
        return f"<Peers {self.id}: {self.method}, {good:,} of {len(self.quality):,} areas have good peers>"


@dataclass(frozen=True)
class _Options:
    """What a call asks for."""

    k: int | None
    method: str
    scaling: str
    missing: str
    weights: Mapping[str, float]
    groups: int | None
    max_distance: float | None
    seed: int
    resamples: int

    @property
    def clustered(self) -> bool:
        """Say whether peers are in the same cluster."""
        return self.method in ("kmeans", "ward", "hdbscan")


def build_peers(
    features: pd.DataFrame,
    k: int | None = 15,
    *,
    areas: Areas | None = None,
    method: str = "nearest",
    within: Labels | None = None,
    exclude: Excluded | Sequence[Excluded] = (),
    scaling: str = "robust",
    weights: Mapping[str, float] | None = None,
    missing: str = "drop",
    max_distance: float | None = None,
    groups: int | None = None,
    allow_sensitive: bool = False,
    resamples: int = 20,
    seed: int = 0,
) -> Peers:
    """Find for each area the areas that are most alike.

    Features are standardised; the distance of two areas is the root of the weighted mean of squared
    differences, so 0.5 means half a spread apart on the typical feature. It orders areas as the
    Euclidean distance of CIPFA's nearest neighbours does. Equally distant areas come in the order of
    their codes; distances are rounded to 1e-9.

    An area whose peers are too far is not compared with them: it keeps no links. Too far is a mean
    distance above `max_distance`, or else above ``exp(m + 3 max(s, log(2) / 3))`` with m and s the
    median and the scaled median absolute deviation of the log mean distances of all areas; so never
    less than twice the median.

    Parameters
    ----------
    features
        One row per area on its code (text), one column per feature. Codes of CBS for secret and missing
        count as missing. Names that tell origin, nationality or religion are refused.
    k
        Peers of each area; None takes the whole stratum or cluster. Fewer where there are fewer.
    areas
        The map that the codes are on; its parent levels can be named in `within` and `exclude`.
    method
        ``nearest``: the k nearest. ``strata``: the k nearest of those in the same class of `within`.
        ``kmeans``, ``ward`` (5,000 areas at most), ``hdbscan``: the k nearest of those in the same
        cluster; noise of HDBSCAN has no peers.
    within
        Peers have the same class: a column of the features (then no feature), a parent level, or classes
        on the code. An area without a class has no peers.
    exclude
        Who cannot be a peer, beside the area itself: those that share a parent or a column of the
        features (``"gemeente"``), and those that a graph links the area to (direct neighbours).
    scaling
        ``robust``: median and median absolute deviation (x 1.4826); where that is 0, the standard
        deviation around the median. ``z``: mean and standard deviation.
    weights
        Feature to weight above 0; 1 where none is given.
    missing
        ``drop``: an area that lacks a feature has no peers and is nobody's. ``partial``: distance over
        the features that both areas have, at least half of the weight.
    max_distance
        Largest mean distance to the peers.
    groups
        Number of clusters for kmeans and ward; sqrt(n / 2) when not given (Mardia et al. 1979).
    allow_sensitive
        Accept features that tell origin, nationality or religion; a notice then says so.
    resamples
        How often the areas are drawn anew, with replacement, to see whether the group stays; 0 for never.
    seed
        Of k-means, and of the areas drawn anew.

    Raises
    ------
    InputError
        Codes that are no text, repeated or not on the map; features that are no numbers or do not differ;
        unknown options; more than 5 million links; classes or exclusions that leave nobody to compare with.

    References
    ----------
    CIPFA Nearest Neighbours Model: standardised variables, Euclidean distance, 15 neighbours.
    Mardia, K.V., Kent, J.T. and Bibby, J.M. (1979). Multivariate Analysis, section 13.1.

    Examples
    --------
    >>> table = pd.DataFrame({"homes": [10.0, 11.0, 30.0, 31.0]}, index=list("abcd"))
    >>> build_peers(table, k=1).graph["a"].index.tolist()
    ['b']
    """
    options = _Options(
        k, method, scaling, missing, dict(weights or {}), groups, max_distance, seed, resamples
    )
    excluded = tuple(exclude) if isinstance(exclude, (list, tuple)) else (exclude,)
    _check_options(options, within)
    table = read_features(features, areas, allow_sensitive=allow_sensitive)
    stratum = None if within is None else table.labels(within, "within")
    bars = _bars(table, excluded)
    classes = {name for name in (within, *excluded) if isinstance(name, str)}
    scaled, scales = table.standardised([name for name in table.names if name not in classes], scaling)
    _check_used(table, scaled, classes, options)
    space = _space(scaled, stratum, options)
    whole = space._replace(group=_groups(space, options))
    _check_links(whole, options)
    pairs = likeness.nearest(whole, bars, k)
    _check_pairs(pairs, whole, within, excluded)
    stays = _stability(space, whole, bars, pairs, options)
    quality, bound = rated(scaled, whole, pairs, stays, k=k, max_distance=max_distance)
    told = notices(scaled, quality, pairs, bound, k=k, missing=missing)
    parameters = _parameters(options, within, excluded, scales, bound, allow_sensitive)
    return _finished(table, scaled, quality, pairs, method, parameters, (*table.notices, *told))


def _check_options(options: _Options, within: Labels | None) -> None:
    """Raise when options are unknown or do not go together."""
    problems = Problems()
    for name, known in {
        "method": METHODS, "scaling": ("robust", "z"), "missing": ("drop", "partial")
    }.items():  # fmt: skip
        value = getattr(options, name)
        if value not in known:
            hint = nearest_name(value, known)
            problems.add(f"{name} needs to be one of {', '.join(known)}; got {value!r}.{hint}")
    for name, least in {"k": 1, "groups": 2, "seed": 0, "resamples": 0}.items():
        value = getattr(options, name)
        if value is not None and not (_is_whole(value) and value >= least):
            problems.add(f"{name} needs to be a whole number of {least} or more; got {value!r}.")
    if options.max_distance is not None and not _is_positive(options.max_distance):
        problems.add(f"max_distance needs to be a distance above 0; got {options.max_distance!r}.")
    for name, weight in options.weights.items():
        if not _is_positive(weight):
            problems.add(f"weight of {name!r} needs to be above 0; got {weight!r}. Drop the feature instead.")
    if options.k is None and options.method == "nearest":
        problems.add("k needs to be given with nearest; got None. Whole classes are method='strata'.")
    if options.method == "strata" and within is None:
        problems.add("strata needs to have within=, the column, level or Series of classes; got none.")
    if options.groups is not None and options.method not in ("kmeans", "ward"):
        problems.add(f"groups needs to go with kmeans or ward; got {options.method}.")
    if options.missing == "partial" and options.method in ("kmeans", "ward", "hdbscan"):
        problems.add(f"missing needs to be 'drop' with {options.method}; got 'partial'.")
    problems.raise_if_any()


def _is_whole(value: object) -> bool:
    """Say whether a value is a whole number."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_positive(value: object) -> bool:
    """Say whether a value is a finite number above 0."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0  # type: ignore[arg-type, operator]


def _bars(table: Features, excluded: tuple[Excluded, ...]) -> Bars:
    """Collect who cannot be a peer of whom."""
    labels, links = list[np.ndarray](), list[sparse.csr_array]()
    for what in excluded:
        if isinstance(what, str):
            labels.extend([] if what == "self" else [_same(table, what)])
        elif hasattr(what, "adjacency"):
            links.append(_linked(table, what))
        else:
            raise InputError(
                f"exclude needs to be 'self', names of parent levels or graphs; got {type(what).__name__}."
            )
    return Bars(tuple(labels), tuple(links))


def _same(table: Features, what: str) -> np.ndarray:
    """Number the classes that an exclusion names."""
    if what in ("neighbors", "neighbours") and what not in table.frame:
        raise InputError(
            f"exclude needs to hold the graph itself where neighbors are no peers; got {what!r}. "
            "Pass exclude=build_weights(areas)."
        )
    return table.labels(what, "exclude")


def _linked(table: Features, graph: Graph) -> sparse.csr_array:
    """Return who is linked to whom in a graph, in the order of the codes."""
    ids, codes = graph.unique_ids, table.sorted_codes
    at = ids.astype(object).get_indexer(codes)
    if (at < 0).any():
        absent = examples(codes[at < 0], len(codes))
        raise InputError(
            f"areas of the features need to be in the graph of exclude; got others ({absent}). "
            "Build it on all areas."
        )
    indptr, indices, data = aligned(graph, ids)
    whole = sparse.csr_array((data != 0, indices, indptr), (len(ids), len(ids)))
    return sparse.csr_array(whole[at][:, at])


def _check_used(table: Features, scaled: pd.DataFrame, classes: set[str], options: _Options) -> None:
    """Raise where no feature is left though one is needed, or a weight is that of no feature."""
    problems = Problems()
    if not scaled.shape[1] and not (options.method == "strata" and options.k is None):
        problems.add("features need to have one that differs between areas; got none.")
    names = [name for name in table.names if name not in classes]
    for name in options.weights:
        if name not in names:
            problems.add(f"weights need to be of features; got {name!r}.{nearest_name(name, names)}")
    problems.raise_if_any()


def _space(scaled: pd.DataFrame, stratum: np.ndarray | None, options: _Options) -> Space:
    """Lay areas out as points, features in the order of their names; all in one place without features."""
    names = sorted(map(str, scaled))
    weight = np.array([float(options.weights.get(name, 1.0)) for name in names] or [1.0])
    share = weight / weight.sum()
    z = scaled[names].to_numpy(np.float64) if names else np.zeros((len(scaled), 1))
    known = ~np.isnan(z)
    enough = known.all(axis=1) if options.missing == "drop" else known @ share >= likeness.LEAST_SHARED - 1e-9
    group = np.zeros(len(z), np.intp) if stratum is None else stratum
    return Space(z * np.sqrt(share), share, np.where(enough, group, LACKS_FEATURES))


def _groups(space: Space, options: _Options, drawn: np.ndarray | None = None) -> np.ndarray:
    """Return the groups inside which peers are looked for: classes, and clusters (of the areas drawn)."""
    if not options.clustered:
        return space.group
    some = int((space.group >= 0).sum())
    if options.method == "ward" and some > likeness.MOST_WARD:
        raise InputError(
            f"ward needs to have {likeness.MOST_WARD:,} areas or fewer, for it holds all their distances; "
            f"got {some:,}. Take kmeans."
        )
    number = options.groups or max(2, round(math.sqrt(some / 2)))
    found = likeness.clusters(space, options.method, number, (options.k or 15) + 1, options.seed, drawn)
    both = (space.group >= 0) & (found >= 0)
    group = np.where(both, 0, np.minimum(space.group, -1))
    pairs = np.column_stack([space.group, found])[both]
    group[both] = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
    return group


def _check_links(space: Space, options: _Options) -> None:
    """Raise when there would be too many links: groups, or numbers of peers, are too large."""
    sizes = np.bincount(space.group[space.group >= 0]).astype(np.int64)
    links = int((sizes * np.minimum(sizes - 1, options.k or sizes.max(initial=0))).sum())
    if links > _MOST_LINKS:
        what, hint = ("whole groups", "Give k") if options.k is None else ("peers", "Give a smaller k")
        raise InputError(
            f"{what} need to have {_MOST_LINKS:,} links or fewer; got {links:,} (largest group "
            f"{sizes.max():,} areas). {hint}, or compare with a whole class by reference='stratum:NAME'."
        )


def _check_pairs(pairs: Pairs, space: Space, within: Labels | None, excluded: tuple[Excluded, ...]) -> None:
    """Raise when classes or exclusions leave nobody to compare with."""
    some = int((space.group != LACKS_FEATURES).sum())
    named = [f"{name}=" for name, given in (("within", within is not None), ("exclude", excluded)) if given]
    if some > 1 and named and not pairs.focal.size:
        raise InputError(
            f"areas need to have others that they can be compared with; got none that has under "
            f"{' and '.join(named)} ({some:,} areas that have features). Cut a column of numbers into a few "
            "classes (pandas.qcut), or exclude fewer."
        )


def _stability(
    space: Space, whole: Space, bars: Bars, pairs: Pairs, options: _Options
) -> tuple[np.ndarray, np.ndarray]:
    """Share of the peers that stay without a feature, and overlap with those of other areas drawn."""

    def turns() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Leave out one feature at a time, or a tenth of many, and make the clusters anew without them."""
        n = space.x.shape[1]
        for turn in range(min(n, _MOST_TURNS) if n > 1 else 0):
            left_out = np.arange(n) % _MOST_TURNS == turn
            yield left_out, _groups(space.without(left_out), options) if options.clustered else whole.group

    made = stability.Made(space, bars, options.k, pairs, options.scaling)
    regroup = (lambda space, rows: _groups(space, options, rows)) if options.clustered else None
    return (
        stability.without_features(whole, bars, options.k, pairs, turns()),
        stability.with_other_areas(made, options.resamples, options.seed, regroup),
    )


def _parameters(
    options: _Options,
    within: Labels | None,
    excluded: tuple[Excluded, ...],
    scales: Mapping[str, tuple[float, float]],
    bound: float,
    allow_sensitive: bool,
) -> dict[str, Any]:
    """What made the peers, in plain values; `features` holds centre and spread of each."""
    names = [what if isinstance(what, str) else "graph" for what in excluded]
    return {
        "k": None if options.k is None else int(options.k),
        "scaling": options.scaling,
        "weights": {name: float(weight) for name, weight in sorted(options.weights.items())},
        "missing": options.missing,
        "within": within if within is None or isinstance(within, str) else str(within.name),
        "exclude": sorted({"self", *names}),
        "max_distance": None if options.max_distance is None else float(options.max_distance),
        "groups": None if options.groups is None else int(options.groups),
        "seed": int(options.seed) if options.method == "kmeans" or options.resamples else None,
        "resamples": int(options.resamples),
        "allow_sensitive": bool(allow_sensitive),
        "features": dict(scales),
        "too_far": bound,
    }


def _finished(
    table: Features,
    scaled: pd.DataFrame,
    quality: pd.DataFrame,
    pairs: Pairs,
    method: str,
    parameters: dict[str, Any],
    notices: tuple[Notice, ...],
) -> Peers:
    """Drop the links of areas without good peers, and put all in the order of the features."""
    kept = quality["good"].to_numpy()[pairs.focal]
    focal, neighbor = table.order[pairs.focal[kept]], table.order[pairs.neighbor[kept]]
    distance = pairs.distance[kept] if scaled.shape[1] else np.full(len(focal), np.nan)
    order = np.lexsort((neighbor, focal))
    codes, links = table.codes, [focal[order], neighbor[order]]
    index = pd.MultiIndex([codes, codes], links, names=["focal", "neighbor"])  # type: ignore[list-item]
    by_code = zip(codes[focal].tolist(), codes[neighbor].tolist(), strict=True)
    back = np.argsort(table.order)
    return Peers(
        graph=_graph(codes, focal, neighbor, np.ones(len(focal))),
        features=scaled.iloc[back].set_axis(codes.rename("area")),
        distances=pd.Series(distance[order], index=index, name="distance"),
        quality=quality.iloc[back].set_axis(codes.rename("area")),
        method=method,
        parameters=parameters,
        notices=notices,
        id=_name(method, parameters, sorted(by_code)),
    )


_NOT_ASKED = ("features", "too_far", "resamples")
"""Parameters that were estimated, or that say how surely."""


def _name(method: str, parameters: Mapping[str, Any], links: list[tuple[str, str]]) -> str:
    """Hash what was asked and who became a peer of whom; what was estimated shows in the links."""
    asked = {name: value for name, value in parameters.items() if name not in _NOT_ASKED}
    asked["seed"] = parameters["seed"] if method == "kmeans" else None
    text = json.dumps([method, asked, sorted(parameters["features"]), links], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
