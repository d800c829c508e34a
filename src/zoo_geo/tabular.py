"""Tables from files: csv as Dutch and English programs write it, and parquet."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from zoo_geo.errors import InputError

_SEPARATORS = (",", ";", "\t")
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")
_NO_VALUE = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")


def read_table(path: str | Path, text: Iterable[str] = ()) -> pd.DataFrame:
    """Read a table of figures.

    In csv the separator (comma, semicolon or tab) is told by the header; where it is no comma, numbers
    may have a decimal comma. Cells that are empty or say NA are missing.

    Parameters
    ----------
    path
        A .csv (UTF-8) or .parquet file.
    text
        Columns that stay text as they are written, such as codes and periods: 0014 is not 14.

    Raises
    ------
    InputError
        The file is not readable as what its name says.
    """
    path = Path(path)
    try:
        return pd.read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path, set(text))
    except UnicodeDecodeError:
        raise InputError(f"{path.name} needs to be UTF-8; got other bytes. Save it as 'CSV UTF-8'.") from None
    except (OSError, ValueError, ImportError, pd.errors.ParserWarning) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path.name} needs to be a readable table; got an error: {reason}") from error


def _read_csv(path: Path, text: set[str]) -> pd.DataFrame:
    """Read cells as text, then make numbers of the columns that hold nothing else."""
    separator = _separator(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows that are longer than the header
        table = pd.read_csv(
            path, sep=separator, dtype="str", encoding="utf-8-sig", keep_default_na=False, index_col=False
        )
    for name in table.columns:
        if name in text:
            table[name] = table[name].mask(table[name] == "")
        else:
            cells = table[name].str.strip()
            table[name] = _numbers(cells.mask(cells.isin(_NO_VALUE)), decimal_comma=separator != ",")
    return table


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
        with_comma = cells.str.fullmatch(_DECIMAL_COMMA).fillna(False).astype(bool)
        cells = cells.mask(with_comma, cells.str.replace(",", "."))
    numbers = pd.to_numeric(cells, errors="coerce")
    return cells if (numbers.isna() & cells.notna()).any() else numbers
