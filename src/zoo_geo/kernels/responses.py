"""How counts of classes of exposure lie in their distributions: middles, spreads, tails, hidden exposures.

Whole columns at a time: rows are gathered and sorted once for all classes or for each, and all that is asked
of them is done before the next.
"""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import sum_of
from zoo_geo.kernels.lanes import all_lanes
from zoo_geo.kernels.likelihood import nb_log_likelihood
from zoo_geo.kernels.positions import SHORT, heavy_steps, hidden_steps, quantile, sort_counts, steps
from zoo_geo.kernels.settling import CENTRAL, LEAST, MOST, Z_CENTRAL, inside_of, ramp, root_of

_SMALLEST = 1e-5
_PASSES = 20
_STILL, _FAR_OFF = 0.002, 0.3
"""A step too small to take another; a middle too far off to tell a spread."""
_GOLDEN = 0.5 * (3.0 - math.sqrt(5.0))
_CLOSE = 1e-5
"""To what part a spread of the highest likelihood is found."""
_QUARTERS, _Z_QUARTERS = np.array([0.25, 0.5, 0.75]), np.array([-0.6744897501960817, 0.0, 0.6744897501960817])

_NODES, _weights = np.polynomial.hermite_e.hermegauss(5)
_WEIGHTS = _weights / _weights.sum()
_FINE = np.linspace(-3.5, 3.5, 15)
_FINE_WEIGHTS = np.exp(-0.5 * _FINE**2) / np.exp(-0.5 * _FINE**2).sum()
_SLIGHT = 0.1
"""Part of a variance that unseen exposure may make where few nodes will do."""
_BROAD = 0.06
_ANOMALIES = 0.003


@njit(cache=True, nogil=True, error_model="numpy")
def sorted_counts(observed, mean, error, rows):
    """Counts, means and errors of some rows in the order of `sort_counts`, and its ends."""
    n = rows.size
    order, ends, seen = np.empty(n, np.int64), np.empty(SHORT + 1, np.int64), np.empty(n)
    for k in range(n):
        seen[k] = observed[rows[k]]
    sort_counts(seen, order, ends)
    given, own = np.empty(n), np.empty(n)
    for k in range(n):
        i = rows[order[k]]
        seen[k], given[k], own[k] = observed[i], mean[i], error[i]
    return seen, given, own, ends


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(mean, spread, weight):
    """How much each count tells about spread: the part of its variance that is not chance."""
    all_lanes()
    for i in range(mean.size):
        own = mean[i] * spread[i]
        weight[i] = own / (1.0 + own) + 1e-6


@njit(cache=True, nogil=True, error_model="numpy")
def _below(low, high, short, weight, edges, z_edges, at):
    """Weighted shares of steps below edges, into ``at``; returns how many equal weights they are worth.

    Steps are probabilities where ``short`` says so, and normal quantiles elsewhere.
    """
    all_lanes()
    n = low.size
    unit, part, whole = np.empty(n), np.empty(n), sum_of(weight)
    for i in range(n):
        unit[i] = weight[i] / max(high[i] - low[i], 1e-12)
        part[i] = weight[i] * weight[i]
    square = sum_of(part)
    for k in range(edges.size):
        edge, z_edge = edges[k], z_edges[k]
        for i in range(n):
            here = edge if short[i] else z_edge
            part[i] = min(max((here - low[i]) * unit[i], 0.0), weight[i])
        at[k] = sum_of(part) / max(whole, 1e-300)
    return whole * whole / max(square, 1e-300)


@njit(cache=True, nogil=True, error_model="numpy")
def ends_of(observed, mean, phi, heavy, error, ends, low, high):
    """Ends of steps with or without a heavy part; returns how many rows have probabilities."""
    spread = np.empty(mean.size)
    if heavy > 0.0:
        smear = np.empty(mean.size)
        for i in range(mean.size):
            spread[i], smear[i] = max((1.0 - heavy) * phi, _SMALLEST), heavy * phi + error[i]
        heavy_steps(observed, mean, spread, smear, ends, low, high)
        return mean.size
    for i in range(mean.size):
        spread[i] = phi + error[i]
    steps(observed, mean, spread, ends, low, high)
    return ends[SHORT]


