"""What the reader has to know, in the language of the study."""

import copy
import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest

import thin_study
import zoo_geo as zg
from panels import counts_of, lattice
from test_references import mixed, table_of
from zoo_geo.notices import Notice, told
from zoo_geo.pipeline import run

ENGLISH = re.compile(r"\b(the|are|areas|without|with|first|not|against|cells|have|no)\b")


def in_dutch(notices):
    """Dutch sentences, none of which holds an English word."""
    said = [told(notice, "nl") for notice in notices]
    for line in said:
        assert not ENGLISH.search(line), line
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


@pytest.mark.parametrize("reference", ["sar", "model", "national"])
def test_what_deviation_says_it_says_in_dutch(reference):
    world, _, panel, given = mixed()
    given["features"] = given["features"].where(np.arange(len(world))[:, None] > 0)
    found = zg.Deviation(reference, adjust="x").detect(panel, world.graph(), **given)
    said = in_dutch(found.notices)
    assert any("missen een kenmerk (1 van 144; eerst: BU" in line for line in said)
    assert any(line.startswith("Niet vergeleken met sar") for line in said) == (reference == "sar")
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
