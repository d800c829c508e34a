"""Parts of the expectation: given rates, distances, medians, and whether its error is as large as it says."""

import math
from dataclasses import replace

import numpy as np
import pytest
from benchmarks import country
from scipy import sparse

import zoo_geo as zg
from naive import expectation as naive
from naive import tails as exact
from panels import lattice
from zoo_geo import counts, references, spreads
from zoo_geo import expectation as ex
from zoo_geo.detectors import sources
from zoo_geo.detectors.inputs import OK, matrix, parents, places, prepare
from zoo_geo.predictive import FAMILIES
from zoo_geo.response import Hidden, Response

PLAIN = ex.Options(clean=0, response=False, heavy=False)


def column(seed=0, n=150, phi=0.1, family="poisson"):
    """Figures of one column, their sizes, and rates that are known but for some error."""
    rng = np.random.default_rng(seed)
    size = rng.integers(50, 3_000, n).astype(float)
    rate, strength = 0.05 * np.exp(rng.normal(0, 0.3, n)), rng.uniform(20, 300, n)
    true = rate / rng.gamma(strength, 1 / strength)
    if family == "binomial":
        seen = rng.binomial(size.astype(int), rng.beta(true * 40, (1 - true) * 40))
    else:
        seen = rng.poisson(size * true * rng.gamma(1 / phi, phi, n))
    return seen.astype(float), size, rate, strength


def given(seen, size, rate, strength, family="poisson", options=PLAIN):
    arrays = [each[:, None] for each in (seen, size, np.isfinite(seen))]
    return ex.given(*arrays, FAMILIES[family], rate[:, None], strength[:, None], options)


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_spread_about_given_rates_is_that_of_the_plain_loops(family):
    seen, size, rate, strength = column(family=family)
    law = {"poisson": naive.Poisson(), "binomial": naive.Binomial()}[family]
    phi = naive.matched_spread(seen, size, rate, strength, np.ones(150), law.start, law)
    fit = given(seen, size, rate, strength, family)
    np.testing.assert_allclose(fit.spread, phi, rtol=0.03)
    np.testing.assert_array_equal(fit.rate[:, 0], rate)
    np.testing.assert_array_equal(fit.strength[:, 0], strength)
    assert fit.laws == (None,)
    log_p, upper = ex.tails(seen[:, None], size[:, None], FAMILIES[family], fit, np.arange(20), 0)
    for i in range(0, 20, 4):
        sure = strength[i] * (1 if family == "poisson" else (1 - rate[i]) ** 2)
        of = (seen[i], rate[i] * size[i]) if family == "poisson" else (seen[i], int(size[i]), rate[i])
        averaged = exact.nb_averaged if family == "poisson" else exact.bb_averaged
        true = averaged(*of, fit.spread[i, 0], sure, bool(upper[i]))
        assert math.exp(log_p[i]) == pytest.approx(true, rel=0.02)


def test_odd_areas_leave_the_spread_about_given_rates():
    seen, size, rate, strength = column(1, 600)
    odd = seen.copy()
    odd[::20] = 6 * odd[::20] + 10
    calm, cleaned = (
        given(y, size, rate, strength, options=ex.Options(response=False, heavy=False)) for y in (seen, odd)
    )
    stained = given(odd, size, rate, strength)
    assert calm.spread[0, 0] == pytest.approx(0.1, rel=0.25)
    assert cleaned.spread[0, 0] == pytest.approx(calm.spread[0, 0], rel=0.1)
    assert stained.spread[0, 0] > cleaned.spread[0, 0]


def test_given_rates_get_a_response_to_exposure():
    rng = np.random.default_rng(2)
    size = np.maximum(np.round(np.exp(rng.normal(6.5, 1.2, 3000))), 1.0)
    rate, strength = np.full(3000, 0.05), np.full(3000, 1e4)
    seen = rng.poisson(0.05 * (size + np.exp(rng.normal(math.log(40), 1.2, 3000))) * rng.gamma(10, 0.1, 3000))
    fit = given(seen.astype(float), size, rate, strength, options=ex.Options())
    assert isinstance(fit.laws[0], Hidden)
    np.testing.assert_allclose(fit.rate, fit.ratio * 0.05, rtol=1e-12)
    assert np.median(fit.ratio[size < 100]) > 1.5
    assert np.median(fit.ratio[size > 2_000]) == pytest.approx(1.0, abs=0.08)
    off = given(seen.astype(float), size, rate, strength)
    assert (off.ratio == 1.0).all()


