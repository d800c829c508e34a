"""Geometry of a map: sound shapes, repaired where that is possible, one per area."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from zoo_geo.checks import row_labels
from zoo_geo.errors import Problems, examples
from zoo_geo.notices import Notice, count, which

_POINT = int(shapely.GeometryType.POINT)
_POLYGONS = (int(shapely.GeometryType.POLYGON), int(shapely.GeometryType.MULTIPOLYGON))
# What GIS programs write beside each polygon; it differs between the parts of one area.
_PART_COLUMNS = {
    "fid", "ogc_fid", "objectid", "gid",
    "shape_area", "shape_leng", "shape_length", "shape__area", "shape__length",
}  # fmt: skip


def read_geometry(
    table: gpd.GeoDataFrame, codes: pd.Series, problems: Problems, notices: list[Notice]
) -> np.ndarray:
    """Return sound flat geometry, repaired where that is possible."""
    shapes = shapely.force_2d(table.geometry.to_numpy())
    labels = codes.to_numpy()
    absent = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    _note_rows("geometry needs to be there", "empty or none", absent, labels, problems)
    endless = ~absent & ~np.isfinite(shapely.bounds(shapes)).all(axis=1)
    _note_rows("coordinates need to be finite", "others", endless, labels, problems)
    sound = ~absent & ~endless
    _check_kinds(shapes, sound, labels, problems)
    _check_degrees(table, shapes, sound, labels, problems)
    return _repair(shapes, sound & np.isin(shapely.get_type_id(shapes), _POLYGONS), labels, problems, notices)


def _note_rows(
    need: str, got: str, wrong: np.ndarray, codes: np.ndarray, problems: Problems, hint: str = ""
) -> None:
    """Note one problem with the rows that have it, if any."""
    where = np.flatnonzero(wrong)
    if len(where):
        problems.add(f"{need}; got {got} ({examples(row_labels(where, codes), len(wrong))}).{hint}")


def _check_kinds(shapes: np.ndarray, sound: np.ndarray, codes: np.ndarray, problems: Problems) -> None:
    """Note geometry that is neither polygon nor point, and maps that mix the two."""
    kinds = shapely.get_type_id(shapes)
    polygon, point = np.isin(kinds, _POLYGONS), kinds == _POINT
    other = sound & ~polygon & ~point
    got = ", ".join(sorted({shape.geom_type for shape in shapes[other]}))
    _note_rows("geometry needs to be polygons or points", got, other, codes, problems)
    if (sound & polygon).any() and (sound & point).any():
        fewer = point if point.sum() <= polygon.sum() else polygon
        got = "points among polygons" if fewer is point else "polygons among points"
        _note_rows("geometry needs to be of one kind", got, sound & fewer, codes, problems)


def _check_degrees(
    table: gpd.GeoDataFrame, shapes: np.ndarray, sound: np.ndarray, codes: np.ndarray, problems: Problems
) -> None:
    """Note coordinates that cannot be the degrees that the CRS says they are."""
    if table.crs is None or not table.crs.is_geographic:
        return
    largest = np.abs(shapely.bounds(shapes)).max(axis=1)
    hint = " Set the CRS that the coordinates are in, for RD New set_crs(28992, allow_override=True)."
    need = f"coordinates need to be degrees ({table.crs.to_string()})"
    beyond = sound & (largest > 360)
    _note_rows(need, "values beyond 360", beyond, codes, problems, hint)


def _repair(
    shapes: np.ndarray, sound: np.ndarray, codes: np.ndarray, problems: Problems, notices: list[Notice]
) -> np.ndarray:
    """Return the shapes with invalid ones repaired; note those that have no area to save."""
    invalid = np.flatnonzero(sound & ~shapely.is_valid(shapes))
    if not len(invalid):
        return shapes
    reasons = [shapely.is_valid_reason(shape).split("[")[0] for shape in shapes[invalid[:3]]]
    mended = [_polygonal(shapely.make_valid(shape)) for shape in shapes[invalid]]
    lost = np.zeros(len(shapes), dtype=bool)
    for at, shape in zip(invalid, mended, strict=True):
        lost[at] = shape.is_empty
        shapes[at] = shape
    got = f"what cannot be repaired ({', '.join(dict.fromkeys(reasons))})"
    _note_rows("geometry needs to be valid", got, lost, codes, problems)
    repaired = [at for at in invalid if not lost[at]]
    if repaired:
        en, nl = (tell(codes[repaired], len(shapes)) for tell in (examples, which))
        notices.append(
            Notice(f"Invalid geometry was repaired: {en}.", f"Ongeldige grenzen zijn hersteld: {nl}.")
        )
    return shapes


def _polygonal(shape: shapely.Geometry) -> shapely.Geometry:
    """Return the part of a shape that has area."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.union_all([part for part in parts if shapely.get_type_id(part) == _POLYGONS[0]])


