"""R06, task queue: submitting returns at once, the task runs once, any process fetches the result.

The logbook is a file that the service appends to and that outlives it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_fsm.testing import Rehearsal, RestateServer, wait_until
from machines.task_queue.machine import Task
from tests.acceptance.applications import Application, edges, hosted, serve
from tests.web import web

pytestmark = pytest.mark.server

WORKER = "AsyncTaskWorker.flow"
WORK = 1.0
"""How long a task takes in these tests, in seconds."""


@dataclass
class Queue(Application):
    """Tasks on one server, and their logbook."""

    logbook: Path

    def hand_over(self, number: str, *, delay: str = "", **body: object) -> dict[str, Any]:
        answer = web.post(
            f"{self.server.ingress_url}/{WORKER}/run/send{f'?delay={delay}' if delay else ''}",
            json={"id": number, "task": "sort", **body},
            headers={"idempotency-key": number},
        )
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def place(self, task: str, what: str) -> str:
        return f"{self.server.ingress_url}/restate/invocation/{WORKER}/run/{task}/{what}"

    def result(self, task: str) -> Any:
        answer = web.get(self.place(task, "attach"))
        answer.raise_for_status()
        return answer.json()

    def done(self, task: str) -> int:
        """How many times a task was done."""
        return self.logbook.read_text().splitlines().count(task) if self.logbook.exists() else 0


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Queue]:
    logbook = place / "logbook.txt"
    with serve("task_queue", server, place, {"TASK_SECONDS": str(WORK), "TASK_LOGBOOK": str(logbook)}) as served:
        yield Queue("task_queue", served, server, logbook)


queue_awake, queue_replaying, queue = hosted("queue", opened)


def test_submitting_a_task_returns_at_once_and_the_task_runs_once(queue: Queue) -> None:
    began = time.monotonic()
    first = queue.hand_over("t-1")
    handed_over = time.monotonic() - began

    assert (first["status"], handed_over < WORK / 2) == ("Accepted", True)
    again = queue.hand_over("t-1")
    assert (again["status"], again["invocationId"]) == ("PreviouslyAccepted", first["invocationId"])
    assert web.get(queue.place("t-1", "output")).status_code == 470
    assert queue.result("t-1") == "Finished t-1: sort"
    assert queue.done("t-1") == 1


def test_a_delayed_task_runs_on_time_although_restate_is_killed_meanwhile(queue_awake: Queue) -> None:
    handed = queue_awake.hand_over("later", delay="2s")
    due = datetime.fromisoformat(handed["executionTime"])
    assert abs(due - datetime.now(UTC) - timedelta(seconds=2)) < timedelta(seconds=1)

    queue_awake.server.kill()
    assert not queue_awake.server.process.alive
    assert queue_awake.done("later") == 0
    queue_awake.server.start()

    assert queue_awake.result("later") == "Finished later: sort"
    assert datetime.now(UTC) >= due
    assert queue_awake.done("later") == 1


def test_a_task_with_a_delay_of_its_own_survives_a_killed_service(queue_awake: Queue) -> None:
    queue_awake.hand_over("own", delay_seconds=0.5)
    queue_awake.restart()

    assert queue_awake.result("own") == "Finished own: sort"
    assert queue_awake.done("own") == 1


def test_another_process_fetches_the_result_by_number(queue: Queue) -> None:
    queue.hand_over("shared")
    program = f"import httpx; print(httpx.get({queue.place('shared', 'attach')!r}, timeout=60, trust_env=False).text)"

    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert json.loads(other.stdout) == queue.result("shared") == "Finished shared: sort"


def test_a_task_cancelled_before_it_is_due_never_runs(queue: Queue) -> None:
    handed = queue.hand_over("cancelled", delay="1h")

    queue.server.cancel(handed["invocationId"])

    query = f"SELECT status FROM sys_invocation WHERE id = '{handed['invocationId']}' AND status <> 'completed'"
    wait_until(lambda: not queue.server.query(query), what="it to vanish")
    assert queue.done("cancelled") == 0


def test_an_impossible_task_fails_and_says_so(queue: Queue) -> None:
    queue.hand_over("never", task="impossible")

    assert queue.result("never") == "Failed: never is impossible"


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Task)) == {
        ("queued", "begin", ("running",)),
        ("running", "done.invoke.running", ("done",)),
        ("running", "error.invoke.running", ("failed",)),
    }


def test_the_server_does_what_the_rehearsal_does(queue: Queue) -> None:
    rehearsal = Rehearsal(Task, answers={"running": lambda data: f"Finished {data.id}: {data.task}"})
    rehearsal.create({"id": "told", "task": "sort"})
    rehearsal.advance(timedelta(0))

    queue.hand_over("told")

    assert queue.result("told") == rehearsal.output
    journal = queue.server.query(
        "SELECT j.entry_type AS kind FROM sys_journal j JOIN sys_invocation i ON i.id = j.id"
        f" WHERE i.target_service_name = '{WORKER}' AND i.idempotency_key = 'told' ORDER BY j.index"
    )
    commands = [row["kind"] for row in journal if row["kind"].startswith("Command: ")]
    assert (commands.count("Command: Call"), commands[-1]) == (1, "Command: Output"), (
        "one activity was called, and no more"
    )


def test_restate_has_completed_the_requests(queue: Queue) -> None:
    queue.hand_over("asked")
    queue.result("asked")

    done = queue.server.query(
        "SELECT completion_result FROM sys_invocation WHERE status = 'completed'"
        f" AND target_service_name = '{WORKER}' AND idempotency_key = 'asked'"
    )
    assert done == [{"completion_result": "success"}]


def test_the_commands_of_the_readme_do_what_it_says(queue: Queue) -> None:
    answers = [*queue.run_readme({"t-1": "page-1", "t-2": "page-2"})]

    assert answers[2] == "Finished page-1: sort"
    assert "executionTime" in answers[1]
