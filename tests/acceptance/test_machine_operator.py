"""R09, machine operator: requests for one machine run in order; other machines do not wait for it.

The logbook is a file that the service appends to and that outlives it. The order in which requests are made is the order
in which Restate has accepted them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable_fsm.testing import Rehearsal, RestateServer, wait_until
from machines.machine_operator.machine import MachineOperator
from tests.acceptance.applications import Application, edges, hosted, rehearsed, serve

pytestmark = pytest.mark.server

OPERATOR = "machineOperator"
WORK = 0.5
"""How long a machine takes to come up or go down in these tests, in seconds."""


@dataclass
class Hall(Application):
    """The machines on one server, and their logbook."""

    logbook: Path

    def ask(self, *wanted: tuple[str, str]) -> list[str]:
        """Send requests, as machine and handler, one after another, and return their invocations."""
        return [self.server.send(OPERATOR, machine, handler) for machine, handler in wanted]

    def answers(self, asked: list[str]) -> list[Any]:
        """Wait for the invocations to complete, and return their replies."""
        return [self.server.output(invocation)["reply"] for invocation in asked]

    def configuration(self, machine: str) -> list[str]:
        return self.server.call(OPERATOR, machine, "snapshot")["configuration"]

    def lines(self, machine: str) -> list[str]:
        """The lines of the logbook about a machine, without its name."""
        written = self.logbook.read_text().splitlines() if self.logbook.exists() else []
        return [line.removeprefix(f"{machine} ") for line in written if line.startswith(f"{machine} ")]


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Hall]:
    logbook = place / "logbook.txt"
    env = {"MACHINE_WORK_SECONDS": str(WORK), "MACHINE_LOGBOOK": str(logbook), "MACHINES_BROKEN": "broken"}
    with serve("machine_operator", server, place, env) as served:
        yield Hall("machine_operator", served, server, logbook)


hall_awake, hall_replaying, hall = hosted("hall", opened)


def test_requests_for_one_machine_are_answered_in_order_and_other_machines_do_not_wait(hall: Hall) -> None:
    began = time.monotonic()

    asked = hall.ask(("a", "setUp"), ("a", "tearDown"), ("b", "setUp"), ("b", "setUp"), ("b", "tearDown"))

    assert hall.answers(asked) == ["now up", "now down", "now up", "already up", "now down"]
    took = time.monotonic() - began
    assert 2 * WORK < took < 4 * WORK, "two works of each machine, beside each other"
    assert hall.lines("a") == hall.lines("b") == ["up begin", "up end", "down begin", "down end"]


def test_a_machine_torn_down_before_it_was_set_up_is_not_up(hall: Hall) -> None:
    asked = hall.ask(("early", "tearDown"), ("early", "setUp"))

    assert hall.answers(asked) == ["not up, cannot be torn down", "now up"]


def test_a_reader_sees_at_once_that_a_machine_is_coming_up(hall: Hall) -> None:
    asked = hall.ask(("seen", "setUp"), ("seen", "tearDown"))
    wait_until(lambda: hall.lines("seen") == ["up begin"])

    assert hall.configuration("seen") == ["bringing_up"]
    wait_until(lambda: hall.configuration("seen") == ["tearing_down"])
    assert hall.answers(asked) == ["now up", "now down"]


def test_a_killed_service_resumes_the_work_where_it_was(hall_awake: Hall) -> None:
    began = time.monotonic()
    asked = hall_awake.ask(("killed", "setUp"), ("killed", "tearDown"), ("killed", "tearDown"))
    wait_until(lambda: hall_awake.lines("killed") == ["up begin"])

    hall_awake.restart()

    assert hall_awake.answers(asked) == ["now up", "now down", "not up, cannot be torn down"]
    assert time.monotonic() - began < 12
    written = hall_awake.lines("killed")
    assert [line for line, before in zip(written, ["", *written], strict=False) if line != before] == [
        "up begin",
        "up end",
        "down begin",
        "down end",
    ], "the line that was being written at the kill may occur twice; nothing interleaves"


def test_a_machine_that_cannot_come_up_stays_down_and_says_why(hall: Hall) -> None:
    asked = hall.ask(("broken", "setUp"), ("broken", "tearDown"))

    assert hall.answers(asked) == ["still down: it is broken", "not up, cannot be torn down"]
    assert (hall.configuration("broken"), hall.lines("broken")) == (["down"], ["up begin"])


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:

    assert set(edges(MachineOperator)) >= {
        ("down", "set_up", ("bringing_up",)),
        ("bringing_up", "done.invoke.bringing_up", ("up",)),
        ("bringing_up", "error.invoke.bringing_up", ("down",)),
        ("up", "tear_down", ("tearing_down",)),
        ("tearing_down", "done.invoke.tearing_down", ("down",)),
    }
    assert {(source, event) for source, event, _ in edges(MachineOperator)} >= {("up", "set_up"), ("down", "tear_down")}


def test_the_server_does_what_the_rehearsal_does(hall: Hall) -> None:
    story = (("setUp", "set_up"), ("setUp", "set_up"), ("tearDown", "tear_down"), ("tearDown", "tear_down"))
    rehearsal = Rehearsal(MachineOperator, answers={"bringing_up": lambda _: None, "tearing_down": lambda _: None})
    for _, event in story:
        rehearsal.send(event)

    hall.answers(hall.ask(*(("told", handler) for handler, _ in story)))

    assert hall.recorded(OPERATOR, "told") == rehearsed(rehearsal)


def test_restate_has_completed_the_requests(hall: Hall) -> None:
    hall.answers(hall.ask(("counted", "setUp"), ("counted", "tearDown")))

    done = hall.server.query(
        "SELECT target_handler_name, completion_result FROM sys_invocation WHERE status = 'completed'"
        f" AND target_service_name = '{OPERATOR}' AND target_service_key = 'counted'"
    )
    assert sorted((row["target_handler_name"], row["completion_result"]) for row in done) == [
        ("setUp", "success"),
        ("tearDown", "success"),
    ]


def test_the_commands_of_the_readme_do_what_it_says(hall: Hall) -> None:
    answers = [*hall.run_readme()]

    assert [answer.get("reply") for answer in answers] == ["now up", "already up", None, "now down"]
    assert answers[2]["configuration"] == ["up"]
