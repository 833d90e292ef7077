"""R05, reservations: a client outside calls machines, and may repeat a call without reserving again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from durable_fsm.testing import Rehearsal, RestateServer, ServiceProcess, wait_until
from machines.reservations.machine import Product
from tests.acceptance.applications import ROOT, Application, edges, hosted, rehearsed, serve
from tests.web import web

pytestmark = pytest.mark.server


@dataclass
class Street(Application):
    """The shop's application, and its machines on a server."""

    shop: ServiceProcess

    def reserve(self, product: str, reservation: str, timeout: float = 30) -> bool:
        answer = web.post(f"{self.shop.url}/reserve/{product}/{reservation}", timeout=timeout)
        answer.raise_for_status()
        return bool(answer.json()["reserved"])

    def states(self, product: str) -> list[str]:
        found: list[str] = self.server.call("product", product, "snapshot")["configuration"]
        return found

    def asked(self, product: str, *conditions: str) -> int:
        """The number of `reserve` calls of a product that Restate has."""
        of_product = ("target_service_name = 'product'", f"target_service_key = '{product}'")
        where = " AND ".join((*of_product, "target_handler_name = 'reserve'", *conditions))
        return len(self.server.query(f"SELECT id FROM sys_invocation WHERE {where}"))


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Street]:
    shop = ServiceProcess.serving(
        "machines.reservations.shop:app",
        log=place / "shop.log",
        app_dir=ROOT,
        env={"RESTATE_INGRESS_URL": server.ingress_url},
    )
    try:
        with serve("reservations", server, place) as served:
            shop.start().wait_ready()
            yield Street("reservations", served, server, shop)
    finally:
        shop.close()


street_awake, street_replaying, street = hosted("street", opened)


def test_the_first_customer_gets_the_product_and_the_same_answer_again(street: Street) -> None:
    assert [street.reserve("lamp", number) for number in ("one", "two", "one")] == [True, False, True]
    assert street.asked("lamp") == 2


def test_one_of_twenty_concurrent_customers_gets_the_product(street: Street) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: street.reserve("rush", f"r-{number}"), range(20)))

    assert sorted(answers) == [False] * 19 + [True]


def test_a_reservation_asked_for_while_the_service_is_down_is_granted_once(street_awake: Street) -> None:
    street_awake.served.kill()
    assert not street_awake.served.process.alive
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(street_awake.reserve, "dead", "one")
        wait_until(lambda: street_awake.asked("dead") == 1, what="Restate to accept the reservation")
        again = pool.submit(street_awake.reserve, "dead", "one")
        street_awake.served.restart()

        assert (first.result(30), again.result(30)) == (True, True)

    assert (street_awake.states("dead"), street_awake.asked("dead")) == (["reserved"], 1)


def test_a_customer_who_timed_out_asks_again_and_joins_the_pending_request(street_awake: Street) -> None:
    street_awake.served.kill()
    with pytest.raises(httpx.ReadTimeout):
        street_awake.reserve("patience", "one", timeout=0.5)
    wait_until(lambda: street_awake.asked("patience", "status <> 'completed'") == 1, what="it to be under way")
    street_awake.served.restart()

    assert street_awake.reserve("patience", "one")
    assert street_awake.asked("patience") == 1
    assert not street_awake.reserve("patience", "two")


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Product)) == {
        ("available", "reserve", ("reserved",)),
        ("reserved", "reserve", ()),
    }


def test_the_server_does_what_the_rehearsal_does(street: Street) -> None:
    rehearsal = Rehearsal(Product, key="told")
    replies = [rehearsal.send("reserve").reply for _ in range(2)]

    assert [street.reserve("told", "one"), street.reserve("told", "two")] == replies

    assert street.recorded("product", "told") == rehearsed(rehearsal)


def test_restate_has_completed_the_requests(street: Street) -> None:
    street.reserve("asked", "one")

    assert street.asked("asked", "status = 'completed'", "completion_result = 'success'") == 1


def test_the_commands_of_the_readme_do_what_it_says(street: Street) -> None:
    answers = [*street.run_readme({"/lamp/": "/page/", "localhost:8000": street.shop.url})]

    assert answers == [{"reserved": True}, {"reserved": False}, {"reserved": True}]
