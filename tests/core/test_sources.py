"""Records, requests and what is declared of them: values that say where they are and do not show what they carry."""

from __future__ import annotations

from durable_fsm.core.sources import Incoming, Kafka, Record, Request, Signature, Webhook
from durable_fsm.errors import BadSignature, SecretMissing, Undecodable

RECORD = Record("orders", 3, 1042, 1_700_000_000_000, "o-17", b"secret value")


def decode(record: object) -> Incoming | None:
    return Incoming("pay")


def test_a_record_says_where_it_can_be_found_and_keeps_its_value_to_itself() -> None:
    assert RECORD.place == "orders[3]@1042"
    assert "secret" not in repr(RECORD)


def test_a_request_keeps_headers_and_body_to_itself() -> None:
    request = Request("stripe", {"authorization": "secret"}, b"secret")

    assert repr(request) == "Request(webhook='stripe')"


def test_declarations_are_values() -> None:
    assert Kafka("orders", decode) == Kafka("orders", decode=decode, start="earliest")
    assert Kafka("orders", decode) != Kafka("orders", decode, cluster="other")
    assert Webhook("stripe", decode, signature=None).events == ()
    assert not isinstance(decode, Signature)


def test_what_went_wrong_is_said_with_what_to_do() -> None:
    undecodable = Undecodable(chart="Order", source="record orders[3]@1042", problem="KeyError: 'event'.", key="o-17")
    forged = BadSignature(chart="Order.webhooks", webhook="stripe", problem="header 'x' is missing.")
    unset = SecretMissing(chart="Order.webhooks", webhook="stripe", variable="STRIPE_SECRET")

    assert str(undecodable) == "Order/o-17: record orders[3]@1042 cannot be decoded: KeyError: 'event'."
    assert str(forged) == "Order.webhooks: the request to webhook 'stripe' is refused: header 'x' is missing."
    assert str(unset) == (
        "Order.webhooks: webhook 'stripe' cannot check its requests: the environment has no STRIPE_SECRET. Set it where"
        " the service runs, and restart it."
    )
