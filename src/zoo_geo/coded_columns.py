"""Where keyed codes of persons go in a query, by names of columns: they may be the unit, and no figure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

FIGURES = ("area", "period", "value", "branch")
_COUNTING = ("count", "count_if", "countif")
_SAME = (
    "COMPARE_EQUAL", "COMPARE_NOTEQUAL", "COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM", "COMPARE_IN",
    "COMPARE_NOT_IN", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL",
)  # fmt: skip
_PLAIN = ("COLUMN_REF", "CONSTANT")

Node = dict[str, Any]


def coded_figures(tree: Node, identifiers: Collection[str]) -> list[str]:
    """Return which of area, period, value and branch are made of columns with keyed codes.

    Counting codes, and asking whether two are the same or one is there, makes nothing of them. Names are
    followed through WITH, subqueries, UNION and lists of aliases, wherever they stand, so that a name that is
    that of a code in one place counts as one in all.

    Parameters
    ----------
    tree
        The query as DuckDB's parser serializes it.
    identifiers
        Columns with keyed codes, in lower case.

    Examples
    --------
    >>> code = {"class": "COLUMN_REF", "column_names": ["bsn"]}
    >>> cast = {"class": "CAST", "alias": "value", "child": code}
    >>> coded_figures({"node": {"select_list": [code, cast]}}, {"bsn"})
    ['value']
    """
    coded, before = set(identifiers), -1
    nodes = list(_nodes(tree))
    while identifiers and len(coded) != before:
        before = len(coded)
        for node in nodes:
            coded.update(name for name, item in _named(node) if name and _made_of(item, coded))
    return [name for name in FIGURES if name in coded & set(_returned(tree))]


def _nodes(part: Any) -> Iterator[Node]:  # noqa: ANN401
    """Yield all nodes of a tree."""
    if isinstance(part, dict):
        yield part
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _nodes(each)


def _named(node: Node) -> Iterator[tuple[str, Node]]:
    """Yield the names that a node gives, each with what it is a name of."""
    for item in node.get("select_list", ()):  # a star has no name, and its columns keep theirs
        yield _name(item), item
    for each in node.get("replace_list", ()):
        yield str(each["key"]).lower(), each["value"]
    for each in node.get("rename_list", ()):
        yield str(each["value"]).lower(), {"class": "COLUMN_REF", "column_names": [each["key"]["column"]]}
    if node.get("type") == "SET_OPERATION_NODE":
        yield from _placed([_name(item) for item in _lists(node)[0]], node)
    inner = node.get("query_node") or node.get("subquery", {}).get("node")
    aliases = [str(name).lower() for name in node.get("column_name_alias") or node.get("aliases") or ()]
    if inner and aliases:
        yield from _placed(aliases, inner)
    elif node.get("type") == "BASE_TABLE":
        yield from ((name, {"class": "STAR"}) for name in aliases)


def _placed(names: list[str], query: Node) -> Iterator[tuple[str, Node]]:
    """Yield names with the columns of a query in the same places; of a star any may be meant."""
    for items in _lists(query):
        starred = any(item.get("class") == "STAR" for item in items)
        pairs = [(name, {"class": "STAR"}) for name in names] if starred else zip(names, items, strict=False)
        yield from pairs


def _lists(query: Node) -> list[list[Node]]:
    """Return what each SELECT of a query returns, one for every part of a UNION."""
    children = query.get("children", ()) if query.get("type") == "SET_OPERATION_NODE" else ()
    found = [items for child in children for items in _lists(child)]
    return found or [list(query.get("select_list", ()))]


def _name(item: Node) -> str:
    return str(item.get("alias") or (item.get("column_names") or [""])[-1]).lower()


def _made_of(node: Any, coded: set[str]) -> bool:  # noqa: ANN401
    """Whether an expression makes something of a code."""
    if isinstance(node, list):
        return any(_made_of(each, coded) for each in node)
    if not isinstance(node, dict):
        return False
    kind = node.get("class")
    if kind == "COLUMN_REF":
        return not coded.isdisjoint(str(name).lower() for name in node["column_names"])
    if kind == "STAR":
        return True
    if kind == "SUBQUERY":
        return _made_of(_looked_at(node), coded)
    if kind in ("FUNCTION", "WINDOW") and str(node.get("function_name")).lower() in _COUNTING:
        return False
    if node.get("type") in _SAME and _all_plain(node):
        return False
    return any(_made_of(each, coded) for name, each in node.items() if name not in ("partitions", "cte_map"))


def _looked_at(node: Node) -> list[Node]:
    """Return what a subquery inside an expression makes its answer of."""
    query = node["subquery"]["node"]
    items = [item for items in _lists(query) for item in items] + ([node["child"]] if "child" in node else [])
    kind = node.get("subquery_type")
    member = kind == "ANY" and all(item.get("class") in _PLAIN for item in items)
    return [*([] if kind == "EXISTS" or member else items), query.get("where_clause", {})]


def _all_plain(node: Node) -> bool:
    parts = node.get("children") or [node.get("left", {}), node.get("right", {})]
    return all(each.get("class") in _PLAIN for each in parts)


def _returned(tree: Node) -> Iterator[str]:
    """Yield the names of figures that a query may return; all of them through a star."""
    for item in _lists(tree["node"])[0]:
        yield from FIGURES if item.get("class") == "STAR" else (_name(item),)
