"""Timers of states, messages that a machine sends itself, and its ids and random numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from durable_fsm.core.chart import EventType, Timer
from durable_fsm.core.codec import milliseconds
from durable_fsm.core.effects import Cancel, Outcome, Post, Send, Step
from durable_fsm.core.events import Event
from durable_fsm.core.scope import Scope, send_beside
from durable_fsm.core.snapshot import PendingSend
from durable_fsm.core.step import step
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import ActionError
from tests.building import Driven, Members, action, chart, edge
from tests.core.ovens import DAY, MINUTE, OVEN, arrive, cancelling, oven, sending

# ── timers ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_timer_starts_with_its_state_and_ends_with_it() -> None:
    machine = oven(timers={"hot": [Timer("burn", MINUTE)]})

    assert machine.take("heat").effects == (Send("life.2.1", "burn", MINUTE),)
    assert machine.snapshot.timers == (PendingSend("life.2.1", "burn", milliseconds(MINUTE), "hot"),)
    assert machine.take("cool").effects == (Cancel("life.2.1"),)
    assert machine.snapshot.timers == ()


def test_a_timer_goes_on_while_the_machine_moves_inside_its_state() -> None:
    machine = oven(edge("baking", "rest", "resting"), timers={"hot": [Timer("burn", MINUTE)]})
    machine.take("heat")

    assert machine.take("rest").effects == ()
    assert [timer.token for timer in machine.snapshot.timers] == ["life.2.1"]


def test_a_timer_that_is_over_is_taken_as_its_event() -> None:
    machine = oven(edge("hot", "burn", "done"), timers={"hot": [Timer("burn", MINUTE)]})
    machine.take("heat")

    result = arrive(machine, "life.2.1")

    assert result.outcome is Outcome.TAKEN
    assert [microstep.event for microstep in result.trace] == ["burn"]
    assert result.effects == ()
    assert machine.leaves == ("done",)


def test_a_late_timer_is_stale_and_changes_nothing() -> None:
    machine = oven(edge("hot", "burn", "done"), timers={"hot": [Timer("burn", MINUTE)]})
    for event in ("heat", "cool", "heat"):
        machine.take(event)
    before = machine.emptied

    result = step(machine.chart, before, Event("timer", token="life.2.1"))

    assert result == Step(before, outcome=Outcome.STALE)


def test_a_timer_that_nothing_takes_is_over_all_the_same() -> None:
    machine = oven(timers={"hot": [Timer("burn", MINUTE)]})
    machine.take("heat")

    assert arrive(machine, "life.2.1").outcome is Outcome.IGNORED
    assert machine.snapshot.timers == ()


def test_a_failing_timer_is_reported_under_its_own_name() -> None:
    def stumble(scope: Scope) -> None:
        raise ValueError("no way")

    machine = oven(edge("hot", "burn", "done", actions=[action(stumble)]), timers={"hot": [Timer("burn", MINUTE)]})
    machine.take("heat")

    with pytest.raises(ActionError, match="stumble failed while processing 'burn'"):
        arrive(machine, "life.2.1")


def test_tokens_belong_to_one_life_and_one_entry() -> None:
    machine = oven(timers={"hot": [Timer("burn", MINUTE), Timer("smell", DAY)]})
    tokens: list[str] = []

    for event in ("heat", "cool", "heat"):
        machine.take(event)
        tokens += [timer.token for timer in machine.snapshot.timers]

    assert tokens == ["life.2.1", "life.2.2", "life.4.1", "life.4.2"]


# ── messages to oneself ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_message_to_oneself_outlives_the_state_that_sent_it() -> None:
    machine = oven(edge("cold", "call", actions=[sending("ring", {"n": 1})]), edge("hot", "ring"))

    machine.take("call")
    assert machine.snapshot.timers == (PendingSend("life.2.1", "ring", milliseconds(MINUTE), payload={"n": 1}),)
    machine.take("heat")
    assert [microstep.event for microstep in arrive(machine, "life.2.1").trace] == ["ring"]


def test_a_message_is_cancelled_by_its_id_and_by_no_other() -> None:
    machine = oven(
        edge("cold", "call", actions=[sending("ring", id="a"), sending("ring", id="b"), sending("ring")]),
        edge("cold", "ring"),
        edge("cold", "hush", actions=[cancelling("a"), cancelling("unknown")]),
    )
    machine.take("call")

    assert machine.take("hush").effects == (Cancel("life.2.1"),)
    assert [timer.id for timer in machine.snapshot.timers] == ["b", None]


def test_a_second_message_under_one_id_replaces_the_first_and_is_cancelled_by_it() -> None:
    machine = oven(
        edge("cold", "call", actions=[sending("ring", {"n": 1}, id="a"), sending("ring", id="b")]),
        edge("cold", "again", actions=[sending("ring", {"n": 2}, id="a")]),
        edge("cold", "tell", actions=[sending("ring", id="a", to=("Parcel", "p-1"))]),
        edge("cold", "now", actions=[sending("ring", id="b", to=("Parcel", "p-1"), after=timedelta(0))]),
        edge("cold", "ring"),
        edge("cold", "hush", actions=[cancelling("a")]),
    )
    machine.take("call")

    assert machine.take("again").effects == (Cancel("life.2.1"), Send("life.3.1", "ring", MINUTE))
    assert [(timer.id, timer.payload) for timer in machine.snapshot.timers] == [("b", None), ("a", {"n": 2})]
    assert machine.take("tell").effects == (Cancel("life.3.1"), Send("life.4.1", "ring", MINUTE))
    assert machine.take("now").effects == (Cancel("life.2.2"), Post("Parcel/p-1", "ring", None, "b"))
    assert machine.take("hush").effects == (Cancel("life.4.1"),)
    assert machine.snapshot.timers == ()


def test_documents_keep_the_rule_of_scxml_and_other_libraries_theirs() -> None:
    def beside(scope: Scope) -> None:
        send_beside(scope.effects, "ring", None, after=MINUTE, id="a")

    made = oven(edge("cold", "call", actions=[sending("ring", id="a"), action(beside, "beside")]), edge("cold", "ring"))
    made.take("call")
    scxml = Driven(replace(made.chart, policies=replace(made.chart.policies, scxml=True)))
    scxml.take("call")

    assert [timer.id for timer in made.snapshot.timers] == ["a", "a"]
    assert [timer.id for timer in scxml.snapshot.timers] == ["a", "a"]


def test_durations_are_whole_milliseconds_rounded_up_and_never_negative() -> None:
    machine = oven(
        edge("cold", "call", actions=[sending("ring", after=timedelta(microseconds=1)), sending("ring", after=-DAY)]),
        edge("cold", "ring"),
    )

    assert machine.take("call").effects == (
        Send("life.2.1", "ring", timedelta(milliseconds=1)),
        Send("life.2.2", "ring", timedelta(0)),
    )


@pytest.mark.parametrize(
    ("event", "payload", "problem"),
    [
        ("rign", None, "UnknownEvent: there is no event 'rign'. It knows: 'call', 'cool', 'heat', 'ring'. Did you mean 'ring'?"),
        ("ring", {"n": "1"}, "InvalidPayload: payload of 'ring' does not fit Ring: expected int, got str at $.n."),
        ("ring", object(), "TypeError: object has no form in JSON."),
    ],
)  # fmt: skip
def test_a_message_that_could_never_arrive_is_the_failure_of_its_sender(
    event: str, payload: object, problem: str
) -> None:
    machine = oven(
        edge("cold", "call", actions=[sending(event, payload)]),
        edge("cold", "ring"),
        events=[EventType("ring", Members(name="Ring", n=int))],
    )

    with pytest.raises(ActionError) as caught:
        machine.take("call")

    assert caught.value.problem == problem


# ── ids and chance ────────────────────────────────────────────────────────────────────────────────────────────────────


def drawn(seed: str, life: str = "life") -> Json:
    def draw(scope: Scope) -> object:
        return [str(scope.ids.uuid()), scope.ids.random.random(), str(scope.ids.uuid())]

    machine = Driven(chart(OVEN, edge("cold", "draw", actions=[action(draw)])))
    return step(machine.chart, changed(machine.snapshot, life=life), Event("draw", seed=seed)).reply


def test_ids_and_random_numbers_depend_on_the_invocation_and_the_life_alone() -> None:
    assert drawn("one") == drawn("one")
    assert drawn("one") != drawn("two")
    assert drawn("one") != drawn("one", life="another")
    first, _, second = drawn("one")  # type: ignore[misc]
    assert first != second
