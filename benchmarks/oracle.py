"""The fair oracle: it knows surface, spread and the law of visitors, not an area's own draws."""

from __future__ import annotations

import numpy as np
from scipy import special

from benchmarks.country import VISITORS, Country, Draw, deviation_of_values


def oracle_p(country: Country, each: Draw, family: str) -> np.ndarray:
    """p of the fair oracle: it knows surface, spread and the law of visitors, not an area's own draws."""
    size = country.residents
    p, ok = np.full(size.size, np.nan), size > 0
    if family == "gaussian":
        z = (each.observed - each.rate) / deviation_of_values(country, each.phi)
        return np.where(ok, 2.0 * special.ndtr(-np.abs(z)), np.nan)
    seen, rate = each.observed[ok], each.rate[ok]
    lower, upper = np.zeros(seen.size), np.zeros(seen.size)
    for factor, weight in _factors(each):
        for visitors, share in _visitors(each.world.hidden):
            tails = mid_tails(seen, size[ok], visitors, rate, factor, each, family)
            lower, upper = lower + weight * share * tails[0], upper + weight * share * tails[1]
    p[ok] = np.minimum(1.0, 2.0 * np.minimum(lower, upper))
    return p


def mid_tails(
    seen: np.ndarray,
    size: np.ndarray,
    visitors: float,
    rate: np.ndarray,
    factor: float,
    each: Draw,
    family: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper mid tail of a count."""
    if family == "binomial":
        return _binomial_tails(seen, size.astype(int), rate, each.phi)
    mean = (size + visitors) * rate * factor
    if each.phi == 0 or each.world.law == "lognormal":
        until, after = special.gammaincc(seen + 1.0, mean), special.gammainc(seen + 1.0, mean)
        below = np.where(seen > 0, special.gammaincc(np.maximum(seen, 1.0), mean), 0.0)
        above = np.where(seen > 0, special.gammainc(np.maximum(seen, 1.0), mean), 1.0)
    else:
        r = 1.0 / each.phi
        x = mean / (r + mean)
        until, after = special.betainc(r, seen + 1.0, 1.0 - x), special.betainc(seen + 1.0, r, x)
        below = np.where(seen > 0, special.betainc(r, np.maximum(seen, 1.0), 1.0 - x), 0.0)
        above = np.where(seen > 0, special.betainc(np.maximum(seen, 1.0), r, x), 1.0)
    return (below + until) / 2.0, (above + after) / 2.0


def _binomial_tails(
    seen: np.ndarray, size: np.ndarray, rate: np.ndarray, phi: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper mid tail of a count out of a number."""
    from scipy import stats

    if phi:
        law = stats.betabinom(size, rate * (1 - phi) / phi, (1 - rate) * (1 - phi) / phi)
        lower = (law.cdf(seen - 1) + law.cdf(seen)) / 2.0
        return lower, 1.0 - lower
    law = stats.binom(size, rate)
    return (law.cdf(seen - 1) + law.cdf(seen)) / 2.0, (law.sf(seen - 1) + law.sf(seen)) / 2.0


def _normal(points: int, sd: float, reach: float = 6.0) -> list[tuple[float, float]]:
    """Points of a normal variable of mean 0 and their weights."""
    z = np.linspace(-reach, reach, points)
    weight = np.exp(-(z**2) / 2.0)
    return list(zip((sd * z).tolist(), (weight / weight.sum()).tolist(), strict=True))


def _factors(each: Draw) -> list[tuple[float, float]]:
    """What true rates are times the surface, where that is no gamma variable."""
    if not each.phi or each.world.law != "lognormal":
        return [(1.0, 1.0)]
    sd = float(np.sqrt(np.log1p(each.phi)))
    return [(float(np.exp(x - sd**2 / 2.0)), w) for x, w in _normal(81, sd)]


def _visitors(hidden: float) -> list[tuple[float, float]]:
    """How many visitors an area may have."""
    if not hidden:
        return [(0.0, 1.0)]
    return [(VISITORS * float(np.exp(x)), w) for x, w in _normal(49, hidden, 5.0)]
