"""The console on the real server, in a browser: live, in the past, and while the server does not answer."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import uvicorn

from durable_fsm.console.context import ConsoleContext, ConsoleOptions
from durable_fsm.console.request_guard import LOOPBACK
from durable_fsm.console.site import site_of
from durable_fsm.local.process import free_port
from durable_fsm.local.waiting import wait_until
from tests.browsing import NARROW, WIDE, faults, too_wide
from tests.server.conftest import PATIENCE
from tests.web import web

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.server.conftest import Host

pytestmark = pytest.mark.server


class Line:
    """The way from the console to the server, which can be cut."""

    def __init__(self, desk: ConsoleContext) -> None:
        self._admin = desk.reader.admin
        self._url = desk.reader.admin.url

    def cut(self) -> None:
        self._admin.url = f"http://127.0.0.1:{free_port()}"

    def join(self) -> None:
        self._admin.url = self._url


@pytest.fixture(scope="module")
def desk(awake: Host) -> Iterator[ConsoleContext]:
    """The console's way to the server; no service is reached by it."""
    desk = ConsoleContext(ConsoleOptions(awake.server.admin_url, hosts=LOOPBACK))
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def site(desk: ConsoleContext) -> Iterator[str]:
    port = free_port()
    config = uvicorn.Config(site_of(desk), port=port, log_level="critical", timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, PATIENCE)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def written(host: Host, steps: int, name: str = "page") -> str:
    """A recorded machine after so many steps, its creation among them."""
    key = host.key(name)
    for number in range(1, steps):
        host.receipt("Logbook", key, "note", {f"line {number}": f"text {number}"})
    return key


def test_a_machine_moves_on_its_page_and_is_followed_back_in_time(awake: Host, site: str, page: Page) -> None:
    key = written(awake, 24)  # more than its snapshot carries
    foreign: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(site) else foreign.append(request.url))

    page.goto(f"{site}/chart/Logbook/machine?key={key}")
    page.locator("#pulse.live").wait_for()
    awake.receipt("Logbook", key, "close")
    page.locator(".is-active[data-state=reading]").wait_for()
    page.locator("#at-step", has_text="Step 25 of 25").wait_for()
    page.locator("#p-head .s-done").wait_for()

    page.keyboard.press("ArrowLeft")
    page.locator(".is-active[data-state=writing]").wait_for()
    page.locator("#p-side .new", has_text="line 23").first.wait_for()
    page.keyboard.press("Home")
    page.locator("#p-side h2", has_text=re.compile("after step 1$", re.IGNORECASE)).wait_for()
    assert "n=1" in page.url
    assert page.locator("#p-side .data").inner_text().split() == ["last", "[]", "notes", "{}"]
    page.keyboard.press("l")
    page.locator("#to-live.off").wait_for(state="attached")
    assert "n=" not in page.url

    page.goto(f"{site}/chart/Logbook/machine?key={key}&n=3")  # the link that a colleague gets
    assert page.locator("#at-step").inner_text() == "Step 3 of 25"
    assert page.locator("#p-history tr.sel").inner_text().startswith("3")
    assert foreign == []
    assert faults(page) == []
    page.set_viewport_size(NARROW)
    page.emulate_media(color_scheme="dark")
    assert too_wide(page) == []
    page.set_viewport_size(WIDE)


def test_a_page_says_that_the_server_does_not_answer_and_heals_by_itself(
    awake: Host, site: str, desk: ConsoleContext, page: Page
) -> None:
    key = written(awake, 2)
    page.goto(f"{site}/chart/Logbook/machine?key={key}")
    page.locator("#pulse.live").wait_for()

    line = Line(desk)
    line.cut()
    page.locator("#banner", has_text="The server does not answer").wait_for()
    assert page.locator("#banner").inner_text().count("127.0.0.1") == 0
    old = web.get(f"{site}/chart/Logbook/machine?key={key}")
    line.join()
    page.locator("#banner").wait_for(state="hidden")
    awake.receipt("Logbook", key, "close")

    page.locator(".is-active[data-state=reading]").wait_for()
    assert (old.status_code, 'class="pulse off"' in old.text) == (200, True)  # the last answer, and its age


def test_a_page_says_that_its_machine_is_gone_and_when_another_life_begins(awake: Host, site: str, page: Page) -> None:
    key = written(awake, 3)
    page.goto(f"{site}/chart/Logbook/machine?key={key}")
    page.locator("#pulse.live").wait_for()

    awake.receipt("Logbook", key, "delete")
    page.locator("#banner.news", has_text="was deleted").wait_for()
    awake.receipt("Logbook", key, "create", {})

    page.locator("#banner.news", has_text="A new life of this machine began").wait_for()
    assert page.locator("#at-step").inner_text() == "Step 3 of 3"  # what was shown stays readable
    page.keyboard.press("Home")
    page.locator("#at-step", has_text="Step 1 of 3").wait_for()
    assert "text 2" in page.locator("#p-side .data").inner_text()  # and not the data of the new life


