"""The null of a local statistic: its exact moments, and p by permutation, Pearson III or normal.

Values are drawn without replacement. Under the conditional null an area keeps its own value and its
neighbours' are drawn from all other areas; under the total null its own value is drawn too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb
from typing import Literal

import numpy as np
from scipy import sparse, special

from zoo_geo.detectors.base import Alternative

Inference = Literal["permutation", "moments", "normal"]
Kind = Literal["conditional", "total", "geary"]
"""Lag under the conditional null, lag with the area itself under the total null, squared differences."""

_NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class Rows:
    """Weights between areas that have a value, each row scaled so that its largest weight is 1.

    Parameters
    ----------
    valid
        Areas that have a value, shape (n,).
    indptr, indices, data
        Scaled weights.
    scale
        What the rows were divided by, shape (n,).
    even
        Rows whose weights are all the same, shape (n,).
    sums
        Sums of the scaled weights to the powers 1 to 4, own ones included; shape (4, n).
    own
        Scaled weight of each area itself, 0 but in the total null; shape (n,).
    """

    valid: np.ndarray
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    scale: np.ndarray
    even: np.ndarray
    sums: np.ndarray
    own: np.ndarray

    @classmethod
    def among(cls, valid: np.ndarray, weights: sparse.csr_array, own: np.ndarray | None) -> Rows:
        """Restrict weights to the areas that have a value."""
        from zoo_geo.kernels.permutation import restrict

        alone = np.zeros(valid.size) if own is None else np.where(valid, own, 0.0)
        indices = weights.indices.astype(np.int32, copy=False)
        given = weights.indptr.astype(np.int64, copy=False), indices, weights.data
        indptr, indices, data, scale, even, sums = restrict(*given, valid.copy(), alone)
        scaled = np.where(even & (alone != 0), 1.0, alone / scale)
        return cls(valid, indptr, indices, data, scale, even, sums, scaled)

    @property
    def degree(self) -> np.ndarray:
        """Neighbours that have a value, shape (n,)."""
        return np.diff(self.indptr)


@dataclass(frozen=True, eq=False)
class Moments:
    """Exact moments of the null of each area's sum; arrays of shape (n,).

    ``skewness`` and ``kurtosis`` (3 for a normal law) are 0 and 3 unless asked for.
    """

    mean: np.ndarray
    variance: np.ndarray
    skewness: np.ndarray
    kurtosis: np.ndarray


@dataclass(frozen=True, eq=False)
class Null:
    """Null of one kind for columns that miss the same areas."""

    rows: Rows
    kind: Kind

    def observed(self, x: np.ndarray) -> np.ndarray:
        """Sum of each area over its scaled weights, from standardised values."""
        from zoo_geo.kernels.permutation import squared_differences

        if self.kind != "geary":
            return self.lag(x)
        return squared_differences(self.rows.indptr, self.rows.indices, self.rows.data, x)

    def lag(self, x: np.ndarray) -> np.ndarray:
        """Sum over the neighbours with scaled weights, and over the area itself in the total null."""
        from zoo_geo.kernels.permutation import lag

        return lag(self.rows.indptr, self.rows.indices, self.rows.data, x, self.rows.own)

    def moments(self, x: np.ndarray, higher: bool = False) -> Moments:
        """Exact moments of the sums that `observed` gives, from standardised values."""
        if self.kind == "geary":
            return _moments_of_sum(*self._population(x, 4 if higher else 2), self.rows.sums)
        found = self._lag_moments(x)
        if not higher:
            return found
        shape = _moments_of_sum(*self._population(x, 4), self.rows.sums)
        return replace(found, skewness=shape.skewness, kurtosis=shape.kurtosis)

    def _lag_moments(self, x: np.ndarray) -> Moments:
        """Mean and variance, which every lag is standardised with, in one go."""
        from zoo_geo.kernels.standing import lag_moments

        total, (first, second, *_) = self.kind == "total", self.rows.sums
        size = float(self.rows.valid.sum()) - (0.0 if total else 1.0)
        blank = np.broadcast_to(0.0, x.shape)
        mean, variance = lag_moments(x, first, second, size, total)
        return Moments(mean, variance, blank, blank + 3.0)

    def _population(self, x: np.ndarray, order: int) -> tuple[float, np.ndarray, list[np.ndarray]]:
        """What is drawn from: how many values, their mean, and central moments 2 to `order`."""
        n = float(self.rows.valid.sum())
        power = [np.ones_like(x)]
        for _ in range((2 if self.kind == "geary" else 1) * order):
            power.append(power[-1] * x)
        powers = [n] + [float(each.sum()) for each in power[1:]]
        if self.kind == "total":
            size, raw = n, [np.full(x.size, total) for total in powers[1:]]
        elif self.kind == "conditional":
            size, raw = n - 1.0, [powers[r] - power[r] for r in range(1, order + 1)]
        else:  # the area's own squared difference is 0, and adds nothing
            size = n - 1.0
            raw = [_powers_of_squares(power, powers, r) for r in range(1, order + 1)]
        raw = [total / max(size, 1.0) for total in raw]
        mean = raw[0]
        central = [np.maximum(raw[1] - mean**2, 0.0)]
        if order > 2:
            central.append(raw[2] - 3 * mean * raw[1] + 2 * mean**3)
            central.append(raw[3] - 4 * mean * raw[2] + 6 * mean**2 * raw[1] - 3 * mean**4)
        if self.kind == "geary":
            _mend_extremes(x, self.rows.valid, mean, central)
        return size, mean, central


def _mend_extremes(x: np.ndarray, valid: np.ndarray, mean: np.ndarray, central: list[np.ndarray]) -> None:
    """Add up one by one what an extreme own value would cancel: a hundred areas at most have one."""
    for i in np.flatnonzero(valid & (x**2 > 0.01 * valid.sum())):
        others = valid.copy()
        others[i] = False
        square = (x[others] - x[i]) ** 2
        mean[i] = square.mean() if square.size else 0.0
        away = square - mean[i]
        away[np.abs(away) < _NOTHING * mean[i]] = 0.0
        for r, each in enumerate(central, 2):
            each[i] = (away**r).mean() if square.size else 0.0


def _powers_of_squares(power: list[np.ndarray], powers: list[float], r: int) -> np.ndarray:
    """Sum over all areas of (x_j - x_i) to the power 2 r, from the powers of x and their sums; shape (n,)."""
    total = np.zeros_like(power[0])
    for s in range(2 * r + 1):
        total += (-1) ** s * comb(2 * r, s) * powers[s] * power[2 * r - s]
    return total


def _moments_of_sum(size: float, mean: np.ndarray, central: list[np.ndarray], sums: np.ndarray) -> Moments:
    """Moments of a weighted sum of values drawn without replacement.

    With Fisher's k-statistics of the values and of the weights, these padded with zeros to as many as
    there are values: E T2 = (N - 1) k2 k2', E T3 = (N - 1)(N - 2) / N k3 k3' and E T4 = 3 (N - 1)^3 /
    (N + 1) k2^2 k2'^2 + (N - 1)(N - 2)(N - 3) / (N (N + 1)) k4 k4'.
    """
    n = size
    s1, s2, s3, s4 = sums
    average = s1 / max(n, 1.0)
    of_values = central[0] * n / max(n - 1.0, 1.0)
    spread = np.maximum(s2 - s1 * average, 0.0)
    spread = np.where(spread > _NOTHING * s2, spread, 0.0)
    variance = of_values * spread
    variance = np.where(variance > _NOTHING * s2, variance, 0.0)
    skewness, kurtosis = np.zeros_like(variance), np.full_like(variance, 3.0)
    if len(central) > 1 and n > 3:
        third = s3 - 3 * average * s2 + 2 * n * average**3
        fourth = s4 - 4 * average * s3 + 6 * average**2 * s2 - 3 * n * average**4
        k4 = n**2 * ((n + 1) * central[2] - 3 * (n - 1) * central[0] ** 2) / ((n - 1) * (n - 2) * (n - 3))
        l4 = n * ((n + 1) * fourth - 3 * (n - 1) / n * spread**2) / ((n - 1) * (n - 2) * (n - 3))
        cube = n * central[1] * third / ((n - 1) * (n - 2)) * n
        quad = 3 * (n - 1) / (n + 1) * variance**2
        quad = quad + (n - 1) * (n - 2) * (n - 3) / (n * (n + 1)) * k4 * l4
        with np.errstate(divide="ignore", invalid="ignore"):
            skewness = np.where(variance > 0, cube / variance**1.5, 0.0)
            kurtosis = np.where(variance > 0, quad / variance**2, 3.0)
    return Moments(s1 * mean, variance, skewness, kurtosis)


@dataclass(frozen=True, eq=False)
class Standing:
    """Where the sums of one column stand among those of their null; arrays of shape (n,).

    Parameters
    ----------
    value
        The sum of standardised values over scaled weights.
    moments
        Exact moments of its null.
    above, below, drawn
        Null sums at or above, at or below the value, and how many were drawn.
    """

    value: np.ndarray
    moments: Moments
    above: np.ndarray
    below: np.ndarray
    drawn: np.ndarray

    def z(self, side: np.ndarray | None = None) -> np.ndarray:
        """Standardised value, times ``side``; 0 where the null leaves nothing to chance."""
        from zoo_geo.kernels.standing import z_scores

        side = np.ones(self.value.size, np.int8) if side is None else side
        return z_scores(self.value, self.moments.mean, self.moments.variance, side)

    def p(self, alternative: Alternative, inference: Inference, side: np.ndarray | None = None) -> np.ndarray:
        """p of ``side`` times the sum, for every area; 1 where nothing is left to chance or ``side`` is 0."""
        some = self.moments.variance > 0 if side is None else (self.moments.variance > 0) & (side != 0)
        if inference != "permutation":
            return np.where(some, self._curve(alternative, inference, side), 1.0)
        above, below = self.above, self.below
        if side is not None and alternative != "two-sided":
            above, below = np.where(side < 0, below, above), np.where(side < 0, above, below)
        return np.where(some, permutation_p(above, below, self.drawn, alternative), 1.0)

    def _curve(self, alternative: Alternative, inference: Inference, side: np.ndarray | None) -> np.ndarray:
        """p from a curve through the moments."""
        z, found = self.z(side), self.moments
        if inference == "normal":
            return pearson_p(z, np.zeros(z.size), alternative)
        skewness = found.skewness if side is None else side * found.skewness
        return bounded_p(pearson_p(z, skewness, alternative), z, skewness, found.kurtosis)


def permutation_p(
    above: np.ndarray, below: np.ndarray, drawn: np.ndarray | int, alternative: Alternative
) -> np.ndarray:
    """p of a permutation test: never 0, never above 1, ties on both sides."""
    if alternative == "greater":
        return (above + 1.0) / (drawn + 1.0)
    if alternative == "less":
        return (below + 1.0) / (drawn + 1.0)
    return np.minimum(1.0, 2.0 * (np.minimum(above, below) + 1.0) / (drawn + 1.0))


def pearson_p(
    z: np.ndarray, skewness: np.ndarray, alternative: Alternative, cautious: bool = True
) -> np.ndarray:
    """p of a standardised value under a Pearson III law (a shifted gamma) of a given skewness.

    Skewness 0 is the normal law. The short tail of a Pearson III law ends where that of the null may go on:
    ``cautious`` takes the normal tail there if it is larger, which promises too little rather than too
    much. p is never 0: it stops at 1e-300.
    """
    upper, lower = _tail(z, skewness, cautious), _tail(-z, -skewness, cautious)
    if alternative == "greater":
        p = upper
    elif alternative == "less":
        p = lower
    else:
        p = np.minimum(1.0, 2.0 * np.minimum(upper, lower))
    return np.maximum(p, 1e-300)


_HEAVY = 0.1


def bounded_p(p: np.ndarray, z: np.ndarray, skewness: np.ndarray, kurtosis: np.ndarray) -> np.ndarray:
    """Let p promise no more than the moments do where the null has heavier tails than a Pearson III law.

    A gamma law of this skewness has kurtosis 3 + 1.5 skewness squared. Beyond that (by more than 0.1) the
    curve may be wrong by any factor, and p is at least kurtosis / z^4, which no law can exceed.
    """
    heavy = kurtosis > 3.0 + 1.5 * skewness**2 + _HEAVY
    with np.errstate(divide="ignore"):
        most = np.minimum(1.0, kurtosis / z**4)
    return np.where(heavy, np.maximum(p, most), p)


def _tail(z: np.ndarray, skewness: np.ndarray, cautious: bool) -> np.ndarray:
    """P(Z >= z); the tail is the short one where the skewness is negative."""
    tail = _pearson_tail(z, skewness)
    if not cautious:
        return tail
    return np.where(skewness < 0, np.maximum(tail, special.ndtr(-z)), tail)


def _pearson_tail(z: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """P(Z >= z) of a standardised Pearson III law."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        shape = 4.0 / skewness**2
        at = np.maximum(shape + np.abs(skewness) / skewness * z * np.sqrt(shape), 0.0)
        gamma = np.where(skewness > 0, special.gammaincc(shape, at), special.gammainc(shape, at))
    return np.where(np.abs(skewness) < 1e-4, special.ndtr(-z), gamma)
