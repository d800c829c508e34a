"""What should be expected of a few columns of counts: as `expectation`, through fused loops over areas.

Where all areas of a surroundings count the same, sums over rings take counts, sizes and places of all columns
along in one walk. Searches begin where they ended a round before, and nothing is sought where nothing can be
found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse, special

from zoo_geo import pooling, spreads
from zoo_geo.estimates import Block, Expectation, Options
from zoo_geo.predictive import FIRST_PACE, OUTER, RARE, ROUNDS, STEEPEST, Poisson
from zoo_geo.references import Group, Reference, Rings, in_company
from zoo_geo.response import Classes, Counts, Law, respond

_NONE, _NOWHERE = np.empty(0), np.empty((0, 0))
_FEWEST_RESPONSIVE = 200
_SETTLED, _FEWEST_SETTLED = 0.005, 1_000
"""Part of the areas that may turn odd, or usual, in a round that leaves nothing to do for another; and areas
that this takes at least: of few, the first rounds know spread too badly."""
_FIRST_BY_DISTANCE = 0.003
"""Pace by squared distances, which are often ten times their median, where the search begins."""


@dataclass(frozen=True, eq=False)
class Around:
    """What areas are compared with, as of `expectation.expect`."""

    near: Sequence[Reference]
    wider: Sequence[Reference]
    touching: sparse.csr_array | None
    places: np.ndarray | None

    @cached_property
    def plain(self) -> bool:
        """Whether all areas of a surroundings count the same."""
        rings = isinstance(self.near, Rings) and self.near.plain
        return all(isinstance(each, Group) for each in (*self.wider, *(() if rings else self.near)))

    @cached_property
    def given(self) -> tuple[Any, ...]:
        """Places, labels of the wider groups and of the near ones, and the rings, as kernels take them."""
        places = _NOWHERE if self.places is None else np.ascontiguousarray(self.places.T, float)
        if isinstance(self.near, Rings):
            n = self.near[0].shape[0]
            return places, _labels(self.wider, n), np.empty((0, n), np.int64), self.near.nested()
        none = np.zeros(1, np.uint32), np.zeros(0, np.uint32), np.zeros((0, 1), np.uint32)
        near = _labels(self.near, 0)
        return places, _labels(self.wider, near.shape[1]), near, none

    def company(self, valid: np.ndarray) -> np.ndarray | None:
        """`in_company` of one column, as 1 or 0; None where all areas are. Columns often lack the same."""
        key = valid.tobytes()
        if key not in self._companies:
            found = in_company(self.near, valid[:, None])[:, 0]
            self._companies[key] = None if found.all() else found.astype(float)
        return self._companies[key]

    @cached_property
    def _companies(self) -> dict[bytes, np.ndarray | None]:
        return {}


def _labels(groups: Sequence[Reference], n: int) -> np.ndarray:
    """Labels of groups, shape (n_groups, n)."""
    labels = [group.labels for group in groups if isinstance(group, Group)]
    return np.stack(labels) if labels else np.empty((0, n), np.int64)


@dataclass(frozen=True, eq=False)
class Pooled:
    """Rates and strengths of each candidate, shape (n_candidates, n), and what they come from.

    Parameters
    ----------
    parts, there
        Damped counts and sizes of each area, and sizes times places where these are asked for, shape
        (2 or 4, n), and of the surroundings of each, shape (2 or 4, n_candidates, n); None where not all
        areas count the same.
    damped
        Damped keeping, shape (n, 1), in that case.
    """

    rates: np.ndarray
    strengths: np.ndarray
    parts: np.ndarray | None = None
    there: np.ndarray | None = None
    damped: np.ndarray | None = None


@dataclass(eq=False)
class Column:
    """Counts of one column, and how far their expectation has come; arrays of shape (n,).

    ``rate`` is per unit of ``people``, which are ``size`` times the ``ratio`` of a response to exposure;
    ``asked`` says which slopes errors may grow with, shape (2 or 4,), ``steep`` whether a round asks for
    them, and ``placed`` whether that takes sums of places. No round follows once a column is ``settled``;
    ``seen`` are counts beside their means, which areas are known and how many, as of the last `answer`.
    Areas without ``company`` (1 or 0; None where all have it) say nothing about spread and errors.
    """

    block: Block
    around: Around
    options: Options
    observed: np.ndarray
    size: np.ndarray
    valid: np.ndarray
    keep: np.ndarray
    people: np.ndarray
    phi: np.ndarray
    asked: np.ndarray
    company: np.ndarray | None = None
    steep: bool = False
    placed: bool = False
    settled: bool = False
    rate: np.ndarray = field(default_factory=lambda: _NONE)
    strength: np.ndarray = field(default_factory=lambda: _NONE)
    width: int = 0
    law: Law | None = None
    seen: Any = None
    ratio: np.ndarray | None = None
    begins: np.ndarray = field(default_factory=lambda: _NONE)
    paces: np.ndarray = field(default_factory=lambda: _NONE)

    @property
    def family(self) -> Poisson:
        """Family of the counts."""
        assert isinstance(self.block.family, Poisson)
        return self.block.family

    @property
    def telling(self) -> np.ndarray:
        """Areas that are kept and can be compared, as 1 or 0."""
        return self.keep if self.company is None else self.keep * self.company

    def as_block(self) -> Block:
        """Return the block of the counts with the sizes that rates are per unit of."""
        return replace(self.block, size=self.people[:, None])

    def fit(self) -> Expectation:
        """Return the expectation so far."""
        ratio = np.ones_like(self.rate) if self.ratio is None else self.ratio
        rate, strength, phi, ratio = (each[:, None] for each in (self.rate, self.strength, self.phi, ratio))
        return Expectation(
            rate, strength, phi, np.array([self.width]), np.full(1, np.inf), ratio, (self.law,)
        )


def begin(block: Block, around: Around, options: Options) -> Column:
    """Nothing is known yet of a block of one column."""
    valid = block.valid[:, 0]
    figures = (np.ascontiguousarray(each[:, 0], float) for each in (block.observed, block.size))
    observed, size = figures if valid.all() else (np.where(valid, each, 0.0) for each in figures)
    phi = np.full(valid.size, float(block.family.first_spread(block.observed, block.size, block.valid)[0]))
    whole = replace(block, observed=observed[:, None], size=size[:, None])
    known = valid.astype(float)
    asked = np.full(2 if around.places is None else 4, options.steep and around.touching is not None)
    asked[:-1:2] &= not options.groups  # a group asks for distance and steps alone
    company = around.company(valid)
    return Column(whole, around, options, observed, size, known, known, size, phi, asked, company)


def turn(column: Column, step: int) -> None:
    """Begin a round; slopes are asked for once what is clearly odd was set aside."""
    options = column.options
    column.people = column.size if column.ratio is None else column.size * column.ratio
    column.steep = (step > 0 or options.groups or options.clean == 0) and bool(column.asked.any())
    column.placed = column.steep and bool(column.asked[2:-1].any())


def pooled(columns: Sequence[Column], around: Around, options: Options) -> Iterator[tuple[Column, Pooled]]:
    """Rates and strengths of each candidate, of every column; those summed together come together."""
    if not around.plain or (around.wider and not options.shrink):
        yield from ((column, _pooled_by_weights(column)) for column in columns)
        return
    from zoo_geo.kernels.rounds import pool

    _, wider, near, _ = around.given
    cap = pooling.CAP, pooling.CAPPED_MEAN
    for few, each in _walks(columns):
        for column, parts, there in _summed(few, each):
            rates, strengths = pool(parts, column.valid, wider, near, *cap, there)
            yield column, Pooled(rates, strengths, parts, there)


def _summed(columns: Sequence[Column], each: int) -> list[tuple[Column, np.ndarray, np.ndarray]]:
    """Damped counts and sizes of each column, and sums over rings; of groups only room for them."""
    from zoo_geo.kernels.pooling import weigh
    from zoo_geo.kernels.rings import LANES, ring_sums

    around, n, found = columns[0].around, columns[0].size.size, []
    places, _, near, (indptr, indices, ends) = around.given
    grouped = near.size > 0
    lanes = len(columns) * each if grouped else LANES
    parts = (np.zeros if len(columns) * each < lanes else np.empty)((lanes, n))
    there = np.empty((lanes, len(around.near), n))
    for lane, column in zip(range(0, LANES, each), columns, strict=False):
        own = parts[lane : lane + each]
        rate = column.rate if column.ratio is None else column.rate / column.ratio
        phi = column.phi if column.options.precision else _NONE
        at = places if column.placed else _NOWHERE
        weigh(column.observed, column.people, column.keep, rate, phi, at, own)
        found.append((column, own, there[lane : lane + each]))
    if not grouped:
        ring_sums(indptr, indices, ends, parts, there)
    return found


def _walks(columns: Sequence[Column]) -> Iterator[tuple[list[Column], int]]:
    """Columns that are summed side by side, and how many numbers of an area each has: places or none."""
    from zoo_geo.kernels.rings import LANES

    for placed in (False, True):
        those = [column for column in columns if column.placed == placed]
        each = 4 if placed else 2
        for start in range(0, len(those), LANES // each):
            yield those[start : start + LANES // each], each


def _pooled_by_weights(column: Column) -> Pooled:
    """As `pooled`, through matrices."""
    around, options = column.around, column.options
    block, spread, keep = column.as_block(), column.phi[:, None], column.keep[:, None]
    before = column.fit() if column.rate.size else None
    damped = keep * pooling.damping(block, keep, before, spread, options)
    centre, loose = pooling.wider_rate(block, damped, spread, around.wider)
    each = [pooling.surroundings(block, damped, spread, one, centre, loose, options) for one in around.near]
    rates, strengths = (np.stack([getattr(one, name)[:, 0] for one in each]) for name in ("rate", "strength"))
    return Pooled(rates, strengths, damped=damped)


def choose(column: Column, found: Pooled) -> np.ndarray:
    """Take the candidate with the best leave-one-out predictive likelihood, each with its own spread.

    Returns the rows that tell most about the spread.
    """
    from zoo_geo.kernels.rounds import best_of, spread_each

    family, rates, strengths = column.family, found.rates, found.strengths
    counts = column.observed, column.people, column.telling, rates, strengths, column.phi
    begins = column.begins if column.begins.size else np.ones(len(rates))
    given = begins, spreads.SPREAD_SAMPLE, RARE, family.moments
    rows, times, rare, common = spread_each(*counts, *given)
    if rows.size < spreads.FEWEST_SPREAD:
        times[:] = 1.0
    else:
        for k in np.flatnonzero(family.doubtful(times, rare, common)):
            of = column.observed, column.people, rates[k], strengths[k], column.phi
            times[k] = family.believed(rows, times[k], rare[k], common[k], *of)
    width = column.width = int(best_of(*counts, times, spreads.SCORE_SAMPLE))
    column.rate, column.strength = rates[width], strengths[width]
    column.phi *= times[width]
    column.begins = times / times[width]
    return rows


def slopes(column: Column, found: Pooled) -> np.ndarray:
    """What the error may grow with, in the order in which it is asked, shape (n_slopes, n)."""
    around, width = column.around, column.width
    assert around.touching is not None
    far = None if around.places is None else spreads.distances(around.near, around.places)[width]
    if found.parts is None or found.there is None:
        return _slopes_of_weights(column, found, far)
    from zoo_geo.kernels import rounds

    steep = np.zeros((2 if far is None else 4, column.size.size))
    touching, places = around.touching, around.given[0]
    beside = spreads.holds(around.near, width, touching)
    at = touching.indptr, touching.indices, beside
    far = _NONE if far is None else far
    given = found.parts, found.there, width, column.strength, column.phi
    rounds.slopes(*given, far, places, *at, column.asked, steep)
    return steep


def _slopes_of_weights(column: Column, found: Pooled, far: np.ndarray | None) -> np.ndarray:
    """As `slopes`, where some areas of the surroundings count more than others."""
    around, block, fit = column.around, column.as_block(), column.fit()
    assert around.touching is not None
    assert found.damped is not None
    steep = [1.0 / np.maximum(column.strength, 1e-9)]
    if far is not None and around.places is not None:
        off = spreads.off_centre(block, found.damped, around.near, fit, around.places)
        steep += [far, off[:, 0]]
    return np.stack([*steep, spreads.steepness(block, found.damped, around.touching, around.near, fit)[:, 0]])


def steepen(column: Column, rows: np.ndarray, steep: np.ndarray) -> None:
    """Let the error grow with each slope in turn, where it predicts better by more than its extra number."""
    from zoo_geo.kernels.rounds import steepen

    if rows.size < spreads.FEWEST_STEEP:
        return
    before = column.phi
    if not column.paces.size:
        column.paces = np.full(len(steep), FIRST_PACE)
        column.paces[1:-1] = _FIRST_BY_DISTANCE
    counts = column.observed, column.people, column.telling, column.rate, column.strength, before
    ends = OUTER, float(-special.ndtri(OUTER)), STEEPEST, ROUNDS
    rest = spreads.MARGIN, column.family.moments
    column.strength, column.phi = steepen(rows, *counts, steep, column.paces, *ends, *rest)
    column.begins = column.begins * (before.mean() / column.phi.mean())


def steepen_groups(column: Column, steep: np.ndarray) -> None:
    """As `steepen`, always, by distance or steps of the rate, and at the pace the central half asks for."""
    block, chosen = column.as_block(), (steep[1], steep[-1]) if len(steep) > 2 else (steep[-1],)
    tables = [each[:, None] for each in chosen]
    fit = spreads.steepened(block, column.telling[:, None], column.fit(), tables, True)
    column.strength, column.phi = fit.strength[:, 0], fit.spread[:, 0]


def answer(column: Column, classes: Classes, end: bool) -> None:
    """Let rate, spread and tail depend on exposure where that predicts better."""
    from zoo_geo.kernels.rounds import as_counts

    valid = column.valid if column.company is None else column.valid * column.company
    given = column.observed, column.size, valid, column.telling, column.rate, column.strength
    mean, error, usual, known, number = as_counts(*given)
    column.seen = Counts(column.observed, column.size, mean, error, usual), known, number
    _take(column, column.options, classes, end)


def answer_in_the_tail(column: Column, classes: Classes) -> None:
    """Ask a column that does not answer to exposure for a heavy tail alone, which odd areas may have."""
    if column.options.heavy:
        _take(column, replace(column.options, response=False), classes, True)


def _take(column: Column, options: Options, classes: Classes, end: bool) -> None:
    counts, known, number = column.seen
    column.law = responded(counts, column.phi, known, number, options, end, column.law, classes)
    column.ratio = None
    if column.law is not None:
        column.ratio, column.phi = column.law.at(column.size)
        column.rate = column.rate * column.ratio


def settled(column: Column, before: np.ndarray) -> bool:
    """Say whether hardly an area has turned odd, or usual, and nothing depends on exposure.

    What another round would change lies far inside the error of the spread; see decision 0022.
    """
    number = column.seen[2]
    changes = np.count_nonzero(column.keep != before)
    return bool(column.law is None and number >= _FEWEST_SETTLED and changes <= _SETTLED * number)


def responded(
    counts: Counts,
    phi: np.ndarray,
    known: np.ndarray,
    number: int,
    options: Options,
    end: bool,
    before: Law | None,
    classes: Classes,
) -> Law | None:
    """Law of a column by exposure, of the ``number`` of areas that are known; None of few."""
    if number < _FEWEST_RESPONSIVE:
        return None
    at = classes.of(counts.size, known)
    return respond(counts, phi, at if options.response else at.whole, options.heavy and end, before)


def tidy(column: Column, far: float, fewest: int) -> None:
    """Keep only the areas that are not odd themselves."""
    from zoo_geo.kernels.likelihood import nb_usual

    column.keep = np.empty(column.size.size)
    rest = column.rate, column.phi, column.strength, far, fewest, column.keep
    nb_usual(column.observed, column.size, column.valid, *rest)
