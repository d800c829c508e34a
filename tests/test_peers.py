"""Peers against brute force; who has none, and why; what never matters."""

import doctest
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as examples_of
from hypothesis import strategies as st

import maps
import panels
import zoo_geo as zg
from naive import peers as naive
from zoo_geo import features, likeness, peers, stability
from zoo_geo.errors import InputError

SLOW = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=60)


def codes_of(n, seed=0):
    """Codes in an order that is not the sorted one."""
    return maps.shuffled_codes(n, seed)[:n]


def table_of(columns, seed=0):
    """Features with shuffled codes; None is missing."""
    frame = pd.DataFrame({name: [math.nan if x is None else float(x) for x in column]
                          for name, column in columns.items()})  # fmt: skip
    return frame.set_axis(codes_of(len(frame), seed))


def random_table(n, p, seed=0, codes=None):
    """Features from the normal distribution."""
    x = np.random.default_rng(seed).normal(size=(n, p))
    return pd.DataFrame(x, index=codes or codes_of(n, seed), columns=[f"f{at}" for at in range(p)])


def links(alike):
    """{focal: {neighbor: distance}}, an empty one for areas without peers."""
    found = {code: {} for code in alike.graph.unique_ids}
    for (focal, neighbor), far in alike.distances.items():
        found[focal][neighbor] = far
    pairs = alike.graph.adjacency[alike.graph.adjacency != 0]
    assert (pairs == 1).all()
    assert pairs.index.equals(alike.distances.index)
    return found


def naive_points(table, scaling="robust"):
    """Standardised features as lists with None, and the names of those that differ."""
    columns = {
        name: naive.standardised([None if math.isnan(x) else x for x in table[name]], scaling)
        for name in table
    }
    used = [name for name in table if columns[name] is not None]
    return [list(point) for point in zip(*(columns[name] for name in used), strict=True)], used


def same(found, expected):
    """Same peers at the same distances."""
    assert {one: set(others) for one, others in found.items()} == {
        one: set(others) for one, others in expected.items()
    }
    for one, others in expected.items():
        for other, far in others.items():
            assert found[one][other] == pytest.approx(far, abs=2e-9)


# --- the nearest ------------------------------------------------------------------------------------

few = st.integers(2, 14).flatmap(
    lambda n: st.lists(
        st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=n, max_size=n), min_size=1, max_size=4
    )
)


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["drop", "partial"])
@pytest.mark.parametrize("scaling", ["robust", "z"])
@examples_of(columns=few, k=st.integers(1, 6), weight=st.integers(1, 4), seed=st.integers(0, 9))
@SLOW
def test_peers_are_those_of_brute_force(missing, scaling, columns, k, weight, seed):
    table = table_of({f"f{at}": column for at, column in enumerate(columns)}, seed)
    points, used = naive_points(table, scaling)
    if not used:
        with pytest.raises(InputError, match="differs between areas; got none"):
            zg.build_peers(table, k)
        return
    weights = [weight if name == "f0" else 1 for name in used]
    whole = {code for code, point in zip(table.index, points, strict=True) if None not in point}
    known = {
        code
        for code, point in zip(table.index, points, strict=True)
        if sum(w for w, x in zip(weights, point, strict=True) if x is not None) >= sum(weights) / 2
    }
    usable = whole if missing == "drop" else known
    expected = naive.nearest(points, list(table.index), weights, k, lambda i, j: i != j and {i, j} <= usable)
    alike = zg.build_peers(
        table, k, scaling=scaling, missing=missing, weights={"f0": weight}, max_distance=1e9
    )
    same(links(alike), expected)
    for code, others in expected.items():
        row = alike.quality.loc[code]
        reason = (
            "missing_features" if code not in usable else "no_candidates" if not others
            else "few_candidates" if len(others) < k else "ok"
        )  # fmt: skip
        assert (row["n_peers"], row["reason"], row["good"]) == (len(others), reason, bool(others))


@pytest.mark.slow
def test_a_search_tree_misses_nobody():
    """Many areas with many ties, so that trees are asked and often do not know enough."""
    rng, n = np.random.default_rng(3), 160
    table = pd.DataFrame(rng.integers(0, 5, (n, 3)).astype(float), index=codes_of(n), columns=list("abc"))
    table["d"] = rng.normal(size=n).round(1)
    codes = list(table.index)
    gemeente = dict(zip(codes, rng.choice(["GM1", "GM2", "GM3"], n), strict=True))
    near = naive.nearest(rng.normal(size=(n, 2)).tolist(), codes, [1, 1], 9, lambda i, j: i != j)
    world = panels.World([{codes.index(j): 1.0 for j in near[i]} for i in codes], codes)
    points, _ = naive_points(table)
    for k in (1, 4):
        for options, allowed in [
            ({}, lambda i, j: i != j),
            ({"exclude": "gemeente"}, lambda i, j: gemeente[i] != gemeente[j]),
            ({"within": "gemeente"}, lambda i, j: i != j and gemeente[i] == gemeente[j]),
            ({"exclude": world.graph()}, lambda i, j: i != j and j not in near[i]),
            (
                {"exclude": ["self", "gemeente", world.graph(seed=4)]},
                lambda i, j: gemeente[i] != gemeente[j] and j not in near[i],
            ),
        ]:
            expected = naive.nearest(points, codes, [1] * 4, k, allowed)
            given = table.assign(gemeente=pd.Series(gemeente)) if "gemeente" in str(options) else table
            alike = zg.build_peers(given, k, max_distance=1e9, **options)
            same(links(alike), expected)


