"""What is suspicious about a chart."""

from __future__ import annotations

from datetime import timedelta

from durable_fsm.core.chart import Activity, Chart, Child, EventType, Guard, Spawn, Timer, Transition
from durable_fsm.core.lint import findings, waiting_states
from tests.building import chart, edge, note


def work() -> None: ...


BAKE = Activity("bake", "work", work)
ASK = Guard("ask", lambda _: True)


def told(made: Chart) -> list[str]:
    return [f"{found.kind}: {found.what}" for found in findings(made)]


def test_a_sound_chart_raises_no_suspicion() -> None:
    made = chart(
        """
        idle
        busy
            reading
            memory history
        both parallel
            left
                l1
            right
                r1
        over final
        """,
        edge("idle", "go", "busy"),
        edge("busy", "split", "both"),
        edge("both", "again", "memory"),
        edge("busy", "stop", "over"),
        initial={"memory": Transition("", "memory", ("reading",))},
    )
    assert told(made) == []


def test_a_state_that_nothing_leads_to() -> None:
    made = chart("a\nb\n    b1\n    b2\nc", edge("a", "go", "c"), edge("b1", "x", "b2"), edge("c", "back", "a"))

    assert told(made) == ["unreachable: no transition leads to state 'b'."]


def test_a_state_that_nothing_leaves() -> None:
    made = chart("a\nb\nc final", edge("a", "go", "b"), edge("a", "end", "c"), edge("b", "stay", actions=[note("x")]))

    assert told(made) == ["dead-end: nothing leaves state 'b', and it is not final."]


def test_a_chart_without_an_end_may_rest_anywhere() -> None:
    assert told(chart("a\nb", edge("a", "go", "b"))) == []


def test_a_region_may_rest_while_others_go_on() -> None:
    made = chart(
        """
        both parallel
            left
                l1
            right
                r1
                r2 final
        over final
        """,
        edge("r1", "go", "r2"),
        edge("both", "done.state.right", "over"),
    )
    assert told(made) == []


def test_a_transition_that_one_before_it_forestalls() -> None:
    made = chart(
        "a\nb\nc",
        edge("a", "go", "b", key="1", guards=[ASK]),
        edge("a", "go", "c", key="2"),
        edge("a", "go.far stop", "b", key="3"),
        edge("a", "go.far", "b", key="4"),
        edge("b", "", "a", key="5"),
        edge("b", "", key="6", guards=[ASK]),
        edge("b", "x", "a", key="7"),
        edge("c", "*", "a", key="8"),
        edge("c", "y", "b", key="9"),
    )
    assert told(made) == [
        "shadowed: the transition on 'go.far' from 'a' to 'b' never fires: one before it to 'c' always is.",
        "shadowed: the transition from 'b' to nowhere never fires: one before it to 'a' always is.",
        "shadowed: the transition on 'y' from 'c' to 'b' never fires: one before it to 'a' always is.",
    ]


def test_an_activity_whose_failure_nothing_takes() -> None:
    bare = chart(
        "hot\n    deep\ncold", edge("hot", "cool", "cold"), edge("cold", "x", "hot"), activities={"hot": [BAKE]}
    )
    assert told(bare) == [
        "unhandled: no transition handles the failure of activity 'bake': the machine would fail with it."
    ]
    assert findings(bare)[0].remedy == "Add error_invoke_bake, or error_execution for all."

    for source, event in (("hot", "error.invoke.bake"), ("deep", "error.*"), ("hot", "error.execution"), ("deep", "*")):
        taken = chart(
            "hot\n    deep\ncold",
            edge("hot", "cool", "cold"),
            edge("cold", "x", "hot"),
            edge(source, event, "cold"),
            activities={"hot": [BAKE]},
        )
        assert told(taken) == []


# ── charts that run by themselves ─────────────────────────────────────────────────────────────────────────────────────


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


def test_a_final_state_that_is_left_is_suspicious() -> None:
    made = chart(
        """
        job
            doing
            done final
        over final
        """,
        edge("doing", "finish", "done"),
        edge("done", "back", "doing"),
        edge("done", "", "doing"),
        edge("job", "done.state.job", "over"),
    )

    assert [words for words in told(made) if words.startswith("left-final")] == [
        "left-final: state 'done' is final, and a transition on 'back' leaves it.",
        "left-final: state 'done' is final, and a transition leaves it.",
    ]
