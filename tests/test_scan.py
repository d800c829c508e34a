"""Clusters: against plain loops, SaTScan's printed answers, and chance."""

import dataclasses
import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import small_study
import zoo_geo as zg
from naive import scan as naive
from zoo_geo.errors import InputError, StudyError
from zoo_geo.explain import sentence
from zoo_geo.pipeline import run
from zoo_geo.scanning import counts, gumbel_p, monte_carlo_p
from zoo_geo.schema import COLUMNS
from zoo_geo.study import load_study

ANGLES = {1.5: 4, 2.0: 6, 3.0: 9, 4.0: 12, 5.0: 15}
ELLIPSES = [(0.0, 1.0), *((math.pi * k / n, r) for r, n in ANGLES.items() for k in range(n))]


def codes(n):
    return [f"BU{k:04d}" for k in range(n)]


def map_of(points, names=None):
    x, y = np.asarray(points, float).T
    table = gpd.GeoDataFrame({"code": names or codes(len(x))}, geometry=gpd.points_from_xy(x, y, crs=28992))
    return zg.read_areas(table, id="code")


def panel_of(observed, size, family="poisson", order=None):
    """Panel of one indicator; two-dimensional figures have a period a column."""
    observed, size = (np.asarray(each, float).reshape(len(size), -1) for each in (observed, size))
    n, t = observed.shape
    long = pd.DataFrame(
        {
            "area": np.repeat(codes(n), t),
            "indicator": "y",
            "period": np.tile([str(2001 + k) for k in range(t)], n),
            "observed": observed.ravel(),
            "exposure": np.broadcast_to(size, observed.shape).ravel(),
        }
    )
    if order is not None:
        long = long.iloc[(np.asarray(order)[:, None] * t + np.arange(t)).ravel()]
    return zg.Panel.from_long(long, family=family)


