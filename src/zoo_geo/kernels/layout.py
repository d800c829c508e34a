"""Tables laid out another way."""

import numpy as np
from numba import njit

_ROWS = 64


@njit(cache=True, nogil=True)
def by_area(columns, places):
    """Lay out columns of shape (n_columns, n) area by area: all columns of area ``places[0]`` come first."""
    width = columns.shape[0]
    out = np.empty(places.size * width, columns.dtype)
    for start in range(0, places.size, _ROWS):
        end = min(start + _ROWS, places.size)
        for c in range(width):
            for r in range(start, end):
                out[r * width + c] = columns[c, places[r]]
    return out
