"""What a reader of results has to know, in two languages."""

from __future__ import annotations

import re
from collections.abc import Iterable

from zoo_geo.errors import examples


class Notice(str):
    """A sentence in English that carries the same in Dutch.

    Wherever nobody asks for another language it is a plain string.

    Parameters
    ----------
    en, nl
        The sentence; without Dutch, it is told in English.

    Examples
    --------
    >>> told(Notice("No areas.", "Geen gebieden."), "nl")
    'Geen gebieden.'
    """

    nl: str

    def __new__(cls, en: str, nl: str = "") -> Notice:
        """Keep both."""
        made = super().__new__(cls, en)
        made.nl = nl or en
        return made

    def led_by(self, place: str, plaats: str = "") -> Notice:
        """Return the same, led by the file or table it is about, which may have a name in Dutch."""
        return Notice(f"{place}: {self}", f"{plaats or place}: {self.nl}")


def told(notice: str, language: str) -> str:
    """Return a notice in a language (``en``, ``nl``)."""
    return notice.nl if language == "nl" and isinstance(notice, Notice) else str(notice)


def count(number: float) -> str:
    """Write a whole number in Dutch.

    Examples
    --------
    >>> count(14566)
    '14.566'
    """
    return f"{number:,.0f}".replace(",", ".")


def points(text: str) -> str:
    """Write the thousands of a list of names and numbers in Dutch.

    Examples
    --------
    >>> points("homes 1,200, jobs 3")
    'homes 1.200, jobs 3'
    """
    return re.sub(r"(?<=\d),(?=\d{3})", ".", text)


def share(value: float, digits: int = 0) -> str:
    """Write a share in Dutch."""
    return f"{value:.{digits}%}".replace(".", ",")


def which(values: Iterable[object], total: int | None = None, most: int = 3) -> str:
    """Say how many and which in Dutch, as `errors.examples` does in English.

    Examples
    --------
    >>> which(["a", "b"], 1_600)
    '2 van 1.600; eerst: a, b'
    """
    listed = list(values)
    of = "" if total is None else f" van {count(total)}"
    return f"{count(len(listed))}{of}; eerst: {examples(listed, None, most).partition('; first: ')[2]}"


def figure(indicator: str, period: str) -> str:
    """Name the figures of an indicator and period, without the period where the table has none.

    Examples
    --------
    >>> figure("homes", "2024"), figure("homes", "all")
    ('homes 2024', 'homes')
    """
    return indicator if period == "all" else f"{indicator} {period}"


_AGAINST = {
    "neighbours": "de buren",
    "peers": "vergelijkbare gebieden",
    "national": "alle gebieden samen",
    "model": "wat kenmerken doen verwachten",
    "sar": "de gebieden eromheen (SAR)",
    "sar_lag": "de gebieden eromheen (SAR-lag)",
    "car": "de gebieden eromheen (CAR)",
}


def compared(reference: str) -> str:
    """Say in Dutch what a reference compares with.

    Examples
    --------
    >>> compared("neighbours"), compared("stratum:stedelijkheid")
    ('de buren', 'gebieden van gelijke stedelijkheid')
    """
    kind, _, level = reference.partition(":")
    if kind == "parent":
        return f"de eigen {level}"
    return f"gebieden van gelijke {level}" if kind == "stratum" else _AGAINST.get(kind, reference)
