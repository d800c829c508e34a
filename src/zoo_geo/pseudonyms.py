"""Keyed codes in the place of direct identifiers, and the names that such columns go by."""

# ruff: noqa: SIM905  (lists of words)
from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from zoo_geo.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

LEAST_KEY = 16
"""Bytes that a key needs: fewer can be tried out."""

_CODE = 16
_NAMES = frozenset(
    """
    bsn burgerservicenummer sofinummer sofi rin rinpersoon anummer vnummer ssn socialsecuritynumber
    persoonnaam naam namen persoonsnaam
    volledigenaam voornaam voornamen roepnaam achternaam achternamen geslachtsnaam
    familienaam meisjesnaam initialen voorletters name fullname firstname givenname lastname surname
    familyname email emailadres emailaddress mail mailadres telefoon telefoonnummer telnr mobiel
    mobielnummer tel gsm gsmnummer contactpersoon
    phone phonenumber telephone iban rekeningnummer bankrekening bankrekeningnummer
    bankaccount paspoortnummer passportnumber rijbewijsnummer documentnummer geboortenaam
    """.split()
)
_WORDS = frozenset(
    """
    bsn burgerservicenummer sofinummer rinpersoon ssn email emailadres iban voornaam achternaam geslachtsnaam
    telefoonnummer paspoortnummer
    """.split()
)
_PERSONS = frozenset(
    """
    persoon person client klant contact bewoner inwoner eigenaar partner kind ouder patient huisarts
    medewerker verdachte slachtoffer aanvrager owner customer
    """.split()
)
_STEMS = ("bsn", "burgerservice", "sofinummer", "telefoonnummer", "rekeningnummer")
_RIN = re.compile(r"rinpersoon(?!s)")  # RINPERSOONS and RINPERSOONSHKW say of which kind a number is


class Key:
    """The secret behind the codes; it shows in no text, log, error or file.

    Parameters
    ----------
    secret
        At least 16 bytes.

    Raises
    ------
    InputError
        It is shorter.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) < LEAST_KEY:
            raise InputError(f"key needs to be at least {LEAST_KEY} bytes; got {len(secret)}.")
        # what is longer than BLAKE2b takes is shortened by BLAKE2b itself
        self._secret = secret if len(secret) <= 64 else hashlib.blake2b(secret).digest()

    def __repr__(self) -> str:
        return "<Key>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not written anywhere")

    @classmethod
    def from_file(cls, path: str | Path) -> Key:
        """Read a key; blanks and line ends around it do not count.

        Raises
        ------
        InputError
            The file cannot be read, or holds fewer than 16 bytes.
        """
        try:
            secret = Path(path).read_bytes().strip()
        except OSError as error:
            raise InputError(f"key file needs to be readable; got: {error.strerror}.") from None
        return cls._told(secret, "key file")

    @classmethod
    def from_env(cls, name: str) -> Key:
        """Read a key from a variable of the environment.

        Raises
        ------
        InputError
            There is no such variable, or it holds fewer than 16 bytes.
        """
        if name not in os.environ:
            raise InputError(f"environment variable {name} needs to hold the key; got no such variable.")
        return cls._told(os.environ[name].strip().encode(), f"environment variable {name}")

    @classmethod
    def _told(cls, secret: bytes, place: str) -> Key:
        try:
            return cls(secret)
        except InputError as error:
            raise error.within(place) from None

    def codes(self, texts: pa.Array) -> pa.Array:
        """Return the code of each text, as a UUID, which nobody adds up by mistake; none for nobody.

        Keyed BLAKE2b of 16 bytes, as `hashlib.blake2b(text, key=..., digest_size=16)` gives it. Blanks
        around a text, zeros before a number and .0 or .00 behind it do not count, however it was
        stored: 012345678, 12345678 and 12345678.0 are one person. Empty, and nothing but zeros, is nobody.
        """
        import numpy as np
        import pyarrow as pa

        from zoo_geo.kernels.keyed_codes import keyed_codes, keyed_start

        whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        nobody = whole.is_null().to_numpy(zero_copy_only=False)
        whole = whole.fill_null("").cast(pa.large_string())
        _, places, letters = whole.buffers()
        offsets = np.frombuffer(places, np.int64)[whole.offset : whole.offset + len(whole) + 1]
        data = np.frombuffer(letters, np.uint8) if letters is not None else np.empty(0, np.uint8)
        out, nobody = np.empty((len(whole), 2), np.uint64), nobody.copy()
        keyed_codes(keyed_start(self._secret, _CODE), offsets, data, out, nobody)
        known = pa.array(~nobody).buffers()[1]
        stored = pa.Array.from_buffers(pa.binary(_CODE), len(out), [known, pa.py_buffer(out.astype("<u8"))])
        return pa.ExtensionArray.from_storage(pa.uuid(), stored)


def text_sql(column: str, dtype: str) -> str:
    """Return SQL for an identifier as text, so that 12345678.0 is 12345678.

    Parameters
    ----------
    column
        The column, quoted.
    dtype
        Its type in DuckDB.
    """
    text = f"CAST({column} AS VARCHAR)"
    if not dtype.upper().startswith(("DOUBLE", "FLOAT", "DECIMAL")):
        return text
    whole = f"CAST(CAST({column} AS HUGEINT) AS VARCHAR)"
    return f"CASE WHEN {column} = floor({column}) THEN {whole} ELSE {text} END"


def is_identifier_name(name: str) -> bool:
    """Say whether a column goes by a name of direct identifiers, such as bsn, partner_bsn or achternaam."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    plain = "".join(re.findall(r"[a-z]+", name.lower()))
    of_person = not _PERSONS.isdisjoint(words) and not {"naam", "name"}.isdisjoint(words)
    if plain in _NAMES or plain.startswith(_STEMS):
        return True
    return not _WORDS.isdisjoint(words) or of_person or _RIN.match(plain) is not None


def undeclared(columns: Iterable[str], declared: Iterable[str]) -> list[str]:
    """Return the columns that go by a name of direct identifiers and are not declared as such."""
    known = {name.lower() for name in declared}
    return [name for name in columns if name.lower() not in known and is_identifier_name(name)]
