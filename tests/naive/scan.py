"""Scan statistics by plain loops over every window."""

import math

TIE = 1e-9


def distance(a, b, angle=0.0, ratio=1.0):
    """Distance along the long axis of an ellipse around ``a`` through ``b``."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    along = math.cos(angle) * dx + math.sin(angle) * dy
    across = math.cos(angle) * dy - math.sin(angle) * dx
    return math.hypot(along, across * ratio)


def windows(points, size, share, radius=math.inf, shapes=((0.0, 1.0),)):
    """Every set of areas in a circle (ellipse) around one of them, with its shape."""
    found = []
    for shape in shapes:
        for centre in points:
            away = sorted((distance(centre, point, *shape), k) for k, point in enumerate(points))
            for k, (far, _) in enumerate(away):
                tied = k + 1 < len(away) and away[k + 1][0] <= far * (1 + TIE)
                inside = {j for _, j in away[: k + 1]}
                if (
                    not tied
                    and far <= radius
                    and sum(size[j] for j in inside) <= share * sum(size) * (1 + TIE)
                ):
                    found.append((frozenset(inside), shape))
    return found


def poisson_ratio(c, e, total):
    """Log likelihood ratio of ``c`` events where ``e`` are expected."""

    def part(x, y):
        return x * math.log(x / y) if x > 0 else 0.0

    return part(c, e) + part(total - c, total - e)


def bernoulli_ratio(c, n, total, people):
    """Log likelihood ratio of ``c`` events among ``n`` people."""

    def log_likelihood(k, m):
        p = k / m if m else 0.0
        return (k * math.log(p) if k else 0.0) + ((m - k) * math.log(1 - p) if m > k else 0.0)

    return log_likelihood(c, n) + log_likelihood(total - c, people - n) - log_likelihood(total, people)


def expected(size, seen, by_period):
    """Events that one overall rate, or one of each period, leads to expect."""
    periods = range(len(size[0]))
    stacks = [[t] for t in periods] if by_period else [list(periods)]
    due = [[0.0 for _ in periods] for _ in size]
    for stack in stacks:
        events, people = (sum(row[t] for row in table for t in stack) for table in (seen, size))
        for i, row in enumerate(size):
            for t in stack:
                due[i][t] = row[t] * events / people
    return due


def weights(due, spread, size=None):
    """What an event counts for: expected over variance of its area's total; with ``size`` of shares."""
    out = []
    for i, row in enumerate(due):
        if size is None:
            out.append([1 / (1 + spread * sum(row)) for _ in row])
        else:
            people = sum(size[i])
            out.append(
                [
                    1 / ((1 - e / n) * (1 + max(people - 1, 0) * spread)) if n else 0.0
                    for e, n in zip(row, size[i], strict=True)
                ]
            )
    return out


def times(one, other):
    """Product, cell by cell."""
    return [[a * b for a, b in zip(*rows, strict=True)] for rows in zip(one, other, strict=True)]


def to_total(due, seen, weight, by_period):
    """Bring weighted expected events to the weighted events, of all or of each period."""
    periods = range(len(due[0]))
    seen, weighted = times(weight, seen), times(weight, due)
    out = [list(row) for row in due]
    for stack in [[t] for t in periods] if by_period else [list(periods)]:
        above, below = (sum(row[t] for row in table for t in stack) for table in (seen, weighted))
        for row in out:
            for t in stack:
                row[t] *= above / below
    return out


def best(seen, due, candidates, spans, direction, least, raw=None, people=None, size=None, factor=None):
    """Clusters without a common area, the strongest first: (statistic, areas, first, end, sign).

    ``seen``, ``due``, ``size`` and ``raw`` (unweighted expected) are lists of areas of lists of periods;
    with ``people`` the law is Bernoulli's.
    """
    total = sum(map(sum, seen))
    scored = {}
    for inside, shape in candidates:
        for first, end in spans:

            def of(table):
                return sum(table[j][t] for j in inside for t in range(first, end))  # noqa: B023

            c, e = of(seen), of(due)
            if not 1e-9 < e < total * (1 - 1e-9):
                continue
            high = c > e * (1 + 1e-12) and c * of(raw or due) >= least * e * (1 - 1e-9)
            low = c < e * (1 - 1e-12)
            if not ((high and direction != "low") or (low and direction != "high")):
                continue
            if people is None:
                statistic = poisson_ratio(c, e, total)
            else:
                statistic = bernoulli_ratio(c, of(size), total, people)
            statistic *= factor(shape) if factor else 1.0
            key = (inside, first, end)
            scored[key] = max(scored.get(key, (0, 0)), (statistic, 1 if c > e else -1))
    out, taken = [], set()
    for (inside, first, end), (statistic, sign) in sorted(scored.items(), key=lambda item: -item[1][0]):
        if not inside & taken:
            out.append((statistic, inside, first, end, sign))
            taken |= inside
    return out
