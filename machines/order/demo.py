"""The story of `make demo`: place orders over HTTP, and kill the processes that they depend on.

    python -m machines.order.demo [--keep]

A real Restate server, the order service and the outside services (warehouse, bank, bookkeeper) run as separate
processes, on free ports of the loopback interface. The demo kills the service with SIGKILL in the middle of a charge,
and the Restate server while a timer runs. At the end it asks the bank for its charges.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from durable_fsm.testing import wait_until
from machines.stage import Stage, is_asked, keep, perform, tell

HOLD_SECONDS = 6
PATIENCE = timedelta(seconds=60)
GOOD, BAD = "5555 1111", "4000 0002"


class Shop:
    """The three processes, and the requests of a customer."""

    def __init__(self, stage: Stage) -> None:
        self.server = stage.server
        self.outside = stage.outside("machines.order.outside")
        env = {
            "OUTSIDE_URL": self.outside.url,
            "ORDER_HOLD_SECONDS": str(HOLD_SECONDS),
            "DURABLE_FSM_RECORD": "1",  # the console then shows how the data was at each step
        }
        self.service = stage.serve("machines.order.service:app", env)

    def send(self, key: str, event: str, payload: object = None) -> dict[str, Any]:
        """Send one event over HTTP; return the receipt. The idempotency key makes it safe to repeat after a crash."""
        place = f"{self.server.ingress_url}/Order/{key}/{event}"
        answer = httpx.post(place, json=payload, headers={"idempotency-key": f"{key}/{event}"}, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def snapshot(self, key: str) -> dict[str, Any]:
        return httpx.post(f"{self.server.ingress_url}/Order/{key}/snapshot", json=None, timeout=30).json()

    def wait_for(self, key: str, state: str) -> None:
        wait_until(lambda: state in self.snapshot(key)["configuration"], PATIENCE, f"order {key} to be {state}")

    def place(self, key: str, cents: int, card: str = GOOD) -> None:
        """Fill a cart and check out."""
        self.send(key, "add_item", {"name": "lamp", "cents": cents})
        self.send(key, "checkout", {"card": card, "address": "12 Harbour Street"})

    def ledger(self) -> dict[str, Any]:
        return httpx.get(f"{self.outside.url}/ledger", timeout=5).json()

    def withhold(self, card: str) -> None:
        httpx.post(f"{self.outside.url}/withhold", json={"card": card}, timeout=5).raise_for_status()


# ── the story ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def an_order_is_paid_and_shipped(shop: Shop) -> None:
    shop.place("ada", 4200)
    shop.wait_for("ada", "paid")
    shop.send("ada", "ship", {"tracking": "AD-1"})
    shop.wait_for("ada", "fulfilled")


def an_order_is_paid_called_off_and_undone(shop: Shop) -> None:
    shop.place("ben", 1500)
    shop.wait_for("ben", "invoiced")
    shop.send("ben", "call_off")
    shop.wait_for("ben", "cancelled")


def a_challenged_customer_proves_who_they_are(shop: Shop) -> None:
    shop.place("hua", 640, "3000 5555")
    shop.wait_for("hua", "challenged")
    shop.send("hua", "prove", {"code": "5555"})
    shop.wait_for("hua", "paid")


def a_declined_card_is_replaced(shop: Shop) -> None:
    shop.place("cem", 990, BAD)
    shop.wait_for("cem", "on_hold")
    shop.send("cem", "pay_again", {"card": "5555 2222"})
    shop.wait_for("cem", "paid")


def the_service_is_killed_in_the_middle_of_a_charge(shop: Shop) -> None:
    card = "5555 3333"
    shop.withhold(card)
    shop.place("dora", 7700, card)
    wait_until(lambda: any(charge["card"] == card for charge in shop.ledger()["charges"]), PATIENCE, "dora's charge")
    shop.service.kill()


def it_comes_back_and_asks_again(shop: Shop) -> None:
    shop.service.restart()
    shop.wait_for("dora", "paid")


def two_orders_wait_on_hold(shop: Shop) -> None:
    shop.place("eve", 2500, BAD)
    shop.place("fay", 300, "4000 0003")
    shop.wait_for("eve", "on_hold")
    shop.wait_for("fay", "on_hold")


def the_restate_server_is_killed_while_their_timers_run(shop: Shop) -> None:
    shop.server.kill()
    shop.server.start()


def one_pays_in_time_and_the_other_expires(shop: Shop) -> None:
    shop.send("fay", "pay_again", {"card": "5555 4444"})
    shop.wait_for("fay", "paid")
    shop.wait_for("eve", "expired")


def a_customer_leaves(shop: Shop) -> None:
    shop.send("gil", "add_item", {"name": "chair", "cents": 8000})
    shop.send("gil", "abandon")


STORY: tuple[Callable[[Shop], None], ...] = (
    an_order_is_paid_and_shipped,
    an_order_is_paid_called_off_and_undone,
    a_challenged_customer_proves_who_they_are,
    a_declined_card_is_replaced,
    the_service_is_killed_in_the_middle_of_a_charge,
    it_comes_back_and_asks_again,
    two_orders_wait_on_hold,
    the_restate_server_is_killed_while_their_timers_run,
    one_pays_in_time_and_the_other_expires,
    a_customer_leaves,
)

ENDS = {
    "ada": ("fulfilled", 4200),
    "ben": ("cancelled", 1500),
    "cem": ("paid", 990),
    "dora": ("paid", 7700),
    "eve": ("expired", None),
    "fay": ("paid", 300),
    "gil": ("abandoned", None),
    "hua": ("paid", 640),
}
"""The state in which every order must end, and the charge for it, in cents."""


def faults(shop: Shop) -> list[str]:
    """List the orders that did not end as they must, according to Restate and to the outside services."""
    ledger = shop.ledger()
    found: list[str] = []
    for key, (state, cents) in ENDS.items():
        seen = shop.snapshot(key)["leaves"]
        if state not in seen:
            found.append(f"order {key} is in {seen}, not in '{state}'")
        charged = [charge["cents"] for charge in ledger["charges"] if charge["order"] == key]
        if charged != ([] if cents is None else [cents]):
            found.append(f"order {key} was charged {charged}, not once {cents}")
    if not ledger["repeats"]:
        found.append("the bank refused no repeated request, so the kill hit no charge")
    if len(ledger["refunds"]) != 1:
        found.append(f"there were {len(ledger['refunds'])} refunds, not 1")
    if len(ledger["releases"]) != 2:
        found.append(f"goods went back on the shelf {len(ledger['releases'])} times, not 2")
    if len(ledger["credit_notes"]) != 1:
        found.append(f"there were {len(ledger['credit_notes'])} credit notes, not 1")
    return found


# ── telling it ────────────────────────────────────────────────────────────────────────────────────────────────────────


def show(shop: Shop, console: Console) -> None:
    """Print the orders from Restate, with the charges from the bank."""
    ledger = shop.ledger()
    table = Table(title="Orders and charges")
    for column in ("order", "ended", "total", "charged", "times", "repeats refused"):
        table.add_column(column, justify="left" if column in ("order", "ended") else "right")
    for key in ENDS:
        machine = shop.snapshot(key)
        total = sum(item["cents"] * item["quantity"] for item in machine["data"]["items"])
        charged = [charge["cents"] for charge in ledger["charges"] if charge["order"] == key]
        repeats = sum(f"/{key}/" in repeat for repeat in ledger["repeats"])
        table.add_row(key, machine["leaves"][0], str(total), str(sum(charged)), str(len(charged)), str(repeats))
    console.print(table)


def main() -> int:
    kept = is_asked("keep", "leaves everything running and prints the URLs", __doc__)

    def act(stage: Stage, console: Console) -> int:
        shop = Shop(stage)
        code = play(shop, console)
        if code or not kept:
            return code
        ingress = shop.server.ingress_url
        item = '{"name": "book", "cents": 1200}'
        return keep(
            {
                "send events to": f"{ingress}/Order/<key>/<event>",
                "console": f"{stage.console()}/chart/Order",
                "Restate": f"{shop.server.admin_url}/ui/",
                "outside world": f"{shop.outside.url}/ledger",
                "to try": f"curl {ingress}/Order/you/add_item --json '{item}'",
                "": f"curl {ingress}/Order/you/snapshot --json null",
            },
            console,
        )

    return perform(act)


def play(shop: Shop, console: Console) -> int:
    """Play the story; return 0 if it ended as it must."""
    tell(STORY, shop, console)
    show(shop, console)
    found = faults(shop)
    if found:
        console.print("The story did not end as it must:\n  " + "\n  ".join(found), style="red")
        return 1
    console.print("Every order ended as it should, and each card was charged exactly once.")
    console.print("'KEEP=1 make demo' leaves everything running; the code is in machines/order.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
