"""The building blocks, rehearsed."""

from __future__ import annotations

import pytest

from durable_fsm.testing import Rehearsal
from machines.building_blocks.machine import DAY, PAUSE, Blocks, Subscription


@pytest.fixture
def subscription() -> Rehearsal:
    return Rehearsal(Subscription, key="news")


@pytest.fixture
def blocks(subscription: Rehearsal) -> Rehearsal:
    """A machine that got its answer, and waits for its callback."""
    blocks = Rehearsal(Blocks, key="b", beside=subscription)
    blocks.send("run", {"subscription": "news"})
    assert blocks.configuration == ("calling",)
    subscription.finish("creating", "subscription-1")
    return blocks


def test_it_goes_through_one_block_after_the_other(blocks: Rehearsal, subscription: Rehearsal) -> None:
    waiting = blocks.configuration
    subscription.finish("creating", "subscription-2")
    blocks.finish("awaiting_callback", "hello")
    blocks.advance(PAUSE)
    blocks.finish("charging", "receipt-1")

    assert (waiting, blocks.configuration) == (("awaiting_callback",), ("over", "done"))
    assert (blocks.data.word, blocks.data.receipt) == ("hello", "receipt-1")
    assert subscription.data.numbers == ["subscription-1", "subscription-2"]
    blocks.advance(DAY)
    assert subscription.configuration == ("cancelled",)


def test_a_callback_times_out(blocks: Rehearsal) -> None:
    blocks.advance(PAUSE)

    assert (blocks.configuration, blocks.running) == (("over", "timed_out"), ())


def test_running_it_again_cancels_the_message_that_would_end_the_subscription(
    blocks: Rehearsal, subscription: Rehearsal
) -> None:
    blocks.advance(PAUSE)
    blocks.send("run", {"subscription": "news"})

    assert "end" not in blocks.timers


def test_a_refused_subscription_is_answered_with_the_reason(subscription: Rehearsal) -> None:
    blocks = Rehearsal(Blocks, key="b", beside=subscription)
    blocks.send("run", {"subscription": "news"})
    subscription.fail("creating", "there is no such thing", code=404)

    assert (blocks.configuration, blocks.data.trouble) == (("over", "failed"), "there is no such thing")
