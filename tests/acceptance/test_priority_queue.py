"""R17, priority queue: never more than ten additions at once, whatever ends them, and the most urgent comes first.

The calculator is a process of its own. Its ledger says when each addition began and ended; a test holds the additions that
are under way until it has seen what it waits for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.core.chart import Kind
from durable_fsm.restate.stored.limits import LimitState
from durable_fsm.testing import Rehearsal, RestateServer, wait_until
from machines.priority_queue.machine import CALCULATOR, ExpensiveMethod
from tests.acceptance.applications import PATIENCE, Outside, Stage, edges, hosted, rehearsed, serve, world
from tests.web import web

pytestmark = pytest.mark.server

SLOTS = CALCULATOR.slots
LIMITS = "durable_fsm.limits"
TOO_LARGE = 2 * 10**15
"""Added to the number of an addition, this makes it one that the calculator refuses."""


@dataclass
class Queue(Stage):
    """Additions on one server, and the calculator."""

    begun: int = 1_000
    """The number of the latest addition; those of the README have smaller ones."""

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.server.call(LIMITS, CALCULATOR.name, "status")
        return found

    def wait_for(self, in_flight: int, waiting: int) -> None:
        def arrived() -> bool:
            gate = self.server.state(LIMITS, CALCULATOR.name).get("gate")
            found = LimitState(SLOTS, []) if gate is None else LimitState.read(gate.encode())
            return (len(found.inside), found.waiting) == (in_flight, waiting)

        wait_until(arrived, PATIENCE, f"{in_flight} to be in flight, and {waiting} to wait")

    def add(self, many: int = 1, *, more: int = 0, priority: int = 2) -> list[int]:
        """Ask for additions of 1 to their own number; return these numbers. They are the keys of the machines."""
        numbers = [self.begun + 1 + place for place in range(many)]
        self.begun += many
        for number in numbers:
            body = {"left": number + more, "right": 1, "priority": priority}
            self.asked[number] = self.server.send("myService.workflow", str(number), "run", body)
        return numbers

    def __post_init__(self) -> None:
        self.asked: dict[int, str] = {}

    def fill(self) -> list[int]:
        """Ask for as many additions as may be in flight, and hold them there."""
        self.tell("/hold")
        numbers = self.add(SLOTS)
        self.wait_for(SLOTS, 0)
        self.wait_begun(*numbers)
        return numbers

    def tell(self, path: str, **body: object) -> None:
        web.post(f"{self.outside.url}{path}", json=body).raise_for_status()

    def release(self, number: int) -> None:
        """Let one addition that is held end."""
        self.tell("/release", left=number)

    def finish(self) -> None:
        """Let everything end, and see that no slot is taken any more."""
        self.tell("/release")
        self.wait_for(0, 0)
        wait_until(lambda: self.server.state(LIMITS, CALCULATOR.name) == {}, PATIENCE, "nothing to be stored")

    def answer(self, number: int) -> Any:
        return self.server.output(self.asked[number])

    def refusal(self, number: int) -> tuple[int, str]:
        """The status and the message of an addition that fails."""
        with pytest.raises(httpx.HTTPStatusError) as refused:
            self.answer(number)
        return refused.value.response.status_code, refused.value.response.json()["message"]

    def events(self, what: str, since: int = 0) -> list[int]:
        """The numbers of the additions that began, ended or were given up, in order."""
        return [int(one["left"]) for one in self.outside.ledger()[since:] if one["what"] == what]

    def wait_begun(self, *numbers: int) -> None:
        wait_until(lambda: set(numbers) <= set(self.events("begin")), PATIENCE, f"{numbers} to begin")

    def leaves(self, number: int | str) -> list[str]:
        return self.server.call("myService", str(number), "snapshot")["leaves"]

    def slot(self, number: int) -> dict[str, str]:
        """What an addition says of its slot."""
        [activity] = self.server.call("myService", str(number), "snapshot")["activities"]
        found: dict[str, str] = activity["slot"]
        return found

    def job(self, number: int) -> str:
        """The invocation that does an addition."""
        [run] = [one for one in self.status()["runs"] if one["machine"] == f"myService/{number}"]
        return str(run["invocation"])

    def most_at_once(self) -> int:
        """How many additions were under way at once at most, by the calculator's ledger."""
        now = most = 0
        for one in self.outside.ledger():
            now += 1 if one["what"] == "begin" else -1
            most = max(most, now)
        return most


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Queue]:
    with (
        world("priority_queue", place, env={"CALCULATOR_SECONDS": "0.01"}) as calculator,
        serve("priority_queue", server, place, {"WORLD_URL": calculator.url}) as served,
    ):
        yield Queue("priority_queue", served, server, Outside(calculator))


