"""Change over time: is `Spike` right, what does it find on the real country, and how fast is it all?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

import zoo_geo as zg
from benchmarks import country
from benchmarks.clock import median_of, timed
from zoo_geo.kernels.histories import split_tails
from zoo_geo.significance import adjust
from zoo_geo.trends import mann_kendall, sen_slopes

LEVELS = (0.05, 0.01, 0.001)
CLASSES = ((0, 5), (5, 20), (20, 100), (100, np.inf))
SPIKES = {"BU06060003": "2024", "BU03420801": "2024", "BU02770000": "2023"}


@dataclass(frozen=True)
class Scene:
    """How counts come about: per resident, by area, surroundings and year; planted years are multiplied."""

    name: str
    spread: float = 0.02
    bursts: float = 0.3
    periods: int = 5
    rate: float = 0.03
    planted: float = 0.01
    scale: float = 25.0


SCENES = (
    Scene("no overdispersion", spread=0.0, bursts=0.0),
    Scene("rates stray by 14 %, some bursts"),
    Scene("rates stray by 32 %", spread=0.1, bursts=0.0),
    Scene("bursts of 3", bursts=2.0),
    Scene("two periods", periods=2),
    Scene("ten periods", periods=10),
    Scene("rough change (6 km)", scale=6.0),
    Scene("one in ten planted", planted=0.1),
    Scene("rare events", rate=0.001),
)


@dataclass(frozen=True, eq=False)
class Draw:
    """Counts of one scene, shape (n, n_periods), what is planted, and what is due without it."""

    counts: np.ndarray
    planted: np.ndarray
    due: np.ndarray


def simulate(where: country.Country, scene: Scene, seed: int) -> Draw:
    """Draw counts; one planted year in an area, two to five times as high."""
    rng = np.random.default_rng(seed)
    n, shape = where.residents.size, (where.residents.size, scene.periods)
    own = scene.rate * np.exp(rng.normal(-0.25, 0.7, n))
    due, counts = np.empty(shape), np.empty(shape)
    planted = rng.random(shape) < scene.planted / scene.periods
    for t in range(scene.periods):
        change = np.exp(country.surface(where, rng, scene.scale, 0.15) + rng.normal(0, 0.1))
        due[:, t] = where.residents * own * change
        mean = due[:, t] * np.where(planted[:, t], rng.choice([2.0, 3.0, 5.0], n), 1.0)
        if scene.spread:
            mean = mean * rng.gamma(1 / scene.spread, scene.spread, n)
        if scene.bursts:
            mean = rng.gamma(np.maximum(mean, 1e-12) / scene.bursts, scene.bursts)
        counts[:, t] = rng.poisson(mean)
    return Draw(counts, planted, due)


def panel(where: country.Country, draw: Draw) -> zg.Panel:
    """Panel of a draw."""
    years = {str(2001 + t): f"y{t}" for t in range(draw.counts.shape[1])}
    table = pd.DataFrame(draw.counts, columns=list(years.values())).assign(
        area=where.codes, residents=where.residents
    )
    table = table[table["residents"] > 0]
    return zg.Panel.from_frame(table, area="area", observed={"y": years}, exposure="residents")


def p_of_spike(where: country.Country, draw: Draw) -> np.ndarray:
    """p of `Spike`, shape (n, n_periods)."""
    frame = zg.Spike().detect(panel(where, draw), where.graph, areas=where.areas).frame
    wide = frame.astype({"area": str, "period": str}).pivot(index="area", columns="period", values="p_value")  # noqa: PD010
    return wide.reindex(where.codes).to_numpy()


def p_of_two_counts(draw: Draw) -> np.ndarray:
    """Exact test of a count given the sum of its series, all areas' change taken out: no overdispersion."""
    share = draw.counts.sum(0) / draw.counts.sum()
    return _mid_p(draw.counts, draw.counts.sum(1, keepdims=True), np.broadcast_to(share, draw.counts.shape))


