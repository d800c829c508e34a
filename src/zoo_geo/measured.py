"""What all other areas lead to expect of a value that measures a field of neighbours with an error.

Values come with weights: means of few people are less sure than means of many. In a weighted autoregression
(`conditionals`) neighbours share each other's errors, so that a value of little weight among heavy ones would
be known almost exactly. Here the field f is an autoregression with a disturbance that is the same for all
areas, and each value has an error of its own, of which part goes with its weight and part does not:

    y_i = f_i + e_i        Var e_i = error / weight_i + between

All variances are those of most likelihood. Weights that say nothing leave ``error`` at 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from zoo_geo.autoregression import (
    Cells,
    Determinant,
    Kind,
    Parameters,
    cross,
    factors,
    filling_least,
    fit,
    orthonormal,
)
from zoo_geo.conditionals import Conditional, check, design_of, no_fit, odd_ones, remarks

_BOUNDS = ((-6.0, 6.0), (-9.0, 12.0), (0.0, 1.0))
"""Of atanh rho, the log of the error in variances of the field's disturbance, and the part of between."""
_STEP = 1e-5
_COLUMNS = 512
_FEWEST_TRUSTED = 30
_MOST_TRUST = 20.0
_ERROR_OF_MEDIANS = 2.33
"""Standard error of the difference of medians of halves of |z|, over the median of all; times root n."""

if TYPE_CHECKING:
    from scipy.sparse.linalg import SuperLU


@dataclass(frozen=True, eq=False)
class Measured(Parameters):
    """Parameters of a field and of the errors with which values measure it.

    Those of `Parameters` are the field's, whose disturbance is the same for all areas.

    Parameters
    ----------
    error
        Variance of a value of weight one about the field, where all of it goes with the weight.
    between
        Variance about the field that values have whatever their weight, in squared units of the values.
    """

    error: float = 0.0
    between: float = 0.0


def leave_one_out(
    values: np.ndarray,
    weights: sparse.csr_array,
    covariates: np.ndarray | None = None,
    kind: Kind = "sar_error",
    *,
    weight: np.ndarray,
    outlier: float | None = 3.5,
) -> Conditional:
    """Return the mean and precision of each value given all others, where values have errors of their own.

    As `conditionals.leave_one_out`, but for what weights mean. Areas that are set aside stay part of the
    field; nobody sees their values.

    Parameters
    ----------
    values, weights, covariates, kind, outlier
        As there.
    weight
        Relative precision of each value about the field, above 0, shape (n,).

    Returns
    -------
    Conditional
        Independent of the order of the areas but for rounding and for where the search for parameters ends.

    Raises
    ------
    InputError
        Shapes do not match, a weight is negative, or an option does not fit.

    References
    ----------
    Pratesi and Salvati (2008), doi:10.1007/s10260-007-0061-9, for a SAR seen with errors of known size (a
    spatial Fay and Herriot model); Rue and Held (2005), Gaussian Markov Random Fields, 2.3.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> road = sparse.csr_array(sparse.diags_array([np.ones(59), np.ones(59)], offsets=[-1, 1]))
    >>> draws, weight = np.random.default_rng(1), np.tile([1.0, 100.0], 30)
    >>> values = np.sin(np.arange(60) / 9) + draws.normal(size=60) / np.sqrt(weight)
    >>> found = leave_one_out(values, road, weight=weight)
    >>> bool(found.precision[20] < found.precision[21] / 10)
    True
    """
    values, design = np.asarray(values, float), design_of(np.asarray(values, float), covariates)
    precise = np.asarray(weight, float)
    check(values, weights, design, precise, kind, None)
    known = np.isfinite(values) & np.isfinite(design).all(axis=1)
    links = sparse.csr_array(weights - sparse.diags_array(weights.diagonal()))
    cells = Cells(kind, values, design, np.ones(values.size), links).among(known)
    mean, precision = np.full((2, values.size), np.nan)
    aside = np.zeros(values.size, bool)
    start = fit(cells)
    if start is None:
        return Conditional(mean, precision, aside, None, (no_fit(cells),))
    field = _Field.of(cells, 1.0 / precise[known])
    out = np.zeros(cells.values.size, bool)
    begins = np.array([[np.clip(np.arctanh(start.rho), -1.0, 2.0), 0.0, 0.5], [1.0, 3.0, 0.5]])
    at = field.likeliest(begins, ~out)
    if outlier is not None:
        out = _odd(cells, field.conditional(at, ~out), outlier)
        at = field.likeliest(np.vstack([begins[1], [*at[:2], 0.5]]), ~out)
        out = _odd(cells, field.conditional(at, ~out), outlier)
    mean[known], led_to, error = field.conditional(at, ~out)
    away, heavy = np.abs(cells.values - mean[known]), precise[known] > np.median(precise[known])
    linked = cells.linked
    trust = _trust(away[linked], led_to[linked], error[linked], heavy[linked])
    precision[known], aside[known] = 1.0 / (trust * led_to + error), out
    told = tuple(remarks(cells, out, values, known))
    return Conditional(mean, precision, aside, field.parameters(at, ~out), told)


