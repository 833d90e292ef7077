"""A machine that is paused keeps events for later, in order, if the host lets them in."""

from __future__ import annotations

from typing import Any

import pytest

from durable_fsm.core.chart import EventType
from durable_fsm.core.effects import Outcome
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.scope import Scope
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import MOST_DEFERRED, start
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import changed
from durable_fsm.errors import (
    EventRejected,
    Finished,
    Forbidden,
    InvalidPayload,
    TooManyDeferred,
    UnknownEvent,
)
from tests.building import Members, action, chart, edge


def note(scope: Scope) -> None:
    data: Any = scope.data
    added: Any = scope.event.payload
    data["log"].append(added["item"])


SHOP = chart(
    "open\nclosed\ngone final",
    edge("open", "add", actions=[action(note)]),
    edge("open", "close", "closed"),
    edge("closed", "leave", "gone"),
    edge("closed", "secret", "gone"),
    events=[EventType("add", Members(item=str)), EventType("secret", public=False)],
)


def paused(machine: Snapshot | None = None) -> Turn:
    turn = Turn(SHOP, machine or start(SHOP, life="life").snapshot, seed="s")
    turn.paused = True
    return turn


def kept(*names: str) -> Snapshot:
    """A machine that was sent these events while it was paused."""
    machine = start(SHOP, life="life").snapshot
    for name in names:
        turn = paused(machine)
        event = Event("close") if name == "close" else Event("add", {"item": name})
        assert turn.take(event) is Outcome.DEFERRED
        assert turn.next_call() is None
        machine = turn.machine
    return machine


def resumed(machine: Snapshot) -> Turn:
    """The turn of the operator who resumes it."""
    turn = Turn(SHOP, machine, seed="s")
    turn.change("repair", lambda at: start(SHOP)._replace(snapshot=changed(at, seq=at.seq + 1)))
    assert turn.next_call() is None
    return turn


def test_events_are_kept_although_a_transition_would_take_them() -> None:
    machine = kept("a", "b")

    assert [event.payload for event in machine.deferred] == [{"item": "a"}, {"item": "b"}]
    assert machine.data == {"log": []}


def test_they_are_taken_in_order_when_the_machine_is_resumed() -> None:
    turn = resumed(kept("a", "b", "c"))

    assert turn.machine.data == {"log": ["a", "b", "c"]}
    assert turn.machine.deferred == ()
    assert [(taken.event, taken.outcome) for taken in turn.log[1:]] == [("add", "taken")] * 3


def test_one_that_nothing_takes_by_then_is_dropped_and_its_sender_is_told() -> None:
    turn = resumed(kept("a", "close", "b"))

    assert turn.machine.configuration == ("closed",)
    *_, refused = turn.log
    assert (refused.event, refused.outcome, type(refused.error)) == ("add", "rejected", EventRejected)


def test_no_other_change_of_a_paused_machine_takes_them() -> None:
    turn = paused(kept("a"))

    turn.change("repair", lambda at: start(SHOP)._replace(snapshot=changed(at, seq=at.seq + 1)))

    assert turn.next_call() is None
    assert [event.event for event in turn.machine.deferred] == ["add"]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (Event("ad", None), UnknownEvent),
        (Event("secret"), Forbidden),
        (Event("add", {"item": 7}), InvalidPayload),
    ],
    ids=["unknown", "private", "with an invalid payload"],
)
def test_an_event_that_no_machine_takes_is_refused_at_once(event: Event, error: type[Exception]) -> None:
    turn = paused()

    with pytest.raises(error):
        turn.take(event)
    assert not turn.changed


def test_a_machine_that_has_ended_or_failed_keeps_nothing() -> None:
    machine = start(SHOP, life="life").snapshot

    with pytest.raises(Finished):
        paused(changed(machine, configuration=("gone",), status=Status.DONE)).take(Event("close"))
    with pytest.raises(EventRejected, match="The machine has failed: no"):
        paused(changed(machine, status=Status.FAILED, failure=Failure("No", "no"))).take(Event("close"))


def test_only_so_many_are_kept() -> None:
    machine = kept("a")
    full = changed(machine, deferred=machine.deferred * MOST_DEFERRED)

    with pytest.raises(TooManyDeferred):
        paused(full).take(Event("close"))


def test_an_event_of_another_machine_is_not_kept_so() -> None:
    turn = paused()

    assert turn.take(Event("close", origin=Origin.MACHINE)) is Outcome.TAKEN
