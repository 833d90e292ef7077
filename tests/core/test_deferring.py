"""Events that a state keeps for later, or takes no notice of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from durable_fsm.core.chart import Chart, EventType
from durable_fsm.core.codec import snapshot_from_json, snapshot_to_json
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.effects import Cancel, Outcome, Send, Step
from durable_fsm.core.events import Event, Failure
from durable_fsm.core.messages import Message
from durable_fsm.core.program import index_of
from durable_fsm.core.questions import Acceptance, acceptance_of
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import MOST_DEFERRED, MOST_DEFERRED_BYTES, recall, start, step
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import changed
from durable_fsm.errors import ActionError, EventRejected, Finished, TooManyDeferred
from tests.building import Driven, action, chart, edge, fails, guard, note, raises

DESK = """
    free
    busy
        reading
        writing
    closed final
"""
EDGES = (
    edge("free", "begin", "busy"),
    edge("reading", "write", "writing"),
    edge("busy", "rest", "free"),
    edge("free", "ask", actions=[action(lambda s: s.data["log"].append(s.event.payload), "answer")]),
    edge("free", "close", "closed"),
)


def desk(*edges: object, **rest: object) -> Chart:
    return chart(DESK, *EDGES, *edges, **rest)  # type: ignore[arg-type]


DEFERRING = desk(defers={"busy": ["ask", "close"]})


def turned(made: Chart, machine: Snapshot, name: str, payload: object = None) -> Turn:
    """Let a turn take an event to its end."""
    turn = Turn(made, machine, seed="s")
    turn.take(Event(name, payload))
    assert turn.next_call() is None
    return turn


def busy(made: Chart = DEFERRING) -> Snapshot:
    return step(made, start(made, life="life").snapshot, Event("begin")).snapshot


# ── keeping ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_an_active_state_defers_is_kept_with_its_payload() -> None:
    result = step(DEFERRING, busy(), Event("ask", {"n": 1}))

    assert result.outcome is Outcome.DEFERRED
    assert result.effects == result.trace == ()
    (kept,) = result.snapshot.deferred
    assert (kept.event, kept.payload) == ("ask", {"n": 1})
    assert result.snapshot.seq == busy().seq + 1


def test_deferred_events_survive_json() -> None:
    machine = step(DEFERRING, busy(), Event("ask", {"n": 1})).snapshot

    assert snapshot_from_json(DEFERRING, snapshot_to_json(machine)) == machine


def test_a_descriptor_defers_whatever_it_selects() -> None:
    made = desk(edge("free", "order.new"), defers={"busy": ["order"]}, events=[EventType("order.new")])

    assert step(made, busy(made), Event("order.new")).outcome is Outcome.DEFERRED
    with pytest.raises(EventRejected):
        step(made, busy(made), Event("close"))


def test_a_transition_of_the_deferring_state_or_inside_it_comes_first() -> None:
    made = desk(defers={"busy": ["write", "rest"]})

    assert step(made, busy(made), Event("write")).outcome is Outcome.TAKEN
    assert step(made, busy(made), Event("rest")).outcome is Outcome.TAKEN


def test_a_transition_around_the_deferring_state_waits() -> None:
    made = desk(defers={"reading": ["rest"]})
    machine = step(made, busy(made), Event("rest")).snapshot
    assert machine.configuration == ("reading",)

    turn = turned(made, machine, "write")

    assert turn.machine.configuration == ("free",)
    assert [taken.event for taken in turn.log] == ["write", "rest"]


def test_a_guard_that_says_no_leaves_the_event_to_be_deferred() -> None:
    made = desk(edge("reading", "skip", "writing", guards=[guard(lambda s: False, "may")]), defers={"busy": ["skip"]})

    assert step(made, busy(made), Event("skip")).outcome is Outcome.DEFERRED


def test_a_region_that_takes_the_event_is_enough() -> None:
    made = chart(
        """
        both parallel
            left
                a
                b
            right
                c
        """,
        edge("a", "go", "b"),
        defers={"c": ["go"]},
    )
    machine = start(made).snapshot

    first = step(made, machine, Event("go"))
    assert first.outcome is Outcome.TAKEN
    assert step(made, first.snapshot, Event("go")).outcome is Outcome.DEFERRED


def test_what_a_machine_raises_itself_is_never_deferred() -> None:
    made = desk(edge("reading", "poke", actions=[raises("ask")]), defers={"busy": ["ask"]})

    assert step(made, busy(made), Event("poke")).snapshot.deferred == ()


def test_a_machine_keeps_a_thousand_events_at_most() -> None:
    machine = busy()
    for number in range(MOST_DEFERRED):
        machine = step(DEFERRING, machine, Event("ask", number)).snapshot

    with pytest.raises(
        TooManyDeferred, match="event 'ask' cannot be deferred: 1000 events are deferred already"
    ) as caught:
        step(DEFERRING, machine, Event("ask"))
    assert caught.value.waiting == MOST_DEFERRED


def test_a_machine_keeps_so_many_bytes_at_most() -> None:
    machine = step(DEFERRING, busy(), Event("ask", "x" * (MOST_DEFERRED_BYTES - 2))).snapshot

    with pytest.raises(TooManyDeferred):
        step(DEFERRING, machine, Event("ask", 1))


# ── taking up ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_deferred_events_are_taken_in_order_once_nothing_defers_them() -> None:
    machine = busy()
    for number in (1, 2, 3):
        machine = step(DEFERRING, machine, Event("ask", number)).snapshot

    turn = turned(DEFERRING, machine, "rest")

    assert turn.machine.data == {"log": [1, 2, 3]}
    assert turn.machine.deferred == ()
    assert [(taken.event, taken.seq) for taken in turn.log] == [("rest", 6), ("ask", 7), ("ask", 8), ("ask", 9)]
    assert [bool(taken.token) for taken in turn.log] == [False, True, True, True]


def test_an_event_that_is_still_deferred_stays_and_others_pass_it() -> None:
    made = desk(edge("writing", "ask"), defers={"reading": ["ask", "close"], "writing": ["close"]})
    machine = step(made, busy(made), Event("close")).snapshot
    machine = step(made, machine, Event("ask")).snapshot

    turn = turned(made, machine, "write")

    assert [kept.event for kept in turn.machine.deferred] == ["close"]


def test_a_guard_may_let_a_deferred_event_through_after_another_event() -> None:
    ready = guard(lambda s: "ready" in s.data["log"], "ready")
    made = desk(
        edge("reading", "prepare", actions=[note("ready")]),
        edge("reading", "skip", "writing", guards=[ready]),
        defers={"busy": ["skip"]},
    )
    machine = step(made, busy(made), Event("skip")).snapshot

    assert turned(made, machine, "prepare").machine.configuration == ("writing",)


def test_an_event_that_its_guard_still_refuses_does_not_hold_up_the_next() -> None:
    made = desk(
        edge("reading", "skip", "writing", guards=[guard(lambda s: False, "may")]),
        edge("reading", "turn", "writing", guards=[guard(lambda s: "ready" in s.data["log"], "ready")]),
        edge("reading", "prepare", actions=[note("ready")]),
        defers={"busy": ["skip", "turn"]},
    )
    machine = step(made, step(made, busy(made), Event("skip")).snapshot, Event("turn")).snapshot

    turn = turned(made, machine, "prepare")

    assert turn.machine.configuration == ("writing",)
    assert [kept.event for kept in turn.machine.deferred] == ["skip"]


def test_a_recall_that_is_deferred_again_changes_nothing() -> None:
    machine = step(DEFERRING, busy(), Event("ask")).snapshot

    result = recall(DEFERRING, machine, machine.deferred[0], seed="")

    assert (result.snapshot, result.outcome) == (machine, Outcome.DEFERRED)


def test_a_deferred_event_that_nothing_takes_any_more_is_dropped_and_its_sender_told() -> None:
    made = desk(edge("busy", "lock", "free"), defers={"busy": ["write"]})
    machine = step(made, changed(busy(made), configuration=("writing",)), Event("write")).snapshot

    turn = turned(made, machine, "lock")

    assert turn.machine.deferred == ()
    assert turn.log[-1].outcome == "rejected"
    assert isinstance(turn.log[-1].error, EventRejected)
    assert turn.machine.seq == turn.log[-1].seq


def test_a_deferred_event_whose_action_fails_spoils_nobody_elses_turn() -> None:
    made = desk(edge("free", "stumble", actions=[fails()]), defers={"busy": ["stumble", "ask"]})
    machine = step(made, step(made, busy(made), Event("stumble")).snapshot, Event("ask", 1)).snapshot

    turn = turned(made, machine, "rest")

    assert isinstance(turn.log[1].error, ActionError)
    assert turn.machine.data == {"log": [1]}


def test_a_deferred_message_still_knows_its_sender() -> None:
    noted = action(lambda s: s.data["log"].append(s.event.sender), "note_sender")
    made = desk(edge("free", "tell", actions=[noted]), defers={"busy": ["tell"]})
    machine = step(made, busy(made), Event("tell", sender="Clerk/c-1")).snapshot
    assert snapshot_from_json(made, snapshot_to_json(machine)) == machine

    assert turned(made, machine, "rest").machine.data == {"log": ["Clerk/c-1"]}


def test_a_callback_turns_deferred_events_away_and_their_senders_are_told_why() -> None:
    refuses = action(lambda s: s.effects.refuse("ask", "the desk closes early"), "refuse")
    made = desk(edge("busy", "refuse", actions=[refuses]), defers={"busy": ["ask", "close"]})
    machine = busy(made)
    for name in ("ask", "close", "ask"):
        machine = step(made, machine, Event(name)).snapshot

    turn = turned(made, machine, "refuse")

    assert [kept.event for kept in turn.machine.deferred] == ["close"]
    assert [(taken.event, taken.outcome, taken.seq) for taken in turn.log] == [
        ("refuse", "taken", machine.seq + 1),
        ("ask", "rejected", machine.seq + 2),
        ("ask", "rejected", machine.seq + 3),
    ]
    error = turn.log[1].error
    assert isinstance(error, EventRejected)
    assert (error.event, error.reason) == ("ask", "the desk closes early")
    assert turn.machine.seq == machine.seq + 3


def test_a_deferred_message_that_is_dropped_goes_back_to_its_sender() -> None:
    made = desk(edge("busy", "lock", "free"), defers={"busy": ["write"]})
    machine = changed(busy(made), configuration=("writing",))
    message = Message("write", chart="Clerk", key="c-1", life="life", to="Order/o-1")
    machine = step(made, machine, message.for_receiver()).snapshot
    machine = step(made, machine, Event("write")).snapshot
    assert snapshot_from_json(made, snapshot_to_json(machine)) == machine

    turn = turned(made, machine, "lock")

    [bounced] = turn.bounced
    assert bounced.letter == message.letter
    assert isinstance(bounced.error, EventRejected)


def test_the_time_limit_of_an_event_that_is_turned_away_ends() -> None:
    refuses = action(lambda s: s.effects.refuse("*", "no more"), "refuse")
    made = desk(edge("busy", "refuse", actions=[refuses]), defers={"busy": ["ask"]})
    made = replace(made, hosting=replace(made.hosting, defer_for=HOUR))
    deferred = step(made, busy(made), Event("ask"))
    (limit,) = deferred.effects

    turn = turned(made, deferred.snapshot, "refuse")

    assert turn.machine.timers == ()
    assert turn.take_effects() == [Cancel(limit.token)]


def test_what_a_failed_step_would_have_turned_away_stays() -> None:
    refuses = action(lambda s: s.effects.refuse("ask", "no more"), "refuse")
    made = desk(edge("busy", "refuse", actions=[refuses, fails()]), defers={"busy": ["ask"]})
    machine = step(made, busy(made), Event("ask")).snapshot
    turn = Turn(made, machine, seed="s")

    with pytest.raises(ActionError):
        turn.take(Event("refuse"))

    assert turn.machine is machine


def test_the_end_of_the_machine_ends_the_waiting() -> None:
    machine = busy()
    for name in ("close", "ask"):
        machine = step(DEFERRING, machine, Event(name)).snapshot

    turn = turned(DEFERRING, machine, "rest")

    assert turn.machine.status is Status.DONE
    assert isinstance(turn.log[-1].error, Finished)


def test_a_failed_machine_keeps_what_it_deferred() -> None:
    machine = step(DEFERRING, busy(), Event("ask")).snapshot
    turn = Turn(DEFERRING, machine, seed="")

    turn.change("fail", failing)

    assert turn.next_call() is None
    assert len(turn.machine.deferred) == 1


def failing(machine: Snapshot) -> Step:
    return Step(changed(machine, configuration=("free",), status=Status.FAILED, failure=Failure("a", "b")))


def test_a_chart_that_no_longer_knows_a_deferred_event_does_not_fit() -> None:
    machine = step(DEFERRING, busy(), Event("ask")).snapshot
    assert incompatibility(DEFERRING, machine) is None
    later = chart(DESK, *[found for found in EDGES if found.events != ("ask",)])

    assert incompatibility(later, machine) == "Event 'ask' is deferred, which the chart no longer knows."


# ── ignoring ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_an_active_state_ignores_changes_nothing() -> None:
    made = desk(ignores={"busy": ["ask"]})
    machine = busy(made)

    result = step(made, machine, Event("ask"))

    assert (result.outcome, result.snapshot) == (Outcome.IGNORED, machine)


def test_of_two_states_that_say_something_the_inner_one_decides() -> None:
    made = desk(defers={"busy": ["ask"]}, ignores={"reading": ["ask", "rest"]})

    assert step(made, busy(made), Event("ask")).outcome is Outcome.IGNORED
    writing = step(made, busy(made), Event("write")).snapshot
    assert step(made, writing, Event("ask")).outcome is Outcome.DEFERRED


def test_what_a_state_ignores_may_still_be_taken_around_it() -> None:
    made = desk(ignores={"reading": ["rest"]})

    assert step(made, busy(made), Event("rest")).outcome is Outcome.TAKEN


def test_the_chart_itself_may_defer_and_ignore() -> None:
    made = desk(ignores={"": ["ask"]}, defers={"": ["write"]})

    assert step(made, busy(made), Event("ask")).outcome is Outcome.IGNORED
    machine = step(made, start(made).snapshot, Event("write")).snapshot
    assert turned(made, machine, "begin").machine.configuration == ("writing",)


@pytest.mark.parametrize("where", ["closed", ""], ids=["the final state", "the chart"])
def test_a_machine_that_has_ended_ignores_what_its_chart_declares(where: str) -> None:
    made = desk(ignores={where: ["ask"]})
    machine = step(made, start(made).snapshot, Event("close")).snapshot

    assert step(made, machine, Event("ask")) == Step(machine, outcome=Outcome.IGNORED)
    with pytest.raises(Finished):
        step(made, machine, Event("begin"))
    answers = acceptance_of(made, machine)
    assert (answers["ask"], answers["begin"]) == (Acceptance.IGNORED, Acceptance.NO)


def test_a_deferred_event_is_ignored_when_the_machine_ends_and_ignores_it() -> None:
    made = desk(defers={"busy": ["ask", "close"]}, ignores={"closed": ["ask"]})
    machine = busy(made)
    for name in ("close", "ask"):
        machine = step(made, machine, Event(name)).snapshot

    turn = turned(made, machine, "rest")

    assert (turn.machine.status, turn.machine.deferred) == (Status.DONE, ())
    assert (turn.log[-1].event, turn.log[-1].outcome) == ("ask", "ignored")


def test_a_name_that_a_sender_made_up_is_not_remembered() -> None:
    made = desk(edge("free", "x.*"), ignores={"busy": ["x.*"]})
    machine = busy(made)

    for name in ("x.a", "x.b"):
        assert step(made, machine, Event(name)).outcome is Outcome.IGNORED
    assert not any("x.a" in key for key in index_of(made).stances)


def test_a_machine_says_what_it_would_do() -> None:
    made = desk(defers={"busy": ["ask"]}, ignores={"busy": ["close"]}, events=[EventType("other")])

    answers = acceptance_of(made, busy(made))

    assert answers == {
        "ask": Acceptance.DEFERRED,
        "begin": Acceptance.NO,
        "close": Acceptance.IGNORED,
        "other": Acceptance.NO,
        "rest": Acceptance.YES,
        "write": Acceptance.YES,
    }


def test_the_log_of_a_turn_has_every_change() -> None:
    driven = Driven(DEFERRING)
    turn = Turn(DEFERRING, driven.snapshot, seed="")

    turn.take(Event("begin"))
    turn.take(Event("ask"))

    assert [(taken.event, taken.outcome, taken.seq) for taken in turn.log] == [
        ("begin", "taken", 2),
        ("ask", "deferred", 3),
    ]
    assert turn.log[0].trace[0].entered == ("busy", "reading")


# ── for a limited time ────────────────────────────────────────────────────────────────────────────────────────────────

HOUR = timedelta(hours=1)
LIMITED = replace(DEFERRING, hosting=replace(DEFERRING.hosting, defer_for=HOUR))


def test_an_event_is_deferred_for_a_limited_time() -> None:
    turn = turned(LIMITED, busy(LIMITED), "ask", 1)
    [limit] = turn.machine.timers

    assert turn.take_effects() == [Send("life.3.1", "ask", HOUR)]
    assert (limit.event, limit.deferred) == ("ask", turn.machine.deferred[0].token)
    assert incompatibility(LIMITED, turn.machine) is None

    later = Turn(LIMITED, turn.machine, seed="s")
    assert later.deliver(Event("timer", token=limit.token)) is Outcome.TAKEN

    assert (later.machine.deferred, later.machine.timers, later.take_effects()) == ((), (), [])
    [told] = later.log
    assert (told.event, told.outcome, told.token) == ("ask", "rejected", "life.3.0")
    assert str(told.error) == "Order: event 'ask' was deferred for 1:00:00, and no state accepted it. Send it again."
    assert later.deliver(Event("timer", token=limit.token)) is Outcome.STALE


def test_the_limit_ends_with_the_deferral() -> None:
    waiting = turned(LIMITED, busy(LIMITED), "ask", 1).machine

    taken = turned(LIMITED, waiting, "rest")

    assert (taken.machine.timers, taken.machine.deferred) == ((), ())
    assert [effect for effect in taken.take_effects() if isinstance(effect, Cancel)] == [Cancel("life.3.1")]


def test_the_limit_ends_when_the_event_cannot_be_taken_after_all() -> None:
    broken = desk(edge("free", "stumble", actions=[fails()]), defers={"busy": ["stumble"]})
    limited = replace(broken, hosting=replace(broken.hosting, defer_for=HOUR))
    waiting = turned(limited, busy(limited), "stumble").machine

    dropped = turned(limited, waiting, "rest")

    assert (dropped.machine.timers, dropped.machine.deferred) == ((), ())
    assert dropped.take_effects() == [Cancel("life.3.1")]


def test_an_event_that_is_still_deferred_keeps_its_limit() -> None:
    waiting = turned(LIMITED, busy(LIMITED), "ask", 1).machine

    moved = turned(LIMITED, waiting, "write")

    assert (moved.machine.configuration, moved.machine.timers) == (("writing",), waiting.timers)
