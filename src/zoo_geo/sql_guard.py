"""What a query of a study file may say: one SELECT over the declared sources, and nothing else.

DuckDB's own parser takes the text apart. Everything in the tree must be on a list of what is allowed:
kinds of nodes, functions, types, names of tables. What a later version adds is refused until it is listed.
"""

# ruff: noqa: SIM905  (lists of words)
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import duckdb

from zoo_geo.coded_columns import coded_figures
from zoo_geo.errors import InputError, Problems
from zoo_geo.strict import nearest

FUNCTIONS = frozenset(
    """
    + - * / // % ** ^ ~ & | << >> || ~~ !~~ ~~* !~~* ~~~
    abs ceil ceiling floor round trunc sign sqrt exp ln log log10 log2 pow power greatest least mod divide
    isnan isfinite isinf if ifnull nullif
    count count_star count_if countif sum sum_no_overflow avg mean min max median quantile quantile_cont
    quantile_disc stddev stddev_pop stddev_samp variance var_pop var_samp bool_and bool_or
    arg_min arg_max min_by max_by
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
    lower upper lcase ucase trim ltrim rtrim substring substr left right length len strlen replace concat
    concat_ws contains starts_with ends_with prefix suffix strpos instr position lpad rpad reverse split_part
    translate like_escape not_like_escape ilike_escape not_ilike_escape
    regexp_matches regexp_full_match regexp_replace regexp_extract
    year month day quarter week weekday isodow dayofweek dayofmonth dayofyear isoyear yearweek date_part
    datepart date_trunc datetrunc date_diff datediff date_sub datesub date_add make_date last_day strftime
    strptime try_strptime to_years to_months to_weeks to_days to_hours to_minutes to_seconds
    list_value list_contains list_has array_contains list_extract array_extract row struct_pack unnest
    """.split()
)
"""Functions that give the same for the same arguments and know nothing but those: no clock, no chance, no
settings, no catalogue, no files, no SQL made of text. None of them turns text into a code (hash, md5)."""

TYPES = frozenset(
    """
    BOOLEAN BOOL LOGICAL TINYINT SMALLINT INTEGER INT BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT
    UHUGEINT INT1 INT2 INT4 INT8 LONG SHORT SIGNED FLOAT FLOAT4 FLOAT8 REAL DOUBLE DECIMAL NUMERIC DEC VARCHAR
    TEXT STRING CHAR BPCHAR NVARCHAR DATE TIME TIMESTAMP DATETIME INTERVAL
    """.split()
)

_EXPRESSIONS = frozenset(
    """
    BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION OPERATOR STAR SUBQUERY TYPE
    WINDOW
    """.split()
)
_PARTS = frozenset(
    """
    SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE CTE_NODE BASE_TABLE SUBQUERY JOIN EMPTY EXPRESSION_LIST
    TABLE_FUNCTION ORDER_MODIFIER LIMIT_MODIFIER DISTINCT_MODIFIER ORDER_DEFAULT ASCENDING DESCENDING
    """.split()
)
_JOINS = ("REGULAR", "NATURAL", "CROSS", "ASOF", "DEPENDENT")  # and none by the order of records
_OUTSIDE = frozenset(
    """
    current_catalog current_database current_date current_role current_schema current_time current_timestamp
    current_user get_current_time localtime localtimestamp rowid session_user today user filename
    file_row_number
    """.split()
)
"""Names that DuckDB answers without there being such a column: the clock, the user, the place of a row."""

_PLAIN = {"type", "cte_map", "select_list", "from_table", "where_clause", "aggregate_handling"}
_ROWWISE = {
    "BETWEEN", "CASE", "CAST", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "OPERATOR", "TYPE",
}  # fmt: skip
_PLACES = re.compile(r'"query_location(?:_length)?": \d+,? ?')
_NAME = re.compile(r"\w+")
_WIDEST = 1000
_SHOWN = 60


