"""Machines that end, fail, are repaired or deleted, with work that can be undone."""

from __future__ import annotations

from durable_fsm.core.chart import Activity
from durable_fsm.core.deletion import (
    DELETING,
    after_failed_undo,
    after_undo,
    completed_work,
    stop_everything,
    unfinished_work,
)
from durable_fsm.core.events import Failure
from durable_fsm.core.repair import move, retry
from durable_fsm.core.snapshot import Status
from durable_fsm.core.values import changed
from tests.building import Driven, chart
from tests.core.trips import (
    EDGES,
    FLIGHT,
    TRIP,
    UNDO,
    fail,
    run,
    succeed,
    trip,
    undoable,
    with_flight_and_car,
    work,
)

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

    dissolved = stop_everything(made, machine.snapshot)

    assert (dissolved.snapshot.status, dissolved.snapshot.failure) == (Status.FAILED, DELETING)
    assert dissolved.snapshot.activities == ()
    assert [stopping.token for stopping in dissolved.snapshot.stopping] == [token]
    assert completed_work(dissolved.snapshot) == ("flight", "car", "paying")


def test_a_machine_that_has_failed_is_to_be_deleted_with_its_own_failure() -> None:
    made = trip()
    failure = Failure("Declined", "no money")
    failed = changed(Driven(made).snapshot, status=Status.FAILED, failure=failure)

    assert stop_everything(made, failed).snapshot.failure == failure


def test_what_was_undone_is_taken_from_a_machine_one_by_one() -> None:
    machine = stop_everything(trip(), with_flight_and_car().snapshot).snapshot

    after = after_undo(machine, machine.undo[-1]).snapshot

    assert [done.id for done in after.undo] == ["flight", "car"]
    assert after.seq == machine.seq + 1


def test_a_machine_that_cannot_be_deleted_says_why_unless_it_had_ended() -> None:
    machine = stop_everything(trip(), with_flight_and_car().snapshot).snapshot
    ended = changed(machine, status=Status.DONE, failure=None)
    failure = Failure("Down", "no answer.")

    left = after_failed_undo(machine, machine.undo[-1], failure).snapshot

    assert left.failure == Failure(
        "Down",
        "the machine was to be deleted, and activity 'paying' could not be undone: no answer.",
        source="paying",
    )
    assert after_failed_undo(ended, machine.undo[-1], failure).snapshot is ended


def test_it_is_known_what_deleting_a_machine_would_leave_behind() -> None:
    made = trip()
    machine = with_flight_and_car(made)
    assert (completed_work(machine.snapshot), unfinished_work(made, machine.snapshot)) == (
        ("flight", "car", "paying"),
        ("paying",),
    )

    machine.take("finish")

    assert (completed_work(machine.snapshot), unfinished_work(made, machine.snapshot)) == ((), ("paying",))
