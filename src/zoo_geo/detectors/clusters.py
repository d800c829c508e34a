"""What detectors of clusters share: what they look through, and how clusters become cells and a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy import special

from zoo_geo import expectation as ex
from zoo_geo.areas import Areas
from zoo_geo.detectors.base import Detection, Scores
from zoo_geo.detectors.inputs import NOT_TESTED, OK, Inputs, column_status, prepare
from zoo_geo.errors import InputError, examples
from zoo_geo.predictive import FAMILIES
from zoo_geo.scanning import Counts, counts, gumbel_p, monte_carlo_p

if TYPE_CHECKING:
    from libpysal.graph import Graph

    from zoo_geo.panel import Panel
    from zoo_geo.peers import Peers

Time = Literal["each", "pooled", "retrospective", "prospective"]
Dispersion = Literal["auto", "estimate", "none"]
CYLINDERS = ("retrospective", "prospective")
"""Times in which clusters have periods of their own."""
OWN = (
    "cluster_observed", "cluster_expected", "relative_risk", "cluster_areas", "start", "end", "spread",
    "reference_value",
)  # fmt: skip
"""Columns that every detector of clusters adds."""
CLASSES = ("none", "high_cluster", "low_cluster")
COLUMNS = (
    "cluster", "indicator", "period", "rank", "members", "n_areas", "observed", "expected", "relative_risk",
    "statistic", "p_value", "p_gumbel", "x", "y", "radius", "direction", "start", "end",
)  # fmt: skip
"""Columns of `Detection.clusters`."""
_RESTLESS = 1.5
"""Variance over mean of a typical count from which true rates are said to vary."""
_FEWEST = 50


@dataclass(frozen=True, eq=False)
class Stack:
    """What is looked through at once: the periods of one indicator together, or one of them.

    Parameters
    ----------
    columns
        Columns of the panel, one per period, in their order.
    rows
        Areas that take part, as positions in code order.
    counts
        Of these areas and periods.
    """

    columns: np.ndarray
    rows: np.ndarray
    counts: Counts


@dataclass(frozen=True, eq=False)
class Cluster:
    """One group of areas, over periods ``first`` to before ``end`` of its stack.

    Parameters
    ----------
    members
        Positions among the stack's ``rows``, nearest first.
    statistic
        Log likelihood ratio.
    sign
        1 where it is high, -1 where it is low.
    x, y, radius
        Centre and reach, NaN where it has none.
    more
        Columns of its own for the table.
    """

    members: np.ndarray
    first: int
    end: int
    statistic: float
    sign: float
    x: float = np.nan
    y: float = np.nan
    radius: float = np.nan
    more: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Found:
    """Clusters of one stack, the strongest first, and the highest statistic of each replicate."""

    clusters: Sequence[Cluster]
    maxima: np.ndarray


@dataclass(frozen=True, eq=False)
class Intake:
    """All that is looked through, and what the reader has to know of it."""

    inputs: Inputs
    status: np.ndarray
    stacks: tuple[Stack, ...]
    reference: str
    notices: tuple[str, ...]


def intake(
    panel: Panel,
    neighbors: Graph | Peers | Areas | None,
    areas: Areas | None,
    features: pd.DataFrame | None,
    expected: Detection | None,
    time: Time,
    dispersion: Dispersion,
    *,
    adjust_time: bool = False,
) -> Intake:
    """Bring panel, map and expectation together.

    ``neighbors`` may be the map itself. Columns of values are not tested. With ``adjust_time`` cylinders
    without ``expected`` are compared with the overall rate of each period.

    Raises
    ------
    InputError
        Arguments are of other kinds, areas are not on the map, or ``expected`` does not fit the panel.
    """
    if isinstance(neighbors, Areas):
        neighbors, areas = None, neighbors
    inputs = prepare(panel, neighbors if neighbors is not None else _listed(areas), areas, features)
    status = column_status(inputs)
    notices = []
    if inputs.is_value().any():
        status[:, inputs.is_value()] = np.where(
            status[:, inputs.is_value()] == OK, NOT_TESTED, status[:, inputs.is_value()]
        )
        named = [i.id for i in inputs.indicators if i.family == "gaussian"]
        notices.append(
            f"Values (gaussian) are not scanned for clusters: {examples(named, len(inputs.indicators))}."
        )
    reference, given, spread = "national", None, None
    if expected is not None:
        reference, (given, spread) = expected.reference, _aligned(expected, inputs, status)
        if reference == "neighbours":
            notices.append(
                "Expected counts from the neighbours are partly made of the cluster itself: wider clusters "
                "than those surroundings can go unseen. parent:LEVEL, national, stratum:FEATURE and model "
                "hardly have that limit, and leave more of a trend in."
            )
    by_period = adjust_time and expected is None and time in CYLINDERS
    if dispersion == "none":
        spread = None
    elif expected is None:
        spread = _estimated(inputs, status, time, by_period)
        if dispersion == "auto":
            notices += _restless(inputs, status, spread, time, by_period)
            spread = None
    stacks = tuple(
        _stack(inputs, status, columns, given, spread, by_period) for columns in stacked(inputs, time)
    )
    notices += _holes(inputs, status, time)
    return Intake(inputs, status, stacks, reference, tuple(notices))


def _listed(areas: Areas | None) -> Graph | None:
    """Return a graph that knows the areas of the map and no neighbours."""
    if not isinstance(areas, Areas):
        return None
    from libpysal.graph import Graph

    codes = areas.codes.astype(object).to_numpy()
    return Graph.from_arrays(codes, codes, np.zeros(codes.size))


def stacked(inputs: Inputs, time: Time) -> list[np.ndarray]:
    """Columns that are looked through together, values left out."""
    counted = np.flatnonzero(~inputs.is_value())
    if time == "each":
        return [np.array([c]) for c in counted]
    names = [inputs.columns[c][0].id for c in counted]
    return [counted[[name == each for name in names]] for each in dict.fromkeys(names)]


def _stack(
    inputs: Inputs,
    status: np.ndarray,
    columns: np.ndarray,
    given: np.ndarray | None,
    spread: np.ndarray | None,
    by_period: bool,
) -> Stack:
    known = status[:, columns] == OK
    rows = np.flatnonzero(known.any(axis=1))
    known = known[rows]

    def part(array: np.ndarray) -> np.ndarray:
        return np.where(known, array[np.ix_(rows, columns)], 0.0)

    family = inputs.columns[columns[0]][0].family
    observed, size = part(inputs.observed), part(inputs.exposure)
    return Stack(
        columns,
        rows,
        counts(
            family,
            observed,
            size,
            None if given is None else part(given),
            None if spread is None else part(spread),
            by_period=by_period,
        ),
    )


def _aligned(expected: Detection, inputs: Inputs, status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected counts and spread on the cells of the panel; cells without any lose their status ok."""
    if not isinstance(expected, Detection) or expected.detector != "deviation":
        got = expected.name if isinstance(expected, Detection) else type(expected).__name__
        raise InputError(f"expected needs to be a Detection of Deviation; got {got}.")
    frame = expected.frame
    known = {(str(i.id), str(p)): c for c, (i, p) in enumerate(inputs.columns)}
    column = pd.Series(list(zip(frame["indicator"].astype(str), frame["period"].astype(str), strict=True)))
    place = column.map(known)
    counted = [f"{i.id} {p}" for i, p in inputs.columns if i.family != "gaussian"]
    lacking = [
        f"{i} {p}" for (i, p), c in known.items() if not (place == c).any() and not inputs.is_value()[c]
    ]
    if lacking:
        raise InputError(
            "expected needs to hold the indicators and periods of the panel; got a Detection without "
            f"({examples(lacking, len(counted))}). Make it of the same panel."
        )
    row = pd.Index(inputs.codes).get_indexer(pd.Index(frame["area"].astype(object)))
    use = (row >= 0) & place.notna().to_numpy()
    at = row[use], place.to_numpy()[use].astype(int)
    out = []
    for name in ("expected", "spread"):
        array = np.full(inputs.observed.shape, np.nan)
        array[at] = frame[name].to_numpy()[use]
        out.append(array)
    theirs = np.full(inputs.observed.shape, NOT_TESTED, status.dtype)
    theirs[at] = _statuses(frame)[use]
    without = (status == OK) & ~(out[0] > 0.0) & ~inputs.is_value()
    status[without] = np.where(theirs == OK, NOT_TESTED, theirs)[without]
    return out[0], np.nan_to_num(out[1])


