"""Questions that change nothing: what would be accepted now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from durable_fsm.core.chart import EventType
from durable_fsm.core.events import Failure
from durable_fsm.core.questions import Acceptance, acceptance_of
from durable_fsm.core.scope import Scope
from durable_fsm.core.snapshot import Status
from durable_fsm.core.values import changed
from tests.building import Driven, Members, action, chart, edge, guard

Asks = Callable[[Any], object]  # Any: a scope, whose data and payload are whatever the case has

STATES = """
    cart
    paid
    kept history
"""


def refuse(scope: Scope) -> None:
    raise ValueError("not today")


def asked(*edges: object) -> dict[str, Acceptance]:
    made = chart(STATES, *edges, data=Members(log=[], total=3))  # type: ignore[arg-type]
    return acceptance_of(made, Driven(made).snapshot)


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        pytest.param(lambda s: True, "yes", id="it is so"),
        pytest.param(lambda s: False, "no", id="it is not so"),
        pytest.param(lambda s: s.data["total"] > 2, "yes", id="the data say so"),
        pytest.param(lambda s: s.event.payload.amount > 2, "depends on payload", id="a member of the payload"),
        pytest.param(lambda s: s.event.payload["amount"], "depends on payload", id="an item of the payload"),
        pytest.param(lambda s: s.event.payload, "depends on payload", id="whether there is a payload"),
        pytest.param(lambda s: not s.event.payload, "depends on payload", id="whether there is none"),
        pytest.param(lambda s: s.event.payload == 3, "depends on payload", id="equality"),
        pytest.param(lambda s: s.event.payload != 3, "depends on payload", id="inequality"),
        pytest.param(lambda s: s.event.payload >= 3, "depends on payload", id="order"),
        pytest.param(lambda s: "x" in s.event.payload, "depends on payload", id="membership"),
        pytest.param(lambda s: s.event.payload == 3, "depends on payload", id="being one of some"),
        pytest.param(lambda s: len(s.event.payload), "depends on payload", id="length"),
        pytest.param(lambda s: any(s.event.payload), "depends on payload", id="iteration"),
        pytest.param(lambda s: s.event.payload + 1 > 3, "depends on payload", id="arithmetic"),
        pytest.param(lambda s: 1 / 0, "depends on payload", id="a guard that stumbles"),
        pytest.param(
            lambda s: s.effects.raise_("x") or s.effects.send("x") or s.effects.cancel("x"), "no", id="effects"
        ),
    ],
)
def test_an_event_is_accepted_as_its_guard_says(ask: Asks, answer: str) -> None:
    assert asked(edge("cart", "pay", "paid", guards=[guard(ask, "may_pay")])) == {"pay": answer}


@pytest.mark.parametrize(
    ("asks", "answer"),
    [
        ([lambda s: s.event.payload.x, lambda s: False], "no"),
        ([lambda s: s.event.payload.x, lambda s: True], "depends on payload"),
        ([lambda s: True, lambda s: True], "yes"),
    ],
)
def test_all_guards_of_a_transition_have_their_say(asks: list[Asks], answer: str) -> None:
    guards = [guard(ask, "guard") for ask in asks]

    assert asked(edge("cart", "pay", "paid", guards=guards)) == {"pay": answer}


def test_an_unless_is_the_other_way_round() -> None:
    never = guard(lambda s: True, "closed", negated=True)

    assert asked(edge("cart", "pay", "paid", guards=[never])) == {"pay": Acceptance.NO}


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (lambda s: None, "yes"),
        (refuse, "no"),
        (lambda s: s.event.payload.amount, "depends on payload"),
    ],
)
def test_validators_have_their_say_too(check: Asks, answer: str) -> None:
    assert asked(edge("cart", "pay", "paid", validators=[action(check, "check")])) == {"pay": answer}


def test_any_transition_of_any_active_state_may_accept() -> None:
    no = guard(lambda s: False, "no")
    answers = asked(
        edge("cart", "pay", "paid", guards=[no]), edge("cart", "pay", "paid", key="2"), edge("paid", "ship", "cart")
    )

    assert answers == {"pay": Acceptance.YES, "ship": Acceptance.NO}


def test_private_events_are_not_asked_about() -> None:
    made = chart(
        STATES,
        edge("cart", "expire", "paid"),
        edge("cart", "done.state.cart"),
        events=[EventType("expire", public=False)],
    )

    assert acceptance_of(made, Driven(made).snapshot) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.DONE},
        {"status": Status.FAILED, "failure": Failure("X", "x")},
        {"data": {"log": "spoiled"}},
    ],
)
def test_a_machine_that_is_over_or_spoiled_accepts_nothing(changes: dict[str, object]) -> None:
    made = chart(STATES, edge("cart", "pay", "paid"))

    assert acceptance_of(made, changed(Driven(made).snapshot, **changes)) == {"pay": Acceptance.NO}  # type: ignore[arg-type]
