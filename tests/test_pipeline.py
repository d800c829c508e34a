"""From study file to results: what is found, what is said of it, and what is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

import small_study
import thin_study
from zoo_geo.cli import main
from zoo_geo.errors import InputError, StudyError
from zoo_geo.inputs import read_inputs
from zoo_geo.outputs import report as reports
from zoo_geo.outputs.report import as_markdown, compare
from zoo_geo.peers import build_peers
from zoo_geo.pipeline import run
from zoo_geo.schema import COLUMNS
from zoo_geo.structure import global_statistics
from zoo_geo.study import load_study
from zoo_geo.tabular import read_table

FILES = {
    *(
        f"{stem}_internal.{ending}"
        for stem in ("flags", "evidence")
        for ending in ("parquet", "gpkg", "geojson", "csv")
    ),
    *(f"{stem}_internal.{ending}" for stem in ("cells", "indicators") for ending in ("parquet", "csv")),
    *(f"report_internal.{ending}" for ending in ("md", "json")),
    "map_internal.html",
    "manifest_internal.json",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return small_study.write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def result(study, tmp_path_factory):
    return run(study, tmp_path_factory.mktemp("results") / "out")


def test_the_planted_areas_are_flagged(result):
    flagged = set(zip(result.flags.frame["area"], result.flags.frame["indicator"], strict=True))
    codes = small_study.codes()
    assert {(codes[place], name) for name, place in small_study.SPIKE.items()} <= flagged
    assert result.report["truth"]["found"] == 2


def test_areas_without_figures_are_no_flags_and_no_zeros(result):
    cells = result.flags.cells.astype({"area": str, "period": str})
    cells = cells[(cells["indicator"] == "thefts") & (cells["period"] == "2022")].set_index("area")
    unknown = cells.loc[[small_study.codes()[5], small_study.codes()[6]]]
    assert unknown["status"].tolist() == ["missing", "secret"]
    assert unknown["value"].isna().all()
    assert not unknown["flagged"].any()


def test_tables_become_one_panel(result):
    panel = result.panel
    assert [item.id for item in panel.indicators] == ["thefts", "houses"]
    assert [item.unit for item in panel.indicators] == ["residents", ""]
    assert panel.periods == ("2022", "2023")
    assert np.isnan(panel.observed[:, 1, 0]).all()
    assert not np.isnan(panel.observed[:, 1, 1]).any()
    assert panel.families == {"thefts": "poisson", "houses": "binomial"}


def test_everything_written_is_marked_and_listed(result):
    out = result.paths[0].parent
    assert {path.name for path in out.iterdir()} == FILES
    assert {path.name for path in result.paths} == FILES - {"manifest_internal.json"}
    flags = pd.read_csv(out / "flags_internal.csv")
    assert flags.columns[0] == "internal"
    assert set(pd.read_csv(out / "cells_internal.csv")["period"].astype(str)) == {"2022", "2023"}
    houses = pd.read_parquet(out / "cells_internal.parquet").query("indicator == 'houses'")
    assert houses["period"].unique().tolist() == ["2023"]
    assert len(gpd.read_parquet(out / "evidence_internal.parquet")) == len(result.flags.evidence)


@pytest.mark.parametrize("name", ["result", "compared"])
def test_every_column_is_in_the_vocabulary(name, request):
    out = request.getfixturevalue(name).paths[0].parent
    for stem in ("flags", "evidence", "cells", "indicators"):
        columns = set(pd.read_csv(out / f"{stem}_internal.csv", nrows=0)) - {"gemeente"}
        assert columns <= set(COLUMNS), columns - set(COLUMNS)


def test_flags_carry_sentence_and_rank(result):
    first = result.flags.frame.iloc[0]
    assert first["sentence"].endswith("A pattern, not a verdict.")
    assert "per 1,000 residents" in " ".join(result.flags.frame["sentence"])
    high = result.flags.frame[result.flags.frame["direction"] == "high"]
    assert high["rank"].dtype == "Int64"
    assert sorted(high["rank"]) == list(range(1, len(high) + 1))


def test_the_report_says_what_the_reader_has_to_know(result):
    report = json.loads((result.paths[0].parent / "report_internal.json").read_text(encoding="utf-8"))
    assert report == result.report
    counts = result.flags.frame[result.flags.frame["family"] == "poisson"]
    small = int((counts["exposure"] < 200).sum())
    assert report["small_exposure"] == {"below": 0.2, "flags": small, "of": len(counts)}
    assert report["truth"]["planted"] == 3
    assert {"kind": "hard", "planted": 1, "found": 0} in report["truth"]["by_kind"]
    assert sum(row["high"] + row["low"] for row in report["flags"]) == len(result.flags.frame)
    assert any("secret" in notice for notice in report["notices"])
    statuses = {row["indicator"]: row for row in report["cells"]}
    assert statuses["thefts"]["secret"] == 1
    text = as_markdown(report, "en")
    assert "2 of 3 planted anomalies were found" in text
    assert "<b>" not in text


def test_the_report_says_whether_there_is_structure(result):
    rows = result.report["structure"]
    assert [(row["indicator"], row["period"]) for row in rows] == [
        ("thefts", "2022"), ("thefts", "2023"), ("houses", "2023"),
    ]  # fmt: skip
    assert [row["areas"] for row in rows] == [194, 196, 196]
    panel, graph = result.panel, read_inputs(result.study).graph
    for value, measures in (("eb_rate", ["moran", "geary"]), ("rate", ["getis_ord"])):
        frame = global_statistics(panel, graph, value=value, permutations=999, seed=result.study.study.seed)
        frame = frame.set_index(["indicator", "period", "measure"])
        for row in rows:
            for measure in measures:
                known = frame.loc[(row["indicator"], row["period"], measure)]
                assert row[measure]["field"] == value
                assert row[measure]["permutations"] == 999
                for name in ("statistic", "expected", "z", "p_value"):
                    assert row[measure][name] == known[name]
    frame = result.structure
    assert frame.index.tolist() == list(range(len(frame)))
    assert frame["measure"].tolist() == ["moran", "geary", "getis_ord"] * (len(frame) // 3)
    assert frame["field"].tolist() == ["eb_rate", "eb_rate", "rate"] * (len(frame) // 3)
    named = frame[["indicator", "period"]].to_numpy().tolist()
    assert named == [name for name in named[::3] for _ in range(3)]
    text = (result.paths[0].parent / "report_internal.md").read_text(encoding="utf-8")
    assert "## Is there spatial structure at all?" in text
    assert "999 random arrangements" in text


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A study that compares with peers, strata and covariates."""
    folder = tmp_path_factory.mktemp("compared")
    study = small_study.write_study(folder / "study", extra=small_study.FEATURES)
    small_study.write_features(folder / "study")
    return run(study, folder / "out")


