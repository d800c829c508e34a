"""Results of columns side by side: z and p, the order of counts, tables by area, figures next door."""

import itertools

import numpy as np
import pytest
from scipy import special

import zoo_geo as zg
from naive import estimation as naive
from panels import counts_of, lattice
from zoo_geo.detectors.comparisons import figures_next_door
from zoo_geo.kernels import bulk_tails, comparing, layout, normal, tails

ASKED = {"two-sided": 0, "greater": 1, "less": -1}


def signed(log_p, upper, alternative="two-sided"):
    z, p = np.empty(len(log_p)), np.empty(len(log_p))
    normal.signed(np.asarray(log_p, float), np.asarray(upper, bool), ASKED[alternative], z, p)
    return z, p


@pytest.mark.parametrize("side", [True, False])
@pytest.mark.parametrize(("low", "high"), [(0.6931472, 2.6), (2.6, 25), (25, 729), (729, 1e6)])
def test_z_is_the_normal_quantile_of_the_tail(low, high, side):
    log_p = -np.geomspace(low, high, 400)
    z, _ = signed(log_p, np.full(400, side))
    np.testing.assert_allclose(z, (-1 if side else 1) * special.ndtri_exp(log_p), rtol=1e-12, atol=1e-15)


def test_p_of_both_sides_and_of_each():
    log_p, upper = np.log([0.5, 0.3, 0.3, 1e-9, 1e-9]), [True, True, False, True, False]
    np.testing.assert_allclose(signed(log_p, upper)[1], [1, 0.6, 0.6, 2e-9, 2e-9])
    np.testing.assert_allclose(signed(log_p, upper, "greater")[1], [0.5, 0.3, 0.7, 1e-9, 1.0])
    np.testing.assert_allclose(signed(log_p, upper, "less")[1], [0.5, 0.7, 0.3, 1.0, 1e-9])
    np.testing.assert_array_equal(signed([-5_000.0, 0.0], [True, True])[1], [1e-300, 1.0])


def test_equal_counts_come_together_and_large_ones_last():
    rng = np.random.default_rng(0)
    observed, valid = np.floor(10.0 ** rng.uniform(0, 3, 999)) - 1.0, rng.random(999) < 0.8
    observed[::50] = np.nan
    valid &= np.isfinite(observed)
    rows = layout.by_count(observed, valid)
    assert sorted(rows) == np.flatnonzero(valid).tolist()
    key = [min(observed[i], 257) for i in rows]
    assert key == sorted(key)
    for _, same in itertools.groupby(rows, key=lambda i: min(observed[i], 257)):
        assert (np.diff(list(same)) > 0).all()
    assert layout.by_count(observed, np.zeros(999, bool)).size == 0


@pytest.mark.parametrize("n", [1, 63, 64, 130])
def test_columns_go_to_their_places_in_a_table_by_area(n):
    columns, table = np.random.default_rng(1).random((3, n)), np.full((n, 5), -1.0)
    layout.into_areas(columns, np.array([4, 0, 2]), table)
    np.testing.assert_array_equal(table[:, [4, 0, 2]], columns.T)
    assert (table[:, [1, 3]] == -1).all()


def test_results_are_put_together_area_by_area():
    nan = np.nan
    observed, size = np.array([3.0, 0.0, nan, 8.0, 5.0]), np.array([10.0, 20.0, 30.0, 40.0, 50.0])
    people, valid = 2 * size, np.array([True, True, False, True, True])
    rate, spread = np.array([0.1, 0.2, 0.3, 0.1, 0.2]), np.arange(5.0)
    found = np.array(
        [[0.1, 0.2, 0.3, 0.4], [2.0, 3.0, np.inf, 5.0], [6.0, 7.0, 8.0, 9.0], [0.5, 0.6, 0.7, 0.8]]
    )
    out = np.full((8, 5), 77.0)
    comparing.put_together(
        observed, size, people, valid, rate, spread, 100.0, np.array([1, 0, 3, 4]), *found, out
    )
    expected = {
        comparing.EXPECTED: [1, 4, nan, 4, 10], comparing.RATIO: [3, 0, nan, nan, 0.5],
        comparing.LOW: [0.2, 0.1, nan, 0.3, 0.4], comparing.HIGH: [3, 2, nan, np.inf, 5],
        comparing.Z: [7, 6, nan, 8, 9], comparing.P: [0.6, 0.5, nan, 0.7, 0.8],
        comparing.SPREAD: [0, 1, nan, 3, 4], comparing.REFERENCE: [5, 10, nan, 5, 10],
    }  # fmt: skip
    for row, values in expected.items():
        np.testing.assert_allclose(out[row], values, rtol=1e-14, err_msg=str(row))


