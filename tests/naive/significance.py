"""Corrections for many tests, from their definitions; imports nothing of ours."""


def rejected(p, alpha, method):
    """Which p are rejected at a level: a list of booleans."""
    n = len(p)
    order = sorted(range(n), key=lambda i: p[i])
    if method == "none":
        return [x <= alpha for x in p]
    if method == "bonferroni":
        return [x <= alpha / n for x in p]
    if method == "holm":  # step down: stop at the first that fails
        out = [False] * n
        for rank, i in enumerate(order):
            if p[i] > alpha / (n - rank):
                break
            out[i] = True
        return out
    if not p:
        return []
    level = alpha / sum(1 / k for k in range(1, n + 1)) if method == "by" else alpha
    last = max((rank for rank, i in enumerate(order, 1) if p[i] <= level * rank / n), default=0)
    cut = p[order[last - 1]] if last else -1.0
    return [x <= cut for x in p]
