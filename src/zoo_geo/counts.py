"""What should be expected of one column of counts: as `expectation`, through fused loops over areas.

Where all areas of a surroundings count the same, sums over rings take counts, sizes and places along in one
walk. Searches begin where they ended a round before, and nothing is sought where nothing can be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse, special

from zoo_geo import pooling, spreads
from zoo_geo.estimates import Block, Expectation, Options
from zoo_geo.predictive import FIRST_PACE, OUTER, STEEPEST
from zoo_geo.references import Group, Reference, Rings
from zoo_geo.response import Classes, Counts, Law, respond

_NONE, _NOWHERE = np.empty(0), np.empty((0, 2))
_FEWEST_RESPONSIVE = 200


@dataclass(frozen=True, eq=False)
class Around:
    """What areas are compared with, as of `expectation.expect`."""

    near: Sequence[Reference]
    wider: Sequence[Reference]
    touching: sparse.csr_array | None
    points: np.ndarray | None

    @property
    def plain(self) -> bool:
        """Whether all areas of a surroundings count the same."""
        rings = isinstance(self.near, Rings) and self.near.plain
        return all(isinstance(each, Group) for each in (*self.wider, *(() if rings else self.near)))


@dataclass(frozen=True, eq=False)
class Sums:
    """Damped counts and sizes (and sizes times places) of each area, and of its surroundings.

    Parameters
    ----------
    parts
        Of each area, shape (n, 4).
    there
        Of each candidate, shape (n_candidates, 4, n).
    """

    parts: np.ndarray
    there: np.ndarray


@dataclass(eq=False)
class Column:
    """Counts of one column, and how far their expectation has come; arrays of shape (n,).

    ``rate`` is per unit of ``people``, which are ``size`` times the ``ratio`` of a response to exposure.
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
    rate: np.ndarray = field(default_factory=lambda: _NONE)
    strength: np.ndarray = field(default_factory=lambda: _NONE)
    width: int = 0
    law: Law | None = None
    ratio: np.ndarray | None = None
    begins: list[float] = field(default_factory=list)
    paces: dict[int, float] = field(default_factory=dict)

    @property
    def column(self) -> tuple[np.ndarray, ...]:
        """Counts, sizes, rates, strengths and spreads."""
        return self.observed, self.people, self.rate, self.strength, self.phi

    def as_block(self) -> Block:
        """Return the block of the counts with the sizes that rates are per unit of."""
        return replace(self.block, size=self.people[:, None])

    def fit(self) -> Expectation:
        """Return the expectation so far."""
        tables = (each[:, None] for each in (self.rate, self.strength, self.phi))
        ratio = np.ones_like(self.rate) if self.ratio is None else self.ratio
        return Expectation(
            *tables, np.array([self.width]), np.full(1, np.inf), ratio[:, None], (self.law,)
        )  # fmt: skip


def begin(block: Block, around: Around, options: Options) -> Column:
    """Nothing is known yet of a block of one column."""
    valid = block.valid[:, 0]
    observed, size = (np.where(valid, each[:, 0], 0.0) for each in (block.observed, block.size))
    phi = np.full(valid.size, float(block.family.first_spread(block.observed, block.size, block.valid)[0]))
    whole = replace(block, observed=observed[:, None], size=size[:, None])
    known = valid.astype(float)
    return Column(whole, around, options, observed, size, known, known, size, phi)


def pooled(column: Column) -> tuple[np.ndarray, np.ndarray, Sums | None, np.ndarray]:
    """Rates and strengths of each candidate, shape (n_candidates, n), with the sums; and damped keeping."""
    options = column.options
    if column.around.plain and (options.shrink or not column.around.wider):
        rates, strengths, sums = _summed(column)
        return rates, strengths, sums, _NONE
    block, phi = column.as_block(), column.phi[:, None]
    before = column.fit() if column.rate.size else None
    damped = column.keep[:, None] * pooling.damping(block, column.keep[:, None], before, phi, options)
    centre, loose = pooling.wider_rate(block, damped, phi, column.around.wider)
    found = [
        pooling.surroundings(block, damped, phi, each, centre, loose, options) for each in column.around.near
    ]
    rates, strengths = (
        np.stack([getattr(each, name)[:, 0] for each in found]) for name in ("rate", "strength")
    )
    return rates, strengths, None, damped


