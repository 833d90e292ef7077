"""The site, in a separate process: it keeps posts, moderates them, and shows them in feeds.

`python -m machines.user_feed.world` serves it. The moderators look at a post once more for every exclamation mark in it,
and refuse advertisements.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from machines.world import Answer, World, serve


def create(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {"post": f"post-{uuid4()}"}


def moderate(world: World, key: str, body: dict[str, Any]) -> Answer:
    [content] = [
        done["body"]["content"]
        for done in world.ledger
        if done["path"] == "/posts" and done["answer"]["post"] == body["post"]
    ]
    if "buy now" in content.lower():
        return 400, {"reason": "this is an advertisement"}
    looks = sum(done["path"] == "/moderations" and done["body"] == body for done in world.ledger)
    return 201, {"status": "PENDING" if looks < content.count("!") else "DONE"}


def publish(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {}


if __name__ == "__main__":
    serve({"/posts": create, "/moderations": moderate, "/feeds": publish}, __doc__)
