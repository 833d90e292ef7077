"""One chart in several builds, each served by a process of its own, under a name that is the test's.

`VERSIONS_NAME` names the chart, `VERSIONS_BUILD` says which build this is: `first`, and what became of it.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import httpx
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import (
    ActivityContext,
    OldMachine,
    activity,
    after,
    app,
    chart_from,
    defer,
    durable,
    event,
    migration,
)
from durable_fsm.testing import EffectRefused
from durable_fsm.testing.effects import URL_VARIABLE
from tests.server.dying import install

install()

NAME = os.environ.get("VERSIONS_NAME", "Parcel")
BUILD = os.environ.get("VERSIONS_BUILD", "first")
HOUR = timedelta(hours=1)
SHORT = timedelta(milliseconds=400)


async def have_effect(name: str, key: str) -> str:
    """Have an effect without blocking a thread, so that it can be stopped."""
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=600) as client:
        answer = await client.post(f"{os.environ[URL_VARIABLE]}/effects", json={"name": name, "key": key})
    if answer.is_error:
        raise EffectRefused(name=name, key=key, status=answer.status_code)
    return name


# ── version 1 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Name(BaseModel):
    name: str


class First(BaseModel):
    name: str = ""
    notes: list[str] = []
    results: list[Any] = []


async def pack(ctx: ActivityContext, data: First) -> str:
    return await ctx.run("pack", have_effect, f"{data.name}-packed-by-first", ctx.stable_id)


async def weigh(ctx: ActivityContext, data: First) -> str:
    return await ctx.run("weigh", have_effect, f"{data.name}-weighed", ctx.stable_id)


async def mail(ctx: ActivityContext, data: First) -> str:
    return await ctx.run("mail", have_effect, f"{data.name}-mailed", ctx.stable_id)


class Taking:
    """The base of all builds."""

    def on_begin(self, data: Any, payload: Name) -> None:
        data.name = payload.name

    def on_note(self, data: Any, payload: str) -> None:
        data.notes.append(payload)

    def on_exit_packing(self, data: Any, result: Any = None) -> None:
        data.results.append(result)


@durable(version="1", name=NAME)
class ParcelOne(Taking, StateChart[First]):
    """A parcel, from table to door."""

    open = State(initial=True)
    packing = State(invoke=activity(pack))
    weighing = State(invoke=activity(weigh, exclusive=True))
    waiting = State(invoke=activity(mail, id="mail"))
    sent = State(final=True)

    begin = event(open.to(waiting), Name)
    done_invoke_mail = waiting.to.itself(internal=True)
    error_invoke_mail = waiting.to.itself(internal=True)
    note = event(waiting.to.itself(internal=True), str)
    pack = event(waiting.to(packing))
    weigh = event(waiting.to(weighing))
    done_invoke_packing = packing.to(sent)
    error_invoke_packing = packing.to(waiting)
    done_invoke_weighing = weighing.to(waiting)
    error_invoke_weighing = weighing.to(waiting)
    lapse = after(HOUR, waiting.to(open))
    remind = after(HOUR, waiting.to.itself(internal=True))
    old_only = event(waiting.to.itself(internal=True))
    defer(packing, "note")


# ── version 2: names, data, timers and work have changed ──────────────────────────────────────────────────────────────


class Second(BaseModel):
    title: str = ""
    notes: list[str] = []
    results: list[Any] = []
    nudged: int = 0


async def wrap(ctx: ActivityContext, data: Second) -> str:
    return await ctx.run("wrap", have_effect, f"{data.title}-packed-by-second", ctx.stable_id)


async def insure(ctx: ActivityContext, data: Second) -> str:
    return await ctx.run("insure", have_effect, f"{data.title}-insured", ctx.stable_id)


def to_second(old: OldMachine) -> None:
    if BUILD == "mistaken":
        raise ValueError("the second build has a mistake")
    old.data["title"] = old.data.pop("name").upper()


MIGRATIONS = [
    migration(
        "1",
        to_second,
        to="2",
        states={"packing": "wrapping"},
        activities={"mail": "letter"},
        events={"lapse": "expire"},
    )
]


async def letter(ctx: ActivityContext, data: Second) -> str:
    return await ctx.run("letter", have_effect, f"{data.title}-mailed-again", ctx.stable_id)


class ParcelTwo(StateChart[Second]):
    """A parcel, from table to door, insured."""

    open = State(initial=True)
    wrapping = State(invoke=activity(wrap))
    waiting = State(invoke=[activity(letter, id="letter"), activity(insure, id="insure")])
    weighing = State(invoke=activity(wrap, id="weighing", exclusive=True))
    sent = State(final=True)

    begin = event(open.to(waiting), Name)
    done_invoke_letter = waiting.to.itself(internal=True)
    error_invoke_letter = waiting.to.itself(internal=True)
    done_invoke_insure = waiting.to.itself(internal=True)
    error_invoke_insure = waiting.to.itself(internal=True)
    note = event(waiting.to.itself(internal=True), str)
    pack = event(waiting.to(wrapping))
    weigh = event(waiting.to(weighing))
    done_invoke_wrapping = wrapping.to(sent)
    error_invoke_wrapping = wrapping.to(waiting)
    done_invoke_weighing = weighing.to(waiting)
    error_invoke_weighing = weighing.to(waiting)
    expire = after(HOUR, waiting.to(open))
    nudge = after(SHORT, waiting.to.itself(internal=True))
    defer(wrapping, "note")

    def on_begin(self, data: Second, payload: Name) -> None:
        data.title = payload.name

    def on_note(self, data: Second, payload: str) -> None:
        data.notes.append(payload)

    def on_nudge(self, data: Second) -> None:
        data.nudged += 1

    def on_exit_wrapping(self, data: Second, result: Any = None) -> None:
        data.results.append(result)


# ── version 3: another way to pack, for parcels that have not begun ───────────────────────────────────────────────────


async def pack_better(ctx: ActivityContext, data: First) -> str:
    return await ctx.run("pack", have_effect, f"{data.name}-packed-by-third", ctx.stable_id)


@durable(version="3", name=NAME, versions=[ParcelOne])
class ParcelThree(Taking, StateChart[First]):
    """A parcel that is packed at once."""

    open = State(initial=True)
    packing = State(invoke=activity(pack_better))
    sent = State(final=True)

    begin = event(open.to(packing), Name)
    done_invoke_packing = packing.to(sent)
    error_invoke_packing = packing.to(open)


BUILDS: dict[str, Any] = {
    "first": lambda: ParcelOne,
    "second": lambda: durable(version="2", name=NAME, migrations=MIGRATIONS)(ParcelTwo),
    "mistaken": lambda: durable(version="2", name=NAME, migrations=MIGRATIONS)(ParcelTwo),
    "forgetful": lambda: durable(version="2", name=NAME)(ParcelTwo),
    "third": lambda: ParcelThree,
}

application = app(chart_from(BUILDS[BUILD]()))
