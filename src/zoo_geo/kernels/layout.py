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


@njit(cache=True, nogil=True)
def into_areas(columns, which, out):
    """Put columns of shape (n_columns, n) into those numbered ``which`` of a table laid out area by area."""
    n = columns.shape[1]
    for start in range(0, n, _ROWS):
        end = min(start + _ROWS, n)
        for c in range(which.size):
            for r in range(start, end):
                out[r, which[c]] = columns[c, r]


_COUNTS = 257
"""Counts that are told apart."""


@njit(cache=True, nogil=True, error_model="numpy")
def by_count(observed, valid):
    """Rows that are valid, those with the same small count side by side; larger counts come last."""
    ends, row, number = np.zeros(_COUNTS + 2, np.int64), np.empty(observed.size, np.int64), 0
    for i in range(observed.size):
        row[number] = i
        number += 1 if valid[i] else 0
    key = np.empty(number, np.int64)
    for i in range(number):
        o = observed[row[i]]
        key[i] = int(max(o, 0.0)) if o < _COUNTS else _COUNTS
        ends[key[i] + 1] += 1
    for k in range(_COUNTS):
        ends[k + 1] += ends[k]
    order = np.empty(number, np.int64)
    for i in range(number):
        order[ends[key[i]]] = row[i]
        ends[key[i]] += 1
    return order


@njit(cache=True, nogil=True)
def at_rows(rows, a, b, c, d, e):
    """Some rows of five columns, shape (5, n_rows)."""
    out = np.empty((5, rows.size))
    for k in range(rows.size):
        i = rows[k]
        out[0, k], out[1, k], out[2, k], out[3, k], out[4, k] = a[i], b[i], c[i], d[i], e[i]
    return out
