"""R16, durable promises: any number of processes wait for one promise, and the first completion is everyone's.

Each waiter and each completer is a process of its own, and so is the desk, the application in front of the machines.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm.testing import Rehearsal, RestateServer, ServiceProcess, wait_until
from machines.promises.machine import Promise
from machines.promises.questions import Question
from tests.acceptance.applications import ROOT, Application, edges, rehearsed, serve
from tests.web import web

pytestmark = pytest.mark.server

PATIENCE = timedelta(seconds=60)
NUMBERS = count(1)


@dataclass
class Town(Application):
    """Promises on one server, and the desk in front of them."""

    desk: ServiceProcess

    def ask(self, verb: str, promise: str | None = None, **body: object) -> httpx.Response:
        named = {} if promise is None else {"promiseId": promise}
        return web.post(f"{self.desk.url}/promise/{verb}", json={**named, **body})

    def result(self, verb: str, promise: str, **body: object) -> Any:
        answer = self.ask(verb, promise, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def processes(self, promise: str, *, waiters: int, completers: int) -> subprocess.Popen[str]:
        """Start so many processes; the output has a line of each, with its number and its value."""
        command = ["-m", "machines.promises.many", promise, f"--waiters={waiters}", f"--completers={completers}"]
        env = {"RESTATE_INGRESS_URL": self.server.ingress_url, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        return subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True, env=env)

    def wait_awaited(self, promise: str, by: int) -> None:
        """Wait until so many callers await a promise."""

        def all_there() -> bool:
            there = self.server.state("promises", promise)
            return bool(there) and len(self.server.call("promises", promise, "snapshot")["deferred"]) == by

        wait_until(all_there, PATIENCE, f"{by} to await {promise}")


def printed(processes: subprocess.Popen[str]) -> tuple[int, set[str]]:
    """How many processes have printed a value, and the values."""
    output, _ = processes.communicate(timeout=60)
    assert processes.returncode == 0
    lines = [line.partition(" ") for line in output.splitlines()]
    return len({pid for pid, _, _ in lines}), {value for _, _, value in lines}


@contextmanager
def settled(server: RestateServer, place: Path) -> Iterator[Town]:
    env = {"RESTATE_INGRESS_URL": server.ingress_url}
    desk = ServiceProcess.serving("machines.promises.desk:app", log=place / "desk.log", app_dir=ROOT, env=env)
    try:
        with serve("promises", server, place, env) as served:
            desk.start().wait_ready()
            yield Town("promises", served, server, desk)
    finally:
        desk.close()


@pytest.fixture(scope="module")
def awake(restate_server: RestateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with settled(restate_server, tmp_path_factory.mktemp("town")) as town:
        yield town


@pytest.fixture(scope="module")
def replaying(replaying_server: RestateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with settled(replaying_server, tmp_path_factory.mktemp("replaying")) as town:
        yield town


@pytest.fixture(params=["awake", "replaying"])
def town(request: pytest.FixtureRequest) -> Town:
    found: Town = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def key() -> str:
    return f"p-{next(NUMBERS)}"


def test_a_promise_that_nobody_has_completed_has_nothing(town: Town, key: str) -> None:
    assert town.result("peek", key) is None
    town.result("dispose", key)
    assert town.result("peek", key) is None


def test_ten_waiters_and_three_racing_completers_all_get_one_value(town: Town, key: str) -> None:
    processes, values = printed(town.processes(key, waiters=10, completers=3))

    assert processes == 13
    assert len(values) == 1
    assert values < {"from 0", "from 1", "from 2"}


def test_a_later_completion_gets_the_first_value(town: Town, key: str) -> None:
    first = town.result("resolve", key, value={"n": 1})

    assert first == {"value": {"n": 1}}
    assert town.result("reject", key, errorMessage="too late") == first
    assert town.result("resolve", key, value=2) == first
    assert town.result("peek", key) == first


def test_a_rejection_is_a_completion_too(town: Town, key: str) -> None:
    first = town.result("reject", key, errorMessage="no")

    assert first == {"error": "no"}
    assert town.result("resolve", key, value=1) == town.result("await", key) == first


def test_waiters_keep_waiting_while_restate_and_the_service_are_killed(awake: Town, key: str) -> None:
    waiting = awake.processes(key, waiters=10, completers=0)
    awake.wait_awaited(key, by=10)

    awake.server.kill()
    assert not awake.server.process.alive
    awake.restart()
    awake.server.start()
    awake.wait_awaited(key, by=10)

    assert awake.result("resolve", key, value="kept") == {"value": "kept"}
    assert printed(waiting) == (10, {"kept"})


def test_one_who_comes_after_the_completion_is_answered_at_once(town: Town, key: str) -> None:
    town.result("resolve", key, value=7)

    assert town.result("await", key) == {"value": 7}
    assert town.server.call("promises", key, "snapshot")["deferred"] == []


def test_null_is_a_value(town: Town, key: str) -> None:
    assert town.result("resolve", key, value=None) == {"value": None}

    assert town.result("peek", key) == town.result("await", key) == {"value": None}
    assert town.result("resolve", key, value=1) == {"value": None}


def test_those_who_await_a_promise_that_is_disposed_of_are_told_so(town: Town, key: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(town.result, "await", key) for _ in range(2)]
        town.wait_awaited(key, by=2)
        town.result("dispose", key)

        assert [one.result(60) for one in waiting] == [{"error": "promise was disposed"}] * 2

    assert town.result("resolve", key, value="anew") == town.result("await", key) == {"value": "anew"}


@pytest.mark.parametrize("verb", ["resolve", "reject", "peek", "await", "dispose"])
@pytest.mark.parametrize("promise", [None, ""], ids=["missing", "empty"])
def test_a_request_without_the_id_of_a_promise_is_refused_for_good(awake: Town, verb: str, promise: str | None) -> None:
    answer = awake.ask(verb, promise, value=1, errorMessage="no")

    assert answer.status_code == 400
    assert answer.json()["message"].startswith("promiseId: ")


@pytest.mark.parametrize(("event", "payload"), [("resolve", {}), ("reject", {"error": ""})], ids=["value", "message"])
def test_a_completion_without_its_value_or_its_message_is_refused_for_good(
    awake: Town, key: str, event: str, payload: object
) -> None:
    refused = web.post(f"{awake.server.ingress_url}/promises/{key}/{event}", json=payload)

    assert refused.status_code == 422
    assert awake.ask("reject", key).status_code == 400
    assert awake.result("peek", key) is None


def test_a_question_is_answered_although_the_service_was_killed_meanwhile(awake: Town, key: str) -> None:
    questions = f"{awake.server.ingress_url}/questions.workflow/{key}/run"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(web.post, questions, json={"question": "What is 6 × 7?"}, timeout=60)
        awake.wait_awaited(key, by=1)
        awake.restart()
        awake.result("resolve", key, value=42)

        assert asked.result(60).json() == {"question": "What is 6 × 7?", "answer": 42}


def test_a_question_whose_answer_is_disposed_of_fails_with_that_message(town: Town, key: str) -> None:
    questions = f"{town.server.ingress_url}/questions.workflow/{key}/run"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(web.post, questions, json={"question": "Why?"}, timeout=60)
        town.wait_awaited(key, by=1)
        town.result("dispose", key)

        assert asked.result(60).json()["message"] == "promise was disposed"


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Promise)) == {
        ("pending", "resolve", ("resolved",)),
        ("pending", "reject", ("rejected",)),
        ("pending", "dispose", ()),
        ("completed", "resolve", ()),
        ("completed", "reject", ()),
        ("completed", "await_", ()),
        ("completed", "dispose", ("pending",)),
    }
    assert set(edges(Question)) == {
        ("asked", "done.invoke.asked", ("answered",)),
        ("asked", "error.invoke.asked", ("unanswered",)),
    }


def test_the_server_does_what_the_rehearsal_does(town: Town, key: str) -> None:
    rehearsal = Rehearsal(Promise, key=key)
    said: list[tuple[str, Any]] = [
        ("await_", None),
        ("dispose", None),
        ("resolve", {"value": 1}),
        ("reject", {"error": "too late"}),
        ("await_", None),
        ("dispose", None),
    ]
    replies = [rehearsal.send(event, payload).reply for event, payload in said]

    sent = [("await" if event == "await_" else event, payload) for event, payload in said]
    assert [town.server.call("promises", key, event, payload)["reply"] for event, payload in sent] == replies

    assert town.recorded("promises", key) == rehearsed(rehearsal)


def test_restate_has_completed_the_requests(town: Town, key: str) -> None:
    town.result("resolve", key, value=1)
    town.result("await", key)

    done = town.server.query(
        "SELECT target_handler_name AS handler, completion_result AS result FROM sys_invocation"
        f" WHERE status = 'completed' AND target_service_name = 'promises' AND target_service_key = '{key}'"
    )
    assert {("send", "success"), ("wait_for", "success")} <= {(row["handler"], row["result"]) for row in done}


def test_the_commands_of_the_readme_do_what_it_says(awake: Town, key: str) -> None:
    answers = [*awake.run_readme({"p-1": f"{key}-page", "q-1": f"{key}-asked", "localhost:8000": awake.desk.url})]

    assert answers[:5] == [None, {"value": 42}, {"value": 42}, {"value": 42}, None]
    assert answers[5]["status"] == "Accepted"
    assert answers[6]["reply"] == {"value": 42}
    assert answers[7] == {"question": "What is 6 × 7?", "answer": 42}