@pytest.mark.slow
def test_features_lead_to_comparisons(compared):
    by_name = {each.name: each for each in compared.detections}
    assert list(by_name) == [
        "deviation:neighbours", "getis_ord:surroundings", "deviation:peers", "deviation:stratum:kind",
        "deviation:model",
    ]  # fmt: skip
    inputs = read_inputs(compared.study)
    assert inputs.features.index.equals(inputs.areas.codes)
    assert inputs.features[["density", "older"]].isna().sum().tolist() == [2, 2]
    options = {"areas": inputs.areas, "features": inputs.features, "seed": 7}
    for detection, detector in zip(compared.detections, compared.study.detectors, strict=True):
        graph = inputs.peers if detection.reference == "peers" else inputs.graph
        expected = detector.detect(inputs.panel, graph, **options)
        pd.testing.assert_frame_equal(detection.frame, expected.frame)
    assert f"Peers are those of set {inputs.peers.id}." in by_name["deviation:peers"].notices


def test_peers_are_built_as_the_study_says(compared):
    inputs = read_inputs(compared.study)
    used = inputs.features[["density", "older", "kind"]]
    peers = build_peers(used, 8, areas=inputs.areas, within="kind", exclude=inputs.graph, seed=7)
    assert inputs.peers.id == peers.id
    assert set(peers.features) == {"density", "older"}
    codes = small_study.codes()
    assert inputs.peers.quality.loc[[codes[7], codes[8], codes[9], codes[-1]], "reason"].tolist() == [
        "missing_features", "missing_features", "too_far", "missing_features",
    ]  # fmt: skip
    links = inputs.peers.graph.adjacency
    assert not links[links > 0].index.isin(inputs.graph.adjacency.index).any()
    assert any(notice.startswith("Without good peers") for notice in compared.report["notices"])
    assert any(
        notice.startswith("features.csv: areas of the map that are not in the table")
        for notice in compared.report["notices"]
    )


def test_neighbours_of_peers_can_be_spelled_either_way(compared, tmp_path):
    extra = small_study.FEATURES.replace('"neighbors"', '"neighbours"')
    small_study.write_features(tmp_path)
    study = load_study(small_study.write_study(tmp_path, extra=extra))
    assert read_inputs(study).peers.id == read_inputs(compared.study).peers.id


