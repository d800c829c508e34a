"""Places of counts in their distributions by scipy and dense sums; imports nothing of ours."""

import math

import numpy as np
from scipy import optimize, special, stats

Z = np.arange(-45.0, 45.001, 0.01)
WEIGHT = np.exp(-0.5 * Z**2) * 0.01 / math.sqrt(2 * math.pi)


def mid(o, mean, phi, upper):
    """Mid tail of a negative binomial, for many means."""
    r = 1 / phi
    x, rest = mean / (r + mean), r / (r + mean)
    own = np.exp(special.xlogy(o, x) + r * np.log(rest) - special.betaln(o + 1, r)) / (o + r)
    if upper:
        return special.betainc(o + 1, r, x) + own / 2
    return special.betainc(r, o + 1, rest) - own / 2


def factors(strength):
    """What the mean may be times: Wilson and Hilferty's root of one over a gamma variable."""
    return np.maximum(1 - 1 / (9 * strength) + Z / (3 * math.sqrt(strength)), 0.2) ** -3.0


def averaged(o, mean, phi, strength, upper):
    """Mid tail summed over the error of the mean, in steps of a hundredth."""
    return float(WEIGHT @ mid(o, mean * factors(strength), phi, upper))


def hidden(o, mean, share, sigma, phi, strength, upper):
    """Mid tail summed over a lognormal part of the exposure."""
    factor = 1 - share + share * np.exp(sigma * (Z - sigma / 2))
    return float(WEIGHT @ mid(o, mean * factor, phi + 1 / strength, upper))


def step(o, mean, phi):
    law = stats.nbinom(1 / phi, 1 / (1 + phi * mean))
    return law.cdf(o - 1), law.cdf(o)


def below(low, high, edge):
    """Share of a step of a distribution function that lies below an edge."""
    if high <= edge:
        return 1.0
    return (edge - low) / (high - low) if low < edge else 0.0


def shares(steps, weight, edges):
    """Weighted share of counts below each edge."""
    return [
        sum(w * below(*pair, edge) for w, pair in zip(weight, steps, strict=True)) / sum(weight)
        for edge in edges
    ]


def smeared(o, mean, phi, factor, chance):
    """Step of the distribution function of a count whose mean is uncertain."""
    law = stats.nbinom(1 / phi, 1 / (1 + phi * mean * factor))
    return float(chance @ law.cdf(o - 1)), float(chance @ law.cdf(o))


def inverse_gamma(variance, parts=4000):
    """Equally likely values of one over a gamma variable of mean one."""
    law = stats.gamma(1 / variance, scale=variance)
    return 1 / law.ppf((np.arange(parts) + 0.5) / parts), np.full(parts, 1 / parts)


def lognormal(share, sigma, parts=4000):
    """Equally likely values of an exposure, a part of which is lognormal, over its mean."""
    z = stats.norm.ppf((np.arange(parts) + 0.5) / parts)
    return 1 - share + share * np.exp(sigma * (z - sigma / 2)), np.full(parts, 1 / parts)


def spread_of(observed, mean, error, weight):
    """Spread that puts half of the counts, weighted, in the central half."""

    def surplus(log_phi):
        steps = [step(o, m, math.exp(log_phi) + e) for o, m, e in zip(observed, mean, error, strict=True)]
        low, high = shares(steps, weight, [0.25, 0.75])
        return high - low - 0.5

    return math.exp(optimize.brentq(surplus, math.log(1e-4), math.log(2.0), xtol=1e-4))


def shift_of(observed, mean, phi, weight):
    """Log factor on the mean that puts half of the counts, weighted, below the middle."""

    def surplus(shift):
        steps = [step(o, m * math.exp(shift), phi) for o, m in zip(observed, mean, strict=True)]
        return shares(steps, weight, [0.5])[0] - 0.5

    return optimize.brentq(surplus, -3.0, 3.0, xtol=1e-5)
