"""Tables of areas that changed between periods, read and checked: code changes, or weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from zoo_geo.checks import check_columns, row_labels, text_codes
from zoo_geo.errors import Problems, examples
from zoo_geo.notices import Notice, count, which
from zoo_geo.panel import in_order, period_text

Unknown = Literal["error", "drop"]
UNCHANGED, RECODED, CHANGED = 1, 2, 3
"""Codes of CBS: link; look up the old code, then link; figures before are not comparable."""
CODES = ("period", "area", "change", "previous")
WEIGHTS = ("period", "old", "new", "weight")
ROUNDED = 1e-3
"""Weights of an old code may add up to this much more than one: tables are rounded."""


@dataclass(frozen=True, eq=False)
class Codes:
    """Code changes in order of time: number of the time, first period of the panel that each holds in."""

    step: np.ndarray
    first: np.ndarray
    area: np.ndarray
    change: np.ndarray
    previous: np.ndarray
    notices: tuple[Notice, ...]


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights in order of time: number of the time, first period of the panel that new codes hold in."""

    step: np.ndarray
    first: np.ndarray
    old: np.ndarray
    new: np.ndarray
    weight: np.ndarray
    notices: tuple[Notice, ...]


def read_codes(
    changes: pd.DataFrame,
    names: dict[str, str],
    periods: Sequence[str],
    known: Collection[str],
    last: Mapping[str, int],
    unknown_areas: Unknown,
) -> Codes:
    """Read a table of code changes for a panel of some periods and areas.

    Parameters
    ----------
    changes, names
        The table, and its column of each name of ours.
    periods
        Of the panel.
    known
        Codes that may stand in the table.
    last
        Last period, as a position, in which each code is in use.
    unknown_areas
        What to do with rows of other codes.

    Raises
    ------
    InputError
        One line per problem, all together.
    """
    problems = Problems()
    if not check_columns([names[name] for name in CODES[:3]], changes.columns, problems):
        problems.raise_if_any()
    area = text_codes(changes[names["area"]], f"areas (column {names['area']!r})", problems).to_numpy()
    change = pd.to_numeric(changes[names["change"]], errors="coerce").to_numpy(float, na_value=np.nan)
    _note(~np.isin(change, (1, 2, 3)), f"column {names['change']!r} needs to be 1, 2 or 3", area, problems)
    previous = np.full(area.size, "", dtype=object)
    if names["previous"] in changes:
        text = changes[names["previous"]]
        previous = text.where(text.notna(), "").astype(str).str.strip().replace(".", "").to_numpy(object)
    lost = (change == RECODED) & (previous == "")
    if lost.any() and names["previous"] not in changes:
        check_columns([names["previous"]], changes.columns, problems)
        problems.raise_if_any()
    _note(
        lost,
        f"column {names['previous']!r} needs to hold the old code of what was recoded (2)",
        area,
        problems,
    )
    when = period_text(changes[names["period"]], pd.Series(area), problems).to_numpy()
    keys = pd.DataFrame({"when": when, "area": area, "previous": previous})
    _note(
        keys.duplicated(["when", "area"]).to_numpy(),
        "rows need to be one per area and period",
        area,
        problems,
    )
    again = keys[(change == RECODED) & ~lost].duplicated(["when", "previous"])
    need = (
        f"column {names['previous']!r} needs to hold an old code once a period, as a split is a change of 3"
    )
    _note(again.reindex(keys.index, fill_value=False).to_numpy(), need, area, problems)
    same = (change == UNCHANGED) & (previous != "") & (previous != area)
    need = f"column {names['previous']!r} needs to be empty, or the code itself, for what is unchanged (1)"
    _note(same, need, area, problems)
    need = f"column {names['previous']!r} needs to be another code for what was recoded (2)"
    _note((change == RECODED) & (previous == area), need, area, problems)
    problems.raise_if_any()
    order, step, at, told = _first_periods(when, change != UNCHANGED, periods)
    absent, lost = _strange(area, change, previous, known)
    what = f"columns {names['area']!r} and {names['previous']!r}"
    kept = _known_only(absent[order], what, row_labels(order, area), problems, told, unknown_areas)
    what = f"column {names['previous']!r}"
    kept &= _known_only(lost[order], what, row_labels(order, previous), problems, told, unknown_areas)
    order, step, at = order[kept], step[kept], at[kept]
    _check_replaced(order, step, at, (area, change, previous), names["previous"], last, problems)
    problems.raise_if_any()
    return Codes(step, at, area[order], change[order].astype(int), previous[order], tuple(told))


