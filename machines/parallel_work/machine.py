"""The worker's chart. Its outside work is in `activities`."""

from __future__ import annotations

from typing import Any

from statemachine import State, StateChart

from durable_fsm import Failure, activity, durable
from machines.parallel_work.activities import TaskData, do_piece, outcome_of, split

MANY = 200
"""Pieces of one task that are done at the same time."""


@durable(name="worker", version="1", flow=True)
class Worker(StateChart[TaskData]):
    """Splits a task, has its pieces done in parallel, and joins the results in the order of the pieces."""

    splitting = State(initial=True, invoke=activity(split, input="description"))
    working = State(invoke=activity(do_piece, each="pieces", at_once=MANY, join="all"))
    settling = State(invoke=activity(do_piece, each="pieces", at_once=MANY, join="settle"))
    racing = State(invoke=activity(do_piece, each="pieces", at_once=MANY, join="any"))
    polling = State(invoke=activity(do_piece, each="pieces", at_once=MANY, join="majority"))
    aggregating = State()
    done = State(final=True)
    failed = State(final=True)

    done_invoke_splitting = (
        splitting.to(settling, cond="may_lose_some")
        | splitting.to(racing, cond="needs_one")
        | splitting.to(polling, cond="needs_most")
        | splitting.to(working)
    )
    done_invoke_working = working.to(aggregating, on="keep_results")
    done_invoke_settling = settling.to(aggregating, on="keep_outcomes")
    done_invoke_racing = racing.to(aggregating, on="keep_result")
    done_invoke_polling = polling.to(aggregating, on="keep_results")
    aggregating.to(done)
    error_execution = failed.from_.any()

    def may_lose_some(self, data: TaskData) -> bool:
        return data.join == "settle"

    def needs_one(self, data: TaskData) -> bool:
        return data.join == "any"

    def needs_most(self, data: TaskData) -> bool:
        return data.join == "majority"

    def on_done_invoke_splitting(self, data: TaskData, result: list[str]) -> None:
        data.pieces = result

    def keep_results(self, data: TaskData, result: list[str]) -> None:
        data.results = result

    def keep_result(self, data: TaskData, result: str) -> None:
        data.results = [result]

    def keep_outcomes(self, data: TaskData, result: list[dict[str, Any]]) -> None:
        data.results = [outcome_of(piece, ended) for piece, ended in zip(data.pieces, result, strict=True)]

    def on_enter_aggregating(self, data: TaskData) -> None:
        done = sum(line.endswith(": DONE") for line in data.results)
        data.summary = f"{done} of {len(data.pieces)} pieces are done"

    def on_enter_done(self, data: TaskData) -> dict[str, object]:
        return {"summary": data.summary, "results": data.results}

    def on_enter_failed(self, error: Failure) -> Failure:
        return error
