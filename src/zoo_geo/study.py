"""The study file: TOML into typed objects, strictly, with every problem said at once."""

# ruff: noqa: RUF009  (`key` returns a dataclass field)
from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from zoo_geo import detector_checks, record_checks
from zoo_geo.branches import BranchGroup, branch_table
from zoo_geo.errors import InputError, Problems, StudyError, examples
from zoo_geo.records import SUFFIXES, Source
from zoo_geo.schema import COLUMNS
from zoo_geo.sections import (
    About,
    AreasSource,
    ChangesSource,
    Combination,
    FeaturesSource,
    FlagRules,
    IndicatorChoice,
    Language,
    MicrodataRules,
    Outputs,
    PeerRules,
    PriorityRules,
    TableSource,
    Text,
    Truth,
    Weights,
)
from zoo_geo.strict import INVALID, Kind, Listing, Table, Tagged, key

TABLE_SUFFIXES = (".csv", ".parquet")
CBS_SUFFIXES = (".gpkg", ".shp")
_RESERVED = {*COLUMNS, "name", "water", "geometry", "geom", "fid"}


def registry() -> Mapping[str, type]:
    """Return the detectors that a study can name; loading them takes time, so not before it is needed."""
    from zoo_geo.detectors import registry as detectors

    return cast("Mapping[str, type]", detectors())


