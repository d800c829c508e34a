"""One HTML file with the map and the flagged list; it needs no network and runs nothing from the data."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from plotly.offline import get_plotlyjs

from zoo_geo.areas import Areas
from zoo_geo.explain import CAVEAT
from zoo_geo.facts import Language, number
from zoo_geo.flags import Flags
from zoo_geo.notices import told
from zoo_geo.outputs.folder import marked
from zoo_geo.panel import Indicator, Panel
from zoo_geo.schema import CLASSES

_VERTICES = 400_000  # of all areas together; keeps a country below 25 MB and quick to draw
_STEPS = 50_000  # across the map: one metre on a map of 50 to 500 km
_BORDER = "#b9c0c8"

# Orange for high and blue for low can be told apart with any kind of colour vision, and are lighter or
# darker with the level; what has no class is grey with a pattern of its own.
_STYLES: dict[str, dict[str, str]] = {
    "high_998": {"color": "#c4500a"},
    "high_95": {"color": "#f6b26b"},
    "as_expected": {"color": "#f7f4ea", "tone": "#8b8672"},
    "low_95": {"color": "#9ecae8"},
    "low_998": {"color": "#1f63a8"},
    "too_few": {"color": "#dfe2e6", "tone": "#8b95a1"},
    "secret": {"color": "#9aa1a9", "ink": "#5d656e", "pattern": "x", "tone": "#5d656e"},
    "missing": {"color": "#cdd1d6", "ink": "#939ba4", "pattern": "/", "tone": "#8b95a1"},
    "no_exposure": {"color": "#dcdfe3", "ink": "#a3aab2", "pattern": "\\", "tone": "#8b95a1"},
    "isolated": {"color": "#dcdfe3", "ink": "#939ba4", "pattern": "-", "tone": "#8b95a1"},
    "constant": {"color": "#dcdfe3", "ink": "#939ba4", "pattern": "|", "tone": "#8b95a1"},
    "not_tested": {"color": "#e9ebee", "ink": "#b4bac2", "pattern": ".", "tone": "#8b95a1"},
    "water": {"color": "#cde6e3"},
}
_PLACES = [*CLASSES, "water"]

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "mark": "INTERNAL: not for publication",
        "indicator": "Indicator",
        "period": "Period",
        "whole": "Whole map",
        "zoom_in": "Zoom in",
        "zoom_out": "Zoom out",
        "map": "Map of the areas by class; the list of flags says the same in words",
        "legend": "Classes",
        "notices": "What the reader has to know",
        "count": "Flagged areas: {n}",
        "none": "No area is flagged.",
        "no_value": "no figure",
        "flagged": "Flagged",
        "all": "all",
        "per": "per {per}{unit}",
        "high_998": "High, outside the 99.8% limits",
        "high_95": "High, outside the 95% limits",
        "as_expected": "As expected",
        "low_95": "Low, outside the 95% limits",
        "low_998": "Low, outside the 99.8% limits",
        "too_few": "Too few to say",
        "secret": "Secret",
        "missing": "No figure",
        "no_exposure": "Nothing to compare per",
        "isolated": "No neighbours",
        "constant": "All areas equal",
        "not_tested": "Not looked at",
        "water": "Water",
    },
    "nl": {
        "mark": "INTERN: niet voor publicatie",
        "indicator": "Indicator",
        "period": "Periode",
        "whole": "Hele kaart",
        "zoom_in": "Inzoomen",
        "zoom_out": "Uitzoomen",
        "map": "Kaart van de gebieden naar klasse; de lijst met vlaggen zegt hetzelfde in woorden",
        "legend": "Klassen",
        "notices": "Wat de lezer moet weten",
        "count": "Gebieden met een vlag: {n}",
        "none": "Geen gebied heeft een vlag.",
        "no_value": "geen cijfer",
        "flagged": "Vlag",
        "all": "alle",
        "per": "per {per}{unit}",
        "high_998": "Hoog, buiten de 99,8%-grenzen",
        "high_95": "Hoog, buiten de 95%-grenzen",
        "as_expected": "Zoals verwacht",
        "low_95": "Laag, buiten de 95%-grenzen",
        "low_998": "Laag, buiten de 99,8%-grenzen",
        "too_few": "Te weinig om iets te zeggen",
        "secret": "Geheim",
        "missing": "Geen cijfer",
        "no_exposure": "Geen noemer",
        "isolated": "Geen buren",
        "constant": "Alle gebieden gelijk",
        "not_tested": "Niet bekeken",
        "water": "Water",
    },
}

_SCRIPT_WORDS = ("count", "none", "no_value", "flagged", "all", "zoom_in", "zoom_out")


def write_page(
    folder: Path,
    *,
    title: str,
    language: Language,
    areas: Areas,
    panel: Panel,
    flags: Flags,
    notices: Sequence[str] = (),
    about: Mapping[str, str] | None = None,
) -> Path:
    """Write the page.

    Parameters
    ----------
    folder
        Where to.
    title
        Title of the study.
    language
        ``nl`` or ``en``.
    areas, panel
        The map, and the indicators and periods to choose from.
    flags
        With a column ``sentence`` in its frame.
    notices
        What the reader has to know.
    about
        Indicator to what it is: question, definition and source.

    Returns
    -------
    Path
        The file, one for all: no network, nothing beside it.
    """
    words = _WORDS[language]
    data = _data(language, areas, _shown(panel, flags), flags, notices, about or {})
    parts = {name: escape(text) for name, text in words.items()} | {
        "title": escape(title),
        "language": language,
        "caveat": CAVEAT[language],
        "data": _json(data),
        "plotly": get_plotlyjs(),
        "style": _asset("page.css"),
        "script": _asset("page.js"),
    }
    path = folder / marked("map", ".html")
    page = re.sub(r"\{\{(\w+)\}\}", lambda token: parts[token[1]], _asset("page.html"))
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _json(data: dict[str, Any]) -> str:
    """Return JSON that cannot end the script element that holds it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


