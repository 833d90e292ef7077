"""JSON schemas of what the built-in handlers take, for discovery. What arrives is read by each handler itself."""

from __future__ import annotations

from durable_fsm.core.model import Json, Status

SEND_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "payload": {}},
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

WAIT_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {
        **_CONDITION,
        "any": {"type": "array", "items": {"type": "object", "properties": _CONDITION}},
        "event": {"type": "string"},
        "payload": {},
        "timeout": {"type": ["string", "number"], "default": "1h"},
    },
    "additionalProperties": False,
}

_NUMBER: dict[str, Json] = {"type": "integer", "minimum": 0}

HISTORY_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"after": _NUMBER, "limit": _NUMBER, "last": _NUMBER},
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
        "move": {"type": ["string", "array"], "items": {"type": "string"}},
        "reason": {"type": "string", "minLength": 1},
    },
    "required": ["reason"],
    "additionalProperties": False,
}
