"""One child machine for each item of a list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durable_fsm.core.chart import Child, Each, Spawn
from durable_fsm.core.codec import plain, snapshot_from_json, snapshot_to_json
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.effects import Outcome, StartMachine, StopMachine
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.fan_out import at_index
from durable_fsm.core.values import Json, changed
from tests.building import Driven, Members, action, chart, edge
from tests.core.offices import LETTER, post

# ── several for a list ────────────────────────────────────────────────────────────────────────────────────────────────

ITEMS = Each("letters", lambda data: data["letters"])
LISTED = Members(log=[], letters=[])


def several(*edges: object, each: Each = ITEMS, letters: object = ("a", "b", "c")) -> Driven:
    one = Child("letter", lambda _: Spawn(LETTER, None, "all"), id="all", chart=LETTER, each=each)
    fill = action(lambda scope: scope.data.update(letters=list(letters)), "fill")  # type: ignore[call-overload]
    made = chart(
        "closed\nopen\nover final\nbroken final",
        edge("closed", "unlock", "open", actions=[fill]),
        edge("open", "lock", "closed"),
        edge("open", "done.invoke.all", "over", actions=[action(lambda s: s.event.payload, "keep")]),
        edge("open", "error.invoke.all", "broken", actions=[action(lambda s: plain(s.event.payload), "keep")]),
        *edges,  # type: ignore[arg-type]
        machines={"open": [one]},
        data=LISTED,
    )
    machine = Driven(made)
    machine.take("unlock")
    return machine


def ends(machine: Driven, part: int, payload: object = None) -> Outcome:
    name = "error" if isinstance(payload, Failure) else "done"
    token = machine.snapshot.machines[part].token
    return machine.take(Event(f"{name}.invoke.all.{part}", payload, Origin.PLATFORM, token=token)).outcome


def stopped(machine: Driven) -> list[object]:
    return [effect for effect in machine.last.effects if isinstance(effect, StopMachine)]


def test_each_item_is_the_data_of_a_machine_of_its_own() -> None:
    machine = several()

    assert machine.last.effects == tuple(
        StartMachine(f"life.2.{place + 1}", f"all.{place}", LETTER, item) for place, item in enumerate("abc")
    )
    assert [(child.id, child.part) for child in machine.snapshot.machines] == [
        ("all.0", 0),
        ("all.1", 1),
        ("all.2", 2),
    ]


def test_the_outputs_of_several_machines_are_joined_in_order() -> None:
    machine = several()

    assert ends(machine, 2, "third") is Outcome.TAKEN
    assert ends(machine, 0, None) is Outcome.TAKEN
    assert machine.leaves == ("open",)
    assert [child.ended for child in machine.snapshot.machines] == [True, False, True]
    assert snapshot_from_json(machine.chart, snapshot_to_json(machine.snapshot)) == machine.snapshot
    assert incompatibility(machine.chart, machine.snapshot) is None
    ends(machine, 1, "second")

    assert machine.leaves == ("over",)
    assert machine.last.reply == [None, "second", "third"]
    assert machine.snapshot.machines == ()


def test_the_first_failure_stops_those_that_have_not_ended() -> None:
    machine = several()
    ends(machine, 0, "first")

    ends(machine, 1, Failure("Torn", "it is torn"))

    assert machine.leaves == ("broken",)
    reply = machine.last.reply
    assert isinstance(reply, dict)
    assert (reply["type"], reply["metadata"]) == ("Torn", {"index": 1})
    assert StopMachine("life.2.3") in machine.last.effects
    assert StopMachine("life.2.1") not in machine.last.effects


def test_machines_may_settle() -> None:
    machine = several(each=replace(ITEMS, join="settle"), letters=("a", "b"))

    ends(machine, 0, Failure("Torn", "it is torn"))
    ends(machine, 1, "second")

    assert machine.last.reply == [
        {"status": "failed", "error": {"type": "Torn", "message": "it is torn", "source": ""}},
        {"status": "done", "result": "second"},
    ]


def test_the_first_of_several_machines_may_be_enough() -> None:
    machine = several(each=replace(ITEMS, join="any"))

    ends(machine, 2, Failure("Torn", "it is torn"))
    assert snapshot_from_json(machine.chart, snapshot_to_json(machine.snapshot)) == machine.snapshot
    ends(machine, 1, "second")

    assert (machine.leaves, machine.last.reply) == (("over",), "second")
    assert stopped(machine) == [StopMachine("life.2.1")]


def test_several_machines_fail_when_too_few_can_still_succeed() -> None:
    machine = several(each=replace(ITEMS, join=2))

    ends(machine, 2, Failure("Torn", "it is torn"))
    assert machine.leaves == ("open",)
    ends(machine, 0, Failure("Lost", "it is lost"))

    assert machine.leaves == ("broken",)
    reply = machine.last.reply
    assert isinstance(reply, dict)
    assert (reply["type"], reply["metadata"]) == ("Lost", {"index": 0})
    assert stopped(machine) == [StopMachine("life.2.2")]


def test_several_machines_are_stopped_with_their_state_unless_they_have_ended() -> None:
    machine = several(letters=("a", "b"))
    ends(machine, 0)

    machine.take("lock")

    assert machine.last.effects == (StopMachine("life.2.2"),)


def test_a_message_does_not_reach_one_that_has_ended() -> None:
    gone = edge("open", "error.communication", actions=[action(lambda s: s.event.payload.metadata, "back")])
    machine = several(edge("open", "go", actions=[post("sign", "#_all.0")]), gone, letters=("a", "b"))
    ends(machine, 0)

    machine.take("go")

    assert machine.last.reply == {"event": "sign", "to": "#_all.0", "sendid": ""}


def test_one_of_several_may_speak() -> None:
    machine = several(edge("open", "hello", actions=[action(lambda s: s.event.invokeid, "who")]))
    token = machine.snapshot.machines[1].token

    machine.take(Event("hello", None, Origin.MACHINE, token=token))

    assert machine.last.reply == "all.1"


@pytest.mark.parametrize(("letters", "leaf"), [((), "over"), (range(1_001), "broken")])
def test_no_items_and_too_many_are_over_at_once(letters: object, leaf: str) -> None:
    machine = several(letters=letters)

    assert machine.leaves == (leaf,)
    if leaf == "broken":
        reply = machine.last.reply
        assert isinstance(reply, dict)
        assert reply["message"] == "machine 'all' was not started: it has 1,001 items; at most 1,000 are allowed."


def test_items_that_cannot_be_found_begin_nothing() -> None:
    machine = several(edge("open", "error.execution", "broken"), each=Each("gone", lambda data: data["gone"]))

    assert machine.leaves == ("broken",)
    assert machine.snapshot.machines == ()


def test_a_list_and_a_single_machine_do_not_fit_each_other() -> None:
    machine = several()
    alone = changed(machine.snapshot, machines=(changed(machine.snapshot.machines[0], part=None),))

    assert (
        incompatibility(machine.chart, alone)
        == "Machine 'all.0' of state 'open' is running, which the chart no longer has."
    )


def test_a_machine_of_another_chart_does_not_fit() -> None:
    machine = several()
    other = changed(machine.snapshot, machines=(changed(machine.snapshot.machines[0], chart="Parcel"),))

    assert (
        incompatibility(machine.chart, other)
        == "Machine 'all.0' of state 'open' is running, which the chart no longer has."
    )


def test_the_list_of_several_machines_is_exported() -> None:
    exported = several().chart.to_json()
    assert isinstance(exported, dict)
    states = exported["states"]
    assert isinstance(states, list)
    (found,) = (state for state in states if isinstance(state, dict) and state["id"] == "open")

    assert found["machines"] == [
        {
            "name": "letter",
            "autoforward": False,
            "finalize": [],
            "each": {"name": "letters", "at_once": 10, "join": "all"},
        }
    ]


@pytest.mark.parametrize(
    ("facts", "expected"), [(None, {"index": 3}), ({"a": 1}, {"a": 1, "index": 3}), (5, {"metadata": 5, "index": 3})]
)
def test_the_failure_of_an_item_says_which(facts: Json, expected: Json) -> None:
    assert at_index(3, Failure("X", "x", metadata=facts)).metadata == expected
