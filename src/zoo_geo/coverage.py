"""Spreads whose distributions hold as many figures in their middle as should lie there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SMALLEST_SPREAD, LARGEST_SPREAD = 1e-5, 50.0


def matched(
    coverage: Callable[[float], float], start: float, largest: float = LARGEST_SPREAD, wanted: float = 0.5
) -> float:
    """Find the spread whose coverage is the wanted one.

    The search walks outward from the start: a spread far too large makes the distribution so skewed
    that the coverage falls again.
    """
    from scipy.optimize import brentq

    step = 4.0 if coverage(start) < wanted else 0.25
    here = start
    while SMALLEST_SPREAD < here < largest:
        there = min(max(here * step, SMALLEST_SPREAD), largest)
        if (coverage(there) < wanted) != (step > 1.0):
            ends = sorted((np.log(here), np.log(there)))
            return float(np.exp(brentq(lambda s: coverage(np.exp(s)) - wanted, *ends, xtol=0.01)))
        here = there
    return here
