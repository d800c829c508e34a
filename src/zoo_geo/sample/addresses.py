"""Addresses of the made-up province: dwellings, homes in holiday parks, shops and offices."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from zoo_geo.sample.draws import Draws
from zoo_geo.sample.slots import make_slots, spells, within

DWELLING, HOLIDAY_HOME, PREMISES = "woning", "recreatiewoning", "winkel of kantoor"
_PARK_SIZE = 300


@dataclass(frozen=True)
class Addresses:
    """Addresses in the order of kind and area.

    Parameters
    ----------
    table, parks
        The registers.
    dwellings
        Dwellings per area and year, shape (n_areas, n_years).
    homes, premises
        Holiday homes and premises per area, the same in all years, shape (n_areas,).
    """

    table: pd.DataFrame
    parks: pd.DataFrame
    dwellings: np.ndarray
    homes: np.ndarray
    premises: np.ndarray

    def dwelling(self, area: np.ndarray, first: np.ndarray, last: np.ndarray, pick: np.ndarray) -> np.ndarray:
        """Return the row of a dwelling that stands from first to last year; premises where there is none.

        ``pick`` is any whole number from 0; its remainder chooses.
        """
        number = np.minimum(self.dwellings[area, first], self.dwellings[area, last])
        start = np.cumsum(self.dwellings.max(axis=1)) - self.dwellings.max(axis=1)
        return np.where(number > 0, start[area] + pick % np.maximum(number, 1), self.office(area, pick))

    def home(self, area: np.ndarray, pick: np.ndarray) -> np.ndarray:
        """Return the row of a holiday home."""
        start = self.dwellings.max(axis=1).sum() + np.cumsum(self.homes) - self.homes
        return start[area] + pick % self.homes[area]

    def office(self, area: np.ndarray, pick: np.ndarray) -> np.ndarray:
        """Return the row of a shop or office."""
        start = self.dwellings.max(axis=1).sum() + self.homes.sum() + np.cumsum(self.premises) - self.premises
        return start[area] + pick % self.premises[area]


def make_addresses(
    draws: Draws,
    areas: gpd.GeoDataFrame,
    dwellings: np.ndarray,
    homes: np.ndarray,
    premises: np.ndarray,
    years: np.ndarray,
) -> Addresses:
    """Make the addresses of a province; arguments as in `Addresses`, ``years`` names the columns."""
    slots = make_slots(dwellings)
    lived = spells(slots)
    assert len(lived.slot) == len(slots.area), "dwellings only come or only go in an area"
    parks, park = _parks(areas, homes)
    area = np.concatenate([slots.area, *(np.repeat(np.arange(len(areas)), n) for n in (homes, premises))])
    sizes = [len(slots.area), homes.sum(), premises.sum()]
    table = pd.DataFrame(
        {
            "adres": keys("A", len(area), 7),
            "buurtcode": areas["buurtcode"].to_numpy()[area],
            "gebruik": np.repeat([DWELLING, HOLIDAY_HOME, PREMISES], sizes),
            "park": np.concatenate([np.full(sizes[0], None), park, np.full(sizes[2], None)]),
            "van": np.concatenate([years[lived.first], np.full(sum(sizes[1:]), years[0])]),
            "tot": np.concatenate([years[lived.last], np.full(sum(sizes[1:]), years[-1])]),
        }
    )
    table[["x", "y"]] = _points(draws, areas.geometry.to_numpy(), area)
    return Addresses(table, parks, dwellings, homes, premises)


def keys(letter: str, n: int, width: int) -> np.ndarray:
    """Return keys from 1: A0000001, A0000002 and so on."""
    return (letter + pd.Series(np.arange(1, n + 1)).astype(str).str.zfill(width)).to_numpy(object)


def _parks(areas: gpd.GeoDataFrame, homes: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Divide the holiday homes of each area over parks; return the parks and the park of each home."""
    count = -(-homes // _PARK_SIZE)
    area = np.repeat(np.arange(len(areas)), count)
    codes = keys("P", len(area), 4)
    number = within(count) + 1
    names = areas["buurtnaam"].to_numpy()[area]
    parks = pd.DataFrame(
        {
            "park": codes,
            "naam": [f"Park {name} {n}" for name, n in zip(names, number, strict=True)],
            "gemeentecode": areas["gemeentecode"].to_numpy()[area],
        }
    )
    of_home = np.repeat(np.cumsum(count) - count, homes) + within(homes) // _PARK_SIZE
    return parks, codes[of_home]


def _points(draws: Draws, shapes: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Draw a point inside its area for every address, on decimetres, shape (n_addresses, 2)."""
    stream = draws.stream("addresses")
    points = np.empty((len(area), 2))
    for number, shape in enumerate(shapes):
        own = np.flatnonzero(area == number)
        shapely.prepare(shape)
        low, high = np.reshape(shape.bounds, (2, 2))
        while len(own):
            drawn = np.round(low + (high - low) * stream.random((len(own), 2)), 1)
            points[own] = drawn
            own = own[~shapely.contains_xy(shape, *drawn.T)]
    return points