@njit(cache=True, nogil=True, error_model="numpy")
def _in_classes(low, high, order, short, weight, ends, edges, z_edges):
    """Shares of each class below edges, shape (n_classes, n_edges), and what it is worth; see `_below`.

    Steps are in an order that is not that of the classes, one after the other, whose rows end at ``ends``.
    """
    lower, upper = np.empty(order.size), np.empty(order.size)
    for k in range(order.size):
        lower[order[k]], upper[order[k]] = low[k], high[k]
    at, worth, start = np.empty((ends.size, edges.size)), np.empty(ends.size), 0
    for k in range(ends.size):
        own = slice(start, ends[k])
        worth[k] = _below(lower[own], upper[own], short[own], weight[own], edges, z_edges, at[k])
        start = ends[k]
    return at, worth


@njit(cache=True, nogil=True, error_model="numpy")
def shares(observed, mean, error, ends, phi, heavy, edges, z_edges, at):
    """Weighted shares of sorted counts below edges of their distribution functions, into ``at``.

    One spread ``phi`` for all; a part ``heavy`` of it belongs to the inverse of a gamma variable, whose
    upper tail is heavier, and the error of the mean joins it there. Each count has the weight of what is not
    chance in its variance. ``ends`` are those of `sort_counts`, ``z_edges`` the normal quantiles of
    ``edges``. Returns how many counts of equal weight they are worth.
    """
    n = mean.size
    low, high, spread, weight = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        spread[i] = phi + error[i]
    _weigh(mean, spread, weight)
    short = ends_of(observed, mean, phi, heavy, error, ends, low, high)
    return _below(low, high, np.arange(n) < short, weight, edges, z_edges, at)


@njit(cache=True, nogil=True, error_model="numpy")
def _short_lines(low, high, deviation, variance, middle, rising, offset, rise):
    """How steps come to lie below the middle when the mean grows, inside the quarters when variance does.

    ``clip(middle + rising * shift)`` and ``clip(offset + rise * variance)``, see `settling.ramps`.
    """
    all_lanes()
    for i in range(low.size):
        below = min(max((0.5 - low[i]) / max(high[i] - low[i], 1e-12), 0.0), 1.0)
        inside = inside_of(low[i], high[i], CENTRAL, 1.0 - CENTRAL)
        start, end = quantile(low[i]), quantile(high[i])
        unit = 1.0 / (deviation[i] * max(end - start, 1e-9))
        rising[i] = unit
        middle[i] = below if 0.0 < below < 1.0 else -start * deviation[i] * unit
        offset[i], rise[i] = ramp(start, end, inside, variance[i], Z_CENTRAL)


@njit(cache=True, nogil=True, error_model="numpy")
def _long_lines(low, high, deviation, variance, middle, rising, offset, rise):
    """`_short_lines` of counts whose steps are normal quantiles."""
    all_lanes()
    for i in range(low.size):
        unit = 1.0 / (deviation[i] * max(high[i] - low[i], 1e-9))
        rising[i] = unit
        middle[i] = -low[i] * deviation[i] * unit
        inside = inside_of(low[i], high[i], -Z_CENTRAL, Z_CENTRAL)
        offset[i], rise[i] = ramp(low[i], high[i], inside, variance[i], Z_CENTRAL)


@njit(cache=True, nogil=True, error_model="numpy")
def _log_likelihood(observed, mean, error, phi, work):
    """Log likelihood of a spread that the errors of the means join."""
    n = mean.size
    spread, at = work[0, :n], work[1, :n]
    for i in range(n):
        spread[i] = phi + error[i]
    nb_log_likelihood(observed, mean, spread, at)
    return sum_of(at)


