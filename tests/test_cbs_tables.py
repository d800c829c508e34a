"""Tables of CBS in all their spellings become one."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

import zoo_geo as zg
from zoo_geo.cbs_tables import SPELLINGS, plain_name
from zoo_geo.errors import InputError

GEOPACKAGE = pd.DataFrame({
    "buurtcode": ["BU00140000", "BU00140001", "BU00149998"],
    "buurtnaam": ["Centrum ", "Noord", "Water"],
    "wijkcode": ["WK001400"] * 3,
    "gemeentecode": ["GM0014"] * 3,
    "water": ["NEE", "NEE", "JA"],
    "aantal_inwoners": [4_505, -99997, 0],
    "gemiddelde_woningwaarde": [-99995, -99991, -99999999],
    "stedelijkheid_adressen_per_km2": [1, 5, -99997],
    "jrstatcode": ["2023BU00140000", "2023BU00140001", "2023BU00149998"],
})  # fmt: skip
STATLINE = pd.DataFrame({
    "WijkenEnBuurten": ["Nederland", "Stad", "Wijk 00", "Centrum", "Noord"],
    "Gemeentenaam_1": ["Nederland      ", "Stad      ", "Stad      ", "Stad      ", "Stad      "],
    "Codering_3": ["NL00      ", "GM0014    ", "WK001400  ", "BU00140000", "BU00140001"],
    "IndelingswijzigingWijkenEnBuurten_4": [".", ".", "1", "1         ", "3"],
    "AantalInwoners_5": ["  17000000", "  5000", "      4995", "      4505", "         ."],
    "GemiddeldeHuishoudsgrootte_32": ["2.1", "2.0", "2.0", "      1.9", "       ."],
    "k_0Tot15Jaar_8": ["9", "9", "9", "  420", "35"],
})  # fmt: skip


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("AantalInwoners_5", "aantal_inwoners"),
        ("aantalInwoners", "aantal_inwoners"),
        ("AANT_INW", "aantal_inwoners"),
        ("BedrijfsvestigingenTotaal_91", "aantal_bedrijfsvestigingen"),
        ("RUCultuurRecreatieOverigeDiensten_98", "aantal_bedrijven_cultuur_recreatie_overige"),
        ("MateVanStedelijkheid_115", "stedelijkheid_adressen_per_km2"),
        ("stedelijkheidAdressenPerKm2", "stedelijkheid_adressen_per_km2"),
        ("bevolkingsdichtheidInwonersPerKm2", "bevolkingsdichtheid_inwoners_per_km2"),
        ("STED", "stedelijkheid_adressen_per_km2"),
        ("P_00_14_JR", "percentage_personen_0_tot_15_jaar"),
        ("percentagePersonen65JaarEnOuder", "percentage_personen_65_jaar_en_ouder"),
        ("H2O", "water"),
        ("WATER", "water"),
        ("BU_CODE", "buurtcode"),
        ("Codering_3", "code"),
        ("IndelingswijzigingWijkenEnBuurten_4", "indelingswijziging_wijken_en_buurten"),
        ("IndelingswijzigingGemeenteWijkBuurt_4", "indelingswijziging_wijken_en_buurten"),
        ("GemiddeldeWOZWaardeVanWoningen_39", "gemiddelde_woningwaarde"),
        ("k_0Tot15Jaar_8", "k_0_tot_15_jaar"),  # a count: not the percentage of the GeoPackage
        ("WmoClienten_89", "wmo_clienten"),
        ("eigen_kolom_2", "eigen_kolom_2"),
    ],
)
def test_every_spelling_has_one_name(given, name):
    assert plain_name(given) == name


def test_the_vocabulary_names_itself_and_nothing_twice():
    assert [plain_name(name) for name in SPELLINGS] == list(SPELLINGS)
    others = [other for spelled in SPELLINGS.values() for other in spelled]
    assert len(others) == len(set(others))


def test_codes_for_no_figure_stay_apart():
    read = zg.read_cbs(GEOPACKAGE)
    assert read.frame["aantal_inwoners"].fillna(-1).tolist() == [4_505, -1, 0]
    assert read.reasons["aantal_inwoners"].tolist() == ["ok", "secret", "ok"]
    assert read.reasons["gemiddelde_woningwaarde"].tolist() == ["later", "discontinued", "missing"]
    assert read.frame["gemiddelde_woningwaarde"].isna().all()
    assert read.frame["buurtnaam"].tolist() == ["Centrum", "Noord", "Water"]
    assert read.frame["water"].tolist() == [False, False, True]
    assert read.year == 2023
    assert (
        "1 figures are published in a later release (1 of 3; first: gemiddelde_woningwaarde)." in read.notices
    )
    assert "Water areas: 1 of 3; first: BU00149998." in read.notices


def test_codes_that_nobody_knows_are_no_figures():
    read = zg.read_cbs(GEOPACKAGE.assign(mannen=[-99998, 10, -5]))
    assert read.reasons["mannen"].tolist() == ["missing", "ok", "ok"]  # -5 is wrong, but no code
    assert "Codes that nobody knows were read as missing (1; first: -99998 in mannen)." in read.notices


def test_statline_with_titles_for_keys():
    read = zg.read_cbs(STATLINE)
    assert read.frame.index.tolist() == ["BU00140000", "BU00140001"]
    assert read.frame["regio"].tolist() == ["Centrum", "Noord"]
    assert read.frame["gemeentenaam"].tolist() == ["Stad", "Stad"]
    assert read.frame["indelingswijziging_wijken_en_buurten"].tolist() == ["1", "3"]
    assert read.frame["aantal_inwoners"].fillna(-1).tolist() == [4_505, -1]
    assert read.frame["gemiddelde_huishoudsgrootte"].iloc[0] == 1.9
    assert read.reasons["aantal_inwoners"].tolist() == ["ok", "missing"]
    assert any(notice.startswith("2 cells hold a dot") for notice in read.notices)
    assert "Rows of other levels were left out (3 of 5; first: NL00, GM0014, WK001400)." in read.notices
    assert zg.read_cbs(STATLINE, level="gemeente").frame["aantal_inwoners"].tolist() == [5_000]
    assert zg.read_cbs(STATLINE, level="wijk").frame.index.tolist() == ["WK001400"]


def test_statline_by_its_key():
    keyed = STATLINE.drop(columns="Codering_3").assign(WijkenEnBuurten=STATLINE["Codering_3"])
    assert zg.read_cbs(keyed).frame.index.tolist() == ["BU00140000", "BU00140001"]


def test_titles_alone_are_no_key():
    with pytest.raises(InputError, match="names of regions only, which are not unique"):
        zg.read_cbs(STATLINE.drop(columns="Codering_3"))


def test_parts_need_not_add_up():
    read = zg.read_cbs(STATLINE.replace({"         .": "       470"}))
    assert read.frame["aantal_inwoners"].sum() == 4_975  # of 5,000: nothing is corrected
    said = "aantal_inwoners: buurten add up to 4,975, gemeenten to 5,000. What has no known"
    assert any(notice.startswith(said) for notice in read.notices)


def test_decimal_commas_and_thousands():
    table = STATLINE.assign(GemiddeldeHuishoudsgrootte_32=["2,1", "2,0", "2,0", "1,9", "."])
    assert zg.read_cbs(table).frame["gemiddelde_huishoudsgrootte"].iloc[0] == 1.9
    with pytest.raises(InputError, match="dots that may mark thousands"):
        zg.read_cbs(table.assign(Woningwaarde_5=["1", "1", "1", "1.204", "310,5"]))
    with pytest.raises(InputError, match=r"needs to be whole counts; got fractions \(1 of 2; first: 4.505\)"):
        zg.read_cbs(table.assign(AantalInwoners_5=["17.000.000", "5.000", "4.995", "4.505", "10"]))


def test_numbers_as_text_of_a_known_column_are_told():
    with pytest.raises(
        InputError, match=r"'aantal_inwoners' needs to be numbers; got text \(1 of 2; first: veel\)"
    ):
        zg.read_cbs(STATLINE.assign(AantalInwoners_5=["1", "1", "1", "veel", "2"]))


@pytest.mark.parametrize(
    ("codes", "level", "found"),
    [(["0014", "0034"], "gemeente", "GM0014"),
     (["001400", "003401"], "wijk", "WK001400"),
     (["00140000", "00340102"], "buurt", "BU00140000"),
     (["BU0014AA0B", "BU00140000"], "buurt", "BU0014AA0B")],
)  # fmt: skip
def test_codes_without_letters(codes, level, found):
    read = zg.read_cbs(pd.DataFrame({"code": codes, "aantal_inwoners": [1, 2]}), level=level)
    assert read.frame.index[0] == found


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ([140_000, 340_102], "need to be text"),
        (
            ["140000", "00340102"],
            r"8 digits at this level; got others \(1 of 2; first: 140000\). Leading zeros",
        ),
        (["BU140000", "BU00340102"], r"BU and 8; got others \(1 of 2; first: BU140000\). Leading zeros"),
        (["BU00140000", "BU00140000"], "need to be unique; got repeated ones"),
        (["GM0014", "GM0034"], "needs to hold rows of buurten; got none"),
        (["BU00140000", None], "need to be given in every row"),
    ],
)
def test_wrong_codes_are_told(codes, said):
    with pytest.raises(InputError, match=said):
        zg.read_cbs(pd.DataFrame({"code": codes, "aantal_inwoners": [1, 2]}))


def test_wrong_tables_are_told(tmp_path):
    with pytest.raises(InputError, match="AantalInwoners_5 and AANT_INW, which are both aantal_inwoners"):
        zg.read_cbs(STATLINE.assign(AANT_INW=1))
    with pytest.raises(InputError, match=r"needs to be of 2022; got 2023"):
        zg.read_cbs(GEOPACKAGE, year=2022)
    with pytest.raises(InputError, match=r"of one year; got 2022, 2023"):
        zg.read_cbs(GEOPACKAGE.assign(jaar=[2022, 2023, 2023]))
    with pytest.raises(
        InputError, match=r"'buurtcode' or 'code' needs to be in the table; got aantal_inwoners"
    ):
        zg.read_cbs(GEOPACKAGE[["aantal_inwoners"]])
    with pytest.raises(InputError, match="level needs to be one of gemeente, wijk, buurt"):
        zg.read_cbs(GEOPACKAGE, level="provincie")
    with pytest.raises(InputError, match=r"none\.gpkg: the file needs to exist"):
        zg.read_cbs(tmp_path / "none.gpkg")


def test_a_column_called_area_does_not_hide_the_codes():
    table = zg.read_cbs(GEOPACKAGE.assign(area=[1.5, 2.5, 3.5])).coded
    assert table["area"].tolist() == GEOPACKAGE["buurtcode"].tolist()
    assert table["area_given"].tolist() == [1.5, 2.5, 3.5]


def test_input_is_not_changed():
    before = STATLINE.copy(deep=True)
    zg.read_cbs(STATLINE)
    pd.testing.assert_frame_equal(STATLINE, before)


# --------------------------------------------------------------------------------------------- files


@pytest.fixture
def geopackage(tmp_path):
    path = tmp_path / "wijkenbuurten_2023_v1.gpkg"
    shapes = [shapely.box(k, 0, k + 1, 1) for k in range(3)]
    gpd.GeoDataFrame(GEOPACKAGE, geometry=shapes, crs=28992).to_file(path, layer="buurten")
    whole = pd.DataFrame({"gemeentecode": ["GM0014"], "aantal_inwoners": [5_000]})
    gpd.GeoDataFrame(whole, geometry=[shapely.box(0, 0, 3, 1)], crs=28992).to_file(path, layer="gemeenten")
    return path


def test_layers_of_a_geopackage(geopackage):
    read = zg.read_cbs(geopackage, year=2023)
    assert read.release == 1
    assert (
        "1 figures are published in a later release than 1 (1 of 3; first: gemiddelde_woningwaarde)."
        in read.notices
    )
    pd.testing.assert_frame_equal(read.reasons, zg.read_cbs(GEOPACKAGE).reasons)
    assert zg.read_cbs(geopackage, level="gemeente").frame["aantal_inwoners"].tolist() == [5_000]
    with pytest.raises(
        InputError, match=r"v1\.gpkg: layer needs to be one of buurten, gemeenten; got 'wijken'"
    ):
        zg.read_cbs(geopackage, level="wijk")


def test_csv_keeps_leading_zeros(tmp_path):
    path = tmp_path / "kwb.csv"
    path.write_text("gwb_code;AANT_INW;GEM_HH_GR\n00140000;4505;1,9\n00140001;.;.\n", encoding="utf-8")
    read = zg.read_cbs(path)
    assert read.frame.index.tolist() == ["BU00140000", "BU00140001"]
    assert read.frame["gemiddelde_huishoudsgrootte"].tolist()[0] == 1.9


def test_releases_add_figures():
    first = zg.read_cbs(GEOPACKAGE)
    second = zg.read_cbs(
        GEOPACKAGE.assign(aantal_inwoners=[4_510, -99997, 0], gemiddelde_woningwaarde=[410, -99997, -99991])
    )
    both = first.updated(second)
    assert both.frame["aantal_inwoners"].fillna(-1).tolist() == [4_510, -1, 0]
    assert both.reasons["gemiddelde_woningwaarde"].tolist() == ["ok", "secret", "discontinued"]
    assert "aantal_inwoners: 1 figures differ in the later release, which is used." in both.notices
    back = second.updated(first)  # what a later release lacks stays
    assert back.frame["gemiddelde_woningwaarde"].iloc[0] == 410
    assert back.reasons["gemiddelde_woningwaarde"].iloc[0] == "ok"
    with pytest.raises(InputError, match="the same areas"):
        first.updated(zg.read_cbs(GEOPACKAGE.iloc[:2]))


def test_a_panel_knows_secret_from_missing():
    table = zg.read_cbs(GEOPACKAGE.assign(woningvoorraad=[2_000, 10, 5])).coded
    panel = zg.Panel.from_frame(
        table, area="area", period="jaar", observed="aantal_inwoners", exposure="woningvoorraad"
    )
    assert panel.frame["status"].tolist() == ["ok", "secret", "ok"]
    assert panel.periods == ("2023",)
    wide = zg.Panel.from_frame(table, area="area", observed="gemiddelde_woningwaarde", family="gaussian")
    assert set(wide.frame["status"]) == {"missing"}
    np.testing.assert_array_equal(table["aantal_inwoners"], [4_505, -99997, 0])


# --------------------------------------------------------------------------------------------- study

STUDY = """
[study]
id = "kwb"
[areas]
path = "wijkenbuurten_2023_v1.gpkg"
layer = "buurten"
id = "buurtcode"
[weights]
method = "knn"
k = 2
[[tables]]
id = "kwb"
path = "wijkenbuurten_2023_v1.gpkg"
dialect = "cbs"
area = "area"
period = "jaar"
[[indicators]]
id = "inwoners"
observed = "aantal_inwoners"
exposure = "woningvoorraad"
[[detectors]]
type = "deviation"
reference = "national"
"""


def test_a_study_reads_the_geopackage_of_its_map(tmp_path):
    from zoo_geo.inputs import read_inputs

    table = GEOPACKAGE.assign(woningvoorraad=[2_000, 10, 5])
    shapes = [shapely.box(k, 0, k + 1, 1) for k in range(3)]
    path = tmp_path / "wijkenbuurten_2023_v1.gpkg"
    gpd.GeoDataFrame(table, geometry=shapes, crs=28992).to_file(path, layer="buurten")
    study = tmp_path / "study.toml"
    study.write_text(STUDY, encoding="utf-8")
    inputs = read_inputs(zg.load_study(study))
    assert inputs.panel.frame["status"].tolist() == ["ok", "secret", "ok"]
    assert inputs.panel.periods == ("2023",)
    assert any("published in a later release than 1" in notice for notice in inputs.notices)
    study.write_text(STUDY.replace('dialect = "cbs"', ""), encoding="utf-8")
    with pytest.raises(InputError, match=r"needs to end in \.csv or \.parquet"):
        zg.load_study(study)
    study.write_text(STUDY.replace('dialect = "cbs"', 'dialect = "cbs"\nlevel = "wijk"'), encoding="utf-8")
    with pytest.raises(InputError, match="name the level that the rows are of"):
        read_inputs(zg.load_study(study))


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "level", "n"), [("wijken", "wijk", 3_340), ("gemeenten", "gemeente", 345)])
def test_real_layers(shared_data, name, level, n):
    read = zg.read_cbs(shared_data / "nl_wijken_2022" / f"{name}_2022.gpkg", level=level)
    assert len(read.frame) == n
    assert (read.frame["population"].dropna() % 1 == 0).all()


@pytest.mark.shared_data
def test_a_real_table_of_neighbourhoods(shared_data):
    read = zg.read_cbs(shared_data / "nl_buurten_2024" / "buurten_2024.csv")
    assert len(read.frame) == 14_574
    assert 17e6 < read.frame["aantal_inwoners"].sum() < 18.5e6