def test_given_values_and_missing_ones():
    rng = np.random.default_rng(3)
    value, weight = 10 + 3 * rng.normal(size=400), np.ones(400)
    value[7] = np.nan
    fit = given(value, weight, np.full(400, 10.0), np.full(400, 1e9), "gaussian")
    assert fit.spread[0, 0] == pytest.approx(9.0, rel=0.25)
    empty = given(np.full(50, np.nan), np.ones(50), np.full(50, 1.0), np.full(50, 10.0))
    assert np.isfinite(empty.spread).all()


# --- distance ---------------------------------------------------------------------------------------


def mean_squares(near, points):
    """Mean squared distance to each area's own, over the median of all; 0 where it has none, at most 30."""
    far = []
    for i, others in enumerate(near):
        weight = math.fsum(others.values())
        square = [w * math.dist(points[i], points[j]) ** 2 for j, w in others.items()]
        far.append(math.fsum(square) / weight if others else None)
    unit = float(np.median([x for x in far if x is not None]))
    return [0.0 if x is None else min(x / unit, 30.0) for x in far]


@pytest.mark.parametrize("seed", range(4))
def test_distance_is_that_of_plain_loops(seed):
    rng = np.random.default_rng(seed)
    points = 1e5 + 1e3 * rng.standard_cauchy((40, 2))
    near = [
        {int(j): float(rng.uniform(0.2, 3)) for j in rng.choice(40, rng.integers(0, 6)) if j != i}
        for i in range(40)
    ]
    cells = [(i, j, w) for i, others in enumerate(near) for j, w in others.items()]
    rows, columns, weights = (np.array(x) for x in zip(*cells, strict=True))
    found = spreads.distance(sparse.csr_array((weights, (rows, columns)), (40, 40)), points)
    np.testing.assert_allclose(found, mean_squares(near, points.tolist()), rtol=1e-5, atol=1e-9)


def test_distance_of_those_in_one_place_or_without_others_is_nothing():
    points = np.ones((5, 2))
    everybody = references.everybody(5)
    np.testing.assert_array_equal(spreads.distance(everybody, points), np.zeros(5))
    alone = sparse.csr_array((5, 5))
    np.testing.assert_array_equal(spreads.distance(alone, points * np.arange(5)[:, None]), np.zeros(5))


def error_of(scale, steep, seeds=2):
    """Root mean square of the error in units of what it should be, and what it should be, near and far."""
    land, found = country.build(3_000, seed=2), []
    for seed in range(seeds):
        draw = country.simulate(
            land, np.random.default_rng(seed), 0.08, 0.03, country.World(scale=scale, share=0.0)
        )
        inputs = prepare(country.panel(land, [draw]), land.graph, land.areas)
        source = sources.find("neighbours", inputs, 3, ex.Options(steep=steep), (), "poisson")
        block = sources.Block(inputs.observed, inputs.exposure, inputs.status == OK, FAMILIES["poisson"])
        fit = source.fit(block).fit
        away = (np.log(fit.rate[:, 0]) - np.log(draw.rate)) * np.sqrt(fit.strength[:, 0])
        far, people = spreads.distance(source.near[fit.width[0]], places(inputs)), land.residents > 0
        low, high = np.quantile(far[people], [0.25, 0.75])
        each = [people & (far <= low), people & (far >= high)]
        error = [float(np.median(1 / fit.strength[rows, 0])) for rows in each]
        found.append([*(np.sqrt(np.mean(away[rows] ** 2)) for rows in each), *error])
    return np.mean(found, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [4.0, 6.0, 10.0])
