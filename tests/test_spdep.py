"""R spdep on random maps: the same numbers where it is right, and a test that says so where it is not.

One call of R does all maps. Written against spdep 1.2-7; skips where R or spdep is not installed.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zoo_geo as zg
from naive import local_statistics as naive
from panels import World, lattice, with_island

SCRIPT = Path(__file__).with_name("spdep.R")
DRAWS = 9_999


@dataclass
class Map:
    """A world with four columns in code order."""

    world: World
    value: np.ndarray
    flag: np.ndarray
    events: np.ndarray
    size: np.ndarray

    def write(self, folder, name):
        columns = {"value": self.value, "flag": self.flag, "events": self.events, "size": self.size}
        pd.DataFrame(columns).to_csv(folder / f"values_{name}.csv", index=False)
        rows = [(i + 1, j + 1, w) for i, row in enumerate(self.world.near) for j, w in row.items()]
        pd.DataFrame(rows, columns=["i", "j", "w"]).to_csv(folder / f"weights_{name}.csv", index=False)

    def ours(self, detector, column="value", rows=False):
        family, exposure = ("poisson", self.size) if column == "events" else ("gaussian", None)
        panel = self.world.panel(getattr(self, column), exposure, family, seed=5)
        graph = self.world.graph(seed=6)
        frame = detector.detect(panel, graph.transform("R") if rows else graph, seed=1).frame
        return frame.set_index("area").loc[self.world.codes]


def made(world, seed, draw, spread=0.1):
    rng = np.random.default_rng(seed)
    size = rng.integers(50, 3_000, len(world)).astype(float)
    events = rng.poisson(size * 0.03 * rng.gamma(1 / spread, spread, len(world))) if spread else size * 0.03
    flag = (rng.random(len(world)) < 0.35).astype(float)
    return Map(world, draw(rng, len(world)), flag, np.round(events), size)


def gamma(rng, n):
    return rng.gamma(1.5, size=n)


MAPS = {
    "uneven": made(lattice(6, 7, seed=1), 1, gamma),
    "even": made(lattice(7, 7), 2, lambda rng, n: rng.normal(5, 1, n)),
    "ties": made(lattice(6, 6, seed=3), 3, lambda rng, n: rng.integers(0, 4, n).astype(float)),
    "island": made(with_island(lattice(5, 5, seed=4)), 4, gamma),
    "large": made(lattice(20, 20), 5, gamma),
    "calm": made(lattice(6, 6), 6, gamma, spread=0),
}
EACH = pytest.mark.parametrize("name", ["uneven", "even", "ties", "island"])


@pytest.fixture(scope="module")
def spdep(tmp_path_factory):
    """Frames by map of what spdep finds."""
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed (Debian: r-cran-spdep)")
    folder = tmp_path_factory.mktemp("spdep")
    for name, each in MAPS.items():
        each.write(folder, name)
    done = subprocess.run(
        ["Rscript", "--vanilla", str(SCRIPT), str(folder)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if "no package called" in done.stderr:
        pytest.skip("R has no package spdep (Debian: r-cran-spdep)")
    assert done.returncode == 0, done.stderr
    return {name: pd.read_csv(folder / f"found_{name}.csv") for name in MAPS}


def linked(name):
    """Areas that have a neighbour; islands are NaN with us and 0 or NaN in spdep."""
    return np.array([bool(row) for row in MAPS[name].world.near])


def same(ours, theirs, name, **tolerance):
    at = linked(name)
    tolerance = {"rtol": 1e-8, "atol": 1e-10} | tolerance
    np.testing.assert_allclose(np.asarray(ours)[at], np.asarray(theirs)[at], **tolerance)
    assert np.isnan(np.asarray(ours, float)[~at]).all()


@pytest.mark.slow
@EACH
def test_local_moran_and_its_conditional_z(spdep, name):
    """The statistic has n - 1 below; its moments, spdep's with n (trap T1)."""
    frame, peer = MAPS[name].ours(zg.LocalMoran(19, "rate")), spdep[name]
    same(frame["statistic"], peer["moran"], name)
    same(frame["z"], peer["z"], name, rtol=1e-7)


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("rows", [False, True])
def test_g_and_g_star(spdep, name, rows):
    """spdep has the sum of squared weights in the variance of G, so row-standardising changes nothing."""
    plain, peer = MAPS[name].ours(zg.GetisOrd(19, False, value="rate"), rows=rows), spdep[name]
    same(plain["z"], peer["g_rows_z" if rows else "g_z"], name, rtol=1e-7)
    star = MAPS[name].ours(zg.GetisOrd(19, value="rate"), rows=rows)
    same(star["z"], peer["g_star_z"], name, rtol=1e-7)
    if not rows:
        same(plain["statistic"], peer["g"], name)
        same(star["statistic"], peer["g_star"], name)


