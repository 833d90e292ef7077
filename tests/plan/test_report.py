"""A plan in words, where that depends on more than one chart, deployment or kind."""

from __future__ import annotations

from durable_fsm.core.snapshot import Snapshot
from durable_fsm.plan.judging import Fate
from durable_fsm.plan.kinds import MOST, Census
from durable_fsm.plan.plan_file import PlanVerdict
from durable_fsm.plan.report import ChartReport, conclusion
from durable_fsm.plan.senders import SenderFact
from tests.plan.parcels import deployed


def a_fate(verdict: PlanVerdict, *words: str, version: str = "2", needs_you: bool = False) -> Fate:
    return Fate(verdict, version, ("cart",), ("cart",), words, needs_you)


def report(census: Census, **more: object) -> ChartReport:
    return ChartReport(deployed(), census, "as of 14:06:28, read in 9 ms", **more)  # type: ignore[arg-type]


def test_all_deployments_are_named_that_have_the_chart() -> None:
    census = Census("Parcel")
    census.add("p-1", a_fate(PlanVerdict.STAYS))
    told = report(census, deployed="1", deployments=["dp_new", "dp_old"])

    assert told.heading == "Parcel 1 (deployed, dp_new, dp_old) → 2 (here)."


def test_facts_are_told_with_how_often_they_were_sent() -> None:
    census = Census("Parcel")
    census.add("p-1", a_fate(PlanVerdict.STAYS))
    facts = [SenderFact("approve is gone", "approve"), SenderFact("work charging is slow", warning=True)]
    told = report(census, facts=facts, sent={"approve": 412})

    lines = list(told.lines())
    assert "Senders: approve is gone (412 sent lately)." in lines
    assert "Also: work charging is slow." in lines
    assert conclusion([told]) == "Needs you: 1 fact about senders. Every machine has a verdict."


def test_many_kinds_are_told_together() -> None:
    census = Census("Parcel")
    for number in range(25):
        census.add(f"p-{number}", a_fate(PlanVerdict.BLOCKED, f"reason {number}", needs_you=True))

    lines = list(report(census).lines())
    assert len(lines) == 1 + 1 + 10 + 1
    assert lines[-1].split(maxsplit=1) == ["15", "of 15 more kinds; --json tells all"]
    assert conclusion([report(census)]).startswith("Needs you: 25 machines.")


def test_messages_that_quote_values_do_not_fill_the_memory() -> None:
    census = Census("Parcel")
    for number in range(MOST + 50):
        census.add(f"p-{number}", a_fate(PlanVerdict.BLOCKED, f"no such card {number}"))

    assert len(census.kinds()) == MOST + 1
    assert census.machines == MOST + 50
    assert census.kinds()[-1].fate.words == ("…",)


def test_kinds_of_a_second_chart_are_numbered_on() -> None:
    first, second = Census("Parcel"), Census("Look", 3)

    assert [first.add("p-1", a_fate(PlanVerdict.STAYS)), first.add("p-2", a_fate(PlanVerdict.MOVES))] == [0, 1]
    assert second.add("l-1", a_fate(PlanVerdict.STAYS)) == 3


def test_migrating_from_several_versions_is_said() -> None:
    census = Census("Parcel")
    machine: Snapshot | None = None
    for version in ("0", "1", "1"):
        census.add("p", a_fate(PlanVerdict.MOVES, version=version), machine)

    assert "  moves            3  migrate 0, 1 → 2" in list(report(census).lines())


def test_marks_of_machines_that_have_ended_are_counted() -> None:
    census = Census("Parcel")
    census.gone = 7

    assert "  gone             7  have ended for good; only their keys are kept" in list(report(census).lines())
