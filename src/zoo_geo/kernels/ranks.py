"""Quantiles of numbers that are not negative, by counting them in bins of their bits; and equal ones."""

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import bits

_BINS, _SHIFT = 2048, 47
"""Bins of a thirty-second of an octave each, from the largest number downward."""


@njit(cache=True, nogil=True, error_model="numpy")
def quantile_of(x, q):
    """Quantile of numbers of 0 or more, on a straight line between two of them (Hyndman and Fan's type 7)."""
    at = (x.size - 1) * q
    k = int(at)
    first, second = _two(x, k)
    return first + (second - first) * (at - k)


@njit(cache=True, nogil=True, error_model="numpy")
def _two(x, k):
    """Return the number with ``k`` smaller ones, and the next, the same where there is none."""
    n = x.size
    bins, number = np.empty(n, np.int64), np.zeros(_BINS, np.int64)
    largest = 0.0
    for i in range(n):
        largest = max(largest, x[i])
    base = (bits(largest) >> _SHIFT) - (_BINS - 1)
    for i in range(n):
        bins[i] = max((bits(x[i]) >> _SHIFT) - base, 0)
    for i in range(n):
        number[bins[i]] += 1
    least, below = 0, 0
    while below + number[least] <= k:
        below += number[least]
        least += 1
    most, upto = least, below + number[least]
    while upto <= k + 1 and most < _BINS - 1:
        most += 1
        upto += number[most]
    few, size = np.empty(n), 0
    for i in range(n):
        few[size] = x[i]
        size += (bins[i] >= least) & (bins[i] <= most)
    few = np.sort(few[:size])
    return few[k - below], few[min(k + 1 - below, size - 1)]


@njit(cache=True, nogil=True, error_model="numpy")
def equal(one, other):
    """Say whether two arrays of shape (n,) hold the same numbers."""
    if one.size != other.size:
        return False
    different = 0
    for i in range(one.size):
        different += one[i] != other[i]
    return different == 0


@njit(cache=True, nogil=True, error_model="numpy")
def constant(x):
    """Say whether all numbers of an array of shape (n,) are the same."""
    different = 0
    for i in range(1, x.size):
        different += x[i] != x[0]
    return different == 0
