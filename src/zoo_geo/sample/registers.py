"""Registers behind the figures of the made-up province: counted by area and year, they give its tables.

Everything is made of the counts. Persons carry numbers of nine digits that pass the eleven test and begin
with 99, as the published test numbers of the Dutch personal records database do (999990019); companies
carry numbers that begin with 9.
"""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd

from zoo_geo.sample.addresses import Addresses, keys, make_addresses
from zoo_geo.sample.draws import Draws
from zoo_geo.sample.figures import NURSERIES, PARKS, PURCHASES, STUDIOS, TRANSACTIONS, TURNOVER, YEARS, Cells
from zoo_geo.sample.slots import Slots, cells, divide, make_slots, spells

_YEARS = np.array(YEARS)
_NATURAL = 0.85  # share of registrations at parks that are persons, as far as there are residents
_POSITIONS = ("alleenstaande ouder", "alleenstaand", "partner", "kind")
_SHARES = (0.035, 0.22, 0.72)
_STUDIO_CODES = ("96021", "96022")
_LEGAL_CODES = ("6420", "68203", "70222", "5520", "41102")
_OTHER_CODES = ("9604", "96031", "9609", "47111", "56101", "43221", "86231", "4932")
_LANDLORD = "68204"
_PURCHASE_PRICE = 310_000


@dataclass(frozen=True)
class _People:
    """Everybody who is ever registered: numbers, and the places that they hold, in the same order."""

    bsn: np.ndarray
    slots: Slots
    starts: np.ndarray
    """Row of the first person of each area."""

    def resident(self, draws: Draws, area: np.ndarray, year: np.ndarray, pick: np.ndarray) -> np.ndarray:
        """Return the row of somebody registered in an area and year; of anybody where nobody is.

        Places are taken from the first, so that those of a year are the first ones of the area.
        """
        there = self.slots.states > 0
        count = np.stack([np.bincount(self.slots.area[own], minlength=len(self.starts)) for own in there.T])
        number = count[year, area]
        local = self.starts[area] + pick % np.maximum(number, 1)
        anybody = (draws.uniform("anybody", len(area)) * len(self.bsn)).astype(int)
        return np.where(number > 0, local, anybody)


def make_registers(draws: Draws, areas: gpd.GeoDataFrame, counted: Cells) -> dict[str, pd.DataFrame]:
    """Make the registers of a province.

    Parameters
    ----------
    draws
        Source of chance.
    areas
        From `make_province`.
    counted
        What the figures count, from `make_figures`.

    Returns
    -------
    dict
        Name of the register to its table.
    """
    seen = counted.seen
    premises = 1 + seen[STUDIOS.id].max(axis=1) // 3
    addresses = make_addresses(draws, areas, counted.dwellings, counted.holiday_homes, premises, _YEARS)
    natural = np.minimum(np.round(_NATURAL * seen[PARKS.id]).astype(int), counted.residents)
    people = _people(draws, natural, counted.residents)
    companies, turnover = _companies(draws, addresses, counted, seen[PARKS.id] - natural)
    landlords = companies.loc[companies["sbi"] == _LANDLORD, "kvk"].to_numpy()
    tables = {
        "personen": _persons(draws, people),
        "inschrijvingen": _registrations(people, addresses),
        "adressen": addresses.table,
        "parken": addresses.parks,
        "bedrijven": companies,
        "omzet": turnover,
        "vastgoed": _owners(draws, people, addresses, landlords),
        "aankopen": _purchases(draws, people, addresses, counted.bought, seen[PURCHASES.id]),
        "transacties": _transactions(draws, people, addresses, seen[TRANSACTIONS.id]),
        "ruimingen": _clearances(draws, addresses, seen[NURSERIES.id]),
    }
    return tables | {"jaren": pd.DataFrame({"jaar": _YEARS})}


def _picks(draws: Draws, name: str, n: int) -> np.ndarray:
    """Draw large whole numbers, of which remainders choose."""
    return (draws.uniform(name, n) * 2**40).astype(np.int64)


