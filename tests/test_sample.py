"""The made-up province keeps its promises, and comes out the same again."""

from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from zoo_geo.errors import InputError
from zoo_geo.sample import write_sample

STORED = Path(__file__).parent.parent / "data_samples"
SECRET = -99997
INDICATORS = (
    "vakantiepark_inschrijvingen",
    "kappers_nagelstudios",
    "omzet_per_studio",
    "verdachte_transacties",
    "hennepkwekerijen",
    "onverklaarbare_aankopen",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def areas():
    return gpd.read_file(STORED / "buurten.gpkg", layer="buurten").set_index("buurtcode")


@pytest.fixture(scope="module")
def figures():
    return pd.read_csv(STORED / "cijfers.csv", dtype={"jaar": str})


@pytest.fixture(scope="module")
def truth():
    return pd.read_csv(STORED / "truth.csv", dtype={"period": str})


@pytest.fixture(scope="module")
def touching(areas):
    shapes = areas.geometry.to_numpy()
    i, j = shapely.STRtree(shapes).query(shapes, predicate="touches")
    return csr_array((np.ones(len(i)), (i, j)), shape=(len(shapes), len(shapes)))


# ------------------------------------------------------------------------------------ the same again


@pytest.mark.parametrize("name", ["cijfers.csv", "kenmerken.csv", "truth.csv", "study.toml", "README.md"])
def test_stored_text_is_what_is_written(written, name):
    assert (written / name).read_bytes() == (STORED / name).read_bytes()


def test_stored_areas_are_what_is_written(written):
    # The bytes of a GeoPackage hold the version of SQLite; its contents do not.
    again, stored = gpd.read_file(written / "buurten.gpkg"), gpd.read_file(STORED / "buurten.gpkg")
    assert again.crs == stored.crs == "EPSG:28992"
    pd.testing.assert_frame_equal(
        pd.DataFrame(again.drop(columns="geometry")), stored.drop(columns="geometry")
    )
    assert (again.geometry.to_wkb() == stored.geometry.to_wkb()).all()


def test_nothing_else_is_stored(written):
    assert {path.name for path in STORED.iterdir()} == {path.name for path in written.iterdir()}
    assert sum(path.stat().st_size for path in STORED.iterdir()) < 3_000_000


@pytest.mark.slow
def test_writing_twice_gives_the_same_bytes(written, tmp_path):
    paths = write_sample(tmp_path)
    write_sample(tmp_path)  # over the first
    assert [path.read_bytes() for path in paths] == [(written / path.name).read_bytes() for path in paths]


@pytest.mark.slow
def test_another_seed_is_another_province_of_the_same_make(written, tmp_path):
    write_sample(tmp_path / "new" / "folder", seed=1)
    other = gpd.read_file(tmp_path / "new" / "folder" / "buurten.gpkg")
    assert len(other) == 600
    assert other["wijkcode"].nunique() == 60
    assert other["buurtnaam"].is_unique
    assert other.geometry.is_valid.all()
    assert (tmp_path / "new" / "folder" / "cijfers.csv").read_bytes() != (
        written / "cijfers.csv"
    ).read_bytes()


def test_wrong_arguments_are_told(tmp_path):
    with pytest.raises(InputError, match=r"seed needs to be a whole number from 0; got -1"):
        write_sample(tmp_path, seed=-1)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="directory needs to be a folder"):
        write_sample(tmp_path / "file")


# -------------------------------------------------------------------------------------------- areas


def test_hierarchy(areas):
    assert len(areas) == 600
    assert areas["wijkcode"].nunique() == areas["wijknaam"].nunique() == 60
    assert areas["gemeentecode"].nunique() == areas["gemeentenaam"].nunique() == 12
    assert areas.index.is_unique
    assert areas["buurtnaam"].is_unique
    assert areas.index.str.fullmatch(r"BU91\d{6}").all()
    assert (areas.index.str[2:8] == areas["wijkcode"].str[2:]).all()
    assert (areas["wijkcode"].str[2:6] == areas["gemeentecode"].str[2:]).all()
    assert (
        areas.groupby("wijkcode").size().drop(areas[areas["water"] == "JA"]["wijkcode"]).between(2, 40).all()
    )


def test_names_have_letters_that_trip_careless_software(areas):
    names = "".join(areas["buurtnaam"])
    assert "'t Zand" in areas["buurtnaam"].tolist()
    assert {"ë", "ç", "ï", "é"} <= set(names)


def test_borders_are_exact(areas):
    shapes = areas.geometry.to_numpy()
    assert areas.geometry.is_valid.all()
    assert (areas.geom_type == "Polygon").all()
    assert (shapely.get_coordinates(shapes) % 1 == 0).all()
    assert shapely.coverage_is_valid(shapes)


