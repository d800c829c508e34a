"""What the local statistics share: the values they run on, their options, and their results.

Under the conditional null local Moran, G and G* have one and the same two-sided p, because the own
value only shifts or scales the lag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy import sparse

from zoo_geo import expectation as ex
from zoo_geo import references
from zoo_geo.detectors.base import options, spread_out
from zoo_geo.detectors.draws import Inferred, Plan
from zoo_geo.detectors.inputs import (
    ISOLATED,
    OK,
    Inputs,
    blocks,
    column_status,
    lonely,
    matrix,
    parents,
    places,
)
from zoo_geo.errors import InputError
from zoo_geo.predictive import FAMILIES

Value = Literal["residual", "rate", "eb_rate"]
OUTER_RING = 3
CAP = 4.0
"""Residuals are capped here, so that one area alone does not make its neighbourhood hot."""

_FOR_GROUPS = ex.Options(groups=True, response=False, heavy=False)
"""A response to exposure would take away what areas with many residents share because they lie together."""

_LONG = 50_000
"""Shorter columns are scored faster by one thread than by several that wait for each other."""

OWN = ("permutations", "residual", "group_observed", "group_expected", "group_ratio")
"""Columns of their own."""

_BESIDE = (
    "expected", "ratio", "ratio_low", "ratio_high", "residual",
    "group_observed", "group_expected", "group_ratio",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Fields:
    """The values that a local statistic runs on.

    Parameters
    ----------
    values
        Shape (n, n_columns); NaN where the status is not ok.
    status
        Status of each cell.
    calm
        What the null draws, where that differs from ``values``: see `_calm`.
    beside
        Columns that residuals bring: the expectation, its interval, and that of the group.
    """

    values: np.ndarray
    status: np.ndarray
    calm: np.ndarray | None = None
    beside: dict[str, np.ndarray | None] = field(default_factory=lambda: dict.fromkeys(_BESIDE))


def check(detector: Any) -> None:  # noqa: ANN401
    """Check the options that local statistics share."""
    known: dict[str, tuple[object, ...]] = {
        "value": ("residual", "rate", "eb_rate"),
        "alternative": ("two-sided", "greater", "less"),
        "inference": ("permutation", "moments", "normal"),
    }
    options(**{
        name: (getattr(detector, name), choices) for name, choices in known.items() if hasattr(detector, name)
    })  # fmt: skip
    check_draws(detector.permutations, detector.stop_above)


def check_draws(permutations: int, stop_above: float | None) -> None:
    """Check how many draws are asked for, and when they may stop."""
    whole = isinstance(permutations, (int, np.integer)) and not isinstance(permutations, bool)
    if not whole:
        raise InputError(f"permutations needs to be a whole number; got {permutations!r}.")
    if stop_above is not None and not isinstance(stop_above, (int, float, np.number)):
        raise InputError(f"stop_above needs to be a p between 0 and 1, or None; got {stop_above!r}.")
    if not 19 <= permutations <= 10_000_000:
        raise InputError(f"permutations needs to be between 19 and 10,000,000; got {permutations:,}.")
    if stop_above is not None and not 0 < stop_above < 1:
        raise InputError(f"stop_above needs to be a p between 0 and 1, or None; got {stop_above}.")


def plan(detector: Any, seed: int, n_jobs: int) -> Plan:  # noqa: ANN401
    """Return how a detector finds p."""
    return Plan(
        detector.permutations, detector.inference, detector.stop_above, detector.alternative, seed, n_jobs
    )


def fields(inputs: Inputs, value: Value, n_jobs: int) -> Fields:
    """Turn a panel into what a local statistic runs on; kept for the next one."""
    key = ("fields", value)
    if key not in inputs.kept:
        inputs.kept[key] = _fields(inputs, value, n_jobs)
    return inputs.kept[key]


def _fields(inputs: Inputs, value: Value, n_jobs: int) -> Fields:
    status = column_status(inputs)
    if value != "residual":
        return Fields(np.where(status == OK, _rates(inputs, status, value), np.nan), status)
    found, calm, expected, low, high = (np.full(status.shape, np.nan, order="F") for _ in range(5))
    touching = matrix(inputs)
    near: list[references.Reference] = [references.annulus(touching, ring) for ring in (2, OUTER_RING)]
    wider = [references.everybody(inputs.codes.size), *parents(inputs)]
    points = places(inputs)

    def block(work: tuple[str, np.ndarray]) -> None:
        family, columns = FAMILIES[work[0]], work[1]
        valid = status[:, columns] == OK
        figures = inputs.observed[:, columns], inputs.exposure[:, columns]
        figures = figures[0], ex.steadied(*figures, valid, family, near[-1])
        fit = ex.expect(*figures, valid, family, near, wider, _FOR_GROUPS, touching, points)
        away = ex.residuals(*figures, valid, family, ex.shared(fit, valid, touching))
        found[:, columns] = np.clip(away, -CAP, CAP)
        calm[:, columns] = _calm(found[:, columns], ex.odd_together(away, touching))
        expected[:, columns] = fit.rate * (1.0 if family.name == "gaussian" else figures[1])
        low[:, columns], high[:, columns] = ex.intervals(*figures, valid, family, fit)

    spread_out(block, blocks(inputs, n_jobs), n_jobs)
    residual = np.where(status == OK, found, np.nan)
    return Fields(residual, status, calm, _beside(inputs, residual, expected, low, high))


def _calm(values: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """Put evenly spaced values of calm areas in the place of those of groups that are odd.

    The null then is that of a calm map, and a large cluster does not hide a small one; who is drawn stays
    the same for all columns.
    """
    calm = values.copy()
    for c in range(values.shape[1]):
        known = np.isfinite(values[:, c])
        out, kept = known & odd[:, c], known & ~odd[:, c]
        if out.any() and kept.any():
            at = (np.arange(out.sum()) + 0.5) / out.sum()
            calm[out, c] = np.quantile(values[kept, c], at)
    return calm


def _rates(inputs: Inputs, status: np.ndarray, value: Value) -> np.ndarray:
    """Raw or empirical-Bayes standardised rates (Assuncao and Reis 1999)."""
    ok = status == OK
    size = np.where(ok & ~inputs.is_value(), inputs.exposure, 1.0)
    rate = np.where(ok, inputs.observed, 0.0) / size
    if value == "rate":
        return rate
    with np.errstate(divide="ignore", invalid="ignore"):
        total = references.totals(np.where(ok, size, 0.0))
        mean = references.totals(np.where(ok, rate * size, 0.0)) / total
        between = (
            references.totals(np.where(ok, size * (rate - mean) ** 2, 0.0)) / total - mean * ok.sum(0) / total
        )
        variance = between + mean / size
        variance = np.where(variance < 0, mean / size, variance)
        return (rate - mean) / np.sqrt(variance)


def statuses(inputs: Inputs, fields: Fields, found: Inferred) -> np.ndarray:
    """Status of every cell, areas without a neighbour that has a value marked as isolated."""
    ok = fields.status == OK
    status = fields.status.astype(np.int8, order="F")
    for c, null in enumerate(found.nulls):
        status[ok[:, c] & (null.rows.degree == 0), c] = ISOLATED
    empty = np.flatnonzero(~ok.any(axis=0))
    if empty.size:  # no neighbour at all comes before a column that says nothing
        alone = lonely(inputs, matrix(inputs))[:, empty]
        status[:, empty] = np.where(alone, ISOLATED, status[:, empty])
    return status


@dataclass(frozen=True, eq=False)
class Column:
    """What a local statistic says of one column; arrays of shape (n,).

    ``label`` numbers the detector's classes; ``side`` is 1 where the area is high, -1 where it is low.
    """

    statistic: np.ndarray
    z: np.ndarray
    p_value: np.ndarray
    label: np.ndarray
    side: np.ndarray


def each_column(score: Callable[[int], Column], shape: tuple[int, ...], n_jobs: int) -> dict[str, np.ndarray]:
    """Score columns in threads; arrays of shape (n, n_columns) by name."""
    out = {name: np.empty(shape, order="F") for name in ("statistic", "z", "p_value")}
    out |= {name: np.empty(shape, np.int8, order="F") for name in ("label", "side")}

    def work(c: int) -> None:
        column = score(c)
        for name, array in out.items():
            array[:, c] = getattr(column, name)

    spread_out(work, range(shape[1]), n_jobs if shape[0] >= _LONG else 1)
    return out


def moran(found: Inferred, c: int, own: np.ndarray | None = None) -> Column:
    """Local Moran of one column: deviation of its own (or other) values times the row-standardised lag.

    Both with mean 0 and standard deviation 1 (n - 1).
    """
    from zoo_geo.kernels.permutation import standardize
    from zoo_geo.kernels.standing import quadrants, signs

    standing, null = found.column(c), found.nulls[c]
    x = found.columns[c].x if own is None else standardize(own)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        around = np.nan_to_num(standing.value / null.rows.sums[0])
    count = max(int(null.rows.valid.sum()), 1)
    side = signs(x)
    statistic = x * around * ((count - 1) / count)
    return Column(statistic, standing.z(side), found.p(standing, side), quadrants(side, signs(around)), side)


QUADRANTS = ("none", "HH", "LL", "HL", "LH")


def reference(value: Value) -> str:
    """Name what a local statistic compares with."""
    return "surroundings" if value == "residual" else "all areas"


def shown(fields: Fields, found: Inferred) -> dict[str, np.ndarray | None]:
    """Columns beside the statistic: draws, the area's own expectation, and the group with its neighbours."""
    return {**fields.beside, "permutations": np.where(fields.status == OK, found.drawn, np.nan)}


