"""Turns: the caller's event and all that follows from it in one invocation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from durable_fsm.core import turn as turns
from durable_fsm.core.chart import Activity, Chart, Hosting, Timer
from durable_fsm.core.effects import Cancel, Outcome, Send, StartActivity, StopActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.receipt import Receipt
from durable_fsm.core.scope import NOW, Scope
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.turn import Turn
from durable_fsm.errors import ActionError, AlreadyStarted, EventRejected, NotStarted
from tests.building import Members, action, chart, edge, fails, note

MINUTE = timedelta(minutes=1)

DOOR = """
    shut
    opening
    opened
    stuck
"""


def work() -> None: ...


HOLDING = Activity("hold", "work", work, exclusive=True)
BACKGROUND = Activity("look", "work", work, deadline=None)


def send(event: str, after: timedelta = NOW, id: str | None = None, payload: object = None) -> object:
    return action(lambda s: s.effects.send(event, payload, after=after, id=id), f"send {event}")


def cancel(id: str) -> object:
    return action(lambda s: s.effects.cancel(id), f"cancel {id}")


def begun(made: Chart) -> Snapshot:
    turn = Turn(made, None, seed="first")
    turn.create(None, life="life", created_from="")
    assert turn.next_call() is None
    return turn.machine


def turn_on(made: Chart) -> Turn:
    return Turn(made, begun(made), seed="seed")


def door(**rest: object) -> Chart:
    edges = (
        edge("shut", "push", "opening"),
        edge("opening", "done.invoke.hold", "opened", actions=[action(lambda s: s.event.payload, "tell")]),
        edge("opening", "error.invoke.hold", "stuck", actions=[action(lambda s: s.event.payload.type, "tell")]),
    )
    return chart(DOOR, *edges, activities={"opening": [HOLDING]}, **rest)  # type: ignore[arg-type]


# ── beginning ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_creating_twice_from_the_same_input_starts_once() -> None:
    made = chart(DOOR)
    turn = Turn(made, None, seed="")

    assert turn.create({"log": ["x"]}, life="life", created_from="hash") is True
    assert turn.changed
    machine = turn.machine
    again = Turn(made, machine, seed="")
    assert again.create({"log": ["x"]}, life="other", created_from="hash") is False
    assert not again.changed
    assert again.machine is machine
    assert machine.life == "life"


def test_creating_from_other_input_is_refused() -> None:
    turn = turn_on(chart(DOOR))

    with pytest.raises(AlreadyStarted) as caught:
        turn.create({"log": []}, life="", created_from="other")

    assert str(caught.value) == (
        "Order: the machine exists, created with other data, and is in state 'shut'. Use another key, or 'delete' it"
        " first."
    )


def test_a_machine_whose_data_has_defaults_begins_by_itself() -> None:
    turn = Turn(chart(DOOR), None, seed="")

    turn.autostart(life="life")
    machine = turn.machine
    turn.autostart(life="another")

    assert machine.configuration == ("shut",)
    assert turn.machine is machine


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ({"hosting": Hosting(create_first=True)}, "Order: there is no such machine. Start it with 'create'."),
        (
            {"data": Members(log=[], total=int)},
            (
                "Order: there is no such machine. Start it with 'create': its data has no defaults (expected int, got"
                " NoneType at $.total)."
            ),
        ),
    ],
)
def test_a_machine_that_cannot_begin_by_itself_says_so(rest: dict[str, object], message: str) -> None:
    turn = Turn(chart(DOOR, **rest), None, seed="")  # type: ignore[arg-type]

    with pytest.raises(NotStarted) as caught:
        turn.autostart(life="")

    assert str(caught.value) == message


def test_an_event_for_a_machine_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        NotStarted, match="Order: there is no such machine\\. Its first event starts it, or 'create'\\."
    ):
        Turn(chart(DOOR, edge("shut", "push")), None, seed="").take(Event("push"))


def test_a_delivery_to_a_machine_that_is_not_there_is_stale() -> None:
    turn = Turn(chart(DOOR), None, seed="")

    turn.begin()

    assert turn.deliver(Event("timer", token="x")) is Outcome.STALE
    assert turn.parked == []


# ── draining ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_machine_sends_itself_without_delay_is_taken_in_the_same_turn_in_order() -> None:
    made = chart(
        DOOR,
        edge("shut", "push", actions=[send("one"), send("two")]),
        edge("shut", "one", actions=[note("one"), send("three")]),
        edge("shut", "two", actions=[note("two")]),
        edge("shut", "three", actions=[note("three"), action(lambda s: "last", "tell")]),
    )
    turn = turn_on(made)

    assert turn.take(Event("push")) is Outcome.TAKEN
    assert turn.next_call() is None

    assert turn.machine.data == {"log": ["one", "two", "three"]}
    assert turn.machine.timers == ()
    assert turn.take_effects() == []
    assert turn.reply == "last"
    assert [microstep.event for microstep in turn.trace] == ["push", "one", "two", "three"]
    assert turn.machine.seq == 5


def test_a_timer_without_delay_is_over_in_the_same_turn() -> None:
    made = chart(
        DOOR,
        edge("shut", "push", "opening"),
        edge("opening", "pass", "opened"),
        timers={"opening": [Timer("pass", NOW)]},
    )
    turn = turn_on(made)

    turn.take(Event("push"))
    assert turn.next_call() is None

    assert turn.machine.configuration == ("opened",)
    assert turn.take_effects() == []


def test_a_cancelled_message_to_oneself_never_arrives() -> None:
    made = chart(DOOR, edge("shut", "push", actions=[send("one", id="x"), cancel("x")]), edge("shut", "one"))
    turn = turn_on(made)

    turn.take(Event("push"))

    assert turn.next_call() is None
    assert turn.take_effects() == []
    assert [microstep.event for microstep in turn.trace] == ["push"]


def test_a_machine_that_sends_itself_events_for_ever_lets_others_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "DRAINED", 3)
    made = chart(DOOR, edge("shut", "again", actions=[note("x"), send("again")]))
    turn = turn_on(made)

    turn.take(Event("again"))
    assert turn.next_call() is None

    assert turn.machine.data == {"log": ["x"] * 4}
    assert turn.take_effects() == [Send("life.5.1", "again", NOW)]


# ── effects ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_armed_and_disarmed_since_the_last_save_is_left_out() -> None:
    made = chart(
        DOOR,
        edge("shut", "push", "opening"),
        edge("opening", "", "opened"),
        timers={"opening": [Timer("late", MINUTE)], "opened": [Timer("close", MINUTE)]},
        activities={"opened": [BACKGROUND]},
    )
    turn = turn_on(made)

    turn.take(Event("push"))

    assert turn.take_effects() == [
        Send("life.2.2", "close", MINUTE),
        StartActivity("life.2.3", "look", 2, exclusive=False),
    ]
    assert turn.take_effects() == []


def test_what_was_armed_before_the_last_save_is_disarmed() -> None:
    made = chart(
        DOOR,
        edge("shut", "push", "opening"),
        edge("opening", "pull", "shut"),
        timers={"opening": [Timer("late", MINUTE)]},
        activities={"opening": [BACKGROUND]},
    )
    turn = turn_on(made)
    turn.take(Event("push"))
    turn.take_effects()

    turn.take(Event("pull"))

    assert turn.take_effects() == [Cancel("life.2.1"), StopActivity("life.2.2")]


def test_a_turn_knows_what_is_still_to_be_saved() -> None:
    turn = turn_on(chart(DOOR, edge("shut", "push", "opened")))

    assert not turn.changed
    turn.take(Event("push"))
    assert turn.changed
    turn.saved()
    assert not turn.changed


def test_a_refused_event_changes_nothing() -> None:
    turn = turn_on(chart(DOOR, edge("opened", "pull", "shut")))

    with pytest.raises(EventRejected):
        turn.take(Event("pull"))

    assert not turn.changed
    assert turn.take_effects() == []


# ── exclusive activities ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_exclusive_activity_is_handed_to_the_host_and_its_outcome_goes_on_in_the_turn() -> None:
    turn = turn_on(door())
    turn.take(Event("push"))

    call = turn.next_call()

    assert call == StartActivity("life.2.1", "hold", 2, exclusive=True)
    assert turn.take_effects() == []
    turn.saved()
    assert turn.deliver(Event("done.invoke.hold", "wide", Origin.PLATFORM, token=call.token)) is Outcome.TAKEN
    assert turn.next_call() is None
    assert turn.machine.configuration == ("opened",)
    assert turn.reply == "wide"


def test_an_exclusive_activity_whose_state_was_left_is_not_called() -> None:
    made = chart(
        DOOR,
        edge("shut", "push", "opening", actions=[send("stop")]),
        edge("opening", "stop", "shut"),
        activities={"opening": [HOLDING]},
    )
    turn = turn_on(made)

    turn.take(Event("push"))

    assert turn.next_call() is None
    assert turn.machine.configuration == ("shut",)
    assert turn.take_effects() == []


def test_an_exclusive_activity_found_running_was_lost_with_its_turn() -> None:
    first = turn_on(door())
    first.take(Event("push"))
    first.next_call()

    turn = Turn(first.chart, first.machine, seed="next")
    turn.begin()

    assert turn.changed
    assert turn.machine.configuration == ("stuck",)
    assert turn.reply == "lost"
    assert turn.machine.activities == ()


def test_what_is_lost_and_not_handled_fails_the_machine() -> None:
    made = chart(DOOR, edge("shut", "push", "opening"), activities={"opening": [HOLDING]})
    first = turn_on(made)
    first.take(Event("push"))

    turn = Turn(made, first.machine, seed="next")
    turn.begin()

    assert turn.machine.status is Status.FAILED
    assert turn.machine.failure == Failure("lost", "activity 'hold' was interrupted and did not answer.")


def test_background_work_found_running_is_left_alone() -> None:
    made = chart(DOOR, edge("shut", "push", "opening"), activities={"opening": [BACKGROUND]})
    first = turn_on(made)
    first.take(Event("push"))

    turn = Turn(made, first.machine, seed="next")
    turn.begin()

    assert not turn.changed


# ── parking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_drained_event_that_fails_is_parked_and_the_caller_is_not_harmed() -> None:
    made = chart(
        DOOR,
        edge("shut", "push", "opened", actions=[action(lambda s: "in", "tell"), send("break"), send("go_on")]),
        edge("opened", "break", actions=[fails()]),
        edge("opened", "go_on", actions=[note("went on")]),
    )
    turn = turn_on(made)

    assert turn.take(Event("push")) is Outcome.TAKEN
    assert turn.next_call() is None

    assert turn.reply == "in"
    assert turn.machine.data == {"log": ["went on"]}
    assert [one.event.token for one in turn.parked] == ["life.2.1"]
    assert [timer.token for timer in turn.machine.timers] == ["life.2.1"]


def test_a_parked_outcome_is_not_taken_for_lost() -> None:
    broken: list[bool] = [True]

    def sometimes(scope: Scope) -> None:
        if broken[0]:
            raise ValueError("this deployment has a mistake")

    made = chart(
        DOOR,
        edge("shut", "push", "opening"),
        edge("opening", "done.invoke.hold", "opened", actions=[action(sometimes)]),
        activities={"opening": [HOLDING]},
    )
    first = turn_on(made)
    first.take(Event("push"))
    call = first.next_call()
    assert call is not None
    outcome = Event("done.invoke.hold", "wide", Origin.PLATFORM, token=call.token)
    assert first.deliver(outcome) is None
    assert [(one.event, type(one.error)) for one in first.parked] == [(outcome, ActionError)]
    assert [(one.event, one.outcome, type(one.error)) for one in first.log[1:]] == [
        ("done.invoke.hold", "parked", ActionError)
    ]
    assert [running.parked for running in first.machine.activities] == [True]

    broken[0] = False
    turn = Turn(made, first.machine, seed="next")
    turn.begin()
    assert not turn.changed
    assert turn.deliver(outcome) is Outcome.TAKEN
    assert turn.machine.configuration == ("opened",)

    broken[0] = True
    turn = Turn(made, first.machine, seed="later")
    assert turn.deliver(outcome, again=True) is None
    assert (turn.changed, turn.log) == (False, [])


# ── receipts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_receipt_says_where_the_machine_is_and_what_was_replied() -> None:
    inside = chart("a\nb\n    c\n", edge("a", "go", "b", actions=[action(lambda s: 7, "tell")]))
    turn = turn_on(inside)
    outcome = turn.take(Event("go"))

    receipt = Receipt.of(inside, "o-17", turn.machine, event="go", outcome=outcome.value, reply=turn.reply)

    assert receipt == Receipt("Order", "o-17", 2, "go", "taken", ("b", "c"), Status.RUNNING, 7)


def test_all_macrosteps_of_a_turn_share_its_seed_and_differ_all_the_same() -> None:
    def draw(s: Scope) -> object:
        return s.data["log"].append(s.ids.random.random())  # type: ignore[index]

    made = chart(
        DOOR,
        edge("shut", "push", actions=[action(draw, "draw"), send("one")]),
        edge("shut", "one", actions=[action(draw, "draw")]),
    )

    def drawn() -> object:
        turn = turn_on(made)
        turn.take(Event("push"))
        turn.next_call()
        return turn.machine.data

    assert drawn() == drawn()
    assert len(set(drawn()["log"])) == 2  # type: ignore[index]
