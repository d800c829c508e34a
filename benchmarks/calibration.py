"""Is the engine right? Calibration, false discoveries and power on a simulated country.

Run ``python -m benchmarks.calibration`` (minutes), or with ``--quick`` for a small one.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

import zoo_geo as zg
from benchmarks.country import Country, Draw, build, draw, panel
from zoo_geo.significance import adjust, significant

LEVELS = {"poisson": (0.005, 0.02, 0.08), "binomial": (0.03, 0.1, 0.3)}
SPREADS = {"poisson": (0.0, 0.1, 0.3), "binomial": (0.0, 0.01, 0.03)}
TOP = 50


@dataclass(frozen=True)
class Tally:
    """What one indicator came to; discoveries at BH 5 %."""

    level: float
    phi: float
    share_05: float
    share_01: float
    share_001: float
    false: int
    found: int
    oracle_false: int
    oracle_found: int
    top: float
    oracle_top: float


def oracle_p(country: Country, each: Draw, family: str) -> np.ndarray:
    """p of the fair oracle: it knows surface and spread, not an area's own draw."""
    size = country.residents
    p = np.full(size.size, np.nan)
    ok = size > 0
    seen, mean = each.observed[ok], size[ok] * each.rate[ok]
    if family == "binomial":
        m = (1 - each.phi) / max(each.phi, 1e-6)
        law = stats.betabinom(size[ok].astype(int), each.rate[ok] * m, (1 - each.rate[ok]) * m)
    else:
        r = 1 / max(each.phi, 1e-6)
        law = stats.nbinom(r, r / (r + mean))
    half = 0.5 * law.pmf(seen)
    p[ok] = np.minimum(1, 2 * np.minimum(law.sf(seen) + half, law.cdf(seen) - half))
    return np.clip(p, 0, 1)


def tally(country: Country, each: Draw, level: float, p: np.ndarray, family: str) -> Tally:
    """Compare p-values with the truth."""
    oracle = oracle_p(country, each, family)
    calm = ~each.planted & (country.residents * each.rate >= 10) & np.isfinite(p)
    shares = [float((p[calm] <= a).mean() / a) for a in (0.05, 0.01, 0.001)]
    hit, fair = significant(adjust(p), 0.05), significant(adjust(oracle), 0.05)
    best = [
        each.planted[np.argsort(np.where(np.isfinite(x), x, 2), kind="stable")[:TOP]].mean()
        for x in (p, oracle)
    ]
    return Tally(
        level, each.phi, *shares,
        int((hit & ~each.planted).sum()), int((hit & each.planted).sum()),
        int((fair & ~each.planted).sum()), int((fair & each.planted).sum()),
        float(best[0]), float(best[1]),
    )  # fmt: skip


def measure(
    country: Country,
    family: str = "poisson",
    replicates: int = 6,
    scale: float = 25.0,
    seed: int = 0,
    detector: zg.Deviation | None = None,
) -> pd.DataFrame:
    """Tally every level and spread; one row per simulated indicator."""
    rows = []
    for level in LEVELS[family]:
        for phi in SPREADS[family]:
            rng = np.random.default_rng([seed, int(level * 1000), int(phi * 1000)])
            draws = [draw(country, rng, level, phi, family=family, scale=scale) for _ in range(replicates)]
            found = (detector or zg.Deviation()).detect(
                panel(country, draws, family), country.graph, areas=country.areas
            )
            p = found.frame["p_value"].to_numpy().reshape(country.residents.size, -1)
            rows += [tally(country, each, level, p[:, k], family) for k, each in enumerate(draws)]
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Pool rows: shares averaged, discoveries added up."""
    grouped = rows.groupby(by) if by else rows.groupby(lambda _: "all")
    total = grouped[["false", "found", "oracle_false", "oracle_found"]].sum()
    mean = grouped[["share_05", "share_01", "share_001", "top", "oracle_top"]].mean()
    return pd.DataFrame({
        "P(p<=.05)/.05": mean["share_05"],
        "P(p<=.01)/.01": mean["share_01"],
        "P(p<=.001)/.001": mean["share_001"],
        "FDR": total["false"] / np.maximum(total["false"] + total["found"], 1),
        "power/oracle": total["found"] / np.maximum(total["oracle_found"], 1),
        f"precision at {TOP}/oracle": mean["top"] / mean["oracle_top"],
        "oracle's FDR": total["oracle_false"] / np.maximum(total["oracle_false"] + total["oracle_found"], 1),
    })  # fmt: skip


def report(replicates: int) -> str:
    """Return the tables, as Markdown."""
    country = build()
    parts = []
    for family, scale in (("poisson", 25.0), ("binomial", 25.0), ("poisson", 6.0)):
        rows = measure(country, family, replicates, scale)
        pooled = summary(rows, []).set_axis([("all", "")])
        parts += [
            f"{family}, surface with a length scale of {scale:g} km, {len(rows)} indicators:",
            as_markdown(pd.concat([summary(rows, ["level", "phi"]), pooled])),
        ]
    return "\n\n".join(parts)


def as_markdown(table: pd.DataFrame) -> str:
    """Lay a table out as Markdown, its index first."""
    head = ["level", "phi", *table.columns]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for (level, phi), row in zip(table.index, table.to_numpy(), strict=True):
        lines.append(f"| {level} | {phi} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    print(report(2 if parser.parse_args().quick else 8))


if __name__ == "__main__":
    main()
