"""What a machine's key holds is read back as it was, or refused with the reason."""

from __future__ import annotations

import json

import msgspec
import pytest
from statemachine import State, StateChart

from durable_fsm import durable
from durable_fsm.core.events import Event
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import changed
from durable_fsm.errors import Gone, SnapshotUnreadable
from durable_fsm.frontends import chart_from
from durable_fsm.restate.machine.storage import StoredMachine
from durable_fsm.restate.stored.history import PAGE
from durable_fsm.restate.stored.snapshot import mark_of


@durable(version="1")
class Lamp(StateChart):
    off = State(initial=True)
    on = State()
    press = off.to(on) | on.to(off)


CHART = chart_from(Lamp)


def pressed(times: int) -> tuple[StoredMachine, int]:
    """A lamp that was pressed so often, with its history; and how many pages have left that."""
    stored, pages = StoredMachine(CHART), 0
    for _ in range(times):
        turn = Turn(CHART, stored.machine, seed="seed")
        turn.autostart(life="life")
        turn.take(Event("press"))
        tail, full = stored.history.with_entries(turn.log, at=5)
        stored = changed(stored, machine=turn.machine, history=tail)
        stored, pages = StoredMachine.decode(CHART, stored.encode()), pages + len(full)
    return stored, pages


def test_a_machine_with_its_history_comes_back_as_it_was() -> None:
    stored, pages = pressed(PAGE + 5)

    assert (pages, stored.history.pages, stored.history.entries, len(stored.history.tail)) == (1, 1, PAGE + 6, 6)
    assert StoredMachine.decode(CHART, stored.encode()) == stored


def test_what_is_stored_is_one_readable_text() -> None:
    stored, _ = pressed(1)

    record = json.loads(stored.encode())

    assert record["configuration"] == ["on"]
    assert [(entry["n"], entry["event"]) for entry in record["log"]["tail"]] == [(1, "create"), (2, "press")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"{", "it is not valid JSON: Input data was truncated."),
        (b'{"log":', "it is not valid JSON: Input data was truncated."),
        (b"[]", "Expected `object`, got `array`."),
        (b'["log":]', "Expected `object`, got `array`."),
        (b'[{"log":1}]', "Expected `object`, got `array`."),
        (b'{"log":{"tail":7}}', "Expected `array`, got `int` - at `$.log.tail`."),
    ],
)
def test_what_is_no_snapshot_is_refused_with_the_reason(text: bytes, problem: str) -> None:
    with pytest.raises(SnapshotUnreadable) as caught:
        StoredMachine.decode(CHART, text)

    assert problem in str(caught.value)


def test_a_record_that_is_none_is_refused_with_the_reason() -> None:
    stored, _ = pressed(1)
    record = msgspec.json.decode(stored.encode())
    record["log"]["tail"] = 7

    with pytest.raises(SnapshotUnreadable, match="Expected `array`, got `int`"):
        StoredMachine.decode(CHART, msgspec.json.encode(record))


def test_a_mark_says_that_the_machine_is_gone_for_good() -> None:
    with pytest.raises(Gone):
        StoredMachine.decode(CHART, mark_of(CHART))
