"""Counts in cells, what was expected of them, and how high a cluster chance alone makes.

Shared by detectors that look for clusters anywhere on a map. Cells are areas by periods, arrays of shape
(n_areas, n_periods); a cell without a figure has nothing observed and nothing expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

_EULER = 0.5772156649015329
_EFFICIENCY = 0.27
"""Of the robust estimate of a spread; decision 0013."""


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of one indicator, and what was expected; made by `counts`.

    Parameters
    ----------
    family
        ``poisson`` or ``binomial``.
    observed, expected, size
        Events, expected events (their weighted sums are equal) and exposure, shape (n_areas, n_periods).
    spread
        Spread of true rates about what is expected (binomial: correlation within an area), as ``observed``.
    weight
        What an event in a cell counts for, as ``observed``.
    plain
        Whether chance only shares the total out: no spread, and for shares one share everywhere.
    by_period
        Whether what is expected of each period adds up to what was observed in it.
    doubt
        Relative standard error of the spread, which replicates differ in; 0 where it is known.
    """

    family: str
    observed: np.ndarray
    expected: np.ndarray
    size: np.ndarray
    spread: np.ndarray
    weight: np.ndarray
    plain: bool
    by_period: bool = False
    doubt: float = 0.0

    @cached_property
    def seen(self) -> np.ndarray:
        """Weighted events."""
        return self.weight * self.observed

    @cached_property
    def due(self) -> np.ndarray:
        """Weighted expected events."""
        return self.weight * self.expected

    @cached_property
    def total(self) -> float:
        """Weighted events of all cells together, as many as are due."""
        return float(self.due.sum())

    @cached_property
    def people(self) -> float:
        """How many can have an event, for the likelihood ratio of shares; infinite for all others."""
        return float(self.size.sum()) if self.family == "binomial" and self.plain else np.inf

    def replicates(self, seed: int, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw weighted counts under the null.

        An area's true rate is drawn once for all its periods.

        Returns
        -------
        tuple
            Counts, scaled so that each replicate has ``total``: (n_areas, n_periods, count) float32; and
            what the replicate's likelihood ratios are to be multiplied by for it, shape (count,).
        """
        drawn = self._drawn(seed, first, count).reshape(*self.observed.shape, count)
        if self.plain:
            return drawn, np.ones(count)
        drawn *= self.weight[..., None].astype(np.float32)
        factor = drawn.sum(axis=(0, 1), dtype=np.float64) / self.total
        empty = factor <= 0.0
        if empty.any():
            drawn[..., empty], factor[empty] = self.due[..., None], 1.0
        drawn /= self._by_period(drawn) if self.by_period else factor.astype(np.float32)
        return drawn, factor

    def _by_period(self, drawn: np.ndarray) -> np.ndarray:
        """How many times what is due the periods of replicates have; those without events get what is due."""
        wanted = self.due.sum(axis=0)[:, None]
        found = drawn.sum(axis=0, dtype=np.float64)
        lost = (found <= 0.0) & (wanted > 0.0)
        if lost.any():
            drawn[:] = np.where(lost, self.due[..., None], drawn)
            found = np.where(lost, wanted, found)
        return np.divide(found, wanted, out=np.ones_like(found), where=wanted > 0.0).astype(np.float32)

    def _drawn(self, seed: int, first: int, count: int) -> np.ndarray:
        """Unweighted counts, of n_areas x n_periods x count."""
        from zoo_geo.kernels.count_draws import scatter, share_out, share_out_among

        binomial = self.family == "binomial"
        if self.spread.any() or not (self.plain or self.by_period):
            times = self._times(seed, first, count)
            return scatter(self.expected, self.size, self.spread, times, binomial, seed, first)
        whole = self.observed.shape if self.by_period else (-1, 1)
        cells, totals = (self.size if binomial else self.expected), self.observed.reshape(whole).sum(axis=0)
        return (share_out_among if binomial else share_out)(cells.reshape(whole), totals, seed, first, count)

    def _times(self, seed: int, first: int, count: int) -> np.ndarray:
        """How many times the estimated spread replicates have, shape (count,)."""
        if not self.doubt > 0.0:
            return np.ones(count)
        keys = np.array([[seed, first + k] for k in range(count)], np.uint64)
        luck = [np.random.Generator(np.random.Philox(key=key)).random() for key in keys]
        times = np.maximum(1.0 + self.doubt * special.ndtri(luck), 0.0)
        return np.minimum(times, 0.95 / self.spread.max()) if self.family == "binomial" else times


def counts(
    family: str,
    observed: np.ndarray,
    size: np.ndarray,
    expected: np.ndarray | None = None,
    spread: np.ndarray | None = None,
    *,
    by_period: bool = False,
    doubt: float = 0.0,
) -> Counts:
    """Bring counts and what was expected of them to one total.

    An event counts for ``expected / variance`` of its area over all periods: sums of such events over a
    window of all periods are what the efficient score of a common relative risk in it is made of, under a
    negative binomial or beta-binomial law. Without spread that is 1 for counts per exposure.

    True rates differ lastingly between areas, so all periods of an area share one deviation. In a window of
    few of many periods it is no less than in one of all of them: its variance is E + phi E^2 with E its own
    part. Weights are then too small to be efficient, and equally so in the map and in its replicates, so p
    holds; such a window needs more of an excess than one that lasts. Where deviations are of one period each
    p is too large.

    Parameters
    ----------
    family
        ``poisson`` or ``binomial``.
    observed, size
        Events and exposure, shape (n_areas, n_periods); 0 in cells that take no part.
    expected
        Expected events, up to one factor; None for the same rate everywhere.
    spread
        Spread phi of true rates (binomial: correlation rho); None for none.
    by_period
        Bring each period to its own total.
    doubt
        Relative standard error of the spread, see `spread_error`.
    """
    expected = size * 1.0 if expected is None else expected
    spread = np.zeros_like(expected) if spread is None else spread
    expected = expected * _ratio(observed, expected, by_period)
    share = np.zeros_like(expected)
    np.divide(expected, size, out=share, where=size > 0)
    known = share[expected > 0]
    even = family == "poisson" or not known.size or np.ptp(known) <= 1e-9 * known.max()
    plain = bool(even and not spread.any())
    weight = np.ones_like(expected)
    if not plain and family == "poisson":
        phi = lasting(spread, expected)
        weight = 1.0 / (1.0 + phi * expected.sum(axis=1, keepdims=True)) * np.ones_like(expected)
    elif not plain:
        share, people = np.minimum(share, 1.0 - 1e-6), size.sum(axis=1, keepdims=True)
        weight = 1.0 / ((1.0 - share) * (1.0 + np.maximum(people - 1.0, 0.0) * lasting(spread, size)))
    expected = expected * _ratio(weight * observed, weight * expected, by_period)
    return Counts(family, observed, expected, size, spread, weight, plain, by_period, doubt)


def _ratio(above: np.ndarray, below: np.ndarray, by_period: bool) -> np.ndarray:
    """Quotient of the sums, of each period or of all together; 0 where there is nothing to divide by."""
    axis = 0 if by_period else None
    over, under = above.sum(axis=axis), np.asarray(below.sum(axis=axis))
    return np.divide(over, under, out=np.zeros_like(under), where=under > 0)


def lasting(spread: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Spread of an area's total over periods whose deviations go together, shape (n_areas, 1)."""
    if spread.shape[1] == 1:
        return spread
    whole = part.sum(axis=1, keepdims=True)
    root = (np.sqrt(spread) * part).sum(axis=1, keepdims=True)
    return np.divide(root, whole, out=np.zeros_like(whole), where=whole > 0) ** 2


def spread_error(family: str, expected: np.ndarray, size: np.ndarray, spread: np.ndarray) -> float:
    """Relative standard error of a spread that the central half of areas tells, 0 where there is none.

    A count tells (phi m / (1 + phi m))^2 / 2 of the logarithm of phi, a count out of n the same with
    rho (n - 1) in the place of phi m; the central half keeps about a quarter of that.

    Parameters
    ----------
    family
        ``poisson`` or ``binomial``.
    expected, size, spread
        Totals of areas, and the spread about what is expected; shape (n_areas,).

    Examples
    --------
    >>> round(spread_error("poisson", np.full(1000, 10.0), np.full(1000, 1e4), np.full(1000, 0.1)), 3)
    0.172
    """
    own = spread * (np.maximum(size - 1.0, 0.0) if family == "binomial" else expected)
    told = _EFFICIENCY * 0.5 * float(((own / (1.0 + own)) ** 2).sum())
    return float(1.0 / np.sqrt(told)) if told > 0.0 else 0.0


def monte_carlo_p(statistic: np.ndarray, maxima: np.ndarray) -> np.ndarray:
    """Share of maps without any cluster, the one at hand among them, whose highest is at least as high.

    Ties count; relative differences below 1e-9 are ties.

    Examples
    --------
    >>> monte_carlo_p(np.array([5.0, 2.0]), np.array([1.0, 2.0, 3.0]))
    array([0.25, 0.75])
    """
    ordered = np.sort(maxima)
    reached = maxima.size - np.searchsorted(ordered, statistic * (1.0 - 1e-9), side="left")
    return (1.0 + reached) / (maxima.size + 1.0)


def gumbel_p(statistic: np.ndarray, maxima: np.ndarray) -> np.ndarray:
    """Tail of a Gumbel law with mean and variance of the maxima.

    Abrams, Kulldorff and Kleinman (2010), doi:10.1186/1476-072X-9-61.
    """
    scale = float(maxima.std(ddof=1)) * np.sqrt(6.0) / np.pi if maxima.size > 1 else 0.0
    if not scale > 0.0:
        return np.where(statistic > maxima.max(initial=0.0), 0.0, 1.0)
    return -np.expm1(-np.exp(-(statistic - maxima.mean() + _EULER * scale) / scale))
