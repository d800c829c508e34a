"""How good the peers of an area are: how alike, how stable, and who has none and why."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from zoo_geo.errors import examples
from zoo_geo.features import NORMAL
from zoo_geo.likeness import Pairs, Space
from zoo_geo.notices import Notice, points, which

REASONS = ("ok", "few_candidates", "too_far", "no_candidates", "missing_features")
"""What `quality` says about an area; the last three have no peers."""
STABILITY = ("stability", "stability_resampled")
"""Columns of `quality`: share of the peers that stay without a feature, overlap when others are drawn."""
SHAKY = 0.5
"""Stability below which a group of peers is called shaky."""
LACKS_FEATURES = -2
"""Group of areas that cannot be compared; -1 is that of areas without a class."""


def rated(
    scaled: pd.DataFrame,
    space: Space,
    pairs: Pairs,
    stays: tuple[np.ndarray, np.ndarray],
    *,
    k: int | None,
    max_distance: float | None,
) -> tuple[pd.DataFrame, float]:
    """Say how alike the peers are, in the order of the codes, and the mean distance that is too far."""
    n = len(space.x)
    count = np.bincount(pairs.focal, minlength=n)
    some = count > 0
    mean = np.bincount(pairs.focal, pairs.distance, minlength=n) / np.where(some, count, np.nan)
    far = np.zeros(n)
    np.maximum.at(far, pairs.focal, pairs.distance)
    bound = max_distance or _too_far(mean[some])
    reason = np.select(
        [space.group == LACKS_FEATURES, ~some, mean > bound, count < (k or 0)],
        ["missing_features", "no_candidates", "too_far", "few_candidates"],
        "ok",
    )
    good = np.isin(reason, ["ok", "few_candidates"])
    known = some & bool(scaled.shape[1])
    columns = {
        "n_peers": np.where(good, count, 0),
        "distance_mean": np.where(known, mean, np.nan),
        "distance_far": np.where(known, far, np.nan),
        "stability": stays[0],
        "stability_resampled": stays[1],
        "good": good,
        "reason": reason,
    }
    return pd.DataFrame(columns, index=scaled.index.rename("area")), bound


def _too_far(mean: np.ndarray) -> float:
    """Return the bound on mean distances: three robust standard deviations of the log, twice at least."""
    log = np.log(mean[mean > 0])
    if not len(log):
        return math.inf
    middle = float(np.median(log))
    spread = NORMAL * float(np.median(np.abs(log - middle)))
    return math.exp(middle + max(3 * spread, math.log(2)))


def notices(
    scaled: pd.DataFrame, quality: pd.DataFrame, pairs: Pairs, bound: float, *, k: int | None, missing: str
) -> Iterator[Notice]:
    """Say who has no peers, or peers that mean little."""
    gaps = scaled.isna().sum()
    most = ", ".join(f"{name} {count:,}" for name, count in gaps[gaps > 0].nlargest(3).items())
    hint = " missing='partial' compares on what is known." if missing == "drop" else ""
    tip = " missing='partial' vergelijkt op wat wel bekend is." if missing == "drop" else ""
    reasons = {reason: quality["reason"] == reason for reason in REASONS}
    found = (
        (
            reasons["missing_features"],
            "Without peers, for features are missing",
            f" Most often {most}.{hint}",
            "Zonder vergelijkingsgebieden, want kenmerken ontbreken",
            f" Meestal {points(most)}.{tip}",
        ),
        (
            reasons["no_candidates"],
            "Without peers, for nobody can be compared with them (no class, noise, alone, or all excluded)",
            "",
            "Zonder vergelijkingsgebieden, want niemand komt in aanmerking (geen klasse, ruis, alleen of "
            "uitgesloten)",
            "",
        ),
        (
            reasons["too_far"],
            f"Without good peers, mean distance above {bound:.3g}",
            " Detectors call them isolated and never flag them.",
            f"Zonder goede vergelijkingsgebieden, gemiddelde afstand boven {bound:.3g}".replace(".", ","),
            " Detectoren vergelijken ze niet en geven ze geen vlag.",
        ),
        (
            reasons["few_candidates"],
            f"With fewer than {k} peers, which are all there are",
            "",
            f"Met minder dan {k} vergelijkingsgebieden, meer zijn er niet",
            "",
        ),
    )
    for these, text, more, nl, meer in (*found, *_doubtful(quality, pairs)):
        if these.any():
            named, n = quality.index[these], len(quality)
            yield Notice(f"{text}: {examples(named, n)}.{more}", f"{nl}: {which(named, n)}.{meer}")


def _doubtful(quality: pd.DataFrame, pairs: Pairs) -> tuple[tuple[pd.Series, str, str, str, str], ...]:
    """Tell which areas have peers by chance: areas, then English and Dutch, each with a remark."""
    tied = pd.Series(np.isin(np.arange(len(quality)), pairs.tied), quality.index)
    shaky, moved = (quality["good"] & (quality[name] < SHAKY) for name in STABILITY)
    return (
        (
            tied,
            "With more equally distant areas than they can take",
            " The order of codes decided.",
            "Met meer even verre gebieden dan er plaats is",
            " De volgorde van de codes gaf de doorslag.",
        ),
        (
            shaky,
            "Losing more than half of their peers when one feature is left out, on average",
            "",
            "Verliezen gemiddeld meer dan de helft van hun vergelijkingsgebieden zonder een van de kenmerken",
            "",
        ),
        (
            moved,
            "Keeping less than half of their peers when scales and clusters come from other areas, drawn at "
            "random",
            "",
            "Houden minder dan de helft van hun vergelijkingsgebieden als schalen en groepen van andere, "
            "willekeurig gekozen gebieden komen",
            "",
        ),
    )
