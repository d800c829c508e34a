"""One query over records into cells of area and period: figures, contributors, largest contributions.

Totals are exact whatever the order of the records and the number of threads: numbers are added as whole
steps of 2 to the power -40 (a millionth of a millionth), which no order of additions changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from zoo_geo.errors import InputError, Problems
from zoo_geo.panel import ALL
from zoo_geo.records import Records
from zoo_geo.strict import nearest

_VIEW = "zoo_geo_records"
_STEP = 2**40
_NAMES = ("area", "period", "unit", "value", "branch")
_INTEGERS = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT",
    "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
)  # fmt: skip
_TYPES: dict[str, tuple[tuple[str, ...], str]] = {
    "area": (("VARCHAR",), "text, as numbers lose leading zeros"),
    "period": (("VARCHAR", "DATE", *_INTEGERS), "a whole number, a date or text"),
    "unit": (("VARCHAR", "UUID", *_INTEGERS), "text, a whole number or a keyed code"),
    "value": (("BOOLEAN", "DOUBLE", "FLOAT", "DECIMAL", *_INTEGERS), "a number, or true and false"),
    "branch": (("VARCHAR", *_INTEGERS), "text or a whole number"),
}
"""Types that each column of a query may have, and the same in words."""

_ALLOWED = {"count_units": "1", "share": "0, 1"}


class Cells(NamedTuple):
    """What one query gives.

    Parameters
    ----------
    cells
        Columns area, period, observed, contributors, largest, second_largest, records.
    branches
        The same with branch; None where the query has none.
    dated
        Whether the query has a period.
    notices
        What was left out.
    """

    cells: pd.DataFrame
    branches: pd.DataFrame | None
    dated: bool
    notices: tuple[str, ...]


def aggregate_query(records: Records, sql: str, aggregate: str) -> Cells:
    """Run a query that `check_query` let pass and aggregate its records.

    Raises
    ------
    InputError
        Columns are missing, unknown or of a wrong type; values are not what the aggregate needs; the query
        fails, or takes more time or memory than it may.
    """
    columns = _described(records, sql)
    found = _run(records, aggregate, columns, by_branch=False)
    _check_values(found, aggregate)
    branches = None
    notices = _left_out(found)
    if "branch" in columns:
        split = _run(records, aggregate, columns, by_branch=True)
        without = int(split.loc[split["branch"].isna(), "records"].sum())
        branches = _tidy(split[split["branch"].notna()], ["area", "period", "branch"], aggregate)
        if without:
            notices.append(f"{without:,} records have no branch; they count in the cell, and in no branch.")
    cells = _tidy(found, ["area", "period"], aggregate)
    return Cells(cells, branches, "period" in columns, tuple(notices))


def explain_query(records: Records, sql: str, aggregate: str) -> None:
    """Check a query by its columns and plan, without running it.

    Raises
    ------
    InputError
        As `aggregate_query`, for what shows without records.
    """
    columns = _described(records, sql)
    records.run(f"EXPLAIN {_sql(aggregate, columns, by_branch=False)}")


def _described(records: Records, sql: str) -> dict[str, str]:
    """Make the query a view and return its columns and their types, checked."""
    records.run(f"CREATE OR REPLACE TEMP VIEW {_VIEW} AS\n{sql}")
    rows = records.run(f"DESCRIBE {_VIEW}").fetchall()
    columns = {str(row[0]).lower(): str(row[1]) for row in rows}
    problems = Problems()
    for name in ("area", "unit"):
        if name not in columns:
            hint = nearest(name, columns)
            problems.add(f"query needs to return a column {name}; got none.{hint} Write AS {name} behind it.")
    for name, dtype in columns.items():
        if name not in _NAMES:
            hint = nearest(name, _NAMES, rest=False)
            problems.add(f"query needs to return {', '.join(_NAMES)} only; got {name}.{hint}")
        elif dtype.partition("(")[0] not in _TYPES[name][0]:
            problems.add(f"column {name} needs to be {_TYPES[name][1]}; got {dtype}. CAST it.")
    problems.raise_if_any()
    return columns


def _sql(aggregate: str, columns: dict[str, str], *, by_branch: bool, trim: bool = True) -> str:
    """Return SQL that brings records to units, and units to cells.

    What is missing stays in groups of its own, so that one pass also counts what is left out.
    """
    keys = ["area", "period", *(["branch"] if by_branch else [])]
    chosen = ", ".join(f"{_column(name, columns, trim)} AS {name}" for name in [*keys, "unit", "value"])
    listed = ", ".join(keys)
    steps = "CAST(round(CAST(value AS DOUBLE) * {step}) AS HUGEINT)"
    whole = columns.get("value", "BIGINT").partition("(")[0] in ("BOOLEAN", *_INTEGERS)
    exact = "CAST(value AS HUGEINT)" if whole else steps.format(step=_STEP)
    own_mean = f"CAST(sum({exact}) AS DOUBLE) / count(value){f' * {_STEP}' if whole else ''}"
    total = {
        "count_units": "1",
        "share": "CAST(max(value) <> 0 AS BIGINT)",
        "sum": f"sum({exact})",
        "mean": f"CAST(round({own_mean}) AS HUGEINT)",
    }[aggregate]
    scale = 1 if aggregate in ("count_units", "share") or (aggregate == "sum" and whole) else _STEP
    odd = f"count(*) FILTER (value NOT IN ({_ALLOWED[aggregate]}))" if aggregate in _ALLOWED else "0"
    known = "unit IS NOT NULL AND n_value > 0"
    top = f"list_transform(max(abs(total), 2) FILTER ({known}), lambda t: CAST(t AS DOUBLE) / {scale})"
    if aggregate in _ALLOWED:
        top = "[1.0, 1.0]"
    return f"""
        WITH records AS (SELECT {chosen} FROM {_VIEW}),
        units AS (
            SELECT {listed}, unit, count(*) AS n, count(value) AS n_value, {odd} AS n_odd, {total} AS total
            FROM records GROUP BY ALL
        )
        SELECT {listed}, CAST(sum(n) AS BIGINT) AS records,
            CAST(coalesce(sum(n) FILTER (unit IS NULL), 0) AS BIGINT) AS no_unit,
            CAST(sum(n - n_value) AS BIGINT) AS no_value, CAST(sum(n_odd) AS BIGINT) AS odd,
            count(*) FILTER ({known}) AS contributors,
            CAST(sum(total) FILTER ({known}) AS DOUBLE) / {scale} AS total, {top} AS top
        FROM units GROUP BY {listed}"""


def _column(name: str, columns: dict[str, str], trim: bool) -> str:
    """Return SQL for a column of the query: blank text and endless numbers are none."""
    if name not in columns:
        return {"period": f"'{ALL}'", "value": "1"}[name]
    dtype = columns[name]
    if name == "value":
        if dtype in ("DOUBLE", "FLOAT"):
            return "CASE WHEN isfinite(value) THEN value END"
        return "CAST(value AS TINYINT)" if dtype == "BOOLEAN" else "value"
    return f"nullif(trim({name}), '')" if dtype == "VARCHAR" and (trim or name == "unit") else name


def _run(records: Records, aggregate: str, columns: dict[str, str], *, by_branch: bool) -> pd.DataFrame:
    """Run the aggregation and return its rows, keys as text."""
    for trim in (False, True):  # blanks are rare, and taking them off every record takes time
        table = records.run(_sql(aggregate, columns, by_branch=by_branch, trim=trim)).df()
        for name in ("area", "period", "branch"):
            if name in table:
                table[name] = _as_text(table[name])
        text = table[[name for name in ("area", "period", "branch") if name in table]]
        if not any(
            text[name].dropna().map(lambda each: each != each.strip() or not each).any() for name in text
        ):
            break
    return table


def _as_text(values: pd.Series) -> pd.Series:
    """Return keys as text: 2023 for whole numbers, days for dates."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.strftime("%Y-%m-%d").astype(object)
    if pd.api.types.is_float_dtype(values):  # whole numbers of which some are missing
        return values.map(lambda number: f"{number:.0f}", na_action="ignore").astype(object)
    return values.map(str, na_action="ignore").astype(object)


