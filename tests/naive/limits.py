"""Control limits by trying one count after the other; imports nothing of ours."""

from scipy import stats


def level(tail, side):
    """Signed normal quantile of a level."""
    return side * stats.norm.isf(tail)


def count_limit(mid, tail, side, most):
    """Where the signed quantile of mid tails passes a level, on a straight line between two counts.

    `mid(o, upper)` is the mid tail of a count; None where no count passes.
    """

    def score(o):
        return side * stats.norm.isf(mid(o, side > 0))

    wanted, before = level(tail, side), None
    for o in range(most + 1):
        here = score(o)
        if here >= wanted:
            return None if before is None else o - 1 + (wanted - before) / (here - before)
        before = here
    return None


def value_limit(tail, side, centre, phi, weight, strength, freedom):
    """Quantile of a Student t around the centre."""
    return centre + side * stats.t.isf(tail, freedom) * (phi * (1 / weight + 1 / strength)) ** 0.5
