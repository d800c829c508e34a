"""How the rate and the spread of counts depend on exposure, and how heavy the upper tail of true rates is.

The exposure is often not quite what a figure depends on: visitors commit and suffer crimes too, and where few
people live they are most of those present. Then the ratio of observed to expected counts, and its spread,
depend on the number of residents. The response is estimated in classes of exposure by quantiles, which
outliers hardly move, and taken only where it predicts better than a rate in proportion to exposure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from zoo_geo.predictive import RARE, SMALLEST_SPREAD, Poisson

_CLASSES = np.array([0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
_FEWEST = 60
"""Areas of a class of exposure."""
_MOST = 600
"""Areas of a class that are looked at: more would not change a figure's second digit."""
_MARGIN = 2.0
"""Log likelihood that one more number has to bring."""
_HEAVY = 0.5
"""Part of the spread that belongs to a heavy upper tail in a law that is like a lognormal one."""
_PLACES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9])
"""Edges between which the shape is judged; above the last one planted and true anomalies lie."""


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts of one column that are compared with their expectation; arrays of shape (n,).

    ``error`` is the relative variance of the error of ``mean``; ``usual`` leaves out what is odd.
    """

    observed: np.ndarray
    size: np.ndarray
    mean: np.ndarray
    error: np.ndarray
    usual: np.ndarray


@dataclass(frozen=True, eq=False)
class Hidden:
    """An exposure that nobody counts: visitors, passers-by. Their number is lognormal, one law everywhere.

    Parameters
    ----------
    mean
        Their mean number, in the units of the exposure.
    sigma
        Standard deviation of the log of their number.
    level
        Factor on the rate per unit of exposure, seen and unseen.
    spread
        Variance phi of true rates per unit of exposure, seen and unseen.
    """

    mean: float
    sigma: float
    level: float
    spread: float

    @property
    def typical(self) -> float:
        """Their median number."""
        return self.mean * float(np.exp(-0.5 * self.sigma**2))

    def share(self, size: np.ndarray) -> np.ndarray:
        """Part of the mean exposure that is unseen, of the shape of the sizes."""
        return self.mean / (size + self.mean)

    def at(self, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected count over that of a rate in proportion to exposure, and spread in all."""
        ratio = self.level * (size + self.mean) / np.maximum(size, 1e-12)
        return ratio, self.spread + self.share(size) ** 2 * np.expm1(self.sigma**2)

    def tails(
        self, observed: np.ndarray, size: np.ndarray, mean: np.ndarray, strength: np.ndarray, phi: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log of the smaller mid tail of each count, and whether it is the upper one."""
        from zoo_geo.kernels.tails import nb_hidden_tails

        log_p, upper = np.empty(observed.size), np.empty(observed.size, bool)
        own = np.full(observed.size, self.spread)
        nb_hidden_tails(observed, mean, self.share(size), self.sigma, own, strength, log_p, upper)
        return log_p, upper


@dataclass(frozen=True, eq=False)
class Response:
    """Rate, spread and tail by exposure; arrays of shape (n_classes,).

    Parameters
    ----------
    size
        Middle exposure of each class, in the units of the exposure.
    ratio
        Expected count over that of a rate in proportion to exposure.
    spread
        Variance phi of true rates about their expectation.
    heavy
        Part of ``spread`` that belongs to a heavy upper tail, 0 to 1.
    """

    size: np.ndarray
    ratio: np.ndarray
    spread: np.ndarray
    heavy: np.ndarray

    def at(self, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Expected count over that of a rate in proportion to exposure, and spread in all."""
        spread = np.exp(self._between(size, np.log(self.spread)))
        return np.exp(self._between(size, np.log(self.ratio))), np.maximum(spread, SMALLEST_SPREAD)

    def tails(
        self, observed: np.ndarray, size: np.ndarray, mean: np.ndarray, strength: np.ndarray, phi: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log of the smaller mid tail of each count, and whether it is the upper one.

        The heavy part of the spread joins the error of the mean, whose inverse is a gamma variable.
        """
        heavy = self._between(size, self.heavy)
        own = np.maximum((1.0 - heavy) * phi, SMALLEST_SPREAD)
        return Poisson().tails(
            observed, mean, np.ones_like(mean), 1.0 / (1.0 / strength + heavy * phi), own, np.inf
        )

    def _between(self, size: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.interp(np.log(np.maximum(size, 1e-12)), np.log(self.size), values)


Law = Response | Hidden
"""What a column of counts does where it is not simply in proportion to exposure."""


class Classes:
    """Classes of exposure, smallest first; those of the last sizes are kept, as many columns share them."""

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, np.ndarray | None, Layers] | None = None

    def of(self, size: np.ndarray, known: np.ndarray | None = None) -> Layers:
        """Rows of each class of exposure, of areas that are known where that is said, shape (n,)."""
        last = self._last
        if last is None or not (_same(last[0], size) and _same(last[1], known)):
            last = self._last = size, known, layers(size, known)
        return last[2]


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None or one is other:
        return one is other
    from zoo_geo.kernels.ranks import equal

    return bool(equal(np.ascontiguousarray(one), np.ascontiguousarray(other)))


@dataclass(frozen=True, eq=False)
class Layers:
    """Rows by exposure.

    ``size`` is the exposure of all areas, ``known`` are those with a figure and an expectation, ``each`` as
    many of every class as are looked at.
    """

    size: np.ndarray
    known: np.ndarray
    each: list[np.ndarray]

    @cached_property
    def whole(self) -> Layers:
        """Return the same without classes: nothing depends on exposure."""
        return Layers(self.size, self.known, [])

    @cached_property
    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of all classes, one class after the other, and where each ends."""
        return _joined(self.each)

    @cached_property
    def few(self) -> tuple[np.ndarray, np.ndarray]:
        """As ``joined``, as many of each class as a hidden exposure is fitted to."""
        return _joined([_some(rows, _FEW) for rows in self.each])

    @cached_property
    def many(self) -> np.ndarray:
        """Rows that a tail without classes is judged by."""
        return _some(self.known, 10 * _MOST)

    @cached_property
    def middle(self) -> np.ndarray:
        """Middle exposure of each class."""
        return np.array([np.median(self.size[rows]) for rows in self.each])

    @cached_property
    def typical(self) -> np.ndarray:
        """Middle exposure of all areas, shape (1,)."""
        return np.array([np.median(self.size[self.known])])


def _joined(each: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of some classes one after the other, and where each class ends."""
    return np.concatenate(each), np.cumsum([rows.size for rows in each])


def layers(size: np.ndarray, known: np.ndarray | None = None) -> Layers:
    """Cut rows into classes of exposure."""
    rows = np.arange(size.size) if known is None else np.flatnonzero(known)
    return Layers(size, rows, [_some(rows[few]) for few in _classes(size[rows])] if rows.size else [])


def respond(
    counts: Counts,
    phi: np.ndarray,
    classes: Layers | None = None,
    heavy: bool = True,
    before: Law | None = None,
) -> Law | None:
    """Estimate the response of one column, or None where a common spread in proportion predicts as well.

    Parameters
    ----------
    counts
        Of all areas, with means in proportion to exposure; the shape of the tail is judged with the odd ones,
        as without them it would be cut off.
    phi
        Spread to begin with, shape (n,).
    classes
        Rows of each class of exposure; none where nothing depends on exposure. By default those of all rows.
    heavy
        Whether to look for a heavy upper tail.
    before
        What was found before: a response to exposure is estimated anew, without asking if that is better.
    """
    classes = layers(counts.size) if classes is None else classes
    settled = before is not None and (isinstance(before, Hidden) or before.size.size > 1)
    if settled or len(classes.each) > 1:
        common = np.array(_middle(phi, classes.each))
        if settled or _any_unusual(counts, common, classes):
            law = _by_exposure(counts, common, classes, heavy, before if settled else None)
            if law is not None:
                return law
        if not settled and _crowded(counts, classes):
            law = _beyond(counts, common, classes)
            if law is not None:
                return law
    if not heavy:
        return None
    _, *found = _tail(counts, classes.many, 0.0, _middle(phi, [classes.known])[0])
    if found[1] == 0.0:
        return None
    return Response(classes.typical, np.ones(1), *(np.array([value]) for value in found))


def _middle(phi: np.ndarray, each: list[np.ndarray]) -> list[float]:
    """Middle spread of some rows each time."""
    from zoo_geo.kernels.ranks import constant

    if constant(np.ascontiguousarray(phi)):
        return [float(phi[0])] * len(each)
    return [float(np.median(phi[rows])) for rows in each]


def _by_exposure(
    counts: Counts, phi: np.ndarray, classes: Layers, heavy: bool, before: Law | None
) -> Law | None:
    """Law by exposure, or None where it brings less than its numbers cost and none was found before."""
    from zoo_geo.kernels.responses import fit_classes

    if isinstance(before, Hidden):
        return hide(counts, classes, before)[0]
    column = counts.observed, counts.mean, counts.error, counts.usual
    shift, spread, gain = fit_classes(*column, *classes.joined, phi, RARE, _LARGEST_RARE)
    if before is not None:
        return _smooth(counts, classes, shift, spread, heavy)
    enough = gain.sum() > 2 * _MARGIN * gain.size
    return _simpler(counts, classes, shift, spread, heavy) if enough else None


_LARGEST_RARE = 5.0
"""Spread at most of counts that mostly are 0."""


def _any_unusual(counts: Counts, phi: np.ndarray, classes: Layers) -> bool:
    """Say whether a class lies off the common middle or spread by more than chance."""
    from zoo_geo.kernels.responses import off_middle

    column = counts.observed, counts.mean, counts.error, counts.usual
    return bool((off_middle(*column, *classes.joined, phi) > _UNUSUAL).any())


_UNUSUAL = 14.0


def _crowded(counts: Counts, classes: Layers) -> bool:
    """Say whether far more areas of a class of rare counts are high and odd than in the larger classes."""
    rows, ends = classes.joined
    odd = ~counts.usual[rows] & (counts.observed[rows] > counts.mean[rows])
    number, half = _per_class(odd, ends), ends.size // 2
    areas = np.diff(ends, prepend=0)
    part, rare = number / areas, 2 * _per_class(counts.mean[rows] < _FEW_EXPECTED, ends) > areas
    usual = max(_CROWDED, _TIMES * part[half:].mean())
    return bool((rare & (number >= _CROWD) & (part > usual))[:half].any())


def _per_class(which: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Count rows of each class."""
    return np.add.reduceat(which, np.concatenate([[0], ends[:-1]]), dtype=np.int64)


_CROWD, _CROWDED, _TIMES = 5, 0.03, 2.0
"""High and odd areas that are a crowd: how many, their part of a class, and times that of larger classes."""
_FEW_EXPECTED = 1.5
"""Mean count below which the middle of a class tells nothing of visitors, so that a crowd has to."""


def _beyond(counts: Counts, phi: np.ndarray, classes: Layers) -> Law | None:
    """Take a hidden exposure where its shape is better than that of a common spread in proportion."""
    from zoo_geo.kernels.responses import lacks

    column, shift = (counts.observed, counts.mean, counts.error), np.zeros(phi.size)
    common = lacks(*column, *classes.few, shift, phi, _CELLS, special.ndtri(_CELLS))
    start = Hidden(0.5 * float(classes.middle[0]), 1.0, 1.0, min(max(float(phi[-1]), 1e-3), 1.0))
    hidden, lack = hide(counts, classes, start)
    return hidden if lack + 3 * _MARGIN < common else None


def _simpler(counts: Counts, classes: Layers, shift: np.ndarray, phi: np.ndarray, heavy: bool) -> Law:
    """Take a hidden exposure, four numbers, where its shape is no worse than two numbers for each class."""
    from zoo_geo.kernels.responses import lacks

    column = counts.observed, counts.mean, counts.error
    by_class = lacks(*column, *classes.few, shift, phi, _CELLS, special.ndtri(_CELLS))
    extra = max(float(np.exp(shift[0] - shift[-1])) - 1.0, 0.1) * float(classes.middle[0])
    start = Hidden(extra, 1.0, float(np.exp(shift[-1])), min(max(float(phi[-1]), 1e-3), 1.0))
    hidden, lack = hide(counts, classes, start)
    better = lack + 4 < by_class + 2 * phi.size
    return hidden if better else _smooth(counts, classes, shift, phi, heavy)


def _classes(size: np.ndarray) -> list[np.ndarray]:
    """Rows of each class of exposure, smallest first; classes with few areas join the next one."""
    edges = np.quantile(size, _CLASSES)
    at = np.searchsorted(edges[1:-1], size, side="left")
    order = np.argsort(at, kind="stable")
    ends = np.cumsum(np.bincount(at, minlength=_CLASSES.size - 1))
    found, start = [], 0
    for end in ends:
        if (end - start >= _FEWEST and size.size - end >= _FEWEST) or end == size.size:
            found.append(order[start:end])
            start = end
    return [rows for rows in found if rows.size]


def _some(rows: np.ndarray, most: int = _MOST) -> np.ndarray:
    """Evenly spaced rows, where there are more than enough."""
    return rows if rows.size <= most else rows[np.arange(most) * rows.size // most]


_FEW = 220
_CELLS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


def hide(counts: Counts, classes: Layers, start: Hidden, most: int = 12) -> tuple[Hidden, float]:
    """Fit a hidden exposure to classes of exposure, and what its shape lacks in log likelihood.

    The middle of the small classes gives its middle, their width its width, and the large classes level and
    spread; how far the upper tenth of each class lies out, where anomalies are, says nothing. The shares of
    each class between places are to be as they should be, by least squares in units of their standard errors.
    """
    from scipy.optimize import least_squares

    from zoo_geo.kernels.responses import by_count, hidden_departures

    rows, ends = classes.few
    column = [each[rows] for each in (counts.observed, counts.size, counts.mean, counts.error)]
    order = by_count(column[0])
    last = [np.empty(0)] * 2

    def misses(x: np.ndarray) -> np.ndarray:
        each = np.empty((len(classes.each), _CELLS.size + 1))
        given: tuple[Any, ...] = (*column, order, ends, *np.exp(x).tolist(), _CELLS, each)
        hidden_departures(*given)
        last[:] = x.copy(), np.append(each, x[1] / _USUAL_WIDTH)
        return last[1]

    def slopes(x: np.ndarray) -> np.ndarray:
        here = last[1] if np.array_equal(last[0], x) else misses(x)
        ends = x + np.where(x + _STEPS > high, -_STEPS, _STEPS)
        moved = [np.where(np.arange(x.size) == k, ends, x) for k in range(x.size)]
        return np.column_stack([(misses(at) - here) / (ends - x)[k] for k, at in enumerate(moved)])

    low, high = _HIDDEN_BOUNDS
    begin = np.clip(np.log([start.mean, start.sigma, start.level, start.spread]), low + 1e-6, high - 1e-6)
    settings = {"xtol": 3e-3, "ftol": 1e-3, "gtol": 1e-3, "max_nfev": most}
    found = least_squares(misses, begin, slopes, bounds=(low, high), x_scale=_STEPS, **settings)
    return Hidden(*np.exp(found.x).tolist()), float(found.cost)


_USUAL_WIDTH = 0.25
"""Standard deviation of a weak prior on the log of ``sigma``, about 0: classes hardly tell 1.5 from 2."""
_STEPS = np.array([0.15, 0.1, 0.03, 0.1])
"""Over how much of the log of each number slopes are taken."""
_HIDDEN_BOUNDS = (np.log([1e-3, 0.1, 0.05, 1e-5]), np.log([1e9, 3.0, 20.0, 20.0]))


def _tail(counts: Counts, rows: np.ndarray, shift: float, phi: float) -> tuple[float, float, float]:
    """Log of the ratio, spread and heavy part of the laws whose shape is like that of some of the counts.

    The heavy part is the mean over a gamma law and one like a lognormal law, each weighted by its likelihood;
    only the shape below the upper tenth counts, and the gamma law has the benefit of the doubt.
    """
    from zoo_geo.kernels.responses import tail

    column = counts.observed, counts.mean, counts.error, rows, 4 * _MOST
    rare = RARE, _LARGEST_RARE
    return tail(*column, shift, phi, _PLACES, special.ndtri(_PLACES), *rare, _DOUBT, _HEAVY, _LEAST_HEAVY)


_DOUBT, _LEAST_HEAVY = 3.0, 0.1


def _smooth(counts: Counts, classes: Layers, shift: np.ndarray, phi: np.ndarray, heavy: bool) -> Response:
    """Put the classes together."""
    whole = np.stack([shift, phi, np.zeros(phi.size)], axis=1)
    if heavy:
        fits = zip(classes.each, shift.tolist(), phi.tolist(), strict=True)
        whole = np.array([_tail(counts, *fit) for fit in fits])
    return Response(classes.middle, np.exp(whole[:, 0]), whole[:, 1], whole[:, 2])
