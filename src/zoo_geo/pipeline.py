"""The whole flow, from a study file to a folder of results; the only module that knows all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import geopandas as gpd
import pandas as pd

from zoo_geo.areas import Areas
from zoo_geo.co_occurrences import co_occurrence
from zoo_geo.detectors.base import Detection
from zoo_geo.detectors.local import Value
from zoo_geo.detectors.themes import COMBINATION
from zoo_geo.explain import sentence
from zoo_geo.facts import Row
from zoo_geo.flags import Flags, flag
from zoo_geo.inputs import Inputs, read_inputs
from zoo_geo.microdata import Aggregates
from zoo_geo.outputs.folder import results_folder
from zoo_geo.outputs.page import write_page
from zoo_geo.outputs.plots import can_draw, write_plots
from zoo_geo.outputs.report import about, make_report, small_exposure_line, write_report
from zoo_geo.outputs.tables import write_table
from zoo_geo.panel import Panel
from zoo_geo.priorities import Priority, priority
from zoo_geo.structure import global_statistics
from zoo_geo.study import Study, load_study

_ARRANGEMENTS = 999
"""Enough to tell structure from chance, exact however skewed the figures; 10 columns of 14,400 areas take
one thread about a second."""

_MEASURED: tuple[tuple[Value, tuple[str, ...]], ...] = (
    ("eb_rate", ("moran", "geary")),
    ("rate", ("getis_ord",)),
)
"""Moran and Geary of standardised rates, as unequal populations give rates structure; G of rates."""

Progress = Callable[[str, int, int], None]
"""Told what begins, how many steps are done, and how many there are."""


@dataclass(frozen=True, eq=False)
class Result:
    """What a run found and wrote.

    Parameters
    ----------
    flags
        The flagged list, with ``rank``, ``selected`` and ``sentence``.
    detections
        What each detector found, in the order of the study.
    priority
        Follow-up under capacity.
    panel, areas
        What was read.
    structure
        Global statistics of every indicator and period.
    report
        The report as plain data.
    paths
        The files written.
    aggregates
        Contributors and largest contributions of figures that came from records; None where none did.
    """

    study: Study
    flags: Flags
    detections: tuple[Detection, ...]
    priority: Priority
    panel: Panel
    areas: Areas
    structure: pd.DataFrame
    report: dict[str, Any]
    paths: tuple[Path, ...]
    aggregates: Aggregates | None = None


def run(study: str | Path | Study, out: str | Path, progress: Progress | None = None) -> Result:
    """Run a study and write its results.

    Parameters
    ----------
    study
        Path of a study file, or one that `load_study` read.
    out
        Folder for the results; as it was before unless the run ends well.
    progress
        Called at every step.

    Raises
    ------
    InputError
        The study file or its data are wrong: one line per problem, all together.
    """
    study = study if isinstance(study, Study) else load_study(study)
    more = (study.peers is not None) + study.outputs.page + study.outputs.plots
    steps = _Steps(progress, 6 + len(study.detectors) + more)
    with results_folder(out) as folder:
        inputs = read_inputs(study, steps.begin)
        single = tuple(_detect(inputs, steps))
        detections = (*single, *_combined(inputs, single))
        steps.begin("flags")
        flags = _flagged(inputs, detections)
        order = _prioritised(inputs, flags)
        flags = replace(flags, frame=_told(flags.frame, order.frame, inputs))
        structure = _structure(inputs)
        report = _report(inputs, detections, flags, order, structure)
        names = _write(inputs, flags, _clusters(detections), report, folder, steps)
        if study.outputs.plots:
            steps.begin("plots")
            names += _drawn(inputs, detections, flags, folder)
        steps.begin("results in place")
    paths = tuple(Path(out) / name for name in names)
    steps.end()
    found = (study, flags, detections, order, inputs.panel, inputs.areas, structure, report, paths)
    return Result(*found, inputs.aggregates)


class _Steps:
    """Counts steps for whoever watches."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress or (lambda *_: None)
        self._done, self._total = -1, total

    def begin(self, name: str) -> None:
        """Say what begins; what came before is done."""
        self._done += 1
        self._progress(name, self._done, self._total)

    def end(self) -> None:
        """Say that all is done."""
        self._progress("done", self._total, self._total)


