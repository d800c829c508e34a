"""A flag in words, in English and Dutch, from the columns of its row and nothing else.

What was seen, against what, how sure, and is it as bad next door; then the caveat. A part whose
columns are missing is left out.
"""

from __future__ import annotations

import math
import re
from bisect import bisect
from collections.abc import Callable

from zoo_geo.facts import GROUP_DETECTORS, Facts, Language, Row, detector_kind, other_in
from zoo_geo.phrases import WORDS
from zoo_geo.schema import SMALL_EXPOSURE

CAVEAT = {"en": "A pattern, not a verdict.", "nl": "Een patroon, geen oordeel."}

_SMALLEST_P = 1e-6
_SMALLEST_Q = 1e-4
_FAR = 1.5
_WHOLE_REFERENCES = (
    "neighbours", "surroundings", "peers", "national", "all areas", "model", "sar", "sar_lag", "car",
    "own history",
)  # fmt: skip


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
    if lang not in WORDS:
        raise ValueError(f"lang needs to be one of {', '.join(WORDS)}; got {lang}.")
    parts: list[Callable[[Facts], str]] = [
        _seen, _against, _over_time, _around, _carried, _sure, _doubt, _evidence, _compared, _explained,
        _next_door,
    ]  # fmt: skip
    facts = Facts(row, lang)
    return " ".join([*(f"{text}." for part in parts if (text := part(facts))), CAVEAT[lang]])


def reference_name(reference: str, lang: Language = "en") -> str:
    """Say in words what a detection compares with.

    Examples
    --------
    >>> reference_name("neighbours"), reference_name("parent:gemeente", "nl")
    ('its neighbours', 'de eigen gemeente')
    """
    return _reference(reference, Facts({}, lang))


def _seen(facts: Facts) -> str:
    """Say which area, what and when, and what was seen."""
    area, name = facts.get("area"), facts.get("area_name")
    where = f"{name} ({area})" if name and area else str(name or area or "")
    what = facts.get("indicator_title") or facts.get("indicator") or ""
    if what and facts.get("period") not in (None, "all"):
        what = facts.say("period", indicator=what, period=facts.get("period"))
    head = ", ".join(str(part) for part in (where, what) if part)
    figure = _figure(facts)
    return f"{head}: {figure}" if head and figure else head or figure


def _figure(facts: Facts) -> str:
    if not facts.has("observed"):
        return facts.rate("value", unit=True)
    observed, rate = facts.count("observed"), facts.rate("value", unit=True)
    if facts.family == "gaussian":
        return facts.say("gaussian", observed=observed, unit=facts.unit)
    if facts.family == "binomial" and facts.has("exposure") and rate:
        return facts.say("binomial", observed=observed, exposure=facts.count("exposure"), rate=rate)
    seen = facts.say("poisson" if rate else "poisson_bare", observed=observed, rate=rate)
    return facts.say("units", seen=seen, events=facts.count("events")) if facts.has("events") else seen


def _against(facts: Facts) -> str:
    """Say what was to be expected, and how far off the area is."""
    if not facts.has("expected"):
        return ""
    rate = facts.rate("reference_value") if facts.family != "gaussian" else ""
    expected = facts.say(
        "expected",
        reference=_going_by(facts),
        expected=facts.number(facts.get("expected")),
        rate=f" ({rate})" if rate else "",
    )
    deviation = _times(facts) or _difference(facts)
    text = f"{expected}; {deviation}" if deviation else expected
    return f"{text}. {facts.say('leaning')}" if _leaning(facts) else text


def _going_by(facts: Facts) -> str:
    """Say what leads to an expectation."""
    if facts.other:
        return facts.say("surroundings")
    if facts.get("detector") == "trend":
        return facts.say("beginning")
    name = _reference(str(facts.get("reference") or ""), facts, by=True)
    if facts.get("detector") == "spike" and facts.has("n_periods"):
        n = int(facts.get("n_periods"))
        words = f"history{'_before' * facts.before}{'_1' * (n == 1)}"
        return facts.say(words, n=n, reference=name)
    return name


