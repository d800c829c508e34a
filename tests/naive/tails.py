"""Tails by arbitrary precision and numerical integration; imports nothing of ours."""

import itertools
import math

import mpmath as mp
import numpy as np
from scipy import integrate, stats

mp.mp.dps = 50


def nb_terms(o, mean, phi):
    """Probability of a negative binomial count with variance mean + phi mean^2."""
    r, mean = 1 / mp.mpf(phi), mp.mpf(mean)
    return mp.rf(r, o) / mp.factorial(o) * (r / (r + mean)) ** r * (mean / (r + mean)) ** o


def nb_log_mid(o, mean, phi, upper):
    """Log mid tail, term by term, each from the one before it."""
    half = nb_terms(o, mean, phi) / 2
    if not upper:
        r, term, below = 1 / mp.mpf(phi), nb_terms(0, mean, phi), mp.mpf(0)
        for k in range(o):
            below, term = below + term, term * (r + k) / (k + 1) * (mean / (r + mean))
        return float(mp.log(half + below))
    x = mp.mpf(mean) / (1 / mp.mpf(phi) + mean)
    return float(mp.log(half + mp.betainc(o + 1, 1 / mp.mpf(phi), 0, x, regularized=True)))


def bb_terms(o, n, share, rho):
    """Probability of a beta-binomial count with variance n p q (1 + (n - 1) rho)."""
    m = (1 - mp.mpf(rho)) / mp.mpf(rho)
    a, b = mp.mpf(share) * m, (1 - mp.mpf(share)) * m
    return mp.binomial(n, o) * mp.beta(o + a, n - o + b) / mp.beta(a, b)


def bb_log_mid(o, n, share, rho, upper):
    """Log mid tail, term by term."""
    others = range(o + 1, n + 1) if upper else range(o)
    return float(mp.log(bb_terms(o, n, share, rho) / 2 + mp.fsum(bb_terms(k, n, share, rho) for k in others)))


def over_error(tail, strength):
    """Average a tail over the error of the mean: its inverse is a gamma variable of mean one.

    Piece by piece, by Gauss and Legendre over the logarithm where two numbers of nodes agree to nine digits,
    and by adaptive quadrature where they do not or where means become so large that scipy has no digits.
    """
    law = stats.gamma(strength, scale=1 / strength)
    edges = law.ppf([1e-14, 1e-10, 1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-12])
    if strength >= 2:
        few, more = (_legendre(tail, law, np.log(edges), nodes) for nodes in (48, 64))
        if math.isclose(few, more, rel_tol=1e-9):
            return more
    parts = [
        integrate.quad(lambda t: tail(1 / t) * law.pdf(t), a, b, limit=200, epsabs=0, epsrel=1e-8)[0]
        for a, b in itertools.pairwise(edges)
    ]
    return math.fsum(parts)


def _legendre(tail, law, edges, number):
    """Sum over all pieces at once; edges are logarithms."""
    nodes, weights = np.polynomial.legendre.leggauss(number)
    half = np.diff(edges)[:, None] / 2
    log = edges[:-1, None] + half * (nodes + 1)
    return math.fsum((half * weights * tail(np.exp(-log)) * law.pdf(np.exp(log)) * np.exp(log)).flat)


def nb_mid(o, mean, phi, upper):
    """Mid tail by scipy."""
    r = 1 / phi
    law = stats.nbinom(r, r / (r + mean))
    return (law.sf(o) if upper else law.cdf(o - 1)) + 0.5 * law.pmf(o)


def bb_mid(o, n, share, rho, upper):
    """Mid tail by scipy."""
    m = (1 - rho) / rho
    law = stats.betabinom(n, share * m, (1 - share) * m)
    return (law.sf(o) if upper else law.cdf(o - 1)) + 0.5 * law.pmf(o)


def nb_averaged(o, mean, phi, strength, upper):
    return over_error(lambda factor: nb_mid(o, mean * factor, phi, upper), strength)


def bb_averaged(o, n, share, rho, strength, upper):
    """The error is one of the odds."""
    odds = share / (1 - share)
    return over_error(lambda f: bb_mid(o, n, odds * f / (1 + odds * f), rho, upper), strength)


def central_share(lower, upper):
    """Share of the step of a distribution function that lies between one and three quarters."""
    if upper - lower < 1e-12:
        return 1.0 if 0.25 <= upper <= 0.75 else 0.0
    return float((np.clip(upper, 0.25, 0.75) - np.clip(lower, 0.25, 0.75)) / (upper - lower))
