"""R10, social feed: posts of one user wait for each other, and other users' do not, on one partition.

What happened is read from the ledger of the site, a process of its own: it lists what it did, in order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from durable_fsm import chart_from
from durable_fsm.testing import KafkaBroker, Rehearsal, RestateServer, wait_until
from machines.user_feed.machine import PAUSE, UserFeed
from tests.acceptance.applications import PATIENCE, Stage, edges, hosted, rehearsed, staged
from tests.kafka import Brokers

pytestmark = pytest.mark.server

FEED, TOPIC = "userFeed", "social-media-posts"
SECONDS = 0.1
"""How long a feed waits before it asks the moderators again in these tests; five seconds by default."""


@dataclass
class Site(Stage):
    """Feeds on a server, the site that they call, and the broker that users' posts come from."""

    broker: KafkaBroker

    def post(self, *posts: tuple[str, str], id: str | None = None) -> None:
        """Write posts, as user and content, to the topic."""
        self.broker.produce_all(TOPIC, [(user, json.dumps({"content": text, "id": id})) for user, text in posts])

    def deeds(self, *users: str) -> list[tuple[str, str, str]]:
        """What was done for these users, in order: the user, what, and the content of the post."""
        ledger = self.outside.ledger()
        posts = {done["answer"]["post"]: done["body"] for done in ledger if done["path"] == "/posts"}
        found: list[tuple[str, str, str]] = []
        for done in ledger:
            post = posts[done["body"].get("post", done["answer"].get("post"))]
            found.append((post["user"], done["path"].strip("/"), post["content"]))
        return [deed for deed in found if deed[0] in users]

    def published(self, user: str) -> list[str]:
        """The contents of a user's feed, in order."""
        return [content for _, what, content in self.deeds(user) if what == "feeds"]

    def wait_published(self, user: str, *contents: str) -> None:
        """Wait until a feed is that long, and see that it has just these posts, each processed at a time of its own."""
        wait_until(lambda: len(self.published(user)) >= len(contents), PATIENCE, f"{user} to have {contents}")
        assert self.published(user) == [*contents]
        steps = [what for _, what, _ in self.deeds(user)]
        in_turn = ["posts", "moderations", "feeds"] * len(contents)
        assert [what for what, _ in groupby(steps)] == in_turn, "the steps of two posts never overlap"
        assert steps.count("posts") == len(contents)
        wait_until(lambda: self.feed(user)["configuration"] == ["idle"], PATIENCE, f"{user} to be idle")

    def wait_deed(self, user: str, what: str, content: str) -> None:
        wait_until(lambda: (user, what, content) in self.deeds(user), PATIENCE, f"{what} of {user}")

    def feed(self, user: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server.call(FEED, user, "snapshot")
        return found

    def records(self, *users: str) -> list[tuple[str, str]]:
        """The records of these users as the broker has them, in the order of their offsets: user and content."""
        consumer = Consumer({"bootstrap.servers": self.broker.bootstrap_servers, "group.id": "reader"})
        try:
            [place] = consumer.list_topics(TOPIC, timeout=60).topics[TOPIC].partitions
            _, end = consumer.get_watermark_offsets(TopicPartition(TOPIC, place), timeout=60)
            consumer.assign([TopicPartition(TOPIC, place, 0)])
            found = consumer.consume(end, timeout=60)
        finally:
            consumer.close()
        assert [record.offset() for record in found] == list(range(end))
        told = [((record.key() or b"").decode(), json.loads(record.value() or b"")["content"]) for record in found]
        return [one for one in told if one[0] in users]


@contextmanager
def opened(server: RestateServer, place: Path, brokers: Brokers) -> Iterator[Site]:
    broker = brokers.of(server)
    broker.create(TOPIC, partitions=1)
    env = {"FEED_PAUSE_SECONDS": str(SECONDS)}
    with staged("user_feed", server, place, env) as stage, broker.subscribed(server, UserFeed):
        yield Site(stage.name, stage.served, server, stage.outside, broker)


site_awake, site_replaying, site = hosted("site", opened, "brokers")


def test_a_user_whose_post_is_looked_at_again_and_again_delays_no_other_user(site: Site) -> None:
    slow, quick, next_ = "First!!!", "Hello", "Second"

    site.post(("u1", slow), ("u2", quick), ("u1", next_))
    site.wait_published("u1", slow, next_)
    site.wait_published("u2", quick)

    done = site.deeds("u1", "u2")
    looks = [place for place, deed in enumerate(done) if deed == ("u1", "moderations", slow)]
    assert len(looks) == 4, "pending three times, then done"
    assert done.index(("u1", "posts", slow)) < done.index(("u2", "feeds", quick))
    assert done.index(("u2", "posts", quick)) < looks[-1]
    assert done.index(("u2", "feeds", quick)) < done.index(("u1", "feeds", slow)) < done.index(("u1", "posts", next_))
    assert site.records("u1", "u2") == [("u1", slow), ("u2", quick), ("u1", next_)], "on one partition"


def test_each_feed_has_the_order_of_the_brokers_records(site: Site) -> None:
    users = [f"writer {number}" for number in range(3)]
    posts = [(users[(place + turn) % 3], f"{turn}.{place}" + "!" * place) for turn in range(2) for place in range(3)]

    site.post(*posts)
    records = site.records(*users)

    assert records == posts
    for user in users:
        site.wait_published(user, *[content for one, content in records if one == user])


def test_a_killed_service_publishes_the_post_that_it_has_created(site_awake: Site) -> None:
    """The service dies while the site has created, looked at and published a post, and the service does not know it."""
    site, users = site_awake, {"/feeds": "publisher", "/moderations": "waiter", "/posts": "author"}
    for path, user in users.items():
        site.outside.withhold(path)
        site.post((user, "Hello"), (user, "Again"))
        site.wait_deed(user, path.strip("/"), "Hello")
    site.post(("patient", "Look!!!"))
    site.wait_deed("patient", "moderations", "Look!!!")

    site.restart()

    for user in users.values():
        site.wait_published(user, "Hello", "Again")
        first, _ = site.outside.done("/posts", user=user)
        assert site.outside.done("/feeds", post=first["answer"]["post"]), "the id is still the same"
        assert len(site.deeds(user)) == 6, "each step once"
    site.wait_published("patient", "Look!!!")
    assert [what for _, what, _ in site.deeds("patient")] == ["posts", *["moderations"] * 4, "feeds"]


def test_a_killed_server_resumes_the_topic_where_it_was(site_awake: Site) -> None:
    site, users = site_awake, ["killed 1", "killed 2"]
    before, after = ["one", "two!"], ["three", "four!"]
    site.post(*[(user, content) for content in before for user in users])
    wait_until(lambda: any(site.deeds(user) for user in users), PATIENCE)

    site.server.kill()
    assert not site.server.process.alive
    site.post(*[(user, content) for content in after for user in users])
    site.server.start()

    for user in users:
        site.wait_published(user, *before, *after)
        assert site.feed(user)["data"]["published"] == 4
    assert [content for user, content in site.records(*users) if user == users[0]] == [*before, *after]
    taken = site.server.query(
        f"SELECT id FROM sys_invocation WHERE target_service_name = '{FEED}.kafka' AND invoked_by = 'subscription'"
        f" AND target_service_key IN ('{users[0]}', '{users[1]}')"
    )
    assert len(taken) == len(site.records(*users)) == 8, "each record once"


def test_the_same_value_twice_is_two_posts(site: Site) -> None:
    site.post(("repeating", "Hello"), ("repeating", "Hello"))

    site.wait_published("repeating", "Hello", "Hello")
    assert len({done["answer"]["post"] for done in site.outside.done("/posts", user="repeating")}) == 2


def test_posts_with_the_same_id_are_one(site: Site) -> None:
    site.post(("stuttering", "Hello"), ("stuttering", "Hello"), ("other", "Hello"), id="p-7")
    site.post(("stuttering", "Bye"))
    site.post(("stuttering", "Hello"), id="p-7")
    site.post(("stuttering", "I said bye"))

    site.wait_published("stuttering", "Hello", "Bye", "I said bye")
    site.wait_published("other", "Hello")


def test_a_post_over_http_waits_for_those_from_the_topic(site: Site) -> None:
    with site.outside.holding("/moderations"):
        site.post(("both", "From Kafka"))
        site.wait_deed("both", "posts", "From Kafka")
        receipt = site.server.call(FEED, "both", "processPost", {"content": "Over HTTP"})

    assert receipt["outcome"] == "deferred"
    site.wait_published("both", "From Kafka", "Over HTTP")
    assert site.server.call(FEED, "both", "processPost", {"content": "At once"})["outcome"] == "taken"
    site.wait_published("both", "From Kafka", "Over HTTP", "At once")


def test_a_refused_post_is_not_published_and_the_next_one_follows(site: Site) -> None:
    site.post(("selling", "Buy now"), ("selling", "Sorry"))

    wait_until(lambda: site.published("selling") == ["Sorry"], PATIENCE)
    wait_until(lambda: site.feed("selling")["configuration"] == ["idle"], PATIENCE)
    data = site.feed("selling")["data"]
    assert (data["published"], data["refused"], data["reason"]) == (1, 1, "this is an advertisement")


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(UserFeed)) == {
        ("idle", "post", ("creating",)),
        ("creating", "done.invoke.creating", ("moderating",)),
        ("checking", "done.invoke.checking", ("waiting",)),
        ("waiting", "check_again", ("checking",)),
        ("moderating", "done.invoke.checking", ("publishing",)),
        ("publishing", "done.invoke.publishing", ("idle",)),
        ("processing", "error.execution", ("idle",)),
    }
    chart = chart_from(UserFeed)
    assert chart.states["processing"].defers == ("post",)
    assert {state.id for state in chart.states.values() if state.parent == "processing"} == {
        "creating",
        "moderating",
        "publishing",
    }
    assert [source.topic for source in chart.hosting.sources] == [TOPIC]