def _over_time(facts: Facts) -> str:
    """Say what the area's other periods had, how its surroundings changed, and how its series goes."""
    detector = facts.get("detector")
    if detector == "spike":
        return _history(facts)
    if detector == "trend" and facts.has("slope", "n_periods"):
        slope = facts.get("slope")
        words = "trend_low" if slope < 0 else "trend_high"
        beside = facts.get("reference") not in (None, "own history")
        return facts.say(
            words,
            slope=_amount(abs(slope), facts),
            each=facts.say("a_year" if _YEAR.fullmatch(str(facts.get("period"))) else "a_period"),
            n=int(facts.get("n_periods")),
            beside=facts.say("beside", reference=_reference(str(facts.get("reference")), facts))
            if beside
            else "",
        )
    return _pattern(facts) if detector == "emerging" and facts.has("n_periods") else ""


def _pattern(facts: Facts) -> str:
    """Say what hot or cold spot the area is over the periods, or that it is none."""
    n, label = int(facts.get("n_periods")), facts.get("label")
    if label == "no_pattern":
        return facts.say("pattern_none", n=n)
    known = f"pattern_{label}" in WORDS[facts.lang]
    return facts.say("pattern", pattern=facts.say(f"pattern_{label}"), n=n) if known else ""


_YEAR = re.compile(r"1[5-9]\d\d|2[01]\d\d")
"""Periods that are years: slopes are by the year then, see `detectors.over_time.are_years`."""


def _history(facts: Facts) -> str:
    """Say what the area's other periods had, and what happened around it meanwhile."""
    if not facts.has("history_value", "surroundings_change"):
        return ""
    change, reference = facts.get("surroundings_change"), _reference(str(facts.get("reference") or ""), facts)
    own = facts.say(
        ("history_mean" if facts.family == "gaussian" else "history_own") + "_before" * facts.before,
        rate=facts.rate("history_value"),
    )
    if facts.family == "gaussian":
        words = "around_low" if change < 0 else "around_high"
        return own + facts.say(words, change=facts.number(abs(change), 2), reference=reference)
    words = "around_odds" if facts.family == "binomial" else "around"
    return own + facts.say(words, change=facts.number(change, 2), reference=reference)


def _amount(value: float, facts: Facts) -> str:
    """Write a rate that is not a column."""
    per = facts.get("per")
    if facts.family == "gaussian" or per is None:
        return facts.number(value) + facts.unit
    return facts.say("rate", value=facts.number(value), per=facts.number(per, 15), unit="")


def _leaning(facts: Facts) -> bool:
    """Tell whether the expectation is far from what the direct neighbours have."""
    if facts.get("reference") != "neighbours" or not facts.has("reference_value", "neighbors_value"):
        return False
    expected, near = facts.get("reference_value"), facts.get("neighbors_value")
    return expected > 0 and not 1 / _FAR <= near / expected <= _FAR


def _around(facts: Facts) -> str:
    """Say what the neighbours have, when that is what the p is about."""
    return _joins(facts) or _nextother_in(facts) or _cluster(facts) or _group(facts)


def _joins(facts: Facts) -> str:
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


def _nextother_in(facts: Facts) -> str:
    """Say what the neighbours have of the other indicator."""
    if not facts.other or not facts.has("other_value", "other_mean"):
        return ""
    near, mean = (facts.number(facts.get(name)) for name in ("other_value", "other_mean"))
    return facts.say("next_other", other=facts.other, near=near, mean=mean)


def _group(facts: Facts) -> str:
    """Say what the area and its neighbours have together."""
    if not facts.in_group or not facts.has("group_observed", "group_expected", "group_ratio"):
        return ""
    low = "group_none" if facts.none("group_ratio") else "group_low"
    mean = "_mean" if facts.family == "gaussian" else ""
    return facts.say(
        low + mean * (low == "group_low") if facts.low else "group" + mean,
        observed=facts.number(facts.get("group_observed")),
        expected=facts.number(facts.get("group_expected")),
        ratio=facts.number(facts.get("group_ratio"), 2),
    )


