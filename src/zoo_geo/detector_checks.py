"""Checks of a study file that are about detectors: what they compare with, and what is combined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import SimpleNamespace
from typing import TYPE_CHECKING

from zoo_geo.errors import Problems, examples
from zoo_geo.strict import nearest

if TYPE_CHECKING:
    from zoo_geo.detectors.base import Detector
    from zoo_geo.study import Study


def _own_reference(detector: object) -> str:
    """Return the reference that a detector itself names; that of a detection it leans on is no choice."""
    return "" if getattr(detector, "expected", None) else str(getattr(detector, "reference", ""))


def check_references(draft: SimpleNamespace, problems: Problems) -> None:
    """Note parents and indicators that a detector names and the study does not have."""
    for number, detector in enumerate(draft.detectors, 1):
        kind, _, level = _own_reference(detector).partition(":")
        if kind == "parent":
            at, what = f"detectors[{number}].reference", "parent: and a level of areas.parents"
            check_known(level, list(draft.areas.parents), at, what, problems)
        if (other := getattr(detector, "other", None)) is not None:
            known = [indicator.id for indicator in draft.indicators]
            check_known(other, known, f"detectors[{number}].other", "the id of an indicator", problems)


def check_features(draft: SimpleNamespace, problems: Problems) -> None:
    """Note what compares by features, or with peers, where the study has none."""
    lack = "needs to have a section [{0}] in the study; got none. {1}"
    no_features = lack.format("features", "It names the table of features of the areas.")
    if draft.peers and not draft.features:
        problems.add(f"peers {no_features}")
    for number, detector in enumerate(draft.detectors, 1):
        at, reference = f"detectors[{number}]", _own_reference(detector)
        if reference == "peers" and not draft.peers:
            problems.add(f"{at}.reference = peers " + lack.format("peers", "It says who is alike."))
        if (reference.startswith("stratum:") or reference == "model") and not draft.features:
            problems.add(f"{at}.reference = {reference} {no_features}")
        elif getattr(detector, "adjust", ()) and not draft.features:
            problems.add(f"{at}.adjust {no_features}")


def check_families(draft: SimpleNamespace, problems: Problems) -> None:
    """Note comparisons that no indicator of the study can have."""
    counts = [each.id for each in draft.indicators if each.family != "gaussian"]
    shares = [each.id for each in draft.indicators if each.family == "binomial"]
    total = len(draft.indicators)
    for number, detector in enumerate(draft.detectors, 1):
        at, reference = f"detectors[{number}]", _own_reference(detector)
        if reference in ("sar", "sar_lag", "car") and counts and len(counts) == total:
            need = f"{at}.reference = {reference} needs to have values (gaussian)"
            problems.add(f"{need}; got counts ({examples(counts, total)}).")
        elif _adjusts(detector) and shares and len(shares) == total:
            need = f"{at}.adjust needs to have counts per exposure or values"
            got = examples(shares, total)
            problems.add(f'{need}; got shares (binomial: {got}). Use reference = "model".')


def _adjusts(detector: object) -> bool:
    """Tell whether a detector makes areas comparable by covariates before it compares them."""
    return bool(getattr(detector, "adjust", ())) and getattr(detector, "reference", "") != "model"


def check_themes(draft: SimpleNamespace, problems: Problems) -> None:
    """Note combinations of themes that the study's indicators cannot make."""
    themes = Counter(each.theme for each in draft.indicators if each.theme)
    ids = [each.id for each in draft.indicators]
    asked = [(f"combine[{number}]", each) for number, each in enumerate(draft.combine, 1)]
    asked += [
        (f"detectors[{n}]", each) for n, each in enumerate(draft.detectors, 1) if hasattr(each, "theme")
    ]
    for at, each in asked:
        named = getattr(each, "indicators", ())
        for id in named:
            check_known(id, ids, f"{at}.indicators", "ids of indicators", problems)
        if each.theme in ids:
            problems.add(f"{at}.theme needs a name that is no indicator's; got {each.theme}.")
        elif not named and themes[each.theme] < 2:
            hint = " Give it to another one." if each.theme in themes else nearest(each.theme, list(themes))
            problems.add(
                f'{at}.theme needs to be the theme of two indicators or more; got "{each.theme}", which '
                f"{themes[each.theme] or 'none'} has.{hint}"
            )


