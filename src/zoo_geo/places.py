"""Place: records that carry coordinates, an address or a code, into the areas of a map."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from os import cpu_count
from typing import Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from zoo_geo.areas import Areas
from zoo_geo.checks import check_columns, text_codes
from zoo_geo.errors import InputError, Problems, examples
from zoo_geo.notices import Notice, count

Border = Literal["lowest", "none"]
_RULES: tuple[Border, ...] = ("lowest", "none")

POSITIONS = ("inside", "border", "overlap", "outside", "parent", "not_found", "missing")
"""Where a record lies: in one area, on a border, in several areas that overlap, in none, in an area above
(only that is known), at an address or code that is not in the table, or nowhere (nothing is given)."""

INSIDE, BORDER, OVERLAP, OUTSIDE, PARENT, NOT_FOUND, MISSING = range(len(POSITIONS))

_SAID = {
    "border": ("lie on a border", "liggen op een grens"),
    "overlap": ("lie in several areas that overlap", "liggen in meer gebieden, die overlappen"),
    "outside": ("lie outside all areas", "liggen buiten alle gebieden"),
    "parent": (
        "are known to an area above only, and count in none below",
        "zijn alleen van een gebied daarboven bekend, en tellen in geen gebied daaronder",
    ),
    "not_found": ("carry a key that is not in the table", "hebben een sleutel die niet in de tabel staat"),
    "missing": ("carry no place", "hebben geen plaats"),
}
_FATES = {
    "lowest": (
        "the lowest code gets them, land before water",
        "ze gaan naar de laagste code, land voor water",
    ),
    "none": ("no area gets them", "geen gebied krijgt ze"),
}
_SHARED = ("border", "overlap")
_PAIRS = 200_000
_MOST_CELLS = 2**23
_PART = 500_000


@dataclass(frozen=True, eq=False)
class Located:
    """The areas of records, made by `locate`, `locate_addresses` or `locate_codes`.

    Parameters
    ----------
    frame
        On the index of the records: ``area`` (code, categorical; empty where there is none), ``position``
        (one of `POSITIONS`) and ``water`` (whether the area is water).
    notices
        How many records have an unusual place, and what became of them, one sentence each.
    """

    frame: pd.DataFrame
    notices: tuple[Notice, ...] = ()

    def __repr__(self) -> str:
        placed = int(self.frame["area"].notna().sum())
        return f"<Located: {placed:,} of {len(self.frame):,} records in an area>"

    @property
    def counts(self) -> pd.Series:
        """Number of records by position; ``water`` counts those of any position in a water area."""
        by_position = self.frame["position"].value_counts().reindex(pd.Index(list(POSITIONS)))
        return pd.concat([by_position, pd.Series({"water": int(self.frame["water"].sum())})]).rename(
            "records"
        )


def locate(
    points: gpd.GeoSeries | gpd.GeoDataFrame | np.ndarray, areas: Areas, *, on_border: Border = "lowest"
) -> Located:
    """Put points into areas.

    A point belongs to the area that it lies inside of. On a border, or where areas overlap, the rule
    decides, whatever the order of points and areas. Every answer is that of GEOS (`shapely.intersects`).

    Parameters
    ----------
    points
        Points with the CRS of the map, or an array of coordinates in it, shape (n_points, 2).
    areas
        From `read_areas`.
    on_border
        ``lowest``: the area with the lowest code of those that touch the point, land before water.
        ``none``: no area, for points on a border as for points in several areas.

    Raises
    ------
    InputError
        The points are no points, have another CRS than the map, are infinite or half given, or look like
        degrees on a map in metres (or the other way round).

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, zoo_geo as zg
    >>> from shapely import box
    >>> squares = [box(0, 0, 9, 9), box(9, 0, 18, 9)]
    >>> table = gpd.GeoDataFrame({"code": ["BU01", "BU02"]}, geometry=squares, crs=28992)
    >>> areas = zg.read_areas(table, id="code")
    >>> locate(np.array([[2.0, 2.0], [9.0, 3.0], [50.0, 50.0]]), areas).frame["area"].tolist()
    ['BU01', 'BU01', nan]
    """
    _check_rule(on_border)
    xy, index = _coordinates(points, areas)
    ranked = _Ranked.of(areas)
    at, position = _find(xy, ranked)
    return _result(at, position, index, ranked, on_border, areas)


def locate_addresses(
    keys: pd.Series,
    addresses: pd.DataFrame,
    areas: Areas,
    *,
    key: str,
    area: str | None = None,
    x: str | None = None,
    y: str | None = None,
    on_border: Border = "lowest",
) -> Located:
    """Put records into areas by their address, which a table places.

    Parameters
    ----------
    keys
        The address key of every record; empty where there is none.
    addresses
        One row per address; not modified.
    areas
        From `read_areas`.
    key
        Column of the keys.
    area
        Column with the code of the area of an address; else ``x`` and ``y`` are needed.
    x, y
        Columns with the coordinates of an address, in the CRS of the map.
    on_border
        As in `locate`.

    Raises
    ------
    InputError
        Columns are missing, keys are not unique in the table, or its places are wrong.

    Examples
    --------
    >>> import geopandas as gpd, zoo_geo as zg
    >>> from shapely import box
    >>> table = gpd.GeoDataFrame({"code": ["BU01"]}, geometry=[box(0, 0, 9, 9)], crs=28992)
    >>> areas = zg.read_areas(table, id="code")
    >>> addresses = pd.DataFrame({"adres": ["A1"], "buurt": ["BU01"]})
    >>> located = locate_addresses(pd.Series(["A1", "A7"]), addresses, areas, key="adres", area="buurt")
    >>> located.frame["position"].tolist()
    ['inside', 'not_found']
    """
    problems = Problems()
    named = [key, area] if area is not None else [key, *filter(None, (x, y))]
    if area is None and (x is None or y is None):
        problems.add(
            "addresses need to have a column of areas, or of x and y; got none. Pass area=, or x= and y=."
        )
    check_columns([name for name in named if name is not None], addresses.columns, problems)
    problems.raise_if_any()
    table = pd.Index(addresses[key])
    repeated = table[table.duplicated() & table.notna()].unique()
    if len(repeated):
        raise InputError(
            f"address keys (column {key!r}) need to be unique; got repeated ones "
            f"({examples(repeated, len(table))}). Keep the row of each address that is valid in the period."
        )
    if area is not None:
        placed = locate_codes(addresses[area], areas)
    else:
        placed = locate(addresses[[x, y]].to_numpy(np.float64, na_value=np.nan), areas, on_border=on_border)
    return _noted(Located(_of_addresses(keys, table, placed, areas)), on_border)


def _of_addresses(keys: pd.Series, table: pd.Index, placed: Located, areas: Areas) -> pd.DataFrame:
    """Give records the place of their address."""
    at = table.get_indexer(pd.Index(keys))
    given = keys.notna().to_numpy()
    known = (at >= 0) & given
    frame = placed.frame.iloc[np.where(known, at, 0)] if len(table) else _nowhere(len(keys), areas)
    codes = frame["position"].cat.codes.to_numpy(copy=True)
    codes[~known] = np.where(given, NOT_FOUND, MISSING)[~known]
    return pd.DataFrame(
        {
            "area": frame["area"].where(known).array,
            "position": pd.Categorical.from_codes(codes, pd.Index(list(POSITIONS))),
            "water": frame["water"].to_numpy() & known,
        },
        index=keys.index,
    )


def locate_codes(codes: pd.Series, areas: Areas) -> Located:
    """Put records into areas by the code that they carry.

    A code of a parent level of the map (a gemeente where areas are buurten) says that nothing more is known:
    such a record has the position ``parent`` and counts in no area.

    Parameters
    ----------
    codes
        The code of every record, as text; empty where there is none. Blanks around them do not matter.
    areas
        From `read_areas`.

    Raises
    ------
    InputError
        Codes are no text, or have lost leading zeros.

    Examples
    --------
    >>> import geopandas as gpd, zoo_geo as zg
    >>> from shapely import box
    >>> table = gpd.GeoDataFrame({"code": ["BU01"]}, geometry=[box(0, 0, 9, 9)], crs=28992)
    >>> areas = zg.read_areas(table, id="code")
    >>> locate_codes(pd.Series(["BU01 ", "BU77", None]), areas).frame["position"].tolist()
    ['inside', 'outside', 'missing']
    """
    problems = Problems()
    factors, known = pd.factorize(codes)
    text_codes(pd.Series([code for code in known if str(code).strip()], dtype=object), "area codes", problems)
    problems.raise_if_any()
    clean = pd.Index([str(code).strip() for code in known], dtype=object)
    _check_zeros(clean, areas)
    at = np.append(areas.codes.get_indexer(clean), -1)[factors]
    above = np.append(clean.isin(areas.frame[list(areas.parents)].to_numpy(str).ravel()), False)[factors]
    blank = np.append(clean == "", True)[factors]
    position = np.select([blank, at >= 0, above], [MISSING, INSIDE, PARENT], OUTSIDE).astype(np.int8)
    return _result(at, position, codes.index, _Ranked.plain(areas), "lowest", areas)


def _check_zeros(codes: pd.Index, areas: Areas) -> None:
    """Raise where codes are those of the map once zeros are put before their digits."""
    odd = codes[~codes.isin(areas.codes) & codes.str.fullmatch(r"[A-Z]*\d+")]
    letters = odd.str.replace(r"\d+$", "", regex=True)
    widths = sorted(set(areas.codes.str.len()))
    for width in widths:
        digits = odd.str.replace(r"^[A-Z]+", "", regex=True)
        whole = pd.Index(
            [a + d.zfill(width - len(a)) for a, d in zip(letters, digits, strict=True)], dtype=object
        )
        lost = (whole != odd) & whole.isin(areas.codes)
        if lost.any():
            raise InputError(
                "area codes need to keep their leading zeros; got others "
                f"({examples(odd[lost], len(codes))}; the first is {whole[lost][0]} on the map). "
                "Read the column as text."
            )


def _check_rule(on_border: str) -> None:
    if on_border not in _RULES:
        raise InputError(f"on_border needs to be one of {', '.join(_RULES)}; got {on_border!r}.")


# ---------------------------------------------------------------------------------------- coordinates


def _coordinates(
    points: gpd.GeoSeries | gpd.GeoDataFrame | np.ndarray, areas: Areas
) -> tuple[np.ndarray, pd.Index]:
    """Return coordinates, shape (2, n_points), NaN where there is none, and the index."""
    if isinstance(points, gpd.GeoDataFrame | gpd.GeoSeries):
        shapes = points.geometry.to_numpy()
        kinds = shapely.get_type_id(shapes)
        if (wrong := np.flatnonzero((kinds != 0) & (kinds != -1))).size:
            raise InputError(
                f"points need to be points; got other geometry ({examples(points.index[wrong], len(kinds))})."
            )
        if points.crs is None or points.crs != areas.crs:
            got = "none" if points.crs is None else points.crs.to_string()
            raise InputError(
                f"points need to have the CRS of the map, {areas.crs.to_string()}; got {got}. "
                + (
                    "Say what they are in with set_crs."
                    if points.crs is None
                    else f"Use to_crs({areas.crs.to_string()!r})."
                )
            )
        found, which = shapely.get_coordinates(shapes, return_index=True)  # none of points that are empty
        xy = np.full((2, len(shapes)), np.nan)
        xy[:, which] = found.T
        index = points.index
    else:
        given = np.asarray(points, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != 2:
            raise InputError(f"points need to be an array of shape (n_points, 2); got {given.shape}.")
        xy, index = np.require(given.T, requirements=["C", "W"]), pd.RangeIndex(len(given))
    _check_coordinates(xy, areas)
    return xy, index


def _check_coordinates(xy: np.ndarray, areas: Areas) -> None:
    """Raise where coordinates are no numbers of this map."""
    x, y = xy
    rows = len(x)
    half = np.flatnonzero(np.isnan(x) != np.isnan(y))
    if half.size:
        raise InputError(
            f"points need to have both x and y, or neither; got one ({examples(half + 1, rows)})."
        )
    endless = np.flatnonzero(np.isinf(x) | np.isinf(y))
    if endless.size:
        raise InputError(
            f"coordinates need to be finite; got infinity in rows ({examples(endless + 1, rows)})."
        )
    if not rows or np.isnan(x).all():
        return
    ours = _Box.of(*areas.frame.total_bounds)
    theirs = _Box(np.nanmin(x), np.nanmin(y), np.nanmax(x), np.nanmax(y))
    if ours.meets(theirs):
        return
    first = ", ".join(f"{each:.6g}" for each in xy[:, np.flatnonzero(~np.isnan(x))[0]])
    degrees = _Box(-180.0, -180.0, 180.0, 180.0)
    if theirs.within(degrees) and not ours.within(degrees):
        raise InputError(
            f"points need to be in {areas.crs.to_string()}; got numbers that look like degrees ({first}). "
            f"Make a GeoSeries with crs=4326 and use to_crs({areas.crs.to_string()!r})."
        )
    if ours.within(degrees) and not theirs.within(degrees):
        raise InputError(
            f"points need to be in {areas.crs.to_string()} (degrees); got numbers that look like metres "
            f"({first}). Make a GeoSeries with their crs and use to_crs."
        )
    if ours.meets(_Box(theirs.bottom, theirs.left, theirs.top, theirs.right)):
        raise InputError(
            f"points need to be x, y; got numbers that fit the map as y, x ({first}). Swap them."
        )


@dataclass(frozen=True)
class _Box:
    """A rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def of(cls, *sides: float) -> _Box:
        return cls(*map(float, sides))

    def meets(self, other: _Box) -> bool:
        across = self.left <= other.right and other.left <= self.right
        return across and self.bottom <= other.top and other.bottom <= self.top

    def within(self, other: _Box) -> bool:
        across = other.left <= self.left and self.right <= other.right
        return across and other.bottom <= self.bottom and self.top <= other.top


