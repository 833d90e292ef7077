"""The tasks that a session looks after: each is a machine of its own, and a child of the session."""

from __future__ import annotations

import os
from datetime import timedelta

from statemachine import State, StateChart

from durable_fsm import Effects, Failure, activity, after, at, durable, event
from machines.chat.activities import PATIENT, Watch, probe_price
from machines.chat.data import ReminderSpec

INTERVAL = timedelta(seconds=float(os.environ.get("CHAT_PROBE_SECONDS", "10")))
"""The time between two looks at a price: ten seconds, or CHAT_PROBE_SECONDS."""

CANCELLED = "(cancelled)"


@durable(version="1")
class Reminder(StateChart[ReminderSpec]):
    """Waits for its time, and says what it is time for."""

    waiting = State(initial=True)
    due = State(final=True)
    cancelled = State(final=True)

    ring = at(lambda data: data.timestamp, waiting.to(due))
    call_off = event(waiting.to(cancelled), public=False)

    def on_enter_due(self, data: ReminderSpec) -> str:
        return f"It is time: {data.description}"

    def on_enter_cancelled(self) -> str:
        return CANCELLED


@durable(version="1")
class FlightWatch(StateChart[Watch]):
    """Looks at the price of a flight again and again, until it is low enough."""

    probing = State(initial=True, invoke=activity(probe_price, retry=PATIENT))
    sleeping = State()
    found = State(final=True)
    lost = State(final=True)
    cancelled = State(final=True)

    done_invoke_probing = event(probing.to(found, cond="is_low_enough") | probing.to(sleeping), int)
    error_invoke_probing = probing.to(lost)
    probe_again = after(INTERVAL, sleeping.to(probing))
    call_off = event(cancelled.from_(probing, sleeping), public=False)

    def is_low_enough(self, data: Watch, result: int) -> bool:
        return result <= data.max_price

    def on_done_invoke_probing(self, data: Watch, result: int, effects: Effects) -> None:
        data.last_price = result
        effects.send("quoted", result, to="#_parent")

    def on_enter_found(self, data: Watch) -> str:
        return f"{data.origin} to {data.destination} costs {data.last_price}, which is not more than {data.max_price}."

    def on_enter_lost(self, error: Failure) -> Failure:
        return error

    def on_enter_cancelled(self) -> str:
        return CANCELLED
