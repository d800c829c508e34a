"""Scan: speed, cost against the number of areas, false clusters where true rates vary, and power."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

import zoo_geo as zg
from benchmarks import clock, country

_SHARE = 0.1
_LEVEL = 0.01
_GROUPS = 5


@dataclass(frozen=True)
class World:
    """What true rates do: spread phi, standard deviation of the log of a smooth surface, step by urbanity."""

    name: str
    phi: float
    trend: float
    urban: float = 0.0


WORLDS = (
    World("the same everywhere", 0.0, 0.0),
    World("spread .1", 0.1, 0.0),
    World("spread .3", 0.3, 0.0),
    World("smooth trend", 0.0, 0.4),
    World("smooth trend, spread .1", 0.1, 0.4),
    World("by urbanity, spread .1", 0.1, 0.0, 0.3),
)
WAYS = {
    "plain": (None, "none"),
    "plain, spread estimated": (None, "estimate"),
    "national": ("national", "auto"),
    "parent, no spread": ("parent:gemeente", "none"),
    "parent": ("parent:gemeente", "auto"),
    "neighbours": ("neighbours", "auto"),
    "urbanity": ("stratum:urbanity", "auto"),
    "covariates": ("model", "auto"),
}
"""Reference of the expectation, and `Scan.dispersion`."""


def _panel(place: country.Country, counts: dict[str, np.ndarray]) -> zg.Panel:
    table = pd.DataFrame({"area": place.codes, "residents": place.residents}).assign(**counts)
    return zg.Panel.from_frame(table, area="area", observed=list(counts), exposure="residents")


def _features(place: country.Country) -> pd.DataFrame:
    """Urbanity, a class from 1 (most urban) to 5, and what it is made of: how far ten areas reach."""
    reach = cKDTree(place.xy).query(place.xy, k=10)[0][:, -1]
    urbanity = np.searchsorted(np.quantile(reach, (0.2, 0.4, 0.6, 0.8)), reach) + 1
    return pd.DataFrame({"urbanity": urbanity, "reach": np.log(reach)}, index=place.codes)


def _quiet(place: country.Country, maps: int, world: World, seed: int) -> dict[str, np.ndarray]:
    """True rates of maps without a cluster."""
    rng, n = np.random.default_rng(seed), place.residents.size
    # as long, in areas, as 25 km in a country of 14,500: small maps have municipalities of as many areas
    length = 25.0 * np.sqrt(14_500 / n)
    rates = {}
    for k in range(maps):
        rate = np.full(n, _LEVEL)
        if world.trend:
            rate *= np.exp(country.surface(place, rng, length, world.trend))
        rate *= np.exp(world.urban * (3 - _features(place)["urbanity"].to_numpy()))
        rates[f"i{k}"] = rate * (rng.gamma(1 / world.phi, world.phi, n) if world.phi else 1.0)
    return rates


def _scans(
    place: country.Country, counts: dict[str, np.ndarray], replicates: int, seed: int = 1
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Clusters of each way of scanning."""
    panel = _panel(place, counts)
    found = {
        reference: zg.Deviation(
            reference=reference, adjust=("reach",) if reference == "model" else ()
        ).detect(panel, place.graph, areas=place.areas, features=_features(place))
        for reference in dict.fromkeys(reference for reference, _ in WAYS.values() if reference)
    }
    for name, (reference, dispersion) in WAYS.items():
        scan = zg.Scan(max_population_share=_SHARE, replicates=replicates, dispersion=dispersion)
        yield name, scan.detect(panel, place.areas, expected=found.get(reference), seed=seed).clusters


