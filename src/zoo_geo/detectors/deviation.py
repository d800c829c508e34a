"""Areas whose figure deviates from what a reference leads to expect."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from typing import ClassVar, get_args

import numpy as np
from scipy import sparse, special

from zoo_geo import expectation as ex
from zoo_geo import references
from zoo_geo.checks import nearest_name
from zoo_geo.covariates import Method, explained
from zoo_geo.detectors import sources
from zoo_geo.detectors.base import Alternative, Detector, Scores, options, spread_out
from zoo_geo.detectors.inputs import ISOLATED, NOT_TESTED, OK, TOO_FEW, Inputs, blocks, column_status, matrix
from zoo_geo.errors import InputError
from zoo_geo.moments import BY_MOMENTS
from zoo_geo.notices import Notice, compared, count
from zoo_geo.notices import share as percent
from zoo_geo.panel import ALL, Indicator
from zoo_geo.predictive import FAMILIES, Binomial, Poisson
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
        reference = "peers" if inputs.peers is not None and self.reference == "neighbours" else self.reference
        fits, unfit = sources.fitting(reference, inputs, self.adjust, self.method)
        parts = {name: getattr(self, name) for name in _PARTS}
        options = ex.Options(**parts)
        source = sources.find(reference, inputs, self.rings, options, self.adjust, self.method)
        shape = inputs.observed.shape
        status = column_status(inputs)
        status[:, ~fits] = np.where(status[:, ~fits] == OK, NOT_TESTED, status[:, ~fits])
        arrays: dict[str, np.ndarray] = {
            name: np.full(shape, np.nan, order="F") for name in (*_RESULTS, *self.own)
        }
        told: dict[int, tuple[Notice, ...]] = {}
        varies = np.full(shape, np.nan, order="F")
        company: dict[tuple[int, bytes], np.ndarray] = {}

        def block(work: tuple[str, np.ndarray]) -> None:
            family, columns = (FAMILIES if self.robust else BY_MOMENTS)[work[0]], work[1]
            valid = status[:, columns] == OK
            given = sources.Block(inputs.observed[:, columns], inputs.exposure[:, columns], valid, family)
            fitted = source.fit(given)
            known, usable = (
                inputs.status[:, columns] == OK,
                ex.usable(family, fitted.fit.rate, fitted.block.size),
            )
            status[:, columns] = _lonely(status[:, columns], known, source.near, fitted.fit, usable, company)
            if isinstance(family, Poisson) and not isinstance(family, Binomial):
                varies[:, columns] = np.where(valid, ex.total_spread(family, fitted.fit), np.nan)
            found = self._results(fitted, given, status[:, columns] == OK)
            for name, array in found.items():
                arrays[name][:, columns] = array
            told.update({int(c): _words(fitted, given, k) for k, c in enumerate(columns)})

        wanted = [(family, columns[fits[columns]]) for family, columns in blocks(inputs, n_jobs)]
        with one_thread() if self.adjust or reference == "model" else nullcontext():
            spread_out(block, [work for work in wanted if work[1].size], n_jobs)
        arrays["reference_value"] *= np.where(inputs.is_value(), 1.0, inputs.per())
        arrays |= _next_door(inputs) | ({} if inputs.events is None else {"events": inputs.events})
        notices = [*unfit, *source.notices, *_told(told, inputs, reference)]
        notices += [*_doubts(inputs, status, arrays["p_value"], reference)]
        notices += _bursts(inputs, varies, arrays["expected"], reference)
        if reference == "peers" and inputs.peers is None:
            notices.append(
                Notice(
                    "Peers are the neighbours of the graph that was given; build_peers finds areas alike.",
                    "Vergelijkingsgebieden zijn de buren van de gegeven graaf; build_peers vindt gelijken.",
                )
            )
        if inputs.peers is not None:
            en, nl = "Peers are those of set", "Vergelijkingsgebieden zijn die van set"
            notices.append(Notice(f"{en} {inputs.peers}.", f"{nl} {inputs.peers}."))
        z = arrays["z"]
        return Scores(reference, status, arrays, _CLASSES, _classes(z), z, notices)

    def _results(
        self, fitted: sources.Fitted, given: sources.Block, valid: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Compare figures with their expectation."""
        fit, block = fitted.fit, fitted.block
        sure = fit if self.integrate else fitted.summed().fit
        z, p = (np.full(valid.shape, np.nan, order="F") for _ in range(2))
        for c in range(valid.shape[1]):
            rows = np.flatnonzero(valid[:, c])
            log_p, upper = ex.tails(block.observed, block.size, block.family, sure, rows, c)
            z[rows, c], p[rows, c] = signed(log_p, upper, self.alternative)
        is_value = block.family.name == "gaussian"
        if fitted.added is not None and is_value:
            fit = replace(fit, rate=fit.rate + fitted.added)
        fit = replace(fit, rate=fit.rate * ex.typical(fit, block.size))
        expected = np.where(valid, fit.rate * (1.0 if is_value else block.size), np.nan)
        low, high = ex.intervals(given.observed, block.size, valid, block.family, fit)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(np.isfinite(high), given.observed / expected, np.nan)
            rate = expected / (1.0 if is_value else given.size)
        found = dict(zip(_RESULTS, (expected, ratio, low, high, z, z, p), strict=True))
        found |= {
            "spread": np.where(valid, fit.spread, np.nan),
            "reference_value": np.where(valid, rate, np.nan),
        }
        if self.reference == "model":
            with np.errstate(divide="ignore", invalid="ignore"):
                elsewhere = _elsewhere(given) * (1.0 if is_value else given.size)
            told = explained(
                np.where(valid & np.isfinite(ratio), given.observed, np.nan), elsewhere, expected
            )
            found |= {"ratio_before": told.ratio_before, "explained": told.share}
        return found


