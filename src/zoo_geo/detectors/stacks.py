"""What a scan looks through: counts, what was expected of them, and how much they vary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from zoo_geo import expectation as ex
from zoo_geo.detectors import over_time
from zoo_geo.detectors.base import Detection
from zoo_geo.detectors.clusters import WIDE, Found, Stack, restless
from zoo_geo.detectors.inputs import NOT_TESTED, OK, Inputs, column_status
from zoo_geo.errors import InputError, examples
from zoo_geo.notices import Notice, count, figure, which
from zoo_geo.predictive import FAMILIES
from zoo_geo.scanning import Counts, counts, monte_carlo_p, spread_error

Time = Literal["each", "pooled", "retrospective", "prospective"]
Dispersion = Literal["auto", "estimate", "none"]
CYLINDERS = ("retrospective", "prospective")
"""Times in which clusters have periods of their own."""
_FEWEST = 50


@dataclass(frozen=True, eq=False)
class Intake:
    """All that is looked through, and what the reader has to know of it."""

    inputs: Inputs
    status: np.ndarray
    stacks: tuple[Stack, ...]
    reference: str
    notices: tuple[Notice, ...]


def intake(inputs: Inputs, what: str, time: Time, dispersion: Dispersion, *, by_period: bool) -> Intake:
    """Bring counts and expectation together, for a scan that is called ``what``.

    Columns of values are not tested; neither are periods before an area's boundary changed, where periods are
    looked through together. With ``by_period`` cylinders without an expectation are compared with the overall
    rate of each period.

    Raises
    ------
    InputError
        The expectation does not fit the panel.
    """
    status, expected = column_status(inputs), inputs.expectation
    notices = [*_values(inputs, status), *_broken(inputs, status, what, time)]
    by_period = by_period and expected is None and time in CYLINDERS
    if expected is None:
        reference, given, spread = "national", None, _estimated(inputs, status, time, by_period)
    else:
        reference, (given, spread) = expected.reference, _aligned(expected, inputs, status)
        notices += _from_neighbours(reference)
    plain = dispersion == "none" or (dispersion == "auto" and expected is None)
    stacks = tuple(
        _stack(inputs, status, columns, given, spread, plain, by_period) for columns in stacked(inputs, time)
    )
    notices += _holes(inputs, status, what, time)
    return Intake(inputs, status, stacks, reference, tuple(notices))


def _values(inputs: Inputs, status: np.ndarray) -> list[Notice]:
    """Take values out, and say so."""
    of_values = inputs.is_value()
    if not of_values.any():
        return []
    status[:, of_values] = np.where(status[:, of_values] == OK, NOT_TESTED, status[:, of_values])
    named = [i.id for i in inputs.indicators if i.family == "gaussian"]
    en, nl = (tell(named, len(inputs.indicators)) for tell in (examples, which))
    return [
        Notice(
            f"Values (gaussian) are not scanned for clusters: {en}.",
            f"In waarden (gaussian) worden geen groepen gezocht: {nl}.",
        )
    ]


def _broken(inputs: Inputs, status: np.ndarray, what: str, time: Time) -> list[Notice]:
    """Take periods out that an area had another boundary in, where periods are looked through together."""
    if time == "each":
        return []
    segment = over_time.segments(inputs)
    before = np.tile(segment < segment[:, -1:], len(inputs.indicators))
    status[:] = np.where(before & (status == OK), NOT_TESTED, status)
    return over_time.broken(inputs, what)


def _from_neighbours(reference: str) -> list[Notice]:
    if reference != "neighbours":
        return []
    return [
        Notice(
            "Expected counts from the neighbours are partly made of the cluster itself: wider clusters than "
            "those surroundings can go unseen. parent:LEVEL, national, stratum:FEATURE and model hardly have "
            "that limit, and leave more of a trend in.",
            "Verwachte aantallen van de buren komen deels van de groep zelf: groepen die wijder zijn dan die "
            "omgeving kunnen onopgemerkt blijven. parent:NIVEAU, national, stratum:KENMERK en model hebben "
            "daar nauwelijks last van, maar laten meer verloop over de kaart staan.",
        )
    ]


def stacked(inputs: Inputs, time: Time) -> list[np.ndarray]:
    """Columns that are looked through together, values left out."""
    counted = np.flatnonzero(~inputs.is_value())
    if time == "each":
        return [np.array([c]) for c in counted]
    names = [inputs.columns[c][0].id for c in counted]
    return [counted[[name == each for name in names]] for each in dict.fromkeys(names)]


def _stack(
    inputs: Inputs,
    status: np.ndarray,
    columns: np.ndarray,
    given: np.ndarray | None,
    spread: np.ndarray,
    plain: bool,
    by_period: bool,
) -> Stack:
    known = status[:, columns] == OK
    rows = np.flatnonzero(known.any(axis=1))
    known = known[rows]

    def part(array: np.ndarray) -> np.ndarray:
        return np.where(known, array[np.ix_(rows, columns)], 0.0)

    family = inputs.columns[columns[0]][0].family
    observed, size, varies = part(inputs.observed), part(inputs.exposure), part(spread)
    expected, chance = None if given is None else part(given), None if plain else varies
    due = size * (observed.sum() / max(size.sum(), 1e-300)) if expected is None else expected
    most = varies.max(axis=1, initial=0.0)
    doubt = 0.0 if plain else spread_error(family, due.sum(axis=1), size.sum(axis=1), most)
    counted = counts(family, observed, size, expected, chance, by_period=by_period, doubt=doubt)
    over = _overdispersion(counted, varies) if plain and given is None else np.nan
    return Stack(columns, rows, counted, varies, over)


def _overdispersion(counted: Counts, spread: np.ndarray) -> float:
    """Variance of a typical area's total over what chance gives, NaN where areas are few."""
    if len(spread) < _FEWEST or not counted.total > 0:
        return np.nan
    size = counted.size.sum(axis=1) - 1.0 if counted.family == "binomial" else counted.expected.sum(axis=1)
    return 1.0 + float(spread.max()) * float(np.median(size))


