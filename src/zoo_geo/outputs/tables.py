"""Result tables as GeoParquet, GeoPackage, GeoJSON and CSV; the same table twice gives the same bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio

from zoo_geo.leaks import check_leaks
from zoo_geo.outputs.folder import MARK, marked
from zoo_geo.schema import COLUMNS

NOTICE = f"{MARK}: not for publication"
"""Value of the first column of every table until disclosure control exists."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_SUFFIXES = {"geoparquet": ".parquet", "gpkg": ".gpkg", "geojson": ".geojson", "csv": ".csv"}
_DIALECTS = {"international": (",", "."), "nl": (";", ",")}
_WHOLE = [name for name, column in COLUMNS.items() if column.dtype == "integer"]
_SPATIAL_ONLY = ("gpkg", "geojson")
_DECIMALS_OF_A_DEGREE = 6  # about 0.1 m
_DATE = "2000-01-01T00:00:00Z"  # a GeoPackage holds its time of writing, which no result depends on


def write_table(
    table: pd.DataFrame,
    stem: str,
    folder: Path,
    formats: Iterable[str],
    *,
    csv_bom: bool = False,
    csv_dialect: str = "international",
) -> list[Path]:
    """Write a table in several formats.

    Parameters
    ----------
    table
        A GeoDataFrame; a table without geometry goes into csv and parquet only.
    stem
        Name of the files, without mark and ending.
    folder
        Where to.
    formats
        Of ``geoparquet``, ``gpkg``, ``geojson`` and ``csv``.
    csv_bom
        Whether csv begins with the byte-order mark that Excel wants.
    csv_dialect
        ``nl`` for semicolons and decimal commas, as Excel with Dutch settings reads them.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    DisclosureError
        The table holds direct identifiers of persons.
    """
    writers: dict[str, Callable[..., None]] = {
        "geoparquet": _write_parquet,
        "gpkg": partial(_write_geopackage, layer=stem),
        "geojson": _write_geojson,
        "csv": partial(_write_csv, bom=csv_bom, dialect=csv_dialect),
    }
    spatial = isinstance(table, gpd.GeoDataFrame)
    check_leaks(pd.DataFrame(table), stem)
    plain = _plain(table)
    paths = []
    for name in formats:
        if spatial or name not in _SPATIAL_ONLY:
            paths.append(folder / marked(stem, _SUFFIXES[name]))
            writers[name](plain, paths[-1])
    return paths


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Return a copy that says what it is, with categories as text and whole numbers as such."""
    plain = table.reset_index(drop=True)
    categories = plain.select_dtypes("category").columns
    plain[categories] = plain[categories].astype("str")
    for name in plain.columns.intersection(_WHOLE):
        plain[name] = pd.to_numeric(plain[name]).astype("Int64")
    plain.insert(0, MARK, NOTICE)
    return plain


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False)


def _write_geopackage(table: gpd.GeoDataFrame, path: Path, layer: str) -> None:
    with _fixed_date():
        table.to_file(path, driver="GPKG", layer=layer, engine="pyogrio")


def _write_geojson(table: gpd.GeoDataFrame, path: Path) -> None:
    """Write by RFC 7946: degrees on WGS 84, outer rings counter-clockwise, no member ``crs``."""
    options = {"RFC7946": "YES", "COORDINATE_PRECISION": _DECIMALS_OF_A_DEGREE, "WRITE_NAME": "NO"}
    finite = table.replace([math.inf, -math.inf], math.nan)  # JSON has no infinity
    finite.to_crs(4326).to_file(path, driver="GeoJSON", engine="pyogrio", **options)


def _write_csv(table: pd.DataFrame, path: Path, *, bom: bool, dialect: str) -> None:
    plain = pd.DataFrame(table.drop(columns="geometry", errors="ignore"))
    text = [name for name in plain.columns if not pd.api.types.is_numeric_dtype(plain[name])]
    plain[text] = plain[text].apply(_neutral)
    plain.columns = _neutral(plain.columns.to_series())
    encoding = "utf-8-sig" if bom else "utf-8"
    separator, decimal = _DIALECTS[dialect]
    plain.to_csv(path, index=False, sep=separator, decimal=decimal, lineterminator="\n", encoding=encoding)


def _neutral(text: pd.Series) -> pd.Series:
    """Lead cells with an apostrophe that a spreadsheet would take for a formula."""
    formula = text.astype("str").str.startswith(_FORMULA)
    return text.where(~formula.fillna(False).astype(bool), "'" + text.astype("str"))


@contextmanager
def _fixed_date() -> Iterator[None]:
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _DATE})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
