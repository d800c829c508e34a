"""One query over records into cells of area and period: figures, contributors, largest contributions.

Totals are exact whatever the order of the records and the number of threads: numbers are added as whole
steps of 2 to the power -40 (a millionth of a millionth), which no order of additions changes.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from zoo_geo.errors import InputError, Problems
from zoo_geo.notices import Notice, count
from zoo_geo.panel import ALL
from zoo_geo.records import INTEGERS, NUMBERS, Records
from zoo_geo.sql_guard import rows_of
from zoo_geo.strict import nearest

_VIEW = "zoo_geo_records"
_STEP = 2**40
_BLANKS = " \t\n\r\f\v\u00a0"
_NAMES = ("area", "period", "unit", "value", "branch")
_TYPES: dict[str, tuple[tuple[str, ...], str]] = {
    "area": (("VARCHAR",), "text, as numbers lose leading zeros"),
    "period": (("VARCHAR", "DATE", *INTEGERS), "a whole number, a date or text"),
    "unit": (("VARCHAR", "UUID", *INTEGERS), "text, a whole number or a keyed code"),
    "value": (("BOOLEAN", *NUMBERS), "a number, or true and false"),
    "branch": (("VARCHAR", *INTEGERS), "text or a whole number"),
}
"""Types that each column of a query may have, and the same in words."""

_ALLOWED = {"count_units": "1", "share": "0, 1"}


class Cells(NamedTuple):
    """What one query gives.

    Parameters
    ----------
    cells
        Columns area, period, observed, contributors, largest, second_largest.
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
    notices: tuple[Notice, ...]


class Grouped:
    """Which records were grouped by unit before, and had no unit twice in a cell.

    Other queries over them need no such grouping, which is most of the work: a register of persons is grouped
    once, however many of its figures are asked for.
    """

    def __init__(self) -> None:
        self._single = set[tuple[str, str]]()

    def once(self, sql: str) -> bool:
        """Say whether a query is known to give a unit once at most in every cell."""
        rows = rows_of(sql)
        return rows is not None and not {rows, (rows[0], "")}.isdisjoint(self._single)

    def learn(self, sql: str) -> None:
        """Note that a query gives every unit once in a cell."""
        if rows := rows_of(sql):
            self._single.add(rows)


def aggregate_query(records: Records, sql: str, aggregate: str, grouped: Grouped | None = None) -> Cells:
    """Run a query that `check_query` let pass and aggregate its records.

    Parameters
    ----------
    grouped
        What is known of queries of the same run; added to.

    Raises
    ------
    InputError
        Columns are missing, unknown or of a wrong type; values are not what the aggregate needs; the query
        fails, or takes more time or memory than it may.
    """
    columns, grouped = _described(records, sql), Grouped() if grouped is None else grouped
    once = grouped.once(sql)
    found, trim = _run(records, aggregate, columns, ["area", "period"], once=once)
    counts = _counted(records, aggregate, columns, trim)
    _check_values(counts, aggregate)
    if not (trim or counts["value"]) and found["contributors"].sum() == found["records"].sum():
        grouped.learn(sql)
    notices, branches = _left_out(counts), None
    if "branch" in columns:
        split, _ = _run(records, aggregate, columns, ["area", "period", "branch"], trim, once=once)
        branches = _tidy(split, ["area", "period", "branch"], aggregate)
        if counts["branch"]:
            some, total = counts["branch"], counts["records"]
            notices.append(
                Notice(
                    f"{some:,} of {total:,} records have no branch; they count in the cell, and in no "
                    "branch.",
                    f"{count(some)} van {count(total)} records hebben geen branche; ze tellen mee in de "
                    "cel, en "
                    "in geen branche.",
                )
            )
    return Cells(_tidy(found, ["area", "period"], aggregate), branches, "period" in columns, tuple(notices))


def explain_query(records: Records, sql: str, aggregate: str) -> None:
    """Check a query by its columns and plan, without running it.

    Raises
    ------
    InputError
        As `aggregate_query`, for what shows without records.
    """
    columns = _described(records, sql)
    records.run(f"EXPLAIN {_sql(aggregate, columns, ['area', 'period'], trim=True)}")


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
        elif "UUID" in dtype and name != "unit":
            problems.add(
                f"column {name} needs to be {_TYPES[name][1]}; got {dtype}, as a keyed code "
                "of a person is. Such a code can be the unit, and no area, period, value or branch."
            )
        elif dtype.partition("(")[0] not in _TYPES[name][0]:
            problems.add(f"column {name} needs to be {_TYPES[name][1]}; got {dtype}. CAST it.")
    problems.raise_if_any()
    return columns


