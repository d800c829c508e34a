"""Windows around centres, and the largest likelihood ratio in them of many replicates side by side.

A window's members are a prefix of its centre's list: areas by distance, those at equal distances
together. Lists hold positions as int32; where a window ends the position is as it is, inside a group of
equal distances it is ``~position``. Counts of all replicates stand side by side in the innermost loop.
"""

from math import inf, log, sqrt

import numpy as np
from numba import njit

_TIE = 1e-9
_BINS = 2048
_SAFE = 0.999
"""Screens give way by this much, so that rounding in single precision never hides a window."""


@njit(cache=True, nogil=True)
def distance(points, i, j, turn):
    """Distance in units of the long half axis; ``turn`` holds cosine and sine of it, and the axis ratio."""
    dx, dy = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
    if turn[2] == 1.0:
        return sqrt(dx * dx + dy * dy)
    along, across = turn[0] * dx + turn[1] * dy, (turn[0] * dy - turn[1] * dx) * turn[2]
    return sqrt(along * along + across * across)


@njit(cache=True, nogil=True)
def nearest(points, size, centres, turn, most_size, most_distance):
    """List the members of each centre's windows: ``(indptr, members, reach)``.

    ``reach`` is the distance from the centre. A list ends before the group of equal distances with which
    its size goes beyond ``most_size``.
    """
    n = size.size
    indptr = np.zeros(centres.size + 1, np.int64)
    members, reach = np.empty(1024, np.int32), np.empty(1024)
    away = np.empty(n)
    bins = np.empty(1025)
    used = 0
    for c in range(centres.size):
        i = centres[c]
        far = 0.0
        for j in range(n):
            away[j] = distance(points, i, j, turn)
            far = max(far, away[j])
        far = min(far, most_distance)
        bins[:] = 0.0
        scale = 1023.0 / far if far > 0.0 else 0.0
        for j in range(n):
            if away[j] <= far:
                bins[int(away[j] * scale)] += size[j]
        last, whole = 0, bins[0]
        while last < 1023 and whole <= most_size:
            last += 1
            whole += bins[last]
        near = np.empty(n, np.int64)
        found = 0
        for j in range(n):
            if away[j] <= far and int(away[j] * scale) <= last:
                near[found] = j
                found += 1
        near = near[:found]
        order = near[np.argsort(away[near], kind="mergesort")]
        whole, k = 0.0, 0
        while k < found:
            end = k + 1
            whole += size[order[k]]
            while end < found and away[order[end]] <= away[order[end - 1]] * (1.0 + _TIE):
                whole += size[order[end]]
                end += 1
            if whole > most_size:
                break
            while used + end - k > members.size:
                members = np.concatenate((members, np.empty_like(members)))
                reach = np.concatenate((reach, np.empty_like(reach)))
            for at in range(k, end):
                j = order[at]
                members[used] = j if at == end - 1 else ~j
                reach[used] = away[order[end - 1]]
                used += 1
            k = end
        indptr[c + 1] = used
    return indptr, members[:used].copy(), reach[:used].copy()


@njit(cache=True, nogil=True)
def _part(c, e):
    return c * log(c / e) if c > 0.0 else 0.0


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
        See `nearest`.
    counts
        Sums over the periods before, shape (n_areas, n_periods + 1, n_replicates), float32.
    due, raw
        Expected, and the same unweighted, as sums over the periods before; shape (n_areas, n_periods + 1).
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
    e, plain = np.empty(times), np.empty(times)
    bar = np.sqrt(np.minimum(largest / factor, ceiling)).astype(np.float32)
    for c in range(indptr.size - 1):
        sums[:] = 0.0
        margin[:] = -1.0
        e[:] = 0.0
        plain[:] = 0.0
        for k in range(indptr[c], indptr[c + 1]):
            j = members[k]
            inside = j < 0
            if inside:
                j = ~j
            for t in range(1, times):
                e[t] += due[j, t]
                plain[t] += raw[j, t]
            if inside or first.size > 1:
                _add(sums, counts[j])
            if inside:
                continue
            for g in range(first.size):
                lo, hi = first[g], end[g]
                here, bare = e[hi] - e[lo], plain[hi] - plain[lo]
                needed = least * here / bare * _SAFE - here if bare > 0.0 else inf
                b = _bin(here, total)
                above, below = np.float32(table[0, b]), np.float32(table[1, b])
                needed, mid = np.float32(needed), np.float32(here)
                if first.size > 1:
                    _compare(sums[lo], sums[hi], mid, above, below, needed, low, bar, margin)
                elif low:
                    _add_compare_both(counts[j, 1], mid, above, below, needed, bar, sums[1], margin)
                else:
                    _add_compare(counts[j, 1], mid, above, needed, bar, sums[1], margin)
        span = slice(indptr[c], indptr[c + 1])
        for r in range(width):
            if margin[r] >= 0.0:
                found = _largest(
                    members[span], counts[:, :, r], due, raw, first, end, total, people, least, high, low
                )
                if factor * found > largest[r]:
                    largest[r] = factor * found
                    bar[r] = np.float32(sqrt(min(found, ceiling)))


