"""Sums over rings of neighbours for several columns side by side: one walk over the graph for all of them."""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""Numbers of an area that are summed side by side: two or four of each column."""
_BATCH = 128
_LINE = 64
"""Bytes that memory is read by: rows of a table begin where one begins."""


@intrinsic
def add_rows(typingctx, table, indices, start, end, sums, before, at):
    """Add up the rows of ``table``, shape (n, LANES), at ``indices[start:end]``, lane by lane.

    ``sums`` has shape (n_sums, LANES): row ``before`` and the rows of the table make row ``at``. The same as
    two plain loops, which LLVM would not turn into additions of whole rows. Every other row is added apart,
    as an addition waits for the one before it.
    """
    signature = types.void(table, indices, start, end, sums, before, at)

    def codegen(context, builder, signature, args):
        row, whole = ir.VectorType(ir.DoubleType(), LANES), ir.IntType(64)
        start, end, before, at = (args[k] for k in (2, 3, 5, 6))

        def data(k):
            return context.make_array(signature.args[k])(context, builder, args[k]).data

        def load(address):
            found = builder.load(address)
            found.align = 8
            return found

        rows, every = (builder.bitcast(data(k), row.as_pointer()) for k in (0, 4))
        neighbours, one, two = data(1), ir.Constant(whole, 1), ir.Constant(whole, 2)

        def add(total, place):
            index = builder.zext(load_index(place), whole)
            builder.store(builder.fadd(builder.load(total), load(builder.gep(rows, [index]))), total)

        def load_index(place):
            return builder.load(builder.gep(neighbours, [place]))

        even = cgutils.alloca_once_value(builder, load(builder.gep(every, [before])))
        odd = cgutils.alloca_once_value(builder, ir.Constant(row, [0.0] * LANES))
        pairs = builder.sub(end, builder.and_(builder.sub(end, start), one))
        with cgutils.for_range_slice(builder, start, pairs, two) as (place, _):
            add(even, place)
            add(odd, builder.add(place, one))
        with builder.if_then(builder.icmp_signed("<", pairs, end)):
            add(even, pairs)
        found = builder.fadd(builder.load(even), builder.load(odd))
        builder.store(found, builder.gep(every, [at])).align = 8
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def turn_square(typingctx, source, first, stride, target, place, step):
    """Turn 8 x 8 numbers of one table around into another one: its rows become columns.

    Rows begin at ``first`` of the flat ``source`` and each ``stride`` further on, and go to ``place`` of the
    flat ``target`` and each ``step`` further on.
    """
    signature = types.void(source, first, stride, target, place, step)

    def codegen(context, builder, signature, args):
        row = ir.VectorType(ir.DoubleType(), 8)
        first, stride, place, step = (args[k] for k in (1, 2, 4, 5))

        def address(k, start, apart, number):
            data = context.make_array(signature.args[k])(context, builder, args[k]).data
            far = builder.add(start, builder.mul(apart, ir.Constant(apart.type, number)))
            return builder.bitcast(builder.gep(data, [far]), row.as_pointer())

        def load(number):
            found = builder.load(address(0, first, stride, number))
            found.align = 8
            return found

        def mixed(one, other, lanes):
            chosen = ir.Constant(ir.VectorType(ir.IntType(32), 8), lanes)
            return builder.shuffle_vector(one, other, chosen)

        rows = [load(number) for number in range(8)]
        for apart, (low, high) in _HALVES.items():
            pairs = [k for k in range(8) if not k & apart]
            for k in pairs:
                one, other = rows[k], rows[k + apart]
                rows[k], rows[k + apart] = mixed(one, other, low), mixed(one, other, high)
        for number, each in enumerate(rows):
            builder.store(each, address(3, place, step, number)).align = 8
        return context.get_dummy_value()

    return signature, codegen


_HALVES = {
    4: ([0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]),
    2: ([0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]),
    1: ([0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]),
}
"""Lanes of two rows, some way apart, that change places when a square is turned around."""


@njit(cache=True, nogil=True, error_model="numpy")
def _aligned(n):
    """Return an empty table of shape (n, LANES) that begins where a line of memory does."""
    room = np.empty(n * LANES + _LINE // 8)
    first = (-room.ctypes.data % _LINE) // 8
    return room[first : first + n * LANES].reshape(n, LANES)


@njit(cache=True, nogil=True, error_model="numpy")
def ring_sums(indptr, indices, ends, parts, there):
    """Sums over one, two ... rings of neighbours, each with those before it; shape (LANES, n_rings, n).

    ``ends`` says where each ring of an area ends in ``indices``, shape (n, n_rings); all three are uint32.
    ``parts`` has shape (LANES, n).
    """
    n, rings = ends.shape
    table, batch = _aligned(n), _aligned(1 + _BATCH * rings)
    batch[0] = 0.0
    given, rows, sums, found = parts.ravel(), table.ravel(), batch.ravel(), there.ravel()
    for k in range(0, n - n % 8, 8):
        for lane in range(0, LANES, 8):
            turn_square(given, lane * n + k, n, rows, k * LANES + lane, LANES)
    for k in range(n - n % 8, n):
        for lane in range(LANES):
            table[k, lane] = parts[lane, k]
    for first in range(0, n, _BATCH):
        size = min(_BATCH, n - first)
        for k in range(size):
            start, before = np.int64(indptr[first + k]), 0
            for ring in range(rings):
                end, at = np.int64(ends[first + k, ring]), 1 + ring * _BATCH + k
                add_rows(table, indices, start, end, batch, before, at)
                start, before = end, at
        for ring in range(rings):
            own = 1 + ring * _BATCH
            for lane in range(0, LANES, 8):
                for k in range(0, size - size % 8, 8):
                    place = (lane * rings + ring) * n + first + k
                    turn_square(sums, (own + k) * LANES + lane, LANES, found, place, rings * n)
            for k in range(size - size % 8, size):
                for lane in range(LANES):
                    there[lane, ring, first + k] = batch[own + k, lane]
