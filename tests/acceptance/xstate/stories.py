"""Tell the story of a case to a rehearsal and to a server, and say what the machine has done and is in the end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any, Protocol

from durable_fsm.core.condition import fault_in, meets
from durable_fsm.core.durations import duration_of
from durable_fsm.core.snapshot import Status
from durable_fsm.errors import DurableFSMError, http_status
from durable_fsm.testing import Rehearsal, wait_until

A_MOMENT = timedelta(milliseconds=5)
PATIENCE = timedelta(seconds=60)
LONG = "60s"

Request = list[Any]
"""A handler, its body, and the status of the answer; `"until 410"` repeats the request until it is answered so."""

Told = dict[str, Any]
"""The statuses of the answers, the microsteps, and what the snapshot says in the end; less once the machine is gone."""


class Listener(Protocol):
    """A machine that a story is told to."""

    key: str

    def request(self, handler: str, body: Any) -> int: ...

    def repeat(self, handler: str, body: Any, until: int) -> int: ...

    def told(self) -> Told: ...


def tell(story: dict[str, Any], listener: Listener) -> Told:
    """Make the requests of a story one after the other."""
    answers: list[int] = []
    for handler, body, status in map(completed, story["requests"]):
        given = json.loads(json.dumps(body).replace("{key}", listener.key))
        if isinstance(status, str):
            answers.append(listener.repeat(handler, given, int(status.removeprefix("until "))))
        else:
            answers.append(listener.request(handler, given))
    told = {"answers": answers, **listener.told()}
    if story.get("in_any_order") and "trace" in told:
        told["trace"] = sorted(told["trace"])
    found: Told = json.loads(json.dumps(told).replace(listener.key, "{key}"))
    return found


def expected(story: dict[str, Any]) -> Told:
    """What every listener of the story must tell."""
    statuses = [str(status).removeprefix("until ") for _, _, status in map(completed, story["requests"])]
    return {"answers": [int(status) for status in statuses], **story.get("then", {})}


def completed(request: Request) -> Request:
    return [*request, *(None, 200)[len(request) - 1 :]]


def line(event: str | None, exited: Iterable[str], entered: Iterable[str]) -> str:
    """A microstep: `bid`, `closing -bidding +closed`."""
    return " ".join([event or ".", *(f"-{id}" for id in exited), *(f"+{id}" for id in entered)])


@dataclass
class Rehearsed:
    """A machine in memory, which does its work at once."""

    rehearsal: Rehearsal
    key: str = "rehearsal"

    @classmethod
    def of(cls, definition: object) -> Rehearsed:
        done: list[str] = []
        return cls(Rehearsal(definition, services={"outside": done.append}))

    def request(self, handler: str, body: Any) -> int:
        try:
            return self._ask(handler, body)
        except DurableFSMError as error:
            return http_status(error)

    def repeat(self, handler: str, body: Any, until: int) -> int:
        while (status := self.request(handler, body)) != until:
            self.rehearsal.advance(A_MOMENT)
        return status

    def _ask(self, handler: str, body: Any) -> int:
        match handler:
            case "create":
                self.rehearsal.create(body)
            case "snapshot":
                _ = self.rehearsal.snapshot
            case "wait_for":
                return self._wait_for(body)
            case _:
                self.rehearsal.send(handler, body)
        return 200

    def _wait_for(self, body: dict[str, Any]) -> int:
        """Move the clock until the condition is met, as far as the timeout."""
        chart, machine = self.rehearsal.chart, self.rehearsal.snapshot
        condition = {name: wanted for name, wanted in body.items() if name not in ("event", "payload", "timeout")}
        if fault_in(chart, condition, with_event="event" in body) is not None:
            return 400
        if "event" in body:
            self.rehearsal.send(body["event"], body.get("payload"))
        latest = self.rehearsal.now + duration_of(body.get("timeout", LONG))
        while not meets(chart, machine := self.rehearsal.snapshot, condition):
            if machine.status is not Status.RUNNING:
                return 412
            if self.rehearsal.now >= latest:
                return 408
            self.rehearsal.advance(A_MOMENT)
        return 200

    def told(self) -> Told:
        try:
            machine = self.rehearsal.snapshot
        except DurableFSMError:
            return {}
        steps = [line(step.event, step.exited, step.entered) for step in self.rehearsal.trace]
        return end_of(steps, machine.configuration, machine.status.value, machine.data, machine.output)


@dataclass
class Hosted:
    """A machine on a server. Its connection is its own, and plain: a thousand requests by httpx take three seconds."""

    connection: HTTPConnection
    chart: str
    key: str

    def _post(self, handler: str, body: Any) -> tuple[int, Any]:
        given = {"timeout": LONG, **body} if handler == "wait_for" else body
        text = None if given is None else json.dumps(given)
        headers = {} if text is None else {"content-type": "application/json"}
        self.connection.request("POST", f"/{self.chart}/{self.key}/{handler}", text, headers)
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def request(self, handler: str, body: Any) -> int:
        return self._post(handler, body)[0]

    def repeat(self, handler: str, body: Any, until: int) -> int:
        wait_until(lambda: self.request(handler, body) == until, PATIENCE, f"{self.chart} to answer {until}")
        return until

    def told(self) -> Told:
        status, machine = self._post("snapshot", None)
        if status != 200:
            return {}
        entries = self._post("history", {"limit": 100})[1]["entries"]
        steps = [
            line(step.get("event"), step.get("exited", ()), step.get("entered", ()))
            for entry in entries
            for step in entry.get("steps", ())
        ]
        return end_of(steps, machine["leaves"], machine["status"], machine["data"], machine.get("output"))


def end_of(trace: list[str], leaves: Iterable[str], status: str, data: Any, output: Any) -> Told:
    """Members without a value are left out."""
    told = {"trace": trace, "leaves": [*leaves], "status": status, "data": data, "output": output}
    return {name: value for name, value in told.items() if value not in (None, {})}
