"""Counts of one period beside those of other periods: how the total of a series splits (beta-binomial)."""

import math

from numba import njit

_TINY = 1e-300
_LOG_HALF = math.log(0.5)


@njit(cache=True, nogil=True)
def _split(o, n, share, rho):
    """Log probability of a part, log of its mid tail away from the mean, and whether that is the upper one.

    The tail sums the terms outward by their ratio.
    """
    m = (1.0 - rho) / rho
    a, b = share * m, (1.0 - share) * m
    log_pmf = (
        math.lgamma(n + 1.0) - math.lgamma(o + 1.0) - math.lgamma(n - o + 1.0)
        + math.lgamma(o + a) - math.lgamma(a) + math.lgamma(n - o + b) - math.lgamma(b)
        + math.lgamma(m) - math.lgamma(n + m)
    )  # fmt: skip
    upper = o > n * share
    if not upper:
        o, a, b = n - o, b, a
    total, term = 0.5, 1.0
    while o < n:
        term *= (n - o) * (a + o) / ((o + 1.0) * (b + n - o - 1.0))
        total += term
        o += 1.0
        if term < 1e-17 * total:
            break
    return log_pmf, log_pmf + math.log(total), upper


@njit(cache=True, nogil=True)
def split_tails(observed, total, share, rho, log_p, upper):
    """Log of the smaller mid tail of each part of a total, and whether it is the upper one."""
    for i in range(observed.size):
        _, log_tail, side = _split(observed[i], total[i], share[i], rho[i])
        if log_tail > _LOG_HALF:
            log_tail, side = math.log(max(1.0 - math.exp(log_tail), _TINY)), not side
        log_p[i], upper[i] = log_tail, side


@njit(cache=True, nogil=True)
def split_coverage(observed, total, share, rho, weight, tail):
    """Weighted share of parts that lie in neither tail of their distribution."""
    inside = whole = 0.0
    for i in range(observed.size):
        log_pmf, log_tail, side = _split(observed[i], total[i], share[i], rho[i])
        middle, step = math.exp(log_tail), math.exp(log_pmf)
        middle = 1.0 - middle if side else middle
        low, high = middle - 0.5 * step, middle + 0.5 * step
        if step < 1e-12:
            part = 1.0 if tail <= high <= 1.0 - tail else 0.0
        else:
            part = (min(max(high, tail), 1.0 - tail) - min(max(low, tail), 1.0 - tail)) / step
        inside += weight[i] * part
        whole += weight[i]
    return inside / whole
