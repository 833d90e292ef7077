"""A Kafka broker to try the applications with. It writes each line of its input to a topic: a key, a space, a value.

    python -m machines.broker social-media-posts

It prints its address, runs until the input ends, and forgets all records then.
"""

from __future__ import annotations

import argparse
import sys

import click

from durable_fsm.testing import KafkaBroker


def main() -> None:
    """Write records until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topic", help="its name; it has one partition")
    topic = parser.parse_args().topic
    with KafkaBroker() as broker:
        broker.create(topic, partitions=1)
        click.echo(
            f"Subscribe to it: durable-fsm kafka … --brokers default={broker.bootstrap_servers}\nThen type records."
        )
        for line in sys.stdin:
            key, _, value = line.strip().partition(" ")
            partition, offset = broker.produce(topic, key, value)
            click.echo(f"{topic}[{partition}]@{offset}")


if __name__ == "__main__":
    main()