# ---------------------------------------------------------------------------------------------- areas


@dataclass(frozen=True)
class _Ranked:
    """Areas in the order in which they get a point that several claim: land first, then by code.

    `rows` are places on the map, `shapes` the polygons, both in that order.
    """

    rows: np.ndarray
    shapes: np.ndarray

    @classmethod
    def of(cls, areas: Areas) -> _Ranked:
        water = areas.frame["water"].to_numpy(bool)
        rows = np.lexsort([areas.codes.to_numpy(str), water])
        return cls(rows, areas.frame.geometry.to_numpy()[rows])

    @classmethod
    def plain(cls, areas: Areas) -> _Ranked:
        """Areas in the order of the map."""
        return cls(np.arange(len(areas)), areas.frame.geometry.to_numpy())


def _find(xy: np.ndarray, ranked: _Ranked) -> tuple[np.ndarray, np.ndarray]:
    """Find rank and position of every point: by the grid, and by GEOS where the grid is not sure."""
    from zoo_geo.kernels.placement import OUTSIDE as NONE
    from zoo_geo.kernels.placement import UNSURE

    at, number = _by_grid(xy, ranked.shapes)
    position = np.where(number > 1, OVERLAP, np.where(at == NONE, OUTSIDE, INSIDE)).astype(np.int8)
    position[np.isnan(xy[0])] = MISSING
    unsure = np.flatnonzero(at == UNSURE)
    if unsure.size:
        tree = shapely.STRtree(ranked.shapes)
        for start in range(0, unsure.size, _PAIRS):
            some = unsure[start : start + _PAIRS]
            at[some], position[some] = _by_tree(xy[:, some], tree)
    return at, position


