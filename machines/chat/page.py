"""The page: a conversation, the tasks that it has started, and the diagram of its session, as they are now.

`uvicorn machines.chat.page:app` serves it. It only talks to Restate's ingress, RESTATE_INGRESS_URL.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from durable_fsm import Client
from durable_fsm.errors import NotStarted
from machines.chat.data import LONGEST, Said, SessionData, Task
from machines.chat.machine import ChatSession
from machines.pages import Pages, changes

HERE = Path(__file__).parent
OFTEN = timedelta(seconds=0.3)
SUGGESTIONS = (
    "remind me in 10 seconds to drink",
    "watch flights from Turin to Oslo below 700",
    "list",
    "status oslo",
)
NEW: tuple[str, ...] = ("session", "conversation", "idle", "tasks", "no_tasks")
"""The states of a session that has not heard anything yet."""


def clock(left: timedelta) -> str:
    """A time as a countdown shows it: `0:09`, `1:59:58`."""
    minutes, seconds = divmod(max(0, round(left.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


pages = Pages("Chat", folder=HERE / "templates", assets=HERE / "assets", charts=[ChatSession])


@cache
def restate() -> Client:
    return Client(os.environ.get("RESTATE_INGRESS_URL", "http://localhost:8080"))


def shown(name: str, task: Task, now: datetime) -> dict[str, str]:
    """A task as the page shows it; `left` counts down."""
    left = "" if task.due is None else clock(task.due - now)
    return {"name": name, "about": task.about, "status": task.status, "left": left, "type": task.type}


async def seen(session: str) -> dict[str, Any]:
    """A session as the page shows it."""
    states, data = NEW, SessionData()
    try:
        view = await restate().machine(ChatSession, session).snapshot()
        states, data = view.configuration, view.data
    except NotStarted:
        pass  # it begins with its first message
    now = datetime.now(UTC)
    return {
        "session": session,
        "lines": data.history,
        "tasks": [shown(name, task, now) for name, task in data.tasks.items()],
        "thinking": "thinking" in states,
        "states": states,
        "tokens": data.tokens,
    }


async def updates(session: str) -> AsyncIterator[Mapping[str, object]]:
    """Yield the new lines, and the parts that have changed, since the page was last told."""
    known, before = 0, dict[str, Any]()
    async for now in changes(lambda: seen(session), every=OFTEN):
        yield {**now, "known": known, "new": {part for part in now if before.get(part) != now[part]}}
        known, before = max([known, *(line.n for line in now["lines"])]), now


def session_of(request: Request) -> str | None:
    """The session that the address names; None if no session has such a name."""
    name: str = request.path_params["session"]
    return name if re.fullmatch(r"[\w-]{1,40}", name) else None


async def begin(request: Request) -> Response:
    """Begin a conversation under a random name."""
    return RedirectResponse(f"/sessions/{secrets.token_urlsafe(6)}", 303)


async def conversation(request: Request) -> Response:
    session = session_of(request)
    if session is None:
        return pages.show("not_found.html", status=404, path=request.url.path)
    rules = os.environ.get("OPENAI_MODEL") == "rules"
    return pages.show("chat.html", suggestions=SUGGESTIONS, rules=rules, **await seen(session))


async def live(request: Request) -> Response:
    session = session_of(request)
    if session is None:
        return pages.show("not_found.html", status=404, path=request.url.path)
    return pages.live("live.html", updates(session))


async def say(request: Request) -> Response:
    """Send a message to the session, and show what it makes of it; without JavaScript, by the whole page."""
    session = session_of(request)
    if session is None:
        return pages.show("not_found.html", status=404, path=request.url.path)
    async with request.form() as form:
        text = str(form.get("text", "")).strip()[:LONGEST]
    if text:
        await restate().machine(ChatSession, session).send(ChatSession.say, Said(text=text))
    if request.headers.get("sec-fetch-mode") == "navigate":
        return RedirectResponse(f"/sessions/{session}", 303)
    # Only lines: whatever else the page received meanwhile is newer than this answer.
    return pages.show("live.html", known=0, new=(), **await seen(session))


app = pages.app(
    [
        Route("/", begin),
        Route("/sessions/{session}", conversation),
        Route("/sessions/{session}/live", live),
        Route("/sessions/{session}/messages", say, methods=["POST"]),
    ]
)
