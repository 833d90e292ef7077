"""What a python-statemachine class invokes, who observes it, and what its callbacks may ask the library for."""

from __future__ import annotations

import asyncio
import inspect
import sys
from datetime import timedelta
from functools import partial
from types import new_class
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart
from statemachine.contrib.timeout import timeout
from statemachine.invoke import InvokeContext, invoke_group

from durable_fsm import DefinitionError, activity, chart_from
from durable_fsm.errors import ActionError
from durable_fsm.testing import Rehearsal

pytestmark = pytest.mark.filterwarnings("ignore:.*the failure of activity:durable_fsm.errors.DefinitionWarning")


class Data(BaseModel):
    n: int = 0
    seen: list[str] = []


def problems(cls: type) -> list[str]:
    with pytest.raises(DefinitionError) as refused:
        chart_from(cls)
    return [problem.what for problem in refused.value.problems]


def outcome(machine: Rehearsal, id: str) -> object:
    """What the activity itself makes of the machine's data."""
    run = machine.chart.activities[id].run
    result = run(*(machine.data,)[: len(inspect.signature(run).parameters)])
    return asyncio.run(result) if inspect.iscoroutine(result) else result


# ── outside work ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Loading(StateChart):
    """Finds its work by convention, and keeps plain attributes."""

    loading = State(initial=True)
    ready = State(final=True)
    done_invoke_loading = loading.to(ready)

    def __init__(self, **kwargs: Any) -> None:
        self.path = "settings"
        self.settings: dict[str, str] = {}
        super().__init__(**kwargs)

    def on_invoke_loading(self, **_: Any) -> dict[str, str]:
        return {"from": self.path}

    def on_enter_ready(self, data: Any = None) -> None:
        self.settings = data


def test_work_may_be_found_by_its_name_and_look_at_the_machine() -> None:
    machine = Rehearsal(Loading)
    machine.create()
    assert machine.running == ("loading",)

    machine.finish("loading", outcome(machine, "loading"))

    assert machine.configuration == ("ready",)
    assert machine.snapshot.data == {"path": "settings", "settings": {"from": "settings"}}


class Decorated(StateChart[Data]):
    counting = State(initial=True)
    done = State(final=True)
    done_invoke_counting = counting.to(done)

    @counting.invoke  # type: ignore[untyped-decorator]
    async def count(self, data: Data) -> int:
        return data.n + self.model.n


def test_work_may_be_a_decorated_method_with_a_declared_data_type() -> None:
    machine = Rehearsal(Decorated)
    machine.create({"n": 2})

    assert outcome(machine, "counting") == 4


def test_methods_that_want_steps_get_the_context() -> None:
    class Stepping(StateChart[Data]):
        a = State(initial=True)
        b = State(final=True)
        done_invoke_a = a.to(b)

        async def on_invoke_a(self, ctx: Any, machine: Any) -> list[object]:
            return [ctx, machine.model.n]

    run = chart_from(Stepping).activities["a"].run

    assert list(inspect.signature(run).parameters) == ["ctx", "data"]
    assert asyncio.run(run("context", Data(n=3))) == ["context", 3]


def fetch(model: Data) -> int:
    return model.n


def read() -> str:
    return "read"


def test_several_works_of_one_state_are_told_apart_and_meant_together() -> None:
    class Several(StateChart[Data]):
        a = State(initial=True, invoke=[fetch, read, lambda: "third"])
        b = State(final=True)
        done_invoke_a = a.to(b)

    machine = Rehearsal(Several)
    machine.create({"n": 5})
    assert machine.running == ("a.fetch", "a.read", "a.3")
    assert [outcome(machine, id) for id in machine.running] == [5, "read", "third"]

    machine.finish("a.read")

    assert machine.configuration == ("b",)
    assert machine.snapshot.activities == ()


def test_a_group_is_one_work_whose_results_have_its_order() -> None:
    class Grouped(StateChart):
        a = State(initial=True, invoke=invoke_group(read, lambda: 2))
        b = State(final=True)
        done_invoke_a = a.to(b)

    machine = Rehearsal(Grouped)
    machine.create()

    assert outcome(machine, "a") == ["read", 2]


