"""Peers by brute force, one pair at a time; imports nothing of ours. None is a feature that is not known."""

import math
import statistics

DECIMALS = 9


def standardised(column, scaling):
    """A column in spreads from its centre, or None where it does not differ."""
    known = [x for x in column if x is not None]
    if len(set(known)) < 2:
        return None
    if scaling == "z":
        centre, spread = statistics.fmean(known), statistics.pstdev(known)
    else:
        centre = statistics.median(known)
        spread = 1.4826 * statistics.median(abs(x - centre) for x in known)
        if spread == 0:
            spread = math.sqrt(statistics.fmean((x - centre) ** 2 for x in known))
    return [None if x is None else (x - centre) / spread for x in column]


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


def too_far(means):
    """Mean distance above which peers are no good."""
    logs = [math.log(m) for m in means if m > 0]
    if not logs:
        return math.inf
    middle = statistics.median(logs)
    spread = 1.4826 * statistics.median(abs(x - middle) for x in logs)
    return math.exp(middle + 3 * max(spread, math.log(2) / 3))
