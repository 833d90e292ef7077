"""A chart whose later build gives a state a timer and an activity, without another version: `GROWING_BUILD` says which."""

from __future__ import annotations

import os
from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import activity, after, app, durable, event

SOON = timedelta(milliseconds=300)


class Call(BaseModel):
    notes: int = 0
    asked: str = ""
    late: bool = False


async def ask(data: Call) -> str:
    return f"asked after {data.notes}"


class Noting:
    def on_note(self, data: Call) -> None:
        data.notes += 1

    def on_late(self, data: Call) -> None:
        data.late = True

    def on_done_invoke_ask(self, data: Call, result: str) -> None:
        data.asked = result


if os.environ.get("GROWING_BUILD") == "first":

    @durable(name="Growing")
    class First(Noting, StateChart[Call]):
        new = State(initial=True)
        busy = State()

        go = event(new.to(busy))
        note = event(busy.to.itself(internal=True))
        late = event(busy.to.itself(internal=True))
        back = event(busy.to(new))

    application = app(First)

else:

    @durable(name="Growing")
    class Second(Noting, StateChart[Call]):
        new = State(initial=True)
        busy = State(invoke=activity(ask, id="ask"))

        go = event(new.to(busy))
        note = event(busy.to.itself(internal=True))
        late = after(SOON, busy.to.itself(internal=True))
        back = event(busy.to(new))
        done_invoke_ask = busy.to.itself(internal=True)
        error_invoke_ask = busy.to.itself(internal=True)

    application = app(Second)
