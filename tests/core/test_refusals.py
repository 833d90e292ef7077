"""What a sender, an author or an operator is told, word for word."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from durable_fsm import errors
from durable_fsm.core.chart import EventType, Hosting, Policies, Unexpected
from durable_fsm.core.effects import Outcome, Step
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.scope import Scope
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.sources import Kafka, Webhook
from durable_fsm.core.step import admit, start, step
from durable_fsm.core.values import changed
from tests.building import Driven, Members, action, chart, edge, guard

STATES = """
    cart
    open_door parallel
        left
            left_open
        right
            right_open
    over final
"""

MADE = chart(
    STATES,
    edge("cart", "pay", "over"),
    edge("cart", "enter", "open_door"),
    edge("cart", "expire", "over"),
    edge("cart", "*", key="any", guards=[guard(lambda s: False, "never")]),
    edge("left_open", "go"),
    events=[EventType("expire", public=False), EventType("pay", Members(name="Payment", amount=int))],
)
CART = Driven(MADE).snapshot
STRICT = replace(MADE, transitions=MADE.transitions[:3] + MADE.transitions[4:])


def refused(event: str | Event, snapshot: Snapshot = CART, made: object = STRICT, payload: object = None) -> str:
    taken = Event(event, payload) if isinstance(event, str) else event
    with pytest.raises(errors.DurableFSMError) as caught:
        step(made, snapshot, taken)  # type: ignore[arg-type]
    return f"{type(caught.value).__name__}: {caught.value}"


def test_an_event_that_no_transition_takes_now_is_rejected_with_what_would_be_taken() -> None:
    assert refused("go") == (
        "EventRejected: Order: event 'go' is not accepted in state 'cart'. Accepted now: 'enter', 'pay'."
    )


def test_all_leaves_are_named_where_there_are_several() -> None:
    inside = step(STRICT, CART, Event("enter")).snapshot

    assert refused("pay", inside, payload={"amount": 1}) == (
        "EventRejected: Order: event 'pay' is not accepted in states 'left_open', 'right_open'. Accepted now: 'go'."
    )


def test_where_nothing_is_accepted_the_message_says_so() -> None:
    made = chart("a\nb", edge("b", "go", "a"))

    assert refused("go", Driven(made).snapshot, made) == (
        "EventRejected: Order: event 'go' is not accepted in state 'a'. Nothing from outside is accepted now."
    )


@pytest.mark.parametrize(
    ("guards", "reason"),
    [
        ([guard(lambda s: False, "has_items")], "Guard 'has_items' says no. "),
        ([guard(lambda s: True, "is, closed", negated=True)], "Guard '!is, closed' says no. "),
    ],
)
def test_the_guard_that_said_no_is_named(guards: list[object], reason: str) -> None:
    made = chart("a\nb", edge("a", "go", "b", guards=guards))

    assert refused("go", Driven(made).snapshot, made) == (
        f"EventRejected: Order: event 'go' is not accepted in state 'a'. {reason}Nothing from outside is accepted now."
    )


def test_several_guards_that_said_no_are_named() -> None:
    made = chart(
        "a\nb", *(edge("a", "go", "b", key=name, guards=[guard(lambda s: False, name)]) for name in ("x", "y"))
    )

    assert refused("go", Driven(made).snapshot, made) == (
        "EventRejected: Order: event 'go' is not accepted in state 'a'. Guards 'x', 'y' say no. Nothing from outside is"
        " accepted now."
    )


def test_an_unknown_event_is_answered_with_the_known_ones() -> None:
    assert refused("payed") == (
        "UnknownEvent: Order: there is no event 'payed'. It knows: 'enter', 'go', 'pay'. Did you mean 'pay'?"
    )


@pytest.mark.parametrize("event", ["expire", "done.state.left", "done.invoke.x", "error.execution"])
def test_private_events_are_for_the_machine_alone(event: str) -> None:
    assert refused(event, made=MADE) == (
        f"Forbidden: Order: event '{event}' is private: only the machine itself sends it. Declare it public=True to open"
        " it."
    )


def test_a_source_may_send_a_private_event_that_it_names_and_none_of_the_platforms() -> None:
    assert step(STRICT, CART, Event("expire", origin=Origin.SOURCE)).snapshot.status is Status.DONE
    assert refused(Event("done.state.left", origin=Origin.SOURCE)).startswith("Forbidden: ")


def test_a_refused_private_event_is_answered_with_those_who_may_send_it() -> None:
    def decode(_: object) -> None: ...

    topic = Kafka("clocks", decode, events=("expire",))
    webhooks = tuple(
        Webhook(name, decode, signature=None, events=events) for name, events in (("a", ("expire",)), ("b", ()))
    )
    made = replace(MADE, hosting=Hosting(sources=(topic,), webhooks=webhooks))

    assert refused("expire", made=made) == (
        "Forbidden: Order: event 'expire' is private: only topic 'clocks' or webhook 'a' sends it."
    )


def test_the_machine_itself_may_send_them() -> None:
    assert step(STRICT, CART, Event("expire", origin=Origin.PLATFORM)).snapshot.status is Status.DONE


def test_a_payload_that_does_not_fit_says_where() -> None:
    assert refused("pay", payload={"amount": "5"}) == (
        "InvalidPayload: Order: payload of 'pay' does not fit Payment: expected int, got str at $.amount."
    )


def test_data_that_does_not_fit_says_where() -> None:
    with pytest.raises(errors.InvalidPayload) as caught:
        start(chart(STATES, data=Members(name="OrderData", total=int)), data={"total": "5"})

    assert str(caught.value) == "Order: the data does not fit OrderData: expected int, got str at $.total."


def test_stored_data_that_does_not_fit_is_unreadable_and_stays() -> None:
    assert refused("go", changed(CART, data={"log": 3})) == (
        "SnapshotUnreadable: Order: the stored snapshot cannot be read: its data does not fit Members: expected list, got"
        " int at $.log. It has not changed. Deploy the build that wrote it, or free the key with 'delete' and"
        ' {"abandon": true}.'
    )


def test_a_machine_that_has_ended_takes_nothing() -> None:
    over = changed(CART, status=Status.DONE, configuration=("over",))

    assert refused("pay", over) == (
        "Finished: Order: the machine has ended in 'over' and no longer accepts 'pay'. Its snapshot can still be read;"
        " 'delete' frees the key."
    )
    assert refused("payed", over).startswith("UnknownEvent")


def test_a_machine_that_has_failed_takes_nothing_and_says_why() -> None:
    failed = changed(CART, status=Status.FAILED, failure=Failure("X", "no gas."))

    assert refused("pay", failed) == refused("pay", changed(failed, failure=Failure("X", "no gas")))
    assert refused("pay", failed) == (
        "EventRejected: Order: event 'pay' is not accepted in state 'cart'. The machine has failed: no gas. Nothing from"
        " outside is accepted now."
    )


def test_an_unexpected_event_is_ignored_where_the_chart_says_so() -> None:
    tolerant = replace(STRICT, policies=Policies(unexpected=Unexpected.IGNORE))

    assert step(tolerant, CART, Event("go")) == Step(CART, outcome=Outcome.IGNORED)
    assert step(tolerant, CART, Event("payed")) == Step(CART, outcome=Outcome.IGNORED)
    assert refused("payed", made=replace(tolerant, policies=replace(tolerant.policies, scxml=True))).startswith(
        "UnknownE"
    )


def test_an_unexpected_event_of_the_machine_itself_is_ignored() -> None:
    assert step(STRICT, CART, Event("go", origin=Origin.INTERNAL)).outcome is Outcome.IGNORED


# ── validators ────────────────────────────────────────────────────────────────────────────────────────────────────────


def check(scope: Scope) -> None:
    if scope.event.payload != "enough":
        raise ValueError("it is not enough")


CHECKED = chart("a\nb\nc", edge("a", "pay", "b", validators=[action(check)]), edge("b", "error.execution", "c"))


def test_a_validator_rejects_an_event_with_its_own_words() -> None:
    with pytest.raises(errors.EventRejected) as caught:
        step(CHECKED, Driven(CHECKED).snapshot, Event("pay", "little"))

    assert str(caught.value) == (
        "Order: event 'pay' is not accepted in state 'a'. It is not enough. Another payload may be accepted. Nothing from"
        " outside is accepted now."
    )
    assert repr(caught.value.__cause__) == "ValueError('it is not enough')"


def test_a_validator_without_an_objection_lets_the_event_in() -> None:
    assert step(CHECKED, Driven(CHECKED).snapshot, Event("pay", "enough")).snapshot.configuration == ("b",)


def test_a_validator_in_the_middle_of_a_macrostep_is_a_callback_like_any_other() -> None:
    made = chart(
        "a\nb\nc",
        edge("a", "go", "b"),
        edge("b", "", "c", validators=[action(check)]),
        edge("b", "error.execution", "a"),
    )

    assert step(made, Driven(made).snapshot, Event("go")).snapshot.configuration == ("a",)
    assert step(made, Driven(made).snapshot, Event("go", "enough")).snapshot.configuration == ("c",)


def test_an_event_of_the_machine_itself_has_nobody_to_be_told() -> None:
    with pytest.raises(
        errors.ActionError, match="check failed while processing 'pay': ValueError: it is not enough\\."
    ):
        step(CHECKED, Driven(CHECKED).snapshot, Event("pay", origin=Origin.PLATFORM))


# ── the words of the others ───────────────────────────────────────────────────────────────────────────────────────────

PROBLEM = errors.Problem("state 'paid' can never be left.", "Add a transition from it.", "order.py:12")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            errors.DefinitionError(chart="Order", problems=[PROBLEM]),
            "Order: state 'paid' can never be left. Add a transition from it. (order.py:12)",
        ),
        (
            errors.NotDurable(chart="Order", problems=[PROBLEM, errors.Problem("there is more.", "")]),
            (
                "Order: 2 problems.\n  1. state 'paid' can never be left. Add a transition from it. (order.py:12)\n"
                "  2. there is more."
            ),
        ),
        (errors.TerminalError("declined", code=402, metadata={"card": "x"}), "declined"),
        (
            errors.CallbackTimeout(callback="signature", after=timedelta(days=3)),
            "callback 'signature' was not answered within 3 days, 0:00:00.",
        ),
        (
            errors.CallbackRejected(callback="signature", reason="no time", code=500),
            "callback 'signature' was rejected: no time",
        ),
        (
            errors.CallbackUnreadable(callback="signature", problem="it is not UTF-8."),
            "the answer to callback 'signature' cannot be read: it is not UTF-8.",
        ),
        (
            errors.NotRunning(chart="Order", activity=None, running=[]),
            "Order: no exclusive activity is running.",
        ),
        (
            errors.NotRunning(chart="Order", activity="charge", running=["look"]),
            "Order: no activity 'charge' is running. Running now: 'look'. Name one: {\"activity\": id}.",
        ),
        (
            errors.MalformedInput(chart="Order", handler="send", problem="it is not valid JSON."),
            "Order: the input of 'send' cannot be read: it is not valid JSON.",
        ),
        (
            errors.TooLarge(chart="Order", size=9, limit=5),
            "Order: the input has 9 bytes; at most 5 are allowed. Send a reference to it instead.",
        ),
        (
            errors.UnknownEvent(chart="Order", event="x", known=[]),
            "Order: there is no event 'x'. It declares no public event.",
        ),
        (
            errors.VersionError(chart="Order", stored="3", served=["4", "5"]),
            (
                "Order: the snapshot was written by chart version '3'; this deployment reads '4', '5'. Deploy version '3'"
                " beside it, or add a migration."
            ),
        ),
        (
            errors.VersionError(chart="Order", stored="3", served=["3"], problem="It is in state 'x'."),
            (
                "Order: the snapshot was written by chart version '3'; this deployment reads '3'. It is in state 'x'. Deploy"
                " version '3' beside it, or add a migration."
            ),
        ),
        (
            errors.AlreadyStarted(chart="Order", configuration=["a", "b"]),
            (
                "Order: the machine exists, created with other data, and is in states 'a', 'b'. Use another key, or"
                " 'delete' it first."
            ),
        ),
    ],
)
def test_a_message_says_what_and_what_now(error: errors.DurableFSMError, message: str) -> None:
    assert str(error) == message
    assert repr(error) == f"<{type(error).__name__} {message}>"


def test_a_message_names_the_machine_as_soon_as_its_key_is_known() -> None:
    with pytest.raises(errors.EventRejected) as caught, errors.locate("o-17"):
        step(STRICT, CART, Event("go"))
    assert str(caught.value).startswith("Order/o-17: event 'go' is not accepted")

    with pytest.raises(errors.Forbidden) as kept, errors.locate("outer"):
        raise errors.Forbidden(chart="Order", event="x", key="inner")
    assert kept.value.where == "Order/inner"


def test_what_goes_well_is_not_touched_by_its_place() -> None:
    with errors.locate("o-17"):
        assert step(STRICT, CART, Event("enter")).outcome is Outcome.TAKEN


def test_a_terminal_error_of_an_activity_speaks_for_itself() -> None:
    error = errors.TerminalError("declined", code=402, metadata={"card": "x"})

    assert (error.what, error.code, error.metadata) == ("declined", 402, {"card": "x"})
    assert errors.TerminalError("declined").metadata == {}


def test_every_kind_of_error_has_a_message() -> None:
    with pytest.raises(NotImplementedError):
        str(errors.DurableFSMError(chart="Order"))


@pytest.mark.parametrize("name", ["error", "done", "done.invoke", "done.state", "error.execution", "done.invoke.x"])
def test_the_stem_of_a_platform_event_is_as_private_as_the_event(name: str) -> None:
    made = chart("cart", edge("cart", "error.* done.* done.state.*", key="any"))

    with pytest.raises(errors.Forbidden):
        step(made, start(made).snapshot, Event(name))


def test_an_event_of_ones_own_may_be_called_error() -> None:
    made = chart("cart", edge("cart", "error"), events=[EventType("error")])

    assert step(made, start(made).snapshot, Event("error")).outcome is Outcome.TAKEN


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (Event("pay", {"amount": 1}), None),
        (Event("expire"), "Forbidden"),
        (Event("gone"), "UnknownEvent"),
        (Event("pay", {"amount": "x"}), "InvalidPayload"),
    ],
)
def test_some_events_are_refused_before_there_is_a_machine(event: Event, problem: str | None) -> None:
    def refusal() -> str | None:
        try:
            admit(STRICT, event)
        except errors.EventError as error:
            return type(error).__name__
        return None

    assert refusal() == problem
