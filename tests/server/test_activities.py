"""Work on the outside world: counted outside, stopped with its state, retried honestly, never waited for in vain."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

OUTAGE_SECONDS = 4


def effects_of(host: Host, name: str) -> list[str]:
    """Keys of the effects of this name, in order."""
    return [entry.key for entry in host.effects.entries(name)]


# ── in the background ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_result_of_an_activity_reaches_its_chart(host: Host) -> None:
    order = host.key("order")

    host.receipt("Order", order, "checkout", {"effect": order})

    machine = host.wait_in("Order", order, "paid")
    assert machine["data"]["result"] == f"done {order}"
    assert machine["activities"] == machine["timers"] == []
    assert effects_of(host, order) == [f"Order/{order}/{machine['life']}/charging/2"]
    wait_until(lambda: not host.scheduled("Order", order), what="the deadline's end")


def test_a_machine_answers_while_its_work_is_done_in_the_background(host: Host) -> None:
    order = host.key("order")

    with host.effects.hold(f"before:{order}") as gate:
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()
        noted = host.receipt("Order", order, "note")

        assert noted["configuration"] == ["charging"]
        assert [running["id"] for running in host.snapshot("Order", order)["activities"]] == ["charging"]
    host.wait_in("Order", order, "paid")


def test_work_is_stopped_when_its_state_is_left(awake: Host) -> None:
    host, order = awake, awake.key("order")

    with host.effects.hold(f"before:{order}") as gate:
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()
        [job] = host.jobs("Order", order)
        host.receipt("Order", order, "back")
        wait_until(lambda: host.server.status(job["id"]) == "completed", what="the end of the work")

    host.settled()
    assert host.snapshot("Order", order)["configuration"] == ["cart"]
    assert effects_of(host, order) == []
    assert host.scheduled("Order", order) == []


def test_work_is_stopped_by_the_end_of_its_machine(awake: Host) -> None:
    host, order = awake, awake.key("order")

    with host.effects.hold(f"before:{order}") as gate:
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()
        [job] = host.jobs("Order", order)
        assert host.receipt("Order", order, "cancel_order")["status"] == "done"
        wait_until(lambda: host.server.status(job["id"]) == "completed", what="the end of the work")

    assert effects_of(host, order) == []


def test_entering_a_state_again_begins_its_work_anew_under_another_stable_id(host: Host) -> None:
    order = host.key("order")

    with host.effects.hold(f"before:{order}") as gate:
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()
        host.receipt("Order", order, "charge_again")
        machine = host.wait_in("Order", order, "paid")

    assert effects_of(host, order) == [f"Order/{order}/{machine['life']}/charging/3"]
    assert machine["data"]["result"] == f"done {order}"


def test_an_outcome_of_a_former_life_touches_nothing(host: Host) -> None:
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
    assert len(effects_of(host, again)) == 1


def test_work_that_outlasts_its_deadline_is_stopped_and_has_failed(host: Host) -> None:
    order = host.key("late")

    began = time.monotonic()
    host.receipt("Workshop", order, "try_late", {"effect": order})
    machine = host.wait_in("Workshop", order, "finished")

    assert time.monotonic() - began >= 0.4
    assert machine["data"]["error"].startswith("deadline: activity 'late' was not over after 0:00:00.4")
    [job] = host.jobs("Workshop", order)
    wait_until(lambda: host.server.status(job["id"]) == "completed", what="the end of the work")
    assert len(effects_of(host, order)) == 1


def test_work_whose_invocation_is_killed_ends_with_its_deadline(host: Host) -> None:
    order = host.key("late")
    host.receipt("Workshop", order, "try_late", {"effect": order})
    [job] = wait_until(lambda: host.jobs("Workshop", order), what="the work to begin")

    host.server.kill_invocation(job["id"])

    assert host.wait_in("Workshop", order, "finished")["data"]["error"].startswith("deadline:")


# ── retries ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_failed_work_is_tried_as_often_as_its_author_said(host: Host) -> None:
    order = host.key("order")
    host.effects.fail_next(order, times=100)

    host.receipt("Order", order, "checkout", {"effect": order})

    machine = host.wait_in("Order", order, "on_hold")
    assert machine["data"]["error"].startswith("EffectRefused: ")
    assert host.effects.arrived(order) == 3


def test_work_that_fails_twice_and_succeeds_has_succeeded(host: Host) -> None:
    order = host.key("order")
    host.effects.fail_next(order, times=2)

    host.receipt("Order", order, "checkout", {"effect": order})

    host.wait_in("Order", order, "paid")
    assert host.effects.arrived(order) == 3
    assert len(effects_of(host, order)) == 1


def test_an_outage_between_attempts_costs_none_of_them(host: Host) -> None:
    """A platform's own counter would use up three attempts in these four seconds, and the work would never run again."""
    work = host.key("work")
    host.effects.fail_next(work, times=100)
    host.receipt("Workshop", work, "try_patient", {"effect": work})
    [job] = wait_until(lambda: host.jobs("Workshop", work), what="the work to begin")
    wait_until(lambda: "Sleep" in host.journal(job["id"]), what="the first attempt to have failed")

    host.served.kill()
    went_down = time.monotonic()
    wait_until(lambda: time.monotonic() - went_down >= OUTAGE_SECONDS, what="four seconds to pass")
    assert host.server.query(f"SELECT id FROM sys_invocation WHERE id = '{job['id']}' AND retry_count > 3")
    host.served.restart()

    machine = host.wait_in("Workshop", work, "finished")
    assert machine["data"]["error"].startswith("EffectRefused: ")
    assert host.effects.arrived(work) == 3


