"""Spreads, means and paces of errors that put counts where they should lie in their distributions.

Where a count lies is worked out once for a spread; how it moves when the spread changes a little is known
well enough (`ramps`), so the shares that should be half, or nine in ten, are solved for without it, and a
few turns settle both.
"""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import bits, sum_of
from zoo_geo.kernels.lanes import all_lanes
from zoo_geo.kernels.positions import SHORT, quantile, sort_counts, steps
from zoo_geo.kernels.ranks import quantile_of

CENTRAL, Z_CENTRAL = 0.25, 0.6744897501960817
LEAST, MOST = 1e-5, 50.0
"""Spreads that are looked for."""
_PASSES, _STEPS = 20, 60
_LOWEST, _BINS = 0x3E70, 1024
"""Bits of the smallest expected count that is told from smaller ones, and how many sixteenths of octaves."""
_SLOWEST = 0.003
_STILL = 0.002
"""A step too small to take another."""


@njit(cache=True, nogil=True, error_model="numpy")
def inside_of(low, high, bottom, top):
    """Share of a step that lies between two edges."""
    return max(min(high, top) - max(low, bottom), 0.0) / max(high - low, 1e-12)


@njit(cache=True, nogil=True, error_model="numpy")
def ramp(low, high, inside, variance, z_edge):
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
        inside = inside_of(low[i], high[i], edge, 1.0 - edge)
        offset[i], rise[i] = ramp(quantile(low[i]), quantile(high[i]), inside, variance[i], z_edge)
    _long_ramps(low[short:], high[short:], variance[short:], z_edge, offset[short:], rise[short:])


@njit(cache=True, nogil=True, error_model="numpy")
def _long_ramps(low, high, variance, z_edge, offset, rise):
    """`ramps` of counts whose steps are normal quantiles."""
    all_lanes()
    for i in range(low.size):
        inside = inside_of(low[i], high[i], -z_edge, z_edge)
        offset[i], rise[i] = ramp(low[i], high[i], inside, variance[i], z_edge)


@njit(cache=True, nogil=True, error_model="numpy")
def root_of(start, rise, weight, wanted, here, low, high, part, grow):
    """Where between two ends the weighted share of ``clip(start + rise * here)`` is the wanted one.

    The share grows along straight lines: Newton's steps, inside what is known to hold the root.
    """
    all_lanes()
    n, total = start.size, sum_of(weight)
    goal, close, least, most = wanted * total, 2e-5 * total, -math.inf, math.inf
    here = min(max(here, low), high)
    for _ in range(_STEPS):
        for i in range(n):
            at = start[i] + rise[i] * here
            part[i] = weight[i] * min(max(at, 0.0), 1.0)
            grow[i] = weight[i] * rise[i] if (at > 0.0) & (at < 1.0) else 0.0
        miss, slope = sum_of(part) - goal, sum_of(grow)
        if abs(miss) <= close or (miss < 0.0 and here >= high) or (miss > 0.0 and here <= low):
            break
        least, most = (here, most) if miss < 0.0 else (least, here)
        last = here
        here -= miss / slope if slope > 0.0 else math.copysign(math.inf, miss)
        if not least < here < most and least > -math.inf and most < math.inf:
            here = math.sqrt(least * most) if least > 0.0 else 0.5 * (least + most)
        here = min(max(here, low), high)
        if abs(here - last) < 1e-4 * abs(last):
            break
    return here


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
    bins, number, total = np.empty(n, np.int64), np.zeros(_BINS + 1, np.int64), 0
    for i in range(n):
        expected = rate[i] * size[i]
        at = (bits(expected) >> 48) - _LOWEST
        at = min(max(at, 0), _BINS - 1)
        bins[i] = at if (keep[i] > 0.0) & (expected > 0.0) & (expected < np.inf) else -1
    for i in range(n):
        number[bins[i] + 1] += 1
    total = n - number[0]
    least = 0
    if total > most:
        least, sofar = _BINS, 0
        while sofar < most:
            sofar += number[least]
            least -= 1
        total = sofar
    rows, at = np.empty(n, np.int64), 0
    for i in range(n):
        rows[at] = i
        at += bins[i] >= least
    return rows[:total].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def by_count(rows, observed):
    """Rows in the order of `sort_counts`: sorted once, they need not be sorted in every search."""
    order, ends = np.empty(rows.size, np.int64), np.empty(SHORT + 1, np.int64)
    sort_counts(observed[rows], order, ends)
    return rows[order]


@njit(cache=True, nogil=True, error_model="numpy")
def taken(rows, observed, size, phi):
    """Counts, sizes and spreads of the rows of `by_count`, and how many have a count of k or less."""
    n = rows.size
    seen, people, own, ends = np.empty(n), np.empty(n), np.empty(n), np.zeros(SHORT + 1, np.int64)
    for k in range(n):
        i = rows[k]
        seen[k], people[k], own[k] = observed[i], size[i], phi[i]
    _count_short(seen, ends)
    return seen, people, own, ends


