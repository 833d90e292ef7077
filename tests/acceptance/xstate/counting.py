"""Cases about data: guards, eventless transitions and delays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import activity, after, event
from tests.acceptance.xstate.pairs import Outside, pair

# ── visitors ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Inside(BaseModel):
    inside: int = 0


def count_in(data: Inside) -> None:
    data.inside += 1


def count_out(data: Inside) -> None:
    data.inside -= 1


class Visitors(StateChart[Inside]):
    visitors = State(initial=True)
    enter = visitors.to.itself(internal=True, on=count_in)
    leave = visitors.to.itself(internal=True, on=count_out)


pair("visitors", Visitors, data=Inside, actions={"count_in": count_in, "count_out": count_out})

# ── glass ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Glass(BaseModel):
    level: int = 0
    most: int = 1


def has_room(data: Glass) -> bool:
    return data.level < data.most


def pour(data: Glass) -> None:
    data.level += 1


class GlassByHand(StateChart[Glass]):
    looking = State(initial=True)
    pouring = State()
    full = State(final=True)

    looking.to(pouring, cond=has_room)
    looking.to(full)
    after_10_pouring = after(timedelta(milliseconds=10), pouring.to(looking, on=pour))


pair("glass", GlassByHand, data=Glass, guards={"has_room": has_room}, actions={"pour": pour})

# ── door ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Uses(BaseModel):
    entries: int = 0
    exits: int = 0
    looks: int = 0


def count_entry(data: Uses) -> None:
    data.entries += 1


def count_exit(data: Uses) -> None:
    data.exits += 1


def count_look(data: Uses) -> None:
    data.looks += 1


class Door(StateChart[Uses]):
    enable_self_transition_entries = False

    class open(State.Compound, enter=count_entry, exit=count_exit):
        wide = State(initial=True)
        ajar = State()
        push = wide.to(ajar)

    look = open.to(open, internal=True, on=count_look)
    reset = open.to(open.wide, internal=True)
    slam = open.to(open)


pair("door", Door, data=Uses, actions={"count_entry": count_entry, "count_exit": count_exit, "count_look": count_look})

# ── auction ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Bid(BaseModel):
    by: str
    cents: int


class Bids(BaseModel):
    lasts_ms: int = 0
    bids: list[Bid] = []


def closing(data: Bids) -> timedelta:
    return timedelta(milliseconds=data.lasts_ms)


def keep_bid(data: Bids, payload: Bid) -> None:
    data.bids.append(payload)


def highest(data: Bids) -> dict[str, Any]:
    return max(data.bids, key=lambda bid: bid.cents).model_dump()


class Auction(StateChart[Bids]):
    bidding = State(initial=True)
    closed = State(final=True, enter=highest)

    bid = event(bidding.to.itself(internal=True, on=keep_bid), Bid)
    after_closing_bidding = after(closing, bidding.to(closed))


pair(
    "auction",
    Auction,
    data=Bids,
    actions={"keep_bid": keep_bid},
    delays={"closing": closing},
    outputs={"*": highest},
    events={"bid": Bid},
)

# ── stopwatch ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Elapsed(BaseModel):
    seconds: int = 0
    tick_ms: int = 10


def second(data: Elapsed) -> timedelta:
    return timedelta(milliseconds=data.tick_ms)


def tick(data: Elapsed) -> None:
    data.seconds += 1


def is_over(data: Elapsed) -> bool:
    return data.seconds == 3


def clear(data: Elapsed) -> None:
    data.seconds = 0


class Stopwatch(StateChart[Elapsed]):
    stopped = State(initial=True)
    running = State()
    over = State()

    start = stopped.to(running)
    stop = running.to(stopped)
    reset = stopped.from_(stopped, running, over, on=clear)
    after_second_running = after(second, running.to.itself(on=tick))
    running.to(over, cond=is_over)


pair(
    "stopwatch",
    Stopwatch,
    data=Elapsed,
    guards={"is_over": is_over},
    actions={"tick": tick, "clear": clear},
    delays={"second": second},
)

# ── weather ───────────────────────────────────────────────────────────────────────────────────────────────────────────

WINDOW, PATIENCE = timedelta(milliseconds=20), timedelta(milliseconds=60)


class Weather(BaseModel):
    wind: int | None = None
    rain: int | None = None


def forget(data: Weather) -> None:
    data.wind = data.rain = None


def keep_measures(data: Weather, payload: Weather) -> None:
    data.wind, data.rain = payload.wind, payload.rain


def is_complete(data: Weather) -> bool:
    return data.wind is not None and data.rain is not None


def report(data: Weather, *, outside: Outside) -> None:
    outside(f"report {data.wind} and {data.rain}")


class WeatherByHand(StateChart[Weather]):
    enable_self_transition_entries = False

    listening = State(initial=True, enter=forget)
    reporting = State(invoke=activity(report))
    reported = State()
    incomplete = State(final=True)

    measure = event(listening.to.itself(internal=True, on=keep_measures), Weather)
    after_window_listening = after(WINDOW, listening.to(reporting, cond=is_complete))
    after_patience_listening = after(PATIENCE, listening.to(incomplete))
    done_invoke_reporting = reporting.to(reported)
    error_invoke_reporting = reporting.to(incomplete)
    again = reported.to(listening)


pair(
    "weather",
    WeatherByHand,
    data=Weather,
    guards={"is_complete": is_complete},
    actions={"forget": forget, "keep": keep_measures},
    actors={"report": report},
    delays={"window": WINDOW, "patience": PATIENCE},
    events={"measure": Weather},
)
