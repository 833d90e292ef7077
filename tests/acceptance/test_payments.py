"""R14, payments with accounts: paid at most once, refunded at most once despite kills, and then forgotten.

The balance is read from the account, which is a machine of its own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm.testing import Rehearsal, RestateServer, wait_until
from machines.payments.data import SAY
from machines.payments.machine import Payment
from tests.acceptance.applications import Application, edges, hosted, rehearsed, serve

pytestmark = pytest.mark.server

PATIENCE = timedelta(seconds=60)


@dataclass
class Bank(Application):
    """Payments and accounts on one server."""

    def open(self, account: str) -> None:
        self.server.call("accounts", account, "deposit", {"cents": 1000})

    def balance(self, account: str) -> int:
        return self.server.call("accounts", account, "snapshot")["data"]["balance"]

    def wait_for(self, account: str, balance: int) -> None:
        """Wait for a balance: a refund is a message between machines, which arrives a moment after the answer."""
        wait_until(lambda: self.balance(account) == balance, PATIENCE)

    def make(self, payment: str, account: str, cents: int = 100, key: str | None = None) -> Any:
        body = {"account": account, "cents": cents}
        return self.server.call("payments", payment, "makePayment", body, idempotency_key=key)["reply"]

    def call_off(self, payment: str) -> Any:
        return self.server.call("payments", payment, "cancelPayment")["reply"]

    def leaves(self, payment: str) -> list[str]:
        return self.server.call("payments", payment, "snapshot")["leaves"]


@contextmanager
def opened(server: RestateServer, place: Path, remembered: str = "86400") -> Iterator[Bank]:
    env = {"RESTATE_INGRESS_URL": server.ingress_url, "PAYMENT_REMEMBERED_SECONDS": remembered}
    with serve("payments", server, place, env) as served:
        yield Bank("payments", served, server)


bank_awake, bank_replaying, bank = hosted("bank", opened)


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


def test_a_payment_that_was_not_covered_can_be_made_once_it_is(bank: Bank) -> None:
    bank.open("cem")

    assert bank.make("p-3", "cem", 5000) == SAY.insufficient
    assert bank.leaves("p-3") == ["new"]

    bank.server.call("accounts", "cem", "deposit", {"cents": 5000})
    assert (bank.make("p-3", "cem", 5000), bank.balance("cem")) == (SAY.paid, 1000)


def test_a_negative_amount_is_refused_and_stores_nothing(bank: Bank) -> None:
    with pytest.raises(httpx.HTTPStatusError) as refused:
        bank.make("p-4", "dora", -1)

    assert refused.value.response.status_code == 422
    assert bank.server.state("payments", "p-4") == bank.server.state("accounts", "dora") == {}


def test_a_repeated_request_gets_the_first_answer(bank: Bank) -> None:
    bank.open("eve")

    assert [bank.make("p-5", "eve", key="same") for _ in range(3)] == [SAY.paid] * 3
    assert bank.balance("eve") == 900


def test_a_storm_of_orders_and_cancellations_leaves_every_cent_accounted_for(bank_awake: Bank) -> None:
    bank_awake.open("storm")
    dice = random.Random(14)
    wanted = [(f"s-{dice.randrange(10)}", dice.choice(("makePayment", "cancelPayment"))) for _ in range(100)]
    asked: list[str] = []

    for n, (payment, handler) in enumerate(wanted):
        body = {"account": "storm", "cents": 10} if handler == "makePayment" else None
        asked.append(bank_awake.server.send("payments", payment, handler, body))
        if n in (25, 50, 75):
            bank_awake.restart()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(bank_awake.server.output, asked))

    assert len(answers) == 100
    made = sum(bank_awake.leaves(payment) == ["completed"] for payment in {payment for payment, _ in wanted})
    bank_awake.wait_for("storm", 1000 - 10 * made)


def test_the_server_does_what_the_rehearsal_does(bank: Bank) -> None:
    bank.open("gil")
    rehearsal = Rehearsal(Payment, answers={"charging": lambda _: True})
    rehearsal.send("make", {"account": "gil", "cents": 100})
    rehearsal.send("call_off")

    bank.make("p-7", "gil")
    bank.call_off("p-7")

    assert bank.recorded("payments", "p-7") == rehearsed(rehearsal)


def test_a_settled_payment_is_scheduled_to_be_forgotten_in_a_day_even_if_it_is_called_off(bank: Bank) -> None:
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


def test_restate_has_completed_the_requests(bank: Bank) -> None:
    bank.open("ida")
    bank.make("p-9", "ida")
    bank.call_off("p-9")

    done = bank.server.query(
        "SELECT target_handler_name, completion_result FROM sys_invocation WHERE status = 'completed'"
        " AND target_service_name = 'payments' AND target_service_key = 'p-9'"
    )
    answered = {(row["target_handler_name"], row["completion_result"]) for row in done}
    assert {("makePayment", "success"), ("cancelPayment", "success")} <= answered


def test_the_commands_of_the_readme_do_what_it_says(bank: Bank) -> None:
    answers = bank.run_readme()

    assert [answer["reply"] for answer in answers] == [1000, SAY.paid, SAY.already, SAY.cancelled]


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Payment)) >= {
        ("new", "make", ("charging",)),
        ("charging", "done.invoke.charging", ("settled",)),
        ("charging", "done.invoke.charging", ("new",)),
        ("new", "call_off", ("cancelled",)),
        ("completed", "call_off", ("cancelled",)),
        ("settled", "forget", ("expired",)),
    }


def test_a_settled_payment_is_forgotten_even_if_restate_is_killed_meanwhile(
    fresh_server: RestateServer, tmp_path: Path
) -> None:
    with opened(fresh_server, tmp_path, "2") as bank:
        bank.open("fay")
        bank.make("p-6", "fay")

        fresh_server.kill()
        fresh_server.start()

        wait_until(lambda: "snapshot" not in fresh_server.state("payments", "p-6"), PATIENCE)
        assert (bank.make("p-6", "fay"), bank.balance("fay")) == (SAY.paid, 800)
