"""Does the scan over a graph find ribbons that circles miss, and what does it pay for it?

Groups are planted on the real map (else a simulated country): ribbons of 6 to 16 areas along the border of
a municipality or along the coast, and compact clusters of 4 to 12 areas. Every method has the same
expected counts, spread and replicates, so that p <= .05 means the same for all.

Run ``python -m benchmarks.graph_scan`` (an hour), or with ``--quick`` for a small one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from scipy import sparse

import zoo_geo as zg
from benchmarks.clock import cost
from benchmarks.country import Country, Draw, build, panel, real, surface
from zoo_geo import growing
from zoo_geo.scanning import Counts, counts, monte_carlo_p

COSTS = (0.0, 0.6, 1.2, 1.8)
LENGTHS = {"coast": (6, 16), "border": (6, 16), "compact": (4, 12)}
EXPECTED = {1.5: (60.0, 160.0), 2.0: (25.0, 70.0)}
"""Events expected in a planted group, by its ratio: enough to be found half of the time."""
SMALL = 0.01
"""Largest share of the residents in a circle: circles then are at their best for groups of this size."""
REPLICATES = 499
SEED = 21


@dataclass(frozen=True, eq=False)
class World:
    """A map with what is expected on it, and how true rates spread about that."""

    country: Country
    weights: sparse.csr_array
    expected: np.ndarray
    phi: float = 0.0

    def draw(self, rng: np.random.Generator, factor: np.ndarray | float = 1.0) -> Counts:
        """Draw one map."""
        n, phi = self.expected.size, self.phi
        rate = self.expected * factor * (rng.gamma(1 / phi, phi, n) if phi else 1.0)
        seen = rng.poisson(rate).astype(float)
        columns = (each[:, None] for each in (seen, self.country.residents, self.expected, np.full(n, phi)))
        return counts("poisson", *columns)


def world(
    country: Country, level: float = 0.01, phi: float = 0.0, trend: float = 0.4, seed: int = SEED
) -> World:
    """Expect events at a level per resident, on a smooth surface with a standard deviation (log scale)."""
    rate = level * np.exp(surface(country, np.random.default_rng(seed), 25.0, trend))
    order = pd.Index(country.graph.unique_ids).get_indexer(pd.Index(country.codes))
    weights = sparse.csr_array(country.graph.sparse.tocsr()[order][:, order])
    return World(country, weights, country.residents * rate, phi)


# --- what is planted -----------------------------------------------------------------------------------


def coast(country: Country) -> np.ndarray | None:
    """Areas on the outer border of the country; None where areas are points."""
    shapes = country.areas.frame.geometry.to_numpy()
    if (shapely.area(shapes) == 0).all():
        return None
    outline = shapely.boundary(shapely.union_all(shapely.buffer(shapes, 60.0)))
    return shapely.distance(shapes, outline) < 100.0


def plant(
    kind: str, given: World, rng: np.random.Generator, within: tuple[float, float], along: np.ndarray | None
) -> np.ndarray:
    """Choose the areas of a group in which the expected number lies within two bounds."""
    indptr, indices = growing.links(given.weights, given.expected > 0)
    home = given.country.areas.parent("gemeente").to_numpy()
    row = np.repeat(np.arange(home.size), np.diff(indptr))
    edge = np.zeros(home.size, bool)
    edge[row[home[row] != home[indices]]] = True
    while True:
        start, length = (
            int(rng.integers(home.size)),
            int(rng.integers(LENGTHS[kind][0], LENGTHS[kind][1] + 1)),
        )
        free = given.expected > 0
        if kind == "coast":
            free = free & along
        elif kind == "border":
            free = free & edge & (home == home[start])
        if not free[start]:
            continue
        grow = _blot if kind == "compact" else _ribbon
        members = grow(start, length, indptr, indices, free, given.country.xy)
        if len(members) == length and within[0] <= given.expected[members].sum() < within[1]:
            return np.array(members)


def _ribbon(
    start: int, length: int, indptr: np.ndarray, indices: np.ndarray, free: np.ndarray, xy: np.ndarray
) -> list[int]:
    """Walk from an area to one that is so many steps away, the shortest way through free areas."""
    before, depth, queue = {start: -1}, {start: 1}, [start]
    for i in queue:
        if depth[i] == length:
            way = [i]
            while before[way[-1]] >= 0:
                way.append(before[way[-1]])
            return way
        for j in map(int, indices[indptr[i] : indptr[i + 1]]):
            if free[j] and j not in before:
                before[j], depth[j] = i, depth[i] + 1
                queue.append(j)
    return []


def _blot(
    start: int, length: int, indptr: np.ndarray, indices: np.ndarray, free: np.ndarray, xy: np.ndarray
) -> list[int]:
    """Add the touching area that is nearest to the start, again and again."""
    members = [start]
    while len(members) < length:
        around = {int(j) for i in members for j in indices[indptr[i] : indptr[i + 1]] if free[j]} - set(
            members
        )
        if not around:
            return []
        members.append(min(around, key=lambda j: float(np.hypot(*(xy[j] - xy[start])))))
    return members


# --- what looks for it ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Method:
    """Finds the strongest cluster (statistic and members), and the highest statistic of replicates."""

    strongest: Callable[[Counts], tuple[float, np.ndarray]]
    maxima: Callable[[Counts, int, int], np.ndarray]


def by_graph(given: World, border_cost: float) -> Method:
    """The scan over the graph."""
    indptr, indices = growing.links(given.weights, np.ones(given.expected.size, bool))
    ground = growing.Ground(indptr, indices, np.diff(indptr) == 0, border_cost, most_share=0.5)

    def strongest(seen: Counts) -> tuple[float, np.ndarray]:
        found = growing.strongest(seen, ground, 1)
        return (found[0].score, found[0].members) if found else (0.0, np.empty(0, int))

    return Method(strongest, lambda seen, seed, many: growing.maxima(seen, ground, seed, 0, many))


def by_circles(given: World) -> Method:
    """Kulldorff's scan, its circles listed once for all maps."""
    from zoo_geo.kernels.scan import records
    from zoo_geo.kernels.windows import nearest

    size = given.country.residents
    points, every = np.ascontiguousarray(given.country.xy), np.flatnonzero(size <= SMALL * size.sum())
    turn = np.array([1.0, 0.0, 1.0])
    indptr, members, reach = nearest(points, size, every, turn, SMALL * size.sum(), np.inf)
    once = np.array([0]), np.array([1])

    def windows(counts: Counts, seen: np.ndarray, factor: float) -> np.ndarray:
        return records(
            indptr, members, reach, seen, counts.due, counts.expected, *once, counts.total, counts.people,
            2.0, True, False, factor,
        )  # fmt: skip

    def strongest(counts: Counts) -> tuple[float, np.ndarray]:
        rows = windows(counts, counts.seen, 1.0)
        if not len(rows):
            return 0.0, np.empty(0, int)
        centre, many, _, statistic = rows[rows[:, 3].argmax(), :4]
        inside = members[indptr[int(centre)] : indptr[int(centre)] + int(many)]
        return float(statistic), np.where(inside < 0, ~inside, inside)

    def maxima(counts: Counts, seed: int, many: int) -> np.ndarray:
        found = []
        for m in range(many):
            drawn, factor = counts.replicates(seed, m, 1)
            rows = windows(counts, drawn[:, :, 0].astype(float), float(factor[0]))
            found.append(rows[:, 3].max(initial=0.0))
        return np.array(found)

    return Method(strongest, maxima)


