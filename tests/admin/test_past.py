"""The past of a machine, from its history and its present."""

from __future__ import annotations

import random
from contextlib import suppress

from durable_fsm import chart_from
from durable_fsm.admin.past import MomentKind, kind_of, leaves_in, past, past_of
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.questions import Acceptance, acceptance_of
from durable_fsm.core.turn import Turn
from durable_fsm.errors import EventError
from durable_fsm.restate.stored.history import entry_of
from machines.order.machine import Order
from tests.console.machines import ENTRIES, KETTLE


def test_states_are_found_backwards_from_the_present() -> None:
    found = past_of(ENTRIES, ["steeping"], KETTLE)

    assert [(one.n, sorted(one.before), sorted(one.after)) for one in found] == [
        (1, [], ["cold"]),
        (2, ["cold"], ["boiling", "hot"]),
        (3, ["boiling", "hot"], ["boiling", "hot"]),
        (4, ["boiling", "hot"], ["hot", "steeping"]),
    ]
    assert [one.kind for one in found] == [MomentKind.HOST, MomentKind.EVENT, MomentKind.ERROR, MomentKind.DONE]
    assert [one.failed for one in found] == [False, False, True, False]


def test_without_the_chart_the_states_are_those_that_the_history_names() -> None:
    found = past_of(ENTRIES, ["steeping"], None)

    assert [sorted(one.before) for one in found][1:] == [["cold"], ["boiling"], ["boiling"]]
    assert leaves_in(None, ["b", "a"]) == ("b", "a")


def test_the_states_before_a_migration_are_those_that_it_recorded_or_unknown() -> None:
    moved = {"n": 5, "seq": 5, "at": 1, "event": "migrated", "note": {"from": "1", "to": "2"}}

    told = past_of([*ENTRIES, moved | {"was": ["steeping"]}], ["drunk"], KETTLE, lambda version: KETTLE)
    untold = past_of([*ENTRIES, moved], ["drunk"], KETTLE)

    assert sorted(told[3].after) == ["hot", "steeping"]
    assert untold[3].after == frozenset()


def test_the_kind_of_an_event_follows_from_its_name() -> None:
    assert kind_of("forget", frozenset({"forget"})) is MomentKind.TIMER
    assert kind_of("repair") is MomentKind.HOST


PAYLOADS = {
    "add_item": {"name": "lamp", "cents": 500},
    "checkout": {"card": "5555", "address": "here"},
    "prove": {"code": "1"},
    "pay_again": {"card": "6666"},
    "ship": {"tracking": "t-1"},
    "refund": {"cents": 100},
}
RESULTS: dict[str, list[object]] = {
    "charging": [{"receipt": "c"}, {"challenge": "q"}],
    "confirming": [{"receipt": "c"}],
}


def moves_of(turn: Turn, dice: random.Random) -> list[Event]:
    """Everything that may happen next: events, timers that are due, and outcomes of activities."""
    asked = acceptance_of(turn.chart, turn.machine)
    found = [Event(name, PAYLOADS.get(name)) for name, answer in asked.items() if answer is not Acceptance.NO]
    found += [Event("timer", origin=Origin.PLATFORM, token=one.token) for one in turn.machine.timers]
    for run in turn.machine.activities:
        result = dice.choice(RESULTS.get(run.id, ["done"]))
        found.append(Event(f"done.invoke.{run.id}", result, Origin.PLATFORM, token=run.token))
        found.append(Event(f"error.invoke.{run.id}", Failure("Bad", "no"), Origin.PLATFORM, token=run.token))
    return found


def test_machines_that_went_anywhere_are_found_where_they_were(dice: random.Random, scale: int) -> None:
    chart = chart_from(Order)
    looked_at = 0
    while looked_at < 200 * scale:
        turn = Turn(chart, None, seed="s")
        turn.create({}, life="l", created_from="")
        for _ in range(dice.randrange(5, 40)):
            if not (moves := moves_of(turn, dice)):
                break
            with suppress(EventError):
                turn.deliver(event) if (event := dice.choice(moves)).token else turn.take(event)
        entries = [entry_of(taken, number, 0) for number, taken in enumerate(turn.log, 1)]

        found = past_of(entries, turn.machine.configuration, chart)

        for one, taken in zip(found, turn.log, strict=True):
            assert leaves_in(chart, one.after) == taken.configuration
            assert past(lambda _: chart, "2", turn.machine.configuration, entries, one.n).leaves == taken.configuration
        looked_at += len(found)
