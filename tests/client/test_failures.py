"""Errors cross the wire: a caller catches the exception that the machine raised."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from durable_fsm import errors
from durable_fsm.client.failures import error_of
from durable_fsm.errors.statuses import STATUS
from durable_fsm.restate.http.errors import terminal

WHO = {"chart": "Order", "key": "o-17"}
RAISED: list[errors.DurableFSMError] = [
    errors.MalformedInput(**WHO, handler="send", problem="it is not UTF-8."),
    errors.Forbidden(**WHO, event="expire"),
    errors.NotOperator(**WHO, handler="repair", problem="it is not signed by an operator."),
    errors.Moved(**WHO, expected=7, seq=9, configuration=("paid",)),
    errors.UnknownEvent(**WHO, event="payed", known=("cancel", "pay")),
    errors.NotIndexed(**WHO, field="custmer", known=("customer",)),
    errors.EventRejected(**WHO, event="7", configuration=("cart",), accepted=(), reason="not now"),
    errors.TooManyDeferred(**WHO, event="pay", waiting=100),
    errors.TooManyWaiting(**WHO, waiting=1_000),
    errors.TooLarge(**WHO, size=9, limit=8),
    errors.InvalidPayload(**WHO, subject="payload", expected="Payment", problem="expected int", path="$.a[0]"),
    errors.Undecodable(**WHO, source="webhook 'w'", problem="not JSON."),
    errors.BadSignature(**WHO, webhook="w", problem="too old."),
    errors.NotStarted(**WHO),
    errors.AlreadyStarted(**WHO, configuration=("a", "b")),
    errors.Finished(**WHO, event="pay", configuration=("paid",)),
    errors.Gone(**WHO),
    errors.NotRepairable(**WHO, problem="no such state.", known=("cart",)),
    errors.NotUndone(**WHO, done=("flight",), ending=("car",)),
    errors.DeferredTooLong(**WHO, event="pay", after="1:00:00"),
    errors.Paused(**WHO, since="2030-01-01T12:00:00.000+00:00", reason="moving"),
    errors.FlowStuck(**WHO, configuration=("cart",)),
    errors.WaitTimedOut(**WHO, condition='{"state":"paid"}', after="0:00:01"),
    errors.WaitInVain(**WHO, condition='{"state":"paid"}', status="failed", configuration=("cart",)),
    errors.NotRunning(**WHO, activity="true", running=("a",)),
    errors.VersionError(**WHO, stored="3", served=("4", "5")),
    errors.MigrationError(**WHO, source="1", to="2", problem="no."),
    errors.SnapshotUnreadable(**WHO, problem="no."),
    errors.SecretMissing(**WHO, webhook="w", variable="SECRET"),
    errors.ActionError(**WHO, event="pay", callback="on_pay", problem="KeyError."),
    errors.UnknownWork(**WHO, work="pakc", known=("pack",)),
]
AT_HOME = {
    errors.DefinitionError,
    errors.NotDurable,
    errors.NoAnswer,
    errors.UnexpectedAnswer,
    errors.KeyReused,
}
"""Never an answer of a machine: found at import, or by a client."""


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
def test_an_error_arrives_as_it_was_raised(raised: errors.DurableFSMError) -> None:
    sent = terminal(raised)
    body = json.dumps({"message": sent.message, "metadata": sent.metadata}).encode()

    caught = error_of(sent.status_code, body, chart="Order", key="o-17")

    assert (type(caught), str(caught), vars(caught)) == (type(raised), str(raised), vars(raised))


def test_the_samples_have_every_error_that_a_machine_answers_with() -> None:
    of_activities = {kind for kind in STATUS if issubclass(kind, errors.TerminalError)}

    assert {type(raised) for raised in RAISED} == STATUS.keys() - AT_HOME - of_activities


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"<html>no</html>", "<html>no</html>", id="a page"),
        pytest.param(b"[1]", "[1]", id="a list"),
        pytest.param(b'{"message": "boom"}', "boom", id="no metadata"),
        pytest.param(b'{"message": "boom", "metadata": {"type": "Unheard"}}', "boom", id="of another version"),
        pytest.param(b'{"message": "boom", "metadata": {"type": "InternalError"}}', "boom", id="internal"),
        pytest.param(b'{"message": "boom", "metadata": {"type": "Finished"}}', "boom", id="facts missing"),
        pytest.param(b'{"message": "boom", "metadata": {"type": "TerminalError"}}', "boom", id="of an activity"),
        pytest.param(b'{"message": "boom", "metadata": {"type": "annotations"}}', "boom", id="no class"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_an_answer_from_elsewhere_keeps_its_status_and_its_text(body: bytes, text: str) -> None:
    caught = error_of(500, body, chart="Order", key="o-17")

    assert isinstance(caught, errors.UnexpectedAnswer)
    assert (caught.status, caught.text, caught.where) == (500, text, "Order/o-17")


def test_an_error_of_a_callback_is_built_from_the_facts_that_its_author_gave() -> None:
    raised = errors.CallbackRejected(callback="approval", reason="too expensive", code=409)
    body = json.dumps({"message": str(raised), "metadata": terminal(raised).metadata}).encode()

    caught = error_of(500, body, chart="Order", key="o-17")

    assert (type(caught), str(caught), vars(caught)) == (type(raised), str(raised), vars(raised))


def test_one_class_catches_a_missing_and_an_unexpected_answer() -> None:
    lost = errors.NoAnswer(**WHO, url="http://x", attempts=1, waited=timedelta(0), problem="ReadTimeout")

    assert isinstance(lost, errors.CallError)
    assert isinstance(error_of(500, b"", **WHO), errors.CallError)


def test_a_fact_that_is_none_is_not_sent_and_arrives_as_none() -> None:
    sent = terminal(errors.NotRunning(**WHO, activity=None, running=()))
    body = json.dumps({"message": sent.message, "metadata": sent.metadata}).encode()

    caught = error_of(sent.status_code, body, chart="Order", key="o-17")

    assert (type(caught), str(caught)) == (errors.NotRunning, sent.message)


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
def test_a_service_can_pass_an_error_on_with_the_status_of_the_machine(raised: errors.DurableFSMError) -> None:
    assert errors.http_status(raised) == terminal(raised).status_code
