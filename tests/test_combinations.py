"""Several figures in one area: unusual mixes, co-occurrence, their flags and what they say."""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest
from benchmarks.mix import panel as simulated
from benchmarks.mix import planted
from scipy import special, stats

import small_study
from naive import combinations as naive
from panels import lattice
from test_deviation import areas_of
from zoo_geo.co_occurrences import co_occurrence
from zoo_geo.combinations import Dependence, dependence, distance_p, distances, rate_share
from zoo_geo.detectors.deviation import Deviation
from zoo_geo.detectors.local_moran import LocalMoran
from zoo_geo.detectors.scan import Scan
from zoo_geo.detectors.unusual_mix import UnusualMix
from zoo_geo.errors import InputError
from zoo_geo.explain import sentence
from zoo_geo.flags import flag
from zoo_geo.panel import Panel
from zoo_geo.pipeline import run
from zoo_geo.priorities import priority
from zoo_geo.significance import adjust, combine, significant

SHARES = (0.05, 0.01, 0.001)


def too_small(p):
    """P(p <= a) / a."""
    known = p[np.isfinite(p)]
    return np.array([(known <= a).mean() / a for a in SHARES])


def linked(k, rho):
    return np.full((k, k), rho) + (1 - rho) * np.eye(k)


def single(one):
    return Deviation(reference="national").detect(one)


# --- distances ---------------------------------------------------------------------------------------


def test_distance_and_its_parts_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    z, share = rng.standard_normal((40, 4)), rng.uniform(size=(40, 4))
    z[rng.random(z.shape) < 0.2] = np.nan
    z[3] = np.nan
    given = Dependence(linked(4, 0.7), linked(4, 0.2), np.ones((4, 2)))
    found = distances(z, share, given)
    for i in range(40):
        full = naive.correlation(given.rates, given.chance, share[i])
        known = np.isfinite(z[i])
        if not known.any():
            assert np.isnan(found.distance[i])
            continue
        assert found.distance[i] == pytest.approx(naive.distance(z[i], full))
        np.testing.assert_allclose(found.others[i], naive.expected_of_others(z[i], full), atol=1e-9)
        np.testing.assert_array_equal(np.isfinite(found.whitened[i]), known)
    np.testing.assert_allclose(np.nansum(found.whitened**2, axis=1), np.nan_to_num(found.distance))


def test_scores_that_vary_too_much_are_shortened_and_others_are_not_stretched():
    z, share = np.array([[3.0, 1.0]]), np.ones((1, 2))
    given = Dependence(np.eye(2), np.eye(2), np.array([[4.0, 4.0], [0.25, 0.25]]))
    assert distances(z, share, given).distance[0] == pytest.approx(1.5**2 + 1.0)
    tied = dataclasses.replace(given, rates=linked(2, 0.5))
    np.testing.assert_allclose(distances(z, share, tied).others, [[2.0 * 0.5 * 1.0, 0.5 * 1.5]])


def test_leaving_far_areas_out_does_not_shrink_what_is_estimated():
    z = np.random.default_rng(4).standard_normal((20_000, 4)) @ np.linalg.cholesky(linked(4, 0.5)).T
    found = dependence(z, np.ones(z.shape))
    np.testing.assert_allclose(found.variances[:, 0], 1.0, atol=0.025)
    np.testing.assert_allclose(found.rates[np.tril_indices(4, -1)], 0.5, atol=0.02)


def test_blocks_of_areas_do_not_matter(monkeypatch):
    rng = np.random.default_rng(1)
    z, share = rng.standard_normal((50, 3)), rng.uniform(size=(50, 3))
    given = dependence(z, share)
    whole = distances(z, share, given).distance
    monkeypatch.setattr("zoo_geo.combinations._NUMBERS", 63)
    np.testing.assert_array_equal(distances(z, share, given).distance, whole)


