"""The figures of the made-up province: residents, features, six indicators and what is planted in them.

Every count is drawn about a smooth surface (a trend over a few rings of neighbours, urbanity, coast,
visitors) with a gamma spread; a planted anomaly multiplies the expected value of its cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
from scipy import special, stats
from scipy.sparse import csr_array

from zoo_geo.sample.draws import Draws

YEARS = (2020, 2021, 2022, 2023, 2024)
SECRET = -99997


@dataclass(frozen=True)
class Plan:
    """Anomalies to plant: what kind, how many, over how many years (all five, or one)."""

    kind: str
    count: int
    years: int


@dataclass(frozen=True)
class Recipe:
    """How an indicator varies: spread phi, memory of spread and chance, level per year; what is planted."""

    id: str
    phi: float
    memory: float
    chance_memory: float
    levels: tuple[float, ...]
    ratios: tuple[float, float]
    plans: tuple[Plan, ...]


_USUAL = (Plan("low", 1, 5), Plan("cluster", 1, 1), Plan("low", 2, 1), Plan("high", 2, 5), Plan("high", 6, 1))
_LASTING = (Plan("low", 1, 5), Plan("cluster", 1, 5), Plan("high", 3, 5))

PARKS = Recipe("vakantiepark_inschrijvingen", 0.08, 0.7, 0.0, (0.9, 1.0, 1.05, 1.1, 1.15), (3.0, 4.0), _USUAL)
STUDIOS = Recipe("kappers_nagelstudios", 0.05, 0.98, 0.97, (1.0, 1.0, 1.03, 1.06, 1.08), (2.2, 3.6), _LASTING)
TURNOVER = Recipe("omzet_per_studio", 0.004, 0.8, 0.2, (0.78, 0.88, 1.0, 1.06, 1.1), (1.7, 2.6), _USUAL)
TRANSACTIONS = Recipe("verdachte_transacties", 0.12, 0.3, 0.0, (1.0, 0.85, 0.8, 1.4, 1.3), (3.2, 4.0), _USUAL)
NURSERIES = Recipe("hennepkwekerijen", 0.06, 0.5, 0.0, (1.2, 1.1, 1.0, 0.95, 0.85), (2.9, 4.0), _USUAL)
PURCHASES = Recipe(
    "onverklaarbare_aankopen", 0.05, 0.5, 0.0, (0.95, 1.05, 1.1, 0.95, 1.0), (2.7, 3.8), _USUAL
)
RECIPES = (PARKS, STUDIOS, TURNOVER, TRANSACTIONS, NURSERIES, PURCHASES)

_DAILY_VISITORS = {"centrum": 7_500, "bedrijven": 2_800, "park": 700}
_RESIDENTS = {"centrum": 330, "bedrijven": 16, "park": 140}
_WIDTH = {"stad": 0.6, "dorp": 0.6, "land": 0.95, "park": 0.7, "bedrijven": 0.9, "centrum": 0.15}
_LEAST = 10.0  # events to be expected where an anomaly is planted; half of it where it should be hard
_HARD = (1.5, 1.9)
_LOW = (0.05, 0.25)
_CLUSTER = (1.8, 2.3)


@dataclass(frozen=True)
class Cells:
    """What the tables count, before anything is withheld; shape ``(n_areas, n_years)``.

    `holiday_homes` has shape ``(n_areas,)``; `seen` holds a table per indicator.
    """

    residents: np.ndarray
    dwellings: np.ndarray
    holiday_homes: np.ndarray
    bought: np.ndarray
    seen: dict[str, np.ndarray]


@dataclass(frozen=True)
class Figures:
    """What the sample's tables hold."""

    counts: pd.DataFrame
    features: pd.DataFrame
    truth: pd.DataFrame
    cells: Cells


