"""Activities begin with their states, and their outcomes are events."""

from __future__ import annotations

import pytest

from durable_fsm.core.chart import EventType, Timer
from durable_fsm.core.codec import milliseconds
from durable_fsm.core.effects import Cancel, Outcome, StartActivity, StopActivity
from durable_fsm.core.events import Failure
from durable_fsm.core.snapshot import PendingSend, Running, Status
from durable_fsm.errors import InvalidPayload
from tests.building import Driven, Members, action, chart, edge, note
from tests.core.ovens import BAKE, DAY, HOLDING, MINUTE, WATCHED, arrive, oven, sending


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

    assert seen == [Failure("deadline", "activity 'bake' did not end within 0:01:00.")]
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
