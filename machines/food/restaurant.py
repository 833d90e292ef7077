"""The restaurant's point of sale, in a process of its own. It keeps its orders in memory only.

    POST /prepare   {"order", "items"}: 200, and it begins to cook; an order that it knows is not cooked again
    GET  /orders    what it was asked to cook: [{"order", "ticket", "asked", "ready", "told"}]

When a meal is ready it says so to --webhook: a POST of {"order", "ticket"}, signed with RESTAURANT_SECRET and repeated until
it is answered with 200. RESTAURANT_SECONDS is how long it cooks, five seconds by default.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import httpx

from machines.food.menu import PRODUCTS
from machines.json_answer import send_json

SECONDS = float(os.environ.get("RESTAURANT_SECONDS", "5"))
PAUSE = 0.5
"""Seconds until a webhook is posted again."""


class Kitchen:
    """The orders, by their number."""

    def __init__(self, webhook: str) -> None:
        self.webhook = webhook
        self.lock = threading.Lock()
        self.orders: dict[str, dict[str, Any]] = {}

    def prepare(self, order: str) -> dict[str, Any]:
        """Cook, or say again that the meal is ready."""
        with self.lock:
            known = order in self.orders
            if not known:
                self.orders[order] = {"order": order, "ticket": str(uuid4()), "asked": 0, "ready": False, "told": 0}
            ticket = self.orders[order]
            ticket["asked"] += 1
        if not known or ticket["ready"]:
            threading.Timer(0 if known else SECONDS, self._tell, [ticket]).start()
        return ticket

    def _tell(self, ticket: dict[str, Any]) -> None:
        ticket["ready"] = True
        body = json.dumps({"order": ticket["order"], "ticket": ticket["ticket"]}).encode()
        secret = os.environ["RESTAURANT_SECRET"].encode()
        headers = {
            "content-type": "application/json",
            "x-signature": hmac.digest(secret, body, hashlib.sha256).hex(),
        }
        with httpx.Client(trust_env=False, verify=False, timeout=10) as client:
            while True:
                try:
                    if client.post(self.webhook, content=body, headers=headers).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass  # Restate or the service is away
                threading.Event().wait(PAUSE)
        ticket["told"] += 1


class Counter(BaseHTTPRequestHandler):
    """One request."""

    kitchen: Kitchen

    def do_GET(self) -> None:
        send_json(self, 200, list(self.kitchen.orders.values()))

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["content-length"])))
        unknown = [item["product"] for item in order["items"] if item["product"] not in PRODUCTS]
        if unknown:
            send_json(self, 422, {"reason": f"not on the menu: {', '.join(unknown)}"})
        else:
            send_json(self, 200, {"ticket": self.kitchen.prepare(order["order"])["ticket"]})

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=5050, help="port on the loopback interface; 5050 by default")
    parser.add_argument("--webhook", default="http://localhost:8080/order-workflow.webhooks/restaurant")
    options = parser.parse_args()
    Counter.kitchen = Kitchen(options.webhook)
    ThreadingHTTPServer(("127.0.0.1", options.port), Counter).serve_forever()


if __name__ == "__main__":
    main()