class _Shown(NamedTuple):
    """What a reader can choose from."""

    indicators: tuple[Indicator, ...]
    periods: tuple[str, ...]


def _shown(panel: Panel, flags: Flags) -> _Shown:
    """Return the panel's indicators and the themes that are looked at as a whole."""
    known = {each.id for each in panel.indicators}
    themes = [str(id) for id in pd.unique(flags.cells["indicator"].astype(str)) if str(id) not in known]
    more = tuple(Indicator(id, "gaussian", 1.0, id) for id in themes)
    return _Shown(panel.indicators + more, panel.periods)


def _data(
    language: Language,
    areas: Areas,
    shown: _Shown,
    flags: Flags,
    notices: Sequence[str],
    about: Mapping[str, str],
) -> dict[str, Any]:
    words = _WORDS[language]
    marks, values = _cells(areas, shown, flags.cells)
    return {
        "language": language,
        "words": {name: words[name] for name in _SCRIPT_WORDS},
        "classes": [{"label": words[name], **_STYLES[name]} for name in _PLACES],
        "border": _BORDER,
        "areas": {"names": _names(areas), "shapes": _shapes(areas)},
        "indicators": [
            {
                "title": item.title or item.id,
                "per": _per(item.family, item.per, item.unit, language),
                "about": about.get(item.id, ""),
            }
            for item in shown.indicators
        ],
        "periods": list(shown.periods),
        "start": _start(areas, shown, flags.frame),
        "cells": [_columns(marks[:, k], values[:, k]) for k in range(len(shown.indicators))],
        "flags": _flags(areas, shown, flags.frame),
        "notices": [told(notice, language) for notice in notices],
    }


def _names(areas: Areas) -> list[str]:
    pairs = zip(areas.frame["name"].astype(str), areas.codes, strict=True)
    return [name if name == code else f"{name} ({code})" for name, code in pairs]


def _per(family: str, per: float, unit: str, language: Language) -> str:
    """Say what a value is per."""
    if family == "gaussian":
        return unit
    if family == "binomial" and per == 100:
        return "%"
    return _WORDS[language]["per"].format(per=number(per, language, 15), unit=f" {unit}" if unit else "")