@njit(cache=True, nogil=True, error_model="numpy")
def _count_short(seen, ends):
    """Say of each short count how many are as large or smaller, where counts are sorted."""
    ends[:] = 0
    for k in range(seen.size):
        if seen[k] > SHORT:
            break
        ends[int(seen[k])] += 1
    for here in range(SHORT):
        ends[here + 1] += ends[here]


@njit(cache=True, nogil=True, error_model="numpy")
def led(rows, people, rate, strength):
    """Means and the relative variances of their errors, of some rows; and whether all means can be."""
    mean, error, fine = np.empty(rows.size), np.empty(rows.size), True
    for k in range(rows.size):
        i = rows[k]
        mean[k], error[k] = rate[i] * people[k], strength[i]
    for k in range(rows.size):
        error[k] = 1.0 / error[k]
        fine &= (mean[k] > 0.0) & (mean[k] < np.inf)
    return mean, error, fine


@njit(cache=True, nogil=True, error_model="numpy")
def sampled(rows, observed, size, rate, strength, phi):
    """Counts, means, errors and spreads of the rows of `by_count` that have a mean, and where counts end."""
    seen, people, own, ends = taken(rows, observed, size, phi)
    mean, error, fine = led(rows, people, rate, strength)
    return fitting(seen, mean, error, own, ends, fine)


@njit(cache=True, nogil=True, error_model="numpy")
def fitting(seen, mean, error, own, ends, fine):
    """Only those with a mean, which may be all: narrow surroundings may hold no event."""
    if not fine:
        usable = (mean > 0.0) & (mean < np.inf)
        seen, mean, error, own, ends = seen[usable], mean[usable], error[usable], own[usable], ends.copy()
        _count_short(seen, ends)
    return seen, mean, error, own, ends


@njit(cache=True, nogil=True, error_model="numpy")
def insides(seen, mean, error, phi, ends, edge, z_edge):
    """How much of the step of each count lies between ``edge`` and ``1 - edge``, and its weight.

    Columns as of `sampled`.
    """
    all_lanes()
    n, short = mean.size, ends[SHORT]
    low, high, spread, weight = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        spread[i] = max(phi[i] + error[i], 1e-5)
        variance = spread[i] + 1.0 / mean[i]
        weight[i] = 1.0 / (variance * variance)
    steps(seen, mean, spread, ends, low, high)
    for i in range(n):
        outer = 1.0 - edge if i < short else z_edge
        low[i] = inside_of(low[i], high[i], edge if i < short else -z_edge, outer)
    return low, weight


@njit(cache=True, nogil=True, error_model="numpy")
def steepest_inside(slope, least, inside, weight, edge):
    """How many standard errors more lies inside than ought to, of those with slopes of ``least`` or more.

    The last three are as of `insides`.
    """
    n = slope.size
    part, whole, square, wanted = np.empty(n), np.empty(n), np.empty(n), 1.0 - 2.0 * edge
    for i in range(n):
        whole[i] = weight[i] if slope[i] >= least else 0.0
        part[i] = whole[i] * (inside[i] - wanted)
        square[i] = whole[i] * whole[i]
    return sum_of(part) / math.sqrt(max(wanted * (1.0 - wanted) * sum_of(square), 1e-300))


@njit(cache=True, nogil=True, error_model="numpy")
def settle_spread(rows, observed, size, rate, strength, phi, begin, few):
    """As `spread_of`, of some rows of columns; ``strength`` is how many events are behind each rate."""
    return spread_of(*sampled(by_count(rows, observed), observed, size, rate, strength, phi), begin, few)


