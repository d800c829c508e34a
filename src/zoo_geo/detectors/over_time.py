"""What detectors over time share: the series of each indicator, whose course is common, and broken series."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from scipy import sparse, special

from zoo_geo import references
from zoo_geo.courses import Series
from zoo_geo.detectors.base import Alternative
from zoo_geo.detectors.inputs import OK, Inputs, lonely, matrix, parents
from zoo_geo.errors import InputError
from zoo_geo.notices import Notice, count
from zoo_geo.predictive import FAMILIES

GRAPHS = ("neighbours", "peers")
OWN = "own history"
"""Reference of a series that is compared with nobody else's."""
_YEAR = re.compile("(1[5-9]|20|21)[0-9]{2}")


def check_reference(reference: str, rings: int) -> None:
    """Check whose common course is taken."""
    kind, _, level = reference.partition(":")
    if reference not in (*GRAPHS, "national") and not (kind == "parent" and level):
        raise InputError(
            f"reference needs to be 'neighbours', 'peers', 'national' or 'parent:LEVEL'; got {reference!r}."
        )
    if isinstance(rings, bool) or not isinstance(rings, int) or not 1 <= rings <= 5:
        raise InputError(f"rings needs to be between 1 and 5; got {rings!r}.")


def periods(inputs: Inputs) -> list[str]:
    """Periods of the panel, in order."""
    first = inputs.columns[0][0] if inputs.columns else None
    return [period for indicator, period in inputs.columns if indicator is first]


def times(inputs: Inputs) -> np.ndarray:
    """Time of each period: its year where all periods are years, else its place."""
    names = periods(inputs)
    return np.array(names, dtype=float) if are_years(names) else np.arange(float(len(names)))


def are_years(names: Iterable[str]) -> bool:
    """Say whether all periods are years of four digits, so that a slope is one a year, not a period.

    Examples
    --------
    >>> are_years(["2000", "2005"]), are_years(["202212", "202301"]), are_years(["1", "2"])
    (True, False, False)
    """
    return all(_YEAR.fullmatch(name) for name in names)


def columns_of(inputs: Inputs, k: int) -> slice:
    """Columns of one indicator, one a period."""
    count = len(periods(inputs))
    return slice(k * count, (k + 1) * count)


def segments(inputs: Inputs) -> np.ndarray:
    """Number of the stretch of comparable periods that a period belongs to, shape (n, n_periods)."""
    shape = (inputs.codes.size, len(periods(inputs)))
    if inputs.breaks is None:
        return np.zeros(shape, np.int64)
    return np.cumsum(inputs.breaks & (np.arange(shape[1]) > 0), axis=1)


def series(inputs: Inputs, k: int) -> Series:
    """Figures of one indicator over all periods."""
    at, family = columns_of(inputs, k), FAMILIES[inputs.indicators[k].family]
    observed, size = (np.ascontiguousarray(x[:, at]) for x in (inputs.observed, inputs.exposure))
    return Series(observed, size, np.ascontiguousarray(inputs.status[:, at] == OK), segments(inputs), family)


Common = tuple[references.Reference | None, list[references.Reference]]
"""Areas whose course is taken, and the wider ones that it is shrunk to, widest first."""


def common(inputs: Inputs, reference: str, rings: int) -> Common:
    """Areas whose course an area is held against, and the wider ones that it is shrunk to, widest first."""
    nation: list[references.Reference] = [references.everybody(inputs.codes.size)]
    if reference == "national":
        return None, nation
    if reference.startswith("parent:"):
        return references.group(inputs.labels(reference.partition(":")[2])), nation
    if reference == "peers":
        return matrix(inputs), nation
    return references.rings(matrix(inputs), rings)[-1], nation + parents(inputs)


def named(reference: str, inputs: Inputs) -> str:
    """Name of the reference: that of peers where they were given."""
    return "peers" if inputs.peers is not None and reference == "neighbours" else reference


def isolated(inputs: Inputs, near: references.Reference | None) -> np.ndarray:
    """Cells of areas that no other figure is near, shape (n, n_columns)."""
    if isinstance(near, sparse.csr_array):
        return lonely(inputs, near)
    known = (inputs.status == OK).astype(float)
    whole = references.everybody(inputs.codes.size) if near is None else near
    return (known > 0) & (whole @ known <= 0)


def broken(inputs: Inputs, what: str) -> list[Notice]:
    """Say how many series are broken, and that nothing is compared across a break."""
    if inputs.breaks is None or not inputs.breaks[:, 1:].any():
        return []
    cut, some = inputs.breaks[:, 1:].any(axis=1), np.flatnonzero(inputs.breaks[:, 1:].any(axis=0))
    names = periods(inputs)
    when = [names[t + 1] for t in some]
    total, listed = int(cut.sum()), ", ".join(when)
    return [
        Notice(
            f"{what}: the boundary of {total:,} of {cut.size:,} areas changed ({listed}); periods before and "
            "after it are not compared.",
            f"{what}: de grens van {count(total)} van {count(cut.size)} gebieden is veranderd ({listed}); "
            "perioden "
            "ervoor en erna worden niet met elkaar vergeleken.",
        )
    ]


def signed(log_p: np.ndarray, upper: np.ndarray, alternative: Alternative) -> tuple[np.ndarray, np.ndarray]:
    """Turn log mid tails and their side into z and p."""
    z = np.where(upper, -1.0, 1.0) * special.ndtri_exp(log_p)
    tail = np.exp(log_p)
    if alternative == "two-sided":
        p = np.minimum(2.0 * tail, 1.0)
    else:
        p = np.where(upper == (alternative == "greater"), tail, 1.0 - tail)
    return z, np.maximum(p, 1e-300)
