"""Where expectations come from: surroundings, areas that are alike, a whole, covariates, autoregressions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import sparse

from zoo_geo import expectation as ex
from zoo_geo import references
from zoo_geo.autoregression import Kind
from zoo_geo.blocks import spatial_blocks
from zoo_geo.conditionals import leave_one_out
from zoo_geo.covariates import Method, Modelled, TooFewAreasError, cross_fitted
from zoo_geo.detectors.inputs import Inputs, matrix, parents, places
from zoo_geo.errors import InputError, examples
from zoo_geo.estimates import Block
from zoo_geo.features import sensitive
from zoo_geo.predictive import Binomial, Gaussian

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
    explain.
    """

    fit: ex.Expectation
    block: Block
    added: np.ndarray | None = None
    skill: list[float] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Source:
    """What leads to expect something of every area of a block of columns."""

    fit: Callable[[Block], Fitted]
    near: list[references.Reference]
    """Candidate references, of which each column uses one; empty where every area has an expectation."""


def surroundings(
    near: list[references.Reference],
    wider: list[references.Reference],
    options: ex.Options,
    touching: sparse.csr_array | None = None,
    points: np.ndarray | None = None,
    adjust: Adjust | None = None,
) -> Source:
    """Rates of other areas, pooled; with `adjust`, relative to what covariates lead to expect of them."""

    def fit(block: Block) -> Fitted:
        found = Fitted(None, block) if adjust is None else adjust(block)  # type: ignore[arg-type]
        given = found.block
        size = ex.steadied(given.observed, given.size, given.valid, given.family, near[0])
        given = replace(given, size=size)
        led = ex.expect(
            given.observed, size, given.valid, given.family, near, wider, options, touching, points
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

    def fit(block: Block) -> Fitted:
        found = [covariates.fitted(block, c) for c in range(block.size.shape[1])]
        rate, strength = (
            np.column_stack([getattr(each, name) for each in found]) for name in ("rate", "strength")
        )
        valid = block.valid & np.isfinite(rate)
        led = ex.given(block.observed, block.size, valid, block.family, rate, strength, options)
        return Fitted(led, block, skill=[each.skill for each in found])

    return Source(fit, [])


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
            found = leave_one_out(
                values,
                weights,
                design,
                _KINDS[kind],
                weight=weight,
                outlier=_OUTLIER if options.clean else None,
            )
            rate[:, c], size[:, c] = found.mean, found.precision
        valid = block.valid & np.isfinite(rate) & (size > 0)
        sure = np.full(rate.shape, 1e12)
        led = ex.given(block.observed, size, valid, block.family, rate, sure, options)
        return Fitted(led, replace(block, size=size))

    return Source(fit, [weights])


@dataclass(frozen=True, eq=False)
class Covariates:
    """Columns of the features that expectations are regressed on, areas in code order."""

    table: np.ndarray
    folds: np.ndarray
    method: Method

    def fitted(self, block: Block, c: int) -> Modelled:
        """Rates of one column, each fitted without the area's own block; NaN where figures are too few."""
        try:
            return cross_fitted(*block.column(c), block.family, self.table, self.folds, method=self.method)
        except TooFewAreasError:
            unknown = np.full(block.size.shape[0], np.nan)
            return Modelled(unknown, unknown, np.zeros(unknown.size, bool), np.nan, np.nan)


def covariates(inputs: Inputs, names: tuple[str, ...], method: Method) -> Covariates:
    """Take columns of the features, all where none is named, and blocks that lie together.

    Raises
    ------
    InputError
        No features, unknown ones, or ones that are no numbers.
    """
    table = features(inputs)
    unknown = [name for name in names if name not in table]
    if unknown:
        raise InputError(
            f"covariates need to be columns of the features; got others ({examples(unknown, len(names))}). "
            f"Known: {', '.join(map(str, table.columns))}."
        )
    table = table[list(names)] if names else table
    _refuse_sensitive(table.columns)
    text = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    if text:
        raise InputError(f"covariates need to be numbers; got text ({examples(text, table.shape[1])}).")
    return Covariates(table.to_numpy(float, na_value=np.nan), _folds(inputs), method)


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
    _refuse_sensitive([name])
    return pd.factorize(table[name], sort=True)[0]


def _refuse_sensitive(names: Iterable[str]) -> None:
    """Raise where a name tells origin, nationality or religion."""
    if told := sensitive(names):
        raise InputError(
            "covariates and strata need to say nothing about origin, nationality or religion; got names that "
            f"suggest it ({examples(told)}). Drop them, or name the columns to use in adjust=."
        )


def find(
    reference: str, inputs: Inputs, rings: int, options: ex.Options, adjust: tuple[str, ...], method: Method
) -> Source:
    """Return the source of a reference."""
    nation: list[references.Reference] = [references.everybody(inputs.codes.size)]
    taken = covariates(inputs, adjust, method) if adjust or reference == "model" else None
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
        return surroundings([references.group(labels)], nation, options, adjust=change)
    touching = matrix(inputs)
    points = places(inputs) if options.steep and reference == "neighbours" else None
    if reference == "peers":  # those alike of those alike are alike no more
        return surroundings([touching], nation, options, touching, points, change)
    near: list[references.Reference] = list(references.rings(touching, rings))
    return surroundings(near, nation + parents(inputs), options, touching, points, change)
