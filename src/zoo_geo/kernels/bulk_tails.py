"""Tails of many negative binomial counts at once, for the bulk: no far tail, no extreme spread or error.

Each function here works on a block of counts without a branch per count, so that loops over the block are
vectorised; counts are sorted into blocks of equal work first. What is left is for the exact loops of
`zoo_geo.kernels.tails`. A count's result does not depend on the others of its block.
"""

import math

import numpy as np
from numba import njit

from zoo_geo.kernels.elementary import exp, log, log1p, plain_exp, plain_log
from zoo_geo.kernels.lanes import all_lanes
from zoo_geo.kernels.large_errors import NONE, large_errors
from zoo_geo.kernels.tail_blocks import (
    BELOW,
    FOUND,
    MEAN,
    PMF,
    ROWS,
    SEEN,
    STRENGTH,
    UPPER,
    WIDTH,
    R,
)

FEW = 128
"""Largest count whose lower tail is summed term by term."""
_SPARE = 1e-13
_ROOT = 1.0 / math.sqrt(2.0 * math.pi)

# rows of a block
_A, _B, _X, _LAMBDA, _TOP, _TOP_LAST, _UNDER, _UNDER_LAST, _LAST, _DONE = (WIDTH * k for k in range(8, 18))
_STEP, _OWN, _CENTRE, _FRONT, _PART = (WIDTH * k for k in range(8, 13))


_AT = np.array(
    [0.09467190441774663, 0.479577574368484, 1.1100670490542073,
     1.9283865635698807, 2.915071640487119, 4.134409175540123]
)  # fmt: skip
_WEIGHT = np.array(
    [0.11121894721790603, 0.16384630638561387, 0.09768800060412577,
     0.024242840040887483, 0.0019210856286191894, 2.5100643962781733e-05]
)  # fmt: skip
"""Gauss nodes and weights on (0, inf) for the weight P(Z > x) of a standard normal Z."""


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _middle(mean, strength):
    """Mean without its error."""
    centre = 1.0 - 1.0 / (9.0 * strength)
    return mean / (centre * centre * centre)


@njit(cache=True, nogil=True, error_model="numpy")
def few_terms(block, size, most):
    """Probability below each count of at most `FEW` and of itself, from the terms from 0 upward."""
    all_lanes()
    for j in range(size):
        m = _middle(block[MEAN + j], block[STRENGTH + j])
        block[_X + j] = m / (block[R + j] + m)
        block[PMF + j] = exp(-block[R + j] * log1p(m / block[R + j]))
        block[BELOW + j] = 0.0
    least = float(FEW)
    for j in range(size):
        least = min(least, block[SEEN + j])
    together = int(least) // 4 * 4
    for k in range(0, together, 4):
        _add_terms(block, size, float(k))
    for k in range(together, most):
        here, part = float(k), 1.0 / (k + 1.0)
        for j in range(size):
            pmf = block[PMF + j]
            within = here < block[SEEN + j]
            block[BELOW + j] += pmf if within else 0.0
            block[PMF + j] = pmf * ((block[R + j] + here) * block[_X + j] * part) if within else pmf
    for j in range(size):
        block[BELOW + j] += 0.5 * block[PMF + j]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_terms(block, size, k):
    """Add the four terms from k on, which are below every count of the block."""
    all_lanes()
    one, two, three, four = 1.0 / (k + 1.0), 1.0 / (k + 2.0), 1.0 / (k + 3.0), 1.0 / (k + 4.0)
    for j in range(size):
        r, x = block[R + j], block[_X + j]
        first = block[PMF + j]
        second = first * ((r + k) * x * one)
        third = second * ((r + (k + 1.0)) * x * two)
        fourth = third * ((r + (k + 2.0)) * x * three)
        block[BELOW + j] = block[BELOW + j] + first + second + third + fourth
        block[PMF + j] = fourth * ((r + (k + 3.0)) * x * four)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _far_lack(z):
    """What Stirling's formula lacks, to the last digit from 64 on (DLMF 5.11.1)."""
    inverse = 1.0 / z
    square = inverse * inverse
    return inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))


@njit(cache=True, nogil=True, error_model="numpy")
def lack(z):
    """What Stirling's formula lacks of the log of a gamma function, to the last digits, one number."""
    product, at = 1.0, z
    while at < 64.0:
        product *= at
        at += 1.0
    if at == z:
        return _far_lack(z)
    # log gamma(at) - log product = log gamma(z)
    return (
        _far_lack(at) + ((at - 0.5) * math.log(at) - (z - 0.5) * math.log(z) - math.log(product)) - (at - z)
    )


