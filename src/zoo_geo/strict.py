"""Plain data (TOML) into frozen dataclasses, strictly, and the JSON Schema of the same dataclasses.

A dataclass is the one description of a section: its fields are the keys, its hints their types, its
defaults what may be left out. Limits and a sentence of documentation stand in the field, see `key`.
"""

# ruff: noqa: ANN401  (data of any type is what this module is about)
from __future__ import annotations

import difflib
import inspect
import re
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from zoo_geo.checks import meant
from zoo_geo.errors import InputError, Problems


class _Invalid:
    """What reading returns where it noted a problem."""


INVALID = _Invalid()


def key(doc: str, default: Any = MISSING, **limits: Any) -> Any:
    """Return a dataclass field that is a key of the file.

    Parameters
    ----------
    doc
        One sentence, for the JSON Schema.
    default
        Value of a key that is left out; without it the key is required.
    limits
        ``above``, ``least``, ``below``, ``most`` of a number; ``pattern`` (a compiled expression) and
        ``form`` (the same in words) of a text; ``at_least`` items of a list; ``kind``, a function that
        returns the `Kind` where hints do not say it; ``hidden=True`` for a field that is no key.
    """
    metadata = {"doc": doc, **limits}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


class Kind(ABC):
    """What a value may be: reads it, says it in words, describes it in JSON Schema."""

    words: str

    @abstractmethod
    def read(self, data: Any, at: str, problems: Problems) -> Any:
        """Return the typed value, or `INVALID` after noting what is wrong."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the value."""

    def refuse(self, data: Any, at: str, problems: Problems) -> _Invalid:
        """Note that the value is of another kind."""
        problems.add(f"{at} needs to be {self.words}; got {_shown(data)}.")
        return INVALID


_LIMITS = {
    "above": ("above", "exclusiveMinimum", lambda value, limit: value > limit),
    "least": ("at least", "minimum", lambda value, limit: value >= limit),
    "below": ("below", "exclusiveMaximum", lambda value, limit: value < limit),
    "most": ("at most", "maximum", lambda value, limit: value <= limit),
}
_SCALARS: dict[type, tuple[str, str]] = {
    bool: ("true or false", "boolean"),
    int: ("a whole number", "integer"),
    float: ("a number", "number"),
    str: ("a text in quotes", "string"),
    Path: ("a path in quotes", "string"),
}


class Scalar(Kind):
    """A text, number, path or truth value, within limits."""

    def __init__(self, type_: type, limits: Mapping[str, Any]) -> None:
        self.type = type_
        self.limits = limits
        bounds = [f"{_LIMITS[name][0]} {limits[name]}" for name in _LIMITS if name in limits]
        words = " and ".join(bounds) or limits.get("form", "")
        self.words = " ".join(filter(None, (_SCALARS[type_][0], words)))

    def read(self, data: Any, at: str, problems: Problems) -> Any:
        """Return the value as its type."""
        if not self._fits(data):
            return self.refuse(data, at, problems)
        return self.type(data)

    def _fits(self, data: Any) -> bool:
        accepted = {float: (float, int), Path: (str,)}.get(self.type, (self.type,))
        if not isinstance(data, accepted) or isinstance(data, bool) is not (self.type is bool):
            return False
        if "pattern" in self.limits and not self.limits["pattern"].fullmatch(data):
            return False
        return all(_LIMITS[name][2](data, self.limits[name]) for name in _LIMITS if name in self.limits)

    def schema(self) -> dict[str, Any]:
        """Return the type and its limits."""
        bounds = {_LIMITS[name][1]: self.limits[name] for name in _LIMITS if name in self.limits}
        pattern = {"pattern": f"^(?:{self.limits['pattern'].pattern})$"} if "pattern" in self.limits else {}
        return {"type": _SCALARS[self.type][1], **bounds, **pattern}


class Choice(Kind):
    """One of a few words."""

    def __init__(self, options: tuple[Any, ...]) -> None:
        self.options = options
        self.words = "one of " + ", ".join(str(option) for option in options)

    def read(self, data: Any, at: str, problems: Problems) -> Any:
        """Return the value where it is one of the options."""
        if any(data == option and type(data) is type(option) for option in self.options):
            return data
        hint = nearest(data, self.options, rest=False)
        problems.add(f"{at} needs to be {self.words}; got {_shown(data)}.{hint}")
        return INVALID

    def schema(self) -> dict[str, Any]:
        """Return the options."""
        return {"enum": list(self.options)}