def _statuses(frame: pd.DataFrame) -> np.ndarray:
    from zoo_geo.schema import STATUSES

    return pd.Index(STATUSES).get_indexer(pd.Index(frame["status"].astype(object)))


@dataclass(frozen=True, eq=False)
class _Known:
    """What areas had, what they were out of and the overall rate: figures that are known, shape (n,)."""

    seen: np.ndarray
    size: np.ndarray
    rate: np.ndarray

    @property
    def enough(self) -> bool:
        """Whether a spread can be told of these."""
        return self.seen.size >= _FEWEST and self.seen.sum() > 0


def _known(
    inputs: Inputs, status: np.ndarray, columns: np.ndarray, by_period: bool, *, cells: bool = False
) -> _Known:
    """Totals of areas over the periods of a stack, or its ``cells``."""
    known = status[:, columns] == OK
    seen, size = (np.where(known, each[:, columns], 0.0) for each in (inputs.observed, inputs.exposure))
    if by_period:
        due = size * (seen.sum(axis=0) / np.maximum(size.sum(axis=0), 1e-300))
    else:
        due = size * (seen[known].sum() / size[known].sum() if known.any() else 0.0)
    if cells or len(columns) == 1:
        seen, size, due = (each[known] for each in (seen, size, due))
    else:
        use = known.any(axis=1)
        seen, size, due = (each[use].sum(axis=1) for each in (seen, size, due))
    return _Known(seen, size, due / size)


