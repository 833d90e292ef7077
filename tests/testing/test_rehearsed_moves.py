"""Moves that a test makes on purpose: timers out of order, lost work, late outcomes, and ends of children."""

from __future__ import annotations

from datetime import timedelta

import pytest
from statemachine import State, StateChart

from durable_fsm import Effects, after
from durable_fsm.testing import Rehearsal
from tests.testing.rehearsed import MINUTE, Gate, charging


class Race(StateChart):
    waiting = State(initial=True)
    early = State(final=True)
    late = State(final=True)
    soon = after(MINUTE, waiting.to(early))
    later = after(2 * MINUTE, waiting.to(late))


class Clerk(StateChart):
    busy = State(initial=True)
    idle = State(final=True)
    finish = busy.to(idle)


class Office(StateChart):
    open = State(initial=True, invoke=Clerk)
    closed = State(final=True)
    burnt = State(final=True)
    done_invoke_open = open.to(closed)
    error_invoke_open = open.to(burnt)


def test_a_timer_rings_before_others_that_were_due_and_moves_the_clock() -> None:
    race = Rehearsal(Race)
    race.create()

    race.ring("later")

    assert (race.configuration, race.now) == (("late",), 2 * MINUTE)


def test_the_deadline_of_an_activity_rings_under_the_name_of_its_failure() -> None:
    order = charging()

    order.ring("error.invoke.charging")

    assert order.data.trouble == "deadline/None: activity 'charging' did not end within 1 day, 0:00:00."
    assert order.now == timedelta(days=1)


@pytest.mark.parametrize("place", [1, -1])
def test_a_timer_that_is_not_armed_does_not_ring(place: int) -> None:
    race = Rehearsal(Race, key="r-1")
    race.create()

    with pytest.raises(LookupError, match="Race/r-1: timer 'soon' is not armed; armed: soon, later"):
        race.ring("soon", place)


def test_exclusive_work_that_is_lost_fails_and_lets_the_machine_go() -> None:
    gate = Rehearsal(Gate)
    gate.send("ask", 1)

    gate.lose("asking")

    assert gate.configuration == ("shut",)
    gate.send("ask", 1)
    gate.finish("asking", "yes")
    assert gate.configuration == ("open",)


def test_work_that_does_not_hold_the_machine_is_not_lost() -> None:
    order, gate = charging(), Rehearsal(Gate)
    gate.send("ask", 1)

    with pytest.raises(LookupError, match="Order/o-1: activity 'charging' does not hold the machine; none does"):
        order.lose("charging")
    with pytest.raises(LookupError, match="activity 'charging' does not hold the machine; 'asking' does"):
        gate.lose("charging")


def test_the_late_outcome_of_stopped_work_is_told_from_that_of_its_next_run() -> None:
    order = charging()
    order.send("rest")
    order.send("pay", 700)

    order.finish("charging", "receipt-1", late=True)
    assert (order.undo, order.configuration) == (("charging",), ("charging",))
    order.fail("charging", "declined")

    assert (order.undo, order.configuration) == (("charging",), ("cart",))


def test_work_that_was_not_stopped_has_no_late_outcome() -> None:
    with pytest.raises(LookupError, match="activity 'charging' is not running"):
        charging().finish("charging", "receipt-1", late=True)


def test_a_child_ends_or_fails_wherever_it_is() -> None:
    done, failed = Rehearsal(Office), Rehearsal(Office)
    done.create()
    failed.create()

    done.finish("open")
    failed.fail("open", "it burns")

    assert (done.configuration, failed.configuration) == (("closed",), ("burnt",))
    assert dict(done.machines) == {}


class Payer(StateChart):
    new = State(initial=True)
    sent = State()
    refused = State(final=True)
    pay = new.to(sent)
    error_communication = sent.to(refused)

    def on_pay(self, effects: Effects) -> None:
        effects.send("deposit", {"cents": 1}, to=("Account", "a-1"))
        effects.send("thank", to=("Account", "a-1"))


def test_a_message_to_a_machine_that_is_not_rehearsed_comes_back() -> None:
    payer = Rehearsal(Payer, key="p-1")
    payer.send("pay")

    payer.bounce("deposit")

    assert payer.configuration == ("refused",)
    assert [post.event for post in payer.posted] == ["thank"]


def test_a_message_that_was_not_sent_does_not_come_back() -> None:
    payer, order = Rehearsal(Payer, key="p-1"), charging()
    payer.send("pay")

    with pytest.raises(LookupError, match="Payer/p-1: no message 'withdraw' was sent; sent: deposit, thank"):
        payer.bounce("withdraw")
    with pytest.raises(LookupError, match="Order/o-1: no message 'deposit' was sent; sent: none"):
        order.bounce("deposit")