def test_share_of_rates_is_that_of_the_variance():
    phi, m, n = 0.2, 7.0, 40.0
    negative_binomial = stats.nbinom(1 / phi, 1 / (1 + phi * m)).var()
    one = np.ones(1)
    assert rate_share("poisson", m * one, one, phi * one)[0] == pytest.approx(1 - m / negative_binomial)
    a, b = 0.3 * (1 - phi) / phi, 0.7 * (1 - phi) / phi
    law = stats.betabinom(40, a, b)
    assert rate_share("binomial", 12 * one, n * one, phi * one)[0] == pytest.approx(
        1 - stats.binom(40, 0.3).var() / law.var()
    )
    assert rate_share("gaussian", one, one, one)[0] == 1.0
    assert rate_share("poisson", one, one, np.nan * one)[0] == 0.0


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_correlation_is_found_beside_odd_areas(rho):
    rng = np.random.default_rng(2)
    n, k = 4000, 4
    share = np.repeat(rng.uniform(size=(n, 1)), k, axis=1)
    part = np.linalg.cholesky(linked(k, rho))
    rates, chance = rng.standard_normal((n, k)) @ part.T, rng.standard_normal((n, k))
    z = np.sqrt(share) * rates + np.sqrt(1 - share) * chance
    z[:200] += 4.0 * np.array([1, -1, 1, -1])  # 5 % are odd
    found, below = dependence(z, share), np.tril_indices(k, -1)
    np.testing.assert_allclose(found.rates[below], rho, atol=0.1)
    np.testing.assert_allclose(found.chance[below], 0.0, atol=0.1)
    for matrix in (found.rates, found.chance):
        assert np.linalg.eigvalsh(matrix).min() > 0
        np.testing.assert_allclose(np.diag(matrix), 1.0)


def test_distance_p_is_the_law_of_a_new_area_and_never_zero():
    rng = np.random.default_rng(3)
    m, k = 40, 3
    estimated = rng.standard_normal((20_000, m, k))
    inverse = np.linalg.inv(np.einsum("rmi,rmj->rij", estimated, estimated) / m)
    new = rng.standard_normal((20_000, k))
    away = np.einsum("ri,rij,rj->r", new, inverse, new)
    p = distance_p(away, np.full(20_000, k), m)
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert distance_p(np.array([1e9, np.nan]), np.array([3, 0]), 10**6)[0] == 1e-300


# --- combined p --------------------------------------------------------------------------------------


def test_half_cauchy_tail_is_that_of_the_sum():
    one = np.array([1e-300, 1e-20, 0.004, 0.3, 0.9, 1.0])
    np.testing.assert_allclose(combine(one[:, None]), one, rtol=1e-9)
    p = np.array([[0.2, 0.4], [0.01, 0.5], [1e-6, 1e-3]])
    sums = (1 / np.tan(np.pi / 2 * p)).sum(axis=1)
    np.testing.assert_allclose(combine(p), [naive.tail_of_two(x) for x in sums], rtol=1e-4)


@pytest.mark.parametrize("k", [3, 8, 20])
def test_combined_p_is_uniform_when_nothing_is_odd(k):
    p = combine(np.random.default_rng(k).random((20_000, k)))
    levels, off = [0.01, 0.05, 0.2, 0.5], [0.003, 0.006, 0.01, 0.015]
    assert (np.abs(np.quantile(p, levels) - levels) < off).all()


def test_extreme_p_is_exact_and_one_undoes_nothing():
    p = np.array([[1e-300, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1e-9, 1.0, 1.0, 1.0]])
    np.testing.assert_allclose(combine(p), [4e-300, 1e-300, 1.0, 4e-9], rtol=1e-6)
    assert combine(np.array([[0.001, np.nan, 1.0]]))[0] == combine(np.array([[0.001, 1.0]]))[0]
    assert np.isnan(combine(np.array([[np.nan, np.nan]]))).all()


def test_at_least_two_leaves_the_smallest_out():
    p = np.array([[1e-200, 0.3, 0.7], [1e-4, 1e-4, 1.0], [0.01, np.nan, np.nan]])
    found = combine(p, at_least=2)
    np.testing.assert_allclose(found[:2], combine(np.array([[0.3, 0.7], [1e-4, 1.0]])))
    assert np.isnan(found[2])


