"""The worker, rehearsed."""

from __future__ import annotations

import pytest

from durable_fsm import TerminalError
from durable_fsm.testing import Rehearsal
from machines.parallel_work import as_transitions
from machines.parallel_work.activities import split
from machines.parallel_work.machine import Worker


def done(piece: str) -> str:
    if "gold" in piece:
        raise TerminalError("there is no gold left", code=410)
    return f"{piece}: DONE"


def worked(description: str, join: str, definition: object = Worker) -> Rehearsal:
    pieces = dict.fromkeys(("working", "settling", "racing", "polling"), done)
    worker = Rehearsal(definition, answers={"splitting": split, **pieces})
    worker.create({"description": description, "join": join})
    return worker


@pytest.mark.parametrize(
    ("join", "results"),
    [
        ("all", ["legs: DONE", "seat: DONE", "back: DONE"]),
        ("settle", ["legs: DONE", "seat: DONE", "back: DONE"]),
        ("any", ["legs: DONE"]),
        ("majority", ["legs: DONE", "seat: DONE"]),
    ],
)
def test_the_results_are_in_the_order_of_the_pieces(join: str, results: list[str]) -> None:
    worker = worked("legs, seat, back", join)

    assert worker.output == {"summary": f"{len(results)} of 3 pieces are done", "results": results}


@pytest.mark.parametrize(
    ("join", "results"),
    [
        ("settle", ["gold knob: FAILED, there is no gold left", "seat: DONE", "back: DONE"]),
        ("any", ["seat: DONE"]),
        ("majority", ["seat: DONE", "back: DONE"]),
    ],
)
def test_a_piece_that_cannot_be_done_may_be_lost(join: str, results: list[str]) -> None:
    worker = worked("gold knob, seat, back", join)

    assert worker.data.results == results


@pytest.mark.parametrize("join", ["all", "any", "majority"])
def test_a_task_fails_if_too_few_pieces_can_be_done(join: str) -> None:
    worker = worked("gold knob, gold seat", join)

    assert worker.configuration == ("failed",)
    assert worker.failure is not None
    assert (worker.failure.message, worker.failure.code) == ("there is no gold left", 410)


@pytest.mark.parametrize("join", ["all", "settle"])
def test_a_task_without_pieces_is_done(join: str) -> None:
    assert worked("", join).output == {"summary": "0 of 0 pieces are done", "results": []}


def test_one_of_no_pieces_cannot_be_done() -> None:
    worker = worked("", "any")

    assert worker.failure is not None
    assert worker.failure.type == "TooFewItems"


@pytest.mark.parametrize("join", ["all", "settle", "any", "majority"])
@pytest.mark.parametrize("description", ["", "legs, seat, back", "gold knob, seat, back", "gold knob, gold seat"])
def test_the_configuration_of_transitions_does_the_same_step_by_step(description: str, join: str) -> None:
    one, other = (worked(description, join, definition) for definition in (Worker, as_transitions.Worker))

    assert [(step.exited, step.transitions, step.entered) for step in one.trace] == [
        (step.exited, step.transitions, step.entered) for step in other.trace
    ]
    assert (one.data.model_dump(), one.output) == (other.data.model_dump(), other.output)
    assert one.failure == other.failure
