"""Residuals in the local statistics: what is expected, groups that are odd, and the null of a calm map."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive import expectation as naive_expectation
from naive import local_statistics as naive
from panels import by_area, counts_of, lattice
from test_local_statistics import QUICK, dense
from zoo_geo import references
from zoo_geo.detectors import local
from zoo_geo.detectors.getis_ord import GetisOrd
from zoo_geo.detectors.local_geary import LocalGeary
from zoo_geo.detectors.local_moran import LocalMoran


@given(rows=st.integers(1, 6), cols=st.integers(2, 7), most=st.integers(1, 4))
@settings(QUICK, max_examples=20)
def test_rings_and_annulus_are_those_of_a_search(rows, cols, most):
    world = lattice(rows, cols, seed=1)
    matrix = dense(world)
    found, ring = references.rings(matrix, most), references.annulus(matrix, max(most, 2))
    for i in range(len(world)):
        steps = naive.steps_away(world.near, i)
        for reach, each in enumerate(found, 1):
            row = each[[i], :].toarray().ravel()
            assert set(np.flatnonzero(row)) == {j for j, s in steps.items() if 1 <= s <= reach}
            if reach > 1:
                assert set(row[row != 0]) <= {1.0}
        far = ring[[i], :].toarray().ravel()
        assert set(np.flatnonzero(far)) == {j for j, s in steps.items() if 2 <= s <= max(most, 2)}
    np.testing.assert_array_equal(found[0].toarray(), matrix.toarray())


def planted(world, members, times, seed=0, spread=0.05):
    size, counts = counts_of(world, seed, rate=0.03, spread=spread, low=200)
    rng = np.random.default_rng(seed + 1)
    counts[members] = rng.poisson(size[members] * 0.03 * times)
    return size, counts


def test_a_group_that_deviates_together_is_a_hot_spot():
    world = lattice(20, 20)
    members = [r * 20 + c for r in (9, 10, 11) for c in (9, 10, 11)]
    size, counts = planted(world, members, 2.5)
    for detector, label in ((GetisOrd(9_999), "hot"), (LocalMoran(9_999), "HH")):
        found = detector.detect(world.panel(counts, size, seed=1), world.graph(), seed=1).frame
        found = found.set_index("area").loc[world.codes]
        best = found["p_value"].to_numpy().argsort(kind="stable")[:5]
        assert set(best) <= {r * 20 + c for r in range(8, 13) for c in range(8, 13)}
        middle = found.iloc[10 * 20 + 10]
        assert middle["label"] == label
        assert middle["direction"] == "high"
        assert middle["p_value"] < 0.001
        assert middle["group_ratio"] == pytest.approx(2.5, rel=0.2)
        assert found["residual"].abs().max() <= local.CAP  # one area alone does not make a hot spot
        assert (found["reference"] == "surroundings").all()


def test_one_odd_area_alone_is_no_strong_hot_spot():
    world = lattice(20, 20)
    size, counts = planted(world, [210], 30.0)
    found = GetisOrd(9_999).detect(world.panel(counts, size), world.graph()).frame
    assert by_area(found, "p_value", world)[210] > 0.001
    assert by_area(found, "residual", world)[210] == local.CAP


def test_expectation_of_a_residual_leaves_the_near_ring_out():
    """Neighbours one step away may be as high as they like: only what lies further off is compared with."""
    world = lattice(15, 15)
    members = [112, *world.near[112]]
    size, counts = planted(world, members, 4.0, spread=0.02)
    found = GetisOrd(19).detect(world.panel(counts, size), world.graph()).frame
    ratio = by_area(found, "ratio", world)
    assert ratio[112] == pytest.approx(4.0, rel=0.25)


def far_apart(world, family, wave, seed):
    """Sizes and counts over a wavy surface on a square, with one group of twice the rate."""
    n, rng = len(world), np.random.default_rng(seed)
    size = rng.integers(200, 3_000, n).astype(float)
    row, column = np.divmod(np.arange(n), 12)
    surface = wave * np.sin(np.pi * row / 3) * np.cos(np.pi * column / 4)
    rate = 0.05 * np.exp(surface + 0.1 * rng.normal(size=n))
    rate[[40, *world.near[40]]] *= 2
    counts = rng.poisson(size * rate) if family == "poisson" else rng.binomial(size.astype(int), rate)
    return size, counts.astype(float)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "wave", "seed", "width", "steep", "dropped"),
    [
        ("poisson", 0.1, 1, 1, True, 0.0),
        ("poisson", 0.3, 3, 0, True, 0.0),
        ("binomial", 0.1, 5, 1, False, 0.0),
        ("binomial", 0.1, 0, 0, True, 0.0),
        ("poisson", 0.1, 4, 1, True, 0.1),
        ("binomial", 0.1, 0, 0, True, 0.1),
    ],
)
def test_expectation_behind_a_residual_is_that_of_the_likelier_ring(
    family, wave, seed, width, steep, dropped
):
    """Ring two, or two and three; less certain where it is steep; without groups that are odd together."""
    world = lattice(12, 12, seed=3)
    size, counts = far_apart(world, family, wave, seed)
    if dropped:  # neighbours one way only
        rng = np.random.default_rng(1)
        world.near = [{j: w for j, w in row.items() if rng.random() > dropped} for row in world.near]
    steps = [naive.steps_away(world.near, i) for i in range(len(world))]
    rings = [[{j: 1.0 for j, s in row.items() if 2 <= s <= outer} for row in steps] for outer in (2, 3)]
    law = {"poisson": naive_expectation.Poisson(), "binomial": naive_expectation.Binomial()}[family]
    fit = naive_expectation.fitted(counts.tolist(), size.tolist(), rings, world.near, None, 2, law)
    assert fit.width == width
    assert all(together - alone for together, alone in zip(fit.together, fit.alone, strict=True))
    assert (fit.pace > 0.5) == steep
    found = GetisOrd(19).detect(world.panel(counts, size, family), world.graph()).frame
    np.testing.assert_allclose(by_area(found, "expected", world), np.array(fit.rates) * size, rtol=2e-3)
    group = [len(neighbours) + 1 for neighbours in world.near]
    residuals = np.clip(fit.residuals(counts, size, law, group), -4, 4)
    np.testing.assert_allclose(by_area(found, "residual", world), residuals, atol=0.02)


# --- the null of a calm map -------------------------------------------------------------------------


def restless(family):
    """World, sizes and figures with a gap, a high group and a low one, no area of which is capped."""
    world = lattice(13, 13, seed=6)
    n, rng = len(world), np.random.default_rng(21)
    times = np.ones(n)
    times[[30, *world.near[30]]], times[[121, *world.near[121]]] = 1.35, 0.72
    if family == "gaussian":
        size, figures = rng.uniform(1, 4, n), rng.normal(20, 1, n) + 4.2 * np.log(times)
    else:
        size = rng.integers(400, 2_000, n).astype(float)
        figures = rng.poisson(size * 0.04 * times * rng.gamma(60, 1 / 60, n)).astype(float)
    figures[7] = np.nan
    return world, size, figures


def told(found, column):
    return [None if math.isnan(v) else float(v) for v in found[column]]


def calm_of(values, touching):
    """Values with those of areas that are odd together replaced by evenly spaced ones of all others."""
    odd = sorted(naive_expectation.odd_together(values, touching))
    kept = sorted(v for i, v in enumerate(values) if v is not None and i not in odd)
    calm = list(values)
    for place, i in enumerate(odd):
        at = (place + 0.5) / len(odd) * (len(kept) - 1)
        low = math.floor(at)
        calm[i] = kept[low] + (at - low) * (kept[min(low + 1, len(kept) - 1)] - kept[low])
    return calm, odd


@pytest.mark.parametrize("family", ["poisson", "gaussian"])
@pytest.mark.parametrize("kind", ["G* total", "G* conditional", "G", "Moran"])
def test_null_of_residuals_draws_a_calm_map(family, kind):
    """z by the exact moments of the calm values, p by drawing them; the sum itself is of all values."""
    world, size, figures = restless(family)
    detector, total = {
        "G* total": (GetisOrd(39), True),
        "G* conditional": (GetisOrd(39, null="conditional"), False),
        "G": (GetisOrd(39, False), False),
        "Moran": (LocalMoran(39), False),
    }[kind]
    panel = world.panel(figures, size, family, seed=3)
    found = detector.detect(panel, world.graph(seed=4), seed=5).frame.set_index("area").loc[world.codes]
    values = told(found, "residual")
    assert max(map(abs, naive.known(values))) < local.CAP
    calm, odd = calm_of(values, world.near)
    assert all(len({*world.near[i]} & {*odd}) > 4 for i in (30, 121))
    mean = math.fsum(naive.known(values)) / len(naive.known(values))
    for i, code in enumerate(world.codes):
        if values[i] is None:
            assert math.isnan(found.loc[code, "z"])
            continue
        middle, variance = naive.moments(world.near, calm, i, total)
        lag, side = naive.lag(world.near, values, i, total), 1
        if kind == "Moran":
            side = 1 if values[i] > mean else -1
        z = side * (lag - middle) / math.sqrt(variance)
        assert found.loc[code, "z"] == pytest.approx(z, rel=1e-7, abs=1e-9)
        sums, _ = naive.null_sums(world.near, calm, i, 39, 5, total)
        above, below = sum(s >= lag - 1e-9 for s in sums), sum(s <= lag + 1e-9 for s in sums)
        assert found.loc[code, "p_value"] == naive.p_value(above, below, 39, "two-sided")


def test_null_of_geary_and_of_rates_draws_the_values_themselves():
    world, size, figures = restless("poisson")
    panel, graph = world.panel(figures, size), world.graph()
    found = LocalGeary(19).detect(panel, graph).frame.set_index("area").loc[world.codes]
    values = told(found, "residual")
    assert calm_of(values, world.near)[1]
    for i in (0, 29, 30, 31, 100, 121, 168):
        mean, variance, _ = naive.geary_moments(world.near, values, i)
        z = (naive.geary(world.near, values, i) - mean) / math.sqrt(variance)
        assert found["z"].iloc[i] == pytest.approx(z, rel=1e-7)
    known = np.flatnonzero(np.isfinite(figures))
    standard = dict(zip(known, naive.eb_rates(figures[known], size[known]), strict=True))
    for value, values in (
        ("rate", [None if i not in standard else figures[i] / size[i] for i in range(len(world))]),
        ("eb_rate", [standard.get(i) for i in range(len(world))]),
    ):
        assert calm_of(naive.standardised(values), world.near)[1]
        found = GetisOrd(19, value=value).detect(panel, graph).frame.set_index("area").loc[world.codes]
        for i in standard:
            mean, variance = naive.moments(world.near, values, i, True)
            z = (naive.lag(world.near, values, i, True) - mean) / math.sqrt(variance)
            assert found["z"].iloc[i] == pytest.approx(z, rel=1e-7, abs=1e-9)


# --- beside it --------------------------------------------------------------------------------------


def test_group_columns_add_an_area_to_its_neighbours():
    world = lattice(5, 5)
    size, counts = counts_of(world, low=200)
    counts[7] = np.nan
    found = GetisOrd(19).detect(world.panel(counts, size), world.graph()).frame
    expected = by_area(found, "expected", world)
    for i in range(25):
        members = [j for j in (i, *world.near[i]) if j != 7]
        if i == 7:
            assert np.isnan(by_area(found, "group_observed", world)[i])
            continue
        assert by_area(found, "group_observed", world)[i] == sum(counts[j] for j in members)
        led_to = sum(expected[j] for j in members)
        assert by_area(found, "group_expected", world)[i] == pytest.approx(led_to)
        ratio = sum(counts[j] for j in members) / led_to
        assert by_area(found, "group_ratio", world)[i] == pytest.approx(ratio)


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_residuals_are_calm_on_a_calm_map(family):
    """p of the hot-spot test over residuals is uniform when nothing is planted."""
    world = lattice(24, 24)
    rng = np.random.default_rng(11)
    size = rng.integers(300, 3_000, 576).astype(float)
    draw = {"poisson": lambda: rng.poisson(size * 0.03 * rng.gamma(20, 1 / 20, 576))}.get(
        family, lambda: rng.binomial(size.astype(int), 0.2)
    )
    columns = {f"y{k}": draw() for k in range(12)}
    found = GetisOrd(999).detect(world.panel(columns, size, family=family), world.graph()).frame
    p = found["p_value"].to_numpy()
    assert p.size == 12 * 576
    for level, most in ((0.5, 1.1), (0.1, 1.4), (0.05, 1.6), (0.01, 2.2)):  # G* of neighbours is alike
        assert 1 / most <= (p <= level).mean() / level <= most
