"""The invoice's chart, and the decoder of the provider's webhook. The mail is in `activities`."""

from __future__ import annotations

import os
from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Incoming, Request, StripeSignature, Webhook, activity, after, durable, event, ignore
from machines.reminders.activities import TrackerData, escalate, send_reminder

INTERVAL = timedelta(seconds=float(os.environ.get("REMINDER_SECONDS", "86400")))
"""The time between two reminders: a day, or REMINDER_SECONDS."""

REMINDERS = 3

EVENTS = {"invoice.payment_failed": "fail_payment", "invoice.payment_succeeded": "succeed"}
"""The provider's names of our events; the decoder skips its other events."""


class Posted(BaseModel):
    """The part of the provider's event that we read."""

    class Data(BaseModel):
        class Invoice(BaseModel):
            id: str
            customer: str

        object: Invoice

    id: str
    type: str
    data: Data


class Customer(BaseModel):
    customer: str


def posted(request: Request) -> Incoming | None:
    """Turn the provider's event into one of the machine of its invoice, once for each id of the provider."""
    said = Posted.model_validate_json(request.body)
    if said.type not in EVENTS:
        return None
    invoice = said.data.object
    return Incoming(EVENTS[said.type], {"customer": invoice.customer}, key=invoice.id, id=said.id)


@durable(
    name="PaymentTracker",
    version="1",
    handlers={"onPaymentFailed": "fail_payment", "onPaymentSuccess": "succeed"},
    webhooks=[Webhook("onStripeEvent", decode=posted, signature=StripeSignature(secret="STRIPE_SECRET"))],
)
class PaymentTracker(StateChart[TrackerData]):
    """An invoice whose payment may fail. The customer gets three reminders, a day apart; then a person takes over."""

    open = State(initial=True)

    class overdue(State.Compound):
        reminding = State(initial=True, invoke=activity(send_reminder))
        waiting = State()
        escalating = State(invoke=activity(escalate))

        done_invoke_reminding = reminding.to(waiting)
        error_invoke_reminding = reminding.to(waiting)
        lapse = after(INTERVAL, waiting.to(reminding, cond="may_remind") | waiting.to(escalating))

    escalated = State()
    paid = State()

    fail_payment = event(open.to(overdue), Customer)
    succeed = event(
        paid.from_(open) | paid.from_(overdue) | paid.from_(escalated) | paid.to.itself(internal=True), Customer
    )
    done_invoke_escalating = overdue.escalating.to(escalated)
    error_invoke_escalating = overdue.escalating.to(escalated)

    ignore(overdue, "fail_payment")
    ignore(escalated, "fail_payment")
    ignore(paid, "fail_payment")

    def may_remind(self, data: TrackerData) -> bool:
        return data.reminders < REMINDERS

    def on_fail_payment(self, data: TrackerData, customer: str) -> None:
        data.customer = customer

    def on_enter_reminding(self, data: TrackerData) -> None:
        data.reminders += 1
