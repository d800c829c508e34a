"""What a plot of one indicator, period and reference shows, without a line of drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from zoo_geo.checks import nearest_name
from zoo_geo.detectors.base import Detection, options
from zoo_geo.errors import InputError
from zoo_geo.explain import reference_name
from zoo_geo.facts import Language, number
from zoo_geo.limits import Limits, control_limits
from zoo_geo.panel import ALL, Indicator
from zoo_geo.predictive import FAMILIES

if TYPE_CHECKING:
    from zoo_geo.areas import Areas
    from zoo_geo.flags import Flags

CLASSES = ("as_expected", "low_95", "high_95", "low_998", "high_998")
"""Classes that are drawn, the last ones on top."""

_LONGEST_NAME = 32
_NEEDED = ("expected", "spread", "label", "z")

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "mark": "INTERNAL: not for publication",
        "funnel": "Funnel plot: each area against {reference}",
        "against": "Observed against expected, going by {reference}",
        "expected": "Expected count, going by {reference} (log scale)",
        "observed": "Observed count (log scale)",
        "ratio": "Observed / expected (times as much, log scale)",
        "weight": "Weight{unit} (log scale)",
        "expected_value": "Expected value{unit}",
        "observed_value": "Observed value{unit}",
        "z": "Observed less expected (standard deviations)",
        "as_expected": "as expected",
        "high_95": "high, outside 95%",
        "high_998": "high, outside 99.8%",
        "low_95": "low, outside 95%",
        "low_998": "low, outside 99.8%",
        "line_95": "95% limits",
        "line_998": "99.8% limits",
        "line_expected": "as much as expected",
        "flagged": "flagged",
        "drawn": "{n} areas drawn",
        "not_drawn": "not drawn: {reasons}",
        "too_few": "{n} with too few to say",
        "missing": "{n} without a figure",
        "secret": "{n} secret",
        "no_exposure": "{n} with nothing to compare per",
        "isolated": "{n} without neighbours or peers",
        "constant": "{n} where all are equal",
        "not_tested": "{n} not looked at",
        "nothing": "on the bottom line: {n} where nothing was seen",
        "named": "named: {k} of {n} {what}",
        "named_flagged": "flagged areas",
        "named_outside": "areas outside the 99.8% limits",
        "middling": (
            "Lines: limits of an area of middling certainty. Colour and marker go by each area's own limits."
        ),
        "scaled": (
            "Deviations are scaled to what chance does to each area, given its weight and the error of its "
            "expectation."
        ),
        "own": "Colour and marker go by each area's own limits, which depend on its weight.",
        "one_95": (
            "About 1 area in 20 lies outside the 95% limits, and 1 in 500 outside the 99.8% limits, by "
            "chance alone."
        ),
        "empty": "No area has a figure to compare.",
    },
    "nl": {
        "mark": "INTERN: niet voor publicatie",
        "funnel": "Trechterdiagram: elk gebied tegenover {reference}",
        "against": "Gezien tegenover verwacht, afgaand op {reference}",
        "expected": "Verwacht aantal, afgaand op {reference} (logaritmische schaal)",
        "observed": "Gezien aantal (logaritmische schaal)",
        "ratio": "Gezien / verwacht (keer zoveel, logaritmische schaal)",
        "weight": "Gewicht{unit} (logaritmische schaal)",
        "expected_value": "Verwachte waarde{unit}",
        "observed_value": "Gemeten waarde{unit}",
        "z": "Gemeten min verwacht (standaardafwijkingen)",
        "as_expected": "zoals verwacht",
        "high_95": "hoog, buiten 95%",
        "high_998": "hoog, buiten 99,8%",
        "low_95": "laag, buiten 95%",
        "low_998": "laag, buiten 99,8%",
        "line_95": "95%-grenzen",
        "line_998": "99,8%-grenzen",
        "line_expected": "zoveel als verwacht",
        "flagged": "met vlag",
        "drawn": "{n} gebieden getekend",
        "not_drawn": "niet getekend: {reasons}",
        "too_few": "{n} met te weinig om iets te zeggen",
        "missing": "{n} zonder cijfer",
        "secret": "{n} geheim",
        "no_exposure": "{n} zonder noemer",
        "isolated": "{n} zonder buren of gelijken",
        "constant": "{n} waar alle gelijk zijn",
        "not_tested": "{n} niet bekeken",
        "nothing": "op de onderste lijn: {n} waar niets is gezien",
        "named": "met naam: {k} van {n} {what}",
        "named_flagged": "gebieden met vlag",
        "named_outside": "gebieden buiten de 99,8%-grenzen",
        "middling": (
            "Lijnen: grenzen van een gebied met middelmatige zekerheid. Kleur en teken volgen de eigen "
            "grenzen van elk gebied."
        ),
        "scaled": (
            "Afwijkingen zijn geschaald naar wat toeval met elk gebied doet, gegeven zijn gewicht en de fout"
            " van de verwachting."
        ),
        "own": "Kleur en teken volgen de eigen grenzen van elk gebied, die van zijn gewicht afhangen.",
        "one_95": (
            "Door toeval alleen ligt ongeveer 1 op de 20 gebieden buiten de 95%-grenzen, en 1 op de 500 "
            "buiten de 99,8%-grenzen."
        ),
        "empty": "Geen gebied heeft een cijfer om te vergelijken.",
    },
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Picture:
    """The areas that are drawn, those that are not, and what is said about them.

    Parameters
    ----------
    indicator, period, reference
        What is drawn, and against what.
    rows
        Areas drawn, by code: ``area observed exposure expected ratio z label flagged name order``.
    known
        All areas that have an expectation, which the limits rest on.
    left_out
        How many areas are not drawn, by reason.
    flagging
        Whether there are flags to name areas by.
    lang
        Language of all words.
    """

    indicator: Indicator
    period: str
    reference: str
    rows: pd.DataFrame
    known: pd.DataFrame
    left_out: dict[str, int]
    flagging: bool
    lang: Language

    def say(self, words: str, **values: object) -> str:
        """Fill in a phrase; whole numbers are written in the language."""
        told = {k: self.number(int(v)) if isinstance(v, (int, np.integer)) else v for k, v in values.items()}
        return _WORDS[self.lang][words].format(**told)

    def number(self, value: float) -> str:
        """Write a number in the language."""
        return number(float(value), self.lang, 15 if value == round(value) else 3)

    @property
    def is_value(self) -> bool:
        """Whether values are drawn and not counts."""
        return self.indicator.family == "gaussian"

    @property
    def against(self) -> str:
        """The reference in words."""
        return reference_name(self.reference, self.lang)

    @property
    def unit(self) -> str:
        """Unit of a measured value, after a space."""
        return f" ({self.indicator.unit})" if self.indicator.unit else ""

    @property
    def title(self) -> str:
        """Title of the indicator, and the period where there is one."""
        title = self.indicator.title or self.indicator.id
        return title if self.period == ALL else f"{title}, {self.period}"

    def nameable(self) -> np.ndarray:
        """Positions of the areas to name, in order: flagged ones, or without flags the farthest out."""
        outside = self.rows["label"].isin(("low_998", "high_998"))
        chosen = np.flatnonzero(self.rows["flagged"] if self.flagging else outside)
        rows = self.rows.iloc[chosen]
        return chosen[np.lexsort((rows["area"], -rows["z"].abs(), rows["order"]))]

    def limits(self, expected: np.ndarray) -> tuple[np.ndarray, Limits]:
        """Control limits of counts of a typical area at some expected counts.

        Shares are out of whole numbers, so there the expected counts are the nearest ones possible.
        """
        family = self.indicator.family
        known = self.known[self.known["expected"] > 0]
        at = known["expected"].to_numpy()
        share = _local_median(at, at / known["exposure"].to_numpy(), expected)
        if family == "binomial":
            size, first = np.unique(np.maximum(np.rint(expected / share), 1.0), return_index=True)
            expected = size * share[first]
            share = share[first]
        spread = _local_median(at, known["spread"].to_numpy(), expected)
        part, strength = _certainty(family, known)
        return expected, control_limits(family, expected / share, share, strength, part * spread)


def make_picture(
    detection: Detection,
    indicator: str,
    period: str | None,
    flags: Flags | None,
    areas: Areas | None,
    lang: Language,
) -> Picture:
    """Choose what is drawn of a detection.

    Raises
    ------
    InputError
        The detection, indicator, period or language does not fit.
    """
    options(lang=(lang, tuple(_WORDS)))
    chosen = _indicator(detection, indicator)
    frame = detection.frame[detection.frame["indicator"] == indicator]
    period = _period(frame, period)
    rows = frame[frame["period"] == period]
    rows = rows.assign(area=rows["area"].astype(str), label=rows["label"].astype(str)).sort_values("area")
    rows = _with_flags(rows, flags, indicator, period)
    rows["name"] = _names(rows, areas)
    has = ((rows["status"] == "ok") & np.isfinite(rows["z"])).to_numpy()
    few = has & rows.pop("few").to_numpy()
    reasons = rows["status"].astype(str).where(~has, "too_few")[~has | few].value_counts()
    left_out = {str(reason): int(n) for reason, n in reasons.items()}
    known = rows.assign(ratio=rows["observed"] / rows["expected"])[has]
    drawn = known[~few[has]].reset_index(drop=True)
    return Picture(chosen, period, detection.reference, drawn, known, left_out, flags is not None, lang)


def can_draw(detection: Detection) -> bool:
    """Whether a detection compares each area's own figure with control limits."""
    return detection.evidence == "own figure" and set(_NEEDED) <= set(detection.frame)


