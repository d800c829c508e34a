"""The CBS dialect."""

import numpy as np
import pandas as pd
import pytest

from zoo_geo import cbs
from zoo_geo.schema import STATUSES


@pytest.mark.parametrize("code", ["GM0014", "WK001401", "WK0363AA", "BU00140000", "BU0363AA01", "BU09989999"])
def test_codes_of_all_levels_are_known(code):
    assert cbs.is_code(pd.Series([code])).all()


@pytest.mark.parametrize(
    "code", ["14", "GM14", "gm0014", "BU0014000", "BU001400001", "WK00AA01", "NL00", " GM0014", ""]
)
def test_other_text_is_no_code(code):
    assert not cbs.is_code(pd.Index([code])).any()


def test_water_codes_are_those_of_buurten_that_stand_for_water():
    codes = pd.Series(["BU03639997", "BU03639998", "BU03639999", "BU99980000", "WK036398", "GM9998"])
    assert cbs.is_water_code(codes).tolist() == [True, True, False, False, False, False]


def test_missing_codes_have_a_status():
    figures = np.array([5.0, 0.0, -5.0, np.nan, -99997, -99995, -99991, -99999999, -99990])
    found = [STATUSES[at] for at in cbs.missing_status(figures)]
    assert found == ["ok", "ok", "ok", "missing", "secret", "missing", "missing", "missing", "ok"]
