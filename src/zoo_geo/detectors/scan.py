"""Clusters anywhere on the map: windows in which far more, or fewer, is seen than expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import pandas as pd

from zoo_geo.detectors import stacks
from zoo_geo.detectors.base import options
from zoo_geo.detectors.cluster_scan import ClusterScan, Search
from zoo_geo.detectors.clusters import Found, Stack
from zoo_geo.detectors.inputs import Inputs, places
from zoo_geo.detectors.windows import Shape, Windows, search
from zoo_geo.errors import InputError, examples

_ANGLES = {1.5: 4, 2.0: 6, 3.0: 9, 4.0: 12, 5.0: 15}
"""How many directions each axis ratio is tried in, as SaTScan does."""


@dataclass(frozen=True)
class Scan(ClusterScan):
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
    times: ClassVar[tuple[str, ...]] = get_args(stacks.Time)
    whole: ClassVar[tuple[str, ...]] = (*ClusterScan.whole, "max_duration")

    max_radius: float | None = None
    shape: Literal["circle", "ellipse"] = "circle"
    penalty: float = 0.0
    max_duration: int | None = None
    adjust_time: bool = True

    def unfit(self, periods: Sequence[str]) -> list[str]:
        """Say whether clusters may last longer than the periods of a panel."""
        if self.time not in stacks.CYLINDERS or (self.max_duration or 0) <= len(periods):
            return []
        return [
            f"max_duration needs to be at most the number of periods, {len(periods)}; got "
            f"{self.max_duration}. "
            "Leave it out for half of them."
        ]

    def _wrong(self) -> list[str]:
        options(shape=(self.shape, ("circle", "ellipse")))
        wrong = []
        if self.max_radius is not None and not self.max_radius > 0:
            wrong.append(f"max_radius needs to be above 0; got {self.max_radius}.")
        if not self.penalty >= 0:
            wrong.append(f"penalty needs to be at least 0; got {self.penalty}.")
        return wrong

    @property
    def more(self) -> tuple[str, ...]:  # type: ignore[override]
        """Columns of the table of clusters beside those of every scan."""
        return ("angle", "axis_ratio") if self.shape == "ellipse" else ()

    def _search(self, given: stacks.Intake) -> Search:
        points = _points(given.inputs)

        def look(stack: Stack, seed: int, n_jobs: int) -> Found:
            return search(
                self._windows(stack, points), stack.counts, self.replicates, self.top + 1, seed, n_jobs
            )

        return look

    def _windows(self, stack: Stack, points: np.ndarray) -> Windows:
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
