"""What local Moran and Getis-Ord share: the values they run on, and inference for the lag.

Under the conditional null local Moran, G and G* have one and the same two-sided p, because the own
value only shifts or scales the lag. So the lag's inference is made here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from scipy import sparse

from zoo_geo import expectation as ex
from zoo_geo import references
from zoo_geo.detectors.base import Alternative, options, spread_out
from zoo_geo.detectors.inputs import ISOLATED, OK, Inputs, blocks, column_status, lonely, matrix, parents
from zoo_geo.errors import InputError
from zoo_geo.predictive import FAMILIES

Value = Literal["residual", "rate", "eb_rate"]
OUTER_RING = 3
CAP = 3.0
"""Residuals are capped here, so that one area alone does not make its neighbourhood hot."""
_DRAWS = 131_072
_MOST_POSITIONS = 2**24
_TIE = 1e-9


@dataclass(frozen=True, eq=False)
class Fields:
    """The values that a local statistic runs on.

    Parameters
    ----------
    values
        Shape (n, n_columns); NaN where the status is not ok.
    expected, low, high
        Expected counts (gaussian: values) behind residuals, and the 95 % interval of observed over
        expected; NaN for rates.
    status
        Status of each cell.
    """

    values: np.ndarray
    expected: np.ndarray
    low: np.ndarray
    high: np.ndarray
    status: np.ndarray


def check(value: str, alternative: str, permutations: int) -> None:
    """Check the options that local statistics share."""
    options(
        value=(value, ("residual", "rate", "eb_rate")),
        alternative=(alternative, ("two-sided", "greater", "less")),
    )
    if not 19 <= permutations <= 10_000_000:
        raise InputError(f"permutations needs to be between 19 and 10,000,000; got {permutations:,}.")


def fields(inputs: Inputs, value: Value, n_jobs: int) -> Fields:
    """Turn a panel into what a local statistic runs on."""
    status = column_status(inputs)
    found, expected, low, high = (np.full(status.shape, np.nan) for _ in range(4))
    if value == "residual":
        near: list[references.Reference] = [references.annulus(matrix(inputs), OUTER_RING)]
        wider = [references.everybody(inputs.codes.size), *parents(inputs)]

        def block(work: tuple[str, np.ndarray]) -> None:
            family, columns = FAMILIES[work[0]], work[1]
            valid = status[:, columns] == OK
            figures = inputs.observed[:, columns], inputs.exposure[:, columns]
            figures = figures[0], ex.steadied(*figures, valid, family, near[0])
            fit = ex.expect(*figures, valid, family, near, wider)
            found[:, columns] = np.clip(ex.residuals(*figures, valid, family, fit), -CAP, CAP)
            expected[:, columns] = fit.rate * (1.0 if family.name == "gaussian" else figures[1])
            low[:, columns], high[:, columns] = ex.intervals(*figures, valid, family, fit)

        spread_out(block, blocks(inputs), n_jobs)
    else:
        found = _rates(inputs, status, value)
    return Fields(np.where(status == OK, found, np.nan), expected, low, high, status)


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


@dataclass(frozen=True, eq=False)
class LagInference:
    """Lag of every area and its place in the null; arrays of shape (n, n_columns).

    Parameters
    ----------
    lag, mean, variance
        Weighted sum over the neighbours (total null: and the area itself), and its exact moments.
    above, below
        Null sums at or above, at or below the lag.
    degree
        Neighbours that have a value.
    weight
        Sum of the weights of these.
    """

    lag: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    above: np.ndarray
    below: np.ndarray
    degree: np.ndarray
    weight: np.ndarray

    @property
    def z(self) -> np.ndarray:
        """Standardised lag; 0 where the null leaves nothing to chance."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (self.lag - self.mean) / np.sqrt(self.variance)
        return np.where(self.variance > 0, z, 0.0)


