"""A chart whose code raises any kind of exception, at any place where an author's code runs; the fixture `raising`.

An event is named after the place, and its payload names the kind. `PLACES` and `KINDS` are the table.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NoReturn

import restate
from pydantic import BaseModel, ValidationInfo, field_serializer, field_validator
from restate.exceptions import RetryableError
from statemachine import State, StateChart

from durable_fsm import (
    ActivityContext,
    Effects,
    Failure,
    Incoming,
    OldMachine,
    Request,
    Retry,
    TerminalError,
    Webhook,
    activity,
    after,
    app,
    durable,
    event,
    migration,
    undo_all,
)

TWICE = Retry(attempts=2, initial=timedelta(milliseconds=1))


class Own(BaseException):
    """Not an Exception."""


class PanicException(BaseException):
    """What extensions in Rust raise when they panic."""


class Unspeakable(BaseException):
    """Has no words, and ends the process that asks for them."""

    def __str__(self) -> str:
        return sys.exit(4)

    @property
    def metadata(self) -> object:
        sys.exit(4)


class Unfinished(TerminalError):
    """Its base knows nothing of it."""

    def __init__(self) -> None:
        pass


class Unwritable(TerminalError):
    """Its members are of any type."""

    def __init__(self) -> None:
        super().__init__("unwritable", code="teapot", metadata={"it": object()})  # type: ignore[arg-type]


class RestatesUnfinished(restate.TerminalError):
    """The same, of Restate's own error."""

    def __init__(self) -> None:
        pass


class RestatesUnwritable(restate.TerminalError):
    def __init__(self) -> None:
        super().__init__("unwritable", 10**30, {"it": object()})  # type: ignore[dict-item]


KINDS: dict[str, Callable[[], BaseException]] = {
    kind.__name__: kind
    for kind in (
        RuntimeError, ValueError, MemoryError, RecursionError, StopIteration, StopAsyncIteration, SystemExit,
        KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Own, PanicException, Unspeakable, Unfinished,
        Unwritable, RestatesUnfinished, RestatesUnwritable,
    )
}  # fmt: skip
KINDS["BaseExceptionGroup"] = lambda: BaseExceptionGroup("several", [SystemExit(1), ValueError()])
KINDS["RetryableError"] = lambda: RetryableError("later")


def fail(kind: str) -> NoReturn:
    error = KINDS[kind]()
    raise error


class Kind(BaseModel):
    kind: str = ""


class Picky(BaseModel):
    """A payload whose validator raises."""

    inner: list[Kind] = []
    kind: str = ""

    @field_validator("kind")
    @classmethod
    def check(cls, kind: str) -> str:
        return fail(kind)


class Nested(BaseModel):
    """The same, further down."""

    items: list[Picky]


class Data(BaseModel):
    kind: str = ""
    error: str = ""
    on_load: str = ""
    on_dump: str = ""

    @field_validator("on_load")
    @classmethod
    def check(cls, kind: str, info: ValidationInfo) -> str:
        return fail(kind) if kind else kind

    @field_serializer("on_dump")
    def write(self, kind: str) -> str:
        return fail(kind) if kind else kind


