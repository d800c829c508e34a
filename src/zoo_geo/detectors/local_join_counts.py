"""Local join counts: areas that have something, among neighbours that have it too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy import sparse

from zoo_geo.detectors import local
from zoo_geo.detectors.base import Detector, Scores, options
from zoo_geo.detectors.draws import Inferred, Plan, infer
from zoo_geo.detectors.inputs import CONSTANT, NOT_TESTED, OK, Inputs, column_status, matrix, values
from zoo_geo.detectors.nulls import Inference
from zoo_geo.errors import InputError, examples
from zoo_geo.notices import Notice


@dataclass(frozen=True)
class LocalJoinCounts(Detector):
    """Local join counts: do areas that have something lie among more neighbours that have it than by chance?

    For yes-or-no figures: values of 0 and 1 (a count out of an exposure of 1, or a value), or any figure
    cut at ``above``. The statistic is the number of neighbours with a 1, for areas with a 1 themselves; every
    neighbour counts once, whatever its weight. Areas with a 0 have no joins to test: ``not_tested``. Only
    many joins mean something, so p is one-sided.

    Given the area's own 1, the number of ones among its neighbours is hypergeometric when ones and zeros
    are dealt out anew over all other areas: ``inference="exact"`` needs no draws.

    Parameters
    ----------
    above
        Areas with a value (column ``value``) above this count as 1, all others as 0: one level for all
        indicators, or one by indicator. Indicators without a level need values of 0 and 1; others are
        ``not_tested``.
    inference
        ``exact``, or ``permutation``.
    permutations
        Draws of the null, for ``permutation``.
    stop_above
        A p that no longer matters, as of the other local statistics.

    References
    ----------
    Anselin and Li (2019), doi:10.1007/s10109-019-00299-x.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.LocalJoinCounts(above=12.5).inference
    'exact'
    """

    name: ClassVar[str] = "local_join_counts"
    evidence: ClassVar[str] = "group of neighbours"
    groups: ClassVar[tuple[str, ...]] = ("joined",)
    counts: ClassVar[bool] = False
    own: ClassVar[tuple[str, ...]] = ("permutations", "joins", "joins_expected")

    above: float | dict[str, float] | None = None
    inference: Literal["exact", "permutation"] = "exact"
    permutations: int = 99_999
    stop_above: float | None = None

    def __post_init__(self) -> None:
        options(inference=(self.inference, ("exact", "permutation")))
        local.check_draws(self.permutations, self.stop_above)
        levels = self.above.values() if isinstance(self.above, dict) else [self.above]
        wrong = [each for each in levels if each is not None and not _is_number(each)]
        if wrong:
            raise InputError(f"above needs to be a number, or one for each indicator; got {wrong[0]!r}.")

    @property
    def reference(self) -> str:
        """What the area is compared with."""
        return "all areas"

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        status = column_status(inputs)
        ones, skipped = self._ones(inputs, status)
        alike = np.isfinite(ones).any(axis=0) & ~((ones == 0).any(axis=0) & (ones == 1).any(axis=0))
        status[(status == OK) & alike] = CONSTANT
        status[:, skipped] = np.where(status[:, skipped] == OK, NOT_TESTED, status[:, skipped])
        given = matrix(inputs)
        weights = sparse.csr_array((np.ones_like(given.data), given.indices, given.indptr), given.shape)
        inference: Inference = "permutation" if self.inference == "permutation" else "normal"
        plan = Plan(self.permutations, inference, self.stop_above, "greater", seed, n_jobs)
        found = infer(ones, weights, "conditional", plan)
        fields = local.Fields(ones, status)
        columns = local.each_column(lambda c: self._column(found, ones[:, c], c), ones.shape, n_jobs)
        label, side = columns.pop("label"), columns.pop("side")
        joins = {"joins": columns["statistic"], "joins_expected": _expected(found, ones)}
        arrays = local.shown(fields, found) | columns | joins
        status = local.statuses(inputs, fields, found)
        status[(status == OK) & (ones == 0)] = NOT_TESTED
        notices = [
            Notice(
                f"{name}: values other than 0 and 1 have no joins to count. Say above= which value counts "
                "as 1.",
                f"{name}: andere waarden dan 0 en 1 zijn niet te tellen. Zeg met above= vanaf welke waarde "
                "het "
                "een 1 is.",
            )
            for name in dict.fromkeys(inputs.columns[c][0].id for c in skipped)
        ]
        return Scores(self.reference, status, arrays, ("none", "joined"), label, side, notices)

    def _ones(self, inputs: Inputs, status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values as 0 and 1, NaN where there is none, shape (n, n_columns); and columns that have others."""
        known_ids = {indicator.id for indicator, _ in inputs.columns}
        unknown = set(self.above) - known_ids if isinstance(self.above, dict) else set()
        if unknown:
            raise InputError(
                f"above needs to name indicators of the panel ({', '.join(sorted(known_ids))}); "
                f"got {', '.join(sorted(unknown))}."
            )
        seen = np.where(status == OK, values(inputs), np.nan)
        per = np.where(inputs.is_value(), 1.0, inputs.per())
        ones, skipped = seen / per, []
        for c, (indicator, _) in enumerate(inputs.columns):
            level = self.above.get(indicator.id) if isinstance(self.above, dict) else self.above
            known = np.isfinite(seen[:, c])
            if level is not None:
                ones[:, c] = np.where(known, seen[:, c] > level, np.nan)
            elif not np.isin(ones[known, c], (0.0, 1.0)).all():
                ones[:, c] = np.nan
                skipped.append(c)
        if skipped and len(skipped) == len(inputs.columns):
            raise InputError(
                "values need to be 0 and 1 for an indicator at least; got others in all "
                f"({examples(list(dict.fromkeys(i.id for i, _ in inputs.columns)))}). "
                "Say above= which value an area counts as 1."
            )
        return ones, np.array(skipped, np.intp)

    def _column(self, found: Inferred, ones: np.ndarray, c: int) -> local.Column:
        from scipy.stats import hypergeom

        standing, degree = found.column(c), found.nulls[c].rows.degree
        has, count = ones == 1, int(np.isfinite(ones).sum())
        joins = np.round(found.nulls[c].lag(np.nan_to_num(ones)))
        if self.inference == "exact":
            pairs, row = np.unique(np.stack([joins, degree]), axis=1, return_inverse=True)
            p = hypergeom.sf(pairs[0] - 1, max(count - 1, 0), max(int(has.sum()) - 1, 0), pairs[1])[
                row.ravel()
            ]
        else:
            p = found.p(standing)
        statistic = np.where(np.isfinite(ones), np.where(has, joins, 0.0), np.nan)
        joined = has & (standing.z() > 0)
        return local.Column(statistic, standing.z(), np.maximum(p, 1e-300), joined, has)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, (int, float, np.number))
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )


def _expected(found: Inferred, ones: np.ndarray) -> np.ndarray:
    """Number of neighbours with a 1 that chance leads to expect."""
    known = np.isfinite(ones)
    others = (ones == 1).sum(0) - (ones == 1)
    return np.where(known, found.degree() * others / np.maximum(known.sum(0) - 1, 1), np.nan)
