"""Exact moments of a sum over pairs of areas when their values are dealt out anew.

The sum is ``T = sum a_ij b_p(i)p(j)`` over all ordered pairs of different areas, with ``a`` the weights,
``b`` a function of two values, both symmetric, and ``p`` an arrangement; all n! arrangements are equally
likely. The k-th moment goes over k pairs at once. They fall into a few patterns (the same pair twice, two
pairs that share an area, a triangle ...), and within a pattern the two sides part: the sum over the weights
times the mean over the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

_CHANCE = 1e-12
"""A variance below this share of its parts is float noise: the null leaves nothing to chance."""


class Patterns(NamedTuple):
    """Sums over two and three pairs of different areas, by pattern; and the share of the largest area.

    Of two: ``same``, ``adjacent``, ``apart``. Of three: ``triple`` (a pair three times),
    ``double_adjacent``, ``double_apart``, ``triangle``, ``star``, ``path``, ``path_apart``, ``three_apart``.
    ``share`` is the largest area's part of ``same``, 0 to 1.
    """

    same: float
    adjacent: float
    apart: float
    triple: float
    double_adjacent: float
    double_apart: float
    triangle: float
    star: float
    path: float
    path_apart: float
    three_apart: float
    share: float


_AREAS = np.array([2, 3, 4, 2, 3, 4, 3, 4, 4, 5, 6])
_WAYS = np.array([2, 4, 1, 4, 24, 6, 8, 8, 24, 12, 1])
"""Areas that each pattern of `Patterns` joins, and in how many ways the pairs of a product fall into it."""


def patterns(sums: np.ndarray, squares: np.ndarray, cubes: float, path: float, closed: float) -> Patterns:
    """Sort the products of two and three entries of a symmetric matrix c with an empty diagonal.

    Parameters
    ----------
    sums, squares
        Sum of c_ij and of c_ij^2 over j, shape (n,).
    cubes
        Sum of c_ij^3 over i and j.
    path
        Sum of s_i c_ij s_j over i and j, where s are ``sums``.
    closed
        Sum of c_ij c_jk c_ki over i, j and k.
    """
    total, same, hooked = sums.sum(), squares.sum(), (sums * squares).sum()
    adjacent = (sums**2).sum() - same
    apart = total**2 - 2 * same - 4 * adjacent
    double_adjacent = hooked - cubes
    double_apart = same * total - 2 * cubes - 4 * double_adjacent
    star = (sums**3).sum() - 3 * hooked + 2 * cubes
    line = path - 2 * hooked + cubes - closed
    path_apart = adjacent * total - 4 * double_adjacent - 2 * star - 4 * line - 2 * closed
    three = cubes, double_adjacent, double_apart, closed, star, line, path_apart
    share = squares.max() / same if same > 0 else 0.0
    return Patterns(same, adjacent, apart, *three, total**3 - _WAYS[3:10] @ three, share)


def weight_patterns(weights: sparse.csr_array) -> Patterns:
    """Patterns of symmetric weights without an area's own, ``(n, n)``."""
    from zoo_geo.kernels.global_permutation import closed_walks

    sums, squares = weights.sum(axis=1), weights.power(2).sum(axis=1)
    walks = closed_walks(weights.indptr.astype(np.int64), weights.indices.astype(np.int64), weights.data)
    return patterns(sums, squares, float((weights.data**3).sum()), float(sums @ (weights @ sums)), walks)


def value_patterns(z: np.ndarray, form: np.ndarray) -> Patterns:
    """Patterns of ``b(z_i, z_j) = sum form[s, t] z_i^s z_j^t``, made to have mean 0 over the pairs.

    Parameters
    ----------
    z
        Centred values, shape (n,); about 1 in size.
    form
        Symmetric, shape (degree + 1, degree + 1).
    """
    n, form = z.size, form.copy()
    form[0, 0] -= (_row_sums(z, form) - _diagonal(z, form)).sum() / (n * (n - 1.0))
    square = _product(form, form)
    cube = _product(square, form)
    own = _diagonal(z, form)
    sums = _row_sums(z, form) - own
    sums -= sums.mean()  # their total is zero but for float noise
    squares = _row_sums(z, square) - own**2
    cubes = float((_row_sums(z, cube) - own**3).sum())
    powers = np.vander(z, form.shape[0], increasing=True)
    around = powers.T @ sums
    path = float(around @ form @ around - (own * sums**2).sum())
    step = form @ (powers.T @ powers)
    twice = ((powers @ (step @ form)) * powers).sum(axis=1)
    closed = float(np.trace(step @ step @ step) - 3 * (own * twice).sum() + 2 * (own**3).sum())
    return patterns(sums, squares, cubes, path, closed)


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Coefficients of the product of two polynomials in two variables."""
    size = one.shape[0] + other.shape[0] - 1
    out = np.zeros((size, size))
    for (s, t), factor in np.ndenumerate(one):
        out[s : s + other.shape[0], t : t + other.shape[1]] += factor * other
    return out


def _row_sums(z: np.ndarray, form: np.ndarray) -> np.ndarray:
    """Sum of a polynomial in (z_i, z_j) over all j, i included; shape (n,)."""
    powers = np.vander(z, form.shape[0], increasing=True)
    return powers @ (form @ powers.sum(axis=0))


def _diagonal(z: np.ndarray, form: np.ndarray) -> np.ndarray:
    """A polynomial in (z_i, z_i); shape (n,)."""
    flipped = form[:, ::-1]
    degree = form.shape[0] - 1
    return np.polynomial.polynomial.polyval(z, [np.trace(flipped, degree - k) for k in range(2 * degree + 1)])


@dataclass(frozen=True)
class Moments:
    """Variance and third central moment of ``T``."""

    variance: float
    third: float

    @property
    def skewness(self) -> float:
        """Third moment of the standardised sum; 0 where nothing is left to chance."""
        return self.third / self.variance**1.5 if self.variance > 0 else 0.0


def moments(weights: Patterns, values: Patterns, n: int) -> Moments:
    """Central moments of ``T`` over all arrangements of n areas; values of mean 0 over the pairs.

    References
    ----------
    Cliff and Ord (1981), Spatial Processes, chapter 2, for the variance; Mantel (1967), Cancer Research
    27:209-220, for sums over pairs in general.
    """
    falling = np.array([np.prod(n - np.arange(k, dtype=float)) for k in _AREAS])
    parts = _WAYS * np.array(weights[:-1]) * np.array(values[:-1]) / np.where(falling > 0, falling, np.inf)
    variance = parts[:3].sum()
    if variance <= _CHANCE * np.abs(parts[:3]).sum():
        return Moments(0.0, 0.0)
    return Moments(float(variance), float(parts[3:].sum()))
