"""Is there spatial structure at all? Global Moran, Geary and G of every indicator and period."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from zoo_geo import arrangements
from zoo_geo.detectors import inputs as panels
from zoo_geo.detectors import local
from zoo_geo.detectors.base import Alternative, check_seed, options, spread_out, threads
from zoo_geo.detectors.inputs import CONSTANT, ISOLATED, MISSING, OK, TOO_FEW, matrix, prepare
from zoo_geo.detectors.nulls import Inference, pearson_p, permutation_p
from zoo_geo.errors import InputError
from zoo_geo.schema import GLOBAL_COLUMNS, STATUSES

if TYPE_CHECKING:
    from libpysal.graph import Graph

    from zoo_geo.areas import Areas
    from zoo_geo.panel import Panel

_Row: TypeAlias = dict[str, Any]
MEASURES = ("moran", "geary", "getis_ord")
_GETIS_ORD = MEASURES.index("getis_ord")
_TIE = 1e-9
"""Sums closer than this share of their standard deviation are the same."""
_SHARE, _SKEWNESS = 0.1, 0.5
"""Up to this share of one area in the squares of values or weights, and this skewness, the Pearson III curve
is within a third of the p of all permutations at 0.01 and within a factor of two at 0.001. Beyond, it can be
off by many orders of magnitude, most of all in the tail that the curve cuts off."""
_MOST_VALUES = 2**20
"""Arrangements go side by side until this many values are."""


def global_statistics(
    panel: Panel,
    neighbors: Graph,
    *,
    value: local.Value = "rate",
    measures: tuple[str, ...] = MEASURES,
    areas: Areas | None = None,
    permutations: int = 9_999,
    alternative: Alternative = "two-sided",
    inference: Inference = "permutation",
    seed: int = 0,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Global Moran's I, Geary's C and Getis and Ord's G of every indicator and period.

    Moran is above its expectation, and Geary below 1, where neighbours are alike; G is above its expectation
    where high values lie together, and below it where low ones do. All values are dealt out anew over all
    areas that have one. Areas without a figure leave; isolates keep their value in the mean and among what is
    dealt out, and count in n (peers may leave them out of n). Weights are used as the graph has them, without
    an area's own: row-standardise the graph for the usual figures. G needs values of 0 or more, so it is
    there for ``value="rate"`` only; elsewhere its status is ``negative``.

    Parameters
    ----------
    panel
        Observed figures and exposures.
    neighbors
        Weights on the areas' codes; areas of the graph that the panel lacks are missing.
    value
        ``rate``, ``eb_rate`` (empirical-Bayes standardised) or ``residual`` (what the wider surroundings do
        not explain). Where populations are unequal, rates have some structure without any in the risks, for
        small areas lie together; ask ``eb_rate``.
    measures
        Which of ``moran``, ``geary`` and ``getis_ord`` to compute; each is the same alone or beside others.
    areas
        Hierarchy, for residuals that shrink to the parent.
    permutations
        Draws of the null, where p comes from permutation.
    alternative
        ``two-sided``, ``greater`` or ``less``, of the statistic: alike neighbours make Moran greater and
        Geary less.
    inference
        ``permutation``; ``moments``: a Pearson III curve through the exact mean, variance and skewness of all
        permutations, and permutation where one area weighs so much that no curve fits (column
        ``inference`` says which); a p below 0.0001 is an order of magnitude at best. Or ``normal``, whatever
        the skewness: one extreme area makes its p wrong by many orders of magnitude.
    seed
        Of the permutations; the same seed gives the same result on any machine.
    n_jobs
        Threads; None for all cores.

    Returns
    -------
    DataFrame
        One row per indicator, period and measure, in that order; columns `schema.GLOBAL_COLUMNS`.
        ``expected``, ``variance`` and ``z`` are exact, whatever the inference.

    Raises
    ------
    InputError
        Areas of the panel are not in the graph, weights do not sum to more than 0, or an option does not fit.

    References
    ----------
    Cliff and Ord (1981), Spatial Processes; Getis and Ord (1992), doi:10.1111/j.1538-4632.1992.tb00261.x.

    Examples
    --------
    >>> import numpy as np, pandas as pd, zoo_geo as zg
    >>> from libpysal.graph import Graph
    >>> road = np.array([f"{n:02d}" for n in range(12)])
    >>> near = Graph.from_arrays(np.r_[road[1:], road[:-1]], np.r_[road[:-1], road[1:]], np.ones(22))
    >>> panel = zg.Panel.from_frame(pd.Series(range(12), road, name="y").rename_axis("area").reset_index(),
    ...                             area="area", observed="y", family="gaussian")
    >>> zg.global_statistics(panel, near)["statistic"].round(3).tolist()
    [0.818, 0.038, 0.229]
    """
    options(
        value=(value, ("rate", "eb_rate", "residual")),
        alternative=(alternative, ("two-sided", "greater", "less")),
        inference=(inference, ("permutation", "moments", "normal")),
    )
    local.check_draws(permutations, None)
    check_seed(seed)
    chosen = _chosen(measures)
    inputs, jobs = prepare(panel, neighbors, areas), threads(n_jobs)
    weights, found = matrix(inputs), local.fields(inputs, value, jobs)
    figures = found.values  # noqa: PD011
    columns: dict[int, list[_Row]] = {}
    for valid, alike in _alike(np.isfinite(figures) | np.isin(found.status, (CONSTANT, TOO_FEW))):
        near = _between(weights, valid)
        tests = {c: _test(figures[valid, c], found.status[valid, c], near, value, chosen) for c in alike}
        drawn = [test for test in tests.values() if test.permuted(inference).any()]
        _permute(drawn, near, permutations, seed, jobs)
        columns |= {
            c: list(_rows(test, near, inference, alternative, permutations)) for c, test in tests.items()
        }
    named = [
        {"indicator": indicator.id, "period": period, "field": value, **row}
        for c, (indicator, period) in enumerate(inputs.columns)
        for row in columns[c]
    ]
    return pd.DataFrame(named, columns=list(GLOBAL_COLUMNS)).astype({"permutations": "Int64"})


