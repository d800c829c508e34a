"""Where many counts lie in their negative binomial distributions, a vector of them at a time.

As `estimation` does it, to about three digits, but without calls or branches in its loops: counts are sorted,
so that short sums run side by side, and longer ones take the approximation of Peizer and Pratt (1968,
doi:10.1080/01621459.1968.10480938) in the middle of their step.
"""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import bits, exp, log, normal_below
from zoo_geo.kernels.estimation import nb_step

SHORT = 24
"""Largest count whose distribution function is summed."""
_INVERSE = 1.0 / np.arange(1.0, SHORT + 1.0)
_SMALLEST, _WIDEST = 1e-5, 0.75
"""Spreads between which the approximation holds."""


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
    r, ratio = np.empty(short), np.empty(short)
    for i in range(short):
        r[i] = 1.0 / spread[i]
        beyond = 1.0 + mean[i] * spread[i]
        ratio[i] = mean[i] * spread[i] / beyond
        high[i] = exp(-r[i] * log(beyond))
        low[i] = 0.0
    for k in range(SHORT):
        for i in range(ends[k], short):
            low[i] += high[i]
            high[i] *= (r[i] + k) * ratio[i] * _INVERSE[k]
    for i in range(short):
        high[i] += low[i]
    for i in range(short, observed.size):
        far = 1.0 / spread[i]
        y = mean[i] * spread[i]
        rest = 1.0 / (1.0 + y)
        n = observed[i] - 0.5 + far
        q = 1.0 / (n * y)
        there, unit = n * y * rest, q * (1.0 + y)  # n share and its inverse
        away = observed[i] - there
        left = far - 0.5
        lack = observed[i] * log(observed[i] * unit) + left * log(left * unit * y)
        near = away * away < 1e-6 * there * rest
        steep = math.sqrt((2.0 - q * y * (1.0 / 3.0)) * lack) / abs(away)
        steep = 1.0 / math.sqrt(there * rest) if near else steep
        d = away + (1.0 / 6.0) - (1.0 / 3.0) * y * rest - 0.02 * y * rest * spread[i]
        low[i] = (d - 0.5 * rest) * steep
        high[i] = (d + 0.5 * rest) * steep
    _wide_steps(observed, mean, spread, short, low, high)


@njit(cache=True, nogil=True, error_model="numpy")
def _wide_steps(observed, mean, spread, start, low, high):
    """The same for large counts with so wide a spread that the approximation does not hold."""
    for i in range(start, observed.size):
        if spread[i] > _WIDEST:
            below, upto = nb_step(observed[i], mean[i], spread[i])
            low[i], high[i] = quantile(below), quantile(upto)


_NODES, _weights = np.polynomial.hermite_e.hermegauss(5)
_WEIGHTS = _weights / _weights.sum()
_FINE = np.linspace(-3.5, 3.5, 15)
_FINE_WEIGHTS = np.exp(-0.5 * _FINE**2) / np.exp(-0.5 * _FINE**2).sum()


@njit(cache=True, nogil=True, error_model="numpy")
def _averaged_steps(observed, means, spread, weights, ends, low, high):
    """As `steps`, averaged over nodes of the mean; ``means`` has shape (n_nodes, n). All ends are probabilities."""
    n, short = observed.size, ends[SHORT]
    below, upto = np.empty(n), np.empty(n)
    low[:], high[:] = 0.0, 0.0
    for j in range(weights.size):
        steps(observed, means[j], spread, ends, below, upto)
        for i in range(short):
            low[i] += weights[j] * below[i]
            high[i] += weights[j] * upto[i]
        for i in range(short, n):
            low[i] += weights[j] * normal_below(below[i])
            high[i] += weights[j] * normal_below(upto[i])


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
def quantile(p):
    """Normal quantile to three digits (Hastings 1955, Abramowitz and Stegun 26.2.23)."""
    tail = min(max(min(p, 1.0 - p), 1e-12), 0.5)
    t = math.sqrt(-2.0 * log(tail))
    over = 2.515517 + t * (0.802853 + t * 0.010328)
    under = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    z = t - over / under
    return z if p > 0.5 else -z


@njit(cache=True, nogil=True, error_model="numpy")
def _inside(low, high, bottom, top):
    """Share of a step that lies between two edges."""
    return max(min(high, top) - max(low, bottom), 0.0) / max(high - low, 1e-12)


