"""A user's feed, rehearsed."""

from __future__ import annotations

import json

import pytest

from durable_fsm import Incoming, Record
from durable_fsm.testing import Rehearsal
from machines.user_feed.machine import PAUSE, UserFeed, posted


@pytest.fixture
def feed() -> Rehearsal:
    """A feed whose first post has been created and is looked at."""
    feed = Rehearsal(UserFeed, key="ada")
    feed.send("post", {"content": "First!"})
    feed.finish("creating", "post-1")
    return feed


def test_a_post_is_created_looked_at_until_it_is_done_and_published(feed: Rehearsal) -> None:
    states: list[str] = []

    for activity, result in (("checking", "PENDING"), ("checking", "DONE"), ("publishing", None)):
        feed.finish(activity, result)
        states.append(feed.configuration[-1])
        feed.advance(PAUSE)

    assert (states, feed.data.published) == (["waiting", "publishing", "idle"], 1)


def test_posts_wait_in_order_until_the_one_before_is_published(feed: Rehearsal) -> None:
    feed.finish("checking", "PENDING")
    waiting = [feed.send("post", {"content": content}).outcome for content in ("Second", "Third")]
    assert waiting == ["deferred", "deferred"]

    feed.advance(PAUSE)
    feed.finish("checking", "DONE")
    feed.finish("publishing")

    assert (feed.configuration, feed.data.post.content) == (("processing", "creating"), "Second")


def test_a_refused_post_is_not_published_and_the_next_one_follows(feed: Rehearsal) -> None:
    feed.send("post", {"content": "Second"})

    feed.fail("checking", "this is an advertisement", code=400)

    assert (feed.data.refused, feed.data.reason) == (1, "this is an advertisement")
    assert feed.data.post.content == "Second"


def test_a_record_becomes_a_post_whose_id_counts_once() -> None:
    body = {"content": "Hello", "metadata": "web", "id": "p-7"}

    decoded = posted(Record("social-media-posts", 0, 7, 0, "ada", json.dumps(body).encode()))

    assert decoded == Incoming("post", body, id="p-7")


@pytest.mark.parametrize("value", [b"{", b"{}", b'{"content": ""}'], ids=["torn", "empty", "without words"])
def test_a_record_that_is_not_a_post_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="Post"):
        posted(Record("social-media-posts", 0, 7, 0, "ada", value))
