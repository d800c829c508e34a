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
    whole = np.asarray(p, float, order="C")
    if method in ("bh", "by") and whole.size >= _LARGE:
        found = _of_large(whole.ravel(), method)
        if found is not None:
            return found.reshape(whole.shape)
    known = np.isfinite(whole)
    family = whole[known]
    if ((family < 0) | (family > 1)).any():
        raise ValueError("p-values need to be between 0 and 1.")
    adjusted = np.full(known.shape, np.nan)
    if family.size:
        adjusted[known] = _family(family, method)
    return adjusted


def _family(p: np.ndarray, method: Method) -> np.ndarray:
    if method in ("bh", "by"):
        order, rank = np.argsort(p), np.arange(1.0, p.size + 1.0)
        steps, adjusted = p[order] * (p.size / rank), np.empty_like(p)
        steps *= np.sum(1.0 / rank) if method == "by" else 1.0
        adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
        return adjusted
    if method == "bonferroni":
        return np.minimum(p * p.size, 1.0)
    if method == "holm":
        order = np.argsort(p, kind="stable")
        steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
        adjusted = np.empty_like(p)
        adjusted[order] = np.minimum(steps, 1.0)
        return adjusted
    return p.copy()


_LARGE = 4_096
"""Size of a family from which compiled loops pay."""


def _of_large(p: np.ndarray, method: Method) -> np.ndarray | None:
    """As `_family`, of many p, sorted with their places in the last bits; None where those bits decide."""
    from zoo_geo.kernels.adjusting import adjusted_from_order

    last = (1 << p.size.bit_length()) - 1
    keys = p.view(np.int64) & ~last
    keys |= np.arange(p.size)
    keys.sort()
    keys &= last
    factor, adjusted = 1.0, np.empty_like(p)
    if method == "by":
        factor = float(np.sum(1.0 / np.arange(1.0, np.count_nonzero(np.isfinite(p)) + 1.0)))
    return adjusted if adjusted_from_order(p, keys, factor, adjusted) else None


def combine(p: np.ndarray, at_least: int = 1) -> np.ndarray:
    """Combine p-values of one row that may depend on each other.

    The sum of half-Cauchy scores ``1 / tan(pi p / 2)``, against its law for independent p. Tails this heavy
    hardly feel dependence, since a large sum comes from one large score. Half of the Cauchy law is used
    because its other half lets a p near 1 undo a small one, and p = 1, usual for counts, undo all.

    Parameters
    ----------
    p
        Shape (n, k), 0 to 1; NaN is left out.
    at_least
        The p says that at least this many of a row's null hypotheses are false: the ``at_least - 1``
        smallest p are left out (Benjamini and Heller 2008).

    Returns
    -------
    np.ndarray
        Shape (n,), from 1e-300 to 1; NaN for rows with fewer than ``at_least`` known.

    Raises
    ------
    ValueError
        A value is outside 0 to 1, or ``at_least`` is not positive.

    References
    ----------
    Liu and Xie (2020), doi:10.1080/01621459.2018.1554485, for the Cauchy combination; Gui, Jiang and Wang
    (2025), doi:10.1093/biomet/asaf038, for keeping its upper half; Benjamini and Heller (2008),
    doi:10.1111/j.1541-0420.2007.00984.x.

    Examples
    --------
    >>> p = np.array([[0.001, 0.002, 1.0], [0.001, 0.9, 1.0], [0.02, 0.02, np.nan]])
    >>> combine(p).round(4), combine(p, at_least=2).round(4)
    (array([0.002 , 0.003 , 0.0208]), array([0.004 , 0.9699, 0.02  ]))
    """
    if at_least < 1:
        raise ValueError(f"at_least needs to be at least 1; got {at_least}.")
    if ((p < 0) | (p > 1)).any():
        raise ValueError("p-values need to be between 0 and 1.")
    kept = np.sort(np.maximum(p, 1e-300), axis=1)[:, at_least - 1 :]  # NaN last
    known = np.isfinite(kept)
    with np.errstate(divide="ignore"):
        total = np.where(known & (kept < 1.0), 1.0 / np.tan(np.pi / 2.0 * np.where(known, kept, 1.0)), 0.0)
    total, number = total.sum(axis=1), known.sum(axis=1)
    combined = np.full(len(p), np.nan)
    for k in np.unique(number[number > 0]):
        combined[number == k] = _half_cauchy_tail(total[number == k], int(k))
    return combined


_NODES = 80


def _half_cauchy_tail(total: np.ndarray, k: int) -> np.ndarray:
    """Chance that k independent half-Cauchy scores add up to at least a total.

    Their Laplace transform has a closed form and a cut along the negative axis; the integral along the cut is
    exact however small the chance. Totals below k, of p above a half, go on a straight line to 1 at 0.
    """
    from scipy.special import roots_laguerre, sici

    if k == 1:
        return 2.0 / np.pi * np.arctan2(1.0, total)
    nodes, weights = roots_laguerre(_NODES)
    far = np.maximum(total, float(k))
    t = nodes / far[:, None]
    si, ci = sici(t)
    transform = 2.0 / np.pi * (ci * np.sin(t) + (np.pi / 2.0 - si) * np.cos(t))
    cut = (2.0 * np.exp(-1j * t) - transform) ** k
    tail = -(weights * cut.imag / nodes).sum(axis=1) / np.pi
    tail = np.where(total < far, 1.0 - (1.0 - tail) * total / far, tail)
    return np.clip(tail, 1e-300, 1.0)


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
