"""Which transitions are taken, and which states they leave and enter."""

from __future__ import annotations

import pytest

from durable_fsm.core import index, program
from durable_fsm.core.chart import Transition
from durable_fsm.core.program import index_of, program_of
from tests.building import Driven, chart, edge, guard, watched

NESTED = """
    idle
    busy
        reading
            near
            far
        writing
    over final
"""

REGIONS = """
    idle
    working parallel
        left
            left_open
            left_done final
        middle
            middle_open
            middle_done final
        right
            right_open
            right_done final
    over final
"""


# ── how far a transition reaches ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("transition", "exited", "entered"),
    [
        pytest.param(edge("near", "go", "far"), ["near"], ["far"], id="siblings stay inside their parent"),
        pytest.param(
            edge("near", "go", "writing"), ["near", "reading"], ["writing"], id="the least common ancestor stays"
        ),
        pytest.param(
            edge("near", "go", "near"), ["near"], ["near"], id="a self-transition leaves and enters its state"
        ),
        pytest.param(
            edge("reading", "go", "reading"), ["near", "reading"], ["reading", "near"], id="and everything inside it"
        ),
        pytest.param(
            edge("reading", "go", "far"),
            ["near", "reading"],
            ["reading", "far"],
            id="an external one leaves its source",
        ),
        pytest.param(edge("reading", "go", "far", internal=True), ["near"], ["far"], id="an internal one does not"),
        pytest.param(
            edge("near", "go", "near", internal=True), ["near"], ["near"], id="internal means nothing on a leaf"
        ),
        pytest.param(
            edge("reading", "go", "writing", internal=True),
            ["near", "reading"],
            ["writing"],
            id="nor where the target lies outside",
        ),
        pytest.param(
            edge("near", "go", "busy"),
            ["near", "reading", "busy"],
            ["busy", "reading", "near"],
            id="an ancestor as target is left and entered",
        ),
        pytest.param(edge("near", "go"), [], [], id="without a target nothing is left"),
        pytest.param(edge("busy", "go"), [], [], id="wherever its source is"),
    ],
)
def test_a_transition_leaves_what_lies_below_the_least_common_compound_ancestor(
    transition: Transition, exited: list[str], entered: list[str]
) -> None:
    machine = Driven(chart(NESTED.replace("    idle\n", "", 1), transition))

    (microstep,) = machine.take("go").trace

    assert list(microstep.exited) == exited
    assert list(microstep.entered) == entered


def test_a_parallel_state_is_no_least_common_ancestor() -> None:
    """From one region into another, the parallel state itself is left and entered."""
    machine = Driven(chart(REGIONS, edge("idle", "go", "working"), edge("left_open", "cross", "right_done")))
    machine.take("go")

    (microstep,) = machine.take("cross").trace

    assert microstep.exited[-1] == "working"
    assert machine.leaves == ("left_open", "middle_open", "right_done")


def test_a_transition_that_stays_runs_its_actions_and_nothing_else() -> None:
    machine = Driven(watched(NESTED, edge("idle", "note")))

    machine.take("note")

    assert machine.log == ["before idle--note", "on idle--note", "after idle--note"]


def test_a_fork_enters_its_targets_and_the_other_regions_by_default() -> None:
    machine = Driven(chart(REGIONS, edge("idle", "go", "right_done", "left_done")))

    machine.take("go")

    assert machine.leaves == ("left_done", "middle_open", "right_done")


def test_an_initial_transition_may_lead_deep_inside() -> None:
    deep = Transition("", "", ("left_done", "right_done"))

    machine = Driven(chart(REGIONS, initial={"": deep}))

    assert machine.leaves == ("left_done", "middle_open", "right_done")


# ── regions ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_region_takes_its_own_transition_in_one_microstep() -> None:
    machine = Driven(
        watched(
            REGIONS.replace("    idle\n", "", 1),
            edge("left_open", "finish", "left_done"),
            edge("right_open", "finish", "right_done"),
        )
    )

    step = machine.take("finish")

    assert machine.leaves == ("left_done", "middle_open", "right_done")
    assert step.trace[0].transitions == ("left_open--finish", "right_open--finish")
    assert machine.log == [
        "before left_open--finish", "before right_open--finish", "exit right_open", "exit left_open",
        "on left_open--finish", "on right_open--finish", "enter left_done", "enter right_done",
        "after left_open--finish", "after right_open--finish",
    ]  # fmt: skip


def test_of_two_that_would_leave_the_same_states_the_first_is_taken() -> None:
    machine = Driven(
        chart(
            REGIONS.replace("    idle\n", "", 1),
            edge("right_open", "stop", "over", key="right"),
            edge("left_open", "stop", "over", key="left"),
        )
    )

    assert machine.take("stop").trace[0].transitions == ("left",)


