"""What can go wrong, and how it is said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class ZooGeoError(Exception):
    """Anything that zoo-geo raises on purpose."""


class InputError(ZooGeoError):
    """The input is wrong: one line per problem, all of them together.

    Parameters
    ----------
    problems
        One sentence each, in the form
        ``X needs to be Y; got Z (N of M; first: a, b, c). Hint.``
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))

    def within(self, place: str) -> InputError:
        """Return the same error, each line led by the file or table it is about."""
        return type(self)([f"{place}: {problem}" for problem in self.problems])


class StudyError(InputError):
    """The study file is wrong."""


class DisclosureError(ZooGeoError):
    """A figure would leave the house unprotected."""


class ReviewError(ZooGeoError):
    """A sign-off is missing, stale or forged."""


class Problems:
    """Collects what is wrong with an input, so that an analyst can mend it in one round."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, line: str) -> None:
        """Note one problem."""
        self._lines.append(line)

    def extend(self, error: InputError) -> None:
        """Note every problem of an error that was caught."""
        self._lines.extend(error.problems)

    def raise_if_any(self, kind: type[InputError] = InputError) -> None:
        """Raise all that was noted as one error; do nothing when nothing was."""
        if self._lines:
            raise kind(self._lines)


def examples(values: Sequence[object] | Iterable[object], total: int | None = None, most: int = 3) -> str:
    """Say how many and which: ``4 of 600; first: a, b, c``.

    Parameters
    ----------
    values
        What is wrong.
    total
        Out of how many; left out of the text when not given.
    most
        How many are named.
    """
    listed = list(values)
    count = f"{len(listed):,}" if total is None else f"{len(listed):,} of {total:,}"
    return f"{count}; first: {', '.join(str(value) for value in listed[:most])}"
