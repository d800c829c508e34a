"""Panel: observed and exposure per area x indicator x period, checked once when it is made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from zoo_geo import cbs
from zoo_geo.checks import check_columns, nearest_name, row_labels, text_codes
from zoo_geo.errors import InputError, Problems, examples
from zoo_geo.figures import MISSING, NO_EXPOSURE, SECRET, FigureReader, Figures, Need, joined_status
from zoo_geo.indicators import Indicator, one_each, read_indicators
from zoo_geo.notices import Notice, count, points
from zoo_geo.schema import STATUSES

ALL = "all"
"""The period of a table that has none."""

Columns = Mapping[str, str | Mapping[str, str]]
"""Indicator to column, or to a column per period."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Figures per area x indicator x period, made by `Panel.from_frame` or `Panel.from_long`.

    Parameters
    ----------
    areas
        Codes as text, in order of first appearance.
    indicators
        In the order given.
    periods
        Sorted; ``all`` where the input has none.
    observed, exposure
        Shape (n_areas, n_indicators, n_periods); NaN where there is none.
    status
        Same shape; index into `zoo_geo.schema.STATUSES`: ok, missing, secret or no_exposure.
    notices
        What is worth knowing, one sentence each.
    events
        Same shape: the events behind counts of distinct units (``observed_units=``), NaN elsewhere; None
        where no indicator has them.
    breaks
        Shape (n_areas, n_periods): an area's series starts anew in the period, because its boundary changed
        (see `link_periods`); None where no series is known to be broken. Nothing is compared across a break.
    """

    areas: pd.Index
    indicators: tuple[Indicator, ...]
    periods: tuple[str, ...]
    observed: np.ndarray
    exposure: np.ndarray
    status: np.ndarray
    notices: tuple[Notice, ...] = ()
    events: np.ndarray | None = None
    breaks: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.areas), len(self.periods))
        if self.breaks is not None and (self.breaks.shape != shape or self.breaks.dtype != bool):
            raise InputError(
                f"breaks need to be true or false of shape {shape}; got {self.breaks.dtype} of shape "
                f"{self.breaks.shape}."
            )
        arrays = (self.observed, self.exposure, self.status, self.events, self.breaks)
        for array in (each for each in arrays if each is not None):
            array.flags.writeable = False  # detectors share what they make of a panel

    def __repr__(self) -> str:
        n, k, t = self.observed.shape
        return f"<Panel: {n:,} areas x {k:,} indicators x {t:,} periods>"

    @property
    def families(self) -> dict[str, str]:
        """Indicator to family."""
        return {indicator.id: indicator.family for indicator in self.indicators}

    def indicator(self, id: str) -> Indicator:
        """Return the indicator of that id.

        Raises
        ------
        InputError
            There is none.
        """
        known = {indicator.id: indicator for indicator in self.indicators}
        if id not in known:
            listed, hint = ", ".join(known), nearest_name(id, known)
            raise InputError(f"indicator needs to be one of {listed}; got {id!r}.{hint}")
        return known[id]

    @property
    def frame(self) -> pd.DataFrame:
        """Tidy table: one row per area x indicator x period, in that order."""
        n, k, t = self.observed.shape
        ids = pd.Index([indicator.id for indicator in self.indicators])
        return pd.DataFrame(
            {
                "area": self.areas.repeat(k * t),
                "indicator": ids.take(np.tile(np.repeat(np.arange(k), t), n)),
                "period": pd.Index(self.periods).take(np.tile(np.arange(t), n * k)),
                "observed": self.observed.ravel(),
                "exposure": self.exposure.ravel(),
                "status": pd.Index(STATUSES).take(self.status.ravel().astype(np.intp)),
            }
            | ({} if self.events is None else {"events": self.events.ravel()})
        )

    @classmethod
    def from_frame(
        cls,
        table: pd.DataFrame,
        *,
        area: str,
        observed: str | Iterable[str] | Columns,
        period: str | None = None,
        exposure: str | Columns | None = None,
        family: str | Mapping[str, str] = "poisson",
        per: float | Mapping[str, float] | None = None,
        titles: Mapping[str, str] | None = None,
        themes: str | Mapping[str, str] | None = None,
        observed_units: Columns | None = None,
    ) -> Panel:
        """Make a panel of a wide table: one row per area (and period), columns of figures.

        Empty figures and the missing codes of CBS become statuses, never zeros.

        Parameters
        ----------
        table
            Not modified.
        area
            Column of the area codes, as text.
        observed
            Column, columns, indicator to column, or indicator to ``{period: column}``.
        period
            Column of the periods; none when the columns are per period, or there is one period.
        exposure
            Column for all, indicator to column, or indicator to ``{period: column}``. Counts need it;
            for ``gaussian`` it is a weight, 1 when not given.
        family
            ``poisson``, ``binomial`` or ``gaussian``: one for all, or by indicator.
        per
            Exposure that values are per: one for all, or by indicator; 1000, 100 and 1 when not given.
        titles
            Indicator to title.
        themes
            Indicator to theme, or one for all.
        observed_units
            Indicator to column of the distinct subjects behind its events, or to ``{period: column}``: for
            counts that come in bursts, as one case file can hold a thousand transactions. They are what is
            observed and tested then; the events stay in `Panel.events`.

        Raises
        ------
        InputError
            One line per problem, all together.

        Examples
        --------
        >>> table = pd.DataFrame({"code": ["BU01", "BU02"], "thefts": [3, 0], "residents": [100, 250]})
        >>> Panel.from_frame(table, area="code", observed="thefts", exposure="residents")
        <Panel: 2 areas x 1 indicators x 1 periods>
        """
        problems = Problems()
        table = table.reset_index() if area == table.index.name and area not in table else table
        columns = _by_indicator(observed)
        indicators = read_indicators(columns, family, per, titles, themes, problems)
        sources = list(_sources(columns, exposure, observed_units, period, indicators, problems))
        named = [
            area,
            *([period] if period else []),
            *(name for source in sources for name in source.columns),
        ]
        check_columns(named, table.columns, problems)
        rows = _Rows.of(table, area, period, problems)
        _check_repeated([rows.area_at, rows.period_at], rows, "area x period" if period else "area", problems)
        reader = FigureReader(table, rows.codes, problems)
        blocks = [source.read(reader) for source in sources if set(source.columns) <= set(table.columns)]
        return _assemble(indicators, rows, blocks, reader, problems)

    @classmethod
    def from_long(
        cls,
        long: pd.DataFrame,
        *,
        family: str | Mapping[str, str] = "poisson",
        per: float | Mapping[str, float] | None = None,
        titles: Mapping[str, str] | None = None,
        themes: str | Mapping[str, str] | None = None,
    ) -> Panel:
        """Make a panel of a long table: ``area``, ``indicator``, ``period``, ``observed``, ``exposure``.

        ``period`` may be left out, and ``exposure`` where all indicators are gaussian. A column ``units``
        holds the distinct subjects behind the events, empty for indicators that have none. The rest is as
        in `Panel.from_frame`.

        Raises
        ------
        InputError
            One line per problem, all together.

        Examples
        --------
        >>> long = pd.DataFrame({"area": ["BU01"], "indicator": "thefts", "observed": 3, "exposure": 100})
        >>> Panel.from_long(long).families
        {'thefts': 'poisson'}
        """
        problems = Problems()
        period = "period" if "period" in long else None
        named = ["area", "indicator", "observed", *(name for name in ("exposure", "units") if name in long)]
        if not check_columns(named, long.columns, problems):
            problems.raise_if_any()
        rows = _Rows.of(long, "area", period, problems)
        ids = text_codes(long["indicator"], "indicators (column 'indicator')", problems)
        indicator_at, known = pd.factorize(ids)
        indicators = read_indicators(known, family, per, titles, themes, problems)
        what = "area x indicator x period"
        _check_repeated([rows.area_at, indicator_at, rows.period_at], rows, what, problems)
        reader = FigureReader(long, rows.codes, problems)
        blocks = list(_long_blocks(long, reader, indicators, indicator_at, problems))
        return _assemble(indicators, rows, blocks, reader, problems)


class _Source(NamedTuple):
    """Where the figures of one indicator stand; `period` is None where the rows say it."""

    indicator: Indicator
    observed: str
    exposure: str | None
    units: str | None
    period: str | None

    @property
    def columns(self) -> list[str]:
        """Return the columns that it names."""
        return [name for name in (self.observed, self.exposure, self.units) if name is not None]

    def read(self, reader: FigureReader) -> _Block:
        """Return its figures."""
        exposure = None if self.exposure is None else reader.read(self.exposure)
        units = None if self.units is None else reader.read(self.units)
        return _Block(self.indicator, self.period, reader.read(self.observed), exposure, units)


class _Block(NamedTuple):
    """The figures of one indicator in some rows of the table; `period` is None where the rows say it."""

    indicator: Indicator
    period: str | None
    observed: Figures
    exposure: Figures | None
    units: Figures | None

    def needs(self) -> Iterator[Need]:
        """Yield what the family asks of the figures."""
        family = self.indicator.family
        if family != "gaussian":
            yield Need(self.observed, whole=True)
        if self.exposure is not None:
            yield Need(self.exposure, whole=family == "binomial")
        if self.units is not None:
            yield Need(self.units, whole=True)


@dataclass(frozen=True)
class _Rows:
    """Which area and period each row of a table is about."""

    codes: np.ndarray
    areas: pd.Index
    area_at: np.ndarray
    periods: pd.Index
    period_at: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame, area: str, period: str | None, problems: Problems) -> _Rows:
        """Read the columns of codes and periods."""
        if not len(table):
            problems.add("the table needs to hold figures; got no rows.")
        nothing = pd.Series("", index=range(len(table)))
        what = f"area codes (column {area!r})"
        codes = text_codes(table[area], what, problems) if area in table else nothing
        area_at, areas = pd.factorize(codes)
        given = period_text(table[period], codes, problems) if period in table else nothing.replace("", ALL)
        period_at, periods = pd.factorize(given)
        return cls(codes.to_numpy(), pd.Index(areas), area_at, pd.Index(periods), period_at)


def period_text(values: pd.Series, codes: pd.Series, problems: Problems) -> pd.Series:
    """Return periods as text: 2021 for 2021.0, days for time stamps."""
    values = values.reset_index(drop=True)
    absent = np.flatnonzero(values.isna())
    if len(absent):
        labels = row_labels(absent, codes.to_numpy())
        what = f"periods (column {values.name!r})"
        problems.add(f"{what} need to be given in every row; got none ({examples(labels, len(values))}).")
    if pd.api.types.is_float_dtype(values):
        return values.map(lambda number: f"{number:.15g}")
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.strftime("%Y-%m-%d")
    return values.astype(str).str.strip()


def _by_indicator(columns: str | Iterable[str] | Columns) -> dict[str, str | Mapping[str, str]]:
    """Return indicator to column, or to columns by period, for all ways to say it."""
    if isinstance(columns, str):
        return {columns: columns}
    if isinstance(columns, Mapping):
        return dict(columns)
    return {column: column for column in columns}


def _sources(
    observed: dict[str, str | Mapping[str, str]],
    exposure: str | Columns | None,
    units: Columns | None,
    period: str | None,
    indicators: tuple[Indicator, ...],
    problems: Problems,
) -> Iterator[_Source]:
    """Yield where the figures of each indicator (and period) stand, and note contradictions."""
    exposures = one_each("exposure", exposure, list(observed), problems)
    distinct = one_each("observed_units", units or {}, list(observed), problems)
    split = {id for id, columns in observed.items() if isinstance(columns, Mapping)}
    if split and period is not None:
        what = "observed needs to be plain columns with period="
        problems.add(f"{what}; got columns by period ({examples(sorted(split))}).")
    elif 0 < len(split) < len(observed):
        plain = [id for id in observed if id not in split]
        what = "observed needs to be columns by period for all indicators or none"
        problems.add(f"{what}; got none ({examples(plain, len(observed))}). Name the period of those too.")
    for indicator in indicators:
        columns = observed[indicator.id]
        if indicator.id in distinct and indicator.family == "gaussian":
            problems.add(f"observed_units of {indicator.id} needs to be of counts; got values (gaussian).")
        pairs = columns.items() if isinstance(columns, Mapping) else [(None, columns)]
        for when, column in pairs:
            out_of = exposures.get(indicator.id)
            out_of = out_of.get(when) if isinstance(out_of, Mapping) else out_of
            behind = distinct.get(indicator.id)
            behind = (
                _in_period(behind, when, indicator.id, problems) if isinstance(behind, Mapping) else behind
            )
            if out_of is None and indicator.family != "gaussian":
                place = indicator.id if when is None else f"{indicator.id} in {when}"
                problems.add(f"exposure of {place} needs to be a column ({indicator.family}); got none.")
            yield _Source(indicator, column, out_of, behind, None if when is None else str(when))


def _in_period(columns: Mapping[str, str], when: str | None, id: str, problems: Problems) -> str | None:
    """Return the column of a period, and note where there is none."""
    if when not in columns:
        problems.add(f"observed_units of {id} needs to have the periods of observed; got none of {when}.")
    return columns.get(str(when))


def _long_blocks(
    long: pd.DataFrame,
    reader: FigureReader,
    indicators: tuple[Indicator, ...],
    indicator_at: np.ndarray,
    problems: Problems,
) -> Iterator[_Block]:
    """Yield the figures of one indicator after the other."""
    observed = reader.read("observed")
    exposure, units = (reader.read(name) if name in long else None for name in ("exposure", "units"))
    order = np.argsort(indicator_at, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(indicator_at[order])) + 1)
    for indicator, rows in zip(indicators, parts, strict=False):
        out_of = None if exposure is None else exposure.at(rows, f"exposure of {indicator.id}")
        if indicator.family == "gaussian" and out_of is not None and (out_of.status == MISSING).all():
            out_of = None
        if indicator.family != "gaussian" and out_of is None:
            need = f"exposure of {indicator.id} needs to be in a column 'exposure' ({indicator.family})"
            problems.add(f"{need}; got no such column.")
        behind = None if units is None else units.at(rows, f"units of {indicator.id}")
        if behind is not None and (behind.status == MISSING).all():
            behind = None
        yield _Block(indicator, None, observed.at(rows, f"observed of {indicator.id}"), out_of, behind)


def _check_repeated(keys: list[np.ndarray], rows: _Rows, what: str, problems: Problems) -> None:
    """Note rows that say the same twice."""
    again = np.flatnonzero(pd.DataFrame(dict(enumerate(keys))).duplicated() & (rows.codes != ""))
    if len(again):
        shown = examples(row_labels(again, rows.codes), len(rows.codes))
        problems.add(f"rows need to be one per {what}; got repeated ones ({shown}). Drop or sum them.")


def _assemble(
    indicators: tuple[Indicator, ...],
    rows: _Rows,
    blocks: list[_Block],
    reader: FigureReader,
    problems: Problems,
) -> Panel:
    """Check the figures by family and lay them out by area, indicator and period."""
    reader.check_counts(need for block in blocks for need in block.needs())
    for block in blocks:
        if block.indicator.family == "binomial" and block.exposure is not None:
            reader.check_within(block.units or block.observed, block.exposure, "binomial")
        if block.units is not None:
            reader.check_units(block.units, block.observed)
    problems.raise_if_any()
    named = {block.period for block in blocks if block.period is not None}
    periods = in_order(named or set(rows.periods))
    shape = (len(rows.areas), len(indicators), len(periods))
    observed, exposure = np.full(shape, np.nan), np.full(shape, np.nan)
    status, events = np.full(shape, MISSING, dtype=np.int8), np.full(shape, np.nan)
    own_period = pd.Index(periods).get_indexer(rows.periods)[rows.period_at]
    for block in blocks:
        where = block.observed.rows
        period_at = own_period[where] if block.period is None else periods.index(block.period)
        cells = rows.area_at[where], indicators.index(block.indicator), period_at
        observed[cells] = (block.units or block.observed).numbers
        if block.units is not None:
            events[cells] = block.observed.numbers
        exposure[cells] = 1.0 if block.exposure is None else block.exposure.numbers
        status[cells] = joined_status(block.observed, block.exposure, block.units)
    notices = (*_code_notices(reader.coded), *_status_notices(status), *_units_notices(blocks))
    kept = events if any(block.units for block in blocks) else None
    return Panel(rows.areas, indicators, tuple(periods), observed, exposure, status, notices, kept)


def in_order(periods: Iterable[str]) -> list[str]:
    """Sort periods by time."""
    return sorted(periods, key=_by_number)


def _by_number(period: str) -> tuple[float, str]:
    """Sort periods that are numbers by number, and the others by text after them."""
    return (float(period) if period.isdecimal() else math.inf, period)


def _code_notices(coded: Mapping[float, Mapping[str, int]]) -> Iterator[Notice]:
    """Say which codes of CBS were read as a status, and in which columns."""
    for code, counts in coded.items():
        if counts:
            places = ", ".join(f"{count:,} in {name}" for name, count in list(counts.items())[:3])
            left = len(counts) - 3
            more = f" and {left} more column{'s' * (left > 1)}" if left > 0 else ""
            rest = f" en nog {left} kolom{'men' * (left > 1)}" if left > 0 else ""
            meant = "geheim" if cbs.MISSING_CODES[code] == "secret" else "ontbrekend"
            yield Notice(
                f"The code {code:.0f} was read as {cbs.MISSING_CODES[code]}: {places}{more}.",
                f"De code {code:.0f} is gelezen als {meant}: {points(places)}{rest}.",
            )


def _status_notices(status: np.ndarray) -> Iterator[Notice]:
    """Say how many cells have no figure, and why."""
    words = {
        MISSING: ("are missing", "ontbreken"),
        SECRET: ("are secret", "zijn geheim"),
        NO_EXPOSURE: ("have no exposure", "hebben geen noemer"),
    }
    for at, (en, nl) in words.items():
        if n := int((status == at).sum()):
            yield Notice(
                f"{n:,} of {status.size:,} cells {en}.", f"{count(n)} van {count(status.size)} cellen {nl}."
            )


def _units_notices(blocks: Iterable[_Block]) -> Iterator[Notice]:
    """Say which indicators are counted by distinct units, and of how many events."""
    sums: dict[str, list[float]] = {}
    names: dict[str, str] = {}
    for block in blocks:
        if block.units is not None:
            total = sums.setdefault(block.indicator.id, [0.0, 0.0])
            names.setdefault(block.indicator.id, block.units.label)
            for place, figures in enumerate((block.units, block.observed)):
                total[place] += float(np.nansum(figures.numbers))
    for id, (units, events) in sums.items():
        yield Notice(
            f"{id} is counted by distinct units ({names[id]}): {units:,.0f} behind {events:,.0f} events.",
            f"{id} telt verschillende eenheden ({names[id].replace('column', 'kolom', 1)}): {count(units)} "
            f"achter {count(events)} gebeurtenissen.",
        )