def test_error_grows_with_distance_as_it_should(scale):
    """On a rough map far surroundings say less, by as much as `strength` says."""
    near, far, little, much = error_of(scale, steep=True)
    assert 0.8 < near < 1.25
    assert 0.8 < far < 1.4
    assert much > 4 * little
    _, far_without, _, much_without = error_of(scale, steep=False, seeds=1)
    assert far_without > 2.0
    assert much_without < much / 3


# --- medians ----------------------------------------------------------------------------------------


def test_typical_is_the_median_over_the_mean():
    size = np.array([[10.0, 10.0], [500.0, 500.0]])
    laws = Hidden(80.0, 1.1, 1.0, 0.1), Response(*np.ones((4, 2)))
    found = np.column_stack([ex.typical(law, size[:, c]) for c, law in enumerate(laws)])
    people = 10 + 80 * np.exp(1.1 * np.random.default_rng(0).normal(size=400_001) - 0.605)
    assert found[0, 0] == pytest.approx(np.median(people) / 90, rel=0.01)
    assert found[1, 0] == pytest.approx((500 + 80 * math.exp(-0.605)) / 580)
    np.testing.assert_array_equal(found[:, 1], 1.0)


# --- one column through fused loops ------------------------------------------------------------------


@pytest.mark.parametrize("steep", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_fused_loops_find_what_matrices_do(seed, steep):
    """Candidates that are not known to count all areas the same go through sparse matrices."""
    land = country.build(900, seed=3)
    draw = country.simulate(land, np.random.default_rng(seed), 0.05, 0.1, country.World(scale=12.0))
    inputs = prepare(country.panel(land, [draw]), land.graph, land.areas)
    source = sources.find("neighbours", inputs, 3, ex.Options(), (), "poisson")
    wider = [references.everybody(inputs.codes.size), *parents(inputs)]
    figures = inputs.observed, inputs.exposure, inputs.status == OK, FAMILIES["poisson"]
    rest = wider, ex.Options(steep=steep), matrix(inputs), places(inputs)
    fused, plain = (ex.expect(*figures, near, *rest) for near in (source.near, list(source.near)))
    assert (fused.width == plain.width).all()
    for name in ("rate", "strength", "spread"):
        np.testing.assert_allclose(getattr(fused, name), getattr(plain, name), rtol=1e-6)


def small_world():
    """A block of one column of counts, and rings of neighbours with what they are shrunk to."""
    land = country.build(900, seed=3)
    draw = country.simulate(land, np.random.default_rng(0), 0.05, 0.1, country.World(scale=12.0))
    inputs = prepare(country.panel(land, [draw]), land.graph, land.areas)
    near = sources.find("neighbours", inputs, 3, ex.Options(), (), "poisson").near
    block = sources.Block(inputs.observed, inputs.exposure, inputs.status == OK, FAMILIES["poisson"])
    wider = [references.everybody(inputs.codes.size)]
    return block, counts.Around(near, wider, matrix(inputs), places(inputs))


@pytest.mark.parametrize(("clean", "steep"), [(0, [True]), (2, [False, True, True])])
def test_later_rounds_ask_for_all_slopes(clean, steep):
    """Chosen once, they cost false discoveries: decision 0019."""
    block, around = small_world()
    one = counts.begin(block, around, ex.Options(clean=clean))
    for step, asks in enumerate(steep):
        counts.turn(one, step)
        assert (one.steep, one.placed) == (asks, asks)
    groups = counts.begin(block, around, ex.Options(groups=True))
    counts.turn(groups, 0)
    assert groups.asked.tolist() == [False, True, False, True]
    assert (groups.steep, groups.placed) == (True, False)


@pytest.mark.parametrize("number", [1, 3, 9])
def test_columns_side_by_side_have_the_sums_they_have_alone(number):
    """Some with places, some without."""
    block, around = small_world()
    figures = [replace(block, observed=block.observed * (k + 1)) for k in range(number)]
    columns = [counts.begin(each, around, ex.Options()) for each in figures]
    for k, column in enumerate(columns):
        counts.turn(column, 2)
        column.placed = k % 4 < 2
    found = list(counts.pooled(columns, around, ex.Options()))
    assert sorted(map(id, columns)) == sorted(id(column) for column, _ in found)
    for column, together in found:
        ((_, alone),) = counts.pooled([column], around, ex.Options())
        for name in ("rates", "strengths", "parts", "there"):
            np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))
        assert len(together.parts) == (4 if column.placed else 2)


