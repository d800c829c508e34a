"""Counts drawn by chance: given a total, or around what is expected, one replicate a column.

Replicate ``m`` has a stream of its own, from a counter-based generator that is keyed by (seed, m);
cells are gone through in the order in which they are given.
"""

from math import exp, floor, lgamma, log, log1p, sqrt

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)
_TO_UNIT = 2.0**-53
_FEW = 10.0
_WIDE, _MORE = 1.7155277699214135, 0.8989161620588988  # 2 sqrt(2 / e) and 3 - 2 sqrt(3 / e)


@njit(cache=True, nogil=True)
def _mix(state):
    """Finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2714064.2660195)."""
    state = (state ^ (state >> _S30)) * _MIX_1
    state = (state ^ (state >> _S27)) * _MIX_2
    return state ^ (state >> _S31)


@njit(cache=True, nogil=True)
def _key(seed, m):
    """State with which the stream of replicate ``m`` begins."""
    return _mix(_mix(np.uint64(seed) + _GOLDEN) ^ _mix(np.uint64(m) + _GOLDEN))


@njit(cache=True, nogil=True)
def _unit(stream):
    """Next number between 0 and 1, neither of them."""
    stream[0] += _GOLDEN
    return (np.float64(_mix(stream[0]) >> _S11) + 0.5) * _TO_UNIT


@njit(cache=True, nogil=True)
def _poisson_log(k, mean):
    return k * log(mean) - lgamma(k + 1.0)


@njit(cache=True, nogil=True)
def _binomial_log(k, trials, odds):
    return k * odds - lgamma(k + 1.0) - lgamma(trials - k + 1.0)


@njit(cache=True, nogil=True)
def _drawn_log(k, marked, rest, draws):
    """Log probability, up to a constant, of ``k`` marked ones among draws without replacement."""
    return (
        -lgamma(k + 1.0) - lgamma(marked - k + 1.0) - lgamma(draws - k + 1.0) - lgamma(rest - draws + k + 1.0)
    )


@njit(cache=True, nogil=True)
def _offer(stream, mean, variance):
    """Ratio of uniforms (Stadlober 1990, doi:10.1016/0377-0427(90)90349-5): a count, and the height of it."""
    u = _unit(stream)
    wide = _WIDE * sqrt(variance + 0.5) + _MORE
    return floor(mean + 0.5 + wide * (_unit(stream) - 0.5) / u), 2.0 * log(u)


@njit(cache=True, nogil=True)
def poisson(stream, mean):
    """Draw a Poisson count."""
    if mean <= 0.0:
        return 0.0
    if mean < _FEW:
        k, chance, left = 0.0, exp(-mean), _unit(stream)
        while left > chance and k < 200.0:
            left -= chance
            k += 1.0
            chance *= mean / k
        return k
    top = _poisson_log(floor(mean), mean)
    while True:
        k, height = _offer(stream, mean, mean)
        if k >= 0.0 and height <= _poisson_log(k, mean) - top:
            return k


@njit(cache=True, nogil=True)
def binomial(stream, trials, share):
    """Draw a count out of a number of trials."""
    if share <= 0.0 or trials <= 0.0:
        return 0.0
    if share >= 1.0:
        return trials
    if share > 0.5:
        return trials - binomial(stream, trials, 1.0 - share)
    mean = trials * share
    odds = share / (1.0 - share)
    if mean < _FEW:
        k, chance, left = 0.0, exp(trials * log1p(-share)), _unit(stream)
        while left > chance and k < trials:
            left -= chance
            chance *= odds * (trials - k) / (k + 1.0)
            k += 1.0
        return k
    top = _binomial_log(floor((trials + 1.0) * share), trials, log(odds))
    while True:
        k, height = _offer(stream, mean, mean * (1.0 - share))
        if 0.0 <= k <= trials and height <= _binomial_log(k, trials, log(odds)) - top:
            return k


@njit(cache=True, nogil=True)
def among(stream, marked, rest, draws):
    """Count the marked ones among draws without replacement from ``marked + rest``."""
    whole = marked + rest
    if marked <= 0.0 or draws <= 0.0:
        return 0.0
    if draws >= whole:
        return marked
    if draws > 0.5 * whole:
        return marked - among(stream, marked, rest, whole - draws)
    if rest < marked:
        return draws - among(stream, rest, marked, draws)
    mean = draws * (marked / whole)
    if mean < _FEW:
        start = (
            lgamma(rest + 1.0)
            - lgamma(rest - draws + 1.0)
            + lgamma(whole - draws + 1.0)
            - lgamma(whole + 1.0)
        )
        k, chance, left = 0.0, exp(start), _unit(stream)
        while left > chance and k < min(marked, draws):
            left -= chance
            chance *= (marked - k) * (draws - k) / ((k + 1.0) * (rest - draws + k + 1.0))
            k += 1.0
        return k
    variance = mean * (rest / whole) * (whole - draws) / (whole - 1.0)
    mode = floor((draws + 1.0) * ((marked + 1.0) / (whole + 2.0)))
    top = _drawn_log(mode, marked, rest, draws)
    while True:
        k, height = _offer(stream, mean, variance)
        if 0.0 <= k <= min(marked, draws) and height <= _drawn_log(k, marked, rest, draws) - top:
            return k