def small(seed, n=14, periods=1, family="poisson", grid=False):
    """Points, exposure and counts with one high and one low corner."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 100, (n, 2)) if not grid else np.array([(k % 4, k // 4) for k in range(n)]) * 10.0
    size = rng.integers(20, 90, n).astype(float)
    rate = np.where(points[:, 0] > np.median(points[:, 0]), 0.3, 0.12)
    draw = rng.binomial if family == "binomial" else lambda m, p: rng.poisson(m * p)
    seen = np.column_stack([draw(size.astype(int), rate * (1 + 0.4 * (t > 1))) for t in range(periods)])
    return points, size, seen.astype(float)


def spans_of(time, periods, most=None):
    if time in ("each", "pooled"):
        return [(0, periods)]
    most = most or max(periods // 2, 1)
    return [
        (a, b) for b in range(1, periods + 1) for a in range(b)
        if b - a <= most and (time == "retrospective" or b == periods)
    ]  # fmt: skip


def agree(found, expected, names):
    """Same clusters as those of the plain loops, in the same order, ties in any."""
    assert len(found) == len(expected) > 0
    for (_, row), (statistic, inside, first, end, sign) in zip(found.iterrows(), expected, strict=True):
        assert row["statistic"] == pytest.approx(statistic, rel=1e-9)
        tied = [each for each in expected if each[0] == pytest.approx(statistic, rel=1e-9)]
        if len(tied) == 1:
            assert set(row["members"]) == {names[j] for j in inside}
            assert (row["start"], row["end"]) == (str(2001 + first), str(2000 + end))
            assert row["direction"] == ("high" if sign > 0 else "low")


# --- against plain loops ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["high", "low", "both"])
@pytest.mark.parametrize("family", ["poisson", "binomial"])
@pytest.mark.parametrize("share", [0.5, 0.2])
@pytest.mark.parametrize("grid", [False, True])
def test_circles_are_those_of_the_plain_loops(direction, family, share, grid):
    for seed in range(3):
        points, size, seen = small(seed, family=family, grid=grid)
        detector = zg.Scan(max_population_share=share, direction=direction, replicates=9, top=30)
        found = detector.detect(panel_of(seen, size, family), map_of(points), seed=1)
        due = (size * seen.sum() / size.sum())[:, None]
        people = size.sum() if family == "binomial" else None
        expected = naive.best(
            seen.tolist(), due.tolist(), naive.windows(points, size, share), [(0, 1)], direction, 2,
            people=people, size=size[:, None].tolist(),
        )  # fmt: skip
        agree(found.clusters, expected, codes(14))


def test_ellipses_are_those_of_the_plain_loops():
    for penalty in (0.0, 1.0):
        points, size, seen = small(4, n=11)
        detector = zg.Scan(shape="ellipse", penalty=penalty, replicates=9, top=30, direction="both")
        found = detector.detect(panel_of(seen, size), map_of(points), seed=1).clusters
        due = (size * seen.sum() / size.sum())[:, None]
        expected = naive.best(
            seen.tolist(), due.tolist(), naive.windows(points, size, 0.5, shapes=ELLIPSES), [(0, 1)], "both",
            2, factor=lambda shape, a=penalty: (4 * shape[1] / (shape[1] + 1) ** 2) ** a,
        )  # fmt: skip
        agree(found, expected, codes(11))
        assert found["axis_ratio"].isin([1.0, *ANGLES]).all()
        for row in found.itertuples():  # what is told of a cluster leads back to its members
            at = math.radians(row.angle), row.axis_ratio
            away = [naive.distance((row.x, row.y), point, *at) for point in points]
            near = {codes(11)[j] for j in range(11) if away[j] <= row.radius * (1 + 1e-9)}
            assert near == set(row.members)


@pytest.mark.parametrize("time", ["pooled", "retrospective", "prospective"])
@pytest.mark.parametrize("family", ["poisson", "binomial"])
@pytest.mark.parametrize(("most", "adjust"), [(None, True), (1, True), (None, False)])
def test_cylinders_are_those_of_the_plain_loops(time, family, most, adjust):
    points, size, seen = small(2, n=12, periods=5, family=family)
    seen[3, 2] = np.nan
    detector = zg.Scan(
        direction="both", time=time, replicates=9, top=30, max_duration=most, adjust_time=adjust
    )
    found = detector.detect(panel_of(seen, size, family), map_of(points), seed=1)
    known = np.isfinite(seen)
    sizes, seen = np.where(known, size[:, None], 0.0).tolist(), np.where(known, seen, 0.0).tolist()
    by_period = adjust and time != "pooled"
    due, weight, people = naive.expected(sizes, seen, by_period), [[1.0] * 5] * 12, None
    if family == "binomial" and by_period:  # shares that differ
        weight = naive.weights(due, 0.0, sizes)
    elif family == "binomial":
        people = sum(map(sum, sizes))
    expected = naive.best(
        naive.times(weight, seen), naive.times(weight, due),
        naive.windows(points, [sum(row) for row in sizes], 0.5), spans_of(time, 5, most), "both", 2,
        raw=due, people=people, size=sizes,
    )  # fmt: skip
    agree(found.clusters, expected, codes(12))
    assert any("periods without a figure" in notice and "BU0003" in notice for notice in found.notices)
    first = found.clusters.iloc[0]
    inside = found.frame[found.frame["cluster"] == 1]
    last = inside["period"] == first["end"]
    assert set(inside["status"][last]) == {"ok"}
    assert set(inside["p_value"][last]) == {first["p_value"]}
    assert inside["p_value"][~last].isna().all()
    assert set(inside["status"][~last]) <= {"not_tested"}
    assert set(inside["direction"][~last]) <= {"none"}
    assert set(zip(inside["start"], inside["end"], strict=True)) == {(first["start"], first["end"])}
    lasting = [str(year) for year in range(int(first["start"]), int(first["end"]) + 1)]
    cells = {(area, year) for area in first["members"] for year in lasting} - {("BU0003", "2003")}
    assert set(zip(inside["area"].astype(str), inside["period"].astype(str), strict=True)) == cells
    if time == "prospective":
        assert (found.clusters["end"] == "2005").all()


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_expected_counts_and_their_spread_weigh_events(spread):
    points, size, seen = small(5, n=14)
    panel, areas = panel_of(seen, size), map_of(points)
    expectation = zg.Deviation(reference="national").detect(panel)
    frame = expectation.frame.copy()
    frame["expected"] = size * np.linspace(0.1, 0.4, 14)
    frame["spread"] = spread
    frame.loc[2, "expected"] = np.nan
    expectation = dataclasses.replace(expectation, frame=frame)
    found = zg.Scan(replicates=9, top=30, direction="both").detect(panel, areas, expected=expectation)
    inside = [k for k in range(14) if k != 2]
    e = frame["expected"].to_numpy()[inside]
    c = seen[inside, 0]
    e = e * c.sum() / e.sum()
    weight = 1 / (1 + spread * e)
    e = e * (weight * c).sum() / (weight * e).sum()
    expected = naive.best(
        (weight * c)[:, None].tolist(), (weight * e)[:, None].tolist(),
        naive.windows(points[inside], size[inside], 0.5), [(0, 1)], "both", 2, raw=e[:, None].tolist(),
    )  # fmt: skip
    agree(found.clusters.assign(start="2001", end="2001"), expected, [codes(14)[k] for k in inside])
    assert found.reference == "national"
    assert found.frame.loc[2, "status"] == "not_tested"
    np.testing.assert_allclose(found.frame["expected"].to_numpy()[inside], e)


def test_expectation_without_spread_gives_the_plain_scan():
    points, size, seen = small(6, n=14)
    for family in ("poisson", "binomial"):
        panel, areas = panel_of(seen, size, family), map_of(points)
        expectation = zg.Deviation(reference="national").detect(panel)
        frame = expectation.frame.assign(expected=size * 0.2, spread=0.0)
        expectation = dataclasses.replace(expectation, frame=frame)
        plain, given_ = (
            zg.Scan(replicates=99, dispersion=how).detect(panel, areas, expected=what)
            for how, what in (("none", None), ("auto", expectation))
        )
        pd.testing.assert_frame_equal(plain.clusters, given_.clusters)
    off = zg.Scan(replicates=99, dispersion="none").detect(
        panel_of(seen, size), areas, expected=dataclasses.replace(expectation, frame=frame.assign(spread=0.5))
    )
    pd.testing.assert_frame_equal(
        off.clusters, zg.Scan(replicates=99, dispersion="none").detect(panel_of(seen, size), areas).clusters
    )


def test_p_is_that_of_maxima_found_by_the_plain_loops():
    """The replicates' strongest windows, and not only those of the map, are those of all windows."""
    points, size, seen = small(3, n=12)
    for family, direction in (("poisson", "high"), ("poisson", "low"), ("binomial", "both")):
        what = counts(family, seen, size[:, None])
        drawn, factor = what.replicates(4, 0, 39)
        assert (factor == 1).all()
        people = size.sum() if family == "binomial" else None
        circles = naive.windows(points, size, 0.5)
        maxima = []
        for m in range(39):
            one = drawn[:, :, m].astype(float).tolist()
            best = naive.best(
                one,
                what.due.tolist(),
                circles,
                [(0, 1)],
                direction,
                2,
                people=people,
                size=size[:, None].tolist(),
            )
            maxima.append(best[0][0] if best else 0.0)
        found = zg.Scan(replicates=39, direction=direction, dispersion="none").detect(
            panel_of(seen, size, family), map_of(points), seed=4
        )
        statistic = found.clusters["statistic"].to_numpy()
        np.testing.assert_allclose(found.clusters["p_value"], monte_carlo_p(statistic, np.array(maxima)))
        np.testing.assert_allclose(
            found.clusters["p_gumbel"], gumbel_p(statistic, np.array(maxima)), rtol=1e-6
        )


