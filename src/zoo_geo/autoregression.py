"""Autoregressions of neighbours (SAR and CAR) on sparse maps: what they are, and their likeliest parameters.

No matrix is dense: the likelihood takes a sparse LU for the determinant, and cross products for the rest.
spreg's estimators, which agree to the digits they print, invert a matrix of all pairs of areas.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from scipy import sparse

from zoo_geo.errors import InputError

Kind = Literal["sar_error", "sar_lag", "car"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FEWEST = 10
"""Areas with neighbours that a fit needs, beside one for each coefficient."""
_ALIKE = 1e-22
"""Squares of what is left over, relative to those of the values, at which the values are all alike."""


@dataclass(frozen=True, eq=False)
class Parameters:
    """Parameters of an autoregression.

    Parameters
    ----------
    kind
        ``sar_error``: y = X beta + u, u = rho W u + e; ``sar_lag``: y = rho W y + X beta + e; in both W is
        row-standardised and Var e_i = variance / weight_i. ``car``: precision (D - rho W) / variance.
    rho
        Of neighbours, between -1 and 1 (spreg's lambda of an error model).
    beta
        Intercept first, then one for each covariate; 0 for a covariate that the ones before it make up;
        shape (1 + n_covariates,).
    variance
        Of the disturbances, in squared units of the values, for areas of weight 1; of a ``car``, of an area
        whose symmetric weights add up to 1.
    log_likelihood
        Of the values that the fit took; NaN where the parameters were not fitted here.
    """

    kind: Kind
    rho: float
    beta: np.ndarray
    variance: float
    log_likelihood: float = float("nan")

    @classmethod
    def from_spreg(cls, fitted: Any) -> Parameters:  # noqa: ANN401
        """Take the parameters of a fitted `spreg.ML_Error` or `spreg.ML_Lag` (or of their regime-free bases).

        Parameters
        ----------
        fitted
            The model, fitted on row-standardised weights with the intercept first.

        Raises
        ------
        InputError
            It is another model.

        References
        ----------
        Anselin (1988), Spatial Econometrics; spreg, https://pysal.org/spreg.
        """
        kinds: dict[str, Kind] = {"lam": "sar_error", "rho": "sar_lag"}
        for name, kind in kinds.items():
            if hasattr(fitted, name) and hasattr(fitted, "sig2"):
                beta = np.asarray(fitted.betas, float).ravel()[:-1]
                rho, variance = (float(np.ravel(each)[0]) for each in (getattr(fitted, name), fitted.sig2))
                return cls(kind, rho, beta, variance, float(fitted.logll))
        raise InputError(
            f"fitted needs to be a spreg.ML_Error or spreg.ML_Lag; got {type(fitted).__name__}. "
            "Give other parameters as Parameters(kind, rho, beta, variance)."
        )


@dataclass(frozen=True, eq=False)
class Cells:
    """Areas that have a value, and how they hang together.

    Both kinds of model come down to a row-standardised matrix W and a scale: the precision of a SAR is
    (I - rho W)' scale (I - rho W) / variance, that of a CAR scale (I - rho W) / variance.
    """

    kind: Kind
    values: np.ndarray
    design: np.ndarray
    weight: np.ndarray
    links: sparse.csr_array

    def among(self, keep: np.ndarray) -> Cells:
        """Return the same of some areas, as if there were no others."""
        links = self.links if keep.all() else sparse.csr_array(self.links[keep][:, keep])
        return Cells(self.kind, self.values[keep], self.design[keep], self.weight[keep], links)

    @cached_property
    def _strength(self) -> sparse.csr_array:
        """Weights of pairs, before their rows are standardised."""
        if self.kind != "car":
            return self.links
        root = sparse.diags_array(np.sqrt(self.weight))
        return sparse.csr_array(root @ (self.links + self.links.T) @ root * 0.5)

    @cached_property
    def linked(self) -> np.ndarray:
        """Areas in some pair of neighbours, shape (n,)."""
        return (self.links.sum(axis=1) + self.links.sum(axis=0)) > 0

    @cached_property
    def near(self) -> sparse.csr_array:
        """Row-standardised weights, shape (n, n)."""
        total = self._strength.sum(axis=1)
        return sparse.csr_array(sparse.diags_array(1.0 / np.where(total > 0, total, 1.0)) @ self._strength)

    @cached_property
    def scale(self) -> np.ndarray:
        """Precision of an area without the factor that all share, shape (n,)."""
        return self._strength.sum(axis=1) if self.kind == "car" else self.weight

    def step(self, rho: float) -> sparse.csc_array:
        """Return I - rho W."""
        return sparse.csc_array(sparse.eye_array(self.values.size) - rho * self.near)


def fit(cells: Cells) -> Parameters | None:
    """Parameters of most likelihood, profiled over rho; None where areas are few or all alike."""
    from scipy.optimize import minimize_scalar

    cells = cells.among(cells.linked)
    n, k = cells.design.shape
    if n < FEWEST + k:
        return None
    profile = _Profile.of(cells)
    if profile is None:
        return None
    determinant = Determinant(cells)
    half = 0.5 if cells.kind == "car" else 1.0

    def surprise(rho: float) -> float:
        return 0.5 * n * np.log(profile.squares(rho) / n) - half * determinant.log(rho)

    best = minimize_scalar(surprise, bounds=(-1.0, 1.0), method="bounded", options={"xatol": 1e-7})
    rho = float(best.x)
    constant = 0.5 * (np.log(cells.scale).sum() - n * (np.log(2.0 * np.pi) + 1.0))
    return Parameters(
        cells.kind, rho, profile.beta(rho), profile.squares(rho) / n, float(constant - surprise(rho))
    )


class Determinant:
    """log |I - rho W|, by a sparse LU without pivots: the rows are dominated by their diagonal."""

    def __init__(self, cells: Cells) -> None:
        order = filling_least(cells.step(0.5))
        self._near = sparse.csc_array(cells.near[order][:, order])
        self._one = sparse.csc_array(sparse.eye_array(order.size))

    def log(self, rho: float) -> float:
        """Return it at one rho."""
        lu = factors(sparse.csc_array(self._one - rho * self._near))
        return float(np.log(np.abs(lu.U.diagonal())).sum())


def factors(matrix: sparse.csc_array, order: str = "NATURAL") -> Any:  # noqa: ANN401
    """Sparse LU without pivots."""
    from scipy.sparse.linalg import splu

    return splu(matrix, permc_spec=order, diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def filling_least(matrix: sparse.csc_array) -> np.ndarray:
    """Order of rows that fills the factors of a matrix, or one of its pattern, least; shape (n,)."""
    return np.argsort(factors(matrix, "MMD_AT_PLUS_A").perm_c)


@dataclass(frozen=True, eq=False)
class _Profile:
    """Sum of squares and coefficients at any rho: the cross products of the data are quadratic in it.

    Parameters
    ----------
    forms
        Cross products of the scaled design and, last, what it leaves of the values: constant, linear and
        quadratic in rho, each of shape (k + 1, k + 1).
    level
        Coefficients of what was taken off the values: constant and linear in rho, shape (2, k).
    back
        From coefficients of the orthonormal design to those of the given one, shape (1 + n_covariates, k).
    """

    forms: tuple[np.ndarray, np.ndarray, np.ndarray]
    level: np.ndarray
    back: np.ndarray

    @classmethod
    def of(cls, cells: Cells) -> _Profile | None:
        """Work the cross products out; None where the covariates say all there is about the values."""
        root = np.sqrt(cells.scale)
        basis, back = orthonormal(cells.design.T * root)
        values = cells.values * root
        level = np.stack([cross(basis, values[None])[:, 0], np.zeros(len(basis))])
        rest = values - level[0] @ basis
        if (rest**2).sum() <= _ALIKE * (values**2).sum():
            return None
        data = np.vstack([basis, rest])
        if cells.kind == "sar_lag":
            lag = root * (cells.near @ cells.values)
            level[1] = -cross(basis, lag[None])[:, 0]
            lagged = np.vstack([np.zeros_like(basis), lag + level[1] @ basis])
        else:
            lagged = np.ascontiguousarray((cells.near @ (data / root).T).T * root)
        mixed = cross(data, lagged)
        if cells.kind == "car":
            return cls((cross(data, data), -0.5 * (mixed + mixed.T), np.zeros_like(mixed)), level, back)
        return cls((cross(data, data), -(mixed + mixed.T), cross(lagged, lagged)), level, back)

    def _at(self, rho: float) -> tuple[np.ndarray, float]:
        """Coefficients of the orthonormal design, and the sum of squares left over."""
        form = self.forms[0] + rho * self.forms[1] + rho**2 * self.forms[2]
        found = np.linalg.solve(form[:-1, :-1], form[:-1, -1])
        return found, float(form[-1, -1] - form[-1, :-1] @ found)

    def squares(self, rho: float) -> float:
        """Return the sum of squares of the disturbances, in units of the scale."""
        return self._at(rho)[1]

    def beta(self, rho: float) -> np.ndarray:
        """Return the coefficients of the design as it was given."""
        return self.back @ (self._at(rho)[0] + self.level[0] + rho * self.level[1])


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products of all rows of a with all rows of b, summed in an order that no thread changes."""
    return np.stack([(a * row).sum(axis=1) for row in b], axis=1)


def orthonormal(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal rows that span the given ones, and the way back: basis = back.T @ rows.

    By Gram and Schmidt, twice; a row that the ones before it make up is left out.
    """
    basis: list[np.ndarray] = []
    back: list[np.ndarray] = []
    for k, row in enumerate(rows):
        rest, made = row.copy(), np.eye(len(rows))[k]
        for _ in range(2):
            for one, of in zip(basis, back, strict=True):
                part = (one * rest).sum()
                rest, made = rest - part * one, made - part * of
        length = np.sqrt((rest**2).sum())
        if length > 1e-9 * np.sqrt((row**2).sum()):
            basis.append(rest / length)
            back.append(made / length)
    return np.array(basis), np.array(back).T
