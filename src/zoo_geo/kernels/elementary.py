"""Logarithm, exponential and normal distribution without branches, so that loops over them are vectorised.

Calls of `math.log` stay calls, one number at a time. These are additions, multiplications and shifts of
bits: a plain loop over an array takes as many numbers at once as the machine has lanes, and the results are
the same on every machine, since nothing is reassociated or contracted. Coefficients are interpolations at
Chebyshev nodes in 60 digits.
"""

import math

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, errors
from numba.extending import intrinsic

_LN2_HIGH = float.fromhex("0x1.62e42feep-1")  # 32 bits of log 2: its multiples by an exponent are exact
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_WHOLE = 6755399441055744.0  # 1.5 x 2^52: what is added to it is rounded to a whole number, in its last bits
_WHOLE_BITS = 0x4338000000000000
_HALF_BITS = 0x3FE6A09E667F3BCD  # of the root of one half
_NORMAL = 2.2250738585072014e-308


@intrinsic
def bits(typingctx, number):
    """Bits of a float64 as an int64."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), codegen


@intrinsic
def from_bits(typingctx, pattern):
    """Return the float64 with the bits of an int64."""

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def cubic(x, square, a, b, c, d):
    """Value of a + b x + c x^2 + d x^3, in an order that a processor need not wait for."""
    return (a + b * x) + (c + d * x) * square


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _log_parts(fraction, exponent):
    """Logarithm of (1 + fraction) 2^exponent, the former between the roots of one half and of two."""
    s = fraction / (2.0 + fraction)
    z = s * s
    square = z * z
    low = cubic(z, square, 0.6666666666666666, 0.40000000000000885, 0.28571428570799784, 0.22222222392581045)
    high = cubic(
        z, square, 0.18181795547521137, 0.15386244737621665, 0.13268638369266825, 0.13088034850927555
    )
    half = 0.5 * fraction * fraction
    rest = s * (half + (low + high * (square * square)) * z) + exponent * _LN2_LOW
    return exponent * _LN2_HIGH - ((half - rest) - fraction)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _exponent(pattern):
    """Power of two that leaves a number between the roots of one half and of two, times 2^52."""
    return (pattern - _HALF_BITS) & -0x10000000000000


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _as_float(shifted):
    """Turn a small whole number times 2^52 into a float64."""
    return from_bits((shifted >> 52) + _WHOLE_BITS) - _WHOLE


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def plain_log(x):
    """As `log`, of positive numbers that are neither denormal nor inf; anything of others."""
    pattern = bits(x)
    shifted = _exponent(pattern)
    return _log_parts(from_bits(pattern - shifted) - 1.0, _as_float(shifted))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def log(x):
    """Natural logarithm to a unit in the last place; -inf of 0, NaN below 0, denormals as well."""
    tiny = x < _NORMAL
    found = plain_log(x * 18014398509481984.0 if tiny else x)
    found = found - 37.42994775023705 if tiny else found
    found = found if x < math.inf else x  # of inf and NaN themselves
    found = found if x > 0.0 or x != x else math.nan
    return -math.inf if x == 0.0 else found


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def log1p(x):
    """Natural logarithm of 1 + x to a unit in the last place, as `log` at its ends."""
    u = 1.0 + x
    lost = (x - (u - 1.0)) if x < 1.0 else (1.0 - (u - x))
    pattern = bits(u)
    shifted = _exponent(pattern)
    scale = from_bits(max(0x3FF0000000000000 - shifted, 0))
    fraction = (from_bits(pattern - shifted) - 1.0) + lost * scale
    found = _log_parts(fraction, _as_float(shifted))
    found = found if x < math.inf else x
    found = found if x > -1.0 or x != x else math.nan
    found = -math.inf if x == -1.0 else found
    return x if abs(x) < 1e-300 else found  # keeps denormals and the sign of zero


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _reduced(x):
    """Exponential of what x lacks of a multiple of log 2, and that multiple."""
    shifted = x * 1.4426950408889634 + _WHOLE
    whole = shifted - _WHOLE
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    z = r * r
    square = z * z
    low = cubic(r, z, 0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326136)
    middle = cubic(
        r, z, 0.0013888888888883748, 0.00019841269874820627, 2.4801587325547743e-05, 2.7557255400206422e-06
    )
    high = (2.75572736431103e-07 + 2.5105217004720745e-08 * r) + 2.0914686968086876e-09 * z
    q = low + (middle + high * square) * square
    return 1.0 + (r + z * q), bits(shifted) - _WHOLE_BITS


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def plain_exp(x):
    """As `exp`, from -700 to 700; the exponential of -700 below, anything above."""
    found, power = _reduced(x if x > -700.0 else -700.0)
    return found * from_bits((power + 1023) << 52)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def exp(x):
    """Exponential to a unit in the last place; 0 below -745.2, inf above 709.8, denormals as well."""
    within = x if x < 710.0 else 710.0
    within = within if within > -746.0 else -746.0
    found, power = _reduced(within)
    half = power >> 1  # in two steps, neither of which leaves the range
    found = found * from_bits((half + 1023) << 52) * from_bits((power - half + 1023) << 52)
    return found if x == x else x


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def normal_below(z):
    """P(Z <= z) of a standard normal Z, to 2e-9 of the smaller side, and to 1e-15 beyond eight deviations.

    A polynomial in (z - 4) / (z + 4) times the density (Shepherd and Laframboise 1981,
    doi:10.1090/S0025-5718-1981-0595058-4).
    """
    far = abs(z)
    far = 8.0 if far > 8.0 else far
    t = (far - 4.0) / (far + 4.0)
    t2 = t * t
    t4 = t2 * t2
    a = cubic(t, t2, 0.09441064127926131, -0.1703977220706311, 0.1243792631791583, -0.07170739196210424)
    b = cubic(t, t2, 0.03086451781431626, -0.008492444580365506, 0.0005108097080344785, 0.0006449005946620106)
    c = -0.00019634388883322558 - 7.845421190885493e-05 * t
    beyond = plain_exp(-0.5 * far * far) * ((a + b * t4) + c * (t4 * t4))
    return 1.0 - beyond if z > 0.0 else beyond


@intrinsic
def _add_whole_rows(typingctx, x, lanes):
    """Add an array to ``lanes``, `_LANES` numbers at a time as far as they go; both without gaps."""
    if x.layout != "C" or lanes.layout != "C":
        raise errors.TypingError("sums are of arrays without gaps")

    def codegen(context, builder, signature, args):
        row = ir.VectorType(ir.DoubleType(), _LANES)
        given, found = (
            context.make_array(kind)(context, builder, array)
            for kind, array in zip(signature.args, args, strict=True)
        )
        address = builder.bitcast(found.data, row.as_pointer())
        total = cgutils.alloca_once_value(builder, builder.load(address, align=8))
        rows = builder.bitcast(given.data, row.as_pointer())
        number = builder.sdiv(given.nitems, ir.Constant(given.nitems.type, _LANES))
        with cgutils.for_range(builder, number) as loop:
            here = builder.load(builder.gep(rows, [loop.index]), align=8)
            builder.store(builder.fadd(builder.load(total), here), total)
        builder.store(builder.load(total), address, align=8)
        return context.get_dummy_value()

    return types.void(x, lanes), codegen


_LANES = 16


@njit(cache=True, nogil=True, error_model="numpy")
def sum_of(x):
    """Sum of an array without gaps, in sixteen chains that do not wait for each other."""
    lanes = np.zeros(_LANES)
    _add_whole_rows(x, lanes)
    for i in range(x.size - x.size % _LANES, x.size):
        lanes[i % _LANES] += x[i]
    size = _LANES // 2
    while size > 0:
        for k in range(size):
            lanes[k] += lanes[k + size]
        size //= 2
    return lanes[0]
