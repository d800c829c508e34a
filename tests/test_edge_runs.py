"""Runs at the edge: no flags, hardly any areas, no figures; all of them end well, with files and page."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

import small_study
import thin_study
from zoo_geo import cli
from zoo_geo.pipeline import run


def figures(n: int, thefts: float = 3.0, residents: float = 100.0, income: float = 20.0) -> pd.DataFrame:
    return pd.DataFrame({"thefts": [thefts] * n, "residents": residents, "income": income})


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "nl"])
def test_a_run_without_flags_ends_well(tmp_path, capsys, language):
    study = small_study.write_study(tmp_path / "study", language=language, extra="[flags]\nmin_ratio = 100\n")
    assert cli.main(["run", str(study), "-o", str(tmp_path / "out")]) == 0
    assert "0 " in capsys.readouterr().out
    for name in ("flags", "evidence"):
        table = pd.read_csv(tmp_path / "out" / f"{name}_internal.csv")
        assert len(table) == 0
        assert "area" in table
        assert len(gpd.read_file(tmp_path / "out" / f"{name}_internal.gpkg")) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        figures(1),
        figures(2),
        figures(6, thefts=0.0),
        figures(6, thefts=0.0, residents=0.0),
        figures(6, thefts=np.nan, income=np.nan),
    ],
    ids=["one area", "two areas", "all zeros", "no exposure", "all missing"],
)
def test_thin_figures_end_well(tmp_path, given):
    result = run(thin_study.write_study(tmp_path, given), tmp_path / "out")
    assert result.flags.frame.empty
    assert result.report["small_exposure"] == {"below": 0.2, "flags": 0, "of": 0}
    assert (tmp_path / "out" / "map_internal.html").is_file()
