"""Mann-Kendall test and Sen's slope of many series: does something rise or fall, and how fast?

Arrays hold one series a row: shape (n_series, n_periods), NaN for what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import factorial

import numpy as np
from scipy import special

EXACT_UNTIL = 20
"""Series of up to so many values have an exact p, ties included; longer ones a normal one."""


@dataclass(frozen=True, eq=False)
class Trends:
    """Trend of each series; arrays of shape (n_series,).

    Parameters
    ----------
    score, variance
        Mann-Kendall S (rising pairs less falling ones), and its variance under ties.
    z
        S with continuity correction in standard deviations.
    greater, less
        One-sided p: of a rise and of a fall.
    periods
        Values in the series.
    """

    score: np.ndarray
    variance: np.ndarray
    z: np.ndarray
    greater: np.ndarray
    less: np.ndarray
    periods: np.ndarray

    def p(self, alternative: str) -> np.ndarray:
        """p of ``two-sided``, ``greater`` or ``less``."""
        if alternative == "two-sided":
            return np.minimum(1.0, 2.0 * np.minimum(self.greater, self.less))
        return self.greater if alternative == "greater" else self.less


def mann_kendall(values: np.ndarray) -> Trends:
    """Test each series for a trend.

    Parameters
    ----------
    values
        Shape (n_series, n_periods), in order of time; NaN values are left out.

    Returns
    -------
    Trends
        p is exact for series of up to 20 values: of all orders of the values, tied ones included
        (inversions of a multiset are counted by the q-multinomial coefficient); beyond that normal with
        continuity correction.

    References
    ----------
    Mann (1945), doi:10.2307/1907187; Kendall (1975) Rank correlation methods, for the variance under ties;
    MacMahon (1913), American Journal of Mathematics 35, 281-322, for the exact counts.

    Examples
    --------
    >>> found = mann_kendall(np.array([[1.0, 2.0, 4.0, 3.0, 5.0]]))
    >>> found.score, found.p("two-sided").round(4)
    (array([8.]), array([0.0833]))
    """
    from zoo_geo.kernels.trends import mann_kendall

    score, variance, periods, ties = mann_kendall(np.ascontiguousarray(values, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(variance > 0, (score - np.sign(score)) / np.sqrt(variance), 0.0)
        up = np.where(variance > 0, (score - 1.0) / np.sqrt(variance), 0.0)
        down = np.where(variance > 0, (score + 1.0) / np.sqrt(variance), 0.0)
    greater, less = special.ndtr(-up), special.ndtr(down)
    short = np.flatnonzero(periods <= EXACT_UNTIL)
    patterns, which = np.unique(ties[short], axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = short[which.ravel() == number]
        at_most = _at_most(tuple(int(size) for size in pattern if size))
        pairs = len(at_most) - 1
        greater[rows] = at_most[((pairs - score[rows]) // 2).astype(int)]
        less[rows] = at_most[((pairs + score[rows]) // 2).astype(int)]
    flat = variance <= 0
    greater[flat] = less[flat] = 1.0
    return Trends(score, variance, z, np.minimum(greater, 1.0), np.minimum(less, 1.0), periods)


@lru_cache(maxsize=4096)
def _at_most(ties: tuple[int, ...]) -> np.ndarray:
    """P(inversions <= k) of a random order of values with groups of equal ones, k from 0 to all pairs."""
    n = sum(ties)
    pairs = (n * (n - 1) - sum(size * (size - 1) for size in ties)) // 2
    ways = [1] + [0] * pairs
    for m in range(1, n + 1):  # times (1 - q^m)
        for k in range(pairs, m - 1, -1):
            ways[k] -= ways[k - m]
    for size in ties:
        for m in range(1, size + 1):  # through (1 - q^m)
            for k in range(m, pairs + 1):
                ways[k] += ways[k - m]
    total = sum(ways)
    return np.array([part / total for part in accumulate(ways)])


def smallest_p(periods: int, alternative: str) -> float:
    """Smallest p that a series of so many different values can have.

    Examples
    --------
    >>> round(smallest_p(5, "two-sided"), 4)
    0.0167
    """
    return min(1.0, (2.0 if alternative == "two-sided" else 1.0) / factorial(max(periods, 0)))


@dataclass(frozen=True, eq=False)
class Slopes:
    """Sen's line of each series; arrays of shape (n_series,).

    ``slope``, ``low`` and ``high`` (95 % interval) are per unit of time; the line runs through the medians
    of time and value. ``autocorrelation`` is that of successive values about it.
    """

    slope: np.ndarray
    low: np.ndarray
    high: np.ndarray
    middle: np.ndarray
    value: np.ndarray
    autocorrelation: np.ndarray

    def at(self, time: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Value of the line of a slope."""
        return self.value + slope * (time - self.middle)


def sen_slopes(values: np.ndarray, times: np.ndarray, variance: np.ndarray) -> Slopes:
    """Fit Sen's line to each series.

    Parameters
    ----------
    values
        Shape (n_series, n_periods); NaN values are left out.
    times
        Time of each period, shape (n_periods,).
    variance
        Variance of each series' Mann-Kendall score, for the interval.

    References
    ----------
    Sen (1968), doi:10.1080/01621459.1968.10480934; Gilbert (1987) Statistical methods for environmental
    pollution monitoring, section 16.5, for the interval.

    Examples
    --------
    >>> sen_slopes(np.array([[1.0, 2.0, 4.0, 4.0]]), np.arange(4.0), np.array([7.67])).slope
    array([1.])
    """
    from zoo_geo.kernels.trends import autocorrelations, sen_slopes

    given = np.ascontiguousarray(values, dtype=float), np.ascontiguousarray(times, dtype=float)
    slope, low, high, middle, value = sen_slopes(*given, variance, float(special.ndtri(0.975))).T
    return Slopes(slope, low, high, middle, value, autocorrelations(*given, slope))
