"""Expected rates of one column by plain loops; imports nothing of ours.

`near` is a list of {neighbour: weight}; `label` gives each area's parent, or is None.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy import optimize, special, stats

from naive.tails import bb_mid, central_share, nb_mid


class Poisson:
    start, largest, turns = 0.1, 50.0, 40

    def information(self, rate):
        return rate

    def damping(self, rate, size, phi):
        return 1 / (1 + phi * rate * size)

    def coverage_weight(self, rate, size, phi, error):
        return (rate * size / (1 + (phi + error) * rate * size)) ** 2

    def inside(self, o, size, rate, phi, error):
        r, p = 1 / (phi + error), 1 / (1 + (phi + error) * rate * size)
        return central_share(special.betainc(r, o, p) if o else 0.0, special.betainc(r, o + 1, p))

    def total(self, rate, phi, strength):
        return phi + 1 / strength

    def residual(self, o, size, rate, phi):
        mean = rate * size
        deviance = (o * math.log(o / mean) if o else 0.0) - (o + 1 / phi) * math.log(
            (1 + phi * o) / (1 + phi * mean)
        )
        return math.copysign(math.sqrt(2 * max(deviance, 0)), o - mean)

    def log_likelihood(self, o, size, rate, phi):
        return stats.nbinom.logpmf(o, 1 / phi, 1 / (1 + phi * rate * size))

    def mid(self, o, size, rate, phi, upper):
        return nb_mid(o, rate * size, phi, upper)


class Binomial(Poisson):
    start, largest, turns = 0.01, 0.9, 3

    def information(self, rate):
        return rate / (1 - rate)

    def damping(self, rate, size, phi):
        return 1 / (1 + (size - 1) * phi)

    def coverage_weight(self, rate, size, phi, error):
        return ((size - 1) / (1 + (size - 1) * phi)) ** 2 + 1e-9

    def inside(self, o, size, rate, phi, error):
        rho = min(phi + error * rate / (1 - rate), 0.999)
        a, b = rate * (1 - rho) / rho, (1 - rate) * (1 - rho) / rho
        k = np.arange(o + 1)
        ways = special.gammaln(size + 1) - special.gammaln(k + 1) - special.gammaln(size - k + 1)
        terms = np.exp(ways + special.betaln(k + a, size - k + b) - special.betaln(a, b))
        return central_share(float(terms[:-1].sum()), float(terms.sum()))

    def total(self, rate, phi, strength):
        return min(max(phi + rate / (1 - rate) / strength, 1e-5), 0.999)

    def residual(self, o, size, rate, phi):
        mean, inflation = rate * size, 1 + (size - 1) * phi
        deviance = (o * math.log(o / mean) if o else 0.0) + (
            (size - o) * math.log((size - o) / (size - mean)) if size - o else 0.0
        )
        return math.copysign(math.sqrt(2 * max(deviance, 0) / inflation), o - mean)

    def log_likelihood(self, o, size, rate, phi):
        return stats.betabinom.logpmf(o, int(size), rate * (1 - phi) / phi, (1 - rate) * (1 - phi) / phi)

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


def matched(observed, size, rates, errors, weight, law):
    """Function of the spread and of more error: how far the central coverage is from one half."""

    def surplus(phi, more):
        inside = [
            weight[i] * law.inside(observed[i], size[i], rates[i], phi, errors[i] + more.get(i, 0.0))
            for i in weight
        ]
        return math.fsum(inside) / math.fsum(weight.values()) - 0.5

    return surplus


def outward(surplus, start, largest):
    """Where it is nothing, searched outward from the start by steps of four."""

    def of_log(x):
        return surplus(math.exp(x))

    step = math.log(4) if surplus(start) < 0 else -math.log(4)
    here, ends = math.log(start), (math.log(1e-5), math.log(largest))
    while ends[0] < here < ends[1]:
        there = min(max(here + step, ends[0]), ends[1])
        if (of_log(there) < 0) != (step > 0):
            return math.exp(optimize.brentq(of_log, *sorted((here, there)), xtol=1e-4))
        here = there
    return math.exp(here)


def matched_spread(observed, size, rates, strengths, keep, start, law):
    """Spread whose central coverage is one half."""
    errors = [1 / s for s in strengths]
    rows = [i for i in range(len(observed)) if keep[i]]
    weight = {i: law.coverage_weight(rates[i], size[i], start, errors[i]) for i in rows}
    surplus = matched(observed, size, rates, errors, weight, law)
    return outward(lambda phi: surplus(phi, {}), start, law.largest)


def steepness(reference, touching, observed, size, weight):
    """Mean squared relative step between an area's surroundings and those of its neighbours, without it."""
    steep = []
    for i, neighbours in enumerate(touching):
        events, total = pooled(reference[i], observed, size, weight)
        steps = []
        for j in neighbours:
            there = {k: w for k, w in reference[j].items() if k != i}
            events_there, total_there = pooled(there, observed, size, weight)
            if total > 0 and total_there > 0:
                steps.append(((events_there / total_there) / (events / total) - 1) ** 2)
        steep.append(min(math.fsum(steps) / len(steps), 1.0) if steps else 0.0)
    return steep


