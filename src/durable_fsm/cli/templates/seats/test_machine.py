"""Tests of {{Name}}, in memory: without a server, on a clock that the test moves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from durable_fsm.errors import InvalidPayload
from durable_fsm.testing import Rehearsal

from machine import PATIENCE, {{Name}}

A_MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def held() -> Rehearsal:
    """One {{name}} with a place that is held."""
    machine = Rehearsal({{Name}}, key="one")
    machine.send("request", {"seats": 2})
    machine.finish("searching", "row 2")
    return machine


def test_a_held_place_can_be_confirmed(held: Rehearsal) -> None:
    held.send("confirm")

    assert held.configuration == ("confirmed",)
    assert held.data.place == "row 2"


def test_a_place_without_confirmation_expires(held: Rehearsal) -> None:
    held.advance(PATIENCE - A_MOMENT)
    assert held.configuration == ("held",)

    held.advance(A_MOMENT)
    assert held.configuration == ("expired",)


def test_a_request_for_no_seats_is_refused() -> None:
    with pytest.raises(InvalidPayload):
        Rehearsal({{Name}}).send("request", {"seats": 0})
