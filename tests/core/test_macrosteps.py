"""From one event to rest: eventless transitions, raised events, done events, failures."""

from __future__ import annotations

import pytest

from durable_fsm.core.chart import EventType, Policies
from durable_fsm.core.effects import Outcome, Reply
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.repair import move
from durable_fsm.core.scope import Scope
from durable_fsm.core.snapshot import Status
from durable_fsm.core.step import start, step
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import ActionError, Finished
from tests.building import Driven, Members, action, chart, edge, fails, guard, note, raises, watched

STEPS = """
    idle
    first
    second
    third
    over final
"""

REGIONS = """
    working parallel
        left
            left_open
            left_done final
        right
            right_open
            right_done final
    rest
"""

STRICT = Policies(catch_errors=False)


def events_of(machine: Driven) -> list[str | None]:
    return [microstep.event for microstep in machine.last.trace]


# ── run to completion ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_eventless_transitions_follow_at_once() -> None:
    machine = Driven(
        chart(STEPS, edge("idle", "go", "first"), edge("first", "", "second"), edge("second", "", "third"))
    )

    machine.take("go")

    assert machine.leaves == ("third",)
    assert events_of(machine) == ["go", None, None]


def test_eventless_transitions_are_taken_when_a_machine_begins() -> None:
    assert Driven(chart(STEPS, edge("idle", "", "second"))).leaves == ("second",)


def test_eventless_transitions_come_before_raised_events() -> None:
    machine = Driven(
        chart(
            STEPS,
            edge("idle", "go", "first", actions=[raises("next")]),
            edge("first", "", "second"),
            edge("first", "next", "over"),
            edge("second", "next", "third"),
        )
    )

    machine.take("go")

    assert machine.leaves == ("third",)
    assert events_of(machine) == ["go", None, "next"]


def test_raised_events_are_taken_in_the_order_in_which_they_were_raised() -> None:
    machine = Driven(
        watched(
            STEPS,
            edge("idle", "go", actions=[raises("one"), raises("two")]),
            edge("idle", "one", actions=[raises("three")]),
            edge("idle", "two"),
            edge("idle", "three"),
        )
    )

    step = machine.take("go")

    assert events_of(machine) == ["go", "one", "two", "three"]
    assert step.trace[0].raised == ("one", "two")
    assert step.trace[1].raised == ("three",)


def test_a_raised_event_that_nothing_takes_is_dropped() -> None:
    machine = Driven(chart(STEPS, edge("idle", "go", "first", actions=[raises("nothing")])))

    machine.take("go")

    assert machine.leaves == ("first",)
    assert events_of(machine) == ["go"]


def test_a_raised_payload_has_the_declared_type() -> None:
    seen: list[object] = []
    made = chart(
        STEPS,
        edge("idle", "go", actions=[raises("pay", {"cents": 5})]),
        edge("idle", "pay", actions=[action(lambda s: seen.append(s.event.payload), "see")]),
        events=[EventType("pay", Members(cents=int, tip=0))],
    )

    Driven(made).take("go")

    assert seen == [{"cents": 5, "tip": 0}]


def test_a_raised_payload_that_does_not_fit_is_the_failure_of_the_callback() -> None:
    made = chart(
        STEPS,
        edge("idle", "go", actions=[raises("pay", {"cents": "five"})]),
        edge("idle", "pay"),
        events=[EventType("pay", Members(name="Payment", cents=int))],
    )

    with pytest.raises(ActionError) as caught:
        Driven(made).take("go")

    assert str(caught.value) == (
        "Order: raise pay failed while processing 'go': InvalidPayload: payload of 'pay' does not fit Payment: expected"
        " int, got str at $.cents. The machine has not changed. Fix the callback, or give 'idle' a transition for"
        " 'error.execution'."
    )


def test_a_machine_that_never_comes_to_rest_is_stopped() -> None:
    machine = Driven(
        chart(STEPS, edge("idle", "go", "first"), edge("first", "", "second"), edge("second", "", "first"))
    )

    with pytest.raises(ActionError) as caught:
        machine.take("go")

    assert str(caught.value) == (
        "Order: the macrostep failed while processing 'go': it did not end after 1000 microsteps; the last took"
        " second--always. The machine has not changed. Correct the chart."
    )


