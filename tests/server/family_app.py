"""Machines that run child machines and send each other messages, as one application served by a process of its own.

As in `charts.py`, work is done to the test's effect log, under names that come from the machine's data.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import restate
from pydantic import BaseModel
from restate.serde import BytesSerde
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import (
    ActivityContext,
    Effects,
    Failure,
    Retry,
    TerminalError,
    TransitionsConfig,
    activity,
    after,
    defer,
    durable,
    event,
    machine,
)
from durable_fsm.restate.app import services
from durable_fsm.restate.settings import Settings
from durable_fsm.testing import EffectRefused
from durable_fsm.testing.effects import URL_VARIABLE

QUICKLY = Retry(attempts=3, initial=timedelta(milliseconds=50))

BROKEN = os.environ.get("CHARTS_BROKEN", "")
TICK = timedelta(milliseconds=200)


async def have_effect(name: str, key: str) -> str:
    """Have an effect without blocking a thread, so that it can be stopped."""
    body = {"name": name, "key": key}
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=600) as client:
        answer = await client.post(f"{os.environ[URL_VARIABLE]}/effects", json=body)
    if answer.is_error:
        raise EffectRefused(name=name, key=key, status=answer.status_code)
    return f"done {name}"


class Parcel(BaseModel):
    """The data of a letter."""

    name: str
    cents: int = 0
    heard: list[int] = []
    where: str = ""


async def work(ctx: ActivityContext, data: Parcel) -> str:
    """Have the letter's effect, under the stable id of its run; says which process it was."""
    await ctx.run("work", have_effect, data.name, ctx.stable_id)
    return os.environ.get("PROCESS", "")


async def dawdle(ctx: ActivityContext, data: Desk) -> str:
    return await ctx.run("dawdle", have_effect, f"{data.name}-dawdle", ctx.stable_id)


async def fail(data: Parcel) -> None:
    raise TerminalError(f"{data.name} is torn", code=418)


@durable()
class Letter(StateChart[Parcel]):
    """Runs as a child: works, counts and answers messages, then ends in one of several ways."""

    written = State(initial=True)
    working = State(invoke=activity(work, retry=QUICKLY))
    holding = State(invoke=activity(work, id="holding", exclusive=True, retry=QUICKLY))
    failing = State(invoke=activity(fail))  # no transition takes that: the machine fails
    sent = State(final=True)
    torn = State(final=True)
    paused = State()

    go = event(written.to(working))
    hold = event(written.to(holding))
    send_off = event(written.to(sent) | working.to(sent))
    fail = event(written.to(failing))
    done_invoke_failing = failing.to(sent)
    sign = event(written.to(sent), int)
    ping = event(written.to.itself(internal=True) | working.to.itself(internal=True), int)
    tell = event(written.to.itself(internal=True), str)
    tick = after(TICK, paused.to(written))
    pause = event(written.to(paused))
    done_invoke_working = working.to(sent)
    error_invoke_working = working.to(torn)
    done_invoke_holding = holding.to(sent)
    error_invoke_holding = holding.to(torn)
    defer(paused, "ping")

    def on_ping(self, data: Parcel, payload: int, effects: Effects) -> None:
        data.heard.append(payload)
        effects.send("pong", payload, to="#_parent")

    def on_sign(self, payload: int, effects: Effects) -> None:
        effects.send("pong", payload, to="#_parent")

    def on_tell(self, payload: str, effects: Effects) -> None:
        effects.send(payload, to="#_parent")

    def on_done_invoke_working(self, data: Parcel, result: str) -> None:
        data.where = result

    def on_enter_sent(self, data: Parcel) -> dict[str, Any]:
        return {"name": data.name, "cents": data.cents, "heard": data.heard, "where": data.where}


class Desk(BaseModel):
    name: str = ""
    cents: Any = 7
    letters: list[Any] = []
    result: Any = None
    error: Any = None
    heard: list[int] = []
    back: list[Any] = []


class Work(BaseModel):
    name: str
    cents: Any = 7
    letters: list[Any] = []


def first(data: Desk) -> dict[str, Any]:
    return {"name": data.name, "cents": data.cents}


class Told:
    """The base of all parents in this file."""

    def before_transition(self, data: Desk, payload: object) -> None:
        if isinstance(payload, Work):
            data.name, data.cents, data.letters = payload.name, payload.cents, payload.letters

    def on_enter_done(self, data: Desk, result: Any = None) -> None:
        if BROKEN:
            raise RuntimeError("this deployment is broken")
        data.result = result

    def on_enter_failed(self, data: Desk, error: Failure) -> None:
        data.error = {"type": error.type, "message": error.message, "metadata": error.metadata}

    def on_pong(self, data: Desk, payload: int) -> None:
        data.heard.append(payload)

    def on_error_communication(self, data: Desk, error: Failure) -> None:
        data.back.append({"type": error.type, "message": error.message, "code": error.code, **error.metadata})  # type: ignore[dict-item]