def make_figures(draws: Draws, areas: gpd.GeoDataFrame, shared: csr_array) -> Figures:
    """Make the tables of a province.

    Parameters
    ----------
    draws
        Source of chance.
    areas
        From `make_province`.
    shared
        Lengths of shared borders, from `border_lengths`, in the order of ``areas``.
    """
    ground = _ground(draws, areas)
    means = _means(draws, areas, ground)
    withheld = _withheld(draws, areas, ground["residents"])
    usable = areas["kind"].isin(["stad", "dorp", "land"]).to_numpy()[:, None, None] & (withheld == 0)
    garden = _Garden(draws, usable, shared, _duos(areas, means, usable.all(axis=(1, 2))))
    seen = {
        recipe.id: _counts(draws, recipe, means[recipe.id] * garden.plant(recipe, means[recipe.id]))
        for recipe in (PARKS, STUDIOS, TRANSACTIONS, NURSERIES)
    }
    studios = seen[STUDIOS.id]
    seen[TURNOVER.id] = _turnover(draws, means[TURNOVER.id] * garden.plant(TURNOVER, studios), studios)
    bought = _poisson(draws.uniform("woningaankopen", *studios.shape), 0.07 * ground["dwellings"])
    share = means[PURCHASES.id] * garden.plant(PURCHASES, means[PURCHASES.id] * bought)
    seen[PURCHASES.id] = _out_of(draws, PURCHASES, bought, share)
    return Figures(
        counts=_counts_table(areas, ground, seen, bought, withheld),
        features=_features_table(areas, ground),
        truth=_truth_table(areas, garden.rows),
        cells=Cells(ground["residents"], ground["dwellings"], ground["holiday_homes"], bought, seen),
    )


# --------------------------------------------------------------------------------- people and places


def _surface(draws: Draws, name: str, areas: gpd.GeoDataFrame, reach: float = 7_000.0) -> np.ndarray:
    """Draw a smooth surface of about unit variance, as a sum of soft bumps; shape ``(n_areas,)``."""
    centres = np.array([28_000, 547_000]) + 44_000 * draws.uniform(f"surface {name}", 240, 3)[:, :2]
    heights = draws.normal(f"heights {name}", len(centres))
    away = ((areas[["x", "y"]].to_numpy(dtype=float)[:, None] - centres) ** 2).sum(axis=2)
    bumps = np.maximum(1 - away / reach**2, 0) ** 2
    return np.round((bumps * heights).sum(axis=1) / np.sqrt((bumps**2).sum(axis=1)), 6)


def _ground(draws: Draws, areas: gpd.GeoDataFrame) -> dict[str, np.ndarray]:
    """Draw residents, dwellings and visitors per year, and the features that stay the same."""
    residents = _residents(draws, areas)
    kind = areas["kind"]
    household = 1.9 + 0.5 * draws.uniform("households", len(areas)) + 0.2 * kind.eq("land")
    dwellings = np.round(residents / household.to_numpy()[:, None]).astype(int)
    visitors = kind.map(_DAILY_VISITORS).fillna(0).to_numpy()
    visitors = visitors * (0.8 + 0.4 * draws.uniform("visitors", len(areas)))
    visitors = np.round(visitors[:, None] * np.array([0.7, 0.8, 1.0, 1.03, 1.05]) + 0.12 * residents).astype(
        int
    )
    density = _address_density(areas, dwellings[:, -1])
    urban = np.minimum(density / 2_500, 1.0)
    coast = np.round(np.exp(-areas["coast"].fillna(0).to_numpy() / 1_800), 6)
    return {
        "residents": residents,
        "dwellings": dwellings,
        "visitors": visitors,
        "density": density,
        "urban": urban,
        "coast": coast,
    } | _features(draws, areas, urban, coast)


def _residents(draws: Draws, areas: gpd.GeoDataFrame) -> np.ndarray:
    """Draw residents per year, shape ``(n_areas, n_years)``: skewed like real neighbourhoods."""
    kind = areas["kind"]
    usual = kind.map(_RESIDENTS).fillna(areas["residents"]).where(~kind.isin(["leeg", "water"]), 0)
    width = kind.map(_WIDTH).fillna(0).to_numpy()
    usual = usual.to_numpy() * np.exp(width * draws.normal("residents", len(areas)))
    growth = 1 + 0.03 * (draws.uniform("growth", len(areas)) - 0.35)
    return np.round(np.round(usual, 3)[:, None] * growth[:, None] ** np.arange(len(YEARS))).astype(int)


def _address_density(areas: gpd.GeoDataFrame, dwellings: np.ndarray) -> np.ndarray:
    """Count addresses per km2 in a circle of one kilometre, as CBS does for its urbanity classes."""
    place = areas[["x", "y"]].to_numpy(dtype=float)
    near = ((place[:, None] - place) ** 2).sum(axis=2) < 1_000**2
    return np.round((near @ (dwellings * 1.08)) / 3.1416)


def urbanity(density: np.ndarray) -> np.ndarray:
    """Class address density into the five classes of CBS, 1 = most urban."""
    return 5 - np.searchsorted([500, 1_000, 1_500, 2_500], density, side="right")