def test_combined_p_grows_with_every_p_and_does_not_mind_their_order():
    rng = np.random.default_rng(5)
    p = rng.random((200, 5)) ** 3
    more = np.minimum(p + 0.05 * rng.random(p.shape), 1.0)
    assert (combine(more) >= combine(p) - 1e-12).all()
    np.testing.assert_allclose(combine(p[:, ::-1]), combine(p), rtol=1e-12)


@pytest.mark.parametrize("wrong", [np.array([[-0.1]]), np.array([[1.1]])])
def test_p_outside_0_to_1_is_refused(wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        combine(wrong)
    with pytest.raises(ValueError, match="at_least"):
        combine(np.array([[0.5]]), at_least=0)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6, 0.9])
def test_combined_p_holds_under_dependence(rho):
    rng = np.random.default_rng(6)
    z = rng.standard_normal((20_000, 6)) @ np.linalg.cholesky(linked(6, rho)).T
    assert (too_small(combine(special.ndtr(-z))) <= [1.15, 1.25, 1.5]).all()
    z[:, 0] += 6.0  # one figure odd everywhere is no co-occurrence
    assert (too_small(combine(special.ndtr(-z), at_least=2)) <= [1.15, 1.25, 1.5]).all()


# --- unusual mixes -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("mean", [0.3, 30.0])
@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_p_of_a_mix_is_not_too_small(mean, rho):
    maps = [simulated(np.random.default_rng(s), 3000, 3, rho, mean, np.zeros((3000, 3))) for s in range(2)]
    p = [UnusualMix(theme="theme").of(single(one)).frame["p_value"].to_numpy() for one in maps]
    assert (too_small(np.concatenate(p)) <= [1.05, 1.2, 1.7]).all()


def test_odd_mixes_are_found_that_no_single_figure_shows():
    rng = np.random.default_rng(7)
    n, k = 2500, 4
    odd, shift = planted(rng, n, k, "against")
    found = single(simulated(rng, n, k, 0.8, 100.0, shift))
    mix = UnusualMix(theme="theme").of(found).frame
    yes = significant(adjust(mix["p_value"].to_numpy()), 0.05)
    alone = found.frame["p_value"].to_numpy().reshape(n, k)
    seen = np.stack([significant(adjust(p), 0.05) for p in alone.T], 1).any(axis=1)
    assert (yes & odd).sum() > 0.6 * odd.sum()
    assert (yes & ~odd).sum() < 0.15 * yes.sum()
    assert (seen & odd).sum() < 0.2 * odd.sum()


def test_a_figure_that_is_odd_alone_is_left_to_its_own_flag():
    world = lattice(12, 12)
    size, columns = trio(world)
    columns["y1"][50] *= 6
    frame = UnusualMix(theme="t").detect(world.panel(columns, size, themes="t"), world.graph()).frame
    row = frame.loc[frame["area"] == "BU0050"].squeeze()
    assert row["status"] == "not_tested"
    assert row["odd_alone"] == "y1"
    assert np.isnan(row["p_value"])
    assert row["parts"].startswith("y1 +")
    assert (frame.loc[frame["status"] == "ok", "odd_alone"] == "").all()


def trio(world):
    """Sizes, and three counts on them that have nothing in common."""
    rng = np.random.default_rng(9)
    size = rng.integers(1000, 3000, len(world)).astype(float)
    factor = rng.gamma(20.0, 1 / 20.0, (3, len(world)))
    return size, {f"y{j}": rng.poisson(size * 0.02 * factor[j]).astype(float) for j in range(3)}


def test_missing_figures_are_left_out_and_counted():
    world = lattice(12, 12)
    size, columns = trio(world)
    columns["y0"][5], columns["y0"][6], columns["y1"][6] = np.nan, np.nan, np.nan
    columns["y2"][7] = columns["y1"][7] = columns["y0"][7] = np.nan
    frame = UnusualMix(theme="t").detect(world.panel(columns, size, themes="t"), world.graph()).frame
    told = frame.set_index("area")[["status", "n_indicators", "parts"]]
    assert told.loc["BU0005", ["status", "n_indicators"]].tolist() == ["ok", 2]
    assert "y0" not in told.loc["BU0005", "parts"]
    assert told.loc["BU0006", ["status", "n_indicators"]].tolist() == ["too_few", 1]
    assert told.loc["BU0007", ["status", "n_indicators"]].tolist() == ["missing", 0]


