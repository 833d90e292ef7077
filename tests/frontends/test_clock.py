"""`clock=True`: callbacks find the time in `event.at`, in both front-ends and on the rehearsal's clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import TransitionsConfig, activity, after, at, chart_from, durable, event
from durable_fsm.testing import Rehearsal

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Visits(BaseModel):
    times: list[datetime | None] = []


async def greet(data: Visits) -> None:
    """Say hello."""


class _Door(StateChart[Visits]):
    closed = State(initial=True)
    greeting = State(invoke=activity(greet, exclusive=True))
    open = State()

    enter = event(closed.to(greeting))
    done_invoke_greeting = greeting.to(open)
    error_invoke_greeting = greeting.to(open)
    shut = after(HOUR, open.to(closed))

    def after_transition(self, data: Visits, event: Any) -> None:
        data.times.append(event.at)


@durable(clock=True)
class Door(_Door):
    """A door that records when it moves."""


@durable(clock=False)
class Timeless(_Door):
    """The same door, without a clock."""


def test_every_event_carries_the_time_of_the_turn_that_took_it() -> None:
    door = Rehearsal(Door, began=NOON)

    door.advance(HOUR)
    door.send("enter")
    door.advance(HOUR)
    door.finish("greeting")
    door.advance(2 * HOUR)

    assert door.data.times == [NOON + HOUR, NOON + 2 * HOUR, NOON + 3 * HOUR]


def test_a_chart_without_a_clock_finds_no_time() -> None:
    door = Rehearsal(Timeless, began=NOON)

    door.send("enter")

    assert door.data.times == [None]


def test_a_clock_is_not_part_of_the_digest() -> None:
    clocked, timeless = (
        chart_from(Door),
        chart_from(durable(name="Door")(type("Door", (_Door,), {"__doc__": Door.__doc__}))),
    )

    assert clocked.digest == timeless.digest


@dataclass
class Shop:
    opened: list[datetime] = field(default_factory=list[datetime])

    def is_day(self, event: Any) -> bool:
        return 8 <= event.at.hour < 20

    def note(self, event: Any) -> None:
        self.opened.append(event.at)


def test_a_configuration_of_transitions_has_the_same_option() -> None:
    shop = Rehearsal(
        TransitionsConfig(
            "Shop",
            states=["shut", "open"],
            transitions=[
                {"trigger": "begin", "source": "shut", "dest": "open", "conditions": "is_day", "after": "note"},
                ["end", "open", "shut"],
            ],
            initial="shut",
            model=Shop,
            clock=True,
        ),
        began=NOON,
    )

    shop.send("begin")

    assert shop.data.opened == [NOON]


def test_a_computed_timer_reads_the_time() -> None:
    @durable(clock=True)
    class Alarm(StateChart):
        set_ = State(initial=True)
        ringing = State(final=True)

        ring = at(lambda event: event.at + HOUR, set_.to(ringing))

    alarm = Rehearsal(Alarm, began=NOON)
    alarm.create()

    assert alarm.timers == {"ring": HOUR}


def test_a_callback_that_reads_the_clock_itself_is_told_of_the_option() -> None:
    class Careless(StateChart):
        idle = State(initial=True)
        busy = State(final=True)

        go = idle.to(busy)

        def on_go(self) -> datetime:
            return datetime.now(UTC)

    with pytest.raises(Exception, match=r"Declare clock=True and read event\.at"):
        chart_from(Careless)
