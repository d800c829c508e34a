"""What covariates lead to expect of an area, fitted without the area and without those around it.

A regression of the rates on covariates answers "can this deviation be explained?". Areas are divided into
spatial blocks and the rates of a block come from a fit to all other blocks, so that an area never explains
itself and neighbours, who share what no covariate says, do not explain each other.

Arrays of one column have shape (n_areas,), areas in code order. What the covariates are called is checked
where they come in; here they are numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from zoo_geo.errors import InputError, examples
from zoo_geo.expectation import between_areas
from zoo_geo.predictive import Binomial, Family, Gaussian, Poisson
from zoo_geo.threads import one_thread

Method: TypeAlias = Literal["poisson", "tweedie", "boosting"]

ODD = 3.0
"""Standardised residual beyond which an area leaves the next fit."""

PENALTY = 4.0
"""Effective events that say a coefficient is 0: its standard deviation beforehand is 0.5 (a factor 1.65)."""

_CLEAN = 2
_CAP = 5.0
_FEWEST, _PER_COVARIATE = 30, 10
_FEWEST_ODD = 3
_WAYS = 3
_POWER = 1.5
_TELLING = 4_000
_TREES = {
    "learning_rate": 0.15, "max_iter": 60, "max_leaf_nodes": 6, "min_samples_leaf": 20, "max_bins": 63,
    "l2_regularization": 10.0, "early_stopping": False, "random_state": 0,
}  # fmt: skip
"""Small trees: with 12 leaves the error of a rate is a quarter larger where effects are smooth."""


@dataclass(frozen=True, eq=False)
class Modelled:
    """Rates that covariates lead to expect, each from a fit without the area's own block.

    Parameters
    ----------
    rate
        Expected rate, share or value of every area, also where nothing was seen, shape (n_areas,).
    strength
        Effective number of events (gaussian: weight) behind the rate: 1 / variance of its logarithm
        (gaussian: spread / variance of the value), shape (n_areas,).
    odd
        Areas that most fits left out because they were odd themselves, shape (n_areas,).
    spread
        Robust spread about the fits, as in `expectation.Expectation`: what covariates leave unexplained.
    skill
        Share of the squared residuals about the overall rate that the covariates explain out of block, areas
        that are odd not counted; 0 or less where they explain nothing.
    size
        Exposures as given; weights of values as the fits took them, steadied where areas differ by more than
        their weights explain, in units that leave the middle one as it is; shape (n_areas,).
    """

    rate: np.ndarray
    strength: np.ndarray
    odd: np.ndarray
    spread: float
    skill: float
    size: np.ndarray


@dataclass(frozen=True, eq=False)
class Explained:
    """How much of each area's deviation covariates explain; see `explained`. Arrays of shape (n_areas,)."""

    ratio_before: np.ndarray
    ratio_after: np.ndarray
    share: np.ndarray


class TooFewAreasError(InputError):
    """A column has too few figures for so many covariates."""


@dataclass(frozen=True, eq=False)
class _Column:
    """One column, zeros where nothing is known, and what its rates are regressed on."""

    observed: np.ndarray
    size: np.ndarray
    known: np.ndarray
    family: Family
    design: np.ndarray
    method: Method

    def value(self, rows: np.ndarray) -> np.ndarray:
        """Rates (values) of some areas."""
        if isinstance(self.family, Gaussian):
            return self.observed[rows]
        return self.observed[rows] / self.size[rows]


Predict: TypeAlias = Callable[[np.ndarray], np.ndarray]


