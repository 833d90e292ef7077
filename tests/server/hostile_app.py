"""Charts whose work, messages and children grow as large as a client wants; the fixtures `hostile` and `besieged`."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Effects, Failure, activity, app, durable, event, machine


class Load(BaseModel):
    """How much there is to carry, in bytes; what came of it."""

    bytes: int = 0
    result: str = ""
    error: str = ""


def load_of(data: Load) -> str:
    return "x" * data.bytes


def loads_of(data: Load) -> list[str]:
    return ["x" * (data.bytes // 4)] * 4


async def carry(load: str) -> str:
    return f"carried {len(load)}"


async def begin(load: int) -> str:
    return "begun"


async def dawdle(data: Load) -> None:
    """Hold the machine for a moment."""
    await asyncio.sleep(1)


@durable(work=[activity(carry, id="cart")], workflow=True)
class Carrier(StateChart[Load]):
    """Carries loads in every way."""

    idle = State(initial=True)
    carrying = State(invoke=activity(carry, id="carrying", input=load_of))
    alone = State(invoke=activity(carry, id="alone", input=load_of, exclusive=True))
    after = State(invoke=activity(begin, id="after", input="bytes", exclusive=True))
    dawdling = State(invoke=activity(dawdle, exclusive=True))
    many = State(invoke=activity(carry, id="many", each=loads_of))
    over = State(final=True)

    dawdle = event(idle.to(dawdling))
    done_invoke_dawdling = dawdling.to(idle)
    carry_it = event(idle.to(carrying), int)
    carry_alone = event(idle.to(alone), int)
    carry_after = event(idle.to(after), int)
    carry_many = event(idle.to(many), int)
    send_off = event(idle.to.itself(internal=True), int)
    done_invoke_carrying = carrying.to(over)
    done_invoke_alone = alone.to(over)
    done_invoke_after = after.to(alone)
    done_invoke_many = many.to(over)
    done_invoke_cart = idle.to.itself(internal=True)
    error_execution = (
        dawdling.to(idle)
        | carrying.to(idle)
        | alone.to(idle)
        | after.to(idle)
        | many.to(idle)
        | idle.to.itself(internal=True)
    )

    def before_transition(self, data: Load, payload: object) -> None:
        if isinstance(payload, int):
            data.bytes = payload
        elif isinstance(payload, Failure):
            data.error = payload.type
        elif isinstance(payload, str):
            data.result = payload

    def on_send_off(self, payload: int, effects: Effects) -> None:
        effects.start("cart", "x" * payload)


@durable()
class Bale(StateChart[Load]):
    """Ends at once, with an output of so many bytes."""

    there = State(initial=True)
    over = State(final=True)
    end = there.to(over)

    def on_enter_over(self, data: Load) -> str:
        return "x" * data.bytes


@durable()
class Porter(StateChart[Load]):
    """Waits for the output of a child."""

    idle = State(initial=True)
    waiting = State(invoke=machine(Bale, id="child", input=("bytes",)))
    over = State(final=True)

    begin = event(idle.to(waiting), int)
    done_invoke_child = waiting.to(over)
    error_invoke_child = waiting.to(idle)

    def on_begin(self, data: Load, payload: int) -> None:
        data.bytes = payload

    def on_error_invoke_child(self, data: Load, error: Failure) -> None:
        data.error = error.type


class Letter(BaseModel):
    """Where to send how many bytes."""

    to: str
    bytes: int = 0


@durable()
class Scribe(StateChart[Load]):
    """Writes to machines that its clients name, and reads letters."""

    there = State(initial=True)
    over = State(final=True)
    write = event(there.to.itself(internal=True), Letter)
    read = event(there.to.itself(internal=True), str)
    error_communication = there.to.itself(internal=True)
    close = event(there.to(over))

    def on_write(self, payload: Letter, effects: Effects) -> None:
        effects.send("read", "x" * payload.bytes, to=(Scribe, payload.to))

    def on_read(self, data: Load, payload: str) -> None:
        data.bytes += len(payload)

    def on_error_communication(self, data: Load, error: Failure) -> None:
        data.error = error.type


app = app(Carrier, Porter, Scribe)
