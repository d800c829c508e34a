"""Counts of one period beside those of other periods: how the total of a series splits."""

import math

from numba import njit

from zoo_geo.kernels.tails import _overlap, _smaller, bb_log_mid, bb_log_pmf


@njit(cache=True, nogil=True)
def split_tails(observed, total, share, rho, log_p, upper):
    """Log of the smaller mid tail of each part of a total (beta-binomial), and whether it is the upper one."""
    for i in range(observed.size):
        side = observed[i] > total[i] * share[i]
        log_p[i], upper[i] = _smaller(bb_log_mid(observed[i], total[i], share[i], rho[i], side), side)


@njit(cache=True, nogil=True)
def split_coverage(observed, total, share, rho, weight, tail):
    """Weighted share of parts that lie in neither tail of their distribution."""
    inside = whole = 0.0
    for i in range(observed.size):
        middle = math.exp(bb_log_mid(observed[i], total[i], share[i], rho[i], False))
        half = 0.5 * math.exp(bb_log_pmf(observed[i], total[i], share[i], rho[i]))
        inside += weight[i] * _overlap(middle - half, middle + half, tail)
        whole += weight[i]
    return inside / whole
