"""Local statistics and their permutation test by plain loops; imports nothing of ours.

Areas are numbered in the order of their codes; `near` is a list of {neighbour: weight}, `values` a list
with None for missing.
"""

import itertools
import math
from fractions import Fraction

import mpmath as mp

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(x):
    """SplitMix64's finaliser in whole numbers."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def stream(seed, draw, n):
    """Yield every position below n once, in the order of one draw."""
    state = mix(mix((seed + GOLDEN) & MASK) ^ mix((draw + GOLDEN) & MASK))
    seen = set()
    while len(seen) < n:
        state = (state + GOLDEN) & MASK
        position = int((mix(state) >> 11) * 2.0**-53 * n)
        if position not in seen:
            seen.add(position)
            yield position


def sample(seed, draw, values, k, without=None):
    """First k positions of a draw that have a value, an area left out if asked."""
    known = (i for i in stream(seed, draw, len(values)) if values[i] is not None and i != without)
    return list(itertools.islice(known, k))


def row(near, values, i):
    """Weights of an area's neighbours that have a value, in their order; the area itself is none."""
    return [(j, near[i][j]) for j in sorted(near[i]) if j != i and values[j] is not None and near[i][j] != 0]


def known(values):
    return [v for v in values if v is not None]


def deviation(values):
    seen = known(values)
    mean = math.fsum(seen) / len(seen)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in seen) / len(seen))


def self_weight(near, i):
    """Weight of an area itself in G*: the largest of its row, others without a value included."""
    return max([weight for j, weight in near[i].items() if j != i], default=0.0)


def lag(near, values, i, star=False):
    total = math.fsum(w * values[j] for j, w in row(near, values, i))
    return total + (self_weight(near, i) * values[i] if star else 0.0)


def null_sums(near, values, i, permutations, seed, total):
    """Null sums of one area: its neighbours drawn from all others, or (total) itself drawn too."""
    weights = [w for _, w in row(near, values, i)] + ([self_weight(near, i)] if total else [])
    sums = []
    for draw in range(permutations):
        drawn = sample(seed, draw, values, len(weights), None if total else i)
        sums.append(math.fsum(w * values[j] for w, j in zip(weights, drawn, strict=True)))
    return sums, max(map(abs, weights), default=0.0)


def counts(near, values, i, permutations, seed, total=False):
    """How many null sums lie at or above, and at or below, the lag; None where all are the same."""
    pool = len(known(values)) - (0 if total else 1)
    size = len(row(near, values, i)) + (1 if total else 0)
    weights = {w for _, w in row(near, values, i)} | ({self_weight(near, i)} if total else set())
    if values[i] is None or size == (1 if total else 0) or (size >= pool and len(weights) == 1):
        return None
    sums, largest = null_sums(near, values, i, permutations, seed, total)
    here, tie = lag(near, values, i, total), 1e-9 * deviation(values) * largest
    return sum(s >= here - tie for s in sums), sum(s <= here + tie for s in sums)


def p_value(above, below, permutations, alternative):
    least = {"greater": above, "less": below, "two-sided": min(above, below)}[alternative]
    return min(1.0, (2 if alternative == "two-sided" else 1) * (least + 1) / (permutations + 1))


def moments(near, values, i, total=False):
    """Mean and variance of the lag from the covariances of a sample without replacement."""
    weights = [w for _, w in row(near, values, i)] + ([self_weight(near, i)] if total else [])
    pool = [v for j, v in enumerate(values) if v is not None and (total or j != i)]
    mean = math.fsum(pool) / len(pool)
    spread = math.fsum((v - mean) ** 2 for v in pool) / len(pool)
    covariance = -spread / (len(pool) - 1)
    variance = math.fsum(
        a * b * (spread if s == t else covariance)
        for (s, a), (t, b) in itertools.product(enumerate(weights), repeat=2)
    )
    return mean * math.fsum(weights), variance


def enumerated(near, values, i, total=False):
    """Every null sum there is, each once per arrangement."""
    weights = [w for _, w in row(near, values, i)] + ([self_weight(near, i)] if total else [])
    pool = [v for j, v in enumerate(values) if v is not None and (total or j != i)]
    return [
        math.fsum(w * v for w, v in zip(weights, drawn, strict=True))
        for drawn in itertools.permutations(pool, len(weights))
    ]


