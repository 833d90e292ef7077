"""A chart to simulate: it has a guard, a timer, an activity and a reply."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import activity, after, event


class Press(BaseModel):
    by: int = Field(default=1, ge=1)


class Data(BaseModel):
    presses: int = 0


async def look_up_tariff(data: Data) -> int:
    return 7


class Lamp(StateChart[Data]):
    """A lamp that goes out by itself and asks what it costs."""

    off = State(initial=True)
    on = State(invoke=activity(look_up_tariff))
    broken = State(final=True)

    press = event(off.to(on) | on.to(off), Press)
    go_out = after(timedelta(minutes=5), on.to(off))
    done_invoke_on = on.to.itself(internal=True)
    error_invoke_on = on.to.itself(internal=True)
    smash = off.to(broken, cond="has_been_pressed")

    def on_press(self, data: Data, payload: Press) -> int:
        data.presses += payload.by
        return data.presses

    def has_been_pressed(self, data: Data) -> bool:
        return data.presses > 0


class NotAChart:
    pass