def _estimated(inputs: Inputs, status: np.ndarray, time: Time, by_period: bool) -> np.ndarray:
    """Spread of true rates about the overall rate, robustly; the same in all cells of a stack.

    Of the totals of areas; of cylinders, which are open to what does not last, that of single periods where
    it is more.
    """
    out = np.zeros(inputs.observed.shape)
    for columns in stacked(inputs, time):
        family = inputs.columns[columns[0]][0].family
        looked = [_known(inputs, status, columns, by_period)]
        if time in CYLINDERS:
            looked.append(_known(inputs, status, columns, by_period, cells=True))
        out[:, columns] = max((_spread(each, family) for each in looked if each.enough), default=0.0)
    return out


def _spread(known: _Known, family: str) -> float:
    plain = replace(ex.EVERYTHING, response=False, heavy=False)
    seen, size, rate = known.seen[:, None], known.size[:, None], known.rate[:, None]
    valid, sure = np.ones(rate.shape, bool), np.full_like(rate, ex.SURE)
    return float(ex.given(seen, size, valid, FAMILIES[family], rate, sure, plain).spread[0, 0])


def _restless(
    inputs: Inputs, status: np.ndarray, spread: np.ndarray, time: Time, by_period: bool
) -> list[str]:
    """Say where true rates vary, which p of a plain scan takes for clusters."""
    told = []
    for columns in stacked(inputs, time):
        known = _known(inputs, status, columns, by_period)
        if not known.enough:
            continue
        phi, indicator, period = spread[0, columns[0]], *inputs.columns[columns[0]]
        binomial = indicator.family == "binomial"
        over = 1.0 + phi * float(np.median(known.size - 1.0 if binomial else known.rate * known.size))
        if over > _RESTLESS:
            when, what = (f" ({period})", "count") if time == "each" else ("", "total over all periods")
            mend = (
                "pass dispersion='estimate', which lets areas differ lastingly"
                if time in CYLINDERS
                else "pass expected=, a Detection of Deviation, or dispersion='estimate'"
            )
            told.append(
                f"{indicator.id}{when}: the variance of a typical {what} is about {over:.1f} times what "
                "chance gives. A plain scan takes true rates to be the same everywhere, so its p-values are "
                f"too small here: {mend}."
            )
    return told