@pytest.mark.parametrize("gaps", [0, 1, 3])
def test_trees_and_gaps_go_together(gaps):
    """Those of the same band of f1 are near and barred, so that trees are often asked for too few."""
    rng = np.random.default_rng(gaps)
    table = random_table(240, 4, gaps).round(1)
    band = (table["f1"] * 2).round().map("b{}".format).to_dict()
    for name in list("023")[:gaps]:
        table.loc[rng.choice(table.index, 40, replace=False), f"f{name}"] = math.nan
    points, _ = naive_points(table)
    expected = naive.nearest(
        points, list(table.index), [1.0, 2.0, 1.0, 1.0], 1, lambda i, j: band[i] != band[j]
    )
    table["band"] = pd.Series(band)
    alike = zg.build_peers(table, 1, exclude="band", missing="partial", weights={"f1": 2}, max_distance=1e9)
    same(links(alike), expected)


@pytest.mark.slow
def test_many_features_need_no_tree():
    table = random_table(300, 14)
    points, _ = naive_points(table)
    expected = naive.nearest(points, list(table.index), [1] * 14, 3, lambda i, j: i != j)
    same(links(zg.build_peers(table, 3, max_distance=1e9)), expected)


@pytest.mark.slow
def test_blocks_and_trees_do_not_matter(monkeypatch):
    table = random_table(300, 3).round(1)
    gaps = table.mask(np.random.default_rng(1).random(table.shape) < 0.1)
    band = pd.Series((table["f0"] * 2).round(), table.index, name="band")

    def everything():
        for given in (table, gaps):
            for options in ({}, {"exclude": "band"}):
                alike = zg.build_peers(given.assign(**{"band": band} if options else {}), 3,
                                       missing="partial", **options)  # fmt: skip
                yield alike.id, alike.quality

    before = list(everything())
    for name, value in {"_CELLS": 300, "_TREE_FEATURES": 0}.items():
        monkeypatch.setattr(likeness, name, value)
        for (one, quality), (other, again) in zip(before, everything(), strict=True):
            assert one == other
            pd.testing.assert_frame_equal(quality, again)


def test_equally_distant_areas_come_in_the_order_of_their_codes():
    table = pd.DataFrame({"x": [1.0, 0.0, 2.0, 0.0, 2.0]}, index=["m", "z", "b", "a", "y"])
    alike = zg.build_peers(table, 2, scaling="z", max_distance=9)
    assert sorted(links(alike)["m"]) == ["a", "b"]
    assert any("equally distant" in notice and "1 of 5; first: m." in notice for notice in alike.notices)
    assert not any("equally" in notice for notice in zg.build_peers(random_table(20, 2), 3).notices)


# --- what never matters -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"method": "kmeans", "groups": 4}, {"missing": "partial"}])
def test_order_of_rows_and_columns_does_not_matter(options):
    table = random_table(120, 4).round(1)
    if options.get("missing"):
        table = table.mask(np.random.default_rng(1).random(table.shape) < 0.1)
    one = zg.build_peers(table, 5, **options)
    shuffled = table.sample(frac=1, random_state=5)[["f2", "f0", "f3", "f1"]]
    other = zg.build_peers(shuffled, 5, **options)
    assert one.id == other.id
    assert other.quality.index.tolist() == other.graph.unique_ids.tolist() == shuffled.index.tolist()
    pd.testing.assert_frame_equal(one.quality, other.quality.loc[table.index])
    pd.testing.assert_frame_equal(one.features, other.features.loc[table.index, table.columns])
    assert links(one) == links(other)
    assert one.notices == other.notices


def test_scale_and_origin_of_features_do_not_matter():
    table = random_table(80, 3)
    moved = table * [8.0, 0.5, 1024.0]
    assert links(zg.build_peers(table, 4)) == links(zg.build_peers(moved, 4))


def test_the_input_is_not_modified():
    table = random_table(40, 2).assign(gemeente="GM01")
    table.iloc[0, 0] = -99997
    before = table.copy()
    zg.build_peers(table, 3, within="gemeente")
    pd.testing.assert_frame_equal(table, before)


def test_the_id_names_what_was_asked_and_found():
    table = pd.DataFrame({"x": [0.0, 1, 5, 6, 12], "y": [1.0, 1, 2, 8, 3]}, index=list("abcde"))
    variants = [
        zg.build_peers(table, 2),
        zg.build_peers(table, 1),
        zg.build_peers(table, 2, scaling="z"),
        zg.build_peers(table, 2, missing="partial"),
        zg.build_peers(table, 2, weights={"x": 3}),
        zg.build_peers(table, 2, max_distance=5),
        zg.build_peers(table.rename(columns={"x": "homes"}), 2),
        zg.build_peers(table.rename(index={"a": "A"}), 2),
        zg.build_peers(table.assign(c="one"), 2, within="c"),
        zg.build_peers(table.assign(x=[0.0, 1, 5, 6, 0.5]), 2),
    ]
    assert len({alike.id for alike in variants}) == len(variants)
    assert zg.build_peers(table * 1.0, 2, seed=8).id == variants[0].id == "149747a48dab42c7"


