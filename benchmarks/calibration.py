"""Is the engine right? Calibration, false discoveries and power, beside what users do with peers' packages.

Run ``python -m benchmarks.calibration`` (minutes), with ``--quick`` for a small one, with ``--simulated`` for
the simulated country even where the real map is beside the project.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from libpysal.graph import Graph
from scipy import special
from scipy.spatial import cKDTree

import zoo_geo as zg
from benchmarks.country import Country, Draw, World, build, draw, figures, panel, real, simulate
from benchmarks.oracle import mid_tails, oracle_p
from zoo_geo.significance import adjust, significant

LEVELS = {"poisson": (0.005, 0.02, 0.08), "binomial": (0.03, 0.1, 0.3), "gaussian": (0.5, 1.0, 2.0)}
SPREADS = {"poisson": (0.0, 0.1, 0.3), "binomial": (0.0, 0.01, 0.03), "gaussian": (0.0, 0.3, 1.0)}
TOP = 50
EXPECTED = (0.0, 1.0, 10.0, 100.0, np.inf)
"""Classes of areas by their expected count."""
RESIDENTS = (0, 200, 500, 2_000, np.inf)
_RESIDENTS = ("below 200", "200 to 500", "500 to 2,000", "2,000 and more")
SHARES = (0.05, 0.01, 0.001)

SCENARIOS = {
    "isolated": World(),
    "isolated, rough trend (6 km)": World(scale=6.0),
    "isolated, lognormal spread": World(law="lognormal"),
    "cold": World(anomaly="cold"),
    "peer outlier": World(anomaly="peer"),
    "burst": World(anomaly="burst"),
    "hidden exposure": World(hidden=1.5),
    "hidden exposure, rough trend (6 km)": World(hidden=1.5, scale=6.0),
    "hidden exposure, burst": World(hidden=1.5, anomaly="burst"),
    "shares": World("binomial"),
    "shares, rough trend (6 km)": World("binomial", scale=6.0),
    "values": World("gaussian"),
    "values, rough trend (6 km)": World("gaussian", scale=6.0),
}


PARTS: dict[str, dict[str, object]] = {
    "everything": {},
    "without cleaning": {"clean": 0},
    "without precision weights": {"precision": False},
    "one ring only": {"rings": 1},
    "without shrinking": {"shrink": False},
    "one ring only, without shrinking": {"rings": 1, "shrink": False},
    "spread by moments": {"robust": False},
    "spread by moments, without cleaning": {"robust": False, "clean": 0},
    "error of the expectation adds to the spread, not integrated over": {"integrate": False},
    "error of the expectation is left out of the tail": {"error": False},
    "error of the expectation does not grow with distance and steepness": {"steep": False},
    "without response to exposure": {"response": False},
    "without a heavy upper tail": {"heavy": False},
}
"""What each part of the estimation brings: everything, and each part switched off."""
PART_SCENARIOS = ("isolated", "isolated, rough trend (6 km)", "isolated, lognormal spread", "hidden exposure")
CLASS_SCENARIOS = {
    "rates by class": World(by_class=True),
    "rates by class, peer outlier": World(anomaly="peer"),
}
"""Worlds whose rates depend on a covariate."""


@dataclass(frozen=True)
class Tally:
    """What one indicator came to; discoveries at BH 5 %."""

    level: float
    phi: float
    share_05: float
    share_01: float
    share_001: float
    false: int
    found: int
    oracle_false: int
    oracle_found: int
    top: float
    oracle_top: float


# --- ours, and what users do with peers' packages ---------------------------------------------------

Method = Callable[[Country, list[Draw], World], np.ndarray]
"""p of every area and draw, shape (n_areas, n_draws)."""


def deviation(
    country: Country, draws: list[Draw], world: World, detector: zg.Deviation | None = None
) -> np.ndarray:
    """`Deviation` against the neighbours, or another one."""
    found = (detector or zg.Deviation()).detect(
        panel(country, draws, world.family), country.graph, areas=country.areas
    )
    return found.frame["p_value"].to_numpy().reshape(country.residents.size, -1)


def same_class_nearby(country: Country, draws: list[Draw], world: World, k: int = 15) -> np.ndarray:
    """`Deviation` against the nearest areas of the same class, each draw with classes of its own."""
    return np.column_stack([_same_class(country, each, world, k) for each in draws])


def shrunk_to_nation(country: Country, draws: list[Draw], world: World) -> np.ndarray:
    """`Deviation` against the neighbours, on a map that knows no parents to shrink to."""
    return deviation(replace(country, areas=replace(country.areas, parents=())), draws, world)


def with_covariates(
    country: Country, draws: list[Draw], world: World, detector: zg.Deviation | None = None
) -> np.ndarray:
    """`Deviation` that is told the classes, yes or no each; every draw has classes of its own."""
    found = []
    for each in draws:
        assert each.classes is not None
        classes = pd.Series(each.classes, country.codes)
        table = pd.get_dummies(classes, prefix="class", dtype=float).iloc[:, 1:]
        chosen, seen = detector or zg.Deviation(adjust=tuple(table)), panel(country, [each], world.family)
        found.append(chosen.detect(seen, country.graph, areas=country.areas, features=table).frame["p_value"])
    return np.column_stack(found)


def _same_class(country: Country, each: Draw, world: World, k: int) -> np.ndarray:
    rows, cols = [], []
    assert each.classes is not None
    for label in np.unique(each.classes):
        own = np.flatnonzero((each.classes == label) & (country.residents > 0))
        near = cKDTree(country.xy[own]).query(country.xy[own], k + 1)[1][:, 1:]
        rows.append(np.repeat(own, k))
        cols.append(own[near.ravel()])
    empty = np.flatnonzero(country.residents == 0)
    focal, other = np.concatenate([*rows, empty]), np.concatenate([*cols, empty])
    order = np.argsort(focal, kind="stable")
    focal, other = focal[order], other[order]
    graph = Graph.from_arrays(country.codes[focal], country.codes[other], (focal != other).astype(float))
    found = zg.Deviation(reference="peers").detect(
        panel(country, [each], world.family), graph, areas=country.areas
    )
    return found.frame["p_value"].to_numpy()


def oracle(country: Country, draws: list[Draw], world: World) -> np.ndarray:
    """The fair oracle."""
    return np.column_stack([oracle_p(country, each, world.family) for each in draws])


def _each(one: Callable[[np.ndarray, np.ndarray, str], np.ndarray]) -> Method:
    """Apply a method column by column, to the areas that have residents."""

    def every(country: Country, draws: list[Draw], world: World) -> np.ndarray:
        p, ok = np.full((country.residents.size, len(draws)), np.nan), country.residents > 0
        for k, each in enumerate(draws):
            p[ok, k] = one(each.observed[ok], country.residents[ok], world.family)
        return p

    return every


def _two_sided(z: np.ndarray) -> np.ndarray:
    return 2.0 * special.ndtr(-np.abs(z))


def _raw_z(seen: np.ndarray, size: np.ndarray, family: str) -> np.ndarray:
    """Standard scores of the raw rates over the nation."""
    rate = seen if family == "gaussian" else seen / size
    return _two_sided((rate - rate.mean()) / rate.std())


def _funnel_scores(seen: np.ndarray, size: np.ndarray, family: str) -> tuple[np.ndarray, np.ndarray]:
    """Distance from the national rate and its standard error, on a scale that steadies the variance."""
    if family == "gaussian":
        mean = np.average(seen, weights=size)
        away = (seen - mean) * np.sqrt(size)
        return seen - mean, 1.4826 * np.median(np.abs(away)) / np.sqrt(size)
    rate = seen.sum() / size.sum()
    if family == "binomial":
        return np.arcsin(np.sqrt(seen / size)) - np.arcsin(np.sqrt(rate)), 0.5 / np.sqrt(size)
    return np.sqrt(seen / (size * rate)) - 1.0, 0.5 / np.sqrt(size * rate)


def _funnel(seen: np.ndarray, size: np.ndarray, family: str) -> np.ndarray:
    """Exact limits around the national rate, without any spread of true rates."""
    if family == "gaussian":
        away, error = _funnel_scores(seen, size, family)
        return _two_sided(away / error)
    flat = np.full(seen.size, seen.sum() / size.sum())
    calm = Draw(seen, flat, 0.0, np.zeros(seen.size, bool))
    lower, upper = mid_tails(seen, size, 0.0, flat, 1.0, calm, family)
    return np.clip(2.0 * np.minimum(lower, upper), 0.0, 1.0)


def _wide_funnel(seen: np.ndarray, size: np.ndarray, family: str) -> np.ndarray:
    """Limits widened by tau^2 from scores winsorised at 10 % (Spiegelhalter 2005, doi:10.1002/sim.1970)."""
    away, error = _funnel_scores(seen, size, family)
    z = away / error
    held = np.clip(z, *np.quantile(z, [0.1, 0.9]))
    weight, n = 1.0 / error**2, z.size
    surplus = n * np.mean(held**2) - (n - 1)
    tau2 = max(surplus / (weight.sum() - (weight**2).sum() / weight.sum()), 0.0)
    return _two_sided(away / np.sqrt(error**2 + tau2))


def lisa(country: Country, draws: list[Draw], world: World, rates: str = "raw") -> np.ndarray:
    """esda's local Moran as a user gets it: 999 permutations, its own default p; isolates have none."""
    from esda import Moran_Local, Moran_Local_Rate

    size, p = np.maximum(country.residents, 1.0), np.full((country.residents.size, len(draws)), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = country.graph.to_W()
        weights.transform = "r"
        options = {"permutations": 999, "keep_simulations": False, "seed": 7}
        for k, each in enumerate(draws):
            if rates == "raw":
                y = each.observed if world.family == "gaussian" else each.observed / size
                found = Moran_Local(y, weights, **options)
            else:
                found = Moran_Local_Rate(each.observed, size, weights, permutations=999)
            p[:, k] = np.asarray(found.p_sim, float)
    return np.where((country.residents > 0)[:, None], p, np.nan)


def methods(world: World, peers: bool = True) -> dict[str, Method]:
    """Methods to compare on a world, ours first."""
    chosen: dict[str, Method] = {"Deviation, neighbours": deviation}
    if world.anomaly == "peer":
        chosen["Deviation, same class nearby"] = same_class_nearby
        chosen["Deviation, class inside the surroundings"] = with_covariates
    if not peers:
        return chosen
    chosen |= {
        "raw-rate z": _each(_raw_z),
        "funnel": _each(_funnel),
        "overdispersed funnel": _each(_wide_funnel),
        "LISA, raw rates": lisa,
    }
    if world.family == "poisson":
        chosen["LISA, EB rates"] = partial(lisa, rates="eb")
    return chosen | {"fair oracle": oracle}


# --- tallies ----------------------------------------------------------------------------------------


def tally(
    country: Country, each: Draw, level: float, p: np.ndarray, family: str, fair: np.ndarray | None = None
) -> Tally:
    """Compare p-values with the truth."""
    fair_p = oracle_p(country, each, family) if fair is None else fair
    enough = country.residents > 0 if family == "gaussian" else country.residents * each.rate >= 10
    calm = ~each.planted & enough & np.isfinite(p)
    shares = [float((p[calm] <= a).mean() / a) for a in SHARES]
    hit, fair_hit = significant(adjust(p), 0.05), significant(adjust(fair_p), 0.05)
    best = [
        each.planted[np.argsort(np.where(np.isfinite(x), x, 2), kind="stable")[:TOP]].mean()
        for x in (p, fair_p)
    ]
    return Tally(
        level, each.phi, *shares,
        int((hit & ~each.planted).sum()), int((hit & each.planted).sum()),
        int((fair_hit & ~each.planted).sum()), int((fair_hit & each.planted).sum()),
        float(best[0]), float(best[1]),
    )  # fmt: skip


def by_expected(country: Country, each: Draw, p: np.ndarray) -> pd.DataFrame:
    """How many calm areas of each class of expected counts there are, and how many have a small p."""
    calm = ~each.planted & np.isfinite(p) & (country.residents > 0)
    which = np.digitize(country.residents * each.rate, EXPECTED[1:-1])
    counts = {"areas": np.bincount(which[calm], minlength=4)}
    counts |= {f"p <= {a}": np.bincount(which[calm & (p <= a)], minlength=4) for a in SHARES}
    names = ["below 1", "1 to 10", "10 to 100", "100 and more"]
    return pd.DataFrame(counts, index=pd.Index(names, name="expected")).reset_index()


def measure(
    country: Country,
    family: str = "poisson",
    replicates: int = 6,
    scale: float = 25.0,
    seed: int = 0,
    detector: zg.Deviation | None = None,
) -> pd.DataFrame:
    """Tally every level and spread; one row per simulated indicator."""
    rows, world = [], World(family, scale)
    for level in LEVELS[family]:
        for phi in SPREADS[family]:
            rng = np.random.default_rng([seed, int(level * 1000), int(phi * 1000)])
            draws = [draw(country, rng, level, phi, family=family, scale=scale) for _ in range(replicates)]
            p = deviation(country, draws, world, detector)
            rows += [tally(country, each, level, p[:, k], family) for k, each in enumerate(draws)]
    return pd.DataFrame(rows)


def compare(
    country: Country,
    world: World,
    replicates: int = 2,
    seed: int = 0,
    chosen: dict[str, Method] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tally every method, level and spread of a world.

    Local Moran, which takes esda seconds, sees one indicator of the middle level and spread. Returns a row
    per method and indicator, and a row per method, indicator and class of expected counts.
    """
    chosen = methods(world) if chosen is None else chosen
    rows, classes = [], []
    levels, spreads = LEVELS[world.family], SPREADS[world.family]
    for level, phi in [(level, phi) for level in levels for phi in spreads]:
        rng = np.random.default_rng([seed, int(level * 1000), int(phi * 1000)])
        draws = [simulate(country, rng, level, phi, world) for _ in range(replicates)]
        fair = oracle(country, draws, world)
        for name, method in chosen.items():
            slow = name.startswith("LISA")
            if slow and (level, phi) != (levels[1], spreads[1]):
                continue
            few = draws[:1] if slow else draws
            p = fair if method is oracle else method(country, few, world)
            for k, each in enumerate(few):
                found = tally(country, each, level, p[:, k], world.family, fair[:, k])
                rows.append({"method": name, **vars(found)})
                if world.family != "gaussian":
                    classes.append(by_expected(country, each, p[:, k]).assign(method=name))
    return pd.DataFrame(rows), pd.concat(classes, ignore_index=True) if classes else pd.DataFrame()


def summary(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Pool rows: shares averaged, discoveries added up."""
    grouped = rows.groupby(by, sort="method" not in by) if by else rows.groupby(lambda _: "all")
    total = grouped[["false", "found", "oracle_false", "oracle_found"]].sum()
    mean = grouped[["share_05", "share_01", "share_001", "top", "oracle_top"]].mean()
    return pd.DataFrame({
        "P(p<=.05)/.05": mean["share_05"],
        "P(p<=.01)/.01": mean["share_01"],
        "P(p<=.001)/.001": mean["share_001"],
        "FDR": total["false"] / np.maximum(total["false"] + total["found"], 1),
        "power/oracle": total["found"] / np.maximum(total["oracle_found"], 1),
        f"precision at {TOP}/oracle": mean["top"] / mean["oracle_top"],
        "oracle's FDR": total["oracle_false"] / np.maximum(total["oracle_false"] + total["oracle_found"], 1),
    })  # fmt: skip


def share_by_expected(classes: pd.DataFrame) -> pd.DataFrame:
    """P(p <= a) / a of calm areas by class of expected counts and method."""
    total = classes.groupby(["method", "expected"], sort=False).sum()
    return pd.DataFrame(
        {f"P(p<={a:g})/{a:g}": total[f"p <= {a}"] / total["areas"] / a for a in SHARES}
    ).assign(areas=total["areas"])


# --- real figures -----------------------------------------------------------------------------------


def before_and_after() -> str:
    """Who is flagged on real crime counts, without and with the response to exposure, as Markdown."""
    country, ways = real(), {False: "without", True: "with"}
    if country is None:
        return ""
    return "\n\n".join(
        f"Crimes of 2024 per resident, shares of areas, {how} the response to exposure (`response={on}`):\n\n"
        + as_markdown(real_crime(country, zg.Deviation(response=on)))
        for on, how in ways.items()
    )


def real_crime(country: Country, detector: zg.Deviation) -> pd.DataFrame:
    """Who is flagged on the real crime counts of 2024, by residents."""
    table = pd.DataFrame({"area": country.codes, "residents": country.residents})
    table["crimes"] = figures()["misdrijven_2024"].reindex(country.codes).to_numpy()
    crimes = zg.Panel.from_frame(table, area="area", observed=["crimes"], exposure="residents")
    found = detector.detect(crimes, country.graph, areas=country.areas).frame
    known = found[found["status"] == "ok"]
    flagged = pd.Series(significant(adjust(known["p_value"].to_numpy()), 0.05), known.index)
    which = pd.cut(known["exposure"], RESIDENTS, right=False, labels=_RESIDENTS)
    figure = pd.DataFrame({
        "p <= 0.001": known["p_value"] <= 0.001, "high, q <= 0.05": flagged & (known["z"] > 0),
        "low, q <= 0.05": flagged & (known["z"] < 0),
    })  # fmt: skip
    grouped = figure.groupby(which, observed=False)
    rows = pd.concat([
        grouped.mean().assign(areas=grouped.size(), flagged=flagged.groupby(which, observed=False).sum()),
        figure.mean().to_frame("all").T.assign(areas=len(figure), flagged=int(flagged.sum())),
    ])  # fmt: skip
    return rows.rename_axis("residents")


def parts(
    country: Country,
    replicates: int,
    seed: int = 5,
    scenarios: Iterable[str] = (*PART_SCENARIOS, *CLASS_SCENARIOS),
) -> pd.DataFrame:
    """What each part of the estimation brings, on counts, and covariates where rates depend on one."""
    chosen: dict[str, Method] = {
        name: partial(deviation, detector=zg.Deviation(**options))  # type: ignore[arg-type]
        for name, options in PARTS.items()
    }
    chosen["shrunk to the nation, not to the parent"] = shrunk_to_nation
    classes: dict[str, Method] = {
        "place only (no covariates)": deviation,
        "class inside the surroundings (adjust)": with_covariates,
        "class only (model)": partial(with_covariates, detector=zg.Deviation("model")),
        "same class nearby (peers)": same_class_nearby,
    }
    worlds = {name: (SCENARIOS[name], chosen) for name in PART_SCENARIOS}
    worlds |= {name: (world, classes) for name, world in CLASS_SCENARIOS.items()}
    found = {}
    for name in scenarios:
        world, methods = worlds[name]
        found[name] = summary(compare(country, world, replicates, seed, methods)[0], ["method"])
    return pd.concat(found, names=["scenario"])


def parts_report(replicates: int = 1, country: Country | None = None) -> str:
    """Return the table of parts as Markdown."""
    return as_markdown(parts(country or real() or build(), replicates))


def report(replicates: int = 8, country: Country | None = None) -> str:
    """Return the tables, as Markdown: every scenario and method, a quarter of the replicates each."""
    country = country or real() or build()
    few = max(replicates // 4, 1)
    tables, classes, levels = {}, {}, {}
    for name, world in SCENARIOS.items():
        rows, counted = compare(country, world, few, seed=3)
        ours = rows[rows["method"] == "Deviation, neighbours"]
        tables[name], levels[name] = summary(rows, ["method"]), summary(ours, ["level", "phi"])
        if len(counted):
            classes[name] = share_by_expected(counted).loc[["Deviation, neighbours", "fair oracle"]]
    pieces = [
        f"{country.residents.size:,} areas, {few} indicators for each of nine levels and spreads:",
        as_markdown(pd.concat(tables, names=["scenario"])),
        "By expected count:",
        as_markdown(pd.concat(classes, names=["scenario"])),
        "`Deviation` by level and spread:",
        as_markdown(pd.concat(levels, names=["scenario"])),
        before_and_after() if country.residents.size > 10_000 else "",
    ]
    return "\n\n".join(part for part in pieces if part)


def as_markdown(table: pd.DataFrame) -> str:
    """Lay a table out as Markdown, its index first."""
    head = [*map(str, table.index.names), *table.columns]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in table.reset_index().itertuples(index=False):
        lines.append("| " + " | ".join(f"{x:.3f}" if isinstance(x, float) else f"{x}" for x in row) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2,500 simulated areas")
    parser.add_argument("--simulated", action="store_true", help="the simulated country")
    options = parser.parse_args()
    if options.quick:
        print(report(1, build(2_500)))
    else:
        print(report(8, build() if options.simulated else None))


if __name__ == "__main__":
    main()
