"""Where many counts lie in their negative binomial distributions, a vector of them at a time.

For estimating spread, response and tail, to about three digits, which is more than a spread can be known to.
Counts are sorted, so that short sums run side by side without branches; longer ones take the approximation
of Peizer and Pratt (1968, doi:10.1080/01621459.1968.10480938) in the middle of their step.
"""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import cubic, normal_below, plain_exp, plain_log
from zoo_geo.kernels.lanes import all_lanes

SHORT = 24
"""Largest count whose distribution function is summed."""
_WIDEST = 0.75
"""Largest spread for which the approximation holds."""
_NEAR = 512
_NODES, _weights = np.polynomial.hermite_e.hermegauss(5)
_WEIGHTS = _weights / _weights.sum()


@njit(cache=True, nogil=True, error_model="numpy")
def sort_counts(observed, order, ends):
    """Put the rows of short counts first, in order of their counts; others follow as they come.

    ``ends[k]`` is how many rows have a count of k or less. Shapes (n,) and (SHORT + 1,).
    """
    ends[:] = 0
    for i in range(observed.size):
        if observed[i] <= SHORT:
            ends[int(observed[i])] += 1
    start, at = 0, np.empty(SHORT + 2, np.int64)
    for k in range(SHORT + 1):
        at[k] = start
        start += ends[k]
        ends[k] = start
    at[SHORT + 1] = start
    for i in range(observed.size):
        k = int(observed[i]) if observed[i] <= SHORT else SHORT + 1
        order[at[k]] = i
        at[k] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def steps(observed, mean, spread, ends, low, high):
    """Ends of the step that each count is in its distribution function, into ``low`` and ``high``.

    Means are above 0 and finite: nothing is said of others.

    Rows are those of `sort_counts`. Short counts have P(X < o) and P(X <= o); others the normal quantiles of
    these, along the slope in the middle of the step.
    """
    short = ends[SHORT]
    _short_steps(mean[:short], spread[:short], ends, low[:short], high[:short])
    _long_steps(observed[short:], mean[short:], spread[short:], low[short:], high[short:])
    _wide_steps(observed, mean, spread, short, low, high)


