"""Topics and webhooks as authors declare them: what is wrong is told at import, all at once, with place and remedy."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from statemachine import State, StateChart

from durable_fsm import (
    DefinitionError,
    HmacSha256,
    Incoming,
    Kafka,
    Record,
    Request,
    StripeSignature,
    TransitionsConfig,
    Webhook,
    chart_from,
    durable,
    event,
)
from durable_fsm.core.sources import Signature


def decode(record: Any) -> Incoming | None:
    return Incoming("pay", json.loads(record.value))


async def asynchronous(record: Any) -> Incoming | None:
    return None


def generator(record: Any) -> Iterator[Incoming]:
    yield Incoming("pay")


def two_arguments(record: Any, headers: Any) -> Incoming | None:
    return None


def hasty(record: Any) -> Incoming | None:
    return Incoming("pay", {"at": time.time(), "luck": random.random()})


class Awaited:
    async def __call__(self, record: Any) -> Incoming | None:
        return None


HMAC = HmacSha256(header="X-Signature", secret="SECRET")


def order(sources: Any = (), webhooks: Any = ()) -> Any:
    @durable(name="Order", sources=sources, webhooks=webhooks)
    class Order(StateChart):
        cart = State(initial=True)
        paid = State()
        pay = event(cart.to(paid) | paid.to(paid))
        audit = event(paid.to(cart), public=False)
        error_execution = paid.to(cart)

    return Order


def problems(sources: Any = (), webhooks: Any = ()) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        chart_from(order(sources, webhooks))
    return [f"{problem.what} {problem.remedy}" for problem in caught.value.problems]


def test_a_chart_carries_what_its_class_declares_and_stays_the_same_chart() -> None:
    source = Kafka("orders", decode, events=("pay",))
    webhook = Webhook("stripe", decode, signature=StripeSignature(secret="STRIPE_SECRET"), events=("pay",))

    with_them, without = chart_from(order([source], [webhook])), chart_from(order())

    assert (with_them.hosting.sources, with_them.hosting.webhooks) == ((source,), (webhook,))
    assert with_them.digest == without.digest
    assert with_them == without


def test_a_source_may_name_private_events() -> None:
    webhook = Webhook("stripe", decode, signature=StripeSignature(secret="STRIPE_SECRET"), events=("audit",))

    chart = chart_from(order([Kafka("orders", decode, events=("audit",))], [webhook]))

    assert chart.public_events == ("pay",)


def test_a_configuration_of_transitions_carries_them_too() -> None:
    config = {"states": ["a", "b"], "transitions": [["go", "a", "b"]], "initial": "a"}

    made = chart_from(TransitionsConfig("X", **config, sources=(Kafka("x", decode, events=("go",)),)))
    assert [source.topic for source in made.hosting.sources] == ["x"]

    with pytest.raises(DefinitionError, match=r"names event 'pay', and there is none\. There is 'go'\."):
        chart_from(TransitionsConfig("X", **config, sources=(Kafka("x", decode, events=("pay",)),)))


def test_every_problem_is_reported_at_once_with_its_place() -> None:
    with pytest.raises(DefinitionError) as caught:
        chart_from(order([Kafka("a b", decode), Kafka("x", asynchronous)], [Webhook("x-y", decode, signature=None)]))

    assert len(caught.value.problems) == 3
    line = asynchronous.__code__.co_firstlineno
    assert caught.value.problems[1].place == f"{__file__}:{line}"
    assert all(problem.place and problem.remedy for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (Kafka("", decode), "'' is not a valid name of a Kafka topic."),
        (Kafka("..", decode), "'..' is not a valid name of a Kafka topic."),
        (Kafka("x" * 250, decode), "is not a valid name of a Kafka topic."),
        (Kafka("orders/1", decode), "'orders/1' is not a valid name of a Kafka topic."),
        (
            Kafka("x", decode, cluster="a/b"),
            "the source of topic 'x' names cluster 'a/b', which Restate does not accept.",
        ),
        (Kafka("x", decode, start="now"), "the source of topic 'x' has start='now'. Write 'earliest' or 'latest'."),  # type: ignore[arg-type]
        (Kafka("x", decode, options={"group.id": "g"}), "sets 'group.id' among its options. Use group= instead."),
        (Kafka("x", decode, events=("payed",)), "names event 'payed', and there is none. There is 'pay'."),
        (Kafka("x", decode, events=("error.execution",)), "'error.execution', which only the machine itself sends."),
        (Kafka("x", decode, events="pay"), "has a text for its events. Write events=('pay',)."),  # type: ignore[arg-type]
        (Kafka("x", decode, events=(7,)), "names 7 among its events, which is not a string."),  # type: ignore[arg-type]
        (Kafka("x", asynchronous), "the decoder of topic 'x' is a coroutine or a generator;"),  # type: ignore[arg-type]
        (Kafka("x", Awaited()), "the decoder of topic 'x' is a coroutine or a generator;"),  # type: ignore[arg-type]
        (Kafka("x", generator), "the decoder of topic 'x' is a coroutine or a generator;"),  # type: ignore[arg-type]
        (Kafka("x", two_arguments), "the decoder of topic 'x' does not accept one argument."),  # type: ignore[arg-type]
        (Kafka("x", "decode"), "the decoder of topic 'x' is 'decode', which cannot be called."),  # type: ignore[arg-type]
        (Kafka("x", decode, key=asynchronous), "the key of topic 'x' is a coroutine or a generator;"),  # type: ignore[arg-type]
    ],
)
def test_a_source_that_cannot_be_hosted(source: Any, told: str) -> None:
    [problem] = problems([source])

    assert told in problem


def test_a_decoder_that_looks_at_the_world() -> None:
    found = problems([Kafka("x", hasty)])

    assert "the decoder of topic 'x' reads the clock: time.time." in found[0]
    assert "the decoder of topic 'x' draws random numbers: random.random." in found[1]


def test_two_sources_of_one_topic() -> None:
    assert problems([Kafka("x", decode), Kafka("x", decode, cluster="other"), Kafka("y", decode)]) == [
        "topic 'x' is declared twice. Let one decoder read all its records."
    ]


@pytest.mark.parametrize(
    ("webhook", "told"),
    [
        (Webhook("a-b", decode, signature=None), "'a-b' is not a valid name of a webhook."),
        (Webhook("_x", decode, signature=None), "'_x' is not a valid name of a webhook."),
        (Webhook("x", asynchronous, signature=None), "the decoder of webhook 'x' is a coroutine"),  # type: ignore[arg-type]
        (Webhook("x", decode, signature=None, events=("error.execution",)), "which only the machine itself sends"),
        (
            Webhook("x", decode, signature=HmacSha256),
            "the signature of webhook 'x' is a class. Make one: HmacSha256(...).",
        ),  # type: ignore[arg-type]
        (Webhook("x", decode, signature=asynchronous), "the signature of webhook 'x' is a coroutine"),  # type: ignore[arg-type]
        (Webhook("x", decode, signature="SECRET"), "the signature of webhook 'x' is 'SECRET', which cannot be called."),  # type: ignore[arg-type]
        (Webhook("x", decode, signature=HmacSha256(header="h", secret="S", encoding="hax")), "an unknown encoding"),  # type: ignore[arg-type]
    ],
)
def test_a_webhook_that_cannot_be_hosted(webhook: Any, told: str) -> None:
    [problem] = problems(webhooks=[webhook])

    assert told in problem


def test_two_webhooks_of_one_name() -> None:
    assert problems(webhooks=[Webhook("x", decode, signature=None)] * 2) == [
        "webhook 'x' is declared twice. Give one another name."
    ]


def test_a_secret_in_the_place_of_its_name_is_refused_and_not_repeated() -> None:
    [problem] = problems(webhooks=[Webhook("x", decode, signature=StripeSignature(secret="whsec_abc"))])

    assert "never the secret itself" in problem
    assert "whsec_abc" not in problem


def test_an_event_that_only_a_wildcard_takes_may_come_from_a_topic() -> None:
    class Sink(StateChart):
        on = State(initial=True)
        anything = on.to.itself(event="*")

    marked = durable(sources=[Kafka("x", decode, events=("whatever",))])(Sink)

    assert chart_from(marked).hosting.sources[0].events == ("whatever",)


def test_records_are_a_test_case_and_not_an_outage() -> None:
    record = Record("orders", 0, 0, 0, "o-17", b'{"cents": 5}')

    assert decode(record) == Incoming("pay", {"cents": 5})


# ── signatures ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_githubs_own_example_is_signed_as_github_says() -> None:
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation"""
    scheme = HmacSha256(header="X-Hub-Signature-256", secret="GITHUB_SECRET", prefix="sha256=")
    headers = {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
    request = Request("github", headers, b"Hello, World!")

    assert scheme.signed_at(request, b"It's a Secret to Everybody") is None
    with pytest.raises(ValueError, match="is wrong"):
        scheme.signed_at(request, b"It's a Secret to Nobody")


def test_a_signature_that_no_header_could_hold_is_wrong_and_nothing_else() -> None:
    with pytest.raises(ValueError, match="is wrong"):
        HMAC.signed_at(Request("x", {"x-signature": "ü\ud800"}, b""), b"secret")


def test_schemes_hold_the_name_of_a_secret() -> None:
    assert isinstance(HMAC, Signature)
    assert "secret='SECRET'" in repr(HMAC)
    assert HMAC.tolerance is None