# --- printed answers --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.shared_data
def test_new_york_leukaemia_is_that_of_satscan(shared_data):
    """SaTScan 9.6, discrete Poisson; known clusters one to four to the printed digits."""
    table = pd.read_csv(shared_data / "ny_leukemia" / "tracts.csv")
    table["code"] = table["tract"].map("T{:03d}".format)
    points = gpd.points_from_xy(table["longitude"], table["latitude"], crs=28992)  # taken as plain x, y
    areas = zg.read_areas(gpd.GeoDataFrame(table[["code"]], geometry=points), id="code")
    panel = zg.Panel.from_frame(table, area="code", observed={"cases": "cases"}, exposure="population")
    found = zg.Scan(replicates=9_999).detect(panel, areas, seed=7).clusters
    first, second, third, fourth = (found.iloc[k] for k in range(4))
    wanted = [
        52, 50, 37, 49, 38, 48, 53, 39, 15, 47, 51, 1, 40, 44, 16, 2, 55, 36, 14, 43, 13, 45, 3, 35, 17,
        11, 12, 46,
    ]  # fmt: skip
    assert first["members"] == tuple(f"T{k:03d}" for k in wanted)
    assert (first["observed"], round(first["expected"], 2)) == (100, 58.28)
    assert (round(first["relative_risk"], 2), round(first["statistic"], 6)) == (1.87, 14.083511)
    assert table.set_index("code")["population"][list(first["members"])].sum() == 111_674
    assert first["p_value"] <= 0.0006  # .00015 in SaTScan
    assert second["members"] == tuple(f"T{k:03d}" for k in (89, 88, 87, 84, 90, 86, 92, 85))
    assert (second["observed"], round(second["expected"], 2)) == (38, 17.79)
    assert (round(second["relative_risk"], 2), round(second["statistic"], 6)) == (2.22, 9.019716)
    assert second["p_value"] == pytest.approx(0.016, abs=0.006)
    assert round(third["statistic"], 6) == 6.114140
    assert third["n_areas"] == 33
    assert third["p_value"] == pytest.approx(0.248, abs=0.03)
    assert set(fourth["members"]) == {f"T{k:03d}" for k in (62, 64, 67, 65)}
    assert (round(fourth["statistic"], 6), fourth["p_value"]) == (4.651839, pytest.approx(0.645, abs=0.03))
    assert found["p_gumbel"].to_numpy() == pytest.approx(found["p_value"].to_numpy(), abs=0.02)


@pytest.mark.shared_data
def new_mexico(shared_data, at):
    """Counts and population of the counties, and the counties as points: their ``seat`` or ``center``."""
    folder = shared_data / "nm_brain_cancer"
    table, geo = pd.read_csv(folder / "NM_popcas.csv"), pd.read_csv(folder / "NM_geo.csv")
    points = gpd.points_from_xy(geo[f"{at}_long"], geo[f"{at}_lat"], crs=4326).to_crs(32113)
    return table, zg.read_areas(gpd.GeoDataFrame(geo[["county"]], geometry=points), id="county")


def brain_cancer(table):
    return zg.Panel.from_frame(
        table, area="county", period="year", observed={"brain": "count"}, exposure="population"
    )


def test_new_mexico_brain_cancer_1986_to_1989(shared_data):
    """The known answer: Los Alamos and Santa Fe, 1986 to 1989, not significant; counties at their seats."""
    table, areas = new_mexico(shared_data, "seat")
    late = brain_cancer(table[table["year"].between(1986, 1989)])
    detector = zg.Scan(time="retrospective", max_duration=4, adjust_time=False, dispersion="none")
    found = detector.detect(late, areas, seed=7)
    first = found.clusters.iloc[0]
    assert set(first["members"]) == {"losalamos", "santafe"}
    assert (first["start"], first["end"], first["observed"]) == ("1986", "1989", 43)
    assert first["p_value"] > 0.05


@pytest.mark.slow
def test_new_mexico_brain_cancer_against_yearly_rates(shared_data):
    """Kulldorff et al. (1998) adjust for age, sex and period; here for the year only."""
    table, areas = new_mexico(shared_data, "center")
    panel = brain_cancer(table)
    yearly = zg.Deviation(reference="national", response=False, heavy=False, clean=0).detect(panel)
    found = zg.Scan(time="retrospective", dispersion="none").detect(panel, areas, expected=yearly, seed=7)
    first = found.clusters.iloc[0]
    assert set(first["members"]) == {"losalamos", "santafe"}
    assert (first["start"], first["end"]) == ("1987", "1989")
    assert first["p_value"] > 0.05
    now = zg.Scan(time="prospective", dispersion="none").detect(panel, areas, expected=yearly, seed=7)
    alone = zg.Scan(time="retrospective", dispersion="none").detect(panel, areas, seed=7).clusters.iloc[0]
    assert (alone["members"], alone["start"], alone["end"]) == (
        first["members"], first["start"], first["end"]
    )  # fmt: skip
    assert alone["observed"] == 35
    assert (now.clusters["end"] == "1991").all()
    assert now.clusters["p_value"].min() > 0.05


