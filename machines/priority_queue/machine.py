"""The chart of an addition. It waits for one of ten slots, which all additions share."""

from __future__ import annotations

from statemachine import State, StateChart

from durable_fsm import Failure, Limit, activity, durable
from machines.priority_queue.activities import Addition, add

CALCULATOR = Limit("myService/expensiveMethod", slots=10)
CANCELLED = Failure("cancelled", "the addition was cancelled", code=409)


@durable(name="myService", version="1", workflow=True)
class ExpensiveMethod(StateChart[Addition]):
    """An addition: ten run at once, the others wait, the most urgent first."""

    class working(State.Compound, invoke=activity(add, limit=CALCULATOR, priority="priority")):
        enqueued = State(initial=True)
        running = State()

        granted_invoke_working = enqueued.to(running)

    released = State(final=True)
    dropped = State(final=True)

    done_invoke_working = working.to(released)
    error_invoke_working = working.to(released)
    call_off = working.enqueued.to(dropped) | working.running.to(released)

    def on_done_invoke_working(self, data: Addition, result: float) -> None:
        data.sum = result

    def on_enter_released(self, data: Addition, error: Failure | None = None) -> float | Failure:
        if data.sum is not None:
            return data.sum
        return error or CANCELLED

    def on_enter_dropped(self) -> Failure:
        return CANCELLED