def test_a_terminal_error_is_not_tried_again_and_arrives_with_its_facts(host: Host) -> None:
    work = host.key("work")

    host.receipt("Workshop", work, "try_hopeless", {"effect": work})

    machine = host.wait_in("Workshop", work, "finished")
    assert machine["data"]["error"] == "TerminalError: this cannot work (418, {'reason': 'teapot'})"
    assert effects_of(host, work) == ["once"]


def test_a_step_that_is_done_is_not_done_again_after_a_kill(host: Host) -> None:
    work = host.key("work")

    with host.effects.hold(f"before:{work}-second") as gate:
        host.receipt("Workshop", work, "try_stepping", {"effect": work})
        gate.wait_reached()
        host.served.kill()
    host.served.restart()

    machine = host.wait_in("Workshop", work, "finished")
    assert machine["data"]["result"] == f"done {work}-first, done {work}-second"
    assert len(effects_of(host, f"{work}-first")) == 1
    assert len(set(effects_of(host, f"{work}-second"))) == 1


def test_a_plain_function_does_its_work_in_a_thread(host: Host) -> None:
    work = host.key("work")

    host.receipt("Workshop", work, "try_threaded", {"effect": work})

    host.wait_in("Workshop", work, "finished")
    assert effects_of(host, work) == ["thread"]


def test_a_result_may_be_zero(host: Host) -> None:
    work = host.key("work")

    host.receipt("Workshop", work, "try_counting", {"effect": work})

    assert host.wait_in("Workshop", work, "finished")["data"]["result"] == "0"


@pytest.mark.parametrize("kind", ["speechless", "failing_badly", "wordless"])
def test_what_cannot_be_written_is_an_error_and_not_tried_for_ever(host: Host, kind: str) -> None:
    work = host.key(kind)

    host.receipt("Workshop", work, f"try_{kind}", {"effect": work})

    assert "Error" in host.wait_in("Workshop", work, "finished")["data"]["error"] or kind == "wordless"
    host.settled()


def test_an_outcome_that_nothing_waits_for_is_recorded_and_changes_nothing_else(host: Host) -> None:
    work = host.key("work")
    host.receipt("Workshop", work, "try_careless", {"effect": work})

    machine = wait_until(lambda: _without_activities(host, work), what="the outcome")

    assert (machine["configuration"], machine["status"], machine["seq"]) == (["careless"], "running", 3)


