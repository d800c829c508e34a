"""Funnel plot and observed-against-expected plot of one indicator, period and reference.

Colour and marker say the class that each area has by its own limits. The lines are the limits of an area of
middling certainty, so an area close to a line may lie on the other side of it.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo_geo.detectors.base import Detection
from zoo_geo.explain import CAVEAT
from zoo_geo.facts import Language
from zoo_geo.limits import LEVELS
from zoo_geo.outputs.folder import marked
from zoo_geo.outputs.picture import CLASSES, Picture, can_draw, make_picture
from zoo_geo.outputs.placement import place_names

__all__ = ["can_draw", "funnel_plot", "observed_expected_plot", "write_plot", "write_plots"]

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from zoo_geo.areas import Areas
    from zoo_geo.flags import Flags

# Colours of the map page; markers say the same to those who see none.
STYLES: dict[str, dict[str, Any]] = {
    "as_expected": {"color": "#8b8672", "marker": "o"},
    "low_95": {"color": "#9ecae8", "marker": "v"},
    "high_95": {"color": "#f6b26b", "marker": "^"},
    "low_998": {"color": "#1f63a8", "marker": "s"},
    "high_998": {"color": "#c4500a", "marker": "D"},
}
"""Colour and marker of each class."""

_LEGEND = ("high_998", "high_95", "as_expected", "low_95", "low_998")
_INK, _PALE = "#2b2b2b", "#8a8a8a"
_CURVE = 200
"""Points of a curve."""
_CROWD = 2_000
"""From so many areas on points are small, and those that are as expected faint."""


def funnel_plot(
    detection: Detection,
    indicator: str,
    period: str | None = None,
    *,
    flags: Flags | None = None,
    areas: Areas | None = None,
    ax: Axes | None = None,
    lang: Language = "en",
    name: int = 10,
) -> Axes:
    """Draw how far areas are from what was expected, by how much was expected.

    Counts and shares: observed / expected against the expected count, both on a log scale, with the 95 % and
    99.8 % control limits. Values: the deviation in standard deviations against the weight. Areas of which
    nothing can be said are counted below the picture and not drawn. The picture is internal and says so.

    Parameters
    ----------
    detection
        Of an area's own figure, as `Deviation` gives.
    indicator, period
        What to draw; the last period that has figures when not given.
    flags
        Flagged areas get a ring and a name; areas whose class is ``too_few`` are not drawn. Without flags,
        areas outside the 99.8 % limits are named.
    areas
        Names of areas; codes without.
    ax
        Where to draw; a new figure of 1,200 x 800 pixels when not given.
    lang
        ``en`` or ``nl``.
    name
        Largest number of areas named: by rank where the flags have one, then by how far out.

    Raises
    ------
    InputError
        The detection, indicator, period or language does not fit.

    References
    ----------
    Spiegelhalter (2005), doi:10.1002/sim.1970.
    """
    picture = make_picture(detection, indicator, period, flags, areas, lang)
    ax, rows = _axes() if ax is None else ax, picture.rows
    if picture.is_value:
        across = "weight" if rows["exposure"].nunique() > 1 else "expected_value"
        x = rows["exposure" if across == "weight" else "expected"].to_numpy()
        y = rows["z"].to_numpy()
        _frame_values(ax, picture, x, y, (across, "z"))
        _draw_levels(ax, picture)
    else:
        x, y = rows["expected"].to_numpy(), rows["ratio"].to_numpy()
        y = _frame_counts(ax, picture, x, y, ("expected", "ratio"))
        _draw_limits(ax, picture, as_ratio=True)
    return _finish(ax, picture, x, y, "funnel", name)


def observed_expected_plot(
    detection: Detection,
    indicator: str,
    period: str | None = None,
    *,
    flags: Flags | None = None,
    areas: Areas | None = None,
    ax: Axes | None = None,
    lang: Language = "en",
    name: int = 10,
) -> Axes:
    """Draw what was seen against what was expected, with the line on which both are equal.

    Counts and shares on log scales, with the 95 % and 99.8 % control limits; values on plain scales, without:
    their limits depend on the weight of each.

    Parameters
    ----------
    detection, indicator, period, flags, areas, ax, lang, name
        As in `funnel_plot`.

    Raises
    ------
    InputError
        The detection, indicator, period or language does not fit.
    """
    picture = make_picture(detection, indicator, period, flags, areas, lang)
    ax = _axes() if ax is None else ax
    x, y = (picture.rows[column].to_numpy() for column in ("expected", "observed"))
    if picture.is_value:
        _frame_values(ax, picture, x, y, ("expected_value", "observed_value"))
        if x.size:
            ax.plot(ax.get_xlim(), ax.get_xlim(), **_line(picture, "expected"))
    else:
        y = _frame_counts(ax, picture, x, y, ("expected", "observed"))
        _draw_limits(ax, picture, as_ratio=False)
    return _finish(ax, picture, x, y, "against", name)


def write_plot(ax: Axes, folder: Path, stem: str) -> Path:
    """Write the figure of a plot as PNG, under a name that says it is internal.

    Parameters
    ----------
    ax
        What `funnel_plot` or `observed_expected_plot` gave.
    folder
        Where to.
    stem
        Name without mark and ending; signs other than letters, digits, ``_ . -`` become ``-``.
    """
    path = folder / marked(re.sub(r"[^A-Za-z0-9_.-]", "-", stem), ".png")
    ax.figure.savefig(path, metadata={"Software": None})  # type: ignore[union-attr]
    return path


def write_plots(
    detection: Detection, folder: Path, *, flags: Flags, areas: Areas, lang: Language
) -> list[Path]:
    """Write both plots of every indicator of a detection, for the last period that has figures.

    Returns
    -------
    list of Path
        The files written.
    """
    from matplotlib.figure import Figure

    paths = []
    for indicator in detection.indicators:
        for stem, plot in (("funnel", funnel_plot), ("observed_expected", observed_expected_plot)):
            ax = _room(Figure(figsize=_SIZE, dpi=_DOTS))
            plot(detection, indicator.id, flags=flags, areas=areas, ax=ax, lang=lang)
            paths.append(write_plot(ax, folder, f"{stem}_{indicator.id}_{detection.reference}"))
    return paths


_SIZE, _DOTS = (12.0, 8.0), 100


def _axes() -> Axes:
    """Axes in a new figure that a notebook shows."""
    import matplotlib.pyplot as plt

    return _room(plt.figure(figsize=_SIZE, dpi=_DOTS))


def _room(figure: Figure) -> Axes:
    """Axes with room for title and legend above and the caption below."""
    return figure.add_axes((0.075, 0.185, 0.905, 0.635))


def _frame_counts(
    ax: Axes, picture: Picture, x: np.ndarray, y: np.ndarray, words: tuple[str, str]
) -> np.ndarray:
    """Set log axes around counts; return y with nothing seen on a line at the bottom."""
    ax.set(xscale="log", yscale="log")
    _say_axes(ax, picture, words)
    some = np.append(y[y > 0], [0.5, 2.0] if words[1] == "ratio" else x[:0])
    low, high = min(some, default=0.5), max(some, default=2.0)
    floor = low / 1.7
    none = y <= 0
    ax.set_ylim(floor / 1.25 if none.any() else low / 1.25, high * 1.8)
    ax.set_xlim(min(x, default=1.0) / 1.25, max(x, default=10.0) * 1.25)
    if none.any():
        ax.axhline(floor, color=_PALE, lw=0.8, ls=":", zorder=1, gid="floor")
        ax.annotate("0", (0, floor), xycoords=("axes fraction", "data"), xytext=(-4, 0),
                    textcoords="offset points", ha="right", va="center", fontsize=9)  # fmt: skip
    for axis in (ax.xaxis, ax.yaxis):
        _log_ticks(axis, picture, floor * 1.3 if none.any() and axis is ax.yaxis else 0.0)
    return np.where(none, floor, y)


def _log_ticks(axis: Axis, picture: Picture, least: float) -> None:
    """Ticks at round numbers, in the language."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axis.get_view_interval()
    subs = (1.0, 2.0, 5.0) if high / low < 2_000 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=20))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda v, _: picture.number(v) if v >= least else ""))