def test_too_few_areas_for_a_correlation():
    world = lattice(3, 4)
    size, columns = trio(world)
    frame = UnusualMix(theme="t", reference="national").detect(world.panel(columns, size, themes="t")).frame
    assert set(frame["status"]) == {"too_few"}


def test_a_detection_that_is_there_gives_the_same():
    world = lattice(9, 9)
    size, columns = trio(world)
    table, graph = world.panel(columns, size, themes={"y0": "t", "y2": "t"}, seed=3), world.graph()
    mix = UnusualMix(theme="t")
    one = mix.detect(table, graph)
    other = mix.of(Deviation().detect(table, graph))
    pd.testing.assert_frame_equal(one.frame, other.frame, check_categorical=False)
    assert one.indicators == () or one.indicators[0].id == "t"
    with pytest.raises(InputError, match="needs to be a Deviation"):
        mix.of(LocalMoran(permutations=99, value="rate").detect(table, graph))


@pytest.mark.slow
def test_the_forest_ranks_among_draws_and_finds_the_same_mixes():
    rng = np.random.default_rng(8)
    odd, shift = planted(rng, 1500, 3, "against")
    found = single(simulated(rng, 1500, 3, 0.8, 100.0, 1.3 * shift))
    mix = UnusualMix(theme="theme", method="isolation_forest")
    p = mix.of(found).frame["p_value"].to_numpy()
    assert np.nanmin(p) >= 1 / 100_001
    assert np.nanmedian(p[odd]) < 0.01
    assert (too_small(p[~odd])[:2] <= [1.15, 1.5]).all()
    np.testing.assert_array_equal(mix.of(found).frame["p_value"].to_numpy(), p)
    assert not np.array_equal(mix.of(found, seed=1).frame["p_value"].to_numpy(), p)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "theme needs to be a theme of the panel, or indicators="),
        ({"theme": "t", "indicators": ("a", "a")}, "indicators need to be different"),
        ({"theme": "t", "alone": 0.0}, "alone needs to be between 0 and 1"),
        ({"theme": "t", "method": "mcd"}, "method needs to be one of"),
        ({"theme": "t", "reference": "moon"}, "reference needs to be"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, line):
    with pytest.raises(InputError, match=line):
        UnusualMix(**options)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"theme": "q"}, "theme needs to have two indicators or more; got 0 of 'q'"),
        ({"theme": "t", "indicators": ("y0", "nose")}, "indicators need to be in the panel; got 'nose'"),
        ({"theme": "y0", "indicators": ("y0", "y1")}, "theme needs a name that is no indicator's"),
    ],
)
def test_themes_that_the_panel_lacks_are_refused(options, line):
    world = lattice(5, 5)
    size, columns = trio(world)
    table = world.panel(columns, size, themes="t")
    with pytest.raises(InputError, match=line):
        UnusualMix(**options).detect(table, world.graph())
    with pytest.raises(InputError, match=line):
        co_occurrence(Deviation().detect(table, world.graph()), **options)


# --- co-occurrence -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lively():
    """Two figures high together in one area, low together in another, one figure high in a third."""
    world = lattice(12, 12)
    size, columns = trio(world)
    for name, at, times in (("y0", 30, 4), ("y1", 30, 4), ("y0", 60, 0), ("y2", 60, 0), ("y1", 90, 8)):
        columns[name][at] *= times
    table = world.panel(columns, size, themes="t", titles={"y0": "a; b"})
    return table, world.graph(), Deviation().detect(table, world.graph())


