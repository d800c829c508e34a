"""Do the local statistics find groups, and only groups? False discoveries and power on planted clusters.

Run ``python -m benchmarks.local_calibration`` (minutes), or with ``--quick`` for a small one.

A discovery (BH 5 % per indicator) is false in three senses, from the strictest to the mildest:

- *area*: the area itself is not planted with that sign;
- *group*: neither the area nor any neighbour belongs to a cluster of that sign. A statistic speaks of an
  area together with its neighbours, so this is the error of the statement that is made;
- *any*: as *group*, single odd areas counted as planted too (the same where there are none).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse, special

import zoo_geo as zg
from benchmarks.calibration import LEVELS, SPREADS, oracle_p
from benchmarks.country import Country, Draw, build, panel, surface
from zoo_geo.significance import adjust, significant

RATIOS = (2.0, 2.0, 2.0, 2.0, 2.0, 1.5, 1.5, 3.0, 3.0, 0.5)
"""Rate ratios of the planted clusters, in turn."""
CLUSTERS = 40
BINS = [0.0, 8.0, 20.0, 50.0, np.inf]
"""Clusters are told apart by how many events are expected in them without the ratio."""
VALUES = ("residual", "rate", "eb_rate")
DETECTORS = {"G*": zg.GetisOrd, "Moran": zg.LocalMoran, "Geary": zg.LocalGeary}
SEED = 11
"""Other maps than those that the choices were made on."""
_HIGH, _LOW = ("hot", "HH"), ("cold", "LL")


@dataclass(frozen=True, eq=False)
class Map:
    """One simulated indicator: its draw, the cluster of each area (-1 for none), and what areas are times.

    ``draw.planted`` are the members of clusters; single odd areas have a factor and no cluster.
    """

    draw: Draw
    cluster: np.ndarray
    ratio: np.ndarray
    factor: np.ndarray

    @property
    def observed(self) -> np.ndarray:
        return self.draw.observed


@dataclass(frozen=True)
class World:
    """What maps are drawn on: family, length scale of the trend in km, clusters, share of odd areas."""

    family: str = "poisson"
    scale: float = 25.0
    clusters: int = CLUSTERS
    odd: float = 0.0
    patterned: bool = False


def touching(country: Country) -> sparse.csr_array:
    """Return the neighbours of each area, in the order of the codes."""
    return sparse.csr_array(country.graph.sparse.tocsr())


def patterned(country: Country, seed: int = 5) -> Country:
    """The same country, but areas with many residents lie together."""
    rng = np.random.default_rng(seed)
    order = np.argsort(surface(country, rng, 20.0, 1.0) + 0.5 * rng.normal(size=country.residents.size))
    residents = np.empty_like(country.residents)
    residents[order] = np.sort(country.residents)
    return replace(country, residents=residents)


def plant(rng: np.random.Generator, near: sparse.csr_array, free: np.ndarray, many: int) -> np.ndarray:
    """Grow clusters of 4 to 12 areas by random steps to neighbours; no two of them touch.

    Returns the cluster of each area, -1 for none.
    """
    free, cluster, found = free.copy(), np.full(free.size, -1), 0
    while found < many:
        size, members = int(rng.integers(4, 13)), [int(rng.choice(np.flatnonzero(free)))]
        while len(members) < size:
            row = _around(near, [members[rng.integers(len(members))]], free, members)
            row = row or _around(near, members, free, members)
            if not row:
                break
            members.append(int(rng.choice(row)))
        if len(members) < 4:
            free[members] = False
            continue
        cluster[members], found = found, found + 1
        free[members] = False
        free[_around(near, members, free, members)] = False
    return cluster


def _around(near: sparse.csr_array, members: list[int], free: np.ndarray, taken: list[int]) -> list[int]:
    """Free neighbours of some areas that are not taken, sorted."""
    rows = [near.indices[near.indptr[m] : near.indptr[m + 1]] for m in members]
    return sorted({int(j) for row in rows for j in row if free[j]} - set(taken))


def simulate(
    country: Country,
    near: sparse.csr_array,
    rng: np.random.Generator,
    level: float,
    phi: float,
    world: World,
) -> Map:
    """Draw one indicator: a trend, spread phi, clusters, and single odd areas as `country.draw` has them."""
    size, n = country.residents, country.residents.size
    rate = level * np.exp(surface(country, rng, world.scale, 0.4))
    rate = np.minimum(rate, 0.6) if world.family == "binomial" else rate
    cluster = plant(rng, near, size > 0, world.clusters)
    ratio = np.resize(RATIOS, world.clusters)
    factor = np.append(ratio, 1.0)[cluster]
    odd = rng.choice(np.flatnonzero((size * rate >= 5) & (cluster < 0)), int(world.odd * n), replace=False)
    factor[odd] = rng.uniform(1.5, 5, odd.size) ** rng.choice([1, -1], odd.size, p=[0.8, 0.2])
    if world.family == "binomial":
        centre = np.minimum(rate * factor, 0.95)
        m = (1 - phi) / phi if phi else np.inf
        true = rng.beta(centre * m, (1 - centre) * m) if phi else centre
        seen = rng.binomial(size.astype(int), true)
    else:
        seen = rng.poisson(size * rate * factor * (rng.gamma(1 / phi, phi, n) if phi else 1.0))
    return Map(Draw(seen.astype(float), rate, phi, cluster >= 0), cluster, ratio, factor)


def directions(labels: np.ndarray) -> np.ndarray:
    """Say what a label claims of a group: 1 high, -1 low, 0 neither."""
    return np.isin(labels, _HIGH).astype(int) - np.isin(labels, _LOW)


def tally(
    country: Country, near: sparse.csr_array, each: Map, p: np.ndarray, way: np.ndarray, family: str
) -> tuple[dict[str, float], pd.DataFrame]:
    """Compare p and direction of one map with its truth: counts of areas, and a row for each cluster."""
    side = np.sign(each.factor - 1.0)
    member = each.draw.planted
    hit = significant(adjust(p), 0.05) & (way != 0)
    own = hit & (side == way)
    group = own | (hit & _beside(near, np.where(member, side, 0.0), way))
    either = own | (hit & _beside(near, side, way))
    far = side != 0
    for _ in range(3):
        far = far | (near @ far.astype(float) > 0)
    calm = ~far & np.isfinite(p)
    counts = {f"share_{a}": float((p[calm] <= a).mean() / a) for a in (0.05, 0.01, 0.001)}
    counts |= {"hits": int(hit.sum())}
    counts |= {f"false_{k}": int((hit & ~true).sum()) for k, true in _senses(own, group, either)}
    where = each.cluster[member]
    told = (hit & (way == side))[member].astype(float)
    size = np.bincount(where)
    expected = np.bincount(where, (country.residents * each.draw.rate)[member])
    members = np.bincount(where, told)
    known = _told_where(country, each, family)
    return counts, pd.DataFrame({
        "ratio": each.ratio, "expected": expected, "found": members > 0, "members": members / size,
        "known": known,
    })  # fmt: skip


def _senses(own: np.ndarray, group: np.ndarray, either: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return [("area", own), ("group", group), ("any", either)]


def _beside(near: sparse.csr_array, side: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Areas with a neighbour that is planted in the direction that they are said to have."""
    high, low = (near @ (side == sign).astype(float) > 0 for sign in (1, -1))
    return np.where(way > 0, high, low)


