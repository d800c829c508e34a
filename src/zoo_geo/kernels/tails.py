"""Tails of the predictive distributions, with digits kept down to 1e-300.

Mid tails: half of the probability of the value itself belongs to each side. The negative binomial
runs on the continued fraction of the incomplete beta function (DLMF 8.17.22), the beta-binomial on
its term ratio. Where the mean is itself uncertain the tail is averaged over nodes of that error.
"""

import math

import numpy as np
from numba import njit

_TINY = 1e-300


@njit(cache=True, nogil=True)
def _beta_fraction(a, b, x):
    """Continued fraction of the incomplete beta function (modified Lentz)."""
    c = 1.0
    d = 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    h = d
    for step in range(1, 20_000):
        even = step * (b - step) * x / ((a + 2.0 * step - 1.0) * (a + 2.0 * step))
        d = 1.0 + even * d
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = 1.0 + even / c
        c = c if abs(c) > _TINY else _TINY
        h *= d * c
        odd = -(a + step) * (a + b + step) * x / ((a + 2.0 * step) * (a + 2.0 * step + 1.0))
        d = 1.0 + odd * d
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = 1.0 + odd / c
        c = c if abs(c) > _TINY else _TINY
        change = d * c
        h *= change
        if abs(change - 1.0) < 1e-14:
            break
    return h


@njit(cache=True, nogil=True)
def nb_log_pmf(o, mean, phi):
    """Log probability of a negative binomial count with variance mean + phi mean^2."""
    r = 1.0 / phi
    return (
        math.lgamma(o + r) - math.lgamma(r) - math.lgamma(o + 1.0)
        - r * math.log1p(mean / r) - o * math.log1p(r / mean)
    )  # fmt: skip


@njit(cache=True, nogil=True)
def nb_log_mid(o, mean, phi, upper):
    """Log of the upper (or lower) mid tail of a negative binomial."""
    if (o > mean) != upper:
        other = math.exp(nb_log_mid_direct(o, mean, phi, not upper))
        return math.log(max(1.0 - other, _TINY))
    return nb_log_mid_direct(o, mean, phi, upper)


@njit(cache=True, nogil=True)
def nb_log_mid_direct(o, mean, phi, upper):
    """Log mid tail on the side of the mean where the continued fraction is quick."""
    r = 1.0 / phi
    log_pmf = nb_log_pmf(o, mean, phi)
    if upper:
        times = _beta_fraction(o, r, mean / (r + mean)) - 0.5
    else:
        x = mean / (r + mean)
        times = x * (r + o) / r * _beta_fraction(r, o + 1.0, r / (r + mean)) - 0.5
    return log_pmf + math.log(max(times, 0.5))


@njit(cache=True, nogil=True)
def bb_log_pmf(o, n, share, rho):
    """Log probability of a beta-binomial count with variance n p q (1 + (n - 1) rho)."""
    m = (1.0 - rho) / rho
    a, b = share * m, (1.0 - share) * m
    return (
        math.lgamma(n + 1.0) - math.lgamma(o + 1.0) - math.lgamma(n - o + 1.0)
        + math.lgamma(o + a) - math.lgamma(a) + math.lgamma(n - o + b) - math.lgamma(b)
        + math.lgamma(m) - math.lgamma(n + m)
    )  # fmt: skip


@njit(cache=True, nogil=True)
def bb_log_mid(o, n, share, rho, upper):
    """Log of the upper (or lower) mid tail of a beta-binomial, by summing its terms outward."""
    if (o > n * share) != upper:
        other = math.exp(bb_log_mid_direct(o, n, share, rho, not upper))
        return math.log(max(1.0 - other, _TINY))
    return bb_log_mid_direct(o, n, share, rho, upper)


@njit(cache=True, nogil=True)
def bb_log_mid_direct(o, n, share, rho, upper):
    """Log mid tail away from the mean: the value's own half and every term beyond it."""
    m = (1.0 - rho) / rho
    a, b = share * m, (1.0 - share) * m
    if not upper:
        return _bb_beyond(n - o, n, b, a) + bb_log_pmf(o, n, share, rho)
    return _bb_beyond(o, n, a, b) + bb_log_pmf(o, n, share, rho)


