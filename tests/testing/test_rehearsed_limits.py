"""`Rehearsal`: machines beside each other share the slots of limits, as on a server."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Effects, Limit, activity, durable, event, free, machine
from durable_fsm.testing import Rehearsal

BANK = Limit("bank", 1)
HOUR = timedelta(hours=1)


class Work(BaseModel):
    urgency: int = 0
    result: Any = None
    log: list[str] = []


async def work(data: Work) -> str:
    return "never called in a rehearsal"


class Told:
    def on_begin(self, data: Work, payload: int) -> None:
        data.urgency = payload

    def on_enter_done(self, data: Work, result: Any = None) -> None:
        data.result = result


@durable(after_end=free(HOUR))
class Job(Told, StateChart[Work]):
    """Work of which one run is allowed; the machine hears of its slot."""

    idle = State(initial=True)

    class working(State.Compound, invoke=activity(work, limit=BANK, priority="urgency")):
        enqueued = State(initial=True)
        running = State()
        granted_invoke_working = enqueued.to(running)

    done = State(final=True)

    begin = event(idle.to(working), int)
    done_invoke_working = working.to(done)
    error_invoke_working = working.to(idle)
    back = event(working.to(idle))


class Other(Told, StateChart[Work]):
    """Another chart that shares the limit, and hears nothing; and work of its own that holds the machine."""

    idle = State(initial=True)
    charging = State(invoke=activity(work, limit=BANK))
    holding = State(invoke=activity(work, limit=1, exclusive=True))
    done = State(final=True)

    begin = event(idle.to(charging), int)
    hold = event(idle.to(holding))
    done_invoke_charging = charging.to(done)
    error_invoke_charging = charging.to(idle)
    done_invoke_holding = holding.to(done)
    error_invoke_holding = holding.to(idle)


@durable(work=[activity(work, id="mail", limit=1)])
class Shop(StateChart[Work]):
    open = State(initial=True)
    post = event(open.to.itself(internal=True), str)
    done_invoke_mail = open.to.itself(internal=True)

    def on_post(self, effects: Effects, payload: str) -> None:
        effects.start("mail", payload)

    def on_done_invoke_mail(self, data: Work, result: str) -> None:
        data.log.append(result)


class Parent(StateChart[Work]):
    waiting = State(initial=True, invoke=machine(Job, id="job"))
    over = State(final=True)
    done_invoke_job = waiting.to(over)
    error_invoke_job = waiting.to(over)
    stop = event(waiting.to(over))


def begun(definition: Any = Job, beside: Rehearsal | None = None, urgency: int = 0, **rest: Any) -> Rehearsal:
    rehearsal = Rehearsal(definition, key=f"{urgency}", beside=beside, **rest)
    rehearsal.send("begin", urgency)
    return rehearsal


def test_a_machine_hears_of_its_slot_before_the_answer_of_its_activity() -> None:
    job = begun(answers={"working": lambda data: data.urgency})

    assert [step.event for step in job.trace] == [None, "begin", "granted.invoke.working", "done.invoke.working"]
    assert job.data.result == 0


def test_charts_beside_each_other_share_a_limit_by_its_name() -> None:
    holder = begun()
    other = begun(Other, holder)
    assert (holder.leaves, holder.waiting, other.waiting) == (("running",), (), ("charging",))

    holder.finish("working", "first")

    assert (other.waiting, other.running) == ((), ("charging",))
    other.finish("charging", "second")
    assert other.data.result == "second"


def test_an_answer_waits_for_the_slot() -> None:
    holder = begun()
    other = begun(Other, holder, answers={"charging": lambda data: "answered"})
    assert other.leaves == ("charging",)

    holder.fail("working", "no")

    assert (other.leaves, other.data.result) == (("done",), "answered")


@pytest.mark.parametrize("urgencies", [(3, 1, 2), (1, 1, 1)], ids=["urgent", "alike"])
def test_the_most_urgent_comes_next(urgencies: tuple[int, ...]) -> None:
    holder = begun()
    jobs = [begun(beside=holder, urgency=urgency) for urgency in urgencies]
    order = []

    current = holder
    for _ in jobs:
        current.finish("working")
        [current] = [job for job in jobs if job.leaves == ("running",)]
        order.append(current.data.urgency)

    assert order == sorted(urgencies)


def test_work_that_waits_cannot_be_finished_but_fail_and_be_stopped() -> None:
    holder = begun()
    late, failing, leaving = (begun(beside=holder) for _ in range(3))
    with pytest.raises(LookupError, match="activity 'working' waits for a slot of limit 'bank'"):
        late.finish("working")

    failing.fail("working", "killed")
    leaving.send("back")
    holder.finish("working")

    assert [job.leaves for job in (late, failing, leaving)] == [("running",), ("idle",), ("idle",)]


def test_work_that_holds_its_machine_waits_for_its_slot_too() -> None:
    first, second = Rehearsal(Other, key="1"), None
    first.send("hold")
    second = Rehearsal(Other, key="2", beside=first, answers={"holding": lambda data: "held"})
    third = Rehearsal(Other, key="3", beside=first)
    second.send("hold")
    third.send("hold")
    assert [one.waiting for one in (first, second, third)] == [(), ("holding",), ("holding",)]

    first.finish("holding")

    assert (second.leaves, second.data.result, third.waiting) == (("done",), "held", ())
    third.finish("holding")


def test_detached_work_takes_one_slot_after_the_other() -> None:
    shop = Rehearsal(Shop, answers={"mail": lambda letter: f"sent {letter}"})

    shop.send("post", "a")
    shop.send("post", "b")

    assert shop.data.log == ["sent a", "sent b"]


def test_a_slot_that_is_granted_while_other_work_holds_the_machine_is_told_afterwards() -> None:
    class Both(StateChart[Work]):
        """Two regions: one is told of its slot, the other holds the machine for a while."""

        class both(State.Parallel):
            class left(State.Compound, invoke=activity(work, id="left", limit=BANK)):
                enqueued = State(initial=True)
                running = State()
                granted_invoke_left = enqueued.to(running)
                done_invoke_left = running.to.itself(internal=True)
                error_invoke_left = running.to.itself(internal=True)

            class right(State.Compound):
                resting = State(initial=True)
                holding = State(invoke=activity(work, id="holding", exclusive=True))
                hold = event(resting.to(holding))
                done_invoke_holding = holding.to(resting)
                error_invoke_holding = holding.to(resting)

    holder = begun()
    both = Rehearsal(Both, beside=holder)
    both.create()
    both.send("hold")

    holder.finish("working")
    assert "enqueued" in both.leaves
    both.finish("holding")

    assert both.leaves == ("running", "resting")


def test_a_child_that_is_stopped_gives_its_slot_back() -> None:
    parent = Rehearsal(Parent, answers={})
    parent.create()
    child = parent.machines["job"]
    child.send("begin", 0)
    other = begun(beside=parent)
    assert other.leaves == ("enqueued",)

    parent.send("stop")

    assert other.leaves == ("running",)


def test_a_machine_that_has_ended_and_is_deleted_holds_no_slot() -> None:
    job = begun(answers={"working": lambda data: "done"})

    job.advance(HOUR)

    assert job.stored is None
    assert begun(beside=job).leaves == ("running",)
