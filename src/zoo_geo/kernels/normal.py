"""Normal quantiles of many tails at once."""

import math

from numba import njit

from zoo_geo.kernels.elementary import exp
from zoo_geo.kernels.lanes import all_lanes

_LEAST = 1e-300
_FARTHEST = -729.0
"""Log of the smallest tail of which the last of three rational functions is known."""


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _ratio(x, a, b):
    """Value of a rational function of degree 7, by powers."""
    x2 = x * x
    x4 = x2 * x2
    over = ((a[0] + a[1] * x) + (a[2] + a[3] * x) * x2) + ((a[4] + a[5] * x) + (a[6] + a[7] * x) * x2) * x4
    under = ((b[0] + b[1] * x) + (b[2] + b[3] * x) * x2) + ((b[4] + b[5] * x) + (b[6] + b[7] * x) * x2) * x4
    return over / under


_MIDDLE = (
    (
        3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
        4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
    ),
    (
        1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
        2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
    ),
)  # fmt: skip
_SIDE = (
    (
        1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
        3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
        2.27238449892691845833e-2, 7.74545014278341407640e-4,
    ),
    (
        1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
        1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)  # fmt: skip
_FAR = (
    (
        6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
        2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
        2.71155556874348757815e-5, 2.01033439929228813265e-7,
    ),
    (
        1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
        7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)  # fmt: skip
"""Wichura (1988), algorithm AS 241, doi:10.2307/2347330: to 1e-16, by the tail and by the root of its log."""


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def usual_quantile(log_p):
    """Normal quantile of a tail of at most one half, given its log; anything below 1e-11."""
    away = exp(log_p) - 0.5
    near = away * _ratio(0.180625 - away * away, *_MIDDLE)
    return near if away > -0.425 else -_ratio(math.sqrt(-log_p) - 1.6, *_SIDE)


@njit(cache=True, nogil=True, error_model="numpy")
def far_quantile(log_p):
    """Normal quantile of a tail below 1e-11, given its log, however small it is."""
    if log_p >= _FARTHEST:
        return -_ratio(math.sqrt(-log_p) - 5.0, *_FAR)
    x = math.sqrt(-2.0 * log_p)
    for _ in range(6):  # Newton; the tail is the density times 1 / x (1 - 1 / x^2 + 3 / x^4 ...)
        square = 1.0 / (x * x)
        series = 1.0 - square * (1.0 - 3.0 * square * (1.0 - 5.0 * square))
        log_tail = -0.5 * x * x - math.log(x) + math.log(series) - 0.9189385332046727
        x += (log_tail - log_p) * series / x
    return -x


@njit(cache=True, nogil=True, error_model="numpy")
def signed(log_p, upper, asked, z, p):
    """Turn logs of the smaller mid tails and their sides into z and p.

    ``asked`` is 1 where figures that are high are asked about, -1 where low ones are, and 0 for both.
    """
    all_lanes()
    for i in range(z.size):
        found = usual_quantile(log_p[i])
        z[i] = -found if upper[i] else found
    for i in range(p.size):
        tail = exp(log_p[i])
        other = 1.0 - tail if asked != 0 else 2.0 * tail
        same = (asked > 0) == upper[i]
        tail = tail if (asked != 0) & same else other
        tail = tail if tail < 1.0 else 1.0
        p[i] = tail if tail > _LEAST else _LEAST
    for i in range(z.size):
        if log_p[i] < -25.0:
            found = far_quantile(log_p[i])
            z[i] = -found if upper[i] else found
