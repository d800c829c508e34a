"""A simulated country: as many areas as the Netherlands has neighbourhoods, none of them real.

Populations are skewed and areas are dense around towns; true rates follow a smooth (or rough) surface
with gamma (or lognormal) spread; one area in a hundred deviates. `real` has the same on the map and the
residents of the Netherlands, where they are beside the project.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from libpysal.graph import Graph
from scipy.spatial import Delaunay, cKDTree

import zoo_geo as zg

SIDE = 250.0  # km


@dataclass(frozen=True, eq=False)
class Country:
    """Areas as points, with neighbours, municipalities and residents."""

    areas: zg.Areas
    graph: Graph
    residents: np.ndarray
    xy: np.ndarray

    @property
    def codes(self) -> np.ndarray:
        return self.areas.codes.to_numpy()


def build(n: int = 14_500, seed: int = 1) -> Country:
    """Lay out towns, areas around them, neighbours (Delaunay) and 342 municipalities."""
    rng = np.random.default_rng(seed)
    towns = rng.uniform(0, SIDE, (max(n // 45, 4), 2))
    size = rng.pareto(1.3, len(towns)) + 1
    home = rng.choice(len(towns), int(n * 0.7), p=size / size.sum())
    reach = 1.5 * np.sqrt(size[home] / size.mean())[:, None]
    xy = np.vstack(
        [towns[home] + rng.normal(0, 1, (home.size, 2)) * reach, rng.uniform(0, SIDE, (n - home.size, 2))]
    )
    centres = towns[np.argsort(-size)[: max(n // 42, 2)]]
    municipality = cKDTree(centres).query(xy)[1]
    # quantiles of residents: 5 % below 20, median 750, upper tail above 5,000
    residents = np.round(np.exp(rng.normal(6.5, 1.3, n)) * rng.choice([0.05, 1.0], n, p=[0.06, 0.94]))
    residents = np.minimum(residents, 28_000)
    residents[rng.random(n) < 0.02] = 0
    return Country(_areas(xy, municipality), _graph(xy), residents, xy)


DATA = Path(__file__).parents[2] / "shared" / "data" / "nl_buurten_2024"


def real() -> Country | None:
    """The Dutch neighbourhoods with their residents, where the folder is beside the project; else None."""
    if not DATA.is_dir():
        return None
    areas = zg.read_areas(
        DATA / "buurten_2024.gpkg", id="code", name="naam", parents={"wijk": "wk_code", "gemeente": "gm_code"}
    )
    residents = figures()["aantal_inwoners"].reindex(areas.codes).fillna(0.0).to_numpy()
    centre = areas.frame.geometry.centroid
    xy = np.column_stack([centre.x, centre.y]) / 1000
    return Country(areas, zg.build_weights(areas, "queen", tolerance=50), residents, xy)


def figures() -> pd.DataFrame:
    """The table of the Dutch neighbourhoods, on their codes."""
    return pd.read_csv(DATA / "buurten_2024.csv", dtype={"buurtcode": str}).set_index("buurtcode")


def _codes(n: int) -> np.ndarray:
    return np.array([f"BU{k:08d}" for k in range(n)], dtype=object)


def _areas(xy: np.ndarray, municipality: np.ndarray) -> zg.Areas:
    frame = gpd.GeoDataFrame(
        {"code": _codes(len(xy)), "gm": [f"GM{m:04d}" for m in municipality]},
        geometry=gpd.points_from_xy(xy[:, 0] * 1000, xy[:, 1] * 1000),
        crs=28992,
    )
    return zg.read_areas(frame, id="code", parents={"gemeente": "gm"})


def _graph(xy: np.ndarray) -> Graph:
    edges = Delaunay(xy).simplices[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    pairs = np.unique(np.vstack([edges, edges[:, ::-1]]), axis=0)
    codes = _codes(len(xy))
    return Graph.from_arrays(codes[pairs[:, 0]], codes[pairs[:, 1]], np.ones(len(pairs)))


@dataclass(frozen=True)
class World:
    """What indicators are drawn on.

    Parameters
    ----------
    family
        ``poisson``, ``binomial`` or ``gaussian`` (a value whose weight is the number of residents).
    scale
        Length of the trend in km.
    anomaly
        ``isolated``: 1.5 to 5 times off, four in five high; ``cold``: 1.5 to 5 times too low; ``peer``: rates
        differ by class, and an area of the highest or lowest class has the rate of its place; ``burst``: one
        case file adds events, 30 in the median.
    law
        Of the spread of true rates: ``gamma`` or ``lognormal``.
    hidden
        Standard deviation of the logarithm of how many visitors come on top of the residents, 40 in the
        median; 0 for none. Nobody counts them.
    share
        Of areas that are odd.
    by_class
        Rates differ by class, as they do by urbanity; always so where anomalies are peer outliers.
    """

    family: str = "poisson"
    scale: float = 25.0
    anomaly: str = "isolated"
    law: str = "gamma"
    hidden: float = 0.0
    share: float = 0.01
    by_class: bool = False


@dataclass(frozen=True, eq=False)
class Draw:
    """One simulated indicator and its truth; ``rate`` is that of the person (value) nobody planted."""

    observed: np.ndarray
    rate: np.ndarray
    phi: float
    planted: np.ndarray
    world: World = World()
    classes: np.ndarray | None = None


VISITORS = 40.0
CLASSES = (-0.8, -0.4, 0.0, 0.4, 0.8)
"""Logarithm of the rate of each class, in worlds with peer outliers."""
VALUE, UNIT_WEIGHT = 20.0, 500.0
"""Mean of values, and the residents that make the variance of a value one."""


def surface(country: Country, rng: np.random.Generator, scale: float, sd: float) -> np.ndarray:
    """Return a Gaussian random surface with a length scale in km (random Fourier features)."""
    k, phase = rng.normal(size=(200, 2)) / scale, rng.uniform(0, 2 * np.pi, 200)
    return sd * np.sqrt(2 / 200) * np.cos(country.xy @ k.T + phase).sum(1)


def draw(
    country: Country,
    rng: np.random.Generator,
    level: float,
    phi: float,
    *,
    family: str = "poisson",
    scale: float = 25.0,
    share: float = 0.01,
    lognormal: bool = False,
) -> Draw:
    """Draw one indicator: counts on a surface, spread phi, a share of areas 1.5 to 5 times off."""
    law = "lognormal" if lognormal else "gamma"
    return simulate(country, rng, level, phi, World(family, scale, law=law, share=share))


def simulate(country: Country, rng: np.random.Generator, level: float, phi: float, world: World) -> Draw:
    """Draw one indicator of a world; of values, level is the height of the trend and phi a variance."""
    if world.family == "gaussian":
        return _values(country, rng, level, phi, world)
    n, size = country.residents.size, country.residents
    rate = level * np.exp(surface(country, rng, world.scale, 0.4))
    peer = world.anomaly == "peer"
    classes = rng.integers(0, len(CLASSES), n) if peer or world.by_class else None
    rate = rate if classes is None else rate * np.exp(np.array(CLASSES)[classes])
    factor = _spread(rng, n, phi, world)
    planted, off = _planted(rng, size * rate, classes if peer else None, world)
    if world.family == "binomial":
        return Draw(
            _shares(rng, size, rate, np.where(planted, off, 1.0), phi),
            np.minimum(rate, 0.6),
            phi,
            planted,
            world,
            classes,
        )
    people = size + (
        np.exp(rng.normal(np.log(VISITORS), world.hidden, n)) * (size > 0) if world.hidden else 0.0
    )
    seen = rng.poisson(people * rate * np.where(planted, factor * off, factor)).astype(float)
    if world.anomaly == "burst":
        seen += planted * np.round(np.exp(rng.normal(np.log(30.0), 0.8, n)))
    return Draw(seen, rate, phi, planted, world, classes)


def _spread(rng: np.random.Generator, n: int, phi: float, world: World) -> np.ndarray:
    """True rates relative to the surface."""
    if phi and world.law == "lognormal":
        return np.exp(rng.normal(-np.log1p(phi) / 2, np.sqrt(np.log1p(phi)), n))
    if phi and world.family == "poisson":
        return rng.gamma(1 / phi, phi, n)
    return np.ones(n)


def _planted(
    rng: np.random.Generator, expected: np.ndarray, classes: np.ndarray | None, world: World
) -> tuple[np.ndarray, np.ndarray]:
    """Which areas are odd, and how many times off each area would be."""
    n, planted = expected.size, np.zeros(expected.size, bool)
    free = expected >= (1 if world.anomaly == "burst" else 5)
    if classes is not None:
        free &= np.isin(classes, (0, len(CLASSES) - 1))
    planted[rng.choice(np.flatnonzero(free), int(world.share * n), replace=False)] = True
    if classes is not None:
        return planted, np.exp(-np.array(CLASSES)[classes])
    off = rng.uniform(1.5, 5, n) ** rng.choice([1, -1], n, p=[0.8, 0.2])
    if world.anomaly == "cold":
        off = np.minimum(off, 1 / off)
    return planted, np.ones(n) if world.anomaly == "burst" else off


def _shares(
    rng: np.random.Generator, size: np.ndarray, rate: np.ndarray, off: np.ndarray, phi: float
) -> np.ndarray:
    """Counts out of residents, beta-distributed about the surface."""
    centre = np.minimum(np.minimum(rate, 0.6) * off, 0.95)
    m = (1 - phi) / phi if phi else np.inf
    true = rng.beta(centre * m, (1 - centre) * m) if phi else centre
    return rng.binomial(size.astype(int), true).astype(float)


def deviation_of_values(country: Country, phi: float) -> np.ndarray:
    """Standard deviation of each area's value about the surface."""
    return np.sqrt(UNIT_WEIGHT / np.maximum(country.residents, 1.0) + phi)


def _values(country: Country, rng: np.random.Generator, level: float, phi: float, world: World) -> Draw:
    """Values on a surface; odd ones are 3 to 8 of their standard deviations off."""
    n, sd = country.residents.size, deviation_of_values(country, phi)
    rate = VALUE + surface(country, rng, world.scale, level)
    planted = np.zeros(n, bool)
    planted[rng.choice(np.flatnonzero(country.residents > 0), int(world.share * n), replace=False)] = True
    off = rng.uniform(3, 8, n) * (-1 if world.anomaly == "cold" else rng.choice([1, -1], n, p=[0.8, 0.2]))
    return Draw(rate + sd * (rng.normal(size=n) + planted * off), rate, phi, planted, world)


def panel(country: Country, draws: list[Draw], family: str = "poisson") -> zg.Panel:
    """Put draws into one panel, an indicator each."""
    counts = {f"i{k}": each.observed for k, each in enumerate(draws)}
    table = pd.DataFrame({"area": country.codes, "residents": country.residents} | counts)
    names = [f"i{k}" for k in range(len(draws))]
    return zg.Panel.from_frame(table, area="area", observed=names, exposure="residents", family=family)
