"""How the rate and the spread of counts depend on exposure, and how heavy the upper tail of true rates is.

The exposure is often not quite what a figure depends on: visitors commit and suffer crimes too, and where few
people live they are most of those present. Then the ratio of observed to expected counts, and its spread,
depend on the number of residents. The response is estimated in classes of exposure by quantiles, which
outliers hardly move, and taken only where it predicts better than a rate in proportion to exposure.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

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

    def at(self, rows: np.ndarray) -> Counts:
        """Return some of the rows."""
        return Counts(*(getattr(self, field.name)[rows] for field in fields(self)))

    def calm(self) -> Counts:
        """Return the rows that are not odd."""
        return self.at(np.flatnonzero(self.usual))

    def moved(self, shift: float) -> Counts:
        """Return the same with other means."""
        return replace(self, mean=self.mean * np.exp(shift))


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
        same = last is not None and np.array_equal(last[0], size)
        if last is None or not same or not _same(last[1], known):
            last = self._last = size, known, layers(size, known)
        return last[2]


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


@dataclass(frozen=True, eq=False)
class Layers:
    """Rows by exposure.

    ``known`` are those with a figure and an expectation, ``each`` as many of every class as are looked at,
    ``joined`` these one after the other.
    """

    known: np.ndarray
    each: list[np.ndarray]
    joined: np.ndarray

    def none(self) -> Layers:
        """Return the same without classes: nothing depends on exposure."""
        return Layers(self.known, [], self.joined[:0])


def layers(size: np.ndarray, known: np.ndarray | None = None) -> Layers:
    """Cut rows into classes of exposure."""
    rows = np.arange(size.size) if known is None else np.flatnonzero(known)
    each = [_some(rows[few]) for few in _classes(size[rows])] if rows.size else []
    return Layers(rows, each, np.concatenate(each) if each else rows)


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
    if settled or (len(classes.each) > 1 and _any_unusual(counts, phi, classes)):
        law = _by_exposure(counts, phi, classes.each, heavy, before if settled else None)
        if law is not None:
            return law
    if not heavy:
        return None
    rows = classes.known
    tail = _tail(counts.at(_some(rows, 10 * _MOST)), 0.0, float(np.median(phi[rows])))
    if tail[2] == 0.0:
        return None
    return Response(
        np.array([np.median(counts.size[rows])]), *(np.array([value]) for value in (1.0, *tail[1:]))
    )


def _by_exposure(
    counts: Counts, phi: np.ndarray, classes: list[np.ndarray], heavy: bool, before: Law | None
) -> Law | None:
    """Law by exposure, or None where it brings less than its numbers cost and none was found before."""
    parts = [counts.at(rows) for rows in classes]
    if isinstance(before, Hidden):
        return hide(parts, before)[0]
    calm = [(part.calm(), float(np.median(phi[rows]))) for part, rows in zip(parts, classes, strict=True)]
    found = [_fit(*part) for part in calm]
    if before is not None:
        return _smooth(parts, found, heavy)
    gain = sum(_gain(*part, *fit) for part, fit in zip(calm, found, strict=True))
    return _simpler(parts, found, heavy) if gain > 2 * _MARGIN * len(parts) else None


def _any_unusual(counts: Counts, phi: np.ndarray, classes: Layers) -> bool:
    """Say whether a class lies off the common middle or spread by more than chance."""
    from zoo_geo.kernels.positions import off_middle

    parts = classes.each
    each = [np.median(phi[rows]) for rows in parts] if np.ptp(phi) > 0 else [phi[0]] * len(parts)
    ends = np.cumsum([rows.size for rows in parts])
    column = counts.observed, counts.mean, counts.error, counts.usual
    return bool((off_middle(*column, classes.joined, ends, np.array(each)) > _UNUSUAL).any())


_UNUSUAL = 14.0


def _simpler(parts: list[Counts], found: list[tuple[float, float]], heavy: bool) -> Law:
    """Take a hidden exposure, four numbers, where its shape is no worse than two numbers for each class."""
    few = [part.at(_some(np.arange(part.size.size), _FEW)) for part in parts]  # those that `hide` looks at
    by_class = sum(
        _lack(*_shares(part.moved(shift), phi, 0.0, _CELLS), _CELLS)
        for part, (shift, phi) in zip(few, found, strict=True)
    )
    extra = max(float(np.exp(found[0][0] - found[-1][0])) - 1.0, 0.1) * float(np.median(parts[0].size))
    start = Hidden(extra, 1.0, float(np.exp(found[-1][0])), min(max(found[-1][1], 1e-3), 1.0))
    hidden, lack = hide(parts, start)
    return hidden if lack + 4 < by_class + 2 * len(parts) else _smooth(parts, found, heavy)


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


def _weight(counts: Counts, phi: float) -> np.ndarray:
    """How much each count tells about spread: the part of its variance that is not chance."""
    spread = counts.mean * (phi + counts.error)
    return spread / (1.0 + spread) + 1e-6


def _shares(counts: Counts, phi: float, heavy: float, places: np.ndarray) -> tuple[np.ndarray, float]:
    """Weighted shares of counts below places of their distributions, and how many counts they are worth."""
    from zoo_geo.kernels import positions

    weight, found = _weight(counts, phi), np.empty(places.size)
    given = counts.observed, counts.mean, phi, heavy, counts.error, weight
    return found, positions.shares(*given, places, special.ndtri(places), found)


def _fit(counts: Counts, phi: float, heavy: float = 0.0, shift: float = 0.0) -> tuple[float, float]:
    """Log of the ratio and spread that put the counts' middle and central half where they should be."""
    from zoo_geo.kernels.settling import settle_middle

    if np.median(counts.mean) < RARE:
        return _fit_rare(counts)
    shift, log_phi = settle_middle(counts.observed, counts.mean, counts.error, phi, heavy, shift)
    return shift, float(np.exp(log_phi))


