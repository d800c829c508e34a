"""Clusters that a scan found: cells, a table, and what of them flags may lean on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special

from zoo_geo import expectation as ex
from zoo_geo.detectors.base import Detection, Scores
from zoo_geo.detectors.inputs import NOT_TESTED, OK, Inputs
from zoo_geo.errors import examples
from zoo_geo.notices import Notice, figure, which
from zoo_geo.predictive import FAMILIES
from zoo_geo.scanning import Counts, gumbel_p, lasting, monte_carlo_p

OWN = (
    "cluster_observed", "cluster_expected", "relative_risk", "cluster_areas", "start", "end", "spread",
    "reference_value", "own_low", "own_high", "overdispersion",
)  # fmt: skip
"""Columns that every detector of clusters adds."""
CLASSES = ("none", "high_cluster", "low_cluster")
COLUMNS = (
    "cluster", "indicator", "period", "rank", "members", "n_areas", "observed", "expected", "relative_risk",
    "statistic", "p_value", "p_gumbel", "x", "y", "radius", "direction", "start", "end",
)  # fmt: skip
"""Columns of `Detection.clusters`."""
_ERROR = 6.0
"""What the estimated variance over mean of calm counts may be above 1, times the root of the areas."""


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
    spread
        Spread of true rates that intervals of an area's own figure allow for, shape (n_rows, n_columns).
    overdispersion
        Variance over mean of a typical count, where the scan takes chance for all of it; else NaN.
    """

    columns: np.ndarray
    rows: np.ndarray
    counts: Counts
    spread: np.ndarray
    overdispersion: float


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


def scores(
    inputs: Inputs,
    status: np.ndarray,
    stacks: Sequence[Stack],
    found: Sequence[Found],
    more: Sequence[str] = (),
) -> Scores:
    """Turn the clusters of each stack into cells and a table; ``more`` names further columns of it.

    A cluster of several periods is one finding: the cells of its last period carry its p, those before are
    not tested.
    """
    shape = inputs.observed.shape
    names = ("expected", "ratio", "ratio_low", "ratio_high", "statistic", "z", "p_value", *OWN)
    arrays = {
        name: np.full(shape, None, object) if name in ("start", "end") else np.full(shape, np.nan)
        for name in names
    }
    earlier = np.zeros(shape, bool)
    label, side, number = np.zeros(shape, np.int8), np.zeros(shape), np.zeros(shape, np.int32)
    rows: list[dict[str, object]] = []
    for stack, result in zip(stacks, found, strict=True):
        _fill_cells(arrays, inputs, status, stack)
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
            arrays["own_low"][at], arrays["own_high"][at] = _own_interval(stack, cluster)
            earlier[np.ix_(at[0][:, 0], at[1][0, :-1])] = True
    number[status != OK] = 0
    status = np.where(earlier & (status == OK), NOT_TESTED, status).astype(status.dtype)
    side[status != OK] = 0.0
    table = pd.DataFrame(rows, columns=[*COLUMNS, *more])
    return Scores("national", status, arrays, CLASSES, label, side, cluster=number, clusters=table)


def _z(p: float) -> float:
    """Normal quantile of the p of a map's strongest cluster; 0 where that is more likely than not."""
    return float(max(-special.ndtri(max(p, 1e-300)), 0.0))


def _fill_cells(arrays: dict[str, np.ndarray], inputs: Inputs, status: np.ndarray, stack: Stack) -> None:
    """Compare each area's own figure with what was expected of it, and give it the p of no cluster."""
    at, c = np.ix_(stack.rows, stack.columns), stack.counts
    known = status[at] == OK
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = c.expected / c.size
        ratio = c.observed / c.expected
    low, high = np.full(rate.shape, np.nan), np.full(rate.shape, np.nan)
    for t in range(rate.shape[1]):
        k = np.flatnonzero(known[:, t] & (c.expected[:, t] > 0))
        low[k, t], high[k, t] = _interval(
            c.family, c.observed[k, t], c.size[k, t], rate[k, t], stack.spread[k, t]
        )
    per = inputs.per()[stack.columns]
    cells = {
        "expected": c.expected, "ratio": ratio, "ratio_low": low, "ratio_high": high, "spread": c.spread,
        "reference_value": rate * per, "overdispersion": stack.overdispersion,
        "statistic": 0.0, "z": 0.0, "p_value": 1.0,
    }  # fmt: skip
    for name, values in cells.items():
        arrays[name][at] = np.where(known, values, np.nan)


