"""The outside services of the subscriptions: a recurring payment, and the subscriptions it pays for.

`python -m machines.durable_execution.world` serves them; cards that begin with 4000 are declined.
"""

from __future__ import annotations

from typing import Any

from machines.world import Answer, World, serve


def pay(world: World, key: str, body: dict[str, Any]) -> Answer:
    if body["credit_card"].startswith("4000"):
        return 402, {"reason": "the card was declined"}
    return 201, {"payment": f"payment-{world.count('/payments') + 1}"}


def subscribe(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {"subscription": f"subscription-{world.count('/subscriptions') + 1}"}


if __name__ == "__main__":
    serve({"/payments": pay, "/subscriptions": subscribe}, __doc__)
