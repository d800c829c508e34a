"""Log-linear fits block by block, with Newton's method written out; imports nothing of ours."""

import math

import numpy as np

from naive.expectation import Poisson, matched_spread


def newton(rows, x, rate, weight, penalty):
    """Intercept and coefficients of a weighted Poisson regression; coefficients cost penalty b^2 / 2."""
    many = len(x[0])
    mean = math.fsum(weight[i] * rate[i] for i in rows) / math.fsum(weight[i] for i in rows)
    b = [math.log(mean), *[0.0] * many]
    for _ in range(60):
        gradient, curve = [0.0] * (many + 1), [[0.0] * (many + 1) for _ in range(many + 1)]
        for i in rows:
            row = [1.0, *x[i]]
            mu = math.exp(sum(c * v for c, v in zip(b, row, strict=True)))
            for k in range(many + 1):
                gradient[k] += weight[i] * (rate[i] - mu) * row[k]
                for m in range(many + 1):
                    curve[k][m] += weight[i] * mu * row[k] * row[m]
        for k in range(1, many + 1):
            gradient[k] -= penalty * b[k]
            curve[k][k] += penalty
        step = np.linalg.solve(np.array(curve), np.array(gradient))
        b = [c + s for c, s in zip(b, step, strict=True)]
        if max(abs(step)) < 1e-12:
            break
    return b


def scaled(column):
    """Centred on the median, scaled by the interquartile range, capped at five."""
    low, middle, high = np.quantile(column, [0.25, 0.5, 0.75])
    return [min(max((v - middle) / ((high - low) / 1.349), -5.0), 5.0) for v in column]


def cross_fitted(observed, size, covariates, folds, clean=2, penalty=4.0):
    """Rate of each area from the areas of all other blocks, those more than 3 off left out."""
    x = list(zip(*[scaled(column) for column in zip(*covariates, strict=True)], strict=True))
    n, law, rates = len(observed), Poisson(), [0.0] * len(observed)
    rate = [o / s for o, s in zip(observed, size, strict=True)]
    for fold in sorted(set(folds)):
        rows = [i for i in range(n) if folds[i] != fold]
        keep, phi = list(rows), law.start
        fitted = [math.fsum(observed[i] for i in rows) / math.fsum(size[i] for i in rows)] * n
        for step in range(clean + 1):
            weight = {i: size[i] * law.damping(fitted[i], size[i], phi) for i in keep}
            b = newton(keep, x, rate, weight, penalty)
            fitted = [math.exp(b[0] + sum(c * v for c, v in zip(b[1:], x[i], strict=True))) for i in range(n)]
            held = [float(i in set(keep)) for i in range(n)]
            phi = matched_spread(observed, size, fitted, [math.inf] * n, held, phi, law)
            if step < clean:
                away = {i: law.residual(observed[i], size[i], fitted[i], phi) for i in rows}
                keep = [i for i in rows if abs(away[i]) <= 3.0 or (away[i] > 0 and observed[i] < 3)]
        for i in range(n):
            if folds[i] == fold:
                rates[i] = fitted[i]
    return rates
