"""One error of every class of the tree, as it is raised."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from durable_fsm import errors
from durable_fsm.errors import DurableFSMError, Problem

HERE = {"chart": "Order", "key": "o-17"}

SAMPLES: tuple[DurableFSMError, ...] = (
    errors.DefinitionError(
        chart="Order",
        problems=(
            Problem("state 'paid' can never be left and is not final.", "Add a transition from it.", "order.py:12"),
            Problem("event 'pay' leads nowhere.", "Give it a target.", "order.py:15"),
        ),
    ),
    errors.NotDurable(
        chart="Order", problems=(Problem("on_enter_paid sleeps.", "Make it an activity, or a timer.", "order.py:20"),)
    ),
    errors.MalformedInput(**HERE, handler="send", problem="it is not valid JSON."),
    errors.Forbidden(**HERE, event="expire"),
    errors.NotOperator(**HERE, handler="repair", problem="it is not signed by an operator."),
    errors.Moved(**HERE, expected=7, seq=9, configuration=("paid",)),
    errors.UnknownEvent(**HERE, event="payed", known=("cancel", "pay")),
    errors.NotIndexed(**HERE, field="custmer", known=("customer", "address.city")),
    errors.EventRejected(**HERE, event="pay", configuration=("cart",), accepted=("checkout",)),
    errors.DeferredTooLong(**HERE, event="cancel", after="1:00:00"),
    errors.TooManyDeferred(**HERE, event="cancel", waiting=100),
    errors.TooManyWaiting(**HERE, waiting=1000),
    errors.TooLarge(**HERE, size=2_000_000, limit=1_000_000),
    errors.InvalidPayload(
        **HERE, subject="payload of 'pay'", expected="Payment", problem="expected int, got str", path="$.amount"
    ),
    errors.KeyReused(**HERE, event="refund", idempotency_key="r-1", before="pay"),
    errors.Undecodable(**HERE, source="record payments[0]@7", problem="it has no 'type'."),
    errors.BadSignature(**HERE, webhook="stripe", problem="its signature is older than 5 minutes."),
    errors.NotStarted(**HERE),
    errors.AlreadyStarted(**HERE, configuration=("cart",)),
    errors.Finished(**HERE, event="pay", configuration=("shipped",)),
    errors.Gone(**HERE),
    errors.NotRepairable(**HERE, problem="there is no failed activity 'charging'.", known=("refunding",)),
    errors.Paused(**HERE, since="2030-01-01T12:00:00.000+00:00", reason="see ticket 4711."),
    errors.FlowStuck(**HERE, configuration=("held",)),
    errors.NotUndone(**HERE, done=("flight", "car"), ending=("paying",)),
    errors.WaitTimedOut(**HERE, condition="state 'paid'", after="1h"),
    errors.WaitInVain(**HERE, condition="state 'paid'", status="done", configuration=("expired",)),
    errors.NotRunning(**HERE, activity=None, running=("charging",)),
    errors.VersionError(**HERE, stored="3", served=("4", "5")),
    errors.MigrationError(**HERE, source="3", to="4", problem="state 'paid' has no place in it."),
    errors.SnapshotUnreadable(**HERE, problem="it is not valid JSON."),
    errors.SecretMissing(**HERE, webhook="stripe", variable="STRIPE_SECRET"),
    errors.ActionError(
        **HERE, event="pay", callback="on_pay (order.py:30)", problem="KeyError: 'total'.", configuration=("paid",)
    ),
    errors.UnknownWork(**HERE, work="mial", known=("mail",)),
    errors.NoAnswer(
        **HERE,
        url="http://localhost:8080",
        attempts=3,
        waited=timedelta(minutes=1),
        problem="ConnectError (All connection attempts failed)",
    ),
    errors.UnexpectedAnswer(**HERE, status=401, text="who are you?"),
    errors.TerminalError("the card was declined", code=402),
    errors.CallbackTimeout(callback="approval", after=timedelta(hours=1)),
    errors.CallbackRejected(callback="approval", reason="too expensive"),
    errors.CallbackUnreadable(callback="approval", problem="it is not valid JSON."),
)


def tree(kind: type[DurableFSMError] = DurableFSMError) -> Iterator[type[DurableFSMError]]:
    """Every class of `durable_fsm.errors` below *kind*; other packages and tests may have their own."""
    for child in kind.__subclasses__():
        if child.__module__.startswith(errors.__name__):
            yield child
            yield from tree(child)
