"""Callbacks see the same kinds of times, ids and tokens on a server and in a rehearsal."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import Rehearsal, wait_until
from tests.server import data_charts

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

TOKEN = re.compile(r"[^.]+\.[0-9]+\.[0-9]+")
BOTH = pytest.mark.parametrize("chart", ["Witness", "TimelessWitness"])


def turns_of(seen: list[dict[str, Any]]) -> list[tuple[str, int | None]]:
    """Each event, and the number of the distinct time that it saw."""
    times = sorted({one["at"] for one in seen if one["at"] is not None}, key=datetime.fromisoformat)
    return [(one["event"], None if one["at"] is None else times.index(one["at"])) for one in seen]


def hosted(host: Host, chart: str) -> dict[str, Any]:
    key = host.key("witness")
    host.receipt(chart, key, "begin")
    host.wait_in(chart, key, "resting")
    host.receipt(chart, key, "note")
    host.receipt(chart, key, "nap")
    wait_until(lambda: host.snapshot(chart, key)["data"]["seen"][-1]["event"] == "ring", what="the timer")
    return host.snapshot(chart, key)


def rehearsed(chart: str) -> dict[str, Any]:
    machine = Rehearsal(getattr(data_charts, chart), began=datetime(2030, 1, 1, tzinfo=UTC))
    machine.send("begin")
    machine.advance(timedelta(seconds=1))
    machine.finish("looking")
    machine.advance(timedelta(seconds=1))
    machine.finish("hold")
    machine.advance(timedelta(seconds=1))
    machine.send("note")
    machine.advance(timedelta(seconds=1))
    machine.send("nap")
    machine.advance(timedelta(seconds=1))
    snapshot = machine.snapshot
    return {"data": snapshot.data, "life": snapshot.life}


@BOTH
def test_each_kind_of_step_sees_the_same_times(host: Host, chart: str) -> None:
    found, expected = turns_of(hosted(host, chart)["data"]["seen"]), turns_of(rehearsed(chart)["data"]["seen"])

    assert found == expected
    assert {number is None for _, number in found} == {chart == "TimelessWitness"}


@BOTH
def test_ids_are_all_different_and_times_are_in_utc(host: Host, chart: str) -> None:
    for seen in (hosted(host, chart)["data"]["seen"], rehearsed(chart)["data"]["seen"]):
        assert all(one["at"] is None or datetime.fromisoformat(one["at"]).tzinfo == UTC for one in seen)
        steps = {one["id"] for one in seen}
        assert len(steps) == len(seen)


def test_tokens_are_made_of_the_life_and_the_step(host: Host) -> None:
    key = host.key("witness")
    host.receipt("Witness", key, "begin")
    here = Rehearsal(data_charts.Witness)
    here.send("begin")

    there = host.post("Witness", key, "snapshot").json()
    tokens = [one["token"] for one in (*there["timers"], *there["activities"])]
    rehearsed_tokens = [one.token for one in (*here.snapshot.timers, *here.snapshot.activities)]

    assert all(TOKEN.fullmatch(token) for token in (*tokens, *rehearsed_tokens))
    assert {token.partition(".")[0] for token in tokens} <= {there["life"]}
    assert {token.partition(".")[0] for token in rehearsed_tokens} == {here.snapshot.life}


def test_a_repair_sees_a_time_too(host: Host) -> None:
    key = host.key("witness")
    host.receipt("Witness", key, "create")

    host.receipt("Witness", key, "repair", {"move": "resting", "reason": "to look"})

    seen = host.snapshot("Witness", key)["data"]["seen"]
    assert all(one["at"] is not None for one in seen)
    assert len(seen) > 1
