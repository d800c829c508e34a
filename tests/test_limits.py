"""Control limits: against a naive twin, and against the classes that the detector gives."""

from functools import partial

import numpy as np
import pytest
from scipy import special, stats

import panels
import zoo_geo as zg
from naive import limits as naive
from naive import tails
from zoo_geo.errors import InputError
from zoo_geo.limits import LEVELS, control_limits
from zoo_geo.predictive import FAMILIES

SIDES = {"low_998": (0.001, -1), "low_95": (0.025, -1), "high_95": (0.025, 1), "high_998": (0.001, 1)}
CERTAIN = 1e10


def limits_of(family, size, rate, strength, phi, freedom=np.inf):
    given = (np.array([float(x)]) for x in (size, rate, strength, phi))
    return dict(zip(LEVELS, control_limits(family, *given, freedom).observed[:, 0], strict=True))


def as_number(limit):
    return np.nan if limit is None else limit


@pytest.mark.parametrize(
    ("mean", "phi"), [(20, 1e-4), (0.3, 0.1), (4, 0.5), (150, 0.05), (0.004, 0.2), (3, 8.0)]
)
@pytest.mark.parametrize("level", LEVELS)
def test_poisson_limits_are_those_of_trying_every_count(level, mean, phi):
    found = limits_of("poisson", 1000, mean / 1000, CERTAIN, phi)[level]
    mid = partial(lambda o, upper: tails.nb_mid(o, mean, phi, upper))
    assert found == pytest.approx(
        as_number(naive.count_limit(mid, *SIDES[level], 2000)), rel=1e-4, nan_ok=True
    )


@pytest.mark.parametrize(("size", "share", "rho"), [(50, 0.1, 0.01), (400, 0.6, 0.002), (3, 0.4, 0.05)])
@pytest.mark.parametrize("level", LEVELS)
def test_binomial_limits_are_those_of_trying_every_count(level, size, share, rho):
    found = limits_of("binomial", size, share, CERTAIN, rho)[level]
    mid = partial(lambda o, upper: tails.bb_mid(o, size, share, rho, upper))
    assert found == pytest.approx(
        as_number(naive.count_limit(mid, *SIDES[level], size)), rel=1e-4, nan_ok=True
    )


@pytest.mark.parametrize("level", LEVELS)
def test_the_error_of_the_expectation_is_in_the_limits(level):
    mean, phi, strength = 7.0, 0.02, 40.0
    found = limits_of("poisson", 100, mean / 100, strength, phi)[level]
    mid = partial(lambda o, upper: tails.nb_averaged(o, mean, phi, strength, upper))
    assert found == pytest.approx(
        as_number(naive.count_limit(mid, *SIDES[level], 100)), rel=2e-2, nan_ok=True
    )
    certain = limits_of("poisson", 100, mean / 100, CERTAIN, phi)[level]
    assert np.isnan(found) or (found - certain) * SIDES[level][1] > 0.1


@pytest.mark.parametrize("freedom", [3.0, 7.0, 1e6])
@pytest.mark.parametrize("level", LEVELS)
def test_limits_of_values_are_quantiles(level, freedom):
    found = limits_of("gaussian", 4.0, -2.0, 9.0, 3.0, freedom)[level]
    assert found == pytest.approx(naive.value_limit(*SIDES[level], -2.0, 3.0, 4.0, 9.0, freedom), rel=1e-4)


def test_a_published_mid_p_limit():
    """Poisson counts around 20: 29 has an upper mid p of 0.028, 30 one of 0.018."""
    upper = [stats.poisson.sf(o, 20) + stats.poisson.pmf(o, 20) / 2 for o in (29, 30)]
    assert upper[0] > 0.025 > upper[1]
    assert 29 < limits_of("poisson", 1, 20, np.inf, 1e-6)["high_95"] < 30


def test_ratio_is_to_what_is_expected():
    found = control_limits("poisson", np.array([10.0, 400.0]), np.array([0.5, 0.02]), 50.0, 0.1)
    assert found.ratio == pytest.approx(found.observed / [5.0, 8.0], nan_ok=True)
    negative = control_limits("gaussian", np.ones(1), np.array([-1.0]), 50.0, 0.1)
    assert np.isnan(negative.ratio).all()
    assert np.isfinite(negative.observed).all()


def test_limits_lie_in_order_and_around_the_expected():
    size = np.geomspace(1, 1e6, 60)
    for family, phi in (("poisson", 0.1), ("binomial", 0.01), ("gaussian", 0.1)):
        found = control_limits(family, size, np.full(60, 0.02), 200.0, phi).observed
        known = np.isfinite(found).all(0)
        assert known.any()
        assert (np.diff(found[:, known], axis=0) > 0).all()
        expected = 0.02 * (1.0 if family == "gaussian" else size[known])
        assert (found[1, known] < expected).all()
        assert (expected < found[2, known]).all()


