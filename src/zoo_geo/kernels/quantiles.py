"""Quantiles of a ratio of two counts from Chebyshev series."""

import math

import numpy as np
from numba import njit

COUNTS = 256
"""Largest count with a series of its own; others share one, for strengths of at least `FAR_STRENGTH`."""
FAR_STRENGTH = 64.0
FAR_REACH = math.sqrt(1.0 / COUNTS + 1.0 / FAR_STRENGTH)


@njit(cache=True, nogil=True)
def _series(coefficients, x):
    """Value of a Chebyshev series at x in [-1, 1] (Clenshaw)."""
    here = last = 0.0
    for j in range(coefficients.size - 1, 0, -1):
        here, last = 2.0 * x * here - last + coefficients[j], here
    return x * here - last + coefficients[0]


@njit(cache=True, nogil=True)
def ratio_quantiles(count, strength, near, far, at):
    """F quantiles with 2 ``count`` and 2 ``strength`` degrees of freedom into ``at``; NaN without a series.

    ``near`` has one series a count from 0 to `COUNTS`, ``far`` is two-way; see `zoo_geo.quantiles`.
    """
    across = np.empty(far.shape[0])
    for i in range(count.size):
        k, s = count[i], strength[i]
        at[i] = math.nan
        if k >= 1.0 and k <= COUNTS and s >= 1.0 and k == math.floor(k):
            v = math.log1p(k / s)
            x = 2.0 * v / math.log1p(k) - 1.0
            at[i] = math.exp(math.exp(0.5 * v) / math.sqrt(k) * _series(near[int(k)], x))
        elif k > COUNTS and s >= FAR_STRENGTH:
            square = 1.0 / k + 1.0 / s
            reach = math.sqrt(square)
            for j in range(across.size):
                across[j] = _series(far[j], 2.0 / (k * square) - 1.0)
            at[i] = math.exp(reach * _series(across, 2.0 * reach / FAR_REACH - 1.0))
