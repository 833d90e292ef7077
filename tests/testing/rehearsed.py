"""Charts that the tests of `Rehearsal` share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Effects, Failure, activity, after, event, undo_all
from durable_fsm.testing import Rehearsal

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NOTHING = timedelta(0)


class Bells(BaseModel):
    rung: list[str] = []


class Tower(StateChart[Bells]):
    """Rings by itself: two timers of one moment, one of a later moment, and one that each ring arms again."""

    enable_self_transition_entries = False

    silent = State(initial=True)
    ringing = State()
    over = State(final=True)
    begin = silent.to(ringing)
    strike = event(ringing.to.itself(internal=True), str, public=False)
    close = after(HOUR, ringing.to(over))

    def on_enter_ringing(self, effects: Effects) -> None:
        effects.send("strike", "late", after=2 * MINUTE)
        effects.send("strike", "first", after=MINUTE)
        effects.send("strike", "second", after=MINUTE)

    def on_strike(self, data: Bells, payload: str, effects: Effects) -> None:
        data.rung.append(payload)
        if payload == "first":
            effects.send("strike", "echo", after=30 * SECOND)


def ringing() -> Rehearsal:
    tower = Rehearsal(Tower)
    tower.send("begin")
    return tower


class Till(BaseModel):
    cents: int = 0
    receipt: str | None = None
    trouble: str | None = None


async def charge(data: Till) -> str:
    return "never called in a rehearsal"


async def refund(result: str) -> None: ...


class Order(StateChart[Till]):
    cart = State(initial=True)
    charging = State(invoke=activity(charge, undo=refund))
    paid = State()
    sold_out = State(invoke=undo_all())
    over = State(final=True)
    pay = event(cart.to(charging), int)
    rest = event(charging.to(cart))
    note = event(cart.to.itself(internal=True) | charging.to.itself(internal=True), int, public=False)
    revoke = event(paid.to(sold_out))
    done_invoke_charging = charging.to(paid)
    error_invoke_charging = charging.to(cart)
    done_invoke_sold_out = sold_out.to(over)
    error_invoke_sold_out = sold_out.to(over)

    def on_pay(self, data: Till, payload: int) -> None:
        data.cents = payload

    def on_done_invoke_charging(self, data: Till, result: str) -> None:
        data.receipt = result

    def on_error_invoke_charging(self, data: Till, error: Failure) -> None:
        data.trouble = f"{error.type}/{error.code}: {error.message}"


def charging(**answers: Any) -> Rehearsal:
    order = Rehearsal(Order, key="o-1", answers=answers)
    order.send("pay", 500)
    return order


class Gate(StateChart[Till]):
    """Holds its machine while it asks."""

    shut = State(initial=True)
    asking = State(invoke=activity(charge, exclusive=True))
    open = State(final=True)
    ask = event(shut.to(asking), int)
    give_up = after(MINUTE, asking.to(shut))
    done_invoke_asking = asking.to(open)
    error_invoke_asking = asking.to(shut)


class Page(StateChart[Till]):
    writing = State(initial=True)
    proving = State(invoke=activity(charge))
    printed = State(final=True)
    torn = State(final=True)
    prove = writing.to(proving)
    tear = event(writing.to(torn))
    done_invoke_proving = proving.to(printed)
    error_invoke_proving = proving.to(writing)
    later = after(MINUTE, writing.to(printed))

    def on_enter_printed(self, data: Till) -> str:
        return f"page for {data.cents}"
