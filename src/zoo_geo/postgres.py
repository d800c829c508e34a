"""Tables of PostgreSQL as streams of Arrow, read-only; neither address nor password shows in a message."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zoo_geo.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

_AS_THEY_ARE = (
    "boolean", "smallint", "integer", "bigint", "real", "double precision", "text", "character varying",
    "date", "timestamp without time zone",
)  # fmt: skip
"""Types that DuckDB has too; numeric becomes double precision, all else text."""

_COLUMNS = """
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


@contextmanager
def reading(
    variable: str, table: str, columns: Collection[str] | None, dropped: Collection[str]
) -> Iterator[pa.RecordBatchReader]:
    """Yield the records of a table; columns that are not used are empty, and do not leave the server.

    Parameters
    ----------
    variable
        Variable of the environment with the address, as libpq takes it.
    table
        'table' or 'schema.table'.
    columns
        Names that are used, in lower case; None for all.
    dropped
        Names that are not, whatever `columns` says.

    Raises
    ------
    InputError
        The variable, the driver, the server or the table is not there.
    """
    address = os.environ.get(variable)
    if address is None:
        raise InputError(f"environment variable {variable} needs to say how to reach it; got none.")
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise InputError(
            'PostgreSQL needs to have its driver installed; got none. Run pip install "zoo-geo[postgresql]".'
        ) from None
    try:
        connection = dbapi.connect(address)
    except dbapi.Error:  # which may quote the address
        raise InputError(
            f"PostgreSQL needs to be reachable by what {variable} says; got an error. "
            "It is as in libpq: 'host=... dbname=... user=...'."
        ) from None
    without = {name.lower() for name in dropped}
    with connection, connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        connection.commit()
        name = ".".join(map(_quoted, table.split(".")))
        cursor.execute(_COLUMNS, (name,))
        types = dict(cursor.fetchall())
        if not types:
            raise InputError(f"table needs to be one that can be read; got {table!r}, which is none.")
        chosen = {
            each: dtype
            for each, dtype in types.items()
            if each.lower() not in without and (columns is None or each.lower() in columns)
        }
        listed = [_read(each, chosen.get(each)) for each in types]
        try:
            cursor.execute(f"SELECT {', '.join(listed)} FROM {name}")
            yield cursor.fetch_record_batch()
        except dbapi.Error as error:  # which may hold records
            kind = type(error).__name__
            raise InputError(f"table {table!r} needs to be readable; got an error of kind {kind}.") from None


def _read(column: str, dtype: str | None) -> str:
    """Return SQL of PostgreSQL for a column, empty where its type is not given."""
    name = _quoted(column)
    if dtype is None:
        return f"CAST(NULL AS text) AS {name}"
    if dtype in _AS_THEY_ARE:
        return name
    return f"CAST({name} AS {'double precision' if dtype == 'numeric' else 'text'}) AS {name}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
