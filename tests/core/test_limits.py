"""Limits in the core: priorities are computed when work begins, and a machine hears when its activity gets a slot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from durable_fsm.core.chart import Activity, Callback, Chart, Transition
from durable_fsm.core.effects import Outcome, StartActivity
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.export import exported
from durable_fsm.core.limits import Limit, checked_priority
from durable_fsm.core.program import index_of
from durable_fsm.core.step import may_come_from_outside
from durable_fsm.core.turn import Turn
from durable_fsm.errors import ActionError, Forbidden
from tests.building import Driven, action, chart, edge, fails, note
from tests.core.trips import run, trip

SHOP = """
    idle
    working
        enqueued
        running
    over final
"""

GRANTED = edge("enqueued", "granted.invoke.add", "running", actions=[note("granted")])
BANK = Limit("bank", 3)


def work() -> None: ...


def shop(*edges: Transition, priority: Any = 0) -> Chart:
    add = Activity("add", "work", work, deadline=None, limit=BANK, priority=priority)
    begin, end = edge("idle", "begin", "working"), edge("working", "done.invoke.add", "over")
    return chart(SHOP, begin, end, *edges, activities={"working": [add]})


def begun(*edges: Transition) -> tuple[Driven, str]:
    machine = Driven(shop(*edges))
    machine.take("begin")
    return machine, machine.snapshot.activities[0].token


def grant(token: str) -> Event:
    return Event("granted.invoke.add", origin=Origin.PLATFORM, token=token)


# ── priorities ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("declared", "found"), [(7, 7), (Callback("urgency", lambda scope: len(scope.data["log"]) - 2), -2)]
)
def test_a_priority_is_a_number_or_is_computed_when_the_work_begins(declared: Any, found: int) -> None:
    machine = Driven(shop(priority=declared))

    assert machine.take("begin").effects == (StartActivity("life.2.1", "add", 2, exclusive=False, priority=found),)


@pytest.mark.parametrize("value", ["high", True, 1.5, None, 2**53 + 1])
def test_work_with_another_priority_does_not_begin(value: object) -> None:
    recover = edge("working", "error.execution", "idle", actions=[note("recovered")])
    machine = Driven(shop(recover, priority=Callback("urgency", lambda _: value)))

    step = machine.take("begin")

    assert (machine.leaves, machine.log, step.effects) == (("idle",), ["recovered"], ())


def test_detached_work_has_a_priority_too() -> None:
    mail = Activity("mail", "work", work, limit=3, priority=Callback("urgency", lambda scope: len(scope.data["log"])))
    begin = edge("idle", "begin", actions=[note("one"), action(lambda scope: scope.effects.start("mail"), "start")])
    made = replace(chart("idle", begin), work=(mail,))

    [start] = Driven(made).take("begin").effects

    assert isinstance(start, StartActivity)
    assert (start.priority, start.detached) == (1, True)


def test_a_callback_that_starts_work_with_a_strange_priority_fails() -> None:
    mail = Activity("mail", "work", work, limit=3, priority=Callback("urgency", lambda _: "high"))
    begin = edge("idle", "begin", actions=[action(lambda scope: scope.effects.start("mail"), "start")])

    with pytest.raises(ActionError, match="a priority is a whole number, and this is a str: 'high'"):
        Driven(replace(chart("idle", begin), work=(mail,))).take("begin")


def test_any_reader_of_json_keeps_a_priority_exact() -> None:
    assert [checked_priority(value) for value in (-(2**53), 0, 2**53)] == [-(2**53), 0, 2**53]


@pytest.mark.parametrize(
    ("name", "slots", "problem"),
    [
        ("", 1, "a limit needs a name"),
        ("n" * 3_000, 1, r"the name of a limit is a key of Restate: .* 3,000 bytes"),
        ("bank", 0, r"Limit\('bank', 0\) would let nothing run; use 1 or more"),
    ],
    ids=["nameless", "long", "empty"],
)
def test_a_limit_that_could_not_be_kept_is_refused(name: str, slots: int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Limit(name, slots)


# ── slots ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_machine_hears_that_its_activity_has_got_a_slot_and_still_waits_for_its_outcome() -> None:
    machine, token = begun(GRANTED)

    step = machine.take(grant(token))

    assert (step.outcome, machine.leaves, machine.log) == (Outcome.TAKEN, ("running",), ["granted"])
    assert [running.token for running in machine.snapshot.activities] == [token]
    assert machine.take(Event("done.invoke.add", 3, Origin.PLATFORM, token=token)).outcome is Outcome.TAKEN
    assert machine.leaves == ("over",)


def test_a_slot_that_nothing_waits_for_changes_nothing() -> None:
    machine, token = begun()
    before = machine.emptied

    step = machine.take(grant(token))

    assert (step.outcome, step.snapshot) == (Outcome.IGNORED, before)


def test_a_slot_of_work_that_has_ended_or_was_stopped_is_stale() -> None:
    machine, token = begun(GRANTED)
    machine.take(Event("done.invoke.add", 3, Origin.PLATFORM, token=token))
    assert machine.take(grant(token)).outcome is Outcome.STALE

    stopping = Driven(trip())
    stopping.take("book")
    flight = run(stopping, "flight").token
    stopping.take("cancel")
    assert [one.token for one in stopping.snapshot.stopping] == [flight]
    assert stopping.take(Event("granted.invoke.flight", origin=Origin.PLATFORM, token=flight)).outcome is Outcome.STALE
    assert [one.token for one in stopping.snapshot.stopping] == [flight]


def test_a_slot_that_cannot_be_taken_is_parked_and_the_outcome_is_still_awaited() -> None:
    machine, token = begun(edge("enqueued", "granted.invoke.add", "running", actions=[fails()]))
    turn = Turn(machine.chart, machine.snapshot, seed="seed")

    turn.deliver(grant(token))

    assert [one.event.name for one in turn.parked] == ["granted.invoke.add"]
    assert [running.parked for running in turn.machine.activities] == [False]


def test_a_sender_cannot_grant_a_slot() -> None:
    machine, _ = begun(GRANTED)

    with pytest.raises(Forbidden):
        machine.take("granted.invoke.add")
    assert not may_come_from_outside(machine.chart, "granted.invoke.other")


@pytest.mark.parametrize(
    ("descriptor", "hears"),
    [("granted.invoke.add", True), ("granted.invoke.*", True), ("granted.invoke.other", False), ("*", False)],
)
def test_a_chart_is_told_if_a_transition_names_the_event(descriptor: str, hears: bool) -> None:
    made = shop(edge("enqueued", descriptor, "running"))

    assert index_of(made).hears_grant("add") is hears


def test_an_activity_without_a_priority_is_exported_as_before_and_a_named_limit_by_its_name() -> None:
    plain = Activity("add", "work", work, limit=3)
    shown = [exported(one) for one in (plain, replace(plain, limit=BANK), replace(plain, priority=2))]

    assert [one["limit"] for one in shown if isinstance(one, dict)] == [3, {"name": "bank", "slots": 3}, 3]
    assert ["priority" in one for one in shown if isinstance(one, dict)] == [False, False, True]
