"""Global Moran, Geary and G, and their permutation test, by plain loops; imports nothing of ours.

Areas are numbered in the order of their codes; `near` is a list of {neighbour: weight}, `values` a list
with None for missing. Moments are the textbooks'; `enumerated` deals the values out in every way there is.
"""

import itertools
import math

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(x):
    """SplitMix64's finaliser in whole numbers."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def shuffle(seed, draw, n):
    """Return which area's value each area gets, by the inside-out shuffle of Fisher and Yates."""
    state = mix(mix((seed + GOLDEN) & MASK) ^ mix((draw + GOLDEN) & MASK))
    order = []
    for i in range(n):
        state = (state + GOLDEN) & MASK
        j = int((mix(state) >> 11) * 2.0**-53 * (i + 1))
        order.append(i)
        order[i], order[j] = order[j], i
    return order


def cut(near, values):
    """Weights and values of the areas that have one, renumbered; no area is its own neighbour."""
    kept = [i for i, v in enumerate(values) if v is not None]
    place = {i: k for k, i in enumerate(kept)}
    pairs = {
        (place[i], place[j]): w for i in kept for j, w in near[i].items() if j in place and j != i and w != 0
    }
    return pairs, [values[i] for i in kept]


def moran(pairs, x):
    mean = math.fsum(x) / len(x)
    over = math.fsum(w * (x[i] - mean) * (x[j] - mean) for (i, j), w in pairs.items())
    return len(x) / math.fsum(pairs.values()) * over / math.fsum((v - mean) ** 2 for v in x)


def geary(pairs, x):
    mean = math.fsum(x) / len(x)
    over = math.fsum(w * (x[i] - x[j]) ** 2 for (i, j), w in pairs.items())
    return (len(x) - 1) / (2 * math.fsum(pairs.values())) * over / math.fsum((v - mean) ** 2 for v in x)


def getis_ord(pairs, x):
    over = math.fsum(w * x[i] * x[j] for (i, j), w in pairs.items())
    return over / math.fsum(a * b for (i, a), (j, b) in itertools.permutations(enumerate(x), 2))


STATISTICS = {"moran": moran, "geary": geary, "getis_ord": getis_ord}


def counts(pairs, x, statistic, permutations, seed):
    """How many shuffles lie at or above, and at or below, the map as it is."""
    here = statistic(pairs, x)
    drawn = [statistic(pairs, [x[k] for k in shuffle(seed, m, len(x))]) for m in range(permutations)]
    tie = 1e-9 * (abs(here) + max(map(abs, drawn)))
    return sum(d >= here - tie for d in drawn), sum(d <= here + tie for d in drawn)


def enumerated(pairs, x, statistic):
    """Every value the statistic can take, each once per arrangement."""
    return [statistic(pairs, list(dealt)) for dealt in itertools.permutations(x)]


def central(drawn):
    """Mean, variance and skewness of equally likely values."""
    mean = math.fsum(drawn) / len(drawn)
    second, third = (math.fsum((d - mean) ** k for d in drawn) / len(drawn) for k in (2, 3))
    return mean, second, third / second**1.5 if second > 0 else 0.0


def weight_sums(pairs, n):
    """Return S0, S1 and S2 of Cliff and Ord."""
    s0 = math.fsum(pairs.values())
    both = {tuple(sorted(pair)) for pair in pairs}
    s1 = math.fsum((pairs.get((i, j), 0.0) + pairs.get((j, i), 0.0)) ** 2 for i, j in both)
    s2 = math.fsum(
        math.fsum(w for pair, w in pairs.items() for end in pair if end == i) ** 2 for i in range(n)
    )
    return s0, s1, s2


def moments(pairs, x, name):
    """Mean and variance under randomisation: Cliff and Ord (1981), Getis and Ord (1992)."""
    n = len(x)
    s0, s1, s2 = weight_sums(pairs, n)
    mean = math.fsum(x) / n
    m2, m4 = (math.fsum((v - mean) ** k for v in x) / n for k in (2, 4))
    b2 = m4 / m2**2
    if name == "moran":
        expected = -1 / (n - 1)
        first = n * ((n * n - 3 * n + 3) * s1 - n * s2 + 3 * s0**2)
        second = b2 * ((n * n - n) * s1 - 2 * n * s2 + 6 * s0**2)
        return expected, (first - second) / ((n - 1) * (n - 2) * (n - 3) * s0**2) - expected**2
    if name == "geary":
        variance = (n - 1) * s1 * (n * n - 3 * n + 3 - (n - 1) * b2)
        variance -= (n - 1) * s2 * (n * n + 3 * n - 6 - (n * n - n + 2) * b2) / 4
        variance += s0**2 * (n * n - 3 - (n - 1) ** 2 * b2)
        return 1.0, variance / (n * (n - 2) * (n - 3) * s0**2)
    t1, t2, t3, t4 = (math.fsum(v**k for v in x) for k in (1, 2, 3, 4))
    expected = s0 / (n * (n - 1))
    over = (
        ((n * n - 3 * n + 3) * s1 - n * s2 + 3 * s0**2) * t2**2
        - ((n * n - n) * s1 - 2 * n * s2 + 6 * s0**2) * t4
        - (2 * n * s1 - (n + 3) * s2 + 6 * s0**2) * t1**2 * t2
        + (4 * (n - 1) * s1 - 2 * (n + 1) * s2 + 8 * s0**2) * t1 * t3
        + (s1 - s2 + s0**2) * t1**4
    )
    four = n * (n - 1) * (n - 2) * (n - 3)
    return expected, over / ((t1**2 - t2) ** 2 * four) - expected**2
