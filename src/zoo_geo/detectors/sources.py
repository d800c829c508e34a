"""Where expectations come from: surroundings, areas that are alike, a whole, covariates, autoregressions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import sparse

from zoo_geo import expectation as ex
from zoo_geo import measured, references
from zoo_geo.autoregression import Kind
from zoo_geo.blocks import spatial_blocks
from zoo_geo.conditionals import Conditional, leave_one_out
from zoo_geo.covariates import Method, Modelled, TooFewAreasError, cross_fitted, steadied
from zoo_geo.detectors.feature_checks import classed, idle, refuse_single
from zoo_geo.detectors.inputs import OK, Inputs, matrix, parents, places
from zoo_geo.detectors.inputs import rings as rings_of
from zoo_geo.errors import InputError, examples
from zoo_geo.estimates import SURE, Block, total_spread
from zoo_geo.features import sensitive
from zoo_geo.notices import Notice, compared, points, which
from zoo_geo.predictive import Binomial, Gaussian
from zoo_geo.response import Classes, Hidden

GRAPHS = ("neighbours", "peers")
WHOLES = ("national", "model")
PARTS = ("parent", "stratum")
_KINDS: dict[str, Kind] = {"sar": "sar_error", "sar_lag": "sar_lag", "car": "car"}
VALUES_ONLY = tuple(_KINDS)
_OUTLIER = 3.5
"""Robust standard deviations beyond which a value is set aside in the fit of an autoregression."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """An expectation, and the figures and sizes that it is an expectation of.

    ``added`` is what was taken from values before they were compared; ``skill`` says how much covariates
    explain; ``told`` is what is worth knowing of each column.
    """

    fit: ex.Expectation
    block: Block
    added: np.ndarray | None = None
    skill: list[float] = field(default_factory=list)
    told: tuple[tuple[Notice, ...], ...] = ()

    def summed(self) -> Fitted:
        """Take the expectation for sure, and count its error as more spread of true rates (counts).

        A law of unseen people has a spread of its own, and keeps the error.
        """
        if isinstance(self.block.family, Gaussian):
            return self
        hidden = [isinstance(law, Hidden) for law in self.fit.laws]
        total = total_spread(self.block.family, self.fit)
        spread = np.where(hidden, self.fit.spread, total)
        strength = np.where(hidden, self.fit.strength, SURE)
        return replace(self, fit=replace(self.fit, spread=spread, strength=strength))


@dataclass(frozen=True, eq=False)
class Source:
    """What leads to expect something of every area of a block of columns."""

    fit: Callable[[Block], Fitted]
    near: Sequence[references.Reference]
    """Candidate references, of which each column uses one; empty where every area has an expectation."""
    notices: tuple[Notice, ...] = ()


def surroundings(
    near: Sequence[references.Reference],
    wider: Sequence[references.Reference],
    options: ex.Options,
    touching: sparse.csr_array | None = None,
    points: np.ndarray | None = None,
    adjust: Adjust | None = None,
) -> Source:
    """Rates of other areas, pooled; with `adjust`, relative to what covariates lead to expect of them."""
    classes = Classes()

    def fit(block: Block) -> Fitted:
        found = Fitted(None, block) if adjust is None else adjust(block)  # type: ignore[arg-type]
        given = found.block
        size = ex.steadied(given.observed, given.size, given.valid, given.family, near[0])
        given = replace(given, size=size)
        led = ex.expect(
            given.observed, size, given.valid, given.family, near, wider, options, touching, points, classes
        )
        return replace(found, fit=led, block=given)

    return Source(fit, near)


Adjust = Callable[[Block], Fitted]


def adjusted(covariates: Covariates) -> Adjust:
    """Make exposures (values) comparable first: in units of what covariates lead to expect."""

    def adjust(block: Block) -> Fitted:
        if isinstance(block.family, Binomial):
            raise InputError(
                "adjust needs counts per exposure or values; got shares (binomial). Use reference='model'."
            )
        size, added, skill = block.size.astype(float).copy(), np.zeros(block.size.shape), []
        valid = block.valid.copy()
        for c in range(size.shape[1]):
            found = covariates.fitted(block, c)
            skill.append(found.skill)
            valid[:, c] &= np.isfinite(found.rate)
            if isinstance(block.family, Gaussian):
                added[:, c] = found.rate
            else:
                known = block.valid[:, c]
                total = references.totals(np.where(known, block.size[:, c] * found.rate, 0.0)[:, None])[0]
                size[:, c] *= found.rate * (
                    np.where(known, block.size[:, c], 0.0).sum() / total if total else 1.0
                )
        relative = replace(block, observed=block.observed - added, size=size, valid=valid)
        return Fitted(None, relative, added, skill)  # type: ignore[arg-type]

    return adjust


def modelled(covariates: Covariates, options: ex.Options) -> Source:
    """Rates that covariates lead to expect, fitted to other places."""

    def fit(given: Block) -> Fitted:
        block = given
        found = [covariates.fitted(block, c) for c in range(block.size.shape[1])]
        rate, strength = (
            np.column_stack([getattr(each, name) for each in found]) for name in ("rate", "strength")
        )
        valid = block.valid & np.isfinite(rate)
        if isinstance(block.family, Gaussian):
            block = replace(block, size=_weighed(block, found))
        observed, size, valid = (np.asfortranarray(each) for each in (block.observed, block.size, valid))
        led = ex.given(observed, size, valid, block.family, rate, strength, options)
        told = _uneven(led, block, given.size)
        return Fitted(led, block, skill=[each.skill for each in found], told=told)

    return Source(fit, [])


def _weighed(block: Block, found: Sequence[Modelled]) -> np.ndarray:
    """Weights of values as the fits took them, steadied once more by how far off values are elsewhere."""
    size = np.column_stack([each.size for each in found])
    for c, each in enumerate(found):
        rows = np.flatnonzero(block.valid[:, c] & np.isfinite(each.rate) & (size[:, c] > 0))
        away = np.abs(block.observed[rows, c] - each.rate[rows])
        size[:, c] = steadied(away, size[:, c], rows)
    return size


def autoregression(
    kind: str, weights: sparse.csr_array, covariates: Covariates | None, options: ex.Options
) -> Source:
    """Mean of each value given all others under a simultaneous or conditional autoregression."""

    def fit(block: Block) -> Fitted:
        rate, size = np.full(block.size.shape, np.nan), np.full(block.size.shape, np.nan)
        design = None if covariates is None else covariates.table
        for c in range(block.size.shape[1]):
            values = np.where(block.valid[:, c], block.observed[:, c], np.nan)
            weight = np.where(block.valid[:, c], block.size[:, c], np.nan)
            found = led_to(values, weights, design, _KINDS[kind], weight, _OUTLIER if options.clean else None)
            rate[:, c], size[:, c] = found.mean, found.precision
        valid = block.valid & np.isfinite(rate) & (size > 0)
        sure = np.full(rate.shape, 1e12)
        led = ex.given(block.observed, size, valid, block.family, rate, sure, options)
        weighed = replace(block, size=size)
        return Fitted(led, weighed, told=_uneven(led, weighed, block.size))

    return Source(fit, [weights])


def _uneven(fit: ex.Expectation, block: Block, weight: np.ndarray) -> tuple[tuple[Notice, ...], ...]:
    """Say of each column of values where those of much and of little weight are not equally far off."""
    if not isinstance(block.family, Gaussian):
        return ()
    away = np.abs(ex.residuals(block.observed, block.size, block.valid, block.family, fit))
    return tuple(_uneven_halves(away[:, c], weight[:, c]) for c in range(away.shape[1]))


_UNEVEN, _DOUBTLESS = 1.25, 9.3
"""Times that one half is further off than the other, and four standard errors of it, times root n."""


def _uneven_halves(away: np.ndarray, weight: np.ndarray) -> tuple[Notice, ...]:
    """Compare what is off by halves of much and of little weight, in standard deviations."""
    rows = np.isfinite(away)
    away, weight = away[rows], weight[rows]
    heavy = weight > np.median(weight) if weight.size else np.zeros(0, bool)
    if not heavy.any():
        return ()
    much, little = float(np.median(away[heavy])), float(np.median(away[~heavy]))
    least, most = sorted((much, little))
    if not (least > 0 and most / least > _UNEVEN + _DOUBTLESS / np.sqrt(away.size)):
        return ()
    en, nl = ("much", "little"), ("veel", "weinig")
    (far, near), (ver, dichtbij) = (en, nl) if much > little else (en[::-1], nl[::-1])
    return (
        Notice(
            f"values of {far} weight lie {most / least:.1f} times as far from what is expected, in units of "
            f"their spread, as values of {near} weight: weights do not say how precise values are, so p is "
            f"too small for the former and too large for the latter; give no weights, or others",
            f"waarden met {ver} gewicht liggen, gemeten in hun spreiding, "
            f"{f'{most / least:.1f}'.replace('.', ',')} keer zo ver van de verwachting als waarden met "
            f"{dichtbij} gewicht: gewichten zeggen niet hoe precies waarden zijn, dus p is te klein voor de "
            "eerste en te groot voor de laatste; geef geen gewichten, of andere",
        ),
    )


def led_to(
    values: np.ndarray,
    weights: sparse.csr_array,
    design: np.ndarray | None,
    kind: Kind,
    weight: np.ndarray,
    outlier: float | None,
) -> Conditional:
    """Conditionals of values; where their weights differ, of values that measure a field with an error."""
    if np.unique(weight[np.isfinite(weight)]).size > 1:
        return measured.leave_one_out(values, weights, design, kind, weight=weight, outlier=outlier)
    return leave_one_out(values, weights, design, kind, weight=weight, outlier=outlier)


@dataclass(frozen=True, eq=False)
class Covariates:
    """Columns of the features that expectations are regressed on, areas in code order."""

    table: np.ndarray
    names: tuple[str, ...]
    folds: np.ndarray
    method: Method
    notices: tuple[Notice, ...] = ()

    def fitted(self, block: Block, c: int) -> Modelled:
        """Rates of one column, each fitted without the area's own block; NaN where figures are too few."""
        try:
            return cross_fitted(*block.column(c), block.family, self.table, self.folds, method=self.method)
        except TooFewAreasError:
            unknown = np.full(block.size.shape[0], np.nan)
            return Modelled(unknown, unknown, np.zeros(unknown.size, bool), np.nan, np.nan, unknown)


