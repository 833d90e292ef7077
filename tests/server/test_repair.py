"""Repairs by an operator: they need a reason, are in the history, and are as durable as an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

WHY = "the bank is back"


def repair(host: Host, chart: str, key: str, **what: object) -> httpx.Response:
    return host.post(chart, key, "repair", {"reason": WHY, **what})


def failed(host: Host) -> str:
    """A machine that has failed with its activity."""
    work = host.key("work")
    host.effects.fail_next(work, times=3)
    host.receipt("Workshop", work, "try_careless", {"effect": work})
    wait_until(lambda: host.snapshot("Workshop", work)["status"] == "failed", what="the machine to fail")
    return work


def last(host: Host, chart: str, key: str) -> dict[str, Any]:
    entries: list[dict[str, Any]] = host.receipt(chart, key, "history", {"last": 5})["entries"]
    return next(entry for entry in reversed(entries) if entry["event"] == "repair")


def test_a_failed_activity_runs_again_under_its_stable_id(host: Host) -> None:
    work = failed(host)

    answer = repair(host, "Workshop", work, retry="careless").json()

    assert (answer["outcome"], answer["status"]) == ("repaired", "running")
    wait_until(lambda: host.effects.entries(work), what="the effect")
    life = host.snapshot("Workshop", work)["life"]
    assert [entry.key for entry in host.effects.entries(work)] == [f"Workshop/{work}/{life}/careless/2"]
    wait_until(lambda: host.snapshot("Workshop", work)["activities"] == [], what="the outcome")
    assert last(host, "Workshop", work)["note"] == {"retry": "careless", "reason": WHY}


def test_an_operator_gives_the_result_of_a_failed_activity(host: Host) -> None:
    work = failed(host)

    answer = repair(host, "Workshop", work, skip="careless", result="cash").json()

    assert (answer["configuration"], answer["status"]) == (["careless"], "running")
    assert host.snapshot("Workshop", work)["activities"] == []
    assert not host.effects.entries(work)


def test_an_operator_restarts_an_activity_that_is_stuck(host: Host) -> None:
    order = host.key("order")
    with host.effects.hold(f"before:{order}", times=2) as gate:  # the new run must not end before it is looked at
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()
        [before] = host.snapshot("Order", order)["activities"]

        assert repair(host, "Order", order, retry="charging").status_code == 200
        [again] = host.snapshot("Order", order)["activities"]

        assert (again["entry"], again["token"] != before["token"]) == (before["entry"], True)
    host.wait_in("Order", order, "paid")
    assert {entry.key.rpartition("/")[2] for entry in host.effects.entries(order)} == {"2"}


def test_an_operator_moves_a_machine_to_another_state(host: Host) -> None:
    order = host.key("order")
    with host.effects.hold(f"before:{order}") as gate:
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()

        assert repair(host, "Order", order, move="cart").json()["configuration"] == ["cart"]

        assert host.snapshot("Order", order)["activities"] == []
    host.settled()
    assert host.scheduled("Order", order) == []
    assert last(host, "Order", order)["steps"][0]["entered"] == ["cart"]


def test_a_repair_survives_a_crash(host: Host) -> None:
    ticket = host.key("ticket")
    host.receipt("Ticket", ticket, "buy")
    host.receipt("Ticket", ticket, "use")

    assert repair(host, "Ticket", ticket, move=["sold"]).json()["status"] == "running"
    host.served.restart()

    assert host.receipt("Ticket", ticket, "use")["status"] == "done"


def test_an_operator_retries_parked_deliveries_at_once(host: Host) -> None:
    work = host.key("work")
    with host.effects.hold(f"before:{work}") as gate:
        host.receipt("Fragile", work, "begin", {"effect": work})
        gate.wait_reached()
        with host.deployed(CHARTS_BROKEN="raises", DURABLE_FSM_PARK_FIRST_SECONDS="600"):
            gate.open()
            wait_until(lambda: host.snapshot("Fragile", work)["parked"], what="the outcome to be parked")
            still = repair(host, "Fragile", work, resend=True)
            assert (still.json()["outcome"], host.snapshot("Fragile", work)["configuration"]) == ("parked", ["working"])
    host.served.restart(env={"DURABLE_FSM_PARK_FIRST_SECONDS": "0.3"})

    assert repair(host, "Fragile", work, resend=True).json()["configuration"] == ["done"]

    machine = host.snapshot("Fragile", work)
    assert (machine["data"]["rounds"], machine["parked"]) == (1, [])
    for row in host.invocations("Fragile", work, target_handler_name="_parked", status="scheduled"):
        host.server.kill_invocation(row["id"])


def test_an_operator_moves_and_fires_a_pending_timer(host: Host) -> None:
    work = host.key("work")
    host.receipt("Fragile", work, "wait")

    later = repair(host, "Fragile", work, timer="finish", after="1h").json()
    [timer] = host.snapshot("Fragile", work)["timers"]
    host.settled()
    assert (later["outcome"], timer["event"], timer["after_ms"]) == ("repaired", "finish", 3_600_000)
    assert host.snapshot("Fragile", work)["configuration"] == ["waiting"]

    assert repair(host, "Fragile", work, timer="finish", after=0.2).status_code == 200
    host.served.kill()
    host.served.restart()
    host.wait_in("Fragile", work, "done")
    assert last(host, "Fragile", work)["note"] == {"timer": "finish", "after": "0:00:00.200000", "reason": WHY}

    other = host.key("work")
    host.receipt("Fragile", other, "wait")
    assert repair(host, "Fragile", other, timer="finish").json()["configuration"] == ["done"]
    assert host.snapshot("Fragile", other)["data"]["rounds"] == 1


@pytest.mark.parametrize(
    ("what", "status", "problem"),
    [
        pytest.param({"retry": "pack"}, 409, "activity 'pack' neither runs nor has failed", id="retry"),
        pytest.param({"skip": "pack"}, 409, "activity 'pack' neither runs nor has failed", id="skip"),
        pytest.param({"move": "nowhere"}, 409, "there is no state 'nowhere'", id="move"),
        pytest.param({"move": ["sold", "used"]}, 409, "cannot be active together", id="move apart"),
        pytest.param({"resend": True}, 409, "nothing is parked", id="resend"),
        pytest.param({"timer": "expire"}, 409, "no timer 'expire' is pending", id="timer"),
        pytest.param({"timer": "expire", "after": "soon"}, 400, "'soon' is not a duration", id="no duration"),
        pytest.param(
            {"timer": "expire", "after": "40000d"}, 400, "'after' must be between 0 and 36,525 days", id="long"
        ),
        pytest.param({"move": "sold", "after": "1s"}, 400, "expected", id="stray time"),
        pytest.param({}, 400, "expected", id="nothing"),
        pytest.param({"retry": "a", "skip": "b"}, 400, "expected", id="two"),
        pytest.param({"retry": "a", "result": 1}, 400, "expected", id="result"),
        pytest.param({"move": []}, 400, "expected", id="empty"),
        pytest.param({"resend": "yes"}, 400, "expected", id="not true"),
        pytest.param({"move": "sold", "reason": " "}, 400, "needs a reason", id="no reason"),
    ],
)
def test_an_impossible_repair_is_refused_with_the_reason(
    awake: Host, what: dict[str, object], status: int, problem: str
) -> None:
    ticket = awake.key("ticket")
    awake.receipt("Ticket", ticket, "create")
    before = awake.stored("Ticket", ticket)

    answer = repair(awake, "Ticket", ticket, **what)

    assert answer.status_code == status
    assert problem in answer.json()["message"]
    assert awake.stored("Ticket", ticket) == before


def test_a_machine_that_does_not_exist_cannot_be_repaired(awake: Host) -> None:
    assert repair(awake, "Ticket", awake.key("ticket"), move="sold").status_code == 404