def moran(near, values, i):
    """Local Moran with row-standardised weights and normaliser n - 1."""
    seen = known(values)
    mean = math.fsum(seen) / len(seen)
    scale = math.fsum((v - mean) ** 2 for v in seen) / (len(seen) - 1)
    pairs = row(near, values, i)
    around = math.fsum(w * (values[j] - mean) for j, w in pairs) / math.fsum(w for _, w in pairs)
    return (values[i] - mean) * around / scale


def getis_ord(near, values, i, star):
    """G or G*: share of the sum of all (G: all other) values that lies around the area."""
    rest = math.fsum(known(values)) - (0.0 if star else values[i])
    return lag(near, values, i, star) / rest


def quadrant(near, values, i):
    seen = known(values)
    mean = math.fsum(seen) / len(seen)
    pairs = row(near, values, i)
    around = math.fsum(w * values[j] for j, w in pairs) / math.fsum(w for _, w in pairs) - mean
    here, tie = values[i] - mean, 1e-9 * deviation(values)
    if abs(here) <= tie or abs(around) <= tie:
        return "none"
    return ("H" if here > 0 else "L") + ("H" if around > 0 else "L")


def eb_rates(events, size):
    """Assuncao and Reis (1999), formulas 3 to 5."""
    overall = sum(events) / sum(size)
    rates = [e / b for e, b in zip(events, size, strict=True)]
    s2 = sum(b * (r - overall) ** 2 for r, b in zip(rates, size, strict=True)) / sum(size)
    a = s2 - overall / (sum(size) / len(size))
    out = []
    for r, b in zip(rates, size, strict=True):
        v = a + overall / b
        out.append((r - overall) / math.sqrt(v if v >= 0 else overall / b))
    return out


def steps_away(near, i):
    """Steps from one area to every area in reach, by breadth-first search."""
    found, edge = {i: 0}, [i]
    while edge:
        here = edge.pop(0)
        for j in near[here]:
            if j not in found:
                found[j] = found[here] + 1
                edge.append(j)
    return found


# --- local Geary --------------------------------------------------------------------------------------


def standardised(values, ddof=1):
    """Values less their mean, over their standard deviation; None stays."""
    seen = known(values)
    mean = math.fsum(seen) / len(seen)
    scale = math.sqrt(math.fsum((v - mean) ** 2 for v in seen) / (len(seen) - ddof))
    return [None if v is None else (v - mean) / scale for v in values]


def geary(near, values, i, ddof=1):
    """Local Geary: weighted sum of squared differences between an area and its neighbours."""
    z = standardised(values, ddof)
    return math.fsum(w * (z[i] - z[j]) ** 2 for j, w in row(near, values, i))


def geary_null(near, values, i, permutations, seed):
    """Null sums of local Geary: the neighbours drawn from all others, the area keeps its value."""
    z, weights = standardised(values), [w for _, w in row(near, values, i)]
    sums = []
    for draw in range(permutations):
        drawn = sample(seed, draw, values, len(weights), i)
        sums.append(math.fsum(w * (z[i] - z[j]) ** 2 for w, j in zip(weights, drawn, strict=True)))
    return sums


def geary_counts(near, values, i, permutations, seed):
    """How many null sums lie at or above, and at or below; None where all arrangements are alike."""
    pairs, pool = row(near, values, i), others(values, i)
    if values[i] is None or not pairs or (len(pairs) >= len(pool) and len({w for _, w in pairs}) == 1):
        return None
    here = geary(near, values, i)
    tie = 1e-9 * math.fsum(abs(w) for _, w in pairs)
    sums = geary_null(near, values, i, permutations, seed)
    return sum(s >= here - tie for s in sums), sum(s <= here + tie for s in sums)


def geary_moments(near, values, i):
    """Mean, variance and skewness of local Geary from the population of all squared differences."""
    z = standardised(values)
    pool = [(z[i] - z[j]) ** 2 for j, v in enumerate(values) if v is not None and j != i]
    mean, second, third, _ = sum_moments([w for _, w in row(near, values, i)], pool)
    return mean, second, third / second**1.5 if second > 0 else 0.0


# --- exact moments of a weighted sum of a sample ------------------------------------------------------


