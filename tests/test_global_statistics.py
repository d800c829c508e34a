"""Global Moran, Geary and G: plain loops, every arrangement there is, other packages, what can go wrong."""

import doctest
import itertools
import math
import shutil
import subprocess
import warnings

import esda
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from libpysal.weights import W
from scipy import sparse, stats

import zoo_geo as zg
from naive import global_statistics as naive
from panels import World, counts_of, lattice, with_island
from test_local_statistics import libpysal_map
from zoo_geo import arrangements, structure
from zoo_geo.errors import InputError
from zoo_geo.kernels.global_permutation import arrangements as arranged
from zoo_geo.kernels.global_permutation import pair_sums
from zoo_geo.schema import COLUMNS, GLOBAL_COLUMNS, STATUSES

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
MEASURES = ["moran", "geary", "getis_ord"]
NUMBERS = ["statistic", "expected", "variance", "z", "p_value"]


@pytest.fixture(autouse=True)
def small_maps(monkeypatch):
    """Textbook examples have fewer areas than an analyst should believe."""
    monkeypatch.setattr("zoo_geo.detectors.inputs.FEWEST_AREAS", 4)


def found(world, values, value="rate", seed=None, family="gaussian", size=None, **options):
    """Rows of one column, by measure."""
    panel = world.panel(values, size=size, family=family, seed=seed)
    options = {"permutations": 99, **options}
    frame = zg.global_statistics(panel, world.graph(seed), value=value, **options)
    return frame.set_index("measure")


def uneven(n, seed, density=0.4, whole=False):
    """A world of asymmetric weights; some areas may be isolated."""
    rng = np.random.default_rng(seed)
    link = rng.random((n, n)) < density
    weight = rng.integers(1, 4, (n, n)) if whole else rng.uniform(0.1, 3, (n, n))
    return World([{j: float(weight[i, j]) for j in range(n) if j != i and link[i, j]} for i in range(n)])


def dense(world):
    matrix = np.zeros((len(world), len(world)))
    for i, near in enumerate(world.near):
        for j, weight in near.items():
            matrix[i, j] = weight
    return matrix


@st.composite
def maps(draw):
    """Worlds with ties, missing values and isolates; values of 0 or more."""
    n = draw(st.integers(6, 14))
    world = uneven(n, draw(st.integers(0, 999)), draw(st.sampled_from([0.15, 0.4])), draw(st.booleans()))
    number = st.one_of(st.integers(0, 3).map(float), st.floats(0, 50).map(lambda x: round(x, 3)))
    values = draw(st.lists(number, min_size=n, max_size=n))
    for i in draw(st.lists(st.integers(0, n - 1), max_size=2)):
        values[i] = None
    return world, values


# --- against plain loops ----------------------------------------------------------------------------


@pytest.mark.slow
@QUICK
@given(maps(), st.sampled_from(["two-sided", "greater", "less"]), st.integers(0, 9))
def test_as_by_plain_loops(case, alternative, seed):
    world, values = case
    rows = found(world, values, seed=seed, alternative=alternative).assign(
        p_value=found(world, values, alternative=alternative, permutations=199)["p_value"]
    )
    pairs, x = naive.cut(world.near, values)
    assert (rows["n_areas"] == len(x)).all()
    joined = {i for pair in pairs for i in pair}
    assert (rows["n_isolates"] == len(x) - len(joined)).all()
    if len(x) < 4 or max(x) - min(x) <= 1e-9 * max(x) or not pairs:
        assert not (rows["status"] == "ok").any()
        return
    for measure in MEASURES:
        if measure == "getis_ord" and sum(v > 0 for v in x) < 2:
            assert rows.loc[measure, "status"] == "too_few"
            continue
        row, statistic = rows.loc[measure], naive.STATISTICS[measure]
        expected, variance = naive.moments(pairs, x, measure)
        assert row["statistic"] == pytest.approx(statistic(pairs, x), rel=1e-9, abs=1e-12)
        assert row["expected"] == pytest.approx(expected, rel=1e-9)
        if row["variance"] == 0:
            assert variance == pytest.approx(0, abs=1e-9 * max(expected**2, 1e-3))
            assert (row["z"], row["p_value"]) == (0, 1)
            continue
        assert row["variance"] == pytest.approx(variance, rel=1e-7)
        assert row["z"] == pytest.approx(
            (row["statistic"] - expected) / math.sqrt(variance), rel=1e-6, abs=1e-7
        )
        above, below = naive.counts(pairs, x, statistic, 199, seed=0)
        least = {"greater": above, "less": below, "two-sided": min(above, below)}[alternative]
        assert row["p_value"] == min(1, (1 + (alternative == "two-sided")) * (least + 1) / 200)