def _by_tree(xy: np.ndarray, tree: shapely.STRtree) -> tuple[np.ndarray, np.ndarray]:
    """Ask GEOS which areas touch each point, and whether on their border."""
    which, area = tree.query(shapely.points(*xy), predicate="intersects")
    inside = shapely.contains_xy(tree.geometries[area], *xy[:, which])
    n = xy.shape[1]
    lowest = np.full(n, np.iinfo(np.int32).max, np.int32)
    np.minimum.at(lowest, which, area.astype(np.int32))
    number = np.bincount(which, minlength=n)
    on_border = np.bincount(which, weights=~inside, minlength=n) > 0
    position = np.select([number == 0, on_border, number > 1], [OUTSIDE, BORDER, OVERLAP], INSIDE)
    return np.where(number > 0, lowest, -1), position


def _by_grid(xy: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put points into polygons as far as rounding cannot matter."""
    from zoo_geo.kernels import placement

    coordinates, starts, owners = _rings(shapes)
    left, bottom, right, top = shapely.total_bounds(shapes)
    cells = min(_MOST_CELLS, 1_000 + 4 * len(coordinates) + xy.shape[1])
    side = max(np.sqrt((right - left) * (top - bottom) / cells), max(right - left, top - bottom) / cells)
    left, bottom = left - side / 2, bottom - side / 2
    n_columns, n_rows = (int(np.ceil(reach / side + 1)) for reach in (right - left, top - bottom))
    x, y = np.ascontiguousarray(((coordinates - (left, bottom)) / side).T)
    borders = placement.enter_pieces(x, y, starts, n_rows, n_columns)
    interiors = placement.enter_interiors(x, y, starts, owners, n_rows, n_columns)
    answer = placement.settle(x, y, borders, interiors, n_columns)
    frame, tables = (left, bottom, side, n_rows, n_columns), (answer, *borders, *interiors)
    rings = (*np.ascontiguousarray(coordinates.T), np.repeat(owners, np.diff(starts)))
    with ThreadPoolExecutor(cpu_count()) as pool:  # every point is a matter of its own
        parts = np.array_split(xy, max(1, xy.shape[1] // _PART), axis=1)
        found = list(
            pool.map(lambda part: placement.find_polygons(part[0], part[1], frame, tables, rings), parts)
        )
    return np.concatenate([at for at, _ in found]), np.concatenate([number for _, number in found])


def _rings(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the vertices of all rings, where each ring starts (and the last ends), and whose it is."""
    parts, area = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    coordinates = shapely.get_coordinates(rings)
    starts = np.concatenate([[0], np.cumsum(shapely.get_num_coordinates(rings))]).astype(np.int64)
    return coordinates, starts, area[part].astype(np.int32)


# --------------------------------------------------------------------------------------------- result


def _result(
    at: np.ndarray, position: np.ndarray, index: pd.Index, ranked: _Ranked, on_border: Border, areas: Areas
) -> Located:
    """Lay out what was found; `at` are ranks, negative where there is no area."""
    placed = np.isin(position, (INSIDE, BORDER, OVERLAP) if on_border == "lowest" else (INSIDE,))
    rows = np.where(placed, ranked.rows[np.where(placed, at, 0)], -1).astype(np.int32)
    frame = pd.DataFrame(
        {
            "area": pd.Categorical.from_codes(rows, areas.codes),
            "position": pd.Categorical.from_codes(position, pd.Index(list(POSITIONS))),
            "water": np.append(areas.frame["water"].to_numpy(bool), False)[rows],
        },
        index=index,
    )
    return _noted(Located(frame), on_border)


def _nowhere(n: int, areas: Areas) -> pd.DataFrame:
    """Return places of records that have none."""
    return pd.DataFrame(
        {
            "area": pd.Categorical.from_codes(np.full(n, -1), areas.codes),
            "position": pd.Categorical.from_codes(np.full(n, NOT_FOUND), pd.Index(list(POSITIONS))),
            "water": np.zeros(n, bool),
        }
    )


def _noted(located: Located, on_border: Border) -> Located:
    """Add a sentence for every unusual position."""
    counts, total, lines = located.counts, len(located.frame), []
    for name, said in (*_SAID.items(), ("water", ("lie in a water area", "liggen in een watergebied"))):
        if counts[name]:
            ruled = _FATES[on_border]
            en, nl = (
                f"{one}: {rule}" if name in _SHARED else one for one, rule in zip(said, ruled, strict=True)
            )
            some = f"{count(counts[name])} van {count(total)} records"
            lines.append(Notice(f"{counts[name]:,} of {total:,} records {en}.", f"{some} {nl}."))
    return replace(located, notices=tuple(lines))
