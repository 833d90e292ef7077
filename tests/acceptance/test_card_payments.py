"""R15, card payments: a provider that answers at once or by a webhook, whose payment is made once despite kills.

The provider is a process of its own that speaks Stripe's HTTP. Stripe's own library checks that it does: it makes a
payment there, verifies the webhooks that it posts, and signs those that the tests post.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import stripe

from durable_fsm import Incoming
from durable_fsm.testing import Rehearsal, RestateServer, ServiceProcess, free_port, wait_until
from machines.card_payments.machine import PATIENCE as THREE_DAYS
from machines.card_payments.machine import CardPayment
from tests.acceptance.applications import PATIENCE, ROOT, Application, edges, hosted, rehearsed, serve
from tests.web import web

pytestmark = pytest.mark.server

CARD, DECLINED_CARD = "pm_card_visa", "pm_card_chargeDeclined"
BANK, POOR_BANK, SLOW_BANK = (f"pm_usBankAccount_{end}" for end in ("success", "insufficientFunds", "processing"))
SECRET = "whsec_of-the-test"
API_KEY = "sk_test_of-the-test"
_numbers = itertools.count(1)


@dataclass
class Shop(Application):
    """Payments on one server, their provider, and a pool of customers who wait for an answer."""

    provider: ServiceProcess
    customers: ThreadPoolExecutor

    # ── customers and operators ─────────────────────────────────────────────────────────────────────────────────────

    def pay(self, payment: str, method: str = CARD, cents: int = 500) -> httpx.Response:
        """Make a payment, and wait for its end."""
        body = {"method": method, "cents": cents}
        return web.post(f"{self.server.ingress_url}/CardPayment.workflow/{payment}/run", json=body)

    def begin(self, payment: str, method: str = BANK) -> Future[httpx.Response]:
        """Make a payment in the background."""
        return self.customers.submit(self.pay, payment, method)

    def awaited(self, payment: str, method: str = BANK) -> Future[httpx.Response]:
        """Make a payment in the background, of which the provider has said that it takes a while."""
        answer = self.begin(payment, method)
        self.wait_for(payment, "awaiting_webhook")
        return answer

    def wait_for(self, payment: str, state: str) -> None:
        """Wait until a payment has begun, and then until it is in this state."""
        wait_until(lambda: self.snapshot(payment), PATIENCE, f"{payment} to begin")
        self.server.call("CardPayment", payment, "wait_for", {"state": state})

    def snapshot(self, payment: str) -> dict[str, Any]:
        """The machine; empty as long as there is none."""
        answer = web.post(f"{self.server.ingress_url}/CardPayment/{payment}/snapshot", json=None)
        found: dict[str, Any] = answer.json()
        return found if answer.status_code == 200 else {}

    def leaves(self, payment: str) -> list[str]:
        found: list[str] = self.snapshot(payment).get("leaves", [])
        return found

    def taken(self, payment: str, event: str) -> int:
        entries = self.server.call("CardPayment", payment, "history")["entries"]
        return sum(entry["event"] == event and entry["outcome"] == "taken" for entry in entries)

    def invocations(self, service: str, payment: str, handler: str) -> list[dict[str, Any]]:
        return self.server.query(
            "SELECT id, status, completion_result FROM sys_invocation WHERE"
            f" target_service_name = '{service}' AND target_service_key = '{payment}'"
            f" AND target_handler_name = '{handler}'"
        )

    def rejected(self, payment: str) -> list[dict[str, Any]]:
        """The webhooks that a payment did not take."""
        letters = self.server.call("CardPayment.rejected", "webhook:stripe", "list")["rejected"]
        return [letter for letter in letters if letter["key"] == payment]

    # ── the provider ────────────────────────────────────────────────────────────────────────────────────────────────

    def ledger(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = web.get(f"{self.provider.url}/ledger").json()
        return found

    def intents(self, payment: str) -> list[dict[str, Any]]:
        return [intent for intent in self.ledger()["intents"] if intent["metadata"].get("payment") == payment]

    def intent(self, payment: str) -> dict[str, Any]:
        """The one intent of a payment; waits until there is one."""
        wait_until(lambda: self.intents(payment), PATIENCE, f"the provider to know {payment}")
        [intent] = self.intents(payment)
        return intent

    def requested(self, payment: str) -> list[str]:
        """What the provider was asked to do for a payment, without what it recognised as repeated."""
        id = self.intent(payment)["id"]
        about = (("create", f"/{payment}/"), ("cancel", f"{id}/cancel"), ("refund", f"'{id}'"))
        found: list[str] = []
        for request in self.ledger()["requests"]:
            text = f"{request['path']} {request['key']} {request['body']}"
            found += [what for what, sign in about if sign in text and (what != "create" or not found)]
        return found

    def told(self, payment: str, kind: str) -> dict[str, Any]:
        """The provider's event of this kind about a payment, once it was posted and answered."""
        intent = self.intent(payment)["id"]

        def answered() -> list[dict[str, Any]]:
            events = self.ledger()["events"]
            of_kind = [told for told in events if told["event"]["type"] == f"payment_intent.{kind}"]
            return [told for told in of_kind if told["event"]["data"]["object"]["id"] == intent and told["answers"]]

        return wait_until(answered, PATIENCE, f"the provider to tell {payment} that it is {kind}")[0]

    def settle_later(self, payment: str) -> None:
        """Settle a payment as soon as it awaits its webhook."""
        self.wait_for(payment, "awaiting_webhook")
        self.settle(payment)

    def order(self, what: str, **body: object) -> None:
        web.post(f"{self.provider.url}/{what}", json=body).raise_for_status()

    def settle(self, payment: str, **how: object) -> None:
        self.order("settle", intent=self.intent(payment)["id"], **how)

    def post(self, kind: str, intent: dict[str, Any], *, id: str = "", secret: str = SECRET) -> httpx.Response:
        """Post a webhook as the provider would, signed by Stripe's own library."""
        event = {"id": id or f"evt_test_{next(_numbers)}", "type": kind, "data": {"object": intent}}
        body = json.dumps(event)
        return web.post(
            f"{self.server.ingress_url}/CardPayment.webhooks/stripe",
            content=body,
            headers={
                "stripe-signature": stripe.WebhookSignature.generate_signature_header(body, secret),
                "content-type": "application/json",
            },
        )


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Shop]:
    port = free_port()
    webhook = f"{server.ingress_url}/CardPayment.webhooks/stripe"
    command = [sys.executable, "-m", "machines.card_payments.provider", "--port", str(port), "--webhook", webhook]
    env = {"STRIPE_SECRET": SECRET, "STRIPE_API_KEY": API_KEY, "STRIPE_URL": f"http://127.0.0.1:{port}"}
    with (
        ServiceProcess(command, port=port, log=place / "provider", cwd=ROOT, env=env, name="the provider") as provider,
        serve("card_payments", server, place, env) as served,
        ThreadPoolExecutor(8) as customers,
    ):
        yield Shop("card_payments", served, server, provider, customers)