_FLATTEST = 0.2
"""Part of the range of values that what is expected of them spans at least, or a nation would be a wall."""


def _frame_values(ax: Axes, picture: Picture, x: np.ndarray, y: np.ndarray, words: tuple[str, str]) -> None:
    """Set axes around values; weights on a log scale."""
    from matplotlib.ticker import FuncFormatter

    if words[0] == "weight":
        ax.set_xscale("log")
        ax.set_xlim(min(x, default=1.0) / 1.3, max(x, default=1.0) * 1.3)
        _log_ticks(ax.xaxis, picture, 0.0)
        reach = max([*np.abs(y), 4.0]) * 1.1
        ax.set_ylim(-reach, reach)
    else:
        least = _FLATTEST * float(np.ptp(y)) if words[1] == "observed_value" and y.size else 0.0
        for values, set_range, span in ((x, ax.set_xlim, least), (y, ax.set_ylim, 0.0)):
            low, high = min(values, default=0.0), max(values, default=1.0)
            margin = (0.06 * (high - low) or 1.0) + max(span - (high - low), 0.0) / 2
            set_range(low - margin, high + margin)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: picture.number(v)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: picture.number(v)))
    _say_axes(ax, picture, words)


def _say_axes(ax: Axes, picture: Picture, words: tuple[str, str]) -> None:
    across, up = (picture.say(each, reference=picture.against, unit=picture.unit) for each in words)
    ax.set_xlabel(across, parse_math=False)
    ax.set_ylabel(up, parse_math=False)
    ax.spines[["top", "right"]].set_visible(False)


