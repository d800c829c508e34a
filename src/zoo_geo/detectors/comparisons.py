"""Figures of a block of columns beside what is expected of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zoo_geo import expectation as ex
from zoo_geo.detectors.base import Alternative
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
    found = np.empty((4, rows.size))
    log_p, upper = ex.tails_of(seen, there, led, certain, varying, block.family, law, np.inf)
    found[2], found[3] = signed(log_p, upper, alternative)
    if isinstance(law, Hidden):
        times = ex.typical(law, size)
        rate, led = rate * times, led * times[rows]
    found[0], found[1] = block.family.interval(seen, there, led, behind, own, np.inf)
    put_together(observed, size, people, known, rate, spread, per, rows, found, out)


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


def next_door(inputs: Inputs) -> dict[str, np.ndarray]:
    """Figures of the direct neighbours: how many have one, and their rate together; references share them."""
    if "next door" not in inputs.kept:
        inputs.kept["next door"] = _figures_next_door(inputs)
    return dict(inputs.kept["next door"])


def _figures_next_door(inputs: Inputs) -> dict[str, np.ndarray]:
    """How many neighbours of each area have a figure, and their rate together."""
    from zoo_geo.kernels import comparing

    weights, is_value = matrix(inputs), inputs.is_value()
    number, value = (np.empty(inputs.observed.shape) for _ in range(2))
    columns = (inputs.observed, inputs.exposure, inputs.status == OK)
    observed, exposure, known = (np.ascontiguousarray(each.T) for each in columns)
    indptr, indices = weights.indptr.astype(np.int64), weights.indices.astype(np.int64)
    per = np.where(is_value, 1.0, inputs.per())
    comparing.next_door(indptr, indices, observed, exposure, known, is_value, per, number, value)
    return {"n_neighbors": number, "neighbors_value": value}
