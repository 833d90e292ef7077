"""The cost of an event, read from the journal that Restate keeps of its invocation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durable_fsm.restate.stored.history import PAGE

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

PURE = ["Input", "GetEagerState", "SetState", "Output"]
HANDLES = ["GetEagerState", "SetState"]


def journal_of(host: Host, chart: str, key: str, event: str, body: object = None) -> list[str]:
    answer = host.post(chart, key, event, body)
    assert answer.status_code == 200, answer.text
    return host.journal(answer.headers["x-restate-id"])


def test_a_pure_event_costs_one_invocation_and_one_write(host: Host) -> None:
    counter = host.key("counter")

    first = journal_of(host, "Counter", counter, "increment")
    second = journal_of(host, "Counter", counter, "increment")

    assert first == second == PURE
    assert len(host.invocations("Counter", counter)) == 2
    assert list(host.stored("Counter", counter)) == ["snapshot"]


def test_an_ignored_event_writes_nothing(host: Host) -> None:
    ticket = host.key("ticket")
    host.receipt("PatientTicket", ticket, "buy")

    journal = journal_of(host, "PatientTicket", ticket, "buy")

    assert journal == ["Input", "GetEagerState", "Output"]


def test_a_refused_event_writes_nothing(host: Host) -> None:
    ticket = host.key("ticket")
    host.receipt("Ticket", ticket, "buy")

    refused = host.post("Ticket", ticket, "buy")

    assert refused.status_code == 409
    assert host.journal(refused.headers["x-restate-id"]) == ["Input", "GetEagerState", "Output"]


def test_a_timer_costs_a_send_and_its_handle(host: Host) -> None:
    assert journal_of(host, "Cellar", host.key("cellar"), "fill") == [
        *PURE[:-1], "OneWayCall", "OneWayCall", *HANDLES, "Output"
    ]  # fmt: skip


def test_a_timer_too_short_to_be_cancelled_costs_only_a_send(host: Host) -> None:
    assert journal_of(host, "Forgetful", host.key("oven"), "bake") == [*PURE[:-1], "OneWayCall", "Output"]


def test_an_activity_costs_a_send_and_one_for_its_deadline(host: Host) -> None:
    order = host.key("order")

    journal = journal_of(host, "Order", order, "checkout", {"effect": order})

    assert journal == [*PURE[:-1], "OneWayCall", "OneWayCall", *HANDLES, "Output"]


def test_an_exclusive_activity_costs_a_call_between_two_writes_and_its_handle(host: Host) -> None:
    door = host.key("door")

    journal = journal_of(host, "Door", door, "push", {"effect": door})

    assert journal == [*PURE[:-1], "Call", *HANDLES, "SetState", "Output"]


def test_immediate_events_that_a_machine_sends_itself_cost_nothing(host: Host) -> None:
    journal = journal_of(host, "Talkative", host.key("talk"), "talk")

    assert journal == [*PURE[:-1], "OneWayCall", *HANDLES, "Output"]  # the one send is for later


def test_a_full_page_of_the_history_costs_one_send(host: Host) -> None:
    counter = host.key("counter")

    journals = [journal_of(host, "Counter", counter, "increment") for _ in range(2 * PAGE + 1)]

    paged = [*PURE[:-1], "OneWayCall", "Output"]
    assert [number for number, journal in enumerate(journals, 2) if journal == paged] == [PAGE + 1, 2 * PAGE + 1]
    assert all(journal in (PURE, paged) for journal in journals)