def test_a_guard_that_raises_its_own_event_for_ever_is_stopped() -> None:
    def again(scope: Scope) -> bool:
        scope.effects.raise_("ask")
        return False

    machine = Driven(chart(STEPS, edge("idle", "ask", "first", guards=[guard(again)])))

    with pytest.raises(ActionError, match="it did not end after 1000 microsteps\\. The"):
        machine.take("ask")


def test_the_event_stays_in_view_of_the_eventless_transitions_that_follow_it() -> None:
    seen: list[object] = []
    see = action(lambda s: seen.append((s.event.name, s.event.payload)), "see")
    machine = Driven(chart(STEPS, edge("idle", "go", "first"), edge("first", "", "second", actions=[see])))

    machine.take("go", 7)

    assert seen == [("go", 7)]


# ── replies ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_transition_actions_return_is_the_reply() -> None:
    three = action(lambda s: {3}, "three")
    nothing = action(lambda s: None, "nothing")
    ignored = action(lambda s: object(), "ignored")
    machine = Driven(
        chart(
            STEPS,
            edge("idle", "go", "first", before=[ignored], actions=[nothing, three], after=[ignored]),
            edge("first", "go", "idle", actions=[nothing]),
            entry={"first": [ignored]},
        )
    )

    step = machine.take("go")
    assert step.effects == (Reply([3]),)
    assert step.reply == [3]
    assert machine.take("go").reply is None


def test_any_callback_may_reply_and_the_last_reply_counts() -> None:
    early = action(lambda s: s.effects.reply({"early"}), "early")
    late = action(lambda s: s.effects.reply("late"), "late")
    machine = Driven(chart(STEPS, edge("idle", "go", "first", before=[early], after=[late])))

    step = machine.take("go")
    assert (step.effects, step.reply) == ((Reply(["early"]), Reply("late")), "late")


def test_a_reply_without_a_form_in_json_is_the_failure_of_its_callback() -> None:
    machine = Driven(chart(STEPS, edge("idle", "go", "first", actions=[action(lambda s: object(), "answer")])))

    with pytest.raises(
        ActionError, match="answer failed while processing 'go': TypeError: object has no form in JSON\\."
    ):
        machine.take("go")


# ── done ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_final_child_raises_done_of_its_parent_with_what_it_left_behind() -> None:
    seen: list[object] = []
    made = chart(
        """
        working
            open
            done final
        rest
        """,
        edge("open", "finish", "done"),
        edge("working", "done.state.working", "rest", actions=[action(lambda s: seen.append(s.event.payload), "see")]),
        done={"done": [action(lambda s: {"a": 1}, "one"), action(lambda s: {"b": 2}, "two")]},
    )
    machine = Driven(made)

    machine.take("finish")

    assert machine.leaves == ("rest",)
    assert events_of(machine) == ["finish", "done.state.working"]
    assert seen == [{"a": 1, "b": 2}]


@pytest.mark.parametrize(
    ("results", "output"),
    [
        ([], None),
        ([None], None),
        ([{}], None),
        ([{"a": 1}, {"a": 2, "b": 3}], {"a": 2, "b": 3}),
        ([{"a": 1}, 7], 7),
        ([[1, 2]], [1, 2]),
        ([False], False),
    ],
)
def test_a_final_state_leaves_behind_what_its_callbacks_return(results: list[Json], output: Json) -> None:
    done = [action(lambda s, value=value: value, "result") for value in results]  # type: ignore[misc]

    machine = Driven(chart("over final", done={"over": done}))

    assert machine.snapshot.output == output


SOLD_OUT = Failure("SoldOut", "no lamps are left", code=410, metadata={"left": 0})


