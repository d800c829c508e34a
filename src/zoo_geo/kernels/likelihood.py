"""Predictive likelihood of counts, a vector of them at a time."""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import log, plain_log, sum_of
from zoo_geo.kernels.lanes import all_lanes

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
    """Log probability of counts, up to what depends on neither mean nor spread, into ``at``.

    Means are above 0 and finite: nothing is said of others.
    """
    all_lanes()
    shifted = 0
    for i in range(observed.size):
        o, r = observed[i], 1.0 / phi[i]
        shift = _SHIFT if r < _SHIFT else 0.0
        shifted += r < _SHIFT
        x, y = o + r + shift, r + shift
        a, b = 1.0 / x, 1.0 / y
        rise = (x - 0.5) * plain_log(x * b) - o + _series(a) - _series(b)
        at[i] = (
            rise
            - r * plain_log(1.0 + mean[i] * phi[i])
            - o * plain_log((1.0 + mean[i] * phi[i]) / (mean[i] * phi[i] * y))
        )
    if shifted > 0:
        for i in range(observed.size):
            r = 1.0 / phi[i]
            at[i] += log(_from(r) / _from(observed[i] + r)) if r < _SHIFT else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def nb_residual(observed, mean, phi, at):
    """Signed deviance residuals of counts into ``at``."""
    all_lanes()
    for i in range(observed.size):
        o, m = observed[i], mean[i]
        own = o * log(o / m) if o > 0.0 else 0.0
        lack = own - (o + 1.0 / phi[i]) * log((1.0 + phi[i] * o) / (1.0 + phi[i] * m))
        far = math.sqrt(2.0 * max(lack, 0.0))
        at[i] = far if o > m else -far


@njit(cache=True, nogil=True, error_model="numpy")
def nb_usual(observed, size, valid, rate, spread, strength, far, fewest, keep):
    """Say, as 1 or 0 into ``keep``, where a residual is below ``far``; counts below ``fewest`` are not high.

    The error of the rate, ``1 / strength``, joins the spread.
    """
    all_lanes()
    n = observed.size
    doubtful, number, near = np.empty(n, np.int64), 0, 0.999 * far * far
    for i in range(n):
        o, mean, phi = observed[i], rate[i] * size[i], spread[i] + 1.0 / strength[i]
        away = o - mean
        least = min(o, mean)  # the variance at the nearer one bounds the deviance, as does twice the mean
        close = (away * away < near * (least + phi * least * least)) | ((away < 0.0) & (2.0 * mean < near))
        keep[i] = 1.0 if close | ((away > 0.0) & (o < fewest)) else 0.0
    for i in range(n):
        known = (valid[i] > 0.0) & (rate[i] > 0.0) & (rate[i] < np.inf) & (size[i] > 0.0)
        doubtful[number] = i
        number += known & (keep[i] == 0.0)
        keep[i] = keep[i] if known else 0.0
    seen, mean, phi, away = np.empty(number), np.empty(number), np.empty(number), np.empty(number)
    for k in range(number):
        i = doubtful[k]
        seen[k], mean[k], phi[k] = observed[i], rate[i] * size[i], spread[i] + 1.0 / strength[i]
    nb_residual(seen, mean, phi, away)
    for k in range(number):
        keep[doubtful[k]] = 1.0 if abs(away[k]) < far else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def compared(keep, size, rates, most):
    """Rows that all rates, shape (n_rates, n), can be compared at: evenly spaced ones where they are many.

    Returns the rows, and how many each stands for.
    """
    n, number = size.size, 0
    rows, known = np.empty(n, np.int64), np.empty(n)
    for i in range(n):
        known[i] = 1.0 if (keep[i] > 0.0) & (size[i] > 0.0) else 0.0
    for k in range(rates.shape[0]):
        rate = rates[k]
        for i in range(n):
            known[i] = known[i] if (rate[i] > 0.0) & (rate[i] < np.inf) else 0.0
    for i in range(n):
        rows[number] = i
        number += known[i] > 0.0
    times = max(number // most, 1)
    return rows[:number:times].copy(), times


@njit(cache=True, nogil=True, error_model="numpy")
def nb_score(rows, observed, size, rate, strength, spread, times, slope, pace):
    """Log likelihood of some rows of a column with ``times`` the spread.

    The error of the rate joins it: ``1 / strength``, and ``pace`` times a slope unless that is empty.
    """
    n = rows.size
    seen, mean, phi, at = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for k in range(n):
        i = rows[k]
        seen[k], mean[k] = observed[i], rate[i] * size[i]
        phi[k] = times * spread[i] + 1.0 / strength[i]
    if slope.size > 0:
        for k in range(n):
            phi[k] += pace * slope[rows[k]]
    nb_log_likelihood(seen, mean, phi, at)
    return sum_of(at)
