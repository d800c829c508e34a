"""Areas divided into blocks that lie together, so that a fit to all other blocks knows nothing of an area."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from zoo_geo.errors import InputError, examples


def spatial_blocks(where: np.ndarray | sparse.csr_array, n_blocks: int = 10, seed: int = 0) -> np.ndarray:
    """Divide areas into blocks of about equally many areas: whole parents, or areas that lie together.

    Parameters
    ----------
    where
        One of: labels of a parent level, shape (n_areas,), whose areas stay together (empty, NaN or negative
        for none: such an area goes by itself); points in metres, shape (n_areas, 2), that are halved along
        the longer side until there are enough blocks; or direct neighbours as a matrix of shape
        (n_areas, n_areas), which is cut into bands. Areas in code order.
    n_blocks
        How many blocks to make; fewer where there are fewer labels or places.
    seed
        Deals out labels with equally many areas; points and neighbours need no chance.

    Returns
    -------
    np.ndarray
        Block of every area from 0, shape (n_areas,).

    Raises
    ------
    InputError
        Fewer than two labels or places, or points that are not known.

    Examples
    --------
    >>> spatial_blocks(np.array(["GM1", "GM2", "GM1", "GM3"]), 2).tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])
    True
    """
    if n_blocks < 2:
        raise InputError(f"n_blocks needs to be 2 or more; got {n_blocks}.")
    if sparse.issparse(where):
        found = _bands(where, n_blocks)
    elif np.ndim(where) == 2:
        found = _halved(np.asarray(where, float), n_blocks)
    else:
        found = _dealt(_units(np.asarray(where)), n_blocks, seed)
    if found.size and found.max() == 0:
        raise InputError(
            "areas need to lie in two or more places to be divided into blocks; got one. Give points, or a "
            "level with more than one parent."
        )
    return found


def _units(labels: np.ndarray) -> np.ndarray:
    """Numbers of labels in sorted order; areas without one get numbers of their own."""
    units, known = pd.factorize(labels, sort=True)
    none = [label == "" if isinstance(label, str) else label < 0 for label in known]
    lacking = (units < 0) | np.isin(units, np.flatnonzero(none))
    units[lacking] = known.size + np.arange(lacking.sum())
    return np.unique(units, return_inverse=True)[1]


def _dealt(units: np.ndarray, n_blocks: int, seed: int) -> np.ndarray:
    """Deal units out, the largest first, each to the block with the fewest areas."""
    counts = np.bincount(units)
    luck = np.random.default_rng(seed).permutation(counts.size)
    total, block = np.zeros(min(n_blocks, max(counts.size, 1)), int), np.empty(counts.size, np.intp)
    for unit in luck[np.argsort(-counts[luck], kind="stable")]:
        block[unit] = np.argmin(total)
        total[block[unit]] += counts[unit]
    return block[units]


def _halved(points: np.ndarray, n_blocks: int) -> np.ndarray:
    """Halve the places along the longer side of their box, again and again; one place is never split."""
    unknown = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if unknown.size:
        raise InputError(
            f"points need to be known; got none ({examples(unknown + 1, len(points))}). Leave areas without "
            "a location out, or give the labels of a parent level."
        )
    places, at, counts = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    block = np.zeros(len(places), np.intp)
    waiting = [(np.arange(len(places)), 0, n_blocks)]
    while waiting:
        rows, first, many = waiting.pop()
        if many == 1 or rows.size < 2:
            block[rows] = first
            continue
        axis = int(np.argmax(np.ptp(places[rows], axis=0)))
        rows = rows[np.argsort(places[rows, axis], kind="stable")]
        reach = np.cumsum(counts[rows])
        cut = int(np.searchsorted(reach, reach[-1] * (many // 2) / many)) + 1
        cut = min(max(cut, 1), rows.size - 1)
        waiting += [(rows[:cut], first, many // 2), (rows[cut:], first + many // 2, many - many // 2)]
    return np.unique(block, return_inverse=True)[1][at.ravel()]


def _bands(near: sparse.csr_array, n_blocks: int) -> np.ndarray:
    """Cut an order in which neighbours stand close (Cuthill and McKee 1969) into equal parts."""
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    order = reverse_cuthill_mckee(sparse.csr_matrix(near + near.T), symmetric_mode=True)
    block = np.empty(order.size, np.intp)
    block[order] = np.arange(order.size) * min(n_blocks, order.size) // max(order.size, 1)
    return block