@njit(cache=True, nogil=True, error_model="numpy")
def likeliest(observed, mean, error, least, most):
    """Log of the spread of the highest likelihood, between the logs of two.

    By golden sections and parabolas (Brent 1973, Algorithms for Minimization without Derivatives, chapter 5).
    """
    work = np.empty((2, mean.size))
    best = second = third = at = least + _GOLDEN * (most - least)
    lack = second_lack = third_lack = math.inf
    step = last = 0.0
    for turn in range(100):
        here = -_log_likelihood(observed, mean, error, math.exp(at), work)
        if turn == 0:
            lack = second_lack = third_lack = here
        elif here <= lack:
            least, most = (best, most) if at >= best else (least, best)
            third, third_lack, second, second_lack, best, lack = second, second_lack, best, lack, at, here
        else:
            least, most = (at, most) if at < best else (least, at)
            if here <= second_lack or second == best:
                third, third_lack, second, second_lack = second, second_lack, at, here
            elif here <= third_lack or third in (best, second):
                third, third_lack = at, here
        middle = 0.5 * (least + most)
        close = 1.4901161193847656e-08 * abs(best) + _CLOSE / 3.0
        if abs(best - middle) <= 2.0 * close - 0.5 * (most - least):
            break
        golden = True
        if abs(last) > close:  # a parabola through the three best
            r, q = (best - second) * (lack - third_lack), (best - third) * (lack - second_lack)
            p, q = (best - third) * q - (best - second) * r, 2.0 * (q - r)
            p, q = (-p if q > 0.0 else p), abs(q)
            r, last = last, step
            golden = not (abs(p) < abs(0.5 * q * r) and q * (least - best) < p < q * (most - best))
            if not golden:
                step = p / q
                near = best + step - least < 2.0 * close or most - best - step < 2.0 * close
                step = math.copysign(close, middle - best) if near else step
        if golden:
            last = least - best if best >= middle else most - best
            step = _GOLDEN * last
        at = best + math.copysign(max(abs(step), close), step)
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def settle_middle(observed, given, error, ends, phi, heavy, shift, few, largest):
    """Log of the factor on the mean, and log of the spread, with which middle and central half are right.

    Half of the counts are to lie below the middle of their distributions and half in the central half, each
    with the weight of what is not chance in its variance. Where most means are below ``few``, most counts are
    0 and the central half says nothing: there it is the sum of counts and the likelihood, of a spread of
    ``largest`` at most. Sorted counts as in `shares`, whose ``heavy`` is the same.
    """
    n = observed.size
    if 2 * np.count_nonzero(given < few) > n:
        shift = math.log(max(sum_of(observed), 0.5) / sum_of(given))
        return shift, likeliest(
            observed, given * math.exp(shift), error, math.log(_SMALLEST), math.log(largest)
        )
    low, high, part, weight, grow = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    mean, spread, variance, deviation = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    middle, rising, offset, rise = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    log_phi = math.log(phi)
    for _ in range(_PASSES):
        phi, times = math.exp(log_phi), math.exp(shift)
        for i in range(n):
            mean[i] = given[i] * times
            spread[i] = phi + error[i]
            variance[i] = spread[i] + 1.0 / mean[i]
            deviation[i] = math.sqrt(variance[i])
        _weigh(given, spread, weight)
        k = ends_of(observed, mean, phi, heavy, error, ends, low, high)
        lines = deviation[:k], variance[:k], middle[:k], rising[:k], offset[:k], rise[:k]
        _short_lines(low[:k], high[:k], *lines)
        lines = deviation[k:], variance[k:], middle[k:], rising[k:], offset[k:], rise[k:]
        _long_lines(low[k:], high[k:], *lines)
        step = root_of(middle, rising, weight, 0.5, 0.0, -2.0, 2.0, part, grow)
        for i in range(n):
            offset[i] += rise[i] * (variance[i] - phi)
            rise[i] *= phi
            part[i] = weight[i] * phi / variance[i]
        bend, total = sum_of(part), sum_of(weight)
        times = root_of(offset, rise, weight, 0.5, 1.0, LEAST / phi, MOST / phi, part, grow)
        shift = min(max(shift + step, -4.0), 4.0)
        if abs(step) < _FAR_OFF:  # nothing can be said of a spread about another middle
            log_phi += math.log(times)
        if abs(step) < _STILL and abs(times - 1.0) * bend < 2.0 * _STILL * total:
            break
    return shift, log_phi


@njit(cache=True, nogil=True, error_model="numpy")
def _usual_of(rows, usual):
    """Rows that are not odd."""
    kept, number = np.empty(rows.size, np.int64), 0
    for k in range(rows.size):
        kept[number] = rows[k]
        number += usual[rows[k]]
    return kept[:number]