def test_an_error_that_nothing_waits_for_fails_the_machine_visibly(host: Host) -> None:
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


def test_an_event_that_meets_exclusive_work_waits_and_is_judged_afterwards(host: Host) -> None:
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
    assert len(effects_of(host, door)) == 1
    host.settled()


def test_exclusive_work_is_finished_after_the_death_of_the_service(host: Host) -> None:
    door = host.key("door")

    with host.effects.hold(f"before:{door}") as gate:
        pushed = host.server.send("Door", door, "push", {"effect": door})
        gate.wait_reached()
        host.served.kill()
    host.served.restart()

    assert host.server.output(pushed)["configuration"] == ["opened"]
    assert host.snapshot("Door", door)["data"]["rounds"] == 1


def test_exclusive_work_that_fails_as_often_as_it_may_has_failed(host: Host) -> None:
    door = host.key("door")
    host.effects.fail_next(door, times=100)

    assert host.receipt("Door", door, "push", {"effect": door})["configuration"] == ["stuck"]

    assert host.snapshot("Door", door)["data"]["error"].startswith("EffectRefused: ")
    assert host.effects.arrived(door) == 3


@pytest.mark.parametrize("how", ["kill", "cancel"])
def test_exclusive_work_whose_runner_is_ended_has_failed(awake: Host, how: str) -> None:
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


def test_exclusive_work_whose_machine_is_cancelled_has_failed_and_the_event_is_answered(awake: Host) -> None:
    host, door = awake, awake.key("door")

    with host.effects.hold(f"before:{door}") as gate:
        pushed = host.server.send("Door", door, "push", {"effect": door})
        gate.wait_reached()
        host.server.cancel(pushed)

        assert host.server.output(pushed)["configuration"] == ["stuck"]
    assert host.snapshot("Door", door)["data"]["error"] == "cancelled: activity 'opening' was cancelled."
    host.settled()


def test_exclusive_work_whose_machine_is_killed_is_lost_and_the_next_event_finds_that(host: Host) -> None:
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


def test_what_was_lost_stays_settled_even_if_the_event_that_finds_it_is_refused(host: Host) -> None:
    door = host.key("door")

    with host.effects.hold(f"before:{door}") as gate:
        pushed = host.server.send("Door", door, "push", {"effect": door})
        gate.wait_reached()
        host.server.kill_invocation(pushed)
        refused = host.post("Door", door, "close")

    assert refused.status_code == 409
    assert json.loads(refused.json()["metadata"]["configuration"]) == ["stuck"]
    assert host.snapshot("Door", door)["configuration"] == ["stuck"]


def test_timers_that_were_killed_with_a_turn_are_armed_again_by_the_next(host: Host) -> None:
    vault = host.key("vault")

    with host.effects.hold(f"before:{vault}") as gate:
        pushed = host.server.send("Vault", vault, "push", {"effect": vault})
        gate.wait_reached()
        host.server.kill_invocation(pushed)
        wait_until(lambda: not host.scheduled("Vault", vault), what="the end of the turn and its timer")
        host.receipt("Vault", vault, "knock")

    assert len(host.scheduled("Vault", vault)) == len(host.snapshot("Vault", vault)["timers"]) == 1
    host.wait_in("Vault", vault, "outside")


def test_work_in_a_state_with_a_timer_leaves_the_timer_alone(host: Host) -> None:
    vault = host.key("vault")

    receipt = host.receipt("Vault", vault, "push", {"effect": vault})

    assert receipt["configuration"] == ["trying", "opened"]
    host.wait_in("Vault", vault, "outside")
    assert [row["status"] for row in host.invocations("Vault", vault, target_handler_name="_deliver")] == ["completed"]


def test_many_pushes_of_one_door_open_it_once(host: Host) -> None:
    door = host.key("door")

    answers = host.together([("Door", door, "push", {"effect": door})] * 10)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 9}
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert json.loads(refused["metadata"]["configuration"]) == ["opened"]
    assert len(effects_of(host, door)) == 1
