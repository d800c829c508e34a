"""The report of a run: what was read, what was flagged, what the reader has to know."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo_geo._version import __version__
from zoo_geo.areas import Areas
from zoo_geo.detectors.base import Detection
from zoo_geo.facts import Language, number
from zoo_geo.flags import Flags
from zoo_geo.notices import told
from zoo_geo.outputs.folder import marked
from zoo_geo.outputs.report_words import COLUMNS, HEADINGS
from zoo_geo.outputs.tables import NOTICE
from zoo_geo.panel import Panel
from zoo_geo.peer_quality import REASONS, SHAKY, STABILITY
from zoo_geo.peers import Peers
from zoo_geo.schema import SMALL_EXPOSURE

_KEYS = ["area", "indicator", "period"]


def make_report(
    *,
    title: str,
    areas: Areas,
    panel: Panel,
    detections: Sequence[Detection],
    flags: Flags,
    left_out: str,
    truth: pd.DataFrame | None = None,
    notices: Iterable[str] = (),
    structure: pd.DataFrame | None = None,
    peers: Peers | None = None,
    indicators: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Return the report of a run as plain data.

    Parameters
    ----------
    title
        Title of the study.
    areas, panel, detections, flags
        What the run read and found.
    left_out
        What the capacity for follow-up leaves out, in words.
    truth
        Known anomalies, columns area, indicator, period, kind and ratio.
    notices
        What else the reader has to know.
    structure
        Global statistics of every indicator and period, as `global_statistics` gives them.
    peers
        Areas that are alike.
    indicators
        What is said of each: ``id``, ``title``, ``question``, ``definition`` and ``source``.
    """
    return {
        "internal": NOTICE,
        "title": title,
        "zoo_geo": __version__,
        "areas": len(areas),
        "indicators": [dict(each) for each in indicators],
        "detectors": [detection.name for detection in detections],
        "notices": _notices(areas, panel, flags, notices),
        "cells": _counted(flags.cells, "indicator", "status"),
        "classes": _counted(flags.cells, "indicator", "class"),
        "flags": _flags_by_column(flags.frame),
        "flags_by_detector": _flags_by_detector(flags.evidence),
        "small_exposure": _small_exposure(flags.frame, panel),
        "follow_up": left_out,
        **({} if truth is None else {"truth": compare(_single(flags.frame, panel), truth)}),
        **({} if structure is None else {"structure": _structure(structure)}),
        **({} if peers is None else {"peers": _peers(peers, flags)}),
        **({"covariates": rows} if (rows := _covariates(flags)) else {}),
    }


