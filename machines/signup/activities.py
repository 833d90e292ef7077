"""The outside work of a sign-up: a list of users and an outbox, which survive a crash of the service."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pydantic import BaseModel, Field

from durable_fsm import ActivityContext

PLACE = Path(os.environ.get("SIGNUP_PLACE", "signup"))
SLOW = float(os.environ.get("SIGNUP_MAIL_SECONDS", "0"))


class SignupData(BaseModel):
    name: str = Field(default="", min_length=1)
    email: str = Field(default="", min_length=3)
    secret: str = ""
    trouble: str = ""


async def create_user(ctx: ActivityContext, data: SignupData) -> None:
    await ctx.run("create", keep, "users", f"{ctx.key} {data.name}", key=ctx.stable_id)


async def send_email(ctx: ActivityContext, data: SignupData) -> None:
    """Send the link. The user may get the mail before this step is recorded as done."""
    await ctx.run("mail", keep, "outbox", f"{ctx.key} {data.email} {data.secret}", key=ctx.stable_id)
    await ctx.run("deliver", asyncio.sleep, SLOW)


def keep(folder: str, text: str, *, key: str) -> None:
    """Append a line, unless it is there: a step may run again after a crash."""
    place = PLACE / folder
    place.mkdir(parents=True, exist_ok=True)
    kept = place / key.replace("/", "_")
    if not kept.exists():
        draft = kept.with_suffix(".draft")
        draft.write_text(text, encoding="utf-8")
        draft.replace(kept)
