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
def standardize(values):
    """Bring a column to mean 0 and standard deviation 1, NaN to 0; returns it, the mean and the deviation."""
    count, total, squares, rest, unit = 0, 0.0, 0.0, 0.0, 0.0
    for v in values:
        if not np.isnan(v):
            unit = max(unit, abs(v))
    unit = unit if unit > 0.0 else 1.0
    for v in values:
        if not np.isnan(v):
            count += 1
            total += v / unit
    mean = total / max(count, 1)
    for v in values:
        if not np.isnan(v):
            rest += v / unit - mean
            squares += (v / unit - mean) * (v / unit - mean)
    mean += rest / max(count, 1)
    spread = np.sqrt(squares / max(count, 1))
    if not spread > 1e-12 * abs(mean):
        spread = 1.0
    out = np.zeros(values.size)
    for i in range(values.size):
        if not np.isnan(values[i]):
            out[i] = (values[i] / unit - mean) / spread
    return out, mean * unit, spread * unit


@njit(cache=True, nogil=True)
def restrict(indptr, indices, data, valid, own):
    """Keep the weights between valid areas, each row scaled so that its largest weight is 1.

    ``own`` holds the weights of the areas themselves, which stay outside the rows but count for the
    scale and the power sums. Rows whose weights are all the same are ``even``, and exactly 1.

    Returns ``indptr, indices, data, scale, even, sums``; ``sums[r - 1]`` is the sum of the scaled
    weights to the power ``r`` up to 4. What needs no change is not copied.
    """
    n, whole = valid.size, valid.all()
    kept_ptr = np.zeros(n + 1, np.int64)
    scale, even, sums = np.ones(n), np.ones(n, np.bool_), np.zeros((4, n))
    plain = whole
    for i in range(n):
        kept = 0
        if valid[i]:
            largest, low, high = abs(own[i]), np.inf, -np.inf
            for spot in range(indptr[i], indptr[i + 1]):
                if whole or valid[indices[spot]]:
                    w = data[spot]
                    largest, low, high = max(largest, abs(w)), min(low, w), max(high, w)
                    kept += 1
            if own[i] != 0.0:
                low, high = min(low, own[i]), max(high, own[i])
            scale[i] = largest if largest > 0.0 else 1.0
            even[i] = not high - low > 1e-12 * abs(high) and not high < 0.0
            plain &= even[i] and scale[i] == 1.0
            for r in range(4):
                sums[r, i] = kept + (own[i] != 0.0)
        kept_ptr[i + 1] = kept_ptr[i] + kept
    if plain:
        return kept_ptr, indices, data, scale, even, sums
    kept_indices, kept_data = np.empty(kept_ptr[n], indices.dtype), np.ones(kept_ptr[n])
    for i in range(n):
        if not valid[i]:
            continue
        at = kept_ptr[i]
        for spot in range(indptr[i], indptr[i + 1]):
            if whole or valid[indices[spot]]:
                kept_indices[at] = indices[spot]
                if not even[i]:
                    kept_data[at] = data[spot] / scale[i]
                at += 1
        if not even[i]:
            w = own[i] / scale[i]
            for r in range(4):
                sums[r, i] = w ** (r + 1)
                for spot in range(kept_ptr[i], kept_ptr[i + 1]):
                    sums[r, i] += kept_data[spot] ** (r + 1)
    return kept_ptr, kept_indices, kept_data, scale, even, sums


@njit(cache=True, nogil=True)
def lag(indptr, indices, data, x, own):
    """Weighted sum over the neighbours, and over the area itself with its own weight."""
    out = np.empty(x.size)
    for i in range(x.size):
        total = own[i] * x[i]
        for spot in range(indptr[i], indptr[i + 1]):
            total += data[spot] * x[indices[spot]]
        out[i] = total
    return out