def test_fused_loops_find_the_slopes_that_matrices_do():
    """Error, distance, off-centre distance and steps of the rate."""
    block, around = small_world()
    found = []
    for candidates in (around.near, list(around.near)):
        one = counts.begin(block, replace(around, near=candidates), ex.Options())
        counts.turn(one, 2)
        ((_, pooled),) = counts.pooled([one], one.around, one.options)
        counts.choose(one, pooled)
        found.append(counts.slopes(one, pooled))
    assert found[0].shape == (4, 900)
    assert (found[0].std(axis=1) > 0).all()
    np.testing.assert_allclose(*found, rtol=1e-6, atol=1e-9)


def rounds_taken(monkeypatch, few, n=1_600, clean=2):
    """Rounds that a column on a calm surface takes where a part ``few`` may turn, and what is found."""
    rng, side = np.random.default_rng(0), int(np.sqrt(n))
    world, size = lattice(side, side), rng.uniform(500, 3_000, n)
    rate = 0.02 * rng.gamma(10.0, 0.1, n) * np.exp(0.3 * np.sin(np.arange(n) / 90.0))
    seen = rng.poisson(rate * size).astype(float)
    rounds, take = [], ex._take_a_round
    monkeypatch.setattr(counts, "_SETTLED", few)
    monkeypatch.setattr(ex, "_take_a_round", lambda *given: (rounds.append(1), take(*given)))
    frame = zg.Deviation(clean=clean).detect(world.panel(seen, size), world.graph()).frame
    monkeypatch.undo()
    return len(rounds), frame


def test_a_column_in_which_few_areas_turn_takes_no_third_round_and_expects_the_same(monkeypatch):
    number, frame = rounds_taken(monkeypatch, 0.02)
    whole, all_rounds = rounds_taken(monkeypatch, -1.0)
    assert (number, whole) == (2, 3)
    spread = np.sqrt(1 / all_rounds["expected"] + all_rounds["spread"])
    away = np.abs(np.log(frame["expected"] / all_rounds["expected"])) / spread
    assert 0 < away.mean() < 0.02
    assert away.max() < 0.3
    np.testing.assert_allclose(frame["spread"], all_rounds["spread"], rtol=0.1)
    flags = [set(np.flatnonzero(each["p_value"] < 0.001)) for each in (frame, all_rounds)]
    assert len(flags[0] ^ flags[1]) <= 1


@pytest.mark.parametrize(
    ("few", "n", "clean", "expected"),
    [(0.02, 900, 2, 3), (0.02, 1_600, 1, 2), (0.02, 1_600, 4, 2), (-1.0, 1_600, 4, 5), (1.0, 1_600, 2, 2)],
)
def test_small_maps_take_all_rounds_and_the_second_one_always(monkeypatch, few, n, clean, expected):
    assert rounds_taken(monkeypatch, few, n, clean)[0] == expected


def test_a_column_that_depends_on_exposure_takes_all_its_rounds():
    block, around = small_world()
    one = counts.begin(block, around, ex.Options())
    before, one.seen = one.keep.copy(), (None, None, 5_000)
    assert counts.settled(one, before)
    one.law = Hidden(10.0, 1.0, 1.0, 0.1)
    assert not counts.settled(one, before)
    one.law, turned = None, np.flatnonzero(before)[:26]
    one.keep[turned] = 0.0
    assert not counts.settled(one, before)
    one.keep[turned[:1]] = 1.0
    assert counts.settled(one, before)
    one.seen = None, None, 999
    assert not counts.settled(one, one.keep)
