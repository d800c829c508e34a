"""The CBS dialect: what codes and missing figures look like in tables of Statistics Netherlands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from zoo_geo.errors import examples
from zoo_geo.notices import Notice, count, which
from zoo_geo.schema import STATUSES

CODE_PATTERN = r"^(?:GM\d{4}|WK\d{4}[0-9A-Z]{2}|BU\d{4}[0-9A-Z]{4})$"
"""Codes of a gemeente, wijk or buurt; parts after the gemeente may hold letters."""

MISSING_CODES: dict[float, str] = {
    -99997.0: "secret",
    -99995.0: "missing",
    -99991.0: "missing",
    -99999999.0: "missing",
}
"""Code to status: secret or not present, in a later version, no longer published, no data."""

REASONS = ("ok", "secret", "later", "discontinued", "missing")
"""What a cell of a table of CBS is: a figure, or why there is none."""

MISSING_REASONS: dict[float, str] = {
    -99997.0: "secret",
    -99995.0: "later",
    -99991.0: "discontinued",
    -99999999.0: "missing",
}
"""Code to reason: secret or not present, published in a later release, no longer published, no data."""

LEAST_FIGURE = -99990.0
"""No figure lies below it: what does is a code, known or not."""

MISSING_TEXT = ("", ".")
"""What stands for no figure in text columns."""

WATER_COLUMNS = ("water", "h2o")
"""Names of the column that says whether an area is water, in lower case."""

WATER_VALUES = {"JA": True, "NEE": False, "B": False}
"""Values of that column; B is an area abroad."""

_WATER_CODE = r"^BU\d{4}999[78]$"


def is_code(codes: pd.Series | pd.Index) -> np.ndarray:
    """Say which codes are those of a gemeente, wijk or buurt, shape (n_codes,)."""
    return np.asarray(codes.str.match(CODE_PATTERN), dtype=bool)


def is_water_code(codes: pd.Series | pd.Index) -> np.ndarray:
    """Say which codes are those of the buurten that stand for inland water and sea, shape (n_codes,)."""
    return np.asarray(codes.str.match(_WATER_CODE), dtype=bool)


def missing_reason(values: np.ndarray) -> np.ndarray:
    """Say what each figure is: the index of its reason in `REASONS`.

    Parameters
    ----------
    values
        Figures as read, shape (n,); NaN and codes that nobody knows count as missing.
    """
    none = np.isnan(values) | (values < LEAST_FIGURE)
    reason = np.where(none, REASONS.index("missing"), 0).astype(np.int8)
    for code, name in MISSING_REASONS.items():
        reason[values == code] = REASONS.index(name)
    return reason


def missing_status(values: np.ndarray) -> np.ndarray:
    """Say what each figure is: 0 a figure, else the index of its status in ``schema.STATUSES``.

    Parameters
    ----------
    values
        Figures as read, shape (n,); NaN counts as missing.
    """
    status = np.where(np.isnan(values), STATUSES.index("missing"), 0).astype(np.int8)
    for code, name in MISSING_CODES.items():
        status[values == code] = STATUSES.index(name)
    return status


def absent(reasons: pd.DataFrame, release: int | None) -> Iterator[Notice]:
    """Say how many figures are absent, and why.

    Parameters
    ----------
    reasons
        Reason of each area and figure, one of ``REASONS``.
    release
        When the table came out, if that is known.
    """
    said = {
        "secret": ("are secret (or not present)", "zijn geheim (of bestaan niet)"),
        "later": (
            "are published in a later release" + (f" than {release}" if release else ""),
            "verschijnen in een latere levering" + (f" dan {release}" if release else ""),
        ),
        "discontinued": ("are no longer published at this level", "verschijnen niet meer op dit niveau"),
    }
    for reason, (words, woorden) in said.items():
        counts = (reasons == reason).sum()
        names = counts[counts > 0].sort_values(ascending=False, kind="stable")
        if len(names):
            total, en = int(names.sum()), examples(names.index, reasons.shape[1])
            yield Notice(
                f"{total:,} figures {words} ({en}).",
                f"{count(total)} cijfers {woorden} ({which(names.index, reasons.shape[1])}).",
            )
