"""R14, payments with accounts: made at most once, paid back at most once, whatever dies meanwhile; then forgotten.

What was taken is read from the account, a machine of its own.
"""

from __future__ import annotations

import json
import random
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal, RestateServer, Served, wait_until
from machines.payments.data import SAY
from machines.payments.machine import Payment

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
APP = "machines.payments.service:app"
PATIENCE = timedelta(seconds=20)


@dataclass
class Bank:
    """Payments and accounts on one server."""

    served: Served
    server: RestateServer

    def open(self, account: str) -> None:
        self.server.call("accounts", account, "deposit", {"cents": 1000})

    def balance(self, account: str) -> int:
        return self.server.call("accounts", account, "snapshot")["data"]["balance"]

    def wait_for(self, account: str, balance: int) -> None:
        """Paying back is a message of its own, which arrives a moment after the answer."""
        wait_until(lambda: self.balance(account) == balance, PATIENCE)

    def make(self, payment: str, account: str, cents: int = 100, key: str | None = None) -> Any:
        body = {"account": account, "cents": cents}
        return self.server.call("payments", payment, "makePayment", body, idempotency_key=key)["reply"]

    def call_off(self, payment: str) -> Any:
        return self.server.call("payments", payment, "cancelPayment")["reply"]

    def leaves(self, payment: str) -> list[str]:
        return self.server.call("payments", payment, "snapshot")["leaves"]


def serve(server: RestateServer, place: Path, remembered: str) -> Served:
    env = {
        "RESTATE_INGRESS_URL": server.ingress_url,
        "PAYMENT_REMEMBERED_SECONDS": remembered,
        "DURABLE_FSM_PAYLOAD_CHECKS": "1",
    }
    return Served.begin(APP, server, log=place / "service.log", app_dir=ROOT, env=env)


@pytest.fixture(scope="module")
def bank(restate_server: RestateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    with serve(restate_server, tmp_path_factory.mktemp("bank"), "86400") as served:
        yield Bank(served, restate_server)


def test_a_payment_is_made_once_and_paid_back_once(bank: Bank) -> None:
    bank.open("ada")

    assert [bank.make("p-1", "ada"), bank.make("p-1", "ada")] == [SAY.paid, SAY.already]
    assert bank.balance("ada") == 900

    assert [bank.call_off("p-1") for _ in range(4)] == [SAY.cancelled] * 4
    bank.wait_for("ada", 1000)
    assert bank.make("p-1", "ada") == SAY.cancelled
    paid_back = bank.server.query(
        "SELECT id FROM sys_invocation WHERE target_service_name = 'accounts' AND target_service_key = 'ada'"
        " AND status = 'completed' AND completion_result = 'success' AND target_handler_name NOT IN"
        " ('deposit', 'withdraw', 'snapshot')"
    )
    assert (len(paid_back), bank.balance("ada")) == (1, 1000)


def test_a_payment_called_off_before_it_was_made_is_prevented(bank: Bank) -> None:
    bank.open("ben")

    assert [bank.call_off("p-2"), bank.make("p-2", "ben")] == [SAY.cancelled, SAY.cancelled]
    assert bank.balance("ben") == 1000


def test_a_payment_that_is_not_covered_is_made_when_it_is(bank: Bank) -> None:
    bank.open("cem")

    assert bank.make("p-3", "cem", 5000) == SAY.insufficient
    assert bank.leaves("p-3") == ["new"]

    bank.server.call("accounts", "cem", "deposit", {"cents": 5000})
    assert (bank.make("p-3", "cem", 5000), bank.balance("cem")) == (SAY.paid, 1000)


def test_no_amount_is_negative_and_no_state_comes_of_one(bank: Bank) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        bank.make("p-4", "dora", -1)

    assert refused.value.response.status_code == 422
    assert bank.server.state("payments", "p-4") == bank.server.state("accounts", "dora") == {}


def test_a_repeated_request_is_answered_as_the_first_one(bank: Bank) -> None:
    bank.open("eve")

    assert [bank.make("p-5", "eve", key="same") for _ in range(3)] == [SAY.paid] * 3
    assert bank.balance("eve") == 900


def test_a_storm_of_orders_and_cancellations_leaves_every_cent_accounted_for(bank: Bank) -> None:
    bank.open("storm")
    dice = random.Random(14)
    wanted = [(f"s-{dice.randrange(10)}", dice.choice(("makePayment", "cancelPayment"))) for _ in range(100)]
    asked: list[str] = []

    for n, (payment, handler) in enumerate(wanted):
        body = {"account": "storm", "cents": 10} if handler == "makePayment" else None
        asked.append(bank.server.send("payments", payment, handler, body))
        if n in (25, 50, 75):
            bank.served.kill()
            bank.served.restart()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(bank.server.output, asked))

    assert len(answers) == 100
    made = sum(bank.leaves(payment) == ["completed"] for payment in {payment for payment, _ in wanted})
    bank.wait_for("storm", 1000 - 10 * made)


