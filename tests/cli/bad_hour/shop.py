"""The shop of the bad hour: its activity fails, because the bank has renamed a field of its answer."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Retry, activity, event


class OrderData(BaseModel):
    total_cents: int = 0
    receipt: str = ""


def ask_bank(total_cents: int) -> dict[str, str]:
    return {"receipt_number": f"r-{total_cents}"}


def charge_card(total_cents: int) -> str:
    answer = ask_bank(total_cents)
    return answer["receipt"]


class Order(StateChart[OrderData]):
    """An order, from cart to door."""

    cart = State(initial=True)
    charging = State(
        invoke=activity(charge_card, input="total_cents", retry=Retry(maximum=timedelta(milliseconds=500)))
    )
    paid = State(final=True)

    checkout = event(cart.to(charging), int)
    done_invoke_charging = charging.to(paid)

    def on_checkout(self, data: OrderData, payload: int) -> None:
        data.total_cents = payload

    def on_done_invoke_charging(self, data: OrderData, result: str) -> None:
        data.receipt = result
