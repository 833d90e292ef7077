"""What has a limit, so that nobody makes a machine too heavy to be stored; and the table that says so."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from durable_fsm import errors
from durable_fsm.core import address, codec, durations, fan_out, step
from durable_fsm.core.values import Json
from durable_fsm.restate import history
from durable_fsm.restate.http import requests
from durable_fsm.restate.http.errors import terminal
from durable_fsm.restate.http.requests import MAX_NAME, MAX_SNAPSHOT, RepairRequest, WaitRequest, name_of_event
from durable_fsm.restate.machine import waiters, waiting
from durable_fsm.restate.machine.deliveries import keep_parked
from durable_fsm.restate.machine.waiters import MOST_BYTES, Waiters
from durable_fsm.restate.messages import inbox
from durable_fsm.restate.observability.texts import MAX_MESSAGE
from durable_fsm.restate.sources import dead_letters
from durable_fsm.restate.stored.deliveries import ParkedDelivery
from durable_fsm.restate.stored.waiters import Waiter
from tests.building import chart, edge

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
ORDER = chart("cart\npaid", edge("cart", "pay", "paid"))


def test_the_table_of_limits_says_what_holds() -> None:
    limits = PAGE.read_text().partition("\n## Sizes and counts\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|`]+?) \| ([\d,]+(?: \w+)?)[^|]*\| [^|]+ \|$", limits, re.MULTILINE)
    mib, kib = 1024 * 1024, 1024

    assert dict(rows) == {
        "a request": f"{requests.MAX_INPUT // mib} MiB",
        "its nesting": f"{codec.MAX_DEPTH} levels",
        "the nesting of a result, a message, a reply, an attribute": f"{codec.MAX_DEPTH} levels",
        "a timer, a delay, a sleep or a timeout that data or a payload chooses": f"{durations.LONGEST_DELAY.days:,} days",
        "the name of an event": f"{requests.MAX_NAME} characters",
        "a key, in the path of a request": f"{address.LONGEST_KEY:,} bytes",
        "a key that a decoder, a key function or a callback chooses": f"{address.LONGEST_KEY:,} bytes",
        "the key of a child, which contains its parent's": f"{address.LONGEST_CHILD_KEY // kib} KiB",
        "a machine with the latest entries of its history": f"{requests.MAX_SNAPSHOT // mib} MiB",
        "deferred events": f"{step.MOST_DEFERRED:,} events",
        "their payloads together": f"{step.MOST_DEFERRED_BYTES // kib} KiB",
        "callers that wait for a machine": f"{waiters.MOST:,}",
        "callers that begin to wait for machines of one chart at the same moment, in each process": f"{waiting.MOST_AT_ONCE}",
        "replies that are kept for them": f"{waiters.MOST_BYTES // mib} MiB",
        "the input of an activity, with the items of a fan-out": f"{requests.MAX_SNAPSHOT // mib} MiB",
        "the output of a child": f"{requests.MAX_INPUT // mib} MiB",
        "messages that wait because no deployment can read their machine": f"{inbox.MOST_LETTERS:,} messages",
        "the result of an activity, the answer to a callback": f"{requests.MAX_INPUT // mib} MiB",
        "the result of a step": f"{requests.MAX_SNAPSHOT // mib} MiB",
        "items of a fan-out": f"{fan_out.MOST_ITEMS:,}",
        "the items of a fan-out together, as JSON": f"{fan_out.MOST_CHARACTERS:,} characters",
        "an error message, and each text among its facts": f"{MAX_MESSAGE:,} characters",
        "the reason of a repair": f"{requests.MAX_REASON:,} characters",
        "parked deliveries that operators see": f"{requests.MAX_SNAPSHOT // mib} MiB",
        "entries of one answer of history": f"{history.MOST:,} entries",
        "rejected events of a topic or webhook": f"{dead_letters.LETTERS} events",
        "a payload among them": f"{dead_letters.LONGEST_PAYLOAD // kib} KiB",
    }


def test_an_error_does_not_quote_without_end() -> None:
    told = terminal(errors.UnknownEvent(chart="Order", event="x" * MAX_MESSAGE * 2, known=["pay"]))

    assert len(told.message) == MAX_MESSAGE + 2
    assert told.metadata is not None
    assert len(told.metadata["event"]) == MAX_MESSAGE + 2
    assert json.loads(told.metadata["known"]) == ["pay"]


def test_a_name_has_an_end() -> None:
    assert name_of_event("Order", "send", "x" * MAX_NAME) == "x" * MAX_NAME
    with pytest.raises(errors.MalformedInput, match="has 200 characters at most"):
        name_of_event("Order", "send", "x" * (MAX_NAME + 1))
    with pytest.raises(errors.MalformedInput, match="has 200 characters at most"):
        WaitRequest.decode(ORDER, json.dumps({"event": "x" * (MAX_NAME + 1), "taken": True}).encode())


def test_a_reason_has_an_end() -> None:
    body = {"move": "paid", "reason": "x" * requests.MAX_REASON}

    assert RepairRequest.decode("Order", json.dumps(body).encode()).reason == body["reason"]
    with pytest.raises(errors.MalformedInput, match="a reason has 1,000 characters at most"):
        RepairRequest.decode("Order", json.dumps({**body, "reason": body["reason"] + "x"}).encode())


def test_those_who_wait_keep_only_so_much_of_their_replies() -> None:
    known = Waiters({})
    half = "x" * (MOST_BYTES // 2 - 2)

    for name in ("first", "second"):
        known.add(ORDER, name, Waiter({"state": "paid"}, "pay", "taken", half))
    with pytest.raises(errors.TooManyWaiting):
        known.add(ORDER, "third", Waiter({"state": "paid"}, "pay", "taken", "x"))
    known.add(ORDER, "fourth", Waiter({"state": "paid"}))

    assert known.known.keys() == {"first", "second", "fourth"}


class Store:
    """The state of one key."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def get(self, name: str, **_: Any) -> bytes | None:
        return self.kept.get(name)

    def set(self, name: str, value: bytes, **_: Any) -> None:
        self.kept[name] = value


def test_what_is_parked_is_listed_as_far_as_it_can_be_stored() -> None:
    ctx: Any = Store()
    results: dict[str, Json] = {f"t{number:02}": "x" * 1024 * 1024 for number in range(20)}

    for token, result in results.items():
        asyncio.run(keep_parked(ctx, ORDER, [ParkedDelivery(token, "work", result=result)]))
    asyncio.run(keep_parked(ctx, ORDER, [ParkedDelivery("small", "work", result=1)]))
    listed = json.loads(ctx.kept["parked"])
    assert len(listed) == 16
    assert "small" in listed
    assert len(ctx.kept["parked"]) <= MAX_SNAPSHOT + 1024

    asyncio.run(keep_parked(ctx, ORDER, [ParkedDelivery("t00", "work", result=2)], {"t00", "small"}))
    assert json.loads(ctx.kept["parked"]).keys() == {"t00", "small"}