# --- who has no good peers --------------------------------------------------------------------------


def test_an_area_that_nobody_is_like_has_no_peers_and_is_never_flagged():
    table = random_table(100, 3)
    odd, gap = table.index[3], table.index[4]
    table.loc[odd] = 40.0
    table.loc[gap, "f1"] = math.nan
    alike = zg.build_peers(table, 5)
    row = alike.quality.loc[odd]
    assert (row["n_peers"], row["reason"], row["good"]) == (0, "too_far", False)
    assert row["distance_mean"] > alike.parameters["too_far"] > alike.quality["distance_mean"].median()
    assert row["distance_far"] > row["distance_mean"]
    assert odd in alike.graph.isolates
    far = (alike.quality["reason"] == "too_far").sum()
    assert any(f": {far} of 100; first: " in n and "Detectors call them isolated" in n for n in alike.notices)
    assert any(f"features are missing: 1 of 100; first: {gap}. Most often f1 1." in n for n in alike.notices)
    panel = zg.Panel.from_frame(
        pd.DataFrame({"area": table.index, "y": np.where(table.index == odd, 100.0, 5.0), "size": 100.0}),
        area="area", observed=["y"], exposure="size", family="poisson",
    )  # fmt: skip
    frame = zg.Deviation().detect(panel, alike.graph).frame.set_index("area")
    assert frame.loc[[odd, gap], "status"].tolist() == ["isolated", "isolated"]
    assert frame.loc[[odd, gap], "p_value"].isna().all()
    assert (frame["status"] == "ok").sum() == alike.quality["good"].sum()


@pytest.mark.slow
@examples_of(
    columns=st.lists(st.lists(st.integers(-9, 60), min_size=12, max_size=12), min_size=1, max_size=3)
)
@SLOW
def test_too_far_is_a_robust_bound_on_the_mean_distance(columns):
    table = table_of({f"f{at}": column for at, column in enumerate(columns)})
    points, used = naive_points(table)
    if not used:
        return
    peers_of = naive.nearest(points, list(table.index), [1] * len(used), 3, lambda i, j: i != j)
    means = {code: sum(others.values()) / len(others) for code, others in peers_of.items()}
    bound = naive.too_far(means.values())
    alike = zg.build_peers(table, 3)
    assert alike.parameters["too_far"] == pytest.approx(bound)
    if all(abs(mean - bound) > 1e-6 for mean in means.values()):
        assert (alike.quality["reason"] == "too_far").to_dict() == {c: means[c] > bound for c in table.index}
    same({c: f for c, f in links(alike).items() if f}, {c: peers_of[c] for c, f in links(alike).items() if f})


def test_max_distance_is_a_bound_of_ones_own():
    table = pd.DataFrame({"x": [0.0, 1, 2, 3, 10]}, index=list("abcde"))
    loose, strict = (zg.build_peers(table, 1, max_distance=far) for far in (100.0, 2.0))
    assert loose.quality["good"].all()
    assert strict.quality.loc[~strict.quality["good"]].index.tolist() == ["e"]


def test_areas_without_a_class_have_no_peers():
    table = random_table(30, 2)
    classes = pd.Series([1.0, 2.0] * 15, index=table.index).sample(frac=1, random_state=1)
    classes.loc[table.index[0]] = math.nan
    alike = zg.build_peers(table, 4, within=classes.drop(table.index[1]))
    without = alike.quality.index[alike.quality["reason"] == "no_candidates"]
    assert set(without) == set(table.index[:2])
    assert not set(table.index[:2]) & set(alike.distances.index.get_level_values("neighbor"))


def test_areas_without_a_gemeente_are_not_all_in_one():
    table = random_table(6, 2).assign(gemeente=["GM1", "GM1", "", "", math.nan, None])
    alike = zg.build_peers(table, 5, exclude="gemeente", max_distance=99)
    assert alike.quality["n_peers"].tolist() == [4, 4, 5, 5, 5, 5]


# --- quality ----------------------------------------------------------------------------------------


@pytest.mark.slow
@examples_of(columns=few, k=st.integers(1, 4))
@SLOW
def test_stability_is_that_of_brute_force(columns, k):
    table = table_of({f"f{at}": column for at, column in enumerate(columns)})
    points, used = naive_points(table)
    if len(used) < 2:
        return
    enough = {
        c for c, point in zip(table.index, points, strict=True)
        if sum(x is not None for x in point) >= len(used) / 2
    }  # fmt: skip
    expected = naive.stability(
        points, list(table.index), [1] * len(used), k, lambda i, j: i != j and {i, j} <= enough
    )
    found = zg.build_peers(table, k, missing="partial").quality["stability"]
    for code, share in expected.items():
        assert found[code] == pytest.approx(share, abs=1e-9) if share is not None else math.isnan(found[code])


