"""The largest likelihood ratio among windows, of many replicates side by side.

Lists of windows are those of `windows`. Counts of all replicates stand side by side in the innermost loop,
which only compares excesses with a screen; logarithms are for what may be a replicate's largest.
"""

from math import inf, log, sqrt

import numpy as np
from numba import njit

_BINS = 2048
_SAFE = 0.999
"""Screens give way by this much, so that rounding in single precision never hides a window."""


@njit(cache=True, nogil=True)
def _part(c, e):
    return c * log(c / e) if c > 0.0 and e > 0.0 else 0.0


@njit(cache=True, nogil=True)
def likelihood_ratio(c, e, total, people):
    """Log likelihood ratio of one window (Kulldorff 1997, doi:10.1080/03610929708831995).

    ``c`` events where ``e`` are expected, of ``total`` in all; ``people`` that can have one (inf: Poisson).
    """
    rest = total - c
    if rest < 0.0:
        rest = 0.0
    found = _part(c, e) + _part(rest, total - e)
    if people < inf:
        free, due = people - total, e * (people - total) / total
        found += _part(due + e - c, due) + _part(free - (due + e - c), free - due)
    return max(found, 0.0)


@njit(cache=True, nogil=True)
def _excess(e, total, people, level, sign, most):
    """Least excess over ``e``, up to ``most``, with that likelihood ratio."""
    low, high = 0.0, most
    for _ in range(60):
        middle = 0.5 * (low + high)
        if likelihood_ratio(e + sign * middle, e, total, people) < level:
            low = middle
        else:
            high = middle
        if high - low < 1e-4 * high:
            break
    return low


@njit(cache=True, nogil=True)
def _beyond(e, total, people, level, ceiling, sign):
    """What an excess over ``e`` must be beyond, see `thresholds`; inf where it cannot reach the level."""
    most = total - e if sign > 0.0 else e
    if people < inf:
        due = e * (people - total) / total
        most = min(most, due if sign > 0.0 else people - total - due)
    top = likelihood_ratio(e + sign * most, e, total, people) if most > 0.0 else 0.0
    if top < level:
        return inf
    last = min(ceiling, top)
    return min(
        _excess(e, total, people, level, sign, most) / sqrt(level),
        _excess(e, total, people, last, sign, most) / sqrt(last),
    )


@njit(cache=True, nogil=True)
def thresholds(total, people, level, ceiling, high, low):
    """Table over the square root of ``e / total`` of what an excess must be beyond: ``(2, n_bins)``.

    A window reaches a likelihood ratio ``m`` between ``level`` and ``ceiling`` only where its excess is at
    least the entry times the root of ``m``. The second derivative of the ratio is convex in the count, so
    excess over root is least at one of the two ends. Row 0 is for high, row 1 for low windows.
    """
    table = np.full((2, _BINS), inf)
    wanted = (high, low)
    for row in range(2):
        if wanted[row]:
            sign, before = 1.0 - 2.0 * row, 0.0
            for b in range(_BINS):
                after = 0.0
                if b + 1 < _BINS:
                    after = _beyond(total * ((b + 1) / _BINS) ** 2, total, people, level, ceiling, sign)
                entry = min(before, after)
                if (before == inf) != (after == inf):
                    entry = min(entry, _brink(b, total, people, level, ceiling, sign, before == inf))
                table[row, b] = _SAFE * entry
                before = after
    return table


@njit(cache=True, nogil=True)
def _brink(b, total, people, level, ceiling, sign, upper):
    """What it must be beyond where windows begin (``upper``: above there) to reach the level at all."""
    low, high = total * (b / _BINS) ** 2, total * ((b + 1) / _BINS) ** 2
    for _ in range(50):
        middle = 0.5 * (low + high)
        if (_beyond(middle, total, people, level, ceiling, sign) == inf) == upper:
            low = middle
        else:
            high = middle
    return _beyond(high if upper else low, total, people, level, ceiling, sign)


@njit(cache=True, nogil=True)
def _bin(e, total):
    return min(int(sqrt(max(e, 0.0) / total) * _BINS), _BINS - 1)


