"""A chart with a bit of everything, twenty ways to break it for machines that live, and twenty changes that do no harm.

`parcel()` is version 2, which is deployed; `parcel("region added")` is the same chart with this one thing changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from pydantic import BaseModel, Field, field_validator
from statemachine import HistoryState, State, StateChart

from durable_fsm import History, OldMachine, Retry, activity, after, defer, durable, event, migration, undo_all
from durable_fsm import machine as child
from durable_fsm.core.chart import Chart
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import changed
from durable_fsm.frontends import chart_from
from durable_fsm.testing import Rehearsal

LONG = 9
"""A weight that some machines have, and that some changes do not admit."""


class Note(BaseModel):
    text: str = ""


class Checked(BaseModel):
    text: str = Field(default="", max_length=3)


class Refund(BaseModel):
    cents: int = 0


class ReasonedRefund(Refund):
    reason: str


class NotedRefund(Refund):
    remark: str = ""


class ParcelData(BaseModel):
    weight: int = 1
    card_number: str = "4111"
    notes: list[str] = []


class PricedData(ParcelData):
    currency: str


class LightData(ParcelData):
    weight: int = Field(default=1, lt=LONG)


class OddData(ParcelData):
    @field_validator("weight")
    @classmethod
    def check(cls, weight: int) -> int:
        if weight == LONG:
            raise ValueError("no such weight")
        return weight


class WiderData(ParcelData):
    comment: str | None = None


class Look(StateChart):
    looking = State(initial=True)
    seen = State(final=True)
    see = event(looking.to(seen))


class Stare(StateChart):
    staring = State(initial=True)
    seen = State(final=True)
    see = event(staring.to(seen))


async def charge(data: ParcelData) -> str:
    return "receipt"


async def pay_back(data: ParcelData) -> None: ...


async def other_work(data: ParcelData) -> None: ...


def raise_for_some(old: OldMachine) -> None:
    if old.data["weight"] == LONG:
        raise KeyError("label")


DATA: Mapping[str, type[ParcelData]] = {
    "data member required": PricedData,
    "type narrowed": LightData,
    "validator added": OddData,
    "data member added": WiderData,
}


def parcel(how: str = "", version: str = "2") -> type[StateChart[Any]]:
    """The chart with one change."""
    data = DATA.get(how, ParcelData)
    options: dict[str, Any] = {"version": version, "redact": ["card_number"], "name": "Parcel"}
    if how in ("version without a way", "migration that raises", "renamed with a migration", "version with a way"):
        options["version"] = "3"
    if how == "migration that raises":
        options["migrations"] = [migration("2", raise_for_some, to="3")]
    if how == "version with a way":
        options["migrations"] = [migration("2", to="3")]
    if how == "renamed with a migration":
        options["migrations"] = [migration("2", to="3", states={"review": "inspection"})]
    if how == "redaction shrunk":
        options["redact"] = []
    if how == "redaction added":
        options["redact"] = ["card_number", "notes"]
    if how == "history kept longer":
        options["history"] = History(entries=5_000)
    if how == "index added":
        options["index"] = ["weight"]
    if how == "clock read":
        options["clock"] = True
    if how == "other version kept":
        options |= {"version": "3", "versions": [parcel()]}

    @durable(**options)
    class Parcel(StateChart[data]):  # type: ignore[valid-type]
        """A parcel, from the counter to the door."""

        cart = State(initial=True)
        if how == "order of states":
            over = State(final=True)
        if how == "state removed":
            pass
        elif how == "leaf became compound":

            class review(State.Compound):
                first = State(initial=True)
                second = State()
                look_again = event(first.to(second))

        elif how == "state made final":
            review = State(final=True)
        elif how in ("renamed with a migration", "state renamed"):
            inspection = State()
        else:
            review = State()
        if how == "compound became leaf":
            packing = State()
        else:

            class packing(State.Compound):
                boxing = State(initial=True)
                labelling = State()
                label = event(boxing.to(labelling))

        class shipping(State.Parallel):
            class carrier(State.Compound):
                asking = State(initial=True)
                booked = State(final=True)
                book = event(asking.to(booked))

            class papers(State.Compound):
                printing = State(initial=True)
                printed = State(final=True)
                print_out = event(printing.to(printed))

            if how == "region added":

                class customs(State.Compound):
                    declaring = State(initial=True)
                    declared = State(final=True)
                    declare = event(declaring.to(declared))

        waiting = State()
        work = "paying" if how == "activity renamed" else "charging"
        if how == "exclusive work":
            charging = State(invoke=activity(charge, exclusive=True, undo=pay_back))
        elif how == "undo removed":
            charging = State(invoke=activity(charge))
        elif how == "timeout added":
            charging = State(invoke=activity(charge, undo=pay_back, timeout=timedelta(minutes=1)))
        elif how == "limit added":
            charging = State(invoke=activity(charge, undo=pay_back, limit=5))
        elif how == "retries limited":
            charging = State(invoke=activity(charge, undo=pay_back, retry=Retry(attempts=3)))
        else:
            charging = State(invoke=activity(charge, undo=pay_back, id=work))
        weighing = State() if how == "activity removed" else State(invoke=activity(other_work))
        paid = State()
        undoing = State(invoke=activity(other_work)) if how == "undo removed" else State(invoke=undo_all("charging"))

        class desk(State.Compound):
            reading = State(initial=True)
            writing = State()
            if how != "history removed":
                before = HistoryState()
            write = event(reading.to(writing))

        pause = State()
        busy = State()
        inspecting = State(invoke=child(Stare if how == "child exchanged" else Look, id="look"))
        if how == "state added":
            extra = State()
        if how != "order of states":
            over = State(final=True)

        if how in ("renamed with a migration", "state renamed"):
            submit = event(cart.to(inspection))
            approve = event(inspection.to(paid, cond="is_fine"))
        elif how == "state removed":
            submit = event(cart.to(paid))
        else:
            submit = event(cart.to(review))
            if how == "last way out removed":
                audit = event(review.to(paid), public=False)
            elif how == "last way made private":
                approve = event(review.to(paid), public=False)
            elif how != "state made final":
                approve = event(review.to(paid, cond="is_well" if how == "guard renamed" else "is_fine"))
        pack = event(cart.to(packing))
        sealed = event(packing.to(paid))
        ship = event(cart.to(shipping))
        done_state_shipping = shipping.to(over)
        wait = event(cart.to(waiting))
        if how == "timer event removed":
            resume = event(waiting.to(cart))
        else:
            length = timedelta(hours=2) if how == "timer lengthened" else timedelta(hours=1)
            expire = after(length, waiting.to(over))
        pay = event(cart.to(charging))
        weigh = event(cart.to(weighing))
        if how == "activity removed":
            weighed = event(weighing.to(cart))
        else:
            done_invoke_weighing = weighing.to(cart)
            error_invoke_weighing = weighing.to(cart)
        if how == "activity renamed":
            done_invoke_paying = charging.to(paid)
            error_invoke_paying = charging.to(cart)
        else:
            done_invoke_charging = charging.to(paid)
            error_invoke_charging = charging.to(cart)
        give_back = event(paid.to(undoing))
        done_invoke_undoing = undoing.to(over)
        error_invoke_undoing = undoing.to(paid)
        finish = event(paid.to(over))
        sit = event(cart.to(desk))
        rest = event(desk.to(pause))
        resume_desk = event(pause.to(desk if how == "history removed" else desk.before))
        leave = event(desk.to(over))
        work_hard = event(cart.to(busy))
        if how == "deferred event removed":
            relax = event(busy.to(cart))
        else:
            note = event(
                cart.to.itself(internal=True, on="store" if how == "action renamed" else "keep"),
                Checked if how == "deferred payload narrowed" else Note,
            )
            deferring = defer(busy, "note")
            relax = event(busy.to(cart))
        look = event(cart.to(inspecting))
        done_invoke_look = inspecting.to(paid)
        error_invoke_look = inspecting.to(cart)
        if how == "handler removed":
            pass
        elif how == "payload narrowed":
            refund = event(paid.to.itself(), ReasonedRefund)
        else:
            refund = event(paid.to.itself(), NotedRefund if how == "payload member added" else Refund)
        if how == "state added":
            go_extra = event(cart.to(extra))
            leave_extra = event(extra.to(over))
        if how == "event added":
            greet = event(cart.to.itself(internal=True))
        if how == "transition added":
            skip = event(cart.to(paid))
        if how == "guard added":
            again = event(pause.to(over, cond="is_fine"))

        def is_fine(self) -> bool:
            return how != "guard never true"

        def is_well(self) -> bool:
            return True

        def keep(self, payload: Any, data: Any) -> None:
            data.notes.append(payload.text)

        def store(self, payload: Any, data: Any) -> None:
            data.notes.append(payload.text)

        if how == "action added":

            def on_enter_paid(self, data: Any) -> None:
                data.notes.append("paid")

    if how == "words changed":
        Parcel.__doc__ = "Another text."
    return Parcel


# ── what is stored under version 2 ────────────────────────────────────────────────────────────────────────────────────

STEPS: Mapping[str, tuple[object, ...]] = {
    "cart": (),
    "heavy": (),
    "review": ("submit",),
    "boxing": ("pack",),
    "shipping": ("ship", "book"),
    "waiting": ("wait",),
    "charging": ("pay",),
    "weighing": ("weigh",),
    "paid": ("pay", ("charging", "receipt")),
    "pause": ("sit", "write", "rest"),
    "busy": ("work_hard", ("note", {"text": "hi"})),
    "wordy": ("work_hard", ("note", {"text": "a long story"})),
    "inspecting": ("look",),
    "over": ("sit", "leave"),
}
"""How a machine of each kind comes to where it is: events, events with payloads, and outcomes of work."""


@cache
def deployed() -> Chart:
    """Version 2, as it is deployed."""
    return chart_from(parcel())


@cache
def machines() -> Mapping[str, Snapshot]:
    """One machine of each kind, by its name."""
    return {name: _machine(name, steps) for name, steps in STEPS.items()}


def _machine(name: str, steps: tuple[object, ...]) -> Snapshot:
    order = Rehearsal(parcel())
    order.create({"weight": LONG} if name == "heavy" else {})
    for step in steps:
        if isinstance(step, str):
            order.send(step)
        elif step[0] == "note":  # type: ignore[index]
            order.send(*step)  # type: ignore[misc]
        else:
            order.finish(*step)  # type: ignore[misc]
    return changed(order.snapshot, life=f"life-{name}")


BREAKS: Mapping[str, tuple[str, str]] = {
    "state removed": ("blocked", "review"),
    "leaf became compound": ("blocked", "review"),
    "compound became leaf": ("blocked", "boxing"),
    "region added": ("blocked", "shipping"),
    "history removed": ("blocked", "pause over"),
    "timer event removed": ("blocked", "waiting"),
    "activity renamed": ("blocked", "charging paid"),
    "activity removed": ("blocked", "weighing"),
    "exclusive work": ("changes", "charging"),
    "deferred event removed": ("blocked", "busy wordy"),
    "deferred payload narrowed": ("changes", "wordy"),
    "undo removed": ("blocked", "paid"),
    "child exchanged": ("blocked", "inspecting"),
    "data member required": ("blocked", " ".join(name for name in STEPS if name != "over")),
    "type narrowed": ("blocked", "heavy"),
    "migration that raises": ("blocked", "heavy"),
    "version without a way": ("blocked", " ".join(STEPS)),
    "state made final": ("stranded", "review"),
    "last way out removed": ("stranded", "review"),
    "last way made private": ("stranded", "review"),
}
"""By change: the verdict, and the kinds of machine that get it."""

SENDERS = ("payload narrowed", "handler removed", "redaction shrunk")
"""Changes of which senders must hear."""

HARMLESS = (
    "state added",
    "guard renamed",
    "words changed",
    "order of states",
    "data member added",
    "event added",
    "transition added",
    "action added",
    "redaction added",
    "version with a way",
    "renamed with a migration",
    "other version kept",
    "guard added",
    "payload member added",
    "timeout added",
    "history kept longer",
    "action renamed",
    "index added",
    "limit added",
    "clock read",
)