def test_two_figures_make_a_co_occurrence_and_one_does_not(lively):
    frame = co_occurrence(lively[2], "t").frame.set_index("area")
    assert frame["p_value"].idxmin() == "BU0030"
    assert frame.loc["BU0030", "p_value"] < 1e-3
    parts = frame.loc["BU0030", "parts"].split("; ")
    assert {part.rsplit(" ", 1)[0] for part in parts} >= {"a, b", "y1"}
    assert frame.loc["BU0030", "n_parts"] == len(parts)
    assert frame.loc["BU0090", "p_value"] > 0.01
    assert set(frame["direction"]) == {"high"}
    assert co_occurrence(lively[2], "t", at_least=1).frame.set_index("area").loc["BU0090", "p_value"] < 1e-6
    low = co_occurrence(lively[2], "t", alternative="less").frame.set_index("area")
    assert low["p_value"].idxmin() == "BU0060"
    assert "-" in low.loc["BU0060", "parts"]
    both = co_occurrence(lively[2], "t", alternative="two-sided").frame.set_index("area")
    assert both.loc[["BU0030", "BU0060"], "direction"].tolist() == ["high", "low"]


def test_one_sided_p_is_half_of_two_sided_p_on_its_side(lively):
    frame = lively[2].frame
    half = frame["p_value"].to_numpy() / 2
    upper = np.where(frame["direction"] == "high", half, 1 - half).reshape(-1, 3)
    np.testing.assert_allclose(co_occurrence(lively[2], "t").frame["p_value"], combine(upper, 2))
    with pytest.raises(InputError, match="needs p of that side"):
        co_occurrence(dataclasses.replace(lively[2], parameters={"alternative": "less"}), "t")


def test_a_detector_without_an_alternative_is_two_sided(lively):
    """Emerging has none: what is cold must not be read as high."""
    own = lively[2]
    without = dataclasses.replace(own, detector="emerging", parameters={})
    for alternative in ("greater", "less", "two-sided"):
        pd.testing.assert_frame_equal(
            co_occurrence(without, "t", alternative=alternative).frame,
            co_occurrence(own, "t", alternative=alternative).frame,
        )


@pytest.mark.slow
def test_order_of_indicators_does_not_matter_to_the_forest():
    rng = np.random.default_rng(8)
    found = single(simulated(rng, 300, 3, 0.5, 30.0, np.zeros(3)))
    ids = [each.id for each in found.indicators]
    mixes = [UnusualMix("t", order, method="isolation_forest").of(found).frame for order in (ids, ids[::-1])]
    np.testing.assert_array_equal(*(each["p_value"].to_numpy() for each in mixes))


def test_detections_can_be_combined_and_a_class_that_is_no_group_says_nothing(lively):
    table, graph, own = lively
    moran = LocalMoran(permutations=99, value="rate").detect(table, graph)
    both = co_occurrence([own, moran], "t")
    assert both.name == "co_occurrence:neighbours + all areas"
    assert set(both.frame["n_indicators"]) == {6.0}
    assert "[deviation:neighbours]" in both.frame["parts"].str.cat()
    labels = moran.frame["label"].astype(str).to_numpy().reshape(-1, 3)
    p = moran.frame["p_value"].to_numpy().reshape(-1, 3)
    high = (moran.frame["direction"] == "high").to_numpy().reshape(-1, 3)
    sided = np.where(np.isin(labels, ["HH", "LL"]), np.where(high, p / 2, 1 - p / 2), 1.0)
    np.testing.assert_allclose(co_occurrence(moran, "t").frame["p_value"], combine(sided, 2))


def test_order_of_rows_does_not_matter_to_a_combination(lively):
    found = lively[2]
    mixed = dataclasses.replace(found, frame=found.frame.sample(frac=1.0, random_state=1))
    one, other = (co_occurrence(each, "t").frame.set_index("area") for each in (found, mixed))
    np.testing.assert_array_equal(other["p_value"].reindex(one.index.astype(str)), one["p_value"])


def test_what_cannot_be_combined_is_refused(lively):
    own = lively[2]
    with pytest.raises(InputError, match="at least one Detection"):
        co_occurrence([], "t")
    with pytest.raises(InputError, match="at_least needs to be"):
        co_occurrence(own, "t", at_least=0)
    with pytest.raises(InputError, match="at_least needs to be at most the number of figures, 3; got 4"):
        co_occurrence(own, "t", at_least=4)
    with pytest.raises(InputError, match="of single indicators"):
        co_occurrence(co_occurrence(own, "t"), "t")
    scan = Scan(replicates=19, dispersion="none").detect(
        lively[0], areas_of(lattice(12, 12), ["GM0001"] * 144), seed=1
    )
    with pytest.raises(InputError, match="a p of each area; got scan:national"):
        co_occurrence(scan, "t")
    world = lattice(5, 5)
    size, columns = trio(world)
    other = Deviation(reference="national").detect(world.panel(columns, size, themes="t"))
    with pytest.raises(InputError, match="of one panel"):
        co_occurrence([own, other], "t")


