"""Points into polygons through a grid: a cell needs a look only at the borders that pass through it.

Coordinates of the grid are in cells. A piece of border is entered in every cell that it comes within
`_MARGIN` of, which is far more than rounding can move it, so that a cell without pieces lies wholly inside
or wholly outside every polygon. In a cell with pieces, what is known is where its reference point lies;
a point lies elsewhere where the straight way to it crosses a border an odd number of times. What rounding
could turn is not answered but marked.
"""

import math

import numpy as np
from numba import njit

OUTSIDE, UNSURE, MIXED = -1, -2, -3

_MARGIN = 1e-5
_DOUBT = 2e-3
_ACROSS, _UP = 0.4837, 0.5219  # reference point of a cell, off the middle, where round coordinates lie
_ROUNDING = 3.3306690738754716e-16  # (3 + 16 e) e of Shewchuk (1997, doi:10.1007/PL00009321)


@njit(cache=True, nogil=True)
def _side(ax, ay, bx, by, px, py):
    """1 or -1: the side of the line from a to b where p lies; 0 where rounding could decide."""
    left, right = (ax - px) * (by - py), (ay - py) * (bx - px)
    turn = left - right
    if abs(turn) <= _ROUNDING * (abs(left) + abs(right)):
        return 0
    return 1 if turn > 0 else -1


@njit(cache=True, nogil=True)
def _span(x1, y1, x2, y2, row):
    """Find the first and last cell of a row that a piece of border comes near."""
    low, high = min(x1, x2), max(x1, x2)
    if abs(y2 - y1) >= 1e-3:
        bottom = min(max(row - _MARGIN, min(y1, y2)), max(y1, y2))
        top = min(max(row + 1 + _MARGIN, min(y1, y2)), max(y1, y2))
        at = x1 + (bottom - y1) / (y2 - y1) * (x2 - x1)
        to = x1 + (top - y1) / (y2 - y1) * (x2 - x1)
        low, high = min(at, to), max(at, to)
    return math.floor(low - _MARGIN), math.floor(high + _MARGIN)


@njit(cache=True, nogil=True)
def enter_pieces(x, y, starts, n_rows, n_columns):
    """Enter every piece of border in the cells that it comes near.

    ``x`` and ``y`` are coordinates in cells, rings one after another; ``starts`` says where each ring
    begins, and ends with their length. Returns ``(indptr, pieces)``, a CSR table from cell to pieces, each
    named by its first vertex, in the order of vertices.
    """
    counts = np.zeros(n_rows * n_columns + 1, np.int64)
    for fill in range(2):
        if fill == 1:
            for cell in range(n_rows * n_columns):
                counts[cell + 1] += counts[cell]
            pieces = np.empty(counts[-1], np.int32)
            at = counts[:-1].copy()
        for ring in range(starts.size - 1):
            for i in range(starts[ring], starts[ring + 1] - 1):
                low = math.floor(min(y[i], y[i + 1]) - _MARGIN)
                high = math.floor(max(y[i], y[i + 1]) + _MARGIN)
                for row in range(low, high + 1):
                    first, last = _span(x[i], y[i], x[i + 1], y[i + 1], row)
                    for cell in range(row * n_columns + first, row * n_columns + last + 1):
                        if fill == 0:
                            counts[cell + 1] += 1
                        else:
                            pieces[at[cell]] = i
                            at[cell] += 1
    return counts, pieces


@njit(cache=True, nogil=True)
def enter_interiors(x, y, starts, owners, n_rows, n_columns):
    """List the polygons that hold the reference point of each cell.

    ``owners`` says whose each ring is, rings of one polygon being together. Returns ``(indptr, polygons)``,
    a CSR table from cell to polygons in ascending order.
    """
    counts = np.zeros(n_rows * n_columns + 1, np.int64)
    polygons = np.empty(0, np.int32)
    at = counts[:0]
    turned = np.zeros(n_rows * (n_columns + 1), np.bool_)
    for fill in range(2):
        if fill == 1:
            for cell in range(n_rows * n_columns):
                counts[cell + 1] += counts[cell]
            polygons = np.empty(counts[-1], np.int32)
            at = counts[:-1].copy()
        ring = 0
        while ring < owners.size:
            owner = owners[ring]
            top, bottom, left, right = -1, n_rows, n_columns, -1
            while ring < owners.size and owners[ring] == owner:
                for i in range(starts[ring], starts[ring + 1] - 1):
                    low, high = min(y[i], y[i + 1]), max(y[i], y[i + 1])
                    left = min(left, math.floor(min(x[i], x[i + 1])))
                    for row in range(math.floor(low), math.floor(high) + 1):
                        if low <= row + _UP < high:
                            share = (row + _UP - y[i]) / (y[i + 1] - y[i])
                            column = math.ceil(x[i] + share * (x[i + 1] - x[i]) - _ACROSS)
                            where = row * (n_columns + 1) + column
                            turned[where] = not turned[where]
                            top, bottom = max(top, row), min(bottom, row)
                            right = max(right, column)
                ring += 1
            for row in range(bottom, top + 1):
                inside = False
                for column in range(left, right + 1):
                    where = row * (n_columns + 1) + column
                    if turned[where]:
                        inside, turned[where] = not inside, False
                    if inside:
                        cell = row * n_columns + column
                        if fill == 0:
                            counts[cell + 1] += 1
                        else:
                            polygons[at[cell]] = owner
                            at[cell] += 1
    return counts, polygons


