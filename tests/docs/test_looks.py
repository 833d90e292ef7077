"""How the main pages look: in light, in dark, on a phone, and for people with disabilities; and that every page fits.

The pictures are written to build/screenshots, to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browsing import GRAVE, NARROW, PATIENCE_MS, WIDE, too_wide
from tests.docs.test_mkdocs import SWITCH
from tests.docs.test_pages import EVERYTHING, SCREENSHOTS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MAIN = ("index", "tutorial", "timers", "reference/callbacks", "tour", "tour/10", "deploying")
LONG = ("howto", "reference/declaring", "reference/errors")
"""Pages that are looked at with SCALE=10, as every page is measured then."""

READ_BY_AXE = (*MAIN, *LONG) if EVERYTHING else ("reference/callbacks",)
"""axe reads every word, which takes seconds. The home page has a test of its own."""

SEEN = """(() => {
  const article = document.querySelector("article").getBoundingClientRect();
  const brightness = it => { const [r, g, b] = it.match(/[0-9.]+/g).map(Number); return (r + g + b) / 3; };
  return {
    scrolls: document.documentElement.scrollWidth > innerWidth,
    wide: [...document.querySelectorAll("article img")]
      .filter(it => it.getBoundingClientRect().right > article.right + 1).length,
    broken: [...document.images].filter(it => it.complete && it.naturalWidth === 0).map(it => it.src),
    headings: document.querySelectorAll("article h1, article h2").length,
    ink: brightness(getComputedStyle(document.querySelector("article p, article td")).color),
    ground: brightness(getComputedStyle(document.body).backgroundColor),
  };
})()"""

SCHEMES = {"light": SWITCH.replace("slate", "default"), "dark": SWITCH}
SCREENFUL = 2400 if EVERYTHING else 900
WIDEST = ("cli", "performance", "reference/client", "reference/configuration", "statecharts")
"""Pages with wide tables, code and pictures; those of MAIN are looked at in any case."""


@pytest.fixture(scope="module")
def tab(started_browser: Browser) -> Iterator[Page]:
    """One tab for all pages."""
    with started_browser.new_context(viewport=WIDE, reduced_motion="reduce") as context:
        context.set_default_timeout(PATIENCE_MS)
        yield context.new_page()


def grave(page: Page, *rules: str) -> list[str]:
    """What axe finds serious; only by these rules, if there are some."""
    options = {"preload": False, **({"runOnly": list(rules)} if rules else {})}
    # The article; all around it is on the home page, too.
    found = Axe().run(page, context="article", options=options).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in GRAVE]


@pytest.mark.browser
@pytest.mark.parametrize("name", [*MAIN, *(LONG if EVERYTHING else ())])
def test_a_main_page_is_complete_in_light_in_dark_and_on_a_phone(site: Path, tab: Page, name: str) -> None:
    picture = SCREENSHOTS / name.replace("/", "-")
    tab.set_viewport_size({"width": WIDE["width"], "height": SCREENFUL})
    tab.goto((site / f"{name}.html").as_uri())

    seen: dict[str, dict[str, Any]] = {}
    faults: list[str] = []
    for scheme, switch in SCHEMES.items():
        tab.evaluate(switch)  # the theme remembers it for the next page
        tab.screenshot(path=f"{picture}.{scheme}.png")
        seen[scheme] = tab.evaluate(SEEN)
        rules = ["color-contrast"] if scheme == "dark" else []
        faults += grave(tab, *rules) if name in READ_BY_AXE else []
    tab.set_viewport_size({"width": NARROW["width"], "height": SCREENFUL})
    tab.screenshot(path=f"{picture}.narrow.png")

    assert faults == []
    for look in seen.values():
        assert (look["scrolls"], look["wide"], look["broken"]) == (False, 0, [])
        assert look["headings"] >= 1
    assert seen["light"]["ground"] > 200 > 100 > seen["dark"]["ground"]
    assert seen["light"]["ink"] < 200
    assert too_wide(tab) == []


@pytest.mark.browser
def test_no_page_is_wider_than_its_screen(site: Path, tab: Page) -> None:
    pages = sorted(site.rglob("*.html")) if EVERYTHING else [site / f"{name}.html" for name in WIDEST]

    wide: dict[str, list[str]] = {}
    for page in pages:
        tab.goto(page.as_uri())
        for size in (NARROW, WIDE):
            tab.set_viewport_size(size)
            if found := too_wide(tab):
                wide[f"{page.relative_to(site)} at {size['width']}"] = found

    assert wide == {}
