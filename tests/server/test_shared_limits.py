"""Limits that have a name: charts share them, the most urgent run comes next, and damage of what they store is mended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from durable_fsm.admin.client import Admin
from durable_fsm.admin.diagnosis import diagnoses
from durable_fsm.admin.limits import slots_of
from durable_fsm.cli import main
from durable_fsm.testing import Served, wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

LIMITS, VAULT = "durable_fsm.limits", "bank/vault"
PATIENCE = timedelta(seconds=120)


def status(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = host.server.call(LIMITS, VAULT, "status")
    return found


def begin(host: Host, chart: str, key: str, effect: str, *items: str) -> None:
    host.server.send(chart, key, "begin", {"effect": effect, "items": items})


def queue(host: Host, chart: str, effect: str, *items: str) -> str:
    """Have a machine begin, and wait until its work waits."""
    many, key = status(host)["waiting"], host.key("queued")
    begin(host, chart, key, effect, *items)
    wait_until(lambda: status(host)["waiting"] == many + 1, PATIENCE, "it to wait")
    return key


@contextmanager
def held(host: Host, effect: str) -> Iterator[str]:
    """A teller holds the only slot; free it in the end, and see that nothing is left."""
    key = host.key("holder")
    with host.effects.hold(f"before:{effect}-out") as gate:
        begin(host, "Teller", key, effect)
        gate.wait_reached()
        yield key
    wait_until(lambda: host.stored(LIMITS, VAULT) == {}, PATIENCE, "the limit to be free")
    host.settled()


def slot_of(host: Host, visitor: str) -> Any:
    [activity] = host.snapshot("Visitor", visitor)["activities"]
    return activity.get("slot")


def order(host: Host, effect: str) -> list[str]:
    return [entry.key for entry in host.effects.entries(f"{effect}-in")]


def test_charts_share_a_limit_and_the_most_urgent_comes_next(fan: Host) -> None:
    name = fan.key("shared")

    with held(fan, name) as holder:
        slow = queue(fan, "Visitor", name, "a", "b")
        fast = queue(fan, "Visitor", name, "a")
        other = queue(fan, "Teller", name)
        assert [one["machine"] for one in status(fan)["queue"]] == [
            f"Teller/{other}",
            f"Visitor/{fast}",
            f"Visitor/{slow}",
        ]
        assert fan.snapshot("Visitor", slow)["leaves"] == ["enqueued"]

    assert order(fan, name) == [holder, other, fast, slow]
    assert fan.snapshot("Visitor", slow)["leaves"] == ["done"]


def test_a_machine_that_waits_says_so_and_may_give_up(fan: Host) -> None:
    name = fan.key("patient")

    with held(fan, name) as holder:
        key = queue(fan, "Visitor", name)
        shown = [fan.snapshot(*one)["activities"][0]["slot"] for one in (("Teller", holder), ("Visitor", key))]
        assert shown == [{"limit": VAULT, "status": "held"}, {"limit": VAULT, "status": "waiting"}]
        with Admin(fan.server.admin_url) as admin:
            assert [*slots_of(admin, "Visitor", key).values()] == [{"limit": VAULT, "status": "waiting"}]
            assert slots_of(admin, "Visitor", "nobody") == {}
        hurried = fan.key("hurried")
        begin(fan, "Visitor", hurried, name, "hurry")
        fan.wait_in("Visitor", hurried, "gone", PATIENCE)
        wait_until(lambda: status(fan)["waiting"] == 1, PATIENCE, "its place to be given up")
        unwanted = queue(fan, "Visitor", name)
        fan.server.call("Visitor", unwanted, "cancel", {"activity": "working"})
        assert fan.wait_in("Visitor", unwanted, "failed", PATIENCE)["data"]["error"]["type"] == "cancelled"
        wait_until(lambda: status(fan)["waiting"] == 1, PATIENCE, "its place to be given up")

    assert order(fan, name) == [holder, key]


def test_applications_share_a_limit_and_the_other_one_may_be_removed(fan_awake: Host, tmp_path: Path) -> None:
    host, name = fan_awake, fan_awake.key("elsewhere")
    app_dir = Path(__file__).parents[2]
    with Served.begin(
        "tests.server.vault_app:app", host.server, log=tmp_path / "log", app_dir=app_dir, env=host.effects.env
    ) as other:
        with held(host, name) as holder:
            visitor, inspector = queue(host, "Visitor", name), queue(host, "Inspector", name)
            assert slot_of(host, visitor) == {"limit": VAULT, "status": "waiting"}
            other.kill()
            assert slot_of(host, visitor) is None, "its snapshot waits for nobody"
            other.restart()
        assert order(host, name) == [holder, inspector, visitor]

    again = host.key("again")
    with held(host, again) as holder:
        visitor = queue(host, "Visitor", again)
    assert order(host, again) == [holder, visitor]


def test_show_names_the_limit_that_a_machine_waits_for_also_while_the_service_is_down(fan_awake: Host) -> None:
    host, name = fan_awake, fan_awake.key("shown")
    servers = ["--ingress", host.server.ingress_url, "--admin", host.server.admin_url]

    def shown(key: str, *options: str) -> str:
        return CliRunner().invoke(main, ["show", f"Visitor/{key}", *servers, *options]).stdout

    with held(host, name):
        key = queue(host, "Visitor", name)
        assert f"working (waits for a slot of '{VAULT}')" in shown(key)

        host.served.kill()
        [activity] = json.loads(shown(key, "--json"))["activities"]
        assert activity["slot"] == {"limit": VAULT, "status": "waiting"}
        host.served.restart()


@pytest.mark.parametrize("damage", [{"gate": "{"}, {"gate": '{"limit":0,"inside":[]}'}], ids=["broken", "nonsense"])
def test_a_damaged_limit_is_found_by_doctor_and_mended_by_the_next_run(fan: Host, damage: dict[str, str]) -> None:
    name = fan.key("damaged")

    with held(fan, name) as holder:
        first = queue(fan, "Visitor", name, "a")
        values = {**fan.stored(LIMITS, VAULT), **damage}
        body = {"object_key": VAULT, "new_state": {key: list(text.encode()) for key, text in values.items()}}
        fan.client.post(f"{fan.server.admin_url}/services/{LIMITS}/state", json=body).raise_for_status()
        wait_until(lambda: status(fan)["status"] == "unreadable", PATIENCE, "the damage to be done")
        with Admin(fan.server.admin_url) as admin:
            told = [(one.kind, one.what) for one in diagnoses(admin) if VAULT in one.what]
        assert [kind for kind, _ in told] == ["unreadable"]
        assert told[0][1].startswith(f"{LIMITS}/{VAULT}: its 'gate' cannot be read: ")

        second = fan.key("second")
        begin(fan, "Visitor", second, name)
        wait_until(lambda: status(fan).get("waiting") == 2, PATIENCE, "the limit to be mended")
        assert json.loads(fan.stored(LIMITS, VAULT)["gate"])["limit"] == 1

    assert order(fan, name) == [holder, second, first]
