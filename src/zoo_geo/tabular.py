"""Tables from files: csv as Dutch and English programs write it, and parquet."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from zoo_geo.errors import InputError, Problems, examples

_SEPARATORS = (",", ";", "\t")
DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")
_DOTTED = re.compile(r"[-+]?\d*(?:\.\d+)+")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+")
_NO_VALUE = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")


def read_table(
    path: str | Path,
    text: Iterable[str] | Callable[[str], bool] = (),
    figures: Iterable[str] | None = None,
) -> pd.DataFrame:
    """Read a table of figures.

    In csv the separator (comma, semicolon or tab) is told by the header; where it is no comma, numbers
    may have a decimal comma, and dots that may mark thousands (1.445) are refused. Cells that are empty
    or say NA are missing.

    Parameters
    ----------
    path
        A .csv (UTF-8) or .parquet file.
    text
        Columns that stay text as they are written, such as codes and periods: 0014 is not 14. Or what says
        of a name whether it is one of them.
    figures
        Columns of numbers that will be used; all when not given.

    Raises
    ------
    InputError
        The file is not readable as what its name says, or its numbers can be read in two ways.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        is_text = text if callable(text) else set(text).__contains__
        return _read_csv(path, is_text, None if figures is None else set(figures))
    except UnicodeDecodeError:
        raise InputError(f"{path.name} needs to be UTF-8; got other bytes. Save it as 'CSV UTF-8'.") from None
    except (OSError, ValueError, ImportError, pd.errors.ParserWarning) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path.name} needs to be a readable table; got an error: {reason}") from error


def _read_csv(path: Path, is_text: Callable[[str], bool], figures: set[str] | None) -> pd.DataFrame:
    """Read cells as text, then make numbers of the columns that hold nothing else."""
    separator, problems = _separator(path), Problems()
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows that are longer than the header
        table = pd.read_csv(
            path, sep=separator, dtype="str", encoding="utf-8-sig", keep_default_na=False, index_col=False
        )
    for name in table.columns:
        if is_text(name):
            table[name] = table[name].mask(table[name] == "")
        else:
            cells = table[name].str.strip()
            if separator != "," and (figures is None or name in figures):
                check_thousands(cells, f"{path.name}: column {name!r}", problems)
            table[name] = _numbers(cells.mask(cells.isin(_NO_VALUE)), decimal_comma=separator != ",")
    problems.raise_if_any()
    return table


def check_thousands(cells: pd.Series, what: str, problems: Problems) -> None:
    """Note dots that may mark thousands; they are decimals where some have no three digits behind them."""
    dotted, marked = (cells.str.fullmatch(form).to_numpy(bool) for form in (_DOTTED, _THOUSANDS))
    where = np.flatnonzero(marked)
    several = (cells.iloc[where].str.count(r"\.") > 1).any()
    decimals = (dotted & ~marked).any() and not cells.str.contains(",", regex=False).any()
    if len(where) and (several or not decimals):
        shown = [f"{cells.iloc[at]} in data row {at + 1}" for at in where]
        plain = cells.iloc[where[0]].replace(".", "")
        problems.add(
            f"{what} needs to be numbers without thousands dots; got dots that may mark thousands "
            f"({examples(shown, len(cells))}). Write {plain}, or a decimal comma where a fraction is meant."
        )


def _separator(path: Path) -> str:
    """Return what separates the names of the header; repeated names are refused."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
    separator = max(_SEPARATORS, key=header.count)
    names = next(csv.reader([header], delimiter=separator), [])
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"names of columns need to differ; got {', '.join(repeated)} more than once")
    return separator


def _numbers(cells: pd.Series, *, decimal_comma: bool) -> pd.Series:
    if decimal_comma:
        with_comma = cells.str.fullmatch(DECIMAL_COMMA).fillna(False).astype(bool)
        cells = cells.mask(with_comma, cells.str.replace(",", "."))
    numbers = pd.to_numeric(cells, errors="coerce")
    return cells if (numbers.isna() & cells.notna()).any() else numbers
