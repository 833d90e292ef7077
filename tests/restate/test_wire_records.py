"""What our services have sent or stored stays readable, in the form that earlier builds wrote it."""

from __future__ import annotations

from durable_fsm.restate.sources.ingestion import IncomingEvent


def test_an_incoming_event_of_an_earlier_build_is_read() -> None:
    written = (
        b'{"event":"close","facts":{"offset":"1042","partition":"3","topic":"orders"},"payload":{"late":true},'
        b'"place":"record orders[3]@1042","source":"kafka:orders","tries":2}'
    )
    facts = {"topic": "orders", "partition": "3", "offset": "1042"}
    event = IncomingEvent("close", {"late": True}, "kafka:orders", "record orders[3]@1042", facts, 2)

    assert IncomingEvent.decode(written) == event
    assert event.encode() == written
