"""Checks of a study file that are about records: sources, the key, queries and what goes with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from zoo_geo.errors import InputError, Problems, examples
from zoo_geo.microdata import unfit
from zoo_geo.pseudonyms import Key
from zoo_geo.sections import IndicatorChoice, MicrodataRules
from zoo_geo.sql_guard import check_query


def from_records(indicator: IndicatorChoice) -> bool:
    """Say whether an indicator comes from records."""
    return indicator.query is not None or indicator.query_file is not None


def needs_table(indicator: IndicatorChoice) -> bool:
    """Say whether an indicator has a column of a table."""
    return not from_records(indicator) or indicator.exposure is not None


def read_key(rules: MicrodataRules, folder: Path) -> Key | None:
    """Return the key that a study names; None where it names none.

    Raises
    ------
    InputError
        It cannot be read, or is too short.
    """
    if rules.key_file is not None:
        return Key.from_file(folder / rules.key_file)
    return None if rules.key_env is None else Key.from_env(rules.key_env)


def check_key(draft: SimpleNamespace, problems: Problems) -> None:
    """Note a key that is missing, named twice, or too short."""
    rules = draft.microdata
    if rules.key_file is not None and rules.key_env is not None:
        problems.add("microdata needs to have one of key_file and key_env; got both.")
    elif any(source.identifiers for source in draft.sources):
        if rules.key_file is None and rules.key_env is None:
            problems.add(
                "microdata needs to have key_file or key_env, as sources have identifiers; got none."
            )
        try:
            read_key(rules, draft.path.resolve().parent)
        except InputError as error:
            problems.extend(error.within("microdata"))


def check_source_names(draft: SimpleNamespace, problems: Problems) -> None:
    """Note sources of the same name, and names that are ours."""
    names = [source.id.lower() for source in draft.sources]
    wrong = [name for name in names if names.count(name) > 1 or name.startswith("zoo_geo")]
    if wrong:
        need = "sources need to have ids of their own, capitals or not, that do not begin with zoo_geo"
        problems.add(f"{need}; got others ({examples(wrong, len(names))}).")


def read_query_files(draft: SimpleNamespace, problems: Problems) -> None:
    """Put the text of a file in the place of its name."""
    folder = draft.path.resolve().parent
    read = []
    for at, indicator in _numbered(draft):
        if indicator.query_file is not None and indicator.query is None:
            path = (folder / indicator.query_file).resolve()
            if not draft.study.allow_outside and not path.is_relative_to(folder):
                need = f"{at}.query_file needs to stay in the folder of the study"
                problems.add(f"{need}; got {indicator.query_file}.")
            try:
                indicator = replace(indicator, query=path.read_text(encoding="utf-8-sig"))
            except (OSError, UnicodeDecodeError):
                need = f"{at}.query_file needs to be a readable file in UTF-8"
                problems.add(f"{need}; got {indicator.query_file}, which is none.")
        elif indicator.query_file is not None:
            problems.add(f"{at} needs to have one of query and query_file; got both.")
        read.append(indicator)
    draft.indicators = tuple(read)


def check_queries(draft: SimpleNamespace, problems: Problems) -> None:
    """Note queries that say more than they may."""
    names = [source.id for source in draft.sources]
    codes = {source.id: source.identifiers for source in draft.sources}
    for at, indicator in _numbered(draft):
        for option in ("query", "exposure_query"):
            if (sql := getattr(indicator, option)) is not None:
                try:
                    check_query(sql, names, codes)
                except InputError as error:
                    problems.extend(error.within(f"{at}.{option}"))


def check_choices(draft: SimpleNamespace, problems: Problems) -> None:
    """Note what does not go together in an indicator."""
    for at, each in _numbered(draft):
        if not from_records(each):
            if each.observed is None:
                problems.add(
                    f"{at}.observed needs to be a column of a table, or query a SELECT; got nothing."
                )
            if each.exposure_query is not None:
                problems.add(f"{at}.exposure_query needs to stand beside a query; got none.")
            continue
        if each.observed is not None:
            problems.add(f"{at} needs to have one of observed and query; got both.")
        if each.observed_units is not None:
            hint = 'Count distinct units (aggregate = "count_units").'
            problems.add(f"{at}.observed_units needs to be left out beside a query; got one. {hint}")
        given = (each.exposure is not None) + (each.exposure_query is not None)
        for line in unfit(each.aggregate, each.family, given):
            problems.add(f"{at}.{line}")


def _numbered(draft: SimpleNamespace) -> Iterator[tuple[str, IndicatorChoice]]:
    for number, item in enumerate(draft.indicators, 1):
        yield f"indicators[{number}: {item.id}]", item