# --- chance -----------------------------------------------------------------------------------------


def p_of_nothing(draw, detector, family="poisson", maps=60):
    """p of the strongest cluster of maps without any, each with replicates of its own."""
    rng = np.random.default_rng(11)
    points, size = rng.uniform(0, 100, (60, 2)), rng.integers(100, 900, 60).astype(float)
    areas = map_of(points)
    p = []
    for k in range(maps):
        clusters = detector.detect(panel_of(draw(rng, size), size, family), areas, seed=k).clusters
        p.append(clusters["p_value"].iloc[0])
    return np.array(p)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["high", "both"])
def test_p_of_maps_without_a_cluster_is_uniform(direction):
    detector = zg.Scan(replicates=99, direction=direction, dispersion="none")
    p = p_of_nothing(lambda rng, size: rng.poisson(0.02 * size), detector)
    assert stats.kstest(p, "uniform").pvalue > 0.01
    shares = p_of_nothing(lambda rng, size: rng.binomial(size.astype(int), 0.1), detector, "binomial")
    assert stats.kstest(shares, "uniform").pvalue > 0.01


@pytest.mark.slow
def test_estimated_spread_takes_restless_rates_for_what_they_are():
    def restless(rng, size):
        return rng.poisson(0.05 * size * rng.gamma(5, 0.2, size.size))

    plain = p_of_nothing(restless, zg.Scan(replicates=99, dispersion="none"), maps=30)
    spread = p_of_nothing(restless, zg.Scan(replicates=99, dispersion="estimate"), maps=30)
    assert (plain <= 0.05).mean() > 0.8
    assert (spread <= 0.05).mean() < 0.2


def test_replicates_have_the_law_that_they_should():
    rng = np.random.default_rng(2)
    size, seen = np.array([[50.0], [400.0], [3000.0]]), np.array([[20.0], [90.0], [700.0]])
    drawn, _ = counts("poisson", seen, size).replicates(1, 0, 4_000)
    share = size[:, 0] / size.sum()
    assert (drawn.sum(axis=(0, 1)) == 810).all()
    for k in range(3):
        reference = rng.binomial(810, share[k], 40_000)
        assert stats.ks_2samp(drawn[k, 0], reference).pvalue > 1e-3
    drawn, _ = counts("binomial", seen, size).replicates(1, 0, 4_000)
    assert (drawn.sum(axis=(0, 1)) == 810).all()
    for k in range(3):
        reference = rng.hypergeometric(int(size[k, 0]), int(size.sum() - size[k, 0]), 810, 40_000)
        assert stats.ks_2samp(drawn[k, 0], reference).pvalue > 1e-3
    what = counts("poisson", seen, size, spread=np.full((3, 1), 0.2))
    drawn, factor = what.replicates(1, 0, 20_000)
    np.testing.assert_allclose(drawn.sum(axis=(0, 1)), what.total, rtol=1e-5)
    raw = drawn[:, 0] * factor / what.weight
    np.testing.assert_allclose(raw.mean(axis=1), what.expected[:, 0], rtol=0.02)
    mean = what.expected[:, 0]
    np.testing.assert_allclose(raw.var(axis=1), mean + 0.2 * mean**2, rtol=0.06)
    what = counts("binomial", seen, size, spread=np.full((3, 1), 0.05))
    drawn, factor = what.replicates(1, 0, 20_000)
    raw, p = drawn[:, 0] * factor / what.weight, what.expected[:, 0] / size[:, 0]
    variance = size[:, 0] * p * (1 - p) * (1 + (size[:, 0] - 1) * 0.05)
    np.testing.assert_allclose(raw.var(axis=1), variance, rtol=0.06)
    worth = what.expected[:, 0] / variance
    np.testing.assert_allclose(what.weight[:, 0] / what.weight[0, 0], worth / worth[0])


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_periods_of_an_area_share_what_is_drawn_for_it(family):
    """The variance of a total over periods is that of one draw of the true rate, and each cell's its own."""
    size = np.array([[300.0, 500.0, 400.0], [900.0, 700.0, 1000.0]])
    seen = size * np.array([0.1, 0.15, 0.12])
    spread = np.full(size.shape, 0.2 if family == "poisson" else 0.05)
    what = counts(family, seen, size, expected=seen, spread=spread)
    drawn, factor = what.replicates(5, 0, 30_000)
    e, raw = what.expected, drawn * factor / what.weight[..., None]
    np.testing.assert_allclose(raw.mean(axis=2), e, rtol=0.02)
    if family == "poisson":
        np.testing.assert_allclose(raw.var(axis=2), e + 0.2 * e**2, rtol=0.06)
        whole = e.sum(axis=1)
        np.testing.assert_allclose(raw.sum(axis=1).var(axis=1), whole + 0.2 * whole**2, rtol=0.06)
    else:
        p = e / size
        np.testing.assert_allclose(raw.var(axis=2), size * p * (1 - p) * (1 + (size - 1) * 0.05), rtol=0.06)
        noise = size * p * (1 - p) * 0.95
        lasting = (size * np.sqrt(p * (1 - p) * 0.05)).sum(axis=1) ** 2
        np.testing.assert_allclose(raw.sum(axis=1).var(axis=1), noise.sum(axis=1) + lasting, rtol=0.08)
    assert abs(np.corrcoef(raw[0].sum(axis=0), raw[1].sum(axis=0))[0, 1]) < 0.03
    weight = naive.weights(e.tolist(), spread[0, 0], None if family == "poisson" else size.tolist())
    np.testing.assert_allclose(what.weight, weight, rtol=0.02 if family == "binomial" else 1e-6)