def _indicator(detection: Detection, id: str) -> Indicator:
    """Return the indicator that is asked for, of a detection that can be drawn."""
    if not can_draw(detection):
        raise InputError(
            f"detection needs to compare each area's own figure, as Deviation does; got {detection.name}."
        )
    known = {each.id: each for each in detection.indicators}
    if id not in known:
        raise InputError(
            f"indicator needs to be one of {', '.join(known)}; got {id!r}.{nearest_name(id, known)}"
        )
    return known[id]


def _period(frame: pd.DataFrame, period: str | None) -> str:
    """Return the period asked for, or the last one with figures."""
    periods = [str(each) for each in frame["period"].unique()]
    if period is None:
        told = {str(each) for each in frame.loc[frame["status"] == "ok", "period"].unique()}
        return max(told or periods)
    if str(period) not in periods:
        raise InputError(f"period needs to be one of {', '.join(periods)}; got {period!r}.")
    return str(period)


def _with_flags(rows: pd.DataFrame, flags: Flags | None, indicator: str, period: str) -> pd.DataFrame:
    """Add which areas are flagged, in what order, and of which nothing can be said."""
    if flags is None:
        return rows.assign(flagged=False, order=0.0, few=False)
    raised, cells = (
        each[(each["indicator"] == indicator) & (each["period"] == period)]
        for each in (flags.frame, flags.cells)
    )
    rank = raised.get("rank", pd.Series(np.nan, raised.index)).astype("Float64")
    order = pd.Series(rank.to_numpy(float, na_value=np.inf), raised["area"].astype(str))
    few = cells.loc[cells["class"] == "too_few", "area"].astype(str)
    return rows.assign(
        flagged=rows["area"].isin(order.index),
        order=rows["area"].map(order).fillna(np.inf),
        few=rows["area"].isin(few) & (rows["label"] == "as_expected"),
    )


