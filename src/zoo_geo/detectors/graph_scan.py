"""Connected clusters of any shape: a ribbon along a border or a coast is found as well as a blot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from zoo_geo import growing
from zoo_geo.detectors import stacks
from zoo_geo.detectors.base import spread_out
from zoo_geo.detectors.cluster_scan import ClusterScan, Search
from zoo_geo.detectors.clusters import Cluster, Found, Stack
from zoo_geo.detectors.inputs import CONSTANT, ISOLATED, OK, TOO_FEW, matrix, places
from zoo_geo.errors import InputError
from zoo_geo.peers import Peers

if TYPE_CHECKING:
    from libpysal.graph import Graph


@dataclass(frozen=True)
class GraphScan(ClusterScan):
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
    more: ClassVar[tuple[str, ...]] = ("log_likelihood_ratio",)
    whole: ClassVar[tuple[str, ...]] = (*ClusterScan.whole, "max_areas")

    max_areas: int = 20
    border_cost: float = 1.2

    def _wrong(self) -> list[str]:
        if 0 <= self.border_cost < np.inf:
            return []
        return [f"border_cost needs to be a number of at least 0; got {self.border_cost}."]

    def _check_place(self, neighbors: Graph | Peers | None) -> None:
        if not (isinstance(neighbors, Peers) or hasattr(neighbors, "adjacency")):
            got = type(neighbors).__name__
            raise InputError(f"neighbors needs to be a libpysal Graph; got {got}. See zoo_geo.build_weights.")

    def _search(self, given: stacks.Intake) -> Search:
        points = places(given.inputs)
        _mark_isolates(given)

        def look(stack: Stack, seed: int, n_jobs: int) -> Found:
            ground = self._ground(given, stack)
            starts = range(0, self.replicates, growing.BATCH)

            def drawn(first: int) -> np.ndarray:
                count = min(growing.BATCH, self.replicates - first)
                return growing.maxima(stack.counts, ground, seed, first, count)

            maxima = np.concatenate(spread_out(drawn, starts, n_jobs))
            found = growing.strongest(stack.counts, ground, self.top + 1)
            on_map = None if points is None else points[stack.rows]
            return Found([_cluster(each, stack, on_map) for each in found], maxima)

        return look

    def _ground(self, given: stacks.Intake, stack: Stack) -> growing.Ground:
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


def _mark_isolates(given: stacks.Intake) -> None:
    """Give areas without a neighbour that has a figure the status isolated, in silent columns too."""
    weights = matrix(given.inputs)
    for stack in given.stacks:
        status = given.status[:, stack.columns]
        there = np.isin(status, (OK, CONSTANT, TOO_FEW))
        indptr, _ = growing.links(weights, np.asarray(there.any(axis=1)))
        alone = np.diff(indptr) == 0
        given.status[:, stack.columns] = np.where(there & alone[:, None], ISOLATED, status)


def _cluster(grown: growing.Grown, stack: Stack, points: np.ndarray | None) -> Cluster:
    """Tell a cluster, with the middle of its points and how far they reach from there."""
    middle, radius = np.full(2, np.nan), np.nan
    if points is not None:
        middle = points[grown.members].mean(axis=0)
        radius = float(np.hypot(*(points[grown.members] - middle).T).max())
    return Cluster(
        grown.members, 0, stack.columns.size, grown.score, float(grown.side),
        float(middle[0]), float(middle[1]), radius,
        {"log_likelihood_ratio": growing.ratio_of(stack.counts, grown)},
    )  # fmt: skip
