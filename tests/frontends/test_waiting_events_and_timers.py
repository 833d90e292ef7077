"""What both front-ends say of events that wait or are ignored, and of timers that are computed or come again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import TransitionsConfig, after, at, chart_from, defer, durable, every, ignore
from durable_fsm.errors import DefinitionError, EventRejected
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
        "state 'one' defers 'nothing', and no transition takes it.",
        "state 'one' defers 'done.invoke.x', which comes from the machine itself.",
    ]


def test_events_that_cannot_wait_are_problems_of_a_configuration() -> None:
    wrong = TransitionsConfig(
        "Wrong",
        states=["one", "two"],
        transitions=[["go", "one", "two"]],
        initial="one",
        defers={"one": ["nothing"], "three": ["go"]},
        ignores={"*": ["nobody"]},
    )

    assert problems(wrong) == [
        "'three' defers events, and is not a state.",
        "the chart ignores 'nobody', and no transition takes it.",
        "state 'one' defers 'nothing', and no transition takes it.",
    ]


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