def test_replicates_keep_the_total_of_each_period():
    size = np.array([[30.0, 500.0, 400.0], [900.0, 70.0, 100.0], [500.0, 50.0, 10.0]])
    seen = np.array([[3.0, 50.0, 70.0], [60.0, 10.0, 20.0], [50.0, 6.0, 1.0]])
    due = naive.expected(size, seen, True)
    for family in ("poisson", "binomial"):
        for spread in (None, np.full(size.shape, 0.1)):
            what = counts(family, seen, size, np.array(due), spread, by_period=True)
            drawn, factor = what.replicates(3, 0, 500)
            wanted = np.broadcast_to(what.due.sum(axis=0)[:, None], (3, 500))
            np.testing.assert_allclose(drawn.sum(axis=0), wanted, rtol=1e-4)
            np.testing.assert_allclose(what.due.sum(axis=0), what.seen.sum(axis=0))
            if spread is None:
                np.testing.assert_allclose(drawn.mean(axis=2), what.due, rtol=0.1, atol=0.3)
                np.testing.assert_allclose(factor, 1.0, rtol=1e-5)
    nothing = counts("poisson", seen * 0.01, size, spread=np.full(size.shape, 5.0), by_period=True)
    drawn, _ = nothing.replicates(3, 0, 200)
    assert np.isfinite(drawn).all()
    np.testing.assert_allclose(drawn.sum(axis=0), np.tile(nothing.due.sum(axis=0)[:, None], 200), rtol=1e-4)


