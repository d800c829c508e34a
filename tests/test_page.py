"""The map page: in itself, and opened in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from shapely import Point, Polygon, box

import small_study
import thin_study
from zoo_geo.areas import read_areas
from zoo_geo.flags import Flags
from zoo_geo.outputs.page import write_page
from zoo_geo.panel import Panel
from zoo_geo.pipeline import run

BROWSER = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    result = run(small_study.write_study(folder / "study"), folder / "out")
    return next(path for path in result.paths if path.suffix == ".html")


def embedded(path) -> dict:
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8"), re.S
    )
    return json.loads(text)


def rings(shape: list[list[int]]) -> list[np.ndarray]:
    return [np.cumsum(np.reshape(flat, (-1, 2)), axis=0) for flat in shape]


def test_the_page_is_one_file_that_asks_for_nothing(page_file):
    html = page_file.read_text(encoding="utf-8")
    markup = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    assert not re.search(r"<(link|img|iframe|object)|src=|url\(|@import|https?:", markup)
    assert html.count("<script") == html.count("</script>") == 3
    assert "default-src 'none'" in html
    assert page_file.stat().st_size < 8e6


def test_text_of_the_data_stays_text(page_file):
    html = page_file.read_text(encoding="utf-8")
    assert "<title>Small &lt;b&gt;study&lt;/b&gt;</title>" in html
    for name in small_study.HOSTILE[:2]:
        assert name not in html
    names = embedded(page_file)["areas"]["names"]
    for name in small_study.HOSTILE:
        assert any(shown.startswith(name) for shown in names)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "words"), [("nl", "INTERN: niet voor publicatie"), ("en", "INTERNAL: not for")]
)
def test_the_page_speaks_the_language_of_the_study(tmp_path, language, words):
    result = run(small_study.write_study(tmp_path / "study", language=language), tmp_path / "out")
    html = result.paths[-1].read_text(encoding="utf-8")
    assert words in html
    assert f'<html lang="{language}">' in html


def made(areas, figures: pd.DataFrame, tmp_path) -> dict:
    """The data of a page without flags."""
    panel = Panel.from_frame(figures, area="code", observed="n", exposure="size")
    cells = panel.frame.assign(value=panel.frame["observed"], flagged=False)
    cells["class"] = np.where(cells["status"] == "ok", "as_expected", cells["status"])
    none = pd.DataFrame(columns=["area", "indicator", "period", "direction", "class", "ratio", "sentence"])
    flags = Flags(none, none, cells)
    return embedded(write_page(tmp_path, title="t", language="en", areas=areas, panel=panel, flags=flags))


def figures(codes: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"code": codes, "n": 3, "size": 100})


def test_shapes_keep_parts_and_holes(tmp_path):
    holed = Polygon(box(0, 0, 900, 900).exterior, [box(100, 100, 300, 300).exterior])
    parts = shapely.union_all([box(1000, 0, 1300, 300), box(1500, 0, 1600, 100)])
    table = gpd.GeoDataFrame({"code": ["a", "b"]}, geometry=[holed, parts], crs=28992)
    data = made(read_areas(table, id="code"), figures(["a", "b"]), tmp_path)
    outer, hole = (Polygon(ring) for ring in rings(data["areas"]["shapes"][0]))
    assert outer.exterior.is_ccw
    assert not hole.exterior.is_ccw
    assert hole.area / outer.area == pytest.approx(200**2 / 900**2, rel=1e-3)
    assert len(data["areas"]["shapes"][1]) == 2


@pytest.mark.parametrize("crs", [4326, 28992])
def test_degrees_and_points_are_drawn_too(tmp_path, crs):
    x, y = (5.0, 52.0) if crs == 4326 else (150_000.0, 450_000.0)
    points = [Point(x + n * (0.01 if crs == 4326 else 700), y) for n in range(4)]
    table = gpd.GeoDataFrame({"code": list("abcd")}, geometry=points, crs=crs)
    data = made(read_areas(table, id="code"), figures(list("abcd")), tmp_path)
    assert all(len(rings(shape)[0]) >= 8 for shape in data["areas"]["shapes"])


def test_classes_and_values_follow_the_order_of_the_map(tmp_path):
    table = gpd.GeoDataFrame(
        {"code": ["b", "a", "c"]}, geometry=[box(n, 0, n + 1, 1) for n in range(3)], crs=28992
    )
    given = pd.DataFrame({"code": ["a", "b"], "n": [1234.0, None], "size": [100, 100]})
    data = made(read_areas(table, id="code"), given, tmp_path)
    marks, values = data["cells"][0][0]
    labels = [data["classes"][ord(mark) - 97]["label"] for mark in marks]
    assert labels == ["No figure", "As expected", "No figure"]
    assert values == [None, 1234, None]


def test_many_points_are_thinned_and_borders_stay_shared(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo_geo.outputs.page._VERTICES", 100)
    wave = [(500 + 20 * np.sin(k / 3), k * 5) for k in range(201)]
    left = Polygon([(0, 1000), (0, 0), *wave])
    right = Polygon([(1000, 1000), (1000, 0), *wave])
    table = gpd.GeoDataFrame({"code": ["a", "b"]}, geometry=[left, right], crs=28992)
    data = made(read_areas(table, id="code"), figures(["a", "b"]), tmp_path)
    one, other = ({tuple(point) for point in rings(shape)[0].tolist()} for shape in data["areas"]["shapes"])
    assert 10 < len(one) + len(other) <= 110
    assert len(one & other) == len(one) - 2


@pytest.fixture(scope="module")
def browser() -> Iterator:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Debian's chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, page_file) -> Iterator:
    """The page in a browser; nothing may be complained about or asked for."""
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    page.wait_for_selector("body[data-ready]")
    yield page
    page.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def paths(page) -> list[str]:
    return page.eval_on_selector_all(
        "#map .scatterlayer path", "found => found.map(each => each.getAttribute('d'))"
    )


def sentences(page) -> list[str]:
    return page.locator("#flags button .what").all_text_contents()


def test_small_exposure_is_said_on_the_page(page_file):
    assert any("flags on counts lie on areas" in notice for notice in embedded(page_file)["notices"])


@pytest.mark.browser
def test_map_and_list_are_drawn_and_change_with_the_indicator(opened):
    drawn, listed = paths(opened), sentences(opened)
    assert sum(len(path or "") > 20 for path in drawn) >= 2
    assert listed
    assert all("A pattern, not a verdict." in text for text in listed)
    assert "INTERNAL: not for publication" in opened.text_content("header")
    assert len(opened.locator("#legend li").all()) >= 3

    shown = opened.locator("#indicator").input_value()
    opened.select_option("#indicator", "1" if shown == "0" else "0")
    assert paths(opened) != drawn
    assert sentences(opened) != listed
    assert str(len(sentences(opened))) in opened.text_content("#count")


@pytest.mark.browser
def test_periods_without_figures_are_not_offered(opened):
    opened.select_option("#indicator", label="Purchases & sales")
    assert opened.locator("#period option").all_text_contents() == ["2023"]
    opened.select_option("#indicator", label="Thefts")
    assert opened.locator("#period option").all_text_contents() == ["2022", "2023"]


@pytest.mark.browser
@pytest.mark.parametrize("income", [np.nan, 20.0])
def test_an_indicator_without_figures_is_an_empty_map(browser, tmp_path, income):
    given = pd.DataFrame({"thefts": [np.nan] * 4, "residents": 100.0, "income": income})
    result = run(thin_study.write_study(tmp_path, given), tmp_path / "out")
    assert any(notice.startswith("Indicators without any figure (") for notice in result.report["notices"])
    page, said = browser.new_page(), []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((tmp_path / "out" / "map_internal.html").as_uri())
    page.wait_for_selector("body[data-ready]")
    for indicator in ("income", "thefts"):
        page.select_option("#indicator", label=indicator)
        assert page.locator("#period option").count() == 1
        assert page.locator("#flags").text_content() == "No area is flagged."
    assert "No figure4" in page.locator("#legend").text_content()
    page.close()
    assert said == []


@pytest.mark.browser
def test_hostile_names_are_shown_as_they_are(opened):
    opened.select_option("#indicator", label="Purchases & sales")
    heading = opened.locator("#flags .where").first.text_content()
    assert small_study.HOSTILE[1] in heading
    assert opened.locator("img").count() == 0
    assert opened.text_content("h1") == "Small <b>study</b>"


@pytest.mark.browser
def test_an_entry_of_the_list_zooms_to_its_area_by_keyboard(opened):
    range_ = "document.getElementById('map')._fullLayout.xaxis.range"
    before = opened.evaluate(range_)
    button = opened.locator("#flags button").first
    button.focus()
    opened.keyboard.press("Enter")
    opened.wait_for_function(f"{range_}[1] - {range_}[0] < {0.9 * (before[1] - before[0])}")
    assert button.get_attribute("aria-pressed") == "true"
    opened.click("#whole")
    opened.wait_for_function(f"Math.abs({range_}[0] - {before[0]}) < 1")


@pytest.mark.browser
def test_outlines_follow_a_zoom_from_the_list(browser, tmp_path):
    given = pd.DataFrame({"thefts": [10] * 70, "residents": 1000.0, "income": 20.0})
    given.loc[30, "thefts"] = 90
    path = thin_study.write_study(tmp_path, given)
    path.write_text(path.read_text().replace('language = "en"', 'language = "nl"'))
    assert len(run(path, tmp_path / "out").flags.frame)
    page = browser.new_page(viewport={"width": 1300, "height": 800})
    page.goto((tmp_path / "out" / "map_internal.html").as_uri())
    page.wait_for_selector("body[data-ready]")
    width = (
        "(() => { const all = document.getElementById('map').data; return all[all.length - 3].line.width })()"
    )
    assert page.evaluate(width) < 1
    page.locator("#flags button").first.click()
    page.wait_for_function(f"{width} > 1.5")
    titles = page.eval_on_selector_all(".modebar-btn", "all => all.map(each => each.dataset.title)")
    assert titles == ["Inzoomen", "Uitzoomen"]
    page.close()


@pytest.mark.browser
def test_pointing_at_an_area_tells_name_value_and_class(opened):
    opened.locator("#flags button").first.click()
    opened.wait_for_timeout(200)
    name = opened.locator("#flags .where span").first.text_content()
    box = opened.locator("#map").bounding_box()
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = opened.locator("#tip")
    assert tip.is_visible()
    assert name in tip.text_content()
    assert "limits" in tip.text_content()
    opened.mouse.move(box["x"] + 3, box["y"] + box["height"] + 60)
    assert not tip.is_visible()


@pytest.mark.slow
@pytest.mark.browser
def test_a_click_on_the_map_marks_the_entry_of_the_list(opened):
    button = opened.locator("#flags button").first
    button.click()
    opened.wait_for_timeout(200)
    opened.select_option("#indicator", opened.locator("#indicator").input_value())
    box = opened.locator("#map").bounding_box()
    opened.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert opened.locator("#flags button").first.get_attribute("aria-pressed") == "true"
