"""Where we part from python-statemachine on purpose: one test for each rule, with both engines side by side."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import HistoryState, State, StateChart
from statemachine.engines.sync import SyncEngine

from durable_fsm.errors import ActionError, EventRejected, UnknownEvent
from durable_fsm.testing import Rehearsal
from tests.contract import oracle

pytestmark = pytest.mark.filterwarnings("ignore::durable_fsm.errors.DefinitionWarning")


def ids(machine: Any) -> set[str]:
    return {state.id for state in machine.configuration}


# ── where the library departs from SCXML, and the oracle is corrected ─────────────────────────────────────────────────


def test_regions_are_asked_in_document_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle.Watched, "_get_engine", lambda machine: SyncEngine(machine))  # noqa: PLW0108 - a method

    assert any(oracle.first_difference(seed) for seed in range(400))


def test_document_order_counts_through_the_whole_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "_number", lambda states, last: last)

    assert any(oracle.first_difference(seed) for seed in range(400))


class Remembering(StateChart):
    validate_disconnected_states = False

    class outer(State.Compound):
        class inner(State.Compound):
            one = State(initial=True)
            two = State()
            step = one.to(two)

        memory = HistoryState(type="deep")
        recall = inner.to(memory)

    over = State(final=True)
    end = outer.to(over)


def test_a_deep_history_remembers_only_when_its_state_is_left() -> None:
    theirs, ours = Remembering(), Rehearsal(Remembering)
    theirs.send("step")
    ours.send("step")
    theirs.send("recall")
    ours.send("recall")

    assert ids(theirs) == {"inner", "two"}  # outer is lost
    assert ours.configuration == ("outer", "inner", "one")  # outer was never left: the default


# ── where a durable machine is stricter ───────────────────────────────────────────────────────────────────────────────


class Door(StateChart):
    shut = State(initial=True)
    opened = State()
    locked = State(final=True)
    open = shut.to(opened)
    lock = opened.to(locked)


class LenientDoor(Door):
    allow_event_without_transition = True


def test_an_event_that_nothing_takes_is_rejected_unless_the_class_says_otherwise() -> None:
    theirs = Door()
    theirs.send("lock")
    theirs.send("no_such_event")
    assert ids(theirs) == {"shut"}

    with pytest.raises(EventRejected, match="Accepted now: 'open'"):
        Rehearsal(Door).send("lock")
    with pytest.raises(UnknownEvent):
        Rehearsal(Door).send("no_such_event")
    assert Rehearsal(LenientDoor).send("lock").outcome == "ignored"


class Failing(StateChart):
    a = State(initial=True)
    b = State(final=True)
    go = a.to(b)

    def __init__(self, **kwargs: Any) -> None:
        self.steps = 0
        super().__init__(**kwargs)

    def on_go(self) -> None:
        self.steps += 1
        raise ValueError("no")


def test_an_error_that_nothing_takes_undoes_the_step_and_is_told() -> None:
    theirs, ours = Failing(), Rehearsal(Failing)
    theirs.send("go")
    assert (ids(theirs), theirs.steps) == ({"b"}, 1)

    ours.create()
    with pytest.raises(ActionError, match="ValueError: no"):
        ours.send("go")
    assert (ours.configuration, ours.snapshot.data) == (("a",), {"steps": 0})


class Data(BaseModel):
    seen: list[str] = []


class Working(StateChart[Data]):
    busy = State(initial=True, invoke=lambda: "result")
    over = State(final=True)
    done_invoke_busy = busy.to(over)
    error_invoke_busy = busy.to.itself()

    def on_done_invoke_busy(self, data: Data, result: str) -> None:
        data.seen.append(result)

    def on_error_invoke_busy(self, data: Data, error: Any) -> None:
        data.seen.append(f"{error.type}: {error.message}")


def test_data_is_the_machines_data_and_what_work_returns_is_its_result() -> None:
    ours = Rehearsal(Working)
    ours.create()
    ours.fail("busy", "too late", type="TimeoutError")
    ours.finish("busy", "bread")

    assert ours.data.seen == ["TimeoutError: too late", "bread"]


class Eventless(StateChart):
    a = State(initial=True)
    b = State()
    c = State(final=True)
    go = a.to(b)
    end = b.to(c)
    b.to(c, cond="is_told", on="tell")

    def __init__(self, **kwargs: Any) -> None:
        self.told: str = ""
        super().__init__(**kwargs)

    def is_told(self) -> bool:
        return True

    def tell(self, word: str = "nothing") -> None:
        self.told = word


def test_an_eventless_transition_sees_the_event_that_led_to_it() -> None:
    theirs, ours = Eventless(), Rehearsal(Eventless)
    theirs.send("go", word="hello")
    ours.send("go", {"word": "hello"})

    assert theirs.told == "nothing"
    assert ours.data.told == "hello"
