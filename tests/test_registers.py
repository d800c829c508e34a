"""The registers of the sample province, counted, give its tables."""

import tomllib
from collections import defaultdict, namedtuple

import duckdb
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo_geo as zg
from zoo_geo import cli
from zoo_geo.branches import BranchGroup, branch_table
from zoo_geo.inputs import read_inputs
from zoo_geo.sample import write_sample
from zoo_geo.sample.registers import passing_numbers
from zoo_geo.sample.slots import divide, make_slots, spells
from zoo_geo.study import load_study

pytestmark = pytest.mark.slow

SECRET = -99997
EXPOSURES = {
    "vakantiepark_inschrijvingen": "vakantiewoningen",
    "kappers_nagelstudios": "aantal_inwoners",
    "omzet_per_studio": "kappers_nagelstudios",
    "verdachte_transacties": "aantal_inwoners",
    "hennepkwekerijen": "woningen",
    "onverklaarbare_aankopen": "woningaankopen",
}
OBSERVED = {
    "count_units": "count(DISTINCT unit)",
    "sum": "sum(value)",
    "mean": "avg(value)",
    "share": "count(DISTINCT unit) FILTER (WHERE value = 1)",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registers")
    assert cli.main(["sample", str(folder), "--microdata"]) == 0
    return folder


@pytest.fixture(scope="module")
def study(folder):
    return tomllib.loads((folder / "study_microdata.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def base(folder, study):
    """A plain DuckDB with the registers; nothing of the engine."""
    groups = [BranchGroup(**each | {"codes": tuple(each["codes"])}) for each in study["branches"]]
    with duckdb.connect(config={"threads": 2}) as base:
        for source in study["sources"]:
            base.execute(f"CREATE TABLE {source['id']} AS FROM read_parquet('{folder / source['path']}')")
        branches = branch_table(groups)
        base.execute("CREATE TABLE branches AS FROM branches")
        assert len(branches) == 4
        yield base


@pytest.fixture(scope="module")
def indicators(study):
    return {each["id"]: each for each in study["indicators"]}


@pytest.fixture(scope="module")
def figures(folder):
    return pd.read_csv(folder / "cijfers.csv").set_index(["buurtcode", "jaar"])


@pytest.fixture(scope="module")
def register(folder):
    return lambda name: pd.read_parquet(folder / f"{name}.parquet")


def counted(base, query, aggregate, index):
    """Figures per area and year; 0 where there is no record, NaN for a mean of nothing."""
    rows = base.sql(f"SELECT area, period, {OBSERVED[aggregate]} AS n FROM ({query}) GROUP BY ALL").df()
    table = rows.set_index(["area", "period"])["n"].astype(float)
    assert table.index.isin(index).all()
    return table.reindex(index, fill_value=np.nan if aggregate == "mean" else 0.0)


@pytest.mark.parametrize("id", list(EXPOSURES))
def test_counting_the_registers_gives_the_tables(base, indicators, figures, id):
    rule = indicators[id]
    ours = counted(base, rule["query"], rule["aggregate"], figures.index)
    theirs = figures[id].astype(float)
    shown = theirs.notna() & (theirs != SECRET)
    assert shown.sum() > 2_300
    np.testing.assert_array_equal(ours[shown].round(9), theirs[shown])  # means of fractions: to rounding
    exposure = figures[EXPOSURES[id]].astype(float)
    if "exposure_query" in rule:
        found = counted(base, rule["exposure_query"], rule["exposure_aggregate"], figures.index)
    else:  # out of all units
        found = counted(base, rule["query"], "count_units", figures.index)
        shown = exposure.notna() & (exposure != SECRET)
    np.testing.assert_array_equal(found[shown], exposure[shown])


def test_the_tables_withhold_what_the_registers_know(base, indicators, figures):
    rule = indicators["verdachte_transacties"]
    ours = counted(base, rule["query"], rule["aggregate"], figures.index)
    secret = figures["verdachte_transacties"] == SECRET
    assert secret.any()
    assert ours[secret].gt(0).any()


def test_turnover_per_resident_is_that_of_the_studios(base, indicators, figures):
    rule = indicators["omzet_studios_per_inwoner"]
    total = counted(base, rule["query"], "sum", figures.index)
    shown = figures["omzet_per_studio"].notna() & (figures["omzet_per_studio"] != SECRET)
    expected = (figures["omzet_per_studio"] * 1_000 * figures["kappers_nagelstudios"])[shown]
    np.testing.assert_allclose(total[shown], expected, rtol=1e-12)


@pytest.fixture(scope="module")
def records(folder):
    """What the engine makes of the registers."""
    return read_inputs(load_study(folder / "study_microdata.toml")).aggregates


def test_the_engine_counts_the_panel_of_the_tables(folder, records):
    """The queries of the one study and the tables of the other: the same figures wherever both have one."""
    tables = read_inputs(load_study(folder / "study.toml")).panel
    records = records.panel
    assert records.periods == tables.periods
    rows = pd.Index(records.areas).get_indexer(pd.Index(tables.areas))
    ids = [each.id for each in records.indicators]
    columns = [ids.index(each.id) for each in tables.indicators]
    assert len(columns) == 6
    both = (tables.status == 0) & (records.status[np.ix_(rows, columns)] == 0)
    assert both.sum() > 0.9 * (tables.status == 0).sum()
    for name in ("observed", "exposure"):
        counted, told = getattr(records, name)[np.ix_(rows, columns)], getattr(tables, name)
        np.testing.assert_allclose(counted[both], told[both], rtol=1e-9)


def rows_of(path):
    """Rows of a register as named tuples, None for what is missing."""
    columns = pq.read_table(path).to_pydict()
    row = namedtuple("Row", columns)
    return [row(*each) for each in zip(*columns.values(), strict=True)]


@pytest.fixture(scope="module")
def plain(folder):
    """The registers as plain Python: lists and tuples."""
    rows = {
        name: rows_of(folder / f"{name}.parquet")
        for name in (
            "inschrijvingen",
            "bedrijven",
            "omzet",
            "transacties",
            "vastgoed",
            "personen",
            "adressen",
        )
    }
    rows["jaren"] = [each.jaar for each in rows_of(folder / "jaren.parquet")]
    rows["adres"] = {each.adres: each for each in rows["adressen"]}
    return rows


def _years(plain, row):
    return [year for year in plain["jaren"] if row.van <= year <= row.tot]


def _distinct(triples):
    """Distinct units by area and year, and how many of them have a value other than 0."""
    units, marked = defaultdict(set), defaultdict(set)
    for area, year, unit, value in triples:
        units[area, str(year)].add(unit)
        if value:
            marked[area, str(year)].add(unit)
    return {cell: (len(marked[cell]), len(units[cell])) for cell in units}


def _registered(plain, value, where=lambda address: True):
    """Everybody who is registered at an address, with what `value` says of person and address."""
    for each in plain["inschrijvingen"]:
        address = plain["adres"][each.adres]
        if where(address):
            for year in _years(plain, each):
                yield address.buurtcode, year, each.bsn, value(each.bsn, address)


def _at_parks(plain, value):
    return _registered(plain, value, where=lambda address: address.park)


@pytest.fixture(scope="module")
def residents(plain):
    """Everybody who lives in an area in a year: how many of them, twice."""
    return _distinct(_registered(plain, lambda *_: 1))


def _studios(plain):
    prefixes = {"2008": ("96021", "96022"), "2025": ("9621", "9622")}
    return {each.kvk: each for each in plain["bedrijven"]
            if each.sbi.startswith(prefixes.get(each.sbi_versie, ()))}  # fmt: skip


def test_natural_and_legal_persons_at_parks(plain, records):
    persons = list(_at_parks(plain, lambda *_: 1))
    legal = [
        (plain["adres"][each.adres].buurtcode, year, each.kvk, 1)
        for each in plain["bedrijven"]
        if each.rechtsvorm in ("bv", "stichting") and plain["adres"][each.adres].park
        for year in _years(plain, each)
    ]
    assert len(legal) > 50
    expected = {cell: n for cell, (n, _) in _distinct(persons + legal).items()}
    found = records.frame.query("indicator == 'vakantiepark_inschrijvingen' and contributors > 0")
    assert (
        dict(zip(zip(found["area"], found["period"], strict=True), found["observed"], strict=True))
        == expected
    )


@pytest.mark.parametrize("id", ["park_eigenaren_elders", "park_ouders_schulden"])
def test_shares_of_those_registered_at_parks(plain, records, id):
    if id == "park_eigenaren_elders":
        parks = defaultdict(set)
        for each in plain["vastgoed"]:
            parks[each.eigenaar].add(plain["adres"][each.adres].park)
        what = lambda bsn, address: bool(parks[bsn] - {address.park})  # noqa: E731
    else:
        persons = [each for each in plain["personen"] if each.problematische_schulden]
        parents = {each.bsn for each in persons if each.positie_huishouden == "alleenstaande ouder"}
        what = lambda bsn, address: bsn in parents  # noqa: E731
    expected = _distinct(_at_parks(plain, what))
    assert sum(n for n, _ in expected.values()) > 30
    found = records.frame.query("indicator == @id")
    pairs = zip(found["observed"], found["exposure"], strict=True)
    assert dict(zip(zip(found["area"], found["period"], strict=True), pairs, strict=True)) == expected


@pytest.mark.parametrize("id", ["kappers_nagelstudios", "verdachte_transacties", "omzet_studios_per_inwoner"])
def test_figures_per_resident(plain, records, residents, id):
    studios, expected = _studios(plain), defaultdict(float)
    if id == "verdachte_transacties":
        for each in plain["transacties"]:
            if each.oordeel == "verdacht":
                expected[plain["adres"][each.adres].buurtcode, str(each.jaar)] += 1
    elif id == "kappers_nagelstudios":
        for each in studios.values():
            for year in _years(plain, each):
                expected[plain["adres"][each.adres].buurtcode, str(year)] += 1
    else:
        for each in plain["omzet"]:
            if each.kvk in studios:
                address = plain["adres"][studios[each.kvk].adres]
                expected[address.buurtcode, str(each.jaar)] += each.omzet
    found = records.frame.query("indicator == @id").set_index(["area", "period"])
    assert sum(expected.values()) == found["observed"].sum() > 1_000
    assert found.loc[list(expected), "observed"].to_dict() == expected
    assert found["exposure"].dropna().to_dict() == {cell: n for cell, (n, _) in residents.items()}
    if id == "omzet_studios_per_inwoner":  # in the panel: per resident
        values = records.panel.frame.query("indicator == @id and status == 'ok'").set_index(
            ["area", "period"]
        )
        for cell, value in values["observed"].items():
            assert value == pytest.approx(expected.get(cell, 0.0) / residents[cell][0], rel=1e-12)


@pytest.mark.parametrize(
    ("id", "low", "high"), [("park_eigenaren_elders", 0.1, 0.6), ("park_ouders_schulden", 0.002, 0.05)]
)
def test_questions_about_parks_have_an_answer(base, indicators, figures, id, low, high):
    rule = indicators[id]
    with_it, all_there = (
        counted(base, rule["query"], how, figures.index) for how in ("share", "count_units")
    )
    assert (with_it <= all_there).all()
    assert low < with_it.sum() / all_there.sum() < high
    registered = counted(
        base, indicators["vakantiepark_inschrijvingen"]["query"], "count_units", figures.index
    )
    assert (all_there <= registered).all()  # legal persons are not among them
    assert all_there.sum() < registered.sum()


def test_owners_elsewhere_by_hand(base, indicators, register):
    """The query once more, with pandas and the other way round."""
    addresses = register("adressen").set_index("adres")["park"]
    there = register("inschrijvingen").query("van <= 2022 <= tot")
    there = there.assign(park=there["adres"].map(addresses)).dropna(subset="park")
    owned = register("vastgoed").assign(park=lambda table: table["adres"].map(addresses))
    pairs = there.merge(owned, left_on="bsn", right_on="eigenaar", suffixes=("", "_owned"))
    elsewhere = pairs.loc[
        pairs["park_owned"].isna() | (pairs["park_owned"] != pairs["park"]), "bsn"
    ].nunique()
    found = base.sql(
        f"SELECT count(DISTINCT unit) FROM ({indicators['park_eigenaren_elders']['query']}) "
        "WHERE period = 2022 AND value = 1"
    ).fetchall()
    assert found == [(elsewhere,)]


# ------------------------------------------------------------------------------------- the registers


def test_there_are_about_half_a_million_persons(register):
    persons = register("personen")
    assert 300_000 < len(persons) < 550_000
    assert persons["bsn"].is_unique


def test_numbers_pass_the_eleven_test_and_are_test_numbers(register):
    numbers = register("personen")["bsn"]
    assert numbers.str.fullmatch(r"99\d{7}").all()
    digits = np.frombuffer("".join(numbers).encode(), np.uint8).reshape(-1, 9) - 48.0
    assert (digits @ [9, 8, 7, 6, 5, 4, 3, 2, -1] % 11 == 0).all()
    assert 999_990_019 in passing_numbers()


def test_keys_link(register):
    addresses, persons, companies = register("adressen"), register("personen"), register("bedrijven")
    assert addresses["adres"].is_unique
    assert companies["kvk"].is_unique
    assert companies["kvk"].str.fullmatch(r"9\d{7}").all()
    known = {"adres": set(addresses["adres"]), "bsn": set(persons["bsn"]), "kvk": set(companies["kvk"])}
    for name in ("inschrijvingen", "bedrijven", "vastgoed", "aankopen", "transacties", "ruimingen"):
        assert set(register(name)["adres"]) <= known["adres"], name
    for name, column in (("inschrijvingen", "bsn"), ("aankopen", "koper"), ("transacties", "bsn")):
        assert set(register(name)[column]) <= known["bsn"], name
    assert set(register("omzet")["kvk"]) <= known["kvk"]
    owners = register("vastgoed")
    legal = owners["soort_eigenaar"] == "rechtspersoon"
    assert set(owners["eigenaar"][legal]) <= known["kvk"]
    assert set(owners["eigenaar"][~legal]) <= known["bsn"]
    assert 0.2 < legal.mean() < 0.4
    assert set(addresses["park"].dropna()) == set(register("parken")["park"])


def test_nobody_lives_in_two_places_or_where_nothing_stands(register):
    lived = register("inschrijvingen").sort_values(["bsn", "van"])
    again = lived["bsn"].eq(lived["bsn"].shift())
    assert (lived["van"] > lived["tot"].shift())[again].all()
    assert again.sum() > 1_000  # some move to a park or from it
    stands = register("adressen").set_index("adres")[["van", "tot"]].loc[lived["adres"]]
    assert (stands["van"].to_numpy() <= lived["van"].to_numpy()).all()
    assert (stands["tot"].to_numpy() >= lived["tot"].to_numpy()).all()


def test_addresses_lie_inside_their_area(folder, register):
    areas = zg.read_areas(folder / "buurten.gpkg", id="buurtcode", water="water")
    addresses = register("adressen")
    points = gpd.GeoSeries(gpd.points_from_xy(addresses["x"], addresses["y"]), crs=28992)
    located = zg.locate(points, areas)
    assert (located.frame["position"] == "inside").all()
    assert (located.frame["area"].astype(object) == addresses["buurtcode"]).all()
    water = located.frame["water"].to_numpy()
    assert set(addresses["gebruik"][water]) <= {"winkel of kantoor"}
    by_address = zg.locate_addresses(
        register("transacties")["adres"], addresses, areas, key="adres", x="x", y="y"
    )
    assert by_address.counts["inside"] == len(register("transacties"))


def test_the_study_names_every_register_and_its_identifiers(folder, study):
    written = {path.stem for path in folder.glob("*.parquet")}
    assert {source["id"] for source in study["sources"]} == written
    assert (folder / study["microdata"]["key_file"]).stat().st_size >= 16
    for source in study["sources"]:
        columns = set(pd.read_parquet(folder / source["path"]).columns)
        identifying = columns & {"bsn", "kvk", "koper", "eigenaar"}
        assert set(source.get("identifiers", [])) == identifying
        assert ("naam" in columns) == (source.get("drop") == ["naam"])


def test_some_companies_are_almost_studios(register):
    codes = register("bedrijven")["sbi"]
    assert {"9604", "9609", "96031"} <= set(codes)
    assert 3_000 < codes.isin(["96021", "96022"]).sum() < 12_000


def test_some_have_several_suspicious_transactions(register):
    found = register("transacties").query("oordeel == 'verdacht'").groupby(["jaar", "bsn"]).size()
    assert 0.05 < (found > 1).mean() < 0.5


def test_writing_again_gives_the_same_registers(folder, tmp_path):
    for path in write_sample(tmp_path, microdata=True):
        if path.suffix == ".parquet":
            assert path.read_bytes() == (folder / path.name).read_bytes(), path.name
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000_000


def test_the_tables_are_those_of_the_sample_without_registers(folder, tmp_path):
    write_sample(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} < {path.name for path in folder.iterdir()}
    assert (tmp_path / "cijfers.csv").read_bytes() == (folder / "cijfers.csv").read_bytes()


# ------------------------------------------------------------------------------------ counts to records

counts = st.lists(st.lists(st.integers(0, 6), min_size=4, max_size=4), min_size=1, max_size=6)


@given(counts)
def test_spells_count_as_what_they_were_made_of(rows):
    table = np.array(rows)
    slots = make_slots(table)
    runs = spells(slots)
    again = np.zeros_like(table)
    for slot, first, last in zip(runs.slot, runs.first, runs.last, strict=True):
        again[slots.area[slot], first : last + 1] += 1
    np.testing.assert_array_equal(again, table)


@given(counts, st.integers(0, 2**31))
def test_two_states_share_places(rows, seed):
    most = np.array(rows)
    some = np.random.default_rng(seed).integers(0, most + 1)
    slots = make_slots(some, most)
    runs = spells(slots)
    for state, expected in ((1, some), (2, most - some)):
        again = np.zeros_like(most)
        for k in np.flatnonzero(runs.state == state):
            again[slots.area[runs.slot[k]], runs.first[k] : runs.last[k] + 1] += 1
        np.testing.assert_array_equal(again, expected)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 2**31))
def test_parts_add_up(sizes, seed):
    rng = np.random.default_rng(seed)
    totals = rng.integers(0, 10**6, len(sizes))
    cell = np.repeat(np.arange(len(sizes)), sizes)
    parts = divide(totals, cell, rng.uniform(0.1, 2, len(cell)))
    assert (parts >= 0).all()
    np.testing.assert_array_equal(np.bincount(cell, parts, minlength=len(totals)).astype(int), totals)
