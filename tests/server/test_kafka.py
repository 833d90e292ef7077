"""Kafka records as events: taken once and in order; a record that cannot be taken is reported and blocks nothing."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from durable_fsm.restate.sources.dead_letters import LETTERS
from durable_fsm.testing import wait_until
from tests.server.sources import kafka

if TYPE_CHECKING:
    from tests.server.sources import Sources

pytestmark = pytest.mark.server

FULL = 8
"""How many events of 8,000 bytes a machine keeps for later."""

KEYS = 50
POISON_EVERY = 100
PATIENCE = timedelta(seconds=120)


def place_of(place: tuple[int, int], topic: str = "entries") -> str:
    return f"record {topic}[{place[0]}]@{place[1]}"


def failure_of(sources: Sources, key: str, handler: str = "_kafka", chart: str = "Ledger") -> dict[str, Any]:
    [row] = sources.host.invocations(chart, key, target_handler_name=handler, completion_result="failure")
    return row


# ── taken like events ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_record_is_an_event_of_the_machine_with_its_key(sources: Sources) -> None:
    one, other = sources.host.key("ledger"), sources.host.key("lädger/?")

    sources.broker.produce_all("entries", [sources.entry(one, 1), sources.entry(other, 1), sources.entry(one, 2)])
    sources.broker.produce("entries", one, json.dumps({"event": "noise"}))
    sources.broker.produce("entries", *sources.entry(one, 3))

    sources.wait_log(one, ["1", "2", "3"])
    sources.wait_log(other, ["1"])


def test_a_record_is_an_event_of_a_transitions_configuration(sources: Sources) -> None:
    lamp = sources.host.key("lamp")

    sources.broker.produce("presses", lamp, None)

    sources.host.wait_in("TopicLamp", lamp, "on")


def test_a_decoder_may_choose_another_machine(sources: Sources) -> None:
    named, keyless = sources.host.key("named"), sources.host.key("keyless")

    for key in (sources.host.key("record"), None):
        for n in (1, 2):
            body = {"event": "note", "payload": {"n": n}, "key": keyless if key is None else named}
            partition = 0 if key is None else None  # Kafka could write records without a key to two partitions
            sources.broker.produce("entries", key, json.dumps(body), partition=partition)

    sources.wait_log(named, ["1", "2"])
    sources.wait_log(keyless, ["1", "2"])


def test_a_second_record_with_the_same_id_is_not_taken(sources: Sources) -> None:
    one, other, id = sources.host.key("once"), sources.host.key("once, too"), f"ä{sources.host.key('event')}"

    sources.broker.produce_all(
        "entries",
        [
            sources.entry(one, 1, id=id),
            sources.entry(one, 2, id=id),
            sources.entry(one, 3),
            sources.entry(other, 4, id=id),
            sources.entry(other, 5, id=id, key=one),
            sources.entry(one, 6, id=f"{id}, another"),
            sources.entry(one, 7),
        ],
    )

    sources.wait_log(one, ["1", "3", "6", "7"])
    sources.wait_log(other, ["4"])
    sources.host.settled()
    assert (sources.log(one), sources.log(other)) == (["1", "3", "6", "7"], ["4"])


def test_records_routed_to_another_key_keep_the_order_of_their_own_key(sources: Sources) -> None:
    pages = [sources.host.key("page") for _ in range(5)]
    visitors = [sources.host.key("visitor") for _ in range(10)]

    sources.broker.produce_all(
        "clicks",
        [
            (visitor, json.dumps({"page": pages[(n + place) % 5], "payload": {"n": n, "by": f"{visitor} "}}))
            for n in range(20)
            for place, visitor in enumerate(visitors)
        ],
    )
    wait_until(lambda: sum(len(sources.log(page)) for page in pages) >= 50, PATIENCE, "a quarter of the clicks")
    sources.host.served.restart()
    wait_until(lambda: sum(len(sources.log(page)) for page in pages) >= 200, PATIENCE, "all clicks")

    for place, visitor in enumerate(visitors):
        for shift, page in enumerate(pages):
            seen = [int(line.split()[1]) for line in sources.log(page) if line.startswith(f"{visitor} ")]
            assert seen == [n for n in range(20) if (n + place) % 5 == shift]


# ── what cannot be taken ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "status", "type_", "reason"),
    [
        (b"{", 422, "Undecodable", "cannot be decoded: JSONDecodeError: Expecting property name"),
        (b"\xff\xfe\x00", 422, "Undecodable", "cannot be decoded: UnicodeDecodeError:"),
        (b"", 422, "Undecodable", "cannot be decoded: JSONDecodeError: Expecting value"),
        (b"{}", 422, "Undecodable", "cannot be decoded: KeyError: 'event'."),
        (b'{"event": "pay"}', 404, "UnknownEvent", "there is no event 'pay'. It knows: 'close', 'note'."),
        (b'{"event": "audit"}', 403, "Forbidden", "event 'audit' is private"),
        (b'{"event": "done.state.kept"}', 403, "Forbidden", "is private"),
        (b'{"event": 7}', 422, "Undecodable", "its decoder returned 7 as event, which is not a text."),
        (b'{"event": "\\ud800"}', 422, "Undecodable", "as event, which is not a text."),
        (b'{"event": "note", "payload": {"n": "x"}}', 422, "InvalidPayload", "payload of 'note' does not fit Entry"),
        (b'{"event": "note", "payload": "\\ud800"}', 422, "Undecodable", "the payload of 'note' cannot be"),
        (b'{"event": "note", "payload": {"n": NaN}}', 422, "Undecodable", "cannot be written as JSON: TypeError: nan"),
        (b'{"event": "close", "key": ""}', 422, "Undecodable", "the key of its machine is empty."),
        (b'{"event": "close", "key": "%b"}' % (b"x" * 70_000), 422, "Undecodable", "a key has 2,048 at most."),
        (b'{"event": "close", "key": 7}', 422, "Undecodable", "its decoder returned 7 as key, which is not a text."),
    ],
)
def test_a_poison_record_is_reported_with_its_offset_and_blocks_nothing(
    sources: Sources, value: bytes, status: int, type_: str, reason: str
) -> None:
    key = sources.host.key("poisoned")

    place = sources.broker.produce("entries", key, value)
    sources.broker.produce("entries", *sources.entry(key, 1))
    sources.wait_log(key, ["1"])

    letter = sources.rejected("kafka:entries", place_of(place))
    assert (letter["status"], letter["type"]) == (status, type_)
    assert reason in letter["reason"]
    assert letter["facts"] == {"topic": "entries", "partition": str(place[0]), "offset": str(place[1])}
    told = failure_of(sources, key)["completion_failure"]
    assert told.endswith(f"It came from {place_of(place)}.")
    assert f"It came from {place_of(place)}." in sources.host.served.process.log.read_text()


def test_a_record_with_an_event_that_is_not_accepted_is_poison(sources: Sources) -> None:
    key = sources.host.key("closed")

    sources.broker.produce_all("entries", [sources.entry(key, 1), sources.entry(key, 1, event="close")])
    place = sources.broker.produce("entries", *sources.entry(key, 2))

    letter = sources.rejected("kafka:entries", place_of(place))
    assert (letter["status"], letter["type"], letter["key"]) == (410, "Finished", key)
    assert (letter["event"], letter["payload"]) == ("note", {"n": 2, "by": ""})
    assert sources.log(key) == ["1"]


def test_a_record_without_a_key_is_poison_unless_its_decoder_gives_one(sources: Sources) -> None:
    place = sources.broker.produce("entries", *sources.entry(None, 1))

    letter = sources.rejected("kafka:entries", place_of(place))

    assert (letter["type"], letter["key"]) == ("Undecodable", None)
    assert "it has no key, and its decoder gives none" in letter["reason"]


def test_a_record_with_an_event_that_the_source_does_not_list_is_poison(sources: Sources) -> None:
    key = sources.host.key("strange")
    unread = sources.broker.produce("clicks", key, json.dumps({"payload": {"n": 1}}))
    no_text = sources.broker.produce("clicks", key, json.dumps({"payload": {"n": 1}, "page": 5}))
    no_event = sources.broker.produce("whatever", key, '{"a": 1}')

    assert "KeyError: 'page'" in sources.rejected("kafka:clicks", place_of(unread, "clicks"))["reason"]
    assert "its key function returned int" in sources.rejected("kafka:clicks", place_of(no_text, "clicks"))["reason"]
    told = sources.rejected("kafka:whatever", place_of(no_event, "whatever"))["reason"]
    assert "its decoder returned dict, not Incoming(...) or None." in told


def test_the_latest_rejected_records_are_kept_until_they_are_cleared(sources_awake: Sources) -> None:
    sources, key = sources_awake, sources_awake.host.key("flood")

    def kept() -> dict[str, Any]:
        return sources.host.receipt("Ledger.rejected", "kafka:clicks", "list")

    before = kept()["total"]
    places = sources.broker.produce_all("clicks", [(key, f"no JSON {number}") for number in range(LETTERS + 5)])
    wait_until(lambda: kept()["total"] == before + LETTERS + 5, PATIENCE, "all of them to be rejected")

    assert [letter["place"] for letter in kept()["rejected"]] == [
        place_of(place, "clicks") for place in reversed(places[5:])
    ]
    address = f"{sources.host.server.ingress_url}/Ledger.rejected/kafka:clicks/clear"  # as the page writes it
    assert sources.host.client.post(address).status_code == 200
    assert kept() == {"total": 0, "rejected": []}


def test_a_record_that_this_version_cannot_take_is_parked_and_taken_by_the_next(sources: Sources) -> None:
    key = sources.host.key("parcel")
    sources.broker.produce("parcels", *sources.entry(key, 1))
    sources.wait_log(key, ["1"], "Parcel")

    sources.host.served.restart(env={"SOURCES_VERSION": "2"})
    try:
        sources.broker.produce("parcels", *sources.entry(key, 2))
        wait_until(
            lambda: sources.host.invocations("Parcel", key, target_handler_name="_incoming", status="scheduled"),
            PATIENCE,
            "the record to be parked",
        )
        assert sources.host.post("Parcel", key, "note", {"n": 9}).status_code == 500  # the key is free
    finally:
        sources.host.served.restart(env={"SOURCES_VERSION": "1"})

    sources.wait_log(key, ["1", "2"], "Parcel")
    sources.host.settled()


def test_records_that_a_machine_has_no_room_for_wait_in_order(sources: Sources) -> None:
    key, page = sources.host.key("letterbox"), "x" * 8_000
    wanted = [f"{page}{n}" for n in range(15)]

    sources.broker.produce_all("letters", [sources.entry(key, n, by=page) for n in range(14)])
    wait_until(lambda: len(_deferred(sources, key)) == FULL, PATIENCE, "the letterbox to be full")
    wait_until(lambda: "; 6 waiting" in kafka(sources.host.server, "--poison").stdout, PATIENCE, "the others to wait")
    sources.host.served.restart()
    sources.host.receipt("Letterbox", key, "open")
    sources.broker.produce("letters", *sources.entry(key, 14, by=page))

    sources.wait_log(key, wanted, "Letterbox")
    sources.host.settled()
    assert sources.log(key, "Letterbox") == wanted


def test_a_poison_record_for_a_machine_that_defers_is_reported_once_and_blocks_nothing(sources: Sources) -> None:
    key = sources.host.key("letterbox")

    place = sources.broker.produce("letters", *sources.entry(key, 1, event="burn"))
    sources.broker.produce("letters", *sources.entry(key, 2))

    wait_until(lambda: len(_deferred(sources, key)) == 1, PATIENCE, "the next record")
    assert "no event 'burn'" in sources.rejected("kafka:letters", place_of(place, "letters"), "Letterbox")["reason"]
    assert "no event 'burn'" in failure_of(sources, key, "_forward", "Letterbox.kafka")["completion_failure"]


def _deferred(sources: Sources, key: str) -> list[Any]:
    machine = sources.host.snapshot("Letterbox", key)
    return machine["deferred"] if machine else []


def test_the_handlers_for_records_cannot_be_called_from_outside(sources: Sources) -> None:
    for service, handler in (("Ledger", "_kafka"), ("Ledger", "_incoming"), ("Ledger.kafka", "_forward")):
        refused = sources.host.post(service, "x", handler, {})
        assert (refused.status_code, refused.headers["x-restate-error-source"]) == (400, "ingress")


# ── what the platform cannot take ─────────────────────────────────────────────────────────────────────────────────────


def test_a_key_that_is_not_utf8_stops_its_topic_until_a_new_group_starts_behind_it(
    sources_awake: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/kafka.md says, step by step."""
    sources, key = sources_awake, sources_awake.host.key("doomed")
    places = sources.broker.produce_all("doomed", [sources.entry(key, 1), sources.entry(key, 2)])
    sources.wait_log(key, ["1", "2"])
    partition, last = places[-1]
    wait_until(lambda: _committed(sources, "doomed-1", partition) == last + 1, PATIENCE, "the offsets to be committed")

    assert sources.broker.produce("doomed", b"\xff\xfe", "{}", partition=partition) == (partition, last + 1)
    sources.broker.produce("doomed", *sources.entry(key, 3), partition=partition)
    wait_until(
        lambda: "The Kafka record key must be valid UTF-8" in sources.host.server.process.log.read_text(),
        PATIENCE,
        "the server to say why it stops",
    )
    assert sources.log(key) == ["1", "2"]
    _commit(sources, "doomed-2", partition, last + 2)
    monkeypatch.setenv("DOOMED_GROUP", "doomed-2")
    held = kafka(sources.host.server)
    replaced = kafka(sources.host.server, "--replace")

    assert (held.exit_code, replaced.exit_code) == (1, 0)
    assert "group.id is doomed-1, declared doomed-2" in replaced.stdout
    sources.wait_log(key, ["1", "2", "3"])
    sources.host.settled()
    assert sources.log(key) == ["1", "2", "3"]


