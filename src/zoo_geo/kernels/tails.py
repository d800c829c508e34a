"""Tails of the predictive distributions, with digits kept down to 1e-300.

Mid tails: half of the probability of the value itself belongs to each side. The negative binomial
runs on the continued fraction of the incomplete beta function (DLMF 8.17.22), the beta-binomial on
its term ratio. Where the mean is itself uncertain the tail is averaged over nodes of that error. Most
negative binomial counts are done in blocks, see `zoo_geo.kernels.bulk_tails`.
"""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.bulk_tails import bulk
from zoo_geo.kernels.elementary import plain_exp, plain_log, sum_of

_TINY = 1e-300
_LOG_HALF = math.log(0.5)
_LOG_ROOT = 0.5 * math.log(2.0 * math.pi)

_NODES, _weights = np.polynomial.hermite_e.hermegauss(11)
_LOG_WEIGHTS = np.log(_weights / _weights.sum())
_SHORT = 40.0


_HALF_NODES = np.array(
    [0.3362071960895828, 1.569909628628066, 0.1561790058101962,
     0.7695778699073673, 1.734886411119624, 3.0190949696268605]
)  # fmt: skip
_HALF_WEIGHTS = np.array(
    [0.30501952308925173, 0.09392275743186351, 0.17243584152796548,
     0.17853341001757825, 0.046068335162934904, 0.001904693812636844]
)  # fmt: skip
"""Gauss nodes and weights on (0, inf) for the weight P(Z > x): a rule of two and one of four."""


@njit(cache=True, nogil=True)
def _beta_fraction(a, b, x):
    """Continued fraction of the incomplete beta function, by its recurrence from the front (DLMF 3.10.6)."""
    over, under, over_before, under_before = 1.0, 1.0 - (a + b) * x / (a + 1.0), 1.0, 1.0
    h = last = 0.0
    for step in range(1, 20_000):
        there = a + 2.0 * step
        even = step * (b - step) * x / ((there - 1.0) * there)
        over_before, under_before = over + even * over_before, under + even * under_before
        odd = -(a + step) * (a + b + step) * x / (there * (there + 1.0))
        over, under = over_before + odd * over, under_before + odd * under
        h = over / under
        if abs(h - last) < 1e-14 * abs(h):
            break
        last = h
        if abs(under) > 1e100 or abs(under) < 1e-100:
            scale = 1.0 / under
            over, under, over_before, under_before = h, 1.0, over_before * scale, under_before * scale
    return h


_SHORT_LOGS = np.array([math.lgamma(k + 1.0) for k in range(int(_SHORT) + 1)])


@njit(cache=True, nogil=True)
def _log_fixed(o, r):
    """Part of the log probability of a negative binomial count that does not depend on the mean."""
    if o > _SHORT or r > 1e6:
        return math.lgamma(o + r) - math.lgamma(r) - math.lgamma(o + 1.0)
    product = 1.0
    for k in range(int(o)):
        product *= r + k
    return math.log(product) - _SHORT_LOGS[int(o)]


@njit(cache=True, nogil=True)
def nb_log_mid(o, mean, phi, upper):
    """Log of the upper (or lower) mid tail of a negative binomial."""
    r = 1.0 / phi
    return _nb_log_mid(o, mean, r, _log_fixed(o, r), upper)


@njit(cache=True, nogil=True)
def _nb_log_mid(o, mean, r, fixed, upper):
    """As `nb_log_mid`, with r = 1 / phi and the part of the probability that does not depend on the mean."""
    beyond = math.log1p(mean / r)
    log_pmf = fixed - r * beyond - o * (beyond - math.log(mean / r))
    away = o > mean
    if away and o <= _SHORT:  # few terms below say what lies above, unless next to nothing does
        below = math.exp(log_pmf) * (_few_below(o, mean / (r + mean), r) - 0.5)
        if below < _NEARLY_ALL:
            return math.log1p(-below) if upper else math.log(max(below, _TINY))
    log_tail = log_pmf + math.log(max(_nb_beyond(o, mean, r, away) - 0.5, 0.5))
    if away == upper:
        return log_tail
    return math.log(max(1.0 - math.exp(log_tail), _TINY))