@njit(cache=True, nogil=True)
def _normal(stream):
    """Draw a standard normal number (polar method)."""
    while True:
        a, b = 2.0 * _unit(stream) - 1.0, 2.0 * _unit(stream) - 1.0
        s = a * a + b * b
        if 0.0 < s < 1.0:
            return a * sqrt(-2.0 * log(s) / s)


@njit(cache=True, nogil=True)
def gamma(stream, shape):
    """Draw a gamma number of scale one (Marsaglia and Tsang 2000, doi:10.1145/358407.358414)."""
    if shape < 1.0:
        return gamma(stream, shape + 1.0) * _unit(stream) ** (1.0 / shape)
    d = shape - 1.0 / 3.0
    c = 1.0 / sqrt(9.0 * d)
    while True:
        x = _normal(stream)
        v = (1.0 + c * x) ** 3
        if v > 0.0 and log(_unit(stream)) < 0.5 * x * x + d - d * v + d * log(v):
            return d * v


@njit(cache=True, nogil=True)
def share_out(expected, totals, seed, first, count):
    """Share totals out over cells in proportion to what is expected: ``(n_cells, n_totals, count)`` float32.

    Each column of ``expected`` (n_cells, n_totals) has a total of its own.
    """
    n, columns = expected.shape
    out = np.zeros((n, columns, count), np.float32)
    stream = np.empty(1, np.uint64)
    rest = np.zeros((n + 1, columns))
    for i in range(n - 1, -1, -1):
        for t in range(columns):
            rest[i, t] = rest[i + 1, t] + expected[i, t]
    for m in range(count):
        stream[0] = _key(seed, first + m)
        for t in range(columns):
            left = totals[t]
            for i in range(n):
                if left <= 0.0:
                    break
                share = expected[i, t] / rest[i, t] if rest[i + 1, t] > 0.0 else 1.0
                k = binomial(stream, left, share) if expected[i, t] > 0.0 else 0.0
                out[i, t, m] = k
                left -= k
    return out


@njit(cache=True, nogil=True)
def share_out_among(size, totals, seed, first, count):
    """Give totals of events to different people of cells of some size: as `share_out`, of ``size``."""
    n, columns = size.shape
    out = np.zeros((n, columns, count), np.float32)
    stream = np.empty(1, np.uint64)
    for m in range(count):
        stream[0] = _key(seed, first + m)
        for t in range(columns):
            left, rest = totals[t], size[:, t].sum()
            for i in range(n):
                rest -= size[i, t]
                k = among(stream, size[i, t], rest, left)
                out[i, t, m] = k
                left -= k
    return out


@njit(cache=True, nogil=True)
def _luck(stream, share, wide, out_of):
    """Draw what an area's true rate is times what is expected (``out_of``: its true share)."""
    if not out_of:
        return wide * gamma(stream, 1.0 / wide) if wide > 0.0 else 1.0
    if wide > 0.0 and 0.0 < share < 1.0:
        strength = (1.0 - wide) / wide
        a, b = gamma(stream, share * strength), gamma(stream, (1.0 - share) * strength)
        return a / (a + b) if a + b > 0.0 else share
    return share


@njit(cache=True, nogil=True)
def scatter(expected, size, spread, times, out_of, seed, first):
    """Draw counts around what is expected, of true rates that last: ``(n_areas, n_periods, count)`` float32.

    Negative binomial with variance ``mean + spread mean^2``; with ``out_of``, beta-binomial with
    correlation ``spread`` out of ``size``. Replicate m has ``times[m]`` times that spread. An area's true
    rate is drawn once for all its periods: where share or spread differ between them, each period's is made
    of the same random numbers, so they rise and fall together.
    """
    n, periods = expected.shape
    out = np.zeros((n, periods, times.size), np.float32)
    stream, again = np.empty(1, np.uint64), np.empty(1, np.uint64)
    for m in range(times.size):
        stream[0] = _key(seed, first + m)
        for i in range(n):
            start, luck, share_before, wide_before = _key(stream[0], i), 1.0, -1.0, -1.0
            for t in range(periods):
                mean, wide = expected[i, t], times[m] * spread[i, t]
                share = min(mean / size[i, t], 1.0) if out_of and size[i, t] > 0.0 else 0.0
                if share != share_before or wide != wide_before:
                    again[0] = start
                    luck = _luck(stream if periods == 1 else again, share, wide, out_of)
                    share_before, wide_before = share, wide
                out[i, t, m] = binomial(stream, size[i, t], luck) if out_of else poisson(stream, mean * luck)
    return out
