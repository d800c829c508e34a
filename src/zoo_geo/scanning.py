"""Counts in cells, what was expected of them, and how high a cluster chance alone makes.

Shared by detectors that look for clusters anywhere on a map. Cells are areas by periods, arrays of shape
(n_areas, n_periods); a cell without a figure has nothing observed and nothing expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_EULER = 0.5772156649015329


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
    """

    family: str
    observed: np.ndarray
    expected: np.ndarray
    size: np.ndarray
    spread: np.ndarray
    weight: np.ndarray
    plain: bool

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
        drawn /= factor.astype(np.float32)
        return drawn, factor

    def _drawn(self, seed: int, first: int, count: int) -> np.ndarray:
        """Unweighted counts, shape (n_cells, count)."""
        from zoo_geo.kernels.count_draws import scatter, share_out, share_out_among

        expected, size = self.expected.ravel(), self.size.ravel()
        if not self.plain:
            return scatter(expected, size, self.spread.ravel(), self.family == "binomial", seed, first, count)
        if self.family == "binomial":
            return share_out_among(size, self.observed.sum(), seed, first, count)
        return share_out(expected, self.observed.sum(), seed, first, count)


def counts(
    family: str,
    observed: np.ndarray,
    size: np.ndarray,
    expected: np.ndarray | None = None,
    spread: np.ndarray | None = None,
) -> Counts:
    """Bring counts and what was expected of them to one total.

    An event counts for ``expected / variance`` of its cell: sums of such events over a window are what the
    efficient score of a common relative risk in it is made of, under a negative binomial or beta-binomial
    law. Without spread that is 1 for counts per exposure.

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
    """
    expected = size * 1.0 if expected is None else expected
    spread = np.zeros_like(expected) if spread is None else spread
    expected = expected * _ratio(observed.sum(), expected.sum())
    share = np.zeros_like(expected)
    np.divide(expected, size, out=share, where=size > 0)
    known = share[expected > 0]
    even = family == "poisson" or not known.size or np.ptp(known) <= 1e-9 * known.max()
    plain = bool(even and not spread.any())
    weight = np.ones_like(expected)
    if not plain and family == "poisson":
        weight = 1.0 / (1.0 + spread * expected)
    elif not plain:
        share = np.minimum(share, 1.0 - 1e-6)
        weight = 1.0 / ((1.0 - share) * (1.0 + np.maximum(size - 1.0, 0.0) * spread))
    expected = expected * _ratio((weight * observed).sum(), (weight * expected).sum())
    return Counts(family, observed, expected, size, spread, weight, plain)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else 0.0


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