@njit(cache=True, nogil=True)
def squared_differences(indptr, indices, data, x):
    """Weighted sum of squared differences from the neighbours."""
    out = np.empty(x.size)
    for i in range(x.size):
        total = 0.0
        for spot in range(indptr[i], indptr[i + 1]):
            apart = x[indices[spot]] - x[i]
            total += data[spot] * apart * apart
        out[i] = total
    return out


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
        for m in range(count):
            sums[s, m] = running[m]
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
def shelves(ordered):
    """Index sorted lines: where each shelf of values starts, and the scale of the shelves."""
    lines, count = ordered.shape
    starts = np.empty((lines, _SHELVES + 1), np.int64)
    scales = np.zeros(lines)
    for s in range(lines):
        line = ordered[s]
        width = line[count - 1] - line[0]
        scales[s] = _SHELVES / width if width > 0.0 else 0.0
        begun = 0
        for m in range(count):
            shelf = _shelf(line[m], line[0], scales[s])
            while begun <= shelf:
                starts[s, begun] = m
                begun += 1
        for b in range(begun, _SHELVES + 1):
            starts[s, b] = count
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
def lag_counts(
    x,
    lags,
    areas,
    row,
    sizes,
    sums,
    ordered,
    starts,
    scales,
    pool,
    indptr,
    draw,
    place,
    tol,
    total,
    above,
    below,
):
    """Add to ``above`` and ``below`` how many null sums lie there, seen from each area's lag; ties in both.

    ``row`` is the line of ``sums`` and ``ordered`` (the same, each line sorted, see `shelves`) that belongs
    to each of ``areas``. With ``total`` the area itself may be drawn (total null); without, the
    draws that hold it give it back and take the next position of their stream (conditional null).
    """
    count = pool.shape[1]
    for at in range(areas.size):
        i, s = areas[at], row[at]
        low, high = lags[i] - tol, lags[i] + tol
        line = ordered[s]
        le = _first_at_least(line, low, starts[s], scales[s])
        ge = count - le
        if le < count and line[le] <= high:  # ties
            le = _first_at_least(line, np.nextafter(high, np.inf), starts[s], scales[s])
        if not total:
            k = sizes[s]
            for spot in range(indptr[i], indptr[i + 1]):
                if place[spot] >= k:  # an area's places ascend
                    break
                m = draw[spot]
                shared = sums[s, m]
                mended = shared - x[i] + x[pool[k, m]]
                ge += np.int64(mended >= low) - np.int64(shared >= low)
                le += np.int64(mended <= high) - np.int64(shared <= high)
        above[i] += ge
        below[i] += le


@njit(cache=True, nogil=True)
def geary_counts(x, apart, areas, row, sizes, sums, squares, pool, indptr, draw, place, tol, above, below):
    """Count as `lag_counts` does, for sums of squared differences from each area's own value.

    The sum over a draw is the sum of squares - 2 x the sum + size x square of the own value, so areas with
    equally many neighbours share both sums.
    """
    count = pool.shape[1]
    for at in range(areas.size):
        i, s = areas[at], row[at]
        k, twice = sizes[s], 2.0 * x[i]
        here = apart[i] - k * x[i] * x[i]
        low, high = here - tol, here + tol
        first, second = sums[s], squares[s]
        ge = le = 0
        for m in range(count):
            q = second[m] - twice * first[m]
            ge += q >= low
            le += q <= high
        for spot in range(indptr[i], indptr[i + 1]):
            if place[spot] >= k:
                break
            m = draw[spot]
            new = x[pool[k, m]]
            shared = second[m] - twice * first[m]
            mended = shared + x[i] * x[i] + new * (new - twice)
            ge += np.int64(mended >= low) - np.int64(shared >= low)
            le += np.int64(mended <= high) - np.int64(shared <= high)
        above[i] += ge
        below[i] += le


LAG, TOTAL_LAG, GEARY = 0, 1, 2
_TILE = 256