def test_of_two_that_would_leave_the_same_states_the_inner_one_is_taken() -> None:
    """The transition of `middle` is found by way of its leaf and outranks the one that `left` finds further out."""
    machine = Driven(
        chart(
            REGIONS.replace("    idle\n", "", 1),
            edge("working", "stop", "over", key="outer"),
            edge("middle_open", "stop", "over", key="inner"),
        )
    )

    assert machine.take("stop").trace[0].transitions == ("inner",)


def test_what_does_not_conflict_is_taken_beside_the_inner_one() -> None:
    machine = Driven(
        chart(
            REGIONS.replace("    idle\n", "", 1),
            edge("left_open", "stop", "left_done", key="aside"),
            edge("middle_open", "stop", "over", key="out"),
            edge("right_open", "stop", key="stays"),
        )
    )

    assert machine.take("stop").trace[0].transitions == ("aside", "stays")


def test_a_transition_shared_by_all_regions_is_taken_once() -> None:
    machine = Driven(watched(REGIONS.replace("    idle\n", "", 1), edge("working", "note")))

    machine.take("note")

    assert machine.log == ["before working--note", "on working--note", "after working--note"]


# ── choosing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_innermost_state_that_takes_the_event_wins() -> None:
    machine = Driven(
        chart(NESTED, edge("busy", "go", "idle"), edge("near", "go", "far"), initial={"": edge("", "", "busy")})
    )

    machine.take("go")
    assert machine.leaves == ("far",)
    machine.take("go")
    assert machine.leaves == ("idle",)


def test_of_one_state_the_first_transition_that_passes_wins() -> None:
    machine = Driven(
        chart(
            NESTED,
            edge("idle", "go", "far", key="never", guards=[guard(lambda scope: False, "never")]),
            edge("idle", "go", "writing", key="unless", guards=[guard(lambda scope: False, "closed", negated=True)]),
            edge("idle", "go", "over", key="late"),
        )
    )

    assert machine.take("go").trace[0].transitions == ("unless",)


@pytest.mark.parametrize(
    ("descriptors", "taken", "not_taken"),
    [
        ("pay", ["pay", "pay.late"], ["payment", "repay"]),
        ("pay.*", ["pay", "pay.late"], ["payment"]),
        ("pay.", ["pay", "pay.late"], ["payment"]),
        ("pay.late", ["pay.late", "pay.late.twice"], ["pay"]),
        ("*", ["pay", "anything.else"], []),
        ("pay refund", ["pay", "refund"], ["cancel"]),
    ],
)
def test_descriptors_select_events_by_their_leading_words(
    descriptors: str, taken: list[str], not_taken: list[str]
) -> None:
    asked = index_of(chart("idle", edge("idle", descriptors)))

    assert [event for event in taken if asked.taking("idle", event)] == taken
    assert [event for event in not_taken if asked.taking("idle", event)] == []
    assert [event for event in not_taken if asked.knows(event)] == []


def test_names_made_up_by_senders_do_not_fill_the_memory() -> None:
    made = chart("idle", edge("idle", "pay"), edge("idle", "*", key="any"))
    machine = Driven(made)

    for number in range(10):
        machine.take(f"made.up.{number}")
    machine.take("pay")

    assert {event for _, event in index_of(made)._by_event} == {"pay"}
    assert {event for _, event in index_of(made).candidates} == {"pay"}


def test_what_is_remembered_about_configurations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "KEPT", 2)
    monkeypatch.setattr(index, "KEPT", 2)
    states = [f"s{number}" for number in range(9)]
    edges = [edge(here, "go", there) for here, there in zip(states, [*states[1:], "s0"], strict=True)]
    machine = Driven(chart("\n".join(states), *edges))

    for number in range(20):
        machine.take("go")
        assert machine.leaves == (f"s{(number + 1) % 9}",)

    assert len(program_of(machine.chart).plans) <= 2
    assert len(index_of(machine.chart).candidates) <= 2
    assert len(index_of(machine.chart).active) <= 2


def test_a_guard_sees_data_payload_and_configuration() -> None:
    seen: list[object] = []

    def may_go(scope: object) -> bool:
        seen.append((scope.data["log"], scope.event.payload, sorted(scope.configuration), scope.transition.key))  # type: ignore[attr-defined]
        return True

    machine = Driven(chart(NESTED, edge("idle", "go", "over", guards=[guard(may_go)])))

    machine.take("go", {"now": True})

    assert seen == [([], {"now": True}, ["idle"], "idle--go")]
