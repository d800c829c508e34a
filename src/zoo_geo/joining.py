"""Panels of several tables put together as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from zoo_geo.panel import Panel
from zoo_geo.schema import STATUSES
from zoo_geo.study import Study


def joined(panels: Sequence[Panel], study: Study) -> Panel:
    """Return one panel of the indicators of all tables, in the order of the study."""
    areas = panels[0].areas
    for panel in panels[1:]:
        areas = areas.union(panel.areas, sort=False)
    periods = tuple(sorted({period for panel in panels for period in panel.periods}))
    whole = [_widened(panel, areas, periods) for panel in panels]
    units = {item.id: study.within(item.unit) for item in study.indicators}
    indicators = [replace(item, unit=units[item.id]) for panel in whole for item in panel.indicators]
    order = np.argsort([list(units).index(item.id) for item in indicators])

    def together(name: str) -> np.ndarray:
        cubes = [getattr(panel, name) for panel in whole]
        blank = [np.full(panel.observed.shape, np.nan) for panel in whole]
        known = [each if cube is None else cube for cube, each in zip(cubes, blank, strict=True)]
        return np.concatenate(known, axis=1)[:, order]

    return Panel(
        areas,
        tuple(indicators[position] for position in order),
        periods,
        together("observed"),
        together("exposure"),
        together("status"),
        tuple(notice for panel in whole for notice in panel.notices),
        together("events") if any(panel.events is not None for panel in whole) else None,
        _breaks(whole),
    )


def _breaks(panels: Sequence[Panel]) -> np.ndarray | None:
    """Return where a series of any table starts anew."""
    given = [panel.breaks for panel in panels if panel.breaks is not None]
    return np.logical_or.reduce(given) if given else None


def _widened(panel: Panel, areas: pd.Index, periods: tuple[str, ...]) -> Panel:
    """Return a panel with all areas and periods, ``missing`` where it has none."""
    if panel.areas.equals(areas) and panel.periods == periods:
        return panel
    shape = (len(areas), len(panel.indicators), len(periods))
    rows, columns = areas.get_indexer(panel.areas), pd.Index(periods).get_indexer(pd.Index(panel.periods))
    where = np.ix_(rows, np.arange(shape[1]), columns)
    observed, exposure = np.full(shape, np.nan), np.full(shape, np.nan)
    status = np.full(shape, STATUSES.index("missing"), dtype=panel.status.dtype)
    cubes = [(observed, panel.observed), (exposure, panel.exposure), (status, panel.status)]
    events = None if panel.events is None else np.full(shape, np.nan)
    for wide, given in (*cubes, *([] if events is None else [(events, panel.events)])):
        wide[where] = given
    breaks = None if panel.breaks is None else _wide_breaks(panel, rows, columns, (shape[0], shape[2]))
    return replace(
        panel, areas=areas, periods=periods, observed=observed, exposure=exposure, status=status,
        events=events, breaks=breaks,
    )  # fmt: skip


def _wide_breaks(panel: Panel, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return where series start anew, on more areas and periods."""
    assert panel.breaks is not None
    breaks = np.zeros(shape, bool)
    breaks[np.ix_(rows, columns)] = panel.breaks
    return breaks
