"""Change over time, the slow way: one series at a time, from the definitions."""

import itertools
import math

import numpy as np
from scipy import stats


def history_p(counts, sizes, levels, errors, common, bursts, t):
    """Two-sided mid-p of one count given the sum of its series; gaps are None."""
    others = [s for s in range(len(counts)) if s != t and counts[s] is not None]
    past = sum(sizes[s] * levels[s] for s in others)
    due = sizes[t] * levels[t]
    parts = [sizes[s] * levels[s] / past for s in others]
    total = counts[t] + sum(counts[s] for s in others)
    share = due / (due + past)
    error = errors[t] + sum(part**2 * errors[s] for part, s in zip(parts, others, strict=True))
    phi = common + bursts / (total * share) if total else common
    spread = phi * (1 + sum(part**2 for part in parts)) + error
    size = 1 / (share * (1 - share) * spread)
    law = stats.betabinom(total, share * size, (1 - share) * size)
    here = law.pmf(counts[t])
    below = sum(law.pmf(k) for k in range(int(counts[t]))) + 0.5 * here
    above = sum(law.pmf(k) for k in range(int(counts[t]) + 1, int(total) + 1)) + 0.5 * here
    return min(1.0, 2 * min(below, above))


def share_expected(counts, sizes, levels, t):
    """Share that the odds of the other periods lead to expect of one, half an event added to both sides."""
    others = [s for s in range(len(counts)) if s != t and counts[s] is not None]
    seen, out_of = sum(counts[s] for s in others), sum(sizes[s] for s in others)
    seen = (seen + 0.5) * out_of / (out_of + 1)

    def share(log_odds, s):
        return 1 / (1 + math.exp(-log_odds) / levels[s])

    low, high = -30.0, 30.0
    for _ in range(80):
        middle = (low + high) / 2
        if sum(sizes[s] * share(middle, s) for s in others) < seen:
            low = middle
        else:
            high = middle
    return share(low, t)


def national_course(counts, sizes, common):
    """Course of all areas together, each area weighted by how precise it is, and without each area itself."""
    n, periods = len(counts), len(counts[0])
    level = [1.0] * periods
    for _ in range(15):
        base = [
            [sum(counts[i]) / sum(sizes[i][s] * level[s] for s in range(periods)) * sizes[i][t] * level[t]
             for t in range(periods)] for i in range(n)
        ]  # fmt: skip
        phi = [common[0] + common[1] / max(sum(base[i]) / periods, 0.1) for i in range(n)]
        for t in range(periods):
            weights = [1 / (1 + phi[i] * base[i][t]) for i in range(n)]
            seen = sum(w * counts[i][t] for i, w in enumerate(weights))
            led_to = sum(w * base[i][t] for i, w in enumerate(weights))
            level[t] *= seen / led_to
        middle = math.exp(sum(map(math.log, level)) / periods)
        level = [each / middle for each in level]
    base = [
        [sum(counts[i]) / sum(sizes[i][s] * level[s] for s in range(periods)) * sizes[i][t] * level[t]
         for t in range(periods)] for i in range(n)
    ]  # fmt: skip
    found = [[0.0] * periods for _ in range(n)]
    for i in range(n):
        for t in range(periods):
            weights = [1 / (1 + phi[j] * base[j][t]) for j in range(n)]
            seen = sum(weights[j] * counts[j][t] for j in range(n) if j != i)
            led_to = sum(weights[j] * base[j][t] for j in range(n) if j != i)
            found[i][t] = level[t] * seen / led_to
    return found


def score(values):
    """Mann-Kendall S."""
    return sum((later > earlier) - (later < earlier) for earlier, later in itertools.combinations(values, 2))


def score_variance(values):
    """Variance of S under ties."""
    n = len(values)
    ties = [values.count(each) for each in set(values)]
    return (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18


def trend_p(values, alternative):
    """Exact p, from all orders of the values."""
    here = score(values)
    scores = [score(order) for order in itertools.permutations(values)]
    above = sum(each >= here for each in scores) / len(scores)
    below = sum(each <= here for each in scores) / len(scores)
    return {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}[alternative]


def sen(values, times):
    """Median slope over all pairs."""
    pairs = itertools.combinations(zip(times, values, strict=True), 2)
    return float(np.median([(y2 - y1) / (t2 - t1) for (t1, y1), (t2, y2) in pairs]))


def spot_class(spots, trend, fewest=10):
    """Class of a series of 1 (hot), -1 (cold), 0 and None (no figure), by the published definitions."""
    if all(each is None for each in spots):
        return "no_pattern"
    if spots[-1] is None:
        return "final_unknown"
    known = [each for each in spots if each is not None]
    if len(known) < 2:
        return "no_pattern"
    for name, sign in (("hot", 1), ("cold", -1)):
        found = _one_side([sign * each for each in known], sign * trend, fewest)
        if found:
            return f"{found}_{name}"
    return "no_pattern"


def _one_side(spots, trend, fewest):
    n = len(spots)
    hot = [each == 1 for each in spots]
    cold = any(each == -1 for each in spots)
    share = sum(hot) / n
    final = hot[-1]
    run = 0
    while run < n and hot[n - 1 - run]:
        run += 1
    if final and not any(hot[:-1]):
        return "new"
    if run >= 2 and not any(hot[: n - run]) and share < 0.9:
        return "consecutive"
    if share >= 0.9 and final:
        if n < fewest:
            return "trend_unknown"
        return {1: "intensifying", 0: "persistent", -1: "diminishing"}[trend]
    if final and share < 0.9:
        return "oscillating" if cold else "sporadic"
    if share >= 0.9 and not final:
        return "historical"
    return None
