"""Pages of applications: what every site has, seen in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import ServiceProcess
from tests.browsing import looked_at
from tests.web import web

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("site") / "log"
    app = "tests.pages.sample:app"
    with ServiceProcess.serving(app, log=log, app_dir=ROOT, fork=True, by="uvicorn") as served:
        yield served.url


def test_a_site_loads_nothing_foreign_and_takes_no_form_of_another_site(site: str) -> None:
    policy = web.get(site).headers["content-security-policy"]
    foreign = web.post(f"{site}/notes", data={"text": "x"}, headers={"sec-fetch-site": "cross-site"})

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert foreign.status_code == 403


def test_a_path_without_a_page_is_a_page_that_says_so(site: str) -> None:
    answer = web.get(f"{site}/<b>")

    assert (answer.status_code, "&lt;b&gt;" in answer.text) == (404, True)


def test_a_page_follows_its_machine_and_takes_notes_by_keyboard(site: str, page: Page) -> None:
    page.goto(site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.locator(".is-active[data-state=cart]").count() == 1
    assert page.locator("#notes").inner_text() == "<b>not bold</b>"

    page.get_by_label("Note", exact=True).press_sequentially("Leave it at the door")
    page.keyboard.press("Enter")

    page.get_by_text("Leave it at the door").wait_for()
    page.locator(".is-active[data-state=payment]").wait_for()
    assert page.get_by_label("Note", exact=True).input_value() == ""
    assert page.evaluate("document.fonts.check('16px Inter')")
    assert looked_at(page, "sample") == []
