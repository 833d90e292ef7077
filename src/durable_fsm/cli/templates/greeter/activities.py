"""The outside work of {{Name}}: two calls to a notification service, at the address in NOTIFICATIONS_URL."""

from __future__ import annotations

import os

import httpx
from durable_fsm import ActivityContext, TerminalError
from pydantic import BaseModel, Field

NOTIFICATIONS_URL = os.environ.get("NOTIFICATIONS_URL", "http://localhost:9090")
FINAL = {400, 401, 404, 410, 422}
"""Statuses that another attempt would not change."""


class Greeting(BaseModel):
    """The data of {{Name}}."""

    name: str = Field(min_length=1)
    id: str = ""


async def notify(ctx: ActivityContext, data: Greeting) -> None:
    await ctx.run("notify", post, "/notifications", data)


async def remind(ctx: ActivityContext, data: Greeting) -> None:
    await ctx.run("remind", post, "/reminders", data)


async def post(path: str, greeting: Greeting) -> None:
    """Send one message. Every exception is retried, except a TerminalError."""
    key = {"idempotency-key": greeting.id}
    async with httpx.AsyncClient(base_url=NOTIFICATIONS_URL) as service:
        answer = await service.post(path, json={"name": greeting.name}, headers=key)
    if answer.status_code in FINAL:
        raise TerminalError(answer.text, code=answer.status_code)
    answer.raise_for_status()
