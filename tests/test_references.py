"""Deviation against peers, strata, covariates and autoregressions, through the public face."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import zoo_geo as zg
from naive import expectation as naive
from panels import by_area, counts_of, lattice, with_island
from test_deviation import areas_of
from zoo_geo.conditionals import leave_one_out
from zoo_geo.errors import InputError

PLAIN = {"steep": False, "response": False, "heavy": False}


def table_of(world, seed=None, **columns):
    """Features in any row order."""
    frame = pd.DataFrame(columns, index=pd.Index(world.codes, dtype=object))
    return frame if seed is None else frame.iloc[np.random.default_rng(seed).permutation(len(frame))]


def strips(world, cols, rows=3):
    """Parents that are whole rows of a lattice."""
    return [f"GM{i // cols // rows:02d}" for i in range(len(world))]


def frame_of(detector, world, seen, size, **given):
    family = given.pop("family", "poisson")
    neighbors = given.pop("neighbors", None)
    return detector.detect(world.panel(seen, size, family, seed=3), neighbors, **given).frame


# --- strata and peers -------------------------------------------------------------------------------


@pytest.mark.parametrize("clean", [0, 2])
def test_stratum_is_that_of_the_plain_loops(clean):
    world = lattice(7, 7)
    size, seen = counts_of(world, seed=2)
    seen[10] = 8 * seen[10] + 20
    classes = [f"c{i * i % 3}" for i in range(len(world))]
    frame = frame_of(
        zg.Deviation("stratum:kind", clean=clean, **PLAIN), world, seen, size,
        features=table_of(world, seed=1, kind=classes),
    )  # fmt: skip
    near = [
        {j: 1.0 for j in range(len(world)) if j != i and classes[j] == classes[i]} for i in range(len(world))
    ]
    rates, _, phi = naive.expect(seen.tolist(), size.tolist(), near, None, clean)
    close = 1e-9 if clean == 0 else 2e-3
    np.testing.assert_allclose(by_area(frame, "expected", world), np.array(rates) * size, rtol=close)
    np.testing.assert_allclose(by_area(frame, "spread", world), phi, rtol=0.03)
    assert (frame["reference"] == "stratum:kind").all()


def test_areas_without_a_class_or_alone_in_it_are_isolated():
    world = lattice(5, 6)
    size, seen = counts_of(world)
    classes = ["a"] * 14 + ["b"] * 12 + [None, None, "c", math.nan]
    frame = frame_of(
        zg.Deviation("stratum:kind"), world, seen, size, features=table_of(world, kind=classes).iloc[:-1]
    )
    assert by_area(frame, "status", world).tolist() == ["ok"] * 26 + ["isolated"] * 4
    assert np.isnan(by_area(frame, "p_value", world)[26:]).all()


@pytest.mark.parametrize("clean", [0, 2])
def test_peers_are_those_of_the_plain_loops(clean):
    world = lattice(7, 8)
    size, seen = counts_of(world, seed=4)
    seen[30] = 6 * seen[30] + 20
    rng = np.random.default_rng(0)
    table = table_of(world, seed=2, a=rng.normal(size=56), b=rng.normal(size=56))
    peers = zg.build_peers(table, k=8)
    for detector in (zg.Deviation(clean=clean, **PLAIN), zg.Deviation("peers", clean=clean, **PLAIN)):
        found = detector.detect(world.panel(seen, size, seed=3), peers)
        place = {code: i for i, code in enumerate(world.codes)}
        near = [{} for _ in world.codes]
        for focal, other in peers.distances.index:
            near[place[focal]][place[other]] = 1.0
        rates, _, phi = naive.expect(seen.tolist(), size.tolist(), near, None, clean)
        lonely = np.array([not each for each in near])
        assert lonely.sum() == 3  # too far from everybody
        assert (by_area(found.frame, "status", world) == np.where(lonely, "isolated", "ok")).all()
        expected = np.where(lonely, np.nan, np.array(rates) * size)
        close = 1e-9 if clean == 0 else 2e-3
        np.testing.assert_allclose(by_area(found.frame, "expected", world), expected, rtol=close)
        np.testing.assert_allclose(by_area(found.frame, "spread", world)[~lonely], phi, rtol=0.03)
        assert (found.frame["reference"] == "peers").all()
        assert any(peers.id in notice for notice in found.notices)


# --- covariates -------------------------------------------------------------------------------------


def covaried(rows=12, cols=12, seed=0, effect=0.8, spread=0.03):
    """Counts that a covariate explains, on strips of three rows."""
    world = lattice(rows, cols)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=len(world))
    size = rng.integers(300, 4000, len(world)).astype(float)
    seen = rng.poisson(size * 0.02 * np.exp(effect * x) * rng.gamma(1 / spread, spread, len(world)))
    return world, size, seen.astype(float), x, areas_of(world, strips(world, cols))


def test_no_figure_of_its_block_enters_what_a_model_expects():
    world, size, seen, x, areas = covaried()
    table = table_of(world, x=x)
    detector = zg.Deviation("model")
    before = by_area(frame_of(detector, world, seen, size, areas=areas, features=table), "expected", world)
    more = seen.copy()
    more[36:72] = 3 * more[36:72] + 40  # the second strip
    after = by_area(frame_of(detector, world, more, size, areas=areas, features=table), "expected", world)
    np.testing.assert_array_equal(after[36:72], before[36:72])
    assert (np.delete(after, range(36, 72)) != np.delete(before, range(36, 72))).all()
    assert np.corrcoef(np.log(before / size), x)[0, 1] > 0.98


def test_an_own_figure_does_not_change_what_is_expected_after_adjusting():
    """Areas whose neighbours are all of their block: neither coefficients nor surroundings know them."""
    world, size, seen, x, areas = covaried()
    given = {"areas": areas, "features": table_of(world, x=x), "neighbors": world.graph()}
    detector = zg.Deviation(adjust="x", rings=1, clean=0, precision=False, shrink=False, **PLAIN)
    before = by_area(frame_of(detector, world, seen, size, **given), "expected", world)
    for i in (17, 53, 90):
        more = seen.copy()
        more[i] = 5 * more[i] + 100
        after = by_area(frame_of(detector, world, more, size, **given), "expected", world)
        assert after[i] == pytest.approx(before[i], rel=1e-12)
        assert after[i + 1] > before[i + 1] * 1.05


def test_adjusting_makes_rates_comparable():
    """What is expected is the rate of the neighbours, each over what its covariate leads to expect."""
    world, size, seen, x, areas = covaried(effect=1.2)
    given = {"areas": areas, "features": table_of(world, seed=5, x=x), "neighbors": world.graph(seed=1)}
    plain, adjusted = (
        frame_of(zg.Deviation(rings=1, adjust=adjust), world, seen, size, **given) for adjust in ((), "x")
    )
    truth = size * 0.02 * np.exp(1.2 * x)
    away = [np.abs(np.log(by_area(frame, "expected", world) / truth)) for frame in (plain, adjusted)]
    assert away[1].mean() < 0.15 < 0.6 < away[0].mean()
    assert by_area(adjusted, "spread", world)[0] < 0.1 < by_area(plain, "spread", world)[0]
    for frame in (plain, adjusted):  # what the place explains is not told from what the covariate does
        assert frame[["ratio_before", "explained"]].isna().all(axis=None)


def test_values_are_adjusted_by_taking_away():
    world, _, _, x, areas = covaried()
    rng = np.random.default_rng(1)
    value = 50 + 4 * x + rng.normal(0, 1, len(world))
    value[40] += 12
    given = {
        "areas": areas,
        "features": table_of(world, x=x),
        "neighbors": world.graph(),
        "family": "gaussian",
    }
    frame = frame_of(zg.Deviation(adjust="x"), world, value, None, **given)
    expected = by_area(frame, "expected", world)
    assert np.abs(expected - (50 + 4 * x)).max() < 1.5
    p = by_area(frame, "p_value", world)
    assert p[40] < 1e-4
    assert (np.delete(p, 40) <= 0.05).mean() < 0.12


def test_what_covariates_explain_is_no_deviation_from_them():
    """Twelve areas have three times the rate because they have a station; three for no reason."""
    world = lattice(20, 20)
    rng = np.random.default_rng(7)
    station, odd = np.zeros(400), rng.choice(np.arange(100, 200), 3, replace=False)
    station[rng.choice(400, 60, replace=False)] = 1.0
    station[odd] = 0.0
    size = rng.integers(1_000, 4_000, 400).astype(float)
    rate = 0.02 * np.where(station > 0, 3.0, 1.0) * rng.gamma(100, 0.01, 400)
    rate[odd] *= 3.0
    seen = rng.poisson(size * rate).astype(float)
    given = {"areas": areas_of(world, strips(world, 20)), "features": table_of(world, station=station)}
    nation = by_area(frame_of(zg.Deviation("national"), world, seen, size, **given), "z", world)
    found = zg.Deviation("model").detect(world.panel(seen, size), **given)
    model = by_area(found.frame, "z", world)
    assert (nation[station > 0] > 1.5).mean() > 0.8
    assert (np.abs(model[station > 0]) > 2.5).mean() < 0.07
    assert (model[odd] > 4.0).all()
    explained = by_area(found.frame, "explained", world)
    assert np.median(explained[station > 0]) > 0.8
    assert (explained[odd] < 0.1).all()
    assert any("covariates explain" in notice for notice in found.notices)


@pytest.mark.parametrize("reference", ["model", "national"])
def test_parts_that_are_switched_off_stay_off(reference):
    """Areas that are odd themselves leave the spread, unless cleaning is off."""
    world, size, seen, x, areas = covaried()
    seen[::16] = 6 * seen[::16] + 30
    given = {"areas": areas, "features": table_of(world, x=x)}
    adjust = () if reference == "model" else "x"
    spreads = [
        by_area(frame_of(detector, world, seen, size, **given), "spread", world)[0]
        for detector in (zg.Deviation(reference, adjust=adjust, clean=clean) for clean in (0, 2))
    ]
    assert spreads[0] > 1.1 * spreads[1]


def test_own_columns_by_hand():
    world, size, seen, x, areas = covaried()
    frame = frame_of(zg.Deviation("model"), world, seen, size, areas=areas, features=table_of(world, x=x))
    before = seen / (size * (seen.sum() - seen) / (size.sum() - size))
    np.testing.assert_allclose(by_area(frame, "ratio_before", world), before, rtol=1e-12)
    ratio = seen / by_area(frame, "expected", world)
    np.testing.assert_allclose(by_area(frame, "ratio", world), ratio, rtol=1e-12)
    for i, share in enumerate(by_area(frame, "explained", world)):
        if seen[i] > 0 and abs(math.log(before[i])) > math.log(1.1):
            gone = 1 - math.log(ratio[i]) / math.log(before[i])
            assert share == pytest.approx(min(max(gone, -1.0), 1.0), rel=1e-9)
        elif seen[i] > 0:
            assert math.isnan(share)
    nation = frame_of(zg.Deviation("national"), world, seen, size)
    assert nation[["ratio_before", "explained"]].isna().all(axis=None)


@pytest.mark.parametrize("reference", ["model", "neighbours", "national", "stratum:kind"])
def test_order_of_rows_changes_nothing(reference):
    world, size, seen, x, areas = covaried(9, 9)
    kind = ["a" if i % 3 else "b" for i in range(81)]
    columns = ["x"] if reference == "model" else ["x", "kind"]
    detector = zg.Deviation(reference, adjust=() if reference == "model" else "x")
    first, other = (
        detector.detect(
            world.panel(seen, size, seed=seed), world.graph(seed=seed), areas=areas,
            features=table_of(world, seed=seed, x=x, kind=kind)[columns],
        ).frame
        for seed in (None, 4)
    )  # fmt: skip
    for column in ("expected", "p_value", "explained"):
        np.testing.assert_array_equal(by_area(other, column, world), by_area(first, column, world))


def test_areas_without_features_are_judged_with_the_middle():
    world, size, seen, x, areas = covaried()
    x = np.where(np.arange(len(world)) % 9 == 0, np.nan, x)
    table = table_of(world, x=x).iloc[:-3]
    for detector in (zg.Deviation("model"), zg.Deviation(adjust="x")):
        frame = frame_of(detector, world, seen, size, areas=areas, features=table, neighbors=world.graph())
        assert (frame["status"] == "ok").all()
        assert np.isfinite(by_area(frame, "p_value", world)).all()
    assert table.isna().sum().sum() > 0  # and the input is as it was


def test_blocks_come_from_places_or_neighbours_where_there_are_no_parents():
    world, size, seen, x, _ = covaried()
    found = frame_of(
        zg.Deviation("model"), world, seen, size, features=table_of(world, x=x), neighbors=world.graph()
    )
    assert np.corrcoef(np.log(by_area(found, "expected", world) / size), x)[0, 1] > 0.95


REFUSED = {
    "no features": (zg.Deviation("model"), None, "features need to be given"),
    "no features for classes": (zg.Deviation("stratum:kind"), None, "features need to be given"),
    "unknown class": (zg.Deviation("stratum:kid"), {"kind": "a"}, "'kid'"),
    "unknown covariate": (zg.Deviation("model", adjust=("x", "why")), {"x": 1.0}, "first: why"),
    "text": (zg.Deviation("model"), {"kind": "a"}, "need to be numbers"),
    "sensitive": (zg.Deviation("model"), {"herkomst_buiten_europa": 1.0}, "origin, nationality or religion"),
    "sensitive class": (zg.Deviation("stratum:religie"), {"religie": "a"}, "origin, nationality or religion"),
    "counts for a sar": (zg.Deviation("sar"), None, "needs values"),
    "counts for a car": (zg.Deviation("car"), None, "needs values"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name):
    detector, columns, words = REFUSED[name]
    world = lattice(8, 8)
    size, seen = counts_of(world)
    features = None if columns is None else table_of(world, **columns)
    with pytest.raises(InputError, match=words):
        detector.detect(world.panel(seen, size), world.graph(), features=features)


def test_shares_cannot_be_adjusted_but_modelled():
    world, size, _, x, areas = covaried()
    rng = np.random.default_rng(0)
    share = 1 / (1 + np.exp(1.5 - 0.8 * x))
    seen = rng.binomial(size.astype(int), share).astype(float)
    given = {"areas": areas, "features": table_of(world, x=x), "family": "binomial"}
    with pytest.raises(InputError, match="shares"):
        frame_of(zg.Deviation("national", adjust="x"), world, seen, size, **given)
    expected = by_area(frame_of(zg.Deviation("model"), world, seen, size, **given), "expected", world)
    np.testing.assert_allclose(expected / size, share, rtol=0.1)


# --- autoregressions --------------------------------------------------------------------------------


def on_a_map(kind, seed=0, rho=0.7):
    """Values of an autoregression on a lattice, and the links."""
    world = lattice(15, 15)
    rng = np.random.default_rng(seed)
    rows = [(i, j) for i in range(225) for j in world.near[i]]
    links = sparse.csr_array((np.ones(len(rows)), tuple(zip(*rows, strict=True))), (225, 225))
    step = np.eye(225) - rho * (links / links.sum(1)[:, None]).toarray()
    return world, links, 30 + np.linalg.solve(step, rng.normal(0, 2.0, 225))


@pytest.mark.parametrize(
    ("reference", "kind"), [("sar", "sar_error"), ("sar_lag", "sar_lag"), ("car", "car")]
)
def test_autoregressions_give_the_mean_given_all_others(reference, kind):
    world, links, value = on_a_map(kind)
    value[100] += 15
    frame = (
        zg.Deviation(reference)
        .detect(world.panel(value, family="gaussian", seed=2), world.graph(seed=5))
        .frame
    )
    conditional = leave_one_out(value, links, None, kind)
    np.testing.assert_allclose(by_area(frame, "expected", world), conditional.mean, rtol=1e-8)
    p, z = by_area(frame, "p_value", world), by_area(frame, "z", world)
    assert p[100] < 1e-4
    assert z[100] > 0
    assert 0.01 < (np.delete(p, 100) <= 0.05).mean() < 0.1
    assert (frame["reference"] == reference).all()


def test_an_autoregression_knows_covariates():
    world, links, value = on_a_map("sar_error", rho=0.5)
    x = np.random.default_rng(3).normal(size=225)
    value = value + 5 * x
    frame = (
        zg.Deviation("sar", adjust="x")
        .detect(world.panel(value, family="gaussian"), world.graph(), features=table_of(world, seed=1, x=x))
        .frame
    )
    conditional = leave_one_out(value, links, x[:, None], "sar_error")
    np.testing.assert_allclose(by_area(frame, "expected", world), conditional.mean, rtol=1e-8)


def test_islands_and_missing_values_have_no_autoregression_of_others():
    world = with_island(lattice(8, 8))
    value = np.random.default_rng(0).normal(20, 2, 65)
    value[5] = np.nan
    frame = zg.Deviation("sar").detect(world.panel(value, family="gaussian"), world.graph()).frame
    status = by_area(frame, "status", world)
    assert status[5] == "missing"
    assert np.isnan(by_area(frame, "p_value", world)[5])
    assert (np.delete(status, [5, 64]) == "ok").all()


# --- what does not fit is said ----------------------------------------------------------------------


FAMILIES_OF = {"count": "poisson", "share": "binomial", "value": "gaussian", "loss": "gaussian"}
MISFITS = [
    (
        {"reference": "sar"},
        ("count", "share"),
        "reference='sar' needs values (gaussian): 2 of 4; first: count",
    ),
    (
        {"reference": "national", "adjust": "x"},
        ("share",),
        "adjust needs counts per exposure or values: 1 of 4",
    ),
    ({"reference": "model", "method": "tweedie"}, ("share", "loss"), "needs counts or values from 0: 2 of 4"),
]


def mixed():
    """A panel of every family, and values below 0."""
    world, size, seen, x, areas = covaried()
    rng = np.random.default_rng(1)
    value = 20 + 2 * x + rng.normal(0, 1, len(world))
    columns = {"count": seen, "share": np.minimum(seen, size), "value": value, "loss": value - 20}
    panel = world.panel(columns, size, FAMILIES_OF, seed=3)
    return world, columns, panel, {"areas": areas, "features": table_of(world, x=x)}


@pytest.mark.slow
@pytest.mark.parametrize(("options", "unfit", "words"), MISFITS, ids=["sar", "adjust", "tweedie"])
def test_an_indicator_that_does_not_fit_stops_no_other(options, unfit, words):
    world, columns, panel, given = mixed()
    detector = zg.Deviation(**options)
    found = detector.detect(panel, world.graph(), **given)
    for name in columns:
        status = set(by_area(found.frame, "status", world, name))
        assert status == ({"not_tested"} if name in unfit else {"ok"})
        p = by_area(found.frame, "p_value", world, name)
        assert np.isnan(p).all() if name in unfit else np.isfinite(p).all()
    assert sum(words in notice for notice in found.notices) == 1
    fitting = [name for name in columns if name not in unfit]
    size = panel.exposure[:, 0, 0]
    alone = pd.DataFrame({"area": panel.areas, "size": size}).assign(
        **{name: panel.observed[:, list(columns).index(name), 0] for name in fitting}
    )
    families = {name: FAMILIES_OF[name] for name in fitting}
    part = zg.Panel.from_frame(alone, area="area", observed=fitting, exposure="size", family=families)
    other = detector.detect(part, world.graph(), **given).frame
    for name in fitting:
        one, two = (by_area(frame, "p_value", world, name) for frame in (found.frame, other))
        np.testing.assert_array_equal(one, two)


def test_missing_figures_stay_missing_where_an_indicator_does_not_fit():
    world = lattice(8, 8)
    size, seen = counts_of(world)
    seen[5] = np.nan
    columns = {"count": seen, "value": np.random.default_rng(0).normal(20, 2, 64)}
    panel = world.panel(columns, size, {"count": "poisson", "value": "gaussian"})
    frame = zg.Deviation("car").detect(panel, world.graph()).frame
    assert by_area(frame, "status", world, "count")[5] == "missing"
    assert (np.delete(by_area(frame, "status", world, "count"), 5) == "not_tested").all()


@pytest.mark.parametrize("adjust", [(), ("x",)])
def test_where_no_indicator_fits_all_reasons_are_given(adjust):
    world, columns, _, given = mixed()
    size, two = columns["count"] + 100, {name: columns[name] for name in ("share", "loss")}
    panel = world.panel(two, size, {name: FAMILIES_OF[name] for name in two})
    detector = zg.Deviation("national" if adjust else "model", adjust=adjust, method="tweedie")
    with pytest.raises(InputError, match=r"needs counts or values from 0.* \(2 of 2; first: share, loss\)"):
        detector.detect(panel, world.graph(), **given)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "family", "words"),
    [
        ({"reference": "model"}, "poisson", "the median stands for it"),
        ({"reference": "model", "method": "boosting"}, "poisson", "trees learn what the gap says"),
        ({"reference": "neighbours", "adjust": ("x", "z")}, "poisson", "the median stands for it"),
        ({"reference": "sar", "adjust": ("x", "z")}, "gaussian", "have no expectation"),
    ],
)
def test_missing_covariates_are_counted_and_named(options, family, words):
    world, size, seen, x, areas = covaried()
    z = np.random.default_rng(5).normal(size=len(world))
    gaps = x.copy()
    gaps[[7, 3, 50]], seen[20] = np.nan, np.nan
    gaps[20] = np.nan  # has no figure, so nothing stands for it
    table = table_of(world, x=gaps, z=np.where(np.arange(len(world)) == 9, np.nan, z)).iloc[:-1]
    panel = world.panel(seen, size, family)
    detector = zg.Deviation(**options)
    found = detector.detect(panel, world.graph(), areas=areas, features=table)
    told = [notice for notice in found.notices if "lack a covariate" in notice]
    assert len(told) == 1
    assert "(5 of 144; first: BU0003, BU0007, BU0009; most often x 4, z 2)" in told[0]
    assert words in told[0]
    if family == "gaussian":
        status = by_area(found.frame, "status", world)
        assert np.flatnonzero(status == "too_few").tolist() == [3, 7, 9, 50, 143]
    whole = detector.detect(panel, world.graph(), areas=areas, features=table_of(world, x=x, z=z))
    assert not any("lack a covariate" in notice for notice in whole.notices)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("odd", "en", "nl"),
    [
        (lambda n: np.where(np.arange(n) < 0, 1.0, np.nan), "known for fewer than 30", "minder dan 30"),
        (lambda n: np.where(np.arange(n) < 29, np.arange(n) % 7.0, np.nan), "known for fewer", "bekend voor"),
        (lambda n: np.full(n, 3.0), "do not differ", "verschillen niet"),
        (lambda n: np.where(np.arange(n) < 40, 3.0, np.nan), "do not differ", "verschillen niet"),
    ],
)
@pytest.mark.parametrize("reference", ["model", "sar", "neighbours"])
def test_covariates_that_say_nothing_are_left_out_and_named(odd, en, nl, reference):
    world, size, seen, x, areas = covaried()
    family = "gaussian" if reference == "sar" else "poisson"
    panel, z = world.panel(seen, size, family), odd(len(world))
    detector = zg.Deviation(reference=reference, adjust=("x", "z"))
    found = detector.detect(panel, world.graph(), areas=areas, features=table_of(world, x=x, z=z))
    told = [notice for notice in found.notices if notice.startswith("Covariates left out")]
    assert len(told) == 1
    assert en in told[0]
    assert told[0].endswith(": 1 of 2; first: z.")
    assert told[0].nl.startswith("Kenmerken weggelaten, ")
    assert nl in told[0].nl
    assert not any("lack a covariate" in notice for notice in found.notices)
    only = zg.Deviation(reference=reference, adjust=("x",))
    without = only.detect(panel, world.graph(), areas=areas, features=table_of(world, x=x))
    pd.testing.assert_series_equal(found.frame["expected"], without.frame["expected"])
    alone = zg.Deviation(reference=reference, adjust=("z",))
    with pytest.raises(InputError, match=r"covariates need to differ between areas .* got none .*first: z"):
        alone.detect(panel, world.graph(), areas=areas, features=table_of(world, x=x, z=z))


def test_a_covariate_known_for_thirty_areas_is_used():
    world, size, seen, _, areas = covaried()
    z = np.where(np.arange(len(world)) < 30, np.arange(len(world)) % 7.0, np.nan)
    table = table_of(world, z=z)  # in one block: most fits see none of them, without a warning
    found = zg.Deviation(reference="model").detect(
        world.panel(seen, size), world.graph(), areas=areas, features=table
    )
    assert not any("left out" in notice for notice in found.notices)
    assert any("most often z 114" in notice for notice in found.notices)


def stratified(labels):
    world, size, seen, _, areas = covaried()
    given = {"areas": areas, "features": table_of(world, kind=labels)}
    detector = zg.Deviation(reference="stratum:kind")
    return world, detector.detect(world.panel(seen, size), world.graph(), **given)


@pytest.mark.parametrize(
    "labels",
    [
        np.random.default_rng(3).normal(size=144),
        np.where(np.arange(144) < 71, 1.0, np.arange(144)),
        np.where(np.arange(144) < 71, 1.0, np.nan),
        np.full(144, np.nan),
    ],
)
def test_a_stratum_of_single_areas_is_refused(labels):
    with pytest.raises(InputError, match=r"'stratum:kind' needs to have classes of several .*qcut"):
        stratified(labels)


def test_areas_without_others_in_their_stratum_are_named():
    """In Dutch too; the classes of the others are large enough."""
    places = np.arange(144)
    labels = np.select([places < 3, places < 5], [places + 10.0, np.nan], places % 2)
    world, found = stratified(labels)
    told = {notice: notice.nl for notice in found.notices if "compared: " in notice}
    assert told == {
        "Without a class of kind, and not compared: 2 of 144; first: BU0003, BU0004.":
        "Zonder klasse van kind, en niet vergeleken: 2 van 144; eerst: BU0003, BU0004.",
        "Alone in their class of kind, and not compared: 3 of 144; first: BU0000, BU0001, BU0002.":
        "Alleen in hun klasse van kind, en niet vergeleken: 3 van 144; eerst: BU0000, BU0001, BU0002.",
    }  # fmt: skip
    assert np.flatnonzero(by_area(found.frame, "status", world) == "isolated").tolist() == [0, 1, 2, 3, 4]
    assert not any("small" in notice or "the same" in notice for notice in found.notices)


def test_strata_that_tell_little_are_noted():
    _, small = stratified(np.arange(144) // 9)
    assert any("half of the areas share theirs with 8 others or fewer" in notice for notice in small.notices)
    assert any("met hooguit 8 andere" in getattr(notice, "nl", "") for notice in small.notices)
    _, enough = stratified(np.arange(144) // 10)
    assert not any("kind" in notice and "against" not in notice for notice in enough.notices)
    _, one = stratified(np.full(144, 2.0))
    assert any(notice.startswith("All areas have the same kind") for notice in one.notices)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"reference": "model"}, "Drop them, or name the columns to use in adjust=."),
        ({"reference": "model", "adjust": ("origin",)}, "Leave them out."),
        ({"reference": "stratum:origin"}, "Take another column."),
    ],
)
def test_a_sensitive_name_is_refused_with_a_hint_that_helps(options, hint):
    world, size, seen, x, areas = covaried()
    with pytest.raises(InputError, match=r"first: origin\)\. ") as error:
        zg.Deviation(**options).detect(
            world.panel(seen, size), world.graph(), areas=areas, features=table_of(world, x=x, origin=x)
        )
    assert str(error.value).endswith(hint)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reference": "sar", "rings": 2, "heavy": False}, "first: rings, heavy"),
        ({"reference": "sar_lag", "error": False, "adjust": ("x",)}, "first: error"),
        ({"reference": "car", "method": "boosting", "adjust": ("x",)}, "first: method"),
        ({"reference": "car", "response": False}, "first: response"),
        ({"reference": "model", "shrink": False}, "first: shrink"),
        ({"reference": "sar", "integrate": False}, "first: integrate"),
        ({"reference": "national", "rings": 1}, "first: rings"),
        ({"reference": "parent:gemeente", "rings": 2, "steep": False}, "first: rings\\)"),
        ({"reference": "stratum:urbanity", "rings": 1}, "first: rings"),
        ({"reference": "peers", "rings": 2}, "first: rings"),
        ({"reference": "national", "method": "boosting"}, "needs to go with reference='model' or adjust="),
    ],
)
def test_options_without_an_effect_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        zg.Deviation(**options)


def test_options_with_an_effect_are_accepted():
    zg.Deviation("sar", clean=0, alternative="greater", adjust=("x",))
    zg.Deviation("model", method="boosting", response=False, heavy=False, error=False)
    zg.Deviation("neighbours", rings=1, method="tweedie", adjust="x", shrink=False, precision=False)
    zg.Deviation("parent:gemeente", shrink=False, precision=False, clean=0, robust=False, integrate=False)
    zg.Deviation("peers", shrink=False, steep=False)
