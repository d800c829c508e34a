"""Expected rates of one column by plain loops; imports nothing of ours.

`near` is a list of {neighbour: weight}; `label` gives each area's parent, or is None.
"""

import math

from scipy import optimize, stats

from naive.tails import bb_mid, central_share, nb_mid


class Poisson:
    start, largest = 0.1, 50.0

    def information(self, rate):
        return rate

    def damping(self, rate, size, phi):
        return 1 / (1 + phi * rate * size)

    def coverage_weight(self, rate, size, phi, error):
        return (rate * size / (1 + (phi + error) * rate * size)) ** 2

    def inside(self, o, size, rate, phi, error):
        law = stats.nbinom(1 / (phi + error), 1 / (1 + (phi + error) * rate * size))
        return central_share(law.cdf(o - 1), law.cdf(o))

    def total(self, rate, phi, strength):
        return phi + 1 / strength

    def residual(self, o, size, rate, phi):
        mean = rate * size
        deviance = (o * math.log(o / mean) if o else 0.0) - (o + 1 / phi) * math.log(
            (1 + phi * o) / (1 + phi * mean)
        )
        return math.copysign(math.sqrt(2 * max(deviance, 0)), o - mean)

    def mid(self, o, size, rate, phi, upper):
        return nb_mid(o, rate * size, phi, upper)


class Binomial(Poisson):
    start, largest = 0.01, 0.9

    def information(self, rate):
        return rate / (1 - rate)

    def damping(self, rate, size, phi):
        return 1 / (1 + (size - 1) * phi)

    def coverage_weight(self, rate, size, phi, error):
        return ((size - 1) / (1 + (size - 1) * phi)) ** 2 + 1e-9

    def inside(self, o, size, rate, phi, error):
        rho = min(phi + error * rate / (1 - rate), 0.999)
        m = (1 - rho) / rho
        law = stats.betabinom(int(size), rate * m, (1 - rate) * m)
        return central_share(law.cdf(o - 1), law.cdf(o))

    def total(self, rate, phi, strength):
        return min(max(phi + rate / (1 - rate) / strength, 1e-5), 0.999)

    def residual(self, o, size, rate, phi):
        mean, inflation = rate * size, 1 + (size - 1) * phi
        deviance = (o * math.log(o / mean) if o else 0.0) + (
            (size - o) * math.log((size - o) / (size - mean)) if size - o else 0.0
        )
        return math.copysign(math.sqrt(2 * max(deviance, 0) / inflation), o - mean)

    def mid(self, o, size, rate, phi, upper):
        return bb_mid(o, int(size), rate, phi, upper)


def pooled(areas, observed, size, weight):
    """Weighted events and size of some areas, in units of effective events: (sum w x)^2 / sum w^2 x."""
    square = math.fsum(weight[j] * w * w * size[j] for j, w in areas.items())
    scale = math.fsum(weight[j] * w * size[j] for j, w in areas.items()) / square if square else 0.0
    return (
        scale * math.fsum(weight[j] * w * observed[j] for j, w in areas.items()),
        scale * math.fsum(weight[j] * w * size[j] for j, w in areas.items()),
    )


def scatter_of(departures, errors):
    """Huber's proposal 2 for the variance between surroundings, eight rounds."""
    scatter = 0.05
    usual = stats.norm.expect(lambda z: min(z * z, 4.0), epsabs=1e-13, limit=200)
    for _ in range(8):
        top = bottom = 0.0
        for d, e in zip(departures, errors, strict=True):
            v = e + scatter
            top += (min(d * d, 4 * v) - usual * v) / v**2
            bottom += 1 / v**2
        scatter = max(scatter + top / bottom, 1e-4)
    return scatter


def shrunk(groups, observed, size, weight, centres, loose, law):
    """Rate and strength of each area's group, shrunk to a centre per area."""
    sums = [pooled(group, observed, size, weight) for group in groups]
    departures, errors = [], []
    for (events, total), centre in zip(sums, centres, strict=True):
        if total > 0:
            departures.append(events / total / centre - 1)
            errors.append(1 / (total * law.information(centre)))
    scatter = scatter_of(departures, errors)
    rates, strengths = [], []
    for (events, total), centre, loss in zip(sums, centres, loose, strict=True):
        prior = 1 / (scatter + loss)
        rate = (events + prior / law.information(centre) * centre) / (total + prior / law.information(centre))
        rates.append(rate)
        strengths.append(total * law.information(rate) + prior)
    return rates, strengths


def matched_spread(observed, size, rates, strengths, keep, start, law):
    """Spread whose central coverage is one half, searched outward from the start by steps of four."""
    rows = [i for i in range(len(observed)) if keep[i]]
    weight = {i: law.coverage_weight(rates[i], size[i], start, 1 / strengths[i]) for i in rows}

    def surplus(log_phi):
        inside = [
            weight[i] * law.inside(observed[i], size[i], rates[i], math.exp(log_phi), 1 / strengths[i])
            for i in rows
        ]
        return math.fsum(inside) / math.fsum(weight.values()) - 0.5

    step = math.log(4) if surplus(math.log(start)) < 0 else -math.log(4)
    here, ends = math.log(start), (math.log(1e-5), math.log(law.largest))
    while ends[0] < here < ends[1]:
        there = min(max(here + step, ends[0]), ends[1])
        if (surplus(there) < 0) != (step > 0):
            return math.exp(optimize.brentq(surplus, *sorted((here, there)), xtol=1e-4))
        here = there
    return math.exp(here)


def expect(observed, size, near, label=None, clean=0, law=Poisson()):  # noqa: B008
    """Rates, strengths and spread of an all-valid column against its direct neighbours."""
    n = len(observed)
    everybody = [{j: 1.0 for j in range(n) if j != i} for i in range(n)]
    keep, phi, rates, strengths = [1.0] * n, law.start, None, None
    for step in range(clean + 1):
        kept = [i for i in range(n) if keep[i]]
        overall = math.fsum(observed[i] for i in kept) / math.fsum(size[i] for i in kept)
        base = rates or [overall] * n
        weight = [keep[i] * law.damping(base[i], size[i], phi) for i in range(n)]
        sums = [pooled(group, observed, size, weight) for group in everybody]
        centre = [events / total for events, total in sums]
        loose = [1 / (total * law.information(c)) for (_, total), c in zip(sums, centre, strict=True)]
        if label is not None:
            family = [{j: 1.0 for j in range(n) if j != i and label[j] == label[i]} for i in range(n)]
            centre, strengths = shrunk(family, observed, size, weight, centre, loose, law)
            loose = [1 / s for s in strengths]
        rates, strengths = shrunk(near, observed, size, weight, centre, loose, law)
        phi = matched_spread(observed, size, rates, strengths, keep, phi, law)
        if step < clean:
            away = [
                law.residual(observed[i], size[i], rates[i], law.total(rates[i], phi, strengths[i]))
                for i in range(n)
            ]
            keep = [float(abs(a) < 2.6 or (a > 0 and o < 3)) for a, o in zip(away, observed, strict=True)]
    return rates, strengths, phi
