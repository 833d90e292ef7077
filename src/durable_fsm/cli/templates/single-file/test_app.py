"""Tests of {{Name}}, in memory: without a server, on a clock that the test moves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from durable_fsm.errors import InvalidPayload
from durable_fsm.testing import Rehearsal

from app import PAUSE, {{Name}}

A_MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def alice() -> Rehearsal:
    """A greeting of Alice, who has been notified."""
    flow = Rehearsal({{Name}})
    flow.create({"name": "Alice"})
    flow.finish("notifying")
    return flow


def test_a_person_is_notified_and_reminded(alice: Rehearsal) -> None:
    alice.advance(PAUSE - A_MOMENT)
    assert alice.configuration == ("pausing",)

    alice.advance(A_MOMENT)
    alice.finish("reminding")
    assert alice.configuration == ("greeted",)
    assert alice.output == "You said hi to Alice!"


def test_a_message_that_is_refused_for_good_ends_the_greeting(alice: Rehearsal) -> None:
    alice.advance(PAUSE)
    alice.fail("reminding", "Alice has no telephone", code=404)

    assert alice.configuration == ("failed",)
    assert alice.failure is not None
    assert alice.failure.message == "Alice has no telephone"


def test_a_person_without_a_name_is_not_greeted() -> None:
    with pytest.raises(InvalidPayload):
        Rehearsal({{Name}}).create({"name": ""})
