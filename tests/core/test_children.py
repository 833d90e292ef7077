"""A machine runs others as long as a state is active, and they talk to each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durable_fsm.core.chart import Chart, Child, Policies, Unexpected
from durable_fsm.core.codec import milliseconds, snapshot_from_json, snapshot_to_json
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.effects import PARENT, Cancel, Outcome, Post, StartMachine, StopMachine
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.lint import findings
from durable_fsm.core.repair import move
from durable_fsm.core.scope import Scope
from durable_fsm.core.snapshot import ChildMachine, PendingSend, Snapshot, Status
from durable_fsm.core.step import start, step
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import changed
from durable_fsm.errors import ActionError, EventRejected
from tests.building import Driven, action, chart, edge, fails, note
from tests.core.offices import LETTER, OFFICE, SECOND, child, hear, office, opened, post

# ── beginning and end ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_child_begins_with_its_state_when_the_macrostep_is_at_rest() -> None:
    machine = office()

    machine.take("unlock")

    assert machine.last.effects == (StartMachine("life.2.1", "l1", LETTER, {"log": []}),)
    assert machine.snapshot.machines == (ChildMachine("life.2.1", "l1", "Letter", "open", 0),)


def test_a_child_of_a_state_that_was_only_passed_through_never_begins() -> None:
    machine = office(edge("open", "", "over"))

    machine.take("unlock")

    assert machine.last.effects == ()


def test_a_child_that_is_not_named_is_named_after_its_state() -> None:
    _, invoked = opened(machines=(child(),))

    assert invoked.id == "open.life.2.1"


def test_a_child_is_stopped_when_its_state_is_left() -> None:
    machine, invoked = opened()

    machine.take("lock")

    assert machine.last.effects == (StopMachine(invoked.token),)
    assert machine.snapshot.machines == ()


def test_the_children_of_a_parallel_machine_are_stopped_when_it_ends() -> None:
    made = chart(
        """
        both parallel
            left
                l1
                l2 final
            right
                r1
                r2 final
        """,
        edge("l1", "go", "l2"),
        edge("r1", "go", "r2"),
        machines={"both": [child("l1")]},
    )
    machine = Driven(made)

    machine.take("go")

    assert machine.snapshot.status is Status.DONE
    assert StopMachine("life.1.1") in machine.last.effects
    assert machine.snapshot.machines == ()


def test_the_end_of_a_child_is_an_event_like_the_outcome_of_work() -> None:
    machine, _ = opened(edge("open", "done.invoke.l1", "over", actions=[action(lambda s: s.event.payload, "keep")]))

    assert hear(machine, "done.invoke.l1", Origin.PLATFORM, "signed") is Outcome.TAKEN

    assert machine.last.reply == "signed"
    assert machine.snapshot.machines == ()
    assert machine.last.effects[-1:] != (StopMachine("life.2.1"),)


def test_what_a_child_that_was_left_still_says_changes_nothing() -> None:
    machine, _ = opened(edge("closed", "done.invoke.l1", "over"), edge("closed", "hello", "over"))
    machine.take("lock")

    assert hear(machine, "hello") is Outcome.STALE
    assert hear(machine, "done.invoke.l1", Origin.PLATFORM) is Outcome.STALE
    assert machine.leaves == ("closed",)


def test_scxml_takes_the_end_of_a_child_that_was_over_before_it_was_left() -> None:
    machine, invoked = opened(edge("closed", "done.invoke.l1", "over"), policies=Policies(scxml=True))
    machine.take("lock")
    late = Event("done.invoke.l1", None, Origin.PLATFORM, token=invoked.token, invokeid="l1")

    assert machine.take(late).outcome is Outcome.TAKEN
    assert machine.take(late).outcome is Outcome.STALE


def test_a_child_that_cannot_be_begun_is_an_error_the_chart_may_take() -> None:
    broken = Child("letter", fails().call)
    machine = office(edge("open", "error.execution", "over"), machines=(broken, child("l2")))

    machine.take("unlock")

    assert machine.leaves == ("over",)
    assert machine.last.effects == (
        StartMachine("life.2.1", "l2", LETTER, {"log": []}),
        StopMachine("life.2.1"),
    )


def test_what_begins_no_machine_is_an_error() -> None:
    machine = office(machines=(Child("letter", lambda _: "a letter"),))

    with pytest.raises(ActionError, match="expected a Spawn, got str"):
        machine.take("unlock")


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def failed_with_its_child() -> Snapshot:
    machine, invoked = opened()
    told = Failure("Torn", "it is torn", machine="Letter/o-1/l1/life.2.1")
    return machine.take(Event("error.invoke.l1", told, Origin.PLATFORM, token=invoked.token)).snapshot


def test_a_machine_that_fails_with_its_child_keeps_it_until_it_goes_itself() -> None:
    machine = failed_with_its_child()

    assert (machine.status, [child.failed for child in machine.machines]) == (Status.FAILED, [True])
    assert machine.failure is not None
    assert machine.failure.machine == "Letter/o-1/l1/life.2.1"
    made = office().chart
    assert snapshot_from_json(made, snapshot_to_json(machine)) == machine
    late = step(made, machine, Event("done.invoke.l1", 1, Origin.PLATFORM, token="life.2.1"))
    assert (late.outcome, late.snapshot) == (Outcome.STALE, machine)


def test_a_failed_child_goes_when_the_machine_is_moved_out_of_its_state() -> None:
    result = move(office().chart, failed_with_its_child(), ["closed"])

    assert (result.snapshot.status, result.snapshot.machines) == (Status.RUNNING, ())
    assert StopMachine("life.2.1") in result.effects


def test_the_history_names_a_child_that_has_failed() -> None:
    machine, invoked = opened()
    turn = Turn(machine.chart, machine.snapshot, seed="s")
    told = Failure("Torn", "it is torn", machine="Letter/o-1/l1/life.2.1")

    turn.deliver(Event("error.invoke.l1", told, Origin.PLATFORM, token=invoked.token))

    assert [taken.note for taken in turn.log] == [{"machine": "Letter/o-1/l1/life.2.1"}]


def test_a_message_of_a_child_says_where_it_comes_from() -> None:
    seen: list[tuple[str, str]] = []
    look = action(lambda s: seen.append((s.event.invokeid, s.event.sender)), "look")
    machine, _ = opened(edge("open", "hello", actions=[look]))

    assert hear(machine, "hello") is Outcome.TAKEN
    assert seen == [("l1", "Letter.life.2.1")]
    assert machine.snapshot.machines != ()


def test_finalize_runs_on_the_messages_of_its_own_child_before_anything_else() -> None:
    both = (child("l1", finalize=(note("finalize 1"),)), child("l2", finalize=(note("finalize 2"),)))
    machine, _ = opened(edge("open", "hello", actions=[note("taken")]), machines=both)

    hear(machine, "hello")

    assert machine.log == ["finalize 1", "taken"]


def test_a_message_that_nothing_takes_is_rejected() -> None:
    machine, _ = opened()

    with pytest.raises(EventRejected, match="'hello' is not accepted in state 'open'"):
        hear(machine, "hello")


def test_a_message_that_nothing_takes_is_finalized_where_a_chart_ignores_what_it_does_not_take() -> None:
    ignoring = Policies(unexpected=Unexpected.IGNORE)
    machine, _ = opened(machines=(child("l1", finalize=(note("finalize"),)),), policies=ignoring)

    assert hear(machine, "hello") is Outcome.IGNORED
    assert machine.log == ["finalize"]


def test_events_from_outside_are_forwarded_where_a_child_wants_all() -> None:
    both = (child("l1", autoforward=True), child("l2"))
    machine, invoked = opened(edge("open", "ring"), machines=both)

    machine.take("ring", {"times": 2})

    assert machine.last.effects == (Post(invoked.token, "ring", {"times": 2}),)


def test_an_event_that_only_the_child_can_use_is_taken() -> None:
    machine, invoked = opened(edge("closed", "knock", "over"), machines=(child("l1", autoforward=True),))

    assert machine.take("knock").outcome is Outcome.TAKEN
    assert machine.last.effects == (Post(invoked.token, "knock"),)
    assert machine.leaves == ("open",)


@pytest.mark.parametrize("address", ["#_l1", "#_scxml_Letter.life.2.1"])
def test_a_message_reaches_a_child_by_its_id_and_by_its_session(address: str) -> None:
    machine, invoked = opened(edge("open", "go", actions=[post("sign", address, id="m1")]))

    machine.take("go")

    assert machine.last.effects == (Post(invoked.token, "sign", {"n": 1}, "m1"),)


def test_a_message_to_oneself_by_session_is_a_send() -> None:
    machine, _ = opened(edge("open", "go", actions=[post("lock", "#_scxml_Order.life")]))

    machine.take("go")

    assert machine.snapshot.timers[0].event == "lock"
    assert machine.snapshot.timers[0].to is None


@pytest.mark.parametrize("address", ["#_nobody", "#_parent", "#_scxml_Letter.other"])
def test_a_message_to_nobody_is_an_error_of_communication(address: str) -> None:
    gone = edge("open", "error.communication", "over", actions=[action(lambda s: s.event.sendid, "who")])
    machine, _ = opened(edge("open", "go", actions=[post("sign", address, id="m1")]), gone)

    machine.take("go")

    assert machine.leaves == ("over",)
    assert machine.last.reply == "m1"


def as_child(made: Chart, parent: str = "Order.life") -> Snapshot:
    return start(made, life="life.2.1", parent=parent).snapshot


def test_a_child_speaks_to_its_parent_at_once_or_later() -> None:
    acts = [post("soon", PARENT), post("late", PARENT, after=SECOND, id="m1"), post("also", "#_scxml_Order.life")]
    made = chart("a", edge("a", "go", actions=acts), name="Letter")

    result = step(made, as_child(made), Event("go"))

    assert [effect for effect in result.effects if isinstance(effect, Post)] == [
        Post(PARENT, "soon", {"n": 1}),
        Post(PARENT, "also", {"n": 1}),
    ]
    (waiting,) = result.snapshot.timers
    assert waiting == PendingSend("life.2.1.2.1", "late", milliseconds(SECOND), id="m1", payload={"n": 1}, to=PARENT)

    due = step(made, result.snapshot, Event("timer", origin=Origin.PLATFORM, token=waiting.token))
    assert due.effects == (Post(PARENT, "late", {"n": 1}, "m1"),)
    assert due.snapshot.timers == ()


def test_a_message_that_waits_can_be_cancelled() -> None:
    made = chart(
        "a",
        edge("a", "go", actions=[post("late", PARENT, after=SECOND, id="m1")]),
        edge("a", "stop", actions=[action(lambda s: s.effects.cancel("m1"), "cancel")]),
        name="Letter",
    )
    waiting = step(made, as_child(made), Event("go")).snapshot

    result = step(made, waiting, Event("stop"))

    assert result.effects == (Cancel(waiting.timers[0].token),)


def test_a_message_that_waits_is_forgotten_with_a_machine_that_ends() -> None:
    made = chart("a\nb final", edge("a", "go", "b", actions=[post("late", PARENT, after=SECOND)]), name="Letter")

    result = step(made, as_child(made), Event("go"))

    assert result.snapshot.status is Status.DONE
    assert result.snapshot.timers == ()


# ── SCXML to the letter ───────────────────────────────────────────────────────────────────────────────────────────────


def test_scxml_runs_the_exit_actions_of_the_last_states_from_the_inside_out() -> None:
    made = chart(
        "a\nb final",
        edge("a", "go", "b"),
        exit={"b": [note("exit b"), post("bye", PARENT)]},
        policies=Policies(scxml=True),
    )

    result = step(made, as_child(made), Event("go"))

    assert result.snapshot.data == {"log": ["exit b"]}
    assert result.effects == (Post(PARENT, "bye", {"n": 1}),)
    assert result.snapshot.configuration == ("b",)


def test_scxml_drops_an_error_that_nothing_takes() -> None:
    made = chart("a\nb", edge("a", "go", "b", actions=[fails()]), policies=Policies(scxml=True))

    assert Driven(made).take("go").snapshot.configuration == ("b",)


def test_a_chart_that_ignores_events_may_send_itself_what_it_does_not_know() -> None:
    send = action(lambda s: s.effects.send("nonsense"), "send")
    made = chart("a\nb", edge("a", "go", "b", actions=[send]), policies=Policies(unexpected=Unexpected.IGNORE))

    assert Driven(made).take("go").snapshot.timers[0].event == "nonsense"


class Carrying(ValueError):
    def __init__(self, metadata: object) -> None:
        super().__init__("no")
        self.metadata = metadata


@pytest.mark.parametrize(("metadata", "expected"), [({"sendid": "m1"}, {"sendid": "m1"}), (object(), None)])
def test_what_an_exception_carries_comes_with_its_failure_if_it_is_plain(metadata: object, expected: object) -> None:
    seen: list[object] = []

    def look(scope: Scope) -> None:
        assert isinstance(scope.event.payload, Failure)
        seen.append(scope.event.payload.metadata)

    made = chart(
        "a",
        edge("a", "go", actions=[fails(error=Carrying(metadata))]),
        edge("a", "error.execution", actions=[action(look)]),
    )
    Driven(made).take("go")

    assert seen == [expected]


# ── at rest ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_children_and_messages_come_back_from_json() -> None:
    machine, _ = opened()
    waiting = (PendingSend("t", "late", milliseconds(SECOND), to=PARENT),)
    snapshot = changed(machine.snapshot, parent="Shop.life", timers=waiting)

    assert snapshot_from_json(machine.chart, snapshot_to_json(snapshot)) == snapshot


@pytest.mark.parametrize("change", [{"state": "gone"}, {"place": 1}])
def test_a_chart_without_the_state_of_a_child_does_not_fit(change: dict[str, object]) -> None:
    machine, invoked = opened()
    other = changed(machine.snapshot, machines=(changed(invoked, **change),))  # type: ignore[arg-type]

    assert incompatibility(machine.chart, machine.snapshot) is None
    assert incompatibility(machine.chart, other) == (
        f"Machine 'l1' of state '{change.get('state', 'open')}' is running, which the chart no longer has."
    )


def test_a_child_that_is_begun_and_stopped_in_one_turn_never_begins() -> None:
    made = chart(
        OFFICE,
        edge("closed", "unlock", "open", actions=[action(lambda s: s.effects.send("lock"), "send lock")]),
        edge("open", "lock", "closed"),
        machines={"open": [child("l1")]},
        entry={"open": [note("open")]},
    )
    turn = Turn(made, None, seed="seed")
    turn.create(None, life="life", created_from="")
    turn.take(Event("unlock"))
    assert turn.next_call() is None

    assert [effect for effect in turn.take_effects() if not isinstance(effect, Cancel)] == []


def test_a_message_to_a_child_is_sent_after_it_has_begun() -> None:
    made = chart(
        OFFICE,
        edge("closed", "unlock", "open", actions=[action(lambda s: s.effects.send("write"), "send write")]),
        edge("open", "write", actions=[post("sign", "#_l1")]),
        machines={"open": [child("l1")]},
    )
    turn = Turn(made, None, seed="seed")
    turn.create(None, life="life", created_from="")
    turn.take(Event("unlock"))
    assert turn.next_call() is None

    begun, posted = turn.take_effects()
    assert isinstance(begun, StartMachine)
    assert posted == Post(begun.token, "sign", {"n": 1})


def test_a_child_is_exported_by_name() -> None:
    machine, _ = opened(machines=(child("l1", autoforward=True, finalize=(note("read"),)),))
    exported = machine.chart.to_json()
    assert isinstance(exported, dict)
    states = exported["states"]
    assert isinstance(states, list)
    (found,) = (state for state in states if isinstance(state, dict) and state["id"] == "open")

    assert found["machines"] == [{"name": "letter", "autoforward": True, "finalize": ["read"]}]


# ── when nothing can be done at once ──────────────────────────────────────────────────────────────────────────────────


def test_the_message_of_a_child_is_deferred_where_its_parent_defers_it() -> None:
    waits = edge("closed", "hello", "over")
    machine, _ = opened(waits, defers={"open": ["hello"]})

    assert hear(machine, "hello") is Outcome.DEFERRED

    assert [kept.event for kept in machine.snapshot.deferred] == ["hello"]
    assert machine.snapshot.machines != ()


def test_a_failure_of_a_child_that_nothing_takes_is_found() -> None:
    found = findings(office(machines=(replace(child("l1"), id="l1"),)).chart)
    handled = findings(office(edge("open", "error.invoke.l1", "over"), machines=(replace(child("l1"), id="l1"),)).chart)

    assert [one.what for one in found if one.kind == "unhandled"] == [
        "no transition handles the failure of machine 'l1': this one would fail with it."
    ]
    assert [one for one in handled if one.kind == "unhandled"] == []