_ESTIMATED = ("rings", "precision", "shrink", "steep")
"""Options of pooling the surroundings, which no reference has that is a fit to the whole map."""
_UNUSED: dict[str, tuple[str, ...]] = {"model": _ESTIMATED}
_UNUSED |= dict.fromkeys(("national", "peers", *PARTS), ("rings",))
_UNUSED |= dict.fromkeys(VALUES_ONLY, (*_ESTIMATED, "response", "heavy", "error", "integrate", "method"))


def check_used(reference: str, changed: Collection[str], adjust: tuple[str, ...]) -> None:
    """Raise where options were changed that say nothing about a reference.

    Raises
    ------
    InputError
        Names all of them.
    """
    unused = [name for name in changed if name in _UNUSED.get(reference.partition(":")[0], ())]
    if unused:
        raise InputError(
            f"options of reference={reference!r} need to have an effect; got others "
            f"({examples(unused)}). Leave them out."
        )
    if "method" in changed and not adjust and reference != "model":
        raise InputError("method needs to go with reference='model' or adjust=; got neither.")


def covariates(inputs: Inputs, names: tuple[str, ...], method: Method) -> Covariates:
    """Take columns of the features, all where none is named, and blocks that lie together.

    Those that do not differ between areas that have a figure, or are known for next to none of them, are
    left out, and a notice says so.

    Raises
    ------
    InputError
        No features, unknown ones, ones that are no numbers, or none that is left.
    """
    table = features(inputs)
    unknown = [name for name in names if name not in table]
    if unknown:
        raise InputError(
            f"covariates need to be columns of the features; got others ({examples(unknown, len(names))}). "
            f"Known: {', '.join(map(str, table.columns))}."
        )
    table = table[list(names)] if names else table
    _refuse_sensitive(
        table.columns, "Leave them out." if names else "Drop them, or name the columns to use in adjust=."
    )
    text = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    if text:
        raise InputError(f"covariates need to be numbers; got text ({examples(text, table.shape[1])}).")
    values, columns = table.to_numpy(float, na_value=np.nan), table.columns.astype(str).to_numpy(object)
    used, told = idle(values[(inputs.status == OK).any(axis=1)], columns)
    return Covariates(values[:, used], tuple(columns[used]), _folds(inputs), method, told)