def cross_fitted(
    observed: np.ndarray,
    size: np.ndarray,
    valid: np.ndarray,
    family: Family,
    covariates: np.ndarray,
    folds: np.ndarray,
    *,
    method: Method = "poisson",
) -> Modelled:
    """Estimate the rate that covariates lead to expect, block by block from all other blocks.

    Each fit is repeated twice without the areas that are more than three standard deviations off under a
    robust spread (1 or 2 events never are), with areas weighted by the precision of their rates, so that
    neither an anomaly nor the largest areas decide. The error of a rate is what fits to one half of the
    blocks differ from fits to the other half, in three ways of halving them (one for boosting; McCarthy
    1969, doi:10.2307/1402116): what blocks share beyond the covariates counts, and overdispersion too.

    Parameters
    ----------
    observed, size, valid
        Figures, exposures (gaussian: weights) and where both are known, shape (n_areas,).
    family
        Of the column.
    covariates
        Shape (n_areas, n_covariates); what is not finite is missing. For linear fits they are centred on the
        median, scaled by the interquartile range and capped at five robust standard deviations; a missing
        one is the median, and an indicator says so. Constant ones are left out.
    folds
        Block of every area, see `blocks.spatial_blocks`.
    method
        ``poisson``: the linear fit of the family (log-linear, logistic, linear) with a slight shrinkage of
        coefficients; ``tweedie``: log-linear with variance power 1.5, for counts in bursts and for amounts
        from 0; ``boosting``: trees boosted with the loss of the family.

    Returns
    -------
    Modelled
        Neither the figure of an area nor those of its block enter its own rate.

    Raises
    ------
    InputError
        An unknown method; Tweedie for shares or values below 0; fewer than two blocks.
    TooFewAreasError
        Too few areas with a figure outside a block for the number of covariates.

    Examples
    --------
    >>> import numpy as np
    >>> from zoo_geo.predictive import Poisson
    >>> dense = np.tile([0.0, 1.0], 60)
    >>> size, valid, folds = np.full(120, 1e4), np.ones(120, bool), np.arange(120) // 30
    >>> found = cross_fitted(size * (0.01 + 0.01 * dense), size, valid, Poisson(), dense[:, None], folds)
    >>> found.rate[:2].round(3).tolist()
    [0.01, 0.02]
    """
    known = valid & np.isfinite(observed) & (size > 0)
    _check_method(method, family, observed[known])
    design = _with_gaps(covariates) if method == "boosting" else standardised(covariates)
    blocks = np.unique(folds, return_inverse=True)[1]
    _check_enough(known, blocks, np.asarray(covariates))
    seen, weight = np.where(known, observed, 0.0), np.where(known, size, 0.0)
    column = _Column(seen, weight, known, family, design, method)
    rate, base, error = (np.empty(known.size) for _ in range(3))
    left_out, spreads, weighed = np.zeros(known.size), [], weight.copy()
    for block in range(int(blocks.max()) + 1):
        own, rows = blocks == block, np.flatnonzero(known & (blocks != block))
        with one_thread():
            predict, kept, damping, spread, steady = _cleaned(column, rows)
            rate[own], weighed[own] = predict(design[own]), steady.size[own]
            error[own] = _error(steady, kept, damping, blocks[kept], design[own])
        if isinstance(family, Gaussian):
            error[own] /= spread
        base[own] = _overall(steady, kept, damping)
        left_out[np.setdiff1d(rows, kept)] += 1.0
        spreads.append(spread)
    odd, spread = left_out > blocks.max() / 2.0, float(np.median(spreads))
    skill = _skill(replace(column, size=weighed), known & ~odd, rate, base, spread)
    return Modelled(rate, 1.0 / np.maximum(error, 1e-12), odd, spread, skill, weighed)


def _check_method(method: str, family: Family, seen: np.ndarray) -> None:
    """Say what is wrong with a method for this family."""
    if method not in get_args(Method):
        names = ", ".join(map(repr, get_args(Method)))
        raise InputError(f"method needs to be one of {names}; got {method!r}.")
    if method == "tweedie" and (isinstance(family, Binomial) or (seen < 0).any()):
        raise InputError(
            f"method='tweedie' needs to have counts or values from 0; got {family.name} figures"
            + (f" ({examples(seen[seen < 0], seen.size)})" if (seen < 0).any() else "")
            + ". Take 'poisson' (the linear fit of each family) or 'boosting'."
        )