def infer(
    values: np.ndarray,
    weights: sparse.csr_array,
    permutations: int,
    seed: int,
    own: np.ndarray | None,
    n_jobs: int,
) -> LagInference:
    """Permutation inference for the lag of every area and column.

    Parameters
    ----------
    values
        Shape (n, n_columns), NaN for missing; missing areas leave pool, mean and neighbourhoods.
    weights
        Without self weights, rows in code order.
    permutations, seed
        Draws, and the key of their stream.
    own
        Self weight of each area, shape (n,): the total null, in which the own value is drawn too. None
        for the conditional null, in which the area keeps its value.
    n_jobs
        Threads.
    """
    out = LagInference(*(np.zeros(values.shape) for _ in range(7)))
    for valid, columns in _patterns(values):
        rows = _restricted(weights, valid)
        _moments(out, values, rows, valid, columns, own)
        for first, count in _draw_blocks(permutations, rows):
            _count(out, values, rows, valid, columns, own, (seed, first, count), n_jobs)
    return out


def _patterns(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Group columns that miss the same areas: they share a pool."""
    known = np.isfinite(values)
    seen: dict[bytes, list[int]] = {}
    for c in range(values.shape[1]):
        seen.setdefault(np.packbits(known[:, c]).tobytes(), []).append(c)
    for columns in seen.values():
        yield known[:, columns[0]], np.array(columns)


def _restricted(weights: sparse.csr_array, valid: np.ndarray) -> sparse.csr_array:
    """Weights between areas that have a value."""
    if valid.all():
        return weights
    mask = sparse.diags_array(valid.astype(float))
    rows = sparse.csr_array(mask @ weights @ mask)
    rows.eliminate_zeros()
    rows.sort_indices()
    return rows


def _moments(
    out: LagInference,
    values: np.ndarray,
    rows: sparse.csr_array,
    valid: np.ndarray,
    columns: np.ndarray,
    own: np.ndarray | None,
) -> None:
    """Exact mean and variance of the lag when values are drawn without replacement."""
    x = np.where(valid[:, None], values[:, columns], 0.0)
    n = float(valid.sum())
    centre = references.totals(x) / max(n, 1.0)
    x = np.where(valid[:, None], x - centre, 0.0)
    squares = references.totals(x**2)
    first = rows.sum(axis=1)[:, None]
    second = sparse.csr_array(rows.multiply(rows)).sum(axis=1)[:, None]
    lag = rows @ x
    if own is not None:
        alone = np.where(valid, own, 0.0)[:, None]
        lag, first, second = lag + alone * x, first + alone, second + alone**2
        pool, mean, square = n, np.zeros_like(x), np.broadcast_to(squares / max(n, 1.0), x.shape)
    else:
        pool = n - 1.0
        mean = -x / max(pool, 1.0)
        square = (squares - x**2) / max(pool, 1.0) - mean**2
    # variance of sum_j w_j x_pi(j): s2 (N sum w^2 - (sum w)^2) / (N - 1)
    variance = square * np.maximum(pool * second - first**2, 0.0) / max(pool - 1.0, 1.0)
    out.lag[:, columns] = lag + first * centre
    out.mean[:, columns] = first * (mean + centre)
    scale = squares / max(n, 1.0) * second
    out.variance[:, columns] = np.where(variance > 1e-12 * scale, variance, 0.0)
    out.degree[:, columns] = np.diff(rows.indptr)[:, None]
    out.weight[:, columns] = first


def _draw_blocks(permutations: int, rows: sparse.csr_array) -> Iterator[tuple[int, int]]:
    """Cut the draws into blocks that stay small even where one area neighbours thousands."""
    longest = int(np.diff(rows.indptr).max(initial=0)) + 1
    step = min(_DRAWS, max(_MOST_POSITIONS // longest, 64))
    for first in range(0, permutations, step):
        yield first, min(step, permutations - first)


@lru_cache(maxsize=2)
def _pool(seed: int, first: int, count: int, valid: bytes, n: int, length: int) -> tuple[np.ndarray, ...]:
    """Pool of draws and its index, kept for the detectors that follow."""
    from zoo_geo.kernels.permutation import draw_pool, holders

    pool = draw_pool(
        seed, first, count, np.unpackbits(np.frombuffer(valid, np.uint8), count=n).astype(bool), length
    )
    return (pool, *holders(pool, n))


def _count(
    out: LagInference,
    values: np.ndarray,
    rows: sparse.csr_array,
    valid: np.ndarray,
    columns: np.ndarray,
    own: np.ndarray | None,
    key: tuple[int, int, int],
    n_jobs: int,
) -> None:
    """Add one block of draws to the counts of some columns that share a pool."""
    extra = 0 if own is None else 1
    taken = np.diff(rows.indptr) + extra
    even = _even(rows, own)
    # equal weights on all others leave nothing to chance; unequal ones can still be dealt out anew
    todo = (out.degree[:, columns[0]] > 0) & ((taken <= valid.sum() - 2 + extra) | ~even)
    if not todo.any():
        return
    pool = _pool(*key, np.packbits(valid).tobytes(), valid.size, int(taken[todo].max()) + 1 - extra)
    draw = _Draw(*_scaled(rows, own), taken, pool, np.flatnonzero(todo & even))
    work = [(c, draw.shared, draw.even) for c in columns if draw.even.size]
    for part in np.array_split(np.flatnonzero(todo & ~even), n_jobs):
        work += [(c, draw.direct, part) for c in columns if part.size]

    place = {c: row for row, c in enumerate(columns)}
    centred = np.where(valid, values[:, columns].T, 0.0)
    centred = np.where(valid, centred - centred.sum(axis=1, keepdims=True) / valid.sum(), 0.0)

    def run(job: tuple[int, Callable[..., tuple[np.ndarray, np.ndarray]], np.ndarray]) -> None:
        c, count, which = job
        above, below = count(centred[place[c]], which)
        out.above[which, c] += above
        out.below[which, c] += below

    spread_out(run, work, n_jobs)


@dataclass(frozen=True, eq=False)
class _Draw:
    """One block of draws, ready to be counted for any column of centred values.

    ``taken`` says how many values each row draws; ``even`` lists the rows of equal weights.
    """

    rows: sparse.csr_array
    own: np.ndarray | None
    taken: np.ndarray
    pool: tuple[np.ndarray, ...]
    even: np.ndarray

    @cached_property
    def _sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """Prefix lengths that the rows of equal weights need, and each row's place among them."""
        sizes, row = np.unique(self.taken[self.even], return_inverse=True)
        place = np.full(self.taken.size, -1)
        place[self.even] = row
        return sizes, place

    @cached_property
    def _neighbors(self) -> sparse.csr_array:
        ones = np.ones_like(self.rows.data)
        return sparse.csr_array((ones, self.rows.indices, self.rows.indptr), self.rows.shape)

    def shared(self, x: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Count against sums that areas with equally many neighbours share."""
        from zoo_geo.kernels.permutation import prefix_sums, shared_counts

        sizes, row = self._sizes
        sums = prefix_sums(x, self.pool[0], sizes)
        tie, total = _tie(x), self.own is not None
        lag = self._neighbors @ x + (x if total else 0.0)
        ordered = np.sort(sums, axis=1)
        pool, first, draw, place = self.pool
        above, below = shared_counts(x, lag, sizes, row, sums, ordered, pool, first, draw, place, tie, total)
        return above[which], below[which]

    def direct(self, x: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Count row by row, for unequal weights."""
        from zoo_geo.kernels.permutation import direct_counts

        own = np.zeros(x.size) if self.own is None else self.own
        lag = self.rows @ x + own * x
        indptr = self.rows.indptr.astype(np.int64)
        pool, first, draw, place = self.pool
        tie, total = _tie(x), self.own is not None
        return direct_counts(x, lag, indptr, self.rows.data, own, which, pool, first, draw, place, tie, total)


def _tie(x: np.ndarray) -> float:
    """Sums closer than this are the same: float noise must not decide a tie."""
    return _TIE * max(float(np.std(x)), float(np.finfo(float).tiny))


def _scaled(rows: sparse.csr_array, own: np.ndarray | None) -> tuple[sparse.csr_array, np.ndarray | None]:
    """Bring each row's largest weight to one, so that a tie is a tie in any unit of weight."""
    largest = abs(rows).max(axis=1).toarray().ravel()
    largest = np.maximum(largest, 0.0 if own is None else np.abs(own))
    largest[largest == 0] = 1.0
    data = rows.data / np.repeat(largest, np.diff(rows.indptr))
    scaled = sparse.csr_array((data, rows.indices, rows.indptr), rows.shape)
    return scaled, None if own is None else own / largest


def _even(rows: sparse.csr_array, own: np.ndarray | None) -> np.ndarray:
    """Rows whose weights are all the same: their null depends on the number of neighbours only."""
    n = rows.shape[0]
    filled = np.flatnonzero(np.diff(rows.indptr))
    low, high = np.ones(n), np.ones(n)
    low[filled] = np.minimum.reduceat(rows.data, rows.indptr[filled]) if filled.size else 1.0
    high[filled] = np.maximum.reduceat(rows.data, rows.indptr[filled]) if filled.size else 1.0
    if own is not None:
        low, high = np.minimum(low, own), np.maximum(high, own)
    return high - low <= 1e-12 * np.abs(high)


def permutation_p(
    above: np.ndarray, below: np.ndarray, permutations: int, alternative: Alternative
) -> np.ndarray:
    """p of a permutation test: never 0, never above 1, ties on both sides."""
    if alternative == "greater":
        return (above + 1.0) / (permutations + 1.0)
    if alternative == "less":
        return (below + 1.0) / (permutations + 1.0)
    return np.minimum(1.0, 2.0 * (np.minimum(above, below) + 1.0) / (permutations + 1.0))


def decided(inference: LagInference, permutations: int, alternative: Alternative) -> np.ndarray:
    """p of every cell; 1 where the null leaves nothing to chance."""
    p = permutation_p(inference.above, inference.below, permutations, alternative)
    return np.where(inference.variance > 0, p, 1.0)


def statuses(inputs: Inputs, fields: Fields, inference: LagInference) -> np.ndarray:
    """Status of every cell, areas without a neighbour that has a value marked as isolated."""
    alone = lonely(inputs, matrix(inputs)) | ((fields.status == OK) & (inference.degree == 0))
    return np.where(alone, ISOLATED, fields.status)


def reference(value: Value) -> str:
    """Name what a local statistic compares with."""
    return "surroundings" if value == "residual" else "all areas"


_BESIDE = (
    "expected", "ratio", "ratio_low", "ratio_high", "residual",
    "group_observed", "group_expected", "group_ratio",
)  # fmt: skip


def shown(
    inputs: Inputs, fields: Fields, weights: sparse.csr_array, permutations: int
) -> dict[str, np.ndarray]:
    """Columns beside the statistic: the area's own expectation, and the group with its neighbours."""
    drawn = np.where(np.isfinite(fields.values), float(permutations), np.nan)
    if not np.isfinite(fields.expected).any():
        blank = np.full(fields.values.shape, np.nan)
        return dict.fromkeys(_BESIDE, blank) | {"permutations": drawn}
    ok = np.isfinite(fields.values) & np.isfinite(fields.expected)
    size = np.where(inputs.is_value(), inputs.exposure, 1.0)
    seen = np.where(ok, inputs.observed * size, 0.0)
    led_to = np.where(ok, fields.expected * size, 0.0)
    near = sparse.csr_array((np.ones_like(weights.data), weights.indices, weights.indptr), weights.shape)
    whole = near @ np.where(ok, size, 0.0) + np.where(ok, size, 0.0) if inputs.is_value().any() else 1.0
    divide_by = np.where(inputs.is_value(), whole, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        group_seen = np.where(ok, (near @ seen + seen) / divide_by, np.nan)
        group_expected = np.where(ok, (near @ led_to + led_to) / divide_by, np.nan)
        ratio = inputs.observed / fields.expected
        group_ratio = group_seen / group_expected
    return {
        "expected": np.where(ok, fields.expected, np.nan),
        "ratio": np.where(ok, ratio, np.nan),
        "ratio_low": fields.low,
        "ratio_high": fields.high,
        "permutations": drawn,
        "residual": np.where(ok, fields.values, np.nan),
        "group_observed": group_seen,
        "group_expected": group_expected,
        "group_ratio": group_ratio,
    }
