"""Peers by brute force, one pair at a time; imports nothing of ours. None is a feature that is not known."""

import math
import statistics

DECIMALS = 9


def standardised(column, scaling):
    """A column in spreads from its centre, or None where it does not differ."""
    wide = spread(column, scaling)
    if wide is None:
        return None
    known = [x for x in column if x is not None]
    centre = statistics.fmean(known) if scaling == "z" else statistics.median(known)
    return [None if x is None else (x - centre) / wide for x in column]


def spread(column, scaling):
    """Spread of a column, or None where it does not differ."""
    known = [x for x in column if x is not None]
    if len(set(known)) < 2:
        return None
    if scaling == "z":
        return statistics.pstdev(known)
    centre = statistics.median(known)
    wide = 1.4826 * statistics.median(abs(x - centre) for x in known)
    return wide or math.sqrt(statistics.fmean((x - centre) ** 2 for x in known))


def distance(one, other, weights):
    """Root of the weighted mean of squared differences over what both have; inf where that is too little."""
    both = [f for f in range(len(weights)) if one[f] is not None and other[f] is not None]
    shared = sum(weights[f] for f in both)
    if not both or shared < sum(weights) / 2 - 1e-9:
        return math.inf
    total = sum(weights[f] * (one[f] - other[f]) ** 2 for f in both)
    return round(math.sqrt(total / shared), DECIMALS)


def candidates(points, codes, weights, allowed):
    """{code: [(distance, code of a candidate), ...]}, nearest first and ties by code."""
    at = dict(zip(codes, points, strict=True))
    found = {}
    for one in codes:
        pairs = [(distance(at[one], at[other], weights), other) for other in codes if allowed(one, other)]
        found[one] = sorted(pair for pair in pairs if pair[0] < math.inf)
    return found


def nearest(points, codes, weights, k, allowed):
    """{code: {code of a peer: distance}} of the k nearest (None: all)."""
    return {
        one: {other: far for far, other in pairs[:k]}
        for one, pairs in candidates(points, codes, weights, allowed).items()
    }


def stability(points, codes, weights, k, allowed):
    """{code: share of its peers that stay when a feature is left out, averaged over features}."""
    peers = nearest(points, codes, weights, k, allowed)
    stays = {one: [] for one in codes}
    for left_out in range(len(weights)):
        fewer = [[x for f, x in enumerate(point) if f != left_out] for point in points]
        less = [w for f, w in enumerate(weights) if f != left_out]
        ranked = candidates(fewer, codes, less, allowed)
        for one in codes:
            far = {other: d for d, other in ranked[one]}
            reach = ranked[one][k - 1][0] if k is not None and len(ranked[one]) >= k else math.inf
            stays[one] += [other in far and far[other] <= reach + 1e-8 for other in peers[one]]
    return {one: statistics.fmean(kept) if kept else None for one, kept in stays.items()}


def jaccard(one, other):
    """Share of what is in either that is in both."""
    return len(one & other) / len(one | other)


def resampled(columns, codes, weights, k, allowed, scaling, draws):
    """{code: mean overlap of its peers with those of scales that the drawn areas (positions) give}.

    `columns` are raw figures in the order of the codes; who may be compared is as given. Draws in which no
    column differs tell nothing.
    """

    def grouped(scales):
        used = [f for f, s in enumerate(scales) if s is not None]
        points = [[None if columns[f][i] is None else columns[f][i] / scales[f] for f in used]
                  for i in range(len(codes))]  # fmt: skip
        return nearest(points, codes, [weights[f] for f in used], k, allowed) if used else None

    before = grouped([spread(column, scaling) for column in columns])
    overlaps = {code: [] for code in codes}
    for drawn in draws:
        after = grouped([spread([column[i] for i in drawn], scaling) for column in columns])
        for code in codes if after is not None else ():
            if before[code]:
                overlaps[code].append(jaccard(set(before[code]), set(after[code])))
    return {code: statistics.fmean(each) if each else None for code, each in overlaps.items()}


def too_far(means):
    """Mean distance above which peers are no good."""
    logs = [math.log(m) for m in means if m > 0]
    if not logs:
        return math.inf
    middle = statistics.median(logs)
    spread = 1.4826 * statistics.median(abs(x - middle) for x in logs)
    return math.exp(middle + 3 * max(spread, math.log(2) / 3))
