"""Sums of counts over surroundings, and rates shrunk to those of wider surroundings, one column at a time."""

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import sum_of


@njit(cache=True, nogil=True, error_model="numpy")
def weigh(observed, size, keep, rate, phi, points, parts):
    """Counts and sizes times the precision of each rate, ``keep / (1 + phi rate size)``.

    Into ``parts``, shape (2 or 4, n): counts, sizes, and sizes times ``points``, shape (0 or 2, n).
    A rate that is not known, or an empty ``rate``, is that of all together; with an empty ``phi`` all that is
    kept counts the same.
    """
    n, precision = observed.size, keep.copy()
    overall = sum_of(keep * observed) / max(sum_of(keep * size), 1e-300)
    if phi.size > 0:
        own = rate if rate.size > 0 else np.full(n, overall)
        for i in range(n):
            here = own[i] if abs(own[i]) < np.inf else overall
            precision[i] = keep[i] / (1.0 + phi[i] * here * size[i])
    _times(precision, observed, parts[0])
    _times(precision, size, parts[1])
    for k in range(points.shape[0]):
        _times(parts[1], points[k], parts[2 + k])


@njit(cache=True, nogil=True, error_model="numpy")
def _times(one, other, found):
    """Return the product of each two."""
    for i in range(one.size):
        found[i] = one[i] * other[i]


@njit(cache=True, nogil=True, error_model="numpy")
def group_sums(labels, parts, there):
    """Sums of parts over all other areas with the same label; none for a negative one.

    Those of the first parts go into ``there``, shape (n_sums, n); ``parts`` has as many rows at least.
    """
    n, groups, number = labels.size, labels.max() + 1, there.shape[0]
    if groups == 1 and labels.min() == 0:  # everybody
        for k in range(number):
            part, found, total = parts[k], there[k], sum_of(parts[k])
            for i in range(n):
                found[i] = total - part[i]
        return
    for k in range(number):
        part, found, sums = parts[k], there[k], np.zeros(groups + 1)
        for i in range(n):
            sums[labels[i] + 1] += part[i]
        for i in range(n):
            found[i] = sums[labels[i] + 1] - part[i] if labels[i] >= 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def scatter(square, error, known, unit, cap, capped_mean):
    """Variance of surroundings about their centre, by Huber's proposal 2: outliers count as two sigma.

    ``square`` are squared departures with errors of variance ``error``; where ``known`` is 0 they do not
    count. Eight rounds at most.
    """
    n, found = square.size, 0.05 * unit
    up, down = np.empty(n), np.empty(n)
    for _ in range(_ROUNDS):
        for i in range(n):
            variance = error[i] + found
            precision = known[i] / (variance * variance)
            up[i] = (min(square[i], cap * variance) - capped_mean * variance) * precision
            down[i] = precision
        last, found = found, max(found + sum_of(up) / max(sum_of(down), 1e-300), 1e-4 * unit)
        if abs(found - last) < 1e-6 * last:
            break
    return found


_ROUNDS, _ENOUGH = 8, 3_000


@njit(cache=True, nogil=True, error_model="numpy")
def shrink(events, weight, centre, loose, valid, cap, capped_mean, rate, strength):
    """Rate of surroundings, shrunk to a centre with empirical-Bayes strength, and the events behind it.

    ``events`` and ``weight`` are sums of counts and sizes, shape (n,); ``loose`` is the relative variance of
    the centre's error, ``valid`` 1 where an area has a figure. How much surroundings differ is estimated from
    some three thousand of them, evenly spaced.
    """
    n = events.size
    step = max(n // _ENOUGH, 1)
    some = (n + step - 1) // step
    square, error, known, expected = np.empty(some), np.empty(some), np.empty(some), np.empty(some)
    for k in range(some):
        i = k * step
        square[k], known[k], expected[k] = events[i], valid[i], weight[i] * centre[i]
    for k in range(some):
        away = square[k] / expected[k] - 1.0
        counts = (known[k] > 0.0) & (expected[k] > 1e-9) & (away * away < np.inf)
        error[k] = 1.0 / expected[k] if counts else 1.0
        square[k] = away * away if counts else 0.0
        known[k] = 1.0 if counts else 0.0
    between = scatter(square, error, known, 1.0, cap, capped_mean)
    for i in range(n):
        unsure = between + loose[i]
        rate[i] = centre[i] * (events[i] * unsure + 1.0) / (centre[i] * weight[i] * unsure + 1.0)
    for i in range(n):
        strength[i] = weight[i] * rate[i] + 1.0 / (between + loose[i])


@njit(cache=True, nogil=True, error_model="numpy")
def plain_rate(events, weight, rate, strength):
    """Counts per size, and the events behind it; where there are none, as if there were half a one."""
    for i in range(rate.size):
        rate[i] = (events[i] if events[i] > 0.0 else 0.5) / weight[i] if weight[i] > 0.0 else np.nan
        strength[i] = weight[i] * rate[i]


@njit(cache=True, nogil=True, error_model="numpy")
def steepness(indptr, indices, holds, events, size, pooled_events, pooled_size, phi, relative):
    """Mean squared step of the surroundings' rate from an area to its neighbours, itself left out of both.

    ``holds`` is the weight of the area in the surroundings of each neighbour. Steps are in units of the rate
    (``relative``), or of standard deviations of a value of weight one.
    """
    n = indptr.size - 1
    steep, table = np.zeros(n), np.empty((n, 2))
    for i in range(n):
        table[i, 0], table[i, 1] = pooled_events[i], pooled_size[i]
    for i in range(n):
        if pooled_size[i] <= 0.0:
            continue
        here, total, count = pooled_events[i] / pooled_size[i], 0.0, 0
        own, people = events[i], size[i]
        for at in range(indptr[i], indptr[i + 1]):
            j, hold = indices[at], holds[at]
            there = table[j, 1]
            rest = there - hold * people
            known = rest > 1e-12 * there
            step = (table[j, 0] - hold * own) / rest - here
            total += step * step if known else 0.0
            count += known
        unit = here * here if relative else phi[i]
        if count > 0 and unit > 0.0:
            steep[i] = min(total / (count * unit), 1.0)
    return steep
