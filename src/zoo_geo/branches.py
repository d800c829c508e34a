"""Branches: groups of activity codes of the Dutch Standard Industrial Classification (SBI), by version."""

# ruff: noqa: RUF009  (`key` returns a dataclass field)
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import pandas as pd

from zoo_geo.errors import InputError, examples
from zoo_geo.notices import Notice, which
from zoo_geo.strict import key

Version = Literal["2008", "2025"]
VERSIONS: tuple[Version, ...] = get_args(Version)

_SPANS = ((1, 3), (5, 9), (10, 33), (35, 39), (41, 43), (45, 47), (49, 53), (55, 56), (58, 66), (68, 75))
_MORE = ((77, 82), (84, 88), (90, 99))
_DIVISIONS_2008 = {f"{k:02d}" for low, high in (*_SPANS, *_MORE) for k in range(low, high + 1)}
_DIVISIONS = {"2008": _DIVISIONS_2008, "2025": _DIVISIONS_2008 - {"45"}}
"""First two digits that exist: those of NACE Rev. 2 (2008) and Rev. 2.1 (2025), which has no 45."""

_CODE = re.compile(r"\d{2,5}")
_ID = {"pattern": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*"), "form": "of letters, digits, _ . and -"}


@dataclass(frozen=True)
class BranchGroup:
    """A group of branches, as 'hairdressers and nail studios'.

    In SBI 2008 hair care is 96021 and beauty care (with pedicures, manicures and nail studios) 96022. SBI
    2025 follows NACE Rev. 2.1, where hairdressers are 9621 and beauty care is 9622. A group that spans
    years gets an entry for each version, with the same id.

    Parameters
    ----------
    id
        Short name.
    sbi
        Version that the codes are of: 2008 or 2025. The same digits mean something else in the other one.
    codes
        Codes, or the digits that they begin with; two to five digits as text, dots and blanks do not matter.
    title
        What it is called.

    Raises
    ------
    InputError
        A version that is not known; codes that are no text of two to five digits, or begin with digits that
        the version does not have.

    References
    ----------
    CBS, *Standaard Bedrijfsindeling 2008* and *2025*; Regulation (EU) 2023/137 (NACE Rev. 2.1).

    Examples
    --------
    >>> BranchGroup("kappers", "2008", ("96.02.1",)).prefixes
    ('96021',)
    """

    id: str = key("Short name.", **_ID)
    sbi: Version = key("Version of the codes, 2008 or 2025.")
    codes: tuple[str, ...] = key("Codes, or the digits they begin with, as text.", at_least=1)
    title: str = key("What it is called.", "")

    def __post_init__(self) -> None:
        if self.sbi not in VERSIONS:
            raise InputError(f"sbi needs to be one of {', '.join(VERSIONS)}; got {self.sbi!r}.")
        if isinstance(self.codes, str) or not self.codes:
            raise InputError(f"codes of {self.id} need to be a list of at least one; got {self.codes!r}.")
        _check(self.codes, self.sbi, self.id)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The codes as plain digits, sorted; those that another one covers are left out."""
        plain = sorted({plain_code(code) for code in self.codes})
        return tuple(code for code in plain if not any(code[:n] in plain for n in range(2, len(code))))


def plain_code(code: str) -> str:
    """Return the digits of a code: 96.02.1 is 96021."""
    return re.sub(r"[\s.]", "", code)


def _check(codes: Sequence[object], version: Version, id: str) -> None:
    """Raise where codes are no SBI codes of a version."""
    numbers = [code for code in codes if not isinstance(code, str)]
    if numbers:
        raise InputError(
            f"codes of {id} need to be text; got {type(numbers[0]).__name__} "
            f"({examples(numbers, len(codes))}). Numbers lose leading zeros (0111 becomes 111)."
        )
    given = [str(code) for code in codes]
    wrong = [code for code in given if not _CODE.fullmatch(plain_code(code))]
    if wrong:
        raise InputError(
            f"codes of {id} need to be two to five digits; got others ({examples(wrong, len(codes))}). "
            "A section (a letter) is the list of its first two digits."
        )
    absent = [code for code in given if plain_code(code)[:2] not in _DIVISIONS[version]]
    if absent:
        raise InputError(
            f"codes of {id} need to be of SBI {version}; got others ({examples(absent, len(codes))}). "
            f"The first two digits do not exist in it."
        )


def matches(codes: pd.Series, group: BranchGroup, versions: pd.Series | None = None) -> np.ndarray:
    """Say which codes belong to a group.

    Parameters
    ----------
    codes
        SBI codes as text, shape (n,); empty where there is none, which belongs to no group.
    group
        Of one version.
    versions
        Version of each code, shape (n,); all that of the group when not given.

    Returns
    -------
    np.ndarray
        True or False, shape (n,).

    Raises
    ------
    InputError
        Codes are no text or hold something else than two to six digits, or a version is not known.

    Examples
    --------
    >>> group = BranchGroup("kappers_nagelstudios", "2008", ("96021", "96022"))
    >>> matches(pd.Series(["96.02.1", "96022", "9604", None]), group).tolist()
    [True, True, False, False]
    """
    factors, known = pd.factorize(codes)
    numbers = [code for code in known if not isinstance(code, str)]
    if numbers:
        raise InputError(
            f"SBI codes need to be text; got {type(numbers[0]).__name__} ({examples(numbers, len(known))}). "
            "Numbers lose leading zeros (0111 becomes 111): read the column as text."
        )
    plain = [plain_code(code) for code in known]
    wrong = [
        code
        for code, digits in zip(known, plain, strict=True)
        if digits and not re.fullmatch(r"\d{2,6}", digits)
    ]
    if wrong:
        raise InputError(
            f"SBI codes need to be two to six digits; got others ({examples(wrong, len(known))})."
        )
    inside = np.array([digits.startswith(group.prefixes) for digits in plain] + [False])[factors]
    if versions is None:
        return inside
    odd = pd.Index(versions[codes.notna().to_numpy()].unique()).difference(pd.Index(VERSIONS))
    if len(odd):
        raise InputError(
            f"versions of SBI need to be one of {', '.join(VERSIONS)}; got others ({examples(odd)})."
        )
    return inside & versions.eq(group.sbi).to_numpy(bool)


def branch_table(groups: Iterable[BranchGroup]) -> pd.DataFrame:
    """Return the groups as a table to join with: one row per group, version and prefix.

    No prefix covers another one of its group and version, so that a company joins a group once::

        JOIN branches b ON c.sbi_versie = b.sbi AND starts_with(c.sbi, b.prefix)

    Returns
    -------
    pd.DataFrame
        Text columns ``branch`` (the id), ``sbi`` (the version), ``prefix``, ``title``.

    Raises
    ------
    InputError
        Two entries have the same id and version.

    Examples
    --------
    >>> branch_table([BranchGroup("kappers", "2008", ("9602", "96021"))])["prefix"].tolist()
    ['9602']
    """
    listed = list(groups)
    named = pd.Index([f"{group.id} ({group.sbi})" for group in listed], dtype=object)
    if named.has_duplicates:
        twice = named[named.duplicated()].unique()
        raise InputError(
            "branches need to have one entry per id and version; got several "
            f"({examples(twice, len(named))})."
        )
    rows = [(group.id, group.sbi, prefix, group.title) for group in listed for prefix in group.prefixes]
    return pd.DataFrame(rows, columns=["branch", "sbi", "prefix", "title"], dtype=object)


def branch_notices(groups: Iterable[BranchGroup]) -> list[Notice]:
    """Say what an analyst has to know of the groups: codes in two of them, codes that cover others."""
    listed, lines = list(groups), list[Notice]()
    for group in listed:
        covered = sorted({plain_code(code) for code in group.codes} - set(group.prefixes))
        if covered:
            lines.append(
                Notice(
                    f"branches {group.id}: codes that shorter ones cover ({examples(covered)}).",
                    f"branches {group.id}: codes die al onder een kortere code vallen ({which(covered)}).",
                )
            )
    for one, other in combinations(listed, 2):
        if one.sbi != other.sbi or one.id == other.id:
            continue
        shared = [
            max(a, b, key=len)
            for a in one.prefixes
            for b in other.prefixes
            if a.startswith(b) or b.startswith(a)
        ]
        if shared:
            en, nl = (tell(sorted(set(shared))) for tell in (examples, which))
            lines.append(
                Notice(
                    f"branches {one.id} and {other.id} overlap ({en}): a company in both counts in both.",
                    f"branches {one.id} en {other.id} overlappen ({nl}): een bedrijf dat in beide hoort, "
                    "telt "
                    "in beide mee.",
                )
            )
    return lines
