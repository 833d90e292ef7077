"""Charts that undo completed work, as one application served by a process of its own.

As in `charts.py`, work is done to the test's effect log, under names that come from the machine's data: `t-1-flight` is
booked, `t-1-flight-undo` cancelled. The key of an effect is the stable id of the booking, for both.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import httpx
from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import (
    ActivityContext,
    Failure,
    Retry,
    TransitionsConfig,
    activity,
    durable,
    event,
    machine,
    undo_all,
)
from durable_fsm.testing import EffectRefused
from durable_fsm.testing.effects import URL_VARIABLE
from tests.server import dying

dying.install()

QUICKLY = Retry(attempts=3, initial=timedelta(milliseconds=50))
SOON = timedelta(seconds=1)
BUILD = os.environ.get("CHARTS_VERSION", "1")


class Refused(durable_fsm.TerminalError):
    """The world outside says no."""


async def have_effect(name: str, key: str) -> str:
    """Have an effect without blocking a thread, so that it can be interrupted."""
    body = {"name": name, "key": key}
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=600) as client:
        answer = await client.post(f"{os.environ[URL_VARIABLE]}/effects", json=body)
    if answer.status_code == 402:
        raise Refused(f"'{name}' is refused")
    if answer.is_error:
        raise EffectRefused(name=name, key=key, status=answer.status_code)
    return f"{name} {key}"


class Plan(BaseModel):
    effect: str
    short_of_money: bool = False


class Trip(BaseModel):
    effect: str = ""
    short_of_money: bool = False
    undone: Any = None
    error: Any = None
    reason: str = ""


async def book_flight(ctx: ActivityContext, data: Trip) -> str:
    return await ctx.run("book", have_effect, f"{data.effect}-flight", ctx.stable_id)


async def cancel_flight(ctx: ActivityContext, data: Trip, result: str) -> None:
    """Cancel what was booked, which only the booking's own answer names."""
    booking, original = result.split(" ")
    assert booking == f"{data.effect}-flight"
    await ctx.run("cancel", have_effect, f"{booking}-undo", original)
    await ctx.run("file", have_effect, f"{booking}-undo-{BUILD}", ctx.stable_id)


async def book_car(ctx: ActivityContext, data: Trip) -> dict[str, str]:
    booking = await ctx.run("book", have_effect, f"{data.effect}-car", ctx.stable_id)
    return {"booking": booking}


async def cancel_car(result: dict[str, str]) -> object:
    """One step, with whatever may come of it."""
    name, original = result["booking"].split(" ")
    await have_effect(f"{name}-undo", original)
    return object()


async def pay(ctx: ActivityContext, data: Trip) -> str:
    receipt: str = await ctx.run("pay", have_effect, f"{data.effect}-payment", ctx.stable_id)
    if data.short_of_money:
        raise Refused("paid, and not enough")
    return receipt


async def refund(data: Trip, original: str) -> None:
    """A payment is known by the id under which it was made."""
    await have_effect(f"{data.effect}-payment-undo", original)


class Story:
    """The base of all charts in this file."""

    def on_book(self, data: Trip, payload: Plan) -> None:
        data.effect, data.short_of_money = payload.effect, payload.short_of_money

    def on_enter_failed(self, data: Trip, result: Any = None) -> None:
        data.undone = result

    def on_enter_stuck(self, data: Trip, error: Failure) -> None:
        data.error = {"type": error.type, "message": error.message, "metadata": error.metadata}

    def on_enter_undoing(self, data: Trip, error: Any = None) -> None:
        data.reason = "" if error is None else error.message


