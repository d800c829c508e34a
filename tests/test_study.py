"""The study file: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo_geo.errors import StudyError
from zoo_geo.study import Text, json_schema, load_study

STUDY = """
[study]
id = "demo"
title = "A study"
language = "en"

[areas]
path = "areas.gpkg"
id = "code"
parents = { wijk = "wijkcode", gemeente = "gemeentecode" }

[[tables]]
id = "figures"
path = "figures.csv"
area = "code"

[[indicators]]
id = "parks"
title = { nl = "Inschrijvingen", en = "Registrations" }
observed = { "2021" = "parks_2021", "2022" = "parks_2022" }
exposure = "residents"

[[detectors]]
type = "deviation"

[[detectors]]
type = "getis_ord"
permutations = 999

[priority]
per = "gemeente"
"""


@pytest.fixture
def write(tmp_path):
    """Write a study beside its (empty) files; changes are pairs of old and new text."""
    (tmp_path / "areas.gpkg").touch()
    (tmp_path / "figures.csv").touch()

    def write(*changes: tuple[str, str], text: str = STUDY, extra: str = "") -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "study.toml"
        path.write_text(text + extra, encoding="utf-8")
        return path

    return write


def problems(path: Path) -> list[str]:
    with pytest.raises(StudyError) as caught:
        load_study(path)
    assert all(line.startswith("study.toml: ") for line in caught.value.problems)
    return [line.removeprefix("study.toml: ") for line in caught.value.problems]


def test_a_study_becomes_typed_objects(write, tmp_path):
    study = load_study(write())

    assert study.study.id == "demo"
    assert study.study.alpha == 0.05
    assert study.areas.path == tmp_path / "areas.gpkg"
    assert list(study.areas.parents.items()) == [("wijk", "wijkcode"), ("gemeente", "gemeentecode")]
    assert study.indicators[0].table == "figures"
    assert study.indicators[0].title == Text(nl="Inschrijvingen", en="Registrations")
    assert study.within(study.indicators[0].title) == "Registrations"
    assert study.detector_names() == ["deviation:neighbours", "getis_ord:surroundings"]
    assert study.detectors[1].permutations == 999
    assert study.outputs.formats == ("geoparquet", "gpkg", "geojson", "csv")
    assert study.truth is None


def test_relative_paths_start_at_the_study_file(write, tmp_path, monkeypatch):
    write()
    monkeypatch.chdir(tmp_path.parent)
    study = load_study(Path(tmp_path.name) / "study.toml")
    assert study.tables[0].path == tmp_path / "figures.csv"


def test_a_title_may_be_one_text(write):
    study = load_study(write(('{ nl = "Inschrijvingen", en = "Registrations" }', '"Parks"')))
    assert study.within(study.indicators[0].title) == "Parks"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            ('language = "en"', 'langage = "en"'),
            'study.langage needs to be a known key; got an unknown one. Did you mean "language"?',
        ),
        (
            ("[priority]", "[prioritiy]"),
            'prioritiy needs to be a known section; got an unknown one. Did you mean "priority"?',
        ),
        (
            ("permutations = 999", "permutation = 999"),
            "detectors[2: getis_ord].permutation needs to be a known key; got an unknown one. "
            'Did you mean "permutations"?',
        ),
        (
            ('type = "deviation"', 'type = "deviations"'),
            'Did you mean "deviation"?',
        ),
        (
            ('language = "en"', 'language = "fr"'),
            'study.language needs to be one of nl, en; got "fr".',
        ),
        (
            ('id = "demo"', 'id = "de mo"'),
            'study.id needs to be a text in quotes of letters, digits, _ . and -; got "de mo".',
        ),
        (
            ('id = "demo"', 'id = "demo"\nalpha = 5'),
            "study.alpha needs to be a number above 0 and below 1; got 5.",
        ),
        (
            ('id = "demo"', 'id = "demo"\nalpha = true'),
            "study.alpha needs to be a number above 0 and below 1; got true.",
        ),
        (
            ('id = "demo"', 'id = "demo"\nseed = 1.5'),
            "study.seed needs to be a whole number at least 0; got 1.5.",
        ),
        (
            ('id = "demo"', ""),
            "study.id needs to be a text in quotes of letters, digits, _ . and -; got nothing.",
        ),
        (
            ("permutations = 999", 'permutations = "many"'),
            'detectors[2: getis_ord].permutations needs to be a whole number; got "many".',
        ),
        (
            ('path = "figures.csv"', 'path = "figures.xlsx"'),
            "tables[1: figures].path needs to be a file; got figures.xlsx, which is none.",
        ),
        (
            ('path = "figures.csv"', 'path = "areas.gpkg"'),
            "tables[1: figures].path needs to end in .csv or .parquet; got areas.gpkg.",
        ),
        (
            ('area = "code"', 'area = "code"\nperiod = "year"'),
            "indicators[1: parks].observed needs to be one column; got one per period. "
            "Table figures has a period column already.",
        ),
        (
            ('exposure = "residents"', 'exposure = { "2021" = "residents_2021" }'),
            "indicators[1: parks].exposure needs to have the periods of observed; "
            "got others (1; first: 2022).",
        ),
        (
            ('exposure = "residents"', ""),
            "indicators[1: parks].exposure needs to be a column for family poisson; got nothing.",
        ),
        (
            ('exposure = "residents"', 'exposure = "residents"\ntable = "figurs"'),
            'indicators[1: parks].table needs to be the id of a table; got "figurs". Did you mean "figures"?',
        ),
        (
            ('per = "gemeente"', 'per = "gemeenten"'),
            'priority.per needs to be a level of areas.parents; got "gemeenten". Did you mean "gemeente"?',
        ),
        (
            ('type = "deviation"', 'type = "deviation"\nreference = "parent:provincie"'),
            "detectors[1].reference needs to be parent: and a level of areas.parents; "
            'got "provincie". Known: wijk, gemeente.',
        ),
        (
            ('exposure = "residents"', 'exposure = "residents"\nobserved_units = { "2021" = "files_2021" }'),
            "indicators[1: parks].observed_units needs to have the periods of observed; "
            "got others (1; first: 2022).",
        ),
        (
            ('exposure = "residents"', 'family = "gaussian"\nobserved_units = "files"'),
            "indicators[1: parks].observed_units needs to be of counts; got values (gaussian).",
        ),
        (
            ("gemeente = ", "geometry = "),
            "areas.parents.geometry needs to be a name of its own; got one of a column of results.",
        ),
        (
            ('title = { nl = "Inschrijvingen", en', 'title = { nl = "Inschrijvingen", eng'),
            'indicators[1: parks].title.eng needs to be a known key; got an unknown one. Did you mean "en"?',
        ),
    ],
)
def test_what_is_wrong_is_named(write, change, line):
    assert any(problem.endswith(line) for problem in problems(write(change))), problems(write(change))


FEATURES = """
[features]
path = "features.csv"
area = "code"
"""


def detector(options: str) -> str:
    return f'[[detectors]]\ntype = "deviation"\n{options}\n'


def test_features_and_peers_are_sections(write, tmp_path):
    (tmp_path / "features.csv").touch()
    peers = '[peers]\nk = "all"\nmethod = "strata"\nwithin = "kind"\nexclude = ["neighbors", "gemeente"]\n'
    peers += "weights = { older = 2 }\n"
    compared = detector('reference = "peers"') + detector('reference = "model"\nadjust = ["older"]')
    study = load_study(write(extra=FEATURES + peers + compared))
    assert study.features.path == tmp_path / "features.csv"
    assert study.features.columns == ()
    assert (study.peers.k, study.peers.method, study.peers.within) == ("all", "strata", "kind")
    assert study.peers.exclude == ("neighbors", "gemeente")
    assert study.peers.weights == {"older": 2.0}
    assert [getattr(each, "adjust", ()) for each in study.detectors] == [(), (), (), ("older",)]
    plain = load_study(write())
    assert plain.features is plain.peers is None


def test_comparisons_by_features_need_features_and_peers(write):
    extra = "[peers]\n" + detector('reference = "stratum:kind"') + detector('reference = "model"')
    assert problems(write(extra=extra + detector('reference = "national"\nadjust = ["older"]'))) == [
        f"{what} needs to have a section [features] in the study; got none. "
        "It names the table of features of the areas."
        for what in (
            "peers",
            "detectors[3].reference = stratum:kind",
            "detectors[4].reference = model",
            "detectors[5].adjust",
        )
    ]
    assert problems(write(extra=detector('reference = "peers"'))) == [
        "detectors[3].reference = peers needs to have a section [peers] in the study; got none. "
        "It says who is alike."
    ]


def test_comparisons_that_a_family_cannot_have_are_refused(write, tmp_path):
    (tmp_path / "features.csv").touch()
    assert problems(write(extra=detector('reference = "sar"'))) == [
        "detectors[3].reference = sar needs to have values (gaussian); got counts (1 of 1; first: parks)."
    ]
    shares = ('exposure = "residents"', 'exposure = "residents"\nfamily = "binomial"')
    extra = FEATURES + detector('reference = "national"\nadjust = ["older"]')
    assert problems(write(shares, extra=extra)) == [
        "detectors[3].adjust needs to have counts per exposure or values; "
        'got shares (binomial: 1 of 1; first: parks). Use reference = "model".'
    ]
    load_study(write(extra=extra))
    value = '[[indicators]]\nid = "price"\nobserved = "price"\nfamily = "gaussian"\ntable = "figures"\n'
    load_study(write(extra=value + detector('reference = "sar"')))  # the others are not tested, and said so
    load_study(write(shares, extra=FEATURES + detector('reference = "model"\nadjust = ["older"]')))


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("[peers]\nk = 0", "peers.k needs to be a whole number at least 1 or one of all; got 0."),
        ('[peers]\nmethod = "near"', 'got "near". Did you mean "nearest"?'),
        ("[peers]\nweights = { older = 0 }", "peers.weights.older needs to be a number above 0; got 0."),
        (FEATURES, "features.path needs to be a file; got features.csv, which is none."),
    ],
)
def test_wrong_features_and_peers_are_named(write, section, line):
    assert any(problem.endswith(line) for problem in problems(write(extra=section)))


def test_all_problems_come_together(write):
    path = write(
        ('language = "en"', 'langage = "en"'),
        ('path = "figures.csv"', 'path = "none.csv"'),
        ("permutations = 999", "permutations = -1.5"),
        ('exposure = "residents"', 'exposure = "residents"\ntable = "other"'),
        ('per = "gemeente"', 'per = "land"\ncapacity = 0'),
    )
    assert [line.partition(" ")[0] for line in problems(path)] == [
        "study.langage",
        "detectors[2:",
        "priority.capacity",
        "indicators[1:",
    ]


def test_repeated_ids_and_detectors_are_refused(write):
    again = (
        '[[tables]]\nid = "figures"\npath = "figures.csv"\narea = "code"\n[[detectors]]\ntype = "deviation"\n'
    )
    lines = problems(write(extra=again))
    assert "tables need to have unique ids; got repeated ones (1 of 2; first: figures)." in lines
    line = "detectors need to differ in type, reference, direction or time; got the same more than once "
    assert f"{line}(1 of 3; first: deviation:neighbours)." in lines


def test_context_names_a_detector_of_the_study(write):
    more = '[[detectors]]\ntype = "local_moran"\nvalue = "rate"\n'
    context = ["getis_ord:surroundings", "local_moran:all areas"]
    assert load_study(write(extra=f"{more}[flags]\ncontext = {context}\n")).flags.context == tuple(context)

    lines = problems(write(extra=f'{more}[flags]\ncontext = ["deviation:neigbours", "x"]\n'))
    assert lines == [
        'flags.context needs to be detectors of the study; got "deviation:neigbours". '
        'Did you mean "deviation:neighbours"?',
        'flags.context needs to be detectors of the study; got "x". '
        "Known: deviation:neighbours, getis_ord:surroundings, local_moran:all areas.",
    ]


def test_context_leaves_a_detector_that_can_raise_a_flag(write):
    context = ["deviation:neighbours", "getis_ord:surroundings"]
    assert problems(write(extra=f"[flags]\ncontext = {context}\n")) == [
        "flags.context needs to leave a detector that can raise a flag; got all of them."
    ]


THEMES = """
[[indicators]]
id = "shops"
theme = "branches"
observed = "shops"
exposure = "residents"