def _draw_limits(ax: Axes, picture: Picture, *, as_ratio: bool) -> None:
    """Draw the limits of counts, and the line on which an area is as expected."""
    if picture.rows.empty:
        return
    across = np.array(ax.get_xlim())
    ax.plot(across, across**0 if as_ratio else across, **_line(picture, "expected"))
    expected, limits = picture.limits(np.geomspace(across[0], across[1], _CURVE))
    below = ax.get_ylim()[0] / 2.0
    for level, curve in zip(LEVELS, limits.ratio if as_ratio else limits.observed, strict=True):
        if level.startswith("low"):
            curve = np.fmax(curve, below)  # where no count is that low, the line has left at the bottom
        ax.plot(expected, curve, **_line(picture, level))


def _draw_levels(ax: Axes, picture: Picture) -> None:
    """Draw the limits of values in standard deviations."""
    for level, z in {"expected": 0.0, **LEVELS}.items():
        ax.plot(ax.get_xlim(), [z, z], **_line(picture, level))


def _line(picture: Picture, level: str) -> dict[str, Any]:
    """How the line of a limit looks; those below are not in the legend once more."""
    if level == "expected":
        return {
            "color": _PALE,
            "lw": 1.6,
            "zorder": 3,
            "label": picture.say("line_expected"),
            "gid": "line_expected",
        }
    outer = level.endswith("998")
    label = picture.say("line_998" if outer else "line_95") if level.startswith("high") else "_"
    return {
        "color": _INK,
        "lw": 1.1,
        "ls": "-" if outer else "--",
        "zorder": 3,
        "label": label,
        "gid": f"line_{level}",
    }


def _finish(ax: Axes, picture: Picture, x: np.ndarray, y: np.ndarray, words: str, name: int) -> Axes:
    """Draw the areas, name some, and say what the picture shows."""
    _draw_areas(ax, picture, x, y)
    wide = _letters(ax)
    lines = [
        picture.say("mark"),
        *textwrap.wrap(picture.title, wide),
        picture.say(words, reference=picture.against),
    ]
    ax.set_title("\n".join(lines), loc="left", fontsize=11, pad=44, parse_math=False)
    _legend(ax)
    chosen = picture.nameable()
    first = chosen[: max(name, 0)]
    names = picture.rows["name"].to_numpy()[first]
    named = place_names(ax, x[first], y[first], names, *_obstacles(ax, picture, x, y))
    caption = textwrap.wrap(_caption(picture, words, named, chosen.size), int(wide * 1.25))
    ax.annotate(
        "\n".join(caption), (0, 0), xycoords="axes fraction", xytext=(0, -44), textcoords="offset points",
        va="top", fontsize=8.5, color="#444444", parse_math=False, gid="caption",
    )  # fmt: skip
    return ax


