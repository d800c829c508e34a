"""Where counts lie in their predictive distributions, for estimating spread, response and tail.

To about three digits, which is more than a spread can be known to, and many times as fast as `tails`: short
sums for small counts, the approximation of Peizer and Pratt (1968, doi:10.1080/01621459.1968.10480938) for
others.
"""

import math

import numpy as np
from numba import njit

_SHORT = 24
_INVERSE = 1.0 / np.arange(1.0, _SHORT + 1.0)
_SMALLEST, _WIDEST = 1e-5, 1.5
_NODES, _weights = np.polynomial.hermite_e.hermegauss(7)
_WEIGHTS = _weights / _weights.sum()
_FINE = np.linspace(-3.5, 3.5, 15)
_FINE_WEIGHTS = np.exp(-0.5 * _FINE**2) / np.exp(-0.5 * _FINE**2).sum()


@njit(cache=True, nogil=True)
def _deviance_ratio(x):
    """Peizer and Pratt's g."""
    if abs(x - 1.0) < 1e-3:
        return (1.0 - x) / 3.0
    return (1.0 - x * x + 2.0 * x * math.log(x)) / ((1.0 - x) * (1.0 - x))


@njit(cache=True, nogil=True)
def _z(o, mean, r):
    """Normal quantile of P(X <= o) of a negative binomial by Peizer and Pratt, for r of 1 or more."""
    n, share = o + r, mean / (r + mean)
    rest = 1.0 - share
    d = o + 2.0 / 3.0 - (n + 1.0 / 3.0) * share
    d += 0.02 * (rest / (o + 1.0) - share / (n - o) + (rest - 0.5) / (n + 1.0))
    inside = 1.0 + rest * _deviance_ratio((o + 0.5) / (n * share))
    inside += share * _deviance_ratio((n - o - 0.5) / (n * rest))
    return d * math.sqrt(inside / ((n + 1.0 / 6.0) * share * rest))


@njit(cache=True, nogil=True)
def _normal(z):
    """P(Z <= z) of a standard normal Z."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@njit(cache=True, nogil=True)
def _quantiles(levels):
    """Normal quantiles, by Newton's method."""
    found = np.zeros(levels.size)
    for k in range(levels.size):
        for _ in range(20):
            miss = _normal(found[k]) - levels[k]
            found[k] -= miss * math.sqrt(2.0 * math.pi) * math.exp(0.5 * found[k] * found[k])
    return found


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def nb_step(o, mean, phi):
    """P(X < o) and P(X <= o) of a negative binomial with variance mean + phi mean^2."""
    r = 1.0 / phi
    if o <= _SHORT:
        below, term = 0.0, math.exp(-r * math.log1p(mean / r))
        ratio = mean / (r + mean)
        for k in range(int(o)):
            below += term
            term *= (r + k) * ratio * _INVERSE[k]
        return below, below + term
    if phi <= _WIDEST * 0.5:
        return _normal(_z(o - 1.0, mean, r)), _normal(_z(o, mean, r))
    return _gamma_cdf(o - 1.0, mean, phi), _gamma_cdf(o, mean, phi)


@njit(cache=True, nogil=True)
def nb_place(o, mean, phi, error):
    """As `nb_step`, averaged over an error of the mean, whose inverse is a gamma variable."""
    root, scale = 1.0 - error / 9.0, math.sqrt(error) / 3.0
    below = upto = 0.0
    for j in range(_NODES.size):
        low, high = nb_step(o, mean * max(root + _NODES[j] * scale, 0.2) ** -3.0, phi)
        below += _WEIGHTS[j] * low
        upto += _WEIGHTS[j] * high
    return below, upto


@njit(cache=True, nogil=True)
def _part(low, high, edge):
    """Share of the step from ``low`` to ``high`` that lies below an edge."""
    if high <= edge:
        return 1.0
    if low >= edge:
        return 0.0
    return (edge - low) / (high - low)


