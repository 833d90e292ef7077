"""Charts with one mistake each, and the same charts without it. Work of theirs is never run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import BaseModel, Field
from statemachine import HistoryState, State, StateChart

from durable_fsm import Effects, Failure, activity, after, defer, event, undo_all
from durable_fsm.explore import always, by_itself, can_always, domain, never
from durable_fsm.explore.domains import Domain
from durable_fsm.explore.properties import BUILT_IN, Property

MINUTE = timedelta(minutes=1)


async def work() -> None: ...


async def take_back() -> None: ...


class Cents(BaseModel):
    cents: int = Field(ge=1, le=100)


class Balance(BaseModel):
    balance: int = 0


class Draft(BaseModel):
    removed: bool = False


class Patience(BaseModel):
    renewals: int = 0


@dataclass(frozen=True)
class Bug:
    """A mistake: the chart that has it, the mended one, and the shortest story that shows it."""

    wrong: type
    mended: type
    name: str
    story: str
    properties: Sequence[Property] = ()
    domains: Sequence[Domain] = field(default=())


def charged_twice(*, mended: bool) -> type:
    class Payment(StateChart):
        charging = State(initial=True, invoke=activity(work, undo=take_back, deadline=None))
        on_hold = State()
        undoing = State(invoke=undo_all())
        paid = State(final=True)
        give_up = after(MINUTE, charging.to(on_hold))
        again = on_hold.to(undoing if mended else charging)
        call_off = on_hold.to(undoing)
        done_invoke_undoing = undoing.to(charging)
        done_invoke_charging = charging.to(paid)
        error_execution = charging.to(on_hold) | undoing.to(on_hold)

    return Payment


def undo_forgotten(*, mended: bool) -> type:
    class Booking(StateChart):
        reserving = State(initial=True, invoke=activity(work, undo=take_back, deadline=None))
        reserved = State()
        undoing = State(invoke=undo_all(deadline=None))
        cancelled = State(final=True)
        half_undone = State(final=True)
        done_invoke_reserving = reserving.to(reserved)
        call_off = reserving.to(undoing if mended else cancelled) | reserved.to(undoing)
        done_invoke_undoing = undoing.to(cancelled)
        error_execution = reserving.to(half_undone) | undoing.to(half_undone)

    return Booking


def event_lost(*, mended: bool) -> type:
    class Invoice(StateChart):
        open = State(initial=True)
        on_hold = State()
        paid = State(final=True)
        hold = open.to(on_hold)
        release = on_hold.to(open)
        pay = open.to(paid)
        if mended:
            defer(on_hold, "pay")

    return Invoice


def dead_end(*, mended: bool) -> type:
    class Membership(StateChart[Patience]):
        valid = State(initial=True)
        expired = State()
        over = State(final=True)
        renew = valid.to(valid, on="count", cond="may_renew") | expired.to(valid, on="count", cond="may_renew")
        expire = after(MINUTE, valid.to(expired))
        end = expired.to(over) if mended else valid.to(over)

        def may_renew(self, data: Patience) -> bool:
            return data.renewals < 1

        def count(self, data: Patience) -> None:
            data.renewals += 1

    return Membership


def hot_loop(*, mended: bool) -> type:
    class Import(StateChart):
        new = State(initial=True)
        loading = State(invoke=activity(work))
        waiting = State()
        loaded = State(final=True)
        begin = new.to(loading)
        wait = new.to(waiting)
        done_invoke_loading = loading.to(loaded)
        error_invoke_loading = loading.to(waiting if mended else loading)
        again = after(MINUTE, waiting.to(loading))

    return Import


def never_true(*, mended: bool) -> type:
    class Gift(StateChart):
        open = State(initial=True)
        given = State(final=True)
        refused = State(final=True)
        give = event(open.to(given, cond="is_large") | open.to(refused), Cents)

        def is_large(self, payload: Cents) -> bool:
            return payload.cents >= 100 if mended else payload.cents > 100

    return Gift


def reminded_twice(*, mended: bool) -> type:
    class Reminder(StateChart):
        enable_self_transition_entries = False

        idle = State(initial=True)
        waiting = State()
        begin = idle.to(waiting)
        stop = waiting.to(idle)
        remind = event(waiting.to.itself(internal=True), public=False)

        def on_enter_waiting(self, effects: Effects) -> None:
            effects.send("remind", after=MINUTE, id="reminder" if mended else None)

        def on_exit_waiting(self, effects: Effects) -> None:
            if mended:
                effects.cancel("reminder")

    return Reminder


def removed_page(*, mended: bool) -> type:
    class Editor(StateChart[Draft]):
        enable_self_transition_entries = False

        class pages(State.Compound):
            listing = State(initial=True)
            editing = State()
            last = HistoryState()
            edit = listing.to(editing, unless="is_removed")
            close = editing.to(listing)

        away = State()
        leave = pages.to(away)
        remove = away.to.itself(internal=True, on="drop")
        back = (away.to(pages.listing, cond="is_removed") | away.to(pages.last)) if mended else away.to(pages.last)

        def is_removed(self, data: Draft) -> bool:
            return data.removed

        def drop(self, data: Draft) -> None:
            data.removed = True

    return Editor


def never_recalled(*, mended: bool) -> type:
    class Queue(StateChart):
        idle = State(initial=True)
        working = State(invoke=activity(work))
        checking = State(invoke=activity(work))
        given_up = State(final=True)
        post = idle.to(working)
        done_invoke_working = working.to(checking)
        error_invoke_working = working.to(given_up)
        done_invoke_checking = checking.to(idle if mended else working)
        error_invoke_checking = checking.to(given_up)
        defer(working, "post")
        defer(checking, "post")

    return Queue


def lost_work(*, mended: bool) -> type:
    class Transfer(StateChart):
        open = State(initial=True)
        moving = State(invoke=activity(work, exclusive=True))
        moved = State(final=True)
        refused = State(final=True)
        move = open.to(moving)
        done_invoke_moving = moving.to(moved)
        if mended:
            error_invoke_moving = moving.to(refused, cond="is_refused") | moving.to(open)
        else:
            error_invoke_moving = moving.to(refused, cond="is_refused")

        def is_refused(self, error: Failure) -> bool:
            return error.type == "Refused"

    return Transfer


def overdrawn(*, mended: bool) -> type:
    class Account(StateChart[Balance]):
        enable_self_transition_entries = False

        open = State(initial=True)
        deposit = event(open.to.itself(internal=True, on="put"), Cents)
        withdraw = event(open.to.itself(internal=True, on="take", cond="is_covered"), Cents)

        def is_covered(self, data: Balance, payload: Cents) -> bool:
            return data.balance >= payload.cents if mended else data.balance > 0

        def put(self, data: Balance, payload: Cents) -> None:
            data.balance = min(data.balance + payload.cents, 100)

        def take(self, data: Balance, payload: Cents) -> None:
            data.balance -= payload.cents

    return Account


class Journal(BaseModel):
    lines: list[str] = []


def endless_log(*, mended: bool) -> type:
    class Watch(StateChart[Journal]):
        enable_self_transition_entries = False

        resting = State(initial=True)
        noting = State()
        over = State(final=True)
        tick = after(MINUTE, resting.to(noting, on="note"))
        tock = after(MINUTE, noting.to(resting))
        stop = resting.to(over)

        def note(self, data: Journal) -> None:
            data.lines = [*data.lines, "tick"][-3 if mended else 0 :]

    return Watch


class Till(StateChart):
    open = State(initial=True)
    closed = State(final=True)
    close = open.to(closed)


def child_is_gone(*, mended: bool) -> type:
    class Shop(StateChart):
        selling = State(initial=True, invoke=Till)
        paused = State()
        over = State(final=True)
        pause = selling.to(paused)
        if mended:
            resume = paused.to(selling)
            done_invoke_selling = selling.to(over)
        else:
            done_invoke_selling = selling.to(over) | paused.to(over)
        error_invoke_selling = selling.to(over)

    return Shop


def bug(make: Callable[..., type], name: str, story: str, *properties: Property, domains: Sequence[Domain] = ()) -> Bug:
    return Bug(make(mended=False), make(mended=True), name, story, properties, domains)


NOT_STUCK, NO_HOT_LOOP, RECALLED, NOT_GROWING = (one.name for one in BUILT_IN)


def bugs() -> dict[str, Bug]:
    """Every mistake, by the name of its chart's function."""
    return {
        "charged_twice": bug(
            charged_twice,
            "it is charged twice",
            "timer give_up · again · done charging · done charging late",
            never("it is charged twice", lambda m: m.undo.count("charging") > 1),
        ),
        "undo_forgotten": bug(
            undo_forgotten,
            "a cancelled booking is reserved",
            "call_off · done reserving late",
            never("a cancelled booking is reserved", lambda m: "cancelled" in m.active and "reserving" in m.undo),
        ),
        "event_lost": bug(
            event_lost,
            "a payment is taken",
            "hold",
            always("a payment is taken", lambda m: m.status == "done" or m.accepts("pay")),
        ),
        "dead_end": bug(dead_end, NOT_STUCK, "renew · timer expire"),
        "cannot_end": bug(dead_end, "end", "renew · timer expire", can_always("end", lambda m: m.status == "done")),
        "hot_loop": bug(hot_loop, NO_HOT_LOOP, "begin"),
        "never_loaded": bug(
            hot_loop,
            "loading comes to an end",
            "begin",
            by_itself(
                "loading comes to an end",
                when=lambda m: "loading" in m.active,
                then=lambda m: "loading" not in m.active,
            ),
        ),
        "never_true": bug(never_true, "transition 'open--give--1' is taken", ""),
        "reminded_twice": bug(
            reminded_twice,
            "there are two reminders",
            "begin · stop · begin",
            never("there are two reminders", lambda m: m.timers.count("remind") > 1),
        ),
        "removed_page": bug(
            removed_page,
            "a removed page is edited",
            "edit · leave · remove · back",
            never("a removed page is edited", lambda m: "editing" in m.active and m.data.removed),
        ),
        "never_recalled": bug(never_recalled, RECALLED, "post · post"),
        "lost_work": bug(
            lost_work,
            "it fails",
            "move · lost moving",
            never("it fails", lambda m: m.status == "failed"),
            domains=[domain("moving", errors=[Failure("Refused", "no")])],
        ),
        "overdrawn": bug(
            overdrawn,
            "nothing is overdrawn",
            'deposit {"cents":1} · withdraw {"cents":2}',
            always("nothing is overdrawn", lambda m: m.data.balance >= 0),
        ),
        "endless_log": bug(endless_log, NOT_GROWING, "timer tick · timer tock · timer tick · timer tock"),
        "child_is_gone": bug(child_is_gone, NOT_STUCK, "pause"),
    }