def forms(level):
    """The three functions of two values, and their coefficients."""
    functions = (
        lambda a, b: a * b,
        lambda a, b: (a - b) ** 2,
        lambda a, b: (a + level) * (b + level),
    )
    return zip(functions, structure._forms(level), strict=True)


@pytest.mark.parametrize("n", [6, 7])
@pytest.mark.parametrize("seed", range(4))
def test_moments_are_those_of_every_arrangement(n, seed):
    rng = np.random.default_rng(seed)
    matrix = dense(uneven(n, seed, 0.5))
    a = (matrix + matrix.T) / 2
    x = rng.gamma(1, 1, n) + 3 * (seed % 2)
    z, level = (x - x.mean()) / x.std(), x.mean() / x.std()
    orders = np.array(list(itertools.permutations(range(n))))
    for function, form in forms(level):
        b = function(z[:, None], z[None, :])
        drawn = (a * b[orders[:, :, None], orders[:, None, :]]).sum(axis=(1, 2))
        _, variance, skewness = naive.central(drawn.tolist())
        exact = arrangements.moments(
            arrangements.weight_patterns(sparse.csr_array(a)), arrangements.value_patterns(z, form), n
        )
        assert exact.variance == pytest.approx(variance, rel=1e-12)
        assert exact.skewness == pytest.approx(skewness, rel=1e-11, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("turn", range(7))
def test_curves_go_through_the_moments_of_every_arrangement(turn, alternative, monkeypatch):
    """In the long tail and in the short one."""
    monkeypatch.setattr(structure, "_SHARE", 1.0)
    monkeypatch.setattr(structure, "_SKEWNESS", 9.0)
    world, values = uneven(7, 5), np.roll([1.0, 4.0, 2.5, 9.0, 0.0, 3.0, 3.0], turn).tolist()
    pairs, x = naive.cut(world.near, values)
    for inference in ("moments", "normal"):
        rows = found(world, values, inference=inference, alternative=alternative)
        assert (rows["inference"] == inference).all()
        assert (rows["permutations"] == 0).all()
        for measure in MEASURES:
            drawn = naive.enumerated(pairs, x, naive.STATISTICS[measure])
            mean, variance, skewness = naive.central(drawn)
            z = (naive.STATISTICS[measure](pairs, x) - mean) / math.sqrt(variance)
            law = stats.pearson3(skewness if inference == "moments" else 0)
            tails = {"greater": law.sf(z), "less": law.cdf(z)}
            tails["two-sided"] = 2 * min(tails.values())
            assert rows.loc[measure, "z"] == pytest.approx(z, rel=1e-9)
            assert rows.loc[measure, "p_value"] == pytest.approx(tails[alternative], rel=1e-9)


def test_few_permutations_come_close_to_all():
    world, values = uneven(7, 8), [1.0, 4.0, 2.5, 9.0, 0.0, 3.0, 3.0]
    pairs, x = naive.cut(world.near, values)
    rows = found(world, values, permutations=99_999, alternative="greater")
    for measure in MEASURES:
        drawn = np.array(naive.enumerated(pairs, x, naive.STATISTICS[measure]))
        share = (drawn >= naive.STATISTICS[measure](pairs, x) - 1e-9).mean()
        assert rows.loc[measure, "p_value"] == pytest.approx(share, abs=5 * math.sqrt(0.25 / 99_999))


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_moments_keep_their_digits_on_a_large_map(shift):
    """Third moments of a map of 1,600 areas, with sums in extended precision; far from 0 too."""
    x = np.random.default_rng(1).gamma(0.5, size=1600) + shift
    z = (x - x.mean()) / x.std()
    long = z.astype(np.longdouble)
    level = x.mean() / x.std()
    for (function, form), name in zip(forms(level), MEASURES, strict=True):
        if name == "getis_ord" and np.finfo(np.longdouble).eps > 1e-18:
            continue
        b = function(long[:, None], long[None, :])
        np.fill_diagonal(b, 0)
        b -= b.sum() / (1600 * 1599)
        np.fill_diagonal(b, 0)
        sums, squares = b.sum(axis=1), (b**2).sum(axis=1)
        found = arrangements.value_patterns(z, form)
        tried = arrangements.patterns(
            sums,
            squares,
            (b**3).sum(),
            sums @ b @ sums,
            float(np.trace(np.linalg.matrix_power(b.astype(float), 3))),
        )
        falling = 1600.0**arrangements._AREAS
        for one, other, scale in zip(found[:-1], tried[:-1], falling, strict=True):
            assert one / scale == pytest.approx(
                float(other / scale), rel=1e-7, abs=float(1e-11 * squares.sum() / 1600**2)
            )


# --- what never matters -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world():
    return with_island(uneven(40, 2, 0.1))


def columns_of(world):
    rng = np.random.default_rng(6)
    columns = {name: rng.gamma(1, size=len(world)).round(2) for name in "abc"}
    columns["b"][[3, 7]] = np.nan
    return columns


@pytest.mark.parametrize("inference", ["permutation", "moments"])
def test_order_threads_blocks_and_other_columns_do_not_matter(world, inference, monkeypatch):
    columns = columns_of(world)
    options = {"inference": inference, "permutations": 499, "seed": 3}
    whole = zg.global_statistics(world.panel(columns, family="gaussian"), world.graph(), n_jobs=1, **options)
    shuffled = world.panel(columns, family="gaussian", seed=4)
    pd.testing.assert_frame_equal(zg.global_statistics(shuffled, world.graph(5), n_jobs=3, **options), whole)
    monkeypatch.setattr(structure, "_MOST_VALUES", 400)
    pd.testing.assert_frame_equal(zg.global_statistics(shuffled, world.graph(5), **options), whole)
    for name, column in columns.items():
        alone = zg.global_statistics(world.panel({name: column}, family="gaussian"), world.graph(), **options)
        rest = whole[whole["indicator"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, rest)


def test_areas_that_only_the_graph_knows_do_not_matter(world):
    columns = columns_of(world)
    values = columns["b"].copy()
    rows = found(world, values, permutations=499)
    kept = [i for i, v in enumerate(values) if np.isfinite(v)]
    panel = World([{}] * len(kept), [world.codes[i] for i in kept]).panel(values[kept], family="gaussian")
    fewer = zg.global_statistics(panel, world.graph(), permutations=499).set_index("measure")
    pd.testing.assert_frame_equal(fewer, rows)
    assert (rows["n_areas"] == len(world) - 2).all()


def test_units_of_values_and_weights_do_not_matter(world):
    values = np.random.default_rng(2).integers(0, 4, len(world)).astype(float)
    rows = found(world, values, permutations=999)
    heavier = World([{j: 0.3 * w for j, w in near.items()} for near in world.near], world.codes)
    for other in (found(heavier, values, permutations=999), found(world, values * 0.1, permutations=999)):
        np.testing.assert_allclose(other["z"], rows["z"], rtol=1e-9)
        assert (other["p_value"] == rows["p_value"]).all()
    moved = found(world, values + 1000.1, permutations=999)
    for measure in ("moran", "geary"):
        np.testing.assert_allclose(
            moved.loc[measure, NUMBERS].tolist(), rows.loc[measure, NUMBERS].tolist(), rtol=1e-8
        )


def test_only_the_symmetric_part_of_the_weights_matters(world):
    matrix = dense(world)
    same = (matrix + matrix.T) / 2
    symmetric = World(
        [{int(j): same[i, j] for j in np.flatnonzero(same[i])} for i in range(len(world))], world.codes
    )
    values = np.random.default_rng(3).gamma(1, size=len(world))
    np.testing.assert_allclose(
        found(symmetric, values)[NUMBERS].astype(float),
        found(world, values)[NUMBERS].astype(float),
        rtol=1e-9,
    )


def test_an_areas_own_weight_is_left_out(world):
    own = World([{**near, i: 5.0} for i, near in enumerate(world.near)], world.codes)
    values = np.random.default_rng(3).gamma(1, size=len(world))
    pd.testing.assert_frame_equal(found(own, values), found(world, values))


def test_another_seed_is_another_set_of_arrangements(world):
    values = np.random.default_rng(3).gamma(1, size=len(world))
    panel = world.panel(values, family="gaussian")
    one, other = (
        zg.global_statistics(panel, world.graph(), permutations=999, seed=seed)["p_value"] for seed in (0, 1)
    )
    assert (one != other).any()
    assert (one - other).abs().max() < 0.15


# --- conventions ------------------------------------------------------------------------------------


def test_p_is_never_zero_and_never_above_one():
    world = lattice(6, 6)
    slope = [float(i // 6) for i in range(36)]
    rows = found(world, slope, permutations=199)
    assert rows["p_value"].tolist()[:2] == [2 / 200, 2 / 200]
    assert found(world, slope, permutations=199, alternative="greater")["p_value"]["moran"] == 1 / 200
    assert found(world, slope, permutations=199, alternative="less")["p_value"]["geary"] == 1 / 200
    assert found(world, slope, permutations=199, alternative="less")["p_value"]["moran"] == 1
    for inference in ("moments", "normal"):
        p = found(world, slope, inference=inference)["p_value"]
        assert ((p > 0) & (p <= 1)).all()


def test_ties_count_on_both_sides():
    """One area of ten stands out on a ring: all arrangements are alike, but for float noise."""
    ring = World([{(i - 1) % 10: 1.0, (i + 1) % 10: 1.0} for i in range(10)])
    for scale in (1.0, 0.1, 1 / 3):
        rows = found(ring, [0.3 * scale] + [0.1 * scale] * 9)
        assert rows["p_value"].tolist() == [1, 1, 1]
        assert rows["z"].tolist() == [0, 0, 0]
    rows = found(ring, [0.3, 0.3, 0, 0, 0, 0, 0, 0, 0, 0.0], permutations=9_999, alternative="greater")
    together = 2 / 9  # of all places for the second one, two are beside the first
    np.testing.assert_allclose(rows.loc[["moran", "getis_ord"], "p_value"], together, atol=0.02)
    assert rows.loc["geary", "p_value"] == 1


def test_where_nothing_is_left_to_chance():
    everybody = World([{j: 1.0 for j in range(12) if j != i} for i in range(12)])
    values = np.random.default_rng(0).gamma(1, size=12)
    for inference in ("permutation", "moments", "normal"):
        rows = found(everybody, values, inference=inference)
        assert rows["p_value"].tolist() == [1, 1, 1]
        assert rows["z"].tolist() == [0, 0, 0]
        assert rows["variance"].tolist() == [0, 0, 0]
        assert rows.loc["moran", "statistic"] == pytest.approx(-1 / 11)


def test_isolates_stay_in_the_mean_and_in_n():
    world, values = lattice(4, 4), np.random.default_rng(0).gamma(1, size=17)
    rows = found(with_island(world), values)
    z = values - values.mean()
    matrix = dense(with_island(world))
    assert rows.loc["moran", "statistic"] == pytest.approx(17 / matrix.sum() * z @ matrix @ z / (z @ z))
    assert rows["n_areas"].tolist() == [17] * 3
    assert rows["n_isolates"].tolist() == [1] * 3
    assert (rows["status"] == "ok").all()


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ([None] * 16, ["missing"] * 3),
        ([2.0] * 16, ["constant"] * 3),
        ([1.0, 2.0, 3.0] + [None] * 13, ["too_few"] * 3),
        ([-1.0] + [float(i) for i in range(15)], ["ok", "ok", "negative"]),
        ([1.0] + [0.0] * 15, ["ok", "ok", "too_few"]),
    ],
)
def test_columns_without_a_figure_say_why(values, status):
    for inference in ("permutation", "moments"):
        rows = found(lattice(4, 4), values, inference=inference)
        assert rows["status"].tolist() == status
        silent = rows[rows["status"] != "ok"]
        assert silent[[*NUMBERS, "permutations"]].isna().all(axis=None)
        assert (rows["n_areas"] == sum(v is not None for v in values)).all()


def test_a_map_without_neighbours_says_so():
    rows = found(World([{} for _ in range(12)]), list(range(12)))
    assert rows["status"].tolist() == ["isolated"] * 3
    assert rows["n_isolates"].tolist() == [12] * 3


def test_g_is_for_rates_only():
    world = lattice(6, 6)
    size, observed = counts_of(world)
    for value in ("eb_rate", "residual"):
        rows = found(world, observed, value, size=size, family="poisson")
        assert rows["status"].tolist() == ["ok", "ok", "negative"]
    rows = found(world, observed, size=size, family="poisson")
    rate = (observed / size).tolist()
    assert rows["status"].tolist() == ["ok"] * 3
    for measure in MEASURES:
        expected = naive.STATISTICS[measure](*naive.cut(world.near, rate))
        assert rows.loc[measure, "statistic"] == pytest.approx(expected)


@pytest.mark.parametrize("inference", ["permutation", "moments", "normal"])
@pytest.mark.parametrize("measures", [("moran",), ("getis_ord", "moran"), ["geary"], ("getis_ord",)])
def test_a_measure_is_the_same_alone_and_beside_others(measures, inference):
    world = uneven(40, 3)
    values = np.random.default_rng(3).gamma(0.4, size=(2, 40))
    values[1, 5] = 1e3  # no curve fits
    panel = world.panel({"y": values[0], "x": values[1], "same": np.ones(40)}, family="gaussian")
    options = {"permutations": 99, "inference": inference}
    whole = zg.global_statistics(panel, world.graph(), **options)
    some = zg.global_statistics(panel, world.graph(), measures=measures, **options)
    listed = whole[whole["measure"].isin(measures)].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, listed)


def test_what_is_not_asked_is_not_computed(monkeypatch):
    world, asked, drawn = lattice(6, 6), [], []
    size, observed = counts_of(world)

    def moments(weights, values, n):
        asked.append(values)
        return arrangements_moments(weights, values, n)

    def permute(tests, *rest):
        drawn.extend(tests)
        return structure_permute(tests, *rest)

    arrangements_moments, structure_permute = arrangements.moments, structure._permute
    monkeypatch.setattr(arrangements, "moments", moments)
    monkeypatch.setattr(structure, "_permute", permute)
    rows = found(world, observed, size=size, family="poisson", measures=("geary",))
    assert (rows.index.tolist(), len(asked)) == (["geary"], 1)
    assert drawn[0].above.shape == drawn[0].seen.shape == (1,)
    drawn.clear()
    rows = found(world, observed, "eb_rate", size=size, family="poisson", measures=("getis_ord",))
    assert rows["status"].tolist() == ["negative"]
    assert drawn == []


def test_columns_without_any_figure_keep_their_type():
    rows = found(lattice(4, 4), -np.arange(16.0), measures=("getis_ord",))
    assert rows["status"].tolist() == ["negative"]
    assert (rows[NUMBERS].dtypes == "float64").all()


def test_every_indicator_and_period_has_its_rows():
    world = lattice(5, 5)
    rng = np.random.default_rng(0)
    table = pd.concat(
        pd.DataFrame(
            {"area": world.codes, "year": year, "y": rng.gamma(1, size=25), "x": rng.gamma(1, size=25)}
        )
        for year in ("2021", "2022")
    )
    panel = zg.Panel.from_frame(table, area="area", period="year", observed=["y", "x"], family="gaussian")
    frame = zg.global_statistics(panel, world.graph(), permutations=99)
    assert tuple(frame.columns) == GLOBAL_COLUMNS
    assert set(GLOBAL_COLUMNS) <= set(COLUMNS)
    assert frame[["indicator", "period", "measure"]].to_numpy().tolist() == [
        [indicator, period, measure]
        for indicator in ("y", "x") for period in ("2021", "2022") for measure in MEASURES
    ]  # fmt: skip
    one = zg.Panel.from_frame(table[table["year"] == "2022"], area="area", observed="x", family="gaussian")
    alone = zg.global_statistics(one, world.graph(), permutations=99)
    pd.testing.assert_frame_equal(frame.tail(3)[NUMBERS].reset_index(drop=True), alone[NUMBERS])
    assert set(frame["status"]) <= {*STATUSES, "negative"}


def test_the_example_in_the_docstring_runs():
    failed, tried = doctest.testmod(structure)
    assert (failed, tried > 0) == (0, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"value": "z"}, "value needs to be one of"),
        ({"inference": "exact"}, "inference needs to be one of"),
        ({"alternative": "both"}, "alternative needs to be one of"),
        ({"permutations": 5}, "permutations needs to be between"),
        ({"n_jobs": 0}, "n_jobs needs to be at least 1"),
        ({"measures": ()}, "measures needs to be some of moran, geary, getis_ord, each once"),
        ({"measures": "moran"}, "each once; got 'moran'"),
        ({"measures": ("moran", "gini")}, "measures needs to be some of"),
        ({"measures": ("moran", "moran")}, "measures needs to be some of"),
    ],
)
def test_options_that_do_not_fit_are_said(options, words):
    with pytest.raises(InputError, match=words):
        found(lattice(4, 4), list(range(16)), **options)


