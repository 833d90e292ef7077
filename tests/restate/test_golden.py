"""Whole keys as a released build stored them: every later build reads them, and goes on from them.

Never change `golden.json`: a member that is new in a later build is optional. Add a record that has it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from durable_fsm.core.events import Event, Origin
from durable_fsm.core.snapshot import Status
from durable_fsm.core.turn import Turn
from durable_fsm.frontends import chart_from
from durable_fsm.restate.machine.storage import StoredMachine
from tests.restate.golden_chart import Passenger, Trip, TripData

RECORDS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "golden.json").read_text())
BY_NAME = ", stored by the names of fields"
CHART = chart_from(Trip)

UNDER_WAY = "under way: work, a child, a deferred event, a waiter, a parent"
WAITING = "waiting: a timer, work that can be undone"

every_record = pytest.mark.parametrize("name", RECORDS)


def stored(name: str) -> StoredMachine:
    return StoredMachine.decode(CHART, json.dumps(RECORDS[name]).encode())


def after(name: str, event: Event) -> Turn:
    """The turn that takes a delivery, to its end."""
    turn = Turn(CHART, stored(name).machine, seed="seed")
    assert turn.deliver(event) is not None, turn.trouble
    assert turn.next_call() is None
    return turn


@every_record
def test_a_key_is_read_and_written_as_it_was(name: str) -> None:
    assert json.loads(stored(name).encode()) == RECORDS[name]


@every_record
def test_its_history_is_read(name: str) -> None:
    events = [entry["event"] for entry in RECORDS[name]["log"]["tail"]]

    read = msgspec.json.decode(msgspec.json.encode(stored(name).history.tail))
    assert [entry["event"] for entry in read] == events
    assert events[:3] == ["create", "begin", "take_seat"]


@every_record
def test_its_data_is_read_by_the_names_under_which_it_was_stored(name: str) -> None:
    data = CHART.data.load(RECORDS[name]["data"])

    assert isinstance(data, TripData)
    assert (data.trip_number, data.all_passengers[0].full_name) == (7, "Ada")


@pytest.mark.parametrize("name", [UNDER_WAY, UNDER_WAY + BY_NAME])
def test_an_outcome_arrives_and_the_deferred_event_is_taken(name: str) -> None:
    token = RECORDS[name]["activities"][0]["token"]

    turn = after(name, Event("done.invoke.booking", {"bookingId": "b-1"}, Origin.PLATFORM, token=token))

    assert turn.machine.configuration == ("waiting",)
    assert turn.machine.data["allPassengers"][1] == {"fullName": "Grace", "seatNumber": 3}
    assert [undoable.id for undoable in turn.machine.undo] == ["booking"]


@pytest.mark.parametrize("name", [WAITING, WAITING + BY_NAME])
def test_a_timer_fires(name: str) -> None:
    (timer,) = RECORDS[name]["timers"]

    turn = after(name, Event("timer", origin=Origin.PLATFORM, token=timer["token"]))

    assert CHART.data.load(turn.machine.data) == TripData(
        tripNumber=7,
        allPassengers=[Passenger(fullName="Ada"), Passenger(fullName="Grace", seatNumber=3)],
        wasTold="soon",
    )


def test_an_undo_under_way_ends() -> None:
    token = RECORDS["undoing"]["activities"][0]["token"]

    turn = after("undoing", Event("done.invoke.undoing", None, Origin.PLATFORM, token=token))

    assert (turn.machine.status, turn.machine.configuration, turn.machine.undo) == (Status.DONE, ("over",), ())
