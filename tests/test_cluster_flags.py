"""Which areas of a cluster are flagged, when a scan raises no flag at all, and what is said of both."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import small_study
import zoo_geo as zg
from test_scan import codes, map_of, panel_of
from zoo_geo.cli import main
from zoo_geo.detectors import clusters
from zoo_geo.errors import InputError, StudyError
from zoo_geo.explain import sentence
from zoo_geo.facts import detector_kind
from zoo_geo.pipeline import run
from zoo_geo.scanning import counts, spread_error
from zoo_geo.schema import STATUSES
from zoo_geo.study import load_study

GRID = map_of([(k % 12, k // 12) for k in range(144)])
SIZE = np.full(144, 1000.0)
INSIDE = [64, 52, 63, 65, 76]
"""A circle: the four neighbours are equally near."""


def calm(seen_inside, periods=1, rate=20.0):
    """Areas that all had about what was expected, but for five of them."""
    seen = np.repeat(np.resize([rate - 1, rate, rate + 1], 144)[:, None], periods, axis=1)
    inside = np.asarray(seen_inside, float)
    seen[INSIDE] = inside[:, None] if inside.ndim == 1 else inside
    return panel_of(seen, SIZE)


def restless(seed=3, phi=0.2, rate=30.0):
    rng = np.random.default_rng(seed)
    return panel_of(rng.poisson(rate * rng.gamma(1 / phi, phi, 144)), SIZE)


# --- members ------------------------------------------------------------------------------------------


def test_members_whose_own_interval_holds_one_are_not_flagged():
    found = zg.Scan(replicates=99, max_population_share=0.1).detect(calm([50, 50, 50, 50, 22]), GRID)
    members = set(found.clusters.loc[0, "members"])
    assert members >= {codes(144)[k] for k in INSIDE}
    flagged = set(zg.flag(found).frame["area"])
    assert flagged == {codes(144)[k] for k in INSIDE[:-1]}
    evidence = found.frame.set_index("area").loc["BU0076"]
    assert evidence["own_low"] < 1 < evidence["ratio"]


@pytest.mark.parametrize(("rate", "n_flagged"), [(3.6, 0), (3.8, 5)])
def test_an_area_with_fewer_than_three_point_seven_expected_is_never_low(rate, n_flagged):
    size, seen = np.full(144, 1000.0), np.full(144, 4.0)
    size[INSIDE], seen[INSIDE] = rate * 139_000 / (556 - 5 * rate), 0.0  # of 556 events
    scan = zg.Scan(direction="low", replicates=99, max_population_share=0.1, dispersion="none")
    found = scan.detect(panel_of(seen, size), GRID)
    assert found.frame.set_index("area").loc["BU0064", "expected"] == pytest.approx(rate)
    assert found.clusters["p_value"].min() <= 0.05
    assert len(zg.flag(found, min_count=0).frame) == n_flagged


def test_low_members_need_an_interval_below_one():
    scan = zg.Scan(direction="low", replicates=99, max_population_share=0.1)
    found = scan.detect(calm([5, 5, 5, 5, 17]), GRID)
    assert codes(144)[INSIDE[-1]] in found.clusters.loc[0, "members"]
    assert set(zg.flag(found).frame["area"]) == {codes(144)[k] for k in INSIDE[:-1]}


@pytest.mark.parametrize("time", ["each", "pooled"])
def test_own_interval_is_of_the_area_over_the_periods_of_its_cluster(time):
    """12 where 8 are expected says little in a period, and much over six of them."""
    panel = calm(np.full((5, 6), 14.0), periods=6, rate=8.0)
    found = zg.Scan(time=time, replicates=99, max_population_share=0.1, dispersion="none").detect(panel, GRID)
    row = found.frame.set_index(["area", "period"]).loc[("BU0064", "2006")]
    periods = 1 if time == "each" else 6
    seen, mean = 14.0 * periods, row["expected"] * periods
    low, high = stats.chi2.ppf(0.025, 2 * seen) / 2, stats.chi2.ppf(0.975, 2 * seen + 2) / 2
    assert row["own_low"] == pytest.approx(low / mean, rel=0.02)
    assert row["own_high"] == pytest.approx(high / mean, rel=0.02)
    assert len(zg.flag(found).frame) == (5 if time == "pooled" else 0)


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_intervals_allow_for_the_spread_of_true_rates(family):
    """An area's interval leaves 1 out where the count lies beyond the limits of a restless map."""
    rng = np.random.default_rng(6)
    size = np.full(144, 200.0)
    rate = np.clip(0.2 * rng.gamma(20, 1 / 20, 144), 0, 1)
    draw = rng.binomial(200, rate) if family == "binomial" else rng.poisson(200 * rate)
    found = zg.Scan(replicates=9, dispersion="estimate").detect(panel_of(draw, size, family), GRID).frame
    phi, mean = found["spread"].iloc[0], found["expected"].to_numpy()
    assert phi > 0
    if family == "poisson":
        above = stats.nbinom.sf(found["observed"] - 1, 1 / phi, 1 / (1 + phi * mean))
        assert ((found["ratio_low"] > 1) == (above < 0.025)).all()
    narrow = zg.Scan(replicates=9, dispersion="none").detect(panel_of(draw, size, family), GRID).frame
    assert (found["ratio_low"] <= found["ratio"]).all()
    np.testing.assert_allclose(found["ratio_low"], narrow["ratio_low"])  # a plain scan's intervals, too
    plain = stats.chi2.ppf(0.025, 2 * found["observed"]) / 2 / mean
    assert (found["ratio_low"] < plain).all()


