"""Adjusted p-values of large families."""

import math

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def adjusted_from_order(p, order, factor, adjusted):
    """Smallest of ``p * size / rank * factor`` from the largest p down, at most 1, into ``adjusted``.

    What is not finite is outside the family, and NaN. Returns False, and nothing of use, where ``order`` does
    not sort ``p``, or p is outside 0 to 1.
    """
    size = 0
    for i in range(p.size):
        size += p[i] < math.inf
    for k in range(size, p.size):
        if p[order[k]] < math.inf:
            return False
        adjusted[order[k]] = math.nan
    least, above = 1.0, 1.0
    for k in range(size - 1, -1, -1):
        here = p[order[k]]
        if not 0.0 <= here <= above:
            return False
        above = here
        least = min(least, here * (size / (k + 1.0)) * factor)
        adjusted[order[k]] = least
    return True
