"""A folder that only this user can enter, gone after use; and at the next use after a process was killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "zoo-geo-"
_LOCK = "lock"


@contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a new folder for what memory cannot hold, and remove it at the end.

    Folders of processes that are no more are removed first: theirs is not locked any longer. Where there are
    no such locks (Windows), nothing is removed but the own folder.
    """
    for stale in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            _remove_unlocked(stale)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        file = os.open(folder / f"{_LOCK}.new", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            if _locked(file):  # before the lock goes by its name, nobody may find it unlocked
                (folder / f"{_LOCK}.new").rename(folder / _LOCK)
            yield folder
        finally:
            os.close(file)


def _remove_unlocked(folder: Path) -> None:
    """Remove a folder of ours whose lock nobody holds."""
    file = os.open(folder / _LOCK, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        if _locked(file):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(file)


def _locked(file: int) -> bool:
    """Lock an open file, unless another process holds it or there are no locks."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