def _check_values(found: pd.DataFrame, aggregate: str) -> None:
    """Refuse values other than those that a count or share is made of."""
    odd, total = int(found["odd"].sum()), int(found["records"].sum())
    if odd:
        need = {"count_units": "1 (or left out)", "share": "0 or 1"}[aggregate]
        raise InputError(
            f"column value needs to be {need} for aggregate {aggregate}; got others ({odd:,} of {total:,} "
            "records). Use share, sum or mean, or choose records with WHERE."
        )


def _left_out(found: pd.DataFrame) -> list[str]:
    """Say how many records are not in any figure, and why."""
    total = int(found["records"].sum())
    counts = {
        "area": int(found.loc[found["area"].isna(), "records"].sum()),
        "period": int(found.loc[found["period"].isna(), "records"].sum()),
        "unit": int(found["no_unit"].sum()),
        "value": int(found["no_value"].sum()),
    }
    return [
        f"{count:,} of {total:,} records have no {name} and were left out."
        for name, count in counts.items()
        if count
    ]


def _tidy(found: pd.DataFrame, keys: list[str], aggregate: str) -> pd.DataFrame:
    """Return cells that have a figure, sorted."""
    known = found[found[["area", "period"]].notna().all(axis=1) & (found["contributors"] > 0)]
    known = known.sort_values(keys, kind="stable").reset_index(drop=True)
    size = known["contributors"].to_numpy()
    largest, second = (_nth(known["top"], at) * (size > at) for at in (0, 1))
    total = known["total"].to_numpy(float)
    observed = total / size if aggregate == "mean" else total
    figures = {"observed": observed, "contributors": size, "largest": largest, "second_largest": second}
    return known[keys].assign(**figures, records=known["records"])


def _nth(tops: pd.Series, at: int) -> np.ndarray:
    """Return one of the largest contributions of each cell; 0 where there are not so many."""
    return np.array(list(_items(tops, at)), dtype=float)


def _items(tops: pd.Series, at: int) -> Iterator[float]:
    for top in tops:
        yield float(top[at]) if len(top) > at else 0.0
