"""Areas whose figure deviates from what a reference leads to expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse, special

from zoo_geo import expectation as ex
from zoo_geo import references
from zoo_geo.detectors.base import Alternative, Detector, Scores, options, spread_out
from zoo_geo.detectors.inputs import (
    ISOLATED,
    OK,
    TOO_FEW,
    Inputs,
    blocks,
    column_status,
    matrix,
    parents,
    places,
)
from zoo_geo.errors import InputError
from zoo_geo.panel import Indicator
from zoo_geo.predictive import FAMILIES, Family
from zoo_geo.schema import SMALL_EXPOSURE

_GRAPHS = ("neighbours", "peers")
_IMPLAUSIBLE = 0.03


@dataclass(frozen=True)
class Deviation(Detector):
    """Counts, shares and values against the surroundings, the parent area or the nation.

    What is seen in an area is compared with the predictive distribution that its reference leads to:
    negative binomial, beta-binomial or Student t, with the spread of true rates estimated robustly
    and the error of the expectation integrated over. Areas that are odd themselves leave the
    expectation of others; rates are weighted by their precision and shrunk to the wider surroundings.

    Parameters
    ----------
    reference
        ``neighbours``, ``peers`` (a graph of areas that are alike), ``national`` or ``parent:LEVEL`` with a
        level of ``areas``.
    rings
        Widest surroundings tried for ``neighbours``; the width with the best leave-one-out
        predictive likelihood is taken for each column.
    alternative
        ``two-sided``, ``greater`` or ``less``.
    clean, precision, shrink, steep, response, heavy
        Parts of the estimation, see `expectation.Options`.

    References
    ----------
    Spiegelhalter (2005), doi:10.1002/sim.1970, for funnel limits under overdispersion; Marshall
    (1991), doi:10.2307/2347593, for shrinking to the surroundings.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.Deviation(reference="national").reference
    'national'
    """

    name: ClassVar[str] = "deviation"
    evidence: ClassVar[str] = "own figure"
    own: ClassVar[tuple[str, ...]] = ("spread", "n_neighbors", "neighbors_value", "reference_value")

    reference: str = "neighbours"
    rings: int = 3
    alternative: Alternative = "two-sided"
    clean: int = 2
    precision: bool = True
    shrink: bool = True
    steep: bool = True
    response: bool = True
    heavy: bool = True

    def __post_init__(self) -> None:
        options(alternative=(self.alternative, ("two-sided", "greater", "less")))
        if self.reference not in (*_GRAPHS, "national") and not self.reference.startswith("parent:"):
            raise InputError(
                "reference needs to be 'neighbours', 'peers', 'national' or 'parent:LEVEL'; got "
                f"{self.reference!r}."
            )
        if not 1 <= self.rings <= 5:
            raise InputError(f"rings needs to be between 1 and 5; got {self.rings}.")

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        near, wider = self._references(inputs)
        touching = matrix(inputs) if self.reference in _GRAPHS else None
        parts = ex.Options(
            self.clean, self.precision, self.shrink, self.steep, response=self.response, heavy=self.heavy
        )
        points = places(inputs) if touching is not None and self.steep else None
        shape = inputs.observed.shape
        status = column_status(inputs)
        per = inputs.per()
        arrays = {name: np.full(shape, np.nan) for name in (*_RESULTS, *self.own)}

        def block(work: tuple[str, np.ndarray]) -> None:
            family, columns = FAMILIES[work[0]], work[1]
            valid = status[:, columns] == OK
            figures = inputs.observed[:, columns], inputs.exposure[:, columns]
            figures = figures[0], ex.steadied(*figures, valid, family, near[0])
            fit = ex.expect(*figures, valid, family, near, wider, parts, touching, points)
            known, usable = inputs.status[:, columns] == OK, ex.usable(family, fit.rate, figures[1])
            status[:, columns] = _lonely(status[:, columns], known, near, fit, usable)
            found = self._results(*figures, status[:, columns] == OK, family, fit)
            found["reference_value"] = (
                found["reference_rate"] * np.where(inputs.is_value(), 1.0, per)[columns]
            )
            for name in (*_RESULTS, "spread", "reference_value"):
                arrays[name][:, columns] = found[name]

        spread_out(block, blocks(inputs, n_jobs), n_jobs)
        arrays |= _next_door(inputs)
        notices = _doubts(inputs, status, arrays["p_value"], self.reference)
        z = arrays["z"]
        return Scores(self.reference, status, arrays, _CLASSES, _classes(z), z, notices)

    def _references(self, inputs: Inputs) -> tuple[list[references.Reference], list[references.Reference]]:
        nation: list[references.Reference] = [references.everybody(inputs.codes.size)]
        if self.reference == "national":
            return nation, []
        if self.reference not in _GRAPHS:
            return [references.group(inputs.labels(self.reference.removeprefix("parent:")))], nation
        if self.reference == "peers":  # those alike of those alike are alike no more
            return [matrix(inputs)], nation
        return references.rings(matrix(inputs), self.rings), nation + parents(inputs)

    def _results(
        self, seen: np.ndarray, size: np.ndarray, valid: np.ndarray, family: Family, fit: ex.Expectation
    ) -> dict[str, np.ndarray]:
        z, p = np.full(valid.shape, np.nan), np.full(valid.shape, np.nan)
        for c in range(valid.shape[1]):
            rows = np.flatnonzero(valid[:, c])
            log_p, upper = ex.tails(seen, size, family, fit, rows, c)
            z[rows, c], p[rows, c] = signed(log_p, upper, self.alternative)
        expected = np.where(valid, fit.rate * (1.0 if family.name == "gaussian" else size), np.nan)
        low, high = ex.intervals(seen, size, valid, family, fit)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(np.isfinite(high), seen / expected, np.nan)
        found = dict(zip(_RESULTS, (expected, ratio, low, high, z, z, p), strict=True))
        return found | {
            "spread": np.where(valid, fit.spread, np.nan),
            "reference_rate": np.where(valid, fit.rate, np.nan),
        }


_RESULTS = ("expected", "ratio", "ratio_low", "ratio_high", "statistic", "z", "p_value")


def _lonely(
    status: np.ndarray,
    known: np.ndarray,
    near: list[references.Reference],
    fit: ex.Expectation,
    usable: np.ndarray,
) -> np.ndarray:
    """Mark areas whose reference holds no other figure, and those it leads to expect nothing of."""
    company = np.zeros(status.shape)
    for width in np.unique(fit.width):
        chosen = fit.width == width
        company[:, chosen] = near[width] @ known[:, chosen].astype(float)
    return np.where(known & (company <= 0), ISOLATED, np.where((status == OK) & ~usable, TOO_FEW, status))


def signed(log_p: np.ndarray, upper: np.ndarray, alternative: Alternative) -> tuple[np.ndarray, np.ndarray]:
    """Turn log mid tails and their side into z and p."""
    z = np.where(upper, -1.0, 1.0) * special.ndtri_exp(log_p)
    if alternative == "two-sided":
        p = np.minimum(2.0 * np.exp(log_p), 1.0)
    else:
        tail = np.exp(log_p)
        p = np.where(upper == (alternative == "greater"), tail, 1.0 - tail)
    return z, np.maximum(p, 1e-300)


_CLASSES = ("low_998", "low_95", "as_expected", "high_95", "high_998")


def _classes(z: np.ndarray) -> np.ndarray:
    """Control-limit class: 95 % and 99.8 %, as in funnel plots."""
    inner, outer = special.ndtri([0.975, 0.999])
    z = np.nan_to_num(z)
    return (z > -outer).astype(int) + (z > -inner) + (z >= inner) + (z >= outer)


def _next_door(inputs: Inputs) -> dict[str, np.ndarray]:
    """Figures of the direct neighbours: how many have one, and their rate together."""
    shape = inputs.observed.shape
    if inputs.csr is None:
        return {"n_neighbors": np.full(shape, np.nan), "neighbors_value": np.full(shape, np.nan)}
    weights = matrix(inputs)
    weights = sparse.csr_array((np.ones_like(weights.data), weights.indices, weights.indptr), weights.shape)
    ok = inputs.status == OK
    size = np.where(ok, inputs.exposure, 0.0)
    events = np.where(ok, inputs.observed, 0.0) * np.where(inputs.is_value(), size, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        together = (weights @ events) / (weights @ size)
    per = np.where(inputs.is_value(), 1.0, inputs.per())
    return {"n_neighbors": weights @ ok.astype(float), "neighbors_value": together * per}


def _doubts(inputs: Inputs, status: np.ndarray, p: np.ndarray, reference: str) -> list[str]:
    """Warn where far more areas are extreme than chance explains: the exposure may be the wrong one."""
    known = status == OK
    with np.errstate(invalid="ignore"):
        extreme = known & (p <= 0.001)
    doubtful = (known.sum(0) >= 200) & (extreme.sum(0) > _IMPLAUSIBLE * known.sum(0))
    return [
        _doubt(indicator, np.flatnonzero(doubtful & own), inputs, known, extreme, reference)
        for indicator in inputs.indicators
        if (doubtful & (own := np.array([each == indicator for each, _ in inputs.columns]))).any()
    ]


def _doubt(
    indicator: Indicator,
    columns: np.ndarray,
    inputs: Inputs,
    known: np.ndarray,
    extreme: np.ndarray,
    reference: str,
) -> str:
    """Say in words how implausible an indicator's extremes are, and on whom they fall."""
    share = extreme[:, columns].sum() / known[:, columns].sum()
    least = SMALL_EXPOSURE * indicator.per
    small = (inputs.exposure[:, columns][extreme[:, columns]] < least).mean()
    where = f", {small:.0%} of them with an exposure below {least:g}"
    where = "" if indicator.family == "gaussian" else where
    periods = ", ".join(inputs.columns[c][1] for c in columns)
    return (
        f"{indicator.id} ({periods}) against {reference}: {share:.1%} of areas have p <= 0.001, where chance "
        f"gives 0.1 %{where}. The exposure may not be what the figure depends on (visitors, passers-by), or "
        "the spread differs between areas: read these flags with care."
    )
