"""The made-up province: its coast, towns, borders, hierarchy and names.

Borders are exact: all lines are noded together on a grid of whole metres, so that two neighbours have
the very same vertices along the border they share.
"""

from __future__ import annotations

from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import Voronoi

from zoo_geo.sample.draws import Draws
from zoo_geo.sample.names import VILLAGES, add_names

CRS = "EPSG:28992"
N_AREAS, N_DISTRICTS = 600, 60
_VILLAGE_AREAS, _N_PARKS, _N_EMPTY = 3, 14, 7


class Town(NamedTuple):
    """A town: where it lies (metres), its neighbourhoods, its radius (metres), their usual residents."""

    name: str
    x: int
    y: int
    n_areas: int
    radius: int
    residents: int


TOWNS = (
    Town("Zilvermonde", 46_800, 568_600, 92, 3_000, 1_350),
    Town("Wierhaven", 39_600, 555_800, 46, 2_200, 1_150),
    Town("Noordzwin", 47_600, 582_200, 42, 2_100, 1_050),
    Town("Reeënhorst", 63_600, 571_800, 44, 2_100, 1_150),
    Town("Oestervliet", 39_600, 563_400, 20, 1_400, 850),
    Town("Duinmaarn", 41_200, 576_200, 20, 1_400, 800),
    Town("Kraaiwolde", 64_400, 561_400, 21, 1_500, 900),
    Town("Ameldijk", 55_600, 554_200, 21, 1_500, 900),
    Town("Halmeroord", 56_000, 579_000, 18, 1_400, 850),
    Town("Sint-Aldegoën", 48_400, 559_000, 18, 1_400, 850),
    Town("Moerschelp", 56_400, 564_600, 18, 1_400, 800),
    Town("Vlieterlo", 63_600, 583_000, 18, 1_400, 800),
)
_WITH_CENTRE, _WITH_INDUSTRY = 3, 4  # the largest towns have a shopping centre, an industrial area
_VILLAGE_RESIDENTS, _RURAL_RESIDENTS = 520, 110

# Outlines in kilometres of EPSG:28992, where there is nothing but sea; roughened below.
_COAST = (
    (35.2, 549.8), (34.0, 554.6), (35.6, 558.6), (34.4, 561.8), (36.4, 565.4), (39.6, 567.0), (44.4, 567.8),
    (44.0, 569.0), (39.2, 569.4), (36.8, 571.4), (37.6, 576.2), (39.6, 580.6), (43.2, 583.8), (48.0, 585.0),
    (53.6, 587.4), (60.0, 587.8), (65.6, 589.0),
)  # fmt: skip
_BORDER = (
    (68.0, 584.2),
    (70.0, 577.0),
    (68.4, 569.8),
    (70.4, 561.8),
    (68.0, 553.0),
    (58.4, 550.2),
    (46.4, 551.0),
)
_LAKE = ((51.6, 572.6), (54.0, 571.4), (55.6, 572.6), (55.2, 574.6), (52.8, 575.0))
_SEA = ((31.2, 556.2), (31.2, 564.2), (37.6, 564.2), (37.6, 556.2))
_ISLES = (
    ((30.4, 578.6), (32.4, 581.0), (34.4, 582.2), (33.6, 583.4), (31.2, 582.2), (29.6, 579.8)),
    ((28.8, 574.6), (29.6, 574.8), (29.9, 575.9), (29.1, 575.6)),
)


class _Outline(NamedTuple):
    """Where the land ends: polygons and the coast line."""

    land: shapely.Polygon
    lake: shapely.Polygon
    sea: shapely.Polygon
    isles: list[shapely.Polygon]
    coast: shapely.LineString


