"""Tables of Statistics Netherlands (CBS) as they come: GeoPackage, WFS, old shapefile, StatLine, csv."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyogrio

from zoo_geo import cbs
from zoo_geo.checks import nearest_name, text_codes
from zoo_geo.errors import InputError, Problems, examples
from zoo_geo.notices import Notice, count, which
from zoo_geo.tabular import DECIMAL_COMMA, check_thousands, read_table

Level = Literal["gemeente", "wijk", "buurt"]

_PREFIX = {"gemeente": "GM", "wijk": "WK", "buurt": "BU"}
_DIGITS = {"gemeente": 4, "wijk": 6, "buurt": 8}
_LAYER = {"gemeente": "gemeenten", "wijk": "wijken", "buurt": "buurten"}
_TABLES = (".csv", ".parquet")
_CODE_COLUMNS = {"gemeente": "gemeentecode", "wijk": "wijkcode", "buurt": "buurtcode"}
_RELEASE = re.compile(r"_v(\d)\b")

SPELLINGS: dict[str, tuple[str, ...]] = {
    "buurtcode": ("bu_code",),
    "buurtnaam": ("bu_naam",),
    "wijkcode": ("wk_code",),
    "wijknaam": ("wk_naam",),
    "gemeentecode": ("gm_code",),
    "gemeentenaam": ("gm_naam",),
    "code": ("codering", "gwb_code"),
    "regio": ("wijken_en_buurten", "regio", "regios"),
    "soort_regio": ("recs", "soort_regio"),
    "indelingswijziging_wijken_en_buurten": ("ind_wbi", "indelingswijziging_gemeente_wijk_buurt"),
    "water": ("h2o",),
    "meest_voorkomende_postcode": ("postcode",),
    "dekkingspercentage": ("dek_perc",),
    "omgevingsadressendichtheid": ("oad",),
    "stedelijkheid_adressen_per_km2": ("sted", "mate_van_stedelijkheid"),
    "bevolkingsdichtheid_inwoners_per_km2": ("bev_dichth", "bevolkingsdichtheid"),
    "aantal_inwoners": ("aant_inw", "inwoners"),
    "mannen": ("aant_man",),
    "vrouwen": ("aant_vrouw",),
    "percentage_personen_0_tot_15_jaar": ("p_00_14_jr",),
    "percentage_personen_15_tot_25_jaar": ("p_15_24_jr",),
    "percentage_personen_25_tot_45_jaar": ("p_25_44_jr",),
    "percentage_personen_45_tot_65_jaar": ("p_45_64_jr",),
    "percentage_personen_65_jaar_en_ouder": ("p_65_eo_jr",),
    "aantal_huishoudens": ("aantal_hh", "huishoudens_totaal"),
    "percentage_eenpersoonshuishoudens": ("p_eenp_hh",),
    "gemiddelde_huishoudsgrootte": ("gem_hh_gr",),
    "gemiddelde_woningwaarde": ("woz", "gemiddelde_woz_waarde_van_woningen"),
    "aantal_bedrijfsvestigingen": ("bedrijfsvestigingen_totaal",),
    "aantal_bedrijven_handel_en_horeca": ("gi_handel_en_horeca",),
    "aantal_bedrijven_cultuur_recreatie_overige": ("ru_cultuur_recreatie_overige_diensten",),
    "oppervlakte_land_in_ha": ("opp_land", "oppervlakte_land"),
    "oppervlakte_water_in_ha": ("opp_water", "oppervlakte_water"),
    "oppervlakte_totaal_in_ha": ("opp_tot", "oppervlakte_totaal"),
    "jrstatcode": (),
    "jaar": (),
}
"""Name in the GeoPackage of today to what others call it, in snake case and without numbers of StatLine.