def flagged_maps(detector, draw, maps=20, expected=False):
    """Share of maps of 64 areas and ten periods on which the strongest cluster has p of at most .05."""
    areas = map_of([(k % 8, k // 8) for k in range(64)])
    rng, found = np.random.default_rng(3), []
    for k in range(maps):
        panel = panel_of(rng.poisson(draw(rng)), np.full(64, 1000.0))
        expectation = zg.Deviation(reference="national").detect(panel) if expected else None
        clusters = detector.detect(panel, areas, expected=expectation, seed=k).clusters
        found.append((clusters["p_value"] <= 0.05).any())
    return np.mean(found)


@pytest.mark.slow
@pytest.mark.parametrize("time", ["pooled", "retrospective"])
@pytest.mark.parametrize("expected", [False, True])
def test_areas_that_differ_lastingly_are_no_clusters(time, expected):
    detector = zg.Scan(
        time=time, replicates=99, max_population_share=0.1, dispersion="auto" if expected else "estimate"
    )
    assert (
        flagged_maps(
            detector,
            lambda rng: np.broadcast_to(20 * rng.gamma(5, 0.2, (64, 1)), (64, 10)),
            expected=expected,
        )
        <= 0.2
    )


@pytest.mark.slow
@pytest.mark.parametrize("time", ["retrospective", "prospective"])
def test_a_rise_everywhere_is_no_cluster(time):
    def rising(rng):
        return np.tile(20 * 1.05 ** np.arange(10), (64, 1))

    detector = zg.Scan(time=time, replicates=99, max_population_share=0.1)
    assert flagged_maps(detector, rising) <= 0.2
    assert flagged_maps(dataclasses.replace(detector, adjust_time=False), rising, maps=5) == 1.0


@pytest.mark.slow
def test_of_cylinders_the_spread_of_single_periods_counts_where_it_is_more():
    """What lasts for one period only leaves little in totals; it is no cluster either."""
    detector = zg.Scan(
        time="retrospective", max_duration=1, replicates=99, max_population_share=0.1, dispersion="estimate"
    )
    assert flagged_maps(detector, lambda rng: 20 * rng.gamma(5, 0.2, (64, 10))) <= 0.2


def test_p_values_by_rank_and_by_gumbel():
    maxima = np.random.default_rng(0).gumbel(7, 1.3, 100_000)
    at = np.array([6.0, 9.0, 14.0])
    np.testing.assert_allclose(gumbel_p(at, maxima), stats.gumbel_r(7, 1.3).sf(at), rtol=0.06)
    assert monte_carlo_p(np.array([3.0 * (1 + 1e-12)]), np.array([1.0, 3.0, 3.0])) == [0.75]
    assert gumbel_p(np.array([1.0, 0.0]), np.zeros(5)).tolist() == [0.0, 1.0]


# --- what must not matter ---------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=12)
@given(st.integers(0, 10_000), st.floats(0, 6.3), st.floats(0.01, 1e4), st.booleans())
def test_order_scale_and_place_do_not_matter(seed, angle, times, grid):
    points, size, seen = small(seed, n=16, grid=grid)
    detector = zg.Scan(replicates=49, direction="both", top=5, dispersion="none")
    one = detector.detect(panel_of(seen, size), map_of(points), seed=2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    order = np.random.default_rng(seed).permutation(16)
    moved = points @ turn.T * times + 5.0
    other = detector.detect(
        panel_of(seen, size * times, order=order), map_of(moved[order], [codes(16)[k] for k in order]), seed=2
    )
    ours, theirs = one.clusters, other.clusters
    np.testing.assert_allclose(ours["statistic"], theirs["statistic"], rtol=1e-6)
    np.testing.assert_allclose(ours["p_value"], theirs["p_value"], atol=0.021)
    lone = ours["statistic"].round(6).map(ours["statistic"].round(6).value_counts()) == 1
    for a, b in zip(ours[lone]["members"], theirs[lone.to_numpy()]["members"], strict=True):
        assert set(a) == set(b)


def test_rows_in_another_order_give_the_same_to_the_last_bit():
    points, size, seen = small(8, n=40)
    order = np.random.default_rng(1).permutation(40)
    detector = zg.Scan(replicates=199, direction="both", dispersion="estimate")
    one = detector.detect(panel_of(seen, size), map_of(points), seed=2, n_jobs=1)
    areas = map_of(points[order], [codes(40)[k] for k in order])
    other = detector.detect(panel_of(seen, size, order=order[::-1]), areas, seed=2, n_jobs=3)
    pd.testing.assert_frame_equal(one.clusters, other.clusters)


def test_areas_at_one_point_and_at_equal_distances_enter_together():
    points = [(0, 0), (0, 0), (10, 0), (-10, 0), *((100 + 7 * k, 50) for k in range(10))]
    size, seen = np.full(14, 100.0), np.full(14, 5.0)
    seen[[0, 2]] = 40.0
    found = zg.Scan(replicates=99).detect(panel_of(seen, size), map_of(points), seed=1).clusters
    held = [set(members) for members in found["members"]]
    pair, cross = {"BU0000", "BU0001"}, {"BU0002", "BU0003"}
    assert all(pair <= each or not pair & each for each in held)
    around = [each for each, x in zip(held, found["x"], strict=True) if x == 0.0]
    assert all(cross <= each or not cross & each for each in around)
    # of what lies at the pair or beyond, only whole groups were looked at
    assert {frozenset(each) for each in held if pair <= each} <= {
        frozenset(pair), frozenset(pair | cross), frozenset(pair | {"BU0002"}), frozenset(pair | {"BU0003"}),
    }  # fmt: skip


def test_an_area_above_the_share_is_in_no_window_and_radius_is_a_bound():
    points, size, seen = small(1, n=14)
    size[5], seen[5] = 2_000.0, 900.0
    found = zg.Scan(replicates=9, max_population_share=0.3, top=30).detect(
        panel_of(seen, size), map_of(points)
    )
    assert not any("BU0005" in members for members in found.clusters["members"])
    assert found.frame.loc[5, ["p_value", "status"]].tolist() == [1.0, "ok"]
    near = zg.Scan(replicates=9, max_radius=20.0, top=30).detect(panel_of(seen, size), map_of(points))
    assert near.clusters["radius"].max() <= 20.0
    shares = [size[[int(m[2:]) for m in members]].sum() / size.sum() for members in found.clusters["members"]]
    assert max(shares) <= 0.3


def test_fewest_events_and_most_clusters():
    points, size = small(1, n=14)[:2]
    seen = np.zeros(14)
    seen[[3, 7]] = 1.0
    size[3] = 1.0
    alone = zg.Scan(replicates=9, min_cases=1).detect(panel_of(seen, size), map_of(points)).clusters
    assert alone.iloc[0]["members"] == ("BU0003",)
    two = zg.Scan(replicates=9).detect(panel_of(seen, size), map_of(points)).clusters
    assert (two["observed"] >= 2).all()
    points, size, seen = small(2, n=30)
    assert len(zg.Scan(replicates=9, top=3).detect(panel_of(seen, size), map_of(points)).clusters) == 3


# --- cells, flags, words ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planted():
    """A calm map of 150 areas with a cluster of eight."""
    rng = np.random.default_rng(4)
    points, size = rng.uniform(0, 1000, (150, 2)), rng.integers(300, 2000, 150).astype(float)
    inside = np.argsort(((points - points[17]) ** 2).sum(1))[:8]
    rate = np.full(150, 0.02)
    rate[inside] *= 2.2
    return map_of(points), panel_of(rng.poisson(size * rate), size), {codes(150)[k] for k in inside}


def test_a_planted_cluster_is_found_and_told_cell_by_cell(planted):
    areas, panel, inside = planted
    found = zg.Scan(max_population_share=0.2).detect(panel, areas, seed=7)
    first = found.clusters.iloc[0]
    assert len(inside & set(first["members"])) >= 6
    assert first["p_value"] == 0.001
    frame = found.frame.set_index("area")
    cells = frame.loc[list(first["members"])]
    assert (cells["cluster"] == 1).all()
    assert set(cells["label"]) == {"high_cluster"}
    for name in ("p_value", "statistic", "relative_risk"):
        assert set(cells[name]) == {first[name]}
    assert cells["cluster_observed"].iloc[0] == cells["observed"].sum() == first["observed"]
    assert cells["cluster_expected"].iloc[0] == pytest.approx(cells["expected"].sum())
    assert (cells["cluster_areas"] == first["n_areas"]).all()
    outside = frame[frame["cluster"].isna()]
    assert (outside["p_value"] == 1).all()
    assert set(outside["label"]) == {"none"}
    assert set(outside["direction"]) == {"none"}
    assert frame["observed"].sum() == pytest.approx(frame["expected"].sum())
    assert found.controls == "family"


def test_flags_take_p_as_it_is_and_say_so(planted):
    areas, panel, inside = planted
    found = zg.Scan(max_population_share=0.2).detect(panel, areas, seed=7)
    flags = zg.flag([found], areas=areas)
    assert len(set(flags.frame["area"]) & inside) >= 6
    assert (flags.frame["q_value"] == flags.frame["p_value"]).all()
    assert set(flags.frame["method"]) == {"family"}
    assert (flags.frame["ratio"] >= 1).all()  # a member that is low is no high flag
    row = flags.frame.iloc[0]
    said, gezegd = sentence(row, "en"), sentence(row, "nl")
    n = int(row["cluster_areas"])
    assert f"It lies in a cluster of {n} areas with {int(row['cluster_observed'])} where" in said
    assert (
        "If rates were the same everywhere, chance would give a cluster this strong anywhere in about 1 of "
        "1,000 maps (p = 0.001)" in said
    )
    given = sentence(row.to_dict() | {"overdispersion": np.nan, "reference": "parent:gemeente"}, "en")
    assert "Going by its gemeente, chance gives a cluster this strong anywhere in about 1 of 1,000" in given
    assert "expected to be chance" not in said
    assert f"Het ligt in een cluster van {n} gebieden" in gezegd
    assert "op ongeveer 1 van de 1.000 kaarten (p = 0,001)" in gezegd
    strict = zg.flag([found], areas=areas, min_ratio=3.0)
    assert not len(strict.frame)  # the cluster as a whole does not reach it
    beside = zg.flag([found, zg.Deviation(reference="national").detect(panel)], method="holm")
    assert set(beside.frame["method"]) <= {"family", "holm"}


def test_a_low_cluster_is_told_as_low():
    rng = np.random.default_rng(4)
    points, size = rng.uniform(0, 1000, (80, 2)), np.full(80, 1000.0)
    rate = np.full(80, 0.03)
    inside = np.argsort(((points - points[17]) ** 2).sum(1))[:8]
    rate[inside] *= 0.3
    found = zg.Scan(direction="low").detect(panel_of(rng.poisson(size * rate), size), map_of(points))
    flags = zg.flag([found])
    assert set(flags.frame["direction"]) == {"low"}
    assert "It lies in a low cluster of" in sentence(flags.frame.iloc[0])
    assert "Het ligt in een laag cluster van" in sentence(flags.frame.iloc[0], "nl")


@pytest.mark.parametrize("time", ["pooled", "retrospective", "prospective"])
def test_a_cluster_of_several_periods_is_one_flag_an_area(time):
    rng = np.random.default_rng(3)
    rate = np.full((64, 6), 20.0)
    inside = [2, 9, 10, 11, 18]
    rate[inside] *= 2.0
    areas = map_of([(k % 8, k // 8) for k in range(64)])
    panel = panel_of(rng.poisson(rate), np.full(64, 1000.0))
    found = zg.Scan(time=time, replicates=99, max_population_share=0.1).detect(panel, areas)
    first = found.clusters.iloc[0]
    assert set(first["members"]) == {codes(64)[k] for k in inside}
    flags = zg.flag([found], areas=areas)
    told = flags.frame[flags.frame["cluster"] == 1]
    assert sorted(told["area"]) == sorted(first["members"])
    assert set(told["period"]) == {first["end"]}
    row = told.iloc[0]
    assert (row["start"], row["end"]) == (first["start"], first["end"])
    assert f"was to be expected, {first['start']} to {first['end']} together" in sentence(row)
    assert f"te verwachten was, {first['start']} tot en met {first['end']} samen" in sentence(row, "nl")
    one = row.to_dict() | {"start": row["end"]}
    assert "to be expected;" in sentence(one)


def test_a_cluster_of_one_area_is_its_own_figure_and_of_several_a_kind_of_its_own():
    rng = np.random.default_rng(5)
    seen, size = rng.poisson(20, 196).astype(float), np.full(196, 1000.0)
    seen[50], seen[[106, 119, 120, 121, 134]] = 90.0, 70.0
    areas, panel = map_of([(k % 14, k // 14) for k in range(196)]), panel_of(seen, size)
    found = [
        zg.Deviation(reference="national").detect(panel),
        zg.Scan(replicates=199, max_population_share=0.1).detect(panel, areas),
    ]
    told = zg.flag(found).frame.set_index("area")
    assert told.loc["BU0050", "evidence"] == "deviation:national; scan:national"
    alone, among = told.loc["BU0050"], told.loc["BU0120"]
    assert (alone["cluster_areas"], alone["n_evidence"]) == (1, 1)
    assert (among["detector"], among["cluster_areas"], among["n_evidence"]) == ("deviation", 5, 2)
    assert "It also lies in a cluster of 5 areas." in sentence(among)
    assert "Het ligt ook in een cluster van 5 gebieden." in sentence(among, "nl")
    assert "cluster" not in sentence(alone)
    assert "Het ligt ook in een laag cluster van" in sentence(among.to_dict() | {"direction": "low"}, "nl")
    context = zg.flag(found, context=["scan:national"]).frame.set_index("area")
    assert context["cluster_areas"].isna().all()
    first = zg.flag(found[1]).frame.iloc[0]
    assert "also lies" not in sentence(first)


def test_notices_of_restless_rates_neighbours_and_values(planted):
    areas, _, _ = planted
    rng = np.random.default_rng(3)
    size = np.full(150, 1000.0)
    panel = panel_of(rng.poisson(30 * rng.gamma(3, 1 / 3, 150)), size)
    told = zg.Scan(replicates=9).detect(panel, areas).notices
    assert any("A plain scan takes that for clusters" in notice for notice in told)
    assert not zg.Scan(replicates=9, dispersion="estimate").detect(panel, areas).notices
    calm = panel_of(rng.poisson(np.full(150, 30)), size)
    assert not zg.Scan(replicates=9).detect(calm, areas).notices
    near = zg.build_weights(areas, "knn", k=5)
    around = zg.Deviation().detect(panel, near, areas=areas)
    told = zg.Scan(replicates=9).detect(panel, areas, expected=around).notices
    assert any("partly made of the cluster itself" in notice for notice in told)
    both = pd.DataFrame({"area": codes(150), "n": 5, "v": rng.normal(size=150), "size": size})
    mixed = zg.Panel.from_frame(
        both.assign(n=rng.poisson(5, 150)), area="area", observed=["n", "v"], exposure="size",
        family={"n": "poisson", "v": "gaussian"},
    )  # fmt: skip
    found = zg.Scan(replicates=9).detect(mixed, areas)
    assert found.frame.groupby("indicator", observed=True)["status"].agg(set).to_dict() == {
        "n": {"ok"}, "v": {"not_tested"},
    }  # fmt: skip
    assert any("Values (gaussian) are not scanned" in notice for notice in found.notices)


def test_zero_exposure_no_events_and_one_area(planted):
    areas, _, _ = planted
    size = np.full(150, 1000.0)
    size[:3] = 0.0
    seen = np.full(150, 4.0)
    seen[:3], seen[4] = 0.0, 9.0
    found = zg.Scan(replicates=9).detect(panel_of(seen, size), areas)
    assert found.frame["status"].tolist()[:4] == ["no_exposure"] * 3 + ["ok"]
    none = zg.Scan(replicates=9).detect(panel_of(np.zeros(150), np.full(150, 10.0)), areas)
    assert len(none.clusters) == 0
    assert set(none.frame["status"]) == {"constant"}
    one = zg.Scan(replicates=9).detect(panel_of([3.0], [10.0]), map_of([(0, 0)]))
    assert len(one.clusters) == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_population_share": 0.6}, "max_population_share needs to be above 0 and at most 0.5; got 0.6"),
        ({"max_population_share": 0.0}, "max_population_share needs to be above 0"),
        ({"max_radius": 0.0}, "max_radius needs to be above 0"),
        ({"direction": "up"}, "direction needs to be one of 'high', 'low', 'both'; got 'up'"),
        ({"shape": "square"}, "shape needs to be one of"),
        ({"time": "never"}, "time needs to be one of"),
        ({"dispersion": "much"}, "dispersion needs to be one of"),
        ({"penalty": -1.0}, "penalty needs to be at least 0"),
        ({"replicates": 0}, "replicates needs to be a whole number of at least 1; got 0"),
        ({"min_cases": 0}, "min_cases needs to be a whole number"),
        ({"top": 0}, "top needs to be a whole number"),
        ({"max_duration": 0}, "max_duration needs to be a whole number"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, problem):
    with pytest.raises(InputError, match=problem):
        zg.Scan(**options)


def test_arguments_that_do_not_fit_are_refused(planted):
    areas, panel, _ = planted
    expectation = zg.Deviation(reference="national").detect(panel)
    with pytest.raises(InputError, match="areas need to be given, for their points"):
        zg.Scan(replicates=9).detect(panel)
    with pytest.raises(
        InputError, match=r"areas of the panel need to be in the graph.*1 of 150; first: BU0149"
    ):
        zg.Scan(replicates=9).detect(panel, areas.subset(codes(149)))
    found = zg.Scan(replicates=9, dispersion="none").detect(panel, areas)
    with pytest.raises(InputError, match="expected needs to be a Detection of Deviation; got scan:national"):
        zg.Scan(replicates=9).detect(panel, areas, expected=found)
    named = zg.Scan(replicates=9, expected="deviation:parent:gemeente")
    assert named.reference == "parent:gemeente"
    with pytest.raises(
        InputError, match=r"needs the Detection of that name; got none. Pass detect\(expected=\)"
    ):
        named.detect(panel, areas)
    with pytest.raises(InputError, match="needs the Detection of that name; got deviation:national"):
        named.detect(panel, areas, expected=expectation)
    other = dataclasses.replace(expectation, frame=expectation.frame.assign(indicator="other"))
    with pytest.raises(
        InputError, match=r"expected needs to hold the indicators and periods of the panel.*y 2001"
    ):
        zg.Scan(replicates=9).detect(panel, areas, expected=other)


# --- a study ----------------------------------------------------------------------------------------

IN_A_STUDY = """
[[detectors]]
type = "scan"
replicates = 99
max_population_share = 0.2
expected = "deviation:parent:gemeente"

[[detectors]]
type = "deviation"
reference = "parent:gemeente"
"""


@pytest.mark.slow
def test_a_study_runs_the_detection_that_a_scan_leans_on_first(tmp_path):
    result = run(small_study.write_study(tmp_path, extra=IN_A_STUDY), tmp_path / "out")
    names = [detection.name for detection in result.detections]
    assert names == ["deviation:neighbours", *names[1:2], "scan:parent:gemeente", "deviation:parent:gemeente"]
    scan, expectation = result.detections[2:]
    both = expectation.frame["expected"].notna() & scan.frame["expected"].notna()
    ratio = (scan.frame["expected"] / expectation.frame["expected"])[both].groupby(
        [scan.frame["indicator"], scan.frame["period"]], observed=True
    )
    assert (ratio.std() < 1e-9).all()  # brought to one total, indicator by indicator and period by period
    table = pd.read_csv(tmp_path / "out" / "clusters_internal.csv")
    assert len(table) == len(scan.clusters) > 0
    assert set(table.columns) - {"internal"} <= set(COLUMNS)
    assert table["members"].iloc[0].split("; ") == list(scan.clusters["members"].iloc[0])
    assert any(path.name == "clusters_internal.csv" for path in result.paths)


def test_a_study_without_the_detection_that_a_scan_leans_on_is_refused(tmp_path):
    lacking = IN_A_STUDY.partition('\n[[detectors]]\ntype = "deviation"')[0]
    with pytest.raises(
        StudyError, match=r"detectors\[3\].expected needs to be the name of a deviation.*neighbours"
    ):
        load_study(small_study.write_study(tmp_path, extra=lacking))
    itself = lacking.replace("deviation:parent:gemeente", "scan:national")
    with pytest.raises(StudyError, match="expected needs to be the name of a deviation"):
        load_study(small_study.write_study(tmp_path, extra=itself))
