"""One round of estimating what to expect of a column of counts: pooled, spread, compared, steepened."""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.likelihood import compared, nb_score
from zoo_geo.kernels.pooling import group_sums, plain_rate, ring_sums, shrink, steepness, weigh
from zoo_geo.kernels.settling import (
    by_count,
    insides,
    settle_pace,
    settle_spread,
    spread_by_moments,
    steepest_inside,
    telling,
)

_NONE = np.empty(0)


@njit(cache=True, nogil=True, error_model="numpy")
def pool_wider(labels, parts, valid, cap, capped_mean, sums, centre, loose):
    """Rate of groups, widest first, each shrunk to the one before it, and the variance of its error.

    ``labels`` has shape (n_groups, n); ``sums`` (4, n) is what is worked in.
    """
    n = loose.size
    rate, strength = np.empty(n), np.empty(n)
    for k in range(labels.shape[0]):
        group_sums(labels[k], parts, sums)
        if k == 0:
            plain_rate(sums, rate, strength)
        else:
            shrink(sums, centre, loose, valid, cap, capped_mean, rate, strength)
        for i in range(n):
            centre[i], loose[i] = rate[i], 1.0 / max(strength[i], 1e-9)


@njit(cache=True, nogil=True, error_model="numpy")
def pool(observed, size, valid, keep, rate, phi, points, wider, near, rings, cap, capped_mean, there):
    """Rates and strengths of each candidate, shape (n_candidates, n), and the damped parts of `weigh`.

    ``wider`` and ``near`` are labels of groups, shape (n_groups, n); ``rings`` are row pointers, neighbours
    and where rings end (`ring_sums`), in the place of ``near`` where that is empty. Sums of the candidates go
    into ``there``, shape (n_candidates, 4, n).
    """
    n, candidates = observed.size, there.shape[0]
    parts = np.zeros((n, 4))
    weigh(observed, size, keep, rate, phi, points, parts)
    centre, loose = np.empty(n), np.zeros(n)
    pool_wider(wider, parts, valid, cap, capped_mean, there[0], centre, loose)
    if near.shape[0] > 0:
        for k in range(candidates):
            group_sums(near[k], parts, there[k])
    else:
        ring_sums(rings[0], rings[1], rings[2], parts, there)
    rates, strengths = np.empty((candidates, n)), np.empty((candidates, n))
    for k in range(candidates):
        if wider.shape[0] == 0:
            plain_rate(there[k], rates[k], strengths[k])
        else:
            shrink(there[k], centre, loose, valid, cap, capped_mean, rates[k], strengths[k])
    return rates, strengths, parts


@njit(cache=True, nogil=True, error_model="numpy")
def spread_each(observed, size, keep, rates, strengths, phi, begins, most, few, moments):
    """Factor on the spread that goes with each rate, and the rows that tell most about it, sorted by count.

    Returns the rows, the factors, the part of the weight that is on counts with a mean below ``few``, and the
    largest spread where all are the same, 0 where they are not.
    """
    rows = by_count(telling(keep, rates[-1], size, most), observed)
    times, rare, common = np.ones(begins.size), np.zeros(begins.size), np.zeros(begins.size)
    for k in range(begins.size):
        if moments:
            times[k] = spread_by_moments(rows, observed, size, rates[k], strengths[k], phi)
        else:
            begin = min(max(begins[k], 0.01), 100.0)
            column = observed, size, rates[k], strengths[k], phi
            times[k], rare[k], least, largest = settle_spread(rows, *column, begin, few)
            common[k] = largest if least == largest else 0.0
    return rows, times, rare, common


@njit(cache=True, nogil=True, error_model="numpy")
def best_of(observed, size, keep, rates, strengths, phi, times, most):
    """Which rate predicts best, each with its own spread."""
    best, highest = 0, -np.inf
    if times.size > 1:
        rows, each = compared(keep, size, rates, most)
        for k in range(times.size):
            score = each * nb_score(rows, observed, size, rates[k], strengths[k], phi, times[k], _NONE, 0.0)
            if score > highest:
                best, highest = k, score
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def in_medians(square):
    """Squared distances in units of their median, at most 30; unknown ones are none."""
    known, number = np.empty(square.size), 0
    for i in range(square.size):
        known[number] = square[i]
        number += abs(square[i]) < np.inf
    unit = np.median(known[:number]) if number > 0 else 0.0
    unit = unit if unit > 0.0 else 1.0
    for i in range(square.size):
        square[i] = min(max(square[i] / unit, 0.0), 30.0) if abs(square[i]) < np.inf else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def slopes(parts, there, strength, phi, far, points, indptr, indices, holds, found):
    """What the error of a rate may grow with: itself, distance, off-centre distance, steps of the rate.

    Into ``found``, shape (2 or 4, n); the middle two where there are places.
    """
    n = strength.size
    for i in range(n):
        found[0, i] = 1.0 / max(strength[i], 1e-9)
    if points.shape[0] > 0:
        for i in range(n):
            east, north = there[2, i] / there[1, i] - points[i, 0], there[3, i] / there[1, i] - points[i, 1]
            found[2, i] = east * east + north * north
            found[1, i] = far[i]
        in_medians(found[2])
    events, size = parts[:, 0].copy(), parts[:, 1].copy()
    found[-1] = steepness(indptr, indices, holds, events, size, there[0], there[1], phi, True)


@njit(cache=True, nogil=True, error_model="numpy")
def steepen(
    rows,
    observed,
    size,
    keep,
    rate,
    strength,
    phi,
    slopes,
    paces,
    edge,
    z_edge,
    part_top,
    rounds,
    margin,
    most,
    moments,
):
    """Let the error grow with each slope in turn where that predicts better by more than ``margin``.

    Where the steepest rows, a part ``part_top``, lie between the edges already, nothing is to be gained.
    ``paces`` are where the searches begin, and then where they ended. Returns strengths and spreads.
    """
    few, each = compared(keep, size, rate.reshape(1, -1), most)
    score = each * nb_score(few, observed, size, rate, strength, phi, 1.0, _NONE, 0.0)
    inside = insides(rows, observed, size, rate, strength, phi, edge, z_edge)
    for kind in range(slopes.shape[0]):
        slope = slopes[kind]
        if steepest_inside(slope, part_top, *inside) >= 1.0 - 2.0 * edge:
            continue
        rest = slope, part_top, edge, z_edge, paces[kind], rounds
        pace, times = settle_pace(rows, observed, size, rate, strength, phi, *rest)
        paces[kind] = pace
        grown = 1.0 / (1.0 / strength + pace * slope)
        if moments:
            times = spread_by_moments(rows, observed, size, rate, grown, phi)
        gained = each * nb_score(few, observed, size, rate, grown, phi, times, _NONE, 0.0)
        if gained > score + margin:
            strength, phi, score = grown, phi * times, gained
            inside = insides(rows, observed, size, rate, strength, phi, edge, z_edge)
    return strength, phi


@njit(cache=True, nogil=True, error_model="numpy")
def as_counts(observed, size, valid, keep, rate, strength):
    """Means, errors, and which areas are usual and known; with how many are known."""
    n, number = observed.size, 0
    mean, error, usual, known = np.empty(n), np.empty(n), np.empty(n, np.bool_), np.empty(n, np.bool_)
    for i in range(n):
        mean[i], error[i] = rate[i] * size[i], 1.0 / strength[i]
        usual[i] = keep[i] > 0.0
        known[i] = valid[i] > 0.0 and 0.0 < rate[i] < math.inf and size[i] > 0.0
        number += known[i]
    return mean, error, usual, known, number
