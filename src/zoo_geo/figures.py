"""Columns of figures as they are read: numbers, the codes for having none, and what counts cannot be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from zoo_geo import cbs
from zoo_geo.checks import row_labels
from zoo_geo.errors import Problems, examples
from zoo_geo.schema import STATUSES

OK, MISSING, SECRET, NO_EXPOSURE = map(STATUSES.index, ("ok", "missing", "secret", "no_exposure"))

_DECIMAL = " Write 79864 and 2.4, not 79.864 and 2,4 as StatLine shows them."
_CODES = (
    f" What is not known is empty, '.' or one of {', '.join(f'{code:.0f}' for code in cbs.MISSING_CODES)}."
)


class Figures(NamedTuple):
    """A column, or some rows of it.

    `label` names it in messages, `rows` are positions in the table; `numbers` are NaN where `status`,
    an index into ``STATUSES``, says that there is no figure. All of shape (n_rows,).
    """

    label: str
    rows: np.ndarray
    numbers: np.ndarray
    status: np.ndarray

    def at(self, where: np.ndarray, label: str) -> Figures:
        """Return some of the rows under another name."""
        return Figures(label, self.rows[where], self.numbers[where], self.status[where])


class Need(NamedTuple):
    """What figures need to be: counts of 0 or more, and whole ones or not."""

    figures: Figures
    whole: bool


class FigureReader:
    """Reads columns of one table, each once, and notes what is wrong with them.

    Parameters
    ----------
    table
        Not modified.
    codes
        Area code of every row, for the messages.
    problems
        Takes what is wrong.
    """

    def __init__(self, table: pd.DataFrame, codes: np.ndarray, problems: Problems) -> None:
        self._table, self._codes, self._problems = table, codes, problems
        self._read: dict[str, Figures] = {}
        self.coded: dict[float, dict[str, int]] = {code: {} for code in cbs.MISSING_CODES}

    def read(self, name: str) -> Figures:
        """Return a column as figures; the missing codes of CBS become statuses and are counted."""
        if name not in self._read:
            self._read[name] = self._figures(name)
        return self._read[name]

    def _figures(self, name: str) -> Figures:
        """Read one column."""
        column, label = self._table[name], f"column {name!r}"
        values, wrong = _numbers(column)
        self._note(f"{label} needs to be numbers", "text", wrong, column.to_numpy(), _DECIMAL)
        endless = np.isinf(values)
        self._note(f"{label} needs to be finite", "infinity", endless, values)
        for code, counts in self.coded.items():
            if found := int((values == code).sum()):
                counts[name] = found
        status = cbs.missing_status(values)
        values[(status != OK) | endless] = np.nan
        return Figures(label, np.arange(len(values)), values, status)

    def check_counts(self, needs: Iterable[Need]) -> None:
        """Note negative and broken counts, once for each column."""
        strictest: dict[int, Need] = {}
        for need in needs:
            before = strictest.setdefault(id(need.figures.numbers), need)
            if need.whole and not before.whole:
                strictest[id(need.figures.numbers)] = need
        for figures, whole in strictest.values():
            label, rows, numbers, _ = figures
            self._note(f"{label} needs to be 0 or more", "less", numbers < 0, numbers, _CODES, rows)
            if whole:
                broken = ~np.isnan(numbers) & (numbers != np.rint(numbers))
                self._note(f"{label} needs to be whole counts", "fractions", broken, numbers, _DECIMAL, rows)

    def check_units(self, units: Figures, events: Figures) -> None:
        """Note distinct units that exceed their events, and events of nobody."""
        self.check_within(units, events, "distinct units")
        nobody = (units.numbers == 0) & (events.numbers > 0)
        need = f"{units.label} needs to be 1 or more where {events.label} is"
        self._note(need, "0", nobody, events.numbers, rows=units.rows)

    def check_within(self, observed: Figures, exposure: Figures, why: str) -> None:
        """Note counts that exceed what they are out of."""
        above = observed.numbers > exposure.numbers
        pairs = zip(observed.numbers[above].tolist(), exposure.numbers[above].tolist(), strict=True)
        shown = np.full(len(above), None, dtype=object)
        shown[above] = [f"{count:.15g} of {most:.15g}" for count, most in pairs]
        need = f"{observed.label} needs to be at most {exposure.label} ({why})"
        self._note(need, "more", above, shown, rows=observed.rows)

    def _note(
        self,
        need: str,
        got: str,
        wrong: np.ndarray,
        values: np.ndarray,
        hint: str = "",
        rows: np.ndarray | None = None,
    ) -> None:
        """Note one problem with the values and rows that have it, if any."""
        where = np.flatnonzero(wrong)
        if not len(where):
            return
        labels = row_labels(where if rows is None else rows[where], self._codes)
        shown = [
            f"{value:.15g} in {label}" if isinstance(value, float) else f"{value} in {label}"
            for value, label in zip(values[where].tolist(), labels, strict=True)
        ]
        self._problems.add(f"{need}; got {got} ({examples(shown, len(wrong))}).{hint}")


def _numbers(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return a column as float64 of its own, and where it holds text that is no number."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(np.float64, na_value=np.nan, copy=True), np.zeros(len(column), dtype=bool)
    given = column.astype(object)
    text = given.where(given.notna(), "").astype(str).str.strip()
    empty = text.isin(cbs.MISSING_TEXT)
    values = pd.to_numeric(text.mask(empty), errors="coerce").to_numpy(np.float64, copy=True)
    return values, np.isnan(values) & ~empty.to_numpy()


def joined_status(observed: Figures, exposure: Figures | None, units: Figures | None) -> np.ndarray:
    """Return the status of cells: missing before secret before no exposure, shape (n_rows,)."""
    known = [each.status for each in (observed, exposure, units) if each is not None]
    if exposure is not None:
        known.append(np.where(exposure.numbers == 0, NO_EXPOSURE, OK))
    reasons = np.stack(known)
    first = np.where(reasons == OK, len(STATUSES), reasons).min(axis=0)
    return np.where(first == len(STATUSES), OK, first).astype(np.int8)
