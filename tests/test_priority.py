"""Order of follow-up under capacity, and what it leaves out."""

import numpy as np
import pandas as pd
import pytest

import zoo_geo as zg
from zoo_geo.errors import InputError
from zoo_geo.flags import Flags
from zoo_geo.priorities import priority


def flags(excess_low, **given):
    """High flags with a lower bound of their excess; expected 100 each."""
    n = len(excess_low)
    low = np.array(excess_low, float)
    columns = {
        "flag_id": [f"id{i}" for i in range(n)], "area": [f"BU{i:02d}" for i in range(n)], "indicator": "y",
        "period": "all", "direction": "high", "expected": 100.0, "observed": 100 + low + 20,
        "ratio_low": 1 + low / 100, "ratio_high": 1 + (low + 40) / 100, "excess": low + 20, "excess_low": low,
        "gemeente": "GM1", "family": "poisson",
    } | given  # fmt: skip
    frame = pd.DataFrame(columns)
    return Flags(frame, frame, frame)


def selected(result):
    return set(result.frame.loc[result.frame["selected"], "area"])


def test_flags_come_in_the_order_of_the_excess_they_are_sure_of():
    result = priority(flags([5, 50, -3, 20]), capacity=2).frame
    assert result["area"].tolist() == ["BU01", "BU03", "BU00", "BU02"]
    assert result["rank"].tolist() == [1, 2, 3, 4]
    assert result["selected"].tolist() == [True, True, False, False]
    assert (result["cost"] == 1).all()


def test_equal_flags_come_in_the_order_of_their_codes():
    result = priority(flags([5, 5, 5], area=["BU09", "BU01", "BU05"])).frame
    assert result["area"].tolist() == ["BU01", "BU05", "BU09"]


def test_flags_without_an_interval_come_last():
    result = priority(flags([np.nan, -50, 3]), capacity=2).frame
    assert result["area"].tolist() == ["BU02", "BU01", "BU00"]


def test_cost_is_what_capacity_is_spent_on():
    found = flags([90, 50, 40, 30], hours=[9.0, 2.0, 2.0, 3.0])
    result = priority(found, capacity=7, cost="hours")
    assert result.frame["area"].tolist() == [
        "BU01",
        "BU02",
        "BU00",
        "BU03",
    ]  # excess per hour: 25, 20, 10, 10
    assert selected(result) == {"BU01", "BU02", "BU03"}  # nine hours do not fit, three do
    assert priority(found, capacity=7, cost=3.5).frame["selected"].sum() == 2
    by_indicator = flags([90, 50], indicator=["a", "b"])
    result = priority(by_indicator, capacity=5, cost={"a": 10.0, "b": 1.0})
    assert result.frame["area"].tolist() == ["BU01", "BU00"]
    assert result.frame["cost"].tolist() == [1.0, 10.0]
    assert selected(result) == {"BU01"}


def test_each_parent_has_a_capacity_of_its_own():
    found = flags([9, 8, 7, 6, 5], gemeente=["GM1", "GM1", "GM1", "GM2", None])
    result = priority(found, capacity=2, per="gemeente")
    assert selected(result) == {"BU00", "BU01", "BU03", "BU04"}
    assert "per gemeente" in result.left_out


def test_low_flags_come_in_the_order_of_their_shortfall():
    ratio_high = [0.9, 0.2, 0.5]
    found = flags([0, 0, 0, 70], direction=["low"] * 3 + ["high"], ratio_high=[*ratio_high, 3.0],
                  excess=[-30.0, -90.0, -60.0, 90.0])  # fmt: skip
    result = priority(found, capacity=1, direction="low")
    assert result.frame["area"].tolist() == ["BU01", "BU02", "BU00"]
    assert "1 of 3 flags" in result.left_out
    assert "(shortfall 90, at the near ends of the intervals 60)" in result.left_out
    assert priority(found).frame["area"].tolist() == ["BU03"]


def test_what_is_left_out_is_said_with_numbers():
    result = priority(flags([30, 20, 10, -5]), capacity=1)
    assert result.left_out == (
        "A capacity of 1 reaches 1 of 4 flags; 3 are left out: "
        "3 of y (excess 85, at the near ends of the intervals 30)."
    )
    assert priority(flags([30]), capacity=20).left_out == "A capacity of 20 reaches all 1 flags."


@pytest.mark.parametrize("per", [None, "gemeente"])
def test_nothing_to_follow_up_is_no_error(per):
    result = priority(flags([]), per=per)
    assert len(result.frame) == 0
    assert "all 0 flags" in result.left_out


def test_flags_are_not_modified():
    found = flags([5, 50])
    before = found.frame.copy()
    priority(found)
    pd.testing.assert_frame_equal(found.frame, before)


def test_wrong_options_are_refused():
    found = flags([5, 50])
    for options, message in (
        ({"capacity": 0}, "capacity needs to be above 0"),
        ({"cost": 0.0}, "cost needs to be above 0"),
        ({"cost": "hours"}, "cost needs to be a column"),
        ({"cost": {"x": 1.0}}, "cost needs a number for every indicator"),
        ({"per": "wijk"}, "per needs to be a column"),
        ({"direction": "up"}, "direction needs to be"),
    ):
        with pytest.raises(InputError, match=message):
            priority(found, **options)


def test_public_name_is_the_function_however_it_is_reached():
    """A module of the same name would take its place once it is imported."""
    assert zg.priority is priority
    assert zg.priority(flags([1])).frame["rank"].tolist() == [1]


def test_values_of_another_unit_are_merged_evenly_and_never_added_up():
    found = flags(
        [5, 50, 9_000, 8_000, 7_000, 6_000],
        indicator=["a", "b", "euro", "euro", "euro", "euro"],
        family=["poisson", "binomial", *["gaussian"] * 4],
    )
    result = priority(found, capacity=3)
    assert result.frame["area"].tolist() == ["BU02", "BU01", "BU03", "BU04", "BU00", "BU05"]
    in_cents = found.frame.assign(
        expected=found.frame["expected"].where(found.frame["family"] != "gaussian", 10_000.0),
        excess_low=found.frame["excess_low"].where(
            found.frame["family"] != "gaussian", found.frame["excess_low"] * 100
        ),
    )
    again = priority(Flags(in_cents, in_cents, in_cents), capacity=3)
    assert again.frame["area"].tolist() == result.frame["area"].tolist()
    assert result.left_out.endswith("; 2 of euro.")


def test_a_dearer_flag_without_a_sure_excess_is_not_put_first():
    result = priority(flags([-10, -10], hours=[5.0, 1.0]), cost="hours", capacity=9).frame
    assert result["area"].tolist() == ["BU01", "BU00"]