@pytest.mark.slow
def test_many_features_are_left_out_in_ten_turns():
    table = random_table(60, 23)
    names = sorted(table)
    alike = zg.build_peers(table, 4, max_distance=99)
    kept = pd.Series(0.0, index=table.index)
    for turn in range(10):
        fewer = zg.build_peers(
            table[[n for at, n in enumerate(names) if at % 10 != turn]], 4, max_distance=99
        )
        stays = alike.distances.index.isin(fewer.distances.index)
        kept += pd.Series(stays, alike.distances.index).groupby("focal").mean() / 10
    pd.testing.assert_series_equal(
        alike.quality["stability"], kept.loc[table.index], check_names=False, atol=1e-12
    )


def test_peers_that_hang_on_single_features_are_named():
    steady, shaky = random_table(60, 1), random_table(60, 2)
    same_thing = pd.DataFrame(dict.fromkeys("abcd", steady["f0"]))
    assert (zg.build_peers(same_thing, 3).quality["stability"] == 1).all()
    assert zg.build_peers(steady, 3).quality["stability"].isna().all()
    assert any("more than half" in notice for notice in zg.build_peers(shaky, 3).notices)


def test_quality_tells_distances():
    table = random_table(50, 3)
    alike = zg.build_peers(table, 4, max_distance=99)
    by_focal = alike.distances.groupby("focal")
    pd.testing.assert_series_equal(
        alike.quality["distance_mean"], by_focal.mean().loc[table.index], check_names=False
    )
    pd.testing.assert_series_equal(
        alike.quality["distance_far"], by_focal.max().loc[table.index], check_names=False
    )
    assert repr(alike) == f"<Peers {alike.id}: nearest, 50 of 50 areas have good peers>"


# --- other areas drawn ------------------------------------------------------------------------------


def drawn_from(n, times=20, seed=0):
    return [rows.tolist() for rows in stability.draws(n, times, seed)]


def test_each_draw_is_with_replacement_and_another_one():
    one, again, other = (drawn_from(50, 4, seed) for seed in (0, 0, 1))
    assert one == again
    assert len({tuple(rows) for rows in (*one, *other)}) == 8
    assert all(rows == sorted(rows) and len(rows) == 50 and 20 < len(set(rows)) < 45 for rows in one)
    assert one[:2] == drawn_from(50, 2)


def check_resampled(table, found, k, allowed, scaling="robust", weights=None, draws=None):
    """Stability is that of brute force; positions drawn are those in the order of the codes."""
    table = table.sort_index()
    columns = [[None if math.isnan(x) else x for x in table[name]] for name in table]
    weights = weights or [1] * len(columns)
    draws = draws or drawn_from(len(table))
    expected = naive.resampled(columns, list(table.index), weights, k, allowed, scaling, draws)
    for code, share in expected.items():
        assert found[code] == pytest.approx(share, abs=1e-9) if share is not None else math.isnan(found[code])


@pytest.mark.slow
@pytest.mark.parametrize("scaling", ["robust", "z"])
@examples_of(columns=few, k=st.integers(1, 4), weight=st.integers(1, 3))
@SLOW
def test_stability_under_other_areas_is_that_of_brute_force(scaling, columns, k, weight):
    table = table_of({f"f{at}": column for at, column in enumerate(columns)})
    table = table.loc[:, table.max() > table.min()]
    if table.empty:
        return
    weights = [weight, *[1] * (table.shape[1] - 1)]
    total, known = sum(weights), table.notna().to_numpy() @ np.array(weights)
    enough = set(table.index[known >= total / 2])
    options = {"missing": "partial", "scaling": scaling, "weights": {table.columns[0]: weight}}
    found = zg.build_peers(table, k, resamples=5, **options).quality["stability_resampled"]
    allowed = lambda i, j: i != j and {i, j} <= enough  # noqa: E731
    check_resampled(table, found, k, allowed, scaling, weights, drawn_from(len(table), 5))


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 4])
def test_the_nearest_under_other_scales_are_missed_by_nobody(k):
    """Features with few values: scales of drawn areas differ much, and what is picked first falls short."""
    rng = np.random.default_rng(3)
    table = random_table(160, 3).assign(rare=np.where(rng.random(160) < 0.06, rng.normal(size=160) * 9, 0.0))
    classes = pd.Series(np.arange(160) % 3, table.index)
    whole = zg.build_peers(table, k, resamples=6).quality["stability_resampled"]
    check_resampled(table, whole, k, lambda i, j: i != j, draws=drawn_from(160, 6))
    split = zg.build_peers(table, k, resamples=6, seed=9, within=classes, exclude=maps_graph(table))
    barred = near_ones(table)
    allowed = lambda i, j: i != j and classes[i] == classes[j] and j not in barred[i]  # noqa: E731
    check_resampled(table, split.quality["stability_resampled"], k, allowed, draws=drawn_from(160, 6, 9))
    assert 0.3 < whole.mean() < 0.97


def test_a_scale_that_jumps_is_followed_by_everybody():
    """Nearly half of the areas have one value: draws in which more than half do scale by what is rare."""
    rng = np.random.default_rng(4)
    table = random_table(160, 2).assign(rare=np.where(np.arange(160) < 79, 0.0, rng.normal(size=160) * 0.05))
    table.iloc[100:104, 2] = 60.0
    found = zg.build_peers(table, 2, resamples=6, max_distance=1e9).quality["stability_resampled"]
    check_resampled(table, found, 2, lambda i, j: i != j, draws=drawn_from(160, 6))
    assert found.mean() < 0.7


