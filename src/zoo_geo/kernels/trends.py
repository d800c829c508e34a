"""Rank trends of many short series at once."""

import math

import numpy as np
from numba import njit

_TIE = 1e-9


@njit(cache=True, nogil=True)
def _tied(a, b):
    return abs(a - b) <= _TIE * max(abs(a), abs(b))


@njit(cache=True, nogil=True)
def mann_kendall(values):
    """Score, variance under ties, number of values, and sizes of tied groups (largest first) of each row."""
    n, length = values.shape
    score, variance = np.zeros(n), np.zeros(n)
    count, ties = np.zeros(n, np.int64), np.zeros((n, length), np.int16)
    for i in range(n):
        known = values[i][np.isfinite(values[i])]
        m = count[i] = known.size
        for a in range(m):
            for b in range(a + 1, m):
                if not _tied(known[a], known[b]):
                    score[i] += 1.0 if known[b] > known[a] else -1.0
        known.sort()
        groups, size = 0, 1
        for a in range(1, m + 1):
            if a < m and _tied(known[a - 1], known[a]):
                size += 1
            else:
                ties[i, groups] = size
                groups, size = groups + 1, 1
        if m == 0:
            continue
        ties[i, :groups] = np.sort(ties[i, :groups])[::-1]
        total = m * (m - 1.0) * (2.0 * m + 5.0)
        for g in range(groups):
            t = float(ties[i, g])
            total -= t * (t - 1.0) * (2.0 * t + 5.0)
        variance[i] = total / 18.0
    return score, variance, count, ties


@njit(cache=True, nogil=True)
def sen_slopes(values, times, variance, normal):
    """Median of all pairwise slopes with its interval (ranks from the variance), and the middle of each row.

    Returns an array of shape (n, 5): slope, low, high, median time, median value.
    """
    n, length = values.shape
    out = np.full((n, 5), np.nan)
    slopes = np.empty(length * (length - 1) // 2)
    for i in range(n):
        known = np.isfinite(values[i])
        y, t = values[i][known], times[known]
        pairs = 0
        for a in range(y.size):
            for b in range(a + 1, y.size):
                slopes[pairs] = (y[b] - y[a]) / (t[b] - t[a])
                pairs += 1
        if pairs == 0:
            continue
        ordered = np.sort(slopes[:pairs])
        reach = normal * math.sqrt(variance[i])
        above = min(int(np.round((pairs + reach) / 2.0)), pairs - 1)
        below = max(int(np.round((pairs - reach) / 2.0)) - 1, 0)
        out[i, 0], out[i, 1], out[i, 2] = np.median(ordered), ordered[below], ordered[above]
        out[i, 3], out[i, 4] = np.median(t), np.median(y)
    return out


@njit(cache=True, nogil=True)
def autocorrelations(values, times, slope):
    """Correlation of each value with the one before, a line taken out; NaN below four values."""
    n = values.shape[0]
    out = np.full(n, np.nan)
    for i in range(n):
        known = np.isfinite(values[i])
        left = values[i][known] - slope[i] * times[known]
        if left.size < 4:
            continue
        left = left - left.mean()
        square = (left * left).sum()
        if square > 0.0:
            out[i] = (left[1:] * left[:-1]).sum() / square
    return out
