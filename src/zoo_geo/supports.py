"""What a deviation needs to become a flag, and which cells of a detection support one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoo_geo.detectors.base import Detection
from zoo_geo.detectors.clusters import doubted, own_interval
from zoo_geo.detectors.themes import COMBINATION
from zoo_geo.errors import InputError, examples
from zoo_geo.notices import Notice, count, figure, which
from zoo_geo.significance import METHODS, Method, adjust, needed_at_floor, significant


@dataclass(frozen=True)
class Rules:
    """What a deviation needs to become a flag.

    Parameters
    ----------
    alpha
        Level of the correction, 0 to 1.
    method
        See `significance.adjust`. The family is detector x reference x indicator x period.
    min_ratio
        Observed / expected of a high flag is at least this; of a low flag at most 1 / this.
    min_excess
        Observed and expected differ by at least this many.
    min_count
        A high flag has at least this many observed, a low flag at least as many expected.
    context
        Detections, as ``deviation:national``, that are shown beside a flag and never raise one.
    """

    alpha: float = 0.05
    method: Method = "bh"
    min_ratio: float = 1.0
    min_excess: float = 0.0
    min_count: float = 5
    context: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wrong = []
        if not 0 < self.alpha < 1:
            wrong.append(f"alpha needs to be between 0 and 1; got {self.alpha}.")
        if self.method not in METHODS:
            wrong.append(f"method needs to be one of {', '.join(METHODS)}; got {self.method!r}.")
        if self.min_ratio < 1:
            wrong.append(f"min_ratio needs to be at least 1; got {self.min_ratio}.")
        wrong += [
            f"{name} needs to be at least 0; got {getattr(self, name)}."
            for name in ("min_excess", "min_count")
            if getattr(self, name) < 0
        ]
        if wrong:
            raise InputError(wrong)


@dataclass(frozen=True, eq=False)
class Support:
    """What one detection says of each cell; arrays on the rows of the frames."""

    q: np.ndarray
    high: np.ndarray
    supports: np.ndarray
    raises: np.ndarray


def support_of(detection: Detection, rules: Rules) -> Support:
    """Say which cells of a detection support a flag, and which can raise one."""
    frame = detection.frame
    corrected = detection.controls == "family"
    q = frame["p_value"].to_numpy().copy() if corrected else _adjusted(frame, rules.method)
    direction = frame["direction"].to_numpy()
    high, low = direction == "high", direction == "low"
    supports = significant(q, rules.alpha) & (high | low) & _large(detection, high, rules)
    if detection.groups is not None:  # HL and LH are exceptions among neighbours, not a group
        supports &= frame["label"].isin(detection.groups).to_numpy()
    raises = supports & (detection.name not in rules.context) & ~doubted(detection)
    return Support(q, high, supports, raises)


def _adjusted(frame: pd.DataFrame, method: Method) -> np.ndarray:
    """Adjusted p within each indicator and period."""
    p = frame["p_value"].to_numpy()
    q = np.full(p.size, np.nan)
    for _, rows in _families(frame):
        q[rows] = adjust(p[rows], method)
    return q


def _large(detection: Detection, high: np.ndarray, rules: Rules) -> np.ndarray:
    """Whether effect, excess and count reach the rules' minimum; a combination has none of them."""
    if detection.evidence == COMBINATION:
        return np.ones(high.size, bool)
    frame = detection.frame
    observed, expected = frame["observed"].to_numpy(), frame["expected"].to_numpy()
    enough = np.ones(high.size, bool)
    with np.errstate(invalid="ignore"):
        for name in dict.fromkeys(("ratio", detection.effect)):
            ratio = frame[name].to_numpy()
            far = np.where(high, ratio >= rules.min_ratio, ratio <= 1.0 / rules.min_ratio)
            unknown = np.isnan(ratio) & (uncounted(detection) | (rules.min_ratio == 1.0))
            enough &= far | unknown  # a scale without a zero has no ratio
        if detection.effect != "ratio":
            low_end, high_end = own_interval(detection)
            enough &= np.where(high, low_end > 1.0, high_end < 1.0) | np.isnan(low_end)
        if rules.min_excess > 0:
            enough &= np.abs(observed - expected) >= rules.min_excess
        count = np.where(high | np.isnan(expected), observed, expected)
        return enough & ((count >= rules.min_count) | uncounted(detection))


def uncounted(detection: Detection) -> np.ndarray:
    """Rows for which a minimum count means nothing: values, and all of a detector of yes-or-no figures."""
    return is_value(detection) | (not detection.counts)


def is_value(detection: Detection) -> np.ndarray:
    """Rows of values, which need no zero."""
    values = {indicator.id for indicator in detection.indicators if indicator.family == "gaussian"}
    return detection.frame["indicator"].isin(values).to_numpy()


def without_effect(detection: Detection, rules: Rules) -> list[Notice]:
    """Say where there is nothing to hold the minimum ratio against."""
    counted = ~uncounted(detection) & np.isfinite(detection.frame["p_value"].to_numpy())
    if rules.min_ratio == 1.0 or not counted.any() or detection.frame["ratio"].notna().any():
        return []
    value = f"{detection.name}: value='{detection.parameters.get('value')}'"
    return [
        Notice(
            f"{value} expects nothing of an area itself, so with a minimum ratio it flags no counts and "
            "shares. Use value='residual', or no min_ratio.",
            f"{value} verwacht niets van een gebied zelf; met een minimale verhouding geeft het dus geen "
            "vlag "
            "aan aantallen en aandelen. Gebruik value='residual', of geen min_ratio.",
        )
    ]


def too_coarse(detection: Detection, support: Support, rules: Rules) -> list[Notice]:
    """Say where too few permutations stand in the way of any discovery."""
    permutations = detection.parameters.get("permutations")
    drawn = detection.parameters.get("inference", "permutation") == "permutation"
    if not permutations or not drawn or rules.method != "bh":
        return []
    # join counts have no alternative: their p is one-sided
    tails = 2 if detection.parameters.get("alternative") == "two-sided" else 1
    p = detection.frame["p_value"].to_numpy()
    blocked, most = [], 0
    for key, rows in _families(detection.frame):
        at_floor = int((p[rows] <= tails / (permutations + 1.0) * (1 + 1e-9)).sum())
        needed = needed_at_floor(int(np.isfinite(p[rows]).sum()), permutations, rules.alpha, tails)
        if 0 < at_floor < needed and not significant(support.q[rows], rules.alpha).any():
            blocked.append(figure(*map(str, key)))
            most = max(most, needed)
    if not blocked:
        return []
    return [
        Notice(
            f"{detection.name}: {permutations:,} permutations are too few for a discovery where areas reach "
            f"the smallest p but fewer than {most} do ({examples(blocked)}). Raise permutations.",
            f"{detection.name}: {count(permutations)} permutaties zijn te weinig om iets te vinden waar "
            f"gebieden de kleinste p halen, maar minder dan {most} ({which(blocked)}). Neem meer "
            "permutaties.",
        )
    ]


def _families(frame: pd.DataFrame) -> Iterable[tuple[Any, Any]]:
    """Rows of each indicator and period: what is corrected together."""
    return frame.groupby(["indicator", "period"], sort=False, observed=True).indices.items()
