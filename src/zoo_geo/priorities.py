"""Which flags come first, and what the capacity leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zoo_geo.errors import InputError
from zoo_geo.flags import KEYS, Flags
from zoo_geo.notices import Notice, count


@dataclass(frozen=True, eq=False)
class Priority:
    """Flags in the order of follow-up.

    Parameters
    ----------
    frame
        The flags' columns with ``rank``, ``cost`` and ``selected``.
    left_out
        What the capacity leaves out, in words.
    """

    frame: pd.DataFrame
    left_out: str


def priority(
    flags: Flags,
    capacity: float = 20,
    cost: float | str | Mapping[str, float] | None = None,
    per: str | None = None,
    direction: str = "high",
) -> Priority:
    """Order flags by the lower bound of their excess, and say what the capacity reaches.

    Excesses of counts are one list. The excess of a value (gaussian) has a unit of its own and adds up
    with nothing: each such indicator is ordered by itself, and the lists are merged evenly.

    Parameters
    ----------
    flags
        Result of `flag`.
    capacity
        How much can be followed up, in units of ``cost`` (without it: how many flags).
    cost
        Of following up one flag: one number, a column of the flags, or a number per indicator.
    per
        Level of areas that each has this capacity, for example ``gemeente``; None for one in all.
    direction
        ``high`` or ``low``.

    Raises
    ------
    InputError
        Capacity or cost is not positive, or ``per`` is no column of the flags.
    """
    if direction not in ("high", "low"):
        raise InputError(f"direction needs to be 'high' or 'low'; got {direction!r}.")
    frame = flags.frame[flags.frame["direction"] == direction].copy()
    frame["cost"] = _cost(frame, cost)
    _check_priority(frame, capacity, per)
    frame = _ordered(frame)
    frame["rank"] = np.arange(1, len(frame) + 1)
    groups = frame.groupby(per, sort=False, dropna=False) if per else [("", frame)]
    chosen = [_within(rows["cost"], capacity) for _, rows in groups]
    frame["selected"] = pd.concat(chosen).reindex(frame.index) if chosen else pd.Series(dtype=bool)
    return Priority(frame, _left_out(frame, capacity, per))


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort by the near end of the excess per cost, units that cannot be compared merged evenly."""
    sure, cost = _sure(frame).fillna(-np.inf), frame["cost"]
    frame = frame.assign(_order=-np.where(sure > 0, sure / cost, sure * cost), _unit=_unit(frame))
    frame["_strength"] = -frame["z"].abs() if "z" in frame else 0.0  # combinations have no excess
    frame = frame.sort_values(["_order", "_strength", *KEYS], ignore_index=True)
    unit = frame.groupby("_unit")["_unit"]
    frame["_share"] = (unit.cumcount() + 0.5) / unit.transform("size")
    frame = frame.sort_values(["_share", "_order", "_strength", *KEYS], ignore_index=True)
    return frame.drop(columns=["_order", "_strength", "_unit", "_share"])


def _unit(frame: pd.DataFrame) -> pd.Series:
    """Name what an excess is counted in: events, or the unit of one indicator."""
    return frame["indicator"].astype(str).where(frame["family"] == "gaussian", "")


def _sure(frame: pd.DataFrame) -> pd.Series:
    """Excess of a high flag, or shortfall of a low one, at the near end of its interval."""
    shortfall = -frame["expected"] * (frame["ratio_high"] - 1.0)
    return frame["excess_low"].where(frame["direction"] == "high", shortfall)


def _cost(frame: pd.DataFrame, cost: float | str | Mapping[str, float] | None) -> pd.Series:
    if cost is None:
        return pd.Series(1.0, frame.index)
    if isinstance(cost, str):
        if cost not in frame:
            raise InputError(f"cost needs to be a column of the flags; got {cost!r}.")
        return frame[cost].astype(float)
    if isinstance(cost, Mapping):
        missing = sorted(set(frame["indicator"]) - set(cost))
        if missing:
            raise InputError(f"cost needs a number for every indicator; got none for {', '.join(missing)}.")
        return frame["indicator"].map(cost).astype(float)
    return pd.Series(float(cost), frame.index)


def _check_priority(frame: pd.DataFrame, capacity: float, per: str | None) -> None:
    if capacity <= 0:
        raise InputError(f"capacity needs to be above 0; got {capacity}.")
    if not (frame["cost"] > 0).all():
        raise InputError("cost needs to be above 0 for every flag.")
    if per is not None and per not in frame:
        raise InputError(f"per needs to be a column of the flags; got {per!r}. Pass areas= to flag.")


def _within(cost: pd.Series, capacity: float) -> pd.Series:
    """Take flags in order as long as they fit; one that does not fit lets smaller ones pass."""
    left, taken = capacity, []
    for each in cost:
        taken.append(each <= left + 1e-9)
        left -= each if taken[-1] else 0.0
    return pd.Series(taken, cost.index, dtype=bool)


def _left_out(frame: pd.DataFrame, capacity: float, per: str | None) -> Notice:
    out = frame[~frame["selected"]] if len(frame) else frame
    where = f" per {per}" if per else ""
    within, binnen = f"A capacity of {capacity:g}{where}", f"Een capaciteit van {capacity:g}{where}"
    if out.empty:
        all_of = f"bereikt alle {count(len(frame))} vlaggen"
        return Notice(f"{within} reaches all {len(frame):,} flags.", f"{binnen} {all_of}.")
    held = [_held(rows) for _, rows in out.groupby("indicator")]
    reached = len(frame) - len(out)
    return Notice(
        f"{within} reaches {reached:,} of {len(frame):,} flags; {len(out):,} are left out: "
        f"{'; '.join(held)}.",
        f"{binnen} bereikt {count(reached)} van {count(len(frame))} vlaggen; {count(len(out))} vallen "
        "erbuiten: "
        f"{'; '.join(each.nl for each in held)}.",
    )


def _held(rows: pd.DataFrame) -> Notice:
    """Say what the flags of one indicator hold that are left out; values do not add up."""
    n, indicator = len(rows), rows["indicator"].iloc[0]
    en, nl = f"{n:,} of {indicator}", f"{count(n)} van {indicator}"
    if (rows["family"] == "gaussian").all():
        return Notice(en, nl)
    high = rows["direction"].iloc[0] == "high"
    what, wat = ("excess", "te veel") if high else ("shortfall", "te weinig")
    least, excess = _sure(rows).clip(lower=0).sum(), abs(rows["excess"].sum())
    return Notice(
        f"{en} ({what} {excess:,.0f}, at the near ends of the intervals {least:,.0f})",
        f"{nl} ({count(excess)} {wat}, ten minste {count(least)} aan de veilige kant van de marges)",
    )
