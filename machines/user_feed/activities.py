"""The outside work of a feed: HTTP requests to the site that keeps, moderates and shows posts.

Every request carries a stable id as its idempotency key, so the site does a request that is repeated after a crash once.
"""

from __future__ import annotations

from durable_fsm import ActivityContext
from machines.user_feed.data import FeedData
from machines.world import ask


async def create(ctx: ActivityContext, data: FeedData) -> str:
    """Create the post; return its id."""
    assert data.post is not None
    post = {"user": ctx.key, "content": data.post.content, "metadata": data.post.metadata}
    answer = await ctx.run("create", ask, "/posts", post, key=ctx.stable_id)
    return str(answer["post"])


async def check(ctx: ActivityContext, data: FeedData) -> str:
    """Ask the moderators once; return the status, `PENDING` or `DONE`."""
    answer = await ctx.run("check", ask, "/moderations", {"post": data.post_id}, key=ctx.stable_id)
    return str(answer["status"])


async def publish(ctx: ActivityContext, data: FeedData) -> None:
    """Show the post in the user's feed."""
    await ctx.run("publish", ask, "/feeds", {"user": ctx.key, "post": data.post_id}, key=ctx.stable_id)