def _check_enough(known: np.ndarray, blocks: np.ndarray, covariates: np.ndarray) -> None:
    """Say where too few areas are left to fit the covariates."""
    count = int(blocks.max(initial=-1)) + 1
    if count < 2:
        raise InputError(
            f"spatial blocks need to be two or more; got {count}. An area's own block is left out of its fit."
        )
    least = int(known.sum() - np.bincount(blocks, known, count).max())
    needed = max(_FEWEST, _PER_COVARIATE * covariates.shape[1])
    if least < needed:
        raise TooFewAreasError(
            f"areas with a figure outside every block need to be {needed} or more for "
            f"{covariates.shape[1]} covariates; got {least} of {int(known.sum())}. Take fewer covariates or "
            "smaller blocks."
        )


def _with_gaps(covariates: np.ndarray) -> np.ndarray:
    """Covariates as they are, NaN where one is missing."""
    found = np.array(covariates, float)
    found[~np.isfinite(found)] = np.nan
    return found


def standardised(covariates: np.ndarray) -> np.ndarray:
    """Put covariates on one robust scale, capped; missing ones are the median, with an indicator.

    Parameters
    ----------
    covariates
        Shape (n_areas, n_covariates); what is not finite is missing.

    Returns
    -------
    np.ndarray
        Shape (n_areas, n_columns): covariates that vary, then an indicator for each that has gaps.
    """
    values = _with_gaps(covariates)
    missing = np.isnan(values)
    scaled = [_scaled(x[~gap], gap) for x, gap in zip(values.T, missing.T, strict=True)]
    gaps = np.unique(missing[:, missing.any(0) & ~missing.all(0)].astype(float), axis=1)
    columns = [each for each in scaled if each is not None]
    columns += [each for gap in gaps.T if (each := _scaled(gap, np.zeros(gap.size, bool))) is not None]
    return np.column_stack(columns) if columns else np.zeros((values.shape[0], 0))


def _scaled(known: np.ndarray, gap: np.ndarray) -> np.ndarray | None:
    """Robust scores of one covariate, 0 in its gaps; None where it is constant."""
    if known.size == 0 or np.ptp(known) == 0.0:
        return None
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
    scale = (high - low) / 1.349
    if high - low <= 1e-12 * max(abs(low), abs(high)):  # half of all areas or more have the same value
        middle, scale = known.mean(), known.std()
    found = np.zeros(gap.size)
    found[~gap] = np.clip((known - middle) / scale, -_CAP, _CAP)
    return found


# --- fits -----------------------------------------------------------------------------------------


def _cleaned(column: _Column, rows: np.ndarray) -> tuple[Predict, np.ndarray, np.ndarray, float, _Column]:
    """Fit, leave out who is odd, and fit again.

    Also who was kept, how they were weighted, the spread, and the column with the weights of its values
    steadied.
    """
    family, kept = column.family, rows
    figures = column.observed[rows, None], column.size[rows, None]
    spread = float(family.first_spread(*figures, np.ones(figures[0].shape, bool))[0])
    rate, given = np.full(column.size.size, _overall(column, rows, np.ones(rows.size))), column
    for step in range(_CLEAN + 1):
        damping = family.damping(rate[kept], column.size[kept], np.full(kept.size, spread))
        predict = _learn(column, kept, damping)
        rate[rows] = predict(column.design[rows])
        column = _steadied(given, kept, rate)
        spread = _spread(column, kept, rate, spread)
        if step < _CLEAN:
            kept = rows[~_odd(column, rows, rate, spread)]
    return predict, kept, damping, spread, column


def _steadied(column: _Column, rows: np.ndarray, rate: np.ndarray) -> _Column:
    """Weights of values when those of some rows differ from a fit by more than their weights explain."""
    if not isinstance(column.family, Gaussian):
        return column
    away = np.abs(column.observed[rows] - rate[rows])
    return replace(column, size=steadied(away, column.size, rows))


