"""Exposures put beside the figures of records, and what is said where the two do not fit."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from zoo_geo.errors import InputError, examples
from zoo_geo.notices import Notice, count, which
from zoo_geo.panel import ALL

KEYS = ["area", "period"]
_KEPT = ["observed", "contributors", "largest", "second_largest"]


def with_exposure(cells: pd.DataFrame, exposure: pd.DataFrame) -> tuple[pd.DataFrame, list[Notice]]:
    """Put exposures beside figures; an exposure without records means that nobody was recorded.

    Parameters
    ----------
    cells
        Columns area, period, observed, contributors, largest, second_largest.
    exposure
        Columns area, exposure and, unless it holds for all periods, period.

    Returns
    -------
    cells : pd.DataFrame
        The same with exposure, and a row of zeros for every exposure without records.
    notices : list of Notice
        Periods without any exposure, and exposures of 0, one sentence each.

    Raises
    ------
    InputError
        No figure gets an exposure.
    """
    given = exposure.dropna(subset=["exposure"])
    if not len(given):
        raise InputError(f"exposure needs to have rows with a number; got none (0 of {len(exposure):,}).")
    periods = list(dict.fromkeys(cells["period"]))
    if "period" in given:
        periods = periods or list(dict.fromkeys(given["period"]))
        out_of = given[given["period"].isin(periods)]
    else:
        out_of = given.merge(pd.DataFrame({"period": periods or [ALL]}), how="cross")
    whole = cells.merge(out_of[[*KEYS, "exposure"]], on=KEYS, how="outer")
    nobody = whole["contributors"].isna()
    if len(cells) and whole.loc[~nobody, "exposure"].isna().all():
        raise InputError(_nothing_fits(cells, given))
    whole.loc[nobody, _KEPT] = 0.0
    return whole, list(_lacking(cells, whole))


def _nothing_fits(cells: pd.DataFrame, given: pd.DataFrame) -> str:
    """Say in what records and exposure differ."""
    need = "exposure needs to have areas and periods of the records; got none of them"
    if "period" in given and not given["period"].isin(cells["period"]).any():
        hint = " Let query and exposure call periods the same."
        if (cells["period"] == ALL).all():
            hint = " Return AS period in the query, or give an exposure without periods."
        return f"{need}: {_both('periods', cells['period'], given['period'])}.{hint}"
    if not given["area"].isin(cells["area"]).any():
        both = _both("areas", cells["area"], given["area"])
        return f"{need}: {both}. Codes need to be of the same level and year, with their leading zeros."
    return f"{need}, though some of their areas, in other periods."


def _both(what: str, ours: pd.Series, theirs: pd.Series) -> str:
    """Name the keys of records and those of the exposure."""
    sides = [examples(sorted(set(each))) for each in (ours, theirs)]
    return f"records have {what} ({sides[0]}), the exposure has ({sides[1]})"


def _lacking(cells: pd.DataFrame, whole: pd.DataFrame) -> Iterator[Notice]:
    """Yield what has no figure for want of an exposure."""
    known = set(whole.loc[whole["exposure"].notna(), "period"])
    periods = sorted(set(cells["period"]))
    without = [period for period in periods if period not in known]
    if without:
        en, nl = (tell(without, len(periods), 12) for tell in (examples, which))
        yield Notice(
            f"periods without any exposure have no figures ({en}).",
            f"perioden zonder enige noemer hebben geen cijfers ({nl}).",
        )
    zero = whole.loc[whole["exposure"] == 0].sort_values(KEYS)
    if len(zero):
        en, nl = (tell(dict.fromkeys(zero["area"])) for tell in (examples, which))
        yield Notice(
            f"exposure is 0 in {len(zero):,} of {len(whole):,} cells, which have no figures (areas: {en}).",
            f"de noemer is 0 in {count(len(zero))} van {count(len(whole))} cellen; die hebben geen cijfers "
            f"(gebieden: {nl}).",
        )
