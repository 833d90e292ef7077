"""A limit in memory: who is let in next, what is stored meanwhile, and what becomes of values that cannot be read."""

from __future__ import annotations

import asyncio
import json
import logging
from itertools import pairwise
from typing import Any

import pytest

from durable_fsm.core.chart import Activity
from durable_fsm.core.limits import Limit
from durable_fsm.restate.activities.limits import EntryRequest, LimitAddress, Limits
from durable_fsm.restate.names import NAMED_LIMITS, StateKey
from durable_fsm.restate.stored.limits import LimitState, Place, QueuedRun
from tests.building import chart
from tests.memory import MemoryContext

SLOTS = 2


class Room(MemoryContext):
    """The object of one limit with two slots; remembers who was let in, in order."""

    def __init__(self) -> None:
        super().__init__({}, "bank", "inv_1")
        self.admitted: list[str] = []
        self.limits = Limits(NAMED_LIMITS, [chart("idle")])

    def resolve_awakeable(self, ticket: str, *_: object, **__: object) -> None:
        self.admitted.append(ticket)

    def enter(self, *runs: str, priority: int = 0, slots: int = SLOTS, again: bool = False) -> None:
        for run in runs:
            request = EntryRequest(run, run, slots, again, f"Order/{run}", "charging", priority)
            self._ask(self.limits.enter, request.encode())

    def leave(self, *runs: str) -> None:
        for run in runs:
            self._ask(self.limits.leave, run.encode())

    def status(self) -> Any:
        return json.loads(self._ask(self.limits.status, b""))

    def slot_of(self, run: str) -> Any:
        return json.loads(self._ask(self.limits.slot_of, json.dumps(run).encode()))

    def _ask(self, handler: Any, body: bytes) -> bytes:
        answer: bytes = asyncio.run(handler(self, body))
        return answer

    @property
    def inside(self) -> list[str]:
        gate = self.state.get(StateKey.GATE)
        return [] if gate is None else [run for run, _ in LimitState.read(gate).inside]


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def full(room: Room) -> Room:
    """A limit whose slots are taken by `a` and `b`."""
    room.enter("a", "b")
    return room


# ── the order ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_lowest_priority_comes_next_and_among_equals_the_first(full: Room) -> None:
    full.enter("late", priority=5)
    full.enter("first", "second")
    full.enter("urgent", priority=-3)
    full.enter("later", priority=5)

    for leaving in ("a", "b", "urgent", "first", "second", "late"):
        full.leave(leaving)

    assert full.admitted == ["a", "b", "urgent", "first", "second", "late", "later"]
    full.leave("later")
    assert full.state == {}


def test_a_run_that_gives_up_its_place_is_passed_over(full: Room) -> None:
    full.enter("x", "y", "z", priority=2)
    full.leave("x", "z")
    full.enter("w", priority=2)

    full.leave("a", "b")

    assert full.admitted == ["a", "b", "y", "w"]
    full.leave("y", "w", "w")
    assert full.state == {}


def test_all_of_one_priority_may_give_up(full: Room) -> None:
    full.enter("x", "y", priority=2)
    full.enter("z", priority=3)
    full.leave("x", "y")

    full.leave("a")

    assert (full.admitted, full.status()["waiting"]) == (["a", "b", "z"], 0)


def test_more_slots_let_more_runs_in(full: Room) -> None:
    full.enter("x", "y")

    full.enter("z", slots=4)

    assert full.admitted == ["a", "b", "x", "y"]
    assert (full.status()["slots"], full.status()["waiting"]) == (4, 1)


# ── the view ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_status_lists_who_is_in_flight_and_who_waits_in_order(full: Room) -> None:
    full.enter("x", priority=2)
    full.enter("y", priority=1)

    status = full.status()

    assert {name: status[name] for name in ("limit", "status", "slots", "in_flight", "waiting")} == {
        "limit": "bank",
        "status": "saturated",
        "slots": 2,
        "in_flight": 2,
        "waiting": 2,
    }
    assert status["runs"][0] == {
        "machine": "Order/a",
        "activity": "charging",
        "priority": 0,
        "invocation": "a",
    }
    assert [one["machine"] for one in status["queue"]] == ["Order/y", "Order/x"]
    assert [full.slot_of(run) for run in ("a", "x", "stranger")] == ["held", "waiting", None]


def test_the_status_says_how_busy_the_limit_is(room: Room) -> None:
    words = [room.status()["status"]]
    room.enter("a")
    words.append(room.status()["status"])

    assert words == ["idle", "busy"]


# ── what was stored before ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_records_of_an_earlier_build_are_read(room: Room) -> None:
    room.state[StateKey.GATE] = b'{"first":2,"inside":[["a",true],["b",false]],"last":3,"limit":2}'
    for place, run in ((2, "x"), (3, "y")):
        room.state[f"place {place}"] = f'{{"run":"{run}","ticket":"{run}"}}'.encode()
        room.state[f"run {run}"] = str(place).encode()
    room.enter("z")

    assert [one["invocation"] for one in room.status()["queue"]] == ["x", "y", "z"]
    assert room.status()["runs"][0]["machine"] is None
    room.leave("a", "b", "x", "y")
    assert room.admitted == ["x", "y", "z"]


@pytest.mark.parametrize(("text", "place"), [("17", Place(0, 17)), ("2 17", Place(2, 17)), ("-3 1", Place(-3, 1))])
def test_a_place_is_written_as_it_is_read(text: str, place: Place) -> None:
    assert (Place.of(text), place.text, place.name) == (place, text, f"place {text}")