@njit(cache=True, nogil=True, error_model="numpy")
def _ramp(low, high, inside, variance, z_edge):
    """Offset and rise of the share inside, from the quantiles at the ends of a step and the share inside now."""
    far = max(abs(low), abs(high))
    near = 0.0 if low * high < 0.0 else min(abs(low), abs(high))
    unit = variance * (1.0 / (z_edge * z_edge))
    width = max((far * far - near * near) * unit, 1e-9 * variance)
    start = variance - inside * width if 0.0 < inside < 1.0 else near * near * unit
    rise = 1.0 / width
    return -start * rise, rise


@njit(cache=True, nogil=True, error_model="numpy")
def ramps(low, high, short, variance, edge, z_edge, offset, rise):
    """How steps come to lie in the central part when variance grows: ``clip(offset + rise * variance)``.

    What is inside between ``edge`` and ``1 - edge`` now is met exactly; elsewhere the distance from the middle
    falls with the root of the relative variance, in standard deviations.
    """
    for i in range(short):
        inside = _inside(low[i], high[i], edge, 1.0 - edge)
        offset[i], rise[i] = _ramp(quantile(low[i]), quantile(high[i]), inside, variance[i], z_edge)
    for i in range(short, low.size):
        inside = _inside(low[i], high[i], -z_edge, z_edge)
        offset[i], rise[i] = _ramp(low[i], high[i], inside, variance[i], z_edge)


@njit(cache=True, nogil=True, error_model="numpy")
def _share(start, rise, weight, times, part):
    """Weighted sum of ``clip(start + rise * times)``."""
    n = start.size
    for i in range(n):
        part[i] = weight[i] * min(max(start[i] + rise[i] * times, 0.0), 1.0)
    a = b = c = d = 0.0
    for i in range(0, n - 3, 4):
        a += part[i]
        b += part[i + 1]
        c += part[i + 2]
        d += part[i + 3]
    for i in range(n - n % 4, n):
        a += part[i]
    return a + b + c + d


@njit(cache=True, nogil=True, error_model="numpy")
def _root(start, rise, weight, wanted, log, here, step, low, high, part):
    """Where between two ends the weighted share of `_share`, which grows, is the wanted one.

    The search walks outward from ``here`` and closes in by regula falsi (Illinois); with ``log`` it is for the
    log of what is multiplied with ``rise``.
    """
    total = weight.sum()
    goal, close = wanted * total, 2e-5 * total
    miss = far = _share(start, rise, weight, math.exp(here) if log else here, part) - goal
    there, side = here, 1.0 if far < 0.0 else -1.0
    while abs(far) > close and (far < 0.0) == (miss < 0.0):
        if (there <= low and side < 0.0) or (there >= high and side > 0.0):
            return there
        here, miss = there, far
        there = min(max(here + side * step, low), high)
        far = _share(start, rise, weight, math.exp(there) if log else there, part) - goal
        step *= 3.0
    for _ in range(30):
        if abs(far) <= close or abs(there - here) < 1e-4:
            break
        at = (here * far - there * miss) / (far - miss)
        new = _share(start, rise, weight, math.exp(at) if log else at, part) - goal
        if (new < 0.0) != (far < 0.0):
            here, miss = there, far
        else:
            miss *= 0.5
        there, far = at, new
    return there


CENTRAL, Z_CENTRAL = 0.25, 0.6744897501960817
OUTER, Z_OUTER = 0.05, 1.6448536269514722
LOG_LEAST, LOG_MOST = math.log(1e-5), math.log(50.0)
RARE = 0.7
"""Expected count below which more than half of all counts are 0, so the central half says nothing."""
_PASSES = 20


@njit(cache=True, nogil=True, error_model="numpy")
def _same(n):
    """Change of variances over which `ramps` can be trusted: small beside what ``n`` counts tell of them."""
    return max(min(n / 20_000.0, 0.1), 0.002)


@njit(cache=True, nogil=True, error_model="numpy")
def telling(keep, rate, size, most):
    """Rows of the largest expected counts, about ``most`` of them: those that tell most about a spread.

    Counts within a sixteenth of an octave are taken together, so the order of rows does not matter.
    """
    n = keep.size
    bins, number = np.full(n, -1, np.int64), np.zeros(_BINS, np.int64)
    total = 0
    for i in range(n):
        expected = rate[i] * size[i]
        if keep[i] > 0.0 and 0.0 < expected < np.inf:
            bins[i] = min(max((bits(expected) >> 48) - _LOWEST, 0), _BINS - 1)
            number[bins[i]] += 1
            total += 1
    least = 0
    if total > most:
        least, sofar = _BINS, 0
        while sofar < most:
            least -= 1
            sofar += number[least]
        total = sofar
    rows, at = np.empty(total, np.int64), 0
    for i in range(n):
        if bins[i] >= least:
            rows[at] = i
            at += 1
    return rows


