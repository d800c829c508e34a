"""Control limits: the figures at which a mid tail of the predictive distribution is that of a class.

An area is above a limit exactly when its class says so. Counts are whole and limits lie between them: where
the signed normal quantile of the mid tail, as a straight line from one count to the next, reaches the level.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from zoo_geo.errors import InputError
from zoo_geo.predictive import FAMILIES

_INNER, _OUTER = special.ndtri([0.975, 0.999])

LEVELS: dict[str, float] = {"low_998": -_OUTER, "low_95": -_INNER, "high_95": _INNER, "high_998": _OUTER}
"""Class that begins at each limit, and its standard normal quantile: 0.1 % and 2.5 % a tail."""

_Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Signed normal quantile of figures in some rows."""


class Limits(NamedTuple):
    """Control limits, each of shape (4, n): rows in the order of `LEVELS`.

    Parameters
    ----------
    observed
        In counts or values; NaN where no figure is that low or that high.
    ratio
        As a share of what is expected; NaN where that is not positive.
    """

    observed: np.ndarray
    ratio: np.ndarray


def control_limits(
    family: str,
    size: np.ndarray,
    rate: np.ndarray,
    strength: np.ndarray | float,
    phi: np.ndarray | float,
    freedom: float = np.inf,
) -> Limits:
    """Return the figures outside which an area is high or low, at 95 % and 99.8 %.

    Parameters
    ----------
    family
        ``poisson``, ``binomial`` or ``gaussian``.
    size
        Exposure, out of how many, or weight; shape (n,).
    rate
        Expected count per unit of exposure, share (0 to 1) or value; shape (n,).
    strength
        Events (or weight) that the expectation rests on; infinite where it is known. Shape (n,) or a number.
    phi
        Spread of true rates about the expectation; shape (n,) or a number.
    freedom
        Degrees of freedom of the tail, as in `predictive.FAMILIES`.

    Returns
    -------
    Limits
        NaN throughout where size, rate, strength or spread says nothing (missing, not positive).

    Raises
    ------
    InputError
        The family is unknown.

    References
    ----------
    Spiegelhalter (2005), doi:10.1002/sim.1970, who interpolates between counts as well.

    Examples
    --------
    >>> import numpy as np
    >>> limits = control_limits("poisson", np.array([1000.0]), np.array([0.02]), np.inf, 1e-5)
    >>> limits.observed.T.round(2)
    array([[ 7.64, 11.69, 29.26, 35.22]])
    """
    if family not in FAMILIES:
        raise InputError(f"family needs to be one of {', '.join(FAMILIES)}; got {family!r}.")
    given = np.broadcast_arrays(*np.atleast_1d(size, rate, strength, phi))
    size, rate, sure, spread = (np.array(each, float) for each in given)
    sure = np.minimum(sure, _KNOWN)
    known = _known(family, size, rate, sure, spread)
    score = _scorer(family, (size[known], rate[known], sure[known], spread[known]), freedom)
    observed = np.full((len(LEVELS), size.size), np.nan)
    for limit, level in zip(observed, LEVELS.values(), strict=True):
        if family == "gaussian":
            limit[known] = _value(score, level, rate[known], np.sqrt(spread[known] / size[known]))
        else:
            most = np.floor(size[known]) if family == "binomial" else np.full(known.sum(), np.inf)
            limit[known] = _count(score, level, size[known] * rate[known], most)
    expected = rate if family == "gaussian" else size * rate
    with np.errstate(divide="ignore", invalid="ignore"):
        return Limits(observed, np.where(expected > 0, observed / expected, np.nan))


_KNOWN = 1e12
"""Strength of an expectation that is as good as known."""


def _known(
    family: str, size: np.ndarray, rate: np.ndarray, strength: np.ndarray, phi: np.ndarray
) -> np.ndarray:
    """Rows that have a predictive distribution."""
    known = np.isfinite(size) & np.isfinite(rate) & (size > 0) & (strength > 0) & (phi > 0) & np.isfinite(phi)
    if family == "gaussian":
        return known
    return known & (rate > 0) & ((rate < 1) if family == "binomial" else True)


def _scorer(family: str, given: tuple[np.ndarray, ...], freedom: float) -> _Score:
    """Return the function that gives the signed normal quantile of figures in some rows."""
    tails: Callable[..., tuple[np.ndarray, np.ndarray]] = FAMILIES[family].tails

    def score(figures: np.ndarray, rows: np.ndarray) -> np.ndarray:
        log_p, upper = tails(figures, *(each[rows] for each in given), freedom)
        return np.where(upper, -1.0, 1.0) * special.ndtri_exp(log_p)

    return score


def _count(score: _Score, level: float, mean: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Where the score of counts reaches a level, on the line between two counts; NaN where none does."""
    low, high, below, above = _bracket(score, level, mean, most)
    turn = 0
    while (rows := np.flatnonzero((high - low > 1.0) & (above >= level))).size:
        width = high[rows] - low[rows]
        share = np.full(rows.size, 0.5)
        if turn % 3 < 2:  # the straight line is quick, halving is sure
            with np.errstate(invalid="ignore"):
                share = np.nan_to_num((level - below[rows]) / (above[rows] - below[rows]), nan=0.5)
        middle = low[rows] + np.clip(np.floor(share * width), 1.0, width - 1.0)
        there = score(middle, rows)
        beyond = there >= level
        low[rows], below[rows] = np.where(beyond, [low[rows], below[rows]], [middle, there])
        high[rows], above[rows] = np.where(beyond, [middle, there], [high[rows], above[rows]])
        turn += 1
    with np.errstate(invalid="ignore"):  # below zero nothing is known, so a limit there is NaN
        return np.where(above >= level, low + (level - below) / (above - below), np.nan)


def _bracket(
    score: _Score, level: float, mean: np.ndarray, most: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts whose scores are below a level and, where there are any, at or above it; with these scores."""
    low, below = np.full(mean.size, -1.0), np.full(mean.size, -np.inf)
    high = np.minimum(np.ceil(mean), most)
    above = score(high, np.arange(mean.size))
    while (rows := np.flatnonzero((above < level) & (high < most))).size:
        low[rows], below[rows] = high[rows], above[rows]
        high[rows] = np.minimum(2.0 * high[rows] + 1.0, most[rows])
        above[rows] = score(high[rows], rows)
    return low, high, below, above


_HALVINGS = 60


def _value(score: _Score, level: float, centre: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Where the score of values reaches a level, by steps outward from the centre and halving."""
    side, rows = np.sign(level), np.arange(centre.size)
    near, far = np.zeros(centre.size), unit.copy()
    for _ in range(_HALVINGS):
        far = np.where(side * score(centre + side * far, rows) < abs(level), 2.0 * far, far)
    for _ in range(_HALVINGS):
        middle = (near + far) / 2.0
        beyond = side * score(centre + side * middle, rows) >= abs(level)
        near, far = np.where(beyond, near, middle), np.where(beyond, middle, far)
    return centre + side * far
