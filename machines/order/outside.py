"""A small payment service: the outside world of the demo and the tests, in a process of its own.

    POST /charges {"card", "cents", "order"}   201 with a receipt; 402 if the card is declined
    POST /refunds {"receipt"}                  201 with a receipt; 404 if it charged no such thing
    GET  /ledger                               everything it did, and every repeat it refused
    POST /withhold {"card"}                    the next charge of this card is made, and its answer withheld

Both writes want an `idempotency-key` header. One that it has seen is refused with 409 and the first receipt. Cards that
begin with 4000 are declined.
"""

from __future__ import annotations

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Ledger:
    """What the service did. Every method is called under `lock`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.charges: list[dict[str, Any]] = []
        self.refunds: list[dict[str, Any]] = []
        self.repeats: list[str] = []
        self.withheld: set[str] = set()
        self._receipts: dict[str, str] = {}

    def charge(self, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if key in self._receipts:
            return self._refuse(key)
        if body["card"].startswith("4000"):
            return 402, {"reason": f"card {body['card']} was declined"}
        self._receipts[key] = receipt = f"charge-{len(self.charges) + 1}"
        self.charges.append({"receipt": receipt, "key": key, **body})
        return 201, {"receipt": receipt}

    def refund(self, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if key in self._receipts:
            return self._refuse(key)
        if body["receipt"] not in {charge["receipt"] for charge in self.charges}:
            return 404, {"reason": f"there was no charge {body['receipt']}"}
        self._receipts[key] = receipt = f"refund-{len(self.refunds) + 1}"
        self.refunds.append({"receipt": receipt, "key": key, "of": body["receipt"]})
        return 201, {"receipt": receipt}

    def _refuse(self, key: str) -> tuple[int, dict[str, Any]]:
        self.repeats.append(key)
        return 409, {"receipt": self._receipts[key], "reason": "this key was used before"}


class Payments(BaseHTTPRequestHandler):
    """One request."""

    ledger = Ledger()

    def do_GET(self) -> None:
        with self.ledger.lock:
            book = {"charges": self.ledger.charges, "refunds": self.ledger.refunds, "repeats": self.ledger.repeats}
            answer = (200, book) if self.path == "/ledger" else (200, {"status": "ok"})
        self._answer(*answer)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = self.headers.get("idempotency-key", "")
        withheld = False
        with self.ledger.lock:
            if self.path == "/withhold":
                self.ledger.withheld.add(body["card"])
                answer: tuple[int, dict[str, Any]] = (201, {})
            elif not key:
                answer = (400, {"reason": "an idempotency-key header is needed"})
            elif self.path == "/charges":
                answer = self.ledger.charge(key, body)
                withheld = answer[0] == 201 and body["card"] in self.ledger.withheld
                self.ledger.withheld.discard(body["card"])
            else:
                answer = self.ledger.refund(key, body)
        if withheld:
            self.connection.recv(1)  # until the caller goes away: it shall not learn of its charge
            return
        self._answer(*answer)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the ledger is the log."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Payments).serve_forever()
