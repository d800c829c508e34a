"""Where counts out of an exposure lie in their predictive distributions, for estimating spread and pace.

To about three digits, as `positions` does for counts: short sums for small counts (and small remainders);
for others the beta variable of the same variance, by the approximation of Peizer and Pratt (1968,
doi:10.1080/01621459.1968.10480938), with one term of Edgeworth for the difference in skewness.
"""

import math

import numpy as np
from numba import njit

_SHORT = 24
_INVERSE = 1.0 / np.arange(1.0, _SHORT + 1.0)
_LARGEST = 0.999
_ROUND = 1.5
"""Shape of a beta variable from which Peizer and Pratt are good to three digits."""


@njit(cache=True, nogil=True)
def _deviance_ratio(x):
    """Peizer and Pratt's g."""
    if abs(x - 1.0) < 1e-3:
        return (1.0 - x) / 3.0
    return (1.0 - x * x + 2.0 * x * math.log(x)) / ((1.0 - x) * (1.0 - x))


@njit(cache=True, nogil=True)
def _normal(z):
    """P(Z <= z) of a standard normal Z."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@njit(cache=True, nogil=True)
def _beta_z(x, a, b):
    """Normal quantile of P(X <= x) of a beta variable by Peizer and Pratt, for a and b above one half."""
    n, rest = a + b - 1.0, 1.0 - x
    d = b - 1.0 + 2.0 / 3.0 - (n + 1.0 / 3.0) * rest
    d += 0.02 * (x / b - rest / a + (x - 0.5) / (n + 1.0))
    inside = 1.0 + x * _deviance_ratio((b - 0.5) / (n * rest)) + rest * _deviance_ratio((a - 0.5) / (n * x))
    return d * math.sqrt(inside / ((n + 1.0 / 6.0) * x * rest))


@njit(cache=True, nogil=True)
def _beta_cdf(x, a, b):
    """P(X <= x) of a beta variable of any shape, by a series of positive terms (DLMF 8.17.8)."""
    mirrored = x > (a + 1.0) / (a + b + 2.0)
    if mirrored:
        x, a, b = 1.0 - x, b, a
    total, term, k = 1.0, 1.0, 0.0
    while term > 1e-6 * total:
        term *= (a + b + k) / (a + 1.0 + k) * x
        total += term
        k += 1.0
    front = math.lgamma(a + b) - math.lgamma(a + 1.0) - math.lgamma(b)
    found = total * math.exp(front + a * math.log(x) + b * math.log1p(-x))
    return 1.0 - found if mirrored else found


@njit(cache=True, nogil=True)
def _small_step(o, n, a, b):
    """P(X < o) and P(X <= o) by summing the terms from 0."""
    none = math.lgamma(n + b) - math.lgamma(b) - math.lgamma(n + a + b) + math.lgamma(a + b)
    below, term = 0.0, math.exp(none)
    for k in range(int(o)):
        below += term
        term *= (n - k) * (a + k) / (b + n - k - 1.0) * _INVERSE[k]
    return below, below + term


@njit(cache=True, nogil=True)
def _likeness(n, share, rho):
    """Size of the beta variable of a count's mean and variance, and by how much more the count is skew."""
    m, like = (1.0 - rho) / rho, n / (1.0 + (n - 1.0) * rho) - 1.0
    own = (m + 2.0 * n) / (m + 2.0) * math.sqrt((1.0 + m) / (n * (n + m)))
    unit = (1.0 - 2.0 * share) / math.sqrt(share * (1.0 - share))
    return like, unit * (own - 2.0 * math.sqrt(like + 1.0) / (like + 2.0))


@njit(cache=True, nogil=True)
def _z(o, n, share, like, more):
    """Normal quantile of P(X <= o) of a large count."""
    z = _beta_z((o + 0.5) / n, share * like, (1.0 - share) * like)
    return z - more / 6.0 * (z * z - 1.0)


@njit(cache=True, nogil=True)
def bb_step(o, n, share, rho):
    """P(X < o) and P(X <= o) of a beta-binomial count out of ``n``, with variance n p q (1 + (n - 1) rho)."""
    m = (1.0 - rho) / rho
    if o <= _SHORT:
        return _small_step(o, n, share * m, (1.0 - share) * m)
    if n - o <= _SHORT:
        low, high = _small_step(n - o, n, (1.0 - share) * m, share * m)
        return 1.0 - high, 1.0 - low
    like, more = _likeness(n, share, rho)
    if min(share, 1.0 - share) * like < _ROUND:
        a, b = share * like, (1.0 - share) * like
        return _beta_cdf((o - 0.5) / n, a, b), _beta_cdf((o + 0.5) / n, a, b)
    return _normal(_z(o - 1.0, n, share, like, more)), _normal(_z(o, n, share, like, more))


@njit(cache=True, nogil=True)
def _overlap(low, high, tail):
    """Share of the step from ``low`` to ``high`` that lies between the lower and the upper tail."""
    if high <= tail or low >= 1.0 - tail:
        return 0.0
    if low >= tail and high <= 1.0 - tail:
        return 1.0
    return (min(high, 1.0 - tail) - max(low, tail)) / (high - low)


@njit(cache=True, nogil=True)
def bb_coverage(observed, mean, exposure, rho, error, weight, tail):
    """Weighted share of counts out of an exposure that lie in neither tail of their distribution.

    ``error`` is the relative variance of each odds. All of shape (n,) but ``rho`` and ``tail``.
    """
    inside = total = 0.0
    for i in range(observed.size):
        share = mean[i] / exposure[i]
        spread = min(rho + error[i] * share / (1.0 - share), _LARGEST)
        low, high = bb_step(observed[i], exposure[i], share, spread)
        inside += weight[i] * _overlap(low, high, tail)
        total += weight[i]
    return inside / total
