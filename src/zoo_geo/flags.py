"""From p-values to a list of areas: which are flagged, and on what evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from zoo_geo.detectors.base import Detection
from zoo_geo.detectors.clusters import around, kind, unflagged
from zoo_geo.detectors.themes import KEYS, check_rows, subjects
from zoo_geo.errors import InputError
from zoo_geo.notices import Notice
from zoo_geo.significance import Method
from zoo_geo.supports import Rules, Support, support_of, too_coarse, uncounted, without_effect

if TYPE_CHECKING:
    from libpysal.graph import Graph

    from zoo_geo.areas import Areas


@dataclass(frozen=True, eq=False)
class Flags:
    """The internal list of flagged areas, with everything that stands behind it.

    Parameters
    ----------
    frame
        One row per flagged area, indicator and period, the strongest deviation first.
    evidence
        One row per detector that supports a flag, or stands beside it as context.
    cells
        Every area, indicator and period with its class, by the first comparison of the own figure that can
        raise a flag; ``detector`` and ``reference`` name it.
    notices
        What the reader has to know.
    """

    frame: pd.DataFrame
    evidence: pd.DataFrame
    cells: pd.DataFrame
    notices: tuple[Notice, ...] = ()


def flag(
    found: Detection | Sequence[Detection],
    alpha: float = 0.05,
    *,
    method: Method = "bh",
    min_ratio: float = 1.0,
    min_excess: float = 0.0,
    min_count: float = 5,
    context: Collection[str] = (),
    study: str = "",
    areas: Areas | None = None,
    graph: Graph | None = None,
) -> Flags:
    """Flag the cells that deviate significantly and by enough.

    A cell is flagged when at least one detection that is no context supports it: its adjusted p is at
    most ``alpha`` and the effect and count are large enough. Evidence of a group (local Moran, G*, a
    cluster) needs the effect of the group and of the area itself, whose 95 % interval has to leave 1 out. p
    of a cluster is not corrected again. A plain scan of counts that vary beyond its null raises no flag.

    Parameters
    ----------
    found
        Detections of one panel; the first one leads where several support a flag equally.
    alpha, method, min_ratio, min_excess, min_count, context
        See `Rules`.
    study
        Goes into the ``flag_id``.
    areas
        Names and parents to add.
    graph
        Weights, to count the neighbours that are flagged as well.

    Raises
    ------
    InputError
        A rule does not fit, or the detections are not of one panel.
    """
    detections = [found] if isinstance(found, Detection) else list(found)
    named = (context,) if isinstance(context, str) else tuple(context)
    rules = Rules(alpha, method, min_ratio, min_excess, min_count, named)
    _check(detections, rules)
    flagged = [_flagged(each, rules, study, areas, graph) for each in subjects(detections)]
    return flagged[0] if len(flagged) == 1 else _together(flagged)


def _flagged(
    detections: Sequence[Detection], rules: Rules, study: str, areas: Areas | None, graph: Graph | None
) -> Flags:
    """Flag the cells of detections that have the same rows."""
    supports = [support_of(detection, rules) for detection in detections]
    cells = _cells(detections, supports, rules)
    frame = _frame(detections, supports, cells, study, rules)
    evidence = _evidence(detections, supports, frame)
    if areas is not None:
        frame = _named(frame, areas)
    if graph is not None:
        frame = _next_door(frame, graph)
    notices = [notice for detection in detections for notice in detection.notices]
    for detection, support in zip(detections, supports, strict=True):
        notices += too_coarse(detection, support, rules) + without_effect(detection, rules)
        notices += unflagged(detection, support.supports, alpha=rules.alpha)
    return Flags(frame, evidence, cells, tuple(dict.fromkeys(notices)))


def _together(found: Sequence[Flags]) -> Flags:
    """Put the flags of themes among those of their indicators, the strongest deviation first."""
    frame, evidence, cells = (
        _stacked([getattr(each, name) for each in found]) for name in ("frame", "evidence", "cells")
    )
    frame = _strongest_first(frame)
    place = {name: place for place, name in enumerate(frame["flag_id"])}
    evidence = evidence.sort_values(
        "flag_id", key=lambda ids: ids.map(place), kind="stable", ignore_index=True
    )
    notices = dict.fromkeys(notice for each in found for notice in each.notices)
    return Flags(frame, evidence, cells, tuple(notices))


def _stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put tables with the same columns below each other; an empty one decides no type."""
    filled = [_as_text(table) for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]


