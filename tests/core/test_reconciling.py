"""A chart that has changed without another version begins and ends what its active states declare differently."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from durable_fsm.core.chart import Activity, Chart, Timer
from durable_fsm.core.effects import Cancel, Send, StartActivity, StopActivity
from durable_fsm.core.retention import AfterEnd
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.turn import Turn
from durable_fsm.core.upgrade import Differences, differences_of, upgrade
from durable_fsm.core.values import changed
from durable_fsm.errors import MigrationError
from tests.building import Driven, action, chart, edge

SOON = timedelta(minutes=5)


def work() -> None: ...


def call(*more: object, timers: tuple[Timer, ...] = (), activities: tuple[Activity, ...] = ()) -> Chart:
    return chart(
        "new\nbusy\nover\ngone final",
        edge("new", "go", "busy"),
        edge("busy", "note"),
        edge("busy", "late", "over"),
        edge("busy", "done.invoke.ask", "over"),
        edge("over", "end", "gone"),
        *more,
        timers={"busy": list(timers)},
        activities={"busy": list(activities)},
    )


LATE = Timer("late", SOON)
ASK = Activity("ask", "work", work, deadline=None)
BEFORE = call()


def busy(made: Chart) -> Snapshot:
    machine = Driven(made)
    machine.take("go")
    return machine.snapshot


def reconciled(made: Chart, machine: Snapshot) -> Turn:
    found = upgrade(made, machine)
    turn = Turn(made, found.machine, seed="seed")
    assert found.upgrade is not None
    turn.migrate(found.upgrade)
    return turn


def test_a_timer_and_an_activity_that_were_added_begin() -> None:
    turn = reconciled(call(timers=(LATE,), activities=(ASK,)), busy(BEFORE))

    assert turn.take_effects() == [
        Send("life.3.1", "late", SOON),
        StartActivity("life.3.2", "ask", 3, exclusive=False),
    ]
    assert [(one.event, one.note) for one in turn.log] == [
        ("migrated", {"from": "1", "to": "1", "begins": ["late", "ask"]})
    ]
    assert differences_of(turn.chart, turn.machine) == Differences()
    assert upgrade(turn.chart, turn.machine).upgrade is None


def test_a_timer_and_an_activity_that_were_removed_end() -> None:
    turn = reconciled(call(edge("new", "late")), busy(call(timers=(LATE,))))

    assert turn.take_effects() == [Cancel("life.2.1")]
    assert turn.log[-1].note == {"from": "1", "to": "1", "ends": ["late"]}

    moved = replace(BEFORE, states={**BEFORE.states, "over": replace(BEFORE.states["over"], activities=(ASK,))})
    turn = reconciled(moved, busy(call(activities=(ASK,))))
    assert turn.take_effects() == [StopActivity("life.2.1")]


def test_a_deadline_that_was_added_is_armed_and_others_are_not() -> None:
    before = busy(call(activities=(ASK, replace(ASK, id="hold", exclusive=True))))
    limited = replace(ASK, deadline=SOON)
    after = call(activities=(limited, replace(limited, id="hold", exclusive=True)))

    turn = reconciled(after, before)

    assert turn.take_effects() == [Send("life.3.1", "error.invoke.ask", SOON)]
    assert turn.log[-1].note == {"from": "1", "to": "1", "begins": ["error.invoke.ask"]}


def test_a_change_that_begins_and_ends_nothing_takes_no_step() -> None:
    machine = busy(BEFORE)
    grown = call(edge("busy", "shout"))

    assert grown.digest != machine.digest
    assert upgrade(grown, machine) == (grown, machine, None)


def test_what_has_ended_while_its_state_is_active_does_not_begin_again() -> None:
    machine = changed(busy(BEFORE), finished={"busy": ("late", "ask")})

    assert upgrade(call(timers=(LATE,), activities=(ASK,)), machine).upgrade is None


def test_a_computed_timer_that_said_none_is_not_asked_again_by_a_changed_chart() -> None:
    computed = Timer("late", SOON, when=action(lambda _: None, "never"))
    machine = busy(call(timers=(computed,)))

    assert machine.timers == ()
    assert upgrade(call(edge("busy", "shout"), timers=(computed,)), machine).upgrade is None


def test_a_machine_that_has_failed_waits_for_its_repair_and_one_that_has_ended_for_its_deletion() -> None:
    grown = call(timers=(LATE,))
    failed = changed(busy(BEFORE), status=Status.FAILED)
    assert differences_of(grown, failed) == Differences()

    kept = Driven(BEFORE)
    for event in ("go", "late", "end"):
        kept.take(event)
    freed = replace(BEFORE, hosting=replace(BEFORE.hosting, after_end=AfterEnd(SOON, free=True)))
    assert differences_of(BEFORE, kept.snapshot) == Differences()
    assert differences_of(freed, kept.snapshot) == Differences(("after_end",))


def test_a_timer_that_cannot_be_computed_is_a_mistake_of_the_changed_chart() -> None:
    def fail(_: object) -> None:
        raise ValueError("no clock")

    broken = call(timers=(Timer("late", SOON, when=action(fail, "fail")),))
    found = upgrade(broken, busy(BEFORE))
    assert found.upgrade is not None

    with pytest.raises(MigrationError, match="the changed chart of version '1' cannot begin what it adds: fail failed"):
        Turn(broken, found.machine, seed="seed").migrate(found.upgrade)
