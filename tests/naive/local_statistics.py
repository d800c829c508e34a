"""Local statistics and their permutation test by plain loops; imports nothing of ours.

Areas are numbered in the order of their codes; `near` is a list of {neighbour: weight}, `values` a list
with None for missing.
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
