"""Windows around centres: whom each of them holds.

A window's members are a prefix of its centre's list: areas by distance, those at equal distances
together. Lists hold positions as int32; where a window ends the position is as it is, inside a group of
equal distances it is ``~position``.
"""

from math import inf, sqrt

import numpy as np
from numba import njit

_TIE = 1e-9


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
def free_reach(points, centres, turn, taken):
    """Distance from each centre to the nearest of the areas that are taken; inf where none is."""
    out = np.full(centres.size, inf)
    for c in range(centres.size):
        for j in taken:
            out[c] = min(out[c], distance(points, centres[c], j, turn))
    return out
