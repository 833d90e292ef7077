"""What stands before an application while it is served: it counts what is under way, and brings that to rest.

An invocation that waits, for a timer, an activity, another machine, would hold its process for as long as that takes. But
Restate suspends whatever it has closed its side of the connection to. So when the process is to end, each request is told
just that: it finishes the step that is running, and is taken up again by whoever serves next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Message: TypeAlias = MutableMapping[str, Any]  # Any: as ASGI has it
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Any, Any], Awaitable[None]]  # Any: each library has types of its own

READY = "/ready"
"""Answers 200 as long as the process takes invocations, 503 from SIGTERM on; `/health` is Restate's own, and answers 200."""

END: Message = {"type": "http.request", "body": b"", "more_body": False}


class Draining:
    """An ASGI application that can be brought to rest.

    Args:
        app: the application.
        lifespan: whether it knows ASGI's lifespan; Restate's does not, and is spared it.
    """

    def __init__(self, app: Application, *, lifespan: bool = False) -> None:
        self._app = app
        self._lifespan = lifespan
        self._requests: set[_Request] = set()
        self._stopping = False
        self._idle = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, unless the process is to end."""
        if scope["type"] == "lifespan" and not self._lifespan:
            await _live(receive, send)
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == READY:
            await _answer(send, 503 if self._stopping else 200, b"ending" if self._stopping else b"ready")
        elif self._stopping:
            await _answer(send, 503, b"ending: ask another process, or this one's successor")
        else:
            request = _Request(receive)
            self._requests.add(request)
            try:
                await self._app(scope, request, send)
            finally:
                self._requests.discard(request)
                self._look()

    @property
    def under_way(self) -> int:
        """How many requests are."""
        return len(self._requests)

    async def drain(self) -> None:
        """Take no more, tell what is under way to come to rest, and wait until all of it has."""
        self._stopping = True
        for request in tuple(self._requests):
            request.end()
        self._look()
        await self._idle.wait()

    def _look(self) -> None:
        if self._stopping and not self._requests:
            self._idle.set()


class _Request:
    """The way in of one request. That it ends is told to whoever waits there, and costs nothing as long as nobody ends it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._reader: asyncio.Task[Any] | None = None  # Any: whatever its author returns
        self._ending = False
        self._ended = False

    async def __call__(self) -> Message:
        while True:
            if self._ending and not self._ended:
                return self._last()
            reader = self._reader = asyncio.current_task()
            try:
                message = await self._receive()
            except asyncio.CancelledError:
                if not self._ending or self._ended or reader is None:
                    raise
                reader.uncancel()
                return self._last()
            finally:
                self._reader = None
            if not self._ended or message["type"] != "http.request":  # what comes after the end was not said
                return message

    def end(self) -> None:
        """Have the reader read that nothing more will come."""
        self._ending = True
        if self._reader is not None:
            self._reader.cancel()

    def _last(self) -> Message:
        self._ended = True
        return dict(END)


async def _live(receive: Receive, send: Send) -> None:
    for stage in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{stage}.complete"})


async def _answer(send: Send, status: int, words: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(words)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words})