class Listing(Kind):
    """A list of one kind."""

    def __init__(self, item: Kind, least: int = 0) -> None:
        self.item = item
        self.least = least
        self.words = (
            f"a list, each {item.words}" if not isinstance(item, Table | Tagged) else "a list of tables"
        )

    def read(self, data: Any, at: str, problems: Problems) -> Any:
        """Return the items as a tuple."""
        if not isinstance(data, list):
            return self.refuse(data, at, problems)
        if len(data) < self.least:
            problems.add(f"{at} needs to hold at least {self.least}; got {len(data)}.")
            return INVALID
        items = [self.item.read(item, _numbered(at, n, item), problems) for n, item in enumerate(data, 1)]
        return INVALID if any(item is INVALID for item in items) else tuple(items)

    def schema(self) -> dict[str, Any]:
        """Return the kind of the items."""
        return {
            "type": "array",
            "items": self.item.schema(),
            **({"minItems": self.least} if self.least else {}),
        }


class Names(Kind):
    """A table whose keys are the user's own, such as periods or levels."""

    def __init__(self, item: Kind) -> None:
        self.item = item
        self.words = f"a table of names, each {item.words}"

    def read(self, data: Any, at: str, problems: Problems) -> Any:
        """Return a dictionary in the order of the file."""
        if not isinstance(data, dict):
            return self.refuse(data, at, problems)
        items = {name: self.item.read(item, f"{at}.{name}", problems) for name, item in data.items()}
        return INVALID if any(item is INVALID for item in items.values()) else items

    def schema(self) -> dict[str, Any]:
        """Return the kind of the values."""
        return {"type": "object", "additionalProperties": self.item.schema()}


class Either(Kind):
    """One of several kinds, told apart by the shape of the data."""

    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        self.kinds = kinds
        self.words = " or ".join(kind.words for kind in kinds)

    def read(self, data: Any, at: str, problems: Problems) -> Any:
        """Return what the first kind that fits makes of it; else the closest kind says what is wrong."""
        for kind in self.kinds:
            value = kind.read(data, at, Problems())
            if value is not INVALID:
                return value
        table = next((kind for kind in self.kinds if isinstance(kind, Table | Names)), None)
        if table and isinstance(data, dict):
            return table.read(data, at, problems)
        return self.refuse(data, at, problems)

    def schema(self) -> dict[str, Any]:
        """Return the alternatives."""
        return {"anyOf": [kind.schema() for kind in self.kinds]}


class Anything(Kind):
    """A value that only its owner can judge."""

    words = "a value"

    def read(self, data: Any, at: str, problems: Problems) -> Any:
        """Return it as it is."""
        return data

    def schema(self) -> dict[str, Any]:
        """Return no restriction."""
        return {}


class Table(Kind):
    """A table whose keys are the fields of a dataclass."""

    words = "a table"

    def __init__(self, type_: type) -> None:
        self.type = type_
        hints = get_type_hints(type_)
        self.fields = {
            item.name: item for item in fields(type_) if item.init and not item.metadata.get("hidden")
        }
        self.kinds = {name: kind_of(hints[name], item.metadata) for name, item in self.fields.items()}

    def read(self, data: Any, at: str, problems: Problems) -> Any:
        """Return an instance of the dataclass."""
        values = self.values(data, at, problems)
        if values is INVALID or any(value is INVALID for value in values.values()):
            return INVALID
        try:
            return self.type(**values)
        except InputError as error:
            problems.extend(error.within(at))
        except (TypeError, ValueError) as error:
            problems.add(f"{at}: {error}")
        return INVALID

    def values(self, data: Any, at: str, problems: Problems) -> Any:
        """Return what is given, key by key, `INVALID` where it is missing or wrong."""
        if not isinstance(data, dict):
            return self.refuse(data, at, problems)
        unknown = {name: self._unknown(name, at, problems) for name in data if name not in self.kinds}
        given = {name: kind for name, kind in self.kinds.items() if name in data}
        values = {name: kind.read(data[name], _joined(at, name), problems) for name, kind in given.items()}
        missing = {name: self._missing(name, at, problems) for name in self._required() if name not in data}
        return values | unknown | missing

    def _unknown(self, name: str, at: str, problems: Problems) -> _Invalid:
        what, hint = "key" if at else "section", nearest(name, self.kinds)
        problems.add(f"{_joined(at, name)} needs to be a known {what}; got an unknown one.{hint}")
        return INVALID

    def _missing(self, name: str, at: str, problems: Problems) -> _Invalid:
        problems.add(f"{_joined(at, name)} needs to be {self.kinds[name].words}; got nothing.")
        return INVALID

    def _required(self) -> list[str]:
        return [name for name, item in self.fields.items() if _default(item) is MISSING]

    def schema(self) -> dict[str, Any]:
        """Return the keys, with the sentence and the default of each."""
        told = _documented(self.type)
        properties = {
            name: {**self.kinds[name].schema(), **told.get(name, {}), **_notes(item)}
            for name, item in self.fields.items()
        }
        required = self._required()
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }


