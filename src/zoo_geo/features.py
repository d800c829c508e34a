"""Features of areas: codes and names checked, figures read and standardised, classes numbered."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd

from zoo_geo.areas import Areas
from zoo_geo.checks import check_columns, nearest_name, text_codes
from zoo_geo.errors import InputError, Problems, examples
from zoo_geo.figures import FigureReader
from zoo_geo.notices import Notice, count, which

Labels: TypeAlias = "str | pd.Series"
"""Classes of areas: the name of a column or parent level, or a Series on the codes."""

NORMAL = 1.4826
"""Standard deviations of a normal curve in one median absolute deviation."""

_SENSITIVE = re.compile(
    "herkomst|afkomst|origin|migra|nationalit|westers(?!chel)|^western|western$|(niet|non)western|(niet|non)eu(?!r)|asiel|asylum|vluchtel|refugee|"
    "statushouder|buitenland|religi|gelovi|geloofs|geboorteland|geboren(in|buiten)|birthcountry|countryofbirth|"
    "foreign|ethni|etni[cs]|allocht|autocht|islam|moslim|muslim|christ|joods|jewish|hindoe|hindu|kerk(?!ra|dr)|church|"
    "moskee|mosque|europa$|moedertaal|thuistaal|taalthuis|marok|moroc|turks|turkije|turkish|surina|antill|aruba|^race|race$|^black|black$|"
    "^[ap](w|nw)(all?|$)|^[ap](antaru|overnw|wst$)|^[ap]?(n?eu|nl)(al|all)$|^[ap]geb(n[el]|eu)"
)
"""In names without digits and signs; the last line are the short names of CBS."""


def sensitive(names: Iterable[str]) -> list[str]:
    """Names that suggest origin, nationality or religion."""
    return [name for name in names if _SENSITIVE.search(re.sub("[^a-z]", "", name.lower()))]


@dataclass(eq=False)
class Features:
    """A table of features, which gives them in the order of the codes.

    Parameters
    ----------
    codes
        Codes as text, in the order of the rows that were given, shape (n_areas,).
    order
        Positions of those rows in the order of the codes, shape (n_areas,).
    frame
        The columns as given, in the order of the rows.
    areas
        The map, or None.
    allow_sensitive
        Accept names that tell origin, nationality or religion.
    notices
        What is worth knowing, one sentence each; grows while the table is read.
    """

    codes: pd.Index
    order: np.ndarray
    frame: pd.DataFrame
    areas: Areas | None
    allow_sensitive: bool
    notices: list[Notice] = field(default_factory=list)

    @property
    def sorted_codes(self) -> pd.Index:
        """Codes in their own order, as objects."""
        return self.codes[self.order].astype(object)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.frame]

    def labels(self, given: Labels, what: str) -> np.ndarray:
        """Number each area's class in the order of the codes, -1 for none, shape (n_areas,).

        Raises
        ------
        InputError
            There is no such column or level, or it tells origin, nationality or religion.
        """
        values = _classes(self, given, what)
        self.check_sensitive([str(given.name) if isinstance(given, pd.Series) else given])
        text = values.astype(object).reset_index(drop=True)
        return pd.factorize(text.mask(text.isna() | (text == ""), None))[0].astype(np.intp)

    def standardised(
        self, names: Sequence[str], scaling: str
    ) -> tuple[pd.DataFrame, dict[str, tuple[float, float]]]:
        """Return features in spreads from their centre, and the centre and spread of each.

        In the order of the codes; each column stands on its own, and those that do not differ are left
        out. Codes of CBS for secret and missing become NaN.

        Raises
        ------
        InputError
            A feature is no number, or tells origin, nationality or religion.
        """
        self.check_sensitive(names)
        problems = Problems()
        reader = FigureReader(self.frame, self.codes.to_numpy(), problems)
        raw = {name: reader.read(name).numbers[self.order] for name in names}
        problems.raise_if_any()
        if coded := sum(sum(counts.values()) for counts in reader.coded.values()):
            self.notices.append(
                Notice(
                    f"{coded:,} codes of CBS for secret or missing were read as missing.",
                    f"{count(coded)} codes van het CBS voor geheim of ontbrekend gelden als ontbrekend.",
                )
            )
        scales = {name: scale(values, scaling) for name, values in raw.items()}
        used = {name: (centre, spread) for name, (centre, spread, _) in scales.items() if spread > 0}
        self._note_spread(
            [name for name in names if name not in used],
            len(names),
            "left out, do not differ",
            "weggelaten, verschillen niet",
        )
        loose = [name for name in used if scales[name][2]]
        self._note_spread(
            loose,
            len(names),
            "scaled by standard deviation, half of the areas have one value",
            "geschaald naar standaardafwijking, de helft van de gebieden heeft dezelfde waarde",
        )
        scaled = {name: (raw[name] - centre) / spread for name, (centre, spread) in used.items()}
        return pd.DataFrame(scaled, index=self.sorted_codes), used

    def check_sensitive(self, names: Iterable[str]) -> None:
        """Raise, or note when allowed, where a name tells origin, nationality or religion."""
        told = sensitive(names)
        if told and not self.allow_sensitive:
            raise InputError(
                "features need to say nothing about origin, nationality or religion; got names that suggest "
                f"it ({examples(told)}). Drop them, or name the columns to use; "
                "build_peers(allow_sensitive=True) lets them in."
            )
        if told:
            self.notices.append(
                Notice(
                    f"Origin, nationality or religion is used ({examples(told)}), for allow_sensitive is on.",
                    f"Herkomst, nationaliteit of geloof doet mee ({which(told)}): allow_sensitive staat aan.",
                )
            )

    def _note_spread(self, names: list[str], total: int, text: str, nl: str) -> None:
        """Note features with an odd spread, if any."""
        if names:
            self.notices.append(
                Notice(
                    f"Features {text}: {examples(names, total)}.", f"Kenmerken {nl}: {which(names, total)}."
                )
            )


def read_features(table: pd.DataFrame, areas: Areas | None, *, allow_sensitive: bool) -> Features:
    """Check codes and names, and put the rows in the order of the codes.

    Parameters
    ----------
    table
        One row per area on its code; not modified.
    areas
        The map that the codes are on; areas without a row are noted.
    allow_sensitive
        Accept names that tell origin, nationality or religion.

    Raises
    ------
    InputError
        Codes are no text, repeated or not on the map; names of columns are repeated; there are no rows.
    """
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"features need to be a DataFrame; got {type(table).__name__}.")
    if not len(table):
        raise InputError("features need to hold areas; got no rows.")
    problems, frame = Problems(), table.rename(columns=str)
    check_columns(frame.columns, frame.columns, problems)
    codes = _codes(frame.index, "features", problems)
    problems.raise_if_any()
    order = np.argsort(codes.to_numpy(dtype=str), kind="stable")
    found = Features(codes, order, frame.reset_index(drop=True), areas, allow_sensitive)
    _check_map(found)
    return found


def tidied(table: pd.DataFrame) -> pd.DataFrame:
    """Return features with NaN for the missing codes of CBS; columns that are no numbers stay as they are.

    Parameters
    ----------
    table
        One column per feature; not modified.

    Examples
    --------
    >>> tidied(pd.DataFrame({"homes": ["12", "."], "kind": ["park", "centre"]}))["homes"].tolist()
    [12.0, nan]
    """
    named = table.rename(columns=str)
    return pd.DataFrame({name: _tidy(named[name]) for name in named.columns}, index=table.index)


def _tidy(column: pd.Series) -> pd.Series:
    """Return a column as numbers where it holds nothing else."""
    problems = Problems()
    reader = FigureReader(column.to_frame(), np.full(len(column), ""), problems)
    figures = reader.read(str(column.name))
    return column if problems else pd.Series(figures.numbers, column.index)


def _codes(index: pd.Index, what: str, problems: Problems) -> pd.Index:
    """Return the codes of an index as text, and note what is wrong with them."""
    if pd.api.types.is_integer_dtype(index.dtype):
        problems.add(
            f"area codes of {what} (index) need to be text; got numbers ({examples(index, len(index))}). "
            "Read the code column as text (numbers lose leading zeros) and set it as the index."
        )
        return index
    codes = pd.Index(text_codes(index.to_series(), f"area codes of {what} (index)", problems))
    again = codes[codes.duplicated() & (codes != "")].unique()
    if len(again):
        problems.add(
            f"area codes of {what} need to be unique; got repeated ones ({examples(again, len(codes))}). "
            "Drop duplicates."
        )
    return codes


def _check_map(table: Features) -> None:
    """Raise when codes are not on the map; note areas of the map without features."""
    if table.areas is None:
        return
    known, codes = table.areas.codes.astype(object), table.sorted_codes
    strange, without = codes[~codes.isin(known)], known[~known.isin(codes)]
    if len(strange):
        hint = nearest_name(strange[0], known)
        raise InputError(
            f"area codes of features need to be on the map; got others ({examples(strange, len(codes))})."
            f"{hint} Drop these rows, or use the map of the same year."
        )
    if len(without):
        en, nl = (tell(without.sort_values(), len(known)) for tell in (examples, which))
        table.notices.append(
            Notice(
                f"Areas of the map without a row of features are not in the graph: {en}.",
                f"Gebieden van de kaart zonder kenmerken hebben geen vergelijkingsgebieden: {nl}.",
            )
        )


def _classes(table: Features, given: Labels, what: str) -> pd.Series:
    """Return the class of each area in the order of the codes; missing where there is none."""
    if isinstance(given, pd.Series):
        problems = Problems()
        codes = _codes(given.index, what, problems)
        problems.raise_if_any()
        return pd.Series(given.to_numpy(), index=codes.astype(object)).reindex(table.sorted_codes)
    if not isinstance(given, str):
        raise InputError(f"{what} needs to be a name or a Series on the codes; got {type(given).__name__}.")
    levels = () if table.areas is None else table.areas.parents
    if given in table.frame:
        return table.frame[given].iloc[table.order]
    if table.areas is not None and given in levels:
        return table.areas.parent(given).reindex(table.sorted_codes)
    hint = nearest_name(given, [*table.frame, *levels])
    raise InputError(
        f"{what} needs to be a column of the features or a parent level; got {given!r}."
        f"{hint or ('' if levels else ' Pass areas= with parents.')}"
    )


def scale(values: np.ndarray, scaling: str) -> tuple[float, float, bool]:
    """Return centre and spread of a feature, and whether the spread is not the robust one asked for.

    Parameters
    ----------
    values
        The feature of all areas, in any order; NaN where it is not known, shape (n_areas,).
    scaling
        ``robust`` or ``z``, as in `build_peers`.

    Examples
    --------
    >>> scale(np.array([1.0, 3.0]), "z")
    (2.0, 1.0, False)
    """
    known = np.sort(values[~np.isnan(values)])  # sorted: sums do not depend on the order of rows
    if not len(known) or known[0] == known[-1]:
        return math.nan, 0.0, False
    if scaling == "z":
        return float(known.mean()), float(known.std()), False
    centre = float(np.median(known))
    spread = NORMAL * float(np.median(np.abs(known - centre)))
    if spread > 0:
        return centre, spread, False
    return centre, float(np.sqrt(np.mean((known - centre) ** 2))), True