def make_province(draws: Draws) -> gpd.GeoDataFrame:
    """Make the neighbourhoods of the province.

    Returns
    -------
    GeoDataFrame
        One row per buurt in the order of codes, with the columns of the sample file and, for the
        figures, ``kind``, ``residents`` (usual number), ``x``, ``y`` and ``coast`` (metres).
    """
    outline = _outline(draws)
    seeds = _seeds(draws, shapely.difference(outline.land, outline.lake))
    frame = _cells(draws, seeds, outline)
    frame["coast"] = np.round(shapely.distance(shapely.points(frame[["x", "y"]]), outline.coast))
    frame["kind"] = _kinds(draws, frame)
    frame = _with_islands_and_water(frame, outline)
    _add_codes(frame, border_lengths(frame.geometry))
    add_names(draws, frame, {town.name: (town.x, town.y) for town in TOWNS})
    frame["water"] = np.where(frame["kind"] == "water", "JA", "NEE")
    return frame.sort_values("buurtcode", ignore_index=True)


def border_lengths(geometry: gpd.GeoSeries) -> csr_array:
    """Measure the border that each pair of areas shares, in metres; pairs that share none are absent."""
    shapes = geometry.to_numpy()
    i, j = shapely.STRtree(shapes).query(shapes, predicate="touches")
    length = np.round(shapely.length(shapely.intersection(shapes[i], shapes[j])), 3)
    shared = length > 0
    return csr_array((length[shared], (i[shared], j[shared])), shape=(len(shapes), len(shapes)))


# ------------------------------------------------------------------------------------------- outlines


def _roughen(stream: np.random.Generator, path: np.ndarray, levels: int, amplitude: float) -> np.ndarray:
    """Displace midpoints sideways, level by level, and round to whole metres."""
    for _ in range(levels):
        step = np.diff(path, axis=0)
        sideways = np.column_stack([-step[:, 1], step[:, 0]])
        push = amplitude * (2 * stream.random(len(step)) - 1)
        middle = (path[:-1] + path[1:]) / 2 + sideways * push[:, None]
        path = np.insert(path, np.arange(1, len(path)), middle, axis=0)
    return np.round(path)


def _ring(
    stream: np.random.Generator, corners: tuple[tuple[float, float], ...], levels: int
) -> shapely.Polygon:
    """Make a rough closed outline from corners in kilometres."""
    closed = 1000 * np.array([*corners, corners[0]])
    return shapely.Polygon(_roughen(stream, closed, levels, 0.14))


def _outline(draws: Draws) -> _Outline:
    """Draw coast, borders, lake, sea area and islands."""
    coast = _roughen(draws.stream("coast"), 1000 * np.array(_COAST), 5, 0.14)
    border = _roughen(draws.stream("border"), 1000 * np.array([_COAST[-1], *_BORDER, _COAST[0]]), 4, 0.1)
    water = draws.stream("water")
    return _Outline(
        land=shapely.Polygon(np.vstack([coast[:-1], border])),
        lake=_ring(water, _LAKE, 4),
        sea=_ring(water, _SEA, 0),
        isles=[_ring(water, isle, 4) for isle in _ISLES],
        coast=shapely.LineString(coast),
    )


# ---------------------------------------------------------------------------------------------- seeds


def _seeds(draws: Draws, land: shapely.Polygon) -> pd.DataFrame:
    """Place the point that each neighbourhood grows from: towns, then villages, then the countryside."""
    shapely.prepare(land)
    stream = draws.stream("seeds")
    points: list[np.ndarray] = []
    rows: list[tuple[str, int, int, int]] = []
    for number, town in enumerate(TOWNS):
        points += _scatter(stream, land, points, np.array([town.x, town.y]), town.n_areas, town.radius)
        rows += [("stad", number, -1, town.residents)] * town.n_areas
    for number in range(len(VILLAGES)):
        centre = _farthest(stream, land, points)
        points += _scatter(stream, land, points, centre, _VILLAGE_AREAS, 700)
        rows += [("dorp", -1, number, _VILLAGE_RESIDENTS)] * _VILLAGE_AREAS
    while len(points) < N_AREAS - len(_ISLES) - 2:
        points.append(_farthest(stream, land, points))
        rows.append(("land", -1, -1, _RURAL_RESIDENTS))
    seeds = pd.DataFrame(rows, columns=["kind", "town", "village", "residents"])
    return seeds.assign(x=[point[0] for point in points], y=[point[1] for point in points])