def test_flags_that_rest_on_shaky_peers_are_counted():
    good = pd.DataFrame(
        {"stability": [0.4, 0.9, 0.9], "stability_resampled": [0.9, 0.4, np.nan]}, list("abc")
    )
    evidence = pd.DataFrame(
        [("a", "peers", True, "Fa"), ("a", "national", True, "Fx"), ("b", "peers", True, "Fb"),
         ("c", "peers", True, "Fc"), ("b", "peers", False, "Fy"), ("a", "peers", True, "Fa")],
        columns=["area", "reference", "supports", "flag_id"],
    )  # fmt: skip
    assert reports._shaky(good, SimpleNamespace(evidence=evidence)) == ["Fa", "Fb"]


def test_the_report_tells_about_peers(compared):
    told, peers = compared.report["peers"], read_inputs(compared.study).peers
    quality = peers.quality
    assert told["id"] == peers.id
    assert (told["areas"], told["good"]) == (196, int(quality["good"].sum()))
    assert told["good"] < 193
    assert told["distance_mean"] == round(quality.loc[quality["good"], "distance_mean"].median(), 4)
    assert told["stability"] == round(quality.loc[quality["good"], "stability"].median(), 4)
    assert told["stability_resampled"] == round(
        quality.loc[quality["good"], "stability_resampled"].median(), 4
    )
    assert told["resamples"] == 20
    evidence = compared.flags.evidence
    unsure = quality.index[
        quality["good"] & (quality[["stability", "stability_resampled"]] < 0.5).any(axis=1)
    ]
    rests = evidence[(evidence["reference"] == "peers") & evidence["supports"]]
    assert told["shaky_flags"] == sorted(rests.loc[rests["area"].isin(unsure), "flag_id"])
    codes = small_study.codes()
    assert told["lacking"]["missing_features"] == [codes[7], codes[8], codes[-1]]
    assert codes[9] in told["lacking"]["too_far"]
    text = (compared.paths[0].parent / "report_internal.md").read_text(encoding="utf-8")
    assert "## Areas that are alike" in text
    assert f"{told['good']} of 196 areas have good peers, by density, older." in text
    assert f"Peer set {peers.id}." in text
    assert f"| features missing | 3 | {codes[7]}, {codes[8]}, {codes[-1]} |" in text


def test_the_report_tells_what_covariates_explain(compared):
    rows = compared.report["covariates"]
    model = next(each for each in compared.detections if each.reference == "model").frame
    model = model.astype(dict.fromkeys(("area", "indicator", "period"), str))
    model = model.set_index(["area", "indicator", "period"])
    assert len(rows) == len(compared.flags.frame)
    for row in rows:
        known = model.loc[(row["area"], row["indicator"], row["period"])]
        assert row["ratio_before"] == round(known["ratio_before"], 4)
        assert row["ratio_after"] == round(known["ratio"], 4)
        assert row["explained"] == round(known["explained"], 4)
    text = (compared.paths[0].parent / "report_internal.md").read_text(encoding="utf-8")
    assert "| area | indicator | period | direction | ratio before | ratio after | explained |" in text
    assert "hardly any" in " ".join(compared.flags.frame["sentence"])


@pytest.mark.slow
def test_a_study_may_count_distinct_units(tmp_path):
    study = small_study.write_study(tmp_path / "study")
    people = pd.read_csv(tmp_path / "study" / "people.csv", sep=";", dtype={"thefts": "Int64"})
    people["offenders"] = people["thefts"].where(people["thefts"] != 90, 16)
    people.to_csv(tmp_path / "study" / "people.csv", index=False, sep=";")
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace('observed = "thefts"', 'observed = "thefts"\nobserved_units = "offenders"'))
    result = run(study, tmp_path / "out")
    panel, spike = result.panel, small_study.SPIKE["thefts"]
    place = panel.areas.get_loc(small_study.codes()[spike])
    assert (panel.observed[place, 0, 1], panel.events[place, 0, 1]) == (16.0, 90.0)
    assert np.isnan(panel.events[:, 1]).all()
    assert small_study.codes()[spike] not in set(result.flags.frame.query("indicator == 'thefts'")["area"])
    assert any("counted by distinct units" in notice for notice in result.report["notices"])


def covariates(*rows):
    """Rows of a report about covariates: ratio before and after, share explained, and direction."""
    names = ("ratio_before", "ratio_after", "explained", "direction")
    key = {"area": "A", "indicator": "x", "period": "2023"}
    return [key | dict(zip(names, row, strict=True)) for row in rows]


