"""The HTTP interface of a chart's machines as an OpenAPI 3.1 document: a pure function of the chart.

https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

import inspect
from itertools import chain, count
from typing import Any, cast

from durable_fsm.core.address import LONGEST_KEY
from durable_fsm.core.chart import Chart
from durable_fsm.core.snapshot import Status
from durable_fsm.core.values import Json
from durable_fsm.restate.http.requests import (
    CANCEL_SCHEMA,
    DELETE_SCHEMA,
    HISTORY_SCHEMA,
    REPAIR_SCHEMA,
    SEND_SCHEMA,
    wait_schema,
)
from durable_fsm.restate.machine.deletion import DeleteHandlers
from durable_fsm.restate.machine.handlers import MachineHandlers
from durable_fsm.restate.machine.object import handlers_of
from durable_fsm.restate.machine.waiting import WaitHandlers
from durable_fsm.restate.names import workflow_name

Schema = dict[str, Any]  # Any: JSON Schema

DEFINITIONS = "#/$defs/"
COMPONENTS = "#/components/schemas/"

WHY = {
    400: "The handler cannot read the request: `MalformedInput`; or Restate does not accept its content type.",
    403: "The event is private: `Forbidden`.",
    404: "The event, the machine or the service does not exist: `UnknownEvent`, `NotStarted`.",
    408: "The machine did not meet the condition in time: `WaitTimedOut`; or did not process a deferred event: `DeferredTooLong`.",
    409: "The machine does not accept this in its current state: `EventRejected`, `AlreadyStarted`, `NotUndone`, `NotRunning`,"
    " `NotRepairable`; or the invocation was cancelled.",
    410: "The machine has ended: `Finished`, `Gone`.",
    412: "The machine can no longer meet the condition: `WaitInVain`.",
    413: "The request is too long: `TooLarge`.",
    422: "The payload or the data does not fit its type: `InvalidPayload`.",
    429: "Too many events or callers wait already: `TooManyDeferred`, `TooManyWaiting`.",
    500: "The machine or its code is broken: `ActionError`, `VersionError`, `SnapshotUnreadable`, or another failure.",
    503: "An operator has paused the machine: `Paused`; or no deployment answers.",
}
"""Meaning of each status, and the exceptions behind it."""

EVENT = (400, 403, 404, 409, 410, 413, 422, 429, 500, 503)
READ = (400, 404, 410, 500)

RECEIPT: Schema = {
    "type": "object",
    "description": "The outcome of a request, and the state of the machine after it.",
    "properties": {
        "chart": {"type": "string"},
        "key": {"type": "string"},
        "seq": {"type": "integer", "description": "The number of macrosteps so far."},
        "event": {"type": "string"},
        "outcome": {"type": "string", "examples": ["taken", "ignored", "deferred", "created", "exists", "deleted"]},
        "configuration": {"type": "array", "items": {"type": "string"}, "description": "All active states."},
        "status": {"enum": [status.value for status in Status]},
        "reply": {"description": "The value that the transition's action returned."},
        "output": {"description": "The output of a machine that has ended."},
        "failure": {
            "type": ["object", "null"],
            "description": "Why the machine has failed: `type`, `message` and perhaps `code` and `metadata`.",
        },
    },
    "required": ["chart", "key", "outcome"],
}

ERROR: Schema = {
    "type": "object",
    "properties": {
        "code": {"type": "integer"},
        "message": {"type": "string"},
        "metadata": {
            "type": ["object", "null"],
            "description": "`type` is the name of the exception; the other members are its facts.",
        },
        "source": {"type": "string"},
    },
    "required": ["message"],
}

SENT: Schema = {
    "type": "object",
    "properties": {
        "invocationId": {"type": "string"},
        "status": {"enum": ["Accepted", "PreviouslyAccepted"]},
        "executionTime": {"type": "string", "format": "date-time"},
    },
    "required": ["invocationId", "status"],
}

KEY: Schema = {
    "name": "key",
    "in": "path",
    "required": True,
    "description": (
        f"Key of the machine, of at most {LONGEST_KEY:,} bytes in UTF-8; percent-encoded if it holds anything but letters,"
        " digits and dashes."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
    "example": "o-17",
}

IDEMPOTENCY: Schema = {
    "name": "idempotency-key",
    "in": "header",
    "required": False,
    "description": "A second request with the same key gets the answer of the first one, and nothing is done twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}

DELAY: Schema = {
    "name": "delay",
    "in": "query",
    "required": False,
    "description": "How long Restate keeps the request: `200ms`, `30s`, or as in ISO 8601. Restate hangs up on a delay beyond the year 9999.",
    "schema": {"type": "string", "pattern": r"^[1-9][0-9]{0,4}(ms|s|m|h|d)$"},
    "example": "30s",
}


def openapi(chart: Chart, *, server: str = "http://localhost:8080", version: str | None = None) -> Schema:
    """Describe the interface of a chart's machines.

    Args:
        server: URL of Restate's ingress.
        version: version of the interface; that of the chart, if not given.
    """
    return _Document(chart).made(server, version or chart.version)


class _Document:
    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.schemas: dict[str, Schema] = {"Receipt": RECEIPT, "Error": ERROR, "Sent": SENT}
        self.definitions: Schema = dict(self.schemas)
        self.paths: dict[str, Schema] = {}

    def made(self, server: str, version: str) -> Schema:
        self.add_events()
        self.add_built_in()
        chart = self.chart
        return {
            "openapi": "3.1.0",
            "info": {"title": chart.name, "version": version, "description": chart.doc or f"Machines of {chart.name}."},
            "servers": [{"url": server, "description": "Restate's ingress"}],
            "tags": [{"name": "events"}, {"name": "machines"}],
            "paths": self.paths,
            "components": {"schemas": self.schemas},
        }

    def add_events(self) -> None:
        for handler, event in handlers_of(self.chart).items():
            declared = next(one.events[event] for one in self.chart.served if event in one.events)
            payload = (declared.payload.schema() or {}) if declared.payload else {}
            doc = declared.doc or f"Sends '{event}' to the machine, and waits until it has been processed."
            needs_payload = declared.payload is not None
            self.add(
                handler, f"Send '{event}'", doc, payload, EVENT, required=needs_payload, one_way=True, tag="events"
            )

    def add_built_in(self) -> None:
        chart, data = self.chart, self.chart.data.schema() or {}
        failed = (400, 404, 409, 410, 413, 422, 500)
        snapshot: Schema = {"type": "object", "required": ["chart", "key", "status", "configuration", "data"]}
        page: Schema = {"type": "object", "required": ["entries", "next"]}
        cancelled: Schema = {"type": "object", "required": ["cancelled"]}
        waiting = (*EVENT, 408, 412)
        self.add("create", "Create", "Creates the machine with this data.", data, failed)
        self.add("send", "Send any event", MachineHandlers.send, SEND_SCHEMA, EVENT, required=True)
        self.add("delete", "Delete", DeleteHandlers.delete, DELETE_SCHEMA, (400, 404, 409, 500), required=True)
        self.add("repair", "Repair", MachineHandlers.repair, REPAIR_SCHEMA, (*EVENT, 412), required=True)
        self.add("snapshot", "Read", MachineHandlers.snapshot, None, READ, answer=snapshot, repeatable=True)
        self.add("wait_for", "Wait", WaitHandlers.wait_for, wait_schema(chart), waiting, required=True)
        self.add("history", "History", MachineHandlers.history, HISTORY_SCHEMA, READ, answer=page, repeatable=True)
        for name, query in chart.hosting.queries.items():
            doc = inspect.getdoc(query) or f"Answers '{name}' from the machine's data."
            self.add(name, f"Ask '{name}'", doc, None, READ, answer={}, repeatable=True)
        if any(one.activities for one in chart.served):
            doc = "Cancel the running exclusive activity, or the one that is named."
            self.add("cancel", "Cancel", doc, CANCEL_SCHEMA, (*READ, 409), answer=cancelled, required=True)
        if chart.hosting.workflow:
            end = chart.hosting.workflow
            until = f"until '{end}' is done" if isinstance(end, str) else "to its end"
            doc = f"Runs the machine from its beginning {until}, once for each key; answers with its output."
            self.add("run", "Run", doc, data, (*failed, 412), answer={}, service=workflow_name(chart), repeatable=True)

    def add(
        self,
        handler: str,
        summary: str,
        doc: object,
        takes: dict[str, Json] | None,
        refusals: tuple[int, ...],
        *,
        answer: Schema | None = None,
        required: bool = False,
        one_way: bool = False,
        tag: str = "machines",
        service: str = "",
        repeatable: bool = False,
    ) -> None:
        """Describe one handler.

        Args:
            doc: a text, or the method that has it.
            takes: schema of the request; None if the handler takes none.
            refusals: statuses of errors.
            answer: schema of the answer; a receipt, if not given.
            one_way: also describe how to send without waiting for the answer.
            repeatable: whether a request can be repeated without an idempotency key.
        """
        if handler in self.chart.hosting.operators_only:
            return
        name = f"{service or self.chart.name}/{{key}}/{handler}"
        operation: Schema = {
            "summary": summary,
            "description": doc if isinstance(doc, str) else str(doc.__doc__).strip().partition("\n\n")[0],
            "operationId": f"{service or self.chart.name}.{handler}".replace(".", "_"),
            "tags": [tag],
            "parameters": [KEY] if repeatable else [KEY, IDEMPOTENCY],
        }
        if takes is not None:
            operation["requestBody"] = {"required": required, "content": _json(self.named(takes))}
        done = {"200": {"description": "Done.", "content": _json(_ref("Receipt") if answer is None else answer)}}
        self.paths[f"/{name}"] = {"post": {**operation, "responses": {**done, **_errors(refusals)}}}
        if one_way:
            sent = {
                **operation,
                "summary": f"{summary}, one way",
                "description": f"{operation['description']} The answer says only that it was accepted.",
                "operationId": f"{operation['operationId']}_one_way",
                "parameters": [*operation["parameters"], DELAY],
            }
            accepted = {"202": {"description": "Accepted.", "content": _json(_ref("Sent"))}}
            self.paths[f"/{name}/send"] = {"post": {**sent, "responses": {**accepted, **_errors((400, 404))}}}

    def named(self, schema: dict[str, Json]) -> Schema:
        """Move the definitions of a schema to the document's components; return the rest of the schema.

        Definitions have the names of types. If another type of the document has such a name, or we do, a number is added.
        """
        definitions = cast("Schema", schema.get("$defs", {}))
        number = next(number for number in chain([""], map(str, count(2))) if self._is_free(definitions, number))
        self.definitions |= {f"{name}{number}": definition for name, definition in definitions.items()}
        moved = cast("Schema", _with_references_to_components(schema, number))
        self.schemas |= {f"{name}{number}": definition for name, definition in moved.pop("$defs", {}).items()}
        return moved

    def _is_free(self, definitions: Schema, number: str) -> bool:
        """True if no other type has one of these names with this number."""
        return all(self.definitions.get(f"{name}{number}", one) == one for name, one in definitions.items())


def _with_references_to_components(schema: Json, number: str) -> Json:
    if isinstance(schema, dict):
        return {name: _with_references_to_components(member, number) for name, member in schema.items()}
    if isinstance(schema, list):
        return [_with_references_to_components(item, number) for item in schema]
    if isinstance(schema, str) and schema.startswith(DEFINITIONS):  # a $ref, or a value of a discriminator's mapping
        name, slash, path = schema.removeprefix(DEFINITIONS).partition("/")
        return f"{COMPONENTS}{name}{number}{slash}{path}"
    return schema


def _errors(statuses: tuple[int, ...]) -> Schema:
    return {
        str(status): {"description": WHY[status], "content": _json(_ref("Error"))} for status in sorted(set(statuses))
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"{COMPONENTS}{name}"}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
