"""One round of estimating what to expect of a column of counts: pooled, spread, compared, steepened."""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import sum_of
from zoo_geo.kernels.likelihood import compared, nb_log_likelihood
from zoo_geo.kernels.pooling import group_sums, plain_rate, shrink, steepness
from zoo_geo.kernels.ranks import quantile_of
from zoo_geo.kernels.settling import (
    by_count,
    fitting,
    insides,
    led,
    pace_of,
    spread_by_moments,
    spread_of,
    steepest_inside,
    taken,
    telling,
)

_SLIGHT = 0.25
"""Standard errors by which a share may fall short before it is asked why."""
_COMMON = 0.25
"""Quantile of a slope up to which errors are common to all areas: they belong to the spread."""


@njit(cache=True, nogil=True, error_model="numpy")
def pool_wider(labels, parts, valid, cap, capped_mean, centre, loose):
    """Rate of groups, widest first, each shrunk to the one before it, and the variance of its error.

    ``labels`` has shape (n_groups, n); ``parts`` are those of `weigh`.
    """
    n = loose.size
    rate, strength, sums = np.empty(n), np.empty(n), np.empty((2, n))
    for k in range(labels.shape[0]):
        group_sums(labels[k], parts, sums)
        if k == 0:
            plain_rate(sums[0], sums[1], rate, strength)
        else:
            shrink(sums[0], sums[1], centre, loose, valid, cap, capped_mean, rate, strength)
        for i in range(n):
            centre[i], loose[i] = rate[i], 1.0 / max(strength[i], 1e-9)


@njit(cache=True, nogil=True, error_model="numpy")
def pool(parts, valid, wider, near, cap, capped_mean, there):
    """Rates and strengths of each candidate, shape (n_candidates, n).

    ``wider`` and ``near`` are labels of groups, shape (n_groups, n). Sums of the candidates go into
    ``there``, shape (2 or more, n_candidates, n); where ``near`` is empty they are there already.
    """
    n, candidates = valid.size, there.shape[1]
    centre, loose = np.empty(n), np.zeros(n)
    pool_wider(wider, parts, valid, cap, capped_mean, centre, loose)
    for k in range(near.shape[0]):
        group_sums(near[k], parts, there[:, k])
    rates, strengths = np.empty((candidates, n)), np.empty((candidates, n))
    for k in range(candidates):
        events, weight = there[0, k], there[1, k]
        if wider.shape[0] == 0:
            plain_rate(events, weight, rates[k], strengths[k])
        else:
            shrink(events, weight, centre, loose, valid, cap, capped_mean, rates[k], strengths[k])
    return rates, strengths


@njit(cache=True, nogil=True, error_model="numpy")
def spread_each(observed, size, keep, rates, strengths, phi, begins, most, few, moments):
    """Factor on the spread that goes with each rate, and the rows that tell most about it, sorted by count.

    Returns the rows, the factors, the part of the weight that is on counts with a mean below ``few``, and the
    largest spread where all are the same, 0 where they are not.
    """
    rows = by_count(telling(keep, rates[-1], size, most), observed)
    times, rare, common = np.ones(begins.size), np.zeros(begins.size), np.zeros(begins.size)
    seen, people, own, ends = taken(rows, observed, size, phi)
    for k in range(begins.size):
        if moments:
            times[k] = spread_by_moments(rows, observed, size, rates[k], strengths[k], phi)
        else:
            mean, error, fine = led(rows, people, rates[k], strengths[k])
            begin = min(max(begins[k], 0.01), 100.0)
            sample = fitting(seen, mean, error, own, ends, fine)
            times[k], rare[k], least, largest = spread_of(*sample, begin, few)
            common[k] = largest if least == largest else 0.0
    return rows, times, rare, common


