"""Where the sums of one column stand in their null."""

import numpy as np
from numba import njit

_NOTHING = 1e-12
_NO_DEVIATION = 1e-10


@njit(cache=True, nogil=True)
def lag_moments(x, first, second, size, total):
    """Exact mean and variance of lags when ``size`` values are drawn from without replacement.

    ``first`` and ``second`` are sums of each area's weights and of their squares. In the total null all
    values of ``x`` (mean 0) are drawn from; in the conditional null all but the area's own.
    """
    squares, rest = 0.0, 0.0
    for v in x:
        squares += v * v
        rest += v
    mean, variance = np.empty(x.size), np.zeros(x.size)
    for i in range(x.size):
        own = 0.0 if total else x[i]
        centre = (rest - own) / max(size, 1.0)
        spread = max((squares - own * own) / max(size, 1.0) - centre * centre, 0.0)
        of_weights = second[i] - first[i] * first[i] / max(size, 1.0)
        mean[i] = first[i] * centre
        if of_weights > _NOTHING * second[i]:
            found = spread * size / max(size - 1.0, 1.0) * of_weights
            if found > _NOTHING * second[i]:
                variance[i] = found
    return mean, variance


@njit(cache=True, nogil=True)
def z_scores(value, mean, variance, side):
    """Standardise ``side`` times the values; 0 where nothing is left to chance, and for float noise."""
    z = np.zeros(value.size)
    for i in range(value.size):
        if variance[i] > 0.0:
            found = side[i] * (value[i] - mean[i]) / np.sqrt(variance[i])
            if abs(found) > _NO_DEVIATION:
                z[i] = found
    return z


@njit(cache=True, nogil=True)
def signs(x):
    """Sign of deviations from the mean; float noise is 0."""
    largest = 0.0
    for v in x:
        largest = max(largest, abs(v))
    out = np.zeros(x.size, np.int8)
    for i in range(x.size):
        if x[i] > _NOTHING * largest:
            out[i] = 1
        elif x[i] < -_NOTHING * largest:
            out[i] = -1
    return out


@njit(cache=True, nogil=True)
def quadrants(own, around):
    """Number the quadrant of two signs: 0 for none, 1 HH, 2 LL, 3 HL, 4 LH."""
    out = np.zeros(own.size, np.int8)
    for i in range(own.size):
        if own[i] != 0 and around[i] != 0:
            out[i] = (1 if own[i] > 0 else 2) if own[i] == around[i] else (3 if own[i] > 0 else 4)
    return out
