"""`activity(..., undo=)` and `undo_all`: how both front-ends read them, what they refuse, and how they are rehearsed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import (
    Chart,
    DefinitionError,
    Failure,
    Retry,
    TerminalError,
    TransitionsConfig,
    activity,
    chart_from,
    durable,
    event,
    undo_all,
)
from durable_fsm.core.chart import Activity, Undo
from durable_fsm.errors import EventRejected
from durable_fsm.testing import Rehearsal

pytestmark = pytest.mark.filterwarnings("ignore:.*the failure of activity:durable_fsm.errors.DefinitionWarning")

Read = Callable[..., Chart]


class Basket(BaseModel):
    lines: list[int] = []


async def pack(data: Basket) -> str:
    return "parcel"


async def unpack(ctx: object, data: Basket, result: str, original: str) -> None: ...


async def by_id(original: str) -> None: ...


async def of_parcel(parcel: str) -> None: ...


async def by_position(result: str, /) -> None: ...


async def of_all(*results: str) -> None: ...


def blocking(ctx: object, result: str) -> None: ...


def lenient(result: str, *, speed: int = 7, **rest: object) -> None: ...


def statemachine(declared: Any = pack, undoing: Any = None, work: Any = ()) -> Chart:
    class Shop(StateChart[Basket]):
        packing = State(initial=True, invoke=declared)
        undoing_ = State(invoke=undoing)
        over = State(final=True)
        done_invoke_packing = packing.to(undoing_)
        go_on = undoing_.to(over)

    return chart_from(durable(work=work)(Shop))


def transitions(declared: Any = pack, undoing: Any = None, work: Any = ()) -> Chart:
    return chart_from(
        TransitionsConfig(
            "Shop",
            states=["packing", "undoing_", {"name": "over", "final": True}],
            initial="packing",
            transitions=[["done_invoke_packing", "packing", "undoing_"], ["go_on", "undoing_", "over"]],
            model=Basket,
            activities={"packing": declared, **({} if undoing is None else {"undoing_": undoing})},
            work=work,
        )
    )


both = pytest.mark.parametrize("read", [statemachine, transitions])


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@both
def test_an_undo_is_part_of_its_activity(read: Read) -> None:
    retry = Retry(attempts=3)

    declared = activity(pack, undo=by_id, undo_first=True, undo_retry=retry)
    chart = read(declared, undo_all("packing"))

    assert chart.activities["packing"].undo == Undo("by_id", by_id, retry, first=True)
    assert chart.activities["undoing_"] == Activity("undoing_", "undo_all", pack, undoes="packing")


@both
def test_undoing_has_the_settings_of_an_activity(read: Read) -> None:
    hour = timedelta(hours=1)

    chart = read(activity(pack, undo=unpack), undo_all(id="back", exclusive=True, deadline=hour))

    assert chart.activities["back"] == Activity("back", "undo_all", pack, exclusive=True, deadline=hour, undoes="")


@both
@pytest.mark.parametrize("undo", [lenient, unpack, partial(unpack, data=Basket()), lambda result: result])
def test_an_undo_may_ask_for_what_it_needs(read: Read, undo: Any) -> None:
    assert read(activity(pack, undo=undo), undo_all()).activities["packing"].undo is not None


def test_undoing_may_name_the_state_itself() -> None:
    class Trip(StateChart[Basket]):
        class booking(State.Compound):
            packing = State(initial=True, invoke=activity(pack, undo=unpack))

        undoing = State(invoke=undo_all(booking))
        over = State(final=True)
        back = booking.to(undoing)
        done_invoke_undoing = undoing.to(over)

    assert chart_from(Trip).activities["undoing"].undoes == "booking"


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@both
@pytest.mark.parametrize(
    ("undo", "first", "problem"),
    [
        (
            of_parcel,
            False,
            (
                "of_parcel, the undo of activity 'packing', asks for 'parcel', which an undo does not get."
                " It may ask for 'ctx', 'data', 'result', 'original'."
            ),
        ),
        (
            by_position,
            False,
            "by_position, the undo of activity 'packing', takes arguments that cannot be given by name.",
        ),
        (of_all, False, "of_all, the undo of activity 'packing', takes arguments that cannot be given by name."),
        (
            unpack,
            True,
            (
                "unpack, the undo of activity 'packing', asks for 'result', and is registered before there is one."
                " Ask for original, the stable id of the work; or leave undo_first=True out."
            ),
        ),
        (
            blocking,
            False,
            (
                "blocking, the undo of activity 'packing', asks for 'ctx', and cannot await anything."
                " Make it an async def, or leave ctx out."
            ),
        ),
    ],
)
def test_an_undo_that_cannot_be_called_is_refused(read: Read, undo: Any, first: bool, problem: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        read(activity(pack, undo=undo, undo_first=first), undo_all())

    assert problem in str(refused.value)


@both
def test_undoing_a_state_that_does_not_exist_is_refused(read: Read) -> None:
    with pytest.raises(DefinitionError) as refused:
        read(activity(pack, undo=unpack), undo_all("nowhere"))

    assert (
        "state 'undoing_' undoes what is done in 'nowhere', which is not a state."
        " There is 'packing', 'undoing_', 'over'." in str(refused.value)
    )


@both
@pytest.mark.parametrize(("scope", "where"), [("", "anywhere"), ("over", "in 'over'")])
def test_undoing_where_nothing_has_an_undo_is_refused(read: Read, scope: str, where: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        read(activity(pack, undo=unpack if scope else None), undo_all(scope))

    assert f"state 'undoing_' undoes what is done {where}, and no activity there has an undo." in str(refused.value)


@both
def test_work_that_no_state_waits_for_is_not_undone(read: Read) -> None:
    with pytest.raises(DefinitionError) as refused:
        read(work=[activity(pack, id="mail", undo=unpack), undo_all(id="all")])

    assert "work 'mail' has an undo, and belongs to no state in which it could be undone." in str(refused.value)
    assert "work 'all' undoes other work, but no state waits for it." in str(refused.value)


@both
def test_items_are_undone_by_their_ids_or_not_at_all(read: Read) -> None:
    with pytest.raises(DefinitionError) as refused:
        read(activity(pack, each="lines", undo=unpack), undo_all())
    chart = read(activity(pack, each="lines", undo=by_id, undo_first=True), undo_all())

    assert "activity 'packing' has items and an undo, but if one item fails, it is not known" in str(refused.value)
    assert chart.activities["packing"].undo is not None


@pytest.mark.parametrize("options", [{"undo_first": True}, {"undo_retry": Retry(attempts=2)}])
def test_how_to_undo_needs_something_that_undoes(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="undo_first and undo_retry need undo="):
        activity(pack, **options)


# ── rehearsing ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Told(BaseModel):
    undone: Any = None
    error: Any = None


async def book(data: Told) -> str: ...  # type: ignore[empty-body]


async def cancel_flight(result: str) -> None: ...


async def cancel_car(result: str) -> None: ...


async def refund(original: str) -> None: ...


class Trip(StateChart[Told]):
    class booking(State.Compound):
        flight = State(initial=True, invoke=activity(book, undo=cancel_flight))
        car = State(invoke=activity(book, undo=cancel_car))
        paying = State(invoke=activity(book, undo=refund, undo_first=True))
        done_invoke_flight = flight.to(car)
        done_invoke_car = car.to(paying)

    undoing = State(invoke=undo_all(booking))
    held = State(invoke=undo_all(booking, exclusive=True))
    booked = State()
    stuck = State()
    failed = State(final=True)

    done_invoke_paying = booking.to(booked)
    error_execution = booking.to(undoing)
    call_off = event(booking.to(undoing) | booked.to(undoing))
    hold = event(booked.to(held) | booking.to(held))
    done_invoke_undoing = undoing.to(failed)
    error_invoke_undoing = undoing.to(stuck)
    done_invoke_held = held.to(failed)
    error_invoke_held = held.to(stuck)
    again = event(stuck.to(undoing))

    def on_enter_failed(self, data: Told, result: Any) -> None:
        data.undone = result

    def on_enter_stuck(self, data: Told, error: Failure) -> None:
        data.error = error.metadata


def test_a_saga_is_rehearsed_step_by_step() -> None:
    trip = Rehearsal(Trip)
    trip.create()
    trip.finish("flight", "LH1")
    trip.finish("car", "VW")
    assert trip.undo == ("flight", "car", "paying")
    trip.fail("paying")
    assert trip.running == ("undoing",)
    assert trip.stable_id("undoing") == "Trip/rehearsal/rehearsed/paying/3/undo"

    trip.finish("undoing")
    trip.fail("undoing", "no answer")
    assert trip.configuration == ("stuck",)
    assert trip.data.error == {"undone": ["paying"], "left": ["car", "flight"]}
    trip.send("again")
    trip.finish("undoing")
    trip.finish("undoing")

    assert trip.data.undone == ["car", "flight"]
    assert trip.undo == ()


def test_undos_are_answered_by_their_names_in_the_order_in_which_they_run() -> None:
    told: list[str] = []

    def declined(data: Told) -> str:
        raise TerminalError("declined")

    trip = Rehearsal(
        Trip,
        answers={
            "flight": lambda data: "LH1",
            "car": lambda data: "VW",
            "paying": declined,
            "cancel_flight": told.append,
            "cancel_car": told.append,
            "refund": told.append,
        },
    )
    trip.create()

    assert trip.configuration == ("failed",)
    assert told == ["Trip/rehearsal/rehearsed/paying/3", "VW", "LH1"]


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_stopped_activity_says_how_it_ended(succeeds: bool) -> None:
    trip = Rehearsal(Trip)
    trip.create()
    stable_id = trip.stable_id("flight")

    trip.send("call_off")
    assert (trip.running, trip.stopping) == (("undoing",), ("flight",))
    assert trip.stable_id("flight") == stable_id
    with pytest.raises(LookupError, match=r"activity 'undoing' waits for the end of: flight"):
        trip.finish("undoing")
    if succeeds:
        trip.finish("flight", "LH1")
        trip.finish("undoing")
    else:
        trip.fail("flight")

    assert trip.data.undone == (["flight"] if succeeds else [])


def test_undoing_may_hold_the_machine() -> None:
    trip = Rehearsal(Trip, answers={id: lambda data: "yes" for id in ("flight", "car", "paying")})
    trip.create()

    trip.send("hold")
    with pytest.raises(EventRejected, match="Activity 'held' holds the machine"):
        trip.send("call_off")
    for _ in range(3):
        trip.finish("held")

    assert trip.data.undone == ["paying", "car", "flight"]


def test_an_activity_that_is_stopped_at_once_was_cancelled() -> None:
    class Hasty(StateChart[Told]):
        flight = State(initial=True, invoke=activity(book, undo=cancel_flight))
        undoing = State(invoke=undo_all())
        over = State(final=True)
        leave = event(flight.to(undoing), public=False)
        done_invoke_undoing = undoing.to(over)

        def on_enter_flight(self, effects: Any) -> None:
            effects.send("leave")

    hasty = Rehearsal(Hasty, answers={"flight": lambda data: "LH1"})
    hasty.create()

    assert hasty.configuration == ("over",)
    assert hasty.stopping == ()
