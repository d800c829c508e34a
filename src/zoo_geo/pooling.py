"""Rates of surroundings: pooled with the precision of each, and shrunk to those of wider surroundings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse, special

from zoo_geo.estimates import Block, Expectation, Options
from zoo_geo.predictive import Gaussian
from zoo_geo.references import Group, Reference, Rings, totals

_CAP = 4.0
_CAPPED_MEAN = float(special.chdtr(3, _CAP) + _CAP * (1.0 - special.chdtr(1, _CAP)))
"""Mean of the square of a standard normal variable that is capped at `_CAP`."""


def damping(
    block: Block, keep: np.ndarray, fit: Expectation | None, phi: np.ndarray, options: Options
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


def wider_rate(
    block: Block, damping: np.ndarray, phi: np.ndarray, references: Sequence[Reference]
) -> tuple[np.ndarray | None, np.ndarray]:
    """Rate of the wider surroundings and the relative variance of its error."""
    if _fast(block, references):
        return _wider_counts(block, damping, references)
    centre: np.ndarray | None = None
    loose = np.zeros_like(damping)
    for reference in references:
        centre, strength = _pool(block, damping, phi, reference, centre, loose, True)
        loose = 1.0 / np.maximum(strength, 1e-9)
    return centre, loose


def candidates(
    block: Block,
    damping: np.ndarray,
    phi: np.ndarray,
    references: Sequence[Reference],
    centre: np.ndarray | None,
    loose: np.ndarray,
    options: Options,
) -> tuple[list[Expectation], Sums | None]:
    """Pool the rates of each reference and shrink them to those of the wider surroundings; with the sums."""
    if not _fast(block, references) or (centre is not None and not options.shrink):
        return [surroundings(block, damping, phi, each, centre, loose, options) for each in references], None
    sums = added(references, *_weighed(block, damping))
    found = []
    for events, weight in zip(*sums, strict=True):
        rate, strength = _shrunk(block, events, weight, centre, loose)
        found.append(Expectation(rate, strength, phi, *_unknown(rate)))
    return found, sums


Sums = tuple[np.ndarray, np.ndarray]
"""Counts and sizes of references together, each of shape (n_references, n_areas)."""


def _unknown(rate: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[None, ...]]:
    """Width, freedom, ratio and laws of an expectation to begin with."""
    columns = rate.shape[1]
    return np.zeros(columns, int), np.full(columns, np.inf), np.ones_like(rate), (None,) * columns


def _fast(block: Block, references: Sequence[Reference]) -> bool:
    """Whether a single column of counts is compared with references whose areas all count the same."""
    plain = isinstance(references, Rings) and references.plain
    plain = plain or all(isinstance(reference, Group) for reference in references)
    return plain and block.family.name == "poisson" and block.size.shape[1] == 1


def _weighed(block: Block, damping: np.ndarray) -> Sums:
    """Counts and sizes of a single column, times the precision of their rates."""
    weight = damping[:, 0]
    return weight * block.observed[:, 0], weight * block.size[:, 0]


def added(references: Sequence[Reference], events: np.ndarray, weight: np.ndarray) -> Sums:
    """Add up counts and sizes of each reference."""
    from zoo_geo.kernels.pooling import group_sums, ring_sums

    shape = len(references), events.size
    there = np.empty(shape), np.empty(shape)
    if isinstance(references, Rings):
        ring_sums(*references.nested(), events, weight, *there)
        return there
    for reference, *sums in zip(references, *there, strict=True):
        assert isinstance(reference, Group)
        group_sums(reference.labels, events, weight, *sums)
    return there


def _shrunk(
    block: Block, events: np.ndarray, weight: np.ndarray, centre: np.ndarray | None, loose: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rate and strength of one column of counts, shape (n_areas, 1)."""
    from zoo_geo.kernels.pooling import shrink

    if centre is None:
        events = np.where(events > 0, events, 0.5)  # a nation without a single event still expects some
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.where(weight > 0, events / weight, np.nan)
        return rate[:, None], (weight * rate)[:, None]
    rate, strength = np.empty_like(centre), np.empty_like(centre)
    given = events, weight, centre[:, 0], loose[:, 0], block.valid[:, 0]
    shrink(*given, _CAP, _CAPPED_MEAN, rate[:, 0], strength[:, 0])
    return rate, strength


def _wider_counts(
    block: Block, damping: np.ndarray, references: Sequence[Reference]
) -> tuple[np.ndarray | None, np.ndarray]:
    """As `wider_rate`, for a single column of counts."""
    centre: np.ndarray | None = None
    loose = np.zeros_like(damping)
    sums = added(references, *_weighed(block, damping))
    for events, weight in zip(*sums, strict=True):
        centre, strength = _shrunk(block, events, weight, centre, loose)
        loose = 1.0 / np.maximum(strength, 1e-9)
    return centre, loose


def surroundings(
    block: Block,
    damping: np.ndarray,
    phi: np.ndarray,
    reference: Reference,
    centre: np.ndarray | None,
    loose: np.ndarray,
    options: Options,
) -> Expectation:
    """Pool the rates of one reference and shrink them to those of the wider surroundings."""
    rate, strength = _pool(block, damping, phi, reference, centre, loose, options.shrink)
    return Expectation(rate, strength, phi, *_unknown(rate))


def _pool(
    block: Block,
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


def _scatter(departure: np.ndarray, error: np.ndarray, valid: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Variance of surroundings about their centre, by Huber's proposal 2: outliers count as two sigma."""
    from zoo_geo.kernels.pooling import scatter

    known = valid & np.isfinite(departure) & (error < 1e9)
    square = np.where(known, departure, 0.0) ** 2
    square, error, known = (np.ascontiguousarray(each.T) for each in (square, error, known))
    return np.array([
        scatter(square[c], error[c], known[c].astype(float), float(unit[c]), _CAP, _CAPPED_MEAN) for c in
        range(unit.size)
    ])  # fmt: skip