shop_awake, shop_replaying, shop = hosted("shop", opened)


def said(answer: httpx.Response) -> tuple[int, str]:
    """The status of a failed payment, and why it failed."""
    return answer.status_code, answer.json()["message"]


# ── the provider ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_stripes_own_library_agrees_with_the_provider(shop_awake: Shop) -> None:
    with stripe_client(shop_awake) as client:
        order: Any = {
            "amount": 700,
            "currency": "usd",
            "payment_method": CARD,
            "confirm": True,
            "metadata": {"payment": "by-stripe"},
        }
        first, again = (client.v1.payment_intents.create(order, {"idempotency_key": "one"}) for _ in range(2))
        with pytest.raises(stripe.CardError, match="declined"):
            client.v1.payment_intents.create(
                {**order, "payment_method": DECLINED_CARD, "metadata": {"payment": "none"}}
            )
        with pytest.raises(stripe.InvalidRequestError, match="cannot cancel"):
            client.v1.payment_intents.cancel(first.id)
        read = client.v1.payment_intents.retrieve(first.id)

    assert (first.id, first.status) == (again.id, again.status) == (read.id, "succeeded")
    [sent] = shop_awake.told("by-stripe", "created")["answers"]
    event = stripe.Webhook.construct_event(sent["body"], sent["stripe-signature"], SECRET)
    assert (event.type, event.data.object["id"]) == ("payment_intent.created", first.id)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(sent["body"].replace(" ", ""), sent["stripe-signature"], SECRET)


