"""The order of one microstep, what its callbacks are told, and the end of a machine."""

from __future__ import annotations

from durable_fsm.core.chart import Transition
from durable_fsm.core.snapshot import Status
from tests.building import Driven, action, chart, edge, note, watched

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


# ── order ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_machine_begins_in_the_first_leaf_and_enters_from_the_outside_in() -> None:
    machine = Driven(watched(NESTED.replace("    idle\n", "", 1)))

    assert machine.leaves == ("near",)
    assert machine.log == ["enter busy", "enter reading", "enter near"]


def test_states_are_left_from_the_inside_out_and_entered_from_the_outside_in() -> None:
    machine = Driven(watched(NESTED, edge("idle", "begin", "far"), edge("reading", "stop", "idle")))

    machine.take("begin")
    assert machine.log == [
        "before idle--begin", "exit idle", "on idle--begin", "enter busy", "enter reading", "enter far",
        "after idle--begin",
    ]  # fmt: skip
    machine.take("stop")
    assert machine.log == [
        "before reading--stop", "exit far", "exit reading", "exit busy", "on reading--stop", "enter idle",
        "after reading--stop",
    ]  # fmt: skip


def test_regions_are_entered_in_document_order_and_left_in_reverse() -> None:
    machine = Driven(watched(REGIONS, edge("idle", "go", "working"), edge("working", "stop", "idle")))

    machine.take("go")
    assert [line for line in machine.log if str(line).startswith("enter")] == [
        "enter working", "enter left", "enter left_open", "enter middle", "enter middle_open", "enter right",
        "enter right_open",
    ]  # fmt: skip
    machine.take("stop")
    assert [line for line in machine.log if str(line).startswith("exit")] == [
        "exit right_open", "exit right", "exit middle_open", "exit middle", "exit left_open", "exit left",
        "exit working",
    ]  # fmt: skip


def test_the_trace_lists_what_was_left_taken_and_entered() -> None:
    machine = Driven(chart(NESTED, edge("idle", "begin", "busy"), edge("busy", "stop", "idle")))
    machine.take("begin")

    step = machine.take("stop")

    (microstep,) = step.trace
    assert microstep.event == "stop"
    assert microstep.exited == ("near", "reading", "busy")
    assert microstep.transitions == ("busy--stop",)
    assert microstep.entered == ("idle",)


def test_initial_transitions_run_their_actions_after_the_entry_of_their_state() -> None:
    begin = Transition("", "busy", ("far",), actions=(note("begin busy"),))
    machine = Driven(watched(NESTED, edge("idle", "go", "busy"), initial={"busy": begin}))

    machine.take("go")

    assert machine.log == [
        "before idle--go", "exit idle", "on idle--go", "enter busy", "begin busy", "enter reading", "enter far",
        "after idle--go",
    ]  # fmt: skip


# ── what callbacks are told ───────────────────────────────────────────────────────────────────────────────────────────


def test_every_callback_is_told_for_which_edge_and_state_it_runs() -> None:
    told: list[object] = []
    tell = action(lambda s: told.append((s.state.id, s.source, s.target, s.transition and s.transition.key)), "tell")  # type: ignore[attr-defined]
    begin = Transition("begin", "busy", ("writing",), actions=(tell,))
    made = chart(
        NESTED,
        edge("idle", "go", "busy", before=[tell], actions=[tell], after=[tell]),
        edge("writing", "stay", actions=[tell], after=[tell]),
        entry={id: [tell] for id in ("busy", "writing")},
        exit={"idle": [tell]},
        initial={"busy": begin},
    )
    machine = Driven(made)

    machine.take("go")
    assert told == [
        ("idle", "idle", "busy", "idle--go"),
        ("idle", "idle", "busy", "idle--go"),
        ("idle", "idle", "busy", "idle--go"),
        ("busy", "idle", "busy", "idle--go"),
        ("busy", "busy", "writing", "begin"),
        ("writing", "busy", "writing", "begin"),
        ("busy", "idle", "busy", "idle--go"),
    ]

    told.clear()
    machine.take("stay")
    assert told == [("writing", "writing", None, "writing--stay")] * 2


def test_a_callback_knows_the_session_of_its_machine() -> None:
    told: list[str] = []
    tell = action(lambda scope: told.append(scope.session), "tell")

    Driven(chart("a\nb", edge("a", "go", "b", actions=[tell]))).take("go")

    assert told == ["Order.life"]


# ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_final_state_of_the_root_ends_the_machine_and_leaves_its_output() -> None:
    machine = Driven(
        chart(NESTED, edge("idle", "end", "over"), done={"over": [action(lambda s: {"sum": 3}, "result")]})
    )

    step = machine.take("end")

    assert step.snapshot.status is Status.DONE
    assert step.snapshot.output == {"sum": 3}
    assert machine.leaves == ("over",)


def test_a_parallel_state_of_the_root_ends_the_machine_when_all_its_regions_are_final() -> None:
    machine = Driven(
        chart(
            REGIONS.replace("    idle\n", "", 1),
            edge("left_open", "left", "left_done"),
            edge("working", "finish", "middle_done", "right_done", "left_done"),
        )
    )

    machine.take("left")
    assert machine.snapshot.status is Status.RUNNING
    machine.take("finish")
    assert machine.snapshot.status is Status.DONE
    assert machine.leaves == ("left_done", "middle_done", "right_done")


def test_regions_that_are_themselves_parallel_are_final_when_theirs_are() -> None:
    nested = """
        outer parallel
            inner parallel
                a
                    a_open
                    a_done final
                b
                    b_open
                    b_done final
            c
                c_open
                c_done final
    """
    machine = Driven(
        chart(nested, edge("a_open", "go", "a_done"), edge("b_open", "go", "b_done"), edge("c_open", "c", "c_done"))
    )

    machine.take("go")
    assert machine.snapshot.status is Status.RUNNING
    machine.take("c")
    assert machine.snapshot.status is Status.DONE
