"""The chart of {{Name}}."""

from __future__ import annotations

from datetime import timedelta

from durable_fsm import ActivityContext, History, TransitionsConfig, activity
from pydantic import BaseModel, Field

PATIENCE = timedelta(minutes=15)
"""A place that is not confirmed expires after this time."""


class SeatRequest(BaseModel):
    """The payload of `request`."""

    seats: int = Field(gt=0)


class {{Name}}Data(BaseModel):
    """The data of {{Name}}, and how events change it."""

    seats: int = 0
    place: str | None = None

    def note_request(self, payload: SeatRequest) -> None:
        self.seats = payload.seats

    def note_place(self, result: str) -> None:
        self.place = result


async def find_place(ctx: ActivityContext, data: {{Name}}Data) -> str:
    """Outside work: replace it by your own call. An error is retried; the result becomes an event."""
    return await ctx.run("find", look_up_place, data.seats)


async def look_up_place(seats: int) -> str:
    return f"row {seats}"


{{Name}} = TransitionsConfig(
    "{{Name}}",
    states=[
        "wanted",
        "searching",
        "held",
        {"name": "confirmed", "final": True},
        {"name": "expired", "final": True},
    ],
    transitions=[
        {"trigger": "request", "source": "wanted", "dest": "searching", "before": "note_request"},
        {"trigger": "done_invoke_searching", "source": "searching", "dest": "held", "before": "note_place"},
        {"trigger": "error_invoke_searching", "source": "searching", "dest": "wanted"},
        {"trigger": "confirm", "source": "held", "dest": "confirmed"},
        {"trigger": "expire", "source": "held", "dest": "expired"},
    ],
    initial="wanted",
    model={{Name}}Data,
    events={"request": SeatRequest},
    activities={"searching": activity(find_place)},
    timers={"held": {"expire": PATIENCE}},
    history=History(record=True),
)
