"""What was completed is undone in reverse order, when the chart says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durable_fsm.core.activity import stable_id
from durable_fsm.core.effects import Outcome, StartActivity, Step, StopActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.repair import retry, skip
from durable_fsm.core.snapshot import Status, Undoable
from durable_fsm.core.values import Json, changed
from tests.building import Driven, chart
from tests.core.trips import (
    CAR,
    EDGES,
    FLIGHT,
    HELD,
    PAY,
    TRIP,
    UNDO,
    arrive,
    fail,
    run,
    started,
    succeed,
    trip,
    turn_of,
    undoable,
    with_flight_and_car,
)

# ── the stack ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_completed_can_be_undone_with_its_result() -> None:
    machine = Driven(trip())
    machine.take("book")
    assert machine.snapshot.undo == ()
    token = run(machine, "flight").token

    succeed(machine, "flight", "LH1")

    assert machine.snapshot.undo == (Undoable(token, "flight", "flight", 2, "LH1"),)


def test_what_is_registered_first_can_be_undone_from_its_beginning_on_and_has_no_result() -> None:
    machine = with_flight_and_car()

    assert [(done.id, done.result) for done in machine.snapshot.undo] == [
        ("flight", "LH1"),
        ("car", {"id": 7}),
        ("paying", None),
    ]
    succeed(machine, "paying", "receipt")
    assert machine.snapshot.undo[-1] == Undoable("life.4.1", "paying", "paying", 4)


def test_everything_is_undone_in_reverse_order_each_once() -> None:
    machine = with_flight_and_car()

    first = fail(machine, "paying")
    assert machine.leaves == ("undoing",)
    assert started(first) == [("paying", None)]
    second = succeed(machine, "undoing")
    assert started(second) == [("car", {"id": 7})]
    assert second.outcome is Outcome.TAKEN
    assert undoable(machine) == ["flight", "car"]
    third = succeed(machine, "undoing")
    assert started(third) == [("flight", "LH1")]
    last = succeed(machine, "undoing")

    assert started(last) == []
    assert machine.leaves == ("planned",)
    assert machine.log == [["paying", "car", "flight"]]
    assert (machine.snapshot.undo, machine.snapshot.activities, machine.snapshot.timers) == ((), (), ())


def test_only_what_was_done_is_undone() -> None:
    machine = Driven(trip())
    machine.take("book")
    succeed(machine, "flight", "LH1")

    step = fail(machine, "car")

    assert started(step) == [("flight", "LH1")]


def test_without_anything_done_undoing_is_over_at_once() -> None:
    machine = Driven(trip())
    machine.take("book")

    fail(machine, "flight")

    assert machine.leaves == ("planned",)
    assert machine.log == [[]]
    assert machine.snapshot.timers == ()


def test_an_undo_has_a_stable_id_of_its_own() -> None:
    machine = with_flight_and_car()

    [start] = [effect for effect in fail(machine, "paying").effects if isinstance(effect, StartActivity)]

    assert stable_id("Trip", "t-1", "life", start) == "Trip/t-1/life/paying/4/undo"
    assert start.undo is not None
    assert stable_id("Trip", "t-1", "life", start.undo) == "Trip/t-1/life/paying/4"


def test_undoing_has_one_deadline_for_all() -> None:
    machine = with_flight_and_car()
    fail(machine, "paying")
    [timer] = machine.snapshot.timers
    succeed(machine, "undoing")

    assert machine.snapshot.timers == (changed(timer, activity=run(machine, "undoing").token),)
    arrive(machine, timer.token, "timer")

    assert machine.leaves == ("stuck",)
    assert machine.log == [["deadline", {"undone": ["paying"], "left": ["car", "flight"]}]]


def test_an_unknown_outcome_of_something_undone_is_stale() -> None:
    machine = with_flight_and_car()
    fail(machine, "paying")
    token = run(machine, "undoing").token
    succeed(machine, "undoing")

    assert succeed(machine, "undoing", token=token).outcome is Outcome.STALE


def test_nothing_is_undone_outside_of_the_scope() -> None:
    machine = Driven(trip(undoing=replace(UNDO, undoes="paying")))
    machine.take("book")
    succeed(machine, "flight")
    succeed(machine, "car")

    assert started(fail(machine, "paying")) == [("paying", None)]
    succeed(machine, "undoing")
    assert undoable(machine) == ["flight", "car"]


def test_the_root_is_the_scope_of_everything() -> None:
    machine = with_flight_and_car(trip(undoing=replace(UNDO, undoes="")))

    assert started(fail(machine, "paying")) == [("paying", None)]


# ── failing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("metadata", "told"),
    [(None, {}), ({"code": 7}, {"code": 7}), ("busy", {"metadata": "busy"})],
)
def test_an_undo_that_fails_says_what_is_left_and_the_next_entry_goes_on(metadata: Json, told: dict[str, Json]) -> None:
    machine = with_flight_and_car()
    fail(machine, "paying")
    succeed(machine, "undoing")

    fail(machine, "undoing", Failure("Down", "no answer", metadata=metadata))
    assert machine.leaves == ("stuck",)
    assert machine.log == [["Down", {**told, "undone": ["paying"], "left": ["car", "flight"]}]]
    assert undoable(machine) == ["flight", "car"]
    step = machine.take("again")

    assert started(step) == [("car", {"id": 7})]
    [start] = [effect for effect in step.effects if isinstance(effect, StartActivity)]
    assert stable_id("Trip", "t", "life", start) == "Trip/t/life/car/3/undo"
    succeed(machine, "undoing")
    succeed(machine, "undoing")
    assert machine.log == [["car", "flight"]]


def test_a_failure_nobody_handles_can_be_repaired_and_goes_on() -> None:
    made = chart(
        TRIP,
        *(edge for edge in EDGES if edge.events != ("error.invoke.undoing",)),
        activities={"flight": [FLIGHT], "car": [CAR], "paying": [PAY], "undoing": [UNDO]},
    )
    machine = with_flight_and_car(made)
    fail(machine, "paying")

    fail(machine, "undoing")
    assert machine.snapshot.status is Status.FAILED
    machine.last = retry(made, machine.snapshot, "undoing")

    assert started(machine.last) == [("paying", None)]


def test_undoing_may_be_skipped_and_leaves_what_is_left() -> None:
    made = trip()
    machine = with_flight_and_car(made)
    fail(machine, "paying")
    token = run(machine, "undoing").token

    machine.last = skip(made, machine.snapshot, "undoing", "by hand")
    assert machine.leaves == ("planned",)
    assert undoable(machine) == ["flight", "car", "paying"]
    succeed(machine, "undoing", token=token)

    assert undoable(machine) == ["flight", "car"]


# ── exclusive work ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_exclusive_undoing_calls_one_undo_after_the_other_in_its_turn() -> None:
    machine = with_flight_and_car(trip(undoing=replace(UNDO, exclusive=True)))
    turn = turn_of(machine)

    turn.deliver(Event("error.invoke.paying", Failure("a", "b"), Origin.PLATFORM, token=run(machine, "paying").token))
    undone = []
    while (call := turn.next_call()) is not None:
        undone.append(call.id)
        turn.deliver(Event("done.invoke.undoing", None, Origin.PLATFORM, token=call.token))

    assert undone == ["paying", "car", "flight"]
    assert turn.machine.configuration == ("planned",)
    assert [(taken.event, taken.note) for taken in turn.log] == [
        ("error.invoke.paying", None),
        *(("done.invoke.undoing", {"undone": id}) for id in undone),
    ]


def test_exclusive_undoing_that_waits_does_not_hold_the_machine() -> None:
    machine = Driven(trip(undoing=replace(UNDO, exclusive=True)))
    machine.take("book")
    token = run(machine, "flight").token
    machine.take("cancel")
    turn = turn_of(machine)

    turn.begin()
    assert turn.log == []
    assert turn.next_call() is None
    turn.deliver(Event("done.invoke.flight", "LH1", Origin.PLATFORM, token=token))

    call = turn.next_call()
    assert call is not None
    assert (call.id, call.exclusive) == ("flight", True)


def test_exclusive_undoing_that_was_lost_has_failed_and_is_begun_again() -> None:
    machine = with_flight_and_car(trip(undoing=replace(UNDO, exclusive=True)))
    fail(machine, "paying")
    turn = turn_of(machine)

    turn.begin()

    assert turn.machine.configuration == ("stuck",)
    assert [done.undoing for done in turn.machine.undo] == ["", "", ""]


def test_exclusive_work_that_has_not_begun_leaves_nothing_to_undo() -> None:
    paying = replace(PAY, exclusive=True)
    machine = with_flight_and_car(trip(paying=paying))
    assert undoable(machine) == ["flight", "car", "paying"]

    machine.take("cancel")

    assert machine.snapshot.stopping == ()
    assert started(machine.last) == [("car", {"id": 7})]


def test_exclusive_undoing_that_has_not_begun_leaves_everything_to_undo() -> None:
    machine = with_flight_and_car(trip(undoing=replace(UNDO, exclusive=True)))
    fail(machine, "paying")

    machine.take("leave")

    assert machine.snapshot.stopping == ()
    assert [done.undoing for done in machine.snapshot.undo] == ["", "", ""]


def test_the_outcome_of_parked_exclusive_work_is_waited_for() -> None:
    machine = Driven(trip(car=HELD))
    machine.take("book")
    succeed(machine, "flight")
    parked = changed(run(machine, "car"), parked=True)
    machine.last = Step(changed(machine.snapshot, activities=(parked,)))

    machine.take("cancel")

    assert [stopping.token for stopping in machine.snapshot.stopping] == [parked.token]


def test_work_that_is_started_and_stopped_in_one_turn_is_started_and_stopped() -> None:
    machine = Driven(trip())
    turn = turn_of(machine)

    turn.take(Event("book"))
    turn.take(Event("cancel"))
    effects = turn.take_effects()

    token = turn.machine.stopping[0].token
    assert [type(effect) for effect in effects if getattr(effect, "token", "") == token] == [
        StartActivity,
        StopActivity,
    ]
