"""What a column of figures is: indicators, their families, and options given once or by indicator."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoo_geo.checks import nearest_name
from zoo_geo.errors import Problems

FAMILIES = {"poisson": 1000.0, "binomial": 100.0, "gaussian": 1.0}
"""Family to the exposure that values are per, unless the caller says otherwise."""


@dataclass(frozen=True)
class Indicator:
    """What a column of figures is.

    Parameters
    ----------
    id
        Short name, as in the study file.
    family
        ``poisson`` (whole counts per exposure), ``binomial`` (count out of exposure) or ``gaussian``
        (value, exposure is its weight).
    per
        Exposure that values are shown per, e.g. 1000 residents.
    title
        Title for readers.
    unit
        What one unit of it is.
    theme
        What it belongs to, for combinations of a theme's indicators.
    """

    id: str
    family: str = "poisson"
    per: float = 1000.0
    title: str = ""
    unit: str = ""
    theme: str = ""


def read_indicators(
    ids: Iterable[str],
    family: str | Mapping[str, str],
    per: float | Mapping[str, float] | None,
    titles: Mapping[str, str] | None,
    themes: str | Mapping[str, str] | None,
    problems: Problems,
) -> tuple[Indicator, ...]:
    """Return the indicators, and note what is wrong with their options."""
    listed = list(ids)
    if not listed:
        problems.add("observed needs to name an indicator; got none.")
    families = one_each("family", family, listed, problems)
    pers = one_each("per", per, listed, problems)
    texts = one_each("titles", titles, listed, problems)
    kinds = one_each("themes", themes, listed, problems)
    made = [
        _indicator(id, families.get(id) or "poisson", pers.get(id), texts.get(id) or "", problems)
        for id in listed
    ]
    return tuple(replace(each, theme=kinds.get(each.id) or "") for each in made)


def one_each(option: str, given: object, ids: list[str], problems: Problems) -> dict[str, Any]:
    """Return an option by indicator, whether it is given once or by indicator."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(ids, given)
    for id in given:
        if id not in ids:
            listed, hint = ", ".join(ids), nearest_name(str(id), ids)
            problems.add(f"{option} needs to name indicators ({listed}); got {id!r}.{hint}")
    return dict(given)


def _indicator(id: str, family: str, per: float | None, title: str, problems: Problems) -> Indicator:
    """Return one indicator with the default of its family, and note options that cannot be."""
    if family not in FAMILIES:
        hint = nearest_name(str(family), FAMILIES)
        problems.add(f"family of {id!r} needs to be {', '.join(FAMILIES)}; got {family!r}.{hint}")
        family = "poisson"
    per = FAMILIES[family] if per is None else per
    if isinstance(per, bool) or not isinstance(per, (int, float)) or not 0 < per < math.inf:
        problems.add(f"per of {id!r} needs to be a number above 0; got {per!r}.")
        per = FAMILIES[family]
    return Indicator(id, family, float(per), title)
