"""What an event with a token is: the snapshot lists every token that something may still come for."""

from __future__ import annotations

import pytest

from durable_fsm.core.chart import Activity, Child, Each, Policies, Spawn
from durable_fsm.core.deliveries import (
    ActivityEnded,
    AnyDelivery,
    ChildEnded,
    ChildMessage,
    DeadlineMissed,
    EndOfLife,
    LateChild,
    MessageDue,
    PartEnded,
    Stale,
    StoppedWorkEnded,
    StoppedWorkOverdue,
    TimerDue,
    UndoEnded,
    delivery_of,
    recorded_failure,
    recorded_name,
)
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import ChildMachine, PendingSend, Running, Snapshot, Status, Stopping
from durable_fsm.core.values import changed
from tests.building import chart, edge


def work() -> None: ...


EACH = Each("letters", lambda data: data)
LETTER = chart("writing", name="Letter")
MADE = chart(
    "open\nclosed final",
    edge("open", "late", "closed"),
    activities={"open": [Activity("charge", "work", work), Activity("refund", "work", work, undoes="")]},
    machines={"open": [Child("letter", lambda _: Spawn(LETTER)), Child("letters", lambda _: Spawn(LETTER), each=EACH)]},
)
LATE = PendingSend("timer", "late", 5, "open")
WAITING = PendingSend("message", "hello", 5, to="Parcel/p-1")
ORPHAN = PendingSend("orphan", "error.invoke.charge", 5, "open", activity="nobody")
DEADLINE = PendingSend("deadline", "error.invoke.charge", 5, "open", activity="charge")
SLOW = PendingSend("slow", "error.invoke.charge", 5, "open", activity="stopping")
CHARGE = Running("charge", "charge", "open", 1)
REFUND = Running("refund", "refund", "open", 1)
FAILED = Running("failed", "charge", "open", 1, failed=True)
WAITS = Running("waits", "refund", "open", 1, waiting=True)
STOPPING = Stopping("stopping", "charge", "open", 1)
OTHER = Stopping("other", "charge", "open", 1)
CHILD = ChildMachine("child", "letter", "Letter", "open", 0)
PART = ChildMachine("part", "letters.0", "Letter", "open", 1, 0)
MACHINE = Snapshot(
    "Order",
    "1",
    "d",
    ("open",),
    {},
    1,
    Status.RUNNING,
    timers=(LATE, WAITING, DEADLINE, SLOW, ORPHAN),
    activities=(CHARGE, REFUND, FAILED, WAITS),
    stopping=(OTHER, STOPPING),
    machines=(CHILD, PART),
)


def outcome(token: str, name: str = "done.invoke.charge") -> Event:
    return Event(name, origin=Origin.PLATFORM, token=token)


@pytest.mark.parametrize(
    ("event", "delivery"),
    [
        (outcome("timer"), TimerDue(LATE)),
        (outcome("message"), MessageDue(WAITING)),
        (outcome("deadline"), DeadlineMissed(CHARGE, DEADLINE)),
        (outcome("slow"), StoppedWorkOverdue(STOPPING, SLOW)),
        (outcome("stopping"), StoppedWorkEnded(STOPPING)),
        (outcome("charge"), ActivityEnded(CHARGE, outcome("charge"))),
        (outcome("charge", "done.invoke.pay"), ActivityEnded(CHARGE, outcome("charge"))),
        (outcome("refund", "error.invoke.charge"), UndoEnded(REFUND, outcome("refund", "error.invoke.refund"))),
        (outcome("failed"), Stale()),
        (outcome("waits"), Stale()),
        (outcome("orphan"), Stale()),
        (outcome("child"), ChildEnded(CHILD)),
        (Event("signed", origin=Origin.MACHINE, token="child"), ChildMessage(CHILD)),
        (outcome("part"), PartEnded(PART, 0, EACH)),
        (Event("signed", origin=Origin.MACHINE, token="part"), ChildMessage(PART)),
        (outcome("gone"), Stale()),
        (Event("signed", origin=Origin.MACHINE, token="gone", invokeid="letter"), Stale()),
    ],
)
def test_the_snapshot_says_what_a_delivery_is(event: Event, delivery: AnyDelivery) -> None:
    assert delivery_of(MADE, MACHINE, event) == delivery


def test_a_timer_of_a_machine_that_has_ended_is_the_end_of_its_life() -> None:
    end = PendingSend("end", "after_end", 5)

    assert delivery_of(MADE, changed(MACHINE, status=Status.DONE, timers=(end,)), outcome("end")) == EndOfLife(end)


def test_scxml_takes_something_of_a_child_whose_state_was_left() -> None:
    scxml = chart("open", policies=Policies(scxml=True))
    late = Event("signed", origin=Origin.MACHINE, token="gone", invokeid="letter")

    assert delivery_of(scxml, MACHINE, late) == LateChild()
    assert delivery_of(scxml, changed(MACHINE, status=Status.DONE, timers=()), late) == Stale()


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Event("pay"), "pay"),
        (outcome("timer", "timer"), "late"),
        (outcome("charge", "error.invoke.pay"), "error.invoke.charge"),
        (outcome("child"), "done.invoke.charge"),
    ],
)
def test_the_history_names_a_delivery_by_what_it_brings(event: Event, name: str) -> None:
    assert recorded_name(MACHINE, event) == name


KEYERROR = Failure("KeyError", "'total'", place="shop.py:24 in charge", attempts=4)
TOO_LATE = Failure("deadline", "activity 'charge' did not end within 0:00:00.005000.")
BECAUSE = Failure(
    "deadline", f"{TOO_LATE.message} Its last attempt failed: KeyError: 'total'", place=KEYERROR.place, attempts=4
)


@pytest.mark.parametrize(
    ("event", "failure"),
    [
        (Event("pay"), None),
        (outcome("charge"), None),
        (changed(outcome("charge"), payload=KEYERROR), KEYERROR),
        (outcome("deadline"), TOO_LATE),
        (changed(outcome("deadline"), payload=KEYERROR), BECAUSE),
        (outcome("orphan"), None),
        (outcome("timer"), None),
    ],
)
def test_the_history_keeps_the_failure_that_an_event_brings(event: Event, failure: Failure | None) -> None:
    assert recorded_failure(MACHINE, event) == failure
