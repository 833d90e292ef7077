"""Many clients send to one machine at once."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

SENDERS = 100


def test_one_of_a_hundred_buyers_gets_the_ticket_and_the_others_are_told_that_it_is_sold(host: Host) -> None:
    ticket = host.key("ticket")

    answers = host.together([("Ticket", ticket, "buy", None)] * SENDERS)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: SENDERS - 1}
    for answer in answers:
        if answer.status_code == 409:
            facts = answer.json()["metadata"]
            assert facts["type"] == "EventRejected"
            assert json.loads(facts["configuration"]) == ["sold"]
            assert json.loads(facts["accepted"]) == ["use"]
    assert host.snapshot("Ticket", ticket)["seq"] == 2  # entered, bought


def test_a_chart_that_ignores_unexpected_events_ignores_all_but_one_of_a_hundred_buyers(host: Host) -> None:
    ticket = host.key("ticket")

    answers = host.together([("PatientTicket", ticket, "buy", None)] * SENDERS)

    assert Counter(answer.status_code for answer in answers) == {200: SENDERS}
    assert Counter(answer.json()["outcome"] for answer in answers) == {"taken": 1, "ignored": SENDERS - 1}
    assert host.snapshot("PatientTicket", ticket)["seq"] == 2


def test_a_hundred_increments_are_counted_from_one_to_a_hundred(host: Host) -> None:
    counter = host.key("counter")

    answers = host.together([("Counter", counter, "increment", None)] * SENDERS)

    assert sorted(answer.json()["reply"] for answer in answers) == list(range(1, SENDERS + 1))
    assert host.snapshot("Counter", counter)["data"] == {"count": SENDERS}


def test_a_repeated_request_with_the_same_idempotency_key_is_taken_once_and_gets_the_same_answer(host: Host) -> None:
    counter = host.key("counter")
    url, headers = host.url("Counter", counter, "increment"), {"idempotency-key": counter}

    answers = [host.client.post(url, headers=headers).json() for _ in range(3)]

    assert [answer["reply"] for answer in answers] == [1, 1, 1]
    assert host.snapshot("Counter", counter)["data"] == {"count": 1}
