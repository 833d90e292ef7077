"""R08, payment reminders: a signed webhook starts them, one a day, until a payment ends them, despite kills.

The outbox is a directory that the service writes letters into and that outlives it.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm.testing import Rehearsal, RestateServer, wait_until
from machines.reminders.machine import INTERVAL, PaymentTracker
from tests.acceptance.applications import Application, edges, hosted, rehearsed, serve
from tests.web import web

pytestmark = pytest.mark.server

TRACKER = "PaymentTracker"
DAY = 0.6
"""How long a day is in these tests, in seconds."""
PATIENCE = timedelta(seconds=60)
SECRET = "whsec_of-the-test"
_numbers = itertools.count(1)


@dataclass
class Office(Application):
    """Invoices on one server, and the outbox."""

    outbox: Path

    def post(self, kind: str, invoice: str, *, event: str = "", secret: str = SECRET) -> httpx.Response:
        """Post a signed event, as the payment provider does."""
        said = {
            "id": event or f"evt-{next(_numbers)}",
            "type": kind,
            "created": int(time.time()),
            "data": {"object": {"id": invoice, "customer": "ada"}},
        }
        body = json.dumps(said).encode()
        at = int(time.time())
        signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        return web.post(
            f"{self.server.ingress_url}/{TRACKER}.webhooks/onStripeEvent",
            content=body,
            headers={"stripe-signature": f"t={at},v1={signature}", "content-type": "application/json"},
        )

    def fails(self, invoice: str, **how: str) -> None:
        assert self.post("invoice.payment_failed", invoice, **how).status_code == 200

    def succeeds(self, invoice: str) -> None:
        assert self.post("invoice.payment_succeeded", invoice).status_code == 200

    def mail(self, invoice: str) -> list[str]:
        """The letters about an invoice, in order, without its number."""
        letters = (
            [one.read_text().strip() for one in self.outbox.iterdir() if not one.suffix] if self.outbox.exists() else []
        )
        return sorted(text.removeprefix(f"{invoice} ") for text in letters if text.startswith(f"{invoice} "))

    def snapshot(self, invoice: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server.call(TRACKER, invoice, "snapshot")
        return found

    def wait_for(self, invoice: str, state: str) -> None:
        wait_until(lambda: self.is_in(invoice, state), PATIENCE, f"{invoice} to be {state}")

    def is_in(self, invoice: str, state: str) -> bool:
        return bool(self.server.state(TRACKER, invoice)) and state in self.snapshot(invoice)["configuration"]

    def scheduled(self, invoice: str) -> list[str]:
        rows = self.server.query(
            "SELECT scheduled_at, scheduled_start_at FROM sys_invocation WHERE status = 'scheduled'"  # one needs the other
            f" AND target_service_name = '{TRACKER}' AND target_service_key = '{invoice}'"
        )
        return [row["scheduled_start_at"] for row in rows]


@contextmanager
def opened(server: RestateServer, place: Path, day: float = DAY) -> Iterator[Office]:
    outbox = place / "outbox"
    env = {"REMINDER_SECONDS": str(day), "REMINDER_OUTBOX": str(outbox), "STRIPE_SECRET": SECRET}
    with serve("reminders", server, place, env) as served:
        yield Office("reminders", served, server, outbox)


office_awake, office_replaying, office = hosted("office", opened)


ALL = ["escalated: ada does not pay", "reminder 1 to ada", "reminder 2 to ada", "reminder 3 to ada"]


def test_three_reminders_and_the_escalation_survive_kills_of_server_and_service(office_awake: Office) -> None:
    office_awake.fails("inv1")
    wait_until(lambda: len(office_awake.mail("inv1")) >= 2, PATIENCE, "the second reminder")

    office_awake.server.kill()
    assert not office_awake.server.process.alive
    office_awake.server.start()
    wait_until(lambda: len(office_awake.mail("inv1")) >= 3, PATIENCE, "the third reminder")
    office_awake.restart()

    office_awake.wait_for("inv1", "escalated")
    assert office_awake.mail("inv1") == ALL
    assert office_awake.scheduled("inv1") == []


def test_a_customer_who_pays_is_not_reminded_again(office: Office) -> None:
    office.fails("inv2")
    wait_until(lambda: office.mail("inv2"), PATIENCE, "the first reminder")
    office.succeeds("inv2")
    office.wait_for("inv2", "paid")

    assert office.scheduled("inv2") == []
    before = office.mail("inv2")
    office.fails("clock")  # its second reminder comes a day later than now
    wait_until(lambda: len(office.mail("clock")) >= 2, PATIENCE, "a day to pass")
    assert office.mail("inv2") == before
    office.succeeds("clock")


def test_an_event_posted_three_times_is_taken_once(office: Office) -> None:
    for _ in range(3):
        office.fails("inv3", event="evt-same")
    wait_until(lambda: office.mail("inv3"), PATIENCE, "the first reminder")
    office.succeeds("inv3")
    office.wait_for("inv3", "paid")

    entries = office.server.call(TRACKER, "inv3", "history")["entries"]
    assert sum(entry["event"] == "fail_payment" for entry in entries) == 1


def test_a_second_failure_does_not_start_a_second_round(office: Office) -> None:
    office.fails("inv4")
    wait_until(lambda: office.mail("inv4"), PATIENCE, "the first reminder")
    office.fails("inv4")

    office.wait_for("inv4", "escalated")
    assert office.mail("inv4") == ALL


def test_other_events_are_acknowledged_and_ignored(office: Office) -> None:
    assert office.post("customer.created", "inv5").status_code == 200

    assert office.server.state(TRACKER, "inv5") == {}


def test_a_webhook_signed_with_another_secret_is_refused(office: Office) -> None:
    assert office.post("invoice.payment_failed", "inv6", secret="whsec_guessed").status_code == 400

    assert office.server.state(TRACKER, "inv6") == {}


def test_a_payment_may_arrive_before_the_failure(office: Office) -> None:
    office.succeeds("inv7")
    office.wait_for("inv7", "paid")
    office.fails("inv7")
    office.succeeds("inv7")

    def taken() -> list[str]:
        return [entry["event"] for entry in office.server.call(TRACKER, "inv7", "history")["entries"]]

    wait_until(lambda: taken().count("succeed") == 2, PATIENCE, "all of it to be taken")
    assert (office.is_in("inv7", "paid"), office.mail("inv7")) == (True, [])


def test_a_reminder_is_scheduled_one_day_ahead(fresh_server: RestateServer, tmp_path: Path) -> None:
    with opened(fresh_server, tmp_path, INTERVAL.total_seconds()) as slow:
        slow.fails("inv8")
        slow.wait_for("inv8", "waiting")
        [due] = slow.scheduled("inv8")

        assert abs(datetime.fromisoformat(due) - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=5)
        slow.succeeds("inv8")
        slow.wait_for("inv8", "paid")
        assert slow.scheduled("inv8") == []


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(PaymentTracker)) >= {
        ("open", "fail_payment", ("overdue",)),
        ("reminding", "done.invoke.reminding", ("waiting",)),
        ("waiting", "lapse", ("reminding",)),
        ("waiting", "lapse", ("escalating",)),
        ("escalating", "done.invoke.escalating", ("escalated",)),
        ("overdue", "succeed", ("paid",)),
        ("open", "succeed", ("paid",)),
    }


def test_the_server_does_what_the_rehearsal_does(office: Office) -> None:
    mailed = {"reminding": lambda _: None, "escalating": lambda _: None}
    rehearsal = Rehearsal(PaymentTracker, key="told", answers=mailed)
    rehearsal.send("fail_payment", {"customer": "ada"})
    for _ in range(3):
        rehearsal.advance(INTERVAL)
    rehearsal.send("succeed", {"customer": "ada"})

    office.fails("told")
    office.wait_for("told", "escalated")
    office.succeeds("told")
    office.wait_for("told", "paid")

    assert office.recorded(TRACKER, "told") == rehearsed(rehearsal)


def test_restate_has_completed_the_requests(office: Office) -> None:
    office.fails("asked")
    office.succeeds("asked")
    office.wait_for("asked", "paid")

    done = office.server.query(
        "SELECT completion_result, count(*) AS n FROM sys_invocation WHERE status = 'completed'"
        f" AND target_service_name = '{TRACKER}' AND target_service_key = 'asked' GROUP BY completion_result"
    )
    assert [row["completion_result"] for row in done] == ["success"]


def test_the_commands_of_the_readme_do_what_it_says(office: Office) -> None:
    answers = [*office.run_readme({"inv-1": "page-1"})]

    assert answers[0]["configuration"] == ["overdue", "reminding"]
    assert answers[2]["configuration"] == ["paid"]