def others(values, i):
    return [v for j, v in enumerate(values) if v is not None and j != i]


def k_statistics(x):
    """Fisher's second, third and fourth k-statistic of a list of at least four numbers."""
    n = len(x)
    mean = sum(x) / n
    two, three, four = (sum((v - mean) ** power for v in x) / n for power in (2, 3, 4))
    k2 = n * two / (n - 1)
    k3 = n**2 * three / ((n - 1) * (n - 2))
    k4 = n**2 * ((n + 1) * four - 3 * (n - 1) * two**2) / ((n - 1) * (n - 2) * (n - 3))
    return k2, k3, k4


def sum_moments(weights, pool):
    """Mean and second to fourth central moment of sum w_j a_pi(j), pi a random arrangement of the pool."""
    n = len(pool)
    padded = list(weights) + [0] * (n - len(weights))
    (a2, a3, a4), (w2, w3, w4) = k_statistics(pool), k_statistics(padded)
    fourth = 3 * (n - 1) ** 3 * a2**2 * w2**2 / (n + 1)
    fourth += (n - 1) * (n - 2) * (n - 3) * a4 * w4 / (n * (n + 1))
    return (
        sum(weights) * sum(pool) / n,
        (n - 1) * a2 * w2,
        (n - 1) * (n - 2) * a3 * w3 / n,
        fourth,
    )


def enumerated_moments(weights, pool):
    """The same from every arrangement there is."""
    drawn = itertools.permutations(pool, len(weights))
    sums = [sum(w * v for w, v in zip(weights, each, strict=True)) for each in drawn]
    mean = sum(sums) / len(sums)
    return (mean, *(sum((s - mean) ** power for s in sums) / len(sums) for power in (2, 3, 4)))


def pearson_tails(value, mean, variance, skewness):
    """Upper and lower tail of the gamma (Pearson III) law with three given moments."""
    mp.mp.dps = 50
    z, skew = (mp.mpf(value) - mp.mpf(mean)) / mp.sqrt(mp.mpf(variance)), mp.mpf(skewness)
    if abs(skew) < 2e-3:  # the gamma series would not end: normal, and the first correction for skewness
        upper = mp.erfc(z / mp.sqrt(2)) / 2 + skew / 6 * (z**2 - 1) * mp.npdf(z)
        return float(upper), float(1 - upper)
    shape = 4 / skew**2
    x = shape + abs(skew) / skew * z * mp.sqrt(shape)  # of the gamma law whose long tail points up
    beyond = mp.gammainc(shape, x, mp.inf, regularized=True) if x > 0 else mp.mpf(1)
    return (float(beyond), float(1 - beyond)) if skew > 0 else (float(1 - beyond), float(beyond))


# --- join counts and two indicators -------------------------------------------------------------------


def joins(near, values, i):
    """Neighbours that are one as well, for an area that is one."""
    return values[i] * sum(values[j] for j, _ in row(near, values, i))


def joins_p(near, values, i):
    """Chance of at least as many ones among the neighbours, as an exact fraction."""
    size, pool = len(row(near, values, i)), others(values, i)
    ones = sum(v == 1 for v in pool)
    ways = sum(
        math.comb(ones, m) * math.comb(len(pool) - ones, size - m)
        for m in range(int(joins(near, values, i)), min(ones, size) + 1)
    )
    return Fraction(ways, math.comb(len(pool), size))


def bivariate_moran(near, x, y, i):
    """Own standardised value times the mean standardised other value of the neighbours."""
    x, y = together(x, y)
    zx, zy = standardised(x), standardised(y)
    pairs = row(near, y, i)
    return zx[i] * math.fsum(w * zy[j] for j, w in pairs) / math.fsum(w for _, w in pairs)


def together(x, y):
    """Two columns, each without the areas that lack the other."""
    both = [None not in pair for pair in zip(x, y, strict=True)]
    return tuple([v if ok else None for v, ok in zip(column, both, strict=True)] for column in (x, y))


def bivariate_counts(near, x, y, i, permutations, seed):
    """Null products at or above, and at or below, the observed one; the other values are dealt out anew."""
    x, y = together(x, y)
    found = counts(near, y, i, permutations, seed) if x[i] is not None else None
    if found is None:
        return None
    return found if standardised(x)[i] > 0 else found[::-1]
