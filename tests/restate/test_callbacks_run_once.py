"""An event runs the author's guard and action once, whether or not it is the first of its machine."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel
from restate import TerminalError
from statemachine import State, StateChart

from durable_fsm import activity, durable, event
from tests.memory import Memory

calls: list[str] = []


class Nothing(BaseModel):
    """No data."""


class Press(BaseModel):
    by: int = 1


@durable(version="1", name="Lamp")
class Lamp(StateChart[Nothing]):
    off = State(initial=True)
    on = State()
    press = event(off.to(on, cond="may_press") | on.to(off, cond="may_press"))

    def may_press(self) -> bool:
        calls.append("guard")
        return True

    def on_press(self) -> None:
        calls.append("action")


async def warm_up(data: Nothing) -> None:
    """Work of the initial state."""


@durable(version="1", name="Heater")
class Heater(StateChart[Nothing]):
    warming = State(initial=True, invoke=activity(warm_up, exclusive=True))
    warm = State()
    done_invoke_warming = warming.to(warm)
    error_invoke_warming = warming.to(warm)
    press = event(warming.to.itself(), Press) | event(warm.to.itself(), Press)


def test_the_first_and_the_second_event_run_guard_and_action_once() -> None:
    lamp = Memory(Lamp)
    for _ in range(2):
        calls.clear()

        lamp.call("press")

        assert calls == ["guard", "action"]


@pytest.mark.parametrize(
    ("handler", "body", "refused"),
    [
        ("send", {"event": "pres"}, "UnknownEvent"),
        ("send", {"event": "done.invoke.warming"}, "Forbidden"),
        ("press", {"by": "much"}, "InvalidPayload"),
    ],
)
def test_an_event_that_no_state_takes_starts_no_exclusive_work(
    handler: str, body: dict[str, object], refused: str
) -> None:
    heater = Memory(Heater)

    with pytest.raises(TerminalError) as told:
        heater.call(handler, json.dumps(body).encode())

    assert (told.value.metadata or {})["type"] == refused
    assert heater.state == {}
