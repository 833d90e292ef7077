"""Sagas are stored, and go on under another version of the chart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.codec import snapshot_from_json, snapshot_to_json
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.effects import Step, StopActivity
from durable_fsm.core.migration import Migration, OldMachine
from durable_fsm.core.upgrade import settle, upgrade
from durable_fsm.core.values import changed
from durable_fsm.errors import MigrationError, SnapshotUnreadable
from tests.building import Driven, chart, edge, hosted
from tests.core.trips import (
    CAR,
    EDGES,
    FLIGHT,
    PAY,
    TRIP,
    UNDO,
    booking,
    fail,
    run,
    started,
    succeed,
    trip,
    undoable,
    with_flight_and_car,
    work,
)

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
        "Activity 'flight' of state 'flight' can be undone, and the chart no longer says how."
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

    assert caught.value.problem == "activity 'car' of state 'car' can be undone, and the chart does not say how."


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
