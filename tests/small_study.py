"""A small study on a grid, with names that try to get out of wherever they are put."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely import box

SIDE = 14
HOSTILE = [
    "<script>alert('x')</script>",
    "</script><img src=x onerror=alert(1)>",
    "=1+1",
    "Súd & \"West\" | 'Oost'",
]
SPIKE = {"thefts": 3 * SIDE + 3, "houses": 9 * SIDE + 9}
"""Position of the area that stands out, by indicator."""

STUDY = """
[study]
id = "small"
title = "Small <b>study</b>"
language = "{language}"

[areas]
path = "areas.gpkg"
id = "code"
name = "name"
parents = {{ gemeente = "gemeente" }}

[[tables]]
id = "people"
path = "people.csv"
area = "code"
period = "year"

[[tables]]
id = "dwellings"
path = "dwellings.parquet"
area = "code"

[[indicators]]
id = "thefts"
title = {{ nl = "Diefstallen", en = "Thefts" }}
unit = {{ nl = "inwoners", en = "residents" }}
table = "people"
observed = "thefts"
exposure = "residents"

[[indicators]]
id = "houses"
title = "Purchases & sales"
table = "dwellings"
observed = {{ "2023" = "odd" }}
exposure = "sold"
family = "binomial"

[[detectors]]
type = "deviation"

[[detectors]]
type = "getis_ord"
permutations = 499

[truth]
path = "truth.csv"
"""

FEATURES = """
[features]
path = "features.csv"
area = "code"

[peers]
k = 8
columns = ["density", "older"]
within = "kind"
exclude = ["neighbors"]

[[detectors]]
type = "deviation"
reference = "peers"

[[detectors]]
type = "deviation"
reference = "stratum:kind"

[[detectors]]
type = "deviation"
reference = "model"
adjust = ["density", "older"]

[flags]
context = ["deviation:peers", "deviation:stratum:kind", "deviation:model"]
"""
"""For `extra`, with `write_features`."""


def write_features(folder: Path) -> None:
    """Write features of all areas but the last one; two lack a figure, one is like no other."""
    draws = np.random.default_rng(3)
    n = SIDE * SIDE
    table = pd.DataFrame({"code": codes(), "density": draws.lognormal(6, 0.5, n).round()})
    table["older"] = draws.normal(20, 4, n).round(1).astype(object)
    table["kind"] = draws.choice(["town", "village"], n)
    table.loc[7, "density"] = -99997
    table.loc[8, "older"] = "."
    table.loc[9, "density"] = 1e6
    table.iloc[:-1].to_csv(folder / "features.csv", index=False)


def codes() -> list[str]:
    return [f"BU{n:04d}" for n in range(SIDE * SIDE)]


def write_study(folder: Path, *, language: str = "en", extra: str = "") -> Path:
    """Write map, tables, truth and study file; return the study file."""
    folder.mkdir(parents=True, exist_ok=True)
    _areas().to_file(folder / "areas.gpkg", engine="pyogrio")
    _people().to_csv(folder / "people.csv", index=False, sep=";")
    _dwellings().to_parquet(folder / "dwellings.parquet")
    _truth().to_csv(folder / "truth.csv", index=False)
    path = folder / "study.toml"
    path.write_text(STUDY.format(language=language) + extra, encoding="utf-8")
    return path


def _areas() -> gpd.GeoDataFrame:
    rows, columns = np.divmod(np.arange(SIDE * SIDE), SIDE)
    names = [f"Area {n}" for n in range(SIDE * SIDE)]
    names[SPIKE["thefts"]], names[SPIKE["houses"]] = HOSTILE[0], HOSTILE[1]
    names[0], names[1] = HOSTILE[2], HOSTILE[3]
    table = {"code": codes(), "name": names, "gemeente": [f"GM{row // 5}" for row in rows]}
    shapes = [box(c * 500, r * 500, c * 500 + 500, r * 500 + 500) for r, c in zip(rows, columns, strict=True)]
    return gpd.GeoDataFrame(table, geometry=shapes, crs=28992)


def _people() -> pd.DataFrame:
    draws = np.random.default_rng(1)
    years = [
        pd.DataFrame(
            {"code": codes(), "year": year, "residents": 1500, "thefts": draws.poisson(15, SIDE * SIDE)}
        )
        for year in (2022, 2023)
    ]
    years[1].loc[SPIKE["thefts"], "thefts"] = 90
    table = pd.concat(years, ignore_index=True).astype({"thefts": "Int64"})
    table.loc[5, "thefts"] = pd.NA
    table.loc[6, "thefts"] = -99997
    return table


def _dwellings() -> pd.DataFrame:
    odd = np.random.default_rng(2).binomial(80, 0.1, SIDE * SIDE)
    odd[SPIKE["houses"]] = 60
    return pd.DataFrame({"code": codes(), "sold": 80, "odd": odd})


def _truth() -> pd.DataFrame:
    code = codes()
    planted = {
        "area": [code[SPIKE["thefts"]], code[SPIKE["houses"]], code[20]],
        "indicator": ["thefts", "houses", "thefts"],
        "period": ["2023", "2023", "2022"],
        "kind": ["high", "high", "hard"],
        "ratio": [6.0, 7.5, 1.1],
    }
    return pd.DataFrame(planted)
