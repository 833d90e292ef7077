"""R12, parallel work: any number of pieces at the same time, each done once, joined in order, in every way there is.

The workshop outside counts the pieces. How long they took, and that they overlapped, is read from Restate's own
timestamps.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.diagram.exports.markdown import to_markdown
from durable_fsm.testing import Rehearsal, wait_until
from machines.parallel_work.activities import split
from machines.parallel_work.machine import Worker
from machines.parallel_work.world import SECONDS_A_LETTER
from tests.acceptance.applications import PATIENCE, Stage, edges, hosted, rehearsed, staged

pytestmark = pytest.mark.server

LONG = 5
"""Seconds that a piece takes which is to be cancelled before."""

stage_awake, stage_replaying, stage = hosted("stage", partial(staged, "parallel_work"))


def piece(name: str, seconds: float) -> str:
    """A piece that takes so long: it has so many letters."""
    return name.ljust(round(seconds / SECONDS_A_LETTER), "-")


def work(stage: Stage, task: str, pieces: list[str], join: str = "all") -> httpx.Response:
    """Have a task done, and wait for its result. *task* is its idempotency key."""
    return stage.post("worker.flow/run", {"description": ", ".join(pieces), "join": join}, idempotency_key=task)


def results(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json()["results"]
    return found


def done(stage: Stage, pieces: list[str]) -> list[str]:
    """Those of the pieces that the workshop has done, in the order in which it did them."""
    return [one["body"]["piece"] for one in stage.outside.ledger() if one["body"]["piece"] in pieces]


def all_done(pieces: list[str]) -> list[str]:
    return [f"{one}: DONE" for one in pieces]


@dataclass
class Ended:
    """An invocation that has completed, with Restate's own timestamps."""

    handler: str
    began: datetime
    ended: datetime

    @property
    def seconds(self) -> float:
        return (self.ended - self.began).total_seconds()


def runs(stage: Stage, task: str) -> tuple[Ended, list[Ended]]:
    """The invocations that did a task: the one that started its pieces, and one for each of them."""
    job = (
        "SELECT j.id FROM sys_invocation j JOIN sys_invocation r ON j.invoked_by_id = r.id"
        f" WHERE r.target_service_name = 'worker.flow' AND r.idempotency_key = '{task}'"
        " AND j.target_handler_name <> 'splitting'"
    )
    rows = stage.server.query(
        "SELECT target_handler_name AS handler, created_at, completed_at FROM sys_invocation"
        f" WHERE target_handler_name <> '_stop' AND (id IN ({job}) OR invoked_by_id IN ({job}))"
    )
    found = [
        Ended(row["handler"], *(datetime.fromisoformat(row[name]) for name in ("created_at", "completed_at")))
        for row in rows
    ]
    [whole] = [one for one in found if not one.handler.startswith("_each_")]
    return whole, [one for one in found if one is not whole]


def test_eight_pieces_take_as_long_as_the_longest_and_their_results_are_in_order(stage: Stage) -> None:
    pieces = [piece(name, (8 - place) * 0.08) for place, name in enumerate("abcdefgh")]

    answer = work(stage, "eight", pieces)

    assert results(answer) == all_done(pieces)
    assert done(stage, pieces).index(pieces[-1]) < done(stage, pieces).index(pieces[0]), (
        "the last is done before the first"
    )
    whole, each = runs(stage, "eight")
    assert len(each) == 8
    assert max(one.began for one in each) < min(one.ended for one in each), "all ran at the same time"
    longest = max(one.seconds for one in each)
    assert 0.6 < longest <= whole.seconds < 2 * longest < sum(one.seconds for one in each)


def test_a_service_killed_while_it_works_does_each_piece_once(stage_awake: Stage) -> None:
    stage = stage_awake
    pieces = [piece(f"killed {place}", 1 if place < 5 else 0.2) for place in range(8)]

    with ThreadPoolExecutor() as caller:
        asked = caller.submit(work, stage, "killed", pieces)
        wait_until(lambda: len(done(stage, pieces)) >= 3, PATIENCE, "three pieces to be done")
        stage.restart()
        left = len(pieces) - len(done(stage, pieces))
        answer = asked.result()

    assert left > 0, "pieces whose customer was killed were not done"
    assert results(answer) == all_done(pieces)
    assert sorted(done(stage, pieces)) == pieces


def test_the_first_piece_that_cannot_be_done_ends_the_task_and_the_others_are_cancelled(stage: Stage) -> None:
    pieces = [piece("slow one", LONG), "gold", piece("slow other", LONG)]

    answer = work(stage, "fail fast", pieces)

    assert (answer.status_code, answer.json()["message"]) == (410, "there is no gold left")
    whole, each = runs(stage, "fail fast")
    assert (len(each), max(one.seconds for one in each) < LONG) == (3, True)
    assert whole.ended >= max(one.ended for one in each)
    assert done(stage, pieces) == []


def test_a_piece_that_cannot_be_done_is_an_entry_of_the_result_if_all_are_to_settle(stage: Stage) -> None:
    pieces = ["settled", "gold", "seat"]

    answer = work(stage, "settle", pieces, "settle")

    assert results(answer) == ["settled: DONE", "gold: FAILED, there is no gold left", "seat: DONE"]


