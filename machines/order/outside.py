"""The outside services of an order: a warehouse, a bank and a bookkeeper in one small HTTP service, in its own process.

    POST /reservations {"goods": {name: quantity}, "order"}   201 with a reservation; 410 if something is sold out
    POST /releases {"reservation"}             201: the goods are free again; 404 if there is no such reservation
    POST /charges {"card", "cents", "order"}   201 with a receipt, or with a challenge; 402 if the card is declined
    POST /confirmations {"challenge", "code"}  201 with a receipt; 402 if the code is wrong
    POST /refunds {"receipt", "cents"}         201; 404 if there is no such charge, 400 if it was smaller
    POST /refunds {"charge"}                   201; refunds the charge with this key, and refuses a later one
    POST /invoices {"order", "cents", "address"}   201 with an invoice
    POST /credit-notes {"invoice"}             201; 404 if there is no such invoice
    GET  /ledger                               everything it did, and every repeat it refused
    POST /withhold {"card"}                    charges this card next time, but sends no answer

All but the last require an `idempotency-key` header. A known key is answered with 409 and the first answer. Cards
that begin with 4000 are declined, cards that begin with 3000 are challenged: their code is the last four digits.
Unicorns are sold out.
"""

from __future__ import annotations

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from machines.json_answer import send_json

Answer = tuple[int, dict[str, Any]]


class Ledger:
    """Everything the service did. Hold `lock` to call a method."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reservations: list[dict[str, Any]] = []
        self.releases: list[str] = []
        self.charges: list[dict[str, Any]] = []
        self.refunds: list[dict[str, Any]] = []
        self.invoices: list[dict[str, Any]] = []
        self.credit_notes: list[str] = []
        self.repeats: list[str] = []
        self.withheld: set[str] = set()
        self._challenges: dict[str, dict[str, Any]] = {}
        self._answers: dict[str, dict[str, Any]] = {}
        self._void: set[str] = set()

    def take(self, path: str, key: str, body: dict[str, Any]) -> Answer:
        """Do what a request asks for, unless it was done before."""
        if key in self._answers:
            self.repeats.append(key)
            return 409, self._answers[key]
        wanted = {
            "/reservations": self._reserve,
            "/releases": self._release,
            "/charges": self._charge,
            "/confirmations": self._confirm,
            "/refunds": self._refund,
            "/invoices": self._invoice,
            "/credit-notes": self._credit,
        }
        status, answer = wanted[path](key, body) if path in wanted else (404, {"reason": f"there is no {path}"})
        if status == 201:
            self._answers[key] = answer
        return status, answer

    def book(self) -> dict[str, Any]:
        return {
            "reservations": self.reservations,
            "releases": self.releases,
            "charges": self.charges,
            "refunds": self.refunds,
            "invoices": self.invoices,
            "credit_notes": self.credit_notes,
            "repeats": self.repeats,
        }

    def _reserve(self, key: str, body: dict[str, Any]) -> Answer:
        if "unicorn" in body["goods"]:
            return 410, {"reason": "unicorns are sold out"}
        number = f"reservation-{len(self.reservations) + 1}"
        self.reservations.append({"reservation": number, **body})
        return 201, {"reservation": number}

    def _release(self, key: str, body: dict[str, Any]) -> Answer:
        if body["reservation"] not in {one["reservation"] for one in self.reservations}:
            return 404, {"reason": f"there is no {body['reservation']}"}
        self.releases.append(body["reservation"])
        return 201, {}

    def _charge(self, key: str, body: dict[str, Any]) -> Answer:
        if key in self._void:
            return 410, {"reason": "this charge was called off before it was made"}
        if body["card"].startswith("4000"):
            return 402, {"reason": f"card {body['card']} was declined"}
        if body["card"].startswith("3000"):
            challenge = f"challenge-{len(self._challenges) + 1}"
            self._challenges[challenge] = body
            return 201, {"challenge": challenge}
        return self._charged(key, body)

    def _confirm(self, key: str, body: dict[str, Any]) -> Answer:
        if key in self._void:
            return 410, {"reason": "this charge was called off before it was made"}
        charge = self._challenges.get(body["challenge"])
        if charge is None or charge["card"][-4:] != body["code"]:
            return 402, {"reason": "the code is wrong"}
        return self._charged(key, charge)

    def _charged(self, key: str, body: dict[str, Any]) -> Answer:
        receipt = f"charge-{len(self.charges) + 1}"
        self.charges.append({"receipt": receipt, "key": key, **body})
        return 201, {"receipt": receipt}

    def _refund(self, key: str, body: dict[str, Any]) -> Answer:
        charge = next((one for one in self.charges if body.get("receipt") == one["receipt"]), None)
        if "charge" in body:
            self._void.add(body["charge"])
            charge = next((one for one in self.charges if body["charge"] == one["key"]), None)
            if charge is None:
                return 201, {}
        if charge is None:
            return 404, {"reason": f"there was no charge {body.get('receipt')}"}
        cents = body.get("cents", charge["cents"])
        given = sum(one["cents"] for one in self.refunds if one["of"] == charge["receipt"])
        if given + cents > charge["cents"]:
            return 400, {"reason": f"{charge['receipt']} was {charge['cents']} cents, and {given} were given back"}
        receipt = f"refund-{len(self.refunds) + 1}"
        self.refunds.append({"receipt": receipt, "key": key, "of": charge["receipt"], "cents": cents})
        return 201, {"receipt": receipt}

    def _invoice(self, key: str, body: dict[str, Any]) -> Answer:
        number = f"invoice-{len(self.invoices) + 1}"
        self.invoices.append({"invoice": number, **body})
        return 201, {"invoice": number}

    def _credit(self, key: str, body: dict[str, Any]) -> Answer:
        if body["invoice"] not in {one["invoice"] for one in self.invoices}:
            return 404, {"reason": f"there is no {body['invoice']}"}
        self.credit_notes.append(body["invoice"])
        return 201, {}


class Outside(BaseHTTPRequestHandler):
    """One request."""

    ledger = Ledger()

    def do_GET(self) -> None:
        with self.ledger.lock:
            answer = (200, self.ledger.book()) if self.path == "/ledger" else (200, {"status": "ok"})
        send_json(self, *answer)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = self.headers.get("idempotency-key", "")
        withheld = False
        with self.ledger.lock:
            if self.path == "/withhold":
                self.ledger.withheld.add(body["card"])
                answer: Answer = (201, {})
            elif not key:
                answer = (400, {"reason": "an idempotency-key header is needed"})
            else:
                answer = self.ledger.take(self.path, key, body)
                withheld = answer[0] == 201 and body.get("card") in self.ledger.withheld
                self.ledger.withheld.discard(body.get("card", ""))
        if withheld:
            self.connection.recv(1)  # wait until the caller hangs up: it must not learn of its charge
            return
        send_json(self, *answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the ledger is the log."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    ThreadingHTTPServer((options.host, options.port), Outside).serve_forever()