# ── what cannot be read ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("gate", [b"{", b"[]", b'{"limit":"ten"}', b"\xff"])
@pytest.mark.parametrize("how", ["a run enters", "a run leaves"])
def test_a_gate_that_cannot_be_read_is_made_again(
    full: Room, gate: bytes, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    full.enter("x", priority=2)
    full.enter("y", "z")
    full.leave("z")
    full.state[StateKey.GATE] = gate
    assert full.status()["status"] == "unreadable"

    with caplog.at_level(logging.WARNING):
        if how == "a run enters":
            full.enter("w", priority=1)
        else:
            full.leave("a")

    assert "durable_fsm.limits/bank: 'gate' could not be read" in caplog.text
    assert full.admitted == (["a", "b"] if how == "a run enters" else ["a", "b", "y"])
    for leaving in ("a", "b", "y", "w"):
        full.leave(leaving)
    assert full.admitted[2:] == (["y", "w", "x"] if how == "a run enters" else ["y", "x"])
    assert set(full.state) == {"gate", "run x"}


def test_a_run_whose_record_cannot_be_read_keeps_its_slot_until_it_ends(full: Room) -> None:
    full.enter("x")
    full.state |= {StateKey.GATE: b"{", "run a": b"{"}

    full.enter("y")
    assert (full.inside, full.status()["waiting"]) == (["a", "b"], 2)
    full.leave("a")
    assert full.admitted == ["a", "b", "x"]


def test_a_run_that_waits_and_is_taken_to_be_inside_is_let_in_when_it_asks_again(full: Room) -> None:
    full.enter("x")
    full.state |= {StateKey.GATE: b"{", "run x": b"{"}
    full.enter("y")
    assert full.inside == ["a", "b", "x"]

    full.enter("x", again=True)

    assert full.admitted == ["a", "b", "x"]


NO_LANES = b'{"inside":[["a",true],["b",true]],"limit":2}'


@pytest.mark.parametrize(
    "damage", [{"place 1": b"{"}, {"run x": b"7"}, {"run x": b"\xff"}, {"gate": NO_LANES}], ids=str
)
def test_a_run_whose_place_is_lost_is_queued_when_it_asks_again(full: Room, damage: dict[str, bytes]) -> None:
    full.enter("x")
    full.state |= damage

    full.enter("x", again=True)
    full.leave("a", "b")

    assert set(full.admitted) == {"a", "b", "x"}


def test_a_place_that_cannot_be_read_is_passed_over_and_cleared(full: Room) -> None:
    full.enter("x", "y")
    full.state["place 1"] = b"{"

    full.leave("a")

    assert (full.admitted, "place 1" in full.state) == (["a", "b", "y"], False)


def test_the_end_of_an_unknown_run_leaves_nothing_behind(full: Room) -> None:
    full.state["run gone"] = QueuedRun("gone", "gone").encode()

    full.leave("gone", "stranger")

    assert (full.inside, "run gone" in full.state) == (["a", "b"], False)


def test_runs_are_let_in_in_the_order_of_a_plain_list_whatever_happens(room: Room) -> None:
    """Two hundred steps against a list that is sorted anew at each of them."""
    waiting: list[tuple[int, int, str]] = []
    inside: list[str] = []
    for number in range(200):
        run, priority = f"r{number}", number * 7 % 5 - 2
        if number % 3 == 2:
            ending = inside[0] if number % 2 or not waiting else waiting[len(waiting) // 2][2]
            room.leave(ending)
            inside = [one for one in inside if one != ending]
            waiting = [one for one in waiting if one[2] != ending]
        else:
            room.enter(run, priority=priority)
            waiting.append((priority, number, run))
        waiting.sort()
        while waiting and len(inside) < SLOTS:
            inside.append(waiting.pop(0)[2])
        assert sorted(room.inside) == sorted(inside)
        assert room.status()["waiting"] == len(waiting)
        lanes = LimitState.read(room.state[StateKey.GATE]).lanes
        assert all(one.priority < other.priority for one, other in pairwise(lanes))


def test_a_limit_without_a_name_is_kept_beside_its_chart() -> None:
    own = Activity("charging", "work", print, limit=3)
    shared = Activity("charging", "work", print, limit=Limit("bank", 20))

    assert [LimitAddress.of(chart("idle"), one) for one in (own, shared)] == [
        LimitAddress("Order.limits", "charging", 3),
        LimitAddress("durable_fsm.limits", "bank", 20),
    ]


NOTHING_OF_OURS = (b"\xff\xfe", b"", b"null", b"7", b'"x"', b"[]", b"{", b"-1 -1", b"[" * 5_000 + b"]" * 5_000)


@pytest.mark.parametrize("value", NOTHING_OF_OURS, ids=lambda value: repr(value[:8]))
@pytest.mark.parametrize("name", ["gate", "run a", "run x", "place 1"])
def test_no_stored_value_blocks_a_limit(full: Room, name: str, value: bytes) -> None:
    full.enter("x", "y")
    full.state[name] = value

    assert full.status()["limit"] == "bank"
    full.enter("z")
    for run in ("x", "y", "z"):
        full.enter(run, again=True)
    full.leave("a", "b", "y", "z", "x")

    assert {"x", "y", "z"} <= set(full.admitted)
    full.enter("next")
    assert full.admitted[-1] == "next"
