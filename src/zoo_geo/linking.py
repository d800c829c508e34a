"""Periods on one list of areas: codes that changed, boundaries that changed, figures carried over by weight.

A panel of several years holds the codes of each year. `link_periods` gives one on the newest codes, in
which a series goes on where the area is the same, and starts anew (`Panel.breaks`) where it is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from zoo_geo.change_tables import (
    CHANGED,
    CODES,
    RECODED,
    ROUNDED,
    WEIGHTS,
    Codes,
    Unknown,
    Weights,
    read_codes,
    read_weights,
)
from zoo_geo.checks import check_columns
from zoo_geo.errors import InputError, Problems, examples
from zoo_geo.notices import Notice, count, which
from zoo_geo.panel import Panel
from zoo_geo.schema import STATUSES

if TYPE_CHECKING:
    from zoo_geo.areas import Areas

_OK, _MISSING, _NO_EXPOSURE = map(STATUSES.index, ("ok", "missing", "no_exposure"))


def link_periods(
    panel: Panel,
    changes: pd.DataFrame,
    *,
    areas: Areas | Iterable[str] | None = None,
    columns: Mapping[str, str] | None = None,
    unknown_areas: Unknown = "error",
    known: Iterable[str] = (),
) -> Panel:
    """Put all periods of a panel on the newest codes, and mark where series are broken.

    Parameters
    ----------
    panel
        Figures of several periods, each on the codes of its time.
    changes
        Either the code changes, as in the tables of CBS: columns ``period``, ``area`` (a code of that
        period), ``change`` against the period before (1 unchanged, 2 recoded: same area under another code,
        3 boundary changed) and ``previous`` (the old code, for 2; of no area any more, or of one that is
        itself listed as 2 or 3). Areas that are not listed are unchanged.
        Or weights: columns ``period`` (from when the new codes hold), ``old``, ``new`` and ``weight``
        (share of the old area's figures that goes to the new one). Codes that are not listed as old keep
        their figures.
    areas
        The newest codes, or the map that has them; other codes are left out and told. All codes that nothing
        replaced when not given.
    columns
        Names that the table uses: ``{"area": "buurtcode", "change":
        "indelingswijziging_wijken_en_buurten"}``.
    unknown_areas
        What to do with changes from or to areas that are neither in the panel nor in ``areas``: ``error``,
        or ``drop`` to leave them out, and say so.
    known
        Further codes that may stand in the table, without figures in this panel.

    Returns
    -------
    Panel
        With `Panel.breaks`, and a notice of what was linked, broken and carried over. Counts and exposures
        are carried over by weight, counts in whole ones that keep each old code's total; values (gaussian)
        are averaged, weighted by weight and exposure. A period in which part of an area is missing or
        secret is so for the whole; parts without exposure leave the rest as it is.

    Raises
    ------
    InputError
        One line per problem, all together.

    Examples
    --------
    >>> table = pd.DataFrame({"code": ["BU1", "BU2"], "year": [2022, 2023], "n": [3, 4], "people": 100})
    >>> panel = Panel.from_frame(table, area="code", period="year", observed="n", exposure="people")
    >>> changes = pd.DataFrame({"period": [2023], "area": ["BU2"], "change": [2], "previous": ["BU1"]})
    >>> link_periods(panel, changes)
    <Panel: 1 areas x 1 indicators x 2 periods>
    """
    given = dict(columns or {})
    unknown = [name for name in given if name not in {*CODES, *WEIGHTS}]
    if unknown:
        listed = ", ".join(dict.fromkeys((*CODES, *WEIGHTS)))
        raise InputError(f"columns needs to name {listed}; got others ({examples(unknown, len(given))}).")
    names = {name: given.get(name, name) for name in (*CODES, *WEIGHTS)}
    wanted = None if areas is None else _codes_of(areas)
    if unknown_areas not in ("error", "drop"):
        raise InputError(f"unknown_areas needs to be 'error' or 'drop'; got {unknown_areas!r}.")
    problems = Problems()
    check_columns([name for key, name in given.items() if name != key], changes.columns, problems)
    problems.raise_if_any()
    codes = {*panel.areas, *known, *(() if wanted is None else wanted)}
    if names["weight"] in changes and names["change"] not in changes:
        weights = read_weights(changes, names, panel.periods, codes, unknown_areas)
        panel = replace(panel, notices=(*panel.notices, *weights.notices))
        return _restricted(_weighted(panel, weights), wanted)
    last = _last_in_use(panel, wanted)
    recoded = read_codes(changes, names, panel.periods, codes, last, unknown_areas)
    return _recoded(replace(panel, notices=(*panel.notices, *recoded.notices)), recoded, wanted)


def _codes_of(areas: Areas | Iterable[str]) -> pd.Index:
    """Newest codes as text."""
    listed: Any = getattr(areas, "codes", areas)
    return pd.Index(list(listed)).astype(object)


def _last_in_use(panel: Panel, wanted: pd.Index | None) -> dict[str, int]:
    """Last period of the panel in which a code has any figure, as a position; of newest codes the last."""
    seen = (panel.status != _MISSING).any(axis=1)
    last = np.where(seen.any(axis=1), seen.shape[1] - 1 - seen[:, ::-1].argmax(axis=1), -1)
    newest = {} if wanted is None else dict.fromkeys(wanted, len(panel.periods) - 1)
    return dict(zip(panel.areas, last.tolist(), strict=True)) | newest


def _recoded(panel: Panel, codes: Codes, wanted: pd.Index | None) -> Panel:
    """Follow every newest code back through the periods."""
    newest = _newest(panel, codes) if wanted is None else wanted
    count = len(panel.periods)
    lineage = np.empty((len(newest), count), dtype=object)
    breaks = np.zeros((len(newest), count), bool)
    rows = _rows_by_period(codes)
    here = newest.to_numpy(object).copy()
    for t in range(count - 1, -1, -1):
        lineage[:, t] = here
        for change, previous in rows.get(t, ()):
            code = pd.Series(here, dtype=object)
            kind = code.map(change)
            breaks[:, t] |= (kind == CHANGED).to_numpy()
            gone = (code.isin(set(previous.values())) & (kind != RECODED)).to_numpy()
            here = np.where(kind == RECODED, code.map(previous), here)
            here[gone] = None  # another area had this code before
    figures = _taken(panel, newest, lineage)
    used = np.zeros((len(panel.areas), count), bool)
    at = panel.areas.get_indexer(pd.Index(lineage.ravel())).reshape(lineage.shape)
    for t in range(count):
        used[at[at[:, t] >= 0, t], t] = True
    moved = int(((lineage != lineage[:, [-1]]) & (at >= 0)).any(axis=1).sum())
    notices = [*panel.notices, *_recode_notices(panel, used, moved, breaks)]
    before = False if figures.breaks is None else figures.breaks
    return replace(figures, notices=tuple(notices), breaks=breaks | before)


def _rows_by_period(codes: Codes) -> dict[int, list[tuple[dict[str, int], dict[str, str]]]]:
    """Changes by the period that they hold from, the latest first: kind and old code of each code."""
    found: dict[int, list[tuple[dict[str, int], dict[str, str]]]] = {}
    for step in np.unique(codes.step)[::-1]:
        here = codes.step == step
        kept = here & (codes.change == RECODED)
        kinds = dict(zip(codes.area[here], codes.change[here].tolist(), strict=True))
        previous = dict(zip(codes.area[kept], codes.previous[kept], strict=True))
        found.setdefault(int(codes.first[here][0]), []).append((kinds, previous))
    return found


def _newest(panel: Panel, codes: Codes) -> pd.Index:
    """Codes of the panel that no later code replaced, in its order."""
    kept = codes.change == RECODED
    replaced = dict(zip(codes.previous[kept], codes.first[kept].tolist(), strict=True))
    listed = dict(zip(codes.area, codes.first.tolist(), strict=True))
    seen = (panel.status != _MISSING).any(axis=1)
    alive = [
        code not in replaced
        or listed.get(code, -1) >= replaced[code]
        or bool(seen[row, replaced[code] :].any())
        for row, code in enumerate(panel.areas)
    ]
    return panel.areas[np.array(alive, bool)]


def _taken(panel: Panel, newest: pd.Index, lineage: np.ndarray) -> Panel:
    """Figures of each newest code, from the code that it had in each period."""
    at = panel.areas.get_indexer(pd.Index(lineage.ravel())).reshape(lineage.shape)
    columns = np.arange(lineage.shape[1])

    def cube(array: np.ndarray, blank: float) -> np.ndarray:
        found = np.moveaxis(array, 1, 2)[np.maximum(at, 0), columns]
        found = np.where((at >= 0)[:, :, None], found, blank)
        return np.ascontiguousarray(np.moveaxis(found, 2, 1)).astype(array.dtype)

    breaks = None
    if panel.breaks is not None:
        breaks = (at >= 0) & panel.breaks[np.maximum(at, 0), columns]
    return replace(
        panel,
        areas=newest,
        observed=cube(panel.observed, np.nan),
        exposure=cube(panel.exposure, np.nan),
        status=cube(panel.status, _MISSING),
        events=None if panel.events is None else cube(panel.events, np.nan),
        breaks=breaks,
    )


def _recode_notices(panel: Panel, used: np.ndarray, moved: int, breaks: np.ndarray) -> list[Notice]:
    """Say what was linked, what is broken, and what found no place."""
    said = list[Notice]()
    if moved:
        said.append(
            Notice(
                f"{moved:,} of {len(breaks):,} areas had another code before; their series were linked.",
                f"{count(moved)} van {count(len(breaks))} gebieden hadden eerder een andere code; hun "
                "reeksen "
                "zijn aan elkaar gezet.",
            )
        )
    for t, period in enumerate(panel.periods):
        if cut := int(breaks[:, t].sum()):
            said.append(
                Notice(
                    f"From {period} on the boundary of {cut:,} of {len(breaks):,} areas is another one: "
                    "their "
                    "series start anew there.",
                    f"Vanaf {period} is de grens van {count(cut)} van {count(len(breaks))} gebieden een "
                    "andere: "
                    "hun reeksen beginnen daar opnieuw.",
                )
            )
    return said + _left_out(panel, used)


def _left_out(panel: Panel, used: np.ndarray) -> list[Notice]:
    """Say which codes have figures that no newest area goes on with."""
    lost = ((panel.status == _OK).any(axis=1) & ~used).any(axis=1)
    if not lost.any():
        return []
    en, nl = (tell(panel.areas[lost], len(panel.areas)) for tell in (examples, which))
    return [
        Notice(
            f"Figures of codes that no newest area goes on with were left out ({en}).",
            f"Cijfers van codes die in geen nieuwste gebied verdergaan zijn weggelaten ({nl}).",
        )
    ]


def _restricted(panel: Panel, wanted: pd.Index | None) -> Panel:
    """Keep the newest codes only."""
    if wanted is None:
        return panel
    lineage = np.repeat(wanted.to_numpy(object)[:, None], len(panel.periods), axis=1)
    used = np.repeat(panel.areas.isin(wanted)[:, None], len(panel.periods), axis=1)
    return replace(_taken(panel, wanted, lineage), notices=(*panel.notices, *_left_out(panel, used)))


def _weighted(panel: Panel, weights: Weights) -> Panel:
    """Carry the figures of earlier periods over to the codes that hold later, one change after the other."""
    carried, notices = 0, list[Notice]()
    for number in np.unique(weights.step):
        here = weights.step == number
        t = int(weights.first[here][0])
        step = pd.DataFrame(
            {"old": weights.old[here], "new": weights.new[here], "weight": weights.weight[here]}
        )
        some = step[step["weight"] > 0]
        had = panel.areas[(panel.status[:, :, :t] != _MISSING).any(axis=(1, 2))]
        moved = some["old"].isin(had) & ((some["old"] != some["new"]) | (some["weight"] < 1))
        carried += some.loc[moved, "new"].nunique()
        panel = _carried(panel, some, t)
        sums = step.groupby("old")["weight"].sum()
        part = sums[sums < 1 - ROUNDED]
        if len(part):
            en, nl = (tell(part.index, len(sums)) for tell in (examples, which))
            notices.append(
                Notice(
                    f"Before {panel.periods[t]}, weights of old codes that add up to less than 1 leave the "
                    f"rest of their figures out ({en}).",
                    f"Voor {panel.periods[t]} tellen gewichten van oude codes op tot minder dan 1; de rest "
                    "van "
                    f"hun cijfers is weggelaten ({nl}).",
                )
            )
    if carried:
        whose = "1 area" if carried == 1 else f"{carried:,} areas"
        wiens = "1 gebied" if carried == 1 else f"{count(carried)} gebieden"
        notices.append(
            Notice(
                f"Earlier figures of {whose} were carried over by weight: they are estimates, counts "
                "rounded.",
                f"Eerdere cijfers van {wiens} zijn naar gewicht omgerekend: het zijn schattingen, met "
                "afgeronde "
                "aantallen.",
            )
        )
    return replace(panel, notices=(*panel.notices, *notices))


def _carried(panel: Panel, step: pd.DataFrame, t: int) -> Panel:
    """Carry all periods before one over to new codes."""
    old_codes = panel.areas
    is_old, is_new = old_codes.isin(step["old"]), old_codes.isin(step["new"])
    later, earlier = (
        (panel.status[:, :, part] != _MISSING).any((1, 2)) for part in (slice(t, None), slice(t))
    )
    gone = is_old & ~is_new & ~later
    new_codes = old_codes[~gone].append(
        pd.Index([code for code in dict.fromkeys(step["new"]) if code not in old_codes], dtype=object)
    )
    old_at = old_codes.get_indexer(pd.Index(step["old"]))
    known = old_at >= 0
    stays = np.flatnonzero(~is_old & (earlier | ~is_new))
    to = np.concatenate(
        [new_codes.get_indexer(pd.Index(step["new"]))[known], new_codes.get_indexer(old_codes[stays])]
    )
    of = np.concatenate([old_at[known], stays])
    share = np.concatenate([step["weight"].to_numpy(float)[known], np.ones(stays.size)])
    matrix = sparse.csr_array((share, (to, of)), (len(new_codes), len(old_codes)))
    lineage = np.repeat(new_codes.to_numpy(object)[:, None], len(panel.periods), axis=1)
    changed = _taken(panel, new_codes, lineage)
    touched = np.union1d(
        new_codes.get_indexer(pd.Index(step["new"])), new_codes.get_indexer(old_codes[is_old & ~gone])
    )
    rows = np.ix_(touched, np.arange(len(panel.indicators)), np.arange(t))
    cubes = {name: getattr(changed, name).copy() for name in ("observed", "exposure", "status")}
    for name, cube in _sums(panel, matrix[touched], t, new_codes[touched]).items():
        cubes[name][rows] = cube
    events = None if changed.events is None else changed.events.copy()
    if events is not None and panel.events is not None:
        events[rows] = _whole(matrix[touched], panel.events[:, :, :t], new_codes[touched])
    breaks = None if changed.breaks is None else changed.breaks.copy()
    if breaks is not None and panel.breaks is not None:
        breaks[touched, :t] = matrix[touched] @ panel.breaks[:, :t].astype(float) > 0
    return replace(changed, areas=new_codes, events=events, breaks=breaks, **cubes)


def _times(matrix: sparse.csr_array, cube: np.ndarray) -> np.ndarray:
    """Weighted sums over the first axis; NaN where a part of weight is NaN."""
    flat = cube.reshape(cube.shape[0], -1)
    total = matrix @ np.nan_to_num(flat)
    unknown = matrix @ np.isnan(flat).astype(float)
    return np.where(unknown > 0, np.nan, total).reshape(total.shape[0], *cube.shape[1:])


def _whole(matrix: sparse.csr_array, cube: np.ndarray, codes: pd.Index) -> np.ndarray:
    """Weighted sums in whole numbers: each old code's count is shared out whole, as its weights say.

    By largest remainders, so that totals stay; what earlier periods gave a new code too much or too little
    counts, and ties go by code. NaN where a part of weight is NaN.
    """
    pairs = sparse.coo_array(matrix)
    to, of = pairs.coords
    order = np.lexsort((codes.to_numpy(str)[to], of))
    to, of, share = to[order], of[order], pairs.data[order]
    sums = np.bincount(of, share, matrix.shape[1])
    starts = np.searchsorted(of, of)
    part = share / sums[of]
    kept = np.where(np.abs(sums - 1.0) <= ROUNDED * (1 + 1e-9), 1.0, sums)
    given = np.zeros((to.size, cube.shape[1]))
    out = np.where(np.isnan(_times(matrix, cube)), np.nan, 0.0)
    for t in range(cube.shape[2]):
        for k in range(cube.shape[1]):
            whole = np.round(np.nan_to_num(cube[:, k, t]) * kept)
            due = part * whole[of]
            least = np.floor(due + 1e-9)
            owed = np.round(given[:, k] + due - least, 9)
            rest = whole - np.bincount(of, least, whole.size)
            rank = np.lexsort((-owed, of))
            place = np.empty(to.size)
            place[rank] = np.arange(to.size) - starts[rank]
            got = least + (place < rest[of] - 0.5)
            given[:, k] += due - got
            out[:, k, t] += np.bincount(to, got, matrix.shape[0])
    return out


def _sums(panel: Panel, matrix: sparse.csr_array, t: int, codes: pd.Index) -> dict[str, np.ndarray]:
    """Figures of the periods before one on new codes, the worst status of the parts for the whole.

    Parts without exposure add their events, if any, and nothing else.
    """
    observed, exposure, status = (
        getattr(panel, name)[:, :, :t] for name in ("observed", "exposure", "status")
    )
    is_value, is_share = (
        np.array([each.family == name for each in panel.indicators]) for name in ("gaussian", "binomial")
    )
    fine = (status == _OK) | (status == _NO_EXPOSURE)
    count, out_of = np.where(fine, observed, 0.0), np.where(fine, exposure, 0.0)
    size, figures = _times(matrix, out_of), np.empty((matrix.shape[0], *status.shape[1:]))
    figures[:, ~is_value] = _whole(matrix, count[:, ~is_value], codes)
    others = _whole(matrix, (out_of - count)[:, is_share], codes)
    size[:, is_share] = figures[:, is_share] + others
    with np.errstate(divide="ignore", invalid="ignore"):
        figures[:, is_value] = _times(matrix, (count * out_of)[:, is_value]) / size[:, is_value]
    some_ok = _times(matrix, (status == _OK).astype(float)) > 0
    found = np.full(figures.shape, _OK, status.dtype)
    for worst in range(len(STATUSES) - 1, 0, -1):
        some = _times(matrix, (status == worst).astype(float)) > 0
        if worst == _NO_EXPOSURE:
            some &= ~some_ok
        found = np.where(some, worst, found).astype(status.dtype)
    none = np.asarray(matrix.sum(axis=1)).ravel() <= 0
    found[none] = _MISSING
    known = found == _OK
    return {
        "observed": np.where(known, figures, np.nan), "exposure": np.where(known, size, np.nan),
        "status": found,
    }  # fmt: skip
