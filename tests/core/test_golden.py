"""Snapshots as a released build wrote them: every later build reads them, and steps on from them.

Never change `golden.json`: a new layout is a new format, with records of its own beside these.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from durable_fsm.core.chart import Activity, Child, Spawn, Timer
from durable_fsm.core.codec import FORMAT, snapshot_from_json, snapshot_to_json
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.snapshot import Status
from durable_fsm.core.step import step
from tests.building import action, chart, edge, note

RECORDS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden.json").read_text())


def work() -> None: ...


LETTER = chart("writing", name="Letter")
GOLDEN = chart(
    """
    idle
    busy parallel
        left
            reading
            writing
            memory history
        right
            looking
    over final
    """,
    edge("idle", "go", "busy"),
    edge("busy", "late", "idle"),
    edge("busy", "note", actions=[note("noted")]),
    edge("looking", "error.invoke.look", "over"),
    edge("busy", "hello", actions=[action(lambda s: s.event.payload, "hello")]),
    timers={"busy": [Timer("late", timedelta(minutes=15))]},
    activities={"looking": [Activity("look", "work", work), Activity("hold", "work", work, exclusive=True)]},
    machines={"busy": [Child("letter", lambda _: Spawn(LETTER))]},
    name="Golden",
)


def test_the_format_is_still_the_one_of_these_records() -> None:
    assert {record["format"] for record in RECORDS} == {FORMAT}


@pytest.mark.parametrize("record", RECORDS, ids=[record["status"] for record in RECORDS])
def test_a_record_is_read_and_written_as_it_was(record: dict[str, Any]) -> None:
    snapshot = snapshot_from_json(GOLDEN, record)

    assert snapshot_to_json(snapshot) == record
    assert incompatibility(GOLDEN, snapshot) is None


def test_a_machine_goes_on_from_its_record() -> None:
    running = snapshot_from_json(GOLDEN, RECORDS[0])

    noted = step(GOLDEN, running, Event("timer", origin=Origin.PLATFORM, token="a1b2.3.2")).snapshot
    assert noted.data == {"log": ["begun", "noted"]}
    assert noted.seq == 5

    late = step(GOLDEN, noted, Event("timer", origin=Origin.PLATFORM, token="a1b2.3.4")).snapshot
    assert (late.configuration, late.status, late.timers) == (("over",), Status.DONE, ())