def test_negative_weights_are_refused():
    world = World([{(i + 1) % 12: 1.0, (i + 2) % 12: -2.0} for i in range(12)])
    with pytest.raises(InputError, match=r"weights need to be 0 or more; got negative ones \(12 of 24;"):
        found(world, list(range(12)))


# --- how far to trust the curve ---------------------------------------------------------------------


def drawn_beside_curve(near, values, draws, seed=1):
    """p of the curve over p of the draws, at three levels of both tails, for the measures it fits."""
    tests = [structure._test(x, np.zeros(x.size, np.int8), near, "rate", np.arange(3)) for x in values]
    sums = pair_sums(
        np.stack([test.z for test in tests]), arranged(near.n, seed, 0, draws), *near.pairs, near.reach
    )
    for test, each in zip(tests, sums, strict=True):
        drawn = test.measured(each)
        standard = np.sort((drawn - test.mean[:, None]) / test.deviation[:, None], axis=1)
        for k in np.flatnonzero(test.fits):
            for level in (0.05, 0.01, 0.001):
                upper, lower = standard[k, -int(level * draws)], standard[k, int(level * draws) - 1]
                for sign, at in ((1, upper), (-1, lower)):
                    p = structure.pearson_p(
                        np.array([sign * at]), np.array([sign * test.null[k].skewness]), "greater", False
                    )
                    yield level, p[0] / level, stats.norm.sf(sign * at) / level


