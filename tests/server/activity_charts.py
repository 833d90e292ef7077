"""Charts with activities, for the application in `charts.py`.

An activity does what it does to the test's effect log. The names of effects come from the machine's data, so that tests
that share a log do not meet.
"""

from __future__ import annotations

import os
from datetime import timedelta

import httpx
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Effects, Failure, Retry, TerminalError, activity, after, durable, event
from durable_fsm.testing import EffectRefused, effect
from durable_fsm.testing.effects import URL_VARIABLE

BROKEN = os.environ.get("CHARTS_BROKEN", "")
"""How `Fragile` fails to reach its end, in a deployment with a mistake: `raises`, or makes itself `too large`."""

VERSION = os.environ.get("CHARTS_VERSION", "1")
"""Version of `Fragile`: a deployment that does not know the snapshots of the one before."""

SHORT = timedelta(milliseconds=400)
SECOND = timedelta(seconds=1)
QUICKLY = Retry(attempts=3, initial=timedelta(milliseconds=50))


class Work(BaseModel):
    effect: str = ""
    """Name of the effect that the activity has."""
    result: str | None = None
    error: str | None = None
    rounds: int = 0


class Task(BaseModel):
    effect: str


async def have_effect(name: str, key: str) -> str:
    """Have an effect without blocking a thread, so that it can be stopped."""
    body = {"name": name, "key": key}
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=600) as client:
        answer = await client.post(f"{os.environ[URL_VARIABLE]}/effects", json=body)
    if answer.is_error:
        raise EffectRefused(name=name, key=key, status=answer.status_code)
    return f"done {name}"


async def charge(ctx: ActivityContext, data: Work) -> str:
    """Have the effect once; it is retried a few times."""
    return await ctx.run("charge", have_effect, data.effect, ctx.stable_id)


class Order(StateChart[Work]):
    """An order whose payment is a background activity: orders stay responsive while they are charged."""

    cart = State(initial=True)
    charging = State(invoke=activity(charge, retry=QUICKLY))
    paid = State()
    on_hold = State()
    cancelled = State(final=True)
    shipped = State(final=True)

    checkout = event(cart.to(charging), Task)
    charge_again = event(charging.to.itself())
    done_invoke_charging = charging.to(paid)
    error_invoke_charging = charging.to(on_hold)
    back = event(charging.to(cart) | on_hold.to(cart) | paid.to(cart))
    note = event(charging.to.itself(internal=True))
    cancel_order = event(charging.to(cancelled) | on_hold.to(cancelled))
    ship = event(paid.to(shipped))

    def on_checkout(self, data: Work, payload: Task) -> None:
        data.effect = payload.effect
        data.rounds += 1

    def on_done_invoke_charging(self, data: Work, result: str) -> None:
        data.result = result

    def on_error_invoke_charging(self, data: Work, error: Failure) -> None:
        data.error = f"{error.type}: {error.message}"


async def open_door(ctx: ActivityContext, data: Work) -> str:
    """Have the effect once, while everybody waits."""
    return await ctx.run("open", have_effect, data.effect, ctx.stable_id)


class Door(StateChart[Work]):
    """A door that opens slowly, in an exclusive activity; later events wait and are taken afterwards."""

    shut = State(initial=True)
    opening = State(invoke=activity(open_door, exclusive=True, retry=QUICKLY))
    opened = State()
    stuck = State()

    push = event(shut.to(opening) | stuck.to(opening), Task)
    done_invoke_opening = opening.to(opened)
    error_invoke_opening = opening.to(stuck)
    walk_through = event(opened.to.itself(internal=True))
    close = event(opened.to(shut))

    def on_push(self, data: Work, payload: Task) -> None:
        data.effect = payload.effect
        data.rounds += 1

    def on_done_invoke_opening(self, data: Work, result: str) -> None:
        data.result = result

    def on_error_invoke_opening(self, data: Work, error: Failure) -> None:
        data.error = f"{error.type}: {error.message}"

    def on_walk_through(self, data: Work) -> str:
        return "through"


class Vault(StateChart[Work]):
    """Exclusive work inside a state that has a timer of its own."""

    shut = State(initial=True)
    outside = State()

    class trying(State.Compound):
        opening = State(initial=True, invoke=activity(open_door, exclusive=True))
        opened = State()
        stuck = State()
        done_invoke_opening = opening.to(opened)
        error_invoke_opening = opening.to(stuck)
        knock = event(stuck.to.itself(internal=True) | opened.to.itself(internal=True))

    push = event(shut.to(trying), Task)
    leave = after(SECOND, trying.to(outside))
    come_back = event(outside.to(shut))

    def on_push(self, data: Work, payload: Task) -> None:
        data.effect = payload.effect


async def give_up(data: Work) -> None:
    """Fail for good after one effect."""
    await have_effect(data.effect, "once")
    raise TerminalError("this cannot work", code=418, metadata={"reason": "teapot"})


async def never_end(ctx: ActivityContext, data: Work) -> None:
    """Wait for longer than any deadline."""
    await ctx.run("begin", have_effect, data.effect, ctx.stable_id)
    await ctx.sleep(timedelta(days=2))


def in_a_thread(data: Work) -> int:
    """A plain function that blocks."""
    return effect(data.effect, "thread")


async def two_steps(ctx: ActivityContext, data: Work) -> str:
    """Each step is done once, whatever happens in between."""
    first = await ctx.run("first", have_effect, f"{data.effect}-first", ctx.stable_id)
    second = await ctx.run("second", have_effect, f"{data.effect}-second", ctx.stable_id)
    return f"{first}, {second}"


async def nothing(data: Work) -> int:
    """Return what is false, and not None."""
    return 0


