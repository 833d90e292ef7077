"""Machines that a state runs as its children: begun, spoken to, heard, stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from durable_fsm.core.chart import Callback, Chart, Child, Each, Policies, Spawn, Unexpected
from durable_fsm.core.codec import milliseconds, plain, snapshot_from_json, snapshot_to_json
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.effects import PARENT, Cancel, Outcome, Post, StartMachine, StopMachine
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.fan_out import at_index
from durable_fsm.core.lint import findings
from durable_fsm.core.scope import NOW, Scope
from durable_fsm.core.snapshot import ChildMachine, PendingSend, Snapshot, Status
from durable_fsm.core.step import start, step
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import ActionError, EventRejected
from tests.building import Driven, Members, action, chart, edge, fails, note

SECOND = timedelta(seconds=1)
LETTER = chart("writing\nwritten final", edge("writing", "sign", "written"), name="Letter")
OFFICE = """
    closed
    open
    over final
"""


def child(id: str = "", *, autoforward: bool = False, finalize: tuple[Callback, ...] = ()) -> Child:
    return Child("letter", lambda _: Spawn(LETTER, {"log": []}, id), autoforward=autoforward, finalize=finalize)


def post(event: str, to: str, *, after: timedelta = NOW, id: str | None = None) -> Callback:
    return action(lambda scope: scope.effects.send(event, {"n": 1}, after=after, id=id, to=to), f"post {event}")


def office(*edges: object, machines: tuple[Child, ...] = (child("l1"),), **rest: object) -> Driven:
    made = chart(
        OFFICE,
        edge("closed", "unlock", "open"),
        edge("open", "lock", "closed"),
        *edges,  # type: ignore[arg-type]
        machines={"open": machines},
        **rest,  # type: ignore[arg-type]
    )
    return Driven(made)


def opened(*edges: object, **rest: object) -> tuple[Driven, ChildMachine]:
    machine = office(*edges, **rest)  # type: ignore[arg-type]
    machine.take("unlock")
    return machine, machine.snapshot.machines[0]


def hear(machine: Driven, name: str, origin: Origin = Origin.MACHINE, payload: object = None) -> Outcome:
    token = "life.2.1"
    return machine.take(Event(name, payload, origin, token=token)).outcome


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


# ── several for a list ────────────────────────────────────────────────────────────────────────────────────────────────

ITEMS = Each("letters", lambda data: data["letters"])
LISTED = Members(log=[], letters=[])


def several(*edges: object, each: Each = ITEMS, letters: object = ("a", "b", "c")) -> Driven:
    one = Child("letter", lambda _: Spawn(LETTER, None, "all"), id="all", chart=LETTER, each=each)
    fill = action(lambda scope: scope.data.update(letters=list(letters)), "fill")  # type: ignore[call-overload]
    made = chart(
        "closed\nopen\nover final\nbroken final",
        edge("closed", "unlock", "open", actions=[fill]),
        edge("open", "lock", "closed"),
        edge("open", "done.invoke.all", "over", actions=[action(lambda s: s.event.payload, "keep")]),
        edge("open", "error.invoke.all", "broken", actions=[action(lambda s: plain(s.event.payload), "keep")]),
        *edges,  # type: ignore[arg-type]
        machines={"open": [one]},
        data=LISTED,
    )
    machine = Driven(made)
    machine.take("unlock")
    return machine


def ends(machine: Driven, part: int, payload: object = None) -> Outcome:
    name = "error" if isinstance(payload, Failure) else "done"
    token = machine.snapshot.machines[part].token
    return machine.take(Event(f"{name}.invoke.all.{part}", payload, Origin.PLATFORM, token=token)).outcome


def test_each_item_is_the_data_of_a_machine_of_its_own() -> None:
    machine = several()

    assert machine.last.effects == tuple(
        StartMachine(f"life.2.{place + 1}", f"all.{place}", LETTER, item) for place, item in enumerate("abc")
    )
    assert [(child.id, child.part) for child in machine.snapshot.machines] == [
        ("all.0", 0),
        ("all.1", 1),
        ("all.2", 2),
    ]


def test_the_outputs_of_several_machines_are_joined_in_order() -> None:
    machine = several()

    assert ends(machine, 2, "third") is Outcome.TAKEN
    assert ends(machine, 0, None) is Outcome.TAKEN
    assert machine.leaves == ("open",)
    assert [child.ended for child in machine.snapshot.machines] == [True, False, True]
    assert snapshot_from_json(machine.chart, snapshot_to_json(machine.snapshot)) == machine.snapshot
    assert incompatibility(machine.chart, machine.snapshot) is None
    ends(machine, 1, "second")

    assert machine.leaves == ("over",)
    assert machine.last.reply == [None, "second", "third"]
    assert machine.snapshot.machines == ()


def test_the_first_failure_stops_those_that_have_not_ended() -> None:
    machine = several()
    ends(machine, 0, "first")

    ends(machine, 1, Failure("Torn", "it is torn"))

    assert machine.leaves == ("broken",)
    reply = machine.last.reply
    assert isinstance(reply, dict)
    assert (reply["type"], reply["metadata"]) == ("Torn", {"index": 1})
    assert StopMachine("life.2.3") in machine.last.effects
    assert StopMachine("life.2.1") not in machine.last.effects


def test_machines_may_settle() -> None:
    machine = several(each=replace(ITEMS, settle=True), letters=("a", "b"))

    ends(machine, 0, Failure("Torn", "it is torn"))
    ends(machine, 1, "second")

    assert machine.last.reply == [
        {"status": "failed", "error": {"type": "Torn", "message": "it is torn", "source": ""}},
        {"status": "done", "result": "second"},
    ]


def test_several_machines_are_stopped_with_their_state_unless_they_have_ended() -> None:
    machine = several(letters=("a", "b"))
    ends(machine, 0)

    machine.take("lock")

    assert machine.last.effects == (StopMachine("life.2.2"),)


def test_a_message_does_not_reach_one_that_has_ended() -> None:
    gone = edge("open", "error.communication", actions=[action(lambda s: s.event.payload.metadata, "back")])
    machine = several(edge("open", "go", actions=[post("sign", "#_all.0")]), gone, letters=("a", "b"))
    ends(machine, 0)

    machine.take("go")

    assert machine.last.reply == {"event": "sign", "to": "#_all.0", "sendid": ""}


def test_one_of_several_may_speak() -> None:
    machine = several(edge("open", "hello", actions=[action(lambda s: s.event.invokeid, "who")]))
    token = machine.snapshot.machines[1].token

    machine.take(Event("hello", None, Origin.MACHINE, token=token))

    assert machine.last.reply == "all.1"


@pytest.mark.parametrize(("letters", "leaf"), [((), "over"), (range(1_001), "broken")])
def test_no_items_and_too_many_are_over_at_once(letters: object, leaf: str) -> None:
    machine = several(letters=letters)

    assert machine.leaves == (leaf,)
    if leaf == "broken":
        reply = machine.last.reply
        assert isinstance(reply, dict)
        assert reply["message"] == "machine 'all' was not begun: it has 1,001 items; at most 1,000 are taken."


def test_items_that_cannot_be_found_begin_nothing() -> None:
    machine = several(edge("open", "error.execution", "broken"), each=Each("gone", lambda data: data["gone"]))

    assert machine.leaves == ("broken",)
    assert machine.snapshot.machines == ()


def test_a_list_and_a_single_machine_do_not_fit_each_other() -> None:
    machine = several()
    alone = changed(machine.snapshot, machines=(changed(machine.snapshot.machines[0], part=None),))

    assert (
        incompatibility(machine.chart, alone)
        == "Machine 'all.0' of state 'open' is running, which the chart no longer has."
    )


def test_a_machine_of_another_chart_does_not_fit() -> None:
    machine = several()
    other = changed(machine.snapshot, machines=(changed(machine.snapshot.machines[0], chart="Parcel"),))

    assert (
        incompatibility(machine.chart, other)
        == "Machine 'all.0' of state 'open' is running, which the chart no longer has."
    )


def test_the_list_of_several_machines_is_exported() -> None:
    exported = several().chart.to_json()
    assert isinstance(exported, dict)
    states = exported["states"]
    assert isinstance(states, list)
    (found,) = (state for state in states if isinstance(state, dict) and state["id"] == "open")

    assert found["machines"] == [
        {
            "name": "letter",
            "autoforward": False,
            "finalize": [],
            "each": {"name": "letters", "at_once": 10, "settle": False},
        }
    ]


@pytest.mark.parametrize(
    ("facts", "expected"), [(None, {"index": 3}), ({"a": 1}, {"a": 1, "index": 3}), (5, {"metadata": 5, "index": 3})]
)
def test_the_failure_of_an_item_says_which(facts: Json, expected: Json) -> None:
    assert at_index(3, Failure("X", "x", metadata=facts)).metadata == expected


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
        "no transition takes the failure of machine 'l1': this one would fail with it."
    ]
    assert [one for one in handled if one.kind == "unhandled"] == []
