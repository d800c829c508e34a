"""Tails averaged over a large error of the mean, many at once; see `zoo_geo.kernels.bulk_tails`."""

import math

from numba import njit

from zoo_geo.kernels.elementary import cubic, log1p, normal_below, plain_exp, plain_log
from zoo_geo.kernels.lanes import all_lanes
from zoo_geo.kernels.tail_blocks import FOUND, MEAN, PMF, SEEN, STRENGTH, UPPER, WIDTH, R

_ROOT = 1.0 / math.sqrt(2.0 * math.pi)
_FIRST, _STEP, _NUMBER, _OWN, _ALPHA, _GAMMA, _CENTRE, _NEAR = (WIDTH * k for k in range(8, 16))
_LAST, _FRONT, _Z = (WIDTH * k for k in range(16, 19))
_SCALE, _WIDTH, _ZERO, _STEEP, _PEAK, _LEAST = (WIDTH * k for k in range(20, 26))
_CUBE_ROOT, _ALL, _SLOPE, _PART = _ZERO, _STEEP, _PEAK, _LEAST
_STRIDE, _REACH, NONE = 1.3, 4.4, 0.75
"""Step of sums in widths, how far out they go, and the count that places are about where there is none."""
_MOST_PLACES = 60


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _lack(z):
    """What Stirling's formula lacks of the log of a gamma function, from 1 on to 5e-9."""
    t = (z - 2.0) / (z + 2.0)
    t2 = t * t
    t4 = t2 * t2
    a = cubic(t, t2, 0.08268139355423954, 0.0024600729290230727, -0.004400809133886951, 0.005532104508683793)
    b = cubic(t, t2, -0.005867579330664321, 0.005687784082355002, -0.005363697920923327, 0.004817786113574997)
    c = (-0.003492443355866854 + 0.0016136591162517816 * t) - 0.00033493898669086086 * t2
    return ((a + b * t4) + c * (t4 * t4)) / z


@njit(cache=True, nogil=True, error_model="numpy")
def large_errors(block, size):
    """Average tails over an error of the mean that is not small: by parts, E T = E P(M > m), as a sum.

    Here M is the uncertain mean, and m has the density that T' is. Places x of m are nearly normal:
    m = o ((1 + alpha x) / (1 - gamma x))^3, Wilson and Hilferty's cube root of a gamma variable where r is
    large, of an inverse one where o is. The sum is the trapezoidal rule.
    """
    all_lanes()
    for j in range(size):
        o, r, strength = block[SEEN + j], block[R + j], block[STRENGTH + j]
        own = o if o > 0.0 else NONE
        n = own + r
        width = math.sqrt(n / (own * r))
        part = width / (3.0 * n)
        block[_OWN + j], block[_WIDTH + j] = own, width
        block[_ALPHA + j], block[_GAMMA + j] = part * r, part * own
        block[_SCALE + j] = 3.0 * math.sqrt(strength)
        block[_NEAR + j] = plain_log(block[MEAN + j] / own) * (1 / 3)
    for j in range(size):
        block[_NEAR + j] = plain_exp(block[_NEAR + j])
    _find_middle(block, size)
    _find_ends(block, size)
    _find_front(block, size)
    most = 0.0
    for j in range(size):
        most = max(most, block[_NUMBER + j])
    for k in range(int(most) + 1):
        _add_place(block, size, float(k))


@njit(cache=True, nogil=True, error_model="numpy")
def _find_middle(block, size):
    """Find where the error is none and where most of each sum lies."""
    all_lanes()
    for j in range(size):
        alpha, gamma, near, scale = block[_ALPHA + j], block[_GAMMA + j], block[_NEAR + j], block[_SCALE + j]
        ratio = (1.0 - 1.0 / (scale * scale)) / near
        zero = (1.0 - ratio) / (gamma + alpha * ratio)
        block[_ZERO + j] = zero
        block[_STEEP + j] = near * (alpha + gamma) * scale / (1.0 + alpha * zero)
    for j in range(size):
        alpha, zero, steep = block[_ALPHA + j], block[_ZERO + j], block[_STEEP + j]
        first = steep / (1.0 + alpha * zero)
        peak, slope, t, rising = zero, first, 0.0, 1.0
        for _ in range(2):  # where x^2 + t^2 is least: the density and the chance are both about normal
            peak = slope * (slope * peak - t) / (1.0 + slope * slope)
            peak = peak if peak > -0.9 / alpha else -0.9 / alpha
            rising = 1.0 + alpha * peak
            t, slope = steep * (peak - zero) / rising, steep * (1.0 + alpha * zero) / (rising * rising)
        bend = slope * slope + (0.0 if block[UPPER + j] > 0.0 else 2.0 * alpha * slope * abs(t) / rising)
        bend = bend if bend > first * first else first * first
        block[_PEAK + j], block[_LEAST + j] = peak, peak * peak + t * t
        block[_STEP + j] = _STRIDE / ((1.0 + 0.2 / block[_OWN + j]) * math.sqrt(1.0 + bend))
        block[_LAST + j] = _REACH / math.sqrt(1.0 + slope * slope)
        block[_FIRST + j] = math.sqrt(zero * zero / (1.0 + 1.0 / (first * first)) + _REACH * _REACH)


