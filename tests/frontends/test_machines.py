"""Machines that a state runs, declared in both libraries; and messages, as a rehearsal carries them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Effects, Failure, SyncClient, TransitionsConfig, activity, chart_from, durable, event, machine
from durable_fsm.core.effects import Post
from durable_fsm.diagram import graph_of
from durable_fsm.errors import DefinitionError, DefinitionWarning
from durable_fsm.frontends.machines import reading
from durable_fsm.restate.app import services
from durable_fsm.testing import Rehearsal

SECOND = timedelta(seconds=1)


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


class DeskData(BaseModel):
    to: str = "Ada"
    many: list[dict[str, Any]] = []
    words: int = 0
    result: Any = None


class Told:
    def on_done_invoke_letter(self, data: DeskData, result: Any) -> None:
        data.result = result

    def on_error_invoke_letter(self, data: DeskData, error: Failure) -> None:
        data.result = error.message


def desk(invoked: Any) -> Any:
    class Desk(Told, StateChart[DeskData]):
        empty = State(initial=True)
        busy = State(invoke=invoked)
        done = State(final=True)

        begin = event(empty.to(busy), DeskData)
        grown = event(busy.to.itself(internal=True), int, public=False)
        add = event(busy.to.itself(internal=True), int)
        done_invoke_letter = busy.to(done)
        error_invoke_letter = busy.to(done)

        def on_begin(self, data: DeskData, payload: DeskData) -> None:
            data.to, data.many = payload.to, payload.many

        def on_grown(self, data: DeskData, payload: int) -> None:
            data.words = payload

        def on_add(self, payload: int, effects: Effects) -> None:
            effects.send("add", payload, to="#_letter")

    return Desk


def begun(invoked: Any, **data: Any) -> Rehearsal:
    rehearsal = Rehearsal(desk(invoked))
    rehearsal.send("begin", data)
    return rehearsal


def addressed(data: DeskData) -> dict[str, Any]:
    return {"to": data.to, "words": 100}


@pytest.mark.parametrize(("input", "words"), [(("to",), 0), (addressed, 100)])
def test_a_machine_begins_with_what_its_input_makes(input: Any, words: int) -> None:
    rehearsal = begun(machine(Letter, id="letter", input=input), to="Bob")

    assert rehearsal.machines["letter"].data == LetterData(to="Bob", words=words)
    rehearsal.machines["letter"].send("post")

    assert rehearsal.data.result == f"to Bob, {words} words"


def test_a_field_may_be_the_input() -> None:
    class Holder(BaseModel):
        letter: LetterData = LetterData(to="Eve")

    class Desk(StateChart[Holder]):
        busy = State(initial=True, invoke=machine(Letter, input="letter"))
        done = State(final=True)
        done_invoke_busy = busy.to(done)
        error_invoke_busy = busy.to(done)

    rehearsal = Rehearsal(Desk)
    rehearsal.create()

    assert rehearsal.machines["busy"].data.to == "Eve"


def test_data_that_do_not_fit_are_a_failure() -> None:
    rehearsal = begun(machine(Letter, id="letter", input=lambda data: {"to": 5}))

    assert "the data does not fit LetterData: input should be a valid string at $.to." in rehearsal.data.result


def test_a_machine_for_each_item() -> None:
    rehearsal = begun(machine(Letter, id="letter", each="many"), many=[{"to": "Ada"}, {"to": "Bob"}])

    rehearsal.machines["letter.1"].send("post")
    assert set(rehearsal.machines) == {"letter.0"}
    rehearsal.machines["letter.0"].send("post")

    assert rehearsal.data.result == ["to Ada, 0 words", "to Bob, 0 words"]


def test_parent_and_child_speak_to_each_other() -> None:
    rehearsal = begun(machine(Letter, id="letter", input=("to",)))

    for words in (3, 4):
        rehearsal.send("add", words)

    assert rehearsal.data.words == 7


def test_a_configuration_of_transitions_says_the_same() -> None:
    config = TransitionsConfig(
        "Desk",
        states=["empty", "busy", "done"],
        initial="empty",
        transitions=[
            ["begin", "empty", "busy"],
            {"trigger": "done_invoke_letter", "source": "busy", "dest": "done", "before": "keep"},
            ["error_invoke_letter", "busy", "done"],
        ],
        model=Kept,
        machines={"busy": machine(Letter, id="letter", input=("to",))},
    )
    rehearsal = Rehearsal(config)
    rehearsal.send("begin")

    rehearsal.machines["letter"].send("post")

    assert rehearsal.data.result == "to Ada, 0 words"


class Kept(DeskData):
    def keep(self, result: Any) -> None:
        self.result = result


def test_a_machine_of_one_library_may_run_one_of_the_other() -> None:
    lamp = TransitionsConfig(
        "Lamp",
        states=["off", {"name": "on", "final": True}],
        initial="off",
        transitions=[["switch", "off", "on"]],
    )
    rehearsal = begun(machine(lamp, id="letter"))

    rehearsal.machines["letter"].send("switch")

    assert rehearsal.configuration == ("done",)


# ── definition time ───────────────────────────────────────────────────────────────────────────────────────────────────


def problems(make: Callable[[], object]) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        chart_from(make())
    return [problem.what for problem in caught.value.problems]


async def later(data: DeskData) -> list[str]:
    return []


@pytest.mark.parametrize(
    ("invoked", "problem"),
    [
        (
            machine(Letter, id="letter"),
            "machine 'letter' begins without data, and a Letter needs some: field required at $.to.",
        ),
        (machine(Letter, id="letter", input="cents"), "input of machine 'letter' is 'cents', which is not a field"),
        (machine(Letter, id="letter", each="all"), "machine 'letter' takes its items from 'all', which is not a field"),
        (machine(Letter, id="letter", each=later), "machine 'letter' computes its items in a coroutine"),
        (machine(Letter, id="letter", input=later), "input of machine 'letter' is a coroutine"),
        (
            machine(Letter, id="letter", input=lambda data: {"to": time.time()}),
            "input of machine 'letter' reads the clock",
        ),
    ],
)
def test_a_machine_that_cannot_begin_is_refused(invoked: Any, problem: str) -> None:
    [found] = problems(lambda: desk(invoked))

    assert found.startswith(problem)


def test_two_of_one_id_are_refused() -> None:
    both = [machine(Letter, id="letter", input=("to",)), activity(later, id="letter")]

    assert problems(lambda: desk(both)) == ["two activities have the id 'letter', in states 'busy' and 'busy'."]


def test_a_machine_that_runs_itself_is_refused() -> None:
    machines: dict[str, Any] = {}
    endless = TransitionsConfig(
        "Endless",
        states=["a", "b"],
        initial="a",
        transitions=[["done_invoke_a", "a", "b"], ["error_invoke_a", "a", "b"]],
        machines=machines,
    )
    other = TransitionsConfig(
        "Other",
        states=["a", "b"],
        initial="a",
        transitions=[["done_invoke_a", "a", "b"], ["error_invoke_a", "a", "b"]],
        machines={"a": endless},
    )
    machines["a"] = other

    assert problems(lambda: endless) == ["machine 'a' runs Endless again, which would start machines without end."]


@pytest.mark.parametrize(
    ("machines", "problem"),
    [
        ({"nowhere": Letter}, "machine of 'nowhere', which is not a state."),
        ({"a": 5}, "machine of 'a' is not a definition: 5."),
        ({"a": [machine(Letter, each=list), machine(Letter, each=list)]}, "two activities have the id 'a'."),
    ],
)
def test_a_machine_that_a_configuration_cannot_run_is_refused(machines: Any, problem: str) -> None:
    config = TransitionsConfig("Desk", states=["a"], initial="a", machines=machines)

    assert problem in problems(lambda: config)


def test_a_definition_may_be_read_while_another_thread_reads_it_too() -> None:
    class Office(StateChart):
        writing = State(initial=True, invoke=machine(Letter, input=lambda _: {"to": "Ada"}))
        done = State(final=True)
        done_invoke_writing = writing.to(done)
        error_invoke_writing = writing.to(done)

    with reading(Letter), ThreadPoolExecutor(1) as another:
        office = another.submit(chart_from, Office).result()

    assert office.states["writing"].machines[0].chart is chart_from(Letter)


def test_threads_that_read_a_definition_at_once_get_one_chart() -> None:
    class Brief(StateChart):
        open = State(initial=True)
        closed = State(final=True)
        close = open.to(closed)

    start = threading.Barrier(8)

    def read() -> object:
        start.wait()
        return chart_from(Brief)

    with ThreadPoolExecutor(8) as pool:
        charts = [each.result() for each in [pool.submit(read) for _ in range(8)]]

    assert {id(chart) for chart in charts} == {id(chart_from(Brief))}


FIRST_USE = """
import sys, threading
from statemachine import State, StateChart
sys.setswitchinterval(1e-6)

