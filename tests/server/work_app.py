"""Charts with activities that are stopped, time out, have inputs or wait for external answers; the fixture `bench`.

`WORK_BUILD` says which build of the chart `Report` and of its activity this process serves.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from decimal import Decimal

import httpx
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import (
    ActivityContext,
    Failure,
    Retry,
    TerminalError,
    TransitionsConfig,
    activity,
    app,
    event,
)
from durable_fsm.testing import effect
from durable_fsm.testing.effects import URL_VARIABLE
from tests.server.failing_charts import Adding

BUILD = os.environ.get("WORK_BUILD", "1")
"""Which build of `Report` this is: the second has one more state, and one more step at the end of its activity."""

SHORT = timedelta(milliseconds=400)
DAYS = timedelta(days=3)
QUICKLY = Retry(attempts=3, initial=timedelta(milliseconds=50))


async def have_effect(name: str, key: str) -> str:
    """Have an effect without blocking a thread, so that it can be stopped."""
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=600) as client:
        answer = await client.post(f"{os.environ[URL_VARIABLE]}/effects", json={"name": name, "key": key})
    answer.raise_for_status()
    return f"done {name}"


class Work(BaseModel):
    effect: str = ""
    """Name of the effects that the activity has."""
    url: str = ""
    """Where the activity holds a connection open."""
    cents: int = 0
    price: Decimal = Decimal("1.5")
    result: str = ""
    error: dict[str, object] = {}


class Task(BaseModel):
    effect: str = ""
    url: str = ""
    cents: int = 0


class Bench(StateChart[Work]):
    """The base of all charts in this file."""

    def before_transition(self, data: Work, payload: object) -> None:
        if isinstance(payload, Task):
            data.effect, data.url, data.cents = payload.effect, payload.url, payload.cents
            data.result, data.error = "", {}

    def after_transition(self, data: Work, payload: object) -> None:
        if isinstance(payload, Failure):
            error = payload
            data.error = {
                "type": error.type, "message": error.message, "code": error.code, "metadata": error.metadata,
            }  # fmt: skip
        elif isinstance(payload, str | int | dict | list):
            data.result = str(payload)


# ── what is held, and given back ──────────────────────────────────────────────────────────────────────────────────────


async def hold_connection(url: str, name: str) -> str:
    """Wait for an answer that never comes; tell when the connection is given back."""
    try:
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=600) as client:
            answer = await client.get(url)
        return answer.text
    finally:
        await have_effect(f"{name}-cleaned", "cleaned")


async def hold_child(name: str) -> int:
    """Run a child process; it ends with the step."""
    child = await asyncio.create_subprocess_exec("sleep", "600")
    try:
        await have_effect(name, str(child.pid))
        return await child.wait()
    finally:
        child.kill()
        await child.wait()


async def connect(ctx: ActivityContext, data: Work) -> str:
    """Hold a connection in a step, and tidy up afterwards, durably."""
    try:
        return await ctx.run("connect", hold_connection, data.url, data.effect)
    finally:
        await ctx.run("tidy", have_effect, f"{data.effect}-tidied", "tidied")
        await ctx.run("sweep", have_effect, f"{data.effect}-tidied", "swept")


async def breed(ctx: ActivityContext, data: Work) -> int:
    """Hold a child process in a step."""
    return await ctx.run("breed", hold_child, data.effect)


async def one_step(data: Work) -> str:
    """Hold a connection, as one step."""
    return await hold_connection(data.url, data.effect)


def block(data: Work) -> int:
    """Block a thread until the effect is let go."""
    return effect(data.effect, "thread")


class Holding(Bench):
    """Holds what must be given back, in the background or exclusively."""

    idle = State(initial=True)
    connected = State(invoke=activity(connect, deadline=timedelta(minutes=5)))
    bred = State(invoke=activity(breed))
    simple = State(invoke=activity(one_step))
    expiring = State(invoke=activity(one_step, deadline=SHORT))
    alone = State(invoke=activity(connect, exclusive=True))
    breeding_alone = State(invoke=activity(breed, exclusive=True))
    blocked = State(invoke=activity(block, exclusive=True))
    over = State()
    failed = State()

    connect = event(idle.to(connected), Task)
    breed = event(idle.to(bred), Task)
    do_simply = event(idle.to(simple), Task)
    expire = event(idle.to(expiring), Task)
    connect_alone = event(idle.to(alone), Task)
    breed_alone = event(idle.to(breeding_alone), Task)
    block = event(idle.to(blocked), Task)
    leave = event(connected.to(idle) | bred.to(idle) | simple.to(idle))
    again = event(failed.to(idle) | over.to(idle))
    done_invoke_alone = alone.to(over)
    done_invoke_blocked = blocked.to(over)
    error_invoke_connected = connected.to(failed)
    error_invoke_bred = bred.to(failed)
    error_invoke_simple = simple.to(failed)
    error_invoke_expiring = expiring.to(failed)
    error_invoke_alone = alone.to(failed)
    error_invoke_breeding_alone = breeding_alone.to(failed)
    error_invoke_blocked = blocked.to(failed)


# ── what is given, and how long it may take ───────────────────────────────────────────────────────────────────────────


class CardDeclined(Exception):
    """No other attempt will help."""


async def tell(given: object) -> str:
    """Say what was given."""
    return repr(given)


async def tell_in_steps(ctx: ActivityContext, given: object) -> str:
    """Say what was given, in a step of its own."""
    return await ctx.run("tell", tell, given)


async def tell_twice(ctx: ActivityContext, cents: int) -> str:
    """Say what was given, before and after something happens."""
    await ctx.run("have", have_effect, f"given-{cents}", ctx.stable_id)
    return str(cents)


def doubled(data: Work) -> dict[str, object]:
    return {"cents": data.cents * 2, "price": data.price}


def impossible(data: Work) -> int:
    return data.cents // 0


async def dawdle(data: Work) -> None:
    """Take too long, and say so when it is over."""
    try:
        await have_effect(data.effect, "begun")
        await asyncio.sleep(600)
    finally:
        await have_effect(f"{data.effect}-cleaned", "cleaned")


def dawdle_in_a_thread(data: Work) -> None:
    effect(data.effect, "begun")
    time.sleep(2)


async def dawdle_once(data: Work) -> str:
    """Take too long the first time only."""
    if await have_effect(data.effect, "begun") and not os.environ.get("DAWDLED"):
        os.environ["DAWDLED"] = "yes"
        await asyncio.sleep(600)
    return "in time"


async def decline(data: Work) -> None:
    await have_effect(data.effect, "asked")
    raise CardDeclined("no credit")


async def refuse(ctx: ActivityContext, data: Work) -> None:
    raise TerminalError("this cannot work", code=418, metadata={"reason": "teapot"})


class Given(Bench):
    """Activities that receive something else than the data, have little time, or give up."""

    idle = State(initial=True)
    field = State(invoke=activity(tell, id="field", input="cents"))
    fields = State(invoke=activity(tell_in_steps, id="fields", input=("cents", "effect")))
    function = State(invoke=activity(tell, id="function", input=doubled))
    lonely = State(invoke=activity(tell_twice, id="lonely", input="cents", exclusive=True))
    changing = State(invoke=activity(tell_twice, id="changing", input="cents"))
    broken = State(invoke=activity(tell, id="broken", input=impossible))
    slow = State(invoke=activity(dawdle, timeout=SHORT, retry=QUICKLY))
    slow_thread = State(invoke=activity(dawdle_in_a_thread, timeout=SHORT, retry=Retry(attempts=2, initial=SHORT)))
    slow_once = State(invoke=activity(dawdle_once, timeout=SHORT, retry=QUICKLY))
    impatient = State(
        invoke=activity(dawdle, id="impatient", timeout=SHORT, retry=Retry(give_up_on=(TimeoutError, CardDeclined)))
    )
    declined = State(invoke=activity(decline, retry=Retry(give_up_on=(CardDeclined,))))
    refused = State(invoke=activity(refuse, exclusive=True))
    over = State(final=True)
    failed = State(final=True)

    try_field = event(idle.to(field), Task)
    try_fields = event(idle.to(fields), Task)
    try_function = event(idle.to(function), Task)
    try_lonely = event(idle.to(lonely), Task)
    try_changing = event(idle.to(changing), Task)
    try_broken = event(idle.to(broken), Task)
    try_slow = event(idle.to(slow), Task)
    try_slow_thread = event(idle.to(slow_thread), Task)
    try_slow_once = event(idle.to(slow_once), Task)
    try_impatient = event(idle.to(impatient), Task)
    try_declined = event(idle.to(declined), Task)
    try_refused = event(idle.to(refused), Task)
    change = event(changing.to.itself(internal=True), Task)
    done_invoke_field = field.to(over)
    done_invoke_fields = fields.to(over)
    done_invoke_function = function.to(over)
    done_invoke_lonely = lonely.to(over)
    done_invoke_changing = changing.to(over)
    done_invoke_slow_once = slow_once.to(over)
    error_invoke_slow = slow.to(failed)
    error_invoke_slow_thread = slow_thread.to(failed)
    error_invoke_slow_once = slow_once.to(failed)
    error_invoke_impatient = impatient.to(failed)
    error_invoke_declined = declined.to(failed)
    error_invoke_refused = refused.to(failed)
    error_execution = (
        broken.to(failed) | field.to(failed) | fields.to(failed) | function.to(failed) | lonely.to(failed)
        | changing.to(failed)
    )  # fmt: skip


class Price(BaseModel):
    cents: int = 0
    label: str = ""

    def take(self, cents: int) -> None:
        self.cents = cents

    def keep(self, result: str) -> None:
        self.label = result


def price(cents: int) -> str:
    return f"{cents} cents"


Priced = TransitionsConfig(
    name="Priced",
    states=["idle", "pricing", "priced"],
    initial="idle",
    transitions=[
        {"trigger": "ask", "source": "idle", "dest": "pricing", "before": "take"},
        {"trigger": "done_invoke_pricing", "source": "pricing", "dest": "priced", "before": "keep"},
        {"trigger": "error_invoke_pricing", "source": "pricing", "dest": "idle"},
    ],
    model=Price,
    activities={"pricing": activity(price, input="cents", timeout=timedelta(seconds=30))},
)


# ── who answers from outside ──────────────────────────────────────────────────────────────────────────────────────────


async def wait_for_signature(ctx: ActivityContext, data: Work) -> object:
    """Wait for a signature."""
    return await ctx.callback("signature", timeout=DAYS)


async def wait_briefly(ctx: ActivityContext, data: Work) -> object:
    """Wait for a signature that does not come."""
    return await ctx.callback("signature", timeout=SHORT)


async def ask_two(ctx: ActivityContext, data: Work) -> list[object]:
    """Send the id of one callback away, and wait for two."""
    first, second = ctx.callback("first"), ctx.callback("second")
    await ctx.run("ask", have_effect, data.effect, first.id)
    return [await first, await second]


class Signing(Bench):
    """Waits for people."""

    idle = State(initial=True)
    waiting = State(invoke=activity(wait_for_signature, deadline=None))
    alone = State(invoke=activity(wait_for_signature, exclusive=True))
    hurried = State(invoke=activity(wait_briefly))
    two = State(invoke=activity(ask_two))
    over = State(final=True)
    failed = State(final=True)

    wait = event(idle.to(waiting), Task)
    wait_alone = event(idle.to(alone), Task)
    hurry = event(idle.to(hurried), Task)
    ask_two = event(idle.to(two), Task)
    leave = event(waiting.to(idle))
    done_invoke_waiting = waiting.to(over)
    done_invoke_alone = alone.to(over)
    done_invoke_two = two.to(over)
    error_invoke_waiting = waiting.to(failed)
    error_invoke_alone = alone.to(failed)
    error_invoke_hurried = hurried.to(failed)
    error_invoke_two = two.to(failed)


# ── what is deployed anew meanwhile ───────────────────────────────────────────────────────────────────────────────────


async def write_report(ctx: ActivityContext, data: Work) -> str:
    """Have an effect, wait for approval, have another; the second build has one more."""
    begun = await ctx.run("begin", have_effect, f"{data.effect}-begun", BUILD)
    approved = await ctx.callback("approval", timeout=DAYS)
    ended = await ctx.run("end", have_effect, f"{data.effect}-ended", BUILD)
    if BUILD != "1":
        await ctx.run("archive", have_effect, f"{data.effect}-archived", BUILD)
    return f"{begun}, {approved}, {ended} by build {BUILD}"


if BUILD == "1":

    class Report(Bench):
        """The first build."""

        idle = State(initial=True)
        writing = State(invoke=activity(write_report))
        written = State(final=True)
        failed = State(final=True)

        write = event(idle.to(writing), Task)
        done_invoke_writing = writing.to(written)
        error_invoke_writing = writing.to(failed)

else:

    class Report(Bench):  # type: ignore[no-redef]
        """The second build: one more state, where reports go now."""

        idle = State(initial=True)
        writing = State(invoke=activity(write_report))
        archived = State()
        written = State(final=True)
        failed = State(final=True)

        write = event(idle.to(writing), Task)
        done_invoke_writing = writing.to(archived)
        publish = event(archived.to(written))
        error_invoke_writing = writing.to(failed)


CHARTS = (Holding, Given, Priced, Signing, Report, Adding)

work_app = app(*CHARTS)