def _fit_rare(counts: Counts) -> tuple[float, float]:
    """As `_fit`, where most counts are 0 and the central half says nothing: by sums and likelihood."""
    shift = float(np.log(max(counts.observed.sum(), 0.5) / counts.mean.sum()))
    mean = counts.mean * np.exp(shift)
    return shift, Poisson().likeliest(counts.observed, mean, np.ones_like(mean), counts.error, 5.0)


def _gain(counts: Counts, common: float, shift: float, phi: float) -> float:
    """Log likelihood that an own ratio and spread bring."""
    from zoo_geo.kernels.likelihood import nb_log_likelihood

    before, after = np.empty_like(counts.mean), np.empty_like(counts.mean)
    nb_log_likelihood(counts.observed, counts.mean, common + counts.error, before)
    nb_log_likelihood(counts.observed, counts.mean * np.exp(shift), phi + counts.error, after)
    return float(after.sum() - before.sum())


_FEW = 220
_CELLS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


def _departures(shares: np.ndarray, worth: float, places: np.ndarray) -> np.ndarray:
    """Signed deviance residuals of the shares between places; half their squares are what the fit lacks.

    What lies above the last place is one cell; a few areas in a thousand may lie there for nothing, as
    anomalies.
    """
    seen, usual = (np.diff(np.concatenate([[0.0], at, [1.0]])) for at in (shares, places))
    seen[-1] -= min(max(seen[-1] - usual[-1], 0.0), _ANOMALIES)
    seen /= seen.sum()
    lack = seen * np.log(np.maximum(seen, 1e-9) / usual) - seen + usual
    return np.sign(seen - usual) * np.sqrt(2.0 * worth * np.maximum(lack, 0.0))


def _lack(shares: np.ndarray, worth: float, places: np.ndarray) -> float:
    """Log likelihood that the shares between places lack."""
    return 0.5 * float(np.sum(_departures(shares, worth, places) ** 2))


_ANOMALIES = 0.003


