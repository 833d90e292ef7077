"""Events of compound states, as a user's type checker sees them. Checked by pyright and mypy, never executed."""

# The library's stub leaves the keyword arguments of `to` untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Client, EventOf, SyncClient, after, at, cron, event, every
from durable_fsm.client import Receipt, Sent


class Note(BaseModel):
    text: str


class DeskData(BaseModel):
    notes: int = 0


class Desk(StateChart[DeskData]):
    class busy(State.Compound):
        one = State(initial=True)

    class both(State.Parallel):
        class left(State.Compound):
            idle = State(initial=True)

    paused = State()
    end = State(final=True)

    pause = event(busy.to(paused), Note)
    split = event(busy.to(both))
    stop = event([paused.to(end), busy.to(end)], Note)
    close = event(end.from_(paused, busy))
    late = after(timedelta(minutes=5), busy.to(paused))
    tick = every(cron("0 9 * * *", tz="Europe/Berlin"), both.to(paused), missed="skip")
    once = at(cron("0 9 * * *"), busy.from_(paused))
    halt = busy.to(paused)


assert_type(Desk.pause, EventOf[Note])
assert_type(Desk.split, EventOf[None])
assert_type(Desk.stop, EventOf[Note])
assert_type(Desk.close, EventOf[None])
assert_type(Desk.late, EventOf[None])
assert_type(Desk.tick, EventOf[None])
assert_type(Desk.once, EventOf[None])


async def with_asyncio(client: Client) -> None:
    desk = client.machine(Desk, "d-1")

    assert_type(await desk.send(Desk.pause, Note(text="x")), Receipt)
    assert_type(await desk.send(Desk.halt), Receipt)
    assert_type(await desk.tell(Desk.halt), Sent)
    await desk.send(Desk.pause)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]


def without_asyncio(client: SyncClient) -> None:
    desk = client.machine(Desk, "d-1")

    assert_type(desk.send(Desk.halt), Receipt)
    desk.send(Desk.pause)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