def _single(flagged: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """Flags of single indicators: a combination is no anomaly of one figure."""
    return flagged[flagged["indicator"].isin([each.id for each in panel.indicators])]


def write_report(report: Mapping[str, Any], folder: Path, language: Language) -> list[Path]:
    """Write the report as JSON and as text."""
    data, text = folder / marked("report", ".json"), folder / marked("report", ".md")
    data.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    text.write_text(as_markdown(report, language), encoding="utf-8", newline="\n")
    return [data, text]


def compare(flagged: pd.DataFrame, truth: pd.DataFrame) -> dict[str, Any]:
    """Compare flags with known anomalies, cell by cell and in the same direction.

    A flag on an area that is odd in another period only counts as none.

    Parameters
    ----------
    flagged
        ``Flags.frame``.
    truth
        Columns area, indicator, period, kind and ratio.
    """
    planted = truth.assign(direction=np.where(truth["ratio"] >= 1, "high", "low"))
    keys = [*_KEYS, "direction"]
    found = planted.merge(flagged[keys].astype(str), on=keys, how="left", indicator="match")["match"].eq(
        "both"
    )
    hits = planted.loc[found.to_numpy()]
    by_kind = planted["kind"].value_counts(sort=False).rename("planted").to_frame()
    by_kind["found"] = hits["kind"].value_counts().reindex(by_kind.index, fill_value=0)
    return {
        "planted": len(planted),
        "found": len(hits),
        "by_kind": _records(by_kind),
        "flags": len(flagged),
        "flags_that_are_none": len(flagged) - len(hits),
        "share_none": round(1 - len(hits) / len(flagged), 4) if len(flagged) else 0.0,
    }


def _structure(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Global statistics as one row per indicator and period that has figures."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    numbers = ("statistic", "expected", "z", "p_value")
    for line in frame[frame["status"] != "missing"].to_dict("records"):
        key = str(line["indicator"]), str(line["period"])
        row = rows.setdefault(key, dict(zip(_KEYS[1:], key, strict=True)) | {"areas": line["n_areas"]})
        known = line["status"] == "ok"
        row[str(line["measure"])] = {"field": line["field"], "status": line["status"]} | (
            {name: float(line[name]) for name in numbers} | {"permutations": int(line["permutations"])}
            if known
            else {}
        )
    return list(rows.values())


def _peers(peers: Peers, flags: Flags) -> dict[str, Any]:
    """Who made the peers, how alike and how stable they are, who has none, and which flags rest on few."""
    quality, asked = peers.quality, peers.parameters
    good = quality[quality["good"]]
    lacking = {reason: quality.index[quality["reason"] == reason] for reason in REASONS if reason != "ok"}
    return {
        "id": peers.id,
        "method": peers.method,
        "features": sorted(asked["features"]),
        **{name: asked[name] for name in ("k", "within", "exclude", "scaling", "missing", "weights")},
        "too_far": _plain(asked["too_far"]),
        "areas": len(quality),
        "good": len(good),
        **{name: _plain(good[name].median()) for name in _PEER_MEDIANS},
        "resamples": asked["resamples"],
        "shaky_flags": _shaky(good, flags),
        "lacking": {reason: list(map(str, codes)) for reason, codes in lacking.items() if len(codes)},
    }


def _shaky(good: pd.DataFrame, flags: Flags) -> list[str]:
    """Return flags that peers support of which less than half would stay."""
    shaky = good.index[(good[list(STABILITY)] < SHAKY).any(axis=1)]
    rows = flags.evidence[(flags.evidence["reference"] == "peers") & flags.evidence["supports"]]
    return sorted(set(rows.loc[rows["area"].isin(shaky), "flag_id"].astype(str)))


def _plain(value: float) -> float | None:
    """Round to four digits behind the point; JSON knows finite numbers only."""
    return round(float(value), 4) if np.isfinite(value) else None


def _covariates(flags: Flags) -> list[dict[str, Any]]:
    """How far each flag is from all areas together, and from what covariates lead to expect."""
    evidence = flags.evidence
    rows = evidence[(evidence["reference"] == "model") & evidence["ratio_before"].notna()]
    directions = flags.frame.set_index("flag_id")["direction"]
    return [
        {name: str(row[name]) for name in _KEYS}
        | {"direction": str(directions[row["flag_id"]])}
        | {"ratio_before": _plain(row["ratio_before"]), "ratio_after": _plain(row["ratio"])}
        | {"explained": _plain(row["explained"])}
        for row in rows.to_dict("records")
    ]


def _notices(areas: Areas, panel: Panel, flags: Flags, more: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*areas.notices, *panel.notices, *more, *flags.notices]))


def _counted(table: pd.DataFrame, row: str, column: str) -> list[dict[str, Any]]:
    """Count rows by two columns, in order of appearance."""
    words = table[[row, column]].astype(str)
    counts = pd.crosstab(words[row], words[column]).reindex(words[row].unique())
    return [{name: n for name, n in line.items() if n != 0} for line in _records(counts)]


def _flags_by_column(flagged: pd.DataFrame) -> list[dict[str, Any]]:
    """Count flags by indicator and period."""
    words = flagged[["indicator", "period", "direction"]].astype(str)
    counts = pd.crosstab([words["indicator"], words["period"]], words["direction"])
    return _records(counts.reindex(columns=["high", "low"], fill_value=0))


def _flags_by_detector(evidence: pd.DataFrame) -> list[dict[str, Any]]:
    """Count flags by the detector that raises them; several may raise one."""
    raised = evidence.loc[evidence["raises"].astype(bool), ["detector", "reference"]].astype(str)
    names = raised["detector"] + ":" + raised["reference"]
    return _records(names.value_counts(sort=False).rename_axis("detector").rename("flags").to_frame())


