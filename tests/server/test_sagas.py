"""Sagas on a real server: what was done is undone from the end, whatever dies meanwhile, and nothing else is."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

PATIENCE = timedelta(seconds=60)
STEPS = ("flight", "car", "payment")
REFUSED = 402


def book(host: Host, chart: str = "Booking", event: str = "book") -> str:
    trip = host.key("trip")
    host.server.send(chart, trip, event, {"effect": trip})
    return trip


def refuse(host: Host, trip: str, step: str) -> None:
    """Let a step of a trip that is not booked yet fail for good."""
    host.effects.fail_next(f"{trip}-{step}", status=REFUSED)


def keys_of(host: Host, name: str) -> list[str]:
    return [entry.key for entry in host.effects.entries(name)]


def order_of(host: Host, trip: str) -> list[str]:
    """What was done for a trip, in order: `["flight", "car", "flight-undo"]`."""
    wanted = {f"{trip}-{step}{undo}" for step in STEPS for undo in ("", "-undo")}
    return [entry.name.removeprefix(f"{trip}-") for entry in host.effects.entries() if entry.name in wanted]


def booked_and_refused(host: Host, chart: str = "Booking", step: str = "payment") -> tuple[str, dict[str, Any]]:
    """A trip of which one step is refused."""
    trip = host.key("trip")
    refuse(host, trip, step)
    host.server.send(chart, trip, "book", {"effect": trip})
    return trip, host.wait_in(chart, trip, "failed", PATIENCE)


# ── what is undone ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chart", ["Booking", "Hurried"])
def test_what_was_done_is_undone_in_reverse_order(sagas: Host, chart: str) -> None:
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


def test_only_what_was_done_is_undone(sagas: Host) -> None:
    trip, machine = booked_and_refused(sagas, step="car")

    assert order_of(sagas, trip) == ["flight", "flight-undo"]
    assert machine["data"]["undone"] == ["flight"]


def test_what_was_done_can_be_seen(sagas_awake: Host) -> None:
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


def test_what_fails_for_a_while_is_tried_again_and_nothing_is_undone(sagas: Host) -> None:
    trip = sagas.key("trip")
    for step in STEPS:
        sagas.effects.fail_next(f"{trip}-{step}", times=2)

    sagas.server.send("Booking", trip, "book", {"effect": trip})

    sagas.wait_in("Booking", trip, "booked")
    assert order_of(sagas, trip) == ["flight", "car", "payment"]
    assert [sagas.effects.arrived(f"{trip}-{step}") for step in STEPS] == [3, 3, 3]


def test_what_is_registered_first_is_undone_although_its_answer_was_lost(sagas: Host) -> None:
    trip = sagas.key("trip")

    with sagas.effects.hold(f"after:{trip}-payment") as gate:
        sagas.server.send("Booking", trip, "book", {"effect": trip})
        gate.wait_reached()  # paid, and nobody knows
        sagas.effects.fail_next(f"{trip}-payment", status=REFUSED)
        sagas.served.kill()
        sagas.served.restart()
        sagas.wait_in("Booking", trip, "failed", PATIENCE)

    assert order_of(sagas, trip) == [*STEPS, "payment-undo", "car-undo", "flight-undo"]
    assert keys_of(sagas, f"{trip}-payment-undo") == keys_of(sagas, f"{trip}-payment")


def test_both_front_ends_undo(sagas: Host) -> None:
    parcel = sagas.key("parcel")
    sagas.receipt("Consignment", parcel, "send_off", {"effect": parcel})
    sagas.wait_in("Consignment", parcel, "sent")

    sagas.receipt("Consignment", parcel, "regret")

    machine = sagas.wait_in("Consignment", parcel, "back")
    assert machine["data"]["undone"] == ["sending"]
    assert keys_of(sagas, f"{parcel}-parcel-undo") == keys_of(sagas, f"{parcel}-parcel")


# ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("succeeds", [True, False])
def test_what_ends_after_it_was_stopped_is_undone_if_it_was_done(sagas: Host, succeeds: bool) -> None:
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


def test_what_has_ended_before_it_was_stopped_is_undone(sagas_awake: Host) -> None:
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


def test_what_an_operator_kills_is_not_waited_for_beyond_its_deadline(sagas: Host) -> None:
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
def test_cancelled_work_that_was_done_nonetheless_counts_as_done(sagas: Host, by: str) -> None:
    trip = sagas.key("trip")
    refuse(sagas, trip, "payment")
    with sagas.effects.hold(f"after:{trip}-flight") as gate:
        sagas.server.send("Hurried", trip, "book", {"effect": trip})
        gate.wait_reached()
        if by == "handler":
            sagas.receipt("Hurried", trip, "cancel")
        else:
            [turn] = [row for row in sagas.invocations("Hurried", trip) if row["status"] in ("running", "suspended")]
            sagas.client.patch(f"{sagas.server.admin_url}/invocations/{turn['id']}/cancel").raise_for_status()
        gate.open()

        machine = sagas.wait_in("Hurried", trip, "failed", PATIENCE)

    assert machine["data"]["undone"] == ["paying", "flight"]


# ── when an undo fails ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chart", ["Booking", "Hurried"])
def test_undoing_that_fails_half_way_goes_on_with_the_rest(sagas: Host, chart: str) -> None:
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


def test_an_undo_that_is_stopped_half_way_is_not_done_twice(sagas: Host) -> None:
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


def test_what_was_done_by_one_build_is_undone_by_the_next(sagas_awake: Host) -> None:
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


# ── deleting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_machine_that_has_done_something_is_not_deleted(sagas: Host) -> None:
    trip = book(sagas)
    sagas.wait_in("Booking", trip, "booked")

    answer = sagas.post("Booking", trip, "delete")

    assert answer.status_code == 409
    assert answer.json()["metadata"]["type"] == "NotUndone"
    assert answer.json()["message"] == (
        f"Booking/{trip}: 'flight', 'car', 'paying' are done and not undone."
        ' Delete it with {"compensate": true} to undo that first, or with {"abandon": true} to leave it behind.'
    )
    assert sagas.snapshot("Booking", trip)["configuration"] == ["booked"]


def test_a_machine_that_may_do_something_is_not_deleted(sagas_awake: Host) -> None:
    trip = sagas_awake.key("trip")
    with sagas_awake.effects.hold(f"before:{trip}-flight") as gate:
        sagas_awake.server.send("Booking", trip, "book", {"effect": trip})
        gate.wait_reached()

        running = sagas_awake.post("Booking", trip, "delete")
        sagas_awake.receipt("Booking", trip, "keep")
        stopping = sagas_awake.post("Booking", trip, "delete")

    for answer in (running, stopping):
        assert answer.status_code == 409
        assert "'flight' is not over, and may be done nonetheless." in answer.json()["message"]


def test_a_machine_is_undone_and_deleted_and_its_key_is_free(sagas: Host) -> None:
    trip = book(sagas)
    sagas.wait_in("Booking", trip, "booked")

    receipt = sagas.receipt("Booking", trip, "delete", {"compensate": True})

    assert (receipt["outcome"], receipt["reply"]) == ("deleted", ["paying", "car", "flight"])
    assert order_of(sagas, trip) == [*STEPS, "payment-undo", "car-undo", "flight-undo"]
    assert sagas.stored("Booking", trip) == {}
    sagas.receipt("Booking", trip, "book", {"effect": trip})
    machine = sagas.wait_in("Booking", trip, "booked")
    assert [done["id"] for done in machine["undo"]] == ["flight", "car", "paying"]
    sagas.settled()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_work_under_way_is_stopped_and_undone_before_its_machine_is_deleted(sagas: Host, moment: str) -> None:
    trip = sagas.key("trip")
    with sagas.effects.hold(f"{moment}:{trip}-car") as gate:
        sagas.server.send("Booking", trip, "book", {"effect": trip})
        gate.wait_reached()

        sagas.server.send("Booking", trip, "delete", {"compensate": True})
        wait_until(lambda: sagas.snapshot("Booking", trip)["stopping"], what="the car to be stopping")
        gate.open()
        wait_until(lambda: not sagas.snapshot("Booking", trip), PATIENCE, "the machine to be gone")

    assert order_of(sagas, trip) == ["flight", "car", "car-undo", "flight-undo"]
    sagas.settled()
    assert sagas.stored("Booking", trip) == {}


def test_a_machine_that_cannot_be_undone_stays_and_may_be_abandoned(sagas: Host) -> None:
    trip = book(sagas)
    sagas.wait_in("Booking", trip, "booked")
    sagas.effects.fail_next(f"{trip}-car-undo", times=6)

    for undone in (["payment-undo"], ["payment-undo"]):
        answer = sagas.post("Booking", trip, "delete", {"compensate": True})
        assert answer.status_code == 409
        assert answer.json()["message"].startswith(
            f"Booking/{trip}: 'car' could not be undone: Effect '{trip}-car-undo' for "
        )
        assert order_of(sagas, trip) == [*STEPS, *undone]
    machine = sagas.snapshot("Booking", trip)
    assert (machine["status"], machine["failure"]["source"]) == ("failed", "car")
    assert [done["id"] for done in machine["undo"]] == ["flight", "car"]

    assert sagas.receipt("Booking", trip, "delete", {"abandon": True})["outcome"] == "deleted"
    assert order_of(sagas, trip) == [*STEPS, "payment-undo"]


def test_a_machine_that_has_ended_keeps_what_it_has_done_and_can_be_deleted_or_undone(sagas_awake: Host) -> None:
    kept, undone = book(sagas_awake), book(sagas_awake)
    for trip in (kept, undone):
        sagas_awake.wait_in("Booking", trip, "booked")
        sagas_awake.receipt("Booking", trip, "keep")
        machine = sagas_awake.snapshot("Booking", trip)
        assert (machine["status"], [done["id"] for done in machine["undo"]]) == ("done", ["flight", "car", "paying"])

    sagas_awake.receipt("Booking", kept, "delete")
    sagas_awake.receipt("Booking", undone, "delete", {"compensate": True})

    assert order_of(sagas_awake, kept) == [*STEPS]
    assert order_of(sagas_awake, undone) == [*STEPS, "payment-undo", "car-undo", "flight-undo"]


@pytest.mark.parametrize("body", [{"compensate": False}, {"abandon": True, "compensate": True}, [], "now"])
def test_what_deleting_shall_do_must_be_said_clearly(sagas_awake: Host, body: object) -> None:
    answer = sagas_awake.post("Booking", sagas_awake.key("trip"), "delete", body)

    assert answer.status_code == 400
    assert 'expected nothing, {"compensate": true} or {"abandon": true}.' in answer.json()["message"]


# ── ends that come from elsewhere ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_child_that_is_stopped_undoes_what_it_has_done_before_it_is_gone(sagas: Host, moment: str) -> None:
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
def test_a_run_that_is_cancelled_undoes_what_it_has_done(sagas: Host, mode: str) -> None:
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


def test_a_flow_that_fails_undoes_what_it_has_done(sagas: Host) -> None:
    trip = sagas.key("trip")
    refuse(sagas, trip, "car")

    answer = sagas.client.post(f"{sagas.server.ingress_url}/Tour.flow/run", json={"effect": trip})

    assert answer.is_error
    assert f"'{trip}-car' is refused" in answer.json()["message"]
    assert order_of(sagas, trip) == ["flight", "flight-undo"]


# ── kill -9 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("server", ["sagas_awake", "sagas_replaying"])
def test_kills_undo_everything_that_was_booked_as_often_as_it_was_booked(
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
