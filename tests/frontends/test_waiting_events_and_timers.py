"""What both front-ends say of events that wait or are ignored, and of timers that are computed or come again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import TransitionsConfig, after, at, chart_from, defer, durable, every, ignore
from durable_fsm.errors import DefinitionError, EventRejected, Forbidden, UnknownEvent
from durable_fsm.testing import Rehearsal

MINUTE = timedelta(minutes=1)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Job(BaseModel):
    patience: int = 2
    due: datetime | None = NOON
    log: list[str] = []


def patience(data: Job) -> timedelta:
    return timedelta(minutes=data.patience)


@durable(ignores=["ping"])
class Worker(StateChart[Job]):
    """Works; whoever calls meanwhile has to wait."""

    idle = State(initial=True)
    busy = State()
    late = State(final=True)

    defer(busy, "ask", "note")
    ignore(busy, "begin")

    begin = idle.to(busy)
    rest = busy.to(idle)
    ask = idle.to.itself(internal=True)
    note = idle.to.itself(internal=True)
    ping = late.from_(idle, cond="never")
    tire = after(patience, busy.to(idle))
    overdue = at("due_date", busy.to(late))
    beat = every(MINUTE, busy.to.itself(internal=True))

    def never(self) -> bool:
        return False

    def due_date(self, data: Job) -> datetime | None:
        return data.due

    def on_ask(self, data: Job, payload: str) -> None:
        data.log.append(payload)

    def on_beat(self, data: Job) -> None:
        data.log.append("beat")


class Lent(Job):
    def due_date(self) -> datetime | None:
        return self.due

    def on_ask(self, payload: str) -> None:
        self.log.append(payload)

    def on_beat(self) -> None:
        self.log.append("beat")

    def never(self) -> bool:
        return False


Configured = TransitionsConfig(
    "Worker",
    states=["idle", "busy", {"name": "late", "final": True}],
    transitions=[
        ["begin", "idle", "busy"],
        ["rest", "busy", "idle"],
        {"trigger": "ask", "source": "idle", "dest": None, "after": "on_ask"},
        {"trigger": "note", "source": "idle", "dest": None},
        {"trigger": "ping", "source": "idle", "dest": "late", "conditions": "never"},
        ["tire", "busy", "idle"],
        ["overdue", "busy", "late"],
        {"trigger": "beat", "source": "busy", "dest": None, "after": "on_beat"},
    ],
    initial="idle",
    model=Lent,
    timers={"busy": {"tire": patience, "overdue": "due_date"}},
    every={"busy": {"beat": MINUTE}},
    defers={"busy": ["ask", "note"]},
    ignores={"busy": ["begin"], "*": ["ping"]},
)

both = pytest.mark.parametrize("definition", [pytest.param(Worker, id="class"), pytest.param(Configured, id="config")])


@both
def test_deferred_events_are_taken_in_order_when_the_state_is_left(definition: object) -> None:
    worker = Rehearsal(definition)
    worker.send("begin")

    assert [worker.send("ask", text).outcome for text in ("one", "two")] == ["deferred", "deferred"]
    assert worker.data.log == []
    worker.send("rest")

    assert worker.data.log == ["one", "two"]


@both
def test_ignored_events_change_nothing(definition: object) -> None:
    worker = Rehearsal(definition)
    assert worker.send("ping").outcome == "ignored"
    worker.send("begin")

    assert worker.send("begin").outcome == worker.send("ping").outcome == "ignored"
    worker.send("rest")
    with pytest.raises(EventRejected):
        worker.send("rest")


@both
def test_timers_are_computed_from_the_data(definition: object) -> None:
    worker = Rehearsal(definition)
    worker.create({"patience": 7, "due": None})

    worker.send("begin")

    assert worker.timers == {"tire": 7 * MINUTE, "beat": MINUTE}
    worker.advance(7 * MINUTE)
    assert worker.configuration == ("idle",)
    assert worker.data.log == ["beat"] * 6
    assert worker.timers == {}


@both
def test_a_timer_is_set_to_an_instant(definition: object) -> None:
    worker = Rehearsal(definition, began=NOON - 90 * MINUTE)
    worker.create({"patience": 1_000})
    worker.send("begin")

    assert worker.timers["overdue"] == 90 * MINUTE
    worker.advance(89 * MINUTE)
    assert worker.configuration == ("busy",)
    worker.advance(MINUTE)
    assert worker.configuration == ("late",)


@both
def test_an_instant_that_is_past_is_over_at_once(definition: object) -> None:
    worker = Rehearsal(definition, began=NOON + MINUTE)
    worker.send("begin")

    worker.advance(timedelta(0))

    assert worker.configuration == ("late",)


@both
def test_the_chart_says_it_all(definition: object) -> None:
    chart = chart_from(definition)

    busy = chart.states["busy"]
    assert (busy.defers, busy.ignores, chart.root.ignores) == (("ask", "note"), ("begin",), ("ping",))
    timers = {timer.event: timer for timer in busy.timers}
    assert [timers[name].recurring for name in ("tire", "overdue", "beat")] == [False, False, True]
    assert timers["tire"].when is not None
    assert timers["tire"].when.name == "patience"
    assert not chart.events["tire"].public


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────────


def problems(definition: object) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        chart_from(definition)
    return [problem.what for problem in caught.value.problems]


def test_events_that_cannot_wait_are_problems_of_a_class() -> None:
    class Wrong(StateChart[Job]):
        one = State(initial=True)
        two = State(final=True)
        defer(one, "nothing", "done.invoke.x")
        go = one.to(two)

    assert problems(Wrong) == [
        "state 'one' defers 'nothing', and no transition accepts it.",
        "state 'one' defers 'done.invoke.x', which comes from the machine itself.",
    ]


def test_events_that_cannot_wait_are_problems_of_a_configuration() -> None:
    wrong = TransitionsConfig(
        "Wrong",
        states=["one", "two"],
        transitions=[["go", "one", "two"]],
        initial="one",
        defers={"one": ["nothing"], "three": ["go"]},
        ignores={"*": ["nobody.*"]},
    )

    assert problems(wrong) == [
        "'three' defers events, and is not a state.",
        "the chart ignores 'nobody.*', and no transition accepts it.",
        "state 'one' defers 'nothing', and no transition accepts it.",
    ]


def test_an_ignored_event_that_is_almost_the_name_of_another_is_a_problem() -> None:
    @durable(ignores=["checkot"])
    class Cart(StateChart[Job]):
        open = State(initial=True)
        closed = State(final=True)
        checkout = open.to(closed)

    with pytest.raises(
        DefinitionError, match=r"ignores .checkot., and no transition accepts it\. Did you mean .checkout."
    ):
        chart_from(Cart)


# ── events that the chart does not know ───────────────────────────────────────────────────────────────────────────────


class Door(StateChart[Job]):
    open = State(initial=True)
    shut = State(final=True)
    close = open.to(shut, cond="never")

    def never(self) -> bool:
        return False


def door(**options: Any) -> TransitionsConfig:
    close = {"trigger": "close", "source": "open", "dest": "shut", "conditions": lambda: False}
    return TransitionsConfig(
        "Door", states=["open", {"name": "shut", "final": True}], transitions=[close], initial="open", **options
    )


def subclass(**options: Any) -> type[Door]:
    return durable(**options)(type("Door", (Door,), {}))


class Lenient(Door):
    allow_event_without_transition = True


IGNORING = {
    "a switch, class": lambda: subclass(unexpected="ignore"),
    "a switch, configuration": lambda: door(unexpected="ignore"),
    "every event, class": lambda: subclass(ignores=["*"]),
    "every event, configuration": lambda: door(ignores={"*": ["*"]}),
    "the library's own switch, class": lambda: Lenient,
    "the library's own switch, configuration": lambda: door(ignore_invalid_triggers=True),
}


@pytest.mark.parametrize("made", IGNORING.values(), ids=IGNORING.keys())
def test_a_chart_can_ignore_all_events_that_nothing_takes(made: Any) -> None:
    machine = Rehearsal(made())

    outcomes = {name: machine.send(name, {"n": 1}).outcome for name in ("close", "whatever")}

    assert outcomes == {"close": "ignored", "whatever": "ignored"}
    assert machine.configuration == ("open",)


@pytest.mark.parametrize("event", ["done.invoke.x", "error.execution", "done.state.y"])
def test_the_machines_own_events_are_never_ignored_from_outside(event: str) -> None:
    with pytest.raises(Forbidden):
        Rehearsal(subclass(unexpected="ignore")).send(event)


def test_a_chart_can_reject_what_its_class_would_ignore() -> None:
    strict = Rehearsal(durable(unexpected="reject")(type("Strict", (Lenient,), {})))

    with pytest.raises(EventRejected):
        strict.send("close")
    with pytest.raises(UnknownEvent):
        strict.send("whatever")


def test_the_switch_has_two_positions() -> None:
    with pytest.raises(TypeError, match="unexpected must be 'reject' or 'ignore' or None, and is 'drop'"):
        door(unexpected="drop")


@pytest.mark.parametrize(
    "definition", [subclass(ignores=["ping"]), door(ignores={"*": ["ping"]})], ids=["class", "config"]
)
def test_an_event_without_effect_needs_no_transition(definition: Any) -> None:
    machine = Rehearsal(definition)

    assert machine.send("ping").outcome == "ignored"
    assert machine.chart.public_events == ("close", "ping")
    with pytest.raises(UnknownEvent):
        machine.send("pong")


def test_an_event_that_one_state_ignores_is_rejected_in_the_others() -> None:
    machine = Rehearsal(
        TransitionsConfig(
            "Partly",
            states=["a", "b"],
            transitions=[["go", "a", "b"], ["back", "b", "a"]],
            initial="a",
            ignores={"b": ["ping"]},
        )
    )
    with pytest.raises(EventRejected):
        machine.send("ping")
    machine.send("go")

    assert machine.send("ping").outcome == "ignored"


def test_a_computed_timer_must_be_there_and_must_not_wait() -> None:
    async def later(data: Job) -> timedelta:
        return MINUTE

    class Wrong(StateChart[Job]):
        one = State(initial=True)
        two = State(final=True)
        go = after("missing", one.to(two))
        run = after(later, one.to(two))

    found = problems(Wrong)
    assert found[0] == "callback 'missing' is neither on the chart nor on its data."
    assert "is a coroutine" in found[1]


def test_two_timers_of_a_configuration_need_two_events() -> None:
    wrong = TransitionsConfig(
        "Wrong",
        states=["one", "two"],
        transitions=[["go", "one", "two"]],
        initial="one",
        timers={"one": {"go": MINUTE}},
        every={"one": {"go": timedelta(0)}},
    )

    assert problems(wrong) == [
        "timer 'go' of 'one' would be over before it starts: 0:00:00.",
        "state 'one' has two timers for 'go'.",
    ]


@pytest.mark.parametrize(
    ("declare", "problem"),
    [
        pytest.param(lambda edge: after(-MINUTE, edge), "would be over before it starts", id="negative"),
        pytest.param(lambda edge: every(timedelta(0), edge), "without a delay would fire without end", id="zero"),
    ],
)
def test_a_timer_needs_a_time(declare: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        declare(State().to(State()))


def test_a_stance_names_events() -> None:
    with pytest.raises(ValueError, match="name the events"):
        defer(State("one"))


def test_some_states_of_a_flat_machine_may_ignore_what_they_do_not_take() -> None:
    partly = TransitionsConfig(
        "Partly",
        states=["A", {"name": "B", "ignore_invalid_triggers": True}],
        transitions=[["go", "A", "B"], ["back", "B", "A"]],
        initial="A",
    )
    machine = Rehearsal(partly)
    with pytest.raises(EventRejected):
        machine.send("back")
    machine.send("go")

    assert machine.send("go").outcome == "ignored"