def _holes(inputs: Inputs, status: np.ndarray, time: Time) -> list[str]:
    """Say which areas lack some of the periods that are looked through together."""
    if time == "each":
        return []
    told = []
    for columns in stacked(inputs, time):
        known = status[:, columns] == OK
        partly = known.any(axis=1) & ~known.all(axis=1)
        if partly.any():
            first = examples(inputs.codes[partly], len(inputs.codes))
            told.append(
                f"{inputs.columns[columns[0]][0].id}: periods without a figure add nothing to a cluster "
                f"({first})."
            )
    return told


def scores(given: Intake, found: Sequence[Found], more: Sequence[str] = ()) -> Scores:
    """Turn the clusters of each stack into cells and a table; ``more`` names further columns of it.

    A cluster of several periods is one finding: the cells of its last period carry its p, those before are
    not tested.
    """
    inputs, shape = given.inputs, given.inputs.observed.shape
    names = ("expected", "ratio", "ratio_low", "ratio_high", "statistic", "z", "p_value", *OWN)
    arrays = {
        name: np.full(shape, None, object) if name in ("start", "end") else np.full(shape, np.nan)
        for name in names
    }
    earlier = np.zeros(shape, bool)
    label, side, number = np.zeros(shape, np.int8), np.zeros(shape), np.zeros(shape, np.int32)
    rows: list[dict[str, object]] = []
    for stack, result in zip(given.stacks, found, strict=True):
        _fill_cells(arrays, inputs, given.status, stack)
        for rank, cluster in enumerate(result.clusters, 1):
            row = _row(inputs, stack, result, cluster, rank)
            rows.append(row)
            at = np.ix_(stack.rows[cluster.members], stack.columns[cluster.first : cluster.end])
            number[at], side[at], label[at] = rank, cluster.sign, 1 if cluster.sign > 0 else 2
            arrays["statistic"][at], arrays["p_value"][at] = cluster.statistic, row["p_value"]
            arrays["z"][at] = cluster.sign * _z(float(row["p_gumbel"]))  # type: ignore[arg-type]
            arrays["cluster_observed"][at], arrays["cluster_expected"][at] = row["observed"], row["expected"]
            arrays["relative_risk"][at], arrays["cluster_areas"][at] = row["relative_risk"], row["n_areas"]
            arrays["start"][at], arrays["end"][at] = row["start"], row["end"]
            earlier[np.ix_(at[0][:, 0], at[1][0, :-1])] = True
    number[given.status != OK] = 0
    status = np.where(earlier & (given.status == OK), NOT_TESTED, given.status).astype(given.status.dtype)
    side[status != OK] = 0.0
    table = pd.DataFrame(rows, columns=[*COLUMNS, *more])
    return Scores(given.reference, status, arrays, CLASSES, label, side, list(given.notices), number, table)


def _z(p: float) -> float:
    """Normal quantile of the p of a map's strongest cluster; 0 where that is more likely than not."""
    return float(max(-special.ndtri(max(p, 1e-300)), 0.0))