class Endless:
    """A reply that raises when it is read."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __iter__(self) -> Iterator[str]:
        fail(self.kind)

    def model_dump(self, **_: object) -> dict[str, Any]:
        fail(self.kind)


# ── activities ────────────────────────────────────────────────────────────────────────────────────────────────────────


def plain(data: Data) -> None:
    fail(data.kind)


async def coroutine(data: Data) -> None:
    await asyncio.sleep(0)
    fail(data.kind)


async def step(ctx: ActivityContext, data: Data) -> None:
    await ctx.run("fail", fail, data.kind)


async def coroutine_step(ctx: ActivityContext, data: Data) -> None:
    await ctx.run("fail", coroutine, data)


async def bare(ctx: ActivityContext, data: Data) -> None:
    await ctx.run("first", str)
    fail(data.kind)


async def bare_task(ctx: ActivityContext, data: Data) -> None:
    """An exception of a task that the author made."""
    task = asyncio.create_task(ctx.run("first", str))
    await task
    fail(data.kind)


async def cleaning(ctx: ActivityContext, data: Data) -> None:
    """Fail in the clean-up after a failure."""
    try:
        await ctx.run("fail", fail, data.kind)
    finally:
        fail(data.kind)


def item(one: dict[str, str]) -> None:
    fail(one["kind"])


async def bare_item(ctx: ActivityContext, one: dict[str, str]) -> None:
    fail(one["kind"])


def booked(data: Data) -> str:
    return "done"


async def unbook(ctx: ActivityContext, data: Data) -> None:
    fail(data.kind)


def unbook_plainly(data: Data) -> None:
    fail(data.kind)


def errand(given: dict[str, str]) -> None:
    fail(given["kind"])


def two_items(data: Data) -> list[dict[str, str]]:
    return [{"kind": data.kind}] * 2


def failing_items(data: Data) -> list[object]:
    fail(data.kind)


def failing_input(data: Data) -> object:
    fail(data.kind)


def failing_time(data: Data) -> timedelta:
    fail(data.kind)


def pause(data: Data) -> None:
    time.sleep(0.1)


def hang(data: Data) -> None:
    threading.Event().wait()


WORK: dict[str, Any] = {
    "plain": activity(plain, retry=TWICE),
    "coroutine": activity(coroutine, retry=TWICE),
    "step": activity(step, retry=TWICE),
    "coroutine_step": activity(coroutine_step, retry=TWICE),
    "bare": activity(bare),
    "bare_task": activity(bare_task),
    "cleaning": activity(cleaning, retry=TWICE),
    "exclusive_plain": activity(plain, retry=TWICE, exclusive=True),
    "exclusive_step": activity(step, retry=TWICE, exclusive=True),
    "exclusive_bare": activity(bare, exclusive=True),
    "item": activity(item, retry=TWICE, each=two_items),
    "bare_item": activity(bare_item, each=two_items),
}
"""The activities that raise, by place."""

GIVEN: dict[str, Any] = {
    "input": activity(booked, input=failing_input),
    "items": activity(booked, each=failing_items),
}
"""The activities that do not begin, because what they are given raises."""


# ── the chart ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def decoded(request: Request) -> Incoming:
    fail(request.body.decode())


def checked(request: Request) -> bool:
    fail(request.body.decode())


def of_yesterday(machine: OldMachine) -> None:
    fail(machine.data["kind"])


class Raising(StateChart[Data]):
    """Calm, until an event asks it to fail."""

    calm = State(initial=True)
    entered = State()
    timed = State()
    booking = State(invoke=activity(booked, undo=unbook, undo_retry=TWICE, id="booking"))
    plainly = State(invoke=activity(booked, undo=unbook_plainly, undo_retry=TWICE, id="plainly"))
    undoing = State(invoke=undo_all("booking"))
    undoing_plainly = State(invoke=undo_all("plainly", exclusive=True))
    undone = State()
    pausing = State(invoke=activity(pause, retry=Retry(attempts=1), timeout=timedelta(seconds=1)))
    hanging = State(invoke=activity(hang, retry=Retry(attempts=1), timeout=timedelta(milliseconds=100)))

    ping = event(calm.to.itself(internal=True) | undone.to(calm) | entered.to(calm))
    where = event(calm.to.itself(internal=True))
    guard = event(calm.to.itself(cond="failing"), Kind)
    validator = event(calm.to.itself(validators="failing"), Kind)
    action = event(calm.to.itself(internal=True, on="failing"), Kind)
    before = event(calm.to.itself(before="failing"), Kind)
    after_all = event(calm.to.itself(after="failing"), Kind)
    entry = event(calm.to(entered), Kind)
    reply = event(calm.to.itself(internal=True, on="endless"), Kind)
    payload = event(calm.to.itself(internal=True), Picky)
    nested = event(calm.to.itself(internal=True), Nested)
    leave_unreadable = event(calm.to.itself(internal=True), Kind)
    leave_unwritable = event(calm.to.itself(internal=True), Kind)
    timer = event(calm.to(timed), Kind)
    started = event(calm.to.itself(internal=True), Kind)
    pause = event(calm.to(pausing), Kind)
    done_invoke_pausing = pausing.to(calm)
    error_invoke_pausing = pausing.to(calm)
    hang = event(calm.to(hanging), Kind)
    done_invoke_hanging = hanging.to(calm)
    error_invoke_hanging = hanging.to(calm)
    undo = event(calm.to(booking), Kind)
    undo_plainly = event(calm.to(plainly), Kind)
    done_invoke_booking = booking.to(undoing)
    error_invoke_booking = booking.to(calm)
    done_invoke_plainly = plainly.to(undoing_plainly)
    error_invoke_plainly = plainly.to(calm)
    error_invoke_undoing = undoing.to(undone)
    error_invoke_undoing_plainly = undoing_plainly.to(undone)
    error_invoke_errand = calm.to.itself(internal=True)

    tick = after(failing_time, timed.to(calm))

    for place, work in {**WORK, **GIVEN}.items():
        at = State(invoke=work)
        vars()[f"at_{place}"] = at
        vars()[place] = event(calm.to(at), Kind)
        vars()[f"done_invoke_at_{place}"] = at.to(calm)
        vars()[f"error_invoke_at_{place}"] = at.to(calm)
    del place, work, at

    def on_where(self) -> int:
        return os.getpid()

    def before_transition(self, data: Data, payload: object) -> None:
        if isinstance(payload, Kind):
            data.kind = payload.kind
        elif isinstance(payload, Failure):
            data.error = payload.type

    def failing(self, payload: Kind) -> bool:
        return fail(payload.kind)

    def endless(self, payload: Kind) -> object:
        return Endless(payload.kind)

    def on_enter_entered(self, payload: Kind) -> None:
        fail(payload.kind)

    def on_leave_unreadable(self, data: Data, payload: Kind) -> None:
        data.on_load = payload.kind

    def on_leave_unwritable(self, data: Data, payload: Kind) -> None:
        data.on_dump = payload.kind

    def on_started(self, payload: Kind, effects: Effects) -> None:
        effects.start("errand", {"kind": payload.kind})


WEBHOOKS = [Webhook("decoder", decode=decoded, signature=None), Webhook("check", decode=decoded, signature=checked)]

durable(
    version="2",
    work=[activity(errand, retry=TWICE, id="errand")],
    webhooks=WEBHOOKS,
    migrations=[migration("1", to="2", change=of_yesterday)],
)(Raising)

app_that_raises = app(Raising)
