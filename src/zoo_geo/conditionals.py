"""What all other areas lead to expect of an area's value: Gaussian autoregressive conditionals.

A simultaneous (SAR) or conditional (CAR) autoregression says how values of neighbours go together. From its
precision matrix follows, for every area at once, the distribution of its value given all the others:

    E[y_i | rest] = m_i - 1 / Q_ii sum_{j != i} Q_ij (y_j - m_j)        Var[y_i | rest] = 1 / Q_ii
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from zoo_geo.autoregression import FEWEST, KINDS, Cells, Kind, Parameters, fit
from zoo_geo.errors import Problems, examples
from zoo_geo.notices import Notice, count

_MOST_ASIDE = 0.1
"""At most this share of the areas is set aside as outliers."""
_MAD = 0.6744897501960817
"""Median of the absolute value of a standard normal."""
_COLUMNS = 512
"""Right-hand sides that are solved for together; bounds the memory."""


@dataclass(frozen=True, eq=False)
class Conditional:
    """The distribution of each area's value given all the others.

    Parameters
    ----------
    mean
        In units of the values; NaN where there is none, shape (n,).
    precision
        One over the variance, shape (n,).
    set_aside
        Areas that are too odd to say anything of others, shape (n,).
    parameters
        What the conditionals follow from; None where there was nothing to fit.
    notices
        What is worth knowing, one sentence each.
    """

    mean: np.ndarray
    precision: np.ndarray
    set_aside: np.ndarray
    parameters: Parameters | None
    notices: tuple[Notice, ...] = ()


def leave_one_out(
    values: np.ndarray,
    weights: sparse.csr_array,
    covariates: np.ndarray | None = None,
    kind: Kind = "sar_error",
    *,
    weight: np.ndarray | None = None,
    outlier: float | None = 3.5,
    parameters: Parameters | None = None,
) -> Conditional:
    """Return the mean and precision of each area's value given all the others.

    Parameters come from maximum likelihood, the same as spreg's, but sparse. Areas whose standardised
    deviation from their conditional mean exceeds ``outlier`` (in robust standard deviations, by the median)
    are left out of a second fit, and then of what is known of the others: an outlier has its own
    conditional, and does not pull its neighbours'. Areas in no pair of neighbours have no part in the fit:
    their mean is that of the regression (for ``sar_lag`` divided by 1 - rho, as if their surroundings were
    like them), their precision that of a value about the regression.

    The area itself has a share of 1/n in the parameters; brute-force refits differ by that.

    Parameters
    ----------
    values
        In code order; NaN is missing and leaves fit and neighbourhoods, shape (n,).
    weights
        Weights of neighbours, 0 or more, shape (n, n). An area's own weight is ignored. Rows are standardised
        among the areas that have a value; for ``car`` the weights of both directions are averaged.
    covariates
        Shape (n, n_covariates), without intercept; a NaN makes the area missing.
    kind
        Which autoregression, see `Parameters`.
    weight
        Relative precision of each value, above 0; all 1 when not given, shape (n,). For ``car`` the weight of
        a pair of neighbours is multiplied by the roots of both.
    outlier
        Standard deviations beyond which an area is set aside; at most a tenth of the areas are. None sets
        no area aside.
    parameters
        Take these instead of fitting, for example those of a spreg model; ``kind`` is then theirs.

    Returns
    -------
    Conditional
        Independent of the order of the areas but for rounding.

    Raises
    ------
    InputError
        Shapes do not match, a weight is negative, or an option does not fit.

    References
    ----------
    Cressie (1993), Statistics for Spatial Data, 6.6; Rue and Held (2005), Gaussian Markov Random Fields, 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> road = sparse.csr_array(sparse.diags_array([np.ones(39), np.ones(39)], offsets=[-1, 1]))
    >>> values = np.random.default_rng(1).normal(size=40).cumsum()
    >>> values[20] += 30
    >>> found = leave_one_out(values, road)
    >>> np.flatnonzero(found.set_aside).tolist(), found.mean[[19, 20]].round(1).tolist()
    ([20], [0.6, 0.4])
    """
    chosen = kind if parameters is None else parameters.kind
    values = np.asarray(values, float)
    design = design_of(values, covariates)
    precise = np.ones(len(values)) if weight is None else np.asarray(weight, float)
    check(values, weights, design, precise, chosen, parameters)
    known = np.isfinite(values) & np.isfinite(design).all(axis=1)
    links = weights - sparse.diags_array(weights.diagonal())
    cells = Cells(chosen, values, design, precise, sparse.csr_array(links)).among(known)
    mean, precision = np.full((2, len(values)), np.nan)
    aside = np.zeros(len(values), bool)
    fitted = parameters or fit(cells)
    if fitted is None or not cells.linked.any():
        return Conditional(mean, precision, aside, None, (no_fit(cells),))
    if outlier is not None:
        fitted, aside[known] = _cleaned(cells, fitted, outlier, refit=parameters is None)
    mean[known], precision[known] = _conditional(cells, fitted, aside[known])
    return Conditional(mean, precision, aside, fitted, tuple(remarks(cells, aside[known], values, known)))


def _cleaned(
    cells: Cells, fitted: Parameters, outlier: float, *, refit: bool
) -> tuple[Parameters, np.ndarray]:
    """Set outliers aside, fit once more without them, and look again who is one."""
    aside = np.zeros(cells.values.size, bool)
    aside = odd_ones(cells, *_conditional(cells, fitted, aside), outlier)
    if not aside.any():
        return fitted, aside
    if refit:
        fitted = fit(cells.among(~aside)) or fitted
    return fitted, odd_ones(cells, *_conditional(cells, fitted, aside), outlier)


def design_of(values: np.ndarray, covariates: np.ndarray | None) -> np.ndarray:
    """Put the intercept before the covariates, shape (n, 1 + n_covariates)."""
    intercept = np.ones((len(values), 1))
    return intercept if covariates is None else np.column_stack([intercept, np.asarray(covariates, float)])


def check(
    values: np.ndarray,
    weights: sparse.csr_array,
    design: np.ndarray,
    weight: np.ndarray,
    kind: str,
    parameters: Parameters | None,
) -> None:
    """Raise where arguments do not fit each other."""
    problems = Problems()
    n = len(values)
    if kind not in KINDS:
        problems.add(f"kind needs to be one of {', '.join(KINDS)}; got {kind!r}.")
    if weights.shape != (n, n):
        problems.add(f"weights need to have shape ({n:,}, {n:,}), as the values; got {weights.shape}.")
    elif not (weights.data >= 0).all():
        row = np.repeat(np.arange(n), np.diff(weights.indptr))[~(weights.data >= 0)]
        problems.add(f"weights need to be 0 or more; got others (rows {examples(row, weights.nnz)}).")
    if np.isinf(values).any():
        where = np.flatnonzero(np.isinf(values))
        problems.add(f"values need to be finite or NaN; got infinite ones (rows {examples(where, n)}).")
    if weight.shape != (n,):
        problems.add(f"weight needs to have shape ({n:,},), as the values; got {weight.shape}.")
    elif not (weight[np.isfinite(values)] > 0).all():
        where = np.flatnonzero(np.isfinite(values) & ~(weight > 0))
        problems.add(f"weight needs to be above 0; got others (rows {examples(where, n)}).")
    if parameters is not None and np.shape(parameters.beta) != (design.shape[1],):
        need = f"parameters need to have {design.shape[1]} coefficients, the intercept first"
        problems.add(f"{need}; got shape {np.shape(parameters.beta)}.")
    if parameters is not None and not (-1 < parameters.rho < 1 and parameters.variance > 0):
        need = "parameters need to have rho between -1 and 1 and a variance above 0"
        problems.add(f"{need}; got {parameters.rho:g} and {parameters.variance:g}.")
    problems.raise_if_any()


def _centre(cells: Cells, parameters: Parameters) -> np.ndarray:
    """Mean of the field, before anything is known of its values."""
    from scipy.sparse.linalg import splu

    regression = (cells.design * parameters.beta).sum(axis=1)
    if parameters.kind != "sar_lag":
        return regression
    spread = splu(cells.step(parameters.rho)).solve(regression)
    return np.where(cells.linked, spread, regression / (1.0 - parameters.rho))


def _precision(cells: Cells, parameters: Parameters) -> sparse.csr_array:
    """Precision matrix Q of the areas that have neighbours, sparse."""
    step, scale = cells.step(parameters.rho), sparse.diags_array(cells.scale / parameters.variance)
    return sparse.csr_array(scale @ step if cells.kind == "car" else step.T @ scale @ step)


def _conditional(cells: Cells, parameters: Parameters, aside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and precision of each value given all others but those set aside, whatever it is itself."""
    centre, linked = _centre(cells, parameters), cells.linked
    away = cells.values - centre
    kept = linked & ~aside
    spread = np.mean(cells.weight[kept] * away[kept] ** 2) if kept.any() else np.nan
    mean, precision = centre.copy(), cells.weight / spread
    odd = linked & aside
    matrix = _precision(cells, parameters)
    inside = sparse.csr_array(matrix[kept][:, kept])
    pull, own = inside @ away[kept], inside.diagonal()
    if odd.any():
        hidden = _Hidden(matrix, odd, kept)
        led_to = hidden.led_to(away[kept])
        mean[odd] += led_to
        precision[odd] = 1.0 / hidden.variances()
        pull += hidden.across.T @ led_to
        own -= hidden.known_through()
    mean[kept] = cells.values[kept] - pull / own
    precision[kept] = own
    return mean, precision


