"""Work that was told to stop may have succeeded: nothing around it is undone before its outcome is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durable_fsm.core.effects import Outcome, Send, StopActivity
from durable_fsm.core.snapshot import Stopping
from tests.building import Driven, chart, edge
from tests.core.trips import (
    DAY,
    HOUR,
    PAY,
    UNDO,
    UNDO_LEFT,
    arrive,
    booking,
    fail,
    run,
    started,
    succeed,
    trip,
    undoable,
    with_flight_and_car,
)

# ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_late_success_of_stopped_work_is_undone() -> None:
    machine = Driven(trip())
    machine.take("book")
    token = run(machine, "flight").token

    stopped = machine.take("cancel")
    assert StopActivity(token) in stopped.effects
    assert machine.snapshot.stopping == (Stopping(token, "flight", "flight", 2),)
    assert run(machine, "undoing").waiting
    late = succeed(machine, "flight", "LH1", token=token)

    assert (late.outcome, machine.snapshot.stopping) == (Outcome.TAKEN, ())
    assert started(late) == [("flight", "LH1")]
    assert not run(machine, "undoing").waiting
    assert len(machine.snapshot.timers) == 1
    succeed(machine, "undoing")
    assert machine.log == [["flight"]]


def test_a_late_failure_of_stopped_work_is_not() -> None:
    machine = Driven(trip())
    machine.take("book")
    token = run(machine, "flight").token
    machine.take("cancel")

    late = fail(machine, "flight", token=token)

    assert started(late) == []
    assert machine.leaves == ("planned",)
    assert machine.log == [[]]
    assert machine.snapshot.timers == ()


def test_success_before_the_stop_is_undone_without_waiting() -> None:
    machine = Driven(trip())
    machine.take("book")
    succeed(machine, "flight", "LH1")

    step = machine.take("cancel")
    assert started(step) == []  # the car may be booked
    fail(machine, "car", token=machine.snapshot.stopping[0].token)

    assert started(machine.last) == [("flight", "LH1")]


@pytest.mark.parametrize("succeeds", [True, False])
def test_what_is_registered_first_is_undone_however_stopped_work_ends(succeeds: bool) -> None:
    machine = with_flight_and_car()
    token = run(machine, "paying").token

    machine.take("cancel")
    assert run(machine, "undoing").waiting
    late = (succeed if succeeds else fail)(machine, "paying", token=token)

    assert started(late) == [("paying", None)]
    assert undoable(machine) == ["flight", "car", "paying"]


def test_nobody_waits_longer_for_stopped_work_than_its_deadline_and_a_late_success_is_kept() -> None:
    machine = Driven(trip())
    machine.take("book")
    token = run(machine, "flight").token
    machine.take("cancel")
    deadline = next(timer for timer in machine.snapshot.timers if timer.activity == token)

    arrive(machine, deadline.token, "timer")
    assert machine.leaves == ("planned",)
    assert machine.snapshot.stopping == (Stopping(token, "flight", "flight", 2, overdue=True),)
    assert machine.snapshot.timers == ()
    succeed(machine, "flight", "LH1", token=token)

    assert machine.snapshot.stopping == ()
    assert undoable(machine) == ["flight"]


def test_what_is_registered_first_is_undone_when_nobody_waits_any_longer() -> None:
    machine = with_flight_and_car()
    token = run(machine, "paying").token
    machine.take("cancel")
    deadline = next(timer for timer in machine.snapshot.timers if timer.activity == token)

    step = arrive(machine, deadline.token, "timer")

    assert started(step) == [("paying", None)]
    assert machine.snapshot.stopping == ()


def test_work_that_its_deadline_stops_gets_as_long_again() -> None:
    machine = Driven(trip())
    machine.take("book")
    token = run(machine, "flight").token
    [deadline] = machine.snapshot.timers

    step = arrive(machine, deadline.token, "timer")

    assert machine.leaves == ("undoing",)
    assert [stopping.token for stopping in machine.snapshot.stopping] == [token]
    assert [effect.after for effect in step.effects if isinstance(effect, Send)] == [DAY, DAY]
    again = next(timer for timer in machine.snapshot.timers if timer.activity == token)
    assert again.after == DAY
    arrive(machine, again.token, "timer")
    assert machine.leaves == ("planned",)


def test_work_without_a_deadline_is_waited_for() -> None:
    machine = with_flight_and_car(trip(paying=replace(PAY, deadline=None)))

    machine.take("cancel")

    assert [timer.activity for timer in machine.snapshot.timers] == [run(machine, "undoing").token]


def test_undoing_that_waits_may_be_left_and_stops_nothing() -> None:
    machine = Driven(trip())
    machine.take("book")
    token = run(machine, "flight").token
    machine.take("cancel")

    left = machine.take("leave")
    assert not any(isinstance(effect, StopActivity) for effect in left.effects)
    succeed(machine, "flight", "LH1", token=token)

    assert machine.leaves == ("stuck",)
    assert started(machine.take("again")) == [("flight", "LH1")]


def test_undoing_that_waits_has_a_deadline() -> None:
    machine = Driven(trip(undoing=replace(UNDO, deadline=HOUR)))
    machine.take("book")
    machine.take("cancel")
    [deadline] = [timer for timer in machine.snapshot.timers if timer.after == HOUR]

    arrive(machine, deadline.token, "timer")

    assert machine.log == [["deadline", {"undone": [], "left": []}]]


@pytest.mark.parametrize("succeeds", [True, False])
def test_an_undo_that_is_stopped_is_not_repeated_if_it_was_done(succeeds: bool) -> None:
    machine = with_flight_and_car()
    fail(machine, "paying")
    token = run(machine, "undoing").token

    machine.take("leave")
    assert [stopping.token for stopping in machine.snapshot.stopping] == [token]
    assert started(machine.take("again")) == []
    late = (succeed if succeeds else fail)(machine, "undoing", token=token)

    assert started(late) == [("car", {"id": 7}) if succeeds else ("paying", None)]


def test_an_undo_that_was_stopped_and_never_answers_is_begun_again() -> None:
    machine = with_flight_and_car()
    fail(machine, "paying")
    token = run(machine, "undoing").token
    machine.take("leave")
    [deadline] = machine.snapshot.timers
    machine.take("again")

    step = arrive(machine, deadline.token, "timer")

    assert started(step) == [("paying", None)]
    assert succeed(machine, "undoing", token=token).outcome is Outcome.STALE


def test_two_states_that_undo_the_same_do_not_undo_it_twice() -> None:
    made = chart(
        """
        busy parallel
            left
                working
                worked
                undoing
                undone
            right
                idle
                twice
                finished
        """,
        edge("working", "done.invoke.work", "worked"),
        edge("worked", "undo", "undoing"),
        edge("undoing", "done.invoke.undoing", "undone"),
        edge("undoing", "error.invoke.undoing", "worked"),
        edge("idle", "undo", "twice"),
        edge("twice", "done.invoke.twice", "finished"),
        activities={
            "working": [booking("work")],
            "undoing": [replace(UNDO, undoes="left")],
            "twice": [replace(UNDO, id="twice", undoes="left", deadline=None)],
        },
    )
    machine = Driven(made)
    succeed(machine, "work")

    assert started(machine.take("undo")) == [("work", None)]
    assert run(machine, "twice").waiting
    assert started(fail(machine, "undoing")) == [("work", None)]
    assert not run(machine, "twice").waiting
    machine.take("undo")
    assert run(machine, "undoing").waiting
    succeed(machine, "twice")

    assert machine.leaves == ("undone", "finished")


def test_what_still_goes_on_is_not_undone() -> None:
    made = chart(
        """
        busy parallel
            left
                working
                worked
            right
                idle
                undoing
                finished
        """,
        edge("working", "done.invoke.work", "worked"),
        edge("idle", "undo", "undoing"),
        edge("undoing", "done.invoke.undoing", "finished"),
        activities={
            "working": [booking("other"), replace(PAY, id="work")],
            "undoing": [replace(UNDO, undoes="busy")],
        },
    )
    machine = Driven(made)
    succeed(machine, "other")

    assert started(machine.take("undo")) == [("other", None)]
    succeed(machine, "undoing")

    assert machine.leaves == ("working", "finished")
    assert undoable(machine) == ["work"]


def test_undoing_that_ends_lets_a_smaller_one_go_on() -> None:
    made = chart(
        """
        busy parallel
            left
                working
                worked
                undoing
            right
                idle
                twice
                finished
        """,
        edge("working", "done.invoke.a", "worked"),
        edge("worked", "undo", "undoing"),
        edge("idle", "undo", "twice"),
        edge("twice", "done.invoke.twice", "finished"),
        activities={
            "left": [booking("outer")],
            "working": [booking("a")],
            "undoing": [UNDO_LEFT],
            "twice": [replace(UNDO, id="twice", undoes="working")],
        },
    )
    machine = Driven(made)
    succeed(machine, "outer")
    succeed(machine, "a")
    machine.take("undo")

    succeed(machine, "undoing")

    assert machine.leaves == ("undoing", "finished")
    assert undoable(machine) == ["outer"]
