"""Random numbers that come out the same on every machine and every version of NumPy."""

from __future__ import annotations

from zlib import crc32

import numpy as np
from scipy import special


class Draws:
    """Named streams of uniform numbers; everything else is an inverse distribution function of them.

    NumPy promises the bits of PCG64 for good, but not the algorithms of its distributions. A stream
    per name keeps every figure where it is when another one is added.

    Parameters
    ----------
    seed
        Any whole number from 0.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def stream(self, name: str) -> np.random.Generator:
        """Return a fresh generator for one purpose; to be asked for uniform numbers only."""
        return np.random.Generator(np.random.PCG64([self._seed, crc32(name.encode())]))

    def uniform(self, name: str, *shape: int) -> np.ndarray:
        """Draw uniform numbers in (0, 1)."""
        return np.maximum(self.stream(name).random(shape), 2.0**-54)

    def normal(self, name: str, *shape: int) -> np.ndarray:
        """Draw standard normal numbers, rounded so that a library's last bit cannot matter."""
        return np.round(special.ndtri(self.uniform(name, *shape)), 9)

    def order(self, name: str, n: int) -> np.ndarray:
        """Draw an order of ``n`` things, shape ``(n,)``."""
        return np.argsort(self.uniform(name, n), kind="stable")

    def persistent(self, name: str, shape: tuple[int, int], memory: float) -> np.ndarray:
        """Draw standard normal series that remember the year before, shape ``(n, years)``."""
        series = self.normal(name, *shape)
        for year in range(1, shape[1]):
            series[:, year] = memory * series[:, year - 1] + np.sqrt(1 - memory**2) * series[:, year]
        return np.round(series, 9)
