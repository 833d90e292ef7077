"""Charts that run from beginning to end by themselves, and those that do not."""

from __future__ import annotations

from datetime import timedelta

from durable_fsm.core.chart import Activity, Child, EventType, Spawn, Timer
from durable_fsm.core.flow import waiting_states
from tests.building import chart, edge


def work() -> None: ...


def test_only_an_event_from_outside_leads_on_from_a_waiting_state() -> None:
    made = chart(
        """
        working
        pausing
        passing
        told
        asking
        group
            inside
        letting
        both parallel
            left
                idle
        unreachable
        over final
        """,
        edge("working", "done.invoke.work", "pausing"),
        edge("working", "error.invoke.work", "asking"),
        edge("pausing", "late", "passing"),
        edge("passing", "", "told"),
        edge("told", "hear", "group"),
        edge("asking", "answer", "over"),
        edge("asking", "done.invoke.work", "over"),
        edge("group", "later", "letting"),
        edge("letting", "error.execution", "both"),
        edge("letting", "*", "both"),
        edge("both", "done.state.both", "over"),
        activities={"working": [Activity("work", "work", work)]},
        timers={"pausing": [Timer("late", timedelta(1))], "group": [Timer("later", timedelta(1))]},
        machines={"letting": [Child("other", lambda _: Spawn(chart("a")))]},
        events=[EventType("hear", public=False)],
    )

    assert [state.id for state in waiting_states(made)] == ["asking"]
