"""How the figures of one area hang together: correlations that depend on size, distances and their parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

_BOUND = 2.0
"""Scores are cut off here for the first look at their correlation."""
_CUT = (2.0 * stats.norm.cdf(_BOUND) - 1.0) ** 2
"""Share of the covariance of two standard normal scores that is left then (1 % off at most)."""
_INSIDE = 0.99
"""Share of ordinary areas that the correlation is estimated on."""
_ALIKE = 20.0
"""Areas' worth of belief that rates and chance correlate alike, where sizes cannot tell them apart."""
_MOST = 0.99
"""Largest correlation: beyond it two figures are one."""
_LEAST = 0.1
"""Smallest variance of a score: rare events hardly vary in most areas."""
_STEPS = 3


@dataclass(frozen=True, eq=False)
class Dependence:
    """Correlation of scores, shape (n_indicators, n_indicators) each.

    Parameters
    ----------
    rates
        Of the true rates about what is expected.
    chance
        Of what chance adds, where figures count the same events.
    variances
        Of scores that are all rate, and all chance; shape (n_indicators, 2), 1 where they are as promised.
    """

    rates: np.ndarray
    chance: np.ndarray
    variances: np.ndarray

    def scale(self, share: np.ndarray) -> np.ndarray:
        """Unit of each score: more than 1 where scores vary more than they promise, never less.

        Scores of rare events vary less, in steps; to stretch them would promise too much of their tails.
        """
        return np.sqrt(np.maximum(_mixed(self.variances, share), 1.0))


