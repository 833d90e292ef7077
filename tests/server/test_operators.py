"""Operators sign what they send: handlers for operators only are open to them, and to nobody else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from click.testing import CliRunner

from durable_fsm import chart_from
from durable_fsm.cli import main
from durable_fsm.client import SyncClient
from durable_fsm.console import ActingOptions, Operator, OperatorBook
from durable_fsm.console.context import ConsoleContext, ConsoleOptions
from durable_fsm.console.operators import hash_password
from durable_fsm.console.request_guard import LOOPBACK
from durable_fsm.console.site import site_of
from durable_fsm.core.operators import OPERATOR, SignedRequest
from durable_fsm.errors import Moved, NotOperator
from durable_fsm.testing import RestateServer, Served, free_port, wait_until
from tests.browsing import NARROW, PATIENCE_MS, PICTURES, WIDE, faults, too_wide
from tests.server.operators_app import Strongroom
from tests.server.test_exposure import CLOSED, OPEN, documented
from tests.server.test_exposure import served as services_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
SECRET, NEXT = "the-secret-of-the-operators", "the-secret-that-follows-it"


@dataclass
class Desk:
    server: RestateServer
    log: Path
    http: httpx.Client
    served: Served
    numbers: int = 0

    def key(self) -> str:
        self.numbers += 1
        return f"s-{self.numbers}"

    def post(self, path: str, body: object = None, headers: dict[str, str] | None = None) -> httpx.Response:
        content = body if isinstance(body, bytes | None) else json.dumps(body)
        kind = {} if content is None else {"content-type": "application/json"}
        return self.http.post(f"{self.server.ingress_url}/{path}", content=content, headers={**kind, **(headers or {})})

    def client(self, secret: str = SECRET) -> SyncClient:
        return SyncClient(self.server.ingress_url, http=self.http).as_operator("ann", secret)


@pytest.fixture(scope="module")
def desk(restate_server: RestateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    log = tmp_path_factory.mktemp("operators") / "service.log"
    env = {"DURABLE_FSM_OPERATOR_SECRETS": f"{SECRET},{NEXT}", "OPERATORS_ROAD": str(log.parent / "road")}
    with (
        Served.begin("operators_app:operators_app", restate_server, log=log, app_dir=HERE, env=env) as served,
        httpx.Client(timeout=60) as http,
    ):
        yield Desk(restate_server, log, http, served)


def test_without_a_signature_handlers_for_operators_answer_403_by_every_way_into_the_ingress(desk: Desk) -> None:
    key = desk.key()
    assert desk.post(f"Strongroom/{key}/unlock").status_code == 200

    for handler, body in (("repair", {"move": "shut", "reason": "so"}), ("history", {}), ("send", {"event": "lock"})):
        for way in ("", "restate/call/"):
            answer = desk.post(f"{way}Strongroom/{key}/{handler}", body)
            assert (answer.status_code, answer.json()["metadata"]["type"]) == (403, "NotOperator")
        sent = desk.post(f"Strongroom/{key}/{handler}/send", body).json()["invocationId"]
        attached = desk.http.get(f"{desk.server.ingress_url}/restate/invocation/{sent}/attach")
        assert attached.status_code == 403, attached.text
    assert desk.client().machine("Strongroom", key).snapshot().configuration == ("open",)


def test_without_a_signature_no_more_is_open_than_the_documentation_says(desk: Desk) -> None:
    told = documented("Strongroom")
    hidden = chart_from(Strongroom).hosting.operators_only
    host = SimpleNamespace(served=desk.served, client=desk.http, server=desk.server)
    seen: dict[tuple[str, str], str] = {}
    for service, _, handler in services_of(host, "Strongroom"):  # type: ignore[arg-type]
        answer = desk.post(f"{service}/{desk.key()}/{handler}")
        is_private = answer.status_code == 400 and "not public" in answer.text
        seen[service, handler] = CLOSED if is_private else "signed" if answer.status_code == 403 else OPEN

    expected = {place: told.get(place, told.get((place[0], "*"), OPEN)) for place in seen}
    expected |= {("Strongroom", handler): "signed" for handler in hidden}
    assert seen == expected


def test_an_operator_may_and_the_history_has_the_name(desk: Desk) -> None:
    key = desk.key()
    machine = desk.client(NEXT).machine("Strongroom", key)

    assert machine.create().outcome == "created"
    machine.send("unlock")
    machine.repair(move="shut", reason="the shift is over")

    entries = [entry.record for entry in machine.history()]
    assert [(entry["event"], entry.get("by")) for entry in entries] == [
        ("create", "operator:ann"),
        ("unlock", "operator:ann"),
        ("repair", "operator:ann"),
    ]
    desk.post(f"Strongroom/{key}/unlock")
    assert [entry.record.get("by") for entry in machine.history(last=1)] == [None]
    assert machine.delete().outcome == "deleted"


def test_a_signed_request_cannot_be_sent_again(desk: Desk) -> None:
    key = desk.key()
    desk.post(f"Strongroom/{key}/unlock")
    body = b'{"reason":"by mistake","move":"shut"}'
    signed = SignedRequest("Strongroom", "repair", key, body, 2).signed("ann", SECRET, until=int(time.time()) + 60)

    first = desk.post(f"Strongroom/{key}/repair", body, signed)
    again = desk.post(f"Strongroom/{key}/repair", body, signed)
    other = desk.post(f"Strongroom/{key}/delete", body, signed)

    assert (first.status_code, again.status_code, other.status_code) == (200, 409, 403)
    assert again.json()["metadata"] | {"chart": "", "key": ""} == {
        "type": "Moved",
        "chart": "",
        "key": "",
        "expected": "2",
        "seq": "3",
        "configuration": '["shut"]',
    }


def test_a_signed_request_that_says_no_step_is_refused(desk: Desk) -> None:
    key = desk.key()
    desk.post(f"Strongroom/{key}/unlock")
    signed = SignedRequest("Strongroom", "send", key, b'{"event":"lock"}').signed("ann", SECRET, until=2**31)
    soon = SignedRequest("Strongroom", "send", key, b'{"event":"lock"}')
    headers = soon.signed("ann", SECRET, until=int(time.time()) + 60)

    late = desk.post(f"Strongroom/{key}/send", b'{"event":"lock"}', signed)
    answer = desk.post(f"Strongroom/{key}/send", b'{"event":"lock"}', headers)

    assert (late.status_code, answer.status_code) == (403, 403)
    assert "must say at which step" in answer.json()["message"]
    wrong = SyncClient(desk.server.ingress_url, http=desk.http).as_operator("ann", "not the secret of anyone")
    with pytest.raises(NotOperator, match="signature is wrong"):
        wrong.machine("Strongroom", key).snapshot()


def test_a_request_for_an_earlier_state_is_refused_with_the_present_one(desk: Desk) -> None:
    key = desk.key()
    assert desk.post(f"Strongroom/{key}/unlock", headers={"x-durable-fsm-if-seq": "0"}).status_code == 200

    moved = desk.post(f"Strongroom/{key}/lock", headers={"x-durable-fsm-if-seq": "1"})
    malformed = desk.post(f"Strongroom/{key}/lock", headers={"x-durable-fsm-if-seq": "one"})
    machine = desk.client().machine("Strongroom", key)
    with pytest.raises(Moved) as refused:
        machine.if_seq(7).send("lock")

    assert (moved.status_code, malformed.status_code) == (409, 400)
    assert (refused.value.expected, refused.value.seq, refused.value.configuration) == (7, 2, ("open",))
    assert machine.if_seq(2).send("lock").configuration == ("shut",)
    body: dict[str, Any] = {"event": "unlock", "if_seq": 1}
    assert desk.post(f"Strongroom/{key}/send", body).status_code == 403  # it is not signed
    with pytest.raises(Moved):
        machine.if_seq(2).delete()
    waited = desk.post(
        f"Strongroom/{key}/wait_for",
        {"state": "open", "event": "unlock"},
        SignedRequest("Strongroom", "wait_for", key, json.dumps({"state": "open", "event": "unlock"}).encode()).signed(
            "ann", SECRET, until=int(time.time()) + 60
        ),
    )
    assert waited.status_code == 400, waited.text
    assert machine.snapshot().seq == 3


def test_the_command_line_signs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    key, runner = desk.key(), CliRunner()
    desk.post(f"Strongroom/{key}/unlock")
    places = ["--ingress", desk.server.ingress_url, "--admin", desk.server.admin_url, "--operator", "bob"]
    repair = ["repair", f"Strongroom/{key}", "--move", "shut", "--reason", "so", "--if-seq", "2", *places]

    refused = runner.invoke(main, repair)
    monkeypatch.setenv("DURABLE_FSM_OPERATOR_SECRETS", SECRET)
    repaired, again = runner.invoke(main, repair), runner.invoke(main, repair)
    history = runner.invoke(main, ["history", f"Strongroom/{key}", *places])

    assert (refused.exit_code, "has no secret" in refused.output) == (2, True)
    assert (repaired.exit_code, again.exit_code) == (0, 4), (repaired.output, again.output)
    assert "it is at step 3 now, in 'shut'. Read it again." in again.output
    assert "operator:bob" in history.output


def test_a_signature_is_no_secret_of_an_answer(desk: Desk) -> None:
    key = desk.key()
    answer = desk.post(f"Strongroom/{key}/snapshot", {}, {OPERATOR: "ann.5.abc"})

    assert answer.status_code == 403
    assert "abc" not in answer.text
    assert SECRET not in desk.log.read_text()


# ── in the console ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def site(desk: Desk) -> Iterator[str]:
    """A console in which Ann may act; the code of one chart is there."""
    book = OperatorBook({"ann": (Operator.of_everything("ann"), hash_password("the red door", cost=2))})
    acting = ActingOptions(SECRET, book, charts={"Strongroom": chart_from(Strongroom)})
    options = ConsoleOptions(desk.server.admin_url, desk.server.ingress_url, hosts=LOOPBACK, acting=acting)
    port, console = free_port(), ConsoleContext(options)
    config = uvicorn.Config(
        site_of(console), port=port, loop="asyncio", log_level="critical", timeout_graceful_shutdown=0
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, what="the console")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
    console.close()


@pytest.fixture
def tab(started_browser: Browser) -> Iterator[Page]:
    """A tab in which answers may be refusals, and nothing else may go wrong."""
    with started_browser.new_context(viewport=WIDE, accept_downloads=True) as context:
        context.set_default_timeout(PATIENCE_MS)
        tab, wrong = context.new_page(), list[str]()
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("console", lambda told: wrong.append(told.text) if "Content Security Policy" in told.text else None)
        yield tab
        assert not wrong


def log_in(page: Page, site: str, to: str = "/charts") -> None:
    page.goto(f"{site}/login?{httpx.QueryParams(to=to)}")
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill("the red door")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").wait_for()


def photographed(page: Page, name: str) -> None:
    """Look at a page: keep its picture, and let axe and a narrow screen find what is wrong with it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"console-{name}.png")
    assert faults(page) == []
    page.set_viewport_size(NARROW)
    assert too_wide(page) == []
    page.set_viewport_size(WIDE)