def between(world):
    matrix = sparse.csr_array(dense(world))
    return structure._between(matrix, np.ones(len(world), bool))


@pytest.mark.slow
@pytest.mark.parametrize("side", [10, 20])
def test_the_curve_is_close_where_it_is_used(side):
    """On skewed, heavy-tailed and symmetric values: within a quarter at 0.01, a factor of two at 0.001."""
    rng = np.random.default_rng(4)
    n = side**2
    values = [
        draw for _ in range(3)
        for draw in (
            rng.normal(10, 1, n), rng.uniform(0, 1, n), rng.exponential(1, n), rng.gamma(0.3, 1, n),
            rng.poisson(0.7, n) + 0.0, rng.lognormal(0, 1, n), rng.lognormal(0, 2, n),
            60 + rng.standard_t(5, n),
        )
    ]  # fmt: skip
    compared = pd.DataFrame(
        drawn_beside_curve(between(lattice(side, side)), values, 100_000),
        columns=["level", "curve", "normal"],
    )
    assert len(compared) > 150
    off = np.exp(np.abs(np.log(compared["curve"]))).groupby(compared["level"]).max()
    assert off[0.05] < 1.15
    assert off[0.01] < 1.35
    assert off[0.001] < 2.2
    flat = np.exp(np.abs(np.log(compared["normal"]))).groupby(compared["level"]).max()
    assert flat[0.001] > 4