def _mid_p(counts: np.ndarray, total: np.ndarray, share: np.ndarray) -> np.ndarray:
    law = stats.binom(total, share)
    half = 0.5 * law.pmf(counts)
    return np.minimum(1.0, 2.0 * np.minimum(law.sf(counts) + half, law.cdf(counts) - half))


def p_of_oracle(draw: Draw, scene: Scene) -> np.ndarray:
    """Fair oracle: knows what every year was due and how rates stray, not the area's own rate or draws."""
    total = np.repeat(draw.counts.sum(1, keepdims=True), draw.counts.shape[1], axis=1)
    whole = draw.due.sum(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(whole > 0, draw.due / whole, 0.5)
        others = ((draw.due**2).sum(1, keepdims=True) - draw.due**2) / (whole - draw.due) ** 2
        phi = scene.spread + scene.bursts / np.maximum(draw.due, 1e-9)
        precision = share * (1 - share) * phi * (1 + others)
    rho = np.clip(np.nan_to_num(precision / (1 + precision)), 1e-6, 0.9999)
    log_p, upper = np.empty(share.size), np.empty(share.size, bool)
    split_tails(draw.counts.ravel(), total.ravel(), share.ravel(), rho.ravel(), log_p, upper)
    return np.minimum(1.0, 2.0 * np.exp(log_p)).reshape(share.shape)


@dataclass(frozen=True)
class Score:
    """P(p <= a)/a of calm figures with ten or more due, false discoveries, and planted ones found."""

    rates: tuple[float, ...]
    false: float
    found: int


def score(p: np.ndarray, draw: Draw, known: np.ndarray) -> Score:
    """Score p-values; years of an area with a planted one are neither calm nor false."""
    beside = draw.planted.any(1, keepdims=True)
    calm = known & ~beside & (draw.due >= 10)
    q = np.column_stack([adjust(np.where(known[:, t], p[:, t], np.nan)) for t in range(p.shape[1])])
    hit = q <= 0.05
    false, all_hits = (hit & ~beside).sum(), (hit & (draw.planted | ~beside)).sum()
    found = int((hit & draw.planted & (draw.due >= 10)).sum())
    return Score(tuple((p[calm] <= a).mean() / a for a in LEVELS), false / max(all_hits, 1), found)


def calibration(replicates: int = 1) -> str:
    """Table of all scenes."""
    where = country.real() or country.build()
    rows = []
    for scene in SCENES:
        tests: dict[str, list[Score]] = {"`Spike`": [], "exact test of two counts": [], "oracle": []}
        for seed in range(replicates):
            draw = simulate(where, scene, seed)
            found = p_of_spike(where, draw)
            known = np.isfinite(found)
            for name, p in zip(tests, (found, p_of_two_counts(draw), p_of_oracle(draw, scene)), strict=True):
                tests[name].append(score(p, draw, known))
        best = max(sum(each.found for each in tests["oracle"]), 1)
        for name, scores in tests.items():
            means = np.mean([each.rates for each in scores], axis=0)
            rates = " | ".join(f"{mean:.2f}" for mean in means)
            false, power = np.mean([each.false for each in scores]), sum(each.found for each in scores) / best
            rows.append(f"| {scene.name} | {name} | {rates} | {false:.2f} | {power:.2f} |")
    head = [
        "| scene | test | P(p<=.05)/.05 | /.01 | /.001 | FDR | found / oracle |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def real_country() -> str:
    """Registered crimes 2021 to 2025 on the real map: shares of small p by expected count, and the flags."""
    where = country.real()
    if where is None:
        return "The folder with real figures was not beside the project."
    table = country.figures().reindex(where.codes).rename_axis("area").reset_index().assign(one=1)
    years = {str(year): f"misdrijven_{year}" for year in range(2021, 2026)}
    given = zg.Panel.from_frame(table, area="area", observed={"crimes": years}, exposure="one")
    parts = []
    for history in ("all", "before"):
        found = zg.Spike(history=history).detect(given, where.graph, areas=where.areas)
        parts.append(_real_flags(found, history))
        if history == "all":
            parts.insert(0, _real_shares(found.frame) + "\n\n" + found.notices[0])
    return "\n\n".join(parts)


def _real_shares(frame: pd.DataFrame) -> str:
    ok = frame[frame["status"] == "ok"]
    rows = ["| expected | figures | P(p<=.05)/.05 | /.01 | /.001 |", "|---|---|---|---|---|"]
    for low, high in CLASSES:
        p = ok.loc[(ok["expected"] >= low) & (ok["expected"] < high), "p_value"]
        shares = " | ".join(f"{(p <= a).mean() / a:.2f}" for a in LEVELS)
        rows.append(f"| {low:g} to {high:g} | {len(p):,} | {shares} |")
    return "\n".join(rows)


def _real_flags(found: zg.Detection, history: str) -> str:
    flags = zg.flag(found, 0.05, min_ratio=1.25).frame
    by_year = ", ".join(
        f"{year} {(part['direction'] == 'high').sum()} up and {(part['direction'] == 'low').sum()} down"
        for year, part in flags.groupby("period")
    )
    place = {key: n for n, key in enumerate(zip(flags["area"], flags["period"], strict=True), 1)}
    own = ", ".join(f"{area} {year} is number {place[(area, year)]}" for area, year in SPIKES.items())
    up = flags["direction"] == "high"
    least = np.where(up, flags["ratio"], 1 / flags["ratio"].where(~up)).min()
    tested = int((found.frame["status"] == "ok").sum())
    return (
        f'`history="{history}"`: {len(flags)} of {tested:,} figures flagged at BH 5 % and a ratio of 1.25 '
        f"({by_year}); {own}. The smallest change among the flags is a factor {least:.1f}."
    )


def speed() -> str:
    """Area-periods a second, and Mann-Kendall with Sen beside pymannkendall."""
    where = country.real() or country.build()
    draws = [simulate(where, SCENES[1], seed) for seed in range(20)]
    keep = where.residents > 0
    tables = {f"i{k}": {str(2001 + t): f"i{k}_{t}" for t in range(5)} for k in range(len(draws))}
    columns = {f"i{k}_{t}": draw.counts[keep, t] for k, draw in enumerate(draws) for t in range(5)}
    table = pd.DataFrame(columns).assign(area=where.codes[keep], residents=where.residents[keep])
    wide = zg.Panel.from_frame(table, area="area", observed=tables, exposure="residents")
    cells = wide.observed.size
    rows = ["| what | seconds | area-periods a second |", "|---|---|---|"]
    for detector in (zg.Spike(), zg.Trend(), zg.Trend(value="rate"), zg.Emerging(permutations=9_999)):
        detector.detect(panel(where, draws[0]), where.graph, areas=where.areas)
        seconds = timed(lambda: detector.detect(wide, where.graph, areas=where.areas))  # noqa: B023
        value = getattr(detector, "value", "")
        name = f"`{type(detector).__name__}`{f' ({value})' if value else ''}"
        rows.append(
            f"| {name}, {len(draws)} indicators x 5 periods | {seconds:.1f} | {cells / seconds:,.0f} |"
        )
    return "\n".join([*rows, "", _beside_pymannkendall()])


def _beside_pymannkendall() -> str:
    try:
        import pymannkendall
    except ImportError:
        return "pymannkendall was not there to be timed."
    series = np.random.default_rng(1).normal(size=(2_000, 12))
    times = np.arange(12.0)

    def ours() -> None:
        sen_slopes(series, times, mann_kendall(series).variance)

    ours()
    own = median_of(ours, 5)
    theirs = timed(lambda: [pymannkendall.original_test(each) for each in series])
    return (
        f"Mann-Kendall and Sen of {len(series):,} series of 12 periods: {theirs / own:,.0f} times as fast as "
        f"pymannkendall ({theirs:.2f} s), with exact p besides."
    )


def report(replicates: int = 1) -> str:
    """All of it as Markdown."""
    return "\n\n".join([
        "### Simulated change", calibration(replicates), "### Registered crimes 2021 to 2025", real_country(),
        "### Speed", speed(),
    ])  # fmt: skip
