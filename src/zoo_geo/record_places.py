"""Records with coordinates get a column with the code of the area that they lie in, while they are read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from zoo_geo.errors import InputError
from zoo_geo.notices import Notice

if TYPE_CHECKING:
    import pandas as pd

    from zoo_geo.areas import Areas
    from zoo_geo.places import Border
    from zoo_geo.records import Records

PLACING = "zoo_geo_placing"
"""Table of records that wait for their area."""

_FOUND = "zoo_geo_found"
_SHOWN = re.compile(r" \([-+.\de]+, [-+.\de]+\)")
_HINT = re.compile(r"Make a GeoSeries .*$")


def place_records(
    records: Records,
    table: str,
    x: str,
    y: str,
    into: str,
    areas: Areas,
    *,
    crs: str | None,
    on_border: Border,
    left_out: list[str],
    most: int | None = None,
) -> tuple[Notice, ...]:
    """Make a table of the records of `PLACING` and a column with the code of their area; see `locate`.

    Parameters
    ----------
    records
        The database.
    table, x, y, into
        Table and column to make, and the columns of the coordinates; quoted.
    areas
        The map.
    crs
        Coordinate system of x and y; that of the map when not given.
    on_border
        Rule for points that several areas touch.
    left_out
        Columns that the table is made without; quoted.
    most
        Records that were read at most: where there are so many, there may be others inside.

    Returns
    -------
    tuple of str
        How many records lie on borders, outside and in the water, one sentence each.

    Raises
    ------
    InputError
        The coordinates are none of the map, or all of them lie outside its areas.
    """
    from zoo_geo.places import locate

    xy = records.run(
        f"SELECT CAST({x} AS DOUBLE) AS x, CAST({y} AS DOUBLE) AS y, rowid AS row FROM {PLACING} ORDER BY row"
    ).df()
    given = xy[["x", "y"]].to_numpy(float, copy=True)
    given[np.isnan(given).any(axis=1)] = np.nan  # half a place is none
    points = _on_the_map(given, crs, areas)
    try:
        located = locate(points, areas, on_border=on_border)
    except InputError as error:  # which shows where somebody is
        raise InputError(
            [_HINT.sub("Say what they are in with crs.", _SHOWN.sub("", line)) for line in error.problems]
        ) from None
    if most is None or len(xy) < most:
        _check_any_inside(located.frame["position"])
    found = xy[["row"]].assign(area=located.frame["area"].astype("string"))
    records.db.register(_FOUND, found)
    without = f"EXCLUDE ({', '.join(left_out)})" if left_out else ""
    records.run(
        f"CREATE TABLE {table} AS SELECT records.* {without}, found.area AS {into} "
        f"FROM {PLACING} records JOIN {_FOUND} found ON records.rowid = found.row"
    )
    records.db.unregister(_FOUND)
    records.run(f"DROP TABLE {PLACING}")
    return located.notices


def _check_any_inside(position: pd.Series) -> None:
    """Refuse coordinates that all lie outside all areas."""
    placed = position[position != "missing"]
    if len(placed) and (placed == "outside").all():
        raise InputError(
            f"coordinates need to lie in areas of the map; got all {len(placed):,} outside. "
            "Are x (longitude) and y (latitude) swapped, or is crs another one?"
        )


def _on_the_map(xy: np.ndarray, crs: str | None, areas: Areas) -> np.ndarray:
    """Return coordinates, shape (n_records, 2), in the coordinate system of the map."""
    import pyproj

    if crs is None:
        return xy
    try:
        given = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError:
        raise InputError(f"crs needs to be a coordinate system, as 'EPSG:28992'; got {crs!r}.") from None
    if given == areas.crs:
        return xy
    finite, turned = np.isfinite(xy).all(axis=1), xy.copy()
    turner = pyproj.Transformer.from_crs(given, areas.crs, always_xy=True)
    turned[finite] = np.column_stack(turner.transform(xy[finite, 0], xy[finite, 1]))
    nowhere = finite & ~np.isfinite(turned).all(axis=1)  # no place on earth, or none that the map can show
    left, _, right, top = areas.frame.total_bounds
    turned[nowhere] = right + (right - left), top
    return turned


def geometry_of(path: Path) -> tuple[str, str | None] | None:
    """Return the column of points or shapes of a GeoParquet file and its CRS; None where there is none.

    Raises
    ------
    InputError
        It is no Parquet.
    """
    import pyarrow.parquet as pq

    try:
        described = (pq.read_schema(path).metadata or {}).get(b"geo")
    except (OSError, pa.ArrowException):
        raise InputError(f"file needs to be Parquet; got something else ({path.name}).") from None
    if not described:
        return None
    geo = json.loads(described)
    name = str(geo["primary_column"])
    crs = geo["columns"][name].get("crs", "OGC:CRS84")  # the default of GeoParquet
    return name, crs if crs is None or isinstance(crs, str) else json.dumps(crs)


def read_points(path: Path, place: str) -> pa.RecordBatchReader:
    """Stream a GeoParquet file with the geometry as columns x and y."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    return _located(file.schema_arrow, file.iter_batches(), place)


def read_features(path: Path, layer: str | None) -> tuple[pa.RecordBatchReader, str | None]:
    """Return the features of a GeoPackage with the geometry as columns x and y, and their CRS."""
    import pyogrio

    try:
        described, table = pyogrio.read_arrow(path, layer=layer)
    except (ValueError, OSError, pyogrio.errors.DataSourceError) as error:
        raise InputError(f"file needs to be a readable GeoPackage; got an error: {error}") from None
    place = described.get("geometry_name") or "wkb_geometry"
    return _located(table.schema, table.to_batches(), place), described.get("crs")


def _located(schema: pa.Schema, batches: Any, place: str) -> pa.RecordBatchReader:  # noqa: ANN401
    """Put x and y of points in the place of a geometry; of other shapes they are empty."""
    if place not in schema.names:
        return pa.RecordBatchReader.from_batches(schema, batches)
    fields = [each for each in schema if each.name != place]
    if own := [each.name for each in fields if each.name.lower() in ("x", "y")]:
        raise InputError(
            f"geometry needs to be what x and y come from; got columns of that name ({', '.join(own)}). "
            "Rename them in the file."
        )
    outer = pa.schema([*fields, ("x", pa.float64()), ("y", pa.float64())])

    def made() -> Iterator[pa.RecordBatch]:
        import shapely

        for batch in batches:
            shapes = shapely.from_wkb(batch.column(place).to_numpy(zero_copy_only=False))
            point = shapely.get_type_id(shapes) == 0
            both = [np.where(point, part(shapes), np.nan) for part in (shapely.get_x, shapely.get_y)]
            kept = [batch.column(each.name) for each in fields]
            yield pa.RecordBatch.from_arrays(
                [*kept, *(pa.array(each, from_pandas=True) for each in both)], schema=outer
            )

    return pa.RecordBatchReader.from_batches(outer, made())
