"""Registers of a country into areas: 18 million persons, 10 million addresses, 14,500 areas, 10 indicators.

Run ``python -m benchmarks.microdata [SHARE]`` for a share of the persons and addresses (0.1 for a tenth).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import duckdb
import pandas as pd

import zoo_geo as zg
from benchmarks.clock import cost

AREAS, PERSONS, ADDRESSES = 14_500, 18_000_000, 10_000_000

_PERSONS = """
COPY (SELECT 100000000 + (i * 7919) % {persons} AS bsn,
    'BU' || lpad(CAST((hash(i % {addresses}) % {areas}) AS VARCHAR), 8, '0') AS buurtcode, 2023 AS jaar,
    CAST(hash(i + 1) % 100 AS INTEGER) AS leeftijd, hash(i + 2) % 12 = 0 AS schulden,
    CAST(hash(i + 3) % 8000000 AS DOUBLE) / 70 AS inkomen, i % {addresses} AS adres
FROM range({persons}) r(i)) TO '{folder}/personen.parquet'
"""
_ADDRESSES = """
COPY (SELECT i AS adres, 'BU' || lpad(CAST((hash(i) % {areas}) AS VARCHAR), 8, '0') AS buurtcode,
    2023 AS jaar, hash(i + 4) % 50 = 0 AS park, CAST(hash(i + 5) % 900000 AS INTEGER) AS woz
FROM range({addresses}) r(i)) TO '{folder}/adressen.parquet'
"""
_OF_PERSONS = "SELECT buurtcode AS area, jaar AS period, bsn AS unit"
_OF_ADDRESSES = "SELECT buurtcode AS area, jaar AS period, adres AS unit"
_AT_PARKS = "SELECT a.buurtcode AS area, p.jaar AS period, bsn AS unit"


def write(folder: Path, share: float = 1.0) -> None:
    """Write the registers as Parquet."""
    sizes = {"persons": round(PERSONS * share), "addresses": round(ADDRESSES * share), "areas": AREAS}
    with duckdb.connect(config={"memory_limit": "2GB"}) as db:
        for sql in (_PERSONS, _ADDRESSES):
            db.execute(sql.format(folder=folder, **sizes))


def indicators() -> list[zg.RecordIndicator]:
    """Ten indicators: counts, shares, means and totals of persons, of addresses, and of both joined."""
    residents = f"{_OF_PERSONS} FROM personen"
    parks = "FROM personen p JOIN adressen a USING (adres) WHERE park"
    make = zg.RecordIndicator
    return [
        make("ouderen", f"{_OF_PERSONS} FROM personen WHERE leeftijd >= 65", exposure_query=residents),
        make("jongeren", f"{_OF_PERSONS} FROM personen WHERE leeftijd < 25", exposure_query=residents),
        make("schulden", f"{_OF_PERSONS}, schulden AS value FROM personen", "share", "binomial"),
        make("inkomen", f"{_OF_PERSONS}, inkomen AS value FROM personen", "mean", "gaussian"),
        make(
            "inkomen_per_inwoner",
            f"{_OF_PERSONS}, inkomen AS value FROM personen",
            "sum",
            "gaussian",
            exposure_query=residents,
        ),
        make("op_parken", f"{_AT_PARKS} {parks}", exposure_query=residents),
        make("schulden_op_parken", f"{_AT_PARKS}, schulden AS value {parks}", "share", "binomial"),
        make("woz", f"{_OF_ADDRESSES}, woz AS value FROM adressen", "mean", "gaussian"),
        make(
            "parkwoningen",
            f"{_OF_ADDRESSES} FROM adressen WHERE park",
            exposure_query=f"{_OF_ADDRESSES} FROM adressen",
        ),
        make("minima", f"{_OF_PERSONS}, inkomen < 9000 AS value FROM personen", "share", "binomial"),
    ]


def measure(share: float = 1.0) -> tuple[float, float, int]:
    """Return seconds, MB at the peak, and cells of ten indicators from files."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), share)
        sources = [
            zg.Source("personen", Path(folder) / "personen.parquet", identifiers=("bsn",)),
            zg.Source("adressen", Path(folder) / "adressen.parquet"),
        ]
        key = zg.Key(b"a key for the benchmark only")
        warm = zg.Source("personen", frame=_few(), identifiers=("bsn",))
        zg.read_microdata([warm], indicators()[3:4], key=key)  # compiled loops are loaded
        seconds, most = cost(lambda: found.append(zg.read_microdata(sources, indicators(), key=key)))
    return seconds, most, len(found[0].frame)


def _few():
    return pd.DataFrame({"bsn": [1], "buurtcode": ["BU"], "jaar": [2023], "inkomen": [1.0]})


def table(share: float = 1.0) -> str:
    """Measure and return the figures as Markdown."""
    seconds, most, cells = measure(share)
    persons, addresses = (f"{round(n * share):,}" for n in (PERSONS, ADDRESSES))
    row = [
        persons,
        addresses,
        f"{AREAS:,}",
        len(indicators()),
        f"{cells:,}",
        f"{seconds:.1f}",
        f"{most:,.0f}",
    ]
    return "\n".join(
        [
            "| persons | addresses | areas | indicators | cells | seconds | MB |",
            "|---|---|---|---|---|---|---|",
            f"| {' | '.join(map(str, row))} |",
        ]
    )


if __name__ == "__main__":
    begun = time.perf_counter()
    print(table(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0))
    print(f"{time.perf_counter() - begun:.0f} s with writing the files")