def test_an_operator_mends_a_failed_machine_from_the_list_of_troubles(desk: Desk, site: str, tab: Page) -> None:
    key = desk.key()
    desk.post(f"Courier/{key}/take", {"to": "Elsewhere", "card_number": "4111-2222-3333"})
    tab.goto(f"{site}/chart/Courier/machine?key={key}")
    tab.locator("#p-head .s-failed").wait_for()
    assert tab.get_by_role("link", name="More …").count() == 0  # visitors only look
    assert "4111" not in tab.content()

    (desk.log.parent / "road").write_text("")
    log_in(tab, site, "/troubles")
    tab.locator(".trouble", has_text=key).get_by_role("link", name="Retry …").click()
    tab.get_by_role("button", name="Repair").click()
    tab.get_by_text("Give a reason").wait_for()
    photographed(tab, "repair")
    tab.get_by_label("Reason").fill("the road is open again")
    tab.get_by_role("button", name="Repair").click()

    tab.locator("#p-head .s-done").wait_for()
    tab.locator("#p-history tr", has_text="the road is open again").get_by_text("ann").first.wait_for()
    assert "4111" not in tab.content()


def test_an_operator_sends_an_event_after_a_preview_and_is_told_if_the_machine_has_moved(
    desk: Desk, site: str, tab: Page
) -> None:
    key = desk.key()
    desk.client().machine("Strongroom", key).create()
    log_in(tab, site, f"/chart/Strongroom/machine?key={key}")

    tab.locator(".fsm-transition.is-possible").first.click()
    preview = tab.get_by_label("Preview")
    preview.get_by_text("exactly").wait_for()
    words = [word for word in preview.inner_text().split("\n") if word]
    assert words == ["What would happen", "exactly", "→ Open", "/opened", "1"]
    photographed(tab, "send")
    desk.post(f"Strongroom/{key}/unlock")
    tab.get_by_label("Reason").fill("asked by the guard")
    tab.get_by_role("button", name="Send unlock").click()

    tab.get_by_text("the machine has moved").wait_for()
    assert tab.get_by_label("Reason").input_value() == "asked by the guard"
    preview.get_by_text("It would be refused").wait_for()
    tab.goto(f"{site}/act/send?chart=Strongroom&key={key}&event=lock")
    tab.get_by_label("Reason").fill("the shift is over")
    tab.get_by_role("button", name="Send lock").click()
    tab.locator(".is-active[data-state=shut]").wait_for()
    tab.locator("#p-history tr", has_text="lock").get_by_text("ann").first.wait_for()
    tab.locator("#export summary").click()
    with tab.expect_download() as downloaded:
        tab.get_by_role("link", name="Test").click()
    text = downloaded.value.path().read_text()
    assert [line.strip() for line in text.splitlines() if "machine." in line] == [
        "machine.create()",
        'machine.send("unlock")',
        'machine.send("lock")',
        'assert machine.leaves == ("shut",)',
        'assert machine.status == "running"',
    ]


