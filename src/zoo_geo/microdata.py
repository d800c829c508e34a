"""From records to indicators: a query per indicator, aggregated with what disclosure control needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from zoo_geo import cbs
from zoo_geo.areas import Areas
from zoo_geo.cells import Cells, Grouped, aggregate_query, explain_query
from zoo_geo.checks import nearest_name
from zoo_geo.errors import InputError, Problems, examples
from zoo_geo.leaks import find_leaks
from zoo_geo.notices import Notice, count, which
from zoo_geo.panel import ALL, Panel
from zoo_geo.pseudonyms import Key
from zoo_geo.record_exposures import KEYS, with_exposure
from zoo_geo.records import Limits, Records, Source, open_records
from zoo_geo.sql_guard import Query, check_query

Aggregate = Literal["count_units", "sum", "mean", "share"]
ExposureAggregate = Literal["count_units", "sum"]
FAMILIES: dict[str, tuple[str, ...]] = {
    "count_units": ("poisson", "binomial"),
    "sum": ("poisson", "gaussian"),
    "mean": ("gaussian",),
    "share": ("binomial",),
}
"""Families that figures of each aggregate can have."""

_SECRET = next(code for code, status in cbs.MISSING_CODES.items() if status == "secret")
_COLUMNS = [
    "area",
    "indicator",
    "period",
    "observed",
    "exposure",
    "contributors",
    "largest",
    "second_largest",
]


@dataclass(frozen=True)
class RecordIndicator:
    """An indicator as a query over records.

    Parameters
    ----------
    id
        Short name.
    query
        One SELECT that returns ``area`` (text), ``unit`` (whom the record concerns) and, unless they are
        left out, ``period`` (whole number, date or text; else ``all``), ``value`` (1 else) and ``branch``.
    aggregate
        ``count_units``: distinct units, however many records each has; ``value`` needs to be 1.
        ``sum``: the total of all records. ``mean``: each unit's own mean first, then the mean of units.
        ``share``: distinct units with value 1 in any record, out of all units; ``value`` needs to be 0 or 1.
    family
        ``poisson``, ``binomial`` or ``gaussian``; see `FAMILIES` for what fits. A ``sum`` that is gaussian
        and has an exposure becomes a value per unit of it (turnover per resident), with it as its weight.
    exposure
        Columns ``area``, ``exposure`` and, unless it holds for all periods, ``period``. Not for ``mean``
        (weight is the number of units) and ``share`` (out of all units).
    exposure_query, exposure_aggregate
        The same from records; ``count_units`` or ``sum``.
    per
        Exposure that values are per; that of the family when not given.
    title
        Title for readers.

    Raises
    ------
    InputError
        An aggregate is none of those.
    """

    id: str
    query: str
    aggregate: Aggregate = "count_units"
    family: str = "poisson"
    exposure: pd.DataFrame | None = field(default=None, repr=False)
    exposure_query: str | None = None
    exposure_aggregate: ExposureAggregate = "count_units"
    per: float | None = None
    title: str = ""

    def __post_init__(self) -> None:
        fitting = {"aggregate": FAMILIES, "exposure_aggregate": get_args(ExposureAggregate)}
        for option, known in fitting.items():
            if (got := getattr(self, option)) not in known:
                need = f"indicator {self.id}: {option} needs to be one of {', '.join(known)}"
                raise InputError(f"{need}; got {got!r}.{nearest_name(got, known)}")


@dataclass(frozen=True, eq=False)
class Aggregates:
    """Figures of records, made by `read_microdata`. They are internal: small cells are not protected yet.

    Parameters
    ----------
    panel
        The indicators, for detectors.
    frame
        One row per area x indicator x period with records or an exposure: ``observed`` (count, total or
        mean), ``exposure``, ``contributors`` (distinct units that the figure is made of), ``largest`` and
        ``second_largest`` (their greatest contributions, without sign; 1 for counts, 0 where there is none).
    branches
        The same by ``branch``, for indicators whose query returns one; exposure is that of the cell. A unit
        with records in two branches counts in both, and once in `frame`.
    notices
        What was left out and why, one sentence each.
    """

    panel: Panel
    frame: pd.DataFrame
    branches: pd.DataFrame
    notices: tuple[Notice, ...]

    def __repr__(self) -> str:
        return f"<Aggregates: {len(self.frame):,} cells of {len(self.panel.indicators):,} indicators>"


def read_microdata(
    sources: Sequence[Source] | Mapping[str, str | Path | pd.DataFrame],
    indicators: Sequence[RecordIndicator],
    *,
    areas: Areas | None = None,
    unknown_areas: Literal["error", "drop"] = "error",
    key: Key | str | Path | None = None,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
) -> Aggregates:
    """Read records and aggregate them into indicators.

    Records without area, period, unit or value are left out, and counted in the notices. An area without
    records has an observed 0 where its exposure in that period is known (nobody there was recorded), and no
    mean; without an exposure it has no figure. Periods of an indicator are those of its records. An exposure
    that fits no figure is an error; periods without one, and exposures of 0, are named in the notices.

    Parameters
    ----------
    sources
        What queries can read: `Source` objects, or name to path or DataFrame.
    indicators
        What to count or measure.
    areas
        The map; records of other areas are refused or left out. Needed by sources that are put into areas.
    unknown_areas
        ``error`` or ``drop``, for records of areas that are not on the map.
    key
        A `Key`, or the path of a file that holds it; needed where sources have identifiers.
    limits
        Memory, threads, and seconds per query.

    Raises
    ------
    InputError
        One line per problem, all together, with the indicator or source that it is about.

    Examples
    --------
    >>> people = pd.DataFrame({"buurt": ["BU01", "BU01", "BU02"], "nr": [7, 8, 9], "age": [30, 70, 80]})
    >>> query = "SELECT buurt AS area, nr AS unit, age >= 65 AS value FROM people"
    >>> older = RecordIndicator("older", query, "share", "binomial")
    >>> read_microdata({"people": people}, [older]).frame[["area", "observed", "exposure"]].values.tolist()
    [['BU01', 1.0, 2.0], ['BU02', 1.0, 1.0]]
    """
    listed = _sources(sources)
    queries = _queries(listed, indicators)
    secret = Key.from_file(key) if isinstance(key, str | Path) else key
    with open_records(listed, _columns(queries), secret, limits, areas=areas) as records:
        reader = _Reader(records, None if areas is None else areas.codes, unknown_areas)
        figures = reader.read(indicators)
    reader.problems.raise_if_any()
    return _joined(figures, indicators, (*records.notices, *reader.notices))


def check_microdata(
    sources: Sequence[Source],
    indicators: Sequence[RecordIndicator],
    *,
    areas: Areas | None = None,
    key: Key | None = None,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
) -> None:
    """Check sources and queries by their columns and types, without reading all records.

    Raises
    ------
    InputError
        As `read_microdata`, for all that can be told without the records.
    """
    queries = _queries(sources, indicators)
    problems = Problems()
    with open_records(sources, _columns(queries), key, limits, sample=True, areas=areas) as records:
        for what, sql, aggregate in _asked(indicators):
            try:
                explain_query(records, sql, aggregate)
            except InputError as error:
                problems.extend(error.within(what))
    problems.raise_if_any()


def read_exposure(
    table: pd.DataFrame, area: str, period: str | None, columns: Mapping[str, str]
) -> pd.DataFrame:
    """Return the exposure that a table holds, as `RecordIndicator` takes it.

    Parameters
    ----------
    table
        Not modified.
    area, period
        Columns of the codes and, where there is one, the periods.
    columns
        Period to column; ``{"": column}`` where the rows say the period, or it holds for all.

    Raises
    ------
    InputError
        Columns are missing or hold no counts, or an area stands there twice.
    """
    long = [
        Panel.from_frame(
            table if period else table.assign(_period=when or ALL),
            area=area,
            observed={"exposure": column},
            period=period or "_period",
            family="gaussian",
        ).frame
        for when, column in columns.items()
    ]
    whole = pd.concat(long, ignore_index=True)
    secret = whole["status"] == "secret"
    whole["exposure"] = whole["observed"].mask(secret, _SECRET)
    dated = period is not None or any(columns)
    return whole[["area", "exposure", *(["period"] if dated else [])]]


def _sources(given: Sequence[Source] | Mapping[str, str | Path | pd.DataFrame]) -> list[Source]:
    """Return the sources however they are given, each under a name of its own."""
    if isinstance(given, Mapping):
        given = [
            Source(id, frame=data) if isinstance(data, pd.DataFrame) else Source(id, Path(data))
            for id, data in given.items()
        ]
    names = [source.id.lower() for source in given]
    wrong = [id for id in names if names.count(id) > 1 or id.startswith("zoo_geo")]
    if wrong:
        need = "sources need to have ids of their own, capitals or not, that do not begin with zoo_geo"
        raise InputError(f"{need}; got others ({examples(wrong, len(names))}).")
    return list(given)


def _asked(indicators: Iterable[RecordIndicator]) -> Iterator[tuple[str, str, Aggregate]]:
    """Yield every query with what it is called and how it is aggregated."""
    for each in indicators:
        yield f"indicator {each.id}", each.query, each.aggregate
        if each.exposure_query is not None:
            yield f"indicator {each.id}: exposure", each.exposure_query, each.exposure_aggregate


def _queries(sources: Sequence[Source], indicators: Sequence[RecordIndicator]) -> list[Query]:
    """Check how indicators are put together, and what their queries say."""
    problems, queries = Problems(), list[Query]()
    names = [source.id for source in sources]
    codes = {source.id: source.identifiers for source in sources}
    if not indicators:
        problems.add("indicators need to be one or more; got none.")
    repeated = [each.id for each in indicators if [other.id for other in indicators].count(each.id) > 1]
    if repeated:
        problems.add(f"indicators need to have unique ids; got repeated ones ({examples(repeated)}).")
    for each in indicators:
        for line in unfit(each.aggregate, each.family, exposures(each)):
            problems.add(f"indicator {each.id}: {line}")
    for what, sql, _ in _asked(indicators):
        try:
            queries.append(check_query(sql, names, codes))
        except InputError as error:
            problems.extend(error.within(what))
    problems.raise_if_any()
    return queries


def exposures(indicator: RecordIndicator) -> int:
    """Return how many exposures an indicator names."""
    return (indicator.exposure is not None) + (indicator.exposure_query is not None)


def unfit(aggregate: str, family: str, given: int) -> Iterator[str]:
    """Yield what does not go together in an indicator that names so many exposures."""
    fits = family in FAMILIES[aggregate]
    if not fits:
        fitting = " or ".join(FAMILIES[aggregate])
        yield f"family needs to be {fitting} for aggregate {aggregate}; got {family}."
    if aggregate in ("mean", "share") and given:
        why = (
            "weight is the number of units" if aggregate == "mean" else "it is out of all units of the query"
        )
        yield f"exposure needs to be left out for aggregate {aggregate} ({why}); got one."
    elif given > 1:
        yield "exposure needs to be a column or a query; got both."
    elif fits and not given and family != "gaussian" and aggregate != "share":
        yield f"exposure needs to be a column or exposure_query for family {family}; got nothing."


def _columns(queries: Iterable[Query]) -> set[str] | None:
    """Return the names that may be columns in any query; None where all may be."""
    names = [query.columns for query in queries]
    return None if None in names else {name for each in names if each is not None for name in each}


@dataclass(frozen=True)
class _Figures:
    """The figures of one indicator, by area and period, and by branch too."""

    cells: pd.DataFrame
    branches: pd.DataFrame | None


class _Reader:
    """Runs the queries one after the other, and each of them once."""

    def __init__(self, records: Records, codes: pd.Index | None, unknown: str) -> None:
        self.records, self.codes, self.unknown = records, codes, unknown
        self.problems, self.notices = Problems(), list[Notice]()
        self._clean = set[str](() if codes is None else codes)
        self._known: dict[tuple[str, str], Cells | None] = {}
        self._grouped = Grouped()

    def read(self, indicators: Iterable[RecordIndicator]) -> list[_Figures | None]:
        """Return the figures of each indicator; None after noting what is wrong with it."""
        return [self._figures(each) for each in indicators]

    def _figures(self, each: RecordIndicator) -> _Figures | None:
        found = self._cells(each.query, each.aggregate, f"indicator {each.id}")
        exposure = self._exposure(each)
        if found is None:
            return None
        cells = found.cells
        if each.aggregate in ("mean", "share"):
            cells = cells.assign(exposure=cells["contributors"].astype(float))
        elif exposure is None:
            cells = cells.assign(exposure=np.nan)
        else:
            try:
                cells, notices = with_exposure(cells, exposure)
            except InputError as error:
                self.problems.extend(error.within(f"indicator {each.id}"))
                return None
            self.notices += [line.led_by(f"indicator {each.id}") for line in notices]
        if not len(cells):
            self.problems.add(f"indicator {each.id}: query needs to give records of areas; got none.")
            return None
        return _Figures(cells, found.branches)

    def _exposure(self, each: RecordIndicator) -> pd.DataFrame | None:
        """Return area, period (unless it holds for all) and exposure."""
        what = f"indicator {each.id}: exposure"
        if each.exposure is not None:
            dated = "period" if "period" in each.exposure else None
            try:
                return read_exposure(each.exposure, "area", dated, {"": "exposure"})
            except InputError as error:
                self.problems.extend(error.within(what))
                return None
        if each.exposure_query is None:
            return None
        found = self._cells(each.exposure_query, each.exposure_aggregate, what)
        if found is None:
            return None
        cells = found.cells.rename(columns={"observed": "exposure"})
        return cells[["area", "exposure", *(["period"] if found.dated else [])]]

    def _cells(self, sql: str, aggregate: Aggregate, what: str) -> Cells | None:
        """Run a query, unless the same was run before, and check what comes out."""
        if (sql, aggregate) not in self._known:
            try:
                self._known[sql, aggregate] = self._checked(
                    aggregate_query(self.records, sql, aggregate, self._grouped), what
                )
            except InputError as error:
                self.problems.extend(error.within(what))
                self._known[sql, aggregate] = None
        return self._known[sql, aggregate]

    def _checked(self, found: Cells, what: str) -> Cells:
        """Note records that were left out, and refuse identifiers and areas that are not on the map."""
        self.notices += [line.led_by(what, _in_dutch(what)) for line in found.notices]
        text = found.cells[KEYS].drop_duplicates()
        if found.branches is not None:
            text = found.branches[[*KEYS, "branch"]].drop_duplicates()
        leaks = find_leaks(text, self._clean)
        if leaks:
            raise InputError([f"what leaves {line}" for line in leaks])
        self._clean.update(text["area"])
        return found if self.codes is None else self._on_the_map(found, what)

    def _on_the_map(self, found: Cells, what: str) -> Cells:
        assert self.codes is not None
        known = found.cells["area"].isin(self.codes)
        if known.all():
            return found
        strange, total = found.cells.loc[~known, "area"].drop_duplicates(), found.cells["area"].nunique()
        units = int(found.cells.loc[~known, "contributors"].sum())
        en = f"{units:,} units in areas ({examples(strange, total)})"
        nl = f"{count(units)} eenheden in gebieden ({which(strange, total)})"
        if self.unknown == "error":
            raise InputError(
                f"areas need to be on the map; got others: {en}. "
                'Set unknown_areas = "drop" under [microdata] to leave them out.'
            )
        said = Notice(
            f"areas that are not on the map were left out: {en}.",
            f"gebieden die niet op de kaart staan zijn weggelaten: {nl}.",
        )
        self.notices.append(said.led_by(what, _in_dutch(what)))
        branches = found.branches
        if branches is not None:
            branches = branches[branches["area"].isin(self.codes)]
        return found._replace(cells=found.cells[known], branches=branches)


def _joined(
    figures: Sequence[_Figures | None], indicators: Sequence[RecordIndicator], notices: tuple[Notice, ...]
) -> Aggregates:
    """Put the indicators into one table and one panel."""
    pairs = [(each, found) for each, found in zip(indicators, figures, strict=True) if found is not None]
    frames = [found.cells.assign(indicator=each.id)[_COLUMNS] for each, found in pairs]
    order = ["indicator", "area", "period"]
    frame = _sorted(pd.concat(frames, ignore_index=True), order, indicators)
    split = [_branches(found, each.id) for each, found in pairs if found.branches is not None]
    empty = pd.DataFrame(columns=[*_COLUMNS[:3], "branch", *_COLUMNS[3:]])
    branches = (
        _sorted(pd.concat(split, ignore_index=True), [*order, "branch"], indicators) if split else empty
    )
    long = frame[["area", "indicator", "period", "observed", "exposure"]].copy()
    for each in indicators:
        if each.aggregate == "sum" and each.family == "gaussian" and exposures(each):
            _per_exposure(long, each)
    frame["exposure"] = frame["exposure"].where(cbs.missing_status(frame["exposure"].to_numpy()) == 0)
    panel = Panel.from_long(
        long,
        family={each.id: each.family for each in indicators},
        per={each.id: each.per for each in indicators if each.per is not None},
        titles={each.id: each.title for each in indicators if each.title},
    )
    return Aggregates(panel, frame, branches, notices)


def _branches(found: _Figures, id: str) -> pd.DataFrame:
    """Return the figures by branch with the exposure of the whole cell."""
    assert found.branches is not None
    beside = found.cells[[*KEYS, "exposure"]]
    whole = found.branches.assign(indicator=id).merge(beside, on=KEYS, how="left")
    return whole[[*_COLUMNS[:3], "branch", *_COLUMNS[3:]]]


def _sorted(table: pd.DataFrame, by: list[str], indicators: Sequence[RecordIndicator]) -> pd.DataFrame:
    """Sort rows by indicator, in the order given, then by area, period and branch."""
    place = {each.id: at for at, each in enumerate(indicators)}
    sorted_ = table.assign(_place=table["indicator"].map(place)).sort_values(
        ["_place", *by[1:]], kind="stable"
    )
    whole = sorted_.drop(columns="_place").reset_index(drop=True)
    return whole.astype({"contributors": "int64"} | dict.fromkeys(["observed", "exposure"], float))


def _per_exposure(long: pd.DataFrame, each: RecordIndicator) -> None:
    """Turn totals into values per unit of exposure, times `per`."""
    rows = long["indicator"] == each.id
    total, out_of = long.loc[rows, "observed"], long.loc[rows, "exposure"]
    value = total / out_of.where(out_of > 0) * (each.per or 1.0)
    long.loc[rows, "observed"] = value.mask(out_of <= 0, 0.0)  # of which the exposure says why


def _in_dutch(what: str) -> str:
    """Name an indicator's exposure in Dutch; the other names are the same."""
    return what.replace(": exposure", ": noemer")
