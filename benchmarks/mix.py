"""Combinations of a theme's figures: calibration under dependent indicators, false discoveries and power.

Run ``python -m benchmarks.mix`` (minutes), or with ``--quick`` for a small one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import special, stats

import zoo_geo as zg
from benchmarks.calibration import as_markdown
from zoo_geo.combinations import dependence, distances
from zoo_geo.significance import adjust, combine, significant

SHARES = (0.05, 0.01, 0.001)
CORRELATIONS = (0.0, 0.3, 0.6, 0.9)
MEANS = (0.3, 3.0, 30.0)
"""Expected count of a typical area; areas differ with a log-sd of 1, indicators by a factor of 4."""
SPREAD = 0.1
PLANTED = 0.01


def panel(rng: np.random.Generator, n: int, k: int, rho: float, mean: float, shift: np.ndarray) -> zg.Panel:
    """Counts whose true rates are gamma with a Gaussian copula; shifts are in its standard deviations."""
    linked = np.full((k, k), rho) + (1.0 - rho) * np.eye(k)
    rates = rng.standard_normal((n, k)) @ np.linalg.cholesky(linked).T + shift
    factor = stats.gamma.ppf(special.ndtr(rates), 1.0 / SPREAD, scale=SPREAD)
    people = np.round(1000.0 * np.exp(rng.standard_normal(n))) + 1.0
    counts = rng.poisson(people[:, None] / 1000.0 * mean * np.linspace(0.5, 2.0, k) * factor)
    table = pd.DataFrame(counts.astype(float), columns=[f"y{j}" for j in range(k)])
    table = table.assign(area=[f"A{i:05d}" for i in range(n)], people=people)
    names = [f"y{j}" for j in range(k)]
    return zg.Panel.from_frame(table, area="area", observed=names, exposure="people", themes="theme")


def compared(one: zg.Panel) -> zg.Detection:
    """Each figure by itself: there is no trend on these maps, so all areas are the reference."""
    return zg.Deviation(reference="national").detect(one)


def scores(found: zg.Detection, k: int, column: str = "z") -> np.ndarray:
    """Column of a detection by area and indicator."""
    return found.frame[column].to_numpy().reshape(-1, k)


def plain(z: np.ndarray) -> np.ndarray:
    """p of the distance with one correlation for all areas, whatever their size."""
    alike = np.full(z.shape, 0.5)
    away = distances(z, alike, dependence(z, alike)).distance
    return stats.chi2.sf(away, z.shape[1])


def judged(single: zg.Detection, k: int, *, forest: bool) -> dict[str, np.ndarray]:
    """p of each way of taking the figures together, NaN where it has no question."""
    z = scores(single, k)
    upper = special.ndtr(-z)
    ways = {
        "UnusualMix": zg.UnusualMix(theme="theme").of(single).frame["p_value"].to_numpy(),
        "one correlation for all": plain(z),
        "co_occurrence": zg.co_occurrence(single, "theme").frame["p_value"].to_numpy(),
        "at_least=1": zg.co_occurrence(single, "theme", at_least=1).frame["p_value"].to_numpy(),
        "full Cauchy": np.arctan2(1.0, np.tan((0.5 - upper) * np.pi).mean(axis=1)) / np.pi,
    }
    if forest:
        mix = zg.UnusualMix(theme="theme", method="isolation_forest")
        ways["isolation forest"] = mix.of(single).frame["p_value"].to_numpy()
    return ways


def calibration(n: int, replicates: int, ks: Iterable[int] = (3, 8)) -> pd.DataFrame:
    """P(p <= a) / a on maps without anything odd."""
    rows = []
    for k in ks:
        for mean in MEANS:
            for rho in CORRELATIONS:
                told: dict[str, list[list[float]]] = {}
                for seed in range(replicates):
                    one = panel(np.random.default_rng(seed), n, k, rho, mean, np.zeros((n, k)))
                    for way, p in judged(compared(one), k, forest=(k, mean) == (3, 30.0)).items():
                        known = p[np.isfinite(p)]
                        told.setdefault(way, []).append([(known <= a).mean() / a for a in SHARES])
                cells = {way: " / ".join(f"{x:.2f}" for x in np.mean(each, 0)) for way, each in told.items()}
                rows.append({"indicators": k, "expected": mean, "correlation": rho} | cells)
    return pd.DataFrame(rows).fillna("").set_index(["indicators", "expected", "correlation"])


def planted(rng: np.random.Generator, n: int, k: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return which areas are odd, and by how much each figure is shifted."""
    odd = rng.random(n) < PLANTED
    size = rng.uniform(1.5, 2.2, n) if kind == "against" else rng.uniform(4.0, 5.0, n)
    sign = np.where(np.arange(k) % 2, -1.0, 1.0) if kind == "against" else 1.0 * (np.arange(k) < 2)
    return odd, odd[:, None] * size[:, None] * sign


def discoveries(n: int, replicates: int, k: int = 4, mean: float = 100.0) -> pd.DataFrame:
    """False discoveries and power at BH 5 %, one figure at a time beside them."""
    rows = []
    for kind in ("against", "together"):
        for rho in (0.0, 0.3, 0.6, 0.8):
            told: dict[str, list[tuple[float, float]]] = {}
            for seed in range(replicates):
                rng = np.random.default_rng(100 + seed)
                odd, shift = planted(rng, n, k, kind)
                one = panel(rng, n, k, rho, mean, shift)
                each = compared(one)
                ways = judged(each, k, forest=True)
                single = scores(each, k, "p_value")
                found = {way: significant(adjust(p), 0.05) for way, p in ways.items()}
                alone = np.stack([significant(adjust(p), 0.05) for p in single.T], 1)
                found |= {"single: any": alone.any(axis=1), "single: two": alone.sum(axis=1) >= 2}
                for way, yes in found.items():
                    false = (yes & ~odd).sum() / max(yes.sum(), 1)
                    told.setdefault(way, []).append((false, (yes & odd).sum() / odd.sum()))
            cells = {way: "{:.2f} / {:.2f}".format(*np.mean(pair, 0)) for way, pair in told.items()}
            rows.append({"planted": kind, "correlation": rho} | cells)
    return pd.DataFrame(rows).set_index(["planted", "correlation"])


def partial(n: int, replicates: int) -> pd.DataFrame:
    """P(p <= a) / a of combined p where one figure of five is odd everywhere: is that called two?"""
    rows = []
    for rho in CORRELATIONS:
        told = []
        for seed in range(replicates):
            rng = np.random.default_rng(seed)
            z = rng.standard_normal((n, 5)) * np.sqrt(1.0 - rho) + rng.standard_normal((n, 1)) * np.sqrt(rho)
            z[:, 0] += 6.0
            p = combine(special.ndtr(-z), at_least=2)
            told.append([(p <= a).mean() / a for a in SHARES])
        rows.append({"correlation": rho, "at_least=2": " / ".join(f"{x:.2f}" for x in np.mean(told, 0))})
    return pd.DataFrame(rows).set_index("correlation")


def report(n: int = 4000, replicates: int = 2) -> str:
    """Tables for the page."""
    parts = [
        "`P(p<=a)/a` for a = .05, .01, .001 where nothing is odd; 1 is right, above 1 promises too much:",
        as_markdown(calibration(n, replicates)),
        "The same for `at_least=2` where one figure of five is odd in every area:",
        as_markdown(partial(20 * n, replicates)),
        f"False discovery proportion / share of planted areas found, {PLANTED:.0%} of {n:,} areas odd:",
        as_markdown(discoveries(n, replicates)),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    print(report(2000, 1) if quick else report())
