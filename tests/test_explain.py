"""Flags in words: every part, both languages, all families, and rows with gaps."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from panels import lattice
from test_flags import together
from zoo_geo.detectors.deviation import Deviation
from zoo_geo.detectors.local_join_counts import LocalJoinCounts
from zoo_geo.explain import CAVEAT, sentence
from zoo_geo.facts import number
from zoo_geo.flags import flag

ROW = {
    "area": "BU01",
    "area_name": "Havenkwartier",
    "indicator": "nurseries",
    "indicator_title": "cleared nurseries",
    "period": "2024",
    "family": "poisson",
    "direction": "high",
    "observed": 1057.0,
    "exposure": 32623.0,
    "per": 1000.0,
    "unit": "residents",
    "value": 32.4,
    "reference": "neighbours",
    "reference_value": 12.0,
    "expected": 391.5,
    "ratio": 2.7,
    "ratio_low": 1.91,
    "ratio_high": 3.8,
    "p_value": 4.1e-5,
    "q_value": 0.0041,
    "n_evidence": 2,
    "evidence": "deviation:neighbours; getis_ord:surroundings",
    "n_neighbors": 6,
    "neighbors_value": 12.4,
    "neighbors_flagged": 1,
}


def test_english():
    assert sentence(ROW, "en") == (
        "Havenkwartier (BU01), cleared nurseries in 2024: 1,057 seen, 32.4 per 1,000 residents. "
        "Going by its neighbours, 392 (12 per 1,000) was to be expected; this is 2.7 times as much "
        "(95% interval 1.9 to 3.8). "
        "Chance alone gives a deviation this large in about 1 of 24,000 areas (p = 0.000041); "
        "of all flags this strong, about 0.41% are expected to be chance (q = 0.0041). "
        "2 kinds of evidence support it. "
        "The area and its neighbours together stand out as high. "
        "Next door: 12.4 per 1,000 in its 6 neighbours together, 1 of which is flagged too. "
        "A pattern, not a verdict."
    )


def test_dutch():
    assert sentence(ROW | {"unit": "inwoners"}, "nl") == (
        "Havenkwartier (BU01), cleared nurseries in 2024: 1.057 gezien, 32,4 per 1.000 inwoners. "
        "Afgaand op de buren was 392 (12 per 1.000) te verwachten; dit is 2,7 keer zoveel "
        "(95%-interval 1,9 tot 3,8). "
        "Toeval alleen geeft zo'n afwijking in ongeveer 1 op de 24.000 gebieden (p = 0,000041); "
        "van zulke sterke vlaggen is naar verwachting ongeveer 0,41% toeval (q = 0,0041). "
        "2 soorten aanwijzingen ondersteunen dit. "
        "Het gebied en zijn buren vallen samen op als hoog. "
        "Ernaast: 12,4 per 1.000 in de 6 buurgebieden samen, waarvan 1 ook een vlag heeft. "
        "Een patroon, geen oordeel."
    )


def test_low_is_said_as_low():
    text = sentence(ROW | {"direction": "low", "ratio": 0.372, "ratio_low": 0.2, "ratio_high": 0.61})
    assert "this is only 0.37 times as much (95% interval 0.2 to 0.61)" in text
    assert "together stand out as low" in text


NONE = {"direction": "low", "observed": 0, "ratio": 0.0, "ratio_low": 0.0, "ratio_high": 0.31}


def test_nothing_is_no_number_of_times():
    assert "; none was seen (95% interval up to 0.31 times as much)." in sentence(ROW | NONE, "en")
    dutch = sentence(ROW | NONE, "nl")
    assert "; er is niets gezien (95%-interval tot 0,31 keer zoveel)." in dutch
    assert "; er is niets gezien." in sentence(ROW | NONE | {"ratio_high": math.inf}, "nl")
    group = {"detector": "getis_ord", "group_observed": 0.0, "group_expected": 12.0, "group_ratio": 0.0}
    assert "Met de buren: niets waar 12 te verwachten was." in sentence(ROW | NONE | group, "nl")
    assert "With its neighbours: none where 12 was" in sentence(ROW | NONE | group, "en")


def test_values_of_neighbours_are_an_average():
    row = ROW | {"family": "gaussian", "per": 1.0}
    assert "Next door: 12.4 on average in its 6 neighbours, 1 of" in sentence(row, "en")
    assert "Ernaast: gemiddeld 12,4 in de 6 buurgebieden, waarvan 1" in sentence(row, "nl")
    assert "12.4 in its one neighbour" in sentence(row | {"n_neighbors": 1}, "en")


def test_binomial_speaks_in_percentages_out_of():
    text = sentence(ROW | {"family": "binomial", "per": 100.0, "observed": 12, "exposure": 80, "value": 15.0})
    assert ": 12 of 80, 15%. " in text


def test_values_of_several_have_a_mean():
    row = ROW | {
        "family": "gaussian", "detector": "getis_ord", "group_observed": 52.8, "group_expected": 40.0,
        "group_ratio": 1.32, "reference": "surroundings",
    }  # fmt: skip
    assert "With its neighbours: 52.8 on average where 40 was to be expected, 1.3 times as much." in sentence(
        row
    )
    assert "Met de buren: gemiddeld 52,8 waar 40 te verwachten was, 1,3 keer zoveel." in sentence(row, "nl")
    low = row | {"direction": "low", "group_ratio": 0.5}
    assert "52.8 on average where 40 was to be expected, 0.5 times." in sentence(low)
    assert "gemiddeld 52,8 waar 40 te verwachten was, maar 0,5 keer zoveel." in sentence(low, "nl")
    past = row | {"detector": "spike", "history_value": 52.8, "surroundings_change": 1.0}
    assert "Its other periods had 52.8 on average" in sentence(past)
    assert "De andere perioden hadden gemiddeld 52,8" in sentence(past, "nl")
    assert "on average" not in sentence(row | {"family": "poisson"})
    assert "had 52.8 per 1,000 together" in sentence(past | {"family": "poisson"})


def test_gaussian_speaks_in_values():
    row = ROW | {"family": "gaussian", "per": 1.0, "observed": 345.6, "value": 345.6, "unit": "thousand euro"}
    text = sentence(row | {"expected": 210.0, "ratio": math.nan})
    assert ": 346 thousand euro measured. " in text
    assert "210 was to be expected; this is 136 more." in text
    low = sentence(row | {"expected": -5.0, "observed": -10.5, "ratio": 2.1, "direction": "low"})
    assert "-5 was to be expected; this is 5.5 less." in low


def test_all_periods_together_are_not_named():
    assert "cleared nurseries:" in sentence(ROW | {"period": "all"})


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("national", "Going by all areas together,"),
        ("surroundings", "Going by its wider surroundings,"),
        ("all areas", "Going by all areas together,"),
        ("peers", "Going by comparable areas,"),
        ("parent:gemeente", "Going by its gemeente,"),
        ("stratum:urbanity", "Going by areas of the same urbanity,"),
        ("model", "Going by its covariates,"),
        ("sar", "Going by the areas around it (SAR),"),
        ("sar_lag", "Going by the areas around it (SAR lag),"),
        ("car", "Going by the areas around it (CAR),"),
        ("something", "Going by the reference something,"),
    ],
)
def test_references(reference, words):
    assert words in sentence(ROW | {"reference": reference})


@pytest.mark.parametrize(
    ("n", "flagged", "words"),
    [
        (1, 0, "in its one neighbour, which is not flagged."),
        (1, 1, "in its one neighbour, which is flagged too."),
        (6, 0, "none of which is flagged."),
        (6, 3, "3 of which are flagged too."),
        (6, None, "in its 6 neighbours together."),
    ],
)
def test_neighbours_are_counted(n, flagged, words):
    assert words in sentence(ROW | {"n_neighbors": n, "neighbors_flagged": flagged})


@pytest.mark.parametrize(
    ("p", "words"),
    [(1e-300, "less than 1 of 1,000,000 areas (p < 0.000001)"), (0.4, "in 40% of areas (p = 0.4)")],
)
def test_extreme_p_stays_readable(p, words):
    assert words in sentence(ROW | {"p_value": p})


@pytest.mark.parametrize("lang", ["en", "nl"])
@pytest.mark.parametrize("gap", [None, math.nan, pd.NA, ""])
def test_any_missing_value_leaves_its_part_out(lang, gap):
    for name in ROW:
        for row in (ROW | {name: gap}, {other: ROW[other] for other in ROW if other != name}):
            text = sentence(row, lang)
            assert text.endswith(CAVEAT[lang])
            assert not any(word in text for word in ("nan", "None", "<NA>", "  ", "()", " ."))
    assert sentence({}, lang) == CAVEAT[lang]


def test_a_pandas_row_will_do():
    assert sentence(pd.Series(ROW)) == sentence(ROW)


def test_extreme_q_stays_readable():
    text = sentence(ROW | {"q_value": 1e-30})
    assert "less than 0.01% are expected to be chance (q < 0.0001)" in text


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="lang needs to be one of en, nl; got fr"):
        sentence(ROW, "fr")


@pytest.mark.parametrize(
    ("value", "en", "nl"),
    [
        (0, "0", "0"),
        (1234567.8, "1,234,568", "1.234.568"),
        (12.345, "12.3", "12,3"),
        (0.012345, "0.0123", "0,0123"),
        (-0.5, "-0.5", "-0,5"),
        (9.999, "10", "10"),
        (100, "100", "100"),
    ],
)
def test_numbers_follow_the_language(value, en, nl):
    assert number(value, "en") == en
    assert number(value, "nl") == nl


@pytest.mark.parametrize(
    ("row", "doubtful"),
    [
        ({"exposure": 199}, True),
        ({"exposure": 200}, False),
        ({"exposure": 19, "per": 100}, True),
        ({"exposure": 20, "per": 100}, False),
        ({"exposure": 5, "family": "gaussian"}, False),
        ({"exposure": 5, "family": "binomial"}, False),
    ],
)
def test_a_small_exposure_is_doubted(row, doubtful):
    assert ("read it with care" in sentence(ROW | row)) is doubtful
    assert ("slag om de arm" in sentence(ROW | row, "nl")) is doubtful


@pytest.mark.parametrize(("near", "said"), [(12.0, False), (17.0, False), (19.0, True), (7.0, True)])
def test_an_expectation_far_from_the_neighbours_is_explained(near, said):
    row = ROW | {"reference_value": 12.0, "neighbors_value": near, "reference": "neighbours"}
    assert ("not the neighbours' own rate" in sentence(row)) is said
    assert ("niet het cijfer van de buren zelf" in sentence(row, "nl")) is said
    assert "own rate" not in sentence(row | {"reference": "national"})


def test_a_group_is_told_as_a_group():
    row = ROW | {
        "detector": "getis_ord", "reference": "surroundings", "group_observed": 90.0, "group_expected": 45.0,
        "group_ratio": 2.0,
    }  # fmt: skip
    text = sentence(row)
    assert "With its neighbours: 90 where 45 was to be expected, 2 times as much" in text
    assert "Chance alone gives a group of neighbours this far off" in text
    assert "Met de buren: 90 waar 45 te verwachten was, 2 keer zoveel" in sentence(row, "nl")


def test_what_goes_the_other_way_over_time_or_in_a_cluster_is_said_as_such():
    row = ROW | {"contrary": "deviation:national; trend:neighbours; spike:neighbours; scan:national"}
    text, dutch = sentence(row), sentence(row, "nl")
    assert text.count("it is low instead") == 1
    assert (
        "Its series falls. For its own series this period is low. It lies in a cluster that is low." in text
    )
    assert "De reeks daalt. Voor de eigen reeks is deze periode laag. Het ligt in een cluster" in dutch
    low = sentence(row | {"direction": "low"})
    assert "Its series rises. For its own series this period is high." in low


def test_what_points_the_other_way_is_said():
    text = sentence(ROW | {"contrary": "deviation:national"})
    assert "Against all areas together it is low instead" in text
    assert "juist laag" in sentence(ROW | {"contrary": "deviation:national"}, "nl")


NEAR = {"detector": "deviation", "agrees": "deviation:neighbours"}


def test_high_against_the_neighbours_only_is_another_story_than_against_the_peers_too():
    only = ROW | NEAR | {"disagrees": "deviation:peers"}
    both = ROW | NEAR | {"agrees": "deviation:neighbours; deviation:peers", "disagrees": ""}
    assert (
        "The area and its neighbours together stand out as high. "
        "Against comparable areas it does not stand out. Next door" in sentence(only)
    )
    assert "Vergeleken met vergelijkbare gebieden valt het niet op." in sentence(only, "nl")
    assert "It is high against comparable areas too." in sentence(both)
    assert "does not stand out" not in sentence(both)
    assert "Ook vergeleken met vergelijkbare gebieden is het hoog." in sentence(both, "nl")
    assert "It is low against comparable areas too." in sentence(both | {"direction": "low", "ratio": 0.4})
    assert "comparable" not in sentence(ROW | NEAR)


def test_comparisons_are_enumerated():
    row = ROW | NEAR | {
        "agrees": "deviation:national; deviation:neighbours; deviation:stratum:urbanity; deviation:model",
        "disagrees": "deviation:peers; deviation:parent:gemeente",
    }  # fmt: skip
    assert (
        "It is high against all areas together, areas of the same urbanity and what covariates lead to "
        "expect too. Against comparable areas and its gemeente it does not stand out."
    ) in sentence(row)
    assert (
        "Ook vergeleken met alle gebieden samen, gebieden van gelijke urbanity en wat kenmerken doen "
        "verwachten is het hoog. Vergeleken met vergelijkbare gebieden en de eigen gemeente valt het niet op."
    ) in sentence(row, "nl")


@pytest.mark.parametrize(
    ("share", "en", "nl"),
    [
        (-0.5, "Going by covariates it deviates even more.", "wijkt het nog meer af."),
        (
            -0.1,
            "explain hardly any of its difference from all areas together.",
            "verklaren bijna niets van het",
        ),
        (0.2, "explain about a quarter of", "ongeveer een kwart van"),
        (0.33, "explain about a third of", "ongeveer een derde van"),
        (0.5, "explain about half of", "ongeveer de helft van"),
        (0.66, "explain about two thirds of", "ongeveer twee derde van"),
        (0.75, "explain about three quarters of", "ongeveer driekwart van"),
        (1.0, "explain nearly all of", "bijna alles van"),
        (1.4, "explain more than all of", "meer dan alles van"),
    ],
)
def test_what_covariates_explain_is_put_in_words(share, en, nl):
    row = ROW | {"explained": np.float64(share), "ratio_before": np.float64(2.0), "agrees": "deviation:model"}
    assert en in sentence(row)
    assert nl in sentence(row, "nl")
    assert en not in sentence(row | {"ratio_before": np.float64(0.5)})  # high here, low in the whole
    assert en in sentence(row | {"ratio_before": np.float64(0.5), "direction": "low"})
    assert "ovariates explain" not in sentence(row | {"explained": np.nan})
    assert (en in sentence(row | {"agrees": ""})) is (share > 0.125)


def test_what_stands_beside_both_groups_and_others_is_told_apart():
    row = ROW | {
        "contrary": "deviation:national; bivariate_local_moran:other:vandalism; deviation:parent:gemeente",
    }
    assert (
        "Against all areas together, its gemeente it is low instead. "
        "Like vandalism among its neighbours it is low instead."
    ) in sentence(row)
    assert (
        "Vergeleken met alle gebieden samen, de eigen gemeente is het juist laag. "
        "Net als vandalism bij de buren is het juist laag."
    ) in sentence(row, "nl")


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        ("deviation:neighbours; local_moran:surroundings", True),
        ("deviation:neighbours; getis_ord:all areas", True),
        ("deviation:neighbours; local_join_counts:all areas", True),
        ("deviation:neighbours; bivariate_local_moran:other:vandalism", False),
        ("deviation:neighbours; bivariate_local_moran:other:local_moran", False),
        ("deviation:neighbours; local_geary:surroundings", False),
        ("deviation:neighbours", False),
    ],
)
def test_detectors_of_groups_are_known_by_their_exact_name(evidence, said):
    row = ROW | {"detector": "deviation", "evidence": evidence}
    assert ("together stand out" in sentence(row)) is said
    assert ("vallen samen op" in sentence(row, "nl")) is said


def rows_of(result):
    return {row["area"]: row for row in result.frame.to_dict("records")}


def test_a_figure_that_goes_with_another_of_the_neighbours():
    row = rows_of(flag(together()))["BU0040"]
    assert sentence(row) == (
        "BU0040, thefts: 66 seen, 53.3 per 1,000. "
        "Going by its wider surroundings, 24.4 was to be expected; this is 2.7 times as much "
        "(95% interval 2.1 to 3.4). Its neighbours' vandalism is 93.2 on average, where all areas have 34.3. "
        "Chance alone gives neighbours like that in about 1 of 500 areas (p = 0.002); "
        "of all flags this strong, about 4.1% are expected to be chance (q = 0.041). "
        "One kind of evidence supports it. A pattern, not a verdict."
    )
    dutch = sentence(row, "nl")
    assert "Afgaand op de wijdere omgeving was 24,4 te verwachten" in dutch
    assert "Bij de buren is vandalism gemiddeld 93,2, bij alle gebieden 34,3." in dutch
    assert "Toeval alleen geeft zulke buren in ongeveer 1 op de 500 gebieden" in dutch
    bare = sentence({name: value for name, value in row.items() if name != "other_mean"})
    assert "on average" not in bare
    assert "neighbours like that" in bare


def joined(size, ones):
    """Flags of areas that have something, on a grid."""
    world = lattice(*size)
    has = np.zeros(len(world))
    has[ones] = 1.0
    panel = world.panel({"raids": has}, np.ones(len(world)), "binomial")
    found = LocalJoinCounts().detect(panel, world.graph())
    own = Deviation(reference="national").detect(panel, world.graph())
    return flag([found, own], context=["deviation:national"]), flag(found)


def test_joins_are_told_as_joins():
    with_n, without = (rows_of(result)["BU0027"] for result in joined((12, 12), [27, 28, 39, 40, 7]))
    said = "where chance gives 0.22. Chance alone gives so many neighbours that have it in about 1 of "
    assert f"raids: 1 of 1, 100%. 3 of its neighbours have it too, {said}" in sentence(without)
    assert f"raids: 1 of 1, 100%. 3 of its 8 neighbours have it too, {said}" in sentence(with_n)
    dutch = "hebben het ook, waar toeval 0,22 geeft. Toeval alleen geeft zoveel buren die het hebben in"
    assert f"3 van de 8 buren {dutch}" in sentence(with_n, "nl")
    assert f"3 van de buren {dutch}" in sentence(without, "nl")
    assert "to be expected" not in sentence(with_n)


@pytest.mark.parametrize(
    ("joins", "n", "en", "nl"),
    [
        (1, 1, "Its one neighbour has it too", "Het ene buurgebied heeft het ook"),
        (1, 4, "1 of its 4 neighbours has it too", "1 van de 4 buren heeft het ook"),
        (1, None, "1 of its neighbours has it too", "1 van de buren heeft het ook"),
        (3, 2, "3 of its neighbours have it too", "3 van de buren hebben het ook"),  # n of another graph
    ],
)
def test_joins_are_counted(joins, n, en, nl):
    row = {"detector": "local_join_counts", "joins": joins, "joins_expected": 0.05, "n_neighbors": n}
    assert sentence(row).startswith(f"{en}, where chance gives 0.05. ")
    assert sentence(row, "nl").startswith(f"{nl}, waar toeval 0,05 geeft. ")


@pytest.mark.parametrize(
    ("method", "words"),
    [("bh", "expected to be chance"), ("holm", "adjusted for all areas p ="), ("none", "not adjusted")],
)
def test_q_is_told_by_its_method(method, words):
    assert words in sentence(ROW | {"method": method})
