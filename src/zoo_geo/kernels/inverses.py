"""Diagonals of inverses of sparse matrices, from their factors."""

import numpy as np
from numba import njit


@njit(cache=True)
def diagonal_of_inverse(indptr, indices, data, pivots, diagonal):
    """Fill the diagonal of (L D L')^-1; False where the pattern of L has holes and it cannot be told.

    Only entries of the inverse where L has some are worked out, from the last column to the first (Takahashi,
    Fagan and Chen 1973; Erisman and Tinney 1975, doi:10.1145/360680.360704). L has ones on its diagonal, its
    columns are sorted, and ``pivots`` are D. Where an entry of L happens to be 0 and was dropped, one that
    is needed may be missing.
    """
    n = pivots.size
    inverse = np.zeros(data.size)
    own = np.zeros(n)
    found = np.zeros(n)
    for i in range(n - 1, -1, -1):
        first, last = indptr[i] + 1, indptr[i + 1]
        for at in range(first, last):
            own[indices[at]] = data[at]
            found[indices[at]] = 0.0
        for at in range(first, last):
            j, seen = indices[at], 0
            found[j] += own[j] * diagonal[j]
            for other in range(indptr[j] + 1, indptr[j + 1]):
                m = indices[other]
                if own[m] != 0.0:
                    found[j] += own[m] * inverse[other]
                    found[m] += own[j] * inverse[other]
                    seen += 1
            if seen < last - at - 1:
                return False
        total = 1.0 / pivots[i]
        for at in range(first, last):
            j = indices[at]
            inverse[at] = -found[j]
            total += own[j] * found[j]
        diagonal[i] = total
        for at in range(first, last):
            own[indices[at]] = 0.0
    return True
