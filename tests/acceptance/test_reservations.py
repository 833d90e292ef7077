"""R05, reservations: a client outside calls machines, and may call again without reserving again."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal, RestateServer, Served, ServiceProcess, wait_until
from machines.reservations.machine import Product

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]


@dataclass
class Street:
    """The shop's application, and its machines on a server."""

    served: Served
    server: RestateServer
    shop: ServiceProcess

    def reserve(self, product: str, reservation: str, timeout: float = 30) -> bool:
        answer = httpx.post(f"{self.shop.url}/reserve/{product}/{reservation}", timeout=timeout, trust_env=False)
        answer.raise_for_status()
        return bool(answer.json()["reserved"])

    def states(self, product: str) -> list[str]:
        found: list[str] = self.server.call("product", product, "snapshot")["configuration"]
        return found

    def asked(self, product: str, *conditions: str) -> int:
        """How many calls of a product Restate knows of."""
        of_product = ("target_service_name = 'product'", f"target_service_key = '{product}'")
        where = " AND ".join((*of_product, "target_handler_name = 'reserve'", *conditions))
        return len(self.server.query(f"SELECT id FROM sys_invocation WHERE {where}"))


@pytest.fixture(scope="module")
def street(restate_server: RestateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    place = tmp_path_factory.mktemp("street")
    shop = ServiceProcess.serving(
        "machines.reservations.shop:app",
        log=place / "shop.log",
        app_dir=ROOT,
        env={"RESTATE_INGRESS_URL": restate_server.ingress_url},
    )
    env = {"DURABLE_FSM_PAYLOAD_CHECKS": "1"}
    app = "machines.reservations.service:app"
    try:
        with Served.begin(app, restate_server, log=place / "service.log", app_dir=ROOT, env=env) as served:
            shop.start().wait_ready()
            yield Street(served, restate_server, shop)
    finally:
        shop.close()


def test_the_first_has_it_and_hears_so_again(street: Street) -> None:
    assert [street.reserve("lamp", number) for number in ("one", "two", "one")] == [True, False, True]
    assert street.asked("lamp") == 2


def test_of_twenty_that_want_it_at_once_one_has_it(street: Street) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: street.reserve("rush", f"r-{number}"), range(20)))

    assert sorted(answers) == [False] * 19 + [True]


def test_whoever_asked_while_the_service_was_dead_has_it_once(street: Street) -> None:
    street.served.kill()
    assert not street.served.process.alive
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(street.reserve, "dead", "one")
        wait_until(lambda: street.asked("dead") == 1, what="Restate to accept the reservation")
        again = pool.submit(street.reserve, "dead", "one")
        street.served.restart()

        assert (first.result(30), again.result(30)) == (True, True)

    assert (street.states("dead"), street.asked("dead")) == (["reserved"], 1)


def test_a_customer_who_gave_up_waiting_asks_again_and_joins_what_is_under_way(street: Street) -> None:
    street.served.kill()
    with pytest.raises(httpx.ReadTimeout):
        street.reserve("patience", "one", timeout=0.5)
    wait_until(lambda: street.asked("patience", "status <> 'completed'") == 1, what="it to be under way")
    street.served.restart()

    assert street.reserve("patience", "one")
    assert street.asked("patience") == 1
    assert not street.reserve("patience", "two")


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    chart = chart_from(Product)

    assert {(edge.source, event, edge.targets) for edge in chart.transitions for event in edge.events} == {
        ("available", "reserve", ("reserved",)),
        ("reserved", "reserve", ()),
    }


def test_what_was_recorded_is_what_was_rehearsed(street: Street) -> None:
    rehearsal = Rehearsal(Product, key="told")
    replies = [rehearsal.send("reserve").reply for _ in range(2)]

    assert [street.reserve("told", "one"), street.reserve("told", "two")] == replies

    entries = street.server.call("product", "told", "history")["entries"]
    recorded = [
        (tuple(step.get("exited", ())), tuple(step.get("transitions", ())), tuple(step.get("entered", ())))
        for entry in entries
        for step in entry["steps"]
    ]
    assert recorded == [(step.exited, step.transitions, step.entered) for step in rehearsal.trace]


def test_restate_has_completed_what_was_asked(street: Street) -> None:
    street.reserve("asked", "one")

    assert street.asked("asked", "status = 'completed'", "completion_result = 'success'") == 1


def test_the_commands_of_the_page_do_what_it_says(street: Street) -> None:
    page = (ROOT / "machines/reservations/README.md").read_text().replace("/lamp/", "/page/")
    commands = [line for line in page.splitlines() if line.startswith("curl ")]

    printed = [
        subprocess.run(
            [*shlex.split(command.replace("localhost:8000", street.shop.url)), "-sS", "--noproxy", "*"],
            capture_output=True,
            check=True,
            timeout=20,
        ).stdout
        for command in commands
    ]

    assert printed == [b'{"reserved": true}', b'{"reserved": false}', b'{"reserved": true}']
