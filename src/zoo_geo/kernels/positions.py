"""Where many counts lie in their negative binomial distributions, a vector of them at a time.

For estimating spread, response and tail, to about three digits, which is more than a spread can be known to.
Counts are sorted, so that short sums run side by side without branches; longer ones take the approximation
of Peizer and Pratt (1968, doi:10.1080/01621459.1968.10480938) in the middle of their step.
"""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import cubic, exp, log, normal_below, sum_of

SHORT = 24
"""Largest count whose distribution function is summed."""
_SMALLEST, _WIDEST = 1e-5, 0.75
"""Spreads between which the approximation holds."""
_NODES, _weights = np.polynomial.hermite_e.hermegauss(5)
_WEIGHTS = _weights / _weights.sum()
_FINE = np.linspace(-3.5, 3.5, 15)
_FINE_WEIGHTS = np.exp(-0.5 * _FINE**2) / np.exp(-0.5 * _FINE**2).sum()


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
    r, ratio = np.empty(mean.size), np.empty(mean.size)
    for i in range(mean.size):
        r[i] = 1.0 / spread[i]
        beyond = 1.0 + mean[i] * spread[i]
        ratio[i] = mean[i] * spread[i] / beyond
        high[i] = exp(-r[i] * log(beyond))
        low[i] = 0.0
    for k in range(SHORT):
        _add_term(float(k), r[ends[k] :], ratio[ends[k] :], low[ends[k] :], high[ends[k] :])
    for i in range(mean.size):
        high[i] += low[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_term(k, r, ratio, low, high):
    """Add the probability of ``k``, and go on to that of the next."""
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
    t = math.sqrt(-2.0 * log(tail))
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


@njit(cache=True, nogil=True, error_model="numpy")
def sorted_counts(observed, mean, error):
    """Copies in the order of `sort_counts`, with its order and ends."""
    order, ends = np.empty(observed.size, np.int64), np.empty(SHORT + 1, np.int64)
    sort_counts(observed, order, ends)
    return observed[order], mean[order], error[order], order, ends


@njit(cache=True, nogil=True, error_model="numpy")
def _below(low, high, short, weight, edges, z_edges, at):
    """Weighted shares of steps below edges, into ``at``; returns how many equal weights they are worth."""
    n = low.size
    unit, part, whole = np.empty(n), np.empty(n), sum_of(weight)
    for i in range(n):
        unit[i] = weight[i] / max(high[i] - low[i], 1e-12)
        part[i] = weight[i] * weight[i]
    square = sum_of(part)
    for k in range(edges.size):
        for i in range(n):
            edge = edges[k] if i < short else z_edges[k]
            part[i] = min(max((edge - low[i]) * unit[i], 0.0), weight[i])
        at[k] = sum_of(part) / max(whole, 1e-300)
    return whole * whole / max(square, 1e-300)


@njit(cache=True, nogil=True, error_model="numpy")
def ends_of(observed, mean, phi, heavy, error, ends, low, high):
    """Ends of steps with or without a heavy part; returns how many rows have probabilities."""
    if heavy > 0.0:
        own = np.full(mean.size, max((1.0 - heavy) * phi, _SMALLEST))
        heavy_steps(observed, mean, own, heavy * phi + error, ends, low, high)
        return mean.size
    steps(observed, mean, phi + error, ends, low, high)
    return ends[SHORT]


@njit(cache=True, nogil=True, error_model="numpy")
def shares(observed, mean, phi, heavy, error, weight, edges, z_edges, at):
    """Weighted shares of counts below edges of their distribution functions, into ``at``.

    One spread ``phi`` for all; a part ``heavy`` of it belongs to the inverse of a gamma variable, whose
    upper tail is heavier, and the error of the mean joins it there. ``z_edges`` are the normal quantiles of
    ``edges``. Returns how many counts of equal weight they are worth.
    """
    observed, mean, error, order, ends = sorted_counts(observed, mean, error)
    low, high = np.empty(mean.size), np.empty(mean.size)
    short = ends_of(observed, mean, phi, heavy, error, ends, low, high)
    return _below(low, high, short, weight[order], edges, z_edges, at)


@njit(cache=True, nogil=True, error_model="numpy")
def hidden_shares(observed, mean, share, sigma, phi, error, weight, edges, at):
    """As `shares`, where a part ``share`` of the exposure is unseen and lognormal, log-scale ``sigma``.

    Few nodes will do where that makes little of the variance. Steps are at least `_BROAD` wide, so that
    shares change smoothly with the law.
    """
    spread, below, total, square = phi + error, np.zeros(edges.size), 0.0, 0.0
    much = share * share * math.expm1(sigma * sigma) > _SLIGHT * (spread + 1.0 / mean)
    for part in (True, False):
        rows = np.flatnonzero(much == part)
        few, ends = np.empty(rows.size, np.int64), np.empty(SHORT + 1, np.int64)
        sort_counts(observed[rows], few, ends)
        rows = rows[few]
        low, high, own = np.empty(rows.size), np.empty(rows.size), weight[rows]
        nodes, weights = (_FINE, _FINE_WEIGHTS) if part else (_NODES, _WEIGHTS)
        given = observed[rows], mean[rows], share[rows], sigma, spread[rows], ends, nodes, weights
        hidden_steps(*given, low, high)
        for i in range(rows.size):
            lacks = max(0.5 * (_BROAD - high[i] + low[i]), 0.0)
            low[i] -= lacks
            high[i] += lacks
        _below(low, high, rows.size, own, edges, edges, at)
        below += at * own.sum()
        total += own.sum()
        square += (own * own).sum()
    at[:] = below / max(total, 1e-300)
    return total * total / max(square, 1e-300)


_SLIGHT = 0.1
"""Part of a variance that unseen exposure may make where few nodes will do."""
_BROAD = 0.06


@njit(cache=True, nogil=True, error_model="numpy")
def off_middle(observed, mean, error, usual, rows, ends, phi):
    """How far the usual counts of each class lie off the middle and the central half, a chi-square of two.

    ``rows`` are those of all classes one after the other and ``ends`` where each one ends; ``phi`` their
    spreads. The steps of all classes are taken together.
    """
    label, kept, start = np.empty(rows.size, np.int64), np.empty(rows.size, np.int64), 0
    number = 0
    for k in range(ends.size):
        for j in range(start, ends[k]):
            kept[number], label[number] = rows[j], k
            number += usual[rows[j]]
        start = ends[k]
    rows, order, short = kept[:number], np.empty(number, np.int64), np.empty(SHORT + 1, np.int64)
    sort_counts(observed[rows], order, short)
    rows, label = rows[order], label[:number][order]
    seen, expected, spread = observed[rows], mean[rows], phi[label] + error[rows]
    low, high = np.empty(number), np.empty(number)
    steps(seen, expected, spread, short, low, high)
    sums = np.zeros((ends.size, 2 + _QUARTERS.size))
    for i in range(number):
        own = expected[i] * spread[i]
        weight = own / (1.0 + own) + 1e-6
        unit, at = weight / max(high[i] - low[i], 1e-12), sums[label[i]]
        at[0] += weight
        at[1] += weight * weight
        for k in range(_QUARTERS.size):
            edge = _QUARTERS[k] if i < short[SHORT] else _Z_QUARTERS[k]
            at[2 + k] += min(max((edge - low[i]) * unit, 0.0), weight)
    found = np.empty(ends.size)
    for k in range(ends.size):
        whole, square, first, half, last = sums[k]
        middle, central = half / max(whole, 1e-300) - 0.5, (last - first) / max(whole, 1e-300) - 0.5
        worth = whole * whole / max(square, 1e-300)
        found[k] = worth * (middle * middle + central * central) / 0.25
    return found


_QUARTERS, _Z_QUARTERS = np.array([0.25, 0.5, 0.75]), np.array([-0.6744897501960817, 0.0, 0.6744897501960817])
