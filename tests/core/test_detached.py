"""Work that callbacks start: no state waits for it, none stops it, and its outcome comes back if the chart listens."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from durable_fsm.core.activity import stable_id
from durable_fsm.core.chart import Activity, Chart, Each, Transition
from durable_fsm.core.codec import canonical, snapshot_from_json, snapshot_to_json
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.effects import Outcome, StartActivity, Step
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import Running, Status
from durable_fsm.core.values import Json
from durable_fsm.errors import ActionError, UnknownWork
from tests.building import Driven, action, chart, edge, note

SHOP = """
    open
    elsewhere
    closed final
"""

LETTER: Json = {"to": "ann"}
FAILED = Failure("Bounced", "no such address")


def work() -> None: ...


MAIL = Activity("mail", "work", work, deadline=None)
LETTERS = Activity("letters", "work", work, deadline=None, each=Each("to", lambda letter: letter["to"]))  # type: ignore[index]

POST = edge("open", "post", actions=[action(lambda scope: scope.effects.start("mail", LETTER), "post")])
LEAVE = edge("open", "leave", "elsewhere")
CLOSE = edge("open", "close", "closed")
SENT = edge("open", "done.invoke.mail", actions=[note("sent")])
BOUNCED = edge("open", "error.invoke.mail", actions=[note("bounced")])
LISTED = edge(
    "open", "done.invoke.letters", actions=[action(lambda scope: scope.data["log"].append(scope.event.payload))]
)


def shop(*edges: Transition, **rest: Any) -> Driven:
    return Driven(_chart(*edges, **rest))


def _chart(*edges: Transition, **rest: Any) -> Chart:
    return replace(chart(SHOP, *edges, **rest), work=(MAIL, LETTERS))


def writing(to: object, *edges: Transition) -> Driven:
    write = action(lambda scope: scope.effects.start("letters", {"to": to}), "write")
    return shop(edge("open", "write", actions=[write]), *edges)


def end(machine: Driven, token: str, payload: object = "sent") -> Step:
    kind = "error" if isinstance(payload, Failure) else "done"
    return machine.take(Event(f"{kind}.invoke.mail", payload, Origin.PLATFORM, token=token))


def test_what_a_callback_starts_is_ordered_with_its_payload() -> None:
    machine = shop(POST)

    step = machine.take("post")

    ordered = StartActivity("life.2.1", "mail", 2, exclusive=False, input=LETTER, detached=True)
    assert step.effects == (ordered,)
    assert step.snapshot.activities == ()  # nothing in the chart takes its outcome
    assert stable_id("Order", "o-1", "life", ordered) == "Order/o-1/life/mail/2.1"


def test_it_is_awaited_where_the_chart_takes_an_outcome() -> None:
    machine = shop(POST, SENT)

    running = Running("life.2.1", "mail", None, 2)
    assert machine.take("post").snapshot.activities == (running,)
    assert stable_id("Order", "o-1", "life", running) == "Order/o-1/life/mail/2.1"

    step = end(machine, "life.2.1")
    assert (step.snapshot.data, step.snapshot.activities) == ({"log": ["sent"]}, ())


def test_the_stable_id_of_an_activity_of_a_state_is_that_of_its_entry() -> None:
    assert stable_id("Order", "o-1", "life", Running("life.2.7", "pay", "paying", 2)) == "Order/o-1/life/pay/2"


def test_its_failure_is_an_event() -> None:
    machine = shop(POST, BOUNCED)
    machine.take("post")

    assert end(machine, "life.2.1", FAILED).snapshot.data == {"log": ["bounced"]}


@pytest.mark.parametrize("outcome", ["sent", FAILED])
def test_leaving_a_state_does_not_stop_it_and_an_outcome_that_nothing_takes_is_dropped(outcome: object) -> None:
    machine = shop(POST, SENT, BOUNCED, LEAVE)
    machine.take("post")

    left = machine.take("leave")
    assert left.effects == ()
    assert [running.id for running in left.snapshot.activities] == ["mail"]

    step = end(machine, "life.2.1", outcome)
    assert (step.outcome, step.snapshot.status, step.snapshot.activities) == (Outcome.IGNORED, Status.RUNNING, ())


def test_the_end_of_the_machine_does_not_stop_it() -> None:
    machine = shop(POST, SENT, CLOSE)
    machine.take("post")

    closed = machine.take("close")
    assert (closed.effects, closed.snapshot.activities) == ((), ())
    assert end(machine, "life.2.1").outcome is Outcome.STALE


def test_the_end_of_the_machine_stops_the_activities_of_states_all_the_same() -> None:
    rest = {"open": [Activity("look", "work", work, deadline=None)]}
    machine = shop(POST, SENT, CLOSE, activities=rest)
    machine.take("post")

    assert [type(effect).__name__ for effect in machine.take("close").effects] == ["StopActivity"]


def test_starting_what_nothing_declares_fails_the_step() -> None:
    stumble = action(lambda scope: scope.effects.start("mial"), "stumble")
    machine = shop(edge("open", "post", actions=[stumble]))

    with pytest.raises(ActionError) as raised:
        machine.take("post")

    cause = raised.value.__cause__
    assert isinstance(cause, UnknownWork)
    assert str(cause) == (
        "Order: there is no work 'mial' to start. It declares: 'mail', 'letters'. Did you mean 'mail'?"
    )


def test_a_chart_without_work_says_how_to_declare_it() -> None:
    error = UnknownWork(chart="Order", work="mail", known=())

    assert str(error) == "Order: there is no work 'mail' to start. It declares none: @durable(work=[...])."


# ── fan-out ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_its_items_are_found_in_its_payload() -> None:
    step = writing(["ann", "bob"]).take("write")

    payload: Json = {"to": ["ann", "bob"]}
    ordered = StartActivity(
        "life.2.1", "letters", 2, exclusive=False, items=("ann", "bob"), input=payload, detached=True
    )
    assert step.effects == (ordered,)


def test_without_items_it_is_done_in_the_same_step() -> None:
    machine = writing([], LISTED)

    step = machine.take("write")

    assert (step.effects, step.snapshot.activities, step.snapshot.data) == ((), (), {"log": [[]]})


def test_without_items_and_without_a_listener_nothing_happens() -> None:
    step = writing([]).take("write")

    assert (step.effects, step.snapshot.activities, step.snapshot.data) == ((), (), {"log": []})


def test_too_many_items_fail_the_callback() -> None:
    with pytest.raises(ActionError, match="work 'letters' was not started: it has 10,001 items"):
        writing([0] * 10_001).take("write")


# ── stored ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_awaited_passes_through_json() -> None:
    machine = shop(POST, SENT)
    machine.take("post")

    text = canonical(snapshot_to_json(machine.snapshot))

    assert '"activities":[{"entry":2,"id":"mail","state":null,"token":"life.2.1"}]' in text
    assert snapshot_from_json(machine.chart, json.loads(text)) == machine.snapshot
    assert incompatibility(machine.chart, machine.snapshot) is None


def test_a_chart_that_no_longer_declares_it_does_not_fit() -> None:
    machine = shop(POST, SENT)
    machine.take("post")

    assert incompatibility(replace(machine.chart, work=()), machine.snapshot) == (
        "Work 'mail' is running, which the chart no longer declares."
    )


def test_a_chart_exports_its_work() -> None:
    exported: Any = _chart(POST).to_json()

    assert [(one["id"], one["each"]) for one in exported["work"]] == [
        ("mail", None),
        ("letters", {"name": "to", "at_once": 10, "join": "all"}),
    ]
    assert list(_chart(POST).activities) == ["mail", "letters"]