def test_classes_and_sides_are_those_of_the_control_limits():
    z = np.array([[np.nan, 0.0, 1.95, 1.97, 3.0], [3.1, -1.95, -1.97, -3.0, -3.1]])
    p = np.array([[np.nan, 1.0, 0.0011, 0.001, 0.0], [0.5, 0.5, 0.5, 0.5, 0.5]])
    label, side, far = np.empty((2, 5), np.int8), np.empty((2, 5), np.int8), np.empty((2, 5), bool)
    comparing.classify(z, p, *special.ndtri([0.975, 0.999]), 0.001, label, side, far)
    assert label.tolist() == [[2, 2, 2, 3, 3], [4, 2, 1, 1, 0]]
    assert side.tolist() == [[0, 0, 1, 1, 1], [1, -1, -1, -1, -1]]
    assert far.tolist() == [[False, False, False, True, True], [False] * 5]


def test_wide_spreads_are_counted_with_their_errors_where_something_is_expected():
    spread, strength = np.array([0.5, 0.4, 0.4, 9.0, 9.0, 0.1]), np.array([1e9, 9.0, 11.0, 1.0, 1.0, np.nan])
    expected, valid = np.array([1.0, 1.0, 1.0, np.nan, 1.0, 1.0]), np.array([True] * 4 + [False, True])
    assert comparing.widely_spread(spread, strength, expected, valid, 0.5) == (4, 2)


def test_figures_next_door_are_those_of_plain_loops():
    rng = np.random.default_rng(2)
    n, columns = 30, 41
    near = [np.flatnonzero(rng.random(n) < 0.15) for _ in range(n)]
    near[4] = np.array([], int)
    observed, exposure = rng.poisson(5, (columns, n)).astype(float), rng.uniform(1, 9, (columns, n))
    known = rng.random((columns, n)) < np.where(np.arange(columns) < 19, 0.7, 1.0)[:, None]
    observed[~known], exposure[~known] = np.nan, np.nan
    weighed, per = np.arange(columns) % 3 == 0, np.linspace(1, 1000, columns)
    indptr = np.concatenate([[0], np.cumsum([each.size for each in near])])
    figures = observed.T, exposure.T, known.T
    ends = np.stack([indptr[:-1], indptr[1:]])
    number, value = figures_next_door(ends, np.concatenate(near), *figures, weighed, per, n_jobs=2)
    for i, c in itertools.product(range(n), range(columns)):
        there = [j for j in near[i] if known[c, j]]
        assert number[i, c] == len(there)
        size = sum(exposure[c, j] for j in there)
        events = sum(observed[c, j] * (exposure[c, j] if weighed[c] else per[c]) for j in there)
        assert value[i, c] == pytest.approx(events / size if there else np.nan, rel=1e-13, nan_ok=True)


def moderate(n, seed=9):
    """Counts whose error is moderate, as they come."""
    rng = np.random.default_rng(seed)
    mean, phi = np.exp(rng.uniform(-2, 7, n)), np.exp(rng.uniform(-5, -0.2, n))
    strength = np.exp(rng.uniform(np.log(10), np.log(200), n))
    seen = rng.poisson(mean * rng.gamma(1 / phi, phi) / rng.gamma(strength, 1 / strength)).astype(float)
    own = phi + 1 / mean
    error, away = 1 / np.sqrt(strength * own), np.abs(seen / mean - 1) / own / np.sqrt(strength)
    kept = (error > 0.25) & (error < 0.6) & (away < 1)
    return seen[kept], mean[kept], phi[kept], strength[kept]


def test_moderate_errors_by_parts_are_far_closer_than_sums_of_places():
    given = moderate(900)
    log_p, upper = np.empty(given[0].size), np.empty(given[0].size, bool)
    rest = bulk_tails.bulk(*given, log_p.copy(), upper.copy())
    tails.nb_tails(*given, log_p, upper)
    done = np.setdiff1d(np.arange(log_p.size), rest)
    assert done.size > 150
    for i in done:
        true = naive.averaged(*(each[i] for each in given), bool(upper[i]))
        assert np.exp(log_p[i]) == pytest.approx(true, rel=3e-6)


@pytest.mark.parametrize("seed", [None, 4])
def test_columns_of_a_frame_belong_to_nobody_else(seed):
    world = lattice(6, 6)
    size, seen = counts_of(world, seed=3)
    panel, graph = world.panel(seen, size, seed=seed), world.graph()
    frames = [zg.Deviation(reference).detect(panel, graph).frame for reference in ("neighbours", "national")]
    arrays = [frame[name].to_numpy() for frame in frames for name in frame if frame[name].dtype == float]
    assert len(arrays) > 24
    for one, other in itertools.combinations([*arrays, panel.observed, panel.exposure], 2):
        assert not np.shares_memory(one, other)
