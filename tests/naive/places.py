"""Points into polygons, one by one: exact fractions, no trees, no grids."""

from fractions import Fraction
from itertools import pairwise

import shapely


def _rings(shape):
    for part in shapely.get_parts(shape):
        for ring in (part.exterior, *part.interiors):
            corners = [(Fraction(x), Fraction(y)) for x, y in ring.coords]
            yield list(pairwise(corners))


def place(shape, x, y):
    """``in``, ``on`` or ``out``."""
    x, y = Fraction(x), Fraction(y)
    inside = False
    for ring in _rings(shape):
        for (ax, ay), (bx, by) in ring:
            turn = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            if turn == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
                return "on"
            if (ay > y) != (by > y) and (turn > 0) == (by > ay):
                inside = not inside
    return "in" if inside else "out"


def locate(points, shapes, codes, water):
    """Code (None outside) and position of each point; land before water, then the lowest code."""
    order = sorted(range(len(codes)), key=lambda k: (water[k], codes[k]))
    answers = []
    for x, y in points:
        if x != x:
            answers.append((None, "missing"))
            continue
        found = [(k, place(shapes[k], x, y)) for k in order]
        touching = [(k, how) for k, how in found if how != "out"]
        if not touching:
            answers.append((None, "outside"))
            continue
        how = (
            "border"
            if any(how == "on" for _, how in touching)
            else "overlap"
            if len(touching) > 1
            else "inside"
        )
        answers.append((codes[touching[0][0]], how))
    return answers
