"""A theme's indicators taken together: which they are, one row per area and period, parts in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from zoo_geo.checks import nearest_name
from zoo_geo.detectors.base import Detection
from zoo_geo.detectors.inputs import OK, TOO_FEW, Inputs
from zoo_geo.errors import InputError
from zoo_geo.panel import Indicator
from zoo_geo.schema import STATUSES

KEYS = ["area", "indicator", "period"]
COMBINATION = "combination"
"""Kind of evidence of a theme: its rows stand beside those of its indicators, and add nothing to them."""
FEWEST = 2
"""Fewer figures than this are no combination."""


def chosen(known: Sequence[Indicator], theme: str, named: Sequence[str]) -> tuple[int, ...]:
    """Return the places of the indicators that are named, or else of those of a theme, in order of their ids.

    Raises
    ------
    InputError
        There are fewer than two, one is not known, or the theme is named as an indicator.
    """
    ids = [each.id for each in known]
    for id in named:
        if id not in ids:
            raise InputError(
                f"indicators need to be in the panel; got {id!r} (known: {', '.join(ids)})."
                f"{nearest_name(id, ids)}"
            )
    places = [ids.index(id) for id in named] or [
        place for place, each in enumerate(known) if theme and each.theme == theme
    ]
    if len(places) < FEWEST:
        themes = sorted({each.theme for each in known if each.theme})
        raise InputError(
            f"theme needs to have two indicators or more; got {len(places)} of {theme!r} "
            f"(known themes: {', '.join(themes) or 'none'}). Pass indicators=, or themes= to the Panel."
        )
    if theme in ids:
        raise InputError(f"theme needs a name that is no indicator's; got {theme!r}.")
    return tuple(sorted(places, key=lambda place: ids[place]))


def check_choice(theme: str, named: Sequence[str]) -> None:
    """Check that a theme, or indicators by name, are asked for."""
    if not theme and not named:
        raise InputError("theme needs to be a theme of the panel, or indicators= two or more ids; got none.")
    if len(set(named)) < len(named):
        raise InputError(f"indicators need to be different; got {', '.join(named)}.")


def as_indicator(theme: str, named: Sequence[str]) -> Indicator:
    """Return the theme as what a row is about: no count, so values without a zero."""
    return Indicator(theme or " + ".join(named), "gaussian", 1.0, theme, theme=theme)


def theme_rows(inputs: Inputs, theme: Indicator) -> Inputs:
    """Return what a theme's rows are of: areas and periods, without a figure."""
    periods = tuple(dict.fromkeys(period for _, period in inputs.columns))
    blank = np.full((inputs.codes.size, len(periods)), np.nan)
    return replace(
        inputs, columns=tuple((theme, period) for period in periods), observed=blank, exposure=blank,
        status=np.zeros(blank.shape, np.int8), events=None, kept={},
    )  # fmt: skip


def statuses(status: np.ndarray) -> np.ndarray:
    """Status of a theme in each area: ok where two figures are, else what they share, else too few.

    Shape (n_areas, n_indicators) gives (n_areas,).
    """
    few = np.where((status == status[:, :1]).all(axis=1), status[:, 0], TOO_FEW)
    few = np.where(few == OK, TOO_FEW, few)
    return np.where((status == OK).sum(axis=1) >= FEWEST, OK, few).astype(np.int8)


@dataclass(frozen=True, eq=False)
class Cube:
    """Figures of a detection laid out by area, indicator and period.

    Parameters
    ----------
    inputs
        Areas and periods of the rows, in code order.
    indicators
        Those of the theme.
    arrays
        Column to numbers, or to categories' words, shape (n_areas, n_indicators, n_periods).
    """

    inputs: Inputs
    indicators: tuple[Indicator, ...]
    arrays: dict[str, np.ndarray]


