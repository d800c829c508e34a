"""Names beside points of a plot, placed one by one where they cover nothing that matters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

NAME = "name"
"""Group id of the names in a plot."""

_ANGLES = np.deg2rad([20, -20, 160, -160, 60, -60, 120, -120, 90, -90, 0, 180])
_DISTANCES = (12.0, 24.0, 40.0, 60.0, 84.0, 112.0, 150.0, 200.0)
"""Pixels from the point to the near edge of the name."""
_LEADER = 16.0
"""Distance from which a line leads to the point."""
_ROOM = 3.0
_COVERED = 60.0
"""Pixels that a name goes farther to cover one point less."""


def place_names(
    ax: Axes, x: np.ndarray, y: np.ndarray, names: Sequence[str], *, avoid: np.ndarray, size: float = 8.5
) -> int:
    """Write names beside their points, the first ones nearest, and return how many found a place.

    A name stays inside the axes and off other names, and goes where it covers few of the points in `avoid`
    without being far from its own.

    Parameters
    ----------
    ax
        Axes whose limits stand.
    x, y
        Points to name, in the units of the data; shape (n,).
    names
        Shape (n,).
    avoid
        Points better not covered, in the units of the data; shape (m, 2).
    size
        Of the letters, in points.
    """
    marks = ax.transData.transform(np.asarray(avoid, float).reshape(-1, 2))
    frame = np.asarray(ax.get_window_extent().extents)
    taken = np.empty((0, 4))
    pixels = ax.transData.transform(np.column_stack([x, y]).reshape(-1, 2))
    for point, xy, name in zip(pixels, zip(x, y, strict=True), names, strict=True):
        boxes, distances = _candidates(point, *_measured(ax, name, size))
        free = _inside(boxes, frame) & ~_overlapping(boxes, taken)
        if not free.any():
            continue
        cost = distances + _COVERED * _covered(boxes, marks)
        chosen = int(np.argmin(np.where(free, cost, np.inf)))
        taken = np.vstack([taken, boxes[chosen]])
        _write(ax, xy, point, boxes[chosen], name, size, leader=distances[chosen] >= _LEADER)
    return len(taken)


def _measured(ax: Axes, name: str, size: float) -> tuple[float, float]:
    """Width and height of a name in pixels."""
    text = ax.text(0, 0, name, fontsize=size, transform=None, parse_math=False)
    extent = text.get_window_extent()
    text.remove()
    return extent.width + 2 * _ROOM, extent.height + 2 * _ROOM


def _candidates(point: np.ndarray, width: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (left, bottom, right, top) around a point, the nearest first, and how far off each is."""
    distances = np.repeat(_DISTANCES, len(_ANGLES))
    angles = np.tile(_ANGLES, len(_DISTANCES))
    across, up = np.cos(angles), np.sin(angles)
    x = point[0] + across * distances + (np.sign(np.round(across, 6)) - 1.0) * width / 2
    y = point[1] + up * distances + (np.round(up, 6) - 1.0) * height / 2
    return np.column_stack([x, y, x + width, y + height]), distances


def _inside(boxes: np.ndarray, frame: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] >= frame[:2]).all(1) & (boxes[:, 2:] <= frame[2:]).all(1)


def _overlapping(boxes: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Boxes that overlap one that is taken."""
    apart = (boxes[:, None, :2] >= taken[None, :, 2:]).any(2) | (
        boxes[:, None, 2:] <= taken[None, :, :2]
    ).any(2)
    return ~apart.all(1)


def _covered(boxes: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """How many marks each box covers."""
    inside = (marks[None] >= boxes[:, None, :2] - _ROOM) & (marks[None] <= boxes[:, None, 2:] + _ROOM)
    return inside.all(2).sum(1)


def _write(
    ax: Axes,
    xy: tuple[float, float],
    point: np.ndarray,
    box: np.ndarray,
    name: str,
    size: float,
    *,
    leader: bool,
) -> None:
    """Write a name in its box, with a line to its point where that is not next to it."""
    from matplotlib.patheffects import withStroke

    offset = ((box[:2] + box[2:]) / 2 - point) * 72.0 / ax.figure.dpi
    line = {"arrowstyle": "-", "color": "#444444", "lw": 0.6, "shrinkA": 0, "shrinkB": 3}
    ax.annotate(
        name, xy, xytext=tuple(offset), textcoords="offset points", ha="center", va="center", fontsize=size,
        parse_math=False, zorder=8, gid=NAME, arrowprops=line if leader else None,
        path_effects=[withStroke(linewidth=2.5, foreground="white", alpha=0.85)],
    )  # fmt: skip
