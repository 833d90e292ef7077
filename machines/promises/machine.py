"""The promise's chart."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import Effects, defer, durable, event


class Resolved(BaseModel):
    value: Any


class Rejected(BaseModel):
    error: str = Field(min_length=1)


class PromiseData(BaseModel):
    result: Resolved | Rejected | None = None


@durable(name="promises", version="1", handlers={"await": "await_"})
class Promise(StateChart[PromiseData]):
    """A promise, which any process may keep or break, once.

    A later completion is answered with the first. Those who await it may come before it is completed: they are deferred.
    """

    pending = State(initial=True)

    class completed(State.Compound):
        resolved = State(initial=True)
        rejected = State()

    defer(pending, "await_")

    resolve = event(
        [pending.to(completed.resolved, on="keep"), completed.to(completed, internal=True, on="tell")], Resolved
    )
    reject = event(
        [pending.to(completed.rejected, on="keep"), completed.to(completed, internal=True, on="tell")], Rejected
    )
    await_ = event(completed.to(completed, internal=True, on="tell"))
    dispose = event(pending.from_(completed) | pending.to.itself(internal=True))

    def keep(self, data: PromiseData, payload: Resolved | Rejected) -> Resolved | Rejected:
        data.result = payload
        return payload

    def tell(self, data: PromiseData) -> Resolved | Rejected | None:
        return data.result

    def on_dispose(self, data: PromiseData, effects: Effects) -> None:
        data.result = None
        effects.refuse("await_", "promise was disposed")
