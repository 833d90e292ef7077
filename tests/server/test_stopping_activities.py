"""Activities that are stopped, by their machine or by `cancel`: they give back what they held, and at once.

Nothing else would make them: the other side never answers, and Restate would end an attempt only after ten minutes. So it
is enough to see that the end comes before that.
"""

from __future__ import annotations

import os
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import EffectLog, RestateServer, wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


class Line:
    """An HTTP server that never answers, and sees when its callers hang up."""

    def __init__(self) -> None:
        line = self
        self.opened = 0
        self.closed = 0

        class Caller(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(65536)
                line.opened += 1
                while self.request.recv(65536):
                    pass
                line.closed += 1

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Caller)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def wait_opened(self) -> None:
        wait_until(lambda: self.opened, what="the call")

    def wait_closed(self) -> None:
        """Wait until a caller has hung up."""
        wait_until(lambda: self.closed, what="the end of the call")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def line() -> Iterator[Line]:
    found = Line()
    yield found
    found.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_gone(pid: int) -> None:
    wait_until(lambda: not is_alive(pid), what=f"the end of process {pid}")


def test_a_stopped_activity_closes_its_connection_over_http1_too(
    hosting: type[Host], effect_log: EffectLog, tmp_path: Path, line: Line
) -> None:
    log = tmp_path / "service.log"
    with RestateServer() as server, hosting.on(server, effect_log, log, "work_app:work_app", http1=True) as bench:
        work = bench.key("held")
        bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
        line.wait_opened()

        bench.receipt("Holding", work, "leave")

        line.wait_closed()
        bench.settled()
        assert bench.effects_of(f"{work}-tidied") == ["tidied", "swept"]


@pytest.mark.parametrize("how", ["connect", "do_simply"])
def test_an_activity_closes_its_connection_when_its_state_is_left(bench: Host, line: Line, how: str) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, how, {"effect": work, "url": line.url})
    line.wait_opened()

    bench.receipt("Holding", work, "leave")

    line.wait_closed()
    bench.wait_for_effect(f"{work}-cleaned")
    bench.settled()
    assert bench.snapshot("Holding", work)["configuration"] == ["idle"]


def test_the_cleanup_of_a_stopped_activity_is_done_once(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
    line.wait_opened()

    bench.receipt("Holding", work, "leave")
    bench.settled()

    assert bench.effects_of(f"{work}-tidied") == ["tidied", "swept"]
    assert len(bench.effects_of(f"{work}-cleaned")) == 1


def test_the_stop_of_the_machine_ends_an_activity_that_restate_cancels_later(bench: Host, line: Line) -> None:
    """The platform's cancellation must not meet what the activity does to clean up."""
    work = bench.key("held")
    bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
    line.wait_opened()
    [job] = bench.jobs("Holding", work)
    bench.put("Holding", work, bench.stored("Holding", work)["snapshot"])  # the handle is lost

    with bench.effects.hold(f"before:{work}-tidied") as gate:
        bench.receipt("Holding", work, "leave")
        line.wait_closed()
        wait_until(lambda: "Sleep" in bench.journal(job["id"]), what="the work to wait for the platform's word")
        bench.server.cancel(job["id"])
        gate.wait_reached()
    bench.settled()

    assert bench.effects_of(f"{work}-tidied") == ["tidied", "swept"]


def test_the_stop_of_the_machine_ends_an_activity_that_restate_never_cancels(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
    line.wait_opened()
    bench.put("Holding", work, bench.stored("Holding", work)["snapshot"])  # the handle is lost

    bench.receipt("Holding", work, "leave")

    bench.settled()
    assert bench.effects_of(f"{work}-tidied") == ["tidied", "swept"]


def test_an_activity_ends_its_child_process_when_its_state_is_left(bench: Host) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "breed", {"effect": work})
    pid = int(bench.wait_for_effect(work))
    assert is_alive(pid)

    bench.receipt("Holding", work, "leave")

    wait_gone(pid)


def test_an_activity_closes_its_connection_at_its_deadline(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "expire", {"effect": work, "url": line.url})
    line.wait_opened()

    machine = bench.wait_in("Holding", work, "failed")

    line.wait_closed()
    assert machine["data"]["error"]["type"] == "deadline"


def test_an_activity_closes_its_connection_when_its_machine_is_deleted(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
    line.wait_opened()

    bench.receipt("Holding", work, "delete")

    line.wait_closed()
    bench.settled()


def test_cancel_stops_an_exclusive_activity_and_answers_its_event(bench: Host, line: Line) -> None:
    work = bench.key("held")
    asked = bench.server.send("Holding", work, "connect_alone", {"effect": work, "url": line.url})
    line.wait_opened()

    answer = bench.receipt("Holding", work, "cancel")

    assert answer == {"cancelled": ["alone"]}
    line.wait_closed()
    assert bench.server.output(asked)["configuration"] == ["failed"]
    assert bench.snapshot("Holding", work)["data"]["error"] == {
        "type": "cancelled", "message": "the activity was cancelled.", "code": 409, "metadata": None,
    }  # fmt: skip
    assert bench.effects_of(f"{work}-tidied") == ["tidied", "swept"]
    bench.settled()


def test_cancel_ends_the_child_process_of_an_exclusive_activity(bench: Host) -> None:
    work = bench.key("held")
    bench.server.send("Holding", work, "breed_alone", {"effect": work})
    pid = int(bench.wait_for_effect(work))

    bench.receipt("Holding", work, "cancel", {"activity": "breeding_alone"})

    wait_gone(pid)
    bench.wait_in("Holding", work, "failed")


def test_cancel_reaches_an_activity_that_is_just_being_called(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.server.send("Holding", work, "connect_alone", {"effect": work, "url": line.url})

    answer = wait_until(lambda: _cancelled(bench, work), what="something to cancel")

    assert answer == {"cancelled": ["alone"]}
    assert bench.wait_in("Holding", work, "failed")["data"]["error"]["type"] == "cancelled"


def _cancelled(bench: Host, work: str) -> dict[str, Any]:
    answer = bench.post("Holding", work, "cancel")
    return answer.json() if answer.status_code == 200 else {}


def test_a_cancelled_plain_function_runs_on_and_the_machine_does_not_wait_for_it(bench: Host) -> None:
    work = bench.key("held")

    with bench.effects.hold(f"before:{work}") as gate:
        asked = bench.server.send("Holding", work, "block", {"effect": work})
        gate.wait_reached()
        bench.receipt("Holding", work, "cancel")

        assert bench.server.output(asked)["configuration"] == ["failed"]
    bench.wait_for_effect(work)
    bench.settled()
    assert bench.snapshot("Holding", work)["data"]["error"]["type"] == "cancelled"


def test_a_background_activity_cancelled_by_name_has_failed(bench: Host, line: Line) -> None:
    work = bench.key("held")
    bench.receipt("Holding", work, "connect", {"effect": work, "url": line.url})
    line.wait_opened()

    assert bench.receipt("Holding", work, "cancel", {"activity": "connected"}) == {"cancelled": ["connected"]}

    line.wait_closed()
    assert bench.wait_in("Holding", work, "failed")["data"]["error"]["type"] == "cancelled"


def test_a_background_activity_that_an_operator_cancels_has_failed(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "wait", {})
    [job] = wait_until(lambda: bench.jobs("Signing", work), what="the work to begin")

    bench.server.cancel(job["id"])

    assert bench.wait_in("Signing", work, "failed")["data"]["error"]["type"] == "cancelled"


def test_cancel_lists_the_running_activities_if_it_cannot_stop_any(bench: Host) -> None:
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
