"""Study files whose indicators come from records: the same figures as tables, checks, exit codes."""

# ruff: noqa: E501  (tables of what is wrong and what is said)
import json

import numpy as np
import pandas as pd
import pytest

import small_study
import zoo_geo as zg
from zoo_geo.cli import main
from zoo_geo.errors import StudyError
from zoo_geo.inputs import read_inputs
from zoo_geo.study import json_schema, load_study

RECORDS = """
[microdata]
key_file = "key.txt"
memory = "500MB"
threads = 1
seconds = 60

[[sources]]
id = "cases"
path = "cases.parquet"
identifiers = ["bsn"]

[[sources]]
id = "persons"
path = "persons.csv"
identifiers = ["burgerservicenummer"]
drop = ["naam"]

[[indicators]]
id = "suspects"
theme = "theft"
title = { nl = "Verdachten", en = "Suspects" }
question = { nl = "Waar wonen veel verdachten?", en = "Where do many suspects live?" }
definition = "Distinct persons with a case"
source = "made up"
unit = { nl = "inwoners", en = "residents" }
table = "people"
query = \"\"\"
SELECT p.code AS area, c.year AS period, c.bsn AS unit  -- once per person
FROM cases c JOIN persons p ON p.burgerservicenummer = c.bsn
\"\"\"
exposure = "residents"

[[indicators]]
id = "loss"
aggregate = "mean"
family = "gaussian"
query_file = "loss.sql"
"""


_FIRST = 12_345_678
"""Numbers from here on: text with a zero before it in one source, numbers without it in the other."""


def write(folder, records=RECORDS, **options):
    path = small_study.write_study(folder, extra=records, **options)
    draws = np.random.default_rng(8)
    codes = np.array(small_study.codes())
    n = 1500
    persons = pd.DataFrame({"burgerservicenummer": [f"{_FIRST + i:09d}" for i in range(n)], "naam": "x"})
    persons["code"] = draws.choice(codes, n)
    cases = pd.DataFrame(
        {"bsn": _FIRST + draws.integers(0, n, 4000), "year": draws.choice([2022, 2023], 4000)}
    )
    cases["loss"] = draws.lognormal(5, 1, 4000).round(2)
    persons.to_csv(folder / "persons.csv", index=False)
    cases.to_parquet(folder / "cases.parquet")
    (folder / "key.txt").write_text("the key of this test study\n")
    (folder / "loss.sql").write_text(
        "SELECT code AS area, year AS period, bsn AS unit, loss AS value\n"
        "FROM cases JOIN persons ON burgerservicenummer = bsn;\n"
    )
    return path, persons, cases


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    return (folder, *write(folder))


def test_records_and_tables_stand_in_one_panel(written):
    _, path, persons, cases = written
    inputs = read_inputs(load_study(path))
    panel = inputs.panel
    assert [each.id for each in panel.indicators] == ["thefts", "houses", "suspects", "loss"]
    assert panel.indicator("suspects").unit == "residents"
    joined = cases.assign(burgerservicenummer=cases["bsn"].map("{:09d}".format)).merge(persons)
    counted = joined.groupby(["code", "year"])["bsn"].nunique()
    frame = panel.frame.set_index("indicator")
    suspects = frame.loc["suspects"].query("status == 'ok'").set_index(["area", "period"])
    assert len(suspects) == 2 * len(small_study.codes())
    expected = [counted.get((area, int(period)), 0) for area, period in suspects.index]
    assert suspects["observed"].tolist() == expected
    assert suspects["exposure"].eq(1500).all()
    own = joined.groupby(["code", "year", "bsn"])["loss"].mean().groupby(["code", "year"])
    loss = frame.loc["loss"].query("status == 'ok'").set_index(["area", "period"])
    assert len(loss) == own.ngroups
    means, sizes = own.mean(), own.size()
    np.testing.assert_allclose(loss["observed"], [means[a, int(p)] for a, p in loss.index], rtol=1e-9)
    assert loss["exposure"].tolist() == [sizes[a, int(p)] for a, p in loss.index]


@pytest.mark.slow
def test_a_run_keeps_what_disclosure_control_needs_and_no_identifier(written, tmp_path):
    folder, path, persons, _ = written
    out = tmp_path / "out"
    result = zg.run(path, out)
    assert set(result.aggregates.frame["indicator"]) == {"suspects", "loss"}
    assert result.aggregates.frame["contributors"].max() < 30
    _check_what_indicators_are(out)
    _check_contributors(out, result.aggregates.frame)
    key = (folder / "key.txt").read_bytes().strip()
    numbers = {number.encode() for number in persons["burgerservicenummer"][:200]}
    for file in out.iterdir():
        content = file.read_bytes()
        assert key not in content
        if file.suffix in (".csv", ".md", ".json", ".geojson"):
            assert not any(number in content for number in numbers)