[[indicators]]
id = "turnover"
theme = "branches"
observed = "turnover"
family = "gaussian"

[[detectors]]
type = "unusual_mix"
theme = "branches"

[[detectors]]
type = "unusual_mix"
theme = "both"
indicators = ["shops", "parks"]

[[detectors]]
type = "scan"

[[detectors]]
type = "scan"
direction = "low"

[[combine]]
theme = "branches"
detectors = ["deviation:neighbours", "getis_ord:surroundings"]
alternative = "two-sided"

[flags]
context = ["co_occurrence:neighbours + surroundings", "unusual_mix:neighbours"]
"""


def test_themes_are_combined(write):
    study = load_study(write(extra=THEMES))
    assert study.detectors[3].indicators == ("shops", "parks")
    assert study.combine[0].alternative == "two-sided"
    assert study.combine[0].at_least == 2


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            ('type = "unusual_mix"\ntheme = "branches"', 'type = "unusual_mix"\ntheme = "branch"'),
            'detectors[3].theme needs to be the theme of two indicators or more; got "branch", which none '
            'has. Did you mean "branches"?',
        ),
        (
            ('id = "shops"\ntheme = "branches"', 'id = "shops"\ntheme = "other"'),
            'combine[1].theme needs to be the theme of two indicators or more; got "branches", which 1 has. '
            "Give it to another one.",
        ),
        (
            ('alternative = "two-sided"', "at_least = 5"),
            "combine[1].at_least needs to be at most the number of figures, 4; got 5.",
        ),
        (
            ('"deviation:neighbours", "getis_ord:surroundings"]', '"scan:national"]'),
            'combine[1].detectors needs a p of each area; got "scan:national", whose p is about the whole '
            "map.",
        ),
        (
            (
                'context = ["co_occurrence:neighbours + surroundings", "unusual_mix',
                'context = ["scan_low:national", "scan_high:national", "unusual_mix',
            ),
            'flags.context needs to be detectors of the study; got "scan_high:national". Did you mean '
            '"scan:national"?',
        ),
        (
            ('["shops", "parks"]', '["shops", "park"]'),
            'detectors[4].indicators needs to be ids of indicators; got "park". Did you mean "parks"?',
        ),
        (
            ('theme = "both"', 'theme = "parks"'),
            "detectors[4].theme needs a name that is no indicator's; got parks.",
        ),
        (
            ('"deviation:neighbours", "getis', '"unusual_mix:neighbours", "getis'),
            'combine[1].detectors needs to be detectors of the study; got "unusual_mix:neighbours". '
            'Did you mean "deviation:neighbours"?',
        ),
        (
            ("[flags]\n", '[[combine]]\ntheme = "branches"\n[flags]\n'),
            "combine needs to have each theme once; got repeated ones (1 of 2; first: branches).",
        ),
    ],
)
def test_themes_that_cannot_be_combined_are_named(write, change, line):
    assert line in problems(write(extra=THEMES.replace(*change)))


def test_paths_stay_in_the_folder_of_the_study(write, tmp_path):
    outside = tmp_path.parent / "outside.csv"
    outside.touch()
    (tmp_path / "link.csv").symlink_to(outside)
    for path in ("../outside.csv", str(outside), "link.csv"):
        change = ('path = "figures.csv"', f'path = "{path}"')
        assert problems(write(change)) == [
            f"tables[1: figures].path needs to stay in the folder of the study; got {path}. "
            "Set study.allow_outside = true to allow it."
        ]
        allowed = load_study(write(change, ('id = "demo"', 'id = "demo"\nallow_outside = true')))
        assert allowed.tables[0].path == outside


def test_a_mistake_in_toml_is_said_with_its_line(write):
    (line,) = problems(write(text="[study]\nid = demo\n"))
    assert line.startswith("study file needs to be TOML; got a mistake:")
    assert "line 2" in line


def test_other_bytes_than_utf8_are_refused(tmp_path):
    (tmp_path / "study.toml").write_bytes('[study]\nid = "é"'.encode("latin-1"))
    (line,) = problems(tmp_path / "study.toml")
    assert "UTF-8" in line


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(StudyError, match="no such file"):
        load_study(tmp_path / "study.toml")


def test_the_schema_is_json_and_forbids_unknown_keys():
    schema = json.loads(json.dumps(json_schema()))

    assert schema["required"] == ["study", "areas", "indicators", "detectors"]
    assert "path" not in schema["properties"]
    assert schema["properties"]["study"]["properties"]["alpha"] == {
        "type": "number",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
        "description": "Share of flags that may be chance (false-discovery rate).",
        "default": 0.05,
    }
    detectors = schema["properties"]["detectors"]["items"]["oneOf"]
    assert {"deviation", "getis_ord", "local_moran"} <= {
        one["properties"]["type"]["const"] for one in detectors
    }
    assert all(section["additionalProperties"] is False for section in _sections(schema))


def test_the_schema_describes_the_options_of_detectors():
    detectors = json_schema()["properties"]["detectors"]["items"]["oneOf"]
    assert len(detectors) >= 6
    for one in detectors:
        options = {name: each for name, each in one["properties"].items() if name != "type"}
        assert all(each["description"].endswith(".") for each in options.values()), options
    options = {one["properties"]["type"]["const"]: one["properties"] for one in detectors}["deviation"]
    assert options["method"]["enum"] == ["poisson", "tweedie", "boosting"]
    assert options["rings"]["description"].startswith("Widest surroundings tried for ``neighbours``;")
    assert options["clean"]["description"] == options["heavy"]["description"]
    assert options["adjust"]["items"] == {"type": "string"}


def _sections(schema: dict) -> list[dict]:
    """Every object of the schema that lists its properties."""
    inner = [schema] if "properties" in schema else []
    for value in schema.values():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                inner += _sections(part)
    return inner
