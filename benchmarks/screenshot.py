"""The picture of the sample's page in README: `make demo`, then `python -m benchmarks.screenshot`.

It wants the development packages and Debian's Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHOWN = "Gemiddelde omzet per kapper"
"""An indicator of the sample with few flags, so that each is seen; in the period in which the page opens."""


def screenshot(
    page: Path = ROOT / "out" / "map_internal.html", path: Path = ROOT / "docs" / "map.png"
) -> None:
    """Open a page in a browser and draw what it shows."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1400, "height": 900})
        view.goto(page.resolve().as_uri())
        titles = view.locator("#indicator option").all_inner_texts()
        view.select_option("#indicator", index=next(k for k, t in enumerate(titles) if t.startswith(SHOWN)))
        view.wait_for_timeout(1_000)  # lines and patterns are drawn after the map
        view.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    screenshot(*map(Path, sys.argv[1:]))
