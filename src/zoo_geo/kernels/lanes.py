"""How many numbers a loop takes at once."""

from numba import types
from numba.extending import intrinsic


@intrinsic
def all_lanes(typingctx):
    """Let LLVM use the widest vectors of the machine in the loops of the kernel that calls this.

    By default it takes half of them where wide ones slow the clock of some processors; loops of additions
    and multiplications gain a third all the same. Results are the same to the last bit.
    """

    def codegen(context, builder, signature, args):
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite names a few only
        return context.get_dummy_value()

    return types.void(), codegen
