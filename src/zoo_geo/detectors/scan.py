"""Clusters anywhere on the map: windows in which far more, or fewer, is seen than expected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from zoo_geo.detectors import clusters
from zoo_geo.detectors.base import Detection, Detector, Scores, assemble, check_seed, options, threads
from zoo_geo.detectors.inputs import Inputs, places
from zoo_geo.detectors.windows import Shape, Windows, search
from zoo_geo.errors import InputError, examples

if TYPE_CHECKING:
    from libpysal.graph import Graph

    from zoo_geo.areas import Areas
    from zoo_geo.panel import Panel
    from zoo_geo.peers import Peers

_ANGLES = {1.5: 4, 2.0: 6, 3.0: 9, 4.0: 12, 5.0: 15}
"""How many directions each axis ratio is tried in, as SaTScan does."""


@dataclass(frozen=True)
class Scan(Detector):
    """Kulldorff's scan statistic: the strongest cluster of any place and size, and those that come next.

    Every circle around an area's point is looked into, up to a share of the population: its log likelihood
    ratio compares the events inside and outside with what was expected. p is the share of maps without any
    cluster whose strongest is at least as strong, so it holds for all circles together and is not to be
    corrected again. Counts per exposure follow a Poisson law, counts out of a number a Bernoulli law, both
    given their total. With ``expected=``, a Detection of `Deviation`, events are compared with its
    expectation, and chance lets true rates vary by its spread.

    Of several periods an area's true rate is taken to last: what deviates in all of them deviates once. With
    a spread a cylinder of few of many periods then needs a large excess (p holds, power is low): to see what
    changes in areas that differ, `Spike` and `Emerging` hold each against its own history.

    Parameters
    ----------
    max_population_share
        Largest share of the exposure of all areas that a cluster holds, above 0 to 0.5.
    max_radius
        Largest radius, in units of the map; None for none.
    direction
        ``high``, ``low`` or ``both``.
    shape
        ``circle``, or ``ellipse`` for circles and ellipses 1.5 to 5 times as long as wide.
    penalty
        Of long ellipses: the statistic is multiplied by (4 r / (r + 1)^2) to this power, r the axis ratio.
    replicates
        Maps drawn under the null; the smallest p is 1 / (replicates + 1).
    min_cases
        Fewest events in a high cluster.
    top
        Most clusters told, the strongest first; none shares an area with one before it.
    time
        ``each`` period of its own; ``pooled`` over all periods; ``retrospective``, clusters of any periods
        in a row; ``prospective``, those that last to the last period, to see whether something starts now.
    max_duration
        Most periods of such a cluster; None for half of them.
    adjust_time
        Without ``expected=``, compare cylinders with the overall rate of each period, so that a rise
        everywhere is no cluster; False for one rate of all periods.
    dispersion
        ``auto``: the spread of ``expected=``, and none without it; ``estimate``: without it, the spread about
        the rate of all areas; ``none``.
    expected
        In a study: the detection whose expected counts are taken, as ``deviation:parent:gemeente``.

    References
    ----------
    Kulldorff (1997), doi:10.1080/03610929708831995; Kulldorff (2001), doi:10.1111/1467-985X.00186, for
    periods; Kulldorff, Huang, Pickle and Duczmal (2006), doi:10.1002/sim.2490, for ellipses.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.Scan(max_population_share=0.1).direction
    'high'
    """

    name: ClassVar[str] = "scan"
    evidence: ClassVar[str] = "cluster"
    effect: ClassVar[str] = "relative_risk"
    controls: ClassVar[Literal["cell", "family"]] = "family"
    own: ClassVar[tuple[str, ...]] = clusters.OWN

    max_population_share: float = 0.5
    max_radius: float | None = None
    direction: Literal["high", "low", "both"] = "high"
    shape: Literal["circle", "ellipse"] = "circle"
    penalty: float = 0.0
    replicates: int = 999
    min_cases: int = 2
    top: int = 10
    time: clusters.Time = "each"
    max_duration: int | None = None
    adjust_time: bool = True
    dispersion: clusters.Dispersion = "auto"
    expected: str | None = None

    def __post_init__(self) -> None:
        options(
            direction=(self.direction, ("high", "low", "both")),
            shape=(self.shape, ("circle", "ellipse")),
            time=(self.time, ("each", "pooled", "retrospective", "prospective")),
            dispersion=(self.dispersion, ("auto", "estimate", "none")),
        )
        wrong = []
        if not 0 < self.max_population_share <= 0.5:
            wrong.append(
                f"max_population_share needs to be above 0 and at most 0.5; got {self.max_population_share}."
            )
        if self.max_radius is not None and not self.max_radius > 0:
            wrong.append(f"max_radius needs to be above 0; got {self.max_radius}.")
        if self.penalty < 0:
            wrong.append(f"penalty needs to be at least 0; got {self.penalty}.")
        for option, least in (("replicates", 1), ("min_cases", 1), ("top", 1), ("max_duration", 1)):
            value = getattr(self, option)
            if value is not None and (value != int(value) or value < least):
                wrong.append(f"{option} needs to be a whole number of at least {least}; got {value}.")
        if wrong:
            raise InputError(wrong)

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
            The map (points will do). A graph is taken too, for its list of areas only.
        areas
            The map, where ``neighbors`` is not.
        features
            Not used.
        expected
            A `Detection` of `Deviation` on the same panel; areas without an expectation are in no window.
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
            Areas of the panel are not on the map, or ``expected`` does not fit.
        """
        check_seed(seed)
        jobs = threads(n_jobs)
        clusters.named(self, expected)
        given = clusters.intake(
            panel, neighbors, areas, features, expected, self.time, self.dispersion,
            adjust_time=self.adjust_time,
        )  # fmt: skip
        return assemble(self, given.inputs, self._scan(given, seed, jobs), seed, jobs)

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        raise NotImplementedError("a scan takes the map and an expectation, see detect")

    def _scan(self, given: clusters.Intake, seed: int, n_jobs: int) -> Scores:
        points = _points(given.inputs)

        def look(stack: clusters.Stack, seed: int, n_jobs: int) -> clusters.Found:
            return search(self._windows(stack, points), stack.counts, self.replicates, self.top, seed, n_jobs)

        found = clusters.searched(given, look, seed, n_jobs)
        more = ("angle", "axis_ratio") if self.shape == "ellipse" else ()
        return clusters.scores(given, found, more)

    def _windows(self, stack: clusters.Stack, points: np.ndarray) -> Windows:
        first, end = self._spans(stack.columns.size)
        return Windows(
            points=points[stack.rows],
            size=stack.counts.size.sum(axis=1),
            share=self.max_population_share,
            radius=np.inf if self.max_radius is None else float(self.max_radius),
            shapes=self._shapes(),
            first=first,
            end=end,
            high=self.direction != "low",
            low=self.direction != "high",
            least=float(self.min_cases),
        )

    def _shapes(self) -> tuple[Shape, ...]:
        circle = (Shape(),)
        if self.shape == "circle":
            return circle
        return circle + tuple(
            Shape(np.pi * k / n, ratio, (4.0 * ratio / (ratio + 1.0) ** 2) ** self.penalty)
            for ratio, n in _ANGLES.items()
            for k in range(n)
        )

    def _spans(self, periods: int) -> tuple[np.ndarray, np.ndarray]:
        """First period and end of every stretch of periods that is tried."""
        if self.time in ("each", "pooled"):
            return np.array([0]), np.array([periods])
        most = self.max_duration or max(periods // 2, 1)
        spans = [(a, b) for b in range(1, periods + 1) for a in range(max(b - most, 0), b)]
        if self.time == "prospective":
            spans = [(a, b) for a, b in spans if b == periods]
        return np.array([a for a, _ in spans]), np.array([b for _, b in spans])


def _points(inputs: Inputs) -> np.ndarray:
    """Point of each area, shape (n, 2)."""
    if inputs.areas is None:
        raise InputError(
            "areas need to be given, for their points; got None. Pass the map as second argument."
        )
    found = places(inputs)
    if found is None:
        known = pd.Index(inputs.codes).isin(inputs.areas.codes)
        raise InputError(
            "areas of the panel need to be on the map; got areas without a place "
            f"({examples(inputs.codes[~known], len(inputs.codes))})."
        )
    return np.ascontiguousarray(found, dtype=float)