class Booking(Story, StateChart[Trip]):
    """A trip is booked as a whole, or not at all."""

    planned = State(initial=True)

    class booking(State.Compound):
        flight = State(
            initial=True, invoke=activity(book_flight, undo=cancel_flight, undo_retry=QUICKLY, retry=QUICKLY)
        )
        car = State(invoke=activity(book_car, undo=cancel_car, undo_retry=QUICKLY, retry=QUICKLY))
        paying = State(invoke=activity(pay, undo=refund, undo_first=True, undo_retry=QUICKLY, retry=QUICKLY))

        done_invoke_flight = flight.to(car)
        done_invoke_car = car.to(paying)

    undoing = State(invoke=undo_all(booking))
    stuck = State()
    paused = State()
    booked = State()
    kept = State(final=True)
    failed = State(final=True)

    book = event(planned.to(booking), Plan)
    done_invoke_paying = booking.to(booked)
    error_invoke_flight = booking.to(undoing)
    error_invoke_car = booking.to(undoing)
    error_invoke_paying = booking.to(undoing)
    call_off = event(booking.to(undoing) | booked.to(undoing))
    pause = event(undoing.to(paused) | booking.to(paused))
    done_invoke_undoing = undoing.to(failed)
    error_invoke_undoing = undoing.to(stuck)
    again = event(stuck.to(undoing) | paused.to(undoing))
    keep = event(booked.to(kept) | booking.to(kept))


class Hurried(Story, StateChart[Trip]):
    """Everything holds the machine, and what is too late has little time."""

    planned = State(initial=True)
    flight = State(invoke=activity(book_flight, exclusive=True, undo=cancel_flight, undo_retry=QUICKLY, retry=QUICKLY))
    paying = State(
        invoke=activity(pay, exclusive=True, undo=refund, undo_first=True, undo_retry=QUICKLY, retry=QUICKLY)
    )
    car = State(invoke=activity(book_car, undo=cancel_car, undo_retry=QUICKLY, retry=QUICKLY, deadline=SOON))
    undoing = State(invoke=undo_all(exclusive=True))
    stuck = State()
    booked = State()
    failed = State(final=True)

    book = event(planned.to(flight), Plan)
    drive = event(planned.to(car), Plan)
    done_invoke_flight = flight.to(paying)
    done_invoke_paying = paying.to(booked)
    done_invoke_car = car.to(booked)
    error_invoke_flight = flight.to(undoing)
    error_invoke_paying = paying.to(undoing)
    error_invoke_car = car.to(undoing)
    call_off = event(booked.to(undoing) | car.to(undoing))
    done_invoke_undoing = undoing.to(failed)
    error_invoke_undoing = undoing.to(stuck)
    again = event(stuck.to(undoing))

    on_drive = Story.on_book


@durable(workflow=True, flow=True)
class Tour(StateChart[Trip]):
    """Books a flight and a car without any event from outside."""

    flight = State(initial=True, invoke=activity(book_flight, undo=cancel_flight, undo_retry=QUICKLY, retry=QUICKLY))
    car = State(invoke=activity(book_car, undo=cancel_car, undo_retry=QUICKLY, retry=QUICKLY))
    booked = State(final=True)
    done_invoke_flight = flight.to(car)
    done_invoke_car = car.to(booked)


class Agency(StateChart[Trip]):
    """Leaves the booking to another machine."""

    booking = State(initial=True, invoke=machine(Tour, input=("effect",)))
    called_off = State(final=True)
    booked = State(final=True)
    refused = State(final=True)
    done_invoke_booking = booking.to(booked)
    error_invoke_booking = booking.to(refused)
    call_off = booking.to(called_off)


class ParcelData(BaseModel):
    effect: str = ""
    undone: Any = None

    def begin(self, effect: str) -> None:
        self.effect = effect

    def tell(self, result: Any) -> None:
        self.undone = result


async def send_parcel(ctx: ActivityContext, data: ParcelData) -> str:
    return await ctx.run("send", have_effect, f"{data.effect}-parcel", ctx.stable_id)


async def call_back(result: str) -> None:
    name, original = result.split(" ")
    await have_effect(f"{name}-undo", original)


Consignment = TransitionsConfig(
    name="Consignment",
    states=["packed", "sending", "sent", "undoing", "back"],
    initial="packed",
    transitions=[
        {"trigger": "send_off", "source": "packed", "dest": "sending", "before": "begin"},
        ["done_invoke_sending", "sending", "sent"],
        ["error_invoke_sending", "sending", "packed"],
        ["regret", "sent", "undoing"],
        {"trigger": "done_invoke_undoing", "source": "undoing", "dest": "back", "before": "tell"},
        ["error_invoke_undoing", "undoing", "sent"],
    ],
    model=ParcelData,
    activities={"sending": activity(send_parcel, undo=call_back), "undoing": undo_all("sending")},
)

app = durable_fsm.app(Booking, Hurried, Consignment, Agency)
