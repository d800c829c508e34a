"""Adjusted p-values of large families."""

from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def adjusted_from_order(p, order, factor, adjusted):
    """Smallest of ``p * size / rank * factor`` from the largest p down, at most 1, into ``adjusted``.

    Returns False, and nothing of use, where ``order`` does not sort ``p``.
    """
    least, above, size = 1.0, 1.0, p.size
    for k in range(size - 1, -1, -1):
        here = p[order[k]]
        if here > above:
            return False
        above = here
        least = min(least, here * (size / (k + 1.0)) * factor)
        adjusted[order[k]] = least
    return True
