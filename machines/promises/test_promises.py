"""Promises and questions, rehearsed."""

from __future__ import annotations

import pytest

from durable_fsm.errors import InvalidPayload
from durable_fsm.testing import Rehearsal
from machines.promises.machine import Promise
from machines.promises.questions import Question


def test_the_first_completion_counts() -> None:
    promise = Rehearsal(Promise)

    replies = [
        promise.send("resolve", {"value": 1}).reply,
        promise.send("resolve", {"value": 2}).reply,
        promise.send("reject", {"error": "too late"}).reply,
        promise.send("await_").reply,
    ]

    assert replies == [{"value": 1}] * 4
    assert promise.configuration == ("completed", "resolved")


def test_one_who_comes_before_the_completion_waits_for_it() -> None:
    promise = Rehearsal(Promise)

    assert promise.send("await_").outcome == "deferred"
    promise.send("reject", {"error": "no"})

    assert [step.event for step in promise.trace] == [None, "reject", "await_"]
    assert promise.send("await_").reply == {"error": "no"}


def test_null_is_a_value() -> None:
    promise = Rehearsal(Promise)

    assert promise.send("resolve", {"value": None}).reply == {"value": None}
    assert promise.send("resolve", {"value": 1}).reply == {"value": None}


def test_a_promise_that_is_disposed_of_is_pending_again_and_nobody_waits() -> None:
    promise = Rehearsal(Promise)
    promise.send("await_")
    promise.send("dispose")
    promise.send("resolve", {"value": 1})
    promise.send("dispose")

    assert promise.configuration == ("pending",)
    assert promise.data.result is None
    assert "await_" not in [step.event for step in promise.trace]


@pytest.mark.parametrize(("event", "payload"), [("resolve", {}), ("reject", {}), ("reject", {"error": ""})], ids=str)
def test_a_completion_without_its_value_or_its_message_is_refused(event: str, payload: dict[str, str]) -> None:
    with pytest.raises(InvalidPayload):
        Rehearsal(Promise).send(event, payload)


def test_a_question_ends_with_its_answer() -> None:
    question = Rehearsal(Question)
    question.create({"question": "What is 6 × 7?"})
    question.finish("asked", 42)

    assert question.output == {"question": "What is 6 × 7?", "answer": 42}


def test_a_question_whose_answer_is_refused_fails_with_the_reason() -> None:
    question = Rehearsal(Question)
    question.create({"question": "Why?"})
    question.fail("asked", "promise was disposed")

    assert question.failure is not None
    assert question.failure.message == "promise was disposed"