def false_clusters(n: int = 1_500, maps: int = 100, replicates: int = 199, seed: int = 1) -> pd.DataFrame:
    """Share of maps without a cluster whose strongest has p <= .05, by world and way.

    Maps of one scan share its replicates, so several scans with streams of their own share the maps.
    """
    place, rows = country.build(n), []
    for world in WORLDS:
        small = dict.fromkeys(WAYS, 0)
        for group in range(seed, seed + _GROUPS):
            rates = _quiet(place, maps // _GROUPS, world, group)
            rng = np.random.default_rng([group, 1])
            counts = {name: rng.poisson(place.residents * rate) for name, rate in rates.items()}
            for name, clusters in _scans(place, counts, replicates, group):
                small[name] += int((clusters.query("rank == 1")["p_value"] <= 0.05).sum())
        shares = {name: count / (maps // _GROUPS * _GROUPS) for name, count in small.items()}
        rows.append({"true rates": world.name} | shares)
    return pd.DataFrame(rows)


def power(n: int = 1_500, maps: int = 60, replicates: int = 199, seed: int = 5) -> pd.DataFrame:
    """Share of planted clusters that a cluster with p <= .05 holds most of, by world, ratio and way.

    One circle of 4 to 12 areas a map, with 50 to 400 expected events. Held is at least half of its expected
    events, by a cluster of which they are at least a quarter.
    """
    place, rows = country.build(n), []
    for world in (WORLDS[0], WORLDS[1], WORLDS[4]):
        for ratio in (1.5, 2.0):
            rng = np.random.default_rng(seed)
            counts, planted = {}, {}
            for name, rate in _quiet(place, maps, world, seed + 1).items():
                planted[name] = _planted(place, rng)
                rate[planted[name]] *= ratio
                counts[name] = rng.poisson(place.residents * rate)
            row = {"true rates": world.name, "ratio": ratio}
            for name, clusters in _scans(place, counts, replicates):
                row[name] = np.mean([_held(place, clusters, *each) for each in planted.items()])
            rows.append(row)
    return pd.DataFrame(rows)


def _planted(place: country.Country, rng: np.random.Generator) -> np.ndarray:
    while True:
        centre, k = rng.integers(place.residents.size), rng.integers(4, 13)
        near = np.argsort(((place.xy - place.xy[centre]) ** 2).sum(1))[:k]
        if 50 <= place.residents[near].sum() * _LEVEL <= 400:
            return near


def _held(place: country.Country, clusters: pd.DataFrame, name: str, planted: np.ndarray) -> bool:
    told = clusters[(clusters["indicator"] == name) & (clusters["p_value"] <= 0.05)]
    for members in told["members"]:
        inside = place.areas.codes.get_indexer(members)
        both = place.residents[np.intersect1d(inside, planted)].sum()
        if both >= 0.5 * place.residents[planted].sum() and both >= 0.25 * place.residents[inside].sum():
            return True
    return False


def speed(sizes: tuple[int, ...] = (1_000, 3_000, 14_500, 30_000, 100_000)) -> pd.DataFrame:
    """Seconds and memory of one scan against the number of areas, windows to a tenth of the population."""
    rows = []
    _once(country.build(500), 200)
    for n in sizes:
        place = country.build(n)
        replicates = 999 if n <= 30_000 else 99
        _ = place.areas.points
        seconds, megabytes = clock.cost(lambda: rows.append(_once(place, replicates)))  # noqa: B023
        found = rows.pop()
        rows.append(
            {
                "areas": f"{n:,}",
                "replicates": replicates,
                "seconds": f"{seconds:.1f}",
                "ns per area, area in reach and replicate": f"{seconds * 1e9 / found / replicates:.2f}",
                "MB": f"{megabytes:,.0f}",
            }
        )
    return pd.DataFrame(rows)


def _once(place: country.Country, replicates: int) -> float:
    """Scan one column; returns about how many windows there are."""
    rng = np.random.default_rng(3)
    panel = _panel(place, {"i": rng.poisson(place.residents * _LEVEL)})
    scan = zg.Scan(max_population_share=_SHARE, replicates=replicates, dispersion="none")
    scan.detect(panel, place.areas, seed=1)
    return _SHARE * place.residents.size**2


def _markdown(table: pd.DataFrame) -> str:
    told = table.map(lambda x: f"{x:.2f}".replace("0.", ".", 1) if isinstance(x, float) and x < 1 else str(x))
    lines = ["| " + " | ".join(told.columns) + " |", "|" + "---|" * told.shape[1]]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in told.itertuples(index=False)])


def report(maps: int = 100) -> str:
    """Return all tables as Markdown."""
    parts = {
        "One scan, circles up to a tenth of the population:": speed(),
        "Share of maps without a cluster whose strongest has p <= .05 (right: .05):": false_clusters(
            maps=maps
        ),
        "Share of planted clusters that are found (means little where that is not .05):": power(maps=maps),
    }
    return "\n\n".join(f"{title}\n\n{_markdown(table)}" for title, table in parts.items())