def _scatter(
    stream: np.random.Generator,
    land: shapely.Polygon,
    taken: list[np.ndarray],
    centre: np.ndarray,
    count: int,
    radius: float,
) -> list[np.ndarray]:
    """Place points in a disc, denser towards its centre (the first point) and never too close."""
    found = [centre]
    gap = 1.4 * radius / np.sqrt(count)
    while len(found) < count:
        offset = 2 * stream.random(2) - 1
        reach = offset @ offset
        point = np.round(centre + radius * offset * (0.45 + 0.55 * reach))
        if reach > 1 or not shapely.contains_xy(land, *point) or _nearest(taken + found, point) < gap**2:
            gap *= 0.997
            continue
        found.append(point)
    return found


def _nearest(points: list[np.ndarray], point: np.ndarray) -> float:
    """Find the squared distance to the nearest of the points."""
    return float(((np.array(points) - point) ** 2).sum(axis=1).min())


def _farthest(stream: np.random.Generator, land: shapely.Polygon, taken: list[np.ndarray]) -> np.ndarray:
    """Draw twenty places and take the one on land that is farthest from all points so far."""
    low, high = np.reshape(land.bounds, (2, 2))
    places = np.round(low + (high - low) * stream.random((20, 2)))
    places = places[shapely.contains_xy(land, places)]
    return max(places, key=lambda place: _nearest(taken, place))


# ---------------------------------------------------------------------------------------------- cells


def _cells(draws: Draws, seeds: pd.DataFrame, outline: _Outline) -> gpd.GeoDataFrame:
    """Give every seed the land nearest to it, with crooked borders; lake and sea come last."""
    lines = [*_ridges(draws, seeds[["x", "y"]].to_numpy()), outline.land.exterior]
    lines += [outline.lake.exterior, outline.sea.exterior]
    noded = shapely.union_all(lines, grid_size=1.0)
    faces = np.array(shapely.get_parts(shapely.polygonize([noded])))
    owner = _owners(faces, seeds, outline)
    shapes = [shapely.normalize(shapely.union_all(faces[owner == k])) for k in range(len(seeds) + 2)]
    water = pd.DataFrame({"kind": "water", "town": -1, "village": -1, "residents": 0}, index=[0, 1])
    frame = gpd.GeoDataFrame(pd.concat([seeds, water], ignore_index=True), geometry=shapes, crs=CRS)
    middle = np.round(shapely.get_coordinates(shapely.centroid(shapes[-2:])))
    frame.loc[frame.index[-2:], ["x", "y"]] = middle
    return frame


def _ridges(draws: Draws, points: np.ndarray) -> list[shapely.LineString]:
    """Draw the borders between seeds, bent no further than a quarter of the way to a seed."""
    far = 1000 * np.array([[-200, 570], [300, 570], [50, 200], [50, 900]])
    diagram = Voronoi(np.vstack([points, far]))
    stream = draws.stream("ridges")
    lines = []
    ridges = {(min(pair), max(pair)): ends for pair, ends in diagram.ridge_dict.items()}
    for (a, b), ends in sorted(ridges.items()):
        if b >= len(points):
            continue
        path = np.round(diagram.vertices[ends], 6)
        path = path[np.lexsort(path.T)]
        length, apart = (
            np.sqrt(((path[1] - path[0]) ** 2).sum()),
            np.sqrt(((points[a] - points[b]) ** 2).sum()),
        )
        levels = 0 if length < 250 else 1 if length < 700 else 2
        lines.append(shapely.LineString(_roughen(stream, path, levels, min(0.12, 0.12 * apart / length))))
    return lines