def _summed(column: Column) -> tuple[np.ndarray, np.ndarray, Sums]:
    """As `pooled`, where all areas of a surroundings count the same."""
    from zoo_geo.kernels.pooling import weigh

    n, points = column.size.size, column.around.points
    parts = np.zeros((n, 4)) if points is None else np.empty((n, 4))
    phi = column.phi if column.options.precision else _NONE
    rest = column.keep, column.rate, phi, _NOWHERE if points is None else points
    weigh(column.observed, column.people, *rest, parts)
    centre, loose = None, np.zeros(n)
    for sums in _there(column.around.wider, parts):
        centre, strength = _shrunk(column, sums, centre, loose)
        loose = 1.0 / np.maximum(strength, 1e-9)
    there = _there(column.around.near, parts)
    rates, strengths = np.empty((len(there), n)), np.empty((len(there), n))
    for k, sums in enumerate(there):
        rates[k], strengths[k] = _shrunk(column, sums, centre, loose)
    return rates, strengths, Sums(parts, there)


def _there(references: Sequence[Reference], parts: np.ndarray) -> np.ndarray:
    """Sums over each reference, shape (n_references, 4, n)."""
    from zoo_geo.kernels.pooling import group_sums, ring_sums

    found = np.empty((len(references), 4, len(parts)))
    if isinstance(references, Rings):
        ring_sums(*references.nested(), parts, found)
        return found
    for reference, sums in zip(references, found, strict=True):
        assert isinstance(reference, Group)
        group_sums(reference.labels, parts, sums)
    return found