def test_the_server_does_what_the_rehearsal_does(site: Site) -> None:
    rehearsal = Rehearsal(UserFeed, key="told")
    rehearsal.send("post", {"content": "Hello!"})
    rehearsal.finish("creating", "post-1")
    rehearsal.finish("checking", "PENDING")
    rehearsal.advance(PAUSE)
    rehearsal.finish("checking", "DONE")
    rehearsal.finish("publishing")

    site.post(("told", "Hello!"))
    site.wait_published("told", "Hello!")

    assert site.recorded(FEED, "told") == rehearsed(rehearsal)
    assert site.feed("told")["data"] == rehearsal.data.model_dump(mode="json")


def test_restate_has_completed_the_posts_and_their_activities(site: Site) -> None:
    site.post(("counted", "Hello"))
    site.wait_published("counted", "Hello")

    done = site.server.query(
        "SELECT target_service_name AS service, target_handler_name AS handler, invoked_by FROM sys_invocation"
        f" WHERE status = 'completed' AND completion_result = 'success' AND target_service_name LIKE '{FEED}%'"
    )
    taken = {(row["service"], row["handler"], row["invoked_by"]) for row in done}
    assert {(f"{FEED}.kafka", "_forward", "subscription"), (f"{FEED}.activities", "creating", "service")} <= taken


def test_the_commands_of_the_readme_do_what_it_says(site: Site) -> None:
    commands = site.run_readme({"localhost:9090": site.outside.url.removeprefix("http://")})

    with site.outside.holding("/moderations"):
        first, second, snapshot = islice(commands, 3)
    waited, ledger = commands

    assert (first["outcome"], second["outcome"], waited["configuration"]) == ("taken", "deferred", ["idle"])
    assert [event["payload"]["content"] for event in snapshot["deferred"]] == ["Second"]
    assert [done["body"]["content"] for done in ledger if done["body"].get("content")][-2:] == ["First!!", "Second"]