_NEARLY_ALL = 0.99


@njit(cache=True, nogil=True)
def _nb_beyond(o, mean, r, upper):
    """Sum of the terms from o outward, in units of the term at o, away from the mean."""
    x = mean / (r + mean)
    if upper:
        return _beta_fraction(o, r, x)
    if o <= _SHORT:
        return _few_below(o, x, r)
    return x * (r + o) / r * _beta_fraction(r, o + 1.0, r / (r + mean))


@njit(cache=True, nogil=True)
def _few_below(o, x, r):
    """Sum of the terms from o down to 0, in units of the term at o."""
    total, term = 1.0, 1.0
    while o > 0.0:
        term *= o / ((r + o - 1.0) * x)
        total += term
        o -= 1.0
    return total


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


_PANEL, _PANEL_WEIGHTS = np.polynomial.legendre.leggauss(12)
_NEAR, _FAR, _NEGLIGIBLE = -7.0, 45.0, 14.0


@njit(cache=True, nogil=True)
def _log_slope(t, o, mean, r, fixed, centre, step):
    """Log of how fast the mid tail grows with the error of the mean at ``t``, times P(Z > t)."""
    root = centre - step * t
    ratio = mean / (r * root * root * root)
    log_pmf = fixed + o * math.log(ratio) - (o + r) * math.log1p(ratio)
    slope = 1.5 * abs(step) / root * (o + (o + r) * ratio / (1.0 + ratio))
    if t < 30.0:
        return log_pmf + math.log(slope * 0.5 * math.erfc(t / math.sqrt(2.0)))
    return log_pmf + math.log(slope / t) - 0.5 * t * t - _LOG_ROOT


@njit(cache=True, nogil=True)
def _climb(t, o, mean, r, centre, step):
    """How steeply `_log_slope` rises at ``t``, but for its slowest parts.

    The hazard of a normal variable is Sampford's bound (1953, doi:10.1214/aoms/1177729093), never below 0.
    """
    root = centre - step * t
    at = mean / (root * root * root)
    return 3.0 * step / root * r * (o - at) / (r + at) - max(0.75 * t + 0.25 * math.sqrt(t * t + 8.0), 0.0)


@njit(cache=True, nogil=True)
def _peak(low, high, width, o, mean, r, centre, step):
    """Where the slope is largest: at an end, or to a part of a width."""
    if _climb(high, o, mean, r, centre, step) > 0.0:
        return high
    if _climb(low, o, mean, r, centre, step) < 0.0:
        return low
    while high - low > 0.3 * width:
        middle = 0.5 * (low + high)
        if _climb(middle, o, mean, r, centre, step) > 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@njit(cache=True, nogil=True)
def _beside(peak, end, width, top, given):
    """Log of the integral of the slope from its peak towards an end, as far as it matters, and where that is.

    ``top`` is the slope at the peak, and ``width`` how far it takes at least to become negligible.
    """
    side, far = 1.0 if end > peak else -1.0, width
    while side * (end - peak) > far and top - _log_slope(peak + side * far, *given) < _NEGLIGIBLE:
        far *= 1.3
    half = 0.5 * min(far, side * (end - peak))
    if half <= 0.0:
        return -math.inf, peak
    total = 0.0
    for k in range(_PANEL.size):
        slope = _log_slope(peak + side * half * (1.0 + _PANEL[k]), *given)
        total += _PANEL_WEIGHTS[k] * math.exp(slope - top)
    return top + math.log(total * half), peak + side * 2.0 * half


