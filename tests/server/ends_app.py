"""Charts whose machines end and are kept, deleted or gone; charts that need `create`; workflows and flows."""

from __future__ import annotations

import logging
import os
import threading
from datetime import timedelta
from typing import Any

import httpx
from pydantic import BaseModel
from statemachine import State, StateChart
from transitions import Machine

from durable_fsm import (
    ActivityContext,
    Failure,
    TerminalError,
    TransitionsConfig,
    activity,
    after,
    app,
    durable,
    event,
    free,
    gone,
    undo_all,
)
from durable_fsm.testing import EffectRefused
from durable_fsm.testing.effects import URL_VARIABLE

SHORT = timedelta(milliseconds=600)
HOUR = timedelta(hours=1)


async def have_effect(name: str, key: str) -> str:
    """Have an effect without blocking a thread, so that it can be stopped."""
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=600) as client:
        answer = await client.post(f"{os.environ[URL_VARIABLE]}/effects", json={"name": name, "key": key})
    if answer.is_error:
        raise EffectRefused(name=name, key=key, status=answer.status_code)
    return f"done {name}"


class Count(BaseModel):
    count: int = 0


class Counting:
    def on_increment(self, data: Any) -> int:
        data.count += 1
        return data.count


@durable(after_end=free(SHORT))
class Freed(Counting, StateChart[Count]):
    """Its key is free a little after its end."""

    open = State(initial=True)
    closed = State(final=True)
    increment = event(open.to.itself(internal=True))
    close = event(open.to(closed))


@durable(after_end=free(HOUR), ignores=["ping"])
class Long(Counting, StateChart[Count]):
    """Its key is free an hour after its end."""

    open = State(initial=True)
    closed = State(final=True)
    increment = event(open.to.itself(internal=True))
    close = event(open.to(closed))


Gone = TransitionsConfig(
    "Gone",
    states=["open", {"name": "closed", "final": True}],
    transitions=[["close", "open", "closed"]],
    initial="open",
    after_end=gone(SHORT),
)


class Weighed:
    """Plain attributes, and callbacks whose results are the end of the machine."""

    def __init__(self) -> None:
        self.grams = 250

    def on_enter_sold(self) -> dict[str, int]:
        return {"grams": self.grams}

    def on_enter_spoilt(self) -> Failure:
        return Failure("Spoilt", "it smells", code=410)


Fish = TransitionsConfig(
    "Fish",
    states=["fresh", {"name": "sold", "final": True}, {"name": "spoilt", "final": True}],
    transitions=[["sell", "fresh", "sold"], ["wait", "fresh", "spoilt"]],
    initial="fresh",
    model=Weighed,
    workflow=True,
    unexpected="ignore",
)

Exact = TransitionsConfig(
    "StrictConfig",
    states=["open", {"name": "closed", "final": True}],
    transitions=[["close", "open", "closed"]],
    initial="open",
    create_first=True,
)


# ── workflows ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Trip(BaseModel):
    effect: str
    price: int = 0
    why: str = ""


async def book(ctx: ActivityContext, data: Trip) -> int:
    if data.effect.startswith("hopeless"):
        raise TerminalError("fully booked", code=418)
    await ctx.run("book", have_effect, data.effect, ctx.stable_id)
    return 500


@durable(workflow=True, after_end=free(timedelta(0)))
class Lodging(StateChart[Trip]):
    """Books, and waits for an agreement."""

    booking = State(initial=True, invoke=activity(book))
    asking = State()
    agreed = State(final=True)
    refused = State(final=True)

    done_invoke_booking = booking.to(asking)
    error_invoke_booking = booking.to(refused)
    agree = event(asking.to(agreed), int)
    lapse = after(HOUR, asking.to(refused))

    def on_done_invoke_booking(self, data: Trip, result: int) -> None:
        data.price = result

    def on_agree(self, data: Trip, payload: int) -> str:
        data.price += payload
        return "thanks"

    def on_error_invoke_booking(self, data: Trip, error: Failure) -> None:
        data.why = error.message

    def on_enter_agreed(self, data: Trip) -> dict[str, int]:
        return {"price": data.price}

    def on_enter_refused(self, data: Trip) -> dict[str, str]:
        return {"why": data.why}


@durable(workflow=True)
class Rash(StateChart[Trip]):
    """Takes no notice of failures, and holds its key while it books."""

    booking = State(initial=True, invoke=activity(book, exclusive=True))
    booked = State(final=True)

    done_invoke_booking = booking.to(booked)


@durable(workflow=True)
class Instant(StateChart[Count]):
    """Is over where it begins."""

    begun = State(initial=True)
    over = State(final=True)
    begun.to(over)

    def on_enter_over(self) -> int:
        return 42


@durable(workflow="booking", after_end=free(timedelta(0)))
class Stay(StateChart[Trip]):
    """Its run is over when the booking is; the machine waits for the guest to leave."""

    class booking(State.Compound):
        asking = State(initial=True, invoke=activity(book))
        booked = State(final=True)
        refused = State(final=True)

        done_invoke_asking = asking.to(booked)
        error_invoke_asking = asking.to(refused)

    left = State(final=True)
    leave = booking.to(left)

    def on_done_invoke_asking(self, data: Trip, result: int) -> None:
        data.price = result

    def on_error_invoke_asking(self, data: Trip, error: Failure) -> None:
        data.why = error.message

    def on_enter_booked(self, data: Trip) -> dict[str, int]:
        return {"price": data.price}

    def on_enter_refused(self, data: Trip) -> Failure:
        return Failure("Refused", data.why, code=418)


