"""A private DuckDB that holds the records of one run, and is locked before a query of a study file runs."""

# ruff: noqa: RUF009  (`key` returns a dataclass field)
from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from zoo_geo import postgres
from zoo_geo.areas import Areas
from zoo_geo.checks import nearest_name
from zoo_geo.errors import InputError, Problems, examples
from zoo_geo.notices import Notice
from zoo_geo.places import Border
from zoo_geo.private_folder import private_folder
from zoo_geo.pseudonyms import Key, text_sql, undeclared
from zoo_geo.record_places import PLACING, geometry_of, place_records, read_features, read_points
from zoo_geo.strict import key

SUFFIXES = (".csv", ".parquet", ".geoparquet", ".gpkg", ".duckdb", ".db")
DATABASES = (".duckdb", ".db")
_SAMPLE = 20_000
"""Rows of a csv file by which a check tells what is a number."""

_ID = {"pattern": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"), "form": "of letters, digits and _"}
_FILLED = {"pattern": re.compile(r"(?s).*\S.*"), "form": "that is not empty"}
MEMORY = {"pattern": re.compile(r"[1-9]\d*(?:\.\d+)? ?[MG]B"), "form": "such as '4GB'"}
INTEGERS = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT",
    "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
)  # fmt: skip
NUMBERS = ("DOUBLE", "FLOAT", "DECIMAL", *INTEGERS)
_WHOLE = r"-?(?:0|[1-9][0-9]{0,17})"
_CODE = "zoo_geo_code"
_WRAPPED = re.compile(r"Binder|Catalog|Parser|Syntax")


@dataclass(frozen=True)
class Source:
    """Records: one row per person, address, company or event.

    Parameters
    ----------
    frame
        A DataFrame in the place of a path; only from Python.
    """

    id: str = key("Name by which queries call it.", **_ID)
    path: Path | None = key(
        "A .csv, .parquet, .geoparquet, .gpkg, .duckdb or .db file, relative to the study file.", None
    )
    layer: str | None = key("Layer of a GeoPackage that holds several.", None, **_FILLED)
    table: str | None = key("Table of a database, as 'table' or 'schema.table'.", None, **_FILLED)
    dsn_env: str | None = key(
        "Variable of the environment that says how to reach a PostgreSQL database.", None, **_FILLED
    )
    identifiers: tuple[str, ...] = key(
        "Columns replaced while reading by a keyed code, the same in all sources.", (), **_FILLED
    )
    drop: tuple[str, ...] = key("Columns that are never read.", (), **_FILLED)
    locate: str | None = key(
        "Name of a column to make: the code of the area of the map that x and y lie in.", None, **_ID
    )
    x: str = key("Column of the x coordinate (longitude); of a file of points there is one.", "x", **_FILLED)
    y: str = key("Column of the y coordinate (latitude).", "y", **_FILLED)
    crs: str | None = key(
        "Coordinate system of x and y, as 'EPSG:4326'; that of the file or the map otherwise.", None,
        **_FILLED,
    )  # fmt: skip
    on_border: Border = key("Area of a point on a border: the lowest code, or none.", "lowest")
    frame: pd.DataFrame | None = key("A table in memory.", None, hidden=True)

    def __post_init__(self) -> None:
        if isinstance(self.path, str):
            object.__setattr__(self, "path", Path(self.path))
        given = [self.path is not None, self.dsn_env is not None, self.frame is not None]
        if sum(given) != 1:
            raise InputError(f"source {self.id} needs to have one of path and dsn_env; got {sum(given)}.")
        if self.table is None and (self.dsn_env or (self.path and self.path.suffix.lower() in DATABASES)):
            raise InputError(f"source {self.id} needs to name a table of the database (table); got none.")


@dataclass(frozen=True)
class Limits:
    """What reading and queries may take."""

    memory: str = key("Memory of the database, such as '4GB'.", "4GB", **MEMORY)
    threads: int = key("Threads of the database.", 2, least=1)
    seconds: float = key("Seconds that one query may take.", 600.0, above=0)


