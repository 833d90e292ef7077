"""The mail: an outbox that survives a crash of the service."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel

from durable_fsm import ActivityContext


class TrackerData(BaseModel):
    customer: str = ""
    reminders: int = 0


async def send_reminder(ctx: ActivityContext, data: TrackerData) -> None:
    await ctx.run("mail", mail, f"{ctx.key} reminder {data.reminders} to {data.customer}", key=ctx.stable_id)


async def escalate(ctx: ActivityContext, data: TrackerData) -> None:
    await ctx.run("mail", mail, f"{ctx.key} escalated: {data.customer} does not pay", key=ctx.stable_id)


def mail(text: str, *, key: str) -> None:
    """Put a letter into the outbox, unless one with this key is there: a step may run again after a crash."""
    outbox = Path(os.environ.get("REMINDER_OUTBOX", "outbox"))
    outbox.mkdir(parents=True, exist_ok=True)
    letter = outbox / key.replace("/", "_")
    if not letter.exists():
        draft = letter.with_suffix(".draft")
        draft.write_text(f"{text}\n", encoding="utf-8")
        draft.replace(letter)
