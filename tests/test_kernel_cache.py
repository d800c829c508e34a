"""Where compiled loops are kept when the package and the home of the user cannot be written to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import zoo_geo
from zoo_geo import kernels

CODE = (
    "import os, zoo_geo; from zoo_geo.kernels.tails import nb_tails; "
    "print(zoo_geo.__file__); print(os.environ.get('NUMBA_CACHE_DIR', ''))"
)


def test_a_read_only_package_without_a_home_still_compiles(tmp_path):
    copy = tmp_path / "zoo_geo"
    shutil.copytree(Path(zoo_geo.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "kernels" / "__pycache__").touch()  # no folder can be made here, whoever runs the test
    (tmp_path / "temp").mkdir()
    nowhere = str(tmp_path / "zoo_geo" / "py.typed" / "below")
    places = {"HOME": nowhere, "XDG_CACHE_HOME": nowhere, "TMPDIR": str(tmp_path / "temp")}
    given = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment = {**given, **places, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    package, cache = done.stdout.splitlines()
    assert package == str(copy / "__init__.py")
    assert Path(cache).parent == tmp_path / "temp"


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No place but the temp directory."""
    monkeypatch.setattr(kernels.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(kernels, "_writable", lambda _: False)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    yield tmp_path
    monkeypatch.undo()
    kernels.config.reload_config()


def test_the_folder_is_used_again_when_it_is_ones_own(nowhere):
    first = kernels.find_cache()
    assert Path(first).parent == nowhere
    assert first == kernels.config.CACHE_DIR
    assert Path(first).stat().st_mode & 0o777 == 0o700
    assert kernels.find_cache() == first


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_a_folder_that_others_can_write_in_is_not_trusted(nowhere):
    first = Path(kernels.find_cache())
    first.chmod(0o777)
    second = Path(kernels.find_cache())
    assert second != first
    assert second.stat().st_mode & 0o777 == 0o700


def test_numba_keeps_its_own_place_where_it_has_one():
    assert kernels.find_cache() is None


def test_compiled_loops_older_than_a_source_are_dropped(tmp_path, monkeypatch):
    """A loop holds the code of those it calls, and numba looks at its own file only."""
    kept = tmp_path / "__pycache__"
    kept.mkdir()
    for name, age in {"a.nbi": 10, "b.nbi": 30, "c.nbc": 30, "a.py": 20}.items():
        path = (kept if name[-2:] != "py" else tmp_path) / name
        path.write_text("")
        os.utime(path, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(kernels, "__file__", str(tmp_path / "__init__.py"))
    assert kernels.forget_stale() == ["b.nbi"]
    assert sorted(each.name for each in kept.iterdir()) == ["a.nbi", "c.nbc"]
    assert kernels.forget_stale() == []


COMPILES = """
import logging
logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
import numpy as np
from zoo_geo.kernels.elementary import normal_below
from zoo_geo.kernels.positions import quantile
quantile(0.3), normal_below(0.3)
"""


@pytest.mark.slow
def test_compiling_is_logged_once_and_not_where_a_cache_has_the_loops(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    def said(code):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == ""
        return done.stderr.splitlines()

    assert said(COMPILES) == [f"zoo_geo INFO {kernels.COMPILING}"]
    assert said(COMPILES) == []
    assert said(COMPILES.replace("INFO", "WARNING")) == []
    shutil.rmtree(tmp_path)
    assert said("\n".join(COMPILES.splitlines()[3:])) == []  # nobody asked: the library prints nothing


@pytest.mark.slow
def test_loops_of_other_packages_are_not_told_of(tmp_path):
    lines = ["import numba, zoo_geo.kernels", "numba.njit(lambda x: x + 1)(1)"]
    code = "\n".join([*COMPILES.splitlines()[1:3], *lines])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