# --- flags and words ---------------------------------------------------------------------------------


def test_flags_of_a_theme_stand_beside_those_of_its_figures(lively):
    _, graph, own = lively
    together = co_occurrence(own, "t")
    mix = UnusualMix(theme="t").of(own)
    alone = flag(own, graph=graph)
    both = flag([together, own, mix], graph=graph, min_excess=1.0, min_ratio=1.2)
    theme = both.frame[both.frame["indicator"] == "t"]
    assert theme["area"].tolist()[0] == "BU0030"
    assert set(theme["n_evidence"]) == {1}
    assert both.frame["z"].abs().is_monotonic_decreasing
    assert both.frame["flag_id"].is_unique
    rest = both.frame[both.frame["indicator"] != "t"]
    assert set(rest["flag_id"]) <= set(alone.frame["flag_id"])
    assert (rest["n_evidence"] == 1).all()
    assert len(both.cells) == 4 * 144
    assert set(both.evidence["detector"]) == {"deviation", "co_occurrence", "unusual_mix"}
    assert both.evidence["flag_id"].drop_duplicates().tolist() == both.frame["flag_id"].tolist()
    assert "t" in set(priority(both, 100).frame["indicator"])


def test_themes_may_meet_and_detections_of_one_theme_need_names(lively):
    own = lively[2]
    two = [co_occurrence(own, name, indicators=["y0", "y1"]) for name in ("one", "two")]
    assert set(flag([own, *two]).cells["indicator"]) == {"y0", "y1", "y2", "one", "two"}
    assert set(flag(two).cells["indicator"]) == {"one", "two"}
    with pytest.raises(InputError, match="different names"):
        flag([own, two[0], two[0]])
    with pytest.raises(InputError, match="context needs to leave"):
        flag(two, context=two[0].name)


MIX = {
    "area": "BU01", "area_name": "Dorp", "indicator": "parks", "period": "2024", "detector": "unusual_mix",
    "reference": "neighbours", "direction": "high", "p_value": 0.0002, "family": "gaussian",
    "n_indicators": 3, "parts": "nail studios (2024) +1.9 (-1.8); turnover -2.2 (+1.5)",
}  # fmt: skip


def test_sentences_name_the_parts():
    assert sentence(MIX) == (
        "Dorp (BU01), parks in 2024. Against its neighbours its figures are an odd mix, though none is "
        "beyond the limit for a single figure: nail studios (2024) is +1.9 standard deviations off (its "
        "other figures lead to -1.8), turnover -2.2 (the others: +1.5). Chance alone gives a mix this odd in "
        "about 1 of 5,000 areas (p = 0.0002). A pattern, not a verdict."
    )
    assert sentence(MIX, "nl") == (
        "Dorp (BU01), parks in 2024. Vergeleken met de buren is het een vreemde mix, al is geen cijfer "
        "voorbij de grens voor een los cijfer: "
        "nail studios (2024) ligt +1,9 standaardafwijkingen ernaast (de andere cijfers doen -1,8 "
        "verwachten), turnover -2,2 (de andere: +1,5). Toeval alleen geeft zo'n vreemde mix in ongeveer 1 op "
        "de 5.000 gebieden (p = 0,0002). Een patroon, geen oordeel."
    )
    zero = sentence(MIX | {"parts": "nail studios +1.9 (-0.0); turnover -2.2 (+0.0)"})
    assert "(its other figures lead to 0), turnover -2.2 (the others: 0)" in zero
    row = MIX | {"detector": "co_occurrence", "parts": "nail studios +3.9; turnover +2.2"}
    assert "Against its neighbours 2 of 3 figures deviate together: nail studios is +3.9" in sentence(row)
    assert "wijken 2 van de 3 cijfers samen af: nail studios ligt +3,9" in sentence(row, "nl")
    assert "2 figures deviate together" in sentence({**row, "n_indicators": None})
    one = row | {"parts": "nail studios +3.9"}
    assert "Against its neighbours one of its figures deviates: nail studios is +3.9" in sentence(one)
    assert "figures of which one deviates like this in about" in sentence(one)
    assert "wijkt een van de cijfers af: nail studios ligt +3,9" in sentence(one, "nl")


