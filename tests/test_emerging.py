"""Classes of hot and cold spots over time, beside the published definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo_geo as zg
from naive import over_time as naive
from panels import lattice
from series import calm, of_period, panel_of
from zoo_geo.detectors.emerging import CLASSES, PATTERNS, classify, spots_of
from zoo_geo.errors import InputError

SERIES = {
    "new": ("000000000001", 0),
    "consecutive": ("000000001111", 0),
    "intensifying": ("111111111111", 1),
    "persistent": ("101111111111", 0),
    "diminishing": ("111111111111", -1),
    "sporadic": ("010010000001", 0),
    "oscillating": ("0110-0000001", 0),
    "historical": ("111111111110", 0),
    "trend_unknown": ("11111", 0),
}
"""A series of each class: 1 hot, - cold; and the sign of its trend."""


def read(text):
    return [{"1": 1, "-": -1, "0": 0, ".": None}[mark] for mark in text]


def classed(spots, trend):
    known = np.array([[each is not None for each in spots]])
    values = np.array([[each or 0 for each in spots]], np.int8)
    return CLASSES[int(classify(values, known, np.array([trend]))[0])]


@pytest.mark.parametrize("name", PATTERNS)
def test_each_class_by_hand(name):
    text, trend = SERIES[name]
    spots = read(text)
    assert classed(spots, trend) == f"{name}_hot" == naive.spot_class(spots, trend)
    turned = [None if each is None else -each for each in spots]
    assert classed(turned, -trend) == f"{name}_cold" == naive.spot_class(turned, -trend)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("000000000000", "no_pattern"),
        ("000001100000", "no_pattern"),
        ("00000000.0.1", "new_hot"),
        ("0000000.11.1", "consecutive_hot"),
        ("11111111111.", "final_unknown"),
        (".........111", "trend_unknown_hot"),
        ("...........1", "no_pattern"),
        ("-----------1", "new_hot"),
        ("............", "no_pattern"),
    ],
)
def test_gaps_and_edges(text, name):
    assert classed(read(text), 0) == name == naive.spot_class(read(text), 0)


@given(
    st.lists(st.sampled_from([1, 1, 1, 0, -1, None]), min_size=1, max_size=14), st.sampled_from([-1, 0, 1])
)
def test_classes_are_those_of_the_slow_twin(spots, trend):
    assert classed(spots, trend) == naive.spot_class(spots, trend)


def test_spots_pass_a_false_discovery_rate_within_their_period():
    z = np.array([[3.0, 2.0], [-3.0, 1.0], [0.5, -1.0], [np.nan, 0.0]])
    p = np.array([[0.01, 0.045], [0.02, 0.3], [0.6, 0.3], [np.nan, 1.0]])
    assert spots_of(z, p, 0.05).tolist() == [[1, 0], [-1, 0], [0, 0], [0, 0]]


def grown(world, count=12):
    """A calm map, and a group of nine areas that is high in the last three periods."""
    size, table = calm(world, count, seed=2, spread=0.0, bursts=0.0, rate=0.05, between=0.05)
    group = [r * 12 + c for r in (4, 5, 6) for c in (4, 5, 6)]
    for t in range(count - 3, count):
        table[group, t] = np.round(table[group, t] * 2.5)
    return size, table, group


@pytest.fixture(scope="module")
def world():
    return lattice(12, 12)


def test_a_group_of_the_last_periods_is_consecutive(world):
    size, table, _ = grown(world)
    panel = panel_of(world, table, size)
    found = zg.Emerging(permutations=9_999).detect(panel, world.graph(), seed=3)
    centre = found.frame[found.frame["area"] == world.codes[5 * 12 + 5]]
    assert set(centre["label"]) == {"consecutive_hot"}
    assert set(centre["n_hot"]) == {3}
    assert set(centre["n_periods"]) == {12}
    assert centre["direction"].iloc[-1] == "high"
    assert not any("trend_unknown" in notice for notice in found.notices)
    flags = zg.flag(found, 0.05)
    told = flags.frame[flags.frame["area"] == world.codes[5 * 12 + 5]].iloc[0].to_dict()
    assert "Over 12 periods it is a hot spot of the last periods in a row" in zg.sentence(told, "en")
    assert "Over 12 perioden is het een hete plek in de laatste perioden op rij" in zg.sentence(told, "nl")
    none = {**told, "label": "no_pattern"}
    assert "No pattern over its 12 periods was found." in zg.sentence(none, "en")
    assert "Over de 12 perioden is geen patroon gevonden." in zg.sentence(none, "nl")


@pytest.mark.parametrize("value", ["residual", "rate", "eb_rate"])
def test_each_period_has_what_getis_ord_finds(world, value):
    size, table, _ = grown(world, 4)
    table[3, 1] = np.nan
    panel, graph = panel_of(world, table, size), world.graph()
    ours = zg.Emerging(permutations=999, value=value).detect(panel, graph, seed=5).frame
    theirs = zg.GetisOrd(permutations=999, value=value).detect(panel, graph, seed=5).frame
    for name in ("statistic", "z", "p_value", "group_ratio", "residual", "permutations"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert (ours["status"].astype(str) == theirs["status"].astype(str)).all()


def test_fewer_than_ten_periods_are_said(world):
    size, table, group = grown(world, 6)
    table[group] = np.round(table[group] * 2.5)
    found = zg.Emerging(permutations=999, inference="moments", value="rate").detect(
        panel_of(world, table, size), world.graph()
    )
    assert any("with 6 periods, fewer than 10" in notice for notice in found.notices)
    assert of_period(found.frame, "label", world, "2006")[5 * 12 + 5] == "trend_unknown_hot"


def test_missing_periods_are_left_out_and_said(world):
    size, table, group = grown(world)
    table[group[4], 5], table[group[0], -1] = np.nan, np.nan
    found = zg.Emerging(permutations=1999).detect(panel_of(world, table, size), world.graph(), seed=1)
    label, count = (of_period(found.frame, name, world, "2001") for name in ("label", "n_periods"))
    assert (label[group[4]], count[group[4]]) == ("consecutive_hot", 11)
    assert (label[group[0]], count[group[0]]) == ("final_unknown", 11)
    assert any("2 series have periods without a figure" in notice for notice in found.notices)


def test_periods_before_a_break_do_not_count(world):
    size, table, group = grown(world)
    breaks = np.zeros(table.shape, bool)
    breaks[group[4], 10] = True
    found = zg.Emerging(permutations=1999).detect(
        panel_of(world, table, size, breaks=breaks), world.graph(), seed=1
    )
    assert of_period(found.frame, "n_periods", world, "2012")[group[4]] == 2
    assert of_period(found.frame, "label", world, "2012")[group[4]] == "trend_unknown_hot"


def test_too_few_permutations_for_a_discovery_are_said(world):
    size, table, _ = grown(world, 3)
    panel = panel_of(world, table, size)
    said = {}
    for permutations in (99, 99_999):
        found = zg.Emerging(permutations=permutations, value="rate").detect(panel, world.graph())
        assert found.parameters["alternative"] == "two-sided"
        flags = zg.flag(found, 0.05)
        said[permutations] = any(f"{permutations:,} permutations are too few" in x for x in flags.notices)
        assert flags.frame.empty == (permutations == 99)
    assert said == {99: True, 99_999: False}


def test_a_calm_map_has_few_classes(world):
    size, table = calm(world, 10, seed=11, between=0.05)
    frame = zg.Emerging(inference="moments").detect(panel_of(world, table, size), world.graph()).frame
    last = frame[frame["period"] == "2010"]
    assert (last["label"] != "no_pattern").mean() < 0.05


@pytest.mark.parametrize("options", [{"alpha": 0}, {"alpha": True}, {"value": "z"}, {"permutations": 3}])
def test_options_that_do_not_fit_are_refused(options):
    with pytest.raises(InputError, match="needs to be"):
        zg.Emerging(**options)
    with pytest.raises(TypeError):
        zg.Emerging(alternative="greater")
