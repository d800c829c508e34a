"""Distances, their parts and combined p-values, from their definitions; imports nothing of ours."""

import math

import numpy as np


def distance(z, correlation):
    """Squared Mahalanobis distance of the known scores of one area."""
    known = [j for j, x in enumerate(z) if not math.isnan(x)]
    x = np.array([z[j] for j in known])
    return float(x @ np.linalg.inv(np.array(correlation)[np.ix_(known, known)]) @ x)


def expected_of_others(z, correlation):
    """What the other known scores lead to expect of each, by conditioning."""
    known = [j for j, x in enumerate(z) if not math.isnan(x)]
    full = np.array(correlation)
    out = [math.nan] * len(z)
    for j in known:
        rest = [i for i in known if i != j]
        out[j] = float(full[j, rest] @ np.linalg.solve(full[np.ix_(rest, rest)], [z[i] for i in rest]))
    return out


def correlation(rates, chance, share):
    """Correlation of one area's scores, entry by entry."""
    k = len(share)
    return [
        [
            1.0
            if i == j
            else rates[i][j] * math.sqrt(share[i] * share[j])
            + chance[i][j] * math.sqrt((1 - share[i]) * (1 - share[j]))
            for j in range(k)
        ]
        for i in range(k)
    ]


def tail_of_two(total):
    """P(X + Y >= total) of two independent half-Cauchy scores, by adding up over the first."""
    edges = np.concatenate([[0.0], np.geomspace(total * 1e-6, total, 400_001)])
    x = (edges[1:] + edges[:-1]) / 2
    mass = 2 / math.pi * np.diff(np.arctan(edges))
    beyond = 2 / math.pi * np.arctan2(1.0, total - x)
    return float(2 / math.pi * math.atan2(1.0, total) + (mass * beyond).sum())
