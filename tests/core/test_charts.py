"""Charts as values: retries, exports, digests."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest

from durable_fsm.core.activity import ActivityContext
from durable_fsm.core.chart import (
    Activity,
    AfterEnd,
    Callback,
    EventType,
    Guard,
    Hosting,
    Kind,
    Retry,
    Timer,
    Transition,
)
from durable_fsm.core.migration import Migration
from durable_fsm.core.sources import Incoming, Kafka, Webhook
from durable_fsm.core.values import Location, Misfit
from tests.building import Members, action, chart, edge, guard, hosted

SECOND = timedelta(seconds=1)


def work() -> None: ...


@pytest.mark.parametrize(
    ("attempt", "delay"),
    [(1, SECOND), (2, 2 * SECOND), (3, 4 * SECOND), (4, 5 * SECOND), (100_000, 5 * SECOND)],
)
def test_the_wait_between_two_attempts_doubles_up_to_its_maximum(attempt: int, delay: timedelta) -> None:
    assert Retry(initial=SECOND, factor=2.0, maximum=5 * SECOND).delay(attempt) == delay


def made(**changes: object) -> object:
    drawn = chart(
        "a\nb\n    kept history\n    c",
        edge(
            "a", "pay", "b", guards=[guard(lambda s: True, "has_items"), guard(lambda s: True, "closed", negated=True)]
        ),
        entry={"b": [action(lambda s: None, "open_window")]},
        timers={"b": [Timer("pay", SECOND)]},
        activities={"b": [Activity("charge", "charge_card", work, location=Location("order.py", 3))]},
        initial={"kept": Transition("", "kept", ("c",))},
        events=[EventType("pay", Members(), doc="Pay.")],
    )
    tagged = {**drawn.states, "a": replace(drawn.states["a"], tags=frozenset({"open", "early"}))}
    return replace(drawn, states=tagged, **changes)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"attempts": 0}, "attempts=0 would never try; use 1 or more, or None to try until it succeeds"),
        ({"attempts": -1}, "attempts=-1 would never try"),
        ({"factor": float("nan")}, "factor=nan does not make waits grow; use a number from 1 on"),
        ({"factor": float("inf")}, "factor=inf does not"),
        ({"factor": 0.5}, "factor=0.5 does not"),
        ({"initial": -SECOND}, "initial=-1 day, 23:59:59 is a negative wait; use timedelta(0) or more"),
        ({"maximum": -SECOND}, "maximum=-1 day, 23:59:59 is a negative wait"),
    ],
)
def test_a_retry_that_cannot_be_meant_is_refused(wrong: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        Retry(**wrong)


def test_a_chart_is_exported_with_names_and_without_code() -> None:
    exported = made().to_json()  # type: ignore[attr-defined]

    assert exported["name"] == "Order"
    assert exported["policies"] == {
        "unexpected": "reject",
        "create_first": False,
        "catch_errors": True,
        "scxml": False,
        "cancel_timers_over": "0 s",
        "history": {"entries": 1000, "age": None},
    }
    assert exported["events"] == [{"name": "pay", "public": True, "doc": "Pay.", "payload": {"type": "object"}}]
    root, a, b, kept, _ = exported["states"]
    assert root["children"] == ["a", "b"]
    assert a["tags"] == ["early", "open"]
    assert b["entry"] == ["open_window"]
    assert b["timers"] == [{"event": "pay", "after": "1 s", "when": None, "recurring": False, "instant": False}]
    assert b["activities"][0] == {
        "id": "charge",
        "name": "charge_card",
        "exclusive": False,
        "retry": {"attempts": None, "initial": "0.5 s", "factor": 2.0, "maximum": "60 s", "give_up_on": []},
        "deadline": "86400 s",
        "input": None,
        "timeout": None,
        "limit": None,
        "each": None,
    }
    assert kept["kind"] == "shallow_history"
    assert kept["initial"]["targets"] == ["c"]
    assert exported["transitions"][0]["guards"] == ["has_items", "!closed"]


def test_the_digest_changes_with_what_shows_and_with_nothing_else() -> None:
    assert made().digest == made().digest  # type: ignore[attr-defined]
    assert len(made().digest) == 12  # type: ignore[attr-defined]
    assert made().digest != made(version="2").digest  # type: ignore[attr-defined]
    assert made().digest != made(hosting=Hosting(create_first=True)).digest  # type: ignore[attr-defined]


NOTICED = {
    "handlers": {"payNow": "pay"},
    "create_first": True,
    "cancel_timers_over": timedelta(hours=1),
    "history": None,
    "after_end": AfterEnd(timedelta(0), free=True),
    "defer_for": timedelta(hours=1),
    "defer_while_paused": True,
}
UNNOTICED = {
    "sources": (Kafka("orders", decode=Incoming),),
    "webhooks": (Webhook("shop", decode=Incoming, signature=None),),
    "redact": ("card_number",),
    "operators_only": ("repair",),
    "migrations": (Migration("0", "1"),),
    "index": ("customer",),
    "clock": True,
    "workflow": True,
    "flow": True,
    "queries": {"getStatus": len},
}


@pytest.mark.parametrize("option", NOTICED)
def test_a_hosting_option_that_callers_can_notice_is_in_the_digest(option: str) -> None:
    plain, changed = chart("a"), hosted(chart("a"), **{option: NOTICED[option]})

    assert plain != changed
    assert plain.digest != changed.digest


@pytest.mark.parametrize("option", UNNOTICED)
def test_a_hosting_option_that_only_the_host_reads_is_not_in_the_digest(option: str) -> None:
    plain, changed = chart("a"), hosted(chart("a"), **{option: UNNOTICED[option]})

    assert plain == changed
    assert plain.digest == changed.digest


def test_every_hosting_option_is_known_to_be_in_the_digest_or_not() -> None:
    assert [spec.name for spec in fields(Hosting)] == [*NOTICED, *UNNOTICED]


def test_callbacks_are_equal_if_their_names_are() -> None:
    assert Callback("a", work) == Callback("a", print, Location("x.py", 1))
    assert Guard("a", work).label == "a"
    assert Guard("a", work, negated=True).label == "!a"
    assert Guard("a", work) != Guard("a", work, negated=True)


def test_places_are_written_as_editors_read_them() -> None:
    assert str(Location("order.py", 3)) == "order.py:3"
    assert str(Misfit("expected int", "$.total")) == "expected int at $.total"


def test_a_chart_knows_its_activities_and_public_events() -> None:
    chart_ = made()

    assert list(chart_.activities) == ["charge"]  # type: ignore[attr-defined]
    assert chart_.public_events == ("pay",)  # type: ignore[attr-defined]
    assert Kind.DEEP_HISTORY.is_history
    assert not Kind.FINAL.is_history


def test_an_activity_is_promised_a_name_steps_sleep_and_callbacks() -> None:
    promised = {name for name in vars(ActivityContext) if not name.startswith("_")}

    assert promised == {"callback", "key", "machine", "run", "sleep", "stable_id"}