def _shrunk(
    column: Column, sums: np.ndarray, centre: np.ndarray | None, loose: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rate and strength of surroundings, shrunk to a centre where there is one."""
    from zoo_geo.kernels.pooling import plain_rate, shrink

    rate, strength = np.empty(loose.size), np.empty(loose.size)
    if centre is None:
        plain_rate(sums, rate, strength)
    else:
        shrink(sums, centre, loose, column.valid, pooling.CAP, pooling.CAPPED_MEAN, rate, strength)
    return rate, strength


def choose(column: Column, rates: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Take the candidate with the best leave-one-out predictive likelihood, each with its own spread.

    Returns the rows that tell most about the spread.
    """
    from zoo_geo.kernels.likelihood import compared, nb_score
    from zoo_geo.kernels.settling import by_count, telling

    observed, people, phi = column.observed, column.people, column.phi
    rows = by_count(telling(column.keep, rates[-1], people, spreads.SPREAD_SAMPLE), observed)
    begins = [min(max(each, 0.01), 100.0) for each in column.begins] or [1.0] * len(rates)
    times = [1.0] * len(rates)
    if rows.size >= spreads.FEWEST_SPREAD:
        for k, begin in enumerate(begins):
            times[k], _ = column.block.family.matched(
                rows, begin, observed, people, rates[k], strengths[k], phi
            )
    score = np.zeros(len(rates))
    if len(rates) > 1:
        few, each = compared(column.keep, people, rates, spreads.SCORE_SAMPLE)
        for k in range(len(rates)):
            rest = rates[k], strengths[k], phi, times[k], _NONE, 0.0
            score[k] = each * nb_score(few, observed, people, *rest)
    best = column.width = int(np.argmax(score))
    column.rate, column.strength, column.phi = rates[best], strengths[best], phi * times[best]
    column.begins = [each / times[best] for each in times]
    return rows


def slopes(column: Column, sums: Sums | None, damped: np.ndarray) -> list[np.ndarray]:
    """What the error of an expectation may grow with, in the order in which it is asked."""
    around, options, block, fit = column.around, column.options, column.as_block(), column.fit()
    assert around.touching is not None
    if sums is None:
        found = [spreads.steepness(block, damped, around.touching, around.near, fit)[:, 0]]
    else:
        found = [_steepness(column, sums)]
    if around.points is not None:
        far = spreads.distances(around.near, around.points)[column.width]
        if not options.groups and sums is not None:
            found.insert(0, _off_centre(sums.there[column.width], around.points))
        elif not options.groups:
            found.insert(0, spreads.off_centre(block, damped, around.near, fit, around.points)[:, 0])
        found.insert(0, far)
    if not options.groups:
        found.insert(0, 1.0 / np.maximum(column.strength, 1e-9))
    return found


def _steepness(column: Column, sums: Sums) -> np.ndarray:
    """As `spreads.steepness`."""
    from zoo_geo.kernels.pooling import steepness

    touching, there = column.around.touching, sums.there[column.width]
    assert touching is not None
    if touching.nnz == 0:
        return np.zeros(column.size.size)
    holds = spreads.holds(column.around.near, column.width, touching)
    own = sums.parts[:, 0], sums.parts[:, 1], there[0], there[1], column.phi
    return steepness(touching.indptr, touching.indices, holds, *own, True)


def _off_centre(there: np.ndarray, points: np.ndarray) -> np.ndarray:
    """As `spreads.off_centre`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        east, north = there[2] / there[1] - points[:, 0], there[3] / there[1] - points[:, 1]
    return spreads.in_medians(east * east + north * north)


def steepen(column: Column, rows: np.ndarray, found: list[np.ndarray]) -> None:
    """Let the error grow with each slope in turn, where that predicts better by more than its extra number.

    Where the steepest quarter lies inside already, nothing is to be gained.
    """
    from zoo_geo.kernels.likelihood import compared, nb_score
    from zoo_geo.kernels.settling import insides, steepest_inside

    if rows.size < spreads.FEWEST_STEEP:
        return
    few, each = compared(column.keep, column.people, column.rate[None], spreads.SCORE_SAMPLE)
    score = each * nb_score(few, *column.column, 1.0, _NONE, 0.0)
    ends = OUTER, float(-special.ndtri(OUTER))
    inside = insides(rows, *column.column, *ends)
    for kind, slope in enumerate(found):
        if steepest_inside(slope, STEEPEST, *inside) >= 1.0 - 2.0 * OUTER:
            continue
        at = column.paces.get(kind, FIRST_PACE)
        pace, times, _ = column.block.family.grown(rows, at, slope, OUTER, np.inf, *column.column)
        column.paces[kind] = pace
        gained = each * nb_score(few, *column.column, times, slope, pace)
        if gained > score + spreads.MARGIN:
            with np.errstate(divide="ignore"):
                column.strength = 1.0 / (1.0 / column.strength + pace * slope)
            column.phi, score = column.phi * times, gained
            column.begins = [each / times for each in column.begins]
            inside = insides(rows, *column.column, *ends)


def steepen_groups(column: Column, found: list[np.ndarray]) -> None:
    """As `steepen`, always, and by the pace that the central half asks for."""
    block, tables = column.as_block(), [each[:, None] for each in found]
    fit = spreads.steepened(block, column.keep[:, None], column.fit(), tables, True)
    column.strength, column.phi = fit.strength[:, 0], fit.spread[:, 0]


def answer(column: Column, classes: Classes, end: bool) -> None:
    """Let rate, spread and tail depend on exposure where that predicts better."""
    rate, size = column.rate, column.size
    known = (column.valid > 0) & (rate > 0) & (rate < np.inf) & (size > 0)
    with np.errstate(divide="ignore"):
        error = 1.0 / column.strength
    counts = Counts(column.observed, size, rate * size, error, column.keep > 0)
    column.law = responded(counts, column.phi, known, column.options, end, column.law, classes)
    column.ratio = None
    if column.law is not None:
        column.ratio, column.phi = column.law.at(size)
        column.rate = rate * column.ratio


def responded(
    counts: Counts,
    phi: np.ndarray,
    known: np.ndarray,
    options: Options,
    end: bool,
    before: Law | None,
    classes: Classes,
) -> Law | None:
    """Law of a column by exposure, of the areas that are known; None of few."""
    if np.count_nonzero(known) < _FEWEST_RESPONSIVE:
        return None
    at = classes.of(counts.size, known)
    return respond(counts, phi, at if options.response else at.none(), options.heavy and end, before)


def tidy(column: Column, far: float, fewest: int) -> None:
    """Keep only the areas that are not odd themselves."""
    from zoo_geo.kernels.likelihood import nb_usual

    column.keep = np.empty(column.size.size)
    rest = column.rate, column.phi, column.strength, far, fewest, column.keep
    nb_usual(column.observed, column.size, column.valid, *rest)