def _aligned(expected: Detection, inputs: Inputs, status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected counts and spread on the cells of the panel; cells without any lose their status ok."""
    frame = expected.frame
    known = {(str(i.id), str(p)): c for c, (i, p) in enumerate(inputs.columns)}
    column = pd.Series(list(zip(frame["indicator"].astype(str), frame["period"].astype(str), strict=True)))
    place = column.map(known)
    counted = [f"{i.id} {p}" for i, p in inputs.columns if i.family != "gaussian"]
    lacking = [
        f"{i} {p}" for (i, p), c in known.items() if not (place == c).any() and not inputs.is_value()[c]
    ]
    if lacking:
        raise InputError(
            "expected needs to hold the indicators and periods of the panel; got a Detection without "
            f"({examples(lacking, len(counted))}). Make it of the same panel."
        )
    row = pd.Index(inputs.codes).get_indexer(pd.Index(frame["area"].astype(object)))
    use = (row >= 0) & place.notna().to_numpy()
    at = row[use], place.to_numpy()[use].astype(int)
    out = []
    for name in ("expected", "spread"):
        array = np.full(inputs.observed.shape, np.nan)
        array[at] = frame[name].to_numpy()[use]
        out.append(array)
    theirs = np.full(inputs.observed.shape, NOT_TESTED, status.dtype)
    theirs[at] = _statuses(frame)[use]
    without = (status == OK) & ~(out[0] > 0.0) & ~inputs.is_value()
    status[without] = np.where(theirs == OK, NOT_TESTED, theirs)[without]
    return out[0], np.nan_to_num(out[1])


def _statuses(frame: pd.DataFrame) -> np.ndarray:
    from zoo_geo.schema import STATUSES

    return pd.Index(STATUSES).get_indexer(pd.Index(frame["status"].astype(object)))


@dataclass(frozen=True, eq=False)
class _Known:
    """What areas had, what they were out of and the overall rate: figures that are known, shape (n,)."""

    seen: np.ndarray
    size: np.ndarray
    rate: np.ndarray

    @property
    def enough(self) -> bool:
        """Whether a spread can be told of these."""
        return self.seen.size >= _FEWEST and self.seen.sum() > 0


def _known(
    inputs: Inputs, status: np.ndarray, columns: np.ndarray, by_period: bool, *, cells: bool = False
) -> _Known:
    """Totals of areas over the periods of a stack, or its ``cells``."""
    known = status[:, columns] == OK
    seen, size = (np.where(known, each[:, columns], 0.0) for each in (inputs.observed, inputs.exposure))
    if by_period:
        due = size * (seen.sum(axis=0) / np.maximum(size.sum(axis=0), 1e-300))
    else:
        due = size * (seen[known].sum() / size[known].sum() if known.any() else 0.0)
    if cells or len(columns) == 1:
        seen, size, due = (each[known] for each in (seen, size, due))
    else:
        use = known.any(axis=1)
        seen, size, due = (each[use].sum(axis=1) for each in (seen, size, due))
    return _Known(seen, size, due / size)


def _estimated(inputs: Inputs, status: np.ndarray, time: Time, by_period: bool) -> np.ndarray:
    """Spread of true rates about the overall rate, robustly; the same in all cells of a stack.

    Of the totals of areas; of cylinders, which are open to what does not last, that of single periods where
    it is more.
    """
    out = np.zeros(inputs.observed.shape)
    for columns in stacked(inputs, time):
        family = inputs.columns[columns[0]][0].family
        looked = [_known(inputs, status, columns, by_period)]
        if time in CYLINDERS:
            looked.append(_known(inputs, status, columns, by_period, cells=True))
        out[:, columns] = max((_spread(each, family) for each in looked if each.enough), default=0.0)
    return out


def _spread(known: _Known, family: str) -> float:
    plain = replace(ex.EVERYTHING, response=False, heavy=False)
    seen, size, rate = known.seen[:, None], known.size[:, None], known.rate[:, None]
    valid, sure = np.ones(rate.shape, bool), np.full_like(rate, ex.SURE)
    return float(ex.given(seen, size, valid, FAMILIES[family], rate, sure, plain).spread[0, 0])


def doubts(
    given: Intake, found: Sequence[Found], what: str, time: Time, dispersion: Dispersion
) -> list[Notice]:
    """Say where clusters are rather true rates that vary, or a smooth surface, and what to compare with."""
    pairs = list(zip(given.stacks, found, strict=True))
    odd = [
        (stack, result)
        for stack, result in pairs
        if dispersion == "auto" and restless(np.array(stack.overdispersion), np.array(stack.rows.size))
    ]
    wide = [
        pair for pair in pairs if pair not in odd and _inside(given, [pair]).sum() > WIDE * pair[0].rows.size
    ]
    told, advice = [], _advice(given.inputs, time)
    if odd:
        times = float(np.median([stack.overdispersion for stack, _ in odd]))
        vary, wat = (
            ("counts", "aantallen")
            if time == "each"
            else ("totals over all periods", "totalen over alle perioden")
        )
        (en, nl), inside, keer = _named(given, odd, time), int(_inside(given, odd).sum()), f"{times:.1f}"
        told.append(
            Notice(
                f"{what}:{given.reference}: {vary} vary {keer} times as much as chance gives where rates "
                "are the "
                f"same everywhere ({en}). A plain scan takes that for clusters: its p-values are too "
                "small, and "
                f"the {inside:,} areas in clusters with p <= 0.05 raise no flag by it. {advice}",
                f"{what}:{given.reference}: {wat} lopen {keer.replace('.', ',')} keer zoveel uiteen als "
                "toeval "
                f"geeft waar cijfers overal gelijk zijn ({nl}). Een gewone scan ziet dat als groepen: de p "
                "is te "
                f"klein, en de {count(inside)} gebieden in groepen met p <= 0,05 krijgen er geen vlag door. "
                f"{advice.nl}",
            )
        )
    plain = all(not np.isnan(stack.overdispersion) for stack, _ in wide)
    silent = "; they raise no flag by a plain scan" if plain else ""
    stil = "; een gewone scan geeft ze geen vlag" if plain else ""
    if wide and given.reference == "national" and dispersion != "none" and time not in CYLINDERS:
        (en, nl), inside = _named(given, wide, time), int(_inside(given, wide).sum())
        told.append(
            Notice(
                f"{what}:national: {inside:,} areas lie in clusters with p <= 0.05 ({en}). Against all areas "
                f"together whatever changes smoothly over the map is a cluster{silent}. {advice}",
                f"{what}:national: {count(inside)} gebieden liggen in groepen met p <= 0,05 ({nl}). "
                "Tegenover alle "
                f"gebieden samen is alles een groep wat geleidelijk over de kaart verloopt{stil}. "
                f"{advice.nl}",
            )
        )
    return told


def _inside(given: Intake, pairs: Sequence[tuple[Stack, Found]]) -> np.ndarray:
    """Areas in clusters with p of at most 0.05, shape (n,)."""
    inside = np.zeros(given.inputs.codes.size, bool)
    for stack, result in pairs:
        for cluster in result.clusters:
            if monte_carlo_p(np.array([cluster.statistic]), result.maxima)[0] <= 0.05:
                inside[stack.rows[cluster.members]] = True
    return inside


def _named(given: Intake, pairs: Sequence[tuple[Stack, Found]], time: Time) -> tuple[str, str]:
    """Name indicators, and periods where each is looked through by itself, in English and in Dutch."""
    names = [given.inputs.columns[stack.columns[0]] for stack, _ in pairs]
    listed = [figure(i.id, period) if time == "each" else i.id for i, period in names]
    return examples(listed, len(given.stacks)), which(listed, len(given.stacks))


def _advice(inputs: Inputs, time: Time) -> Notice:
    """Say what to write instead of a plain scan."""
    if time in CYLINDERS:
        return Notice(
            'Pass dispersion="estimate", which lets areas differ lastingly.',
            'Geef dispersion="estimate", dan mogen gebieden blijvend verschillen.',
        )
    levels = () if inputs.areas is None else inputs.areas.parents
    reference = f"parent:{levels[-1]}" if levels else "neighbours"
    call = f'detect(..., expected=zg.Deviation(reference="{reference}").detect(panel, near, areas=areas))'
    key = f'expected = "deviation:{reference}"'
    return Notice(
        f"Compare with an expectation: {call}; in a study file {key} under the scan, beside a detector of "
        "that "
        "name.",
        f"Vergelijk met een verwachting: {call}; in een studiebestand {key} bij de scan, naast een "
        "detector met "
        "die naam.",
    )


def _holes(inputs: Inputs, status: np.ndarray, what: str, time: Time) -> list[Notice]:
    """Say which areas lack some of the periods that are looked through together."""
    if time == "each":
        return []
    segment, named = over_time.segments(inputs), []
    partly, now = np.zeros(inputs.codes.size, bool), segment == segment[:, -1:]
    for columns in stacked(inputs, time):
        known = status[:, columns] == OK
        here = known.any(axis=1) & (~known & now).any(axis=1)
        partly |= here
        named += [inputs.columns[columns[0]][0].id] * bool(here.any())
    if not named:
        return []
    gaps, over = (inputs.codes[partly], len(inputs.codes)), (named, len(inputs.indicators))
    return [
        Notice(
            f"{what}: periods without a figure add nothing to a cluster (areas: {examples(*gaps)}; "
            "indicators: "
            f"{examples(*over)}).",
            f"{what}: perioden zonder cijfer tellen in een groep niet mee (gebieden: {which(*gaps)}; "
            "indicatoren: "
            f"{which(*over)}).",
        )
    ]