def _told_where(country: Country, each: Map, family: str) -> np.ndarray:
    """Whether somebody told the clusters, the surface and the spread would call each significant.

    A bound on what any method can find: normal scores of the fair oracle over the whole cluster, weighted
    by information, at the level that BH has when all clusters are found.
    """
    p = oracle_p(country, each.draw, family)
    mean = country.residents * each.draw.rate
    phi, odds = each.draw.phi, 1.0 - each.draw.rate
    if family == "binomial":
        information = mean / odds / (1.0 + np.maximum(country.residents - 1.0, 0.0) * phi)
    else:
        information = mean / (1.0 + phi * mean)
    score = -np.sign(each.observed - mean) * special.ndtri(p / 2.0)
    member = each.draw.planted
    where, weight = each.cluster[member], information[member]
    z = np.bincount(where, np.sqrt(weight) * score[member]) / np.sqrt(np.bincount(where, weight))
    return 2.0 * special.ndtr(-np.abs(z)) <= 0.05 * each.ratio.size / country.residents.size


def measure(
    country: Country,
    world: World = World(),
    replicates: int = 4,
    values: tuple[str, ...] = VALUES,
    detectors: tuple[str, ...] = tuple(DETECTORS),
    permutations: int = 99_999,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tally every level and spread: one row per map and method, and one per cluster and method."""
    country = patterned(country) if world.patterned else country
    near, rows, clusters = touching(country), [], []
    for level in LEVELS[world.family]:
        for phi in SPREADS[world.family]:
            rng = np.random.default_rng([seed, int(level * 1000), int(phi * 1000)])
            maps = [simulate(country, near, rng, level, phi, world) for _ in range(replicates)]
            figures = panel(country, maps, world.family)  # type: ignore[arg-type]
            for value, name in [(v, d) for v in values for d in detectors]:
                detector = DETECTORS[name](permutations=permutations, value=value)
                found = detector.detect(figures, country.graph, areas=country.areas).frame
                p = found["p_value"].to_numpy().reshape(country.residents.size, -1)
                way = directions(found["label"].astype(str).to_numpy()).reshape(p.shape)
                key = {"value": value, "detector": name, "level": level, "phi": phi}
                for k, each in enumerate(maps):
                    counts, told = tally(country, near, each, p[:, k], way[:, k], world.family)
                    rows.append(key | counts)
                    clusters.append(told.assign(**key))
    return pd.DataFrame(rows), pd.concat(clusters, ignore_index=True)


def summary(rows: pd.DataFrame, clusters: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Pool maps: shares averaged, discoveries added up; power over clusters of 8 or more expected events."""
    grouped = rows.groupby(by, sort=False)
    table = grouped[["share_0.05", "share_0.01", "share_0.001"]].mean()
    table.columns = ["P(p<=.05)/.05", "P(p<=.01)/.01", "P(p<=.001)/.001"]
    table["discoveries"] = grouped["hits"].sum()
    for sense in ("area", "group", "any"):
        table[f"FDR {sense}"] = grouped[f"false_{sense}"].sum() / np.maximum(table["discoveries"], 1)
    enough = clusters[clusters["expected"] >= 8]
    for ratio in (2.0, 1.5, 3.0, 0.5):
        found = enough[enough["ratio"] == ratio].groupby(by, sort=False)["found"]
        table[f"found x{ratio:g}"] = found.mean()
    twice = enough[enough["ratio"] == 2.0].groupby(by, sort=False)
    return table.assign(**{"members x2": twice["members"].mean(), "told where x2": twice["known"].mean()})


def by_size(clusters: pd.DataFrame) -> pd.DataFrame:
    """Share of clusters of ratio 2 that are found, by expected events and spread."""
    twice = clusters[clusters["ratio"] == 2.0]
    sizes = pd.cut(twice["expected"], BINS, right=False).astype(str)
    grouped = twice.groupby([sizes, "phi"], sort=True)
    table = grouped[["found", "known"]].mean().join(grouped.size().rename("clusters"))
    bins = map(str, pd.IntervalIndex.from_breaks(BINS, closed="left"))
    order = [(size, phi) for size in bins for phi in sorted(set(twice["phi"]))]
    return table.rename(columns={"known": "told where"}).reindex(order).dropna()


def as_markdown(table: pd.DataFrame) -> str:
    """Lay a table out as Markdown, its index first."""
    head = [*map(str, table.index.names), *table.columns]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in table.reset_index().itertuples(index=False):
        lines.append("| " + " | ".join(map(_shown, row)) + " |")
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, float) and np.isnan(value):
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


