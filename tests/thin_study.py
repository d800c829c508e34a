"""A small study of two indicators, on as many squares in a row as there are figures."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
from shapely import box

STUDY = """
[study]
id = "edge"
language = "en"
[areas]
path = "areas.gpkg"
id = "code"
[[tables]]
id = "figures"
path = "figures.csv"
area = "code"
[[indicators]]
id = "thefts"
observed = "thefts"
exposure = "residents"
[[indicators]]
id = "income"
observed = "income"
family = "gaussian"
[[detectors]]
type = "deviation"
[[detectors]]
type = "getis_ord"
permutations = 99
[[detectors]]
type = "local_moran"
permutations = 99
"""


def write_study(folder: Path, figures: pd.DataFrame, extra: str = "") -> Path:
    """Write a study on a row of squares, one per row of the table."""
    codes = [f"A{n}" for n in range(len(figures))]
    shapes = [box(500 * n, 0, 500 * n + 500, 500) for n in range(len(figures))]
    gpd.GeoDataFrame({"code": codes}, geometry=shapes, crs=28992).to_file(folder / "areas.gpkg")
    figures.assign(code=codes).to_csv(folder / "figures.csv", index=False)
    (folder / "study.toml").write_text(STUDY + extra, encoding="utf-8")
    return folder / "study.toml"