@njit(cache=True, nogil=True, error_model="numpy")
def fit_classes(observed, mean, error, usual, rows, ends, phi, few, largest):
    """Log of the ratio, spread and gained log likelihood of the usual rows of each class.

    ``rows`` are those of all classes one after the other and ``ends`` where each one ends; ``phi`` their
    common spreads; ``few`` and ``largest`` as in `settle_middle`. Returns an array of shape (3, n_classes).
    """
    found, start = np.empty((3, ends.size)), 0
    for k in range(ends.size):
        own = _usual_of(rows[start : ends[k]], usual)
        start = ends[k]
        seen, given, unsure, short = sorted_counts(observed, mean, error, own)
        shift, log_phi = settle_middle(seen, given, unsure, short, phi[k], 0.0, 0.0, few, largest)
        found[0, k], found[1, k], found[2, k] = shift, math.exp(log_phi), 0.0
        work = np.empty((2, seen.size))
        for way, times, spread in ((-1.0, 1.0, phi[k]), (1.0, math.exp(shift), math.exp(log_phi))):
            found[2, k] += way * _log_likelihood(seen, given * times, unsure, spread, work)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _likeness(at, worth, places):
    """Log likelihood of the shape below the last place, of the shares ``at`` below places."""
    top, before, usual_before, total = max(at[-1], 1e-9), 0.0, 0.0, 0.0
    for k in range(places.size):
        seen, usual = (at[k] - before) / top, (places[k] - usual_before) / places[-1]
        total += seen * math.log(max(seen, 1e-9) / usual)
        before, usual_before = at[k], places[k]
    return -worth * at[-1] * total


