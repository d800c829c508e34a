"""What a study reads: map, figures, features, neighbours, peers and known anomalies, checked together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from zoo_geo.areas import Areas, read_areas
from zoo_geo.branches import branch_notices
from zoo_geo.cbs_tables import read_cbs
from zoo_geo.checks import check_columns
from zoo_geo.errors import InputError, Problems, examples
from zoo_geo.features import read_features, tidied
from zoo_geo.joining import joined
from zoo_geo.linking import link_periods
from zoo_geo.microdata import Aggregates, RecordIndicator, check_microdata, read_exposure, read_microdata
from zoo_geo.notices import Notice, told, which
from zoo_geo.panel import Panel
from zoo_geo.peers import Peers, build_peers
from zoo_geo.record_checks import from_records, read_key
from zoo_geo.sections import FeaturesSource, IndicatorChoice, TableSource
from zoo_geo.strict import nearest
from zoo_geo.study import Study
from zoo_geo.tabular import read_table
from zoo_geo.weights import build_weights, isolates

if TYPE_CHECKING:
    from libpysal.graph import Graph

_TRUTH = ["area", "indicator", "period", "kind"]
_NEIGHBORS = ("neighbors", "neighbours")
"""Stand for the graph of neighbours in the `exclude` of peers."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a study reads, checked."""

    study: Study
    areas: Areas
    panel: Panel
    graph: Graph
    features: pd.DataFrame | None
    peers: Peers | None
    truth: pd.DataFrame | None
    notices: tuple[Notice, ...]
    aggregates: Aggregates | None = None


def read_inputs(
    study: Study, begin: Callable[[str], None] = lambda _: None, *, records: bool = True
) -> Inputs:
    """Read map and tables and build the neighbours; all that is wrong is said at once.

    Parameters
    ----------
    study
        A study file that was read.
    begin
        Told what begins.
    records
        Whether records are read; else their queries are only checked, and their indicators left out.

    Raises
    ------
    InputError
        Map or tables are wrong: one line per problem.
    """
    problems, notices = Problems(), list[Notice]()
    begin("map")
    areas = _attempt(lambda: _read_areas(study), problems)
    begin("tables")
    changes = _attempt(lambda: _read_changes(study), problems)
    panels = [_attempt(lambda: _read_panel(study, t, areas, notices), problems) for t in study.tables]  # noqa: B023
    if changes is not None:
        panels = _attempt(lambda: _linked(study, panels, changes, areas), problems)
    aggregates = _attempt(lambda: _read_records(study, areas, notices, whole=records), problems)
    features = _attempt(lambda: _read_features(study, areas, notices), problems)
    truth = _attempt(lambda: _read_truth(study), problems)
    problems.raise_if_any()
    assert areas is not None
    panels.append(None if aggregates is None else aggregates.panel)
    panel = joined([panel for panel in panels if panel is not None] or [_no_figures(areas)], study)
    if records or not study.sources:
        for at, detector in enumerate(study.detectors, 1):
            for line in detector.unfit(panel.periods):
                problems.add(f"detectors[{at}].{line}")
        problems.raise_if_any()
    begin("neighbours")
    graph = _build_weights(study, areas)
    notices += [*_isolated(graph, len(areas)), *_empty(panel), *branch_notices(study.branches)]
    peers = None
    if study.peers:
        begin("peers")
        peers = _build_peers(study, areas, graph, features)
        notices += peers.notices
    return Inputs(study, areas, panel, graph, features, peers, truth, tuple(notices), aggregates)


def _attempt(read: Callable[[], Any], problems: Problems) -> Any:  # noqa: ANN401
    """Return what is read, or None after noting what is wrong with it."""
    try:
        return read()
    except InputError as error:
        problems.extend(error)
        return None


def _read_areas(study: Study) -> Areas:
    source = study.areas
    return read_areas(
        source.path,
        layer=source.layer,
        id=source.id,
        name=source.name,
        parents=source.parents,
        water=source.water,
    )


def _build_weights(study: Study, areas: Areas) -> Graph:
    rule = study.weights
    try:
        return build_weights(areas, rule.method, tolerance=rule.tolerance, **rule.options)
    except InputError as error:
        raise error.within(f"{study.path.name or 'study'}: weights") from None


