"""Areas whose combination of a theme's figures is odd although no single figure is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

import numpy as np
from scipy import special

from zoo_geo import combinations as co
from zoo_geo.detectors import registry, themes
from zoo_geo.detectors.base import Detection, Detector, Scores, assemble, check_seed, options
from zoo_geo.detectors.inputs import FEWEST_AREAS, NOT_TESTED, OK, TOO_FEW, Inputs
from zoo_geo.errors import InputError
from zoo_geo.panel import Indicator

Method = Literal["mahalanobis", "isolation_forest"]
_CLASSES = ("as_expected", "combination")
_CARRIED = 0.8
"""Parts are listed until they make this share of the distance; two at least."""
_DRAWS = 100_000
"""Null draws that the forest's scores are ranked among: the smallest p is 1 / 100,001."""


@dataclass(frozen=True)
class UnusualMix(Detector):
    """Odd combinations of a theme's figures: each within its limits, not together.

    The scores z of `Deviation` are taken together in one distance for each area and period, with a
    robust correlation that depends on size: in small areas chance hides what rates have in common. An area
    with a figure that is odd by itself is ``not_tested`` here, since that figure has a flag of its own; what
    remains has a p that is never too small for it (Royen 2014: leaving such areas out shortens the
    distances of the others). Areas that lack figures are scored on those they have, two at least.
    The direction is that of the figure that carries most.

    Parameters
    ----------
    theme
        Theme of the panel's indicators, and name of the rows.
    indicators
        Ids, where the theme is not to say which.
    reference
        What `Deviation` compares each figure with.
    method
        ``mahalanobis``, or ``isolation_forest``: how soon random cuts set an area apart, its p by rank
        among draws without anything odd.
    alone
        Two-sided p up to which a figure is odd by itself: about what a flag of its own takes among
        thousands of areas.

    References
    ----------
    Garthwaite and Koch (2016), Evaluating the contributions of individual variables to a quadratic form;
    Royen (2014), A simple proof of the Gaussian correlation conjecture; Liu, Ting and Zhou (2008),
    doi:10.1109/ICDM.2008.17.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.UnusualMix(theme="parks").reference
    'neighbours'
    """

    name: ClassVar[str] = "unusual_mix"
    evidence: ClassVar[str] = themes.COMBINATION
    counts: ClassVar[bool] = False
    own: ClassVar[tuple[str, ...]] = ("n_indicators", "parts", "odd_alone")

    theme: str = ""
    indicators: tuple[str, ...] = ()
    reference: str = "neighbours"
    method: Method = "mahalanobis"
    alone: float = 1e-4

    def __post_init__(self) -> None:
        named = (self.indicators,) if isinstance(self.indicators, str) else tuple(self.indicators)
        object.__setattr__(self, "indicators", named)
        options(method=(self.method, get_args(Method)))
        themes.check_choice(self.theme, named)
        if not 0 < self.alone < 1:
            raise InputError(f"alone needs to be between 0 and 1; got {self.alone!r}.")
        registry()["deviation"](reference=self.reference)  # type: ignore[call-arg]  # checks the reference

    def of(self, found: Detection, seed: int = 0) -> Detection:
        """Take the scores of a `Deviation` that was made already.

        Parameters
        ----------
        found
            A detection with expected counts and spreads, its reference instead of this one's.
        seed
            Of the forest.

        Raises
        ------
        InputError
            The detection is another one, or lacks the indicators.
        """
        check_seed(seed)
        if found.detector != "deviation":
            raise InputError(f"found needs to be a Deviation; got {found.name}.")
        cube = themes.cube(found, self.theme, self.indicators, (*_NEEDED, "status"))
        a = cube.arrays
        share = np.stack(
            [_share(each, *(a[n][:, k] for n in _NEEDED[1:])) for k, each in enumerate(cube.indicators)], 1
        )
        scores = self._judged(a["z"], share, a["status"], cube.indicators, seed)
        own = replace(self, reference=found.reference)
        return assemble(own, cube.inputs, replace(scores, reference=found.reference), seed, 1)

    def _rows(self, inputs: Inputs) -> Inputs:
        return themes.theme_rows(inputs, themes.as_indicator(self.theme, self.indicators))

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        places = themes.chosen(inputs.indicators, self.theme, self.indicators)
        indicators = tuple(inputs.indicators[place] for place in places)
        columns = [c for each in indicators for c, (other, _) in enumerate(inputs.columns) if other == each]
        part = replace(
            inputs, columns=tuple(inputs.columns[c] for c in columns), observed=inputs.observed[:, columns],
            exposure=inputs.exposure[:, columns], status=inputs.status[:, columns],
            events=None if inputs.events is None else inputs.events[:, columns], kept={},
        )  # fmt: skip
        found = registry()["deviation"](reference=self.reference)._score(part, seed, n_jobs)  # type: ignore[call-arg]
        shape = (inputs.codes.size, len(indicators), -1)
        arrays = {
            name: np.asarray(found.arrays[name]).reshape(shape) for name in _NEEDED if name != "exposure"
        }
        exposure = part.exposure.reshape(shape)
        share = np.stack(
            [
                _share(each, exposure[:, k], arrays["expected"][:, k], arrays["spread"][:, k])
                for k, each in enumerate(indicators)
            ],
            1,
        )
        scores = self._judged(arrays["z"], share, found.status.reshape(shape), indicators, seed)
        return replace(scores, reference=found.reference, notices=[*found.notices, *scores.notices])

    def _judged(
        self,
        z: np.ndarray,
        share: np.ndarray,
        status: np.ndarray,
        indicators: tuple[Indicator, ...],
        seed: int,
    ) -> Scores:
        """Judge each period by itself; arrays of shape (n_areas, n_indicators, n_periods)."""
        names = themes.titles(indicators)
        z = np.where(status == OK, z, np.nan)
        judged = [
            self._period(z[:, :, t], share[:, :, t], status[:, :, t], names, seed) for t in range(z.shape[2])
        ]
        columns = {name: np.stack([each[name] for each in judged], 1) for name in judged[0]}
        found, side = columns.pop("status"), columns.pop("side")
        with np.errstate(invalid="ignore"):
            label = (columns["p_value"] <= 0.05).astype(int)
        blank = dict.fromkeys(("expected", "ratio", "ratio_low", "ratio_high"))
        return Scores(self.reference, found, blank | columns, _CLASSES, label, side)

    def _period(
        self, z: np.ndarray, share: np.ndarray, status: np.ndarray, names: np.ndarray, seed: int
    ) -> dict[str, np.ndarray]:
        """Judge the areas in one period."""
        known = np.isfinite(z)
        found = themes.statuses(status)
        z = np.where((found == OK)[:, None], z, np.nan)
        n_known = np.isfinite(z).sum(axis=1)
        areas = int((found == OK).sum())
        found[(found == OK) & (areas < FEWEST_AREAS + n_known)] = TOO_FEW
        apart = co.distances(z, share, co.dependence(z, share))
        p = co.distance_p(apart.distance, n_known, areas)
        statistic = apart.distance
        if self.method == "isolation_forest":
            statistic, p = forest(apart.whitened, seed)
        odd = known & (np.abs(np.nan_to_num(z)) >= -special.ndtri(self.alone / 2.0))
        carries = np.argmax(np.abs(np.nan_to_num(apart.whitened)), axis=1)
        side = np.sign(np.take_along_axis(np.nan_to_num(z), carries[:, None], 1)[:, 0])
        parts = _parts(z, apart, names, found == OK)
        found[(found == OK) & odd.any(axis=1)] = NOT_TESTED
        words = [themes.told_names(names[row]) for row in odd]
        return {
            "status": found, "side": side, "statistic": statistic, "p_value": p,
            "z": -side * special.ndtri_exp(np.log(p) - np.log(2.0)),
            "n_indicators": known.sum(axis=1).astype(float), "parts": parts,
            "odd_alone": np.array(words, object),
        }  # fmt: skip