def _obstacles(ax: Axes, picture: Picture, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What names had better not cover, and how much each matters: flagged areas most, then those outside."""
    flagged, calm = picture.rows["flagged"].to_numpy(), (picture.rows["label"] == "as_expected").to_numpy()
    lines = [np.column_stack(line.get_data()) for line in ax.get_lines() if line.get_gid() != "floor"]
    points = np.vstack([np.column_stack([x, y]), *lines])
    areas = np.select([flagged, calm], [3.0, 0.05], 1.0)
    return points, np.concatenate([areas, np.full(len(points) - x.size, 0.1)])


def _letters(ax: Axes) -> int:
    """How many letters of a title the axes are wide."""
    return max(30, int(ax.get_window_extent().width * 72.0 / ax.figure.dpi / 6.2))


def _draw_areas(ax: Axes, picture: Picture, x: np.ndarray, y: np.ndarray) -> None:
    """Draw the areas class by class, those farthest out on top, and rings around the flagged ones."""
    crowd = x.size >= _CROWD
    label, flagged = picture.rows["label"].to_numpy(), picture.rows["flagged"].to_numpy()
    for place, each in enumerate(CLASSES):
        here = label == each
        calm = each == "as_expected"
        ax.scatter(
            x[here], y[here], s=(5 if crowd else 14) if calm else (16 if crowd else 34), **STYLES[each],
            alpha=(0.3 if crowd else 0.6) if calm else 0.9, linewidths=0 if calm else 0.5,
            edgecolors="none" if calm else _INK, zorder=2 if calm else 4 + place / 10, rasterized=True,
            label=f"{picture.say(each)} ({picture.number(here.sum())})", gid=each,
        )  # fmt: skip
    if flagged.any():
        ax.scatter(
            x[flagged], y[flagged], s=60 if crowd else 110, facecolors="none", edgecolors="#111111",
            linewidths=1.1, zorder=6, gid="flagged",
            label=f"{picture.say('flagged')} ({picture.number(flagged.sum())})",
        )  # fmt: skip


def _legend(ax: Axes) -> None:
    """Write the legend above the axes: classes in one row, everything else in the row below."""
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    place = {each: k for k, each in enumerate((*_LEGEND, "flagged", "line_high_998", "line_high_95"))}
    order = sorted(handles, key=lambda label: place.get(str(handles[label].get_gid()), len(place)))
    for height, labels in ((1.035, order[: len(_LEGEND)]), (0.995, order[len(_LEGEND) :])):
        legend = ax.legend(
            [handles[label] for label in labels], labels, loc="lower left", bbox_to_anchor=(-0.01, height),
            ncols=len(_LEGEND), frameon=False, fontsize=9, columnspacing=1.6, handletextpad=0.5,
        )  # fmt: skip
        for marker in legend.legend_handles:
            if marker is not None:
                marker.set_alpha(1.0)
        if height > 1.0:
            ax.add_artist(legend)  # stays when the next one comes


def _caption(picture: Picture, words: str, named: int, nameable: int) -> str:
    """Say how many areas are drawn, named and left out, how to read the lines, and the caveat."""
    rows = picture.rows
    parts = [picture.say("drawn", n=len(rows))]
    reasons = ", ".join(picture.say(reason, n=n) for reason, n in picture.left_out.items())
    parts += [picture.say("not_drawn", reasons=reasons)] if reasons else []
    none = 0 if picture.is_value else int((rows["observed"] <= 0).sum())
    parts += [picture.say("nothing", n=none)] if none else []
    what = picture.say("named_flagged" if picture.flagging else "named_outside")
    parts += [picture.say("named", k=named, n=nameable, what=what)] if nameable else []
    lines = ("scaled" if words == "funnel" else "own") if picture.is_value else "middling"
    reading = [picture.say(lines), picture.say("one_95")]
    return " ".join(
        ["; ".join(parts) + ".", *(reading if len(rows) else [picture.say("empty")]), CAVEAT[picture.lang]]
    )