def test_what_covariates_explain_is_counted_where_it_is_the_same_way():
    rows = covariates(
        (4.0, 2.0, 0.5, "high"), (4.0, 3.9, 0.02, "high"), (0.5, 0.4, -0.3, "low"), (0.8, 0.9, 0.5, "high"),
        (1.01, 1.2, None, "high"),
    )  # fmt: skip
    english, dutch = (as_markdown(report(covariates=rows), name) for name in ("en", "nl"))
    assert "3 flags lie on the same side of all areas together." in english
    assert "Of the deviation of 1 of these, covariates explain half or more; of 2, hardly any." in english
    assert "Bij 1 daarvan verklaren kenmerken de helft of meer van de afwijking, bij 2 bijna niets." in dutch
    assert "| A | x | 2023 | hoog | 4 | 3,9 | 0,02 |" in dutch
    assert "| A | x | 2023 | high | 1 | 1.2 |  |" in english
    assert "more, in" not in english
    assert "And 5 more, in report_internal.json." in as_markdown(report(covariates=rows * 5), "en")


def test_a_report_without_peers_and_covariates_does_not_mention_them(result):
    assert not {"peers", "covariates"} & set(result.report)
    text = as_markdown(result.report, "en")
    assert "alike, " not in text
    assert "ovariates" not in text


def test_sentences_tell_the_neighbours_from_the_peers(compared):
    frame = compared.flags.frame.set_index("indicator")
    thefts = (
        frame.loc["thefts"].query(f"area == '{small_study.codes()[small_study.SPIKE['thefts']]}'").iloc[0]
    )
    assert thefts["agrees"].split("; ") == [
        "deviation:neighbours", "deviation:peers", "deviation:stratum:kind", "deviation:model",
    ]  # fmt: skip
    assert (
        "It is high against comparable areas, areas of the same kind and what covariates lead to expect too."
        in thefts["sentence"]
    )
    assert thefts["n_neighbors"] == 8


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (
            'columns = ["density", "older"]\nwithin = "kind"',
            'columns = ["densiti"]\nwithin = "kinds"',
            [
                'peers.columns needs to be columns of the features; got "densiti". Did you mean "density"?',
                'peers.within needs to be a feature or parent level; got "kinds". Did you mean "kind"?',
            ],
        ),
        (
            'exclude = ["neighbors"]',
            'exclude = ["neigbors"]\nweights = { age = 2 }',
            [
                'peers.weights needs to be of columns of the features; got "age". '
                "Known: density, older, kind.",
                'peers.exclude needs to be neighbors, features or parent levels; got "neigbors". '
                'Did you mean "neighbors"?',
            ],
        ),
        (
            'adjust = ["density", "older"]',
            'adjust = ["density", "kind"]',
            [
                'detectors[5].adjust needs to be columns of numbers of the features; got "kind". '
                "Known: density, older.",
            ],
        ),
        (
            'adjust = ["density", "older"]',
            "",
            [
                'detectors[5].adjust needs to be columns of numbers of the features; got "kind". '
                "Known: density, older.",
            ],
        ),
        (
            '"stratum:kind"\n',
            '"stratum:kin"\n',
            [
                'detectors[4].reference needs to be stratum: and a column of the features; got "kin". '
                'Did you mean "kind"?',
            ],
        ),
    ],
)
def test_names_of_features_are_checked(old, new, lines, tmp_path):
    extra = small_study.FEATURES.replace(old, new)
    assert extra != small_study.FEATURES
    extra = extra.replace('"deviation:stratum:kind", ', "")
    small_study.write_features(tmp_path)
    study = load_study(small_study.write_study(tmp_path, extra=extra))
    with pytest.raises(InputError) as caught:
        read_inputs(study)
    assert list(caught.value.problems) == [f"study.toml: {line}" for line in lines]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda table: table.assign(code="BU0001"), "features.csv: area codes of features need to be unique"),
        (lambda table: table.assign(herkomst=1), "features.csv: features need to say nothing about origin"),
        (
            lambda table: table.assign(code="X" + table["code"]),
            "features.csv: column code needs to hold areas",
        ),
        (lambda table: table.drop(columns="code"), "features.csv: column 'code' needs to be in the table"),
    ],
)
def test_wrong_features_are_refused(change, line, tmp_path):
    small_study.write_features(tmp_path)
    study = load_study(small_study.write_study(tmp_path, extra=small_study.FEATURES))
    change(pd.read_csv(tmp_path / "features.csv")).to_csv(tmp_path / "features.csv", index=False)
    with pytest.raises(InputError) as caught:
        read_inputs(study)
    assert any(problem.startswith(line) for problem in caught.value.problems), caught.value.problems