queue_awake, queue_replaying, queue = hosted("queue", opened)


def test_ten_run_at_once_and_the_most_urgent_comes_next(queue: Queue) -> None:
    ordinary = [*queue.fill(), *queue.add(20)]
    queue.wait_for(SLOTS, 20)
    [urgent] = queue.add(priority=1)
    queue.wait_for(SLOTS, 21)
    status = queue.status()
    assert [status[name] for name in ("status", "slots", "in_flight", "waiting")] == ["saturated", 10, 10, 21]
    begun = len(queue.events("begin"))

    queue.release(ordinary[0])
    queue.wait_begun(urgent)

    assert queue.events("begin")[begun:] == [urgent]
    assert {one["priority"] for one in queue.status()["queue"]} == {2}
    queue.tell("/release")
    assert [queue.answer(number) for number in (*ordinary, urgent)] == [number + 1 for number in (*ordinary, urgent)]
    assert queue.most_at_once() == SLOTS
    queue.finish()


def test_cancelled_additions_leave_the_queue_or_their_slot(queue: Queue) -> None:
    running = queue.fill()
    waiting = queue.add(6)
    queue.wait_for(SLOTS, 6)
    assert [queue.slot(number)["status"] for number in (running[0], waiting[0])] == ["held", "waiting"]

    for number in waiting[:3]:
        queue.server.call("myService", str(number), "call_off")
    for number in waiting[3:5]:
        queue.server.cancel(queue.asked[number])
    queue.wait_for(SLOTS, 1)
    assert [queue.leaves(number) for number in waiting[:3]] == [["dropped"]] * 3
    assert queue.leaves(waiting[5]) == ["enqueued"]

    queue.server.call("myService", str(waiting[5]), "call_off")
    queue.server.call("myService", str(running[0]), "call_off")
    queue.server.cancel(queue.asked[running[1]])
    queue.wait_for(SLOTS - 2, 0)
    assert queue.leaves(running[0]) == ["released"]
    assert [queue.refusal(number)[0] for number in (*waiting, *running[:2])] == [409] * 8
    queue.finish()
    assert not set(waiting) & set(queue.events("begin"))
    assert {running[0], running[1]} <= set(queue.events("hung up"))


def test_equally_urgent_additions_run_in_order_also_after_one_that_fails_for_good(queue: Queue) -> None:
    running = queue.fill()
    waiting = queue.add()
    queue.wait_for(SLOTS, 1)
    [failing] = queue.add(more=TOO_LARGE)
    queue.wait_for(SLOTS, 2)
    waiting += queue.add()
    queue.wait_for(SLOTS, 3)
    begun = len(queue.events("begin"))

    queue.release(running[0])
    queue.wait_begun(waiting[0])
    queue.release(running[1])
    queue.wait_begun(failing + TOO_LARGE)
    queue.release(failing + TOO_LARGE)
    queue.wait_begun(waiting[1])

    assert queue.events("begin")[begun:] == [waiting[0], failing + TOO_LARGE, waiting[1]]
    assert queue.refusal(failing) == (400, "the numbers are too large")
    assert queue.leaves(failing) == ["released"]
    queue.wait_for(SLOTS, 0)
    queue.finish()


