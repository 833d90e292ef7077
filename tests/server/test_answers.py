"""The answers to clients: receipts, refusals and schemas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

PARCEL = {"weight": 3, "to": {"street": "Main", "number": 1}}


# ── receipts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_receipt_has_the_outcome_of_the_event_and_the_configuration(host: Host) -> None:
    review = host.key("a/b ü %2F?")

    host.receipt("Review", review, "approve_law")
    answer = host.post("Review", review, "approve_money")

    assert answer.json() == {
        "chart": "Review",
        "key": review,
        "seq": 3,
        "event": "approve_money",
        "outcome": "taken",
        "configuration": ["accepted"],
        "status": "done",
        "reply": None,
        "output": None,
        "failure": None,
    }
    assert answer.headers["content-type"] == "application/json"


def test_a_snapshot_has_configuration_status_data_and_accepted_events(host: Host) -> None:
    ticket = host.key("ticket")
    host.receipt("Ticket", ticket, "buy")

    machine = host.snapshot("Ticket", ticket)

    assert machine["configuration"] == ["sold"]
    assert machine["status"] == "running"
    assert {event["event"]: event["accepts"] for event in machine["events"]} == {"buy": "no", "use": "yes"}
    assert machine["data"] == {"count": 0}


def test_sets_are_written_in_sorted_order_under_any_hash_seed(host: Host) -> None:
    parcel = host.key("parcel")
    host.receipt("Delivery", parcel, "create", PARCEL)
    tags = [f"tag {number}" for number in range(20)]

    host.served.restart()
    receipt = host.receipt("Delivery", parcel, "label", tags)

    assert receipt["reply"] == sorted(tags)
    assert host.snapshot("Delivery", parcel)["data"]["tags"] == sorted(tags)


# ── create, delete, autostart ─────────────────────────────────────────────────────────────────────────────────────────


def test_create_starts_a_machine_once_and_never_resets_it(host: Host) -> None:
    parcel = host.key("parcel")

    created = host.receipt("Delivery", parcel, "create", PARCEL)
    host.receipt("Delivery", parcel, "send_off")
    again = host.receipt("Delivery", parcel, "create", PARCEL)
    other = host.post("Delivery", parcel, "create", {**PARCEL, "weight": 4})

    assert (created["outcome"], created["configuration"]) == ("created", ["packed"])
    assert (again["outcome"], again["configuration"]) == ("exists", ["sent"])
    assert other.status_code == 409
    assert other.json()["metadata"]["type"] == "AlreadyStarted"
    assert json.loads(other.json()["metadata"]["configuration"]) == ["sent"]


def test_create_with_data_that_does_not_fit_says_where(host: Host) -> None:
    refused = host.post("Delivery", host.key("parcel"), "create", {**PARCEL, "to": {"street": "Main", "number": 0}})

    assert refused.status_code == 422
    assert refused.json()["metadata"]["path"] == "$.to.number"


def test_a_machine_whose_data_has_no_defaults_is_not_started_by_an_event(host: Host) -> None:
    refused = host.post("Delivery", host.key("parcel"), "send_off")

    assert refused.status_code == 404
    assert refused.json()["metadata"]["type"] == "NotStarted"


def test_a_chart_with_create_first_is_not_started_by_an_event(host: Host) -> None:
    strict = host.key("strict")

    refused = host.post("Strict", strict, "begin")

    assert (refused.status_code, refused.json()["metadata"]["type"]) == (404, "NotStarted")
    assert host.receipt("Strict", strict, "create")["outcome"] == "created"
    assert host.receipt("Strict", strict, "begin")["configuration"] == ["busy"]


def test_a_refused_event_starts_no_machine(host: Host) -> None:
    ticket = host.key("ticket")

    refused = host.post("Ticket", ticket, "use")

    assert refused.status_code == 409
    assert host.snapshot("Ticket", ticket) == {}
    assert host.stored("Ticket", ticket) == {}


@pytest.mark.parametrize("event", ["walk", "done.invoke.starting"])
def test_a_refused_event_does_not_start_a_machine_that_begins_with_an_activity(host: Host, event: str) -> None:
    greedy = host.key("greedy")

    refused = host.post("Greedy", greedy, "send", {"event": event})

    assert refused.status_code in (403, 404)
    assert host.stored("Greedy", greedy) == {}


def test_a_deleted_machine_is_gone_and_its_key_starts_a_new_life(host: Host) -> None:
    counter = host.key("counter")
    host.receipt("Counter", counter, "increment")
    life = host.snapshot("Counter", counter)["life"]

    deleted = host.receipt("Counter", counter, "delete")

    assert deleted["outcome"] == "deleted"
    assert host.stored("Counter", counter) == {}
    assert host.post("Counter", counter, "snapshot").status_code == 404
    assert host.post("Counter", counter, "delete").status_code == 404
    assert host.receipt("Counter", counter, "increment")["reply"] == 1
    assert host.snapshot("Counter", counter)["life"] != life


def test_a_finished_machine_takes_no_more_events(host: Host) -> None:
    ticket = host.key("ticket")
    host.receipt("Ticket", ticket, "buy")
    assert host.receipt("Ticket", ticket, "use")["status"] == "done"

    refused = host.post("Ticket", ticket, "buy")

    assert (refused.status_code, refused.json()["metadata"]["type"]) == (410, "Finished")


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("chart", "event"),
    [
        ("Order", "done.invoke.charging"),
        ("Order", "done_invoke_charging"),
        ("Order", "error.invoke.charging"),
        ("Order", "error_invoke_charging"),
        ("Order", "error.execution"),
        ("Review", "done.state.reviewing"),
        ("Oven", "ready"),
        ("Talkative", "say"),
    ],
)
def test_platform_events_and_private_events_cannot_be_sent_from_outside(host: Host, chart: str, event: str) -> None:
    key = host.key("private")

    by_send = host.post(chart, key, "send", {"event": event, "payload": "x"})
    by_handler = host.post(chart, key, event)

    assert by_send.status_code == 403, by_send.text
    assert by_send.json()["metadata"]["type"] == "Forbidden"
    assert by_handler.status_code == 404
    assert host.stored(chart, key) == {}


@pytest.mark.parametrize("handler", ["_deliver", "_parked"])
def test_private_handlers_cannot_be_called_from_outside(host: Host, handler: str) -> None:
    answer = host.post("Oven", host.key("oven"), handler, {"token": "x"})

    assert answer.status_code == 400  # Restate's own: the handler is not public
    assert answer.json()["source"] == "ingress"


def test_activities_cannot_be_called_from_outside(host: Host) -> None:
    answer = host.client.post(f"{host.server.ingress_url}/Order.activities/charging", json={})

    assert answer.status_code == 400
    assert answer.json()["source"] == "ingress"


def test_an_unknown_event_is_answered_with_the_nearest_name(host: Host) -> None:
    refused = host.post("Ticket", host.key("ticket"), "send", {"event": "bye"})

    assert refused.status_code == 404
    assert "Did you mean 'buy'?" in refused.json()["message"]
    assert json.loads(refused.json()["metadata"]["known"]) == ["buy", "use"]


def test_every_refusal_has_a_message_and_typed_facts_and_no_stack_trace(host: Host) -> None:
    ticket, parcel = host.key("ticket"), host.key("parcel")
    host.receipt("Delivery", parcel, "create", PARCEL)
    refusals = [
        host.post("Ticket", ticket, "use"),
        host.post("Ticket", ticket, "send", {"event": "bye"}),
        host.post("Ticket", ticket, "send", []),
        host.post("Delivery", parcel, "redirect", {"street": 1}),
        host.post("Delivery", parcel, "deliver"),
        host.post("Fragile", ticket, "tumble"),
        host.post("Babbler", ticket, "hum"),
    ]

    for refusal in refusals:
        body = refusal.json()
        assert set(body) == {"code", "message", "metadata", "source"}
        assert body["code"] == refusal.status_code >= 400
        assert all(isinstance(fact, str) for fact in body["metadata"].values())
        assert "Traceback" not in refusal.text
        assert ".py" not in refusal.text


# ── callbacks that fail ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_callback_that_raises_leaves_the_stored_machine_unchanged_to_the_byte(host: Host) -> None:
    fragile = host.key("fragile")
    host.receipt("Fragile", fragile, "create")
    before = host.stored("Fragile", fragile)

    failed = host.post("Fragile", fragile, "tumble")  # after a change of the data and a send

    assert (failed.status_code, failed.json()["metadata"]["type"]) == (500, "ActionError")
    assert host.stored("Fragile", fragile) == before
    assert host.scheduled("Fragile", fragile) == []


@pytest.mark.parametrize("event", ["hum", "sing"])
def test_a_reply_that_json_cannot_hold_is_an_error_and_changes_nothing(host: Host, event: str) -> None:
    babbler = host.key("babbler")
    host.receipt("Babbler", babbler, "create")
    before = host.stored("Babbler", babbler)

    assert host.post("Babbler", babbler, event).status_code == 500
    assert host.stored("Babbler", babbler) == before


def test_an_unpaired_surrogate_in_a_reply_is_answered_as_a_question_mark(host: Host) -> None:
    assert host.receipt("Babbler", host.key("babbler"), "babble")["reply"] == "half a character: ?"


# ── discovery ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_openapi_shows_the_payload_of_each_event(host: Host) -> None:
    answer = host.client.get(f"{host.server.admin_url}/services/Delivery/openapi")

    api = answer.json()
    schemas = api["components"]["schemas"]
    handlers = {path.rsplit("/", 1)[-1] for path in api["paths"] if "/restate/call/" in path}
    assert handlers == {
        *("create", "send", "snapshot", "delete", "wait_for", "history", "repair"),
        *("deliver", "label", "redirect", "send_off"),
    }
    assert schemas["redirectRequest"]["required"] == ["street", "number"]
    assert schemas["labelRequest"]["items"] == {"type": "string"}
    assert schemas["createRequest"]["required"] == ["weight", "to"]
    assert schemas["sendRequest"]["required"] == ["event"]
    assert schemas["repairRequest"]["required"] == ["reason"]
    assert schemas["wait_forRequest"]["properties"].keys() >= {"state", "any", "event", "timeout"}
    assert schemas["historyRequest"]["properties"].keys() == {"after", "limit", "last"}


def test_a_machine_can_be_read_while_it_takes_events(host: Host) -> None:
    counter = host.key("counter")

    answers = host.together([("Counter", counter, "increment", None), ("Counter", counter, "snapshot", None)] * 20)

    assert {answer.status_code for answer in answers} <= {200, 404}
    assert wait_until(lambda: host.snapshot("Counter", counter)["data"]["count"]) == 20