def test_a_timeout_is_a_timer() -> None:
    class Waiting(StateChart):
        a = State(initial=True, invoke=timeout(5))
        b = State(invoke=[read, timeout(30, on="too_slow")])
        c = State(final=True)
        d = State(final=True)
        done_invoke_a = a.to(b)
        done_invoke_b = b.to(c)
        too_slow = b.to(d)

    machine = Rehearsal(Waiting)
    machine.create()
    assert machine.timers == {"done.invoke.a": timedelta(seconds=5)}

    machine.advance(timedelta(seconds=5))
    assert machine.configuration == ("b",)
    assert machine.timers == {"too_slow": timedelta(seconds=30)}

    machine.advance(timedelta(seconds=30))
    assert machine.configuration == ("d",)


class Handler:
    def run(self, ctx: InvokeContext) -> None: ...


def test_an_invoke_that_needs_the_librarys_engine_is_refused() -> None:
    class Strange(StateChart):
        a = State(initial=True, invoke=Handler)
        b = State(invoke="no_such_method")
        go = a.to(b) | b.to(a)

        def on_invoke_state(self) -> None: ...

    assert problems(Strange) == [
        "state 'a' invokes Handler, whose run() needs the library's engine.",
        "on_invoke_state would do the same outside work for every state.",
        "state 'b' invokes 'no_such_method', which is not a method of Strange.",
        "on_invoke_state would do the same outside work for every state.",
    ]


def test_work_that_asks_for_the_event_is_refused() -> None:
    class Asking(StateChart):
        a = State(initial=True)
        go = a.to.itself()

        def on_invoke_a(self, path: str = "") -> str:
            return path

    assert problems(Asking) == [f"{Asking.__qualname__}.on_invoke_a asks for 'path', which outside work does not get."]


# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Pot(StateChart):
    cold = State(initial=True)
    warm = State(final=True)
    heat = cold.to(warm)


class Kitchen(StateChart):
    cooking = State(initial=True, invoke=Pot)
    eating = State(final=True)
    hungry = State(final=True)
    done_invoke_cooking = cooking.to(eating)
    error_invoke_cooking = cooking.to(hungry)


def test_a_statechart_may_be_invoked() -> None:
    kitchen = Rehearsal(Kitchen)
    kitchen.create()

    kitchen.machines["cooking"].send("heat")

    assert kitchen.configuration == ("eating",)


# ── observers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Audit:
    limit = 3

    def __init__(self, name: str = "audit") -> None:
        self.name = name

    def after_transition(self, machine: Any, source: Any, target: Any) -> None:
        machine.model.seen.append(f"{self.name}: {source.id} > {target.id}")

    def is_allowed(self, data: Data) -> bool:
        return data.n < self.limit


class Observed(StateChart[Data]):
    listeners: ClassVar = [Audit, partial(Audit, name="second"), Audit("third")]
    a = State(initial=True)
    b = State(final=True)
    go = a.to(b, cond="is_allowed and limit")


def test_class_listeners_observe_and_may_be_asked() -> None:
    machine = Rehearsal(Observed)

    machine.send("go")

    assert machine.data.seen == ["audit: a > b", "second: a > b", "third: a > b"]


def test_a_listener_that_cannot_be_made_is_a_problem() -> None:
    class Demanding:
        def __init__(self, wanted: int) -> None: ...

    class Chart(StateChart):
        listeners: ClassVar = [Demanding]
        a = State(initial=True)
        go = a.to.itself()

    (problem,) = problems(Chart)
    assert problem.startswith("listener Demanding() fails: ")


# ── arguments ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Prepared(StateChart[Data]):
    a = State(initial=True)
    b = State(final=True)
    go = a.to(b, cond="is_cheap")

    def prepare_event(self, data: Data, order_id: int = 0) -> dict[str, int]:
        data.n += 1
        return {"total": order_id * 10}

    def is_cheap(self, total: int) -> bool:
        return total < 100

    def on_go(self, total: int, **rest: Any) -> int:
        assert "total" not in rest
        assert rest["order_id"] == 5
        return total