def _interval(
    family: str, observed: np.ndarray, size: np.ndarray, rate: np.ndarray, spread: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of 95 % for observed over expected that allows for the spread of true rates.

    A rate that strays by phi is as uncertain as one of 1 / phi events (a share: by the variance of its log).
    """
    even = 1.0 if family == "poisson" else rate / np.maximum(1.0 - rate, 1e-12)
    strength = np.minimum(even / np.maximum(spread, 1.0 / ex.SURE), ex.SURE)
    return FAMILIES[family].interval(observed, size, rate, strength, spread, np.inf)


def _own_interval(stack: Stack, cluster: Cluster) -> tuple[np.ndarray, np.ndarray]:
    """Interval of each member's own figure over the periods of its cluster, shape (n_members, 1) each."""
    c, at = stack.counts, (cluster.members, slice(cluster.first, cluster.end))
    expected, size = c.expected[at], c.size[at]
    spread = lasting(stack.spread[at], size if c.family == "binomial" else expected)[:, 0]
    whole = size.sum(axis=1)
    rate = np.divide(expected.sum(axis=1), whole, out=np.zeros(whole.size), where=whole > 0)
    low, high = np.full(whole.size, np.nan), np.full(whole.size, np.nan)
    k = np.flatnonzero(rate > 0)
    low[k], high[k] = _interval(c.family, c.observed[at].sum(axis=1)[k], whole[k], rate[k], spread[k])
    return low[:, None], high[:, None]


def untold(
    inputs: Inputs, stacks: Sequence[Stack], found: Sequence[Found], called: str, top: int
) -> list[Notice]:
    """Say where more clusters than are told have p <= 0.05."""
    maps = [
        inputs.columns[stack.columns[0]]
        for stack, each in zip(stacks, found, strict=True)
        if len(each.clusters) > top
        and monte_carlo_p(np.array([each.clusters[top].statistic]), each.maxima)[0] <= _USUAL_ALPHA
    ]
    if not maps:
        return []
    listed = [figure(indicator.id, period) for indicator, period in maps]
    en, nl = (tell(listed, len(stacks)) for tell in (examples, which))
    return [
        Notice(
            f"{called}: more clusters have p <= {_USUAL_ALPHA:g} than the {top} that are told ({en}). Give a "
            "larger top to see them.",
            f"{called}: meer groepen hebben p <= 0,05 dan de {top} die genoemd worden ({nl}). Geef een "
            "grotere "
            "top om ze te zien.",
        )
    ]


_USUAL_ALPHA = 0.05
WIDE = 0.1
"""Part of the areas in clusters from which these are rather a smooth surface."""


def restless(overdispersion: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Tell from what variance over mean, estimated from n areas, one rate everywhere is taken for false.

    Above 1 + 6 / sqrt(n): the estimate of calm maps errs by as much as 1 / sqrt(n) lets it. That is 1.5 for
    144 areas (of 60 calm maps the largest estimate was 1.49), 1.25 for 580 and 1.05 for 14,500. NaN is calm.
    """
    return np.asarray(overdispersion > 1.0 + _ERROR / np.sqrt(np.maximum(n, 1)))


def doubted(detection: Detection) -> np.ndarray:
    """Rows of a scan that takes true rates to be the same where figures say that they are not: no flag.

    They say so where counts are `restless`, and where clusters hold more than a tenth of the areas.
    """
    frame = detection.frame
    if "overdispersion" not in frame or detection.parameters.get("dispersion") != "auto":
        return np.zeros(len(frame), bool)
    over = frame["overdispersion"].to_numpy()
    together = ["indicator", "period"] if detection.parameters.get("time") == "each" else ["indicator"]
    named = frame["area"].where(~np.isnan(over))
    keys = [frame[name] for name in together]
    n = named.groupby(keys, observed=True).transform("nunique").to_numpy(float)
    inside = frame["cluster"].notna() & (frame["p_value"] <= _USUAL_ALPHA)
    held = inside.groupby(keys, observed=True).transform("sum").to_numpy(float)
    return restless(over, n) | (~np.isnan(over) & (held > WIDE * n))


def _row(inputs: Inputs, stack: Stack, found: Found, cluster: Cluster, rank: int) -> dict[str, object]:
    """One row of the table of clusters."""
    c, members = stack.counts, cluster.members
    span = slice(cluster.first, cluster.end)
    observed, expected = (float(each[members, span].sum()) for each in (c.observed, c.expected))
    rest_seen, rest = float(c.observed.sum()) - observed, float(c.expected.sum()) - expected
    inside = observed / expected if expected > 0 else np.nan
    outside = rest_seen / rest if rest > 0 else np.nan
    counting = (c.size[members, span] > 0).any(axis=0)  # of others, before a break say, it holds no figure
    periods = [inputs.columns[k][1] for k in stack.columns[span][counting if counting.any() else ...]]
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


def kind(detection: Detection, rows: np.ndarray) -> np.ndarray:
    """Kind of evidence of some rows; a cluster of one area is that area's own figure."""
    kinds = np.full(rows.size, detection.evidence, object)
    if "cluster_areas" in detection.frame:
        kinds[detection.frame["cluster_areas"].to_numpy()[rows] == 1] = "own figure"
    return kinds


def own_interval(detection: Detection) -> tuple[np.ndarray, np.ndarray]:
    """Interval of each row's own observed / expected: of a cluster's members over its periods."""
    ends = ("own_low", "own_high") if "own_low" in detection.frame else ("ratio_low", "ratio_high")
    return detection.frame[ends[0]].to_numpy(), detection.frame[ends[1]].to_numpy()


def unflagged(detection: Detection, supports: np.ndarray, *, alpha: float) -> list[Notice]:
    """Say which clusters are significant and hold no area that can carry a flag."""
    if detection.clusters is None:
        return []
    frame = detection.frame
    strong = (frame["p_value"] <= alpha) & frame["cluster"].notna() & ~doubted(detection)
    rows = frame.loc[strong, ["indicator", "period", "cluster", "cluster_areas"]].assign(yes=supports[strong])
    each = rows.astype({"indicator": str, "period": str}).groupby(
        ["indicator", "period", "cluster"], sort=False
    )
    told = each.agg(areas=("cluster_areas", "first"), yes=("yes", "any")).query("not yes")
    if told.empty:
        return []
    keys = list(zip(told.index.to_list(), told["areas"].astype(int), strict=True))
    en = [f"{figure(name, period)} of {n} area{'s' * (n != 1)}" for (name, period, _), n in keys]
    nl = [f"{figure(name, period)} van {n} gebied{'en' * (n != 1)}" for (name, period, _), n in keys]
    level = f"{alpha:g}"
    return [
        Notice(
            f"{detection.name}: clusters with p <= {level} of which no area deviates enough by itself "
            "raise no "
            f"flag ({examples(en, each.ngroups)}). They stand in Detection.clusters; in a run, "
            "clusters_internal.",
            f"{detection.name}: groepen met p <= {level.replace('.', ',')} waarvan geen gebied zelf genoeg "
            f"afwijkt, geven geen vlag ({which(nl, each.ngroups)}). Ze staan in Detection.clusters; na een "
            "run "
            "in clusters_internal.",
        )
    ]


def around(found: Sequence[Detection], raised: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Areas of the first cluster that raises each flag; NaN where none does."""
    areas = np.full(rows.size, np.nan)
    for detection, yes in zip(found, raised, strict=True):
        if "cluster_areas" in detection.frame:
            areas = np.where(np.isnan(areas) & yes, detection.frame["cluster_areas"].to_numpy()[rows], areas)
    return areas
