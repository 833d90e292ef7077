"""The application without a server: who may ask, and what it says while nothing answers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx
import pytest

from durable_fsm.console import Operator, app
from durable_fsm.console.describing import Describer
from durable_fsm.console.live import lacks_steps, messages_for, pause_after, print_of
from durable_fsm.console.rendering import fingerprint
from durable_fsm.console.site import unknown_chart, unknown_key
from durable_fsm.local.process import free_port
from tests.console.machines import ENTRIES, KETTLE, facts

T = TypeVar("T")
ADMIN = f"http://127.0.0.1:{free_port()}"


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def ask(method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app(admin_url=ADMIN, **options))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:9480") as client:
            return await client.request(method, path, headers=headers)

    return run(asked())


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "evil.example:9480"]
)
def test_a_name_of_another_host_is_refused(host: str) -> None:
    answer = ask("GET", "/health", {"host": host})

    assert (answer.status_code, "--allow-host" in answer.text) == (403, True)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9480", "[::1]:9480", "fsm.example"])
def test_its_own_names_are_answered(host: str) -> None:
    assert ask("GET", "/health", {"host": host}, allow_hosts=["fsm.example"]).text == "ok\n"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {},
    ],
    ids=lambda headers: " ".join(f"{name}={value}" for name, value in headers.items()) or "no header",
)
def test_a_change_that_another_site_asks_for_is_refused(headers: dict[str, str]) -> None:
    assert ask("POST", "/act/send", headers).status_code == 403


def test_every_answer_forbids_scripts_frames_and_sniffing() -> None:
    for path in ("/health", "/nowhere", "/troubles", f"/static/{fingerprint()}/console.js"):
        headers = ask("GET", path).headers

        assert "default-src 'none'; script-src 'self'; style-src 'self'" in headers["content-security-policy"]
        assert "require-trusted-types-for 'script'; trusted-types fsm" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"


def test_while_the_server_does_not_answer_pages_say_so_and_name_no_address() -> None:
    answer = ask("GET", "/troubles")
    panel = ask("GET", "/panel/machine?chart=Kettle&key=k-1")

    assert (answer.status_code, panel.status_code) == (503, 503)
    assert "The server does not answer" in answer.text
    assert "data-retry" in answer.text
    assert ADMIN not in answer.text + panel.text


def test_files_are_kept_for_ever_and_those_of_another_build_are_not_served() -> None:
    found = ask("GET", f"/static/{fingerprint()}/console.css")

    assert "immutable" in found.headers["cache-control"]
    assert ask("GET", "/static/000000000000/console.css").status_code == 404
    assert ask("GET", f"/static/{fingerprint()}/none.js").status_code == 404
    assert ask("GET", "/nowhere").headers["cache-control"] == "no-store"


def test_a_theme_that_the_reader_chose_is_on_the_page_from_the_start() -> None:
    assert 'data-theme="dark"' in ask("GET", "/nowhere", {"cookie": "theme=dark"}).text
    assert "data-theme" not in ask("GET", "/nowhere", {"cookie": 'theme="><b>'}).text


def test_an_unknown_chart_is_told_with_the_nearest() -> None:
    assert unknown_chart("Ketle", ["Kettle", "Cup"]).endswith("Did you mean 'Kettle'?")
    assert "'Cup', 'Kettle'" in unknown_chart("Moon", ["Kettle", "Cup"])
    assert "none yet" in unknown_chart("Moon", [])
    assert unknown_key("Cup", "k-17", ["k-1"]) == "There is no machine Cup/k-17. Did you mean 'k-1'?"


# ── live ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_viewer_is_told_each_step_since_the_last_one_seen() -> None:
    found = messages_for(facts(), "abc.2", Describer(KETTLE))

    assert [(one.event, one.id) for one in found] == [("moved", "abc.3"), ("moved", "abc.4")]
    assert found[1].data["active"] == ["hot", "steeping"]
    assert found[1].data["taken"] == ["boiling--done.invoke.boiling--1"]
    assert found[1].data["possible"] == ["steeping--drink--1"]
    assert found[1].text.startswith("id: abc.4\nevent: moved\ndata: {")


def test_a_viewer_is_told_that_the_machine_is_gone_or_another_one() -> None:
    began = [{**ENTRIES[0], "at": 77}]

    assert [one.event for one in messages_for(None, "abc.2", Describer(KETTLE))] == ["gone"]
    assert messages_for(None, "", Describer(KETTLE)) == []
    other = messages_for(facts(life="def", entries=began, seq=1), "abc.9", Describer(KETTLE))
    assert [(one.event, one.data["at"]) for one in other] == [("life", 77)]


def test_steps_that_have_left_the_snapshot_are_read_from_their_page() -> None:
    assert not lacks_steps(facts(), "abc.0")
    assert lacks_steps(
        facts(entries=ENTRIES[2:], log={"tail": ENTRIES[2:], "pages": 0, "entries": 4, "sent": 2}), "abc.1"
    )
    assert not lacks_steps(facts(), "other.0")
    told = messages_for(facts(), "abc.1", Describer(KETTLE), ENTRIES)
    assert [one.id for one in told] == ["abc.2", "abc.3", "abc.4"]


def test_a_change_without_a_step_refreshes_the_panels() -> None:
    texts = {("", "snapshot"): "{}", ("callbacks", "failing x"): "1"}

    assert [one.event for one in messages_for(facts(), "abc.4", Describer(KETTLE))] == ["changed"]
    assert print_of(texts) != print_of({**texts, ("callbacks", "failing x"): "2"})


def test_the_server_is_asked_ever_more_rarely_while_it_does_not_answer() -> None:
    assert [pause_after(failures, 0.2) for failures in (1, 3, 5, 50)] == [0.4, 1.6, 6.4, 30.0]


def test_an_operator_may_do_what_the_roles_and_charts_say() -> None:
    ann = Operator("ann", frozenset({"send"}), frozenset({"Kettle"}))

    assert (ann.may("send", "Kettle"), ann.may("send", "Cup"), ann.may("repair", "Kettle")) == (True, False, False)
    assert Operator("bob", frozenset({"send"})).may("send", "Cup")