class Query(NamedTuple):
    """A query that may run.

    Parameters
    ----------
    sql
        As given.
    sources
        Ids of the sources that it reads, in lower case.
    columns
        Names that may be columns of sources, in lower case; None where all of them may be meant (``*``).
    """

    sql: str
    sources: frozenset[str]
    columns: frozenset[str] | None


def check_query(
    sql: str, sources: Iterable[str], identifiers: Mapping[str, Iterable[str]] | None = None
) -> Query:
    """Return what a query reads, or refuse it.

    Parameters
    ----------
    sql
        Text of a study file.
    sources
        Ids of the declared sources.
    identifiers
        Source to its columns of keyed codes, which figures may not be made of; see `coded_figures`.

    Raises
    ------
    InputError
        It is no SQL, more or other than one SELECT, it makes figures of codes, or it names anything but the
        declared sources and functions that only look at their arguments. Each line quotes what was refused.

    Examples
    --------
    >>> sorted(check_query("SELECT area, 1 AS value FROM persons WHERE age > 17", ["persons"]).columns)
    ['age', 'area']
    """
    walk = _Walk(sql, sources)
    walk.node(_tree(sql), frozenset())
    given = (identifiers or {}).items()
    codes = {name.lower(): name for id, names in given if id.lower() in walk.read for name in names}
    for name in coded_figures(_tree(sql), codes):
        walk.problems.add(
            f"column {name} needs to be made of no keyed code of a person ({', '.join(codes.values())}); got "
            "one. Such a code can be the unit, be counted, or be compared with another one."
        )
    walk.problems.raise_if_any()
    everything = walk.everything or bool(walk.bare & walk.tables)  # a table as a column is a whole row
    return Query(sql, frozenset(walk.read), None if everything else frozenset(walk.columns))


@lru_cache(maxsize=256)
def _tree(sql: str) -> Any:  # noqa: ANN401
    """Return the one SELECT that a text is, as DuckDB's parser sees it."""
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as parser:
        try:
            statements = parser.extract_statements(sql)
        except (duckdb.Error, UnicodeError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"query needs to be SQL; got a mistake: {reason}") from None
        if len(statements) != 1:
            which = "; ".join(_short(each.query) for each in statements[:3])
            raise InputError(f"query needs to be one SELECT; got {len(statements)} statements ({which}).")
        kind = statements[0].type.name
        options = "skip_null := true, skip_empty := true, skip_default := true"
        row = parser.execute(f"SELECT json_serialize_sql(?, {options})", [sql]).fetchone()
    parsed: dict[str, Any] = json.loads(row[0]) if row and row[0] else {"error": True}
    if kind != "SELECT" or parsed["error"] or len(parsed["statements"]) != 1:
        raise InputError(
            f"query needs to be one SELECT (WITH is allowed); got {kind}: {_short(sql)}. "
            "It can read the declared sources and change nothing."
        )
    return parsed["statements"][0]


def rows_of(sql: str) -> tuple[str, str] | None:
    """Return what tells which records a query goes over, and which of them it chooses.

    Queries with the same first text go over the same records and give them the same area, period and unit;
    with the same second text they choose the same ones (all, where it is empty). What they return as value
    and branch does not matter.

    Parameters
    ----------
    sql
        A query that `check_query` let pass.

    Returns
    -------
    tuple or None
        None where it is more than one plain SELECT, so that what it returns may change its rows.
    """
    node = _tree(sql)["node"]
    plain = node["type"] == "SELECT_NODE" and node.keys() <= _PLAIN
    if not plain or node["aggregate_handling"] != "STANDARD_HANDLING":  # which GROUP BY ALL has not
        return None
    kept: list[dict[str, Any]] = []
    free: list[dict[str, Any]] = []
    for each in node["select_list"]:
        name = str(each.get("alias") or each.get("column_names", [""])[-1]).lower()
        (free if name in ("value", "branch") else kept).append(each)
    records, chosen = [node.get("cte_map"), node["from_table"], kept], node.get("where_clause")
    named = {"value", "branch"} & set(_names([kept, chosen]))  # DuckDB knows what SELECT names in all of it
    if named or not all(map(_of_one_row, free)) or any(each["class"] == "STAR" for each in kept):
        return None
    return _signed(records), _signed(chosen)