# ── flows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Parcel(BaseModel):
    effect: str
    fails: int = 0
    tries: int = 0
    log: list[str] = []


async def pack(ctx: ActivityContext, data: Parcel) -> str:
    await ctx.run("pack", have_effect, f"{data.effect}-packed", ctx.stable_id)
    return "packed"


async def weigh(data: Parcel) -> str:
    return await have_effect(f"{data.effect}-weighed", data.effect)


async def ship(ctx: ActivityContext, data: Parcel) -> str:
    if data.tries < data.fails:
        raise TerminalError("no van today", code=503)
    return await ctx.run("ship", have_effect, f"{data.effect}-shipped", ctx.stable_id)


@durable(flow=True)
class Dispatch(StateChart[Parcel]):
    """Packs and weighs at once, ships, and tries again later."""

    class preparing(State.Parallel):
        class packing_line(State.Compound):
            packing = State(initial=True, invoke=activity(pack))
            packed = State(final=True)
            done_invoke_packing = packing.to(packed)

        class scale(State.Compound):
            weighing = State(initial=True, invoke=activity(weigh))
            weighed = State(final=True)
            done_invoke_weighing = weighing.to(weighed)

    shipping = State(invoke=activity(ship, exclusive=True))
    pausing = State()
    shipped = State(final=True)
    given_up = State(final=True)

    done_state_preparing = preparing.to(shipping)
    done_invoke_shipping = shipping.to(shipped)
    error_invoke_shipping = shipping.to(given_up, cond="tired") | shipping.to(pausing)
    again = after(timedelta(milliseconds=50), pausing.to(shipping))
    lapse = after(HOUR, shipping.to(given_up))

    def tired(self, data: Parcel) -> bool:
        return data.tries >= 2

    def on_enter_pausing(self, data: Parcel) -> None:
        data.tries += 1

    def on_enter_shipped(self, data: Parcel, result: str) -> dict[str, Any]:
        return {"result": result, "tries": data.tries}

    def on_enter_given_up(self, data: Parcel, error: Failure) -> dict[str, Any]:
        return {"error": error.message}


Hasty = TransitionsConfig(
    "Hasty",
    states=["packing", "waiting", {"name": "over", "final": True}],
    transitions=[
        ["done_invoke_packing", "packing", "over"],
        ["late", "packing", "waiting"],
        ["later", "waiting", "over"],
    ],
    initial="packing",
    model=Parcel,
    activities={"packing": activity(pack)},
    timers={"packing": {"late": SHORT}, "waiting": {"later": timedelta(0)}},
    flow=True,
)


@durable(flow=True)
class Doomed(StateChart[Parcel]):
    """Fails, or waits for a neighbour who never comes."""

    class both(State.Parallel):
        class left(State.Compound):
            packing = State(initial=True, invoke=activity(pack))
            packed = State()
            done_invoke_packing = packing.to(packed)

        class right(State.Compound):
            idle = State(initial=True)
            called = State()
            call = idle.to(called)

    over = State(final=True)
    both.to(over, cond="never")

    def never(self) -> bool:
        return False


# ── a model that makes its own machine ────────────────────────────────────────────────────────────────────────────────


class Boiler:
    """Written for transitions alone: it holds its machine, and logs."""

    def __init__(self) -> None:
        self.log = logging.getLogger("kettle")
        self._degrees = 20
        self.machine = Machine(self, states=["cold", "hot"], initial="cold", auto_transitions=False)
        self.machine.add_transition("heat", "cold", "hot", conditions="is_enough", before="warm", prepare="note")
        self.machine.add_transition("heat", "cold", None, after="warm")

    def note(self, by: int) -> None:
        self.log.debug("%s degrees more", by)

    def is_enough(self, by: int) -> bool:
        return self._degrees + by >= 100

    def warm(self, by: int) -> None:
        self._degrees += by


# ── services ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Till:
    """A client that belongs to the process, and could not be stored."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    async def take(self, name: str, key: str) -> str:
        with self.lock:
            return await have_effect(name, key)


async def take_money(ctx: ActivityContext, data: Trip, *, till: Till) -> str:
    return str(await ctx.run("take", till.take, data.effect, ctx.stable_id))


async def give_back(ctx: ActivityContext, data: Trip, *, till: Till) -> None:
    await ctx.run("give back", till.take, f"{data.effect}-back", ctx.stable_id)


def count_money(data: Trip, *, till: Till) -> str:
    return f"{data.effect} and {'a lock' if till.lock else 'nothing'}"


class Sale(StateChart[Trip]):
    """Its activities work with a service of the application, in steps, as one step, and when they are undone."""

    new = State(initial=True)
    counting = State(invoke=activity(count_money))
    taking = State(invoke=activity(take_money, undo=give_back))
    held = State()
    giving_back = State(invoke=undo_all())
    over = State(final=True)

    sell = new.to(counting)
    done_invoke_counting = counting.to(taking)
    error_invoke_counting = counting.to(over)
    done_invoke_taking = taking.to(held)
    error_invoke_taking = taking.to(over)
    refund = held.to(giving_back)
    done_invoke_giving_back = giving_back.to(over)
    error_invoke_giving_back = giving_back.to(held)

    def on_done_invoke_counting(self, data: Trip, result: str) -> None:
        data.why = result


ends_app = app(
    Boiler,
    Sale,
    Freed,
    Long,
    Gone,
    Fish,
    Exact,
    Lodging,
    Rash,
    Instant,
    Stay,
    Dispatch,
    Hasty,
    Doomed,
    services={"till": Till()},
)
