"""Child machines that callbacks start, each by a name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durable_fsm.core.chart import Child, Spawn
from durable_fsm.core.codec import snapshot_from_json, snapshot_to_json
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.effects import Outcome, Post, StartMachine, StopMachine
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.fan_out import MOST_MACHINES
from durable_fsm.core.scope import Scope
from durable_fsm.core.step import step
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import ActionError
from tests.building import Driven, action, chart, edge
from tests.core.offices import LETTER

LETTERS = Child("letter", lambda _: Spawn(LETTER, None, "letter"), id="letter", chart=LETTER, on_demand=True)


def write(scope: Scope) -> None:
    scope.effects.start("letter", {"to": scope.event.payload}, name=str(scope.event.payload))


def burn(scope: Scope) -> None:
    scope.effects.stop("letter", name=str(scope.event.payload))


def hear(scope: Scope) -> Json:
    return [scope.event.name, scope.event.child, scope.event.invokeid]


def desk() -> Driven:
    made = chart(
        "closed\nopen",
        edge("closed", "unlock", "open"),
        edge("closed", "write", actions=[action(write, "write")]),
        edge("open", "lock", "closed"),
        edge("open", "write", actions=[action(write, "write")]),
        edge("open", "burn", actions=[action(burn, "burn")]),
        edge("open", "grown", actions=[action(hear, "hear")]),
        edge("open", "done.invoke.letter", actions=[action(hear, "hear")]),
        edge("open", "error.invoke.letter", actions=[action(hear, "hear")]),
        edge(
            "open",
            "ask",
            actions=[action(lambda scope: scope.effects.send("sign", to="#_letter.Ada"), "ask for Ada's")],
        ),
        machines={"open": [LETTERS]},
    )
    machine = Driven(made)
    machine.take("unlock")
    return machine


def writing(*names: str) -> Driven:
    machine = desk()
    for name in names:
        machine.take(Event("write", name))
    return machine


def names(machine: Driven) -> list[str | None]:
    return [child.name for child in machine.snapshot.machines]


def ends(machine: Driven, name: str, payload: object = None) -> Outcome:
    [child] = [one for one in machine.snapshot.machines if one.name == name]
    outcome = "error" if isinstance(payload, Failure) else "done"
    event = Event(f"{outcome}.invoke.letter.{name}", payload, Origin.PLATFORM, token=child.token)
    return machine.take(event).outcome


def test_none_begins_with_the_state() -> None:
    assert desk().snapshot.machines == ()


def test_a_callback_starts_each_with_its_own_name_and_data() -> None:
    machine = writing("Ada", "Bob")

    assert machine.last.effects == (StartMachine("life.4.1", "letter.Bob", LETTER, {"to": "Bob"}),)
    assert [(child.id, child.state) for child in machine.snapshot.machines] == [
        ("letter.Ada", "open"),
        ("letter.Bob", "open"),
    ]
    assert snapshot_from_json(machine.chart, snapshot_to_json(machine.snapshot)) == machine.snapshot


@pytest.mark.parametrize("payload", [None, Failure("Lost", "the letter is lost")], ids=["done", "error"])
def test_the_end_of_one_is_an_event_that_tells_its_name(payload: object) -> None:
    machine = writing("Ada", "Bob")

    assert ends(machine, "Ada", payload) is Outcome.TAKEN

    outcome = "done" if payload is None else "error"
    assert machine.last.reply == [f"{outcome}.invoke.letter", "Ada", "letter.Ada"]
    assert names(machine) == ["Bob"]


def test_a_message_of_one_tells_its_name() -> None:
    machine = writing("Ada")

    machine.take(Event("grown", 3, Origin.MACHINE, token=machine.snapshot.machines[0].token))

    assert machine.last.reply == ["grown", "Ada", "letter.Ada"]


def test_one_is_addressed_by_its_name() -> None:
    machine = writing("Bob", "Ada")

    machine.take("ask")

    assert machine.last.effects == (Post(machine.snapshot.machines[1].token, "sign"),)


def test_a_callback_stops_one_by_its_name() -> None:
    machine = writing("Ada", "Bob")
    token = machine.snapshot.machines[0].token

    machine.take(Event("burn", "Ada"))
    assert (names(machine), machine.last.effects) == (["Bob"], (StopMachine(token),))
    machine.take(Event("burn", "Ada"))
    assert (names(machine), machine.last.effects) == (["Bob"], ())


def test_leaving_the_state_stops_all() -> None:
    machine = writing("Ada", "Bob")
    tokens = [child.token for child in machine.snapshot.machines]

    machine.take("lock")

    assert machine.last.effects == tuple(StopMachine(token) for token in tokens)


def test_a_name_is_free_again_after_the_end() -> None:
    machine = writing("Ada")
    ends(machine, "Ada")

    machine.take(Event("write", "Ada"))

    assert names(machine) == ["Ada"]


def test_a_name_that_is_taken_is_refused() -> None:
    machine = writing("Ada")

    with pytest.raises(ActionError, match="one with the name 'Ada' is already running"):
        machine.take(Event("write", "Ada"))


def test_a_machine_whose_state_is_not_active_is_refused() -> None:
    machine = desk()
    machine.take("lock")

    with pytest.raises(ActionError, match="state 'open', which runs it, is not active"):
        machine.take(Event("write", "Ada"))


def test_too_many_are_refused() -> None:
    machine = writing("Ada")
    child = machine.snapshot.machines[0]
    many = tuple(changed(child, token=f"life.3.{n}", name=str(n)) for n in range(MOST_MACHINES))

    with pytest.raises(ActionError, match="1,000 are running already"):
        step(machine.chart, changed(machine.snapshot, machines=many), Event("write", "Ada"))


@pytest.mark.parametrize("name", ["Ada", None], ids=["by name", "without a name"])
def test_a_machine_that_the_chart_does_not_declare_is_refused(name: str | None) -> None:
    start = action(lambda scope: scope.effects.start("lettre", name=name), "start")
    machine = Driven(chart("open", edge("open", "go", actions=[start]), machines={"open": [LETTERS]}))

    with pytest.raises(ActionError, match=r"no work 'lettre' to start. It declares: 'letter'. Did you mean 'letter'"):
        machine.take("go")


def test_a_chart_that_begins_it_in_another_way_does_not_fit() -> None:
    machine = writing("Ada")
    state = machine.chart.states["open"]
    begun = replace(LETTERS, on_demand=False)
    other = replace(machine.chart, states={**machine.chart.states, "open": replace(state, machines=(begun,))})

    assert incompatibility(machine.chart, machine.snapshot) is None
    assert incompatibility(other, machine.snapshot) == (
        "Machine 'letter.Ada' of state 'open' is running, which the chart no longer has."
    )


def test_the_exported_chart_says_so() -> None:
    assert LETTERS.exported() == {"name": "letter", "autoforward": False, "finalize": [], "on_demand": True}
    assert desk().chart.on_demand == ("letter",)
