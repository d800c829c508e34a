"""What an expectation is made of: rates, how sure they are, and how true rates spread about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo_geo.predictive import SMALLEST_SPREAD, Binomial, Family, Gaussian, Poisson
from zoo_geo.response import Law

SURE = 1e12
"""Strength of an expectation without error."""


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


def joined(fits: Sequence[Expectation], order: np.ndarray | None = None) -> Expectation:
    """Put expectations of blocks of columns side by side, and their rows in another order if one is given."""
    names = "rate", "strength", "spread", "ratio"
    tables = {name: side_by_side([getattr(fit, name) for fit in fits], order) for name in names}
    rows = {name: np.concatenate([getattr(fit, name) for fit in fits]) for name in ("width", "freedom")}
    return Expectation(**tables, **rows, laws=tuple(law for fit in fits for law in fit.laws))


def side_by_side(tables: Sequence[np.ndarray], order: np.ndarray | None = None) -> np.ndarray:
    """Columns of tables of shape (n, n_columns), each in one piece, their rows in an order if any."""
    columns = [column for table in tables for column in table.T]
    found = np.empty((len(columns), len(tables[0])), tables[0].dtype)
    for own, column in zip(found, columns, strict=True):
        if order is None:
            own[:] = column
        else:
            np.take(column, order, out=own, mode="clip")  # which does without a buffer
    return found.T


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


EVERYTHING = Options()


@dataclass(frozen=True, eq=False)
class Block:
    """Columns of one family; figures where ``valid`` is False do not count."""

    observed: np.ndarray
    size: np.ndarray
    valid: np.ndarray
    family: Family

    def column(self, c: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Figures, exposures and where both are known, of one column."""
        return self.observed[:, c], self.size[:, c], self.valid[:, c]


def usable(family: Family, rate: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Say where an expected rate can be compared with: known, and inside the family's range."""
    if isinstance(family, Gaussian):
        return np.isfinite(rate) & (size > 0)
    most = 1.0 if isinstance(family, Binomial) else np.inf
    return (rate > 0) & (rate < most) & (size > 0)


def total_spread(family: Poisson, fit: Expectation) -> np.ndarray:
    """Spread of the predictive distribution: of true rates, and of the error of the expectation."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if isinstance(family, Binomial):
            return np.clip(fit.spread + fit.rate / (1.0 - fit.rate) / fit.strength, SMALLEST_SPREAD, 0.999)
        return fit.spread + 1.0 / fit.strength
