"""Exceptions that are not an `Exception`, and types whose own code fails: they end no more than the step."""

from __future__ import annotations

import sys
from typing import NoReturn

import pytest

from durable_fsm.core.author_code import metadata_of, named, words_of
from durable_fsm.core.chart import EventType
from durable_fsm.core.questions import Acceptance, acceptance_of
from durable_fsm.core.step import start
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json, TypeRaised
from durable_fsm.errors import ActionError, EventRejected
from tests.building import Driven, Members, action, chart, edge, guard, note

DOOR = """
    shut
    opened
    broken
"""

KINDS = [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, type("Panic", (BaseException,), {})]


class Unspeakable(Exception):
    """Ends the process of whoever asks it for words."""

    def __str__(self) -> str:
        return sys.exit(1)

    @property
    def metadata(self) -> object:
        return sys.exit(1)


class Failing(Members):
    """A type whose code fails."""

    def load(self, stored: Json) -> object:
        raise TypeRaised("KeyError: 'x'", "$.amount")


def raising(kind: type[BaseException]) -> NoReturn:
    raise kind("no way")


@pytest.mark.parametrize("kind", KINDS)
def test_an_action_that_raises_anything_has_failed(kind: type[BaseException]) -> None:
    bare = Driven(chart(DOOR, edge("shut", "push", "opened", actions=[action(lambda _: raising(kind), "push it")])))

    with pytest.raises(
        ActionError, match=f"push it failed while processing 'push': {kind.__name__}: no way."
    ) as failed:
        bare.take("push")

    assert isinstance(failed.value.__cause__, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_raised_may_be_taken_as_an_error(kind: type[BaseException]) -> None:
    pushed = edge("shut", "push", "opened", actions=[action(lambda _: raising(kind), "push it"), note("goes on")])
    caught = edge("opened", "error.execution", "broken", actions=[action(lambda s: s.event.payload.type, "tell")])
    machine = Driven(chart(DOOR, pushed, caught))

    assert machine.take("push").reply == kind.__name__
    assert (machine.leaves, machine.log) == (("broken",), ["goes on"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_validator_that_raises_anything_rejects_the_event(kind: type[BaseException]) -> None:
    machine = Driven(chart(DOOR, edge("shut", "push", "opened", validators=[action(lambda _: raising(kind), "check")])))

    with pytest.raises(EventRejected, match=r"No way\."):
        machine.take("push")
    assert acceptance_of(machine.chart, machine.snapshot) == {"push": Acceptance.NO}


@pytest.mark.parametrize("kind", KINDS)
def test_a_guard_that_raises_anything_depends(kind: type[BaseException]) -> None:
    machine = Driven(chart(DOOR, edge("shut", "push", "opened", guards=[guard(lambda _: raising(kind), "is free")])))

    assert acceptance_of(machine.chart, machine.snapshot) == {"push": Acceptance.DEPENDS}


def test_an_exception_without_words_is_told_by_its_name() -> None:
    assert (words_of(Unspeakable()), named(Unspeakable()), metadata_of(Unspeakable())) == ("", "Unspeakable", None)
    assert named(ValueError("too few")) == "ValueError: too few"


def test_a_payload_whose_type_fails_is_the_authors_to_mend() -> None:
    machine = Driven(
        chart(DOOR, edge("shut", "push", "opened"), events=[EventType("push", Failing(name="Push"))])
    )  # fmt: skip

    with pytest.raises(ActionError) as failed:
        machine.take("push", {})

    assert str(failed.value) == (
        "Order: the code of Push failed while processing 'push': KeyError: 'x' at $.amount. The machine has not changed."
        " Fix it; a ValueError there refuses a value."
    )


def test_data_whose_type_fails_begin_no_machine() -> None:
    made = chart(DOOR, edge("shut", "push", "opened"), data=Failing(name="Data"))

    with pytest.raises(ActionError, match="the code of Data failed while processing 'create'"):
        start(made, life="life")
    with pytest.raises(ActionError, match="the code of Data failed while processing 'create'"):
        Turn(made, None, seed="seed").autostart(life="life")
