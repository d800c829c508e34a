"""A simulated country: as many areas as the Netherlands has neighbourhoods, none of them real.

Populations are skewed and areas are dense around towns; true rates follow a smooth (or rough) surface
with gamma (or lognormal) spread; one area in a hundred deviates.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Draw:
    """One simulated indicator and its truth."""

    observed: np.ndarray
    rate: np.ndarray
    phi: float
    planted: np.ndarray


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
    n, size = country.residents.size, country.residents
    rate = level * np.exp(surface(country, rng, scale, 0.4))
    factor = np.ones(n)
    if phi and lognormal:
        factor = np.exp(rng.normal(-np.log1p(phi) / 2, np.sqrt(np.log1p(phi)), n))
    elif phi and family == "poisson":
        factor = rng.gamma(1 / phi, phi, n)
    planted = np.zeros(n, bool)
    planted[rng.choice(np.flatnonzero(size * rate >= 5), int(share * n), replace=False)] = True
    off = rng.uniform(1.5, 5, n) ** rng.choice([1, -1], n, p=[0.8, 0.2])
    factor = np.where(planted, factor * off, factor)
    if family == "binomial":
        rate = np.minimum(rate, 0.6)
        centre = np.minimum(rate * np.where(planted, off, 1.0), 0.95)
        m = (1 - phi) / phi if phi else np.inf
        true = rng.beta(centre * m, (1 - centre) * m) if phi else centre
        return Draw(rng.binomial(size.astype(int), true).astype(float), rate, phi, planted)
    return Draw(rng.poisson(size * rate * factor).astype(float), rate, phi, planted)


def panel(country: Country, draws: list[Draw], family: str = "poisson") -> zg.Panel:
    """Put draws into one panel, an indicator each."""
    table = pd.DataFrame({"area": country.codes, "residents": country.residents})
    table = table.assign(**{f"i{k}": each.observed for k, each in enumerate(draws)})
    names = [f"i{k}" for k in range(len(draws))]
    return zg.Panel.from_frame(table, area="area", observed=names, exposure="residents", family=family)