def _odd(cells: Cells, found: tuple[np.ndarray, np.ndarray, np.ndarray], outlier: float) -> np.ndarray:
    """Areas that are further off than so many robust standard deviations, shape (n,)."""
    mean, led_to, error = found
    return odd_ones(cells, mean, 1.0 / (led_to + error), outlier)


def _trust(away: np.ndarray, led_to: np.ndarray, error: np.ndarray, heavy: np.ndarray) -> float:
    """Factor on the variance of the field that leaves values of much and of little weight equally far off.

    A field that is rougher than the surface it stands for, as a CAR may be, is less sure than it could be;
    that falls on values of much weight. The factor is the one nearest to 1 at which halves of the areas
    differ no more than the standard error of their medians; 1 where none brings them there. The level
    is left to whoever scales by residuals, as `Deviation` does.
    """
    from scipy.optimize import brentq

    if away.size < _FEWEST_TRUSTED or not heavy.any() or np.median(away) == 0.0:
        return 1.0

    def surplus(log_trust: float) -> float:
        scaled = away / np.sqrt(np.exp(log_trust) * led_to + error)
        return float((np.median(scaled[heavy]) - np.median(scaled[~heavy])) / np.median(scaled))

    allowed = _ERROR_OF_MEDIANS / np.sqrt(away.size)
    now = surplus(0.0)
    end, goal = np.copysign(np.log(_MOST_TRUST), now), np.copysign(allowed, now)
    if not np.abs(now) > allowed or surplus(end) / goal >= 1.0:  # it is not for the field that they differ
        return 1.0
    return float(np.exp(brentq(lambda trust: surplus(trust) - goal, 0.0, end, xtol=0.01)))


@dataclass(frozen=True, eq=False)
class _State:
    """A field at one set of parameters, areas in the order that fills least."""

    lu: SuperLU
    error: np.ndarray
    sure: np.ndarray
    away: np.ndarray
    pull: np.ndarray
    beta: np.ndarray
    variance: float
    surprise: float


