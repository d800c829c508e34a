"""What the reader has to know, in the language of the study."""

import ast
import copy
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import test_linking as linking
import thin_study
import zoo_geo as zg
from panels import counts_of, lattice
from test_references import mixed, table_of
from zoo_geo.detectors import registry
from zoo_geo.inputs import read_inputs
from zoo_geo.notices import Notice, compared, told
from zoo_geo.phrases import WORDS
from zoo_geo.pipeline import run
from zoo_geo.study import load_study

SAMPLE = Path(__file__).parent.parent / "data_samples" / "study.toml"

ENGLISH = re.compile(r"\b(the|are|areas|without|with|first|not|against|cells|have|no)\b")
CODE = re.compile(r"detect\(\.\.\., .*areas=areas\)\)|^getis_ord:all areas")
"""What is no sentence: code, and the name of a detector with what it compares with."""


def in_dutch(notices):
    """Dutch sentences, none of which holds an English word."""
    said = [told(notice, "nl") for notice in notices]
    for notice, line in zip(notices, said, strict=True):
        assert isinstance(notice, Notice), notice
        assert line != str(notice), notice
        assert not ENGLISH.search(CODE.sub("", line)), line
    return said


def test_a_notice_is_a_plain_string_that_knows_dutch():
    notice = Notice("2 cells.", "2 cellen.")
    assert notice == "2 cells." == told(notice, "en") == str(notice)
    assert told(notice, "nl") == "2 cellen."
    assert json.dumps([notice]) == '["2 cells."]'
    for other in (copy.deepcopy(notice), pickle.loads(pickle.dumps(notice))):
        assert (other, told(other, "nl")) == ("2 cells.", "2 cellen.")
    led = notice.led_by("a.csv")
    assert (str(led), told(led, "nl")) == ("a.csv: 2 cells.", "a.csv: 2 cellen.")
    assert told("As it is.", "nl") == told(Notice("As it is."), "nl") == "As it is."


def test_a_dutch_report_and_page_have_dutch_notices(tmp_path):
    given = pd.DataFrame({"thefts": [np.nan, -99997, 3, 0, 9, 4], "residents": [90, 80, 0, 70.0, 60, 50]})
    given["income"] = np.nan
    path = thin_study.write_study(tmp_path, given)
    path.write_text(path.read_text("utf-8").replace('language = "en"', 'language = "nl"'), "utf-8")
    result = run(path, tmp_path / "out")
    said = in_dutch(result.report["notices"])
    assert "De code -99997 is gelezen als geheim: 1 in thefts." in said
    assert "1 van 12 cellen zijn geheim." in said
    assert any(line.startswith("Indicatoren zonder enig cijfer (1 van 2; eerst: income)") for line in said)
    text = (tmp_path / "out" / "report_internal.md").read_text("utf-8")
    page = (tmp_path / "out" / "map_internal.html").read_text("utf-8")
    for line in said:
        assert line in text
        assert line in page
    plain = json.loads((tmp_path / "out" / "report_internal.json").read_text("utf-8"))["notices"]
    assert "1 of 12 cells are secret." in plain


def test_what_is_compared_with_is_called_as_in_sentences():
    for reference in ("neighbours", "peers", "national", "model", "sar", "sar_lag", "car"):
        assert compared(reference) == WORDS["nl"][reference]
    for kind in ("parent", "stratum"):
        assert compared(f"{kind}:x") == WORDS["nl"][kind].format(level="x")


def test_a_table_without_periods_is_dutch_all_through(tmp_path):
    """No period is named where there is none, and no column is a column."""
    table = pd.DataFrame({"area": ["a", "b"], "files": [2.0, 3], "events": [4.0, 9], "people": [90, 80.0]})
    panel = zg.Panel.from_frame(
        table, area="area", exposure="people", observed={"thefts": "events"}, observed_units="files"
    )
    assert in_dutch(panel.notices) == [
        "thefts telt verschillende eenheden (kolom 'files'): 5 achter 13 gebeurtenissen."
    ]
    given = pd.DataFrame({"thefts": [1.0, 2, 3, 0, 9, 4], "residents": [90, 80, 0, 70.0, 60, 50]})
    path = thin_study.write_study(tmp_path, given.assign(income=1.0))
    path.write_text(path.read_text("utf-8").replace('language = "en"', 'language = "nl"'), "utf-8")
    run(path, tmp_path / "out")
    text = (tmp_path / "out" / "report_internal.md").read_text("utf-8")
    assert not re.search(r"\| (all|high|low) \|", text)


