"""Activities: counted by the effect log outside, stopped with their state, retried, and never without an outcome."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import AdminError, wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


# ── in the background ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_result_of_an_activity_reaches_its_chart(host: Host) -> None:
    order = host.key("order")

    host.receipt("Order", order, "checkout", {"effect": order})

    machine = host.wait_in("Order", order, "paid")
    assert machine["data"]["result"] == f"done {order}"
    assert machine["activities"] == machine["timers"] == []
    assert host.effects_of(order) == [f"Order/{order}/{machine['life']}/charging/2"]
    wait_until(lambda: not host.scheduled("Order", order), what="the deadline's end")


def test_a_machine_answers_while_its_activity_runs(host: Host) -> None:
    order = host.key("order")

    with host.effects.hold(f"before:{order}") as gate:
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()
        noted = host.receipt("Order", order, "note")

        assert noted["configuration"] == ["charging"]
        assert [running["id"] for running in host.snapshot("Order", order)["activities"]] == ["charging"]
    host.wait_in("Order", order, "paid")


def test_an_activity_is_stopped_when_its_state_is_left(awake: Host) -> None:
    host, order = awake, awake.key("order")

    with host.effects.hold(f"before:{order}") as gate:
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()
        [job] = host.jobs("Order", order)
        host.receipt("Order", order, "back")
        wait_until(lambda: host.server.status(job["id"]) == "completed", what="the end of the work")

    host.settled()
    assert host.snapshot("Order", order)["configuration"] == ["cart"]
    assert host.effects_of(order) == []
    assert host.scheduled("Order", order) == []


def test_an_activity_is_stopped_when_its_machine_ends(awake: Host) -> None:
    host, order = awake, awake.key("order")

    with host.effects.hold(f"before:{order}") as gate:
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()
        [job] = host.jobs("Order", order)
        assert host.receipt("Order", order, "cancel_order")["status"] == "done"
        wait_until(lambda: host.server.status(job["id"]) == "completed", what="the end of the work")

    assert host.effects_of(order) == []


def test_entering_a_state_again_starts_its_activity_anew_under_another_stable_id(host: Host) -> None:
    order = host.key("order")

    with host.effects.hold(f"before:{order}") as gate:
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()
        host.receipt("Order", order, "charge_again")
        machine = host.wait_in("Order", order, "paid")

    assert host.effects_of(order) == [f"Order/{order}/{machine['life']}/charging/3"]
    assert machine["data"]["result"] == f"done {order}"


def test_the_ids_that_a_machine_keeps_are_those_of_its_invocations(host: Host) -> None:
    for key in (host.key("order"), host.key("order")):  # at the latest, the second ids are foretold
        with host.effects.hold(f"after:{key}-thread") as gate:
            host.receipt("Workshop", key, "try_threaded", {"effect": f"{key}-thread"})
            gate.wait_reached()
            kept = json.loads(host.stored("Workshop", key)["handles"])
            [job] = host.jobs("Workshop", key)
            [deadline] = host.server.query(
                f"SELECT id FROM sys_invocation WHERE target = 'Workshop/{key}/_deliver' AND status = 'scheduled'"
            )
        host.wait_in("Workshop", key, "finished")

        assert sorted(kept.values()) == sorted([job["id"], deadline["id"]])


def test_an_outcome_of_an_earlier_life_of_the_key_changes_nothing(host: Host) -> None:
    order, again = host.key("order"), host.key("effect")

    with host.effects.hold(f"after:{order}-thread") as gate:
        host.receipt("Workshop", order, "try_threaded", {"effect": f"{order}-thread"})
        gate.wait_reached()  # a plain function in its thread cannot be stopped: its outcome will come
        life = host.snapshot("Workshop", order)["life"]
        [job] = host.jobs("Workshop", order)
        host.receipt("Workshop", order, "delete")
        host.receipt("Workshop", order, "try_threaded", {"effect": again})
        host.wait_in("Workshop", order, "finished")
        before = host.stored("Workshop", order)
    wait_until(lambda: host.server.status(job["id"]) == "completed", what="the end of the old work")
    host.settled()

    assert host.stored("Workshop", order) == before
    assert host.snapshot("Workshop", order)["life"] != life
    assert len(host.effects_of(again)) == 1


def test_an_activity_that_exceeds_its_deadline_is_stopped_and_has_failed(host: Host) -> None:
    began = time.monotonic()
    order = begun_before_its_deadline(host)
    machine = host.wait_in("Workshop", order, "finished")

    assert time.monotonic() - began >= 0.4
    assert machine["data"]["error"].startswith("deadline: activity 'late' did not end within 0:00:00.4")
    [job] = host.jobs("Workshop", order)
    wait_until(lambda: host.server.status(job["id"]) == "completed", what="the end of the work")
    assert len(host.effects_of(order)) == 1


def begun_before_its_deadline(host: Host) -> str:
    """A machine whose work has begun; where the computer is busy, the deadline may come first, so it is tried again."""
    while True:
        order = host.key("late")
        host.receipt("Workshop", order, "try_late", {"effect": order})
        wait_until(
            lambda order=order: (
                host.effects_of(order) or "finished" in host.snapshot("Workshop", order)["configuration"]
            ),
            what="the work, or its deadline",
        )
        if host.effects_of(order):
            return order


def test_an_activity_whose_invocation_is_killed_fails_at_its_deadline(host: Host) -> None:
    order = killed_before_its_deadline(host)

    assert host.wait_in("Workshop", order, "finished")["data"]["error"].startswith("deadline:")


def killed_before_its_deadline(host: Host) -> str:
    """A machine whose work was killed; where the machine is busy, the deadline may come first, so it is tried again."""
    while True:
        order = host.key("late")
        host.receipt("Workshop", order, "try_late", {"effect": order})
        [job] = wait_until(lambda order=order: host.jobs("Workshop", order), what="the work to begin")
        with contextlib.suppress(AdminError):
            host.server.kill_invocation(job["id"])
            return order


# ── retries ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failing_activity_is_tried_as_often_as_its_retry_says(host: Host) -> None:
    order = host.key("order")
    host.effects.fail_next(order, times=100)

    host.receipt("Order", order, "checkout", {"effect": order})

    machine = host.wait_in("Order", order, "on_hold")
    assert machine["data"]["error"].startswith("EffectRefused: ")
    assert host.effects.arrived(order) == 3


def test_an_activity_that_fails_twice_and_then_succeeds_has_succeeded(host: Host) -> None:
    order = host.key("order")
    host.effects.fail_next(order, times=2)

    host.receipt("Order", order, "checkout", {"effect": order})

    host.wait_in("Order", order, "paid")
    assert host.effects.arrived(order) == 3
    assert len(host.effects_of(order)) == 1


def test_an_outage_between_attempts_does_not_count_as_an_attempt(host: Host) -> None:
    """A platform's own counter would use up three attempts during this outage, and the work would never run again."""
    work = host.key("work")
    host.effects.fail_next(work, times=100)
    host.receipt("Workshop", work, "try_patient", {"effect": work})
    [job] = wait_until(lambda: host.jobs("Workshop", work), what="the work to begin")
    tried = f"SELECT id FROM sys_invocation WHERE id = '{job['id']}' AND retry_count > 3"
    wait_until(lambda: "Sleep" in host.journal(job["id"]), what="the first attempt to have failed")

    host.served.kill()
    wait_until(lambda: host.server.query(tried), what="Restate to try more often than the activity may")
    host.served.restart()

    machine = host.wait_in("Workshop", work, "finished")
    assert machine["data"]["error"].startswith("EffectRefused: ")
    assert host.effects.arrived(work) == 3


