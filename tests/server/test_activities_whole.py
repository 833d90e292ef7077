"""Activities, the whole: what they receive, how long they may take, how they are stopped, who answers them."""

from __future__ import annotations

import os
import socketserver
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import EffectLog, RestateServer, Served, wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

APP = "work_app:work_app"
SOON = timedelta(seconds=2)
"""Within this time of the request that stops it, work has given back what it held."""


class Line:
    """An HTTP server that never answers, and sees when its callers hang up."""

    def __init__(self) -> None:
        line = self
        self.opened: list[float] = []
        self.closed: list[float] = []

        class Caller(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(65536)
                line.opened.append(time.monotonic())
                while self.request.recv(65536):
                    pass
                line.closed.append(time.monotonic())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Caller)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def wait_opened(self, calls: int = 1) -> None:
        wait_until(lambda: len(self.opened) >= calls, what="the call")

    def wait_closed(self) -> float:
        """The moment when the first caller has hung up."""
        wait_until(lambda: self.closed, what="the end of the call")
        return self.closed[0]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def line() -> Iterator[Line]:
    found = Line()
    yield found
    found.close()


@pytest.fixture(scope="module")
def awake_bench(
    hosting: type[Host],
    restate_server: RestateServer,
    effect_log: EffectLog,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    with hosting.on(restate_server, effect_log, tmp_path_factory.mktemp("bench") / "service.log", APP) as host:
        yield host


@pytest.fixture(scope="module")
def replaying_bench(
    hosting: type[Host],
    replaying_server: RestateServer,
    effect_log: EffectLog,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    with hosting.on(replaying_server, effect_log, tmp_path_factory.mktemp("bench") / "service.log", APP) as host:
        yield host


@pytest.fixture(params=["awake_bench", "replaying_bench"])
def bench(request: pytest.FixtureRequest) -> Iterator[Host]:
    """The charts of `work_app`, on each of the two servers in turn."""
    found: Host = request.getfixturevalue(request.param)
    yield found
    found.mend()


def effects_of(host: Host, name: str) -> list[str]:
    """Keys of the effects of this name, in order."""
    return [entry.key for entry in host.effects.entries(name)]


def wait_for_effect(host: Host, name: str) -> str:
    """The key of the first effect of this name, once it is there."""
    found: list[str] = wait_until(lambda: effects_of(host, name), what=f"the effect {name}")
    return found[0]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_gone(pid: int) -> float:
    """The moment when the process was seen to be gone."""
    wait_until(lambda: not is_alive(pid), what=f"the end of process {pid}")
    return time.monotonic()


# ── what they receive ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("what", "received"),
    [
        ("field", "7"),
        ("fields", "{'cents': 7, 'effect': 'e'}"),
        ("function", "{'cents': 14, 'price': '1.5'}"),
    ],
)
def test_an_activity_receives_what_its_input_says(bench: Host, what: str, received: str) -> None:
    work = bench.key("given")

    bench.receipt("Given", work, f"try_{what}", {"cents": 7, "effect": "e"})

    assert bench.wait_in("Given", work, "over")["data"]["result"] == received


def test_the_input_is_made_when_the_work_starts_and_survives_a_kill(bench: Host) -> None:
    work = bench.key("given")
    cents = 1_000 + int(work.rpartition("-")[2])  # its own: the effect is named after it

    with bench.effects.hold(f"before:given-{cents}") as gate:
        bench.receipt("Given", work, "try_changing", {"cents": cents})
        gate.wait_reached()
        bench.receipt("Given", work, "change", {"cents": 8})
        bench.served.kill()
    bench.served.restart()

    assert bench.wait_in("Given", work, "over")["data"] | {"effect": ""} == {
        "effect": "", "url": "", "cents": 8, "price": "1.5", "result": str(cents), "error": {},
    }  # fmt: skip


def test_exclusive_work_receives_its_input_too(bench: Host) -> None:
    work = bench.key("given")

    receipt = bench.receipt("Given", work, "try_lonely", {"cents": 9})

    assert receipt["configuration"] == ["over"]
    assert bench.snapshot("Given", work)["data"]["result"] == "9"


def test_an_input_that_fails_is_an_error_of_the_chart_and_begins_nothing(bench: Host) -> None:
    work = bench.key("given")

    bench.receipt("Given", work, "try_broken", {"cents": 1})

    assert bench.snapshot("Given", work)["configuration"] == ["failed"]
    assert bench.snapshot("Given", work)["data"]["error"]["type"] == "ZeroDivisionError"
    assert bench.jobs("Given", work) == []


def test_a_configuration_of_transitions_gives_inputs_alike(bench: Host) -> None:
    work = bench.key("priced")

    bench.receipt("Priced", work, "ask", {"cents": 5})

    assert bench.wait_in("Priced", work, "priced")["data"] == {"cents": 5, "label": "5 cents"}


# ── how long an attempt may take ──────────────────────────────────────────────────────────────────────────────────────


def test_an_attempt_that_takes_too_long_is_cancelled_and_tried_again(bench: Host) -> None:
    work = bench.key("slow")

    bench.receipt("Given", work, "try_slow", {"effect": work})

    error = bench.wait_in("Given", work, "failed")["data"]["error"]
    assert (error["type"], error["message"]) == ("timeout", "step 'slow' was not over after 0:00:00.400000.")
    assert len(effects_of(bench, work)) == len(effects_of(bench, f"{work}-cleaned")) == 3


def test_an_attempt_that_is_in_time_after_one_that_was_not_has_succeeded(bench: Host) -> None:
    work = bench.key("slow")
    bench.served.restart()  # with a memory of its own

    bench.receipt("Given", work, "try_slow_once", {"effect": work})

    assert bench.wait_in("Given", work, "over")["data"]["result"] == "in time"
    assert len(effects_of(bench, work)) == 2


def test_a_plain_function_that_takes_too_long_is_given_up_though_its_thread_goes_on(bench: Host) -> None:
    work = bench.key("slow")

    bench.receipt("Given", work, "try_slow_thread", {"effect": work})

    assert bench.wait_in("Given", work, "failed")["data"]["error"]["type"] == "timeout"
    assert len(effects_of(bench, work)) == 2


@pytest.mark.parametrize(("what", "type"), [("declined", "CardDeclined"), ("impatient", "timeout")])
def test_an_error_that_its_author_gives_up_on_is_final_at_once(bench: Host, what: str, type: str) -> None:
    work = bench.key(what)

    bench.receipt("Given", work, f"try_{what}", {"effect": work})

    assert bench.wait_in("Given", work, "failed")["data"]["error"]["type"] == type
    assert len(effects_of(bench, work)) == 1


def test_an_error_of_exclusive_work_arrives_with_its_facts(bench: Host) -> None:
    work = bench.key("refused")

    bench.receipt("Given", work, "try_refused", {})

    assert bench.snapshot("Given", work)["data"]["error"] == {
        "type": "TerminalError", "message": "this cannot work", "code": 418, "metadata": {"reason": "teapot"},
    }  # fmt: skip


# ── how they are stopped ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_connection_is_closed_where_restate_is_answered_once_per_request(
    hosting: type[Host], effect_log: EffectLog, tmp_path: Path, line: Line
) -> None:
    log = tmp_path / "service.log"
    with RestateServer() as server, hosting.on(server, effect_log, log, APP, http1=True) as bench:
        work = bench.key("held")
        bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
        line.wait_opened()

        left = time.monotonic()
        bench.receipt("Holding", work, "leave")

        assert line.wait_closed() - left < SOON.total_seconds()
        bench.settled()
        assert effects_of(bench, f"{work}-tidied") == ["tidied", "swept"]


