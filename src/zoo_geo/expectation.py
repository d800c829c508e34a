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
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse, special

from zoo_geo.predictive import SMALLEST_SPREAD, Binomial, Family, Gaussian, Poisson
from zoo_geo.references import Group, Reference, totals
from zoo_geo.response import Counts, Hidden, Law, respond

ODD = 2.6
"""Absolute z above which an area leaves the expectation of others (1 % of a calm map)."""

ODD_GROUP = 3.2
"""The same for a group: an area with its neighbours."""

_SURE = 1e12
"""Strength of an expectation without error."""

_SPREAD_SAMPLE = 3_000
_MARGIN = 2.0
"""Log likelihood that one more number has to bring."""


@dataclass(frozen=True, eq=False)
class Expectation:
    """Expected figures of a block of columns.

    Parameters
    ----------
    rate
        Expected rate (gaussian: value), shape (n_areas, n_columns); NaN where the reference has none.
    strength
        Effective number of events (gaussian: weight) behind the rate, same shape.
    spread
        Variance phi of true rates about the reference relative to its rate; binomial: correlation
        rho; gaussian: variance of a value of weight one. Shape (n_areas, n_columns).
    ratio
        Expected rate over that of a rate in proportion to exposure, same shape.
    laws
        What each column does where it is not simply in proportion to exposure, or None.
    width
        Index of the surroundings that each column uses, shape (n_columns,).
    freedom
        Degrees of freedom of the predictive t, shape (n_columns,); infinite for counts.
    """

    rate: np.ndarray
    strength: np.ndarray
    spread: np.ndarray
    width: np.ndarray
    freedom: np.ndarray
    ratio: np.ndarray
    laws: tuple[Law | None, ...]


@dataclass(frozen=True)
class Options:
    """Parts of the estimation that can be switched off, to see what each one brings.

    Parameters
    ----------
    clean
        How often areas that are odd themselves are taken out of the expectation of others.
    precision
        Weigh neighbours by the precision of their rate.
    shrink
        Shrink the surroundings to the wider surroundings.
    steep
        Trust the expectation less where the rate of the surroundings changes from one area to the next.
    groups
        Areas that are odd together leave it too, and steepness always counts: a group sees smaller errors.
    response
        Let rate and spread depend on exposure where that predicts better.
    heavy
        Let the upper tail of true rates be heavier than that of a gamma law where the counts ask for it.
    error
        Average tails over the error of the expectation, and not only over the spread of true rates.
    """

    clean: int = 2
    precision: bool = True
    shrink: bool = True
    steep: bool = True
    groups: bool = False
    response: bool = True
    heavy: bool = True
    error: bool = True


@dataclass(frozen=True, eq=False)
class _Block:
    """Columns of one family, NaN replaced by zeros where ``valid`` is False."""

    observed: np.ndarray
    size: np.ndarray
    valid: np.ndarray
    family: Family


