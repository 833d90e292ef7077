"""The application for callers who know nothing of machines: a separate ASGI application that is their client.

    POST /promise/resolve    {"promiseId": "p-1", "value": 42}             200 with {"value": 42}
    POST /promise/reject     {"promiseId": "p-1", "errorMessage": "no"}    200 with {"error": "no"}
    POST /promise/peek       {"promiseId": "p-1"}                          200 with one of these, or null
    POST /promise/await      {"promiseId": "p-1"}                          200 with one of these, as soon as it has one
    POST /promise/dispose    {"promiseId": "p-1"}                          200 with null

Serve it with `hypercorn machines.promises.desk:app`; `RESTATE_INGRESS_URL` is the URL of the machines. A refusal is a 4xx
with a message: asking again does not help. An `idempotency-key` lets a caller continue waiting after a lost connection.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from machines.promises.promise import DurablePromise, PromiseRejected, promise

Message = dict[str, Any]  # Any: ASGI's own messages
PENDING = object()


class Named(BaseModel):
    id: str = Field(alias="promiseId", min_length=1)


class Resolution(Named):
    value: Any = None


class Rejection(Named):
    message: str = Field(alias="errorMessage", min_length=1)


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    status, answer = await answered(scope["path"], await body_of(receive), dict(scope["headers"]))
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


async def answered(path: str, body: bytes, headers: dict[bytes, bytes]) -> tuple[int, Any]:
    """Return the status and the body for one request."""
    key = headers.get(b"idempotency-key")
    try:
        match path:
            case "/promise/resolve":
                order = Resolution.model_validate_json(body)
                return 200, await result(promise(order.id).resolve(order.value))
            case "/promise/reject":
                refusal = Rejection.model_validate_json(body)
                return 200, await result(promise(refusal.id).reject(refusal.message))
            case "/promise/peek":
                return 200, await result(asked(body).peek(PENDING))
            case "/promise/await":
                return 200, await result(asked(body).get(key=key.decode() if key else None))
            case "/promise/dispose":
                await asked(body).dispose()
                return 200, None
            case "/health":
                return 200, {"status": "ok"}
            case _:
                return 404, {"message": "POST /promise/resolve, reject, peek, await or dispose"}
    except ValidationError as error:
        return 400, {"message": "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors() if one["loc"])}


def asked(body: bytes) -> DurablePromise:
    return promise(Named.model_validate_json(body).id)


async def result(value: Awaitable[Any]) -> Any:
    """The result of a promise as JSON, which tells a value from an error."""
    try:
        found = await value
    except PromiseRejected as error:
        return {"error": error.message}
    return None if found is PENDING else {"value": found}


async def body_of(receive: Callable[[], Awaitable[Message]]) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def live(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    """Answer the server's start and shutdown; there is nothing to do."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
