"""`Rehearsal`: the children of a machine, and messages between machines."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Effects, Failure, defer, event, machine
from durable_fsm.core.effects import Post, StartActivity
from durable_fsm.testing import Rehearsal
from tests.testing.rehearsed import HOUR, MINUTE, SECOND, Gate, Order, Page, Till

# ── children ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Book(StateChart[Till]):
    planned = State(initial=True)
    writing = State(invoke=machine(Page, id="page", input=("cents",)))
    bound = State(final=True)
    given_up = State()
    begin = event(planned.to(writing), int)
    drop = writing.to(given_up)
    plan = given_up.to(planned)
    done_invoke_page = writing.to(bound)
    error_invoke_page = writing.to(given_up)

    def on_begin(self, data: Till, payload: int) -> None:
        data.cents = payload

    def on_done_invoke_page(self, data: Till, result: str) -> None:
        data.receipt = result


def writing(**answers: Any) -> Rehearsal:
    book = Rehearsal(Book, key="b", answers=answers)
    book.send("begin", 7)
    return book


def test_a_child_is_a_rehearsal_of_its_own_on_the_same_clock() -> None:
    book = writing()
    page = book.machines["page"]
    assert (page.configuration, page.data.cents) == (("writing",), 7)
    assert page.key.startswith("b/page/")

    page.advance(SECOND)

    assert book.now == page.now == SECOND


def test_the_output_of_a_child_is_the_result_of_its_parent() -> None:
    book = writing()

    book.advance(MINUTE)

    assert (book.configuration, book.data.receipt, dict(book.machines)) == (("bound",), "page for 7", {})


def test_the_activities_of_a_child_are_answered_by_the_answers_of_its_parent() -> None:
    book = writing(proving=lambda data: "fine")

    book.machines["page"].send("prove")

    assert book.configuration == ("bound",)


def test_a_child_that_its_parent_leaves_is_gone_and_its_timers_with_it() -> None:
    book = writing()

    book.send("drop")
    book.advance(HOUR)

    assert (book.configuration, dict(book.machines), book.data.receipt) == (("given_up",), {}, None)


def test_a_child_that_is_stopped_undoes_its_work() -> None:
    class Shelf(StateChart[Till]):
        filling = State(initial=True, invoke=machine(Order, id="order"))
        empty = State(final=True)
        clear = filling.to(empty)
        done_invoke_order = filling.to(empty)
        error_invoke_order = filling.to(empty)

    refunded: list[str] = []
    shelf = Rehearsal(Shelf, answers={"charging": lambda data: "receipt-1", "refund": refunded.append})
    shelf.create()
    shelf.machines["order"].send("pay", 5)

    shelf.send("clear")

    assert refunded == ["receipt-1"]


def test_without_a_machine_there_are_no_children() -> None:
    assert dict(Rehearsal(Book).machines) == {}


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Ears(BaseModel):
    heard: list[str] = []


class Friend(StateChart[Ears]):
    home = State(initial=True)
    away = State()
    tell = event(home.to.itself(internal=True), str)
    hear = event(home.to.itself(internal=True), str)
    leave = event(home.to(away))
    return_ = event(away.to(home))
    error_communication = home.to.itself(internal=True)

    def on_tell(self, payload: str, effects: Effects) -> None:
        effects.send("hear", payload, to=(Friend, payload))

    def on_hear(self, data: Ears, payload: str) -> None:
        data.heard.append(payload)

    def on_error_communication(self, data: Ears, error: Failure) -> None:
        data.heard.append(f"{error.type} from {error.source}")


def test_a_message_reaches_a_machine_beside_and_starts_it_if_needed() -> None:
    ada = Rehearsal(Friend, key="ada")
    bob = Rehearsal(Friend, key="bob", beside=ada)
    assert bob.stored is None

    ada.send("tell", "bob")

    assert (bob.data.heard, ada.posted) == (["bob"], [])


def test_a_message_to_a_machine_that_is_not_rehearsed_is_recorded() -> None:
    ada = Rehearsal(Friend, key="ada")

    ada.send("tell", "eve")

    assert [(post.to, post.event, post.payload) for post in ada.posted] == [("Friend/eve", "hear", "eve")]
    assert all(isinstance(post, Post) for post in ada.posted)


class Sleeper(StateChart[Ears]):
    """Sends a whisper to another, which hears it when it is awake."""

    awake = State(initial=True)
    asleep = State()
    tell = event(awake.to.itself(internal=True), str)
    whisper = event(awake.to.itself(internal=True), str)
    sleep = event(awake.to(asleep))
    shut_ears = event(asleep.to.itself(internal=True))
    error_communication = awake.to.itself(internal=True)

    defer(asleep, "whisper")

    def on_tell(self, payload: str, effects: Effects) -> None:
        effects.send("whisper", "psst", to=(Sleeper, payload))

    def on_shut_ears(self, effects: Effects) -> None:
        effects.refuse("whisper", "No whispers.")

    def on_error_communication(self, data: Ears, error: Failure) -> None:
        data.heard.append(error.message)


def test_a_deferred_message_that_is_turned_away_comes_back_to_its_sender() -> None:
    ada = Rehearsal(Sleeper, key="ada")
    bob = Rehearsal(Sleeper, key="bob", beside=ada)
    bob.send("sleep")
    ada.send("tell", "bob")
    assert ada.data.heard == []

    bob.send("shut_ears")

    [told] = ada.data.heard
    assert "event 'whisper' is not accepted in state 'asleep'. No whispers." in told


def test_a_message_that_is_refused_comes_back_to_its_sender() -> None:
    ada = Rehearsal(Friend, key="ada")
    bob = Rehearsal(Friend, key="bob", beside=ada)
    bob.send("leave")

    ada.send("tell", "bob")

    assert ada.data.heard == ["EventRejected from Friend/bob"]


def test_a_message_to_a_held_machine_waits_until_the_machine_is_free() -> None:
    class Asker(StateChart[Ears]):
        idle = State(initial=True)
        ask = event(idle.to.itself(internal=True))

        def on_ask(self, effects: Effects) -> None:
            effects.send("ask", 1, to=(Gate, "g"))

    gate = Rehearsal(Gate, key="g")
    asker = Rehearsal(Asker, beside=gate)
    gate.send("ask", 1)
    asker.send("ask")
    assert gate.configuration == ("asking",)

    gate.fail("asking")

    assert gate.configuration == ("asking",)
    assert len([effect for effect in gate.effects if isinstance(effect, StartActivity)]) == 2
