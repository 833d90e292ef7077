"""Bringing requests to rest, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable_fsm.serving import Draining

Message = dict[str, Any]
HTTP: Message = {"type": "http", "path": "/invoke/Desk/count"}
BODY: Message = {"type": "http.request", "body": b"1", "more_body": True}


class Line:
    """A client's side of a request."""

    def __init__(self) -> None:
        self.coming: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        return await self.coming.get()

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


def test_a_request_that_waits_reads_its_end_once_and_nothing_that_comes_later() -> None:
    read: list[Message] = []

    async def story() -> None:
        once, twice = asyncio.Event(), asyncio.Event()

        async def app(scope: Any, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
            for told in (once, twice, asyncio.Event()):
                read.append(await receive())
                told.set()

        draining, line = Draining(app), Line()
        request = asyncio.create_task(draining(HTTP, line.receive, line.send))
        line.coming.put_nowait(BODY)
        await once.wait()
        assert draining.in_flight == 1
        resting = asyncio.create_task(draining.drain())
        await twice.wait()
        line.coming.put_nowait(BODY)
        line.coming.put_nowait({"type": "http.disconnect"})
        await resting
        await request

    asyncio.run(story())
    assert read == [BODY, {"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]


def test_a_request_that_is_busy_reads_its_end_when_it_asks() -> None:
    read: list[Message] = []

    async def story() -> None:
        busy, free = asyncio.Event(), asyncio.Event()

        async def app(scope: Any, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
            busy.set()
            await free.wait()
            read.append(await receive())

        draining, line = Draining(app), Line()
        request = asyncio.create_task(draining(HTTP, line.receive, line.send))
        await busy.wait()
        resting = asyncio.create_task(draining.drain())
        await asyncio.sleep(0)
        assert not resting.done()
        free.set()
        await resting
        await request

    asyncio.run(story())
    assert [message["more_body"] for message in read] == [False]


def test_a_cancellation_from_elsewhere_reaches_the_request_before_and_after_its_end() -> None:
    async def app(scope: Any, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        while True:
            await receive()

    async def story(*, ended: bool) -> None:
        draining, line = Draining(app), Line()
        request = asyncio.create_task(draining(HTTP, line.receive, line.send))
        await asyncio.sleep(0)
        resting = asyncio.create_task(draining.drain()) if ended else None
        for _ in range(5):
            await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        if resting is not None:
            await resting

    asyncio.run(story(ended=False))
    asyncio.run(story(ended=True))


def test_a_draining_process_answers_503() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError(scope)

    async def story() -> list[int]:
        draining = Draining(app)
        statuses: list[int] = []
        for path in ("/ready", "drain", "/ready", "/invoke/Desk/count"):
            line = Line()
            if path == "drain":
                await draining.drain()
            else:
                await draining({"type": "http", "path": path}, line.receive, line.send)
                statuses.append(line.status)
        return statuses

    assert asyncio.run(story()) == [200, 503, 503]


def test_restates_application_never_sees_the_lifespan_and_others_do() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def story(*, lifespan: bool) -> list[str]:
        line = Line()
        for stage in ("startup", "shutdown"):
            line.coming.put_nowait({"type": f"lifespan.{stage}"})
        await Draining(app, lifespan=lifespan)({"type": "lifespan"}, line.receive, line.send)
        return [message["type"] for message in line.sent]

    assert asyncio.run(story(lifespan=False)) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert asyncio.run(story(lifespan=True)) == []
    assert seen == ["lifespan"]
