"""Quantiles of a ratio of two counts from series, many at once."""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import cubic, log1p, plain_exp

COUNTS = 256
"""Largest count with a series of its own; others share one, for strengths of at least `FAR_STRENGTH`."""
FAR_STRENGTH = 16.0
FAR_REACH = math.sqrt(1.0 / COUNTS + 1.0 / FAR_STRENGTH)
DEGREE, FAR_DEGREE = 22, 7
_WIDTH = 256


@njit(cache=True, nogil=True, error_model="numpy")
def ratio_quantiles(count, strength, near, far, at):
    """F quantiles with 2 ``count`` and 2 ``strength`` degrees of freedom into ``at``; NaN without a series.

    ``near`` has one series a count from 0 to `COUNTS`, by powers, and behind each what its variable is
    multiplied by; ``far`` is two-way; see `zoo_geo.quantiles`.
    """
    row, x, reach, places = np.empty(_WIDTH, np.int64), np.empty(_WIDTH), np.empty(_WIDTH), np.empty(_WIDTH)
    for first in range(0, count.size, _WIDTH):
        k, s = count[first : first + _WIDTH], strength[first : first + _WIDTH]
        found = at[first : first + _WIDTH]
        _place(k, s, near, row, x, reach)
        _sum_near(near, row, x, reach, found)
        _sum_far(k, s, far, places, x, reach, found)


@njit(cache=True, nogil=True, error_model="numpy")
def _place(count, strength, near, row, x, reach):
    """Find each count's series (row 0 is none), the place in it, and the deviation of the log ratio."""
    for i in range(count.size):
        k, s = count[i], strength[i]
        known = (k >= 1.0) & (k <= COUNTS) & (s >= 1.0) & (k == math.floor(k))
        row[i] = int(k if known else 0.0)
        reach[i] = math.sqrt(1.0 / k + 1.0 / s) if known else math.nan
    for i in range(count.size):
        x[i] = near[row[i], DEGREE + 1]
    for i in range(count.size):
        x[i] = log1p(count[i] / strength[i]) * x[i] - 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_near(near, row, x, reach, at):
    """Sum the series of single counts."""
    for i in range(at.size):
        k, t = row[i], x[i]
        t2 = t * t
        t4 = t2 * t2
        t8 = t4 * t4
        a = cubic(t, t2, near[k, 0], near[k, 1], near[k, 2], near[k, 3])
        b = cubic(t, t2, near[k, 4], near[k, 5], near[k, 6], near[k, 7])
        c = cubic(t, t2, near[k, 8], near[k, 9], near[k, 10], near[k, 11])
        d = cubic(t, t2, near[k, 12], near[k, 13], near[k, 14], near[k, 15])
        e = cubic(t, t2, near[k, 16], near[k, 17], near[k, 18], near[k, 19])
        f = near[k, 20] + near[k, 21] * t + near[k, 22] * t2
        at[i] = ((a + b * t4) + (c + d * t4) * t8) + (e + f * t4) * (t8 * t8)
    for i in range(at.size):
        quantile = plain_exp(reach[i] * at[i])
        at[i] = quantile if row[i] > 0 else math.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_far(count, strength, far, places, x, reach, at):
    """Sum the series of large counts, of which there are few."""
    size = 0
    for i in range(at.size):
        if count[i] > COUNTS and strength[i] >= FAR_STRENGTH:
            places[size] = i
            size += 1
    for j in range(size):
        k, s = count[int(places[j])], strength[int(places[j])]
        square = 1.0 / k + 1.0 / s
        reach[j] = math.sqrt(square)
        x[j] = 2.0 / (k * square) - 1.0
    for j in range(size):
        t, u = x[j], 2.0 * reach[j] / FAR_REACH - 1.0
        total = 0.0
        for m in range(FAR_DEGREE, -1, -1):
            t2 = t * t
            low = cubic(t, t2, far[m, 0], far[m, 1], far[m, 2], far[m, 3])
            high = cubic(t, t2, far[m, 4], far[m, 5], far[m, 6], far[m, 7])
            total = total * u + (low + high * (t2 * t2))
        x[j] = plain_exp(reach[j] * total)
    for j in range(size):
        at[int(places[j])] = x[j]
