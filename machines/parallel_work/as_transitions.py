"""The same worker as a configuration of transitions. A test compares the two."""

from __future__ import annotations

from typing import Any

from durable_fsm import Failure, TransitionsConfig, activity
from machines.parallel_work.activities import TaskData, do_piece, outcome_of, split
from machines.parallel_work.machine import MANY


class Task(TaskData):
    """The model: data and callbacks."""

    def may_lose_some(self) -> bool:
        return self.join == "settle"

    def needs_one(self) -> bool:
        return self.join == "any"

    def needs_most(self) -> bool:
        return self.join == "majority"

    def keep_pieces(self, result: list[str]) -> None:
        self.pieces = result

    def keep_results(self, result: list[str]) -> None:
        self.results = result

    def keep_result(self, result: str) -> None:
        self.results = [result]

    def keep_outcomes(self, result: list[dict[str, Any]]) -> None:
        self.results = [outcome_of(piece, ended) for piece, ended in zip(self.pieces, result, strict=True)]

    def on_enter_aggregating(self) -> None:
        done = sum(line.endswith(": DONE") for line in self.results)
        self.summary = f"{done} of {len(self.pieces)} pieces are done"

    def on_enter_done(self) -> dict[str, object]:
        return {"summary": self.summary, "results": self.results}

    def on_enter_failed(self, error: Failure) -> Failure:
        return error


SPLIT = {"trigger": "done_invoke_splitting", "source": "splitting", "before": "keep_pieces"}

Worker = TransitionsConfig(
    "worker",
    states=[
        "splitting",
        *("working", "settling", "racing", "polling"),
        "aggregating",
        {"name": "done", "final": True},
        {"name": "failed", "final": True},
    ],
    initial="splitting",
    transitions=[
        {**SPLIT, "dest": "settling", "conditions": "may_lose_some"},
        {**SPLIT, "dest": "racing", "conditions": "needs_one"},
        {**SPLIT, "dest": "polling", "conditions": "needs_most"},
        {**SPLIT, "dest": "working"},
        {"trigger": "done_invoke_working", "source": "working", "dest": "aggregating", "before": "keep_results"},
        {"trigger": "done_invoke_settling", "source": "settling", "dest": "aggregating", "before": "keep_outcomes"},
        {"trigger": "done_invoke_racing", "source": "racing", "dest": "aggregating", "before": "keep_result"},
        {"trigger": "done_invoke_polling", "source": "polling", "dest": "aggregating", "before": "keep_results"},
        {"trigger": "", "source": "aggregating", "dest": "done"},
        *(
            {"trigger": "error_execution", "source": source, "dest": "failed"}
            for source in ("splitting", "working", "settling", "racing", "polling", "aggregating")
        ),
    ],
    model=Task,
    activities={
        "splitting": activity(split, input="description"),
        "working": activity(do_piece, each="pieces", at_once=MANY, join="all"),
        "settling": activity(do_piece, each="pieces", at_once=MANY, join="settle"),
        "racing": activity(do_piece, each="pieces", at_once=MANY, join="any"),
        "polling": activity(do_piece, each="pieces", at_once=MANY, join="majority"),
    },
    flow=True,
)
