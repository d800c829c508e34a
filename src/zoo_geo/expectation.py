"""What should be expected of an area, and how far from it chance alone would lead.

The rate of an area's surroundings is pooled over its neighbours, each weighted by the precision of
its rate, and shrunk to the rate of a wider surroundings with empirical-Bayes strength. What is seen
then follows a negative binomial (counts), beta-binomial (counts out of a number) or Student t
(values) around the expectation, with a spread that is estimated robustly, integrated over the error
of the expectation itself (`predictive`).

Everything works on blocks of columns: arrays of shape (n_areas, n_columns), areas in code order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from zoo_geo.counts import (
    Around,
    Column,
    Pooled,
    answer,
    answer_in_the_tail,
    begin,
    choose,
    pooled,
    responded,
    settled,
    slopes,
    steepen,
    steepen_groups,
    tidy,
    turn,
)
from zoo_geo.estimates import (
    EVERYTHING,
    SURE,
    Block,
    Expectation,
    Options,
    joined,
    side_by_side,
    total_spread,
    usable,
)
from zoo_geo.pooling import damping, surroundings, wider_rate
from zoo_geo.predictive import Binomial, Family, Gaussian, Poisson
from zoo_geo.references import Reference, Rings, beside_each_other, in_company, totals
from zoo_geo.response import Classes, Counts, Hidden, Law
from zoo_geo.spreads import best, distances, off_centre, steepened, steepness, with_spread

ODD = 2.6
"""Absolute z above which an area leaves the expectation of others (1 % of a calm map)."""
ODD_GROUP = 3.0
"""The same for a group: an area with its neighbours."""


def expect(
    observed: np.ndarray,
    size: np.ndarray,
    valid: np.ndarray,
    family: Family,
    near: Sequence[Reference],
    wider: Sequence[Reference],
    options: Options = EVERYTHING,
    touching: sparse.csr_array | None = None,
    points: np.ndarray | None = None,
    classes: Classes | None = None,
) -> Expectation:
    """Estimate what each area's surroundings lead to expect.

    Parameters
    ----------
    observed, size, valid
        Figures, exposures and where both are known; shape (n_areas, n_columns).
    family
        Of all columns of the block.
    near
        Candidate surroundings; the one with the best leave-one-out predictive likelihood is taken,
        column by column.
    wider
        References to shrink to, widest first; each is shrunk to the one before it.
    options
        Parts to switch off.
    touching
        Direct neighbours, for how steep the surface is; None where that makes no difference.
    points
        Places of the areas, shape (n_areas, 2), for how far away their surroundings are; None if unknown.
    classes
        Classes of exposure that were found for other columns; those of the same sizes need not be found
        again.
    """
    if isinstance(family, Poisson) and not isinstance(family, Binomial):
        classes = Classes() if classes is None else classes
        if not isinstance(near, Rings) or not near.plain:
            around = Around(near, wider, touching, points)
            return joined(_each(observed, size, valid, family, around, options, classes))
        order, around = near.order(), Around(*beside_each_other(near, wider, touching, points))
        observed, size, valid = (side_by_side([each], order) for each in (observed, size, valid))
        return joined(_each(observed, size, valid, family, around, options, classes), np.argsort(order))
    block = Block(np.where(valid, observed, 0.0), np.where(valid, size, 0.0), valid, family)
    keep = valid.astype(float)
    phi = np.broadcast_to(family.first_spread(observed, size, valid), keep.shape).copy()
    far = None if points is None else distances(near, points)
    chosen: Expectation | None = None
    company = in_company(near, valid)
    judged = replace(block, valid=valid & company)
    for step in range(options.clean + 1):
        telling, damped = keep * company, keep * damping(block, keep, chosen, phi, options)
        centre, loose = wider_rate(block, damped, phi, wider)
        found = [surroundings(block, damped, phi, each, centre, loose, options) for each in near]
        chosen = best(judged, telling, [with_spread(judged, telling, fit, phi) for fit in found])
        if touching is not None and options.steep and (step > 0 or options.groups or options.clean == 0):
            steep = [steepness(block, damped, touching, near, chosen)]
            if far is not None:
                steep.insert(0, np.stack([far[width] for width in chosen.width], axis=1))
            if points is not None and not options.groups and isinstance(family, Binomial):
                steep.insert(0, off_centre(block, damped, near, chosen, points))
            if not options.groups:
                steep.insert(0, 1.0 / np.maximum(chosen.strength, 1e-9))
            chosen = steepened(judged, telling, chosen, steep, options.groups)
        phi = chosen.spread
        if step < options.clean:
            odd = _odd(block, chosen)
            if isinstance(family, Binomial) and not options.groups:
                odd &= ~odd_like_most(block, chosen, odd, near[0])
            if touching is not None and options.groups:
                once = shared(chosen, valid, touching)
                odd |= odd_together(residuals(observed, size, valid, family, once), touching)
            keep = (valid & ~odd).astype(float)
    assert chosen is not None
    return _without_error(chosen, options)


def _each(
    observed: np.ndarray,
    size: np.ndarray,
    valid: np.ndarray,
    family: Poisson,
    around: Around,
    options: Options,
    classes: Classes,
) -> list[Expectation]:
    """Estimate what to expect of columns of counts."""
    each = (slice(c, c + 1) for c in range(size.shape[1]))
    blocks = (Block(observed[:, c], size[:, c], valid[:, c], family) for c in each)
    columns = [begin(block, around, options) for block in blocks]
    going = columns
    for step in range(options.clean + 1):
        for column in going:
            turn(column, step)
        for column, found in pooled(going, around, options):
            _take_a_round(column, found, step, classes)
        going = [column for column in going if not column.settled]
    return [_without_error(column.fit(), options) for column in columns]


def _take_a_round(column: Column, found: Pooled, step: int, classes: Classes) -> None:
    """Choose a width, let errors grow and rates answer to exposure, and keep what is not odd."""
    options, block, touching = column.options, column.block, column.around.touching
    rows = choose(column, found)
    if column.steep and options.groups:
        steepen_groups(column, slopes(column, found))
    elif column.steep:
        steepen(column, rows, slopes(column, found))
    answer(column, classes, step == options.clean)
    if step < options.clean:
        before = column.keep
        tidy(column, ODD, _FEWEST_ODD)
        if touching is not None and options.groups:
            once = shared(column.fit(), block.valid, touching)
            away = residuals(block.observed, block.size, block.valid, block.family, once)
            column.keep = column.keep * ~odd_together(away, touching)[:, 0]
        column.settled = step > 0 and settled(column, before)
        if column.settled:
            answer_in_the_tail(column, classes)


def _without_error(fit: Expectation, options: Options) -> Expectation:
    """Take an expectation for sure where its error is not to count."""
    return fit if options.error else replace(fit, strength=np.full_like(fit.strength, SURE))


def given(
    observed: np.ndarray,
    size: np.ndarray,
    valid: np.ndarray,
    family: Family,
    rate: np.ndarray,
    strength: np.ndarray,
    options: Options = EVERYTHING,
) -> Expectation:
    """Estimate spread, response and tail about rates that come from elsewhere.

    Parameters
    ----------
    observed, size, valid, family, options
        As in `expect`.
    rate, strength
        Expected rates and the effective number of events (gaussian: weight) behind them, shape
        (n_areas, n_columns).
    """
    block = Block(np.where(valid, observed, 0.0), np.where(valid, size, 0.0), valid, family)
    keep = valid.astype(float)
    phi = np.broadcast_to(family.first_spread(observed, size, valid), keep.shape).copy()
    columns = rate.shape[1]
    none = np.zeros(columns, int), np.full(columns, np.inf), np.ones_like(rate), (None,) * columns
    fit, last, classes = Expectation(rate, strength, phi, *none), None, Classes()
    for step in range(options.clean + 1):
        spread = with_spread(block, keep, fit, phi)
        last = _responsive(block, keep, spread, last, options, step == options.clean, classes)
        if step < options.clean:
            keep = (valid & ~_odd(block, last)).astype(float)
    assert last is not None
    return _without_error(last, options)


def _responsive(
    whole: Block,
    keep: np.ndarray,
    fit: Expectation,
    before: Expectation | None,
    options: Options,
    end: bool,
    classes: Classes,
) -> Expectation:
    """Let rate, spread and tail depend on exposure in the columns where that predicts better."""
    if not isinstance(whole.family, Poisson) or isinstance(whole.family, Binomial):
        return fit
    ratio, spread = np.ones_like(fit.rate), fit.spread.copy()
    laws: list[Law | None] = [None] * ratio.shape[1]
    known = whole.valid & usable(whole.family, fit.rate, whole.size)
    for c in range(ratio.shape[1]):
        column = whole.observed, whole.size, fit.rate, fit.strength, keep, fit.spread
        observed, size, rate, strength, kept, phi = (each[:, c] for each in column)
        counts = Counts(observed, size, rate * size, 1.0 / strength, kept > 0)
        law = before.laws[c] if before is not None else None
        number = int(np.count_nonzero(known[:, c]))
        laws[c] = law = responded(counts, phi, known[:, c], number, options, end, law, classes)
        if law is not None:
            ratio[:, c], spread[:, c] = law.at(size)
    return replace(fit, rate=fit.rate * ratio, ratio=ratio, spread=spread, laws=tuple(laws))


def _odd(block: Block, fit: Expectation) -> np.ndarray:
    """Say which areas are odd themselves; one or two events, however rare, are no reason."""
    away = residuals(block.observed, block.size, block.valid, block.family, fit)
    odd = ~(np.abs(away) < ODD)
    if isinstance(block.family, Gaussian):
        return odd
    return odd & ~((away > 0) & (block.observed < _FEWEST_ODD))


def odd_like_most(block: Block, fit: Expectation, odd: np.ndarray, beside: Reference) -> np.ndarray:
    """Say which odd areas lie among areas of which most, by precision, are odd on the same side.

    There the expectation is off, not the areas: without them it would be drawn from the few that are left.
    """
    odd = odd & usable(block.family, fit.rate, block.size)
    precise = block.family.damping(fit.rate, block.size, fit.spread) * block.size
    high, like = block.observed > fit.rate * block.size, np.zeros(odd.shape, bool)
    for same in (odd & high, odd & ~high):
        like |= same & (2.0 * (beside @ (precise * same)) > beside @ precise)
    return like


def shared(fit: Expectation, valid: np.ndarray, touching: sparse.csr_array) -> Expectation:
    """Count the error of an expectation once for every area of a group.

    Neighbours share their surroundings, so they share the error too: in the sum over a group of ``m`` areas
    it does not average out, and its variance there is ``m`` times that of independent errors.
    """
    return replace(fit, strength=fit.strength / ((touching != 0).astype(float) @ valid.astype(float) + 1.0))


def odd_together(away: np.ndarray, touching: sparse.csr_array) -> np.ndarray:
    """Say which areas lie on the odd side of a group (an area and its neighbours) that is odd as a whole.

    ``away`` are residuals against a `shared` expectation; none counts for more than three.
    """
    known, near = np.isfinite(away), (touching != 0).astype(float)
    centre = totals(np.where(known, away, 0.0)) / np.maximum(known.sum(0), 1)
    away = np.clip(np.where(known, away - centre, 0.0), -3.0, 3.0)
    whole = (near @ away + away) / np.sqrt(near @ known.astype(float) + 1.0)
    high, low = (whole > ODD_GROUP).astype(float), (whole < -ODD_GROUP).astype(float)
    return ((near.T @ high + high > 0) & (away > 0)) | ((near.T @ low + low > 0) & (away < 0))


_FEWEST_ODD = 3


def steadied(
    observed: np.ndarray, size: np.ndarray, valid: np.ndarray, family: Family, reference: Reference
) -> np.ndarray:
    """Weights of values when areas differ by more than their weights explain, shape (n_areas, n_columns).

    A value's variance is phi (1 / weight + between); ``between`` is such that heavy and light areas are
    equally far from their surroundings in units of it. Sizes of counts come back as they are.
    """
    if not isinstance(family, Gaussian):
        return size
    known = valid & np.isfinite(observed) & (size > 0)
    weight, value = np.where(known, size, 0.0), np.where(known, observed, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.abs(value - (reference @ (weight * value)) / (reference @ weight))
    steady = size.astype(float).copy()
    for c in range(size.shape[1]):
        rows = np.flatnonzero(known[:, c] & np.isfinite(away[:, c]))
        if rows.size >= _FEWEST_STEADIED:
            between = between_areas(away[rows, c], size[rows, c])
            steady[:, c] = size[:, c] / (1.0 + between * size[:, c])
    return steady


_FEWEST_STEADIED = 30


def between_areas(away: np.ndarray, weight: np.ndarray) -> float:
    """Variance between areas, in that of a value of weight one, by halves of heavy and of light areas."""
    from scipy.optimize import brentq

    middle = float(np.median(weight))
    heavy = weight > middle
    if not heavy.any() or heavy.all():
        return 0.0

    def surplus(log_between: float) -> float:
        scaled = away / np.sqrt(1.0 / weight + np.exp(log_between))
        return float(np.median(scaled[heavy]) - np.median(scaled[~heavy]))

    low, high = np.log(1e-3 / middle), np.log(1e3 / middle)
    if surplus(low) <= 0.0:
        return 0.0
    return float(np.exp(high if surplus(high) >= 0.0 else brentq(surplus, low, high, xtol=0.01)))


def typical(law: Law | None, size: np.ndarray) -> np.ndarray:
    """Median of the expected rates of a column over their means, of the shape of the sizes.

    It is below 1 where an unseen exposure is often small and rarely huge. The mean is what rates are pooled
    by; the median is what a reader calls expected.
    """
    if isinstance(law, Hidden):
        return (size + law.typical) / (size + law.mean)
    return np.ones_like(size)


_LEAST = 0.01
"""Strength of an expectation that says nothing."""


def tails(
    observed: np.ndarray, size: np.ndarray, family: Family, fit: Expectation, rows: np.ndarray, c: int
) -> tuple[np.ndarray, np.ndarray]:
    """Log of the smaller mid tail of some rows of a column, and whether it is the upper one."""
    column = observed, size, fit.rate, fit.strength, fit.spread
    seen, people, rate, strength, spread = (each[:, c].take(rows) for each in column)
    return tails_of(seen, people, rate, strength, spread, family, fit.laws[c], float(fit.freedom[c]))


def tails_of(
    seen: np.ndarray,
    size: np.ndarray,
    rate: np.ndarray,
    strength: np.ndarray,
    spread: np.ndarray,
    family: Family,
    law: Law | None,
    freedom: float,
) -> tuple[np.ndarray, np.ndarray]:
    """As `tails`, of figures, sizes, rates, strengths and spreads, each of shape (n,)."""
    strength = np.maximum(strength, _LEAST)
    if law is not None:
        return law.tails(seen, size, rate * size, strength, spread)
    return family.tails(seen, size, rate, strength, spread, freedom)


def residuals(
    observed: np.ndarray, size: np.ndarray, valid: np.ndarray, family: Family, fit: Expectation
) -> np.ndarray:
    """Signed deviance residuals, shape (n_areas, n_columns); NaN where there is no expectation."""
    known = valid & usable(family, fit.rate, size)
    with np.errstate(all="ignore"):
        if isinstance(family, Gaussian):
            size = 1.0 / (1.0 / size + 1.0 / fit.strength)
            found = family.residual(observed, size, fit.rate, fit.spread, np.inf)
        else:
            found = family.residual(observed, size, fit.rate, total_spread(family, fit), np.inf)
    return np.where(known, found, np.nan)


def interval(
    observed: np.ndarray, size: np.ndarray, family: Family, fit: Expectation, rows: np.ndarray, c: int
) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of observed over expected of some rows of a column."""
    column = observed, size, fit.rate, fit.strength, fit.spread
    seen, people, rate, strength, spread = (each[:, c].take(rows) for each in column)
    return family.interval(seen, people, rate, strength, spread, float(fit.freedom[c]))


def intervals(
    observed: np.ndarray, size: np.ndarray, valid: np.ndarray, family: Family, fit: Expectation
) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of observed over expected, shape (n_areas, n_columns); NaN where there is no ratio."""
    low, high = (np.full(observed.shape, np.nan, order="F") for _ in range(2))
    ok = valid & usable(family, fit.rate, size)
    for c in range(observed.shape[1]):
        rows = np.flatnonzero(ok[:, c])
        if family.name == "gaussian" and ((observed[rows, c] < 0) | (fit.rate[rows, c] <= 0)).any():
            continue  # a ratio needs a scale with a zero
        low[rows, c], high[rows, c] = interval(observed, size, family, fit, rows, c)
    return low, high