def features(inputs: Inputs) -> pd.DataFrame:
    """Return the features of each area, which this comparison cannot do without."""
    if inputs.features is None:
        raise InputError(
            "features need to be given; got None. Pass detect(..., features=) a table on the area code."
        )
    return inputs.features


def _folds(inputs: Inputs) -> np.ndarray:
    """Blocks of areas: whole parents, else by place, else by neighbourhood."""
    if inputs.areas is not None and inputs.areas.parents:
        labels = inputs.labels(inputs.areas.parents[-1])
        if np.unique(labels[labels >= 0]).size > 1:
            return spatial_blocks(labels)
    at = places(inputs)
    return spatial_blocks(matrix(inputs) if at is None else at)


def stratum(inputs: Inputs, name: str) -> np.ndarray:
    """Number of each area's class in a column of the features, -1 for none; shape (n,)."""
    table = features(inputs)
    if name not in table:
        known = ", ".join(map(str, table.columns))
        raise InputError(f"reference needs a column of the features; got {name!r} (known: {known}).")
    _refuse_sensitive([name], "Take another column.")
    labels = pd.factorize(table[name], sort=True)[0]
    refuse_single(inputs, name, labels)
    return labels


def _refuse_sensitive(names: Iterable[str], hint: str) -> None:
    """Raise where a name tells origin, nationality or religion."""
    if told := sensitive(names):
        raise InputError(
            "covariates and strata need to say nothing about origin, nationality or religion; got names that "
            f"suggest it ({examples(told)}). {hint}"
        )


