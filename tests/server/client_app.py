"""The charts that the client is tried on; one of them calls another through the client, from an activity."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Client, activity, after, app, durable, event
from durable_fsm.testing import effect


class Count(BaseModel):
    count: int = 0


class Address(BaseModel):
    street: str
    number: int = Field(gt=0)


class Tally(StateChart[Count]):
    """Counts."""

    counting = State(initial=True)

    increment = event(counting.to.itself(internal=True))
    add = event(counting.to.itself(internal=True), int)

    def on_increment(self, data: Count) -> int:
        data.count += 1
        return data.count

    def on_add(self, data: Count, payload: int) -> int:
        data.count += payload
        return data.count


class Seat(StateChart[Count]):
    """Can be booked once."""

    free = State(initial=True)
    booked = State()
    used = State(final=True)

    book = event(free.to(booked), Address)
    use = event(booked.to(used))


class Errand(BaseModel):
    tally: str = ""


async def tell_tally(ctx: ActivityContext, data: Errand) -> str:
    """Add one to a tally, once, however often this is begun again."""

    async def tell() -> str:
        async with Client(os.environ["INGRESS_URL"]) as client:
            tally = client.machine(Tally, data.tally)
            sent = await tally.tell(Tally.add, 5, idempotency_key=f"{ctx.stable_id}/tell")
        await asyncio.to_thread(effect, data.tally, ctx.stable_id)
        return sent.id

    return await ctx.run("tell", tell)


@durable()
class Messenger(StateChart[Errand]):
    """Tells another machine something, from an activity."""

    idle = State(initial=True)
    telling = State(invoke=activity(tell_tally))
    told = State(final=True)
    lost = State(final=True)

    go = event(idle.to(telling), Errand)
    done_invoke_telling = telling.to(told)
    error_invoke_telling = telling.to(lost)

    def on_go(self, data: Errand, payload: Errand) -> None:
        data.tally = payload.tally


async def hold(data: Errand) -> None:
    await asyncio.to_thread(effect, data.tally, "held")


class Holder(StateChart[Errand]):
    """Has work that can be cancelled."""

    idle = State(initial=True)
    holding = State(invoke=activity(hold))
    over = State(final=True)

    begin = event(idle.to(holding), Errand)
    done_invoke_holding = holding.to(over)
    error_invoke_holding = holding.to(over)

    def on_begin(self, data: Errand, payload: Errand) -> None:
        data.tally = payload.tally


class Payment(BaseModel):
    cents: int


class PurchaseData(BaseModel):
    cents: int = 0


# Those of docs/client.md, whose snippets are run against it.
class Purchase(StateChart[PurchaseData]):
    cart = State(initial=True)
    paid = State()
    shipped = State(final=True)

    pay = event(cart.to(paid), Payment)
    ship = event(paid.to(shipped))

    def on_pay(self, data: PurchaseData, payload: Payment) -> int:
        data.cents = payload.cents
        return data.cents


@durable(workflow=True)
class Charge(StateChart[PurchaseData]):
    due = State(initial=True)
    charged = State(final=True)
    charge = after(timedelta(milliseconds=100), due.to(charged))

    def on_enter_charged(self, data: PurchaseData) -> dict[str, int]:
        return {"charged": data.cents}


app = app(Tally, Seat, Messenger, Holder, Purchase, Charge)