@njit(cache=True, nogil=True)
def direct_counts(
    x, here, indptr, weights, own, areas, pool, hold_ptr, draw, place, tol, statistic, above, below
):
    """Count as `lag_counts` and `geary_counts` do, row by row, for areas whose weights are unequal.

    A row's weights meet the stream in their own order; in the total null the area's own weight comes last.
    """
    length, count = pool.shape
    tile, sums, row = np.empty((length, _TILE)), np.empty(_TILE), np.empty(length + 1)
    for start in range(0, count, _TILE):
        width = min(_TILE, count - start)
        for t in range(length):
            for m in range(width):
                tile[t, m] = x[pool[t, start + m]]
        for at in range(areas.size):
            i = areas[at]
            k = _row(indptr[i], indptr[i + 1], weights, own[i], statistic, row)
            _tile_sums(row, k, tile, width, x[i], statistic, sums)
            low, high = here[i] - tol, here[i] + tol
            ge = le = 0
            for m in range(width):
                ge += sums[m] >= low
                le += sums[m] <= high
            above[i] += ge
            below[i] += le
    if statistic == TOTAL_LAG:
        return
    for at in range(areas.size):
        i = areas[at]
        k = _row(indptr[i], indptr[i + 1], weights, own[i], statistic, row)
        low, high = here[i] - tol, here[i] + tol
        for spot in range(hold_ptr[i], hold_ptr[i + 1]):
            if place[spot] >= k:  # an area's places ascend
                break
            shared = _draw_sum(row, k, x, pool, draw[spot], k, x[i], statistic)
            mended = _draw_sum(row, k, x, pool, draw[spot], place[spot], x[i], statistic)
            above[i] += np.int64(mended >= low) - np.int64(shared >= low)
            below[i] += np.int64(mended <= high) - np.int64(shared <= high)


@njit(cache=True, nogil=True)
def _row(start, end, weights, own, statistic, row):
    """Put the weights of a row into ``row``, the own one last in the total null; returns how many."""
    k = end - start
    for t in range(k):
        row[t] = weights[start + t]
    if statistic == TOTAL_LAG:
        row[k] = own
        k += 1
    return k


@njit(cache=True, nogil=True)
def _tile_sums(row, k, tile, width, centre, statistic, sums):
    """Weighted sums of one row over a tile of draws, four positions at a time."""
    for m in range(width):
        sums[m] = 0.0
    for t in range(0, k, 4):
        if t + 4 > k:
            for u in range(t, k):
                w, a = row[u], tile[u]
                for m in range(width):
                    sums[m] += _term(w, a[m], centre, statistic)
            continue
        w, v, y, z = row[t], row[t + 1], row[t + 2], row[t + 3]
        a, b, c, d = tile[t], tile[t + 1], tile[t + 2], tile[t + 3]
        for m in range(width):
            one = _term(w, a[m], centre, statistic) + _term(v, b[m], centre, statistic)
            other = _term(y, c[m], centre, statistic) + _term(z, d[m], centre, statistic)
            sums[m] += one + other


@njit(cache=True, nogil=True)
def _term(weight, value, centre, statistic):
    """What one position adds to a sum."""
    if statistic == GEARY:
        return weight * (value - centre) * (value - centre)
    return weight * value


@njit(cache=True, nogil=True)
def _draw_sum(row, k, x, pool, m, skipped, centre, statistic):
    """Weighted sum of one row over one draw without position ``skipped``, to the bit as `_tile_sums` adds."""
    total, four = 0.0, np.zeros(4)
    for t in range(0, k, 4):
        for u in range(t, min(t + 4, k)):
            at = u + 1 if u >= skipped else u
            four[u - t] = _term(row[u], x[pool[at, m]], centre, statistic)
        if t + 4 > k:
            for u in range(t, k):
                total += four[u - t]
        else:
            total += (four[0] + four[1]) + (four[2] + four[3])
    return total
