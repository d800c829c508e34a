"""Periods in which an area's figure jumps: against its own other periods and the change around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from zoo_geo.courses import Spread
from zoo_geo.detectors import over_time
from zoo_geo.detectors.base import Alternative, Detector, Scores, options, spread_out
from zoo_geo.detectors.inputs import ISOLATED, OK, TOO_FEW, Inputs, column_status
from zoo_geo.errors import InputError
from zoo_geo.histories import Comparison, compare, prospective
from zoo_geo.notices import Notice, count


@dataclass(frozen=True)
class Spike(Detector):
    """A period of one area against its own history and the change of its surroundings.

    Given the sum over an area's periods, a count is due a share of it: by its exposure and by how the
    surroundings changed. How far rates stray from year to year is estimated robustly over all areas: a
    part that all counts have, and one for events that come in bursts, which tells in small counts. The
    area's own rate drops out, so that short histories and histories without any event promise no more
    than they hold. Periods that are odd themselves leave the history of their area and the change of others.

    Every period is its area's own yardstick, so lasting changes are found too: a level that jumped, a steep
    rise. `Trend` looks for the latter.

    Parameters
    ----------
    reference
        Whose common change is taken: ``neighbours`` (shrunk to the widest parent and the nation), ``peers``,
        ``parent:LEVEL`` or ``national``.
    history
        ``all`` other periods, or ``before``: earlier ones only, with nothing that came later, as it would
        have been found when the period ended.
    rings
        Width of the neighbours.
    alternative
        ``two-sided``, ``greater`` or ``less``.
    clean
        Rounds in which odd periods leave the expectation of others.

    References
    ----------
    Przyborowski and Wilenski (1940), doi:10.1093/biomet/31.3-4.313, for a count given a sum;
    Farrington et al. (1996), doi:10.2307/2983331, for a period against its history, odd ones counting less.

    Examples
    --------
    >>> import zoo_geo as zg
    >>> zg.Spike(history="before").history
    'before'
    """

    name: ClassVar[str] = "spike"
    evidence: ClassVar[str] = "change over time"
    own: ClassVar[tuple[str, ...]] = (
        "n_periods", "history_value", "surroundings_change", "reference_value", "spread",
    )  # fmt: skip

    reference: str = "neighbours"
    history: Literal["all", "before"] = "all"
    rings: int = 2
    alternative: Alternative = "two-sided"
    clean: int = 2

    def __post_init__(self) -> None:
        options(
            alternative=(self.alternative, ("two-sided", "greater", "less")),
            history=(self.history, ("all", "before")),
        )
        over_time.check_reference(self.reference, self.rings)
        if isinstance(self.clean, bool) or not isinstance(self.clean, int) or not 0 <= self.clean <= 5:
            raise InputError(f"clean needs to be between 0 and 5; got {self.clean!r}.")

    def _score(self, inputs: Inputs, seed: int, n_jobs: int) -> Scores:
        reference = over_time.named(self.reference, inputs)
        near, wider = over_time.common(inputs, reference, self.rings)
        work = prospective if self.history == "before" else compare
        status, shape = column_status(inputs), inputs.observed.shape
        status[over_time.isolated(inputs, near) & (inputs.status == OK)] = ISOLATED
        arrays = {name: np.full(shape, np.nan) for name in (*_RESULTS, *self.own)}
        laws: dict[int, tuple[Spread, float, int]] = {}

        def one(k: int) -> None:
            at, found = (
                over_time.columns_of(inputs, k),
                work(over_time.series(inputs, k), near, wider, self.clean),
            )
            known = np.isfinite(found.log_p)
            status[:, at] = np.where((status[:, at] == OK) & ~known, TOO_FEW, status[:, at])
            for name, array in self._results(found, inputs, k).items():
                arrays[name][:, at] = array
            stray = float(np.median(found.variance[known])) if known.any() else 0.0
            laws[k] = found.spread, stray, int(found.left.sum())

        spread_out(one, range(len(inputs.indicators)), n_jobs)
        for name in (*_RESULTS, *self.own):
            arrays[name] = np.where(status == OK, arrays[name], np.nan)
        z = arrays["z"]
        notices = [
            *_told(laws, inputs),
            *_two_periods(inputs),
            *_without_history(inputs, status),
            *over_time.broken(inputs, self.name),
        ]
        label = (z > 0).astype(np.int8) + 2 * (z < 0).astype(np.int8)
        return Scores(reference, status, arrays, ("none", "rise", "drop"), label, np.nan_to_num(z), notices)

    def _results(self, found: Comparison, inputs: Inputs, k: int) -> dict[str, np.ndarray]:
        """Name what was found of one indicator."""
        z, p = over_time.signed(found.log_p, found.upper, self.alternative)
        at, indicator = over_time.columns_of(inputs, k), inputs.indicators[k]
        is_value = indicator.family == "gaussian"
        per = 1.0 if is_value else indicator.per
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(np.isfinite(found.high), inputs.observed[:, at] / found.expected, np.nan)
            rate = found.expected if is_value else found.expected / inputs.exposure[:, at] * per
        return {
            "expected": found.expected,
            "ratio": ratio,
            "ratio_low": found.low,
            "ratio_high": found.high,
            "statistic": z,
            "z": z,
            "p_value": p,
            "n_periods": found.periods,
            "history_value": found.history * per,
            "surroundings_change": found.change,
            "reference_value": rate,
            "spread": found.variance,
        }


_RESULTS = ("expected", "ratio", "ratio_low", "ratio_high", "statistic", "z", "p_value")


def _told(laws: dict[int, tuple[Spread, float, int]], inputs: Inputs) -> list[Notice]:
    """Say how far the figures of an area stray from period to period."""
    said = []
    for k in sorted(laws):
        (law, stray, left), indicator = laws[k], inputs.indicators[k]
        if len(over_time.periods(inputs)) < 2:
            continue
        if left:
            said.append(
                Notice(
                    f"{indicator.id} from period to period: {left:,} figures are odd themselves and count "
                    "in no "
                    "other area's expectation.",
                    f"{indicator.id} van periode tot periode: {count(left)} cijfers zijn zelf vreemd en "
                    "tellen in "
                    "de verwachting van andere gebieden niet mee.",
                )
            )
        if indicator.family == "gaussian":
            continue
        share = indicator.family == "binomial"
        stray = np.sqrt(stray if share else law.common)
        said += _strays(indicator.id, stray, 0.0 if share else law.bursts, share=share)
    return said


def _strays(indicator: str, stray: float, bursts: float, *, share: bool) -> list[Notice]:
    """Say how far rates stray from period to period, and in what bursts events come."""
    en, nl = list[str](), list[str]()
    if stray >= _SEEN:
        what, wat = ("odds", "kansverhoudingen") if share else ("rates", "cijfers")
        en.append(f"{what} stray by about {stray:.0%} beyond chance")
        nl.append(f"{wat} wijken ongeveer {stray:.0%} af, meer dan toeval geeft")
    if bursts >= 0.05:  # below it is told as one at a time
        at_once = f"{1.0 + bursts:.2g}"
        en.append(f"counts{'' if en else ' vary'} as if events came {at_once} at a time")
        tegelijk = at_once.replace(".", ",")
        nl.append(f"aantallen wisselen alsof er steeds {tegelijk} gebeurtenissen tegelijk komen")
    if not en:
        return []
    return [
        Notice(
            f"{indicator} from period to period: {', and '.join(en)}; p allows for it.",
            f"{indicator} van periode tot periode: {', en '.join(nl)}; p houdt daar rekening mee.",
        )
    ]


_SEEN = 0.005
"""What is said in whole percents is nothing below this."""


def _two_periods(inputs: Inputs) -> list[Notice]:
    """Say that of two periods nothing tells which one is odd."""
    if len(over_time.periods(inputs)) != 2:
        return []
    return [
        Notice(
            "spike: of two periods a rise of the one is a drop of the other; nothing tells which one is odd.",
            "spike: van twee perioden is een stijging van de ene een daling van de andere; niets zegt "
            "welke van "
            "de twee vreemd is.",
        )
    ]


def _without_history(inputs: Inputs, status: np.ndarray) -> list[Notice]:
    """Say how many figures have nothing to be compared with."""
    alone = int(((status == TOO_FEW) & (inputs.status == OK)).sum())
    total = int((inputs.status == OK).sum())
    if not alone:
        return []
    return [
        Notice(
            f"spike: {alone:,} of {total:,} figures have no comparable period of their own area to be held "
            "against, or too few areas beside them.",
            f"spike: {count(alone)} van {count(total)} cijfers hebben in hun eigen gebied geen periode om "
            "mee te "
            "vergelijken, of te weinig gebieden naast zich.",
        )
    ]
