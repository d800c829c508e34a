"""Identifiers that are left in a table are found, and what is none is let alone."""

# ruff: noqa: E501  (lists of examples)
from hashlib import sha256
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

import zoo_geo as zg
from zoo_geo.errors import DisclosureError
from zoo_geo.leaks import check_leaks, find_leaks, is_bsn, is_iban
from zoo_geo.outputs.tables import write_table
from zoo_geo.pseudonyms import is_identifier_name


def bsns(n, seed=1):
    draws = np.random.default_rng(seed).integers(10**8, 10**9, 40 * n)
    return [str(number) for number in draws if is_bsn(str(number))][:n]


def iban(account="ABNA0417164300", country="NL"):
    turned = "".join(str(int(letter, 36)) for letter in f"{account}{country}00")
    return f"{country}{98 - int(turned) % 97:02d}{account}"


def test_eleven_test():
    def passes(number):
        total = sum((9 - at) * int(digit) for at, digit in enumerate(number[:8])) - int(number[8])
        return total % 11 == 0

    for number in np.random.default_rng(1).integers(1, 10**9, 300):
        text = f"{number:09d}"
        assert is_bsn(text) == passes(text)
    assert is_bsn("12345672") == is_bsn("012345672")
    assert not is_bsn("000000000")


def test_account_numbers():
    assert iban() == "NL91ABNA0417164300"
    assert is_iban("NL91 ABNA 0417 1643 00")
    assert not is_iban("NL19ABNA0417164300")
    assert is_iban("GB82WEST12345698765432")


NUMBERS = "numbers that pass the eleven test (BSN)"
NINE = "codes of nine digits (such as RINPERSOON)"


@pytest.mark.parametrize(
    ("values", "kind", "rows"),
    [
        (bsns(5), NUMBERS, 5),
        ([*["BU00010001"] * 50, *bsns(3)], NUMBERS, 3),
        ([f"persoon {number}, onbekend" for number in bsns(4)], NUMBERS, 4),
        ([number.lstrip("1") for number in bsns(200) if number.startswith("1")], None, 0),
        ([f"{n}" for n in range(100000001, 100000041) if not is_bsn(str(n))], NINE, None),
        (["a", "mail jan.de-vries@voorbeeld.nl", "b"], "e-mail addresses", 1),
        (["x", f"rekening {iban()}.", "NL91 ABNA 0417 1643 00"], "account numbers (IBAN)", 2),
        (["nl91abna0417164300", "NL91-ABNA-0417-1643-00"], "account numbers (IBAN)", 2),
        ([UUID("6957f1d1-af6b-de06-8634-32436df89453"), None], "keyed codes of persons", 1),
        (["06-12345678", "+31612345678", "0612345679"], "mobile numbers", 3),
        (["6957f1d1-af6b-de06-8634-32436df89453", "b"], "keyed codes of persons", 1),
        (["6957f1d1af6bde06863432436df89453"], "keyed codes of persons", 1),
    ],
)
def test_what_is_found(values, kind, rows):
    found = find_leaks(pd.DataFrame({"x": values}))
    if kind is None:
        return
    rows = len(values) if rows is None else rows
    assert found == [f"column 'x' needs to hold no {kind}; got some in {rows} of {len(values)} rows."]


@pytest.mark.parametrize("kind", [int, float, "object"])
def test_columns_of_numbers_that_are_persons(kind):
    numbers = [int(number) for number in bsns(9)]
    table = pd.DataFrame({"nr": pd.Series([*numbers, numbers[0], 7], dtype=kind)})
    assert find_leaks(table) == [f"column 'nr' needs to hold no {NUMBERS}; got 9 different ones."]
    figures = np.random.default_rng(7).integers(10**7, 10**9, (300, 9))
    assert not any(find_leaks(pd.DataFrame({"nr": [*row, *numbers[:3]]})) for row in figures)


def test_hashes_are_no_account_numbers():
    hashes = [f"study-{sha256(bytes([n % 251, n // 251])).hexdigest()[:24]}" for n in range(3000)]
    assert find_leaks(pd.DataFrame({"flag_id": hashes})) == []


def test_lists_are_looked_into():
    assert len(find_leaks(pd.DataFrame({"x": [["a"], ["jan@voorbeeld.nl"]]}))) == 1


@pytest.mark.parametrize(
    "values",
    [
        ["BU00010203", "WK000102", "GM0001"],
        [
            f"{year}{month:02d}{day:02d}"
            for year in range(2015, 2024)
            for month in range(1, 13)
            for day in (1, 15)
        ],
        ["2022", "2023"],
        ["NL91ABNA0417164301", "NL12"],
        ["gemeente@huis", "a@b", "@home.nl"],
        ["123456782"],
        [f"{n:010d}" for n in range(10**9, 10**9 + 50)],
        [f"E{n}N{n + 7}" for n in range(100000, 100200)],
        ["d41d8cd98f00b204"],
        [None, "", np.nan],
        [123456782, 111222333, 100000009, 999999990],
        [float("nan"), 123456782.0],
        [f"{n:,}".replace(",", ".") for n in range(123456782, 123457782, 11)],
    ],
)
def test_what_is_let_alone(values):
    assert find_leaks(pd.DataFrame({"x": values})) == []


def test_random_numbers_of_nine_digits_are_seldom_taken_for_bsn():
    draws = np.random.default_rng(4)
    tables = [pd.DataFrame({"x": [f"nr {n}" for n in draws.integers(10**8, 10**9, 30)]}) for _ in range(300)]
    assert sum(bool(find_leaks(table)) for table in tables) <= 3


def test_public_codes_are_no_leak():
    codes = bsns(6)
    assert find_leaks(pd.DataFrame({"area": codes}), codes) == []


@pytest.mark.parametrize(
    "name",
    ["bsn", "BSN", "Burgerservicenummer", "rinpersoon", "RINPERSOON", "naam", "voor_naam", "AchterNaam", "e-mail",
     "E_mail", "eigenaar_bsn", "bsn_partner", "partnerBSN", "telefoonnummer", "IBAN", "contact_email", "name", "RINPERSOONHKW", "rinpersoon_pa",
     "client_naam", "contactNaam", "naam van de eigenaar", "bsnnummer", "BSNhash", "contactpersoon", "tel", "gsm"],
)  # fmt: skip
def test_names_of_identifiers(name):
    assert is_identifier_name(name)
    assert len(find_leaks(pd.DataFrame({name: [1, 2]}))) == 1


@pytest.mark.parametrize(
    "name",
    ["area", "area_name", "buurtnaam", "naam_park", "rinpersoons", "inkomen", "branch", "name_of_area", "telling",
     "RINPERSOONS", "RINPERSOONSHKW", "naam_gebied", "eigenaar_soort", "iband", "indicator_title", "observed"],
)  # fmt: skip
def test_names_that_are_none(name):
    assert not is_identifier_name(name)


def test_the_error_names_column_and_rows_and_no_value(tmp_path):
    numbers = bsns(4)
    table = pd.DataFrame({"area": ["BU01"] * 4, "remark": pd.Categorical(numbers)})
    before = table.copy()
    for refuse in (
        lambda: zg.check_leaks(table, "cells"),
        lambda: write_table(table, "cells", tmp_path, ["csv"]),
    ):
        with pytest.raises(DisclosureError) as caught:
            refuse()
        assert (
            str(caught.value)
            == f"cells: column 'remark' needs to hold no {NUMBERS}; got some in 4 of 4 rows."
        )
    assert not list(tmp_path.iterdir())
    pd.testing.assert_frame_equal(table, before)
    check_leaks(table[["area"]], "cells")