class Office(Told, StateChart[Desk]):
    """Runs one letter, or several."""

    idle = State(initial=True)
    writing = State(invoke=machine(Letter, id="letter", input=first))
    many = State(invoke=machine(Letter, each="letters"))
    settling = State(invoke=machine(Letter, each="letters", join="settle"))
    electing = State(invoke=machine(Letter, each="letters", join="majority"))
    passing = State(invoke=machine(Letter, id="brief", input=first))
    watching = State(invoke=[machine(Letter, id="watched", input=first), activity(dawdle, id="dawdle", exclusive=True)])
    done = State()
    failed = State()
    closed = State(final=True)

    begin = event(idle.to(writing), Work)
    spread = event(idle.to(many), Work)
    settle = event(idle.to(settling), Work)
    elect = event(idle.to(electing), Work)
    touch = event(idle.to(passing), Work)
    past = passing.to(idle)
    tell = event(writing.to.itself(internal=True), str)
    ping = event(writing.to.itself(internal=True), int)
    tell_all = event(many.to.itself(internal=True) | settling.to.itself(internal=True), str)
    pong = event(writing.to.itself(internal=True), int, public=False)
    back = event(writing.to(idle) | many.to(idle) | settling.to(idle) | done.to(idle) | failed.to(idle))
    close = event(writing.to(closed))
    again = event(writing.to(writing))
    done_invoke_letter = writing.to(done)
    error_invoke_letter = writing.to(failed)
    done_invoke_many = many.to(done)
    error_invoke_many = many.to(failed)
    done_invoke_electing = electing.to(done)
    error_invoke_electing = electing.to(failed)
    done_invoke_settling = settling.to(done)
    error_invoke_settling = settling.to(failed)
    error_invoke_brief = passing.to(failed)
    watch = event(idle.to(watching), Work)
    poke = event(watching.to.itself(internal=True))
    done_invoke_watched = watching.to(done)
    error_invoke_watched = watching.to(failed)
    error_invoke_dawdle = watching.to.itself(internal=True)
    error_communication = (
        writing.to.itself(internal=True) | idle.to.itself(internal=True) | many.to.itself(internal=True)
    )

    def on_tell(self, payload: str, effects: Effects) -> None:
        effects.send(payload, to="#_letter")

    def on_ping(self, payload: int, effects: Effects) -> None:
        effects.send("ping", payload, to="#_letter")

    def on_tell_all(self, data: Desk, payload: str, effects: Effects) -> None:
        for place in range(len(data.letters)):
            effects.send(
                payload, to=f"#_many.{place}" if "many" in self.configuration_values else f"#_settling.{place}"
            )

    def on_enter_passing(self) -> None:
        self.send("past")


class DeafOffice(Told, StateChart[Desk]):
    """Runs a letter that runs on to its own children; takes nothing that comes back."""

    writing = State(initial=True, invoke=machine(Letter, id="letter", input=first))
    done = State(final=True)
    failed = State(final=True)

    tell = event(writing.to.itself(internal=True), str)
    done_invoke_letter = writing.to(done)
    error_invoke_letter = writing.to(failed)

    def on_tell(self, payload: str, effects: Effects) -> None:
        effects.send(payload, to="#_letter")

    def on_enter_done(self, data: Desk, result: Any) -> Any:
        return result


class Delegate(Told, StateChart[Desk]):
    """Runs a letter, or several, and takes no failure."""

    idle = State(initial=True)
    writing = State(invoke=machine(Letter, id="letter", input=first))
    many = State(invoke=machine(Letter, each="letters"))
    done = State(final=True)

    begin = event(idle.to(writing), Work)
    spread = event(idle.to(many), Work)
    tell = event(writing.to.itself(internal=True), str)
    tell_all = event(many.to.itself(internal=True), str)
    done_invoke_letter = writing.to(done)
    done_invoke_many = many.to(done)

    def on_tell(self, payload: str, effects: Effects) -> None:
        effects.send(payload, to="#_letter")

    def on_tell_all(self, payload: str, effects: Effects) -> None:
        effects.send(payload, to="#_many.1")


class Ministry(Told, StateChart[Desk]):
    """Runs an office, which runs a letter."""

    idle = State(initial=True)
    ruling = State(invoke=machine(DeafOffice, id="office", input=first))
    done = State(final=True)
    failed = State(final=True)

    begin = event(idle.to(ruling), Work)
    back = event(ruling.to(idle))
    done_invoke_office = ruling.to(done)
    error_invoke_office = ruling.to(failed)


