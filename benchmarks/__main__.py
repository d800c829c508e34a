"""Run every benchmark and write the figures to ``docs/benchmarks.md``: ``make bench``."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from benchmarks import calibration, contiguity, local_calibration, local_statistics, million, peers, whole

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_PACKAGES = ("numpy", "scipy", "pandas", "numba", "libpysal", "esda", "pygeoda")

_TEXT = """# Benchmarks

Made by `make bench` on a machine with {cores} cores, {system}, Python {python}; {packages}.
Machines differ and are noisy: compare ratios, which are taken in one process, not seconds.

## Speed beside esda and pygeoda

{speed}

Nobody stops early. pygeoda has a thread a core, of which its look-up permutation makes little use; it
counts all neighbours equally, whatever their weights.

## Large maps and many permutations

{large}

## Contiguity by shared vertices

{contiguity}

## Whole commands

{whole}

## Is it right?

A simulated country of 14,500 areas with skewed populations: true rates on a surface, a gamma spread phi
about it (shares: a beta spread rho), one area in a hundred off by 1.5 to 5 times (four in five high).
`Deviation` against the neighbours, BH at 5 %. `P(p<=a)/a` is the share of calm areas with ten or more
expected events whose p is at most a, over a: 1 is right, above 1 promises too much. The fair oracle knows
surface and spread.

{calibration}

A surface with a length scale of 6 km changes within two or three rings of neighbours. There, with large
counts and no spread of their own, no reference made of neighbours can be right everywhere, and too many
areas are flagged.

## Groups: local statistics

The same country with 40 planted clusters of 4 to 12 areas on each map (see decision 0008). A discovery
is false by *area* where the area itself is not planted, by *group* where no neighbour is either;
`found`: a member is flagged in the right direction, of 8 or more expected events.

{groups}
"""


def main() -> None:
    """Measure and write."""
    packages = ", ".join(map(peers.release, _PACKAGES))
    text = _TEXT.format(
        cores=os.cpu_count(),
        system=platform.system(),
        python=platform.python_version(),
        packages=packages,
        speed=local_statistics.table(),
        large=million.table(),
        whole=whole.table(),
        contiguity=contiguity.table([pace for name in contiguity.MAPS for pace in contiguity.compare(name)]),
        calibration=calibration.report(replicates=8),
        groups=local_calibration.report(replicates=2),
    )
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
