"""The client: a promise that any process may keep, break or await.

    await promise("p-1").resolve(42)     # one process
    await promise("p-1").get()           # and all others

Either may come first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from durable_fsm import Client
from durable_fsm.errors import EventRejected, NotStarted, TerminalError

YEAR = timedelta(days=365)


class PromiseRejected(TerminalError):
    """The promise was rejected, or disposed of while it was awaited."""


def promise(id: str, url: str = os.environ.get("RESTATE_INGRESS_URL", "http://localhost:8080")) -> DurablePromise:
    """The promise of this id; *url* is Restate's ingress."""
    return DurablePromise(id, url)


@dataclass(frozen=True)
class DurablePromise:
    """Every method returns the promise's value, or raises PromiseRejected. The first completion counts."""

    id: str
    url: str

    async def get(self, *, timeout: timedelta = YEAR, key: str | None = None) -> Any:
        """Wait for it. Two calls of one *key* are one: a process that was killed continues waiting."""
        async with Client(self.url) as client:
            machine = client.machine("promises", self.id)
            try:
                done = await machine.wait_for(taken=True, event="await_", timeout=timeout, idempotency_key=key)
            except EventRejected as error:
                raise PromiseRejected(error.reason) from error
        return value_in(done.reply)

    async def peek(self, pending: Any = None) -> Any:
        """Return at once: *pending* as long as there is no result."""
        async with Client(self.url) as client:
            try:
                result = (await client.machine("promises", self.id).snapshot()).data["result"]
            except NotStarted:
                return pending
        return pending if result is None else value_in(result)

    async def resolve(self, value: Any = None) -> Any:
        return value_in(await self._send("resolve", {"value": value}))

    async def reject(self, error: str) -> Any:
        return value_in(await self._send("reject", {"error": error}))

    async def dispose(self) -> None:
        """Forget its result. Those who await it get an error."""
        await self._send("dispose")

    async def _send(self, event: str, payload: Any = None) -> Any:
        async with Client(self.url) as client:
            return (await client.machine("promises", self.id).send(event, payload)).reply


def value_in(result: Any) -> Any:
    """The value of `{"value": …}`; raises PromiseRejected for `{"error": …}`."""
    if "error" in result:
        raise PromiseRejected(result["error"])
    return result["value"]