@njit(cache=True, nogil=True)
def _bb_beyond(o, n, a, b):
    """Log of (half the term at o plus all terms above it), in units of the term at o."""
    total, term = 0.5, 1.0
    while o < n:
        term *= (n - o) * (a + o) / ((o + 1.0) * (b + n - o - 1.0))
        total += term
        o += 1.0
        if term < 1e-17 * total:
            break
    return math.log(total)


@njit(cache=True, nogil=True)
def _error_factor(strength, node):
    """One node of the error of the mean: the inverse of a gamma quantile of shape ``strength``.

    Wilson and Hilferty (1931): the cube root of a gamma variable is nearly normal.
    """
    root = 1.0 - 1.0 / (9.0 * strength) + node / (3.0 * math.sqrt(strength))
    return max(root, 0.2) ** -3.0


@njit(cache=True, nogil=True)
def nb_tails(observed, mean, phi, strength, nodes, log_weights, log_p, upper):
    """Log of the smaller mid tail of each count and its side, averaged over the mean's error."""
    logs = np.empty(nodes.size)
    for i in range(observed.size):
        side = observed[i] > mean[i]
        for j in range(nodes.size):
            at = mean[i] * _error_factor(strength[i], nodes[j])
            logs[j] = log_weights[j] + nb_log_mid(observed[i], at, phi[i], side)
        log_p[i], upper[i] = _smaller(logs, side)


@njit(cache=True, nogil=True)
def bb_tails(observed, mean, exposure, rho, strength, nodes, log_weights, log_p, upper):
    """As `nb_tails`, for counts out of an exposure; the error is one of the odds."""
    logs = np.empty(nodes.size)
    for i in range(observed.size):
        side = observed[i] > mean[i]
        odds = mean[i] / (exposure[i] - mean[i])
        for j in range(nodes.size):
            at = odds * _error_factor(strength[i], nodes[j])
            share = at / (1.0 + at)
            logs[j] = log_weights[j] + bb_log_mid(observed[i], exposure[i], share, rho[i], side)
        log_p[i], upper[i] = _smaller(logs, side)


@njit(cache=True, nogil=True)
def _smaller(logs, side):
    """Log of the sum of exponentials; past one half the other side is the smaller one."""
    top = logs.max()
    total = top + math.log(np.exp(logs - top).sum())
    if total > math.log(0.5):
        return math.log(max(1.0 - math.exp(total), _TINY)), not side
    return total, side


@njit(cache=True, nogil=True)
def _overlap(below, at):
    """Share of the step from ``below`` to ``at`` that lies in the central half."""
    step = at - below
    if step < 1e-12:
        return 1.0 if 0.25 <= at <= 0.75 else 0.0
    return (min(max(at, 0.25), 0.75) - min(max(below, 0.25), 0.75)) / step


@njit(cache=True, nogil=True)
def nb_coverage(observed, mean, phi, error, weight):
    """Weighted share of counts in the central half of their predictive distribution."""
    inside = total = 0.0
    for i in range(observed.size):
        spread = phi + error[i]
        mid_low = math.exp(nb_log_mid(observed[i], mean[i], spread, False))
        half = 0.5 * math.exp(nb_log_pmf(observed[i], mean[i], spread))
        inside += weight[i] * _overlap(mid_low - half, mid_low + half)
        total += weight[i]
    return inside / total


@njit(cache=True, nogil=True)
def bb_coverage(observed, mean, exposure, rho, error, weight):
    """As `nb_coverage`, for counts out of an exposure."""
    inside = total = 0.0
    for i in range(observed.size):
        share = mean[i] / exposure[i]
        spread = min(rho + error[i] * share / (1.0 - share), 0.999)
        mid_low = math.exp(bb_log_mid(observed[i], exposure[i], share, spread, False))
        half = 0.5 * math.exp(bb_log_pmf(observed[i], exposure[i], share, spread))
        inside += weight[i] * _overlap(mid_low - half, mid_low + half)
        total += weight[i]
    return inside / total