def test_codes_in_many_columns_are_counted_in_dutch():
    columns = {f"c{k}": np.full(1200, -99997) for k in range(4)}
    table = pd.DataFrame({"area": [f"a{k}" for k in range(1200)], "people": 9.0, **columns})
    panel = zg.Panel.from_frame(
        table, area="area", exposure="people", observed={name: name for name in columns}
    )
    start = "De code -99997 is gelezen als geheim: 1.200 in c0, 1.200 in c1, 1.200 in c2 en nog 1 kolom."
    assert in_dutch(panel.notices)[0] == start
    assert "1,200 in c2 and 1 more column." in panel.notices[0]


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["sar", "model", "national"])
def test_what_deviation_says_it_says_in_dutch(reference):
    world, _, panel, given = mixed()
    given["features"] = given["features"].where(np.arange(len(world))[:, None] > 0)
    found = zg.Deviation(reference, adjust="x").detect(panel, world.graph(), **given)
    said = in_dutch(found.notices)
    assert any("missen een kenmerk (1 van 144; eerst: BU" in line for line in said)
    assert any(line.startswith("Niet vergeleken met de gebieden eromheen (SAR)") for line in said) == (
        reference == "sar"
    )
    assert any("kenmerken verklaren" in line for line in said) == (reference != "sar")


def test_bursts_and_peers_are_dutch():
    world = lattice(15, 15)
    size, seen = counts_of(world, seed=8, spread=1.5, low=400)
    panel = world.panel(seen, size)
    burst = zg.Deviation("national").detect(panel).notices
    assert any("keer hun gemiddelde" in line for line in in_dutch(burst))
    peers = zg.build_peers(table_of(world, x=np.random.default_rng(0).normal(size=len(world))), k=5)
    alike = zg.Deviation("peers").detect(panel, peers).notices
    assert f"Vergelijkingsgebieden zijn die van set {peers.id}." in in_dutch(alike)
    given = zg.Deviation("peers").detect(panel, world.graph()).notices
    assert any("build_peers vindt gelijken" in line for line in in_dutch(given))


def test_a_doubtful_exposure_is_doubted_in_dutch():
    world = lattice(20, 20)
    size, seen = counts_of(world, seed=1, spread=0.0)
    seen[::9] *= 30
    doubts = zg.Deviation("national", response=False, heavy=False).detect(world.panel(seen, size)).notices
    assert any("waar toeval 0,1 % geeft" in line for line in in_dutch(doubts))


def test_peers_say_in_dutch_who_has_none():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"homes": rng.normal(size=80), "jobs": rng.normal(size=80)})
    table.index = [f"BU{k:02d}" for k in range(80)]
    table.iloc[3, 0], table.iloc[4, 1], table["same"] = np.nan, 60.0, 1.0
    said = in_dutch(zg.build_peers(table, k=5).notices)
    starts = ("Kenmerken weggelaten", "Zonder vergelijkingsgebieden, want kenmerken", "Zonder goede")
    for start in starts:
        assert sum(line.startswith(start) for line in said) == 1


# --- everything that is said ------------------------------------------------------------------------


@pytest.mark.slow
def test_every_notice_of_the_source_is_given_in_both_languages():
    """Types say that what is told is a `Notice`; here each of them gets its Dutch."""
    found = 0
    for path in Path(zg.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Notice":
                assert len(node.args) == 2, f"{path.name} line {node.lineno}"
                found += 1
    assert found > 80


@pytest.mark.slow
def test_a_run_of_the_sample_says_everything_in_dutch(tmp_path):
    result = run(SAMPLE, tmp_path)
    said = in_dutch([*result.report["notices"], result.report["follow_up"]])
    assert len(said) > 20
    text = (tmp_path / "report_internal.md").read_text("utf-8")
    assert said[-1].startswith("Een capaciteit van 20 bereikt 20 van ")
    assert all(line in text for line in said)


OPTIONS = {
    "scan": [{"time": "each"}, {"time": "retrospective"}, {"time": "each", "dispersion": "none", "top": 1}],
    "graph_scan": [{"time": "each"}],
    "getis_ord": [{"value": "rate", "permutations": 99, "inference": "permutation"}],
}


@pytest.fixture(scope="module")
def sample():
    return read_inputs(load_study(SAMPLE))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["emerging", "getis_ord", "graph_scan", "scan", "spike", "trend"])
def test_what_detectors_say_of_the_sample_they_say_in_dutch(sample, name):
    panel, count = sample.panel, 0
    for options in OPTIONS.get(name, [{}]):
        few = {"replicates": 19} if "scan" in name else {}
        detector = registry()[name](**{**few, **options})
        given = {"areas": sample.areas} | ({"seed": 1} if hasattr(detector, "replicates") else {})
        found = detector.detect(panel, sample.graph, **given)
        flags = zg.flag([found], alpha=0.05, min_ratio=1.25, areas=sample.areas, graph=sample.graph)
        count += len(in_dutch(flags.notices))
    assert count > 0


