# /// script
# requires-python = ">=3.11"
# dependencies = ["{{requirement}}", "httpx>=0.27"]
# ///
"""{{Name}}, in one file: `uv run app.py` installs what it needs, and serves it over HTTP/2."""

from __future__ import annotations

import os
import sys
from datetime import timedelta

import durable_fsm
import httpx
from durable_fsm import (
    ActivityContext,
    Failure,
    Ids,
    TerminalError,
    activity,
    after,
    durable,
)
from durable_fsm.cli import main
from pydantic import BaseModel, Field
from statemachine import State, StateChart

NOTIFICATIONS_URL = os.environ.get("NOTIFICATIONS_URL", "http://localhost:9090")
PAUSE = timedelta(seconds=1)
"""A reminder follows the notification after this time."""
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


@durable(version="1", flow=True)
class {{Name}}(StateChart[Greeting]):
    """Greet a person: a notification, a pause, a reminder. It runs as a flow, from beginning to end, without a key."""

    notifying = State(initial=True, invoke=activity(notify))
    pausing = State()
    reminding = State(invoke=activity(remind))
    greeted = State(final=True)
    failed = State(final=True)

    done_invoke_notifying = notifying.to(pausing)
    pause_over = after(PAUSE, pausing.to(reminding))
    done_invoke_reminding = reminding.to(greeted)
    error_invoke_notifying = notifying.to(failed)
    error_invoke_reminding = reminding.to(failed)

    def on_enter_notifying(self, data: Greeting, ids: Ids) -> None:
        data.id = str(ids.uuid())

    def on_enter_greeted(self, data: Greeting) -> str:
        return f"You said hi to {data.name}!"

    def on_enter_failed(self, error: Failure) -> Failure:
        return error


app = durable_fsm.app({{Name}})

if __name__ == "__main__":
    main(["serve", f"{__file__}:app", "--server", "hypercorn", *sys.argv[1:]])
