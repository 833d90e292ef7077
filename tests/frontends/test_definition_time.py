"""What is refused, and what is warned of, when a class is read; with its file and line."""

from __future__ import annotations

import datetime as dates
import random
import time
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart
from statemachine.exceptions import InvalidDefinition

from durable_fsm import DefinitionError, activity, after, chart_from, durable
from durable_fsm.errors import DefinitionWarning

HERE = Path(__file__).name


def line_of(text: str) -> str:
    """`file:line` of the only line of this file that ends like this."""
    (found,) = (n for n, line in enumerate(Path(__file__).read_text().splitlines(), 1) if line.strip() == text)
    return f"{HERE}:{found}"


def problems(cls: type) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as refused:
        chart_from(cls)
    return [(problem.what, problem.place.rpartition("/")[2]) for problem in refused.value.problems]


# ── what cannot be repeated ───────────────────────────────────────────────────────────────────────────────────────────


class Impure(StateChart):
    a = State(initial=True)
    b = State(final=True)
    go = a.to(b, cond="lucky")

    def lucky(self) -> bool:
        return random.random() < 0.5

    def on_go(self) -> None:
        time.sleep(1)
        self.at = datetime.now(dates.UTC).isoformat()


def test_a_callback_that_could_decide_otherwise_is_refused_with_its_line() -> None:
    assert problems(Impure) == [
        ("Impure.lucky draws random numbers: random.random.", line_of("def lucky(self) -> bool:")),
        ("Impure.on_go sleeps: time.sleep.", line_of("def on_go(self) -> None:")),
        ("Impure.on_go reads the clock: datetime.now.", line_of("def on_go(self) -> None:")),
    ]


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Hiding(StateChart):
    a = State(initial=True)
    b = State(final=True)
    send = a.to(b)  # type: ignore[assignment]


class Misnaming(StateChart):
    a = State(initial=True)
    b = State(final=True, exit="nobody")
    go = a.to(b, on="nothing")
    done_invoke_work = a.to(b)


def test_an_event_that_hides_a_part_of_the_library_is_refused() -> None:
    found = problems(Hiding)

    assert found[0] == (
        "event 'send' hides an attribute that every statechart has.",
        line_of("send = a.to(b)  # type: ignore[assignment]"),
    )


def test_unknown_names_are_reported_with_their_lines() -> None:
    assert problems(Misnaming) == [
        (
            "callback 'nothing' is neither on the chart nor on its data.",
            line_of('go = a.to(b, on="nothing")'),
        ),
        (
            "event 'done_invoke_work' waits for activity 'work', and there is none.",
            line_of("done_invoke_work = a.to(b)"),
        ),
        (
            "callback 'nobody' is neither on the chart nor on its data.",
            line_of('b = State(final=True, exit="nobody")'),
        ),
    ]


# ── what leads nowhere ────────────────────────────────────────────────────────────────────────────────────────────────


SHADOWING = 'go = a.to(b) | a.to(c, cond="ready")'


class Trapping(StateChart):
    validate_trap_states = False
    validate_final_reachability = False
    a = State(initial=True)
    b = State()
    c = State(final=True)
    go = a.to(b) | a.to(c, cond="ready")

    def ready(self) -> bool:
        return True


def test_an_unreachable_state_is_refused_by_the_library() -> None:
    with pytest.raises(InvalidDefinition, match="unreachable states"):

        class Unreachable(StateChart):
            a = State(initial=True)
            b = State()
            c = State(final=True)
            go = a.to(c)
            back = b.to(a)


def test_a_transition_that_is_never_taken_is_warned_of_with_its_line() -> None:
    with pytest.warns(DefinitionWarning) as caught:
        chart_from(Trapping)

    assert [str(warning.message).rpartition("/")[2] for warning in caught] == [f"{line_of(SHADOWING)})"]


def bake() -> None: ...


class Baking(StateChart):
    hot = State(initial=True, invoke=activity(bake))
    cold = State(final=True)
    cool = hot.to(cold)


def test_an_activity_without_an_error_transition_is_warned_of() -> None:
    with pytest.warns(DefinitionWarning) as caught:
        chart_from(Baking)

    (warning,) = caught
    assert str(warning.message).startswith(
        "Baking: no transition handles the failure of activity 'hot': the machine would fail with it."
        " Add error_invoke_hot, or error_execution for all. ("
    )
    assert str(warning.message).endswith(f"{line_of('def bake() -> None: ...')})")
    assert warning.filename == __file__


# ── places ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Payload(BaseModel):
    n: int = 0


@durable(name="placed")
class Placed(StateChart[Payload]):
    a = State(initial=True)
    b: State = State(final=True)
    go = a.to(b)
    expire = after(dates.timedelta(1), a.to(b))


def test_states_and_transitions_know_their_lines() -> None:
    chart = chart_from(Placed)

    places = {id: str(state.location).rpartition("/")[2] for id, state in chart.states.items() if id}
    assert places["b"] == line_of("b: State = State(final=True)")
    assert {edge.key: str(edge.location).rpartition("/")[2] for edge in chart.transitions} == {
        "a--go--1": places["a"].replace(places["a"].rpartition(":")[2], str(int(places["b"].rpartition(":")[2]) + 1)),
        "a--expire--1": line_of("expire = after(dates.timedelta(1), a.to(b))"),
    }


def test_a_class_that_is_made_by_a_call_has_no_lines() -> None:
    a = State(initial=True)
    made = type(StateChart)("Made", (StateChart,), {"a": a, "go": a.to.itself(), "__module__": __name__})

    assert chart_from(made).states["a"].location is None