_LOWEST, _BINS = 0x3E70, 1024
"""Bits of the smallest expected count that is told from smaller ones, and how many sixteenths of octaves."""


@njit(cache=True, nogil=True, error_model="numpy")
def _gathered(rows, observed, size, rate, strength, phi):
    """Counts, means, errors and spreads of some rows in the order of `sort_counts`, their rows and its ends."""
    kept = np.empty(rows.size, np.int64)
    number = 0
    for i in rows:
        if 0.0 < rate[i] * size[i] < np.inf:
            kept[number] = i
            number += 1
    rows = kept[:number]
    order, ends = np.empty(rows.size, np.int64), np.empty(SHORT + 1, np.int64)
    sort_counts(observed[rows], order, ends)
    rows = rows[order]
    seen, mean, error, own = (
        np.empty(rows.size),
        np.empty(rows.size),
        np.empty(rows.size),
        np.empty(rows.size),
    )
    for k in range(rows.size):
        i = rows[k]
        seen[k], mean[k] = observed[i], rate[i] * size[i]
        error[k], own[k] = 1.0 / strength[i], phi[i]
    return seen, mean, error, own, rows, ends


@njit(cache=True, nogil=True, error_model="numpy")
def settle_spread(rows, observed, size, rate, strength, phi, begin):
    """Factor on ``phi`` with which half of the counts of some rows lie in the central half of their distributions.

    ``strength`` is how many events are behind each rate; weights are those of ``phi``, and the search begins at
    ``begin`` times it. Columns of shape (n_areas,). Returns the factor, and the part of the weight that is on counts of which most are 0.
    """
    observed, mean, error, phi, _, ends = _gathered(rows, observed, size, rate, strength, phi)
    n, short = mean.size, ends[SHORT]
    low, high, part, weight = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    chance, spread, variance = np.empty(n), np.empty(n), np.empty(n)
    offset, rise = np.empty(n), np.empty(n)
    most = 0.0
    for i in range(n):
        chance[i] = 1.0 / mean[i]
        variance[i] = chance[i] + error[i] + phi[i]
        weight[i] = 1.0 / (variance[i] * variance[i])
        most = max(most, phi[i])
    total, log_times, rare = weight.sum(), math.log(begin), 0.0
    for i in range(n):
        rare += weight[i] if mean[i] < RARE else 0.0
    least, largest = LOG_LEAST - math.log(most), LOG_MOST - math.log(most)
    for _ in range(_PASSES):
        times = math.exp(log_times)
        for i in range(n):
            spread[i] = max(times * phi[i] + error[i], 1e-5)
            variance[i] = chance[i] + spread[i]
        steps(observed, mean, spread, ends, low, high)
        ramps(low, high, short, variance, CENTRAL, Z_CENTRAL, offset, rise)
        for i in range(n):
            offset[i] += rise[i] * (chance[i] + error[i])
            rise[i] *= phi[i]
        new = _root(offset, rise, weight, 0.5, True, log_times, 0.3, least, largest, part)
        change, log_times = abs(math.exp(new) - times), new
        for i in range(n):
            part[i] = weight[i] * phi[i] / variance[i]
        if change * part.sum() < _same(n) * total:
            break
    return math.exp(log_times), rare / total


