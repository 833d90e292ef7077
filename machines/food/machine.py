"""An order, and the decoder of the restaurant's webhook. Its outside work is in `activities`."""

from __future__ import annotations

import os
from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import (
    Effects,
    Failure,
    HmacSha256,
    Incoming,
    Request,
    Webhook,
    activity,
    after,
    defer,
    durable,
    event,
    machine,
    undo_all,
)
from machines.food.activities import QUICKLY, charge, refund, request_preparation
from machines.food.data import OrderData, Status
from machines.food.delivery import Delivery, OrderStatus

KITCHEN = timedelta(seconds=float(os.environ.get("FOOD_KITCHEN_SECONDS", "300")))
"""How long the kitchen may take before we ask again: five minutes, or FOOD_KITCHEN_SECONDS."""


STATUSES: dict[str, Status] = {
    "created": "CREATED",
    "scheduled": "SCHEDULED",
    "in_preparation": "IN_PREPARATION",
    "scheduling_delivery": "SCHEDULING_DELIVERY",
    "waiting_for_driver": "WAITING_FOR_DRIVER",
    "in_delivery": "IN_DELIVERY",
    "delivered": "DELIVERED",
    "rejected": "REJECTED",
    "cancelled": "CANCELLED",
}
"""The status that the customer sees when an order enters a state."""


class Prepared(BaseModel):
    """The message of the restaurant that a meal is ready."""

    order: str
    ticket: str


def prepared(request: Request) -> Incoming:
    said = Prepared.model_validate_json(request.body)
    return Incoming("finish_preparation", key=said.order, id=said.ticket)


def about(data: OrderData) -> dict[str, str]:
    """The part of an order that its delivery knows."""
    return {"order": data.id}


@durable(
    name="order-workflow",
    version="1",
    workflow=True,
    redact=["card"],
    ignores=["finish_preparation"],
    webhooks=[
        Webhook(
            "restaurant",
            decode=prepared,
            signature=HmacSha256(header="x-signature", secret="RESTAURANT_SECRET"),
            events=("finish_preparation",),
        )
    ],
)
class Order(StateChart[OrderData]):
    """An order of food, from the cart to the door. Until the kitchen begins it can be cancelled, and is refunded."""

    class active(State.Compound):
        created = State(initial=True, enter="tell_customer")
        charging = State(invoke=activity(charge, retry=QUICKLY, undo=refund))
        scheduled = State(enter="tell_customer")
        requesting_preparation = State(invoke=activity(request_preparation, retry=QUICKLY))
        in_preparation = State(enter="tell_customer")

        class delivering(State.Compound, invoke=machine(Delivery, id="delivery", input=about)):
            scheduling_delivery = State(initial=True, enter="tell_customer")
            waiting_for_driver = State(enter="tell_customer")
            in_delivery = State(enter="tell_customer")

    delivered = State(final=True, enter="tell_customer")
    rejected = State(final=True, enter="tell_customer")
    cancelling = State(invoke=undo_all())
    unrefunded = State()
    cancelled = State(final=True, enter="tell_customer")

    defer(active.requesting_preparation, "finish_preparation")

    active.created.to(active.charging)
    done_invoke_charging = active.charging.to(active.scheduled)
    error_invoke_charging = active.charging.to(rejected, on="note_problem")
    wake_kitchen = after("delay", active.scheduled.to(active.requesting_preparation))
    done_invoke_requesting_preparation = active.requesting_preparation.to(active.in_preparation)
    error_invoke_requesting_preparation = active.requesting_preparation.to(cancelling, on="note_problem")
    ask_again = after(KITCHEN, active.in_preparation.to(active.requesting_preparation))
    finish_preparation = event(active.in_preparation.to(active.delivering), public=False)
    select_driver = event(active.delivering.scheduling_delivery.to(active.delivering.waiting_for_driver), public=False)
    reach_restaurant = event(active.delivering.waiting_for_driver.to(active.delivering.in_delivery), public=False)
    done_invoke_delivery = active.delivering.to(delivered)
    error_invoke_delivery = active.delivering.to(active.delivering)
    call_off = cancelling.from_(active.charging, active.scheduled) | unrefunded.to(cancelling)
    done_invoke_cancelling = cancelling.to(cancelled)
    error_invoke_cancelling = cancelling.to(unrefunded, on="note_problem")

    def delay(self, data: OrderData) -> timedelta:
        return timedelta(milliseconds=data.delay_ms)

    def note_problem(self, data: OrderData, error: Failure) -> None:
        data.problem = error.message

    def tell_customer(self, data: OrderData, target: State, effects: Effects) -> dict[str, Status]:
        status = STATUSES[target.id]
        effects.send("set_status", status, to=(OrderStatus, data.id))
        return {"status": status}