@njit(cache=True, nogil=True, error_model="numpy")
def tail(observed, mean, error, rows, most, shift, phi, places, z_places, few, largest, doubt, heavy, least):
    """Log of the ratio, spread and heavy part of the laws whose shape is like that of the counts.

    The heavy part is the mean over a gamma law and one of which a part ``heavy`` is, each weighted by its
    likelihood, or none where that is below ``least``; only the shape below the last place counts, and the
    gamma law has the benefit of a ``doubt`` in log likelihood. The laws are fitted to ``most`` rows.
    """
    seen, given, unsure, ends = part = sorted_counts(observed, mean, error, rows)
    at, lack, log_phi = np.empty(places.size), 0.0, math.log(phi)
    if rows.size > most:
        part = sorted_counts(observed, mean, error, rows[np.arange(most) * rows.size // most])
    for fitted in (False, True):
        if fitted:
            shift, log_phi = settle_middle(*part, phi, 0.0, shift, few, largest)
            phi = math.exp(log_phi)
        worth = shares(seen, given * math.exp(shift), unsure, ends, phi, 0.0, places, z_places, at)
        lack = _likeness(at, worth, places)
        if lack > -doubt:
            return shift, phi, 0.0
    if at[0] * places[-1] > places[0] * at[-1]:  # where the upper tail is heavier, fewer lie at the lower end
        return shift, phi, 0.0
    other, log_other = settle_middle(*part, phi, heavy, shift, few, largest)
    mean, wide = given * math.exp(other), math.exp(log_other)
    worth = shares(seen, mean, unsure, ends, wide, heavy, places, z_places, at)
    odds = _likeness(at, worth, places) - lack - doubt
    chance = 1.0 / (1.0 + math.exp(-odds))
    if chance * heavy < least:
        return shift, phi, 0.0
    shift += chance * (other - shift)
    return shift, math.exp(log_phi + chance * (log_other - log_phi)), chance * heavy


@njit(cache=True, nogil=True, error_model="numpy")
def ends_of_counts(observed):
    """How many of sorted counts are 0, at most 1 and so on, as `sort_counts` says."""
    ends = np.zeros(SHORT + 1, np.int64)
    for i in range(observed.size):
        if observed[i] > SHORT:
            break
        ends[int(observed[i])] += 1
    for k in range(SHORT):
        ends[k + 1] += ends[k]
    return ends


@njit(cache=True, nogil=True, error_model="numpy")
def off_middle(observed, mean, error, usual, rows, ends, phi):
    """How far the usual counts of each class lie off the middle and the central half, a chi-square of two.

    Rows, ends and spreads as in `fit_classes`. The steps of all classes are taken together.
    """
    n, number, start = rows.size, 0, 0
    seen, given, spread, weight = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    last = np.empty_like(ends)
    for k in range(ends.size):
        for j in range(start, ends[k]):
            i = rows[j]
            seen[number], given[number], spread[number] = observed[i], mean[i], error[i] + phi[k]
            number += usual[i]
        start, last[k] = ends[k], number
    seen, given, spread, weight = seen[:number], given[:number], spread[:number], weight[:number]
    order, short = np.empty(number, np.int64), np.empty(SHORT + 1, np.int64)
    sort_counts(seen, order, short)
    low, high = np.empty(number), np.empty(number)
    steps(seen[order], given[order], spread[order], short, low, high)
    _weigh(given, spread, weight)
    shares, worth = _in_classes(low, high, order, seen <= SHORT, weight, last, _QUARTERS, _Z_QUARTERS)
    middle, central = shares[:, 1] - 0.5, shares[:, 2] - shares[:, 0] - 0.5
    return worth * (middle * middle + central * central) / 0.25


@njit(cache=True, nogil=True, error_model="numpy")
def _departures(shares, worth, places, at):
    """Signed deviance residuals of shares below places and above the last; half their squares are the lack.

    What lies above the last place is one cell; a few areas in a thousand may lie there for nothing, as
    anomalies.
    """
    n = places.size
    for k in range(n + 1):
        at[k] = (shares[k] if k < n else 1.0) - (shares[k - 1] if k > 0 else 0.0)
    whole = 1.0
    spare = min(max(at[n] - (1.0 - places[n - 1]), 0.0), _ANOMALIES)
    at[n] -= spare
    whole -= spare
    for k in range(n + 1):
        usual = (places[k] if k < n else 1.0) - (places[k - 1] if k > 0 else 0.0)
        seen = at[k] / whole
        lack = seen * math.log(max(seen, 1e-9) / usual) - seen + usual
        far = math.sqrt(2.0 * worth * max(lack, 0.0))
        at[k] = far if seen > usual else (-far if seen < usual else 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def lacks(observed, mean, error, rows, ends, shift, phi, places, z_places):
    """Log likelihood that the shares of each class between places lack with its ratio and spread.

    Rows and ends as in `fit_classes`; ``shift`` is the log of the ratio. Returns the sum over classes.
    """
    at, each, start, total = np.empty(places.size), np.empty(places.size + 1), 0, 0.0
    for k in range(ends.size):
        seen, given, unsure, short = sorted_counts(observed, mean, error, rows[start : ends[k]])
        start = ends[k]
        worth = shares(seen, given * math.exp(shift[k]), unsure, short, phi[k], 0.0, places, z_places, at)
        _departures(at, worth, places, each)
        total += 0.5 * (each * each).sum()
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def by_count(observed):
    """Order of counts as of `sort_counts`."""
    order, ends = np.empty(observed.size, np.int64), np.empty(SHORT + 1, np.int64)
    sort_counts(observed, order, ends)
    return order


@njit(cache=True, nogil=True, error_model="numpy")
def _broad_steps(rows, observed, mean, share, sigma, spread, nodes, weights, low, high):
    """As `hidden_steps`, of some sorted rows; steps are at least `_BROAD` wide."""
    seen = observed[rows]
    given = mean[rows], share[rows], sigma, spread[rows], ends_of_counts(seen), nodes, weights
    hidden_steps(seen, *given, low, high)
    for i in range(rows.size):
        lacks = max(0.5 * (_BROAD - high[i] + low[i]), 0.0)
        low[i] -= lacks
        high[i] += lacks


@njit(cache=True, nogil=True, error_model="numpy")
def hidden_departures(observed, size, mean, error, order, ends, unseen, sigma, level, phi, places, at):
    """Departures of the shares of each class between places, where part of the exposure is unseen.

    Rows are those of one class after the other, which end at ``ends``; ``order`` is that of `by_count`.
    ``unseen`` is the lognormal mean of what is not seen, with log-scale ``sigma``. Few nodes will do where
    that makes little of a variance; steps are wide enough for shares to change smoothly with the law. Into
    ``at``, shape (n_classes, n_places + 1).
    """
    n = observed.size
    share, given, spread, weight = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    much, wide = np.empty(n, np.bool_), math.expm1(sigma * sigma)
    for i in range(n):
        share[i] = unseen / (size[i] + unseen)
        given[i] = mean[i] * level * (size[i] + unseen) / max(size[i], 1e-12)
        spread[i] = phi + error[i]
        own = given[i] * (spread[i] + share[i] * share[i] * sigma * sigma)
        weight[i] = own / (1.0 + own) + 1e-6
        much[i] = share[i] * share[i] * wide > _SLIGHT * (spread[i] + 1.0 / given[i])
    there = much[order]
    first, rest, low, high = order[there], order[~there], np.empty(n), np.empty(n)
    k, column = first.size, (observed, given, share, sigma, spread)
    _broad_steps(first, *column, _FINE, _FINE_WEIGHTS, low[:k], high[:k])
    _broad_steps(rest, *column, _NODES, _WEIGHTS, low[k:], high[k:])
    much[:] = True  # all steps are probabilities
    order = np.concatenate((first, rest))
    shares, worth = _in_classes(low, high, order, much, weight, ends, places, places)
    for k in range(ends.size):
        _departures(shares[k], worth[k], places, at[k])