def test_a_table_may_hold_more_than_the_study_uses(tmp_path):
    extra = small_study.FEATURES.replace(
        'area = "code"', 'area = "code"\ncolumns = ["density", "older", "kind"]'
    )
    small_study.write_features(tmp_path)
    study = load_study(small_study.write_study(tmp_path, extra=extra))
    before = read_inputs(study)
    table = pd.read_csv(tmp_path / "features.csv").assign(herkomst=1, remark="x")
    table.to_csv(tmp_path / "features.csv", index=False)
    after = read_inputs(study)
    pd.testing.assert_frame_equal(after.features, before.features)
    assert after.peers.id == before.peers.id


def test_a_study_with_features_is_checked_on_the_command_line(compared, capsys):
    assert main(["check", str(compared.study.path)]) == 0
    assert "of 196 areas have good ones." in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("language", ["nl", "en"])
def test_a_second_run_gives_the_same_bytes(language, tmp_path):
    study = small_study.write_study(tmp_path / "study", language=language)
    for name in ("a", "b"):
        run(study, tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.slow
def test_steps_are_told_in_order(study, tmp_path):
    told = []
    run(study, tmp_path / "out", lambda name, done, total: told.append((name, done, total)))
    assert [done for _, done, _ in told] == list(range(len(told)))
    assert {total for _, _, total in told} == {len(told) - 1}
    assert told[0][0] == "map"
    assert told[-1][0] == "done"


def test_outputs_can_be_chosen(tmp_path):
    study = small_study.write_study(
        tmp_path / "study",
        extra='[outputs]\nformats = ["csv"]\npage = false\ncsv_bom = true\ncsv_dialect = "nl"\n',
    )
    result = run(study, tmp_path / "out")
    assert {path.suffix for path in result.paths} == {".csv", ".json", ".md"}
    assert (tmp_path / "out" / "flags_internal.csv").read_bytes().startswith(b"\xef\xbb\xbfinternal;flag_id;")


@pytest.mark.slow
def test_plots_are_drawn_where_the_study_asks(tmp_path):
    extra = "\n[outputs]\nformats = []\npage = false\nplots = {}\n"
    study = small_study.write_study(tmp_path / "study", extra=extra.format("true"))
    told = []
    result = run(study, tmp_path / "out", lambda name, done, total: told.append((name, done, total)))
    drawn = {path.name for path in result.paths if path.suffix == ".png"}
    assert drawn == {
        f"{kind}_{indicator}_neighbours_internal.png"
        for kind in ("funnel", "observed_expected")
        for indicator in ("thefts", "houses")
    }
    assert all((tmp_path / "out" / name).stat().st_size > 10_000 for name in drawn)
    assert [done for _, done, _ in told] == list(range(len(told)))
    assert "plots" in [name for name, _, _ in told]
    listed = json.loads((tmp_path / "out" / "manifest_internal.json").read_text(encoding="utf-8"))["files"]
    assert drawn <= set(listed)
    study.write_text(study.read_text(encoding="utf-8").replace("plots = true", "plots = false"))
    assert not [path for path in run(study, tmp_path / "out").paths if path.suffix == ".png"]
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.slow
def test_a_run_that_fails_leaves_nothing(tmp_path):
    study = small_study.write_study(tmp_path / "study")

    def interrupt(name: str, done: int, total: int) -> None:
        if name == "page":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(study, tmp_path / "out", interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]


def report(**changes) -> dict:
    """A report as a run makes it, in little."""
    counts = {"planted": 3, "found": 1, "by_kind": [{"kind": "high", "planted": 3, "found": 1}]}
    small = {"below": 0.2, "flags": 1, "of": 93}
    return {
        "internal": "internal: not for publication",
        "title": "AT&T &lt; <b>x</b>",
        "areas": 5,
        "detectors": ["deviation:national"],
        "notices": ["share with p <= 0.001 | q < 0.05"],
        "cells": [{"indicator": "x", "no_exposure": 4, "high": 1}],
        "classes": [{"indicator": "x", "high_998": 4}],
        "flags": [{"indicator": "x", "period": "2023", "high": 1, "low": 0}],
        "flags_by_detector": [],
        "small_exposure": small,
        "follow_up": "",
        "truth": {**counts, "flags": 2, "flags_that_are_none": 1, "share_none": 0.5},
        **changes,
    }


def test_the_report_counts_one_as_one():
    dutch, english = as_markdown(report(), "nl"), as_markdown(report(), "en")
    assert "1 van 93 vlaggen op aantallen ligt in gebieden" in dutch
    assert "1 van 3 ingebouwde afwijkingen is gevonden; 1 van 2 vlaggen hoort bij geen (50%)." in dutch
    assert "1 of 93 flags on counts lies on areas" in english
    assert "1 of 3 planted anomalies was found; 1 of 2 flags is none (50%)." in english
    several = report(small_exposure={"below": 0.2, "flags": 2, "of": 93})
    assert "2 van 93 vlaggen op aantallen liggen in" in as_markdown(several, "nl")
    nothing = report(small_exposure={"below": 0.2, "flags": 0, "of": 0})
    assert "vlaggen op aantallen" not in as_markdown(nothing, "nl")


def test_the_report_speaks_dutch_in_its_tables():
    text = as_markdown(report(), "nl")
    for row in ("| soort | ingebouwd | gevonden |", "| indicator | periode | hoog | laag |"):
        assert row in text
    assert "| indicator | geen noemer | hoog |" in text
    assert "| indicator | hoog (99,8%) |" in text
    assert "**intern: niet voor publicatie**" in text
    assert "| indicator | period | high | low |" in as_markdown(report(), "en")


def measured(statistic, p, z=3.0, expected=-0.01, **changes):
    """One global statistic as a report holds it."""
    found = {
        "field": "rate",
        "status": "ok",
        "statistic": statistic,
        "expected": expected,
        "z": z,
        "p_value": p,
    }
    return found | {"permutations": 999} | changes


def structure(*morans):
    """Rows of a report that differ in Moran, and in the sign of Geary's z, which agrees with it."""
    rows = []
    for moran in morans:
        geary = measured(0.81234, 0.004, z=-moran.get("z", 3.0))
        others = {"geary": geary, "getis_ord": measured(0.0006, 0.5, expected=0.0004)}
        rows.append({"indicator": "x", "period": "2023", "areas": 50, "moran": moran, **others})
    return rows


def test_structure_is_put_in_words():
    rows = structure(
        measured(0.21234, 0.002), measured(0.1, 0.05), measured(-0.2, 0.03, z=-3.0), measured(0.1, 0.051),
        {"field": "eb_rate", "status": "constant"},
    )  # fmt: skip
    english, dutch = (as_markdown(report(structure=rows), name) for name in ("en", "nl"))
    assert (
        "more alike than chance makes them in 2 of 4 figures (Moran's I, p <= 0.05, and less alike in 1)"
        in english
    )
    assert "Bij 2 van 4 cijfers lijken buurgebieden meer op elkaar" in dutch
    assert "p <= 0,05; bij 1 juist minder)" in dutch
    assert "999 random arrangements" in english
    assert "lager dan 0,002 kan niet" in dutch
    assert (
        "| indicator | period | Moran's I | p (I) | Geary's C | p (C) | G / expected | p (G) | in words |"
        in english
    )
    assert "| x | 2023 | 0.212 | 0.002 | 0.812 | 0.004 | 1.5 | 0.5 | neighbours alike |" in english
    assert "| x | 2023 | 0,212 | 0,002 | 0,812 | 0,004 | 1,5 | 0,5 | buren lijken op elkaar |" in dutch
    assert "| -0.2 | 0.03 | 0.812 | 0.004 | 1.5 | 0.5 | neighbours unlike |" in english
    assert "| 0.1 | 0.051 | 0.812 | 0.004 | 1.5 | 0.5 | no structure seen |" in english
    assert "| x | 2023 |  |  | 0.812 | 0.004 | 1.5 | 0.5 | constant |" in english
    assert "| alle gebieden gelijk |" in dutch
    assert "less alike in" not in as_markdown(report(structure=structure(measured(0.1, 0.01))), "en")


def test_moran_and_geary_that_disagree_point_to_extreme_areas():
    rows = structure(measured(0.2, 0.002), measured(0.1, 0.02))
    rows[1] = rows[1] | {"geary": measured(1.6, 0.08, z=1.6)}
    english, dutch = (as_markdown(report(structure=rows), name) for name in ("en", "nl"))
    assert "in 1 of 2 figures" in english
    assert "In 1 more, Moran and Geary disagree" in english
    assert "Bij nog 1 spreken Moran en Geary elkaar tegen" in dutch
    assert "| 0.1 | 0.02 | 1.6 | 0.08 | 1.5 | 0.5 | a few extreme areas? |" in english
    rows[1] = rows[1] | {"moran": measured(-0.1, 0.02, z=-2.0)}
    assert "disagree" not in as_markdown(report(structure=rows), "en")


def test_a_report_without_any_structure_to_test_says_no_more_than_that():
    silent = structure({"field": "eb_rate", "status": "too_few"})
    text = as_markdown(report(structure=silent), "nl")
    assert "## Is er wel ruimtelijke samenhang?" in text
    assert "| te weinig om iets te zeggen |" in text
    assert "lijken buurgebieden" not in text
    for none in (report(), report(structure=[])):
        assert "ruimtelijke samenhang" not in as_markdown(none, "nl")


def test_the_report_is_readable_and_no_markup():
    text = as_markdown(report(), "en")
    assert "- share with p <= 0.001 \\| q < 0.05" in text
    assert "# AT&T &amp;lt; &lt;b>x&lt;/b>" in text


def test_problems_of_all_inputs_come_together(tmp_path):
    path = small_study.write_study(tmp_path)
    people = pd.read_csv(tmp_path / "people.csv", sep=";", dtype=str)
    people.loc[0, "thefts"] = "many"
    people.loc[1, "code"] = "BU9999"
    people.to_csv(tmp_path / "people.csv", index=False)
    pd.read_csv(tmp_path / "truth.csv").assign(indicator="other", ratio=-1).to_csv(
        tmp_path / "truth.csv", index=False
    )
    pd.read_parquet(tmp_path / "dwellings.parquet").drop(columns="sold").to_parquet(
        tmp_path / "dwellings.parquet"
    )
    with pytest.raises(InputError) as caught:
        read_inputs(load_study(path))
    lines = caught.value.problems
    assert any(
        line.startswith("people.csv: column code needs to hold areas of the map; got others (1 of")
        for line in lines
    )
    assert any(line.startswith("dwellings.parquet: column 'sold' needs to be in the table") for line in lines)
    assert "truth.csv: column ratio needs to be numbers above 0; got others." in lines
    assert (
        "truth.csv: column indicator needs to hold ids of the study; got others (1; first: other)." in lines
    )


def test_areas_off_the_map_can_be_dropped(tmp_path):
    path = small_study.write_study(tmp_path)
    text = path.read_text(encoding="utf-8").replace(
        'period = "year"', 'period = "year"\nunknown_areas = "drop"'
    )
    path.write_text(text, encoding="utf-8")
    people = pd.read_csv(tmp_path / "people.csv", sep=";", dtype=str)
    people.loc[0, "code"] = "BU9999"
    people.to_csv(tmp_path / "people.csv", index=False)
    inputs = read_inputs(load_study(path))
    assert "BU9999" not in inputs.panel.areas
    assert any("left out (1 of" in notice for notice in inputs.notices)


def lost_zeros(tmp_path, extra: str = ""):
    """A study whose table has numbers for codes."""
    path = thin_study.write_study(
        tmp_path, pd.DataFrame({"thefts": 3, "residents": 100, "income": range(12)})
    )
    codes = [f"{n:04d}" for n in range(12)]
    gpd.read_file(tmp_path / "areas.gpkg").assign(code=codes).to_file(tmp_path / "areas.gpkg")
    pd.read_csv(tmp_path / "figures.csv").assign(code=range(12)).to_csv(tmp_path / "figures.csv", index=False)
    text = path.read_text().replace('path = "figures.csv"', f'path = "figures.csv"\n{extra}')
    path.write_text(text)
    return path


LOST = "Leading zeros seem lost in 12 of them (0 is 0000 there): save the codes as text."


def test_lost_zeros_are_said(tmp_path):
    with pytest.raises(InputError) as caught:
        read_inputs(load_study(lost_zeros(tmp_path)))
    assert caught.value.problems == [
        "figures.csv: column code needs to hold areas of the map; "
        f"got others (12 of 12; first: 0, 1, 2). {LOST}"
    ]


def test_areas_that_a_table_lacks_are_noted(tmp_path):
    path = small_study.write_study(tmp_path)
    people = pd.read_csv(tmp_path / "people.csv", sep=";", dtype=str)
    people[~people["code"].isin(["BU0004", "BU0002"])].to_csv(tmp_path / "people.csv", index=False)
    inputs = read_inputs(load_study(path))
    assert inputs.notices == (
        "people.csv: areas of the map that are not in the table (2 of 196; first: BU0002, BU0004).",
    )


def test_what_is_wrong_with_the_weights_is_said_with_the_study(tmp_path):
    path = small_study.write_study(tmp_path, extra='[weights]\nmethod = "knn"\nk = 500\n')
    with pytest.raises(InputError, match=r"^study\.toml: weights: k needs to be a whole number from 1"):
        read_inputs(load_study(path))


def test_a_wrong_study_is_a_study_error(tmp_path):
    path = small_study.write_study(tmp_path, extra="[flag]\n")
    with pytest.raises(StudyError, match='Did you mean "flags"'):
        run(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_flag_in_another_period_or_direction_is_none():
    truth = pd.DataFrame(
        {
            "area": ["a", "b", "c"],
            "indicator": "x",
            "period": ["1", "1", "1"],
            "kind": ["high", "low", "high"],
            "ratio": [2.0, 0.5, 3.0],
        }
    )
    flagged = pd.DataFrame(
        {
            "area": ["a", "a", "b", "d"],
            "indicator": "x",
            "period": ["1", "2", "1", "1"],
            "direction": ["high", "high", "high", "low"],
        }
    )
    found = compare(flagged, truth)
    assert (found["planted"], found["found"], found["flags_that_are_none"]) == (3, 1, 3)
    assert found["by_kind"] == [
        {"kind": "high", "planted": 2, "found": 1},
        {"kind": "low", "planted": 1, "found": 0},
    ]
    nothing = compare(flagged.head(0), truth)
    assert (nothing["found"], nothing["share_none"]) == (0, 0.0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("code;year;figure\n0014;2021;1,5\n0015;2021;2\n", [1.5, 2.0]),
        ("code,year,figure\n0014,2021,1.5\n0015,2021,\n", [1.5, np.nan]),
        ("code\tyear\tfigure\n0014\t2021\t1\n0015\t2021\tNA\n", [1.0, np.nan]),
        ('\ufeffcode,year,figure\n0014,2021,"1,5"\n0015,2021,.\n', ["1,5", "."]),
    ],
)
def test_csv_is_read_as_it_is_written(tmp_path, text, value):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    table = read_table(path, ["code", "year"])
    assert table["code"].tolist() == ["0014", "0015"]
    assert table["year"].tolist() == ["2021", "2021"]
    expected = pd.Series(value, name="figure")
    pd.testing.assert_series_equal(table["figure"], expected, check_dtype=False)


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize(
    ("cells", "count", "first"),
    [
        (["1.445", "640", ""], "1 of 3", "1.445 in data row 1"),
        (["640", "-12.000", "1.234.567"], "2 of 3", "-12.000 in data row 2, 1.234.567 in data row 3"),
        (["1.445", "2,5", "0.5"], "1 of 3", "1.445 in data row 1"),
    ],
)
def test_dots_that_may_mark_thousands_are_refused(tmp_path, separator, cells, count, first):
    rows = [separator.join((f"{n:04d}", "1.445", cell)) for n, cell in enumerate(cells)]
    text = "\n".join([separator.join(("code", "other", "residents")), *rows])
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "table.csv", ["code"], ["residents"])
    (line,) = caught.value.problems
    assert line.startswith(
        "table.csv: column 'residents' needs to be numbers without thousands dots; "
        f"got dots that may mark thousands ({count}; first: {first}). Write "
    )
    with pytest.raises(InputError, match="column 'other'"):
        read_table(tmp_path / "table.csv", ["code"])


