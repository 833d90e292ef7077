"""The charts that most tests of this directory host, as one application served by a process of its own.

Those with activities are in `activity_charts.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import (
    Effects,
    History,
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
from tests.server.activity_charts import Door, Fragile, Greedy, Order, Patient, Vault, Workshop
from tests.server.data_charts import OF_DATA
from tests.server.ticking_charts import TICKING

SHORT = timedelta(milliseconds=400)
SECOND = timedelta(seconds=1)


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
    lecture = event(quiet.to(talking))
    hush = event(talking.to(quiet))
    say = event(talking.to.itself(internal=True), str, public=False)

    def on_talk(self, effects: Effects) -> None:
        self.say_much(effects, SHORT)

    def on_lecture(self, effects: Effects) -> None:
        self.say_much(effects, timedelta(hours=1))

    def say_much(self, effects: Effects, later: timedelta) -> None:
        effects.send("say", "sent first")
        effects.send("say", "sent second")
        effects.raise_("say", "raised")
        effects.send("say", "much later", after=later, id="later")
        effects.send("say", "never", after=timedelta(hours=1), id="never")
        effects.cancel("never")

    def on_say(self, data: Log, payload: str) -> None:
        data.log.append(payload)


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


# ── deferred events, and the history ──────────────────────────────────────────────────────────────────────────────────


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


@durable(defer_for=SHORT)
class HurriedDesk(StateChart[DeskData]):
    """Lets nobody wait for long."""

    free = State(initial=True)
    busy = State()

    defer(busy, "ask")

    begin = event(free.to(busy))
    rest = event(busy.to(free))
    ask = event(free.to.itself(internal=True), str)

    def on_ask(self, data: DeskData, payload: str) -> None:
        data.asked.append(payload)


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


class Notes(BaseModel):
    notes: dict[str, str] = {}
    last: list[str] = []


@durable(history=History(record=True))
class Logbook(StateChart[Notes]):
    """Keeps a record that has all."""

    writing = State(initial=True)
    reading = State(final=True)

    note = event(writing.to.itself(internal=True), dict[str, str])
    close = writing.to(reading)

    def on_note(self, data: Notes, payload: dict[str, str]) -> None:
        data.notes |= payload
        data.last = [*data.last[-1:], *payload]


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


# ── other ways to define a chart ──────────────────────────────────────────────────────────────────────────────────────


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


class Presence(BaseModel):
    came: datetime | None = None
    left: datetime | None = None
    told: datetime | None = None


@durable(clock=True)
class TimeCard(StateChart[Presence]):
    """Records when its person comes and leaves; both are times that callbacks decide by."""

    away = State(initial=True)
    here = State()

    come = event(away.to(here))
    leave = event(here.to(away, cond="later"))

    def later(self, data: Presence, event: Any) -> bool:
        return bool(event.at > data.came)

    def on_come(self, data: Presence, event: Any, effects: Effects) -> None:
        data.came = event.at
        effects.raise_("told")

    def on_leave(self, data: Presence, event: Any) -> None:
        data.left = event.at

    told = event(here.to.itself(internal=True), public=False)

    def on_told(self, data: Presence, event: Any) -> None:
        data.told = event.at


CHARTS = (
    Counter, Ticket, PatientTicket, Delivery, Strict, Review, Talkative, Oven, Cellar, Forgetful, Order, Door, Vault,
    Workshop, Fragile, Babbler, Greedy, Lamp, TURNSTILE, Kettle, Desk, Diary, Fleeting, Silent, Logbook, Clock, TimeCard,
    *OF_DATA, *TICKING, HurriedDesk, Patient,
)  # fmt: skip

charts_app = app(*CHARTS)