def _features(
    draws: Draws, areas: gpd.GeoDataFrame, urban: np.ndarray, coast: np.ndarray
) -> dict[str, np.ndarray]:
    """Draw what areas may be alike in: age, dwelling value, tenure, recreation dwellings."""
    noise = draws.normal("features", 4, len(areas))
    surface = [_surface(draws, name, areas) for name in ("age", "value", "rent")]
    park = areas["kind"].eq("park").to_numpy()
    return {
        "older": np.clip(21 + 7 * coast + 3 * surface[0] - 3 * urban + 3 * noise[0], 5, 55),
        "worth": np.clip(340 + 70 * coast - 60 * urban + 45 * surface[1] + 35 * noise[1], 150, 900),
        "rented": np.clip(22 + 32 * urban + 6 * surface[2] + 8 * noise[2], 2, 95),
        "holiday_homes": _holiday_homes(draws, coast, park) * areas["kind"].ne("water").to_numpy(),
    }


def _holiday_homes(draws: Draws, coast: np.ndarray, park: np.ndarray) -> np.ndarray:
    """Draw holiday homes per area: a few inland, more near the coast, hundreds in a park."""
    usual = 12 + 130 * coast + 350 * park
    homes = usual * np.exp(0.8 * draws.normal("holiday homes", len(coast)))
    return np.round(
        np.where(draws.uniform("no holiday homes", len(coast)) < 0.12 * (1 - park), 0, homes)
    ).astype(int)


# ------------------------------------------------------------------------------------- expected values