@njit(cache=True, nogil=True, error_model="numpy")
def settle_pace(rows, observed, size, rate, strength, phi, slope, part_top, edge, z_edge, pace, rounds):
    """Pace at which errors grow with ``slope``, and the factor on ``phi`` that goes with it.

    The steepest rows, a part ``part_top``, are to have the share between ``edge`` and ``1 - edge`` inside; all rows
    half in the central half. The two are sought in turns, ``rounds`` times. Columns as in `settle_spread`.
    """
    observed, mean, error, phi, rows, ends = _gathered(rows, observed, size, rate, strength, phi)
    slope = slope[rows]
    top = np.flatnonzero(slope >= np.quantile(slope, 1.0 - part_top))
    n, short, m = mean.size, ends[SHORT], top.size
    low, high, part, weight = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    chance, spread, variance = np.empty(n), np.empty(n), np.empty(n)
    offset, rise, begin, grow = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    outer_offset, outer_rise = np.empty(n), np.empty(n)
    few_begin, few_grow, few_weight = np.empty(m), np.empty(m), np.empty(m)
    most = 0.0
    for i in range(n):
        chance[i] = 1.0 / mean[i]
        most = max(most, phi[i])
    log_times, log_pace = 0.0, math.log(pace)
    least, largest = LOG_LEAST - math.log(most), LOG_MOST - math.log(most)
    for _ in range(_PASSES):
        times, pace = math.exp(log_times), math.exp(log_pace)
        for i in range(n):
            spread[i] = max(times * phi[i] + error[i] + pace * slope[i], 1e-5)
            variance[i] = chance[i] + spread[i]
        steps(observed, mean, spread, ends, low, high)
        ramps(low, high, short, variance, CENTRAL, Z_CENTRAL, offset, rise)
        if edge == CENTRAL:
            outer_offset[:], outer_rise[:] = offset, rise
        else:
            ramps(low, high, short, variance, edge, z_edge, outer_offset, outer_rise)
        for _ in range(rounds):
            times = math.exp(log_times)
            for j in range(m):
                i = top[j]
                rest = chance[i] + error[i] + times * phi[i]
                few_begin[j] = outer_offset[i] + outer_rise[i] * rest
                few_grow[j] = outer_rise[i] * slope[i]
                few_weight[j] = 1.0 / (rest * rest)
            log_pace = max(log_pace, _LOG_SLOWEST)
            log_pace = _root(
                few_begin,
                few_grow,
                few_weight,
                1.0 - 2.0 * edge,
                True,
                log_pace,
                0.3,
                LOG_LEAST,
                LOG_MOST,
                part,
            )
            pace = math.exp(log_pace)
            for i in range(n):
                rest = chance[i] + error[i] + pace * slope[i]
                begin[i] = offset[i] + rise[i] * rest
                grow[i] = rise[i] * phi[i]
                rest += times * phi[i]
                weight[i] = 1.0 / (rest * rest)
            log_times = _root(begin, grow, weight, 0.5, True, log_times, 0.3, least, largest, part)
        times, change, total = math.exp(log_times), 0.0, 0.0
        for i in range(n):
            new = chance[i] + max(times * phi[i] + error[i] + pace * slope[i], 1e-5)
            change += weight[i] * abs(new / variance[i] - 1.0)
            total += weight[i]
        if change < _same(n) * total:
            break
    return pace, math.exp(log_times)


_LOG_SLOWEST = math.log(0.003)


@njit(cache=True, nogil=True, error_model="numpy")
def _sorted(observed, mean, error):
    """Copies in the order of `sort_counts`, with its order and ends."""
    order, ends = np.empty(observed.size, np.int64), np.empty(SHORT + 1, np.int64)
    sort_counts(observed, order, ends)
    return observed[order], mean[order], error[order], order, ends


@njit(cache=True, nogil=True, error_model="numpy")
def _below(low, high, short, weight, edges, z_edges, at):
    """Weighted shares of steps below edges, into ``at``; returns how many equal weights they are worth."""
    total, square = weight.sum(), (weight * weight).sum()
    for k in range(edges.size):
        below = 0.0
        for i in range(low.size):
            edge = edges[k] if i < short else z_edges[k]
            below += weight[i] * min(max((edge - low[i]) / max(high[i] - low[i], 1e-12), 0.0), 1.0)
        at[k] = below / max(total, 1e-300)
    return total * total / max(square, 1e-300)


@njit(cache=True, nogil=True, error_model="numpy")
def shares(observed, mean, phi, heavy, error, weight, edges, z_edges, at):
    """Weighted shares of counts below edges of their distribution functions, into ``at``.

    One spread ``phi`` for all; a part ``heavy`` of it belongs to the inverse of a gamma variable, whose upper tail
    is heavier, and the error of the mean joins it there. ``z_edges`` are the normal quantiles of ``edges``. Returns
    how many counts of equal weight they are worth.
    """
    observed, mean, error, order, ends = _sorted(observed, mean, error)
    low, high = np.empty(mean.size), np.empty(mean.size)
    short = _ends(observed, mean, phi, heavy, error, ends, low, high)
    return _below(low, high, short, weight[order], edges, z_edges, at)


@njit(cache=True, nogil=True, error_model="numpy")
def _ends(observed, mean, phi, heavy, error, ends, low, high):
    """Ends of steps with or without a heavy part; returns how many rows have probabilities."""
    if heavy > 0.0:
        own = np.full(mean.size, max((1.0 - heavy) * phi, _SMALLEST))
        heavy_steps(observed, mean, own, heavy * phi + error, ends, low, high)
        return mean.size
    steps(observed, mean, phi + error, ends, low, high)
    return ends[SHORT]


