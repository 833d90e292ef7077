"""The data of a feed, and the payload of a post."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Post(BaseModel):
    """A text that a user posts. Two posts with the same id are one."""

    content: str = Field(min_length=1)
    metadata: str = ""
    id: str | None = Field(default=None, min_length=1)


class FeedData(BaseModel):
    """The post that is being processed, and what became of the earlier ones."""

    post: Post | None = None
    post_id: str = ""
    published: int = 0
    refused: int = 0
    reason: str = ""
