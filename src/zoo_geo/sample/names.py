"""Names of the made-up province: no real places, some with letters that trip careless software."""

from __future__ import annotations

import geopandas as gpd

from zoo_geo.sample.draws import Draws

VILLAGES = (
    "Schelpwijk", "Oudezwin", "Zeeraai", "Kwelderoord", "Lamsmaarn", "Torenpolder", "Roggemaarn",
    "Strandhuizen", "Elzenhorne", "Pierhuizen", "Ganzerhorn", "Klein Batavië", "Meeuwerzijl",
    "Stuifmaarn", "Achterdune", "Oosterhaaf", "Veldhorne", "Biezewolde", "Kattewater", "Hoogewier",
    "Sluizerkapel", "Wulperdam", "Knotwolde", "'s-Gravenzwin",
)  # fmt: skip
_VILLAGE_PARTS = ("", "-Uitbreiding", "-Buitendorp")
_ISLANDS = ("Halmeroog", "Vogelplaat 't Stuifke")
_WATERS = ("Schelpmeer", "Noordzee voor de kust")
_SPECIAL = ("'t Zand", "Curaçaokade", "Coöperatiebuurt", "Ruïneveld", "Sint-Andréplein", "Zeeëgelhof")
_STEMS = (
    "Meeuwen", "Wulpen", "Duindoorn", "Kokkel", "Zeewier", "Oester", "Lamsoor", "Kwelder", "Helmgras",
    "Garnalen", "Mossel", "Scholekster", "Zilt", "Baken", "Ansjovis", "Strandloper", "Zeekraal", "Kluten",
    "Brasem", "Palingen", "Wadpier", "Alikruik", "Zeehonden", "Bruinvis", "Stern", "Plevieren", "Kreukel",
    "Blauwdistel", "Rietzanger", "Slikgors", "Eidereend", "Zandspiering", "Engelsgras", "Wierling",
    "Roggen", "Tarbot",
)  # fmt: skip
_URBAN = (
    "buurt",
    "kwartier",
    "hof",
    "park",
    "plein",
    "veld",
    "kade",
    "singel",
    "weide",
    "dreef",
    "laan",
    "werf",
)
_RURAL = ("polder", "hoek", "broek", "horn", "akkers", "gors", "dijk", "waard", "kamp", "zijl")
_LEADS = {"bedrijven": "Bedrijventerrein ", "park": "Duinpark ", "leeg": "Natuurgebied "}
_WHOLE_DISTRICTS = {"water": "Water", "eiland": "Eilanden"}


def add_names(draws: Draws, frame: gpd.GeoDataFrame, towns: dict[str, tuple[int, int]]) -> None:
    """Add `buurtnaam` and `wijknaam`; no two areas of the province have the same name.

    Parameters
    ----------
    draws
        Source of chance.
    frame
        Areas with codes, kind and village.
    towns
        Where each town lies.
    """
    frame["buurtnaam"] = _area_names(draws, frame)
    names: dict[str, str] = {}
    for code, own in frame.groupby("wijkcode"):
        name = _district_name(own, *towns[own["gemeentenaam"].iloc[0]])
        repeats = sum(given.split(" (")[0] == name for given in names.values())
        names[str(code)] = name if not repeats else f"{name} ({repeats + 1})"
    frame["wijknaam"] = frame["wijkcode"].map(names)


def _shuffled(draws: Draws, ends: tuple[str, ...]) -> list[str]:
    """Combine stems with endings, in a random order."""
    names = [f"{stem}{end}" for stem in _STEMS for end in ends]
    return [names[k] for k in draws.order(f"names {ends[0]}", len(names))]


def _area_names(draws: Draws, frame: gpd.GeoDataFrame) -> list[str]:
    """Name areas after the village, plants, birds and the sea."""
    urban, rural = iter([*_SPECIAL, *_shuffled(draws, _URBAN)]), iter(_shuffled(draws, _RURAL))
    fixed = {"eiland": iter(_ISLANDS), "water": iter(_WATERS)}
    part = frame.groupby("village").cumcount()
    names = []
    for row, kind in enumerate(frame["kind"]):
        if kind in fixed:
            names.append(next(fixed[kind]))
        elif kind == "centrum":
            names.append(f"{frame['gemeentenaam'].iloc[row]}-Centrum")
        elif kind == "dorp":
            names.append(VILLAGES[frame["village"].iloc[row]] + _VILLAGE_PARTS[part.iloc[row]])
        else:
            names.append(_LEADS.get(kind, "") + next(urban if kind == "stad" else rural))
    return names


def _district_name(own: gpd.GeoDataFrame, x: int, y: int) -> str:
    """Name a wijk after its town and where it lies from there (``x, y``), or after a village in it."""
    home, kind = own["gemeentenaam"].iloc[0], own["kind"].iloc[0]
    if kind in _WHOLE_DISTRICTS:
        return f"{_WHOLE_DISTRICTS[kind]} {home}"
    if own["wijkcode"].iloc[0].endswith("00"):
        return f"{home}-Centrum"
    side = _direction(own["x"].mean() - x, own["y"].mean() - y)
    if (own["kind"] == "stad").mean() > 0.5:
        return f"{home}-{side}"
    villages = own.loc[own["buurtnaam"].isin(VILLAGES), "buurtnaam"]
    return f"{villages.iloc[0]} en omstreken" if len(villages) else f"Buitengebied {home}-{side}"


def _direction(east: float, north: float) -> str:
    """Say which of the four winds a place lies towards."""
    if abs(east) > abs(north):
        return "Oost" if east > 0 else "West"
    return "Noord" if north > 0 else "Zuid"
