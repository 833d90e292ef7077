"""Answers of the console: pages, files to download, and live streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import ParamSpec

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response, StreamingResponse

from durable_fsm.console.live import LiveMessage
from durable_fsm.console.machine_reading import MachineQuery

P = ParamSpec("P")


async def page_of(render: Callable[P, str], *args: P.args, **kwargs: P.kwargs) -> Response:
    """A page, made in a thread: its diagram may have to be laid out, by another program."""
    return HTMLResponse(await run_in_threadpool(render, *args, **kwargs))


def stream_of(messages: AsyncIterator[LiveMessage]) -> Response:
    """A stream of server-sent events."""
    return StreamingResponse(_texts(messages), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def slug_of(query: MachineQuery) -> str:
    """A machine in the name of a file."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in f"{query.chart}-{query.key}")


def download_of(text: str, name: str, kind: str) -> Response:
    """A file that the browser saves under a name."""
    return Response(text, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})


async def _texts(messages: AsyncIterator[LiveMessage]) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    async for message in messages:
        yield message.text
