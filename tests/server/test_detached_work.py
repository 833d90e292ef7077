"""Detached work, which callbacks start and no state waits for: done once, even after its machine is gone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def keys_of(host: Host, name: str) -> list[str]:
    return [entry.key for entry in host.effects.entries(name)]


def when(host: Host, shop: str, **seen: Any) -> dict[str, Any]:
    """The shop, once its data has these values."""

    def there() -> dict[str, Any]:
        machine = host.snapshot("Shop", shop)
        return machine if all(machine["data"].get(name) == value for name, value in seen.items()) else {}

    return wait_until(there, what=f"{shop} to have {seen}")


def runs(host: Host, activity: str, *statuses: str) -> list[dict[str, Any]]:
    """Invocations of detached work."""
    rows = host.invocations("Shop.activities", target_handler_name=activity)
    return [row for row in rows if not statuses or row["status"] in statuses]


def the_run(host: Host, activity: str) -> str:
    [row] = wait_until(lambda: runs(host, activity, "running", "suspended"), what=f"{activity} to run")
    return str(row["id"])


def test_the_outcome_of_detached_work_reaches_a_chart_with_a_transition_for_it(fan: Host) -> None:
    shop, mail = fan.key("shop"), fan.key("mail")

    with fan.effects.hold(f"before:{mail}") as gate:
        receipt = fan.receipt("Shop", shop, "mail", {"effect": mail})
        gate.wait_reached()
        meanwhile = fan.snapshot("Shop", shop)

    assert receipt["configuration"] == ["open"]
    token = f"{meanwhile['life']}.2.1"
    assert meanwhile["activities"] == [{"token": token, "id": "send_mail", "state": None, "entry": 2}]
    assert meanwhile["timers"] == []
    machine = when(fan, shop, result=[f"done {mail}"])
    assert machine["activities"] == []
    assert keys_of(fan, mail) == [f"Shop/{shop}/{machine['life']}/send_mail/2.1"]
    fan.settled()


def test_detached_work_costs_the_machine_one_send(fan: Host) -> None:
    shop, mail = fan.key("shop"), fan.key("mail")
    fan.receipt("Shop", shop, "create")

    answer = fan.post("Shop", shop, "mail", {"effect": mail})

    journal = fan.journal(answer.headers["x-restate-id"])
    assert journal == ["Input", "GetEagerState", "SetState", "OneWayCall", "Output"]
    when(fan, shop, result=[f"done {mail}"])


def test_detached_work_started_twice_is_done_twice(fan: Host) -> None:
    shop, mail = fan.key("shop"), fan.key("mail")

    fan.receipt("Shop", shop, "mail_twice", {"effect": mail})

    machine = when(fan, shop, result=[f"done {mail}"] * 2)
    stem = f"Shop/{shop}/{machine['life']}/send_mail"
    assert sorted(keys_of(fan, mail)) == [f"{stem}/2.1", f"{stem}/2.2"]


def test_a_chart_without_a_transition_gets_no_outcome_of_detached_work(fan: Host) -> None:
    shop, note = fan.key("shop"), fan.key("note")

    with fan.effects.hold(f"before:{note}") as gate:
        fan.receipt("Shop", shop, "note", {"effect": note})
        gate.wait_reached()
        before = fan.stored("Shop", shop)
        assert fan.snapshot("Shop", shop)["activities"] == []
    fan.settled()

    assert keys_of(fan, note) == ["note"]
    assert fan.stored("Shop", shop) == before


def test_a_failure_of_detached_work_without_a_transition_is_logged(fan: Host) -> None:
    shop, note = fan.key("shop"), fan.key("note")
    fan.effects.fail_next(note, times=3)

    fan.receipt("Shop", shop, "note", {"effect": note})

    words = (
        f"Shop/{shop}: work 'send_note' failed, and no transition handles its outcome: EffectRefused: Effect '{note}'"
    )
    wait_until(lambda: words in fan.served.process.log.read_text(), what="the failure in the log")
    assert fan.effects.arrived(note) == 3
    assert fan.snapshot("Shop", shop)["status"] == "running"


def test_the_failure_of_detached_work_reaches_a_chart_with_a_transition_for_it(fan: Host) -> None:
    shop, mail = fan.key("shop"), fan.key("mail")
    fan.effects.fail_next(mail, times=3)

    fan.receipt("Shop", shop, "mail", {"effect": mail})

    error = f"EffectRefused: Effect '{mail}' for 'Shop/{shop}/{_life(fan, shop)}/send_mail/2.1' was refused with status 500."
    when(fan, shop, error=error)


def _life(host: Host, shop: str) -> str:
    return str(host.snapshot("Shop", shop)["life"])


@pytest.mark.parametrize("ends", ["done", "failed"])
def test_detached_work_outlives_its_state_and_an_outcome_without_a_transition_is_dropped(fan: Host, ends: str) -> None:
    shop, mail = fan.key("shop"), fan.key("mail")
    if ends == "failed":
        fan.effects.fail_next(mail, times=3)

    with fan.effects.hold(f"before:{mail}") as gate:
        fan.receipt("Shop", shop, "leave", {"effect": mail})
        gate.wait_reached()
        assert [running["id"] for running in fan.snapshot("Shop", shop)["activities"]] == ["send_mail"]
    fan.settled()

    machine = fan.snapshot("Shop", shop)
    assert (machine["status"], machine["configuration"], machine["activities"]) == ("running", ["elsewhere"], [])
    assert machine["data"]["result"] is machine["data"]["error"] is None
    assert len(keys_of(fan, mail)) == (1 if ends == "done" else 0)
    assert fan.receipt("Shop", shop, "come_back")["configuration"] == ["open"]


def test_detached_work_outlives_its_machine(fan: Host) -> None:
    shop, mail, last = fan.key("shop"), fan.key("mail"), fan.key("mail")

    with fan.effects.hold(f"before:{mail}") as gate, fan.effects.hold(f"before:{last}") as last_gate:
        fan.receipt("Shop", shop, "mail", {"effect": mail})
        gate.wait_reached()
        assert fan.receipt("Shop", shop, "close", {"effect": last})["status"] == "done"
        assert fan.snapshot("Shop", shop)["activities"] == []
        last_gate.wait_reached()
        fan.receipt("Shop", shop, "delete")
        fan.receipt("Shop", shop, "create")
        before = fan.stored("Shop", shop)
    fan.settled()

    assert len(keys_of(fan, mail)) == len(keys_of(fan, last)) == 1
    assert fan.stored("Shop", shop) == before


def test_detached_work_may_fan_out(fan: Host) -> None:
    shop, letter = fan.key("shop"), fan.key("letter")

    fan.receipt("Shop", shop, "write", {"effect": letter, "items": ["ann", "bob"]})

    when(fan, shop, result=[[f"done {letter}"] * 2])
    assert sorted(keys_of(fan, letter)) == ["ann", "bob"]


def test_detached_work_may_have_a_deadline(fan: Host) -> None:
    shop, mail = fan.key("shop"), fan.key("mail")

    fan.receipt("Shop", shop, "dawdle", {"effect": mail})

    when(fan, shop, error="deadline: work 'linger' did not end within 0:00:00.400000.")
    fan.settled()
    assert len(keys_of(fan, mail)) == 1


def test_detached_work_that_is_killed_is_reported(fan: Host) -> None:
    shop, mail = fan.key("shop"), fan.key("mail")

    with fan.effects.hold(f"before:{mail}") as gate:
        fan.receipt("Shop", shop, "mail", {"effect": mail})
        gate.wait_reached()
        fan.server.kill_invocation(the_run(fan, "send_mail"))
        machine = when(fan, shop, error="killed: work 'send_mail' was killed.")

    assert machine["activities"] == []
    fan.settled()


def test_starting_undeclared_detached_work_fails_the_step(fan: Host) -> None:
    shop = fan.key("shop")
    fan.receipt("Shop", shop, "create")
    before = fan.stored("Shop", shop)

    answer = fan.post("Shop", shop, "misname", "send_mial")

    assert answer.status_code == 500
    assert answer.json()["metadata"]["type"] == "ActionError"
    assert "there is no work 'send_mial' to start." in answer.json()["message"]
    assert "Did you mean 'send_mail'?" in answer.json()["message"]
    assert fan.stored("Shop", shop) == before


def test_a_transitions_configuration_starts_detached_work_too(fan: Host) -> None:
    kiosk, mail = fan.key("kiosk"), fan.key("mail")

    fan.receipt("Kiosk", kiosk, "mail", {"effect": mail})

    wait_until(lambda: fan.snapshot("Kiosk", kiosk)["data"]["sent"] == f"done {mail}", what="the outcome")


@pytest.mark.parametrize("victim", ["service", "server", "both"])
@pytest.mark.parametrize("server", ["fan_awake", "fan_replaying"])
def test_kills_lose_no_detached_work(
    server: str, victim: str, request: pytest.FixtureRequest, dice: random.Random
) -> None:
    host: Host = request.getfixturevalue(server)
    shop, mail = host.key("shop"), host.key("mail")

    with host.effects.hold(f"{dice.choice(('before', 'after'))}:{mail}") as gate:
        host.receipt("Shop", shop, "mail", {"effect": mail})
        gate.wait_reached()
        if victim != "server":
            host.served.kill()
        if victim != "service":
            host.server.kill()
            host.server.start()
        if victim != "server":
            host.served.restart()

    machine = when(host, shop, result=[f"done {mail}"])
    assert set(keys_of(host, mail)) == {f"Shop/{shop}/{machine['life']}/send_mail/2.1"}
    host.settled()
