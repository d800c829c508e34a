"""Features that say nothing: covariates known for next to nobody, classes of one area each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zoo_geo.detectors.inputs import OK, Inputs
from zoo_geo.errors import InputError, examples
from zoo_geo.notices import Notice, which

_FEWEST_KNOWN = 30
"""Areas for whom a covariate is known, from which on it is used; or half of those with a figure."""
_FEWEST_ALIKE = 9
"""Others in the class of the middling area, below which a notice asks for wider classes."""


def idle(values: np.ndarray, names: np.ndarray) -> tuple[np.ndarray, tuple[Notice, ...]]:
    """Say which covariates can be used, shape (n_covariates,), and in words which are left out.

    Parameters
    ----------
    values
        Covariates of the areas that have a figure, shape (n_areas, n_covariates); NaN where not known.
    names
        Of the covariates, shape (n_covariates,).

    Raises
    ------
    InputError
        None of them can be used.
    """
    if len(values) < 2:
        return np.ones(names.size, bool), ()
    known = np.isfinite(values)
    few = known.sum(axis=0) < min(_FEWEST_KNOWN, known.shape[0] / 2)
    low = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
    high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    alike = ~few & (low >= high)
    if (few | alike).all():
        raise InputError(
            f"covariates need to differ between areas that have a figure, {_FEWEST_KNOWN} or more; got none "
            f"that does ({examples(names)}). Take other columns."
        )
    told = [
        Notice(
            f"Covariates left out, {en}: {examples(names[these], names.size)}.",
            f"Kenmerken weggelaten, {nl}: {which(names[these], names.size)}.",
        )
        for these, en, nl in (
            (
                few,
                f"known for fewer than {_FEWEST_KNOWN} areas with a figure",
                f"bekend voor minder dan {_FEWEST_KNOWN} gebieden met een cijfer",
            ),
            (alike, "do not differ", "verschillen niet"),
        )
        if these.any()
    ]
    return ~few & ~alike, tuple(told)


def refuse_single(inputs: Inputs, name: str, labels: np.ndarray) -> None:
    """Raise where most areas with a figure are alone in their class, as with a column of numbers.

    Raises
    ------
    InputError
        Names areas that are alone, or have no class.
    """
    seen = (inputs.status == OK).any(axis=1)
    others = _others(labels, seen)[seen]
    if 2 * (others <= 0).sum() > seen.sum() > 1:
        alone = inputs.codes[seen][others <= 0]
        raise InputError(
            f"reference='stratum:{name}' needs to have classes of several areas; got areas with a figure "
            f"that are alone in their class or have none ({examples(alone, seen.sum())}). Cut a column of "
            "numbers into a few classes (pandas.qcut)."
        )


def classed(inputs: Inputs, name: str, labels: np.ndarray) -> Iterator[Notice]:
    """Say who is in no class or alone in it, and whether classes tell areas apart.

    Parameters
    ----------
    inputs
        Areas and which of them have a figure.
    name
        The column that the classes are of.
    labels
        Number of each area's class, -1 for none, shape (n_areas,).
    """
    seen = (inputs.status == OK).any(axis=1)
    others, codes = _others(labels, seen)[seen], inputs.codes[seen]
    for these, en, nl in (
        (others < 0, "Without a class of", "Zonder klasse van"),
        (others == 0, "Alone in their class of", "Alleen in hun klasse van"),
    ):
        if these.any():
            listed, genoemd = (tell(codes[these], codes.size) for tell in (examples, which))
            yield Notice(
                f"{en} {name}, and not compared: {listed}.", f"{nl} {name}, en niet vergeleken: {genoemd}."
            )
    if np.unique(labels[seen & (labels >= 0)]).size == 1:
        yield Notice(
            f"All areas have the same {name}: they are compared with all others.",
            f"Alle gebieden hebben dezelfde {name}: ze zijn met alle andere vergeleken.",
        )
    elif seen.any() and np.median(others) < _FEWEST_ALIKE:
        n = int(np.median(others))
        yield Notice(
            f"Classes of {name} are small: half of the areas share theirs with {n} others or fewer. Wider "
            "ones say more.",
            f"Klassen van {name} zijn klein: de helft van de gebieden deelt ze met hooguit {n} andere. "
            "Ruimere zeggen meer.",
        )


def _others(labels: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """How many other areas with a figure an area's class holds, -1 where it has none; shape (n,)."""
    size = np.bincount(labels[seen & (labels >= 0)], minlength=labels.max(initial=-1) + 1)
    return np.where(labels < 0, -1, np.append(size, 0)[labels] - seen)