Sources: CBS, *Toelichting Wijk- en Buurtkaart 2022, 2023 en 2024*; headers of the shapefiles to 2021 and of
StatLine tables 83487NED to 85984NED. Counts of ages in StatLine are no percentages and keep their names.
"""


def _squashed(name: str) -> str:
    """Return the letters and digits of a name, which all spellings share."""
    return re.sub(r"[^0-9a-z]", "", name.lower())


_KNOWN = {_squashed(each): name for name, others in SPELLINGS.items() for each in (name, *others)}
_TEXT = (
    "buurtcode", "buurtnaam", "wijkcode", "wijknaam", "gemeentecode", "gemeentenaam", "code", "regio",
    "soort_regio", "water", "meest_voorkomende_postcode", "jrstatcode",
    "indelingswijziging_wijken_en_buurten",
)  # fmt: skip
_ADDITIVE = (
    "aantal_inwoners",
    "mannen",
    "vrouwen",
    "aantal_huishoudens",
    "woningvoorraad",
    "aantal_bedrijfsvestigingen",
)


@dataclass(frozen=True, eq=False)
class CbsTable:
    """Figures of one level and year, made by `read_cbs`.

    Parameters
    ----------
    frame
        On the codes of the areas (index name ``area``): columns under the names of `SPELLINGS`; figures are
        NaN where there is none.
    reasons
        Same shape as the columns of figures: one of ``cbs.REASONS`` per cell.
    year, release
        As given or read; None where neither says it.
    notices
        What is worth knowing, one sentence each.
    """

    frame: pd.DataFrame
    reasons: pd.DataFrame
    year: int | None = None
    release: int | None = None
    notices: tuple[Notice, ...] = ()

    def __repr__(self) -> str:
        shape = f"{len(self.frame):,} areas x {self.reasons.shape[1]} figures"
        return f"<CbsTable: {shape}, {self.year or 'no year'}>"

    @property
    def coded(self) -> pd.DataFrame:
        """The frame with the codes of CBS in cells without a figure, as `Panel.from_frame` reads them."""
        codes = {reason: code for code, reason in cbs.MISSING_REASONS.items() if reason != "missing"}
        frame = self.frame.copy()
        if self.year is not None:
            frame["jaar"] = str(self.year)
        for name in self.reasons:
            frame[name] = frame[name].fillna(self.reasons[name].astype(object).map(codes))
        return frame.reset_index()

    def updated(self, later: CbsTable) -> CbsTable:
        """Return this table with what a later release of the same year adds.

        A later release has the same areas and more figures. Figures that both have are taken from the
        later one; where they differ, a notice says so.

        Raises
        ------
        InputError
            The other table is of another year or holds other areas.
        """
        if self.year is not None and later.year is not None and self.year != later.year:
            raise InputError(f"releases need to be of one year; got {self.year} and {later.year}.")
        odd = self.frame.index.symmetric_difference(later.frame.index)
        if len(odd):
            total = len(self.frame.index.union(later.frame.index))
            raise InputError(f"releases need to hold the same areas; got others ({examples(odd, total)}).")
        notices = [*self.notices, *(line for line in later.notices if line not in self.notices)]
        frame, reasons = later.frame.reindex(self.frame.index), later.reasons.reindex(self.frame.index)
        for name in self.reasons:
            ours, theirs = self.frame[name], frame.get(name)
            if theirs is None:
                frame[name], reasons[name] = ours, self.reasons[name]
                continue
            known, old = theirs.notna(), ours.notna()
            frame[name] = theirs.where(known | ~old, ours)
            reasons[name] = reasons[name].where(known | ~old, self.reasons[name])
            if changed := int((known & old & (theirs != ours)).sum()):
                notices.append(
                    Notice(
                        f"{name}: {changed:,} figures differ in the later release, which is used.",
                        f"{name}: {count(changed)} cijfers zijn anders in de latere levering; die telt.",
                    )
                )
        return replace(later, frame=frame, reasons=reasons, notices=tuple(notices))


def read_cbs(
    source: str | os.PathLike[str] | pd.DataFrame,
    *,
    level: Level = "buurt",
    year: int | None = None,
    layer: str | None = None,
) -> CbsTable:
    """Read a table of CBS about neighbourhoods: figures, and why they are absent where they are.

    Names of columns become those of the GeoPackage (``aantal_inwoners``), whoever wrote them: the WFS
    (``aantalInwoners``), the old shapefile (``AANT_INW``) or StatLine (``AantalInwoners_5``). Rows of other
    levels are left out. Nothing is corrected: residents whose address is not known count in the gemeente
    only, so that parts need not add up to it.

    Parameters
    ----------
    source
        A GeoPackage, shapefile, csv or parquet file, or a table, such as that of ``cbsodata.get_data``.
        Not modified.
    level
        Which rows: gemeente, wijk or buurt.
    year
        Year of the division; checked against the table where that says it.
    layer
        Layer of a file with several; that of the level when not given.

    Raises
    ------
    InputError
        One line per problem, all together: no codes, codes that are numbers or have lost leading zeros,
        another year, text where figures are expected, two columns of one name.

    Examples
    --------
    >>> table = pd.DataFrame({"Codering_3": ["BU00140000  "], "AantalInwoners_5": ["     -99997"]})
    >>> read_cbs(table).reasons["aantal_inwoners"].tolist()
    ['secret']
    """
    if level not in _PREFIX:
        raise InputError(f"level needs to be one of {', '.join(_PREFIX)}; got {level!r}.")
    if isinstance(source, pd.DataFrame):
        return _read(pd.DataFrame(source), level, year, None)
    path = Path(source)
    try:
        table = _load(path, layer or _LAYER[level])
        found = _RELEASE.search(path.stem)
        return _read(table, level, year, int(found[1]) if found else None)
    except InputError as error:
        raise error.within(path.name) from None


def _load(path: Path, layer: str) -> pd.DataFrame:
    """Read a file, without geometry."""
    if not path.exists():
        raise InputError("the file needs to exist; got none there.")
    if path.suffix.lower() in _TABLES:
        return read_table(path, lambda name: plain_name(name) in _TEXT)
    try:
        layers = [str(name) for name, _ in pyogrio.list_layers(path)]
        if layer not in layers and len(layers) > 1:
            listed = ", ".join(layers)
            raise InputError(
                f"layer needs to be one of {listed}; got {layer!r}.{nearest_name(layer, layers)}"
            )
        chosen = layer if layer in layers else layers[0]
        return pyogrio.read_dataframe(path, layer=chosen, read_geometry=False)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"the file needs to be a readable table; got an error: {reason}") from error


def plain_name(name: object) -> str:
    """Return the name of a column in the one vocabulary; a name that it lacks in snake case."""
    text = str(name).strip()
    short = (
        re.sub(r"_\d+$", "", text) if re.search(r"[a-z]", text) and re.search(r"[A-Z]|^k_", text) else text
    )
    for each in (text, short):
        if (known := _KNOWN.get(_squashed(each))) is not None:
            return known
    parts = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[0-9])(?=[A-Z])", "_", short)
    return re.sub(r"[^0-9a-z]+", "_", parts.lower()).strip("_")


def _read(table: pd.DataFrame, level: Level, year: int | None, release: int | None) -> CbsTable:
    """Check a table and lay it out."""
    problems, notices = Problems(), list[Notice]()
    table = _named(table, problems)
    problems.raise_if_any()
    codes = _codes(table, level, problems, notices)
    problems.raise_if_any()
    found = _year(table, codes, year, problems)
    parts = _parts(table, codes, level)
    rows = np.flatnonzero(codes.str.startswith(_PREFIX[level]).to_numpy(bool))
    if not len(rows):
        problems.add(f"the table needs to hold rows of {_LAYER[level]}; got none ({examples(codes)}).")
        problems.raise_if_any()
    if len(rows) < len(codes):
        others = codes.drop(codes.index[rows])
        en, nl = (tell(others, len(codes)) for tell in (examples, which))
        notices.append(
            Notice(
                f"Rows of other levels were left out ({en}).",
                f"Rijen van andere niveaus zijn weggelaten ({nl}).",
            )
        )
    own = table.iloc[rows].set_index(pd.Index(codes.iloc[rows], name="area"))
    _check_unique(own.index, problems)
    frame, reasons = _figures(own, problems, notices)
    problems.raise_if_any()
    frame = _with_water(frame, notices)
    notices += [*parts, *cbs.absent(reasons, release)]
    return CbsTable(frame, reasons, found, release, tuple(notices))


def _named(table: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """Return the table under the names of the vocabulary; ``area`` stays free for the codes."""
    names = [plain_name(name) for name in table.columns]
    names = ["area_given" if name == "area" else name for name in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    for name in twice:
        same = [str(old) for old, new in zip(table.columns, names, strict=True) if new == name]
        problems.add(
            f"columns need to differ in what they are; got {' and '.join(same)}, which are both {name}."
        )
    return table.set_axis(pd.Index(names, dtype=object), axis=1).reset_index(drop=True)


def _codes(table: pd.DataFrame, level: Level, problems: Problems, notices: list[Notice]) -> pd.Series:
    """Return the code of every row with its letters, as text."""
    column = next((name for name in ("code", _CODE_COLUMNS[level]) if name in table), None)
    if column is None and "regio" in table:
        looks = (
            table["regio"]
            .astype(str)
            .str.strip()
            .str.fullmatch(r"(?:NL\d+|GM\d{4}|WK\d{4}\w{2}|BU\d{4}\w{4})")
        )
        column = "regio" if looks.any() else None
        if column is None:
            problems.add(
                "codes need to be in the table; got names of regions only, which are not unique. "
                "Keep the column Codering of StatLine (cbsodata puts titles in place of the key)."
            )
            return pd.Series(dtype=object)
    if column is None:
        listed = ", ".join(map(str, table.columns[:20]))
        problems.add(f"column {_CODE_COLUMNS[level]!r} or 'code' needs to be in the table; got {listed}.")
        return pd.Series(dtype=object)
    codes = text_codes(table[column], f"codes (column {column!r})", problems)
    digits = codes.str.fullmatch(r"\d+").to_numpy(bool)
    whole = digits & (codes.str.len() == _DIGITS[level]).to_numpy()
    if whole.any():
        codes = codes.mask(whole, _PREFIX[level] + codes)
        en, nl = f"{whole.sum():,} codes were given", f"{count(whole.sum())} codes stonden er"
        letters = _PREFIX[level]
        notices.append(Notice(f"{en} without the letters {letters}.", f"{nl} zonder de letters {letters}."))
    short = digits & ~whole
    if short.any():
        width = _DIGITS[level]
        problems.add(
            f"codes (column {column!r}) need to have {width} digits at this level; got others "
            f"({examples(codes[short], len(codes))}). Leading zeros seem lost: read the column as text."
        )
    odd = ~digits & ~cbs.is_code(codes) & ~codes.str.fullmatch(r"(?:NL|LD|PV|CR)\w+|").to_numpy(bool)
    if odd.any():
        problems.add(
            f"codes (column {column!r}) need to be GM and 4 digits, WK and 6 or BU and 8; got others "
            f"({examples(codes[odd], len(codes))}). Leading zeros may be lost: read the column as text."
        )
    return codes


def _year(table: pd.DataFrame, codes: pd.Series, year: int | None, problems: Problems) -> int | None:
    """Return the year of the table, and note where what it says differs."""
    said = pd.Series(dtype=object)
    if "jaar" in table:
        said = table["jaar"].astype(str).str.extract(r"^(\d{4})", expand=False)
    elif "jrstatcode" in table:
        said = table["jrstatcode"].astype(str).str.extract(r"^(\d{4})", expand=False)
    years = sorted({int(each) for each in said.dropna()})
    if len(years) > 1:
        problems.add(
            f"the table needs to be of one year; got {', '.join(map(str, years))}. Read each year apart."
        )
    elif years and year is not None and years[0] != year:
        problems.add(f"the table needs to be of {year}; got {years[0]}. Codes of areas differ between years.")
    return years[0] if years else year


def _check_unique(codes: pd.Index, problems: Problems) -> None:
    """Note areas that have several rows."""
    repeated = codes[codes.duplicated()].unique()
    if len(repeated):
        problems.add(
            f"area codes need to be unique; got repeated ones ({examples(repeated, len(codes))}). "
            "Keep one row of an area of several polygons; name the level that the rows are of."
        )


# -------------------------------------------------------------------------------------------- figures


def _figures(
    table: pd.DataFrame, problems: Problems, notices: list[Notice]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return text columns and figures, and the reason of every cell of figures."""
    columns, reasons, unknown = dict[str, object](), dict[str, object](), list[str]()
    dots = 0
    for name in table.columns:
        if name in _TEXT:
            columns[name] = _stripped(table[name])
            continue
        values, found = _numbers(table[name], name, problems)
        if values is None:
            columns[name] = _stripped(table[name])
            continue
        dots += found
        reason = cbs.missing_reason(values)
        if name in _ADDITIVE:
            _check_whole(values, name, problems)
        odd = (values < cbs.LEAST_FIGURE) & ~np.isin(values, list(cbs.MISSING_REASONS))
        unknown += [f"{value:.0f} in {name}" for value in np.unique(values[odd])]
        columns[name] = np.where(reason == 0, values, np.nan)
        reasons[name] = pd.Categorical.from_codes(reason, pd.Index(list(cbs.REASONS)))
    if unknown:
        notices.append(
            Notice(
                f"Codes that nobody knows were read as missing ({examples(unknown)}).",
                f"Onbekende codes gelden als ontbrekend ({which(unknown)}).",
            )
        )
    if dots:
        notices.append(
            Notice(
                f"{dots:,} cells hold a dot: unknown, unreliable or secret, which StatLine does not tell "
                "apart.",
                f"{count(dots)} cellen bevatten een punt: onbekend, onbetrouwbaar of geheim; StatLine maakt "
                "daartussen geen verschil.",
            )
        )
    frame = pd.DataFrame(columns, index=table.index)
    told = pd.DataFrame(reasons, index=table.index)
    return frame, told.rename_axis("reason", axis=1)


