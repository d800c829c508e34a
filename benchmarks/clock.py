"""Seconds and megabytes of a piece of work."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path


def timed(work: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_of(work: Callable[[], object], runs: int) -> float:
    """Median seconds of several calls, for what is short."""
    return statistics.median(timed(work) for _ in range(runs))


def peak(work: Callable[[], object]) -> float:
    """MB that Python and numpy allocate at their peak in one call; what kernels allocate is not seen."""
    tracemalloc.start()
    work()
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return top / 1e6


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of one call, and MB by which it raises the memory of this process at its peak.

    Whoever allocates it. The mark that the system keeps is set back first, which only Linux allows;
    elsewhere the figure is too low where the process was larger before.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = _high_water()
    seconds = timed(work)
    return seconds, _high_water() - before


def _high_water() -> float:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)