def test_what_join_counts_cannot_count_is_told_in_dutch():
    world = lattice(8, 8)
    ones = (np.arange(64) % 3 == 0).astype(float)
    panel = world.panel({"yes": ones, "many": ones * 4 + 1}, family="gaussian")
    said = in_dutch(zg.LocalJoinCounts().detect(panel, world.graph(), seed=1).notices)
    assert any(line.startswith("many: andere waarden dan 0 en 1 zijn niet te tellen") for line in said)


def test_what_is_said_of_two_periods_and_broken_series_is_dutch():
    world = lattice(12, 12)
    size, seen = counts_of(world, seed=1, spread=0.0)
    code = np.array(world.codes)
    rows = pd.concat(
        pd.DataFrame({"code": code, "year": year, "n": seen, "people": size}) for year in (2021, 2022)
    )
    panel = zg.Panel.from_frame(rows, area="code", period="year", observed={"y": "n"}, exposure="people")
    said = in_dutch(zg.Spike().detect(panel, world.graph()).notices)
    assert any(line.startswith("spike: van twee perioden is een stijging") for line in said)
    changes = linking.changes_of((2022, code[3], 3, ""), (2022, code[4], 3, ""))
    linked = zg.link_periods(panel, changes)
    said = in_dutch([*linked.notices, *zg.Spike().detect(linked, world.graph()).notices])
    assert any("de grens van 2 van 144 gebieden is veranderd (2022)" in line for line in said)
    assert any("cijfers hebben in hun eigen gebied geen periode" in line for line in said)


@pytest.mark.parametrize(
    ("rows", "changes", "options", "line"),
    [
        ([("A", 2021, 1, 10), ("B", 2022, 2, 20)], [(2022, "B", 2, "A")], {},
         "1 van 1 gebieden hadden eerder een andere code; hun reeksen zijn aan elkaar gezet."),
        ([("A", 2021, 1, 10), ("A", 2022, 2, 20)], [(2022, "A", 3, "")], {},
         "Vanaf 2022 is de grens van 1 van 1 gebieden een andere: hun reeksen beginnen daar opnieuw."),
        ([("A", 2021, 1, 10), ("A", 2022, 2, 20), ("X", 2021, 9, 90)], [(2022, "A", 3, "")], {"areas": ["A"]},
         "Cijfers van codes die in geen nieuwste gebied verdergaan zijn weggelaten (1 van 2; eerst: X)."),
        ([("A", 2021, 1, 10), ("A", 2022, 2, 20)], [(2030, "A", 3, "")], {},
         "1 van 1 wijzigingen van gebieden horen bij perioden waarvoor of waarna er geen cijfers zijn "
         "(2030): niet nodig."),
        ([("A", 2021, 1, 10), ("A", 2022, 2, 20)], [(2022, "Q", 3, "")], {"unknown_areas": "drop"},
         "Wijzigingen van gebieden die niet in de cijfers en niet op de kaart staan zijn weggelaten "
         "(1 van 1; eerst: rij 1 (Q))."),
    ],
)  # fmt: skip
def test_linking_is_told_in_dutch(rows, changes, options, line):
    linked = zg.link_periods(linking.panel_of(rows), linking.changes_of(*changes), **options)
    assert line in in_dutch(linked.notices)


def test_weights_are_told_in_dutch():
    rows = [("A", 2021, 10, 30), ("C", 2022, 12, 40)]
    said = in_dutch(
        zg.link_periods(linking.panel_of(rows), linking.weights_of((2022, "A", "C", 0.5))).notices
    )
    assert any("tellen gewichten van oude codes op tot minder dan 1" in line for line in said)
    assert any(line.startswith("Eerdere cijfers van 1 gebied zijn naar gewicht omgerekend") for line in said)


def test_tables_of_cbs_are_told_in_dutch():
    table = pd.DataFrame(
        {"gwb_code": ["NL00", "GM0014", "BU00140000", "00140001", "BU00149998"],
         "aantal_inwoners": ["30", "31", "10", "-99997", "-99995"],
         "mannen": ["1", "2", ".", "-99998", "-99991"],
         "water": ["NEE", "NEE", "NEE", "B", "JA"]}
    )  # fmt: skip
    read = zg.read_cbs(table, year=2024)
    said = in_dutch(read.notices)
    assert "Rijen van andere niveaus zijn weggelaten (2 van 5; eerst: NL00, GM0014)." in said
    assert "1 codes stonden er zonder de letters BU." in said
    assert "Onbekende codes gelden als ontbrekend (1; eerst: -99998 in mannen)." in said
    assert any(line.startswith("1 cellen bevatten een punt: onbekend") for line in said)
    assert any(line.startswith("1 cijfers zijn geheim (of bestaan niet)") for line in said)
    assert any(
        line.startswith("aantal_inwoners: buurten tellen op tot 10, gemeenten tot 31.") for line in said
    )
    assert {"Gebieden in het buitenland (water = B): 1 van 3; eerst: BU00140001.",
            "Watergebieden: 1 van 3; eerst: BU00149998."} < set(said)  # fmt: skip
