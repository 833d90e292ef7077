"""The feed's chart, and the decoder of posts that come from Kafka. The outside work is in `activities`."""

from __future__ import annotations

import os
from datetime import timedelta

from statemachine import State, StateChart

from durable_fsm import Failure, Incoming, Kafka, Record, activity, after, defer, durable, event
from machines.user_feed.activities import check, create, publish
from machines.user_feed.data import FeedData, Post

PAUSE = timedelta(seconds=float(os.environ.get("FEED_PAUSE_SECONDS", "5")))
"""How long a feed waits before it asks the moderators again: five seconds, or FEED_PAUSE_SECONDS."""


def posted(record: Record) -> Incoming:
    """Turn a record into a post; its key is the user. A post with an id is processed once."""
    post = Post.model_validate_json(record.value)
    return Incoming("post", post.model_dump(), id=post.id)


@durable(
    name="userFeed",
    version="1",
    handlers={"processPost": "post"},
    sources=[Kafka("social-media-posts", decode=posted, events=("post",))],
)
class UserFeed(StateChart[FeedData]):
    """A user's feed. It processes one post at a time; those that come meanwhile wait in order."""

    idle = State(initial=True)

    class processing(State.Compound):
        creating = State(initial=True, invoke=activity(create))

        class moderating(State.Compound):
            checking = State(initial=True, invoke=activity(check))
            waiting = State()

        publishing = State(invoke=activity(publish))

    defer(processing, "post")

    post = event(idle.to(processing.creating), Post)
    done_invoke_creating = processing.creating.to(processing.moderating)
    done_invoke_checking = processing.moderating.checking.to(
        processing.moderating.waiting, cond="is_pending"
    ) | processing.publishing.from_(processing.moderating)
    check_again = after(PAUSE, processing.moderating.waiting.to(processing.moderating.checking))
    done_invoke_publishing = processing.publishing.to(idle)
    error_execution = processing.to(idle)

    def is_pending(self, result: str) -> bool:
        return result == "PENDING"

    def on_post(self, data: FeedData, payload: Post) -> None:
        data.post = payload

    def on_done_invoke_creating(self, data: FeedData, result: str) -> None:
        data.post_id = result

    def on_done_invoke_publishing(self, data: FeedData) -> None:
        data.published += 1

    def on_error_execution(self, data: FeedData, error: Failure) -> None:
        data.refused += 1
        data.reason = error.message

    def on_enter_idle(self, data: FeedData) -> None:
        data.post, data.post_id = None, ""
