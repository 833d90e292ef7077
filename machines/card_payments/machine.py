"""The chart of a card payment, and the decoder of the provider's webhook. Its outside work is in `activities`."""

from __future__ import annotations

import json
import os
from datetime import timedelta

from statemachine import State, StateChart

from durable_fsm import (
    Failure,
    Incoming,
    Request,
    Response,
    StripeSignature,
    Webhook,
    activity,
    after,
    defer,
    durable,
    event,
    undo_all,
)
from machines.card_payments.activities import ATTEMPT, Intent, PaymentData, cancel_payment, intent_of, request_payment

PATIENCE = timedelta(seconds=float(os.environ.get("PAYMENT_SECONDS", "259200")))
"""How long the provider may think about a payment: three days, or PAYMENT_SECONDS."""

SMALLEST = 50
"""The smallest amount that the provider takes, in cents."""

SETTLED = {"payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled"}
"""The provider's events that end a payment; the others are acknowledged and skipped."""


def posted(request: Request) -> Incoming | Response:
    """Turn the provider's event into one of the payment that the metadata name, once for each id of the provider."""
    event = json.loads(request.body)
    if event["type"] not in SETTLED:
        return Response({"received": True})
    intent = event["data"]["object"]
    return Incoming("settle", intent_of(intent), key=intent["metadata"]["payment"], id=event["id"])


@durable(
    name="CardPayment",
    version="1",
    workflow=True,
    handlers={"cancelPayment": "call_off"},
    ignores=["settle"],
    webhooks=[
        Webhook("stripe", decode=posted, signature=StripeSignature(secret="STRIPE_SECRET"), events=("settle",)),
    ],
)
class CardPayment(StateChart[PaymentData]):
    """A payment whose provider answers at once, or later by a webhook. Whichever comes first counts, once."""

    validating = State(initial=True)
    requesting = State(invoke=activity(request_payment, undo=cancel_payment, timeout=ATTEMPT, deadline=None))
    awaiting_webhook = State()
    cancelling = State(invoke=undo_all("requesting"))
    succeeded = State(final=True)
    declined = State(final=True)
    cancelled = State(final=True)
    timed_out = State(final=True)

    validating.to(declined, cond="is_too_small")
    validating.to(requesting)
    done_invoke_requesting = event(
        requesting.to(awaiting_webhook, cond="is_processing")
        | requesting.to(succeeded, cond="has_succeeded")
        | requesting.to(declined),
        Intent,
    )
    error_invoke_requesting = requesting.to(declined)
    settle = event(
        awaiting_webhook.to(succeeded, cond="has_succeeded") | awaiting_webhook.to(declined), Intent, public=False
    )
    call_off = awaiting_webhook.to(cancelling)
    lapse = after(PATIENCE, awaiting_webhook.to(cancelling))
    done_invoke_cancelling = cancelling.to(timed_out, cond="is_late") | cancelling.to(cancelled)
    error_invoke_cancelling = cancelling.to(awaiting_webhook)

    defer(requesting, "settle", "call_off")
    defer(cancelling, "settle")

    def is_too_small(self, data: PaymentData) -> bool:
        return data.cents < SMALLEST

    def is_processing(self, payload: Intent) -> bool:
        return payload.status == "processing"

    def has_succeeded(self, payload: Intent) -> bool:
        return payload.status == "succeeded"

    def is_late(self, data: PaymentData) -> bool:
        return data.late

    def on_done_invoke_requesting(self, data: PaymentData, result: Intent) -> None:
        data.intent, data.problem = result.id, result.problem

    def on_error_invoke_requesting(self, data: PaymentData, error: Failure) -> None:
        data.problem = error.message

    def on_settle(self, data: PaymentData, payload: Intent) -> None:
        data.problem = payload.problem

    def on_lapse(self, data: PaymentData) -> None:
        data.late = True

    def on_call_off(self, data: PaymentData) -> None:
        data.late = False

    def on_enter_succeeded(self, data: PaymentData) -> dict[str, str]:
        return {"intent": data.intent}

    def on_enter_declined(self, data: PaymentData) -> Failure:
        return Failure("Declined", data.problem or f"{data.cents} cents are less than {SMALLEST}", code=402)

    def on_enter_cancelled(self) -> Failure:
        return Failure("Cancelled", "the payment was called off", code=409)

    def on_enter_timed_out(self) -> Failure:
        return Failure("TimedOut", "the provider took too long, and the payment was cancelled", code=504)