@contextmanager
def stripe_client(shop: Shop) -> Iterator[stripe.StripeClient]:
    """A client of Stripe's library that talks to our provider."""
    with requests.Session() as session:
        session.trust_env = False
        http = stripe.RequestsClient(session=session)
        yield stripe.StripeClient(API_KEY, base_addresses={"api": shop.provider.url}, http_client=http)


# ── answers at once, and later ────────────────────────────────────────────────────────────────────────────────────────


def test_a_card_is_charged_at_once_and_the_webhook_that_comes_later_does_no_harm(shop: Shop) -> None:
    answer = shop.pay("visa")

    assert (answer.status_code, answer.json()) == (200, {"intent": shop.intent("visa")["id"]})
    assert shop.told("visa", "succeeded")["answers"][0]["status"] == 200
    wait_until(lambda: all_completed(shop.invocations("CardPayment", "visa", "_incoming")), PATIENCE, "the webhook")
    assert (shop.leaves("visa"), shop.taken("visa", "settle"), shop.rejected("visa")) == (["succeeded"], 0, [])
    assert shop.requested("visa") == ["create"]


def test_a_declined_card_is_an_error(shop: Shop) -> None:
    assert said(shop.pay("poor", DECLINED_CARD)) == (402, "Your card was declined.")
    assert shop.leaves("poor") == ["declined"]


def test_a_payment_that_the_provider_does_not_know_or_take_is_an_error(shop: Shop) -> None:
    assert said(shop.pay("unknown", "pm_card_none")) == (402, "No such PaymentMethod: 'pm_card_none'")
    assert said(shop.pay("small", cents=49)) == (402, "49 cents are less than 50")
    assert shop.intents("unknown") == shop.intents("small") == []
    missing = web.post(f"{shop.server.ingress_url}/CardPayment.workflow/missing/run", json={"cents": 500})
    assert missing.status_code == 422
    assert shop.server.state("CardPayment", "missing") == {}


def test_a_delayed_payment_blocks_its_caller_until_the_webhook_says_that_it_has_succeeded(shop: Shop) -> None:
    answer = shop.awaited("later")
    [run] = shop.invocations("CardPayment.workflow", "later", "run")
    assert run["status"] != "completed"
    assert not answer.done()

    shop.settle("later")

    assert answer.result(60).json() == {"intent": shop.intent("later")["id"]}
    assert shop.taken("later", "settle") == 1


def test_a_delayed_payment_that_is_declined_is_an_error(shop: Shop) -> None:
    answer = shop.awaited("empty", POOR_BANK)

    shop.settle("empty")

    assert said(answer.result(60)) == (402, "The customer's account has insufficient funds.")


# ── webhooks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_webhook_that_is_posted_twice_counts_once(shop: Shop) -> None:
    answer = shop.awaited("twice")
    shop.settle("twice")
    assert answer.result(60).status_code == 200
    told = shop.told("twice", "succeeded")

    shop.order("resend", event=told["event"]["id"])  # the same event
    again = shop.post("payment_intent.succeeded", shop.intent("twice"))  # and another one that says the same

    wait_until(lambda: len(shop.told("twice", "succeeded")["answers"]) == 2, PATIENCE, "the webhook to be posted again")
    assert {one["status"] for one in shop.told("twice", "succeeded")["answers"]} == {again.status_code} == {200}
    wait_until(lambda: all_completed(shop.invocations("CardPayment", "twice", "_incoming")), PATIENCE, "both")
    assert (shop.taken("twice", "settle"), shop.rejected("twice")) == (1, [])
    assert shop.requested("twice") == ["create"]


def test_a_webhook_with_a_bad_signature_is_refused_and_the_payment_still_waits(shop: Shop) -> None:
    answer = shop.awaited("forged")

    refused = shop.post("payment_intent.succeeded", shop.intent("forged"), secret="whsec_guessed")

    assert refused.status_code == 400
    assert shop.invocations("CardPayment", "forged", "_incoming") == []
    forged = {"id": "pi_x", "status": "succeeded"}
    for machine in ("CardPayment/forged", "CardPayment.workflow/forged"):
        url = f"{shop.server.ingress_url}/{machine}"
        assert web.post(f"{url}/settle", json=forged).status_code == 404
        assert web.post(f"{url}/send", json={"event": "settle", "payload": forged}).status_code == 403
    assert (shop.leaves("forged"), answer.done()) == (["awaiting_webhook"], False)
    shop.settle("forged")
    assert answer.result(60).status_code == 200


