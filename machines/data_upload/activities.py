"""The outside work of an upload: requests to a bucket store and a mail server, at WORLD_URL."""

from __future__ import annotations

from pydantic import BaseModel, Field

from durable_fsm import ActivityContext
from machines.world import ask


class Listener(BaseModel):
    """A caller who wants the result by mail."""

    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")


class UploadData(BaseModel):
    """The text to upload, its place, and who waits for a mail."""

    text: str = Field(min_length=1)
    bucket: str = ""
    url: str = ""
    problem: str = ""
    listeners: list[str] = []
    undelivered: list[str] = []


async def create_bucket(ctx: ActivityContext) -> str:
    """Create a bucket for the user; return its name."""
    answer = await ctx.run("create", ask, "/buckets", {"owner": ctx.key}, key=ctx.stable_id)
    return str(answer["bucket"])


async def upload_text(ctx: ActivityContext, data: UploadData) -> str:
    """Upload the text, which may take long; return its URL. A retry continues under the same key."""
    answer = await ctx.run("upload", ask, "/uploads", {"bucket": data.bucket, "text": data.text}, key=ctx.stable_id)
    return str(answer["url"])


async def send_mail(ctx: ActivityContext, email: str, data: UploadData) -> None:
    """Mail the result to one listener. A repeated request is recognised by its key, and sends no second mail."""
    text = f"Your data is at {data.url}" if data.url else f"Your data was not uploaded: {data.problem}"
    await ctx.run("mail", ask, "/mails", {"to": email, "text": text}, key=ctx.stable_id)
