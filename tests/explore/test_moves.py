"""The moves of a machine: which there are, and which the options leave out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import Incoming, Kafka, Record, activity, after, chart_from, durable, event
from durable_fsm.core.chart import Chart
from durable_fsm.explore import by_itself, can_always, sometimes
from durable_fsm.explore.domains import Domains
from durable_fsm.explore.moves import IN_ORDER
from durable_fsm.explore.proofs import Proofs
from durable_fsm.explore.report import Report, explore
from durable_fsm.explore.search import Bounds, StateSpace, search
from durable_fsm.testing.plugin import Explore
from tests.explore.bugs import Till, work
from tests.explore.gate import BrokenGate, Gate

MINUTE = timedelta(minutes=1)


class Race(StateChart):
    waiting = State(initial=True)
    early = State(final=True)
    late = State(final=True)
    soon = after(MINUTE, waiting.to(early))
    later = after(2 * MINUTE, waiting.to(late))


class Shop(StateChart):
    selling = State(initial=True, invoke=Till)
    over = State(final=True)
    burnt = State(final=True)
    done_invoke_selling = selling.to(over)
    error_invoke_selling = selling.to(burnt)


class Safe(StateChart):
    shut = State(initial=True)
    turning = State(invoke=activity(work, exclusive=True))
    open = State(final=True)
    turn = shut.to(turning)
    done_invoke_turning = turning.to(open)
    error_invoke_turning = turning.to(shut)


def decode(record: Record) -> Incoming:
    return Incoming("paid", key="k")


@durable(sources=[Kafka("payments", decode=decode, events=["paid"])])
class Paid(StateChart):
    open = State(initial=True)
    over = State(final=True)
    paid = event(open.to(over), public=False)


class Heater(StateChart):
    """A heater that switches itself on and off; the cold state waits in a region of its own."""

    class all(State.Parallel):
        class heat(State.Compound):
            off = State(initial=True)
            on = State()
            switch_on = after(MINUTE, off.to(on))
            switch_off = after(MINUTE, on.to(off))

        class room(State.Compound):
            cold = State(initial=True, invoke=activity(work))
            warm = State()
            done_invoke_cold = cold.to(warm)
            error_invoke_cold = cold.to(warm)


def space(chart: Chart, bounds: Bounds | None = None) -> StateSpace:
    return search(chart, Domains(chart), bounds=bounds)


def moves_in(found: StateSpace) -> set[str]:
    return {move.words for node in found.nodes for move, _ in node.out or ()}


def judged(chart: Chart, *properties: object) -> Report:
    return explore(Proofs(chart, properties=properties))  # type: ignore[arg-type]


def test_timers_arrive_in_any_order_unless_they_are_to_arrive_in_order() -> None:
    chart = chart_from(Race)

    assert moves_in(space(chart)) == {"timer soon", "timer later"}
    assert moves_in(space(chart, Bounds(timers=IN_ORDER))) == {"timer soon"}


def test_a_child_ends_or_fails() -> None:
    assert moves_in(space(chart_from(Shop))) == {"done selling", "error selling"}


def test_exclusive_work_holds_its_machine_and_may_be_lost() -> None:
    found = space(chart_from(Safe))

    assert moves_in(found) == {"turn", "done turning", "error turning", "lost turning"}
    held = next(node for node in found.nodes if node.position.held is not None)
    assert [move.words for move, _ in held.out or ()] == ["done turning", "error turning", "lost turning"]


def test_an_event_that_only_a_topic_may_bring_is_a_move() -> None:
    found = space(chart_from(Paid))

    assert [(move.name, move.source) for move, _ in found.nodes[0].out or ()] == [("paid", True)]


def test_a_search_without_events_has_timers_and_outcomes_only() -> None:
    assert moves_in(space(chart_from(Gate), Bounds(events=False))) == set()


def test_a_search_ends_at_its_bounds_and_says_which() -> None:
    chart = chart_from(Gate)

    assert space(chart, Bounds(seconds=1e-9)).end == "1e-09 s"
    assert space(chart, Bounds(most=1)).end == "1 configurations"


def test_a_loop_of_timers_does_not_keep_work_from_ending() -> None:
    one = by_itself("it gets warm", when=lambda m: "cold" in m.active, then=lambda m: "warm" in m.active)

    assert judged(chart_from(Heater), one).verdicts[0].holds


def test_a_loop_of_timers_that_never_leads_there_is_a_counterexample() -> None:
    one = by_itself("it stays warm", when=lambda m: "warm" in m.active, then=lambda m: m.status == "done")

    (found,) = [finding for finding in judged(chart_from(Heater), one).findings if finding.name == one.name]

    assert "timer switch_on · timer switch_off" in found.words


def test_a_property_without_an_answer_within_the_bounds_is_unknown() -> None:
    chart = chart_from(BrokenGate)
    properties = [
        sometimes("it is jammed", lambda m: "jammed" in m.active),
        can_always("end", lambda m: m.status == "done"),
    ]

    report = explore(Proofs(chart, properties=properties), Bounds(depth=1))

    assert [verdict.unknown for verdict in report.verdicts[:2]] == [True, True]
    assert any("unknown" in line for line in report.lines())


def test_the_fixture_fails_a_test_with_the_report(explored: Explore) -> None:
    with pytest.raises(pytest.fail.Exception, match="it is never stuck, after 2 moves"):
        explored(BrokenGate)


def test_the_fixture_passes_what_holds_and_returns_the_report(explored: Explore) -> None:
    report = explored(Gate, in_order=True, properties=[can_always("end", lambda m: m.status == "done")])

    assert report.graph.is_closed


def test_the_fixture_tells_a_mistake_of_the_test(explored: Explore) -> None:
    with pytest.raises(pytest.fail.Exception, match="which a machine does not have\\. Did you mean 'active'"):
        explored(Gate, properties=[can_always("end", lambda m: m.activ)])


class Word(BaseModel):
    word: str = ""


async def ask() -> Any: ...


class Untyped(StateChart[Word]):
    asking = State(initial=True, invoke=activity(ask))
    over = State(final=True)
    failed = State(final=True)
    done_invoke_asking = asking.to(over)
    error_invoke_asking = asking.to(failed)

    def on_done_invoke_asking(self, data: Word, result: Any) -> None:
        data.word = result


class Mail(BaseModel):
    to: str = Field(pattern="^[A-Z]{4}[0-9]{9}$")


class Unsent(StateChart):
    open = State(initial=True)
    over = State(final=True)
    post = event(open.to(over), Mail)


def test_a_result_of_an_unknown_type_is_null_and_the_report_says_so() -> None:
    report = judged(chart_from(Untyped))

    assert "null as the result of 'asking', whose type is unknown" in report.within()
    (found,) = [finding for finding in report.findings if finding.claim == "fault"]
    assert found.words.endswith("name values with domain('asking', …).")


def test_an_event_without_a_known_payload_is_not_sent_and_the_machine_not_called_stuck() -> None:
    report = judged(chart_from(Unsent))

    assert "no payload for 'post': name one with domain(…)" in report.within()
    assert [finding.claim for finding in report.findings] == ["unreached"]