def steadied(away: np.ndarray, weight: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Weights of values with a variance between areas beside the one that weights stand for.

    Parameters
    ----------
    away
        Distances of the values of some rows from what is expected of them, shape (n_rows,).
    weight
        Weights of all values, shape (n_areas,).
    rows
        Those rows, whose weights are above 0.

    Returns
    -------
    np.ndarray
        ``weight (1 + between middle) / (1 + between weight)``: a value of middling weight keeps it; shape
        (n_areas,). `expectation.between_areas` says how the variance is found.
    """
    if rows.size < _FEWEST:
        return weight
    middle, between = float(np.median(weight[rows])), between_areas(away, weight[rows])
    return weight * (1.0 + between * middle) / (1.0 + between * weight)


def _spread(column: _Column, kept: np.ndarray, rate: np.ndarray, start: float) -> float:
    """Robust spread about a fit, from the areas that tell most about it."""
    information = column.size[kept] * column.family.information(rate[kept])
    rows = kept[np.argsort(-information, kind="stable")[:_TELLING]]
    given = column.observed[rows], column.size[rows], rate[rows], np.full(rows.size, np.inf)
    times, _ = column.family.matched(np.arange(rows.size), 1.0, *given, np.full(rows.size, start))
    return max(float(start * times), float(np.finfo(float).tiny))


def _residual(column: _Column, rows: np.ndarray, rate: np.ndarray, spread: float) -> np.ndarray:
    given = column.observed[rows], column.size[rows], rate[rows]
    return column.family.residual(*given, np.full(rows.size, spread), np.inf)


def _odd(column: _Column, rows: np.ndarray, rate: np.ndarray, spread: float) -> np.ndarray:
    """Say which areas are odd; one or two events, however rare, are no reason."""
    away = _residual(column, rows, rate, spread)
    few = (away > 0) & (column.observed[rows] < _FEWEST_ODD)
    return (np.abs(away) > ODD) & ~(few & (not isinstance(column.family, Gaussian)))


def _error(
    column: _Column, kept: np.ndarray, damping: np.ndarray, blocks: np.ndarray, design: np.ndarray
) -> np.ndarray:
    """Variance of the (log) rate: what fits to halves of the blocks differ, drawn half-way to its mean."""
    unit = np.unique(blocks, return_inverse=True)[1]
    if unit.max() == 0:
        unit = np.arange(kept.size)  # one block: halves of its areas
    ways = 1 if column.method == "boosting" else min(_WAYS, int(np.log2(unit.max() + 1)))
    found = np.zeros(design.shape[0])
    for way in range(ways):
        first = (unit >> way) & 1 == 0
        share = float(_weights(column, kept[first], damping[first]).sum())
        share /= share + float(_weights(column, kept[~first], damping[~first]).sum())
        here, there = (_learn(column, kept[half], damping[half])(design) for half in (first, ~first))
        gap = here - there if isinstance(column.family, Gaussian) else np.log(here / there)
        found += share * (1.0 - share) * gap**2 / ways
    return (found + found.mean()) / 2.0 if found.size else found


def _skill(column: _Column, calm: np.ndarray, rate: np.ndarray, base: np.ndarray, spread: float) -> float:
    """Share of squared residuals about the overall rate that the fits explain, out of block."""
    rows = np.flatnonzero(calm)
    after, before = ((_residual(column, rows, each, spread) ** 2).sum() for each in (rate, base))
    return float(1.0 - after / before) if before > 0 else 0.0


# --- learners -------------------------------------------------------------------------------------


def _weights(column: _Column, rows: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """Precision of each area's rate in units of size."""
    return column.size[rows] * damping


def _overall(column: _Column, rows: np.ndarray, damping: np.ndarray) -> float:
    """Pooled rate; half an event where there is none (or nothing but events)."""
    weight = _weights(column, rows, damping)
    if isinstance(column.family, Gaussian):
        return float(np.average(column.observed[rows], weights=weight))
    total, size = column.observed[rows].sum(), column.size[rows].sum()
    if total == 0 or (isinstance(column.family, Binomial) and total == size):
        return float(np.abs(total - 0.5) / size)
    return float(np.average(column.value(rows), weights=weight))


def _learn(column: _Column, rows: np.ndarray, damping: np.ndarray) -> Predict:
    """Fit rates to the design where it differs; without contrast the overall rate is all that is known."""
    base, rate, x = _overall(column, rows, damping), column.value(rows), column.design[rows]
    weight, given = _weights(column, rows, damping), np.isfinite(x).any(axis=0) & (np.ptp(x, axis=0) != 0.0)
    if not given.any() or np.ptp(rate) == 0.0:
        return lambda design: np.full(design.shape[0], base)
    predict = _learner(column, x[:, given], rate, weight, base)
    return lambda design: predict(design[:, given])


def _learner(column: _Column, x: np.ndarray, rate: np.ndarray, weight: np.ndarray, base: float) -> Predict:
    """Fit by the loss of the family."""
    if isinstance(column.family, Binomial):
        return _shares(x, rate, weight, column.method)
    if isinstance(column.family, Poisson):
        return _relative(x, rate / base, weight * base, base, column.method)
    weight = weight / weight.mean()
    if column.method == "tweedie":
        return _relative(x, rate / base, weight, base, column.method)
    return _values(x, rate, weight, column.method)


def _relative(x: np.ndarray, y: np.ndarray, weight: np.ndarray, base: float, method: Method) -> Predict:
    """Fit rates relative to the overall one, weights in effective events, so that no unit matters."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import PoissonRegressor, TweedieRegressor

    model: Any
    alike = {"alpha": PENALTY / weight.sum(), "solver": "newton-cholesky", "tol": 1e-7}
    if method == "boosting":
        model = HistGradientBoostingRegressor(loss="poisson", **_TREES)
    elif method == "tweedie":
        model = TweedieRegressor(power=_POWER, link="log", **alike)
    else:
        model = PoissonRegressor(**alike)
    model.fit(x, y, sample_weight=weight)
    return lambda design: base * model.predict(design)


def _shares(x: np.ndarray, y: np.ndarray, weight: np.ndarray, method: Method) -> Predict:
    """Fit shares: every area is a row of those who are and a row of those who are not."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    if method == "boosting":
        model: Any = HistGradientBoostingClassifier(**_TREES)
    else:
        model = LogisticRegression(C=1.0 / PENALTY, solver="newton-cholesky", tol=1e-8)
    both, parts = np.vstack([x, x]), np.concatenate([weight * y, weight * (1.0 - y)])
    model.fit(both, np.repeat([1, 0], y.size), sample_weight=parts)
    return lambda design: np.clip(model.predict_proba(design)[:, 1], 1e-9, 1.0 - 1e-9)


def _values(x: np.ndarray, y: np.ndarray, weight: np.ndarray, method: Method) -> Predict:
    """Fit values by weighted least squares."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge

    model: Any = HistGradientBoostingRegressor(**_TREES) if method == "boosting" else Ridge(alpha=PENALTY)
    model.fit(x, y, sample_weight=weight)
    return model.predict


# --- in words -------------------------------------------------------------------------------------

_SMALL_DEVIATION = np.log(1.1)


def explained(observed: np.ndarray, expected_before: np.ndarray, expected_after: np.ndarray) -> Explained:
    """Say how much of each area's deviation covariates explain.

    Parameters
    ----------
    observed
        Counts or values, shape (n_areas,).
    expected_before, expected_after
        What is expected without the covariates and with them, same shape.

    Returns
    -------
    Explained
        ``ratio_before`` and ``ratio_after`` are observed over expected; ``share`` is the part of the
        logarithm of the ratio that is gone: 1 where all is explained (or more: ``ratio_after`` then lies on
        the other side of 1), 0 where nothing is, down to -1 where the deviation has become twice as large or
        more. A count of 0 stands as half an event there. NaN where the ratio before lies within 10 % of 1 (a
        share of next to nothing says nothing), or where there is no ratio.

    Examples
    --------
    >>> found = explained(np.array([40.0]), np.array([10.0]), np.array([20.0]))
    >>> found.ratio_after.tolist(), found.share.tolist()
    ([2.0], [0.5])
    """
    seen, before, after = (np.asarray(x, float) for x in (observed, expected_before, expected_after))
    known = (seen >= 0) & (before > 0) & (after > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_before, ratio_after = (np.where(known, seen / each, np.nan) for each in (before, after))
        least = np.where(seen > 0, seen, 0.5)
        was, still = np.log(least / before), np.log(least / after)
        share = np.clip(1.0 - still / was, -1.0, 1.0)
    known &= (np.abs(was) > _SMALL_DEVIATION) & ((was > 0) == (seen > before))
    return Explained(ratio_before, ratio_after, np.where(known, share, np.nan))