@njit(cache=True, nogil=True)
def _nb_unsure(o, mean, r, fixed, strength, upper):
    """Log mid tail averaged over an error of the mean that may rule, however far out the count lies.

    By parts, E T = T(low) P(Z > low) + the integral of T'(t) P(Z > t) above a low ``t``, of which one peak
    matters: between no error and the error that would lead to the count.
    """
    centre, step = 1.0 - 1.0 / (9.0 * strength), 1.0 / (3.0 * math.sqrt(strength))
    most = (centre - 0.2) / step  # the mean is at most 125 times as large, see `_error_factor`
    first, last = (_NEAR, min(most, _FAR)) if upper else (max(_NEAR, -most), _FAR)
    step = step if upper else -step
    given = (o, mean, r, fixed, centre, step)
    width = 1.0 / math.sqrt(1.0 + 1.0 / (strength * (1.0 / r + 1.0 / max(o, 1.0))))
    peak = _peak(first, last, width, o, mean, r, centre, step)
    width = min(5.3 * width, _NEGLIGIBLE / max(abs(_climb(peak, o, mean, r, centre, step)), 1e-9))
    top = _log_slope(peak, *given)
    before, low = _beside(peak, first, width, top, given)
    after, _ = _beside(peak, last, width, top, given)
    root = centre - step * low
    rest = _nb_log_mid(o, mean / (root * root * root), r, fixed, upper)
    if low > first:  # below the first one the tail is the same
        rest += math.log(max(0.5 * math.erfc(low / math.sqrt(2.0)), _TINY))
    most = max(before, after, rest)
    return most + math.log(math.exp(before - most) + math.exp(after - most) + math.exp(rest - most))


_SURE, _SMALL_ERROR, _SMALL_TILT = 10.0, 0.5, 1.0


@njit(cache=True, nogil=True)
def nb_tail(o, mean, phi, strength):
    """Log of the smaller mid tail of one count and its side, averaged over the mean's error."""
    side = o > mean
    own = math.sqrt(phi + 1.0 / mean)
    away = abs(o / mean - 1.0) / own
    error = 1.0 / (math.sqrt(strength) * own)
    r = 1.0 / phi
    fixed = _log_fixed(o, r)
    if strength > _SURE and error < _SMALL_ERROR and away * error < _SMALL_TILT:
        quick = error < 0.15 and away * error < 0.25
        return _smaller(_nb_nearly_sure(o, mean, r, fixed, strength, side, quick), side)
    return _smaller(_nb_unsure(o, mean, r, fixed, strength, side), side)


@njit(cache=True, nogil=True)
def nb_tails(observed, mean, phi, strength, log_p, upper):
    """As `nb_tail` for all counts, most of them in blocks."""
    for i in bulk(observed, mean, phi, strength, log_p, upper):
        log_p[i], upper[i] = nb_tail(observed[i], mean[i], phi[i], strength[i])


@njit(cache=True, nogil=True)
def nb_hidden_tails(observed, mean, share, sigma, phi, strength, log_p, upper):
    """As `nb_tails`, where a part ``share`` of the exposure is unseen and lognormal with log-scale ``sigma``.

    The error of the mean joins the spread, which it is small beside.
    """
    places, work = _hidden_places(sigma), np.empty((3, _MOST_PLACES))
    for i in range(observed.size):
        side = observed[i] > mean[i]
        r = 1.0 / (phi[i] + 1.0 / strength[i])
        count = observed[i], mean[i], share[i], sigma, r, _log_fixed(observed[i], r), side
        p = _hidden_by_slopes(*count, places, work)
        log_tail = math.log(p) if _CLEAR < p <= 1.0 else _hidden_by_tails(*count)
        log_p[i], upper[i] = _smaller(log_tail, side)


_LOWEST, _HIGHEST, _CLEAR = -5.0, 6.5, 1e-5
"""Between which places sums are taken: what lies outside is next to nothing beside a tail that is larger."""
_STEPS = 0.6 / math.sqrt(2.0) ** np.arange(8)
_MOST_PLACES = int((_HIGHEST - _LOWEST) / _STEPS[-1]) + 1
_END_WEIGHTS = np.array([3.0 / 8.0, 7.0 / 6.0, 23.0 / 24.0])
"""Of the first places of a sum that begins where its terms are not small (Gregory)."""


