"""Redacted values appear in no answer, no history and no log, even if an error message quotes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable_fsm.core.redact import REDACTED
from durable_fsm.testing import wait_until
from tests.server.watched import Watched

pytestmark = pytest.mark.server

NUMBER, PIN, EMAIL = "4111-2222'3333-\\4444", 739104, "ännchen@example.org"
CARD = {"card_number": NUMBER, "pin": PIN, "customer": {"name": "Ann", "email": EMAIL}}


def quotes(text: str) -> list[str]:
    """The secrets that occur in a text, escaped or not."""
    forms = [form for secret in (NUMBER, EMAIL) for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1])]
    return [form for form in (*forms, json.dumps(json.dumps(NUMBER))[3:-3], str(PIN)) if form in text]


def everything_but_data(watched: Watched, chart: str, key: str) -> str:
    """All logs, traces, counts and histories, and the failures that Restate keeps."""
    host = watched.host
    history = host.post(chart, key, "history").text
    rows = host.invocations(chart) + host.invocations(f"{chart}.activities") + host.invocations(f"{chart}.webhooks")
    failures = json.dumps([row.get("completion_failure") for row in rows], ensure_ascii=False)
    return watched.text() + history + failures


@pytest.fixture
def filled(watched: Watched) -> str:
    key = watched.host.key("wallet")
    watched.host.receipt("Wallet", key, "fill", CARD)
    return key


def test_error_messages_of_the_authors_code_are_redacted(watched: Watched, filled: str) -> None:
    host = watched.host

    leak = host.post("Wallet", filled, "leak")
    check = host.post("Wallet", filled, "check")
    fresh = host.key("wallet")
    quote = host.post("Wallet", fresh, "quote", CARD)

    assert (leak.status_code, check.status_code, quote.status_code) == (500, 409, 500)
    for answer in (leak, check, quote):
        assert REDACTED in answer.json()["message"]
        assert not quotes(answer.text)
    assert f"of {REDACTED}, pin {REDACTED}" in leak.json()["message"]
    assert not quotes(everything_but_data(watched, "Wallet", filled))


def test_a_redacted_value_that_does_not_fit_is_not_described(watched: Watched) -> None:
    key = watched.host.key("wallet")
    number = "0999-8888-7777"

    answer = watched.host.post("Wallet", key, "fill", {**CARD, "card_number": number})

    assert answer.status_code == 422
    assert answer.json()["message"] == (
        f"Wallet/{key}: payload of 'fill' does not fit Card: the value, which is redacted, does not fit at $.card_number."
    )
    assert number[:8] not in everything_but_data(watched, "Wallet", key)


@pytest.mark.parametrize("how", ["raise", "refuse", "outside"])
def test_an_activity_that_fails_with_a_secret_in_its_message_is_logged_without_it(watched: Watched, how: str) -> None:
    host, key = watched.host, watched.host.key("wallet")

    host.receipt("Wallet", key, "fill", {**CARD, "how": how})
    host.receipt("Wallet", key, "spend")
    host.wait_in("Wallet", key, "refused")
    host.settled()

    ended = watched.logged(key, "ended")
    assert REDACTED in ended[0]["message"]
    assert not quotes(everything_but_data(watched, "Wallet", key))


def test_the_history_says_why_a_deferred_event_was_dropped_without_the_secret(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("wallet")

    host.receipt("Wallet", key, "fill", {**CARD, "how": "wait"})
    host.receipt("Wallet", key, "spend")
    assert host.receipt("Wallet", key, "leak_later")["outcome"] == "deferred"
    wait_until(lambda: callbacks(watched, key), what="the work to wait for an answer")
    (callback,) = callbacks(watched, key)  # every reader of a snapshot can answer
    resolve = f"{host.server.ingress_url}/restate/awakeables/{callback['id']}/resolve"
    host.client.post(resolve, json="go").raise_for_status()
    host.wait_in("Wallet", key, "refused")
    host.settled()

    history: list[dict[str, Any]] = host.post("Wallet", key, "history").json()["entries"]
    kept, dropped = (entry for entry in history if entry["event"] == "leak_later")
    assert (kept["outcome"], dropped["outcome"]) == ("deferred", "rejected")
    assert f"RuntimeError: later {REDACTED}" in dropped["error"]["message"]
    assert not quotes(everything_but_data(watched, "Wallet", key))


def callbacks(watched: Watched, key: str) -> list[dict[str, str]]:
    running = watched.host.snapshot("Wallet", key)["activities"]
    return [callback for one in running for callback in one.get("callbacks", [])]


def test_the_list_of_rejected_events_shows_payloads_without_secrets(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("wallet")
    hook = f"{host.server.ingress_url}/Wallet.webhooks/bank"
    list_url = f"{host.server.ingress_url}/Wallet.rejected/webhook%3Abank/list"
    host.client.post(f"{host.server.ingress_url}/Wallet.rejected/webhook%3Abank/clear")

    undecodable = host.client.post(hook, json={"quote": True, "card_number": NUMBER})
    assert undecodable.status_code == 422
    assert not quotes(undecodable.text)
    host.client.post(hook, json={"event": "spend", "payload": CARD, "key": key}).raise_for_status()

    def letters() -> list[dict[str, Any]]:
        return host.client.post(list_url).json()["rejected"]

    wait_until(letters, what="a letter")
    (letter,) = letters()
    assert letter["payload"] == {
        "card_number": REDACTED,
        "pin": REDACTED,
        "customer": {"name": "Ann", "email": REDACTED},
    }
    assert not quotes(everything_but_data(watched, "Wallet", key))


def test_both_front_ends_can_redact(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("till")

    answer = host.post("Till", key, "pay", CARD)

    assert answer.status_code == 500
    assert f"RuntimeError: {REDACTED} is refused" in answer.json()["message"]
    assert not quotes(watched.text())


def test_the_snapshot_and_the_stored_data_still_have_the_secret(watched: Watched, filled: str) -> None:
    assert watched.host.snapshot("Wallet", filled)["data"]["card_number"] == NUMBER
    assert json.loads(watched.host.stored("Wallet", filled)["snapshot"])["data"]["card_number"] == NUMBER