@njit(cache=True, nogil=True, error_model="numpy")
def best_of(observed, size, keep, rates, strengths, phi, times, most):
    """Which rate predicts best, each with its own spread."""
    best, highest = 0, -np.inf
    if times.size > 1:
        rows, each = compared(keep, size, rates, most)
        seen, people, own, _ = taken(rows, observed, size, phi)
        spread, at = np.empty(rows.size), np.empty(rows.size)
        for k in range(times.size):
            mean, error, _ = led(rows, people, rates[k], strengths[k])
            for i in range(rows.size):
                spread[i] = times[k] * own[i] + error[i]
            nb_log_likelihood(seen, mean, spread, at)
            score = each * sum_of(at)
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
    unit = quantile_of(known[:number], 0.5) if number > 0 else 0.0
    unit = unit if unit > 0.0 else 1.0
    for i in range(square.size):
        square[i] = min(max(square[i] / unit, 0.0), 30.0) if abs(square[i]) < np.inf else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def slopes(parts, there, width, strength, phi, far, points, indptr, indices, holds, asked, found):
    """What the error of a rate may grow with: itself, distance, off-centre distance, steps of the rate.

    Into ``found``, shape (2 or 4, n), those that are ``asked``, and distance ``far``; the middle two where
    there are places. ``parts`` are those of `weigh`, and ``there``, shape (2 or 4, n_candidates, n), their
    sums, of which those of candidate ``width`` count.
    """
    events, size = there[0, width], there[1, width]
    if asked[0]:
        for i in range(strength.size):
            found[0, i] = 1.0 / max(strength[i], 1e-9)
    if points.shape[0] > 0:
        found[1] = far
        if asked[2]:
            _off_centre(there[2, width], there[3, width], size, points, found[2])
            in_medians(found[2])
    if asked[-1]:
        found[-1] = steepness(indptr, indices, holds, parts[0], parts[1], events, size, phi, True)


@njit(cache=True, nogil=True, error_model="numpy")
def _off_centre(east, north, size, points, square):
    """Squared distances from ``points``, shape (2, n), to the centres of their surroundings."""
    for i in range(size.size):
        away = east[i] / size[i] - points[0, i]
        square[i] = away * away
    for i in range(size.size):
        away = north[i] / size[i] - points[1, i]
        square[i] += away * away


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
    moments,
):
    """Let the error grow with each slope in turn where that predicts better by more than ``margin``.

    ``rows`` are those of `spread_each`. Where as much of the steepest of them, a part ``part_top``, lies
    between the edges as should, nothing is to be gained. ``paces`` are where the searches begin, and then
    where they ended. Returns strengths and spreads.
    """
    few, _ = compared(keep, size, rate.reshape(1, -1), keep.size)  # a few odd areas can decide it: ask all
    told, people, own, _ = taken(few, observed, size, phi)
    means, wrong, _ = led(few, people, rate, strength)
    spread, at = own + wrong, np.empty(few.size)
    nb_log_likelihood(told, means, spread, at)
    score = sum_of(at)
    expected = rate[rows] * size[rows]
    rows = rows[(expected > 0.0) & (expected < np.inf)]
    seen, people, mine, ends = taken(rows, observed, size, phi)
    mean, error, _ = led(rows, people, rate, strength)
    inside, weight = insides(seen, mean, error, mine, ends, edge, z_edge)
    for kind in range(slopes.shape[0]):
        slope = slopes[kind]
        steep = slope[rows]
        least = quantile_of(steep, 1.0 - part_top)
        if steepest_inside(steep, least, inside, weight, edge) > -_SLIGHT:
            continue
        common = quantile_of(steep, _COMMON)
        steep, more = np.maximum(steep, common), np.maximum(slope[few], common)
        rest = steep, least, edge, z_edge, paces[kind], rounds
        pace, times = pace_of(seen, mean, error, mine, ends, *rest)
        paces[kind] = pace
        if moments:
            grown = 1.0 / (1.0 / strength + pace * np.maximum(slope, common))
            times = spread_by_moments(rows, observed, size, rate, grown, phi)
        for i in range(few.size):
            spread[i] = times * own[i] + wrong[i] + pace * more[i]
        nb_log_likelihood(told, means, spread, at)
        gained = sum_of(at)
        if gained > score + margin:
            strength = 1.0 / (1.0 / strength + pace * np.maximum(slope - common, 0.0))
            phi, score = phi * times + pace * common, gained
            wrong, own = wrong + pace * (more - common), own * times + pace * common
            error, mine = error + pace * (steep - common), mine * times + pace * common
            inside, weight = insides(seen, mean, error, mine, ends, edge, z_edge)
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
