"""A payment and its account. The withdrawal is in `activities`."""

from __future__ import annotations

import os
from datetime import timedelta

from statemachine import State, StateChart

from durable_fsm import Effects, Failure, activity, after, durable, event, free
from machines.payments.activities import withdraw
from machines.payments.data import SAY, AccountData, Amount, Order, PaymentData

REMEMBERED = timedelta(seconds=float(os.environ.get("PAYMENT_REMEMBERED_SECONDS", "86400")))
"""How long a settled payment is kept: a day, or PAYMENT_REMEMBERED_SECONDS."""


@durable(name="accounts", version="1")
class Account(StateChart[AccountData]):
    """An account, which is never overdrawn."""

    open = State(initial=True)

    deposit = event(open.to.itself(internal=True), Amount)
    withdraw = event(
        open.to.itself(internal=True, cond="is_covered", on="take") | open.to.itself(internal=True, on="refuse"), Amount
    )

    def is_covered(self, data: AccountData, cents: int) -> bool:
        return data.balance >= cents

    def on_deposit(self, data: AccountData, cents: int) -> int:
        data.balance += cents
        return data.balance

    def take(self, data: AccountData, cents: int) -> bool:
        data.balance -= cents
        return True

    def refuse(self) -> bool:
        return False


@durable(
    name="payments",
    version="1",
    handlers={"makePayment": "make", "cancelPayment": "call_off"},
    after_end=free(timedelta(milliseconds=1)),
)
class Payment(StateChart[PaymentData]):
    """A payment, made at most once. Cancelling prevents it before it is made, and refunds it afterwards."""

    new = State(initial=True)
    charging = State(invoke=activity(withdraw, exclusive=True))

    class settled(State.Compound):
        completed = State(initial=True)
        cancelled = State()

    expired = State(final=True)

    make = event(
        new.to(charging)
        | settled.completed.to.itself(internal=True, on="say_already")
        | settled.cancelled.to.itself(internal=True, on="say_cancelled"),
        Order,
    )
    done_invoke_charging = charging.to(settled, cond="was_covered", on="say_paid") | charging.to(
        new, on="say_insufficient"
    )
    error_invoke_charging = charging.to(new, on="say_why")
    call_off = (
        new.to(settled.cancelled, on="say_cancelled")
        | settled.completed.to(settled.cancelled, on="pay_back")
        | settled.cancelled.to.itself(internal=True, on="say_cancelled")
    )
    forget = after(REMEMBERED, expired.from_(settled))

    def was_covered(self, result: object) -> bool:
        return result is True

    def on_exit_new(self, data: PaymentData, account: str = "", cents: int = 0) -> None:
        data.account, data.cents = account, cents

    def pay_back(self, data: PaymentData, effects: Effects) -> str:
        effects.send("deposit", {"cents": data.cents}, to=(Account, data.account))
        return SAY.cancelled

    def say_paid(self) -> str:
        return SAY.paid

    def say_already(self) -> str:
        return SAY.already

    def say_cancelled(self) -> str:
        return SAY.cancelled

    def say_insufficient(self) -> str:
        return SAY.insufficient

    def say_why(self, error: Failure) -> str:
        return error.message