@pytest.mark.parametrize(
    ("separator", "cells", "values"),
    [
        (";", ["1.445", "2.5"], [1.445, 2.5]),
        (";", ["1.445", "0.125"], [1.445, 0.125]),
        (",", ["1.445", "640"], [1.445, 640.0]),
        (";", ["1,445", "640"], [1.445, 640.0]),
    ],
)
def test_dots_that_are_decimals_are_read(tmp_path, separator, cells, values):
    text = "\n".join([f"code{separator}size", *(f"a{separator}{cell}" for cell in cells)])
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    assert read_table(tmp_path / "table.csv", ["code"])["size"].tolist() == values


def test_thousands_dots_in_a_column_of_the_study_are_refused(tmp_path):
    path = small_study.write_study(tmp_path)
    people = pd.read_csv(tmp_path / "people.csv", sep=";", dtype=str)
    people["note"] = "1.445"
    people.to_csv(tmp_path / "people.csv", index=False, sep=";")
    read_inputs(load_study(path))
    people["residents"] = "1.500"
    people.to_csv(tmp_path / "people.csv", index=False, sep=";")
    with pytest.raises(InputError, match=r"people\.csv: column 'residents' .* Write 1500,"):
        read_inputs(load_study(path))


def test_a_code_that_says_na_is_a_code(tmp_path):
    (tmp_path / "table.csv").write_text("code,figure\nNA,1\n,2\n", encoding="utf-8")
    table = read_table(tmp_path / "table.csv", ["code"])
    assert table["code"][0] == "NA"
    assert pd.isna(table["code"][1])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"code,a\n\xe9,1\n", "needs to be UTF-8"),
        (b"code,a,a\nx,1,2\n", "names of columns need to differ; got a more than once"),
        (b"", "needs to be a readable table"),
        (b"code,a\nx,1,2,3\n", "needs to be a readable table"),
    ],
)
def test_unreadable_csv_is_said(tmp_path, data, words):
    (tmp_path / "table.csv").write_bytes(data)
    with pytest.raises(InputError, match=words):
        read_table(tmp_path / "table.csv", ["code"])


def test_unreadable_parquet_is_said(tmp_path):
    (tmp_path / "table.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="needs to be a readable table"):
        read_table(tmp_path / "table.parquet")
