"""Timers and activities of a machine that goes on under a newer version of its chart."""

from __future__ import annotations

from dataclasses import replace

from durable_fsm.core.chart import Timer
from durable_fsm.core.effects import Cancel, Send, StartActivity, StopActivity
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.migration import Migration, OldMachine
from durable_fsm.core.turn import Turn
from durable_fsm.core.upgrade import upgrade
from durable_fsm.core.values import changed
from tests.building import Driven, action, chart, edge
from tests.core.newer import HOUR, MINUTE, job, moved, newer

# ── timers ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_timer_that_is_still_declared_keeps_its_time_and_others_end_or_begin() -> None:
    old = Driven(
        chart("a", edge("a", "late"), edge("a", "nag"), timers={"a": [Timer("late", HOUR), Timer("nag", HOUR)]})
    )
    late, nag = old.snapshot.timers
    new = chart(
        "a", edge("a", "lapse"), edge("a", "warn"), timers={"a": [Timer("warn", MINUTE), Timer("lapse", MINUTE)]}
    )

    arrived, step = moved(newer("2", new, Migration("1", "2", events={"late": "lapse"})), old.snapshot)

    assert arrived.timers == (changed(late, event="lapse"),)
    begun = step.snapshot.timers[1]
    assert (begun.event, begun.after, begun.state) == ("warn", MINUTE, "a")
    assert step.effects == (Cancel(nag.token), Send(begun.token, "warn", MINUTE))


def test_a_message_that_is_to_go_to_another_machine_later_is_kept_as_it_is() -> None:
    later = action(lambda scope: scope.effects.send("go", 1, after=HOUR, to=("Parcel", "p-1")), "later")
    old = Driven(chart("a\nb", edge("a", "go", "b", actions=[later])))
    old.take("go")
    [message] = old.snapshot.timers

    arrived, step = moved(
        newer("2", chart("a\nb", edge("a", "leave", "b")), Migration("1", "2", events={"go": "leave"})), old.snapshot
    )

    assert (arrived.timers, step.effects) == ((message,), ())


def test_a_timer_that_is_over_is_not_begun_again() -> None:
    old = Driven(chart("a\nb", edge("a", "nag"), edge("a", "go", "b"), timers={"a": [Timer("nag", HOUR)]}))
    new = chart("a\nb", edge("a", "remind"), edge("a", "go", "b"), timers={"a": [Timer("remind", HOUR)]})
    old.take(Event("timer", origin=Origin.PLATFORM, token=old.snapshot.timers[0].token))
    assert old.snapshot.finished == {"a": ("nag",)}

    _, step = moved(newer("2", new, Migration("1", "2", events={"nag": "remind"})), old.snapshot)
    assert (step.effects, step.snapshot.finished) == ((), {"a": ("remind",)})

    _, step = moved(newer("2", new, Migration("1", "2", states={"a": "b"})), old.snapshot)
    assert (step.effects, step.snapshot.finished) == ((), {})

    def leave(machine: OldMachine) -> None:
        machine.configuration = ["b"]

    _, step = moved(newer("2", new, Migration("1", "2", change=leave)), old.snapshot)
    assert step.snapshot.finished == {}
    old.take("go")
    assert old.snapshot.finished == {}


def test_what_a_machine_has_sent_itself_is_kept_if_anybody_knows_it() -> None:
    send = action(lambda s: (s.effects.send("ask", after=HOUR), s.effects.send("tell", after=HOUR)), "send")
    old = Driven(chart("a", edge("a", "go", actions=[send]), edge("a", "ask"), edge("a", "tell")))
    old.take("go")

    taken = upgrade(newer("2", chart("a", edge("a", "ask")), Migration("1", "2")), old.snapshot)

    assert [timer.event for timer in taken.machine.timers] == ["ask"]
    assert taken.upgrade is not None
    assert taken.upgrade.dropped == ("tell",)


# ── activities ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_work_that_is_gone_is_stopped_and_work_that_is_new_is_begun() -> None:
    old = Driven(chart("a", activities={"a": [job("old"), job("both")]}))
    gone, both = old.snapshot.activities
    deadlines = {timer.activity: timer for timer in old.snapshot.timers}
    new = chart("a", activities={"a": [job("both"), job("new", deadline=None)]})

    arrived, step = moved(newer("2", new, Migration("1", "2")), old.snapshot)

    assert (arrived.activities, arrived.timers) == ((both,), (deadlines[both.token],))
    begun = step.snapshot.activities[1]
    assert step.effects == (
        Cancel(deadlines[gone.token].token),
        StopActivity(gone.token),
        StartActivity(begun.token, "new", step.snapshot.seq, False),  # noqa: FBT003
    )


