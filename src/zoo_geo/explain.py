"""A flag in words, in English and Dutch, from the columns of its row and nothing else.

What was seen, against what, how sure, and is it as bad next door; then the caveat. A part whose
columns are missing is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import pandas as pd

from zoo_geo.schema import SMALL_EXPOSURE

Language = Literal["en", "nl"]
Row = Mapping[str, Any]

CAVEAT = {"en": "A pattern, not a verdict.", "nl": "Een patroon, geen oordeel."}

_SMALLEST_P = 1e-6
_SMALLEST_Q = 1e-4
_FAR = 1.5
_WHOLE_REFERENCES = ("neighbours", "surroundings", "peers", "national", "all areas", "model")
_GROUP_DETECTORS = ("getis_ord", "local_moran", "local_join_counts")

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "period": "{indicator} in {period}",
        "rate": "{value} per {per}{unit}",
        "percentage": "{value}%",
        "poisson": "{observed} seen, {rate}",
        "poisson_bare": "{observed} seen",
        "binomial": "{observed} of {exposure}, {rate}",
        "gaussian": "{observed}{unit} measured",
        "neighbours": "its neighbours",
        "peers": "comparable areas",
        "national": "all areas together",
        "all areas": "all areas together",
        "surroundings": "its wider surroundings",
        "model": "the model",
        "parent": "its {level}",
        "stratum": "areas of the same {level}",
        "other": "the reference {level}",
        "expected": "Going by {reference}, {expected}{rate} was to be expected",
        "times": "this is {ratio} times as much",
        "times_low": "this is only {ratio} times as much",
        "times_none": "none was seen",
        "interval_none": " (95% interval up to {high} times as much)",
        "interval": " (95% interval {low} to {high})",
        "difference_high": "this is {excess} more",
        "difference_low": "this is {excess} less",
        "p": "Chance alone gives {a} in about 1 of {odds} areas (p = {p})",
        "p_share": "Chance alone gives {a} in {share}% of areas (p = {p})",
        "p_small": "Chance alone gives {a} in less than 1 of {odds} areas (p < {p})",
        "q": "of all flags this strong, about {share}% are expected to be chance (q = {q})",
        "q_small": "of all flags this strong, less than {share}% are expected to be chance (q < {q})",
        "q_bare": "adjusted for all areas p = {q}",
        "q_none": "not adjusted for the number of areas",
        "evidence_1": "One kind of evidence supports it",
        "evidence": "{n} kinds of evidence support it",
        "leaning": (
            "That is not the neighbours' own rate: those that are odd themselves are left out, small ones "
            "count for less, and the wider surroundings count too"
        ),
        "doubt": "It is counted per {exposure} only, so read it with care",
        "together_high": "The area and its neighbours together stand out as high",
        "together_low": "The area and its neighbours together stand out as low",
        "group": "With its neighbours: {observed} where {expected} was to be expected, {ratio} times as much",
        "group_low": "With its neighbours: {observed} where {expected} was to be expected, {ratio} times",
        "group_none": "With its neighbours: none where {expected} was to be expected",
        "joins": "{joins} of its {n}neighbours have it too, where chance gives {expected}",
        "joins_1": "{joins} of its {n}neighbours has it too, where chance gives {expected}",
        "joins_only": "Its one neighbour has it too, where chance gives {expected}",
        "next_other": "Its neighbours' {other} is {near} on average, where all areas have {mean}",
        "against": "Against {reference}",
        "like": "Like {other} among its neighbours",
        "contrary_high": "{how} it is high instead",
        "contrary_low": "{how} it is low instead",
        "a": "a deviation this large",
        "a_group": "a group of neighbours this far off",
        "a_joins": "so many neighbours that have it",
        "a_other": "neighbours like that",
        "next_1": "Next door: {rate} in its one neighbour",
        "next": "Next door: {rate} in its {n} neighbours together",
        "next_mean": "Next door: {rate} on average in its {n} neighbours",
        "flagged_none_1": "which is not flagged",
        "flagged_all_1": "which is flagged too",
        "flagged_none": "none of which is flagged",
        "flagged_1": "1 of which is flagged too",
        "flagged": "{k} of which are flagged too",
    },
    "nl": {
        "period": "{indicator} in {period}",
        "rate": "{value} per {per}{unit}",
        "percentage": "{value}%",
        "poisson": "{observed} gezien, {rate}",
        "poisson_bare": "{observed} gezien",
        "binomial": "{observed} van {exposure}, {rate}",
        "gaussian": "{observed}{unit} gemeten",
        "neighbours": "de buren",
        "peers": "vergelijkbare gebieden",
        "national": "alle gebieden samen",
        "all areas": "alle gebieden samen",
        "surroundings": "de wijdere omgeving",
        "model": "het model",
        "parent": "de eigen {level}",
        "stratum": "gebieden van gelijke {level}",
        "other": "de vergelijking {level}",
        "expected": "Afgaand op {reference} was {expected}{rate} te verwachten",
        "times": "dit is {ratio} keer zoveel",
        "times_low": "dit is maar {ratio} keer zoveel",
        "times_none": "er is niets gezien",
        "interval_none": " (95%-interval tot {high} keer zoveel)",
        "interval": " (95%-interval {low} tot {high})",
        "difference_high": "dit is {excess} meer",
        "difference_low": "dit is {excess} minder",
        "p": "Toeval alleen geeft {a} in ongeveer 1 op de {odds} gebieden (p = {p})",
        "p_share": "Toeval alleen geeft {a} in {share}% van de gebieden (p = {p})",
        "p_small": "Toeval alleen geeft {a} in minder dan 1 op de {odds} gebieden (p < {p})",
        "q": "van zulke sterke vlaggen is naar verwachting ongeveer {share}% toeval (q = {q})",
        "q_small": "van zulke sterke vlaggen is naar verwachting minder dan {share}% toeval (q < {q})",
        "q_bare": "gecorrigeerd voor alle gebieden p = {q}",
        "q_none": "niet gecorrigeerd voor het aantal gebieden",
        "evidence_1": "Eén soort aanwijzing ondersteunt dit",
        "evidence": "{n} soorten aanwijzingen ondersteunen dit",
        "leaning": (
            "Dat is niet het cijfer van de buren zelf: wie zelf afwijkt telt niet mee, kleine tellen minder, "
            "en de wijdere omgeving telt mee"
        ),
        "doubt": "Het is geteld op maar {exposure}, dus met een slag om de arm",
        "together_high": "Het gebied en zijn buren vallen samen op als hoog",
        "together_low": "Het gebied en zijn buren vallen samen op als laag",
        "group": "Met de buren: {observed} waar {expected} te verwachten was, {ratio} keer zoveel",
        "group_low": "Met de buren: {observed} waar {expected} te verwachten was, maar {ratio} keer zoveel",
        "group_none": "Met de buren: niets waar {expected} te verwachten was",
        "joins": "{joins} van de {n}buren hebben het ook, waar toeval {expected} geeft",
        "joins_1": "{joins} van de {n}buren heeft het ook, waar toeval {expected} geeft",
        "joins_only": "Het ene buurgebied heeft het ook, waar toeval {expected} geeft",
        "next_other": "Bij de buren is {other} gemiddeld {near}, bij alle gebieden {mean}",
        "against": "Vergeleken met {reference}",
        "like": "Net als {other} bij de buren",
        "contrary_high": "{how} is het juist hoog",
        "contrary_low": "{how} is het juist laag",
        "a": "zo'n afwijking",
        "a_group": "zo'n groep van afwijkende buren",
        "a_joins": "zoveel buren die het hebben",
        "a_other": "zulke buren",
        "next_1": "Ernaast: {rate} in het ene buurgebied",
        "next": "Ernaast: {rate} in de {n} buurgebieden samen",
        "next_mean": "Ernaast: gemiddeld {rate} in de {n} buurgebieden",
        "flagged_none_1": "dat geen vlag heeft",
        "flagged_all_1": "dat ook een vlag heeft",
        "flagged_none": "waarvan geen enkel een vlag heeft",
        "flagged_1": "waarvan 1 ook een vlag heeft",
        "flagged": "waarvan {k} ook een vlag hebben",
    },
}  # fmt: skip


def sentence(row: Row, lang: Language = "en") -> str:
    """Say a flag in words.

    Parameters
    ----------
    row
        A row of ``Flags.frame``; ``per`` and ``unit`` (what the exposure counts) are used where they are
        there. Columns that are missing, or hold no value, leave their part out.
    lang
        ``en`` or ``nl``; also decides how numbers are written.

    Examples
    --------
    >>> sentence({"area_name": "Dorp", "indicator": "thefts", "period": "2024", "family": "poisson",
    ...           "observed": 1234, "value": 32.41, "per": 1000, "direction": "high"}, "nl")
    'Dorp, thefts in 2024: 1.234 gezien, 32,4 per 1.000. Een patroon, geen oordeel.'
    """
    if lang not in _WORDS:
        raise ValueError(f"lang needs to be one of {', '.join(_WORDS)}; got {lang}.")
    parts: list[Callable[[_Facts], str]] = [_seen, _against, _around, _sure, _doubt, _evidence, _next_door]
    facts = _Facts(row, lang)
    return " ".join([*(f"{text}." for part in parts if (text := part(facts))), CAVEAT[lang]])


def number(value: float, lang: Language = "en", digits: int = 3) -> str:
    """Write a number with some significant digits and the marks of the language.

    Examples
    --------
    >>> number(1234.5, "nl", 5), number(0.03712, "en", 2)
    ('1.234,5', '0.037')
    """
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    decimals = max(0, digits - 1 - magnitude)
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.translate(str.maketrans(",.", ".,")) if lang == "nl" else text


def reference_name(reference: str, lang: Language = "en") -> str:
    """Say in words what a detection compares with.

    Examples
    --------
    >>> reference_name("neighbours"), reference_name("parent:gemeente", "nl")
    ('its neighbours', 'de eigen gemeente')
    """
    return _reference(reference, _Facts({}, lang))


class _Facts:
    """The values of a row that are there, and the words of the language."""

    def __init__(self, row: Row, lang: Language) -> None:
        self.row = row
        self.lang = lang

    def get(self, name: str) -> Any:  # noqa: ANN401
        """Return a value, or None where there is none."""
        value = self.row.get(name)
        return None if pd.isna(value) or value == "" else value

    def has(self, *names: str) -> bool:
        """Tell whether all of these are there."""
        return all(self.get(name) is not None for name in names)

    def say(self, words: str, **values: object) -> str:
        """Fill in a phrase."""
        return _WORDS[self.lang][words].format(**values)

    def number(self, value: float, digits: int = 3) -> str:
        """Write a number."""
        return number(float(value), self.lang, digits)

    def count(self, name: str) -> str:
        """Write a count in full, a value with three digits."""
        value = float(self.get(name))
        return self.number(value, 15 if value == round(value) else 3)

    @property
    def family(self) -> str:
        """Family of the indicator."""
        return str(self.get("family") or "poisson")

    @property
    def in_group(self) -> bool:
        """Whether the p is that of a group of neighbours."""
        return self.get("detector") in _GROUP_DETECTORS

    @property
    def other(self) -> str:
        """The other indicator, when the p is about that figure of the neighbours."""
        return _other(str(self.get("reference") or ""))

    @property
    def low(self) -> bool:
        """Whether the area is lower than expected."""
        return self.get("direction") == "low"

    def none(self, name: str) -> bool:
        """Whether a ratio is that of no events at all; a value of zero is seen like any other."""
        return bool(self.get(name) == 0 and self.family != "gaussian")

    def rate(self, name: str, *, unit: bool = False) -> str:
        """Write a rate with what it is per, or nothing where the row does not hold it."""
        if not self.has(name):
            return ""
        value, per = self.number(self.get(name)), self.get("per")
        if self.family == "gaussian" or per is None:
            return value + (self.unit if unit else "")
        if self.family == "binomial" and per == 100:
            return self.say("percentage", value=value)
        return self.say("rate", value=value, per=self.number(per, 15), unit=self.unit if unit else "")

    @property
    def unit(self) -> str:
        """What the exposure counts, or the unit of a measured value, after a space."""
        return f" {self.get('unit')}" if self.has("unit") else ""


def _seen(facts: _Facts) -> str:
    """Say which area, what and when, and what was seen."""
    area, name = facts.get("area"), facts.get("area_name")
    where = f"{name} ({area})" if name and area else str(name or area or "")
    what = facts.get("indicator_title") or facts.get("indicator") or ""
    if what and facts.get("period") not in (None, "all"):
        what = facts.say("period", indicator=what, period=facts.get("period"))
    head = ", ".join(str(part) for part in (where, what) if part)
    figure = _figure(facts)
    return f"{head}: {figure}" if head and figure else head or figure


def _figure(facts: _Facts) -> str:
    if not facts.has("observed"):
        return facts.rate("value", unit=True)
    observed, rate = facts.count("observed"), facts.rate("value", unit=True)
    if facts.family == "gaussian":
        return facts.say("gaussian", observed=observed, unit=facts.unit)
    if facts.family == "binomial" and facts.has("exposure") and rate:
        return facts.say("binomial", observed=observed, exposure=facts.count("exposure"), rate=rate)
    return facts.say("poisson" if rate else "poisson_bare", observed=observed, rate=rate)


def _against(facts: _Facts) -> str:
    """Say what was to be expected, and how far off the area is."""
    if not facts.has("expected"):
        return ""
    rate = facts.rate("reference_value") if facts.family != "gaussian" else ""
    expected = facts.say(
        "expected",
        reference=facts.say("surroundings")
        if facts.other
        else _reference(str(facts.get("reference") or ""), facts),
        expected=facts.number(facts.get("expected")),
        rate=f" ({rate})" if rate else "",
    )
    deviation = _times(facts) or _difference(facts)
    text = f"{expected}; {deviation}" if deviation else expected
    return f"{text}. {facts.say('leaning')}" if _leaning(facts) else text


def _leaning(facts: _Facts) -> bool:
    """Tell whether the expectation is far from what the direct neighbours have."""
    if facts.get("reference") != "neighbours" or not facts.has("reference_value", "neighbors_value"):
        return False
    expected, near = facts.get("reference_value"), facts.get("neighbors_value")
    return expected > 0 and not 1 / _FAR <= near / expected <= _FAR


def _around(facts: _Facts) -> str:
    """Say what the neighbours have, when that is what the p is about."""
    return _joins(facts) or _next_other(facts) or _group(facts)


def _joins(facts: _Facts) -> str:
    """Say how many neighbours have it too."""
    if not facts.has("joins", "joins_expected"):
        return ""
    joins, n = facts.get("joins"), facts.get("n_neighbors")
    known = n is not None and n >= joins
    return facts.say(
        "joins_only" if known and n == 1 == joins else "joins_1" if joins == 1 else "joins",
        joins=int(joins),
        n=f"{int(n)} " if known else "",
        expected=facts.number(facts.get("joins_expected"), 2),
    )


def _next_other(facts: _Facts) -> str:
    """Say what the neighbours have of the other indicator."""
    if not facts.other or not facts.has("other_value", "other_mean"):
        return ""
    near, mean = (facts.number(facts.get(name)) for name in ("other_value", "other_mean"))
    return facts.say("next_other", other=facts.other, near=near, mean=mean)


def _group(facts: _Facts) -> str:
    """Say what the area and its neighbours have together."""
    if not facts.in_group or not facts.has("group_observed", "group_expected", "group_ratio"):
        return ""
    low = "group_none" if facts.none("group_ratio") else "group_low"
    return facts.say(
        low if facts.low else "group",
        observed=facts.number(facts.get("group_observed")),
        expected=facts.number(facts.get("group_expected")),
        ratio=facts.number(facts.get("group_ratio"), 2),
    )


def _other(reference: str) -> str:
    kind, _, other = reference.partition(":")
    return other if kind == "other" else ""


def _reference(name: str, facts: _Facts) -> str:
    kind, _, level = name.partition(":")
    if kind in _WHOLE_REFERENCES:
        return facts.say(kind)
    known = kind in ("parent", "stratum") and level
    return facts.say(kind if known else "other", level=level or kind).strip()


def _times(facts: _Facts) -> str:
    ratio = facts.get("ratio")
    if ratio is None or not 0 <= ratio < math.inf or facts.get("expected") <= 0:
        return ""
    none, times = facts.none("ratio"), "times_low" if facts.low else "times"
    text = facts.say("times_none" if none else times, ratio=facts.number(ratio, 2))
    if not facts.has("ratio_low", "ratio_high") or math.isinf(facts.get("ratio_high")):
        return text
    low, high = (facts.number(facts.get(name), 2) for name in ("ratio_low", "ratio_high"))
    return text + facts.say("interval_none" if none else "interval", low=low, high=high)


def _difference(facts: _Facts) -> str:
    if not facts.has("observed"):
        return ""
    excess = float(facts.get("observed")) - float(facts.get("expected"))
    return facts.say("difference_low" if excess < 0 else "difference_high", excess=facts.number(abs(excess)))


def _sure(facts: _Facts) -> str:
    """Say p and q, in words and as numbers."""
    return "; ".join(filter(None, (_chance(facts), _false_flags(facts))))


def _chance(facts: _Facts) -> str:
    p = facts.get("p_value")
    if p is None:
        return ""
    a = facts.say(_what(facts))
    if p < _SMALLEST_P:
        return facts.say("p_small", a=a, odds=facts.number(1 / _SMALLEST_P, 15), p=facts.number(_SMALLEST_P))
    if p > 0.1:
        return facts.say("p_share", a=a, share=facts.number(100 * p, 2), p=facts.number(p, 2))
    odds = float(f"{1 / p:.2g}")
    return facts.say("p", a=a, odds=facts.number(odds, 15), p=facts.number(p, 2))


def _what(facts: _Facts) -> str:
    """Name what the p is about."""
    if facts.other:
        return "a_other"
    if facts.get("detector") == "local_join_counts":
        return "a_joins"
    return "a_group" if facts.in_group else "a"


def _false_flags(facts: _Facts) -> str:
    q = facts.get("q_value")
    if q is None:
        return ""
    method = facts.get("method") or "bh"
    if method not in ("bh", "by"):
        return facts.say("q_none") if method == "none" else facts.say("q_bare", q=facts.number(q, 2))
    small = q < _SMALLEST_Q
    shown = _SMALLEST_Q if small else q
    share = facts.number(100 * shown, 2)
    return facts.say("q_small" if small else "q", share=share, q=facts.number(shown, 2))


def _doubt(facts: _Facts) -> str:
    """Say when a count stands on so small an exposure that the exposure itself is doubtful."""
    exposure, per = facts.get("exposure"), facts.get("per")
    if None in (exposure, per) or facts.family != "poisson" or exposure >= SMALL_EXPOSURE * per:
        return ""
    return facts.say("doubt", exposure=facts.count("exposure") + facts.unit)


def _evidence(facts: _Facts) -> str:
    """Say how many kinds of evidence there are, and whether the area stands out with its neighbours."""
    n = facts.get("n_evidence")
    support = "" if n is None else facts.say("evidence_1" if n == 1 else "evidence", n=int(n))
    named = {name.partition(":")[0] for name in _listed(facts, "evidence")}
    beside = not facts.in_group and not named.isdisjoint(_GROUP_DETECTORS)
    group = facts.say("together_low" if facts.low else "together_high") if beside else ""
    return ". ".join(filter(None, (support, group, _contrary(facts))))


def _contrary(facts: _Facts) -> str:
    """Say against what the area stands out in the other direction."""
    names = [name.partition(":")[2] for name in _listed(facts, "contrary")]
    against = ", ".join(_reference(name, facts) for name in names if not _other(name))
    how = [facts.say("against", reference=against)] if against else []
    how += [facts.say("like", other=other) for name in names if (other := _other(name))]
    return ". ".join(facts.say("contrary_high" if facts.low else "contrary_low", how=each) for each in how)


def _listed(facts: _Facts, name: str) -> list[str]:
    """Detections that a column names."""
    return [each for each in str(facts.get(name) or "").split("; ") if each]


def _next_door(facts: _Facts) -> str:
    """Say what the neighbours have, and how many of them are flagged too."""
    rate, n = facts.rate("neighbors_value"), facts.get("n_neighbors")
    if not rate or not n:
        return ""
    several = "next_mean" if facts.family == "gaussian" else "next"
    text = facts.say("next_1" if n == 1 else several, rate=rate, n=int(n))
    flagged = facts.get("neighbors_flagged")
    return text if flagged is None else f"{text}, {_flagged(facts, int(n), int(flagged))}"


def _flagged(facts: _Facts, n: int, flagged: int) -> str:
    if n == 1:
        return facts.say("flagged_all_1" if flagged else "flagged_none_1")
    if flagged < 2:
        return facts.say("flagged_1" if flagged else "flagged_none")
    return facts.say("flagged", k=flagged)
