"""The time that callbacks decide by: read once, kept in the journal, and the same however often a step runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def test_callbacks_of_a_chart_with_a_clock_read_the_time_that_restate_has_stored(host: Host) -> None:
    card = host.key("card")

    before = datetime.now(UTC)
    host.receipt("TimeCard", card, "come")
    host.receipt("TimeCard", card, "leave")
    after = datetime.now(UTC)

    data = host.snapshot("TimeCard", card)["data"]
    came, left, told = (datetime.fromisoformat(data[name]) for name in ("came", "left", "told"))
    assert before <= came < left <= after
    assert told == came, "an event that the machine raises itself has the time of its turn"


def test_the_snapshot_answers_what_a_guard_on_the_time_accepts(host: Host) -> None:
    card = host.key("card")
    host.receipt("TimeCard", card, "come")

    events = {one["event"]: one["accepts"] for one in host.snapshot("TimeCard", card)["events"]}

    assert events == {"come": "no", "leave": "yes"}


def test_a_clock_costs_one_entry_of_the_journal(host: Host) -> None:
    came = host.post("TimeCard", host.key("card"), "come")

    assert host.journal(came.headers["x-restate-id"]) == ["Input", "GetEagerState", "Run", "SetState", "Output"]
