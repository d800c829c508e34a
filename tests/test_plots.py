"""Funnel plot and observed-against-expected plot: what is drawn, named, counted and said."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")

from dataclasses import replace

import geopandas as gpd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import shapely
from scipy import special
from shapely import Point

import panels
import zoo_geo as zg
from zoo_geo.errors import InputError
from zoo_geo.explain import CAVEAT
from zoo_geo.limits import LEVELS, control_limits
from zoo_geo.outputs import page, placement, plots
from zoo_geo.predictive import FAMILIES

BOTH = pytest.mark.parametrize("plot", [zg.funnel_plot, zg.observed_expected_plot])
HIGH, LOW, NONE = 40, 100, 17
"""Positions of an area that is high, one that is low, and one where nothing is seen."""


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def world():
    return panels.lattice(15, 16)


@pytest.fixture(scope="module")
def areas(world):
    names = [f"Plaats {i}" for i in range(len(world))]
    names[HIGH], names[LOW] = "Hoog $x_$ & <b>", "Laag\n" + "lang" * 20
    frame = gpd.GeoDataFrame(
        {"code": world.codes, "name": names}, geometry=[Point(i, 0) for i in range(len(world))], crs=28992
    )
    return zg.read_areas(frame, id="code", name="name")


@pytest.fixture(scope="module")
def counts(world):
    size, seen = panels.counts_of(world, 1, rate=0.03)
    size[[HIGH, LOW, NONE]] = 2000.0
    seen[HIGH], seen[LOW], seen[NONE] = 400.0, 3.0, 0.0
    return size, seen


@pytest.fixture(scope="module")
def found(world, counts):
    return detected(world, counts[1], counts[0])


def detected(world, seen, size, reference="national", **options):
    return zg.Deviation(reference=reference).detect(world.panel(seen, size, **options), world.graph())


def drawn(ax, gid):
    """Points of what is drawn under a name, shape (n, 2)."""
    (found,) = [each for each in ax.collections if each.get_gid() == gid]
    return np.asarray(found.get_offsets())


def line(ax, gid):
    (found,) = [each for each in ax.lines if each.get_gid() == f"line_{gid}"]
    return found


def names(ax):
    return [each.get_text() for each in ax.texts if each.get_gid() == placement.NAME]


def caption(ax):
    (text,) = [each.get_text() for each in ax.texts if each.get_gid() == "caption"]
    return text.replace("\n", " ")


def legend(ax):
    return [
        text.get_text()
        for each in ax.get_children()
        if isinstance(each, mpl.legend.Legend)
        for text in each.texts
    ]


def rows(found):
    return found.frame.assign(area=found.frame["area"].astype(str), label=found.frame["label"].astype(str))


def test_every_area_is_drawn_in_its_class(found):
    funnel, against = zg.funnel_plot(found, "y"), zg.observed_expected_plot(found, "y")
    frame = rows(found)
    for label in plots.STYLES:
        own = frame[frame["label"] == label].sort_values("area")
        floor = funnel.lines[0].get_ydata()[0]
        assert drawn(funnel, label) == pytest.approx(
            np.column_stack([own["expected"], own["ratio"].where(own["ratio"] > 0, floor)])
        )
        seen = own["observed"] > 0
        assert drawn(against, label)[seen] == pytest.approx(
            own.loc[seen, ["expected", "observed"]].to_numpy()
        )
    assert sum(len(drawn(funnel, label)) for label in plots.STYLES) == len(frame)


def test_limits_are_drawn_where_they_are(found):
    frame = rows(found)
    phi, rate = frame["spread"].iloc[0], (frame["expected"] / frame["exposure"]).median()
    for plot, what in ((zg.funnel_plot, "ratio"), (zg.observed_expected_plot, "observed")):
        ax = plot(found, "y")
        for place, level in enumerate(LEVELS):
            expected, curve = line(ax, level).get_data()
            right = getattr(control_limits("poisson", expected / rate, np.full(200, rate), 1e6, phi), what)[
                place
            ]
            known = np.isfinite(right) & (right > ax.get_ylim()[0])
            assert known.sum() > 50
            if level == "low_998":  # leaves the picture where no count is that low
                assert curve[0] < ax.get_ylim()[0]
            assert curve[known] == pytest.approx(right[known], rel=0.05)
    assert np.array_equal(*line(zg.observed_expected_plot(found, "y"), "expected").get_data())
    assert (line(zg.funnel_plot(found, "y"), "expected").get_ydata() == 1).all()


@pytest.mark.parametrize("family", ["poisson", "binomial"])
@pytest.mark.parametrize("reference", ["national", "neighbours"])
def test_drawn_limits_part_the_classes_of_most_areas(world, family, reference):
    """Where the expectation of each area is about as sure, hardly any lies on the wrong side of a line."""
    size, seen = panels.counts_of(world, 4, rate=0.04, spread=0.2)
    found = detected(world, np.minimum(seen, size), size, reference, family=family)
    ax, frame = zg.funnel_plot(found, "y"), rows(found)
    for level in ("low_95", "high_95"):
        limit = np.interp(
            np.log(frame["expected"]), np.log(line(ax, level).get_xdata()), line(ax, level).get_ydata()
        )
        beyond = frame["ratio"] >= limit if level == "high_95" else frame["ratio"] <= limit
        outside = frame["label"].isin([level, level.replace("95", "998")])
        assert outside.sum() >= 2
        assert (beyond != outside).sum() <= 3


@pytest.mark.parametrize(("family", "part"), [("poisson", 1.0), ("poisson", 0.6), ("binomial", 1.0)])
def test_drawn_limits_hold_the_error_of_the_expectation(world, counts, family, part):
    """A detection does not tell how sure its expectation is; its z do, and the lines go by them."""
    found = detected(world, np.minimum(counts[1], counts[0]), counts[0], family=family)
    frame, phi, strength = found.frame, 0.2 if family == "poisson" else 0.001, 12.0
    size = frame["exposure"].to_numpy()
    rate, n = (frame["expected"] / frame["exposure"]).to_numpy(), len(frame)
    given = frame["observed"].to_numpy(), size, rate, np.full(n, strength), np.full(n, part * phi), np.inf
    log_p, upper = FAMILIES[family].tails(*given)
    z = np.where(upper, -1.0, 1.0) * special.ndtri_exp(log_p)
    ax = zg.funnel_plot(replace(found, frame=frame.assign(z=z, spread=phi)), "y")
    for place, level in enumerate(LEVELS):
        expected, curve = line(ax, level).get_data()
        share = np.full(expected.size, np.median(rate))
        right = control_limits(family, expected / share, share, strength, part * phi).ratio[place]
        known = np.isfinite(right) & (right > ax.get_ylim()[0])
        assert known.sum() > 30
        assert curve[known] == pytest.approx(right[known], rel=0.01)


@BOTH
def test_flagged_areas_are_ringed_and_named(plot, found, areas, world):
    flags = zg.flag(found, areas=areas)
    ax = plot(found, "y", flags=flags, areas=areas, name=50)
    flagged = rows(found).set_index("area").loc[sorted(flags.frame["area"])]
    assert len(flagged) >= 2
    assert drawn(ax, "flagged")[:, 0] == pytest.approx(flagged["expected"].to_numpy())
    told = dict(zip(areas.codes, areas.frame["name"], strict=True))
    wanted = {told[code][:20].split("\n")[0] for code in flagged.index}
    assert {name[:20].split(" lang")[0] for name in names(ax)} == wanted
    assert f"named: {len(flagged)} of {len(flagged)} flagged areas" in caption(ax)


@BOTH
def test_without_flags_those_outside_the_outer_limits_are_named(plot, found):
    frame = rows(found)
    outside = frame[frame["label"].isin(["low_998", "high_998"])]
    assert set(names(plot(found, "y", name=50))) == set(outside["area"])
    farthest = outside.loc[outside["z"].abs().idxmax(), "area"]
    ax = plot(found, "y", name=1)
    assert names(ax) == [farthest]
    assert f"named: 1 of {len(outside)} areas outside the 99.8% limits" in caption(ax)
    assert names(plot(found, "y", name=0)) == []


def test_rank_comes_before_how_far_out(found):
    flags = zg.flag(found)
    last = flags.frame["area"].iloc[-1]
    flags.frame["rank"] = pd.array([None] * (len(flags.frame) - 1) + [1], "Int64")
    assert names(zg.funnel_plot(found, "y", flags=flags, name=1)) == [last]


def test_signs_in_titles_are_no_formulas(world, counts):
    panel = world.panel({"costs $x_$ more": counts[1]}, counts[0])
    ax = zg.funnel_plot(zg.Deviation(reference="national").detect(panel), "costs $x_$ more")
    ax.figure.canvas.draw()
    assert "costs $x_$ more" in ax.get_title(loc="left")


def test_names_are_safe_short_and_told_apart(world, areas, found):
    ax = zg.funnel_plot(found, "y", areas=areas)
    ax.figure.savefig("/dev/null", format="png")
    assert "Hoog $x_$ & <b>" in names(ax)
    assert all("\n" not in name and len(name) <= 32 for name in names(ax))
    alike = areas.frame.assign(name="Centrum")
    ax = zg.funnel_plot(found, "y", areas=zg.read_areas(alike.reset_index(), id="area", name="name"))
    assert f"Centrum ({world.codes[HIGH]})" in names(ax)


@pytest.mark.slow
@BOTH
def test_names_do_not_overlap_and_stay_inside(plot, world, counts):
    size, seen = counts
    crowd = seen.copy()
    crowd[30:60] = np.round(size[30:60] * 0.3)
    ax = plot(detected(world, crowd, size), "y", name=40)
    frame = ax.get_window_extent()
    ax.figure.canvas.draw()
    written = [each for each in ax.texts if each.get_gid() == placement.NAME]
    boxes = [mpl.text.Text.get_window_extent(each) for each in written]
    assert len(boxes) > 10
    assert all(not a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
    assert all(frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


def test_lines_to_names_cross_neither_each_other_nor_a_name():
    _, ax = plt.subplots(figsize=(12, 8))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    x, y = np.random.default_rng(3).uniform(0.44, 0.56, (2, 40))
    points = np.column_stack([x, y])
    written = placement.place_names(ax, x, y, [f"BU{i:08d}" for i in range(40)], points, np.ones(40))
    ax.figure.canvas.draw()
    texts = [each for each in ax.texts if each.get_gid() == placement.NAME]
    assert len(texts) == written > 10
    boxes = [shapely.box(*mpl.text.Text.get_window_extent(each).extents) for each in texts]
    ends = [shapely.Point(ax.transData.transform(each.xy)) for each in texts]
    leaders = [shapely.shortest_line(box, end) for box, end in zip(boxes, ends, strict=True)]
    assert sum(each.arrow_patch is not None for each in texts) > 5
    for k, leader in enumerate(leaders):
        assert not any(leader.crosses(other) for other in leaders[:k])
        assert not any(leader.crosses(box.buffer(-2)) for other, box in enumerate(boxes) if other != k)


def placed_names(x, y, importance):
    """Names as written, their boxes and points, and the points of all, in pixels."""
    _, ax = plt.subplots(figsize=(12, 8))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    points, named = np.column_stack([x, y]), [f"BU{i:08d}" for i in range(len(x))]
    written = placement.place_names(ax, x, y, named, points, np.full(len(x), importance))
    ax.figure.canvas.draw()
    texts = [each for each in ax.texts if each.get_gid() == placement.NAME]
    assert len(texts) == written
    boxes = [shapely.box(*mpl.text.Text.get_window_extent(each).extents) for each in texts]
    ends = [shapely.Point(ax.transData.transform(each.xy)) for each in texts]
    return texts, boxes, ends, shapely.points(ax.transData.transform(points))


def test_names_never_cover_points_that_matter_most():
    texts, boxes, ends, marks = placed_names(*np.random.default_rng(4).uniform(0.4, 0.6, (2, 40)), 3.0)
    assert len(texts) >= 15
    for each, box, end in zip(texts, boxes, ends, strict=True):
        assert min(box.distance(mark) for mark in marks) > 6
        assert each.arrow_patch is not None or box.distance(end) < 20
        if each.arrow_patch is not None:  # the line starts at the edge of the name
            assert {0, 1} & set(each.arrowprops["relpos"])


def test_lines_to_names_avoid_other_points():
    _, boxes, ends, marks = placed_names(*np.random.default_rng(4).uniform(0.3, 0.7, (2, 40)), 1.0)
    passed = [
        any(shapely.shortest_line(box, end).distance(mark) < 8 for mark in marks if mark.distance(end) > 4)
        for box, end in zip(boxes, ends, strict=True)
    ]
    assert len(passed) >= 30
    assert sum(passed) <= 4


@BOTH
def test_flagged_areas_matter_most_to_names(plot, world, counts):
    found = detected(world, *counts[::-1])
    flags = zg.flag(found)
    ax = plot(found, "y", flags=flags, name=0)
    picture = plots.make_picture(found, "y", None, flags, None, "en")
    x = np.arange(len(picture.rows), dtype=float)
    points, importance = plots._obstacles(ax, picture, x, x)
    flagged = picture.rows["flagged"].to_numpy()
    assert flagged.any()
    assert (importance[: len(x)][flagged] > importance[: len(x)][~flagged].max()).all()
    assert len(points) == len(importance) > len(x)


@BOTH
def test_nothing_seen_lies_on_a_line_at_the_bottom(plot, found, counts):
    ax = plot(found, "y")
    (floor,) = [each.get_ydata()[0] for each in ax.lines if each.get_gid() == "floor"]
    points = np.vstack([drawn(ax, label) for label in plots.STYLES])
    assert (points[:, 1] == floor).sum() == (counts[1] == 0).sum()
    assert ax.get_ylim()[0] < floor < points[points[:, 1] > floor, 1].min()
    assert f"on the bottom line: {(counts[1] == 0).sum()} where nothing was seen" in caption(ax)


@BOTH
def test_what_cannot_be_compared_is_counted_and_not_drawn(plot, world, counts):
    size, seen = counts[0].copy(), counts[1].copy()
    seen[3], seen[4], size[5] = np.nan, np.nan, 0.0
    seen[50:60], size[50:60] = 1.0, 20.0
    found = detected(world, seen, size)
    flags = zg.flag(found)
    few = int((flags.cells["class"] == "too_few").sum())
    assert few >= 8
    ax = plot(found, "y", flags=flags)
    assert f"{few} with too few to say" in caption(ax)
    assert "2 without a figure" in caption(ax)
    assert "1 with nothing to compare per" in caption(ax)
    assert sum(len(drawn(ax, label)) for label in plots.STYLES) == len(world) - few - 3
    assert f"{len(world) - few - 3} areas drawn" in caption(ax)


@BOTH
@pytest.mark.parametrize(
    ("lang", "words"),
    [
        (
            "en",
            ["INTERNAL: not for publication", "all areas together", "Expected count", "high, outside 99.8%"],
        ),
        (
            "nl",
            ["INTERN: niet voor publicatie", "alle gebieden samen", "Verwacht aantal", "hoog, buiten 99,8%"],
        ),
    ],
)
def test_words_are_in_the_language(plot, found, lang, words):
    ax = plot(found, "y", lang=lang)
    title = ax.get_title(loc="left")
    assert title.startswith(words[0])
    assert words[1] in title
    assert ax.get_xlabel().startswith(words[2])
    assert words[1] in ax.get_xlabel()
    assert any(text.startswith(words[3]) for text in legend(ax))
    assert caption(ax).endswith(CAVEAT[lang])


def test_every_word_is_there_in_both_languages():
    from zoo_geo.outputs.picture import _WORDS
    from zoo_geo.schema import STATUSES

    assert set(_WORDS["en"]) == set(_WORDS["nl"])
    assert {*STATUSES[1:], "too_few", *plots.STYLES} <= set(_WORDS["en"])


def test_classes_differ_by_marker_and_have_the_colours_of_the_map():
    assert len({style["marker"] for style in plots.STYLES.values()}) == 5
    for label in LEVELS:
        assert plots.STYLES[label]["color"] == page._STYLES[label]["color"]


def test_legend_counts_the_classes(found):
    told = legend(zg.funnel_plot(found, "y"))
    n = (rows(found)["label"] == "as_expected").sum()
    assert told[2] == f"as expected ({n})"
    assert told[-3:] == ["99.8% limits", "95% limits", "as much as expected"]
    assert len(told) == len(set(told)) == 8


def test_values_are_drawn_in_standard_deviations_by_weight(world, counts):
    rng = np.random.default_rng(2)
    values = 30 + rng.normal(0, 3, len(world)) / np.sqrt(counts[0] / 500)
    values[HIGH] = 90.0
    found = detected(world, values, counts[0], family="gaussian")
    frame = rows(found)
    ax = zg.funnel_plot(found, "y")
    points = np.vstack([drawn(ax, label) for label in plots.STYLES])
    assert sorted(map(tuple, points)) == sorted(zip(frame["exposure"], frame["z"], strict=True))
    assert {level: line(ax, level).get_ydata()[0] for level in LEVELS} == LEVELS
    assert names(ax)[0] == world.codes[HIGH]
    against = zg.observed_expected_plot(found, "y")
    points = np.vstack([drawn(against, label) for label in plots.STYLES])
    assert sorted(map(tuple, points)) == sorted(zip(frame["expected"], frame["observed"], strict=True))
    assert against.get_xscale() == "linear"
    assert not [each for each in against.lines if each.get_gid() in {f"line_{level}" for level in LEVELS}]


def test_a_nation_that_expects_the_same_of_all_is_drawn_as_no_wall(world, counts):
    """The line of equality keeps its slope, and the ticks have digits enough to be told apart."""
    values = np.random.default_rng(0).normal(48.5, 6.0, len(world))
    found = detected(world, values, counts[0], family="gaussian", reference="national")
    ax = zg.observed_expected_plot(found, "y")
    assert np.ptp(ax.get_xlim()) > 0.2 * np.ptp(values)
    ax.figure.canvas.draw()
    ticks = [tick.get_text() for tick in ax.get_xticklabels()]
    assert len(set(ticks)) == len(ticks)


def test_values_of_one_weight_are_drawn_by_what_was_expected(world):
    values = np.random.default_rng(2).normal(-5, 3, len(world))
    found = detected(world, values, None, "neighbours", family="gaussian")
    ax = zg.funnel_plot(found, "y")
    assert ax.get_xlabel() == "Expected value"
    assert drawn(ax, "as_expected")[:, 0].max() < 0


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("family", ["poisson", "binomial", "gaussian"])
@pytest.mark.parametrize("case", ["nobody", "one", "no event", "alike"])
def test_thin_panels_are_drawn(plot, family, case):
    world = panels.lattice(4, 5)
    seen, size = np.full(20, 10.0), np.full(20, 100.0)
    if case == "nobody":
        seen[:] = np.nan
    if case == "one":
        world, seen, size = panels.World([{}]), seen[:1], size[:1]
    if case == "no event":
        seen[:] = 0.0
    ax = plot(detected(world, seen, size, family=family), "y", lang="nl")
    ax.figure.canvas.draw()
    none = "Geen gebied heeft een cijfer" in caption(ax)
    assert none == ("0 gebieden getekend" in caption(ax))
    assert none or case in ("no event", "alike")


@pytest.mark.slow
def test_a_whole_country_is_drawn_small_and_faint():
    rng = np.random.default_rng(1)
    n = 14_500
    size = np.round(np.exp(rng.normal(6.5, 1.3, n))) + 1
    table = pd.DataFrame(
        {
            "area": [f"BU{i:05d}" for i in range(n)],
            "n": rng.poisson(size * 0.01 * rng.gamma(10, 0.1, n)),
            "size": size,
        }
    )
    panel = zg.Panel.from_frame(table, area="area", observed=["n"], exposure="size")
    ax = zg.funnel_plot(zg.Deviation(reference="national").detect(panel), "n")
    (calm,) = [each for each in ax.collections if each.get_gid() == "as_expected"]
    assert calm.get_alpha() < 0.5
    assert calm.get_sizes()[0] < 10
    assert all(each.get_rasterized() for each in ax.collections)
    assert "14,500 areas drawn" in caption(ax)
    assert len(names(ax)) == 10
    assert tuple(ax.figure.get_size_inches() * ax.figure.dpi) == (1200, 800)


def test_order_of_areas_changes_nothing(world, counts):
    size, seen = counts
    pictures = []
    for seed in (None, 3):
        panel = world.panel(seen, size, seed=seed)
        ax = zg.funnel_plot(zg.Deviation(reference="national").detect(panel, world.graph(seed)), "y")
        ax.figure.canvas.draw()
        pictures.append(np.asarray(ax.figure.canvas.buffer_rgba()).copy())
    assert np.array_equal(*pictures)


def test_input_is_not_modified(found):
    flags = zg.flag(found)
    before = found.frame.copy(), flags.frame.copy(), flags.cells.copy()
    zg.funnel_plot(found, "y", flags=flags)
    for old, new in zip(before, (found.frame, flags.frame, flags.cells), strict=True):
        pd.testing.assert_frame_equal(old, new)


def test_the_last_period_with_figures_is_drawn(world, counts):
    size, seen = counts
    table = pd.concat(
        [
            pd.DataFrame({"area": world.codes, "year": year, "n": n, "size": size})
            for year, n in ((2021, seen), (2022, seen + 1), (2023, np.nan))
        ]
    )
    panel = zg.Panel.from_frame(table, area="area", period="year", observed=["n"], exposure="size")
    found = zg.Deviation(reference="national").detect(panel)
    assert "n, 2022" in zg.funnel_plot(found, "n").get_title(loc="left")
    assert "n, 2021" in zg.funnel_plot(found, "n", "2021").get_title(loc="left")
    with pytest.raises(InputError, match="period needs to be one of 2021, 2022, 2023; got '2020'"):
        zg.funnel_plot(found, "n", "2020")


@BOTH
def test_what_does_not_fit_is_told(plot, found, world, counts):
    with pytest.raises(InputError, match="indicator needs to be one of y; got 'x'"):
        plot(found, "x")
    with pytest.raises(InputError, match="lang needs to be one of 'en', 'nl'; got 'de'"):
        plot(found, "y", lang="de")
    group = zg.GetisOrd(permutations=99).detect(world.panel(counts[1], counts[0]), world.graph(), seed=1)
    with pytest.raises(InputError, match="own figure, as Deviation does; got getis_ord"):
        plot(group, "y")


def test_a_plot_can_go_into_axes_of_ones_own(found):
    _, (left, right) = plt.subplots(1, 2, figsize=(16, 7))
    assert zg.funnel_plot(found, "y", ax=left) is left
    assert zg.observed_expected_plot(found, "y", ax=right) is right
    assert len(names(left)) > 1


def test_a_file_says_it_is_internal(found, tmp_path):
    ax = zg.funnel_plot(found, "y")
    path = plots.write_plot(ax, tmp_path, "funnel_y_parent:gemeente/../x")
    assert path.parent == tmp_path
    assert path.name == "funnel_y_parent-gemeente-..-x_internal.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    again = plots.write_plot(zg.funnel_plot(found, "y"), tmp_path, "again")
    assert again.read_bytes() == path.read_bytes()