def test_what_was_recorded_is_what_was_rehearsed(bank: Bank) -> None:
    bank.open("gil")
    rehearsal = Rehearsal(Payment, answers={"charging": lambda _: True})
    rehearsal.send("make", {"account": "gil", "cents": 100})
    rehearsal.send("call_off")

    bank.make("p-7", "gil")
    bank.call_off("p-7")

    entries = bank.server.call("payments", "p-7", "history")["entries"]
    recorded = [
        (tuple(step.get("exited", ())), tuple(step.get("transitions", ())), tuple(step.get("entered", ())))
        for entry in entries
        for step in entry["steps"]
    ]
    assert recorded == [(step.exited, step.transitions, step.entered) for step in rehearsal.trace]


def test_a_settled_payment_is_to_be_forgotten_in_a_day_whatever_happens_to_it_then(bank: Bank) -> None:
    bank.open("hal")
    bank.make("p-8", "hal")

    def due() -> list[str]:
        rows = bank.server.query(
            "SELECT scheduled_at, scheduled_start_at FROM sys_invocation WHERE status = 'scheduled'"  # one needs the other
            " AND target_service_name = 'payments' AND target_service_key = 'p-8'"
        )
        return [row["scheduled_start_at"] for row in rows]

    [when] = due()
    assert abs(datetime.fromisoformat(when) - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=5)
    bank.call_off("p-8")
    assert due() == [when]


def test_restate_has_completed_what_was_asked(bank: Bank) -> None:
    bank.open("ida")
    bank.make("p-9", "ida")
    bank.call_off("p-9")

    done = bank.server.query(
        "SELECT target_handler_name, completion_result FROM sys_invocation WHERE status = 'completed'"
        " AND target_service_name = 'payments' AND target_service_key = 'p-9'"
    )
    answered = {(row["target_handler_name"], row["completion_result"]) for row in done}
    assert {("makePayment", "success"), ("cancelPayment", "success")} <= answered


def test_the_commands_of_the_page_do_what_it_says(bank: Bank) -> None:
    page = (ROOT / "machines/payments/README.md").read_text()
    commands = [line for line in page.splitlines() if line.startswith("curl ")]

    printed = [
        subprocess.run(
            [*shlex.split(command.replace("localhost:8080", bank.server.ingress_url)), "-sS", "--noproxy", "*"],
            capture_output=True,
            check=True,
            timeout=20,
        ).stdout
        for command in commands
    ]

    assert [json.loads(text)["reply"] for text in printed] == [1000, SAY.paid, SAY.already, SAY.cancelled]


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    chart = chart_from(Payment)

    edges = {(edge.source, event, edge.targets) for edge in chart.transitions for event in edge.events}
    assert {
        ("new", "make", ("charging",)),
        ("charging", "done.invoke.charging", ("settled",)),
        ("charging", "done.invoke.charging", ("new",)),
        ("new", "call_off", ("cancelled",)),
        ("completed", "call_off", ("cancelled",)),
        ("settled", "forget", ("expired",)),
    } <= edges


def test_a_settled_payment_is_forgotten_even_if_restate_dies_meanwhile(
    fresh_server: RestateServer, tmp_path: Path
) -> None:
    with serve(fresh_server, tmp_path, "2") as served:
        bank = Bank(served, fresh_server)
        bank.open("fay")
        bank.make("p-6", "fay")

        fresh_server.kill()
        fresh_server.start()

        wait_until(lambda: "snapshot" not in fresh_server.state("payments", "p-6"), PATIENCE)
        assert (bank.make("p-6", "fay"), bank.balance("fay")) == (SAY.paid, 800)