class Parcel(StateChart):
    packed, sent = State(initial=True), State(final=True)
    go = packed.to(sent)

class Order(StateChart):
    new, shipping, done = State(initial=True), State(invoke=Parcel), State(final=True)
    ship = new.to(shipping)
    done_invoke_shipping = error_invoke_shipping = shipping.to(done)

def use():
    start.wait()
    try:
        import durable_fsm
        from durable_fsm.testing import Rehearsal
        Rehearsal(Order).send("ship")
    except Exception as error:
        print(repr(error))

start = threading.Barrier(4)
threads = [threading.Thread(target=use) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_several_threads_may_be_the_first_to_use_a_definition(tmp_path: Path) -> None:
    program = tmp_path / "first_use.py"
    program.write_text(FIRST_USE, encoding="utf-8")

    def run(_: int) -> tuple[int, str]:
        ran = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)
        return ran.returncode, ran.stdout

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(run, range(4))) == {(0, "")}


def test_two_threads_with_clients_get_no_false_problem_of_a_class_with_a_child() -> None:
    def use(definition: type) -> str:
        start.wait()
        return str(SyncClient("http://127.0.0.1:1").machine(definition, "o-1").key)

    for _ in range(50):
        start = threading.Barrier(2)

        class Office(StateChart):
            writing = State(initial=True, invoke=machine(Letter, input=lambda _: {"to": "Ada"}))
            done = State(final=True)
            done_invoke_writing = error_invoke_writing = writing.to(done)

        with ThreadPoolExecutor(2) as pool:
            assert [*pool.map(use, [Office, Office])] == ["o-1", "o-1"]


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="leave input= out"):
        machine(Letter, input="to", each="many")
    with pytest.raises(ValueError, match="join='settle' needs each="):
        machine(Letter, join="settle")
    with pytest.raises(RuntimeError, match="machine 'Letter' is run by a host"):
        machine(Letter)()