@pytest.mark.parametrize("how", ["connect", "do_simply"])
def test_a_connection_is_closed_when_its_state_is_left(bench: Host, line: Line, how: str) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, how, {"effect": work, "url": line.url})
    line.wait_opened()

    left = time.monotonic()
    bench.receipt("Holding", work, "leave")

    assert line.wait_closed() - left < SOON.total_seconds()
    wait_for_effect(bench, f"{work}-cleaned")
    bench.settled()
    assert bench.snapshot("Holding", work)["configuration"] == ["idle"]


def test_what_an_activity_does_after_it_was_stopped_is_done_once(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
    line.wait_opened()

    bench.receipt("Holding", work, "leave")
    bench.settled()

    assert effects_of(bench, f"{work}-tidied") == ["tidied", "swept"]
    assert len(effects_of(bench, f"{work}-cleaned")) == 1


def test_the_machines_own_word_stops_work_that_the_platform_cancels_later(bench: Host, line: Line) -> None:
    """The platform's cancellation must not meet what the activity does to clean up."""
    work = bench.key("held")
    bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
    line.wait_opened()
    [job] = bench.jobs("Holding", work)
    bench.put("Holding", work, bench.stored("Holding", work)["snapshot"])  # the handle is lost

    with bench.effects.hold(f"before:{work}-tidied") as gate:
        left = time.monotonic()
        bench.receipt("Holding", work, "leave")
        assert line.wait_closed() - left < SOON.total_seconds()
        wait_until(lambda: "Sleep" in bench.journal(job["id"]), what="the work to wait for the platform's word")
        bench.server.cancel(job["id"])
        gate.wait_reached()
    bench.settled()

    assert effects_of(bench, f"{work}-tidied") == ["tidied", "swept"]


def test_work_that_the_platform_never_cancels_ends_by_the_machines_own_word(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
    line.wait_opened()
    bench.put("Holding", work, bench.stored("Holding", work)["snapshot"])  # the handle is lost

    bench.receipt("Holding", work, "leave")

    bench.settled()
    assert effects_of(bench, f"{work}-tidied") == ["tidied", "swept"]


def test_a_child_process_is_gone_when_its_state_is_left(bench: Host) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "breed", {"effect": work})
    pid = int(wait_for_effect(bench, work))
    assert is_alive(pid)

    left = time.monotonic()
    bench.receipt("Holding", work, "leave")

    assert wait_gone(pid) - left < SOON.total_seconds()


def test_a_connection_is_closed_at_the_deadline(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "expire", {"effect": work, "url": line.url})
    line.wait_opened()

    machine = bench.wait_in("Holding", work, "failed")

    assert line.wait_closed() - time.monotonic() < SOON.total_seconds()
    assert machine["data"]["error"]["type"] == "deadline"


def test_a_connection_is_closed_when_the_machine_is_deleted(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
    line.wait_opened()

    deleted = time.monotonic()
    bench.receipt("Holding", work, "delete")

    assert line.wait_closed() - deleted < SOON.total_seconds()
    bench.settled()


def test_cancel_stops_exclusive_work_and_its_event_is_answered(bench: Host, line: Line) -> None:
    work = bench.key("held")
    asked = bench.server.send("Holding", work, "connect_alone", {"effect": work, "url": line.url})
    line.wait_opened()

    cancelled = time.monotonic()
    answer = bench.receipt("Holding", work, "cancel")

    assert answer == {"cancelled": ["alone"]}
    assert line.wait_closed() - cancelled < SOON.total_seconds()
    assert bench.server.output(asked)["configuration"] == ["failed"]
    assert bench.snapshot("Holding", work)["data"]["error"] == {
        "type": "cancelled", "message": "the activity was cancelled.", "code": 409, "metadata": None,
    }  # fmt: skip
    assert effects_of(bench, f"{work}-tidied") == ["tidied", "swept"]
    bench.settled()


def test_cancel_ends_the_child_process_of_exclusive_work(bench: Host) -> None:
    work = bench.key("held")
    bench.server.send("Holding", work, "breed_alone", {"effect": work})
    pid = int(wait_for_effect(bench, work))

    cancelled = time.monotonic()
    bench.receipt("Holding", work, "cancel", {"activity": "breeding_alone"})

    assert wait_gone(pid) - cancelled < SOON.total_seconds()
    bench.wait_in("Holding", work, "failed")


def test_cancel_reaches_work_that_is_only_just_being_called(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.server.send("Holding", work, "connect_alone", {"effect": work, "url": line.url})

    answer = wait_until(lambda: _cancelled(bench, work), what="something to cancel")

    assert answer == {"cancelled": ["alone"]}
    assert bench.wait_in("Holding", work, "failed")["data"]["error"]["type"] == "cancelled"


def _cancelled(bench: Host, work: str) -> dict[str, Any]:
    answer = bench.post("Holding", work, "cancel")
    return answer.json() if answer.status_code == 200 else {}


def test_a_plain_function_that_is_cancelled_runs_on_and_nobody_waits_for_it(bench: Host) -> None:
    work = bench.key("held")

    with bench.effects.hold(f"before:{work}") as gate:
        asked = bench.server.send("Holding", work, "block", {"effect": work})
        gate.wait_reached()
        bench.receipt("Holding", work, "cancel")

        assert bench.server.output(asked)["configuration"] == ["failed"]
    wait_for_effect(bench, work)
    bench.settled()
    assert bench.snapshot("Holding", work)["data"]["error"]["type"] == "cancelled"


def test_background_work_can_be_cancelled_by_its_name_and_has_failed(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
    line.wait_opened()

    assert bench.receipt("Holding", work, "cancel", {"activity": "connected"}) == {"cancelled": ["connected"]}

    line.wait_closed()
    assert bench.wait_in("Holding", work, "failed")["data"]["error"]["type"] == "cancelled"


def test_background_work_that_an_operator_cancels_has_failed(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "wait", {})
    [job] = wait_until(lambda: bench.jobs("Signing", work), what="the work to begin")

    bench.server.cancel(job["id"])

    assert bench.wait_in("Signing", work, "failed")["data"]["error"]["type"] == "cancelled"


def test_cancel_says_what_is_running_where_nothing_can_be_stopped(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "wait", {})

    nobody = bench.post("Signing", bench.key("nobody"), "cancel")
    unnamed = bench.post("Signing", work, "cancel")
    unknown = bench.post("Signing", work, "cancel", {"activity": "alone"})
    malformed = bench.post("Signing", work, "cancel", {"what": 1})

    assert [nobody.status_code, unnamed.status_code, unknown.status_code, malformed.status_code] == [404, 409, 409, 400]
    assert unnamed.json()["message"] == (
        f"Signing/{work}: no exclusive activity is running. Running now: 'waiting'. Name one: {{\"activity\": id}}."
    )
    assert unnamed.json()["metadata"]["type"] == "NotRunning"
    assert unknown.json()["message"].startswith(f"Signing/{work}: no activity 'alone' is running.")
    bench.receipt("Signing", work, "leave")


# ── who answers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def callbacks_of(bench: Host, key: str, count: int = 1) -> dict[str, str]:
    """Ids of the callbacks that the machine shows, by name, once there are that many."""

    def shown() -> dict[str, str]:
        running = bench.snapshot("Signing", key).get("activities", [])
        found = {one["name"]: one["id"] for activity in running for one in activity.get("callbacks", [])}
        return found if len(found) == count else {}

    return wait_until(shown, what="the callbacks to be shown")


def answer(bench: Host, id: str, verb: str, body: str) -> None:
    """Answer over HTTP, as anybody outside would."""
    kind = "application/json" if verb == "resolve" else "text/plain"
    url = f"{bench.server.ingress_url}/restate/awakeables/{id}/{verb}"
    given = bench.client.post(url, content=body, headers={"content-type": kind})
    assert given.status_code == 202, given.text


@pytest.mark.parametrize("how", ["wait", "wait_alone"])
def test_an_answer_from_outside_is_the_callbacks_result(bench: Host, how: str) -> None:
    work = bench.key("signed")
    bench.server.send("Signing", work, how, {})

    answer(bench, callbacks_of(bench, work)["signature"], "resolve", '{"by": "Ada"}')

    assert bench.wait_in("Signing", work, "over")["data"]["result"] == "{'by': 'Ada'}"
    bench.settled()
    assert bench.stored("Signing.callbacks", work) == {}


def test_an_answer_finds_work_whose_service_and_server_were_killed_meanwhile(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "wait", {})
    id = callbacks_of(bench, work)["signature"]

    bench.served.kill()
    bench.server.kill()
    bench.server.start()
    bench.served.restart()
    assert callbacks_of(bench, work) == {"signature": id}
    answer(bench, id, "resolve", "[1]")

    assert bench.wait_in("Signing", work, "over")["data"]["result"] == "[1]"
    answer(bench, id, "resolve", "[2]")  # is accepted, and changes nothing
    bench.settled()
    assert bench.snapshot("Signing", work)["data"]["result"] == "[1]"


def test_a_rejection_is_an_error_of_the_activity(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "wait", {})

    answer(bench, callbacks_of(bench, work)["signature"], "reject", "cancelled")

    assert bench.wait_in("Signing", work, "failed")["data"]["error"] == {
        "type": "CallbackRejected", "message": "callback 'signature' was rejected: cancelled", "code": 500,
        "metadata": {"callback": "signature"},
    }  # fmt: skip


@pytest.mark.parametrize("body", ["no JSON", "NaN", '"\\ud83d"'])
def test_an_answer_that_is_no_json_is_an_error_of_the_activity(bench: Host, body: str) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "wait", {})

    answer(bench, callbacks_of(bench, work)["signature"], "resolve", body)

    error = bench.wait_in("Signing", work, "failed")["data"]["error"]
    assert error["type"] == "CallbackUnreadable"
    assert error["message"].startswith("the answer to callback 'signature' cannot be read: ")


def test_an_answer_that_does_not_come_in_time_is_an_error_of_the_activity(bench: Host) -> None:
    work = bench.key("signed")

    began = time.monotonic()
    bench.receipt("Signing", work, "hurry", {})

    error = bench.wait_in("Signing", work, "failed")["data"]["error"]
    assert time.monotonic() - began >= 0.4
    assert (error["type"], error["metadata"]) == ("CallbackTimeout", {"callback": "signature"})
    bench.settled()
    assert bench.stored("Signing.callbacks", work) == {}


def test_a_callbacks_id_can_be_sent_away_before_it_is_waited_for(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "ask_two", {"effect": work})
    sent = wait_for_effect(bench, work)
    ids = callbacks_of(bench, work, 2)
    assert ids["first"] == sent

    answer(bench, ids["second"], "resolve", "2")
    answer(bench, ids["first"], "resolve", "1")

    assert bench.wait_in("Signing", work, "over")["data"]["result"] == "[1, 2]"


def test_a_callback_is_not_expected_any_more_when_its_state_is_left(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "wait", {})
    id = callbacks_of(bench, work)["signature"]

    bench.receipt("Signing", work, "leave")
    bench.settled()
    answer(bench, id, "resolve", '"too late"')

    assert bench.snapshot("Signing", work)["configuration"] == ["idle"]
    assert bench.stored("Signing.callbacks", work) == {}


# ── what is deployed anew meanwhile ───────────────────────────────────────────────────────────────────────────────────


def approval_of(host: Host, key: str) -> str:
    def shown() -> str:
        running = host.snapshot("Report", key).get("activities", [])
        return next((one["id"] for activity in running for one in activity.get("callbacks", [])), "")

    return wait_until(shown, what="the callback to be shown")


@pytest.fixture
def own(hosting: type[Host], effect_log: EffectLog, tmp_path: Path) -> Iterator[Host]:
    """The charts on a server of the test's own, whose deployments it may change."""
    with RestateServer() as server, hosting.on(server, effect_log, tmp_path / "service.log", APP) as host:
        yield host


def let_time_pass(scale: int) -> None:
    """Let work last ten minutes at full scale; otherwise it is as long as the deployment takes."""
    begun = time.monotonic()
    lasts = timedelta(minutes=10 if scale >= 10 else 0)
    wait_until(
        lambda: time.monotonic() - begun >= lasts.total_seconds(), 2 * lasts + timedelta(minutes=1), f"{lasts} to pass"
    )


def test_work_goes_on_with_its_own_code_beside_a_new_build_of_code_and_chart(
    own: Host, tmp_path: Path, scale: int
) -> None:
    report = own.key("report")
    own.receipt("Report", report, "write", {"effect": report})
    id = approval_of(own, report)

    env = {**own.effects.env, "WORK_BUILD": "2"}
    log = tmp_path / "second.log"
    with Served.begin(APP, own.server, log=log, app_dir=Path(__file__).parent, env=env):
        own.served.restart()  # the old build is killed and comes back
        let_time_pass(scale)
        answer(own, id, "resolve", '"yes"')
        machine = own.wait_in("Report", report, "archived")
        own.receipt("Report", report, "publish")

        again = own.key("report")
        own.receipt("Report", again, "write", {"effect": again})
        answer(own, approval_of(own, again), "resolve", '"yes"')
        second = own.wait_in("Report", again, "archived")

    assert machine["data"]["result"] == f"done {report}-begun, yes, done {report}-ended by build 1"
    assert effects_of(own, f"{report}-begun") == effects_of(own, f"{report}-ended") == ["1"]
    assert effects_of(own, f"{report}-archived") == []
    assert second["data"]["result"].endswith("by build 2")


def test_work_goes_on_with_new_code_in_the_same_place_if_its_steps_so_far_are_the_same(own: Host, scale: int) -> None:
    report = own.key("report")
    own.receipt("Report", report, "write", {"effect": report})
    id = approval_of(own, report)

    own.served.restart(env={"WORK_BUILD": "2"})
    own.server.register(own.served.url, force=True)
    let_time_pass(scale)
    answer(own, id, "resolve", '"yes"')
    machine = own.wait_in("Report", report, "archived")

    assert machine["data"]["result"] == f"done {report}-begun, yes, done {report}-ended by build 2"
    assert effects_of(own, f"{report}-begun") == ["1"]
    assert effects_of(own, f"{report}-ended") == effects_of(own, f"{report}-archived") == ["2"]
