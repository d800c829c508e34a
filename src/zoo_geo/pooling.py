"""Rates of surroundings: pooled with the precision of each, and shrunk to those of wider surroundings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse, special

from zoo_geo.estimates import Block, Expectation, Options
from zoo_geo.predictive import Gaussian
from zoo_geo.references import Group, Reference, totals

CAP = 4.0
"""Squared departure, in variances, beyond which surroundings count as just that far."""
CAPPED_MEAN = float(special.chdtr(3, CAP) + CAP * (1.0 - special.chdtr(1, CAP)))
"""Mean of the square of a standard normal variable that is capped at `CAP`."""


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
    centre: np.ndarray | None = None
    loose = np.zeros_like(damping)
    for reference in references:
        centre, strength = _pool(block, damping, phi, reference, centre, loose, True)
        loose = 1.0 / np.maximum(strength, 1e-9)
    return centre, loose


def _unknown(rate: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[None, ...]]:
    """Width, freedom, ratio and laws of an expectation to begin with."""
    columns = rate.shape[1]
    return np.zeros(columns, int), np.full(columns, np.inf), np.ones_like(rate), (None,) * columns


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
        scatter(square[c], error[c], known[c].astype(float), float(unit[c]), CAP, CAPPED_MEAN) for c in
        range(unit.size)
    ])  # fmt: skip
