"""A stored machine goes on under a newer version of its chart."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from durable_fsm.core.chart import Child, Spawn, Timer
from durable_fsm.core.effects import Cancel, Send, StartActivity, StartMachine, StopActivity, StopMachine
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.migration import Migration, OldEvent, OldMachine, path_from
from durable_fsm.core.snapshot import Status
from durable_fsm.core.step import active_in
from durable_fsm.core.upgrade import Upgrade, upgrade
from durable_fsm.core.values import changed
from durable_fsm.errors import MigrationError, VersionError
from tests.building import Driven, Members, chart, edge, fails, note
from tests.core.newer import HOUR, job, moved, newer, refusal

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


def test_the_names_of_a_machine_lead_from_its_own_version_to_the_last() -> None:
    there = chart("basket\ncart\nshipped final", edge("basket", "pay", "cart"), edge("cart", "ship", "shipped"))
    back = Migration("2", "3", states={"cart": "basket", "settled": "cart"})

    taken = upgrade(newer("3", there, TO_SECOND, back), Driven(FIRST).snapshot).upgrade
    assert taken is not None
    assert taken.renames == {"paid": "cart", "cart": "basket"}

    away, anew = Migration("1", "2", states={"cart": "basket"}), Migration("2", "3", states={"cart": "paid"})
    other = chart("basket\npaid\nshipped final", edge("basket", "pay", "paid"), edge("paid", "ship", "shipped"))
    taken = upgrade(newer("3", other, away, anew), Driven(FIRST).snapshot).upgrade
    assert taken is not None
    assert taken.renames == {"cart": "basket"}


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
        (lambda old: old.configuration.clear(), "no state at all is active."),
        (
            lambda old: setattr(old, "configuration", ["gone"]),
            "it leads to state 'gone', which the chart does not have.",
        ),
        (lambda old: setattr(old, "configuration", [""]), "it leads to state '', which the chart does not have."),
        (
            lambda old: setattr(old, "configuration", ["both"]),
            "it leads to 'both', which is not a leaf: name a state inside it.",
        ),
        (lambda old: old.configuration.append("b"), "states 'a', 'b' cannot be active together."),
        (lambda old: setattr(old, "configuration", ["x1"]), "'both' is active, and nothing inside 'y' is."),
        (
            lambda old: setattr(old, "configuration", ["end"]),
            "'end' is final: a machine ends by its own transitions only.",
        ),
        (
            lambda old: old.deferred.append(OldEvent("go", None, "new")),
            "it added something that was not pending before;",
        ),
        (
            lambda old: old.data["log"].append(object()),
            "it left values of the wrong type: TypeError: object has no form",
        ),
        (lambda old: setattr(old, "configuration", None), "it left values of the wrong type: TypeError:"),
        (lambda old: sys.exit(3), "<lambda> raised SystemExit: 3."),
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
        " The snapshot has not changed. Fix the migration and deploy again."
    )


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
CARD = chart("writing", name="Card")


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


@pytest.mark.parametrize(
    "declared",
    [
        Child("letter", lambda _: Spawn(CARD), chart=CARD),
        Child("letter", lambda _: Spawn(LETTER), chart=LETTER, each=list),
        Child("letter", lambda _: Spawn(LETTER), chart=LETTER, on_demand=True),
    ],
    ids=["another chart", "one for each item", "on demand"],
)
def test_a_machine_whose_child_is_declared_differently_is_not_migrated(declared: Child) -> None:
    child = Child("letter", lambda _: Spawn(LETTER), chart=LETTER)
    old = Driven(chart("a\nb", edge("a", "go", "b"), machines={"a": [child]}))
    new = chart("a\nb", edge("a", "go", "b"), machines={"a": [declared]})

    with pytest.raises(MigrationError, match="of state 'a' runs 'Letter', and the chart now declares"):
        upgrade(newer("2", new, Migration("1", "2")), old.snapshot)


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
