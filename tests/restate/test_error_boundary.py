"""Errors become Restate's once, at the edge; what Restate itself raises passes, and half a save is never answered."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, field_validator
from restate import TerminalError
from restate.exceptions import RetryableError
from restate.server_context import DisconnectedException
from statemachine import State, StateChart

from durable_fsm import after, durable, event
from durable_fsm.errors import Undecodable
from durable_fsm.restate.http.errors import PLATFORM_ERRORS
from durable_fsm.restate.sources.ingestion import SourcePosition
from tests.memory import Memory
from tests.server.raising_app import KINDS, fail


class Count(BaseModel):
    n: int = 0

    @field_validator("n")
    @classmethod
    def breaks(cls, n: int) -> int:
        if n == 13:
            raise RuntimeError("the validator breaks")
        return n


@durable(version="1", name="Lamp")
class Lamp(StateChart[Count]):
    off = State(initial=True)
    on = State()
    press = event(off.to(on), Count)
    expire = after(timedelta(hours=1), on.to(off))


class Raising:
    """Raises instead of answering a call of the context."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, *_: object, **__: object) -> Any:
        raise self.error


def told_of(lamp: Memory, handler: str, body: object) -> TerminalError:
    with pytest.raises(TerminalError) as told:
        lamp.call(handler, json.dumps(body).encode())
    return told.value


def test_an_error_of_ours_is_answered_with_its_status_its_key_and_its_facts() -> None:
    told = told_of(Memory(Lamp), "send", {"event": "pres"})

    assert (told.status_code, told.metadata) == (
        404,
        {"type": "UnknownEvent", "chart": "Lamp", "key": "one", "event": "pres", "known": '["press"]'},
    )
    assert told.message.startswith("Lamp/one: there is no event 'pres'.")


def test_an_exception_of_a_type_names_the_type_the_field_and_the_remedy_and_changes_nothing() -> None:
    lamp = Memory(Lamp)

    told = told_of(lamp, "press", {"n": 13})

    assert (told.status_code, (told.metadata or {})["type"]) == (500, "ActionError")
    assert told.message == (
        "Lamp/one: the code of Count failed while processing 'press': RuntimeError: the validator breaks at $.n. The machine"
        " has not changed. Fix it; a ValueError there refuses a value. With an idempotency key this answer is kept for a day:"
        " after the correction, send the request with another key."
    )
    assert lamp.state == {}


@pytest.mark.parametrize("kind", [KeyError, SystemExit, KeyboardInterrupt])
def test_a_mistake_of_ours_is_answered_with_500_and_changes_nothing(kind: type[BaseException]) -> None:
    lamp = Memory(Lamp)
    ctx, call = lamp.prepare("press")
    ctx.get = Raising(kind())  # type: ignore[method-assign]

    with pytest.raises(TerminalError) as told:
        call()

    wanted = f"Lamp/one: an internal error ({kind.__name__}). The machine has not changed; see the log."
    assert (told.value.status_code, told.value.message) == (500, wanted)
    assert lamp.state == {}


def test_a_handler_that_is_retried_never_ends_the_process() -> None:
    lamp = Memory(Lamp)
    lamp.name = "Lamp.history"
    ctx, call = lamp.prepare("get")
    ctx.get = Raising(SystemExit())  # type: ignore[method-assign]

    with pytest.raises(RuntimeError, match="unexpected SystemExit"):
        call()


@pytest.mark.parametrize("kind", PLATFORM_ERRORS)
def test_what_restate_raises_passes_unchanged(kind: type[Exception]) -> None:
    raised = kind() if kind is DisconnectedException else kind("from Restate")
    ctx, call = Memory(Lamp).prepare("press")
    ctx.get = Raising(raised)  # type: ignore[method-assign]

    with pytest.raises(kind) as passed:
        call()

    assert passed.value is raised


def test_a_save_that_breaks_after_its_first_write_is_retried_and_never_answered() -> None:
    lamp = Memory(Lamp)
    ctx, call = lamp.prepare("press")
    ctx.generic_send = Raising(KeyError("a mistake"))  # type: ignore[method-assign]

    with pytest.raises(RetryableError, match="while saving: KeyError"):
        call()

    assert lamp.state.keys() == {"snapshot"}


def test_a_delivery_that_breaks_is_parked() -> None:
    lamp = Memory(Lamp)
    ctx, call = lamp.prepare("press")
    call()
    [timer] = ctx.sent
    lamp.state["snapshot"] = lamp.state["snapshot"].replace(b'"n":0', b'"n":13')

    ctx, call = lamp.prepare("_deliver", timer.body)
    answer = json.loads(call())

    assert (answer["outcome"], [sent.handler for sent in ctx.sent]) == ("parked", ["_parked"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_decoder_of_a_topic_may_raise_anything(kind: str) -> None:
    position = SourcePosition("Lamp", "kafka:presses", "record presses[0]@1", {})

    with pytest.raises(Undecodable) as refused:
        position.call(fail, kind)

    assert type(KINDS[kind]()).__name__ in refused.value.problem
