"""Signing up, rehearsed."""

from __future__ import annotations

import pytest

from durable_fsm.errors import Finished
from durable_fsm.testing import Rehearsal
from machines.signup.machine import PATIENCE, Signup


@pytest.fixture
def signup() -> Rehearsal:
    signup = Rehearsal(Signup, key="ada")
    signup.create({"name": "Ada", "email": "ada@example.org"})
    signup.finish("creating_user")
    return signup


def test_the_right_link_verifies_the_user(signup: Rehearsal) -> None:
    signup.finish("sending_email")
    signup.send("click", {"secret": signup.data.secret})

    assert (signup.configuration, signup.output) == (("verified",), True)
    with pytest.raises(Finished):
        signup.send("click", {"secret": signup.data.secret})


def test_a_wrong_link_rejects_the_user(signup: Rehearsal) -> None:
    signup.finish("sending_email")
    signup.send("click", {"secret": "guessed"})

    assert (signup.configuration, signup.output) == (("rejected",), False)


def test_a_click_that_arrives_before_the_mail_is_recorded_as_sent_is_deferred(signup: Rehearsal) -> None:
    assert signup.send("click", {"secret": signup.data.secret}).outcome == "deferred"
    signup.finish("sending_email")

    assert signup.configuration == ("verified",)


def test_a_link_is_valid_for_a_day(signup: Rehearsal) -> None:
    signup.finish("sending_email")
    signup.advance(PATIENCE)

    assert signup.configuration == ("expired",)


def test_a_sign_up_can_be_cancelled(signup: Rehearsal) -> None:
    signup.send("abort")

    assert signup.configuration == ("aborted",)