def near_ones(table):
    """{code: the code behind and before it}."""
    codes = list(table.index)
    return {code: {codes[at - 1], codes[(at + 1) % len(codes)]} for at, code in enumerate(codes)}


def maps_graph(table):
    codes, near = list(table.index), near_ones(table)
    return panels.World([dict.fromkeys(map(codes.index, near[code]), 1.0) for code in codes], codes).graph()


@pytest.mark.slow
@examples_of(
    columns=st.lists(st.lists(st.integers(0, 9), min_size=9, max_size=9), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
@SLOW
def test_what_cannot_change_is_stable(columns, seed):
    """One feature orders areas alike whatever its scale; everybody is everybody; a class is no estimate."""
    table = table_of({f"f{at}": column for at, column in enumerate(columns)})
    if table["f0"].nunique() < 2:
        return
    classes = pd.Series(list("ababababa"), table.index)
    for given, options in (
        (table[["f0"]], {"k": 3}),
        (table, {"k": 8}),
        (table, {"k": None, "method": "strata", "within": classes}),
        (table, {"k": 3, "method": "strata", "within": classes, "scaling": "z"} if len(columns) == 1 else {}),
    ):
        quality = zg.build_peers(given, resamples=4, seed=seed, **({"k": 8} | options)).quality
        some = quality["distance_mean"].notna()
        assert some.any()
        assert (quality.loc[some, "stability_resampled"] == 1).all()
        assert quality.loc[~some, "stability_resampled"].isna().all()


@pytest.mark.parametrize("options", [{}, {"method": "kmeans"}, {"method": "ward"}, {"method": "hdbscan"}])
def test_order_of_areas_and_names_of_classes_do_not_matter_to_draws(options):
    table = random_table(90, 3).round(1)
    classes = pd.Series(np.where(np.arange(90) % 4 > 0, "a", "b"), table.index)
    shuffled = table.sample(frac=1, random_state=5)[["f2", "f0", "f1"]]
    one = zg.build_peers(table, 4, within=classes, resamples=5, **options).quality
    other = zg.build_peers(shuffled, 4, within=classes.map({"a": 2, "b": 1}), resamples=5, **options).quality
    pd.testing.assert_frame_equal(one, other.loc[table.index])
    again = zg.build_peers(table, 4, within=classes, resamples=5, seed=1, **options).quality
    assert (one["stability_resampled"] != again["stability_resampled"]).any()


def test_draws_can_be_left_out_and_change_no_peers():
    table = random_table(60, 3)
    none, some = (zg.build_peers(table, 4, resamples=times) for times in (0, 3))
    assert none.quality["stability_resampled"].isna().all()
    assert some.quality["stability_resampled"].notna().all()
    assert none.id == some.id
    assert (none.parameters["resamples"], some.parameters["resamples"]) == (0, 3)
    assert (none.parameters["seed"], some.parameters["seed"]) == (None, 0)


def cluster_overlap(table, k, method, seed, times, groups, allowed=None):
    """Overlap by hand: clusters of drawn areas, which the others join; the k nearest in them."""
    from sklearn.cluster import AgglomerativeClustering, KMeans

    table = table.sort_index()
    codes, raw = list(table.index), table.to_numpy()

    def grouped(rows):
        scales = [naive.spread(raw[rows, f].tolist(), "z") for f in range(raw.shape[1])]
        points = raw / scales
        x = (points - points.mean(0)) / math.sqrt(raw.shape[1])
        if method == "kmeans":
            centres = KMeans(groups, n_init=1, random_state=seed).fit(x[rows]).cluster_centers_
            label = [min(range(groups), key=lambda c: math.dist(point, centres[c])) for point in x]
        else:
            own = AgglomerativeClustering(groups).fit_predict(x[rows])
            label = [own[min(range(len(rows)), key=lambda r: math.dist(point, x[rows[r]]))] for point in x]
        of = dict(zip(codes, label, strict=True))
        together = lambda i, j: i != j and of[i] == of[j] and (not allowed or allowed(i, j))  # noqa: E731
        return naive.nearest(points.tolist(), codes, [1] * raw.shape[1], k, together)

    before, overlaps = grouped(list(range(len(codes)))), {code: [] for code in codes}
    for rows in drawn_from(len(codes), times, seed):
        after = grouped(rows)
        for code in codes:
            if before[code]:
                overlaps[code].append(naive.jaccard(set(before[code]), set(after[code])))
    return {code: sum(each) / times for code, each in overlaps.items() if each}


@pytest.mark.parametrize("method", ["kmeans", "ward"])
@pytest.mark.parametrize("k", [4, None])
@pytest.mark.parametrize("barred", [False, True])
def test_clusters_are_made_anew_by_other_areas(method, k, barred):
    table = random_table(60, 2, seed=2)
    kind = dict(zip(table.index, np.arange(60) % 3, strict=True))
    given = table.assign(kind=pd.Series(kind)) if barred else table
    options = {"method": method, "groups": 4, "scaling": "z", "resamples": 4, "seed": 3}
    found = zg.build_peers(given, k, exclude="kind" if barred else (), **options)
    allowed = (lambda i, j: kind[i] != kind[j]) if barred else None
    expected = cluster_overlap(table, k, method, 3, 4, 4, allowed)
    got = found.quality["stability_resampled"]
    assert got.to_dict() == pytest.approx({code: expected.get(code, math.nan) for code in got.index},
                                          abs=1e-9, nan_ok=True)  # fmt: skip
    assert 0.2 < got.mean() < 0.98


def test_clusters_far_apart_are_the_same_by_other_areas():
    rng = np.random.default_rng(0)
    blob = np.repeat([0, 1, 2], 30)
    x = rng.normal(size=(90, 2)) * 0.3 + np.array([[0, 0], [9, 0], [0, 9]])[blob]
    table = pd.DataFrame(x, index=codes_of(90), columns=["a", "b"])
    table.loc["noise"] = [90.0, 90.0]
    for method, groups in {"ward": 4, "hdbscan": None}.items():
        quality = zg.build_peers(
            table, None, method=method, groups=groups, scaling="z", max_distance=99
        ).quality
        stable = quality["stability_resampled"]
        assert (stable.dropna() > 0.9).all()
        assert math.isnan(stable["noise"])


def test_peers_that_hang_on_who_is_in_the_map_are_named():
    table = random_table(60, 2)
    shaky = zg.build_peers(table, 8, method="kmeans", groups=12, max_distance=99)
    few = shaky.quality.index[shaky.quality["stability_resampled"] < 0.5].sort_values()
    said = [notice for notice in shaky.notices if notice.startswith("Keeping less than half of their peers")]
    assert len(said) == 1
    assert f"{len(few)} of 60; first: {few[0]}" in said[0]
    assert said[0].nl.startswith("Houden minder dan de helft van hun vergelijkingsgebieden")
    assert not any("Keeping less" in notice for notice in zg.build_peers(table, 8).notices)


# --- strata and clusters ----------------------------------------------------------------------------


def test_a_whole_stratum_needs_no_features():
    classes = pd.DataFrame({"urbanity": [1, 2, 1, 2, 1, 3]}, index=list("fedcba"))
    alike = zg.build_peers(classes, None, method="strata", within="urbanity")
    assert {focal: set(others) for focal, others in links(alike).items()} == {
        "f": {"d", "b"}, "d": {"f", "b"}, "b": {"f", "d"}, "e": {"c"}, "c": {"e"}, "a": set()
    }  # fmt: skip
    assert alike.distances.isna().all()
    assert alike.quality["distance_mean"].isna().all()
    assert alike.quality.loc["a", "reason"] == "no_candidates"


def test_strata_with_k_are_the_nearest_of_the_class(grid):
    areas = zg.read_areas(grid, id="code", parents={"wijk": "wijk", "gemeente": "gemeente"})
    table = random_table(len(areas), 2, codes=areas.codes.tolist())
    one = zg.build_peers(table, 3, areas=areas, method="strata", within="gemeente")
    assert links(one) == links(zg.build_peers(table, 3, areas=areas, within="gemeente"))
    parent = areas.parent("gemeente")
    assert all(parent[i] == parent[j] for i, j in one.distances.index)
    other = zg.build_peers(table, 3, areas=areas, exclude=["gemeente", zg.build_weights(areas)])
    assert all(parent[i] != parent[j] for i, j in other.distances.index)
    everybody = zg.build_peers(table, None, areas=areas, method="strata", within="wijk", max_distance=99)
    assert (everybody.quality["n_peers"] == 4).all()


def test_whole_classes_that_are_too_large_are_refused():
    table = pd.DataFrame({"c": "one"}, index=[f"BU{at:06d}" for at in range(3000)])
    with pytest.raises(InputError, match=r"got 8,997,000 .*3,000 areas.*stratum:NAME"):
        zg.build_peers(table, None, method="strata", within="c")


@pytest.mark.parametrize("method", ["kmeans", "ward", "hdbscan"])
@pytest.mark.parametrize("k", [4, None])
def test_peers_are_in_the_same_cluster(method, k):
    rng = np.random.default_rng(0)
    blob = np.repeat([0, 1, 2], 40)
    x = rng.normal(size=(120, 2)) * 0.3 + np.array([[0, 0], [9, 0], [0, 9]])[blob]
    table = pd.DataFrame(x, index=codes_of(120), columns=["a", "b"])
    table.iloc[0, 0] = math.nan
    groups = {} if method == "hdbscan" else {"groups": 3}
    alike = zg.build_peers(table, k, method=method, scaling="z", max_distance=99, **groups)
    label = pd.Series(blob, table.index)
    assert all(label[i] == label[j] for i, j in alike.distances.index)
    assert alike.quality["n_peers"].iloc[1:].max() == (4 if k else 39)
    assert alike.quality["reason"].iloc[0] == "missing_features"
    classes = pd.Series(np.arange(120) % 2, table.index)
    split = zg.build_peers(table, k, method=method, within=classes, scaling="z", max_distance=99, **groups)
    assert all(label[i] == label[j] and classes[i] == classes[j] for i, j in split.distances.index)


@pytest.mark.parametrize("method", ["kmeans", "ward"])
def test_clusters_are_made_anew_without_a_feature(method):
    """Each of two questions is asked twice, so without one of the four the clusters are the same."""
    rng = np.random.default_rng(0)
    a, b = np.repeat([0.0, 9, 0], 20) + rng.normal(size=60) / 9, np.repeat([0.0, 0, 9], 20)
    table = pd.DataFrame({"a": a, "b": b}, index=codes_of(60))
    options = {"k": None, "method": method, "groups": 3, "scaling": "z", "max_distance": 99}
    twice = zg.build_peers(table.assign(c=a, d=b), **options)
    assert (twice.quality["stability"] == 1).all()
    once = zg.build_peers(table, **options).quality["stability"]
    assert 0.3 < once.mean() < 0.95


def test_noise_of_hdbscan_has_no_peers():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + 20, [[60.0, -60.0]]])
    table = pd.DataFrame(x, index=codes_of(81), columns=["a", "b"])
    alike = zg.build_peers(table, 5, method="hdbscan", scaling="z")
    assert alike.quality["reason"].iloc[-1] == "no_candidates"
    assert not alike.quality["n_peers"].iloc[-1]


