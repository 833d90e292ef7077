"""Recurring timers keep their phase: each tick counts from the moment at which the one before was due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from durable_fsm.core.calendar import Calendar
from durable_fsm.core.chart import Callback, Missed, Timer
from durable_fsm.core.effects import Outcome, Send, Step
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.scope import Scope
from durable_fsm.core.timers import is_recurring
from durable_fsm.core.values import changed
from tests.building import Driven, action, chart, edge

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TICK = timedelta(seconds=10)


def count(scope: Scope) -> None:
    scope.data["log"].append(scope.event.name)  # type: ignore[index]


def next_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=1)


EVERY_MINUTE = Calendar("* * * * *", "UTC", next_minute)


def clock(timer: Timer) -> Driven:
    made = chart(
        "off\non", edge("off", "start", "on"), edge("on", "tick", actions=[action(count)]), timers={"on": [timer]}
    )
    machine = Driven(made)
    machine.take(Event("start", at=NOON))
    return machine


def ring(machine: Driven, due: datetime | None, now: datetime | None) -> Step:
    (armed,) = machine.snapshot.timers
    return machine.take(Event("timer", origin=Origin.PLATFORM, token=armed.token, due=due, came=now, at=now))


def following(machine: Driven) -> datetime | None:
    (armed,) = machine.snapshot.timers
    return armed.at


@pytest.mark.parametrize("missed", list(Missed))
@pytest.mark.parametrize("late", [timedelta(0), SECOND, TICK - SECOND])
def test_a_late_tick_does_not_delay_the_next(missed: Missed, late: timedelta) -> None:
    machine = clock(Timer("tick", TICK, recurring=True, missed=missed))

    result = ring(machine, NOON, NOON + late)

    assert (result.outcome, machine.log) == (Outcome.TAKEN, ["tick"])
    assert result.effects == (Send("life.3.1", "tick", TICK, NOON + TICK),)


@pytest.mark.parametrize(
    ("missed", "taken", "then"),
    [
        pytest.param(Missed.SKIP, 0, 4, id="skip"),
        pytest.param(Missed.ONCE, 1, 4, id="once"),
        pytest.param(Missed.ALL, 1, 1, id="all"),
    ],
)
@pytest.mark.parametrize("late", [3 * TICK, 3 * TICK + SECOND])
def test_ticks_that_were_missed(missed: Missed, taken: int, then: int, late: timedelta) -> None:
    machine = clock(Timer("tick", TICK, recurring=True, missed=missed))

    result = ring(machine, NOON, NOON + late)

    assert result.outcome is (Outcome.TAKEN if taken else Outcome.IGNORED)
    assert machine.log == ["tick"] * taken
    assert following(machine) == NOON + then * TICK


def test_all_missed_ticks_are_taken_one_after_the_other() -> None:
    machine = clock(Timer("tick", TICK, recurring=True, missed=Missed.ALL))
    now = NOON + 3 * TICK + SECOND

    due: list[datetime | None] = [NOON]
    for _ in range(4):
        assert ring(machine, due[-1], now).outcome is Outcome.TAKEN
        due.append(following(machine))

    assert due == [NOON + n * TICK for n in range(5)]


def test_a_computed_tick_is_computed_again_and_counts_from_the_one_before() -> None:
    lengths = [SECOND, TICK, 2 * TICK]  # of the first one, and of those that follow
    longer = Callback("longer", lambda _: lengths.pop(0))
    machine = clock(Timer("tick", when=longer, recurring=True))

    assert ring(machine, NOON, NOON + SECOND).effects == (Send("life.3.1", "tick", TICK, NOON + TICK),)
    assert ring(machine, NOON + TICK, NOON + TICK).effects == (Send("life.4.1", "tick", 2 * TICK, NOON + 3 * TICK),)


def test_a_computed_instant_and_none_are_taken_as_they_are() -> None:
    instants: list[datetime | None] = [NOON, NOON + SECOND, None]
    machine = clock(Timer("tick", when=Callback("listed", lambda _: instants.pop(0)), recurring=True))

    assert following(machine) == NOON
    ring(machine, NOON, NOON + TICK)
    assert following(machine) == NOON + SECOND
    ring(machine, NOON + SECOND, NOON + TICK)
    assert machine.snapshot.timers == ()


def test_a_tick_of_an_older_build_which_knows_no_moment_counts_from_now() -> None:
    machine = clock(Timer("tick", TICK, recurring=True))

    assert ring(machine, None, None).effects == (Send("life.3.1", "tick", TICK),)


# ── calendars ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def calendar(missed: Missed = Missed.ONCE, *, recurring: bool = True) -> Timer:
    when = Callback(str(EVERY_MINUTE), lambda scope: next_minute(scope.at or NOON))
    return Timer("tick", when=when, recurring=recurring, calendar=EVERY_MINUTE, missed=missed)


def test_a_calendar_counts_from_the_time_of_the_turn() -> None:
    machine = clock(calendar())

    assert machine.chart.reads_clock
    assert following(machine) == NOON + timedelta(minutes=1)


@pytest.mark.parametrize(("missed", "taken", "minutes"), [(Missed.SKIP, 0, 5), (Missed.ONCE, 1, 5), (Missed.ALL, 1, 2)])
def test_missed_instants_of_a_calendar(missed: Missed, taken: int, minutes: int) -> None:
    machine = clock(calendar(missed))

    ring(machine, NOON + timedelta(minutes=1), NOON + timedelta(minutes=4, seconds=30))

    assert machine.log == ["tick"] * taken
    assert following(machine) == NOON + timedelta(minutes=minutes)


def test_an_instant_of_a_calendar_may_come_once() -> None:
    machine = clock(calendar(recurring=False))

    ring(machine, NOON + timedelta(minutes=1), NOON + timedelta(minutes=1))

    assert (machine.log, machine.snapshot.timers) == (["tick"], ())


def test_a_chart_keeps_its_digest_unless_it_says_what_to_do_with_missed_ticks() -> None:
    usual = clock(Timer("tick", TICK, recurring=True)).chart
    other = clock(Timer("tick", TICK, recurring=True, missed=Missed.SKIP)).chart

    assert "missed" not in str(usual.to_json())
    assert "'missed': 'skip'" in str(other.to_json())
    assert not usual.reads_clock


def test_only_the_timers_of_states_recur() -> None:
    machine = clock(Timer("tick", TICK, recurring=True))
    (armed,) = machine.snapshot.timers

    assert is_recurring(machine.chart, armed)
    assert not is_recurring(machine.chart, changed(armed, event="tock"))
    assert not is_recurring(machine.chart, changed(armed, state=None))
