"""A small chart for the command: a gate with a timer, and with one mistake in `BrokenGate`."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Effects, after, durable, event
from durable_fsm.core.events import Event


class Coin(BaseModel):
    cents: int


class Gate(StateChart):
    closed = State(initial=True)
    open = State()
    removed = State(final=True)
    pay = event(closed.to(open, cond="is_enough") | closed.to(closed), Coin)
    shut = after(timedelta(seconds=10), open.to(closed))
    remove = closed.to(removed)

    def is_enough(self, payload: Coin) -> bool:
        return payload.cents >= 1


class BrokenGate(StateChart):
    closed = State(initial=True)
    open = State()
    jammed = State()
    removed = State(final=True)
    pay = closed.to(open)
    shut = after(timedelta(seconds=10), open.to(jammed))
    mend = jammed.to(closed, cond="is_mended")
    remove = closed.to(removed)

    def is_mended(self) -> bool:
        return False


class RandomGate(StateChart):
    closed = State(initial=True)
    open = State()
    pay = closed.to(open, cond="is_lucky") | closed.to(closed)
    shut = open.to(closed)

    calls = 0

    def is_lucky(self) -> bool:
        RandomGate.calls += 1
        return RandomGate.calls % 2 == 0


class Names(BaseModel):
    first: str = ""


class SetGate(StateChart[Names]):
    closed = State(initial=True)
    open = State()
    pay = closed.to(open)
    shut = open.to(closed)

    def on_pay(self, data: Names) -> None:
        data.first = " ".join({f"name {number}" for number in range(100)})  # the first alone is the same by chance


class Sender(StateChart):
    new = State(initial=True)
    sent = State()
    refused = State(final=True)
    pay = new.to(sent)
    error_communication = sent.to(refused)

    def on_pay(self, effects: Effects) -> None:
        effects.send("deposit", to=("Account", "a-1"))


class Made(BaseModel):
    at: datetime | None = None


@durable(clock=True)
class Offer(StateChart[Made]):
    """It may be taken for an hour."""

    new = State(initial=True)
    open = State()
    taken = State(final=True)
    too_late = State(final=True)
    publish = new.to(open)
    take = open.to(taken, unless="is_over") | open.to(too_late)

    def on_publish(self, data: Made, event: Event) -> None:
        data.at = event.at

    def is_over(self, data: Made, event: Event) -> bool:
        assert data.at is not None
        assert event.at is not None
        return event.at - data.at > timedelta(hours=1)


@durable(defers=["ask"])
class Desk(StateChart):
    """A closed desk keeps questions until it opens."""

    closed = State(initial=True)
    open = State()
    over = State(final=True)
    unlock = closed.to(open)
    ask = open.to.itself()
    close = open.to(over)
