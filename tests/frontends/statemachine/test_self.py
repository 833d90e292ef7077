"""What callbacks ask of `self`: the library's own engine and ours give the same answers."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import HistoryState, State, StateChart, StateMachine
from statemachine.states import States

from durable_fsm import DefinitionError, chart_from
from durable_fsm.core.values import Misfit
from durable_fsm.errors import ActionError, DefinitionWarning
from durable_fsm.frontends.values import revived
from durable_fsm.testing import Rehearsal

pytestmark = pytest.mark.filterwarnings("ignore:Property `current_state` is deprecated:DeprecationWarning")


class Paint(enum.Enum):
    RED = 1
    BLUE = 2


class Size(enum.IntEnum):
    SMALL = 1


def ids(found: Any) -> Any:
    """States and events by their ids, so that two engines can be compared."""
    if isinstance(found, State) or hasattr(found, "id"):
        return found.id
    if isinstance(found, dict):
        return {name: ids(member) for name, member in found.items()}
    return [ids(item) for item in found] if not isinstance(found, str | bool) else found


class Oven(StateChart):
    """Regions, a history, guards: everything that `self` can be asked about."""

    class oven(State.Parallel):
        class lamp(State.Compound):
            dark = State(initial=True)
            lit = State()
            press = dark.to(lit) | lit.to(dark)

        class door(State.Compound):
            shut = State(initial=True)
            wide = State()
            last = HistoryState()
            pull = shut.to(wide, cond="unlocked")
            look = shut.to.itself(internal=True)

    gone = State(final=True)
    drop = oven.to(gone)
    lift = gone.from_(oven, cond="strong")

    def unlocked(self, key: str = "") -> bool:
        return key == "steel"

    def strong(self) -> bool:
        raise ValueError("a guard that raises")

    def answers(self) -> list[Any]:
        return [
            ids(self.configuration),
            sorted(self.configuration_values),
            ids(self.current_state),
            sorted(self.current_state_value),
            sorted(ids(self.enabled_events())),
            sorted(ids(self.enabled_events(key="steel"))),
            sorted(set(ids(self.allowed_events))),
            self.is_terminated,
            self.shut.is_active,  # type: ignore[attr-defined]
            self.lit.is_active,  # type: ignore[attr-defined]
            self.oven.is_active,
            self.history_values,
        ]

    def on_press(self) -> list[Any]:
        return self.answers()

    def on_look(self, source: State, target: State, state: State) -> list[str]:
        return [source.id, target.id, state.id]


class Light(StateMachine):
    """A flat machine, whose configuration is one state."""

    red = State(initial=True, value=1)
    green = State(value=2)
    off = State(final=True, value=3)
    go = red.to(green)
    stop = green.to(off)

    def __init__(self) -> None:
        self.told: list[Any] = []
        StateMachine.__init__(self)
        self.activate_initial_state()

    def on_go(self) -> list[Any]:
        return [self.current_state_value, ids(self.current_state), ids(self.enabled_events()), ids(self.allowed_events)]

    def on_enter_off(self) -> None:
        self.told.append(self.is_terminated)

    def after_stop(self) -> None:
        self.told += [self.is_terminated, self.current_state_value]


class Stage(enum.Enum):
    pending = "p"
    shipped = "s"


class Order(StateMachine):
    """An event has the name of a state."""

    stages = States.from_enum(Stage, initial=Stage.pending, final=Stage.shipped, use_enum_instance=True)
    shipped = stages.pending.to(stages.shipped)

    def __init__(self) -> None:
        self.paint, self.sizes, self.seen = Paint.RED, {"now": Size.SMALL}, {Paint.BLUE}
        super().__init__()

    def on_shipped(self, event: Any, source: State) -> list[str]:
        self.paint = Paint.BLUE
        return [str(event), source.id, self.current_state_value.name, self.model is not None]


@pytest.mark.parametrize(
    ("chart", "events"),
    [(Oven, ["look", "press", "look", "press"]), (Light, ["go", "stop"]), (Order, ["shipped"])],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_self_answers_as_in_the_library(chart: Any, events: list[str]) -> None:
    library, ours = chart(), Rehearsal(chart)

    for event in events:
        answer = library.send(event)
        assert ours.send(event).reply == (answer if isinstance(answer, list) else None)

    for name, value in ours.data.__dict__.items():
        if not name.startswith("_"):
            assert value == getattr(library, name)


ASKED = {
    "the current state is a state of self": "self.current_state is self.a and self.current_state == self.a",
    "it is among some": "self.current_state in (self.a, self.b) and self.current_state in {self.a, self.b}",
    "it is active": "[self.current_state.is_active, self.a.is_active, self.b.is_active]",
    "the configuration": "[[state.id, state.name, state.value, state.is_active] for state in self.configuration]",
    "source and target": "[source == self.a, target == self.b, source.is_active]",
    "states of the class": "[[state.id for state in self.states], sorted(self.states_map), self.initial_state.id]",
    "final states": "[state.id for state in self.final_states]",
    "events of the class": "[str(one) for one in self.events]",
    "an event by its attribute": "[self.go_on.id, self.go_on.name]",
    "the event": "[str(event), event == 'go_on', event.name]",
    "the other arguments in one": "[event_data.event.name, event_data.source.id, event_data.target.id]",
    "transitions of a state": "[edge.target.id for edge in self.a.transitions]",
    "the machine": "machine is self",
    "listeners": "len(self.active_listeners)",
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_a_question_in_a_callback_is_answered_as_in_the_library(asked: str) -> None:
    class Asking(StateMachine):
        a = State("First", initial=True)
        b = State(final=True)
        go_on = a.to(b)

        def on_go_on(self, source: Any, target: Any, event: Any, event_data: Any, machine: Any) -> Any:
            names = {"self": self, "source": source, "target": target, "event": event, "event_data": event_data}
            return eval(asked, {**names, "machine": machine})  # noqa: S307 - a line of the table above

    assert Rehearsal(Asking).send("go_on").reply == Asking().send("go_on")


def test_history_is_asked_by_the_id_of_its_state() -> None:
    class Desk(StateChart):
        class work(State.Compound):
            reading = State(initial=True)
            writing = State()
            back = HistoryState()
            write = reading.to(writing)

        pause = State()
        end = State(final=True)
        rest = work.to(pause)
        resume = pause.to(work.back)
        close = pause.to(end)

        def on_resume(self) -> Any:
            return ids(self.history_values)

    library, ours = Desk(), Rehearsal(Desk)
    for event in ("write", "rest"):
        library.send(event)
        ours.send(event)

    assert ours.send("resume").reply == library.send("resume") == {"back": ["writing"]}


def test_a_model_without_a_type_is_the_machine_and_can_be_shown() -> None:
    class Bare(StateChart):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b)

        def on_go(self, model: Any) -> str:
            model.n = 1
            return repr(self.model)

    bare = Rehearsal(Bare)

    assert (bare.send("go").reply, bare.snapshot.data) == ("<Bare>", {"n": 1})


def test_an_enumeration_comes_back_as_its_member_or_not_at_all() -> None:
    order = Rehearsal(Order)
    order.send("shipped")

    stored = order.snapshot.data
    assert isinstance(stored, dict)
    assert stored["paint"] == {"$enum": f"{__name__}:Paint.BLUE"}
    assert revived(stored["paint"]) is Paint.BLUE
    for name in ("Paint.GREEN", "ids", "Nothing.RED"):
        with pytest.raises(Misfit, match="any more"):
            revived({"$enum": f"{__name__}:{name}"})


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────────


def problem(chart: type) -> Any:
    with pytest.raises(DefinitionError) as refused:
        chart_from(chart)
    (only,) = refused.value.problems
    return only


class Data(BaseModel):
    n: int = 0


def chart(init: Any, base: Any = StateChart) -> type:
    """A chart whose constructor calls this function with the base's."""

    class Made(base):  # type: ignore[misc]
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b)

        def __init__(self) -> None:
            init(self, super().__init__)

    return Made


