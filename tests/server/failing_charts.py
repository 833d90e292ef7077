"""A chart whose activities fail with a mistake of their author until a file says otherwise, for the application in `work_app.py`."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Effects, Failure, Retry, activity, durable, event, undo_all

ENDLESS = Retry(initial=timedelta(milliseconds=50), maximum=timedelta(milliseconds=200))
THRICE = Retry(attempts=3, initial=timedelta(milliseconds=20))


class Sums(BaseModel):
    path: str = ""
    secret: str = "swordfish"
    total: int = 0
    failure: dict[str, object] = {}


class Order(BaseModel):
    path: str


def total_in(path: str) -> int:
    """The total in a file; a KeyError as long as it has none."""
    return int(json.loads(Path(path).read_text())["total"])


async def add_up(ctx: ActivityContext, data: Sums) -> int:
    return await ctx.run("read", total_in, data.path)


def add_up_at_once(data: Sums) -> int:
    return total_in(data.path)


def add_up_item(item: str) -> int:
    return total_in(item)


async def add_up_detached(order: dict[str, str]) -> int:
    return total_in(order["path"])


def blab(data: Sums) -> None:
    raise ValueError(f"the word is {data.secret}")


async def take_back(ctx: ActivityContext, data: Sums) -> int:
    return await ctx.run("take back", total_in, data.path)


async def note_down(data: Sums) -> str:
    return "noted"


@durable(work=[activity(add_up_detached, id="detached", retry=ENDLESS)], redact=("secret",))
class Adding(StateChart[Sums]):
    """Adds up what is in a file, in every way in which work can be done."""

    idle = State(initial=True)
    steps = State(invoke=activity(add_up, retry=ENDLESS))
    at_once = State(invoke=activity(add_up_at_once, retry=ENDLESS))
    alone = State(invoke=activity(add_up, exclusive=True, retry=ENDLESS))
    items = State(invoke=activity(add_up_item, each=lambda data: [data.path, data.path], retry=ENDLESS))
    blabbing = State(invoke=activity(blab, retry=ENDLESS))
    late = State(invoke=activity(add_up, retry=ENDLESS, deadline=timedelta(seconds=1)))
    thrice = State(invoke=activity(add_up, retry=THRICE))
    noting = State(invoke=activity(note_down, undo=take_back, undo_retry=ENDLESS))
    noted = State()
    undoing = State(invoke=undo_all())
    over = State()
    failed = State()

    do_steps = event(idle.to(steps), Order)
    do_at_once = event(idle.to(at_once), Order)
    do_alone = event(idle.to(alone), Order)
    do_items = event(idle.to(items), Order)
    do_blabbing = event(idle.to(blabbing), Order)
    do_late = event(idle.to(late), Order)
    do_thrice = event(idle.to(thrice), Order)
    do_detached = event(idle.to.itself(internal=True), Order)
    do_undoing = event(idle.to(noting), Order)
    call_off = event(noted.to(undoing))
    leave = event(steps.to(idle) | blabbing.to(idle) | over.to(idle) | failed.to(idle))
    done_invoke_steps = steps.to(over)
    done_invoke_at_once = at_once.to(over)
    done_invoke_alone = alone.to(over)
    done_invoke_items = items.to(over)
    done_invoke_noting = noting.to(noted)
    done_invoke_undoing = undoing.to(over)
    error_invoke_thrice = thrice.to(failed)
    error_invoke_late = late.to(failed)

    def before_transition(self, data: Sums, payload: object) -> None:
        if isinstance(payload, Order):
            data.path = payload.path

    def on_do_detached(self, payload: Order, effects: Effects) -> None:
        effects.start("detached", {"path": payload.path})

    def on_error_invoke_thrice(self, data: Sums, error: Failure) -> None:
        data.failure = {"type": error.type, "place": error.place, "attempts": error.attempts}
