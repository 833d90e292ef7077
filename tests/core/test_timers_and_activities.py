"""Timers, messages to oneself and activities: armed, arrived, stopped, too late."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durable_fsm.core.chart import Activity, EventType, Timer
from durable_fsm.core.codec import milliseconds
from durable_fsm.core.effects import Cancel, Outcome, Send, StartActivity, Step, StopActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.scope import Scope
from durable_fsm.core.snapshot import PendingSend, Running, Status
from durable_fsm.core.step import step
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import ActionError, InvalidPayload
from tests.building import Driven, Members, action, chart, edge, note

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

OVEN = """
    cold
    hot
        baking
        resting
    done final
"""


def work() -> None: ...


BAKE = Activity("bake", "work", work, deadline=None)
WATCHED = Activity("bake", "work", work, deadline=MINUTE)
HOLDING = Activity("hold", "work", work, exclusive=True)


def oven(*edges: object, **rest: object) -> Driven:
    begin = edge("cold", "heat", "hot")
    return Driven(chart(OVEN, begin, edge("hot", "cool", "cold"), *edges, **rest))  # type: ignore[arg-type]


def arrive(machine: Driven, token: str, name: str = "timer", payload: object = None) -> Step:
    return machine.take(Event(name, payload, Origin.PLATFORM, token=token))


def sending(event: str, payload: object = None, after: timedelta = MINUTE, id: str | None = None) -> object:
    return action(lambda s: s.effects.send(event, payload, after=after, id=id), f"send {event}")


def cancelling(id: str) -> object:
    return action(lambda s: s.effects.cancel(id), f"cancel {id}")


# ── timers ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_timer_starts_with_its_state_and_ends_with_it() -> None:
    machine = oven(timers={"hot": [Timer("burn", MINUTE)]})

    assert machine.take("heat").effects == (Send("life.2.1", "burn", MINUTE),)
    assert machine.snapshot.timers == (PendingSend("life.2.1", "burn", milliseconds(MINUTE), "hot"),)
    assert machine.take("cool").effects == (Cancel("life.2.1"),)
    assert machine.snapshot.timers == ()


def test_a_timer_goes_on_while_the_machine_moves_inside_its_state() -> None:
    machine = oven(edge("baking", "rest", "resting"), timers={"hot": [Timer("burn", MINUTE)]})
    machine.take("heat")

    assert machine.take("rest").effects == ()
    assert [timer.token for timer in machine.snapshot.timers] == ["life.2.1"]


def test_a_timer_that_is_over_is_taken_as_its_event() -> None:
    machine = oven(edge("hot", "burn", "done"), timers={"hot": [Timer("burn", MINUTE)]})
    machine.take("heat")

    result = arrive(machine, "life.2.1")

    assert result.outcome is Outcome.TAKEN
    assert [microstep.event for microstep in result.trace] == ["burn"]
    assert result.effects == ()
    assert machine.leaves == ("done",)


def test_a_late_timer_is_stale_and_changes_nothing() -> None:
    machine = oven(edge("hot", "burn", "done"), timers={"hot": [Timer("burn", MINUTE)]})
    for event in ("heat", "cool", "heat"):
        machine.take(event)
    before = machine.emptied

    result = step(machine.chart, before, Event("timer", token="life.2.1"))

    assert result == Step(before, outcome=Outcome.STALE)


def test_a_timer_that_nothing_takes_is_over_all_the_same() -> None:
    machine = oven(timers={"hot": [Timer("burn", MINUTE)]})
    machine.take("heat")

    assert arrive(machine, "life.2.1").outcome is Outcome.IGNORED
    assert machine.snapshot.timers == ()


def test_a_failing_timer_is_reported_under_its_own_name() -> None:
    def stumble(scope: Scope) -> None:
        raise ValueError("no way")

    machine = oven(edge("hot", "burn", "done", actions=[action(stumble)]), timers={"hot": [Timer("burn", MINUTE)]})
    machine.take("heat")

    with pytest.raises(ActionError, match="stumble failed while 'burn' was taken"):
        arrive(machine, "life.2.1")


def test_tokens_belong_to_one_life_and_one_entry() -> None:
    machine = oven(timers={"hot": [Timer("burn", MINUTE), Timer("smell", DAY)]})
    tokens: list[str] = []

    for event in ("heat", "cool", "heat"):
        machine.take(event)
        tokens += [timer.token for timer in machine.snapshot.timers]

    assert tokens == ["life.2.1", "life.2.2", "life.4.1", "life.4.2"]


# ── messages to oneself ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_message_to_oneself_outlives_the_state_that_sent_it() -> None:
    machine = oven(edge("cold", "call", actions=[sending("ring", {"n": 1})]), edge("hot", "ring"))

    machine.take("call")
    assert machine.snapshot.timers == (PendingSend("life.2.1", "ring", milliseconds(MINUTE), payload={"n": 1}),)
    machine.take("heat")
    assert [microstep.event for microstep in arrive(machine, "life.2.1").trace] == ["ring"]


def test_a_message_is_cancelled_by_its_id_and_by_no_other() -> None:
    machine = oven(
        edge("cold", "call", actions=[sending("ring", id="a"), sending("ring", id="b"), sending("ring")]),
        edge("cold", "ring"),
        edge("cold", "hush", actions=[cancelling("a"), cancelling("unknown")]),
    )
    machine.take("call")

    assert machine.take("hush").effects == (Cancel("life.2.1"),)
    assert [timer.id for timer in machine.snapshot.timers] == ["b", None]


def test_durations_are_whole_milliseconds_rounded_up_and_never_negative() -> None:
    machine = oven(
        edge("cold", "call", actions=[sending("ring", after=timedelta(microseconds=1)), sending("ring", after=-DAY)]),
        edge("cold", "ring"),
    )

    assert machine.take("call").effects == (
        Send("life.2.1", "ring", timedelta(milliseconds=1)),
        Send("life.2.2", "ring", timedelta(0)),
    )


@pytest.mark.parametrize(
    ("event", "payload", "problem"),
    [
        ("rign", None, "UnknownEvent: there is no event 'rign'. It knows: 'call', 'cool', 'heat', 'ring'. Did you mean 'ring'?"),
        ("ring", {"n": "1"}, "InvalidPayload: payload of 'ring' does not fit Ring: expected int, got str at $.n."),
        ("ring", object(), "TypeError: object has no form in JSON."),
    ],
)  # fmt: skip
def test_a_message_that_could_never_arrive_is_the_failure_of_its_sender(
    event: str, payload: object, problem: str
) -> None:
    machine = oven(
        edge("cold", "call", actions=[sending(event, payload)]),
        edge("cold", "ring"),
        events=[EventType("ring", Members(name="Ring", n=int))],
    )

    with pytest.raises(ActionError) as caught:
        machine.take("call")

    assert caught.value.problem == problem


# ── activities ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_activity_starts_when_the_macrostep_is_over_and_stops_with_its_state() -> None:
    machine = oven(activities={"hot": [BAKE]})

    assert machine.take("heat").effects == (StartActivity("life.2.1", "bake", 2, exclusive=False),)
    assert machine.snapshot.activities == (Running("life.2.1", "bake", "hot", 2),)
    assert machine.take("cool").effects == (StopActivity("life.2.1"),)
    assert machine.snapshot.activities == ()


def test_an_activity_of_a_state_that_is_only_passed_through_never_starts() -> None:
    machine = oven(edge("hot", "", "cold"), activities={"hot": [BAKE]})

    assert machine.take("heat").effects == ()


def test_an_outcome_is_taken_while_its_state_waits_for_it() -> None:
    seen: list[object] = []
    see = action(lambda s: seen.append(s.event.payload), "see")
    machine = oven(
        edge("hot", "done.invoke.bake", "done", actions=[see]),
        activities={"hot": [BAKE]},
        events=[EventType("done.invoke.bake", Members(loaves=int), public=False)],
    )
    machine.take("heat")

    result = arrive(machine, "life.2.1", "done.invoke.bake", {"loaves": 2})

    assert result.outcome is Outcome.TAKEN
    assert seen == [{"loaves": 2}]
    assert machine.leaves == ("done",)


def test_an_outcome_that_does_not_fit_its_type_is_refused() -> None:
    machine = oven(
        edge("hot", "done.invoke.bake", "done"),
        activities={"hot": [BAKE]},
        events=[EventType("done.invoke.bake", Members(name="Loaves", loaves=int), public=False)],
    )
    machine.take("heat")

    with pytest.raises(InvalidPayload) as caught:
        arrive(machine, "life.2.1", "done.invoke.bake", {"loaves": "two"})

    assert str(caught.value) == (
        "Order: payload of 'done.invoke.bake' does not fit Loaves: expected int, got str at $.loaves."
    )


def test_an_outcome_of_an_entry_that_is_over_is_stale() -> None:
    machine = oven(activities={"hot": [BAKE]})
    for event in ("heat", "cool", "heat"):
        machine.take(event)

    assert arrive(machine, "life.2.1", "done.invoke.bake").outcome is Outcome.STALE
    assert [running.token for running in machine.snapshot.activities] == ["life.4.1"]


def test_a_success_that_nothing_takes_is_recorded_and_no_more() -> None:
    machine = oven(activities={"hot": [WATCHED]})
    machine.take("heat")

    result = arrive(machine, "life.2.1", "done.invoke.bake", "bread")

    assert result.outcome is Outcome.IGNORED
    assert result.effects == (Cancel("life.2.2"),)
    assert machine.snapshot.activities == ()
    assert machine.snapshot.status is Status.RUNNING


FAILURE = Failure("OvenBroken", "no gas", code=7, metadata={"gas": 0}, source="bake")


def test_a_failure_of_an_activity_is_taken_as_its_error_whatever_type_is_declared() -> None:
    seen: list[object] = []
    machine = oven(
        edge("hot", "error.invoke.bake", "cold", actions=[action(lambda s: seen.append(s.event.payload), "see")]),
        activities={"hot": [BAKE]},
        events=[EventType("error.invoke.bake", Members(x=int), public=False)],
    )
    machine.take("heat")

    arrive(machine, "life.2.1", "error.invoke.bake", FAILURE)

    assert seen == [FAILURE]


def test_a_failure_that_nothing_takes_becomes_error_execution() -> None:
    machine = oven(edge("hot", "error.execution", "cold"), activities={"hot": [BAKE]})
    machine.take("heat")

    result = arrive(machine, "life.2.1", "error.invoke.bake", FAILURE)

    assert [microstep.event for microstep in result.trace] == ["error.execution"]
    assert machine.leaves == ("cold",)


def test_a_failure_that_not_even_error_execution_takes_fails_the_machine() -> None:
    machine = oven(timers={"hot": [Timer("burn", MINUTE)]}, activities={"hot": [WATCHED]})
    machine.take("heat")

    result = arrive(machine, "life.2.2", "error.invoke.bake", FAILURE)

    assert machine.snapshot.status is Status.FAILED
    assert machine.snapshot.failure == FAILURE
    assert machine.leaves == ("baking",)
    assert result.effects == (Cancel("life.2.3"), Cancel("life.2.1"))
    assert arrive(machine, "life.2.1").outcome is Outcome.STALE


def test_background_work_that_takes_too_long_is_stopped_and_has_failed() -> None:
    seen: list[object] = []
    machine = oven(
        edge("hot", "error.invoke.bake", "cold", actions=[action(lambda s: seen.append(s.event.payload), "see")]),
        activities={"hot": [WATCHED]},
    )
    machine.take("heat")
    assert machine.snapshot.timers == (
        PendingSend("life.2.2", "error.invoke.bake", milliseconds(MINUTE), "hot", activity="life.2.1"),
    )

    result = arrive(machine, "life.2.2")

    assert seen == [Failure("deadline", "activity 'bake' was not over after 0:01:00.")]
    assert result.effects == (StopActivity("life.2.1"),)
    assert machine.leaves == ("cold",)


def test_work_that_is_over_keeps_no_deadline() -> None:
    machine = oven(edge("hot", "done.invoke.bake", key="stays"), activities={"hot": [WATCHED]})
    machine.take("heat")

    assert arrive(machine, "life.2.1", "done.invoke.bake").effects == (Cancel("life.2.2"),)
    assert machine.snapshot.timers == ()


def test_leaving_a_state_stops_its_work_and_its_deadline() -> None:
    machine = oven(activities={"hot": [WATCHED]})
    machine.take("heat")

    assert machine.take("cool").effects == (Cancel("life.2.2"), StopActivity("life.2.1"))


def test_exclusive_work_has_no_deadline() -> None:
    machine = oven(activities={"hot": [HOLDING]})

    assert machine.take("heat").effects == (StartActivity("life.2.1", "hold", 2, exclusive=True),)
    assert machine.snapshot.timers == ()


def test_the_end_of_a_machine_stops_everything_it_waits_for() -> None:
    both = """
        working parallel
            left
                open
                closed
            right
                busy
        over final
    """
    machine = Driven(
        chart(
            both,
            edge("open", "call", actions=[sending("ring", after=DAY)]),
            edge("open", "ring"),
            edge("busy", "end", "over"),
            activities={"busy": [BAKE]},
            exit={"busy": [note("left")]},
        )
    )
    machine.take("call")

    assert machine.take("end").effects == (StopActivity("life.1.1"), Cancel("life.2.1"))
    assert machine.snapshot.timers == ()


def test_a_machine_whose_regions_are_all_final_stops_what_their_state_was_doing() -> None:
    machine = Driven(
        chart(
            "both parallel\n  a\n    a_open\n    a_done final\n  b\n    b_done final\n",
            edge("a_open", "end", "a_done"),
            activities={"both": [WATCHED]},
        )
    )

    assert machine.take("end").effects == (Cancel("life.1.2"), StopActivity("life.1.1"))
    assert machine.snapshot.status is Status.DONE


# ── ids and chance ────────────────────────────────────────────────────────────────────────────────────────────────────


def drawn(seed: str, life: str = "life") -> Json:
    def draw(scope: Scope) -> object:
        return [str(scope.ids.uuid()), scope.ids.random.random(), str(scope.ids.uuid())]

    machine = Driven(chart(OVEN, edge("cold", "draw", actions=[action(draw)])))
    return step(machine.chart, changed(machine.snapshot, life=life), Event("draw", seed=seed)).reply


def test_ids_and_random_numbers_depend_on_the_invocation_and_the_life_alone() -> None:
    assert drawn("one") == drawn("one")
    assert drawn("one") != drawn("two")
    assert drawn("one") != drawn("one", life="another")
    first, _, second = drawn("one")  # type: ignore[misc]
    assert first != second
