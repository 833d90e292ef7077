"""Requests that wait, in great numbers: they must not take the place of events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm import errors
from durable_fsm.local import native
from durable_fsm.local.server import RestateServer
from durable_fsm.restate.machine.waiting import MOST_AT_ONCE, Crowd
from durable_fsm.testing import EffectLog, wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

AT_ONCE = 20
"""How many attempts this server keeps open at once; 1,000 are usual. It would keep an idle one open for ten minutes."""


@pytest.fixture(scope="module")
def narrow(effect_log: EffectLog, hosting: type[Host], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    env = {"RESTATE_WORKER__INVOKER__CONCURRENT_INVOCATIONS_LIMIT": str(AT_ONCE)}
    log: Path = tmp_path_factory.mktemp("narrow") / "service.log"
    with (
        RestateServer(binary=native.obtain(), env=env) as server,
        hosting.on(server, effect_log, log, "hostile_app:app", to_the_end=True) as host,
    ):
        yield host


@pytest.mark.parametrize(
    ("service", "handler", "body"),
    [("Carrier", "wait_for", {"state": "over"}), ("Carrier.workflow", "run", {}), ("Carrier.workflow", "send_off", 1)],
)
def test_waiting_requests_stall_no_other_machine(narrow: Host, service: str, handler: str, body: object) -> None:
    """The third one waits for a machine whose key is held by a slow exclusive activity."""
    awaited = [narrow.key("awaited") for _ in range(3 * AT_ONCE)]
    for key in awaited:
        narrow.receipt("Carrier", key, "create")
    if handler == "send_off":
        narrow.post("Carrier", awaited[0], "dawdle/send")
        awaited = awaited[:1] * len(awaited)
    calls: list[Any] = [(service, key, f"{handler}/send", body) for key in awaited]
    assert {answer.status_code for answer in narrow.together(calls)} == {202}

    assert narrow.receipt("Carrier", narrow.key("other"), "create")["outcome"] == "created"

    for key in dict.fromkeys(awaited):
        narrow.post("Carrier", key, "carry_it/send", 1)
    wait_until(lambda: not open_calls(narrow), what="the end of all that wait")


def open_calls(host: Host) -> list[dict[str, Any]]:
    return host.server.query("SELECT id FROM sys_invocation WHERE status NOT IN ('completed', 'scheduled')")


def test_only_so_many_waits_begin_at_once() -> None:
    crowd = Crowd("Order")
    for _ in range(MOST_AT_ONCE):
        crowd.__enter__()

    with pytest.raises(errors.TooManyWaiting, match="800 callers wait for machines of this chart already"), crowd:
        pass

    crowd.__exit__(None, None, None)
    with crowd:
        pass
