"""Twenty changes that break machines, and twenty that do no harm: each machine gets the right verdict."""

from __future__ import annotations

from functools import cache

import pytest

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.core.interchange import chart_from_json, chart_to_json
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import changed
from durable_fsm.errors import EventError, MachineError
from durable_fsm.frontends import chart_from
from durable_fsm.plan.judging import Fate, Judge
from durable_fsm.plan.plan_file import PlanVerdict
from durable_fsm.plan.senders import sender_facts
from durable_fsm.testing import Rehearsal
from tests.plan.parcels import BREAKS, HARMLESS, LONG, SENDERS, deployed, machines, parcel

CALM = (PlanVerdict.OVER, PlanVerdict.STAYS, PlanVerdict.MOVES)


@cache
def carried() -> Chart:
    """The deployed chart as a server carries it: without code."""
    return chart_from_json(chart_to_json(deployed()))


@cache
def judge(how: str) -> Judge:
    return Judge(chart_from(parcel(how)), [carried()])


def fates(how: str) -> dict[str, Fate]:
    return {name: judge(how).fate(machine) for name, machine in machines().items()}


def fate(how: str, machine: Snapshot) -> Fate:
    return judge(how).fate(machine)


@pytest.mark.parametrize("how", BREAKS)
def test_a_break_is_found_on_exactly_the_machines_that_it_breaks(how: str) -> None:
    verdict, broken = BREAKS[how]

    found = fates(how)

    assert [name for name, one in found.items() if one.verdict == verdict] == broken.split()
    assert all(found[name].words for name in broken.split())
    assert not [name for name in broken.split() if found[name].verdict in CALM]
    if verdict != "changes":
        assert all(found[name].needs_you for name in broken.split())


NEXT = {"cart": "submit", "heavy": "submit", "review": "approve", "boxing": "label", "paid": "finish", "busy": "relax"}
"""An event that each of these takes today."""


@pytest.mark.parametrize("how", BREAKS)
def test_a_blocked_machine_is_one_whose_next_event_fails(how: str) -> None:
    found = fates(how)

    for name, event in NEXT.items():
        try:
            Rehearsal(judge(how).chart, snapshot=snapshot_to_json(machines()[name])).send(event)
            fails = False
        except MachineError:
            fails = True
        except EventError:  # the chart may refuse the event now, in a machine that it can read
            fails = False
        assert (found[name].verdict == "blocked") == fails, name


@pytest.mark.parametrize("how", ["", *HARMLESS])
def test_a_harmless_change_alarms_no_one(how: str) -> None:
    found = fates(how)

    assert {one.verdict for one in found.values()} <= set(CALM)
    assert [name for name, one in found.items() if one.verdict is PlanVerdict.OVER] == ["over"]
    assert not any(one.needs_you for one in found.values())
    assert [fact for fact in sender_facts(carried(), judge(how).chart) if not fact.warning] == []


def test_there_are_twenty_of_each() -> None:
    assert (len(BREAKS), len(HARMLESS)) == (20, 20)


@pytest.mark.parametrize(
    ("how", "name", "words"),
    [
        ("state removed", "review", "it is in state 'review', which the chart no longer has as a leaf"),
        ("data member required", "cart", "data: field required at $.currency"),
        ("type narrowed", "heavy", "data: input should be less than 9 at $.weight"),
        ("migration that raises", "heavy", "raise_for_some raised KeyError: 'label'"),
        ("version without a way", "cart", "no migration leads here from version '2'"),
        ("last way made private", "review", "only 'approve' leads on, and no sender may send it any more"),
        ("state made final", "review", "nothing leads on from here any more"),
        ("deferred payload narrowed", "wordy", "the deferred note is dropped: its payload does not fit at $.text"),
        ("timer lengthened", "waiting", "timer expire is 2 h for new ones, 1 h for these"),
        ("retries limited", "charging", "work charging has 3 attempts for new ones, attempts without end for these"),
        ("undo removed", "charging", "work charging can no longer be undone"),
        ("state removed", "cart", "submit leads to paid, and not to review"),
        ("handler removed", "paid", "refund no longer leads on"),
        ("version with a way", "waiting", "timer expire keeps its time"),
    ],
    ids=lambda value: value if len(value) < 24 else "",
)
def test_the_reason_is_said(how: str, name: str, words: str) -> None:
    assert fates(how)[name].words[0] == words


def test_a_machine_moves_to_the_state_that_a_migration_names() -> None:
    found = fates("renamed with a migration")["review"]

    assert (found.verdict, found.states, found.becomes) == ("moves", ("review",), ("inspection",))


def test_exclusive_work_holds_its_machine() -> None:
    exclusive = chart_from(parcel("exclusive work"))
    [running] = machines()["charging"].activities
    held = changed(machines()["charging"], digest=exclusive.digest, timers=(), activities=(running,))

    found = Judge(deployed(), [exclusive]).fate(held)

    assert (found.verdict, found.needs_you) == ("held", True)
    assert found.words[0].startswith("exclusive work 'charging' runs: it follows when that ends")


def test_background_work_that_counts_as_lost_is_told() -> None:
    endless = changed(machines()["charging"], timers=())

    found = fate("exclusive work", endless)

    assert (found.verdict, found.needs_you) == ("changes", True)
    assert found.words[0] == "work charging counts as lost"


def test_without_the_deployed_chart_breaks_are_found_all_the_same() -> None:
    for how, (verdict, broken) in BREAKS.items():
        alone = Judge(judge(how).chart)
        found = {name: alone.fate(machine).verdict for name, machine in machines().items()}
        if how != "exclusive work":  # only a comparison can tell it
            assert [name for name, one in found.items() if one == verdict] == broken.split()


@pytest.mark.parametrize("how", ["type narrowed", "validator added"])
def test_no_value_of_a_redacted_member_is_in_a_reason(how: str) -> None:
    secret = changed(machines()["heavy"], data={"weight": LONG, "card_number": 4111_1111, "notes": []})

    found = fate(how, secret)

    assert found.verdict == "blocked"
    assert "41111111" not in str(found)


SAID = {
    "payload narrowed": ["refund needs $.reason"],
    "handler removed": ["refund is gone"],
    "redaction shrunk": ["card_number is no longer redacted"],
    "data member required": ["the first event no longer begins a machine: create it first, which needs $.currency"],
    "last way made private": ["approve may no longer be sent"],
    "deferred payload narrowed": ["note needs at most 3 characters at $.text"],
}


@pytest.mark.parametrize("how", SAID)
def test_senders_are_told_what_they_would_send_in_vain(how: str) -> None:
    assert set(SENDERS) <= set(SAID)
    assert [fact.words for fact in sender_facts(carried(), judge(how).chart) if not fact.warning] == SAID[how]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("retries limited", "work charging is tried 3 times at most, and was without end"),
        ("type narrowed", "create needs less than 9 at $.weight"),
        ("timeout added", "work charging has a timeout of an attempt of 1 min"),
    ],
)
def test_other_facts_are_warnings(how: str, words: str) -> None:
    assert [fact.words for fact in sender_facts(carried(), judge(how).chart) if fact.warning] == [words]