@njit(cache=True, nogil=True)
def settle(x, y, borders, interiors, n_columns):
    """Answer for whole cells: a polygon, `OUTSIDE`, or `MIXED` where points need a look of their own.

    `UNSURE` where a border comes so near to the reference point that its place is in doubt.
    """
    indptr, pieces = borders
    inside_ptr, polygons = interiors
    answer = np.full(indptr.size - 1, OUTSIDE, np.int32)
    for cell in range(answer.size):
        known = inside_ptr[cell + 1] - inside_ptr[cell]
        if known > 1 or indptr[cell + 1] > indptr[cell]:
            answer[cell] = MIXED
        elif known == 1:
            answer[cell] = polygons[inside_ptr[cell]]
        px, py = cell % n_columns + _ACROSS, cell // n_columns + _UP
        for at in range(indptr[cell], indptr[cell + 1]):
            i = pieces[at]
            dx, dy = x[i + 1] - x[i], y[i + 1] - y[i]
            length = dx * dx + dy * dy
            share = 0.0 if length == 0 else ((px - x[i]) * dx + (py - y[i]) * dy) / length
            share = min(max(share, 0.0), 1.0)
            away = math.hypot(x[i] + share * dx - px, y[i] + share * dy - py)
            if away < _DOUBT:
                answer[cell] = UNSURE
    return answer


@njit(cache=True, nogil=True)
def _crosses(ax, ay, bx, by, rx, ry, px, py):
    """Whether the way from r to p crosses a piece of border: 1 or 0; -1 where rounding could decide."""
    of_r, of_p = _side(ax, ay, bx, by, rx, ry), _side(ax, ay, bx, by, px, py)
    if of_p == 0 or of_r == 0:
        return -1
    if of_r == of_p:
        return 0
    of_a, of_b = _side(rx, ry, px, py, ax, ay), _side(rx, ry, px, py, bx, by)
    if of_a == 0 or of_b == 0:
        return -1
    return 1 if of_a != of_b else 0


@njit(cache=True, nogil=True)
def find_polygons(points_x, points_y, frame, tables, rings):
    """Find the first polygon that each point is inside of, and how many there are.

    Parameters
    ----------
    frame
        ``(left, bottom, side, n_rows, n_columns)`` of the grid.
    tables
        ``(answer, indptr, pieces, indptr, polygons)`` from the functions above.
    rings
        ``(x, y, owner)`` of every vertex, coordinates as they are.

    Returns
    -------
    tuple
        The polygon, `OUTSIDE` where there is none and `UNSURE` where rounding could decide, and the number
        of polygons, shape (n_points,).
    """
    left, bottom, side, n_rows, n_columns = frame
    answer, piece_ptr, pieces, inside_ptr, polygons = tables
    x, y, owner = rings
    found = np.full(points_x.size, OUTSIDE, np.int32)
    number = np.zeros(points_x.size, np.int8)
    for k in range(points_x.size):
        px, py = points_x[k], points_y[k]
        across, up = (px - left) / side, (py - bottom) / side
        if not (0 <= across < n_columns and 0 <= up < n_rows):
            continue
        column, row = int(across), int(up)
        cell = row * n_columns + column
        if answer[cell] != MIXED:
            found[k] = answer[cell]
            number[k] = found[k] >= 0
            continue
        here, last_here = inside_ptr[cell], inside_ptr[cell + 1]
        at, last = piece_ptr[cell], piece_ptr[cell + 1]
        rx, ry = left + (column + _ACROSS) * side, bottom + (row + _UP) * side
        while here < last_here or at < last:
            polygon = polygons[here] if here < last_here else owner[pieces[at]]
            if at < last:
                polygon = min(polygon, owner[pieces[at]])
            inside = here < last_here and polygons[here] == polygon
            here += inside
            while at < last and owner[pieces[at]] == polygon:
                i = pieces[at]
                crossed = _crosses(x[i], y[i], x[i + 1], y[i + 1], rx, ry, px, py)
                if crossed < 0:
                    found[k] = UNSURE
                    break
                inside = inside != (crossed == 1)
                at += 1
            if found[k] == UNSURE:
                break
            if inside:
                found[k] = polygon if number[k] == 0 else found[k]
                number[k] = min(number[k] + 1, 100)
    return found, number