def test_periods_are_judged_apart():
    world = lattice(8, 8)
    size, columns = trio(world)
    n = len(world)
    long = pd.concat(
        [
            pd.DataFrame(
                {"area": world.codes, "indicator": name, "period": when, "observed": x, "exposure": size}
            )
            for when, names in (("2023", ("y0", "y1")), ("2024", ("y1", "y2")))
            for name, x in zip(("a", "b"), (columns[each] for each in names), strict=True)
        ]
    )
    frame = UnusualMix(theme="t").detect(Panel.from_long(long, themes="t"), world.graph()).frame
    assert frame["period"].tolist() == ["2023", "2024"] * n
    last = Panel.from_long(long[long["period"] == "2024"], themes="t")
    alone = UnusualMix(theme="t").detect(last, world.graph()).frame
    np.testing.assert_array_equal(frame.loc[frame["period"] == "2024", "p_value"], alone["p_value"])


def test_what_must_not_matter_to_a_mix_of_periods():
    """Order of rows, threads and the seed, for several periods with missing figures."""
    world = lattice(9, 8)
    size, columns = trio(world)
    columns["y0"][3] = np.nan
    tables = [world.panel(columns, size, themes="t", seed=seed) for seed in (None, 4)]
    mix = UnusualMix(theme="t")
    found = [mix.detect(tables[0], world.graph(), n_jobs=n, seed=n) for n in (1, 3)]
    found.append(mix.detect(tables[1], world.graph(seed=2)))
    frames = [each.frame.astype({"area": object}).set_index("area").sort_index() for each in found]
    for other in frames[1:]:
        pd.testing.assert_frame_equal(other, frames[0], check_exact=True, check_categorical=False)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "nl"])
def test_a_study_combines_a_theme_and_shows_it(tmp_path, language):
    again = """
[[indicators]]
id = "thefts2"
title = "Thefts <again>"
theme = "harm"
table = "people"
observed = "thefts"
exposure = "residents"

[[detectors]]
type = "unusual_mix"
theme = "mix"
indicators = ["thefts", "thefts2", "houses"]

[[combine]]
theme = "harm"
"""
    study = small_study.write_study(tmp_path / "study", language=language, extra=again)
    text = study.read_text(encoding="utf-8").replace('id = "thefts"\n', 'id = "thefts"\ntheme = "harm"\n')
    study.write_text(text, encoding="utf-8")
    result = run(study, tmp_path / "out")
    theme = result.flags.frame[result.flags.frame["indicator"] == "harm"]
    assert theme["area"].iloc[0] == small_study.codes()[small_study.SPIKE["thefts"]]
    assert theme["period"].iloc[0] == "2023"
    said = {"en": "2 of 2 figures deviate together", "nl": "wijken 2 van de 2 cijfers samen af"}
    assert said[language] in theme["sentence"].iloc[0]
    assert "Thefts <again>" in theme["sentence"].iloc[0]
    single = result.flags.frame["indicator"].isin(["thefts", "thefts2", "houses"])
    assert result.report["truth"]["flags"] == single.sum()
    page = next(path for path in result.paths if path.suffix == ".html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data"[^>]*>(.*?)</script>', page, re.S)[1])
    titles = [each["title"] for each in data["indicators"]]
    assert titles[-2:] == ["mix", "harm"]
    assert len(data["cells"]) == len(data["flags"]) == len(titles)
    assert all(column is not None for column in data["cells"][titles.index("harm")])
    assert sum(map(len, data["flags"][titles.index("harm")])) == len(theme)
