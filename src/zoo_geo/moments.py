"""The families with a spread that is estimated by moments: what robust estimates bring shows beside it."""

from __future__ import annotations

import numpy as np

from zoo_geo.predictive import SMALLEST_SPREAD, Binomial, Family, Gaussian, Poisson


class PoissonByMoments(Poisson):
    """Counts per exposure; spread by their squared distance from what is expected."""

    moments = True

    def matched(self, rows: np.ndarray, begin: float, *column: np.ndarray) -> tuple[float, float]:
        """Factor on phi of one column by moments, and the t's freedom."""
        from zoo_geo.kernels.settling import spread_by_moments

        return spread_by_moments(rows, *column), np.inf

    def grown(
        self,
        rows: np.ndarray,
        begin: float,
        slope: np.ndarray,
        tail: float,
        freedom: float,
        *column: np.ndarray,
    ) -> tuple[float, float, float]:
        """As `Poisson.grown`, with the factor that goes with the pace by moments."""
        pace, _, _ = super().grown(rows, begin, slope, tail, freedom, *column)
        observed, size, rate, strength, start = column
        with np.errstate(divide="ignore"):
            less = 1.0 / (1.0 / strength + pace * slope)
        return pace, *self.matched(rows, 1.0, observed, size, rate, less, start)


class BinomialByMoments(Binomial):
    """Counts out of an exposure; correlation by their squared distance from what is expected."""

    def spread(
        self, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, error: np.ndarray, start: np.ndarray
    ) -> tuple[float, float]:
        """Factor on rho of one column by moments, and the t's freedom."""
        mean, others = rate * size, np.maximum(size - 1.0, 0.0)
        chance = mean * (1.0 - rate)
        weight = (others / (1.0 + others * start)) ** 2 + 1e-9
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = ((observed - mean) ** 2 / chance - 1.0) / others - error * rate / (1.0 - rate)
        found = np.average(np.where(others > 0, excess, 0.0), weights=np.where(others > 0, weight, 1e-9))
        return float(np.clip(found, SMALLEST_SPREAD, 0.9) / np.median(start)), np.inf


class GaussianByMoments(Gaussian):
    """Values; spread by their squared distance from what is expected, tails those of a normal law."""

    def spread(
        self, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, error: np.ndarray, start: np.ndarray
    ) -> tuple[float, float]:
        """Factor on the variance of one column by moments, and the t's freedom."""
        square = (observed - rate) ** 2 / (1.0 / size + error) / start
        return float(np.mean(square)) or float(np.finfo(float).tiny), np.inf


BY_MOMENTS: dict[str, Family] = {
    each.name: each for each in (PoissonByMoments(), BinomialByMoments(), GaussianByMoments())
}