def test_one_extreme_area_is_left_to_permutation():
    """The normal curve calls a chance find certain; Pearson's can do the same on its short side."""
    world, values = lattice(12, 12), np.random.default_rng(3).gamma(1, size=144)
    values[66:68] = 60, 50
    rows = {
        name: found(world, values, inference=name, permutations=9_999)
        for name in ("permutation", "moments", "normal")
    }
    assert (rows["moments"]["inference"] == "permutation").all()
    assert (rows["moments"]["permutations"] == 9_999).all()
    assert (rows["moments"]["p_value"] == rows["permutation"]["p_value"]).all()
    assert rows["permutation"].loc["moran", "p_value"] > 0.02
    assert rows["normal"].loc["moran", "p_value"] < 1e-4


def test_a_hub_is_left_to_permutation():
    world = lattice(12, 12)
    values = np.random.default_rng(3).normal(10, 1, size=144)
    assert (found(world, values, inference="moments")["inference"] == "moments").all()
    world.near[0] |= dict.fromkeys(range(1, 60), 1.0)
    assert (found(world, values, inference="moments")["inference"] == "permutation").all()


def test_one_area_that_is_extreme_for_g_only_through_its_value_is_left_to_permutation():
    """Far from 0, G runs on values and hardly on products of two, which hide half of an area's share."""
    values = np.random.default_rng(0).normal(1_000, 1, size=400)
    values[210] = 1_007.5
    assert (found(lattice(20, 20), values, inference="moments")["inference"] == "permutation").all()