def _check(detections: Sequence[Detection], rules: Rules) -> None:
    if not detections:
        raise InputError("found needs to hold at least one Detection; got none.")
    names = list(dict.fromkeys(detection.name for detection in detections))
    unknown = [name for name in rules.context if name not in names]
    if unknown:
        raise InputError(f"context needs to name detections ({', '.join(names)}); got {', '.join(unknown)}.")
    if set(names) <= set(rules.context):
        raise InputError("context needs to leave a detection that can raise a flag; got all of them.")
    for each in subjects(detections):
        check_rows(each)


def _cells(detections: Sequence[Detection], supports: Sequence[Support], rules: Rules) -> pd.DataFrame:
    """Every cell with its class, from the first detection that compares an area's own figure."""
    own = [k for k, d in enumerate(detections) if d.evidence == "own figure"]
    lead = min(own, key=lambda k: detections[k].name in rules.context, default=0)
    frame = detections[lead].frame
    label = frame["label"].astype(str).to_numpy().astype(object)
    if not own:
        label = _class_of_p(frame)
    small = np.fmax(frame["observed"].to_numpy(), frame["expected"].to_numpy()) < rules.min_count
    label[small & (label == "as_expected") & ~uncounted(detections[lead])] = "too_few"
    more = ["detector", "reference", "observed", "exposure", "value", "expected", "status", "direction"]
    cells = frame[[*KEYS, *more, "ratio", "p_value"]].copy()
    cells["q_value"] = supports[lead].q
    cells["class"] = pd.Categorical(label)
    cells["flagged"] = np.logical_or.reduce([s.raises for s in supports])
    return cells


def _class_of_p(frame: pd.DataFrame) -> np.ndarray:
    """Class of each cell by its two-sided p, for detections that have classes of their own."""
    p, high = frame["p_value"].to_numpy(), frame["direction"].to_numpy() == "high"
    inside = [
        (p <= 0.002) & high, (p <= 0.05) & high, (p <= 0.002) & ~high, (p <= 0.05) & ~high, np.isfinite(p),
    ]  # fmt: skip
    classes = ["high_998", "high_95", "low_998", "low_95", "as_expected"]
    return np.select(inside, classes, frame["status"].astype(str)).astype(object)


def _frame(
    detections: Sequence[Detection],
    supports: Sequence[Support],
    cells: pd.DataFrame,
    study: str,
    rules: Rules,
) -> pd.DataFrame:
    """One row per flagged cell, told by its leading evidence."""
    flagged = np.flatnonzero(cells["flagged"].to_numpy())
    lead = _leading(detections, supports, flagged)
    parts = []
    for k, detection in enumerate(detections):
        rows = flagged[lead == k]
        part = detection.frame.iloc[rows]
        part = part.assign(q_value=supports[k].q[rows], row=rows, history=detection.parameters.get("history"))
        parts.append(
            part.astype(dict.fromkeys([*KEYS, "detector", "reference", "direction", "label"], object))
        )
    frame = pd.concat([part.reindex(columns=_FLAG_COLUMNS) for part in parts], ignore_index=True)
    rows = frame.pop("row").to_numpy(int)
    frame["class"] = cells["class"].astype(object).to_numpy()[rows]
    next_door = [detection for detection in detections if detection.reference != "peers"]
    for name in ("n_neighbors", "neighbors_value"):
        frame[name] = _first_known(next_door, name, rows)
    frame["events"] = _first_known(detections, "events", rows)
    modelled = [detection for detection in detections if detection.reference == "model"]
    for name in ("ratio_before", "explained"):
        frame[name] = _first_known(modelled, name, rows)
    for name in ("family", "per"):
        known = {indicator.id: getattr(indicator, name) for indicator in detections[0].indicators}
        frame[name] = frame["indicator"].map(known)
    frame["excess"] = frame["observed"] - frame["expected"]
    frame["excess_low"] = frame["expected"] * (frame["ratio_low"] - 1.0)
    frame["indicator_title"] = frame["indicator"].map(
        {i.id: i.title or i.id for i in detections[0].indicators}
    )
    listed = _listed(detections, supports, rows, frame["direction"].to_numpy())
    frame["evidence"], frame["n_evidence"], frame["contrary"] = listed
    high = frame["direction"].to_numpy() == "high"
    raised = [each.raises[rows] & (each.high[rows] == high) for each in supports]
    frame["cluster_areas"] = around(detections, raised, rows)
    frame["agrees"], frame["disagrees"] = _beside(detections, supports, rows, frame["direction"].to_numpy())
    whole = [detection.name for detection in detections if detection.controls == "family"]
    told = frame["detector"] + ":" + frame["reference"]
    frame["method"] = np.where(told.isin(whole), "family", rules.method)
    keys = zip(frame["area"], frame["period"], frame["indicator"], strict=True)
    frame.insert(0, "flag_id", [flag_id(study, *key) for key in keys])
    return _strongest_first(frame)