def test_an_event_of_another_kind_is_acknowledged(shop: Shop) -> None:
    other = shop.post("charge.updated", {"id": "ch_1"})

    assert (other.status_code, other.json()) == (200, {"received": True})


def test_a_webhook_about_a_payment_that_is_not_ours_is_refused(shop: Shop) -> None:
    foreign = {"id": "pi_x", "status": "succeeded", "metadata": {}}

    assert shop.post("payment_intent.succeeded", foreign).status_code == 422


@pytest.mark.parametrize("method", [CARD, BANK], ids=["at once", "later"])
def test_a_webhook_that_beats_the_answer_of_its_request_is_remembered(shop: Shop, method: str) -> None:
    payment = f"early-{method}"
    shop.order("withhold")
    answer = shop.begin(payment, method)
    if shop.intent(payment)["status"] == "processing":
        shop.settle(payment)

    wait_until(lambda: shop.snapshot(payment).get("deferred"), PATIENCE, "the webhook to be deferred")
    assert (shop.leaves(payment), answer.done()) == (["requesting"], False)
    shop.order("release")

    assert answer.result(60).json() == {"intent": shop.intent(payment)["id"]}
    assert (shop.leaves(payment), shop.rejected(payment)) == (["succeeded"], [])


# ── crashes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_payment_whose_service_is_killed_while_it_waits_succeeds_once(shop_awake: Shop) -> None:
    answer = shop_awake.awaited("killed")

    shop_awake.restart()
    shop_awake.settle("killed")

    assert answer.result(60).json() == {"intent": shop_awake.intent("killed")["id"]}
    assert (len(shop_awake.intents("killed")), shop_awake.requested("killed")) == (1, ["create"])


def test_a_request_whose_answer_is_lost_in_a_crash_is_repeated_and_charges_once(shop_awake: Shop) -> None:
    shop_awake.order("withhold")
    answer = shop_awake.begin("lost", CARD)
    assert shop_awake.intent("lost")["status"] == "succeeded"

    shop_awake.restart()

    assert answer.result(60).json() == {"intent": shop_awake.intent("lost")["id"]}
    assert (len(shop_awake.intents("lost")), shop_awake.requested("lost")) == (1, ["create"])
    shop_awake.order("release")


# ── cancelling, and being late ────────────────────────────────────────────────────────────────────────────────────────


def test_cancelling_the_invocation_of_a_payment_that_waits_cancels_it_at_the_provider(shop: Shop) -> None:
    answer = shop.awaited("stopped", SLOW_BANK)
    [run] = shop.invocations("CardPayment.workflow", "stopped", "run")

    shop.server.cancel(run["id"])

    assert said(answer.result(60)) == (409, "cancelled")
    wait_until(lambda: shop.intent("stopped")["status"] == "canceled", PATIENCE, "the provider to cancel it")
    assert shop.requested("stopped") == ["create", "cancel"]
    wait_until(lambda: not shop.server.state("CardPayment", "stopped"), PATIENCE, "nothing to be left of it")


def test_cancelling_a_payment_while_it_is_requested_cancels_it_when_the_provider_has_answered(shop: Shop) -> None:
    shop.order("withhold")
    answer = shop.begin("hasty", SLOW_BANK)
    shop.intent("hasty")
    [run] = shop.invocations("CardPayment.workflow", "hasty", "run")

    shop.server.cancel(run["id"])
    assert said(answer.result(60)) == (409, "cancelled")
    assert shop.requested("hasty") == ["create"]
    shop.order("release")

    wait_until(lambda: shop.intent("hasty")["status"] == "canceled", PATIENCE, "the provider to cancel it")
    wait_until(lambda: not shop.server.state("CardPayment", "hasty"), PATIENCE, "nothing to be left of it")
    assert shop.requested("hasty") == ["create", "cancel"]


def test_calling_a_payment_off_cancels_it_at_the_provider(shop: Shop) -> None:
    answer = shop.awaited("off", SLOW_BANK)

    shop.server.call("CardPayment", "off", "cancelPayment")

    assert said(answer.result(60)) == (409, "the payment was called off")
    assert (shop.intent("off")["status"], shop.requested("off")) == ("canceled", ["create", "cancel"])
    shop.told("off", "canceled")
    wait_until(lambda: all_completed(shop.invocations("CardPayment", "off", "_incoming")), PATIENCE, "the webhook")
    assert (shop.leaves("off"), shop.rejected("off")) == (["cancelled"], [])


