"""Machines of one version of a chart that live on in another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from durable_fsm.core.chart import Activity, Chart, Child, Spawn, Timer
from durable_fsm.core.effects import Cancel, Send, StartActivity, StartMachine, Step, StopActivity, StopMachine
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.migration import Migration, OldEvent, OldMachine, path_from
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import active_in
from durable_fsm.core.turn import Turn
from durable_fsm.core.upgrade import Upgrade, settle, upgrade
from durable_fsm.core.values import changed
from durable_fsm.errors import MigrationError, VersionError
from tests.building import Driven, Members, action, chart, edge, fails, hosted, note

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def work() -> None: ...


def job(id: str, **rest: Any) -> Activity:
    return Activity(id, "work", work, **rest)


def newer(version: str, made: Chart, *migrations: Migration, kept: tuple[Chart, ...] = ()) -> Chart:
    return hosted(replace(made, version=version, kept=kept), migrations=migrations)


def moved(new: Chart, old: Snapshot) -> tuple[Snapshot, Step]:
    """The machine as it arrives, and the step that makes it agree with its chart."""
    taken = upgrade(new, old)
    assert taken.upgrade is not None
    return taken.machine, settle(taken.chart, taken.machine, taken.upgrade, seed="seed")


def refusal(new: Chart, old: Snapshot) -> str:
    with pytest.raises(MigrationError) as caught:
        moved(new, old)
    return caught.value.problem


# ── which chart takes a machine up ────────────────────────────────────────────────────────────────────────────────────

FIRST = chart("cart\npaid\nshipped final", edge("cart", "pay", "paid"), edge("paid", "ship", "shipped"))
SECOND = chart("cart\nsettled\nshipped final", edge("cart", "pay", "settled"), edge("settled", "ship", "shipped"))
THIRD = chart("basket\nsettled\nshipped final", edge("basket", "pay", "settled"), edge("settled", "ship", "shipped"))
TO_SECOND = Migration("1", "2", states={"paid": "settled"})
TO_THIRD = Migration("2", "3", states={"cart": "basket"})


def test_a_machine_of_the_charts_own_version_is_taken_up_as_it_is() -> None:
    machine = Driven(FIRST).snapshot

    assert upgrade(FIRST, machine) == (FIRST, machine, None)


def test_migrations_lead_from_version_to_version() -> None:
    new = newer("3", THIRD, TO_SECOND, TO_THIRD)
    machine = Driven(FIRST)

    assert moved(new, machine.snapshot)[1].snapshot.configuration == ("basket",)
    machine.take("pay")
    arrived, step = moved(new, machine.snapshot)
    assert arrived.configuration == step.snapshot.configuration == ("settled",)
    assert (step.snapshot.version, step.snapshot.seq) == ("3", machine.snapshot.seq + 1)
    assert path_from("1", "3", [TO_SECOND]) is None
    assert path_from("1", "3", [TO_SECOND, Migration("2", "1")]) is None


def test_a_machine_lives_on_under_the_chart_that_is_kept_for_it() -> None:
    old = newer("2", SECOND, TO_SECOND)
    new = newer("3", THIRD, kept=(old,))
    machine = Driven(FIRST)
    machine.take("pay")

    assert upgrade(new, Driven(old).snapshot) == (old, Driven(old).snapshot, None)
    taken = upgrade(new, machine.snapshot)
    assert (taken.chart, taken.machine.configuration) == (old, ("settled",))
    assert [new.of(version) for version in ("2", "3", "1")] == [old, new, new]


def test_a_version_that_nothing_leads_from_is_refused_and_the_answer_says_which_are_read() -> None:
    new = newer("3", THIRD, TO_THIRD, kept=(newer("2b", SECOND),))

    with pytest.raises(VersionError) as caught:
        upgrade(new, Driven(FIRST).snapshot)

    assert caught.value.what == (
        "the snapshot was written by chart version '1'; this deployment reads '3', '2', '2b'."
        " Deploy version '1' beside it, or add a migration."
    )


def test_a_machine_that_does_not_fit_its_own_version_is_refused() -> None:
    machine = Driven(FIRST)
    machine.take("pay")

    with pytest.raises(VersionError, match="in state 'paid', which the chart no longer has"):
        upgrade(SECOND, machine.snapshot)


# ── names and data ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_code_changes_the_data_in_place_and_the_data_must_fit() -> None:
    def split(old: OldMachine) -> None:
        old.data["first"], old.data["last"] = old.data.pop("who").split()

    before = Driven(chart("a", data=Members(who="Ada Lovelace"))).snapshot
    new = chart("a", data=Members(first=str, last=str))

    _, step = moved(newer("2", new, Migration("1", "2", change=split)), before)
    assert step.snapshot.data == {"first": "Ada", "last": "Lovelace"}
    assert before.data == {"who": "Ada Lovelace"}
    assert refusal(newer("2", new, Migration("1", "2")), before) == (
        "its data does not fit Members: expected str, got NoneType at $.first."
    )


def test_history_is_renamed_and_forgotten_where_nothing_has_it_any_more() -> None:
    states = "on\n    a\n    b\n    memory history\noff"
    old = Driven(chart(states, edge("a", "go", "b"), edge("on", "stop", "off"), edge("off", "back", "memory")))
    old.take("go")
    old.take("stop")
    new = chart(
        "on\n    a\n    c\n    last history\noff",
        edge("a", "go", "c"),
        edge("on", "stop", "off"),
        edge("off", "back", "last"),
    )

    _, step = moved(newer("2", new, Migration("1", "2", states={"b": "c", "memory": "last"})), old.snapshot)
    assert step.snapshot.history == {"last": ("c",)}
    taken = upgrade(newer("2", new, Migration("1", "2", states={"memory": "last"})), old.snapshot)
    assert taken.machine.history == {}
    assert taken.upgrade is not None
    assert taken.upgrade.note == {"from": "1", "to": "2", "dropped": ["last"]}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda old: old.configuration.clear(), "it leads to no state at all."),
        (
            lambda old: setattr(old, "configuration", ["gone"]),
            "it leads to state 'gone', which the chart does not have.",
        ),
        (lambda old: setattr(old, "configuration", [""]), "it leads to state '', which the chart does not have."),
        (
            lambda old: setattr(old, "configuration", ["both"]),
            "it leads to 'both', which is no leaf: name a state inside it.",
        ),
        (lambda old: old.configuration.append("b"), "states 'a', 'b' cannot be active together."),
        (lambda old: setattr(old, "configuration", ["x1"]), "'both' is active, and nothing inside 'y' is."),
        (
            lambda old: setattr(old, "configuration", ["end"]),
            "'end' is final: a machine ends by its own transitions only.",
        ),
        (
            lambda old: old.deferred.append(OldEvent("go", None, "new")),
            "it made something up that was not pending before;",
        ),
        (
            lambda old: old.data["log"].append(object()),
            "it left something else than it found: TypeError: object has no form",
        ),
        (lambda old: setattr(old, "configuration", None), "it left something else than it found: TypeError:"),
        (lambda old: old.data["missing"], "<lambda> raised KeyError: 'missing'."),
    ],
)
def test_a_migration_leads_to_a_machine_of_the_chart_or_is_refused(
    change: Callable[[OldMachine], object], problem: str
) -> None:
    states = "a\nb\nboth parallel\n    x\n        x1\n        x2\n    y\n        y1\nend final"
    old = chart(states, edge("a", "go", "b", "both", "end"))

    assert refusal(newer("2", old, Migration("1", "2", change=change)), Driven(old).snapshot).startswith(problem)


def test_a_migration_that_is_refused_says_what_to_do() -> None:
    new = newer("2", SECOND, Migration("1", "2"))
    machine = Driven(FIRST)
    machine.take("pay")

    with pytest.raises(MigrationError) as caught:
        upgrade(new, machine.snapshot)

    assert caught.value.what == (
        "the migration from version '1' to '2' cannot be done: it leads to state 'paid', which the chart does not have."
        " The snapshot was left as it is. Fix the migration and deploy again."
    )


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


# ── deferred events, children, ends ───────────────────────────────────────────────────────────────────────────────────


def test_deferred_events_are_renamed_or_dropped() -> None:
    old = Driven(
        chart("a\nb", edge("b", "ask"), edge("b", "tell"), edge("a", "go", "b"), defers={"a": ["ask", "tell"]})
    )
    old.take("ask", 1)
    old.take("tell", 2)
    new = chart("a\nb", edge("b", "beg"), edge("a", "go", "b"), defers={"a": ["beg"]})

    taken = upgrade(newer("2", new, Migration("1", "2", events={"ask": "beg"})), old.snapshot)

    assert [(kept.event, kept.payload) for kept in taken.machine.deferred] == [("beg", 1)]
    assert taken.upgrade is not None
    assert taken.upgrade.dropped == ("tell",)


LETTER = chart("writing", name="Letter")


def test_machines_of_a_machine_are_kept_stopped_or_begun_with_their_states() -> None:
    child = Child("letter", lambda _: Spawn(LETTER))
    old = Driven(chart("a\nb", edge("a", "go", "b"), machines={"a": [child, child]}))
    first, second = old.snapshot.machines
    one = chart("c\nb", edge("c", "go", "b"), machines={"c": [child]})
    other = chart("a\nb", edge("a", "go", "b"), machines={"b": [child]})

    _, step = moved(newer("2", one, Migration("1", "2", states={"a": "c"})), old.snapshot)
    assert step.snapshot.machines == (changed(first, state="c"),)
    assert step.effects == (StopMachine(second.token),)

    def go_on(machine: OldMachine) -> None:
        machine.configuration = ["b"]

    _, step = moved(newer("2", other, Migration("1", "2", change=go_on)), old.snapshot)
    assert step.effects[:2] == (StopMachine(first.token), StopMachine(second.token))
    assert isinstance(step.effects[2], StartMachine)
    _, step = moved(
        newer("2", chart("a\nb", machines={"a": [child]}), Migration("1", "2")), Driven(chart("a")).snapshot
    )
    assert step.effects == ()


def test_a_machine_that_is_over_stays_so_in_another_version() -> None:
    done = Driven(FIRST)
    done.take("pay")
    done.take("ship")

    _, step = moved(newer("2", SECOND, TO_SECOND), done.snapshot)

    assert (step.snapshot.status, step.snapshot.configuration, step.effects) == (Status.DONE, ("shipped",), ())


def test_a_machine_that_has_failed_stays_so_and_begins_nothing() -> None:
    failed = Driven(chart("a", activities={"a": [job("charge"), job("other")]}))
    charge, _ = failed.snapshot.activities
    failed.take(Event("error.invoke.charge", Failure("Declined", "no"), Origin.PLATFORM, token=charge.token))
    new = chart("a", timers={"a": [Timer("late", HOUR)]}, activities={"a": [job("other")]})

    _, step = moved(newer("2", new, Migration("1", "2")), failed.snapshot)

    assert (step.snapshot.status, step.snapshot.activities, step.effects) == (Status.FAILED, (), ())


def test_a_machine_comes_to_rest_under_its_new_chart() -> None:
    old = Driven(chart("a\nb"))
    new = chart("a\nb", edge("a", "", "b"), entry={"a": [note("entered a")], "b": [note("entered b")]})

    _, step = moved(newer("2", new, Migration("1", "2")), old.snapshot)

    assert step.snapshot.configuration == ("b",)
    assert step.snapshot.data == {"log": ["entered b"]}


def test_a_callback_that_fails_on_the_way_refuses_the_migration() -> None:
    old = Driven(chart("a\nb"))
    new = chart("a\nb", edge("a", "", "b"), entry={"b": [fails()]})

    assert "ValueError: no way" in refusal(newer("2", new, Migration("1", "2")), old.snapshot)


def test_regions_that_are_new_are_entered_where_the_migration_says() -> None:
    old = Driven(chart("a"))
    new = chart(
        "both parallel\n    left\n        a\n    right\n        b\n        c",
        timers={"right": [Timer("late", HOUR)]},
        activities={"c": [job("call", deadline=None)]},
    )

    def fork(machine: OldMachine) -> None:
        machine.configuration = ["c", "a"]

    _, step = moved(newer("2", new, Migration("1", "2", change=fork)), old.snapshot)

    assert step.snapshot.configuration == ("a", "c")
    assert [type(effect) for effect in step.effects] == [Send, StartActivity]


def test_what_a_migration_removes_is_ended() -> None:
    def clear(machine: OldMachine) -> None:
        assert (machine.version, machine.status) == ("1", "running")
        machine.timers.clear()
        machine.activities.clear()

    made = chart("a", edge("a", "late"), timers={"a": [Timer("late", HOUR)]}, activities={"a": [job("x")]})
    old = Driven(made).snapshot

    arrived, step = moved(newer("2", made, Migration("1", "2", change=clear)), old)

    assert (arrived.timers, arrived.activities) == ((), ())
    assert {effect.token for effect in step.effects if isinstance(effect, Cancel | StopActivity)} == {
        *(timer.token for timer in old.timers),
        old.activities[0].token,
    }
    assert [timer.event for timer in step.snapshot.timers] == ["late", "error.invoke.x"]


def test_an_upgrade_says_where_from() -> None:
    assert Upgrade(("1", "2", "3"), (), frozenset(), ()).note == {"from": "1", "to": "3"}


def test_a_configuration_that_the_chart_does_not_know_is_shown_as_it_is() -> None:
    machine = Driven(chart("on\n    a\nb")).snapshot

    assert active_in(chart("on\n    a"), machine) == ("on", "a")
    assert active_in(chart("c"), machine) == ("a",)
