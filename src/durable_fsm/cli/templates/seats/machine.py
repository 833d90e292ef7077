"""The chart of {{Name}}."""

from __future__ import annotations

from datetime import timedelta

from durable_fsm import ActivityContext, History, activity, after, durable, event
from pydantic import BaseModel, Field
from statemachine import State, StateChart

PATIENCE = timedelta(minutes=15)
"""A place that is not confirmed expires after this time."""


class SeatRequest(BaseModel):
    """The payload of `request`."""

    seats: int = Field(gt=0)


class {{Name}}Data(BaseModel):
    """The data of {{Name}}."""

    seats: int = 0
    place: str | None = None


async def find_place(ctx: ActivityContext, data: {{Name}}Data) -> str:
    """Outside work: replace it by your own call. An error is retried; the result becomes an event."""
    return await ctx.run("find", look_up_place, data.seats)


async def look_up_place(seats: int) -> str:
    return f"row {seats}"


@durable(version="1", history=History(record=True))
class {{Name}}(StateChart[{{Name}}Data]):
    """One {{name}}, from the request to the confirmed place."""

    wanted = State(initial=True)
    searching = State(invoke=activity(find_place))
    held = State()
    confirmed = State(final=True)
    expired = State(final=True)

    request = event(wanted.to(searching), SeatRequest)
    done_invoke_searching = searching.to(held)
    error_invoke_searching = searching.to(wanted)
    confirm = held.to(confirmed)
    expire = after(PATIENCE, held.to(expired))

    def on_request(self, data: {{Name}}Data, payload: SeatRequest) -> None:
        data.seats = payload.seats

    def on_done_invoke_searching(self, data: {{Name}}Data, result: str) -> None:
        data.place = result