def with_steepness(fit, steep, observed, size, keep, law):
    """Strength less what the steepest quarter asks for, and the spread that is left, in turns."""
    rows = [i for i in range(len(observed)) if keep[i]]
    if len(rows) < 100:
        return fit
    errors, phi = [1 / s for s in fit.strengths], fit.spread
    steepest = np.quantile([steep[i] for i in rows], 0.75)
    for _ in range(law.turns):
        weight = {
            i: law.coverage_weight(fit.rates[i], size[i], phi, errors[i])
            for i in rows if steep[i] >= steepest
        }  # fmt: skip
        surplus = matched(observed, size, fit.rates, errors, weight, law)
        pace = outward(lambda more: surplus(phi, {i: more * steep[i] for i in weight}), 0.3, 50.0)  # noqa: B023
        strengths = [1 / (e + pace * s) for e, s in zip(errors, steep, strict=True)]
        phi = matched_spread(observed, size, fit.rates, strengths, keep, phi, law)
    return Fit(fit.rates, strengths, phi, fit.width, pace)


@dataclass
class Fit:
    """What is expected, the choices made on the way, and the areas odd together by turn of cleaning."""

    rates: list
    strengths: list
    spread: float
    width: int = 0
    pace: float = 0.0
    together: list = field(default_factory=list)
    alone: list = field(default_factory=list)

    def residuals(self, observed, size, law, share=None):
        """Against the expectation as it is, or its strength divided by the size of each area's group."""
        strengths = [s / m for s, m in zip(self.strengths, share or [1] * len(size), strict=True)]
        return [
            law.residual(o, s, r, law.total(r, self.spread, strength))
            for o, s, r, strength in zip(observed, size, self.rates, strengths, strict=True)
        ]

    def likelihood(self, observed, size, keep, law):
        """Log predictive probability of the areas that are kept."""
        return math.fsum(
            law.log_likelihood(o, s, r, law.total(r, self.spread, strength))
            for o, s, r, strength, k in zip(observed, size, self.rates, self.strengths, keep, strict=True)
            if k
        )


def odd_together(away, touching):
    """Areas on the odd side of an area and its neighbours that are 3 standard deviations off as a whole.

    `away` holds None for missing areas.
    """
    known = [i for i, a in enumerate(away) if a is not None]
    centre = math.fsum(away[i] for i in known) / len(known)
    held = {i: min(max(away[i] - centre, -3.0), 3.0) for i in known}
    odd = set()
    for i, neighbours in enumerate(touching):
        group = [j for j in {i, *neighbours} if j in held]
        whole = math.fsum(held[j] for j in group) / math.sqrt(len({*neighbours} & {*held}) + 1)
        if whole > 3.0:
            odd |= {j for j in group if held[j] > 0}
        if whole < -3.0:
            odd |= {j for j in group if held[j] < 0}
    return odd


