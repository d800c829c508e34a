"""Direct identifiers that are still in a table: told by column and number of rows, never by value."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from numbers import Real

import numpy as np
import pandas as pd
from scipy import stats

from zoo_geo.errors import DisclosureError
from zoo_geo.pseudonyms import is_identifier_name

_EDGE = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
_NINE = re.compile(_EDGE[0] + r"\d{8,9}" + _EDGE[1])
_EXACTLY_NINE = re.compile(r"\d{9}")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DUTCH = r"(?i:NL[ -]?\d{2}[ -]?[A-Z]{4}(?:[ -]?\d){10})"
_OTHER = r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?"  # in small letters hashes look so too
_IBAN = re.compile(f"{_EDGE[0]}(?:{_DUTCH}|{_OTHER}){_EDGE[1]}")
_MOBILE = re.compile(r"(?<![0-9A-Za-z])(?:\+31|0031|0)[ -]?6(?:[ -]?\d){8}(?!\d)")
_CODE = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_CHANCE = 1e-3
"""Numbers of nine digits that are no BSN pass the eleven test one time in eleven; a column is refused where
so many of its numbers passing would be rarer than this."""
_FEW = 3
_FEW_NUMBERS = 5
_PASSING = "numbers that pass the eleven test (BSN)"


def is_bsn(number: str) -> bool:
    """Say whether a number of eight or nine digits passes the eleven test.

    Examples
    --------
    >>> is_bsn("111222333"), is_bsn("111222334")
    (True, False)
    """
    digits = [int(digit) for digit in number.zfill(9)]
    weighed = sum(weight * digit for weight, digit in zip((9, 8, 7, 6, 5, 4, 3, 2, -1), digits, strict=True))
    return any(digits) and weighed % 11 == 0


def is_iban(text: str) -> bool:
    """Say whether a text is an account number by its check digits (ISO 13616, modulo 97).

    Examples
    --------
    >>> is_iban("NL91 ABNA 0417 1643 00"), is_iban("NL92ABNA0417164300")
    (True, False)
    """
    plain = text.replace(" ", "").replace("-", "")
    turned = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1


def find_leaks(table: pd.DataFrame, known: Collection[str] = ()) -> list[str]:
    """Return what looks like direct identifiers, one sentence per column and kind.

    Looked at are the names of all columns and the values of columns of text; numbers are figures, unless
    whole ones of eight or nine digits, five or more, pass the eleven test nine times in ten. Kinds:
    BSN (eleven test, in more values than chance gives), RINPERSOON and the like (a column of nine-digit
    codes), e-mail, IBAN (check digits), mobile numbers, keyed codes of `pseudonyms`.

    Parameters
    ----------
    table
        Not modified.
    known
        Values that are public codes, such as those of the areas of the map.

    Examples
    --------
    >>> find_leaks(pd.DataFrame({"remark": ["call a.b@example.org", ""], "n": [123456782, 3]}))
    ["column 'remark' needs to hold no e-mail addresses; got some in 1 of 2 rows."]
    """
    return [line for name, column in table.items() for line in _in_column(str(name), column, set(known))]


def check_leaks(table: pd.DataFrame, what: str, known: Collection[str] = ()) -> None:
    """Refuse a table that holds direct identifiers.

    Raises
    ------
    DisclosureError
        See `find_leaks`; what it names is columns and numbers of rows.
    """
    if found := find_leaks(table, known):
        raise DisclosureError("\n".join(f"{what}: {line}" for line in found))


def _in_column(name: str, column: pd.Series, known: set[str]) -> Iterator[str]:
    """Yield what is wrong with one column."""
    if is_identifier_name(name):
        yield f"column {name!r} needs to be no direct identifier; got one by its name ({len(column):,} rows)."
    if column.dtype == "geometry" or pd.api.types.is_bool_dtype(column):
        return
    try:
        at, values = pd.factorize(column)
    except TypeError:  # lists and the like
        at, values = pd.factorize(column.map(str, na_action="ignore"))
    if few := _numbers_of_persons([each for each in values if isinstance(each, Real)]):
        yield f"column {name!r} needs to hold no {_PASSING}; got {few:,} different ones."
    doubtful = np.array([not isinstance(value, Real) and value not in known for value in values], bool)
    texts, rows = list(map(str, values[doubtful])), np.bincount(at[at >= 0], minlength=len(values))[doubtful]
    for what, found in _kinds(texts):
        if found.any():
            yield (
                f"column {name!r} needs to hold no {what}; got some in {rows[found].sum():,} "
                f"of {len(column):,} rows."
            )


def _kinds(texts: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each kind of identifier, and which texts hold one."""
    yield "e-mail addresses", _having(texts, _EMAIL)
    yield (
        "account numbers (IBAN)",
        np.array([any(is_iban(found) for found in _IBAN.findall(text)) for text in texts], bool),
    )
    mobile = _having(texts, _MOBILE)
    yield "mobile numbers", mobile if mobile.sum() >= _FEW else np.zeros(len(texts), bool)
    yield "keyed codes of persons", _having(texts, _CODE)
    bsn = _bsn(texts)
    yield _PASSING, bsn
    if not bsn.any():
        yield "codes of nine digits (such as RINPERSOON)", _nine_digits(texts)


def _having(texts: list[str], form: re.Pattern[str]) -> np.ndarray:
    return np.array([form.search(text) is not None for text in texts], bool)


def _bsn(texts: list[str]) -> np.ndarray:
    """Texts with a BSN, where more numbers pass than chance gives."""
    numbers = [_NINE.findall(text) for text in texts]
    distinct = {number for each in numbers for number in each}
    passing = {number for number in distinct if is_bsn(number)}
    chance = stats.binom.sf(len(passing) - 1, len(distinct), 1 / 11) if passing else 1.0
    if chance > _CHANCE:
        return np.zeros(len(texts), bool)
    return np.array([not passing.isdisjoint(each) for each in numbers], bool)


def _numbers_of_persons(values: list[Real]) -> int:
    """Return how many numbers pass the eleven test, where nearly all do that are as long as a BSN."""
    long = [f"{each:.0f}" for each in map(float, values) if each.is_integer() and 1e7 <= each < 1e9]
    passing = sum(map(is_bsn, long))
    return passing if passing >= max(_FEW_NUMBERS, 0.9 * len(long)) else 0


def _nine_digits(texts: list[str]) -> np.ndarray:
    """Texts of exactly nine digits, where nearly all texts are."""
    nine = np.array([_EXACTLY_NINE.fullmatch(text) is not None for text in texts], bool)
    given = sum(text != "" for text in texts)
    return nine if nine.sum() >= max(_FEW, 0.9 * given) else np.zeros(len(texts), bool)
