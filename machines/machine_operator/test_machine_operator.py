"""The operator's story, rehearsed."""

from __future__ import annotations

import pytest

from durable_fsm.testing import Rehearsal
from machines.machine_operator.machine import MachineOperator


@pytest.fixture
def machine() -> Rehearsal:
    """A machine that is down, and whose work takes no time."""
    return Rehearsal(MachineOperator, answers={"bringing_up": lambda _: None, "tearing_down": lambda _: None})


def test_a_request_is_answered_when_its_work_is_done(machine: Rehearsal) -> None:
    answers = [machine.send(event).reply for event in ("set_up", "set_up", "tear_down", "tear_down")]

    assert answers == ["now up", "already up", "now down", "not up, cannot be torn down"]


def test_a_machine_that_does_not_come_up_stays_down() -> None:
    machine = Rehearsal(MachineOperator)
    machine.send("set_up")

    receipt = machine.fail("bringing_up", "it is broken")

    assert (receipt.configuration, receipt.reply) == (("down",), "still down: it is broken")


def test_a_machine_that_does_not_go_down_stays_up() -> None:
    machine = Rehearsal(MachineOperator, answers={"bringing_up": lambda _: None})
    machine.send("set_up")
    machine.send("tear_down")

    receipt = machine.fail("tearing_down", "it is stuck")

    assert (receipt.configuration, receipt.reply) == (("up",), "still up: it is stuck")
