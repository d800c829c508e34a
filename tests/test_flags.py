"""From p-values to flags: families, effects, evidence, classes and ids."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from libpysal.graph import Graph
from scipy import stats

from naive import significance as naive
from panels import World, counts_of, lattice
from test_deviation import areas_of, parents_of
from zoo_geo.detectors.base import Detection
from zoo_geo.detectors.bivariate_local_moran import BivariateLocalMoran
from zoo_geo.detectors.deviation import Deviation
from zoo_geo.detectors.getis_ord import GetisOrd
from zoo_geo.detectors.local_join_counts import LocalJoinCounts
from zoo_geo.detectors.local_moran import LocalMoran
from zoo_geo.errors import InputError
from zoo_geo.flags import flag, flag_id
from zoo_geo.panel import Indicator
from zoo_geo.schema import CLASSES, COLUMNS

KINDS = {"deviation": "own figure", "getis_ord": "group of neighbours", "local_moran": "group of neighbours"}


def detection(p, detector="deviation", reference="neighbours", *, family="poisson", parameters=None, **given):
    """Twelve times what is expected (low: a twelfth) in every area, one row each, unless told otherwise."""
    n = len(p)
    high = np.array(given.pop("high", [True] * n))
    p = np.array([np.nan if x is None else x for x in p], float)
    expected = np.full(n, 100.0)
    observed = np.where(high, 1_200.0, 100 / 12)
    label = {"deviation": ("high_998", "low_998"), "getis_ord": ("hot", "cold"), "local_moran": ("HH", "LL")}[
        detector
    ]
    columns = {
        "area": [f"BU{i:02d}" for i in range(n)], "indicator": "y", "period": "all",
        "detector": detector, "reference": reference, "observed": observed, "exposure": 1e4, "value": 7.0,
        "expected": expected, "ratio": np.nan, "ratio_low": np.nan, "ratio_high": np.nan, "statistic": 1.0,
        "z": np.where(high, 1, -1) * stats.norm.isf(np.clip(p, 1e-300, 1) / 2), "p_value": p,
        "direction": np.where(high, "high", "low"), "label": np.where(high, *label),
        "status": np.where(np.isnan(p), "missing", "ok"), "reference_value": 5.0,
    } | given  # fmt: skip
    frame = pd.DataFrame(columns)
    for name, factor in (("ratio", 1.0), ("ratio_low", 0.9), ("ratio_high", 1.1)):
        frame[name] = frame[name].fillna(factor * frame["observed"] / frame["expected"])
    if KINDS[detector] != "own figure":
        frame["group_ratio"] = given.get("group_ratio", frame["ratio"])
    indicators = tuple(Indicator(name, family, 1000.0) for name in dict.fromkeys(frame["indicator"]))
    effect = "ratio" if KINDS[detector] == "own figure" else "group_ratio"
    return Detection(
        frame, detector, reference, indicators, KINDS[detector], effect, parameters=parameters or {}
    )


def flagged(flags):
    return set(flags.frame["area"])


P = [0.001, 0.008, 0.03, 0.03, 0.2, 0.6, None, None, 1.0, 1.0]


# --- families ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["bh", "by", "holm", "bonferroni", "none"])
def test_flags_are_the_discoveries_of_each_indicator_and_period(method):
    periods = ["2023"] * 10 + ["2024"] * 10 + ["2023"] * 10
    indicators = ["a"] * 20 + ["b"] * 10
    areas = [f"BU{i:02d}" for i in range(10)] * 3
    p = [*P, *[0.02] * 10, *([0.02, 0.04] * 5)]
    found = detection(p, indicator=indicators, period=periods, area=areas)
    result = flag(found, method=method)
    expected = set()
    for rows in (range(10), range(10, 20), range(20, 30)):
        known = [i for i in rows if p[i] is not None]
        for i, yes in zip(known, naive.rejected([p[i] for i in known], 0.05, method), strict=True):
            if yes:
                expected.add((areas[i], indicators[i], periods[i]))
    assert set(result.frame[["area", "indicator", "period"]].itertuples(index=False, name=None)) == expected
    assert set(result.cells.loc[result.cells["flagged"], "area"]) == {area for area, *_ in expected}
    if method == "bh":  # equal values stand or fall together
        assert {(f"BU{i:02d}", "a", "2024") for i in range(10)} <= expected


def test_cells_without_p_are_in_no_family_and_no_flag():
    few = detection([0.01, 0.04, *[None] * 30])
    result = flag(few)
    assert flagged(result) == {"BU00", "BU01"}
    assert result.cells["q_value"].iloc[2:].isna().all()
    assert (~result.cells["flagged"].iloc[2:]).all()
    assert len(result.cells) == 32


def test_q_is_written_beside_p():
    result = flag(detection([0.001, 0.02, 0.9, 0.9]))
    assert result.frame["q_value"].tolist() == pytest.approx([0.004, 0.04])
    assert result.cells["q_value"].tolist() == pytest.approx([0.004, 0.04, 0.9, 0.9])
    assert result.evidence["q_value"].tolist() == pytest.approx([0.004, 0.04])


@pytest.mark.parametrize("alpha", [0.01, 0.2])
def test_level_is_the_one_asked_for(alpha):
    result = flag(detection([0.002, 0.05, 0.15, 0.9]), alpha=alpha)
    assert len(result.frame) == (1 if alpha == 0.01 else 3)


# --- effect, excess and count -----------------------------------------------------------------------


def rows(observed, expected, **options):
    observed, expected = np.array(observed, float), np.array(expected, float)
    high = observed >= expected
    return detection([1e-6] * len(observed), observed=observed, expected=expected, high=high, **options)


def test_a_flag_needs_its_minimum_ratio():
    found = rows([149, 150, 67, 66], [100, 100, 100, 100])
    assert flagged(flag(found, min_ratio=1.5)) == {"BU01", "BU03"}
    assert len(flag(found).frame) == 4


def test_a_flag_needs_its_minimum_excess():
    found = rows([109, 110, 91, 90], [100, 100, 100, 100])
    assert flagged(flag(found, min_excess=10)) == {"BU01", "BU03"}


def test_a_high_flag_needs_what_was_seen_and_a_low_one_what_was_expected():
    found = rows([4, 5, 0, 0], [0.1, 0.1, 4.9, 5.0])
    assert flagged(flag(found, min_count=5)) == {"BU01", "BU03"}
    assert len(flag(found, min_count=0).frame) == 4


def test_values_know_no_minimum_count():
    found = rows([1.2, 0.2], [0.4, 0.4], family="gaussian")
    assert len(flag(found).frame) == 2
    below = rows([-3.0, -9.0], [-6.0, -6.0], family="gaussian", ratio=np.nan)
    below.frame["ratio"] = np.nan
    assert len(flag(below, min_ratio=2.0, min_excess=3.0).frame) == 2
    assert len(flag(below, min_excess=3.5).frame) == 0


def test_yes_or_no_figures_know_no_minimum_count():
    found = detection([1e-6, 1e-6, 0.9], observed=1.0, expected=np.nan)
    assert len(flag(found).frame) == 0
    uncounted = dataclasses.replace(found, counts=False)
    assert flagged(flag(uncounted)) == {"BU00", "BU01"}
    assert len(flag(uncounted, min_excess=1.0).frame) == 0


def test_joins_are_flagged_with_their_reason():
    world = lattice(12, 12)
    ones = np.zeros(144)
    ones[[27, 28, 39, 40, 7, 100]] = 1.0
    found = LocalJoinCounts().detect(world.panel(ones, np.ones(144), "binomial"), world.graph())
    result = flag(found)
    assert flagged(result) == {"BU0027", "BU0028", "BU0039", "BU0040"}
    for table in (result.frame, result.evidence):
        assert table["joins"].tolist() == [3] * 4
        assert table["joins_expected"].tolist() == pytest.approx([8 * 5 / 143] * 4)
    classes = result.cells.set_index("area")["class"]
    assert classes[["BU0007", "BU0100"]].tolist() == ["as_expected"] * 2  # not too few to say so
    assert set(classes) <= set(CLASSES)


def test_another_figure_of_the_neighbours_is_beside_its_flag():
    found = together()
    result = flag(found)
    assert len(result.frame) > 0
    known = found.frame.set_index(["area", "indicator"])
    for table in (result.frame, result.evidence):
        for row in table.itertuples():
            assert row.other_value == known.loc[(row.area, row.indicator), "other_value"]
            assert (row.other_value > row.other_mean) == (row.direction == "high")


def together():
    """Thefts are high in a square of nine areas, and so is vandalism."""
    world = lattice(12, 12)
    size, thefts = counts_of(world, spread=0.02)
    vandalism = np.random.default_rng(1).poisson(size * 0.03).astype(float)
    square = [27, 28, 29, 39, 40, 41, 51, 52, 53]
    thefts[square] *= 3
    vandalism[square] *= 3
    panel = world.panel({"thefts": thefts, "vandalism": vandalism}, size)
    return BivariateLocalMoran(other="vandalism", permutations=999).detect(panel, world.graph())


def test_evidence_of_a_group_needs_the_effect_of_group_and_area():
    ratio, group = [3.0, 3.0, 1.1, 3.0], [2.0, 1.2, 2.0, 1.5]
    found = detection([1e-6] * 4, "getis_ord", "surroundings", ratio=ratio, group_ratio=group)
    assert flagged(flag(found, min_ratio=1.5)) == {"BU00", "BU03"}


def test_exceptions_among_neighbours_are_no_group():
    found = detection([1e-6] * 4, "local_moran", "surroundings", label=["HH", "HL", "LH", "LL"],
                      high=[True, True, False, False])  # fmt: skip
    found = dataclasses.replace(found, groups=LocalMoran.groups)
    assert flagged(flag(found)) == {"BU00", "BU03"}


def test_no_direction_no_flag():
    found = detection([1e-6] * 2, direction=["none", "high"])
    assert flagged(flag(found)) == {"BU01"}


# --- evidence ---------------------------------------------------------------------------------------


def test_local_moran_and_g_star_count_as_one():
    p = [1e-6, 0.9]
    three = [
        detection(p), detection(p, "getis_ord", "surroundings"), detection(p, "local_moran", "surroundings"),
    ]  # fmt: skip
    result = flag(three)
    assert result.frame["n_evidence"].tolist() == [2]
    names = "deviation:neighbours; getis_ord:surroundings; local_moran:surroundings"
    assert result.frame["evidence"].tolist() == [names]
    assert flag(three[1:]).frame["n_evidence"].tolist() == [1]
    assert flag([three[0], detection(p, reference="national")]).frame["n_evidence"].tolist() == [1]
    assert len(result.evidence) == 3
    assert result.evidence["raises"].all()


def test_an_area_is_told_by_its_own_figure_before_its_group():
    group = detection([1e-6, 1e-6, 0.9], "getis_ord", "surroundings")
    own = detection([0.9, 1e-6, 0.9])
    result = flag([group, own]).frame.set_index("area")
    assert result.loc["BU00", "detector"] == "getis_ord"
    assert result.loc["BU01", "detector"] == "deviation"
    first = flag([detection([1e-6], reference="national"), detection([1e-6])]).frame
    assert first["reference"].tolist() == ["national"]


def test_context_is_shown_and_never_raises():
    found = [detection([0.9, 1e-6, 0.9]), detection([1e-6, 1e-6, 0.9], reference="national")]
    result = flag(found, context=["deviation:national"])
    assert flagged(result) == {"BU01"}
    assert result.frame["n_evidence"].tolist() == [1]
    assert result.frame["evidence"].tolist() == ["deviation:neighbours"]
    evidence = result.evidence.set_index("reference")
    assert evidence.loc["national", "supports"]
    assert not evidence.loc["national", "raises"]
    assert len(flag(found).frame) == 2


def test_evidence_that_points_the_other_way_does_not_count():
    found = [detection([1e-6]), detection([1e-6], reference="national", high=[False])]
    result = flag(found)
    assert result.frame["direction"].tolist() == ["high"]
    assert result.frame["n_evidence"].tolist() == [1]
    assert result.frame["evidence"].tolist() == ["deviation:neighbours"]


def test_evidence_lies_in_the_order_of_the_flags():
    p = [0.001, 1e-9, 1e-6, 0.9]
    result = flag([detection(p), detection(p, reference="national")])
    assert result.frame["area"].tolist() == ["BU01", "BU02", "BU00"]
    assert result.evidence["flag_id"].tolist() == result.frame["flag_id"].repeat(2).tolist()
    assert result.evidence["reference"].tolist() == ["neighbours", "national"] * 3
    assert result.evidence["p_value"].tolist() == np.repeat([1e-9, 1e-6, 0.001], 2).tolist()


def test_excess_and_its_bound_are_those_of_the_ratio():
    row = flag(detection([1e-9])).frame.iloc[0]
    assert row["excess"] == 1_100
    assert row["excess_low"] == pytest.approx(100 * (0.9 * 12 - 1))
    assert row["family"] == "poisson"
    assert row["per"] == 1000


# --- classes ----------------------------------------------------------------------------------------


def test_classes_of_cells_are_known_and_silence_is_never_as_expected():
    world = lattice(8, 8)
    size, seen = counts_of(world, rate=0.005)
    seen[3], size[9], seen[11], size[11] = np.nan, 0.0, 0.0, 30.0
    seen[20] = 400
    panel = world.panel(seen, size)
    result = flag([Deviation().detect(panel, world.graph()), GetisOrd(99).detect(panel, world.graph())])
    cells = result.cells.set_index("area")
    assert set(cells["class"]) <= set(CLASSES)
    assert cells.loc["BU0003", "class"] == "missing"
    assert cells.loc["BU0009", "class"] == "no_exposure"
    assert cells.loc["BU0011", "class"] == "too_few"
    assert cells.loc["BU0020", "class"] == "high_998"
    assert cells.loc["BU0020", "flagged"]
    assert not cells.loc[["BU0003", "BU0009", "BU0011"], "flagged"].any()
    assert result.frame.set_index("area").loc["BU0020", "class"] == "high_998"


def test_cells_say_what_they_were_compared_with():
    """The comparison that leads: the first of the own figure that can raise a flag."""
    world = lattice(8, 8)
    size, seen = counts_of(world)
    panel, graph = world.panel(seen, size), world.graph()
    found = [GetisOrd(99).detect(panel, graph)]
    found += [Deviation(reference).detect(panel, graph) for reference in ("national", "neighbours")]
    for context, lead in (((), 1), (("deviation:national",), 2)):
        cells = flag(found, context=context).cells
        frame = found[lead].frame
        assert (cells["detector"] == "deviation").all()
        assert (cells["reference"] == frame["reference"].iloc[0]).all()
        np.testing.assert_array_equal(cells["expected"], frame["expected"])
        np.testing.assert_allclose(cells["observed"] / cells["expected"], cells["ratio"])
    alone = flag(found[:1]).cells
    assert (alone["detector"] == "getis_ord").all()
    assert set(COLUMNS) >= set(alone)


def test_class_comes_from_an_own_figure_wherever_it_stands():
    group = detection([1e-6], "getis_ord", "surroundings")
    own = detection([0.2], label=["as_expected"])
    assert flag([group, own]).cells["class"].tolist() == ["as_expected"]


# --- ids --------------------------------------------------------------------------------------------


def test_flag_id_depends_on_the_cell_and_on_no_figure():
    one = flag(detection([1e-6, 0.9]), study="s").frame
    other = flag(detection([1e-9, 0.9], observed=np.array([500.0, 9.0])), study="s").frame
    assert one["flag_id"].tolist() == other["flag_id"].tolist() == [flag_id("s", "BU00", "all", "y")]
    cells = [
        ("s", "BU00", "all", "y"), ("s", "BU00", "all", "x"), ("s", "BU00", "2", "y"),
        ("s", "BU01", "all", "y"), ("t", "BU00", "all", "y"), ("sBU00", "", "all", "y"),
    ]  # fmt: skip
    assert len({flag_id(*cell) for cell in cells}) == 6
    assert (
        flag_id("demo", "BU00010203", "2024", "hemp") == "F8a1013e41a7e3a5"
    )  # stable from release to release


# --- names, neighbours, notices ---------------------------------------------------------------------


def test_names_and_parents_come_with_areas():
    world = lattice(5, 4)
    size, seen = counts_of(world)
    seen[7] = 900
    areas = areas_of(world, parents_of(world))
    found = Deviation().detect(world.panel(seen, size), world.graph())
    result = flag(found, areas=areas)
    row = result.frame.set_index("area").loc["BU0007"]
    assert row["gemeente"] == parents_of(world)[7]
    assert result.frame.columns[:4].tolist() == ["flag_id", "area", "area_name", "gemeente"]


def test_neighbours_that_are_flagged_the_same_way_are_counted():
    graph = World([{1: 1.0, 2: 1.0, 3: 1.0}, {0: 1.0}, {0: 1.0}, {0: 1.0}, {}]).graph()
    graph = Graph(graph.adjacency.rename(lambda code: code.replace("BU00", "BU")))
    p, high = [1e-6, 1e-7, 1e-8, 0.9, 1e-9], [True, True, False, True, True]
    two = detection(
        p * 2, high=high * 2, area=[f"BU{i:02d}" for i in range(5)] * 2, period=["1"] * 5 + ["2"] * 5
    )
    two.frame.loc[[6], "p_value"] = 0.9  # one of the two is calm in the second period
    result = flag(two, graph=graph).frame.set_index(["period", "area"])["neighbors_flagged"]
    assert result["1"].to_dict() == {"BU00": 1, "BU01": 1, "BU02": 0, "BU04": 0}
    assert result["2"].to_dict() == {"BU00": 0, "BU02": 0, "BU04": 0}
    weighted = graph.assign_self_weight(1.0)
    assert (
        flag(two, graph=weighted).frame["neighbors_flagged"].tolist()
        == flag(two, graph=graph).frame["neighbors_flagged"].tolist()
    )


def test_too_few_permutations_are_said():
    p = [2 / 100] * 3 + [0.5] * 97
    few = detection(
        p, "getis_ord", "surroundings", parameters={"permutations": 99, "alternative": "two-sided"}
    )
    result = flag(few)
    assert len(result.frame) == 0
    assert len(result.notices) == 1
    assert "99 permutations are too few" in result.notices[0]
    assert "fewer than 40" in result.notices[0]
    assert flag(detection([0.5] * 100, "getis_ord", parameters=few.parameters)).notices == ()
    enough = detection([2 / 100] * 40 + [0.5] * 60, "getis_ord", parameters=few.parameters)
    assert flag(enough).notices == ()


@pytest.mark.parametrize("inference", ["moments", "normal", "exact"])
def test_what_draws_nothing_lacks_no_permutations(inference):
    drawn = {"permutations": 99, "alternative": "two-sided"}
    p = [2 / 100] * 3 + [0.5] * 97
    for parameters, said in ((drawn, 1), (drawn | {"inference": inference}, 0)):
        found = detection(p, "getis_ord", "surroundings", parameters=parameters)
        assert len(flag(found).notices) == said
    assert len(flag(detection(p, "getis_ord", parameters=drawn | {"inference": "permutation"})).notices) == 1


@pytest.mark.parametrize("alternative", [{"alternative": "greater"}, {"alternative": "less"}, {}])
def test_the_smallest_p_of_one_side_is_half_of_that_of_two(alternative):
    """Without an alternative as of join counts: 20 of 100 areas at 1 / 100 are what it takes."""
    parameters = {"permutations": 99, "inference": "permutation"} | alternative
    few = flag(detection([1 / 100] * 19 + [0.5] * 81, "getis_ord", parameters=parameters))
    assert "fewer than 20" in few.notices[0]
    above = detection([2 / 100] * 19 + [0.5] * 81, "getis_ord", parameters=parameters)
    assert flag(above).notices == ()  # none at the smallest p


def test_notices_of_detections_come_along_once():
    one = detection([0.5])
    noted = Detection(one.frame, "deviation", "neighbours", one.indicators, notices=("Mind this.",))
    national = detection([0.5], reference="national")
    other = Detection(national.frame, "deviation", "national", one.indicators, notices=("Mind this.",))
    assert flag([noted, other]).notices == ("Mind this.",)


# --- nothing, and wrong input -----------------------------------------------------------------------


def test_a_calm_panel_gives_an_empty_list_with_all_its_columns():
    world = lattice(6, 6)
    size, seen = counts_of(world, spread=0.01)
    panel, graph = world.panel(seen, size), world.graph()
    found = [
        Deviation().detect(panel, graph),
        GetisOrd(99).detect(panel, graph),
        LocalMoran(99).detect(panel, graph),
    ]
    calm = flag(found, areas=areas_of(world, parents_of(world)), graph=graph, alpha=1e-9)
    assert len(calm.frame) == 0
    assert len(calm.evidence) == 0
    assert len(calm.cells) == 36
    seen[14] = 2_000
    loud = flag(
        Deviation().detect(world.panel(seen, size), graph),
        areas=areas_of(world, parents_of(world)),
        graph=graph,
    )
    assert calm.frame.columns.tolist() == loud.frame.columns.tolist()


def test_detections_are_not_modified():
    found = [detection(P), detection(P, "getis_ord", "surroundings")]
    before = [each.frame.copy() for each in found]
    flag(found, context=["getis_ord:surroundings"])
    for each, frame in zip(found, before, strict=True):
        pd.testing.assert_frame_equal(each.frame, frame)


def test_rules_that_do_not_fit_are_refused_together():
    with pytest.raises(InputError) as error:
        flag(detection(P), alpha=5, method="fdr", min_ratio=0.5, min_count=-1)
    assert len(error.value.problems) == 4
    with pytest.raises(InputError, match="at least one Detection"):
        flag([])
    with pytest.raises(InputError, match="context needs to name detections"):
        flag(detection(P), context=["deviation:national"])
    with pytest.raises(InputError, match="can raise a flag"):
        flag(detection(P), context=["deviation:neighbours"])
    with pytest.raises(InputError, match="one panel and one list of areas"):
        flag([detection(P), detection(P[:-1], reference="national")])
    other = detection(P, reference="national", area=[f"WK{i}" for i in range(10)])
    with pytest.raises(InputError, match="one panel and one list of areas"):
        flag([detection(P), other])


def test_cells_of_group_evidence_alone_have_classes_of_the_vocabulary():
    from panels import counts_of, lattice
    from zoo_geo import GetisOrd, flag
    from zoo_geo.schema import CLASSES

    world = lattice(6, 6)
    size, counts = counts_of(world)
    found = GetisOrd(199, value="rate").detect(world.panel({"y": counts}, size), world.graph())
    cells = flag(found, min_count=0).cells
    assert set(cells["class"]) <= set(CLASSES)
    far = found.frame["p_value"] <= 0.05
    assert far.any()
    assert (cells["class"].astype(str).str.startswith(("high", "low")).to_numpy() == far.to_numpy()).all()


def test_a_context_given_as_one_name_is_one_name():
    from panels import counts_of, lattice
    from zoo_geo import Deviation, GetisOrd, flag

    world = lattice(6, 6)
    size, counts = counts_of(world)
    counts[7] *= 30
    panel = world.panel({"y": counts}, size)
    found = [
        Deviation(reference="national").detect(panel, world.graph()),
        GetisOrd(199).detect(panel, world.graph()),
    ]
    assert (flag(found).frame["detector"] == "deviation").any()
    assert not (flag(found, context="deviation:national").frame["detector"] == "deviation").any()


def test_what_raises_a_cell_in_the_other_direction_is_named():
    high = detection([1e-6, 0.5])
    low = detection([1e-6, 0.5], reference="national", high=[False, False])
    row = flag([high, low], min_count=0).frame.iloc[0]
    assert (row["direction"], row["evidence"], row["contrary"]) == ("high", high.name, low.name)
    assert row["n_evidence"] == 1
    assert flag([high], min_count=0).frame["contrary"].tolist() == [""]


def test_context_that_finds_the_other_direction_is_named_too():
    high = detection([1e-6, 0.5])
    low = detection([1e-6, 0.5], reference="peers", high=[False, False])
    row = flag([high, low], min_count=0, context=[low.name]).frame.iloc[0]
    assert (row["evidence"], row["contrary"], row["agrees"]) == (high.name, low.name, high.name)


def test_comparisons_that_agree_and_those_that_do_not_are_named():
    lead = detection([1e-6, 1e-6, 1e-6, 1e-6, 0.5])
    peers = detection([1e-6, 0.04, 0.06, None, 0.5], reference="peers")
    national = detection(
        [1e-6, 1e-6, 0.9, 0.9, 0.5], reference="national", high=[True, False, True, True, True]
    )
    group = detection([1e-6] * 5, "getis_ord", "surroundings")
    found = [lead, peers, national, group]
    frame = flag(found, context=[peers.name, national.name, group.name]).frame.set_index("area")
    assert frame["agrees"].to_dict() == {
        "BU00": f"{lead.name}; {peers.name}; {national.name}",
        "BU01": lead.name,  # p = 0.04 is not significant once corrected, yet outside the limits
        "BU02": lead.name,
        "BU03": lead.name,  # without peers
    }
    assert frame["disagrees"].to_dict() == {
        "BU00": "", "BU01": "", "BU02": f"{peers.name}; {national.name}", "BU03": national.name,
    }  # fmt: skip
    only = flag([group], min_count=0).frame
    assert (only["agrees"] == "").all()
    assert (only["disagrees"] == "").all()


def test_peers_are_not_next_door_and_covariates_are_those_of_the_model():
    beside = {"n_neighbors": 6.0, "neighbors_value": 4.0}
    before = {"ratio_before": 3.0, "explained": 0.4}
    peers = detection([1e-6], reference="peers", n_neighbors=15.0, neighbors_value=9.0)
    lead = detection([1e-6], n_neighbors=6.0, neighbors_value=4.0, ratio_before=2.0, explained=0.9)
    model = detection([1e-6], reference="model", **beside, **before)
    result = flag([peers, lead, model])
    assert result.frame.iloc[0][[*beside, *before]].to_dict() == beside | before
    assert result.evidence.set_index("reference").loc["model", [*before]].to_dict() == before
    without = flag([peers, lead]).frame.iloc[0]
    assert np.isnan(without["explained"])
    assert np.isnan(flag([peers]).frame.iloc[0]["n_neighbors"])


def test_one_name_for_two_graphs_is_refused():
    with pytest.raises(InputError, match="different names"):
        flag([detection([0.5]), detection([0.5])])


def test_a_count_without_a_ratio_passes_no_minimum_effect():
    world = lattice(8, 8)
    size, counts = counts_of(world)
    counts[:16] *= 6
    found = GetisOrd(999, value="rate").detect(world.panel({"y": counts}, size), world.graph())
    assert len(flag(found).frame) > 0
    assert len(flag(found, min_ratio=1.2).frame) == 0
    assert len(flag(found, min_excess=1).frame) == 0
    assert (flag(found, method="holm").frame["method"] == "holm").all()
