"""Arguments of the wrong type are refused in the line that the author wrote, and not when a machine runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State

from durable_fsm import (
    DefinitionError,
    History,
    HmacSha256,
    Kafka,
    Retry,
    TransitionsConfig,
    Webhook,
    activity,
    after,
    at,
    chart_from,
    defer,
    durable,
    event,
    every,
    free,
    gone,
    machine,
    migration,
    undo_all,
)

open_, shut = State(initial=True), State()
close = open_.to(shut)
LIGHT_YEAR = timedelta(days=40_000)
anything: Any = None


class Size(BaseModel):
    """A payload."""


async def work(data: object) -> None:
    """Do nothing."""


def door(**options: Any) -> TransitionsConfig:
    return TransitionsConfig("Door", ["open", "shut"], [["close", "open", "shut"]], "open", **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: activity(work, retry=5), "activity(): retry must be a Retry, and is 5. Write Retry(attempts=5)."),
        (lambda: activity(work, deadline=30), "deadline must be a timedelta or None, and is 30."),
        (lambda: activity(work, timeout="30s"), "timeout must be a timedelta or None, and is '30s'."),
        (lambda: activity(work(None)), "Write work, without calling it."),
        (lambda: activity("work"), "activity(): run must be a function, and is 'work'."),
        (lambda: activity(work, undo="undone"), "activity(): undo must be a function or None, and is 'undone'."),
        (lambda: activity(work, exclusive="yes"), "exclusive must be True or False, and is 'yes'."),
        (lambda: activity(work, limit=1.5), "limit must be an int or a Limit or None, and is 1.5."),
        (lambda: undo_all(deadline=5), "undo_all(): deadline must be a timedelta or None, and is 5."),
        (lambda: machine(door(), input=5), "machine(): input must be text or a tuple or a function or None, and is 5."),
        (lambda: Retry(attempts="3"), "Retry(): attempts must be an int or None, and is '3'."),
        (lambda: Retry(initial=5), "Retry(): initial must be a timedelta, and is 5. Write timedelta(seconds=5)."),
        (lambda: Retry(give_up_on=[ValueError()]), "Retry(): give_up_on[0] must be a class, and is ValueError()."),
        (lambda: History(age=3), "History(): age must be a timedelta or None, and is 3. Write timedelta(seconds=3)."),
        (lambda: after(15, close), "after(): delay must be a timedelta or text or a function, and is 15. Write timed"),
        (lambda: every(0.5, close), "every(): delay must be a timedelta or text or a function or cron(…), and is 0.5."),
        (lambda: at(3, close), "at(): instant must be text or a function or cron(…), and is 3."),
        (lambda: after(close, timedelta(1)), "expected transitions, such as cart.to(paid), and got datetime.timedelta"),
        (lambda: after(timedelta(1), shut), "expected transitions, such as cart.to(paid), and got State('', id='"),
        (lambda: event("close"), "expected transitions, such as cart.to(paid), and got 'close'"),
        (lambda: event(close, Size, public=1), "event(): public must be True or False, and is 1."),
        (lambda: free(60), "free(): ttl must be a timedelta, and is 60. Write timedelta(seconds=60)."),
        (lambda: gone("1d"), "gone(): ttl must be a timedelta, and is '1d'."),
        (lambda: durable(version=2), "durable(): version must be text, and is 2."),
        (
            lambda: durable(history=50),
            "durable(): history must be a History or None, and is 50. Write History(entries=50).",
        ),
        (lambda: durable(after_end=timedelta(1)), "durable(): after_end must be an AfterEnd or None, and is datetime"),
        (lambda: durable(handlers={"go": 5}), "durable(): handlers['go'] must be text, and is 5."),
        (lambda: durable(redact=[7]), "durable(): redact[0] must be text, and is 7."),
        (lambda: durable(operators_only=[None]), "durable(): operators_only[0] must be text, and is None."),
        (lambda: durable(sources="orders"), "durable(): sources must be a list, and is 'orders'."),
        (lambda: durable(sources=["orders"]), "durable(): sources[0] must be a Kafka, and is 'orders'."),
        (lambda: durable(webhooks=["stripe"]), "durable(): webhooks[0] must be a Webhook, and is 'stripe'."),
        (lambda: migration("1", to=2), "Migration(): to must be text, and is 2."),
        (lambda: door(version=2), "TransitionsConfig(): version must be text, and is 2."),
        (
            lambda: door(timers={"open": {"close": 5}}),
            "timers['open']['close'] must be a timedelta or text or a functi",
        ),
        (lambda: door(timers={"open": 5}), "TransitionsConfig(): timers['open'] must be a dict, and is 5."),
        (lambda: door(defers={"open": 5}), "TransitionsConfig(): defers['open'] must be a list, and is 5."),
        (lambda: door(model="Door"), "TransitionsConfig(): model must be a class or None, and is 'Door'."),
    ],
)
def test_an_argument_of_the_wrong_type_is_a_type_error_of_the_call(call: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError) as refused:
        call()

    assert message in str(refused.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: after(timedelta.max, close),
        lambda: every(LIGHT_YEAR, close),
        lambda: activity(work, deadline=LIGHT_YEAR),
        lambda: activity(work, timeout=timedelta.max),
        lambda: undo_all(deadline=timedelta.max),
        lambda: free(LIGHT_YEAR),
        lambda: gone(LIGHT_YEAR),
    ],
    ids=("after", "every", "deadline", "timeout", "undo_all", "free", "gone"),
)
def test_a_time_longer_than_any_timer_is_refused_where_it_is_written(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="longer than any timer can be; use 36525 or less"):
        call()


def test_a_timer_of_a_configuration_longer_than_any_is_a_problem() -> None:
    with pytest.raises(DefinitionError, match="timer 'close' of 'open' is longer than any timer can be"):
        chart_from(door(timers={"open": {"close": timedelta.max}}))


def test_right_arguments_are_taken() -> None:
    def decode(_: object) -> None:
        """Skip everything."""

    options: dict[str, Any] = {
        "sources": [Kafka("t", decode)],
        "webhooks": (Webhook("w", decode, signature=HmacSha256(secret="S", header="h")),),
        "redact": "size",
    }

    assert door(**options, activities={"open": activity(work, retry=Retry(3))}, defers={"open": ["close"]})
    assert durable(**options, history=None, handlers=None)
    assert defer(shut, "close") is None  # type: ignore[func-returns-value]
