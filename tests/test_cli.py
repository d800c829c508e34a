"""The command line: exit codes, what goes where, and no traceback unless asked for."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from types import SimpleNamespace

import pandas as pd
import pytest

import small_study
from zoo_geo import __version__, cli


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return small_study.write_study(tmp_path_factory.mktemp("cli"))


@pytest.mark.slow
def test_run_says_where_the_results_are_and_what_deviates_most(study, tmp_path, capsys):
    assert cli.main(["run", str(study), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert str(tmp_path / "out" / "map_internal.html") in lines[0]
    assert "2 of 3 planted anomalies were found" in said.out
    start = next(n for n, line in enumerate(lines) if "deviate most" in line)
    assert lines[start + 1].startswith("  1. ")
    assert all(line.endswith("A pattern, not a verdict.") for line in lines[start + 1 :])
    assert "1/9  tables" in said.err


@pytest.mark.slow
def test_run_says_what_takes_long_and_only_while_it_runs(study, tmp_path, capsys, monkeypatch):
    def slow(*_: object, **__: object) -> None:
        logging.getLogger("zoo_geo").info("compiling")
        raise RuntimeError

    monkeypatch.setattr("zoo_geo.pipeline.write_page", slow)
    cli.main(["run", str(study), "-o", str(tmp_path / "out")])
    assert capsys.readouterr().err.splitlines().count("compiling") == 1
    logging.getLogger("zoo_geo").info("compiling")
    assert capsys.readouterr().err == ""
    assert not logging.getLogger("zoo_geo").handlers


def test_run_speaks_dutch_where_the_study_does(tmp_path, capsys):
    study = small_study.write_study(
        tmp_path / "study", language="nl", extra="[outputs]\npage = false\nformats = []\n"
    )
    assert cli.main(["run", str(study), "-o", str(tmp_path / "out")]) == 0
    assert "De resultaten staan in" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "check"])
def test_wrong_input_is_exit_2_with_one_line_per_problem(command, tmp_path, capsys):
    study = small_study.write_study(tmp_path, extra="[flags]\nalfa = 1\nmin_ratio = 0.5\n")
    more = ["-o", str(tmp_path / "out")] if command == "run" else []
    assert cli.main([command, str(study), *more]) == 2
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "study.toml: flags.alfa needs to be a known key; got an unknown one. Known: "
        "method, min_ratio, min_excess, min_count, context.",
        "study.toml: flags.min_ratio needs to be a number at least 1; got 0.5.",
    ]
    assert said.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_that_fails_is_exit_1_without_a_traceback(study, tmp_path, capsys, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("disk on fire\nand more")

    monkeypatch.setattr("zoo_geo.pipeline.write_page", broken)
    assert cli.main(["run", str(study), "-o", str(tmp_path / "out")]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "zoo-geo failed: RuntimeError: disk on fire. Run it again with --debug for the traceback."
    assert list(tmp_path.iterdir()) == []

    assert cli.main(["run", str(study), "-o", str(tmp_path / "out"), "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupt_is_exit_1_and_leaves_nothing(study, tmp_path, capsys, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo_geo.pipeline.write_page", interrupted)
    assert cli.main(["run", str(study), "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted; nothing was written."
    assert list(tmp_path.iterdir()) == []


def test_check_reads_everything_and_computes_nothing(study, capsys):
    assert cli.main(["check", str(study)]) == 0
    said = capsys.readouterr().out
    assert "196 areas, 196 with figures, 2 indicators x 2 periods" in said
    assert "Detectors: deviation:neighbours, getis_ord:surroundings." in said
    assert "secret" in said


def test_check_finds_what_is_wrong_with_the_data(tmp_path, capsys):
    study = small_study.write_study(tmp_path)
    (tmp_path / "people.csv").write_text("code;year;thefts;residents\nBU0001;2022;-3;x\n")
    assert cli.main(["check", str(study)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("people.csv: column ") for line in lines)


def test_detectors_are_listed_with_their_options(capsys):
    assert cli.main(["detectors"]) == 0
    said = capsys.readouterr().out
    for name in ("deviation", "getis_ord", "local_moran"):
        assert f"\n{name}: " in f"\n{said}"
    assert '    reference = "neighbours"' in said


def test_schema_is_json(capsys):
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "zoo-geo study"


@pytest.mark.slow
def test_sample_can_be_checked(tmp_path, capsys):
    assert cli.main(["sample", str(tmp_path / "sample")]) == 0
    assert "zoo-geo run" in capsys.readouterr().out.splitlines()[-1]
    assert cli.main(["check", str(tmp_path / "sample" / "study.toml")]) == 0


@pytest.mark.slow
def test_sample_replaces_nobodys_files(tmp_path, capsys):
    folder = tmp_path / "sample"
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    (folder / "study.toml").mkdir()
    (folder / "notes.txt").write_text("mine")
    assert cli.main(["sample", str(folder)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        f"directory needs to hold no other files named like the sample; got {folder}, which does "
        "(2 of 6; first: study.toml, README.md). Move them away or name another folder."
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "notes.txt", "study.toml"]
    assert (folder / "README.md").read_text() == "mine"

    (folder / "README.md").unlink()
    (folder / "study.toml").rmdir()
    assert cli.main(["sample", str(folder)]) == 0
    assert cli.main(["sample", str(folder)]) == 0
    assert (folder / "notes.txt").read_text() == "mine"
    assert len(list(folder.iterdir())) == 7


@pytest.mark.parametrize(
    ("language", "n", "lines"),
    [
        ("en", 1, ["1 flag in 1 area. Read report", "The area that deviates most:"]),
        ("nl", 1, ["1 vlag in 1 gebied. Lees report", "Het gebied dat het meest afwijkt:"]),
        ("en", 2, ["2 flags in 2 areas. Read report", "The 2 areas that deviate most:"]),
        ("nl", 2, ["2 vlaggen in 2 gebieden. Lees report", "De 2 gebieden die het meest afwijken:"]),
    ],
)
def test_one_is_said_as_one(language, n, lines):
    flagged = pd.DataFrame({"area": ["a", "b"], "sentence": "x"}).head(n)
    report = {"small_exposure": {"below": 0.2, "flags": 0, "of": 0}}
    result = SimpleNamespace(
        study=SimpleNamespace(language=language),
        flags=SimpleNamespace(frame=flagged),
        report=report,
        paths=(),
    )
    said = cli._closing(result, "out")
    assert all(any(each.startswith(line) for each in said) for line in lines)


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_failure():
    program = [sys.executable, "-m", "zoo_geo.cli", "detectors"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("command", ["run", "sample"])
@pytest.mark.parametrize("place", ["", " ", "/proc/x/y", "/proc/x", "file", "file/below", "x" * 300])
def test_a_place_that_cannot_be_written_to_is_exit_2(study, tmp_path, capsys, monkeypatch, command, place):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("zoo_geo.pipeline.read_inputs", pytest.fail)
    monkeypatch.setattr("zoo_geo.sample._make", pytest.fail)
    (tmp_path / "file").touch()
    arguments = ["run", str(study), "-o", place] if command == "run" else ["sample", place]
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"{'out' if command == 'run' else 'directory'} needs to be ")
    assert said.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("command", ["run", "sample"])
def test_a_folder_without_rights_is_exit_2(study, tmp_path, capsys, monkeypatch, command):
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    arguments = ["run", str(study), "-o"] if command == "run" else ["sample"]
    assert cli.main([*arguments, str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"needs to be a folder that can be written to; got {tmp_path} (Permission denied).")


@pytest.mark.parametrize(
    "arguments", [[], ["rum"], ["run"], ["run", "study.toml"]], ids=["none", "unknown", "no study", "no out"]
)
def test_wrong_usage_is_exit_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert __version__ in capsys.readouterr().out


def test_help_loads_nothing_heavy():
    code = "import sys; from zoo_geo import cli; cli._parser().format_help(); print(*sys.modules)"
    began = time.perf_counter()
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert time.perf_counter() - began < 2
    assert not {"numpy", "pandas", "geopandas", "numba", "plotly"} & set(loaded)


@pytest.mark.slow
def test_a_terminal_gets_a_bar(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert cli.main(["run", str(study), "-o", str(tmp_path / "out")]) == 0
    assert "1/9" in capsys.readouterr().err.replace("\r", "\n")