def test_a_terminal_error_is_not_retried_and_keeps_code_and_metadata(host: Host) -> None:
    work = host.key("work")

    host.receipt("Workshop", work, "try_hopeless", {"effect": work})

    machine = host.wait_in("Workshop", work, "finished")
    assert machine["data"]["error"] == "TerminalError: this cannot work (418, {'reason': 'teapot'})"
    assert host.effects_of(work) == ["once"]


def test_a_completed_step_is_not_repeated_after_a_kill(host: Host) -> None:
    work = host.key("work")

    with host.effects.hold(f"before:{work}-second") as gate:
        host.receipt("Workshop", work, "try_stepping", {"effect": work})
        gate.wait_reached()
        host.served.kill()
    host.served.restart()

    machine = host.wait_in("Workshop", work, "finished")
    assert machine["data"]["result"] == f"done {work}-first, done {work}-second"
    assert len(host.effects_of(f"{work}-first")) == 1
    assert len(set(host.effects_of(f"{work}-second"))) == 1


def test_a_plain_function_runs_in_a_thread(host: Host) -> None:
    work = host.key("work")

    host.receipt("Workshop", work, "try_threaded", {"effect": work})

    host.wait_in("Workshop", work, "finished")
    assert host.effects_of(work) == ["thread"]


def test_a_result_may_be_zero(host: Host) -> None:
    work = host.key("work")

    host.receipt("Workshop", work, "try_counting", {"effect": work})

    assert host.wait_in("Workshop", work, "finished")["data"]["result"] == "0"


