"""One column of counts put beside what is expected of it."""

import math

from numba import njit

from zoo_geo.kernels.lanes import all_lanes

EXPECTED, RATIO, LOW, HIGH, Z, P, SPREAD, REFERENCE = range(8)
"""Rows of results, each of one figure an area."""


@njit(cache=True, nogil=True, error_model="numpy")
def put_together(observed, size, people, valid, rate, spread, per, rows, low, high, z, p, out):
    """Fill the results of one column, shape (8, n), NaN where it is not valid.

    Lower and upper end of the ratio, z and p are those of the areas ``rows``, shape (n_rows,); ``people`` is
    the exposure that values are ``per``, and ``size`` what the rate is of.
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
        out[LOW, i], out[HIGH, i], out[Z, i], out[P, i] = low[k], high[k], z[k], p[k]
    for i in range(valid.size):
        out[RATIO, i] = out[RATIO, i] if out[HIGH, i] < math.inf else math.nan


@njit(cache=True, nogil=True, error_model="numpy")
def classify(z, p, inner, outer, extreme, label, side, far):
    """Control-limit classes, sides and whether p is at most ``extreme``, of columns of shape (n_columns, n).

    The class is 2 within the limits; one more beyond the inner limit and two more beyond the outer one, or
    less below. The side is 1 above what is expected and -1 below. Where z is NaN, class 2 and side 0.
    """
    all_lanes()
    for c in range(z.shape[0]):
        for i in range(z.shape[1]):
            at = z[c, i]
            above, below = (at >= inner) + (at >= outer), (at <= -inner) + (at <= -outer)
            label[c, i] = 2 + above - below
            side[c, i] = (at > 0.0) - (at < 0.0)
            far[c, i] = p[c, i] <= extreme


@njit(cache=True, nogil=True, error_model="numpy")
def widely_spread(spread, strength, expected, valid, least):
    """How many areas have an expectation, and how many of these a spread, error included, of ``least``."""
    number, wide = 0, 0
    for i in range(spread.size):
        known = valid[i] & (abs(expected[i]) < math.inf)
        number += known
        wide += known & (spread[i] + 1.0 / strength[i] >= least)
    return number, wide