def _carried(facts: Facts) -> str:
    """Say which figures a combination is made of, each with what the others lead to expect."""
    parts = [match for each in _listed(facts, "parts") if (match := _PART.fullmatch(each))]
    if not parts:
        return ""
    told = [_part(facts, *match.groups(), first=not place) for place, match in enumerate(parts)]
    several = facts.get("detector") == "co_occurrence"
    of = f"{int(facts.get('n_indicators'))}" if facts.has("n_indicators") else ""
    words = "co_occurrence_1" if len(parts) == 1 else "co_occurrence" if of else "co_occurrence_bare"
    return facts.say(
        words if several else "unusual_mix",
        reference=_reference(str(facts.get("reference") or ""), facts), n=len(parts), of=of,
        parts=", ".join(told),
    )  # fmt: skip


_PART = re.compile(r"(.+) ([+-][0-9.]+)(?: \(([+-][0-9.]+)\))?")
"""A part as detectors list it: name, score, and the score that the others lead to expect."""


def _part(facts: Facts, name: str, score: str, others: str | None, *, first: bool) -> str:
    """Say one part; the first one says what its numbers are."""
    text = facts.say("part_1" if first else "part", name=name, score=_signed(facts, score))
    return text + (
        facts.say("others_1" if first else "others", score=_signed(facts, others)) if others else ""
    )


def _signed(facts: Facts, score: str) -> str:
    return score[0] * bool(float(score)) + facts.number(abs(float(score)), 2)


def _cluster(facts: Facts) -> str:
    """Say what cluster the area lies in, when that is what the p is about."""
    if not facts.in_cluster or not facts.has("cluster_areas", "cluster_observed", "cluster_expected"):
        return ""
    n, risk = int(facts.get("cluster_areas")), facts.get("relative_risk")
    text = facts.say(
        "cluster_1" if n == 1 else "cluster_low" if facts.low else "cluster",
        n=facts.number(n, 15),
        observed=facts.count("cluster_observed"),
        expected=facts.number(facts.get("cluster_expected")),
    )
    if facts.together:
        first, last = facts.get("start"), facts.get("end")
        text = f"{text}, {facts.say('periods_together', first=first, last=last)}"
    if risk is not None and 0 < risk < math.inf:
        text = f"{text}; {facts.say('risk_low' if facts.low else 'risk', ratio=facts.number(risk, 2))}"
    if n > 1 and facts.kind == "graph_scan":
        text = f"{text}. {facts.say('any_shape')}"
    if facts.together and facts.has("own_low", "own_high"):
        low, high = (facts.number(facts.get(name), 2) for name in ("own_low", "own_high"))
        text = f"{text}. {facts.say('own_together', low=low, high=high)}"
    return text


def _reference(name: str, facts: Facts, *, by: bool = False) -> str:
    """Say what is compared with; `by` after 'going by'."""
    kind, _, level = name.partition(":")
    if kind in _WHOLE_REFERENCES:
        return facts.say("model_by" if by and kind == "model" else kind)
    known = kind in ("parent", "stratum") and level
    return facts.say(kind if known else "other", level=level or kind).strip()


def _times(facts: Facts) -> str:
    ratio = facts.get("ratio")
    if ratio is None or not 0 <= ratio < math.inf or facts.get("expected") <= 0:
        return ""
    none, times = facts.none("ratio"), "times_low" if facts.low else "times"
    text = facts.say("times_none" if none else times, ratio=facts.number(ratio, 2))
    if not facts.has("ratio_low", "ratio_high") or math.isinf(facts.get("ratio_high")):
        return text
    if facts.in_cluster and facts.together and facts.has("own_low", "own_high"):
        return text  # what counts is the interval over the periods of the cluster
    low, high = (facts.number(facts.get(name), 2) for name in ("ratio_low", "ratio_high"))
    return text + facts.say("interval_none" if none else "interval", low=low, high=high)


