"""What an earlier build has sent or stored is read by this one: records of the host, word for word as they were written."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from durable_fsm.core.events import Failure
from durable_fsm.core.messages import ChildEnd, Envelope, Message, Parent, Returned
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import WaitOrder
from durable_fsm.restate.machine.deliveries import load_parked
from durable_fsm.restate.machine.waiters import Waiters
from durable_fsm.restate.messages.envelope import BeginOrder, CheckOrder
from durable_fsm.restate.stored.deliveries import Delivery, ParkedDelivery
from durable_fsm.restate.stored.letters import read
from durable_fsm.restate.stored.waiters import Waiter
from tests.building import chart
from tests.memory import MemoryContext

ORDER = chart("cart")
PARENT = Parent("Office", "o-1", "t.1", "letter")
RECORDS: list[tuple[str, msgspec.Struct]] = [
    ('{"token":"t.1"}', Delivery("t.1")),
    ('{"activity":"pay","result":{"ok":true},"token":"t.1","tries":2}', Delivery("t.1", "pay", {"ok": True}, tries=2)),
    (
        '{"activity":"pay","error":{"code":402,"message":"no","source":"","type":"Declined"},"token":"t.1"}',
        Delivery("t.1", "pay", error=Failure("Declined", "no", 402)),
    ),
    (
        '{"data":{"a":1},"parent":{"chart":"Office","id":"letter","key":"o-1","token":"t.1"},"session":"Office.l"}',
        BeginOrder({"a": 1}, PARENT, "Office.l"),
    ),
    (
        '{"parent":{"chart":"Office","id":"letter","key":"o-1","token":"t.1"},"tries":null}',
        CheckOrder(PARENT, None),
    ),
    (
        '{"awakeable":"sign_1","event":null,"payload":null,"until":{"state":"paid"}}',
        WaitOrder({"state": "paid"}, None, None, awakeable="sign_1"),
    ),
    (
        '{"event":null,"payload":null,"until":{"state":"paid"},"waiter":"inv_1"}',
        WaitOrder({"state": "paid"}, None, None, "inv_1"),
    ),
]
ENVELOPES: list[tuple[str, Envelope]] = [
    (
        '{"chart":"Order","event":"pay","key":"o-1","kind":"event","life":"l","payload":null,"to":"#_x"}',
        Message("pay", chart="Order", key="o-1", life="l", to="#_x"),
    ),
    (
        '{"error":{"message":"gone","source":"letter","type":"lost"},"id":"letter","kind":"end","payload":null,"token":"t.1"}',
        ChildEnd("t.1", "letter", error=Failure("lost", "gone", source="letter")),
    ),
    (
        '{"error":{"message":"no","source":"#_x","type":"Finished"},"kind":"returned","life":"l","payload":null,"tries":2}',
        Returned(Failure("Finished", "no", source="#_x"), "l", 2),
    ),
]
IDS = [f"{type(record).__name__} {number}" for number, (_, record) in enumerate(RECORDS, 1)]


@pytest.mark.parametrize(("text", "record"), RECORDS, ids=IDS)
def test_a_record_of_an_earlier_build_is_read(text: str, record: Any) -> None:
    assert type(record).decode(text.encode()) == record


@pytest.mark.parametrize(("text", "record"), RECORDS, ids=IDS)
def test_a_record_is_written_as_readable_json_that_says_the_same(text: str, record: Any) -> None:
    written = json.loads(record.encode())

    assert {name: value for name, value in json.loads(text).items() if value is not None} == {
        name: value for name, value in written.items() if value is not None
    }


@pytest.mark.parametrize(("text", "envelope"), ENVELOPES)
def test_an_envelope_of_an_earlier_build_is_read_and_written_the_same(text: str, envelope: Envelope) -> None:
    assert read(text) == envelope
    assert json.loads(dumps(envelope)) == {name: value for name, value in json.loads(text).items() if value is not None}


def test_a_member_that_a_later_build_added_is_ignored() -> None:
    assert Delivery.decode(b'{"token":"t.1","colour":"red"}') == Delivery("t.1")


def test_parked_deliveries_and_waiters_of_an_earlier_build_are_read() -> None:
    state = {
        "parked": b'{"t.1":{"activity":"pay","result":7,"token":"t.1","tries":3}}',
        "waiters": b'{"sign_1":{"event":"pay","outcome":"deferred","reply":null,"token":"t.9","until":{"state":"paid"}}}',
    }
    ctx: Any = MemoryContext(state, "o-1", "inv_1")

    assert asyncio.run(load_parked(ctx, ORDER)) == {"t.1": ParkedDelivery("t.1", "pay", 7, tries=3)}
    assert asyncio.run(Waiters.load(ctx, ORDER)).known == {
        "sign_1": Waiter({"state": "paid"}, "pay", "deferred", token="t.9"),
    }


@pytest.mark.parametrize(
    ("since", "next", "now", "expected"),
    [
        (1_000, 31_000, 30, True),
        (1_000, 31_000, 90, True),
        (1_000, 31_000, 92, False),  # an operator has killed its next try
        (0, 30_000, 10_000, True),  # without a stamp, as an earlier build has listed it
    ],
)
def test_a_parked_delivery_is_on_its_way_until_a_minute_after_its_next_try(
    since: int, next: int, now: int, *, expected: bool
) -> None:
    parked = ParkedDelivery("t.1", since=since, next=next)

    assert parked.is_on_its_way(datetime.fromtimestamp(now, UTC)) is expected
