"""Local Moran and G*: ours beside esda's, in one process, as a ratio.

Run ``python -m benchmarks.local_statistics``; ``--quick`` takes a smaller map.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import zoo_geo as zg
from benchmarks.country import Country, build, draw, panel


@dataclass(frozen=True)
class Pace:
    """Medians of several runs, in seconds per indicator; memory in MB at its peak."""

    areas: int
    indicators: int
    permutations: int
    ours: float
    first: float
    memory: float
    esda: float
    esda_memory: float

    @property
    def ratio(self) -> float:
        return self.esda / self.ours


def timed(work: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_of(work: Callable[[], object], runs: int) -> float:
    """Median seconds of several calls, for what is short."""
    return statistics.median(timed(work) for _ in range(runs))


def peak(work: Callable[[], object]) -> float:
    """MB that one call allocates at its peak."""
    tracemalloc.start()
    work()
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return top / 1e6


def ours(country: Country, indicators: int, permutations: int) -> Callable[[], object]:
    """Local Moran and G* over raw rates of a whole panel, through the public face."""
    rng = np.random.default_rng(3)
    figures = panel(country, [draw(country, rng, 0.05, 0.1) for _ in range(indicators)])

    def work() -> None:
        for detector in (
            zg.LocalMoran(permutations=permutations, value="rate"),
            zg.GetisOrd(permutations=permutations, value="rate"),
        ):
            detector.detect(figures, country.graph, seed=7)

    return work


def esda(country: Country, permutations: int) -> Callable[[], object]:
    """Run the same two statistics of one indicator with esda, its fastest settings on one core."""
    from esda import G_Local, Moran_Local

    rng = np.random.default_rng(3)
    one = draw(country, rng, 0.05, 0.1)
    rate = one.observed / np.maximum(country.residents, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = country.graph.to_W()
    shared = {"permutations": permutations, "keep_simulations": False, "n_jobs": 1, "seed": 7}

    def work() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Moran_Local(rate, weights, **shared)
            G_Local(rate, weights, star=True, **shared)

    return work


def compare(areas: int = 14_500, indicators: int = 20, permutations: int = 9_999, runs: int = 3) -> Pace:
    """Time both in this process, ours and the peer's in turn."""
    country = build(areas)
    mine, peer = ours(country, indicators, permutations), esda(country, permutations)
    first = timed(mine)
    esda(build(300), 99)()  # compiles
    pairs = [(median_of(mine, 3) / indicators, timed(peer)) for _ in range(runs)]
    return Pace(
        areas, indicators, permutations,
        statistics.median(a for a, _ in pairs), first, peak(mine),
        statistics.median(b for _, b in pairs), peak(peer),
    )  # fmt: skip


def table(pace: Pace) -> str:
    """Return the figures as a Markdown table."""
    return "\n".join([
        f"{pace.areas:,} areas, {pace.indicators} indicators, {pace.permutations:,} permutations, "
        "local Moran and G* together, medians:",
        "",
        "| | seconds per indicator | peak memory, MB |",
        "|---|---|---|",
        f"| zoo-geo, whole panel, all cores | {pace.ours:.4f} | {pace.memory:,.0f} (all indicators) |",
        f"| esda, one core | {pace.esda:.2f} | {pace.esda_memory:,.0f} (one indicator) |",
        "",
        f"Ratio {pace.ratio:,.0f}. First call, with kernels to load or compile: {pace.first:.1f} s.",
    ])  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    if parser.parse_args().quick:
        print(table(compare(2_000, 5, 999, 1)))
    else:
        print(table(compare()))


if __name__ == "__main__":
    main()
