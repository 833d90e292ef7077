"""What earlier builds have sent or stored is read as they wrote it; these are their bytes."""

from __future__ import annotations

import pytest

from durable_fsm.core.events import Failure
from durable_fsm.restate.activities.attempts import Attempt
from durable_fsm.restate.activities.detached import DetachedOrder, DetachedRun
from durable_fsm.restate.activities.external_answers import PendingCallback
from durable_fsm.restate.activities.job import ActivityJob, RunToUndo
from durable_fsm.restate.activities.limits import EntryRequest, LimitState, QueuedRun
from durable_fsm.restate.fastjson import WireRecord
from durable_fsm.restate.sources.ingestion import IncomingEvent

CHARGING = ActivityJob("o-17", "t1", "Order/o-17/l1/charging/2", {"total": 3}, background=True, items=["a", {"b": 1}])
CHARGING_WRITTEN = (
    b'{"background":true,"data":{"total":3},"detached":false,"given":false,"item":null,"items":["a",{"b":1}],'
    b'"key":"o-17","part":null,"stable_id":"Order/o-17/l1/charging/2","token":"t1"}'
)

RECORDS: dict[str, tuple[bytes, WireRecord]] = {
    "a job": (CHARGING_WRITTEN, CHARGING),
    "a job that undoes": (
        (
            b'{"background":false,"data":{"total":3},"detached":false,"given":false,"item":null,"items":null,"key":"o-17",'
            b'"part":null,"stable_id":"s","token":"t1",'
            b'"undo":{"by":"refunding","original":"Order/o-17/l1/charging/2","result":{"id":7}}}'
        ),
        ActivityJob(
            "o-17",
            "t1",
            "s",
            {"total": 3},
            background=False,
            undo=RunToUndo("refunding", "Order/o-17/l1/charging/2", {"id": 7}),
        ),
    ),
    "an order of detached work": (
        b'{"activity":"charging","job":' + CHARGING_WRITTEN + b"}",
        DetachedOrder("charging", CHARGING),
    ),
    "a detached run": (
        b'{"activity":"charging","awaited":true,"key":"o-17","run":"inv_1","token":"t1"}',
        DetachedRun("inv_1", "charging", "o-17", "t1", awaited=True),
    ),
    "the state of a limit": (
        b'{"first":3,"inside":[["inv_2",true],["inv_1",false]],"last":5,"limit":2}',
        LimitState(2, [("inv_2", True), ("inv_1", False)], 3, 5),
    ),
    "a run that waits for its turn": (b'{"run":"inv_3","ticket":"sign_1"}', QueuedRun("inv_3", "sign_1")),
    "a run that asks to be let in": (
        b'{"limit":2,"run":"inv_3","ticket":"sign_1"}',
        EntryRequest("inv_3", "sign_1", limit=2),
    ),
    "a callback": (
        b'{"id":"sign_1","name":"signature","token":"t1"}',
        PendingCallback(token="t1", name="signature", id="sign_1"),
    ),
    "an attempt with a result": (b'{"result":{"id":7}}', Attempt(result={"id": 7})),
    "an attempt that returned nothing": (b'{"result":null}', Attempt(result=None)),
    "an attempt that failed": (
        b'{"error":{"message":"no","source":"","type":"Refused"},"terminal":true}',
        Attempt(error=Failure("Refused", "no"), terminal=True),
    ),
    "an attempt that was stopped": (b'{"stopped":true}', Attempt(stopped=True)),
    "an incoming event": (
        (
            b'{"event":"close","facts":{"offset":"1042","partition":"3","topic":"orders"},"payload":{"late":true},'
            b'"place":"record orders[3]@1042","source":"kafka:orders","tries":2}'
        ),
        IncomingEvent(
            "close",
            {"late": True},
            "kafka:orders",
            "record orders[3]@1042",
            {"topic": "orders", "partition": "3", "offset": "1042"},
            tries=2,
        ),
    ),
    "an incoming event that its source names": (
        b'{"event":"pay","facts":{},"is_named":true,"payload":null,"place":"","source":"webhook:stripe"}',
        IncomingEvent("pay", None, "webhook:stripe", "", {}, is_named=True),
    ),
}


@pytest.mark.parametrize(("written", "record"), RECORDS.values(), ids=RECORDS)
def test_a_record_of_an_earlier_build_is_read(written: bytes, record: WireRecord) -> None:
    assert type(record).decode(written) == record
    assert type(record).decode(record.encode()) == record


def test_a_record_of_a_later_build_is_read_without_its_new_members() -> None:
    written = b'{"new":1,"run":"inv_3","ticket":"sign_1"}'

    assert QueuedRun.decode(written) == QueuedRun("inv_3", "sign_1")