def _means(draws: Draws, areas: gpd.GeoDataFrame, ground: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute the surface of each indicator, shape ``(n_areas, n_years)``.

    Counts: expected count. Turnover: thousand euro per studio. Purchases: share of purchases.
    """
    residents, dwellings, visitors = ground["residents"], ground["dwellings"], ground["visitors"]
    urban, coast = ground["urban"], ground["coast"]
    homes = np.repeat(ground["holiday_homes"][:, None], len(YEARS), axis=1)
    rates = {
        PARKS.id: 0.24 * (1 + 0.25 * coast),
        STUDIOS.id: 0.0055 * (0.8 + 0.5 * urban) * (ground["older"] / 21) ** 0.3,
        TURNOVER.id: 46 * (0.85 + 0.3 * urban),
        TRANSACTIONS.id: 0.009 * (0.6 + 0.9 * urban),
        NURSERIES.id: 0.006 * (0.4 + 1.2 * urban) * (0.6 + ground["rented"] / 60),
        PURCHASES.id: 0.13 * (ground["worth"] / 340) ** 0.8,
    }
    bases = {
        PARKS.id: homes,
        STUDIOS.id: residents + 0.05 * visitors,
        TRANSACTIONS.id: residents + 0.05 * visitors,
        NURSERIES.id: dwellings,
    }
    widths = {TURNOVER.id: 0.1}
    return {
        recipe.id: np.round(
            (rates[recipe.id] * np.exp(widths.get(recipe.id, 0.25) * _surface(draws, recipe.id, areas)))[
                :, None
            ]
            * np.array(recipe.levels)
            * bases.get(recipe.id, 1.0),
            9,
        )
        for recipe in RECIPES
    }


def _withheld(draws: Draws, areas: gpd.GeoDataFrame, residents: np.ndarray) -> np.ndarray:
    """Choose cells that are secret (1) or missing (2), shape ``(n_areas, n_indicators, n_years)``."""
    shape = (len(areas), len(RECIPES), len(YEARS))
    withheld = np.zeros(shape, dtype=np.int8)
    small = (residents > 0) & (residents < 150)
    withheld[small[:, None, :] & (draws.uniform("secret", *shape) < 0.03)] = 1
    withheld[draws.uniform("missing", *shape) < 0.002] = 2
    unreported = areas["wijkcode"].eq("WK910802").to_numpy()  # one wijk did not report nurseries in a year
    withheld[unreported, RECIPES.index(NURSERIES), YEARS.index(2021)] = 2
    pair = [RECIPES.index(STUDIOS), RECIPES.index(TURNOVER)]  # turnover is per studio
    withheld[:, pair[1]] = withheld[:, pair].max(axis=1)
    return withheld


# -------------------------------------------------------------------------------------------- planting


def _duos(areas: gpd.GeoDataFrame, means: dict[str, np.ndarray], usable: np.ndarray) -> np.ndarray:
    """Choose two areas, in two gemeenten, where studios, turnover and transactions are high together."""
    least = np.minimum(means[STUDIOS.id], means[TRANSACTIONS.id]).min(axis=1) * usable
    order = np.argsort(-least, kind="stable")
    first, homes = order[0], areas["gemeentecode"].to_numpy()
    return np.array([first, next(area for area in order if homes[area] != homes[first])])


class _Garden:
    """Where anomalies are planted, never within three rings of each other for one indicator.

    Parameters
    ----------
    draws
        Source of chance.
    usable
        Cells where one may be planted, shape ``(n_areas, n_indicators, n_years)``.
    shared
        Lengths of shared borders.
    duos
        Areas where three indicators are high together.
    """

    def __init__(self, draws: Draws, usable: np.ndarray, shared: csr_array, duos: np.ndarray) -> None:
        own = (np.ones(len(usable)), (np.arange(len(usable)), np.arange(len(usable))))
        self._draws, self._usable, self._duos = draws, usable, duos
        self._ties = csr_array(shared > 0) + csr_array(own)
        self.rows: list[tuple[int, str, int, str, float]] = []

    def plant(self, recipe: Recipe, expected: np.ndarray) -> np.ndarray:
        """Plant what an indicator's plans ask for; return the ratio of each of its cells.

        ``expected`` holds events (studios for turnover), shape ``(n_areas, n_years)``.
        """
        expected = np.where(self._usable[:, RECIPES.index(recipe)], expected, 0.0)
        ratios = np.ones(expected.shape)
        blocked = np.zeros(len(expected), dtype=bool)
        for kind, members, years, ratio in self._sites(recipe, expected, blocked):
            ratios[np.ix_(members, years)] = ratio
            blocked |= self._around(members)
            self.rows += [
                (int(area), recipe.id, YEARS[year], kind, ratio) for area in members for year in years
            ]
        return ratios

    def _sites(
        self, recipe: Recipe, expected: np.ndarray, blocked: np.ndarray
    ) -> Iterator[tuple[str, np.ndarray, np.ndarray, float]]:
        """Choose places one by one; ``blocked`` grows between them."""
        all_years = np.arange(len(YEARS))
        if recipe in (STUDIOS, TURNOVER, TRANSACTIONS):
            for area in self._duos:
                yield "high", np.array([area]), all_years, round(sum(recipe.ratios) / 2, 2)
        for number, (plan, hard) in enumerate(_orders(recipe)):
            name = f"plant {recipe.id} {number}"
            chance = self._draws.uniform(name, 2)
            years = all_years if plan.years > 1 else np.array([int(chance[0] * len(YEARS))])
            order = self._draws.order(f"{name} place", len(expected))
            members = self._place(order, plan, hard, expected[:, years].min(axis=1) * ~blocked)
            low, high = _CLUSTER if plan.kind == "cluster" else _LOW if plan.kind == "low" else recipe.ratios
            low, high = _HARD if hard else (low, high)
            yield plan.kind, members, years, round(float(low + (high - low) * chance[1]), 2)

    def _place(self, order: np.ndarray, plan: Plan, hard: bool, least: np.ndarray) -> np.ndarray:
        """Take the first area of a random order with enough to see; for a cluster, with its neighbours."""
        need = {"low": 2 * _LEAST, "high": 0.5 * _LEAST if hard else _LEAST, "cluster": _LEAST}[plan.kind]
        for area in order[least[order] >= need]:
            if plan.kind != "cluster":
                return np.array([area])
            near = self._ties.indices[self._ties.indptr[area] : self._ties.indptr[area + 1]]
            near = np.sort(near[(least[near] >= 0.5 * _LEAST) & (near != area)])
            if len(near) >= 4:
                return np.sort([area, *near[:7]])
        return np.array([], dtype=int)

    def _around(self, members: np.ndarray) -> np.ndarray:
        """Mark areas and the rings of neighbours that keep others away."""
        mark = np.zeros(self._ties.shape[0])
        mark[members] = 1.0
        return self._ties @ (self._ties @ (self._ties @ mark)) > 0


def _orders(recipe: Recipe) -> Iterator[tuple[Plan, bool]]:
    """List anomalies one by one; every fifth high one is hard to find."""
    high = 0
    for plan in recipe.plans:
        for _ in range(plan.count):
            high += plan.kind == "high"
            yield plan, plan.kind == "high" and high % 5 == 3


# --------------------------------------------------------------------------------------------- chance


def _spread(draws: Draws, recipe: Recipe, shape: tuple[int, int]) -> np.ndarray:
    """Draw gamma factors of mean 1 and variance phi about the surface, with a memory."""
    level = special.ndtr(draws.persistent(f"spread {recipe.id}", shape, recipe.memory))
    return np.round(recipe.phi * special.gammaincinv(1 / recipe.phi, level), 9)


def _chance(draws: Draws, recipe: Recipe, shape: tuple[int, int]) -> np.ndarray:
    """Draw uniform numbers, with a memory where an indicator hardly changes from year to year."""
    return special.ndtr(draws.persistent(f"chance {recipe.id}", shape, recipe.chance_memory))


def _poisson(uniform: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Turn uniform numbers into Poisson counts."""
    return np.where(mean > 0, stats.poisson.ppf(uniform, np.maximum(mean, 1e-9)), 0).astype(int)


def _counts(draws: Draws, recipe: Recipe, mean: np.ndarray) -> np.ndarray:
    """Draw overdispersed counts about expected ones."""
    return _poisson(_chance(draws, recipe, mean.shape), mean * _spread(draws, recipe, mean.shape))


def _out_of(draws: Draws, recipe: Recipe, total: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Draw how many of a total, with a share that varies about the surface."""
    share = np.minimum(share * _spread(draws, recipe, share.shape), 0.9)
    return np.where(total > 0, stats.binom.ppf(_chance(draws, recipe, share.shape), total, share), 0).astype(
        int
    )


def _turnover(draws: Draws, mean: np.ndarray, studios: np.ndarray) -> np.ndarray:
    """Draw average turnover per studio in thousand euro; NaN where there is no studio."""
    noise = draws.persistent(f"chance {TURNOVER.id}", mean.shape, TURNOVER.chance_memory)
    scatter = 1 + 0.4 * noise / np.sqrt(np.maximum(studios, 1))
    value = mean * _spread(draws, TURNOVER, mean.shape) * np.maximum(scatter, 0.15)
    return np.where(studios > 0, np.round(value, 1), np.nan)


# --------------------------------------------------------------------------------------------- tables


def _counts_table(
    areas: gpd.GeoDataFrame,
    ground: dict[str, np.ndarray],
    seen: dict[str, np.ndarray],
    bought: np.ndarray,
    withheld: np.ndarray,
) -> pd.DataFrame:
    """Lay out one row per area and year; secret cells hold the code of CBS, missing ones are empty."""
    columns: dict[str, np.ndarray] = {
        "aantal_inwoners": ground["residents"],
        "woningen": ground["dwellings"],
        "bezoekers": ground["visitors"],
        "vakantiewoningen": np.repeat(ground["holiday_homes"][:, None], len(YEARS), axis=1),
    }
    for number, recipe in enumerate(RECIPES):
        if recipe is PURCHASES:
            columns["woningaankopen"] = bought
        columns[recipe.id] = np.where(withheld[:, number] == 1, SECRET, seen[recipe.id].astype(float))
        columns[recipe.id][withheld[:, number] == 2] = np.nan
    table = pd.DataFrame(
        {"buurtcode": np.repeat(areas["buurtcode"], len(YEARS)), "jaar": np.tile(YEARS, len(areas))}
        | {name: values.ravel() for name, values in columns.items()}
    )
    whole = [name for name in columns if name != TURNOVER.id]
    return table.astype(dict.fromkeys(whole, "Int64")).reset_index(drop=True)


def _features_table(areas: gpd.GeoDataFrame, ground: dict[str, np.ndarray]) -> pd.DataFrame:
    """Lay out the features; shares and values are left empty where there are few dwellings."""
    dwellings = ground["dwellings"][:, -1]
    table = pd.DataFrame(
        {
            "percentage_65_jaar_en_ouder": ground["older"].round().astype(int),
            "gemiddelde_woningwaarde": ground["worth"].round().astype(int),
            "percentage_huurwoningen": ground["rented"].round().astype(int),
            "vakantiewoningen": ground["holiday_homes"],
        },
        dtype="Int64",
    )
    table[dwellings < 20] = pd.NA
    table.insert(0, "buurtcode", areas["buurtcode"])
    table.insert(1, "omgevingsadressendichtheid", ground["density"].astype(int))
    table.insert(2, "stedelijkheid", urbanity(ground["density"]))
    table.insert(3, "bezoekers_per_dag", ground["visitors"][:, -1])
    return table


def _truth_table(areas: gpd.GeoDataFrame, rows: list[tuple[int, str, int, str, float]]) -> pd.DataFrame:
    """List the planted anomalies in the order of indicator, area and period."""
    truth = pd.DataFrame(rows, columns=["area", "indicator", "period", "kind", "ratio"])
    truth["area"] = areas["buurtcode"].to_numpy()[truth["area"]]
    return truth.sort_values(["indicator", "area", "period"], ignore_index=True)
