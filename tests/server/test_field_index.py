"""Machines are found by indexed fields of their data, also after kills, moves and deletions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from durable_fsm.admin.client import Admin
from durable_fsm.admin.inventory import Filter, charts_in, machines_of
from durable_fsm.client import SyncClient
from durable_fsm.errors import NotIndexed
from durable_fsm.testing import wait_until
from tests.server.data_charts import Customer

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def found(host: Host, **fields: str) -> list[str]:
    """Keys of the machines with these values of indexed fields."""
    wanted = Filter(fields={name.replace("__", "."): text for name, text in fields.items()})
    with Admin(host.server.admin_url) as admin:
        return [machine.key for machine in machines_of(admin, "Customer", wanted)]


def listed(host: Host, entry: str) -> list[str]:
    """Keys in one list of the index, whether or not they are right."""
    return sorted(name.removeprefix("listed ") for name in host.stored("Customer.index", entry))


def wait_listed(host: Host, entry: str, *keys: str) -> None:
    wait_until(lambda: listed(host, entry) == sorted(keys), what=f"the list {entry} to be {keys}")


def test_a_machine_is_found_by_its_values_and_by_new_ones_after_a_change(host: Host) -> None:
    first, second, city = host.key("customer"), host.key("customer"), host.key("Oslo")
    host.receipt("Customer", first, "move", city)
    host.receipt("Customer", second, "move", city)
    wait_listed(host, f"address.city={city}", first, second)
    assert found(host, address__city=city) == sorted([first, second])

    host.receipt("Customer", second, "grow")
    wait_listed(host, f"address.city={city}", first, second)
    host.receipt("Customer", second, "move", f"{city} 2")

    wait_listed(host, f"address.city={city}", first)
    assert (found(host, address__city=city), found(host, address__city=f"{city} 2")) == ([first], [second])


def test_all_named_values_must_fit(host: Host) -> None:
    first, second, city = host.key("customer"), host.key("customer"), host.key("Rome")
    for key in (first, second):
        host.receipt("Customer", key, "move", city)
    host.receipt("Customer", second, "grow")
    wait_listed(host, f"address.city={city}", first, second)

    assert found(host, address__city=city, size="1") == [second]


def test_a_client_finds_machines_by_their_data(host: Host) -> None:
    first, second, third, city = host.key("customer"), host.key("customer"), host.key("customer"), host.key("Genoa/a=b")
    for key in (first, second, third):
        host.receipt("Customer", key, "move", city)
    host.receipt("Customer", second, "grow")
    wait_listed(host, f"address.city={city}", first, second, third)

    with SyncClient(host.server.ingress_url) as client:
        assert client.find(Customer, {"address.city": city}) == sorted([first, second, third])
        assert client.find("Customer", {"address.city": city, "size": 1}) == [second]
        assert client.find(Customer, {"address.city": "nowhere"}) == []
        with pytest.raises(NotIndexed, match="Did you mean 'size'"):
            client.find(Customer, {"sise": 1})
        with pytest.raises(NotIndexed, match="Did you mean 'size'"):
            client.find("Customer", {"sise": 1})
        with pytest.raises(ValueError, match="which machines"):
            client.find(Customer, {})


def test_a_list_is_read_in_pages(host: Host) -> None:
    keys, city = sorted(host.key("customer") for _ in range(3)), host.key("Nice")
    for key in keys:
        host.receipt("Customer", key, "move", city)
    wait_listed(host, f"address.city={city}", *keys)

    first = host.receipt("Customer.index", f"address.city={city}", "machines", {"limit": 2})
    rest = host.receipt("Customer.index", f"address.city={city}", "machines", {"after": first["next"], "limit": 2})

    assert (first["keys"], rest) == (keys[:2], {"keys": keys[2:], "next": None})
    refused = host.post("Customer.index", f"address.city={city}", "machines", {"limit": -1})
    assert (refused.status_code, refused.json()["metadata"]["type"]) == (400, "MalformedInput")


def test_a_deleted_machine_is_not_listed(host: Host) -> None:
    key, city = host.key("customer"), host.key("Pisa")
    host.receipt("Customer", key, "move", city)
    wait_listed(host, f"address.city={city}", key)

    host.receipt("Customer", key, "delete", {})

    wait_listed(host, f"address.city={city}")
    assert found(host, address__city=city) == []


def test_the_index_is_right_after_kills_of_service_and_server(awake: Host) -> None:
    city = awake.key("Bern")
    keys = [awake.key("customer") for _ in range(4)]
    asked = [awake.server.send("Customer", key, "move", place) for key in keys for place in (city, "away", city)]
    awake.served.kill()
    awake.server.kill()
    awake.server.start()
    awake.served.restart()

    for one in asked:
        awake.server.output(one)
    wait_listed(awake, f"address.city={city}", *keys)
    assert found(awake, address__city=city) == sorted(keys)


def test_no_key_of_a_machine_is_mistaken_for_other_state(awake: Host) -> None:
    city = awake.key("Graz")
    for key in ("snapshot", "failing 1"):
        awake.receipt("Customer", key, "move", city)
    wait_listed(awake, f"address.city={city}", "failing 1", "snapshot")

    with Admin(awake.server.admin_url) as admin:
        assert not any(".index" in chart for chart in charts_in(admin))
    assert found(awake, address__city=city) == ["failing 1", "snapshot"]


def test_a_machine_that_an_earlier_build_stored_is_found_after_its_next_transaction(host: Host) -> None:
    key, other, city = host.key("customer"), host.key("customer"), host.key("Lund")
    for one in (key, other):
        host.receipt("Customer", one, "create", {})
        stored = json.loads(host.stored("Customer", one)["snapshot"])
        del stored["indexed"]
        host.put("Customer", one, json.dumps({**stored, "data": {**stored["data"], "address": {"city": city}}}))
    assert listed(host, f"address.city={city}") == []

    host.receipt("Customer", key, "grow")
    host.receipt("Customer", other, "repair", {"migrate": True, "reason": "a new index"})

    wait_listed(host, f"address.city={city}", key, other)


def test_a_field_without_an_index_is_refused(awake: Host) -> None:
    with pytest.raises(NotIndexed, match=r"Customer: there is no index of 'sise'\. .* Did you mean 'size'\?"):
        found(awake, sise="1")
