"""Peers to compare with."""

import pytest


def import_esda():
    """PySAL esda with its kernels as plain Python: compiling them takes half a minute in every session."""
    config = pytest.importorskip("numba.core.config")
    before = config.DISABLE_JIT
    config.DISABLE_JIT = 1
    try:
        esda = pytest.importorskip("esda")
    finally:
        config.DISABLE_JIT = before
    if not hasattr(esda.crand.vec_permutations, "py_func"):
        esda.crand.boolean = bool  # what was a type of the compiler
    return esda