def test_prepare_event_adds_to_the_arguments_once_an_event() -> None:
    machine = Rehearsal(Prepared)
    machine.create()
    begun = machine.data.n

    assert machine.send("go", {"order_id": 5}).reply == 50
    assert machine.data.n == begun + 1


class Positional(StateChart[Data]):
    a = State(initial=True)
    greet = a.to.itself(internal=True)
    again = a.to.itself(internal=True)
    mixed = a.to.itself(internal=True)

    def on_greet(self, data: Data, name: str, /, *others: str, polite: bool = False) -> list[object]:
        return [name, list(others), polite, data.n]

    def on_again(self) -> None:
        self.send("greet", "Bob", "Eve")

    def on_mixed(self) -> None:
        self.send("greet", "Bob", polite=True)


def test_a_list_is_taken_by_position() -> None:
    machine = Rehearsal(Positional)

    assert machine.send("greet", ["Ann"]).reply == ["Ann", [], False, 0]
    assert machine.send("again").reply == ["Bob", ["Eve"], False, 0]
    with pytest.raises(ActionError, match="with positional and with named arguments; name them all"):
        machine.send("mixed")


class Looking(StateChart[Data]):
    a = State(initial=True)

    class b(State.Compound):
        b1 = State(initial=True)

    go = a.to(b)

    def on_go(self, data: Data, previous_configuration: Any, new_configuration: Any) -> None:
        for name, states in (("from", previous_configuration), ("to", new_configuration)):
            data.seen.append(f"{name} {' '.join(state.id for state in states)}")
        data.seen.append(f"a {self.a.is_active}, b {self.b.is_active}")

    def after_go(self, data: Data) -> None:
        data.seen.append(f"a {self.a.is_active}, b {self.b.is_active}, b1 {self.b.b1.is_active}")


class LookingBack(Looking):
    atomic_configuration_update = True


@pytest.mark.parametrize(("cls", "during"), [(Looking, "a False, b False"), (LookingBack, "a True, b False")])
def test_callbacks_see_where_they_come_from_and_where_they_go(cls: type, during: str) -> None:
    machine = Rehearsal(cls)

    machine.send("go")

    assert machine.data.seen == ["from a", "to b b1", during, "a False, b True, b1 True"]


# ── data of the author's own classes ──────────────────────────────────────────────────────────────────────────────────


class Basket:
    """No model, no dataclass: attributes only."""

    currency: str = "EUR"

    def __init__(self) -> None:
        self.items: list[str] = []
        self.locked = False

    def before_add(self, item: str) -> None:
        self.items.append(item)


class Shopping(StateChart["Basket"]):
    a = State(initial=True)
    add = a.to.itself(internal=True, unless="locked")


def test_a_plain_class_is_a_data_type() -> None:
    shopping = Rehearsal(Shopping)
    assert sys.modules[__name__].Basket is Basket

    shopping.send("add", {"item": "tea"})

    assert shopping.data.items == ["tea"]
    assert shopping.snapshot.data == {"items": ["tea"], "locked": False}


class Demanding:
    def __init__(self, wanted: int) -> None: ...


@pytest.mark.parametrize("declared", [Demanding, "Nowhere"])
def test_a_type_that_cannot_be_stored_is_a_problem(declared: Any) -> None:
    def fill(body: dict[str, Any]) -> None:
        a = State(initial=True)
        body |= {"a": a, "go": a.to.itself(), "__module__": __name__}

    cls = new_class("Wrong", (StateChart[declared],), exec_body=fill)

    problem = problems(cls)[0]
    assert "cannot be stored as JSON" in problem


def test_an_activity_is_named_after_its_function() -> None:
    class Named(StateChart):
        a = State(initial=True, invoke=activity(read))
        b = State(final=True)
        done_invoke_a = a.to(b)

    assert chart_from(Named).activities["a"].name == "read"
    assert chart_from(Loading).activities["loading"].name == "on_invoke_loading"
    location = chart_from(Loading).activities["loading"].location
    assert location is not None
    assert location.file == __file__
