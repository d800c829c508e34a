"""Groups of SBI codes."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_geo.branches import BranchGroup, branch_notices, branch_table, matches
from zoo_geo.errors import InputError, StudyError
from zoo_geo.study import load_study

STUDIOS = BranchGroup("kappers_nagelstudios", "2008", ("96.02.1", "96022"), "Kappers en nagelstudio's")
NEW = BranchGroup("kappers_nagelstudios", "2025", ("9621", "9622"))


def test_codes_match_by_what_they_begin_with():
    codes = pd.Series(["96021", "96.02.2", " 96 022", "9602", "96023", "9604", "960210", "", None, "0111"])
    assert matches(codes, STUDIOS).tolist() == [
        True,
        True,
        True,
        False,
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    farms = BranchGroup("landbouw", "2008", ("01",))
    assert matches(codes, farms).tolist() == [False] * 9 + [True]


def test_the_version_decides_too():
    codes = pd.Series(["96210", "96210", "96021", "96021", None])
    versions = pd.Series(["2025", "2008", "2008", "2025", None])
    assert matches(codes, NEW, versions).tolist() == [True, False, False, False, False]
    assert matches(codes, STUDIOS, versions).tolist() == [False, False, True, False, False]


digits = st.text("0123456789", min_size=2, max_size=5)


@given(
    st.lists(digits, min_size=1, max_size=20),
    st.lists(st.sampled_from(["96", "9602", "96021", "47", "477"]), min_size=1),
)
def test_every_code_is_judged_by_itself(codes, prefixes):
    group = BranchGroup("g", "2008", tuple(prefixes))
    expected = [any(code[: len(prefix)] == prefix for prefix in prefixes) for code in codes]
    assert matches(pd.Series(codes), group).tolist() == expected
    for one, other in np.ndindex(len(group.prefixes), len(group.prefixes)):
        assert one == other or not group.prefixes[one].startswith(group.prefixes[other])


def test_a_join_finds_the_same_and_each_company_once():
    groups = [STUDIOS, NEW, BranchGroup("diensten", "2008", ("96", "96021", "95"))]
    companies = pd.DataFrame({
        "kvk": ["1", "2", "3", "4", "5"],
        "sbi": ["96021", "96220", "9604", "96022", "47111"],
        "sbi_versie": ["2008", "2025", "2008", "2025", "2008"],
    })  # fmt: skip
    branches = branch_table(groups)
    with duckdb.connect() as base:
        base.register("companies", companies)
        base.register("branches", branches)
        found = base.sql(
            "SELECT b.branch, c.kvk FROM companies c "
            "JOIN branches b ON c.sbi_versie = b.sbi AND starts_with(c.sbi, b.prefix) ORDER BY ALL"
        ).fetchall()
    assert found == [
        ("diensten", "1"),
        ("diensten", "3"),
        ("kappers_nagelstudios", "1"),
        ("kappers_nagelstudios", "2"),
    ]
    for group in groups:
        inside = matches(companies["sbi"], group, companies["sbi_versie"])
        assert {(group.id, kvk) for kvk in companies["kvk"][inside]} <= set(found)


def test_overlaps_are_said():
    assert branch_notices([STUDIOS, NEW]) == []
    said = branch_notices([STUDIOS, BranchGroup("diensten", "2008", ("96", "96021"))])
    assert said == [
        "branches diensten: codes that shorter ones cover (1; first: 96021).",
        "branches kappers_nagelstudios and diensten overlap (2; first: 96021, 96022): "
        "a company in both counts in both.",
    ]


@pytest.mark.parametrize(
    ("sbi", "codes", "said"),
    [
        ("2012", ("96021",), "sbi needs to be one of 2008, 2025; got '2012'"),
        ("2008", (), "at least one"),
        ("2008", "96021", "at least one"),
        ("2008", ("96021", 111), r"need to be text; got int \(1 of 2; first: 111\)"),
        ("2008", ("S", "96021"), r"two to five digits; got others \(1 of 2; first: S\)"),
        ("2008", ("960211",), "two to five digits"),
        ("2008", ("34110", "04", "96021"), r"of SBI 2008; got others \(2 of 3; first: 34110, 04\)"),
        ("2025", ("45112",), "of SBI 2025"),
    ],
)
def test_wrong_groups_are_told(sbi, codes, said):
    with pytest.raises(InputError, match=said):
        BranchGroup("g", sbi, codes)


def test_wrong_codes_of_companies_are_told():
    with pytest.raises(InputError, match=r"need to be text; got int.* \(1 of 2; first: 111\)"):
        matches(pd.Series([111, "0111"], dtype=object), STUDIOS)
    with pytest.raises(InputError, match=r"two to six digits; got others \(1 of 2; first: kapper\)"):
        matches(pd.Series(["kapper", "0111"]), STUDIOS)
    with pytest.raises(InputError, match=r"got others \(1; first: 2012\)"):
        matches(pd.Series(["96021"]), STUDIOS, pd.Series(["2012"]))
    with pytest.raises(InputError, match=r"one entry per id and version; got several \(1 of 3"):
        branch_table([STUDIOS, NEW, STUDIOS])


STUDY = """
[study]
id = "s"
[areas]
path = "a.gpkg"
[[tables]]
id = "t"
path = "t.csv"
area = "code"
[[indicators]]
id = "i"
observed = "n"
exposure = "m"
[[detectors]]
type = "deviation"
reference = "national"
"""


def test_branches_of_a_study(tmp_path):
    (tmp_path / "a.gpkg").touch()
    (tmp_path / "t.csv").touch()
    path = tmp_path / "study.toml"
    entry = '[[branches]]\nid = "kappers"\nsbi = "2008"\ncodes = ["96021", "96022"]\n'
    path.write_text(STUDY + entry, encoding="utf-8")
    assert branch_table(load_study(path).branches)["prefix"].tolist() == ["96021", "96022"]
    path.write_text(STUDY + entry.replace("96022", "3402") + entry, encoding="utf-8")
    with pytest.raises(StudyError, match=r"branches\[1: kappers\]: codes of kappers need to be of SBI 2008"):
        load_study(path)
    path.write_text(STUDY + entry + entry, encoding="utf-8")
    with pytest.raises(StudyError, match="one entry per id and version"):
        load_study(path)