def test_the_name_of_a_limit_may_contain_a_slash(queue: Queue) -> None:
    encoded = quote(CALCULATOR.name, safe="")

    assert encoded == "myService%2FexpensiveMethod"
    assert web.get(f"{queue.server.ingress_url}/{LIMITS}/{encoded}/status").json()["limit"] == CALCULATOR.name
    assert not web.get(f"{queue.server.ingress_url}/{LIMITS}/{CALCULATOR.name}/status").is_success


def test_no_way_to_leave_takes_a_slot_along_and_no_kill_does(queue_awake: Queue) -> None:
    queue = queue_awake
    running, waiting = queue.fill(), queue.add(9)
    queue.wait_for(SLOTS, 9)

    for number in (*waiting[:5], *running[:2]):
        queue.server.call("myService", str(number), "call_off")
    queue.wait_for(SLOTS, 2)
    queue.server.kill_invocation(queue.job(running[2]))
    queue.wait_for(SLOTS, 1)
    wait_until(lambda: len(set(waiting) & set(queue.events("begin"))) == 3, PATIENCE, "three of them to begin")
    at_work = [*running[3:], *sorted(set(waiting) & set(queue.events("begin")))]
    begun = len(queue.events("begin"))
    queue.restart()
    wait_until(lambda: sorted(queue.events("begin")[begun:]) == at_work, PATIENCE, "the same ten to begin again")
    [failing] = queue.add(more=TOO_LARGE, priority=0)
    queue.wait_for(SLOTS, 2)
    queue.release(running[3])
    queue.wait_begun(failing + TOO_LARGE)
    queue.tell("/release")

    assert queue.refusal(failing) == (400, "the numbers are too large")
    ended = [*running[3:], *waiting[5:]]
    assert [queue.answer(number) for number in ended] == [number + 1 for number in ended]
    queue.finish()
    assert queue.most_at_once() == SLOTS
    queue.server.call("myService", str(running[2]), "call_off")  # it hears of the kill at its deadline only


def test_the_server_does_what_the_rehearsal_does(queue: Queue) -> None:
    rehearsal = Rehearsal(ExpensiveMethod, answers={"working": lambda data: data.left + data.right})
    rehearsal.create({"left": 1, "right": 1})

    [number] = queue.add()

    assert queue.answer(number) == number + 1
    assert queue.recorded("myService", str(number)) == rehearsed(rehearsal)


def test_restate_has_completed_the_requests(queue: Queue) -> None:
    [number] = queue.add()
    queue.answer(number)
    queue.finish()

    done = queue.server.query(
        "SELECT target_service_name, target_handler_name FROM sys_invocation WHERE status = 'completed'"
        f" AND completion_result = 'success' AND target_service_key IN ('{number}', '{CALCULATOR.name}')"
    )
    assert {("myService.workflow", "run"), (LIMITS, "enter"), (LIMITS, "leave")} <= {
        (row["target_service_name"], row["target_handler_name"]) for row in done
    }


def test_the_commands_of_the_readme_do_what_it_says(queue_awake: Queue) -> None:
    queue = queue_awake
    commands = queue.run_readme()

    assert [next(commands), next(commands)["status"], next(commands)["limit"]] == [3, "Accepted", CALCULATOR.name]
    wait_until(lambda: queue.leaves("urgent") == ["released"], PATIENCE, "the urgent addition to be done")
    queue.wait_for(0, 0)
    queue.fill()
    queue.server.send("myService.workflow", "b-30", "run", {"left": 30, "right": 1})
    queue.wait_for(SLOTS, 1)
    assert next(commands)["configuration"] == ["dropped"]
    assert next(commands) == 42
    queue.finish()


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(ExpensiveMethod)) >= {
        ("enqueued", "granted.invoke.working", ("running",)),
        ("working", "done.invoke.working", ("released",)),
        ("working", "error.invoke.working", ("released",)),
        ("enqueued", "call_off", ("dropped",)),
        ("running", "call_off", ("released",)),
    }
    chart = chart_from(ExpensiveMethod)
    assert [id for id, state in chart.states.items() if state.kind is Kind.FINAL] == ["released", "dropped"]
    assert chart.activities["working"].limit == CALCULATOR
