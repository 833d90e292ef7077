"""The application for customers: a separate ASGI application that calls the machines as a client.

    POST /reserve/<product>/<reservation>    200 with {"reserved": true} or {"reserved": false}

Serve it with `hypercorn machines.reservations.shop:app`; `RESTATE_INGRESS_URL` is the URL of the machines. The number
of the reservation is the idempotency key: a request repeated after a lost answer gets the first answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from durable_fsm import Client
from machines.reservations.machine import Product

Message = dict[str, Any]  # Any: ASGI's own messages


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    status, body = await answer(scope["method"], scope["path"])
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def answer(method: str, path: str) -> tuple[int, Message]:
    """Return the status and the body for one request."""
    match method, [unquote(part) for part in path.strip("/").split("/")]:
        case "GET", ["health"]:
            return 200, {"status": "ok"}
        case "POST", ["reserve", product, reservation] if product and reservation:
            async with Client(os.environ["RESTATE_INGRESS_URL"]) as machines:
                receipt = await machines.machine(Product, product).send(Product.reserve, idempotency_key=reservation)
            return 200, {"reserved": receipt.reply}
        case _:
            return 404, {"message": "POST /reserve/<product>/<reservation>"}


async def live(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    """Answer the server's start and shutdown; there is nothing to do."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