class Note(BaseModel):
    to: str
    event: str = "ping"
    number: Any = 0
    after: float = 0
    chart: str = "Friend"


class FriendData(BaseModel):
    heard: list[int] = []
    back: list[Any] = []
    left: int = 0


@durable()
class Friend(StateChart[FriendData]):
    """Writes to others by their keys, and answers."""

    there = State(initial=True)
    asleep = State()
    gone = State(final=True)

    write = event(there.to.itself(internal=True), Note)
    write_many = event(there.to.itself(internal=True), Note)
    rally = event(there.to.itself(internal=True), Note)
    ping = event(there.to.itself(internal=True), int)
    ball = event(there.to.itself(internal=True), dict[str, Any])
    sleep = event(there.to(asleep))
    wake = event(asleep.to(there))
    story = event(there.to.itself(internal=True), int)
    shut_ears = event(asleep.to.itself(internal=True))
    go = event(there.to(gone))
    stumble = event(there.to.itself(internal=True))
    secret = event(there.to.itself(internal=True), public=False)
    error_communication = there.to.itself(internal=True) | asleep.to.itself(internal=True)

    defer(asleep, "story")

    def on_write(self, payload: Note, effects: Effects) -> None:
        delay = timedelta(seconds=payload.after)
        effects.send(payload.event, payload.number, to=(payload.chart, payload.to), after=delay, id="note")

    def on_write_many(self, payload: Note, effects: Effects) -> None:
        for number in range(int(payload.number)):
            effects.send("ping", number, to=(Friend, payload.to))

    def on_rally(self, payload: Note, effects: Effects) -> None:
        effects.send("ball", {"left": payload.number}, to=(Friend, payload.to))

    def on_ping(self, data: FriendData, payload: int) -> None:
        data.heard.append(payload)

    def on_story(self, payload: int, effects: Effects, event: Any) -> None:
        effects.send("ping", payload, to=event.sender)

    def on_shut_ears(self, effects: Effects) -> None:
        effects.refuse("story", "No stories tonight.")

    def on_stumble(self) -> None:
        raise ValueError("no way")

    def on_ball(self, data: FriendData, payload: dict[str, Any], effects: Effects, event: Any) -> None:
        data.heard.append(payload["left"])
        if payload["left"]:
            effects.send("ball", {"left": payload["left"] - 1}, to=event.sender)

    def on_error_communication(self, data: FriendData, error: Failure) -> None:
        data.back.append({"type": error.type, "message": error.message, "code": error.code, **error.metadata})  # type: ignore[dict-item]


@durable()
class Deaf(StateChart[FriendData]):
    """Writes to others, and takes nothing that comes back."""

    there = State(initial=True)
    gone = State(final=True)
    write = event(there.to.itself(internal=True), Note)
    go = event(there.to(gone))

    def on_write(self, payload: Note, effects: Effects) -> None:
        effects.send(payload.event, payload.number, to=(payload.chart, payload.to))


class Table(BaseModel):
    name: str = ""
    result: Any = None

    def remember(self, name: str) -> None:
        self.name = name

    def keep(self, result: Any) -> None:
        self.result = result


PostRoom = TransitionsConfig(
    name="PostRoom",
    states=["idle", "writing", {"name": "done"}, {"name": "failed"}],
    initial="idle",
    transitions=[
        {"trigger": "begin", "source": "idle", "dest": "writing", "before": "remember"},
        {"trigger": "done_invoke_writing", "source": "writing", "dest": "done", "before": "keep"},
        {"trigger": "error_invoke_writing", "source": "writing", "dest": "failed"},
    ],
    model=Table,
    machines={"writing": machine(Letter, input=("name",))},
)


def postman() -> restate.VirtualObject:
    """Brings letters that a test has written; its keys are addresses."""
    service = restate.VirtualObject("Postman")
    serde = BytesSerde()

    async def bring(ctx: restate.ObjectContext, body: bytes) -> bytes:
        chart, _, key = ctx.key().partition("/")
        return await ctx.generic_call(chart, "_mail", body, key=key)

    service.handler("bring", accept="*/*", input_serde=serde, output_serde=serde)(bring)
    return service


app = restate.app(
    [*services(Office, Ministry, Delegate, Friend, Deaf, PostRoom, Path(__file__).parent / "shop.scxml"), postman()],
    journal_value_codec=Settings.from_environment().journal_codec,
)
letters_app = durable_fsm.app(Letter)


@durable(name="Strange")
class Stranger(StateChart[FriendData]):
    """One that the other application does not know."""

    there = State(initial=True)
    ping = event(there.to.itself(internal=True), int)

    def on_ping(self, data: FriendData, payload: int) -> None:
        data.heard.append(payload)


strange_app = durable_fsm.app(Stranger)
