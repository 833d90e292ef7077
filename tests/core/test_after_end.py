"""What becomes of a machine that has ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from durable_fsm.core.chart import Timer
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.effects import Cancel, Send
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.migration import Migration
from durable_fsm.core.repair import move
from durable_fsm.core.retention import AfterEnd
from durable_fsm.core.snapshot import Status
from durable_fsm.core.step import end_of_life, step
from durable_fsm.core.upgrade import settle, upgrade
from durable_fsm.errors import Gone, NotStarted
from durable_fsm.testing import Rehearsal
from tests.building import Driven, chart, edge, hosted

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
PLAIN = chart(
    "a\nb final", edge("a", "go", "b"), edge("a", "late", "b"), edge("b", "*", "a"), timers={"a": [Timer("late", HOUR)]}
)
FREE = hosted(PLAIN, after_end=AfterEnd(DAY, free=True))
GONE = hosted(PLAIN, after_end=AfterEnd(DAY, free=False))


def test_the_end_of_a_machine_starts_a_timer_if_its_chart_says_so() -> None:
    machine = Driven(FREE)
    [late] = machine.snapshot.timers

    ended = machine.take("go")

    [timer] = ended.snapshot.timers
    assert (timer.event, timer.after, timer.state) == ("after_end", DAY, None)
    assert ended.effects == (Cancel(late.token), Send(timer.token, "after_end", DAY))
    assert incompatibility(FREE, ended.snapshot) is None
    assert end_of_life(FREE, ended.snapshot, timer.token) == FREE.hosting.after_end
    assert end_of_life(FREE, ended.snapshot, late.token) is None
    assert end_of_life(PLAIN, ended.snapshot, timer.token) is None
    assert end_of_life(FREE, Driven(FREE).snapshot, late.token) is None


def test_a_machine_whose_chart_keeps_it_by_now_only_forgets_the_timer() -> None:
    machine = Driven(FREE)
    machine.take("go")
    [timer] = machine.snapshot.timers

    after = step(PLAIN, machine.snapshot, Event("timer", origin=Origin.PLATFORM, token=timer.token))

    assert (after.snapshot.timers, after.snapshot.configuration, after.effects) == ((), ("b",), ())


def test_a_machine_that_is_moved_back_to_life_is_not_deleted() -> None:
    machine = Driven(FREE)
    machine.take("go")
    [timer] = machine.snapshot.timers

    after = move(FREE, machine.snapshot, ["a"])

    assert [one.event for one in after.snapshot.timers] == ["late"]
    assert Cancel(timer.token) in after.effects
    assert end_of_life(FREE, after.snapshot, timer.token) is None


def test_a_machine_that_has_failed_is_kept() -> None:
    failing = replace(FREE, transitions=(edge("a", "go", "b"),))
    machine = Driven(replace(failing, policies=failing.policies))
    machine.take(Event("error.invoke.x", Failure("Declined", "no"), Origin.PLATFORM))

    assert (machine.snapshot.status, machine.snapshot.timers) == (Status.FAILED, ())


def test_a_migration_gives_a_machine_that_has_ended_what_its_new_chart_says() -> None:
    kept, freed = Driven(PLAIN), Driven(FREE)
    kept.take("go")
    freed.take("go")
    [timer] = freed.snapshot.timers

    def arrived(new: object, old: object) -> tuple[object, ...]:
        chart_, machine, upgraded = upgrade(new, old)  # type: ignore[arg-type]
        assert upgraded is not None
        after = settle(chart_, machine, upgraded, seed="")
        return (*(one.event for one in after.snapshot.timers), *after.effects)

    way = (Migration("1", "2"),)
    assert arrived(hosted(replace(FREE, version="2"), migrations=way), freed.snapshot) == ("after_end",)
    assert arrived(hosted(replace(PLAIN, version="2"), migrations=way), freed.snapshot) == (Cancel(timer.token),)
    assert arrived(hosted(replace(FREE, version="2"), migrations=way), kept.snapshot)[0] == "after_end"


def test_only_a_chart_that_says_something_of_its_end_is_another_one() -> None:
    assert len({PLAIN.digest, FREE.digest, GONE.digest, hosted(PLAIN, after_end=None).digest}) == 3


def test_a_rehearsal_frees_its_key_or_is_gone() -> None:
    freed, gone = Rehearsal(FREE), Rehearsal(GONE)
    for machine in (freed, gone):
        machine.create()
        machine.send("go")
        assert machine.timers == {"after_end": DAY}
        machine.advance(DAY)

    with pytest.raises(NotStarted):
        _ = freed.snapshot
    freed.create()
    assert freed.configuration == ("a",)
    with pytest.raises(Gone, match=r"its snapshot is no longer kept\. Use another key; 'delete' frees this one"):
        gone.create()
    with pytest.raises(Gone):
        _ = gone.snapshot
