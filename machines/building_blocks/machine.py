"""A chart with one building block per state, and the machine that it exchanges messages with."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from statemachine import State, StateChart

from durable_fsm import Effects, Failure, activity, after, durable, event
from machines.building_blocks.activities import BlocksData, Request, SubscriptionData, charge, create, hear

PAUSE = timedelta(seconds=float(os.environ.get("BLOCKS_SECONDS", "5")))
"""How long the machine waits for the callback, and how long it sleeps: five seconds, or BLOCKS_SECONDS."""

DAY = timedelta(days=1)


@durable(name="SubscriptionService", version="1")
class Subscription(StateChart[SubscriptionData]):
    """A subscription. `ask` is answered with a message, `order` is not."""

    idle = State(initial=True)
    creating = State(invoke=activity(create, exclusive=True))
    active = State()
    cancelled = State(final=True)

    ask = idle.to(creating) | active.to(creating)
    order = idle.to(creating) | active.to(creating)
    done_invoke_creating = creating.to(active)
    error_invoke_creating = creating.to(idle)
    end = active.to(cancelled)

    def on_ask(self, data: SubscriptionData, event: Any) -> None:
        data.asked_by = event.sender

    def on_done_invoke_creating(self, data: SubscriptionData, result: str, effects: Effects) -> None:
        data.numbers.append(result)
        answer(data, effects, "created", result)

    def on_error_invoke_creating(self, data: SubscriptionData, error: Failure, effects: Effects) -> None:
        answer(data, effects, "refused", error.message)


def answer(data: SubscriptionData, effects: Effects, event: str, what: str) -> None:
    """Answer the sender of the last `ask`, if there is one."""
    if data.asked_by:
        effects.send(event, what, to=data.asked_by)
        data.asked_by = ""


@durable(name="BuildingBlocks", version="1")
class Blocks(StateChart[BlocksData]):
    """Each state shows one building block of durable machines."""

    new = State(initial=True)
    calling = State("Calling: a message, and its answer")
    messaging = State("Messaging: one now, one in a day")
    awaiting_callback = State("Awaiting a callback, for a while", invoke=activity(hear))
    sleeping = State("Sleeping, durably")
    charging = State("Charging: an activity with a stable id", invoke=activity(charge))

    class over(State.Compound):
        done = State(initial=True)
        timed_out = State()
        failed = State()

    run = event(new.to(calling) | calling.from_(over), Request)
    created = event(calling.to(messaging), str)
    refused = event(calling.to(over.failed), str)
    messaging.to(awaiting_callback)
    done_invoke_awaiting_callback = awaiting_callback.to(sleeping)
    give_up = after(PAUSE, awaiting_callback.to(over.timed_out))
    wake_up = after(PAUSE, sleeping.to(charging))
    done_invoke_charging = charging.to(over.done)
    error_execution = awaiting_callback.to(over.failed) | charging.to(over.failed)

    def on_run(self, data: BlocksData, subscription: str, effects: Effects) -> None:
        data.subscription = subscription
        effects.cancel("end")
        effects.send("ask", to=(Subscription, data.subscription))

    def on_created(self, data: BlocksData, payload: str) -> None:
        data.number = payload

    def on_enter_messaging(self, data: BlocksData, effects: Effects) -> None:
        effects.send("order", to=(Subscription, data.subscription))
        effects.send("end", to=(Subscription, data.subscription), after=DAY, id="end")

    def on_done_invoke_awaiting_callback(self, data: BlocksData, result: str) -> None:
        data.word = result

    def on_done_invoke_charging(self, data: BlocksData, result: str) -> None:
        data.receipt = result

    def on_refused(self, data: BlocksData, payload: str) -> None:
        data.trouble = payload

    def on_error_execution(self, data: BlocksData, error: Failure) -> None:
        data.trouble = error.message
