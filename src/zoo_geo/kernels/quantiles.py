"""Quantiles of a ratio of two counts from series, many at once."""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import cubic, plain_exp, plain_log
from zoo_geo.kernels.lanes import all_lanes

COUNTS = 256
"""Largest count with a series of its own; others share one, for strengths of at least `FAR_STRENGTH`."""
FAR_STRENGTH = 16.0
FAR_REACH = math.sqrt(1.0 / COUNTS + 1.0 / FAR_STRENGTH)
DEGREE, CLOSE_DEGREE, FAR_DEGREE = 22, 10, 7
CLOSE = 2.0
"""Strength over count from which the shorter series holds."""
_LANES, _WIDTH = 8, 128


@njit(cache=True, nogil=True, error_model="numpy")
def ratio_quantiles(count, strength, near, close, far, together, at):
    """F quantiles with 2 ``count`` and 2 ``strength`` degrees of freedom into ``at``; NaN without a series.

    ``near`` has one series a count from 0 to `COUNTS`, by powers, and behind each what its variable is
    multiplied by; ``close`` the same for strengths of `CLOSE` times the count and more; ``far`` is two-way;
    see `zoo_geo.quantiles`. Counts that are alike and lie side by side share a series, many at once.

    Returns how many are NaN; or -1, with nothing done, where fewer than ``together`` alike lie side by side.
    """
    all_lanes()
    changes, missing = 0, 0
    for i in range(1, count.size):
        changes += count[i] != count[i - 1]
    if together * changes > count.size:
        return -1
    first, some = 0, np.ones(_WIDTH)
    while first < count.size:
        k, last = count[first], first + 1
        known, large = (k >= 1.0) & (k <= COUNTS) & (k == math.floor(k)), k > COUNTS
        while last < count.size and (count[last] == k or (large and count[last] > COUNTS)):
            last += 1
        found = at[first:last]
        if known:
            _sum_near(k, strength[first:last], near[int(k)], close[int(k)], found, some)
        elif large:
            _sum_far(count[first:last], strength[first:last], far, found)
        else:
            found[:] = math.nan
        first = last
    for i in range(at.size):
        missing += at[i] != at[i]
    return missing


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_near(k, strength, wide, close, at, some):
    """Sum the series of one count, in rows of whole vectors: for each strength the shorter one that holds."""
    for first in range(0, at.size, some.size):
        last, below = min(first + some.size, at.size), 0
        own, found = strength[first:last], at[first:last]
        for i in range(own.size):
            below += not own[i] >= CLOSE * k
        if below > 0:
            some[: own.size] = own
            _sum_wide(k, wide, own.size, some)
            found[:] = some[: own.size]
        if below < own.size:
            some[: own.size] = own
            _sum_close(k, close, own.size, some)
            for i in range(own.size):
                found[i] = some[i] if own[i] >= CLOSE * k else found[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_wide(k, c, size, some):
    """Turn strengths into quantiles, by a series in the log of 1 + count over strength."""
    all_lanes()
    part = 1.0 / k
    for i in range(-(-size // _LANES) * _LANES):
        inverse = 1.0 / some[i]
        t = plain_log(1.0 + k * inverse) * c[DEGREE + 1] - 1.0
        t2 = t * t
        t4 = t2 * t2
        low = cubic(t, t2, c[0], c[1], c[2], c[3]) + cubic(t, t2, c[4], c[5], c[6], c[7]) * t4
        high = cubic(t, t2, c[8], c[9], c[10], c[11]) + cubic(t, t2, c[12], c[13], c[14], c[15]) * t4
        top = cubic(t, t2, c[16], c[17], c[18], c[19]) + (c[20] + c[21] * t + c[22] * t2) * t4
        t8 = t4 * t4
        quantile = plain_exp(math.sqrt(part + inverse) * ((low + high * t8) + top * (t8 * t8)))
        some[i] = quantile if some[i] >= 1.0 else math.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_close(k, c, size, some):
    """As `_sum_wide`, by a series in count over strength."""
    all_lanes()
    part = 1.0 / k
    for i in range(-(-size // _LANES) * _LANES):
        inverse = 1.0 / some[i]
        t = inverse * c[CLOSE_DEGREE + 1] - 1.0
        t2 = t * t
        t4 = t2 * t2
        low = cubic(t, t2, c[0], c[1], c[2], c[3]) + cubic(t, t2, c[4], c[5], c[6], c[7]) * t4
        some[i] = plain_exp(math.sqrt(part + inverse) * (low + (c[8] + c[9] * t + c[10] * t2) * (t4 * t4)))


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_far(count, strength, far, at):
    """Sum the series of large counts."""
    for i in range(at.size):
        k, s = count[i], strength[i]
        square = 1.0 / k + 1.0 / s
        reach = math.sqrt(square)
        t, u, total = 2.0 / (k * square) - 1.0, 2.0 * reach / FAR_REACH - 1.0, 0.0
        t2 = t * t
        for m in range(FAR_DEGREE, -1, -1):
            low = cubic(t, t2, far[m, 0], far[m, 1], far[m, 2], far[m, 3])
            high = cubic(t, t2, far[m, 4], far[m, 5], far[m, 6], far[m, 7])
            total = total * u + (low + high * (t2 * t2))
        at[i] = plain_exp(reach * total) if s >= FAR_STRENGTH else math.nan


@njit(cache=True, nogil=True, error_model="numpy")
def over_expected(observed, size, rate, low, high):
    """Turn quantiles of `ratio_quantiles` into ends of intervals of observed over expected counts."""
    for i in range(observed.size):
        mean = rate[i] * size[i]
        low[i] = observed[i] / mean * low[i] if observed[i] > 0.0 else 0.0
        high[i] = (observed[i] + 1.0) / mean * high[i]
