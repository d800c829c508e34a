"""Predictive likelihood of counts, a vector of them at a time."""

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import log, log1p

_SHIFT = 8.0


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _from(x):
    """Product of eight factors from x upward."""
    return x * (x + 1.0) * (x + 2.0) * (x + 3.0) * ((x + 4.0) * (x + 5.0) * (x + 6.0) * (x + 7.0))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _stirling(x, log_x):
    """Log of gamma(x), from 8 upward, but for half the log of 2 pi."""
    inverse = 1.0 / x
    square = inverse * inverse
    return (x - 0.5) * log_x - x + inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0)))


@njit(cache=True, nogil=True, error_model="numpy")
def nb_log_likelihood(observed, mean, phi, at):
    """Log probability of counts, up to what depends on neither mean nor spread, into ``at``."""
    for i in range(observed.size):
        o, r = observed[i], 1.0 / phi[i]
        times = mean[i] * phi[i]
        near = r < _SHIFT
        shift = _SHIFT if near else 0.0
        x, y = o + r + shift, r + shift
        steps = log(_from(r) / _from(o + r)) if near else 0.0
        rise = steps + _stirling(x, log(x)) - _stirling(y, log(y))
        at[i] = rise - (o + r) * log1p(times) + o * log(times)


@njit(cache=True, nogil=True, error_model="numpy")
def nb_score(rows, observed, size, rate, spread, strength):
    """Log likelihood of some rows of a column; the error of the rate, ``1 / strength``, joins the spread."""
    n = rows.size
    seen, mean, phi, at = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for k in range(n):
        i = rows[k]
        seen[k], mean[k] = observed[i], rate[i] * size[i]
        phi[k] = spread[i] + 1.0 / strength[i]
    nb_log_likelihood(seen, mean, phi, at)
    return at.sum()
