"""Messages to any machine: how they are addressed, and what becomes of those that come back."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from durable_fsm.core.address import (
    LONGEST_KEY,
    address,
    chart_name,
    child_key,
    is_address,
    is_child_key,
    parted,
    written,
)
from durable_fsm.core.chart import Policies
from durable_fsm.core.codec import milliseconds
from durable_fsm.core.effects import Outcome, Post
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.messages import ChildEnd, Message, Parent, Returned, Route, route
from durable_fsm.core.snapshot import ChildMachine, PendingSend, Snapshot, Status
from durable_fsm.core.step import step
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import EventRejected, Finished
from tests.building import Driven, action, chart, edge

SECOND = timedelta(seconds=1)


def sending(to: Any, *, after: timedelta = timedelta(0), id: str | None = None) -> Driven:
    send = action(lambda scope: scope.effects.send("hello", 1, after=after, id=id, to=to), "send")
    return Driven(chart("a\nb", edge("a", "go", "b", actions=[send])))


class Named: ...


class Renamed:
    __durable__ = SimpleNamespace(name="Parcel")


PARCEL = chart("a", name="Parcel")


@pytest.mark.parametrize("definition", ["Parcel", Renamed, PARCEL, SimpleNamespace(name="Parcel: ")])
def test_a_message_goes_to_a_definition_and_a_key(definition: object) -> None:
    machine = sending((definition, "p-1"), id="m1")

    machine.take("go")

    assert machine.last.effects == (Post("Parcel/p-1", "hello", 1, "m1"),)


def test_a_class_that_nothing_is_said_of_has_its_own_name() -> None:
    assert chart_name(Named) == "Named"


def test_a_message_may_wait_and_is_kept_with_its_address() -> None:
    machine = sending((PARCEL, "p/1"), after=SECOND)

    machine.take("go")

    (waiting,) = machine.snapshot.timers
    assert waiting == PendingSend("life.2.1", "hello", milliseconds(SECOND), payload=1, to="Parcel/p/1")
    due = step(machine.chart, machine.snapshot, Event("timer", origin=Origin.PLATFORM, token=waiting.token))
    assert due.effects == (Post("Parcel/p/1", "hello", 1),)


@pytest.mark.parametrize("to", [("Parcel",), ("Parcel", ""), ("Parcel", 1), (object(), "k"), ("a/b", "k"), 5])
def test_what_is_no_address_is_refused(to: Any) -> None:
    with pytest.raises(TypeError):
        written(to)


def test_a_key_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        written(("Parcel", "\ud800"))


def test_a_key_that_is_too_long_for_restate_is_refused_with_its_size() -> None:
    longest = "k" * LONGEST_KEY

    assert written(("Parcel", longest)) == f"Parcel/{longest}"
    with pytest.raises(ValueError, match=r"the key 'kkkkkkkkkkkkkkkkkkkk…' has 2,049 bytes; a key has 2,048 at most"):
        written(("Parcel", f"{longest}k"))


def test_addresses_are_told_from_other_receivers() -> None:
    assert [to for to in ("Parcel/p", "#_x/y", "Parcel", "Parcel/", "/p", "#_parent") if is_address(to)] == ["Parcel/p"]
    assert parted(address("Parcel", "a/b")) == ("Parcel", "a/b")


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        (child_key("o-17", "letter", "0123456789ab.2.1"), True),
        (child_key("o/17", "a/b", "0123456789ab.2.1.3.4"), True),
        ("0123456789ab.2.1", False),
        ("o-17/letter/0123456789ab", False),
        ("o-17", False),
    ],
)
def test_the_key_of_a_child_is_seen_to_be_one(key: str, is_one: bool) -> None:
    assert is_child_key(key) is is_one


# ── what comes back ───────────────────────────────────────────────────────────────────────────────────────────────────

ERROR = Finished(chart="Parcel", event="hello", configuration=("over",))
SENT = Message("hello", chart="Order", key="o-1", life="life", to="Parcel/p-1", sendid="m1")
BACK = Returned.of(SENT.letter, "Finished", str(ERROR), 410)


def test_what_was_not_taken_says_what_and_why() -> None:
    facts: Json = {"event": "hello", "to": "Parcel/p-1", "sendid": "m1"}

    assert Returned(Failure("Finished", str(ERROR), 410, facts, source="Parcel/p-1"), "life") == BACK
    assert Returned.of(Message("hello", to="x").letter, "X", "x").error.metadata == {"event": "hello", "to": "x"}


def test_a_chart_that_listens_is_told() -> None:
    listening = chart("a", edge("a", "error.communication"))

    assert BACK.for_receiver(listening) == Event("error.communication", BACK.error, Origin.PLATFORM, sendid="m1")
    bare = Returned(Failure("X", "x"))
    assert bare.for_receiver(listening) == Event("error.communication", Failure("X", "x"), Origin.PLATFORM)


def test_a_chart_that_does_not_listen_is_not_told() -> None:
    assert BACK.for_receiver(chart("a", edge("a", "go"))) is None


def test_what_comes_back_where_nobody_listens_now_changes_nothing() -> None:
    machine = Driven(chart("a\nb", edge("b", "error.communication", "a")))
    event = BACK.for_receiver(machine.chart)
    assert event is not None

    result = machine.take(event)

    assert result.outcome is Outcome.IGNORED
    assert result.snapshot.status is Status.RUNNING


def test_a_message_to_nobody_does_not_fail_its_sender() -> None:
    machine = sending("#_nobody")

    result = machine.take("go")

    assert result.snapshot.status is Status.RUNNING
    assert result.trace[0].raised == ("error.communication",)


# ── where a message goes, and what it is there ────────────────────────────────────────────────────────────────────────

SENDER = Snapshot("Order", "1", "d", ("a",), {}, 1, Status.RUNNING, "life")
CHILDREN = {"life.2.1": ChildMachine("life.2.1", "letter", "Letter", "a", 0)}
OFFICE = Parent("Office", "f-1", "up.1", "order")


def routed(to: str, parent: Parent | None = OFFICE) -> Route | None:
    return route(Post(to, "hello", 1, "m1"), SENDER, "o-1", CHILDREN, parent)


@pytest.mark.parametrize(
    ("to", "chart_name", "key", "event"),
    [
        ("Parcel/p-1", "Parcel", "p-1", Event("hello", 1, sendid="m1", sender="Order/o-1")),
        (
            "life.2.1",
            "Letter",
            "o-1/letter/life.2.1",
            Event("hello", 1, Origin.MACHINE, sendid="m1", sender="Order.life"),
        ),
        (
            "#_parent",
            "Office",
            "f-1",
            Event("hello", 1, Origin.MACHINE, token="up.1", sendid="m1", sender="Order.life"),
        ),
    ],
)
def test_a_message_finds_its_receiver_and_says_who_sent_it(to: str, chart_name: str, key: str, event: Event) -> None:
    found = routed(to)

    assert found is not None
    assert (found.chart, found.key) == (chart_name, key)
    assert found.message.for_receiver() == changed(event, letter=found.message.letter)


def test_the_sender_is_told_how_a_child_was_addressed() -> None:
    found = routed("life.2.1")

    assert found is not None
    assert Returned.of(found.message.letter, "X", "x").error.source == "#_letter"


def test_a_message_to_a_parent_or_a_child_that_does_not_exist_goes_nowhere() -> None:
    assert routed("#_parent", None) is None
    assert routed("life.9.9") is None


PLACE = "Letter/f-1/order/up.1"


@pytest.mark.parametrize(
    ("end", "event"),
    [
        (
            ChildEnd.of(changed(SENDER, status=Status.DONE, output=7), OFFICE),
            Event("done.invoke.order", 7, Origin.PLATFORM, token="up.1", invokeid="order"),
        ),
        (
            ChildEnd.of(
                changed(SENDER, chart="Letter", status=Status.FAILED, failure=Failure("Torn", "it is")), OFFICE
            ),
            Event(
                "error.invoke.order",
                Failure("Torn", "it is", machine=PLACE),
                Origin.PLATFORM,
                token="up.1",
                invokeid="order",
            ),
        ),
        (
            ChildEnd.lost("Letter", OFFICE, "lost", "gone"),
            Event(
                "error.invoke.order",
                Failure("lost", "gone", source="order", machine=PLACE),
                Origin.PLATFORM,
                token="up.1",
                invokeid="order",
            ),
        ),
    ],
)
def test_a_parent_hears_how_its_child_ended(end: ChildEnd, event: Event) -> None:
    assert end.for_receiver() == event


# ── how messages are taken ────────────────────────────────────────────────────────────────────────────────────────────


def message(name: str, payload: object = None) -> Event:
    return Event(name, payload, Origin.MACHINE, sender="Friend/f-1")


def test_a_message_may_be_private_and_is_rejected_if_nothing_takes_it() -> None:
    machine = Driven(chart("a\nb", edge("a", "done.by.other", "b"), policies=Policies()))

    with pytest.raises(EventRejected, match="'nonsense' is not accepted"):
        machine.take(message("nonsense"))
    assert machine.take(message("done.by.other")).outcome is Outcome.TAKEN


def test_a_message_is_deferred_and_ignored_as_an_event_is() -> None:
    made = chart("a\nb", edge("b", "note"), edge("b", "noise"), defers={"a": ["note"]}, ignores={"a": ["noise"]})

    assert Driven(made).take(message("note")).snapshot.deferred[0].event == "note"
    assert Driven(made).take(message("noise")).outcome is Outcome.IGNORED