def cube(found: Detection, theme: str, named: Sequence[str], columns: Iterable[str]) -> Cube:
    """Lay a detection out; results do not depend on the order of its rows."""
    places = chosen(found.indicators, theme, named)
    indicators = tuple(found.indicators[place] for place in places)
    frame = found.frame[found.frame["indicator"].isin([each.id for each in indicators])]
    keys = [pd.Index(frame[name].astype(object)) for name in ("area", "period", "indicator")]
    codes, periods = (key.unique().to_numpy(object) for key in keys[:2])
    order = np.argsort(codes.astype(str), kind="stable")
    ids = pd.Index([each.id for each in indicators], dtype=object)
    at = (
        pd.Index(codes[order]).get_indexer(keys[0]),
        ids.get_indexer(keys[2]),
        pd.Index(periods).get_indexer(keys[1]),
    )
    shape = (codes.size, len(indicators), periods.size)
    if len(frame) != np.prod(shape):
        raise InputError(f"found needs a row per area, indicator and period; got {len(frame):,}.")
    back = np.empty(codes.size, np.intp)
    back[order] = np.arange(codes.size)
    arrays = {}
    for name in columns:
        given = frame[name].astype(object if frame[name].dtype == "category" else float).to_numpy()
        arrays[name] = np.empty(shape, given.dtype)
        arrays[name][at] = given
    arrays["status"] = pd.Index(STATUSES).get_indexer(pd.Index(arrays["status"].ravel())).reshape(shape)
    kind = as_indicator(theme, named)
    blank = np.full((codes.size, periods.size), np.nan)
    inputs = Inputs(
        codes[order], back, tuple((kind, str(period)) for period in periods), blank, blank,
        np.zeros(blank.shape, np.int8), None, None,
    )  # fmt: skip
    return Cube(inputs, indicators, arrays)


def told(names: Sequence[str], scores: np.ndarray, others: np.ndarray | None = None) -> str:
    """List parts in words, as in ``nail studios +1.9; turnover -2.2``.

    Examples
    --------
    >>> told(["a", "b"], np.array([1.94, -2.2]), np.array([-1.8, 1.5]))
    'a +1.9 (-1.8); b -2.2 (+1.5)'
    """
    brackets = [""] * len(names) if others is None else [f" ({each:+.1f})" for each in others]
    parts = zip(names, scores, brackets, strict=True)
    return "; ".join(f"{name.replace(';', ',')} {score:+.1f}{more}" for name, score, more in parts)


def titles(indicators: Iterable[Indicator]) -> np.ndarray:
    """Name each indicator for readers."""
    return np.array([each.title or each.id for each in indicators], object)


def told_names(names: Iterable[str]) -> str:
    """List names, as parts are listed."""
    return "; ".join(name.replace(";", ",") for name in names)


def check_rows(detections: Sequence[Detection]) -> None:
    """Check that detections of one subject differ in name and not in rows."""
    names = [detection.name for detection in detections]
    if len(set(names)) < len(names):
        raise InputError(
            f"detections need different names; got {', '.join(names)}. Two of one detector and reference "
            "need a call of flag each; of graphs say which is which: Deviation(reference='peers') for areas "
            "that are alike."
        )
    base = detections[0].frame
    for detection in detections[1:]:
        pairs = ((detection.frame[key].astype(str), base[key].astype(str)) for key in KEYS)
        if not all(np.array_equal(*pair) for pair in pairs):
            raise InputError(
                "detections need to be of one panel and one list of areas; got "
                f"{detection.name} with other rows than {names[0]}. Pass the same panel and graph to each."
            )


def subjects(detections: Sequence[Detection]) -> list[list[Detection]]:
    """Detections of the same rows: those of the panel, then those of each theme."""
    found: dict[str, list[Detection]] = {}
    for each in sorted(detections, key=lambda each: each.evidence == COMBINATION):
        theme = each.indicators[0].id if each.evidence == COMBINATION else ""
        found.setdefault(theme, []).append(each)
    return list(found.values())
