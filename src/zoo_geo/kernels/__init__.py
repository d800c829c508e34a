"""Compiled loops: arrays and scalars in, arrays out; numpy and numba only."""

import logging
import os
import tempfile

from numba.core import config, event
from numba.misc.appdirs import AppDirs

COMPILING = "compiling loops for the first time: this takes about a minute, once"
"""Logged (INFO) when one of our loops was found in no cache, once in a process."""
_log = logging.getLogger("zoo_geo")


class _Compiles(event.Listener):
    """Hears of each loop that numba compiles, because no cache has it, and tells of the first of ours."""

    told = False

    def on_start(self, event: event.Event) -> None:
        """Tell, unless that was done or the loop is another package's."""
        loop = event.data["dispatcher"].py_func.__module__
        if not self.told and loop.startswith(f"{__name__}."):
            self.told = True
            _log.info(COMPILING)

    def on_end(self, event: event.Event) -> None:
        """Say nothing: what follows shows it."""


def find_cache() -> str | None:
    """Let numba keep compiled loops in the temp directory where it has no other place to write.

    It needs the environment or the folder of this package or the cache of the user; in a read-only
    installation under an account without a home it has none of them, and would refuse to compile.

    Returns
    -------
    str or None
        The folder in the temp directory, or None where numba has a place of its own.
    """
    own = os.path.join(os.path.dirname(__file__), "__pycache__")
    usual = AppDirs(appname="numba", appauthor=False).user_cache_dir
    if any(_writable(folder) for folder in (getattr(config, "CACHE_DIR", ""), own, usual) if folder):
        return None
    os.environ["NUMBA_CACHE_DIR"] = folder = _private_folder()
    config.reload_config()
    return folder


def forget_stale() -> list[str]:
    """Drop compiled loops that are older than any source here: numba sees changes of their own file only.

    A loop holds the machine code of those it calls, wherever they are written.

    Returns
    -------
    list of str
        Names of the indexes that were dropped; numba compiles these loops anew when they are called.
    """
    folder, dropped = os.path.dirname(__file__), []
    kept = os.path.join(folder, "__pycache__")
    with os.scandir(folder) as files:
        newest = max((file.stat().st_mtime for file in files if file.name.endswith(".py")), default=0.0)
    for name in os.listdir(kept) if os.path.isdir(kept) else []:
        path = os.path.join(kept, name)
        try:
            if name.endswith(".nbi") and os.path.getmtime(path) < newest:
                os.remove(path)
                dropped.append(name)
        except OSError:  # a read-only folder, or somebody else was faster
            continue
    return dropped


def _writable(folder: str) -> bool:
    """Tell whether numba can write in a folder, by writing as numba does."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _private_folder() -> str:
    """Return a folder that only this user can write in: numba runs the machine code that it finds there."""
    user = getattr(os, "getuid", lambda: "user")()
    folder = os.path.join(tempfile.gettempdir(), f"zoo-geo-numba-{user}")
    try:
        os.mkdir(folder, mode=0o700)
    except FileExistsError:
        found = os.lstat(folder)
        if os.path.islink(folder) or (os.name == "posix" and (found.st_uid != user or found.st_mode & 0o077)):
            return tempfile.mkdtemp(prefix="zoo-geo-numba-")
    return folder


find_cache()
forget_stale()
event.register("numba:compile", _Compiles())