@njit(cache=True, nogil=True)
def _large_parts(o, mean, r, weight, edges, places, at):
    """Add a large count's `_part` below each edge, whose normal quantiles are ``places``.

    Few steps hold an edge, so most need no distribution function.
    """
    high, low = _z(o, mean, r), math.nan
    for k in range(edges.size):
        if high <= places[k]:
            at[k] += weight
            continue
        if math.isnan(low):
            low = _z(o - 1.0, mean, r)
        if low < places[k]:
            at[k] += weight * _part(_normal(low), _normal(high), edges[k])


@njit(cache=True, nogil=True)
def nb_shares(observed, mean, phi, heavy, error, weight, edges, at):
    """Weighted shares of counts below each edge of the predictive distribution function, into ``at``.

    ``error`` is the relative variance of each mean. A part ``heavy`` of the spread ``phi`` belongs to the
    inverse of a gamma variable, whose upper tail is heavier; the error of the mean joins it there. All of
    shape (n,) but ``edges`` and ``at``.
    """
    at[:] = 0.0
    total, places = 0.0, _quantiles(edges)
    for i in range(observed.size):
        total += weight[i]
        if heavy[i] == 0.0 and observed[i] > _SHORT and phi[i] + error[i] <= _WIDEST * 0.5:
            _large_parts(observed[i], mean[i], 1.0 / (phi[i] + error[i]), weight[i], edges, places, at)
            continue
        if heavy[i] > 0.0:
            rest = max((1.0 - heavy[i]) * phi[i], _SMALLEST)
            low, high = nb_place(observed[i], mean[i], rest, heavy[i] * phi[i] + error[i])
        else:
            low, high = nb_step(observed[i], mean[i], phi[i] + error[i])
        for k in range(edges.size):
            at[k] += weight[i] * _part(low, high, edges[k])
    at /= max(total, 1e-300)


@njit(cache=True, nogil=True)
def hidden_factor(share, sigma, node):
    """Exposure over its mean, if a part ``share`` of that mean is a lognormal variable."""
    return 1.0 - share + share * math.exp(sigma * (node - 0.5 * sigma))


@njit(cache=True, nogil=True)
def nb_hidden_shares(observed, mean, share, sigma, phi, error, weight, edges, at):
    """As `nb_shares`, where a part ``share`` of the exposure is unseen and lognormal, log-scale ``sigma``."""
    at[:] = 0.0
    total = 0.0
    for i in range(observed.size):
        low = high = 0.0
        for j in range(_FINE.size):
            there = mean[i] * hidden_factor(share[i], sigma, _FINE[j])
            below, upto = nb_step(observed[i], there, phi + error[i])
            low += _FINE_WEIGHTS[j] * below
            high += _FINE_WEIGHTS[j] * upto
        total += weight[i]
        for k in range(edges.size):
            at[k] += weight[i] * _part(low, high, edges[k])
    at /= max(total, 1e-300)


_HALF = np.array([0.25, 0.75])
_MOST = np.array([0.05, 0.95])
_MIDDLE = np.array([0.5])

SPREAD, SHIFT, PACE, ROBUST_PACE = 0, 1, 2, 3
"""What `nb_solve` looks for."""


@njit(cache=True, nogil=True)
def _miss(what, value, observed, mean, phi, heavy, error, slope, weight):
    """How far a share is from one half: of counts in the central half, or (shift) below the middle."""
    if what == SHIFT:
        at = np.empty(1)
        nb_shares(observed, mean * math.exp(value), phi, heavy, error, weight, _MIDDLE, at)
        return at[0] - 0.5
    at = np.empty(2)
    if what == SPREAD:
        nb_shares(observed, mean, phi * math.exp(value), heavy, error, weight, _HALF, at)
        return at[1] - at[0] - 0.5
    edges = _MOST if what == PACE else _HALF
    nb_shares(observed, mean, phi, heavy, error + math.exp(value) * slope, weight, edges, at)
    return at[1] - at[0] - (edges[1] - edges[0])


_CLOSE, _EAGER = 2e-4, 7.0
"""A share that is close enough; how far to go for a miss of one, so that the root lies behind mostly."""


