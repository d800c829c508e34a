"""What every detector is given, and what it gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from os import cpu_count
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np
import pandas as pd

from zoo_geo.checks import meant
from zoo_geo.detectors.inputs import OK, Inputs, prepare, values
from zoo_geo.errors import InputError
from zoo_geo.notices import Notice
from zoo_geo.panel import Indicator
from zoo_geo.schema import DETECTION_COLUMNS, STATUSES

if TYPE_CHECKING:
    from libpysal.graph import Graph

    from zoo_geo.areas import Areas
    from zoo_geo.panel import Panel
    from zoo_geo.peers import Peers

Alternative = Literal["two-sided", "greater", "less"]
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Detection:
    """What one detector found.

    Parameters
    ----------
    frame
        One row per area, indicator and period, in the panel's order of areas; columns
        `schema.DETECTION_COLUMNS` and the detector's own.
    detector, reference
        Name of the detector, and what it compares with.
    indicators
        Family and scale of each indicator.
    evidence
        Kind of evidence: two detections of one kind and reference never count twice.
    groups
        Classes that may support a flag; None for all.
    counts
        Whether a flag's minimum count means something: not for yes-or-no figures.
    effect
        Column that a flag's minimum effect is held against.
    clusters
        One row per cluster, for detectors that find groups.
    controls
        What p is corrected for: ``cell`` (nothing but itself) or ``family`` (every place where the detector
        looked, so that nothing is corrected again).
    parameters
        Options, seed and library version.
    notices
        What the reader has to know, one sentence each.
    """

    frame: pd.DataFrame
    detector: str
    reference: str
    indicators: tuple[Indicator, ...] = ()
    evidence: str = "own figure"
    effect: str = "ratio"
    groups: tuple[str, ...] | None = None
    counts: bool = True
    clusters: pd.DataFrame | None = None
    controls: Literal["cell", "family"] = "cell"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()

    @property
    def name(self) -> str:
        """Detector and reference, as in ``deviation:neighbours``."""
        return f"{self.detector}:{self.reference}"

    def __repr__(self) -> str:
        periods = self.frame["period"].nunique()
        small = int((self.frame["p_value"] <= 0.05).sum())
        told = "" if self.clusters is None else f", {len(self.clusters):,} clusters"
        return (
            f"<Detection {self.name}: {len(self.frame):,} cells of {len(self.indicators):,} indicators x "
            f"{periods:,} periods, {small:,} with p <= 0.05{told}>"
        )


@dataclass(eq=False)
class Scores:
    """What a detector computes: arrays of shape (n, n_columns) by column name, in code order.

    None stands for NaN throughout. ``label`` numbers the detector's ``classes``; ``side`` is positive
    where the area is high, negative where it is low.
    """

    reference: str
    status: np.ndarray
    arrays: Mapping[str, np.ndarray | None]
    classes: tuple[str, ...]
    label: np.ndarray
    side: np.ndarray
    notices: list[Notice] = field(default_factory=list)
    cluster: np.ndarray | None = None
    """Number of each cell's cluster, 0 for none."""
    clusters: pd.DataFrame | None = None
    fresh: frozenset[str] = frozenset()
    """Arrays of `blank` that nobody else holds, NaN where nothing was found: the frame need not copy them."""


