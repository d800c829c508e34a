"""Whole commands: how long an import, the first calls and a study of a country take, and their memory.

Run ``python -m benchmarks.whole [STUDY.toml]``; without a study, the simulated country of
`benchmarks.country` is written to a temporary folder, with Voronoi cells for areas, and run.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from benchmarks.country import build, draw

_MEASURE = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
wall = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([wall, peak / (1e6 if sys.platform == "darwin" else 1e3), done.returncode]))
"""


def command(*words: str, runs: int = 3) -> tuple[float, float]:
    """Median seconds and peak MB of a whole command; raises where it fails."""
    found = []
    for _ in range(runs):
        told = subprocess.run(
            [sys.executable, "-c", _MEASURE, *words], capture_output=True, check=True, text=True
        )
        wall, peak, code = json.loads(told.stdout)
        if code:
            raise RuntimeError(f"{' '.join(words)} ended with {code}")
        found.append((wall, peak))
    return statistics.median(w for w, _ in found), max(m for _, m in found)


def import_time(runs: int = 5) -> tuple[float, float]:
    """Seconds that `import zoo_geo` adds to a bare interpreter, and its first detector's import."""
    bare = command(sys.executable, "-c", "pass", runs=runs)[0]
    package = command(sys.executable, "-c", "import zoo_geo", runs=runs)[0]
    return package - bare, command(sys.executable, "-c", "import zoo_geo; zoo_geo.Deviation", runs=runs)[
        0
    ] - bare


_FIRST_CALLS = """
import json, time
start = time.perf_counter()
import zoo_geo as zg
marks = [time.perf_counter() - start]
import numpy, pandas
zg.Panel, zg.LocalMoran, zg.GetisOrd
marks.append(time.perf_counter() - start - sum(marks))
from libpysal.graph import Graph
marks.append(time.perf_counter() - start - sum(marks))
codes = [f"A{k:03d}" for k in range(300)]
pairs = [(a, b) for k in range(300) for a, b in ((k, (k + 1) % 300), ((k + 1) % 300, k))]
focal, neighbor = zip(*pairs)
graph = Graph.from_arrays([codes[k] for k in focal], [codes[k] for k in neighbor], numpy.ones(len(pairs)))
rng = numpy.random.default_rng(1)
table = pandas.DataFrame({"area": codes, "cases": rng.poisson(20, 300), "people": 1000.0})
panel = zg.Panel.from_frame(table, area="area", observed=["cases"], exposure="people")
for detector in (zg.LocalMoran(), zg.GetisOrd(), zg.LocalMoran()):
    start = time.perf_counter()
    detector.detect(panel, graph)
    marks.append(time.perf_counter() - start)
print(json.dumps(marks))
"""


def first_calls(cache: str) -> list[float]:
    """Seconds, in a new process: imports, ours and then libpysal; Moran, then G*, then Moran once more."""
    told = subprocess.run(
        [sys.executable, "-c", _FIRST_CALLS], capture_output=True, check=True, text=True,
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
    )  # fmt: skip
    return json.loads(told.stdout)


def first_call_table(runs: int = 5) -> str:
    """Cold: nothing compiled yet, once. Warm: in the next processes, medians."""
    with tempfile.TemporaryDirectory() as cache:
        cold = first_calls(cache)
        warm = np.median([first_calls(cache) for _ in range(runs)], axis=0)
    rows = (
        "`import zoo_geo`", "then: what panel and detectors import", "then: `libpysal.graph`",
        "then: first `LocalMoran`", "then: first `GetisOrd`", "then: `LocalMoran` once more",
    )  # fmt: skip
    return "\n".join([
        "| 300 areas, 99,999 permutations | nothing compiled yet, seconds | compiled before, seconds |",
        "|---|---|---|",
        *(f"| {name} | {a:.2f} | {b:.2f} |" for name, a, b in zip(rows, cold, warm, strict=True)),
        f"| in all, to the first result | {sum(cold[:4]):.2f} | {sum(warm[:4]):.2f} |",
    ])  # fmt: skip


