"""Counts per area and year as records: places that are taken in the years in which a count reaches them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Slots(NamedTuple):
    """Places of all areas, one after another.

    `area` and `number` (from 0 within the area) of each place, shape (n_slots,); `states`, shape
    (n_slots, n_years), 0 where nobody holds it.
    """

    area: np.ndarray
    number: np.ndarray
    states: np.ndarray


class Spells(NamedTuple):
    """Years on end in which a place is in one state: its row in the slots, state, first and last year."""

    slot: np.ndarray
    state: np.ndarray
    first: np.ndarray
    last: np.ndarray


def make_slots(*counts: np.ndarray) -> Slots:
    """Give every area as many places as it ever needs.

    Place ``number`` is in state 1 in a year where the first of ``counts`` (n_areas, n_years) is larger than
    it, else in state 2 where the second one is, and so on.
    """
    most = np.max(counts, axis=(0, 2))
    area = np.repeat(np.arange(len(most)), most)
    number = within(most)
    states = np.zeros((len(area), counts[0].shape[1]), np.int8)
    for state, count in reversed(list(enumerate(counts, 1))):
        states[count[area] > number[:, None]] = state
    return Slots(area, number, states)


def within(sizes: np.ndarray) -> np.ndarray:
    """Number the members of each group from 0, shape (sizes.sum(),)."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)


def spells(slots: Slots) -> Spells:
    """List the years on end of every place."""
    states = slots.states
    edge = np.zeros((len(states), 1), np.int8)
    begins = (states > 0) & (states != np.hstack([edge, states[:, :-1]]))
    ends = (states > 0) & (states != np.hstack([states[:, 1:], edge]))
    slot, first = np.nonzero(begins)
    return Spells(slot, states[slot, first], first, np.nonzero(ends)[1])


def cells(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return area, year and number from 0 of every member of every cell, shape (counts.sum(),) each."""
    area, year = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
    return area, year, within(counts.ravel())


def divide(totals: np.ndarray, cell: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Divide whole totals over the members of each cell by weight; parts are whole and add up exactly.

    ``totals`` has shape (n_cells,), ``cell`` and ``weights`` (n_members,), members of a cell being together.
    """
    whole = np.bincount(cell, weights, minlength=len(totals))
    parts = np.floor(totals[cell] * (weights / whole[cell])).astype(np.int64)
    rest = totals - np.bincount(cell, parts, minlength=len(totals)).astype(np.int64)
    owners, first = np.unique(cell, return_index=True)
    parts[first] += rest[owners]
    return parts
