"""One column of counts put beside what is expected of it."""

import math

from numba import njit

from zoo_geo.kernels.lanes import all_lanes

EXPECTED, RATIO, LOW, HIGH, Z, P, SPREAD, REFERENCE = range(8)
"""Rows of results, each of one figure an area."""


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
