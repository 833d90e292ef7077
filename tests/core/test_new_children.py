"""Messages from an entry action to the child of its own state, which begins when the macrostep ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durable_fsm.core.chart import Callback, Child, Each, Policies
from durable_fsm.core.effects import Post, StartMachine
from tests.building import Driven, action, edge, fails
from tests.core.offices import LETTER, SECOND, child, office, post

NAMED = replace(child("l1"), id="l1")


def greeted(*acts: Callback, **rest: object) -> Driven:
    machine = office(entry={"open": acts}, machines=(NAMED,), **rest)
    machine.take("unlock")
    return machine


def test_an_entry_action_speaks_to_the_child_of_its_state_which_begins_first() -> None:
    machine = greeted(post("sign", "#_l1", id="m1"))

    assert machine.last.effects == (
        StartMachine("life.2.1", "l1", LETTER, {"log": []}),
        Post("life.2.1", "sign", {"n": 1}, "m1"),
    )


def test_an_entry_action_may_speak_to_the_child_of_its_state_later_or_think_better_of_it() -> None:
    later = [post("sign", "#_l1", after=SECOND, id="m1"), post("sign", "#_l1", id="m2")]
    cancel = action(lambda scope: scope.effects.cancel("m2"), "cancel")

    machine = greeted(*later, cancel)

    (waiting,) = machine.snapshot.timers
    assert (waiting.id, waiting.to) == ("m1", "life.2.1")
    assert not any(isinstance(effect, Post) for effect in machine.last.effects)


def test_a_message_to_a_child_that_did_not_begin_comes_back() -> None:
    broken = Child("letter", fails().call, id="l1")
    gone = edge("open", "error.communication", "over")
    machine = office(gone, edge("open", "error.execution"), entry={"open": [post("sign", "#_l1")]}, machines=(broken,))

    machine.take("unlock")

    assert machine.leaves == ("over",)


def test_a_message_to_a_child_whose_state_is_only_passed_through_comes_back() -> None:
    acts = {"open": [post("sign", "#_l1")]}
    machine = office(
        edge("open", "", "closed"), edge("closed", "error.communication", "over"), entry=acts, machines=(NAMED,)
    )

    machine.take("unlock")

    assert machine.leaves == ("over",)


@pytest.mark.parametrize("address", ["#_", "#_nobody", "#_l2"])
def test_an_entry_action_that_speaks_to_nobody_hears_of_it(address: str) -> None:
    gone = edge("open", "error.communication", "over")

    machine = office(gone, entry={"open": [post("sign", address)]}, machines=(child(), NAMED))
    machine.take("unlock")

    assert machine.leaves == ("over",)


def test_in_scxml_a_child_cannot_be_reached_before_it_begins() -> None:
    scxml, gone = Policies(scxml=True), edge("open", "error.communication", "over")

    machine = office(gone, entry={"open": [post("sign", "#_l1")]}, machines=(NAMED,), policies=scxml)
    machine.take("unlock")

    assert machine.leaves == ("over",)


def test_an_entry_action_speaks_to_one_of_several_children() -> None:
    machines = (replace(NAMED, each=Each("letters", lambda _: ["a", "b"])),)

    machine = office(entry={"open": [post("sign", "#_l1.1"), post("sign", "#_l1.2")]}, machines=machines)
    machine.take("unlock")

    [sent] = [effect for effect in machine.last.effects if isinstance(effect, Post)]
    assert sent.to == machine.snapshot.machines[1].token
