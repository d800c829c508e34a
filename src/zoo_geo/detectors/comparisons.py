"""Figures of a block of columns beside what is expected of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zoo_geo import expectation as ex
from zoo_geo.detectors.base import Alternative, spread_out
from zoo_geo.detectors.inputs import OK, Inputs, matrix
from zoo_geo.detectors.sources import Block, Fitted
from zoo_geo.predictive import Binomial, Gaussian, Poisson
from zoo_geo.response import Hidden

RESULTS = (
    "expected", "ratio", "ratio_low", "ratio_high", "z", "p_value", "spread", "reference_value"
)  # fmt: skip
"""Columns of the frame, in the order of the rows of `zoo_geo.kernels.comparing`."""
_ASKED = {"greater": 1, "less": -1, "two-sided": 0}


def compare(
    fitted: Fitted,
    given: Block,
    valid: np.ndarray,
    per: np.ndarray,
    integrate: bool,
    alternative: Alternative,
) -> np.ndarray:
    """Compare figures with their expectation, shape (n_results, n_columns, n_areas); NaN where not valid."""
    fit, block = fitted.fit, fitted.block
    sure = fit if integrate else fitted.summed().fit
    if fitted.added is not None and isinstance(block.family, Gaussian):
        fit = replace(fit, rate=fit.rate + fitted.added)
    if not isinstance(block.family, Poisson) or isinstance(block.family, Binomial):
        return _of_others(fit, sure, block, given, valid, per, alternative)
    table = np.empty((len(RESULTS), *valid.T.shape))
    for c in range(valid.shape[1]):
        _of_counts(c, fit, sure, block, given, valid, float(per[c]), alternative, table[:, c])
    return table


def _of_counts(
    c: int,
    fit: ex.Expectation,
    sure: ex.Expectation,
    block: Block,
    given: Block,
    valid: np.ndarray,
    per: float,
    alternative: Alternative,
    out: np.ndarray,
) -> None:
    """Results of one column of counts, worked out in the order of counts; as `compare`."""
    from zoo_geo.kernels.comparing import put_together
    from zoo_geo.kernels.layout import at_rows, by_count

    def column(*tables: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.ascontiguousarray(each[:, c]) for each in tables)

    law = fit.laws[c]
    observed, size, known, people = column(block.observed, block.size, valid, given.size)
    rate, strength, spread = column(fit.rate, fit.strength, fit.spread)
    rows = by_count(observed, known)
    seen, there, led, behind, own = at_rows(rows, observed, size, rate, strength, spread)
    certain, varying = behind, own
    if sure is not fit:
        certain, varying = (each[rows] for each in column(sure.strength, sure.spread))
    log_p, upper = ex.tails_of(seen, there, led, certain, varying, block.family, law, np.inf)
    z, p = signed(log_p, upper, alternative)
    if isinstance(law, Hidden):
        times = ex.typical(law, size)
        rate, led = rate * times, led * times[rows]
    low, high = block.family.interval(seen, there, led, behind, own, np.inf)
    put_together(observed, size, people, known, rate, spread, per, rows, low, high, z, p, out)


def _of_others(
    fit: ex.Expectation,
    sure: ex.Expectation,
    block: Block,
    given: Block,
    valid: np.ndarray,
    per: np.ndarray,
    alternative: Alternative,
) -> np.ndarray:
    """Results of columns of shares or values; as `compare`."""
    is_value = isinstance(block.family, Gaussian)
    z, p = np.full(valid.shape, np.nan), np.full(valid.shape, np.nan)
    for c in range(valid.shape[1]):
        rows = np.flatnonzero(valid[:, c])
        log_p, upper = ex.tails(block.observed, block.size, block.family, sure, rows, c)
        z[rows, c], p[rows, c] = signed(log_p, upper, alternative)
    expected = np.where(valid, fit.rate * (1.0 if is_value else block.size), np.nan)
    low, high = ex.intervals(given.observed, block.size, valid, block.family, fit)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(np.isfinite(high), given.observed / expected, np.nan)
        rate = expected if is_value else expected / given.size * per
    spread = np.where(valid, fit.spread, np.nan)
    return np.stack([each.T for each in (expected, ratio, low, high, z, p, spread, rate)])


def signed(log_p: np.ndarray, upper: np.ndarray, alternative: Alternative) -> tuple[np.ndarray, np.ndarray]:
    """Turn logs of the smaller mid tails and their sides into z and p."""
    from zoo_geo.kernels import normal

    z, p = np.empty(log_p.size), np.empty(log_p.size)
    normal.signed(log_p, upper, _ASKED[alternative], z, p)
    return z, p


def next_door(inputs: Inputs, n_jobs: int) -> dict[str, np.ndarray]:
    """Figures of the direct neighbours: how many have one, and their rate together; references share them."""
    if "next door" not in inputs.kept:
        weights, is_value = matrix(inputs), inputs.is_value()
        ends = np.stack([weights.indptr[:-1], weights.indptr[1:]])
        figures = inputs.observed, inputs.exposure, inputs.status == OK
        per = np.where(is_value, 1.0, inputs.per())
        number, value = figures_next_door(ends, weights.indices, *figures, is_value, per, n_jobs)
        inputs.kept["next door"] = {"n_neighbors": number, "neighbors_value": value}
    return dict(inputs.kept["next door"])


def figures_next_door(
    ends: np.ndarray,
    neighbours: np.ndarray,
    observed: np.ndarray,
    exposure: np.ndarray,
    known: np.ndarray,
    weighed: np.ndarray,
    per: np.ndarray,
    n_jobs: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """How many neighbours of each area have a figure, and their rate together per ``per``.

    Those of area i lie at ``ends[0, i]`` up to ``ends[1, i]`` of ``neighbours``. Figures and exposures have
    shape (n, n_columns), as both results. Figures of a column that is ``weighed`` count as often as their
    exposure, and their mean is taken.
    """
    from zoo_geo.kernels.layout import into_areas
    from zoo_geo.kernels.rings import LANES, ring_sums

    given = ends[0], neighbours, ends[1][:, None]
    starts, beside, last = (np.ascontiguousarray(each, np.uint32) for each in given)
    n = ends.shape[1]
    number, value = (np.empty(observed.shape) for _ in range(2))
    number[:] = (ends[1] - ends[0])[:, None]

    def summed(rows: list[np.ndarray]) -> np.ndarray:
        parts, there = np.zeros((LANES, n)), np.empty((LANES, 1, n))
        parts[: len(rows)] = rows
        ring_sums(starts, beside, last, parts, there)
        return there[: len(rows), 0]

    def figures(columns: np.ndarray) -> None:
        rows = []
        for c in columns:
            size = np.where(known[:, c], exposure[:, c], 0.0)
            events = observed[:, c] * (size if weighed[c] else per[c])
            rows += [np.where(known[:, c], events, 0.0), size]
        sums = summed(rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            into_areas(sums[::2] / sums[1::2], columns, value)

    def numbers(columns: np.ndarray) -> None:
        into_areas(summed([known[:, c].astype(float) for c in columns]), columns, number)

    def blocks(columns: np.ndarray, size: int) -> list[np.ndarray]:
        return [columns[start : start + size] for start in range(0, columns.size, size)]

    spread_out(numbers, blocks(np.flatnonzero(~known.all(axis=0)), LANES), n_jobs)
    spread_out(figures, blocks(np.arange(known.shape[1]), LANES // 2), n_jobs)
    return number, value
