"""R08, payment reminders: set off by a signed webhook, a day apart, ended by a payment, whatever dies meanwhile.

The outbox is a directory that the service writes letters into and that outlives it.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal, RestateServer, Served, wait_until
from machines.reminders.machine import INTERVAL, PaymentTracker

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
TRACKER = "PaymentTracker"
DAY = 0.6
"""How long a day is here, in seconds."""
PATIENCE = timedelta(seconds=20)
SECRET = "whsec_of-the-test"
_numbers = itertools.count(1)


@dataclass
class Office:
    """Invoices on one server, and the outbox."""

    served: Served
    server: RestateServer
    outbox: Path

    def post(self, kind: str, invoice: str, *, event: str = "", secret: str = SECRET) -> httpx.Response:
        """What the provider does: a signed event."""
        said = {
            "id": event or f"evt-{next(_numbers)}",
            "type": kind,
            "created": int(time.time()),
            "data": {"object": {"id": invoice, "customer": "ada"}},
        }
        body = json.dumps(said).encode()
        at = int(time.time())
        signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        return httpx.post(
            f"{self.server.ingress_url}/{TRACKER}.webhooks/onStripeEvent",
            content=body,
            headers={"stripe-signature": f"t={at},v1={signature}", "content-type": "application/json"},
            trust_env=False,
            timeout=20,
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


def serve(server: RestateServer, place: Path, day: float) -> Served:
    env = {
        "REMINDER_SECONDS": str(day),
        "REMINDER_OUTBOX": str(place / "outbox"),
        "STRIPE_SECRET": SECRET,
        "DURABLE_FSM_PAYLOAD_CHECKS": "1",
    }
    return Served.begin("machines.reminders.service:app", server, log=place / "log", app_dir=ROOT, env=env)


@pytest.fixture(scope="module")
def office(restate_server: RestateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    place = tmp_path_factory.mktemp("office")
    with serve(restate_server, place, DAY) as served:
        yield Office(served, restate_server, place / "outbox")


ALL = ["escalated: ada does not pay", "reminder 1 to ada", "reminder 2 to ada", "reminder 3 to ada"]


def test_three_reminders_and_a_person_come_through_kills_of_server_and_service(office: Office) -> None:
    office.fails("inv1")
    wait_until(lambda: len(office.mail("inv1")) == 2, PATIENCE, "the second reminder")

    office.server.kill()
    assert not office.server.process.alive
    office.server.start()
    wait_until(lambda: len(office.mail("inv1")) == 3, PATIENCE, "the third reminder")
    office.served.kill()
    office.served.restart()

    office.wait_for("inv1", "escalated")
    assert office.mail("inv1") == ALL
    assert office.scheduled("inv1") == []


def test_who_pays_is_not_reminded_again(office: Office) -> None:
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


def test_an_event_that_is_posted_three_times_is_taken_once(office: Office) -> None:
    for _ in range(3):
        office.fails("inv3", event="evt-same")
    wait_until(lambda: office.mail("inv3"), PATIENCE, "the first reminder")
    office.succeeds("inv3")
    office.wait_for("inv3", "paid")

    entries = office.server.call(TRACKER, "inv3", "history")["entries"]
    assert sum(entry["event"] == "fail_payment" for entry in entries) == 1


def test_a_second_failure_begins_no_second_round(office: Office) -> None:
    office.fails("inv4")
    wait_until(lambda: office.mail("inv4"), PATIENCE, "the first reminder")
    office.fails("inv4")

    office.wait_for("inv4", "escalated")
    assert office.mail("inv4") == ALL


def test_other_events_are_answered_and_do_nothing(office: Office) -> None:
    assert office.post("customer.created", "inv5").status_code == 200

    assert office.server.state(TRACKER, "inv5") == {}


def test_whoever_has_not_the_secret_is_turned_away(office: Office) -> None:
    assert office.post("invoice.payment_failed", "inv6", secret="whsec_guessed").status_code == 401

    assert office.server.state(TRACKER, "inv6") == {}


def test_a_payment_may_come_before_the_failure(office: Office) -> None:
    office.succeeds("inv7")
    office.wait_for("inv7", "paid")
    office.fails("inv7")
    office.succeeds("inv7")

    def taken() -> list[str]:
        return [entry["event"] for entry in office.server.call(TRACKER, "inv7", "history")["entries"]]

    wait_until(lambda: taken().count("succeed") == 2, PATIENCE, "all of it to be taken")
    assert (office.is_in("inv7", "paid"), office.mail("inv7")) == (True, [])


def test_a_day_is_a_day(fresh_server: RestateServer, tmp_path: Path) -> None:
    with serve(fresh_server, tmp_path, INTERVAL.total_seconds()) as served:
        slow = Office(served, fresh_server, tmp_path / "outbox")
        slow.fails("inv8")
        slow.wait_for("inv8", "waiting")
        [due] = slow.scheduled("inv8")

        assert abs(datetime.fromisoformat(due) - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=5)
        slow.succeeds("inv8")
        slow.wait_for("inv8", "paid")
        assert slow.scheduled("inv8") == []


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    chart = chart_from(PaymentTracker)

    edges = {(edge.source, event, edge.targets) for edge in chart.transitions for event in edge.events}
    assert {
        ("open", "fail_payment", ("overdue",)),
        ("reminding", "done.invoke.reminding", ("waiting",)),
        ("waiting", "lapse", ("reminding",)),
        ("waiting", "lapse", ("escalating",)),
        ("escalating", "done.invoke.escalating", ("escalated",)),
        ("overdue", "succeed", ("paid",)),
        ("open", "succeed", ("paid",)),
    } <= edges


def test_what_was_recorded_is_what_was_rehearsed(office: Office) -> None:
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

    entries = office.server.call(TRACKER, "told", "history")["entries"]
    recorded = [
        (tuple(step.get("exited", ())), tuple(step.get("transitions", ())), tuple(step.get("entered", ())))
        for entry in entries
        for step in entry["steps"]
    ]
    assert recorded == [(step.exited, step.transitions, step.entered) for step in rehearsal.trace]


def test_restate_has_completed_what_was_asked(office: Office) -> None:
    office.fails("asked")
    office.succeeds("asked")
    office.wait_for("asked", "paid")

    done = office.server.query(
        "SELECT completion_result, count(*) AS n FROM sys_invocation WHERE status = 'completed'"
        f" AND target_service_name = '{TRACKER}' AND target_service_key = 'asked' GROUP BY completion_result"
    )
    assert [row["completion_result"] for row in done] == ["success"]


def test_the_commands_of_the_page_do_what_it_says(office: Office) -> None:
    page = (ROOT / "machines/reminders/README.md").read_text().replace("inv-1", "page-1")
    commands = [line for line in page.splitlines() if line.startswith("curl ")]

    printed = [
        subprocess.run(
            [*shlex.split(command.replace("localhost:8080", office.server.ingress_url)), "-sS", "--noproxy", "*"],
            capture_output=True,
            check=True,
            timeout=20,
        ).stdout
        for command in commands
    ]

    assert json.loads(printed[0])["configuration"] == ["overdue", "reminding"]
    assert json.loads(printed[2])["configuration"] == ["paid"]