def failing(self: Any, begin: Any) -> None:
    begin()
    self.size = int("many")


def with_model(self: Any, _: Any) -> None:
    StateChart.__init__(self)
    self.model = Data()


def passing_model(_: Any, begin: Any) -> None:
    begin(model=Data())


def with_listener(_: Any, begin: Any) -> None:
    begin(listeners=[object()])


def adding_listener(self: Any, begin: Any) -> None:
    begin()
    self.add_listener(object())


def starting_elsewhere(_: Any, begin: Any) -> None:
    begin(start_value="b")


def test_a_constructor_that_needs_arguments_is_told_to_have_defaults() -> None:
    class Needy(StateChart):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b)

        def __init__(self, name: str) -> None:
            self.name = name

    found = problem(Needy)

    assert "missing 1 required positional argument: 'name'" in found.what
    assert found.remedy == "Give every argument a default."


@pytest.mark.parametrize(
    ("init", "base", "what"),
    [
        (failing, StateChart, "Made() fails: ValueError: invalid literal for int()"),
        (with_model, StateChart, "write its type: class Made(StateChart[MadeData])"),
        (passing_model, StateMachine, "write its type: class Made(StateMachine, StateChart[MadeData])"),
        (with_listener, StateChart, "listeners = [...] in the class"),
        (adding_listener, StateChart, "listeners = [...] in the class"),
        (starting_elsewhere, StateChart, "a machine begins in its initial state"),
    ],
)
def test_a_constructor_that_fails_is_shown_where_it_does(init: Any, base: Any, what: str) -> None:
    found = problem(chart(init, base))

    assert what in found.what
    assert found.remedy == "Fix that line: it runs for every machine."
    file, _, line = found.place.rpartition(":")
    lines = {number for _, _, number in init.__code__.co_lines()}
    assert (file, int(line) in lines) == (str(Path(__file__)), True)


def test_the_base_class_that_the_message_names_works() -> None:
    class Typed(StateMachine, StateChart[Data]):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b)

        def on_go(self, data: Data) -> None:
            data.n = 2

    typed = Rehearsal(Typed)
    typed.send("go")

    assert typed.data.n == 2


@pytest.mark.parametrize("name", ["current_state", "current_state_value", "configuration", "history_values"])
def test_the_state_is_changed_by_transitions_only(name: str) -> None:
    class Jumping(StateChart):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b)

        def on_go(self) -> None:
            setattr(self, name, "b")

    with pytest.raises(ActionError, match=f"self.{name} is changed by transitions only"):
        Rehearsal(Jumping).send("go")


def test_you_are_warned_of_entry_actions_that_only_the_library_would_run() -> None:
    class Link(StateChart):
        down = State(initial=True)
        up = State()
        connect = down.to(up)
        beat = up.to.itself(internal=True)
        cut = up.to(down)

        def on_enter_up(self) -> None: ...

    with pytest.warns(DefinitionWarning, match="'beat' stays in state 'up' without entering it"):
        chart_from(Link)
    chart_from(type("Quiet", (Link,), {"enable_self_transition_entries": False}))  # warnings are errors here