def _detect(inputs: Inputs, steps: _Steps) -> Iterable[Detection]:
    """Run every detector of the study, after the one whose expected counts it takes."""
    study = inputs.study
    found: dict[int, Detection] = {}
    waiting = [bool(getattr(detector, "expected", None)) for detector in study.detectors]
    for k in sorted(range(len(study.detectors)), key=lambda k: waiting[k]):
        detector = study.detectors[k]
        steps.begin(study.detector_names()[k])
        alike = getattr(detector, "reference", "") == "peers" and not waiting[k]
        named = {each.name: each for each in found.values()}
        found[k] = detector.detect(
            inputs.panel,
            inputs.peers if alike else inputs.graph,
            areas=inputs.areas,
            features=inputs.features,
            seed=study.study.seed,
            **({"expected": named[detector.expected]} if waiting[k] else {}),
        )
    return [found[k] for k in range(len(study.detectors))]


def _combined(inputs: Inputs, single: Sequence[Detection]) -> Iterable[Detection]:
    """Combine the p-values of each theme that the study asks for."""
    known = {each.name: each for each in single if each.evidence != COMBINATION and each.controls == "cell"}
    for asked in inputs.study.combine:
        found = [known[name] for name in asked.detectors or list(known)[:1]]
        yield co_occurrence(found, asked.theme, alternative=asked.alternative, at_least=asked.at_least)


def _flagged(inputs: Inputs, detections: Sequence[Detection]) -> Flags:
    study, rules = inputs.study, inputs.study.flags
    return flag(
        detections,
        study.study.alpha,
        method=rules.method,
        min_ratio=rules.min_ratio,
        min_excess=rules.min_excess,
        min_count=rules.min_count,
        context=rules.context,
        study=study.study.id,
        areas=inputs.areas,
        graph=inputs.graph,
    )


def _prioritised(inputs: Inputs, flags: Flags) -> Priority:
    rules = inputs.study.priority
    return priority(flags, rules.capacity, per=rules.per, direction=rules.direction)


