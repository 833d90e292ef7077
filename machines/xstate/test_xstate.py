"""The three machines, rehearsed: read from JSON and written by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durable_fsm.errors import Finished, Gone, NotStarted, VersionError
from durable_fsm.testing import Rehearsal
from machines.xstate import by_hand, machine
from machines.xstate.data import ANSWERING, KEPT, PATIENCE

A_MOMENT = timedelta(milliseconds=1)
TRANSFER = {"sender": "ada", "recipient": "bob", "cents": 300}


@pytest.fixture(params=[machine, by_hand], ids=["json", "by_hand"])
def written(request: pytest.FixtureRequest) -> Any:
    """The module with the definitions."""
    return request.param


@pytest.fixture
def auth(written: Any) -> Rehearsal:
    auth = Rehearsal(written.Auth)
    auth.create()
    auth.send("auth", {"user": "ada"})
    return auth


@pytest.fixture
def payment(written: Any) -> Rehearsal:
    payment = Rehearsal(written.Payment)
    payment.create(TRANSFER)
    return payment


def test_a_client_gets_its_token_a_moment_after_the_authority_has_it(auth: Rehearsal) -> None:
    auth.machines["authority"].finish("checking", "token-1")

    auth.advance(ANSWERING - A_MOMENT)
    assert auth.configuration == ("authorizing",)
    auth.advance(A_MOMENT)

    assert (auth.configuration, auth.data.token, auth.output) == (("authorized",), "token-1", "token-1")


def test_a_client_without_a_token_is_refused(auth: Rehearsal) -> None:
    auth.machines["authority"].fail("checking", "mallory is not known here")

    assert auth.configuration == ("refused",)
    assert auth.failure is not None
    assert auth.failure.code == 403


def test_a_payment_nobody_approves_is_given_to_the_staff(payment: Rehearsal) -> None:
    payment.advance(PATIENCE - A_MOMENT)
    assert payment.configuration == ("awaiting_approval",)
    payment.advance(A_MOMENT)

    assert payment.configuration == ("awaiting_manual_approval",)


def test_money_goes_from_one_account_to_the_other(written: Any) -> None:
    changes: list[object] = []
    move = dict.fromkeys(["debiting", "crediting"], changes.append)
    payment = Rehearsal(written.Payment, answers=move)
    payment.create(TRANSFER)

    payment.send("approve")

    assert payment.configuration == ("succeeded",)
    assert changes == [{"user": "ada", "cents": -300}, {"user": "bob", "cents": 300}]


def test_money_that_cannot_be_credited_is_returned(payment: Rehearsal) -> None:
    payment.send("approve")
    payment.finish("debiting")
    payment.fail("crediting", "bob has no account")
    payment.fail("refunding", "the bank is closed")
    assert payment.configuration == ("owing",)

    payment.send("refund_again")
    payment.finish("refunding")

    assert payment.configuration == ("cancelled",)


def test_a_payment_is_created_first_and_gone_in_the_end(written: Any) -> None:
    payment = Rehearsal(written.Payment)
    with pytest.raises(NotStarted):
        payment.send("approve")
    payment.create(TRANSFER)
    payment.send("reject")

    with pytest.raises(Finished):
        payment.send("approve")
    payment.advance(KEPT)

    with pytest.raises(Gone):
        payment.send("approve")


def test_a_counter_stays_on_its_version(written: Any) -> None:
    old, new = Rehearsal(written.CounterV1), Rehearsal(written.Counter)
    for counter in (old, new):
        counter.send("increment")

    kept = Rehearsal(written.Counter, snapshot=old.stored)
    kept.send("increment")

    assert (kept.data.count, kept.snapshot.version) == (2, "1")
    assert (new.data.total, new.snapshot.version) == (1, "2")
    with pytest.raises(VersionError, match="was written by chart version '1'"):
        Rehearsal(written.CounterV2, snapshot=old.stored)