@njit(cache=True, nogil=True, error_model="numpy")
def fractions(block, size):
    """As `few_terms` for counts above `FEW`, by the continued fraction of DiDonato and Morris.

    (1992, doi:10.1145/131766.131776.) `BELOW` has what `lack` says of r when it is called.
    """
    all_lanes()
    for j in range(size):
        o, r = block[SEEN + j], block[R + j]
        m = _middle(block[MEAN + j], block[STRENGTH + j])
        n = o + r
        away = (m - o) / o
        log_pmf = o * log1p(away) - n * log1p((m - o) / n) + (_far_lack(n) - _far_lack(o) - block[BELOW + j])
        block[PMF + j] = exp(log_pmf) * _ROOT * math.sqrt(r / (o * n))
        above = o > m
        block[_X + j] = m / (r + m) if above else r / (r + m)
        block[_A + j] = o if above else r
        block[_B + j] = r if above else o + 1.0
        block[_LAMBDA + j] = r * (o - m if above else m - o - 1.0) / (r + m)
        block[_TOP + j] = block[_UNDER_LAST + j] = block[_DONE + j] = block[_LAST + j] = 0.0
        block[_TOP_LAST + j] = block[_UNDER + j] = 1.0
    for step in range(0, 20_000, 4):
        for k in range(4):
            _advance(block, size, float(step + k))
        if _settle(block, size) == 0.0:
            break
    for j in range(size):
        o, r = block[SEEN + j], block[R + j]
        m = _middle(block[MEAN + j], block[STRENGTH + j])
        above = o > m
        beyond = block[_LAST + j] * (o if above else m / (r + m) * (o + r)) - 0.5
        tail = block[PMF + j] * beyond
        block[BELOW + j] = 1.0 - tail if above else tail


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(block, size, n):
    """Take one step in every count's continued fraction."""
    all_lanes()
    for j in range(size):
        a, b, x = block[_A + j], block[_B + j], block[_X + j]
        there = a + 2.0 * n
        inverse = 1.0 / ((there - 1.0) * (there + 1.0))
        ratio = x * (there + 1.0) * inverse
        over = (a + n - 1.0) * (a + b + n - 1.0) * n * (b - n) * ratio * ratio
        over = 1.0 if n == 0.0 else over
        beta = n + n * (b - n) * ratio
        beta += (a + n) * (there - 1.0) * inverse * (block[_LAMBDA + j] + 1.0 + n * (2.0 - x))
        top, under = block[_TOP + j], block[_UNDER + j]
        block[_TOP + j] = beta * top + over * block[_TOP_LAST + j]
        block[_UNDER + j] = beta * under + over * block[_UNDER_LAST + j]
        block[_TOP_LAST + j], block[_UNDER_LAST + j] = top, under


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(block, size):
    """Scale the continued fractions, hold those that have converged, and count the others."""
    all_lanes()
    left = 0.0
    for j in range(size):
        scale = 1.0 / block[_UNDER + j]
        done, last = block[_DONE + j], block[_LAST + j]
        found = last if done > 0.0 else block[_TOP + j] * scale
        close = abs(found - last) <= _SPARE * abs(found)
        block[_LAST + j] = found
        block[_DONE + j] = 1.0 if close else done
        block[_TOP + j], block[_UNDER + j] = found, 1.0
        block[_TOP_LAST + j] *= scale
        block[_UNDER_LAST + j] *= scale
    for j in range(size):
        left += 1.0 - block[_DONE + j]
    return left


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _derived(jet, log_slope, part):
    """Derivatives of the next derivative, all in units of the density and of powers of the error."""
    g0, g1, g2, g3, g4, g5 = jet
    b0, b1, b2, b3, b4 = log_slope
    b0 += part
    return (
        b0 * g0 + g1,
        b0 * g1 + b1 * g0 + g2,
        b0 * g2 + 2.0 * b1 * g1 + b2 * g0 + g3,
        b0 * g3 + 3.0 * b1 * g2 + 3.0 * b2 * g1 + b3 * g0 + g4,
        b0 * g4 + 4.0 * b1 * g3 + 6.0 * b2 * g2 + 4.0 * b3 * g1 + b4 * g0 + g5,
        0.0,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def small_errors(block, size):
    """Average the tails over a small error of the mean, by the even derivatives of the tail in it.

    E T(Z) = T + T'' / 2 + T'''' / 8 + T'''''' / 48; T' is pmf (o + (o + r) y) / 2 times the slope of the log
    mean, with y = mean / (r + mean), which itself changes by y (1 - y).
    """
    all_lanes()
    for j in range(size):
        o, r, strength = block[SEEN + j], block[R + j], block[STRENGTH + j]
        centre = 1.0 - 1.0 / (9.0 * strength)
        m = block[MEAN + j] / (centre * centre * centre)
        n = o + r
        y0 = m / (r + m)
        y1 = y0 - y0 * y0
        y2 = y1 - 2.0 * y0 * y1
        y3 = y2 - 2.0 * (y0 * y2 + y1 * y1)
        y4 = y3 - 2.0 * (y0 * y3 + 3.0 * y1 * y2)
        y5 = y4 - 2.0 * (y0 * y4 + 4.0 * y1 * y3 + 3.0 * y2 * y2)
        log_slope = (r * (o - m) / (r + m), -n * y1, -n * y2, -n * y3, -n * y4)
        first = (o + n * y0, n * y1, n * y2, n * y3, n * y4, n * y5)
        second = _derived(first, log_slope, 1.0 / 3.0)
        third = _derived(second, log_slope, 2.0 / 3.0)
        fourth = _derived(third, log_slope, 1.0)
        fifth = _derived(fourth, log_slope, 4.0 / 3.0)
        sixth = _derived(fifth, log_slope, 5.0 / 3.0)
        square = 1.0 / (strength * centre * centre)
        bend = 0.5 * square * (second[0] + 0.25 * square * (fourth[0] + square * sixth[0] / 6.0))
        rise = 0.5 * block[PMF + j] * bend
        below = block[BELOW + j]
        block[FOUND + j] = 1.0 - below + rise if block[UPPER + j] > 0.0 else below - rise


@njit(cache=True, nogil=True, error_model="numpy")
def moderate_errors(block, size):
    """Average the tails over an error of the mean that is not small, from the slopes beside the middle.

    By parts, E T(Z) = T(0) + the integral over x > 0 of P(Z > x) (T'(x) - T'(-x)), by Gauss nodes for that
    chance.
    """
    all_lanes()
    for j in range(size):
        r, strength = block[R + j], block[STRENGTH + j]
        centre = 1.0 - 1.0 / (9.0 * strength)
        m = block[MEAN + j] / (centre * centre * centre)
        block[_CENTRE + j], block[_OWN + j], block[_PART + j] = centre, m, 1.0 / (r + m)
        block[_STEP + j] = 1.0 / (3.0 * math.sqrt(strength))
        block[_FRONT + j] = 1.5 * block[_STEP + j] * block[PMF + j]
        block[FOUND + j] = 0.0
    for k in range(_AT.size):
        _add_slope(block, size, _AT[k], _WEIGHT[k])
        _add_slope(block, size, -_AT[k], -_WEIGHT[k])
    for j in range(size):
        below, rise = block[BELOW + j], block[FOUND + j]
        block[FOUND + j] = 1.0 - below + rise if block[UPPER + j] > 0.0 else below - rise


@njit(cache=True, nogil=True, error_model="numpy")
def _add_slope(block, size, at, weight):
    """Add what the slope of each tail at one error of the mean brings."""
    all_lanes()
    for j in range(size):
        o, r, centre, part = block[SEEN + j], block[R + j], block[_CENTRE + j], block[_PART + j]
        inverse = 1.0 / (centre - at * block[_STEP + j])
        ratio = centre * inverse
        m = block[_OWN + j] * ratio * ratio * ratio
        log_pmf = 3.0 * o * plain_log(ratio) - (o + r) * plain_log((r + m) * part)
        slope = block[_FRONT + j] * inverse * plain_exp(log_pmf) * (o + (o + r) * (m / (r + m)))
        block[FOUND + j] += weight * slope


_FRACTIONS, _MODERATE = FEW + 1, FEW + 33
_ERRORS, _REST = 2 * _MODERATE, 2 * _MODERATE + 64
"""Keys of classes: below the first, a count that is summed; then 32 sizes; the same for moderate errors; then
64 large errors, then the rest."""
_SURE, _SMALL, _TILT = 10.0, 0.25, 0.4
_LEAST_STRENGTH, _BOUNDLESS, _LEAST_R, _LEAST_ERROR = 2.0, 4.0, 1.0, 0.15
_FAR = 1e-4
"""A tail below which the bulk's sums lack digits."""
_LOST = 1e-280


@njit(cache=True, nogil=True, error_model="numpy")
def _key(o, mean, phi, strength):
    """Class of a count and how much work it is."""
    own = phi + 1.0 / mean  # the variance relative to the square of the mean
    error = 1.0 / (strength * own)  # that of the error of the mean, in units of the count's
    away = (o / mean - 1.0) / own
    away *= away / strength  # times the error, squared
    sure = (strength > _SURE) | ((o == 0.0) & (strength >= _BOUNDLESS) & (error < _LEAST_ERROR**2))
    usual = (strength >= _BOUNDLESS) & (phi * _LEAST_R <= 1.0)
    tilt = min(2.0, 0.2 * strength)
    key = -1.0
    if o >= 0.0 and sure and error < _SMALL * _SMALL and away < _TILT * _TILT:
        key = 0.0
    elif o >= 0.0 and usual and error < 1.0 and away < tilt * tilt:
        key = float(_MODERATE)
    if key >= 0.0:
        return (
            key + o if o <= FEW else key + _FRACTIONS + min(math.sqrt(math.sqrt(o / (1.0 + phi * o))), 31.0)
        )
    within = (strength >= _BOUNDLESS) | ((strength >= _LEAST_STRENGTH) & (o < 20.0 * mean))
    if o >= 0.0 and within and phi * _LEAST_R <= 1.0 and error >= _LEAST_ERROR**2:
        return _ERRORS + min(4.0 * math.sqrt(1.0 + strength * (phi + 1.0 / max(o, NONE))), 63.0)
    return float(_REST)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _easy(o, mean, phi, strength):
    """As `_key` of a small count with a small error, which most are; -1 for others."""
    own = 1.0 + phi * mean
    small = (strength > _SURE) & (mean < _SMALL * _SMALL * strength * own)
    small &= (o - mean) * (o - mean) < _TILT * _TILT * own * own * strength
    return o if small & (o <= FEW) & (o >= 0.0) & (mean > 0.0) else -1.0


@njit(cache=True, nogil=True, error_model="numpy")
def _sorted(observed, mean, phi, strength):
    """Order of counts by their keys, and where each key ends."""
    all_lanes()
    n = observed.size
    key, order, ends = np.empty(n), np.empty(n, np.int64), np.zeros(_REST + 2, np.int64)
    for i in range(n):
        key[i] = _easy(observed[i], mean[i], phi[i], strength[i])
    for i in range(n):
        if key[i] < 0.0:
            key[i] = _key(observed[i], mean[i], phi[i], strength[i])
    for i in range(n):
        ends[int(key[i]) + 1] += 1
    for k in range(_REST + 1):
        ends[k + 1] += ends[k]
    for i in range(n):
        k = int(key[i])
        order[ends[k]] = i
        ends[k] += 1
    return order, ends


@njit(cache=True, nogil=True, error_model="numpy")
def bulk(observed, mean, phi, strength, log_p, upper):
    """Log of the smaller mid tail of each count and its side; return the places of counts left undone."""
    all_lanes()
    order, ends = _sorted(observed, mean, phi, strength)
    rest = np.empty(observed.size, np.int64)
    left, first = 0, 0
    block = np.zeros(ROWS)
    borders = ends[np.array([FEW, _MODERATE - 1, _MODERATE + FEW, _ERRORS - 1, _REST - 1])]
    error = borders[-1]
    while first < error:
        kind = np.searchsorted(borders, first, side="right")
        last = borders[kind]
        size = min(last - first, WIDTH)
        places = order[first : first + size]
        most = 0.0
        for j in range(size):
            i = places[j]
            block[SEEN + j], block[MEAN + j], block[STRENGTH + j] = observed[i], mean[i], strength[i]
            block[R + j] = 1.0 / phi[i]
            block[UPPER + j] = 1.0 if observed[i] > mean[i] else 0.0
            most = max(most, observed[i])
        if kind == 4:
            large_errors(block, size)
        else:
            if kind % 2 == 0:
                few_terms(block, size, int(most))
            else:
                _lacks(block, size)
                fractions(block, size)
            if kind < 2:
                small_errors(block, size)
            else:
                moderate_errors(block, size)
        _finish(block, size)
        for j in range(size):
            i = places[j]
            if block[_DONE + j] > 0.0:
                log_p[i], upper[i] = block[FOUND + j], block[UPPER + j] > 0.0
            else:
                rest[left] = i
                left += 1
        first += size
    for k in range(error, observed.size):
        rest[left] = order[k]
        left += 1
    return rest[:left]


@njit(cache=True, nogil=True, error_model="numpy")
def _lacks(block, size):
    """Put in place what `fractions` is told of r, which most often is the same for all."""
    for j in range(size):
        same = j > 0 and block[R + j] == block[R + j - 1]
        block[BELOW + j] = block[BELOW + j - 1] if same else lack(block[R + j])


@njit(cache=True, nogil=True, error_model="numpy")
def _finish(block, size):
    """Turn tails into logs of the smaller one, and tell which of them are done."""
    all_lanes()
    for j in range(size):
        p, side = block[FOUND + j], block[UPPER + j]
        done = p > (_FAR if side > 0.0 or block[PMF + j] < 0.0 else _LOST)
        other = p > 0.5
        block[_DONE + j] = 1.0 if done and p <= 1.0 else 0.0
        block[FOUND + j] = log(1.0 - p if other else p)
        block[UPPER + j] = 1.0 - side if other else side