def _check_whole(values: np.ndarray, name: str, problems: Problems) -> None:
    """Note counts that are no whole numbers."""
    broken = values[~np.isnan(values) & (values != np.rint(values))]
    if len(broken):
        problems.add(
            f"column {name!r} needs to be whole counts; got fractions ({examples(broken, len(values))}). "
            "Write 79864, not 79.864 as StatLine shows it."
        )


def _stripped(column: pd.Series) -> pd.Series:
    """Return text without blanks around it; empty and a dot become None."""
    given = column.astype(object)
    text = given.where(given.notna(), "").astype(str).str.strip()
    return text.astype(object).mask(text.isin(cbs.MISSING_TEXT), None)


def _numbers(column: pd.Series, name: str, problems: Problems) -> tuple[np.ndarray | None, int]:
    """Return a column as numbers and how many dots it held; None where it is no column of figures."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return None, 0
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(np.float64, na_value=np.nan, copy=True), 0
    cells = _stripped(column).astype(object)
    given = cells.dropna().astype(str)
    dots = int((column.astype(object).astype(str).str.strip() == ".").sum())
    comma = given.str.fullmatch(DECIMAL_COMMA)
    if comma.any():
        check_thousands(given, f"column {name!r}", problems)
        given = given.mask(comma, given.str.replace(",", ".", regex=False))
    numbers = pd.to_numeric(given, errors="coerce")
    if numbers.isna().any():
        if numbers.notna().any() and name in _KNOWN.values():
            wrong = given[numbers.isna()]
            problems.add(f"column {name!r} needs to be numbers; got text ({examples(wrong, len(cells))}).")
        return None, 0
    values = np.full(len(cells), np.nan)
    values[cells.notna().to_numpy()] = numbers.to_numpy(np.float64)
    return values, dots


def _with_water(frame: pd.DataFrame, notices: list[Notice]) -> pd.DataFrame:
    """Say which areas are water: by the column, else by the code."""
    found = cbs.is_water_code(frame.index)
    if "water" in frame:
        words = frame["water"].astype(object).where(frame["water"].notna(), "NEE").astype(str).str.upper()
        found = found | words.map(cbs.WATER_VALUES).fillna(False).to_numpy(bool)
        if (abroad := frame.index[words == "B"]).size:
            en, nl = (tell(abroad, len(frame)) for tell in (examples, which))
            notices.append(
                Notice(f"Areas abroad (water = B): {en}.", f"Gebieden in het buitenland (water = B): {nl}.")
            )
    if found.any():
        en, nl = (tell(frame.index[found], len(frame)) for tell in (examples, which))
        notices.append(Notice(f"Water areas: {en}.", f"Watergebieden: {nl}."))
    return frame.assign(water=found)


def _parts(table: pd.DataFrame, codes: pd.Series, level: Level) -> Iterable[Notice]:
    """Say by how much parts and gemeenten differ, where the table holds both."""
    if level == "gemeente":
        return
    parts, wholes = (codes.str.startswith(prefix).to_numpy(bool) for prefix in (_PREFIX[level], "GM"))
    if not (parts.any() and wholes.any()):
        return
    for name in (name for name in _ADDITIVE if name in table):
        values, _ = _numbers(table[name], name, Problems())
        if values is None:
            continue
        values = np.where(cbs.missing_reason(values) == 0, values, np.nan)
        ours, theirs = np.nansum(values[parts]), np.nansum(values[wholes])
        if ours != theirs:
            yield Notice(
                f"{name}: {_LAYER[level]} add up to {ours:,.0f}, gemeenten to {theirs:,.0f}. What has no "
                "known address counts in the gemeente only, and figures are rounded; nothing was corrected.",
                f"{name}: {_LAYER[level]} tellen op tot {count(ours)}, gemeenten tot {count(theirs)}. Wat "
                "geen "
                "bekend adres heeft telt alleen in de gemeente, en cijfers zijn afgerond; er is niets aan "
                "veranderd.",
            )
