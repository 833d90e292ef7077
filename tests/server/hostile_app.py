"""Charts whose work, messages and children grow as large as a client wants; the fixtures `hostile` and `besieged`."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import (
    ActivityContext,
    Effects,
    Failure,
    Incoming,
    Request,
    Webhook,
    activity,
    after,
    app,
    defer,
    durable,
    event,
    machine,
)

MOST = 40_000_000
Size = Annotated[int, Field(ge=0, le=MOST)]


class Load(BaseModel):
    """How much there is to carry, in bytes; what came of it."""

    bytes: Size = 0
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


async def ask(ctx: ActivityContext, data: Load) -> object:
    """Wait for an answer from outside, which anyone may send."""
    return await ctx.callback("answer", timeout=timedelta(seconds=2))


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
    queued = State(invoke=activity(carry, id="queued", input=load_of, limit=2))
    asking = State(invoke=activity(ask))
    many = State(invoke=activity(carry, id="many", each=loads_of))
    over = State(final=True)

    dawdle = event(idle.to(dawdling))
    done_invoke_dawdling = dawdling.to(idle)
    carry_it = event(idle.to(carrying), Size)
    carry_alone = event(idle.to(alone), Size)
    carry_after = event(idle.to(after), Size)
    carry_in_turn = event(idle.to(queued), Size)
    ask_outside = event(idle.to(asking))
    done_invoke_queued = queued.to(over)
    done_invoke_asking = asking.to(over)
    carry_many = event(idle.to(many), Size)
    send_off = event(idle.to.itself(internal=True), Size)
    done_invoke_carrying = carrying.to(over)
    done_invoke_alone = alone.to(over)
    done_invoke_after = after.to(alone)
    done_invoke_many = many.to(over)
    done_invoke_cart = idle.to.itself(internal=True)
    error_execution = (
        dawdling.to(idle)
        | queued.to(idle)
        | asking.to(idle)
        | carrying.to(idle)
        | alone.to(idle)
        | after.to(idle)
        | many.to(idle)
        | idle.to.itself(internal=True)
    )

    def before_transition(self, data: Load, payload: object) -> None:
        if isinstance(payload, int) and 0 <= payload <= MOST:
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

    begin = event(idle.to(waiting), Size)
    done_invoke_child = waiting.to(over)
    error_invoke_child = waiting.to(idle)

    def on_begin(self, data: Load, payload: int) -> None:
        data.bytes = payload

    def on_error_invoke_child(self, data: Load, error: Failure) -> None:
        data.error = error.type


class Letter(BaseModel):
    """Where to send how many bytes."""

    to: str = Field(min_length=1)
    bytes: Size = 0


def posted(request: Request) -> Incoming:
    """The event of a post: its body says which machine takes it."""
    record = json.loads(request.body)
    return Incoming(record.get("event", "read"), record.get("payload"), key=record.get("key"), id=record.get("id"))


@durable(webhooks=[Webhook("post", decode=posted, signature=None)])
class Scribe(StateChart[Load]):
    """Writes to machines that its clients name, and reads letters."""

    there = State(initial=True)
    over = State(final=True)
    write = event(there.to.itself(internal=True), Letter)
    write_abroad = event(there.to.itself(internal=True))
    read = event(there.to.itself(internal=True), str)
    error_communication = there.to.itself(internal=True)
    close = event(there.to(over))

    def on_write(self, payload: Letter, effects: Effects) -> None:
        effects.send("read", "x" * payload.bytes, to=(Scribe, payload.to))

    def on_write_abroad(self, effects: Effects) -> None:
        effects.send("read", "x", to=("Nowhere", "k"))

    def on_read(self, data: Load, payload: str) -> None:
        data.bytes += len(payload)

    def on_error_communication(self, data: Load, error: Failure) -> None:
        data.error = error.type


class Street(BaseModel):
    name: str = Field(min_length=1, max_length=40)
    number: int = Field(ge=0, le=10_000)


class Order(BaseModel):
    weight: float = Field(gt=0, le=1_000)
    to: Street
    notes: list[str] = []
    extra: Any = None


class Form(BaseModel):
    order: Order | None = None
    notes: list[str] = []


@durable()
class FrontDesk(StateChart[Form]):
    """Takes orders of a narrow type, defers some events, and has timers."""

    allow_event_without_transition = False

    draft = State(initial=True)
    sent = State()
    done = State(final=True)

    fill = event(draft.to.itself(internal=True), Order)
    note = event(draft.to.itself(internal=True) | sent.to.itself(internal=True), list[str])
    submit = event(draft.to(sent))
    confirm = event(sent.to(done))
    waits = defer(draft, "confirm")
    lapse = after(timedelta(minutes=30), draft.to(done))

    def on_fill(self, data: Form, payload: Order) -> float:
        data.order = payload
        return payload.weight

    def on_note(self, data: Form, payload: list[str]) -> None:
        data.notes = payload


@durable(flow=True)
class Haul(StateChart[Load]):
    """Runs to its end without a key."""

    away = State(initial=True, invoke=activity(carry, id="errand", input=load_of))
    back = State(final=True)
    done_invoke_errand = away.to(back)
    error_invoke_errand = away.to(back)


app = app(Carrier, Porter, Scribe, FrontDesk, Haul)
