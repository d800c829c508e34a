"""A made-up coastal province to try the package on, with planted anomalies that are known."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas as gpd
import pandas as pd
import pyogrio

from zoo_geo.errors import InputError, examples
from zoo_geo.outputs.folder import check_named, refusing
from zoo_geo.sample.draws import Draws
from zoo_geo.sample.figures import make_figures, urbanity
from zoo_geo.sample.province import border_lengths, make_province
from zoo_geo.sample.registers import make_registers

__all__ = ["write_sample"]

_COLUMNS = (
    "buurtcode", "buurtnaam", "wijkcode", "wijknaam", "gemeentecode", "gemeentenaam", "water",
    "stedelijkheid", "geometry",
)  # fmt: skip
_DATE = "2024-01-01T00:00:00Z"  # instead of the clock, so that the same sample is the same file


def write_sample(directory: str | Path, seed: int = 2024, *, microdata: bool = False) -> list[Path]:
    """Write the made-up province: areas, figures, features, planted anomalies and a study file.

    With ``microdata`` also the registers behind the figures (half a million persons, their addresses,
    companies, property, transactions) and a study that counts them, ``study_microdata.toml``.

    Parameters
    ----------
    directory
        Where to; made if it is not there.
    seed
        Another seed makes another province.
    microdata
        Whether registers are written too, about 15 MB of Parquet files.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        The directory cannot be written to or holds other files of these names, or the seed is negative.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_sample(folder)]
    ['buurten.gpkg', 'cijfers.csv', 'kenmerken.csv', 'truth.csv', 'study.toml', 'README.md']
    """
    check_named(directory, "directory")
    folder = Path(directory)
    if seed < 0:
        raise InputError(f"seed needs to be a whole number from 0; got {seed}.")
    with refusing(folder, "directory"):
        if folder.exists() and not folder.is_dir():
            raise InputError(
                f"directory needs to be a folder; got the file {folder}. Name a folder, or a new one."
            )
        folder.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(prefix=".sample-", dir=folder, ignore_cleanup_errors=True)
    with scratch:
        made = _make(Path(scratch.name), seed, microdata)
        _check_no_others(made, folder)
        return [path.replace(folder / path.name) for path in made]


def _check_no_others(made: list[Path], folder: Path) -> None:
    """Raise when files would be replaced by something else."""
    places = {folder / path.name: path for path in made}
    others = [
        place.name
        for place, path in places.items()
        if place.exists() and not (place.is_file() and place.read_bytes() == path.read_bytes())
    ]
    if others:
        raise InputError(
            f"directory needs to hold no other files named like the sample; got {folder}, which does "
            f"({examples(others, len(made), most=len(made))}). Move them away or name another folder."
        )


def _make(folder: Path, seed: int, microdata: bool) -> list[Path]:
    """Write the sample in an empty folder."""
    draws = Draws(seed)
    areas = make_province(draws)
    figures = make_figures(draws, areas, border_lengths(areas.geometry))
    areas["stedelijkheid"] = urbanity(figures.features["omgevingsadressendichtheid"].to_numpy())
    registers = make_registers(draws, areas, figures.cells) if microdata else {}
    return [
        _write_areas(areas[list(_COLUMNS)], folder / "buurten.gpkg"),
        _write_table(figures.counts, folder / "cijfers.csv"),
        _write_table(figures.features, folder / "kenmerken.csv"),
        _write_table(figures.truth, folder / "truth.csv"),
        *(_copy(name, folder / name) for name in ("study.toml", "README.md")),
        *(_write_register(table, folder / f"{name}.parquet") for name, table in registers.items()),
        *(_copy(name, folder / name) for name in ("study_microdata.toml", "sample.key") if microdata),
    ]


def _write_areas(areas: gpd.GeoDataFrame, path: Path) -> Path:
    """Write the GeoPackage without the time of writing in it."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _DATE})
    try:
        areas.to_file(path, layer="buurten", driver="GPKG", engine="pyogrio")
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
    return path


def _write_table(table: pd.DataFrame, path: Path) -> Path:
    """Write a CSV file that is the same on every system."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8", float_format="%.12g")
    return path


def _write_register(table: pd.DataFrame, path: Path) -> Path:
    """Write a Parquet file."""
    table.to_parquet(path, index=False, compression="zstd")
    return path


def _copy(name: str, path: Path) -> Path:
    """Copy a file that comes with the package."""
    path.write_bytes(files(__package__).joinpath(name).read_bytes())
    return path
