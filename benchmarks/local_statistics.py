"""Local statistics: ours beside esda's and pygeoda's, in one process, as ratios.

Run ``python -m benchmarks.local_statistics``; ``--quick`` takes a smaller map.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
import pandas as pd
from libpysal.graph import Graph
from scipy import sparse

import zoo_geo as zg
from benchmarks import peers
from benchmarks.clock import cost, median_of, timed
from benchmarks.country import Country, build, draw

CORES = os.cpu_count() or 1
_SEEDS = count(1)


@dataclass(frozen=True)
class Size:
    """How large a contest is; pygeoda's complete permutation is timed at ``fewer`` permutations."""

    areas: int = 14_500
    indicators: int = 100
    few_indicators: int = 10
    permutations: int = 9_999
    fewer: int = 999
    runs: int = 3


QUICK = Size(2_000, 5, 2, 999, 199, 1)


@dataclass(frozen=True, eq=False)
class Peer:
    """Work of one indicator; its seconds are multiplied by ``factor``."""

    name: str
    work: peers.Work | None
    factor: float = 1.0
    measured: bool = True
    """Whether its memory can be seen from here: not where it starts processes."""


@dataclass(frozen=True, eq=False)
class Contest:
    """The same work by us, for a whole panel, and by peers, for its first indicator.

    Parameters
    ----------
    title
        What is computed.
    ours
        Given a seed, returns the first indicator's statistics.
    indicators
        How many indicators ours does in one call.
    peers
        Others.
    variants
        Ours in other circumstances, by name.
    """

    title: str
    ours: Callable[[int], tuple[np.ndarray, ...]]
    indicators: int
    peers: list[Peer]
    variants: dict[str, Callable[[int], object]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Median seconds per indicator, times ours, MB at the peak, and seconds of the first call."""

    name: str
    seconds: float = np.nan
    ratio: float = np.nan
    memory: float = np.nan
    first: float = np.nan


def country_without_empty(areas: int) -> Country:
    """Every area has residents, so that peers can be given the very same rates."""
    country = build(areas)
    return replace(country, residents=np.maximum(country.residents, 1.0))


def indicators(country: Country, many: int, lacking: float = 0.0) -> zg.Panel:
    """Indicators on a surface; with ``lacking``, each without that share of its areas."""
    rng = np.random.default_rng(3)
    draws = [draw(country, rng, 0.05, 0.1) for _ in range(many)]
    cases = {f"i{k}": each.observed for k, each in enumerate(draws)}
    if lacking:
        n = country.residents.size
        cases = {name: np.where(rng.random(n) < lacking, np.nan, each) for name, each in cases.items()}
    table = pd.DataFrame({"area": country.codes, "residents": country.residents} | cases)
    return zg.Panel.from_frame(table, area="area", observed=list(cases), exposure="residents")


def rates(country: Country) -> np.ndarray:
    """Rates of the first of the indicators."""
    return draw(country, np.random.default_rng(3), 0.05, 0.1).observed / country.residents


def ours(
    figures: zg.Panel,
    graph: Graph,
    *detectors: zg.LocalMoran | zg.GetisOrd | zg.LocalGeary,
    scale: np.ndarray | float = 1.0,
) -> Callable[[int], tuple[np.ndarray, ...]]:
    """Detectors over a panel, through the public face; ``scale`` is that of the last one's statistic."""
    every = len(figures.indicators)

    def work(seed: int) -> tuple[np.ndarray, ...]:
        frames = [detector.detect(figures, graph, seed=seed).frame for detector in detectors]
        *others, last = (frame["statistic"].to_numpy()[::every] for frame in frames)
        return *others, last / scale

    return work


def equal_weights(country: Country, size: Size) -> Contest:
    """Local Moran and G* together, neighbours counting equally."""
    x, weights = rates(country), sparse.csr_array(country.graph.sparse.tocsr())
    detectors = _moran_and_g(size.permutations)
    scale = np.diff(weights.indptr) + 1.0
    both = ("local_moran", "local_gstar")
    run = ours(indicators(country, size.indicators), country.graph, *detectors, scale=scale)
    holes = ours(indicators(country, size.indicators, 0.01), country.graph, *detectors)
    return Contest(
        "Local Moran and G* together", run, size.indicators,
        [
            *_esda(peers.esda_moran_and_g, country.graph, x, size.permutations),
            *_geoda(both, weights, x, size),
        ],
        {
            "zoo-geo once more with the same seed: the draws are kept": lambda _: run(1),
            "zoo-geo, every indicator lacks another 1 % of the areas": holes,
        },
    )  # fmt: skip


def geary(country: Country, size: Size) -> Contest:
    """Local Geary, row-standardised."""
    x, weights = rates(country), sparse.csr_array(country.graph.sparse.tocsr())
    detector = zg.LocalGeary(permutations=size.permutations, value="rate")
    graph = country.graph.transform("r")
    return Contest(
        "Local Geary",
        ours(indicators(country, size.few_indicators), graph, detector),
        size.few_indicators,
        [
            *_esda(peers.esda_geary, country.graph, x, size.permutations)[:1],
            *_geoda(("local_geary",), weights, x, size)[:1],
        ],
    )


def unequal_weights(country: Country, size: Size) -> Contest:
    """Local Moran and G*, eight nearest neighbours with a Gaussian kernel."""
    graph = zg.build_weights(country.areas, "kernel", k=8)
    weights = sparse.csr_array(graph.sparse.tocsr())
    scale = weights.sum(axis=1) + weights.max(axis=1).toarray().ravel()
    detectors = _moran_and_g(size.permutations)
    return Contest(
        "Local Moran and G* together, unequal weights (Gaussian kernel, 8 nearest)",
        ours(indicators(country, size.few_indicators), graph, *detectors, scale=scale),
        size.few_indicators,
        _esda(peers.esda_moran_and_g, graph, rates(country), size.permutations)[:1],
    )


def _moran_and_g(permutations: int) -> tuple[zg.LocalMoran, zg.GetisOrd]:
    return (
        zg.LocalMoran(permutations=permutations, value="rate"),
        zg.GetisOrd(permutations=permutations, value="rate"),
    )


def _esda(make: Callable[..., peers.Work], graph: Graph, x: np.ndarray, permutations: int) -> list[Peer]:
    return [
        Peer("esda, one process", make(graph, x, permutations)),
        Peer(f"esda, n_jobs={CORES}", make(graph, x, permutations, CORES), measured=False),
    ]


def _geoda(names: tuple[str, ...], weights: sparse.csr_array, x: np.ndarray, size: Size) -> list[Peer]:
    work = [
        peers.geoda(names, weights, x, permutations, method, CORES)
        for method, permutations in (("lookup", size.permutations), ("complete", size.fewer))
    ]
    factor = (size.permutations + 1) / (size.fewer + 1)
    return [
        Peer("pygeoda, look-up permutation", work[0]),
        Peer(f"pygeoda, complete permutation ({size.fewer:,} x {factor:.0f})", work[1], factor),
    ]


def compete(contest: Contest, runs: int) -> list[Row]:
    """Time everybody in turn, after a first call each; statistics have to agree."""
    present = [peer for peer in contest.peers if peer.work]
    first = [timed(lambda: contest.ours(next(_SEEDS))), *(_first(contest, peer) for peer in present)]
    rounds = []
    for _ in range(runs):
        mine = np.median([cost(lambda: contest.ours(next(_SEEDS))) for _ in range(3)], axis=0)
        rounds.append([mine / (contest.indicators, 1), *(cost(peer.work) for peer in present)])
    seconds, memory = np.moveaxis(np.array(rounds), 2, 0)
    seconds[:, 1:] *= [peer.factor for peer in present]
    own, *others = zip(
        np.median(seconds, axis=0), np.median(seconds / seconds[:, :1], axis=0),
        np.median(memory, axis=0), first, strict=True,
    )  # fmt: skip
    rows = [Row("zoo-geo", *own)]
    for name, work in contest.variants.items():
        work(next(_SEEDS))
        each = median_of(lambda work=work: work(next(_SEEDS)), 3) / contest.indicators
        rows.append(Row(name, each, each / own[0]))
    for peer, (each, ratio, most, begin) in zip(present, others, strict=True):
        seen = most if peer.measured else np.nan
        rows.append(Row(peer.name, each, ratio, seen, begin if peer.factor == 1 else np.nan))
    return rows + [Row(f"{peer.name}: not installed") for peer in contest.peers if not peer.work]


def _first(contest: Contest, peer: Peer) -> float:
    """Seconds of a peer's first call; raises where it computes something else than we do."""
    found: list[np.ndarray] = []
    seconds = timed(lambda: found.extend(peer.work()))
    for mine, other in zip(contest.ours(next(_SEEDS)), found, strict=True):
        # esda's Geary divides by n, ours and GeoDa's by n - 1
        if not np.allclose(mine, other, rtol=2 / mine.size, atol=1e-9 * np.abs(mine).max()):
            raise RuntimeError(f"{contest.title}: {peer.name} computes something else")
    return seconds


def alone(country: Country, size: Size) -> float:
    """Seconds of Moran and G* over one indicator."""
    work = ours(indicators(country, 1), country.graph, *_moran_and_g(size.permutations))
    work(next(_SEEDS))
    return median_of(lambda: work(next(_SEEDS)), 7)


def table(size: Size | None = None) -> str:
    """Return the figures as Markdown tables."""
    size = size or Size()
    country = country_without_empty(size.areas)
    parts = [
        f"{size.areas:,} areas, {size.permutations:,} permutations, two-sided, all cores, graph and panel "
        "prepared, new draws in every call; medians. Ours is a call for all indicators, with its table, "
        "divided by how many they are; the peers' is a call for one. Memory is what such a call adds at its "
        "peak. *First call*: panel and graph are new, and the peers compile. The statistics are compared, "
        "and are the same."
    ]
    for make in (equal_weights, geary, unequal_weights):
        contest = make(country, size)
        rows = compete(contest, size.runs)
        parts += [
            f"{contest.title}, {contest.indicators} indicators:",
            "\n".join([
                "| | seconds per indicator | times ours | MB | first call, s |",
                "|---|---|---|---|---|",
                *(
                    f"| {row.name} | {_shown(row.seconds, '.4f' if row.seconds < 1 else '.2f')} "
                    f"| {_shown(row.ratio, ',.0f' if row.ratio >= 20 else '.1f')} "
                    f"| {_shown(row.memory, ',.0f')} | {_shown(row.first, '.1f')} |"
                    for row in rows
                ),
            ]),
        ]  # fmt: skip
    parts.append(f"One indicator alone, local Moran and G* together: {alone(country, size):.3f} s.")
    return "\n\n".join(parts)


def _shown(figure: float, form: str) -> str:
    return "–" if np.isnan(figure) else format(figure, form)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    print(table(QUICK if parser.parse_args().quick else Size()))


if __name__ == "__main__":
    main()
