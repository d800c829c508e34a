"""A whole map dealt out anew: sums over pairs of neighbours when all values change places.

Arrangement ``m`` is a shuffle made by a counter-based generator that is keyed by (seed, m), so it is the
same in any block of arrangements, on any thread and beside any other columns.
"""

import numpy as np
from numba import njit

# As in `permutation`: a kernel that calls one of another file is not compiled anew when that file changes.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)
_TO_UNIT = 2.0**-53


@njit(cache=True, nogil=True)
def _mix(state):
    """Finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2714064.2660195)."""
    state = (state ^ (state >> _S30)) * _MIX_1
    state = (state ^ (state >> _S27)) * _MIX_2
    return state ^ (state >> _S31)


@njit(cache=True, nogil=True)
def arrangements(n, seed, first, count):
    """Shuffles ``first .. first + count - 1`` of a seed, one a column: (n, count)."""
    orders = np.empty((n, count), np.int32)
    order = np.empty(n, np.int32)
    key = _mix(np.uint64(seed) + _GOLDEN)
    for m in range(count):
        state = _mix(key ^ _mix(np.uint64(first + m) + _GOLDEN))
        for i in range(n):
            state += _GOLDEN
            j = np.int64(np.float64(_mix(state) >> _S11) * _TO_UNIT * (i + 1))
            order[i] = order[j]
            order[j] = i
        for i in range(n):
            orders[i, m] = order[i]
    return orders


@njit(cache=True, nogil=True)
def pair_sums(columns, orders, indptr, indices, weights, reach):
    """Add up each column (n_columns, n) in each arrangement: (n_columns, 3, n_arrangements).

    Sum of weight * x * x' over pairs, each once; sums of ``reach * x`` and of ``reach * x^2`` over areas.
    Arrangements go side by side, so each weight is read once for all of them.
    """
    n, count = orders.shape
    out = np.zeros((columns.shape[0], 3, count))
    x = np.empty((n, count))
    lag = np.empty(count)
    for c in range(columns.shape[0]):
        for i in range(n):
            for m in range(count):
                x[i, m] = columns[c, orders[i, m]]
        for i in range(n):
            lag[:] = 0.0
            for spot in range(indptr[i], indptr[i + 1]):
                j, weight = indices[spot], weights[spot]
                for m in range(count):
                    lag[m] += weight * x[j, m]
            far = reach[i]
            for m in range(count):
                here = x[i, m]
                out[c, 0, m] += lag[m] * here
                out[c, 1, m] += far * here
                out[c, 2, m] += far * here * here
    return out


@njit(cache=True, nogil=True)
def closed_walks(indptr, indices, weights):
    """Sum of w_ij w_jk w_ki over all i, j and k: each triangle six times where weights are symmetric."""
    n = indptr.size - 1
    own = np.zeros(n)
    total = 0.0
    for i in range(n):
        for spot in range(indptr[i], indptr[i + 1]):
            own[indices[spot]] = weights[spot]
        for spot in range(indptr[i], indptr[i + 1]):
            j = indices[spot]
            around = 0.0
            for ahead in range(indptr[j], indptr[j + 1]):
                around += weights[ahead] * own[indices[ahead]]
            total += weights[spot] * around
        for spot in range(indptr[i], indptr[i + 1]):
            own[indices[spot]] = 0.0
    return total