@EACH
def test_local_geary(spdep, name):
    given = MAPS[name].ours(zg.LocalGeary(19, value="rate"))
    same(given["statistic"], spdep[name]["geary"], name)
    rows = MAPS[name].ours(zg.LocalGeary(19, value="rate"), rows=True)
    same(rows["statistic"], spdep[name]["geary_rows"], name)


@EACH
def test_local_join_counts(spdep, name):
    frame = MAPS[name].ours(zg.LocalJoinCounts(), "flag")
    ones = (MAPS[name].flag == 1) & linked(name)
    joins = frame["statistic"].to_numpy()[ones]
    np.testing.assert_array_equal(joins, spdep[name]["joins"].to_numpy()[ones])
    assert joins.max() > 0


@EACH
def test_standardised_rates(spdep, name):
    """The z of spdep's empirical-Bayes test give the local Moran that ours gives."""
    each = MAPS[name]
    z = spdep[name]["eb"].tolist()
    np.testing.assert_allclose(naive.eb_rates(each.events, each.size), z, rtol=1e-9)
    frame = each.ours(zg.LocalMoran(19, "eb_rate"), "events")
    peer = [naive.moran(each.world.near, z, i) if row else np.nan for i, row in enumerate(each.world.near)]
    same(frame["statistic"], peer, name)


def test_t14_a_negative_variance_between_areas_is_not_clamped(spdep):
    """v = a + b / n, and b / n alone where that is negative; spdep sets a to 0 for all areas."""
    each = MAPS["calm"]
    rate, overall = each.events / each.size, each.events.sum() / each.size.sum()
    between = np.average((rate - overall) ** 2, weights=each.size) - overall / each.size.mean()
    variance = between + overall / each.size
    assert between < 0
    assert 0 < (variance < 0).sum() < len(variance)
    np.testing.assert_allclose(spdep["calm"]["eb"], (rate - overall) / np.sqrt(overall / each.size))
    right = (rate - overall) / np.sqrt(np.where(variance < 0, overall / each.size, variance))
    frame = each.ours(zg.LocalMoran(19, "eb_rate"), "events")
    expected = [naive.moran(each.world.near, right.tolist(), i) for i in range(len(right))]
    np.testing.assert_allclose(frame["statistic"], expected, rtol=1e-9)


def test_t01_one_normaliser_in_statistic_and_moments(spdep):
    """With n - 1 below, spdep's z mixes two normalisers; ours is that of its run with n."""
    frame, peer = MAPS["even"].ours(zg.LocalMoran(19, "rate")), spdep["even"]
    assert not np.allclose(frame["z"], peer["z_mixed"], rtol=1e-3)
    n = len(frame)
    np.testing.assert_allclose(
        peer["z"], (peer["moran"] * n / (n - 1) - peer["mean"]) / peer["variance"] ** 0.5
    )


def test_t02_null_is_the_conditional_one(spdep):
    frame, peer = MAPS["uneven"].ours(zg.LocalMoran(19, "rate")), spdep["uneven"]
    n = len(frame)
    total = (frame["statistic"].to_numpy() * n / (n - 1) - peer["total_mean"]) / peer["total_variance"] ** 0.5
    assert np.median(np.abs(total / frame["z"].to_numpy() - 1)) > 0.05


def test_t03_draws_are_without_replacement(spdep):
    """spdep draws with replacement: its variance lacks the factor (N - k) / (N - 1)."""
    each, peer = MAPS["even"], spdep["even"]
    n = len(each.value)
    exact = peer["variance"] * ((n - 1) / n) ** 2
    k = np.array([len(row) for row in each.world.near])
    ratio = peer["drawn_variance"] / exact * (n - 1 - k) / (n - 2)
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert (peer["drawn_variance"] / exact)[k == 8].mean() > 1.1


@pytest.mark.slow
def test_p_is_that_of_spdep_within_monte_carlo_error(spdep):
    """400 areas: there drawing with replacement makes no visible difference."""
    ours = MAPS["large"].ours(zg.LocalMoran(DRAWS, "rate"))["p_value"].to_numpy()
    theirs = spdep["large"]["drawn_p"].to_numpy()
    half = np.clip(theirs / 2, 1e-3, 0.5)
    error = 2 * np.sqrt(half * (1 - half) * (1 / DRAWS + 1 / 4_999))
    assert (np.abs(ours - theirs) < 4.5 * error + 0.01).all()
    assert np.corrcoef(ours, theirs)[0, 1] > 0.998
