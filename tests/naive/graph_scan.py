"""Connected clusters the slow way: growing by hand, and all connected groups of a small map."""

from math import inf, log


def ratio(c, e, total, people=inf):
    """Log likelihood ratio, written out: inside, outside, and (Bernoulli) those who had no event."""
    parts = [(c, e), (total - c, total - e)]
    if people < inf:
        due = e * (people - total) / total
        parts += [(due + e - c, due), (people - total - (due + e - c), people - total - due)]
    found = 0.0
    for a, b in parts:
        found += a * log(a / b) if a > 0 else 0.0
    return max(found, 0.0)


def score(group, side, seen, due, near, price, total, people=inf, factor=1.0):
    """Likelihood ratio of a group, less the price of each link to an area outside."""
    c, e = sum(seen[i] for i in group), sum(due[i] for i in group)
    links = sum(j not in group for i in group for j in near[i])
    found = ratio(c, e, total, people) if side * (c - e) > 0 else 0.0
    return factor * found - price * links


def grow(
    start, side, seen, due, size, near, price, total, most_areas, most_size, least, people=inf, closed=()
):
    """Grow from one area by the neighbour that gives the best score; the best score and its group."""
    group, best = [start], (-inf, [])

    def value(members):
        return score(members, side, seen, due, near, price, total, people)

    while True:
        enough = side < 0 or sum(seen[i] for i in group) >= least
        if enough and value(group) > best[0]:
            best = value(group), list(group)
        around = {j for i in group for j in near[i]} - set(group) - set(closed)
        fits = [j for j in sorted(around) if sum(size[i] for i in [*group, j]) <= most_size]
        fits = [j for j in fits if sum(due[i] for i in [*group, j]) < total]
        if not fits or len(group) == most_areas:
            return best
        group.append(max(fits, key=lambda j: value([*group, j])))


def search(sides, seen, due, size, near, price, total, most_areas, most_size, least, people=inf, closed=()):
    """The best of all clusters that are grown from areas that deviate themselves: score, side, group."""
    best = (-inf, 0, [])
    for side in sides:
        for start in range(len(seen)):
            if start in closed or side * (seen[start] - due[start]) <= 0 or size[start] > most_size:
                continue
            found = grow(
                start, side, seen, due, size, near, price, total, most_areas, most_size, least, people, closed
            )
            if found[0] > best[0]:
                best = found[0], side, found[1]
    return best


def connected_groups(near, most_areas):
    """All connected groups of at most so many areas, each once."""
    layer = {frozenset([i]) for i in range(len(near))}
    groups = set(layer)
    for _ in range(most_areas - 1):
        layer = {group | {j} for group in layer for i in group for j in near[i] if j not in group}
        groups |= layer
    return groups


def best_of_all(sides, seen, due, size, near, price, total, most_areas, most_size, least, people=inf):
    """The best of all connected groups: score, side, group."""
    best = (-inf, 0, [])
    for group in connected_groups(near, most_areas):
        if sum(size[i] for i in group) > most_size or sum(due[i] for i in group) >= total:
            continue
        for side in sides:
            if side > 0 and sum(seen[i] for i in group) < least:
                continue
            found = score(group, side, seen, due, near, price, total, people)
            if found > best[0]:
                best = found, side, sorted(group)
    return best
