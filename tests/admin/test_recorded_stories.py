"""A recorded history as a test: it runs, and ends where the machine was."""

from __future__ import annotations

import json
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import activity, after, chart_from, defer, durable, event
from durable_fsm.admin.past import past_of
from durable_fsm.admin.recorded_stories import Story, story_of
from durable_fsm.core.effects import Step
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.values import changed
from durable_fsm.errors import DurableFSMError
from durable_fsm.explore.proofs import Imported
from tests.restate.test_recording import Kept


class Fare(BaseModel):
    cents: int = 0


async def drive(data: Fare) -> str:
    raise NotImplementedError


async def pay(data: Fare) -> str:
    raise NotImplementedError


@durable()
class Ride(StateChart[Fare]):
    """Has timers, work of both kinds, deferred events, and sends something to itself."""

    waiting = State(initial=True)
    driving = State(invoke=activity(drive))
    paying = State(invoke=activity(pay, exclusive=True))
    resting = State()
    over = State(final=True)

    defer(driving, "tip")

    call = event(waiting.to(driving), Fare)
    done_invoke_driving = driving.to(paying)
    error_invoke_driving = driving.to(waiting)
    stop = driving.to(resting)
    done_invoke_paying = paying.to(over)
    error_invoke_paying = paying.to(resting)
    tip = event(resting.to.itself(internal=True) | waiting.to.itself(internal=True), int)
    again = after(timedelta(minutes=5), resting.to(waiting))

    def on_call(self, data: Fare, payload: Fare) -> None:
        data.cents = payload.cents

    def on_tip(self, data: Fare, payload: int) -> None:
        data.cents += payload


def ridden(seed: int) -> Kept:
    """A ride that went by chance, as the host records it."""
    random, kept = Random(seed), Kept(chart_from(Ride))
    kept.turn(lambda turn: turn.create({"cents": seed}, life="life", created_from=""))
    for _ in range(25):
        machine = kept.machine
        assert machine is not None
        events: list[Event] = [Event("call", {"cents": 500}), Event("stop"), Event("tip", 7)]
        events += [
            Event("timer", origin=Origin.PLATFORM, token=timer.token)
            for timer in machine.timers
            if timer.activity is None
        ]
        for run in machine.activities:
            failure = Failure("Jam", "a traffic jam", 503)
            events.append(Event(f"done.invoke.{run.id}", "r-1", Origin.PLATFORM, token=run.token))
            events.append(Event(f"error.invoke.{run.id}", failure, Origin.PLATFORM, token=run.token))
        chosen = random.choice(events)
        try:
            kept.turn(lambda turn, it=chosen: turn.deliver(it) if it.token else turn.take(it))
        except DurableFSMError:
            continue
        if kept.machine is not None and kept.machine.status is not Status.RUNNING:
            break
    return kept


def moved(at: Snapshot) -> Step:
    return Step(changed(at, seq=at.seq + 1))


def exported(kept: Kept, **options: Any) -> Story:
    assert kept.machine is not None
    past = past_of(kept.entries, kept.machine.configuration, kept.chart)
    return story_of(past, kept.chart, "r-1", status=kept.machine.status.value, **options)


def run(text: str) -> Any:
    """Run the one test of an exported file; return its machine."""
    names: dict[str, Any] = {}
    source = text.replace("machine = Rehearsal(", "global machine; machine = Rehearsal(")
    exec(compile(source, "exported", "exec"), names)  # noqa: S102 - the test that was written
    next(value for name, value in names.items() if name.startswith("test_"))()
    return names["machine"]


IMPORTED = Imported("tests.admin.test_recorded_stories", "Ride")


@pytest.mark.parametrize("seed", range(25))
def test_an_exported_test_ends_where_the_machine_is(seed: int) -> None:
    kept = ridden(seed)

    story = exported(kept)
    machine = run(story.as_test("Ride", "r-1", IMPORTED))

    assert kept.machine is not None
    assert story.problem == ""
    assert (machine.leaves, machine.status, machine.snapshot.data) == (
        kept.machine.configuration,
        kept.machine.status,
        kept.machine.data,
    )


def test_a_story_ends_at_the_moment_that_is_looked_at() -> None:
    kept = ridden(3)

    story = exported(kept, upto=2)

    lines = [json.loads(line) for line in story.text.splitlines()]
    assert lines[0] == {"create": {"cents": 3}, "key": "r-1"}
    assert lines[-1] == {"expect": {"leaves": list(kept.saved[2][2])}}
    assert run(story.as_test("Ride", "r-1", IMPORTED)).leaves == kept.saved[2][2]


def test_what_cannot_be_told_is_said() -> None:
    kept = Kept(chart_from(Ride))
    kept.turn(lambda turn: turn.create({}, life="life", created_from=""), records=False)
    assert "was not recorded. Record machines that begin from now on" in exported(kept).problem
    assert "It has no history" in story_of([], kept.chart, "r-1").problem
    kept = Kept(chart_from(Ride))
    kept.turn(lambda turn: turn.create({}, life="life", created_from=""))
    kept.turn(lambda turn: turn.take(Event("call", {"cents": 1, "note": "x" * 3_000})))
    story = exported(kept)
    assert story.hints == ("the payload of step 2 was too long to be recorded: fill it in",)
    text = story.as_test("Ride", 'a"\\\n', None)
    assert '"""The way of Ride/a, from its recorded history.\n\nTo do:\n- the payload of step 2' in text
    assert "from service import Ride" in text
    kept.turn(lambda turn: turn.change("repair", moved, note={"move": "over", "reason": "so"}))
    assert "Step 3 is a repair" in exported(kept).problem
    assert exported(kept).reach == 2
    assert exported(kept, upto=2).problem == ""
    past = past_of(kept.entries[1:], ("driving",), kept.chart)
    assert "not kept any more" in story_of(past, kept.chart, "r-1").problem