def _places(areas: Areas, shown: _Shown, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the positions of the rows of a table: area, indicator and period."""
    known = areas.codes, pd.Index([item.id for item in shown.indicators]), pd.Index(shown.periods)
    columns = (table[name].astype(str) for name in ("area", "indicator", "period"))
    area, indicator, period = (
        index.get_indexer(pd.Index(column)) for index, column in zip(known, columns, strict=True)
    )
    return area, indicator, period


def _cells(areas: Areas, shown: _Shown, cells: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return class (a position in `_PLACES`) and value, shape (n_areas, n_indicators, n_periods)."""
    shape = (len(areas), len(shown.indicators), len(shown.periods))
    missing, nothing, water = (_PLACES.index(name) for name in ("missing", "no_exposure", "water"))
    marks, values = np.full(shape, missing), np.full(shape, np.nan)
    where = _places(areas, shown, cells)
    marks[where] = pd.Index(_PLACES).get_indexer(pd.Index(cells["class"].astype(str)))
    values[where] = cells["value"]
    wet = areas.frame["water"].to_numpy(bool)[:, None, None]
    marks[wet & ((marks == missing) | (marks == nothing))] = water
    return marks, values


def _columns(marks: np.ndarray, values: np.ndarray) -> list[list[Any] | None]:
    """Return a column per period; nothing for those without a figure, unless there would be none at all.

    Themes have classes and no figures.
    """
    tested = [_PLACES.index(name) for name in ("high_998", "high_95", "as_expected", "low_95", "low_998")]
    shown = ~np.isnan(values).all(axis=0) | np.isin(marks, tested).any(axis=0)
    shown[-1] |= not shown.any()
    return [_column(marks[:, t], values[:, t]) if shown[t] else None for t in range(len(shown))]


def _column(marks: np.ndarray, values: np.ndarray) -> list[Any]:
    """Return a letter and a value per area."""
    return ["".join(chr(97 + mark) for mark in marks), [_rounded(value) for value in values.tolist()]]


def _rounded(value: float) -> float | int | None:
    """Keep four digits or the whole part, which is more than is shown; JSON knows finite numbers only."""
    if not math.isfinite(value):
        return None
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    short = round(value, max(0, 3 - magnitude))
    return int(short) if short.is_integer() else short


def _flags(areas: Areas, shown: _Shown, flagged: pd.DataFrame) -> list[list[list[Any]]]:
    """Return area, class, ratio and sentence of the flags, by indicator and period."""
    found: list[list[list[Any]]] = [[[] for _ in shown.periods] for _ in shown.indicators]
    marks = pd.Index(_PLACES).get_indexer(pd.Index(_tones(flagged)))
    columns = (*_places(areas, shown, flagged), marks, flagged["ratio"], flagged["sentence"])
    for area, indicator, period, mark, ratio, text in zip(*columns, strict=True):
        found[indicator][period].append([int(area), int(mark), _rounded(float(ratio)), text])
    return found


def _start(areas: Areas, shown: _Shown, flagged: pd.DataFrame) -> list[int]:
    """Return the indicator and period of the strongest flag, else the first one and the last."""
    _, indicator, period = _places(areas, shown, flagged.head(1))
    return [int(indicator[0]), int(period[0])] if len(flagged) else [0, len(shown.periods) - 1]


def _tones(flagged: pd.DataFrame) -> list[str]:
    """Return the class that colours a flag: that of the area, or of its direction where it has none."""
    usual = flagged["direction"].map({"high": "high_95", "low": "low_95"})
    own = flagged["class"].astype(str)
    return own.where(own.str.startswith(("high", "low")), usual).tolist()


def _shapes(areas: Areas) -> list[list[list[int]]]:
    """Return the rings of each area in whole steps, as differences; outer rings run the other way round."""
    shapes = _simplified(_flat(areas.frame.geometry))
    bounds = shapely.total_bounds(shapes)
    extent = max(bounds[2] - bounds[0], bounds[3] - bounds[1]) or 1.0
    step = 10.0 ** math.floor(math.log10(extent / _STEPS))
    parts, owner = shapely.get_parts(shapely.orient_polygons(shapes), return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    found: list[list[list[int]]] = [[] for _ in range(len(areas))]
    for ring, area in zip(rings, owner[part], strict=True):
        steps = np.rint((shapely.get_coordinates(ring)[:-1] - bounds[:2]) / step).astype(int)
        found[area].append(np.diff(steps, axis=0, prepend=np.zeros((1, 2), int)).ravel().tolist())
    return found


def _flat(geometry: gpd.GeoSeries) -> np.ndarray:
    """Return polygons in a plane: degrees are projected, points become small discs."""
    plane = geometry.to_crs(geometry.estimate_utm_crs()) if geometry.crs.is_geographic else geometry
    shapes = plane.to_numpy()
    if shapely.get_type_id(shapes[0]) != shapely.GeometryType.POINT:
        return shapes
    bounds = shapely.total_bounds(shapes)
    extent = max(bounds[2] - bounds[0], bounds[3] - bounds[1]) or 1.0
    return shapely.buffer(shapes, extent / 150, quad_segs=3)


def _simplified(shapes: np.ndarray) -> np.ndarray:
    """Leave out points until few enough are left; borders that areas share stay shared."""
    bounds = shapely.total_bounds(shapes)
    tolerance = max(bounds[2] - bounds[0], bounds[3] - bounds[1]) / _STEPS
    simple = shapes
    while shapely.get_num_coordinates(simple).sum() > _VERTICES and tolerance < 1e9:
        simple = shapely.coverage_simplify(shapes, tolerance)
        tolerance *= 2
    return simple
