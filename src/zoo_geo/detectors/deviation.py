"""Areas whose figure deviates from what a reference leads to expect."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import ClassVar, get_args

import numpy as np
from scipy import special

from zoo_geo import expectation as ex
from zoo_geo import references
from zoo_geo.checks import nearest_name
from zoo_geo.covariates import Method, explained
from zoo_geo.detectors import sources
from zoo_geo.detectors.base import Alternative, Detector, Scores, blank, options, spread_out
from zoo_geo.detectors.comparisons import RESULTS, compare, next_door
from zoo_geo.detectors.inputs import ISOLATED, NOT_TESTED, OK, TOO_FEW, Inputs, blocks, column_status
from zoo_geo.errors import InputError
from zoo_geo.moments import BY_MOMENTS
from zoo_geo.notices import Notice, compared, count
from zoo_geo.notices import share as percent
from zoo_geo.panel import ALL, Indicator
from zoo_geo.predictive import FAMILIES, Binomial, Family, Poisson
from zoo_geo.response import Hidden
from zoo_geo.schema import SMALL_EXPOSURE
from zoo_geo.threads import one_thread

_PARTS = ("clean", "precision", "shrink", "steep", "response", "heavy", "error")
"""Options that are those of the estimation."""
_IMPLAUSIBLE = 0.03


@dataclass(frozen=True)
class Deviation(Detector):
    """Counts, shares and values against neighbours, peers, parents, strata, the nation or covariates.

    What is seen in an area is compared with the predictive distribution that its reference leads to:
    negative binomial, beta-binomial or Student t, with the spread of true rates estimated robustly
    and the error of the expectation integrated over. Areas that are odd themselves leave the
    expectation of others; rates are weighted by their precision and shrunk to the wider surroundings.

    Parameters
    ----------
    reference
        ``neighbours``; ``peers`` (areas that are alike; taken when `Peers` are given); ``national``;
        ``parent:LEVEL`` with a level of ``areas``; ``stratum:FEATURE``, areas of the same class; ``model``,
        what covariates lead to expect; for values also ``sar``, ``sar_lag`` and ``car``, the mean given all
        other areas under an autoregression.
    rings
        Widest surroundings tried for ``neighbours``; the width with the best leave-one-out
        predictive likelihood is taken for each column.
    alternative
        ``two-sided``, ``greater`` or ``less``.
    clean, precision, shrink, steep, response, heavy, error
        Parts of the estimation, see `expectation.Options`.
    robust
        Estimate the spread of true rates by the share of figures in the middle, which odd areas hardly
        change; else by moments.
    integrate
        Average tails of counts over the error of the expectation; else its variance adds to the spread
        (but where people nobody counted are allowed for).
    adjust
        Columns of the features that make areas comparable before they are compared: place and class
        together. With ``model`` the covariates, all features where none is named.
    method
        Of regressing on covariates: ``poisson``, ``tweedie`` or ``boosting``.

    References
    ----------
    Spiegelhalter (2005), doi:10.1002/sim.1970, for funnel limits under overdispersion; Marshall
    (1991), doi:10.2307/2347593, for shrinking to the surroundings.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.Deviation(reference="national").reference
    'national'
    """

    name: ClassVar[str] = "deviation"
    evidence: ClassVar[str] = "own figure"
    own: ClassVar[tuple[str, ...]] = (
        "spread", "n_neighbors", "neighbors_value", "reference_value", "ratio_before", "explained", "events",
    )  # fmt: skip

    reference: str = "neighbours"
    rings: int = 3
    alternative: Alternative = "two-sided"
    clean: int = 2
    precision: bool = True
    shrink: bool = True
    steep: bool = True
    response: bool = True
    heavy: bool = True
    error: bool = True
    robust: bool = True
    integrate: bool = True
    adjust: tuple[str, ...] = ()
    method: Method = "poisson"

    def __post_init__(self) -> None:
        options(alternative=(self.alternative, ("two-sided", "greater", "less")))
        options(method=(self.method, get_args(Method)))
        kind, _, level = self.reference.partition(":")
        if self.reference not in (*sources.GRAPHS, *sources.WHOLES, *sources.VALUES_ONLY) and not (
            kind in sources.PARTS and level
        ):
            known = (*sources.GRAPHS, *sources.WHOLES, *sources.VALUES_ONLY)
            raise InputError(
                "reference needs to be 'neighbours', 'peers', 'national', 'parent:LEVEL', 'stratum:FEATURE', "
                f"'model', 'sar', 'sar_lag' or 'car'; got {self.reference!r}."
                + nearest_name(self.reference, known)
            )
        object.__setattr__(
            self, "adjust", (self.adjust,) if isinstance(self.adjust, str) else tuple(self.adjust)
        )
        for name in (*_PARTS[1:], "robust", "integrate"):
            options(**{name: (getattr(self, name), (True, False))})
        if not isinstance(self.clean, int) or not 0 <= self.clean <= 5:
            raise InputError(f"clean needs to be between 0 and 5; got {self.clean!r}.")
        if not isinstance(self.rings, int) or not 1 <= self.rings <= 5:
            raise InputError(f"rings needs to be a whole number from 1 to 5; got {self.rings!r}.")
        changed = [each.name for each in fields(self) if getattr(self, each.name) != each.default]
        sources.check_used(self.reference, changed, self.adjust)

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        from zoo_geo.kernels.layout import into_areas

        reference = "peers" if inputs.peers is not None and self.reference == "neighbours" else self.reference
        fits, unfit = sources.fitting(reference, inputs, self.adjust, self.method)
        options = ex.Options(**{name: getattr(self, name) for name in _PARTS})
        source = sources.find(reference, inputs, self.rings, options, self.adjust, self.method)
        shape = inputs.observed.shape
        status = column_status(inputs)
        status[:, ~fits] = np.where(status[:, ~fits] == OK, NOT_TESTED, status[:, ~fits])
        modelled = ("ratio_before", "explained") if self.reference == "model" else ()
        results = {name: blank(shape, ~fits) for name in (*RESULTS, *modelled)}
        label, side = (np.zeros(shape, np.int8, order="F") for _ in range(2))
        extreme, over = np.zeros(shape, bool, order="F"), np.full(shape[1], np.nan)
        told: dict[int, tuple[Notice, ...]] = {}
        company: dict[tuple[int, bytes], np.ndarray] = {}
        per = inputs.per()

        def block(work: tuple[str, np.ndarray]) -> None:
            family, columns = (FAMILIES if self.robust else BY_MOMENTS)[work[0]], work[1]
            valid = status[:, columns] == OK
            given = _given(inputs, columns, valid, family)
            fitted = source.fit(given)
            fit, known = fitted.fit, inputs.status[:, columns] == OK
            usable = ex.usable(family, fit.rate, fitted.block.size)
            now = _lonely(status[:, columns], known, source.near, fit, usable, company)
            status[:, columns], valid = now, now == OK
            table = compare(fitted, given, valid, per[columns], self.integrate, self.alternative)
            for name, rows in zip(RESULTS, table, strict=True):
                into_areas(rows, columns, results[name])
            found = dict(zip(RESULTS, table, strict=True))
            if modelled:
                before = _before(given, valid, found["ratio"].T, found["expected"].T)
                for name, array in zip(modelled, before, strict=True):
                    into_areas(np.ascontiguousarray(array.T), columns, results[name])
            classes = _classes(found["z"], found["p_value"])
            label[:, columns], side[:, columns], extreme[:, columns] = (each.T for each in classes)
            if isinstance(family, Poisson) and not isinstance(family, Binomial):
                over[columns] = _overdispersions(fit, found["expected"], valid)
            told.update({int(c): _words(fitted, given, k) for k, c in enumerate(columns)})

        wanted = [(family, columns[fits[columns]]) for family, columns in blocks(inputs, n_jobs)]
        with one_thread() if self.adjust or reference == "model" else nullcontext():
            spread_out(block, [work for work in wanted if work[1].size], n_jobs)
        arrays: dict[str, np.ndarray | None] = {**results, "statistic": results["z"]}
        arrays |= {name: arrays.get(name) for name in self.own} | {"events": inputs.events}
        arrays |= {} if inputs.csr is None else next_door(inputs, n_jobs)
        notices = [*unfit, *source.notices, *_told(told, inputs, reference)]
        notices += [*_doubts(inputs, status, extreme, reference), *_bursts(inputs, over, reference)]
        if reference == "peers" and inputs.peers is None:
            notices.append(
                Notice(
                    "Peers are the neighbours of the graph that was given; build_peers finds areas alike.",
                    "Vergelijkingsgebieden zijn de buren van de gegeven graaf; build_peers vindt gelijken.",
                )
            )
        if inputs.peers is not None and reference == "peers":
            en, nl = "Peers are those of set", "Vergelijkingsgebieden zijn die van set"
            notices.append(Notice(f"{en} {inputs.peers}.", f"{nl} {inputs.peers}."))
        return Scores(reference, status, arrays, _CLASSES, label, side, notices, fresh=frozenset(results))


def _given(inputs: Inputs, columns: np.ndarray, valid: np.ndarray, family: Family) -> sources.Block:
    """Figures of some columns; those that lie side by side are not copied."""
    together = columns[-1] - columns[0] < columns.size
    those = slice(columns[0], columns[-1] + 1) if together else columns
    return sources.Block(inputs.observed[:, those], inputs.exposure[:, those], valid, family)


def _before(
    given: sources.Block, valid: np.ndarray, ratio: np.ndarray, expected: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ratio without covariates, and the part of the deviation that they explain."""
    with np.errstate(divide="ignore", invalid="ignore"):
        elsewhere = _elsewhere(given) * (1.0 if given.family.name == "gaussian" else given.size)
    told = explained(np.where(valid & np.isfinite(ratio), given.observed, np.nan), elsewhere, expected)
    return told.ratio_before, told.share


