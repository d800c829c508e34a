"""The sections of the study file: frozen dataclasses whose fields are the keys."""

# ruff: noqa: RUF009  (`key` returns a dataclass field)
from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from zoo_geo.microdata import Aggregate
from zoo_geo.records import MEMORY, Limits
from zoo_geo.strict import key

Language = Literal["nl", "en"]
Format = Literal["geoparquet", "gpkg", "geojson", "csv"]

_ID = {"pattern": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*"), "form": "of letters, digits, _ . and -"}
_FILLED = {"pattern": re.compile(r"(?s).*\S.*"), "form": "that is not empty"}


@dataclass(frozen=True)
class Text:
    """A text in the languages of the study."""

    nl: str = key("In Dutch.", "")
    en: str = key("In English.", "")

    def within(self, language: Language) -> str:
        """Return the text in a language, else in the other one."""
        return getattr(self, language) or self.nl or self.en


@dataclass(frozen=True)
class About:
    """What the study is called and how it is run."""

    id: str = key("Short name; part of every flag's id.", **_ID)
    title: str = key("Title on the page and in the report.", "")
    language: Language = key("Language of sentences, page and report.", "nl")
    alpha: float = key("Share of flags that may be chance (false-discovery rate).", 0.05, above=0, below=1)
    seed: int = key("Start of all random draws.", 7, least=0)
    allow_outside: bool = key("Whether paths may leave the folder of the study file.", False)


@dataclass(frozen=True)
class AreasSource:
    """Where the areas come from."""

    path: Path = key("GeoPackage, GeoParquet, GeoJSON or shapefile, relative to the study file.")
    layer: str | None = key("Layer of the file, where it holds several.", None, **_FILLED)
    id: str | None = key("Column with the code of the area.", None, **_FILLED)
    name: str | None = key("Column with the name of the area.", None, **_FILLED)
    parents: dict[str, str] = key("Levels above, smallest first, and their code columns.", {}, **_FILLED)
    water: str | None = key("Column that says which areas are water.", None, **_FILLED)


@dataclass(frozen=True)
class Weights:
    """Which areas are neighbours; options are named as in libpysal."""

    method: Literal["queen", "rook", "knn", "distance_band", "kernel"] = key("Rule.", "queen")
    tolerance: float = key("Metres within which borders count as touching.", 0.0, least=0)
    vertices: bool | None = key("Queen by shared vertices: faster, for maps with clean borders.", None)
    k: int | None = key("Number of nearest neighbours.", None, least=1)
    threshold: float | None = key("Largest distance between neighbours, in metres.", None, above=0)
    binary: bool | None = key("Whether every neighbour within the distance counts alike.", None)
    alpha: float | None = key("Power of the distance decay.", None)
    kernel: str | None = key("Shape of the kernel.", None, **_FILLED)
    bandwidth: float | None = key("Width of the kernel, in metres.", None, above=0)

    @property
    def options(self) -> dict[str, Any]:
        """The options that are given, without method and tolerance."""
        names = [item.name for item in fields(self) if item.name not in ("method", "tolerance")]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


@dataclass(frozen=True)
class TableSource:
    """A table of figures, one row per area (and period)."""

    id: str = key("Name of the table within the study.", **_ID)
    path: Path = key("A .csv or .parquet file, relative to the study file.")
    area: str = key("Column with the code of the area.", **_FILLED)
    period: str | None = key("Column with the period, for one row per area and period.", None, **_FILLED)
    unknown_areas: Literal["error", "drop"] = key(
        "What to do with rows of areas that are not on the map.", "error"
    )
    dialect: Literal["plain", "cbs"] = key(
        "cbs: as Statistics Netherlands writes it, see `read_cbs`; area is then 'area'.", "plain"
    )
    level: Literal["gemeente", "wijk", "buurt"] = key("Which rows of a table of CBS.", "buurt")


@dataclass(frozen=True)
class ChangesSource:
    """Areas that changed between periods: code changes as of CBS, or weights; see `link_periods`."""

    path: Path = key("A .csv or .parquet file, relative to the study file.")
    period: str = key("Column with the first period of the new codes.", "period", **_FILLED)
    area: str = key("Column with the code in that period.", "area", **_FILLED)
    change: str = key("Column with 1 unchanged, 2 recoded or 3 boundary changed.", "change", **_FILLED)
    previous: str = key("Column with the old code of what was recoded.", "previous", **_FILLED)
    old: str = key("Column with the old code, for weights.", "old", **_FILLED)
    new: str = key("Column with the new code, for weights.", "new", **_FILLED)
    weight: str = key("Column with the share of the old area that goes to the new one.", "weight", **_FILLED)
    unknown_areas: Literal["error", "drop"] = key(
        "What to do with changes of areas that are in no table and not on the map.", "error"
    )


@dataclass(frozen=True)
class IndicatorChoice:
    """What is counted or measured, and out of what."""

    id: str = key("Short name.", **_ID)
    observed: str | dict[str, str] | None = key(
        "Column with what was seen; or one column per period.", None, **_FILLED
    )
    query: str | None = key(
        "From records: one SELECT that returns area, period, unit, value and, where wanted, branch.", None,
        **_FILLED,
    )  # fmt: skip
    query_file: Path | None = key("The same in a file, relative to the study file.", None)
    aggregate: Aggregate = key("What a query becomes: see the reference.", "count_units")
    exposure_query: str | None = key("The exposure from records, as query.", None, **_FILLED)
    exposure_aggregate: Literal["count_units", "sum"] = key("What exposure_query becomes.", "count_units")
    theme: str = key("Theme that it belongs to.", "")
    title: str | Text = key("Title, in one language or both.", "")
    question: str | Text = key("The question that it answers, in one language or both.", "")
    definition: str | Text = key("What is counted, exactly.", "")
    source: str | Text = key("Where the figures come from.", "")
    unit: str | Text = key("What the exposure counts, in the plural: 'residents'.", "")
    table: str | None = key("Table that holds it; may be left out where there is one table.", None)
    exposure: str | dict[str, str] | None = key(
        "Column with the exposure; or one column per period.", None, **_FILLED
    )
    observed_units: str | dict[str, str] | None = key(
        "Column with the distinct subjects behind the events, or one per period: what is tested then.", None,
        **_FILLED,
    )  # fmt: skip
    family: Literal["poisson", "binomial", "gaussian"] = key("Counts, counts out of, or values.", "poisson")
    per: float | None = key("Exposure that rates are per: 1000, binomial 100, gaussian 1.", None, above=0)


@dataclass(frozen=True)
class MicrodataRules:
    """How records are read; see `read_microdata`."""

    key_file: Path | None = key(
        "File with the key of the codes, 16 bytes or more; may lie outside the folder of the study.", None
    )
    key_env: str | None = key("Variable of the environment with that key.", None, **_FILLED)
    memory: str = key("Memory that the database may take.", "4GB", **MEMORY)
    threads: int = key("Threads that the database may use.", 2, least=1)
    seconds: float = key("Seconds that one query may take.", 600.0, above=0)
    unknown_areas: Literal["error", "drop"] = key(
        "What to do with records of areas that are not on the map.", "error"
    )

    @property
    def limits(self) -> Limits:
        """Memory, threads and time."""
        return Limits(self.memory, self.threads, self.seconds)


@dataclass(frozen=True)
class FeaturesSource:
    """Features of areas: one row per area, columns of numbers and of classes."""

    path: Path = key("A .csv or .parquet file, relative to the study file.")
    area: str = key("Column with the code of the area.", **_FILLED)
    columns: tuple[str, ...] = key("Columns to use; all when none is named.", (), **_FILLED)
    unknown_areas: Literal["error", "drop"] = key(
        "What to do with rows of areas that are not on the map.", "error"
    )


@dataclass(frozen=True)
class PeerRules:
    """Which areas are alike; see `build_peers`."""

    method: Literal["nearest", "strata", "kmeans", "ward", "hdbscan"] = key("Rule.", "nearest")
    k: int | Literal["all"] = key("Peers of each area, or all of its class or cluster.", 15, least=1)
    columns: tuple[str, ...] = key("Features that make areas alike; all when none is named.", (), **_FILLED)
    within: str | None = key("Feature or parent level of which peers share the class.", None, **_FILLED)
    exclude: tuple[str, ...] = key(
        "Who is no peer: those that share a parent level or feature, and 'neighbors'.", (), **_FILLED
    )
    scaling: Literal["robust", "z"] = key("By medians, or by mean and standard deviation.", "robust")
    weights: dict[str, float] = key("Feature to weight; 1 where none is given.", {}, above=0)
    missing: Literal["drop", "partial"] = key("What to do with areas that lack a feature.", "drop")
    max_distance: float | None = key("Largest mean distance to the peers, in spreads.", None, above=0)
    groups: int | None = key("Number of clusters of kmeans and ward.", None, least=2)
    resamples: int = key("How often areas are drawn anew to see if peers stay; 0 for never.", 20, least=0)


@dataclass(frozen=True)
class Combination:
    """A theme's figures taken together, see `co_occurrence`: do several deviate in one area?"""

    theme: str = key("Theme of the indicators, and name of the finding.", **_FILLED)
    detectors: tuple[str, ...] = key(
        "Detectors whose p-values are combined, as 'deviation:neighbours'; without any the first one.",
        (),
    )
    alternative: Literal["greater", "less", "two-sided"] = key("High, low, or either.", "greater")
    at_least: int = key("How many figures deviate at least.", 2, least=1)


@dataclass(frozen=True)
class FlagRules:
    """When a deviation becomes a flag."""

    method: Literal["bh", "by", "holm", "bonferroni"] = key("Correction for multiple testing.", "bh")
    min_ratio: float = key("Smallest ratio (or, below, its inverse) that matters.", 1.0, least=1)
    min_excess: float = key("Smallest difference from the expected number that matters.", 0.0, least=0)
    min_count: float = key("Smallest count that a statement is made about.", 5, least=0)
    context: tuple[str, ...] = key(
        "Detectors that stand beside a flag but raise none, as 'deviation:national'.", ()
    )


@dataclass(frozen=True)
class PriorityRules:
    """What can be followed up."""

    capacity: int = key("Number of flags that can be followed up, in all or per `per`.", 20, least=1)
    per: str | None = key("Level above that has this capacity each.", None)
    direction: Literal["high", "low"] = key("Which deviations are followed up.", "high")


@dataclass(frozen=True)
class Outputs:
    """What is written."""

    formats: tuple[Format, ...] = key("Formats of the tables.", ("geoparquet", "gpkg", "geojson", "csv"))
    csv_bom: bool = key("Whether csv files begin with the mark that Excel wants.", False)
    csv_dialect: Literal["international", "nl"] = key(
        "Commas and decimal points, or semicolons and decimal commas.", "international"
    )
    page: bool = key("Whether the map page is made.", True)
    plots: bool = key("Whether funnel plots are drawn, of the last period of each indicator.", False)


@dataclass(frozen=True)
class Truth:
    """Planted anomalies, where the figures are made up."""

    path: Path = key("A table with columns area, indicator, period, kind and ratio.")