@njit(cache=True, nogil=True)
def _hidden_places(sigma):
    """What is unseen at each place, over its mean, for lower and upper tails, and the chance to lie beyond.

    For each step, with the step and the weight of the place; shape (3, n_steps, n_places).
    """
    places = np.zeros((3, _STEPS.size, _MOST_PLACES))
    for j in range(_STEPS.size):
        for k in range(int((_HIGHEST - _LOWEST) / _STEPS[j]) + 1):
            y = _LOWEST + k * _STEPS[j]
            places[0, j, k] = math.exp(-sigma * (y + 0.5 * sigma))
            places[1, j, k] = math.exp(sigma * (y - 0.5 * sigma))
            weight = _END_WEIGHTS[k] if k < _END_WEIGHTS.size else 1.0
            places[2, j, k] = 0.5 * math.erfc(y / math.sqrt(2.0)) * weight * _STEPS[j] * 0.5 * sigma
    return places


@njit(cache=True, nogil=True)
def _hidden_width(o, mean, share, sigma, r):
    """Over how many standard deviations of the log of what is unseen the count's own spread reaches."""
    count = max(o, mean)
    slope = sigma * (1.0 - (1.0 - share) * mean / count)  # of the log mean, where it is the count
    return math.sqrt(1.0 / r + 1.0 / count) / max(slope, 1e-9)


@njit(cache=True, nogil=True, error_model="numpy")
def _hidden_by_slopes(o, mean, share, sigma, r, fixed, side, places, work):
    """Mid tail of one count averaged over what is unseen, without logs: from one tail and many slopes.

    By parts, E T(Z) = T(low) + the integral above it of T'(z) P(Z > z), see `_nb_nearly_sure` for T'; the
    lower tail goes the other way. The slopes are those of one probability each. Returns -1 where they are too
    narrow for the closest places.
    """
    width = _hidden_width(o, mean, share, sigma, r)
    width /= 1.0 + 2.0 * sigma * width  # where many are unseen they matter more
    step, j = 0.9 * width / math.sqrt(1.0 + width * width), 0
    while j < _STEPS.size and _STEPS[j] > step:
        j += 1
    if j == _STEPS.size:
        return -1.0
    n = int((_HIGHEST - _LOWEST) / _STEPS[j]) + 1
    base, lift, inverse = mean * (1.0 - share), mean * share, 1.0 / r
    log_r, n_r = math.log(r), o + r
    m, slope, power = work[0, :n], work[1, :n], work[2, :n]
    unseen, beyond = places[1 if side else 0, j, :n], places[2, j, :n]
    for k in range(n):
        there = lift * unseen[k]
        m[k] = base + there
        slope[k] = (o / m[k] + n_r / (r + m[k])) * there * beyond[k]
    for k in range(n):
        power[k] = fixed + o * (plain_log(m[k]) - log_r) - n_r * plain_log(1.0 + m[k] * inverse)
    for k in range(n):
        slope[k] *= plain_exp(power[k])
    return math.exp(_nb_log_mid(o, base + lift * unseen[0], r, fixed, side)) + sum_of(slope)


@njit(cache=True, nogil=True)
def _hidden_by_tails(o, mean, share, sigma, r, fixed, side):
    """As `_hidden_by_slopes`, the log of it, however far out, from many tails."""
    step = max(min(0.4, 0.7 * _hidden_width(o, mean, share, sigma, r)), 0.05)
    top, total = -math.inf, 0.0
    for j in range(math.ceil(15.0 / step) + 1):
        at = -7.0 + j * step
        factor = 1.0 - share + share * math.exp(sigma * (at - 0.5 * sigma))
        log_tail = _nb_log_mid(o, mean * factor, r, fixed, side)
        top, total = _added(top, total, log_tail - 0.5 * at * at)
    return top + math.log(total * step) - _LOG_ROOT


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