def test_the_number_of_clusters_is_a_rule_of_thumb():
    table = random_table(200, 2)
    assert zg.build_peers(table, 3, method="kmeans").distances.equals(
        zg.build_peers(table, 3, method="kmeans", groups=10).distances
    )


def test_ward_is_for_maps_of_moderate_size(monkeypatch):
    monkeypatch.setattr(likeness, "MOST_WARD", 20)
    with pytest.raises(InputError, match=r"ward needs to have 20 areas or fewer.*got 21. Take kmeans"):
        zg.build_peers(random_table(21, 2), 3, method="ward")


# --- features ---------------------------------------------------------------------------------------


def test_features_are_scaled_each_on_its_own():
    x = np.array([1.0, 2, 3, 4, 100, math.nan])
    table = pd.DataFrame(
        {"x": x, "rare": [0.0, 0, 0, 0, 4, 0], "same": 7.0, "none": math.nan}, index=list("abcdef")
    )
    alike = zg.build_peers(table, 2)
    assert alike.features.columns.tolist() == ["x", "rare"]
    np.testing.assert_allclose(alike.features["x"], (x - 3) / 1.4826)
    np.testing.assert_allclose(alike.features["rare"], table["rare"] / math.sqrt(16 / 6))
    assert alike.parameters["features"]["x"] == pytest.approx((3, 1.4826))
    assert "Features left out, do not differ: 2 of 4; first: same, none." in alike.notices
    assert any("scaled by standard deviation" in notice and "rare" in notice for notice in alike.notices)
    z = zg.build_peers(table, 2, scaling="z").features
    np.testing.assert_allclose(z["x"], (x - 22) / np.nanstd(x))