def _chosen(measures: tuple[str, ...]) -> np.ndarray:
    """Places in `MEASURES`, in their order."""
    names = [] if isinstance(measures, str) else list(measures)
    if not names or len(set(names)) < len(names) or not set(names) <= set(MEASURES):
        raise InputError(f"measures needs to be some of {', '.join(MEASURES)}, each once; got {measures!r}.")
    return np.array([k for k, measure in enumerate(MEASURES) if measure in names])


def _alike(known: np.ndarray) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Group columns that have values in the same areas."""
    seen: dict[bytes, list[int]] = {}
    for c in range(known.shape[1]):
        seen.setdefault(np.packbits(known[:, c]).tobytes(), []).append(c)
    for columns in seen.values():
        yield known[:, columns[0]], columns


@dataclass(frozen=True, eq=False)
class _Between:
    """Weights between the areas that have a value, the same in both directions.

    Parameters
    ----------
    pairs
        Weight of each pair once: ``indptr``, ``indices`` and ``data`` of the rows above the diagonal.
    reach
        Sum of each area's weights, shape (n,).
    isolates
        Areas in no pair.
    patterns
        What the moments need.
    share
        Largest share of one area in the squares of weights or of the spread of ``reach``, 0 to 1.
    """

    pairs: tuple[np.ndarray, np.ndarray, np.ndarray]
    reach: np.ndarray
    isolates: int
    patterns: arrangements.Patterns
    share: float

    @property
    def n(self) -> int:
        """Areas that have a value."""
        return self.reach.size

    @property
    def total(self) -> float:
        """Sum of all weights."""
        return float(self.reach.sum())


def _between(weights: sparse.csr_array, valid: np.ndarray) -> _Between:
    """Cut the weights to the areas that have a value; a sum over pairs only sees their symmetric part."""
    rows = sparse.csr_array(weights[valid][:, valid])
    whole = sparse.csr_array((rows + rows.T) * 0.5)
    whole.eliminate_zeros()
    whole.sort_indices()
    if whole.nnz and not whole.sum() > 0:
        raise InputError(
            "weights between areas that have a figure need to sum to more than 0; "
            f"got {whole.sum():g} ({rows.nnz:,} weights). Leave negative weights out."
        )
    above, reach = sparse.csr_array(sparse.triu(whole, 1)), whole.sum(axis=1)
    patterns = arrangements.weight_patterns(whole)
    return _Between(
        (above.indptr.astype(np.int64), above.indices.astype(np.int64), above.data),
        reach,
        int((np.diff(whole.indptr) == 0).sum()),
        patterns,
        max(patterns.share, _largest_share(reach)),
    )


def _largest_share(x: np.ndarray) -> float:
    """Share of the largest square in the squares about the mean; 0 where all are alike."""
    squares = (x - x.mean()) ** 2 if x.size else np.zeros(1)
    total = squares.sum()
    return float(squares.max() / total) if total > 1e-12 * (x**2).sum() else 0.0


@dataclass(eq=False)
class _Test:
    """One indicator in one period: the sums over pairs of the chosen measures, and their null.

    Parameters
    ----------
    status
        ok, or why there is no figure.
    chosen
        Places of the measures in `MEASURES`, shape (k,).
    z, level
        Values with mean 0 and mean square 1, shape (n,), and what their mean was on that scale.
    undefined
        Why there is no G, or nothing.
    seen, mean
        Each measure's sum on the map as it is, and its mean over all arrangements; shape (k,).
    null, fits
        Variance and skewness over all arrangements, and whether the Pearson III curve can be trusted with
        them; one a measure.
    scale, offset
        The statistic is ``scale * sum + offset``.
    above, below
        Arrangements whose sum is at or above, and at or below, that of the map.
    """

    status: int
    chosen: np.ndarray
    z: np.ndarray = field(default_factory=lambda: np.zeros(0))
    level: float = 0.0
    undefined: str = ""
    seen: np.ndarray = field(default_factory=lambda: np.zeros(0))
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    null: tuple[arrangements.Moments, ...] = ()
    fits: np.ndarray = field(default_factory=lambda: np.ones(0, bool))
    scale: np.ndarray = field(default_factory=lambda: np.zeros(0))
    offset: float = 0.0
    above: np.ndarray = field(init=False)
    below: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.above, self.below = (np.zeros(self.chosen.size, np.int64) for _ in range(2))

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation of each measure's sum over all arrangements."""
        return np.sqrt([null.variance for null in self.null])

    def permuted(self, inference: Inference) -> np.ndarray:
        """Which measures have their p from permutation, shape (k,)."""
        if self.status != OK or inference == "normal":
            return np.zeros(self.chosen.size, bool)
        defined = (self.chosen != _GETIS_ORD) | (not self.undefined)
        return defined & (~self.fits | (inference == "permutation"))

    def measured(self, sums: np.ndarray) -> np.ndarray:
        """Turn the kernel's sums (3, n_arrangements) into those of the measures: `_forms` over all pairs."""
        products, reach, squares = sums
        geary, lifted = 2.0 * squares - 4.0 * products, 2.0 * products + 2.0 * self.level * reach
        return np.stack([2.0 * products, geary, lifted])[self.chosen]

    def sides(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Count sums (k, n_arrangements) at or above, and at or below, those of the map; ties are both."""
        seen, tie = self.seen[:, None], _TIE * self.deviation[:, None]
        return (drawn >= seen - tie).sum(axis=1), (drawn <= seen + tie).sum(axis=1)

    @property
    def z_scores(self) -> np.ndarray:
        """Each measure's sum, standardised; 0 where the null leaves nothing to chance."""
        some = self.deviation > 0
        return np.where(some, (self.seen - self.mean) / np.where(some, self.deviation, 1.0), 0.0)


def _test(
    values: np.ndarray, statuses: np.ndarray, near: _Between, value: local.Value, chosen: np.ndarray
) -> _Test:
    """Standardise the values of the areas that have one, and add the map up."""
    from zoo_geo.kernels.global_permutation import pair_sums

    status = _status(values, statuses, near)
    if status != OK:
        return _Test(status, chosen)
    n, total, values = near.n, near.total, np.ascontiguousarray(values)
    z = values - values.mean()
    deviation = np.sqrt((z**2).mean())
    z = (z - z.mean()) / deviation
    level = float(values.mean() / deviation)
    pairs = n * ((n - 1) * level**2 - 1.0)  # sum of x_i x_j over all pairs of areas
    undefined = ""
    if value != "rate" or values.min() < 0:
        undefined, level, pairs = "negative", 0.0, 1.0
    elif pairs < 1e-9 * n:
        undefined, pairs = STATUSES[TOO_FEW], 1.0
    as_it_is = np.arange(n, dtype=np.int32)[:, None]
    sums = pair_sums(z[None, :], as_it_is, *near.pairs, near.reach)
    forms = _forms(level)
    parts = [arrangements.value_patterns(z, forms[k]) for k in chosen]
    null = tuple(arrangements.moments(near.patterns, part, n) for part in parts)
    test = _Test(
        status,
        chosen,
        z,
        level,
        undefined,
        mean=total / (n - 1.0) * np.array([-1.0, 2.0 * n, -1.0])[chosen],
        null=null,
        fits=np.array(
            [
                max(near.share, part.share, _largest_share(z)) <= _SHARE and abs(each.skewness) <= _SKEWNESS
                for part, each in zip(parts, null, strict=True)
            ]
        ),
        scale=np.array([1.0 / total, (n - 1.0) / (2.0 * n * total), 1.0 / pairs])[chosen],
        offset=level**2 * total / pairs,
    )
    test.seen = test.measured(sums[0])[:, 0]
    return test


def _status(values: np.ndarray, statuses: np.ndarray, near: _Between) -> int:
    """Say why a column has no figure: no values, all alike, hardly any, or none beside another."""
    for reason in (CONSTANT, TOO_FEW):
        if (statuses == reason).any():
            return reason
    if not values.size:
        return MISSING
    if values.max() - values.min() <= 1e-12 * np.abs(values).max():
        return CONSTANT
    if values.size < panels.FEWEST_AREAS:
        return TOO_FEW
    return OK if near.total > 0 else ISOLATED


def _forms(level: float) -> tuple[np.ndarray, ...]:
    """What each measure adds up over pairs of areas, as coefficients of z_i^s z_j^t."""
    moran = np.array([[0.0, 0.0], [0.0, 1.0]])
    geary = np.array([[0.0, 0.0, 1.0], [0.0, -2.0, 0.0], [1.0, 0.0, 0.0]])
    getis_ord = np.array([[0.0, level], [level, 1.0]])  # (z_i + level)(z_j + level), constant left out
    return moran, geary, getis_ord


def _permute(tests: list[_Test], near: _Between, permutations: int, seed: int, n_jobs: int) -> None:
    """Count the arrangements on either side of the map; one arrangement serves all columns."""
    from zoo_geo.kernels.global_permutation import arrangements as arranged
    from zoo_geo.kernels.global_permutation import pair_sums

    if not tests:
        return
    columns = np.stack([test.z for test in tests])
    step = min(max(_MOST_VALUES // near.n, 8), 64)

    def count(first: int) -> list[tuple[np.ndarray, np.ndarray]]:
        orders = arranged(near.n, seed, first, min(step, permutations - first))
        sums = pair_sums(columns, orders, *near.pairs, near.reach)
        return [test.sides(test.measured(each)) for each, test in zip(sums, tests, strict=True)]

    for found in spread_out(count, range(0, permutations, step), n_jobs):
        for test, (above, below) in zip(tests, found, strict=True):
            test.above += above
            test.below += below


def _rows(
    test: _Test, near: _Between, inference: Inference, alternative: Alternative, permutations: int
) -> Iterator[_Row]:
    """One row a measure."""
    counted: _Row = {"n_areas": near.n, "n_isolates": near.isolates}
    if test.status != OK:
        silent = {"status": STATUSES[test.status], **counted}
        yield from ({"measure": MEASURES[k], **silent} for k in test.chosen)
        return
    deviation, z, drawn = test.deviation, test.z_scores, test.permuted(inference)
    skewness = np.array([0.0 if inference == "normal" else null.skewness for null in test.null])
    p = np.where(
        drawn,
        permutation_p(test.above, test.below, permutations, alternative),
        pearson_p(z, skewness, alternative, cautious=False),  # permutation has the maps that no curve fits
    )
    for k, measure in enumerate(MEASURES[place] for place in test.chosen):
        if measure == "getis_ord" and test.undefined:
            yield {"measure": measure, "status": test.undefined, **counted}
            continue
        offset = test.offset if measure == "getis_ord" else 0.0
        yield {
            "measure": measure,
            "statistic": test.scale[k] * test.seen[k] + offset,
            "expected": test.scale[k] * test.mean[k] + offset,
            "variance": (test.scale[k] * deviation[k]) ** 2,
            "z": z[k],
            "p_value": p[k] if deviation[k] > 0 else 1.0,  # nothing is left to chance
            "inference": "permutation" if drawn[k] else inference,
            "permutations": permutations if drawn[k] else 0,
            "status": STATUSES[OK],
            **counted,
        }