@njit(cache=True, nogil=True)
def maxima(
    indptr,
    members,
    counts,
    due,
    raw,
    first,
    end,
    total,
    people,
    least,
    high,
    low,
    factor,
    table,
    ceiling,
    largest,
):
    """Raise the largest likelihood ratios of replicates by those of a list of windows.

    Parameters
    ----------
    indptr, members
        See `windows.nearest`.
    counts
        Running sums over periods, shape (n_areas, n_periods, n_replicates), float32.
    due, raw
        Expected, and the same unweighted, as running sums; shape (n_areas, n_periods).
    first, end
        Each window is tried over periods ``first`` to before ``end``.
    total, people
        See `likelihood_ratio`.
    least
        Events that a high window needs, in the unit of ``raw``.
    high, low
        Which windows count.
    factor
        What likelihood ratios are multiplied by.
    table
        See `thresholds`, for a level that all of ``largest / factor`` reach.
    ceiling
        Highest level of the table.
    largest
        Shape (n_replicates,); changed.
    """
    times, width = counts.shape[1], counts.shape[2]
    sums, margin = np.empty((times, width), np.float32), np.empty(width, np.float32)
    bar = np.sqrt(np.minimum(largest / factor, ceiling)).astype(np.float32)
    for c in range(indptr.size - 1):
        sums[:] = 0.0
        margin[:] = -1.0
        start, stop = indptr[c], indptr[c + 1]
        if first.size > 1:
            _in_time(
                members, start, stop, counts, due, raw, first, end, total, least, table, bar, sums, margin
            )
        else:
            _one_time(members, start, stop, counts, due, raw, total, least, low, table, bar, sums, margin)
        for r in range(width):
            if margin[r] < 0.0:
                continue
            found = _largest(
                members, start, stop, counts, r, due, raw, first, end, total, people, least, high, low, table,
                bar[r],
            )  # fmt: skip
            if factor * found > largest[r]:
                largest[r], bar[r] = factor * found, np.float32(sqrt(min(found, ceiling)))


@njit(cache=True, nogil=True)
def _least_excess(e, plain, least):
    """Excess that a high window needs for its least number of events."""
    return np.float32(least * e / plain * _SAFE - e if plain > 0.0 else inf)


@njit(cache=True, nogil=True)
def _one_time(members, start, stop, counts, due, raw, total, least, low, table, bar, sums, margin):
    """Keep by how much excess (or lack) of replicates goes beyond what it must, in windows of one period."""
    e, plain, width, t = 0.0, 0.0, margin.size, counts.shape[1] - 1
    for k in range(start, stop):
        j = members[k]
        inside = j < 0
        if inside:
            j = ~j
        e += due[j, t]
        plain += raw[j, t]
        if inside:
            for r in range(width):
                sums[0, r] += counts[j, t, r]
            continue
        needed, mid, b = _least_excess(e, plain, least), np.float32(e), _bin(e, total)
        above, below = np.float32(table[0, b]), np.float32(table[1, b])
        if low:
            for r in range(width):
                s = sums[0, r] + counts[j, t, r]
                sums[0, r] = s
                x, y = above * bar[r], mid - s - below * bar[r]
                d = (s - mid) - (x if x > needed else needed)
                d = d if d > y else y
                margin[r] = d if d > margin[r] else margin[r]
        else:
            for r in range(width):
                s = sums[0, r] + counts[j, t, r]
                sums[0, r] = s
                x = above * bar[r]
                d = (s - mid) - (x if x > needed else needed)
                margin[r] = d if d > margin[r] else margin[r]