@njit(cache=True, nogil=True)
def _add(sums, more):
    for t in range(1, sums.shape[0]):
        for r in range(sums.shape[1]):
            sums[t, r] += more[t, r]


@njit(cache=True, nogil=True)
def _add_compare(more, mid, above, needed, bar, sums, margin):
    """Add an area, and keep by how much the excess of each replicate goes beyond what it must."""
    for r in range(sums.size):
        s = sums[r] + more[r]
        sums[r] = s
        t = above * bar[r]
        d = (s - mid) - (t if t > needed else needed)
        margin[r] = d if d > margin[r] else margin[r]


@njit(cache=True, nogil=True)
def _add_compare_both(more, mid, above, below, needed, bar, sums, margin):
    """Do the same, for a lack as well as for an excess."""
    for r in range(sums.size):
        s = sums[r] + more[r]
        sums[r] = s
        t, u = above * bar[r], mid - s - below * bar[r]
        d = (s - mid) - (t if t > needed else needed)
        d = d if d > u else u
        margin[r] = d if d > margin[r] else margin[r]


@njit(cache=True, nogil=True)
def _compare(before, sums, mid, above, below, needed, low, bar, margin):
    """Do the same over some of the periods, of sums that are there."""
    for r in range(sums.size):
        s = sums[r] - before[r]
        t, u = above * bar[r], mid - s - below * bar[r]
        d = (s - mid) - (t if t > needed else needed)
        d = d if d > u else u
        margin[r] = d if d > margin[r] else margin[r]


@njit(cache=True, nogil=True)
def _largest(members, counts, due, raw, first, end, total, people, least, high, low):
    """Largest likelihood ratio of one replicate among the windows of one centre."""
    times = due.shape[1]
    c, e, plain = np.zeros(times), np.zeros(times), np.zeros(times)
    best = 0.0
    for k in range(members.size):
        j = members[k]
        inside = j < 0
        if inside:
            j = ~j
        for t in range(1, times):
            c[t] += counts[j, t]
            e[t] += due[j, t]
            plain[t] += raw[j, t]
        if inside:
            continue
        for g in range(first.size):
            lo, hi = first[g], end[g]
            got, here, bare = c[hi] - c[lo], e[hi] - e[lo], plain[hi] - plain[lo]
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

    ``seen``, ``due`` and ``raw`` are (n_areas, n_periods + 1), sums over the periods before. Returns centre,
    number of members, reach, likelihood ratio, first period, end, and sign (1 high, -1 low), one row each.
    """
    times = seen.shape[1]
    out = np.empty((256, 7))
    used = 0
    c, e, plain = np.empty(times), np.empty(times), np.empty(times)
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
                c[t] += seen[j, t]
                e[t] += due[j, t]
                plain[t] += raw[j, t]
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


@njit(cache=True, nogil=True)
def free_reach(points, centres, turn, taken):
    """Distance from each centre to the nearest of the areas that are taken; inf where none is."""
    out = np.full(centres.size, inf)
    for c in range(centres.size):
        for j in taken:
            out[c] = min(out[c], distance(points, centres[c], j, turn))
    return out