class Tagged(Kind):
    """A table whose key `tag` says which dataclass the other keys belong to."""

    words = "a table"

    def __init__(self, tag: str, types_: Mapping[str, type]) -> None:
        self.tag = Choice(tuple(types_))
        self.name = tag
        self.tables = {name: Table(type_) for name, type_ in types_.items()}

    def read(self, data: Any, at: str, problems: Problems) -> Any:
        """Return an instance of the dataclass that the tag names."""
        if not isinstance(data, dict):
            return self.refuse(data, at, problems)
        name = self.tag.read(data.get(self.name, ""), f"{at}.{self.name}", problems)
        if name is INVALID:
            return INVALID
        options = {option: value for option, value in data.items() if option != self.name}
        return self.tables[name].read(options, at, problems)

    def schema(self) -> dict[str, Any]:
        """Return one alternative per tag."""
        return {"oneOf": [self._alternative(name, table) for name, table in self.tables.items()]}

    def _alternative(self, name: str, table: Table) -> dict[str, Any]:
        schema = table.schema()
        doc = (table.type.__doc__ or "").strip().partition("\n")[0]
        properties = {self.name: {"const": name}, **schema["properties"]}
        required = [self.name, *schema.get("required", [])]
        return {**schema, "description": doc, "properties": properties, "required": required}


def kind_of(hint: Any, metadata: Mapping[str, Any]) -> Kind:
    """Return the kind that a type hint means, within the limits of its field."""
    if "kind" in metadata:
        make: Callable[[], Kind] = metadata["kind"]
        return make()
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = tuple(kind_of(part, metadata) for part in arguments if part is not types.NoneType)
        return kinds[0] if len(kinds) == 1 else Either(kinds)
    if origin is Literal:
        return Choice(arguments)
    if origin is tuple:
        return Listing(kind_of(arguments[0], metadata), metadata.get("at_least", 0))
    if origin in (dict, Mapping) or origin is types.MappingProxyType:
        return Names(kind_of(arguments[1], metadata))
    if isinstance(hint, type) and is_dataclass(hint):
        return Table(hint)
    return Scalar(hint, metadata) if hint in _SCALARS else Anything()


def nearest(word: Any, known: Iterable[str], *, rest: bool = True) -> str:
    """Return a hint that names the known word which was probably meant, else all of them (`rest`)."""
    known = [str(name) for name in known]
    if same := meant(word, known):
        return f' Did you mean "{same}"?'
    close = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5)
    if close:
        return f' Did you mean "{close[0]}"?'
    return f" Known: {', '.join(known) or 'none'}." if rest else ""


def _notes(item: Field[Any]) -> dict[str, Any]:
    default = _default(item)
    doc = {"description": item.metadata["doc"]} if "doc" in item.metadata else {}
    plain = isinstance(default, str | int | float | bool | tuple | dict) and default not in ((), {})
    return {**doc, **({"default": list(default) if isinstance(default, tuple) else default} if plain else {})}


def _documented(type_: type) -> dict[str, dict[str, str]]:
    """Read what the numpydoc text of a dataclass says of its fields."""
    text = inspect.cleandoc(type_.__doc__ or "")
    section = re.search(r"^Parameters\n-+\n(.*?)(?=\n\n\w[^\n]*\n-+\n|\Z)", text, re.S | re.M)
    parts = re.findall(r"^(\w[\w, ]*)\n((?: {4}.*(?:\n|\Z)|\n)+)", section[1] if section else "", re.M)
    return {
        name.strip(): {"description": " ".join(said.split())}
        for names, said in parts
        for name in names.split(",")
    }


def _default(item: Field[Any]) -> Any:
    return item.default if item.default_factory is MISSING else item.default_factory()


def _joined(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _numbered(at: str, number: int, item: Any) -> str:
    """Name an item of a list by its number, from 1, and its own name."""
    name = next((item[tag] for tag in ("id", "type") if item.get(tag)), "") if isinstance(item, dict) else ""
    return f"{at}[{number}: {name}]" if name else f"{at}[{number}]"


def _shown(data: Any) -> str:
    if isinstance(data, dict):
        return "a table"
    if isinstance(data, list):
        return "a list"
    if isinstance(data, bool):
        return str(data).lower()
    return f'"{data}"' if isinstance(data, str) else str(data)