def rate_share(family: str, expected: np.ndarray, exposure: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Part of a figure's variance that the spread of true rates makes, 0 to 1; the rest is chance.

    A count has variance m + phi m^2, a count out of n binomial variance times 1 + (n - 1) rho; values are
    taken as all rate.

    Examples
    --------
    >>> rate_share("poisson", np.array([1.0, 10.0]), np.ones(2), np.full(2, 0.1)).round(3)
    array([0.091, 0.5  ])
    """
    if family == "gaussian":
        return np.ones(np.shape(expected))
    events = expected if family == "poisson" else np.maximum(exposure - 1.0, 0.0)
    grown = np.nan_to_num(np.maximum(spread, 0.0) * events)
    return grown / (1.0 + grown)


def dependence(z: np.ndarray, share: np.ndarray) -> Dependence:
    """Estimate robustly how scores correlate, for figures that chance makes and figures that rates make.

    In a small area chance hides what the rates have in common, so one correlation for all areas would call
    small areas odd that are not. The product of two scores is therefore fitted by least squares as
    ``rates * sqrt(share_i share_j) + chance * sqrt((1 - share_i)(1 - share_j))``: first on scores cut off at
    2, then on the areas inside the 99 % ellipsoid, made consistent for the normal.

    Parameters
    ----------
    z
        Scores with mean 0 and variance 1 where nothing is odd, shape (n_areas, n_indicators); NaN where
        there is none.
    share
        See `rate_share`.

    References
    ----------
    Rousseeuw and Van Zomeren (1990), doi:10.1080/01621459.1990.10474920, for distances in which odd rows do
    not mask each other.
    """
    known = np.isfinite(z)
    cut = np.where(known, np.clip(np.nan_to_num(z), -_BOUND, _BOUND), np.nan)
    fitted = _fit(cut, share, _CUT)
    for _ in range(_STEPS):
        found, n_known = distances(z, share, fitted), known.sum(axis=1)
        with np.errstate(invalid="ignore"):
            edge = stats.chi2.ppf(_INSIDE, n_known)
            inside = found.distance <= edge
            shrunk = stats.chi2.cdf(edge, n_known + 2.0) / _INSIDE
        scores = np.where(inside[:, None], z / np.sqrt(shrunk)[:, None], np.nan)
        fitted = _fit(scores, share, 1.0)
    return fitted


def _fit(z: np.ndarray, share: np.ndarray, kept: float) -> Dependence:
    """Fit variances indicator by indicator and correlations pair by pair, and make them possible together."""
    k = z.shape[1]
    own = np.array([_shared(z[:, i] ** 2 / kept, share[:, i], 1.0 - share[:, i], 1.0) for i in range(k)])
    own = np.maximum(own, _LEAST)
    unit = z / np.sqrt(_mixed(own, share) * kept)
    both = np.zeros((2, k, k))
    for i in range(k):
        for j in range(i):
            u, v = np.sqrt(share[:, i] * share[:, j]), np.sqrt((1.0 - share[:, i]) * (1.0 - share[:, j]))
            both[:, i, j] = _shared(unit[:, i] * unit[:, j], u, v, 0.0)
    return Dependence(_possible(both[0]), _possible(both[1]), own)


def _mixed(own: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Variance of each score by the share that its true rate makes."""
    return own[:, 0] * share + own[:, 1] * (1.0 - share)


def _shared(product: np.ndarray, u: np.ndarray, v: np.ndarray, guess: float) -> np.ndarray:
    """Least squares of products on what rates and what chance can share; both are alike without contrast."""
    known = np.isfinite(product)
    x = np.stack([u[known], v[known]])
    alike = _ALIKE * np.array([[1.0, -1.0], [-1.0, 1.0]])
    wanted = x @ (product[known] - guess * x.sum(axis=0))
    return guess + np.linalg.solve(x @ x.T + alike + np.eye(2), wanted)


def _possible(below: np.ndarray) -> np.ndarray:
    """Nearest correlation matrix by its eigenvalues, pairs below the diagonal given."""
    full = np.clip(below + below.T, -_MOST, _MOST) + np.eye(len(below))
    values, vectors = np.linalg.eigh(full)
    full = (vectors * np.maximum(values, 1.0 - _MOST)) @ vectors.T
    scale = np.sqrt(np.diag(full))
    return full / np.outer(scale, scale)


@dataclass(frozen=True, eq=False)
class Distances:
    """How far each area is from ordinary, and by which figures.

    Parameters
    ----------
    distance
        Squared Mahalanobis distance, shape (n_areas,); NaN where no score is known.
    whitened
        Scores without their correlation, each as close as can be to its own, shape (n_areas, n_indicators);
        their squares add up to the distance. NaN where a score is not known.
    others
        Score that an area's other figures lead to expect, same shape; NaN where a score is not known.
    """

    distance: np.ndarray
    whitened: np.ndarray
    others: np.ndarray


def distances(z: np.ndarray, share: np.ndarray, found: Dependence) -> Distances:
    """Mahalanobis distance of each area's known scores, taken apart by indicator.

    Parameters
    ----------
    z
        Scores, shape (n_areas, n_indicators); NaN where there is none.
    share
        See `rate_share`.
    found
        How scores correlate.

    References
    ----------
    Garthwaite and Koch (2016), Evaluating the contributions of individual variables to a quadratic form,
    for the parts (corr-max: the whitening that stays closest to the scores themselves).

    Examples
    --------
    >>> linked = np.array([[1.0, 0.8], [0.8, 1.0]])
    >>> given = Dependence(linked, linked, np.ones((2, 2)))
    >>> found = distances(np.array([[1.9, -2.2]]), np.ones((1, 2)), given)
    >>> found.distance.round(2), found.whitened.round(2), found.others.round(2)
    (array([42.05]), array([[ 4.47, -4.7 ]]), array([[-1.76,  1.52]]))
    """
    n, k = z.shape
    whitened, others = np.full((n, k), np.nan), np.full((n, k), np.nan)
    step = max(1, _NUMBERS // (k * k))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        unit = found.scale(share[rows])
        whitened[rows], others[rows] = _apart(z[rows] / unit, _correlation(found, share[rows], z[rows]))
        others[rows] *= unit
    known = np.isfinite(z)
    total = np.where(known, whitened, 0.0) ** 2
    return Distances(np.where(known.any(axis=1), total.sum(axis=1), np.nan), whitened, others)


_NUMBERS = 2_000_000
"""Numbers of all matrices that are worked on together: 16 MB."""


def _correlation(found: Dependence, share: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Correlation of each area's scores; those that are not known go with nothing."""
    of_rate, of_chance = np.sqrt(share), np.sqrt(1.0 - share)
    full = found.rates * _pairs(of_rate) + found.chance * _pairs(of_chance)
    return np.where(_pairs(np.isfinite(z)), full, np.eye(z.shape[1]))


def _pairs(x: np.ndarray) -> np.ndarray:
    """Products of each area's numbers, two by two."""
    return x[:, :, None] * x[:, None, :]


def _apart(z: np.ndarray, correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores whitened, and what the others lead to expect of each."""
    known = np.isfinite(z)
    values, vectors = np.linalg.eigh(correlation)
    along = np.einsum("nji,nj->ni", vectors, np.where(known, z, 0.0))
    whitened = np.einsum("nij,nj->ni", vectors, along / np.sqrt(values))
    pull = np.einsum("nij,nj->ni", vectors, along / values)
    alone = np.einsum("nij,nj->ni", vectors**2, 1.0 / values)
    return np.where(known, whitened, np.nan), np.where(known, z - pull / alone, np.nan)


def distance_p(distance: np.ndarray, known: np.ndarray, areas: int) -> np.ndarray:
    """p of distances from a correlation that is estimated on a number of areas; never 0.

    Parameters
    ----------
    distance
        Shape (n_areas,).
    known
        Scores behind each distance, shape (n_areas,).
    areas
        Areas that the correlation is estimated on: the F law of a new area, chi-square where they are many.

    Examples
    --------
    >>> [distance_p(np.array([26.12]), np.array([8]), areas).round(4).item() for areas in (60, 10**9)]
    [0.0096, 0.001]
    """
    left = areas - known + 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        p = stats.f.sf(distance * left / (known * areas), known, left)
    return np.where(np.isfinite(distance), np.maximum(p, 1e-300), np.nan)