def test_a_final_state_may_leave_behind_a_failure_and_the_machine_is_done_all_the_same() -> None:
    done = [action(lambda _: {"price": 3}, "price"), action(lambda _: SOLD_OUT, "why")]
    machine = Driven(chart("open\nover final", edge("open", "close", "over"), done={"over": done}))
    machine.take("close")

    snapshot = machine.snapshot
    assert (snapshot.status, snapshot.output, snapshot.failure) == (Status.DONE, None, SOLD_OUT)
    with pytest.raises(Finished):
        machine.take("close")
    revived = move(machine.chart, snapshot, ["open"]).snapshot
    assert (revived.status, revived.failure) == (Status.RUNNING, None)


def test_what_such_a_failure_carries_must_be_plain() -> None:
    bad = changed(SOLD_OUT, metadata=object())  # type: ignore[arg-type]
    made = chart("open\nover final", edge("open", "close", "over"), done={"over": [action(lambda _: bad, "why")]})

    with pytest.raises(ActionError, match="why"):
        Driven(made).take("close")


def test_the_last_region_to_end_raises_done_of_the_parallel_state_too() -> None:
    machine = Driven(
        chart(
            REGIONS,
            edge("left_open", "left", "left_done"),
            edge("right_open", "right", "right_done"),
            edge("working", "done.state.working", "rest"),
        )
    )

    assert machine.take("left").trace[0].raised == ("done.state.left",)
    assert machine.take("right").trace[0].raised == ("done.state.right", "done.state.working")
    assert machine.leaves == ("rest",)
    assert machine.snapshot.status is Status.RUNNING


@pytest.mark.parametrize(("answer", "left"), [(True, ("rest",)), (False, ("left_open", "right_open"))])
def test_a_guard_of_a_parallel_state_is_asked_once_for_all_its_regions(answer: bool, left: tuple[str, ...]) -> None:
    asked: list[str] = []
    ask = guard(lambda s: asked.append(s.event.name) or answer, "ask")  # type: ignore[func-returns-value]
    leave, stay = edge("working", "go", "rest", guards=[ask], key="leave"), edge("working", "go", key="stay")
    machine = Driven(chart(REGIONS, leave, stay))

    machine.take("go")

    assert asked == ["go"]
    assert machine.leaves == left


# ── failures of callbacks ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failure_becomes_error_execution_and_the_step_goes_on() -> None:
    seen: list[object] = []
    machine = Driven(
        watched(
            STEPS,
            edge("idle", "go", "first", actions=[fails(), note("the next block")]),
            edge("first", "error.execution", "second", actions=[action(lambda s: seen.append(s.event), "see")]),
        )
    )

    machine.take("go")

    assert machine.leaves == ("second",)
    assert "the next block" in machine.log
    assert "enter first" in machine.log
    (error,) = seen
    assert isinstance(error, Event)
    assert error.payload == Failure("ValueError", "ValueError: no way.", source="stumble")
    assert repr(error.cause) == "ValueError('no way')"
    assert error.origin is Origin.INTERNAL


@pytest.mark.parametrize("place", ["actions", "after"])
@pytest.mark.parametrize("broken", [fails(), fails(error=KeyError("x"))])
def test_a_failure_that_nothing_takes_leaves_the_machine_where_it_was(place: str, broken: object) -> None:
    made = chart(STEPS, edge("idle", "go", "first", **{place: [note("done"), broken]}))
    before = Driven(made).snapshot

    with pytest.raises(ActionError) as caught:
        step(made, before, Event("go"))

    assert before == Driven(made).snapshot
    assert isinstance(caught.value.__cause__, ValueError | KeyError)