@njit(cache=True, nogil=True)
def nb_solve(what, start, step, low, high, observed, mean, phi, heavy, error, slope, weight):
    """Log of a factor on ``phi`` (SPREAD), on the mean (SHIFT) or on ``slope`` (PACE) that fits a share.

    Half of the counts are to lie in the central half, half below the middle, nine in ten between the outer
    twentieths (ROBUST_PACE: half in the central half). The search walks outward from the start (a spread far
    too large makes the distribution so skewed that the share falls again), by what the miss asks for and by
    ``step`` at most, and closes in by regula falsi (Illinois).
    """
    here, miss = start, _miss(what, start, observed, mean, phi, heavy, error, slope, weight)
    if abs(miss) < _CLOSE:
        return start
    side, reach = (1.0 if miss < 0.0 else -1.0), min(max(_EAGER * abs(miss), 0.03), step)
    while low < here < high:
        there = min(max(here + side * reach, low), high)
        far = _miss(what, there, observed, mean, phi, heavy, error, slope, weight)
        if (far < 0.0) != (miss < 0.0):
            break
        here, miss, reach = there, far, min(4.0 * reach, step)
    else:
        return here
    for _ in range(20):
        at = (here * far - there * miss) / (far - miss)
        new = _miss(what, at, observed, mean, phi, heavy, error, slope, weight)
        if (new < 0.0) != (far < 0.0):
            here, miss = there, far
        else:
            miss *= 0.5
        there, far = at, new
        if abs(new) < _CLOSE or abs(there - here) < 0.003:
            break
    return there


@njit(cache=True, nogil=True)
def _rise(o, r):
    """Log of gamma(o + r) / gamma(r)."""
    if o <= 8.0:
        product = 1.0
        for k in range(int(o)):
            product *= r + k
        return math.log(product)
    if r < 8.0:
        return math.lgamma(o + r) - math.lgamma(r)
    x, y = o + r, r
    return (
        o * math.log(y) + (x - 0.5) * math.log1p(o / y) - o + (1.0 / x - 1.0 / y) / 12.0
        - (1.0 / (x * x * x) - 1.0 / (y * y * y)) / 360.0
    )  # fmt: skip


@njit(cache=True, nogil=True)
def nb_log_likelihood(observed, mean, phi, at):
    """Log probability of counts, up to what depends on neither mean nor spread, into ``at``."""
    for i in range(observed.size):
        r = 1.0 / phi[i]
        at[i] = (
            _rise(observed[i], r)
            - r * math.log1p(mean[i] * phi[i])
            - observed[i] * math.log(1.0 + r / mean[i])
        )


@njit(cache=True, nogil=True)
def scatter(square, error, known, unit, cap, capped_mean):
    """Variance of surroundings about their centre, by Huber's proposal 2: outliers count as two sigma.

    ``square`` are squared departures with errors of variance ``error``; eight rounds.
    """
    found = 0.05 * unit
    for _ in range(8):
        top = bottom = 0.0
        for i in range(square.size):
            if known[i]:
                variance = error[i] + found
                surplus = min(square[i], cap * variance) - capped_mean * variance
                top += surplus / (variance * variance)
                bottom += 1.0 / (variance * variance)
        found = max(found + top / max(bottom, 1e-300), 1e-4 * unit)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def steepness(indptr, indices, holds, events, size, pooled_events, pooled_size, phi, relative):
    """Mean squared step of the surroundings' rate from an area to its neighbours, itself left out of both.

    ``holds`` is the weight of the area in the surroundings of each neighbour. Steps are in units of the rate
    (``relative``), or of standard deviations of a value of weight one.
    """
    steep = np.zeros(indptr.size - 1)
    for i in range(steep.size):
        if pooled_size[i] <= 0.0:
            continue
        here, total, count = pooled_events[i] / pooled_size[i], 0.0, 0
        unit = here if relative else math.sqrt(phi[i])
        for at in range(indptr[i], indptr[i + 1]):
            j = indices[at]
            rest = pooled_size[j] - holds[at] * size[i]
            if rest > 1e-12 * pooled_size[j] and unit > 0.0:
                step = (pooled_events[j] - holds[at] * events[i] - here * rest) / (rest * unit)
                total += step * step
                count += 1
        if count > 0:
            steep[i] = min(total / count, 1.0)
    return steep