class Detector(ABC):
    """A frozen dataclass of options with a `detect` method.

    Subclasses set `name`, `own` (columns of their own) and `effect` (the ratio that a flag's minimum
    effect is held against), and implement `_score`.
    """

    name: ClassVar[str]
    own: ClassVar[tuple[str, ...]] = ()
    effect: ClassVar[str] = "ratio"
    evidence: ClassVar[str]
    """Kind of evidence: detectors of one kind never count twice."""
    groups: ClassVar[tuple[str, ...] | None] = None
    """Classes that may support a flag; None for all."""
    counts: ClassVar[bool] = True
    """Whether a flag's minimum count means something."""
    controls: ClassVar[Literal["cell", "family"]] = "cell"
    """What p is corrected for, see `Detection`."""
    kinds: ClassVar[list[type[Detector]]] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init_subclass__(**kwargs)
        if "name" in vars(cls):
            Detector.kinds.append(cls)

    @property
    def called(self) -> str:
        """Name in results: that of the detector, unless options make it another question."""
        return self.name

    def detect(
        self,
        panel: Panel,
        neighbors: Graph | Peers | None = None,
        *,
        areas: Areas | None = None,
        features: pd.DataFrame | None = None,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> Detection:
        """Score every area, indicator and period of a panel.

        Parameters
        ----------
        panel
            Observed figures and exposures.
        neighbors
            Weights on the areas' codes, or `Peers`; areas of the graph that the panel lacks are ``missing``.
        areas
            Hierarchy, for parent references and for shrinking to the parent.
        features
            Numbers and classes by area code, one column a feature: for strata, covariates and adjusting.
        seed
            Of the permutations; the same seed gives the same result on any machine.
        n_jobs
            Threads; None for all cores.

        Returns
        -------
        Detection

        Raises
        ------
        InputError
            Areas of the panel are not in the graph, or an option does not fit.
        """
        inputs, jobs = self._prepared(panel, neighbors, areas, features, seed, n_jobs)
        return self._found(inputs, seed, jobs)

    def unfit(self, periods: Sequence[str]) -> list[str]:
        """Say which options do not fit the periods of a panel."""
        return []

    def _prepared(
        self,
        panel: Panel,
        neighbors: Graph | Peers | None,
        areas: Areas | None,
        features: pd.DataFrame | None,
        seed: int,
        n_jobs: int | None,
    ) -> tuple[Inputs, int]:
        """Check what is given, and bring it together; returns the number of threads too."""
        check_seed(seed)
        inputs, jobs = prepare(panel, neighbors, areas, features), threads(n_jobs)
        if wrong := self.unfit(panel.periods):
            raise InputError(wrong)
        return inputs, jobs

    def _found(self, inputs: Inputs, seed: int, n_jobs: int) -> Detection:
        """Score, and make the detection of it."""
        return assemble(self, self._rows(inputs), self._score(inputs, seed, n_jobs), seed, n_jobs)

    def _rows(self, inputs: Inputs) -> Inputs:
        """Return what the rows of the frame are of: every indicator, or a whole theme."""
        return inputs

    @abstractmethod
    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        """Compute what the frame is made of."""


def check_seed(seed: object) -> None:
    """Check that a seed fits the streams of draws."""
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise InputError(f"seed needs to be a whole number from 0 to 2**63 - 1; got {seed!r}.")


def threads(n_jobs: int | None) -> int:
    """Return how many threads to use."""
    if n_jobs is not None and n_jobs < 1:
        raise InputError(f"n_jobs needs to be at least 1, or None for all cores; got {n_jobs}.")
    return n_jobs or cpu_count() or 1


def spread_out(work: Callable[[Any], T], items: Iterable[Any], n_jobs: int) -> list[T]:
    """Map over threads; kernels let go of the interpreter, so this uses all cores."""
    listed = list(items)
    if n_jobs == 1 or len(listed) < 2:
        return [work(item) for item in listed]
    with ThreadPoolExecutor(n_jobs) as pool:
        return list(pool.map(work, listed))


def assemble(detector: Detector, inputs: Inputs, scores: Scores, seed: int, n_jobs: int) -> Detection:
    """Make the tidy frame of a detection."""
    from zoo_geo._version import __version__

    names = DETECTION_COLUMNS + detector.own
    columns = spread_out(lambda name: _column(name, detector, inputs, scores), names, n_jobs)
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)), copy=False)
    parameters = asdict(detector) | {"seed": seed, "version": __version__}  # type: ignore[call-overload]
    return Detection(
        frame, detector.called, scores.reference, inputs.indicators, detector.evidence, detector.effect,
        detector.groups, detector.counts, scores.clusters, detector.controls, parameters,
        tuple(scores.notices),
    )  # fmt: skip