def test_a_fleet_counts_as_the_server_does_and_leads_to_its_machines(awake: Host, site: str, page: Page) -> None:
    keys = [written(awake, 2), written(awake, 2, "alone")]
    rows = awake.server.query(
        "SELECT json_get_json(value_utf8, 'configuration') AS leaves, count(*) AS many FROM state"
        " WHERE service_name = 'Logbook' AND key = 'snapshot' GROUP BY leaves"
    )

    page.goto(f"{site}/chart/Logbook")

    for row in rows:
        if "leaves" in row:  # another test has written what cannot be read
            (state,) = re.findall(r"\w+", row["leaves"])
            # Numbers may be a second old; then the live stream brings the new ones.
            page.locator(f'[data-badge="{state}"] text', has_text=re.compile(f"^{row['many']}$")).wait_for()
    page.locator("#pulse.live").wait_for()
    awake.receipt("Logbook", keys[0], "close")
    page.locator('.sec:has(h2:text("States")) tr', has_text="Reading").locator("td.n").first.wait_for()
    page.locator("#state-writing").click()
    page.locator("h2", has_text="In Writing").wait_for()
    assert "state=writing" in page.url
    assert faults(page) == []

    page.goto(f"{site}/chart/Logbook/machines?prefix=alone-")
    assert page.locator("tbody tr").count() == 1
    assert faults(page) == []
    page.locator("tbody a").click()
    page.locator("h1", has_text=keys[1]).wait_for()


def test_pages_of_lists_and_files_hold_the_same_machines(awake: Host, site: str) -> None:
    keys = [written(awake, 2) for _ in range(2)]

    listed = web.get(f"{site}/chart/Logbook/machines?state=writing&prefix=page-").text
    table = web.get(f"{site}/chart/Logbook/machines.csv?state=writing&prefix=page-").text.splitlines()
    data = web.get(f"{site}/chart/Logbook/machine.json?key={keys[0]}").json()
    drawing = web.get(f"{site}/chart/Logbook/machine.svg?key={keys[0]}").text

    assert all(f">{key}<" in listed for key in keys)
    assert {line.split(",")[0] for line in table[1:]} >= {*keys}
    assert data["notes"] == {"line 1": "text 1"}
    assert re.search('class="fsm-state [^"]*is-active[^"]*" data-state="writing"', drawing)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/chart/Logbok", 404, "Did you mean &#39;Logbook&#39;?"),
        ("/chart/Logbook/machine?key=nobody", 404, "There is no machine Logbook/nobody"),
        ("/live?chart=Logbok", 404, "Did you mean"),
        ("/chart/Logbook/machine?key=<script>", 404, "Logbook/&lt;script&gt;"),
        ("/chart/Logbook/machines?older=long", 200, "not a duration"),
        ("/chart/Logbook/machines?where=customer=ann", 200, "customer"),
        ("/chart/Logbook/machines?state=none&after=zzz", 200, "No machine matches"),
        ("/chart/Logbook?overlay=strange&window=9y", 200, "Population"),
        ("/chart/Logbook?overlay=never&window=1h", 200, "From the histories of"),
        ("/chart/Logbook/versions?from=7&to=x", 200, "Only one build"),
        ("/charts", 200, "Keeps a record that has all."),
        ("/troubles", 200, "</html>"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("/") else "",
)
def test_whatever_is_asked_gets_a_page(site: str, path: str, status: int, words: str) -> None:
    answer = web.get(f"{site}{path}")

    assert (answer.status_code, words in answer.text) == (status, True)
    assert "http://127.0.0.1" not in answer.text


def test_what_cannot_be_read_is_a_page_that_says_why(awake: Host, site: str) -> None:
    awake.put("Logbook", "page-strange", '{"chart": "Logbook", "format": 1, "secret": "raw"}')
    awake.put("Logbook", "page-ended", '{"chart": "Logbook", "gone": true}')
    long = written(awake, 2)
    text = awake.stored("Logbook", long)["snapshot"]
    awake.put("Logbook", long, text.replace('"text 1"', f'"{"x" * 200_000}"', 1))

    strange = web.get(f"{site}/chart/Logbook/machine?key=page-strange").text
    ended = web.get(f"{site}/chart/Logbook/machine?key=page-ended").text
    cut = web.get(f"{site}/chart/Logbook/machine?key={long}").text

    assert ("Cannot be read" in strange, "raw" in strange) == (True, False)
    assert "gone" in ended
    assert len(cut) < 150_000
