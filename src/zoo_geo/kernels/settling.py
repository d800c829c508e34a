"""Spreads, means and paces of errors that put counts where they should lie in their distributions.

Where a count lies is worked out once for a spread; how it moves when the spread changes a little is known
well enough (`ramps`), so the shares that should be half, or nine in ten, are solved for without it, and a
few turns settle both.
"""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import bits, sum_of
from zoo_geo.kernels.positions import SHORT, quantile, sort_counts, steps

CENTRAL, Z_CENTRAL = 0.25, 0.6744897501960817
LOG_LEAST, LOG_MOST = math.log(1e-5), math.log(50.0)
_PASSES = 20
_LOWEST, _BINS = 0x3E70, 1024
"""Bits of the smallest expected count that is told from smaller ones, and how many sixteenths of octaves."""
_LOG_SLOWEST = math.log(0.003)
_STILL = 0.002
"""A step too small to take another."""


@njit(cache=True, nogil=True, error_model="numpy")
def _inside(low, high, bottom, top):
    """Share of a step that lies between two edges."""
    return max(min(high, top) - max(low, bottom), 0.0) / max(high - low, 1e-12)


@njit(cache=True, nogil=True, error_model="numpy")
def _ramp(low, high, inside, variance, z_edge):
    """Offset and rise of the share inside, from the ends of a step and what is inside now."""
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

    What is inside between ``edge`` and ``1 - edge`` now is met exactly; elsewhere the distance from the
    middle falls with the root of the relative variance, in standard deviations.
    """
    for i in range(short):
        inside = _inside(low[i], high[i], edge, 1.0 - edge)
        offset[i], rise[i] = _ramp(quantile(low[i]), quantile(high[i]), inside, variance[i], z_edge)
    _long_ramps(low[short:], high[short:], variance[short:], z_edge, offset[short:], rise[short:])


@njit(cache=True, nogil=True, error_model="numpy")
def _long_ramps(low, high, variance, z_edge, offset, rise):
    """`ramps` of counts whose steps are normal quantiles."""
    for i in range(low.size):
        inside = _inside(low[i], high[i], -z_edge, z_edge)
        offset[i], rise[i] = _ramp(low[i], high[i], inside, variance[i], z_edge)


@njit(cache=True, nogil=True, error_model="numpy")
def _share(start, rise, weight, times, part):
    """Weighted sum of ``clip(start + rise * times)``."""
    for i in range(start.size):
        part[i] = weight[i] * min(max(start[i] + rise[i] * times, 0.0), 1.0)
    return sum_of(part)


@njit(cache=True, nogil=True, error_model="numpy")
def _root(start, rise, weight, wanted, log, here, step, low, high, part):
    """Where between two ends the weighted share of `_share`, which grows, is the wanted one.

    The search walks outward from ``here`` and closes in by regula falsi (Illinois); with ``log`` it is for
    the log of what is multiplied with ``rise``.
    """
    total = sum_of(weight)
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


@njit(cache=True, nogil=True, error_model="numpy")
def by_count(rows, observed):
    """Rows in the order of `sort_counts`: sorted once, they need not be sorted in every search."""
    order, ends = np.empty(rows.size, np.int64), np.empty(SHORT + 1, np.int64)
    sort_counts(observed[rows], order, ends)
    return rows[order]


@njit(cache=True, nogil=True, error_model="numpy")
def _gathered(rows, observed, size, rate, strength, phi):
    """Counts, means, errors and spreads of some rows, sorted; the rows in this order and where counts end."""
    n = rows.size
    seen, mean, ends = np.empty(n), np.empty(n), np.zeros(SHORT + 1, np.int64)
    sorted_, expected, last = True, True, 0
    for k in range(n):
        i = rows[k]
        seen[k], mean[k] = observed[i], rate[i] * size[i]
        here = int(min(seen[k], SHORT + 1.0))
        sorted_ = sorted_ and here >= last
        expected = expected and 0.0 < mean[k] < np.inf
        last = here
        if here <= SHORT:
            ends[here] += 1
    if not (sorted_ and expected):
        rows = by_count(rows[(mean > 0.0) & (mean < np.inf)], observed)
        seen, mean = observed[rows], rate[rows] * size[rows]
        for here in range(SHORT + 1):
            ends[here] = np.count_nonzero(seen == here)
    for here in range(SHORT):
        ends[here + 1] += ends[here]
    error, own = np.empty(rows.size), np.empty(rows.size)
    for k in range(rows.size):
        error[k], own[k] = 1.0 / strength[rows[k]], phi[rows[k]]
    return seen, mean, error, own, rows, ends


@njit(cache=True, nogil=True, error_model="numpy")
def insides(rows, observed, size, rate, strength, phi, edge, z_edge):
    """How much of the step of each row lies between ``edge`` and ``1 - edge``, and the row's weight.

    Columns as in `settle_spread`. Returns the rows in another order, with both.
    """
    observed, mean, error, phi, rows, ends = _gathered(rows, observed, size, rate, strength, phi)
    n, short = mean.size, ends[SHORT]
    low, high, spread, weight = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        spread[i] = max(phi[i] + error[i], 1e-5)
        variance = spread[i] + 1.0 / mean[i]
        weight[i] = 1.0 / (variance * variance)
    steps(observed, mean, spread, ends, low, high)
    for i in range(n):
        outer = 1.0 - edge if i < short else z_edge
        low[i] = _inside(low[i], high[i], edge if i < short else -z_edge, outer)
    return rows, low, weight


@njit(cache=True, nogil=True, error_model="numpy")
def steepest_inside(slope, part_top, rows, inside, weight):
    """Weighted share of what is inside, of the rows with the steepest slopes; the last three of `insides`."""
    own = slope[rows]
    least = np.quantile(own, 1.0 - part_top)
    there = total = 0.0
    for i in range(rows.size):
        steep = weight[i] if own[i] >= least else 0.0
        there += steep * inside[i]
        total += steep
    return there / max(total, 1e-300)


@njit(cache=True, nogil=True, error_model="numpy")
def settle_spread(rows, observed, size, rate, strength, phi, begin, few):
    """Factor on ``phi`` with which half of the counts of some rows lie in their central halves.

    ``strength`` is how many events are behind each rate; weights are those of ``phi``, and the search begins
    at ``begin`` times it. Columns of shape (n_areas,). Returns the factor, the part of the weight that is on
    counts with a mean below ``few``, and the smallest and the largest spread.
    """
    observed, mean, error, phi, _, ends = _gathered(rows, observed, size, rate, strength, phi)
    n, short = mean.size, ends[SHORT]
    if n == 0:
        return 1.0, 0.0, 0.0, 1.0
    low, high, part, weight = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    chance, spread, variance = np.empty(n), np.empty(n), np.empty(n)
    offset, rise = np.empty(n), np.empty(n)
    least_phi, most = np.inf, 0.0
    for i in range(n):
        chance[i] = 1.0 / mean[i]
        variance[i] = chance[i] + error[i] + phi[i]
        weight[i] = 1.0 / (variance[i] * variance[i])
        least_phi, most = min(least_phi, phi[i]), max(most, phi[i])
    total, rare = sum_of(weight), 0.0
    log_times = min(math.log(begin), max(-math.log(most), 0.0))  # from far out the way back may not be found
    for i in range(n):
        rare += weight[i] if mean[i] < few else 0.0
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
        if change * sum_of(part) < _same(n) * total:
            break
    return math.exp(log_times), rare / total, least_phi, most


@njit(cache=True, nogil=True, error_model="numpy")
def spread_by_moments(rows, observed, size, rate, strength, phi):
    """As `settle_spread`, by the squared distance from the mean, which outliers do not leave alone."""
    first, second = np.empty(rows.size), np.empty(rows.size)
    own, number = np.empty(rows.size), 0
    for i in rows:
        mean, error = rate[i] * size[i], 1.0 / strength[i]
        if 0.0 < mean < np.inf:
            weight = (mean / (1.0 + (phi[i] + error) * mean)) ** 2
            first[number] = weight * (((observed[i] - mean) ** 2 - mean) / (mean * mean) - error)
            second[number], own[number] = weight, phi[i]
            number += 1
    if number == 0:
        return 1.0
    found = sum_of(first[:number]) / sum_of(second[:number])
    return min(max(found, 1e-5), 50.0) / np.median(own[:number])


@njit(cache=True, nogil=True, error_model="numpy")
def _solved(offset, rise, rest, unit, more, wanted, log_times, low, high, work):
    """Log of the factor on ``unit`` with which the wanted share lies inside, see `ramps`.

    Variances are ``rest`` and that factor times ``unit``; weights are those of ``rest`` and ``more``.
    """
    n = rest.size
    begin, grow, weight, part = work[0, :n], work[1, :n], work[2, :n], work[3, :n]
    for i in range(n):
        begin[i] = offset[i] + rise[i] * rest[i]
        grow[i] = rise[i] * unit[i]
        variance = rest[i] + more[i]
        weight[i] = 1.0 / (variance * variance)
    return _root(begin, grow, weight, wanted, True, log_times, 0.3, low, high, part)


@njit(cache=True, nogil=True, error_model="numpy")
def settle_pace(rows, observed, size, rate, strength, phi, slope, part_top, edge, z_edge, pace, rounds):
    """Pace at which errors grow with ``slope``, and the factor on ``phi`` that goes with it.

    The steepest rows, a part ``part_top``, are to have the share between ``edge`` and ``1 - edge`` inside;
    all rows half in the central half. The two are sought in turns, ``rounds`` times. Columns as in
    `settle_spread`.
    """
    observed, mean, error, phi, rows, ends = _gathered(rows, observed, size, rate, strength, phi)
    slope, n = slope[rows], mean.size
    top = np.flatnonzero(slope >= np.quantile(slope, 1.0 - part_top))
    steep, spread_there, fixed = slope[top], phi[top], 1.0 / mean + error
    few, none = np.searchsorted(top, ends[SHORT]), np.zeros(top.size)
    low, high, work, offset, rise = np.empty(n), np.empty(n), np.empty((4, n)), np.empty(n), np.empty(n)
    outer_offset, outer_rise = np.empty(top.size), np.empty(top.size)
    log_times, log_pace, log_most = 0.0, math.log(pace), math.log(phi.max())
    for _ in range(_PASSES):
        spread = np.maximum(math.exp(log_times) * phi + error + math.exp(log_pace) * slope, 1e-5)
        variance = spread + 1.0 / mean
        steps(observed, mean, spread, ends, low, high)
        ramps(low, high, ends[SHORT], variance, CENTRAL, Z_CENTRAL, offset, rise)
        ramps(low[top], high[top], few, variance[top], edge, z_edge, outer_offset, outer_rise)
        for _ in range(rounds):
            rest = fixed[top] + math.exp(log_times) * spread_there
            begin, wanted = max(log_pace, _LOG_SLOWEST), 1.0 - 2.0 * edge
            outer = outer_offset, outer_rise, rest, steep, none, wanted
            log_pace = _solved(*outer, begin, LOG_LEAST, LOG_MOST, work)
            inner = offset, rise, fixed + math.exp(log_pace) * slope, phi, math.exp(log_times) * phi, 0.5
            before = log_times
            log_times = _solved(*inner, log_times, LOG_LEAST - log_most, LOG_MOST - log_most, work)
            if abs(log_times - before) < _STILL:
                break
        new = np.maximum(math.exp(log_times) * phi + error + math.exp(log_pace) * slope, 1e-5) + 1.0 / mean
        weight = 1.0 / (variance * variance)
        if (weight * np.abs(new / variance - 1.0)).sum() < _same(n) * weight.sum():
            break
    return math.exp(log_pace), math.exp(log_times)