def _column(name: str, detector: Detector, inputs: Inputs, scores: Scores) -> Any:  # noqa: ANN401
    """One column of the tidy frame."""
    n, c = inputs.observed.shape
    keys = {
        "area": lambda: _areas(inputs, c),
        "indicator": lambda: _repeat([i.id for i, _ in inputs.columns], 1, n),
        "period": lambda: _repeat([p for _, p in inputs.columns], 1, n),
        "detector": lambda: _repeat([detector.called], n * c, 1),
        "reference": lambda: _repeat([scores.reference], n * c, 1),
        "status": lambda: _words(STATUSES, scores.status, inputs),
        "direction": lambda: _words(("none", "high", "low"), _direction(scores), inputs),
        "label": lambda: _words(*_labels(scores), inputs),
        "observed": lambda: _flat(inputs.observed, inputs),
        "exposure": lambda: _flat(inputs.exposure, inputs),
        "value": lambda: _flat(values(inputs), inputs),
        "cluster": lambda: _cluster(scores.cluster, inputs),
    }
    if name in keys:
        return keys[name]()
    array = scores.arrays[name]
    if name in scores.fresh and inputs.in_order():
        return scores.arrays[name].reshape(-1)  # type: ignore[union-attr]
    if array is not None and name in ("z", "p_value", "statistic"):
        if array is scores.arrays.get("z") and "z" in scores.fresh and inputs.in_order():
            return array.reshape(-1).copy()
        array = np.where(scores.status == OK, array, np.nan)
    return _flat(array, inputs)


def _cluster(number: np.ndarray | None, inputs: Inputs) -> pd.arrays.IntegerArray:
    flat = _flat(np.zeros(inputs.observed.shape, np.int32) if number is None else number, inputs)
    return pd.arrays.IntegerArray(flat, flat == 0)


def _direction(scores: Scores) -> np.ndarray:
    side = scores.side
    return np.where(scores.status == OK, (side > 0) + 2 * (side < 0).view(np.int8), 0)


def _labels(scores: Scores) -> tuple[tuple[str, ...], np.ndarray]:
    silent = STATUSES[1:]
    codes = np.where(scores.status == OK, scores.label + len(silent), scores.status - 1)
    return silent + scores.classes, codes.astype(np.int8)


def _areas(inputs: Inputs, each: int) -> pd.Categorical[Any]:
    positions = np.arange(inputs.codes.size, dtype=np.min_scalar_type(-max(inputs.codes.size, 1)))
    return pd.Categorical.from_codes(np.repeat(positions, each), dtype=inputs.listed(), validate=False)


def _repeat(words: Any, each: int, times: int) -> Any:  # noqa: ANN401
    """Categories in order of first use, equal words (periods of several indicators) as one."""
    positions, unique = pd.factorize(np.asarray(words, dtype=object))
    positions = positions.astype(np.min_scalar_type(-max(len(unique), 1)))
    codes = np.tile(np.repeat(positions, each), times)
    return pd.Categorical.from_codes(codes, categories=pd.Index(unique), validate=False)


def _words(words: Iterable[str], codes: np.ndarray, inputs: Inputs) -> pd.Categorical[Any]:
    return pd.Categorical.from_codes(_flat(codes, inputs), pd.Index(list(words)), validate=False)


def blank(shape: tuple[int, ...], columns: np.ndarray) -> np.ndarray:
    """Return a table to be filled area by area, shape (n, n_columns), NaN in some columns."""
    table = np.empty(shape)
    table[:, columns] = np.nan
    return table


def _flat(array: np.ndarray | None, inputs: Inputs) -> np.ndarray:
    """Lay columns out area by area, in the order of the output; None is NaN throughout."""
    if array is None:
        return np.full(inputs.observed.size, np.nan)
    if array.flags.f_contiguous and not array.flags.c_contiguous and array.dtype in (np.float64, np.int8):
        from zoo_geo.kernels.layout import by_area

        return by_area(array.T, inputs.places)
    return array[inputs.places].reshape(-1)


def options(**given: tuple[object, tuple[object, ...]]) -> None:
    """Check that each option is one of its choices.

    Raises
    ------
    InputError
        Lists every option that is not, with its choices.
    """
    wrong = [
        f"{name} needs to be one of {', '.join(map(repr, choices))}; got {value!r}.{_hint(value, choices)}"
        for name, (value, choices) in given.items()
        if value not in choices
    ]
    if wrong:
        raise InputError(wrong)


def _hint(value: object, choices: tuple[object, ...]) -> str:
    word = meant(value, choices)
    return f" Did you mean {word!r}?" if word else ""