def _names(node: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield the names of columns in a part of a tree, in lower case."""
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _names(each)
    if isinstance(node, dict):
        yield from (str(name).lower() for name in node.get("column_names", ()))


def _of_one_row(node: Any) -> bool:  # noqa: ANN401
    """Whether an expression is worked out from a row alone, and once for every row."""
    if isinstance(node, list):
        return all(map(_of_one_row, node))
    if not isinstance(node, dict):
        return True
    plain = node.get("class", "CONSTANT") in _ROWWISE
    function = node.get("class") == "FUNCTION" and bool(node.get("is_operator"))
    return (plain or function) and all(map(_of_one_row, node.values()))


def _signed(tree: Any) -> str:  # noqa: ANN401
    """Return a part of a tree as text, without where it stands."""
    if not tree:
        return ""
    return _PLACES.sub("", json.dumps(tree, sort_keys=True))


def _short(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


class _Walk:
    """Goes through the tree of a query and notes what is not allowed."""

    def __init__(self, sql: str, sources: Iterable[str]) -> None:
        self.bytes = sql.encode()
        self.known = {source.lower(): source for source in sources}
        self.problems = Problems()
        self.read, self.columns, self.bare, self.tables = (set[str]() for _ in range(4))
        self.everything = False

    def node(self, node: Any, scope: frozenset[str], at: int | None = None) -> None:  # noqa: ANN401
        """Look at a part of the tree, knowing the names that WITH gave above it."""
        if isinstance(node, list):
            for each in node:
                self.node(each, scope, at)
        elif isinstance(node, dict):
            at = node.get("query_location", at)
            scope = self._look(node, scope, at)
            inside = node
            if node.get("type") == "TABLE_FUNCTION":  # which `_look` has seen
                inside = {**node, "function": node["function"].get("arguments")}
            for name, each in inside.items():
                if name != "cte_map":
                    self.node(each, scope, at)

    def _look(self, node: dict[str, Any], scope: frozenset[str], at: int | None) -> frozenset[str]:
        """Check one node and return the names that hold inside it."""
        kind, part = node.get("class"), node.get("type")
        if kind is not None and kind not in _EXPRESSIONS:
            self._refuse(f"an expression of kind {kind}", node, at)
        elif kind is None and isinstance(part, str) and part not in _PARTS:
            self._refuse(f"a part of kind {part}", node, at)
        if "sample" in node:
            self._refuse("a random sample", node, at)
        if part == "JOIN" and node.get("ref_type", "REGULAR") not in _JOINS:
            self._refuse(f"a join of kind {node['ref_type']}", node, at)
        if kind in ("FUNCTION", "WINDOW"):
            self._function(node, at)
        elif kind == "TYPE":
            self._type(node, at)
        elif kind == "COLUMN_REF":
            self._column(node, at)
        elif kind == "STAR" or part == "JOIN":
            self._shorthand(node)
        elif part == "TABLE_FUNCTION" and _name(node.get("function", {})) != "unnest":
            self._refuse(f"table function {_name(node.get('function', {}))}", node, at)
        elif part == "BASE_TABLE":
            self._table(node, scope, at)
        if part == "RECURSIVE_CTE_NODE":
            scope = scope | {str(node.get("cte_name", "")).lower()}
        return self._with(node, scope, at)

    def _with(self, node: dict[str, Any], scope: frozenset[str], at: int | None) -> frozenset[str]:
        """Go through the parts that WITH names, each of which knows those before it."""
        for entry in node.get("cte_map", {}).get("map", []):
            name = str(entry["key"])
            if not _NAME.fullmatch(name):
                self._refuse(
                    f'the name "{_short(name)}" in WITH, which is more than letters and digits', {}, at
                )
            inner = {key: each for key, each in entry["value"].items() if key != "materialized"}
            self.node(inner, scope, at)
            scope = scope | {name.lower()}
        return scope

    def _function(self, node: dict[str, Any], at: int | None) -> None:
        name, path = _name(node), node.get("qualified_name", {}).get("path", [""])
        if len(path) > 1 or any(node.get(key) for key in ("schema", "catalog", "schema_name")):
            self._refuse(f"function {'.'.join(map(str, path))} of a schema", node, at)
        elif name not in FUNCTIONS:
            self._refuse(
                f"function {name}",
                node,
                at,
                "" if name in _refused() else nearest(name, FUNCTIONS, rest=False),
            )
        elif name in ("lpad", "rpad") and not self._narrow(node):
            self._refuse(f"{name} to a width that is not a number up to {_WIDEST}", node, at)
        elif name in ("replace", "regexp_replace") and _argument(node, 2).get("class") != "CONSTANT":
            self._refuse(f"{name} by what is no constant text", node, at)

    def _narrow(self, node: dict[str, Any]) -> bool:
        """Whether text is padded to a small width; a large one takes memory that no limit sees."""
        text = str(_argument(node, 1).get("literal", {}).get("text", ""))
        return text.isascii() and text.isdigit() and int(text) <= _WIDEST

    def _type(self, node: dict[str, Any], at: int | None) -> None:
        path = node.get("qualified_name", {}).get("path", [])
        name = str(node.get("type_name", path[-1] if path else "")).upper()
        if name not in TYPES or len(path) > 1:
            self._refuse(f"type {name}", node, at)

    def _column(self, node: dict[str, Any], at: int | None) -> None:
        names = [str(name).lower() for name in node.get("column_names", [])]
        if names and names[-1] in _OUTSIDE:
            self._refuse(f"{names[-1]}, which is no column of a source", node, at)
        self.columns.update(names)
        self.bare.update(names if len(names) == 1 else ())

    def _shorthand(self, node: dict[str, Any]) -> None:
        """Note the columns that a join names, or that all columns may be meant."""
        self.columns.update(str(name).lower() for name in node.get("using_columns", []))
        self.everything |= node.get("class") == "STAR" or node.get("ref_type") == "NATURAL"

    def _table(self, node: dict[str, Any], scope: frozenset[str], at: int | None) -> None:
        path = [
            str(part) for part in node.get("qualified_name", {}).get("path", [node.get("table_name", "")])
        ]
        name = path[-1].lower()
        self.tables.update({name, str(node.get("alias", name)).lower()})
        self.everything |= bool(node.get("column_name_alias"))
        if len(path) == 1 and name in scope:
            return
        if len(path) == 1 and name in self.known:
            self.read.add(name)
        else:
            self._refuse(
                f'table "{_short(".".join(path))}"', node, at, nearest(path[-1], self.known.values())
            )

    def _refuse(self, what: str, node: dict[str, Any], at: int | None, hint: str = "") -> None:
        start, length = node.get("query_location", at), node.get("query_location_length", 0)
        where = ""
        if start is not None:
            before, rest = self.bytes[:start].decode(errors="ignore"), self.bytes[start:]
            text = rest[: length or None].decode(errors="ignore")
            line = before.count("\n") + 1
            where = f" in line {line}, character {len(before.rpartition(chr(10))[2]) + 1}: {_short(text)}"
        self.problems.add(
            f"query needs to use declared sources and plain functions only; got {what}{where}.{hint}"
        )


@lru_cache(maxsize=1)
def _refused() -> frozenset[str]:
    """Return the names of all functions that DuckDB has: who writes one of them meant no other."""
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as db:
        rows = db.execute("SELECT DISTINCT lower(function_name) FROM duckdb_functions()").fetchall()
    return frozenset(["getenv", *(str(row[0]) for row in rows)])  # which only the shell of DuckDB has


def _name(node: dict[str, Any]) -> str:
    return str(node.get("function_name", "")).lower()


def _argument(node: dict[str, Any], place: int) -> dict[str, Any]:
    """Return an argument of a function; nothing where there are fewer."""
    arguments = node.get("arguments", [])
    found: dict[str, Any] = arguments[place].get("expression", {}) if len(arguments) > place else {}
    return found
