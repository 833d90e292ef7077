"""The story of a payment, rehearsed beside its account."""

from __future__ import annotations

import pytest

from durable_fsm.errors import InvalidPayload
from durable_fsm.testing import Rehearsal
from machines.payments.data import SAY, PaymentData
from machines.payments.machine import REMEMBERED, Account, Payment

ORDER = {"account": "ada", "cents": 100}


@pytest.fixture
def account() -> Rehearsal:
    """An account with a thousand cents."""
    account = Rehearsal(Account, key="ada")
    account.send("deposit", {"cents": 1000})
    return account


@pytest.fixture
def payment(account: Rehearsal) -> Rehearsal:
    def pay(data: PaymentData) -> object:
        return account.send("withdraw", {"cents": data.cents}).reply

    return Rehearsal(Payment, key="p-1", answers={"charging": pay}, beside=account)


def test_a_payment_is_made_once_and_refunded_once(account: Rehearsal, payment: Rehearsal) -> None:
    made = [payment.send("make", ORDER).reply for _ in range(2)]
    assert (made, account.data.balance) == ([SAY.paid, SAY.already], 900)

    called_off = [payment.send("call_off").reply for _ in range(3)]
    assert (called_off, account.data.balance) == ([SAY.cancelled] * 3, 1000)
    assert payment.send("make", ORDER).reply == SAY.cancelled


def test_a_payment_cancelled_before_it_is_made_is_prevented(account: Rehearsal, payment: Rehearsal) -> None:
    payment.send("call_off")

    assert (payment.send("make", ORDER).reply, account.data.balance) == (SAY.cancelled, 1000)


def test_a_payment_that_is_not_covered_may_be_tried_again(account: Rehearsal, payment: Rehearsal) -> None:
    assert payment.send("make", {"account": "ada", "cents": 5000}).reply == SAY.insufficient
    assert payment.configuration == ("new",)

    account.send("deposit", {"cents": 5000})

    assert (payment.send("make", {"account": "ada", "cents": 5000}).reply, account.data.balance) == (SAY.paid, 1000)


def test_a_settled_payment_is_deleted_after_a_day(payment: Rehearsal) -> None:
    payment.send("make", ORDER)
    payment.advance(REMEMBERED / 2)
    payment.send("call_off")

    payment.advance(REMEMBERED / 2)

    assert payment.configuration == ("expired",)


def test_a_negative_amount_is_refused(account: Rehearsal) -> None:
    with pytest.raises(InvalidPayload):
        account.send("deposit", {"cents": -1})
