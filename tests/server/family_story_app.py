"""A machine with two children that all send each other messages, for `test_every_step_of_a_family.py`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Effects, activity, app, event, machine
from durable_fsm.testing import effect
from tests.server import dying

dying.install()


class Errand(BaseModel):
    effect: str
    ledger: str
    number: int = 0
    heard: list[int] = []


async def run_it(ctx: ActivityContext, data: Errand) -> str:
    """One effect, under the stable id of its run."""

    def write_down() -> str:
        effect(data.effect, ctx.stable_id)
        return data.effect

    return await ctx.run("write down", write_down)


class Runner(StateChart[Errand]):
    """Asks its parent whether it may go, works, and reports to the ledger."""

    asking = State(initial=True)
    working = State(invoke=activity(run_it))
    back = State(final=True)

    go = event(asking.to(working), int)
    done_invoke_working = working.to(back)
    error_invoke_working = working.to(back)

    def on_enter_asking(self, data: Errand, effects: Effects) -> None:
        effects.send("may_i", data.number, to="#_parent")

    def on_go(self, data: Errand, payload: int, effects: Effects) -> None:
        data.heard.append(payload)
        for number in range(3):
            effects.send("note", number, to=(Notebook, f"{data.ledger}-{data.number}"))

    def on_enter_back(self, data: Errand) -> list[int]:
        return [data.number, *data.heard]


class Book(BaseModel):
    notes: list[int] = []


class Notebook(StateChart[Book]):
    open = State(initial=True)
    note = event(open.to.itself(internal=True), int)

    def on_note(self, data: Book, payload: int) -> None:
        data.notes.append(payload)


class Plan(BaseModel):
    effect: str = ""
    asked: list[int] = []
    result: Any = None
    errands: list[dict[str, Any]] = []


class Sender(StateChart[Plan]):
    """Sends two out and begins anew before they are back; then waits for two others."""

    idle = State(initial=True)
    first = State(invoke=machine(Runner, id="early", each="errands"))
    second = State(invoke=machine(Runner, id="runner", each="errands"))
    over = State()

    begin = event(idle.to(first), str)
    leave = event(first.to(second))
    may_i = event(second.to.itself(internal=True) | first.to.itself(internal=True), int, public=False)
    done_invoke_runner = second.to(over)
    error_invoke_runner = second.to(over)
    done_invoke_early = first.to(over)
    error_invoke_early = first.to(over)
    back_to = event(over.to(idle))

    def on_begin(self, data: Plan, payload: str) -> None:
        data.effect = payload
        data.errands = [{"effect": f"{payload}-{number}", "ledger": payload, "number": number} for number in range(2)]

    def on_may_i(self, data: Plan, payload: int, effects: Effects, event: Any) -> None:
        if "second" in self.configuration_values:
            data.asked.append(payload)
            effects.send("go", payload, to=event.sender)

    def on_done_invoke_runner(self, data: Plan, result: Any) -> None:
        data.result = result


family_story_app = app(Sender, Notebook)