def test_an_event_goes_to_many_machines_with_a_report(desk: Desk, site: str, tab: Page) -> None:
    keys = [f"many-{number}" for number in range(12)]
    for key in keys:
        desk.post(f"Strongroom/{key}/unlock")
    log_in(tab, site, "/chart/Strongroom/machines?prefix=many-")

    tab.get_by_role("link", name="Act on all of these").click()
    tab.get_by_label("Event").select_option("lock")
    tab.get_by_role("button", name="Choose").click()
    assert tab.get_by_label("Preview").locator("tbody").inner_text().split("\t") == ["→ shut", "12"]
    photographed(tab, "bulk")
    desk.post("Strongroom/many-3/lock")
    desk.client().machine("Strongroom", "many-3").send("unlock")
    tab.get_by_label("Reason").fill("closing time")
    tab.get_by_role("button", name="Send to 12 machines").click()

    tab.get_by_text("12 of 12 machines: it is over.").wait_for()
    taken = tab.locator("#p-run .good").inner_text()
    assert taken == "12 took it"


def test_a_page_of_another_site_cannot_act(desk: Desk, site: str, tab: Page) -> None:
    key = desk.key()
    desk.post(f"Strongroom/{key}/unlock")
    log_in(tab, site)
    target = f"{site}/act/send?chart=Strongroom&key={key}&event=lock"
    hostile = f'''<form method="post" action="{target}"><input name="do" value="send"><input name="if_seq" value="2">
        <input name="reason" value="gotcha"></form><iframe src="{target}"></iframe><script>document.forms[0].submit()</script>'''

    with tab.context.new_page() as evil:
        evil.route("http://evil.example/**", lambda route: route.fulfill(body=hostile, content_type="text/html"))
        with evil.expect_response(lambda answer: answer.request.method == "POST") as answered:
            evil.goto("http://evil.example/", wait_until="commit")

    assert answered.value.status == 403
    assert desk.client().machine("Strongroom", key).snapshot().seq == 2
