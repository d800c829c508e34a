"""Smoothed rates of one column by plain loops; imports nothing of ours.

`near` is a list of {neighbour: weight}; an event or exposure that is None or NaN, and an exposure of 0, is
in no sum.
"""

import math


def usable(event, size):
    return (
        event is not None and size is not None and not math.isnan(event) and not math.isnan(size) and size > 0
    )


def group_rate(group, events, sizes):
    return sum(events[j] for j in group) / sum(sizes[j] for j in group)


def variance_between(group, events, sizes, share):
    """Variance of true rates in a group, by moments; not below 0."""
    mean, total = group_rate(group, events, sizes), sum(sizes[j] for j in group)
    spread = sum(sizes[j] * (events[j] / sizes[j] - mean) ** 2 for j in group) / total
    typical = total / len(group)
    if not share:
        return max(spread - mean / typical, 0.0)
    if typical == 1:
        return 0.0
    found = (spread - mean * (1 - mean) / typical) / (1 - 1 / typical)
    return min(max(found, 0.0), mean * (1 - mean))


def shrunk(i, group, events, sizes, share=False):
    """Smoothed rate of area i towards a group, and the weight of its own."""
    mean, between = group_rate(group, events, sizes), variance_between(group, events, sizes, share)
    chance = (mean * (1 - mean) - between if share else mean) / sizes[i]
    own = between / (between + chance) if between > 0 else 0.0
    return own * events[i] / sizes[i] + (1 - own) * mean, own


def everybody(events, sizes):
    return [j for j in range(len(events)) if usable(events[j], sizes[j])]


def neighbourhood(i, near, events, sizes):
    return [j for j in sorted({i, *near[i]}) if usable(events[j], sizes[j])]


def negative_weight(i, events, sizes):
    """Weight of the own rate where a variance below 0 is kept, as esda does."""
    group = everybody(events, sizes)
    mean, total = group_rate(group, events, sizes), sum(sizes)
    spread = sum(sizes[j] * (events[j] / sizes[j] - mean) ** 2 for j in group) / total
    between = spread - mean / (total / len(group))
    return between / (between + mean / sizes[i])