def _read_panel(
    study: Study,
    source: TableSource,
    areas: Areas | None,
    notices: list[Notice],
) -> Panel | None:
    """Return the figures of one table, of areas that are on the map or, where areas change, of all."""
    chosen = [each for each in study.indicators if each.table == source.id and not from_records(each)]
    if not chosen:
        return None
    text = [source.area, *([source.period] if source.period else [])]
    if source.dialect == "cbs":
        read = read_cbs(source.path, level=source.level)
        table = read.coded
        notices += [Notice(each, told(each, "nl")).led_by(source.path.name) for each in read.notices]
    else:
        table = read_table(source.path, text, _figure_columns(chosen))
    try:
        if areas is not None and source.area in table and study.changes is None:
            table = _on_the_map(table, source, areas, notices)
            notices += _not_in(table[source.area], source, areas)
        return Panel.from_frame(table, area=source.area, period=source.period, **_columns(study, chosen))
    except InputError as error:
        raise error.within(source.path.name) from None


def _read_changes(study: Study) -> pd.DataFrame | None:
    """Return the table of areas that changed between periods."""
    source = study.changes
    if source is None:
        return None
    codes = [source.period, source.area, source.previous, source.old, source.new]
    return read_table(source.path, codes, {source.weight, source.change})


def _linked(
    study: Study, panels: Sequence[Panel | None], changes: pd.DataFrame, areas: Areas | None
) -> list[Panel | None]:
    """Return the figures of each table, all periods on the codes of the map."""
    known = {code for panel in panels if panel is not None for code in panel.areas}
    known |= set() if areas is None else set(areas.codes)
    pairs = zip(study.tables, panels, strict=True)
    return [None if panel is None else _of_now(study, t, panel, changes, areas, known) for t, panel in pairs]


def _of_now(
    study: Study,
    source: TableSource,
    panel: Panel,
    changes: pd.DataFrame,
    areas: Areas | None,
    known: Collection[str],
) -> Panel:
    """Return the figures of one table, all periods on the codes of the map."""
    rules = study.changes
    assert rules is not None
    names = [item.name for item in fields(rules) if item.name not in ("path", "unknown_areas")]
    columns = {name: getattr(rules, name) for name in names}

    def link(codes: Iterable[str] | None) -> Panel:
        return link_periods(
            panel, changes, areas=codes, columns=columns, unknown_areas=rules.unknown_areas, known=known
        )

    try:
        linked = link(None)
    except InputError as error:
        raise error.within(rules.path.name) from None
    if areas is None:
        return linked
    unknown = linked.areas[~linked.areas.isin(areas.codes)]
    if len(unknown) and source.unknown_areas == "error":
        which = examples(unknown, len(linked.areas))
        raise InputError(
            f"{source.path.name}: column {source.area} needs to hold areas of the map, or ones that "
            f"{rules.path.name} links to them; got others ({which}). "
            'Set unknown_areas = "drop" for this table to leave them out.'
        )
    return link(linked.areas[linked.areas.isin(areas.codes)])


def _no_figures(areas: Areas) -> Panel:
    """Return a panel of no indicator, for a check of a study that has records only."""
    nothing = np.empty((len(areas), 0, 0))
    return Panel(areas.codes, (), (), nothing, nothing.copy(), nothing.astype(np.int8))


def _read_records(
    study: Study, areas: Areas | None, notices: list[Notice], *, whole: bool
) -> Aggregates | None:
    """Return the figures of records; None where there are none, or where queries are only checked."""
    chosen = [each for each in study.indicators if from_records(each)]
    if not chosen:
        return None
    rules, tables = study.microdata, {table.id: table for table in study.tables}
    problems = Problems()
    try:
        key = read_key(rules, study.path.resolve().parent)
        indicators = [
            RecordIndicator(
                each.id,
                each.query or "",
                each.aggregate,
                each.family,
                _attempt(lambda: _exposure(each, tables, areas, notices), problems),  # noqa: B023
                each.exposure_query,
                each.exposure_aggregate,
                each.per,
                study.within(each.title),
            )
            for each in chosen
        ]
        problems.raise_if_any()
        if not whole:
            check_microdata(study.sources, indicators, areas=areas, key=key, limits=rules.limits)
            return None
        unknown = rules.unknown_areas
        figures = read_microdata(
            study.sources, indicators, areas=areas, unknown_areas=unknown, key=key, limits=rules.limits
        )
    except InputError as error:
        raise error.within(study.path.name or "study") from None
    notices += figures.notices
    return figures