def expect(
    observed: np.ndarray,
    size: np.ndarray,
    valid: np.ndarray,
    family: Family,
    near: Sequence[Reference],
    wider: Sequence[Reference],
    options: Options = Options(),
    touching: sparse.csr_array | None = None,
    points: np.ndarray | None = None,
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
    """
    whole = _Block(np.where(valid, observed, 0.0), np.where(valid, size, 0.0), valid, family)
    keep = valid.astype(float)
    phi = np.broadcast_to(family.first_spread(observed, size, valid), keep.shape)
    ratio = np.ones_like(keep)
    far = None if points is None else [_distance(reference, points) for reference in near]
    chosen = last = None
    for step in range(options.clean + 1):
        block = replace(whole, size=whole.size * ratio)
        damping = keep * _damping(block, keep, chosen, phi, options)
        centre, loose = _wider(block, damping, phi, wider)
        candidates = [
            _surroundings(block, damping, phi, reference, centre, loose, options) for reference in near
        ]
        fits = [_with_spread(block, keep, fit, phi) for fit in candidates]
        chosen = _best(block, keep, fits)
        if touching is not None and options.steep and (step > 0 or options.groups or options.clean == 0):
            steep = [_steepness(block, damping, touching, near, chosen)]
            if far is not None:
                steep.insert(0, np.stack([far[width] for width in chosen.width], axis=1))
            chosen = _steepened(block, keep, chosen, steep, options.groups)
        chosen = last = _responsive(whole, keep, chosen, last, options, step == options.clean)
        phi, ratio = chosen.spread, chosen.ratio
        if step < options.clean:
            odd = _odd(whole, chosen)
            if touching is not None and options.groups:
                once = shared(chosen, valid, touching)
                odd |= odd_together(residuals(observed, size, valid, family, once), touching)
            keep = (valid & ~odd).astype(float)
    assert chosen is not None
    return chosen if options.error else replace(chosen, strength=np.full_like(chosen.strength, _SURE))


def given(
    observed: np.ndarray,
    size: np.ndarray,
    valid: np.ndarray,
    family: Family,
    rate: np.ndarray,
    strength: np.ndarray,
    options: Options = Options(),
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
    block = _Block(np.where(valid, observed, 0.0), np.where(valid, size, 0.0), valid, family)
    keep = valid.astype(float)
    phi = np.broadcast_to(family.first_spread(observed, size, valid), keep.shape)
    columns = rate.shape[1]
    none = np.zeros(columns, int), np.full(columns, np.inf), np.ones_like(rate), (None,) * columns
    fit, last = Expectation(rate, strength, phi, *none), None
    for step in range(options.clean + 1):
        last = _responsive(
            block, keep, _with_spread(block, keep, fit, phi), last, options, step == options.clean
        )
        if step < options.clean:
            keep = (valid & ~_odd(block, last)).astype(float)
    assert last is not None
    return last


def _distance(reference: Reference, points: np.ndarray) -> np.ndarray:
    """Mean squared distance to the areas of a reference, in units of its median, at most 30; shape (n,)."""
    moments = np.column_stack([np.ones(len(points)), points, (points**2).sum(1)])
    near = reference @ moments
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = near[:, 1:] / near[:, :1]
        square = mean[:, 2] - 2.0 * (points * mean[:, :2]).sum(1) + (points**2).sum(1)
    known = np.isfinite(square)
    unit = np.median(square[known]) if known.any() else 0.0
    return np.clip(np.where(known, square, 0.0) / (unit or 1.0), 0.0, 30.0)


def _steepened(
    block: _Block, keep: np.ndarray, fit: Expectation, steep: list[np.ndarray], always: bool
) -> Expectation:
    """Let the error grow with what says most about it: steps of the surroundings' rate, distance, or both."""
    for each in steep:
        richer = _with_steepness(block, keep, fit, each)
        fit = richer if always and each is steep[-1] else _where_better(block, keep, fit, richer)
    return fit


def _responsive(
    whole: _Block, keep: np.ndarray, fit: Expectation, before: Expectation | None, options: Options, end: bool
) -> Expectation:
    """Let rate, spread and tail depend on exposure in the columns where that predicts better."""
    if not isinstance(whole.family, Poisson) or isinstance(whole.family, Binomial):
        return fit
    ratio, spread = np.ones_like(fit.rate), fit.spread.copy()
    laws: list[Law | None] = [None] * ratio.shape[1]
    for c in range(ratio.shape[1]):
        rows = np.flatnonzero(whole.valid[:, c] & usable(whole.family, fit.rate[:, c], whole.size[:, c]))
        if rows.size < _FEWEST_RESPONSIVE:
            continue
        size = whole.size[rows, c]
        counts = Counts(
            whole.observed[rows, c],
            size,
            fit.rate[rows, c] * size,
            1.0 / fit.strength[rows, c],
            keep[rows, c] > 0,
        )
        law = before.laws[c] if before is not None else None
        laws[c] = law = respond(counts, fit.spread[rows, c], options.response, options.heavy and end, law)
        if law is not None:
            ratio[:, c], spread[:, c] = law.at(whole.size[:, c])
    return replace(fit, rate=fit.rate * ratio, ratio=ratio, spread=spread, laws=tuple(laws))


_FEWEST_RESPONSIVE = 200


def _odd(block: _Block, fit: Expectation) -> np.ndarray:
    """Say which areas are odd themselves; one or two events, however rare, are no reason."""
    away = residuals(block.observed, block.size, block.valid, block.family, fit)
    odd = ~(np.abs(away) < ODD)
    if isinstance(block.family, Gaussian):
        return odd
    return odd & ~((away > 0) & (block.observed < _FEWEST_ODD))


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


def _damping(
    block: _Block, keep: np.ndarray, fit: Expectation | None, phi: np.ndarray, options: Options
) -> np.ndarray:
    """Precision weights from the last expectation, or from the overall rate at the start."""
    if not options.precision:
        return np.ones_like(keep)
    family = block.family
    overall = totals(keep * family.events(block.observed, block.size)) / np.maximum(
        totals(keep * block.size), 1e-300
    )
    rate = (
        np.broadcast_to(overall, keep.shape)
        if fit is None
        else np.where(np.isfinite(fit.rate), fit.rate, overall)
    )
    return family.damping(rate, block.size, phi)


def _wider(
    block: _Block, damping: np.ndarray, phi: np.ndarray, references: Sequence[Reference]
) -> tuple[np.ndarray | None, np.ndarray]:
    """Rate of the wider surroundings and the relative variance of its error."""
    centre: np.ndarray | None = None
    loose = np.zeros_like(damping)
    for reference in references:
        centre, strength = _pool(block, damping, phi, reference, centre, loose, True)
        loose = 1.0 / np.maximum(strength, 1e-9)
    return centre, loose


def _surroundings(
    block: _Block,
    damping: np.ndarray,
    phi: np.ndarray,
    reference: Reference,
    centre: np.ndarray | None,
    loose: np.ndarray,
    options: Options,
) -> Expectation:
    rate, strength = _pool(block, damping, phi, reference, centre, loose, options.shrink)
    columns = rate.shape[1]
    freedom, laws = np.full(columns, np.inf), (None,) * columns
    return Expectation(rate, strength, phi, np.zeros(columns, int), freedom, np.ones_like(rate), laws)


def _pool(
    block: _Block,
    damping: np.ndarray,
    phi: np.ndarray,
    reference: Reference,
    centre: np.ndarray | None,
    loose: np.ndarray,
    shrink: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Pool a reference's rate and shrink it to the centre with empirical-Bayes strength."""
    family = block.family
    events, size = _gathered(
        reference, damping * family.events(block.observed, block.size), damping * block.size
    )
    if centre is None and not isinstance(family, Gaussian):
        events = np.where(events > 0, events, 0.5)  # a nation without a single event still expects some
    raw = np.divide(events, size, out=np.full(size.shape, np.nan), where=size > 0)
    if centre is None or not shrink:
        return raw, size * family.information(raw)
    per_size = family.information(centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        departure = family.departure(raw, centre, phi)
        error = 1.0 / np.maximum(size * per_size, 1e-12)
        scatter = _scatter(departure, error, block.valid, family.unit(block.size, block.valid))
        prior = 1.0 / (scatter + loose)
        rate = (events + prior / per_size * centre) / (size + prior / per_size)
    return rate, size * family.information(rate) + prior


def _gathered(reference: Reference, events: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum over a reference, in units of effective events, so that the unit of the weights changes nothing."""
    events_there, size_there = reference @ events, reference @ size
    if isinstance(reference, Group) or (reference.data == 1.0).all():
        return events_there, size_there
    square = sparse.csr_array((reference.data**2, reference.indices, reference.indptr), reference.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.nan_to_num(size_there / (square @ size), posinf=0.0)
    return events_there * scale, size_there * scale


_FEWEST_ODD = 3
_CAP = 4.0
_CAPPED_MEAN = float(special.chdtr(3, _CAP) + _CAP * (1.0 - special.chdtr(1, _CAP)))
"""Mean of the square of a standard normal variable that is capped at `_CAP`."""


def _scatter(departure: np.ndarray, error: np.ndarray, valid: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Variance of surroundings about their centre, by Huber's proposal 2: outliers count as two sigma."""
    from zoo_geo.kernels.estimation import scatter

    known = valid & np.isfinite(departure) & (error < 1e9)
    square = np.where(known, departure, 0.0) ** 2
    square, error, known = (np.ascontiguousarray(each.T) for each in (square, error, known))
    return np.array([
        scatter(square[c], error[c], known[c], float(unit[c]), _CAP, _CAPPED_MEAN) for c in range(unit.size)
    ])  # fmt: skip


def _with_spread(block: _Block, keep: np.ndarray, fit: Expectation, phi: np.ndarray) -> Expectation:
    """Estimate spread and freedom of every column."""
    spread, freedom = phi.copy(), np.full(phi.shape[1], np.inf)
    for c in range(phi.shape[1]):
        rows = np.flatnonzero(_usual(block, keep, c) & usable(block.family, fit.rate[:, c], block.size[:, c]))
        if rows.size < 10:
            continue
        rows = _telling(block, fit, rows, c)
        times, freedom[c] = block.family.spread(
            block.observed[rows, c],
            block.size[rows, c],
            fit.rate[rows, c],
            1.0 / fit.strength[rows, c],
            phi[rows, c],
        )
        spread[:, c] *= times
    return replace(fit, spread=spread, freedom=freedom)


def _usual(block: _Block, keep: np.ndarray, c: int) -> np.ndarray:
    """Areas that spread is estimated from: of values all, as quantiles are robust and tails count."""
    return block.valid[:, c] if isinstance(block.family, Gaussian) else keep[:, c] > 0


def _steepness(
    block: _Block,
    damping: np.ndarray,
    touching: sparse.csr_array,
    near: Sequence[Reference],
    fit: Expectation,
) -> np.ndarray:
    """Mean squared step of the surroundings' rate from an area to its neighbours, itself left out of both."""
    from zoo_geo.kernels.estimation import steepness

    family = block.family
    rows = np.repeat(np.arange(touching.shape[0]), np.diff(touching.indptr))
    steep = np.zeros(fit.rate.shape)
    if rows.size == 0:
        return steep
    events, size = damping * family.events(block.observed, block.size), damping * block.size
    for width in np.unique(fit.width):
        columns, reference = np.flatnonzero(fit.width == width), near[width]
        holds = np.asarray(reference[touching.indices, rows], float).ravel()
        for c in columns:
            mine = np.ascontiguousarray(events[:, c]), np.ascontiguousarray(size[:, c])
            phi = np.ascontiguousarray(fit.spread[:, c])
            steep[:, c] = steepness(
                touching.indptr, touching.indices, holds, *mine, reference @ mine[0], reference @ mine[1],
                phi, not isinstance(family, Gaussian),
            )  # fmt: skip
    return steep


_ROUNDS = 3


def _with_steepness(block: _Block, keep: np.ndarray, fit: Expectation, steep: np.ndarray) -> Expectation:
    """Let the error of the expectation grow with steepness, by as much as the steepest quarter asks for."""
    strength, spread, freedom = fit.strength.copy(), fit.spread.copy(), fit.freedom.copy()
    for c in range(freedom.size):
        rows = np.flatnonzero(_usual(block, keep, c) & usable(block.family, fit.rate[:, c], block.size[:, c]))
        if rows.size < 100:
            continue
        rows = _telling(block, fit, rows, c)
        seen, size, rate = block.observed[rows, c], block.size[rows, c], fit.rate[rows, c]
        error, slope = 1.0 / fit.strength[rows, c], steep[rows, c]
        top = slope >= np.quantile(slope, 0.75)
        pace = 0.0
        for _ in range(_ROUNDS):
            pace = block.family.pace(
                seen[top], size[top], rate[top], error[top], slope[top], spread[rows, c][top], freedom[c]
            )
            times, freedom[c] = block.family.spread(seen, size, rate, error + pace * slope, spread[rows, c])
            spread[:, c] *= times
        strength[:, c] = 1.0 / (1.0 / fit.strength[:, c] + pace * steep[:, c])
    return replace(fit, strength=strength, spread=spread, freedom=freedom)


def _where_better(
    block: _Block, keep: np.ndarray, simple: Expectation, richer: Expectation, margin: float = _MARGIN
) -> Expectation:
    """Take the richer expectation in the columns where it predicts better by more than its extra number."""
    rows = (keep > 0) & usable(block.family, simple.rate, block.size)
    better = _score(block, rows, richer) > _score(block, rows, simple) + margin
    strength = np.where(better, richer.strength, simple.strength)
    spread = np.where(better, richer.spread, simple.spread)
    freedom = np.where(better, richer.freedom, simple.freedom)
    return replace(simple, strength=strength, spread=spread, freedom=freedom)


def _telling(block: _Block, fit: Expectation, rows: np.ndarray, c: int) -> np.ndarray:
    """Return the rows that tell most about the spread, which decide it anyway."""
    if rows.size <= _SPREAD_SAMPLE:
        return rows
    information = block.size[rows, c] * block.family.information(fit.rate[rows, c])
    least = np.partition(information, rows.size - _SPREAD_SAMPLE)[rows.size - _SPREAD_SAMPLE]
    return rows[information >= least]


def usable(family: Family, rate: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Say where an expected rate can be compared with: known, and inside the family's range."""
    ok = np.isfinite(rate) & (size > 0)
    if isinstance(family, Gaussian):
        return ok
    return ok & (rate > 0) & ((rate < 1) if isinstance(family, Binomial) else True)


def _best(block: _Block, keep: np.ndarray, fits: Sequence[Expectation]) -> Expectation:
    """Take the candidate with the best leave-one-out predictive likelihood, column by column."""
    if len(fits) == 1:
        return fits[0]
    known = [(keep > 0) & usable(block.family, fit.rate, block.size) for fit in fits]
    common = np.logical_and.reduce(known)
    scores = [_score(block, common, fit) for fit in fits]
    width = np.argmax(scores, axis=0)
    columns = np.arange(width.size)

    def picked(name: str) -> np.ndarray:
        stack = np.stack([getattr(fit, name) for fit in fits])
        return stack[width, columns] if stack.ndim == 2 else np.ascontiguousarray(stack[width, :, columns].T)

    rate, strength, spread, freedom = map(picked, ("rate", "strength", "spread", "freedom"))
    return replace(fits[0], rate=rate, strength=strength, spread=spread, width=width, freedom=freedom)


def _score(block: _Block, rows: np.ndarray, fit: Expectation) -> np.ndarray:
    """Log predictive likelihood of some rows of each column: of evenly spaced ones where there are many."""
    family, score = block.family, np.zeros(rows.shape[1])
    total = fit.spread if isinstance(family, Gaussian) else _total_spread(family, fit)
    for c in range(score.size):
        known = np.flatnonzero(rows[:, c])
        times = max(known.size // _SCORE_SAMPLE, 1)
        at = known[::times]
        size = block.size[at, c]
        if isinstance(family, Gaussian):
            size = 1.0 / (1.0 / size + 1.0 / fit.strength[at, c])
        score[c] = (
            times * family.log_likelihood(block.observed[at, c], size, fit.rate[at, c], total[at, c]).sum()
        )
    return score


_SCORE_SAMPLE = 4_000


def _total_spread(family: Poisson, fit: Expectation) -> np.ndarray:
    """Spread of the predictive distribution: of true rates, and of the error of the expectation."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if isinstance(family, Binomial):
            return np.clip(fit.spread + fit.rate / (1.0 - fit.rate) / fit.strength, SMALLEST_SPREAD, 0.999)
        return fit.spread + 1.0 / fit.strength


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
            between = _between(away[rows, c], size[rows, c])
            steady[:, c] = size[:, c] / (1.0 + between * size[:, c])
    return steady


_FEWEST_STEADIED = 30


def _between(away: np.ndarray, weight: np.ndarray) -> float:
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


def typical(fit: Expectation, size: np.ndarray) -> np.ndarray:
    """Median of an area's expected rate over its mean.

    It is below 1 where an unseen exposure is often small and rarely huge. The mean is what rates are pooled
    by; the median is what a reader calls expected.
    """
    times = np.ones_like(fit.rate)
    for c, law in enumerate(fit.laws):
        if isinstance(law, Hidden):
            times[:, c] = (size[:, c] + law.typical) / (size[:, c] + law.mean)
    return times


def tails(
    observed: np.ndarray, size: np.ndarray, family: Family, fit: Expectation, rows: np.ndarray, c: int
) -> tuple[np.ndarray, np.ndarray]:
    """Log of the smaller mid tail of some rows of a column, and whether it is the upper one."""
    seen, size, rate = observed[rows, c], size[rows, c], fit.rate[rows, c]
    strength, spread, law = fit.strength[rows, c], fit.spread[rows, c], fit.laws[c]
    if law is not None:
        return law.tails(seen, size, rate * size, strength, spread)
    return family.tails(seen, size, rate, strength, spread, fit.freedom[c])


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
            found = family.residual(observed, size, fit.rate, _total_spread(family, fit), np.inf)
    return np.where(known, found, np.nan)


def intervals(
    observed: np.ndarray, size: np.ndarray, valid: np.ndarray, family: Family, fit: Expectation
) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of observed over expected, shape (n_areas, n_columns); NaN where there is no ratio."""
    low, high = np.full(observed.shape, np.nan), np.full(observed.shape, np.nan)
    ok = valid & usable(family, fit.rate, size)
    for c in range(observed.shape[1]):
        rows = np.flatnonzero(ok[:, c])
        seen, rate = observed[rows, c], fit.rate[rows, c]
        if family.name == "gaussian" and ((seen < 0) | (rate <= 0)).any():
            continue  # a ratio needs a scale with a zero
        low[rows, c], high[rows, c] = family.interval(
            seen, size[rows, c], rate, fit.strength[rows, c], fit.spread[rows, c], fit.freedom[c]
        )
    return low, high
