"""Quantiles of the ratio of two counts, many times as fast as by inverting the incomplete beta function.

The log of an F quantile with 2k and 2s degrees of freedom is about a normal quantile times
r = sqrt(1/k + 1/s). Over r it is smooth enough for Chebyshev series to reach ten digits: for each whole count
k in v = log(1 + k/s), for large counts in r and in the part of r that is the count's. What has no series
(counts that are not whole, expectations that rest on less than one event) is inverted.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.polynomial import chebyshev
from scipy import special


def ratio_quantiles(count: np.ndarray, strength: np.ndarray, level: float) -> np.ndarray:
    """F quantiles with 2 ``count`` and 2 ``strength`` degrees of freedom.

    Parameters
    ----------
    count, strength
        Numbers of events, shape (n,).
    level
        Probability below the quantile.

    Returns
    -------
    Quantiles to ten digits, shape (n,).
    """
    from zoo_geo.kernels.layout import by_count

    found = np.empty(count.size)
    if not _of_sorted(count, strength, level, _FEW_TOGETHER, found):
        order, there = by_count(count, np.ones(count.size, bool)), np.empty(count.size)
        _of_sorted(count[order], strength[order], level, 0, there)
        found[order] = there
    return found


def _of_sorted(
    count: np.ndarray, strength: np.ndarray, level: float, together: int, found: np.ndarray
) -> bool:
    """As `ratio_quantiles` into ``found``, unless fewer than ``together`` equal counts lie side by side."""
    from zoo_geo.kernels import quantiles

    count, strength = np.ascontiguousarray(count, float), np.ascontiguousarray(strength, float)
    missing = quantiles.ratio_quantiles(count, strength, *_tables(level), together, found)
    if missing > 0:
        rest = np.isnan(found)
        found[rest] = special.fdtri(2.0 * count[rest], 2.0 * strength[rest], level)
    return bool(missing >= 0)


_FEW_TOGETHER = 4
"""Equal counts that need to lie side by side."""


@cache
def _tables(level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Series of every count up to the largest, shape (n_counts + 1, degree + 2), and that of larger ones.

    By powers: their coefficients are below 4, so that nothing is lost of the Chebyshev series they come from.
    Behind those of a count stands what its v is multiplied by; of the second, for strengths that are larger,
    what the inverse of the strength is.
    """
    from zoo_geo.kernels.quantiles import CLOSE, CLOSE_DEGREE, COUNTS, DEGREE, FAR_DEGREE, FAR_REACH

    x = _nodes(DEGREE)
    k = np.arange(1.0, COUNTS + 1.0)[:, None]
    v = 0.5 * (x + 1.0) * np.log1p(k)
    scaled = np.log(special.fdtri(2.0 * k, 2.0 * k / np.expm1(v), level)) * np.sqrt(k) * np.exp(-0.5 * v)
    near = np.zeros((COUNTS + 1, DEGREE + 2))
    near[1:, :-1] = _by_powers(chebyshev.chebfit(x, scaled.T, DEGREE)).T
    near[1:, -1:] = 2.0 / np.log1p(k)

    x = _nodes(CLOSE_DEGREE)
    inverse = 0.5 * (x + 1.0) / (CLOSE * k)
    scaled = np.log(special.fdtri(2.0 * k, 2.0 / inverse, level)) / np.sqrt(1.0 / k + inverse)
    close = np.zeros((COUNTS + 1, CLOSE_DEGREE + 2))
    close[1:, :-1] = _by_powers(chebyshev.chebfit(x, scaled.T, CLOSE_DEGREE)).T
    close[1:, -1:] = 2.0 * CLOSE * k

    x = _nodes(FAR_DEGREE)
    reach, part = 0.5 * (x + 1.0)[:, None] * FAR_REACH, 0.5 * (x + 1.0)
    scaled = np.log(special.fdtri(2.0 / (part * reach**2), 2.0 / ((1.0 - part) * reach**2), level)) / reach
    rows = _by_powers(chebyshev.chebfit(x, scaled, FAR_DEGREE))
    return near, close, np.ascontiguousarray(_by_powers(chebyshev.chebfit(x, rows.T, FAR_DEGREE)).T)


def _by_powers(series: np.ndarray) -> np.ndarray:
    """Coefficients of powers for those of Chebyshev polynomials, a column each."""
    powers = np.zeros_like(series)
    for k, column in enumerate(series.T):
        powers[:, k] = chebyshev.cheb2poly(column)
    return powers


def _nodes(degree: int) -> np.ndarray:
    """Chebyshev points of the first kind."""
    return np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