def test_where_no_count_is_so_low_or_high_there_is_no_limit():
    few = limits_of("poisson", 10, 0.1, np.inf, 1e-4)  # even none is as likely as a third
    assert np.isnan([few["low_95"], few["low_998"]]).all()
    assert few["high_95"] > 1
    all_of_two = limits_of("binomial", 2, 0.5, np.inf, 1e-4)
    assert np.isnan(list(all_of_two.values())).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_that_say_nothing_have_no_limits_and_change_no_others(family):
    size = np.array([100.0, 0.0, np.nan, 100.0, 100.0, 100.0, 100.0, 40.0])
    rate = np.array([0.1, 0.1, 0.1, np.nan, 0.1, 0.1, np.inf, 0.2])
    strength = np.array([50.0, 50, 50, 50, 0.0, np.nan, 50, 8])
    phi = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.3])
    before = size.copy(), rate.copy()
    found = control_limits(family, size, rate, strength, phi).observed
    assert np.isnan(found[:, 1:7]).all()
    for at in (0, 7):
        alone = control_limits(family, size[[at]], rate[[at]], strength[at], phi[at]).observed
        assert np.array_equal(found[:, [at]], alone, equal_nan=True)
    assert np.array_equal(size, before[0], equal_nan=True)
    assert np.array_equal(rate, before[1], equal_nan=True)


@pytest.mark.parametrize("rate", [0.0, -0.1])
def test_nothing_expected_has_no_limits(rate):
    assert np.isnan(list(limits_of("poisson", 100, rate, 10, 0.1).values())).all()
    assert np.isnan(list(limits_of("binomial", 100, rate, 10, 0.1).values())).all()
    assert np.isnan(list(limits_of("binomial", 100, 1.0 - rate, 10, 0.1).values())).all()


def test_no_areas_and_unknown_families():
    none = np.empty(0)
    assert control_limits("poisson", none, none, none, none).observed.shape == (4, 0)
    with pytest.raises(
        InputError, match="family needs to be one of poisson, binomial, gaussian; got 'gamma'"
    ):
        control_limits("gamma", none, none, none, none)


def columns():
    """Panels of counts, rare counts, shares and values, in code order."""
    world = panels.lattice(15, 16)
    rng = np.random.default_rng(5)
    drawn, counts = panels.counts_of(world, 1)
    size = drawn.size * np.ceil(drawn / drawn.size) + np.arange(drawn.size)  # no two are the same
    counts = np.rint(counts * size / drawn)
    rare = rng.poisson(size * 0.001 * rng.gamma(2.0, 0.5, size.size)).astype(float)
    shares = rng.binomial(size.astype(int), rng.beta(3, 12, size.size)).astype(float)
    values = 30 + rng.standard_t(4, size.size) / np.sqrt(size / 500)
    for at, off in ((7, 6.0), (40, 0.0), (100, 3.0)):
        counts[at] *= off
    cases = {"poisson": counts, "rare": rare, "binomial": shares, "gaussian": values}
    return world, size, cases


@pytest.mark.parametrize("reference", ["national", "neighbours"])
@pytest.mark.parametrize("case", ["poisson", "rare", "binomial", "gaussian"])
def test_an_area_is_outside_a_limit_exactly_when_its_class_says_so(case, reference, monkeypatch):
    """The limits of what the detector compares each area with, against the label it gives."""
    world, size, cases = columns()
    name = "poisson" if case == "rare" else case
    family, seen = type(FAMILIES[name]), []
    tails_of = family.tails

    def listening(self, *given):
        seen.append(given)
        return tails_of(self, *given)

    monkeypatch.setattr(family, "tails", listening)
    panel = world.panel(cases[case], size, family=name)
    frame = zg.Deviation(reference=reference).detect(panel, world.graph(), n_jobs=1).frame
    observed, *given, freedom = seen[-1]
    monkeypatch.undo()
    assert np.unique(size).size == len(frame)
    key, here = (cases[case], observed) if name == "gaussian" else (size, given[0])
    by_key = np.argsort(key)
    order = by_key[np.searchsorted(key[by_key], here)]  # tails may come in another order than areas
    assert np.array_equal(cases[case][order], observed)
    low_998, low_95, high_95, high_998 = control_limits(name, *given, freedom).observed
    label = frame["label"].astype(str).to_numpy()[order]
    assert len(set(label)) >= (2 if case == "rare" else 3)
    assert np.array_equal(observed >= high_95, np.isin(label, ["high_95", "high_998"]))
    assert np.array_equal(observed >= high_998, label == "high_998")
    assert np.array_equal(observed <= low_95, np.isin(label, ["low_95", "low_998"]))
    assert np.array_equal(observed <= low_998, label == "low_998")


def test_levels_are_those_of_the_classes():
    assert np.allclose(list(LEVELS.values()), special.ndtri([0.001, 0.025, 0.975, 0.999]))