def methods(given: World) -> dict[str, Method]:
    """All that are compared."""
    by_cost = {f"graph, border_cost {cost:g}": by_graph(given, cost) for cost in COSTS}
    return {"circles": by_circles(given)} | by_cost


# --- how well ------------------------------------------------------------------------------------------


def measure(
    given: World, ratios: tuple[float, ...], maps: int, replicates: int, seed: int = SEED
) -> pd.DataFrame:
    """Look for planted groups, and for nothing where none is planted: a row for each map and method."""
    rng, compared = np.random.default_rng(seed), methods(given)
    first = given.draw(rng)
    nulls = {name: method.maxima(first, seed, replicates) for name, method in compared.items()}
    along, rows = coast(given.country), []
    for kind, ratio in [("none", 1.0), *((kind, ratio) for kind in LENGTHS for ratio in ratios)]:
        if kind == "coast" and along is None:
            continue
        for _ in range(maps):
            members = np.empty(0, int) if kind == "none" else plant(kind, given, rng, EXPECTED[ratio], along)
            factor = np.ones(given.expected.size)
            factor[members] = ratio
            seen = given.draw(rng, factor)
            for name, method in compared.items():
                statistic, found = method.strongest(seen)
                p = float(monte_carlo_p(np.array([statistic]), nulls[name])[0])
                both = np.intersect1d(members, found).size
                rows.append((kind, ratio, name, p, both, found.size, members.size))
    return pd.DataFrame(rows, columns=["kind", "ratio", "method", "p", "both", "found", "planted"])


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of maps with p <= .05 on a cluster that meets the planted one, and how far the two overlap."""
    told = rows[(rows["p"] <= 0.05) & ((rows["both"] > 0) | (rows["kind"] == "none"))]
    keys = ["kind", "ratio", "method"]
    whole = rows.groupby(keys, sort=False).size()
    out = pd.DataFrame(
        {"power": told.groupby(keys, sort=False).size().reindex(whole.index, fill_value=0) / whole}
    )
    grouped = told.assign(precision=told["both"] / told["found"], recall=told["both"] / told["planted"])
    return out.join(grouped.groupby(keys, sort=False)[["precision", "recall"]].mean()).reset_index()


# --- what stands on the page ---------------------------------------------------------------------------

WORLDS = ((0.0, 2.0), (0.1, 2.0))
"""Spread of true rates, and ratio of what is planted."""


def report(maps: int = 40, replicates: int = 199) -> str:
    """Power and overlap of each method, and what the scan costs, as Markdown."""
    country = real() or build()
    parts = [speed(country)]
    for phi, ratio in WORLDS:
        rows = measure(world(country, phi=phi), (ratio,), maps, replicates)
        parts.append(f"Spread phi {phi:g}, planted ratio {ratio:g}, {maps} maps a cell:\n\n{layout(rows)}")
    return "\n\n".join(parts)


def layout(rows: pd.DataFrame) -> str:
    """Power / precision / recall, a row a method and a column a kind; of none the false-positive rate."""
    told = summary(rows)
    kinds = list(dict.fromkeys(told["kind"]))
    lines = ["| method | " + " | ".join(kinds) + " |", "|" + "---|" * (len(kinds) + 1)]
    for name, part in told.groupby("method", sort=False):
        cells = part.set_index("kind")
        shown = [
            f"{cells.loc[k, 'power']:.2f}"
            if k == "none"
            else " / ".join(f"{cells.loc[k, c]:.2f}" for c in ("power", "precision", "recall"))
            for k in kinds
        ]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def speed(country: Country) -> str:
    """Seconds and memory of a whole detection of one indicator, 999 replicates, all cores."""
    rng = np.random.default_rng(SEED)
    figures = panel(
        country, [Draw(world(country).draw(rng).observed[:, 0], np.zeros(1), 0.0, np.zeros(1, bool))]
    )
    zg.GraphScan(replicates=19).detect(figures, country.graph)
    lines = ["| areas | direction | replicates | s | MB added |", "|---|---|---|---|---|"]
    for direction in ("high", "both"):
        detector = zg.GraphScan(direction=direction)  # type: ignore[arg-type]
        seconds, memory = cost(lambda detector=detector: detector.detect(figures, country.graph))  # type: ignore[misc]
        lines.append(f"| {country.residents.size:,} | {direction} | 999 | {seconds:.0f} | {memory:.0f} |")
    return "\n".join(lines)


def picture(path: Path = Path(__file__).parents[1] / "docs" / "ribbon.png", seed: int = 3) -> None:
    """Draw what circles and the graph find of a ribbon, on the made-up province of the samples."""
    import matplotlib.pyplot as plt

    folder = Path(__file__).parents[1] / "data_samples"
    areas = zg.read_areas(
        folder / "buurten.gpkg", id="buurtcode", parents={"gemeente": "gemeentecode"}, water="water"
    )
    table = pd.read_csv(folder / "cijfers.csv", dtype={"buurtcode": str}).query("jaar == 2022")
    people = table.set_index("buurtcode")["aantal_inwoners"].reindex(areas.codes).fillna(0.0).to_numpy()
    graph, shapes = zg.build_weights(areas, "queen"), areas.frame.geometry
    middle = shapes.centroid
    country = Country(areas, graph, people, np.column_stack([middle.x, middle.y]) / 1000)
    given, rng = world(country, level=0.02, trend=0.0), np.random.default_rng(seed)
    members = np.empty(0, int)
    while members.size < 10:
        members = plant("border", given, rng, (60.0, 400.0), None)
    factor = np.ones(people.size)
    factor[members] = 2.0
    figures = panel(
        country, [Draw(given.draw(rng, factor).observed[:, 0], np.zeros(1), 0.0, np.zeros(1, bool))]
    )
    found = {
        "circles": zg.Scan().detect(figures, areas),
        "connected, any shape": zg.GraphScan().detect(figures, graph),
    }
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.5), layout="constrained")
    for axis, (name, detection) in zip(axes, found.items(), strict=True):
        strong = detection.clusters.query("p_value <= 0.05")
        inside = areas.codes.isin(strong["members"].explode())
        shapes.plot(ax=axis, color="#eeeeee", edgecolor="#bbbbbb", linewidth=0.4)
        if inside.any():
            shapes[inside].plot(ax=axis, color="#e08a3c", edgecolor="#bbbbbb", linewidth=0.4)
        shapes.iloc[members].boundary.plot(ax=axis, color="#1b4f8f", linewidth=1.6)
        both = int(inside[members].sum())
        axis.set_title(f"{name}: {both} of {members.size} planted areas, {int(inside.sum()) - both} others")
        axis.set_axis_off()
    figure.suptitle("Blue: planted ribbon, twice the rate. Orange: clusters with p at most 0.05.")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the tables, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    print(report(maps=5, replicates=39) if quick else report())
    picture()


if __name__ == "__main__":
    main()