def _exposure(
    each: IndicatorChoice, tables: dict[str, TableSource], areas: Areas | None, notices: list[Notice]
) -> pd.DataFrame | None:
    """Return the exposure of an indicator from a table: area, exposure and, where there is one, period."""
    if each.exposure is None or each.table is None:
        return None
    source = tables[each.table]
    named = each.exposure if isinstance(each.exposure, dict) else {"": each.exposure}
    text = [source.area, *([source.period] if source.period else [])]
    table = read_table(source.path, text, set(named.values()))
    try:
        return read_exposure(
            _on_the_map(table, source, areas, notices)
            if areas is not None and source.area in table
            else table,
            source.area,
            source.period,
            named,
        )
    except InputError as error:
        raise error.within(source.path.name) from None


def _figure_columns(chosen: Sequence[IndicatorChoice]) -> set[str]:
    """Return the columns of numbers that some indicators name."""
    named = [columns for item in chosen for columns in (item.observed, item.exposure, item.observed_units)]
    return {
        name
        for columns in named
        for name in (columns.values() if isinstance(columns, dict) else [columns])
        if name is not None
    }


def _columns(study: Study, chosen: Sequence[IndicatorChoice]) -> dict[str, dict[str, Any]]:
    """Return the arguments of `Panel.from_frame` that are given by indicator."""
    return {
        "observed": {item.id: item.observed for item in chosen if item.observed is not None},
        "exposure": {item.id: item.exposure for item in chosen if item.exposure is not None},
        "observed_units": {i.id: i.observed_units for i in chosen if i.observed_units is not None},
        "family": {item.id: item.family for item in chosen},
        "per": {item.id: item.per for item in chosen if item.per is not None},
        "titles": {item.id: study.within(item.title) for item in chosen},
        "themes": {item.id: item.theme for item in chosen},
    }


def _read_features(study: Study, areas: Areas | None, notices: list[Notice]) -> pd.DataFrame | None:
    """Return the features of every area of the map, rows of areas without any empty."""
    source, problems = study.features, Problems()
    if source is None:
        return None
    table = read_table(source.path, [source.area], set(source.columns) or None)
    try:
        if not check_columns([source.area, *source.columns], table.columns, problems):
            problems.raise_if_any()
        if areas is not None:
            table = _on_the_map(table, source, areas, notices)
            notices += _not_in(table[source.area], source, areas)
        frame = table.set_index(source.area)[list(source.columns) or table.columns.drop(source.area)]
        checked = read_features(frame, areas, allow_sensitive=False)
        checked.check_sensitive(map(str, checked.frame))
    except InputError as error:
        raise error.within(source.path.name) from None
    features = tidied(checked.frame.set_axis(checked.codes.astype(object), axis=0))
    if areas is None:
        return features
    _check_names(study, features, areas)
    return features.reindex(areas.codes)


def _check_names(study: Study, features: pd.DataFrame, areas: Areas) -> None:
    """Raise where peers or detectors name features that are not there, or text where numbers are needed."""
    problems, columns = Problems(), list(map(str, features))
    numbers = list(map(str, features.select_dtypes("number")))

    def check(at: str, named: Sequence[str], known: Sequence[str], what: str) -> None:
        for name in named:
            if name not in known:
                problems.add(f'{at} needs to be {what}; got "{name}".{nearest(name, known)}')

    if rules := study.peers:
        classes = [*columns, *areas.parents]
        check("peers.columns", [*rules.columns], columns, "columns of the features")
        check("peers.weights", [*rules.weights], columns, "of columns of the features")
        check("peers.within", [rules.within] if rules.within else [], classes, "a feature or parent level")
        check("peers.exclude", rules.exclude, [*_NEIGHBORS, *classes], "neighbors, features or parent levels")
    for number, detector in enumerate(study.detectors, 1):
        kind, _, name = str(getattr(detector, "reference", "")).partition(":")
        if kind == "stratum":
            check(f"detectors[{number}].reference", [name], columns, "stratum: and a column of the features")
        used = getattr(detector, "adjust", ()) or (columns if kind == "model" else ())
        check(f"detectors[{number}].adjust", used, numbers, "columns of numbers of the features")
    try:
        problems.raise_if_any()
    except InputError as error:
        raise error.within(study.path.name or "study") from None