def _sql(aggregate: str, columns: dict[str, str], keys: list[str], *, trim: bool, once: bool = False) -> str:
    """Return SQL that brings complete records to units (`once`: they are units), and units to cells."""
    listed, complete = ", ".join(keys), [*keys, "unit", "value"]
    known = " AND ".join(f"{name} IS NOT NULL" for name in complete)
    whole = columns.get("value", "BIGINT").partition("(")[0] in ("BOOLEAN", *INTEGERS)
    exact = "CAST(value AS HUGEINT)" if whole else f"CAST(round(CAST(value AS DOUBLE) * {_STEP}) AS HUGEINT)"
    total, highest, number = (exact, "value", "1") if once else (f"sum({exact})", "max(value)", "count(*)")
    own_mean = f"CAST({total} AS DOUBLE) / {number}{f' * {_STEP}' if whole else ''}"
    total = {
        "count_units": "1",
        "share": f"CAST({highest} AS BIGINT)",
        "sum": total,
        "mean": f"CAST(round({own_mean}) AS HUGEINT)",
    }[aggregate]
    counted = aggregate in _ALLOWED
    scale = 1 if counted or (aggregate == "sum" and whole) else _STEP
    largest = [f"CAST(coalesce(max(abs(total), 2)[{nth}], 0) AS DOUBLE) / {scale}" for nth in (1, 2)]
    if counted:
        largest = ["1.0", "CAST(count(*) > 1 AS DOUBLE)"]
    group = "" if once else f"GROUP BY {listed}, unit"
    return f"""
        WITH records AS ({_records_sql(columns, complete, trim)}),
        units AS (SELECT {listed}, {total} AS total, {number} AS n FROM records WHERE {known} {group})
        SELECT {listed}, sum(n) AS records, count(*) AS contributors,
            CAST(sum(total) AS DOUBLE) / {scale} AS total,
            {largest[0]} AS largest, {largest[1]} AS second_largest
        FROM units GROUP BY {listed}"""


def _records_sql(columns: dict[str, str], names: list[str], trim: bool) -> str:
    return f"SELECT {', '.join(f'{_column(name, columns, trim)} AS {name}' for name in names)} FROM {_VIEW}"


def _column(name: str, columns: dict[str, str], trim: bool) -> str:
    """Return SQL for a column of the query: blank text and endless numbers are none."""
    if name not in columns:
        return {"period": f"'{ALL}'", "value": "1"}.get(name, "NULL")
    dtype = columns[name]
    if name == "value":
        if dtype in ("DOUBLE", "FLOAT"):
            return "CASE WHEN isfinite(value) THEN value END"
        return "CAST(value AS TINYINT)" if dtype == "BOOLEAN" else "value"
    return (
        f"nullif(trim({name}, '{_BLANKS}'), '')" if dtype == "VARCHAR" and (trim or name == "unit") else name
    )


def _run(
    records: Records,
    aggregate: str,
    columns: dict[str, str],
    keys: list[str],
    trim: bool = False,
    *,
    once: bool,
) -> tuple[pd.DataFrame, bool]:
    """Run the aggregation; return its rows, keys as text, and whether blanks had to be taken off.

    Blanks are rare, and taking them off every record takes time: so this is done where they show.
    """
    table = records.run(_sql(aggregate, columns, keys, trim=trim, once=once)).df()
    for name in keys:
        table[name] = _as_text(table[name])
    if not trim and any(text != text.strip() or not text for name in keys for text in set(table[name])):
        return _run(records, aggregate, columns, keys, trim=True, once=False)
    return table, trim


def _counted(records: Records, aggregate: str, columns: dict[str, str], trim: bool) -> dict[str, int]:
    """Count records, those that lack something, and those with a value that the aggregate cannot have."""
    names = [*_NAMES[:4], *(["branch"] if "branch" in columns else [])]
    lacking = [f"count(*) FILTER ({name} IS NULL)" for name in names]
    odd = f"count(*) FILTER (value NOT IN ({_ALLOWED[aggregate]}))" if aggregate in _ALLOWED else "0"
    sql = f"SELECT count(*), {odd}, {', '.join(lacking)} FROM ({_records_sql(columns, names, trim)})"
    row = records.run(sql).fetchone()
    assert row is not None
    return dict(zip(("records", "odd", *names), map(int, row), strict=True))


def _as_text(values: pd.Series) -> pd.Series:
    """Return keys as text: 2023 for whole numbers, days for dates."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.strftime("%Y-%m-%d").astype(object)
    if pd.api.types.is_float_dtype(values):  # whole numbers of which some are missing
        return values.map(lambda number: f"{number:.0f}", na_action="ignore").astype(object)
    return values.map(str, na_action="ignore").astype(object)


def _check_values(counts: dict[str, int], aggregate: str) -> None:
    """Refuse values other than those that a count or share is made of."""
    if counts["odd"]:
        need = {"count_units": "1 (or left out)", "share": "0 or 1"}[aggregate]
        raise InputError(
            f"column value needs to be {need} for aggregate {aggregate}; got others ({counts['odd']:,} of "
            f"{counts['records']:,} records). Use share, sum or mean, or choose records with WHERE."
        )


def _left_out(counts: dict[str, int]) -> list[Notice]:
    """Say how many records are not in any figure, and why."""
    names = {"area": "gebied", "period": "periode", "unit": "eenheid", "value": "waarde"}
    total = counts["records"]
    return [
        Notice(
            f"{counts[name]:,} of {total:,} records have no {name} and were left out.",
            f"{count(counts[name])} van {count(total)} records hebben geen {naam} en zijn weggelaten.",
        )
        for name, naam in names.items()
        if counts[name]
    ]


def _tidy(found: pd.DataFrame, keys: list[str], aggregate: str) -> pd.DataFrame:
    """Return the cells, sorted."""
    cells = found.sort_values(keys, kind="stable").reset_index(drop=True)
    total, size = cells["total"].to_numpy(float), cells["contributors"].to_numpy()
    observed = total / size if aggregate == "mean" else total
    return cells.assign(observed=observed)[[*keys, "observed", "contributors", "largest", "second_largest"]]
