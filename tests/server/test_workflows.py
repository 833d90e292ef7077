"""Charts as workflows: a run lasts as long as the machine of its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def failure(host: Host, run: str) -> dict[str, Any]:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        host.server.output(run)
    return {"status": caught.value.response.status_code, **caught.value.response.json()}


def test_a_run_answers_with_the_output_of_its_machine_however_often_it_is_interrupted(ends: Host) -> None:
    key = ends.key("booked")

    with ends.effects.hold(f"before:{key}") as gate:
        run = ends.server.send("Lodging.workflow", key, "run", {"effect": key})
        gate.wait_reached()
        ends.served.kill()
        ends.server.kill()
        ends.server.start()
        ends.served.restart()
        gate.open()
    ends.wait_in("Lodging", key, "asking")
    again = ends.post("Lodging.workflow", key, "run", {"effect": key})
    thanks = ends.receipt("Lodging.workflow", key, "agree", 20)

    assert ends.server.output(run) == {"price": 520}
    assert again.status_code == 409
    assert (thanks["outcome"], thanks["reply"], thanks["status"]) == ("taken", "thanks", "done")
    attached = ends.client.get(f"{ends.server.ingress_url}/restate/workflow/Lodging.workflow/{key}/attach")
    assert attached.json() == {"price": 520}
    assert len(set(ends.effects.counts(key))) == 1
    wait_until(lambda: ends.stored("Lodging", key) == {}, what="the key to be free")


def test_events_reach_the_machine_through_the_workflow_and_through_the_object(ends: Host) -> None:
    key, other = ends.key("through"), ends.key("beside")
    runs = [ends.server.send("Lodging.workflow", one, "run", {"effect": one}) for one in (key, other)]
    for one in (key, other):
        ends.wait_in("Lodging", one, "asking")

    refused = ends.post("Lodging.workflow", key, "send", {"event": "payed"})
    assert (refused.status_code, refused.json()["metadata"]["type"]) == (404, "UnknownEvent")
    ends.receipt("Lodging.workflow", key, "send", {"event": "agree", "payload": 1})
    ends.receipt("Lodging", other, "agree", 2)

    assert [ends.server.output(run) for run in runs] == [{"price": 501}, {"price": 502}]


def test_a_run_that_ends_at_once_answers_at_once(ends: Host) -> None:
    assert ends.server.call("Instant.workflow", ends.key("instant"), "run", {}) == 42


def test_a_run_is_answered_by_a_state_and_its_machine_goes_on(ends: Host) -> None:
    key = ends.key("stay")

    with ends.effects.hold(f"before:{key}") as gate:
        run = ends.server.send("Stay.workflow", key, "run", {"effect": key})
        gate.wait_reached()
        ends.served.kill()
        gate.open()
    ends.served.restart()

    assert ends.server.output(run) == {"price": 500}
    machine = ends.snapshot("Stay", key)
    assert (machine["status"], machine["leaves"]) == ("running", ["booked"])
    assert machine["answer"] == {"output": {"price": 500}}
    assert ends.receipt("Stay.workflow", key, "leave")["status"] == "done"


def test_a_run_is_answered_by_a_state_with_a_failure_and_its_machine_goes_on(ends: Host) -> None:
    key = ends.key("hopeless")

    failed = failure(ends, ends.server.send("Stay.workflow", key, "run", {"effect": key}))

    assert (failed["status"], failed["message"]) == (418, "fully booked")
    machine = ends.snapshot("Stay", key)
    assert (machine["status"], machine["failure"], machine["leaves"]) == ("running", None, ["refused"])
    assert ends.receipt("Stay", key, "leave")["status"] == "done"


def test_a_run_fails_as_its_machine_fails(ends: Host) -> None:
    key = ends.key("hopeless")

    failed = failure(ends, ends.server.send("Rash.workflow", key, "run", {"effect": key}))

    assert (failed["status"], failed["message"]) == (418, "fully booked")
    assert ends.snapshot("Rash", key)["status"] == "failed"
    handled = ends.server.call("Lodging.workflow", key, "run", {"effect": key})
    assert handled == {"why": "fully booked"}


@pytest.mark.parametrize(("body", "status"), [({}, 422), ({"effect": 1}, 422), ("nothing", 422)], ids=str)
def test_a_run_with_invalid_data_fails_and_starts_nothing(ends: Host, body: object, status: int) -> None:
    key = ends.key("unfit")

    answer = ends.post("Lodging.workflow", key, "run", body)

    assert answer.status_code == status
    assert ends.stored("Lodging", key) == {}


def test_a_run_on_a_key_of_another_machine_is_refused(ends: Host) -> None:
    key = ends.key("other")
    ends.receipt("Rash", key, "create", {"effect": key})

    assert ends.post("Rash.workflow", key, "run", {"effect": "else"}).status_code == 409


def test_a_run_on_a_key_of_a_machine_with_the_same_data_joins_it(ends: Host) -> None:
    key = ends.key("joined")
    ends.receipt("Lodging", key, "create", {"effect": key})
    ends.wait_in("Lodging", key, "asking")

    run = ends.server.send("Lodging.workflow", key, "run", {"effect": key})
    wait_until(lambda: "waiters" in ends.stored("Lodging", key), what="the run to wait")
    ends.receipt("Lodging", key, "agree", 5)

    assert ends.server.output(run) == {"price": 505}


@pytest.mark.parametrize("chart", ["Lodging", "Rash"])
def test_a_cancelled_run_stops_its_activity_and_deletes_its_machine(ends: Host, chart: str) -> None:
    key = ends.key("cancelled")

    with ends.effects.hold(f"before:{key}") as gate:
        run = ends.server.send(f"{chart}.workflow", key, "run", {"effect": key})
        gate.wait_reached()
        ends.server.cancel(run)
        assert failure(ends, run)["message"] == "cancelled"
        wait_until(lambda: ends.stored(chart, key) == {}, what="the machine to be deleted")
        wait_until(lambda: not ends.jobs(chart, key, "running", "suspended"), what="its work to be stopped")
    assert ends.effects.entries(key) == ()
    ends.settled()


def test_a_run_fails_if_its_machine_is_deleted(ends: Host) -> None:
    key = ends.key("deleted")
    run = ends.server.send("Lodging.workflow", key, "run", {"effect": key})
    ends.wait_in("Lodging", key, "asking")

    ends.receipt("Lodging", key, "delete")

    failed = failure(ends, run)
    assert (failed["status"], failed["metadata"]["type"]) == (412, "WaitInVain")