def test_flags_of_a_scan_do_not_contradict_the_expectation_that_it_took():
    panel = restless(phi=0.1)
    nation = zg.Deviation(reference="national").detect(panel)
    seen = panel.observed[:, 0, 0].copy()
    seen[INSIDE] *= 2.5
    panel = panel_of(np.round(seen), SIZE)
    nation = zg.Deviation(reference="national").detect(panel)
    found = zg.Scan(replicates=99, max_population_share=0.1).detect(panel, GRID, expected=nation)
    flags = zg.flag([found, nation], context=[nation.name]).frame
    assert len(flags) > 2
    assert not flags["disagrees"].str.contains("national").any()


def test_clusters_without_a_member_that_deviates_by_itself_are_told():
    """Ten areas with half as much again: surely a cluster, and none of them sure by itself."""
    seen = np.resize([11.0, 12.0, 13.0], 144)
    around = [k for k in range(144) if abs(k % 12 - 5) + abs(k // 12 - 5) <= 2]
    seen[around] = 18.0
    found = zg.Scan(replicates=99, max_population_share=0.2).detect(panel_of(seen, SIZE), GRID)
    assert found.clusters.loc[0, "p_value"] <= 0.05
    flags = zg.flag(found)
    assert flags.frame.empty
    (told,) = (notice for notice in flags.notices if "no area deviates enough by itself" in notice)
    n = found.clusters.loc[0, "n_areas"]
    assert told.startswith("scan:national: clusters with p <= 0.05 of which no area")
    assert f"(1 of 1; first: y 2001 of {n} areas)" in told
    assert "clusters_internal" in told
    one = dataclasses.replace(found, frame=found.frame.assign(cluster_areas=1.0))
    (told,) = (notice for notice in zg.flag(one).notices if "no area deviates enough by itself" in notice)
    assert "first: y 2001 of 1 area)" in told
    some = zg.flag(zg.Scan(replicates=99).detect(calm([50] * 5), GRID))
    assert not any("deviates enough by itself" in notice for notice in some.notices)


# --- a null that does not hold ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["scan", "graph_scan"])
def test_a_plain_scan_of_restless_counts_raises_no_flag_and_says_what_to_write(kind):
    panel = restless()
    detector = {"scan": zg.Scan, "graph_scan": zg.GraphScan}[kind](replicates=99)
    near = zg.build_weights(GRID, "knn", k=6)
    place = (GRID,) if kind == "scan" else (near,)
    found = detector.detect(panel, *place, areas=GRID)
    strong = found.clusters.query("p_value <= 0.05")
    assert len(strong) > 0
    flags = zg.flag(found)
    assert flags.frame.empty
    inside = {area for members in strong["members"] for area in members}
    (told,) = found.notices
    assert told.startswith(f"{kind}:national: counts vary ")
    assert f"the {len(inside)} areas in clusters with p <= 0.05 raise no flag by it" in told
    assert 'expected=zg.Deviation(reference="neighbours").detect(panel, near, areas=areas)' in told
    assert 'expected = "deviation:neighbours"' in told
    assert (found.frame["overdispersion"] > 1.5).all()
    insisted = dataclasses.replace(detector, dispersion="none").detect(panel, *place, areas=GRID)
    assert not insisted.notices
    assert len(zg.flag(insisted).frame) > 0
    aware = dataclasses.replace(detector, dispersion="estimate").detect(panel, *place, areas=GRID)
    assert not aware.notices
    assert aware.frame["overdispersion"].isna().all()


@pytest.mark.parametrize(("n", "over", "odd"), [
    (144, 1.49, False), (144, 1.51, True), (576, 1.24, False), (576, 1.26, True), (14400, 1.04, False),
    (14400, 1.06, True), (0, 1.2, False), (144, np.nan, False),
])  # fmt: skip
def test_the_bar_of_a_plain_scan_falls_with_the_root_of_the_areas(n, over, odd):
    assert bool(clusters.restless(np.array([over]), np.array([n]))[0]) is odd


@pytest.mark.parametrize("time", ["each", "pooled"])
def test_a_large_map_that_varies_a_little_more_than_chance_raises_no_flag(time):
    side = 30
    large = map_of([(k % side, k // side) for k in range(side**2)])
    rng = np.random.default_rng(5)
    seen = rng.poisson(30 * rng.gamma(1 / 0.012, 0.012, side**2)).astype(float)
    seen[[64, 65, 94, 95]] = 70.0  # a strong cluster
    panel = panel_of(np.repeat(seen[:, None], 1 if time == "each" else 2, axis=1), np.full(side**2, 1000.0))
    found = zg.Scan(replicates=99, time=time).detect(panel, large)
    over = found.frame["overdispersion"].dropna().unique()
    assert ((over > 1 + 6 / side) & (over < 1.5 * panel.observed.shape[2])).all()
    assert found.clusters["p_value"].min() <= 0.05
    assert zg.flag(found).frame.empty
    assert any("raise no flag by it" in notice for notice in found.notices)


def test_other_evidence_stands_without_that_of_a_restless_scan():
    panel = restless(phi=0.1)
    seen = panel.observed[:, 0, 0].copy()
    seen[70] = 200.0
    panel = panel_of(seen, SIZE)
    found = [zg.Deviation(reference="national").detect(panel), zg.Scan(replicates=99).detect(panel, GRID)]
    alone, both = zg.flag(found[0]), zg.flag(found)
    assert list(alone.frame["area"]) == list(both.frame["area"])
    assert len(alone.frame) > 0
    assert set(both.frame["evidence"]) == {"deviation:national"}


def test_one_notice_for_all_indicators_and_periods_that_are_restless():
    rng = np.random.default_rng(2)
    long = pd.DataFrame(
        {"area": codes(144) * 6, "period": np.repeat(["2001", "2002", "2003"] * 2, 144), "exposure": 1000.0,
         "indicator": np.repeat(["a", "b"], 432)}
    )  # fmt: skip
    rate = 30 * np.where(long["indicator"] == "a", rng.gamma(4, 1 / 4, len(long)), 1.0)
    panel = zg.Panel.from_long(long.assign(observed=rng.poisson(rate)))
    (told,) = zg.Scan(replicates=9).detect(panel, GRID).notices
    assert "(3 of 6; first: a 2001, a 2002, a 2003)" in told
    (told,) = zg.Scan(replicates=9, time="retrospective").detect(panel, GRID).notices
    assert told.startswith("scan_retrospective:national: totals over all periods vary")
    assert "(1 of 2; first: a)" in told
    assert 'Pass dispersion="estimate"' in told


@pytest.mark.parametrize(("time", "said"), [("each", True), ("retrospective", False)])
def test_a_smooth_surface_is_said_to_be_one(time, said):
    level = np.repeat(np.where(np.arange(144) % 12 < 4, 40.0, 15.0)[:, None], 2, axis=1)
    rng = np.random.default_rng(1)
    seen = level + rng.integers(-2, 3, level.shape)
    scan = zg.Scan(replicates=99, dispersion="estimate", time=time)
    told = [each for each in scan.detect(panel_of(seen, SIZE), GRID).notices if "smoothly" in each]
    assert bool(told) == said
    if said:
        assert "(2 of 2; first: y 2001, y 2002)" in told[0]
        assert 'expected = "deviation:neighbours"' in told[0]
    calm_map = zg.Scan(replicates=99, dispersion="estimate").detect(calm([50] * 5), GRID)
    assert not any("smoothly" in each for each in calm_map.notices)


def test_sentences_claim_no_more_than_the_null_gives():
    plain = zg.flag(zg.Scan(replicates=99).detect(calm([50] * 5), GRID)).frame.iloc[0]
    assert "If rates were the same everywhere, chance would give a cluster this strong" in sentence(plain)
    assert "Als de cijfers overal gelijk waren, gaf toeval" in sentence(plain, "nl")
    weak = plain.to_dict() | {"p_value": 0.3}
    assert "If rates were the same everywhere, chance would give" in sentence(weak)
    assert "in 30% of maps" in sentence(weak)
    aware = zg.flag(zg.Scan(replicates=99, dispersion="estimate").detect(calm([50] * 5), GRID)).frame.iloc[0]
    assert "Going by all areas together, chance gives a cluster this strong anywhere" in sentence(aware)
    assert "Afgaand op alle gebieden samen geeft toeval ergens een zo sterk cluster" in sentence(aware, "nl")
    apart = plain.to_dict() | {"disagrees": "deviation:neighbours"}
    assert "Against its neighbours it does not stand out by itself." in sentence(apart)


# --- how well the spread is known -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_the_error_of_an_estimated_spread_is_that_of_many_maps(family):
    rng = np.random.default_rng(8)
    size = np.exp(rng.normal(6.0, 1.0, 400)).round() + 5
    maps, phi = 80, 0.1
    if family == "poisson":
        seen = rng.poisson(size * 0.02 * rng.gamma(1 / phi, phi, (maps, 400)))
    else:
        seen = rng.binomial(size.astype(int), rng.beta(0.2 * 9, 0.8 * 9, (maps, 400)))
    table = pd.DataFrame({f"i{k}": seen[k] for k in range(maps)}).assign(area=codes(400), size=size)
    panel = zg.Panel.from_frame(
        table, area="area", observed=[f"i{k}" for k in range(maps)], exposure="size", family=family
    )
    points = map_of([(k % 20, k // 20) for k in range(400)])
    scan = zg.Scan(replicates=1, top=1, max_population_share=0.01, dispersion="estimate")
    estimates = scan.detect(panel, points).frame.groupby("indicator", observed=True)["spread"].first()
    whole = np.full(400, phi)
    told = spread_error(family, size * 0.02, size, whole)
    assert estimates.std() / estimates.mean() == pytest.approx(told, rel=0.35)
    assert spread_error(family, size * 0.02, size, 0 * whole) == 0.0


@pytest.mark.parametrize("family", ["poisson", "binomial"])
def test_replicates_differ_in_spread_where_it_is_not_known_for_sure(family):
    size, phi = np.full((300, 1), 400.0), 0.1
    seen = np.full((300, 1), 40.0)

    def drawn(doubt, first=0, count=300):
        c = counts(family, seen, size, None, np.full_like(size, phi), doubt=doubt)
        return c.replicates(5, first, count)[0][:, 0]

    sure, unsure = (drawn(doubt).var(axis=0) for doubt in (0.0, 0.3))
    chance = np.float64(sure.std() / sure.mean())
    wanted = np.hypot(chance, 0.3 * phi * 40 / (1 + phi * 40) if family == "poisson" else 0.3)
    assert unsure.std() / unsure.mean() == pytest.approx(wanted, rel=0.25)
    assert unsure.mean() == pytest.approx(sure.mean(), rel=0.1)
    np.testing.assert_array_equal(drawn(0.3, 7, 3), drawn(0.3)[:, 7:10])
    assert np.isfinite(drawn(50.0)).all()


@pytest.mark.slow
def test_p_allows_for_the_error_of_the_spread():
    """Few areas: the spread is known to a quarter or so, and p would be twice too small without it."""
    rng, small = np.random.default_rng(12), []
    for seed in range(4):
        seen = {f"i{k}": rng.poisson(20 * rng.gamma(5, 0.2, 144)) for k in range(40)}
        table = pd.DataFrame(seen | {"area": codes(144), "size": SIZE})
        panel = zg.Panel.from_frame(table, area="area", observed=list(seen), exposure="size")
        scan = zg.Scan(replicates=99, top=1, max_population_share=0.1, dispersion="estimate")
        small += list(scan.detect(panel, GRID, seed=seed).clusters["p_value"] <= 0.05)
    assert np.mean(small) <= 0.075


# --- broken series ------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", ["pooled", "retrospective", "prospective"])
def test_periods_before_a_change_of_boundary_take_no_part(time):
    panel = calm(np.repeat([[20, 20, 50, 50]], 5, axis=0), periods=4)
    breaks = np.zeros((144, 4), bool)
    breaks[[3, 52], 2] = True
    broken = dataclasses.replace(panel, breaks=breaks)
    scan = zg.Scan(time=time, replicates=99, max_population_share=0.1)
    found = scan.detect(broken, GRID)
    status = found.frame.set_index(["area", "period"])["status"]
    assert list(status.loc["BU0003"])[:2] == ["not_tested"] * 2
    (told,) = (notice for notice in found.notices if "boundary" in notice)
    assert told == (
        f"scan_{time}: the boundary of 2 of 144 areas changed (2003); "
        "periods before and after it are not compared."
    )
    status, observed = panel.status.copy(), panel.observed.copy()
    status[[3, 52], 0, :2], observed[[3, 52], 0, :2] = STATUSES.index("missing"), np.nan
    gone = dataclasses.replace(panel, status=status, observed=observed)
    other = scan.detect(gone, GRID)
    pd.testing.assert_frame_equal(found.clusters, other.clusters)
    assert any("periods without a figure add nothing" in notice for notice in other.notices)
    assert not any("periods without a figure" in notice for notice in found.notices)


def test_a_cluster_of_a_broken_series_says_the_years_that_count():
    """An area of its own, with figures of five years of which three come after the break."""
    seen = np.resize([19.0, 20.0, 21.0], 144)[:, None].repeat(5, axis=1)
    seen[64, 2:] = 80.0
    panel = panel_of(seen, SIZE)
    breaks = np.zeros((144, 5), bool)
    breaks[64, 2] = True
    scan = zg.Scan(time="pooled", replicates=99, max_population_share=0.05)
    found = scan.detect(dataclasses.replace(panel, breaks=breaks), GRID)
    row = zg.flag(found).frame.set_index("area").loc["BU0064"]
    assert (row["cluster_areas"], row["cluster_observed"]) == (1, 240)
    assert (row["start"], row["end"]) == ("2003", "2005")
    assert found.clusters.loc[0, "period"] == "2003 - 2005"
    assert "240 seen where" not in sentence(row)
    assert "2003 to 2005 together" in sentence(row)
    assert "2001" not in sentence(row)


def test_a_flag_of_several_periods_shows_the_interval_that_decided():
    """A period of 14 where 8 are expected holds 1; six of them do not."""
    panel = calm(np.full((5, 6), 14.0), periods=6, rate=8.0)
    scan = zg.Scan(time="pooled", replicates=99, max_population_share=0.1, dispersion="none")
    flags = zg.flag(scan.detect(panel, GRID))
    row = flags.frame.set_index("area").loc["BU0064"]
    assert row["ratio_low"] < 1 < row["own_low"]
    evidence = flags.evidence.set_index("area").loc["BU0064"]
    assert (evidence["own_low"], evidence["own_high"]) == (row["own_low"], row["own_high"])
    low, high = (float(f"{row[name]:.2g}") for name in ("own_low", "own_high"))
    told = sentence(row)
    assert (
        f"The area itself over those periods: {low:g} to {high:g} times what was to be expected (95% " in told
    )
    assert "(95% interval 0." not in told
    assert "Het gebied zelf over die perioden: " in sentence(row, "nl")
    once = sentence(row.to_dict() | {"start": row["end"]})
    assert "The area itself" not in once
    assert "(95% interval 0." in once


def test_single_periods_and_graphs_with_broken_series():
    breaks = np.zeros((144, 2), bool)
    breaks[3, 1] = True
    broken = dataclasses.replace(calm(np.full((5, 2), 50.0), periods=2), breaks=breaks)
    assert not zg.Scan(replicates=9).detect(broken, GRID).notices  # each period by itself compares nothing
    near = zg.build_weights(GRID, "knn", k=6)
    told = zg.GraphScan(replicates=9, time="pooled").detect(broken, near).notices
    assert any("graph_scan_pooled: the boundary of 1 of 144" in notice for notice in told)


# --- names ----------------------------------------------------------------------------------------------


def test_scans_of_other_directions_and_times_stand_side_by_side():
    panel = calm(np.full((5, 3), 50.0), periods=3)
    scans = [
        zg.Scan(replicates=99), zg.Scan(replicates=99, direction="low"),
        zg.Scan(replicates=99, direction="both", time="prospective"),
    ]  # fmt: skip
    found = [scan.detect(panel, GRID) for scan in scans]
    assert [each.name for each in found] == [
        "scan:national",
        "scan_low:national",
        "scan_both_prospective:national",
    ]
    assert set(found[2].frame["detector"]) == {"scan_both_prospective"}
    flags = zg.flag(found)
    assert set(flags.frame["evidence"]) == {"scan:national", "scan:national; scan_both_prospective:national"}
    assert set(flags.frame["n_evidence"]) == {1}
    assert set(flags.frame["method"]) == {"family"}
    assert zg.GraphScan(direction="low", time="pooled").called == "graph_scan_low_pooled"
    kinds = {"scan": "scan", "scanner": "scanner", "graph_scan_low": "graph_scan", "scan_both_pooled": "scan"}
    assert {name: detector_kind(name) for name in kinds} == kinds


def test_words_know_scans_by_any_name():
    row = zg.flag(zg.Scan(replicates=99).detect(calm([50] * 5), GRID)).frame.iloc[0].to_dict()
    assert "touch one another" in sentence(row | {"detector": "graph_scan_pooled"})
    assert "touch one another" not in sentence(row | {"detector": "scan_pooled"})
    assert "It lies in a cluster that is low." in sentence(
        row | {"contrary": "scan_low_prospective:national"}
    )


def test_a_detection_is_short_in_print():
    found = zg.Scan(replicates=99).detect(calm([50] * 5), GRID)
    small = int((found.frame["p_value"] <= 0.05).sum())
    assert repr(found) == (
        f"<Detection scan:national: 144 cells of 1 indicators x 1 periods, {small} with p <= 0.05, "
        f"{len(found.clusters)} clusters>"
    )
    assert "clusters" not in repr(zg.Deviation(reference="national").detect(calm([50] * 5)))


# --- options ---------------------------------------------------------------------------------------------


def test_a_cluster_lasts_no_longer_than_there_are_periods():
    panel = calm(np.full((5, 3), 50.0), periods=3)
    with pytest.raises(InputError, match=r"max_duration needs to be at most the number of periods, 3; got 4"):
        zg.Scan(time="retrospective", max_duration=4).detect(panel, GRID)
    zg.Scan(time="retrospective", max_duration=3, replicates=9).detect(panel, GRID)


def test_words_of_other_detectors_are_hinted_at():
    with pytest.raises(
        InputError, match=r"direction needs to be one of.*got 'greater'. Did you mean 'high'\?"
    ):
        zg.Scan(direction="greater")
    with pytest.raises(InputError, match=r"alternative needs to be one of.*got 'low'. Did you mean 'less'\?"):
        zg.GetisOrd(alternative="low")


# --- a study ---------------------------------------------------------------------------------------------

TWO = """
[[detectors]]
type = "scan"
replicates = 19

[[detectors]]
type = "scan"
replicates = 19
direction = "low"
time = "retrospective"
"""


@pytest.mark.slow
def test_a_study_holds_scans_of_other_directions_and_times(tmp_path, capsys):
    path = small_study.write_study(tmp_path, extra=TWO)
    assert main(["check", str(path)]) == 0
    listed = "deviation:neighbours, getis_ord:surroundings, scan:national, scan_low_retrospective:national."
    assert listed in capsys.readouterr().out
    found = run(path, tmp_path / "out").detections
    assert [each.name for each in found[2:]] == ["scan:national", "scan_low_retrospective:national"]
    table = pd.read_csv(tmp_path / "out" / "clusters_internal.csv")
    assert set(table["detector"]) <= {"scan", "scan_low_retrospective"}
    twice = small_study.write_study(
        tmp_path, extra=TWO.replace('direction = "low"\ntime = "retrospective"', "")
    )
    with pytest.raises(StudyError, match="detectors need to differ in type, reference, direction or time"):
        load_study(twice)


def test_a_check_knows_how_many_periods_there_are(tmp_path, capsys):
    path = small_study.write_study(tmp_path, extra=TWO + "max_duration = 3\n")
    assert main(["check", str(path)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("detectors[4].max_duration needs to be at most the number of periods, 2; got 3.")


@pytest.mark.slow
def test_the_first_detector_with_a_p_of_each_area_is_combined(tmp_path):
    """A scan before it has none, so it is passed over."""
    text = TWO.partition('\n[[detectors]]\ntype = "scan"\nreplicates = 19\ndirection')[0]
    path = small_study.write_study(tmp_path, extra='[[combine]]\ntheme = "both"\n')
    study = path.read_text(encoding="utf-8").replace('id = "thefts"', 'id = "thefts"\ntheme = "both"')
    study = study.replace('id = "houses"', 'id = "houses"\ntheme = "both"')
    path.write_text(study.replace("[[detectors]]", text.strip() + "\n\n[[detectors]]", 1), encoding="utf-8")
    found = run(path, tmp_path / "out").detections
    assert [each.name for each in found] == [
        "scan:national", "deviation:neighbours", "getis_ord:surroundings", "co_occurrence:neighbours",
    ]  # fmt: skip


def test_a_wrong_expectation_is_said_once_and_words_of_others_are_hinted_at(tmp_path):
    wrong = TWO.replace("replicates = 19\n\n", 'expected = "deviation:parent:gemeent"\n\n')
    with pytest.raises(StudyError) as caught:
        load_study(small_study.write_study(tmp_path, extra=wrong))
    assert len(caught.value.problems) == 1
    assert (
        "detectors[3].expected needs to be the name of a deviation of the study" in caught.value.problems[0]
    )
    hinted = TWO.replace('direction = "low"', 'alternative = "low"')
    with pytest.raises(
        StudyError, match=r"alternative needs to be a known key.*Did you mean \"direction\"\?"
    ):
        load_study(small_study.write_study(tmp_path, extra=hinted))
    other = '[[detectors]]\ntype = "local_moran"\nalternative = "high"\n'
    with pytest.raises(StudyError, match=r"alternative needs to be.*Did you mean \"greater\"\?"):
        load_study(small_study.write_study(tmp_path, extra=other))


def test_clusters_beyond_those_that_are_told_are_said():
    """Four planted groups of one area each, and two told."""
    points = [(x, y) for y in range(12) for x in range(12)]
    size = np.full(144, 1_000.0)
    seen = np.full(144, 10.0)
    seen[[20, 28, 100, 110]] = 60.0
    panel, world = panel_of(seen, size), map_of(points)
    few = zg.Scan(max_population_share=0.03, replicates=99, top=2, dispersion="none").detect(panel, world)
    assert len(few.clusters) == 2
    assert any("more clusters have p <= 0.05 than the 2 that are told" in each for each in few.notices)
    every = zg.Scan(max_population_share=0.03, replicates=99, dispersion="none").detect(panel, world)
    assert (every.clusters["p_value"] <= 0.05).sum() == 4
    assert not any("that are told" in each for each in every.notices)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0, 2.5])
def test_numbers_that_are_none_are_refused(value):
    with pytest.raises(InputError, match="top needs to be a whole number"):
        zg.Scan(top=value)
    with pytest.raises(InputError, match="penalty needs"):
        zg.Scan(shape="ellipse", penalty=np.nan)


def test_a_plain_scan_of_a_smooth_surface_raises_no_flag_and_says_so():
    """Rates that are a quarter higher on one side: next to no variance beside chance."""
    points = [(x, y) for y in range(20) for x in range(20)]
    size, x = np.full(400, 1_000.0), np.array([x for x, _ in points])
    seen = np.random.default_rng(2).poisson(12.0 * (0.88 + 0.24 * (x > 13)))
    panel, world = panel_of(seen, size), map_of(points)
    plain = zg.Scan(replicates=99).detect(panel, world)
    held = plain.frame["cluster"].notna() & (plain.frame["p_value"] <= 0.05)
    assert held.sum() > 40
    assert zg.flag(plain).frame.empty
    assert any("they raise no flag by a plain scan" in notice for notice in plain.notices)
    insisted = zg.Scan(replicates=99, dispersion="none").detect(panel, world)
    assert len(zg.flag(insisted).frame) > 0