def _check_contributors(out, frame):
    """Contributors stand beside every cell of records, and beside no other."""
    keys, names = ["indicator", "area", "period"], ["contributors", "largest", "second_largest"]
    cells = pd.read_csv(out / "cells_internal.csv", dtype={"period": str}).set_index(keys)[names]
    known = frame.astype({"period": str}).set_index(keys)[names]
    assert set(known.index) <= set(cells.index)
    np.testing.assert_allclose(cells.loc[known.index], known.to_numpy(float))
    assert cells[~cells.index.isin(known.index)].isna().all(axis=None)


def _check_what_indicators_are(out):
    """Question, definition and source stand where readers look, in the language of the study."""
    table = pd.read_csv(out / "indicators_internal.csv", keep_default_na=False).set_index("indicator")
    assert table.columns[0] == "internal"
    texts = {
        "theme": "theft",
        "title": "Suspects",
        "question": "Where do many suspects live?",
        "definition": "Distinct persons with a case",
        "source": "made up",
        "unit": "residents",
    }
    assert table.loc["suspects", list(texts)].to_dict() == texts
    told = "Suspects (suspects): Where do many suspects live? · Distinct persons with a case · made up"
    assert told in (out / "report_internal.md").read_text(encoding="utf-8")
    assert "(loss)" not in (out / "report_internal.md").read_text(encoding="utf-8")
    reported = json.loads((out / "report_internal.json").read_text(encoding="utf-8"))["indicators"]
    assert reported[2] == {"id": "suspects", **texts}
    page = (out / "map_internal.html").read_text(encoding="utf-8")
    assert f'"about":"{told}"' in page
    assert 'id="about"' in page


def test_check_reads_no_records(written, capsys, monkeypatch):
    _, path, _, _ = written
    monkeypatch.setattr("zoo_geo.microdata.aggregate_query", None)
    assert main(["check", str(path)]) == 0
    said = capsys.readouterr().out
    assert "Records: cases, persons; the queries of 2 more indicators are right" in said
    assert "The study can be run." in said


def test_a_study_of_records_alone(tmp_path, capsys):
    path, _, _ = write(tmp_path, "")
    text = path.read_text()
    head, rest = text.split("[[tables]]", 1)
    tail = rest[rest.index("[[detectors]]") : rest.index("[truth]")]
    records = RECORDS.replace('table = "people"\n', "").replace(
        'exposure = "residents"',
        'exposure_query = "SELECT code AS area, burgerservicenummer AS unit FROM persons"',
    )
    path.write_text(head + records + tail.replace('type = "getis_ord"', 'type = "local_moran"'))
    assert main(["check", str(path)]) == 0
    said = capsys.readouterr().out
    assert "with figures" not in said
    assert "the queries of 2 indicators are right, and are asked when the study runs" in said
    panel = read_inputs(load_study(path)).panel
    assert panel.exposure[:, 0, 0].sum() == 1500


def test_the_schema_tells_of_records():
    schema = json.loads(json.dumps(json_schema()))["properties"]
    assert {"key_file", "key_env", "memory", "threads", "seconds"} <= set(schema["microdata"]["properties"])
    source = schema["sources"]["items"]["properties"]
    place = {"locate", "x", "y", "crs", "on_border"}
    assert {"id", "path", "layer", "table", "dsn_env", "identifiers", "drop", *place} == set(source)
    indicator = schema["indicators"]["items"]["properties"]
    assert indicator["aggregate"]["enum"] == ["count_units", "sum", "mean", "share"]
    assert {"query", "query_file", "exposure_query", "exposure_aggregate", "question", "definition"} <= set(
        indicator
    )