def write_country(folder: Path) -> Path:
    """Write a study of 14,500 areas with eight indicator-periods, as large as the real country's."""
    country = build()
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"code": country.codes, "residents": country.residents.astype(int)})
    for year in range(2021, 2026):
        table[f"crimes_{year}"] = draw(country, rng, 0.05, 0.15).observed.astype(int)
    for name in ("property", "violence", "vandalism"):
        table[f"{name}_2024"] = draw(country, rng, 0.01, 0.2).observed.astype(int)
    table.to_csv(folder / "table.csv", index=False)
    _cells(country.xy, country.areas.frame["gemeente"].to_numpy()).to_file(
        folder / "areas.gpkg", layer="areas"
    )
    (folder / "study.toml").write_text(_STUDY, encoding="utf-8")
    return folder / "study.toml"


def _cells(xy: np.ndarray, municipality: np.ndarray) -> gpd.GeoDataFrame:
    """Voronoi cells of the areas."""
    points = shapely.points(np.round(xy * 1000, 1))
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points)))
    inside = shapely.STRtree(cells).query(points, predicate="intersects")
    shapes = np.empty(len(points), dtype=object)
    shapes[inside[0]] = cells[inside[1]]
    shapes = shapely.intersection(shapes, shapely.multipoints(points).buffer(2_000).envelope)
    codes = [f"BU{k:08d}" for k in range(len(xy))]
    return gpd.GeoDataFrame({"code": codes, "gm": municipality}, geometry=shapes, crs=28992)


_STUDY = """
[study]
id = "country"
title = "Simulated country"
language = "en"

[areas]
path = "areas.gpkg"
layer = "areas"
id = "code"
parents = { gemeente = "gm" }

[weights]
method = "queen"

[[tables]]
id = "table"
path = "table.csv"
area = "code"

[[indicators]]
id = "crimes"
title = { nl = "Misdrijven", en = "Crimes" }
observed.2021 = "crimes_2021"
observed.2022 = "crimes_2022"
observed.2023 = "crimes_2023"
observed.2024 = "crimes_2024"
observed.2025 = "crimes_2025"
exposure = "residents"

[[indicators]]
id = "property"
title = { nl = "Vermogen", en = "Property" }
observed = { 2024 = "property_2024" }
exposure = "residents"

[[indicators]]
id = "violence"
title = { nl = "Geweld", en = "Violence" }
observed = { 2024 = "violence_2024" }
exposure = "residents"

[[indicators]]
id = "vandalism"
title = { nl = "Vernieling", en = "Vandalism" }
observed = { 2024 = "vandalism_2024" }
exposure = "residents"

[[detectors]]
type = "deviation"

[[detectors]]
type = "deviation"
reference = "parent:gemeente"

[[detectors]]
type = "deviation"
reference = "national"

[[detectors]]
type = "getis_ord"

[[detectors]]
type = "local_moran"

[flags]
context = ["deviation:national"]
"""


def table(study: Path | None = None) -> str:
    """Return the figures as a Markdown table."""
    package, first = import_time()
    cli = str(Path(sys.executable).with_name("zoo-geo"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = study or write_country(folder)
        seconds, memory = command(cli, "run", str(target), "-o", str(folder / "out"), runs=2)
        start = command(cli, "detectors")[0]
    return "\n".join([
        "| | seconds | peak memory, MB |",
        "|---|---|---|",
        f"| `import zoo_geo` | {package:.2f} | |",
        f"| `import zoo_geo` and the first detector | {first:.2f} | |",
        f"| `zoo-geo detectors`, warm | {start:.2f} | |",
        f"| `zoo-geo run`, {'study given' if study else 'simulated country'}: all detectors, tables, page "
        f"| {seconds:.1f} | {memory:,.0f} |",
        "",
        "First calls, each column in processes of its own:",
        "",
        first_call_table(),
    ])  # fmt: skip


if __name__ == "__main__":
    begin = time.perf_counter()
    print(table(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
    print(f"\n{time.perf_counter() - begin:.0f} s in all")