def _difference(facts: Facts) -> str:
    if not facts.has("observed"):
        return ""
    excess = float(facts.get("observed")) - float(facts.get("expected"))
    return facts.say("difference_low" if excess < 0 else "difference_high", excess=facts.number(abs(excess)))


def _sure(facts: Facts) -> str:
    """Say p and q, in words and as numbers."""
    return "; ".join(filter(None, (_chance(facts), _false_flags(facts))))


def _chance(facts: Facts) -> str:
    p = facts.get("p_value")
    if p is None:
        return ""
    if facts.in_cluster:
        words = "p_map_plain" if facts.has("overdispersion") else "p_map"
        return facts.say(
            words if p <= 0.1 else f"{words}_share",
            reference=_reference(str(facts.get("reference") or ""), facts, by=True),
            odds=facts.number(float(f"{1 / p:.2g}"), 15),
            share=facts.number(100 * p, 2),
            p=facts.number(p, 2),
        )
    a = facts.say(_what(facts))
    if p < _SMALLEST_P:
        return facts.say("p_small", a=a, odds=facts.number(1 / _SMALLEST_P, 15), p=facts.number(_SMALLEST_P))
    if p > 0.1:
        return facts.say("p_share", a=a, share=facts.number(100 * p, 2), p=facts.number(p, 2))
    odds = float(f"{1 / p:.2g}")
    return facts.say("p", a=a, odds=facts.number(odds, 15), p=facts.number(p, 2))


def _what(facts: Facts) -> str:
    """Name what the p is about."""
    if facts.other:
        return "a_other"
    if facts.get("detector") in ("unusual_mix", "co_occurrence"):
        one = facts.get("detector") == "co_occurrence" and len(_listed(facts, "parts")) == 1
        return f"a_{facts.get('detector')}{'_1' * one}"
    if facts.get("detector") in ("spike", "trend", "local_join_counts"):
        return {"spike": "a_change", "trend": "a_trend"}.get(str(facts.get("detector")), "a_joins")
    return "a_group" if facts.in_group else "a"


def _false_flags(facts: Facts) -> str:
    q = facts.get("q_value")
    if q is None or facts.in_cluster:
        return ""
    method = facts.get("method") or "bh"
    if method not in ("bh", "by"):
        return facts.say("q_none") if method == "none" else facts.say("q_bare", q=facts.number(q, 2))
    small = q < _SMALLEST_Q
    shown = _SMALLEST_Q if small else q
    share = facts.number(100 * shown, 2)
    return facts.say("q_small" if small else "q", share=share, q=facts.number(shown, 2))


def _doubt(facts: Facts) -> str:
    """Say when a count stands on so small an exposure that the exposure itself is doubtful."""
    exposure, per = facts.get("exposure"), facts.get("per")
    if None in (exposure, per) or facts.family != "poisson" or exposure >= SMALL_EXPOSURE * per:
        return ""
    return facts.say("doubt", exposure=facts.count("exposure") + facts.unit)


def _evidence(facts: Facts) -> str:
    """Say how many kinds of evidence there are, and whether the area stands out with its neighbours."""
    n = facts.get("n_evidence")
    support = "" if n is None else facts.say("evidence_1" if n == 1 else "evidence", n=int(n))
    named = {name.partition(":")[0] for name in _listed(facts, "evidence")}
    beside = not facts.in_group and not named.isdisjoint(GROUP_DETECTORS)
    group = facts.say("together_low" if facts.low else "together_high") if beside else ""
    return ". ".join(filter(None, (support, group, _in_a_cluster(facts), _contrary(facts))))