def _strongest_first(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.assign(_strength=-frame["z"].abs())
    return frame.sort_values(["_strength", *KEYS], ignore_index=True).drop(columns="_strength")


_FLAG_COLUMNS = [
    *KEYS, "direction", "detector", "reference", "label", "observed", "exposure", "value", "reference_value",
    "expected", "ratio", "ratio_low", "ratio_high", "z", "p_value", "q_value",
    "group_observed", "group_expected", "group_ratio", "joins", "joins_expected", "other_value", "other_mean",
    "parts", "n_indicators", "n_periods", "history_value", "surroundings_change", "slope", "change",
    "cluster", "cluster_observed", "cluster_expected", "cluster_areas", "start", "end", "relative_risk",
    "own_low", "own_high", "overdispersion", "history", "row",
]  # fmt: skip


def flag_id(study: str, area: str, period: str, indicator: str) -> str:
    """Stable id of a flag; it holds no figure.

    Examples
    --------
    >>> flag_id("demo", "BU00010203", "2024", "hemp") == flag_id("demo", "BU00010203", "2024", "hemp")
    True
    """
    digest = hashlib.sha256("\x1f".join((study, area, period, indicator)).encode()).hexdigest()
    return f"F{digest[:15]}"  # a letter first, or a spreadsheet reads some ids as numbers


def _leading(detections: Sequence[Detection], supports: Sequence[Support], rows: np.ndarray) -> np.ndarray:
    """Which detection tells a flag: an area's own figure before a group, then the order given."""
    order = sorted(range(len(detections)), key=lambda k: (detections[k].evidence != "own figure", k))
    lead = np.full(rows.size, -1)
    for k in order:
        lead[(lead < 0) & supports[k].raises[rows]] = k
    return lead


def _first_known(detections: Sequence[Detection], name: str, rows: np.ndarray) -> np.ndarray:
    for detection in detections:
        if name in detection.frame and detection.frame[name].notna().any():
            return detection.frame[name].to_numpy()[rows]
    return np.full(rows.size, np.nan)


def _listed(
    detections: Sequence[Detection], supports: Sequence[Support], rows: np.ndarray, direction: np.ndarray
) -> tuple[list[str], list[int], list[str]]:
    """Name the detections that raise each flag, and all that find the other direction; count kinds."""
    raised = np.stack([s.raises[rows] for s in supports], 1)
    found = np.stack([s.supports[rows] for s in supports], 1)
    same = np.stack([(direction == "high") == s.high[rows] for s in supports], 1)
    each = np.stack([kind(detection, rows) for detection in detections], 1)
    n_kinds = [len(set(kinds[yes])) for kinds, yes in zip(each, raised & same, strict=True)]
    return _names(detections, raised & same), n_kinds, _names(detections, found & ~same)


def _beside(
    detections: Sequence[Detection], supports: Sequence[Support], rows: np.ndarray, direction: np.ndarray
) -> tuple[list[str], list[str]]:
    """Name comparisons, context too, in which the own figure deviates the same way, and those it fits in."""
    own = [k for k, detection in enumerate(detections) if detection.evidence == "own figure"]
    named, high = [detections[k] for k in own], direction == "high"
    same = [supports[k].supports[rows] & (supports[k].high[rows] == high) for k in own]
    inside = [detection.frame["p_value"].to_numpy()[rows] > _INSIDE for detection in named]
    agrees, disagrees = (np.reshape(each, (len(own), rows.size)).T for each in (same, inside))
    return _names(named, agrees), _names(named, disagrees)


_INSIDE = 0.05
"""An area whose p is above this lies inside the 95 % control limits of a comparison."""


def _names(detections: Sequence[Detection], chosen: np.ndarray) -> list[str]:
    return ["; ".join(d.name for d, yes in zip(detections, row, strict=True) if yes) for row in chosen]


def _evidence(
    detections: Sequence[Detection], supports: Sequence[Support], frame: pd.DataFrame
) -> pd.DataFrame:
    """What each detection says of each flagged cell."""
    parts = []
    for detection, support in zip(detections, supports, strict=True):
        columns = [c for c in _EVIDENCE_COLUMNS if c in detection.frame]
        part = detection.frame[columns].assign(
            q_value=support.q, supports=support.supports, raises=support.raises
        )
        merged = frame[["flag_id", *KEYS]].merge(_as_text(part), on=KEYS, how="left", validate="one_to_one")
        parts.append(merged.reindex(columns=["flag_id", *_EVIDENCE_COLUMNS, "q_value", "supports", "raises"]))
    evidence = pd.concat(parts, ignore_index=True)
    place = {name: place for place, name in enumerate(frame["flag_id"])}
    return evidence.sort_values("flag_id", key=lambda ids: ids.map(place), kind="stable", ignore_index=True)


_EVIDENCE_COLUMNS = [
    *KEYS, "detector", "reference", "direction", "label", "status", "expected", "ratio", "ratio_low",
    "ratio_high", "reference_value", "group_observed", "group_expected", "group_ratio", "joins",
    "joins_expected", "other_value", "other_mean", "ratio_before", "explained", "parts", "n_periods",
    "history_value", "surroundings_change", "slope", "change", "cluster", "cluster_observed",
    "cluster_expected", "cluster_areas", "start", "end", "relative_risk", "own_low", "own_high",
    "overdispersion", "statistic", "z", "p_value",
]  # fmt: skip


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    words = frame.select_dtypes("category").columns
    return frame.astype(dict.fromkeys(words, object))


def _named(frame: pd.DataFrame, areas: Areas) -> pd.DataFrame:
    """Add names and parents of the areas, beside the code."""
    known = areas.frame.reindex(frame["area"])
    columns = {"area_name": "name"} | {level: level for level in areas.parents}
    for place, (title, column) in enumerate(columns.items()):
        frame.insert(2 + place, title, known[column].astype(object).to_numpy())
    return frame


def _next_door(frame: pd.DataFrame, graph: Graph) -> pd.DataFrame:
    """Count the neighbours of each flag that are flagged in the same direction."""
    links = graph.adjacency
    links = links[links != 0].reset_index()[["focal", "neighbor"]]
    links = links[links["focal"] != links["neighbor"]]
    seen = frame[[*KEYS, "direction"]]
    pairs = seen.merge(links, left_on="area", right_on="focal")
    again = ["indicator", "period", "direction"]
    both = pairs.merge(seen, left_on=["neighbor", *again], right_on=["area", *again], suffixes=("", "_next"))
    count = both.groupby(KEYS).size().rename("neighbors_flagged").reset_index()
    merged = frame.merge(count, on=KEYS, how="left", validate="one_to_one")
    merged["neighbors_flagged"] = merged["neighbors_flagged"].fillna(0).astype(int)
    return merged
