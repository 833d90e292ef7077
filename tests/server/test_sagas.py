"""Sagas on a real server: completed work is undone in reverse order despite kills, and nothing else is undone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import wait_until
from tests.server.trips import PATIENCE, REFUSED, STEPS, book, keys_of, order_of, refuse

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def booked_and_refused(host: Host, chart: str = "Booking", step: str = "payment") -> tuple[str, dict[str, Any]]:
    """A trip of which one step is refused."""
    trip = host.key("trip")
    refuse(host, trip, step)
    host.server.send(chart, trip, "book", {"effect": trip})
    return trip, host.wait_in(chart, trip, "failed", PATIENCE)


# ── what is undone ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chart", ["Booking", "Hurried"])
def test_completed_work_is_undone_in_reverse_order(sagas: Host, chart: str) -> None:
    trip, machine = booked_and_refused(sagas, chart)

    done = [step for step in STEPS if chart == "Booking" or step != "car"]
    undone = [f"{step}-undo" for step in reversed(done)]
    assert order_of(sagas, trip) == [*(step for step in done if step != "payment"), *undone]
    assert machine["data"]["undone"] == ["paying", "car", "flight"] if chart == "Booking" else ["paying", "flight"]
    assert machine["data"]["reason"] == f"'{trip}-payment' is refused"
    assert (machine["undo"], machine["stopping"], machine["activities"], machine["timers"]) == ([], [], [], [])
    for step in done[:-1]:
        assert keys_of(sagas, f"{trip}-{step}-undo") == keys_of(sagas, f"{trip}-{step}")
    [original] = keys_of(sagas, f"{trip}-payment-undo")
    assert original.rpartition("/")[0] == f"{chart}/{trip}/{machine['life']}/paying"
    entries = sagas.receipt(chart, trip, "history", {"limit": 100})["entries"]
    noted = [entry["note"]["undone"] for entry in entries if (entry.get("note") or {}).get("undone")]
    assert noted == machine["data"]["undone"]
    [own] = keys_of(sagas, f"{trip}-flight-undo-1")
    assert own == f"{chart}/{trip}/{machine['life']}/flight/2/undo"
    sagas.settled()


def test_only_completed_work_is_undone(sagas: Host) -> None:
    trip, machine = booked_and_refused(sagas, step="car")

    assert order_of(sagas, trip) == ["flight", "flight-undo"]
    assert machine["data"]["undone"] == ["flight"]


def test_a_snapshot_lists_the_work_that_can_be_undone(sagas_awake: Host) -> None:
    trip = book(sagas_awake)

    machine = sagas_awake.wait_in("Booking", trip, "booked")

    life = machine["life"]
    assert [{name: done.get(name) for name in ("id", "result", "stable_id")} for done in machine["undo"]] == [
        {
            "id": "flight",
            "result": f"{trip}-flight Booking/{trip}/{life}/flight/2",
            "stable_id": f"Booking/{trip}/{life}/flight/2",
        },
        {
            "id": "car",
            "result": {"booking": f"{trip}-car Booking/{trip}/{life}/car/3"},
            "stable_id": f"Booking/{trip}/{life}/car/3",
        },
        {"id": "paying", "result": None, "stable_id": f"Booking/{trip}/{life}/paying/4"},
    ]


def test_a_transient_error_is_retried_and_undoes_nothing(sagas: Host) -> None:
    trip = sagas.key("trip")
    for step in STEPS:
        sagas.effects.fail_next(f"{trip}-{step}", times=2)

    sagas.server.send("Booking", trip, "book", {"effect": trip})

    sagas.wait_in("Booking", trip, "booked")
    assert order_of(sagas, trip) == ["flight", "car", "payment"]
    assert [sagas.effects.arrived(f"{trip}-{step}") for step in STEPS] == [3, 3, 3]


def test_work_is_undone_although_its_answer_was_lost(sagas: Host) -> None:
    trip = sagas.key("trip")

    with sagas.effects.hold(f"after:{trip}-payment") as gate:
        sagas.server.send("Booking", trip, "book", {"effect": trip})
        gate.wait_reached()  # paid, but the answer is not stored yet
        sagas.effects.fail_next(f"{trip}-payment", status=REFUSED)
        sagas.served.kill()
        sagas.served.restart()
        sagas.wait_in("Booking", trip, "failed", PATIENCE)

    assert order_of(sagas, trip) == [*STEPS, "payment-undo", "car-undo", "flight-undo"]
    assert keys_of(sagas, f"{trip}-payment-undo") == keys_of(sagas, f"{trip}-payment")


def test_both_front_ends_can_undo(sagas: Host) -> None:
    parcel = sagas.key("parcel")
    sagas.receipt("Consignment", parcel, "send_off", {"effect": parcel})
    sagas.wait_in("Consignment", parcel, "sent")

    sagas.receipt("Consignment", parcel, "regret")

    machine = sagas.wait_in("Consignment", parcel, "back")
    assert machine["data"]["undone"] == ["sending"]
    assert keys_of(sagas, f"{parcel}-parcel-undo") == keys_of(sagas, f"{parcel}-parcel")


# ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("succeeds", [True, False])
def test_work_that_completes_after_it_was_stopped_is_undone(sagas: Host, succeeds: bool) -> None:
    trip = sagas.key("trip")
    with sagas.effects.hold(f"{'after' if succeeds else 'before'}:{trip}-flight") as gate:
        sagas.server.send("Booking", trip, "book", {"effect": trip})
        gate.wait_reached()

        receipt = sagas.receipt("Booking", trip, "call_off")
        assert receipt["configuration"] == ["undoing"]
        machine = sagas.snapshot("Booking", trip)
        assert [stopping["id"] for stopping in machine["stopping"]] == ["flight"]
        assert [(one["id"], one["waiting"]) for one in machine["activities"]] == [("undoing", True)]
        if not succeeds:
            sagas.effects.fail_next(f"{trip}-flight", status=REFUSED)
            sagas.served.kill()
            sagas.served.restart()

        gate.open()
        machine = sagas.wait_in("Booking", trip, "failed", PATIENCE)

    assert machine["data"]["undone"] == (["flight"] if succeeds else [])
    assert order_of(sagas, trip) == (["flight", "flight-undo"] if succeeds else [])
    sagas.settled()


def test_work_that_completed_before_it_was_stopped_is_undone(sagas_awake: Host) -> None:
    trip = book(sagas_awake)
    sagas_awake.wait_in("Booking", trip, "booked")

    sagas_awake.receipt("Booking", trip, "call_off")

    machine = sagas_awake.wait_in("Booking", trip, "failed")
    assert order_of(sagas_awake, trip) == [*STEPS, "payment-undo", "car-undo", "flight-undo"]
    assert machine["data"]["undone"] == ["paying", "car", "flight"]


def test_a_stopped_payment_is_refunded_however_it_ends(sagas: Host) -> None:
    trip = sagas.key("trip")
    with sagas.effects.hold(f"before:{trip}-payment") as gate:
        sagas.server.send("Booking", trip, "book", {"effect": trip})
        gate.wait_reached()

        sagas.receipt("Booking", trip, "call_off")
        gate.open()
        machine = sagas.wait_in("Booking", trip, "failed", PATIENCE)

    assert machine["data"]["undone"] == ["paying", "car", "flight"]
    assert order_of(sagas, trip)[-3:] == ["payment-undo", "car-undo", "flight-undo"]


def test_an_undo_does_not_wait_for_killed_work_beyond_its_deadline(sagas: Host) -> None:
    trip = sagas.key("trip")
    with sagas.effects.hold(f"before:{trip}-car") as gate:
        sagas.server.send("Hurried", trip, "drive", {"effect": trip})
        gate.wait_reached()
        sagas.receipt("Hurried", trip, "call_off")
        [job] = sagas.jobs("Hurried", trip, "running", "suspended", "backing-off")
        sagas.server.kill_invocation(job["id"])

        machine = sagas.wait_in("Hurried", trip, "failed")

    assert machine["data"]["undone"] == []
    assert [(stopping["id"], stopping["overdue"]) for stopping in machine["stopping"]] == [("car", True)]


@pytest.mark.parametrize(("chart", "step", "undone"), [("Hurried", "payment", ["paying", "flight"])])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_cancelled_work_is_undone(sagas: Host, chart: str, step: str, undone: list[str], moment: str) -> None:
    trip = sagas.key("trip")
    with sagas.effects.hold(f"{moment}:{trip}-{step}") as gate:
        sagas.server.send(chart, trip, "book", {"effect": trip})
        gate.wait_reached()

        assert sagas.receipt(chart, trip, "cancel") == {"cancelled": ["paying"]}
        machine = sagas.wait_in(chart, trip, "failed", PATIENCE)

    assert machine["data"]["undone"] == undone
    assert order_of(sagas, trip)[-2:] == ["payment-undo", "flight-undo"]


@pytest.mark.parametrize("by", ["handler", "platform"])
def test_cancelled_work_that_completed_nonetheless_counts_as_done(sagas: Host, by: str) -> None:
    trip = sagas.key("trip")
    refuse(sagas, trip, "payment")
    with sagas.effects.hold(f"after:{trip}-flight") as gate:
        sagas.server.send("Hurried", trip, "book", {"effect": trip})
        gate.wait_reached()
        if by == "handler":
            sagas.receipt("Hurried", trip, "cancel")
        else:
            known = ("running", "ready", "suspended")  # it may be about to go on when it is asked
            [turn] = [row for row in sagas.invocations("Hurried", trip) if row["status"] in known]
            sagas.client.patch(f"{sagas.server.admin_url}/invocations/{turn['id']}/cancel").raise_for_status()
        gate.open()

        machine = sagas.wait_in("Hurried", trip, "failed", PATIENCE)

    assert machine["data"]["undone"] == ["paying", "flight"]


# ── when an undo fails ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chart", ["Booking", "Hurried"])
def test_an_undo_that_fails_half_way_continues_with_the_rest(sagas: Host, chart: str) -> None:
    trip = sagas.key("trip")
    refuse(sagas, trip, "payment")
    sagas.effects.fail_next(f"{trip}-flight-undo", times=3)

    sagas.server.send(chart, trip, "book", {"effect": trip})
    machine = sagas.wait_in(chart, trip, "stuck", PATIENCE)
    undone = ["paying", "car"] if chart == "Booking" else ["paying"]
    assert machine["data"]["error"]["type"] == "EffectRefused"
    assert machine["data"]["error"]["metadata"] == {"undone": undone, "left": ["flight"]}
    assert [done["id"] for done in machine["undo"]] == ["flight"]
    sagas.receipt(chart, trip, "again")

    machine = sagas.wait_in(chart, trip, "failed", PATIENCE)
    assert machine["data"]["undone"] == ["flight"]
    assert [len(keys_of(sagas, f"{trip}-{step}-undo")) for step in STEPS] == [1, 1 if chart == "Booking" else 0, 1]
    assert sagas.effects.arrived(f"{trip}-flight-undo") == 4


def test_an_undo_stopped_half_way_is_not_repeated(sagas: Host) -> None:
    trip = sagas.key("trip")
    refuse(sagas, trip, "payment")
    with sagas.effects.hold(f"after:{trip}-car-undo") as gate:
        sagas.server.send("Booking", trip, "book", {"effect": trip})
        gate.wait_reached()

        sagas.receipt("Booking", trip, "pause")
        assert [stopping["id"] for stopping in sagas.snapshot("Booking", trip)["stopping"]] == ["undoing"]
        sagas.receipt("Booking", trip, "again")
        gate.open()
        machine = sagas.wait_in("Booking", trip, "failed", PATIENCE)

    assert machine["data"]["undone"] == ["flight"]
    assert [len(keys_of(sagas, f"{trip}-{step}-undo")) for step in STEPS] == [1, 1, 1]


def test_work_completed_by_one_build_is_undone_by_the_next(sagas_awake: Host) -> None:
    trip = book(sagas_awake)
    sagas_awake.wait_in("Booking", trip, "booked")

    sagas_awake.served.restart(env={"CHARTS_VERSION": "2"})
    try:
        sagas_awake.receipt("Booking", trip, "call_off")
        sagas_awake.wait_in("Booking", trip, "failed", PATIENCE)
    finally:
        sagas_awake.served.restart(env={"CHARTS_VERSION": "1"})

    assert len(keys_of(sagas_awake, f"{trip}-flight-undo-2")) == 1
    assert keys_of(sagas_awake, f"{trip}-flight-undo-1") == []


# ── ends that come from elsewhere ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_stopped_child_undoes_its_work_before_it_is_deleted(sagas: Host, moment: str) -> None:
    trip = sagas.key("trip")
    with sagas.effects.hold(f"{moment}:{trip}-car") as gate:
        sagas.receipt("Agency", trip, "create", {"effect": trip})
        gate.wait_reached()
        [child] = sagas.snapshot("Agency", trip)["machines"]

        assert sagas.receipt("Agency", trip, "call_off")["configuration"] == ["called_off"]
        wait_until(lambda: sagas.snapshot("Tour", child["key"])["stopping"], what="the car to be stopping")
        gate.open()
        wait_until(lambda: not sagas.snapshot("Tour", child["key"]), PATIENCE, "the child to be gone")

    assert order_of(sagas, trip) == ["flight", "car", "car-undo", "flight-undo"]
    sagas.settled()


@pytest.mark.parametrize("mode", ["workflow", "flow"])
def test_a_cancelled_run_undoes_its_work(sagas: Host, mode: str) -> None:
    trip = sagas.key("trip")
    with sagas.effects.hold(f"before:{trip}-car") as gate:
        run = sagas.server.send(f"Tour.{mode}", trip if mode == "workflow" else None, "run", {"effect": trip})
        gate.wait_reached()

        sagas.server.cancel(run)
        if mode == "flow":
            sagas.server.cancel(run)  # again, while it undoes
        gate.open()
        wait_until(lambda: f"{trip}-flight-undo" in [one.name for one in sagas.effects.entries()], PATIENCE)

    assert order_of(sagas, trip) == ["flight", "car", "car-undo", "flight-undo"]
    sagas.settled()


def test_a_failed_flow_undoes_its_work(sagas: Host) -> None:
    trip = sagas.key("trip")
    refuse(sagas, trip, "car")

    answer = sagas.client.post(f"{sagas.server.ingress_url}/Tour.flow/run", json={"effect": trip})

    assert answer.is_error
    assert f"'{trip}-car' is refused" in answer.json()["message"]
    assert order_of(sagas, trip) == ["flight", "flight-undo"]


# ── kill -9 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("server", ["sagas_awake", "sagas_replaying"])
def test_despite_kills_every_booking_is_undone_once(
    server: str, request: pytest.FixtureRequest, dice: random.Random, scale: int
) -> None:
    host: Host = request.getfixturevalue(server)
    points = [*STEPS, *(f"{step}-undo" for step in reversed(STEPS))]
    for _ in range(scale):
        trip = host.key("trip")
        struck = sorted(dice.sample(points, 2), key=points.index)
        gates = [host.effects.hold(f"{dice.choice(('before', 'after'))}:{trip}-{point}") for point in struck]
        victims = [dice.choice(["service", "server", "both"]) for _ in struck]
        print(f"{trip}: {[(gate.point, victim) for gate, victim in zip(gates, victims, strict=True)]}")
        if "payment" not in struck:
            refuse(host, trip, "payment")

        host.server.send("Booking", trip, "book", {"effect": trip})
        for point, gate, victim in zip(struck, gates, victims, strict=True):
            gate.wait_reached(timeout=PATIENCE)
            if point == "payment":
                refuse(host, trip, "payment")
            _kill(host, victim)
            gate.open()
        machine = host.wait_in("Booking", trip, "failed", PATIENCE)

        assert machine["data"]["undone"] == ["paying", "car", "flight"]
        for step in ("flight", "car"):
            assert set(keys_of(host, f"{trip}-{step}")) == set(keys_of(host, f"{trip}-{step}-undo"))
            assert len(set(keys_of(host, f"{trip}-{step}"))) == 1
        assert set(keys_of(host, f"{trip}-payment")) <= set(keys_of(host, f"{trip}-payment-undo"))
        assert len(set(keys_of(host, f"{trip}-payment-undo"))) == 1
        host.settled()


def _kill(host: Host, victim: str) -> None:
    if victim != "server":
        host.served.kill()
    if victim != "service":
        host.server.kill()
        host.server.start()
    if victim != "server":
        host.served.restart()