def fitting(
    reference: str, inputs: Inputs, adjust: tuple[str, ...], method: Method
) -> tuple[np.ndarray, list[Notice]]:
    """Say which columns a comparison can be made of, shape (n_columns,), and in words which it cannot.

    Raises
    ------
    InputError
        It can be made of none of them.
    """
    named, fits = np.array([i.id for i, _ in inputs.columns]), np.ones(len(inputs.columns), bool)
    told: list[Notice] = []
    for suits, need, got, hint in _needs(reference, inputs, adjust, method):
        lacking = examples(dict.fromkeys(named[~suits].tolist()), len(inputs.indicators))
        if suits.size and not suits.any():
            raise InputError(f"{need}; got {got} ({lacking}).{hint}")
        if not suits.all():
            whom = compared(reference)
            misfit = which(dict.fromkeys(named[~suits].tolist()), len(inputs.indicators))
            told.append(
                Notice(
                    f"Not compared with {reference}, as {need}: {lacking}.{hint}",
                    f"Niet vergeleken met {whom}: {misfit}. {_NEEDS_NL[need.partition(' needs ')[2]]}",
                )
            )
        fits &= suits
    if fits.size and not fits.any():
        raise InputError(told)
    return fits, told


_NEEDS_NL = {
    "values (gaussian)": "Dat kan alleen met waarden (gaussian).",
    "counts per exposure or values": "adjust kan alleen met aantallen per noemer of waarden.",
    "counts or values from 0": "method='tweedie' kan alleen met aantallen of waarden vanaf 0.",
}