def _fill_cells(arrays: dict[str, np.ndarray], inputs: Inputs, status: np.ndarray, stack: Stack) -> None:
    """Compare each area's own figure with what was expected of it, and give it the p of no cluster."""
    at, c = np.ix_(stack.rows, stack.columns), stack.counts
    known = status[at] == OK
    family = FAMILIES[c.family]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = c.expected / c.size
        ratio = c.observed / c.expected
    sure = np.full(rate.shape[1], np.inf)
    low, high = np.full(rate.shape, np.nan), np.full(rate.shape, np.nan)
    for t in range(rate.shape[1]):
        k = np.flatnonzero(known[:, t] & (c.expected[:, t] > 0))
        low[k, t], high[k, t] = family.interval(
            c.observed[k, t], c.size[k, t], rate[k, t], np.full(k.size, ex.SURE), c.spread[k, t], sure[t]
        )
    per = inputs.per()[stack.columns]
    cells = {
        "expected": c.expected, "ratio": ratio, "ratio_low": low, "ratio_high": high, "spread": c.spread,
        "reference_value": rate * per, "statistic": 0.0, "z": 0.0, "p_value": 1.0,
    }  # fmt: skip
    for name, values in cells.items():
        arrays[name][at] = np.where(known, values, np.nan)


def _row(inputs: Inputs, stack: Stack, found: Found, cluster: Cluster, rank: int) -> dict[str, object]:
    """One row of the table of clusters."""
    c, members = stack.counts, cluster.members
    span = slice(cluster.first, cluster.end)
    observed, expected = (float(each[members, span].sum()) for each in (c.observed, c.expected))
    rest_seen, rest = float(c.observed.sum()) - observed, float(c.expected.sum()) - expected
    inside = observed / expected if expected > 0 else np.nan
    outside = rest_seen / rest if rest > 0 else np.nan
    periods = [inputs.columns[k][1] for k in stack.columns[span]]
    statistic = np.array([cluster.statistic])
    return {
        "cluster": rank,
        "indicator": inputs.columns[stack.columns[0]][0].id,
        "period": periods[0] if len(periods) == 1 else f"{periods[0]} - {periods[-1]}",
        "rank": rank,
        "members": tuple(inputs.codes[stack.rows[members]]),
        "n_areas": members.size,
        "observed": observed,
        "expected": expected,
        "relative_risk": inside / outside if outside else np.inf,
        "statistic": cluster.statistic,
        "p_value": float(monte_carlo_p(statistic, found.maxima)[0]),
        "p_gumbel": float(gumbel_p(statistic, found.maxima)[0]),
        "x": cluster.x,
        "y": cluster.y,
        "radius": cluster.radius,
        "direction": "high" if cluster.sign > 0 else "low",
        "start": periods[0],
        "end": periods[-1],
        **cluster.more,
    }


Search = Callable[[Stack, int, int], Found]
"""Looks through one stack with a seed and a number of threads."""


def searched(given: Intake, search: Search, seed: int, n_jobs: int) -> list[Found]:
    """Look through every stack that has two areas and an event; others hold no cluster."""
    nothing = Found((), np.zeros(1))
    return [
        search(stack, seed, n_jobs) if stack.rows.size > 1 and stack.counts.total > 0 else nothing
        for stack in given.stacks
    ]


def named(detector: Any, expected: Detection | None) -> None:  # noqa: ANN401
    """Check that the detection which an option names is the one that was given."""
    name = detector.expected
    if name and expected is None:
        raise InputError(
            f"expected={name!r} needs the Detection of that name; got none. Pass detect(expected=)."
        )
    if name and isinstance(expected, Detection) and expected.name != name:
        raise InputError(f"expected={name!r} needs the Detection of that name; got {expected.name}.")


def kind(detection: Detection, rows: np.ndarray) -> np.ndarray:
    """Kind of evidence of some rows; a cluster of one area is that area's own figure."""
    kinds = np.full(rows.size, detection.evidence, object)
    if "cluster_areas" in detection.frame:
        kinds[detection.frame["cluster_areas"].to_numpy()[rows] == 1] = "own figure"
    return kinds


def around(found: Sequence[Detection], raised: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Areas of the first cluster that raises each flag; NaN where none does."""
    areas = np.full(rows.size, np.nan)
    for detection, yes in zip(found, raised, strict=True):
        if "cluster_areas" in detection.frame:
            areas = np.where(np.isnan(areas) & yes, detection.frame["cluster_areas"].to_numpy()[rows], areas)
    return areas