def _client(sources: Sources, group: str) -> Any:
    return Consumer({"bootstrap.servers": sources.broker.bootstrap_servers, "group.id": group, "log_level": 0})


def _committed(sources: Sources, group: str, partition: int) -> int:
    client = _client(sources, group)
    [found] = client.committed([TopicPartition("doomed", partition)], timeout=60)
    client.close()
    return found.offset


def _commit(sources: Sources, group: str, partition: int, offset: int) -> None:
    client = _client(sources, group)
    client.commit(offsets=[TopicPartition("doomed", partition, offset)], asynchronous=False)
    client.close()


# ── kills ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_kills_keep_the_order_of_each_key_and_neither_lose_nor_repeat_a_record(
    sources: Sources, scale: int, dice: random.Random
) -> None:
    """Many records are on their way whenever service and server die, one after the other and together.

    Some of them are written twice, with an id.
    """
    count = 500 if scale < 10 else 200 * scale
    keys = [sources.host.key("killed") for _ in range(KEYS)]
    records: list[tuple[str | None, str]] = []
    wanted: dict[str, list[str]] = {key: [] for key in keys}
    for number in range(count):
        key = dice.choice(keys)
        if number % POISON_EVERY == POISON_EVERY - 1:
            records.append((key, dice.choice(('{"event": ', '{"event": "audit"}', '{"event": "note", "payload": {}}'))))
        elif number % 10 == 7:
            records.append(records[-1])
        else:
            wanted[key].append(str(number))
            records.append(sources.entry(key, number, **({"id": f"event {number}"} if number % 10 == 6 else {})))

    portion = count // 5
    places = sources.broker.produce_all("entries", records[:portion])
    for victims in (("service",), ("server",), ("service", "server")):
        some = len(places) - portion // 2
        wait_until(lambda some=some: _taken(sources, keys) >= some, PATIENCE, f"{some} records to be taken")
        places += sources.broker.produce_all("entries", records[len(places) :][:portion])
        assert _taken(sources, keys) < len(places), "there is nothing left to hit"
        _kill(sources, victims)
    places += sources.broker.produce_all("entries", records[len(places) :])
    wait_until(lambda: _taken(sources, keys) >= count, PATIENCE, "all records")

    assert {key: sources.log(key) for key in keys} == wanted
    poison = [place_of(place) for number, place in enumerate(places) if number % POISON_EVERY == POISON_EVERY - 1]
    assert len(poison) == count // POISON_EVERY
    for place in poison:
        sources.rejected("kafka:entries", place)
    sources.host.settled()


def _taken(sources: Sources, keys: list[str]) -> int:
    """The number of records that were completed, taken or rejected."""
    [row] = sources.host.server.query(
        "SELECT count(*) AS taken FROM sys_invocation WHERE target_service_name = 'Ledger' AND status = 'completed'"
        f" AND target_handler_name = '_kafka' AND target_service_key IN ({', '.join(repr(key) for key in keys)})"
    )
    return int(row["taken"])


def _kill(sources: Sources, victims: tuple[str, ...]) -> None:
    if "service" in victims:
        sources.host.served.kill()
    if "server" in victims:
        sources.host.server.restart()
    if "service" in victims:
        sources.host.served.restart()