WRONG = [
    ("key_file", "key_fil", 'microdata.key_fil needs to be a known key; got an unknown one. Did you mean "key_file"?'),
    ('key_file = "key.txt"\n', "", "microdata needs to have key_file or key_env, as sources have identifiers; got none."),
    ('key_file = "key.txt"', 'key_file = "no.txt"', "microdata: key file needs to be readable; got: No such file"),
    ('key_file = "key.txt"', 'key_env = "ZOO_NO_KEY"', "microdata: environment variable ZOO_NO_KEY needs to hold the key"),
    ('key_file = "key.txt"', 'key_file = "key.txt"\nkey_env = "X"', "needs to have one of key_file and key_env; got both."),
    ('memory = "500MB"', 'memory = "lots"', "microdata.memory needs to be a text in quotes such as '4GB'; got \"lots\"."),
    ("threads = 1", "threads = 0", "microdata.threads needs to be a whole number at least 1; got 0."),
    ('id = "persons"', 'id = "CASES"', "sources need to have ids of their own, capitals or not"),
    ('id = "persons"', 'id = "per sons"', "sources[2: per sons].id needs to be a text in quotes of letters, digits and _"),
    ('path = "persons.csv"', 'path = "nobody.csv"', "sources[2: persons].path needs to be a file; got nobody.csv"),
    ('path = "persons.csv"', 'path = "../persons.csv"', "sources[2: persons].path needs to stay in the folder"),
    ('path = "persons.csv"', 'path = "loss.sql"', "sources[2: persons].path needs to end in .csv or .parquet"),
    ('path = "persons.csv"', "", "source persons needs to have one of path and dsn_env; got 0."),
    ("FROM cases c", "FROM 'cases.parquet' c", 'indicators[3: suspects].query: query needs to use declared sources'),
    ("FROM cases c", "FROM casses c", 'Did you mean "cases"?'),
    ("c.year AS period", "c.year AS period, getenv('HOME') AS branch", "got function getenv in line 1, character 42"),
    ('query_file = "loss.sql"', 'query_file = "less.sql"', "indicators[4: loss].query_file needs to be a readable file"),
    ('query_file = "loss.sql"', 'query_file = "../loss.sql"', "indicators[4: loss].query_file needs to stay in the folder"),
    ('query_file = "loss.sql"', "", "indicators[4: loss].observed needs to be a column of a table, or query a SELECT"),
    ('query_file = "loss.sql"', 'query_file = "loss.sql"\nobserved = "x"', "needs to have one of observed and query; got both."),
    ('query_file = "loss.sql"', 'query_file = "loss.sql"\nexposure_query = "SELECT 1"', "exposure needs to be left out for"),
    ('aggregate = "mean"', 'aggregate = "maen"', 'got "maen". Did you mean "mean"?'),
    ('family = "gaussian"\n', "", "indicators[4: loss].family needs to be gaussian for aggregate mean; got poisson."),
    ('exposure = "residents"', "", "exposure needs to be a column or exposure_query for family poisson; got nothing."),
    ('table = "people"\nquery', "query", "indicators[3: suspects].table needs to be the id of a table; got nothing."),
    ('exposure = "residents"', 'exposure = "residents"\nobserved_units = "x"', "observed_units needs to be left out beside a query"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "words"), WRONG)
def test_what_is_wrong_in_the_file_is_said(before, after, words, written):
    folder, path, _, _ = written
    assert RECORDS.count(before) >= 1
    wrong = folder / "wrong.toml"
    wrong.write_text(path.read_text().replace(RECORDS, RECORDS.replace(before, after, 1)))
    with pytest.raises(StudyError) as caught:
        load_study(wrong)
    assert words in str(caught.value)
    assert all(line.startswith("wrong.toml: ") for line in caught.value.problems)


LATER = [
    ('identifiers = ["burgerservicenummer"]\n', "", "wrong.toml: source persons: columns that are direct identifiers need to be"),
    ('drop = ["naam"]', 'drop = ["nam"]', "wrong.toml: source persons: drop needs to name columns of it; got 'nam'"),
    ("c.year AS period", "c.jaar AS period", "wrong.toml: indicator suspects: query needs to fit the sources; got: Binder Error"),
    ('exposure = "residents"', 'exposure = "resident"', "people.csv: column 'resident' needs to be in the table"),
]  # fmt: skip


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(("before", "after", "words"), LATER)
def test_what_is_wrong_in_the_sources_is_said(command, before, after, words, written, capsys, tmp_path):
    folder, path, _, _ = written
    wrong = folder / "wrong.toml"
    wrong.write_text(path.read_text().replace(RECORDS, RECORDS.replace(before, after, 1)))
    more = ["-o", str(tmp_path / "out")] if command == "run" else []
    assert main([command, str(wrong), *more]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_records_of_unknown_areas(written, capsys):
    folder, path, _, _ = written
    query = "SELECT 'BU9999' AS area, year AS period, bsn AS unit, loss AS value FROM cases UNION ALL "
    wrong = folder / "wrong.toml"
    (folder / "more.sql").write_text(query + (folder / "loss.sql").read_text())
    text = path.read_text().replace("loss.sql", "more.sql")
    wrong.write_text(text)
    with pytest.raises(
        zg.InputError, match="indicator loss: areas need to be on the map; got others: 2,185 units"
    ):
        read_inputs(load_study(wrong))
    wrong.write_text(text.replace("threads = 1", 'threads = 1\nunknown_areas = "drop"'))
    assert any("left out: 2,185 units" in line for line in read_inputs(load_study(wrong)).notices)
