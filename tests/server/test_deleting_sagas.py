"""Deleting a machine with completed or running work: refuse, undo it first, or leave it behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import wait_until
from tests.server.trips import PATIENCE, STEPS, book, order_of

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def test_a_machine_with_completed_work_is_not_deleted(sagas: Host) -> None:
    trip = book(sagas)
    sagas.wait_in("Booking", trip, "booked")

    answer = sagas.post("Booking", trip, "delete")

    assert answer.status_code == 409
    assert answer.json()["metadata"]["type"] == "NotUndone"
    assert answer.json()["message"] == (
        f"Booking/{trip}: 'flight', 'car', 'paying' are done and not undone."
        ' Delete it with {"compensate": true} to undo that first, or with {"abandon": true} to keep it.'
    )
    assert sagas.snapshot("Booking", trip)["configuration"] == ["booked"]


def test_a_machine_with_running_work_is_not_deleted(sagas_awake: Host) -> None:
    trip = sagas_awake.key("trip")
    with sagas_awake.effects.hold(f"before:{trip}-flight") as gate:
        sagas_awake.server.send("Booking", trip, "book", {"effect": trip})
        gate.wait_reached()

        running = sagas_awake.post("Booking", trip, "delete")
        sagas_awake.receipt("Booking", trip, "keep")
        stopping = sagas_awake.post("Booking", trip, "delete")

    for answer in (running, stopping):
        assert answer.status_code == 409
        assert "'flight' has not ended, and may still succeed." in answer.json()["message"]


def test_delete_with_compensate_undoes_the_work_and_frees_the_key(sagas: Host) -> None:
    trip = book(sagas)
    sagas.wait_in("Booking", trip, "booked")

    receipt = sagas.receipt("Booking", trip, "delete", {"compensate": True})

    assert (receipt["outcome"], receipt["reply"]) == ("deleted", ["paying", "car", "flight"])
    assert order_of(sagas, trip) == [*STEPS, "payment-undo", "car-undo", "flight-undo"]
    assert sagas.stored("Booking", trip) == {}
    sagas.receipt("Booking", trip, "book", {"effect": trip})
    machine = sagas.wait_in("Booking", trip, "booked")
    assert [done["id"] for done in machine["undo"]] == ["flight", "car", "paying"]
    sagas.settled()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_delete_with_compensate_stops_and_undoes_running_work(sagas: Host, moment: str) -> None:
    trip = sagas.key("trip")
    with sagas.effects.hold(f"{moment}:{trip}-car") as gate:
        sagas.server.send("Booking", trip, "book", {"effect": trip})
        gate.wait_reached()

        sagas.server.send("Booking", trip, "delete", {"compensate": True})
        wait_until(lambda: sagas.snapshot("Booking", trip)["stopping"], what="the car to be stopping")
        gate.open()
        wait_until(lambda: not sagas.snapshot("Booking", trip), PATIENCE, "the machine to be gone")

    assert order_of(sagas, trip) == ["flight", "car", "car-undo", "flight-undo"]
    sagas.settled()
    assert sagas.stored("Booking", trip) == {}


def test_a_machine_that_cannot_be_undone_stays_and_can_be_abandoned(sagas: Host) -> None:
    trip = book(sagas)
    sagas.wait_in("Booking", trip, "booked")
    sagas.effects.fail_next(f"{trip}-car-undo", times=6)

    for undone in (["payment-undo"], ["payment-undo"]):
        answer = sagas.post("Booking", trip, "delete", {"compensate": True})
        assert answer.status_code == 409
        assert answer.json()["message"].startswith(
            f"Booking/{trip}: 'car' could not be undone: Effect '{trip}-car-undo' for "
        )
        assert order_of(sagas, trip) == [*STEPS, *undone]
    machine = sagas.snapshot("Booking", trip)
    assert (machine["status"], machine["failure"]["source"]) == ("failed", "car")
    assert [done["id"] for done in machine["undo"]] == ["flight", "car"]

    assert sagas.receipt("Booking", trip, "delete", {"abandon": True})["outcome"] == "deleted"
    assert order_of(sagas, trip) == [*STEPS, "payment-undo"]


def test_a_finished_machine_keeps_its_work_and_can_be_deleted_or_undone(sagas_awake: Host) -> None:
    kept, undone = book(sagas_awake), book(sagas_awake)
    for trip in (kept, undone):
        sagas_awake.wait_in("Booking", trip, "booked")
        sagas_awake.receipt("Booking", trip, "keep")
        machine = sagas_awake.snapshot("Booking", trip)
        assert (machine["status"], [done["id"] for done in machine["undo"]]) == ("done", ["flight", "car", "paying"])

    sagas_awake.receipt("Booking", kept, "delete")
    sagas_awake.receipt("Booking", undone, "delete", {"compensate": True})

    assert order_of(sagas_awake, kept) == [*STEPS]
    assert order_of(sagas_awake, undone) == [*STEPS, "payment-undo", "car-undo", "flight-undo"]


@pytest.mark.parametrize("body", [{"compensate": False}, {"abandon": True, "compensate": True}, [], "now"])
def test_delete_refuses_an_unclear_body(sagas_awake: Host, body: object) -> None:
    answer = sagas_awake.post("Booking", sagas_awake.key("trip"), "delete", body)

    assert answer.status_code == 400
    assert 'expected {}, {"compensate": true} or {"abandon": true}.' in answer.json()["message"]
