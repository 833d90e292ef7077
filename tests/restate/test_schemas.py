"""What discovery publishes of the built-in handlers: it admits what they take, and nothing else that we can say."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from jsonschema import Draft202012Validator
from statemachine import State, StateChart

from durable_fsm import chart_from
from durable_fsm.core.values import Json
from durable_fsm.errors import MalformedInput
from durable_fsm.restate.http.requests import (
    CANCEL_SCHEMA,
    DELETE_SCHEMA,
    HISTORY_SCHEMA,
    REPAIR_SCHEMA,
    SEND_SCHEMA,
    DeleteRequest,
    HistoryRequest,
    RepairRequest,
    WaitRequest,
    wait_schema,
)


class Parcel(StateChart):
    packed = State(initial=True)
    sent = State(final=True)

    send_off = packed.to(sent)


PARCEL = chart_from(Parcel)

TAKEN: list[tuple[str, Json]] = [
    ("history", {}),
    ("history", {"after": 0, "limit": 3}),
    ("history", {"last": 3}),
    ("history", {"last": 3.0}),
    ("delete", {}),
    ("delete", {"compensate": True}),
    ("delete", {"abandon": True}),
    ("repair", {"retry": "a", "reason": "because"}),
    ("repair", {"skip": "a", "reason": "because"}),
    ("repair", {"skip": "a", "result": [1], "reason": "потому"}),
    ("repair", {"resend": True, "reason": "?"}),
    ("repair", {"migrate": True, "reason": "because"}),
    ("repair", {"move": "sent", "reason": "because"}),
    ("repair", {"move": ["sent", "packed"], "reason": "x" * 1_000}),
    ("wait_for", {"state": "sent"}),
    ("wait_for", {"status": "done", "timeout": 2.5}),
    ("wait_for", {"settled": True, "timeout": "1h30m"}),
    ("wait_for", {"settled": True, "timeout": ".5s"}),
    ("wait_for", {"settled": True, "timeout": "15min"}),
    ("wait_for", {"state": "sent", "event": "send_off", "payload": 3}),
    ("wait_for", {"taken": True, "event": "send_off"}),
    ("wait_for", {"any": [{"state": "sent"}, {"status": "failed"}]}),
    ("wait_for", {"any": [{"state": "sent"}, {"taken": True}], "event": "send_off"}),
]
REFUSED: list[tuple[str, Json]] = [
    ("history", {"last": 3, "limit": 3}),
    ("history", {"last": -1}),
    ("history", {"after": 1.5}),
    ("history", {"after": True}),
    ("history", {"before": 1}),
    ("delete", {"compensate": True, "abandon": True}),
    ("delete", {"compensate": False}),
    ("repair", {"reason": "because"}),
    ("repair", {"retry": "a"}),
    ("repair", {"retry": "a", "skip": "b", "reason": "because"}),
    ("repair", {"retry": "a", "result": 1, "reason": "because"}),
    ("repair", {"retry": "a", "reason": " \n\x1f"}),
    ("repair", {"retry": "a", "reason": "x" * 1_001}),
    ("repair", {"move": [], "reason": "because"}),
    ("repair", {"resend": False, "reason": "because"}),
    ("wait_for", {}),
    ("wait_for", {"state": "lost"}),
    ("wait_for", {"tag": "open"}),
    ("wait_for", {"state": "sent", "status": "done"}),
    ("wait_for", {"state": "sent", "payload": 3}),
    ("wait_for", {"state": "sent", "timeout": "soon"}),
    ("wait_for", {"state": "sent", "timeout": -1}),
    ("wait_for", {"state": "sent", "event": "x" * 201}),
    ("wait_for", {"taken": True}),
    ("wait_for", {"any": []}),
    ("wait_for", {"any": [{"any": [{"state": "sent"}]}]}),
    ("wait_for", {"any": [{"state": "sent", "status": "done"}]}),
    ("wait_for", {"any": [{"state": "sent"}, {"taken": True}]}),
]

SCHEMAS = {
    "history": HISTORY_SCHEMA,
    "delete": DELETE_SCHEMA,
    "repair": REPAIR_SCHEMA,
    "wait_for": wait_schema(PARCEL),
}
READ: dict[str, Callable[[bytes], object]] = {
    "history": lambda body: HistoryRequest.decode("Parcel", body),
    "delete": lambda body: DeleteRequest.decode("Parcel", body),
    "repair": lambda body: RepairRequest.decode("Parcel", body),
    "wait_for": lambda body: WaitRequest.decode(PARCEL, body),
}


@pytest.mark.parametrize("schema", [*SCHEMAS.values(), SEND_SCHEMA, CANCEL_SCHEMA])
def test_every_schema_is_one(schema: dict[str, Json]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("handler", "body"), TAKEN)
def test_what_a_handler_takes_is_what_its_schema_admits(handler: str, body: Json) -> None:
    READ[handler](json.dumps(body).encode())

    assert list(Draft202012Validator(SCHEMAS[handler]).iter_errors(body)) == []


@pytest.mark.parametrize(("handler", "body"), REFUSED)
def test_what_a_handler_refuses_its_schema_refuses_too(handler: str, body: Json) -> None:
    with pytest.raises(MalformedInput):
        READ[handler](json.dumps(body).encode())

    assert list(Draft202012Validator(SCHEMAS[handler]).iter_errors(body)) != []


def test_the_states_and_tags_of_a_chart_are_named() -> None:
    named = wait_schema(PARCEL)["properties"]

    assert isinstance(named, dict)
    assert named["state"] == {"enum": ["packed", "sent"]}
    assert "tag" not in named
