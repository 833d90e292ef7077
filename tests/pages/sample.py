"""A small site, as applications make them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from machines.order.machine import Order
from machines.pages import Pages, changes

pages = Pages(
    "Sample", folder=Path(__file__).parent / "templates", menu={"/": "Order", "/missing": "Missing"}, charts=[Order]
)
states = ["cart", "payment"]
notes: list[str] = ["<b>not bold</b>"]


async def first(request: Request) -> Response:
    return pages.show("sample.html", active=states[:1], notes=notes)


async def live(request: Request) -> Response:
    async def read() -> Mapping[str, object]:
        await asyncio.sleep(0)
        return {"active": [state for state in states if len(notes) > 1 or state == "cart"]}

    def last(value: Mapping[str, object]) -> bool:
        return value["active"] == states

    values: AsyncIterator[Mapping[str, object]] = changes(read, last=last)
    return pages.live("sample_live.html", values)


async def note(request: Request) -> Response:
    async with request.form() as form:
        notes.append(str(form["text"]))
    return pages.show("sample_note.html", text=notes[-1])


app = pages.app([Route("/", first), Route("/live", live), Route("/notes", note, methods=["POST"])])
