"""Corrections for looking at many areas at once."""

from __future__ import annotations

from typing import Literal

import numpy as np

Method = Literal["bh", "by", "holm", "bonferroni", "none"]
METHODS: tuple[Method, ...] = ("bh", "by", "holm", "bonferroni", "none")


def adjust(p: np.ndarray, method: Method = "bh") -> np.ndarray:
    """Adjust p-values for the size of their family.

    A value is significant at ``alpha`` when its adjusted value is at most ``alpha``; ties stand or fall
    together.

    Parameters
    ----------
    p
        Shape (n,); NaN is outside the family and stays NaN.
    method
        ``bh`` (false-discovery rate, Benjamini and Hochberg 1995), ``by`` (the same under any
        dependence, Benjamini and Yekutieli 2001), ``holm``, ``bonferroni`` (chance of any false
        discovery) or ``none``.

    Raises
    ------
    ValueError
        A value is outside 0 to 1, or the method is unknown.

    Examples
    --------
    >>> adjust(np.array([0.01, 0.04, np.nan, 0.03])).round(3)
    array([0.03, 0.04,  nan, 0.04])
    """
    if method not in METHODS:
        raise ValueError(f"method needs to be one of {', '.join(METHODS)}; got {method!r}.")
    known = np.isfinite(p)
    family = np.asarray(p, float)[known]
    if ((family < 0) | (family > 1)).any():
        raise ValueError("p-values need to be between 0 and 1.")
    adjusted = np.full(np.shape(p), np.nan)
    if family.size:
        adjusted[known] = _family(family, method)
    return adjusted


def _family(p: np.ndarray, method: Method) -> np.ndarray:
    if method in ("bh", "by"):
        from scipy.stats import false_discovery_control

        return false_discovery_control(p, method=method)
    if method == "bonferroni":
        return np.minimum(p * p.size, 1.0)
    if method == "holm":
        order = np.argsort(p, kind="stable")
        steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
        adjusted = np.empty_like(p)
        adjusted[order] = np.minimum(steps, 1.0)
        return adjusted
    return p.copy()


def significant(adjusted: np.ndarray, alpha: float) -> np.ndarray:
    """Say which adjusted values are at most alpha, float noise aside; NaN never is."""
    with np.errstate(invalid="ignore"):
        return adjusted <= alpha * (1.0 + 1e-12)


def needed_at_floor(n: int, permutations: int, alpha: float, tails: int = 2) -> int:
    """Count the areas that must reach the smallest p of a permutation test before any is discovered.

    Examples
    --------
    >>> needed_at_floor(14_500, 999, 0.05)
    580
    """
    return int(np.ceil(n * tails / (permutations + 1.0) / alpha))