class Records:
    """Sources as tables of a private database; see `open_records`."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self.db = db
        self.notices = list[Notice]()

    def run(self, sql: str, what: str = "query") -> duckdb.DuckDBPyConnection:
        """Run a statement; an error is about `what`, and names no value of the records.

        Raises
        ------
        InputError
            The statement is wrong, or takes more time or memory than it may.
        """
        done = Future[duckdb.DuckDBPyConnection]()
        Thread(target=_execute, args=(self.db, sql, done), daemon=True).start()
        try:
            wait([done])
        except BaseException:  # an interrupt reaches this thread, and DuckDB only through it
            self.db.interrupt()
            wait([done])
            raise
        try:
            return done.result()
        except duckdb.Error as error:
            raise InputError(f"{what} {_told(error)}") from None


def _execute(db: duckdb.DuckDBPyConnection, sql: str, done: Future[duckdb.DuckDBPyConnection]) -> None:
    try:
        done.set_result(db.execute(sql))
    except BaseException as error:
        done.set_exception(error)


def _told(error: duckdb.Error) -> str:
    """Say what went wrong without a value of the records in it."""
    kind, text = type(error).__name__.removesuffix("Exception"), str(error)
    if kind == "Interrupt":
        return "needs to end within the time that it may take; it did not. Raise seconds, or ask less."
    if kind == "OutOfMemory":
        return "needs to stay within the memory that it may take; it did not. Raise memory, or ask less."
    if _WRAPPED.search(kind):
        return f"needs to fit the sources; got: {text.partition(chr(10) + chr(10))[0].replace(chr(10), ' ')}"
    hint = " Use TRY_CAST for what is not always a number or date." if "onver" in kind else ""
    return f"needs to run on all records; got an error of kind {kind} (what it says may hold records).{hint}"


@contextmanager
def open_records(
    sources: Collection[Source],
    columns: Collection[str] | None,
    secret: Key | None,
    limits: Limits,
    *,
    sample: bool = False,
    areas: Areas | None = None,
) -> Iterator[Records]:
    """Read sources into a private database, lock it, and remove it at the end.

    Records are in memory, and on disk only as far as they need more of it than they may take: in a folder
    that only this user can enter. Once locked, DuckDB opens no other file, loads no extension, and changes no
    setting.

    Parameters
    ----------
    sources
        What to read.
    columns
        Names of the columns that are used, in lower case; None for all.
    secret
        Key of the codes; needed where a source has identifiers.
    limits
        Memory, threads, and seconds per statement.
    sample
        Read names and types of columns and next to no rows.
    areas
        The map, for sources whose records are put into areas.

    Raises
    ------
    InputError
        A source cannot be read, holds identifiers that are not declared, or declares columns that it
        lacks: one line per problem, of all sources.
    """
    with (
        private_folder() as folder,
        duckdb.connect(config=_config(folder, limits)) as db,
    ):
        if secret is not None:
            call = lambda texts: secret.codes(texts)  # noqa: E731  (DuckDB evaluates the hints of methods)
            text, code = duckdb.type("VARCHAR"), duckdb.type("UUID")
            db.create_function(  # type: ignore[call-overload]
                _CODE, call, [text], code, type="arrow", null_handling="special"
            )
        db.execute("SET enable_progress_bar = false")  # a run has a line of its own
        records, problems = Records(db), Problems()
        for source in sources:
            try:
                _load(records, source, columns, secret, areas, sample=sample)
            except InputError as error:
                problems.extend(error.within(f"source {source.id}"))
        problems.raise_if_any()
        if secret is not None:
            db.remove_function(_CODE)
        for setting in ("enable_external_access = false", "lock_configuration = true"):
            db.execute(f"SET {setting}")
        yield records


def _config(folder: Path, limits: Limits) -> dict[str, Any]:
    return {
        "memory_limit": limits.memory,
        "threads": limits.threads,
        "max_execution_time": max(1, round(limits.seconds * 1000)),
        "temp_directory": str(folder / "spill"),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
        "preserve_insertion_order": "false",
    }


def _load(
    records: Records,
    source: Source,
    columns: Collection[str] | None,
    secret: Key | None,
    areas: Areas | None,
    *,
    sample: bool,
) -> None:
    """Make one table of the columns that are used, with codes in the place of identifiers."""
    wanted = columns if columns is None else {*columns, source.x.lower(), source.y.lower()}
    with _relation(records, source, wanted) as (relation, crs):
        described = records.run(f"DESCRIBE SELECT * FROM {relation}", "reading").fetchall()
        types = {str(row[0]): str(row[1]) for row in described}
        _check_columns(source, types, secret, areas)
        dropped = {name.lower() for name in source.drop}
        kept = [name for name in types if name.lower() not in dropped]
        asked = [name for name in kept if columns is None or name.lower() in columns]
        placed = source.locate is not None and (columns is None or source.locate.lower() in columns)
        place = [name for name in types if placed and name.lower() in (source.x.lower(), source.y.lower())]
        used = list(dict.fromkeys([*asked, *place])) or kept[:1]
        coded = {name.lower() for name in source.identifiers}
        plain = [name for name in used if name.lower() not in coded]
        rows = f" LIMIT {_SAMPLE}" if sample else ""
        numbers = _numbers(records, relation, plain, rows) if _is_csv(source) else {}
        read = {
            name: _code_call(name, types[name]) if name.lower() in coded else numbers.get(name, _quoted(name))
            for name in used
        }
        listed = ", ".join(f"{sql} AS {_quoted(name)}" for name, sql in read.items())
        records.db.execute(f"SET preserve_insertion_order = {str(placed).lower()}")  # for numbers of rows
        records.run(
            f"CREATE TABLE {PLACING if placed else _quoted(source.id)} AS "
            f"SELECT {listed} FROM (SELECT * FROM {relation}{rows})",
            "reading",
        )
    if placed and areas is not None:
        left_out = [_quoted(name) for name in used if name not in asked]
        _place(records, source, areas, crs, left_out, sample=sample)


def _place(
    records: Records, source: Source, areas: Areas, crs: str | None, left_out: list[str], *, sample: bool
) -> None:
    """Put the records of a source into areas."""
    described = records.run(f"DESCRIBE {PLACING}").fetchall()
    types = {str(row[0]).lower(): str(row[1]) for row in described}
    for axis in ("x", "y"):
        name = getattr(source, axis)
        dtype = types[name.lower()]
        if dtype.partition("(")[0] not in NUMBERS:
            raise InputError(f"{axis} needs to name a column of numbers; got {name!r}, which holds {dtype}.")
    notices = place_records(
        records,
        _quoted(source.id),
        _quoted(source.x),
        _quoted(source.y),
        _quoted(str(source.locate)),
        areas,
        crs=source.crs or crs,
        on_border=source.on_border,
        left_out=left_out,
        most=_SAMPLE if sample else None,
    )
    records.notices += [line.led_by(f"source {source.id}", f"bron {source.id}") for line in notices]


def _code_call(name: str, dtype: str) -> str:
    return f"{_CODE}({text_sql(_quoted(name), dtype)})"


def _check_columns(source: Source, types: Collection[str], secret: Key | None, areas: Areas | None) -> None:
    """Refuse columns that are named and absent, and identifiers that are not named."""
    problems, known = Problems(), {name.lower() for name in types}
    if "rowid" in known:
        problems.add("columns need other names than rowid, the database's own number of a row; got it.")
    for option in ("identifiers", "drop"):
        for name in getattr(source, option):
            if name.lower() not in known:
                hint = nearest_name(name, types)
                problems.add(f"{option} needs to name columns of it; got {name!r}, which is none.{hint}")
    if bare := undeclared(types, [*source.identifiers, *source.drop]):
        problems.add(
            f"columns that are direct identifiers need to be named in identifiers or drop; got others "
            f"({examples(bare, len(types))})."
        )
    if source.locate is not None:
        for axis in ("x", "y"):
            name = getattr(source, axis)
            if name.lower() not in known:
                hint = nearest_name(name, types)
                problems.add(f"{axis} needs to name a column of it; got {name!r}, which is none.{hint}")
        if source.locate.lower() in known:
            problems.add(f"locate needs to be a name that is no column of it; got {source.locate!r}.")
        if areas is None:
            problems.add("locate needs to have a map; got none. Pass areas=.")
    if source.identifiers and secret is None:
        problems.add("identifiers need to have a key (key_file or key_env under [microdata]); got none.")
    problems.raise_if_any()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _is_csv(source: Source) -> bool:
    return source.path is not None and source.path.suffix.lower() == ".csv"


@contextmanager
def _relation(
    records: Records, source: Source, columns: Collection[str] | None
) -> Iterator[tuple[str, str | None]]:
    """Yield the name under which SQL reads a source, and the coordinate system of its points."""
    if source.frame is not None:
        yield from _registered(records, _in_arrow(source.frame))
    elif source.dsn_env is not None:
        with postgres.reading(source.dsn_env, str(source.table), columns, source.drop) as data:
            yield from _registered(records, data)
    else:
        assert source.path is not None
        suffix, path = source.path.suffix.lower(), source.path
        if suffix in DATABASES:
            yield from _attached(records, source, f"{_text(path)} AS zoo_geo_source (READ_ONLY)")
        elif suffix == ".gpkg":
            yield from _registered(records, *read_features(path, source.layer))
        elif suffix == ".csv":
            yield _csv_sql(path), None
        elif geometry := geometry_of(path):
            yield from _registered(records, read_points(path, geometry[0]), geometry[1])
        else:
            yield f"read_parquet({_text(_plain_path(path))})", None


def _in_arrow(frame: pd.DataFrame) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except pa.ArrowException:  # which quotes what does not fit
        mixed = [str(name) for name in frame if len({type(each) for each in frame[name].dropna()}) > 1]
        raise InputError(f"columns need to be of one type; got mixed ones ({examples(mixed)}).") from None


def _plain_path(path: Path) -> Path:
    """Return a path that DuckDB takes as one file."""
    if set("*?[]{}") & set(str(path)):
        raise InputError(f"path needs to be without * ? [ ] {{ and }}; got {path.name}.")
    return path


def _csv_sql(path: Path) -> str:
    """Return SQL that reads csv as text, with the separator that the header has most of."""
    with path.open(encoding="utf-8-sig") as file:
        try:
            header = file.readline()
        except UnicodeDecodeError:
            raise InputError("file needs to be UTF-8; got other bytes. Save it as 'CSV UTF-8'.") from None
    separator = max(",;\t", key=header.count)
    return (
        f"read_csv({_text(_plain_path(path))}, delim = {_text(separator)}, header = true, "
        "all_varchar = true, quote = '\"', escape = '\"')"
    )


def _numbers(records: Records, relation: str, names: list[str], rows: str) -> dict[str, str]:
    """Return SQL for the columns of a csv file that hold numbers; what has leading zeros stays text."""
    if not names:
        return {}
    comma = "delim = ';'" in relation or "delim = '\t'" in relation
    mark = "[.,]" if comma else "[.]"
    broken = rf"-?(?:0|[1-9][0-9]*)?{mark}?[0-9]+(?:[eE][-+]?[0-9]+)?"
    tests = []
    for name in names:
        cell = f"trim({_quoted(name)})"
        for form in (_WHOLE, broken):
            tests.append(f"bool_and(regexp_full_match({cell}, {_text(form)}) OR {cell} = '')")
        tests.append(f"bool_or(regexp_full_match({cell}, '-?0[0-9].*'))")
        tests.append(f"bool_or(contains({cell}, '.')) AND {str(comma).lower()}")
    found = records.run(
        f"SELECT {', '.join(tests)} FROM (SELECT * FROM {relation}{rows})", "reading"
    ).fetchone()
    assert found is not None
    made = {}
    for at, name in enumerate(names):
        whole, number, zeros, dotted = found[4 * at : 4 * at + 4]
        cell = f"nullif(trim({_quoted(name)}), '')"
        if whole:
            made[name] = f"CAST({cell} AS BIGINT)"
        elif number and not zeros and not dotted:
            made[name] = f"CAST(replace({cell}, ',', '.') AS DOUBLE)"
        else:
            made[name] = f"nullif({_quoted(name)}, '')"
    return made


def _registered(
    records: Records,
    data: Any,  # noqa: ANN401
    crs: str | None = None,
) -> Iterator[tuple[str, str | None]]:
    """Yield the name of a table or stream of Arrow that lives as long as it is read."""
    records.db.register("zoo_geo_source", data)
    try:
        yield "zoo_geo_source", crs
    finally:
        records.db.unregister("zoo_geo_source")


def _attached(records: Records, source: Source, what: str) -> Iterator[tuple[str, str | None]]:
    """Yield the name of a table of another database."""
    records.run(f"ATTACH {what}", "opening")
    try:
        yield ".".join(["zoo_geo_source", *map(_quoted, str(source.table).split("."))]), None
    finally:
        records.db.execute("DETACH zoo_geo_source")