def _detectors() -> Kind:
    return Listing(Tagged("type", registry()), least=1)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study file, checked.

    Paths are absolute. Every section is a frozen dataclass of its own, whose fields are the keys.
    """

    study: About = key("The study itself.")
    areas: AreasSource = key("The map.")
    weights: Weights = key("Neighbours.", Weights())
    tables: tuple[TableSource, ...] = key("Tables of figures.", ())
    microdata: MicrodataRules = key("How records are read.", MicrodataRules())
    sources: tuple[Source, ...] = key("Records that queries read.", ())
    changes: ChangesSource | None = key("Areas that changed between periods.", None)
    indicators: tuple[IndicatorChoice, ...] = key("Indicators.", at_least=1)
    branches: tuple[BranchGroup, ...] = key("Groups of SBI codes.", ())
    features: FeaturesSource | None = key("Features of the areas.", None)
    peers: PeerRules | None = key("Areas that are alike.", None)
    detectors: tuple[Any, ...] = key("Detectors, each with its options.", kind=_detectors)
    combine: tuple[Combination, ...] = key("Themes of which several figures may deviate.", ())
    flags: FlagRules = key("Rules of flagging.", FlagRules())
    priority: PriorityRules = key("Follow-up.", PriorityRules())
    outputs: Outputs = key("Outputs.", Outputs())
    truth: Truth | None = key("Known anomalies of a synthetic study.", None)
    path: Path = key("The study file.", Path(), hidden=True)

    @property
    def language(self) -> Language:
        """Language of everything that people read."""
        return self.study.language

    @property
    def title(self) -> str:
        """Title, or the id where there is none."""
        return self.study.title or self.study.id

    def within(self, text: str | Text) -> str:
        """Return a text in the language of the study."""
        return text if isinstance(text, str) else text.within(self.language)

    def detector_names(self) -> list[str]:
        """Return what each detector finds, in order: its name and reference, and its theme."""
        return detector_checks.detector_names(self)


_Check = Callable[[SimpleNamespace, Problems], None]
_Source = TypeVar("_Source", AreasSource, TableSource, FeaturesSource, ChangesSource, Truth, Source)


def load_study(path: str | Path) -> Study:
    """Read and check a study file.

    Parameters
    ----------
    path
        A TOML file; see ``zoo-geo schema`` for its keys.

    Raises
    ------
    StudyError
        One line per problem: unknown keys (with the nearest known one), wrong types and values, names
        that refer to nothing, files that are missing or outside the folder of the study.
    """
    path = Path(path)
    problems = Problems()
    draft = _draft(_parsed(path), path, problems)
    for sections, check in _CHECKS:
        if all(hasattr(draft, name) for name in sections):
            check(draft, problems)
    try:
        problems.raise_if_any(StudyError)
    except StudyError as error:
        raise error.within(path.name) from None
    return Study(**vars(draft))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the study file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "zoo-geo study",
        **Table(Study).schema(),
    }


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise StudyError(f"{path}: study file needs to exist; got no such file.") from None
    except OSError as error:
        raise StudyError(f"{path}: study file needs to be readable; got: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StudyError(
            f"{path.name}: study file needs to be UTF-8; got other bytes. Save it as UTF-8."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path.name}: study file needs to be TOML; got a mistake: {error}.") from None


def _draft(data: dict[str, Any], path: Path, problems: Problems) -> SimpleNamespace:
    """Return the sections that are right in themselves; those that are wrong are left out."""
    values = Table(Study).values(data, "", problems)
    sections = {item.name: values.get(item.name, item.default) for item in fields(Study)}
    right = {name: value for name, value in sections.items() if value is not INVALID}
    return SimpleNamespace(**{**right, "path": path})


def _check_areas_path(draft: SimpleNamespace, problems: Problems) -> None:
    draft.areas = _located(draft.areas, "areas", draft, problems)


def _check_truth_path(draft: SimpleNamespace, problems: Problems) -> None:
    if draft.truth:
        draft.truth = _located(draft.truth, "truth", draft, problems, TABLE_SUFFIXES)


def _check_features_path(draft: SimpleNamespace, problems: Problems) -> None:
    if draft.features:
        draft.features = _located(draft.features, "features", draft, problems, TABLE_SUFFIXES)


def _check_changes_path(draft: SimpleNamespace, problems: Problems) -> None:
    if draft.changes:
        draft.changes = _located(draft.changes, "changes", draft, problems, TABLE_SUFFIXES)


def _check_source_paths(draft: SimpleNamespace, problems: Problems) -> None:
    draft.sources = tuple(
        source if source.path is None else _located(source, at, draft, problems, SUFFIXES)
        for at, source in _numbered("sources", draft)
    )


def _check_table_paths(draft: SimpleNamespace, problems: Problems) -> None:
    draft.tables = tuple(
        _located(table, at, draft, problems, TABLE_SUFFIXES + CBS_SUFFIXES * (table.dialect == "cbs"))
        for at, table in _numbered("tables", draft)
    )


def _located(
    source: _Source, at: str, draft: SimpleNamespace, problems: Problems, suffixes: tuple[str, ...] = ()
) -> _Source:
    """Return a source with its path resolved, links followed, from the folder of the study."""
    folder = draft.path.resolve().parent
    path = (folder / source.path).resolve()
    if not draft.study.allow_outside and not path.is_relative_to(folder):
        problems.add(
            f"{at}.path needs to stay in the folder of the study; got {source.path}. "
            "Set study.allow_outside = true to allow it."
        )
    elif not path.is_file():
        problems.add(f"{at}.path needs to be a file; got {source.path}, which is none.")
    elif suffixes and path.suffix.lower() not in suffixes:
        problems.add(f"{at}.path needs to end in {' or '.join(suffixes)}; got {source.path}.")
    return replace(source, path=path)


def _check_parents(draft: SimpleNamespace, problems: Problems) -> None:
    for level in draft.areas.parents:
        if level in _RESERVED:
            problems.add(
                f"areas.parents.{level} needs to be a name of its own; got one of a column of results."
            )


def _check_unique_ids(section: str) -> _Check:
    def check(draft: SimpleNamespace, problems: Problems) -> None:
        items = getattr(draft, section)
        repeated = detector_checks.repeated(item.id for item in items)
        if repeated:
            problems.add(
                f"{section} need to have unique ids; got repeated ones ({examples(repeated, len(items))})."
            )

    return check


def _check_branches(draft: SimpleNamespace, problems: Problems) -> None:
    """Note wrong codes; right ones are a source of their own for queries."""
    try:
        table = branch_table(draft.branches)
    except InputError as error:
        problems.extend(error)
        return
    if draft.branches:
        draft.sources = (*draft.sources, Source("branches", frame=table))


def _check_table_names(draft: SimpleNamespace, problems: Problems) -> None:
    known = list(dict.fromkeys(table.id for table in draft.tables))
    for at, indicator in _numbered("indicators", draft):
        if not record_checks.needs_table(indicator):
            continue
        if not known:
            problems.add(f"{at} needs to have a table under [[tables]]; got none.")
        elif indicator.table is None and len(known) > 1:
            problems.add(f"{at}.table needs to be the id of a table; got nothing. Known: {', '.join(known)}.")
        elif indicator.table is not None:
            detector_checks.check_known(indicator.table, known, f"{at}.table", "the id of a table", problems)
    only = known[0] if known else None
    draft.indicators = tuple(
        replace(item, table=item.table or only) if record_checks.needs_table(item) else item
        for item in draft.indicators
    )


def _check_periods(draft: SimpleNamespace, problems: Problems) -> None:
    dated = {table.id for table in draft.tables if table.period}
    for at, indicator in _numbered("indicators", draft):
        if isinstance(indicator.observed, dict) and indicator.table in dated:
            problems.add(
                f"{at}.observed needs to be one column; got one per period. "
                f"Table {indicator.table} has a period column already."
            )
        for name in ("exposure", "observed_units"):
            if isinstance(columns := getattr(indicator, name), dict) and indicator.observed is not None:
                _check_same_periods(indicator.observed, columns, f"{at}.{name}", problems)


def _check_same_periods(
    observed: str | dict[str, str] | None, columns: dict[str, str], at: str, problems: Problems
) -> None:
    odd = sorted(set(observed if isinstance(observed, dict) else ()) ^ set(columns))
    if odd:
        problems.add(f"{at} needs to have the periods of observed; got others ({examples(odd)}).")


def _check_exposure(draft: SimpleNamespace, problems: Problems) -> None:
    for at, indicator in _numbered("indicators", draft):
        if record_checks.from_records(indicator):
            continue
        if indicator.exposure is None and indicator.family != "gaussian":
            problems.add(f"{at}.exposure needs to be a column for family {indicator.family}; got nothing.")
        if indicator.observed_units is not None and indicator.family == "gaussian":
            problems.add(f"{at}.observed_units needs to be of counts; got values (gaussian).")


def _check_priority(draft: SimpleNamespace, problems: Problems) -> None:
    if draft.priority.per is not None:
        levels = list(draft.areas.parents)
        detector_checks.check_known(
            draft.priority.per, levels, "priority.per", "a level of areas.parents", problems
        )


def _numbered(section: str, draft: SimpleNamespace) -> Iterator[tuple[str, Any]]:
    """Yield the items of a section, each with its place in the file."""
    for number, item in enumerate(getattr(draft, section), 1):
        yield f"{section}[{number}: {item.id}]", item


_CHECKS: tuple[tuple[tuple[str, ...], _Check], ...] = (
    (("study", "areas"), _check_areas_path),
    (("study", "tables"), _check_table_paths),
    (("study", "sources"), _check_source_paths),
    (("microdata", "sources"), record_checks.check_key),
    (("branches", "sources"), _check_branches),
    (("sources",), record_checks.check_source_names),
    (("study", "indicators"), record_checks.read_query_files),
    (("indicators", "sources"), record_checks.check_queries),
    (("indicators",), record_checks.check_choices),
    (("study", "features"), _check_features_path),
    (("study", "changes"), _check_changes_path),
    (("study", "truth"), _check_truth_path),
    (("areas",), _check_parents),
    (("tables",), _check_unique_ids("tables")),
    (("indicators",), _check_unique_ids("indicators")),
    (("tables", "indicators"), _check_table_names),
    (("tables", "indicators"), _check_periods),
    (("indicators",), _check_exposure),
    (("areas", "priority"), _check_priority),
    (("areas", "detectors"), detector_checks.check_references),
    (("features", "peers", "detectors"), detector_checks.check_features),
    (("indicators", "detectors"), detector_checks.check_families),
    (("indicators", "detectors", "combine"), detector_checks.check_themes),
    (("indicators", "detectors", "combine"), detector_checks.check_combined),
    (("detectors",), detector_checks.check_expected),
    (("detectors", "flags", "combine"), detector_checks.check_context),
    (("detectors",), detector_checks.check_different_detectors),
)
"""Checks across keys, each with the sections that must be right in themselves before it makes sense."""
