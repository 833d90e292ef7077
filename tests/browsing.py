"""Browse the pages of applications in headless Chromium, as a person would: by mouse, by keyboard, on a small screen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.chromium import Chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "build" / "pages"
NARROW: ViewportSize = {"width": 390, "height": 844}
WIDE: ViewportSize = {"width": 1280, "height": 900}
GRAVE = ("serious", "critical")
PATIENCE_MS = 60_000


def chromium_program() -> str | None:
    """The installed browser. CHROMIUM names another program."""
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    return next(filter(None, map(shutil.which, names)), None)


NO_CHROMIUM = "needs Chromium: run apt-get install chromium, or name one in CHROMIUM"


@pytest.fixture(scope="module")
def started_browser() -> Iterator[Browser]:
    """A browser for the tests of one module; not for the whole run: as long as it runs, its thread has an event loop."""
    program = chromium_program()
    if program is None:
        pytest.skip(NO_CHROMIUM)
    with browser(program) as started:
        yield started


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Start a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def chromium(started_browser: Browser) -> Chromium:
    """The same browser, for pages in files."""
    return Chromium(started_browser)


@pytest.fixture
def page(started_browser: Browser) -> Iterator[Page]:
    """An empty tab without cookies. Whatever goes wrong on its pages fails the test: errors, and refused requests."""
    with started_browser.new_context(viewport=WIDE) as context:
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        yield page
        assert not wrong, f"the browser's console says: {wrong}"


def faults(page: Page) -> list[str]:
    """What axe finds wrong for people with disabilities, if it is serious, and what is wider than the screen."""
    from axe_playwright_python.sync_playwright import Axe

    found = [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']]}"
        for one in Axe().run(page).response["violations"]
        if one["impact"] in GRAVE
    ]
    return found + too_wide(page)


def too_wide(page: Page) -> list[str]:
    """Whether the page is wider than the screen."""
    pixels = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"the page is {pixels} pixels too wide"] if pixels > 0 else []


def looked_at(page: Page, name: str, *, whole: bool = True) -> list[str]:
    """Take pictures in light, in dark and on a narrow screen, and return the faults of each.

    The pictures are `build/pages/<name>.<look>.png`.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    for look in ("light", "dark", "narrow"):
        page.set_viewport_size(NARROW if look == "narrow" else WIDE)
        page.emulate_media(color_scheme="dark" if look == "dark" else "light", reduced_motion="reduce")
        page.screenshot(path=PICTURES / f"{name}.{look}.png", full_page=whole)
        wrong = too_wide(page) if look == "narrow" else faults(page)  # axe takes longer than all else here
        found += [f"{look}: {fault}" for fault in wrong]
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    return found
