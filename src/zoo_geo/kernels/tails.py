"""Tails of the predictive distributions, with digits kept down to 1e-300.

Mid tails: half of the probability of the value itself belongs to each side. The negative binomial
runs on the continued fraction of the incomplete beta function (DLMF 8.17.22), the beta-binomial on
its term ratio. Where the mean is itself uncertain the tail is averaged over nodes of that error.
"""

import math

import numpy as np
from numba import njit

_TINY = 1e-300
_LOG_HALF = math.log(0.5)
_LOG_ROOT = 0.5 * math.log(2.0 * math.pi)

_NODES, _weights = np.polynomial.hermite_e.hermegauss(11)
_LOG_WEIGHTS = np.log(_weights / _weights.sum())
_SHORT = 40.0


def _half_range(count):
    """Gauss nodes and weights on (0, inf) for the weight P(Z > x) of a standard normal Z."""
    at, step = np.linspace(0.0, 12.0, 200_001, retstep=True)
    weight = np.array([0.5 * math.erfc(x / math.sqrt(2.0)) for x in at]) * step
    weight[0] *= 0.5
    before, here = np.zeros_like(at), np.ones_like(at)
    diagonal, off, last = [], [], 1.0
    for _ in range(count):  # Stieltjes
        norm = float(weight @ here**2)
        diagonal.append(float(weight @ (at * here**2)) / norm)
        off.append(norm / last)
        before, here, last = here, (at - diagonal[-1]) * here - off[-1] * before * (len(off) > 1), norm
    jacobi = np.diag(diagonal) + np.diag(np.sqrt(off[1:]), 1) + np.diag(np.sqrt(off[1:]), -1)
    nodes, vectors = np.linalg.eigh(jacobi)
    return nodes, weight.sum() * vectors[0] ** 2


_HALF_NODES, _HALF_WEIGHTS = (
    np.concatenate(parts) for parts in zip(_half_range(2), _half_range(4), strict=True)
)


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
def nb_log_mid(o, mean, phi, upper):
    """Log of the upper (or lower) mid tail of a negative binomial."""
    r = 1.0 / phi
    fixed = math.lgamma(o + r) - math.lgamma(r) - math.lgamma(o + 1.0)
    return _nb_log_mid(o, mean, r, fixed, upper)


@njit(cache=True, nogil=True)
def _nb_log_mid(o, mean, r, fixed, upper):
    """As `nb_log_mid`, with r = 1 / phi and the part of the probability that does not depend on the mean."""
    log_pmf = fixed - r * math.log1p(mean / r) - o * math.log1p(r / mean)
    away = o > mean
    log_tail = log_pmf + math.log(max(_nb_beyond(o, mean, r, away) - 0.5, 0.5))
    if away == upper:
        return log_tail
    return math.log(max(1.0 - math.exp(log_tail), _TINY))


@njit(cache=True, nogil=True)
def _nb_beyond(o, mean, r, upper):
    """Sum of the terms from o outward, in units of the term at o, away from the mean."""
    x = mean / (r + mean)
    if upper:
        return _beta_fraction(o, r, x)
    if o <= _SHORT:
        total, term = 1.0, 1.0
        while o > 0.0:
            term *= o / ((r + o - 1.0) * x)
            total += term
            o -= 1.0
        return total
    return x * (r + o) / r * _beta_fraction(r, o + 1.0, r / (r + mean))


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
def _rule(away, error):
    """Which nodes a tail is averaged over, by its distance from the mean and the size of the error.

    Both are in standard deviations of the figure about its mean. Gauss-Hermite nodes will do unless the error
    rules: then evenly spaced ones, as close as the figure's own spread and as far out as the figure is.
    Returns the number of nodes, the lowest one and their step (0 for Gauss-Hermite).
    """
    if away * error < 2.5 and error < 1.2:
        return _NODES.size, 0.0, 0.0
    narrow = 1.0 / math.sqrt(1.0 + error * error)
    centre = away * error * narrow * narrow
    step = 0.7 * narrow
    low = min(-6.5, -centre - 6.5 * narrow)
    return int(min(math.ceil((6.5 - low) / step), 400.0)), low, step


@njit(cache=True, nogil=True)
def _node(rule, j, upper):
    """Place and log weight of one node."""
    _, low, step = rule
    if step == 0.0:
        return _NODES[j], _LOG_WEIGHTS[j]
    at = low + j * step
    return (at if upper else -at), -0.5 * at * at + math.log(step) - _LOG_ROOT


