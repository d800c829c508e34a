"""One pool of draws that serves every area, column and detector.

Draw ``m`` is an endless stream of distinct positions, made by a counter-based generator that is
keyed by (seed, m). A sample of ``k`` areas is a prefix of the stream, so areas with equally many
neighbours share their null sums. The conditional null of area ``i`` is the same stream with ``i``
skipped: only the few draws that hold ``i`` in their prefix differ from the shared sums, and those
are mended one by one.
"""

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)
_TO_UNIT = 2.0**-53


@njit(cache=True, nogil=True)
def _mix(state):
    """Finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2714064.2660195)."""
    state = (state ^ (state >> _S30)) * _MIX_1
    state = (state ^ (state >> _S27)) * _MIX_2
    return state ^ (state >> _S31)


@njit(cache=True, nogil=True)
def draw_pool(seed, first, count, valid, length):
    """Draw distinct valid positions: ``(length, count)`` int32, one draw a column.

    Draws ``first .. first + count - 1`` of the stream of ``seed``; positions that are not valid are
    passed over, so a column with missing values takes the first positions that it has values for.
    """
    n = valid.size
    pool = np.empty((length, count), np.int32)
    seen = np.full(n, -1, np.int64)
    key = _mix(np.uint64(seed) + _GOLDEN)
    for m in range(count):
        state = _mix(key ^ _mix(np.uint64(first + m) + _GOLDEN))
        got = 0
        while got < length:
            state += _GOLDEN
            position = np.int64(np.float64(_mix(state) >> _S11) * _TO_UNIT * n)
            if seen[position] == m:
                continue
            seen[position] = m
            if valid[position]:
                pool[got, m] = position
                got += 1
    return pool


@njit(cache=True, nogil=True)
def holders(pool, n):
    """Say for each position which draws hold it, and where: CSR of ``(indptr, draw, place)``."""
    length, count = pool.shape
    indptr = np.zeros(n + 1, np.int64)
    for t in range(length):
        for m in range(count):
            indptr[pool[t, m] + 1] += 1
    for i in range(n):
        indptr[i + 1] += indptr[i]
    free = indptr[:-1].copy()
    draw = np.empty(indptr[-1], np.int32)
    place = np.empty(indptr[-1], np.int32)
    for t in range(length):
        for m in range(count):
            spot = free[pool[t, m]]
            draw[spot] = m
            place[spot] = t
            free[pool[t, m]] = spot + 1
    return indptr, draw, place


@njit(cache=True, nogil=True)
def prefix_sums(values, pool, sizes):
    """Sum the first ``size`` values of every draw: ``(n_sizes, count)``; sizes ascend."""
    count = pool.shape[1]
    sums = np.empty((sizes.size, count))
    running = np.zeros(count)
    taken = 0
    for s in range(sizes.size):
        while taken < sizes[s]:
            for m in range(count):
                running[m] += values[pool[taken, m]]
            taken += 1
        sums[s] = running
    return sums


_SHELVES = 1024


@njit(cache=True, nogil=True)
def _shelf(value, lowest, scale):
    """Shelf of a value; a larger value is never on a lower shelf."""
    place = (value - lowest) * scale
    if not place > 0.0:
        return 0
    return np.int64(place) if place < _SHELVES else _SHELVES - 1


@njit(cache=True, nogil=True)
def _shelves(ordered):
    """Index sorted lines: where each shelf of values starts, and the scale of the shelves."""
    lines, count = ordered.shape
    starts = np.zeros((lines, _SHELVES + 1), np.int64)
    scales = np.zeros(lines)
    for s in range(lines):
        line = ordered[s]
        width = line[count - 1] - line[0]
        scales[s] = _SHELVES / width if width > 0.0 else 0.0
        for m in range(count):
            starts[s, _shelf(line[m], line[0], scales[s]) + 1] += 1
        for b in range(_SHELVES):
            starts[s, b + 1] += starts[s, b]
    return starts, scales


@njit(cache=True, nogil=True)
def _first_at_least(line, value, start, scale):
    """Position of the first element of a sorted line that is at least ``value``."""
    b = _shelf(value, line[0], scale)
    low, high = start[b], start[b + 1]
    while low < high:
        half = (low + high) >> 1
        if line[half] < value:
            low = half + 1
        else:
            high = half
    return low


@njit(cache=True, nogil=True)
def shared_counts(values, lags, sizes, row, sums, ordered, pool, indptr, draw, place, tol, own):
    """Count the null sums at or above, and at or below, each area's lag.

    ``row[i]`` is the line of ``sums`` and ``ordered`` (the same, each line sorted) that belongs to
    area ``i``, or -1 for none. With ``own`` the area itself may be drawn (total null); without, the
    draws that hold it give it back and take the next position of their stream (conditional null).
    """
    n, count = lags.size, pool.shape[1]
    above = np.zeros(n, np.int64)
    below = np.zeros(n, np.int64)
    starts, scales = _shelves(ordered)
    for i in range(n):
        s = row[i]
        if s < 0:
            continue
        low, high = lags[i] - tol, lags[i] + tol
        line = ordered[s]
        le = _first_at_least(line, low, starts[s], scales[s])
        ge = count - le
        if le < count and line[le] <= high:  # ties
            le = _first_at_least(line, np.nextafter(high, np.inf), starts[s], scales[s])
        if not own:
            k = sizes[s]
            for spot in range(indptr[i], indptr[i + 1]):
                if place[spot] >= k:
                    continue
                m = draw[spot]
                shared = sums[s, m]
                mended = shared - values[i] + values[pool[k, m]]
                ge += np.int64(mended >= low) - np.int64(shared >= low)
                le += np.int64(mended <= high) - np.int64(shared <= high)
        above[i] = ge
        below[i] = le
    return above, below


@njit(cache=True, nogil=True)
def direct_counts(values, lags, indptr, weights, own_weights, todo, pool, hold_ptr, draw, place, tol, own):
    """Count as `shared_counts` does, for the rows of ``todo``, whose weights are unequal.

    A row's weights meet the stream in their own order; with ``own`` the area's own weight comes last.
    """
    count = pool.shape[1]
    above = np.zeros(todo.size, np.int64)
    below = np.zeros(todo.size, np.int64)
    total = np.empty(count)
    for spot_i in range(todo.size):
        i = todo[spot_i]
        start, k = indptr[i], indptr[i + 1] - indptr[i]
        total[:] = 0.0
        for t in range(k):
            w = weights[start + t]
            for m in range(count):
                total[m] += w * values[pool[t, m]]
        if own:
            for m in range(count):
                total[m] += own_weights[i] * values[pool[k, m]]
        else:
            for spot in range(hold_ptr[i], hold_ptr[i + 1]):
                if place[spot] < k:
                    m = draw[spot]
                    total[m] = 0.0
                    for t in range(k):
                        ahead = t + 1 if t >= place[spot] else t
                        total[m] += weights[start + t] * values[pool[ahead, m]]
        low, high = lags[i] - tol, lags[i] + tol
        ge = le = 0
        for m in range(count):
            ge += total[m] >= low
            le += total[m] <= high
        above[spot_i] = ge
        below[spot_i] = le
    return above, below
