"""One column of counts put beside what is expected of it, and figures next door."""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.lanes import all_lanes

EXPECTED, RATIO, LOW, HIGH, Z, P, SPREAD, REFERENCE = range(8)
"""Rows of results, each of one figure an area."""
_LANES = 8
"""Columns that are done side by side."""


@njit(cache=True, nogil=True, error_model="numpy")
def put_together(observed, size, people, valid, rate, spread, per, rows, found, out):
    """Fill the results of one column, shape (8, n), NaN where it is not valid.

    ``found`` has lower and upper end of the ratio, z and p of the areas ``rows``, shape (4, n_rows);
    ``people`` is the exposure that values are ``per``, and ``size`` what the rate is of.
    """
    all_lanes()
    for i in range(valid.size):
        known = valid[i]
        expected = rate[i] * size[i] if known else math.nan
        out[EXPECTED, i], out[RATIO, i] = expected, observed[i] / expected
        out[SPREAD, i] = spread[i] if known else math.nan
        out[REFERENCE, i] = expected / people[i] * per
    if rows.size < valid.size:
        out[LOW : P + 1] = math.nan
    for k in range(rows.size):
        i = rows[k]
        out[LOW, i], out[HIGH, i], out[Z, i], out[P, i] = found[0, k], found[1, k], found[2, k], found[3, k]
    for i in range(valid.size):
        out[RATIO, i] = out[RATIO, i] if out[HIGH, i] < math.inf else math.nan


@njit(cache=True, nogil=True, error_model="numpy")
def next_door(indptr, indices, observed, exposure, known, weighed, per, number, value):
    """How many neighbours of each area have a figure, and their rate together per ``per``, area by area.

    Figures and exposures have shape (n_columns, n), ``number`` and ``value`` (n, n_columns). Figures of a
    column that is ``weighed`` count as often as their exposure, and their mean is taken.
    """
    all_lanes()
    n, width = known.shape[1], known.shape[0]
    beside, total = np.empty((n, 3 * _LANES)), np.empty(3 * _LANES)
    for first in range(0, width, _LANES):
        some = min(_LANES, width - first)
        for k in range(some):
            c = first + k
            for i in range(n):
                size = exposure[c, i] if known[c, i] else 0.0
                events = observed[c, i] * (size if weighed[c] else per[c])
                beside[i, k] = events if known[c, i] else 0.0
                beside[i, _LANES + k], beside[i, 2 * _LANES + k] = size, 1.0 if known[c, i] else 0.0
        for i in range(n):
            total[:] = 0.0
            for link in range(indptr[i], indptr[i + 1]):
                near = beside[indices[link]]
                for k in range(total.size):
                    total[k] += near[k]
            for k in range(some):
                value[i, first + k] = total[k] / total[_LANES + k]
                number[i, first + k] = total[2 * _LANES + k]
