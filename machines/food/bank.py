"""The payment service, in a process of its own: it accepts each payment once, and refunds it once.

`python -m machines.food.bank` serves it. Cards that begin with 4000 are declined.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from machines.world import Answer, World, serve


def charge(world: World, key: str, body: dict[str, Any]) -> Answer:
    if body["card"].startswith("4000"):
        return 402, {"reason": "the card was declined"}
    return 201, {"receipt": f"receipt-{uuid4()}"}


def refund(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {}


if __name__ == "__main__":
    serve({"/charges": charge, "/refunds": refund}, __doc__)
