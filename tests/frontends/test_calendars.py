"""Calendars and ticks: how they are written, what is refused, and the same run in a rehearsal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import TransitionsConfig, activity, at, chart_from, cron, event, every
from durable_fsm.core.chart import Chart, Missed
from durable_fsm.diagram.words import timed
from durable_fsm.errors import DefinitionError
from durable_fsm.testing import Rehearsal

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


class Log(BaseModel):
    at: list[datetime] = []


class Shop(StateChart[Log]):
    """Opens on working days."""

    closed = State(initial=True)
    gone = State(final=True)

    open = every(cron("0 9 * * mon-fri", tz="Europe/Berlin"), closed.to.itself(internal=True))
    end = event(closed.to(gone))

    def on_open(self, data: Log, event: Any) -> None:
        data.at.append(event.at)


def opened(shop: Rehearsal) -> list[str]:
    return [f"{moment.astimezone(BERLIN):%a %d %H:%M %Z}" for moment in shop.data.at]


def test_a_calendar_keeps_its_time_of_day_across_a_change_of_the_clocks() -> None:
    shop = Rehearsal(Shop, began=datetime(2030, 3, 28, 12, tzinfo=UTC))
    shop.create()

    shop.advance(timedelta(days=6))

    assert opened(shop) == ["Fri 29 09:00 CET", "Mon 01 09:00 CEST", "Tue 02 09:00 CEST", "Wed 03 09:00 CEST"]
    assert shop.timers == {"open": timedelta(hours=19)}


def instants(schedule: str, start: datetime, count: int) -> list[str]:
    calendar, moment = cron(schedule, tz="Europe/Berlin"), start
    found: list[str] = []
    for _ in range(count):
        moment = calendar.next(moment)
        found.append(f"{moment.astimezone(BERLIN):%d %H:%M %Z}")
    return found


@pytest.mark.parametrize(
    ("schedule", "start", "expected"),
    [
        # 02:00 becomes 03:00 on the last day of March
        ("30 2 * * *", datetime(2030, 3, 30, tzinfo=UTC), ["30 02:30 CET", "31 03:00 CEST", "01 02:30 CEST"]),
        ("30 3 * * *", datetime(2030, 3, 30, tzinfo=UTC), ["30 03:30 CET", "31 03:30 CEST", "01 03:30 CEST"]),
        ("*/30 * * * *", datetime(2030, 3, 31, 0, tzinfo=UTC), ["31 01:30 CET", "31 03:00 CEST", "31 03:30 CEST"]),
        # 03:00 becomes 02:00 on the last Sunday of October
        ("30 2 * * *", datetime(2030, 10, 26, tzinfo=UTC), ["26 02:30 CEST", "27 02:30 CEST", "28 02:30 CET"]),
        ("*/30 * * * *", datetime(2030, 10, 27, 0, tzinfo=UTC), ["27 02:30 CEST", "27 02:00 CET", "27 02:30 CET"]),
        ("0 0 L * *", datetime(2032, 2, 1, tzinfo=UTC), ["29 00:00 CET", "31 00:00 CEST", "30 00:00 CEST"]),
    ],
)
def test_instants_that_do_not_exist_or_exist_twice(schedule: str, start: datetime, expected: list[str]) -> None:
    assert instants(schedule, start, 3) == expected


@pytest.mark.parametrize("schedule", ["*/7 * * * *", "30 2 * * *", "15,45 1-3 * * *", "0 9 * * mon-fri"])
def test_instants_never_stand_still_or_go_back(schedule: str) -> None:
    calendar, moment = cron(schedule, tz="Europe/Berlin"), datetime(2030, 1, 1, tzinfo=UTC)

    for _ in range(1_000):
        following = calendar.next(moment)
        assert following > moment
        assert calendar.next(following - timedelta(seconds=1)) == following
        moment = following


def test_a_calendar_may_be_one_instant() -> None:
    class Launch(StateChart[Log]):
        waiting = State(initial=True)
        gone = State(final=True)
        go = at(cron("0 0 1 1 *"), waiting.to(gone))

    launch = Rehearsal(Launch, began=datetime(2030, 6, 1, tzinfo=UTC))
    launch.create()

    assert launch.timers == {"go": timedelta(days=214)}
    launch.advance(timedelta(days=214))
    assert launch.configuration == ("gone",)


# ── one meaning for both libraries ────────────────────────────────────────────────────────────────────────────────────


class Lamp(StateChart):
    """Blinks."""

    on = State(initial=True)
    off = State(final=True)
    blink = every(cron("*/5 * * * *"), on.to.itself(internal=True), missed="skip")
    stop = on.to(off)


LAMP = TransitionsConfig(
    "Lamp",
    states=["on", {"name": "off", "final": True}],
    transitions=[["blink", "on", None], ["stop", "on", "off"]],
    initial="on",
    every={"on": {"blink": cron("*/5 * * * *")}},
    missed={"blink": "skip"},
)


@pytest.mark.parametrize("definition", [Lamp, LAMP], ids=("class", "configuration"))
def test_a_calendar_is_shown_in_diagrams_and_in_the_digest(definition: object) -> None:
    made = chart_from(definition)

    (timer,) = made.states["on"].timers
    assert timed(timer) == "every */5 * * * * UTC"
    assert timer.missed is Missed.SKIP
    assert "*/5 * * * * UTC" in str(made.to_json())
    assert made.reads_clock


def test_a_missed_event_that_does_not_recur_is_a_problem() -> None:
    config = TransitionsConfig("Lamp", ["on", "off"], [["stop", "on", "off"]], "on", missed={"stop": "all"})

    with pytest.raises(DefinitionError, match="missed= names 'stop', which is not an event of every="):
        chart_from(config)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cron("0 9 * *"), ValueError, r"cron\('0 9 \* \*'\) needs five parts"),
        (lambda: cron("@daily"), ValueError, r"cron\('@daily'\) needs five parts"),
        (lambda: cron("0 9 * * funday"), ValueError, "cannot be read: Bad day-of-week"),
        (lambda: cron("61 * * * *"), ValueError, "cannot be read: Bad minute"),
        (lambda: cron("0 0 30 2 *"), ValueError, r"cron\('0 0 30 2 \*'\)"),
        (lambda: cron("0 9 * * *", tz="Europe/Berlim"), ValueError, "there is no time zone 'Europe/Berlim'"),
        (lambda: cron("0 9 * * *", tz="../etc"), ValueError, "there is no time zone '../etc'"),
        (lambda: cron(9), TypeError, r"cron\(\): schedule must be text, and is 9"),
        (lambda: every(HOUR, event, missed="never"), TypeError, "missed must be 'skip' or 'once' or 'all', and is 'never'"),
    ],
)  # fmt: skip
def test_a_calendar_that_cannot_be_meant_is_refused_at_the_call(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


# ── rehearsals miss ticks as production does ──────────────────────────────────────────────────────────────────────────


def work() -> None:
    """Hold the machine."""


def chart(missed: Any) -> Chart:
    states = ["on", {"name": "off", "final": True}]
    rows = [
        ["tick", "on", None],
        ["done_invoke_on", "on", None],
        ["error_invoke_on", "on", None],
        ["stop", "on", "off"],
    ]
    held = {"on": activity(work, exclusive=True)}
    return chart_from(
        TransitionsConfig(
            missed.title(), states, rows, "on", every={"on": {"tick": HOUR}}, missed={"tick": missed}, activities=held
        )
    )


@pytest.mark.parametrize(("missed", "ticks"), [("skip", 0), ("once", 1), ("all", 4)])
def test_ticks_that_an_activity_has_kept_back(missed: str, ticks: int) -> None:
    lamp = Rehearsal(chart(missed))
    lamp.create()
    lamp.advance(4 * HOUR + timedelta(minutes=1))

    lamp.finish("on")
    lamp.advance(timedelta(0))

    assert [step.event for step in lamp.trace].count("tick") == ticks
    assert lamp.timers == {"tick": timedelta(minutes=59)}
