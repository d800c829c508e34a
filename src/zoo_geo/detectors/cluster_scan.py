"""What scans for clusters share: options, the expectation they take, and how clusters become a detection."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from zoo_geo.areas import Areas
from zoo_geo.detectors import clusters, stacks
from zoo_geo.detectors.base import Detection, Detector, Scores, options
from zoo_geo.detectors.inputs import Inputs
from zoo_geo.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from libpysal.graph import Graph

    from zoo_geo.panel import Panel
    from zoo_geo.peers import Peers

Search = Callable[[clusters.Stack, int, int], clusters.Found]
"""Looks through one stack with a seed and a number of threads."""


@dataclass(frozen=True)
class ClusterScan(Detector):
    """A search for clusters anywhere on a map; subclasses say which groups of areas are looked at.

    Parameters
    ----------
    max_population_share, direction, replicates, min_cases, top, time, dispersion, expected
        See `Scan`.
    """

    evidence: ClassVar[str] = "cluster"
    effect: ClassVar[str] = "relative_risk"
    controls: ClassVar[Literal["cell", "family"]] = "family"
    own: ClassVar[tuple[str, ...]] = clusters.OWN
    more: ClassVar[tuple[str, ...]] = ()
    """Columns that the table of clusters has beside those of every scan."""
    times: ClassVar[tuple[str, ...]] = ("each", "pooled")
    whole: ClassVar[tuple[str, ...]] = ("replicates", "min_cases", "top")
    """Options that are whole numbers from 1."""

    max_population_share: float = 0.5
    direction: Literal["high", "low", "both"] = "high"
    replicates: int = 999
    min_cases: int = 2
    top: int = 10
    time: stacks.Time = "each"
    dispersion: stacks.Dispersion = "auto"
    expected: str | None = None

    def __post_init__(self) -> None:
        options(
            direction=(self.direction, ("high", "low", "both")),
            time=(self.time, self.times),
            dispersion=(self.dispersion, ("auto", "estimate", "none")),
        )
        wrong = self._wrong()
        if not 0 < self.max_population_share <= 0.5:
            wrong.append(
                f"max_population_share needs to be above 0 and at most 0.5; got {self.max_population_share}."
            )
        for option in self.whole:
            value = getattr(self, option)
            if value is not None and not (1 <= value < np.inf and value == int(value)):
                wrong.append(f"{option} needs to be a whole number of at least 1; got {value}.")
        if wrong:
            raise InputError(wrong)

    @property
    def called(self) -> str:
        """Name of the detector, with direction and time where these are not ``high`` and ``each``."""
        unusual = [each for each in (self.direction, self.time) if each not in ("high", "each")]
        return "_".join([self.name, *unusual])

    @property
    def reference(self) -> str:
        """What a study compares with: the reference of the detection that ``expected`` names."""
        return self.expected.partition(":")[2] if self.expected else "national"

    def detect(
        self,
        panel: Panel,
        neighbors: Graph | Peers | Areas | None = None,
        *,
        areas: Areas | None = None,
        features: pd.DataFrame | None = None,
        expected: Detection | None = None,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> Detection:
        """Look for clusters in every indicator and period of a panel.

        Parameters
        ----------
        panel
            Counts and exposures; values (gaussian) are ``not_tested``.
        neighbors
            `Scan`: the map (points will do); a graph is taken too, for its list of areas only. `GraphScan`:
            which areas touch, see `build_weights`. Two areas are linked when either is the other's
            neighbour; weights do not matter, but 0 is no link.
        areas
            The map, where ``neighbors`` is not. `GraphScan` needs it for the middle and the reach of
            clusters only.
        features
            Not used.
        expected
            A `Detection` of `Deviation` on the same panel; areas without an expectation are in no cluster.
        seed
            Of the replicates; the same seed gives the same result on any machine.
        n_jobs
            Threads; None for all cores.

        Returns
        -------
        Detection
            With `Detection.clusters`. Cells outside every cluster have p = 1; of a cluster of several periods
            those of the last one carry its p, and those before are ``not_tested``.

        Raises
        ------
        InputError
            Areas of the panel are not on the map or in the graph, or ``expected`` does not fit.
        """
        if isinstance(neighbors, Areas):
            neighbors, areas = None, neighbors
        self._check_place(neighbors)
        if neighbors is None:
            neighbors = _listed(areas)
        inputs, jobs = self._prepared(panel, neighbors, areas, features, seed, n_jobs)
        return self._found(replace(inputs, expectation=self._checked(expected)), seed, jobs)

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        given = stacks.intake(
            inputs, self.called, self.time, self.dispersion, by_period=getattr(self, "adjust_time", False)
        )
        search, nothing = self._search(given), clusters.Found((), np.zeros(1))
        found = [
            search(stack, seed, n_jobs) if stack.rows.size > 1 and stack.counts.total > 0 else nothing
            for stack in given.stacks
        ]
        untold = clusters.untold(inputs, given.stacks, found, self.called, self.top)
        found = [replace(each, clusters=each.clusters[: self.top]) for each in found]
        scores = clusters.scores(inputs, given.status, given.stacks, found, self.more)
        scores.reference = given.reference
        doubts = stacks.doubts(given, found, self.called, self.time, self.dispersion)
        scores.notices += [*given.notices, *doubts, *untold]
        return scores

    @abstractmethod
    def _search(self, given: stacks.Intake) -> Search:
        """Return what looks through one stack, for one cluster more than are told."""

    def _check_place(self, neighbors: Graph | Peers | None) -> None:
        """Raise where there is not what groups of areas are made of."""

    def _wrong(self) -> list[str]:
        """Say which options of its own do not fit."""
        return []

    def _checked(self, expected: Detection | None) -> Detection | None:
        """Return the expectation, which has to be the one that the option names."""
        name = self.expected
        if name and expected is None:
            raise InputError(
                f"expected={name!r} needs the Detection of that name; got none. Pass detect(expected=)."
            )
        if expected is not None and getattr(expected, "detector", "") != "deviation":
            got = expected.name if isinstance(expected, Detection) else type(expected).__name__
            raise InputError(f"expected needs to be a Detection of Deviation; got {got}.")
        if name and expected is not None and expected.name != name:
            raise InputError(f"expected={name!r} needs the Detection of that name; got {expected.name}.")
        return expected


def _listed(areas: Areas | None) -> Graph | None:
    """Return a graph that knows the areas of the map and no neighbours."""
    if not isinstance(areas, Areas):
        return None
    from libpysal.graph import Graph

    codes = areas.codes.astype(object).to_numpy()
    return Graph.from_arrays(codes, codes, np.zeros(codes.size))