@pytest.mark.parametrize("kind", ["speechless", "failing_badly", "wordless"])
def test_a_result_that_cannot_be_encoded_is_an_error_and_not_retried_for_ever(host: Host, kind: str) -> None:
    work = host.key(kind)

    host.receipt("Workshop", work, f"try_{kind}", {"effect": work})

    assert "Error" in host.wait_in("Workshop", work, "finished")["data"]["error"] or kind == "wordless"
    host.settled()


def test_an_outcome_without_a_transition_is_recorded_and_changes_nothing_else(host: Host) -> None:
    work = host.key("work")
    host.receipt("Workshop", work, "try_careless", {"effect": work})

    machine = wait_until(lambda: _without_activities(host, work), what="the outcome")

    assert (machine["configuration"], machine["status"], machine["seq"]) == (["careless"], "running", 3)


def test_an_error_without_a_transition_fails_the_machine_visibly(host: Host) -> None:
    work = host.key("work")
    host.effects.fail_next(work, times=100)
    host.receipt("Workshop", work, "try_careless", {"effect": work})

    machine = wait_until(lambda: _failed(host, work), what="the outcome")

    assert machine["configuration"] == ["careless"]
    assert [running["failed"] for running in machine["activities"]] == [True]
    assert machine["failure"]["type"] == "EffectRefused"
    assert machine["data"]["effect"] == work
    assert host.post("Workshop", work, "leave").status_code == 409


def _failed(host: Host, key: str) -> dict[str, Any]:
    machine = host.snapshot("Workshop", key)
    return machine if machine["status"] == "failed" else {}


def _without_activities(host: Host, key: str) -> dict[str, Any]:
    machine = host.snapshot("Workshop", key)
    return {} if machine["activities"] else machine


# ── exclusive ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_during_an_exclusive_activity_waits_and_is_taken_afterwards(host: Host) -> None:
    door = host.key("door")

    with host.effects.hold(f"before:{door}") as gate:
        pushed = host.server.send("Door", door, "push", {"effect": door})
        gate.wait_reached()
        walked = host.server.send("Door", door, "walk_through")
        wait_until(lambda: host.server.status(walked) == "pending", what="the second event to wait")
        meanwhile = host.snapshot("Door", door)
        assert meanwhile["configuration"] == ["opening"]
        assert [running["id"] for running in meanwhile["activities"]] == ["opening"]

    assert host.server.output(pushed)["configuration"] == ["opened"]
    assert host.server.output(walked)["reply"] == "through"
    assert len(host.effects_of(door)) == 1
    host.settled()


def test_an_exclusive_activity_finishes_after_the_service_was_killed(host: Host) -> None:
    door = host.key("door")

    with host.effects.hold(f"before:{door}") as gate:
        pushed = host.server.send("Door", door, "push", {"effect": door})
        gate.wait_reached()
        host.served.kill()
    host.served.restart()

    assert host.server.output(pushed)["configuration"] == ["opened"]
    assert host.snapshot("Door", door)["data"]["rounds"] == 1


def test_an_exclusive_activity_without_attempts_left_has_failed(host: Host) -> None:
    door = host.key("door")
    host.effects.fail_next(door, times=100)

    assert host.receipt("Door", door, "push", {"effect": door})["configuration"] == ["stuck"]

    assert host.snapshot("Door", door)["data"]["error"].startswith("EffectRefused: ")
    assert host.effects.arrived(door) == 3


