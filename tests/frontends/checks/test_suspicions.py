"""Definitions that can be read and cannot work as their author means are refused, or warned of, with place and remedy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from statemachine import State, StateChart

from durable_fsm import DefinitionError, TransitionsConfig, activity, chart_from, machine
from durable_fsm.errors import DefinitionWarning

HERE = Path(__file__).name


def problems(definition: object) -> list[str]:
    with pytest.raises(DefinitionError) as refused:
        chart_from(definition)
    return [f"{problem.what} {problem.remedy}" for problem in refused.value.problems]


def warned(definition: object) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        chart_from(definition)
    assert all(issubclass(one.category, DefinitionWarning) and HERE in str(one.message) for one in caught)
    return [str(one.message).partition(": ")[2].rpartition(" (")[0] for one in caught]


# ── In(…) ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("guard", "found"),
    [
        ("In('shutt')", "guard 'In('shutt')' asks for state 'shutt', and there is none. Did you mean 'shut'?"),
        ("not In('wid')", "guard 'not In('wid')' asks for state 'wid', and there is none. Did you mean 'wide'?"),
        (
            "!In('x') and ready",
            "guard 'not In('x') and ready' asks for state 'x', and there is none. Correct the name.",
        ),
        (
            "in('shut', 'shat')",
            "guard 'in('shut', 'shat')' asks for state 'shat', and there is none. Did you mean 'shut'?",
        ),
    ],
)
def test_a_question_for_a_state_that_there_is_not_is_refused(guard: str, found: str) -> None:
    guard = guard.replace("in(", "iN(") if guard.startswith("in(") else guard

    class Door(StateChart):
        shut = State(initial=True)
        wide = State(final=True)
        pull = shut.to(wide, cond=guard)

        def ready(self) -> bool:
            return True

    assert problems(Door) == [found.replace("in('shut',", "iN('shut',")]


def test_a_question_for_a_nested_state_is_taken() -> None:
    class House(StateChart):
        class door(State.Compound):
            shut = State(initial=True)
            wide = State()
            pull = shut.to(wide)

        left = State(final=True)
        leave = door.to(left, cond="In('wide') and not In('shut')")

    assert chart_from(House).name == "House"


DOCUMENT = """
<scxml xmlns="http://www.w3.org/2005/07/scxml" name="door" initial="shut">
  <state id="shut"><transition event="pull" cond="In('shutt') &amp;&amp; true" target="wide"/></state>
  <state id="wide"/>
</scxml>
"""


def test_a_question_of_a_document_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "door.scxml").write_text(DOCUMENT)

    [problem] = problems(tmp_path / "door.scxml")
    assert problem.endswith("asks for state 'shutt', and there is none. Did you mean 'shut'?")


# ── final states ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_transition_out_of_a_nested_final_state_is_warned_of() -> None:
    class Two(StateChart):
        class both(State.Parallel):
            class a(State.Compound):
                a1 = State(initial=True)
                a2 = State(final=True)
                on_ = a1.to(a2)
                back = a2.to(a1)

            class b(State.Compound):
                b1 = State(initial=True)
                b2 = State(final=True)
                off = b1.to(b2)

        end = State(final=True)
        done_state_both = both.to(end)

    [words] = warned(Two)
    assert words.startswith("state 'a2' is final, and a transition on 'back' leaves it. Remove the transition, or let")


async def mail(data: object) -> None:
    """Send a mail."""


class Parcel(StateChart):
    """A machine of its own."""

    a = State(initial=True)
    b = State(final=True)
    go = a.to(b)


NEVER = "state 'end' ends the machine, so its activities would never start."


@pytest.mark.parametrize("work", [activity(mail), mail, machine(Parcel)], ids=("activity", "function", "machine"))
def test_work_of_the_state_that_ends_the_machine_is_refused(work: Any) -> None:
    class Job(StateChart):
        run = State(initial=True)
        end = State(final=True, invoke=work)
        finish = run.to(end)

    assert problems(Job) == [f"{NEVER} Invoke it in a state before, which leads here with done_invoke_…."]


def test_work_of_the_end_of_a_configuration_is_refused() -> None:
    states = ["run", {"name": "end", "final": True}]
    job = TransitionsConfig("Job", states, [["finish", "run", "end"]], "run", activities={"end": activity(mail)})

    assert problems(job)[0].startswith(NEVER)


def test_work_of_a_nested_final_state_is_begun() -> None:
    class Job(StateChart):
        class work(State.Compound):
            first = State(initial=True)
            last = State(final=True, invoke=activity(mail))
            go = first.to(last)

        end = State(final=True)
        done_invoke_last = work.to(end)
        error_execution = work.to(end)

    assert chart_from(Job).states["last"].activities


# ── outside work in callbacks ─────────────────────────────────────────────────────────────────────────────────────────


def reading() -> str:
    return open("x").read()  # noqa: PTH123


def of_class(action: Callable[[], object]) -> object:
    class Reader(StateChart):
        a = State(initial=True)
        b = State(final=True)
        go = a.to(b, on=action)

    return Reader


def of_configuration(action: Callable[[], object]) -> object:
    rows = [{"trigger": "go", "source": "a", "dest": "b", "before": action}]
    return TransitionsConfig("Reader", ["a", {"name": "b", "final": True}], rows, "a")


@pytest.mark.parametrize("made", [of_class, of_configuration])
def test_outside_work_in_a_callback_is_a_warning_that_names_the_activity(made: Callable[..., object]) -> None:
    assert warned(made(reading)) == [
        "reading calls open, and a step may run more than once. Make it an activity: State(invoke=activity(...))."
    ]