def test_geary_feels_an_extreme_area_sooner():
    """Its sums hold fourth powers: of 1,600 areas, one at 8 standard deviations bends its curve alone."""
    values = np.random.default_rng(4).normal(10, 1, size=1600)
    values[810] = 18
    rows = found(lattice(40, 40), values, inference="moments")
    assert rows["inference"].tolist() == ["moments", "permutation", "moments"]
    assert rows["permutations"].tolist() == [0, 99, 0]


@pytest.mark.parametrize("bound", ["_SHARE", "_SKEWNESS"])
def test_both_bounds_of_the_curve_are_in_use(bound, monkeypatch):
    values = np.random.default_rng(0).normal(10, 1, size=400)
    assert (found(lattice(20, 20), values, inference="moments")["inference"] == "moments").all()
    monkeypatch.setattr(structure, bound, 1e-4)
    assert (found(lattice(20, 20), values, inference="moments")["inference"] == "permutation").all()


def test_permutation_and_moments_agree_on_maps_with_some_structure():
    world = lattice(10, 10)
    rng = np.random.default_rng(8)
    base = rng.normal(10, 1, (100, 12))
    columns = {f"c{k}": base[:, k] + 0.02 * k * (np.arange(100) // 10) for k in range(12)}
    panel = world.panel(columns, family="gaussian")
    by_draws, by_curve = (
        zg.global_statistics(panel, world.graph(), inference=name, permutations=19_999)
        for name in ("permutation", "moments")
    )
    used = (by_curve["inference"] == "moments") & (by_draws["p_value"] > 0.005)
    assert used.sum() > 20
    np.testing.assert_allclose(by_curve["p_value"][used], by_draws["p_value"][used], rtol=0.25)


def test_unequal_populations_alone_give_rates_structure():
    """One and the same risk everywhere, few people in the north: standardised rates keep the stated error."""
    world, draws = lattice(20, 20), np.random.default_rng(2)
    size = np.repeat(np.geomspace(30, 3000, 20), 20)
    columns = {f"c{k}": draws.poisson(size * 0.02).astype(float) for k in range(90)}
    panel = world.panel(columns, size=size)
    share = {}
    for value in ("rate", "eb_rate"):
        frame = zg.global_statistics(panel, world.graph(), value=value, permutations=199)
        share[value] = (frame["p_value"] <= 0.05).groupby(frame["measure"]).mean()[["moran", "geary"]]
    assert (share["rate"] > 0.12).all()
    assert (share["eb_rate"] < 0.1).all()


# --- printed numbers --------------------------------------------------------------------------------


def test_global_g_of_the_six_points():
    """Peers' value 7: G and its one-sided p (PySAL)."""
    points = [(10, 10), (20, 10), (40, 10), (15, 20), (30, 20), (30, 30)]
    near = [
        {j: 1.0 for j, q in enumerate(points) if j != i and math.dist(p, q) <= 15}
        for i, p in enumerate(points)
    ]
    row = found(World(near), [2.0, 3.0, 3.2, 5.0, 8.0, 7.0], inference="normal", alternative="greater").loc[
        "getis_ord"
    ]
    assert round(row["statistic"], 8) == 0.55709779
    assert round(row["p_value"], 6) == 0.172936


def global_rows(table, graph, column, exposure=None, **options):
    family = "gaussian" if exposure is None else "poisson"
    panel = zg.Panel.from_frame(table, area="code", observed=column, exposure=exposure, family=family)
    return zg.global_statistics(panel, graph.transform("R"), permutations=99, **options).set_index("measure")


def test_moran_of_homicides_around_saint_louis():
    """Peers' value 22."""
    rows = global_rows(*libpysal_map("stl_hom.shp", "stl.gal"), "HR8893")
    assert rows.loc["moran", "statistic"] == pytest.approx(0.24365582621771659, rel=1e-12)


def test_moran_of_sudden_deaths_in_north_carolina():
    """Peers' values 23, of rates, and 31, of empirical-Bayes rates (Assuncao and Reis)."""
    table, graph = libpysal_map("sids2.shp", "sids2.gal", id_column="FIPSNO")
    rows = global_rows(table, graph, "SIDR74")
    assert rows.loc["moran", "statistic"] == pytest.approx(0.24772519320480135, rel=1e-12)
    rows = global_rows(table, graph, "SID79", "BIR79", value="eb_rate")
    assert rows.loc["moran", "statistic"] == pytest.approx(0.16622343552567395, rel=1e-12)


def test_variance_of_moran_on_nine_squares():
    """Peers' value 24: randomisation variance on a 3 x 3 rook map."""
    near = [{j: 1.0 for j in range(9) if abs(i // 3 - j // 3) + abs(i % 3 - j % 3) == 1} for i in range(9)]
    rows = found(World(near), [float(i) for i in range(1, 10)])
    assert rows.loc["moran", "variance"] == pytest.approx(0.059687500000000004, rel=1e-12)


# --- esda -------------------------------------------------------------------------------------------


def pysal(world):
    near = {i: [j for j in row if j != i] for i, row in enumerate(world.near)}
    weights = {i: [row[j] for j in near[i]] for i, row in enumerate(world.near)}
    return W(near, weights, silence_warnings=True)


@QUICK
@given(maps())
def test_moran_and_geary_as_esda(case):
    """Without missing values; with asymmetric weights and islands."""
    world, values = case
    x = np.array([0.0 if v is None else v for v in values])
    if x.std() < 1e-6 or not any(world.near):
        return
    rows = found(world, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moran = esda.Moran(x, pysal(world), transformation="O", permutations=0)
        geary = esda.Geary(x, pysal(world), transformation="O", permutations=0)
    if rows.loc["moran", "variance"] > 0:
        theirs = [moran.I, moran.EI, moran.VI_rand, moran.z_rand]
        assert rows.loc["moran", NUMBERS[:4]].tolist() == pytest.approx(theirs, rel=1e-7, abs=1e-9)
    if rows.loc["geary", "variance"] > 0:
        theirs = [geary.C, 1.0, geary.VC_rand, geary.z_rand]
        assert rows.loc["geary", NUMBERS[:4]].tolist() == pytest.approx(theirs, rel=1e-7, abs=1e-9)


def test_g_as_esda_on_binary_weights_and_where_it_drops_the_weights():
    values = np.random.default_rng(0).gamma(1, size=30)
    for world, same in ((lattice(5, 6), True), (lattice(5, 6, seed=1), False)):
        row = found(world, values).loc["getis_ord"]
        theirs = esda.G(values, pysal(world), permutations=0)
        alike = np.isclose([theirs.G, theirs.EG, theirs.VG], row[NUMBERS[:3]].tolist(), rtol=1e-9)
        assert alike.all() == same
        assert alike.any() == same


def test_missing_values_leave_where_esda_has_no_answer():
    values = np.random.default_rng(0).gamma(1, size=30)
    values[4] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(esda.Moran(values, pysal(lattice(5, 6)), permutations=0).I)
    row = found(lattice(5, 6), values).loc["moran"]
    assert row["statistic"] == pytest.approx(
        naive.moran(*naive.cut(lattice(5, 6).near, [None if np.isnan(v) else v for v in values]))
    )


# --- R spdep ----------------------------------------------------------------------------------------

SPDEP = """
suppressMessages(suppressWarnings({
library(spdep)
invisible(set.ZeroPolicyOption(TRUE))
folder <- commandArgs(trailingOnly = TRUE)[1]
rows <- NULL
for (path in sort(Sys.glob(file.path(folder, "*.csv")))) {
  table <- as.matrix(read.csv(path, header = FALSE))
  x <- table[, 1]
  weights <- mat2listw(unname(table[, -1]), style = "M")
  moran <- moran.test(x, weights, zero.policy = TRUE, adjust.n = FALSE)
  geary <- geary.test(x, weights, zero.policy = TRUE, adjust.n = FALSE)
  g <- globalG.test(x, weights, zero.policy = TRUE, adjust.n = FALSE, adjust.x = FALSE)
  for (test in list(moran, geary, g)) rows <- rbind(rows, c(test$estimate, test$statistic, test$p.value))
}}))
cat(apply(format(rows, digits = 17), 1, paste, collapse = " "), sep = "\\n")
"""


@pytest.fixture(scope="module")
def spdep(tmp_path_factory):
    """Return a function that runs spdep's three tests on maps: estimate, mean, variance, statistic, p."""
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    if subprocess.run(["Rscript", "-e", "library(spdep)"], capture_output=True, check=False).returncode:
        pytest.skip("R's spdep is not installed")

    def run(maps):
        folder = tmp_path_factory.mktemp("spdep")
        (folder / "run.R").write_text(SPDEP)
        for k, (world, x) in enumerate(maps):
            np.savetxt(
                folder / f"{k:03d}.csv", np.column_stack([x, dense(world)]), delimiter=",", fmt="%.17g"
            )
        done = subprocess.run(
            ["Rscript", folder / "run.R", folder], capture_output=True, check=True, text=True, timeout=300
        )
        return np.array([line.split() for line in done.stdout.splitlines()], float).reshape(-1, 3, 5)

    return run


@pytest.mark.slow
def test_as_spdep(spdep):
    """Uneven and asymmetric weights, isolates, ties; isolates count, as its options allow."""
    rng = np.random.default_rng(1)
    cases = [(lattice(6, 7), rng.gamma(1, size=42)), (lattice(6, 7, seed=2), rng.poisson(1.5, 42) + 0.0)]
    cases += [(uneven(30, seed, 0.12), rng.lognormal(0, 1, 30)) for seed in range(6)]
    cases += [(with_island(lattice(5, 5)), rng.normal(20, 3, 26))]
    for (world, x), theirs in zip(cases, spdep(cases), strict=True):
        rows = found(world, x, inference="normal", alternative="greater")
        turned = theirs.copy()
        turned[1, 3], turned[1, 4] = -theirs[1, 3], 1 - theirs[1, 4]  # its Geary looks the other way
        np.testing.assert_allclose(
            rows[["statistic", "expected", "variance", "z", "p_value"]].astype(float), turned, rtol=1e-9
        )
