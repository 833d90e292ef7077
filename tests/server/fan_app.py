"""Charts with limits, fan-outs and detached work, as one application served by a process of its own.

As in `charts.py`, work is done to the test's effect log, under names that come from the machine's data.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import httpx
from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import (
    ActivityContext,
    Effects,
    Failure,
    Limit,
    Retry,
    TerminalError,
    TransitionsConfig,
    activity,
    after,
    durable,
    event,
)
from durable_fsm.testing import EffectRefused
from durable_fsm.testing.effects import URL_VARIABLE

QUICKLY = Retry(attempts=3, initial=timedelta(milliseconds=50))
SHORT = timedelta(milliseconds=400)


async def have_effect(name: str, key: str) -> str:
    """Have an effect without blocking a thread, so that it can be stopped."""
    body = {"name": name, "key": key}
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=600) as client:
        answer = await client.post(f"{os.environ[URL_VARIABLE]}/effects", json=body)
    if answer.is_error:
        raise EffectRefused(name=name, key=key, status=answer.status_code)
    return f"done {name}"


class Task(BaseModel):
    effect: str
    items: list[Any] = []


class Work(BaseModel):
    effect: str = ""
    items: list[Any] = []
    result: Any = None
    error: Any = None


class Told:
    """The base of all charts in this file."""

    def on_begin(self, data: Work, payload: Task) -> None:
        data.effect, data.items = payload.effect, payload.items

    def on_enter_done(self, data: Work, result: Any = None) -> None:
        data.result = result

    def on_enter_failed(self, data: Work, error: Failure) -> None:
        data.error = {"type": error.type, "message": error.message, "metadata": error.metadata}


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def go_through(ctx: ActivityContext, data: Work) -> str:
    """Be seen coming in and going out."""
    await ctx.run("in", have_effect, f"{data.effect}-in", ctx.key)
    return await ctx.run("out", have_effect, f"{data.effect}-out", ctx.key)


class Busy(Told, StateChart[Work]):
    """Work of which three runs are allowed at once."""

    idle = State(initial=True)
    working = State(invoke=activity(go_through, limit=3, retry=QUICKLY))
    done = State(final=True)
    failed = State(final=True)

    begin = event(idle.to(working), Task)
    done_invoke_working = working.to(done)
    error_invoke_working = working.to(failed)
    back = event(working.to(idle))


class Narrow(Told, StateChart[Work]):
    """Work of which one run is allowed: in the background, with a deadline; or holding the machine."""

    idle = State(initial=True)
    working = State(invoke=activity(go_through, limit=1, retry=QUICKLY))
    hurrying = State(invoke=activity(go_through, id="hurrying", limit=1, deadline=SHORT))
    holding = State(invoke=activity(go_through, id="holding", limit=1, exclusive=True))
    done = State(final=True)
    failed = State(final=True)

    begin = event(idle.to(working), Task)
    hurry = event(idle.to(hurrying), Task)
    hold = event(idle.to(holding), Task)
    done_invoke_working = working.to(done)
    error_invoke_working = working.to(failed)
    done_invoke_hurrying = hurrying.to(done)
    error_invoke_hurrying = hurrying.to(failed)
    done_invoke_holding = holding.to(done)
    error_invoke_holding = holding.to(failed)
    back = event(working.to(idle))

    def on_hurry(self, data: Work, payload: Task) -> None:
        data.effect = payload.effect

    def on_hold(self, data: Work, payload: Task) -> None:
        data.effect = payload.effect


VAULT = Limit("bank/vault", 1)


class Teller(Told, StateChart[Work]):
    """Work that shares its limit with another chart."""

    idle = State(initial=True)
    working = State(invoke=activity(go_through, limit=VAULT, retry=QUICKLY))
    done = State(final=True)
    failed = State(final=True)

    begin = event(idle.to(working), Task)
    done_invoke_working = working.to(done)
    error_invoke_working = working.to(failed)


class Visitor(Told, StateChart[Work]):
    """Work that shares the limit, the less urgent the more it brings; it gives up if it waits for long."""

    idle = State(initial=True)

    class working(
        State.Compound, invoke=activity(go_through, limit=VAULT, priority=lambda data: len(data.items), retry=QUICKLY)
    ):
        enqueued = State(initial=True)
        inside = State()
        granted_invoke_working = enqueued.to(inside)

    done = State(final=True)
    failed = State(final=True)
    gone = State(final=True)

    begin = event(idle.to(working), Task)
    done_invoke_working = working.to(done)
    error_invoke_working = working.to(failed)
    give_up = after("patience", working.enqueued.to(gone))

    def patience(self, data: Work) -> timedelta | None:
        return SHORT if "hurry" in data.items else None


# ── fan-out ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def handle(ctx: ActivityContext, item: Any) -> str:
    """Have the item's effect, under the stable id of its run."""
    if item == "hopeless":
        raise TerminalError("this one cannot be handled", code=418, metadata={"why": "hopeless"})
    return await ctx.run("handle", have_effect, f"{item}", ctx.stable_id)


async def double(item: int) -> int:
    return item * 2


async def with_data(ctx: ActivityContext, item: int, data: Work) -> str:
    return f"{data.effect} {item} {ctx.stable_id.rpartition('/')[2]}"


