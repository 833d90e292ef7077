"""A payment provider for this example: a part of Stripe's API, over real HTTP and with signed webhooks.

    POST /v1/payment_intents               create and confirm, as a form; done once for each Idempotency-Key
    GET  /v1/payment_intents/<id>          read
    POST /v1/payment_intents/<id>/cancel   cancel, unless it is settled
    POST /v1/refunds                       give the money of `payment_intent` back

Payment methods are those of Stripe's test mode: `pm_card_visa` and `pm_card_chargeDeclined` are answered at once,
`pm_usBankAccount_success` and `pm_usBankAccount_insufficientFunds` after a while, by a webhook, and
`pm_usBankAccount_processing` never. Beside Stripe's API, for tests:

    POST /settle     {"intent"}    decide a payment that is processing; with "silently", no webhook tells of it
    POST /resend     {"event"}     post a webhook again
    POST /withhold   do what the next request to /v1 asks, and keep the answer back until /release
    GET  /ledger     the payments, the requests and the webhooks with their answers
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import itertools
import json
import os
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import httpx

from machines.json_answer import send_json

Object: TypeAlias = dict[str, Any]  # Any: JSON
Answer: TypeAlias = tuple[int, Object]

DECLINED = {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}
NO_FUNDS = {"code": "payment_method_provider_decline", "message": "The customer's account has insufficient funds."}

METHODS: dict[str, tuple[str, Object | None]] = {
    "pm_card_visa": ("succeeded", None),
    "pm_card_chargeDeclined": ("requires_payment_method", DECLINED),
    "pm_usBankAccount_success": ("processing", None),
    "pm_usBankAccount_insufficientFunds": ("processing", NO_FUNDS),
    "pm_usBankAccount_processing": ("processing", None),
}
"""The first status of a payment by each method, and what is wrong with it in the end."""

TELLS = {"requires_payment_method": "payment_failed", "canceled": "canceled"}
"""Names of events that differ from the status that they tell."""

POSTS = 10
"""How often a webhook is posted until it is answered with 200."""


class Provider:
    """The payments, and the webhooks that tell of them. Hold `lock` to call a method, except `deliver`."""

    def __init__(self, webhook: str, secret: str, settles_after: float | None) -> None:
        self.lock = threading.Lock()
        self.intents: dict[str, Object] = {}
        self.requests: list[Object] = []
        self.events: dict[str, Object] = {}
        self.webhook, self.secret, self.settles_after = webhook, secret, settles_after
        self.answers: dict[str, tuple[str, Answer]] = {}
        self.withholds = False
        self.released = threading.Event()
        self._outbox: queue.Queue[str] = queue.Queue()
        self._numbers = itertools.count(1)

    def take(self, path: str, body: str, key: str) -> Answer:
        """Do what a request asks; answer a repeated one as the first time."""
        asked = f"{path}?{body}"
        if key in self.answers:
            before, answer = self.answers[key]
            if before != asked:
                return _refused("Keys for idempotent requests can only be used with the same parameters.")
            return answer
        answer = self._act(path, dict(parse_qsl(body)))
        self.requests.append({"path": path, "body": dict(parse_qsl(body)), "key": key, "status": answer[0]})
        if key:
            self.answers[key] = (asked, answer)
        return answer

    def _act(self, path: str, form: dict[str, str]) -> Answer:
        match path.removeprefix("/v1/").split("/"):
            case ["payment_intents"]:
                return self._create(form)
            case ["payment_intents", id, "cancel"] if id in self.intents:
                return self._cancel(self.intents[id])
            case ["refunds"] if form.get("payment_intent") in self.intents:
                return self._refund(self.intents[form["payment_intent"]])
            case _:
                return _refused("No such object.", code="resource_missing", status=404)

    def _create(self, form: dict[str, str]) -> Answer:
        if form.get("payment_method") not in METHODS:
            return _refused(f"No such PaymentMethod: '{form.get('payment_method')}'", code="resource_missing")
        status, problem = METHODS[form["payment_method"]]
        intent: Object = {
            "id": f"pi_{next(self._numbers)}",
            "object": "payment_intent",
            "amount": int(form["amount"]),
            "currency": form["currency"],
            "created": int(time.time()),
            "livemode": False,
            "payment_method": form["payment_method"],
            "metadata": {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")},
            "last_payment_error": None,
            "status": "requires_confirmation",
        }
        self.intents[intent["id"]] = intent
        self._tell(intent, "created")
        self._set(intent, status, None if status == "processing" else problem)
        if problem is DECLINED:
            return 402, {"error": {**DECLINED, "payment_intent": intent}}
        if self.settles_after is not None and not form["payment_method"].endswith("_processing"):
            threading.Timer(self.settles_after, self._settle_later, [intent]).start()
        return 200, dict(intent)

    def _settle_later(self, intent: Object) -> None:
        with self.lock:
            self.settle(intent)

    def settle(self, intent: Object, *, silently: bool = False) -> None:
        """Decide a payment that is processing."""
        problem = METHODS[intent["payment_method"]][1]
        if intent["status"] == "processing":
            status = "requires_payment_method" if problem else "succeeded"
            self._set(intent, status, problem, silently=silently)

    def _cancel(self, intent: Object) -> Answer:
        if intent["status"] in ("succeeded", "canceled"):
            message = f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
            return _refused(message, code="payment_intent_unexpected_state", payment_intent=dict(intent))
        self._set(intent, "canceled", None)
        return 200, dict(intent)

    def _refund(self, intent: Object) -> Answer:
        if intent["status"] != "succeeded":
            return _refused("This PaymentIntent does not have a successful charge to refund.")
        return 200, {"id": f"re_{next(self._numbers)}", "object": "refund", "payment_intent": intent["id"]}

    # ── webhooks ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _set(self, intent: Object, status: str, problem: Object | None, *, silently: bool = False) -> None:
        intent["status"], intent["last_payment_error"] = status, problem
        if not silently:
            self._tell(intent, TELLS.get(status, status))

    def _tell(self, intent: Object, what: str) -> None:
        id = f"evt_{next(self._numbers)}"
        event: Object = {
            "id": id,
            "object": "event",
            "created": int(time.time()),
            "livemode": False,
            "type": f"payment_intent.{what}",
            "data": {"object": dict(intent)},
        }
        self.events[id] = {"event": event, "answers": []}
        self.resend(id)

    def resend(self, id: str) -> None:
        """Post an event, once more if it was posted before."""
        self._outbox.put(id)

    def deliver(self) -> None:
        """Post webhooks for ever, one after the other; each until it is answered with 200."""
        with httpx.Client(trust_env=False, timeout=None) as client:
            while True:
                told = self.events[self._outbox.get()]
                for _ in range(POSTS):
                    if self._post(client, told) == 200:
                        break
                    time.sleep(0.2)

    def _post(self, client: httpx.Client, told: Object) -> int:
        body = json.dumps(told["event"], indent=2).encode()
        at = int(time.time())
        signature = hmac.new(self.secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"stripe-signature": f"t={at},v1={signature}", "content-type": "application/json; charset=utf-8"}
        try:
            answer = client.post(self.webhook, content=body, headers=headers)
        except httpx.HTTPError:
            return 0
        sent = {"status": answer.status_code, "answer": answer.text, "body": body.decode(), **headers}
        told["answers"].append(sent)
        return answer.status_code


def _refused(message: str, *, code: str = "", status: int = 400, **more: object) -> Answer:
    return status, {"error": {"type": "invalid_request_error", "code": code, "message": message, **more}}


class Gate(BaseHTTPRequestHandler):
    """One request."""

    provider: Provider

    def do_GET(self) -> None:
        provider = self.provider
        with provider.lock:
            intent = provider.intents.get(self.path.removeprefix("/v1/payment_intents/"))
            ledger = {
                "intents": [*provider.intents.values()],
                "requests": provider.requests,
                "events": [*provider.events.values()],
            }
            missing = _refused("No such object.", code="resource_missing", status=404)
            answer = (200, ledger) if self.path == "/ledger" else (200, intent) if intent else missing
            send_json(self, *answer)

    def do_POST(self) -> None:
        provider = self.provider
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if self.path.startswith("/v1/") and not self.headers.get("authorization", "").startswith("Bearer sk_"):
            send_json(self, *_refused("You did not provide an API key.", status=401))
            return
        withheld = False
        with provider.lock:
            answer: Answer = (200, {})
            if self.path == "/settle":
                asked = json.loads(body)
                provider.settle(provider.intents[asked["intent"]], silently=asked.get("silently", False))
            elif self.path == "/resend":
                provider.resend(json.loads(body)["event"])
            elif self.path in ("/withhold", "/release"):
                provider.withholds = self.path == "/withhold"
                (provider.released.clear if provider.withholds else provider.released.set)()
            else:
                answer = provider.take(self.path, body, self.headers.get("idempotency-key", ""))
                withheld, provider.withholds = provider.withholds, False
        if withheld:
            provider.released.wait()
        send_json(self, *answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the ledger is the log."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9090, help="port on the loopback interface; 9090 by default")
    parser.add_argument("--webhook", required=True, help="where to post events")
    parser.add_argument("--settles-after", type=float, help="in seconds; without it, payments wait for POST /settle")
    options = parser.parse_args()
    Gate.provider = Provider(options.webhook, os.environ["STRIPE_SECRET"], options.settles_after)
    threading.Thread(target=Gate.provider.deliver, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", options.port), Gate).serve_forever()


if __name__ == "__main__":
    main()