@njit(cache=True, nogil=True)
def _in_time(members, start, stop, counts, due, raw, first, end, total, least, table, bar, sums, margin):
    """Do the same for every stretch of periods, excess and lack alike."""
    times, width = sums.shape
    e, plain = np.zeros(times), np.zeros(times)
    for k in range(start, stop):
        j = members[k]
        inside = j < 0
        if inside:
            j = ~j
        for t in range(times):
            e[t] += due[j, t]
            plain[t] += raw[j, t]
            for r in range(width):
                sums[t, r] += counts[j, t, r]
        if inside:
            continue
        for g in range(first.size):
            hi, lo = end[g] - 1, first[g] - 1
            here, bare = e[hi], plain[hi]
            if lo >= 0:
                here, bare = here - e[lo], bare - plain[lo]
            needed, mid, b = _least_excess(here, bare, least), np.float32(here), _bin(here, total)
            above, below = np.float32(table[0, b]), np.float32(table[1, b])
            keep, lo = np.float32(1.0 if lo >= 0 else 0.0), max(lo, 0)
            for r in range(width):
                s = sums[hi, r] - keep * sums[lo, r]
                x, y = above * bar[r], mid - s - below * bar[r]
                d = (s - mid) - (x if x > needed else needed)
                d = d if d > y else y
                margin[r] = d if d > margin[r] else margin[r]


@njit(cache=True, nogil=True)
def _largest(
    members, start, stop, counts, r, due, raw, first, end, total, people, least, high, low, table, bar
):
    """Largest likelihood ratio of one replicate among the windows of one centre, of those beyond the bar."""
    times = due.shape[1]
    c, e, plain = np.zeros(times + 1), np.zeros(times + 1), np.zeros(times + 1)
    best = 0.0
    for k in range(start, stop):
        j = members[k]
        inside = j < 0
        if inside:
            j = ~j
        for t in range(times):
            c[t + 1] += counts[j, t, r]
            e[t + 1] += due[j, t]
            plain[t + 1] += raw[j, t]
        if inside:
            continue
        for g in range(first.size):
            lo, hi = first[g], end[g]
            got, here, bare = c[hi] - c[lo], e[hi] - e[lo], plain[hi] - plain[lo]
            row = 0 if got > here else 1
            if abs(got - here) < table[row, _bin(here, total)] * bar * _SAFE:
                continue
            if _counts(got, here, bare, total, least, high, low):
                best = max(best, likelihood_ratio(got, here, total, people))
    return best


@njit(cache=True, nogil=True)
def _counts(got, here, bare, total, least, high, low):
    """Tell whether a window is high or low enough to be one."""
    if here <= 0.0 or here >= total * (1.0 - 1e-12):
        return False
    return (high and got > here and got * bare >= least * here * (1.0 - 1e-6)) or (low and got < here)


@njit(cache=True, nogil=True)
def records(indptr, members, reach, seen, due, raw, first, end, total, people, least, high, low, factor):
    """List the windows of each centre that beat all smaller ones of it.

    ``seen``, ``due`` and ``raw`` are running sums, (n_areas, n_periods). Returns centre,
    number of members, reach, likelihood ratio, first period, end, and sign (1 high, -1 low), one row each.
    """
    times = seen.shape[1]
    out = np.empty((256, 7))
    used = 0
    c, e, plain = np.empty(times + 1), np.empty(times + 1), np.empty(times + 1)
    for centre in range(indptr.size - 1):
        c[:] = 0.0
        e[:] = 0.0
        plain[:] = 0.0
        best = 0.0
        for k in range(indptr[centre], indptr[centre + 1]):
            j = members[k]
            inside = j < 0
            if inside:
                j = ~j
            for t in range(times):
                c[t + 1] += seen[j, t]
                e[t + 1] += due[j, t]
                plain[t + 1] += raw[j, t]
            if inside:
                continue
            top = -1
            for g in range(first.size):
                lo, hi = first[g], end[g]
                got, here, bare = c[hi] - c[lo], e[hi] - e[lo], plain[hi] - plain[lo]
                if _counts(got, here, bare, total, least, high, low):
                    found = factor * likelihood_ratio(got, here, total, people)
                    if found > best:
                        best, top = found, g
            if top >= 0:
                if used == out.shape[0]:
                    out = np.concatenate((out, np.empty_like(out)))
                here, got = e[end[top]] - e[first[top]], c[end[top]] - c[first[top]]
                out[used, 0], out[used, 1], out[used, 2] = centre, k + 1 - indptr[centre], reach[k]
                out[used, 3], out[used, 4], out[used, 5] = best, first[top], end[top]
                out[used, 6] = 1.0 if got > here else -1.0
                used += 1
    return out[:used].copy()