class _Hidden:
    """Areas whose values nobody looks at, and what is then known through them (a Schur complement)."""

    def __init__(self, matrix: sparse.csr_array, odd: np.ndarray, kept: np.ndarray) -> None:
        from scipy.sparse.linalg import splu

        rows = sparse.csr_array(matrix[odd])
        self.across = sparse.csc_array(rows[:, kept])
        self._lu = splu(sparse.csc_array(rows[:, odd]))

    def led_to(self, away: np.ndarray) -> np.ndarray:
        """Deviation that the others lead to expect of them."""
        return -self._lu.solve(self.across @ away)

    def variances(self) -> np.ndarray:
        """Variance of each of them given the others."""
        return self._squares(sparse.csc_array(sparse.eye_array(self.across.shape[0])))

    def known_through(self) -> np.ndarray:
        """Precision that each of the others has only if they are seen."""
        return self._squares(self.across)

    def _squares(self, columns: sparse.csc_array) -> np.ndarray:
        """x' Q^-1 x of each column x, a block at a time."""
        out = np.zeros(columns.shape[1])
        touched = np.flatnonzero(np.diff(columns.indptr))
        for start in range(0, touched.size, _COLUMNS):
            at = touched[start : start + _COLUMNS]
            block = columns[:, at].toarray()
            out[at] = (block * self._lu.solve(block)).sum(axis=0)
        return out