@njit(cache=True, nogil=True)
def _nb_nearly_sure(o, mean, r, fixed, strength, upper, quick):
    """Log mid tail averaged over a small error of the mean, from one tail and the slopes beside it.

    By parts, E T(x) = T(0) + the integral over x > 0 of P(Z > x) (T'(x) - T'(-x)), and the mid tail of a
    negative binomial has the derivative pmf (o / mean + (o + r) / (r + mean)) / 2 in its mean.
    """
    centre, scale = 1.0 - 1.0 / (9.0 * strength), 1.0 / (3.0 * math.sqrt(strength))
    middle = mean * centre**-3.0
    rise, log_mean = 0.0, math.log(mean / r)
    for k in range(0 if quick else 2, 2 if quick else 6):
        for way in (-1.0, 1.0):
            root = centre - way * scale * _HALF_NODES[k]
            at = mean / (root * root * root)
            pmf = math.exp(fixed + o * (log_mean - 3.0 * math.log(root)) - (o + r) * math.log1p(at / r))
            slope = 1.5 * scale / root * pmf * (o + (o + r) * at / (r + at))
            rise += way * _HALF_WEIGHTS[k] * slope
    return math.log(
        max(math.exp(_nb_log_mid(o, middle, r, fixed, upper)) + (rise if upper else -rise), _TINY)
    )


_PANEL, _panel = np.polynomial.legendre.leggauss(28)
_LOG_PANEL = np.log(_panel)
_NEAR, _FAR, _NEGLIGIBLE, _GOLDEN = -7.0, 45.0, 18.0, 0.6180339887498949


@njit(cache=True, nogil=True)
def _log_beyond(t):
    """Log of P(Z > t) of a standard normal Z."""
    if t < 30.0:
        return math.log(0.5 * math.erfc(t / math.sqrt(2.0)))
    return -0.5 * t * t - math.log(t) - _LOG_ROOT


@njit(cache=True, nogil=True)
def _log_slope(t, o, mean, r, fixed, centre, step):
    """Log of how fast the mid tail grows with the error of the mean at ``t``, times P(Z > t)."""
    root = centre - step * t
    at = mean / (root * root * root)
    log_pmf = fixed - o * math.log1p(r / at) - r * math.log1p(at / r)
    return log_pmf + math.log(1.5 * abs(step) / root * (o + (o + r) * at / (r + at))) + _log_beyond(t)


@njit(cache=True, nogil=True)
def _peak(low, high, width, given):
    """Where the slope is largest, to a part of a width, by golden section."""
    near, far = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_near, at_far = _log_slope(near, *given), _log_slope(far, *given)
    while high - low > 0.3 * width:
        if at_near > at_far:
            high, far, at_far = far, near, at_near
            near = high - _GOLDEN * (high - low)
            at_near = _log_slope(near, *given)
        else:
            low, near, at_near = near, far, at_far
            far = low + _GOLDEN * (high - low)
            at_far = _log_slope(far, *given)
    return 0.5 * (low + high)


@njit(cache=True, nogil=True)
def _reach(peak, end, width, given):
    """How far towards an end the slope matters."""
    top, side, far = _log_slope(peak, *given), 1.0 if end > peak else -1.0, 4.0 * width
    while side * (end - peak) > far:
        if top - _log_slope(peak + side * far, *given) > _NEGLIGIBLE:
            return peak + side * far
        far *= 1.3
    return end


@njit(cache=True, nogil=True)
def _nb_unsure(o, mean, r, fixed, strength, upper):
    """Log mid tail averaged over an error of the mean that may rule, however far out the count lies.

    By parts, E T = T(low) P(Z > low) + the integral of T'(t) P(Z > t) above a low ``t``, of which one peak
    matters: between no error and the error that would lead to the count.
    """
    centre, step = 1.0 - 1.0 / (9.0 * strength), 1.0 / (3.0 * math.sqrt(strength))
    most = (centre - 0.2) / step  # the mean is at most 125 times as large, see `_error_factor`
    first, last = (_NEAR, min(most, _FAR)) if upper else (max(_NEAR, -most), _FAR)
    given = (o, mean, r, fixed, centre, step if upper else -step)
    width = 1.0 / math.sqrt(1.0 + 1.0 / (strength * (1.0 / r + 1.0 / max(o, 1.0))))
    peak = _peak(first, last, width, given)
    low, high = _reach(peak, first, width, given), _reach(peak, last, width, given)
    root = centre - given[5] * low
    top, total = _nb_log_mid(o, mean / (root * root * root), r, fixed, upper), 1.0
    top += _log_beyond(low) if low > first else 0.0  # below the first one the tail is the same
    half = 0.5 * (high - low)
    for k in range(_PANEL.size):
        slope = _log_slope(low + half * (1.0 + _PANEL[k]), *given)
        top, total = _added(top, total, slope + _LOG_PANEL[k] + math.log(half))
    return top + math.log(total)


_UNSURE, _SURE, _SMALL_ERROR, _SMALL_TILT = 5.0, 10.0, 0.5, 1.0


