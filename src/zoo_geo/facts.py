"""The values of a row that are there, and how they are written in English and Dutch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd

from zoo_geo.phrases import WORDS

Language = Literal["en", "nl"]
Row = Mapping[str, Any]

GROUP_DETECTORS = ("getis_ord", "local_moran", "local_join_counts", "emerging")
"""Detectors whose p is that of a group of neighbours."""


def number(value: float, lang: Language = "en", digits: int = 3) -> str:
    """Write a number with some significant digits and the marks of the language.

    Examples
    --------
    >>> number(1234.5, "nl", 5), number(0.03712, "en", 2)
    ('1.234,5', '0.037')
    """
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    decimals = max(0, digits - 1 - magnitude)
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.translate(str.maketrans(",.", ".,")) if lang == "nl" else text


class Facts:
    """The values of a row that are there, and the words of the language."""

    def __init__(self, row: Row, lang: Language) -> None:
        self.row = row
        self.lang = lang

    def get(self, name: str) -> Any:  # noqa: ANN401
        """Return a value, or None where there is none."""
        value = self.row.get(name)
        return None if pd.isna(value) or value == "" else value

    def has(self, *names: str) -> bool:
        """Tell whether all of these are there."""
        return all(self.get(name) is not None for name in names)

    def say(self, words: str, **values: object) -> str:
        """Fill in a phrase."""
        return WORDS[self.lang][words].format(**values)

    def number(self, value: float, digits: int = 3) -> str:
        """Write a number."""
        return number(float(value), self.lang, digits)

    def count(self, name: str) -> str:
        """Write a count in full, a value with three digits."""
        value = float(self.get(name))
        return self.number(value, 15 if value == round(value) else 3)

    @property
    def family(self) -> str:
        """Family of the indicator."""
        return str(self.get("family") or "poisson")

    @property
    def in_group(self) -> bool:
        """Whether the p is that of a group of neighbours."""
        return self.get("detector") in GROUP_DETECTORS

    @property
    def in_cluster(self) -> bool:
        """Whether the p is that of a cluster anywhere on the map."""
        return self.get("method") == "family" and self.has("cluster_areas")

    @property
    def together(self) -> bool:
        """Whether the cluster is one of several periods."""
        return self.has("start", "end") and self.get("start") != self.get("end")

    @property
    def before(self) -> bool:
        """Whether a period is held against earlier ones only."""
        return self.get("history") == "before"

    @property
    def kind(self) -> str:
        """Detector that the row is of, without what tells scans apart."""
        return detector_kind(str(self.get("detector") or ""))

    @property
    def other(self) -> str:
        """The other indicator, when the p is about that figure of the neighbours."""
        return other_in(str(self.get("reference") or ""))

    @property
    def low(self) -> bool:
        """Whether the area is lower than expected."""
        return self.get("direction") == "low"

    def none(self, name: str) -> bool:
        """Whether a ratio is that of no events at all; a value of zero is seen like any other."""
        return bool(self.get(name) == 0 and self.family != "gaussian")

    def rate(self, name: str, *, unit: bool = False) -> str:
        """Write a rate with what it is per, or nothing where the row does not hold it."""
        if not self.has(name):
            return ""
        value, per = self.number(self.get(name)), self.get("per")
        if self.family == "gaussian" or per is None:
            return value + (self.unit if unit else "")
        if self.family == "binomial" and per == 100:
            return self.say("percentage", value=value)
        return self.say("rate", value=value, per=self.number(per, 15), unit=self.unit if unit else "")

    @property
    def unit(self) -> str:
        """What the exposure counts, or the unit of a measured value, after a space."""
        return f" {self.get('unit')}" if self.has("unit") else ""


def detector_kind(name: str) -> str:
    """Return the detector that a name is of: those of scans go on with direction and time.

    Examples
    --------
    >>> detector_kind("scan_low_prospective"), detector_kind("trend")
    ('scan', 'trend')
    """
    return next((kind for kind in ("graph_scan", "scan") if f"{name}_".startswith(f"{kind}_")), name)


def other_in(reference: str) -> str:
    """Return the other indicator that a reference names, or nothing."""
    kind, _, other = reference.partition(":")
    return other if kind == "other" else ""