def check_repeated(table: gpd.GeoDataFrame, codes: pd.Series, shapes: np.ndarray, problems: Problems) -> None:
    """Note codes whose rows are not simply the parts of one area."""
    again = np.flatnonzero(codes.duplicated(keep=False) & (codes != ""))
    if not len(again):
        return
    key = codes.iloc[again].to_numpy()
    differing = _differing_columns(table.iloc[again], key)
    parts = pd.DataFrame({"code": key, "shape": _comparable(shapes[again])})
    same = parts.groupby("code", sort=False)["shape"].apply(lambda shape: shape.duplicated().any())
    wrong = same.index[same | differing.any(axis=1).reindex(same.index)]
    if not len(wrong):
        return
    columns = differing.columns[differing.loc[differing.index.isin(wrong)].any()]
    hint = f"Their rows differ in {', '.join(map(str, columns[:5]))}: " if len(columns) else ""
    labels = [f"{code} in rows {_row_numbers(codes, code)}" for code in wrong[:3]] + list(wrong[3:])
    problems.add(
        f"area codes need to be unique; got repeated codes ({examples(labels, codes.nunique())}). "
        f"{hint}{'drop' if hint else 'Drop'} duplicates or pass id=."
    )


def _row_numbers(codes: pd.Series, code: str) -> str:
    """Name the first rows that hold a code, counted from 1."""
    where = np.flatnonzero(codes == code) + 1
    return " and ".join(map(str, where[:2])) + (" ..." if len(where) > 2 else "")


def _differing_columns(rows: gpd.GeoDataFrame, key: np.ndarray) -> pd.DataFrame:
    """Say per code in which columns its rows differ, geometry and numbers of parts aside."""
    kept = [
        column
        for column, kind in rows.dtypes.items()
        if str(kind) != "geometry" and str(column).lower() not in _PART_COLUMNS
    ]
    words = pd.DataFrame(rows[kept]).map(
        lambda value: "" if value is None or value is pd.NA else str(value).strip()
    )
    grouped = words.groupby(key, sort=False)
    return grouped.min() != grouped.max()


def _comparable(shapes: np.ndarray) -> list[bytes]:
    """Return bytes that are equal for equal polygons; points, which have no parts, are all equal."""
    points = shapely.get_type_id(shapes) == _POINT
    binary = shapely.to_wkb(shapely.normalize(shapes))
    return [b"" if point or text is None else text for point, text in zip(points, binary, strict=True)]


def dissolve(frame: gpd.GeoDataFrame, notices: list[Notice]) -> gpd.GeoDataFrame:
    """Return one row per code, in order of first appearance."""
    repeated = frame["area"].duplicated(keep=False)
    whole = frame.drop_duplicates("area").set_index("area")
    if not repeated.any():
        return whole
    parts = frame[repeated].groupby("area", sort=False)["geometry"]
    joined = parts.apply(lambda shapes: shapely.union_all(shapes.to_numpy()))
    whole.loc[joined.index, "geometry"] = gpd.GeoSeries(joined, crs=frame.crs)
    n = int(repeated.sum())
    notices.append(
        Notice(
            f"Several polygons of one code were joined: {n:,} polygons to {examples(joined.index)}.",
            f"Vlakken met dezelfde code zijn samengevoegd: {count(n)} vlakken tot {which(joined.index)}.",
        )
    )
    return whole
