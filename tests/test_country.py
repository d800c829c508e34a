"""The main job on the real Dutch neighbourhoods, where the data are beside the project."""

import json

import numpy as np
import pandas as pd
import pytest

import zoo_geo as zg

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]

# Without a response to exposure, as in the first row of decision 0010: crimes per resident pile up on small
# exposures, and one-year spikes are among them. With it (the default) a map of one year cannot tell them from
# visitors.
STUDY = """
[study]
id = "nederland"
title = "Misdrijven per buurt"
language = "en"
seed = 7
allow_outside = true

[areas]
path = "{folder}/buurten_2024.gpkg"
id = "code"
name = "naam"
parents = {{ wijk = "wk_code", gemeente = "gm_code" }}

[weights]
method = "queen"
tolerance = 50

[[tables]]
id = "cijfers"
path = "{folder}/buurten_2024.csv"
area = "buurtcode"
unknown_areas = "drop"

[[indicators]]
id = "crimes"
title = {{ nl = "Misdrijven per 1.000 inwoners", en = "Crimes per 1,000 residents" }}
observed = {{ 2021 = "misdrijven_2021", 2022 = "misdrijven_2022", 2023 = "misdrijven_2023", 2024 = "misdrijven_2024", 2025 = "misdrijven_2025" }}
exposure = "aantal_inwoners"

[[indicators]]
id = "property"
title = {{ nl = "Vermogensmisdrijven", en = "Property crimes" }}
observed = {{ 2024 = "vermogensmisdrijven_2024" }}
exposure = "aantal_inwoners"

[[indicators]]
id = "violence"
title = {{ nl = "Geweldsmisdrijven", en = "Violence" }}
observed = {{ 2024 = "geweldsmisdrijven_2024" }}
exposure = "aantal_inwoners"

[[indicators]]
id = "vandalism"
title = {{ nl = "Vernielingen", en = "Vandalism" }}
observed = {{ 2024 = "vernielingen_2024" }}
exposure = "aantal_inwoners"

[[detectors]]
type = "deviation"
response = false
heavy = false

[[detectors]]
type = "deviation"
response = false
heavy = false
reference = "parent:gemeente"

[[detectors]]
type = "deviation"
response = false
heavy = false
reference = "national"

[[detectors]]
type = "getis_ord"

[[detectors]]
type = "local_moran"

[flags]
min_ratio = 1.25
context = ["deviation:national"]
"""  # noqa: E501

SPIKES = {("BU06060003", "2024"), ("BU03420801", "2024"), ("BU02770000", "2023")}


@pytest.fixture(scope="module")
def table(shared_data):
    return pd.read_csv(shared_data / "nl_buurten_2024" / "buurten_2024.csv", dtype={"buurtcode": str})


@pytest.fixture(scope="module")
def run(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("country")
    (folder / "study.toml").write_text(STUDY.format(folder=shared_data / "nl_buurten_2024"), encoding="utf-8")
    return zg.run(folder / "study.toml", folder / "out"), folder / "out"


def test_areas_without_figures_are_no_flags_and_no_zeros(run, table):
    result, _ = run
    unknown = set(table.loc[table["misdrijven_2024"].isna() | table["aantal_inwoners"].isna(), "buurtcode"])
    cells = result.flags.cells
    cells = cells[(cells["indicator"] == "crimes") & (cells["period"] == "2024")].set_index("area")
    known_areas = cells.index.isin(unknown)
    assert known_areas.sum() > 80
    assert (cells.loc[known_areas, "status"] == "missing").all()
    assert cells.loc[known_areas, "value"].isna().all()
    assert not cells.loc[known_areas, "flagged"].any()
    assert len(cells) == 14_566


def test_one_year_spikes_are_flagged_in_their_year(run):
    result, _ = run
    crimes = result.flags.frame[result.flags.frame["indicator"] == "crimes"]
    assert set(zip(crimes["area"], crimes["period"], strict=True)) >= SPIKES
    high = crimes.set_index(["area", "period"]).loc[list(SPIKES)]
    assert (high["direction"] == "high").all()
    assert (high["ratio"] > 4).all()


def test_spikes_are_not_flagged_in_the_other_years_before(run):
    crimes = run[0].flags.frame.query("indicator == 'crimes'")
    found = set(zip(crimes["area"], crimes["period"], strict=True))
    assert not found & {(area, "2021") for area, _ in SPIKES}


def test_report_says_how_many_flags_are_on_small_exposures_and_warns(run):
    result, out = run
    report = json.loads((out / "report_internal.json").read_text(encoding="utf-8"))
    small = (result.flags.frame["exposure"] < 200).sum()
    assert small > 1_000
    assert report["small_exposure"]["flags"] == small
    assert "below 200 for a rate per 1,000" in (out / "report_internal.md").read_text(encoding="utf-8")
    warnings = [notice for notice in report["notices"] if "The exposure may not be" in notice]
    assert any(notice.startswith("crimes (2021, 2022, 2023, 2024, 2025)") for notice in warnings)
    assert any("left out (8 of 14,574" in notice for notice in report["notices"])


def test_page_of_the_country_stays_within_bounds(run):
    assert (run[1] / "map_internal.html").stat().st_size < 25e6


def test_expectations_are_sane(run):
    deviation = next(d for d in run[0].detections if d.name == "deviation:neighbours")
    frame = deviation.frame[deviation.frame["status"] == "ok"]
    total = frame.groupby(["indicator", "period"], observed=True)[["observed", "expected"]].sum()
    assert (total["expected"] / total["observed"]).between(0.6, 1.1).all()
    large = frame[frame["exposure"] >= 1_000]
    share = (large["p_value"] <= 0.05).mean()
    assert 0.02 < share < 0.2
    assert np.isfinite(frame["p_value"]).all()
    assert frame["p_value"].between(0, 1).all()


def test_a_response_to_exposure_leaves_no_pile_on_small_exposures(run):
    """Crimes per resident: in every class of residents z spreads as it should, and few p are extreme."""
    result, _ = run
    near = zg.build_weights(result.areas, "queen", tolerance=50)
    found = zg.Deviation().detect(result.panel, near, areas=result.areas)
    cells = found.frame[(found.frame["status"] == "ok") & (found.frame["period"] == "2024")]
    classes = cells.groupby(
        [cells["indicator"], pd.cut(cells["exposure"], [0, 200, 500, 2_000, np.inf])], observed=True
    )
    assert classes["z"].std().between(0.75, 1.2).all()
    assert (cells["p_value"] <= 0.001).groupby(cells["indicator"], observed=True).mean().max() < 0.004
    assert any("people nobody counted" in notice for notice in found.notices)
