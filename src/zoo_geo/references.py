"""What an area is compared with: rings of neighbours, everybody else, or those with the same parent."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from scipy import sparse


def rings(weights: sparse.csr_array, most: int) -> list[sparse.csr_array]:
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
    return found


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


def totals(x: np.ndarray) -> np.ndarray:
    """Sum each column in an order that does not depend on the other columns of the block."""
    return np.ascontiguousarray(x.T).sum(axis=1)
