"""Connected clusters of any shape: a ribbon along a border or a coast is found as well as a blot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from zoo_geo import growing
from zoo_geo.detectors import clusters
from zoo_geo.detectors.base import (
    Detection,
    Detector,
    Scores,
    assemble,
    check_seed,
    options,
    spread_out,
    threads,
)
from zoo_geo.detectors.inputs import CONSTANT, ISOLATED, OK, TOO_FEW, Inputs, matrix, places
from zoo_geo.errors import InputError
from zoo_geo.peers import Peers

if TYPE_CHECKING:
    from libpysal.graph import Graph

    from zoo_geo.areas import Areas
    from zoo_geo.panel import Panel


@dataclass(frozen=True)
class GraphScan(Detector):
    """A scan for connected clusters of any shape, where `Scan` looks into circles.

    From every area that deviates a cluster is grown over the graph: of all neighbours the one comes in with
    which its score is highest, until ``max_areas`` are in, and it is then cut back to where the score was
    highest. The score is the log likelihood ratio of `Scan` less what the border costs: ``border_cost`` for
    an average area whose neighbours are all outside, shared equally between its links. Without such a cost
    a cluster reaches out to whatever is high by chance, and true ones drown among these. p is the share of
    maps without any cluster whose highest score, found by the same growth, is at least as high: it holds for
    all shapes together and is not to be corrected again.

    Growth is no full search: on small maps the score is 96 % of the best possible one on average (decision
    0014). An area by itself can be a cluster, but one without neighbours that have a figure is ``isolated``
    and is in none. Areas without a figure connect nobody.

    Parameters
    ----------
    max_areas
        Most areas in a cluster. What goes on beyond is told as a cluster of its own.
    border_cost
        Cost of a border, in units of the log likelihood ratio; 0 for none, more for compact clusters.
    max_population_share
        Largest share of the exposure of all areas that a cluster holds, above 0 to 0.5.
    direction
        ``high``, ``low`` or ``both``.
    replicates
        Maps drawn under the null; the smallest p is 1 / (replicates + 1).
    min_cases
        Fewest events in a high cluster.
    top
        Most clusters told, the strongest first; none shares an area with one before it.
    time
        ``each`` period of its own, or ``pooled`` over all periods; what makes an area deviate is then taken
        to last over all of them.
    dispersion
        ``auto``: the spread of ``expected=``, and none without it; ``estimate``: without it, the spread about
        the rate of all areas; ``none``.
    expected
        In a study: the detection whose expected counts are taken, as ``deviation:parent:gemeente``.

    References
    ----------
    Kulldorff (1997), doi:10.1080/03610929708831995, for the ratio; Assuncao, Costa, Tavares and Ferreira
    (2006), doi:10.1002/sim.2411, for growing by the likelihood; Yiannakoulias, Rosychuk and Hodgson (2007),
    doi:10.1186/1476-072X-6-28, for why growth needs a penalty.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.GraphScan(max_areas=12).border_cost
    1.2
    """

    name: ClassVar[str] = "graph_scan"
    evidence: ClassVar[str] = "cluster"
    effect: ClassVar[str] = "relative_risk"
    controls: ClassVar[Literal["cell", "family"]] = "family"
    own: ClassVar[tuple[str, ...]] = clusters.OWN

    max_areas: int = 20
    border_cost: float = 1.2
    max_population_share: float = 0.5
    direction: Literal["high", "low", "both"] = "high"
    replicates: int = 999
    min_cases: int = 2
    top: int = 10
    time: Literal["each", "pooled"] = "each"
    dispersion: clusters.Dispersion = "auto"
    expected: str | None = None

    def __post_init__(self) -> None:
        options(
            direction=(self.direction, ("high", "low", "both")),
            time=(self.time, ("each", "pooled")),
            dispersion=(self.dispersion, ("auto", "estimate", "none")),
        )
        wrong = []
        if not 0 < self.max_population_share <= 0.5:
            wrong.append(
                f"max_population_share needs to be above 0 and at most 0.5; got {self.max_population_share}."
            )
        if not 0 <= self.border_cost < np.inf:
            wrong.append(f"border_cost needs to be a number of at least 0; got {self.border_cost}.")
        for option in ("max_areas", "replicates", "min_cases", "top"):
            value = getattr(self, option)
            if value != int(value) or value < 1:
                wrong.append(f"{option} needs to be a whole number of at least 1; got {value}.")
        if wrong:
            raise InputError(wrong)

    @property
    def reference(self) -> str:
        """What a study compares with: the reference of the detection that ``expected`` names."""
        return self.expected.partition(":")[2] if self.expected else "national"

    def detect(
        self,
        panel: Panel,
        neighbors: Graph | Peers | None = None,
        *,
        areas: Areas | None = None,
        features: pd.DataFrame | None = None,
        expected: Detection | None = None,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> Detection:
        """Look for connected clusters in every indicator and period of a panel.

        Parameters
        ----------
        panel
            Counts and exposures; values (gaussian) are ``not_tested``.
        neighbors
            Which areas touch, see `build_weights`. Two areas are linked when either is the other's neighbour;
            weights do not matter, but 0 is no link.
        areas
            The map, for the middle and the reach of clusters; may be left out.
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
            With `Detection.clusters`: ``statistic`` is the score, ``log_likelihood_ratio`` what it is without
            the cost of the border. Cells outside every cluster have p = 1; of a cluster of several periods
            those of the last one carry its p, and those before are ``not_tested``.

        Raises
        ------
        InputError
            There is no graph, areas of the panel are not in it, or ``expected`` does not fit.
        """
        check_seed(seed)
        jobs = threads(n_jobs)
        if not (isinstance(neighbors, Peers) or hasattr(neighbors, "adjacency")):
            got = type(neighbors).__name__
            raise InputError(f"neighbors needs to be a libpysal Graph; got {got}. See zoo_geo.build_weights.")
        clusters.named(self, expected)
        given = clusters.intake(panel, neighbors, areas, features, expected, self.time, self.dispersion)
        return assemble(self, given.inputs, self._scan(given, seed, jobs), seed, jobs)

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        raise NotImplementedError("a scan takes an expectation beside the graph, see detect")

    def _scan(self, given: clusters.Intake, seed: int, n_jobs: int) -> Scores:
        points = places(given.inputs)
        _mark_isolates(given)

        def look(stack: clusters.Stack, seed: int, n_jobs: int) -> clusters.Found:
            ground = self._ground(given, stack)
            starts = range(0, self.replicates, growing.BATCH)

            def drawn(first: int) -> np.ndarray:
                count = min(growing.BATCH, self.replicates - first)
                return growing.maxima(stack.counts, ground, seed, first, count)

            maxima = np.concatenate(spread_out(drawn, starts, n_jobs))
            found = growing.strongest(stack.counts, ground, self.top)
            on_map = None if points is None else points[stack.rows]
            return clusters.Found([_cluster(each, stack, on_map) for each in found], maxima)

        return clusters.scores(given, clusters.searched(given, look, seed, n_jobs), ("log_likelihood_ratio",))

    def _ground(self, given: clusters.Intake, stack: clusters.Stack) -> growing.Ground:
        weights = matrix(given.inputs)[stack.rows][:, stack.rows]
        indptr, indices = growing.links(weights, np.ones(stack.rows.size, bool))
        return growing.Ground(
            indptr,
            indices,
            closed=np.diff(indptr) == 0,
            border_cost=float(self.border_cost),
            most_areas=int(self.max_areas),
            most_share=float(self.max_population_share),
            least=float(self.min_cases),
            high=self.direction != "low",
            low=self.direction != "high",
        )


def _mark_isolates(given: clusters.Intake) -> None:
    """Give areas without a neighbour that has a figure the status isolated, in silent columns too."""
    weights = matrix(given.inputs)
    for stack in given.stacks:
        status = given.status[:, stack.columns]
        there = np.isin(status, (OK, CONSTANT, TOO_FEW))
        indptr, _ = growing.links(weights, np.asarray(there.any(axis=1)))
        alone = np.diff(indptr) == 0
        given.status[:, stack.columns] = np.where(there & alone[:, None], ISOLATED, status)


def _cluster(grown: growing.Grown, stack: clusters.Stack, points: np.ndarray | None) -> clusters.Cluster:
    """Tell a cluster, with the middle of its points and how far they reach from there."""
    middle, radius = np.full(2, np.nan), np.nan
    if points is not None:
        middle = points[grown.members].mean(axis=0)
        radius = float(np.hypot(*(points[grown.members] - middle).T).max())
    return clusters.Cluster(
        grown.members, 0, stack.columns.size, grown.score, float(grown.side),
        float(middle[0]), float(middle[1]), radius,
        {"log_likelihood_ratio": growing.ratio_of(stack.counts, grown)},
    )  # fmt: skip