def test_the_first_piece_that_is_done_may_end_the_task(stage: Stage) -> None:
    pieces = [piece("slow", LONG), "gold", "quick", piece("slower", LONG)]

    answer = work(stage, "any", pieces, "any")

    assert results(answer) == ["quick: DONE"]
    assert done(stage, pieces) == ["quick"]
    assert len(runs(stage, "any")[1]) == 4


def test_most_pieces_may_be_enough(stage: Stage) -> None:
    last, slow, first, second = piece("yes", 0.5), piece("no", LONG), piece("ay", 0.1), piece("yea", 0.3)
    pieces = [last, slow, first, "gold", second]

    answer = work(stage, "majority", pieces, "majority")

    assert results(answer) == all_done([last, first, second])
    assert done(stage, pieces) == [first, second, last]


def test_a_task_fails_as_soon_as_too_few_pieces_can_be_done(stage: Stage) -> None:
    pieces = ["gold", piece("too slow", LONG), "gold"]

    answer = work(stage, "too few", pieces, "majority")

    assert (answer.status_code, answer.json()["message"]) == (410, "there is no gold left")
    assert done(stage, pieces) == []


def test_a_task_without_pieces_has_an_empty_result(stage: Stage) -> None:
    answer = work(stage, "nothing", [])

    assert answer.json() == {"summary": "0 of 0 pieces are done", "results": []}


def test_two_hundred_pieces_pass_while_every_step_is_replayed(stage_replaying: Stage) -> None:
    stage = stage_replaying
    pieces = [f"p{number:03}" for number in range(200)]

    answer = work(stage, "many", pieces)

    assert results(answer) == all_done(pieces)
    assert sorted(done(stage, pieces)) == pieces


def test_two_hundred_pieces_are_done_once_each_although_the_service_is_killed_in_the_middle(stage_awake: Stage) -> None:
    stage = stage_awake
    pieces = [piece(f"{number:03}", 0.2 if number % 2 else 1.2) for number in range(200)]

    with ThreadPoolExecutor() as caller:
        asked = caller.submit(work, stage, "crowd", pieces)
        wait_until(lambda: len(done(stage, pieces)) >= 100, PATIENCE, "half of the pieces to be done")
        stage.restart()
        left = len(pieces) - len(done(stage, pieces))
        answer = asked.result()

    assert left > 0, "the service was killed in the middle"
    assert results(answer) == all_done(pieces)
    assert sorted(done(stage, pieces)) == pieces
    whole, each = runs(stage, "crowd")
    longest = max(one.seconds for one in each)
    assert len(each) == 200
    assert longest <= whole.seconds < 1.5 * longest < sum(one.seconds for one in each) / 20


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Worker)) >= {
        ("splitting", "done.invoke.splitting", ("working",)),
        ("working", "done.invoke.working", ("aggregating",)),
        ("settling", "done.invoke.settling", ("aggregating",)),
        ("racing", "done.invoke.racing", ("aggregating",)),
        ("polling", "done.invoke.polling", ("aggregating",)),
        ("working", "error.execution", ("failed",)),
    }
    assert {("aggregating", ("done",))} <= {(edge.source, edge.targets) for edge in chart_from(Worker).transitions}
    joins = {id: work.each.join for id, work in chart_from(Worker).activities.items() if work.each is not None}
    assert joins == {"working": "all", "settling": "settle", "racing": "any", "polling": "majority"}


def test_the_diagram_shows_that_a_state_does_any_number_of_pieces() -> None:
    table = to_markdown(chart_from(Worker)).text

    assert table.count("invoke ×N do_piece, each of pieces") == 4


def test_the_server_does_what_the_rehearsal_does(stage: Stage) -> None:
    task = {"description": "told, seat", "join": "majority"}
    rehearsal = Rehearsal(Worker, answers={"splitting": split, "polling": lambda piece: f"{piece}: DONE"})
    rehearsal.create(task)

    stage.server.call("worker", "told", "create", task)
    stage.server.call("worker", "told", "wait_for", {"state": "done"})

    recorded = [step for step in stage.recorded("worker", "told") if any(step)]
    assert recorded == [step for step in rehearsed(rehearsal) if any(step)]


def test_restate_has_completed_the_requests(stage: Stage) -> None:
    work(stage, "asked", ["asked", "seat"])
    work(stage, "refused", ["gold"])

    rows = stage.server.query(
        "SELECT idempotency_key AS task, completion_result AS result FROM sys_invocation WHERE status = 'completed'"
        " AND target_service_name = 'worker.flow' AND idempotency_key IN ('asked', 'refused')"
    )
    assert {row["task"]: row["result"] for row in rows} == {"asked": "success", "refused": "failure"}
    assert [one.handler for one in runs(stage, "asked")[1]] == ["_each_working"] * 2


def test_the_commands_of_the_readme_do_what_it_says(stage: Stage) -> None:
    all_of_them, refused, settled, raced, ledger = stage.run_readme({"localhost:9090": stage.outside.url})

    assert all_of_them == {
        "summary": "3 of 3 pieces are done",
        "results": ["upholstery: DONE", "legs: DONE", "seat: DONE"],
    }
    assert refused["message"] == "there is no gold left"
    assert settled["results"] == ["gold: FAILED, there is no gold left", "legs: DONE"]
    assert raced["results"] == ["stool: DONE"]
    assert "chest of drawers" not in [one["body"]["piece"] for one in ledger]
