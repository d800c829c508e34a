"""Clusters that are grown over a graph: from each area the neighbour that adds most, again and again."""

from math import inf, log

import numpy as np
from numba import njit

_SAFE = 1e-9
"""Screens give way by this much, so that rounding never hides a neighbour."""


@njit(cache=True, nogil=True)
def _part(c, e):
    return c * log(c / e) if c > 0.0 else 0.0


@njit(cache=True, nogil=True)
def ratio(c, e, total, people, side):
    """Log likelihood ratio (Kulldorff 1997) of a cluster on one side of what is expected, 0 on the other.

    ``c`` events where ``e`` are expected, of ``total`` in all; ``people`` that can have one (inf: Poisson).
    """
    if side * (c - e) <= 0.0:
        return 0.0
    rest = max(total - c, 0.0)
    found = _part(c, e) + _part(rest, total - e)
    if people < inf:
        free, due = people - total, e * (people - total) / total
        found += _part(max(due + e - c, 0.0), due) + _part(max(free - (due + e - c), 0.0), free - due)
    return max(found, 0.0)


@njit(cache=True, nogil=True)
def _bounds(c, e, waiting, edge, total, people, bound):
    """Bound the log likelihood ratio with each neighbour that waits, without a logarithm: log x <= x - 1."""
    log_now, inverse = log(c / e) - 1.0, e / c
    for w in range(waiting):
        c_new, e_new = c + edge[0, w], e + edge[1, w]
        away = c_new - e_new
        bound[w] = away * (away / (total - e_new) - 1.0) + c_new * (log_now + c_new * inverse / e_new)
    if people < inf:
        odds = (people - total) / total
        for w in range(waiting):
            away, due = c + edge[0, w] - e - edge[1, w], (e + edge[1, w]) * odds
            bound[w] += away * away * (1.0 / due + 1.0 / (people - total - due))


@njit(cache=True, nogil=True)
def _choose(c, e, whole, cut, waiting, edge, names, side, limits, bound):
    """Find the neighbour with which the score is highest: the score, and its place among those that wait."""
    total, people, _, most_size, price, factor = limits
    if c > 0.0:
        _bounds(c, e, waiting, edge, total, people, bound)
    else:
        bound[:waiting] = inf
    first, top = -1, -inf
    for w in range(waiting):
        if whole + edge[2, w] > most_size or e + edge[1, w] >= total:
            bound[w] = -inf
            continue
        bound[w] = factor * (bound[w] + _SAFE * (1.0 + abs(bound[w]))) - price * (cut + edge[3, w])
        if bound[w] > top:
            first, top = w, bound[w]
    score, place = -inf, -1
    for w in range(-1, waiting):
        at = first if w < 0 else w
        if at < 0 or bound[at] < score or bound[at] == -inf or at == place:
            continue
        found = factor * ratio(c + edge[0, at], e + edge[1, at], total, people, side)
        found -= price * (cut + edge[3, at])
        if found > score or (found == score and names[at] < names[place]):
            score, place = found, at
    return score, place


@njit(cache=True, nogil=True)
def _spread(j, figures, graph, closed, marks, near, waiting, edge, names):
    """Put the neighbours of an area that came in among those that wait, or count one more link to them."""
    seen, due, _, size = figures
    indptr, indices = graph
    mark, slot = marks
    for at in range(indptr[j], indptr[j + 1]):
        k = indices[at]
        if mark[k] == near:
            edge[3, slot[k]] -= 2.0
        elif mark[k] < near and not closed[k]:
            mark[k], slot[k], names[waiting] = near, waiting, k
            edge[0, waiting], edge[1, waiting], edge[2, waiting] = seen[k], due[k], size[k]
            edge[3, waiting] = indptr[k + 1] - indptr[k] - 2.0
            waiting += 1
    return waiting


@njit(cache=True, nogil=True)
def grow(start, side, figures, limits, graph, closed, marks, room, members):
    """Grow a cluster from one area: its best score, and how many ``members`` it has then.

    Of all neighbours of the cluster that fit in, the one with which the score is highest comes in, of
    equal ones the first; the cluster is what it was when its score was highest (-inf: never allowed). The
    score is the log likelihood ratio less ``price`` for each link between the cluster and an area outside.

    Parameters
    ----------
    side
        1 for more than expected, -1 for less.
    figures
        Events, what is expected, the same unweighted, and size, shape (n_areas,) each.
    limits
        Events in all; people in all (inf: Poisson); events that a high cluster needs; largest size; price;
        and what likelihood ratios are multiplied by.
    graph
        ``(indptr, indices)`` of neighbours, links in both directions.
    closed
        Areas that may not come in.
    marks, room
        Room for notes, see `rooms`; marks are below ``2 start``.
    members
        Room for as many as a cluster may have.
    """
    seen, due, raw, size = figures
    _, _, least, _, price, factor = limits
    mark, slot = marks
    edge, bound, names = room
    near = 2 * start
    c, e, plain, whole = seen[start], due[start], raw[start], size[start]
    cut = float(graph[0][start + 1] - graph[0][start])
    score = factor * ratio(c, e, limits[0], limits[1], side) - price * cut
    best, best_count, waiting, count, j = -inf, 0, 0, 0, start
    while True:
        members[count], mark[j] = j, near + 1
        count += 1
        if score > best and (side < 0.0 or c * plain >= least * e * (1.0 - 1e-6)):
            best, best_count = score, count
        if count == members.size:
            return best, best_count
        waiting = _spread(j, figures, graph, closed, marks, near, waiting, edge, names)
        score, place = _choose(c, e, whole, cut, waiting, edge, names, side, limits, bound)
        if place < 0:
            return best, best_count
        j = names[place]
        c, e, plain, whole = c + seen[j], e + due[j], plain + raw[j], whole + size[j]
        cut += edge[3, place]
        waiting -= 1
        names[place] = names[waiting]
        slot[names[place]] = place
        for row in range(4):
            edge[row, place] = edge[row, waiting]


@njit(cache=True, nogil=True)
def rooms(n):
    """Make the room for notes that `grow` needs: marks and places; figures, bounds and names in wait."""
    marks = np.full(n, -1, np.int64), np.empty(n, np.int64)
    return marks, (np.empty((4, n)), np.empty(n), np.empty(n, np.int64))


@njit(cache=True, nogil=True)
def scores(figures, limits, graph, closed, most_areas, sides, best):
    """Find the best score of a cluster from each area: fills ``best``, shape (2, n_areas), high and low.

    Clusters start from areas that deviate to that side themselves.
    """
    seen, due, _, size = figures
    marks, room = rooms(closed.size)
    members = np.empty(most_areas, np.int64)
    for row in range(2):
        best[row, :] = -inf
        marks[0][:] = -1
        side = 1.0 - 2.0 * row
        for start in range(closed.size if sides[row] else 0):
            apart = side * (seen[start] - due[start]) > 0.0 and not closed[start]
            if apart and 0.0 < due[start] < limits[0] and size[start] <= limits[3]:
                found = grow(start, side, figures, limits, graph, closed, marks, room, members)
                best[row, start] = found[0]


@njit(cache=True, nogil=True)
def largest(counts, figures, limits, graph, closed, most_areas, sides):
    """Find the highest score on a map with these ``counts``, shape (n_areas,), in the place of the events."""
    best, seen = np.empty((2, counts.size)), counts.astype(np.float64)
    scores((seen, figures[1], figures[2], figures[3]), limits, graph, closed, most_areas, sides, best)
    return best.max()