@njit(cache=True, nogil=True, error_model="numpy")
def spread_of(seen, mean, error, phi, ends, begin, few):
    """Factor on ``phi`` with which half of the counts lie in their central halves.

    Weights are those of ``phi``, and the search begins at ``begin`` times it. Columns as of `sampled`.
    Returns the factor, the part of the weight that is on counts with a mean below ``few``, and the smallest
    and the largest spread.
    """
    all_lanes()
    n, short = mean.size, ends[SHORT]
    if n == 0:
        return 1.0, 0.0, 0.0, 1.0
    low, high, part, weight = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    chance, spread, variance = np.empty(n), np.empty(n), np.empty(n)
    offset, rise = np.empty(n), np.empty(n)
    for i in range(n):
        chance[i] = 1.0 / mean[i]
        total = chance[i] + error[i] + phi[i]
        weight[i] = 1.0 / (total * total)
    for i in range(n):
        part[i] = weight[i] if mean[i] < few else 0.0
    least_phi, most = phi.min(), phi.max()
    total, rare = sum_of(weight), sum_of(part)
    times = math.exp(min(math.log(begin), max(-math.log(most), 0.0)))  # from far out no way back may be found
    least, largest = LEAST / most, MOST / most
    for _ in range(_PASSES):
        for i in range(n):
            spread[i] = max(times * phi[i] + error[i], 1e-5)
            variance[i] = chance[i] + spread[i]
        steps(seen, mean, spread, ends, low, high)
        ramps(low, high, short, variance, CENTRAL, Z_CENTRAL, offset, rise)
        for i in range(n):
            offset[i] += rise[i] * (chance[i] + error[i])
            part[i] = weight[i] * phi[i] / variance[i]
        for i in range(n):
            rise[i] *= phi[i]
        bend = sum_of(part)
        new = root_of(offset, rise, weight, 0.5, times, least, largest, low, high)
        change, times = abs(new - times), new
        if change * bend < _same(n) * total:
            break
    return times, rare / total, least_phi, most


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
def _solved(offset, rise, rest, unit, more, wanted, times, low, high, work):
    """Return the factor on ``unit`` with which the wanted share lies inside, see `ramps`.

    Variances are ``rest`` and that factor times ``unit``; weights are those of ``rest`` and ``more``, shape
    (5, n) of ``work``.
    """
    all_lanes()
    n = rest.size
    begin, grow, weight = work[0, :n], work[1, :n], work[2, :n]
    for i in range(n):
        begin[i] = offset[i] + rise[i] * rest[i]
        grow[i] = rise[i] * unit[i]
    for i in range(n):
        variance = rest[i] + more[i]
        weight[i] = 1.0 / (variance * variance)
    return root_of(begin, grow, weight, wanted, times, low, high, work[3, :n], work[4, :n])


@njit(cache=True, nogil=True, error_model="numpy")
def settle_pace(rows, observed, size, rate, strength, phi, slope, part_top, edge, z_edge, pace, rounds):
    """As `pace_of`, of some rows of columns of shape (n_areas,), the steepest ones a part ``part_top``."""
    rows = by_count(rows, observed)
    expected = rate[rows] * size[rows]
    rows = rows[(expected > 0.0) & (expected < np.inf)]
    own, given = slope[rows], sampled(rows, observed, size, rate, strength, phi)
    return pace_of(*given, own, quantile_of(own, 1.0 - part_top), edge, z_edge, pace, rounds)


@njit(cache=True, nogil=True, error_model="numpy")
def pace_of(seen, mean, error, phi, ends, slope, least, edge, z_edge, pace, rounds):
    """Pace at which errors grow with ``slope``, and the factor on ``phi`` that goes with it.

    Those with slopes of ``least`` or more are to have the share between ``edge`` and ``1 - edge`` inside; all
    half in the central half. The two are sought in turns, ``rounds`` times. Columns as of `sampled`.
    """
    all_lanes()
    n = mean.size
    top = np.flatnonzero(slope >= least)
    steep, spread_there, few, none = (
        slope[top],
        phi[top],
        np.searchsorted(top, ends[SHORT]),
        np.zeros(top.size),
    )
    low, high, work, offset, rise = np.empty(n), np.empty(n), np.empty((5, n)), np.empty(n), np.empty(n)
    outer_offset, outer_rise, chance, fixed = np.empty(top.size), np.empty(top.size), np.empty(n), np.empty(n)
    spread, variance, rest, own = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        chance[i] = 1.0 / mean[i]
        fixed[i] = chance[i] + error[i]
    fixed_there, times, most = fixed[top], 1.0, phi.max()
    for _ in range(_PASSES):
        for i in range(n):
            spread[i] = max(times * phi[i] + error[i] + pace * slope[i], 1e-5)
            variance[i] = spread[i] + chance[i]
        steps(seen, mean, spread, ends, low, high)
        ramps(low, high, ends[SHORT], variance, CENTRAL, Z_CENTRAL, offset, rise)
        ramps(low[top], high[top], few, variance[top], edge, z_edge, outer_offset, outer_rise)
        for _ in range(rounds):
            there = rest[: top.size]
            for i in range(top.size):
                there[i] = fixed_there[i] + times * spread_there[i]
            outer = outer_offset, outer_rise, there, steep, none, 1.0 - 2.0 * edge
            pace = _solved(*outer, max(pace, _SLOWEST), LEAST, MOST, work)
            for i in range(n):
                rest[i] = fixed[i] + pace * slope[i]
                own[i] = times * phi[i]
            inner = offset, rise, rest, phi, own, 0.5
            before = times
            times = _solved(*inner, times, LEAST / most, MOST / most, work)
            if abs(times - before) < _STILL * before:
                break
        weight, changed = work[0], work[1]
        for i in range(n):
            new = max(times * phi[i] + error[i] + pace * slope[i], 1e-5) + chance[i]
            weight[i] = 1.0 / (variance[i] * variance[i])
            changed[i] = weight[i] * abs(new / variance[i] - 1.0)
        if sum_of(changed) < _same(n) * sum_of(weight):
            break
    return pace, times