@njit(cache=True, nogil=True)
def nb_tails(observed, mean, phi, strength, log_p, upper):
    """Log of the smaller mid tail of each count and its side, averaged over the mean's error."""
    for i in range(observed.size):
        side = observed[i] > mean[i]
        own = math.sqrt(phi[i] + 1.0 / mean[i])
        away = abs(observed[i] / mean[i] - 1.0) / own
        error = 1.0 / (math.sqrt(strength[i]) * own)
        r = 1.0 / phi[i]
        fixed = math.lgamma(observed[i] + r) - math.lgamma(r) - math.lgamma(observed[i] + 1.0)
        quick = error < 0.15 and away * error < 0.25
        if strength[i] > _SURE and error < _SMALL_ERROR and away * error < _SMALL_TILT:
            log_p[i], upper[i] = _smaller(
                _nb_nearly_sure(observed[i], mean[i], r, fixed, strength[i], side, quick), side
            )
            continue
        if strength[i] < _UNSURE or away * error > 2.5 or error > 1.2:
            log_p[i], upper[i] = _smaller(_nb_unsure(observed[i], mean[i], r, fixed, strength[i], side), side)
            continue
        top, total = -math.inf, 0.0
        for j in range(_NODES.size):
            there = mean[i] * _error_factor(strength[i], _NODES[j])
            log_tail = _nb_log_mid(observed[i], there, r, fixed, side)
            top, total = _added(top, total, _LOG_WEIGHTS[j] + log_tail)
        log_p[i], upper[i] = _smaller(top + math.log(total), side)


@njit(cache=True, nogil=True)
def nb_hidden_tails(observed, mean, share, sigma, phi, strength, log_p, upper):
    """As `nb_tails`, where a part ``share`` of the exposure is unseen and lognormal with log-scale ``sigma``.

    The error of the mean joins the spread, which it is small beside.
    """
    for i in range(observed.size):
        side = observed[i] > mean[i]
        r = 1.0 / (phi[i] + 1.0 / strength[i])
        fixed = math.lgamma(observed[i] + r) - math.lgamma(r) - math.lgamma(observed[i] + 1.0)
        count = max(observed[i], mean[i])
        slope = sigma * (1.0 - (1.0 - share[i]) * mean[i] / count)  # of the log mean, where it is the count
        step = min(0.4, 0.7 * math.sqrt(1.0 / r + 1.0 / count) / max(slope, 1e-9))
        top, total = -math.inf, 0.0
        for j in range(int(min(math.ceil(15.0 / step), 300.0)) + 1):
            at = -7.0 + j * max(step, 0.05)
            factor = 1.0 - share[i] + share[i] * math.exp(sigma * (at - 0.5 * sigma))
            log_tail = _nb_log_mid(observed[i], mean[i] * factor, r, fixed, side)
            top, total = _added(top, total, log_tail - 0.5 * at * at)
        log_p[i], upper[i] = _smaller(top + math.log(total * max(step, 0.05)) - _LOG_ROOT, side)


@njit(cache=True, nogil=True)
def bb_tails(observed, mean, exposure, rho, strength, log_p, upper):
    """As `nb_tails`, for counts out of an exposure; the error is one of the odds."""
    for i in range(observed.size):
        side = observed[i] > mean[i]
        share = mean[i] / exposure[i]
        # relative standard deviation of the odds
        own = math.sqrt((1.0 + (exposure[i] - 1.0) * rho[i]) / (mean[i] * (1.0 - share)))
        away = abs(observed[i] / mean[i] - 1.0) / ((1.0 - share) * own)
        rule = _rule(away, 1.0 / (math.sqrt(strength[i]) * own))
        odds = share / (1.0 - share)
        top, total = -math.inf, 0.0
        for j in range(rule[0]):
            at, log_weight = _node(rule, j, side)
            there = odds * _error_factor(strength[i], at)
            log_tail = bb_log_mid(observed[i], exposure[i], there / (1.0 + there), rho[i], side)
            top, total = _added(top, total, log_weight + log_tail)
        log_p[i], upper[i] = _smaller(top + math.log(total), side)


@njit(cache=True, nogil=True)
def _added(top, total, log):
    """Add an exponential to a running sum of exponentials, in units of the largest."""
    if log > top:
        return log, total * math.exp(top - log) + 1.0
    return top, total + math.exp(log - top)


@njit(cache=True, nogil=True)
def _smaller(log, side):
    """Log of the smaller tail and its side; past one half the other side is the smaller one."""
    if log > _LOG_HALF:
        return math.log(max(1.0 - math.exp(log), _TINY)), not side
    return log, side


@njit(cache=True, nogil=True)
def _overlap(below, at, tail):
    """Share of the step from ``below`` to ``at`` that lies between the lower and the upper tail."""
    step = at - below
    if step < 1e-12:
        return 1.0 if tail <= at <= 1.0 - tail else 0.0
    return (min(max(at, tail), 1.0 - tail) - min(max(below, tail), 1.0 - tail)) / step


@njit(cache=True, nogil=True)
def bb_coverage(observed, mean, exposure, rho, error, weight, tail):
    """Weighted share of counts out of an exposure that lie in neither tail of their distribution."""
    inside = total = 0.0
    for i in range(observed.size):
        share = mean[i] / exposure[i]
        spread = min(rho + error[i] * share / (1.0 - share), 0.999)
        mid_low = math.exp(bb_log_mid(observed[i], exposure[i], share, spread, False))
        half = 0.5 * math.exp(bb_log_pmf(observed[i], exposure[i], share, spread))
        inside += weight[i] * _overlap(mid_low - half, mid_low + half, tail)
        total += weight[i]
    return inside / total