def _records(counts: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows with their index as plain data."""
    counts.columns = counts.columns.astype(str)
    plain: list[dict[str, Any]] = json.loads(counts.reset_index().to_json(orient="records"))
    return plain


def _small_exposure(flagged: pd.DataFrame, panel: Panel) -> dict[str, Any]:
    """Count flags on areas with little exposure; weights of values are no exposure."""
    chosen = {each.id: each for each in panel.indicators}
    flags = [
        (chosen[str(id)], exposure)
        for id, exposure in zip(flagged["indicator"], flagged["exposure"], strict=True)
        if str(id) in chosen
    ]
    counted = [exposure < SMALL_EXPOSURE * each.per for each, exposure in flags if each.family == "poisson"]
    return {"below": SMALL_EXPOSURE, "flags": int(sum(counted)), "of": len(counted)}


def as_markdown(report: Mapping[str, Any], language: Language) -> str:
    """Return the report as text."""
    words = HEADINGS[language]
    read = words["read"].format(
        areas=number(report["areas"], language, 15), detectors=", ".join(report["detectors"])
    )
    parts = [f"# {_escaped(report['title'])}", f"**{words['internal']}**", read]
    parts += [f"## {words['notices']}", small_exposure_line(report, language)]
    parts.append(_bullets(told(notice, language) for notice in report["notices"]))
    if lines := list(filter(None, map(about, report.get("indicators", [])))):
        parts += [f"## {words['indicators']}", _bullets(lines)]
    if "truth" in report:
        table = _table(report["truth"]["by_kind"], language)
        parts += [f"## {words['truth']}", truth_line(report, language), table]
    if report.get("structure"):
        parts += [f"## {words['structure']}", *_structure_parts(report["structure"], language)]
    if "peers" in report:
        parts += [f"## {words['peers']}", *_peers_parts(report["peers"], language)]
    if "covariates" in report:
        parts += [f"## {words['covariates']}", *_covariates_parts(report["covariates"], language)]
    for name in ("flags", "flags_by_detector", "classes", "cells"):
        parts += [f"## {words[name]}", _table(report[name], language)]
    parts += [f"## {words['follow_up']}", told(report["follow_up"], language)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _structure_parts(rows: Sequence[Mapping[str, Any]], language: Language) -> list[str]:
    """Say in words and in a table whether figures have spatial structure."""
    words, readings = HEADINGS[language], [_reading(row) for row in rows]
    lines = [_structure_line(row, reading, language) for row, reading in zip(rows, readings, strict=True)]
    tested = [reading for reading in readings if reading in _READINGS]
    if not tested:
        return [_table(lines, language)]
    unlike, extreme = tested.count("unlike"), tested.count("extreme")
    summary = words["alike"].format(
        alike=tested.count("alike"), of=len(tested), unlike=words["unlike"].format(n=unlike) if unlike else ""
    )
    said = [summary, words["extreme"].format(n=extreme) if extreme else "", words["explained"]]
    draws = max(row["moran"].get("permutations", 0) for row in rows)
    measures = words["measures"].format(
        permutations=number(draws, language, 15), least=number(2 / (draws + 1), language, 1)
    )
    return [" ".join(filter(None, said)), _table(lines, language), measures]


def _peers_parts(peers: Mapping[str, Any], language: Language) -> list[str]:
    """Say how many areas have good peers, how alike those are, and who has none or few."""
    words = HEADINGS[language]
    counts = {name: number(peers[name], language, 15) for name in ("good", "areas")}
    said = [words["peers_good"].format(**counts, features=", ".join(peers["features"]) or peers["within"])]
    said += [
        words[f"peers_{name}"].format(n=number(peers[name], language, 2))
        for name in _PEER_MEDIANS
        if peers[name] is not None
    ]
    if peers["shaky_flags"]:
        said.append(words["peers_shaky"].format(n=number(len(peers["shaky_flags"]), language, 15)))
    rows = [
        {"reason": COLUMNS[language].get(reason, reason), "areas": number(len(codes), language, 15)}
        | {"for_example": ", ".join(codes[:_EXAMPLES])}
        for reason, codes in peers["lacking"].items()
    ]
    said.append(words["peers_id"].format(id=peers["id"]))
    return [_escaped(" ".join(said)), _table(rows, language) if rows else ""]


def about(indicator: Mapping[str, str]) -> str:
    """Say what an indicator is, in a line; nothing where the study says nothing."""
    told = [indicator[name] for name in ("question", "definition", "source") if indicator[name]]
    title = indicator["title"] or indicator["id"]
    return f"{title} ({indicator['id']}): {' · '.join(told)}" if told else ""


_PEER_MEDIANS = ("distance_mean", *STABILITY)
_EXAMPLES = 5
_MOST_ROWS = 20


def _covariates_parts(rows: Sequence[Mapping[str, Any]], language: Language) -> list[str]:
    """Say of how many flags covariates explain a part, and show the strongest flags."""
    words = HEADINGS[language]
    parts = [row["explained"] for row in rows if _same_way(row)]
    counts = {"of": len(parts), "half": sum(e >= 0.5 for e in parts), "none": sum(e < 0.125 for e in parts)}
    summary = words["covariates_told"].format(**{name: number(n, language, 15) for name, n in counts.items()})
    lines = [
        {name: row[name] for name in _KEYS}
        | {"direction": COLUMNS[language].get(row["direction"], row["direction"])}
        | {name: "" if row[name] is None else number(row[name], language, 2) for name in _RATIOS}
        for row in rows[:_MOST_ROWS]
    ]
    more = len(rows) - len(lines)
    return [
        summary,
        _table(lines, language),
        words["more"].format(n=number(more, language, 15)) if more else "",
    ]


_RATIOS = ("ratio_before", "ratio_after", "explained")


def _same_way(row: Mapping[str, Any]) -> bool:
    """Tell whether an area is flagged on the side of all areas together on which it lies."""
    return row["explained"] is not None and (row["ratio_before"] > 1.0) == (row["direction"] == "high")


_READINGS = ("alike", "unlike", "extreme", "none")


def _reading(row: Mapping[str, Any]) -> str:
    """Say what Moran tells, unless Geary tells the opposite; or why there is nothing to tell."""
    moran, geary = row["moran"], row["geary"]
    if moran["status"] != "ok":
        return str(moran["status"])
    if moran["p_value"] > 0.05:
        return "none"
    if moran["z"] * geary["z"] > 0:
        return "extreme"
    return "alike" if moran["z"] > 0 else "unlike"


def _structure_line(row: Mapping[str, Any], reading: str, language: Language) -> dict[str, str]:
    """One row of the table; cells without a figure stay empty."""
    line = {name: str(row[name]) for name in _KEYS[1:]}
    for measure in ("moran", "geary", "getis_ord"):
        found, known = row[measure], row[measure]["status"] == "ok"
        shown = found["statistic"] / (found["expected"] if measure == "getis_ord" else 1.0) if known else 0.0
        line[measure] = number(shown, language) if known else ""
        line[f"{measure}_p"] = number(found["p_value"], language, 2) if known else ""
    words = HEADINGS[language] | COLUMNS[language]
    said = f"reading_{reading}" if reading in _READINGS else reading
    return line | {"reading": words.get(said, reading)}


def small_exposure_line(report: Mapping[str, Any], language: Language) -> str:
    """Say how many flags lie on areas with little exposure; nothing where no flag is on counts."""
    words, small = HEADINGS[language], report["small_exposure"]
    if not small["of"]:
        return ""
    counts = {name: number(n, language, 15) for name, n in small.items()}
    return words["small"].format(**counts, lie=words["lie_1" if small["flags"] == 1 else "lie"])


def truth_line(report: Mapping[str, Any], language: Language) -> str:
    """Say how many planted anomalies were found, and how many flags are none."""
    truth = report["truth"]
    counts = {name: number(truth[name], language, 15) for name in ("planted", "found", "flags")}
    none, share = (
        number(n, language, 15) for n in (truth["flags_that_are_none"], round(100 * truth["share_none"], 1))
    )
    words = HEADINGS[language]
    were = words["were_1" if truth["found"] == 1 else "were"]
    are = words["are_1" if truth["flags_that_are_none"] == 1 else "are"]
    return words["compared"].format(**counts, none=none, share=share, were=were, are=are)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_escaped(line)}" for line in lines)


_WORDS_OF_OURS = ("period", "kind")
"""Columns in which a value can be one of our words, as in "all" for a table without periods."""


def _table(rows: Sequence[Mapping[str, Any]], language: Language) -> str:
    """Return a table with the keys of all rows as columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    headings = [COLUMNS[language].get(name, name) for name in names]
    if not rows:
        return HEADINGS[language]["none"]
    words = {name: COLUMNS[language] if name in _WORDS_OF_OURS else {} for name in names}
    cells = ([str(words[name].get(str(row.get(name)), row.get(name, 0))) for name in names] for row in rows)
    lines = [headings, ["---"] * len(names), *cells]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _escaped(text: str) -> str:
    """Keep text of the data from being read as markup, and ``p <= 0.001`` readable."""
    plain = re.sub(r"&(?=#?\w+;)", "&amp;", " ".join(str(text).split()))
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", plain).replace("|", "\\|")
