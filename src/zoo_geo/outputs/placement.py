"""Names beside points of a plot, placed one by one where they cover nothing that matters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

NAME = "name"
"""Group id of the names in a plot."""

_ANGLES = np.deg2rad(
    [20, -20, 160, -160, 45, 135, -45, -135, 0, 180, 70, 110, -70, -110, 90, -90,
     32, -32, 148, -148, 58, 122, -58, -122]
)  # fmt: skip
_DISTANCES = (12.0, 18.0, 26.0, 36.0, 48.0, 62.0, 78.0, 96.0, 118.0, 144.0, 172.0)
"""Pixels from the point to the near edge of the name."""
_LEADER = 16.0
"""Distance from which a line leads to the point."""
_ROOM = 3.0
_COVERED, _PASSED = 60.0, 40.0
"""Pixels that a name goes farther to cover one point of importance 1 less, or lead its line past one."""
_STANDS_OUT, _NEVER = 0.5, 2.0
"""Importance of points that are drawn large, which a line had better not pass, and of those never covered."""
_CLOSE, _OWN = 8.0, 4.0
"""Pixels around such a point that are its own, and within which a point is the named one."""


def place_names(
    ax: Axes,
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    obstacles: np.ndarray,
    importance: np.ndarray,
    size: float = 8.5,
) -> int:
    """Write names beside their points, the first ones nearest, and return how many found a place.

    A name stays inside the axes and off other names, and goes where it covers little of importance without
    being far from its point, to which a line leads where it is not next to it. Without a place it is left
    out.

    Parameters
    ----------
    ax
        Axes whose limits stand.
    x, y
        Points to name, in the units of the data; shape (n,).
    names
        Shape (n,).
    obstacles, importance
        Points better not covered, in the units of the data, shape (m, 2); how much each matters, shape (m,).
    size
        Of the letters, in points.
    """
    with np.errstate(invalid="ignore"):
        marks = ax.transData.transform(obstacles)
    frame = np.asarray(ax.get_window_extent().extents)
    pixels = ax.transData.transform(np.column_stack([x, y]).reshape(-1, 2))
    taken, lines = np.empty((0, 4)), np.empty((0, 2, 2))
    for point, xy, name in zip(pixels, zip(x, y, strict=True), names, strict=True):
        boxes, distances = _candidates(point, *_measured(ax, name, size))
        reach = np.hstack([boxes[:, :2].min(0), boxes[:, 2:].max(0)])[None]
        near = _holding(reach, marks, _CLOSE)[0]
        bold = near & (importance >= _STANDS_OUT) & (np.hypot(*(marks - point).T) > _OWN)
        barred = _holding(boxes, marks[bold & (importance >= _NEVER)], _CLOSE).any(axis=1)
        ends = np.clip(point, boxes[:, :2], boxes[:, 2:]), np.broadcast_to(point, (len(boxes), 2))
        leaders = np.stack(ends, axis=1)
        free = _inside(boxes, frame) & ~barred & ~_overlapping(boxes, taken)
        free = np.flatnonzero(free & ~_tangled(boxes, leaders, taken, lines))
        if not free.size:
            continue
        faint = near & (importance < _STANDS_OUT)
        boxes, leaders, distances = boxes[free], leaders[free], distances[free]
        cost = distances + _COVERED * (_holding(boxes, marks[faint]) @ importance[faint])
        cost += _COVERED * (_holding(boxes, marks[bold], _CLOSE) @ importance[bold])
        cost += _PASSED * ((_distance(leaders, marks[bold]) < _CLOSE) @ importance[bold])
        best = int(np.argmin(cost))
        taken, lines = np.vstack([taken, boxes[best]]), np.vstack([lines, leaders[best][None]])
        _write(ax, xy, boxes[best], leaders[best], name, size, led=distances[best] >= _LEADER)
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
    return np.all(np.hstack([boxes[:, :2] >= frame[:2], boxes[:, 2:] <= frame[2:]]), axis=1)


def _overlapping(boxes: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Boxes that overlap one that is taken."""
    right_of: np.ndarray = boxes[:, None, :2] >= taken[None, :, 2:]
    left_of: np.ndarray = boxes[:, None, 2:] <= taken[None, :, :2]
    apart = np.any(np.concatenate([right_of, left_of], 2), axis=2)
    return ~np.all(apart, axis=1)


def _holding(boxes: np.ndarray, marks: np.ndarray, room: float = _ROOM) -> np.ndarray:
    """Which boxes, with some room around, cover which marks, shape (n_boxes, n_marks)."""
    inside: np.ndarray = (marks >= boxes[:, None, :2] - room) & (marks <= boxes[:, None, 2:] + room)
    return np.all(inside, axis=2)


def _tangled(boxes: np.ndarray, leaders: np.ndarray, taken: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Boxes that lie on a line to another name, or whose own line runs through a name or such a line."""
    on_line = np.any(_holding(boxes, _along(lines).reshape(-1, 2)), axis=1)
    touched = np.any(_holding(taken, _along(leaders).reshape(-1, 2)), axis=0).reshape(len(leaders), -1)
    return on_line | np.any(touched, axis=1) | np.any(_crossing(leaders, lines), axis=1)


def _distance(segments: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Pixels from each segment to each mark, shape (n_segments, n_marks)."""
    start, along = segments[:, :1], segments[:, 1:] - segments[:, :1]
    away = marks[None] - start
    share = (away * along).sum(2) / np.maximum((along * along).sum(2), 1e-9)
    rest = away - np.clip(share, 0.0, 1.0)[..., None] * along
    return np.hypot(rest[..., 0], rest[..., 1])


def _along(segments: np.ndarray) -> np.ndarray:
    """Points along segments, shape (n_segments, n_points, 2)."""
    share = np.linspace(0.0, 1.0, 24)[:, None]
    return segments[:, :1] * (1.0 - share) + segments[:, 1:] * share


def _crossing(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which segments cross which, shape (n_some, n_others)."""

    def sides(ends: np.ndarray, of: np.ndarray) -> np.ndarray:
        """Whether the ends of one segment lie on two sides of another."""
        along, away = of[..., 1:, :] - of[..., :1, :], ends - of[..., :1, :]
        cross = along[..., 0] * away[..., 1] - along[..., 1] * away[..., 0]
        return cross[..., 0] * cross[..., 1] < 0

    a, b = some[:, None], others[None]
    return sides(a, b) & sides(b, a)


def _write(
    ax: Axes,
    xy: tuple[float, float],
    box: np.ndarray,
    leader: np.ndarray,
    name: str,
    size: float,
    *,
    led: bool,
) -> None:
    """Write a name in its box, with the line to its point where that is not next to it."""
    from matplotlib.patheffects import withStroke

    middle, extent = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    offset = (middle - leader[1]) * 72.0 / ax.figure.dpi
    edge = tuple((leader[0] - box[:2]) / extent)
    line = {"arrowstyle": "-", "color": "#444444", "lw": 0.7, "shrinkA": 0, "shrinkB": 3, "relpos": edge}
    ax.annotate(
        name, xy, xytext=tuple(offset), textcoords="offset points", ha="center", va="center", fontsize=size,
        parse_math=False, zorder=8, gid=NAME, arrowprops=line if led else None,
        path_effects=[withStroke(linewidth=2.5, foreground="white", alpha=0.85)],
    )  # fmt: skip
