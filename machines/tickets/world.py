"""The outside services of the theatre: a payment provider and a mail server.

`python -m machines.tickets.world` serves them. The provider declines payments of users whose name begins with `broke`.
"""

from __future__ import annotations

from typing import Any

from machines.world import Answer, World, serve


def pay(world: World, key: str, body: dict[str, Any]) -> Answer:
    if body["user"].startswith("broke"):
        return 402, {"reason": "the card was declined"}
    return 201, {"payment": f"payment-{world.count('/payments') + 1}"}


def mail(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {}


if __name__ == "__main__":
    serve({"/payments": pay, "/mails": mail}, __doc__)