VARIANTS = {
    "1 % single odd areas as well": World(odd=0.01),
    "areas with many residents lie together": World(patterned=True),
    "counts out of residents": World(family="binomial"),
    "a rough surface, 6 km": World(scale=6.0),
    "no cluster at all": World(clusters=0),
}


def report(replicates: int) -> str:
    """Return the tables, as Markdown."""
    country = build()
    rows, clusters = measure(country, replicates=2 * replicates, seed=SEED)
    ours = (rows["value"] == "residual") & (rows["detector"] == "G*")
    told = (clusters["value"] == "residual") & (clusters["detector"] == "G*")
    parts = [
        f"Trend of 25 km, {len(rows[ours])} maps:",
        as_markdown(summary(rows, clusters, ["value", "detector"])),
        "G* over residuals, by level and spread:",
        as_markdown(summary(rows[ours], clusters[told], ["level", "phi"])),
        "Clusters of ratio 2 that G* over residuals finds, by expected events:",
        as_markdown(by_size(clusters[told])),
    ]
    for name, world in VARIANTS.items():
        rows, clusters = measure(country, world, replicates, ("residual",), seed=SEED)
        parts += [f"Residuals, {name}:", as_markdown(summary(rows, clusters, ["value", "detector"]))]
    return "\n\n".join(parts)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    print(report(1 if parser.parse_args().quick else 4))


if __name__ == "__main__":
    main()