def _elsewhere(block: sources.Block) -> np.ndarray:
    """Rate (mean value) of all other areas together, shape (n_areas, n_columns)."""
    size = np.where(block.valid, block.size, 0.0)
    events = np.where(block.valid, block.observed, 0.0) * (size if block.family.name == "gaussian" else 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (references.totals(events) - events) / (references.totals(size) - size)


_RESULTS = ("expected", "ratio", "ratio_low", "ratio_high", "statistic", "z", "p_value")


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
    alone = np.zeros(status.shape, bool)
    for c, width in enumerate(fit.width):
        alone[:, c] = _without_company(near[width], known[:, c], kept)
    return np.where(known & alone, ISOLATED, np.where((status == OK) & ~usable, TOO_FEW, status))


def _without_company(
    reference: references.Reference, known: np.ndarray, kept: dict[tuple[int, bytes], np.ndarray]
) -> np.ndarray:
    """Say which areas have no other with a figure in a reference; kept, as columns often lack the same."""
    key = id(reference), known.tobytes()
    if key not in kept:
        kept[key] = (reference @ known[:, None].astype(float))[:, 0] <= 0
    return kept[key]


def signed(log_p: np.ndarray, upper: np.ndarray, alternative: Alternative) -> tuple[np.ndarray, np.ndarray]:
    """Turn log mid tails and their side into z and p."""
    z = np.where(upper, -1.0, 1.0) * special.ndtri_exp(log_p)
    if alternative == "two-sided":
        p = np.minimum(2.0 * np.exp(log_p), 1.0)
    else:
        tail = np.exp(log_p)
        p = np.where(upper == (alternative == "greater"), tail, 1.0 - tail)
    return z, np.maximum(p, 1e-300)


_CLASSES = ("low_998", "low_95", "as_expected", "high_95", "high_998")


def _classes(z: np.ndarray) -> np.ndarray:
    """Control-limit class: 95 % and 99.8 %, as in funnel plots."""
    inner, outer = special.ndtri([0.975, 0.999])
    z = np.nan_to_num(z)
    return (z > -outer).astype(int) + (z > -inner) + (z >= inner) + (z >= outer)


def _next_door(inputs: Inputs) -> dict[str, np.ndarray]:
    """Figures of the direct neighbours: how many have one, and their rate together; references share them."""
    shape = inputs.observed.shape
    if inputs.csr is None:
        return {"n_neighbors": np.full(shape, np.nan), "neighbors_value": np.full(shape, np.nan)}
    if "next door" not in inputs.kept:
        inputs.kept["next door"] = _figures_next_door(inputs)
    return dict(inputs.kept["next door"])


def _figures_next_door(inputs: Inputs) -> dict[str, np.ndarray]:
    """How many neighbours of each area have a figure, and their rate together."""
    weights = matrix(inputs)
    weights = sparse.csr_array((np.ones_like(weights.data), weights.indices, weights.indptr), weights.shape)
    number, value = (np.empty(inputs.observed.shape, order="F") for _ in range(2))
    is_value, per = inputs.is_value(), inputs.per()
    last: np.ndarray | None = None
    for c in range(len(inputs.columns)):
        ok = inputs.status[:, c] == OK
        size = np.where(ok, inputs.exposure[:, c], 0.0)
        events = np.where(ok, inputs.observed[:, c], 0.0) * (size if is_value[c] else 1.0)
        if last is None or not np.array_equal(ok, last):
            number[:, c] = weights @ ok.astype(float)
            last = ok
        else:
            number[:, c] = number[:, c - 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            value[:, c] = (weights @ events) / (weights @ size) * (1.0 if is_value[c] else per[c])
    return {"n_neighbors": number, "neighbors_value": value}


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


def _doubts(inputs: Inputs, status: np.ndarray, p: np.ndarray, reference: str) -> list[Notice]:
    """Warn where far more areas are extreme than chance explains: the exposure may be the wrong one."""
    known = status == OK
    with np.errstate(invalid="ignore"):
        extreme = known & (p <= 0.001)
    doubtful = (known.sum(0) >= 200) & (extreme.sum(0) > _IMPLAUSIBLE * known.sum(0))
    return [
        _doubt(indicator, np.flatnonzero(doubtful & own), inputs, known, extreme, reference)
        for indicator in inputs.indicators
        if (doubtful & (own := np.array([each == indicator for each, _ in inputs.columns]))).any()
    ]


_BURSTY = ((1.0, 2.0), (0.5, 10.0))
"""Spread from which counts are called bursts, and the variance over mean of a typical area that it takes.
Below 0.5 none does: large counts have a large variance where rates differ a little."""
_FEWEST_FOR_BURSTS = 50


def _bursts(inputs: Inputs, spread: np.ndarray, expected: np.ndarray, reference: str) -> list[Notice]:
    """Say where counts vary so much that one subject may be behind many of them.

    ``spread`` is that about the expectation, its error included: where counts come in bursts it may take all.
    """
    found: dict[str, list[tuple[str, float]]] = {}
    for c, (indicator, period) in enumerate(inputs.columns):
        known = np.isfinite(spread[:, c]) & np.isfinite(expected[:, c])
        counted = inputs.events is not None and np.isfinite(inputs.events[:, c]).any()
        if indicator.family != "poisson" or counted or known.sum() < _FEWEST_FOR_BURSTS:
            continue
        if 2 * np.count_nonzero(spread[known, c] >= _BURSTY[-1][0]) < known.sum():
            continue
        phi = float(np.median(spread[known, c]))
        over = 1.0 + float(np.median(spread[known, c] * expected[known, c]))
        if over > next((least for wide, least in _BURSTY if phi >= wide), np.inf):
            found.setdefault(indicator.id, []).append((period, over))
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