async def unspeakable(data: Work) -> str:
    """Return what no JSON text can hold."""
    return "half a character: \ud83d"


class Unspeakable(Exception):
    """Cannot be put into words."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


async def fail_unspeakably(data: Work) -> None:
    raise TerminalError("half \ud83d", metadata={"what": object()})


async def fail_without_words(data: Work) -> None:
    await have_effect(data.effect, "wordless")
    raise Unspeakable


class Workshop(StateChart[Work]):
    """One bench for each kind of work."""

    idle = State(initial=True)
    hopeless = State(invoke=activity(give_up, retry=QUICKLY))
    late = State(invoke=activity(never_end, deadline=SHORT))
    threaded = State(invoke=activity(in_a_thread, retry=QUICKLY))
    stepping = State(invoke=activity(two_steps))
    careless = State(invoke=activity(charge, retry=QUICKLY))
    speechless = State(invoke=activity(unspeakable, retry=QUICKLY))
    patient = State(invoke=activity(charge, id="patient", retry=Retry(attempts=3, initial=SECOND, factor=1)))
    counting = State(invoke=activity(nothing))
    failing_badly = State(invoke=activity(fail_unspeakably, retry=QUICKLY))
    wordless = State(invoke=activity(fail_without_words, retry=QUICKLY))
    finished = State()

    try_hopeless = event(idle.to(hopeless), Task)
    try_late = event(idle.to(late), Task)
    try_threaded = event(idle.to(threaded), Task)
    try_stepping = event(idle.to(stepping), Task)
    try_careless = event(idle.to(careless), Task)
    try_speechless = event(idle.to(speechless), Task)
    try_patient = event(idle.to(patient), Task)
    try_counting = event(idle.to(counting), Task)
    try_failing_badly = event(idle.to(failing_badly), Task)
    try_wordless = event(idle.to(wordless), Task)
    done_invoke_threaded = threaded.to(finished)
    done_invoke_stepping = stepping.to(finished)
    done_invoke_counting = counting.to(finished)
    done_invoke_speechless = speechless.to(finished)
    leave = event(careless.to(idle))
    error_invoke_hopeless = hopeless.to(finished)
    error_invoke_patient = patient.to(finished)
    error_invoke_late = late.to(finished)
    error_invoke_threaded = threaded.to(finished)
    error_invoke_stepping = stepping.to(finished)
    error_invoke_speechless = speechless.to(finished)
    error_invoke_failing_badly = failing_badly.to(finished)
    error_invoke_wordless = wordless.to(finished)
    again = event(finished.to(idle))

    def before_transition(self, data: Work, payload: object) -> None:
        if isinstance(payload, Task):
            data.effect = payload.effect

    def on_enter_finished(self, data: Work, payload: object) -> None:
        if isinstance(payload, Failure):
            data.error = f"{payload.type}: {payload.message} ({payload.code}, {payload.metadata})"
        else:
            data.result = str(payload)


# ── charts that a deployment breaks ───────────────────────────────────────────────────────────────────────────────────


async def work(ctx: ActivityContext, data: Work) -> str:
    return await ctx.run("work", have_effect, data.effect, ctx.stable_id)


class Ledger(Work):
    notes: list[str] = []


@durable(defer_while_paused=True)
class Patient(StateChart[Ledger]):
    """Defers what is sent to it while it is paused."""

    idle = State(initial=True)
    holding = State(invoke=activity(work, id="patience", exclusive=True))

    write = event(idle.to.itself(internal=True), str)
    forbidden = event(idle.to.itself(internal=True, cond="never"))
    hold = event(idle.to(holding), Task)
    done_invoke_patience = holding.to(idle)
    error_invoke_patience = holding.to(idle)

    def never(self) -> bool:
        return False

    def on_write(self, data: Ledger, payload: str) -> int:
        data.notes.append(payload)
        return len(data.notes)

    def on_hold(self, data: Ledger, payload: Task) -> None:
        data.effect = payload.effect


@durable(version=VERSION)
class Fragile(StateChart[Work]):
    """A deployment may break it, by version or by mistake, and the next one mends it."""

    catch_errors_as_events = False

    idle = State(initial=True)
    working = State(invoke=activity(work))
    holding = State(invoke=activity(work, id="hold", exclusive=True))
    waiting = State()
    done = State(final=True)

    begin = event(idle.to(working), Task)
    hold = event(idle.to(holding), Task)
    wait = event(idle.to(waiting))
    finish = after(SHORT, waiting.to(done))
    done_invoke_working = working.to(done)
    done_invoke_hold = holding.to(done)
    tumble = event(idle.to(waiting))

    def on_begin(self, data: Work, payload: Task) -> None:
        data.effect = payload.effect

    def on_hold(self, data: Work, payload: Task) -> None:
        data.effect = payload.effect

    def on_tumble(self, data: Work, effects: Effects) -> None:
        data.rounds += 1
        effects.send("finish", after=timedelta(hours=1))
        raise ValueError("tumbled \ud83d over")

    def on_enter_done(self, data: Work) -> None:
        data.rounds += 1
        if BROKEN == "raises":
            raise ValueError("this deployment has a mistake")
        if BROKEN == "too large":
            data.result = "x" * (17 * 1024 * 1024)


class Greedy(StateChart[Work]):
    """Begins with an exclusive activity."""

    starting = State(initial=True, invoke=activity(open_door, exclusive=True))
    started = State()
    failed = State(final=True)

    done_invoke_starting = starting.to(started)
    error_invoke_starting = starting.to(failed)
    go_on = event(started.to.itself(internal=True), Task)
    give_up = event(started.to(failed))