def _needs(
    reference: str, inputs: Inputs, adjust: tuple[str, ...], method: Method
) -> Iterator[tuple[np.ndarray, str, str, str]]:
    """Columns that a comparison suits, what it needs, what the others are, and a hint."""
    family = np.array([indicator.family for indicator, _ in inputs.columns])
    if reference in VALUES_ONLY:
        yield family == "gaussian", f"reference={reference!r} needs values (gaussian)", "counts", ""
        return
    if adjust and reference != "model":
        need, hint = "adjust needs counts per exposure or values", " Use reference='model'."
        yield family != "binomial", need, "shares (binomial)", hint
    if method == "tweedie":
        low = np.where(inputs.status == OK, inputs.observed, 0.0).min(axis=0, initial=0.0) < 0
        need, hint = "method='tweedie' needs counts or values from 0", " Take 'poisson' or 'boosting'."
        yield (family != "binomial") & ~low, need, "shares, or values below 0", hint


def _gaps(covariates: Covariates, inputs: Inputs, reference: str) -> tuple[Notice, ...]:
    """Say of how many areas with a figure a covariate is missing, and what stands for it."""
    missing = ~np.isfinite(covariates.table) & (inputs.status == OK).any(axis=1)[:, None]
    if not missing.any():
        return ()
    counts = sorted(zip(-missing.sum(axis=0), covariates.names, strict=True))
    most = ", ".join(f"{name} {-count:,}" for count, name in counts[:3] if count)
    if reference in VALUES_ONLY:
        stands = "they are left out of the autoregression, and have no expectation."
        nl = "ze doen niet mee in de autoregressie en hebben geen verwachting."
    elif covariates.method == "boosting":
        stands, nl = "the trees learn what the gap says.", "de bomen leren wat het gat zegt."
    else:
        stands = "the median stands for it, beside a term that learns what the gap says."
        nl = "de mediaan komt ervoor in de plaats, met een term die leert wat het gat zegt."
    en, dutch = (tell(inputs.codes[missing.any(axis=1)], len(missing)) for tell in (examples, which))
    return (
        Notice(
            f"Areas with a figure lack a covariate ({en}; most often {most}): {stands}",
            f"Gebieden met een cijfer missen een kenmerk ({dutch}; meestal {points(most)}): {nl}",
        ),
    )


def find(
    reference: str, inputs: Inputs, rings: int, options: ex.Options, adjust: tuple[str, ...], method: Method
) -> Source:
    """Return the source of a reference."""
    taken = covariates(inputs, adjust, method) if adjust or reference == "model" else None
    source = _find(reference, inputs, rings, options, taken)
    if taken is None:
        return source
    return replace(source, notices=(*source.notices, *taken.notices, *_gaps(taken, inputs, reference)))


def _find(
    reference: str, inputs: Inputs, rings: int, options: ex.Options, taken: Covariates | None
) -> Source:
    """Return the source of a reference, with the covariates that it takes."""
    nation: list[references.Reference] = [references.everybody(inputs.codes.size)]
    if reference == "model":
        assert taken is not None
        return modelled(taken, options)
    if reference in VALUES_ONLY:
        return autoregression(reference, matrix(inputs), taken, options)
    change = None if taken is None else adjusted(taken)
    if reference == "national":
        return surroundings(nation, [], options, adjust=change)
    kind, _, level = reference.partition(":")
    if kind in PARTS:
        labels = inputs.labels(level) if kind == "parent" else stratum(inputs, level)
        told = () if kind == "parent" else tuple(classed(inputs, level, labels))
        return replace(surroundings([references.group(labels)], nation, options, adjust=change), notices=told)
    touching = matrix(inputs)
    points = places(inputs) if options.steep else None
    if reference == "peers":  # those alike of those alike are alike no more
        return surroundings(references.Rings([touching]), nation, options, touching, points, change)
    return surroundings(rings_of(inputs, rings), nation + parents(inputs), options, touching, points, change)