def _beside(
    inputs: Inputs, residual: np.ndarray, expected: np.ndarray, low: np.ndarray, high: np.ndarray
) -> dict[str, np.ndarray | None]:
    """Expectation of each area, and of the group with its neighbours."""
    weights = matrix(inputs)
    ok = np.isfinite(residual) & np.isfinite(expected)
    size = np.where(inputs.is_value(), inputs.exposure, 1.0)
    seen = np.where(ok, inputs.observed * size, 0.0)
    led_to = np.where(ok, expected * size, 0.0)
    near = sparse.csr_array((np.ones_like(weights.data), weights.indices, weights.indptr), weights.shape)
    whole = near @ np.where(ok, size, 0.0) + np.where(ok, size, 0.0) if inputs.is_value().any() else 1.0
    divide_by = np.where(inputs.is_value(), whole, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        group_seen = np.where(ok, (near @ seen + seen) / divide_by, np.nan)
        group_expected = np.where(ok, (near @ led_to + led_to) / divide_by, np.nan)
        ratio = inputs.observed / expected
        group_ratio = group_seen / group_expected
    return {
        "expected": np.where(ok, expected, np.nan),
        "ratio": np.where(ok, ratio, np.nan),
        "ratio_low": low,
        "ratio_high": high,
        "residual": np.where(ok, residual, np.nan),
        "group_observed": group_seen,
        "group_expected": group_expected,
        "group_ratio": group_ratio,
    }
