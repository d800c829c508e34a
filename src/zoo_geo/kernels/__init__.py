"""Compiled loops: arrays and scalars in, arrays out; numpy and numba only."""