class Crowd(Told, StateChart[Work]):
    """Something is done for each of some items."""

    idle = State(initial=True)
    handling = State(invoke=activity(handle, each="items", at_once=3, retry=QUICKLY))
    settling = State(invoke=activity(handle, each="items", at_once=3, join="settle", retry=QUICKLY))
    racing = State(invoke=activity(handle, each="items", join="any", retry=QUICKLY))
    voting = State(invoke=activity(handle, each="items", join=2, retry=QUICKLY))
    holding = State(invoke=activity(handle, each=lambda data: data.items, exclusive=True, retry=QUICKLY))
    doubling = State(invoke=activity(double, each="items", retry=QUICKLY))
    knowing = State(invoke=activity(with_data, each="items"))
    queueing = State(invoke=activity(handle, each="items", limit=2, retry=QUICKLY))
    done = State()
    failed = State()

    begin = event(idle.to(handling), Task)
    settle = event(idle.to(settling), Task)
    race = event(idle.to(racing), Task)
    vote = event(idle.to(voting), Task)
    hold = event(idle.to(holding), Task)
    twice = event(idle.to(doubling), Task)
    know = event(idle.to(knowing), Task)
    queue = event(idle.to(queueing), Task)
    back = event(handling.to(idle) | failed.to(idle) | done.to(idle))
    done_invoke_handling = handling.to(done)
    done_invoke_settling = settling.to(done)
    done_invoke_racing = racing.to(done)
    done_invoke_voting = voting.to(done)
    done_invoke_holding = holding.to(done)
    done_invoke_doubling = doubling.to(done)
    done_invoke_knowing = knowing.to(done)
    done_invoke_queueing = queueing.to(done)
    error_invoke_handling = handling.to(failed)
    error_invoke_settling = settling.to(failed)
    error_invoke_racing = racing.to(failed)
    error_invoke_voting = voting.to(failed)
    error_invoke_holding = holding.to(failed)
    error_invoke_doubling = doubling.to(failed)
    error_invoke_knowing = knowing.to(failed)
    error_invoke_queueing = queueing.to(failed)

    def before_transition(self, data: Work, payload: object) -> None:
        if isinstance(payload, Task):
            data.effect, data.items = payload.effect, payload.items


# ── detached ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def send_mail(ctx: ActivityContext, mail: dict[str, str]) -> str:
    """Have the mail's effect, once."""
    return await ctx.run("send", have_effect, mail["effect"], ctx.stable_id)


async def send_note(note: dict[str, str]) -> str:
    return await have_effect(note["effect"], "note")


async def send_all(ctx: ActivityContext, to: str, letter: dict[str, Any]) -> str:
    return await ctx.run("send", have_effect, f"{letter['effect']}", to)


async def linger(ctx: ActivityContext, mail: dict[str, str]) -> None:
    """Wait for longer than any deadline."""
    await ctx.run("begin", have_effect, mail["effect"], ctx.stable_id)
    await ctx.sleep(timedelta(days=2))


@durable(
    work=[
        activity(send_mail, retry=QUICKLY),
        activity(send_note, retry=QUICKLY),
        activity(send_all, id="letters", each="to"),
        activity(linger, deadline=SHORT),
    ]
)
class Shop(StateChart[Work]):
    """Sends mail that no state waits for."""

    open = State(initial=True)
    elsewhere = State()
    closed = State(final=True)

    mail = event(open.to.itself(internal=True), Task)
    mail_twice = event(open.to.itself(internal=True), Task)
    note = event(open.to.itself(internal=True), Task)
    write = event(open.to.itself(internal=True), Task)
    dawdle = event(open.to.itself(internal=True), Task)
    misname = event(open.to.itself(internal=True), str)
    leave = event(open.to(elsewhere), Task)
    come_back = event(elsewhere.to(open))
    close = event(open.to(closed), Task)
    done_invoke_send_mail = open.to.itself(internal=True)
    error_invoke_send_mail = open.to.itself(internal=True)
    done_invoke_letters = open.to.itself(internal=True)
    error_invoke_linger = open.to.itself(internal=True)

    def on_mail(self, payload: Task, effects: Effects) -> None:
        effects.start("send_mail", {"effect": payload.effect})

    on_leave = on_mail
    on_close = on_mail

    def on_mail_twice(self, payload: Task, effects: Effects) -> None:
        effects.start("send_mail", {"effect": payload.effect})
        effects.start("send_mail", {"effect": payload.effect})

    def on_note(self, payload: Task, effects: Effects) -> None:
        effects.start("send_note", {"effect": payload.effect})

    def on_write(self, payload: Task, effects: Effects) -> None:
        effects.start("letters", {"effect": payload.effect, "to": payload.items})

    def on_dawdle(self, payload: Task, effects: Effects) -> None:
        effects.start("linger", {"effect": payload.effect})

    def on_misname(self, payload: str, effects: Effects) -> None:
        effects.start(payload)

    def on_done_invoke_send_mail(self, data: Work, result: str) -> None:
        data.result = [*(data.result or []), result]

    def on_error_invoke_send_mail(self, data: Work, error: Failure) -> None:
        data.error = f"{error.type}: {error.message}"

    on_error_invoke_linger = on_error_invoke_send_mail
    on_done_invoke_letters = on_done_invoke_send_mail


class KioskData(BaseModel):
    sent: str = ""

    def send(self, effects: Effects, effect: str) -> None:
        effects.start("send_mail", {"effect": effect})

    def keep(self, result: str) -> None:
        self.sent = result


Kiosk = TransitionsConfig(
    name="Kiosk",
    states=["open"],
    initial="open",
    transitions=[
        {"trigger": "mail", "source": "open", "dest": None, "before": "send"},
        {"trigger": "done_invoke_send_mail", "source": "open", "dest": None, "before": "keep"},
    ],
    model=KioskData,
    work=(activity(send_mail, retry=QUICKLY),),
)

app = durable_fsm.app(Busy, Narrow, Teller, Visitor, Crowd, Shop, Kiosk)
