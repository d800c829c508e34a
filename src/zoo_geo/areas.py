"""Areas: codes, names, hierarchy and geometry of a map, checked once when it is read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely

from zoo_geo import cbs
from zoo_geo.checks import check_columns, nearest_name, row_labels, text_codes
from zoo_geo.errors import InputError, Problems, examples
from zoo_geo.geometry import check_repeated, dissolve, read_geometry
from zoo_geo.notices import Notice, which

_RESERVED = ("area", "name", "water", "geometry")
_PARQUET = (".parquet", ".geoparquet", ".pq")
_UNREADABLE = (OSError, ValueError, RuntimeError, shapely.errors.ShapelyError)


@dataclass(frozen=True, eq=False)
class Areas:
    """The areas of a map, made by `read_areas`.

    Parameters
    ----------
    frame
        One row per area on its code (index name ``area``): ``name``, a column of codes per parent
        level, ``water`` and the geometry.
    parents
        The parent levels, smallest first.
    notices
        What was mended or is worth knowing, one sentence each.
    """

    frame: gpd.GeoDataFrame
    parents: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<Areas: {len(self):,} areas, parents {list(self.parents)}, {self.crs.to_string()}>"

    @property
    def codes(self) -> pd.Index:
        """Codes as text, in the order of the map."""
        return self.frame.index

    @property
    def crs(self) -> pyproj.CRS:
        """Coordinate reference system."""
        return self.frame.crs

    @cached_property
    def points(self) -> np.ndarray:
        """A point inside each area, shape (n_areas, 2), in the units of the CRS."""
        return shapely.get_coordinates(shapely.point_on_surface(self.frame.geometry.to_numpy()))

    def parent(self, level: str) -> pd.Series:
        """Return the code of the parent of each area.

        Raises
        ------
        InputError
            The areas have no such level.
        """
        if level not in self.parents:
            raise InputError(
                f"level needs to be one of the parents {list(self.parents)}; got {level!r}. "
                "Pass it to read_areas(parents=)."
            )
        return self.frame[level]

    def subset(self, codes: Iterable[str]) -> Areas:
        """Return some of the areas, in the order of the codes given.

        Raises
        ------
        InputError
            A code is not on the map.
        """
        wanted = pd.Index(list(codes))
        absent = wanted[~wanted.isin(self.codes)]
        if len(absent):
            raise InputError(f"codes need to be on the map; got others ({examples(absent, len(wanted))}).")
        return replace(self, frame=self.frame.loc[wanted].rename_axis("area"))


def read_areas(
    source: str | os.PathLike[str] | gpd.GeoDataFrame,
    *,
    layer: str | None = None,
    id: str | None = None,
    name: str | None = None,
    parents: Mapping[str, str] | None = None,
    water: str | None = None,
) -> Areas:
    """Read a map and check it.

    Codes lose the blanks around them; invalid polygons are repaired; several polygons of one code
    become one area when their other columns agree. The notices say so. Row order is kept.

    Parameters
    ----------
    source
        GeoPackage, GeoParquet, GeoJSON, shapefile, or a GeoDataFrame (not modified).
    layer
        Layer of the file; needed when it holds several.
    id
        Column of the area codes; the index of the table when not given.
    name
        Column of the area names; the code where there is none.
    parents
        Level to column of its codes, smallest level first, e.g. ``{"gemeente": "gemeentecode"}``.
    water
        Column that says which areas are water (JA, NEE, B or true, false); a CBS column ``water`` or
        ``H2O`` is found without.

    Raises
    ------
    InputError
        The file cannot be read, or the map is wrong: one line per problem, all together.

    Examples
    --------
    >>> import geopandas as gpd
    >>> from shapely import box
    >>> squares = [box(0, 0, 1, 1), box(1, 0, 2, 1)]
    >>> table = gpd.GeoDataFrame({"code": ["BU01", "BU02"]}, geometry=squares, crs=28992)
    >>> read_areas(table, id="code").codes.tolist()
    ['BU01', 'BU02']
    """
    named = _Columns(id, name, dict(parents or {}), water)
    if isinstance(source, gpd.GeoDataFrame):
        return _check(source, named)
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"areas need to be a path or a GeoDataFrame; got {type(source).__name__}.")
    try:
        return _check(_load(Path(source), layer), named)
    except InputError as error:
        raise error.within(str(source)) from None


def _load(path: Path, layer: str | None) -> gpd.GeoDataFrame:
    """Read a file; whatever goes wrong becomes an InputError."""
    if not path.exists():
        raise InputError("the file needs to exist; got none there.")
    try:
        if path.suffix.lower() in _PARQUET:
            return gpd.read_parquet(path)
        return gpd.read_file(path, engine="pyogrio", layer=_choose_layer(path, layer))
    except InputError:
        raise
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"the file needs to be a readable map; got an error: {reason}") from error


def _choose_layer(path: Path, layer: str | None) -> str:
    """Return the layer named, or the only one that has geometry."""
    found = [str(title) for title, kind in pyogrio.list_layers(path) if kind is not None]
    if layer is None and len(found) == 1:
        return found[0]
    if layer in found:
        return layer
    got = "none" if layer is None else repr(layer)
    listed = ", ".join(found) or "those with geometry (there is none)"
    hint = "" if layer is None else nearest_name(layer, found)
    raise InputError(f"layer needs to be one of {listed}; got {got}.{hint}")


@dataclass(frozen=True)
class _Columns:
    """Which column of a table holds what; None where there is none."""

    id: str | None
    name: str | None
    parents: Mapping[str, str]
    water: str | None

    def named(self) -> list[str]:
        """Return the columns that the call names."""
        return [
            column
            for column in (self.id, self.name, *self.parents.values(), self.water)
            if column is not None
        ]

    def found_in(self, table: pd.DataFrame) -> _Columns:
        """Return the same without the columns that the table lacks."""
        parents = {
            level: column
            for level, column in self.parents.items()
            if column in table and level not in _RESERVED
        }
        name, water = (column if column in table else None for column in (self.name, self.water))
        return replace(self, name=name, parents=parents, water=water)


def _check(table: gpd.GeoDataFrame, named: _Columns) -> Areas:
    """Check a table and make it Areas."""
    problems, notices = Problems(), list[Notice]()
    _check_table(table, problems)
    problems.raise_if_any()
    _check_call(table, named, problems)
    use = named.found_in(table)
    codes = _read_codes(table, use.id, problems)
    geometry = read_geometry(table, codes, problems, notices)
    frame = _read_columns(table, use, codes, problems, notices)
    check_repeated(table, codes, geometry, problems)
    problems.raise_if_any()
    whole = dissolve(gpd.GeoDataFrame(frame, geometry=geometry, crs=table.crs), notices)
    _note_water(whole["water"], notices)
    return Areas(whole, tuple(use.parents), tuple(notices))


def _check_table(table: pd.DataFrame, problems: Problems) -> None:
    """Note a table that holds no map at all."""
    active = getattr(table, "active_geometry_name", None)
    if active is None:
        problems.add("the table needs to have a geometry column; got none.")
    elif str(table[active].dtype) != "geometry":
        problems.add(f"column {active!r} needs to be geometry; got {table[active].dtype}. Use set_geometry.")
    if not len(table):
        problems.add("the map needs to hold areas; got no rows.")


def _check_call(table: gpd.GeoDataFrame, named: _Columns, problems: Problems) -> None:
    """Note what the table lacks as a whole: CRS and columns."""
    if table.crs is None:
        problems.add("the map needs to have a CRS; got none. Set it, for the Netherlands set_crs(28992).")
    check_columns(named.named(), table.columns, problems)
    for level in named.parents:
        if level in _RESERVED:
            problems.add(f"names of parent levels need to differ from {', '.join(_RESERVED)}; got {level!r}.")


def _read_codes(table: gpd.GeoDataFrame, id: str | None, problems: Problems) -> pd.Series:
    """Return the area codes as text on a fresh index; empty where the column is missing."""
    if id is None and pd.api.types.is_integer_dtype(table.index.dtype):
        listed = ", ".join(map(str, table.columns[:40]))
        problems.add(
            f"area codes need to be in a column or a text index; got row numbers. Pass id=, one of {listed}."
        )
    elif id is None:
        return text_codes(table.index.to_series(), "area codes (index)", problems)
    elif id in table:
        return text_codes(table[id], f"area codes (column {id!r})", problems)
    return pd.Series("", index=range(len(table)))


def _read_columns(
    table: gpd.GeoDataFrame, use: _Columns, codes: pd.Series, problems: Problems, notices: list[Notice]
) -> pd.DataFrame:
    """Return code, name, parents and water of every row."""
    frame = pd.DataFrame({"area": codes, "name": _read_names(table, use.name, codes)})
    for level, column in use.parents.items():
        frame[level] = text_codes(
            table[column], f"{level} codes (column {column!r})", problems, _labels(codes)
        )
    frame["water"] = _read_water(table, use.water, codes, problems, notices)
    _check_nesting(frame, list(use.parents), problems)
    return frame


def _labels(codes: pd.Series) -> list[str]:
    """Name every row of the table."""
    return row_labels(np.arange(len(codes)), codes.to_numpy())


def _read_names(table: gpd.GeoDataFrame, name: str | None, codes: pd.Series) -> pd.Series:
    """Return the names without blanks around them; the code where there is none."""
    if name is None:
        return codes.copy()
    given = table[name].reset_index(drop=True).astype(object)
    text = given.where(given.notna(), "").astype(str).str.strip()
    return text.where(text != "", codes)


def _read_water(
    table: gpd.GeoDataFrame, water: str | None, codes: pd.Series, problems: Problems, notices: list[Notice]
) -> np.ndarray:
    """Say which areas are water: by the column, or by a code that CBS gives to water."""
    found = cbs.is_water_code(codes)
    column = water or next((c for c in table.columns if str(c).lower() in cbs.WATER_COLUMNS), None)
    if column is None:
        return found
    words = table[column].reset_index(drop=True).astype(object)
    known = {**cbs.WATER_VALUES, "TRUE": True, "FALSE": False}
    marked = words.where(words.notna(), "NEE").astype(str).str.strip().str.upper()
    wrong = np.flatnonzero(~marked.isin(list(known)))
    if len(wrong) and water is None:
        odd = words.iloc[wrong[0]]
        notices.append(
            Notice(
                f"Column {column!r} was not read as the water column of CBS: it holds {odd}.",
                f"Kolom {column!r} is niet gelezen als de waterkolom van het CBS: er staat {odd} in.",
            )
        )
        return found
    if len(wrong):
        problems.add(
            f"column {column!r} needs to be JA, NEE, B, true or false; got {words.iloc[wrong[0]]!r} "
            f"({examples(row_labels(wrong, codes.to_numpy()), len(codes))})."
        )
    abroad = codes[marked == "B"]
    if len(abroad):
        en, nl = (tell(abroad, len(codes)) for tell in (examples, which))
        notices.append(
            Notice(f"Areas abroad ({column} = B): {en}.", f"Gebieden in het buitenland ({column} = B): {nl}.")
        )
    return found | np.array([known.get(word, False) for word in marked])


def _note_water(water: pd.Series, notices: list[Notice]) -> None:
    """Note how many areas are water."""
    if water.any():
        en, nl = (tell(water.index[water], len(water)) for tell in (examples, which))
        notices.append(Notice(f"Water areas: {en}.", f"Watergebieden: {nl}."))


def _check_nesting(frame: pd.DataFrame, levels: list[str], problems: Problems) -> None:
    """Note parents that lie in several parents of the next level."""
    for lower, upper in pairwise(levels):
        pairs = frame.loc[(frame[lower] != "") & (frame[upper] != ""), [lower, upper]].drop_duplicates()
        torn = pairs.loc[pairs[lower].duplicated(), lower].drop_duplicates()
        if len(torn):
            total = pairs[lower].nunique()
            problems.add(
                f"each {lower} needs to lie in one {upper}; got several ({examples(torn, total)}). "
                "Name the smallest level first."
            )