def test_neighbours(touching):
    degree = np.asarray(touching.sum(axis=1)).ravel()
    assert 5 < degree.mean() < 6.5
    assert (degree == 0).sum() == 2


@pytest.mark.parametrize("level", ["wijkcode", "gemeentecode"])
def test_groups_hang_together(areas, touching, level):
    mainland = np.flatnonzero(np.asarray(touching.sum(axis=1)).ravel() > 0)
    for own in pd.Series(mainland).groupby(areas[level].to_numpy()[mainland]).groups.values():
        rows = mainland[own]
        assert connected_components(touching[rows][:, rows])[0] == 1


def test_lies_in_the_sea(areas):
    west, south, east, north = areas.total_bounds
    assert 20_000 < west < east < 80_000
    assert 540_000 < south < north < 600_000


def test_water(areas, figures):
    water = areas[areas["water"] == "JA"]
    assert len(water) == 2
    assert water.index.str.endswith("9998").all()
    assert (areas["water"].drop(water.index) == "NEE").all()
    assert (figures.set_index("buurtcode").loc[water.index, "aantal_inwoners"] == 0).all()


def test_urbanity(areas, figures):
    assert set(areas["stedelijkheid"]) == {1, 2, 3, 4, 5}
    homes = figures.groupby("buurtcode")["woningen"].last() / (areas.area / 1e6)
    by_class = homes.groupby(areas["stedelijkheid"]).median()
    assert all(more > less for more, less in pairwise(by_class))


# ------------------------------------------------------------------------------------------- figures


def test_every_area_has_every_year(areas, figures):
    assert len(figures) == 600 * 5
    assert not figures.duplicated(["buurtcode", "jaar"]).any()
    assert set(figures["buurtcode"]) == set(areas.index)
    assert sorted(figures["jaar"].unique()) == ["2020", "2021", "2022", "2023", "2024"]


def test_residents_are_skewed_like_real_ones(figures):
    residents = figures.loc[figures["jaar"] == "2024", "aantal_inwoners"]
    low, quarter, middle, most, top = residents.quantile([0.1, 0.25, 0.5, 0.9, 0.99])
    assert low < 120
    assert 120 < quarter < 400
    assert 450 < middle < 900
    assert 1_500 < most < 3_500 < 1.2 * top
    assert 400_000 < residents.sum() < 650_000
    assert (residents == 0).sum() >= 7
    assert residents.between(1, 20).sum() >= 5


def test_counts_are_whole_and_possible(figures):
    known = figures.replace(SECRET, np.nan)
    whole = known.drop(columns=["buurtcode", "jaar", "omzet_per_studio"])
    assert ((whole.dropna() >= 0) & (whole.dropna() % 1 == 0)).all(axis=None)
    assert (known.loc[known["vakantiewoningen"] == 0, "vakantiepark_inschrijvingen"].fillna(0) == 0).all()
    assert not (known["onverklaarbare_aankopen"] > known["woningaankopen"]).any()
    assert not known.loc[known["kappers_nagelstudios"] == 0, "omzet_per_studio"].notna().any()
    empty = known["aantal_inwoners"] == 0
    assert (known.loc[empty, "hennepkwekerijen"].fillna(0) == 0).all()


def test_some_cells_are_secret_or_missing(figures):
    for indicator in INDICATORS:
        assert 5 < (figures[indicator] == SECRET).sum() < 90
        assert figures[indicator].isna().sum() >= 3
    assert not figures[["aantal_inwoners", "woningen", "woningaankopen"]].isna().any(axis=None)


def test_rates_are_plausible(figures):
    known = figures.where(figures != SECRET)
    total = known.sum(numeric_only=True)
    per_thousand = 1_000 * total / total["aantal_inwoners"]
    assert 0.2 < total["vakantiepark_inschrijvingen"] / total["vakantiewoningen"] < 0.45
    assert 4 < per_thousand["kappers_nagelstudios"] < 10
    assert 8 < per_thousand["verdachte_transacties"] < 20
    assert 0.08 < total["onverklaarbare_aankopen"] / total["woningaankopen"] < 0.2
    assert 35 < known["omzet_per_studio"].median() < 60


def test_studios_hardly_change_and_transactions_do(figures):
    def memory(name):
        rate = 1_000 * figures[name].where(figures[name] != SECRET) / figures["aantal_inwoners"]
        rate = rate.where(figures["aantal_inwoners"] > 500)
        years = [rate[figures["jaar"] == year].reset_index(drop=True) for year in ("2020", "2021")]
        return years[0].corr(years[1], method="spearman")

    assert memory("kappers_nagelstudios") > 0.85
    assert memory("kappers_nagelstudios") > memory("verdachte_transacties") + 0.1