def hide(parts: list[Counts], start: Hidden, most: int = 12) -> tuple[Hidden, float]:
    """Fit a hidden exposure to classes of exposure, and what its shape lacks in log likelihood.

    The middle of the small classes gives its middle, their width its width, and the large classes level and
    spread; how far the upper tenth of each class lies out, where anomalies are, says nothing. The shares of
    each class between places are to be as they should be, by least squares in units of their standard errors.
    """
    from scipy.optimize import least_squares

    few = [part.at(_some(np.arange(part.size.size), _FEW)) for part in parts]

    def misses(x: np.ndarray) -> np.ndarray:
        law = Hidden(*np.exp(x).tolist())
        each = [_departures(*_hidden_shares(part, law), _CELLS) for part in few]
        return np.concatenate([*each, [x[1] / _USUAL_WIDTH]])

    def slopes(x: np.ndarray) -> np.ndarray:
        here, ends = misses(x), x + np.where(x + _STEPS > high, -_STEPS, _STEPS)
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


def _hidden_shares(part: Counts, law: Hidden) -> tuple[np.ndarray, float]:
    """Weighted shares of counts below the places of their distributions, and how many they are worth."""
    from zoo_geo.kernels.positions import hidden_shares

    share, shares = law.share(part.size), np.empty(_CELLS.size)
    mean = part.mean * law.at(part.size)[0]
    spread = mean * (law.spread + part.error + share**2 * law.sigma**2)
    weight = spread / (1.0 + spread) + 1e-6
    given = part.observed, mean, share, law.sigma, law.spread, part.error, weight
    return shares, hidden_shares(*given, _CELLS, shares)


_HIDDEN_BOUNDS = (np.log([1e-3, 0.1, 0.05, 1e-5]), np.log([1e9, 3.0, 20.0, 20.0]))


def _tail(counts: Counts, shift: float, phi: float) -> tuple[float, float, float]:
    """Log of the ratio, spread and heavy part of the laws whose shape is like that of the counts.

    The heavy part is the mean over a gamma law and one like a lognormal law, each weighted by its likelihood;
    only the shape below the upper tenth counts, and the gamma law has the benefit of the doubt.
    """
    if _likeness(counts, shift, phi, 0.0) > -_DOUBT:
        return shift, phi, 0.0
    few = counts.at(_some(np.arange(counts.mean.size), 4 * _MOST))
    light = _fit(few, phi, 0.0, shift)
    lack = _likeness(counts, *light, 0.0)
    if lack > -_DOUBT:
        return *light, 0.0
    heavy = _fit(few, light[1], _HEAVY, light[0])
    part = float(special.expit(_likeness(counts, *heavy, _HEAVY) - lack - _DOUBT))
    if part * _HEAVY < _LEAST_HEAVY:
        return *light, 0.0
    between = part * np.array([heavy[0], np.log(heavy[1])]) + (1.0 - part) * np.array(
        [light[0], np.log(light[1])]
    )
    return float(between[0]), float(np.exp(between[1])), part * _HEAVY


_DOUBT, _LEAST_HEAVY = 3.0, 0.1


def _likeness(counts: Counts, shift: float, phi: float, heavy: float) -> float:
    """Log likelihood of the shape below the upper tenth."""
    shares, worth = _shares(counts.moved(shift), phi, heavy, _PLACES)
    seen = np.diff(np.concatenate([[0.0], shares])) / max(shares[-1], 1e-9)
    usual = np.diff(np.concatenate([[0.0], _PLACES])) / _PLACES[-1]
    return -worth * shares[-1] * float(np.sum(seen * np.log(np.maximum(seen, 1e-9) / usual)))


def _smooth(parts: list[Counts], found: list[tuple[float, float]], heavy: bool) -> Response:
    """Put the classes together."""
    whole = [_tail(part, *fit) if heavy else (*fit, 0.0) for part, fit in zip(parts, found, strict=True)]
    shift, spread, tail = (np.array(column) for column in zip(*whole, strict=True))
    size = np.array([np.median(part.size) for part in parts])
    return Response(size, np.exp(shift), spread, tail)