def test_a_failure_that_nothing_takes_is_warned_of() -> None:
    class Careless(StateChart):
        busy = State(initial=True, invoke=machine(Lamp))
        done = State(final=True)
        done_invoke_busy = busy.to(done)

    with pytest.warns(DefinitionWarning, match="no transition handles the failure of machine 'busy'"):
        chart_from(Careless)


class Lamp(StateChart):
    off = State(initial=True)
    on = State(final=True)
    switch = off.to(on)


# ── what is served ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_children_are_served_beside_their_parent_each_once() -> None:
    one = desk(machine(Letter, id="letter", input=("to",)))

    assert [service.name for service in services(one, one, Letter)] == [
        "Desk",
        "Desk.relay",
        "Desk.history",
        "Letter",
        "Letter.relay",
        "Letter.history",
    ]


def test_two_charts_of_one_name_are_refused_wherever_they_are() -> None:
    @durable(name="Letter")
    class Other(StateChart):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b)

    with pytest.raises(ValueError, match="two charts are called 'Letter'"):
        services(Other, desk(machine(Letter, id="letter", input=("to",))))


def test_a_diagram_shows_the_machines_of_a_state() -> None:
    graph = graph_of(chart_from(desk(machine(Letter, id="letter", each="many"))))

    [busy] = [node for node in graph.nodes if node.id == "busy"]
    rows = [[part.text for part in row] for row in busy.rows[:2]]
    assert rows == [["machine", "×N", "Letter, each of many"], ["join", "all"]]


# ── messages in rehearsals ────────────────────────────────────────────────────────────────────────────────────────────


class PenData(BaseModel):
    back: list[str] = []
    ink: int = 0


class Pen(StateChart[PenData]):
    open = State(initial=True)
    closed = State()
    write = event(open.to.itself(internal=True), str)
    fill = event(open.to.itself(internal=True), int)
    close = event(open.to(closed))
    reopen = event(closed.to(open))
    filled = event(open.to.itself(internal=True), int)
    error_communication = open.to.itself(internal=True)

    def on_write(self, payload: str, effects: Effects) -> None:
        effects.send("fill", 1, to=(Pen, payload), after=SECOND, id="m1")

    def on_fill(self, data: PenData, payload: int, effects: Effects, event: Any) -> None:
        data.ink += payload
        effects.send("filled", data.ink, to=event.sender)

    def on_filled(self, data: PenData, payload: int) -> None:
        data.ink = -payload

    def on_error_communication(self, data: PenData, error: Failure) -> None:
        data.back.append(f"{error.source}: {error.message}")


def test_a_message_to_a_machine_that_is_not_rehearsed_is_recorded() -> None:
    pen = Rehearsal(Pen, key="p-1")

    pen.send("write", "p-2")
    assert pen.posted == []
    pen.advance(SECOND)

    assert pen.posted == [Post("Pen/p-2", "fill", 1, "m1")]


def test_a_machine_rehearsed_beside_another_takes_its_messages_and_answers() -> None:
    one = Rehearsal(Pen, key="p-1")
    two = Rehearsal(Pen, key="p-2", beside=one)

    one.send("write", "p-2")
    one.advance(SECOND)

    assert (two.data.ink, one.data.ink) == (1, -1)
    assert two.now == SECOND


def test_a_message_that_a_machine_rehearsed_beside_another_refuses_is_returned() -> None:
    one = Rehearsal(Pen, key="p-1")
    two = Rehearsal(Pen, key="p-2", beside=one)
    two.send("close")

    one.send("write", "p-2")
    one.advance(SECOND)

    assert one.data.back == [
        "Pen/p-2: Pen/p-2: event 'fill' is not accepted in state 'closed'. Accepted now: 'reopen'."
    ]


def test_a_message_that_a_child_refuses_is_returned_in_a_rehearsal() -> None:
    class Desk(StateChart[PenData]):
        busy = State(initial=True, invoke=machine(Lamp))
        done = State(final=True)
        go = busy.to.itself(internal=True)
        done_invoke_busy = busy.to(done)
        error_invoke_busy = busy.to(done)
        error_communication = busy.to.itself(internal=True)

        def on_go(self, effects: Effects) -> None:
            effects.send("nonsense", to="#_busy")

        def on_error_communication(self, data: PenData, error: Failure) -> None:
            data.back.append(error.source)

    rehearsal = Rehearsal(Desk)
    rehearsal.send("go")

    assert rehearsal.data.back == ["#_busy"]
