"""Machines that callbacks start by a name, declared in both libraries."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Effects, TransitionsConfig, chart_from, event, machine
from durable_fsm.diagram import graph_of
from durable_fsm.errors import DefinitionError
from durable_fsm.testing import Rehearsal


class LetterData(BaseModel):
    to: str
    words: int = 0


class Letter(StateChart[LetterData]):
    writing = State(initial=True)
    sent = State(final=True)
    post = writing.to(sent)
    add = event(writing.to.itself(internal=True), int)

    def on_add(self, data: LetterData, payload: int, effects: Effects) -> None:
        data.words += payload
        effects.send("grown", data.words, to="#_parent")

    def on_enter_sent(self, data: LetterData) -> str:
        return f"to {data.to}, {data.words} words"


class OutboxData(BaseModel):
    sent: list[str] = []


def write(payload: str, effects: Effects) -> None:
    effects.start("letter", {"to": payload}, name=payload)


def note(data: OutboxData, result: str, event: Any) -> None:
    data.sent.append(f"{event.child}: {result}")


class Outbox(StateChart[OutboxData]):
    open = State(initial=True, invoke=machine(Letter, id="letter", on_demand=True))
    closed = State()

    write = event(open.to.itself(internal=True, on=write), str)
    burn = event(open.to.itself(internal=True), str)
    grown = event(open.to.itself(internal=True), int, public=False)
    done_invoke_letter = event(open.to.itself(internal=True, on=note), str)
    error_invoke_letter = open.to.itself(internal=True)
    close = open.to(closed)
    reopen = closed.to(open)

    def on_burn(self, payload: str, effects: Effects) -> None:
        effects.stop("letter", name=payload)


OUTBOX = TransitionsConfig(
    "Outbox",
    ["open"],
    [
        {"trigger": "write", "source": "open", "dest": None, "after": write},
        {"trigger": "grown", "source": "open", "dest": None},
        {"trigger": "done_invoke_letter", "source": "open", "dest": None, "after": note},
        {"trigger": "error_invoke_letter", "source": "open", "dest": None},
    ],
    initial="open",
    model=OutboxData,
    machines={"open": machine(Letter, id="letter", on_demand=True)},
)


@pytest.mark.parametrize("definition", [Outbox, OUTBOX], ids=["statemachine", "transitions"])
def test_callbacks_start_machines_by_name(definition: object) -> None:
    outbox = Rehearsal(definition)
    outbox.create()
    assert outbox.machines == {}

    outbox.send("write", "Ada")
    outbox.send("write", "Bob")
    outbox.machines["letter.Bob"].send("add", 3)
    outbox.machines["letter.Bob"].send("post")

    assert list(outbox.machines) == ["letter.Ada"]
    assert outbox.data.sent == ["Bob: to Bob, 3 words"]


def test_callbacks_stop_machines_by_name() -> None:
    outbox = Rehearsal(Outbox)
    for name in ("Ada", "Bob", "Cem"):
        outbox.send("write", name)

    outbox.send("burn", "Ada")
    assert list(outbox.machines) == ["letter.Bob", "letter.Cem"]
    outbox.send("close")
    assert outbox.machines == {}
    outbox.send("reopen")
    outbox.send("write", "Bob")
    assert list(outbox.machines) == ["letter.Bob"]


def test_a_diagram_shows_that_machines_begin_on_demand() -> None:
    [box] = [node for node in graph_of(chart_from(Outbox)).nodes if node.id == "open"]

    assert "machine ×N Letter, on demand" in [" ".join(part.text for part in row) for row in box.rows]


def test_a_machine_on_demand_has_no_input_of_its_own() -> None:
    with pytest.raises(ValueError, match=r"gets its data from effects\.start"):
        machine(Letter, on_demand=True, input="to")


def test_a_callback_that_starts_an_unknown_machine_is_refused_at_definition() -> None:
    class Misspelt(StateChart):
        open = State(initial=True, invoke=machine(Letter, id="letter", on_demand=True))
        go = open.to.itself(internal=True)
        error_invoke_letter = open.to.itself(internal=True)

        def on_go(self, effects: Effects) -> None:
            effects.start("lettre", {"to": "Ada"}, name="Ada")

    with pytest.raises(DefinitionError, match="Did you mean 'letter'"):
        chart_from(Misspelt)
