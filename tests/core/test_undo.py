"""Sagas: what was done is undone from the end, once, and only if the chart says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from durable_fsm.core.activity import stable_id
from durable_fsm.core.chart import Activity, Chart, Undo
from durable_fsm.core.codec import snapshot_from_json, snapshot_to_json
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.deletion import DELETING, dissolve, done_by, not_ended, stuck, without
from durable_fsm.core.effects import Outcome, Send, StartActivity, Step, StopActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.migration import Migration, OldMachine
from durable_fsm.core.repair import move, retry, skip
from durable_fsm.core.snapshot import Running, Status, Stopping, Undoable
from durable_fsm.core.turn import Turn
from durable_fsm.core.upgrade import settle, upgrade
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import MigrationError, SnapshotUnreadable
from tests.building import Driven, action, chart, edge, hosted

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

TRIP = """
    planned
    booking
        flight
        car
        paying
    undoing
    again
    booked
    over final
    stuck
"""

EDGES = (
    edge("planned", "book", "flight"),
    edge("planned", "finish", "over"),
    edge("flight", "done.invoke.flight", "car"),
    edge("car", "done.invoke.car", "paying"),
    edge("paying", "done.invoke.paying", "booked"),
    edge("booking", "error.*", "undoing"),
    edge("booking", "cancel", "undoing"),
    edge("booking", "finish", "over"),
    edge("booked", "cancel", "undoing"),
    edge("booked", "book", "flight"),
    edge("undoing", "leave", "stuck"),
    edge(
        "undoing",
        "done.invoke.undoing",
        "planned",
        actions=[action(lambda s: s.data["log"].append(s.event.payload), "note")],
    ),
    edge(
        "undoing",
        "error.invoke.undoing",
        "stuck",
        actions=[action(lambda s: s.data["log"].append([s.event.payload.type, s.event.payload.metadata]), "note")],
    ),
    edge("stuck", "again", "undoing"),
)


def work() -> None: ...


def booking(id: str, **rest: Any) -> Activity:
    return Activity(id, f"book_{id}", work, undo=Undo(f"cancel_{id}", work), **rest)


FLIGHT, CAR = booking("flight"), booking("car")
PAY = Activity("paying", "pay", work, undo=Undo("refund", work, first=True))
UNDO = Activity("undoing", "undo_all", work, undoes="booking")


def trip(*, undoing: Activity = UNDO, paying: Activity = PAY, car: Activity = CAR, **rest: Any) -> Chart:
    activities = {"flight": [FLIGHT], "car": [car], "paying": [paying], "undoing": [undoing]}
    return chart(TRIP, *EDGES, activities=activities, **rest)


def run(machine: Driven, id: str) -> Running:
    return next(running for running in machine.snapshot.activities if running.id == id)


def arrive(machine: Driven, token: str, name: str, payload: object = None) -> Step:
    return machine.take(Event(name, payload, Origin.PLATFORM, token=token))


def succeed(machine: Driven, id: str, result: Json = None, *, token: str = "") -> Step:
    return arrive(machine, token or run(machine, id).token, f"done.invoke.{id}", result)


def fail(machine: Driven, id: str, failure: Failure | None = None, *, token: str = "") -> Step:
    return arrive(machine, token or run(machine, id).token, f"error.invoke.{id}", failure or Failure("Sold", "out"))


def started(step: Step) -> list[tuple[str, Json]]:
    """What is undone now, and what its undo is told."""
    return [
        (effect.id, effect.undo.result) for effect in step.effects if isinstance(effect, StartActivity) and effect.undo
    ]


def undoable(machine: Driven) -> list[str]:
    return [done.id for done in machine.snapshot.undo]


def with_flight_and_car(made: Chart | None = None) -> Driven:
    machine = Driven(made or trip())
    machine.take("book")
    succeed(machine, "flight", "LH1")
    succeed(machine, "car", {"id": 7})
    return machine


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


UNDO_LEFT = replace(UNDO, undoes="left")


# ── exclusive work ────────────────────────────────────────────────────────────────────────────────────────────────────


HELD = replace(CAR, exclusive=True)


def turn_of(machine: Driven) -> Turn:
    return Turn(machine.chart, machine.snapshot, seed="turn")


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


# ── ends ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_machine_that_ends_keeps_what_it_has_done() -> None:
    machine = Driven(trip())
    machine.take("book")
    succeed(machine, "flight", "LH1")
    token = run(machine, "car").token

    machine.take("finish")
    assert machine.snapshot.status is Status.DONE
    assert [stopping.token for stopping in machine.snapshot.stopping] == [token]
    assert machine.snapshot.timers == ()
    succeed(machine, "car", 7, token=token)

    assert undoable(machine) == ["flight", "car"]
    assert machine.snapshot.status is Status.DONE


def test_a_machine_that_fails_goes_on_waiting_for_what_was_stopped() -> None:
    made = trip()
    stopped = Driven(made)
    stopped.take("book")
    stopped.take("cancel")
    failing = chart(
        TRIP,
        *(edge for edge in EDGES if "error" not in edge.events[0]),
        activities={"flight": [FLIGHT, Activity("other", "work", work)], "undoing": [UNDO]},
    )
    machine = Driven(failing)
    machine.take("book")

    fail(machine, "other")

    assert machine.snapshot.status is Status.FAILED
    assert [stopping.id for stopping in machine.snapshot.stopping] == ["flight"]
    assert [timer.activity for timer in machine.snapshot.timers] == [machine.snapshot.stopping[0].token]


def test_work_that_is_begun_again_by_hand_is_done_once() -> None:
    made = trip()
    machine = Driven(made)
    machine.take("book")
    first = run(machine, "flight").token

    machine.last = retry(made, machine.snapshot, "flight")
    second = run(machine, "flight").token
    succeed(machine, "flight", "late", token=first)
    assert [(done.token, done.result) for done in machine.snapshot.undo] == [(first, "late")]
    succeed(machine, "flight", "LH1", token=second)

    assert [(done.token, done.result) for done in machine.snapshot.undo] == [(second, "LH1")]
    assert undoable(machine) == ["flight"]


def test_a_machine_that_is_moved_keeps_what_it_has_done() -> None:
    made = trip()
    machine = with_flight_and_car(made)

    machine.last = move(made, machine.snapshot, ["planned"])

    assert undoable(machine) == ["flight", "car", "paying"]
    assert [stopping.id for stopping in machine.snapshot.stopping] == ["paying"]


def test_a_repeated_journey_is_undone_as_a_whole() -> None:
    machine = with_flight_and_car()
    succeed(machine, "paying")
    machine.take("book")
    succeed(machine, "flight", "LH2")

    fail(machine, "car")

    assert [done.entry for done in machine.snapshot.undo] == [2, 3, 4, 6]


# ── deleting ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_machine_that_is_to_be_deleted_stops_and_waits_for_what_it_has_stopped() -> None:
    made = trip()
    machine = with_flight_and_car(made)
    token = run(machine, "paying").token

    dissolved = dissolve(made, machine.snapshot)

    assert (dissolved.snapshot.status, dissolved.snapshot.failure) == (Status.FAILED, DELETING)
    assert dissolved.snapshot.activities == ()
    assert [stopping.token for stopping in dissolved.snapshot.stopping] == [token]
    assert done_by(dissolved.snapshot) == ("flight", "car", "paying")


def test_a_machine_that_has_failed_is_to_be_deleted_with_its_own_failure() -> None:
    made = trip()
    failure = Failure("Declined", "no money")
    failed = changed(Driven(made).snapshot, status=Status.FAILED, failure=failure)

    assert dissolve(made, failed).snapshot.failure == failure


def test_what_was_undone_is_taken_from_a_machine_one_by_one() -> None:
    machine = dissolve(trip(), with_flight_and_car().snapshot).snapshot

    after = without(machine, machine.undo[-1]).snapshot

    assert [done.id for done in after.undo] == ["flight", "car"]
    assert after.seq == machine.seq + 1


def test_a_machine_that_cannot_be_deleted_says_why_unless_it_had_ended() -> None:
    machine = dissolve(trip(), with_flight_and_car().snapshot).snapshot
    ended = changed(machine, status=Status.DONE, failure=None)
    failure = Failure("Down", "no answer.")

    left = stuck(machine, machine.undo[-1], failure).snapshot

    assert left.failure == Failure(
        "Down",
        "the machine was to be deleted, and activity 'paying' could not be undone: no answer.",
        source="paying",
    )
    assert stuck(ended, machine.undo[-1], failure).snapshot is ended


def test_it_is_known_what_deleting_a_machine_would_leave_behind() -> None:
    made = trip()
    machine = with_flight_and_car(made)
    assert (done_by(machine.snapshot), not_ended(made, machine.snapshot)) == (("flight", "car", "paying"), ("paying",))

    machine.take("finish")

    assert (done_by(machine.snapshot), not_ended(made, machine.snapshot)) == ((), ("paying",))


# ── storing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_machine_in_the_middle_of_it_goes_through_json() -> None:
    made = trip()
    machine = with_flight_and_car(made)
    fail(machine, "paying")
    machine.take("leave")
    overdue = tuple(changed(stopping, overdue=True) for stopping in machine.snapshot.stopping)
    again = machine.take("again").snapshot
    middle = changed(
        again, stopping=(*again.stopping, *overdue), activities=(changed(again.activities[0], undone=("x",)),)
    )

    record = snapshot_to_json(middle)

    assert record["undo"] == [
        {"token": "life.2.1", "id": "flight", "state": "flight", "entry": 2, "result": "LH1"},
        {"token": "life.3.1", "id": "car", "state": "car", "entry": 3, "result": {"id": 7}},
        {"token": "life.4.1", "id": "paying", "state": "paying", "entry": 4, "undoing": "life.5.3"},
    ]
    assert record["stopping"] == [
        {"token": "life.5.3", "id": "undoing", "state": "undoing", "entry": 5},
        {"token": "life.5.3", "id": "undoing", "state": "undoing", "entry": 5, "overdue": True},
    ]
    assert snapshot_from_json(made, record) == middle


@pytest.mark.parametrize("member", ["undo", "stopping"])
def test_a_record_that_is_something_else_is_not_read(member: str) -> None:
    made = trip()
    record = snapshot_to_json(Driven(made).snapshot)

    with pytest.raises(SnapshotUnreadable):
        snapshot_from_json(made, {**record, member: [{"token": 1}]})


def test_a_machine_without_sagas_is_stored_as_before() -> None:
    machine = Driven(trip())

    assert not {"undo", "stopping"} & snapshot_to_json(machine.snapshot).keys()


def test_a_chart_that_cannot_undo_what_was_done_does_not_take_the_machine_up() -> None:
    done = with_flight_and_car().snapshot
    machine = Driven(trip())
    machine.take("book")
    stopping = machine.take("cancel").snapshot
    without = chart(TRIP, *EDGES, activities={"car": [CAR], "paying": [PAY], "undoing": [UNDO]})

    assert incompatibility(trip(), done) is None
    assert incompatibility(trip(), stopping) is None
    assert incompatibility(without, done) == (
        "Activity 'flight' of state 'flight' is to be undone, which the chart no longer can."
    )
    assert incompatibility(without, stopping) == (
        "Activity 'flight' of state 'flight' is stopping, which the chart no longer has."
    )


def test_a_chart_without_undoing_is_exported_as_before() -> None:
    plain = chart("idle", activities={"idle": [Activity("look", "work", work)]}).to_json()
    undone = trip().to_json()

    assert "undo" not in str(plain)
    assert "'undo': {'name': 'refund'" in str(undone)
    assert "'undoes': 'booking'" in str(undone)


# ── versions ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def newer(old: Chart, change: Callable[[OldMachine], None] | None = None, **names: dict[str, str]) -> Chart:
    """The next version of a chart, to which machines are brought by what *change* does to them."""
    return hosted(replace(old, version="2"), migrations=(Migration("1", "2", change=change, **names),))


def moved(new: Chart, machine: Driven) -> Step:
    """What becomes of a machine under the next version of its chart, and goes on there."""
    taken = upgrade(new, machine.snapshot)
    assert taken.upgrade is not None
    machine.chart, machine.last = new, settle(taken.chart, taken.machine, taken.upgrade, seed="seed")
    return machine.last


def to_state(*leaves: str) -> Callable[[OldMachine], None]:
    def change(old: OldMachine) -> None:
        old.configuration = list(leaves)

    return change


def test_what_was_done_before_a_migration_is_undone_after_it_under_its_new_name() -> None:
    machine = with_flight_and_car()
    auto = booking("auto")
    activities = {"flight": [FLIGHT], "auto": [auto], "paying": [PAY], "undoing": [UNDO]}
    edges = [replace(one, source="auto") if one.source == "car" else one for one in EDGES]
    edges = [replace(one, targets=("auto",)) if one.targets == ("car",) else one for one in edges]
    edges[3] = edge("auto", "done.invoke.auto", "paying")
    renamed = chart(TRIP.replace("car", "auto"), *edges, activities=activities)

    moved(newer(renamed, states={"car": "auto"}), machine)
    begun = machine.take("cancel")

    assert undoable(machine) == ["flight", "auto", "paying"]
    assert machine.snapshot.stopping[0].id == "paying"
    assert started(begun) == []
    assert started(fail(machine, "paying", token=machine.snapshot.stopping[0].token)) == [("paying", None)]
    assert started(succeed(machine, "undoing")) == [("auto", {"id": 7})]


def test_a_migration_that_would_forget_what_was_done_is_refused() -> None:
    machine = with_flight_and_car()
    unable = trip(car=Activity("car", "book_car", work))

    with pytest.raises(MigrationError) as caught:
        moved(newer(unable), machine)

    assert caught.value.problem == "activity 'car' of state 'car' is to be undone, which the chart cannot do."


def test_a_migration_that_would_forget_what_is_stopping_is_refused() -> None:
    machine = Driven(trip())
    machine.take("book")
    machine.take("cancel")
    without_flight = chart(TRIP, *EDGES, activities={"car": [CAR], "paying": [PAY], "undoing": [UNDO]})

    with pytest.raises(MigrationError) as caught:
        moved(newer(without_flight), machine)

    assert caught.value.problem == "activity 'flight' of state 'flight' is stopping, which the chart does not have."


def test_work_that_a_migration_stops_is_undone_if_it_succeeds_all_the_same() -> None:
    machine = Driven(trip())
    machine.take("book")
    token = run(machine, "flight").token

    step = moved(newer(trip(), to_state("undoing")), machine)

    assert StopActivity(token) in step.effects
    assert [(one.token, one.id) for one in machine.snapshot.stopping] == [(token, "flight")]
    assert run(machine, "undoing").waiting
    assert {timer.activity for timer in machine.snapshot.timers} == {token, run(machine, "undoing").token}
    assert started(succeed(machine, "flight", "LH1", token=token)) == [("flight", "LH1")]


@pytest.mark.parametrize(
    ("car", "id"),
    [
        (booking("car", exclusive=True, deadline=None), "car"),
        (Activity("car", "book_car", work), "car"),
    ],
)
def test_work_that_a_migration_stops_is_not_waited_for_where_that_is_in_vain(car: Activity, id: str) -> None:
    machine = Driven(trip(car=car))
    machine.take("book")
    succeed(machine, "flight", "LH1")
    token = run(machine, id).token

    step = moved(newer(trip(car=car), to_state("undoing")), machine)

    assert StopActivity(token) in step.effects
    assert machine.snapshot.stopping == ()
    assert started(step) == [("flight", "LH1")]


def test_undoing_goes_on_through_a_migration() -> None:
    machine = with_flight_and_car()
    fail(machine, "paying")
    token = run(machine, "undoing").token

    moved(newer(trip()), machine)

    assert started(succeed(machine, "undoing", token=token)) == [("car", {"id": 7})]


def test_what_nobody_undoes_any_more_is_undone_anew() -> None:
    machine = with_flight_and_car()
    fail(machine, "paying")
    later = replace(UNDO, id="later")
    activities = {"flight": [FLIGHT], "car": [CAR], "paying": [PAY], "again": [later]}
    edges = [one for one in EDGES if one.source != "undoing"]

    step = moved(newer(chart(TRIP, *edges, activities=activities), to_state("again")), machine)

    assert started(step) == [("paying", None)]