def _elsewhere(block: sources.Block) -> np.ndarray:
    """Rate (mean value) of all other areas together, shape (n_areas, n_columns)."""
    size = np.where(block.valid, block.size, 0.0)
    events = np.where(block.valid, block.observed, 0.0) * (size if block.family.name == "gaussian" else 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (references.totals(events) - events) / (references.totals(size) - size)


def _lonely(
    status: np.ndarray,
    known: np.ndarray,
    near: Sequence[references.Reference],
    fit: ex.Expectation,
    usable: np.ndarray,
    kept: dict[tuple[int, bytes], np.ndarray],
) -> np.ndarray:
    """Mark areas whose reference holds no other figure, and those it leads to expect nothing of."""
    if not near:
        return np.where((status == OK) & ~usable, TOO_FEW, status)
    alone = np.zeros(status.shape, bool, order="F")
    for c, width in enumerate(fit.width):
        alone[:, c] = _without_company(near[width], known[:, c], kept)
    return np.where(known & alone, ISOLATED, np.where((status == OK) & ~usable, TOO_FEW, status))


def _without_company(
    reference: references.Reference, known: np.ndarray, kept: dict[tuple[int, bytes], np.ndarray]
) -> np.ndarray:
    """Say which areas have no other with a figure in a reference; kept, as columns often lack the same."""
    key = id(reference), known.tobytes()
    if key not in kept:
        kept[key] = ~references.in_company([reference], known[:, None])[:, 0]
    return kept[key]


_CLASSES = ("low_998", "low_95", "as_expected", "high_95", "high_998")


def _classes(z: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Control-limit class (95 % and 99.8 %, as in funnel plots), side, and whether p is extreme."""
    from zoo_geo.kernels.comparing import classify

    label, side, far = np.empty(z.shape, np.int8), np.empty(z.shape, np.int8), np.empty(z.shape, bool)
    inner, outer = special.ndtri([0.975, 0.999]).tolist()
    classify(z, p, inner, outer, 0.001, label, side, far)
    return label, side, far


def _about(number: float) -> str:
    """Say in words how many people there are in a typical area."""
    return f"about {number:,.0f}" if number >= 1.0 else "hardly any, and in a few many,"


def _ongeveer(number: float) -> str:
    """As `_about`, in Dutch."""
    return f"ongeveer {count(number)}" if number >= 1.0 else "haast geen, en in enkele veel"


def _words(fitted: sources.Fitted, given: sources.Block, k: int) -> tuple[Notice, ...]:
    """Say of one column what was found beside the expectation."""
    law = fitted.fit.laws[k]
    found = list(fitted.told[k]) if fitted.told else []
    if isinstance(law, Hidden):
        found.append(
            Notice(
                f"counts behave as if {_about(law.typical)} people nobody counted were in a typical area, "
                "beside its exposure; expectation and spread allow for them",
                f"aantallen gedragen zich alsof er in een gewoon gebied {_ongeveer(law.typical)} mensen "
                "waren die niemand telde, naast de noemer; verwachting en spreiding houden daar rekening mee",
            )
        )
    elif law is not None and law.size.size > 1:
        found.append(
            Notice(
                "rate and spread depend on the size of the exposure; expectation and spread allow for it",
                "cijfer en spreiding hangen af van de grootte van de noemer; verwachting en spreiding houden "
                "daar rekening mee",
            )
        )
    elif law is not None:
        found.append(
            Notice(
                "true rates have a heavier upper tail than a gamma law; p allows for it",
                "ware cijfers lopen naar boven verder uiteen dan een gammaverdeling; p is daarop berekend",
            )
        )
    if fitted.skill and np.isnan(fitted.skill[k]):
        some = given.valid[:, k].any()
        few = Notice(
            "too few areas have a figure for that many covariates",
            "te weinig gebieden hebben een cijfer voor zoveel kenmerken",
        )
        found += [few] if some else []
    elif fitted.skill:
        part = max(fitted.skill[k], 0.0)
        found.append(
            Notice(
                f"covariates explain {part:.0%} of the differences between areas elsewhere",
                f"kenmerken verklaren {part:.0%} van de verschillen tussen gebieden elders",
            )
        )
    return tuple(found)


def _told(told: dict[int, tuple[Notice, ...]], inputs: Inputs, reference: str) -> list[Notice]:
    """One sentence an indicator and finding, with the periods that it holds for."""
    periods: dict[tuple[str, Notice], list[str]] = {}
    for c in sorted(told):
        indicator, period = inputs.columns[c]
        for words in told[c]:
            periods.setdefault((indicator.id, words), []).append(period)
    return [
        Notice(
            f"{_of(id, when)} against {reference}: {words}.",
            f"{_of(id, when)} tegenover {compared(reference)}: {words.nl}.",
        )
        for (id, words), when in periods.items()
    ]


def _doubts(inputs: Inputs, status: np.ndarray, extreme: np.ndarray, reference: str) -> list[Notice]:
    """Warn where far more areas are extreme than chance explains: the exposure may be the wrong one."""
    known = status == OK
    number = known.sum(0)
    doubtful = (number >= 200) & (extreme.sum(0) > _IMPLAUSIBLE * number)
    own: dict[str, list[int]] = {}
    for c in np.flatnonzero(doubtful):
        own.setdefault(inputs.columns[c][0].id, []).append(int(c))
    return [
        _doubt(indicator, np.array(own[indicator.id]), inputs, known, extreme, reference)
        for indicator in inputs.indicators
        if indicator.id in own
    ]


_BURSTY = ((1.0, 2.0), (0.5, 10.0))
"""Spread from which counts are called bursts, and the variance over mean of a typical area that it takes.
Below 0.5 none does: large counts have a large variance where rates differ a little."""
_FEWEST_FOR_BURSTS = 50


def _overdispersions(fit: ex.Expectation, expected: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Variance over mean of a typical area where it is that of bursts, else NaN, shape (n_columns,).

    The spread is that about the expectation, its error included: where counts come in bursts it may take all.
    """
    from zoo_geo.kernels.comparing import widely_spread

    found = np.full(valid.shape[1], np.nan)
    for c, led_to in enumerate(expected):
        spread, strength, own = (
            np.ascontiguousarray(each[:, c]) for each in (fit.spread, fit.strength, valid)
        )
        number, wide = widely_spread(spread, strength, led_to, own, _BURSTY[-1][0])
        if number < _FEWEST_FOR_BURSTS or 2 * wide < number:
            continue
        known = own & np.isfinite(led_to)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = spread + 1.0 / strength
        phi, over = np.median(spread[known]), 1.0 + np.median(spread[known] * led_to[known])
        if over > next((least for wide, least in _BURSTY if phi >= wide), np.inf):
            found[c] = over
    return found


def _bursts(inputs: Inputs, over: np.ndarray, reference: str) -> list[Notice]:
    """Say where counts vary so much that one subject may be behind many of them."""
    found: dict[str, list[tuple[str, float]]] = {}
    for c in np.flatnonzero(np.isfinite(over)):
        indicator, period = inputs.columns[c]
        if inputs.events is None or not np.isfinite(inputs.events[:, c]).any():
            found.setdefault(indicator.id, []).append((period, float(over[c])))
    return [_burst(id, each, reference) for id, each in found.items()]


def _of(indicator: str, periods: list[str]) -> str:
    """Name an indicator and its periods, if its table has any."""
    return indicator if periods == [ALL] else f"{indicator} ({', '.join(periods)})"


def _burst(id: str, found: list[tuple[str, float]], reference: str) -> Notice:
    """Say in words in which periods an indicator's counts vary much, and how much."""
    what, over = _of(id, [period for period, _ in found]), max(over for _, over in found)
    return Notice(
        f"{what} against {reference}: the variance of counts is about {over:,.0f} times their "
        "mean. If one case file can hold many events, give observed_units=, the distinct subjects behind "
        "them.",
        f"{what} tegenover {compared(reference)}: de variantie van de aantallen is ongeveer "
        f"{count(over)} keer hun gemiddelde. Als een dossier veel gebeurtenissen kan bevatten, geef dan "
        "observed_units=, de verschillende personen of zaken erachter.",
    )


def _doubt(
    indicator: Indicator,
    columns: np.ndarray,
    inputs: Inputs,
    known: np.ndarray,
    extreme: np.ndarray,
    reference: str,
) -> Notice:
    """Say in words how implausible an indicator's extremes are, and on whom they fall."""
    share = extreme[:, columns].sum() / known[:, columns].sum()
    least = SMALL_EXPOSURE * indicator.per
    small = (inputs.exposure[:, columns][extreme[:, columns]] < least).mean()
    where = f", {small:.0%} of them with an exposure below {least:g}"
    where = "" if indicator.family == "gaussian" else where
    what = _of(indicator.id, [inputs.columns[c][1] for c in columns])
    waar = f", {small:.0%} daarvan met een noemer onder {least:g}" if where else ""
    return Notice(
        f"{what} against {reference}: {share:.1%} of areas have p <= 0.001, where chance "
        f"gives 0.1 %{where}. The exposure may not be what the figure depends on (visitors, passers-by), or "
        "the spread differs between areas: read these flags with care.",
        f"{what} tegenover {compared(reference)}: {percent(share, 1)} van de gebieden "
        f"heeft p <= 0,001, waar toeval 0,1 % geeft{waar}. Misschien hangt het cijfer niet van deze noemer "
        "af (bezoekers, voorbijgangers), of verschilt de spreiding tussen gebieden: lees deze vlaggen met "
        "zorg.",
    )