def test_a_payment_that_has_succeeded_before_it_is_called_off_is_refunded(shop: Shop) -> None:
    answer = shop.awaited("refunded")
    shop.settle("refunded", silently=True)

    shop.server.call("CardPayment", "refunded", "cancelPayment")

    assert said(answer.result(60)) == (409, "the payment was called off")
    assert shop.requested("refunded") == ["create", "cancel", "refund"]


def test_a_payment_that_takes_too_long_is_cancelled_at_the_provider(shop: Shop) -> None:
    answer = shop.awaited("slow", SLOW_BANK)
    [due] = shop.server.query(
        "SELECT scheduled_at, scheduled_start_at FROM sys_invocation WHERE status = 'scheduled'"  # one needs the other
        " AND target_service_name = 'CardPayment' AND target_service_key = 'slow'"
    )
    when = datetime.fromisoformat(due["scheduled_start_at"])
    assert abs(when - datetime.now(UTC) - THREE_DAYS) < timedelta(minutes=5)

    shop.server.call("CardPayment", "slow", "repair", {"timer": "lapse", "reason": "three days in a moment"})

    assert said(answer.result(60)) == (504, "the provider took too long, and the payment was cancelled")
    assert (shop.leaves("slow"), shop.requested("slow")) == (["timed_out"], ["create", "cancel"])


# ── as for every application ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(CardPayment)) >= {
        ("requesting", "done.invoke.requesting", ("succeeded",)),
        ("requesting", "done.invoke.requesting", ("awaiting_webhook",)),
        ("requesting", "done.invoke.requesting", ("declined",)),
        ("requesting", "error.invoke.requesting", ("declined",)),
        ("awaiting_webhook", "settle", ("succeeded",)),
        ("awaiting_webhook", "settle", ("declined",)),
        ("awaiting_webhook", "call_off", ("cancelling",)),
        ("awaiting_webhook", "lapse", ("cancelling",)),
        ("cancelling", "done.invoke.cancelling", ("cancelled",)),
        ("cancelling", "done.invoke.cancelling", ("timed_out",)),
    }


def test_the_server_does_what_the_rehearsal_does(shop: Shop) -> None:
    rehearsal = Rehearsal(CardPayment, key="told")
    rehearsal.create({"method": BANK, "cents": 500})
    rehearsal.finish("requesting", {"id": "pi_1", "status": "processing"})
    rehearsal.receive(Incoming("settle", {"id": "pi_1", "status": "succeeded"}))

    answer = shop.awaited("told")
    shop.settle("told")
    answer.result(60)

    recorded = [step for step in shop.recorded("CardPayment", "told") if any(step)]
    assert recorded == [step for step in rehearsed(rehearsal) if any(step)]


def test_restate_has_completed_the_requests(shop: Shop) -> None:
    shop.pay("asked")
    shop.pay("denied", DECLINED_CARD)

    results = {
        payment: [row["completion_result"] for row in shop.invocations("CardPayment.workflow", payment, "run")]
        for payment in ("asked", "denied")
    }
    assert results == {"asked": ["success"], "denied": ["failure"]}


def test_the_commands_of_the_readme_do_what_it_says(shop: Shop) -> None:
    shop.customers.submit(shop.settle_later, "page-2")
    others = {f"/p-{n}/": f"/page-{n}/" for n in range(1, 5)}
    answers = shop.run_readme({**others, "localhost:9090": shop.provider.url})

    for payment in ("page-1", "page-2"):
        assert next(answers) == {"intent": shop.intent(payment)["id"]}
    assert next(answers)["message"] == "Your card was declined."
    assert next(answers)["status"] == "Accepted"
    wait_until(lambda: shop.leaves("page-4"), PATIENCE, "the fourth payment to begin")
    cancelled, attached, ledger = answers
    assert (cancelled["event"], attached["message"]) == ("call_off", "the payment was called off")
    assert ledger.keys() == {"requests", "intents", "events"}


def all_completed(invocations: list[dict[str, Any]]) -> bool:
    return bool(invocations) and all(one["status"] == "completed" for one in invocations)
