"""Restate for one key, in memory: calls the real handlers of a service without a server or a journal.

It keeps state between calls and lists the sends. A call to another service is not answered here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

from durable_fsm.restate.app import services


@dataclass(frozen=True)
class Sent:
    """One send: where it goes, and after how long."""

    service: str
    handler: str
    body: bytes
    key: str | None
    delay: timedelta | None

    async def invocation_id(self) -> str:
        return f"inv_{self.service}/{self.key}/{self.handler}"


@dataclass
class Request:
    id: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass
class MemoryContext:
    """As much of Restate's context as a machine's own handlers use."""

    state: dict[str, bytes]
    object_key: str
    invocation: str
    sent: list[Sent] = field(default_factory=list[Sent])
    cancelled: list[str] = field(default_factory=list[str])

    def key(self) -> str:
        return self.object_key

    def request(self) -> Request:
        return Request(self.invocation)

    async def get(self, name: str, **_: object) -> bytes | None:
        return self.state.get(name)

    async def state_keys(self) -> list[str]:
        return list(self.state)

    def set(self, name: str, value: bytes, **_: object) -> None:
        self.state[name] = value

    def clear(self, name: str) -> None:
        self.state.pop(name, None)

    def clear_all(self) -> None:
        self.state.clear()

    def generic_send(
        self,
        service: str,
        handler: str,
        body: bytes,
        key: str | None = None,
        send_delay: timedelta | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        self.sent.append(Sent(service, handler, body, key, send_delay))
        return self.sent[-1]

    def cancel_invocation(self, invocation: str) -> None:
        self.cancelled.append(invocation)


class Memory:
    """The services of some definitions, and the state of one key of the first of them."""

    def __init__(self, *definitions: object, key: str = "one") -> None:
        self.services = {service.name: service for service in services(*definitions)}
        self.name = next(iter(self.services))
        self.key = key
        self.state: dict[str, bytes] = {}
        self._numbers = count(1)

    def prepare(self, handler: str, body: bytes = b"") -> tuple[MemoryContext, Callable[[], bytes]]:
        """The context of a call, and the call itself."""
        function: Any = self.services[self.name].handlers[handler].fn
        ctx = MemoryContext(self.state, self.key, f"inv_{next(self._numbers)}")

        def call() -> bytes:
            answer: bytes = asyncio.run(function(ctx, body))
            return answer

        return ctx, call

    def call(self, handler: str, body: bytes = b"") -> bytes:
        """Call a handler of the machine; its answer."""
        _, call = self.prepare(handler, body)
        return call()