@dataclass(frozen=True, eq=False)
class _Field:
    """Areas in the order that fills factors least; ``noise`` is one over the weight, 1 in the middle."""

    cells: Cells
    noise: np.ndarray
    unit: float
    size: float
    basis: np.ndarray
    back: np.ndarray
    order: np.ndarray
    determinant: Determinant
    known: dict[float, tuple[sparse.csc_array, float]] = dataclass_field(default_factory=dict)

    @classmethod
    def of(cls, cells: Cells, noise: np.ndarray) -> _Field:
        """Put areas in order, and values and weights in units of their own."""
        order = filling_least(_precision(cells, 0.5))
        links = sparse.csr_array(cells.links[order][:, order])
        unit, size = float(np.median(noise)), float(np.std(cells.values[cells.linked]))
        own = Cells(cells.kind, cells.values[order] / size, cells.design[order], cells.weight[order], links)
        basis, back = orthonormal(own.design.T)
        return cls(own, noise[order] / unit, unit, size, basis, back, order, Determinant(own))

    def state(self, at: np.ndarray, keep: np.ndarray) -> _State:
        """Work out the field at one set of parameters; values that are not kept have not been seen."""
        rho, between = np.tanh(at[0]), at[2]
        error = np.exp(at[1]) * ((1.0 - between) * self.noise + between)
        sure = np.where(keep, 1.0 / error, 0.0)
        before, prior = self._before(rho)
        lu = factors(sparse.csc_array(before + sparse.diags_array(sure)))
        design = self.basis.T
        if self.cells.kind == "sar_lag":
            design = factors(self.cells.step(rho), "COLAMD").solve(design)

        def seen(columns: np.ndarray) -> np.ndarray:
            """Precision matrix of what was seen, times columns."""
            given = (sure * columns.T).T
            return given - (sure * lu.solve(given).T).T

        weighed = seen(design)
        beta = np.linalg.solve(cross(design.T, weighed.T), (weighed.T * self.cells.values).sum(axis=1))
        away = self.cells.values - (design * beta).sum(axis=1)
        pull, n = seen(away), np.count_nonzero(keep)
        variance = float((away * pull).sum() / n)
        spread = np.log(np.abs(lu.U.diagonal())).sum() - prior - np.log(sure[keep]).sum()
        surprise = 0.5 * float(n * np.log(variance) + spread)
        return _State(lu, error, sure, away, pull, beta, variance, surprise)

    def surprise(self, at: np.ndarray, keep: np.ndarray) -> float:
        """Minus the log likelihood of the values that are kept, up to a constant."""
        return self.state(at, self._kept(keep)).surprise

    def _before(self, rho: float) -> tuple[sparse.csc_array, float]:
        """Precision matrix of the field and the logarithm of its determinant; the last one is kept."""
        if rho not in self.known:
            log = self.determinant.log(rho)
            log = log + np.log(_scale(self.cells)).sum() if self.cells.kind == "car" else 2.0 * log
            self.known.clear()
            self.known[rho] = _precision(self.cells, rho), float(log)
        return self.known[rho]

    def likeliest(self, begins: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Parameters of most likelihood of the values that are kept, by searches from several beginnings."""
        from scipy.optimize import minimize

        options = {"eps": _STEP, "ftol": 1e-9, "gtol": 1e-3, "maxiter": 60}
        given = {"args": (keep,), "method": "L-BFGS-B", "bounds": _BOUNDS, "options": options}
        low, high = np.transpose(_BOUNDS)
        found = [minimize(self.surprise, np.clip(begin, low, high), **given) for begin in begins]
        return min(found, key=lambda each: float(each.fun)).x

    def _kept(self, keep: np.ndarray) -> np.ndarray:
        return keep[self.order] & self.cells.linked

    def conditional(self, at: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean of each value given all others that are kept; variances of the field and of its error."""
        keep = self._kept(keep)
        state = self.state(at, keep)
        inverse = _diagonal(state.lu)
        own = state.sure - state.sure**2 * inverse
        led_to = self.cells.values - state.away + state.lu.solve(state.sure * state.away)
        safe = np.where(keep, own, 1.0)
        mean = np.where(keep, self.cells.values - state.pull / safe, led_to)
        field = np.where(keep, 1.0 / safe - state.error, inverse)
        alone = ~self.cells.linked
        like = 1.0 - np.tanh(at[0]) if self.cells.kind == "sar_lag" else 1.0  # surroundings like themselves
        mean[alone] = (self.cells.values - state.away)[alone] / like
        field[alone] = np.mean(state.away[keep] ** 2 / state.variance - state.error[keep])
        back, unit = np.argsort(self.order), state.variance * self.size**2
        return mean[back] * self.size, np.maximum(field, 0.0)[back] * unit, state.error[back] * unit

    def parameters(self, at: np.ndarray, keep: np.ndarray) -> Measured:
        """Return them in the units of values and weights."""
        keep = self._kept(keep)
        state, n = self.state(at, keep), np.count_nonzero(keep)
        variance, error = state.variance * self.size**2, np.exp(at[1]) * state.variance * self.size**2
        constant = 0.5 * n * (np.log(2.0 * np.pi) + 1.0) + n * np.log(self.size)
        return Measured(
            self.cells.kind,
            float(np.tanh(at[0])),
            self.back @ state.beta * self.size,
            variance,
            -state.surprise - constant,
            error=float(error * (1.0 - at[2]) / self.unit),
            between=float(error * at[2]),
        )


def _scale(cells: Cells) -> np.ndarray:
    """Precision of an area of a car; 1 where it has no neighbours, which nobody looks at."""
    return np.where(cells.scale > 0, cells.scale, 1.0)


def _precision(cells: Cells, rho: float) -> sparse.csc_array:
    """Precision matrix of the field, for a disturbance of variance one."""
    step = cells.step(rho)
    if cells.kind == "car":
        return sparse.csc_array(sparse.diags_array(_scale(cells)) @ step)
    return sparse.csc_array(step.T @ step)


def _diagonal(lu: SuperLU) -> np.ndarray:
    """Diagonal of the inverse of a symmetric matrix."""
    from zoo_geo.kernels.inverses import diagonal_of_inverse

    lower = sparse.csc_array(lu.L)
    lower.sort_indices()
    found = np.empty(lower.shape[0])
    csc = lower.indptr.astype(np.intp), lower.indices.astype(np.intp), lower.data
    if not diagonal_of_inverse(*csc, lu.U.diagonal(), found):
        for start in range(0, found.size, _COLUMNS):
            at = np.arange(start, min(start + _COLUMNS, found.size))
            units = np.zeros((found.size, at.size))
            units[at, np.arange(at.size)] = 1.0
            found[at] = lu.solve(units)[at, np.arange(at.size)]
    return found