def _in_a_cluster(facts: Facts) -> str:
    """Say that the area lies in a cluster of several areas too, where its p is not that cluster's."""
    n = facts.get("cluster_areas")
    if facts.in_cluster or n is None or n < 2:
        return ""
    return facts.say("also_cluster_low" if facts.low else "also_cluster", n=facts.number(n, 15))


def _compared(facts: Facts) -> str:
    """Say against what else the area stands out the same way, and against what it does not."""
    own = f"{facts.get('detector')}:{facts.get('reference')}"
    told = []
    apart = "apart_alone" if facts.in_cluster else "apart"
    for column, words in (("agrees", "also_low" if facts.low else "also_high"), ("disagrees", apart)):
        names = [name.partition(":")[2] for name in _listed(facts, column) if name != own]
        if names:
            told.append(facts.say(words, references=_enumerated(names, facts)))
    return ". ".join(told)


def _enumerated(names: list[str], facts: Facts) -> str:
    """Name references as in 'a, b and c'."""
    *first, last = (_reference(name, facts) for name in names)
    return facts.say("and", first=", ".join(first), last=last) if first else last


_SHARES = (-0.125, 0.125, 0.29, 0.415, 0.585, 0.71, 0.875, 1.125)
"""Between shares of a deviation that have a word of their own."""


def _explained(facts: Facts) -> str:
    """Say how much of the difference from all areas together covariates explain, where it is the same way.

    That they explain nothing is said only where the area stands out from what they lead to expect.
    """
    share, before = facts.get("explained"), facts.get("ratio_before")
    if share is None or before is None or bool(before < 1.0) != facts.low:
        return ""
    place = bisect(_SHARES, share)
    if place < 2 and not any(name.endswith(":model") for name in _listed(facts, "agrees")):
        return ""
    return facts.say("explained", share=facts.say(f"share_{place}")) if place else facts.say("explained_less")


_OTHER_WAYS = {"trend": "trend", "spike": "spike", "scan": "scan", "graph_scan": "scan"}
"""Detectors that compare with something else than their reference, and their words."""


def _contrary(facts: Facts) -> str:
    """Say against what the area stands out in the other direction, and what else goes that way."""
    way = "high" if facts.low else "low"
    named = [name.partition(":")[::2] for name in _listed(facts, "contrary")]
    each = [(detector_kind(detector), reference) for detector, reference in named]
    names = dict.fromkeys(reference for detector, reference in each if detector not in _OTHER_WAYS)
    against = ", ".join(_reference(name, facts) for name in names if not other_in(name))
    how = [facts.say("against", reference=against)] if against else []
    how += [facts.say("like", other=other) for name in names if (other := other_in(name))]
    ways = dict.fromkeys(_OTHER_WAYS[detector] for detector, _ in each if detector in _OTHER_WAYS)
    told = [facts.say(f"contrary_{way}", how=each) for each in how]
    return ". ".join([*told, *(facts.say(f"contrary_{words}_{way}") for words in ways)])


def _listed(facts: Facts, name: str) -> list[str]:
    """Detections that a column names."""
    return [each for each in str(facts.get(name) or "").split("; ") if each]


def _next_door(facts: Facts) -> str:
    """Say what the neighbours have, and how many of them are flagged too."""
    rate, n = facts.rate("neighbors_value"), facts.get("n_neighbors")
    if not rate or not n:
        return ""
    several = "next_mean" if facts.family == "gaussian" else "next"
    text = facts.say("next_1" if n == 1 else several, rate=rate, n=int(n))
    flagged = facts.get("neighbors_flagged")
    return text if flagged is None else f"{text}, {_flagged(facts, int(n), int(flagged))}"


def _flagged(facts: Facts, n: int, flagged: int) -> str:
    if n == 1:
        return facts.say("flagged_all_1" if flagged else "flagged_none_1")
    if flagged < 2:
        return facts.say("flagged_1" if flagged else "flagged_none")
    return facts.say("flagged", k=flagged)
