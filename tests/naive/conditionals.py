"""Autoregressions by dense algebra, one area at a time; imports nothing of ours.

`links` is a dense matrix of weights without a diagonal, `weight` the precision of each value; all areas are
taken to have a neighbour.
"""

import numpy as np
from scipy import optimize, stats


def covariance(kind, links, weight, rho, variance):
    """Covariance matrix of the field."""
    n = len(links)
    if kind == "car":
        both = np.array(
            [
                [(links[i, j] + links[j, i]) / 2 * np.sqrt(weight[i] * weight[j]) for j in range(n)]
                for i in range(n)
            ]
        )
        return np.linalg.inv((np.diag(both.sum(axis=1)) - rho * both) / variance)
    filtered = np.linalg.inv(np.eye(n) - rho * standardised(links))
    return filtered @ np.diag(variance / weight) @ filtered.T


def standardised(links):
    """Rows that sum to one, where they hold anything."""
    return np.array([row / row.sum() if row.sum() else row for row in links])


def centre(kind, links, design, rho, beta):
    """Mean of the field."""
    regression = design @ beta
    if kind == "sar_lag":
        return np.linalg.solve(np.eye(len(links)) - rho * standardised(links), regression)
    return regression


def given_others(values, mean, cov, aside=()):
    """Mean and variance of each value given all others but those aside, by partition of the covariance."""
    found = []
    for i in range(len(values)):
        rest = [j for j in range(len(values)) if j != i and j not in aside]
        across = np.linalg.solve(cov[np.ix_(rest, rest)], cov[rest, i])
        found.append((mean[i] + across @ (values[rest] - mean[rest]), cov[i, i] - across @ cov[rest, i]))
    return np.array(found).T


def profile(kind, links, weight, design, values, rho):
    """Coefficients, variance and log likelihood at one rho, by generalised least squares."""
    cov = covariance(kind, links, weight, rho, 1.0)
    spread = design
    if kind == "sar_lag":
        spread = np.linalg.solve(np.eye(len(links)) - rho * standardised(links), design)
    inverse = np.linalg.inv(cov)
    beta = np.linalg.solve(spread.T @ inverse @ spread, spread.T @ inverse @ values)
    rest = values - spread @ beta
    variance = rest @ inverse @ rest / len(values)
    return beta, variance, stats.multivariate_normal.logpdf(values, spread @ beta, variance * cov)


def fit(kind, links, weight, design, values):
    """Rho, coefficients and variance of most likelihood."""
    found = optimize.minimize_scalar(
        lambda rho: -profile(kind, links, weight, design, values, rho)[2],
        bounds=(-1, 1),
        method="bounded",
        options={"xatol": 1e-9},
    )
    beta, variance, _ = profile(kind, links, weight, design, values, found.x)
    return found.x, beta, variance


def refitted(kind, links, weight, design, values, i):
    """Mean and variance of one value: everything worked out anew on the areas without it."""
    rest = np.arange(len(values)) != i
    rho, beta, variance = fit(kind, links[np.ix_(rest, rest)], weight[rest], design[rest], values[rest])
    mean = centre(kind, links, design, rho, beta)
    return given_others(values, mean, covariance(kind, links, weight, rho, variance))[:, i]


def measured_covariance(kind, links, weight, rho, variance, error, between):
    """Covariance matrix of values that measure a field with errors of their own."""
    field = covariance(kind, links, np.ones(len(links)), rho, variance)
    return field + np.diag([error / each + between for each in weight])


def measured_likelihood(kind, links, weight, design, values, rho, variance, error, between):
    """Log likelihood of values at given variances, with the coefficients that suit them best."""
    cov = measured_covariance(kind, links, weight, rho, variance, error, between)
    spread = design
    if kind == "sar_lag":
        spread = np.linalg.solve(np.eye(len(links)) - rho * standardised(links), design)
    inverse = np.linalg.inv(cov)
    beta = np.linalg.solve(spread.T @ inverse @ spread, spread.T @ inverse @ values)
    return beta, stats.multivariate_normal.logpdf(values, spread @ beta, cov)