def odd_ones(cells: Cells, mean: np.ndarray, precision: np.ndarray, outlier: float) -> np.ndarray:
    """Areas with neighbours that are further off than so many robust standard deviations, shape (n,)."""
    linked = cells.linked
    distance = np.where(linked, np.abs(cells.values - mean) * np.sqrt(precision), 0.0)
    typical = np.median(distance[linked]) / _MAD
    most = np.quantile(distance[linked], 1.0 - _MOST_ASIDE)
    return distance > max(outlier * typical, most)


def no_fit(cells: Cells) -> Notice:
    """Say why there are no conditionals."""
    linked, need = int(cells.linked.sum()), FEWEST + cells.design.shape[1]
    if linked < need:
        return Notice(
            f"An autoregression needs {need} areas with a value and a neighbour that has one; got {linked}.",
            f"Een autoregressie vraagt {need} gebieden met een waarde en een buur die er een heeft; nu "
            f"{linked}.",
        )
    return Notice(
        "An autoregression needs values that differ from each other and from what covariates say.",
        "Een autoregressie vraagt waarden die van elkaar en van wat kenmerken zeggen verschillen.",
    )


def remarks(cells: Cells, aside: np.ndarray, values: np.ndarray, known: np.ndarray) -> Iterator[Notice]:
    """Say what is worth knowing of the areas."""
    some, far = known.sum(), aside.sum()
    lost = int((np.isfinite(values) & ~known).sum())
    if lost:
        yield Notice(
            f"{lost:,} areas have a value and lack a covariate: they are missing.",
            f"{count(lost)} gebieden met een waarde missen een kenmerk: zij doen niet mee.",
        )
    if cells.kind == "car" and abs(cells.links - cells.links.T).max() > 0:
        yield Notice(
            "Weights differ by direction: a car takes the mean of both.",
            "Gewichten verschillen naar richting: een car neemt het gemiddelde van beide.",
        )
    if not cells.linked.all():
        alone = (~cells.linked).sum()
        yield Notice(
            f"{alone:,} of {some:,} areas have no neighbour with a value: the regression alone.",
            f"{count(alone)} van {count(some)} gebieden hebben geen buur met een waarde: alleen de "
            "regressie telt.",
        )
    if aside.any():
        yield Notice(
            f"{far:,} of {some:,} areas are set aside as outliers: others are not compared with them.",
            f"{count(far)} van {count(some)} gebieden zijn uitschieters: andere worden niet met hen "
            "vergeleken.",
        )
