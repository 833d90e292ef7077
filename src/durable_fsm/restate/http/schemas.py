"""JSON schemas of what the built-in handlers take, for discovery. What arrives is read by each handler itself."""

from __future__ import annotations

from typing import cast

from durable_fsm.core.chart import ROOT, Chart
from durable_fsm.core.condition import MOST
from durable_fsm.core.snapshot import Status
from durable_fsm.core.values import Json
from durable_fsm.restate.http.requests import MAX_NAME
from durable_fsm.restate.machine.repairs import MAX_REASON, VERBS
from durable_fsm.restate.machine.waiting import LONGEST

_NAME: dict[str, Json] = {"type": "string", "maxLength": MAX_NAME}

SEND_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"event": _NAME, "payload": {}},
    "required": ["event"],
    "additionalProperties": False,
}

_CONDITION: dict[str, Json] = {
    "state": {"type": "string"},
    "tag": {"type": "string"},
    "status": {"enum": [status.value for status in Status]},
    "settled": {"const": True},
    "taken": {"const": True},
}


def _waiting(conditions: dict[str, Json]) -> dict[str, Json]:
    one: dict[str, Json] = {
        "type": "object",
        "properties": conditions,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }
    with_taken: dict[str, Json] = {"required": ["any"], "properties": {"any": {"contains": {"required": ["taken"]}}}}
    return {
        "type": "object",
        "properties": {
            **conditions,
            "any": {"type": "array", "items": one, "minItems": 1, "maxItems": MOST},
            "event": _NAME,
            "payload": {},
            "timeout": {
                "anyOf": [
                    {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"},
                    {"type": "number", "minimum": 0, "maximum": LONGEST.total_seconds()},
                ],
                "default": "1h",
            },
        },
        "oneOf": [{"required": [kind]} for kind in (*conditions, "any")],
        "dependentRequired": {"payload": ["event"], "taken": ["event"]},
        "if": with_taken,
        "then": {"required": ["event"]},
        "additionalProperties": False,
    }


WAIT_SCHEMA = _waiting(_CONDITION)


def wait_schema(chart: Chart) -> dict[str, Json]:
    """`WAIT_SCHEMA` with the states and the tags that there are."""
    states = dict.fromkeys(id for one in chart.served for id in one.states if id != ROOT)
    tags = sorted({tag for one in chart.served for state in one.states.values() for tag in state.tags})
    named: dict[str, list[str]] = {"state": list(states), "tag": tags}
    known: dict[str, Json] = {kind: {"enum": cast("Json", names)} for kind, names in named.items() if names}
    return _waiting(known | {kind: one for kind, one in _CONDITION.items() if kind not in named})


_NUMBER: dict[str, Json] = {"type": "integer", "minimum": 0}

HISTORY_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"after": _NUMBER, "limit": _NUMBER, "last": _NUMBER},
    "dependentSchemas": {"last": {"maxProperties": 1}},
    "additionalProperties": False,
}

CANCEL_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"activity": {"type": "string"}},
    "additionalProperties": False,
}

DELETE_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"compensate": {"const": True}, "abandon": {"const": True}},
    "maxProperties": 1,
    "additionalProperties": False,
}

REPAIR_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {
        "retry": {"type": "string"},
        "skip": {"type": "string"},
        "result": {},
        "resend": {"const": True},
        "migrate": {"const": True},
        "move": {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1},
        "reason": {"type": "string", "maxLength": MAX_REASON, "pattern": "[^\\s\\x00-\\x1f\\x85]"},
    },
    "required": ["reason"],
    "oneOf": [{"required": [verb]} for verb in VERBS],
    "dependentRequired": {"result": ["skip"]},
    "additionalProperties": False,
}