def test_work_that_is_called_like_its_state_is_renamed_with_it_and_its_outcome_finds_it() -> None:
    old = Driven(
        chart(
            "charging\npaid",
            edge("charging", "done.invoke.charging", "paid"),
            activities={"charging": [job("charging")]},
        )
    )
    [running] = old.snapshot.activities
    new = chart(
        "paying\npaid",
        edge("paying", "done.invoke.paying", "paid"),
        edge("paying", "error.invoke.paying", "paid"),
        activities={"paying": [job("paying")]},
    )
    new = newer("2", new, Migration("1", "2", states={"charging": "paying"}))

    _, step = moved(new, old.snapshot)

    assert step.effects == ()
    assert [(one.id, one.state) for one in step.snapshot.activities] == [("paying", "paying")]
    assert [timer.event for timer in step.snapshot.timers] == ["error.invoke.paying"]
    machine = Driven(new)
    machine.last = step
    assert machine.take(Event("done.invoke.charging", "ok", Origin.PLATFORM, token=running.token)).trace[0].event == (
        "done.invoke.paying"
    )
    assert machine.leaves == ("paid",)


def test_work_may_have_a_new_id_of_its_own() -> None:
    old = Driven(chart("a", activities={"a": [job("charge", deadline=None)]}))
    new = chart("a", activities={"a": [job("pay", deadline=HOUR)]})

    _, step = moved(newer("2", new, Migration("1", "2", activities={"charge": "pay"})), old.snapshot)

    assert [one.token for one in step.snapshot.activities] == [old.snapshot.activities[0].token]
    [deadline] = step.snapshot.timers
    assert (deadline.event, deadline.after, deadline.activity) == (
        "error.invoke.pay",
        HOUR,
        step.snapshot.activities[0].token,
    )


def test_a_deadline_that_is_not_declared_any_more_is_cancelled() -> None:
    old = Driven(chart("a", activities={"a": [job("charge")]}))
    new = chart("a", activities={"a": [job("charge", deadline=None)]})

    _, step = moved(newer("2", new, Migration("1", "2")), old.snapshot)

    assert step.effects == (Cancel(old.snapshot.timers[0].token),)


def test_work_that_is_over_is_not_begun_again() -> None:
    old = Driven(chart("a", edge("a", "done.invoke.mail"), activities={"a": [job("mail"), job("late")]}))
    mail, late = old.snapshot.activities
    old.take(Event("done.invoke.mail", None, Origin.PLATFORM, token=mail.token))
    assert old.snapshot.finished == {"a": ("mail",)}

    new = chart("a", edge("a", "done.invoke.post"), activities={"a": [job("post"), job("late")]})
    _, step = moved(newer("2", new, Migration("1", "2", activities={"mail": "post"})), old.snapshot)

    assert step.effects == ()
    assert step.snapshot.activities == (late,)
    assert step.snapshot.finished == {"a": ("post",)}


def test_detached_work_is_waited_for_as_long_as_the_chart_declares_it() -> None:
    start = action(lambda s: s.effects.start("mail"), "start")
    old = replace(chart("a", edge("a", "go", actions=[start]), edge("a", "done.invoke.mail")), work=(job("mail"),))
    machine = Driven(old)
    machine.take("go")

    _, step = moved(newer("2", old, Migration("1", "2")), machine.snapshot)
    assert step.snapshot.activities == machine.snapshot.activities
    _, step = moved(newer("2", chart("a"), Migration("1", "2")), machine.snapshot)
    assert step.effects == (StopActivity(machine.snapshot.activities[0].token),)


def test_exclusive_work_that_was_found_running_is_lost_before_and_after_a_migration() -> None:
    old = Driven(chart("a\nb", edge("a", "error.invoke.hold", "b"), activities={"a": [job("hold", exclusive=True)]}))
    new = newer("2", old.chart, Migration("1", "2"))
    taken = upgrade(new, old.snapshot)
    assert taken.upgrade is not None

    turn = Turn(new, taken.machine, seed="seed")
    turn.migrate(taken.upgrade)
    turn.begin()

    assert turn.machine.configuration == ("b",)
    assert [(one.event, one.note) for one in turn.log] == [
        ("migrated", {"from": "1", "to": "2"}),
        ("error.invoke.hold", None),
    ]


def test_background_work_of_an_earlier_build_is_not_lost_when_it_is_exclusive_now() -> None:
    old = Driven(chart("a\nb", edge("a", "error.invoke.hold", "b"), activities={"a": [job("hold")]}))
    now = replace(
        chart("a\nb", edge("a", "error.invoke.hold", "b"), activities={"a": [job("hold", exclusive=True)]}), version="1"
    )

    turn = Turn(now, old.snapshot, seed="seed")
    turn.begin()

    assert not turn.changed