@njit(cache=True, nogil=True, error_model="numpy")
def _find_ends(block, size):
    """Find the first place, the step and the number of steps of each sum, beyond which nothing matters."""
    all_lanes()
    for _ in range(2):
        for j in range(size):
            alpha, zero, peak = block[_ALPHA + j], block[_ZERO + j], block[_PEAK + j]
            end = block[_LAST + j]
            x = peak + (end if block[UPPER + j] > 0.0 else -end)
            x = x if x > -0.9 / alpha else -0.9 / alpha
            t = block[_STEEP + j] * (x - zero) / (1.0 + alpha * x)
            more = x * x + t * t - block[_LEAST + j]
            block[_LAST + j] = end * _REACH / math.sqrt(more if more > 1.0 else 1.0)
    for j in range(size):
        upper, reach, own = block[UPPER + j] > 0.0, block[_FIRST + j], block[_OWN + j]
        end = block[_LAST + j] + (block[_PEAK + j] if upper else -block[_PEAK + j])
        end = end if end < _REACH else _REACH
        low = -reach if upper else -end
        high = end if upper else reach * (1.0 + 1.0 / (block[R + j] * own))
        least, most = -1.0 / block[_ALPHA + j], 1.0 / block[_GAMMA + j]
        low, high = (low if low > least else least), (high if high < most else most)
        number = math.ceil((high - low) / block[_STEP + j])
        block[_FIRST + j], block[_STEP + j], block[_NUMBER + j] = low, (high - low) / number, number


@njit(cache=True, nogil=True, error_model="numpy")
def _find_front(block, size):
    """Put together what all places of a sum have in common."""
    all_lanes()
    for j in range(size):
        own, r = block[_OWN + j], block[R + j]
        block[_FRONT + j] = _lack(own + r) - _lack(r) - _lack(own)
    for j in range(size):
        own, r = block[_OWN + j], block[R + j]
        known = plain_exp(block[_FRONT + j]) * _ROOT * math.sqrt(r / (own * (own + r)))
        none = plain_exp(-r * log1p(own / r))
        pmf = known if block[SEEN + j] > 0.0 else none
        block[_PART + j] = 1.0 / (own + r)
        block[_FRONT + j] = 0.5 * pmf * block[_WIDTH + j] * block[_STEP + j]
        side = block[_SCALE + j] if block[UPPER + j] > 0.0 else -block[_SCALE + j]
        block[_CENTRE + j] = side * (1.0 - 1.0 / (block[_SCALE + j] * block[_SCALE + j]))
        block[_NEAR + j] *= side
        block[FOUND + j], block[PMF + j] = 0.0, -1.0
        wrong = not (block[_NUMBER + j] <= _MOST_PLACES)
        block[_NUMBER + j] = 0.0 if wrong else block[_NUMBER + j]
        block[_FRONT + j] = math.nan if wrong else block[_FRONT + j]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _add_place(block, size, k):
    """Add one place's part of each average tail, in loops short enough to run several counts at a time."""
    all_lanes()
    for j in range(size):
        o, r, own = block[SEEN + j], block[R + j], block[_OWN + j]
        x = block[_FIRST + j] + k * block[_STEP + j]
        rising, falling = 1.0 + block[_ALPHA + j] * x, 1.0 - block[_GAMMA + j] * x
        inside = (k <= block[_NUMBER + j]) & (rising > 1e-9) & (falling > 1e-9)
        rising, falling = (rising if inside else 1.0), (falling if inside else 1.0)
        inverse = 1.0 / (rising * falling)
        cube_root = rising * rising * inverse
        m = own * cube_root * cube_root * cube_root
        block[_CUBE_ROOT + j], block[_ALL + j] = cube_root, (r + m) * block[_PART + j]
        block[_SLOPE + j] = (block[_FRONT + j] if inside else 0.0) * (o + (o + r) * m / (r + m)) * inverse
        block[_Z + j] = block[_NEAR + j] * falling * falling * inverse - block[_CENTRE + j]
    for j in range(size):
        o, r = block[SEEN + j], block[R + j]
        block[_ALL + j] = 3.0 * o * plain_log(block[_CUBE_ROOT + j]) - (o + r) * plain_log(block[_ALL + j])
    for j in range(size):
        block[_SLOPE + j] *= plain_exp(block[_ALL + j])
    for j in range(size):
        block[FOUND + j] += block[_SLOPE + j] * normal_below(block[_Z + j])