def _names(rows: pd.DataFrame, areas: Areas | None) -> np.ndarray:
    """Short names of areas on one line; the code too where several have one name."""
    codes = rows["area"]
    if areas is None:
        return codes.to_numpy()
    names = areas.frame["name"].reindex(codes).fillna("").astype(str).set_axis(codes.index)
    names = names.map(lambda name: "".join(c if c.isprintable() else " " for c in name).strip())
    names = names.where(names.str.len() <= _LONGEST_NAME, names.str.slice(0, _LONGEST_NAME - 1) + "…")
    several = names.duplicated(keep=False) & (names != codes) & (names != "")
    return names.where(~several, names + " (" + codes + ")").where(names != "", codes).to_numpy()


_FEWEST_A_GROUP, _MOST_GROUPS = 25, 12


def _local_median(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Middle of y among the areas whose x is like each of `at`, as a line from group to group."""
    groups = max(1, min(x.size // _FEWEST_A_GROUP, _MOST_GROUPS))
    parts = np.array_split(np.lexsort((y, x)), groups)
    centres = np.log([np.median(x[part]) for part in parts])
    return np.interp(np.log(at), centres, [np.median(y[part]) for part in parts])


_TELLING = 100
_LEAST, _MOST = np.log(0.5), np.log(1e12)
_PARTS = {"poisson": (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3), "binomial": (1.0,)}
"""Parts of the spread that may belong to a gamma (beta) law; the rest has a heavier tail, like the error."""


def _certainty(family: str, known: pd.DataFrame) -> tuple[float, float]:
    """Part of the spread, and strength of the expectation, by which the z of the areas are as they are.

    For each part the strength is the one for which half of the areas would lie farther out than they do, the
    median of their own.
    """
    known = known[known["z"].abs() > 0.5].sort_values(["expected", "area"]).tail(_TELLING)
    if known.empty:
        return 1.0, float(np.exp(_MOST))
    seen, size, z = (known[name].to_numpy(float) for name in ("observed", "exposure", "z"))
    rate, phi = known["expected"].to_numpy(float) / size, known["spread"].to_numpy(float)
    tails: Callable[..., tuple[np.ndarray, np.ndarray]] = FAMILIES[family].tails

    def surplus(part: float, log_strength: float) -> np.ndarray:
        """How much farther out the areas would lie."""
        strength = np.full(seen.size, np.exp(log_strength))
        return -special.ndtri_exp(tails(seen, size, rate, strength, part * phi, np.inf)[0]) - np.abs(z)

    def middling(part: float) -> float:
        low, high = _LEAST, _MOST
        for _ in range(20):
            middle = (low + high) / 2.0
            low, high = (low, middle) if np.median(surplus(part, middle)) > 0 else (middle, high)
        return (low + high) / 2.0

    strengths = [middling(part) for part in _PARTS[family]]
    lack = [np.abs(surplus(*pair)).mean() for pair in zip(_PARTS[family], strengths, strict=True)]
    best = int(np.argmin(np.round(lack, 4)))
    return _PARTS[family][best], float(np.exp(strengths[best]))