def test_codes_of_cbs_are_missing_figures():
    table = random_table(30, 2).astype(object)
    table.iloc[0, 0], table.iloc[1, 1], table.iloc[2, 1] = -99997, ".", "0.5"
    alike = zg.build_peers(table, 3)
    assert (alike.quality["reason"] == "missing_features").tolist() == [True, True] + [False] * 28
    assert "1 codes of CBS for secret or missing were read as missing." in alike.notices


@pytest.mark.parametrize(
    "name",
    ["percentage_herkomst_buiten_europa", "MigratieachtergrondTotaal", "migration_share", "nationaliteit",
     "niet-westers", "WestersTotaal_17", "non_western", "religie", "Religion", "geboorteland", "etniciteit",
     "ethnicity", "Marokko_19", "geboren_buiten_nederland", "country_of_birth", "percentage_moslims"],
)  # fmt: skip
def test_origin_and_religion_are_refused(name):
    table = random_table(30, 2).assign(**{name: np.arange(30.0)})
    for options in ({}, {"within": name, "method": "strata"}, {"exclude": name}):
        with pytest.raises(InputError, match=r"origin, nationality or religion.*allow_sensitive"):
            zg.build_peers(table, 3, **options)
    classes = pd.Series("a", index=table.index, name=name)
    with pytest.raises(InputError, match="origin, nationality or religion"):
        zg.build_peers(table[["f0", "f1"]], 3, within=classes)
    alike = zg.build_peers(table, 3, allow_sensitive=True)
    assert any(name in notice and "allow_sensitive" in notice for notice in alike.notices)


@pytest.mark.parametrize("name", ["afstand_westerschelde", "terrassen", "north_western_coast", "turkooizen"])
def test_names_that_only_look_like_it_pass(name):
    assert zg.build_peers(random_table(30, 1).rename(columns={"f0": name}), 3).quality["good"].any()


# --- what is refused --------------------------------------------------------------------------------


def refused(match, *args, **options):
    with pytest.raises(InputError, match=match):
        zg.build_peers(*args, **options)


