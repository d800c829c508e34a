"""Predictive distributions of counts, counts out of a number, and values around an expected rate.

Each family says how rates are pooled (what an event and a unit of size is worth), how its spread is
estimated, and how far in the tail a figure lies. Arrays of one column have shape (n,), of a block
(n_areas, n_columns).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import special

from zoo_geo.coverage import SMALLEST_SPREAD, matched
from zoo_geo.quantiles import ratio_quantiles

STEEPEST, FIRST_PACE, ROUNDS = 0.25, 0.3, 3
"""Part of the areas that decide how fast errors grow, where the search begins, and its rounds."""
OUTER, CENTRAL = 0.05, 0.25
"""Tails that the pace of an error leaves out: it is there for the outer ones; the central half is robust."""
_NONE = np.empty(0)


class Poisson:
    """Whole counts per exposure; spread is the squared coefficient of variation of true rates."""

    name = "poisson"
    start = 0.1
    moments = False
    """Whether spread is estimated by moments."""

    def events(self, observed: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Return what is pooled."""
        return observed

    def first_spread(self, observed: np.ndarray, size: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Spread of each column to begin with, shape (n_columns,)."""
        return np.full(observed.shape[1], self.start)

    def unit(self, size: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Unit of relative variances, shape (n_columns,)."""
        return np.ones(size.shape[1])

    def information(self, rate: np.ndarray) -> np.ndarray:
        """Effective events per unit of size, so that 1 / (size x this) is a relative variance."""
        return rate

    def damping(self, rate: np.ndarray, size: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """Precision of an area's rate, relative to that of its size alone."""
        return 1.0 / (1.0 + phi * rate * size)

    def departure(self, rate: np.ndarray, centre: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """Deviation in the units of the relative variance."""
        return rate / centre - 1.0

    def matched(self, rows: np.ndarray, begin: float, *column: np.ndarray) -> tuple[float, float]:
        """Factor on phi of one column that matches the central coverage of some rows; and the t's freedom.

        The column is counts, sizes, rates, strengths and spreads, each of shape (n_areas,); the search
        begins at ``begin`` times the spreads.
        """
        from zoo_geo.kernels.settling import settle_spread

        observed, size, rate, strength, phi = column
        times, rare, least, most = settle_spread(rows, observed, size, rate, strength, phi, begin, RARE)
        common = most if least == most else 0.0
        return self.believed(rows, times, rare, common, *column), np.inf

    def believed(
        self, rows: np.ndarray, times: float, rare: float, common: float, *column: np.ndarray
    ) -> float:
        """Factor on a common spread, 0 for none, by likelihood where coverage cannot tell it."""
        if not self.doubtful(times, rare, common):
            return times
        observed, size, rate, strength, _ = column
        rows = rows[rate[rows] * size[rows] > 0]  # narrow surroundings may hold no event, wide ones do
        observed, size, rate, strength = (each[rows] for each in (observed, size, rate, strength))
        return self.likeliest(observed, size, rate, 1.0 / strength, _DOUBTFUL_SPREAD) / common

    def doubtful(self, times: Any, rare: Any, common: Any) -> Any:  # noqa: ANN401
        """Say of factors on common spreads, of numbers or arrays, whether coverage can tell them at all."""
        return (common != 0.0) & ((times * common > _DOUBTFUL_SPREAD) | (rare > 0.5))

    def likeliest(
        self, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, error: np.ndarray, largest: float
    ) -> float:
        """Spread of the highest likelihood: where most counts are 0, coverage cannot tell."""
        from scipy.optimize import minimize_scalar

        def lack(log_phi: float) -> float:
            return -float(np.sum(self.log_likelihood(observed, size, rate, np.exp(log_phi) + error)))

        bounds = (np.log(SMALLEST_SPREAD), np.log(largest))
        return float(np.exp(minimize_scalar(lack, bounds=bounds, method="bounded").x))

    def grown(
        self,
        rows: np.ndarray,
        begin: float,
        slope: np.ndarray,
        tail: float,
        freedom: float,
        *column: np.ndarray,
    ) -> tuple[float, float, float]:
        """Pace at which the error grows with ``slope``, the factor on phi that goes with it, and the freedom.

        The pace is that with which as many counts of the steepest quarter lie between the tails as should.
        """
        from zoo_geo.kernels.settling import settle_pace

        observed, size, rate, strength, phi = column
        ends = tail, float(-special.ndtri(tail))
        rest = slope, STEEPEST, *ends, begin, ROUNDS
        pace, times = settle_pace(rows, observed, size, rate, strength, phi, *rest)
        return pace, times, np.inf

    def score(self, rows: np.ndarray, *column: np.ndarray) -> float:
        """Log predictive likelihood of some rows; the column as in `matched`."""
        from zoo_geo.kernels.likelihood import nb_score

        observed, size, rate, strength, phi = column
        return nb_score(rows, observed, size, rate, strength, phi, 1.0, _NONE, 0.0)

    def log_likelihood(
        self, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, phi: np.ndarray
    ) -> np.ndarray:
        """Log predictive probability, up to what does not depend on rate and phi."""
        from zoo_geo.kernels.likelihood import nb_log_likelihood

        found = np.empty(observed.size)
        nb_log_likelihood(observed, rate * size, phi, found)
        return found

    def residual(
        self, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, phi: np.ndarray, freedom: float
    ) -> np.ndarray:
        """Signed deviance residual of a negative binomial."""
        mean = rate * size
        from zoo_geo.kernels.likelihood import nb_residual

        found = np.empty(mean.shape)
        phi = _each(phi, mean)
        nb_residual(np.ravel(observed), np.ravel(mean), np.ravel(phi), found.reshape(-1))
        return found

    def tails(
        self,
        observed: np.ndarray,
        size: np.ndarray,
        rate: np.ndarray,
        strength: np.ndarray,
        phi: np.ndarray | float,
        freedom: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log of the smaller mid tail of one column, and whether it is the upper one."""
        from zoo_geo.kernels.tails import nb_tails

        log_p, upper = np.empty(observed.size), np.empty(observed.size, bool)
        nb_tails(observed, rate * size, _each(phi, observed), strength, log_p, upper)
        return log_p, upper

    def interval(
        self,
        observed: np.ndarray,
        size: np.ndarray,
        rate: np.ndarray,
        strength: np.ndarray,
        phi: np.ndarray | float,
        freedom: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the 95 % interval of observed / expected (F quantiles of two Poisson counts, whole ones)."""
        from zoo_geo.kernels.quantiles import over_expected

        low = ratio_quantiles(np.maximum(observed, 1.0), strength, 0.025)
        high = ratio_quantiles(observed + 1.0, strength, 0.975)
        seen, people, led_to = (np.ascontiguousarray(each, float) for each in (observed, size, rate))
        over_expected(seen, people, led_to, low, high)
        return low, high


class _ByArrays:
    """Estimation of spread and pace from arrays of the rows that tell most, in turns."""

    spread: Callable[..., tuple[float, float]]
    pace: Callable[..., float]
    log_likelihood: Callable[..., np.ndarray]
    smeared: Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]

    def matched(self, rows: np.ndarray, begin: float, *column: np.ndarray) -> tuple[float, float]:
        """As `Poisson.matched`."""
        observed, size, rate, strength, phi = (each[rows] for each in column)
        return self.spread(observed, size, rate, 1.0 / strength, phi)

    def score(self, rows: np.ndarray, *column: np.ndarray) -> float:
        """As `Poisson.score`."""
        observed, size, rate, strength, phi = (each[rows] for each in column)
        return float(self.log_likelihood(observed, *self.smeared(size, rate, strength, phi)).sum())

    def grown(
        self,
        rows: np.ndarray,
        begin: float,
        slope: np.ndarray,
        tail: float,
        freedom: float,
        *column: np.ndarray,
    ) -> tuple[float, float, float]:
        """As `Poisson.grown`."""
        observed, size, rate, strength, phi = (each[rows] for each in column)
        slope, error = slope[rows], 1.0 / strength
        top = np.flatnonzero(slope >= np.quantile(slope, 1.0 - STEEPEST))
        steepest = [each[top] for each in (observed, size, rate, error, slope)]
        pace, whole = FIRST_PACE, 1.0
        for _ in range(ROUNDS):
            pace = self.pace(*steepest, phi[top], freedom, tail, max(pace, _SLOWEST))
            times, freedom = self.spread(observed, size, rate, error + pace * slope, phi)
            phi, whole = phi * times, whole * times
        return pace, whole, freedom


_SLOWEST = 0.003
"""Where the search for a pace begins at least."""


class Binomial(_ByArrays, Poisson):
    """Counts out of an exposure; spread is the correlation rho within an area."""

    name = "binomial"
    start = 0.01

    def smeared(
        self, size: np.ndarray, rate: np.ndarray, strength: np.ndarray, phi: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sizes, rates and spreads with the error of the rates in the spread."""
        with np.errstate(divide="ignore", invalid="ignore"):
            whole = phi + rate / (1.0 - rate) / strength
        return size, rate, np.clip(whole, SMALLEST_SPREAD, 0.999)

    def information(self, rate: np.ndarray) -> np.ndarray:
        """Effective events per unit of size."""
        with np.errstate(divide="ignore", invalid="ignore"):  # a share of one has no odds
            return rate / (1.0 - rate)

    def damping(self, rate: np.ndarray, size: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """Precision of an area's share, relative to that of its size alone."""
        return 1.0 / (1.0 + np.maximum(size - 1.0, 0.0) * phi)

    def spread(
        self, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, error: np.ndarray, start: np.ndarray
    ) -> tuple[float, float]:
        """Factor on rho of one column that matches the central coverage."""
        from zoo_geo.kernels.shares import bb_coverage

        weight = ((size - 1.0) / (1.0 + (size - 1.0) * start)) ** 2 + 1e-9
        mean = rate * size
        found = matched(
            lambda rho: bb_coverage(observed, mean, size, rho, error, weight, 0.25), start[0], 0.9
        )
        if found > 0.5 or 2.0 * weight[mean < RARE].sum() > weight.sum():
            found = self.likeliest(observed, size, rate, error * rate / (1.0 - rate), 0.5)
        return found / start[0], np.inf

    def pace(
        self,
        observed: np.ndarray,
        size: np.ndarray,
        rate: np.ndarray,
        error: np.ndarray,
        slope: np.ndarray,
        phi: np.ndarray,
        freedom: float,
        tail: float,
        start: float,
    ) -> float:
        """Estimate how much the error grows with steepness, by matching the central coverage."""
        from zoo_geo.kernels.shares import bb_coverage

        weight = ((size - 1.0) / (1.0 + (size - 1.0) * phi)) ** 2 + 1e-9
        mean = rate * size

        def coverage(pace: float) -> float:
            return bb_coverage(observed, mean, size, phi[0], error + pace * slope, weight, tail)

        return matched(coverage, start, wanted=1.0 - 2.0 * tail)

    def log_likelihood(
        self, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, phi: np.ndarray
    ) -> np.ndarray:
        """Log predictive probability, up to what does not depend on rate and rho."""
        m = (1.0 - phi) / phi
        a, b = rate * m, (1.0 - rate) * m
        g = special.gammaln
        return g(observed + a) - g(a) + g(size - observed + b) - g(b) + g(m) - g(size + m)

    def residual(
        self, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, phi: np.ndarray, freedom: float
    ) -> np.ndarray:
        """Signed binomial deviance residual, scaled to the beta-binomial variance."""
        mean = rate * size
        with np.errstate(divide="ignore", invalid="ignore"):
            deviance = special.xlogy(observed, observed / mean) + special.xlogy(
                size - observed, (size - observed) / (size - mean)
            )
        inflation = 1.0 + np.maximum(size - 1.0, 0.0) * phi
        return np.sign(observed - mean) * np.sqrt(2.0 * np.maximum(deviance, 0.0) / inflation)

    def tails(
        self,
        observed: np.ndarray,
        size: np.ndarray,
        rate: np.ndarray,
        strength: np.ndarray,
        phi: np.ndarray | float,
        freedom: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log of the smaller mid tail of one column, and whether it is the upper one."""
        from zoo_geo.kernels.tails import bb_tails

        log_p, upper = np.empty(observed.size), np.empty(observed.size, bool)
        certainty = strength * (1.0 - rate) ** 2  # of the odds, on which the error works
        bb_tails(observed, rate * size, size, _each(phi, observed), certainty, log_p, upper)
        return log_p, upper

    def interval(
        self,
        observed: np.ndarray,
        size: np.ndarray,
        rate: np.ndarray,
        strength: np.ndarray,
        phi: np.ndarray | float,
        freedom: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the 95 % interval of the share over the expected share.

        Clopper and Pearson for the share; the error of the expectation is added on the log scale, as Zou
        and Donner (2008, doi:10.1002/sim.3095) do for a ratio.
        """
        low = special.betaincinv(np.maximum(observed, 0.5), size - observed + 1, 0.025)
        high = special.betaincinv(observed + 1, np.maximum(size - observed, 0.5), 0.975)
        high = np.where(observed < size, high, 1.0)
        share, error = observed / size, 1.96 / np.sqrt(strength)
        with np.errstate(divide="ignore", invalid="ignore"):
            low = share * np.exp(-np.hypot(np.log(share / low), error))
            above = np.where(observed > 0, np.log(high / share), 0.0)
            high = np.where(observed > 0, share, high) * np.exp(np.hypot(above, error))
        return np.where(observed > 0, low, 0.0) / rate, high / rate


class Gaussian(_ByArrays):
    """Values with an optional weight that says how precise each one is."""

    name = "gaussian"

    def events(self, observed: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Return what is pooled."""
        return observed * size

    def first_spread(self, observed: np.ndarray, size: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Robust variance of each column to begin with, so that the unit of the values changes nothing."""
        return np.array([self._variance(*pair) for pair in _known_pairs(observed, size, valid)])

    def _variance(self, y: np.ndarray, size: np.ndarray) -> float:
        away = np.abs(y - np.median(y)) * np.sqrt(size) if y.size else np.zeros(1)
        return float((1.4826 * np.median(away)) ** 2 or np.mean(away**2) or 1.0)

    def unit(self, size: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Variance of a value of middling weight, in that of a value of weight one."""
        columns = zip(size.T, valid.T, strict=True)
        return np.array([1.0 / np.median(w[known]) if known.any() else 1.0 for w, known in columns])

    def smeared(
        self, size: np.ndarray, rate: np.ndarray, strength: np.ndarray, phi: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sizes, rates and spreads with the error of the rates in the sizes."""
        return 1.0 / (1.0 / size + 1.0 / strength), rate, phi

    def information(self, rate: np.ndarray) -> np.ndarray:
        """Weight per unit of weight."""
        return np.ones_like(rate)

    def damping(self, rate: np.ndarray, size: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """Return one: the weight is the precision."""
        return np.ones_like(size)

    def departure(self, rate: np.ndarray, centre: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """Deviation in standard deviations of a value of weight one."""
        return (rate - centre) / np.sqrt(phi)

    def _scale(self, size: np.ndarray, error: np.ndarray) -> np.ndarray:
        return np.sqrt(1.0 / size + error)

    def spread(
        self, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, error: np.ndarray, start: np.ndarray
    ) -> tuple[float, float]:
        """Factor on the scale, and freedom, from the 50 % and 90 % points of |residual|.

        The tail is as heavy as the points allow within their standard error: it decides about anomalies, and
        a few hundred values hardly tell a normal law from a t with ten degrees of freedom.
        """
        away = np.abs(observed - rate) / self._scale(size, error) / np.sqrt(start)
        half, most = np.quantile(away, [0.5, 0.9])
        if half <= 0:
            half = most or np.finfo(float).tiny
        if away.size < _FEWEST_FOR_TAIL:
            return float((half / special.stdtrit(_USUAL_FREEDOM, 0.75)) ** 2), _USUAL_FREEDOM
        choices = np.array([3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0, 1e6])
        ratios = special.stdtrit(choices, 0.95) / special.stdtrit(choices, 0.75)
        cautious = (most / half) * (1.0 + 1.0 / np.sqrt(away.size))
        freedom = float(choices[np.argmin(np.abs(ratios - cautious))])
        return float((half / special.stdtrit(freedom, 0.75)) ** 2), freedom

    def pace(
        self,
        observed: np.ndarray,
        size: np.ndarray,
        rate: np.ndarray,
        error: np.ndarray,
        slope: np.ndarray,
        phi: np.ndarray,
        freedom: float,
        tail: float,
        start: float,
    ) -> float:
        """Estimate how much the error grows with steepness, by matching the central coverage."""
        outer = float(special.stdtrit(freedom, 1.0 - tail))

        def coverage(pace: float) -> float:
            reach = outer * np.sqrt(phi) * self._scale(size, error + pace * slope)
            return float(np.mean(np.abs(observed - rate) <= reach))

        return matched(coverage, start, wanted=1.0 - 2.0 * tail)

    def log_likelihood(
        self, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, phi: np.ndarray
    ) -> np.ndarray:
        """Log predictive density of a t with 5 degrees of freedom, up to a constant; for choosing a width."""
        scale = np.sqrt(phi / size)
        return -3.0 * np.log1p(((observed - rate) / scale) ** 2 / 5.0) - np.log(scale)

    def residual(
        self, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, phi: np.ndarray, freedom: float
    ) -> np.ndarray:
        """Standardised residual."""
        return (observed - rate) / np.sqrt(phi / size)

    def tails(
        self,
        observed: np.ndarray,
        size: np.ndarray,
        rate: np.ndarray,
        strength: np.ndarray,
        phi: np.ndarray | float,
        freedom: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log of the smaller tail of one column, and whether it is the upper one."""
        t = (observed - rate) / (np.sqrt(phi) * self._scale(size, 1.0 / strength))
        if freedom >= 1e6:
            return special.log_ndtr(-np.abs(t)), t > 0
        return np.log(np.maximum(special.stdtr(freedom, -np.abs(t)), 1e-300)), t > 0

    def interval(
        self,
        observed: np.ndarray,
        size: np.ndarray,
        rate: np.ndarray,
        strength: np.ndarray,
        phi: np.ndarray | float,
        freedom: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the 95 % interval of observed / expected, for values that can have a ratio."""
        half = special.stdtrit(freedom, 0.975) * np.sqrt(phi) * self._scale(size, 1.0 / strength)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.maximum(observed - half, 0.0) / rate, (observed + half) / rate


Family = Poisson | Binomial | Gaussian
FAMILIES: dict[str, Family] = {f.name: f for f in (Poisson(), Binomial(), Gaussian())}


def _each(phi: np.ndarray | float, like: np.ndarray) -> np.ndarray:
    """One spread for each of some figures; loops are compiled anew for arrays that cannot be written."""
    if np.shape(phi) == like.shape:
        return np.ascontiguousarray(phi, dtype=float)
    return np.full(like.shape, phi, dtype=float)


def _known_pairs(
    observed: np.ndarray, size: np.ndarray, valid: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for rows, y, weight in zip(valid.T, observed.T, size.T, strict=True):
        yield y[rows], weight[rows]


_FEWEST_FOR_TAIL, _USUAL_FREEDOM = 50, 5.0
RARE = 0.7
"""Expected count below which more than half of all counts are 0, so the central half says nothing."""
_DOUBTFUL_SPREAD = 5.0
