"""The charts that the tests of this directory host, as one application served by a process of its own.

What an activity does, it does to the test's effect log. The names of effects come from the machine's data, so that
tests that share a log do not meet.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import (
    ActivityContext,
    Effects,
    Failure,
    History,
    Retry,
    TerminalError,
    TransitionsConfig,
    activity,
    after,
    app,
    at,
    defer,
    durable,
    event,
    every,
    ignore,
)
from durable_fsm.testing import EffectRefused, effect
from durable_fsm.testing.effects import URL_VARIABLE

BROKEN = os.environ.get("CHARTS_BROKEN", "")
"""How `Fragile` fails to reach its end, in a deployment with a mistake: `raises`, or makes itself `too large`."""

VERSION = os.environ.get("CHARTS_VERSION", "1")
"""Version of `Fragile`: a deployment that does not know the snapshots of the one before."""

SHORT = timedelta(milliseconds=400)
SECOND = timedelta(seconds=1)
QUICKLY = Retry(attempts=3, initial=timedelta(milliseconds=50))


# ── events only ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Count(BaseModel):
    count: int = 0


class Counter(StateChart[Count]):
    """Counts. Nothing is left or entered."""

    counting = State(initial=True)

    increment = event(counting.to.itself(internal=True))

    def on_increment(self, data: Count) -> int:
        data.count += 1
        return data.count


class Ticket(StateChart[Count]):
    """Can be bought once."""

    on_sale = State(initial=True)
    sold = State()
    used = State(final=True)

    buy = event(on_sale.to(sold))
    use = event(sold.to(used))


class PatientTicket(StateChart[Count]):
    """As Ticket, but says nothing to those who come too late."""

    allow_event_without_transition = True

    on_sale = State(initial=True)
    sold = State()
    used = State(final=True)

    buy = event(on_sale.to(sold))
    use = event(sold.to(used))


class Address(BaseModel):
    street: str
    number: int = Field(gt=0)


class Parcel(BaseModel):
    weight: int = Field(gt=0)
    to: Address
    tags: set[str] = set()


class Delivery(StateChart[Parcel]):
    """Cannot begin without data; payloads have a type."""

    packed = State(initial=True)
    sent = State()
    delivered = State(final=True)

    send_off = event(packed.to(sent))
    redirect = event(packed.to.itself(internal=True), Address)
    label = event(packed.to.itself(internal=True), set[str])
    deliver = event(sent.to(delivered))

    def on_redirect(self, data: Parcel, payload: Address) -> None:
        data.to = payload

    def on_label(self, data: Parcel, payload: set[str]) -> list[str]:
        data.tags |= payload
        return sorted(data.tags)


@durable(create_first=True)
class Strict(StateChart[Count]):
    """Could begin by itself, but its author wants `create` first."""

    idle = State(initial=True)
    busy = State()

    begin = event(idle.to(busy))
    end = event(busy.to(idle))


class Review(StateChart[Count]):
    """Two regions, each at its own pace; over when both are."""

    class reviewing(State.Parallel):
        class law(State.Compound):
            law_open = State(initial=True)
            law_done = State(final=True)
            approve_law = event(law_open.to(law_done))

        class money(State.Compound):
            money_open = State(initial=True)
            money_done = State(final=True)
            approve_money = event(money_open.to(money_done))

    accepted = State(final=True)
    done_state_reviewing = reviewing.to(accepted)


class Log(BaseModel):
    log: list[str] = []


class Talkative(StateChart[Log]):
    """Sends itself events: in the same macrostep, in the same turn, and later."""

    quiet = State(initial=True)
    talking = State()

    talk = event(quiet.to(talking))
    hush = event(talking.to(quiet))
    say = event(talking.to.itself(internal=True), str, public=False)

    def on_talk(self, data: Log, effects: Effects) -> None:
        effects.send("say", "sent first")
        effects.send("say", "sent second")
        effects.raise_("say", "raised")
        effects.send("say", "much later", after=SHORT, id="later")
        effects.send("say", "never", after=timedelta(hours=1), id="never")
        effects.cancel("never")

    def on_say(self, data: Log, payload: str) -> None:
        data.log.append(payload)


# ── timers ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Oven(StateChart[Count]):
    """Bakes until its timer fires, unless it is opened before."""

    cold = State(initial=True)
    baking = State()
    baked = State()

    bake = event(cold.to(baking))
    start_again = event(baking.to.itself())
    ready = after(SHORT, baking.to(baked))
    open = event(baking.to(cold) | baked.to(cold))

    def on_ready(self, data: Count) -> None:
        data.count += 1


class Cellar(StateChart[Count]):
    """Several timers at once, all of them long."""

    empty = State(initial=True)
    ageing = State()
    young = State(final=True)
    old = State(final=True)

    fill = event(empty.to(ageing))
    taste = after(timedelta(hours=1), ageing.to(young))
    forget = after(timedelta(days=400), ageing.to(old))
    start_again = event(ageing.to.itself())
    clear = event(ageing.to(empty))


@durable(cancel_timers_over=timedelta(hours=1))
class Forgetful(StateChart[Count]):
    """Does not bother to cancel short timers; they arrive and are dropped."""

    cold = State(initial=True)
    baking = State()
    baked = State()

    bake = event(cold.to(baking))
    ready = after(SHORT, baking.to(baked))
    open = event(baking.to(cold) | baked.to(cold))


# ── activities ────────────────────────────────────────────────────────────────────────────────────────────────────────


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
    async with httpx.AsyncClient(trust_env=False, timeout=600) as client:
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
    """A door that takes its time; whoever comes meanwhile waits, and meets it as it is then."""

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


# ── what breaks ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def work(ctx: ActivityContext, data: Work) -> str:
    return await ctx.run("work", have_effect, data.effect, ctx.stable_id)


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


class Babbler(StateChart[Count]):
    """Answers what no JSON text can hold."""

    idle = State(initial=True)

    babble = event(idle.to.itself(internal=True))
    hum = event(idle.to.itself(internal=True))
    sing = event(idle.to.itself(internal=True))

    def on_babble(self, data: Count) -> str:
        data.count += 1
        return "half a character: \ud83d"

    def on_hum(self, data: Count) -> object:
        data.count += 1
        return object()

    def on_sing(self, data: Count) -> float:
        data.count += 1
        return float("nan")


class Greedy(StateChart[Work]):
    """Begins with an exclusive activity."""

    starting = State(initial=True, invoke=activity(open_door, exclusive=True))
    started = State()
    failed = State(final=True)

    done_invoke_starting = starting.to(started)
    error_invoke_starting = starting.to(failed)
    go_on = event(started.to.itself(internal=True), Task)
    give_up = event(started.to(failed))


class LampData(BaseModel):
    presses: int = 0
    reading: str = ""

    def is_new(self) -> bool:
        return self.presses < 3

    def count(self, by: int = 1) -> int:
        self.presses += by
        return self.presses

    def keep(self, result: str) -> None:
        self.reading = result


def measure(data: LampData) -> str:
    return f"{data.presses} presses"


Lamp = TransitionsConfig(
    name="Lamp",
    states=["off", {"name": "on", "children": ["bright", "dim"], "initial": "bright"}],
    initial="off",
    transitions=[
        {"trigger": "press", "source": "off", "dest": "on", "conditions": "is_new", "before": "count"},
        ["press", "on", "off"],
        ["lower", "on_bright", "on_dim"],
        ["sleep", "on", "off"],
        {"trigger": "done_invoke_on", "source": "on", "dest": None, "before": "keep"},
        {"trigger": "error_invoke_on", "source": "on", "dest": "off"},
    ],
    model=LampData,
    activities={"on": activity(measure)},
    timers={"on": {"sleep": timedelta(seconds=4)}},
)

# ── events that wait, and a record of what was done ───────────────────────────────────────────────────────────────────


class DeskData(BaseModel):
    asked: list[str] = []
    open: bool = True


@durable(ignores=["hum"])
class Desk(StateChart[DeskData]):
    """Takes one request after the other; who comes meanwhile has to wait."""

    free = State(initial=True)
    busy = State()
    closed = State(final=True)

    defer(busy, "ask", "stumble", "hum", "close")
    ignore(busy, "begin")

    begin = event(free.to(busy))
    rest = event(busy.to(free))
    ask = event(free.to.itself(internal=True), str)
    stumble = event(free.to.itself(internal=True))
    forbidden = event(free.to.itself(internal=True, cond="nobody"))
    hum = event(free.to.itself(internal=True, cond="nobody"))
    close = event(free.to(closed))

    def nobody(self) -> bool:
        return False

    def on_ask(self, data: DeskData, payload: str) -> int:
        data.asked.append(payload)
        return len(data.asked)

    def on_stumble(self) -> None:
        raise ValueError("over a chair")


@durable(history=History(entries=40))
class Diary(StateChart[Count]):
    """Keeps a short record."""

    writing = State(initial=True)
    closed = State(final=True)

    write = event(writing.to.itself(internal=True))
    close = event(writing.to(closed))

    def on_write(self, data: Count) -> int:
        data.count += 1
        return data.count


@durable(history=History(entries=None, age=SHORT))
class Fleeting(Diary):
    """Keeps its record for a moment."""


@durable(history=None)
class Silent(Diary):
    """Keeps no record."""


class Alarm(BaseModel):
    seconds: float = 0.4
    at: datetime | None = None
    beats: int = 0


class Clock(StateChart[Alarm]):
    """Timers of every kind."""

    still = State(initial=True)
    ticking = State()
    sleeping = State()
    nagging = State()
    rung = State(final=True)

    begin = event(still.to(ticking))
    stop = event(ticking.to(still))
    nap = event(still.to(sleeping), Alarm)
    rest = event(still.to(nagging))
    touch = event(nagging.to.itself(internal=True))
    tick = every(timedelta(milliseconds=200), ticking.to.itself(internal=True))
    wake = after("nap_time", sleeping.to(rung))
    ring = at(lambda data: data.at, sleeping.to(rung))
    nag = after(SECOND, nagging.to(rung))

    def nap_time(self, data: Alarm) -> timedelta | None:
        return None if data.at is not None else timedelta(seconds=data.seconds)

    def on_tick(self, data: Alarm) -> None:
        data.beats += 1

    def on_nap(self, data: Alarm, payload: Alarm) -> None:
        data.seconds, data.at = payload.seconds, payload.at

    def on_touch(self, effects: Effects) -> None:
        effects.renew("nag")


TURNSTILE = Path(__file__).with_name("turnstile.scxml")


class Kettle(StateChart):
    """Keeps plain attributes, and does its work in a method."""

    cold = State(initial=True)
    heating = State()
    hot = State()

    heat = cold.to(heating)
    done_invoke_heating = heating.to(hot)
    error_invoke_heating = heating.to(cold)
    cool = hot.to(cold)

    def __init__(self) -> None:
        self.litres = 1
        self.seen: set[str] = set()
        super().__init__()

    def on_heat(self, litres: int) -> None:
        self.litres = litres
        self.seen.add("heat")

    async def on_invoke_heating(self) -> str:
        return f"{self.litres} litres"

    def on_done_invoke_heating(self, result: str) -> None:
        self.seen.add(result)


CHARTS = (
    Counter, Ticket, PatientTicket, Delivery, Strict, Review, Talkative, Oven, Cellar, Forgetful, Order, Door, Vault,
    Workshop, Fragile, Babbler, Greedy, Lamp, TURNSTILE, Kettle, Desk, Diary, Fleeting, Silent, Clock,
)  # fmt: skip

charts_app = app(*CHARTS)
