"""SIGTERM reaches the handler of the ASGI server, though Restate's SDK takes it over with its first request."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from statemachine import State, StateChart

import durable_fsm
from durable_fsm.testing import wait_until_async


class Lamp(StateChart):
    off = State(initial=True)
    on = State(final=True)
    push = off.to(on)


HEALTH = {"type": "http", "http_version": "1.1", "method": "GET", "path": "/health", "query_string": b"", "headers": []}


def test_the_server_hears_sigterm_after_the_first_request() -> None:
    app: Any = durable_fsm.app(Lamp)
    heard: list[int] = []

    async def nothing(*_: object) -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def serve() -> None:
        for _ in range(2):
            await app(dict(HEALTH), nothing, nothing)
        os.kill(os.getpid(), signal.SIGTERM)
        await wait_until_async(lambda: heard_any(heard), what="SIGTERM to be heard")

    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        asyncio.run(serve())
    finally:
        signal.signal(signal.SIGTERM, before)

    assert heard == [signal.SIGTERM]


async def heard_any(heard: list[int]) -> bool:
    return bool(heard)