def test_codes_need_to_be_text_unique_and_on_the_map(grid):
    areas = zg.read_areas(grid, id="code", parents={"gemeente": "gemeente"})
    table = random_table(20, 2, codes=areas.codes.tolist())
    refused("need to be text; got numbers .*leading zeros", table.reset_index(drop=True))
    refused("need to be text; got int", table.set_axis([*table.index[:19], 7]))
    refused("need to be unique; got repeated ones", table.set_axis([*table.index[:19], table.index[0]]))
    refused("need to be given in every row", table.set_axis([*table.index[:19], None]))
    refused(
        r"on the map; got others \(1 of 20; first: BU99",
        table.set_axis([*table.index[:19], "BU99"]),
        areas=areas,
    )
    some = zg.build_peers(table.iloc[:15], 3, areas=areas)
    assert len(some.quality) == 15
    assert any("without a row of features are not in the graph: 5 of 20" in notice for notice in some.notices)
    unknown = "exclude needs to be a column of the features or a parent level; got 'gemente'. Did you mean"
    refused(unknown, table, areas=areas, exclude="gemente")
    refused("Pass areas= with parents", table, exclude="gemeente")
    refused("in the graph of exclude", table, exclude=zg.build_weights(areas.subset(areas.codes[1:])))
    refused("need to be text", table, within=pd.Series(1, index=range(20)))


def test_options_need_to_make_sense():
    table = random_table(20, 2)
    refused("method needs to be one of nearest.*Did you mean 'nearest'", table, method="nearst")
    refused("scaling needs to be one of", table, scaling="minmax")
    refused("missing needs to be one of", table, missing="mean")
    for k in (0, -1, 2.5, True, "3"):
        refused("k needs to be a whole number", table, k)
    refused("k needs to be given with nearest", table, None)
    refused("strata needs to have within=", table, method="strata")
    refused("groups needs to go with", table, groups=4)
    refused("resamples needs to be a whole number of 0", table, resamples=-1)
    refused("groups needs to be a whole number of 2", table, method="kmeans", groups=1)
    refused("missing needs to be 'drop'", table, method="kmeans", missing="partial")
    refused("max_distance needs to be", table, max_distance=0)
    for weight in (0, -1, math.inf, math.nan, "1"):
        refused("weight of 'f0' needs to be above 0", table, weights={"f0": weight})
    refused("weights need to be of features; got 'f9'", table, weights={"f9": 1})
    refused("weights need to be of features; got 'c'", table.assign(c="x"), within="c", weights={"c": 1})
    for name in ("neighbors", "neighbours"):
        refused("Pass exclude=build_weights", table, exclude=name)
    refused("exclude needs to be 'self'", table, exclude=[7])
    refused("exclude needs to be 'self'", table, exclude=None)
    refused("within needs to be a name or a Series", table, within=7)
    refused("need to be a DataFrame", table["f0"])
    refused("got no rows", table.iloc[:0])
    refused("needs to be numbers; got text", table.assign(f0="1,5"))
    refused("needs to be finite", table.assign(f0=[math.inf, *range(19)]))
    refused("names of their own", pd.concat([table, table], axis=1))
    refused("one that differs between areas; got none", table.assign(f0=1, f1=2))
    refused("one that differs between areas; got none", table.iloc[:1])
    refused("one that differs between areas; got none", table[[]])


def test_examples_in_the_docstrings():
    for module in (peers, likeness, features, stability):
        assert doctest.testmod(module, extraglobs={"np": np, "pd": pd}).failed == 0


def test_classes_that_leave_nobody_to_compare_with_are_refused():
    table = random_table(30, 2)
    everybody = pd.Series(1.0, table.index, name="kind")
    for options, named in (
        ({"within": "f0"}, "within="),
        ({"exclude": "kind"}, "exclude="),
        ({"within": "kind", "exclude": "kind"}, "within= and exclude="),
    ):
        with pytest.raises(InputError, match=rf"none that has under {named} \(30 areas"):
            zg.build_peers(table.assign(kind=everybody), 3, **options)
    half = everybody.where(np.arange(30) < 2, np.arange(30.0))
    found = zg.build_peers(table.assign(kind=half), 3, within="kind")
    assert (found.quality["reason"] == "no_candidates").sum() == 28


@pytest.mark.parametrize("k", [4, 30, 59, 200])
def test_how_peers_are_drawn_anew_is_a_matter_of_speed(k, monkeypatch):
    table = random_table(60, 3).round(1)
    one = zg.build_peers(table, k)
    monkeypatch.setattr(stability, "_SPARE", 10_000)  # everybody is looked at in every draw
    other = zg.build_peers(table, k)
    assert one.id == other.id
    pd.testing.assert_frame_equal(one.quality, other.quality)
    if k > 59:
        assert (one.quality["stability_resampled"] == 1).all()
        assert (one.quality["reason"] == "few_candidates").all()
        assert one.graph.n_edges == 60 * 59


def test_more_links_than_fit_are_refused_at_once():
    table = random_table(2300, 1)
    with pytest.raises(InputError, match=r"5,000,000 links or fewer; got 5,287,700 .* Give a smaller k"):
        zg.build_peers(table, 5000)
    with pytest.raises(InputError, match=r"5,000,000 links or fewer; got 5,002,500"):
        zg.build_peers(table, 2175)
