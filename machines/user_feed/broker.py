"""A Kafka broker to try the feed with. It writes each line of its input, `user: content`, to the topic.

    python -m machines.user_feed.broker

It prints the command that subscribes the feeds, and runs until the input ends.
"""

from __future__ import annotations

import json
import sys

import click

from durable_fsm.testing import KafkaBroker

TOPIC = "social-media-posts"


def main() -> None:
    """Write posts until the input ends."""
    with KafkaBroker() as broker:
        broker.create(TOPIC, partitions=1)
        subscribe = "durable-fsm kafka machines.user_feed.machine:UserFeed --brokers default="
        click.echo(
            f"Subscribe the feeds:\n  {subscribe}{broker.bootstrap_servers}\nThen type posts, as 'user: content'."
        )
        for line in sys.stdin:
            user, _, content = line.strip().partition(": ")
            partition, offset = broker.produce(TOPIC, user, json.dumps({"content": content}))
            click.echo(f"written to {TOPIC}[{partition}] at {offset}")


if __name__ == "__main__":
    main()
