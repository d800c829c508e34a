"""Predictive likelihood of counts, a vector of them at a time."""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import log

_SHIFT = 8.0


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _from(x):
    """Product of eight factors from x upward."""
    return x * (x + 1.0) * (x + 2.0) * (x + 3.0) * ((x + 4.0) * (x + 5.0) * (x + 6.0) * (x + 7.0))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _series(inverse):
    """Correction to Stirling's formula for the log of gamma at 1 / ``inverse``, from 8 upward."""
    square = inverse * inverse
    return inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0)))


@njit(cache=True, nogil=True, error_model="numpy")
def nb_log_likelihood(observed, mean, phi, at):
    """Log probability of counts, up to what depends on neither mean nor spread, into ``at``."""
    for i in range(observed.size):
        o, r = observed[i], 1.0 / phi[i]
        shift = _SHIFT if r < _SHIFT else 0.0
        x, y = o + r + shift, r + shift
        a, b = 1.0 / x, 1.0 / y
        rise = (x - 0.5) * log(x * b) - o + _series(a) - _series(b)
        at[i] = (
            rise
            - r * log(1.0 + mean[i] * phi[i])
            - o * log((1.0 + mean[i] * phi[i]) / (mean[i] * phi[i] * y))
        )
    if phi.size > 0 and phi.max() * _SHIFT > 1.0:
        for i in range(observed.size):
            r = 1.0 / phi[i]
            at[i] += log(_from(r) / _from(observed[i] + r)) if r < _SHIFT else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def nb_residual(observed, mean, phi, at):
    """Signed deviance residuals of counts into ``at``."""
    for i in range(observed.size):
        o, m = observed[i], mean[i]
        own = o * log(o / m) if o > 0.0 else 0.0
        lack = own - (o + 1.0 / phi[i]) * log((1.0 + phi[i] * o) / (1.0 + phi[i] * m))
        far = math.sqrt(2.0 * max(lack, 0.0))
        at[i] = far if o > m else -far


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
