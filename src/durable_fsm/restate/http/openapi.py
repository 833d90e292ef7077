"""The HTTP interface of a chart's machines as an OpenAPI 3.1 document: a pure function of the chart.

https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

from itertools import chain, count
from typing import Any, cast

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

Schema = dict[str, Any]  # Any: JSON Schema

DEFINITIONS = "#/$defs/"
COMPONENTS = "#/components/schemas/"

WHY = {
    400: "The handler cannot read the request: `MalformedInput`; or Restate does not take its content type.",
    403: "The event is private: `Forbidden`.",
    404: "The event, the machine or the service does not exist: `UnknownEvent`, `NotStarted`.",
    408: "The machine did not meet the condition in time: `WaitTimedOut`.",
    409: "The machine does not accept this in its current state: `EventRejected`, `AlreadyStarted`, `NotUndone`, `NotRunning`,"
    " `NotRepairable`; or the invocation was cancelled.",
    410: "The machine has ended: `Finished`, `Gone`.",
    412: "The machine can no longer meet the condition: `WaitInVain`.",
    413: "The request is too long: `TooLarge`.",
    422: "The payload or the data does not fit its type: `InvalidPayload`.",
    429: "Too many events or callers wait already: `TooManyDeferred`, `TooManyWaiting`.",
    500: "The machine or its code is broken: `ActionError`, `VersionError`, `SnapshotUnreadable`, or a failure of its own.",
}
"""Meaning of each status, and the exceptions behind it."""

EVENT = (400, 403, 404, 409, 410, 413, 422, 429, 500)
READ = (400, 404, 410, 500)

RECEIPT: Schema = {
    "type": "object",
    "description": "The outcome of a request, and the state of the machine after it.",
    "properties": {
        "chart": {"type": "string"},
        "key": {"type": "string"},
        "seq": {"type": "integer", "description": "Macrosteps taken so far."},
        "event": {"type": "string"},
        "outcome": {"type": "string", "examples": ["taken", "ignored", "deferred", "created", "exists", "deleted"]},
        "configuration": {"type": "array", "items": {"type": "string"}, "description": "All active states."},
        "status": {"enum": [status.value for status in Status]},
        "reply": {"description": "The value that the transition's action returned."},
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
    "description": "Key of the machine; percent-encoded if it holds anything but letters, digits and dashes.",
    "schema": {"type": "string", "minLength": 1},
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
        chart = self.chart
        for handler, event in handlers_of(chart).items():
            declared = next(one.events[event] for one in chart.served if event in one.events)
            payload = self.named(declared.payload.schema()) if declared.payload else {}
            self.post(
                handler,
                f"Send '{event}'",
                declared.doc or f"Sends '{event}' to the machine, and waits until it was taken.",
                payload,
                EVENT,
                required=declared.payload is not None,
                also_one_way=True,
                tag="events",
            )
        data = self.named(chart.data.schema() or {})
        self.post("create", "Create", "Creates the machine with this data.", data, (400, 404, 409, 410, 413, 422, 500))
        self.post("send", "Send any event", _doc(MachineHandlers.send), self.named(SEND_SCHEMA), EVENT, required=True)
        self.post("delete", "Delete", _doc(DeleteHandlers.delete), self.named(DELETE_SCHEMA), (400, 404, 409, 500))
        self.post(
            "repair", "Repair", _doc(MachineHandlers.repair), self.named(REPAIR_SCHEMA), (*EVENT, 412), required=True
        )
        snapshot: Schema = {"type": "object", "required": ["chart", "key", "status", "configuration", "data"]}
        self.post(
            "snapshot", "Read", _doc(MachineHandlers.snapshot), None, READ, answer=snapshot, idempotency_key=False
        )
        self.post(
            "wait_for",
            "Wait",
            _doc(WaitHandlers.wait_for),
            self.named(wait_schema(chart)),
            (*EVENT, 408, 412),
            required=True,
        )
        page: Schema = {"type": "object", "required": ["entries", "next"]}
        self.post(
            "history",
            "History",
            _doc(MachineHandlers.history),
            self.named(HISTORY_SCHEMA),
            READ,
            answer=page,
            idempotency_key=False,
        )
        if any(one.activities for one in chart.served):
            cancelled: Schema = {"type": "object", "required": ["cancelled"]}
            doc = "Cancel the running exclusive activity, or the one that is named."
            self.post("cancel", "Cancel", doc, self.named(CANCEL_SCHEMA), (*READ, 409), answer=cancelled)
        if chart.hosting.workflow:
            doc = "Runs the machine from its beginning to its end, once for each key; answers with its output."
            failed = (400, 404, 409, 410, 412, 413, 422, 500)
            self.post(
                "run", "Run", doc, data, failed, answer={}, service=f"{chart.name}.workflow", idempotency_key=False
            )
        return {
            "openapi": "3.1.0",
            "info": {"title": chart.name, "version": version, "description": chart.doc or f"Machines of {chart.name}."},
            "servers": [{"url": server, "description": "Restate's ingress"}],
            "tags": [{"name": "events"}, {"name": "machines"}],
            "paths": self.paths,
            "components": {"schemas": self.schemas},
        }

    def post(
        self,
        handler: str,
        summary: str,
        doc: str,
        takes: Schema | None,
        refusals: tuple[int, ...],
        *,
        answer: Schema | None = None,
        required: bool = False,
        also_one_way: bool = False,
        tag: str = "machines",
        service: str = "",
        idempotency_key: bool = True,
    ) -> None:
        """Describe one handler. One that only reads can be repeated without an *idempotency key*."""
        if handler in self.chart.hosting.operators_only:
            return
        path = f"/{service or self.chart.name}/{{key}}/{handler}"
        parameters = [KEY, *([IDEMPOTENCY] if idempotency_key else [])]
        operation: Schema = {
            "summary": summary,
            "description": doc,
            "operationId": f"{service or self.chart.name}.{handler}".replace(".", "_"),
            "tags": [tag],
            "parameters": parameters,
            "responses": {
                "200": {"description": "Done.", "content": _json(_ref("Receipt") if answer is None else answer)},
                **{
                    str(status): {"description": WHY[status], "content": _json(_ref("Error"))}
                    for status in sorted(set(refusals))
                },
            },
        }
        if takes is not None:
            operation["requestBody"] = {"required": required, "content": _json(takes)}
        self.paths[path] = {"post": operation}
        if also_one_way:
            self.paths[f"{path}/send"] = {
                "post": {
                    **{name: member for name, member in operation.items() if name != "responses"},
                    "summary": f"{summary}, one way",
                    "description": f"{doc} The answer says only that it was accepted.",
                    "operationId": f"{operation['operationId']}_one_way",
                    "parameters": [*parameters, DELAY],
                    "responses": {
                        "202": {"description": "Accepted.", "content": _json(_ref("Sent"))},
                        "400": {"description": WHY[400], "content": _json(_ref("Error"))},
                        "404": {"description": WHY[404], "content": _json(_ref("Error"))},
                    },
                }
            }

    def named(self, schema: dict[str, Json] | None) -> Schema:
        """Move the definitions of a schema to the document's components; return the rest of the schema.

        Definitions have the names of types. If another type of the document has such a name, or we do, a number is added.
        """
        if schema is None:
            return {}
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


def _doc(handler: object) -> str:
    return str(handler.__doc__).strip().partition("\n\n")[0]


def _ref(name: str) -> Schema:
    return {"$ref": f"{COMPONENTS}{name}"}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
