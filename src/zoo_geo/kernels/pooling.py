"""Sums of counts over surroundings, and rates shrunk to those of wider surroundings, one column at a time."""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def weigh(observed, size, keep, rate, phi, events, weight):
    """Counts and sizes times the precision of each rate, ``keep / (1 + phi rate size)``."""
    for i in range(observed.size):
        precision = keep[i] / (1.0 + phi[i] * rate[i] * size[i])
        events[i] = precision * observed[i]
        weight[i] = precision * size[i]


@njit(cache=True, nogil=True, error_model="numpy")
def ring_sums(indptr, indices, ends, events, weight, events_there, weight_there):
    """Sums over one, two ... rings of neighbours, each with those before it; results of shape (n_rings, n).

    ``ends`` says where each ring of an area ends in ``indices``, shape (n, n_rings); all three without a
    sign.
    """
    pairs = np.empty((events.size, 2))
    for i in range(events.size):
        pairs[i, 0], pairs[i, 1] = events[i], weight[i]
    start = indptr[0]
    for i in range(events.size):
        e = w = 0.0
        for ring in range(ends.shape[1]):
            for at in range(start, ends[i, ring]):
                j = indices[at]
                e += pairs[j, 0]
                w += pairs[j, 1]
            start = ends[i, ring]
            events_there[ring, i], weight_there[ring, i] = e, w


@njit(cache=True, nogil=True, error_model="numpy")
def group_sums(labels, events, weight, events_there, weight_there):
    """Sums over all other areas with the same label; none for a negative one."""
    e, w = np.zeros(labels.max() + 1), np.zeros(labels.max() + 1)
    for i in range(labels.size):
        if labels[i] >= 0:
            e[labels[i]] += events[i]
            w[labels[i]] += weight[i]
    for i in range(labels.size):
        known = labels[i] >= 0
        events_there[i] = e[labels[i]] - events[i] if known else 0.0
        weight_there[i] = w[labels[i]] - weight[i] if known else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def scatter(square, error, known, unit, cap, capped_mean):
    """Variance of surroundings about their centre, by Huber's proposal 2: outliers count as two sigma.

    ``square`` are squared departures with errors of variance ``error``; where ``known`` is 0 they do not
    count. Eight rounds.
    """
    n, found = square.size, 0.05 * unit
    up, down = np.empty(n), np.empty(n)
    for _ in range(_ROUNDS):
        for i in range(n):
            variance = error[i] + found
            precision = known[i] / (variance * variance)
            up[i] = (min(square[i], cap * variance) - capped_mean * variance) * precision
            down[i] = precision
        found = max(found + _sum(up) / max(_sum(down), 1e-300), 1e-4 * unit)
    return found


_ROUNDS, _ENOUGH = 8, 3_000


@njit(cache=True, nogil=True, error_model="numpy")
def _sum(x):
    """Sum in four chains, the same on every machine."""
    a = b = c = d = 0.0
    for i in range(0, x.size - 3, 4):
        a += x[i]
        b += x[i + 1]
        c += x[i + 2]
        d += x[i + 3]
    for i in range(x.size - x.size % 4, x.size):
        a += x[i]
    return (a + b) + (c + d)


@njit(cache=True, nogil=True, error_model="numpy")
def shrink(events, weight, centre, loose, valid, cap, capped_mean, rate, strength):
    """Rate of surroundings, shrunk to a centre with empirical-Bayes strength, and the events behind it.

    ``loose`` is the relative variance of the centre's error. How much surroundings differ is estimated from
    some three thousand of them, evenly spaced.
    """
    n = events.size
    step = max(n // _ENOUGH, 1)
    some = (n + step - 1) // step
    square, error, known = np.empty(some), np.empty(some), np.empty(some)
    for k in range(some):
        i = k * step
        expected = weight[i] * centre[i]
        away = events[i] / expected - 1.0
        counts = valid[i] and expected > 1e-9 and away * away < np.inf
        error[k] = 1.0 / expected if counts else 1.0
        known[k] = 1.0 if counts else 0.0
        square[k] = away * away if counts else 0.0
    between = scatter(square, error, known, 1.0, cap, capped_mean)
    for i in range(n):
        prior = 1.0 / (between + loose[i])
        rate[i] = (events[i] + prior) / (weight[i] + prior / centre[i])
        strength[i] = weight[i] * rate[i] + prior


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
