"""Charts whose types of data and payloads are out of the ordinary."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from statemachine import State, StateChart

from durable_fsm import (
    ActivityContext,
    Effects,
    Ids,
    TerminalError,
    activity,
    after,
    at,
    defer,
    durable,
    event,
    machine,
)


class Pet(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    given_name: str


class MemberData(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    member_number: int
    nick_name: str = Field(default="", alias="nickName")
    pets_owned: list[Pet] = []
    greeted_as: str = ""


class NewName(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    new_name: str


async def greet(ctx: ActivityContext, data: MemberData) -> Pet:
    return Pet(givenName=f"{data.nick_name} of {data.member_number}")


class Member(StateChart[MemberData]):
    """Every member of its data and its payloads has an alias."""

    known = State(initial=True)
    greeting = State(invoke=activity(greet))
    greeted = State(final=True)

    rename = event(known.to.itself(internal=True), NewName)
    relay = event(known.to.itself(internal=True), NewName)
    tell = event(known.to.itself(internal=True))
    adopt = event(known.to.itself(internal=True), Pet)
    greet = event(known.to(greeting))
    done_invoke_greeting = greeting.to(greeted)
    error_invoke_greeting = greeting.to(known)

    def on_rename(self, data: MemberData, new_name: str) -> str:
        data.nick_name = new_name
        return new_name

    def on_relay(self, payload: NewName, effects: Effects) -> None:
        effects.send("rename", payload)

    def on_tell(self, data: MemberData) -> str:
        return data.nick_name

    def on_adopt(self, data: MemberData, payload: Pet) -> None:
        data.pets_owned.append(payload)

    def on_done_invoke_greeting(self, data: MemberData, result: dict[str, str]) -> None:
        data.greeted_as = result["givenName"]


# ── defaults that differ from call to call ────────────────────────────────────────────────────────────────────────────


def a_number() -> str:
    return uuid4().hex


class Numbered(BaseModel):
    number: str = Field(default_factory=a_number)
    heads: bool = Field(default_factory=lambda: uuid4().int % 2 == 0)
    latest: UUID | None = None


class Placed(BaseModel):
    id: UUID = Field(default_factory=uuid4)


class Prize(StateChart[Numbered]):
    """A child whose number is drawn when it begins."""

    here = State(initial=True)
    there = State(final=True)

    arrive = here.to(there)

    def on_enter_there(self, data: Numbered) -> str:
        return data.number


class Raffle(StateChart[Numbered]):
    """Has data and payloads with random defaults, and guards that decide by them."""

    new = State(initial=True)
    placed = State()
    busy = State(invoke=machine(Prize, id="prize"))
    won, lost = State(), State()
    over = State(final=True)

    defer(new, "note")

    place = event(new.to(placed), Placed)
    note = event(placed.to.itself(internal=True), Placed)
    flip = placed.to(won, cond="heads") | placed.to(lost)
    ship = placed.to(busy)
    done_invoke_prize = busy.to(over)
    error_invoke_prize = busy.to(over)
    tell = event(placed.to.itself(internal=True))
    open_message = event(placed.to.itself(internal=True), Placed)
    close = won.to(over) | lost.to(over)
    one = after(timedelta(hours=1), won.to(over))
    two = after(timedelta(hours=1), lost.to(over))
    three = after(timedelta(hours=2), lost.to(over))

    def on_place(self, data: Numbered, payload: Placed) -> list[str]:
        data.latest = payload.id
        return [data.number, str(payload.id)]

    def on_note(self, data: Numbered, payload: Placed) -> str:
        data.latest = payload.id
        return str(payload.id)

    def on_tell(self, effects: Effects) -> None:
        effects.send("note", {})


async def number_of(data: Numbered) -> str:
    return data.number


@durable(flow=True)
class Prizes(StateChart[Numbered]):
    """A flow whose activity sees the number that was drawn when it began."""

    drawing = State(initial=True, invoke=activity(number_of))
    over = State(final=True)

    done_invoke_drawing = drawing.to(over)
    error_invoke_drawing = drawing.to(over)

    def on_done_invoke_drawing(self, data: Numbered, result: str) -> None:
        data.latest = UUID(result)

    def on_enter_over(self, data: Numbered) -> dict[str, Any]:
        return {"drawn": data.number, "seen": data.latest.hex if data.latest else ""}


async def refuse(data: Numbered) -> None:
    raise TerminalError("it does not work")


class Errand(StateChart[Numbered]):
    """Its activity fails, and with it the machine; an operator skips the activity with a result of their own."""

    working = State(initial=True, invoke=activity(refuse))
    resting = State()
    over = State(final=True)

    done_invoke_working = event(working.to(resting), Placed)
    lapse = after(timedelta(hours=1), resting.to(over))
    begin = working.to.itself(internal=True)

    def on_done_invoke_working(self, data: Numbered, payload: Placed) -> str:
        data.latest = payload.id
        return str(payload.id)


class Plainly(StateChart):
    """Without a data type: `__init__` draws a number."""

    new = State(initial=True)
    placed = State()
    over = State(final=True)

    place = new.to(placed)
    finish = placed.to(over)
    lapse = after(timedelta(hours=1), placed.to(over))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.number = a_number()
        super().__init__(*args, **kwargs)

    def on_place(self) -> str:
        return self.number


# ── values that are nested too deeply, or that JSON cannot express ────────────────────────────────────────────────────


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class Order(BaseModel):
    levels: int = 0
    left: Any = None
    told: str = ""


async def dig(ctx: ActivityContext, data: Order) -> Any:
    return nested(data.levels)


class Mine(StateChart[Order]):
    """Digs as deep as it is told: an activity returns it, or a callback sends, replies or keeps it."""

    idle = State(initial=True)
    digging = State(invoke=activity(dig))
    found, failed = State(), State()
    over = State(final=True)

    dig = event(idle.to(digging), int)
    done_invoke_digging = digging.to(found)
    error_execution = digging.to(failed) | idle.to.itself(internal=True)
    error_invoke_digging = digging.to(failed)
    keep = event(idle.to.itself(internal=True), int)
    answer = event(idle.to.itself(internal=True), int)
    post = event(idle.to.itself(internal=True), int)
    lose = event(idle.to.itself(internal=True), str)
    close = found.to(over) | failed.to(over)

    def on_dig(self, data: Order, payload: int) -> None:
        data.levels = payload

    def on_error_invoke_digging(self, data: Order, error: Any) -> None:
        data.told = error.message

    def on_error_execution(self, data: Order, error: Any) -> None:
        data.told = str(error)

    def on_keep(self, data: Order, payload: int) -> None:
        data.left = nested(payload)

    def on_answer(self, payload: int) -> Any:
        return nested(payload)

    def on_post(self, payload: int, effects: Effects) -> None:
        effects.send("keep", nested(payload), to=("Mine", "another"))

    def on_lose(self, data: Order, payload: str) -> None:
        data.left = {"numbers": [1.5, float(payload)]}


# ── times that come from clients ──────────────────────────────────────────────────────────────────────────────────────


class Times(BaseModel):
    seconds: float = 0
    instant: datetime | None = None
    told: str = ""


def so_long(data: Times) -> timedelta:
    return timedelta(seconds=data.seconds)


def then(data: Times) -> datetime | None:
    return data.instant


class Vigil(StateChart[Times]):
    """A client chooses how long it waits, and until when."""

    idle = State(initial=True)
    waiting = State()
    until = State()
    over = State(final=True)

    wait = event(idle.to(waiting), float)
    wait_until = event(idle.to(until), datetime)
    remind = event(idle.to.itself(internal=True), float)
    ring = after(so_long, waiting.to(over))
    ring_then = at(then, until.to(over))
    reminded = event(idle.to(over), public=False)

    def on_wait(self, data: Times, payload: float) -> None:
        data.seconds = payload

    def on_wait_until(self, data: Times, payload: datetime) -> None:
        data.instant = payload

    def on_remind(self, payload: float, effects: Effects) -> None:
        effects.send("reminded", after=timedelta(seconds=payload))


# ── times and ids that callbacks see ──────────────────────────────────────────────────────────────────────────────────


class Seen(BaseModel):
    event: str
    at: datetime | None
    id: UUID


class Log(BaseModel):
    seen: list[Seen] = []


async def peek(data: Log) -> None: ...


class _Witness(StateChart[Log]):
    """Notes the time and an id in each kind of step."""

    enable_self_transition_entries = False

    idle = State(initial=True)
    looking = State(invoke=activity(peek))
    holding = State(invoke=activity(peek, id="hold", exclusive=True))
    resting, napping = State(), State()
    over = State(final=True)

    begin = idle.to(looking)
    done_invoke_looking = looking.to(holding)
    error_invoke_looking = looking.to(over)
    done_invoke_hold = holding.to(resting)
    error_invoke_hold = holding.to(over)
    note = event(resting.to.itself(internal=True))
    told = event(resting.to.itself(internal=True), public=False)
    sent = event(resting.to.itself(internal=True), public=False)
    nap = resting.to(napping)
    ring = after(timedelta(milliseconds=40), napping.to(idle))
    finish = idle.to(over)

    def on_enter_state(self, data: Log, event: Any, ids: Ids) -> None:
        data.seen.append(Seen(event=f"enter on {event}", at=event.at, id=ids.uuid()))

    def on_note(self, effects: Effects) -> None:
        effects.raise_("told")
        effects.send("sent")

    def after_transition(self, data: Log, event: Any, ids: Ids) -> None:
        data.seen.append(Seen(event=str(event), at=event.at, id=ids.uuid()))


@durable(clock=True)
class Witness(_Witness):
    """With a clock."""


class TimelessWitness(_Witness):
    """Without one."""


class Place(BaseModel):
    city: str = ""


class CustomerData(BaseModel):
    size: int = 0
    address: Place = Place()


@durable(index=("size", "address.city"))
class Customer(StateChart[CustomerData]):
    """Is found by its size and its city."""

    known = State(initial=True)

    move = event(known.to.itself(internal=True), str)
    grow = event(known.to.itself(internal=True))

    def on_move(self, data: CustomerData, payload: str) -> None:
        data.address = Place(city=payload)

    def on_grow(self, data: CustomerData) -> None:
        data.size += 1


OF_DATA = (Customer, Errand, Member, Raffle, Prize, Prizes, Plainly, Mine, Vigil, Witness, TimelessWitness)