def test_an_unhandled_failure_says_which_callback_and_why() -> None:
    made = chart(STEPS, edge("idle", "go", "first"), entry={"first": [fails("open_window")]})

    with pytest.raises(ActionError) as caught:
        Driven(made).take("go")

    assert str(caught.value) == (
        "Order: open_window failed while processing 'go': ValueError: no way. The machine has not changed. Fix the"
        " callback, or give 'first' a transition for 'error.execution'."
    )
    assert repr(caught.value.__cause__) == "ValueError('no way')"


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("too few"), "ValueError: too few."),
        (ValueError("Too few!"), "ValueError: Too few!"),
        (ValueError(), "ValueError."),
        (Wordless(), "Wordless."),
    ],
)
def test_the_words_of_an_exception_become_a_sentence(error: Exception, words: str) -> None:
    made = chart(STEPS, edge("idle", "go", "first", actions=[fails(error=error)]))

    with pytest.raises(ActionError) as caught:
        Driven(made).take("go")

    assert caught.value.problem == words


def test_a_failure_at_the_very_beginning_is_taken_or_refuses_the_start() -> None:
    broken = chart(STEPS, edge("idle", "error.execution", "second"), entry={"idle": [fails()]})

    assert Driven(broken).leaves == ("second",)
    with pytest.raises(ActionError, match="stumble failed while processing 'create'"):
        start(chart(STEPS, entry={"idle": [fails()]}))


def test_without_catching_a_failure_ends_the_step_at_once() -> None:
    made = watched(
        STEPS,
        edge("idle", "go", "first", actions=[fails()]),
        edge("first", "error.execution", "second"),
        policies=STRICT,
    )

    with pytest.raises(ActionError) as caught:
        Driven(made).take("go")

    assert repr(caught.value.__cause__) == "ValueError('no way')"


def test_a_failure_before_a_transition_stops_it() -> None:
    machine = Driven(
        watched(
            STEPS,
            edge("idle", "go", "first", before=[note("asked"), fails(), note("never")]),
            edge("idle", "error.execution", key="mend"),
        )
    )

    step = machine.take("go")

    assert machine.leaves == ("idle",)
    assert machine.log == ["asked", "before mend", "on mend", "after mend"]
    assert step.trace[0].transitions == ()
    assert step.trace[0].raised == ("error.execution",)


def test_a_guard_that_fails_says_no() -> None:
    machine = Driven(
        chart(
            STEPS,
            edge("idle", "go", "first", key="asks", guards=[guard(lambda s: 1 / 0, "divide")]),
            edge("idle", "go", "second", key="else"),
            edge("second", "error.execution", "third"),
        )
    )

    machine.take("go")

    assert machine.leaves == ("third",)


def test_a_guard_that_fails_is_a_failure_even_if_nothing_is_taken() -> None:
    divide = guard(lambda s: 1 / 0, "divide")

    with pytest.raises(ActionError, match="divide failed while processing 'go': ZeroDivisionError: division by zero"):
        Driven(chart(STEPS, edge("idle", "go", "first", guards=[divide]))).take("go")
    handled = Driven(
        chart(STEPS, edge("idle", "go", "first", guards=[divide]), edge("idle", "error.execution", "third"))
    )
    assert handled.take("go").outcome is Outcome.TAKEN
    assert handled.leaves == ("third",)


def test_a_failure_on_the_way_to_the_end_is_not_hidden_by_the_end() -> None:
    made = chart(STEPS, edge("idle", "end", "over", actions=[raises("unheard"), fails()]))

    with pytest.raises(ActionError, match="stumble failed while processing 'end': ValueError: no way\\."):
        Driven(made).take("end")


def test_an_error_raised_by_hand_and_not_taken_is_dropped() -> None:
    machine = Driven(chart(STEPS, edge("idle", "go", "first", actions=[raises("error.execution", "mine")])))

    machine.take("go")

    assert machine.leaves == ("first",)
    assert machine.snapshot.status is Status.RUNNING


def test_data_that_no_longer_fits_its_type_is_a_failure_of_the_step() -> None:
    def spoil(scope: Scope) -> None:
        scope.data["log"] = "gone"  # type: ignore[index]

    with pytest.raises(ActionError) as caught:
        Driven(chart(STEPS, edge("idle", "go", "first", actions=[action(spoil)]))).take("go")

    assert str(caught.value) == (
        "Order: a callback failed while processing 'go': it left data that does not fit Members: expected list, got str"
        " at $.log. The machine has not changed. Correct the chart."
    )
