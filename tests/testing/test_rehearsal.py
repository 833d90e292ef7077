"""`Rehearsal`: its clock, the outcomes that a test gives, its errors, and what it keeps."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from statemachine import State, StateChart

from durable_fsm import Effects, Incoming, Webhook, at, durable, event, free, gone
from durable_fsm.core.effects import Cancel, Send, StartActivity, StopActivity
from durable_fsm.core.snapshot import Status
from durable_fsm.errors import (
    ActionError,
    AlreadyStarted,
    EventRejected,
    Finished,
    Forbidden,
    Gone,
    InvalidPayload,
    NotStarted,
    SnapshotUnreadable,
    TerminalError,
    UnknownEvent,
)
from durable_fsm.testing import Rehearsal
from tests.testing.rehearsed import (
    HOUR,
    MINUTE,
    NOTHING,
    SECOND,
    Bells,
    Gate,
    Order,
    Page,
    Till,
    Tower,
    charging,
    ringing,
)

# ── the clock ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_clock_starts_at_zero_and_moves_only_by_hand() -> None:
    tower = ringing()
    assert tower.now == NOTHING

    tower.advance(SECOND)

    assert tower.now == SECOND


def test_a_timer_rings_at_its_moment_and_not_before() -> None:
    tower = ringing()

    tower.advance(MINUTE - timedelta(microseconds=1))
    assert tower.data.rung == []
    tower.advance(timedelta(microseconds=1))

    assert tower.data.rung == ["first", "second"]


def test_timers_ring_in_the_order_of_their_moments_and_then_of_their_arming() -> None:
    tower = ringing()

    tower.advance(10 * MINUTE)

    assert tower.data.rung == ["first", "second", "echo", "late"]


def test_a_timer_that_a_ring_arms_counts_from_that_ring() -> None:
    tower = ringing()

    tower.advance(MINUTE + 29 * SECOND)
    assert "echo" not in tower.data.rung
    tower.advance(SECOND)

    assert tower.data.rung[-1] == "echo"


def test_to_advance_by_nothing_rings_only_a_timer_that_is_due_now() -> None:
    class Quick(StateChart[Bells]):
        waiting = State(initial=True)
        over = State(final=True)
        begin = event(waiting.to.itself(internal=True))
        end = event(waiting.to(over), public=False)

        def on_begin(self, effects: Effects) -> None:
            effects.send("end", after=timedelta(milliseconds=1))

    quick = Rehearsal(Quick)
    quick.send("begin")

    quick.advance(NOTHING)
    assert quick.configuration == ("waiting",)
    quick.advance(timedelta(milliseconds=1))
    quick.advance(NOTHING)

    assert quick.configuration == ("over",)


def test_the_clock_does_not_go_back() -> None:
    tower = ringing()

    with pytest.raises(ValueError, match="the clock cannot go back: 'by' is -1 day, 23:59:59"):
        tower.advance(-SECOND)

    assert tower.now == NOTHING


def test_leaving_a_state_cancels_its_timer() -> None:
    gate = Rehearsal(Gate, answers={"asking": lambda data: "yes"})
    page = Rehearsal(Page)
    page.create()
    assert page.timers == {"later": MINUTE}

    page.send("tear")
    gate.send("ask", 1)

    assert (page.timers, page.due) == ({}, {})
    assert [type(effect) for effect in page.effects] == [Send, Cancel]
    assert gate.due == {}


def test_timers_shows_how_long_each_has_left() -> None:
    tower = ringing()

    tower.advance(20 * MINUTE)

    assert tower.timers == {"close": 40 * MINUTE}


def test_a_timer_set_to_an_instant_counts_from_the_beginning_that_the_test_chose() -> None:
    @durable()
    class Loan(StateChart[dict[str, Any]]):
        lent = State(initial=True)
        overdue = State(final=True)
        miss = at(lambda data: datetime(2030, 1, 2, tzinfo=UTC), lent.to(overdue))

    loan = Rehearsal(Loan, began=datetime(2030, 1, 1, tzinfo=UTC))
    loan.create()

    loan.advance(timedelta(hours=23))
    assert loan.timers == {"miss": HOUR}
    loan.advance(HOUR)

    assert loan.configuration == ("overdue",)


# ── activities ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_activity_runs_until_the_test_finishes_it() -> None:
    order = charging()
    assert order.running == ("charging",)

    receipt = order.finish("charging", "receipt-1")

    assert (receipt.event, receipt.outcome, receipt.configuration) == ("done.invoke.charging", "taken", ("paid",))
    assert (order.running, order.data.receipt) == ((), "receipt-1")


def test_an_activity_fails_with_the_type_message_and_code_that_the_test_gives() -> None:
    order = charging()

    order.fail("charging", "declined", type="CardError", code=402)

    assert (order.configuration, order.data.trouble) == (("cart",), "CardError/402: declined")


def test_a_failure_without_a_message_gets_one() -> None:
    order = charging()

    order.fail("charging")

    assert order.data.trouble == "TerminalError/None: activity 'charging' failed"


def test_an_answer_ends_the_activity_at_once_and_receives_the_data() -> None:
    order = charging(charging=lambda data: f"receipt for {data.cents}")

    assert (order.configuration, order.data.receipt) == (("paid",), "receipt for 500")


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (ValueError("no card"), "ValueError/None: no card"),
        (TerminalError("declined", code=402), "TerminalError/402: declined"),
    ],
    ids=["any", "terminal"],
)
def test_an_error_of_an_answer_is_the_error_of_the_activity(error: Exception, trouble: str) -> None:
    def refuse(data: Till) -> str:
        raise error

    assert charging(charging=refuse).data.trouble == trouble


def test_an_activity_whose_state_is_left_is_stopped() -> None:
    order = charging()

    order.send("rest")

    assert any(isinstance(effect, StopActivity) for effect in order.effects)
    assert (order.running, order.stopping) == ((), ("charging",))


def test_an_activity_that_was_stopped_can_still_say_that_it_had_succeeded() -> None:
    order = charging()
    order.send("rest")

    order.finish("charging", "receipt-1")

    assert (order.configuration, order.stopping, order.undo) == (("cart",), (), ("charging",))


def test_what_undoes_is_answered_by_its_own_name_and_receives_the_result() -> None:
    refunded: list[str] = []
    order = charging(charging=lambda data: "receipt-1", refund=refunded.append)
    assert order.undo == ("charging",)

    order.send("revoke")

    assert (refunded, order.configuration, order.undo) == (["receipt-1"], ("over",), ())


def test_what_undoes_without_an_answer_waits_for_the_test() -> None:
    order = charging(charging=lambda data: "receipt-1")
    order.send("revoke")
    assert order.running == ("sold_out",)

    order.finish("sold_out")

    assert order.configuration == ("over",)


def test_a_stable_id_belongs_to_one_run_of_an_activity() -> None:
    order = charging()
    first = order.stable_id("charging")
    assert order.stable_id("charging") == first

    order.fail("charging")
    order.send("pay", 500)

    assert order.stable_id("charging") != first


@pytest.mark.parametrize("end", [Rehearsal.finish, Rehearsal.fail], ids=["finish", "fail"])
def test_an_activity_that_does_not_run_cannot_be_ended(end: Any) -> None:
    order = charging()

    with pytest.raises(LookupError, match="Order/o-1: activity 'refunding' is not running; running: charging"):
        end(order, "refunding")
    order.finish("charging")
    with pytest.raises(LookupError, match="activity 'charging' is not running; running: none"):
        end(order, "charging")


def test_an_exclusive_activity_holds_the_machine_until_the_test_ends_it() -> None:
    gate = Rehearsal(Gate, key="g")
    receipt = gate.send("ask", 1)
    assert receipt.configuration == ("asking",)

    with pytest.raises(EventRejected, match="Activity 'asking' holds the machine: finish or fail it first"):
        gate.send("ask", 2)
    gate.finish("asking")

    assert gate.configuration == ("open",)


def test_a_timer_that_falls_due_while_the_machine_is_held_waits_for_it() -> None:
    gate = Rehearsal(Gate)
    gate.send("ask", 1)

    gate.advance(HOUR)
    assert gate.configuration == ("asking",)
    gate.finish("asking")

    assert (gate.configuration, gate.now) == (("open",), HOUR)


def test_an_exclusive_activity_with_an_answer_ends_within_the_turn() -> None:
    gate = Rehearsal(Gate, answers={"asking": lambda data: "yes"})

    assert gate.send("ask", 1).configuration == ("open",)


# ── what was stored, and how it ends ──────────────────────────────────────────────────────────────────────────────────


def test_a_stored_machine_goes_on_where_it_was() -> None:
    before = ringing()
    before.advance(MINUTE)
    assert before.stored is not None

    after_ = Rehearsal(Tower, snapshot=before.stored)
    after_.advance(HOUR)

    assert (after_.configuration, after_.data.rung[:2]) == (("over",), ["first", "second"])


def test_a_stored_machine_may_be_given_as_json_that_was_read() -> None:
    stored = ringing().stored
    assert stored is not None

    assert Rehearsal(Tower, snapshot=json.loads(stored)).configuration == ("ringing",)


def test_a_snapshot_that_cannot_be_read_says_whose_it_is() -> None:
    with pytest.raises(SnapshotUnreadable, match=r"^Tower/t-1: the stored snapshot cannot be read: "):
        Rehearsal(Tower, key="t-1", snapshot={"format": 1})


def test_every_microstep_and_every_effect_is_kept_in_order() -> None:
    order = charging()
    order.finish("charging", "receipt-1")

    assert [microstep.event for microstep in order.trace] == [None, "pay", "done.invoke.charging"]
    assert [type(effect) for effect in order.effects] == [StartActivity, Send, Cancel]  # the last two: its deadline
    assert [type(effect) for effect in ringing().effects] == [Send, Send, Send, Send]


def test_data_is_a_copy_that_the_machine_does_not_see() -> None:
    order = charging()

    order.data.cents = 1

    assert order.data.cents == 500


def test_a_machine_that_is_freed_after_its_end_can_start_again() -> None:
    @durable(after_end=free(HOUR))
    class Short(StateChart[Till]):
        first = State(initial=True)
        last = State(final=True)
        end = event(first.to(last))

    short = Rehearsal(Short)
    short.send("end")
    assert short.status is Status.DONE

    former = short.snapshot.life

    short.advance(HOUR)
    assert short.stored is None

    assert short.send("end").outcome == "taken"
    assert short.snapshot.life != former


def test_a_machine_that_is_gone_after_its_end_says_so() -> None:
    @durable(after_end=gone(HOUR))
    class Short(StateChart[Till]):
        first = State(initial=True)
        last = State(final=True)
        end = event(first.to(last))

    short = Rehearsal(Short, key="s")
    short.send("end")

    short.advance(HOUR)

    with pytest.raises(Gone, match=r"^Short/s: "):
        short.send("end")
    with pytest.raises(Gone):
        _ = short.configuration


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_machine_is_created_once_and_the_same_request_is_answered_again() -> None:
    order = Rehearsal(Order, key="o-1")

    assert order.create({"cents": 5}).outcome == "created"
    assert order.create({"cents": 5}).outcome == "exists"
    with pytest.raises(AlreadyStarted, match=r"^Order/o-1: "):
        order.create({"cents": 6})


def test_a_machine_that_was_never_started_has_nothing_to_look_at() -> None:
    order = Rehearsal(Order, key="o-1")

    assert order.stored is None
    with pytest.raises(NotStarted, match=r"^Order/o-1: there is no such machine"):
        _ = order.configuration


@pytest.mark.parametrize(
    ("name", "payload", "error", "words"),
    [
        ("payed", None, UnknownEvent, r"^Order/o-1: there is no event 'payed'.* Did you mean 'pay'\?"),
        ("revoke", None, EventRejected, r"^Order/o-1: event 'revoke' is not accepted in state 'cart'"),
        ("note", 1, Forbidden, r"^Order/o-1: event 'note' is private"),
        ("pay", "five", InvalidPayload, r"^Order/o-1: payload of 'pay' does not fit"),
    ],
)
def test_a_refused_event_raises_what_the_host_answers_and_changes_nothing(
    name: str, payload: object, error: type[Exception], words: str
) -> None:
    order = Rehearsal(Order, key="o-1")
    order.create()
    before = order.stored

    with pytest.raises(error, match=words):
        order.send(name, payload)

    assert order.stored == before


def test_an_event_is_received_from_the_source_that_names_it() -> None:
    strike = Incoming("strike", key="bell-1")

    @durable(webhooks=[Webhook("clock", lambda request: strike, signature=None, events=("strike",))])
    class Bell(StateChart):
        silent = State(initial=True)
        rung = State()
        strike = event(silent.to(rung), public=False)
        mute = event(rung.to(silent), public=False)

    bell = Rehearsal(Bell)
    with pytest.raises(Forbidden, match="event 'strike' is private: only webhook 'clock' sends it"):
        bell.send("strike")

    assert bell.receive(strike).configuration == ("rung",)
    with pytest.raises(Forbidden):
        bell.receive(Incoming("mute"))


def test_an_event_after_the_end_is_refused() -> None:
    order = charging(charging=lambda data: "r", refund=lambda result: None)
    order.send("revoke")

    with pytest.raises(Finished, match=r"^Order/o-1: the machine has ended in 'over'"):
        order.send("pay", 1)


def test_an_error_of_a_callback_is_raised_with_its_cause_and_changes_nothing() -> None:
    class Broken(StateChart[Till]):
        first = State(initial=True)
        go = event(first.to.itself(internal=True))

        def on_go(self, data: Till) -> None:
            data.cents = 1
            raise KeyError("total")

    broken = Rehearsal(Broken, key="b")
    broken.create()

    with pytest.raises(ActionError, match=r"^Broken/b: ") as caught:
        broken.send("go")

    assert isinstance(caught.value.__cause__, KeyError)
    assert broken.data.cents == 0


def test_a_definition_that_is_not_a_chart_is_refused() -> None:
    with pytest.raises(TypeError, match="is not a statechart"):
        Rehearsal(5)


def test_the_leaves_are_the_innermost_states_and_the_configuration_has_all() -> None:
    class House(StateChart):
        class open(State.Parallel):
            class door(State.Compound):
                ajar = State(initial=True)
                wide = State()
                push = ajar.to(wide)

            class light(State.Compound):
                on = State(initial=True)

        left = State(final=True)
        leave = open.to(left)

    house = Rehearsal(House)
    house.send("push")

    assert house.leaves == ("wide", "on") == house.snapshot.configuration
    assert house.configuration == ("open", "door", "wide", "light", "on")
    house.send("leave")
    assert house.leaves == house.configuration == ("left",)
