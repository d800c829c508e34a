"""Do several figures of a theme deviate in one area? Their p-values combined, one row per area and period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from zoo_geo.detectors import themes
from zoo_geo.detectors.base import Alternative, Detection, Scores, assemble, options
from zoo_geo.detectors.inputs import OK, TOO_FEW
from zoo_geo.errors import InputError
from zoo_geo.significance import combine

_SMALL = 0.05
"""Figures whose own p is at most this are listed as parts."""


@dataclass(frozen=True)
class _Combination:
    """What is combined; has the face of a detector towards `assemble`."""

    called: ClassVar[str] = "co_occurrence"
    evidence: ClassVar[str] = themes.COMBINATION
    effect: ClassVar[str] = "ratio"
    groups: ClassVar[tuple[str, ...] | None] = None
    counts: ClassVar[bool] = False
    controls: ClassVar[str] = "cell"
    own: ClassVar[tuple[str, ...]] = ("n_indicators", "n_parts", "parts")

    theme: str
    indicators: tuple[str, ...]
    alternative: Alternative
    at_least: int
    combined: tuple[str, ...]


def co_occurrence(
    found: Detection | Sequence[Detection],
    theme: str = "",
    *,
    indicators: Sequence[str] = (),
    alternative: Alternative = "greater",
    at_least: int = 2,
) -> Detection:
    """Combine the p-values of one area over the indicators of a theme, and over detections.

    Half-Cauchy combination, valid under dependence (see `significance.combine`). With ``at_least=2`` the p
    says that two figures or more deviate, so that one extreme figure, which has a flag of its own, is
    no co-occurrence. Conservative where p-values are (counts of rare events).

    Parameters
    ----------
    found
        Detections of one panel. Several of one indicator are figures of their own: take those that look at
        different things.
    theme
        Theme of the indicators, and name of the rows.
    indicators
        Ids, where the theme is not to say which.
    alternative
        ``greater``: figures that are high; ``less``: low; ``two-sided``: either, also mixed.
    at_least
        How many figures deviate at least: 1 says only that some figure of the theme does.

    Returns
    -------
    Detection
        Rows named by the theme, for `flag`: ``p_value``, ``parts`` (figures with p of at most 0.05 in that
        direction, the strongest first), ``n_parts``. The direction is the alternative's, or that of the
        strongest figure.

    Raises
    ------
    InputError
        The theme has fewer than two indicators or than ``at_least`` figures, detections are of different
        areas, one is one-sided the other way, or an option does not fit.

    Examples
    --------
    >>> import pandas as pd, zoo_geo as zg
    >>> table = pd.DataFrame({"code": [f"A{i:02d}" for i in range(30)], "people": 1000.0}).assign(
    ...     thefts=np.r_[60, np.tile([19, 20, 21], 10)[:29]], fires=np.r_[50, np.tile([9, 12, 8], 10)[:29]])
    >>> panel = zg.Panel.from_frame(table, area="code", observed=["thefts", "fires"], exposure="people")
    >>> single = zg.Deviation(reference="national").detect(panel)
    >>> zg.co_occurrence(single, "harm", indicators=["thefts", "fires"]).frame["n_parts"].head(2).tolist()
    [2.0, 0.0]
    """
    detections = [found] if isinstance(found, Detection) else list(found)
    named = (indicators,) if isinstance(indicators, str) else tuple(indicators)
    options(alternative=(alternative, ("two-sided", "greater", "less")))
    themes.check_choice(theme, named)
    _check(detections, alternative, at_least)
    cubes = [
        themes.cube(each, theme, named, ("p_value", "direction", "label", "status")) for each in detections
    ]
    first = cubes[0]
    if any(not np.array_equal(each.inputs.codes, first.inputs.codes) for each in cubes) or any(
        each.inputs.columns != first.inputs.columns for each in cubes
    ):
        raise InputError("detections need to be of one panel and one list of areas; got others.")
    p = np.concatenate(
        [_sided(cube, each, alternative) for cube, each in zip(cubes, detections, strict=True)], axis=1
    )
    if at_least > p.shape[1]:
        raise InputError(f"at_least needs to be at most the number of figures, {p.shape[1]}; got {at_least}.")
    status = np.concatenate([each.arrays["status"] for each in cubes], axis=1)
    high = np.concatenate([each.arrays["direction"] == "high" for each in cubes], axis=1)
    names = _names(cubes, detections)
    scores = _scores(p, status, high, names, alternative, at_least)
    scores.reference = " + ".join(dict.fromkeys(each.reference for each in detections))
    asked = _Combination(theme, named, alternative, at_least, tuple(each.name for each in detections))
    return assemble(asked, first.inputs, scores, 0, 1)  # type: ignore[arg-type]


def _check(detections: Sequence[Detection], alternative: Alternative, at_least: int) -> None:
    if not detections:
        raise InputError("found needs to hold at least one Detection; got none.")
    if not isinstance(at_least, int) or isinstance(at_least, bool) or at_least < 1:
        raise InputError(f"at_least needs to be a whole number from 1; got {at_least!r}.")
    for each in detections:
        own = _alternative(each)
        if each.evidence == themes.COMBINATION:
            raise InputError(f"found needs figures of single indicators; got {each.name}.")
        if each.controls == "family":
            raise InputError(
                f"found needs a p of each area; got {each.name}, whose p is about the whole map."
            )
        if own not in ("two-sided", alternative):
            raise InputError(
                f"alternative={alternative!r} needs p of that side or two-sided; got {own} ({each.name})."
            )


def _alternative(found: Detection) -> str:
    """Side that the p of a detection is about; join counts have the upper one only."""
    upper = found.detector == "local_join_counts"
    return str(found.parameters.get("alternative") or ("greater" if upper else "two-sided"))


def _sided(cube: themes.Cube, found: Detection, alternative: Alternative) -> np.ndarray:
    """p of each figure for the side that is asked for; 1 where the class says nothing about it."""
    p, direction = cube.arrays["p_value"], cube.arrays["direction"]
    if alternative != "two-sided" and _alternative(found) == "two-sided":
        wanted = direction == ("high" if alternative == "greater" else "low")
        p = np.where(wanted, p / 2.0, 1.0 - p / 2.0)
    if found.groups is not None:
        p = np.where(np.isin(cube.arrays["label"], found.groups) | np.isnan(p), p, 1.0)
    return np.where(cube.arrays["status"] == OK, p, np.nan)


def _names(cubes: Sequence[themes.Cube], detections: Sequence[Detection]) -> np.ndarray:
    """Name each figure: its indicator, and the detection where there are several."""
    names = [themes.titles(cube.indicators) for cube in cubes]
    if len(cubes) > 1:
        names = [each + f" [{found.name}]" for each, found in zip(names, detections, strict=True)]
    return np.concatenate(names)


def _scores(
    p: np.ndarray,
    status: np.ndarray,
    high: np.ndarray,
    names: np.ndarray,
    alternative: Alternative,
    at_least: int,
) -> Scores:
    """Combine each period by itself; arrays of shape (n_areas, n_figures, n_periods)."""
    n, _, periods = p.shape
    found = np.stack([themes.statuses(status[:, :, t]) for t in range(periods)], 1)
    known = np.isfinite(p).sum(axis=1)
    found[(found == OK) & (known < max(themes.FEWEST, at_least))] = TOO_FEW
    combined = np.stack([combine(p[:, :, t], at_least) for t in range(periods)], 1)
    small = np.nan_to_num(p, nan=1.0) <= _SMALL
    strongest = np.argmin(np.nan_to_num(p, nan=2.0), axis=1)[:, None]
    sign, halves = np.where(high, 1.0, -1.0), 2.0
    if alternative != "two-sided":
        sign, halves = np.full(p.shape, 1.0 if alternative == "greater" else -1.0), 1.0
    side = np.take_along_axis(sign, strongest, 1)[:, 0]
    score = -sign * special.ndtri_exp(np.log(np.maximum(p, 1e-300) / halves))
    parts = [
        [_told(score[i, :, t], p[i, :, t], small[i, :, t], names) for t in range(periods)] for i in range(n)
    ]
    arrays = {
        "statistic": combined, "p_value": combined,
        "z": -side * special.ndtri_exp(np.log(combined / halves)),
        "n_indicators": known.astype(float), "n_parts": small.sum(axis=1).astype(float),
        "parts": np.array(parts, object).reshape(n, periods),
    } | dict.fromkeys(("expected", "ratio", "ratio_low", "ratio_high"))  # fmt: skip
    with np.errstate(invalid="ignore"):
        label = (combined <= _SMALL).astype(int)
    return Scores("", found, arrays, ("as_expected", "combination"), label, side)


def _told(score: np.ndarray, p: np.ndarray, small: np.ndarray, names: np.ndarray) -> str:
    """Parts of one area, the smallest p first."""
    those = np.flatnonzero(small)
    those = those[np.argsort(p[those], kind="stable")]
    return themes.told(list(names[those]), score[those])