@njit(cache=True, nogil=True, error_model="numpy")
def _short_steps(mean, spread, ends, low, high):
    """`steps` of short counts, by sums."""
    all_lanes()
    r, ratio = np.empty(mean.size), np.empty(mean.size)
    for i in range(mean.size):
        own, inverse = mean[i] * spread[i], 1.0 / spread[i]
        high[i] = plain_exp(-inverse * plain_log(1.0 + own))
        ratio[i], r[i], low[i] = own / (1.0 + own), inverse, 0.0
    for first in range(0, mean.size, _NEAR):  # few enough to stay close to the processor
        last = min(first + _NEAR, mean.size)
        for k in range(SHORT):
            start = max(first, ends[k])
            if start >= last:
                break
            _add_term(float(k), r[start:last], ratio[start:last], low[start:last], high[start:last])
    for i in range(mean.size):
        high[i] += low[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_term(k, r, ratio, low, high):
    """Add the probability of ``k``, and go on to that of the next."""
    all_lanes()
    inverse = 1.0 / (k + 1.0)
    for i in range(r.size):
        low[i] += high[i]
        high[i] *= (r[i] + k) * ratio[i] * inverse


@njit(cache=True, nogil=True, error_model="numpy")
def _long_steps(observed, mean, spread, low, high):
    """`steps` of other counts, by the approximation of Peizer and Pratt.

    Their function g of a ratio x, in t = (x - 1) / (x + 1), is minus the sum of 2 t^(2k + 1) / ((2k + 1)
    (2k + 3)), and log x the sum of 2 t^(2k + 1) / (2k + 1): polynomials up to a ratio of 37, beyond which
    counts are far out whatever it is. Nothing cancels.
    """
    all_lanes()
    for i in range(observed.size):
        o, beyond = observed[i], 1.0 + mean[i] * spread[i]
        inverse = 1.0 / (spread[i] * beyond)
        far, rest = inverse * beyond, inverse * spread[i]
        n, left, share = o - 0.5 + far, far - 0.5, 1.0 - rest
        away = (o - mean[i]) * rest + 0.5 * share
        here, there = 2.0 * o - away, 2.0 * left + away
        over = 1.0 / (here * there)
        t, u = away * there * over, away * here * over
        relative = (1.0 - rest * _toward(t) + share * _toward(u)) * (n - 1.0 / 6.0) / (n * n * share * rest)
        root = math.sqrt(relative)
        small = (rest * (n + 1.0) + (rest - 0.5) * (o + 0.5)) / ((o + 0.5) * (n + 1.0)) - share * spread[i]
        z = (away + 1.0 / 6.0 - share * (1.0 / 3.0) + 0.02 * small) * root
        half = _log_ratio(t) * (there * over) / root
        low[i], high[i] = z - half, z + half


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _toward(t):
    """Minus the function g of Peizer and Pratt, to 5e-5."""
    s = min(t * t, 0.9)
    q = s * s
    low = cubic(s, q, 0.666647001, 0.135925703, 0.001996863, 0.468644387)
    return t * (low + cubic(s, q, -1.623227235, 3.191250386, -3.057069008, 1.194018107) * (q * q))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _log_ratio(t):
    """Half the log of (1 + t) / (1 - t), over t, to 1e-3."""
    s = min(t * t, 0.9)
    q = s * s
    low = cubic(s, q, 0.999556792, 0.391330699, -1.023464197, 9.74225026)
    return low + cubic(s, q, -35.584515377, 68.133512215, -64.414809387, 24.332710558) * (q * q)


@njit(cache=True, nogil=True, error_model="numpy")
def _gamma_cdf(o, mean, phi):
    """P(X <= o) for a spread that rules a large count: that of a gamma variable (DLMF 8.7.1, 8.11.2)."""
    shape = 1.0 / (phi + 1.0 / mean)
    x = shape * (o + 0.5) / mean
    if x > 6.0:
        more = 1.0 + (shape - 1.0) / x * (1.0 + (shape - 2.0) / x)
        return 1.0 - math.exp((shape - 1.0) * math.log(x) - x - math.lgamma(shape)) * more
    total, term, k = 1.0, 1.0, shape
    while term > 1e-6 * total:
        k += 1.0
        term *= x / k
        total += term
    return total * math.exp(shape * math.log(x) - x - math.lgamma(shape + 1.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _wide_steps(observed, mean, spread, start, low, high):
    """The same for large counts with so wide a spread that the approximation does not hold."""
    for i in range(start, observed.size):
        if spread[i] > _WIDEST:
            low[i] = quantile(_gamma_cdf(observed[i] - 1.0, mean[i], spread[i]))
            high[i] = quantile(_gamma_cdf(observed[i], mean[i], spread[i]))


@njit(cache=True, nogil=True, error_model="numpy")
def quantile(p):
    """Normal quantile to three digits (Hastings 1955, Abramowitz and Stegun 26.2.23)."""
    tail = min(max(min(p, 1.0 - p), 1e-12), 0.5)
    t = math.sqrt(-2.0 * plain_log(tail))
    over = 2.515517 + t * (0.802853 + t * 0.010328)
    under = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    z = t - over / under
    return z if p > 0.5 else -z


@njit(cache=True, nogil=True, error_model="numpy")
def _averaged_steps(observed, means, spread, weights, ends, low, high):
    """As `steps`, averaged over means of shape (n_nodes, n); all ends are probabilities."""
    n, short = observed.size, ends[SHORT]
    below, upto = np.empty(n), np.empty(n)
    low[:], high[:] = 0.0, 0.0
    for j in range(weights.size):
        steps(observed, means[j], spread, ends, below, upto)
        for i in range(short):
            low[i] += weights[j] * below[i]
            high[i] += weights[j] * upto[i]
        _add_normal(weights[j], below[short:], low[short:])
        _add_normal(weights[j], upto[short:], high[short:])


@njit(cache=True, nogil=True, error_model="numpy")
def _add_normal(weight, z, at):
    """Add weighted normal probabilities below ``z``."""
    all_lanes()
    for i in range(z.size):
        at[i] += weight * normal_below(z[i])


@njit(cache=True, nogil=True, error_model="numpy")
def heavy_steps(observed, mean, spread, smear, ends, low, high):
    """As `steps`, averaged over the inverse of a gamma variable with the relative variance ``smear``."""
    means = np.empty((_NODES.size, mean.size))
    for j in range(_NODES.size):
        for i in range(mean.size):
            root = max(1.0 - smear[i] / 9.0 + _NODES[j] * math.sqrt(smear[i]) / 3.0, 0.2)
            means[j, i] = mean[i] / (root * root * root)
    _averaged_steps(observed, means, spread, _WEIGHTS, ends, low, high)


@njit(cache=True, nogil=True, error_model="numpy")
def hidden_steps(observed, mean, share, sigma, spread, ends, nodes, weights, low, high):
    """As `steps`, where a part ``share`` of the exposure is unseen and lognormal with log-scale ``sigma``."""
    means = np.empty((nodes.size, mean.size))
    for j in range(nodes.size):
        factor = math.exp(sigma * (nodes[j] - 0.5 * sigma)) - 1.0
        for i in range(mean.size):
            means[j, i] = mean[i] * (1.0 + share[i] * factor)
    _averaged_steps(observed, means, spread, weights, ends, low, high)