def _owners(faces: np.ndarray, seeds: pd.DataFrame, outline: _Outline) -> np.ndarray:
    """Say whose each face is: a seed's, the lake's, the sea's or nobody's (-1)."""
    inside = shapely.point_on_surface(faces)
    on_land, in_lake = shapely.contains(outline.land, inside), shapely.contains(outline.lake, inside)
    owner = np.full(len(faces), -1)
    owner[in_lake] = len(seeds)
    owner[shapely.contains(outline.sea, inside) & ~on_land] = len(seeds) + 1
    points = shapely.points(seeds[["x", "y"]])
    seed, face = shapely.STRtree(faces).query(points, predicate="within")
    owner[face] = seed
    loose = np.flatnonzero(on_land & (owner < 0))
    shared = border_lengths(gpd.GeoSeries(faces))
    while len(loose):  # land cut off from its seed by a bay or the lake goes to the longest border
        longest = np.array([_longest(shared, face, owner, len(seeds)) for face in loose])
        if (longest < 0).all():
            break
        owner[loose] = longest
        loose = loose[longest < 0]
    return owner


def _longest(shared: csr_array, face: np.integer, owner: np.ndarray, n_seeds: int) -> int:
    """Find the seed whose face shares the longest border with this one; -1 where there is none."""
    span = slice(shared.indptr[face], shared.indptr[face + 1])
    owners, lengths = owner[shared.indices[span]], shared.data[span]
    usable = (owners >= 0) & (owners < n_seeds)
    return int(owners[usable][np.argmax(lengths[usable])]) if usable.any() else -1


def _kinds(draws: Draws, frame: gpd.GeoDataFrame) -> np.ndarray:
    """Name what kind of place each area is; a few town and country areas are something special."""
    kind = frame["kind"].to_numpy(dtype=object, copy=True)
    for number, town in enumerate(TOWNS[:_WITH_INDUSTRY]):
        own = np.flatnonzero(frame["town"] == number)
        if number < _WITH_CENTRE:
            kind[own[0]] = "centrum"
        away = (frame["x"][own] - town.x) ** 2 + (frame["y"][own] - town.y) ** 2
        kind[own[np.argmax(away)]] = "bedrijven"
    order = draws.order("kinds", len(frame))
    quiet = order[np.isin(kind[order], ["dorp", "land"])]
    parks = quiet[(frame["coast"].to_numpy()[quiet] < 3_000)][:_N_PARKS]
    kind[parks] = "park"
    kind[quiet[(kind[quiet] == "land")][:_N_EMPTY]] = "leeg"
    return kind


def _with_islands_and_water(frame: gpd.GeoDataFrame, outline: _Outline) -> gpd.GeoDataFrame:
    """Put the islands before the two water areas, which stay last."""
    middle = np.round(shapely.get_coordinates(shapely.centroid(outline.isles)))
    isles = gpd.GeoDataFrame(
        {
            "kind": "eiland",
            "town": -1,
            "village": -1,
            "residents": [640, 4],
            "x": middle[:, 0],
            "y": middle[:, 1],
            "coast": 0.0,
        },
        geometry=shapely.normalize(outline.isles),
        crs=CRS,
    )
    parts = [frame.iloc[:-2], isles, frame.iloc[-2:]]
    return gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=CRS)


# ------------------------------------------------------------------------------------------ hierarchy


