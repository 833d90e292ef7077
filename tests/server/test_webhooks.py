"""Webhooks: the signature is checked first, each event is taken once, and the answer does not wait for the machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from durable_fsm.testing import wait_until
from tests.server.sources import SECRETS

if TYPE_CHECKING:
    from tests.server.sources import Sources

pytestmark = pytest.mark.server


def post(
    sources: Sources, webhook: str, body: bytes, headers: dict[str, str] | None = None, chart: str = "Ledger"
) -> httpx.Response:
    url = f"{sources.host.server.ingress_url}/{chart}.webhooks/{webhook}"
    type_ = {"content-type": "application/json"} if body else {}  # a type without a body is refused by the ingress
    return sources.host.client.post(url, content=body, headers={**type_, **(headers or {})})


def body_of(key: str, n: object = 1, **more: Any) -> bytes:
    return json.dumps({"key": key, "payload": {"n": n}, **more}).encode()


def hmac_of(body: bytes, secret: str) -> bytes:
    return hmac.digest(secret.encode(), body, hashlib.sha256)


def github(body: bytes, secret: str = SECRETS["GITHUB_SECRET"]) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={hmac_of(body, secret).hex()}"}


def stripe(body: bytes, secret: str = SECRETS["STRIPE_SECRET"], *, age: int = 0) -> dict[str, str]:
    at = int(time.time()) - age
    return {"Stripe-Signature": f"t={at},v1={hmac_of(f'{at}.'.encode() + body, secret).hex()}"}


def told(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["metadata"]["type"], answer.json()["message"]


# ── accepted ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_signed_request_is_answered_before_its_event_is_taken(sources: Sources) -> None:
    key = sources.host.key("signed")
    body = body_of(key)

    by_github = post(sources, "github", body, github(body))
    by_stripe = post(sources, "stripe", body, stripe(body))
    by_shop = post(sources, "shop", body, {"X-Shop": base64.b64encode(hmac_of(body, SECRETS["SHOP_SECRET"])).decode()})
    by_token = post(sources, "token", body, {"X-Token": SECRETS["TOKEN"]})

    for answer in (by_github, by_stripe, by_shop, by_token):
        assert (answer.status_code, answer.json()) == (
            200,
            {"outcome": "accepted", "chart": "Ledger", "key": key, "event": "note"},
        )
        assert answer.headers["content-type"] == "application/json"
    sources.wait_log(key, ["1"] * 4)


def test_the_answer_does_not_wait_for_the_machine(sources: Sources) -> None:
    """No deployment can read the machine, and yet the provider is told that its event is accepted."""
    key = sources.host.key("parcel")
    assert post(sources, "courier", body_of(key, 1), chart="Parcel").status_code == 200
    sources.wait_log(key, ["1"], "Parcel")

    sources.host.served.restart(env={"SOURCES_VERSION": "2"})
    try:
        assert post(sources, "courier", body_of(key, 2, id="evt-2"), chart="Parcel").status_code == 200
        wait_until(
            lambda: sources.host.invocations("Parcel", key, target_handler_name="_incoming", status="scheduled"),
            what="the event to be parked",
        )
        assert post(sources, "courier", body_of(key, 2, id="evt-2"), chart="Parcel").status_code == 200
    finally:
        sources.host.served.restart(env={"SOURCES_VERSION": "1"})

    sources.wait_log(key, ["1", "2"], "Parcel")
    sources.host.settled()
    assert sources.log(key, "Parcel") == ["1", "2"]


def test_a_second_event_with_the_same_id_is_not_taken(sources: Sources) -> None:
    key, other = sources.host.key("twice"), sources.host.key("twice")

    for id in ("evt_1", "evt_1", "evt_2", "ü" * 300, "ü" * 300, "x" * 3_000, "x" * 3_000):
        assert post(sources, "open", body_of(key, 1, id=id)).json()["outcome"] == "accepted"
    assert post(sources, "open", body_of(other, 1, id="evt_1")).json()["outcome"] == "accepted"
    body = body_of(key, 2, id="evt_1")
    assert post(sources, "github", body, github(body)).json()["outcome"] == "accepted"
    sources.host.settled()

    assert sorted(sources.log(key)) == ["1", "1", "1", "1", "2"]  # ids of two providers never meet
    assert sources.log(other) == ["1"]


def test_events_without_an_id_are_all_taken_and_pings_are_answered(sources: Sources) -> None:
    key = sources.host.key("pinged")

    ping = post(sources, "open", b'{"type": "ping"}')
    for _ in range(2):
        post(sources, "open", body_of(key))

    assert (ping.status_code, ping.json()) == (200, {"outcome": "skipped"})
    sources.wait_log(key, ["1", "1"])


def test_a_private_event_that_a_webhook_names_comes_from_there_only(sources: Sources) -> None:
    key = sources.host.key("audited")
    body = body_of(key, 1, type="audit")

    assert post(sources, "auditor", body, {"X-Token": SECRETS["TOKEN"]}).status_code == 200
    sources.wait_log(key, ["audited 1"])

    told_of = {"event": "audit", "payload": {"n": 2}}
    refused = [
        sources.host.post("Ledger", key, "send", told_of),
        sources.host.post("Ledger", key, "wait_for", {"settled": True, **told_of}),
        post(sources, "open", body),
        post(sources, "auditor", body),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 422, 400]
    assert "event 'audit' is private: only webhook 'auditor' sends it." in told(refused[0])[2]
    assert sources.host.post("Ledger", key, "audit", {"n": 2}).status_code == 404
    sources.host.settled()
    assert sources.log(key) == ["audited 1"]


def test_a_decoder_answers_a_provider_that_wants_to_know_who_listens(sources: Sources) -> None:
    question = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a"}).encode()

    asked = post(sources, "github", question, github(question))
    unsigned = post(sources, "github", question)

    assert (asked.status_code, asked.json()) == (200, {"challenge": "3eZbrw1a"})
    assert unsigned.status_code == 400


def test_an_event_that_the_machine_does_not_accept_is_reported_and_kept(sources: Sources) -> None:
    key = sources.host.key("late")
    sources.host.receipt("Ledger", key, "close")

    assert post(sources, "open", body_of(key, 7, id="evt_late")).status_code == 200

    letter = sources.rejected("webhook:open", key)
    assert (letter["status"], letter["type"]) == (410, "Finished")
    assert letter["place"] == "event 'evt_late' of webhook 'open'"
    assert (letter["event"], letter["payload"]) == ("note", {"n": 7})


def test_a_service_killed_after_its_answer_loses_and_repeats_no_event(sources: Sources) -> None:
    keys = [sources.host.key("killed") for _ in range(10)]

    for number, key in enumerate(keys):
        for _ in range(2):  # the provider is not sure, and posts again
            assert post(sources, "open", body_of(key, number, id=f"evt-{number}")).status_code == 200
        if number == 3:
            sources.host.served.restart()
        if number == 6:
            sources.host.server.restart()
    sources.host.settled()

    assert [sources.log(key) for key in keys] == [[str(number)] for number in range(10)]


# ── refused ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_with_a_wrong_signature_is_refused_and_writes_nothing(sources: Sources) -> None:
    key = sources.host.key("forged")
    body = body_of(key)
    good, stamped = github(body)["X-Hub-Signature-256"], stripe(body)["Stripe-Signature"]
    at, signature = stamped.split(",")
    attempts: list[tuple[str, bytes, dict[str, str], str]] = [
        ("github", body, {}, "header 'X-Hub-Signature-256' is missing."),
        ("github", body, {"X-Hub-Signature-256": ""}, "does not begin with 'sha256='."),
        ("github", body, {"X-Hub-Signature-256": good.removeprefix("sha256=")}, "does not begin with 'sha256='."),
        ("github", body, {"X-Hub-Signature-256": good[:-1]}, "is wrong."),
        ("github", body, {"X-Hub-Signature-256": good.upper().replace("SHA256", "sha256")}, "is wrong."),
        ("github", body, github(body, "wrong secret"), "is wrong."),
        ("github", body, github(body, ""), "is wrong."),
        ("github", body + b" ", {"X-Hub-Signature-256": good}, "is wrong."),
        ("github", b"", {"X-Hub-Signature-256": good}, "is wrong."),
        ("github", b"\xff\xfe", {"X-Hub-Signature-256": good}, "is wrong."),
        ("shop", body, {"X-Shop": "===="}, "is wrong."),
        ("stripe", body, {}, "header 'Stripe-Signature' is missing."),
        ("stripe", body, {"Stripe-Signature": "v1=abc"}, "is not 't=<seconds>,v1=<signature>'."),
        ("stripe", body, {"Stripe-Signature": at}, "is not 't=<seconds>,v1=<signature>'."),
        ("stripe", body, {"Stripe-Signature": f"t=1e9,{signature}"}, "is not 't=<seconds>,v1=<signature>'."),
        ("stripe", body, {"Stripe-Signature": f"{at},{at},{signature}"}, "is not 't=<seconds>,v1=<signature>'."),
        ("stripe", body, {"Stripe-Signature": f"{at},v0={signature[3:]}"}, "is not 't=<seconds>,v1=<signature>'."),
        ("stripe", body, {"Stripe-Signature": f"t={int(at[2:]) + 1},{signature}"}, "is wrong."),
        ("stripe", body + b" ", {"Stripe-Signature": stamped}, "is wrong."),
        ("stripe", body, stripe(body, "wrong secret"), "is wrong."),
        ("stripe", body, stripe(body, age=301), "it was signed too long ago; the tolerance is 0:05:00."),
        ("stripe", body, stripe(body, age=-400), "it was signed in the future; the tolerance is 0:05:00."),
        ("token", body, {}, "its check says no."),
        ("token", body, {"X-Token": "raise"}, "its check raised RuntimeError."),
    ]

    for webhook, content, headers, reason in attempts:
        status, type_, message = told(post(sources, webhook, content, headers))
        assert (status, type_) == (400, "BadSignature"), (webhook, headers, message)
        assert reason in message
    sources.host.settled()
    assert sources.host.snapshot("Ledger", key) == {}
    assert sources.host.invocations("Ledger", key, target_handler_name="_incoming") == []


def test_one_of_several_signatures_is_enough(sources: Sources) -> None:
    key = sources.host.key("rotated")
    body = body_of(key)

    at, signature = stripe(body)["Stripe-Signature"].split(",")
    answer = post(sources, "stripe", body, {"Stripe-Signature": f"{at}, v1=old, {signature}, v0=x"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "type_", "reason"),
    [
        (b"", 422, "Undecodable", "JSONDecodeError"),
        (b"\xff\xfe\x00", 422, "Undecodable", "UnicodeDecodeError"),
        (b"[]", 422, "Undecodable", "AttributeError"),
        (b"{}", 422, "Undecodable", "does not say for which machine it is"),
        (b'{"key": ""}', 422, "Undecodable", "does not say for which machine it is"),
        (b'{"key": "%b"}' % (b"x" * 2_049), 422, "Undecodable", "has 2,049 bytes; a key has 2,048 at most."),
        (b'{"key": 7}', 422, "Undecodable", "its decoder returned 7 as key, which is not a text."),
        (b'{"key": "k", "id": 7}', 422, "Undecodable", "its decoder returned 7 as id, which is not a text."),
        (b'{"key": "k", "type": "pay"}', 422, "Undecodable", "there is no event 'pay'."),
        (b'{"key": "k", "type": "audit"}', 422, "Undecodable", "event 'audit' is private"),
        (b'{"key": "k", "type": "error.execution"}', 422, "Undecodable", "is private"),
        (b'{"key": "k", "payload": {"n": "x"}}', 422, "Undecodable", "payload of 'note' does not fit Entry"),
        (b'{"type": "url_verification"}', 422, "Undecodable", "the response of its decoder cannot be written as JSON"),
        (b'{"key": "' + b"x" * 1024 * 1024 + b'"}', 413, "TooLarge", "at most 1048576 are allowed"),
    ],
)
def test_a_request_that_cannot_be_decoded_is_refused(
    sources: Sources, body: bytes, status: int, type_: str, reason: str
) -> None:
    answer = post(sources, "github", body, github(body))

    assert told(answer)[:2] == (status, type_)
    assert reason in told(answer)[2]


def test_a_webhook_without_its_secret_refuses_every_request(sources: Sources) -> None:
    body = body_of("nobody")

    status, type_, message = told(post(sources, "forgotten", body, stripe(body, "")))

    assert (status, type_) == (500, "SecretMissing")
    assert message == (
        "Ledger.webhooks/forgotten: webhook 'forgotten' cannot check its requests: the environment has no"
        " NOBODY_HAS_SET_THIS. Set it where the service runs, and restart it."
    )
    log = sources.host.served.process.log.read_text()
    assert log.index("the environment has no NOBODY_HAS_SET_THIS") < log.index("Serving ")  # told at start, too


def test_no_secret_is_ever_written(sources: Sources) -> None:
    """Neither into answers nor into the log, nor anywhere the platform keeps things."""
    key = sources.host.key("secret")
    body = body_of(key, id="evt")
    answers = [
        post(sources, "github", body, github(body)),
        post(sources, "github", body, github(body, "wrong")),
        post(sources, "stripe", body, stripe(body)),
        post(sources, "stripe", body, stripe(body, age=1_000)),
        post(sources, "token", body, {"X-Token": "raise"}),
        post(sources, "github", b"{", github(b"{")),
    ]
    sources.host.settled()

    kept = sources.host.server.query(
        "SELECT j.entry_json AS entry, j.raw AS raw FROM sys_journal j JOIN sys_invocation i ON j.id = i.id"
        " WHERE i.target_service_name IN ('Ledger', 'Ledger.webhooks', 'Ledger.rejected')"
    )
    everything = [
        *(answer.text for answer in answers),
        sources.host.served.process.log.read_text(),
        *(json.dumps(row) for row in kept if "x-token" not in row["entry"]),  # what a provider sends, Restate keeps
        *sources.host.stored("Ledger", key).values(),
    ]
    assert kept
    for secret in (SECRETS["GITHUB_SECRET"], SECRETS["STRIPE_SECRET"], SECRETS["SHOP_SECRET"], "token-of-the-test"):
        spelled = (secret, secret.encode().hex(), json.dumps(secret))
        assert not [text for text in everything if any(word in text for word in spelled)]


def test_the_ingress_itself_refuses_some_requests(sources: Sources) -> None:
    client, url = sources.host.client, f"{sources.host.server.ingress_url}/Ledger.webhooks/open"
    body = body_of("nobody")

    answers = [
        client.post(url, content=body),
        client.post(url, content=b"", headers={"content-type": "application/json"}),
        client.put(url, content=body, headers={"content-type": "application/json"}),
        client.post(url, content=body, headers={"content-type": "application/json", "x-name": "ü".encode()}),  # type: ignore[dict-item]
        client.post(url, content=b"x" * (32 * 1024 * 1024 + 1), headers={"content-type": "application/json"}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 405, 400, 413]
    assert {answer.headers.get("x-restate-error-source", "ingress") for answer in answers} == {"ingress"}


def test_the_path_of_a_webhook_is_public_and_documented(sources: Sources) -> None:
    openapi = sources.host.client.get(f"{sources.host.server.admin_url}/services/Ledger.webhooks/openapi").json()

    assert {path.rpartition("/")[2] for path in openapi["paths"]} >= {"github", "stripe", "token", "open"}