def _told(flagged: pd.DataFrame, order: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """Add rank, selection and sentence to the flags."""
    ranks = order.set_index("flag_id")[["rank", "selected"]].reindex(flagged["flag_id"])
    units = {item.id: item.unit for item in inputs.panel.indicators}
    rows = flagged.assign(unit=flagged["indicator"].map(units)).to_dict("records")
    return flagged.assign(
        rank=ranks["rank"].astype("Int64").array,
        selected=ranks["selected"].eq(True).to_numpy(),
        sentence=[sentence(cast(Row, row), inputs.study.language) for row in rows],
    )


def _structure(inputs: Inputs) -> pd.DataFrame:
    """Global statistics of every indicator and period, each of its own figures."""
    frames = [
        global_statistics(
            inputs.panel,
            inputs.graph,
            value=value,
            measures=measures,
            areas=inputs.areas,
            permutations=_ARRANGEMENTS,
            seed=inputs.study.study.seed,
        )
        for value, measures in _MEASURED
    ]
    parts = [
        frame.set_axis(frame.index // len(measures))
        for frame, (_, measures) in zip(frames, _MEASURED, strict=True)
    ]
    return pd.concat(parts).sort_index(kind="stable").reset_index(drop=True)


def _report(
    inputs: Inputs, detections: Sequence[Detection], flags: Flags, order: Priority, structure: pd.DataFrame
) -> dict[str, Any]:
    return make_report(
        title=inputs.study.title,
        areas=inputs.areas,
        panel=inputs.panel,
        detections=detections,
        flags=flags,
        left_out=order.left_out,
        truth=inputs.truth,
        notices=inputs.notices,
        structure=structure,
        peers=inputs.peers,
        indicators=_about(inputs.study),
    )


def _about(study: Study) -> list[dict[str, str]]:
    """Return what the study says of its indicators, in its language."""
    texts = ("title", "question", "definition", "source", "unit")
    return [
        {"id": each.id, "theme": each.theme} | {name: study.within(getattr(each, name)) for name in texts}
        for each in study.indicators
    ]


def _clusters(detections: Sequence[Detection]) -> pd.DataFrame | None:
    """Clusters of all detectors that look for any, their members named one after the other."""
    tables = [
        each.clusters.assign(detector=each.detector, reference=each.reference)
        for each in detections
        if each.clusters is not None
    ]
    if not tables:
        return None
    table = pd.concat(tables, ignore_index=True)
    first = ["detector", "reference"]
    table["members"] = ["; ".join(map(str, members)) for members in table["members"]]
    return table[[*first, *table.columns.drop(first)]]


def _write(
    inputs: Inputs,
    flags: Flags,
    clusters: pd.DataFrame | None,
    report: dict[str, Any],
    folder: Path,
    steps: _Steps,
) -> list[str]:
    """Write everything and return the names of the files."""
    outputs, shapes, language = inputs.study.outputs, inputs.areas.frame.geometry, inputs.study.language
    steps.begin("result tables")
    tables = {
        "flags": _on_shapes(flags.frame, shapes),
        "evidence": _on_shapes(flags.evidence, shapes),
        "cells": _with_contributors(_with_figures(flags.cells), inputs.aggregates),
        "indicators": pd.DataFrame(report["indicators"]).rename(columns={"id": "indicator"}),
    } | ({} if clusters is None else {"clusters": clusters})
    paths = [
        path
        for stem, table in tables.items()
        for path in write_table(
            table, stem, folder, outputs.formats, csv_bom=outputs.csv_bom, csv_dialect=outputs.csv_dialect
        )
    ]
    paths += write_report(report, folder, language)
    if outputs.page:
        steps.begin("page")
        paths.append(
            write_page(
                folder,
                title=inputs.study.title,
                language=language,
                areas=inputs.areas,
                panel=inputs.panel,
                flags=flags,
                about={each["id"]: about(each) for each in report["indicators"]},
                notices=[*filter(None, [small_exposure_line(report, language)]), *report["notices"]],
            )
        )
    return [path.name for path in paths]


def _drawn(inputs: Inputs, detections: Sequence[Detection], flags: Flags, folder: Path) -> list[str]:
    """Draw each detection of an area's own figure and return the names of the files."""
    paths = [
        path
        for detection in detections
        if can_draw(detection)
        for path in write_plots(
            detection, folder, flags=flags, areas=inputs.areas, lang=inputs.study.language
        )
    ]
    return [path.name for path in paths]


def _with_figures(cells: pd.DataFrame) -> pd.DataFrame:
    """Leave out the periods in which an indicator has no figure at all."""
    figures = cells["status"].ne("missing").groupby([cells["indicator"], cells["period"]], observed=True)
    return cells[figures.transform("any")]


def _with_contributors(cells: pd.DataFrame, aggregates: Aggregates | None) -> pd.DataFrame:
    """Put beside figures of records what disclosure control needs to know of them."""
    if aggregates is None:
        return cells
    keys, names = ["area", "indicator", "period"], ["contributors", "largest", "second_largest"]
    known = aggregates.frame.astype(dict.fromkeys(keys, str)).set_index(keys)[names]
    found = known.astype({"contributors": "Int64"}).reindex(pd.MultiIndex.from_frame(cells[keys].astype(str)))
    return cells.assign(**{name: found[name].array for name in names})


def _on_shapes(table: pd.DataFrame, shapes: gpd.GeoSeries) -> gpd.GeoDataFrame:
    geometry = shapes.reindex(table["area"].astype(str)).to_numpy()
    return gpd.GeoDataFrame(table, geometry=geometry, crs=shapes.crs)
