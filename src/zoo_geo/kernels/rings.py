"""Sums over rings of neighbours for several columns side by side: one walk over the graph for all of them."""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

PARTS, COLUMNS = 4, 4
"""Numbers of an area that are summed for each column, and columns that go side by side."""
LANES = PARTS * COLUMNS
_BATCH = 128


@intrinsic
def add_rows(typingctx, table, indices, start, end, total):
    """Add the rows of ``table``, shape (n, LANES), at ``indices[start:end]`` to ``total``, lane by lane.

    The same as two plain loops, which LLVM would not turn into additions of whole rows.
    """
    signature = types.void(table, indices, start, end, total)

    def codegen(context, builder, signature, args):
        row = ir.VectorType(ir.DoubleType(), LANES)

        def data(k):
            return context.make_array(signature.args[k])(context, builder, args[k]).data

        def load(address):
            found = builder.load(address)
            found.align = 8
            return found

        rows, at_total = (builder.bitcast(data(k), row.as_pointer()) for k in (0, 4))
        sum_of_rows = cgutils.alloca_once_value(builder, load(at_total))
        one = ir.Constant(args[2].type, 1)
        with cgutils.for_range_slice(builder, args[2], args[3], one) as (at, _):
            index = builder.zext(builder.load(builder.gep(data(1), [at])), ir.IntType(64))
            here = load(builder.gep(rows, [index]))
            builder.store(builder.fadd(builder.load(sum_of_rows), here), sum_of_rows)
        builder.store(builder.load(sum_of_rows), at_total).align = 8
        return context.get_dummy_value()

    return signature, codegen


@njit(cache=True, nogil=True, error_model="numpy")
def ring_sums(indptr, indices, ends, parts, there):
    """Sums over one, two ... rings of neighbours, each with those before it; shape (LANES, n_rings, n).

    ``ends`` says where each ring of an area ends in ``indices``, shape (n, n_rings); all three are uint32.
    ``parts`` has shape (LANES, n).
    """
    n, rings = ends.shape
    table, total, batch = np.empty((n, LANES)), np.empty(LANES), np.empty((_BATCH, rings, LANES))
    for first in range(0, n, _BATCH):
        beside = table[first : first + _BATCH]
        for lane in range(LANES):
            given = parts[lane, first : first + _BATCH]
            for k in range(given.size):
                beside[k, lane] = given[k]
    for first in range(0, n, _BATCH):
        size = min(_BATCH, n - first)
        for k in range(size):
            start = np.int64(indptr[first + k])
            total[:] = 0.0
            for ring in range(rings):
                end = np.int64(ends[first + k, ring])
                add_rows(table, indices, start, end, total)
                start = end
                batch[k, ring] = total
        for lane in range(LANES):
            for ring in range(rings):
                _lay(batch[:size, ring, lane], there[lane, ring, first : first + size])


@njit(cache=True, nogil=True, error_model="numpy")
def _lay(lane, at):
    """Copy a lane of a batch; of a whole one in a loop whose length is known."""
    if lane.size == _BATCH:
        for k in range(_BATCH):
            at[k] = lane[k]
    else:
        for k in range(lane.size):
            at[k] = lane[k]