def odd_like_most(odd, near, observed, size, rates, phi, law):
    """Odd areas of whose neighbours more than half, by precision, are odd on the same side."""
    like = set()
    for i in odd:
        precise = {j: w * size[j] * law.damping(rates[j], size[j], phi) for j, w in near[i].items()}
        high = observed[i] > rates[i] * size[i]
        same = [p for j, p in precise.items() if j in odd and (observed[j] > rates[j] * size[j]) == high]
        if math.fsum(same) > math.fsum(precise.values()) / 2:
            like.add(i)
    return like


def off_centre(near, points, weight):
    """Squared distance to the centre of the weights of each area's own, over the median; at most 30."""
    far = []
    for i, others in enumerate(near):
        total = math.fsum(w * weight[j] for j, w in others.items())
        if total > 0:
            centre = [
                math.fsum(w * weight[j] * points[j][k] for j, w in others.items()) / total for k in (0, 1)
            ]
            far.append(math.dist(points[i], centre) ** 2)
        else:
            far.append(None)
    unit = float(np.median([x for x in far if x is not None]))
    return [0.0 if x is None else min(x / unit, 30.0) for x in far]


def expect(observed, size, near, label=None, clean=0, law=Poisson()):  # noqa: B008
    """Rates, strengths and spread of an all-valid column against its direct neighbours."""
    fit = fitted(observed, size, [near], None, label, clean, law)
    return fit.rates, fit.strengths, fit.spread


def fitted(observed, size, candidates, touching, label, clean, law):
    """Expectation of an all-valid column by the likeliest of several surroundings.

    With `touching` (direct neighbours) steepness counts, and what is odd together leaves the expectation.
    """
    n = len(observed)
    keep, phi, fit, together, alone = [1.0] * n, law.start, None, [], []
    company = [
        float(any(near.values())) for near in candidates[-1]
    ]  # the others have nothing to be compared with
    for step in range(clean + 1):
        telling = [k * c for k, c in zip(keep, company, strict=True)]
        kept = [i for i in range(n) if keep[i]]
        overall = math.fsum(observed[i] for i in kept) / math.fsum(size[i] for i in kept)
        base = fit.rates if fit else [overall] * n
        weight = [keep[i] * law.damping(base[i], size[i], phi) for i in range(n)]
        centre, loose = wider(observed, size, weight, label, law)
        fits = []
        for width, near in enumerate(candidates):
            rates, strengths = shrunk(near, observed, size, weight, centre, loose, law)
            spread = matched_spread(observed, size, rates, strengths, telling, phi, law)
            fits.append(Fit(rates, strengths, spread, width))
        fit = max(fits, key=lambda each: each.likelihood(observed, size, telling, law))
        if touching is not None:
            steep = steepness(candidates[fit.width], touching, observed, size, weight)
            fit = with_steepness(fit, steep, observed, size, telling, law)
        phi = fit.spread
        if step < clean:
            away = fit.residuals(observed, size, law)
            odd = {i for i, a in enumerate(away) if abs(a) >= 2.6 and not (a > 0 and observed[i] < 3)}
            if isinstance(law, Binomial) and touching is None:
                odd -= odd_like_most(odd, candidates[0], observed, size, fit.rates, phi, law)
            alone.append(odd)
            if touching is not None:
                share = [len(neighbours) + 1 for neighbours in touching]
                together.append(odd_together(fit.residuals(observed, size, law, share), touching))
                odd = odd | together[-1]
            keep = [float(i not in odd) for i in range(n)]
    fit.together, fit.alone = together, alone
    return fit


def wider(observed, size, weight, label, law):
    """Rate of everybody else, or of the parent shrunk to it, and the relative variance of its error."""
    n = len(observed)
    sums = [pooled({j: 1.0 for j in range(n) if j != i}, observed, size, weight) for i in range(n)]
    centre = [events / total for events, total in sums]
    loose = [1 / (total * law.information(c)) for (_, total), c in zip(sums, centre, strict=True)]
    if label is not None:
        family = [{j: 1.0 for j in range(n) if j != i and label[j] == label[i]} for i in range(n)]
        centre, strengths = shrunk(family, observed, size, weight, centre, loose, law)
        loose = [1 / s for s in strengths]
    return centre, loose
