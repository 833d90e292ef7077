"""The world outside the theatre, for the tour: a payment provider and a ticket printer, in a process of their own.

`python -m docs.tour.outside --port 9090` serves them. The provider declines payments of users whose name begins with
`broke`. `machines/world.py` says how to let requests wait or fail.
"""

from __future__ import annotations

from typing import Any

import click

from machines.world import Answer, World, serve


def pay(world: World, key: str, body: dict[str, Any]) -> Answer:
    if body["user"].startswith("broke"):
        return 402, {"reason": "the card was declined"}
    return 201, {"payment": f"payment-{world.count('/payments') + 1}"}


def do(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {}


if __name__ == "__main__":
    serve({"/payments": pay, "/refunds": do, "/prints": do}, __doc__, tell=click.echo)
