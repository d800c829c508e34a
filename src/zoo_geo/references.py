"""What an area is compared with: rings of neighbours, everybody else, or those with the same parent."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

T = TypeVar("T")
_NEARBY = 256


class Rings(list[sparse.csr_array]):
    """Neighbourhoods of one, two ... rings, each holding the ones before it.

    Parameters
    ----------
    found
        One matrix for each.
    """

    def __init__(self, found: list[sparse.csr_array]) -> None:
        super().__init__(found)
        self._kept: dict[Hashable, tuple[object, Any]] = {}

    def once(self, name: Hashable, work: Callable[[], T], of: object = None) -> T:
        """Return what has been worked out under a name before, of the very same thing, or work it out."""
        last = self._kept.get(name)
        if last is None or last[0] is not of:
            last = self._kept[name] = of, work()
        return last[1]

    @property
    def plain(self) -> bool:
        """Whether all neighbours count the same."""
        return self.once("plain", lambda: bool((self[0].data == self[0].data[:1]).all()))

    def order(self) -> np.ndarray:
        """Areas such that neighbours stand close together, for memory that is read together.

        By Cuthill and McKee (1969, doi:10.1145/800195.805928), and by chance among `_NEARBY` that stand side
        by side: where every so many areas are looked at, these are to be neighbours no more or less than any.
        """
        return self.once("order", self._order)

    def _order(self) -> np.ndarray:
        order, draw = reverse_cuthill_mckee(sparse.csr_matrix(self[0])), np.random.default_rng(0)
        each = [draw.permutation(order[at : at + _NEARBY]) for at in range(0, order.size, _NEARBY)]
        return np.concatenate([*each, order[:0]])

    def in_order(self) -> Rings:
        """Return the same rings in the order of `order`."""
        order = self.order()
        return self.once("in order", lambda: Rings([_in_order(each, order) for each in self]))

    def nested(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Neighbours by ring: row pointers, neighbours, and where rings end, shape (n, n_rings)."""
        return self.once("nested", self._nested)

    def _nested(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n, whole, most = self[-1].shape[0], self[-1], len(self)
        row = np.repeat(np.arange(n), np.diff(whole.indptr))
        ring = np.zeros(whole.nnz, np.int64)
        for inner in self[:-1] if whole.nnz else []:
            ring += np.asarray(inner[row, whole.indices]).ravel() == 0.0
        order = np.argsort(row * most + ring, kind="stable")
        number = np.bincount(row * most + ring, minlength=n * most).reshape(n, most)
        ends = whole.indptr[:-1, None] + np.cumsum(number, axis=1)
        nested = whole.indptr, whole.indices[order], ends
        return tuple(np.ascontiguousarray(each, np.uint32) for each in nested)  # type: ignore[return-value]


def _in_order(weights: sparse.csr_array, order: np.ndarray) -> sparse.csr_array:
    """Weights between areas in another order."""
    found = sparse.csr_array(weights[order][:, order])
    found.sort_indices()
    return found


def rings(weights: sparse.csr_array, most: int) -> Rings:
    """Neighbourhoods of one, two ... rings, each holding the ones before it and not the area itself."""
    near = sparse.csr_array((np.ones_like(weights.data), weights.indices, weights.indptr), weights.shape)
    found, reach = [weights], near
    for _ in range(most - 1):
        reach = sparse.csr_array(reach @ near + reach)
        reach.setdiag(0.0)
        reach.eliminate_zeros()
        reach.data[:] = 1.0
        reach.sort_indices()
        found.append(reach.copy())
    return Rings(found)


def annulus(weights: sparse.csr_array, outer: int) -> sparse.csr_array:
    """Areas that lie two to ``outer`` rings away: surroundings that leave the near ring out."""
    reach = rings(weights, outer)[-1]
    near = sparse.csr_array((np.ones_like(weights.data), weights.indices, weights.indptr), weights.shape)
    far = sparse.csr_array(reach - near)
    far.eliminate_zeros()
    return far


class Group:
    """Sums over all areas with the same label, an area itself left out."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = np.ascontiguousarray(labels, np.int64)
        n = labels.size
        known = labels >= 0
        columns = np.where(known, labels, 0)
        self._member = sparse.csr_array(
            (known.astype(float), (np.arange(n), columns)), (n, int(columns.max(initial=0)) + 1)
        )

    def total(self, x: np.ndarray) -> np.ndarray:
        """Sum over each label."""
        return self._member.T @ x

    def __matmul__(self, x: np.ndarray) -> np.ndarray:
        own = self._member.sum(axis=1)[:, None] * x
        return self._member @ self.total(x) - own


def everybody(n: int) -> Group:
    """Return the reference that all areas share."""
    return Group(np.zeros(n, np.intp))


def group(labels: np.ndarray) -> Group:
    """Return the reference of areas that share a label; a negative label has no group."""
    return Group(labels)


Reference: TypeAlias = sparse.csr_array | Group


def beside_each_other(
    near: Rings, wider: Sequence[Reference], touching: sparse.csr_array | None, points: np.ndarray | None
) -> tuple[Rings, list[Reference], sparse.csr_array | None, np.ndarray | None]:
    """Return what areas are compared with, in the order of `Rings.order`."""
    order = near.order()
    labelled: list[Reference] = [
        Group(each.labels[order]) if isinstance(each, Group) else _in_order(each, order) for each in wider
    ]
    if touching is not None:
        touching = near.once("touching in order", partial(_in_order, touching, order), touching)
    if points is not None:
        points = near.once("points in order", partial(np.take, points, order, 0), points)
    return near.in_order(), labelled, touching, points


def in_company(near: Sequence[Reference], valid: np.ndarray) -> np.ndarray:
    """Say which areas have another with a figure in the widest of their surroundings, as ``valid``."""
    found: np.ndarray = near[-1] @ valid.astype(float) > 0.0
    return found


def totals(x: np.ndarray) -> np.ndarray:
    """Sum each column in an order that does not depend on the other columns of the block."""
    return np.ascontiguousarray(x.T).sum(axis=1)