def test_holiday_homes_are_on_the_coast(areas, figures):
    sea = areas.loc[areas["buurtnaam"].str.startswith("Noordzee"), "geometry"].item()
    coast = areas.geometry.touches(sea)
    latest = figures[figures["jaar"] == "2024"].set_index("buurtcode").replace(SECRET, np.nan)
    homes = latest.groupby(coast)["vakantiewoningen"].mean()
    assert homes[True] > 3 * homes[False]


def test_centres_have_few_residents_and_many_visitors(areas, figures):
    latest = figures[figures["jaar"] == "2024"].set_index("buurtcode")
    busy = latest["bezoekers"] > 5 * latest["aantal_inwoners"].clip(lower=1)
    named = areas.loc[busy[busy].index, "buurtnaam"]
    assert named.str.endswith("-Centrum").sum() == 3
    assert named.str.startswith("Bedrijventerrein").sum() == 4


def test_features_cover_every_area(areas):
    features = pd.read_csv(STORED / "kenmerken.csv").set_index("buurtcode")
    assert features.index.equals(areas.index)
    assert features["percentage_65_jaar_en_ouder"].dropna().between(0, 100).all()
    assert features["percentage_huurwoningen"].notna().sum() > 500


# --------------------------------------------------------------------------------------------- truth


def test_truth_names_cells_that_have_a_figure(figures, truth):
    assert list(truth.columns) == ["area", "indicator", "period", "kind", "ratio"]
    assert not truth.duplicated(["area", "indicator", "period"]).any()
    assert set(truth["indicator"]) == set(INDICATORS)
    long = figures.melt(["buurtcode", "jaar"], INDICATORS).set_index(["buurtcode", "jaar", "variable"])[
        "value"
    ]
    values = long.reindex(pd.MultiIndex.from_frame(truth[["area", "period", "indicator"]]))
    assert values.notna().all()
    assert (values != SECRET).all()


def test_truth_holds_about_one_percent_of_the_cells(truth):
    assert 0.008 < len(truth) / (600 * 5 * len(INDICATORS)) < 0.015
    assert truth["kind"].value_counts().loc[["high", "cluster", "low"]].min() >= 30
    assert set(truth["kind"]) == {"high", "low", "cluster"}
    assert truth.loc[truth["kind"] == "low", "ratio"].between(0.05, 0.3).all()
    assert truth.loc[truth["kind"] == "cluster", "ratio"].between(1.7, 2.4).all()
    assert truth.loc[truth["kind"] == "high", "ratio"].between(1.5, 4).all()
    lasting = truth.groupby(["indicator", "area"])["period"].nunique()
    assert set(lasting) == {1, 5}


def test_clusters_are_neighbours(areas, touching, truth):
    place = pd.Series(np.arange(len(areas)), index=areas.index)
    for _, rows in truth[truth["kind"] == "cluster"].groupby(["indicator", "period"]):
        own = place[rows["area"]].to_numpy()
        assert 4 <= len(own) <= 8
        assert connected_components(touching[own][:, own])[0] == 1


def test_observed_carries_the_planted_ratio(figures, truth):
    """Counts of planted cells against the same indicator's median rate elsewhere: right on average."""
    exposure = {
        "vakantiepark_inschrijvingen": "vakantiewoningen",
        "kappers_nagelstudios": "aantal_inwoners",
        "verdachte_transacties": "aantal_inwoners",
        "hennepkwekerijen": "woningen",
        "onverklaarbare_aankopen": "woningaankopen",
    }
    table = figures.set_index(["buurtcode", "jaar"]).replace(SECRET, np.nan)
    for indicator, by in exposure.items():
        rate = (table[indicator] / table[by]).where(table[by] > 50)
        for kind, low, high in (("high", 1.6, 6), ("low", 0.0, 0.5)):
            own = truth[(truth["indicator"] == indicator) & (truth["kind"] == kind)]
            relative = rate.loc[list(zip(own["area"], own["period"], strict=True))].median() / rate.median()
            assert low < relative < high, (indicator, kind)


def test_two_areas_combine_studios_turnover_and_transactions(truth):
    three = ["kappers_nagelstudios", "omzet_per_studio", "verdachte_transacties"]
    high = truth[(truth["kind"] == "high") & truth["indicator"].isin(three)]
    assert (high.groupby("area").size() == 5 * len(three)).sum() == 2
