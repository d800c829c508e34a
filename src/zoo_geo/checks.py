"""Checks at the border that more than one reader makes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from zoo_geo.errors import Problems, examples


def row_labels(where: np.ndarray, codes: np.ndarray) -> list[str]:
    """Name rows of a table, counted from 1: ``data row 3 (BU00010203)``.

    Parameters
    ----------
    where
        Positions of the rows, from 0.
    codes
        The area code of every row of the table; an empty or missing one is left out of the label.
    """
    named = zip((np.asarray(where) + 1).tolist(), codes[where].tolist(), strict=True)
    return [
        f"data row {row} ({code})" if isinstance(code, str) and code else f"data row {row}"
        for row, code in named
    ]


_SAME = (("alternative", "direction"), ("greater", "high"), ("less", "low"), ("two-sided", "both"))
"""Words of tests of one area, and of scans, for the same thing."""


def meant(word: object, known: Iterable[object]) -> str | None:
    """Return the word that the place at hand has for what another one calls differently."""
    there = list(known)
    both = (pair[::-1] if word == pair[1] else pair for pair in _SAME if word in pair)
    return next((other for _, other in both if other in there), None)


def nearest_name(name: object, known: Iterable[object]) -> str:
    """Return a hint that names the nearest known name, or nothing."""
    close = difflib.get_close_matches(str(name), [str(other) for other in known], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def check_columns(named: Iterable[str], columns: Iterable[object], problems: Problems) -> bool:
    """Note the columns that a call names and the table lacks; say whether all of them are there.

    Raises
    ------
    InputError
        A column that is named stands in the table twice, so that nothing can be read.
    """
    wanted, present = list(dict.fromkeys(named)), list(columns)
    twice = [name for name in wanted if present.count(name) > 1]
    if twice:
        problems.add(
            f"columns need to have names of their own; got the same ({examples(twice, len(present))})."
        )
        problems.raise_if_any()
    absent = [name for name in wanted if name not in present]
    listed = ", ".join(map(str, present[:40])) + (", ..." if len(present) > 40 else "")
    for name in absent:
        problems.add(f"column {name!r} needs to be in the table; got {listed}.{nearest_name(name, present)}")
    return not absent


def text_codes(
    values: pd.Series, what: str, problems: Problems, rows: Sequence[str] | None = None
) -> pd.Series:
    """Return codes as text without blanks around them, and note those that are missing or no text.

    Parameters
    ----------
    values
        A column of codes, shape (n_rows,).
    what
        The name of the codes in messages, e.g. ``area codes (column 'buurtcode')``.
    problems
        Takes what is wrong.
    rows
        Labels of the rows in messages; numbers when not given.

    Returns
    -------
    pd.Series
        Text on a fresh index; an empty string where there is no code.
    """
    at, known = pd.factorize(values)
    if pd.api.types.infer_dtype(known, skipna=True) not in ("string", "empty"):
        _note_not_text(values, what, problems)
    clean = np.array([*(str(code).strip() for code in known), ""], dtype=object)
    codes = pd.Series(clean[at])
    blank = np.flatnonzero(codes == "").tolist()
    if blank:
        labels = [rows[at] for at in blank] if rows else [f"data row {at + 1}" for at in blank]
        problems.add(f"{what} need to be given in every row; got none ({examples(labels, len(codes))}).")
    return codes


def _note_not_text(values: pd.Series, what: str, problems: Problems) -> None:
    """Note codes that are numbers or anything else that is not text."""
    wrong = [value for value in values.dropna() if not isinstance(value, str)]
    if wrong:
        problems.add(
            f"{what} need to be text; got {type(wrong[0]).__name__} ({examples(wrong, len(values))}). "
            "Numbers lose leading zeros (0014 becomes 14): read the column as text."
        )