def _add_codes(frame: gpd.GeoDataFrame, shared: csr_array) -> None:
    """Group areas into wijken and gemeenten that hang together, and number them the way CBS does."""
    mainland = np.flatnonzero(~frame["kind"].isin(["eiland", "water"]))
    links = _steps(frame, shared)[mainland][:, mainland]
    centres = np.array([np.flatnonzero(frame["town"] == number)[0] for number in range(len(TOWNS))])
    gemeente = np.zeros(len(frame), dtype=int)
    gemeente[mainland] = _grow(links, centres)
    wijk = np.zeros(len(frame), dtype=int)
    counts = _shares(np.bincount(gemeente[mainland]), N_DISTRICTS - 3)
    for number, count in enumerate(counts):
        own = np.flatnonzero(gemeente[mainland] == number)
        wijk[own] = _districts(links[own][:, own], count, frame.iloc[own])
    isles, (lake, sea) = np.flatnonzero(frame["kind"] == "eiland"), np.flatnonzero(frame["kind"] == "water")
    gemeente[isles], wijk[isles] = 5, counts[5]  # the islands belong to Duinmaarn
    for area in (lake, sea):
        span = slice(shared.indptr[area], shared.indptr[area + 1])
        gemeente[area] = np.bincount(gemeente[shared.indices[span]], weights=shared.data[span]).argmax()
        wijk[area] = 99
    _write_codes(frame, gemeente, wijk)


def _steps(frame: gpd.GeoDataFrame, shared: csr_array) -> csr_array:
    """Turn shared borders into distances between areas, in whole metres so that sums are exact."""
    pairs = shared.tocoo()
    i, j = pairs.coords
    away = (frame["x"].to_numpy()[i] - frame["x"].to_numpy()[j]) ** 2
    away += (frame["y"].to_numpy()[i] - frame["y"].to_numpy()[j]) ** 2
    return csr_array((np.round(np.sqrt(away)), (i, j)), shape=shared.shape)


def _grow(links: csr_array, centres: np.ndarray) -> np.ndarray:
    """Give each area to the centre that is nearest along a path, which keeps every group in one piece."""
    return dijkstra(links, indices=centres).argmin(axis=0)


def _shares(sizes: np.ndarray, total: int, least: int = 3) -> np.ndarray:
    """Share out a total in proportion to sizes, in whole numbers and at least three each."""
    exact = least + (total - least * len(sizes)) * sizes / sizes.sum()
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return whole


def _districts(links: csr_array, count: int, frame: gpd.GeoDataFrame) -> np.ndarray:
    """Cut one gemeente into wijken of about equally many areas; number 0 holds the town's centre."""
    steps = links.copy()
    steps.data = 1000 + np.round(links.data / 10)
    paths = dijkstra(steps)
    centres = [0]  # the centre of the town is the first of its areas
    while len(centres) < count:
        centres.append(int(paths[centres].min(axis=0).argmax()))
    for _ in range(8):
        group = paths[centres].argmin(axis=0)
        members = [np.flatnonzero(group == number) for number in range(count)]
        centres = [int(own[paths[np.ix_(own, own)].sum(axis=0).argmin()]) for own in members]
    group = paths[centres].argmin(axis=0)
    rest = [number for number in range(count) if number != group[0]]
    rest.sort(key=lambda number: (-frame["y"].iloc[centres[number]], frame["x"].iloc[centres[number]]))
    rank = np.empty(count, dtype=int)
    rank[[group[0], *rest]] = np.arange(count)
    return rank[group]


def _write_codes(frame: gpd.GeoDataFrame, gemeente: np.ndarray, wijk: np.ndarray) -> None:
    """Write codes as text; within a wijk, areas count from north to south."""
    order = frame.assign(g=gemeente, w=wijk).sort_values(
        ["g", "w", "y", "x"], ascending=[True, True, False, True]
    )
    buurt = order.groupby(["g", "w"]).cumcount().reindex(frame.index).where(frame["kind"] != "water", 98)
    pairs = [f"91{g + 1:02d}{w:02d}" for g, w in zip(gemeente, wijk, strict=True)]
    frame["buurtcode"] = [f"BU{pair}{b:02d}" for pair, b in zip(pairs, buurt, strict=True)]
    frame["wijkcode"] = [f"WK{pair}" for pair in pairs]
    frame["gemeentecode"] = [f"GM{pair[:4]}" for pair in pairs]
    frame["gemeentenaam"] = [TOWNS[g].name for g in gemeente]