_NEEDED = ("z", "exposure", "expected", "spread")


def _share(
    indicator: Indicator, exposure: np.ndarray, expected: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    """Part of the variance that true rates make; see `combinations.rate_share`."""
    return co.rate_share(indicator.family, expected, exposure, spread)


def _parts(z: np.ndarray, apart: co.Distances, names: np.ndarray, ok: np.ndarray) -> np.ndarray:
    """Indicators that carry each area's distance, the largest part first."""
    shares = np.nan_to_num(apart.whitened) ** 2
    order = np.argsort(-shares, axis=1, kind="stable")
    ranked = np.take_along_axis(shares, order, 1)
    before = np.cumsum(ranked, axis=1) - ranked
    kept = (before < _CARRIED * ranked.sum(axis=1, keepdims=True)) | (np.arange(names.size) < themes.FEWEST)
    parts = np.full(len(z), "", object)
    for row in np.flatnonzero(ok):
        those = order[row, kept[row]]
        parts[row] = themes.told(list(names[those]), z[row, those], apart.others[row, those])
    return parts


def forest(whitened: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Isolation score of each area, and its p by rank among null draws.

    Whitened scores of an ordinary area are independent and standard normal whatever its correlation, so one
    pool of draws serves all; figures that are missing stand at their centre, in the draws too.

    Parameters
    ----------
    whitened
        Shape (n_areas, n_indicators); NaN where a figure is missing, all NaN for areas without a score.
    seed
        Of forest and draws.
    """
    from sklearn.ensemble import IsolationForest

    known = np.isfinite(whitened)
    some = known.any(axis=1)
    score, p = np.full(len(whitened), np.nan), np.full(len(whitened), np.nan)
    if not some.any():
        return score, p
    filled = np.where(known, whitened, 0.0)
    trees = IsolationForest(n_estimators=200, random_state=seed % 2**32).fit(filled[some])
    draws = np.random.Generator(np.random.Philox(seed)).standard_normal((_DRAWS, whitened.shape[1]))
    score[some] = -trees.score_samples(filled[some])
    for pattern in np.unique(known[some], axis=0):
        rows = np.flatnonzero((known == pattern).all(axis=1))
        null = np.sort(-trees.score_samples(draws * pattern))
        above = null.size - np.searchsorted(null, score[rows], side="left")
        p[rows] = (above + 1.0) / (null.size + 1.0)
    return score, p
