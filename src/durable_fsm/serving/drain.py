"""Wrap an application so that it can drain: count the requests in flight, and end them early without losing work.

An invocation that waits (for a timer, an activity, another machine) keeps its HTTP request open. A process that must end
could otherwise wait for hours. The trick: Restate suspends an invocation as soon as Restate's side of the request is
closed and the code waits for something. So on shutdown each open request reads "the input ends here", as if Restate had
closed its side. The SDK then finishes the step that runs, suspends at the next await and answers; Restate resumes the
invocation at the next process that serves it. The journal keeps every finished step, so nothing is done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

AsgiMessage: TypeAlias = MutableMapping[str, Any]  # Any: as ASGI has it
AsgiReceive: TypeAlias = Callable[[], Awaitable[AsgiMessage]]
AsgiSend: TypeAlias = Callable[[AsgiMessage], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[AsgiMessage, Any, Any], Awaitable[None]]  # Any: each library has types of its own

READY = "/ready"
"""Answers 200 while the process accepts invocations, 503 from SIGTERM on. `/health` belongs to Restate's SDK: always 200."""

END: AsgiMessage = {"type": "http.request", "body": b"", "more_body": False}


class Draining:
    """An ASGI application that can drain.

    Args:
        app: The application.
        lifespan: Whether it knows ASGI's lifespan. Restate's does not; it never sees those messages.
    """

    def __init__(self, app: AsgiApp, *, lifespan: bool = False) -> None:
        self._app = app
        self._lifespan = lifespan
        self._requests: set[_Request] = set()
        self._stopping = False
        self._idle = asyncio.Event()

    async def __call__(self, scope: AsgiMessage, receive: AsgiReceive, send: AsgiSend) -> None:
        """Serve one request, unless the process is draining."""
        if scope["type"] == "lifespan" and not self._lifespan:
            await _live(receive, send)
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == READY:
            await _answer(send, 503 if self._stopping else 200, b"ending" if self._stopping else b"ready")
        elif self._stopping:
            await _answer(send, 503, b"ending: ask another process, or the one that replaces this")
        else:
            request = _Request(receive)
            self._requests.add(request)
            try:
                await self._app(scope, request, send)
            finally:
                self._requests.discard(request)
                self._look()

    @property
    def in_flight(self) -> int:
        """How many requests are open."""
        return len(self._requests)

    async def drain(self) -> None:
        """Accept no more requests, end the input of the open ones, and wait until all are answered."""
        self._stopping = True
        for request in tuple(self._requests):
            request.end()
        self._look()
        await self._idle.wait()

    def _look(self) -> None:
        if self._stopping and not self._requests:
            self._idle.set()


class _Request:
    """The `receive` of one request. It costs one attribute per message until `end` is called."""

    def __init__(self, receive: AsgiReceive) -> None:
        self._receive = receive
        self._reader: asyncio.Task[Any] | None = None  # Any: whatever its author returns
        self._ending = False
        self._ended = False

    async def __call__(self) -> AsgiMessage:
        while True:
            if self._ending and not self._ended:
                return self._last()
            reader = self._reader = asyncio.current_task()
            try:
                message = await self._receive()
            except asyncio.CancelledError:
                # Only `end` may turn a cancellation into the end of the input; any other cancels the reader itself.
                if not self._ending or self._ended or reader is None:
                    raise
                reader.uncancel()
                return self._last()
            finally:
                self._reader = None
            # Input after the end is dropped: Restate sends it again, to the process that resumes the invocation.
            if not self._ended or message["type"] != "http.request":
                return message

    def end(self) -> None:
        """Let the reader read that the input ends here, even if it is waiting for more at the moment."""
        self._ending = True
        if self._reader is not None:
            self._reader.cancel()

    def _last(self) -> AsgiMessage:
        self._ended = True
        return dict(END)


async def _live(receive: AsgiReceive, send: AsgiSend) -> None:
    for stage in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{stage}.complete"})


async def _answer(send: AsgiSend, status: int, words: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(words)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words})