def check_combined(draft: SimpleNamespace, problems: Problems) -> None:
    """Note combinations of detectors that the study does not have, or that combine already."""
    named = list(zip(_names(draft), draft.detectors, strict=True))
    single = [name for name, each in named if _can_combine(each)]
    whole = [name for name, each in named if each.controls == "family"]
    themes = Counter(each.theme for each in draft.indicators if each.theme)
    for number, each in enumerate(draft.combine, 1):
        at = f"combine[{number}]"
        for name in each.detectors:
            if name in whole:
                problems.add(
                    f'{at}.detectors needs a p of each area; got "{name}", whose p is about the whole map.'
                )
            else:
                check_known(name, single, f"{at}.detectors", "detectors of the study", problems)
        figures = themes[each.theme] * max(len(each.detectors), 1)
        if themes[each.theme] > 1 and each.at_least > figures:
            problems.add(
                f"{at}.at_least needs to be at most the number of figures, {figures}; got {each.at_least}."
            )
    if draft.combine and not single:
        problems.add("combine needs to have a detector with a p of each area and indicator; got none.")
    twice = repeated(each.theme for each in draft.combine)
    if twice:
        first = examples(twice, len(draft.combine))
        problems.add(f"combine needs to have each theme once; got repeated ones ({first}).")


def check_expected(draft: SimpleNamespace, problems: Problems) -> None:
    """Note expected counts of a detection that the study does not have."""
    known = [name for name in _names(draft) if name.startswith("deviation:")]
    for number, detector in enumerate(draft.detectors, 1):
        if (name := getattr(detector, "expected", None)) is not None:
            what = "the name of a deviation of the study, as deviation:national"
            check_known(name, known, f"detectors[{number}].expected", what, problems)


def check_context(draft: SimpleNamespace, problems: Problems) -> None:
    """Note context that the study does not have, or that leaves nothing to raise a flag."""
    every = _names(draft)
    first = [name for name, each in zip(every, draft.detectors, strict=True) if _can_combine(each)][:1]
    references = [[name.partition(":")[2] for name in each.detectors or first] for each in draft.combine]
    known = [*every, *(f"co_occurrence:{' + '.join(dict.fromkeys(each))}" for each in references)]
    for name in draft.flags.context:
        check_known(name, known, "flags.context", "detectors of the study", problems)
    if set(known) <= set(draft.flags.context):
        problems.add("flags.context needs to leave a detector that can raise a flag; got all of them.")


def _can_combine(detector: Detector) -> bool:
    """Whether a detector has a p of each area and indicator, as `pipeline` combines."""
    return not hasattr(detector, "theme") and detector.controls == "cell"


def _names(draft: SimpleNamespace | Study) -> list[str]:
    """Return detector and reference of what each detector will find, as in ``deviation:national``."""
    from zoo_geo.detectors.local import reference

    def compared_with(detector: object) -> str:
        named = getattr(detector, "reference", None)
        return str(named) if named else reference(getattr(detector, "value", "residual"))

    return [f"{each.called}:{compared_with(each)}" for each in draft.detectors]


def detector_names(draft: SimpleNamespace | Study) -> list[str]:
    """Return the name of what each detector finds, and its theme."""
    themes = [f" of {each.theme}" if getattr(each, "theme", "") else "" for each in draft.detectors]
    return [name + theme for name, theme in zip(_names(draft), themes, strict=True)]


def check_known(name: str, known: list[str], at: str, what: str, problems: Problems) -> None:
    """Note a name that is not among the known ones."""
    if name not in known:
        problems.add(f'{at} needs to be {what}; got "{name}".{nearest(name, known)}')


def check_different_detectors(draft: SimpleNamespace, problems: Problems) -> None:
    """Note detectors of which each would find the same."""
    twice = repeated(detector_names(draft))
    if twice:
        listed = examples(twice, len(draft.detectors))
        problems.add(
            "detectors need to differ in type, reference, direction or time; got the same more than once "
            f"({listed})."
        )


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that come more than once."""
    return [name for name, count in Counter(names).items() if count > 1]