def _build_peers(study: Study, areas: Areas, graph: Graph, features: pd.DataFrame | None) -> Peers:
    """Find the areas that are alike."""
    rules = study.peers
    assert rules is not None
    assert features is not None
    classes = [name for name in (rules.within, *rules.exclude) if name in features]
    used = features[list(dict.fromkeys([*(rules.columns or features), *classes]))]
    try:
        return build_peers(
            used,
            None if rules.k == "all" else rules.k,
            areas=areas,
            method=rules.method,
            within=rules.within,
            exclude=[graph if name in _NEIGHBORS else name for name in rules.exclude],
            scaling=rules.scaling,
            weights=rules.weights,
            missing=rules.missing,
            max_distance=rules.max_distance,
            groups=rules.groups,
            resamples=rules.resamples,
            seed=study.study.seed,
        )
    except InputError as error:
        raise error.within(f"{study.path.name or 'study'}: peers") from None


def _on_the_map(
    table: pd.DataFrame, source: TableSource | FeaturesSource, areas: Areas, notices: list[Notice]
) -> pd.DataFrame:
    """Refuse or drop rows of areas that are not on the map."""
    codes = table[source.area]
    known = codes.isna() | _text(codes).isin(areas.codes)
    if known.all():
        return table
    unknown = codes[~known].drop_duplicates()
    found, zeros = examples(unknown, codes.nunique()), _lost_zeros(_text(unknown), areas.codes)
    if source.unknown_areas == "error":
        raise InputError(
            f"column {source.area} needs to hold areas of the map; got others ({found}). "
            + (zeros or 'Set unknown_areas = "drop" for this table to leave them out.')
        )
    notices.append(
        Notice(
            f"areas that are not on the map were left out ({found}). {zeros}".rstrip(),
            f"gebieden buiten de kaart zijn weggelaten ({which(unknown, codes.nunique())}). {zeros}",
        ).led_by(source.path.name)
    )
    return table[known]


def _text(codes: pd.Series) -> pd.Series:
    return codes.astype(str).str.strip()


def _lost_zeros(codes: pd.Series, known: pd.Index) -> str:
    """Return a hint when codes are those of the map once zeros are put before them."""
    for width in sorted(set(known.str.len())):
        whole = codes.str.zfill(width)
        match = whole.isin(known)
        if match.any():
            first = f"{codes[match].iloc[0]} is {whole[match].iloc[0]} there"
            return (
                f"Leading zeros seem lost in {int(match.sum()):,} of them ({first}): save the codes as text."
            )
    return ""


def _not_in(codes: pd.Series, source: TableSource | FeaturesSource, areas: Areas) -> list[Notice]:
    """Note areas of the map that a table lacks; water has no figures."""
    absent = areas.codes[~areas.codes.isin(_text(codes)) & ~areas.frame["water"].to_numpy(bool)]
    if not len(absent):
        return []
    en, nl = (tell(absent, len(areas)) for tell in (examples, which))
    said = Notice(
        f"areas of the map that are not in the table ({en}).",
        f"gebieden van de kaart die niet in de tabel staan ({nl}).",
    )
    return [said.led_by(source.path.name)]


def _read_truth(study: Study) -> pd.DataFrame | None:
    """Return the known anomalies of a synthetic study."""
    if study.truth is None:
        return None
    table = read_table(study.truth.path, _TRUTH, ["ratio"])
    problems = Problems()
    if check_columns([*_TRUTH, "ratio"], table.columns, problems):
        if not pd.api.types.is_numeric_dtype(table["ratio"]) or not (table["ratio"] > 0).all():
            problems.add("column ratio needs to be numbers above 0; got others.")
        unknown = sorted(set(table["indicator"]) - {item.id for item in study.indicators})
        if unknown:
            got = examples(unknown)
            problems.add(f"column indicator needs to hold ids of the study; got others ({got}).")
    try:
        problems.raise_if_any()
    except InputError as error:
        raise error.within(study.truth.path.name) from None
    return table


def _isolated(graph: Graph, total: int) -> list[Notice]:
    alone = isolates(graph)
    en, nl = (tell(alone, total) for tell in (examples, which))
    said = Notice(
        f"Areas without neighbours get no comparison with them ({en}).",
        f"Gebieden zonder buren zijn er niet mee te vergelijken ({nl}).",
    )
    return [said] if alone else []


def _empty(panel: Panel) -> list[Notice]:
    ids = [item.id for item in panel.indicators]
    empty = [id for k, id in enumerate(ids) if np.isnan(panel.observed[:, k]).all()]
    en, nl = (tell(empty, len(ids)) for tell in (examples, which))
    said = Notice(f"Indicators without any figure ({en}).", f"Indicatoren zonder enig cijfer ({nl}).")
    return [said] if empty else []