@pytest.mark.parametrize("how", ["kill", "cancel"])
def test_an_exclusive_activity_whose_invocation_is_ended_has_failed(awake: Host, how: str) -> None:
    host, door = awake, awake.key("door")

    with host.effects.hold(f"before:{door}") as gate:
        pushed = host.server.send("Door", door, "push", {"effect": door})
        gate.wait_reached()
        [job] = host.jobs("Door", door, "running", "suspended", "ready", "backing-off")
        (host.server.kill_invocation if how == "kill" else host.server.cancel)(job["id"])

        assert host.server.output(pushed)["configuration"] == ["stuck"]
    expected = {"kill": "killed: activity 'opening' was killed.", "cancel": "cancelled: the activity was cancelled."}
    assert host.snapshot("Door", door)["data"]["error"] == expected[how]
    assert host.receipt("Door", door, "push", {"effect": host.key("door")})["configuration"] == ["opened"]


def test_cancelling_the_machine_fails_its_exclusive_activity_and_answers_the_event(awake: Host) -> None:
    host, door = awake, awake.key("door")

    with host.effects.hold(f"before:{door}") as gate:
        pushed = host.server.send("Door", door, "push", {"effect": door})
        gate.wait_reached()
        host.server.cancel(pushed)

        assert host.server.output(pushed)["configuration"] == ["stuck"]
    assert host.snapshot("Door", door)["data"]["error"] == "cancelled: activity 'opening' was cancelled."
    host.settled()


def test_killing_the_machine_loses_its_exclusive_activity_and_the_next_event_finds_that(host: Host) -> None:
    door = host.key("door")

    with host.effects.hold(f"before:{door}") as gate:
        pushed = host.server.send("Door", door, "push", {"effect": door})
        gate.wait_reached()
        host.server.kill_invocation(pushed)
        wait_until(lambda: host.server.status(pushed) == "completed", what="the end of the turn")

    assert host.receipt("Door", door, "push", {"effect": host.key("door")})["configuration"] == ["opened"]
    machine = host.snapshot("Door", door)
    assert machine["data"]["error"].startswith("lost: activity 'opening' was interrupted")
    assert machine["data"]["rounds"] == 2
    host.settled()


def test_a_lost_activity_stays_settled_even_if_the_event_that_finds_it_is_refused(host: Host) -> None:
    door = host.key("door")

    with host.effects.hold(f"before:{door}") as gate:
        pushed = host.server.send("Door", door, "push", {"effect": door})
        gate.wait_reached()
        host.server.kill_invocation(pushed)
        refused = host.post("Door", door, "close")

    assert refused.status_code == 409
    assert json.loads(refused.json()["metadata"]["configuration"]) == ["stuck"]
    assert host.snapshot("Door", door)["configuration"] == ["stuck"]


def test_timers_killed_with_a_turn_are_armed_again_by_the_next_turn(host: Host) -> None:
    vault = host.key("vault")

    with host.effects.hold(f"before:{vault}") as gate:
        pushed = host.server.send("Vault", vault, "push", {"effect": vault})
        gate.wait_reached()
        host.server.kill_invocation(pushed)
        wait_until(lambda: not host.scheduled("Vault", vault), what="the end of the turn and its timer")
        killed = {row["id"] for row in host.invocations("Vault", vault, target_handler_name="_deliver")}
        host.receipt("Vault", vault, "knock")

    host.wait_in("Vault", vault, "outside")
    delivered = host.invocations("Vault", vault, target_handler_name="_deliver")
    assert len([row for row in delivered if row["id"] not in killed]) == 1


def test_an_exclusive_activity_does_not_disturb_the_timer_of_its_state(host: Host) -> None:
    vault = host.key("vault")

    receipt = host.receipt("Vault", vault, "push", {"effect": vault})

    assert receipt["configuration"] == ["trying", "opened"]
    host.wait_in("Vault", vault, "outside")
    assert [row["status"] for row in host.invocations("Vault", vault, target_handler_name="_deliver")] == ["completed"]


def test_many_concurrent_pushes_open_the_door_once(host: Host) -> None:
    door = host.key("door")

    answers = host.together([("Door", door, "push", {"effect": door})] * 10)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 9}
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert json.loads(refused["metadata"]["configuration"]) == ["opened"]
    assert len(host.effects_of(door)) == 1
