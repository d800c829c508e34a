"""Run every benchmark and write the figures to ``docs/benchmarks.md``: ``make bench``.

``python -m benchmarks --only calibration`` measures one section anew and leaves the others as they are.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import (
    calibration,
    contiguity,
    deviations,
    graph_scan,
    local_calibration,
    local_statistics,
    microdata,
    million,
    mix,
    peers,
    places,
    scan,
    time,
    whole,
)

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_PACKAGES = ("numpy", "scipy", "pandas", "numba", "libpysal", "esda", "pygeoda")


@dataclass(frozen=True)
class Section:
    """A heading, what stands before and behind the figures, and how they are made."""

    heading: str
    measure: Callable[[], str]
    before: str = ""
    behind: str = ""

    def text(self) -> str:
        """Measure, and return the section as Markdown."""
        parts = [f"## {self.heading}", self.before, self.measure(), self.behind]
        return "\n\n".join(part for part in parts if part)


SECTIONS = {
    "speed": Section(
        "Speed beside esda and pygeoda",
        local_statistics.table,
        behind="""Nobody stops early. pygeoda has a thread a core, of which its look-up permutation makes
little use; it counts all neighbours equally, whatever their weights.""",
    ),
    "large": Section("Large maps and many permutations", million.table),
    "contiguity": Section(
        "Contiguity by shared vertices",
        lambda: contiguity.table([pace for name in contiguity.MAPS for pace in contiguity.compare(name)]),
    ),
    "places": Section("Points into areas", places.table),
    "deviations": Section(
        "Wide panels",
        deviations.table,
        "`Deviation` over 14,500 areas, all cores, 50 columns at a time; memory is what it adds at its peak.",
    ),
    "microdata": Section(
        "Registers into indicators",
        microdata.table,
        """Generated Parquet, BSN that become keyed codes, two threads, at most 4 GB for DuckDB: reading, four
kinds of aggregates, contributors and the two largest contributions of every cell.""",
    ),
    "whole": Section("Whole commands", whole.table),
    "calibration": Section(
        "Is it right?",
        lambda: calibration.report(replicates=8),
        """One area in 100 is odd; true rates lie on a surface with a length of 25 km (rough: 6 km), with a
spread phi about it (shares: a correlation rho). The map is the real one of Dutch neighbourhoods and their
residents where it lies beside the project, else a simulated country. BH at 5 %. `P(p<=a)/a` is the share of
calm areas with ten or more expected events whose p is at most a, over a: 1 is right, above 1 promises too
much. The fair oracle knows surface, spread and the law of hidden visitors, not an area's own draws. LISA is
esda's local Moran with 999 permutations, as a user gets it, on one indicator.""",
    ),
    "parts": Section(
        "What each part of the estimation brings",
        calibration.parts_report,
        """One indicator for each of nine levels and spreads, on the map of the section above, each part of
`Deviation` switched off in turn (`rings=1`, `clean=0`, `precision`, `shrink`, `robust`, `integrate`, `error`,
`steep`, `response`, `heavy` `=False`; the parent by a map without parent areas). Where rates depend on a
class (five of them, rates a factor of five apart, dealt out at random): without it, with it inside the
surroundings, by it alone, and against the nearest areas of the same class. A law of hidden visitors keeps the
error integrated whatever `integrate` says.""",
    ),
    "groups": Section(
        "Groups: local statistics",
        lambda: local_calibration.report(replicates=2),
        """A simulated country with 40 planted clusters of 4 to 12 areas on each map (see decision 0008). A
discovery is false by *area* where the area itself is not planted, by *group* where no neighbour is either;
`found`: a member is flagged in the right direction, of 8 or more expected events.""",
    ),
    "mix": Section(
        "Combinations of figures",
        mix.report,
        """A theme's counts whose true rates hang together (decision 0016), on areas of very different size;
each figure is first compared with all areas by `Deviation`. `one correlation for all`: the same distance
with one robust correlation for all areas, single odd figures included. `full Cauchy`: Liu and Xie's
combination of one-sided p. Planted `against`: every figure 1.5 to 2.2 standard deviations off, in turns up
and down, where the others go up together; `together`: two of four figures 4 to 5 up. `single`: BH per
indicator, an area found by any figure or by two.""",
    ),
    "change": Section(
        "Change over time",
        time.report,
        """The residents of the map, an own rate in every area, a common change of the surroundings (a surface
with a length of 25 km, standard deviation 15 %), and one area in 100 with a year that is two to five times as
high. BH at 5 % within each year. The other years of such an area count neither as calm nor as false. The
fair oracle knows what every year was due and how far rates stray. Real figures have real jumps: there a share
above 1 at large counts is no error in itself.""",
    ),
    "scan": Section(
        "Clusters: the scan",
        scan.report,
        """`Scan` on a simulated country. Columns of the last two tables are ways to scan: `plain` takes true
rates to be the same everywhere, as Kulldorff's statistic does; the others take expected counts from
`Deviation`, and its spread where not said otherwise (decision 0013); `urbanity` is a class of density, and
`covariates` a model of that density.""",
    ),
    "ribbons": Section(
        "Clusters of any shape",
        graph_scan.report,
        """`GraphScan` beside Kulldorff's circles, which hold up to 1 % of the residents (best for groups of
this size). Ribbons of 6 to 16 areas along the coast or along the border of a municipality, compact groups
of 4 to 12; expected counts and spread are known. Each cell: share of maps with p <= .05 on a cluster that
meets the planted one / share of its areas that are planted / share of the planted areas that it holds.
`none`: share of maps without any group that have p <= .05. See decision 0014.""",
    ),
}


def head() -> str:
    """Say on what the figures were made."""
    packages = ", ".join(map(peers.release, _PACKAGES))
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}; {packages}"
    return f"""# Benchmarks

Made by `make bench` on a machine with {machine}.
Machines differ and are noisy: compare ratios, which are taken in one process, not seconds."""


def standing() -> dict[str, str]:
    """Sections of the page as it is, by heading."""
    parts = re.split(r"^(?=## )", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:] if PAGE.exists() else []
    return {part.partition("\n")[0].removeprefix("## ").strip(): part.strip() for part in parts}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(SECTIONS), action="append")
    wanted = parser.parse_args().only or list(SECTIONS)
    new = {name: SECTIONS[name].text() for name in SECTIONS if name in wanted}
    before = standing()  # read last, so that two runs of different sections keep each other's figures
    texts = [new.get(name) or before.get(section.heading, "") for name, section in SECTIONS.items()]
    PAGE.write_text("\n\n".join([head(), *filter(None, texts)]) + "\n", encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