def _choice(draws: Draws, name: str, n: int, options: tuple[str, ...]) -> np.ndarray:
    return np.array(options, dtype=object)[(draws.uniform(name, n) * len(options)).astype(int)]


# --------------------------------------------------------------------------------------------- people


def passing_numbers() -> np.ndarray:
    """List all numbers of nine digits that begin with 99 and pass the eleven test.

    Digits times 9, 8, 7, 6, 5, 4, 3, 2 and -1 add up to a multiple of eleven.
    """
    first = np.arange(99_000_000, 100_000_000)
    total = sum(weight * (first // 10 ** (weight - 2) % 10) for weight in range(2, 10))
    last = total % 11
    return 10 * first[last < 10] + last[last < 10]


def _people(draws: Draws, at_park: np.ndarray, residents: np.ndarray) -> _People:
    """Give every area its residents; some are registered at a park in some years."""
    slots = make_slots(at_park, residents)
    numbers = passing_numbers()
    bsn = numbers[draws.order("bsn", len(numbers))[: len(slots.area)]]
    sizes = residents.max(axis=1)
    return _People(bsn.astype(str).astype(object), slots, np.cumsum(sizes) - sizes)


def _persons(draws: Draws, people: _People) -> pd.DataFrame:
    """Lay out who everybody is."""
    n = len(people.bsn)
    position = np.array(_POSITIONS, dtype=object)[np.searchsorted(_SHARES, draws.uniform("position", n))]
    alone = position == _POSITIONS[0]
    child = position == _POSITIONS[-1]
    age = np.where(child, 18 * draws.uniform("age", n), 18 + 70 * draws.uniform("age", n))
    debts = draws.uniform("debts", n) < np.where(alone, 0.25, 0.08)
    return pd.DataFrame(
        {
            "bsn": people.bsn,
            "geboortejaar": (_YEARS[0] - age).astype(int),
            "positie_huishouden": position,
            "problematische_schulden": debts & ~child,
        }
    )


def _registrations(people: _People, addresses: Addresses) -> pd.DataFrame:
    """Lay out who is registered where, from and to which year."""
    lived = spells(people.slots)
    area, number = people.slots.area[lived.slot], people.slots.number[lived.slot]
    at_park = lived.state == 1
    row = addresses.dwelling(area, lived.first, lived.last, number)
    row[at_park] = addresses.home(area[at_park], number[at_park])
    return pd.DataFrame(
        {
            "bsn": people.bsn[lived.slot],
            "adres": addresses.table["adres"].to_numpy()[row],
            "van": _YEARS[lived.first],
            "tot": _YEARS[lived.last],
        }
    )


# ------------------------------------------------------------------------------------------ companies


def _companies(
    draws: Draws, addresses: Addresses, counted: Cells, at_park: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make studios, legal persons at parks, other companies and landlords, and the turnover of studios."""
    studios = counted.seen[STUDIOS.id]
    slots = make_slots(studios)
    runs = spells(slots)
    parts = [
        _studios(draws, addresses, slots),
        _legal(draws, addresses, make_slots(at_park)),
        _others(draws, addresses, counted.residents),
    ]
    companies = pd.concat(parts, ignore_index=True)
    numbers = 90_000_000 + draws.order("kvk", 2 * len(companies))[: len(companies)]
    companies.insert(0, "kvk", numbers.astype(str).astype(object))
    companies["adres"] = addresses.table["adres"].to_numpy()[companies["adres"].to_numpy()]
    turnover = _turnover(draws, slots, companies["kvk"].to_numpy()[: len(runs.slot)], counted)
    return companies, turnover


def _studios(draws: Draws, addresses: Addresses, slots: Slots) -> pd.DataFrame:
    """Make hairdressers and beauty salons; most work at home."""
    runs = spells(slots)
    n, area = len(runs.slot), slots.area[runs.slot]
    pick = _picks(draws, "studio address", n)
    at_home = draws.uniform("studio at home", n) < 0.6
    row = np.where(
        at_home, addresses.dwelling(area, runs.first, runs.last, pick), addresses.office(area, pick)
    )
    return pd.DataFrame(
        {
            "naam": "Studio",
            "rechtsvorm": np.where(draws.uniform("studio form", n) < 0.8, "eenmanszaak", "bv"),
            "sbi": _choice(draws, "studio code", n, _STUDIO_CODES),
            "sbi_versie": "2008",
            "adres": row,
            "van": _YEARS[runs.first],
            "tot": _YEARS[runs.last],
        }
    )


def _legal(draws: Draws, addresses: Addresses, slots: Slots) -> pd.DataFrame:
    """Make legal persons that are registered at a holiday park."""
    runs = spells(slots)
    n, area = len(runs.slot), slots.area[runs.slot]
    return pd.DataFrame(
        {
            "naam": "Beheer",
            "rechtsvorm": np.where(draws.uniform("legal form", n) < 0.9, "bv", "stichting"),
            "sbi": _choice(draws, "legal code", n, _LEGAL_CODES),
            "sbi_versie": "2008",
            "adres": addresses.home(area, _picks(draws, "legal address", n)),
            "van": _YEARS[runs.first],
            "tot": _YEARS[runs.last],
        }
    )


def _others(draws: Draws, addresses: Addresses, residents: np.ndarray) -> pd.DataFrame:
    """Make companies of other branches, some of them close to the studios, and a few landlords."""
    count = residents[:, -1] // 40
    area = np.repeat(np.arange(len(count)), count)
    n = len(area)
    landlord = draws.order("landlords", n) < 12
    code = np.where(landlord, _LANDLORD, _choice(draws, "other code", n, _OTHER_CODES))
    return pd.DataFrame(
        {
            "naam": np.where(landlord, "Woonstichting", "Bedrijf"),
            "rechtsvorm": np.where(
                landlord, "stichting", _choice(draws, "other form", n, ("eenmanszaak", "bv"))
            ),
            "sbi": code,
            "sbi_versie": "2008",
            "adres": addresses.office(area, _picks(draws, "other address", n)),
            "van": _YEARS[0],
            "tot": _YEARS[-1],
        }
    )


def _turnover(draws: Draws, slots: Slots, kvk: np.ndarray, counted: Cells) -> pd.DataFrame:
    """Divide the turnover of an area over its studios, in euro; their mean is that of the tables."""
    taken = slots.states > 0
    begins = taken & ~np.hstack([np.zeros((len(taken), 1), bool), taken[:, :-1]])
    company = (np.cumsum(begins.ravel()) - 1)[taken.ravel()]
    slot, year = np.nonzero(taken)
    order = np.lexsort([slot, year, slots.area[slot]])
    company, slot, year = company[order], slot[order], year[order]
    studios = counted.seen[STUDIOS.id]
    mean = np.nan_to_num(counted.seen[TURNOVER.id])
    totals = np.rint(mean * 10).astype(np.int64) * 100 * studios
    weights = np.exp(0.5 * draws.normal("turnover of studios", len(company)))
    cell = slots.area[slot] * len(YEARS) + year
    return pd.DataFrame(
        {"kvk": kvk[company], "jaar": _YEARS[year], "omzet": divide(totals.ravel(), cell, weights)}
    )


# ------------------------------------------------------------------------------------- property, events


def _owners(draws: Draws, people: _People, addresses: Addresses, landlords: np.ndarray) -> pd.DataFrame:
    """Give every dwelling and holiday home an owner: somebody near, anybody, or a landlord."""
    most = addresses.dwellings.max(axis=1)
    area = np.concatenate([np.repeat(np.arange(len(most)), n) for n in (most, addresses.homes)])
    n = len(area)
    chance, pick = draws.uniform("who owns", n), _picks(draws, "owner", n)
    sizes = np.diff(np.append(people.starts, len(people.bsn)))
    near = people.bsn[
        np.minimum(people.starts[area] + pick % np.maximum(sizes[area], 1), len(people.bsn) - 1)
    ]
    owner = np.where(chance < 0.57, near, people.bsn[pick % len(people.bsn)])
    let = (chance > 0.68) & (np.arange(n) < most.sum())
    owner[let] = landlords[pick[let] % len(landlords)]
    return pd.DataFrame(
        {
            "adres": addresses.table["adres"].to_numpy()[:n],
            "eigenaar": owner,
            "soort_eigenaar": np.where(let, "rechtspersoon", "natuurlijk persoon"),
        }
    )


def _purchases(
    draws: Draws, people: _People, addresses: Addresses, bought: np.ndarray, unexplained: np.ndarray
) -> pd.DataFrame:
    """Make purchases of dwellings; of some, more was paid than income and wealth of the buyer can explain."""
    area, year, number = cells(bought)
    n = len(area)
    odd = number < unexplained[area, year]
    buyer = np.empty(n, dtype=int)
    for at in range(len(YEARS)):
        there = np.flatnonzero(people.slots.states[:, at] > 0)
        own = year == at
        buyer[own] = there[draws.order(f"buyers {at}", len(there))[: own.sum()]]
    income = np.rint(28_000 * np.exp(0.35 * draws.normal("income", n))).astype(int)
    wealth = np.rint(60_000 * draws.uniform("wealth", n) ** 2).astype(int)
    chance = draws.uniform("own money", n)
    explained = np.floor(chance * (income + wealth)).astype(int)
    own_money = np.where(odd, income + wealth + 5_000 + np.floor(150_000 * chance).astype(int), explained)
    price = np.rint(_PURCHASE_PRICE * np.exp(0.3 * draws.normal("price", n))).astype(int)
    price = np.maximum(price, own_money)
    row = addresses.dwelling(area, year, year, _picks(draws, "bought", n))
    return pd.DataFrame(
        {
            "aankoop": keys("K", n, 6),
            "adres": addresses.table["adres"].to_numpy()[row],
            "jaar": _YEARS[year],
            "koper": people.bsn[buyer],
            "koopsom": price,
            "hypotheek": price - own_money,
            "inkomen": income,
            "vermogen": wealth,
        }
    )


def _transactions(
    draws: Draws, people: _People, addresses: Addresses, suspicious: np.ndarray
) -> pd.DataFrame:
    """Make unusual transactions, of which one in four is suspicious; some subjects have several."""
    area, year, number = cells(4 * suspicious)
    n = len(area)
    count = suspicious[area, year]
    subject = (draws.uniform("subject", n) * np.ceil(2.4 * count)).astype(int) * 37
    person = people.resident(draws, area, year, subject)
    row = addresses.office(area, _picks(draws, "counter", n))
    return pd.DataFrame(
        {
            "transactie": keys("T", n, 7),
            "bsn": people.bsn[person],
            "adres": addresses.table["adres"].to_numpy()[row],
            "jaar": _YEARS[year],
            "bedrag": np.rint(9_000 * np.exp(0.9 * draws.normal("amount", n))).astype(int),
            "oordeel": np.where(number < count, "verdacht", "ongebruikelijk"),
        }
    )


def _clearances(draws: Draws, addresses: Addresses, nurseries: np.ndarray) -> pd.DataFrame:
    """Make cleared hemp nurseries, and some drug laboratories that are none."""
    area, year, number = cells(nurseries + nurseries // 5)
    start = _picks(draws, "first nursery", nurseries.size)[area * len(YEARS) + year]
    row = addresses.dwelling(area, year, year, start + number)
    return pd.DataFrame(
        {
            "ruiming": keys("R", len(area), 6),
            "adres": addresses.table["adres"].to_numpy()[row],
            "jaar": _YEARS[year],
            "soort": np.where(number < nurseries[area, year], "hennepkwekerij", "drugslaboratorium"),
        }
    )