@njit(cache=True, nogil=True, error_model="numpy")
def hidden_shares(observed, mean, share, sigma, phi, error, weight, edges, at):
    """As `shares`, where a part ``share`` of the exposure is unseen and lognormal, log-scale ``sigma``.

    Few nodes will do where that makes little of the variance. Steps are at least `_BROAD` wide, so that shares change
    smoothly with the law.
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
_BROAD = 0.06


@njit(cache=True, nogil=True, error_model="numpy")
def _middles(low, high, short, deviation, offset, rise):
    """How steps come to lie below the middle when the log of the mean grows: ``clip(offset + rise * shift)``."""
    for i in range(short):
        below = min(max((0.5 - low[i]) / max(high[i] - low[i], 1e-12), 0.0), 1.0)
        start, end = quantile(low[i]), quantile(high[i])
        rise[i] = 1.0 / (deviation[i] * max(end - start, 1e-9))
        offset[i] = below if 0.0 < below < 1.0 else -start * deviation[i] * rise[i]
    for i in range(short, low.size):
        rise[i] = 1.0 / (deviation[i] * max(high[i] - low[i], 1e-9))
        offset[i] = -low[i] * deviation[i] * rise[i]


@njit(cache=True, nogil=True, error_model="numpy")
def settle_middle(observed, mean, error, phi, heavy, shift):
    """Log of the factor on the mean, and log of the spread, that put middle and central half where they belong.

    Half of the counts are to lie below the middle of their distributions and half in the central half, each with
    the weight of what is not chance in its variance. Shapes (n,), in any order; ``heavy`` as in `shares`.
    """
    observed, given, error, _, ends = _sorted(observed, mean, error)
    n = observed.size
    low, high, part, weight = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    mean, spread, variance = np.empty(n), np.empty(n), np.empty(n)
    offset, rise, deviation = np.empty(n), np.empty(n), np.empty(n)
    log_phi = math.log(phi)
    for _ in range(_PASSES):
        phi, times = math.exp(log_phi), math.exp(shift)
        total = 0.0
        for i in range(n):
            mean[i] = given[i] * times
            spread[i] = phi + error[i]
            variance[i] = spread[i] + 1.0 / mean[i]
            deviation[i] = math.sqrt(variance[i])
            own = given[i] * spread[i]
            weight[i] = own / (1.0 + own) + 1e-6
            total += weight[i]
        short = _ends(observed, mean, phi, heavy, error, ends, low, high)
        _middles(low, high, short, deviation, offset, rise)
        step = _root(offset, rise, weight, 0.5, False, 0.0, 0.03, -2.0, 2.0, part)
        ramps(low, high, short, variance, CENTRAL, Z_CENTRAL, offset, rise)
        bend = 0.0
        for i in range(n):
            offset[i] += rise[i] * (variance[i] - phi)
            rise[i] *= phi
            bend += weight[i] * phi / variance[i]
        least, largest = LOG_LEAST - log_phi, LOG_MOST - log_phi
        grown = _root(offset, rise, weight, 0.5, True, 0.0, 0.3, least, largest, part)
        shift = min(max(shift + step, -4.0), 4.0)
        if abs(step) < _FAR_OFF:  # nothing can be said of a spread about another middle
            log_phi += grown
        if abs(step) < _STILL and abs(math.exp(grown) - 1.0) * bend < 2.0 * _STILL * total:
            break
    return shift, log_phi


_STILL, _FAR_OFF = 0.002, 0.3
"""A step too small to take another; a middle too far off to tell a spread."""


_QUARTERS, _Z_QUARTERS = np.array([0.25, 0.5, 0.75]), np.array([-Z_CENTRAL, 0.0, Z_CENTRAL])


@njit(cache=True, nogil=True, error_model="numpy")
def off_middle(observed, mean, error, usual, rows, ends, phi):
    """How far the usual counts of each class lie off the middle and the central half, a chi-square of two.

    ``rows`` are those of all classes one after the other and ``ends`` where each one ends; ``phi`` their spreads.
    """
    found, start, at = np.empty(ends.size), 0, np.empty(3)
    for k in range(ends.size):
        few = rows[start : ends[k]]
        few = few[usual[few]]
        weight = np.empty(few.size)
        for j in range(few.size):
            own = mean[few[j]] * (phi[k] + error[few[j]])
            weight[j] = own / (1.0 + own) + 1e-6
        worth = shares(observed[few], mean[few], phi[k], 0.0, error[few], weight, _QUARTERS, _Z_QUARTERS, at)
        middle, half = at[1] - 0.5, at[2] - at[0] - 0.5
        found[k] = worth * (middle * middle + half * half) / 0.25
        start = ends[k]
    return found
