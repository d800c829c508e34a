"""The folder of results: whole or as it was before, and nobody else's files harmed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from zoo_geo._version import __version__
from zoo_geo.errors import InputError, examples

MARK = "internal"
"""Stands in every file name until disclosure control exists."""

MANIFEST = f"manifest_{MARK}.json"
"""Lists the files of a run; only a folder that has one is written over."""


def marked(stem: str, suffix: str) -> str:
    """Return the name of a result file, such as ``flags_internal.csv``."""
    return f"{stem}_{MARK}{suffix}"


@contextmanager
def results_folder(out: str | Path) -> Iterator[Path]:
    """Give an empty folder to write in, whose files become the results when the block ends well.

    Until then, and after any error or interrupt, `out` is as it was. Files of an earlier run are
    replaced, and removed where the new run has none of that name; all other files stay.

    Parameters
    ----------
    out
        Where the results go; made where it is missing.

    Raises
    ------
    InputError
        `out` cannot be written to, or holds files named like results that no manifest vouches for.
    """
    check_named(out, "out")
    with refusing(out, "out"):
        out = Path(out).resolve()
        _check(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        # An existing folder may be a mount of its own, and files are moved only within one file system.
        home = out if out.is_dir() else out.parent
        scratch = TemporaryDirectory(prefix=f".{out.name}-", dir=home, ignore_cleanup_errors=True)
    with scratch:
        draft = Path(scratch.name) / "results"
        draft.mkdir()
        yield draft
        _write_manifest(draft)
        with _uninterrupted():
            _install(draft, out)


def check_named(folder: str | Path, what: str) -> None:
    """Raise when the name of a folder to write in is empty, which would mean the working directory."""
    if not str(folder).strip():
        raise InputError(f"{what} needs to be the name of a folder; got an empty text.")


@contextmanager
def refusing(folder: str | Path, what: str) -> Iterator[None]:
    """Turn errors of the system while a place to write is made into an InputError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{what} needs to be a folder that can be written to; got {folder} ({reason})."
        ) from None


def _check(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"out needs to be a folder; got a file: {out}.")
    if not out.is_dir() or (out / MANIFEST).is_file():
        return
    alike = sorted(path.name for path in out.iterdir() if f"_{MARK}." in path.name)
    if alike:
        raise InputError(
            f"out needs to be a new folder or one that a run made; got {out}, which holds files named like "
            f"results but no {MANIFEST} ({examples(alike)}). Move them away or name another folder."
        )


def _write_manifest(folder: Path) -> None:
    files = {path.name: _entry(path) for path in sorted(folder.iterdir())}
    text = json.dumps({"zoo_geo": __version__, "files": files}, indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8", newline="\n")


def _entry(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _install(draft: Path, out: Path) -> None:
    if not out.exists():
        draft.rename(out)
        return
    stale = _listed(out) - {path.name for path in draft.iterdir()}
    for path in sorted(draft.iterdir(), key=lambda path: path.name == MANIFEST):
        path.replace(out / path.name)
    for name in stale:
        (out / name).unlink(missing_ok=True)


def _listed(out: Path) -> set[str]:
    """Return the files of the run before; nothing where the manifest is not readable."""
    try:
        names = json.loads((out / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if f"_{MARK}." in name and os.path.basename(name) == name}


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let an interrupt wait that comes while files change places."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