def _strange(
    area: np.ndarray, change: np.ndarray, previous: np.ndarray, known: Collection[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of areas that nothing links to known ones, and others whose old code goes back to none."""
    linked = change == RECODED
    new, old = area[linked], previous[linked]
    reached = _reached(known, np.concatenate([new, old]), np.concatenate([old, new]))
    absent = ~np.isin(area, list(reached))
    return absent, linked & ~absent & ~np.isin(previous, list(_reached(known, old, new)))


def _check_replaced(
    order: np.ndarray,
    step: np.ndarray,
    at: np.ndarray,
    columns: tuple[np.ndarray, np.ndarray, np.ndarray],
    name: str,
    last: Mapping[str, int],
    problems: Problems,
) -> None:
    """Note old codes that another area still has: no code is of two areas, unless a change says how."""
    area, change, previous = columns
    anew = dict(zip(area[order], step.tolist(), strict=True))  # the latest change of each code
    wrong = np.array(
        [
            change[row] == RECODED
            and last.get(previous[row], -1) >= first
            and anew.get(previous[row], -1) < number
            for row, number, first in zip(order, step, at, strict=True)
        ],
        bool,
    )
    pairs = np.array(
        [f"{new} from {old}, still an area" for new, old in zip(area, previous, strict=True)], dtype=object
    )
    if wrong.any():
        which = examples(row_labels(order[wrong], pairs), area.size)
        problems.add(
            f"column {name!r} needs to hold codes that are of no area any more, unless that one is itself "
            f"recoded (2) or changed (3); got others ({which})."
        )


def read_weights(
    changes: pd.DataFrame,
    names: dict[str, str],
    periods: Sequence[str],
    known: Collection[str],
    unknown_areas: Unknown,
) -> Weights:
    """Read a table of weights for a panel of some periods and areas.

    Raises
    ------
    InputError
        One line per problem, all together.
    """
    problems = Problems()
    if not check_columns([names[name] for name in WEIGHTS], changes.columns, problems):
        problems.raise_if_any()
    old, new = (
        text_codes(changes[names[name]], f"codes (column {names[name]!r})", problems).to_numpy()
        for name in ("old", "new")
    )
    weight = pd.to_numeric(changes[names["weight"]], errors="coerce").to_numpy(float, na_value=np.nan)
    _note(
        ~((weight >= 0) & (weight <= 1 + ROUNDED)),
        f"column {names['weight']!r} needs to be between 0 and 1",
        old,
        problems,
    )
    when = period_text(changes[names["period"]], pd.Series(old), problems).to_numpy()
    keys = pd.DataFrame({"when": when, "old": old, "new": new, "weight": weight})
    again = keys.duplicated(["when", "old", "new"]).to_numpy()
    _note(again, "rows need to be one per period, old and new code", old, problems)
    sums = keys.groupby(["when", "old"])["weight"].transform("sum").to_numpy()
    heavy = (sums > 1 + ROUNDED) & ~keys.duplicated(["when", "old"]).to_numpy()
    _note(heavy, "weights of an old code need to add up to 1 at most", old, problems)
    problems.raise_if_any()
    order, step, at, told = _first_periods(when, np.ones(old.size, bool), periods)
    kept = np.ones(order.size, bool)
    for name, codes, others in (("old", old, new), ("new", new, old)):
        absent = ~np.isin(codes, list(_reached(known, codes, others)))[order] & kept
        what = f"column {names[name]!r}"
        kept &= _known_only(absent, what, row_labels(order, codes), problems, told, unknown_areas)
    problems.raise_if_any()
    order, step, at = order[kept], step[kept], at[kept]
    return Weights(step, at, old[order], new[order], weight[order], tuple(told))


def _note(wrong: np.ndarray, need: str, codes: np.ndarray, problems: Problems) -> None:
    """Note rows that are wrong."""
    rows = np.flatnonzero(wrong)
    if rows.size:
        problems.add(f"{need}; got others ({examples(row_labels(rows, codes), codes.size)}).")


def _reached(known: Collection[str], of: np.ndarray, to: np.ndarray) -> set[str]:
    """Return the codes that are known, and those that changes lead to from these."""
    reached, before = set(known), -1
    while len(reached) > before:
        before = len(reached)
        reached.update(to[np.isin(of, list(reached))])
    return reached


def _known_only(
    absent: np.ndarray,
    what: str,
    rows: Sequence[str],
    problems: Problems,
    told: list[Notice],
    unknown_areas: Unknown,
) -> np.ndarray:
    """Return which changes are of areas that are known, after noting or telling the others."""
    if absent.any():
        named = [row for row, yes in zip(rows, absent, strict=True) if yes]
        en, rows_nl = examples(named, absent.size), [each.replace("data row", "rij") for each in named]
        nl = which(rows_nl, absent.size)
        if unknown_areas == "error":
            problems.add(
                f"{what} need to hold areas of the panel or the map; got others ({en}). "
                'Mend the codes, or set unknown_areas = "drop" to leave these changes out.'
            )
        told.append(
            Notice(
                f"Changes of areas that are neither in the panel nor on the map were left out ({en}).",
                "Wijzigingen van gebieden die niet in de cijfers en niet op de kaart staan zijn "
                f"weggelaten ({nl}).",
            )
        )
    return ~absent


def _first_periods(
    when: np.ndarray, real: np.ndarray, periods: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Notice]]:
    """Put changes within the panel in order of time: rows, number of the time, first period of each.

    Says how many ``real`` changes are about other periods.
    """
    every = in_order({*periods, *when})
    rank = {period: place for place, period in enumerate(every)}
    of_panel = np.array([rank[period] for period in periods])
    place = np.array([rank[period] for period in when], dtype=int)
    order = np.argsort(place, kind="stable")
    order = order[real[order]]
    at = np.searchsorted(of_panel, place[order])
    inside = (at > 0) & (at < len(periods))
    told = list[Notice]()
    if not inside.all():
        outside = [every[k] for k in np.unique(place[order][~inside])]
        listed = ", ".join(outside[:3]) + ", ..." * (len(outside) > 3)
        some, total = int((~inside).sum()), inside.size
        told.append(
            Notice(
                f"{some:,} of {total:,} changes of areas are of periods that the panel has nothing before or "
                f"nothing from ({listed}): not needed.",
                f"{count(some)} van {count(total)} wijzigingen van gebieden horen bij perioden waarvoor of "
                f"waarna er geen cijfers zijn ({listed}): niet nodig.",
            )
        )
    return order[inside], place[order][inside], at[inside], told
