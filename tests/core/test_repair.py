"""What an operator may do by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from durable_fsm.core.chart import Activity, Chart, Child, EventType, Spawn, Timer
from durable_fsm.core.codec import snapshot_from_json, snapshot_to_json
from durable_fsm.core.effects import Cancel, Outcome, Send, StartActivity, StartMachine, Step, StopActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.repair import move, retime, retry, skip
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import start, step
from durable_fsm.core.turn import Turn
from durable_fsm.errors import NotRepairable
from tests.building import Driven, action, chart, edge, note

HOUR = timedelta(hours=1)
SHOP = """
    cart
    charging
    working parallel
        left
            a
            b
        right
            c
            d
    paid final
"""


def work() -> None: ...


CHARGE = Activity("charge", "work", work, deadline=HOUR)
HOLD = Activity("charge", "work", work, exclusive=True)


def shop(activity: Activity = CHARGE, **rest: object) -> Chart:
    return chart(
        SHOP,
        edge("cart", "checkout", "charging"),
        edge(
            "charging", "done.invoke.charge", "paid", actions=[action(lambda s: s.data["log"].append(s.event.payload))]
        ),
        edge("cart", "spread", "working"),
        activities={"charging": [activity]},
        timers={"charging": [Timer("checkout", HOUR)]},
        exit={"charging": [note("left")]},
        **rest,  # type: ignore[arg-type]
    )


def charging(made: Chart) -> Snapshot:
    return step(made, start(made, life="life").snapshot, Event("checkout")).snapshot


def failed(made: Chart) -> Snapshot:
    machine = charging(made)
    failure = Failure("Declined", "no money")
    token = machine.activities[0].token
    return step(made, machine, Event("error.invoke.charge", failure, Origin.PLATFORM, token=token)).snapshot


def begun(result: Step) -> list[StartActivity]:
    return [effect for effect in result.effects if isinstance(effect, StartActivity)]


def test_the_activity_that_failed_its_machine_is_remembered() -> None:
    machine = failed(shop())

    assert machine.status is Status.FAILED
    (running,) = machine.activities
    assert (running.id, running.entry, running.failed) == ("charge", 2, True)
    assert machine.timers == ()
    assert snapshot_from_json(shop(), snapshot_to_json(machine)) == machine


def test_a_machine_that_failed_by_itself_has_no_activity_to_blame() -> None:
    failing = action(lambda s: s.effects.raise_("error.own", Failure("Own", "fault")), "fail")
    made = shop(events=[EventType("break")])
    made = replace(made, transitions=(*made.transitions, edge("charging", "break", actions=[failing])))

    machine = step(made, charging(made), Event("break")).snapshot

    assert (machine.status, machine.activities) == (Status.FAILED, ())


def test_an_activity_that_misses_its_deadline_is_remembered_too() -> None:
    machine = charging(shop())
    deadline = next(timer for timer in machine.timers if timer.activity)

    machine = step(shop(), machine, Event("timer", origin=Origin.PLATFORM, token=deadline.token)).snapshot

    assert [running.failed for running in machine.activities] == [True]


def test_a_late_outcome_of_a_failed_activity_is_stale() -> None:
    machine = failed(shop())

    late = step(shop(), machine, Event("done.invoke.charge", 1, Origin.PLATFORM, token=machine.activities[0].token))

    assert (late.outcome, late.snapshot) == (Outcome.STALE, machine)


def test_a_turn_does_not_take_a_failed_exclusive_activity_for_lost() -> None:
    made = shop(HOLD)
    turn = Turn(made, failed(made), seed="")

    turn.begin()

    assert not turn.changed


def test_a_failed_activity_runs_again_under_its_stable_id_and_its_state_waits_anew() -> None:
    result = retry(shop(), failed(shop()), "charge")

    machine = result.snapshot
    assert (machine.status, machine.failure) == (Status.RUNNING, None)
    assert [effect.entry for effect in begun(result)] == [2]
    assert [running.failed for running in machine.activities] == [False]
    assert {timer.event for timer in machine.timers} == {"error.invoke.charge", "checkout"}
    assert [effect.event for effect in result.effects if isinstance(effect, Send)] == [
        "error.invoke.charge",
        "checkout",
    ]


def test_an_activity_that_runs_is_stopped_and_begun_again() -> None:
    machine = charging(shop())

    result = retry(shop(), machine, "charge")

    assert StopActivity(machine.activities[0].token) in result.effects
    assert [effect.entry for effect in begun(result)] == [2]
    assert len(result.snapshot.timers) == 2


def test_a_failed_activity_is_skipped_with_a_result() -> None:
    machine = skip(shop(), failed(shop()), "charge", "cash").snapshot

    assert machine.status is Status.DONE
    assert machine.data == {"log": ["left", "cash"]}
    assert machine.activities == ()


def test_skipping_without_a_transition_for_it_leaves_the_machine_running() -> None:
    made = replace(shop(), transitions=shop().transitions[:1])

    machine = skip(made, failed(made), "charge").snapshot

    assert machine.status is Status.RUNNING
    assert machine.configuration == ("charging",)
    assert machine.activities == ()
    assert [timer.event for timer in machine.timers] == ["checkout"]


def test_an_activity_that_runs_is_skipped() -> None:
    result = skip(shop(), charging(shop()), "charge")

    assert result.snapshot.status is Status.DONE
    assert any(isinstance(effect, StopActivity) for effect in result.effects)


def test_there_must_be_something_to_repair() -> None:
    with pytest.raises(NotRepairable, match=r"activity 'pack' neither runs nor has failed. There is 'charge'."):
        retry(shop(), failed(shop()), "pack")
    with pytest.raises(NotRepairable, match=r"activity 'charge' neither runs nor has failed.$"):
        skip(shop(), start(shop()).snapshot, "charge")


def test_a_machine_is_moved_as_by_a_transition_of_the_whole_chart() -> None:
    result = move(shop(), charging(shop()), ["cart"])

    machine = result.snapshot
    assert machine.configuration == ("cart",)
    assert machine.data == {"log": ["left"]}
    assert machine.timers == machine.activities == ()
    assert result.trace[0].exited == ("charging",)


def test_a_machine_that_has_failed_or_ended_runs_again_where_it_is_moved() -> None:
    made = shop()
    for machine in (failed(made), skip(made, failed(made), "charge").snapshot):
        moved = move(made, machine, ["charging"]).snapshot
        assert (moved.status, moved.output, moved.failure) == (Status.RUNNING, None, None)
        assert [running.entry for running in moved.activities] == [moved.seq]


def test_a_machine_is_moved_into_several_regions() -> None:
    machine = move(shop(), start(shop()).snapshot, ["b", "d"]).snapshot

    assert machine.configuration == ("b", "d")


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        pytest.param(["nowhere"], "there is no state 'nowhere'", id="unknown"),
        pytest.param([""], "there is no state ''", id="root"),
        pytest.param(["cart", "charging"], "cart and charging cannot be active together", id="exclusive"),
        pytest.param(["a", "b"], "a and b cannot be active together", id="one region"),
    ],
)
def test_a_machine_is_moved_to_states_that_can_be_active(targets: list[str], problem: str) -> None:
    with pytest.raises(NotRepairable, match=problem):
        move(shop(), start(shop()).snapshot, targets)


def test_what_else_the_active_states_wait_for_begins_anew() -> None:
    child = Child("helper", lambda _: Spawn(chart("on", name="Helper")))
    other = Activity("other", "other", work, deadline=None)
    made = chart(
        "one parallel\n left\n right",
        activities={"left": [CHARGE], "right": [other]},
        timers={"right": [Timer("tick", HOUR)]},
        machines={"right": [child]},
    )
    machine = start(made, life="life").snapshot
    event = Event("error.invoke.charge", Failure("a", "b"), Origin.PLATFORM, token=machine.activities[0].token)
    machine = step(made, machine, event).snapshot
    assert (machine.timers, machine.machines) == ((), ())

    result = retry(made, machine, "charge")

    assert {effect.id for effect in begun(result)} == {"charge", "other"}
    assert any(isinstance(effect, StartMachine) for effect in result.effects)
    assert "tick" in {timer.event for timer in result.snapshot.timers}
    again = retry(made, result.snapshot, "charge")
    assert [effect.id for effect in begun(again)] == ["charge"]
    assert not any(isinstance(effect, StartMachine) for effect in again.effects)


# ── timers ────────────────────────────────────────────────────────────────────────────────────────────────────────────

WAITING = chart(
    "open\nshut final",
    edge("open", "close", "shut"),
    edge("open", "ring", actions=[action(lambda s: s.effects.send("nudge", after=HOUR, id="n-1"), "nudge")]),
    edge("open", "nudge"),
    timers={"open": [Timer("close", HOUR)]},
)


@pytest.mark.parametrize("name", ["close", "life.1.1"])
def test_a_pending_timer_is_moved_and_its_state_stays(name: str) -> None:
    machine = Driven(WAITING).snapshot

    result = retime(WAITING, machine, name, timedelta(minutes=1))

    assert result.effects == (Cancel("life.1.1"), Send("life.2.1", "close", timedelta(minutes=1)))
    assert result.snapshot.configuration == machine.configuration
    assert [(timer.event, timer.after_ms, timer.state) for timer in result.snapshot.timers] == [
        ("close", 60_000, "open")
    ]


def test_a_timer_that_is_fired_is_taken_in_the_same_turn() -> None:
    turn = Turn(WAITING, Driven(WAITING).snapshot, seed="seed")

    turn.change("repair", lambda at: retime(WAITING, at, "close", timedelta(0)))

    assert turn.next_call() is None
    assert turn.machine.configuration == ("shut",)


def test_a_message_is_moved_by_its_id() -> None:
    machine = Driven(WAITING)
    machine.take("ring")

    result = retime(WAITING, machine.snapshot, "n-1", timedelta(minutes=1))

    assert [(timer.event, timer.after_ms) for timer in result.snapshot.timers] == [
        ("close", 3_600_000),
        ("nudge", 60_000),
    ]


def test_a_timer_that_is_not_pending_cannot_be_moved() -> None:
    with pytest.raises(NotRepairable, match=r"no timer 'nudge' is pending\. There is 'close'\."):
        retime(WAITING, Driven(WAITING).snapshot, "nudge", HOUR)
