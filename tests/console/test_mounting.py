"""The console in an application of the user's own: the example of docs/reference/console.md."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "console.md"


def test_the_application_around_the_console_decides_who_is_let_in_and_who_may_act() -> None:
    (text,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(text.replace("localhost:9070", "127.0.0.1:9"), names)  # noqa: S102 - it is a page of ours
    office = httpx.ASGITransport(names["office"])

    async def ask(path: str, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=office, base_url="https://office.example.com") as client:
            return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def visit() -> None:
        stranger = await ask("/fsm/charts", x_office_user="ann")
        ann = await ask("/fsm/charts", x_office_user="eve", cookie="office=ann")
        form = await ask("/fsm/act/send?chart=Order&key=o-1&event=pay", cookie="office=ann")
        sheet = await ask(re.findall(r'href="(/[^"]+\.css)"', ann.text)[0], cookie="office=ann")

        assert (stranger.status_code, stranger.headers["location"]) == (303, "/login")
        assert (ann.status_code, ">ann " in ann.text, "eve" in ann.text) == (503, True, False)  # no server answers
        assert form.status_code == 503  # ann may act; a stranger would have been refused before the server was asked
        assert re.findall(r'(?:src|href)="/(?!fsm/)', ann.text) == []
        assert sheet.status_code == 200

    asyncio.run(visit())
