"""R07, trip booking: everything is booked, or what was done is undone once, the latest first, despite kills."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal, wait_until
from machines.trip_booking.machine import Trip
from tests.acceptance.applications import PATIENCE, Stage, edges, hosted, rehearsed, staged

pytestmark = pytest.mark.server

BOOKED = ["/flights/reserve", "/cars/reserve", "/payments/charge", "/flights/confirm", "/cars/confirm"]
UNDONE = ["/payments/refund", "/cars/cancel", "/flights/cancel"]


stage_awake, stage_replaying, stage = hosted("stage", partial(staged, "trip_booking"))


def run(trip: str) -> str:
    return f"BookingWorkflow.workflow/{trip}/run"


def wanted(trip: str, card: str = "5555", place: str = "Oslo") -> dict[str, Any]:
    return {
        "flight": {"flight_id": "LH 1", "passenger_name": trip},
        "car": {"pickup_location": place, "rental_date": "2030-05-17"},
        "payment": {"card_number": card, "amount": 900},
    }


def done_for(stage: Stage, trip: str) -> list[str]:
    """The requests done outside for a trip, in order. Their idempotency keys contain its key."""
    return [one["path"] for one in stage.outside.ledger() if f"/{trip}/" in one["key"]]


def test_three_busy_answers_of_the_bank_undo_nothing_and_charge_once(stage: Stage) -> None:
    stage.outside.trouble("/payments/charge", times=3)

    answer = stage.post(run("busy"), wanted("busy"))

    assert answer.status_code == 200
    assert answer.json().keys() == {"flight", "car", "charge"}
    assert done_for(stage, "busy") == BOOKED


def test_a_declined_card_undoes_both_reservations_and_the_caller_is_told_why(stage: Stage) -> None:
    answer = stage.post(run("declined"), wanted("declined", card="4000"))

    assert (answer.status_code, answer.json()["message"]) == (402, "the card was declined")
    assert done_for(stage, "declined") == ["/flights/reserve", "/cars/reserve", *UNDONE]
    [refund] = [one for one in stage.outside.done("/payments/refund") if "/declined/" in one["key"]]
    assert "/declined/" in refund["body"]["charged_as"]


def test_without_a_car_only_the_flight_is_cancelled(stage: Stage) -> None:
    answer = stage.post(run("sunk"), wanted("sunk", place="Atlantis"))

    assert (answer.status_code, answer.json()["message"]) == (410, "there are no cars in Atlantis")
    assert done_for(stage, "sunk") == ["/flights/reserve", "/flights/cancel"]


def test_a_service_killed_while_it_undoes_finishes_undoing(stage_awake: Stage) -> None:
    stage_awake.outside.withhold("/payments/refund")
    with ThreadPoolExecutor() as caller:
        asked = caller.submit(stage_awake.post, run("killed"), wanted("killed", card="4000"))
        wait_until(
            lambda: "/payments/refund" in done_for(stage_awake, "killed"), PATIENCE, "the first of them to be undone"
        )
        stage_awake.restart()

        assert asked.result().status_code == 402
    assert done_for(stage_awake, "killed") == ["/flights/reserve", "/cars/reserve", *UNDONE]


def test_a_run_cancelled_while_it_pays_is_undone_and_answers_cancelled(stage: Stage) -> None:
    stage.outside.withhold("/payments/charge")
    with ThreadPoolExecutor() as caller:
        asked = caller.submit(stage.post, run("cancelled"), wanted("cancelled"))
        wait_until(lambda: "/payments/charge" in done_for(stage, "cancelled"), PATIENCE, "the charge")
        [invocation] = stage.server.query(
            "SELECT id FROM sys_invocation WHERE target_service_name = 'BookingWorkflow.workflow'"
            " AND target_service_key = 'cancelled' AND target_handler_name = 'run'"
        )
        stage.server.cancel(invocation["id"])
        answer = asked.result()

    assert (answer.status_code, answer.json()["message"]) == (409, "cancelled")
    wait_until(lambda: done_for(stage, "cancelled")[-1] == "/flights/cancel", PATIENCE, "all to be undone")
    assert done_for(stage, "cancelled") == ["/flights/reserve", "/cars/reserve", "/payments/charge", *UNDONE]


def test_a_trip_is_booked_once(stage: Stage) -> None:
    assert stage.post(run("once"), wanted("once")).status_code == 200

    assert stage.post(run("once"), wanted("once")).status_code == 409
    assert done_for(stage, "once") == BOOKED


def test_a_refused_confirmation_undoes_everything_and_refunds(stage: Stage) -> None:
    stage.outside.trouble("/cars/confirm", status=410, reason="the car has broken down")

    answer = stage.post(run("broken"), wanted("broken"))

    assert (answer.status_code, answer.json()["message"]) == (410, "the car has broken down")
    assert done_for(stage, "broken") == [*BOOKED[:-1], *UNDONE]


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Trip)) >= {
        ("reserving_flight", "done.invoke.reserving_flight", ("reserving_car",)),
        ("reserving_car", "done.invoke.reserving_car", ("paying",)),
        ("paying", "done.invoke.paying", ("confirming",)),
        ("booking", "done.invoke.confirming", ("booked",)),
        ("booking", "error.execution", ("compensating",)),
        ("booking", "call_off", ("compensating",)),
        ("compensating", "done.invoke.compensating", ("failed",)),
    }
    undos = {id: work.undo.name for id, work in chart_from(Trip).activities.items() if work.undo is not None}
    assert undos == {"reserving_flight": "cancel_flight", "reserving_car": "cancel_car", "paying": "refund"}


def test_the_server_does_what_the_rehearsal_does(stage: Stage) -> None:
    rehearsal = Rehearsal(Trip, key="told")
    rehearsal.create(wanted("told", card="4000"))
    rehearsal.finish("reserving_flight", "flight-1")
    rehearsal.finish("reserving_car", "car-1")
    rehearsal.fail("paying", "the card was declined", code=402)
    for _ in UNDONE:
        rehearsal.finish("compensating")

    stage.post(run("told"), wanted("told", card="4000"))

    recorded = [step for step in stage.recorded("BookingWorkflow", "told") if any(step)]
    assert recorded == [step for step in rehearsed(rehearsal) if any(step)]


def test_restate_has_completed_the_requests(stage: Stage) -> None:
    stage.post(run("asked"), wanted("asked"))
    stage.post(run("denied"), wanted("denied", card="4000"))

    rows = stage.server.query(
        "SELECT target_service_key AS trip, completion_result AS result FROM sys_invocation WHERE status = 'completed'"
        " AND target_service_name = 'BookingWorkflow.workflow' AND target_handler_name = 'run'"
    )
    results = {row["trip"]: row["result"] for row in rows}
    assert (results["asked"], results["denied"]) == ("success", "failure")


def test_the_card_number_appears_in_neither_history_nor_log(stage: Stage) -> None:
    stage.post(run("hidden"), wanted("hidden", card="4000-9876-1234"))

    history = stage.server.call("BookingWorkflow", "hidden", "history")
    assert "9876" not in str(history)
    assert "9876" not in stage.served.process.log_tail(10_000)


def test_the_commands_of_the_readme_do_what_it_says(stage: Stage) -> None:
    booked, refused, ledger = stage.run_readme({"t-1": "page-1", "t-2": "page-2", "localhost:9090": stage.outside.url})

    assert booked.keys() == {"flight", "car", "charge"}
    assert refused["message"] == "the card was declined"
    assert [one["path"] for one in ledger if "/page-2/" in one["key"]][-3:] == UNDONE
