"""How long `Deviation` takes over a wide panel against several references, and what it needs.

Run ``python -m benchmarks.deviations``, or with ``--quick`` for fewer columns.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd

import zoo_geo as zg
from benchmarks.clock import cost
from benchmarks.country import Country, build, draw, panel
from zoo_geo.detectors.base import spread_out, threads
from zoo_geo.significance import adjust

REFERENCES = ("neighbours", "parent:gemeente", "national")


def wide(country: Country, columns: int) -> zg.Panel:
    """A panel of counts at several levels and spreads."""
    rng = np.random.default_rng(0)
    levels = np.resize([0.005, 0.02, 0.08], columns), np.resize([0.0, 0.1, 0.3, 0.1], columns)
    return panel(country, [draw(country, rng, float(a), float(b)) for a, b in zip(*levels, strict=True)])


def stream(country: Country, figures: zg.Panel, references: Sequence[str], block: int = 50) -> int:
    """Detect block by block, as a study over hundreds of columns would, and keep what is small."""
    found, names = 0, [indicator.id for indicator in figures.indicators]
    for start in range(0, len(names), block):
        few = slice(start, start + block)
        part = zg.Panel(
            figures.areas, figures.indicators[few], figures.periods,
            figures.observed[:, few].copy(), figures.exposure[:, few].copy(), figures.status[:, few].copy(),
        )  # fmt: skip
        for reference in references:
            frame = zg.Deviation(reference=reference).detect(part, country.graph, areas=country.areas).frame
            p = np.ascontiguousarray(frame["p_value"].to_numpy().reshape(country.residents.size, -1).T)
            found += sum(spread_out(lambda own: int((adjust(own) <= 0.05).sum()), p, threads(None)))
    return found


def measure(columns: int = 500) -> pd.DataFrame:
    """Seconds and memory for each reference alone, and for all of them in one run."""
    country = build()
    figures = wide(country, columns)
    stream(country, wide(country, 4), REFERENCES)
    rows = []
    for name, some in [*((each, [each]) for each in REFERENCES), ("all three in one run", REFERENCES)]:
        seconds, memory = cost(lambda some=some: stream(country, figures, some))
        rows.append((name, columns, seconds, 1000 * seconds / columns, memory))
    return pd.DataFrame(rows, columns=["reference", "columns", "seconds", "ms per column", "MB"])


def table(columns: int = 500) -> str:
    """Return the figures as Markdown."""
    rows = measure(columns)
    lines = ["| reference | columns | seconds | ms per column | memory, MB |", "|---|---|---|---|---|"]
    lines += [
        f"| {r.reference} | {r.columns} | {r.seconds:.1f} | {r[3]:.0f} | {r.MB:.0f} |"
        for r in rows.itertuples(index=False)
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    print(table(40 if parser.parse_args().quick else 500))


if __name__ == "__main__":
    main()
